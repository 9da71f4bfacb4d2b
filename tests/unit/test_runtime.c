/* SPDX-License-Identifier: MIT */
/* Runtimes with threads: the default one, several, their end, what they say about themselves. */
#include "kt.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static struct kt_env_s env;

static void open_device(struct device_char_s *dev, struct kroutine_runtime_s *rt, int fd)
{
    char spec[32];
    error_t err;

    memset(dev, 0, sizeof *dev);
    snprintf(spec, sizeof spec, "fd:%d", fd);
    err = device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(rt), spec,
                                      DRIVER_CLASS_CHAR);
    ck_assert_msg(err == 0, "%s: %s: %s", spec, strerror(-err), kroutine_error_text());
}

/* --- the default one --- */

START_TEST(default_is_one)
{
    struct kroutine_runtime_s *rt = kroutine_runtime_default();
    struct kroutine_runtime_info_s a, b;

    ck_assert_ptr_nonnull(rt);
    ck_assert_ptr_eq(kroutine_runtime_default(), rt);
    ck_assert_ptr_nonnull(kroutine_runtime_devices(NULL));
    ck_assert_ptr_eq(kroutine_runtime_devices(NULL), kroutine_runtime_devices(rt));
    ck_assert_ptr_eq(device_runtime(kroutine_runtime_devices(rt)), rt);
    ck_assert_int_eq(kroutine_runtime_info(NULL, &a), 0);
    ck_assert_int_eq(kroutine_runtime_info(rt, &b), 0);
    ck_assert_str_eq(a.backend, b.backend);
    ck_assert_uint_ge(a.pool_size, 1);
    ck_assert_int_eq(kroutine_runtime_fd(rt), -EINVAL);
    ck_assert_int_eq(kroutine_runtime_process(rt), -EINVAL);
    ck_assert_int_eq(kroutine_runtime_wait(rt, 0), -EINVAL);
}
END_TEST

static void *get_default(void *arg)
{
    *(struct kroutine_runtime_s **)arg = kroutine_runtime_default();
    return NULL;
}

START_TEST(default_is_made_once_by_many_threads)
{
    struct kroutine_runtime_s *rt[8];
    pthread_t thread[8];

    for (int i = 0; i < 8; i++)
        thread[i] = kt_thread(get_default, &rt[i]);
    for (int i = 0; i < 8; i++)
        kt_join(thread[i]);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_eq(rt[i], rt[0]);
    ck_assert_ptr_nonnull(rt[0]);
}
END_TEST

START_TEST(null_config_is_as_the_default)
{
    struct kroutine_runtime_info_s a, b;

    ck_assert_int_eq(kroutine_runtime_create(&env.rt, NULL), 0);
    ck_assert_ptr_ne(env.rt, kroutine_runtime_default());
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &a), 0);
    ck_assert_int_eq(kroutine_runtime_info(NULL, &b), 0);
    ck_assert_str_eq(a.backend, b.backend);
    ck_assert_uint_eq(a.pool_size, b.pool_size);
    kt_env_close(&env);
}
END_TEST

START_TEST(older_config_is_accepted)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    ck_assert_uint_eq(config.size, sizeof config);
    config.size = offsetof(struct kroutine_runtime_config_s, sim_seed);
    ck_assert_int_eq(kroutine_runtime_create(&env.rt, &config), 0);
    kt_env_close(&env);
}
END_TEST

/* --- several --- */

#define RUNTIMES 4

static void nothing(struct kt_probe_s *p)
{
    (void)p;
}

START_TEST(several_do_not_mix)
{
    struct kt_env_s e[RUNTIMES];
    struct kt_probe_s p[RUNTIMES][2];
    struct device_timer_s timer;

    for (int i = 0; i < RUNTIMES; i++) {
        struct kt_target_s target = {NULL, NULL, NULL, 0};

        kt_env_open(&e[i], KT_THREADS);
        target.rt = e[i].rt;
        for (int k = 0; k < 2; k++) {
            kt_probe_init(&p[i][k], k ? KROUTINE_SCHED_SWITCH : KROUTINE_DEFERRED, &target);
            p[i][k].then = nothing;
            kroutine_exec(&p[i][k].kr);
        }
        memset(&timer, 0, sizeof timer);
        ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(e[i].rt),
                                                     "timer0", DRIVER_CLASS_TIMER),
                         0);
        ck_assert_ptr_eq(device_runtime(timer.dev), e[i].rt);
        device_put_accessor(&timer.base);
    }
    for (int i = 0; i < RUNTIMES; i++)
        for (int k = 0; k < 2; k++) {
            kt_await(NULL, kt_get(&p[i][k].runs) == 1);
            for (int j = 0; j < i; j++)
                ck_assert(!pthread_equal(p[i][k].thread, p[j][k].thread));
        }
    for (int i = 0; i < RUNTIMES; i += 2)
        kt_env_close(&e[i]);
    for (int i = 1; i < RUNTIMES; i += 2) { /* the others still work */
        kroutine_exec(&p[i][0].kr);
        kt_await(NULL, kt_get(&p[i][0].runs) == 2);
        kt_env_close(&e[i]);
    }
}
END_TEST

START_TEST(nothing_is_left_behind)
{
    unsigned fds = kt_open_fds(), threads;

    kt_env_open(&env, KT_THREADS); /* once before: TSan starts a thread of its own with the first */
    kt_env_close(&env);
    kt_sleep_ms(20);
    threads = kt_threads();
    for (unsigned i = 0; i < 50; i++) {
        kt_env_open(&env, (enum kt_mode_e)(i % 2));
        if (i % 4 < 2) {
            struct device_char_s dev;
            int sv[2];

            ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
            open_device(&dev, env.rt, sv[0]);
            close(sv[0]);
            close(sv[1]);
            if (i % 3)
                device_put_accessor(&dev.base);
            kt_env_close(&env);
            device_put_accessor(&dev.base);
        } else {
            kt_env_close(&env);
        }
    }
    kt_await(NULL, kt_threads() == threads && kt_open_fds() == fds);
}
END_TEST

/* --- destroy --- */

static unsigned over[3]; /* by policy of the handler */
static int errors[3];

static KROUTINE_EXEC(rq_over)
{
    struct dev_request_s *rq = KROUTINE_CONTAINER(kr, struct dev_request_s, kr);

    (void)flags;
    errors[rq->pvuint] = rq->error;
    kt_inc(&over[rq->pvuint]);
}

static void init_rq(struct dev_request_s *rq, unsigned i)
{
    static void (*const init[])(struct dev_request_s *, kroutine_exec_t *) = {
        dev_request_init, dev_request_init_immediate, dev_request_init_sched_switch};

    memset(rq, 0, sizeof *rq);
    init[i](rq, rq_over);
    rq->pvuint = i;
}

START_TEST(destroy_with_requests_pending)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s trq[3];
    struct dev_char_rq_s crq[3];
    struct device_char_s dev;
    uint8_t buffer[3];
    int sv[2];

    kt_env_open(&env, (enum kt_mode_e)_i);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    open_device(&dev, env.rt, sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    for (unsigned i = 0; i < 3; i++) {
        memset(&trq[i], 0, sizeof trq[i]);
        memset(&crq[i], 0, sizeof crq[i]);
        init_rq(&trq[i].base, i);
        init_rq(&crq[i].base, i);
        trq[i].delay = KROUTINE_SEC(3600);
        ck_assert_int_eq(DEVICE_OP(&timer, request, &trq[i]), 0);
        crq[i].type = DEV_CHAR_READ;
        crq[i].data = &buffer[i];
        crq[i].size = 1;
        DEVICE_OP(&dev, request, &crq[i]);
    }
    kt_idle(&env, 10);
    kt_env_close(&env);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(over[i], 2);
        ck_assert_int_eq(errors[i], -ECANCELED);
    }
    device_put_accessor(&dev.base);
    device_put_accessor(&timer.base);
    ck_assert(!device_check_accessor(&dev.base));
    close(sv[0]);
    close(sv[1]);
}
END_TEST

static error_t destroy_result[2];

static void destroy_here(struct kt_probe_s *p)
{
    destroy_result[0] = kroutine_runtime_destroy(env.rt);
    destroy_result[1] = kroutine_runtime_shutdown(env.rt, NULL, NULL);
    (void)p;
}

START_TEST(destroy_from_a_handler_is_refused)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                      KROUTINE_IDLE};
    struct kt_target_s target = {NULL, NULL, NULL, 0};
    struct kt_probe_s p;

    kt_env_open(&env, (enum kt_mode_e)_i);
    target.rt = env.rt;
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&p, policies[i], &target);
        p.then = destroy_here;
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 1);
        ck_assert_int_eq(destroy_result[0], -EDEADLK);
        ck_assert_int_eq(destroy_result[1], -EDEADLK);
        p.then = NULL; /* it still works */
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 2);
    }
    kt_env_close(&env);
}
END_TEST

static struct kt_env_s victim;

static void destroy_the_other(struct kt_probe_s *p)
{
    (void)p;
    destroy_result[0] = kroutine_runtime_destroy(victim.rt);
}

START_TEST(destroy_from_a_handler_of_another_runtime)
{
    struct kt_target_s target = {NULL, NULL, NULL, 0};
    struct kt_probe_s p;

    kt_env_open(&env, KT_THREADS);
    kt_env_open(&victim, KT_THREADS);
    target.rt = env.rt;
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    p.then = destroy_the_other;
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_int_eq(destroy_result[0], 0);
    kt_env_close(&env);
}
END_TEST

/* --- information --- */

#if defined(__arm__)
/* io_uring is not taken by itself, and is there if it is asked for and the kernel has it. */
START_TEST(thirty_two_bit_arm)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_info_s info;

    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_str_eq(info.backend, "epoll");
    ck_assert_msg(strstr(info.reason, "not trusted on 32-bit ARM"), "%s", info.reason);
    kt_env_close(&env);
    kt_env_config(&config, KT_THREADS);
    config.backend = KROUTINE_BACKEND_URING;

    error_t err = kroutine_runtime_create(&env.rt, &config);

    if (err) {
        ck_assert_msg(err == -ENOSYS || err == -EPERM || err == -ENOTSUP, "%d", err);
        ck_assert_msg(strstr(kroutine_error_text(), "io_uring"), "%s", kroutine_error_text());
        ck_assert_msg(!strstr(kroutine_error_text(), "trusted"), "%s", kroutine_error_text());
        return;
    }
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_str_eq(info.backend, "uring");
    kt_env_close(&env);
}
END_TEST
#endif

START_TEST(info_tells)
{
    struct kt_target_s target = {NULL, NULL, NULL, 0};
    struct kroutine_runtime_info_s info, later;
    struct device_char_s dev;
    struct kt_probe_s p;
    int sv[2];

    kt_env_open(&env, KT_THREADS);
    target.rt = env.rt;
    ck_assert_int_eq(kroutine_runtime_info(env.rt, NULL), -EINVAL);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert(!strcmp(info.backend, "uring") || !strcmp(info.backend, "epoll"));
    ck_assert_uint_gt(strlen(info.reason), 5);
    ck_assert_uint_eq(info.pool_size, 2);
    ck_assert_uint_eq(info.open_devices, 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    open_device(&dev, env.rt, sv[0]);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    for (unsigned i = 1; i <= 10; i++) {
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == i);
    }
    kt_await(&env, (kroutine_runtime_info(env.rt, &later), later.deferred == info.deferred + 10));
    ck_assert_uint_eq(later.open_devices, 1);
    device_put_accessor(&dev.base);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &later), 0);
    ck_assert_uint_eq(later.open_devices, 0);
    close(sv[0]);
    close(sv[1]);
    kt_env_close(&env);
}
END_TEST

START_TEST(backend_asked_for_is_given_or_refused)
{
    static const enum kroutine_backend_e asked[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_info_s info;
    error_t err;

    kroutine_runtime_config_init(&config);
    config.backend = asked[_i];
    err = kroutine_runtime_create(&env.rt, &config);
    if (asked[_i] == KROUTINE_BACKEND_URING && (err == -EPERM || err == -ENOSYS)) {
        ck_assert_str_ne(kroutine_error_text(), "");
        kt_skip("io_uring cannot be used here: %s", kroutine_error_text());
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_str_eq(info.backend, kt_backend_name(asked[_i]));
    kt_env_close(&env);
}
END_TEST

static bool thread_is_named(const char *start)
{
    DIR *dir = opendir("/proc/self/task");
    bool found = false;
    struct dirent *e;

    while ((e = readdir(dir))) {
        char path[300], name[32] = "";
        FILE *f;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (!f)
            continue;
        found |= fgets(name, sizeof name, f) && !strncmp(name, start, strlen(start));
        fclose(f);
    }
    closedir(dir);
    return found;
}

START_TEST(threads_carry_the_name)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    config.name = "porthole-and-more";
    kt_env_make(&env, &config);
    kt_await(&env, thread_is_named("porthole"));
    kt_env_close(&env);
}
END_TEST

START_TEST(version_is_three_numbers)
{
    const char *v = kroutine_version();
    int a, b, c, end = 0;

    ck_assert_int_eq(sscanf(v, "%d.%d.%d%n", &a, &b, &c, &end), 3);
    ck_assert_int_eq(v[end], '\0');
}
END_TEST

/* --- manners --- */

/* A daemon that blocks a signal and waits for it: no thread of ours may take it (and die of it). */
START_TEST(signals_are_left_to_the_program)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGHUP, SIGALRM};
    struct timespec limit = {5, 0};
    sigset_t set;

    ck_assert_ptr_nonnull(kroutine_runtime_default()); /* made with the signals open */
    kt_env_open(&env, KT_THREADS);
    kt_sleep_ms(20);
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(kill(getpid(), signals[i]), 0);
        ck_assert_int_eq(sigtimedwait(&set, NULL, &limit), signals[i]);
    }
    kt_env_close(&env);
}
END_TEST

START_TEST(no_signal_handler_is_installed)
{
    struct sigaction before[32], after;

    for (int sig = 1; sig < 32; sig++)
        sigaction(sig, NULL, &before[sig]);
    ck_assert_ptr_nonnull(kroutine_runtime_default());
    kt_env_open(&env, KT_THREADS);
    for (int sig = 1; sig < 32; sig++)
        if (sigaction(sig, NULL, &after) == 0)
            ck_assert_msg(after.sa_handler == before[sig].sa_handler, "signal %d has a new handler",
                          sig);
    kt_env_close(&env);
}
END_TEST

/* Descriptors of the library do not leak into programs that the caller starts. */
START_TEST(descriptors_are_close_on_exec)
{
    struct device_char_s dev;
    bool before[256];
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    for (int fd = 0; fd < 256; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    kt_env_open(&env, KT_THREADS);
    open_device(&dev, env.rt, sv[0]);
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (!before[fd] && flags >= 0)
            ck_assert_msg(flags & FD_CLOEXEC, "descriptor %d stays open over exec", fd);
    }
    device_put_accessor(&dev.base);
    kt_env_close(&env);
    close(sv[0]);
    close(sv[1]);
}
END_TEST

static const char *backend_label(int i)
{
    return i ? "uring" : "epoll";
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("runtime");

    kt_add(s, default_is_one, 10);
    kt_add(s, default_is_made_once_by_many_threads, 10);
    kt_add(s, null_config_is_as_the_default, 10);
    kt_add(s, older_config_is_accepted, 10);
    kt_add(s, several_do_not_mix, 10);
    kt_add(s, nothing_is_left_behind, 20);
    kt_add_loop(s, destroy_with_requests_pending, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, destroy_from_a_handler_is_refused, KT_MODES, kt_mode_label, 10);
    kt_add(s, destroy_from_a_handler_of_another_runtime, 10);
    kt_add(s, info_tells, 10);
#if defined(__arm__)
    kt_add(s, thirty_two_bit_arm, 10);
#endif
    kt_add_loop(s, backend_asked_for_is_given_or_refused, 2, backend_label, 10);
    kt_add(s, threads_carry_the_name, 10);
    kt_add(s, version_is_three_numbers, 10);
    kt_add(s, signals_are_left_to_the_program, 10);
    kt_add(s, no_signal_handler_is_installed, 10);
    kt_add(s, descriptors_are_close_on_exec, 10);
    return s;
}
