/* SPDX-License-Identifier: MIT */
/* Time, runtimes, threads, and facts about the process, for the tests. */
#include "kt.h"

#include <asm/termbits.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

unsigned kt_slow(void)
{
    const char *preload = getenv("LD_PRELOAD"), *given = getenv("KR_TEST_SLOW");

    if (preload && strstr(preload, "vgpreload"))
        return 40;
    if (given && atoi(given) > 0)
        return (unsigned)atoi(given);
    return SANITIZED ? 10 : 1;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t kt_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t kt_cpu_time(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void sleep_ns(long ns)
{
    struct timespec ts = {ns / 1000000000, ns % 1000000000};

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        ;
}

void kt_sleep_ms(unsigned ms)
{
    sleep_ns((long)ms * 1000000);
}

uint64_t kt_patience(void)
{
    return KROUTINE_SEC(kt_slow() > 1 ? 60 : 8);
}

unsigned kt_stamp(void)
{
    static unsigned last;

    return kt_inc(&last);
}

const char *kt_mode_label(int mode)
{
    return mode == KT_THREADS ? "threads" : "embedded";
}

int kt_real_rounds(const char *variable)
{
    bool real = getenv(variable) && kt_backend != KROUTINE_BACKEND_SIM;

    return real ? 2 * KT_MODES : KT_MODES;
}

const char *kt_real_label(int round, const char *real)
{
    static char text[64];

    snprintf(text, sizeof text, "%s-%s", round < KT_MODES ? "sim" : real,
             kt_mode_label(round % KT_MODES));
    return text;
}

int kt_timed_rounds(int all)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? 1 : all;
}

int kt_timed_round(int round)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? KT_EMBEDDED : round;
}

void kt_env_config(struct kroutine_runtime_config_s *config, enum kt_mode_e mode)
{
    kroutine_runtime_config_init(config);
    config->backend = kt_backend;
    config->embedded = mode == KT_EMBEDDED;
    config->pool_size = mode == KT_EMBEDDED ? 0 : 2;
}

void kt_env_make(struct kt_env_s *env, const struct kroutine_runtime_config_s *config)
{
    error_t err = kroutine_runtime_create(&env->rt, config);

    ck_assert_msg(err == 0, "kroutine_runtime_create: %s: %s", strerror(-err),
                  kroutine_error_text());
    env->embedded = config->embedded;
}

void kt_env_open(struct kt_env_s *env, enum kt_mode_e mode)
{
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    kt_env_make(env, &config);
}

void kt_env_close(struct kt_env_s *env)
{
    ck_assert_int_eq(kroutine_runtime_destroy(env->rt), 0);
    env->rt = NULL;
}

void kt_pause(struct kt_env_s *env)
{
    if (env && env->embedded)
        ck_assert_int_ge(kroutine_runtime_wait(env->rt, 1000000), 0);
    else
        sleep_ns(200000);
}

uint64_t kt_clock(const struct kt_env_s *env)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? kroutine_sim_now(env->rt) : kt_now();
}

uint64_t kt_timer_value(const struct device_timer_s *timer)
{
    dev_timer_value_t v = 0;

    ck_assert_int_eq(DEVICE_OP(timer, get_value, &v, 0), 0);
    return v;
}

void kt_idle(struct kt_env_s *env, unsigned ms)
{
    uint64_t end = kt_now() + KROUTINE_MSEC(ms);

    if (env->embedded && kt_backend == KROUTINE_BACKEND_SIM) {
        end = kt_clock(env) + KROUTINE_MSEC(ms);
        while (kt_clock(env) < end)
            ck_assert_int_ge(kroutine_runtime_wait(env->rt, (int64_t)(end - kt_clock(env))), 0);
        return;
    }
    while (kt_now() < end)
        kt_pause(env);
}

pthread_t kt_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

void kt_join(pthread_t thread)
{
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static unsigned count_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;
    struct dirent *e;

    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)))
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

unsigned kt_open_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* without the one that looks */
}

unsigned kt_threads(void)
{
    return count_entries("/proc/self/task");
}

static uint64_t task_switches(const char *tid)
{
    char path[300], line[200];
    unsigned long long n = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", tid);
    f = fopen(path, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
            break;
    fclose(f);
    return n;
}

uint64_t kt_voluntary_switches(void)
{
    DIR *dir = opendir("/proc/self/task");
    uint64_t sum = 0;
    struct dirent *e;

    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.')
            sum += task_switches(e->d_name);
    closedir(dir);
    return sum;
}

bool kt_has_termios2(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios2 line;
    bool has = fd < 0 || ioctl(fd, TCGETS2, &line) == 0 || errno != ENOSYS;

    close(fd);
    return has;
}

void kt_need_termios2(void)
{
    if (!kt_has_termios2())
        kt_skip_all("settings of serial ports cannot be read here: TCGETS2: %s", strerror(ENOSYS));
}
