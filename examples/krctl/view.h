/* SPDX-License-Identifier: MIT */
/* How bytes are shown: as they are, as text with escapes, or in hexadecimal. */
#ifndef KRCTL_VIEW_H
#define KRCTL_VIEW_H

#include "output.h"

#define VIEW_ROW 16 /* bytes in a row of the hexadecimal view */

enum view_mode_e {
    VIEW_RAW,
    VIEW_TEXT, /* printable, with \n \r \t and \xNN; a new-line starts a line */
    VIEW_HEX,  /* offset, bytes, text */
};

struct view_s {
    enum view_mode_e mode;
    bool timestamps; /* each line starts with the time of its first byte */
    bool crlf;       /* RAW: a new-line alone becomes CR LF, for a terminal in raw mode */
    bool frames;     /* see view_end_frame; TEXT: new-lines are escaped too */
    bool raw_screen; /* lines of the view itself end with CR LF */

    bool in_line;
    bool after_cr;
    uint64_t offset;
    uint8_t row[VIEW_ROW]; /* HEX: not printed yet; TEXT: the start of a UTF-8 character */
    size_t held;
    size_t expected; /* TEXT: length of that character */
    uint64_t row_time;
};

/* Adds the view of what came at `time`, ns since 1970. */
void view_put(struct view_s *view, struct bytes_s *to, const uint8_t *data, size_t size,
              uint64_t time);

/* Prints what is held back, and ends the line if `end_line`. */
void view_flush(struct view_s *view, struct bytes_s *to, bool end_line);

/* The frame that was put ends: so does its line, and the next offset is 0. */
void view_end_frame(struct view_s *view, struct bytes_s *to, uint64_t time);

/* "21:22:33.123456 " of a time. */
void view_time(struct bytes_s *to, uint64_t time);

#endif
