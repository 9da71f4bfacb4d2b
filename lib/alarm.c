/* SPDX-License-Identifier: MIT */
/* Alarms. */
#include "alarm.h"

static struct kr_clock_s *clock_of(const struct kr_alarm_s *alarm)
{
    return &device_runtime(alarm->dev)->clocks[KR_CLOCK_MONOTONIC];
}

static KROUTINE_EXEC(rings)
{
    struct kr_alarm_s *alarm = KROUTINE_CONTAINER(kr, struct kr_alarm_s, timer.base.kr);
    struct device_s *dev = alarm->dev;
    struct kroutine_s *next;

    (void)flags;
    pthread_mutex_lock(alarm->lock);
    alarm->at = 0;
    next = alarm->rang(alarm);
    pthread_mutex_unlock(alarm->lock);
    if (next)
        kroutine_exec(next);
    device_release(dev);
}

void kr_alarm_init(struct kr_alarm_s *alarm, struct device_s *dev, pthread_mutex_t *lock,
                   struct kroutine_s *(*rang)(struct kr_alarm_s *alarm))
{
    alarm->dev = dev;
    alarm->lock = lock;
    alarm->rang = rang;
    alarm->at = 0;
    dev_timer_rq_init_immediate(&alarm->timer, rings);
}

static void note(struct kr_alarm_s *alarm, uint64_t at)
{
    pthread_mutex_lock(alarm->lock);
    alarm->at = at;
    pthread_mutex_unlock(alarm->lock);
}

error_t kr_alarm_set(struct kr_alarm_s *alarm, uint64_t at)
{
    uint64_t old;
    error_t err;

    pthread_mutex_lock(alarm->lock);
    old = alarm->at;
    pthread_mutex_unlock(alarm->lock);
    if (old && old <= at)
        return 0;
    if (!old) {
        device_hold(alarm->dev);
    } else if (kr_clock_cancel(clock_of(alarm), &alarm->timer)) {
        pthread_mutex_lock(alarm->lock);
        if (alarm->at == old)
            alarm->at = 1;
        pthread_mutex_unlock(alarm->lock);
        return 0;
    }
    note(alarm, at);
    alarm->timer.delay = 0;
    alarm->timer.deadline = at;
    err = kr_clock_request(clock_of(alarm), &alarm->timer);
    if (!err)
        return 0;
    note(alarm, 0);
    device_release(alarm->dev);
    return err;
}

void kr_alarm_stop(struct kr_alarm_s *alarm)
{
    if (!kr_clock_cancel(clock_of(alarm), &alarm->timer))
        device_release(alarm->dev);
}
