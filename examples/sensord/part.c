/* SPDX-License-Identifier: MIT */
/* The life of a device that may be away: sensord.h has the states. */
#include <errno.h>
#include <string.h>

#include "sensord.h"

#define DELAY_MIN KROUTINE_SEC(1)
#define DELAY_MAX KROUTINE_SEC(30)

/* -EACCES: udev has not been there yet, when the device has just come. */
static bool may_come(error_t error)
{
    return error != -EINVAL && error != -ERANGE && error != -ENOTSUP;
}

bool is_gone(error_t error)
{
    return error == -ENODEV || error == -ENODATA || error == -EIO || error == -EBADF ||
           error == -ENXIO;
}

static void later(struct part_s *part)
{
    part->delay = part->delay == 0              ? DELAY_MIN
                  : part->delay * 2 > DELAY_MAX ? DELAY_MAX
                                                : part->delay * 2;
    if (part->waiting)
        return;
    part->retry.delay = part->delay;
    part->waiting = DEVICE_OP(&sensord.timer, request, &part->retry) == 0;
}

static error_t attempt(struct part_s *part)
{
    error_t error = part->open();

    part->is_open = error == 0;
    return error;
}

static KROUTINE_EXEC(on_retry)
{
    struct part_s *part = KROUTINE_CONTAINER(kr, struct part_s, retry.base.kr);

    (void)flags;
    part->waiting = false;
    if (sensord.stopping || part->retry.error != 0 || part->is_open)
        return;
    if (attempt(part) != 0)
        later(part);
}

bool part_start(struct part_s *part)
{
    error_t error;

    dev_timer_rq_init(&part->retry, on_retry);
    if (part->spec[0] == '\0')
        return true;
    error = attempt(part);
    if (error == 0)
        return true;
    say("%s: %s", part->name, kroutine_error_text());
    part->failing = true;
    if (!may_come(error))
        return false;
    later(part);
    return true;
}

void part_stop(struct part_s *part)
{
    if (part->waiting && DEVICE_OP(&sensord.timer, cancel, &part->retry) == 0)
        part->waiting = false;
    if (part->is_open)
        part->close();
    part->is_open = false;
    part->delay = 0;
}

/* Where the words of strerror(3) are those of networks and files. */
static const char *words(error_t error)
{
    switch (error) {
    case -EHOSTUNREACH:
        return "no chip answers at its address";
    case -EREMOTEIO:
        return "the chip did not acknowledge";
    case -ETIMEDOUT:
        return "no answer in time";
    case -ENODEV:
        return "the device is gone";
    case -ENODATA:
        return "the other side has closed";
    case -ENOTSUP:
        return "the device cannot do this";
    default:
        return strerror(-error);
    }
}

void part_failed(struct part_s *part, error_t error, bool gone)
{
    if (!part->failing)
        say("%s: %s%s", part->name, words(error), gone ? "; it is opened again" : "");
    part->failing = true;
    if (!gone || !part->is_open)
        return;
    part->close();
    part->is_open = false;
    later(part);
}

void part_works(struct part_s *part)
{
    if (part->failing)
        say("%s: works", part->name);
    part->failing = false;
    part->delay = 0;
}
