/* SPDX-License-Identifier: MIT */
/*
 * Modbus RTU (MODBUS over serial line V1.02, 2.5.1 and 6.2.2): address and PDU, then a CRC-16, low
 * byte first. Silence keeps frames apart, so what to decode is what came between two silences;
 * `left` counts what has come of a frame that is too large.
 */
#include <errno.h>
#include <string.h>

#include "codec.h"

#define CRC_SIZE   2
#define CRC_START  0xffff
#define POLYNOMIAL 0xa001
#define SHORTEST   4 /* address, function, CRC: less is noise */

static size_t room(const struct kr_codec_config_s *config)
{
    return config->max + CRC_SIZE;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    uint16_t crc = kr_crc16(CRC_START, POLYNOMIAL, in, size);

    if (size > config->max)
        return -EMSGSIZE;
    if (size + CRC_SIZE < SHORTEST)
        return -EINVAL;
    memcpy(out, in, size);
    out[size] = crc & 0xff;
    out[size + 1] = (uint8_t)(crc >> 8);
    return (ssize_t)(size + CRC_SIZE);
}

/* Silence does it, which the layer keeps before each frame. */
static size_t resync(const struct kr_codec_config_s *config, uint8_t *out)
{
    (void)config;
    (void)out;
    return 0;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    kr_decoder_start(d);
    *used = size;
    if (size < SHORTEST)
        return 0;
    if (size > d->config->max + CRC_SIZE)
        return -EMSGSIZE;
    if (kr_crc16(CRC_START, POLYNOMIAL, in, size)) /* over its own CRC: 0 */
        return -EBADMSG;
    memcpy(d->data, in, size - CRC_SIZE);
    d->size = size - CRC_SIZE;
    return kr_decoder_give(d);
}

const struct kr_codec_s kr_codec_modbus = {
    .room = room,
    .bound = room,
    .encode = encode,
    .resync = resync,
    .reset = kr_decoder_start,
    .decode = decode,
    .lose = kr_decoder_start,
    .finish = kr_decoder_finish,
};
