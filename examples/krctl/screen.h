/* SPDX-License-Identifier: MIT */
/* Bytes on standard output, in a view; for a person, rows of the hexadecimal view do not wait to be
   full. */
#ifndef KRCTL_SCREEN_H
#define KRCTL_SCREEN_H

#include "session.h"
#include "view.h"

struct screen_s {
    struct session_s *session;
    struct view_s view;
    bool live; /* somebody is watching */

    struct dev_timer_rq_s quiet;
    bool watching;     /* `quiet` is pending */
    uint64_t put_last; /* session_now */
};

void screen_init(struct screen_s *screen, struct session_s *s);

/* Shows what has just come. */
void screen_put(struct screen_s *screen, const uint8_t *data, size_t size);
void screen_put_frame(struct screen_s *screen, const uint8_t *data, size_t size);

/* Shows what is held back. */
void screen_end(struct screen_s *screen);

#endif
