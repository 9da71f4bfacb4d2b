/* SPDX-License-Identifier: MIT */
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
        while (event.data.u32 != !(hop % 2))
            bench_require(epoll_wait(epoll, &event, 1, -1) == 1, "epoll_wait");
        bench_require(read(fd[event.data.u32], in_byte, 1) == 1, "read");
    }
    start = (bench_now() - start) / trips;
    close(epoll);
    return start;
}

#ifdef HAVE_LIBURING

static struct io_uring ring;

static void prepare_read(int fd, int end)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    io_uring_prep_read(sqe, fd, &in_byte[end], 1, 0);
}

static void prepare_write(int fd)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    io_uring_prep_write(sqe, fd, &out_byte, 1, 0);
}

/* Submits, and takes the completions of one write and one read. */
static void turn(void)
{
    struct io_uring_cqe *cqe;

    io_uring_submit_and_wait(&ring, 2);
    for (int got = 0; got < 2; got++) {
        bench_require(io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res == 1, "io_uring completion");
        io_uring_cqe_seen(&ring, cqe);
    }
}

double pingpong_uring_together(const int fd[2], unsigned trips, unsigned setup_flags)
{
    double start;

    bench_require(io_uring_queue_init(64, &ring, setup_flags) == 0, "io_uring_queue_init");
    start = bench_now();
    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        prepare_write(fd[hop % 2]);
        prepare_read(fd[!(hop % 2)], !(hop % 2));
        turn();
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
        turn();
        prepare_read(fd[!(hop % 2)], !(hop % 2));
    }
    start = (bench_now() - start) / trips;
    io_uring_queue_exit(&ring);
    return start;
}

#endif
