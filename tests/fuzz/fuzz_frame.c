/* SPDX-License-Identifier: MIT */
/*
 * Frames: however the bytes are torn apart on their way, the frames are those that a reader of the
 * whole text finds, and a wrapped payload comes out as it went in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/frame.h"

#include "fuzz.h"

#define FRAME_MAX 12
#define EVENTS    512

const char fuzz_alphabet[] = "";
const char *const fuzz_words[] = {"\n",
                                  "abc\n",
                                  "0123456789ab\n",
                                  "0123456789abc\n",
                                  "\n\n",
                                  "\x03xyz",
                                  "\x0c"
                                  "0123456789ab",
                                  "\x0d"
                                  "0123456789abc",
                                  NULL};

/* What a reader sees: sizes of frames, -ENOSPC for one that was dropped; and a sum of the bytes. */
struct story_s {
    int event[EVENTS];
    unsigned count;
    uint32_t sum;
};

static void note(struct story_s *s, int event)
{
    if (s->count < EVENTS)
        s->event[s->count++] = event;
}

static void note_frame(struct story_s *s, const uint8_t *data, size_t size)
{
    note(s, (int)size);
    for (size_t i = 0; i < size; i++)
        s->sum = s->sum * 31 + data[i];
}

static void read_lines(struct story_s *s, const uint8_t *p, size_t size)
{
    while (size) {
        const uint8_t *end = memchr(p, '\n', size);
        size_t n = end ? (size_t)(end - p) : size;

        if (n > FRAME_MAX)
            note(s, -ENOSPC);
        else if (end)
            note_frame(s, p, n);
        if (!end)
            return;
        p += n + 1;
        size -= n + 1;
    }
}

static void read_counted(struct story_s *s, const uint8_t *p, size_t size)
{
    while (size) {
        size_t n = p[0];

        if (n > FRAME_MAX)
            note(s, -ENOSPC);
        else if (n + 1 <= size)
            note_frame(s, p + 1, n);
        if (n + 1 > size)
            return;
        p += n + 1;
        size -= n + 1;
    }
}

static void take_all(struct story_s *s, struct kr_frame_buffer_s *b, const struct kr_framing_s *f)
{
    const uint8_t *frame;
    size_t size;
    int r;

    while ((r = kr_frame_next(b, f, &frame, &size)) != 0) {
        if (r > 0)
            note_frame(s, frame, size);
        else
            note(s, r);
    }
}

static void read_torn(struct story_s *s, const struct kr_framing_s *f, const uint8_t *p,
                      size_t size, unsigned tear)
{
    struct kr_frame_buffer_s b;

    if (kr_frame_init(&b, f))
        abort();
    while (size) {
        struct iovec room;
        size_t n = 1 + tear % 7;

        kr_frame_room(&b, &room);
        if (room.iov_len == 0)
            abort(); /* promised in frame.h */
        n = n < size ? n : size;
        n = n < room.iov_len ? n : room.iov_len;
        memcpy(room.iov_base, p, n);
        kr_frame_added(&b, f, n);
        take_all(s, &b, f);
        p += n;
        size -= n;
        tear = tear * 5 + 1;
    }
    kr_frame_cleanup(&b);
}

static void compare(const struct story_s *whole, const struct story_s *torn, const char *what)
{
    if (whole->count == torn->count && whole->sum == torn->sum &&
        memcmp(whole->event, torn->event, whole->count * sizeof(int)) == 0)
        return;
    fprintf(stderr, "not ok 1 - %s: %u and %u frames\n", what, whole->count, torn->count);
    abort();
}

static void wrap_and_read(const struct kr_framing_s *f, const uint8_t *p, size_t size)
{
    struct story_s whole = {.count = 0}, back = {.count = 0};
    uint8_t head[4], tail[1], text[4 + FRAME_MAX + 1];
    size_t head_size, tail_size;

    if (kr_frame_wrap(f, p, size, head, &head_size, tail, &tail_size))
        return;
    memcpy(text, head, head_size);
    memcpy(text + head_size, p, size);
    memcpy(text + head_size + size, tail, tail_size);
    note_frame(&whole, p, size);
    read_torn(&back, f, text, head_size + size + tail_size, (unsigned)size);
    compare(&whole, &back, "wrapped");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kr_framing_s lines = {
        .kind = KR_FRAMING_DELIMITER, .delimiter = '\n', .max = FRAME_MAX};
    const struct kr_framing_s counted = {
        .kind = KR_FRAMING_LENGTH, .length_bytes = 1, .max = FRAME_MAX};
    struct story_s whole = {.count = 0}, torn = {.count = 0};
    unsigned tear = size ? data[0] : 0;

    read_lines(&whole, data, size);
    read_torn(&torn, &lines, data, size, tear);
    compare(&whole, &torn, "lines");
    whole = torn = (struct story_s){.count = 0};
    read_counted(&whole, data, size);
    read_torn(&torn, &counted, data, size, tear);
    compare(&whole, &torn, "counted");
    wrap_and_read(&lines, data, size < FRAME_MAX ? size : FRAME_MAX);
    wrap_and_read(&counted, data, size < FRAME_MAX ? size : FRAME_MAX);
    return 0;
}
