/* SPDX-License-Identifier: MIT */
/*
 * The driver sim-dma: an engine that takes time, of the clock of its runtime. A request of which
 * `done` bytes have moved is in the middle of a step of at most STEP bytes; the step ends `due`,
 * and its bytes move then. A cancel in between moves those whose time has come. kroutine/sim.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma_engine.h"
#include "kroutine/sim.h"

#define STEP 65536u
#define BUS  0x100000u /* first address of the bus that is given out */
#define PAGE 4096u     /* … and what it is given out in */

struct sim_dma_chan_s {
    uint64_t begin; /* of the step: ns on the monotonic clock */
    uint64_t due;
    size_t step;  /* bytes */
    bool stalled; /* `due` never comes */
};

struct sim_dma_pv_s {
    struct kr_dma_engine_s *engine;
    uint64_t rate;    /* bytes a second, 0: no limit */
    uint64_t latency; /* ns before a request begins */
    uint64_t mask;
    uint32_t align;
    uint8_t *regs;
    size_t reg_size;
    struct sim_dma_chan_s *chan;

    /* Lock of the engine. */
    uint64_t next_bus;
    unsigned mapped;
    bool fault; /* one waits for a request that has moved so many bytes */
    enum kroutine_sim_dma_fault_e kind;
    uint64_t bytes;
};

static const struct driver_param_s params[] = {
    {"channels", "requests that run side by side, 1 to 32; 2", NULL, 1, 32, DRIVER_PARAM_UINT},
    {"rate", "bytes a second of each channel, 0: no limit; 1000000000", NULL, 0, UINT64_MAX,
     DRIVER_PARAM_UINT},
    {"latency", "ns before a request begins; 1000", NULL, 0, UINT32_MAX, DRIVER_PARAM_UINT},
    {"mask", "highest address of the bus; 0xffffffff", NULL, BUS, UINT64_MAX, DRIVER_PARAM_UINT},
    {"align", "of addresses and sizes: 1, 2, 4, 8 … 4096; 1", NULL, 1, 4096, DRIVER_PARAM_UINT},
    {"regs", "bytes of registers; 4096", NULL, 8, 1u << 20, DRIVER_PARAM_UINT},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct sim_dma_pv_s *pv_of(const struct kr_dma_chan_s *chan)
{
    return device_pv(chan->engine->dev);
}

/* --- moving --- */

/* Accesses of `width` bytes, each one at a time, of a side that may be fixed. */
static void registers(uint8_t *regs, uint8_t *memory, size_t size, unsigned width, bool fixed,
                      bool to_regs)
{
    for (size_t at = 0; at < size; at += width) {
        uint8_t *reg = regs + (fixed ? 0 : at);

        memcpy(to_regs ? reg : memory + at, to_regs ? memory + at : reg, width);
    }
}

/* `size` bytes of the row, all within one step. */
static void move(struct kr_dma_chan_s *chan, size_t size, bool *period)
{
    struct sim_dma_pv_s *pv = pv_of(chan);
    struct dev_dma_rq_s *rq = chan->current;
    unsigned width = rq->width ? rq->width : 1;
    struct dev_dma_piece_s piece;

    if (!size)
        return;
    dev_dma_walk_piece(&piece, rq, &chan->pos, size);
    if (rq->type == DEV_DMA_MEM_REG)
        registers(pv->regs + piece.dst, (uint8_t *)(uintptr_t)piece.src, piece.size, width,
                  rq->reg_fixed, true);
    else if (rq->type == DEV_DMA_REG_MEM)
        registers(pv->regs + piece.src, (uint8_t *)(uintptr_t)piece.dst, piece.size, width,
                  rq->reg_fixed, false);
    else
        memmove((void *)(uintptr_t)piece.dst, (const void *)(uintptr_t)piece.src, piece.size);
    dev_dma_walk_advance(rq, &chan->pos, piece.size, period);
    kr_dma_moved(rq, piece.size);
}

/* Whole accesses only. */
static size_t whole(const struct dev_dma_rq_s *rq, uint64_t size)
{
    return (size_t)(rq->width ? size - size % rq->width : size);
}

/* Is it time for the fault? What is left until then, otherwise. */
static bool is_due(struct sim_dma_pv_s *pv, const struct dev_dma_rq_s *rq, uint64_t *left,
                   enum kroutine_sim_dma_fault_e *kind)
{
    bool due;

    pthread_mutex_lock(&pv->engine->lock);
    *left = !pv->fault ? UINT64_MAX : pv->bytes > rq->done ? pv->bytes - rq->done : 0;
    due = pv->fault && whole(rq, *left) == 0;
    if (due) {
        *kind = pv->kind;
        pv->fault = false;
    }
    pthread_mutex_unlock(&pv->engine->lock);
    return due;
}

/* False: `turn` says what happened. */
static bool next_step(struct kr_dma_chan_s *chan, struct kr_dma_turn_s *turn)
{
    struct sim_dma_pv_s *pv = pv_of(chan);
    struct sim_dma_chan_s *c = &pv->chan[chan->number];
    struct dev_dma_rq_s *rq = chan->current;
    enum kroutine_sim_dma_fault_e kind;
    struct dev_dma_piece_s piece;
    uint64_t left;

    if (is_due(pv, rq, &left, &kind)) {
        if (kind == KROUTINE_SIM_DMA_ERROR) {
            turn->state = KR_DMA_OVER;
            turn->error = -EIO;
            return false;
        }
        c->stalled = true;
        c->step = 0;
    }
    if (!c->stalled) {
        dev_dma_walk_piece(&piece, rq, &chan->pos, left < STEP ? whole(rq, left) : STEP);
        c->step = piece.size;
        c->due = c->begin;
        if (pv->rate)
            c->due += (c->step * KROUTINE_SEC(1) + pv->rate - 1) / pv->rate;
    }
    return true;
}

static void sim_dma_turn(struct kr_dma_chan_s *chan, bool first, struct kr_dma_turn_s *turn)
{
    struct sim_dma_pv_s *pv = pv_of(chan);
    struct sim_dma_chan_s *c = &pv->chan[chan->number];
    struct dev_dma_rq_s *rq = chan->current;
    uint64_t now = kr_dma_engine_now(chan->engine);
    size_t budget = STEP;

    if (first) {
        c->begin = now + pv->latency;
        c->stalled = false;
        c->step = 0;
        if (!next_step(chan, turn))
            return;
    }
    while (!c->stalled && c->due <= now) {
        size_t step = c->step;
        bool period = false;

        move(chan, step, &period);
        turn->periods += period;
        if (dev_dma_walk_over(rq, &chan->pos)) {
            turn->state = KR_DMA_OVER;
            return;
        }
        c->begin = c->due;
        if (!next_step(chan, turn))
            return;
        budget -= step < budget ? step : budget;
        if (!budget || turn->periods)
            return; /* more, if the time has come */
    }
    turn->state = KR_DMA_WAIT;
    turn->at = c->stalled ? UINT64_MAX : c->due;
}

static error_t sim_dma_stop(struct kr_dma_chan_s *chan, bool force)
{
    struct sim_dma_pv_s *pv = pv_of(chan);
    struct sim_dma_chan_s *c = &pv->chan[chan->number];
    uint64_t now = kr_dma_engine_now(chan->engine), part = 0;
    bool period;

    (void)force;
    if (c->stalled || now <= c->begin || chan->engine->closed == -ENODEV)
        return 0;
    /* The last byte of a step comes with its end. */
    if (pv->rate && c->step)
        part = c->due <= now ? c->step - 1 : (now - c->begin) * pv->rate / KROUTINE_SEC(1);
    if (part >= c->step)
        part = c->step ? c->step - 1 : 0;
    move(chan, whole(chan->current, part), &period);
    c->step -= whole(chan->current, part);
    return 0;
}

static const struct kr_dma_ops_s sim_dma_ops = {
    .policy = KROUTINE_SCHED_SWITCH,
    .turn = sim_dma_turn,
    .stop = sim_dma_stop,
};

/* --- opening and closing --- */

static void free_pv(struct sim_dma_pv_s *pv)
{
    if (pv->engine)
        kr_dma_engine_free(pv->engine);
    free(pv->chan);
    free(pv->regs);
}

static error_t sim_dma_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct sim_dma_pv_s *pv = device_pv(dev);
    unsigned channels = (unsigned)device_spec_uint(spec, "channels", 2);
    error_t err = -ENOMEM;

    pv->rate = device_spec_uint(spec, "rate", 1000000000);
    pv->latency = device_spec_uint(spec, "latency", 1000);
    pv->mask = device_spec_uint(spec, "mask", UINT32_MAX);
    pv->align = (uint32_t)device_spec_uint(spec, "align", 1);
    if (pv->align & (pv->align - 1))
        return device_error(-EINVAL, "align=%u: not a power of two", (unsigned)pv->align);
    pv->reg_size = (size_t)device_spec_uint(spec, "regs", 4096);
    pv->next_bus = BUS;
    pv->regs = calloc(1, pv->reg_size);
    pv->chan = calloc(channels, sizeof(pv->chan[0]));
    if (pv->regs && pv->chan)
        err = kr_dma_engine_create(&pv->engine, dev, &sim_dma_ops, channels);
    if (err)
        free_pv(pv);
    return err;
}

static void sim_dma_close(struct device_s *dev)
{
    struct sim_dma_pv_s *pv = device_pv(dev);

    kr_dma_engine_close(pv->engine, -ECANCELED);
    dev_dma_detach(dev);
}

static void sim_dma_free(struct device_s *dev)
{
    free_pv(device_pv(dev));
}

/* --- class --- */

static DEV_DMA_REQUEST(sim_dma_request)
{
    struct sim_dma_pv_s *pv = device_pv(acc->dev);

    if (!dev_dma_registers_inside(rq, 0, pv->reg_size))
        return -EFAULT;
    return kr_dma_engine_request(pv->engine, rq);
}

static DEV_DMA_CANCEL(sim_dma_cancel)
{
    struct sim_dma_pv_s *pv = device_pv(acc->dev);

    return kr_dma_engine_cancel(pv->engine, rq);
}

static DEV_DMA_INFO(sim_dma_info)
{
    struct sim_dma_pv_s *pv = device_pv(acc->dev);

    *info = (struct dev_dma_info_s){
        .name = "sim-dma",
        .channels = pv->engine->channels,
        .types = 1u << DEV_DMA_MEM_MEM | 1u << DEV_DMA_MEM_REG | 1u << DEV_DMA_REG_MEM,
        .widths = 1 | 2 | 4 | 8,
        .cap = DEV_DMA_CAP_CANCEL | DEV_DMA_CAP_CONTINUOUS | DEV_DMA_CAP_STRIDE |
               DEV_DMA_CAP_OVERLAP | DEV_DMA_CAP_FIXED | DEV_DMA_CAP_PROTECTED |
               DEV_DMA_CAP_VIRTUAL,
        .align = pv->align,
        .size_max = INT64_MAX,
        .mask = pv->mask,
    };
    return 0;
}

/* Addresses of the bus are given out upwards, and all again when none is in use. */
static DEV_DMA_MAP(sim_dma_map)
{
    struct sim_dma_pv_s *pv = device_pv(acc->dev);
    uint64_t end;
    error_t err = 0;

    pthread_mutex_lock(&pv->engine->lock);
    if (pv->engine->closed)
        err = pv->engine->closed;
    else if (__builtin_add_overflow(pv->next_bus, (uint64_t)mem->size - 1, &end) || end > pv->mask)
        err = -ENOSPC;
    if (!err) {
        mem->bus = pv->next_bus;
        pv->next_bus = end >= UINT64_MAX - PAGE ? UINT64_MAX : (end + PAGE) & ~(uint64_t)(PAGE - 1);
        pv->mapped++;
    }
    pthread_mutex_unlock(&pv->engine->lock);
    return err == -ENOSPC ? device_error(err, "the bus has no such range left below mask=%#llx",
                                         (unsigned long long)pv->mask)
                          : err;
}

static DEV_DMA_UNMAP(sim_dma_unmap)
{
    struct sim_dma_pv_s *pv = device_pv(acc->dev);

    (void)mem;
    pthread_mutex_lock(&pv->engine->lock);
    if (!--pv->mapped)
        pv->next_bus = BUS;
    pthread_mutex_unlock(&pv->engine->lock);
    return 0;
}

static const struct driver_dma_s sim_dma_methods = DRIVER_DMA_METHODS(sim_dma);

const struct driver_s kr_driver_sim_dma = {
    .name = "sim-dma",
    .desc = "simulated engine that takes time, with registers",
    .params = params,
    .pv_size = sizeof(struct sim_dma_pv_s),
    .f_open = sim_dma_open,
    .f_close = sim_dma_close,
    .f_use = kr_dma_engine_use,
    .f_free = sim_dma_free,
    .classes = {(const struct driver_class_table_s *)&sim_dma_methods},
};

/* --- from outside --- */

static void misbehave(struct sim_dma_pv_s *pv, enum kroutine_sim_dma_fault_e fault, uint64_t bytes)
{
    if (fault == KROUTINE_SIM_DMA_GONE) {
        kr_dma_engine_gone(pv->engine);
        return;
    }
    if (fault != KROUTINE_SIM_DMA_SPURIOUS) {
        pthread_mutex_lock(&pv->engine->lock);
        pv->fault = true;
        pv->kind = fault;
        pv->bytes = bytes;
        pthread_mutex_unlock(&pv->engine->lock);
        return;
    }
    for (unsigned i = 0; i < pv->engine->channels; i++)
        kr_dma_engine_kick(&pv->engine->chan[i]);
}

error_t kroutine_sim_dma_fault(const struct device_accessor_s *acc,
                               enum kroutine_sim_dma_fault_e fault, uint64_t bytes)
{
    struct device_s *dev = acc->dev;
    error_t err;

    if (!dev || strcmp(device_driver_name(dev), kr_driver_sim_dma.name) != 0)
        return -ENOTSUP;
    if ((unsigned)fault > KROUTINE_SIM_DMA_GONE)
        return -EINVAL;
    err = kr_device_enter(dev);
    if (!err)
        misbehave(device_pv(dev), fault, bytes);
    kr_device_leave(dev);
    return err;
}
