/* SPDX-License-Identifier: MIT */
/*
 * Arming and cancelling a timer while others are pending: a thousand, a hundred thousand, a
 * million, with random deadlines far away. libuv's timers, where it is installed, for comparison.
 *
 * A second figure, for information, takes a random one of those that are pending and arms it anew:
 * there the program's own memory, of which the requests are a part, goes through the caches too.
 */
#include <kroutine.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_LIBUV
#include <uv.h>
#endif

#include "bench.h"

#define OPERATIONS 20000
#define HOT        64 /* requests that are armed and cancelled in turn */

static const unsigned sizes[] = {1000, 100000, 1000000};
static const char *const size_names[] = {"10^3", "10^5", "10^6"};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void) /* xorshift, Marsaglia 2003 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* From one hour to eleven days away. */
static uint64_t random_delay(void)
{
    return KROUTINE_SEC(3600) + random_next() % KROUTINE_SEC(1000000);
}

/* --- the library: one runtime a size --- */

struct set_s {
    struct kroutine_runtime_s *rt;
    struct device_timer_s timer;
    struct dev_timer_rq_s *pending;
    struct dev_timer_rq_s hot[HOT];
    unsigned size;
};

static KROUTINE_EXEC(never)
{
    bench_require(false, "a deadline that is far away has passed");
}

static void arm(struct set_s *set, struct dev_timer_rq_s *rq)
{
    rq->delay = random_delay();
    bench_require(DEVICE_OP(&set->timer, request, rq) == 0, "timer request");
}

static void cancel(struct set_s *set, struct dev_timer_rq_s *rq)
{
    bench_require(DEVICE_OP(&set->timer, cancel, rq) == 0, "timer cancel");
}

static void set_up(struct set_s *set, unsigned size)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    config.embedded = true;
    bench_require(kroutine_runtime_create(&set->rt, &config) == 0, "kroutine_runtime_create");
    bench_require(device_get_accessor_by_path(&set->timer.base, kroutine_runtime_devices(set->rt),
                                              "timer0", DRIVER_CLASS_TIMER) == 0,
                  "timer0");
    set->size = size;
    set->pending = calloc(size, sizeof(*set->pending));
    bench_require(set->pending != NULL, "memory");
    for (unsigned i = 0; i < size; i++) {
        dev_timer_rq_init_immediate(&set->pending[i], never);
        arm(set, &set->pending[i]);
    }
    for (unsigned i = 0; i < HOT; i++)
        dev_timer_rq_init_immediate(&set->hot[i], never);
}

static void tear_down(struct set_s *set)
{
    for (unsigned i = 0; i < set->size; i++)
        cancel(set, &set->pending[i]);
    device_put_accessor(&set->timer.base);
    bench_require(kroutine_runtime_destroy(set->rt) == 0, "kroutine_runtime_destroy");
    free(set->pending);
}

static double arm_cancel(struct set_s *set)
{
    double start = bench_now();

    for (int i = 0; i < OPERATIONS; i++) {
        struct dev_timer_rq_s *rq = &set->hot[i % HOT];

        arm(set, rq);
        cancel(set, rq);
    }
    return (bench_now() - start) / OPERATIONS;
}

static double arm_anew(struct set_s *set)
{
    double start = bench_now();

    for (int i = 0; i < OPERATIONS; i++) {
        struct dev_timer_rq_s *rq = &set->pending[random_next() % set->size];

        cancel(set, rq);
        arm(set, rq);
    }
    return (bench_now() - start) / OPERATIONS;
}

static struct set_s sets[SIZES];

static void library(int rounds)
{
    struct bench_series_s fresh[SIZES] = {{0}}, anew[SIZES] = {{0}};

    for (unsigned s = 0; s < SIZES; s++) {
        fresh[s].unit = anew[s].unit = "ns";
        fresh[s].name = anew[s].name = size_names[s];
        set_up(&sets[s], sizes[s]);
        arm_cancel(&sets[s]);
    }
    for (int i = 0; i < rounds; i++)
        for (unsigned s = 0; s < SIZES; s++)
            bench_add(&fresh[s], arm_cancel(&sets[s]));
    for (int i = 0; i < rounds; i++)
        for (unsigned s = 0; s < SIZES; s++)
            bench_add(&anew[s], arm_anew(&sets[s]));
    puts("libkroutine, arm and cancel a request, this many pending:");
    for (unsigned s = 0; s < SIZES; s++)
        bench_print(&fresh[s]);
    bench_result("timer-million-over-thousand", bench_ratio(&fresh[2], &fresh[0]), "x", 2);
    bench_info("timer-arm-cancel-million", bench_median(&fresh[2]), "ns");
    puts("libkroutine, cancel a random one of those and arm it anew:");
    for (unsigned s = 0; s < SIZES; s++)
        bench_print(&anew[s]);
    bench_info("timer-rearm-million", bench_median(&anew[2]), "ns");
    for (unsigned s = 0; s < SIZES; s++)
        tear_down(&sets[s]);
}

/* --- libuv, a millisecond at a time --- */

#ifdef HAVE_LIBUV

static void uv_never(uv_timer_t *timer)
{
    (void)timer;
}

static double uv_arm_cancel(uv_loop_t *loop)
{
    static uv_timer_t hot[HOT];
    double start;

    for (int i = 0; i < HOT; i++)
        uv_timer_init(loop, &hot[i]);
    start = bench_now();
    for (int i = 0; i < OPERATIONS; i++) {
        uv_timer_start(&hot[i % HOT], uv_never, random_delay() / 1000000, 0);
        uv_timer_stop(&hot[i % HOT]);
    }
    start = (bench_now() - start) / OPERATIONS;
    for (int i = 0; i < HOT; i++)
        uv_close((uv_handle_t *)&hot[i], NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return start;
}

static void peer(int rounds)
{
    struct bench_series_s series = {.unit = "ns"};

    puts("libuv, uv_timer_start and uv_timer_stop, this many pending:");
    for (unsigned s = 0; s < SIZES; s++) {
        uv_timer_t *pending = calloc(sizes[s], sizeof(*pending));
        uv_loop_t loop;

        bench_require(pending && uv_loop_init(&loop) == 0, "uv_loop_init");
        for (unsigned i = 0; i < sizes[s]; i++) {
            uv_timer_init(&loop, &pending[i]);
            uv_timer_start(&pending[i], uv_never, random_delay() / 1000000, 0);
        }
        series.name = size_names[s];
        series.count = 0;
        for (int i = 0; i < rounds; i++)
            bench_add(&series, uv_arm_cancel(&loop));
        bench_print(&series);
        for (unsigned i = 0; i < sizes[s]; i++)
            uv_close((uv_handle_t *)&pending[i], NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
        free(pending);
    }
    bench_info("timer-arm-cancel-million-libuv", bench_median(&series), "ns");
}

#else

static void peer(int rounds)
{
    (void)rounds;
    puts("libuv is not installed: no comparison with its timers");
}

#endif

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31);

    library(rounds);
    peer(rounds < 15 ? rounds : 15);
    return 0;
}
