/* SPDX-License-Identifier: MIT */
/* What drivers of the dma class share: requests on their channels, time-outs, cancel and close. */
#ifndef KR_DMA_ENGINE_H
#define KR_DMA_ENGINE_H

#include "alarm.h"
#include "device.h"

/* Range of addresses, relative to that of the descriptor, which all its rows in all loops of one
   side cover: *low <= 0 < *high. False: more than there can be. */
bool kr_dma_extent(const struct dev_dma_rq_s *rq, const struct dev_dma_desc_s *desc, bool source,
                   int64_t *low, int64_t *high);

/* --- channels --- */

struct kr_dma_engine_s;

struct kr_dma_chan_s {
    struct kr_dma_engine_s *engine;
    unsigned number;
    void *drvdata; /* of the driver */

    /* Lock of the engine. */
    struct dev_request_queue_root_s queue; /* what waits */
    unsigned waiting;                      /* how many */
    unsigned timed;                        /* requests with a time-out, `current` included */
    struct dev_dma_rq_s *current;          /* what the engine is at; NULL: nothing */
    error_t stop;                          /* `current` ends with it as soon as it can; 0: not */
    bool pumping;                          /* `pump` is pending or running, and holds the device */
    bool again;                            /* something has happened since it began */
    bool inside;                           /* a turn, or a kroutine of a period, is running … */
    pthread_t thread;                      /* … on this thread */
    struct dev_request_queue_root_s ended; /* handlers to execute */
    unsigned executing;                    /* one of them runs, or some nested in each other, … */
    pthread_t executor;                    /* … on this thread */
    struct kroutine_s pump;
    struct kr_alarm_s alarm;

    struct dev_dma_walk_s pos; /* of `current`; of whoever is inside, or has the lock */
};

/* What a turn has come to. */
struct kr_dma_turn_s {
    enum { KR_DMA_MORE, KR_DMA_WAIT, KR_DMA_OVER } state;
    error_t error; /* OVER */
    uint64_t at;   /* WAIT: ns on the monotonic clock, when to be asked again; UINT64_MAX: never */
    unsigned periods; /* ended in it */
};

struct kr_dma_ops_s {
    enum kroutine_policy_e policy; /* where turns are made: DEFERRED, SCHED_SWITCH */
    /* Starts or goes on with chan->current, `first` being true the first time. Called again when
       it said so, after KR_DMA_WAIT also after kr_dma_engine_kick, and spuriously. It keeps
       rq->done up to date (kr_dma_moved), and returns after some hundred microseconds. No lock. */
    void (*turn)(struct kr_dma_chan_s *chan, bool first, struct kr_dma_turn_s *turn);
    /* With the lock, between two turns: stops chan->current and brings rq->done up to date. -EBUSY:
       it cannot yet, a later turn says OVER; not with `force`, when the device is closed or gone.
       NULL: nothing goes on between two turns. */
    error_t (*stop)(struct kr_dma_chan_s *chan, bool force);
};

struct kr_dma_engine_s {
    const struct kr_dma_ops_s *ops;
    struct device_s *dev;
    pthread_mutex_t lock;
    pthread_cond_t quiet; /* a thread has come out */
    error_t closed;       /* what ends everything; 0: open */
    unsigned channels;
    struct kr_dma_chan_s chan[];
};

/* 1 to 32 channels. */
error_t kr_dma_engine_create(struct kr_dma_engine_s **ret, struct device_s *dev,
                             const struct kr_dma_ops_s *ops, unsigned channels);
/* For f_close: everything ends with `err`, later requests are refused with it. */
void kr_dma_engine_close(struct kr_dma_engine_s *engine, error_t err);
/* For f_free, or when the device does not open. */
void kr_dma_engine_free(struct kr_dma_engine_s *engine);
/* The device has gone: as close, without waiting. Any thread. */
void kr_dma_engine_gone(struct kr_dma_engine_s *engine);

/* f_use: what a request needs is there before the first. */
error_t kr_dma_engine_use(struct device_s *dev, enum device_use_e use);
/* f_request, f_cancel. */
error_t kr_dma_engine_request(struct kr_dma_engine_s *engine, struct dev_dma_rq_s *rq);
error_t kr_dma_engine_cancel(struct kr_dma_engine_s *engine, struct dev_dma_rq_s *rq);
/* Something has happened on this channel: an interrupt. Any thread. */
void kr_dma_engine_kick(struct kr_dma_chan_s *chan);

uint64_t kr_dma_engine_now(const struct kr_dma_engine_s *engine);

/* In a turn: `size` bytes more. */
static inline void kr_dma_moved(struct dev_dma_rq_s *rq, uint64_t size)
{
    kr_store_relaxed(&rq->done, rq->done + size);
}

#endif
