/* SPDX-License-Identifier: MIT */
/*
 * Many busy devices on one runtime, for information: socketpairs, with a write always under way at
 * one end and a read at the other. Requests a second, and system calls a request, on uring and on
 * epoll.
 *
 * Calls are counted in two places. The runtime says how often its loop has called the kernel to
 * wait and to submit. The others, which move the data, go through the C library, and this program
 * stands in front of it: its functions below are found before those of the same name there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <kroutine.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

#define PAIRS    64
#define SIZE     64 /* bytes a request */
#define ROUND_NS 200e6

/* --- counting --- */

static uint64_t calls;

#define COUNTED(result, name, number, declaration, ...)                                            \
    __attribute__((visibility("default"))) result name declaration;                                \
    result name declaration                                                                        \
    {                                                                                              \
        calls++;                                                                                   \
        return (result)syscall(number, __VA_ARGS__);                                               \
    }

COUNTED(ssize_t, read, SYS_read, (int fd, void *data, size_t size), fd, data, size)
COUNTED(ssize_t, write, SYS_write, (int fd, const void *data, size_t size), fd, data, size)
COUNTED(ssize_t, readv, SYS_readv, (int fd, const struct iovec *iov, int n), fd, iov, n)
COUNTED(ssize_t, writev, SYS_writev, (int fd, const struct iovec *iov, int n), fd, iov, n)
COUNTED(ssize_t, recvmsg, SYS_recvmsg, (int fd, struct msghdr *msg, int flags), fd, msg, flags)
COUNTED(ssize_t, sendmsg, SYS_sendmsg, (int fd, const struct msghdr *msg, int flags), fd, msg,
        flags)
COUNTED(ssize_t, recv, SYS_recvfrom, (int fd, void *data, size_t size, int flags), fd, data, size,
        flags, NULL, NULL)
COUNTED(ssize_t, send, SYS_sendto, (int fd, const void *data, size_t size, int flags), fd, data,
        size, flags, NULL, 0)

/* --- the load --- */

struct end_s {
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    int fd; /* stays open: the number is the device's name */
    uint8_t data[SIZE];
};

static struct end_s readers[PAIRS], writers[PAIRS];
static uint64_t requests;
static bool ending;

static void submit(struct end_s *end)
{
    end->rq.data = end->data;
    end->rq.size = SIZE;
    DEVICE_OP(&end->dev, request, &end->rq);
}

static KROUTINE_EXEC(over)
{
    struct end_s *end = KROUTINE_CONTAINER(kr, struct end_s, rq.base.kr);

    if (ending)
        return;
    bench_require(end->rq.error == 0, "request");
    requests++;
    submit(end);
}

static void open_end(struct end_s *end, struct kroutine_runtime_s *rt, int fd,
                     enum dev_char_rq_type_e type)
{
    char spec[32];

    bench_require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    end->fd = fd;
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    bench_require(device_get_accessor_by_path(&end->dev.base, kroutine_runtime_devices(rt), spec,
                                              DRIVER_CLASS_CHAR) == 0,
                  kroutine_error_text());
    dev_char_rq_init_sched_switch(&end->rq, over);
    end->rq.type = type;
}

static uint64_t calls_of_loop(struct kroutine_runtime_s *rt)
{
    struct kroutine_runtime_info_s info;

    bench_require(kroutine_runtime_info(rt, &info) == 0, "kroutine_runtime_info");
    return info.syscalls;
}

static void run(struct kroutine_runtime_s *rt, struct bench_series_s *rate,
                struct bench_series_s *cost)
{
    uint64_t calls_before = calls + calls_of_loop(rt), requests_before = requests;
    double start = bench_now(), ns, done;

    do {
        for (int i = 0; i < 16; i++)
            bench_require(kroutine_runtime_process(rt) >= 0, "kroutine_runtime_process");
        ns = bench_now() - start;
    } while (ns < ROUND_NS);
    done = (double)(requests - requests_before);
    bench_add(rate, done / ns * 1e6);
    bench_add(cost, (double)(calls + calls_of_loop(rt) - calls_before) / done);
}

static bool play(enum kroutine_backend_e backend, struct bench_series_s *rate,
                 struct bench_series_s *cost)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;
    int fd[2];

    kroutine_runtime_config_init(&config);
    config.backend = backend;
    config.embedded = true;
    if (kroutine_runtime_create(&rt, &config))
        return false;
    ending = false;
    for (int i = 0; i < PAIRS; i++) {
        bench_require(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
        open_end(&readers[i], rt, fd[0], DEV_CHAR_READ);
        open_end(&writers[i], rt, fd[1], DEV_CHAR_WRITE);
    }
    for (int i = 0; i < PAIRS; i++) {
        submit(&readers[i]);
        submit(&writers[i]);
    }
    run(rt, rate, cost);
    ending = true;
    for (int i = 0; i < PAIRS; i++) {
        device_put_accessor(&readers[i].dev.base);
        device_put_accessor(&writers[i].dev.base);
    }
    bench_require(kroutine_runtime_destroy(rt) == 0, "kroutine_runtime_destroy");
    for (int i = 0; i < PAIRS; i++) {
        close(readers[i].fd);
        close(writers[i].fd);
    }
    return true;
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 15);
    struct bench_series_s rate[2] = {{.name = "uring", .unit = "requests/ms"},
                                     {.name = "epoll", .unit = "requests/ms"}};
    struct bench_series_s cost[2] = {{.name = "uring", .unit = "calls/request"},
                                     {.name = "epoll", .unit = "calls/request"}};

    for (int i = 0; i < rounds; i++) {
        play(KROUTINE_BACKEND_URING, &rate[0], &cost[0]);
        play(KROUTINE_BACKEND_EPOLL, &rate[1], &cost[1]);
    }
    printf("%d socketpairs, %d bytes a request:\n", PAIRS, SIZE);
    for (int b = 0; b < 2; b++) {
        char name[64];

        if (!rate[b].count)
            continue;
        bench_print(&rate[b]);
        bench_print(&cost[b]);
        snprintf(name, sizeof(name), "load-rate-%s", rate[b].name);
        bench_info(name, bench_median(&rate[b]), "requests/ms");
        snprintf(name, sizeof(name), "load-calls-%s", cost[b].name);
        bench_info(name, bench_median(&cost[b]), "calls/request");
    }
    return 0;
}
