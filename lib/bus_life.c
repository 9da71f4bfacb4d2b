/* SPDX-License-Identifier: MIT */
/* The beginning and the end of buses and of the devices on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus_internal.h"

void kr_bus_put(struct kr_bus_s *bus)
{
    if (kr_sub(&bus->refs, 1) != 1)
        return;
    if (bus->shared)
        bus->release(bus->shared);
    pthread_cond_destroy(&bus->quiet);
    pthread_cond_destroy(&bus->work);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static error_t create(struct kr_bus_s **ret, struct kroutine_runtime_s *rt, const char *name)
{
    static const struct kroutine_sched_s as_the_caller;
    struct kr_bus_s *bus = calloc(1, sizeof(*bus));
    error_t err = 0;

    if (!bus)
        return device_error(-ENOMEM, "out of memory");
    bus->rt = rt;
    bus->in_virtual_time = rt->backend == &kr_backend_sim;
    bus->refs = 1;
    snprintf(bus->name, sizeof(bus->name), "%s", name);
    pthread_mutex_init(&bus->lock, NULL);
    pthread_cond_init(&bus->work, NULL);
    pthread_cond_init(&bus->quiet, NULL);
    dev_timer_rq_init_immediate(&bus->timer, kr_bus_timer_rang);
    if (bus->in_virtual_time) {
        kr_bus_virtual_init(bus);
    } else {
        kr_add(&bus->refs, 1);
        err = kr_spawn(&bus->thread, &as_the_caller, kr_bus_main, bus);
    }
    if (!err) {
        *ret = bus;
        return 0;
    }
    kr_sub(&bus->refs, 1);
    kr_bus_put(bus);
    return device_error(err, "the thread of the bus cannot start: %s", strerror(-err));
}

/* Gives the thread its end. A handler that closes the last device from the bus thread cannot wait
   for that. */
static void stop(struct kr_bus_s *bus)
{
    if (bus->in_virtual_time)
        return;
    pthread_mutex_lock(&bus->lock);
    bus->stopping = true;
    pthread_mutex_unlock(&bus->lock);
    pthread_cond_signal(&bus->work);
    if (pthread_equal(bus->thread, pthread_self()))
        pthread_detach(bus->thread);
    else
        pthread_join(bus->thread, NULL);
}

static struct kr_bus_s *find_locked(struct kr_tree_s *tree, const char *name)
{
    struct kr_bus_s *bus;

    for (bus = tree->buses; bus && strcmp(bus->name, name) != 0; bus = bus->next)
        ;
    if (bus) {
        bus->open++;
        kr_add(&bus->refs, 1);
    }
    return bus;
}

error_t kr_bus_open(struct kr_bus_port_s *port, struct device_s *dev,
                    const struct kr_bus_ops_s *ops, const char *name)
{
    struct kr_tree_s *tree = dev->tree;
    struct kr_bus_s *bus, *fresh = NULL;
    error_t err = kr_clock_open(&kr_device_runtime(dev)->clocks[KR_CLOCK_MONOTONIC]);

    port->dev = dev;
    port->ops = ops;
    pthread_mutex_lock(&tree->lock);
    bus = find_locked(tree, name);
    pthread_mutex_unlock(&tree->lock);
    if (!bus && !err)
        err = create(&fresh, kr_device_runtime(dev), name);
    if (err)
        return err;
    if (fresh) {
        pthread_mutex_lock(&tree->lock);
        bus = find_locked(tree, name);
        if (!bus) {
            fresh->next = tree->buses;
            tree->buses = bus = fresh;
            bus->open = 1;
            fresh = NULL;
        }
        pthread_mutex_unlock(&tree->lock);
    }
    if (fresh) { /* another thread was faster */
        stop(fresh);
        kr_bus_put(fresh);
    }
    port->bus = bus;
    return 0;
}

void *kr_bus_share(struct kr_bus_port_s *port, void *fresh, void (*release)(void *shared))
{
    struct kr_bus_s *bus = port->bus;
    void *shared;

    pthread_mutex_lock(&bus->lock);
    if (!bus->shared) {
        bus->shared = fresh;
        bus->release = release;
    }
    shared = bus->shared;
    pthread_mutex_unlock(&bus->lock);
    return shared;
}

/* True: it was the last port. */
static bool leave_bus(struct kr_bus_s *bus, struct kr_tree_s *tree)
{
    struct kr_bus_s **at = &tree->buses;
    bool last;

    pthread_mutex_lock(&tree->lock);
    last = --bus->open == 0;
    if (last) {
        while (*at != bus)
            at = &(*at)->next;
        *at = bus->next;
    }
    pthread_mutex_unlock(&tree->lock);
    return last;
}

void kr_bus_close(struct kr_bus_port_s *port, error_t err)
{
    struct kr_bus_s *bus = port->bus;

    pthread_mutex_lock(&bus->lock);
    port->closed = err;
    bus->closing++;
    if (bus->active_port == port) {
        bus->active->rq_state = DEV_RQ_ABORTED;
        if (bus->in_virtual_time)
            kr_bus_virtual_cut(bus, port);
    }
    while (bus->active_port == port)
        pthread_cond_wait(&bus->quiet, &bus->lock);
    kr_bus_end_queued(bus, port);
    while (kr_bus_executes_elsewhere(port))
        pthread_cond_wait(&bus->quiet, &bus->lock);
    kr_bus_execute(bus, port);
    bus->closing--;
    pthread_mutex_unlock(&bus->lock);
    if (!leave_bus(bus, port->dev->tree))
        return;
    stop(bus);
    if (!kr_clock_cancel(kr_bus_clock(bus), &bus->timer))
        device_release(bus->timer_dev);
}

void kr_bus_free(struct kr_bus_port_s *port)
{
    if (port->bus)
        kr_bus_put(port->bus);
}
