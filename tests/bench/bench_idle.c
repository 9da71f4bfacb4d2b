/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups of a default runtime with nothing to do, and of one with a 1 Hz timer. Counted are the
 * voluntary context switches of its threads: each is one sleep, so one wake-up; involuntary ones
 * only say that the machine has other work. The argument is the length of each part in seconds.
 */
#include <dirent.h>
#include <inttypes.h>
#include <kroutine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct switches_s {
    uint64_t voluntary;
    uint64_t involuntary;
    uint64_t batches;
};

static void add_thread(const char *tid, struct switches_s *sum)
{
    char path[300], line[128];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
    f = fopen(path, "r");
    bench_require(f != NULL, path);
    while (fgets(line, sizeof(line), f)) {
        uint64_t n;

        if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &n) == 1)
            sum->voluntary += n;
        else if (sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &n) == 1)
            sum->involuntary += n;
    }
    fclose(f);
}

/* Of every thread but this one. */
static struct switches_s count(void)
{
    struct switches_s sum = {0};
    struct kroutine_runtime_info_s info;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;

    bench_require(dir != NULL, "/proc/self/task");
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != (int)getpid())
            add_thread(entry->d_name, &sum);
    closedir(dir);
    bench_require(kroutine_runtime_info(NULL, &info) == 0, "kroutine_runtime_info");
    sum.batches = info.batches;
    return sum;
}

static double watch(const char *what, unsigned seconds)
{
    struct timespec length = {.tv_sec = (time_t)seconds};
    struct switches_s before = count(), after;

    nanosleep(&length, NULL);
    after = count();
    printf("  %s, %u s: %" PRIu64 " wake-ups (%" PRIu64 " involuntary switches), %" PRIu64
           " batches of the reactor\n",
           what, seconds, after.voluntary - before.voluntary,
           after.involuntary - before.involuntary, after.batches - before.batches);
    return (double)(after.voluntary - before.voluntary);
}

static struct device_timer_s timer;

/* From the schedule, not from now. */
static KROUTINE_EXEC(tick)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    if (rq->error)
        return;
    rq->delay = 0;
    rq->deadline += KROUTINE_SEC(1); /* which the driver had computed from the delay */
    bench_require(DEVICE_OP(&timer, request, rq) == 0, "timer request");
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    struct timespec settle = {.tv_nsec = 500000000};
    struct dev_timer_rq_s rq = {.delay = KROUTINE_SEC(1)};

    bench_require(kroutine_runtime_default() != NULL, "kroutine_runtime_default");
    nanosleep(&settle, NULL); /* its threads start, and go to sleep */
    bench_result("idle-wakeups", watch("idle", seconds), "wakeups", 0);

    bench_require(device_get_accessor_by_path(&timer.base, NULL, "timer0", DRIVER_CLASS_TIMER) == 0,
                  "timer0");
    dev_timer_rq_init_immediate(&rq, tick);
    bench_require(DEVICE_OP(&timer, request, &rq) == 0, "timer request");
    nanosleep(&settle, NULL);
    bench_result("timer-1hz-wakeups", watch("a 1 Hz timer", seconds) / seconds, "wakeups/s", 1);
    dev_request_cancel_wait(&timer.base, &rq.base);
    device_put_accessor(&timer.base);
    return 0;
}
