/* SPDX-License-Identifier: MIT */
/*
 * How late silence and time-outs are noticed, on a pseudo-terminal: reads that a gap ends, and
 * reads that their time-out ends, two thousand of each in turn, on a runtime with a reactor thread.
 *
 * Lateness of a gap is the time of the handler (IMMEDIATE, on the reactor) less that of the write
 * of the last byte, taken just before the call, less the gap; so what the terminal takes to bring
 * the byte is in it. Lateness of a time-out is counted from the submit in the same way. The bare
 * figure beside is that of a thread which sleeps as long with clock_nanosleep(2): what the kernel's
 * timers and the machine allow.
 */
#include <errno.h>
#include <fcntl.h>
#include <kroutine.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS_MAX 100000
#define LENGTH     KROUTINE_MSEC(1) /* of the gap, and of the time-out */

enum what_e { GAP, TIME_OUT, BARE, WHATS };

static const char *const names[WHATS] = {"gap", "time-out", "bare-sleep"};
static double late[WHATS][ROUNDS_MAX];
static struct device_char_s port = DEVICE_ACCESSOR_INIT;
static struct dev_char_timed_rq_s read_rq;
static uint8_t data[16];
static double over_at;
static sem_t over;

static KROUTINE_EXEC(on_end)
{
    (void)kr;
    (void)flags;
    over_at = bench_now();
    sem_post(&over);
}

static int open_port(struct kroutine_runtime_s *rt)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64], spec[80];

    bench_require(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 &&
                      ptsname_r(master, name, sizeof(name)) == 0,
                  "pseudo-terminal");
    snprintf(spec, sizeof(spec), "tty:%s", name);
    bench_require(device_get_accessor_by_path(&port.base, kroutine_runtime_devices(rt), spec,
                                              DRIVER_CLASS_CHAR) == 0,
                  "tty");
    return master;
}

static double one_read(enum what_e what, int master)
{
    double begin = bench_now();

    read_rq.rq.type = DEV_CHAR_READ_TIMED;
    read_rq.rq.data = data;
    read_rq.rq.size = sizeof(data);
    read_rq.min = 1;
    read_rq.gap = LENGTH;
    dev_request_set_timeout(&read_rq.rq.base, what == GAP ? 0 : LENGTH);
    DEVICE_OP(&port, request, &read_rq.rq);
    if (what == GAP) {
        begin = bench_now();
        bench_require(write(master, "12345678", 8) == 8, "write");
    }
    while (sem_wait(&over))
        ;
    bench_require(read_rq.rq.error == (what == GAP ? 0 : -ETIMEDOUT), "the read's end");
    bench_require(read_rq.rq.size == sizeof(data) - (what == GAP ? 8 : 0), "the read's bytes");
    return over_at - begin - (double)LENGTH;
}

static double one_sleep(void)
{
    struct timespec t = {.tv_nsec = LENGTH};
    double begin = bench_now();

    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    return bench_now() - begin - (double)LENGTH;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(enum what_e what, int rounds)
{
    char name[40];
    double *v = late[what];

    qsort(v, (size_t)rounds, sizeof(*v), compare);
    printf("  %-10s  min %.1f  p50 %.1f  p99 %.1f  max %.1f us\n", names[what], v[0] / 1e3,
           v[rounds / 2] / 1e3, v[rounds - 1 - rounds / 100] / 1e3, v[rounds - 1] / 1e3);
    snprintf(name, sizeof(name), "%s-lateness-p99", names[what]);
    if (what == BARE)
        bench_info(name, v[rounds - 1 - rounds / 100] / 1e3, "us");
    else
        bench_result(name, v[rounds - 1 - rounds / 100] / 1e3, "us", 200);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 2000, master;
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;

    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = 2000;
    sem_init(&over, 0, 0);
    kroutine_runtime_config_init(&config);
    bench_require(kroutine_runtime_create(&rt, &config) == 0, "kroutine_runtime_create");
    master = open_port(rt);
    dev_char_rq_init_immediate(&read_rq.rq, on_end);
    for (int i = 0; i < 20; i++)
        one_read(GAP, master);
    for (int i = 0; i < rounds; i++) {
        late[GAP][i] = one_read(GAP, master);
        late[TIME_OUT][i] = one_read(TIME_OUT, master);
        late[BARE][i] = one_sleep();
    }
    printf("lateness after %d ms, %d rounds:\n", (int)(LENGTH / KROUTINE_MSEC(1)), rounds);
    for (enum what_e what = GAP; what < WHATS; what++)
        report(what, rounds);
    device_put_accessor(&port.base);
    close(master);
    kroutine_runtime_destroy(rt);
    return 0;
}
