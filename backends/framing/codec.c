/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "codec.h"

int kr_decoder_put(struct kr_decoder_s *d, uint8_t byte, size_t room)
{
    d->begun = true;
    if (d->size == room)
        return -EMSGSIZE;
    d->data[d->size++] = byte;
    return 0;
}

void kr_decoder_start(struct kr_decoder_s *d)
{
    d->size = 0;
    d->left = 0;
    d->head = 0;
    d->heads = 0;
    d->code = 0;
    d->begun = false;
    d->escaped = false;
    d->dropping = false;
    d->given = false;
}

int kr_decoder_give(struct kr_decoder_s *d)
{
    d->given = true;
    return 1;
}

int kr_decoder_drop(struct kr_decoder_s *d, int error)
{
    kr_decoder_start(d);
    d->dropping = true;
    return error;
}

void kr_decoder_lose(struct kr_decoder_s *d)
{
    kr_decoder_drop(d, 0);
}

int kr_decoder_finish(struct kr_decoder_s *d)
{
    bool cut = d->begun && !d->given && !d->dropping;

    kr_decoder_start(d);
    return cut ? -EBADMSG : 0;
}

size_t kr_codec_room(const struct kr_codec_config_s *config)
{
    return config->max;
}

uint16_t kr_crc16(uint16_t crc, uint16_t polynomial, const uint8_t *data, size_t size)
{
    while (size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc >> 1 ^ (crc & 1 ? polynomial : 0));
    }
    return crc;
}
