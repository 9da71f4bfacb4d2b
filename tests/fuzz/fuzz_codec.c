/* SPDX-License-Identifier: MIT */
/*
 * Framings. The first byte chooses the codec and how the rest is used: as what is on the line, any
 * bytes in any pieces, which say the same in whatever pieces they come; or as a payload, which
 * comes back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/framing/codec.h"

#include "fuzz.h"

#define PAYLOAD_MAX 40
#define EVENTS      600

const char fuzz_alphabet[] = "";
const char *const fuzz_words[] = {"\xc0", "\xdb\xdc", "\xdb\xdd",         "\x7e", "\x7d\x5e", "\n",
                                  "\r\n", "\x03ok",   "\x11\x03\x76\x87", NULL};

static const struct {
    const struct kr_codec_s *codec;
    struct kr_codec_config_s config;
} codecs[] = {
    {&kr_codec_slip, {.max = PAYLOAD_MAX}},
    {&kr_codec_cobs, {.max = PAYLOAD_MAX}},
    {&kr_codec_hdlc, {.max = PAYLOAD_MAX}},
    {&kr_codec_hdlc, {.max = PAYLOAD_MAX, .accm = 0xffffffff}},
    {&kr_codec_length, {.max = PAYLOAD_MAX, .length_bytes = 1, .length_big_endian = true}},
    {&kr_codec_length, {.max = PAYLOAD_MAX, .length_bytes = 2}},
    {&kr_codec_lines, {.max = PAYLOAD_MAX, .line_end = "\n", .line_end_size = 1}},
    {&kr_codec_lines,
     {.max = PAYLOAD_MAX, .line_end = "\r\n", .line_end_size = 2, .line_crlf = true}},
    {&kr_codec_modbus, {.max = PAYLOAD_MAX}},
};
#define CODECS 9
#define MODBUS 8

struct story_s {
    int event[EVENTS];
    unsigned count;
    uint32_t sum;
};

static void require(bool claim, const char *what, unsigned codec)
{
    if (claim)
        return;
    fprintf(stderr, "not ok 1 - codec %u: %s\n", codec, what);
    abort();
}

static void listen(struct story_s *story, unsigned which, const uint8_t *line, size_t size,
                   size_t piece)
{
    uint8_t *data = malloc(codecs[which].codec->room(&codecs[which].config));
    struct kr_decoder_s d = {.config = &codecs[which].config, .data = data};
    int r;

    memset(story, 0, sizeof *story);
    codecs[which].codec->reset(&d);
    for (size_t at = 0; at < size;) {
        size_t end = at + piece < size ? at + piece : size, used;

        while (at < end) {
            r = codecs[which].codec->decode(&d, line + at, end - at, &used);
            require(used > 0 && used <= end - at, "took nothing, or too much", which);
            require(r || at + used == end, "stopped without a reason", which);
            at += used;
            if (r == 1)
                require(d.size <= PAYLOAD_MAX, "a frame larger than allowed", which);
            for (size_t i = 0; r == 1 && i < d.size; i++)
                story->sum = story->sum * 31 + d.data[i] + 1;
            if (r && story->count < EVENTS)
                story->event[story->count++] = r == 1 ? (int)d.size : r;
        }
    }
    r = codecs[which].codec->finish(&d);
    story->event[story->count++ % EVENTS] = r;
    free(data);
}

static void any_bytes(unsigned which, const uint8_t *line, size_t size)
{
    static struct story_s whole, torn;

    listen(&whole, which, line, size, size ? size : 1);
    for (size_t piece = 1; piece < 6 && which != MODBUS; piece += 2) {
        listen(&torn, which, line, size, piece);
        require(memcmp(&whole, &torn, sizeof whole) == 0, "pieces change what was said", which);
    }
}

static void a_payload(unsigned which, const uint8_t *payload, size_t size)
{
    const struct kr_codec_s *codec = codecs[which].codec;
    static struct story_s story;
    uint8_t *line = malloc(codec->bound(&codecs[which].config));
    ssize_t n = codec->encode(&codecs[which].config, payload, size, line);

    if (size > PAYLOAD_MAX)
        require(n == -EMSGSIZE, "too large, and taken", which);
    else if (n < 0)
        require(n == -EINVAL && (codec == &kr_codec_lines || which == MODBUS), "refused", which);
    for (size_t piece = 1; n > 0 && piece < 8; piece++) {
        uint32_t sum = 0;

        listen(&story, which, line, (size_t)n, which == MODBUS ? (size_t)n : piece);
        for (size_t i = 0; i < size; i++)
            sum = sum * 31 + payload[i] + 1;
        require(story.count == 2 && story.event[0] == (int)size && story.sum == sum,
                "another payload came back", which);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > EVENTS - 8)
        return 0;
    if (data[0] & 0x80)
        a_payload((data[0] & 0x7f) % CODECS, data + 1, size > 60 ? size % 60 + 1 : size - 1);
    else
        any_bytes(data[0] % CODECS, data + 1, size - 1);
    return 0;
}
