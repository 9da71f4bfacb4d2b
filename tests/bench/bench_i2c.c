/* SPDX-License-Identifier: MIT */
/*
 * The register of a chip read over I2C, one byte written and two read, against the bare ioctl in a
 * loop: by a thread that waits, one request after the other from its handler under several
 * policies, and with 16 of them queued. There the gap between two transfers is measured as the bus
 * sees it, from the end of an ioctl to the beginning of the next, and compared with a transfer.
 *
 * Needs KT_I2C_BUS with a TMP105 at 0x48 and KT_I2C_TEST0 with a memory at 0x50, as tests/vm/raspi
 * has them: transfers of QEMU are done at once, those of the test bus take a millisecond or more.
 * The second argument is a backend, uring or epoll.
 */
#include <fcntl.h>
#include <kroutine.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define CALLS  50
#define TURNS  8
#define QUEUED 16

/* --- what the bus sees --- */

/* The library's calls of ioctl come here, as those of this program do. */
static double last_end, in_transfers, between; /* of the thread that makes them */
static unsigned counted;

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;
    double start;
    int n;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (request != I2C_RDWR)
        return (int)syscall(SYS_ioctl, fd, request, arg);
    start = bench_now();
    n = (int)syscall(SYS_ioctl, fd, request, arg);
    if (last_end > 0) {
        between += start - last_end;
        counted++;
    }
    last_end = bench_now();
    in_transfers += last_end - start;
    return n;
}

/* --- the kernel alone --- */

static int bare_fd;

static double bare(void)
{
    uint8_t reg = 0, temperature[2];
    struct i2c_msg msgs[] = {
        {.addr = 0x48, .len = 1, .buf = &reg},
        {.addr = 0x48, .flags = I2C_M_RD, .len = 2, .buf = temperature},
    };
    struct i2c_rdwr_ioctl_data data = {.msgs = msgs, .nmsgs = 2};
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        bench_require(ioctl(bare_fd, I2C_RDWR, &data) == 2, "I2C_RDWR");
    return (bench_now() - start) / CALLS;
}

/* --- the library --- */

static struct kroutine_runtime_s *runtime;
static struct device_i2c_s bus = DEVICE_ACCESSOR_INIT, slow = DEVICE_ACCESSOR_INIT;

static double waiting(void)
{
    uint8_t reg = 0, temperature[2];
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        bench_require(dev_i2c_wait_write_read(&bus, 0x48, &reg, 1, temperature, 2) == 0, "wait");
    return (bench_now() - start) / CALLS;
}

struct op_s {
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[2];
    uint8_t reg, temperature[2];
};

static struct op_s ops[QUEUED];
static struct kroutine_queue_s queue;
static unsigned left; /* atomic: to be submitted */
static unsigned over; /* atomic */
static unsigned calls;
static const struct device_i2c_s *target;
static sem_t end;

static KROUTINE_EXEC(done)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    bench_require(op->rq.error == 0, "request");
    if ((int)__atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST) > 0)
        DEVICE_OP(target, request, &op->rq);
    if (__atomic_add_fetch(&over, 1, __ATOMIC_SEQ_CST) == calls)
        sem_post(&end);
}

static void init(struct op_s *op, enum kroutine_policy_e policy)
{
    switch (policy) {
    case KROUTINE_SCHED_SWITCH:
        dev_i2c_rq_init_sched_switch(&op->rq, done);
        break;
    case KROUTINE_QUEUE:
        dev_i2c_rq_init_queue(&op->rq, done, &queue);
        break;
    default:
        dev_i2c_rq_init(&op->rq, done);
    }
    op->list[0] = (struct dev_i2c_transfer_s){.size = 1, .op = DEV_I2C_WRITE};
    op->list[0].out = &op->reg;
    op->list[1] = (struct dev_i2c_transfer_s){.size = 2, .op = DEV_I2C_READ};
    op->list[1].data = op->temperature;
    op->rq.type = DEV_I2C_TRANSFER;
    op->rq.flags = op->rq.retries = 0;
    op->rq.addr = target == &slow ? 0x50 : 0x48;
    op->rq.list = op->list;
    op->rq.count = 2;
}

/* `count` requests, `depth` of them submitted at a time. */
static double asynchronous(const struct device_i2c_s *acc, enum kroutine_policy_e policy,
                           unsigned depth, unsigned count)
{
    double start = bench_now();

    target = acc;
    calls = count;
    last_end = in_transfers = between = 0;
    counted = 0;
    __atomic_store_n(&left, count - depth, __ATOMIC_SEQ_CST);
    __atomic_store_n(&over, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < depth; i++) {
        init(&ops[i], policy);
        DEVICE_OP(target, request, &ops[i].rq);
    }
    while (policy == KROUTINE_QUEUE && __atomic_load_n(&over, __ATOMIC_SEQ_CST) < count)
        kroutine_queue_wait(&queue);
    while (sem_wait(&end))
        ;
    return (bench_now() - start) / count;
}

static double gap(void)
{
    return between / counted / (in_transfers / (counted + 1));
}

static void set_delay(unsigned ms)
{
    FILE *file = fopen("/sys/module/kr_i2c_bus/parameters/delay_ms", "we");

    bench_require(file && fprintf(file, "%u,0", ms) > 0 && fclose(file) == 0, "delay_ms");
}

static void open_device(struct device_i2c_s *acc, const char *path)
{
    char spec[80];

    snprintf(spec, sizeof spec, "i2c:%s", path);
    bench_require(device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(runtime), spec,
                                              DRIVER_CLASS_I2C) == 0,
                  kroutine_error_text());
}

static void open_all(const char *path, const char *backend)
{
    struct kroutine_runtime_config_s config;

    bare_fd = open(path, O_RDWR | O_CLOEXEC);
    bench_require(bare_fd >= 0, path);
    kroutine_runtime_config_init(&config);
    if (backend)
        config.backend = strcmp(backend, "epoll") ? KROUTINE_BACKEND_URING : KROUTINE_BACKEND_EPOLL;
    bench_require(kroutine_runtime_create(&runtime, &config) == 0, kroutine_error_text());
    open_device(&bus, path);
    open_device(&slow, getenv("KT_I2C_TEST0"));
    bench_require(kroutine_queue_init(&queue) == 0, "queue");
    sem_init(&end, 0, 0);
}

/* The best of several: what disturbs the machine lasts longer than a few calls. */
static void in_turn(struct bench_series_s *alone, struct bench_series_s *wait)
{
    double best[2] = {0, 0};

    for (int i = 0; i < TURNS; i++) {
        double took[2] = {bare(), waiting()};

        for (int j = 0; j < 2; j++)
            best[j] = i && best[j] < took[j] ? best[j] : took[j];
    }
    bench_add(alone, best[0]);
    bench_add(wait, best[1]);
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 21);
    struct bench_series_s alone = {.name = "bare ioctl", .unit = "ns"};
    struct bench_series_s wait = {.name = "dev_i2c_wait_write_read", .unit = "ns"};
    struct bench_series_s deferred = {.name = "from a DEFERRED handler", .unit = "ns"};
    struct bench_series_s sched = {.name = "from a SCHED_SWITCH handler", .unit = "ns"};
    struct bench_series_s queued = {.name = "from a QUEUE handler", .unit = "ns"};
    struct bench_series_s many = {.name = "16 queued, DEFERRED", .unit = "ns"};
    struct bench_series_s gaps = {.name = "gap of those", .unit = "of a transfer"};
    struct bench_series_s slow_gaps = {.name = "gap, transfers of 1 ms", .unit = "of a transfer"};
    const char *path = getenv("KT_I2C_BUS");

    if (!path || !getenv("KT_I2C_TEST0")) {
        printf("KT_I2C_BUS does not name a bus with a TMP105\n");
        return 77;
    }
    open_all(path, argc > 2 ? argv[2] : NULL);
    for (int i = 0; i < rounds; i++) {
        in_turn(&alone, &wait);
        bench_add(&deferred, asynchronous(&bus, KROUTINE_DEFERRED, 1, CALLS));
        bench_add(&sched, asynchronous(&bus, KROUTINE_SCHED_SWITCH, 1, CALLS));
        bench_add(&queued, asynchronous(&bus, KROUTINE_QUEUE, 1, CALLS));
        bench_add(&many, asynchronous(&bus, KROUTINE_DEFERRED, QUEUED, CALLS));
        bench_add(&gaps, gap());
        set_delay(1);
        asynchronous(&slow, KROUTINE_DEFERRED, QUEUED, 2 * QUEUED);
        bench_add(&slow_gaps, gap());
        set_delay(0);
    }
    bench_print(&alone);
    bench_print(&wait);
    bench_print(&deferred);
    bench_print(&sched);
    bench_print(&queued);
    bench_print(&many);
    bench_print(&gaps);
    bench_print(&slow_gaps);
    bench_result("i2c-wait-over-ioctl", bench_ratio(&wait, &alone), "x", 1.15);
    bench_info("i2c-deferred-over-ioctl", bench_ratio(&deferred, &alone), "x");
    bench_info("i2c-sched-switch-over-ioctl", bench_ratio(&sched, &alone), "x");
    bench_info("i2c-queue-over-ioctl", bench_ratio(&queued, &alone), "x");
    bench_info("i2c-16-queued-over-ioctl", bench_ratio(&many, &alone), "x");
    bench_info("i2c-gap", bench_median(&gaps), "of a transfer");
    bench_result("i2c-gap-1ms", bench_median(&slow_gaps), "of a transfer", 0.2);
    device_put_accessor(&bus.base);
    device_put_accessor(&slow.base);
    printf("1..1\nok 1\n"); /* for tests/vm/run */
    return 0;
}
