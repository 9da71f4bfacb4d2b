/* SPDX-License-Identifier: MIT */
/*
 * A length before each payload. Nothing on the line tells where a frame begins: once bytes are
 * missing, or a frame was cut short, the rest of the stream means nothing.
 */
#include <errno.h>
#include <string.h>

#include "codec.h"

#define HEAD_MAX 4

static size_t bound(const struct kr_codec_config_s *config)
{
    return config->max + HEAD_MAX;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    unsigned bytes = config->length_bytes;

    if (size > config->max || (bytes < sizeof(size) && size >> 8 * bytes))
        return -EMSGSIZE;
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(size >> 8 * (config->length_big_endian ? bytes - 1 - i : i));
    memcpy(out + bytes, in, size);
    return (ssize_t)(bytes + size);
}

/* One byte of the number. */
static int take_head(struct kr_decoder_s *d, uint8_t byte)
{
    unsigned shift =
        d->config->length_big_endian ? d->config->length_bytes - 1u - d->heads : d->heads;

    d->begun = true;
    d->head |= (uint32_t)byte << 8 * shift;
    if (++d->heads < d->config->length_bytes)
        return 0;
    d->left = d->head;
    if (d->left > d->config->max) {
        d->dropping = true;
        return -EMSGSIZE;
    }
    return d->left ? 0 : kr_decoder_give(d);
}

/* Bytes of the payload, `size` at most. */
static int take(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    size_t n = size < d->left ? size : d->left;

    if (!d->dropping) {
        memcpy(d->data + d->size, in, n);
        d->size += n;
    }
    d->left -= n;
    *used += n;
    if (d->left)
        return 0;
    if (!d->dropping)
        return kr_decoder_give(d);
    kr_decoder_start(d);
    return 0;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    int r = 0;

    *used = 0;
    if (d->lost) {
        *used = size;
        return -EPIPE;
    }
    if (d->given)
        kr_decoder_start(d);
    while (!r && *used < size) {
        if (d->heads < d->config->length_bytes) {
            r = take_head(d, in[*used]);
            ++*used;
        } else {
            r = take(d, in + *used, size - *used, used);
        }
    }
    return r;
}

static void lose(struct kr_decoder_s *d)
{
    kr_decoder_start(d);
    d->lost = true;
}

const struct kr_codec_s kr_codec_length = {
    .room = kr_codec_room,
    .bound = bound,
    .encode = encode,
    .reset = kr_decoder_start,
    .decode = decode,
    .lose = lose,
    .finish = kr_decoder_finish,
};
