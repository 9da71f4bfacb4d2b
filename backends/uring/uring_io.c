/* SPDX-License-Identifier: MIT */
/* Reads in the ring: batches of reads of descriptors that are ready, and operations on files. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "uring.h"

#define CURRENT_POSITION ((__u64)-1)

/* --- batches --- */

void kr_uring_note_read(struct kr_loop_s *loop, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data >> 4;

    if (cqe->user_data >> 32 != loop->batch_generation || !(loop->batch_pending >> index & 1))
        return;
    loop->batch_pending &= ~((uint32_t)1 << index);
    /* The cancel came first: nothing was read. */
    loop->batch[index].result = cqe->res == -ECANCELED || cqe->res == -EINTR ? -EAGAIN : cqe->res;
}

static void queue_read(struct kr_loop_s *loop, uint32_t index)
{
    struct kr_read_s *r = &loop->batch[index];
    struct io_uring_sqe *sqe = kr_uring_sqe(loop);

    if (!sqe) {
        ssize_t n = readv(r->fd, r->iov, r->iov_count);

        r->result = n < 0 ? -errno : n;
        return;
    }
    if (r->iov_count == 1)
        io_uring_prep_read(sqe, r->fd, r->iov->iov_base, (unsigned)r->iov->iov_len,
                           CURRENT_POSITION);
    else
        io_uring_prep_readv(sqe, r->fd, r->iov, (unsigned)r->iov_count, CURRENT_POSITION);
    io_uring_sqe_set_data64(sqe, kr_uring_ud(KR_UD_READ, index, loop->batch_generation));
    loop->batch_pending |= (uint32_t)1 << index;
}

/* What is still pending found nothing and waits for data: somebody else took it, or the event was
   spurious. It is taken out of the kernel before anything else happens, and only its own completion
   says whether it got data after all. */
static void end_reads(struct kr_loop_s *loop)
{
    while (loop->batch_pending) {
        for (uint32_t i = 0; i < KR_BATCH_MAX; i++) {
            if (loop->batch_pending >> i & 1)
                kr_uring_cancel(loop, kr_uring_ud(KR_UD_READ, i, loop->batch_generation));
        }
        kr_uring_submit(loop);
        kr_uring_drain(loop);
        /* A read that was just being tried again may have missed the cancel. */
        if (loop->batch_pending) {
            kr_uring_submit_wait(loop, 1000000);
            kr_uring_drain(loop);
        }
    }
}

void kr_uring_read_batch(struct kr_loop_s *loop, struct kr_read_s *v, int count)
{
    for (int at = 0; at < count; at += KR_BATCH_MAX) {
        int n = count - at < KR_BATCH_MAX ? count - at : KR_BATCH_MAX;

        loop->batch = v + at;
        loop->batch_generation = ++loop->generation;
        for (int i = 0; i < n; i++)
            queue_read(loop, (uint32_t)i);
        kr_uring_submit(loop);
        kr_uring_drain(loop);
        end_reads(loop);
    }
    kr_uring_settle(loop);
}

/* --- files --- */

static void finish(struct kr_loop_s *loop, struct kr_io_s *io, ssize_t result)
{
    io->result = result;
    io->slot = KR_URING_NO_SLOT;
    io->next = NULL;
    *loop->done_end = io;
    loop->done_end = &io->next;
    loop->done_count++;
}

/* Takes a finished operation from the list. */
static struct kr_io_s *take(struct kr_loop_s *loop, struct kr_io_s **at)
{
    struct kr_io_s *io = *at;

    *at = io->next;
    if (!*at)
        loop->done_end = at;
    loop->done_count--;
    return io;
}

static bool start(struct kr_loop_s *loop, struct kr_io_s *io, unsigned flags)
{
    struct io_uring_sqe *sqe = kr_uring_sqe(loop);

    if (!sqe)
        return false;
    switch (io->op) {
    case KR_IO_READ:
        io_uring_prep_readv(sqe, io->fd, io->iov, (unsigned)io->iov_count, CURRENT_POSITION);
        break;
    case KR_IO_WRITE:
        io_uring_prep_writev(sqe, io->fd, io->iov, (unsigned)io->iov_count, CURRENT_POSITION);
        break;
    case KR_IO_SYNC:
        io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_flags(sqe, flags);
    io_uring_sqe_set_data64(sqe, kr_uring_ud(KR_UD_IO, io->slot, loop->ios[io->slot].generation));
    return true;
}

static error_t grow(struct kr_loop_s *loop)
{
    uint32_t size = loop->ios_size ? loop->ios_size * 2 : 8;
    struct kr_uring_io_s *ios = NULL;

    if (size < KR_URING_NO_SLOT)
        ios = realloc(loop->ios, size * sizeof(*ios));
    if (!ios)
        return -ENOMEM;
    loop->ios = ios;
    for (uint32_t i = size; i-- > loop->ios_size;) {
        ios[i] = (struct kr_uring_io_s){.next_free = loop->ios_free};
        loop->ios_free = i;
    }
    loop->ios_size = size;
    return 0;
}

static void free_io(struct kr_loop_s *loop, uint32_t index)
{
    loop->ios[index].io = NULL;
    loop->ios[index].next_free = loop->ios_free;
    loop->ios_free = index;
}

void kr_uring_io_submit(struct kr_loop_s *loop, struct kr_io_s *io)
{
    if (loop->ios_free == KR_URING_NO_SLOT && grow(loop)) {
        finish(loop, io, -ENOMEM);
    } else {
        uint32_t index = loop->ios_free;

        io->slot = index;
        loop->ios_free = loop->ios[index].next_free;
        loop->ios[index] = (struct kr_uring_io_s){.io = io, .generation = ++loop->generation};
        if (!start(loop, io, 0)) {
            free_io(loop, index);
            finish(loop, io, -EAGAIN);
        }
    }
    kr_uring_settle(loop);
}

void kr_uring_note_io(struct kr_loop_s *loop, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data >> 4;
    struct kr_uring_io_s *slot = &loop->ios[index];
    struct kr_io_s *io = slot->io;

    if (!io || slot->generation != cqe->user_data >> 32)
        return;
    /* It would have had to wait: once more, by a thread of the kernel that may. */
    if ((cqe->res == -EAGAIN || cqe->res == -EINTR) && !slot->retried) {
        slot->retried = true;
        if (start(loop, io, IOSQE_ASYNC))
            return;
    }
    free_io(loop, index);
    finish(loop, io, cqe->res);
}

int kr_uring_io_complete(struct kr_loop_s *loop, uint32_t count)
{
    int called = 0;

    for (; count && loop->done; count--, called++) {
        struct kr_io_s *io = take(loop, &loop->done);

        io->done(io);
    }
    return called;
}

void kr_uring_io_reap(struct kr_loop_s *loop, struct kr_io_s *io)
{
    uint32_t index = io->slot;

    if (index < loop->ios_size && loop->ios[index].io == io) {
        uint32_t generation = loop->ios[index].generation;

        loop->ios[index].retried = true;
        kr_uring_cancel(loop, kr_uring_ud(KR_UD_IO, index, generation));
        kr_uring_submit(loop);
        kr_uring_drain(loop);
        while (loop->ios[index].io == io && loop->ios[index].generation == generation) {
            kr_uring_submit_wait(loop, -1);
            kr_uring_drain(loop);
        }
    }
    for (struct kr_io_s **at = &loop->done; *at; at = &(*at)->next) {
        if (*at == io) {
            take(loop, at);
            io->done(io);
            break;
        }
    }
    kr_uring_settle(loop);
}
