/* SPDX-License-Identifier: MIT */
/* Specs of gpio devices: CHIP/LINES?key=value. No name or number of a line means another one when
   chips come up in another order: the chip goes by its name or label, a line by its name or by its
   offset in that chip. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpio_lines.h"

#define NAME_MAX_LINE 64

error_t kr_lines_split(char *chip, size_t size, const char **lines, const char *driver,
                       const char *address)
{
    const char *begin = strncmp(address, "/dev/", 5) == 0 ? address + 5 : address;
    const char *slash = strchr(begin, '/');
    size_t length = slash ? (size_t)(slash - begin) : strlen(begin);

    if (!length || (slash && !slash[1]))
        return device_error(-EINVAL, "'%s': use %s:CHIP/LINES, as in %s:gpiochip0/4-7", address,
                            driver, driver);
    if (length >= size)
        return device_error(-EINVAL, "'%s': the name of the chip is too long", address);
    memcpy(chip, begin, length);
    chip[length] = 0;
    *lines = slash ? slash + 1 : NULL;
    return 0;
}

/* "4" or "4-7"; false: a name. */
static bool parse_range(const char *text, unsigned long *first, unsigned long *last)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *first = *last = strtoul(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *last = strtoul(end + 1, &end, 10);
    return !*end;
}

static error_t add(uint32_t *offsets, int *count, unsigned long offset, const char *text)
{
    for (int i = 0; i < *count; i++) {
        if (offsets[i] == offset)
            return device_error(-EINVAL, "line %lu is there twice, the second time by '%s'", offset,
                                text);
    }
    if (*count == DEV_GPIO_LINES_MAX)
        return device_error(-E2BIG, "more than %d lines: open several devices", DEV_GPIO_LINES_MAX);
    offsets[(*count)++] = (uint32_t)offset;
    return 0;
}

static error_t add_named(uint32_t *offsets, int *count, const char *name,
                         const struct kr_lines_finder_s *finder)
{
    int offset = finder->find(finder, name);

    if (offset == -ENOTUNIQ)
        return device_error(-EINVAL, "several lines of the chip are called '%s': use the offset",
                            name);
    if (offset < 0)
        return device_error(offset,
                            "the chip has no line '%s': use a name that it has, or an "
                            "offset from 0 to %u",
                            name, finder->count - 1);
    return add(offsets, count, (unsigned long)offset, name);
}

static error_t add_word(uint32_t *offsets, int *count, const char *word,
                        const struct kr_lines_finder_s *finder)
{
    unsigned long first, last;
    error_t err = 0;

    if (!*word)
        return device_error(-EINVAL, "an empty name in the list of lines");
    if (!parse_range(word, &first, &last))
        return add_named(offsets, count, word, finder);
    if (first > last)
        return device_error(-EINVAL, "lines %s: from the lower to the higher one", word);
    if (last >= finder->count)
        return device_error(-ENOENT, "line %lu: the chip has 0 to %u", last, finder->count - 1);
    for (; first <= last && !err; first++)
        err = add(offsets, count, first, word);
    return err;
}

int kr_lines_parse(uint32_t *offsets, const char *lines, const struct kr_lines_finder_s *finder)
{
    char word[NAME_MAX_LINE];
    int count = 0;

    while (lines) {
        size_t length = strcspn(lines, ",");
        error_t err;

        if (length >= sizeof(word))
            return device_error(-ENOENT, "no line has a name as long as '%s'", lines);
        memcpy(word, lines, length);
        word[length] = 0;
        err = add_word(offsets, &count, word, finder);
        if (err)
            return err;
        if (!lines[length])
            return count;
        lines += length + 1;
    }
    return 0;
}

static uint32_t flag_of(const struct device_spec_s *spec, const char *key, const uint32_t *flags)
{
    return device_spec_has(spec, key) ? flags[device_spec_uint(spec, key, 0)] : 0;
}

error_t kr_lines_keys(struct kr_lines_keys_s *keys, const struct device_spec_s *spec,
                      unsigned count)
{
    static const uint32_t modes[] = {DEV_GPIO_INPUT, DEV_GPIO_OUTPUT, DEV_GPIO_OPEN_DRAIN,
                                     DEV_GPIO_OPEN_SOURCE};
    static const uint32_t pulls[] = {DEV_GPIO_PULL_UP, DEV_GPIO_PULL_DOWN, DEV_GPIO_PULL_NONE};
    static const uint32_t events[] = {DEV_GPIO_RISING, DEV_GPIO_FALLING, DEV_GPIO_BOTH};
    bool kernel = device_spec_has(spec, "kernel-debounce");

    if (kernel && device_spec_has(spec, "debounce"))
        return device_error(-EINVAL, "debounce and kernel-debounce exclude each other");
    keys->mode.flags = flag_of(spec, "mode", modes) | flag_of(spec, "pull", pulls) |
                       flag_of(spec, "events", events);
    if (device_spec_uint(spec, "active-low", 0))
        keys->mode.flags |= DEV_GPIO_ACTIVE_LOW;
    if (kernel)
        keys->mode.flags |= DEV_GPIO_DEBOUNCE_KERNEL;
    keys->mode.debounce_us =
        (uint32_t)device_spec_uint(spec, kernel ? "kernel-debounce" : "debounce", 0);
    keys->values = device_spec_uint(spec, "value", 0);
    keys->has_value = device_spec_has(spec, "value");
    keys->realtime = device_spec_uint(spec, "clock", 0);
    keys->buffer = (unsigned)device_spec_uint(spec, "buffer", 1024);
    if (!count && (keys->mode.flags || keys->mode.debounce_us || keys->has_value))
        return device_error(-EINVAL, "a chip without lines has no mode: CHIP/LINES?mode=...");
    if (count < 64 && keys->values >> count)
        return device_error(-EINVAL, "value: has bits beyond the %u line%s", count,
                            count == 1 ? "" : "s");
    return 0;
}
