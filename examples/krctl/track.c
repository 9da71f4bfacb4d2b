/* SPDX-License-Identifier: MIT */
#include "track.h"
#include "nmea.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PI         3.14159265358979323846
#define LINES      7 /* of a second */
#define SATELLITES 9

static const double CENTRE_LAT = 46.45, CENTRE_LON = 6.55;
static const double RADIUS = 1200;   /* m */
static const double SPEED = 10;      /* m/s */
static const double DEGREE = 111194; /* m of latitude */

struct epoch_s {
    unsigned second;
    double lat, lon, course;
};

static struct epoch_s epoch_at(unsigned second)
{
    double angle = second * SPEED / RADIUS; /* clockwise from north */

    return (struct epoch_s){
        .second = second,
        .lat = CENTRE_LAT + RADIUS * cos(angle) / DEGREE,
        .lon = CENTRE_LON + RADIUS * sin(angle) / (DEGREE * cos(CENTRE_LAT * PI / 180)),
        .course = fmod(angle * 180 / PI + 90, 360),
    };
}

/* "4627.64321,N,00633.00000,E"; both are north and east here. */
static void position(char *text, size_t size, const struct epoch_s *e)
{
    int lat = (int)e->lat, lon = (int)e->lon;

    snprintf(text, size, "%02d%08.5f,N,%03d%08.5f,E", lat, (e->lat - lat) * 60, lon,
             (e->lon - lon) * 60);
}

static void time_text(char *text, size_t size, const struct epoch_s *e)
{
    unsigned s = e->second % 43200; /* from noon to midnight, so that the date stays right */

    snprintf(text, size, "%02u%02u%02u.00", 12 + s / 3600, s / 60 % 60, s % 60);
}

/* Satellites 4 * (part - 1) and up to three more. */
static int gsv(char *text, size_t size, unsigned part, const struct epoch_s *e)
{
    static const struct {
        unsigned number, elevation, azimuth;
    } sky[SATELLITES] = {
        {2, 68, 41},  {4, 12, 322}, {6, 47, 208},  {9, 33, 97},   {12, 81, 170},
        {17, 5, 251}, {19, 22, 15}, {24, 55, 284}, {25, 39, 133},
    };
    int len = snprintf(text, size, "$GPGSV,3,%u,%02d", part, SATELLITES);

    for (unsigned i = 4 * (part - 1); i < 4 * part && i < SATELLITES; i++) {
        unsigned noise = 20 + sky[i].elevation / 4 + (e->second * 7 + sky[i].number) % 5;
        len += snprintf(text + len, size - (size_t)len, ",%02u,%02u,%03u,%02u", sky[i].number,
                        sky[i].elevation, sky[i].azimuth, noise);
    }
    return len;
}

static int sentence(char *text, size_t size, unsigned index, const struct epoch_s *e)
{
    const double knots = SPEED * 3600 / 1852;
    char time[16], where[48];

    time_text(time, sizeof(time), e);
    position(where, sizeof(where), e);
    switch (index) {
    case 0:
        return snprintf(text, size, "$GPGGA,%s,%s,1,%02d,0.9,372.0,M,48.0,M,,", time, where,
                        SATELLITES - 1);
    case 1:
        return snprintf(text, size, "$GPRMC,%s,A,%s,%.2f,%.1f,210625,,,A", time, where, knots,
                        e->course);
    case 2:
        return snprintf(text, size, "$GPGSA,A,3,02,04,06,09,12,19,24,25,,,,,1.6,0.9,1.3");
    case 6:
        return snprintf(text, size, "$GPVTG,%.1f,T,,M,%.2f,N,%.2f,K,A", e->course, knots,
                        SPEED * 3.6);
    default:
        return gsv(text, size, index - 2, e);
    }
}

/* What serial lines do to sentences, one kind after the other. Each makes exactly one bad line. */
static size_t damage(char *text, size_t len, unsigned kind)
{
    switch (kind % 6) {
    case 0: /* one bit flipped */
        text[len / 2] ^= 1;
        return len;
    case 1: /* the end is missing: the next line follows at once */
        return len / 2;
    case 2: /* the checksum is missing */
        memcpy(text + len - 5, "\r\n", 2);
        return len - 3;
    case 3: /* the start is missing */
        memmove(text, text + 4, len - 4);
        return len - 4;
    case 4: /* two lines' worth of noise that looks like text */
        len -= 2;
        memset(text + len, 'U', TRACK_LINE_MAX - len);
        memcpy(text + TRACK_LINE_MAX - 2, "\r\n", 2);
        return TRACK_LINE_MAX;
    default: /* bytes that are not text, a NUL among them */
        memcpy(text + len / 3, "\xff\x00\x80", 3);
        return len;
    }
}

size_t track_next(struct track_s *track, char text[TRACK_LINE_MAX], bool *damaged)
{
    struct epoch_s e = epoch_at(track->line / LINES);
    int len = sentence(text, TRACK_LINE_MAX, track->line % LINES, &e);

    len += snprintf(text + len, TRACK_LINE_MAX - (size_t)len, "*%02X\r\n",
                    nmea_checksum(text, (size_t)len));
    track->line++;
    *damaged = track->line % TRACK_BAD_EVERY == 0;
    return *damaged ? damage(text, (size_t)len, track->damaged++) : (size_t)len;
}
