/* SPDX-License-Identifier: MIT */
/*
 * 64 serial ports at 115200 baud, received in one thread: CPU time of that thread, user and system,
 * against libuv (uv_poll_t and read).
 *
 * The line: a process of its own writes to the masters of 64 pseudo-terminals what a line brings,
 * 11520 bytes a second each, in packets of 62 bytes as a USB adapter does (64 less two of status),
 * so one in 5.4 ms, the ports one after the other. Every byte is checked; one that is missing ends
 * the benchmark. What the kernel does to carry the bytes is done by its own threads, and counted
 * for nobody.
 *
 * All receive the same, byte by byte checked, in one thread. The program around libuv is the usual
 * one, a callback when a port is readable, and one read. With the library:
 *   partial  a handler for whatever is there, DEV_CHAR_READ_PARTIAL: the same program
 *   record   DEV_CHAR_READ of 1152 bytes, a tenth of a second: a handler a record
 *   collect  both again with collect=20ms in the spec of the port: bytes may be noticed that much
 *            later, and one wake-up looks at all ports. This is what a program with many ports and
 *            no hurry asks for, and has the limit; libuv has no such setting
 *   timed    the same by hand: a timer of 20 ms, and DEV_CHAR_READ_NONBLOCK of every port; in
 *            libuv a uv_timer_t and read of every port. Between these two there is little to choose
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <kroutine.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_LIBUV
#include <uv.h>
#endif

#include "bench.h"

#define PORTS   64
#define RATE    11520 /* bytes a second and port */
#define PACKET  62
#define PACKETS 186 /* a port: one second */
#define TOTAL   (PACKET * PACKETS)
#define RECORD  1152
#define PERIOD  KROUTINE_MSEC(20)
#define PATTERN 251 /* of the bytes: no power of two, so a lost buffer shows */
#define GIVE_UP 10e9

struct port_s {
    int master, slave;
    unsigned got;
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    uint8_t data[4096];
#ifdef HAVE_LIBUV
    uv_poll_t poll;
#endif
};

static struct port_s ports[PORTS];
static unsigned left; /* ports that have not got everything */
static double deadline;

/* What each receiver does with its bytes. */
static void check_bytes(struct port_s *port, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bench_require(data[i] == (port->got + i) % PATTERN, "each byte arrives once, in order");
    port->got += (unsigned)size;
    if (port->got == TOTAL)
        left--;
}

/* --- the line --- */

static void feed(void)
{
    uint64_t step = (uint64_t)PACKET * 1000000000 / RATE / PORTS;
    struct timespec at;
    uint8_t data[PACKET];

    clock_gettime(CLOCK_MONOTONIC, &at);
    for (unsigned n = 0; n < PACKETS; n++) {
        for (unsigned i = 0; i < PACKET; i++)
            data[i] = (uint8_t)((n * PACKET + i) % PATTERN);
        for (unsigned p = 0; p < PORTS; p++) {
            at.tv_nsec += (long)step;
            if (at.tv_nsec >= 1000000000) {
                at.tv_nsec -= 1000000000;
                at.tv_sec++;
            }
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
            if (write(ports[p].master, data, PACKET) != PACKET)
                _exit(1);
        }
    }
    pause(); /* until everything is received: the end of a master is the end of its port */
}

static pid_t open_ports(void)
{
    pid_t feeder;

    for (unsigned p = 0; p < PORTS; p++) {
        bench_open_pty(&ports[p].master, &ports[p].slave);
        bench_require(fcntl(ports[p].slave, F_SETFL, O_NONBLOCK) == 0, "fcntl");
        ports[p].got = 0;
    }
    left = PORTS;
    feeder = fork();
    bench_require(feeder >= 0, "fork");
    if (feeder == 0)
        feed();
    deadline = bench_now() + GIVE_UP;
    return feeder;
}

static void close_ports(pid_t feeder)
{
    kill(feeder, SIGKILL);
    waitpid(feeder, NULL, 0);
    for (unsigned p = 0; p < PORTS; p++) {
        close(ports[p].slave);
        close(ports[p].master);
    }
}

/* us of this thread. */
static double cpu_time(void)
{
    struct rusage u;

    getrusage(RUSAGE_THREAD, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void still_in_time(void)
{
    bench_require(bench_now() < deadline, "all bytes arrive");
}

/* --- libuv --- */

#ifdef HAVE_LIBUV
static void uv_readable(uv_poll_t *handle, int status, int events)
{
    struct port_s *port = handle->data;
    ssize_t n = read(port->slave, port->data, sizeof(port->data));

    (void)events;
    bench_require(status == 0 && (n > 0 || errno == EAGAIN), "read");
    if (n > 0)
        check_bytes(port, port->data, (size_t)n);
    if (left == 0)
        uv_stop(handle->loop);
}

static void uv_time_to_read(uv_timer_t *handle)
{
    for (unsigned p = 0; p < PORTS && left > 0; p++) {
        ssize_t n = read(ports[p].slave, ports[p].data, sizeof(ports[p].data));

        bench_require(n > 0 || errno == EAGAIN, "read");
        if (n > 0)
            check_bytes(&ports[p], ports[p].data, (size_t)n);
    }
    still_in_time();
    if (left == 0)
        uv_stop(handle->loop);
}

static double with_libuv_timed(void)
{
    uv_loop_t loop;
    uv_timer_t period;
    pid_t feeder = open_ports();
    double start;

    uv_loop_init(&loop);
    uv_timer_init(&loop, &period);
    uv_timer_start(&period, uv_time_to_read, PERIOD / 1000000, PERIOD / 1000000);
    start = cpu_time();
    uv_run(&loop, UV_RUN_DEFAULT);
    start = cpu_time() - start;
    uv_close((uv_handle_t *)&period, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    close_ports(feeder);
    return start;
}

static double with_libuv(void)
{
    uv_loop_t loop;
    pid_t feeder = open_ports();
    double start;

    uv_loop_init(&loop);
    for (unsigned p = 0; p < PORTS; p++) {
        uv_poll_init(&loop, &ports[p].poll, ports[p].slave);
        ports[p].poll.data = &ports[p];
        uv_poll_start(&ports[p].poll, UV_READABLE, uv_readable);
    }
    start = cpu_time();
    uv_run(&loop, UV_RUN_DEFAULT);
    start = cpu_time() - start;
    for (unsigned p = 0; p < PORTS; p++)
        uv_close((uv_handle_t *)&ports[p].poll, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    close_ports(feeder);
    return start;
}
#endif

/* --- the library --- */

static struct device_timer_s timer;
static struct dev_timer_rq_s tick;
static size_t size_asked;

static void submit(struct port_s *port)
{
    port->rq.data = port->data;
    port->rq.size = size_asked < TOTAL - port->got ? size_asked : TOTAL - port->got;
    DEVICE_OP(&port->dev, request, &port->rq);
}

static KROUTINE_EXEC(came)
{
    struct port_s *port = KROUTINE_CONTAINER(kr, struct port_s, rq.base.kr);

    if (left == 0 && port->rq.error)
        return;
    bench_require(port->rq.error == 0, "read request");
    check_bytes(port, port->data, (size_t)(port->rq.data - port->data));
    if (port->got < TOTAL && port->rq.type != DEV_CHAR_READ_NONBLOCK)
        submit(port);
}

static KROUTINE_EXEC(time_to_read)
{
    if (tick.error)
        return;
    for (unsigned p = 0; p < PORTS; p++)
        if (ports[p].got < TOTAL)
            submit(&ports[p]);
    tick.delay = 0;
    tick.deadline += PERIOD;
    if (DEVICE_OP(&timer, request, &tick) != 0) { /* late by more than a period */
        tick.delay = PERIOD;
        bench_require(DEVICE_OP(&timer, request, &tick) == 0, "timer request");
    }
}

static struct kroutine_runtime_s *start_runtime(enum dev_char_rq_type_e type, const char *keys)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;
    char spec[32];

    kroutine_runtime_config_init(&config);
    config.embedded = true;
    config.pool_size = 0;
    bench_require(kroutine_runtime_create(&rt, &config) == 0, kroutine_error_text());
    for (unsigned p = 0; p < PORTS; p++) {
        snprintf(spec, sizeof(spec), "fd:%d%s", ports[p].slave, keys);
        bench_require(device_get_accessor_by_path(&ports[p].dev.base, kroutine_runtime_devices(rt),
                                                  spec, DRIVER_CLASS_CHAR) == 0,
                      kroutine_error_text());
        dev_char_rq_init_sched_switch(&ports[p].rq, came);
        ports[p].rq.type = (uint8_t)type;
        if (type != DEV_CHAR_READ_NONBLOCK)
            submit(&ports[p]);
    }
    if (type == DEV_CHAR_READ_NONBLOCK) {
        bench_require(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(rt),
                                                  "timer0", DRIVER_CLASS_TIMER) == 0,
                      "timer0");
        dev_timer_rq_init_sched_switch(&tick, time_to_read);
        tick.delay = PERIOD;
        bench_require(DEVICE_OP(&timer, request, &tick) == 0, "timer request");
    }
    return rt;
}

static double with_library(enum dev_char_rq_type_e type, size_t size, const char *keys)
{
    pid_t feeder = open_ports();
    struct kroutine_runtime_s *rt;
    double start;

    size_asked = size;
    rt = start_runtime(type, keys);
    start = cpu_time();
    while (left > 0) {
        bench_require(kroutine_runtime_wait(rt, 1000000000) >= 0, "kroutine_runtime_wait");
        still_in_time();
    }
    start = cpu_time() - start;
    for (unsigned p = 0; p < PORTS; p++)
        device_put_accessor(&ports[p].dev.base);
    device_put_accessor(&timer.base);
    bench_require(kroutine_runtime_destroy(rt) == 0, "kroutine_runtime_destroy");
    close_ports(feeder);
    return start;
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 5);
    struct bench_series_s uv = {.name = "libuv", .unit = "us CPU"},
                          uv_timed = {.name = "libuv, 20 ms", .unit = "us CPU"},
                          partial = {.name = "READ_PARTIAL", .unit = "us CPU"},
                          record = {.name = "READ of 1152", .unit = "us CPU"},
                          partial_20 = {.name = "READ_PARTIAL, collect", .unit = "us CPU"},
                          record_20 = {.name = "READ, collect", .unit = "us CPU"},
                          timed = {.name = "NONBLOCK, 20 ms", .unit = "us CPU"};

    for (int i = 0; i < rounds; i++) {
#ifdef HAVE_LIBUV
        bench_add(&uv, with_libuv());
        bench_add(&uv_timed, with_libuv_timed());
#endif
        bench_add(&partial, with_library(DEV_CHAR_READ_PARTIAL, sizeof(ports->data), ""));
        bench_add(&record, with_library(DEV_CHAR_READ, RECORD, ""));
        bench_add(&partial_20,
                  with_library(DEV_CHAR_READ_PARTIAL, sizeof(ports->data), "?collect=20ms"));
        bench_add(&record_20, with_library(DEV_CHAR_READ, RECORD, "?collect=20ms"));
        bench_add(&timed, with_library(DEV_CHAR_READ_NONBLOCK, sizeof(ports->data), ""));
    }
    printf("%d ports, %d bytes each in a second, in packets of %d:\n", PORTS, TOTAL, PACKET);
    bench_print(&partial);
    bench_print(&record);
    bench_print(&partial_20);
    bench_print(&record_20);
    bench_print(&timed);
    if (uv.count) {
        bench_print(&uv);
        bench_print(&uv_timed);
        bench_info("ports-partial-cpu", bench_ratio(&partial, &uv), "of libuv");
        bench_info("ports-record-cpu", bench_ratio(&record, &uv), "of libuv");
        bench_result("ports-partial-collect", bench_ratio(&partial_20, &uv), "of libuv", 0.5);
        bench_result("ports-record-collect", bench_ratio(&record_20, &uv), "of libuv", 0.5);
        bench_info("ports-timed-cpu", bench_ratio(&timed, &uv), "of libuv");
        bench_info("ports-timed-cpu-timed", bench_ratio(&timed, &uv_timed), "of libuv");
    }
    return 0;
}
