/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

error_t kr_frame_init(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing)
{
    memset(b, 0, sizeof(*b));
    if (framing->kind == KR_FRAMING_NONE)
        return 0;
    /* A whole frame, and its delimiter or length. */
    b->capacity = (size_t)framing->max + 4;
    b->data = malloc(b->capacity);
    return b->data ? 0 : -ENOMEM;
}

void kr_frame_cleanup(struct kr_frame_buffer_s *b)
{
    free(b->data);
    b->data = NULL;
}

void kr_frame_room(struct kr_frame_buffer_s *b, struct iovec *room)
{
    if (b->start) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    room->iov_base = b->data + b->end;
    room->iov_len = b->capacity - b->end;
}

static void consume(struct kr_frame_buffer_s *b, size_t n)
{
    b->start += n;
    b->scanned = b->scanned > n ? b->scanned - n : 0;
    if (b->start == b->end)
        b->start = b->end = 0;
}

/* Drops what belongs to a frame that was too large. */
static void drop(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing)
{
    size_t fill = kr_frame_fill(b);

    if (b->skip) {
        size_t n = b->skip < fill ? b->skip : fill;

        b->skip -= n;
        consume(b, n);
    } else if (b->dropping && framing->kind == KR_FRAMING_GAP) {
        consume(b, fill);
    } else if (b->dropping && fill) {
        const uint8_t *at = memchr(b->data + b->start, framing->delimiter, fill);

        b->dropping = at == NULL;
        b->scanned = 0;
        consume(b, at ? (size_t)(at - (b->data + b->start)) + 1 : fill);
    }
}

void kr_frame_added(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing, size_t n)
{
    b->end += n;
    drop(b, framing);
}

static int next_delimited(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                          const uint8_t **data, size_t *size)
{
    const uint8_t *from = b->data + b->start, *at;
    size_t fill = kr_frame_fill(b);

    at = memchr(from + b->scanned, framing->delimiter, fill - b->scanned);
    if (at && (size_t)(at - from) <= framing->max) {
        *data = from;
        *size = (size_t)(at - from);
        consume(b, *size + 1);
        b->scanned = 0;
        return 1;
    }
    if (!at && fill <= framing->max) {
        b->scanned = fill;
        return 0;
    }
    b->dropping = true;
    drop(b, framing);
    return -ENOSPC;
}

static size_t decode_length(const uint8_t *p, const struct kr_framing_s *framing)
{
    size_t v = 0;

    for (unsigned i = 0; i < framing->length_bytes; i++) {
        unsigned shift = framing->length_big_endian ? framing->length_bytes - 1u - i : i;

        v |= (size_t)p[i] << 8 * shift;
    }
    return v;
}

static int next_counted(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                        const uint8_t **data, size_t *size)
{
    size_t fill = kr_frame_fill(b), length;

    if (fill < framing->length_bytes)
        return 0;
    length = decode_length(b->data + b->start, framing);
    if (length > framing->max) {
        b->skip = framing->length_bytes + length;
        drop(b, framing);
        return -ENOSPC;
    }
    if (fill < framing->length_bytes + length)
        return 0;
    *data = b->data + b->start + framing->length_bytes;
    *size = length;
    consume(b, framing->length_bytes + length);
    return 1;
}

/* Only silence ends it, but a frame may be too large before. */
static int next_gapped(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing)
{
    if (kr_frame_fill(b) <= framing->max)
        return 0;
    kr_frame_spoil(b);
    return -ENOSPC;
}

bool kr_frame_cut(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                  const uint8_t **data, size_t *size)
{
    bool whole = !b->dropping && kr_frame_fill(b) >= framing->min;

    b->dropping = false;
    *data = b->data + b->start;
    *size = kr_frame_fill(b);
    consume(b, *size);
    return whole;
}

void kr_frame_spoil(struct kr_frame_buffer_s *b)
{
    b->dropping = true;
    consume(b, kr_frame_fill(b));
}

int kr_frame_next(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                  const uint8_t **data, size_t *size)
{
    if (b->skip || b->dropping)
        return 0;
    if (framing->kind == KR_FRAMING_GAP)
        return next_gapped(b, framing);
    return framing->kind == KR_FRAMING_DELIMITER ? next_delimited(b, framing, data, size)
                                                 : next_counted(b, framing, data, size);
}

size_t kr_frame_take_bytes(struct kr_frame_buffer_s *b, uint8_t *to, size_t size)
{
    size_t fill = kr_frame_fill(b), n = size < fill ? size : fill;

    if (to)
        memcpy(to, b->data + b->start, n);
    consume(b, n);
    return n;
}

error_t kr_frame_wrap(const struct kr_framing_s *framing, const uint8_t *payload, size_t size,
                      uint8_t head[4], size_t *head_size, uint8_t tail[1], size_t *tail_size)
{
    *head_size = *tail_size = 0;
    if (size > framing->max)
        return -ENOSPC;
    if (framing->kind == KR_FRAMING_DELIMITER) {
        if (memchr(payload, framing->delimiter, size))
            return -EINVAL;
        tail[0] = framing->delimiter;
        *tail_size = 1;
        return 0;
    }
    if (framing->kind == KR_FRAMING_GAP)
        return 0;
    if (framing->length_bytes < 4 && size >> 8 * framing->length_bytes)
        return -ENOSPC;
    for (unsigned i = 0; i < framing->length_bytes; i++) {
        unsigned shift = framing->length_big_endian ? framing->length_bytes - 1u - i : i;

        head[i] = (uint8_t)(size >> 8 * shift);
    }
    *head_size = framing->length_bytes;
    return 0;
}

/* --- spec keys --- */

static error_t parse_length(struct kr_framing_s *f, const char *text)
{
    static const struct {
        const char *word;
        uint8_t bytes;
        bool big;
    } kinds[] = {
        {"1", 1, true}, {"2be", 2, true}, {"2le", 2, false}, {"4be", 4, true}, {"4le", 4, false}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(text, kinds[i].word))
            continue;
        f->kind = KR_FRAMING_LENGTH;
        f->length_bytes = kinds[i].bytes;
        f->length_big_endian = kinds[i].big;
        return 0;
    }
    return device_error(-EINVAL, "frame=length:%s: not one of 1, 2be, 2le, 4be, 4le", text);
}

/* N, Nns, Nus, Nms; 1 ns to 1 h. */
bool kr_parse_gap(uint64_t *ret, const char *text)
{
    static const struct {
        const char *suffix;
        uint64_t ns;
    } units[] = {{"", 1}, {"ns", 1}, {"us", KROUTINE_USEC(1)}, {"ms", KROUTINE_MSEC(1)}};
    const uint64_t longest = KROUTINE_SEC(3600);
    unsigned long long v;
    char *end;

    errno = 0;
    v = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end == text || *text == '-' || errno || strcmp(end, units[i].suffix))
            continue;
        if (v == 0 || v > longest / units[i].ns)
            break;
        *ret = v * units[i].ns;
        return true;
    }
    return false;
}

static error_t parse_gap(struct kr_framing_s *f, const char *text)
{
    f->kind = KR_FRAMING_GAP;
    if (kr_parse_gap(&f->gap, text))
        return 0;
    return device_error(-EINVAL, "frame=gap:%s: not a time, 1ns to 3600000ms: frame=gap:1750us",
                        text);
}

/* The keys that are numbers. */
static error_t read_limits(struct kr_framing_s *f, const struct device_spec_s *spec)
{
    f->max = (uint32_t)device_spec_uint(spec, "frame-max", 4096);
    f->min = (uint32_t)device_spec_uint(spec, "frame-min", 1);
    if (f->min > f->max)
        return device_error(-EINVAL, "frame-min=%u is more than frame-max=%u", f->min, f->max);
    if (device_spec_has(spec, "frame-min") &&
        strncmp(device_spec_string(spec, "frame", "none"), "gap:", 4) != 0)
        return device_error(-EINVAL, "frame-min: only with frame=gap:N");
    return 0;
}

#define COLLECT_MAX KROUTINE_SEC(1) /* a kernel buffer of 4 KiB is full after that at 41 kBd */

static error_t read_collect(struct kr_framing_s *f, const struct device_spec_s *spec)
{
    const char *text = device_spec_string(spec, "collect", NULL);

    if (!text || (kr_parse_gap(&f->collect, text) && f->collect <= COLLECT_MAX))
        return 0;
    return device_error(-EINVAL, "collect=%s: not a time, 1ns to 1000ms: collect=10ms", text);
}

error_t kr_framing_from_spec(struct kr_framing_s *framing, const struct device_spec_s *spec)
{
    const char *text = device_spec_string(spec, "frame", "none");
    char *end;
    unsigned long v;
    error_t err;

    memset(framing, 0, sizeof(*framing));
    err = read_limits(framing, spec);
    if (!err)
        err = read_collect(framing, spec);
    if (err)
        return err;
    if (!strcmp(text, "none"))
        return 0;
    if (!strcmp(text, "line")) {
        framing->kind = KR_FRAMING_DELIMITER;
        framing->delimiter = '\n';
        return 0;
    }
    if (!strncmp(text, "length:", 7))
        return parse_length(framing, text + 7);
    if (!strncmp(text, "gap:", 4))
        return parse_gap(framing, text + 4);
    if (strncmp(text, "delimiter:", 10))
        return device_error(-EINVAL, "frame=%s: not none, line, delimiter:N, length:KIND or gap:N",
                            text);
    errno = 0;
    v = strtoul(text + 10, &end, 0);
    if (errno || end == text + 10 || *end || v > 255)
        return device_error(-EINVAL, "frame=%s: the delimiter is not a byte, 0 to 255", text);
    framing->kind = KR_FRAMING_DELIMITER;
    framing->delimiter = (uint8_t)v;
    return 0;
}
