/* SPDX-License-Identifier: MIT */
/* The framings as functions: published examples, every short payload, and bytes in any pieces. */
#include "kt.h"

#include "../../backends/framing/codec.h"

#define ROOM 2200

/* All payloads, or under valgrind and sanitizers one of 37: prime, so that every byte occurs. */
#define STRIDE (kt_slow() > 1 ? 37u : 1u)

static const struct codec_s {
    const char *name;
    const struct kr_codec_s *codec;
    struct kr_codec_config_s config;
    size_t shortest;
} codecs[] = {
    {"slip", &kr_codec_slip, {.max = 1000}, 1},
    {"cobs", &kr_codec_cobs, {.max = 1000}, 1},
    {"hdlc", &kr_codec_hdlc, {.max = 1000}, 1},
    {"hdlc-accm", &kr_codec_hdlc, {.max = 1000, .accm = 0xffffffff}, 1},
    {"length:1", &kr_codec_length, {.max = 255, .length_bytes = 1, .length_big_endian = true}, 1},
    {"length:2be",
     &kr_codec_length,
     {.max = 1000, .length_bytes = 2, .length_big_endian = true},
     1},
    {"length:4le", &kr_codec_length, {.max = 1000, .length_bytes = 4}, 1},
    {"lines", &kr_codec_lines, {.max = 1000, .line_end = "\n", .line_end_size = 1}, 1},
    {"lines-crlf",
     &kr_codec_lines,
     {.max = 1000, .line_end = "\r\n", .line_end_size = 2, .line_crlf = true},
     1},
    {"modbus", &kr_codec_modbus, {.max = 254}, 2},
};
#define CODECS 10

static const char *codec_label(int round)
{
    return codecs[round].name;
}

static struct kr_decoder_s decoder;
static uint8_t decoded[ROOM];
static const struct codec_s *c;

static void open_codec(const struct codec_s *codec)
{
    c = codec;
    memset(&decoder, 0, sizeof decoder);
    decoder.config = &c->config;
    decoder.data = decoded;
    ck_assert_uint_le(c->codec->room(&c->config), ROOM);
    c->codec->reset(&decoder);
}

static size_t encode(uint8_t *line, const void *data, size_t size)
{
    ssize_t n = c->codec->encode(&c->config, data, size, line);

    ck_assert_int_gt(n, 0);
    ck_assert_uint_le((size_t)n, c->codec->bound(&c->config));
    return (size_t)n;
}

/* Of what a decoder says to bytes that come in pieces of `piece`: the events, and the frames in
   `frames` one behind the other. Returns the number of events. */
static unsigned listen(const uint8_t *line, size_t size, size_t piece, int *events, uint8_t *frames)
{
    unsigned count = 0;

    for (size_t at = 0; at < size;) {
        size_t end = at + piece < size ? at + piece : size;

        while (at < end) {
            size_t used = 0;
            int r = c->codec->decode(&decoder, line + at, end - at, &used);

            ck_assert_uint_gt(used, 0);
            at += used;
            if (r == 0)
                ck_assert_uint_eq(at, end);
            if (r == 1) {
                memcpy(frames, decoder.data, decoder.size);
                frames += decoder.size;
                r = (int)decoder.size;
            } else if (r == 0) {
                continue;
            }
            events[count++] = r;
        }
    }
    return count;
}

static void expect_frame(const uint8_t *line, size_t size, size_t piece, const void *payload,
                         size_t payload_size)
{
    uint8_t frames[ROOM];
    int events[ROOM];

    ck_assert_uint_eq(listen(line, size, piece, events, frames), 1);
    ck_assert_int_eq(events[0], (int)payload_size);
    ck_assert_mem_eq(frames, payload, payload_size);
}

static bool carries(const uint8_t *data, size_t size)
{
    return c->codec != &kr_codec_lines || !memchr(data, '\n', size);
}

START_TEST(every_payload_of_one_and_two_bytes)
{
    uint8_t line[64];

    open_codec(&codecs[_i]);
    for (unsigned v = 0; v < 0x10000; v += STRIDE) {
        uint8_t payload[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

        for (size_t size = c->shortest; size <= 2; size++) {
            if (!carries(payload, size)) {
                ck_assert_int_eq(c->codec->encode(&c->config, payload, size, line), -EINVAL);
                continue;
            }
            expect_frame(line, encode(line, payload, size), sizeof line, payload, size);
        }
    }
}
END_TEST

/* Of the bytes that framings care about, every payload of up to five. */
START_TEST(every_payload_of_special_bytes)
{
    static const uint8_t special[] = {0x00, 0x01, 0x7d, 0x7e, 0x5e, 0xc0, 0xdb, 0xdc, '\r', 'a'};
    uint8_t line[64], payload[5];

    open_codec(&codecs[_i]);
    for (unsigned v = 0; v < 100000; v += STRIDE) {
        unsigned left = v;

        for (size_t i = 0; i < sizeof payload; i++, left /= 10)
            payload[i] = special[left % 10];
        expect_frame(line, encode(line, payload, 5), c->codec == &kr_codec_modbus ? 64 : 1 + v % 7,
                     payload, 5);
    }
}
END_TEST

/* Long ones around the places where COBS begins another group, in every way to tear them in two. */
START_TEST(long_payloads_in_two_pieces)
{
    static const size_t sizes[] = {2, 100, 253, 254, 255, 256, 508, 509, 510, 1000};
    uint8_t line[ROOM], payload[1000], frames[ROOM];

    open_codec(&codecs[_i]);
    for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (unsigned zeros = 0; zeros < 3; zeros++) {
            size_t n, size = sizes[s];

            if (size > c->config.max)
                continue;
            for (size_t i = 0; i < size; i++)
                payload[i] = (uint8_t)(zeros ? (i % (zeros == 1 ? 255 : 7)) : 1 + i % 9);
            for (size_t i = 0; c->codec == &kr_codec_lines && i < size; i++)
                payload[i] = (uint8_t)('a' + i % 26);
            n = encode(line, payload, size);
            if (c->codec == &kr_codec_modbus) {
                expect_frame(line, n, n, payload, size);
                continue;
            }
            for (size_t cut = 1; cut < n; cut += (size > 300 ? 7 : 1) * STRIDE) {
                int events[8];
                unsigned count = listen(line, cut, cut, events, frames);

                ck_assert_uint_eq(count, 0);
                expect_frame(line + cut, n - cut, n, payload, size);
            }
        }
    }
}
END_TEST

START_TEST(too_large_is_said_once)
{
    static uint8_t line[8192], payload[4000];
    struct kr_codec_config_s small = codecs[_i].config, large = small;
    struct codec_s tight = codecs[_i];
    uint8_t frames[ROOM];
    int events[32];
    size_t n;

    small.max = 20;
    large.max = 4000;
    if (large.length_bytes == 1)
        large.max = 255;
    memset(payload, 'x', sizeof payload);
    tight.config = large;
    n = (size_t)tight.codec->encode(&tight.config, payload, large.max, line);
    tight.config = small;
    open_codec(&tight);
    if (c->codec == &kr_codec_modbus) {
        ck_assert_uint_eq(listen(line, n, n, events, frames), 1);
        ck_assert_int_eq(events[0], -EMSGSIZE);
        return;
    }
    n += encode(line + n, "next", 4);
    ck_assert_uint_eq(listen(line, n, 3, events, frames), 2);
    ck_assert_int_eq(events[0], -EMSGSIZE);
    ck_assert_int_eq(events[1], 4);
    ck_assert_mem_eq(frames, "next", 4);
    ck_assert_int_eq(c->codec->encode(&c->config, payload, 21, line), -EMSGSIZE);
    n = encode(line, payload, 20); /* and exactly as large is not too large */
    expect_frame(line, n, 5, payload, 20);
}
END_TEST

/* A frame that was cut after any number of bytes, then what makes the receiver forget it: the next
   frame is whole, and at most one thing is said of the one before. */
START_TEST(cut_frames)
{
    uint8_t whole[64], line[160], frames[ROOM];
    const char *payload = "cut\xc0 me";
    int events[32];
    size_t n;

    open_codec(&codecs[_i]);
    if (!c->codec->resync || c->codec == &kr_codec_modbus)
        return; /* nothing to say, or said by silence */
    n = encode(whole, payload, 7);
    for (size_t cut = 1; cut < n; cut++) {
        size_t size = cut;
        unsigned count;

        memcpy(line, whole, cut);
        size += c->codec->resync(&c->config, line + size);
        size += encode(line + size, "next", 4);
        c->codec->reset(&decoder);
        count = listen(line, size, 1, events, frames);
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_le(count, 2);
        ck_assert_int_eq(events[count - 1], 4);
        if (count == 2 && cut + 1 + (c->config.line_end_size > 1) < n) /* not its end alone */
            ck_assert_int_ne(events[0], 7);
    }
}
END_TEST

START_TEST(ends)
{
    uint8_t line[64];
    size_t n, used;
    int r;

    open_codec(&codecs[_i]);
    ck_assert_int_eq(c->codec->finish(&decoder), 0);
    if (c->codec == &kr_codec_modbus)
        return;
    n = encode(line, "abcd", 4);
    ck_assert_int_eq(c->codec->decode(&decoder, line, n, &used), 1);
    if (c->codec->finish(&decoder)) /* whole: nothing was cut */
        ck_abort_msg("a whole frame was called cut");
    c->codec->reset(&decoder);
    ck_assert_int_eq(c->codec->decode(&decoder, line, n - c->config.line_end_size - 1, &used), 0);
    r = c->codec->finish(&decoder);
    if (c->codec == &kr_codec_lines) {
        ck_assert_int_eq(r, 1); /* the last line needs no end */
        ck_assert_uint_eq(decoder.size, 3);
    } else {
        ck_assert_int_eq(r, -EBADMSG);
    }
}
END_TEST

/* --- published values --- */

/* S. Cheshire and M. Baker's rules, as the examples of the Wikipedia article on them apply these.
 */
START_TEST(cobs_examples)
{
    static const struct {
        uint8_t size, payload[8];
        uint8_t coded, line[12];
    } examples[] = {
        {1, {0x00}, 3, {0x01, 0x01, 0x00}},
        {2, {0x00, 0x00}, 4, {0x01, 0x01, 0x01, 0x00}},
        {3, {0x00, 0x11, 0x00}, 5, {0x01, 0x02, 0x11, 0x01, 0x00}},
        {4, {0x11, 0x22, 0x00, 0x33}, 6, {0x03, 0x11, 0x22, 0x02, 0x33, 0x00}},
        {4, {0x11, 0x22, 0x33, 0x44}, 6, {0x05, 0x11, 0x22, 0x33, 0x44, 0x00}},
        {4, {0x11, 0x00, 0x00, 0x00}, 6, {0x02, 0x11, 0x01, 0x01, 0x01, 0x00}},
    };
    uint8_t line[600], payload[256];

    open_codec(&codecs[1]);
    for (unsigned i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        ck_assert_uint_eq(encode(line, examples[i].payload, examples[i].size), examples[i].coded);
        ck_assert_mem_eq(line, examples[i].line, examples[i].coded);
    }
    for (unsigned i = 0; i < 256; i++)
        payload[i] = (uint8_t)i;
    ck_assert_uint_eq(encode(line, payload + 1, 254), 256); /* 01 … FE: FF 01 … FE 00 */
    ck_assert_uint_eq(line[0], 0xff);
    ck_assert_mem_eq(line + 1, payload + 1, 254);
    ck_assert_uint_eq(encode(line, payload, 255), 257); /* 00 … FE: 01 FF 01 … FE 00 */
    ck_assert_uint_eq(line[0], 0x01);
    ck_assert_uint_eq(line[1], 0xff);
    ck_assert_uint_eq(encode(line, payload + 1, 255), 258); /* 01 … FF: FF 01 … FE 02 FF 00 */
    ck_assert_uint_eq(line[255], 0x02);
    ck_assert_uint_eq(line[256], 0xff);
    payload[255] = 0xff;
    memmove(payload, payload + 2, 254);
    payload[254] = 0x00; /* 02 … FF 00: FF 02 … FF 01 01 00 */
    ck_assert_uint_eq(encode(line, payload, 255), 258);
    ck_assert_mem_eq(line + 255, "\x01\x01\x00", 3);
}
END_TEST

/* RFC 1662, appendix C.1 and C.2; the check value of the catalogues, CRC-16/IBM-SDLC, is 0x906e. */
START_TEST(fcs_values)
{
    uint8_t text[11] = "123456789";
    uint16_t fcs = kr_crc16(0xffff, 0x8408, text, 9) ^ 0xffff;

    ck_assert_uint_eq(fcs, 0x906e);
    text[9] = (uint8_t)fcs;
    text[10] = (uint8_t)(fcs >> 8);
    ck_assert_uint_eq(kr_crc16(0xffff, 0x8408, text, 11), 0xf0b8);
}
END_TEST

/* The check value of CRC-16/MODBUS, and a request of the specification: read holding registers 108
   to 110 of unit 17 (0x11 03 006B 0003), CRC 0x8776, low byte first. */
START_TEST(modbus_values)
{
    uint8_t line[8];

    ck_assert_uint_eq(kr_crc16(0xffff, 0xa001, (const uint8_t *)"123456789", 9), 0x4b37);
    open_codec(&codecs[9]);
    ck_assert_uint_eq(encode(line, "\x11\x03\x00\x6b\x00\x03", 6), 8);
    ck_assert_mem_eq(line + 6, "\x76\x87", 2);
}
END_TEST

START_TEST(slip_and_hdlc_on_the_line)
{
    uint8_t line[64];

    open_codec(&codecs[0]);
    ck_assert_uint_eq(encode(line, "a\xc0\xdb", 3), 7); /* RFC 1055 */
    ck_assert_mem_eq(line,
                     "\xc0"
                     "a\xdb\xdc\xdb\xdd\xc0",
                     7);
    open_codec(&codecs[3]);
    ck_assert_uint_ge(encode(line, "\x7e\x7d\x03", 3), 9); /* RFC 1662, 4.2 */
    ck_assert_mem_eq(line, "\x7e\x7d\x5e\x7d\x5d\x7d\x23", 7);
}
END_TEST

/* --- damage --- */

START_TEST(any_flipped_bit_is_found)
{
    static const unsigned checked[] = {2, 3, 9};
    uint8_t line[64], damaged[80], frames[ROOM];
    int events[32];

    open_codec(&codecs[checked[_i]]);
    for (unsigned byte = 0; byte < 8; byte++) {
        size_t n = encode(line, "payload!", 8);

        for (unsigned bit = 0; bit < 8; bit++) {
            unsigned count;

            memcpy(damaged, line, n);
            damaged[byte + (c->codec == &kr_codec_hdlc)] ^= (uint8_t)(1 << bit);
            c->codec->reset(&decoder);
            count = listen(damaged, n, n, events, frames);
            for (unsigned i = 0; i < count; i++)
                ck_assert_int_eq(events[i], -EBADMSG);
        }
    }
}
END_TEST

START_TEST(malformed_escapes)
{
    static const struct {
        unsigned codec;
        size_t size;
        const char *line;
    } bad[] = {
        {0, 6,
         "\xc0"
         "ab\xdb"
         "c\xc0"},
        {0, 5,
         "\xc0"
         "ab\xdb\xc0"},
        {1, 5,
         "\x05"
         "abc\x00"},
    };
    uint8_t line[80], frames[ROOM];
    int events[32];

    for (unsigned i = 0; i < 3; i++) {
        size_t n = bad[i].size;

        open_codec(&codecs[bad[i].codec]);
        memcpy(line, bad[i].line, n);
        n += encode(line + n, "next", 4);
        for (size_t piece = 1; piece <= n; piece++) {
            ck_assert_uint_eq(listen(line, n, piece, events, frames), 2);
            ck_assert_int_eq(events[0], -EBADMSG);
            ck_assert_int_eq(events[1], 4);
        }
    }
}
END_TEST

START_TEST(silently_dropped)
{
    uint8_t line[80], frames[ROOM];
    int events[32];
    size_t n;

    open_codec(&codecs[2]); /* noise, flags, an abort, frames too short for an FCS */
    n = 13;
    memcpy(line,
           "noise\x7e\x7e"
           "ab\x7d\x7e"
           "x\x7e",
           13);
    n += encode(line + n, "next", 4);
    ck_assert_uint_eq(listen(line, n, 1, events, frames), 1);
    open_codec(&codecs[0]); /* empty frames */
    memcpy(line, "\xc0\xc0\xc0", 3);
    n = 3 + encode(line + 3, "next", 4);
    ck_assert_uint_eq(listen(line, n, 1, events, frames), 1);
    open_codec(&codecs[1]);
    memcpy(line, "\0\0", 2);
    n = 2 + encode(line + 2, "next", 4);
    ck_assert_uint_eq(listen(line, n, 1, events, frames), 1);
    open_codec(&codecs[9]); /* noise on the bus */
    ck_assert_uint_eq(listen((const uint8_t *)"\xff\xff\xff", 3, 3, events, frames), 0);
}
END_TEST

/* Bytes are missing: the frame around the place is gone, the next one is not. Of length framing
   nothing is left. */
START_TEST(lost_bytes)
{
    uint8_t line[80], frames[ROOM];
    int events[32];
    size_t n, used;

    open_codec(&codecs[_i]);
    n = encode(line, "broken", 6);
    if (c->codec == &kr_codec_modbus)
        return;
    ck_assert_int_eq(c->codec->decode(&decoder, line, n / 2, &used), 0);
    c->codec->lose(&decoder);
    memmove(line, line + n / 2 + 1, n - n / 2 - 1);
    n = n - n / 2 - 1;
    n += encode(line + n, "next", 4);
    if (c->codec == &kr_codec_length) {
        ck_assert_int_eq(c->codec->decode(&decoder, line, n, &used), -EPIPE);
        ck_assert_uint_eq(used, n);
        return;
    }
    ck_assert_uint_eq(listen(line, n, 1, events, frames), 1);
    ck_assert_int_eq(events[0], 4);
}
END_TEST

START_TEST(ends_of_lines)
{
    static const struct {
        const char *text, *frames;
        unsigned count;
        int events[4];
    } cr = {"ab\n\rcd\r", "ab\ncd", 2, {3, 2}},
      crlf = {"ab\ncd\r\n\r\n\ra\r\n", "abcd\ra", 4, {2, 2, 0, 2}};
    struct codec_s with_cr = {
        "cr", &kr_codec_lines, {.max = 10, .line_end = "\r", .line_end_size = 1}, 1};
    uint8_t frames[ROOM];
    int events[32];

    open_codec(&with_cr);
    ck_assert_uint_eq(listen((const uint8_t *)cr.text, strlen(cr.text), 2, events, frames), 2);
    ck_assert_mem_eq(events, cr.events, 2 * sizeof(int));
    open_codec(&codecs[8]);
    ck_assert_uint_eq(listen((const uint8_t *)crlf.text, strlen(crlf.text), 2, events, frames), 4);
    ck_assert_mem_eq(events, crlf.events, 4 * sizeof(int));
    ck_assert_mem_eq(frames, crlf.frames, 6);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("codec");

    kt_add_loop(s, every_payload_of_one_and_two_bytes, CODECS, codec_label, 60);
    kt_add_loop(s, every_payload_of_special_bytes, CODECS, codec_label, 60);
    kt_add_loop(s, long_payloads_in_two_pieces, CODECS, codec_label, 60);
    kt_add_loop(s, too_large_is_said_once, CODECS, codec_label, 20);
    kt_add_loop(s, cut_frames, CODECS, codec_label, 20);
    kt_add_loop(s, ends, CODECS, codec_label, 20);
    kt_add(s, cobs_examples, 20);
    kt_add(s, fcs_values, 20);
    kt_add(s, modbus_values, 20);
    kt_add(s, slip_and_hdlc_on_the_line, 20);
    kt_add_loop(s, any_flipped_bit_is_found, 3, NULL, 20);
    kt_add(s, malformed_escapes, 20);
    kt_add(s, silently_dropped, 20);
    kt_add_loop(s, lost_bytes, CODECS, codec_label, 20);
    kt_add(s, ends_of_lines, 20);
    return s;
}
