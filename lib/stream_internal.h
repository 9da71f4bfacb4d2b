/* SPDX-License-Identifier: MIT */
/* Shared by stream.c (who pumps, and when), stream_io.c (what one step of I/O does) and
   stream_batch.c (reads on the reactor). */
#ifndef KR_STREAM_INTERNAL_H
#define KR_STREAM_INTERNAL_H

#include "frame.h"
#include "internal.h"
#include "stream.h"

#define KR_STREAM_IOV   16
#define KR_STREAM_SCRAP 512

/* What a step of a direction came to. */
enum kr_step_e {
    KR_STEP_AGAIN,   /* look again: something completed or changed */
    KR_STEP_WAIT,    /* nothing to do before an event, or the timer */
    KR_STEP_STARTED, /* an operation is under way: its completion goes on */
};

/* Requests that end together, in order, when the lock is gone. */
struct kr_done_s {
    struct dev_request_s *first;
    struct dev_request_s *last;
};

struct kr_dir_s {
    struct kr_stream_s *stream;
    enum kr_dir_e which;
    pthread_mutex_t lock; /* guards what follows, up to the mark */
    pthread_cond_t quiet; /* close waits: nobody pumps */
    struct dev_request_queue_root_s queue;
    uint32_t timed;      /* requests in the queue that have a time-out */
    uint64_t earliest;   /* no time-out before this, ns; 0: none */
    error_t closed;      /* not 0: every request ends with this */
    bool pumping;        /* somebody serves this direction */
    bool ready;          /* worth trying … */
    bool maybe;          /* … though no event says so: the last try got something */
    bool armed;          /* the driver will call kr_stream_ready */
    bool tick;           /* the timer has fired */
    bool async;          /* an operation that gives -EINPROGRESS may be under way … */
    bool async_returned; /* … the driver's function has said so … */
    bool async_done;     /* … it is complete, async_result is there */
    bool closing;        /* a thread waits on `quiet` */
    uint8_t vain;        /* writing: events since the last byte went */
    uint8_t spurious;    /* events in a row that nobody waited for */
    ssize_t async_result;
    pthread_t pumper; /* while pumping and not in an operation under way */

    /* The pumper's alone: */
    unsigned active; /* requests at the head that take part in the I/O */
    struct iovec iov[KR_STREAM_IOV];
    size_t iov_total;
    uint8_t frame_head[4], frame_tail[1];
    uint64_t drain_at;           /* ns, 0: no question to ask again */
    uint64_t retry_at;           /* ns, with the lock; not 0: events are not believed until then */
    struct dev_timer_rq_s timer; /* earliest time-out, drain_at or retry_at */
    uint64_t timer_at;           /* 0: not armed; written under the lock */
    struct kroutine_s kick;      /* SCHED_SWITCH: pumps from the reactor, for cancel */
    bool kicked;                 /* with the lock */
    struct kr_done_s ended;      /* over, kroutine not executed yet */
};

struct kr_stream_s {
    const struct kr_stream_ops_s *ops;
    struct device_s *dev;
    struct kroutine_runtime_s *rt;
    struct kr_framing_s framing;
    struct kr_frame_buffer_s frames;
    int fd;
    bool can[KR_DIRS];
    uint32_t refs; /* atomic: the driver's, pumpers, armed timers, kicks, the reactor's list */
    uint8_t scrap[KR_STREAM_SCRAP]; /* where discarded bytes go: never looked at */
    void *pv;
    struct kr_dir_s dir[KR_DIRS];
    /* Reactor, stream_batch.c: */
    struct kr_stream_s *runnable_next; /* rt->runnable */
    struct kr_stream_s *put_off_next;  /* rt->put_off */
    uint64_t put_off_until;            /* the pass that tries it */
    bool runnable;
    bool is_put_off;
};

static inline enum dev_char_rq_type_e kr_type(const struct dev_request_s *rq)
{
    return (enum dev_char_rq_type_e)rq->type;
}

static inline struct dev_char_rq_s *kr_head(const struct kr_dir_s *d)
{
    return dev_char_rq_head(&d->queue);
}

/* --- stream.c --- */

/* One more reference, given back by kr_stream_put. */
static inline void kr_stream_hold(struct kr_stream_s *s)
{
    kr_add(&s->refs, 1);
}

/* With the lock. True: the caller has the pump, and must serve. */
bool kr_stream_seize(struct kr_dir_s *d);
/* Without the lock, with the pump: until nothing is left to do now. */
void kr_stream_serve(struct kr_dir_s *d);
/* Without the lock, with the pump: executes the kroutines of those that have ended. */
void kr_stream_execute(struct kr_dir_s *d);

/* --- stream_batch.c, on the reactor --- */

/* With the lock of the read direction: it is served after this batch of events. */
void kr_stream_make_runnable(struct kr_stream_s *s);
/* With that lock, for the first request in the queue: is it worth trying at once? If not, it waits
   for an event, or for the end of a doubt. */
bool kr_stream_try_now(struct kr_dir_s *d, const struct dev_char_rq_s *rq);

/* --- stream_io.c --- */

/* With the lock: an operation of the driver goes on without its pumper. */
static inline bool kr_stream_under_way(const struct kr_dir_s *d)
{
    return d->async && d->async_returned && !d->async_done;
}

/* With the lock: out of the queue, into the list of those that end. */
void kr_stream_finish(struct kr_dir_s *d, struct dev_char_rq_s *rq, error_t error,
                      struct kr_done_s *done);

/* With the lock, the pump, and a request at the head: one step. Unlocks around I/O. */
enum kr_step_e kr_stream_step(struct kr_dir_s *d, struct kr_done_s *done);
/* With the lock: is the next step a plain read, for a batch? Prepares it: iov, active. */
bool kr_stream_begin_read(struct kr_dir_s *d);
/* With the lock: what the I/O on d->iov has given. */
enum kr_step_e kr_stream_end_io(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done);

#endif
