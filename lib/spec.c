/* SPDX-License-Identifier: MIT */
/*
 * Device specs, "driver:address?key=value&key=value", and the text of the last error.
 *
 * A parsed spec is one block: the table of values, then a copy of the text that is cut and decoded
 * in place. %XX stands for a byte in the address and in values. The address of a layered driver is
 * a path itself, which is put together behind that.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

struct value_s {
    const char *text; /* NULL: not given */
    uint64_t number;
};

struct device_spec_s {
    const struct driver_param_s *params;
    const char *address;
    struct value_s values[]; /* as params, then the text, and a layered driver's address */
};

/* --- the error text --- */

const char *kroutine_error_text(void)
{
    return kr_self.error_text;
}

error_t device_error(error_t err, const char *format, ...)
{
    char text[sizeof(kr_self.error_text)]; /* the arguments may point into the old one */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(kr_self.error_text, text, sizeof(text));
    return err;
}

/* --- values --- */

static error_t parse_uint(uint64_t *ret, const struct driver_param_s *param, const char *text)
{
    uint64_t value = 0, scale = 1;
    unsigned base = 10;
    const char *p = text;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    if (!*p)
        return device_error(-EINVAL, "%s=%s: not a number", param->key, text);
    for (; *p; p++) {
        unsigned digit = base;

        if (*p >= '0' && *p <= '9')
            digit = (unsigned)(*p - '0');
        else if ((*p | 32) >= 'a' && (*p | 32) <= 'f')
            digit = (unsigned)((*p | 32) - 'a') + 10;
        else if (base == 10 && p > text && !p[1] && (*p == 'k' || *p == 'M'))
            break;
        if (digit >= base)
            return device_error(-EINVAL, "%s=%s: not a number", param->key, text);
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return device_error(-ERANGE, "%s=%s: too large", param->key, text);
    }
    if (*p)
        scale = *p == 'k' ? 1000 : 1000000;
    if (__builtin_mul_overflow(value, scale, &value) || value < param->min || value > param->max)
        return device_error(-ERANGE, "%s=%s: must be %" PRIu64 " to %" PRIu64, param->key, text,
                            param->min, param->max);
    *ret = value;
    return 0;
}

/* Index of `text` in "one|two|three", or -1. */
static int word_index(const char *words, const char *text)
{
    size_t length = strlen(text);

    for (int i = 0; *words; i++) {
        size_t word = strcspn(words, "|");

        if (word == length && memcmp(words, text, length) == 0)
            return i;
        words += word + (words[word] == '|');
    }
    return -1;
}

static error_t parse_word(uint64_t *ret, const struct driver_param_s *param, const char *text)
{
    int index = word_index(param->words, text);

    if (index < 0)
        return device_error(-EINVAL, "%s=%s: must be one of %s", param->key, text, param->words);
    *ret = (uint64_t)index;
    return 0;
}

static error_t parse_bool(uint64_t *ret, const struct driver_param_s *param, const char *text)
{
    int index = word_index("no|yes|off|on|false|true|0|1", text);

    if (index < 0)
        return device_error(-EINVAL, "%s=%s: must be yes or no", param->key, text);
    *ret = (uint64_t)index & 1;
    return 0;
}

static error_t parse_value(struct value_s *value, const struct driver_param_s *param,
                           const char *text)
{
    error_t err = 0;

    switch (param->kind) {
    case DRIVER_PARAM_UINT:
        err = parse_uint(&value->number, param, text);
        break;
    case DRIVER_PARAM_BOOL:
        err = parse_bool(&value->number, param, text);
        break;
    case DRIVER_PARAM_ENUM:
        err = parse_word(&value->number, param, text);
        break;
    case DRIVER_PARAM_STRING:
        break;
    }
    if (!err)
        value->text = text;
    return err;
}

/* --- the text of a spec --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Replaces every %XX, in place. False: malformed, or a zero byte. */
static bool decode(char *text)
{
    char *to = text;

    for (; *text; text++, to++) {
        int high, low;

        *to = *text;
        if (*text != '%')
            continue;
        high = hex_digit(text[1]);
        low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to = (char)(high << 4 | low);
        text += 2;
    }
    *to = 0;
    return true;
}

static size_t params_count(const struct driver_param_s *params)
{
    size_t n = 0;

    while (params && params[n].key)
        n++;
    return n;
}

static error_t unknown_key(const struct driver_s *driver, const char *key, const char *whole)
{
    char keys[160] = "none";
    size_t used = 0;

    for (const struct driver_param_s *p = driver->params; p && p->key && used < sizeof(keys); p++)
        used +=
            (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s", used ? ", " : "", p->key);
    return device_error(-EINVAL, "unknown key '%s' in '%s' (keys: %s)", key, whole, keys);
}

/* Index in spec->params; the end of that: unknown. */
static size_t find_key(const struct device_spec_s *spec, const char *key, size_t length)
{
    size_t n = 0;

    while (spec->params && spec->params[n].key &&
           !(strlen(spec->params[n].key) == length && !memcmp(spec->params[n].key, key, length)))
        n++;
    return n;
}

/* One "key=value", cut out of the text. */
static error_t parse_pair(struct device_spec_s *spec, const struct driver_s *driver, char *pair,
                          const char *whole)
{
    char *value = strchr(pair, '=');
    size_t n;
    error_t err;

    if (value)
        *value++ = 0;
    if (!*pair)
        return device_error(-EINVAL, "empty key in '%s'", whole);
    n = find_key(spec, pair, strlen(pair));
    if (!spec->params || !spec->params[n].key)
        return unknown_key(driver, pair, whole);
    if (!value)
        return device_error(-EINVAL, "key '%s' has no value in '%s'", pair, whole);
    if (spec->values[n].text)
        return device_error(-EINVAL, "key '%s' is given twice in '%s'", pair, whole);
    if (!decode(value))
        return device_error(-EINVAL, "malformed %%XX in the value of '%s' in '%s'", pair, whole);
    err = parse_value(&spec->values[n], &spec->params[n], value);
    if (err)
        device_error(err, "%s (in '%s')", kr_self.error_text, whole);
    return err;
}

static error_t parse_text(struct device_spec_s *spec, const struct driver_s *driver, char *text,
                          const char *whole)
{
    char *pair = strchr(text, '?'), *next;
    error_t err;

    if (pair)
        *pair++ = 0;
    if (!decode(text))
        return device_error(-EINVAL, "malformed %%XX in the address of '%s'", whole);
    spec->address = text;
    for (; pair; pair = next) {
        next = strchr(pair, '&');
        if (next)
            *next++ = 0;
        err = parse_pair(spec, driver, pair, whole);
        if (err)
            return err;
    }
    return 0;
}

/* Is this key for the layer itself? The first of a name that it knows is. */
static bool is_own(const struct device_spec_s *spec, const char *pair)
{
    size_t length = strcspn(pair, "="), n = find_key(spec, pair, length);

    return length == 0 || (spec->params && spec->params[n].key && !spec->values[n].text);
}

/* As parse_text; `address` has room for the path below. */
static error_t parse_layered(struct device_spec_s *spec, const struct driver_s *driver, char *text,
                             char *address, const char *whole)
{
    char *pair = strchr(text, '?'), *next, join = '?';
    error_t err;

    if (pair)
        *pair++ = 0;
    spec->address = address;
    address = stpcpy(address, text);
    for (; pair; pair = next) {
        next = strchr(pair, '&');
        if (next)
            *next++ = 0;
        if (is_own(spec, pair)) {
            err = parse_pair(spec, driver, pair, whole);
            if (err)
                return err;
        } else {
            *address++ = join;
            address = stpcpy(address, pair);
            join = '&';
        }
    }
    return 0;
}

error_t kr_spec_parse(struct device_spec_s **ret, const struct driver_s *driver, const char *text,
                      const char *whole)
{
    size_t count = params_count(driver->params);
    size_t length = strlen(text) + 1;
    struct device_spec_s *spec;
    char *copy;
    error_t err;

    spec = calloc(1, sizeof(*spec) + count * sizeof(spec->values[0]) + 2 * length);
    if (!spec)
        return device_error(-ENOMEM, "out of memory");
    spec->params = driver->params;
    copy = (char *)&spec->values[count];
    memcpy(copy, text, length);
    err = driver->layered ? parse_layered(spec, driver, copy, copy + length, whole)
                          : parse_text(spec, driver, copy, whole);
    if (err) {
        kr_spec_free(spec);
        return err;
    }
    *ret = spec;
    return 0;
}

void kr_spec_free(struct device_spec_s *spec)
{
    free(spec);
}

/* --- what f_open asks --- */

const char *device_spec_address(const struct device_spec_s *spec)
{
    return spec->address;
}

static const struct value_s *find_value(const struct device_spec_s *spec, const char *key)
{
    for (size_t n = 0; spec->params && spec->params[n].key; n++) {
        if (strcmp(spec->params[n].key, key) == 0)
            return spec->values[n].text ? &spec->values[n] : NULL;
    }
    return NULL;
}

bool device_spec_has(const struct device_spec_s *spec, const char *key)
{
    return find_value(spec, key) != NULL;
}

uint64_t device_spec_uint(const struct device_spec_s *spec, const char *key, uint64_t otherwise)
{
    const struct value_s *value = find_value(spec, key);

    return value ? value->number : otherwise;
}

const char *device_spec_string(const struct device_spec_s *spec, const char *key,
                               const char *otherwise)
{
    const struct value_s *value = find_value(spec, key);

    return value ? value->text : otherwise;
}
