/* SPDX-License-Identifier: MIT */
/*
 * A timer by which a driver of the library looks at its device again: for time-outs, for instance.
 * It rings once. Set again it is moved to the front; it is never put back, as one look too many
 * costs less than that.
 */
#ifndef KR_ALARM_H
#define KR_ALARM_H

#include <pthread.h>

#include "internal.h"

struct kr_alarm_s {
    struct device_s *dev;  /* an alarm that is set holds it */
    pthread_mutex_t *lock; /* of the owner */
    /* It rings: on the reactor, with the lock. The kroutine to execute then; NULL: none. */
    struct kroutine_s *(*rang)(struct kr_alarm_s *alarm);
    struct dev_timer_rq_s timer;
    uint64_t at; /* with the lock: ns on the monotonic clock; 0: not set; 1: it is about to ring */
};

void kr_alarm_init(struct kr_alarm_s *alarm, struct device_s *dev, pthread_mutex_t *lock,
                   struct kroutine_s *(*rang)(struct kr_alarm_s *alarm));
/* By one thread at a time, without the lock. -ETIMEDOUT: it is that late already; others: the clock
   cannot. */
error_t kr_alarm_set(struct kr_alarm_s *alarm, uint64_t at);
/* It may be ringing, and holds the device until it has. */
void kr_alarm_stop(struct kr_alarm_s *alarm);

#endif
