/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: from a descriptor in the reactor to a kroutine. irq.h has the drivers' side.
 *
 * A line is what a requested irq has behind it:
 *
 *     kr_irq_open ──▶ firing ──claim: release, close──▶ closing ──quiet──▶ detached ──last put──▶ 0
 *
 * `kr_irq_lock` guards the two pointers between irq and line, and the state of all lines; it is
 * held for a few instructions, never while the driver, the kernel or a handler is called. Who
 * claims a line (sets `closing`) is the one that waits for the handler and then detaches; until it
 * has, the memory of the irq must stay, so a second release waits for it.
 *
 * Only the reactor looks and delivers. Who has claimed a line finds a delivery either not begun,
 * and then it does not begin, or the line `busy`, which is waited for in any context: the reactor
 * asks the driver, or puts the kroutine into a queue, and runs no handler. After that it is
 * "pending", then running on some thread (kr_thread_runs). Under the policies that may run the
 * handler right there the reactor's thread is marked as running it, and the line is not busy.
 *
 * Masking by not looking: the reactor finds `masked`, sets `skipped` and disarms the watch. What
 * has fired stays in the descriptor (or in `held`), and unmask makes the reactor look again. The
 * watch is armed and disarmed on the reactor only, so the two cannot overtake each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "irq_internal.h"

pthread_mutex_t kr_irq_lock = PTHREAD_MUTEX_INITIALIZER;

void kr_irq_put(struct kr_irq_line_s *line)
{
    if (kr_sub(&line->refs, 1) != 1)
        return;
    pthread_cond_destroy(&line->told);
    device_release(line->config.dev);
    free(line);
}

struct kr_irq_line_s *kr_irq_get(const struct dev_irq_s *irq)
{
    struct kr_irq_line_s *line;

    pthread_mutex_lock(&kr_irq_lock);
    line = irq->line;
    if (line)
        kr_add(&line->refs, 1);
    pthread_mutex_unlock(&kr_irq_lock);
    return line;
}

/* --- deliveries: reactor --- */

/* With the lock. */
static bool may_take(struct kr_irq_line_s *line)
{
    if (line->closing || line->error)
        return false;
    line->skipped |= line->masked;
    return !line->masked;
}

static bool may_run_inline(const struct kroutine_s *kr)
{
    return kr->policy == KROUTINE_IMMEDIATE || kr->policy == KROUTINE_TRIGGER;
}

/* With the lock, but not in between: the kroutine is executed. True: merged into a pending run. The
   irq may have been freed when this returns. */
static bool execute(struct kr_irq_line_s *line)
{
    struct kroutine_s *kr = &line->irq->kr;
    bool merged, here = may_run_inline(kr);

    line->unseen = true;
    pthread_cond_broadcast(&line->told);
    if (here) {
        kr_thread_enter(kr);
        line->busy = false;
        pthread_cond_broadcast(&line->told);
    }
    pthread_mutex_unlock(&kr_irq_lock);
    merged = kr_exec_merges(kr);
    if (here)
        kr_thread_leave();
    pthread_mutex_lock(&kr_irq_lock);
    return merged;
}

/* With the lock. */
static void deliver(struct kr_irq_line_s *line, uint64_t fired)
{
    line->counts.fired += fired;
    fired += line->held;
    line->held = 0;
    if (fired && line->masked) {
        line->held = fired;
        line->skipped = true;
    } else if (fired && !line->closing) {
        line->counts.handled++;
        line->counts.missed += fired - 1;
        if (execute(line)) {
            line->counts.handled--;
            line->counts.missed++;
        }
    }
}

/* With the lock. Its last run, which is not counted. */
static void gone(struct kr_irq_line_s *line, error_t error)
{
    line->error = error;
    if (!line->closing) {
        line->irq->error = (int16_t)error;
        execute(line);
    }
}

static void look(struct kr_irq_line_s *line)
{
    int64_t fired;
    bool may;

    pthread_mutex_lock(&kr_irq_lock);
    may = may_take(line);
    line->busy = may;
    pthread_mutex_unlock(&kr_irq_lock);
    if (!may)
        return;
    fired = line->config.take(line->config.pv, line->config.fd);
    if (fired < 0 && line->config.fd >= 0)
        kr_watch_disarm(&line->watch, KR_EV_IN);
    pthread_mutex_lock(&kr_irq_lock);
    if (fired < 0)
        gone(line, (error_t)fired);
    else
        deliver(line, (uint64_t)fired);
    line->busy = false;
    pthread_cond_broadcast(&line->told);
    pthread_mutex_unlock(&kr_irq_lock);
}

static void ready(struct kr_watch_s *w, unsigned events)
{
    struct kr_irq_line_s *line = KROUTINE_CONTAINER(w, struct kr_irq_line_s, watch);
    bool skipped;

    (void)events;
    kr_add(&line->refs, 1); /* a handler may release it */
    look(line);
    pthread_mutex_lock(&kr_irq_lock);
    skipped = line->skipped && !line->closing;
    pthread_mutex_unlock(&kr_irq_lock);
    if (skipped)
        kr_watch_disarm(w, KR_EV_IN);
    kr_irq_put(line);
}

static void released(struct kr_watch_s *w)
{
    kr_irq_put(KROUTINE_CONTAINER(w, struct kr_irq_line_s, watch));
}

static KROUTINE_EXEC(kicked)
{
    struct kr_irq_line_s *line = KROUTINE_CONTAINER(kr, struct kr_irq_line_s, kick);
    bool arm;

    (void)flags;
    pthread_mutex_lock(&kr_irq_lock);
    line->kicked = false;
    arm = line->config.fd >= 0 && !line->closing && !line->error;
    pthread_mutex_unlock(&kr_irq_lock);
    if (arm)
        kr_watch_arm(&line->watch, KR_EV_IN);
    look(line);
    kr_irq_put(line);
}

void kr_irq_look(struct kr_irq_line_s *line)
{
    bool mine;

    pthread_mutex_lock(&kr_irq_lock);
    mine = !line->kicked && !line->closing;
    if (mine) {
        line->kicked = true;
        kr_add(&line->refs, 1);
    }
    pthread_mutex_unlock(&kr_irq_lock);
    if (mine)
        kroutine_exec(&line->kick);
}

int64_t kr_irq_take_eventfd(void *pv, int fd)
{
    uint64_t count;

    (void)pv;
    if (read(fd, &count, sizeof(count)) != sizeof(count))
        return 0;
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

/* --- opening and closing --- */

error_t kr_irq_open(struct kr_irq_line_s **ret, struct dev_irq_s *irq,
                    const struct kr_irq_config_s *config)
{
    struct kroutine_runtime_s *rt = kr_device_runtime(config->dev);
    struct kr_irq_line_s *line = calloc(1, sizeof(*line));
    error_t err;

    if (!line)
        return -ENOMEM;
    line->config = *config;
    line->refs = config->fd < 0 ? 1 : 2;
    line->watch.ready = ready;
    line->watch.released = released;
    kroutine_init_sched_switch(&line->kick, kicked);
    line->kick.runtime = rt;
    line->kick.mark = KR_INTERNAL;
    err = config->fd < 0 ? 0 : kr_watch_open(rt, &line->watch, config->fd);
    if (err) {
        free(line);
        return err;
    }
    pthread_cond_init(&line->told, NULL);
    device_hold(config->dev);
    pthread_mutex_lock(&kr_irq_lock);
    line->irq = irq;
    irq->line = line;
    pthread_mutex_unlock(&kr_irq_lock);
    *ret = line;
    if (config->fd >= 0)
        kr_watch_arm(&line->watch, KR_EV_IN);
    return 0;
}

bool kr_irq_claim_locked(struct kr_irq_line_s *line)
{
    if (line->closing)
        return false;
    line->closing = true;
    pthread_cond_broadcast(&line->told);
    return true;
}

bool kr_irq_is_quiet(void *arg)
{
    const struct dev_irq_s *irq = arg;

    return !kr_thread_runs(&irq->kr) && !kroutine_is_pending(&irq->kr) && !kr_thread_runs(&irq->kr);
}

bool kr_irq_may_wait(const struct dev_irq_s *irq)
{
    return kroutine_is_interruptible() && !kr_self.reactor && !kr_thread_runs_here(&irq->kr);
}

error_t kr_irq_quiet(struct dev_irq_s *irq)
{
    kroutine_cancel(&irq->kr);
    if (kr_irq_is_quiet(irq))
        return 0;
    if (!kr_irq_may_wait(irq))
        return -EBUSY;
    kr_thread_wait(kr_irq_is_quiet, irq);
    return 0;
}

static void wait_while_busy(struct kr_irq_line_s *line)
{
    pthread_mutex_lock(&kr_irq_lock);
    while (line->busy)
        pthread_cond_wait(&line->told, &kr_irq_lock);
    pthread_mutex_unlock(&kr_irq_lock);
}

error_t kr_irq_detach(struct kr_irq_line_s *line)
{
    struct dev_irq_s *irq = line->irq;
    error_t err;

    wait_while_busy(line);
    err = kr_irq_quiet(irq);
    pthread_mutex_lock(&kr_irq_lock);
    irq->last = line->counts;
    line->irq = NULL;
    kr_store(&irq->line, NULL);
    pthread_mutex_unlock(&kr_irq_lock);
    kr_thread_tell();
    return err;
}

void kr_irq_close(struct kr_irq_line_s *line)
{
    bool mine;

    pthread_mutex_lock(&kr_irq_lock);
    mine = kr_irq_claim_locked(line);
    pthread_mutex_unlock(&kr_irq_lock);
    if (mine)
        kr_irq_detach(line);
    else
        wait_while_busy(line);
    if (line->config.fd >= 0)
        kr_watch_close(&line->watch);
    kr_irq_put(line);
}
