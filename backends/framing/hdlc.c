/* SPDX-License-Identifier: MIT */
/*
 * HDLC-like framing, RFC 1662, of octets (section 4): flag, stuffed payload and FCS-16, flag. What
 * is in the payload, address, control and protocol of PPP for instance, is the program's.
 */
#include <errno.h>

#include "codec.h"

#define FLAG       0x7e
#define ESC        0x7d
#define FCS_SIZE   2
#define FCS_START  0xffff
#define FCS_GOOD   0xf0b8 /* over payload and FCS, appendix C.1 */
#define POLYNOMIAL 0x8408

static size_t room(const struct kr_codec_config_s *config)
{
    return config->max + FCS_SIZE;
}

static size_t bound(const struct kr_codec_config_s *config)
{
    return 2 * (config->max + FCS_SIZE) + 2;
}

static bool in_accm(const struct kr_codec_config_s *config, uint8_t byte)
{
    return byte < 0x20 && config->accm >> byte & 1;
}

static uint8_t *stuff(const struct kr_codec_config_s *config, uint8_t *to, uint8_t byte)
{
    if (byte == FLAG || byte == ESC || in_accm(config, byte)) {
        *to++ = ESC;
        byte ^= 0x20;
    }
    *to++ = byte;
    return to;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    uint16_t fcs = kr_crc16(FCS_START, POLYNOMIAL, in, size) ^ 0xffff;
    uint8_t *to = out;

    if (size > config->max)
        return -EMSGSIZE;
    *to++ = FLAG;
    for (; size; size--)
        to = stuff(config, to, *in++);
    to = stuff(config, to, fcs & 0xff);
    to = stuff(config, to, (uint8_t)(fcs >> 8));
    *to++ = FLAG;
    return to - out;
}

/* An abort: section 4.3. The frame behind it begins with a flag. */
static size_t resync(const struct kr_codec_config_s *config, uint8_t *out)
{
    (void)config;
    out[0] = ESC;
    return 1;
}

/* What comes before the first flag is of a frame whose beginning nobody has seen. */
static void reset(struct kr_decoder_s *d)
{
    kr_decoder_drop(d, 0);
}

/* Aborted frames and those that cannot hold an FCS are silently discarded (section 4.3); the RFC
   counts PPP's address and control in, which this framing does not ask for. */
static int end_of_frame(struct kr_decoder_s *d)
{
    bool silent = d->dropping || d->escaped || d->size <= FCS_SIZE;

    if (!silent && kr_crc16(FCS_START, POLYNOMIAL, d->data, d->size) == FCS_GOOD) {
        d->size -= FCS_SIZE;
        return kr_decoder_give(d);
    }
    kr_decoder_start(d);
    return silent ? 0 : -EBADMSG;
}

static int take(struct kr_decoder_s *d, uint8_t byte)
{
    int r;

    if (byte == FLAG)
        return end_of_frame(d);
    /* Characters of the map that come as they are were put in on the way (section 4.2). */
    if (d->dropping || in_accm(d->config, byte))
        return 0;
    if (byte == ESC && !d->escaped) {
        d->begun = d->escaped = true;
        return 0;
    }
    r = kr_decoder_put(d, d->escaped ? byte ^ 0x20 : byte, d->config->max + FCS_SIZE);
    d->escaped = false;
    return r ? kr_decoder_drop(d, r) : 0;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    return kr_decoder_run(d, take, in, size, used);
}

const struct kr_codec_s kr_codec_hdlc = {
    .room = room,
    .bound = bound,
    .encode = encode,
    .resync = resync,
    .reset = reset,
    .decode = decode,
    .lose = kr_decoder_lose,
    .finish = kr_decoder_finish,
};
