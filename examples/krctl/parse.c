/* SPDX-License-Identifier: MIT */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CENTURY 3.2e18 /* ns */

bool parse_time(const char *text, uint64_t *ns)
{
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"", 1e9}, {"m", 60e9}};
    char *end;

    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno != 0 || !(value >= 0))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        if (value * units[i].ns > CENTURY)
            return false;
        *ns = (uint64_t)(value * units[i].ns + 0.5);
        return true;
    }
    return false;
}

bool parse_size(const char *text, uint64_t *size)
{
    uint64_t unit = 1;
    char *end;

    if (!isdigit((unsigned char)text[0])) /* strtoull would take a sign */
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (errno != 0)
        return false;
    if (strcmp(end, "k") == 0)
        unit = 1000;
    else if (strcmp(end, "M") == 0)
        unit = 1000000;
    else if (*end != '\0')
        return false;
    if (value == 0 || value > UINT64_MAX / unit)
        return false;
    *size = value * unit;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits; -1: they are none. */
static int hex_byte(const char *text)
{
    int high = hex_digit(text[0]);
    int low = high >= 0 ? hex_digit(text[1]) : -1;

    return low >= 0 ? high * 16 + low : -1;
}

ptrdiff_t parse_escapes(uint8_t *bytes, const char *text, const char **wrong)
{
    static const char letters[] = "abefnrtv0\\";
    static const char values[] = "\a\b\033\f\n\r\t\v\0\\";
    uint8_t *to = bytes;

    while (*text != '\0') {
        if (*text != '\\') {
            *to++ = (uint8_t)*text++;
            continue;
        }
        const char *letter = text[1] != '\0' ? strchr(letters, text[1]) : NULL;
        int byte = text[1] == 'x' ? hex_byte(text + 2) : -1;
        if (letter == NULL && byte < 0) {
            *wrong = text;
            return -1;
        }
        *to++ = letter != NULL ? (uint8_t)values[letter - letters] : (uint8_t)byte;
        text += letter != NULL ? 2 : 4;
    }
    return to - bytes;
}

ptrdiff_t parse_hex(uint8_t *bytes, const char *text, const char **wrong)
{
    uint8_t *to = bytes;

    for (;;) {
        text += strspn(text, " \t\n:,");
        if (*text == '\0')
            return to - bytes;
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
            text += 2;
        int byte = hex_byte(text);
        if (byte < 0) {
            *wrong = text;
            return -1;
        }
        *to++ = (uint8_t)byte;
        text += 2;
    }
}
