/* SPDX-License-Identifier: MIT */
#include "sim_chip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- levels --- */

/* What one end does to the wire. */
enum drive_e { FLOATS, LOW, HIGH };

static enum drive_e drive_of(const struct kr_sim_port_s *port, unsigned index)
{
    uint32_t flags = port->mode[index].flags;
    bool high = (port->values >> index & 1) ^ !!(flags & DEV_GPIO_ACTIVE_LOW);

    if (flags & DEV_GPIO_OUTPUT)
        return high ? HIGH : LOW;
    if (flags & DEV_GPIO_OPEN_DRAIN)
        return high ? FLOATS : LOW;
    if (flags & DEV_GPIO_OPEN_SOURCE)
        return high ? HIGH : FLOATS;
    return FLOATS;
}

/* Two that drive against each other: the lower one wins, as it mostly does in reality. */
static bool level_of(const struct kr_sim_wire_s *w)
{
    bool high = false, up = false;

    for (int side = 0; side < KR_SIM_SIDES; side++) {
        if (!w->port[side])
            continue;
        switch (drive_of(w->port[side], w->index[side])) {
        case LOW:
            return false;
        case HIGH:
            high = true;
            break;
        case FLOATS:
            up |= w->port[side]->mode[w->index[side]].flags & DEV_GPIO_PULL_UP;
            break;
        }
    }
    if (high || w->pull == DEV_GPIO_PULL_UP)
        return true;
    return up && w->pull != DEV_GPIO_PULL_DOWN;
}

uint64_t kr_sim_chip_levels(const struct kr_sim_port_s *port, uint64_t mask)
{
    uint64_t levels = 0;

    for (; mask; mask &= mask - 1) {
        unsigned index = (unsigned)__builtin_ctzll(mask);
        bool low = port->mode[index].flags & DEV_GPIO_ACTIVE_LOW;

        if (port->chip->wire[port->offset[index]].level != low)
            levels |= 1ull << index;
    }
    return levels;
}

/* --- edges --- */

void kr_sim_chip_kick(struct kr_sim_port_s *port, struct kr_sim_kicks_s *kicks)
{
    if (port->kicked)
        return;
    port->kicked = true;
    kr_add(&port->refs, 1);
    kicks->port[kicks->count++] = port;
}

static void buffer_put(struct kr_sim_port_s *port, const struct dev_gpio_event_s *event)
{
    if (port->fill == port->size) { /* as in the kernel: the oldest goes */
        port->head = (port->head + 1) % port->size;
        port->fill--;
    }
    port->buffer[(port->head + port->fill++) % port->size] = *event;
}

/* Each line has a small buffer, and what does not fit is gone. Nothing tells of it but that the
   buffer is full. */
static void buffer_put_v1(struct kr_sim_port_s *port, struct dev_gpio_event_s *event)
{
    event->seqno = event->line_seqno = 0;
    if (port->kept[event->line] == KR_SIM_V1)
        return;
    if (++port->kept[event->line] == KR_SIM_V1)
        event->lost = DEV_GPIO_LOST_SOME;
    buffer_put(port, event);
}

static void edge(struct kr_sim_port_s *port, unsigned index, bool level,
                 struct kr_sim_kicks_s *kicks)
{
    uint32_t flags = port->mode[index].flags;
    bool rises = level ^ !!(flags & DEV_GPIO_ACTIVE_LOW);
    enum kr_clock_id_e clock = port->realtime ? KR_CLOCK_REALTIME : KR_CLOCK_MONOTONIC;
    struct dev_gpio_event_s event = {.line = (uint16_t)index};

    if (!(flags & (rises ? DEV_GPIO_RISING : DEV_GPIO_FALLING)))
        return;
    event.edge = (uint8_t)((rises ? DEV_GPIO_RISING : DEV_GPIO_FALLING) >> 8);
    event.timestamp = kr_clock_now(&port->chip->rt->clocks[clock]);
    event.seqno = ++port->seqno;
    event.line_seqno = ++port->line_seqno[index];
    if (port->first_uapi)
        buffer_put_v1(port, &event);
    else
        buffer_put(port, &event);
    if (port->armed)
        kr_sim_chip_kick(port, kicks);
}

void kr_sim_chip_settle(struct kr_sim_port_s *port, uint64_t mask, struct kr_sim_kicks_s *kicks)
{
    for (; mask; mask &= mask - 1) {
        struct kr_sim_wire_s *w = &port->chip->wire[port->offset[__builtin_ctzll(mask)]];
        bool level = level_of(w);

        if (level == w->level)
            continue;
        w->level = level;
        for (int side = 0; side < KR_SIM_SIDES; side++) {
            if (w->port[side])
                edge(w->port[side], w->index[side], level, kicks);
        }
    }
}

unsigned kr_sim_chip_read(struct kr_sim_port_s *port, struct dev_gpio_event_s *events,
                          unsigned size)
{
    unsigned n = 0;

    for (; n < size && port->fill; n++) {
        events[n] = port->buffer[port->head];
        port->head = (port->head + 1) % port->size;
        port->fill--;
        if (port->first_uapi)
            port->kept[events[n].line]--;
    }
    return n;
}

/* --- who holds what --- */

error_t kr_sim_chip_hold(struct kr_sim_port_s *port)
{
    struct kr_sim_chip_s *chip = port->chip;

    if (chip->gone)
        return device_error(-ENODEV, "%s is unplugged, until its devices are closed", chip->name);
    for (unsigned i = 0; i < port->count; i++) {
        const struct kr_sim_port_s *holder = chip->wire[port->offset[i]].port[port->side];

        if (holder)
            return device_error(-EBUSY, "line GPIO%u (%u) of %s is held by '%s'", port->offset[i],
                                port->offset[i], chip->name, holder->consumer);
    }
    for (unsigned i = 0; i < port->count; i++) {
        chip->wire[port->offset[i]].port[port->side] = port;
        chip->wire[port->offset[i]].index[port->side] = (uint8_t)i;
    }
    return 0;
}

void kr_sim_chip_release(struct kr_sim_port_s *port, struct kr_sim_kicks_s *kicks)
{
    port->armed = false;
    for (unsigned i = 0; i < port->count; i++)
        port->chip->wire[port->offset[i]].port[port->side] = NULL;
    kr_sim_chip_settle(port, UINT64_MAX >> (64 - port->count), kicks);
}

void kr_sim_chip_unplug(struct kr_sim_chip_s *chip, struct kr_sim_kicks_s *kicks)
{
    chip->gone = true;
    for (unsigned i = 0; i < KR_SIM_WIRES; i++) {
        for (int side = 0; side < KR_SIM_SIDES; side++) {
            if (chip->wire[i].port[side])
                kr_sim_chip_kick(chip->wire[i].port[side], kicks);
        }
    }
}

/* --- registry --- */

static struct {
    pthread_mutex_t lock;
    struct kr_sim_chip_s *list;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct kr_sim_chip_s *chip_create(struct kroutine_runtime_s *rt, const char *name)
{
    struct kr_sim_chip_s *chip = calloc(1, sizeof(*chip));

    if (!chip)
        return NULL;
    chip->rt = rt;
    snprintf(chip->name, sizeof(chip->name), "%s", name);
    pthread_mutex_init(&chip->lock, NULL);
    chip->next = registry.list;
    registry.list = chip;
    return chip;
}

error_t kr_sim_chip_join(struct kr_sim_chip_s **ret, struct kroutine_runtime_s *rt,
                         const char *name)
{
    struct kr_sim_chip_s *chip;

    pthread_mutex_lock(&registry.lock);
    for (chip = registry.list; chip; chip = chip->next)
        if (chip->rt == rt && strcmp(chip->name, name) == 0)
            break;
    if (!chip)
        chip = chip_create(rt, name);
    if (chip) {
        chip->refs++;
        chip->open++;
    }
    pthread_mutex_unlock(&registry.lock);
    *ret = chip;
    return chip ? 0 : -ENOMEM;
}

void kr_sim_chip_leave(struct kr_sim_chip_s *chip)
{
    pthread_mutex_lock(&registry.lock);
    if (--chip->open == 0) {
        struct kr_sim_chip_s **at = &registry.list;

        while (*at != chip)
            at = &(*at)->next;
        *at = chip->next;
    }
    pthread_mutex_unlock(&registry.lock);
}

void kr_sim_chip_put(struct kr_sim_chip_s *chip)
{
    bool last;

    pthread_mutex_lock(&registry.lock);
    last = --chip->refs == 0;
    pthread_mutex_unlock(&registry.lock);
    if (!last)
        return;
    pthread_mutex_destroy(&chip->lock);
    free(chip);
}
