/* SPDX-License-Identifier: MIT */
/*
 * The bus.
 *
 *     QUEUED ──taken──▶ ACTIVE ──performed──▶ IDLE, kroutine executed
 *        │                 └ cancel, close ▶ ABORTED ──part performed──▶ as above
 *        └ cancel ▶ IDLE
 *        └ time-out, close ▶ IDLE, kroutine executed
 *
 * Requests are taken by priority, oldest first, and after FAIRNESS of them that overtook others one
 * of a lower level. Time-outs of those that wait are kept by a timer of the runtime, as the thread
 * may be in the kernel for seconds; that of the active one is looked at between its parts.
 *
 *     free ──taken──▶ busy ──its kroutine executed──▶ free
 *
 * Kroutines of a port are executed by one thread at a time, in the order in which they came to
 * `ended`: by whoever has ended one, if not another thread is at it, who then goes on with it.
 */
#include "bus.h"

#include <time.h>

#include "bus_internal.h"

#define FAIRNESS 8

static void arm(struct kr_bus_s *bus, struct device_s *dev);

/* --- with the lock --- */

static struct kr_bus_port_s *port_of(const struct dev_request_s *rq)
{
    return rq->drvdata;
}

/* rq_progress is the level: the priority of a kroutine may be changed while it is not pending. */
static void enqueue(struct kr_bus_s *bus, struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    unsigned n = rq->kr.priority < KROUTINE_PRIORITIES ? rq->kr.priority : KROUTINE_PRIORITIES - 1;

    rq->drvdata = port;
    rq->rq_progress = n;
    rq->rq_state = DEV_RQ_QUEUED;
    dev_rq_pushback(&bus->level[n], rq);
    bus->levels |= 1u << n;
    bus->timed += rq->expires != 0;
}

static void dequeue(struct kr_bus_s *bus, struct dev_request_s *rq)
{
    unsigned n = rq->rq_progress;

    dev_rq_remove(&bus->level[n], rq);
    if (!bus->level[n].head)
        bus->levels &= ~(1u << n);
    bus->timed -= rq->expires != 0;
}

static unsigned choose(struct kr_bus_s *bus)
{
    unsigned highest = 31 - (unsigned)__builtin_clz(bus->levels), turn;
    uint32_t others = bus->levels & ~(1u << highest);

    if (!others) {
        bus->overtook = 0;
        return highest;
    }
    if (++bus->overtook % (FAIRNESS + 1))
        return highest;
    turn = bus->overtook / (FAIRNESS + 1) % KROUTINE_PRIORITIES;
    while (!(others & 1u << turn))
        turn = (turn + 1) % KROUTINE_PRIORITIES;
    return turn;
}

static void activate(struct kr_bus_s *bus, struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    rq->rq_state = DEV_RQ_ACTIVE;
    port->calls = 0;
    bus->active = rq;
    bus->active_port = port;
}

static void tell_closers(struct kr_bus_s *bus)
{
    if (bus->closing)
        pthread_cond_broadcast(&bus->quiet);
}

static void deactivate(struct kr_bus_s *bus)
{
    bus->active->rq_state = DEV_RQ_IDLE;
    bus->active = NULL;
    bus->active_port = NULL;
    tell_closers(bus);
}

static bool is_late(struct kr_bus_s *bus, const struct dev_request_s *rq)
{
    return rq->expires && rq->expires <= kr_clock_now(kr_bus_clock(bus));
}

struct dev_request_s *kr_bus_take(struct kr_bus_s *bus, struct kr_bus_port_s **port, error_t *err)
{
    struct dev_request_s *rq = bus->level[choose(bus)].head;

    dequeue(bus, rq);
    bus->busy = true;
    *port = port_of(rq);
    *err = (*port)->closed ? (*port)->closed : is_late(bus, rq) ? -ETIMEDOUT : 0;
    if (!*err)
        activate(bus, *port, rq);
    return rq;
}

static void end(struct kr_bus_port_s *port, struct dev_request_s *rq, error_t err)
{
    rq->error = (int16_t)err;
    rq->rq_state = DEV_RQ_IDLE;
    dev_rq_pushback(&port->ended, rq);
}

bool kr_bus_executes_elsewhere(const struct kr_bus_port_s *port)
{
    return port->executing && !pthread_equal(port->executor, pthread_self());
}

void kr_bus_execute(struct kr_bus_s *bus, struct kr_bus_port_s *port)
{
    struct dev_request_s *rq;
    struct device_s *dev;

    if (!port->ended.head || kr_bus_executes_elsewhere(port))
        return;
    dev = device_hold(port->dev);
    while ((rq = dev_rq_pop(&port->ended))) {
        port->executing++;
        port->executor = pthread_self();
        pthread_mutex_unlock(&bus->lock);
        dev_request_done(rq);
        pthread_mutex_lock(&bus->lock);
        port->executing--;
        tell_closers(bus);
    }
    pthread_mutex_unlock(&bus->lock);
    device_release(dev);
    pthread_mutex_lock(&bus->lock);
}

void kr_bus_finish(struct kr_bus_s *bus, struct kr_bus_port_s *port, struct dev_request_s *rq,
                   error_t err)
{
    if (bus->active)
        deactivate(bus);
    end(port, rq, err);
    kr_bus_execute(bus, port);
    bus->busy = false;
}

void kr_bus_end_queued(struct kr_bus_s *bus, struct kr_bus_port_s *port)
{
    struct dev_request_s *next;

    for (unsigned n = KROUTINE_PRIORITIES; n-- > 0;) {
        for (struct dev_request_s *rq = bus->level[n].head; rq; rq = next) {
            next = rq->next;
            if (port_of(rq) != port)
                continue;
            dequeue(bus, rq);
            end(port, rq, port->closed);
        }
    }
}

/* --- performing, without the lock --- */

static void pause_for(uint64_t ns)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

error_t kr_bus_perform(struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    error_t err = port->ops->perform(port, rq), stopped = 0;

    port->calls++;
    if (err == KR_BUS_MORE)
        stopped = kr_bus_stopped(port, rq);
    return stopped ? stopped : err;
}

static error_t perform(struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    const struct kr_bus_ops_s *ops = port->ops;
    error_t err;

    do {
        if (ops->duration)
            pause_for(ops->duration(port, rq));
        err = kr_bus_perform(port, rq);
    } while (err == KR_BUS_MORE);
    return err;
}

void *kr_bus_main(void *arg)
{
    struct kr_bus_s *bus = arg;
    struct kr_bus_port_s *port;
    struct dev_request_s *rq;
    error_t err;

    kr_platform_thread_name(bus->name);
    kr_self.signals_blocked = true;
    kr_self.nointr++; /* handlers that run here hold the bus: INTERRUPTIBLE ones go to the pool */
    pthread_mutex_lock(&bus->lock);
    while (!bus->stopping) {
        if (bus->busy || !bus->levels) {
            pthread_cond_wait(&bus->work, &bus->lock);
            continue;
        }
        rq = kr_bus_take(bus, &port, &err);
        if (!err) {
            pthread_mutex_unlock(&bus->lock);
            err = perform(port, rq);
            pthread_mutex_lock(&bus->lock);
        }
        kr_bus_finish(bus, port, rq, err);
    }
    pthread_mutex_unlock(&bus->lock);
    kr_bus_put(bus);
    return NULL;
}

error_t kr_bus_stopped(struct kr_bus_port_s *port, const struct dev_request_s *rq)
{
    error_t err;

    pthread_mutex_lock(&port->bus->lock);
    err = port->closed ? port->closed : rq->rq_state == DEV_RQ_ABORTED ? -ECANCELED : 0;
    pthread_mutex_unlock(&port->bus->lock);
    return err ? err : is_late(port->bus, rq) ? -ETIMEDOUT : 0;
}

/* --- time-outs of those that wait --- */

KROUTINE_EXEC(kr_bus_timer_rang)
{
    struct kr_bus_s *bus = KROUTINE_CONTAINER(kr, struct kr_bus_s, timer.base.kr);
    uint64_t now = kr_clock_now(kr_bus_clock(bus));
    struct dev_request_s *rq;
    struct device_s *dev;

    pthread_mutex_lock(&bus->lock);
    dev = bus->timer_dev;
    bus->timer_at = 0;
    for (unsigned n = KROUTINE_PRIORITIES; n-- > 0;) {
        for (rq = bus->level[n].head; rq;) {
            struct kr_bus_port_s *port = port_of(rq);

            if (!rq->expires || rq->expires > now) {
                rq = rq->next;
                continue;
            }
            dequeue(bus, rq);
            end(port, rq, -ETIMEDOUT);
            kr_bus_execute(bus, port);
            rq = bus->level[n].head; /* it was released */
        }
    }
    arm(bus, dev);
    pthread_mutex_unlock(&bus->lock);
    device_release(dev);
}

static uint64_t earliest(const struct kr_bus_s *bus)
{
    uint64_t at = UINT64_MAX;

    for (unsigned n = 0; bus->timed && n < KROUTINE_PRIORITIES; n++) {
        for (const struct dev_request_s *rq = bus->level[n].head; rq; rq = rq->next)
            at = rq->expires && rq->expires < at ? rq->expires : at;
    }
    return at;
}

/* With the lock, which it releases; `dev` is in use by the caller. An alarm that is too early is
   left: it rings in vain once. Who comes while another thread is here leaves it to that. */
static void arm(struct kr_bus_s *bus, struct device_s *dev)
{
    struct device_s *old;
    uint64_t at;
    error_t err;

    if (bus->arming)
        return;
    bus->arming = true;
    while ((at = earliest(bus)) != UINT64_MAX && (!bus->timer_at || at < bus->timer_at)) {
        if (bus->timer_at && kr_clock_cancel(kr_bus_clock(bus), &bus->timer))
            break; /* it is ringing, and will come here itself */
        old = bus->timer_at ? bus->timer_dev : NULL;
        bus->timer_at = at;
        bus->timer_dev = device_hold(dev);
        pthread_mutex_unlock(&bus->lock);
        if (old)
            device_release(old);
        bus->timer.delay = 0;
        bus->timer.deadline = at;
        err = kr_clock_request(kr_bus_clock(bus), &bus->timer);
        if (err == -ETIMEDOUT) { /* that late already */
            bus->timer.delay = 1;
            err = kr_clock_request(kr_bus_clock(bus), &bus->timer);
        }
        pthread_mutex_lock(&bus->lock);
        if (err) { /* the runtime is ending: what waits is about to be closed */
            bus->timer_at = 0;
            device_release(dev);
            break;
        }
    }
    bus->arming = false;
}

/* --- requests --- */

/* The caller waits for this request, and nobody else uses the bus: it is performed here. Its
   handler is that of the wait, which is nobody's to wait for. */
static void perform_here(struct kr_bus_s *bus, struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    bool more;

    bus->busy = true;
    activate(bus, port, rq);
    pthread_mutex_unlock(&bus->lock);
    rq->error = (int16_t)perform(port, rq);
    pthread_mutex_lock(&bus->lock);
    deactivate(bus);
    bus->busy = false;
    more = bus->levels;
    pthread_mutex_unlock(&bus->lock);
    if (more)
        pthread_cond_signal(&bus->work);
    kr_request_done_waited(rq);
}

void kr_bus_request(struct kr_bus_port_s *port, struct dev_request_s *rq, error_t refused)
{
    struct kr_bus_s *bus = port->bus;
    bool waited_for = kr_self.waiting == rq, wake;
    error_t err;

    if (refused) {
        kr_class_refuse(port->dev, rq, refused);
        return;
    }
    pthread_mutex_lock(&bus->lock);
    err = port->closed;
    if (!err && waited_for && !bus->in_virtual_time) {
        if (pthread_equal(bus->thread, pthread_self())) {
            err = -EDEADLK; /* a handler on the bus thread */
        } else if (!bus->busy && !bus->levels) {
            perform_here(bus, port, rq);
            return;
        }
    }
    if (err) {
        pthread_mutex_unlock(&bus->lock);
        kr_class_refuse(port->dev, rq, err);
        return;
    }
    enqueue(bus, port, rq); /* may be over as soon as the lock is released */
    if (rq->expires)
        arm(bus, port->dev);
    wake = bus->in_virtual_time ? kr_bus_virtual_wake(bus, port->dev) : !bus->busy;
    pthread_mutex_unlock(&bus->lock);
    if (!wake)
        return;
    if (bus->in_virtual_time)
        kroutine_exec(&bus->turn);
    else
        pthread_cond_signal(&bus->work);
}

error_t kr_bus_cancel(struct kr_bus_port_s *port, struct dev_request_s *rq)
{
    struct kr_bus_s *bus = port->bus;
    error_t err = -EBUSY;

    pthread_mutex_lock(&bus->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dequeue(bus, rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    } else if (rq->rq_state == DEV_RQ_ACTIVE) {
        rq->rq_state = DEV_RQ_ABORTED;
    }
    pthread_mutex_unlock(&bus->lock);
    return err;
}

void kr_bus_gone(struct kr_bus_port_s *port)
{
    pthread_mutex_lock(&port->bus->lock);
    if (!port->closed)
        port->closed = -ENODEV;
    pthread_mutex_unlock(&port->bus->lock);
}
