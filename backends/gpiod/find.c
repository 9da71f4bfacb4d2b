/* SPDX-License-Identifier: MIT */
/*
 * Numbers of chips depend on the order in which their drivers came up, so a spec names a chip by
 * its label, which belongs to the hardware, or by its name where labels do not tell two apart.
 */
#include "find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

error_t seam_errno(void)
{
    /* ENOTSUPP (524) is the kernel's own, and escapes from drivers of chips. */
    if (errno == 524)
        return -ENOTSUP;
    return errno ? -errno : -EIO;
}

/* --- chips --- */

struct search_s {
    const char *text;
    struct seam_chip_s *found;
    bool by_name;    /* an exact name wins over labels */
    bool ambiguous;  /* several labels match */
    char other[32];  /* the name of the second */
    char names[160]; /* what there is */
    unsigned seen;   /* chips */
    error_t refused; /* a chip that could not be opened */
};

static void note(struct search_s *s, const struct seam_chip_s *chip)
{
    size_t used = strlen(s->names);

    snprintf(s->names + used, sizeof(s->names) - used, "%s%s (%s)", used ? ", " : "",
             seam_chip_name(chip), seam_chip_label(chip));
    s->seen++;
}

static void consider(struct search_s *s, struct seam_chip_s *chip)
{
    bool name = strcmp(seam_chip_name(chip), s->text) == 0;
    bool label = strcmp(seam_chip_label(chip), s->text) == 0;

    note(s, chip);
    if (!s->by_name && (name || (label && !s->found))) {
        seam_chip_close(s->found);
        s->found = chip;
        s->by_name = name;
        return;
    }
    if (!s->by_name && label) {
        s->ambiguous = true;
        snprintf(s->other, sizeof(s->other), "%s", seam_chip_name(chip));
    }
    seam_chip_close(chip);
}

static void search(struct search_s *s, DIR *dir)
{
    const struct dirent *entry;

    while ((entry = readdir(dir))) {
        struct seam_chip_s *chip;
        char path[280];
        error_t err;

        if (strncmp(entry->d_name, "gpiochip", 8) != 0)
            continue;
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        err = seam_chip_open(&chip, path);
        if (!err)
            consider(s, chip);
        else if (!s->refused || strcmp(entry->d_name, s->text) == 0)
            s->refused = err;
    }
}

static error_t explain(const struct search_s *s)
{
    if (s->refused == -EACCES || s->refused == -EPERM)
        return device_error(s->refused,
                            "cannot open %s: %s (the group of /dev/gpiochip* is often "
                            "'gpio'; kroutine-gpio(3) has a udev rule)",
                            s->text, strerror(-s->refused));
    if (s->refused)
        return device_error(s->refused, "cannot open %s: %s", s->text, strerror(-s->refused));
    if (!s->seen)
        return device_error(-ENOENT, "no chip '%s': the machine has no /dev/gpiochip*", s->text);
    return device_error(-ENOENT, "no chip is called or labelled '%s'; there are: %s", s->text,
                        s->names);
}

error_t find_chip(struct seam_chip_s **ret, const char *text)
{
    struct search_s s = {.text = text};
    DIR *dir = opendir("/dev");

    if (!dir)
        return device_error(-errno, "cannot read /dev: %s", strerror(errno));
    search(&s, dir);
    closedir(dir);
    if (!s.found)
        return explain(&s);
    if (s.ambiguous && !s.by_name) {
        device_error(0, "two chips have the label '%s': use the name, %s or %s", text,
                     seam_chip_name(s.found), s.other);
        seam_chip_close(s.found);
        return -EINVAL;
    }
    *ret = s.found;
    return 0;
}

/* --- lines --- */

int find_line(const struct kr_lines_finder_s *finder, const char *name)
{
    struct dev_gpio_line_info_s info;
    int found = -ENOENT;

    for (unsigned i = 0; i < finder->count; i++) {
        error_t err = seam_chip_line(finder->pv, i, &info);

        if (err)
            return err;
        if (strcmp(info.name, name) == 0)
            found = found == -ENOENT ? (int)i : -ENOTUNIQ;
    }
    return found;
}

error_t find_culprit(struct seam_chip_s *chip, const uint32_t *offsets, unsigned count, error_t err)
{
    struct dev_gpio_line_info_s info;

    for (unsigned i = 0; i < count && err == -EBUSY; i++) {
        if (seam_chip_line(chip, offsets[i], &info) || !info.used)
            continue;
        return device_error(err, "line %u%s%s of %s is held by '%s'", offsets[i],
                            info.name[0] ? " " : "", info.name, seam_chip_name(chip),
                            info.consumer[0] ? info.consumer : "somebody without a name");
    }
    return device_error(err, "cannot take the lines of %s (%s): %s", seam_chip_name(chip),
                        seam_chip_label(chip), strerror(-err));
}
