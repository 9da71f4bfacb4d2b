/* SPDX-License-Identifier: MIT */
/*
 * NMEA 0183: lines out of a stream of bytes, checksums, and the fields that the demo uses.
 * Knows nothing of devices; tests/unit/test_nmea.c feeds it by hand.
 */
#ifndef KRCTL_NMEA_H
#define KRCTL_NMEA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The standard allows 82 characters from '$' to LF, both included: 80 without CR LF. */
#define NMEA_TEXT_MAX 80
#define NMEA_TYPE_MAX 5

enum nmea_status_e {
    NMEA_MORE = 0,    /* no line has ended yet */
    NMEA_GOOD,        /* start, printable text, right checksum */
    NMEA_CHECKSUM,    /* the checksum is there and wrong */
    NMEA_NO_CHECKSUM, /* no "*hh" at the end */
    NMEA_TORN,        /* the next line started before this one ended */
    NMEA_OVERLONG,    /* more than NMEA_TEXT_MAX characters */
    NMEA_GARBAGE,     /* does not start with '$' or '!', or holds bytes that are not text */
    NMEA_JOINED,      /* tail of a line that had begun before we listened: neither good nor bad */
    NMEA_STATUSES,
};

/* True for what counts as a damaged line. */
static inline bool nmea_is_bad(enum nmea_status_e status)
{
    return status > NMEA_GOOD && status < NMEA_JOINED;
}

/* Assembles lines; no allocation, no limit on what the stream may hold. */
struct nmea_assembler_s {
    size_t len;     /* characters kept in `text` */
    bool active;    /* a start character was seen, the line has not ended */
    bool skipping;  /* bytes outside of a line were seen since the last end */
    bool overlong;  /* characters were dropped */
    bool listening; /* one line end or start was seen */
    char text[NMEA_TEXT_MAX + 1];
};

void nmea_init(struct nmea_assembler_s *a);

/* Takes bytes until a line ends or all are taken; *used tells how many. After anything but
   NMEA_MORE, `text` holds the line as far as it was kept, without CR LF, until the next call. */
enum nmea_status_e nmea_feed(struct nmea_assembler_s *a, const uint8_t *data, size_t size,
                             size_t *used);

/* One whole line without CR LF: NMEA_GOOD, or what is wrong with it. */
enum nmea_status_e nmea_check(const char *line, size_t len);

/* Exclusive or of the characters between the start and '*' (or the end). */
uint8_t nmea_checksum(const char *line, size_t len);

/* "GGA" for "$GPGGA,…", "PMTK…" for a maker's own sentence, "?" when there is no address. */
void nmea_type(const char *line, char type[NMEA_TYPE_MAX + 1]);

const char *nmea_status_text(enum nmea_status_e status);

/* Field `n` of a line, 0 is the address. NULL: there is no such field. May be empty. */
const char *nmea_field(const char *line, unsigned n, size_t *len);

/* A decimal number that fills the whole field: sign, digits, point. */
bool nmea_number(const char *field, size_t len, double *value);

struct nmea_fix_s {
    double lat; /* degrees, north and east positive */
    double lon;
    double time; /* seconds since midnight UTC */
};

/* Position of a GGA, RMC or GLL line; false: other line, no fix, or fields that make no sense. */
bool nmea_fix(const char *line, struct nmea_fix_s *fix);

/* Speed over ground in knots, of RMC or VTG. */
bool nmea_speed(const char *line, double *knots);

/* GSV: satellites in view. */
bool nmea_in_view(const char *line, unsigned *satellites);

#endif
