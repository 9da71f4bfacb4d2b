/* SPDX-License-Identifier: MIT */
/*
 * The built-in NMEA track: what a receiver on a boat says that circles on Lake Geneva, one position
 * a second (GGA, RMC, GSA, three GSV, VTG), with a damaged line now and then. It never ends, and is
 * the same each time.
 */
#ifndef KRCTL_TRACK_H
#define KRCTL_TRACK_H

#include <stdbool.h>
#include <stddef.h>

#define TRACK_LINE_MAX  192
#define TRACK_BAD_EVERY 23 /* no multiple of the 7 lines of a second: each type gets its turn */

struct track_s {
    unsigned line; /* lines made so far */
    unsigned damaged;
};

/* Writes the next line to `text`, with CR LF unless the damage took them; its length. *damaged: a
   reader has to count one bad line for it. */
size_t track_next(struct track_s *track, char text[TRACK_LINE_MAX], bool *damaged);

#endif
