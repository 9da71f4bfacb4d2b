/* SPDX-License-Identifier: MIT */
/*
 * A bus in virtual time: the reactor does what elsewhere the thread does. Nothing is in the kernel
 * here, so a close need not wait for the end of what is active.
 *
 *     turn: takes one ──▶ pace: the duration of a part passes ──▶ perform ──over──▶ turn
 *                           ▲                                        │
 *                           └────────────────────────────────────────┘ more
 */
#include "bus_internal.h"

bool kr_bus_virtual_wake(struct kr_bus_s *bus, struct device_s *dev)
{
    if (bus->busy || !bus->levels || bus->turn_dev)
        return false;
    bus->turn_dev = device_hold(dev);
    return true;
}

/* The active one is over; who calls holds its device, for the pace. */
static void finish(struct kr_bus_s *bus, error_t err)
{
    struct device_s *dev = bus->active_port->dev;
    bool wake;

    kr_bus_finish(bus, bus->active_port, bus->active, err);
    wake = kr_bus_virtual_wake(bus, dev);
    pthread_mutex_unlock(&bus->lock);
    if (wake)
        kroutine_exec(&bus->turn);
    device_release(dev);
}

/* Reactor, without the lock: on with the active one, to its end or until the pace rings. */
static void go_on(struct kr_bus_s *bus, bool rang)
{
    struct kr_bus_port_s *port = bus->active_port;
    struct dev_request_s *rq = bus->active;
    error_t err = KR_BUS_MORE;

    while (err == KR_BUS_MORE) {
        if (!rang) {
            bus->pace.delay = port->ops->duration(port, rq);
            if (bus->pace.delay) {
                err = kr_clock_request(kr_bus_clock(bus), &bus->pace);
                if (!err)
                    return;
                break; /* the runtime is ending */
            }
        }
        rang = false;
        err = kr_bus_perform(port, rq);
    }
    pthread_mutex_lock(&bus->lock);
    finish(bus, err);
}

static KROUTINE_EXEC(pace_rang)
{
    struct kr_bus_s *bus = KROUTINE_CONTAINER(kr, struct kr_bus_s, pace.base.kr);

    if (!bus->pace.error) {
        go_on(bus, true);
    } else { /* the runtime is ending */
        pthread_mutex_lock(&bus->lock);
        finish(bus, bus->pace.error);
    }
}

static KROUTINE_EXEC(take_turn)
{
    struct kr_bus_s *bus = KROUTINE_CONTAINER(kr, struct kr_bus_s, turn);
    struct device_s *dev;
    struct kr_bus_port_s *port;
    struct dev_request_s *rq;
    bool active = false, wake = false;
    error_t err;

    pthread_mutex_lock(&bus->lock);
    dev = bus->turn_dev;
    bus->turn_dev = NULL;
    if (!bus->busy && bus->levels) {
        rq = kr_bus_take(bus, &port, &err);
        active = !err;
        if (active) {
            device_hold(port->dev); /* for the pace */
        } else {
            kr_bus_finish(bus, port, rq, err);
            wake = kr_bus_virtual_wake(bus, dev);
        }
    }
    pthread_mutex_unlock(&bus->lock);
    if (active)
        go_on(bus, false);
    if (wake)
        kroutine_exec(&bus->turn);
    device_release(dev);
}

void kr_bus_virtual_cut(struct kr_bus_s *bus, struct kr_bus_port_s *port)
{
    if (kr_clock_cancel(kr_bus_clock(bus), &bus->pace))
        return; /* the reactor is at it, and ends it */
    finish(bus, port->closed);
    pthread_mutex_lock(&bus->lock);
}

void kr_bus_virtual_init(struct kr_bus_s *bus)
{
    kroutine_init_sched_switch(&bus->turn, take_turn);
    kroutine_bind(&bus->turn, bus->rt);
    bus->turn.mark = KR_INTERNAL;
    dev_timer_rq_init_immediate(&bus->pace, pace_rang);
}
