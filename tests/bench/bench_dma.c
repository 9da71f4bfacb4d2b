/* SPDX-License-Identifier: MIT */
/*
 * memdma: 64 MiB against memcpy, in turn, in the same memory; how late a timer of the reactor is
 * beside such a copy; and what a submit costs.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <kroutine.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SIZE    (64u << 20)
#define SUBMITS 2000

static struct kroutine_runtime_s *rt;
static struct device_dma_s dma = DEVICE_ACCESSOR_INIT;
static struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
static struct dev_dma_mem_s src, dst;

static double by_memcpy(void)
{
    double start = bench_now();

    memcpy(dst.base, src.base, SIZE);
    __asm__ volatile("" ::: "memory");
    return SIZE / (bench_now() - start);
}

static struct dev_dma_desc_s desc;

static void prepare(struct dev_dma_rq_s *rq, size_t size)
{
    desc.src = src.base;
    desc.dst = dst.base;
    desc.size = size;
    rq->list = &desc;
    rq->count = 1;
    rq->loops = 1;
}

static double by_memdma(void)
{
    struct dev_dma_rq_s rq = {.loops = 1};
    double start = bench_now();

    prepare(&rq, SIZE);
    bench_require(dev_dma_wait_rq(&dma, &rq) == 0 && rq.done == SIZE, "copy");
    return SIZE / (bench_now() - start);
}

/* --- the reactor beside it --- */

static struct bench_series_s late = {.name = "timer is late, copying", .unit = "us"};
static double expected;
static unsigned rang;

static KROUTINE_EXEC(ring)
{
    bench_add(&late, (bench_now() - expected) / 1e3);
    __atomic_store_n(&rang, 1, __ATOMIC_SEQ_CST);
}

static void lateness(bool copying)
{
    struct dev_dma_rq_s rq = {.loops = 1};
    struct dev_timer_rq_s alarm = {.delay = 0};

    dev_dma_rq_init(&rq, NULL);
    rq.kr.policy = KROUTINE_NONE;
    prepare(&rq, SIZE);
    rq.loops = DEV_DMA_CONTINUOUS;
    if (copying)
        bench_require(DEVICE_OP(&dma, request, &rq) == 0, "request");
    dev_timer_rq_init_immediate(&alarm, ring);
    for (int i = 0; i < 99; i++) {
        alarm.delay = KROUTINE_USEC(500);
        __atomic_store_n(&rang, 0, __ATOMIC_SEQ_CST);
        expected = bench_now() + 500e3;
        bench_require(DEVICE_OP(&timer, request, &alarm) == 0, "timer");
        while (!__atomic_load_n(&rang, __ATOMIC_SEQ_CST))
            usleep(100);
    }
    if (copying)
        dev_request_cancel_wait(&dma.base, &rq.base);
}

/* --- submitting --- */

static unsigned over;

static KROUTINE_EXEC(count)
{
    __atomic_add_fetch(&over, 1, __ATOMIC_RELEASE);
}

/* The channel has work meanwhile, as a queue that is kept full has; and, apart, where each submit
   wakes a worker that sleeps. */
static double submit(bool asleep)
{
    static struct dev_dma_rq_s rq[SUBMITS];
    struct dev_dma_rq_s busy = {.loops = 1};
    double sum = 0;

    dev_dma_rq_init(&busy, NULL);
    busy.kr.policy = KROUTINE_NONE;
    prepare(&busy, 1u << 20);
    busy.loops = DEV_DMA_CONTINUOUS;
    busy.chan_mask = 1;
    if (!asleep)
        bench_require(DEVICE_OP(&dma, request, &busy) == 0, "request");
    over = 0;
    for (unsigned i = 0; i < SUBMITS; i++) {
        double start;

        dev_dma_rq_init_immediate(&rq[i], count);
        prepare(&rq[i], 1u << 20);
        rq[i].list = &desc;
        rq[i].chan_mask = 1;
        if (asleep) {
            desc.size = 64;
            usleep(100);
        }
        start = bench_now();
        bench_require(DEVICE_OP(&dma, request, &rq[i]) == 0, "request");
        sum += bench_now() - start;
    }
    for (unsigned i = SUBMITS; !asleep && i--;)
        if (dev_request_cancel_wait(&dma.base, &rq[i].base) == 0)
            __atomic_add_fetch(&over, 1, __ATOMIC_RELEASE);
    if (!asleep)
        dev_request_cancel_wait(&dma.base, &busy.base);
    while (__atomic_load_n(&over, __ATOMIC_ACQUIRE) < SUBMITS)
        usleep(100);
    return sum / SUBMITS;
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31);
    struct bench_series_s copy = {.name = "memcpy", .unit = "GB/s"};
    struct bench_series_s engine = {.name = "memdma", .unit = "GB/s"};
    struct bench_series_s queued = {.name = "submit, channel busy", .unit = "ns"};
    struct bench_series_s waking = {.name = "submit, worker asleep", .unit = "ns"};
    struct kroutine_runtime_config_s config;
    struct device_s *root;

    kroutine_runtime_config_init(&config);
    config.pool_size = 2;
    bench_require(kroutine_runtime_create(&rt, &config) == 0, kroutine_error_text());
    root = kroutine_runtime_devices(rt);
    bench_require(
        device_get_accessor_by_path(&dma.base, root, "dma0", DRIVER_CLASS_DMA) == 0 &&
            device_get_accessor_by_path(&timer.base, root, "timer0", DRIVER_CLASS_TIMER) == 0,
        "dma0 and timer0");
    bench_require(dev_dma_alloc(&dma, &src, SIZE, 0) == 0 &&
                      dev_dma_alloc(&dma, &dst, SIZE, 0) == 0,
                  kroutine_error_text());
    memset(src.base, 1, SIZE);
    by_memcpy();
    by_memdma();
    for (int i = 0; i < rounds; i++) {
        bench_add(&copy, by_memcpy());
        bench_add(&engine, by_memdma());
    }
    for (int i = 0; i < 5; i++) {
        bench_add(&queued, submit(false));
        bench_add(&waking, submit(true));
    }
    bench_print(&copy);
    bench_print(&engine);
    bench_result("memcpy-over-memdma", bench_ratio(&copy, &engine), "x", 1 / 0.95);
    late.name = "timer is late, nothing else";
    lateness(false);
    bench_print(&late);
    bench_info("dma-timer-late-idle", bench_median(&late), "us");
    late.name = "timer is late beside a copy";
    late.count = 0;
    lateness(true);
    bench_print(&late);
    bench_info("dma-timer-late-copying", bench_median(&late), "us");
    bench_print(&queued);
    bench_print(&waking);
    bench_result("dma-submit", bench_median(&queued), "ns", 1000);
    bench_info("dma-submit-waking", bench_median(&waking), "ns");
    return dev_dma_unmap(&src) || dev_dma_unmap(&dst);
}
