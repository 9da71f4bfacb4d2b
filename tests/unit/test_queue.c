/* SPDX-License-Identifier: MIT */
/* Queues: who runs what when, waiting, several servers, and the descriptor. */
#include "kt.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>

static struct kroutine_queue_s queue;
static struct kt_target_s target = {NULL, &queue, NULL, 0};

static void open_queue(void)
{
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
}

static void close_queue(void)
{
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}

static bool readable(int fd)
{
    struct pollfd pfd = {fd, POLLIN, 0};
    int n = poll(&pfd, 1, 0);

    ck_assert_int_ge(n, 0);
    ck_assert_int_eq(pfd.revents & ~POLLIN, 0);
    return n == 1;
}

START_TEST(process_runs_one_in_the_caller)
{
    struct kt_probe_s p[3];

    open_queue();
    ck_assert(!kroutine_queue_process(&queue));
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&p[i], KROUTINE_QUEUE, &target);
        ck_assert(!kroutine_exec_flags(&p[i].kr, (uint8_t)(1 << i)));
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(p[i].runs, 0);
        ck_assert(kroutine_queue_process(&queue));
        ck_assert_uint_eq(p[i].runs, 1);
        ck_assert_uint_eq(p[i].flags, KROUTINE_EXEC_DEFERRED | 1u << i);
        ck_assert(pthread_equal(p[i].thread, pthread_self()));
    }
    ck_assert(!kroutine_queue_process(&queue));
    close_queue();
}
END_TEST

START_TEST(timedwait_ends_in_time)
{
    uint64_t start, took;

    open_queue();
    start = kt_now();
    ck_assert_int_eq(kroutine_queue_timedwait(&queue, 50000000), -ETIMEDOUT);
    took = kt_now() - start;
    ck_assert_uint_ge(took, 50000000);
    ck_assert_uint_lt(took, 5000000000u);
    start = kt_now();
    ck_assert_int_eq(kroutine_queue_timedwait(&queue, 0), -ETIMEDOUT);
    ck_assert_uint_lt(kt_now() - start, 1000000000);
    close_queue();
}
END_TEST

START_TEST(wait_finds_what_is_there)
{
    struct kt_probe_s p;

    open_queue();
    kt_probe_init(&p, KROUTINE_QUEUE, &target);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_queue_wait(&queue), 0);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_queue_timedwait(&queue, 0), 0);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_queue_timedwait(&queue, -1), 0);
    ck_assert_uint_eq(p.runs, 3);
    close_queue();
}
END_TEST

/* A far time-out must not wrap in seconds and nanoseconds. */
START_TEST(far_timeout_is_far)
{
    struct kt_probe_s p;

    open_queue();
    kt_probe_init(&p, KROUTINE_QUEUE, &target);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_queue_timedwait(&queue, INT64_MAX), 0);
    ck_assert_uint_eq(p.runs, 1);
    close_queue();
}
END_TEST

static void *exec_later(void *arg)
{
    kt_sleep_ms(20);
    kroutine_exec(arg);
    return NULL;
}

START_TEST(wait_is_woken)
{
    struct kt_probe_s p;
    pthread_t thread;
    uint64_t start;

    open_queue();
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&p, KROUTINE_QUEUE, &target);
        start = kt_now();
        thread = kt_thread(exec_later, &p.kr);
        ck_assert_int_eq(kroutine_queue_timedwait(&queue, i == 0 ? -1 : 20000000000), 0);
        ck_assert_uint_eq(p.runs, 1);
        ck_assert_uint_ge(kt_now() - start, 15000000);
        kt_join(thread);
    }
    close_queue();
}
END_TEST

/* --- several servers: as many waits return as execs were made --- */

#define SERVERS 4

static unsigned served;

static void *serve_once(void *arg)
{
    (void)arg;
    ck_assert_int_eq(kroutine_queue_wait(&queue), 0);
    kt_inc(&served);
    return NULL;
}

START_TEST(each_exec_wakes_one_server)
{
    struct kt_probe_s p[SERVERS];
    pthread_t thread[SERVERS];

    open_queue();
    for (int i = 0; i < SERVERS; i++)
        thread[i] = kt_thread(serve_once, NULL);
    kt_sleep_ms(20);
    ck_assert_uint_eq(kt_get(&served), 0);
    for (int i = 0; i < SERVERS; i++) {
        kt_probe_init(&p[i], KROUTINE_QUEUE, &target);
        kroutine_exec(&p[i].kr);
    }
    for (int i = 0; i < SERVERS; i++)
        kt_join(thread[i]);
    for (int i = 0; i < SERVERS; i++) /* by whichever server */
        ck_assert_uint_eq(p[i].runs, 1);
    close_queue();
}
END_TEST

#define MANY 20000

static struct kt_probe_s many[MANY];
static bool stop;

static void *serve_many(void *arg)
{
    (void)arg;
    while (!kt_get(&stop))
        if (kroutine_queue_timedwait(&queue, 5000000) == 0)
            kt_inc(&served);
    return NULL;
}

START_TEST(many_servers_run_each_once)
{
    pthread_t thread[SERVERS];

    open_queue();
    for (int i = 0; i < SERVERS; i++)
        thread[i] = kt_thread(serve_many, NULL);
    for (unsigned i = 0; i < kt_count(MANY); i++) {
        kt_probe_init(&many[i], KROUTINE_QUEUE, &target);
        kroutine_exec(&many[i].kr);
        if (i % 100 == 0)
            kt_sleep_ms(0);
    }
    kt_await(NULL, kt_get(&served) >= kt_count(MANY));
    kt_set(&stop, true);
    for (int i = 0; i < SERVERS; i++)
        kt_join(thread[i]);
    ck_assert_uint_eq(served, kt_count(MANY));
    for (unsigned i = 0; i < kt_count(MANY); i++)
        if (many[i].runs != 1)
            ck_abort_msg("number %u ran %u times", i, many[i].runs);
    close_queue();
}
END_TEST

/* --- the descriptor --- */

START_TEST(fd_is_readable_while_pending)
{
    struct kt_probe_s p[2];
    int fd;

    open_queue();
    for (int i = 0; i < 2; i++)
        kt_probe_init(&p[i], KROUTINE_QUEUE, &target);
    fd = kroutine_queue_fd(&queue);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(kroutine_queue_fd(&queue), fd);
    ck_assert(!readable(fd));
    for (int round = 0; round < 3; round++) {
        kroutine_exec(&p[0].kr);
        ck_assert(readable(fd));
        kroutine_exec(&p[1].kr);
        kroutine_exec(&p[1].kr); /* merged */
        ck_assert(kroutine_queue_process(&queue));
        ck_assert(readable(fd));
        ck_assert(kroutine_queue_process(&queue));
        ck_assert(!readable(fd));
        ck_assert(!kroutine_queue_process(&queue));
        ck_assert(!readable(fd));
    }
    kroutine_exec(&p[0].kr);
    ck_assert(kroutine_cancel(&p[0].kr));
    ck_assert(!readable(fd));
    kroutine_exec(&p[0].kr);
    ck_assert_int_eq(kroutine_queue_wait(&queue), 0);
    ck_assert(!readable(fd));
    close_queue();
}
END_TEST

START_TEST(fd_asked_for_late)
{
    struct kt_probe_s p;
    int fd;

    open_queue();
    kt_probe_init(&p, KROUTINE_QUEUE, &target);
    kroutine_exec(&p.kr);
    fd = kroutine_queue_fd(&queue);
    ck_assert(readable(fd));
    ck_assert(kroutine_queue_process(&queue));
    ck_assert(!readable(fd));
    close_queue();
    errno = 0;
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* cleanup closed it */
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

static bool seen_readable;

static void look_at_fd(struct kt_probe_s *p)
{
    (void)p;
    seen_readable = readable(kroutine_queue_fd(&queue));
}

START_TEST(fd_is_quiet_while_the_last_one_runs)
{
    struct kt_probe_s p;

    open_queue();
    ck_assert_int_ge(kroutine_queue_fd(&queue), 0);
    kt_probe_init(&p, KROUTINE_QUEUE, &target);
    p.then = look_at_fd;
    kroutine_exec(&p.kr);
    kroutine_queue_process(&queue);
    ck_assert(!seen_readable);
    close_queue();
}
END_TEST

static unsigned polled;

static void *serve_by_fd(void *arg)
{
    struct pollfd pfd = {kroutine_queue_fd(&queue), POLLIN, 0};

    (void)arg;
    while (kt_get(&polled) < kt_count(MANY)) {
        if (poll(&pfd, 1, 20) != 1)
            continue;
        if (kroutine_queue_process(&queue))
            kt_inc(&polled);
    }
    return NULL;
}

/* Servers that only look when the descriptor says so: none of the execs may stay unseen. */
START_TEST(fd_loses_no_exec)
{
    pthread_t thread[2];

    open_queue();
    ck_assert_int_ge(kroutine_queue_fd(&queue), 0);
    for (int i = 0; i < 2; i++)
        thread[i] = kt_thread(serve_by_fd, NULL);
    for (unsigned i = 0; i < kt_count(MANY); i++) {
        kt_probe_init(&many[i], KROUTINE_QUEUE, &target);
        kroutine_exec(&many[i].kr);
        if (i % 50 == 0)
            kt_await(NULL, kt_get(&polled) + 1 >= i); /* often empty again */
    }
    for (int i = 0; i < 2; i++)
        kt_join(thread[i]);
    ck_assert_uint_eq(polled, kt_count(MANY));
    ck_assert(!kroutine_queue_process(&queue)); /* or a loop would spin on it */
    ck_assert(!readable(kroutine_queue_fd(&queue)));
    close_queue();
}
END_TEST

/* --- the rest --- */

static error_t in_reactor[2];

static void wait_in_reactor(struct kt_probe_s *p)
{
    (void)p;
    in_reactor[0] = kroutine_queue_wait(&queue);
    in_reactor[1] = kroutine_queue_timedwait(&queue, 1000);
}

START_TEST(wait_is_refused_in_a_reactor)
{
    struct kt_env_s env;
    struct kt_probe_s p;

    open_queue();
    kt_env_open(&env, (enum kt_mode_e)_i);
    target.rt = env.rt;
    kt_probe_init(&p, KROUTINE_SCHED_SWITCH, &target);
    p.then = wait_in_reactor;
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_int_eq(in_reactor[0], -EDEADLK);
    ck_assert_int_eq(in_reactor[1], -EDEADLK);
    kt_env_close(&env);
    close_queue();
}
END_TEST

static void *wait_until_served(void *arg)
{
    ck_assert_int_eq(kroutine_queue_wait(&queue), 0);
    kt_set((bool *)arg, true);
    return NULL;
}

START_TEST(cleanup_refuses_a_queue_in_use)
{
    struct kt_probe_s p;
    bool over = false;
    pthread_t thread;

    open_queue();
    kt_probe_init(&p, KROUTINE_QUEUE, &target);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), -EBUSY);
    ck_assert(kroutine_queue_process(&queue));
    thread = kt_thread(wait_until_served, &over);
    kt_await(NULL, kt_get(&queue.waiters) == 1); /* private, but nothing else tells */
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), -EBUSY);
    ck_assert(!kt_get(&over));
    kroutine_exec(&p.kr);
    kt_join(thread);
    ck_assert_uint_eq(p.runs, 2);
    close_queue();
}
END_TEST

/* What a program does with a queue on its stack: the wait returns, the queue goes away, while
   the thread that made the exec may still be in the call. */
static struct kroutine_s *to_exec; /* atomic: for the other thread */

static void *exec_on_demand(void *arg)
{
    struct kroutine_s *kr;

    (void)arg;
    while (!kt_get(&stop)) {
        kr = kt_get(&to_exec);
        if (!kr) {
            sched_yield();
            continue;
        }
        kroutine_exec(kr);
        kt_set(&to_exec, NULL);
    }
    return NULL;
}

static void one_short_life(unsigned round)
{
    struct kroutine_queue_s *q = malloc(sizeof *q);
    struct kt_target_s t = {NULL, q, NULL, 0};
    struct kt_probe_s p;

    if (kroutine_queue_init(q) || (round % 2 && kroutine_queue_fd(q) < 0))
        ck_abort_msg("round %u", round);
    kt_probe_init(&p, KROUTINE_QUEUE, &t);
    kt_set(&to_exec, &p.kr);
    while (round % 4 < 2 && !kroutine_queue_process(q))
        ;
    if ((round % 4 >= 2 && kroutine_queue_wait(q)) || kroutine_queue_cleanup(q))
        ck_abort_msg("round %u", round);
    memset(q, 0x55, sizeof *q);
    while (kt_get(&to_exec))
        sched_yield();
    for (size_t i = 0; i < sizeof *q; i++)
        if (((unsigned char *)q)[i] != 0x55)
            ck_abort_msg("round %u: byte %zu of the queue was written after its end", round, i);
    free(q);
}

START_TEST(queue_goes_away_after_the_wait)
{
    pthread_t thread = kt_thread(exec_on_demand, NULL);
    uint64_t enough = kt_now() + 5000000000;

    /* Two threads that hand over to each other wait long for a processor of a busy machine. */
    for (unsigned i = 0; i < kt_count(20000) && (i < 100 || kt_now() < enough); i++)
        one_short_life(i);
    kt_set(&stop, true);
    kt_join(thread);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("queue");

    setenv("KROUTINE_CHECK", "0", 1); /* it would stop the program at the refused clean-ups */
    kt_add(s, process_runs_one_in_the_caller, 10);
    kt_add(s, timedwait_ends_in_time, 10);
    kt_add(s, wait_finds_what_is_there, 10);
    kt_add(s, far_timeout_is_far, 10);
    kt_add(s, wait_is_woken, 10);
    kt_add(s, each_exec_wakes_one_server, 10);
    kt_add(s, many_servers_run_each_once, 30);
    kt_add(s, fd_is_readable_while_pending, 10);
    kt_add(s, fd_asked_for_late, 10);
    kt_add(s, fd_is_quiet_while_the_last_one_runs, 10);
    kt_add(s, fd_loses_no_exec, 60);
    kt_add_loop(s, wait_is_refused_in_a_reactor, KT_MODES, kt_mode_label, 10);
    kt_add(s, cleanup_refuses_a_queue_in_use, 10);
    kt_add(s, queue_goes_away_after_the_wait, 30);
    return s;
}
