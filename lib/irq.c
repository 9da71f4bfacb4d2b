/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: from a descriptor in the reactor to a kroutine. irq.h has the drivers' side.
 *
 * A line is what a requested irq has behind it:
 *
 *     kr_irq_open ──▶ firing ──claim: release, close──▶ closing ──quiet──▶ detached ──last put──▶ 0
 *
 * `lock` guards the two pointers between irq and line, and the state of all lines; it is held for a
 * few instructions, never while the driver, the kernel or a handler is called. Who claims a line
 * (sets `closing`) is the one that waits for the handler and then detaches; until it has, the
 * memory of the irq must stay, so a second release waits for it.
 *
 * Deliveries are made by the reactor alone. Who has claimed a line finds one of them either not
 * begun, and then it does not begin, or `executing`, which is waited for in any context: the
 * reactor is putting the kroutine into a queue and calls nobody. After that it is "pending", then
 * running on some thread (kr_thread_runs). Under the policies that may run the handler right there
 * the reactor's thread is marked as running it instead of `executing`.
 *
 * Masking by not looking: the reactor finds `masked`, sets `skipped` and disarms the watch. What
 * has fired stays in the descriptor (or in `held`), and unmask makes the reactor look again. The
 * watch is armed and disarmed on the reactor only, so the two cannot overtake each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "irq.h"

struct kr_irq_line_s {
    struct kr_watch_s watch;
    struct kroutine_s kick; /* the reactor looks */
    struct kr_irq_config_s config;
    uint32_t refs; /* atomic: the driver, the watch, a pending kick, calls that are under way */

    /* lock */
    struct dev_irq_s *irq; /* NULL: detached */
    struct dev_irq_counts_s counts;
    uint64_t held;       /* taken from the descriptor, but masked meanwhile */
    pthread_cond_t told; /* unseen, closing, error */
    error_t error;       /* -ENODEV: it will not fire again */
    bool closing;
    bool masked;
    bool skipped; /* the reactor did not look because of `masked` */
    bool kicked;
    bool executing; /* the reactor is in kroutine_exec, of a policy that only schedules */
    bool unseen;    /* fired since the last dev_irq_wait */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void put(struct kr_irq_line_s *line)
{
    if (kr_sub(&line->refs, 1) != 1)
        return;
    pthread_cond_destroy(&line->told);
    device_release(line->config.dev);
    free(line);
}

/* The line of `irq`, with a reference; NULL: not requested (any more). */
static struct kr_irq_line_s *get(const struct dev_irq_s *irq)
{
    struct kr_irq_line_s *line;

    pthread_mutex_lock(&lock);
    line = irq->line;
    if (line)
        kr_add(&line->refs, 1);
    pthread_mutex_unlock(&lock);
    return line;
}

/* --- deliveries: reactor --- */

static bool may_take(struct kr_irq_line_s *line)
{
    bool may;

    pthread_mutex_lock(&lock);
    may = !line->closing && !line->error;
    if (may && line->masked) {
        line->skipped = true;
        may = false;
    }
    pthread_mutex_unlock(&lock);
    return may;
}

static bool may_run_inline(const struct kroutine_s *kr)
{
    return kr->policy == KROUTINE_IMMEDIATE || kr->policy == KROUTINE_TRIGGER;
}

/* With the lock, also afterwards, but not in between: the kroutine is executed. True: merged into a
   pending run. The irq may have been freed when this returns. */
static bool execute_locked(struct kr_irq_line_s *line)
{
    struct kroutine_s *kr = &line->irq->kr;
    bool merged, here = may_run_inline(kr);

    line->unseen = true;
    pthread_cond_broadcast(&line->told);
    if (here)
        kr_thread_enter(kr);
    else
        line->executing = true;
    pthread_mutex_unlock(&lock);
    merged = kr_exec_merges(kr);
    if (here)
        kr_thread_leave();
    pthread_mutex_lock(&lock);
    line->executing = false;
    if (line->closing)
        pthread_cond_broadcast(&line->told);
    return merged;
}

static void deliver(struct kr_irq_line_s *line, uint64_t fired)
{
    pthread_mutex_lock(&lock);
    line->counts.fired += fired;
    fired += line->held;
    line->held = 0;
    if (fired && line->masked) {
        line->held = fired;
        line->skipped = true;
    } else if (fired && !line->closing) {
        line->counts.handled++;
        line->counts.missed += fired - 1;
        if (execute_locked(line)) {
            line->counts.handled--;
            line->counts.missed++;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* Its last run, which is not counted. */
static void gone(struct kr_irq_line_s *line, error_t error)
{
    if (line->config.fd >= 0)
        kr_watch_disarm(&line->watch, KR_EV_IN);
    pthread_mutex_lock(&lock);
    line->error = error;
    if (!line->closing) {
        line->irq->error = (int16_t)error;
        execute_locked(line);
    }
    pthread_mutex_unlock(&lock);
}

static void look(struct kr_irq_line_s *line)
{
    int64_t fired;

    if (!may_take(line))
        return;
    fired = line->config.take(line->config.pv, line->config.fd);
    if (fired < 0)
        gone(line, (error_t)fired);
    else
        deliver(line, (uint64_t)fired);
}

static void ready(struct kr_watch_s *w, unsigned events)
{
    struct kr_irq_line_s *line = KROUTINE_CONTAINER(w, struct kr_irq_line_s, watch);
    bool skipped;

    (void)events;
    kr_add(&line->refs, 1); /* a handler may release it */
    look(line);
    pthread_mutex_lock(&lock);
    skipped = line->skipped && !line->closing;
    pthread_mutex_unlock(&lock);
    if (skipped)
        kr_watch_disarm(w, KR_EV_IN);
    put(line);
}

static void released(struct kr_watch_s *w)
{
    put(KROUTINE_CONTAINER(w, struct kr_irq_line_s, watch));
}

static KROUTINE_EXEC(kicked)
{
    struct kr_irq_line_s *line = KROUTINE_CONTAINER(kr, struct kr_irq_line_s, kick);
    bool arm;

    (void)flags;
    pthread_mutex_lock(&lock);
    line->kicked = false;
    arm = line->config.fd >= 0 && !line->closing && !line->error;
    pthread_mutex_unlock(&lock);
    if (arm)
        kr_watch_arm(&line->watch, KR_EV_IN);
    look(line);
    put(line);
}

void kr_irq_look(struct kr_irq_line_s *line)
{
    bool mine;

    pthread_mutex_lock(&lock);
    mine = !line->kicked && !line->closing;
    if (mine) {
        line->kicked = true;
        kr_add(&line->refs, 1);
    }
    pthread_mutex_unlock(&lock);
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
    pthread_mutex_lock(&lock);
    line->irq = irq;
    irq->line = line;
    pthread_mutex_unlock(&lock);
    *ret = line;
    if (config->fd >= 0)
        kr_watch_arm(&line->watch, KR_EV_IN);
    return 0;
}

/* With the lock: the line becomes this thread's to end. */
static bool claim_locked(struct kr_irq_line_s *line)
{
    if (line->closing)
        return false;
    line->closing = true;
    pthread_cond_broadcast(&line->told);
    return true;
}

static bool is_quiet(void *arg)
{
    const struct dev_irq_s *irq = arg;

    return !kr_thread_runs(&irq->kr) && !kroutine_is_pending(&irq->kr) && !kr_thread_runs(&irq->kr);
}

/* May this thread wait for a handler of `irq`, which may wait for anything? */
static bool may_wait(const struct dev_irq_s *irq)
{
    return kroutine_is_interruptible() && !kr_self.reactor && !kr_thread_runs_here(&irq->kr);
}

/* Takes a pending run back, and waits for one that is under way. 0, -EBUSY: it may not. */
static error_t quiet(struct dev_irq_s *irq)
{
    kroutine_cancel(&irq->kr);
    if (is_quiet(irq))
        return 0;
    if (!may_wait(irq))
        return -EBUSY;
    kr_thread_wait(is_quiet, irq);
    return 0;
}

/* Of a line that this thread has claimed. */
static error_t detach(struct kr_irq_line_s *line)
{
    struct dev_irq_s *irq = line->irq;
    error_t err;

    pthread_mutex_lock(&lock);
    while (line->executing)
        pthread_cond_wait(&line->told, &lock);
    pthread_mutex_unlock(&lock);
    err = quiet(irq);
    pthread_mutex_lock(&lock);
    irq->last = line->counts;
    line->irq = NULL;
    kr_store(&irq->line, NULL);
    pthread_mutex_unlock(&lock);
    kr_thread_tell();
    return err;
}

void kr_irq_close(struct kr_irq_line_s *line)
{
    bool mine;

    pthread_mutex_lock(&lock);
    mine = claim_locked(line);
    pthread_mutex_unlock(&lock);
    if (mine)
        detach(line);
    if (line->config.fd >= 0)
        kr_watch_close(&line->watch);
    put(line);
}

/* --- calls --- */

/* For the time of a call: its line, and the device entered. */
struct call_s {
    struct kr_irq_line_s *line;
    struct device_mmio_s acc;
};

static error_t begin(struct call_s *call, const struct dev_irq_s *irq)
{
    struct device_s *dev;
    error_t err;

    if (kr_load(&irq->line) && irq->forks != kr_load_relaxed(&kr_forks))
        return -EPERM;
    call->line = get(irq);
    if (!call->line)
        return -ECANCELED;
    dev = call->line->config.dev;
    call->acc = (struct device_mmio_s)DEVICE_ACCESSOR_INIT;
    call->acc.dev = dev;
    call->acc.api = &kr_mmio_front;
    call->acc.drv = kr_device_table(dev, DRIVER_CLASS_MMIO);
    err = kr_class_enter(dev);
    if (err) {
        kr_device_leave(dev);
        put(call->line);
    }
    return err;
}

static error_t end(struct call_s *call, error_t err)
{
    kr_device_leave(call->line->config.dev);
    put(call->line);
    return err;
}

error_t kr_irq_request(const struct device_mmio_s *acc, struct dev_irq_s *irq)
{
    error_t err;

    if ((unsigned)irq->kind >= DEV_IRQ_KINDS)
        return device_error(-EINVAL, "there is no interrupt of kind %u", (unsigned)irq->kind);
    if (!acc->drv->f_irq_request)
        return device_error(-ENOTSUP, "the driver %s has no interrupts",
                            device_driver_name(acc->dev));
    if (kr_load(&irq->line))
        return device_error(-EBUSY, "this interrupt is requested already");
    err = kroutine_bind(&irq->kr, kr_device_runtime(acc->dev));
    if (err)
        return device_error(err, "the kroutine of this interrupt is pending");
    irq->forks = kr_load_relaxed(&kr_forks);
    irq->error = 0;
    irq->last = (struct dev_irq_counts_s){0};
    return acc->drv->f_irq_request(acc, irq);
}

static bool is_detached(void *arg)
{
    const struct dev_irq_s *irq = arg;

    return !kr_load(&irq->line) && is_quiet(arg);
}

/* Another thread, or nobody, has the line. */
static error_t wait_for_release(struct dev_irq_s *irq)
{
    if (!kr_load(&irq->line))
        return quiet(irq);
    if (!may_wait(irq))
        return -EBUSY;
    kr_thread_wait(is_detached, irq);
    return 0;
}

error_t dev_irq_release(struct dev_irq_s *irq)
{
    struct kr_irq_line_s *line;
    struct call_s call;
    bool mine = false;
    error_t err;

    if (kr_load(&irq->line) && irq->forks != kr_load_relaxed(&kr_forks))
        return -EPERM;
    pthread_mutex_lock(&lock);
    line = irq->line;
    if (line) {
        mine = claim_locked(line);
        if (mine)
            kr_add(&line->refs, 1);
    }
    pthread_mutex_unlock(&lock);
    if (!mine)
        return wait_for_release(irq);
    err = begin(&call, irq);
    if (!err) {
        call.acc.drv->f_irq_release(&call.acc, irq);
        end(&call, 0);
    } /* else: the thread that closes the device tells the driver's part */
    err = detach(line);
    put(line);
    return err;
}

error_t dev_irq_mask(struct dev_irq_s *irq)
{
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    if (call.acc.drv->f_irq_mask)
        err = call.acc.drv->f_irq_mask(&call.acc, irq);
    if (!err || err == -ENOTSUP) {
        pthread_mutex_lock(&lock);
        err = call.line->error;
        call.line->masked = true;
        pthread_mutex_unlock(&lock);
    }
    return end(&call, err);
}

error_t dev_irq_unmask(struct dev_irq_s *irq)
{
    struct call_s call;
    error_t err = begin(&call, irq);
    bool skipped;

    if (err)
        return err;
    pthread_mutex_lock(&lock);
    call.line->masked = false;
    skipped = call.line->skipped;
    call.line->skipped = false;
    err = call.line->error;
    pthread_mutex_unlock(&lock);
    if (skipped)
        kr_irq_look(call.line);
    if (!err && call.acc.drv->f_irq_unmask)
        err = call.acc.drv->f_irq_unmask(&call.acc, irq);
    return end(&call, err == -ENOTSUP ? 0 : err);
}

void dev_irq_counts(const struct dev_irq_s *irq, struct dev_irq_counts_s *counts)
{
    pthread_mutex_lock(&lock);
    *counts = irq->line ? irq->line->counts : irq->last;
    pthread_mutex_unlock(&lock);
}

error_t dev_irq_number(struct dev_irq_s *irq, unsigned *number)
{
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    err =
        call.acc.drv->f_irq_number ? call.acc.drv->f_irq_number(&call.acc, irq, number) : -ENOTSUP;
    return end(&call, err);
}

error_t dev_irq_set_affinity(struct dev_irq_s *irq, unsigned cpu)
{
    unsigned number;
    error_t err = dev_irq_number(irq, &number);

    return err ? err : kr_platform_irq_affinity(number, cpu);
}

/* --- waiting --- */

struct wait_s {
    struct dev_timer_rq_s timer;
    struct kr_irq_line_s *line;
    bool over; /* lock */
};

static KROUTINE_EXEC(wait_over)
{
    struct wait_s *wait = KROUTINE_CONTAINER(kr, struct wait_s, timer.base.kr);

    (void)flags;
    pthread_mutex_lock(&lock);
    wait->over = true;
    pthread_cond_broadcast(&wait->line->told);
    pthread_mutex_unlock(&lock);
}

/* True: armed, and to be taken back. */
static error_t arm(struct wait_s *wait, struct kroutine_runtime_s *rt, uint64_t timeout_ns)
{
    dev_timer_rq_init_immediate(&wait->timer, wait_over);
    wait->timer.base.kr.runtime = rt;
    wait->timer.deadline = 0;
    wait->timer.delay = timeout_ns;
    return kr_clock_request(&rt->clocks[KR_CLOCK_MONOTONIC], &wait->timer);
}

static error_t wait_for(struct kr_irq_line_s *line, struct wait_s *wait)
{
    error_t err;

    pthread_mutex_lock(&lock);
    while (!line->unseen && !line->closing && !line->error && !wait->over)
        pthread_cond_wait(&line->told, &lock);
    if (line->closing)
        err = -ECANCELED;
    else if (line->error)
        err = line->error;
    else
        err = line->unseen ? 0 : -ETIMEDOUT;
    if (!err)
        line->unseen = false;
    pthread_mutex_unlock(&lock);
    return err;
}

static void disarm(struct wait_s *wait, struct kroutine_runtime_s *rt)
{
    if (!kr_clock_cancel(&rt->clocks[KR_CLOCK_MONOTONIC], &wait->timer))
        return;
    pthread_mutex_lock(&lock);
    while (!wait->over)
        pthread_cond_wait(&wait->line->told, &lock);
    pthread_mutex_unlock(&lock);
}

error_t dev_irq_wait(struct dev_irq_s *irq, uint64_t timeout_ns)
{
    struct kroutine_runtime_s *rt;
    struct wait_s wait = {.over = false};
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    rt = kr_device_runtime(call.line->config.dev);
    wait.line = call.line;
    if (kr_on_reactor(rt))
        err = -EDEADLK;
    else if (timeout_ns)
        err = arm(&wait, rt, timeout_ns);
    if (err)
        return end(&call, err);
    err = wait_for(call.line, &wait);
    if (timeout_ns)
        disarm(&wait, rt);
    return end(&call, err);
}
