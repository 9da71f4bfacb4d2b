/* SPDX-License-Identifier: MIT */
/*
 * Round trip of a request of 8 bytes and its answer on a pseudo-terminal: half and worst time in a
 * hundred, as a program sees it that asks a device at the other end of a serial line.
 *
 *   blocking  blocking read and write in two threads, one a port, as programs do it today: the main
 *             thread asks, another gives back what it gets
 *   library   both ports on one embedded runtime, in the main thread: what is asked and what is
 *             given back are requests
 * These two have the limits. For information, with the blocking thread at the other end, so that
 * the way through queues and epoll or a ring is compared with a plain call:
 *   half      the one that asks is on a runtime
 *   helper    the same with dev_char_wait_op, on a runtime with threads
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <kroutine.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE  8
#define TRIPS 1000
#define WARM  50

static int master, slave;
static double trip[TRIPS];

static bool all(ssize_t (*move)(int fd, void *data, size_t size), uint8_t *data)
{
    for (size_t done = 0; done < SIZE;) {
        ssize_t n = move(slave, data + done, SIZE - done);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static ssize_t put(int fd, void *data, size_t size)
{
    return write(fd, data, size);
}

static void *echo(void *arg)
{
    uint8_t data[SIZE];

    (void)arg;
    while (all(read, data) && memcmp(data, "quit....", SIZE) && all(put, data))
        ;
    return NULL;
}

static void open_line(void)
{
    bench_open_pty(&master, &slave);
}

/* --- the two that ask --- */

static void ask_blocking(uint8_t *data)
{
    bench_require(write(master, data, SIZE) == SIZE, "write");
    for (size_t done = 0; done < SIZE;) {
        ssize_t n = read(master, data + done, SIZE - done);

        bench_require(n > 0, "read");
        done += (size_t)n;
    }
}

static struct kroutine_runtime_s *rt;
static struct device_char_s dev, far_dev;
static struct dev_char_rq_s question, answer;
static struct dev_char_rq_s heard, told; /* at the other end */
static KROUTINE_EXEC(asked)
{
    bench_require(question.error == 0, "write request");
}

static uint8_t asking[SIZE], given[SIZE], echoed[SIZE];
static int number;
static double asked_at;

/* As a program does that asks all the time: the read is there before the question goes out. */
static void ask_next(void)
{
    memset(asking, number, SIZE);
    asked_at = bench_now();
    answer.data = given;
    answer.size = SIZE;
    DEVICE_OP(&dev, request, &answer);
    question.data = asking;
    question.size = SIZE;
    DEVICE_OP(&dev, request, &question);
}

static KROUTINE_EXEC(got_answer)
{
    double now = bench_now();

    bench_require(answer.error == 0 && given[SIZE - 1] == (uint8_t)number, "the answer");
    if (number >= 0)
        trip[number] = now - asked_at;
    if (++number < TRIPS)
        ask_next();
}

/* --- the other end, on the same runtime --- */

static void listen_again(void)
{
    heard.data = echoed;
    heard.size = SIZE;
    DEVICE_OP(&far_dev, request, &heard);
}

static KROUTINE_EXEC(has_told)
{
    bench_require(told.error == 0, "write request");
    listen_again();
}

static KROUTINE_EXEC(has_heard)
{
    if (heard.error == -ECANCELED) /* the end */
        return;
    bench_require(heard.error == 0, "read request");
    told.data = echoed;
    told.size = SIZE;
    DEVICE_OP(&far_dev, request, &told);
}

static void trips_of_library(bool both)
{
    number = -WARM;
    if (both)
        listen_again();
    ask_next();
    while (number < TRIPS)
        bench_require(kroutine_runtime_wait(rt, -1) >= 0, "kroutine_runtime_wait");
}

static void ask_helper(uint8_t *data)
{
    bench_require(dev_char_wait_op(&dev, DEV_CHAR_WRITE, data, SIZE) == SIZE, "write");
    bench_require(dev_char_wait_op(&dev, DEV_CHAR_READ, data, SIZE) == SIZE, "read");
}

static void open_end(struct device_char_s *end, int fd)
{
    char spec[32];

    snprintf(spec, sizeof(spec), "fd:%d", fd);
    bench_require(device_get_accessor_by_path(&end->base, kroutine_runtime_devices(rt), spec,
                                              DRIVER_CLASS_CHAR) == 0,
                  kroutine_error_text());
}

static void open_library(enum kroutine_backend_e backend, bool embedded, bool both)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    config.backend = backend;
    config.embedded = embedded;
    bench_require(kroutine_runtime_create(&rt, &config) == 0, kroutine_error_text());
    open_end(&dev, master);
    if (both)
        open_end(&far_dev, slave);
    dev_char_rq_init_sched_switch(&heard, has_heard);
    heard.type = DEV_CHAR_READ;
    dev_char_rq_init_sched_switch(&told, has_told);
    told.type = DEV_CHAR_WRITE;
    dev_char_rq_init_immediate(&question, asked);
    question.type = DEV_CHAR_WRITE;
    dev_char_rq_init_sched_switch(&answer, got_answer);
    answer.type = DEV_CHAR_READ;
}

static void close_library(void)
{
    device_put_accessor(&dev.base);
    device_put_accessor(&far_dev.base);
    kroutine_runtime_destroy(rt);
    rt = NULL;
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void trips_of(void (*ask)(uint8_t *))
{
    uint8_t data[SIZE];

    for (int i = -WARM; i < TRIPS; i++) {
        double start = bench_now();

        memset(data, i, SIZE);
        ask(data);
        bench_require(data[SIZE - 1] == (uint8_t)i, "the answer");
        if (i >= 0)
            trip[i] = bench_now() - start;
    }
}

static void add_trips(struct bench_series_s *p50, struct bench_series_s *p99)
{
    qsort(trip, TRIPS, sizeof(*trip), compare);
    bench_add(p50, trip[TRIPS / 2] / 1e3);
    bench_add(p99, trip[TRIPS * 99 / 100] / 1e3);
}

enum { BLOCKING, BOTH, BOTH_EPOLL, HALF, HALF_EPOLL, HELPER, KINDS };

static void run_kind(int kind)
{
    bool both = kind == BOTH || kind == BOTH_EPOLL;
    bool epoll = kind == BOTH_EPOLL || kind == HALF_EPOLL;

    if (kind == BLOCKING) {
        trips_of(ask_blocking);
        return;
    }
    open_library(epoll ? KROUTINE_BACKEND_EPOLL : KROUTINE_BACKEND_AUTO, kind != HELPER, both);
    if (kind == HELPER)
        trips_of(ask_helper);
    else
        trips_of_library(both);
    close_library();
}

static void play(int kind, struct bench_series_s *p50, struct bench_series_s *p99)
{
    bool thread_there = kind != BOTH && kind != BOTH_EPOLL;
    pthread_t thread;
    int flags;

    open_line();
    flags = fcntl(master, F_GETFL);
    if (thread_there)
        bench_require(pthread_create(&thread, NULL, echo, NULL) == 0, "pthread_create");
    run_kind(kind);
    add_trips(p50, p99);
    if (thread_there) {
        fcntl(master, F_SETFL, flags);
        bench_require(write(master, "quit....", SIZE) == SIZE, "write");
        pthread_join(thread, NULL);
    }
    close(master);
    close(slave);
}

int main(int argc, char **argv)
{
    static const char *const names[KINDS] = {"blocking, two threads", "library",
                                             "library, epoll",        "half library",
                                             "half library, epoll",   "half, helper"};
    struct bench_series_s p50[KINDS] = {{0}}, p99[KINDS] = {{0}};
    int rounds = bench_rounds(argc, argv, 21);

    for (int k = 0; k < KINDS; k++) {
        p50[k].name = p99[k].name = names[k];
        p50[k].unit = "us p50";
        p99[k].unit = "us p99";
    }
    for (int i = 0; i < rounds; i++)
        for (int k = 0; k < KINDS; k++)
            play(k, &p50[k], &p99[k]);
    for (int k = 0; k < KINDS; k++) {
        bench_print(&p50[k]);
        bench_print(&p99[k]);
    }
    bench_result("trip-p50", bench_ratio(&p50[BOTH], &p50[BLOCKING]), "times", 1);
    bench_result("trip-p99", bench_ratio(&p99[BOTH], &p99[BLOCKING]), "times", 1);
    bench_info("trip-p50-epoll", bench_ratio(&p50[BOTH_EPOLL], &p50[BLOCKING]), "times");
    bench_info("trip-p99-epoll", bench_ratio(&p99[BOTH_EPOLL], &p99[BLOCKING]), "times");
    bench_info("trip-p50-half", bench_ratio(&p50[HALF], &p50[BLOCKING]), "times");
    bench_info("trip-p99-half", bench_ratio(&p99[HALF], &p99[BLOCKING]), "times");
    bench_info("trip-p50-helper", bench_ratio(&p50[HELPER], &p50[BLOCKING]), "times");
    return 0;
}
