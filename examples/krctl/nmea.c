/* SPDX-License-Identifier: MIT */
#include "nmea.h"

#include <string.h>

static bool is_start(char c)
{
    /* '!' starts sentences that wrap other data (AIS). Both are reserved everywhere else. */
    return c == '$' || c == '!';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

uint8_t nmea_checksum(const char *line, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = len && is_start(line[0]); i < len && line[i] != '*'; i++)
        sum ^= (uint8_t)line[i];
    return sum;
}

enum nmea_status_e nmea_check(const char *line, size_t len)
{
    if (len == 0 || !is_start(line[0]))
        return NMEA_GARBAGE;
    if (len > NMEA_TEXT_MAX)
        return NMEA_OVERLONG;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && is_start(line[i]))
            return NMEA_TORN;
        if (line[i] < 0x20 || line[i] > 0x7e)
            return NMEA_GARBAGE;
    }
    /* One '*' only, three characters before the end, with an address in front of it. */
    if (len < 5 || memchr(line, '*', len) != line + len - 3)
        return NMEA_NO_CHECKSUM;

    int high = hex_digit(line[len - 2]);
    int low = hex_digit(line[len - 1]);
    if (high < 0 || low < 0)
        return NMEA_NO_CHECKSUM;
    return nmea_checksum(line, len) == high * 16 + low ? NMEA_GOOD : NMEA_CHECKSUM;
}

void nmea_init(struct nmea_assembler_s *a)
{
    memset(a, 0, sizeof(*a));
}

/* The line in `text` is over: judges it, and makes room for the next one. */
static enum nmea_status_e line_over(struct nmea_assembler_s *a, bool torn)
{
    enum nmea_status_e status;

    if (!a->active)
        status = a->listening ? NMEA_GARBAGE : NMEA_JOINED;
    else if (a->overlong)
        status = NMEA_OVERLONG;
    else if (torn)
        status = NMEA_TORN;
    else
        status = nmea_check(a->text, a->len);

    a->text[a->len] = '\0';
    a->len = 0;
    a->active = a->skipping = a->overlong = false;
    a->listening = true;
    return status;
}

static void keep(struct nmea_assembler_s *a, char c)
{
    if (a->len < NMEA_TEXT_MAX)
        a->text[a->len++] = c;
    else
        a->overlong = true;
}

enum nmea_status_e nmea_feed(struct nmea_assembler_s *a, const uint8_t *data, size_t size,
                             size_t *used)
{
    for (size_t i = 0; i < size; i++) {
        char c = (char)data[i];

        if (c == '\r' || c == '\n') {
            /* The LF after a CR, and empty lines, end nothing. */
            a->listening |= !a->active && !a->skipping;
            if (a->active || a->skipping) {
                *used = i + 1;
                return line_over(a, false);
            }
        } else if (is_start(c)) {
            /* Not taken yet when it cuts another line short: it comes again with the next call. */
            if (a->active || a->skipping) {
                *used = i;
                return line_over(a, true);
            }
            a->active = a->listening = true;
            keep(a, c);
        } else {
            a->skipping = !a->active;
            keep(a, c);
        }
    }
    *used = size;
    return NMEA_MORE;
}

const char *nmea_status_text(enum nmea_status_e status)
{
    static const char *const text[NMEA_STATUSES] = {
        [NMEA_MORE] = "unfinished",
        [NMEA_GOOD] = "good",
        [NMEA_CHECKSUM] = "wrong checksum",
        [NMEA_NO_CHECKSUM] = "no checksum",
        [NMEA_TORN] = "torn",
        [NMEA_OVERLONG] = "overlong",
        [NMEA_GARBAGE] = "garbage",
        [NMEA_JOINED] = "joined half way",
    };

    return text[status];
}

void nmea_type(const char *line, char type[NMEA_TYPE_MAX + 1])
{
    size_t n = 0;

    strcpy(type, "?");
    if (!is_start(line[0]))
        return;
    line++;
    while ((line[n] >= 'A' && line[n] <= 'Z') || (line[n] >= '0' && line[n] <= '9'))
        n++;
    if (n < 3 || (line[n] != ',' && line[n] != '*'))
        return;
    /* Two letters of talker, three of type. 'P' is a maker's own: no talker, any length. */
    if (line[0] != 'P' && n == 5) {
        line += 2;
        n = 3;
    }
    if (n > NMEA_TYPE_MAX)
        n = NMEA_TYPE_MAX;
    memcpy(type, line, n);
    type[n] = '\0';
}

const char *nmea_field(const char *line, unsigned n, size_t *len)
{
    for (; n > 0; n--) {
        line += strcspn(line, ",*");
        if (*line != ',')
            return NULL;
        line++;
    }
    *len = strcspn(line, ",*");
    return line;
}

bool nmea_number(const char *field, size_t len, double *value)
{
    size_t i = len > 0 && (field[0] == '-' || field[0] == '+');
    double result = 0, scale = 0;
    bool digits = false;

    for (; i < len; i++) {
        if (field[i] == '.' && scale == 0) {
            scale = 1;
            continue;
        }
        if (field[i] < '0' || field[i] > '9')
            return false;
        digits = true;
        result = result * 10 + (field[i] - '0');
        scale *= 10;
    }
    if (!digits)
        return false;
    if (scale > 1)
        result /= scale;
    *value = field[0] == '-' ? -result : result;
    return true;
}

static bool field_number(const char *line, unsigned n, double *value)
{
    size_t len;
    const char *field = nmea_field(line, n, &len);

    return field != NULL && nmea_number(field, len, value);
}

static char field_letter(const char *line, unsigned n)
{
    size_t len;
    const char *field = nmea_field(line, n, &len);

    return field != NULL && len == 1 ? field[0] : '\0';
}

/* "ddmm.mmmm" and its hemisphere, fields n and n + 1. */
static bool angle(const char *line, unsigned n, const char hemispheres[2], double limit,
                  double *degrees)
{
    char hemisphere = field_letter(line, n + 1);
    double raw;

    if (!field_number(line, n, &raw) || raw < 0 || raw > limit * 100)
        return false;
    if (hemisphere != hemispheres[0] && hemisphere != hemispheres[1])
        return false;

    int whole = (int)(raw / 100);
    double minutes = raw - whole * 100.0;
    if (minutes >= 60 || whole + minutes / 60 > limit)
        return false;
    *degrees = (whole + minutes / 60) * (hemisphere == hemispheres[0] ? 1 : -1);
    return true;
}

/* "hhmmss.ss" */
static bool time_of_day(const char *line, unsigned n, double *seconds)
{
    double raw;

    if (!field_number(line, n, &raw) || raw < 0 || raw >= 240000)
        return false;

    int hours = (int)(raw / 10000);
    int minutes = (int)(raw / 100) % 100;
    double rest = raw - hours * 10000.0 - minutes * 100.0;
    if (minutes > 59 || rest >= 61) /* a leap second has number 60 */
        return false;
    *seconds = hours * 3600.0 + minutes * 60.0 + rest;
    return true;
}

bool nmea_fix(const char *line, struct nmea_fix_s *fix)
{
    struct nmea_fix_s found;
    unsigned time, lat;
    char type[NMEA_TYPE_MAX + 1];
    bool valid;

    nmea_type(line, type);
    if (strcmp(type, "GGA") == 0) {
        char quality = field_letter(line, 6);
        valid = quality > '0' && quality <= '9';
        time = 1;
        lat = 2;
    } else if (strcmp(type, "RMC") == 0) {
        valid = field_letter(line, 2) == 'A';
        time = 1;
        lat = 3;
    } else if (strcmp(type, "GLL") == 0) {
        valid = field_letter(line, 6) == 'A';
        time = 5;
        lat = 1;
    } else {
        return false;
    }
    if (!valid || !time_of_day(line, time, &found.time) ||
        !angle(line, lat, "NS", 90, &found.lat) || !angle(line, lat + 2, "EW", 180, &found.lon))
        return false;
    *fix = found;
    return true;
}

bool nmea_speed(const char *line, double *knots)
{
    char type[NMEA_TYPE_MAX + 1];

    nmea_type(line, type);
    if (strcmp(type, "RMC") == 0)
        return field_letter(line, 2) == 'A' && field_number(line, 7, knots);
    if (strcmp(type, "VTG") == 0)
        return field_letter(line, 6) == 'N' && field_number(line, 5, knots);
    return false;
}

bool nmea_in_view(const char *line, unsigned *satellites)
{
    char type[NMEA_TYPE_MAX + 1];
    double value;

    nmea_type(line, type);
    if (strcmp(type, "GSV") != 0 || !field_number(line, 3, &value) || value < 0 || value > 999)
        return false;
    *satellites = (unsigned)value;
    return true;
}
