/* SPDX-License-Identifier: MIT */
/*
 * What kroutine_exec of an IMMEDIATE kroutine costs over the plain call of its handler through a
 * pointer that the compiler cannot see through.
 */
#include <kroutine.h>

#include "bench.h"

#define CALLS 2000000

static KROUTINE_EXEC(handler)
{
    __asm__ volatile("" ::: "memory");
}

static kroutine_exec_t *volatile pointer = handler;
static struct kroutine_s kr;

static double plain_call(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        pointer(&kr, (enum kroutine_exec_flags_e)0);
    return (bench_now() - start) / CALLS;
}

static double exec(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        kroutine_exec(&kr);
    return (bench_now() - start) / CALLS;
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 51);
    struct bench_series_s plain = {.name = "indirect call", .unit = "ns"};
    struct bench_series_s immediate = {.name = "kroutine_exec, IMMEDIATE", .unit = "ns"};

    kroutine_init_immediate(&kr, handler);
    plain_call(); /* warms up, and binds the symbol */
    exec();
    for (int i = 0; i < rounds; i++) {
        bench_add(&plain, plain_call());
        bench_add(&immediate, exec());
    }
    bench_print(&plain);
    bench_print(&immediate);
    bench_result("immediate-exec-over-call", bench_median(&immediate) - bench_median(&plain), "ns",
                 2);
    return 0;
}
