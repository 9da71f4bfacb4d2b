/* SPDX-License-Identifier: MIT */
/*
 * The loop over io_uring, shared by the files of this folder.
 *
 * Descriptors are polled, multishot: one SQE, then a CQE for each edge. A completion is first noted
 * (kr_uring_drain), which touches nothing but the tables here, and handed to its owner later, in
 * order, by `wait`: that is how a completion can be met in the middle of a batch of reads.
 *
 * `user_data` is kind, slot and generation, never a pointer: a completion that is older than the
 * present use of its slot is recognised and dropped.
 */
#ifndef KR_URING_H
#define KR_URING_H

#include <liburing.h>

#include "loop.h"

enum kr_uring_kind_e {
    KR_UD_NONE, /* nobody waits for it: cancels */
    KR_UD_WAKE,
    KR_UD_POLL_IN, /* slot: of slots */
    KR_UD_POLL_OUT,
    KR_UD_READ, /* slot: index in the batch */
    KR_UD_IO,   /* slot: of ios */
};

#define KR_URING_NO_SLOT (UINT32_MAX >> 4)

static inline uint64_t kr_uring_ud(enum kr_uring_kind_e kind, uint32_t slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint64_t)slot << 4 | kind;
}

/* One direction of a watch. */
struct kr_uring_poll_s {
    uint32_t generation; /* of this arming */
    bool active;         /* the kernel has it */
    bool fired;          /* it has brought an event, and stayed */
    bool dead;           /* it failed, or hung up at once: not started again */
};

struct kr_uring_slot_s {
    struct kr_watch_s *watch; /* NULL: free, or to be freed when it leaves the list of events */
    uint32_t armed;
    uint32_t events; /* noted, not handed out */
    uint32_t next;   /* in the list of events, or of free slots */
    bool listed;     /* in the list of events */
    struct kr_uring_poll_s poll[2];
};

struct kr_uring_io_s {
    struct kr_io_s *io; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
    bool retried;
};

struct kr_loop_s {
    struct io_uring ring;
    int event; /* polled, never read: each write is an edge; 2^64 of them take too long */
    bool embedded;
    bool dispatching;
    bool restart; /* some poll could not be started: try again */
    uint32_t wake_generation;
    uint32_t generation; /* last given */

    struct kr_uring_slot_s *slots;
    uint32_t slots_size, slots_free;
    uint32_t first, last; /* list of slots with events */
    uint32_t listed;      /* its length */

    struct kr_uring_io_s *ios;
    uint32_t ios_size, ios_free;
    struct kr_io_s *done, **done_end; /* finished, `done` not called */
    uint32_t done_count;

    struct kr_read_s *batch;
    uint32_t batch_generation;
    uint32_t batch_pending; /* bit n: batch[n] has no result */

    uint64_t syscalls; /* atomic */
};

/* --- uring.c --- */

/* A free SQE, cleared; NULL: the kernel takes nothing. */
struct io_uring_sqe *kr_uring_sqe(struct kr_loop_s *loop);
/* Makes the kernel take what is queued. */
void kr_uring_submit(struct kr_loop_s *loop);
/* The same, then waits for a completion. */
void kr_uring_submit_wait(struct kr_loop_s *loop, int64_t timeout_ns);
/* Asks the kernel to end the request with this user_data. */
void kr_uring_cancel(struct kr_loop_s *loop, uint64_t user_data);
/* Notes every completion that is in the ring. */
void kr_uring_drain(struct kr_loop_s *loop);
/* The end of an operation that may have queued SQEs or noted events. */
void kr_uring_settle(struct kr_loop_s *loop);

/* --- uring_watch.c --- */

error_t kr_uring_watch_add(struct kr_loop_s *loop, struct kr_watch_s *w);
void kr_uring_watch_arm(struct kr_loop_s *loop, struct kr_watch_s *w, unsigned events);
void kr_uring_watch_del(struct kr_loop_s *loop, struct kr_watch_s *w);
void kr_uring_note_poll(struct kr_loop_s *loop, const struct io_uring_cqe *cqe);
/* Starts again the polls that could not be started. */
void kr_uring_restart(struct kr_loop_s *loop);
/* Hands out the events of up to `count` watches; how many were. */
int kr_uring_dispatch(struct kr_loop_s *loop, uint32_t count);

/* --- uring_io.c --- */

void kr_uring_read_batch(struct kr_loop_s *loop, struct kr_read_s *v, int count);
void kr_uring_note_read(struct kr_loop_s *loop, const struct io_uring_cqe *cqe);
void kr_uring_io_submit(struct kr_loop_s *loop, struct kr_io_s *io);
void kr_uring_io_reap(struct kr_loop_s *loop, struct kr_io_s *io);
void kr_uring_note_io(struct kr_loop_s *loop, const struct io_uring_cqe *cqe);
int kr_uring_io_complete(struct kr_loop_s *loop, uint32_t count);

/* --- uring_probe.c --- */

/* Does io_uring do here what this backend needs? Tries it. */
error_t kr_uring_probe(bool asked_for, char *reason, size_t size);
/* Says why making a ring gave `error`. Returns it. */
error_t kr_uring_explain(error_t error, char *reason, size_t size);

#endif
