/* SPDX-License-Identifier: MIT */
/*
 * What happens to the hardware of the driver edu.
 *
 * One kroutine, the pump, has the engine to itself, in the reactor. All others change what it looks
 * at, with the lock, and kick it: new requests, cancels, the interrupt, the alarm. What it believes
 * is the command register: an interrupt too many does no harm, for one that is lost the alarm
 * comes.
 *
 *     QUEUED ──start──▶ ACTIVE ──┬─ last piece over ──▶ IDLE, handler
 *        │                 ▲     ├─ piece over ──▶ (the next one)
 *        │                 └─────┘
 *        │                 │ cancel, time-out
 *        │                 └──▶ ABORTED ──piece over──▶ IDLE, handler
 *        └─ cancel; time-out, close ──▶ IDLE; IDLE, handler
 */
#include "edu.h"

void kr_edu_kick(struct edu_s *edu)
{
    bool run;

    pthread_mutex_lock(&edu->lock);
    edu->again = true;
    run = !edu->pumping && !edu->over;
    if (run) {
        edu->pumping = true;
        device_hold(edu->dev);
    }
    pthread_mutex_unlock(&edu->lock);
    if (run)
        kroutine_exec(&edu->pump);
}

/* --- interrupt: IMMEDIATE, so that the line is quiet as soon as can be --- */

KROUTINE_EXEC(kr_edu_interrupt)
{
    struct edu_s *edu = KROUTINE_CONTAINER(kr, struct edu_s, irq.kr);

    (void)flags;
    if (edu->irq.error) {
        pthread_mutex_lock(&edu->lock);
        edu->lost = true;
        pthread_mutex_unlock(&edu->lock);
    } else {
        dev_mmio_write32_le(&edu->regs, EDU_IRQ_ACK,
                            dev_mmio_read32_le(&edu->regs, EDU_IRQ_STATUS));
        dev_irq_unmask(&edu->irq); /* INTx: the kernel has masked it */
    }
    kr_edu_kick(edu);
}

/* --- time --- */

uint64_t kr_edu_now(const struct edu_s *edu)
{
    dev_timer_value_t value;
    uint64_t now = 0;

    if (DEVICE_OP(&edu->timer, get_value, &value, 0) ||
        dev_timer_get_sec(&edu->timer, &now, 0, value, 1000000000))
        return 0;
    return now;
}

KROUTINE_EXEC(kr_edu_alarm)
{
    struct edu_s *edu = KROUTINE_CONTAINER(kr, struct edu_s, alarm.kr);
    struct device_s *dev = edu->dev;

    (void)flags;
    edu->alarm_at = 0; /* the pump is on this thread, too: the reactor's */
    kr_edu_kick(edu);
    device_release(dev);
}

/* Reactor. An alarm that comes too early is left: the pump then looks in vain, once. */
static void set_alarm(struct edu_s *edu, uint64_t at, uint64_t now)
{
    if (at == UINT64_MAX || (edu->alarm_at && edu->alarm_at <= at))
        return;
    if (edu->alarm_at) {
        if (DEVICE_OP(&edu->timer, cancel, &edu->alarm))
            return; /* it is about to come */
    } else {
        device_hold(edu->dev);
    }
    edu->alarm_at = at;
    if (dev_timer_init_sec_ceil(&edu->timer, &edu->alarm.delay, NULL, at > now ? at - now : 1,
                                1000000000) ||
        DEVICE_OP(&edu->timer, request, &edu->alarm)) {
        edu->alarm_at = 0;
        device_release(edu->dev);
    }
}

/* --- ending requests: with the lock, which is released for the handler --- */

static void end(struct edu_s *edu, struct dev_dma_rq_s *rq, error_t error)
{
    if (rq == edu->current)
        edu->current = NULL;
    else
        dev_dma_rq_remove(&edu->queue, rq);
    rq->rq_state = DEV_RQ_IDLE;
    rq->error = (int16_t)error;
    pthread_mutex_unlock(&edu->lock);
    dev_dma_rq_done(rq); /* may submit, cancel, close the device */
    pthread_mutex_lock(&edu->lock);
}

void kr_edu_end_all(struct edu_s *edu)
{
    if (edu->current)
        end(edu, edu->current, edu->over);
    while (edu->queue.head)
        end(edu, dev_dma_rq_head(&edu->queue), edu->over);
}

static bool is_late(const struct dev_request_s *rq, uint64_t now)
{
    return rq->expires && rq->expires <= now;
}

void kr_edu_abort(struct edu_s *edu, error_t error)
{
    edu->stop = error;
    edu->current->rq_state = DEV_RQ_ABORTED;
}

/* Ends what is late; when the next one will be. */
static uint64_t end_late(struct edu_s *edu, uint64_t now)
{
    struct dev_request_s *rq = edu->queue.head;
    uint64_t next = UINT64_MAX;

    if (edu->current && !edu->stop) {
        if (is_late(&edu->current->base, now))
            kr_edu_abort(edu, -ETIMEDOUT);
        else if (edu->current->expires)
            next = edu->current->expires;
    }
    while (rq) {
        if (is_late(rq, now)) {
            end(edu, dev_dma_rq_cast(rq), -ETIMEDOUT);
            rq = edu->queue.head; /* the queue may be another one now */
            continue;
        }
        if (rq->expires && rq->expires < next)
            next = rq->expires;
        rq = rq->next;
    }
    return next;
}

/* --- the engine: the pump, with the lock --- */

static void write_address(const struct edu_s *edu, size_t offset, uint64_t value)
{
#if UINTPTR_MAX > UINT32_MAX
    dev_mmio_write64_le(&edu->regs, offset, value);
#else
    dev_mmio_write32_le(&edu->regs, offset, (uint32_t)value); /* mask: fits */
#endif
}

/* The next piece of `current`, or the second half of the way of one from memory to memory. */
static error_t start_piece(struct edu_s *edu, uint64_t now)
{
    const struct dev_dma_rq_s *rq = edu->current;
    bool to_memory = rq->type == DEV_DMA_REG_MEM || edu->buffered;
    struct dev_dma_piece_s piece;
    uint64_t memory, buffer;
    error_t err;

    dev_dma_walk_piece(&piece, rq, &edu->walk, EDU_BUFFER_SIZE);
    memory = to_memory ? piece.dst : piece.src;
    buffer = rq->type == DEV_DMA_MEM_MEM ? EDU_BUFFER : to_memory ? piece.src : piece.dst;
    err = dev_dma_bus(edu->dev, (const void *)(uintptr_t)memory, piece.size, &memory);
    if (err)
        return err;
    write_address(edu, EDU_DMA_SOURCE, to_memory ? buffer : memory);
    write_address(edu, EDU_DMA_TARGET, to_memory ? memory : buffer);
    dev_mmio_write32_le(&edu->regs, EDU_DMA_COUNT, (uint32_t)piece.size);
    dev_mmio_write32_le(&edu->regs, EDU_DMA_COMMAND,
                        EDU_RUN | EDU_INTERRUPT | (to_memory ? EDU_TO_MEMORY : 0));
    edu->piece = piece.size;
    edu->limit = now + PIECE_LIMIT;
    return 0;
}

/* The engine has done what it was told. */
static void piece_over(struct edu_s *edu)
{
    struct dev_dma_rq_s *rq = edu->current;
    size_t size = edu->piece;
    bool period;

    edu->piece = 0;
    if (rq->type == DEV_DMA_MEM_MEM && !edu->buffered) {
        edu->buffered = true;
        return;
    }
    edu->buffered = false;
    dev_dma_walk_advance(rq, &edu->walk, size, &period);
    __atomic_store_n(&rq->done, rq->done + size, __ATOMIC_RELAXED);
    if (!period)
        return;
    __atomic_store_n(&rq->periods, rq->periods + 1, __ATOMIC_RELEASE);
    if (!rq->period)
        return;
    pthread_mutex_unlock(&edu->lock);
    kroutine_exec(rq->period); /* may submit, cancel, close the device */
    pthread_mutex_lock(&edu->lock);
}

static void set_bus_master(struct edu_s *edu, bool on)
{
    pthread_mutex_unlock(&edu->lock);
    DEVICE_OP(&edu->below, bus_master, on);
    pthread_mutex_lock(&edu->lock);
}

static void take_next(struct edu_s *edu)
{
    edu->current = dev_dma_rq_pop(&edu->queue);
    edu->current->rq_state = DEV_RQ_ACTIVE;
    edu->stop = 0;
    edu->walk = (struct dev_dma_walk_s){0};
    edu->piece = 0;
    edu->buffered = false;
}

static void gone(struct edu_s *edu)
{
    edu->over = -ENODEV;
    kr_edu_end_all(edu);
}

/* One step; when to look again, 0: at once, UINT64_MAX: when kicked. */
static uint64_t step(struct edu_s *edu, uint64_t now)
{
    uint32_t command = edu->lost ? EDU_GONE : dev_mmio_read32_le(&edu->regs, EDU_DMA_COMMAND);

    if (command == EDU_GONE) {
        gone(edu);
        return UINT64_MAX;
    }
    if (!(command & EDU_RUN) && edu->stuck) { /* of its own accord, late */
        edu->stuck = false;
        set_bus_master(edu, true);
        return 0;
    }
    if (!edu->current) {
        if (!edu->queue.head)
            return UINT64_MAX;
        take_next(edu);
    }
    if (command & EDU_RUN) {
        if (now < edu->limit)
            return edu->limit;
        edu->stuck = true;
        set_bus_master(edu, false); /* the memory of the request is given back */
        if (edu->current)
            end(edu, edu->current, -EIO);
        return 0;
    }
    if (edu->piece)
        piece_over(edu);
    if (edu->over || !edu->current) /* a kroutine of a period has closed the device */
        return UINT64_MAX;
    if (edu->stop || dev_dma_walk_over(edu->current, &edu->walk)) {
        end(edu, edu->current, edu->stop);
        return 0;
    }
    edu->stop = start_piece(edu, now);
    return 0;
}

/* SCHED_SWITCH: in the reactor, its stack unwound. */
KROUTINE_EXEC(kr_edu_pump)
{
    struct edu_s *edu = KROUTINE_CONTAINER(kr, struct edu_s, pump);
    struct device_s *dev = edu->dev;
    uint64_t now = 0, next = 0, late = UINT64_MAX;
    bool again;

    (void)flags;
    pthread_mutex_lock(&edu->lock);
    edu->inside = true;
    edu->thread = pthread_self();
    edu->again = false;
    while (!edu->over && next == 0) {
        now = kr_edu_now(edu);
        late = end_late(edu, now);
        next = edu->over ? UINT64_MAX : step(edu, now);
    }
    if (!edu->over) {
        pthread_mutex_unlock(&edu->lock); /* a system call, maybe; a close waits for `inside` */
        set_alarm(edu, late < next ? late : next, now);
        pthread_mutex_lock(&edu->lock);
    }
    edu->inside = false;
    again = edu->pumping = edu->again && !edu->over;
    pthread_cond_broadcast(&edu->quiet);
    pthread_mutex_unlock(&edu->lock);
    if (again)
        kroutine_exec(&edu->pump);
    else
        device_release(dev);
}
