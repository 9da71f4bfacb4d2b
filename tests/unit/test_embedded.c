/* SPDX-License-Identifier: MIT */
/* Embedded runtimes: one descriptor, one call, inside somebody else's loop. */
#include "kt.h"

#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

static struct kt_env_s env;
static struct kt_target_s target;
static int fd;

static const enum kroutine_backend_e backends[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};

static const char *backend_label(int i)
{
    return kt_backend_name(backends[i]);
}

/* On both backends: the descriptor is another one. False: that backend is not there. */
static bool open_on(int round, int pool_size)
{
    struct kroutine_runtime_config_s config;
    error_t err;

    kt_env_config(&config, KT_EMBEDDED);
    config.backend = backends[round];
    config.pool_size = pool_size;
    env.embedded = true;
    err = kroutine_runtime_create(&env.rt, &config);
    if (backends[round] == KROUTINE_BACKEND_URING && (err == -EPERM || err == -ENOSYS))
        return false;
    ck_assert_int_eq(err, 0);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
    if (fd == -2)
        return true;
    fd = kroutine_runtime_fd(env.rt);
    ck_assert_int_ge(fd, 0);
    return true;
}

#define OPEN(pool_size)                                                                            \
    do {                                                                                           \
        if (!open_on(_i, pool_size))                                                               \
            kt_skip("io_uring cannot be used here: %s", kroutine_error_text());                    \
    } while (0)

static bool readable(int timeout_ms)
{
    struct pollfd pfd = {fd, POLLIN, 0};
    int n;

    while ((n = poll(&pfd, 1, timeout_ms)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

/* Completions of a ring are work of the thread that attached to it, which interrupts epoll_wait(2)
   as a signal would: a loop has to go on after EINTR in any case. */
static int wait_in_set(int set, struct epoll_event *got, int timeout_ms)
{
    int n;

    while ((n = epoll_wait(set, got, 1, timeout_ms)) < 0 && errno == EINTR)
        ;
    return n;
}

/* What the program's loop does; false when nothing came. */
static bool poll_and_process(int timeout_ms)
{
    if (!readable(timeout_ms))
        return false;
    ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
    return true;
}

/* Until the descriptor stays quiet. */
static void settle(void)
{
    for (int i = 0; readable(0); i++) {
        ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
        ck_assert_msg(i < 100, "the descriptor never goes quiet");
    }
}

START_TEST(quiet_when_idle)
{
    OPEN(0);
    settle();
    ck_assert(!readable(30));
    ck_assert_int_eq(kroutine_runtime_process(env.rt), 0);
    ck_assert(!readable(0));
    ck_assert_int_eq(kroutine_runtime_fd(env.rt), fd);
    kt_env_close(&env);
}
END_TEST

START_TEST(readable_after_exec)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                      KROUTINE_IDLE, KROUTINE_CPU_DEFERRED};
    struct kt_probe_s p;

    OPEN(0);
    settle();
    for (int i = 0; i < 4; i++) {
        kt_probe_init(&p, policies[i], &target);
        kroutine_exec(&p.kr);
        ck_assert_msg(readable(1000), "%s", kt_policy_name(policies[i]));
        ck_assert_int_gt(kroutine_runtime_process(env.rt), 0);
        if (policies[i] == KROUTINE_IDLE && !p.runs)
            ck_assert(poll_and_process(1000)); /* only when the first pass found nothing else */
        ck_assert_uint_eq(p.runs, 1);
        settle();
        ck_assert_int_eq(kroutine_runtime_process(env.rt), 0);
    }
    kt_env_close(&env);
}
END_TEST

static void exec_again_once(struct kt_probe_s *p)
{
    if (p->runs == 0)
        kroutine_exec(&p->kr);
}

/* Work that a handler made must keep the descriptor readable, or the loop would sleep on it. */
START_TEST(readable_while_work_is_left)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                      KROUTINE_IDLE};
    struct kt_probe_s p;

    OPEN(0);
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&p, policies[i], &target);
        p.then = exec_again_once;
        kroutine_exec(&p.kr);
        for (int k = 0; k < 5 && p.runs < 2; k++)
            ck_assert_msg(poll_and_process(1000), "%s: asleep with work left",
                          kt_policy_name(policies[i]));
        ck_assert_uint_eq(p.runs, 2);
    }
    kt_env_close(&env);
}
END_TEST

#define MANY 5000

START_TEST(readable_until_a_long_queue_is_done)
{
    static struct kt_probe_s p[MANY];

    OPEN(0);
    for (unsigned i = 0; i < MANY; i++) {
        kt_probe_init(&p[i], i % 3 ? KROUTINE_DEFERRED : KROUTINE_SCHED_SWITCH, &target);
        kroutine_exec(&p[i].kr);
    }
    while (poll_and_process(100))
        ;
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(p[i].runs, 1);
    kt_env_close(&env);
}
END_TEST

static unsigned done;

static KROUTINE_EXEC(rq_over)
{
    (void)kr;
    (void)flags;
    kt_inc(&done);
}

START_TEST(readable_when_a_timer_expires)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq;
    uint64_t start;

    OPEN(0);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    memset(&rq, 0, sizeof rq);
    dev_timer_rq_init_immediate(&rq, rq_over);
    rq.delay = KROUTINE_MSEC(40);
    start = kt_now();
    ck_assert_int_eq(DEVICE_OP(&timer, request, &rq), 0);
    while (!done)
        ck_assert(poll_and_process(2000));
    ck_assert_uint_ge(kt_now() - start, KROUTINE_MSEC(40));
    settle();
    ck_assert(!readable(30));
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}
END_TEST

static void open_socket(struct device_char_s *dev, int *peer)
{
    char spec[32];
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    memset(dev, 0, sizeof *dev);
    ck_assert_int_eq(device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_CHAR),
                     0);
    close(sv[0]);
    *peer = sv[1];
}

START_TEST(readable_when_data_comes)
{
    struct dev_char_rq_s rq;
    struct device_char_s dev;
    uint8_t byte = 0;
    int peer;

    OPEN(0);
    open_socket(&dev, &peer);
    memset(&rq, 0, sizeof rq);
    dev_char_rq_init(&rq, rq_over);
    for (unsigned i = 1; i <= 20; i++) {
        rq.type = DEV_CHAR_READ;
        rq.data = &byte;
        rq.size = 1;
        DEVICE_OP(&dev, request, &rq);
        settle();
        ck_assert_uint_eq(done, i - 1);
        ck_assert_int_eq(write(peer, &i, 1), 1);
        while (done < i)
            ck_assert(poll_and_process(2000));
        ck_assert_int_eq(rq.error, 0);
        ck_assert_uint_eq(byte, i);
    }
    settle();
    /* Data for which nobody asks is not work. */
    ck_assert_int_eq(write(peer, &byte, 1), 1);
    settle();
    ck_assert(!readable(30));
    device_put_accessor(&dev.base);
    close(peer);
    kt_env_close(&env);
}
END_TEST

/* --- who may call --- */

static int nested[2];

static void process_here(struct kt_probe_s *p)
{
    (void)p;
    nested[0] = kroutine_runtime_process(env.rt);
    nested[1] = kroutine_runtime_wait(env.rt, 1000000);
}

START_TEST(nested_process_is_refused)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                      KROUTINE_IDLE};
    struct kt_probe_s p;

    OPEN(0);
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&p, policies[i], &target);
        p.then = process_here;
        kroutine_exec(&p.kr);
        kt_await(&env, p.runs == 1);
        ck_assert_int_eq(nested[0], -EDEADLK);
        ck_assert_int_eq(nested[1], -EDEADLK);
    }
    kt_env_close(&env);
}
END_TEST

static void *process_elsewhere(void *arg)
{
    (void)arg;
    nested[0] = kroutine_runtime_process(env.rt);
    nested[1] = kroutine_runtime_wait(env.rt, 0);
    return NULL;
}

START_TEST(another_thread_is_refused)
{
    OPEN(0);
    ck_assert_int_ge(kroutine_runtime_process(env.rt), 0); /* this thread is the reactor now */
    kt_join(kt_thread(process_elsewhere, NULL));
    ck_assert_int_eq(nested[0], -EPERM);
    ck_assert_int_eq(nested[1], -EPERM);
    kt_env_close(&env);
}
END_TEST

static sem_t driven, enough;

static void *drive(void *arg)
{
    struct kt_probe_s *p = arg;

    kroutine_exec(&p->kr);
    while (!p->runs)
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, 100000000), 0);
    sem_post(&driven);
    sem_wait(&enough);
    kt_env_close(&env);
    return NULL;
}

/* Made here, driven there: it belongs to the thread that drives it first, up to its end. */
START_TEST(made_in_one_thread_driven_by_another)
{
    struct kt_probe_s p;
    pthread_t thread;

    fd = -2; /* not asked for here: that would be driving */
    OPEN(0);
    sem_init(&driven, 0, 0);
    sem_init(&enough, 0, 0);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    thread = kt_thread(drive, &p);
    sem_wait(&driven);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_int_eq(kroutine_runtime_process(env.rt), -EPERM);
    sem_post(&enough);
    kt_join(thread);
}
END_TEST

/* --- waiting --- */

START_TEST(wait_ends_after_its_timeout)
{
    uint64_t start;

    OPEN(0);
    while (kroutine_runtime_wait(env.rt, 0) > 0)
        ;
    start = kt_now();
    ck_assert_int_eq(kroutine_runtime_wait(env.rt, 40000000), 0);
    ck_assert_uint_ge(kt_now() - start, 39000000);
    ck_assert_uint_lt(kt_now() - start, 5000000000u);
    kt_env_close(&env);
}
END_TEST

static struct kt_probe_s from_outside;

static void *exec_later(void *arg)
{
    (void)arg;
    kt_sleep_ms(20);
    kroutine_exec(&from_outside.kr);
    return NULL;
}

START_TEST(wait_is_woken_by_exec)
{
    pthread_t thread;
    uint64_t end;

    OPEN(0);
    kt_probe_init(&from_outside, KROUTINE_SCHED_SWITCH, &target);
    ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
    thread = kt_thread(exec_later, NULL);
    end = kt_now() + kt_patience();
    while (!from_outside.runs && kt_now() < end)
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, -1), 0);
    ck_assert_uint_eq(from_outside.runs, 1);
    kt_join(thread);
    kt_env_close(&env);
}
END_TEST

static void on_alarm(int sig)
{
    (void)sig;
}

START_TEST(wait_returns_0_on_a_signal)
{
    struct sigaction act = {.sa_handler = on_alarm};
    struct itimerval in = {{0, 0}, {0, 50000}};
    uint64_t start;

    OPEN(0);
    while (kroutine_runtime_wait(env.rt, 0) > 0)
        ;
    sigaction(SIGALRM, &act, NULL);
    start = kt_now();
    setitimer(ITIMER_REAL, &in, NULL);
    ck_assert_int_eq(kroutine_runtime_wait(env.rt, 20000000000), 0);
    ck_assert_uint_lt(kt_now() - start, 10000000000u);
    kt_env_close(&env);
}
END_TEST

/* --- other ways to drive it --- */

START_TEST(workers_of_an_embedded_runtime)
{
    struct kt_probe_s p;

    OPEN(2);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    kroutine_exec(&p.kr);
    kt_await(NULL, kt_get(&p.runs) == 1); /* without any process call */
    ck_assert(!pthread_equal(p.thread, pthread_self()));
    kt_env_close(&env);
}
END_TEST

/* In an epoll set, edge-triggered as some loops do, level-triggered as most. */
START_TEST(inside_an_epoll_set)
{
    static const uint32_t kinds[] = {EPOLLIN, EPOLLIN | EPOLLET};
    struct kt_probe_s p;

    for (int k = 0; k < 2; k++) {
        struct epoll_event ev = {.events = kinds[k]}, got;
        int set = epoll_create1(0);

        OPEN(0);
        ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev), 0);
        while (wait_in_set(set, &got, 0) == 1)
            kroutine_runtime_process(env.rt);
        kt_probe_init(&p, KROUTINE_DEFERRED, &target);
        for (unsigned i = 1; i <= 10; i++) {
            kroutine_exec(&p.kr);
            while (p.runs < i) {
                ck_assert_int_eq(wait_in_set(set, &got, 2000), 1);
                while (kroutine_runtime_process(env.rt) > 0)
                    ;
            }
        }
        close(set);
        kt_env_close(&env);
    }
}
END_TEST

static bool stop;
static unsigned posted;

static void *post_each(void *arg)
{
    struct kt_probe_s *p = arg;

    while (!kt_get(&stop)) {
        while (kt_get(&p->runs) < posted && !kt_get(&stop))
            sched_yield();
        if (kt_get(&stop))
            break;
        posted++;
        kroutine_exec(&p->kr);
    }
    return NULL;
}

/* One at a time from another thread: a wake-up lost anywhere stops the game. */
START_TEST(no_wake_up_is_lost)
{
    struct kt_probe_s p;
    pthread_t thread;

    OPEN(0);
    kt_probe_init(&p, KROUTINE_SCHED_SWITCH, &target);
    thread = kt_thread(post_each, &p);
    while (p.runs < kt_count(20000))
        if (!poll_and_process(5000))
            ck_abort_msg("no wake-up after run %u", p.runs);
    kt_set(&stop, true);
    kt_join(thread);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("embedded");
    const TTest *tests[] = {
        quiet_when_idle,
        readable_after_exec,
        readable_while_work_is_left,
        readable_until_a_long_queue_is_done,
        readable_when_a_timer_expires,
        readable_when_data_comes,
        nested_process_is_refused,
        another_thread_is_refused,
        made_in_one_thread_driven_by_another,
        wait_ends_after_its_timeout,
        wait_is_woken_by_exec,
        wait_returns_0_on_a_signal,
        workers_of_an_embedded_runtime,
        inside_an_epoll_set,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], 2, backend_label, 10);
    kt_add_loop(s, no_wake_up_is_lost, 2, backend_label, 30);
    return s;
}
