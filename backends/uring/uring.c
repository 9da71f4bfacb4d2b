/* SPDX-License-Identifier: MIT */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomic.h"
#include "kroutine/runtime.h"
#include "platform.h"

/* Small: rings are charged to RLIMIT_MEMLOCK, 8 MiB a user at most on Debian. A ring that is full
   is submitted, and completions beyond the second figure wait in a list of the kernel. */
#define SQ_ENTRIES       64
#define CQ_ENTRIES       1024
#define CQ_ENTRIES_SMALL 256

#define SUBMIT_TRIES     64

/* --- life --- */

/* From the most wanted to what every kernel has. Only the reactor may submit (SINGLE_ISSUER, 6.0),
   which is settled when the ring is enabled.

   Completions become visible by task work of the reactor. COOP_TASKRUN (5.19) leaves that to its
   next system call, whichever it is: the completion of a poll is in the ring when the write that
   caused it returns, and needs no call of its own. The price: an epoll_wait(2) of a program that
   waits for the ring's descriptor may end with EINTR, without any signal; poll(2) is restarted.
   DEFER_TASKRUN would cost a call for each look, and its ring did not wake poll(2) when tried
   (6.18). */
static error_t make_ring(struct io_uring *ring)
{
    static const unsigned flags[] = {
        IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
            IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_R_DISABLED,
    };
    static const unsigned sizes[] = {CQ_ENTRIES, CQ_ENTRIES_SMALL};
    error_t error = -EINVAL;

    for (size_t f = 0; f < sizeof(flags) / sizeof(*flags) && error == -EINVAL; f++) {
        error = -ENOMEM;
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes) && error == -ENOMEM; s++) {
            struct io_uring_params params = {.flags = flags[f] | IORING_SETUP_CQSIZE |
                                                      IORING_SETUP_CLAMP,
                                             .cq_entries = sizes[s]};
            error = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
        }
    }
    return error;
}

static error_t uring_create(struct kr_loop_s **ret, struct kroutine_runtime_s *rt,
                            const struct kroutine_runtime_config_s *config, char *reason,
                            size_t size)
{
    error_t error = kr_uring_probe(config->backend == KROUTINE_BACKEND_URING, reason, size);

    (void)rt;
    if (error)
        return error;

    struct kr_loop_s *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->embedded = config->embedded;
    loop->slots_free = loop->ios_free = loop->first = loop->last = KR_URING_NO_SLOT;
    loop->done_end = &loop->done;
    loop->event = kr_platform_event_open();
    error = loop->event < 0 ? loop->event : make_ring(&loop->ring);
    if (error) {
        if (loop->event >= 0)
            close(loop->event);
        free(loop);
        return kr_uring_explain(error, reason, size);
    }
    *ret = loop;
    return 0;
}

static void uring_destroy(struct kr_loop_s *loop)
{
    io_uring_queue_exit(&loop->ring);
    close(loop->event);
    free(loop->slots);
    free(loop->ios);
    free(loop);
}

static void watch_wake(struct kr_loop_s *loop)
{
    struct io_uring_sqe *sqe = kr_uring_sqe(loop);

    if (!sqe)
        return; /* tried again at the next settle */
    loop->wake_generation = ++loop->generation;
    io_uring_prep_poll_multishot(sqe, loop->event, POLLIN);
    io_uring_sqe_set_data64(sqe, kr_uring_ud(KR_UD_WAKE, 0, loop->wake_generation));
}

static error_t uring_attach(struct kr_loop_s *loop)
{
    /* io_uring_enable_rings(), which liburing 2.3 declares but does not export. */
    error_t error = io_uring_register(loop->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    if (error)
        return error;
    watch_wake(loop);
    kr_uring_submit(loop);
    return 0;
}

static int uring_fd(struct kr_loop_s *loop)
{
    return loop->ring.ring_fd;
}

static void uring_wake(struct kr_loop_s *loop)
{
    kr_platform_event_signal(loop->event);
}

/* --- submitting --- */

static void count_call(struct kr_loop_s *loop)
{
    kr_add_relaxed(&loop->syscalls, 1);
}

void kr_uring_submit(struct kr_loop_s *loop)
{
    for (int tries = 0; io_uring_sq_ready(&loop->ring) && tries < SUBMIT_TRIES; tries++) {
        count_call(loop);
        int n = io_uring_submit(&loop->ring);

        if (n >= 0 || n == -EINTR)
            continue;
        if (n != -EBUSY && n != -EAGAIN)
            return; /* not the reactor, or no ring any more: nothing will take them */
        /* The completion queue has overflowed, or the kernel is short of memory. */
        kr_uring_drain(loop);
        count_call(loop);
        io_uring_get_events(&loop->ring);
    }
}

void kr_uring_submit_wait(struct kr_loop_s *loop, int64_t timeout_ns)
{
    struct __kernel_timespec ts = {.tv_sec = timeout_ns / 1000000000,
                                   .tv_nsec = timeout_ns % 1000000000};
    struct io_uring_cqe *cqe;

    if (!io_uring_sq_ready(&loop->ring) && io_uring_cq_ready(&loop->ring))
        return;
    count_call(loop);
    /* -ETIME, -EINTR: there may be completions all the same. */
    io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
}

struct io_uring_sqe *kr_uring_sqe(struct kr_loop_s *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

    if (!sqe) {
        kr_uring_submit(loop);
        sqe = io_uring_get_sqe(&loop->ring);
    }
    return sqe;
}

void kr_uring_cancel(struct kr_loop_s *loop, uint64_t user_data)
{
    struct io_uring_sqe *sqe = kr_uring_sqe(loop);

    if (!sqe)
        return;
    /* Not POLL_REMOVE, which gives up (EALREADY) on a poll that is just delivering an event. */
    io_uring_prep_cancel64(sqe, user_data, 0);
    io_uring_sqe_set_data64(sqe, kr_uring_ud(KR_UD_NONE, 0, 0));
    if (loop->ring.features & IORING_FEAT_CQE_SKIP)
        io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
}

/* --- completions --- */

static void note_wake(struct kr_loop_s *loop, const struct io_uring_cqe *cqe)
{
    /* Started again by kr_uring_settle: at once would fill a full queue again. */
    if (cqe->user_data >> 32 == loop->wake_generation && !(cqe->flags & IORING_CQE_F_MORE))
        loop->wake_generation = 0;
}

void kr_uring_drain(struct kr_loop_s *loop)
{
    struct io_uring_cqe *next;

    /* Copied and given back first: noting one may submit, which may come back here. */
    while (io_uring_cq_ready(&loop->ring) && !io_uring_peek_cqe(&loop->ring, &next)) {
        struct io_uring_cqe cqe = {
            .user_data = next->user_data, .res = next->res, .flags = next->flags};

        io_uring_cqe_seen(&loop->ring, next);
        switch ((enum kr_uring_kind_e)(cqe.user_data & 15)) {
        case KR_UD_WAKE:
            note_wake(loop, &cqe);
            break;
        case KR_UD_POLL_IN:
        case KR_UD_POLL_OUT:
            kr_uring_note_poll(loop, &cqe);
            break;
        case KR_UD_READ:
            kr_uring_note_read(loop, &cqe);
            break;
        case KR_UD_IO:
            kr_uring_note_io(loop, &cqe);
            break;
        case KR_UD_NONE:
            break;
        }
    }
}

/* The reactor of a threaded runtime comes to `wait` in any case. A program that polls the ring's
   descriptor comes only when that is readable: what is queued has to be in the kernel, and what is
   noted has to be announced. */
void kr_uring_settle(struct kr_loop_s *loop)
{
    if (loop->dispatching)
        return;
    if (kr_unlikely(!loop->wake_generation))
        watch_wake(loop);
    if (!loop->embedded)
        return;
    kr_uring_submit(loop);
    if (loop->listed || loop->done_count)
        uring_wake(loop);
}

/* Completions that only a system call brings into the ring: overflowed, or still task work. */
static bool hidden_completions(struct kr_loop_s *loop)
{
    return kr_load_relaxed(loop->ring.sq.kflags) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

static int uring_wait(struct kr_loop_s *loop, int64_t timeout_ns)
{
    if (kr_unlikely(loop->restart)) {
        loop->restart = false;
        kr_uring_restart(loop);
    }
    bool idle = !loop->listed && !loop->done_count && !io_uring_cq_ready(&loop->ring);

    if (idle && timeout_ns) {
        kr_uring_submit_wait(loop, timeout_ns);
    } else if (idle && hidden_completions(loop)) {
        kr_uring_submit(loop);
        count_call(loop);
        io_uring_get_events(&loop->ring);
    } else {
        kr_uring_submit(loop);
    }
    kr_uring_drain(loop);
    /* As many as there are now: what comes meanwhile is for the next call, or this one might never
       return. */
    uint32_t ios = loop->done_count, watches = loop->listed;

    loop->dispatching = true;
    int count = kr_uring_io_complete(loop, ios) + kr_uring_dispatch(loop, watches);
    loop->dispatching = false;
    kr_uring_settle(loop);
    return count;
}

static bool uring_quiet(struct kr_loop_s *loop)
{
    return !loop->listed && !io_uring_cq_ready(&loop->ring) && !hidden_completions(loop);
}

static error_t uring_pollable(struct kr_loop_s *loop, int fd)
{
    (void)loop;
    return kr_platform_pollable(fd);
}

static uint64_t uring_syscalls(struct kr_loop_s *loop)
{
    return kr_load_relaxed(&loop->syscalls);
}

static const struct kr_loop_ops_s uring_ops = {
    .name = "uring",
    .create = uring_create,
    .destroy = uring_destroy,
    .attach = uring_attach,
    .fd = uring_fd,
    .wake = uring_wake,
    .wait = uring_wait,
    .pollable = uring_pollable,
    .watch_add = kr_uring_watch_add,
    .watch_arm = kr_uring_watch_arm,
    .watch_del = kr_uring_watch_del,
    .read_batch = kr_uring_read_batch,
    .io_submit = kr_uring_io_submit,
    .io_reap = kr_uring_io_reap,
    .quiet = uring_quiet,
    .syscalls = uring_syscalls,
};

const struct kr_backend_s kr_backend_uring = {.loop = &uring_ops, .clock = &kr_clock_timerfd};
