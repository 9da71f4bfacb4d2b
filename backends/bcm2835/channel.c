/* SPDX-License-Identifier: MIT */
/*
 * What happens to a channel of the hardware. The pump of lib/dma_engine.c has it to itself, in the
 * reactor; a cancel or a close comes in between two turns, with the lock.
 *
 * A request is laid out as control blocks, as many as there is room for: a batch. The engine works
 * off a batch by itself, and interrupts after the last block, and at the end of each period that
 * somebody waits for. A continuous request is one batch whose last block leads to the first: a
 * ring, of as many runs through the list as there is room for. The place of the engine tells how
 * many periods have ended, whatever interrupts were lost.
 *
 * Laps are counted by the engine itself: the last block of a ring copies a word from a table, in
 * which each word is the address of the next one, to where this very block has its source address.
 * While the engine is at that block nobody knows on which side of the copy it is.
 *
 * What is believed is CONBLK_AD, the block that the engine is at, and 0 when it has come to the
 * end; Linux has found ACTIVE not to be reliable (bcm2835_dma_abort).
 */
#include <time.h>

#include "bcm2835.h"

/* For an interrupt that does not come, because the device tree has the wrong one. */
#define LOOK_AGAIN KROUTINE_SEC(1)
/* The interrupt of the last block may be seen before CONBLK_AD is 0. */
#define LOOK_SOON KROUTINE_MSEC(1)
/* A peripheral that does not answer can keep the channel from stopping. */
#define STOP_LIMIT KROUTINE_MSEC(200)
#define SPINS      200
#define SLEEP_NS   20000

/* Beside ACTIVE, in every write to CS. */
#define CS_FLAGS BCM_WAIT_WRITES

static struct bcm_dma_s *bcm_of(const struct kr_dma_chan_s *chan)
{
    return device_pv(chan->engine->dev);
}

static uint32_t get(const struct bcm_dma_s *bcm, size_t offset)
{
    return dev_mmio_read32_le(&bcm->regs, offset);
}

static void set(const struct bcm_dma_s *bcm, size_t offset, uint32_t value)
{
    dev_mmio_write32_le(&bcm->regs, offset, value);
}

/* False: the bits of `mask` do not become `value`. */
static bool wait_for(const struct bcm_dma_s *bcm, size_t offset, uint32_t mask, uint32_t value)
{
    const struct timespec pause = {.tv_nsec = SLEEP_NS};

    for (uint64_t spins = 0; (get(bcm, offset) & mask) != value; spins++) {
        if (spins > SPINS + STOP_LIMIT / SLEEP_NS)
            return false;
        if (spins > SPINS)
            nanosleep(&pause, NULL);
    }
    return true;
}

/* --- stopping --- */

/* Stands still, and its registers tell where. */
static void pause_channel(const struct bcm_dma_s *bcm)
{
    set(bcm, BCM_CS, CS_FLAGS);
    wait_for(bcm, BCM_CS, BCM_PAUSED | BCM_WRITES_LEFT, BCM_PAUSED);
}

error_t kr_bcm_reset(struct bcm_dma_s *bcm)
{
    if (get(bcm, BCM_CONBLK_AD))
        pause_channel(bcm);
    set(bcm, BCM_CS, BCM_RESET);
    if (!wait_for(bcm, BCM_CS, BCM_RESET | BCM_ACTIVE | BCM_INT, 0))
        return -EIO;
    if (get(bcm, BCM_DEBUG) & BCM_ERRORS)
        set(bcm, BCM_DEBUG, BCM_ERRORS);
    return wait_for(bcm, BCM_DEBUG, BCM_ERRORS, 0) ? 0 : -EIO;
}

/* --- a batch --- */

uint32_t kr_bcm_list_blocks(const struct bcm_dma_s *bcm, const struct dev_dma_rq_s *rq)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < rq->count && sum < UINT32_MAX; i++) {
        uint64_t rows = rq->list[i].rows ? rq->list[i].rows : 1;
        uint64_t pieces = rq->list[i].size / bcm->max + (rq->list[i].size % bcm->max != 0);

        if (__builtin_mul_overflow(rows, pieces, &rows) || __builtin_add_overflow(sum, rows, &sum))
            return UINT32_MAX;
    }
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static uint32_t block_bus(const struct bcm_dma_s *bcm, unsigned n)
{
    return bcm->pool.bus + n * BCM_BLOCK;
}

static void set_block(const struct bcm_dma_s *bcm, unsigned n, size_t offset, uint32_t value)
{
    dev_mmio_write32_le_relaxed(&bcm->pool.window, n * BCM_BLOCK + offset, value);
}

/* What the engine calls one side of a piece, `reg`: of registers. */
static error_t side(const struct bcm_dma_s *bcm, uint64_t address, size_t size, bool reg,
                    uint32_t *bus)
{
    uint64_t value = address;
    error_t err = 0;

    if (!reg)
        err = dev_dma_bus(bcm->dev, (const void *)(uintptr_t)address, size, &value);
    *bus = (uint32_t)value;
    return err;
}

static uint32_t transfer_information(const struct bcm_dma_s *bcm, const struct dev_dma_rq_s *rq)
{
    bool from_reg = rq->type == DEV_DMA_REG_MEM, to_reg = rq->type == DEV_DMA_MEM_REG;
    uint32_t ti = BCM_TI_WAIT_RESP | BCM_TI_NO_WIDE;

    if (!(from_reg && rq->reg_fixed))
        ti |= BCM_TI_SRC_INC;
    if (!(to_reg && rq->reg_fixed))
        ti |= BCM_TI_DEST_INC;
    if (bcm->dreq && (from_reg || to_reg))
        ti |= BCM_TI_PERMAP(bcm->dreq) | (from_reg ? BCM_TI_SRC_DREQ : BCM_TI_DEST_DREQ);
    return ti;
}

/* Block `n`. */
static error_t lay_out(const struct bcm_dma_s *bcm, unsigned n, const struct dev_dma_rq_s *rq,
                       const struct dev_dma_piece_s *piece, uint32_t ti, uint32_t next)
{
    uint32_t source, dest;
    error_t err = side(bcm, piece->src, piece->size, rq->type == DEV_DMA_REG_MEM, &source);

    if (!err)
        err = side(bcm, piece->dst, piece->size, rq->type == DEV_DMA_MEM_REG, &dest);
    if (err)
        return err;
    set_block(bcm, n, BCM_BLOCK_TI, ti);
    set_block(bcm, n, BCM_BLOCK_SOURCE, source);
    set_block(bcm, n, BCM_BLOCK_DEST, dest);
    set_block(bcm, n, BCM_BLOCK_LENGTH, (uint32_t)piece->size);
    set_block(bcm, n, BCM_BLOCK_STRIDE, 0);
    set_block(bcm, n, BCM_BLOCK_NEXT, next);
    return 0;
}

/* What follows the `filled` blocks of a ring: the lap is counted. */
static void lay_out_lap(const struct bcm_dma_s *bcm)
{
    unsigned n = bcm->filled;

    set_block(bcm, n, BCM_BLOCK_TI, BCM_TI_WAIT_RESP | BCM_TI_NO_WIDE);
    set_block(bcm, n, BCM_BLOCK_SOURCE, bcm->pool.bus + (uint32_t)bcm->pool.laps);
    set_block(bcm, n, BCM_BLOCK_DEST, block_bus(bcm, n) + BCM_BLOCK_SOURCE);
    set_block(bcm, n, BCM_BLOCK_LENGTH, BCM_WORD);
    set_block(bcm, n, BCM_BLOCK_STRIDE, 0);
    set_block(bcm, n, BCM_BLOCK_NEXT, block_bus(bcm, 0));
}

/* Modulo BCM_LAPS. */
static unsigned lap_of(const struct bcm_dma_s *bcm)
{
    uint32_t source =
        dev_mmio_read32_le(&bcm->pool.window, bcm->filled * BCM_BLOCK + BCM_BLOCK_SOURCE);

    return (source - bcm->pool.bus - (uint32_t)bcm->pool.laps) / BCM_WORD % BCM_LAPS;
}

/* Fills a batch from chan->pos on, and starts it. */
static error_t start(struct kr_dma_chan_s *chan)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    const struct dev_dma_rq_s *rq = chan->current;
    bool continuous = rq->loops == DEV_DMA_CONTINUOUS, period;
    uint32_t ti = transfer_information(bcm, rq), room = bcm->blocks;
    struct dev_dma_walk_s walk = chan->pos;
    error_t err = 0;
    uint32_t n = 0;

    bcm->ring = continuous && bcm->rings;
    if (bcm->ring)
        room -= 1 + (room - 1) % kr_bcm_list_blocks(bcm, rq);
    while (!err && n < room && !dev_dma_walk_over(rq, &walk)) {
        struct dev_dma_piece_s piece;
        bool last;

        dev_dma_walk_piece(&piece, rq, &walk, bcm->max);
        dev_dma_walk_advance(rq, &walk, piece.size, &period);
        last = n + 1 == room || dev_dma_walk_over(rq, &walk);
        err = lay_out(
            bcm, n, rq, &piece,
            ti |
                ((last && !bcm->ring) || (period && (continuous || rq->period)) ? BCM_TI_INTEN : 0),
            last && !bcm->ring ? 0 : block_bus(bcm, n + 1));
        n++;
    }
    bcm->filled = n;
    bcm->seen = 0;
    bcm->lap = 0;
    if (err)
        return err;
    if (bcm->ring)
        lay_out_lap(bcm);
    set(bcm, BCM_CONBLK_AD, block_bus(bcm, 0));
    set(bcm, BCM_CS, CS_FLAGS | BCM_ACTIVE);
    return 0;
}

/* The block that the engine is at, `filled`: it has come to the end, or to the block that counts
   laps. -EIO: it is somewhere else. */
static error_t locate(const struct bcm_dma_s *bcm, unsigned *at, unsigned *lap)
{
    uint32_t block, offset;

    do {
        *lap = bcm->ring ? lap_of(bcm) : 0;
        block = get(bcm, BCM_CONBLK_AD);
    } while (bcm->ring && lap_of(bcm) != *lap);
    offset = block - block_bus(bcm, 0);
    *at = block ? offset / BCM_BLOCK : bcm->filled;
    return block ? (*at < bcm->filled + bcm->ring ? 0 : -EIO) : bcm->ring ? -EIO : 0;
}

/* Counts what is done of the batch when the engine is there. */
static void count(struct kr_dma_chan_s *chan, unsigned at, unsigned lap, unsigned *periods)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    unsigned passed = (lap - bcm->lap) % BCM_LAPS * bcm->filled + at - bcm->seen;

    bcm->seen = at;
    bcm->lap = lap;
    for (; passed; passed--) {
        struct dev_dma_piece_s piece;
        bool period;

        dev_dma_walk_piece(&piece, chan->current, &chan->pos, bcm->max);
        dev_dma_walk_advance(chan->current, &chan->pos, piece.size, &period);
        kr_dma_moved(chan->current, piece.size);
        *periods += period;
    }
}

/* Of the block that the engine stands at. What has been written counts: the source is ahead by what
   is in its buffer. A destination that stands still does not tell; then the source has to, and
   WAIT_RESP keeps the two together. */
static void count_part(struct kr_dma_chan_s *chan)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    const struct dev_dma_rq_s *rq = chan->current;
    bool fixed = rq->type == DEV_DMA_MEM_REG && rq->reg_fixed;
    struct dev_dma_piece_s piece;
    uint32_t begin, part;

    dev_dma_walk_piece(&piece, rq, &chan->pos, bcm->max);
    if (fixed ? side(bcm, piece.src, piece.size, false, &begin)
              : side(bcm, piece.dst, piece.size, rq->type == DEV_DMA_MEM_REG, &begin))
        return;
    part = get(bcm, fixed ? BCM_SOURCE_AD : BCM_DEST_AD) - begin;
    if (part < piece.size) /* else it has not been loaded yet */
        kr_dma_moved(chan->current, part);
}

/* Of a channel that stands at the block that counts laps: is the copy done? SOURCE_AD is the word
   that it reads, and that of another block before it is loaded. */
static bool is_lap_counted(const struct bcm_dma_s *bcm, unsigned lap)
{
    uint32_t word = get(bcm, BCM_SOURCE_AD) - bcm->pool.bus - (uint32_t)bcm->pool.laps;

    return word < BCM_LAPS * BCM_WORD && (word / BCM_WORD + 1) % BCM_LAPS == lap;
}

/* The channel stands still. */
static void count_stopped(struct kr_dma_chan_s *chan, unsigned *periods)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    unsigned at, lap;

    if (locate(bcm, &at, &lap))
        return;
    if (bcm->ring && at == bcm->filled && is_lap_counted(bcm, lap))
        at = 0;
    count(chan, at, lap, periods);
    if (at < bcm->filled && get(bcm, BCM_CONBLK_AD) == block_bus(bcm, at))
        count_part(chan);
}

/* --- turns --- */

static error_t failed(struct bcm_dma_s *bcm, uint32_t errors)
{
    uint32_t block = get(bcm, BCM_CONBLK_AD), source = get(bcm, BCM_SOURCE_AD),
             dest = get(bcm, BCM_DEST_AD);

    kr_bcm_reset(bcm);
    if (!errors)
        return device_error(-EIO,
                            "bcm2835-dma: the channel is at block 0x%08x, which is not of this "
                            "program: another one uses it",
                            (unsigned)block);
    return device_error(-EIO, "bcm2835-dma: %s%s%s, near source 0x%08x and destination 0x%08x",
                        errors & BCM_READ ? "an address that cannot be read" : "",
                        errors & BCM_FIFO ? (errors & BCM_READ ? ", FIFO error" : "FIFO error")
                                          : "",
                        errors & BCM_READ_LAST ? ", AXI read without its last word" : "",
                        (unsigned)source, (unsigned)dest);
}

/* The engine has been started before: how far is it? */
static void look(struct kr_dma_chan_s *chan, struct kr_dma_turn_s *turn)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    bool told = kr_xchg(&bcm->told, false);
    unsigned at, lap;
    error_t err = locate(bcm, &at, &lap);
    uint32_t errors = get(bcm, BCM_DEBUG) & BCM_ERRORS; /* afterwards: of all up to there */
    bool between = bcm->ring && at == bcm->filled;

    if (!err && !between)
        count(chan, at, lap, &turn->periods);
    turn->state = KR_DMA_OVER;
    if (err || errors) {
        turn->error = failed(bcm, errors);
    } else if (bcm->ring || at < bcm->filled) {
        turn->state = KR_DMA_WAIT;
        turn->at = kr_dma_engine_now(chan->engine);
        turn->at += between || (told && !bcm->ring && at + 1 == bcm->filled) //
                        ? LOOK_SOON
                        : LOOK_AGAIN;
    } else if (!dev_dma_walk_over(chan->current, &chan->pos)) {
        turn->state = KR_DMA_MORE;
        bcm->filled = 0;
    }
}

static void bcm_turn(struct kr_dma_chan_s *chan, bool first, struct kr_dma_turn_s *turn)
{
    struct bcm_dma_s *bcm = bcm_of(chan);

    if (first)
        bcm->filled = 0;
    if (bcm->filled) {
        look(chan, turn);
        return;
    }
    turn->error = start(chan);
    turn->state = turn->error ? KR_DMA_OVER : KR_DMA_WAIT;
    turn->at = kr_dma_engine_now(chan->engine) + LOOK_AGAIN;
}

/* Periods that have ended meanwhile are counted, and their kroutine is not executed any more. */
static error_t bcm_stop(struct kr_dma_chan_s *chan, bool force)
{
    struct bcm_dma_s *bcm = bcm_of(chan);
    struct dev_dma_rq_s *rq = chan->current;
    unsigned periods = 0;

    (void)force;
    if (chan->engine->closed == -ENODEV || !bcm->filled)
        return 0;
    if (get(bcm, BCM_CONBLK_AD))
        pause_channel(bcm);
    count_stopped(chan, &periods);
    kr_store_release(&rq->periods, rq->periods + periods);
    kr_bcm_reset(bcm);
    bcm->filled = 0;
    return 0;
}

const struct kr_dma_ops_s kr_bcm_dma_ops = {
    .policy = KROUTINE_SCHED_SWITCH,
    .turn = bcm_turn,
    .stop = bcm_stop,
};

/* --- the interrupt --- */

/* IMMEDIATE. Between the pausing of the channel and its reset nothing may set ACTIVE: the lock. The
   read pushes the write out, so that the line is quiet before it is unmasked. */
KROUTINE_EXEC(kr_bcm_interrupt)
{
    struct bcm_dma_s *bcm = KROUTINE_CONTAINER(kr, struct bcm_dma_s, irq.kr);

    (void)flags;
    if (bcm->irq.error) {
        kr_dma_engine_gone(bcm->engine);
        return;
    }
    pthread_mutex_lock(&bcm->engine->lock);
    if (get(bcm, BCM_CS) & BCM_INT) {
        set(bcm, BCM_CS, CS_FLAGS | BCM_INT | BCM_END | (get(bcm, BCM_CONBLK_AD) ? BCM_ACTIVE : 0));
        get(bcm, BCM_CS);
    }
    pthread_mutex_unlock(&bcm->engine->lock);
    kr_store(&bcm->told, true);
    dev_irq_unmask(&bcm->irq);
    kr_dma_engine_kick(&bcm->engine->chan[0]);
}
