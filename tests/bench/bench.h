/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks share: a clock, series of measurements and their statistics, and the result
 * lines that tests/bench/run collects.
 *
 * Two things are compared by measuring them in turn, A B A B …, in one process: whatever disturbs
 * the machine then disturbs both.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 101

/* One thing that is measured, once a round. */
struct bench_series_s {
    const char *name;
    const char *unit;
    double value[BENCH_ROUNDS_MAX];
    int count;
};

double bench_now(void); /* ns, monotonic */

void bench_add(struct bench_series_s *s, double value);
double bench_min(const struct bench_series_s *s);
double bench_median(const struct bench_series_s *s);
double bench_max(const struct bench_series_s *s);

/* "  NAME  min … median … max … UNIT". */
void bench_print(const struct bench_series_s *s);
/* Median of `s` by median of `base`; prints it, with the median of the ratios round by round. */
double bench_ratio(const struct bench_series_s *s, const struct bench_series_s *base);

/* "result: NAME VALUE UNIT LIMIT OK|MISS"; a limit is a largest value. */
void bench_result(const char *name, double value, const char *unit, double limit);
/* "result: NAME VALUE UNIT - INFO". */
void bench_info(const char *name, double value, const char *unit);

/* Ends the program with a message when `ok` is false: a benchmark that did not do its work has
   nothing to say. */
void bench_require(bool ok, const char *what);

/* Rounds to run: the first argument of the program, or `otherwise`. */
int bench_rounds(int argc, char **argv, int otherwise);

/* The nth CPU that the process may use, -1: it has fewer. */
int bench_cpu(int n);
/* Ties the calling thread to a CPU; -1: to all that the process could use at its start. */
void bench_pin(int cpu);

/* A pty, raw; blocking descriptors. */
void bench_open_pty(int *master, int *slave);

#endif
