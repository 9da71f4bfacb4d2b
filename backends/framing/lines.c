/* SPDX-License-Identifier: MIT */
/* Lines of text. The last one of a stream needs no end; an empty line is a frame without bytes. */
#include <errno.h>
#include <string.h>

#include "codec.h"

#define CR '\r'

/* The byte that ends a line that comes; a CR before it is no part of the line, if end=crlf. */
static uint8_t last_of_end(const struct kr_codec_config_s *config)
{
    return config->line_end[config->line_end_size - 1];
}

/* One more for a CR that may turn out to belong to the end. */
static size_t room(const struct kr_codec_config_s *config)
{
    return config->max + config->line_crlf;
}

static size_t bound(const struct kr_codec_config_s *config)
{
    return config->max + config->line_end_size;
}

static ssize_t encode(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out)
{
    if (size > config->max)
        return -EMSGSIZE;
    if (memchr(in, last_of_end(config), size))
        return -EINVAL;
    memcpy(out, in, size);
    memcpy(out + size, config->line_end, config->line_end_size);
    return (ssize_t)(size + config->line_end_size);
}

static size_t resync(const struct kr_codec_config_s *config, uint8_t *out)
{
    memcpy(out, config->line_end, config->line_end_size);
    return config->line_end_size;
}

static int end_of_line(struct kr_decoder_s *d)
{
    if (d->dropping) {
        kr_decoder_start(d);
        return 0;
    }
    if (d->config->line_crlf && d->size && d->data[d->size - 1] == CR)
        d->size--;
    if (d->size <= d->config->max)
        return kr_decoder_give(d);
    kr_decoder_start(d);
    return -EMSGSIZE;
}

static int decode(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used)
{
    uint8_t end = last_of_end(d->config);
    int r = 0;

    if (d->given)
        kr_decoder_start(d);
    for (*used = 0; !r && *used < size; ++*used) {
        if (in[*used] == end) {
            r = end_of_line(d);
        } else if (!d->dropping) {
            r = kr_decoder_put(d, in[*used], room(d->config));
            if (r)
                kr_decoder_drop(d, r);
        }
    }
    return r;
}

static int finish(struct kr_decoder_s *d)
{
    if (d->begun && !d->given && !d->dropping)
        return end_of_line(d);
    kr_decoder_start(d);
    return 0;
}

const struct kr_codec_s kr_codec_lines = {
    .room = room,
    .bound = bound,
    .encode = encode,
    .resync = resync,
    .reset = kr_decoder_start,
    .decode = decode,
    .lose = kr_decoder_lose,
    .finish = finish,
};
