/* SPDX-License-Identifier: MIT */
/*
 * What the core asks of a backend that waits for events: uring, epoll, sim. One table a backend,
 * one loop object a runtime. Every operation runs on the reactor thread except those marked "any
 * thread". Nothing here is ever called with a lock of the core held.
 *
 * Life of a watch (lib/watch.c drives it; a loop sees only its own four operations):
 *
 *     kr_watch_open ──▶ IDLE ──arm──▶ ARMED ──event──▶ ready() … ──disarm──▶ IDLE
 *                         └──────────── kr_watch_close ────────────▶ CLOSING ──▶ released()
 */
#ifndef KR_LOOP_H
#define KR_LOOP_H

#include <sys/uio.h>

#include "kroutine/base.h"

struct kroutine_runtime_s;
struct kroutine_runtime_config_s;
struct kr_loop_s; /* defined by each backend */

enum kr_event_e {
    KR_EV_IN = 1,  /* a read would not give EAGAIN, end of stream included */
    KR_EV_OUT = 2, /* likewise for a write */
    KR_EV_HUP = 4, /* POLLHUP, POLLERR or POLLRDHUP (asked for with KR_EV_IN); delivered with
                      KR_EV_IN and KR_EV_OUT as armed */
};

/* A descriptor that the reactor looks after. Embedded in the object that it belongs to. */
struct kr_watch_s {
    int fd;
    struct kroutine_runtime_s *rt;
    /* Reactor thread. Edges: called once when armed on a descriptor that is ready already, and
       after every change later. May be called spuriously. */
    void (*ready)(struct kr_watch_s *w, unsigned events);
    /* Reactor thread, last call: the descriptor is closed, the memory is the owner's. */
    void (*released)(struct kr_watch_s *w);

    struct kr_watch_s *post_next; /* of lib/watch.c: list of watches with posted changes */
    uint32_t posted;              /* of lib/watch.c, atomic: changes not applied yet */
    uint32_t armed;               /* of lib/watch.c: events armed in the loop, reactor only */
    uint32_t slot;                /* of the loop */
    uint32_t generation;          /* of the loop */
};

/* One non-blocking read of a batch. */
struct kr_read_s {
    int fd;
    struct iovec *iov;
    int iov_count;
    ssize_t result; /* bytes or negative errno; -EAGAIN: nothing there */
};

enum kr_io_op_e { KR_IO_READ, KR_IO_WRITE, KR_IO_SYNC };

/* One operation on a file or block device, which poll(2) cannot wait for. */
struct kr_io_s {
    enum kr_io_op_e op;
    int fd;
    struct iovec *iov; /* stays valid until done */
    int iov_count;
    ssize_t result; /* as preadv2 with offset -1 (the file's own position), or negative errno */
    void (*done)(struct kr_io_s *io); /* reactor thread, exactly once */
    struct kr_io_s *next;             /* of whoever queues it */
    uint32_t slot;                    /* of the loop */
};

struct kr_loop_ops_s {
    const char *name;

    /* Makes a loop. 0 or negative errno; `reason` (size bytes) gets a sentence that says why this
       backend can, or cannot, be used here. Any thread: the reactor is not known yet. */
    error_t (*create)(struct kr_loop_s **ret, struct kroutine_runtime_s *rt,
                      const struct kroutine_runtime_config_s *config, char *reason, size_t size);
    /* After the last call of all others; every watch has been released. Any thread. */
    void (*destroy)(struct kr_loop_s *loop);
    /* First call on the reactor thread; may be NULL. */
    error_t (*attach)(struct kr_loop_s *loop);

    /* The descriptor that is readable when `wait` would return at once. */
    int (*fd)(struct kr_loop_s *loop);
    /* Any thread, any time, async: makes a running or later `wait` return. */
    void (*wake)(struct kr_loop_s *loop);

    /* Waits for events, at most timeout_ns (0: looks only; negative: for ever), calls `ready` and
       `done` for each. Number of events, wake-ups left out; interrupted by a signal: 0. */
    int (*wait)(struct kr_loop_s *loop, int64_t timeout_ns);

    /* Can poll(2) wait for this descriptor? Any thread. 0, or -EPERM: it is a file, or always
     * ready. */
    error_t (*pollable)(struct kr_loop_s *loop, int fd);
    error_t (*watch_add)(struct kr_loop_s *loop, struct kr_watch_s *w); /* -ENOMEM, -ENOSPC */
    /* Changes what is armed to exactly `events` (KR_EV_IN | KR_EV_OUT), edge-triggered. */
    void (*watch_arm)(struct kr_loop_s *loop, struct kr_watch_s *w, unsigned events);
    /* Forgets the watch: no event of it is delivered once this returns, even one that the kernel
       has produced already. The kernel holds no reference to the file any more when possible. */
    void (*watch_del)(struct kr_loop_s *loop, struct kr_watch_s *w);

    /* Does up to KR_BATCH_MAX non-blocking reads in one system call. NULL: one by one. */
    void (*read_batch)(struct kr_loop_s *loop, struct kr_read_s *v, int count);

    /* Starts an operation on a file. */
    void (*io_submit)(struct kr_loop_s *loop, struct kr_io_s *io);
    /* Returns when `io->done` has been called, asking the kernel to end it early where it can. */
    void (*io_reap)(struct kr_loop_s *loop, struct kr_io_s *io);

    /* Reactor, may be NULL: true when no event waits to be fetched, so that what was not ready
       is still not. Must be exact up to what other threads and the hardware do right now. */
    bool (*quiet)(struct kr_loop_s *loop);

    /* System calls so far: waiting and submitting. */
    uint64_t (*syscalls)(struct kr_loop_s *loop);
};

#define KR_BATCH_MAX 32

/* The three clocks, also the index of timer0, timer1, timer2. */
enum kr_clock_id_e { KR_CLOCK_MONOTONIC, KR_CLOCK_REALTIME, KR_CLOCK_BOOTTIME, KR_CLOCKS };

struct kr_clock_s; /* lib/clock.h */

/* How a clock is read and armed: timerfd, sim. */
struct kr_clock_ops_s {
    uint32_t capabilities; /* enum dev_timer_capability_e that all its clocks have */
    uint32_t tick;         /* ns a tick of the base clock; 0 counts as 1 */
    /* Makes the alarm of a clock (a timerfd and its watch). Any thread. 0, -EMFILE, -ENOMEM … */
    error_t (*open)(struct kr_clock_s *clock);
    /* Reactor thread, or any once the reactor has stopped. */
    void (*close)(struct kr_clock_s *clock);
    uint64_t (*now)(const struct kr_clock_s *clock); /* ns, any thread, opened or not */
    /* Any thread. At `deadline` (ns, absolute; UINT64_MAX: never) kr_clock_expire() is called on
       the reactor. Replaces the previous deadline. One call at a time for a clock. */
    void (*arm)(struct kr_clock_s *clock, uint64_t deadline);
};

struct kr_backend_s {
    const struct kr_loop_ops_s *loop;
    const struct kr_clock_ops_s *clock;
};

extern const struct kr_clock_ops_s kr_clock_timerfd; /* of uring and epoll */

extern const struct kr_backend_s kr_backend_uring;
extern const struct kr_backend_s kr_backend_epoll;
extern const struct kr_backend_s kr_backend_sim;

/* --- lib/watch.c: any thread; applied by the reactor, at once when called on it --- */

/* `w` must stay until released() even when this fails (then released is not called). */
error_t kr_watch_open(struct kroutine_runtime_s *rt, struct kr_watch_s *w, int fd);
void kr_watch_arm(struct kr_watch_s *w, unsigned events);    /* adds */
void kr_watch_disarm(struct kr_watch_s *w, unsigned events); /* removes */
void kr_watch_close(struct kr_watch_s *w);                   /* closes w->fd too, then released() */
/* Applies what was posted: reactor, before it waits. In a runtime that never met its reactor
   (`attached` is false): closes what is closing, keeps the rest. */
void kr_watch_flush(struct kroutine_runtime_s *rt);

/* Hands `io` to the loop, from any thread. */
void kr_io_submit(struct kroutine_runtime_s *rt, struct kr_io_s *io);
/* Any thread. True: the loop had not got it yet, and will not; `done` is not called. */
bool kr_io_take_back(struct kroutine_runtime_s *rt, struct kr_io_s *io);

#endif
