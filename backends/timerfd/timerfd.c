/* SPDX-License-Identifier: MIT */
/*
 * The alarm of a clock: a timerfd, absolute, one-shot. It is watched for edges, and every expiry is
 * one, whether the last was read or not: nothing is read and nothing is re-armed per event.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "clock.h"

struct kr_alarm_s {
    struct kr_watch_s watch;
    struct kr_clock_s *clock; /* reactor; NULL once closed */
    uint64_t deadline;        /* atomic: what the timerfd is set to */
    bool realtime;
    uint32_t stepped; /* atomic: timerfd_settime has swallowed the news of a step */
};

#define NEVER UINT64_MAX

static clockid_t system_clock(enum kr_clock_id_e id)
{
    switch (id) {
    case KR_CLOCK_REALTIME:
        return CLOCK_REALTIME;
    case KR_CLOCK_BOOTTIME:
        return CLOCK_BOOTTIME;
    default:
        return CLOCK_MONOTONIC;
    }
}

static uint64_t now(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t timerfd_now(const struct kr_clock_s *clock)
{
    return now(system_clock(clock->id));
}

/* A realtime one is always set, at the end of time if need be: steps of the clock are reported to
   those that are set only (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). */
static error_t set(struct kr_alarm_s *alarm, uint64_t deadline)
{
    struct itimerspec it = {0};
    int flags = TFD_TIMER_ABSTIME;

    if (alarm->realtime) {
        flags |= TFD_TIMER_CANCEL_ON_SET;
        if (deadline == NEVER)
            deadline = INT64_MAX;
    }
    if (deadline != NEVER) {
        if (!deadline)
            deadline = 1; /* all zero would disarm */
        it.it_value.tv_sec = (time_t)(deadline / 1000000000u);
        it.it_value.tv_nsec = (long)(deadline % 1000000000u);
    }
    return timerfd_settime(alarm->watch.fd, flags, &it, NULL) ? -errno : 0;
}

static void timerfd_arm(struct kr_clock_s *clock, uint64_t deadline)
{
    struct kr_alarm_s *alarm = clock->alarm;

    if (kr_xchg(&alarm->deadline, deadline) == deadline)
        return;
    /* ECANCELED: set, but the clock was stepped before, and this call was the one to be told.
       The reactor has to know: an alarm in the past calls it. */
    if (set(alarm, deadline) == -ECANCELED) {
        kr_store(&alarm->stepped, 1);
        kr_store(&alarm->deadline, 0);
        set(alarm, 0);
    }
}

/* Was the clock stepped? Only a read tells an expiry from a step. */
static bool was_stepped(struct kr_alarm_s *alarm)
{
    uint64_t expiries;

    if (read(alarm->watch.fd, &expiries, sizeof(expiries)) < 0 && errno == ECANCELED)
        kr_store(&alarm->stepped, 1);
    return kr_xchg(&alarm->stepped, 0) != 0;
}

static void alarm_ready(struct kr_watch_s *w, unsigned events)
{
    struct kr_alarm_s *alarm = KROUTINE_CONTAINER(w, struct kr_alarm_s, watch);
    struct kr_clock_s *clock = alarm->clock;
    uint64_t deadline;

    (void)events;
    if (!clock)
        return;
    bool stepped = alarm->realtime && was_stepped(alarm);

    /* It rang: the same deadline again has to be set again. */
    deadline = kr_load(&alarm->deadline);
    if (deadline != NEVER && deadline <= timerfd_now(clock))
        kr_cas(&alarm->deadline, &deadline, NEVER);
    if (stepped)
        kr_clock_stepped(clock);
    kr_clock_expire(clock);
}

static void alarm_released(struct kr_watch_s *w)
{
    free(KROUTINE_CONTAINER(w, struct kr_alarm_s, watch));
}

static error_t timerfd_open(struct kr_clock_s *clock)
{
    struct kr_alarm_s *alarm = calloc(1, sizeof(*alarm));
    error_t error;

    if (!alarm)
        return -ENOMEM;
    int fd = timerfd_create(system_clock(clock->id), TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0) {
        error = -errno;
        free(alarm);
        return error;
    }
    alarm->clock = clock;
    alarm->deadline = NEVER;
    alarm->realtime = clock->id == KR_CLOCK_REALTIME;
    alarm->watch.ready = alarm_ready;
    alarm->watch.released = alarm_released;
    error = kr_watch_open(clock->rt, &alarm->watch, fd);
    if (error) {
        close(fd);
        free(alarm);
        return error;
    }
    clock->alarm = alarm;
    kr_watch_arm(&alarm->watch, KR_EV_IN);
    if (alarm->realtime)
        set(alarm, NEVER);
    return 0;
}

static void timerfd_close(struct kr_clock_s *clock)
{
    struct kr_alarm_s *alarm = clock->alarm;

    clock->alarm = NULL;
    alarm->clock = NULL;
    kr_watch_close(&alarm->watch);
}

const struct kr_clock_ops_s kr_clock_timerfd = {
    .capabilities = DEV_TIMER_CAP_REQUEST | DEV_TIMER_CAP_VARFREQ,
    .open = timerfd_open,
    .close = timerfd_close,
    .now = timerfd_now,
    .arm = timerfd_arm,
};
