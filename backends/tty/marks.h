/* SPDX-License-Identifier: MIT */
/*
 * The marks that the line discipline puts into a stream with PARMRK and INPCK set, taken out again
 * (n_tty_receive_char, n_tty_receive_break and n_tty_receive_parity_error in
 * drivers/tty/n_tty.c; termios(3)):
 *
 *     377 377      the byte 377
 *     377 0 X      the byte X came with a wrong parity or frame
 *     377 0 0      a break, or the byte 0 with a wrong parity or frame
 *
 * No system calls, no locks.
 */
#ifndef KR_TTY_MARKS_H
#define KR_TTY_MARKS_H

#include <stddef.h>
#include <stdint.h>

enum tty_mark_e {
    TTY_MARK_NONE,
    TTY_MARK_ERROR, /* a damaged byte, which is dropped */
    TTY_MARK_BREAK,
};

struct tty_marks_s {
    uint8_t seen; /* bytes of a mark that has begun: 0, 1 (377) or 2 (377 0) */
};

struct tty_marks_result_s {
    size_t used; /* bytes of `in` */
    size_t made; /* bytes in `out` */
    enum tty_mark_e mark;
};

/* Goes on until `in` is used up, `out` is full, or a mark is complete. A mark may begin in one call
   and end in a later one. `out` may be `in`: what is made never overtakes what is used. */
struct tty_marks_result_s tty_marks_decode(struct tty_marks_s *marks, const uint8_t *in,
                                           size_t in_size, uint8_t *out, size_t out_size);

#endif
