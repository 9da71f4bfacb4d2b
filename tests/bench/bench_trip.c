/* SPDX-License-Identifier: MIT */
/*
 * Round trip of a request of 8 bytes and its answer on a pseudo-terminal: half and worst time in a
 * hundred, as a program sees it that asks a device at the other end of a serial line.
 *
 * At the other end is always the same: a thread of this program with blocking read and write, which
 * gives back what it gets. The one that asks is the main thread:
 *   blocking  with write and read: so this is blocking read and write in two threads
 *   library   with two requests on an embedded runtime
 * The library has the longer way, through its queues and epoll or a ring, and must make up for it.
 * For information: a runtime with threads, asked by a blocking helper.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <kroutine.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
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
    struct termios raw;

    bench_require(openpty(&master, &slave, NULL, NULL, NULL) == 0, "openpty");
    bench_require(tcgetattr(slave, &raw) == 0, "tcgetattr");
    cfmakeraw(&raw);
    bench_require(tcsetattr(slave, TCSANOW, &raw) == 0, "tcsetattr");
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
static struct device_char_s dev;
static struct dev_char_rq_s question, answer;
static KROUTINE_EXEC(asked)
{
    bench_require(question.error == 0, "write request");
}

static uint8_t asking[SIZE], given[SIZE];
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

static void trips_of_library(void)
{
    number = -WARM;
    ask_next();
    while (number < TRIPS)
        bench_require(kroutine_runtime_wait(rt, -1) >= 0, "kroutine_runtime_wait");
}

static void ask_helper(uint8_t *data)
{
    bench_require(dev_char_wait_op(&dev, DEV_CHAR_WRITE, data, SIZE) == SIZE, "write");
    bench_require(dev_char_wait_op(&dev, DEV_CHAR_READ, data, SIZE) == SIZE, "read");
}

static void open_library(enum kroutine_backend_e backend, bool embedded)
{
    struct kroutine_runtime_config_s config;
    char spec[32];

    kroutine_runtime_config_init(&config);
    config.backend = backend;
    config.embedded = embedded;
    bench_require(kroutine_runtime_create(&rt, &config) == 0, kroutine_error_text());
    snprintf(spec, sizeof(spec), "fd:%d", master);
    bench_require(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(rt), spec,
                                              DRIVER_CLASS_CHAR) == 0,
                  kroutine_error_text());
    dev_char_rq_init_immediate(&question, asked);
    question.type = DEV_CHAR_WRITE;
    dev_char_rq_init_sched_switch(&answer, got_answer);
    answer.type = DEV_CHAR_READ;
}

static void close_library(void)
{
    device_put_accessor(&dev.base);
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

enum { BLOCKING, AUTO, EPOLL, HELPER, KINDS };

static void play(int kind, struct bench_series_s *p50, struct bench_series_s *p99)
{
    pthread_t thread;
    int flags;

    open_line();
    bench_require(pthread_create(&thread, NULL, echo, NULL) == 0, "pthread_create");
    flags = fcntl(master, F_GETFL);
    if (kind != BLOCKING)
        open_library(kind == EPOLL ? KROUTINE_BACKEND_EPOLL : KROUTINE_BACKEND_AUTO,
                     kind != HELPER);
    if (kind == BLOCKING || kind == HELPER)
        trips_of(kind == BLOCKING ? ask_blocking : ask_helper);
    else
        trips_of_library();
    add_trips(p50, p99);
    if (kind != BLOCKING)
        close_library();
    fcntl(master, F_SETFL, flags);
    bench_require(write(master, "quit....", SIZE) == SIZE, "write");
    pthread_join(thread, NULL);
    close(master);
    close(slave);
}

int main(int argc, char **argv)
{
    static const char *const names[KINDS] = {"blocking", "library", "library, epoll",
                                             "blocking helper"};
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
    bench_result("trip-p50", bench_ratio(&p50[AUTO], &p50[BLOCKING]), "times", 1);
    bench_result("trip-p99", bench_ratio(&p99[AUTO], &p99[BLOCKING]), "times", 1);
    bench_info("trip-p50-epoll", bench_ratio(&p50[EPOLL], &p50[BLOCKING]), "times");
    bench_info("trip-p99-epoll", bench_ratio(&p99[EPOLL], &p99[BLOCKING]), "times");
    bench_info("trip-p50-helper", bench_ratio(&p50[HELPER], &p50[BLOCKING]), "times");
    return 0;
}
