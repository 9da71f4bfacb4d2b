/* SPDX-License-Identifier: MIT */
/*
 * SLIP, RFC 1055. Every frame begins with END as well, as the RFC advises: noise before it, or the
 * rest of a frame that was cut short, becomes a frame of its own. Empty frames are no frames.
 */
#include <errno.h>

#include "codec.h"

#define END     0xc0
#define ESC     0xdb
#define ESC_END 0xdc
#define ESC_ESC 0xdd

static size_t bound(const struct kr_codec_config_s *config)
{
    return 2 * config->max + 2;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    uint8_t *to = out;

    if (size > config->max)
        return -EMSGSIZE;
    *to++ = END;
    for (; size; size--, in++) {
        if (*in == END || *in == ESC) {
            *to++ = ESC;
            *to++ = *in == END ? ESC_END : ESC_ESC;
        } else {
            *to++ = *in;
        }
    }
    *to++ = END;
    return to - out;
}

/* The END that begins the next frame does it. */
static size_t resync(const struct kr_codec_config_s *config, uint8_t *out)
{
    (void)config;
    (void)out;
    return 0;
}

static int end_of_frame(struct kr_decoder_s *d)
{
    bool dropping = d->dropping, escaped = d->escaped, begun = d->begun;

    if (begun && !dropping && !escaped)
        return kr_decoder_give(d);
    kr_decoder_start(d);
    return escaped && !dropping ? -EBADMSG : 0;
}

static int take(struct kr_decoder_s *d, uint8_t byte)
{
    int r;

    if (byte == END)
        return end_of_frame(d);
    if (d->dropping)
        return 0;
    if (d->escaped) {
        d->escaped = false;
        if (byte != ESC_END && byte != ESC_ESC)
            return kr_decoder_drop(d, -EBADMSG);
        byte = byte == ESC_END ? END : ESC;
    } else if (byte == ESC) {
        d->begun = d->escaped = true;
        return 0;
    }
    r = kr_decoder_put(d, byte, d->config->max);
    return r ? kr_decoder_drop(d, r) : 0;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    return kr_decoder_run(d, take, in, size, used);
}

const struct kr_codec_s kr_codec_slip = {
    .room = kr_codec_room,
    .bound = bound,
    .encode = encode,
    .resync = resync,
    .reset = kr_decoder_start,
    .decode = decode,
    .lose = kr_decoder_lose,
    .finish = kr_decoder_finish,
};
