/* SPDX-License-Identifier: MIT */
#include "chip.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLASS       "/sys/class/pwm"
#define UDEV_LOOKS  200 /* for files of a new channel to become ours, … */
#define UDEV_PERIOD 10  /* … ms in between */

/* --- chips --- */

static void look(struct chip_s *chip, const char *name)
{
    char text[32] = "0";

    snprintf(chip->name, sizeof(chip->name), "%.31s", name);
    snprintf(chip->folder, sizeof(chip->folder), CLASS "/%s", chip->name);
    kr_platform_link_name(chip->hardware, sizeof(chip->hardware), chip->folder, "device");
    kr_platform_attribute(text, sizeof(text), chip->folder, "npwm");
    chip->channels = (uint32_t)strtoul(text, NULL, 10);
}

struct search_s {
    const char *text;
    unsigned found;
    char other[32];  /* a second one of that hardware */
    char names[160]; /* what there is */
};

static void consider(struct search_s *s, struct chip_s *chip, const char *name)
{
    size_t used = strlen(s->names);
    struct chip_s candidate;
    bool match;

    look(&candidate, name);
    snprintf(s->names + used, sizeof(s->names) - used, "%s%s (%s)", used ? ", " : "",
             candidate.name, candidate.hardware);
    match = strcmp(candidate.name, s->text) == 0;
    if (!match && strcmp(candidate.hardware, s->text) != 0)
        return;
    if (s->found && !match) {
        memcpy(s->other, candidate.name, sizeof(s->other));
        s->found++;
        return;
    }
    *chip = candidate;
    s->found = 1;
}

error_t chip_find(struct chip_s *chip, const char *text)
{
    struct search_s s = {.text = text};
    const struct dirent *entry;
    DIR *dir = opendir(CLASS);

    while (dir && (entry = readdir(dir))) {
        if (*entry->d_name != '.')
            consider(&s, chip, entry->d_name);
    }
    if (dir)
        closedir(dir);
    if (s.found > 1)
        return device_error(-ENOTUNIQ, "'%s' is both %s and %s: use one of these names", text,
                            chip->name, s.other);
    if (s.found)
        return 0;
    return device_error(
        -ENOENT, "there is no PWM chip '%s'; there is %s", text,
        *s.names ? s.names : "none: on a Raspberry Pi, dtoverlay=pwm in config.txt makes one");
}

/* --- channels --- */

static error_t write_text(int fd, const char *text)
{
    size_t length = strlen(text);
    ssize_t n = pwrite(fd, text, length, 0);

    /* ENOTSUPP (524) is the kernel's own, and escapes from drivers of chips. */
    return n == (ssize_t)length ? 0 : n >= 0 ? -EIO : errno == 524 ? -ENOTSUP : -errno;
}

/* To "export" or "unexport" of the chip. */
static error_t tell_chip(const struct chip_s *chip, const char *file, uint32_t number)
{
    char path[96], text[16];
    error_t err;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", chip->folder, file);
    snprintf(text, sizeof(text), "%u", number);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    err = write_text(fd, text);
    close(fd);
    return err;
}

static bool is_exported(const struct chip_s *chip, uint32_t number)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/pwm%u", chip->folder, number);
    return access(path, F_OK) == 0;
}

static error_t not_exported(const struct chip_s *chip, uint32_t number, error_t err)
{
    if (err == -EBUSY && is_exported(chip, number))
        return device_error(err,
                            "channel %u of %s is exported already, by another program or left "
                            "over: exported=yes takes it, or write %u to %s/unexport",
                            number, chip->name, number, chip->folder);
    if (err == -EBUSY)
        return device_error(err,
                            "channel %u of %s is held by a driver of the kernel; "
                            "/sys/kernel/debug/pwm tells by which",
                            number, chip->name);
    if (err == -EACCES || err == -EPERM)
        return device_error(err, "%s/export: %s: a rule of udev can give it to a group",
                            chip->folder, strerror(-err));
    return device_error(err, "channel %u of %s: %s", number, chip->name, strerror(-err));
}

/* The files are root's, until a rule of udev gives them to somebody else. */
static int open_file(const char *path, bool fresh)
{
    static const struct timespec pause = {.tv_nsec = UDEV_PERIOD * 1000000};
    int fd = open(path, O_RDWR | O_CLOEXEC);

    for (int i = 0; fd < 0 && errno == EACCES && fresh && i < UDEV_LOOKS; i++) {
        nanosleep(&pause, NULL);
        fd = open(path, O_RDWR | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

static error_t open_files(struct channel_s *channel, const struct chip_s *chip)
{
    static const char *const files[CHANNEL_FILES] = {"period", "duty_cycle", "polarity", "enable"};

    for (int i = 0; i < CHANNEL_FILES; i++) {
        char path[96];

        snprintf(path, sizeof(path), "%s/pwm%u/%s", chip->folder, channel->number, files[i]);
        channel->fd[i] = open_file(path, channel->ours);
        if (channel->fd[i] < 0)
            return device_error(channel->fd[i], "%s: %s", path, strerror(-channel->fd[i]));
    }
    return 0;
}

error_t channel_open(struct channel_s *channel, const struct chip_s *chip, uint32_t number,
                     bool adopt)
{
    error_t err;

    if (number >= chip->channels)
        return device_error(-EINVAL, "%s has %u channels, and no channel %u", chip->name,
                            chip->channels, number);
    *channel = (struct channel_s){.fd = {-1, -1, -1, -1}, .number = number, .open = true};
    if (!adopt || !is_exported(chip, number)) {
        err = tell_chip(chip, "export", number);
        if (err) {
            channel->open = false;
            return not_exported(chip, number, err);
        }
        channel->ours = true;
    }
    err = open_files(channel, chip);
    if (err)
        channel_close(channel, chip);
    return err;
}

void channel_close(struct channel_s *channel, const struct chip_s *chip)
{
    if (!channel->open)
        return;
    channel->open = false;
    for (int i = 0; i < CHANNEL_FILES; i++) {
        if (channel->fd[i] >= 0)
            close(channel->fd[i]);
    }
    if (channel->ours)
        tell_chip(chip, "unexport", channel->number);
}

/* --- values --- */

error_t channel_write(const struct channel_s *channel, const struct kr_pwm_step_s *step)
{
    char text[24];

    if (step->what == KR_PWM_POLARITY)
        return write_text(channel->fd[step->what], step->value ? "inversed" : "normal");
    snprintf(text, sizeof(text), "%" PRIu64, step->value);
    return write_text(channel->fd[step->what], text);
}

static error_t read_text(char text[32], int fd)
{
    ssize_t n = pread(fd, text, 31, 0);

    if (n < 0)
        return -errno;
    text[n] = 0;
    return 0;
}

error_t channel_read(const struct channel_s *channel, struct dev_pwm_state_s *state)
{
    char text[CHANNEL_FILES][32];

    for (int i = 0; i < CHANNEL_FILES; i++) {
        error_t err = read_text(text[i], channel->fd[i]);

        if (err)
            return err;
    }
    state->period_ns = strtoull(text[KR_PWM_PERIOD], NULL, 10);
    state->duty_ns = strtoull(text[KR_PWM_DUTY], NULL, 10);
    state->inverted = strncmp(text[KR_PWM_POLARITY], "inversed", 8) == 0;
    state->enabled = *text[KR_PWM_ENABLE] == '1';
    return 0;
}
