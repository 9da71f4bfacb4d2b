/* SPDX-License-Identifier: MIT */
/*
 * Consistent overhead byte stuffing: S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking
 * 7(2), 1999. A group is a code byte and code - 1 bytes that are not 0; unless the code is 255 it
 * stands for one more byte, a 0, that the last group of a frame does not have. Frames end with a 0
 * on the line, and nothing between two of these is no frame.
 */
#include <errno.h>

#include "codec.h"

#define FULL 0xff

static size_t bound(const struct kr_codec_config_s *config)
{
    return config->max + config->max / (FULL - 1) + 2;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    uint8_t *code = out, *to = out + 1;

    if (size > config->max)
        return -EMSGSIZE;
    *code = 1;
    for (; size; size--, in++) {
        if (*in) {
            *to++ = *in;
            ++*code;
        }
        /* A full group that ends the frame has no other behind it. */
        if (!*in || (*code == FULL && size > 1)) {
            code = to++;
            *code = 1;
        }
    }
    *to++ = 0;
    return to - out;
}

static size_t resync(const struct kr_codec_config_s *config, uint8_t *out)
{
    (void)config;
    out[0] = 0;
    return 1;
}

static int end_of_frame(struct kr_decoder_s *d)
{
    bool dropping = d->dropping, cut = d->left > 0;

    if (d->code && !dropping && !cut)
        return kr_decoder_give(d);
    kr_decoder_start(d);
    return cut && !dropping ? -EBADMSG : 0;
}

static int take(struct kr_decoder_s *d, uint8_t byte)
{
    int r = 0;

    if (byte == 0)
        return end_of_frame(d);
    if (d->dropping)
        return 0;
    if (d->left) {
        d->left--;
        r = kr_decoder_put(d, byte, d->config->max);
    } else {
        if (d->code && d->code != FULL)
            r = kr_decoder_put(d, 0, d->config->max);
        d->begun = true;
        d->code = byte;
        d->left = byte - 1u;
    }
    return r ? kr_decoder_drop(d, r) : 0;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    return kr_decoder_run(d, take, in, size, used);
}

const struct kr_codec_s kr_codec_cobs = {
    .room = kr_codec_room,
    .bound = bound,
    .encode = encode,
    .resync = resync,
    .reset = kr_decoder_start,
    .decode = decode,
    .lose = kr_decoder_lose,
    .finish = kr_decoder_finish,
};
