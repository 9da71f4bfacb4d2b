/* SPDX-License-Identifier: MIT */
/* Faults on demand of sim-char devices. */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "kroutine/sim.h"
#include "sim_end.h"

/* With the lock. */
static void set_fault(struct kr_sim_end_s *end, enum kr_dir_e dir, enum kroutine_sim_fault_e fault,
                      unsigned count, uint64_t now)
{
    struct kr_sim_channel_s *c = end->channel[dir];
    struct kr_sim_faults_s *f = &end->faults[dir];
    bool reading = dir == KR_DIR_READ;

    switch (fault) {
    case KROUTINE_SIM_SHORT:
        f->shorts = count;
        break;
    case KROUTINE_SIM_AGAIN:
        f->again = count;
        break;
    case KROUTINE_SIM_EIO:
        f->eio = count;
        break;
    case KROUTINE_SIM_OVERRUN:
        f->overrun = count != 0;
        break;
    case KROUTINE_SIM_PARITY:
        f->parity = count != 0;
        break;
    case KROUTINE_SIM_STALL:
        kr_sim_channel_settle(c, now);
        c->stalled = count != 0;
        break;
    case KROUTINE_SIM_END:
        *(reading ? &c->no_writer : &c->no_reader) = count != 0;
        break;
    case KROUTINE_SIM_GONE:
        end->gone = true;
        *(reading ? &c->no_reader : &c->no_writer) = true;
        break;
    }
}

static bool has_meaning(enum kroutine_sim_fault_e fault, unsigned dirs)
{
    if (!dirs || dirs & ~(KROUTINE_SIM_READ | KROUTINE_SIM_WRITE) ||
        (unsigned)fault > KROUTINE_SIM_GONE)
        return false;
    return (fault != KROUTINE_SIM_OVERRUN && fault != KROUTINE_SIM_PARITY) ||
           dirs == KROUTINE_SIM_READ;
}

struct kicks_s {
    struct {
        struct kr_sim_end_s *end;
        enum kr_dir_e dir;
    } list[2 * KR_DIRS];
    unsigned count;
};

static void add_kick(struct kicks_s *kicks, struct kr_sim_end_s *end, enum kr_dir_e dir)
{
    if (kr_sim_end_want_kick(end, dir)) {
        kicks->list[kicks->count].end = end;
        kicks->list[kicks->count++].dir = dir;
    }
}

static void misbehave(struct kr_sim_end_s *end, unsigned dirs, enum kroutine_sim_fault_e fault,
                      unsigned count)
{
    static const unsigned bit[KR_DIRS] = {KROUTINE_SIM_READ, KROUTINE_SIM_WRITE};
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    struct kicks_s kicks = {.count = 0};

    pthread_mutex_lock(&end->line->lock);
    for (int dir = 0; dir < KR_DIRS; dir++) {
        if (dirs & bit[dir])
            set_fault(end, (enum kr_dir_e)dir, fault, count, now);
    }
    /* Whoever waits looks again: this end, and the one that it is connected to. */
    for (int dir = 0; dir < KR_DIRS; dir++) {
        add_kick(&kicks, end->channel[dir]->reader, KR_DIR_READ);
        add_kick(&kicks, end->channel[dir]->writer, KR_DIR_WRITE);
    }
    pthread_mutex_unlock(&end->line->lock);
    for (unsigned i = 0; i < kicks.count; i++)
        kr_sim_end_kick(kicks.list[i].end, kicks.list[i].dir);
    if (fault == KROUTINE_SIM_GONE)
        kr_uart_requests_changed(&end->uart.requests);
}

error_t kroutine_sim_char_fault(const struct device_accessor_s *acc, unsigned dirs,
                                enum kroutine_sim_fault_e fault, unsigned count)
{
    struct device_s *dev = acc->dev;
    error_t err;

    if (!dev || strcmp(device_driver_name(dev), kr_driver_sim_char.name) != 0)
        return -ENOTSUP;
    if (fault == KROUTINE_SIM_GONE && dirs)
        dirs = KROUTINE_SIM_READ | KROUTINE_SIM_WRITE;
    if (!has_meaning(fault, dirs))
        return -EINVAL;
    err = kr_device_enter(dev);
    if (!err)
        misbehave(((struct kr_sim_char_pv_s *)device_pv(dev))->end, dirs, fault, count);
    kr_device_leave(dev);
    return err;
}
