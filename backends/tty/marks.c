/* SPDX-License-Identifier: MIT */
#include "marks.h"

#include <string.h>

/* Bytes before the next 377, copied. */
static size_t copy_plain(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size)
{
    size_t n = in_size < out_size ? in_size : out_size;
    const uint8_t *mark = n ? memchr(in, 0xff, n) : NULL;

    if (mark)
        n = (size_t)(mark - in);
    if (n)
        memmove(out, in, n);
    return n;
}

struct tty_marks_result_s tty_marks_decode(struct tty_marks_s *marks, const uint8_t *in,
                                           size_t in_size, uint8_t *out, size_t out_size)
{
    struct tty_marks_result_s r = {0};

    while (r.used < in_size) {
        uint8_t byte = in[r.used];

        if (marks->seen == 2) {
            marks->seen = 0;
            r.used++;
            r.mark = byte ? TTY_MARK_ERROR : TTY_MARK_BREAK;
            break;
        }
        if (marks->seen == 1 && byte == 0) {
            marks->seen = 2;
            r.used++;
            continue;
        }
        if (marks->seen == 0 && byte == 0xff) {
            marks->seen = 1;
            r.used++;
            continue;
        }
        if (r.made == out_size)
            break;
        if (marks->seen == 1) {
            /* 377 377; nothing else follows a 377, unless the marks were just switched on: then
               the first was a byte like others, and so is this one. */
            marks->seen = 0;
            out[r.made++] = 0xff;
            if (byte == 0xff)
                r.used++;
            continue;
        }
        size_t n = copy_plain(in + r.used, in_size - r.used, out + r.made, out_size - r.made);

        r.used += n;
        r.made += n;
    }
    return r;
}
