/* SPDX-License-Identifier: MIT */
/*
 * GPIO lines of the kernel: set_output against the bare ioctl; an edge to an IMMEDIATE handler
 * against one that ends a blocking read of the line's own descriptor, and against the least that an
 * event loop can do, epoll_wait and read; and the wake-ups of 32 quiet lines.
 *
 * Needs a chip of gpio-sim, as tests/vm/gpio-sim makes one. The second argument is a backend, uring
 * or epoll.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <kroutine.h>
#include <linux/gpio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"

#define EDGES_OF_INPUT                                                                             \
    (GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING)
#define CALLS 2000
#define EDGES 40

/* --- the kernel alone --- */

static int request_line(const char *chip, unsigned offset, uint64_t flags)
{
    struct gpio_v2_line_request rq = {
        .offsets = {offset}, .consumer = "bench", .config.flags = flags, .num_lines = 1};
    int fd = open(chip, O_RDWR | O_CLOEXEC);

    bench_require(fd >= 0 && ioctl(fd, GPIO_V2_GET_LINE_IOCTL, &rq) == 0, "bare line request");
    close(fd);
    return rq.fd;
}

static int bare_output;

static double bare_set(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++) {
        struct gpio_v2_line_values values = {.bits = i & 1, .mask = 1};

        bench_require(ioctl(bare_output, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) == 0, "ioctl");
    }
    return (bench_now() - start) / CALLS;
}

static int bare_input, polled_input;
static uint64_t seen_at; /* atomic: bits of a double */

static void note_edge(void)
{
    double now = bench_now();
    uint64_t bits;

    memcpy(&bits, &now, sizeof bits);
    __atomic_store_n(&seen_at, bits, __ATOMIC_SEQ_CST);
}

static void *reader(void *arg)
{
    struct gpio_v2_line_event event;

    (void)arg;
    while (read(bare_input, &event, sizeof event) == sizeof event)
        note_edge();
    return NULL;
}

static void *poller(void *arg)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    struct gpio_v2_line_event event;
    int ep = epoll_create1(EPOLL_CLOEXEC);

    (void)arg;
    bench_require(epoll_ctl(ep, EPOLL_CTL_ADD, polled_input, &e) == 0, "epoll_ctl");
    while (epoll_wait(ep, &e, 1, -1) == 1 &&
           read(polled_input, &event, sizeof event) == sizeof event)
        note_edge();
    return NULL;
}

/* --- the library --- */

static struct kroutine_runtime_s *runtime;
static struct device_gpio_s output = DEVICE_ACCESSOR_INIT, input = DEVICE_ACCESSOR_INIT;
static struct dev_gpio_rq_s rq;
static struct dev_gpio_event_s events[4];

static double library_set(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        bench_require(dev_gpio_out(&output, 0, i & 1) == 0, "dev_gpio_out");
    return (bench_now() - start) / CALLS;
}

static KROUTINE_EXEC(on_edge)
{
    (void)kr, (void)flags;
    note_edge();
}

static void submit(const struct device_gpio_s *acc)
{
    dev_gpio_rq_init_immediate(&rq, on_edge);
    rq.type = DEV_GPIO_EVENT;
    rq.event.list = events;
    rq.event.size = 4;
    DEVICE_OP(acc, request, &rq);
}

/* --- edges --- */

enum way_e { READ, POLL, LIBRARY, WAYS };

static int pulls[WAYS];

static int open_pull(const char *sysfs, unsigned offset)
{
    char pattern[256];
    glob_t found;
    int fd;

    snprintf(pattern, sizeof pattern, "%s/gpiochip*/sim_gpio%u/pull", sysfs, offset);
    bench_require(glob(pattern, 0, NULL, &found) == 0, "pull file of gpio-sim");
    fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
    bench_require(fd >= 0, "pull file of gpio-sim");
    globfree(&found);
    return fd;
}

/* From the write that makes the edge to the one who waits for it. */
static double edge(int pull, int level)
{
    const char *text = level ? "pull-up" : "pull-down";
    double start, end;
    uint64_t bits;

    __atomic_store_n(&seen_at, 0, __ATOMIC_SEQ_CST);
    start = bench_now();
    bench_require(pwrite(pull, text, strlen(text), 0) > 0, "pull");
    while (!(bits = __atomic_load_n(&seen_at, __ATOMIC_SEQ_CST)))
        usleep(200);
    memcpy(&end, &bits, sizeof end);
    return end - start;
}

static double edges(enum way_e way)
{
    struct bench_series_s s = {.name = "edge", .unit = "ns"};

    for (int i = 1; i <= EDGES; i++) {
        if (way == LIBRARY)
            submit(&input);
        usleep(500 + (useconds_t)i * 377 % 1000); /* in no step with the ticks of the kernel */
        bench_add(&s, edge(pulls[way], i & 1));
    }
    return bench_median(&s);
}

static void open_runtime(const char *backend)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    if (backend)
        config.backend = strcmp(backend, "epoll") ? KROUTINE_BACKEND_URING : KROUTINE_BACKEND_EPOLL;
    bench_require(kroutine_runtime_create(&runtime, &config) == 0, kroutine_error_text());
}

static void open_line(struct device_gpio_s *acc, const char *line)
{
    char spec[128];

    snprintf(spec, sizeof spec, "gpiod:%s/%s", getenv("KT_GPIO_CHIP"), line);
    bench_require(device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(runtime), spec,
                                              DRIVER_CLASS_GPIO) == 0,
                  kroutine_error_text());
}

/* --- idle --- */

/* How often the reactor wakes up in two seconds. */
static double idle_wake_ups(void)
{
    struct device_gpio_s monitor = DEVICE_ACCESSOR_INIT;
    struct kroutine_runtime_info_s before, after;

    open_line(&monitor, "0-31?mode=input&events=both");
    submit(&monitor);
    usleep(200000);
    kroutine_runtime_info(runtime, &before);
    usleep(2000000);
    kroutine_runtime_info(runtime, &after);
    bench_require(DEVICE_OP(&monitor, cancel, &rq) == 0, "cancel");
    device_put_accessor(&monitor.base);
    return (double)(after.batches - before.batches + after.syscalls - before.syscalls);
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 21);
    struct bench_series_s bare = {.name = "bare ioctl", .unit = "ns"};
    struct bench_series_s set = {.name = "dev_gpio_out", .unit = "ns"};
    struct bench_series_s block = {.name = "edge to blocking read", .unit = "ns"};
    struct bench_series_s poll = {.name = "edge to epoll_wait and read", .unit = "ns"};
    struct bench_series_s immediate = {.name = "edge to IMMEDIATE handler", .unit = "ns"};
    struct dev_gpio_info_s info;
    pthread_t thread;
    double wake_ups;
    char chip[64];

    if (!getenv("KT_GPIO_CHIP") || !getenv("KT_GPIO_SYSFS")) {
        printf("KT_GPIO_CHIP and KT_GPIO_SYSFS do not name a chip of gpio-sim\n");
        return 77;
    }
    open_runtime(argc > 2 ? argv[2] : NULL);
    wake_ups = idle_wake_ups();
    open_line(&output, "0?mode=output");
    open_line(&input, "1?mode=input&events=both");
    bench_require(DEVICE_OP(&output, info, &info) == 0, "info");
    snprintf(chip, sizeof chip, "/dev/%s", info.chip);
    bare_output = request_line(chip, 2, GPIO_V2_LINE_FLAG_OUTPUT);
    bare_input = request_line(chip, 3, EDGES_OF_INPUT);
    polled_input = request_line(chip, 4, EDGES_OF_INPUT);
    for (int i = 0; i < WAYS; i++)
        pulls[i] = open_pull(getenv("KT_GPIO_SYSFS"), (const unsigned[]){3, 4, 1}[i]);
    bench_require(pthread_create(&thread, NULL, reader, NULL) == 0, "thread");
    bench_require(pthread_create(&thread, NULL, poller, NULL) == 0, "thread");
    for (int i = 0; i < rounds; i++) {
        bench_add(&bare, bare_set());
        bench_add(&set, library_set());
        bench_add(&block, edges(READ));
        bench_add(&poll, edges(POLL));
        bench_add(&immediate, edges(LIBRARY));
    }
    bench_print(&bare);
    bench_print(&set);
    bench_print(&block);
    bench_print(&poll);
    bench_print(&immediate);
    bench_result("gpio-set-over-ioctl", bench_ratio(&set, &bare), "x", 1.1);
    bench_result("gpio-edge-over-read", bench_ratio(&immediate, &block), "x", 1.1);
    bench_info("gpio-edge-over-epoll", bench_ratio(&immediate, &poll), "x");
    bench_info("gpio-epoll-over-read", bench_ratio(&poll, &block), "x");
    bench_result("gpio-idle-wake-ups", wake_ups, "wake-ups", 0);
    return 0;
}
