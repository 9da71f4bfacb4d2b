/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#include "bench.h"
#include "pingpong.h"

static char out_byte, in_byte[2];

static void write_byte(int fd)
{
    bench_require(write(fd, &out_byte, 1) == 1, "write");
}

double pingpong_blocking(const int fd[2], unsigned trips)
{
    double start = bench_now();

    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        write_byte(fd[hop % 2]);
        bench_require(read(fd[!(hop % 2)], in_byte, 1) == 1, "read");
    }
    return (bench_now() - start) / trips;
}

double pingpong_epoll(const int fd[2], unsigned trips)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    double start;

    bench_require(epoll >= 0, "epoll_create1");
    for (uint32_t i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = i};

        bench_require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[i], &event) == 0, "epoll_ctl");
    }
    start = bench_now();
    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        struct epoll_event event = {.data.u32 = 2};

        write_byte(fd[hop % 2]);
        while (event.data.u32 != !(hop % 2)) /* EINTR: work that a ring of before has left */
            bench_require(epoll_wait(epoll, &event, 1, -1) == 1 || errno == EINTR, "epoll_wait");
        bench_require(read(fd[event.data.u32], in_byte, 1) == 1, "read");
    }
    start = (bench_now() - start) / trips;
    close(epoll);
    return start;
}

#ifdef HAVE_LIBURING

static struct io_uring ring;

enum { READ = 1, WRITE };

static void prepare_read(int fd, int end)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    io_uring_prep_read(sqe, fd, &in_byte[end], 1, 0);
    io_uring_sqe_set_data64(sqe, READ);
}

/* A completion tells of failure only. */
static void prepare_write(int fd)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    io_uring_prep_write(sqe, fd, &out_byte, 1, 0);
    io_uring_sqe_set_data64(sqe, WRITE);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
}

/* Submits, and takes the completion of a read. A write to a tty that the ring does while other
   completions of it wait to be delivered gives -EINTR and has written nothing: once more. */
static void turn(int writer)
{
    struct io_uring_cqe *cqe;
    bool done = false;

    while (!done) {
        io_uring_submit_and_wait(&ring, 1);
        bench_require(io_uring_peek_cqe(&ring, &cqe) == 0, "io_uring_submit_and_wait");
        done = io_uring_cqe_get_data64(cqe) == READ;
        bench_require(done ? cqe->res == 1 : cqe->res == -EINTR, "io_uring completion");
        io_uring_cqe_seen(&ring, cqe);
        if (!done)
            prepare_write(writer);
    }
}

double pingpong_uring_in_turn(const int fd[2], unsigned trips, unsigned setup_flags)
{
    double start;

    bench_require(io_uring_queue_init(64, &ring, setup_flags) == 0, "io_uring_queue_init");
    start = bench_now();
    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        prepare_write(fd[hop % 2]);
        prepare_read(fd[!(hop % 2)], !(hop % 2));
        turn(fd[hop % 2]);
    }
    start = (bench_now() - start) / trips;
    io_uring_queue_exit(&ring);
    return start;
}

double pingpong_uring_ahead(const int fd[2], unsigned trips, unsigned setup_flags)
{
    double start;

    bench_require(io_uring_queue_init(64, &ring, setup_flags) == 0, "io_uring_queue_init");
    prepare_read(fd[0], 0);
    prepare_read(fd[1], 1);
    io_uring_submit(&ring);
    start = bench_now();
    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        prepare_write(fd[hop % 2]);
        turn(fd[hop % 2]);
        prepare_read(fd[!(hop % 2)], !(hop % 2));
    }
    start = (bench_now() - start) / trips;
    io_uring_queue_exit(&ring);
    return start;
}

#endif
