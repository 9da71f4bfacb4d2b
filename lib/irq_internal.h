/* SPDX-License-Identifier: MIT */
/* Shared by irq.c, which delivers, and irq_calls.c, what programs call. */
#ifndef KR_IRQ_INTERNAL_H
#define KR_IRQ_INTERNAL_H

#include "device.h"
#include "irq.h"

/* See irq.c. */
extern pthread_mutex_t kr_irq_lock;

struct kr_irq_line_s {
    struct kr_watch_s watch;
    struct kroutine_s kick; /* the reactor looks */
    struct kr_irq_config_s config;
    uint32_t refs; /* atomic: the driver, the watch, a pending kick, calls that are under way */

    /* kr_irq_lock */
    struct dev_irq_s *irq; /* NULL: detached */
    struct dev_irq_counts_s counts;
    uint64_t held;       /* taken from the descriptor, but masked meanwhile */
    pthread_cond_t told; /* unseen, closing, error */
    error_t error;       /* -ENODEV: it will not fire again */
    bool closing;
    bool masked;
    bool skipped; /* the reactor did not look because of `masked` */
    bool kicked;
    bool busy;   /* the reactor is in `take`, or in kroutine_exec of a policy that only schedules */
    bool unseen; /* fired since the last dev_irq_wait */
};

/* The line of `irq`, with a reference; NULL: not requested (any more). */
struct kr_irq_line_s *kr_irq_get(const struct dev_irq_s *irq);
void kr_irq_put(struct kr_irq_line_s *line);
/* The line becomes this thread's to end. */
bool kr_irq_claim_locked(struct kr_irq_line_s *line);
/* Of a line that this thread has claimed. -EBUSY: a handler is running, and may not be waited for.
 */
error_t kr_irq_detach(struct kr_irq_line_s *line);
/* Takes a pending run back, and waits for one that is under way. 0, -EBUSY: it may not. */
error_t kr_irq_quiet(struct dev_irq_s *irq);
/* May this thread wait for a handler of `irq`, which may wait for anything? */
bool kr_irq_may_wait(const struct dev_irq_s *irq);
bool kr_irq_is_quiet(void *irq);

#endif
