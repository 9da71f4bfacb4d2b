/* SPDX-License-Identifier: MIT */
/*
 * From a word to lines. A chip is opened as a device without lines, which tells of all its lines
 * and takes none; krctl then asks for lines by offset, so that no name needs an escape.
 */
#include "gpio.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kroutine/driver.h>

#define CHIPS 64

/* --- chips --- */

static int by_number(const void *a, const void *b)
{
    return (int)(strtoul((const char *)a + strlen("gpiochip"), NULL, 10) -
                 strtoul((const char *)b + strlen("gpiochip"), NULL, 10));
}

unsigned gpio_chips(char names[][32], unsigned size)
{
    glob_t found;
    unsigned count = 0;

    if (glob("/dev/gpiochip[0-9]*", GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (; count < found.gl_pathc && count < size; count++)
        snprintf(names[count], 32, "%.31s", found.gl_pathv[count] + strlen("/dev/"));
    globfree(&found);
    qsort(names, count, 32, by_number);
    return count;
}

/* "gpiod:…", "sim-gpio:…": the name of a driver of this class. A name of a line may have a colon as
   well. */
static bool is_spec(const char *word)
{
    size_t len = strcspn(word, ":");
    const struct driver_s *driver;

    for (unsigned i = 0; word[len] == ':' && (driver = driver_get(i)) != NULL; i++) {
        if (strlen(driver->name) == len && strncmp(driver->name, word, len) == 0)
            return driver->classes[0]->cl == DRIVER_CLASS_GPIO;
    }
    return false;
}

static struct gpio_group_s *find_group(struct gpio_s *g, const char *spec, const char *keys)
{
    for (unsigned i = 0; i < g->groups; i++)
        if (strcmp(g->group[i].spec, spec) == 0 && strcmp(g->group[i].keys, keys) == 0)
            return &g->group[i];
    return NULL;
}

/* The chip may be where the keys say that it is; `all` are for it. */
static void add_chip_keys(char spec[PORT_SPEC_MAX], const char *keys, bool all)
{
    for (size_t len; *keys != '\0'; keys += len + (keys[len] == '&')) {
        char key[PORT_SPEC_MAX];

        len = strcspn(keys, "&");
        snprintf(key, sizeof(key), "%.*s", (int)len, keys);
        if (all || strncmp(key, "device=", 7) == 0 || strncmp(key, "offset=", 7) == 0)
            port_add_key(spec, key);
    }
}

/* `spec` has no lines and no keys; `keys` are those of the lines, or of the chip. */
static struct gpio_group_s *open_chip(struct gpio_s *g, const char *spec, const char *keys,
                                      bool of_chip, error_t *err)
{
    struct device_s *tree = kroutine_runtime_devices(g->session.runtime);
    struct gpio_group_s *group = find_group(g, spec, keys);
    char name[sizeof(group->spec)], chip[PORT_SPEC_MAX];

    if (group != NULL)
        return group;
    if (g->groups == GPIO_GROUPS) {
        *err = -E2BIG;
        return NULL;
    }
    group = &g->group[g->groups];
    snprintf(chip, sizeof(chip), "%s", spec);
    add_chip_keys(chip, keys, of_chip);
    *err = device_get_accessor_by_path(&group->look.base, tree, chip, DRIVER_CLASS_GPIO);
    if (*err == 0)
        *err = DEVICE_OP(&group->look, info, &group->chip);
    /* A label and a name may mean the same chip. */
    snprintf(name, sizeof(name), "%.*s:%s", (int)strcspn(spec, ":"), spec, group->chip.chip);
    if (*err == 0 && find_group(g, name, keys) != NULL) {
        device_put_accessor(&group->look.base);
        return find_group(g, name, keys);
    }
    if (*err != 0) {
        device_put_accessor(&group->look.base);
        return NULL;
    }
    group->gpio = g;
    snprintf(group->spec, sizeof(group->spec), "%s", name);
    snprintf(group->keys, sizeof(group->keys), "%s", keys);
    g->groups++;
    return group;
}

struct gpio_group_s *gpio_add_chip(struct gpio_s *g, const char *chip, error_t *err)
{
    char spec[sizeof(g->group[0].spec)], *keys;

    if (is_spec(chip))
        snprintf(spec, sizeof(spec), "%s", chip);
    else
        snprintf(spec, sizeof(spec), "gpiod:%s%s",
                 chip[strspn(chip, "0123456789")] == '\0' ? "gpiochip" : "",
                 strncmp(chip, "/dev/", 5) == 0 ? chip + 5 : chip);
    keys = spec + strcspn(spec, "?");
    if (*keys != '\0')
        *keys++ = '\0';
    return open_chip(g, spec, keys, true, err);
}

/* --- lines of a chip --- */

static int add_line(struct gpio_group_s *group, uint32_t offset)
{
    struct gpio_s *g = group->gpio;
    struct gpio_line_s *line = &g->line[g->lines];
    struct dev_gpio_line_info_s info;
    error_t err;

    for (unsigned i = 0; i < group->count; i++)
        if (group->offset[i] == offset)
            return krctl_usage(g->command, "line %u of %s is there twice", offset,
                               group->chip.chip);
    if (group->count == DEV_GPIO_LINES_MAX || g->lines == GPIO_LINES)
        return krctl_usage(g->command, "more than %d lines of a chip, or %d of all",
                           DEV_GPIO_LINES_MAX, GPIO_LINES);
    err = DEVICE_OP(&group->look, line_info, (uint16_t)offset, &info);
    if (err != 0)
        return gpio_fail(group, err);
    *line = (struct gpio_line_s){.group = group, .io = group->count, .offset = offset};
    snprintf(line->name, sizeof(line->name), "%s", info.name);
    group->offset[group->count++] = offset;
    g->lines++;
    return KRCTL_OK;
}

/* "4", "4-7". */
static bool is_range(const char *word, unsigned long *first, unsigned long *last)
{
    char *end;

    if (*word < '0' || *word > '9')
        return false;
    *first = *last = strtoul(word, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *last = strtoul(end + 1, &end, 10);
    return *end == '\0';
}

/* How many lines of the chip have that name; *offset is the last one. */
static unsigned count_named(const struct device_gpio_s *chip, uint32_t lines, const char *name,
                            uint32_t *offset)
{
    struct dev_gpio_line_info_s info;
    unsigned count = 0;

    for (uint32_t i = 0; i < lines; i++) {
        if (DEVICE_OP(chip, line_info, (uint16_t)i, &info) != 0 || strcmp(info.name, name) != 0)
            continue;
        *offset = i;
        count++;
    }
    return count;
}

static int add_part(struct gpio_group_s *group, const char *word)
{
    const struct dev_gpio_info_s *chip = &group->chip;
    unsigned long first, last;
    uint32_t offset = 0;
    int status = KRCTL_OK;

    if (!group->gpio->by_name && is_range(word, &first, &last)) {
        if (first > last || last >= chip->lines)
            return krctl_fail("%s has no lines %s, it has 0 to %u", chip->chip, word,
                              chip->lines - 1);
        for (; first <= last && status == KRCTL_OK; first++)
            status = add_line(group, (uint32_t)first);
        return status;
    }
    switch (count_named(&group->look, chip->lines, word, &offset)) {
    case 0:
        krctl_fail("%s has no line called '%s'", chip->chip, word);
        krctl_hint("krctl gpio info %s", group->spec);
        return KRCTL_FAILED;
    case 1:
        return add_line(group, offset);
    default:
        return krctl_fail("several lines of %s are called '%s': use the offset", chip->chip, word);
    }
}

static int add_parts(struct gpio_group_s *group, const char *lines)
{
    int status = KRCTL_OK;

    while (status == KRCTL_OK) {
        char word[64];
        size_t len = strcspn(lines, ",");

        if (len == 0 || len >= sizeof(word))
            return krctl_usage(group->gpio->command, "'%s' is no list of lines", lines);
        snprintf(word, sizeof(word), "%.*s", (int)len, lines);
        status = add_part(group, word);
        if (lines[len] == '\0')
            break;
        lines += len + 1;
    }
    return status;
}

/* --- words --- */

static int no_chip(const char *spec, error_t err)
{
    krctl_fail("%s", krctl_error(err));
    if (err == -ENOENT || err == -EINVAL)
        krctl_hint("krctl gpio list, which has the chips%s",
                   strncmp(spec, "gpiod:", 6) == 0 ? "; sim-gpio:demo is a simulated one" : "");
    return KRCTL_FAILED;
}

bool gpio_lacks_chip(const char *word)
{
    const char *lines = word + strlen("gpiomem:");

    return strncmp(word, "gpiomem:", strlen("gpiomem:")) == 0 &&
           lines[strcspn(lines, "/?")] != '/' &&
           ((*lines >= '0' && *lines <= '9') || strncmp(lines, "GPIO", 4) == 0);
}

/* "driver:CHIP/LINES?keys". */
static int add_spec(struct gpio_s *g, const char *word)
{
    const char *address = strchr(word, ':') + 1;
    char text[PORT_SPEC_MAX];
    error_t err = 0;
    int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(address - word), word,
                       gpio_lacks_chip(word) ? "auto/" : "", address);

    if (len >= (int)sizeof(text))
        return krctl_usage(g->command, "'%.40s...' is too long", word);

    char *keys = text + strcspn(text, "?");
    if (*keys != '\0')
        *keys++ = '\0';
    char *chip = strchr(text, ':') + 1;
    if (strncmp(chip, "/dev/", 5) == 0)
        memmove(chip, chip + 5, strlen(chip + 5) + 1);
    char *lines = strchr(chip, '/');
    if (lines == NULL || lines[1] == '\0')
        return krctl_usage(g->command, "'%s' names no lines: %.*s/LINES", word,
                           (int)strcspn(word, "?"), word);
    *lines++ = '\0';
    if (strlen(text) >= sizeof(g->group[0].spec) || strlen(keys) >= sizeof(g->group[0].keys))
        return krctl_usage(g->command, "'%.40s...' is too long", word);

    struct gpio_group_s *group = open_chip(g, text, keys, false, &err);
    return group != NULL ? add_parts(group, lines) : no_chip(text, err);
}

/* A name that is looked for on all chips of this machine. */
struct search_s {
    const char *name;
    unsigned chips;
    unsigned unread; /* chips that could not be opened */
    unsigned hits;
    char found[32];  /* the chip with the last hit */
    char where[160]; /* all of them */
};

static void search_chip(struct gpio_s *g, struct search_s *s, const char *name)
{
    struct device_s *tree = kroutine_runtime_devices(g->session.runtime);
    struct device_gpio_s chip = DEVICE_ACCESSOR_INIT;
    struct dev_gpio_info_s info;
    char spec[64];
    size_t len = strlen(s->where);
    uint32_t offset;
    unsigned here = 0;

    snprintf(spec, sizeof(spec), "gpiod:%.31s", name);
    if (device_get_accessor_by_path(&chip.base, tree, spec, DRIVER_CLASS_GPIO) != 0 ||
        DEVICE_OP(&chip, info, &info) != 0)
        s->unread++;
    else
        here = count_named(&chip, info.lines, s->name, &offset);
    device_put_accessor(&chip.base);
    if (here == 0)
        return;
    s->hits += here;
    snprintf(s->found, sizeof(s->found), "%.31s", name);
    snprintf(s->where + len, sizeof(s->where) - len, " %.31s", name);
}

static int explain_search(const struct search_s *s)
{
    if (s->chips == 0) {
        krctl_fail("no line '%s': this machine has no GPIO chips, no /dev/gpiochip*", s->name);
        krctl_hint("a simulated chip: sim-gpio:demo/GPIO17");
    } else if (s->hits > 1) {
        krctl_fail("several lines are called '%s', of:%s", s->name, s->where);
        krctl_hint("--chip, or a spec such as gpiod:CHIP/LINE");
    } else {
        krctl_fail("no chip has a line called '%s'%s", s->name,
                   s->unread > 0 ? ", as far as they can be opened" : "");
        krctl_hint("krctl gpio info");
    }
    return KRCTL_FAILED;
}

static int add_name(struct gpio_s *g, const char *name)
{
    struct search_s s = {.name = name};
    char chips[CHIPS][32];
    error_t err = 0;

    s.chips = gpio_chips(chips, CHIPS);
    for (unsigned i = 0; i < s.chips; i++)
        search_chip(g, &s, chips[i]);
    if (s.hits != 1)
        return explain_search(&s);
    struct gpio_group_s *group = gpio_add_chip(g, s.found, &err);
    return group != NULL ? add_part(group, name) : no_chip("gpiod:", err);
}

int gpio_add(struct gpio_s *g, const char *word)
{
    error_t err = 0;

    if (is_spec(word))
        return add_spec(g, word);
    if (g->chip == NULL && !g->by_name && word[strspn(word, "0123456789-,")] == '\0')
        return krctl_usage(g->command, "'%s' is an offset: --chip says of which chip", word);
    if (g->chip == NULL)
        return add_name(g, word);
    struct gpio_group_s *group = gpio_add_chip(g, g->chip, &err);
    return group != NULL ? add_parts(group, word) : no_chip("gpiod:", err);
}

int gpio_add_words(struct gpio_s *g)
{
    int status = KRCTL_OK;

    for (char **word = g->words; *word != NULL && status == KRCTL_OK; word++)
        status = gpio_add(g, *word);
    return status;
}
