/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of sim-mmio. A line is as UIO makes it of a level-triggered interrupt: it is masked as
 * it fires, and fires again when it is unmasked while it is raised. A message is counted and
 * forgotten.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kroutine/sim.h"
#include "sim_mmio.h"

/* --- interrupts --- */

static void fire_locked(struct kr_sim_vector_s *v)
{
    if (v->sim->eventfd) {
        kr_platform_event_signal(v->fd);
    } else {
        v->fired++;
        kr_irq_look(v->line);
    }
}

/* A line that is raised fires once it is neither masked nor without an owner. */
static void settle_locked(struct kr_sim_vector_s *v)
{
    if (!v->line || v->masked || !v->raised)
        return;
    v->masked = true;
    fire_locked(v);
}

static int64_t take(void *pv, int fd)
{
    struct kr_sim_vector_s *v = pv;
    int64_t fired;

    pthread_mutex_lock(&v->sim->lock);
    fired = v->sim->gone ? -ENODEV : (int64_t)v->fired;
    v->fired = 0;
    pthread_mutex_unlock(&v->sim->lock);
    return fired == 0 && fd >= 0 ? kr_irq_take_eventfd(pv, fd) : fired;
}

static void raise_locked(struct kr_sim_mmio_s *sim, enum dev_irq_kind_e kind, unsigned vector)
{
    struct kr_sim_vector_s *v = &sim->vector[kind][vector];

    if (kind == DEV_IRQ_LINE) {
        v->raised = true;
        settle_locked(v);
    } else if (v->line) {
        fire_locked(v);
    }
}

/* --- messages that come by themselves --- */

static struct kr_clock_s *clock_of(const struct kr_sim_mmio_s *sim)
{
    return &kr_device_runtime(sim->dev)->clocks[KR_CLOCK_MONOTONIC];
}

/* An armed timer holds the device. */
static void arm_timer(struct kr_sim_mmio_s *sim)
{
    error_t err;

    device_hold(sim->dev);
    sim->timer.delay = 0;
    do {
        sim->timer.deadline = sim->next;
        err = kr_clock_request(clock_of(sim), &sim->timer);
        if (err == -ETIMEDOUT) { /* so late that some were due already: they are not made up for */
            pthread_mutex_lock(&sim->lock);
            sim->next = kr_clock_now(clock_of(sim)) + sim->every;
            pthread_mutex_unlock(&sim->lock);
        }
    } while (err == -ETIMEDOUT);
    if (err)
        device_release(sim->dev);
}

static KROUTINE_EXEC(timer_due)
{
    struct kr_sim_mmio_s *sim = KROUTINE_CONTAINER(kr, struct kr_sim_mmio_s, timer.base.kr);
    bool go_on;

    (void)flags;
    pthread_mutex_lock(&sim->lock);
    go_on = !sim->closed && !sim->gone && !sim->timer.base.error;
    if (go_on) {
        raise_locked(sim, DEV_IRQ_MSI, 0);
        sim->next += sim->every;
    }
    pthread_mutex_unlock(&sim->lock);
    if (go_on)
        arm_timer(sim);
    device_release(sim->dev);
}

void kr_sim_timer_start(struct kr_sim_mmio_s *sim)
{
    if (!sim->every)
        return;
    dev_timer_rq_init_immediate(&sim->timer, timer_due);
    sim->timer.base.kr.runtime = kr_device_runtime(sim->dev);
    sim->next = kr_clock_now(clock_of(sim)) + sim->every;
    arm_timer(sim);
}

/* --- class --- */

/* Once for a request, by whoever comes first. */
static void release(struct kr_sim_vector_s *v)
{
    struct kr_irq_line_s *line;

    pthread_mutex_lock(&v->sim->lock);
    line = v->line;
    v->line = NULL;
    pthread_mutex_unlock(&v->sim->lock);
    if (!line)
        return;
    kr_irq_close(line);
    pthread_mutex_lock(&v->sim->lock);
    v->fired = 0;
    v->taken = false; /* only now: `take` is not called any more */
    pthread_mutex_unlock(&v->sim->lock);
}

void kr_sim_irq_end(struct kr_sim_mmio_s *sim)
{
    if (sim->every && !kr_clock_cancel(clock_of(sim), &sim->timer))
        device_release(sim->dev);
    for (int kind = 0; kind < DEV_IRQ_KINDS; kind++) {
        for (unsigned i = 0; i < KR_SIM_VECTORS; i++)
            release(&sim->vector[kind][i]);
    }
}

/* The kind that an interrupt gets, or a negative errno. */
static int pick_kind(const struct kr_sim_mmio_s *sim, const struct dev_irq_s *irq)
{
    enum dev_irq_kind_e kind = irq->kind;

    if (kind == DEV_IRQ_ANY)
        kind = sim->count[DEV_IRQ_MSI] ? DEV_IRQ_MSI : DEV_IRQ_LINE;
    if (!sim->count[kind])
        return device_error(-ENOTSUP, "no interrupt of this kind");
    if (irq->vector >= sim->count[kind])
        return device_error(-ENXIO, "no vector %u: there are %u", irq->vector, sim->count[kind]);
    return (int)kind;
}

static error_t claim(struct kr_sim_mmio_s *sim, struct kr_sim_vector_s *v,
                     struct kr_irq_line_s *line, int fd)
{
    error_t err = 0;

    pthread_mutex_lock(&sim->lock);
    if (sim->closed || sim->gone)
        err = sim->gone ? -ENODEV : -ECANCELED;
    else if (v->taken)
        err = -EBUSY;
    if (!err) {
        v->taken = true;
        v->line = line;
        v->fd = fd;
        v->masked = false;
        settle_locked(v);
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

DEV_MMIO_IRQ_REQUEST(kr_sim_irq_request)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    int kind = pick_kind(sim, irq);
    struct kr_irq_config_s config = {.dev = acc->dev, .fd = -1, .take = take};
    struct kr_irq_line_s *line;
    error_t err;

    if (kind < 0)
        return kind;
    config.pv = &sim->vector[kind][irq->vector];
    if (sim->eventfd)
        config.fd = kr_platform_event_open();
    if (config.fd < -1)
        return config.fd;
    err = kr_irq_open(&line, irq, &config);
    if (err) {
        if (config.fd >= 0)
            close(config.fd);
        return err;
    }
    irq->kind = (enum dev_irq_kind_e)kind;
    err = claim(sim, config.pv, line, config.fd);
    if (err) {
        kr_irq_close(line);
        device_error(err, "vector %u %s", irq->vector, err == -EBUSY ? "is taken" : "is gone");
    }
    return err;
}

DEV_MMIO_IRQ_RELEASE(kr_sim_irq_release)
{
    release(&kr_sim_mmio(acc->dev)->vector[irq->kind][irq->vector]);
    return 0;
}

static error_t set_mask(const struct device_mmio_s *acc, const struct dev_irq_s *irq, bool masked)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    struct kr_sim_vector_s *v = &sim->vector[irq->kind][irq->vector];

    if (irq->kind != DEV_IRQ_LINE)
        return -ENOTSUP;
    pthread_mutex_lock(&sim->lock);
    v->masked = masked;
    settle_locked(v);
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

DEV_MMIO_IRQ_MASK(kr_sim_irq_mask)
{
    return set_mask(acc, irq, true);
}

DEV_MMIO_IRQ_UNMASK(kr_sim_irq_unmask)
{
    return set_mask(acc, irq, false);
}

/* --- from outside --- */

/* The device entered and locked; NULL, with *err. */
static struct kr_sim_mmio_s *enter(const struct device_accessor_s *acc, error_t *err)
{
    if (!acc->dev || strcmp(device_driver_name(acc->dev), kr_driver_sim_mmio.name) != 0) {
        *err = -ENOTSUP;
        return NULL;
    }
    *err = kr_device_enter(acc->dev);
    if (*err) {
        kr_device_leave(acc->dev);
        return NULL;
    }
    pthread_mutex_lock(&kr_sim_mmio(acc->dev)->lock);
    return kr_sim_mmio(acc->dev);
}

static void leave(struct kr_sim_mmio_s *sim)
{
    pthread_mutex_unlock(&sim->lock);
    kr_device_leave(sim->dev);
}

static bool has_vector(const struct kr_sim_mmio_s *sim, enum dev_irq_kind_e kind, unsigned vector)
{
    return (unsigned)kind < DEV_IRQ_KINDS && vector < sim->count[kind];
}

error_t kroutine_sim_irq_raise(const struct device_accessor_s *acc, enum dev_irq_kind_e kind,
                               uint16_t vector)
{
    error_t err;
    struct kr_sim_mmio_s *sim = enter(acc, &err);

    if (!sim)
        return err;
    if (has_vector(sim, kind, vector))
        raise_locked(sim, kind, vector);
    else
        err = -ENXIO;
    leave(sim);
    return err;
}

error_t kroutine_sim_irq_lower(const struct device_accessor_s *acc, uint16_t vector)
{
    error_t err;
    struct kr_sim_mmio_s *sim = enter(acc, &err);

    if (!sim)
        return err;
    if (has_vector(sim, DEV_IRQ_LINE, vector))
        sim->vector[DEV_IRQ_LINE][vector].raised = false;
    else
        err = -ENXIO;
    leave(sim);
    return err;
}

error_t kroutine_sim_mmio_unplug(const struct device_accessor_s *acc)
{
    error_t err;
    struct kr_sim_mmio_s *sim = enter(acc, &err);

    if (!sim)
        return err;
    sim->gone = true;
    for (int kind = 0; kind < DEV_IRQ_KINDS; kind++) {
        for (unsigned i = 0; i < KR_SIM_VECTORS; i++) {
            if (sim->vector[kind][i].line)
                kr_irq_look(sim->vector[kind][i].line);
        }
    }
    leave(sim);
    return 0;
}
