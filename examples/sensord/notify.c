/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told, by libsystemd: sd_notify(3). Nothing without one, which is no
 * error.
 *
 * The watchdog is fed at half of its time, and only while readings end: a loop that turns while the
 * sensor's request is stuck in the kernel is no service.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sensord.h"

#ifdef SENSORD_SYSTEMD
#include <systemd/sd-daemon.h>
#else /* built without it: nobody is told */
#define sd_notify(unset, state)          ((void)(state))
#define sd_notifyf(unset, format, ...)   ((void)(format), (void)(__VA_ARGS__))
#define sd_watchdog_enabled(unset, usec) (*(usec) = 0, 0)
#endif

static struct dev_timer_rq_s feed;
static uint64_t limit; /* ns, of the watchdog */

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now() / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void notify_status(void)
{
    static char last[160];
    static bool known;
    char text[160];
    char *readings;

    /* Their numbers change each time, which is no news. */
    control_describe(text, sizeof(text));
    readings = strchr(text, ')');
    if (readings)
        readings[1] = '\0';
    if (known && strcmp(text, last) == 0)
        return;
    known = true;
    memcpy(last, text, sizeof(last));
    sd_notifyf(0, "STATUS=%s", text);
}

static KROUTINE_EXEC(on_feed)
{
    (void)kr, (void)flags;
    if (sensord.stopping || feed.error != 0)
        return;
    if (sensor_alive(limit))
        sd_notify(0, "WATCHDOG=1");
    (void)DEVICE_OP(&sensord.timer, request, &feed); /* the same delay again */
}

error_t notify_watchdog(void)
{
    uint64_t usec;

    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    dev_timer_rq_init(&feed, on_feed);
    limit = usec * 1000;
    feed.delay = limit / 2;
    return DEVICE_OP(&sensord.timer, request, &feed);
}
