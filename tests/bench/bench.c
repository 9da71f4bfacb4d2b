/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static cpu_set_t at_start;

__attribute__((constructor)) static void setup(void)
{
    sched_getaffinity(0, sizeof(at_start), &at_start);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

double bench_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* --- statistics --- */

void bench_add(struct bench_series_s *s, double value)
{
    if (s->count < BENCH_ROUNDS_MAX)
        s->value[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value that a share of the others lies below: 0 the least, 1 the largest. */
static double quantile(const double *value, int count, double share)
{
    double sorted[BENCH_ROUNDS_MAX];

    bench_require(count > 0, "a series with values");
    memcpy(sorted, value, (size_t)count * sizeof(*sorted));
    qsort(sorted, (size_t)count, sizeof(*sorted), compare);
    return sorted[(int)((count - 1) * share + 0.5)];
}

double bench_min(const struct bench_series_s *s)
{
    return quantile(s->value, s->count, 0);
}

double bench_median(const struct bench_series_s *s)
{
    return quantile(s->value, s->count, 0.5);
}

double bench_max(const struct bench_series_s *s)
{
    return quantile(s->value, s->count, 1);
}

/* --- output --- */

void bench_print(const struct bench_series_s *s)
{
    printf("  %-34s min %9.2f  median %9.2f  max %9.2f  %s\n", s->name, bench_min(s),
           bench_median(s), bench_max(s), s->unit);
}

double bench_ratio(const struct bench_series_s *s, const struct bench_series_s *base)
{
    int count = s->count < base->count ? s->count : base->count;
    double ratio = bench_median(s) / bench_median(base), pair[BENCH_ROUNDS_MAX];

    for (int i = 0; i < count; i++)
        pair[i] = s->value[i] / base->value[i];
    printf("  %s / %s: %.3f of medians, %.3f of minima, %.3f median round by round\n", s->name,
           base->name, ratio, bench_min(s) / bench_min(base), quantile(pair, count, 0.5));
    return ratio;
}

void bench_result(const char *name, double value, const char *unit, double limit)
{
    printf("result: %s %.3f %s %g %s\n", name, value, unit, limit, value <= limit ? "OK" : "MISS");
}

void bench_info(const char *name, double value, const char *unit)
{
    printf("result: %s %.3f %s - INFO\n", name, value, unit);
}

void bench_require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: failed: %s (%s)\n", program_invocation_short_name, what, strerror(errno));
    exit(2);
}

int bench_rounds(int argc, char **argv, int otherwise)
{
    int rounds = argc > 1 ? atoi(argv[1]) : otherwise;

    return rounds < 1 ? 1 : rounds > BENCH_ROUNDS_MAX ? BENCH_ROUNDS_MAX : rounds;
}

/* --- CPUs --- */

int bench_cpu(int n)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &at_start) && n-- == 0)
            return cpu;
    return -1;
}

void bench_pin(int cpu)
{
    cpu_set_t set = at_start;

    if (cpu >= 0) {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
    }
    bench_require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

void bench_open_pty(int *master, int *slave)
{
    struct termios raw;

    *master = posix_openpt(O_RDWR | O_NOCTTY);
    bench_require(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0, "pty");
    *slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    bench_require(*slave >= 0 && tcgetattr(*slave, &raw) == 0, "its slave");
    cfmakeraw(&raw);
    bench_require(tcsetattr(*slave, TCSANOW, &raw) == 0, "tcsetattr");
}
