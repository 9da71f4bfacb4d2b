/* SPDX-License-Identifier: MIT */
/* Shared by stream.c (who pumps, and when), stream_io.c (what one step of I/O does), stream_frame.c
   (steps of frames), stream_time.c (time-outs, silence, collecting, drains) and stream_batch.c
   (reads on the reactor). */
#ifndef KR_STREAM_INTERNAL_H
#define KR_STREAM_INTERNAL_H

#include "frame.h"
#include "internal.h"
#include "stream.h"

#define KR_STREAM_IOV   16
#define KR_STREAM_SCRAP 512

/* In rq_progress of a request that writes: */
#define KR_DRAINING       0x80000000u /* written, waiting for the device to be empty */
#define KR_FRAME_PROGRESS 0x7fffffffu /* bytes of the frame that have gone */

/* What a step of a direction came to. */
enum kr_step_e {
    KR_STEP_AGAIN,   /* look again: something completed or changed */
    KR_STEP_WAIT,    /* nothing to do before an event, or the timer */
    KR_STEP_STARTED, /* an operation is under way: its completion goes on */
};

/* What it means for the request at the head if this try finds nothing. stream_time.c. */
enum kr_verdict_e {
    KR_VERDICT_NONE,    /* it waits on */
    KR_VERDICT_SILENCE, /* nothing has come for as long as it said */
    KR_VERDICT_LATE,    /* its time-out has passed */
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
    bool framed;         /* that, or the try under way, is for a frame: kr_stream_end_framed */
    bool closing;        /* a thread waits on `quiet` */
    bool drop;           /* reading: the buffer of frames is to be emptied */
    uint8_t vain_looks;  /* reading, collecting: looks in a row that found nothing */
    uint8_t vain;        /* writing: events since the last byte went */
    uint8_t spurious;    /* events in a row that nobody waited for */
    ssize_t async_result;
    pthread_t pumper; /* while pumping and not in an operation under way */

    /* The pumper's alone: */
    unsigned active; /* requests at the head that take part in the I/O */
    struct iovec iov[KR_STREAM_IOV];
    size_t iov_total;
    uint8_t frame_head[4], frame_tail[1];
    enum kr_verdict_e verdict; /* on the try that is next, or under way */
    uint64_t again_at;         /* ns: writing, the head is not looked at before; 0: no such time */
    uint64_t retry_at;         /* ns, with the lock; not 0: events are not believed until then */
    struct dev_timer_rq_s timer; /* the first of next_tick() */
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
    uint64_t heard; /* when the last byte was read, ns, where somebody wants to know; atomic */
    uint64_t spoke; /* when the last byte written has left the line, ns: gap framing only; atomic */
    uint32_t refs;  /* atomic: the driver's, pumpers, armed timers, kicks, the reactor's list */
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

static inline bool kr_is_partial(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_PARTIAL || type == DEV_CHAR_WRITE_PARTIAL ||
           type == DEV_CHAR_WRITE_PARTIAL_FLUSH;
}

static inline bool kr_is_nonblock(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_NONBLOCK || type == DEV_CHAR_WRITE_NONBLOCK ||
           type == DEV_CHAR_WRITE_NONBLOCK_FLUSH;
}

static inline bool kr_is_flush(enum dev_char_rq_type_e type)
{
    return type >= DEV_CHAR_WRITE_FLUSH;
}

static inline bool kr_is_frame(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_FRAME || type == DEV_CHAR_WRITE_FRAME ||
           type == DEV_CHAR_WRITE_FRAME_FLUSH;
}

static inline bool kr_is_poll(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_POLL || type == DEV_CHAR_WRITE_POLL;
}

/* May it share a call with its neighbours? */
static inline bool kr_is_plain(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ || type == DEV_CHAR_READ_PARTIAL || type == DEV_CHAR_DISCARD ||
           type == DEV_CHAR_WRITE || type == DEV_CHAR_WRITE_PARTIAL;
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

/* --- stream_time.c --- */

/* With the lock, after a look that found fewer bytes than there was room for, or none: collecting,
   the next look is put off. */
void kr_stream_collect(struct kr_dir_s *d, bool found);
/* With the lock and a request at the head: is that one to wait for a look that was put off? */
void kr_stream_look_now(struct kr_dir_s *d);

uint64_t kr_stream_now(const struct kr_stream_s *s);
/* With the lock and a request at the head, before it is tried: what will it mean if that finds
   nothing? Not NONE: the try is due, though no event has come. */
enum kr_verdict_e kr_stream_judge(struct kr_dir_s *d);
/* With the lock: it has found nothing, and the head is the request of d->verdict, not NONE. */
void kr_stream_conclude(struct kr_dir_s *d, struct kr_done_s *done);
/* Without or with the lock: bytes have come, or gone. */
void kr_stream_note(struct kr_dir_s *d, size_t n);
/* With the lock, and a frame of gap framing at the head of which nothing has gone. True: the line
   has not been silent for long enough, again_at is set. */
bool kr_stream_must_hold(struct kr_dir_s *d);
/* With the lock: ends what is late, and finds out what will be next. */
void kr_stream_expire(struct kr_dir_s *d, struct kr_done_s *done);
/* With the lock: when this direction must be looked at without an event: ns, 0: never. */
uint64_t kr_stream_next_tick(const struct kr_dir_s *d);
/* The pumper, without the lock; `old`: timer_at before. An armed timer holds a reference. */
void kr_stream_set_timer(struct kr_dir_s *d, uint64_t old, uint64_t at);
/* With the lock, by the pumper that is about to start an operation which may go on without it: sets
   the timer, as later nobody will. True: it did, with the lock released for a while. */
bool kr_stream_time_ahead(struct kr_dir_s *d);
void kr_stream_init_timer(struct kr_dir_s *d);
/* At close, nobody pumps any more. */
void kr_stream_stop_timer(struct kr_dir_s *d);
/* With the lock, the pump, and the head waiting for the device to be empty. */
enum kr_step_e kr_stream_drain(struct kr_dir_s *d, struct kr_done_s *done);

/* --- stream_io.c --- */

/* With the lock: an operation of the driver goes on without its pumper. */
static inline bool kr_stream_under_way(const struct kr_dir_s *d)
{
    return d->async && d->async_returned && !d->async_done;
}

/* With the lock: out of the queue, into the list of those that end. */
void kr_stream_finish(struct kr_dir_s *d, struct dev_char_rq_s *rq, error_t error,
                      struct kr_done_s *done);

/* What I/O is done on; all with the lock. */
void kr_stream_add_iov(struct kr_dir_s *d, unsigned *n, void *base, size_t size);
void kr_stream_activate(struct kr_dir_s *d, struct dev_request_s *rq);
/* After the operation. Those that were cancelled meanwhile end now; true when the head is not among
   them. */
bool kr_stream_deactivate(struct kr_dir_s *d, struct kr_done_s *done);
void kr_stream_advance(struct dev_char_rq_s *rq, size_t n);
/* A timed read: n bytes more are there. True: they are enough, silence or not. */
bool kr_stream_timed_got(struct dev_char_rq_s *rq, size_t n);
/* A request has all that it wants but the emptiness of the device. */
enum kr_step_e kr_stream_satisfied(struct kr_dir_s *d, struct dev_char_rq_s *rq,
                                   struct kr_done_s *done);
/* The driver's function has given -EINPROGRESS. True: the operation is complete already. */
bool kr_stream_has_completed(struct kr_dir_s *d);

/* --- stream_frame.c: steps, as kr_stream_step --- */

enum kr_step_e kr_stream_read_framed(struct kr_dir_s *d, struct kr_done_s *done);
enum kr_step_e kr_stream_write_framed(struct kr_dir_s *d, struct kr_done_s *done);
enum kr_step_e kr_stream_record(struct kr_dir_s *d, struct kr_done_s *done);
/* With the lock: what the I/O for a frame has given. */
enum kr_step_e kr_stream_end_framed(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done);
/* With the lock: a frame for the head, which ends. */
void kr_stream_take_frame(struct kr_dir_s *d, const uint8_t *data, size_t size,
                          struct kr_done_s *done);

/* With the lock, the pump, and a request at the head: one step. Unlocks around I/O. */
enum kr_step_e kr_stream_step(struct kr_dir_s *d, struct kr_done_s *done);
/* With the lock: calls the driver on `count` parts of d->iov, for the active requests. */
enum kr_step_e kr_stream_start(struct kr_dir_s *d, unsigned count, bool framed,
                               struct kr_done_s *done);
/* With the lock: is the next step a plain read, for a batch? Prepares it: iov, active. */
bool kr_stream_begin_read(struct kr_dir_s *d);
/* With the lock: what the I/O on d->iov has given. */
enum kr_step_e kr_stream_end_io(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done);

#endif
