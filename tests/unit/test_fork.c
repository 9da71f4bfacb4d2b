/* SPDX-License-Identifier: MIT */
/* Forked children: the parent's runtimes are refused, a default one of their own works, and the
   parent does not notice. */
#include "kt.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The child makes threads on purpose. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static struct kt_env_s env;
static struct kt_target_s target;
static struct device_timer_s timer;
static struct device_char_s dev;
static int peer;

static void open_all(enum kt_mode_e mode)
{
    char spec[32];
    int sv[2];

    kt_env_open(&env, mode);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_CHAR),
                     0);
    close(sv[0]);
    peer = sv[1];
}

static void close_all(void)
{
    device_put_accessor(&dev.base);
    device_put_accessor(&timer.base);
    kt_env_close(&env);
    close(peer);
}

/* 0, or the number of the first check that failed: asserts of Check are for the parent. */
static void expect_child(int (*fn)(void))
{
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(20 * (kt_slow() > 1 ? 5 : 1)); /* whatever hangs */
        _exit(fn());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "the child died of signal %d", WTERMSIG(status));
    ck_assert_msg(WEXITSTATUS(status) == 0, "line %d of the child's function", WEXITSTATUS(status));
}

static int fork_line; /* where the function starts: lines after it fit an exit code */
#define CHILD_START fork_line = __LINE__
#define CHILD(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ - fork_line;                                                           \
    } while (0)

static KROUTINE_EXEC(never)
{
    (void)kr;
    (void)flags;
    _exit(250);
}

static int parents_is_refused(void)
{
    struct device_timer_s other = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq;

    CHILD_START;
    CHILD(device_get_accessor_by_path(&other.base, kroutine_runtime_devices(env.rt), "timer1",
                                      DRIVER_CLASS_TIMER) == -EPERM);
    CHILD(!device_check_accessor(&other.base));
    CHILD(device_get_accessor_by_path(&other.base, kroutine_runtime_devices(env.rt),
                                      "file:/dev/null", DRIVER_CLASS_TIMER) == -EPERM);
    memset(&rq, 0, sizeof rq);
    dev_timer_rq_init(&rq, never);
    rq.delay = 1000;
    CHILD(DEVICE_OP(&timer, request, &rq) == -EPERM);
    usleep(5000);
    if (env.embedded) {
        CHILD(kroutine_runtime_process(env.rt) == -EPERM);
        CHILD(kroutine_runtime_wait(env.rt, 1000) == -EPERM);
    }
    return 0;
}

START_TEST(a_runtime_of_the_parent_is_refused)
{
    open_all((enum kt_mode_e)_i);
    if (env.embedded)
        kroutine_runtime_process(env.rt);
    expect_child(parents_is_refused);
    close_all();
}
END_TEST

/* Nested completion: the refusal arrives through the handler. */
static int char_error;
static unsigned char_done;

static KROUTINE_EXEC(char_over)
{
    (void)flags;
    char_error = dev_char_rq_from_kr(kr)->error;
    kt_inc(&char_done);
}

static int char_is_refused(void)
{
    struct dev_char_rq_s rq;
    uint8_t byte = 1;

    CHILD_START;
    memset(&rq, 0, sizeof rq);
    dev_char_rq_init_immediate(&rq, char_over);
    rq.type = DEV_CHAR_WRITE;
    rq.data = &byte;
    rq.size = 1;
    DEVICE_OP(&dev, request, &rq);
    CHILD(char_done == 1);
    CHILD(char_error == -EPERM);
    CHILD(rq.size == 1);
    return 0;
}

START_TEST(char_requests_are_refused)
{
    uint8_t byte;

    open_all((enum kt_mode_e)_i);
    expect_child(char_is_refused);
    ck_assert_int_eq(recv(peer, &byte, 1, MSG_DONTWAIT), -1);
    close_all();
}
END_TEST

static int default_works(void)
{
    struct device_timer_s t = DEVICE_ACCESSOR_INIT;
    struct kt_probe_s p;

    CHILD_START;
    CHILD(kroutine_runtime_default() != NULL);
    memset(&p, 0, sizeof p);
    kroutine_init_deferred(&p.kr, kt_probe_run);
    kroutine_exec(&p.kr);
    for (int i = 0; i < 5000 && !kt_get(&p.runs); i++)
        usleep(1000);
    CHILD(p.runs == 1);
    CHILD(device_get_accessor_by_path(&t.base, NULL, "timer0", DRIVER_CLASS_TIMER) == 0);
    CHILD(dev_timer_wait_delay(&t, 1000000, 0) == 0);
    device_put_accessor(&t.base);
    return 0;
}

static void parent_works(void)
{
    struct kt_probe_s p;

    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
}

/* With and without a default runtime in the parent; the parent's go on meanwhile. */
START_TEST(a_fresh_default_runtime_works)
{
    open_all(KT_THREADS);
    if (_i)
        ck_assert_ptr_nonnull(kroutine_runtime_default());
    for (int i = 0; i < 5; i++) {
        expect_child(default_works);
        parent_works();
    }
    if (_i)
        ck_assert_int_eq(default_works(), 0);
    close_all();
}
END_TEST

static int own_runtime_works(void)
{
    struct kroutine_runtime_config_s config;
    struct kt_env_s own;
    struct kt_probe_s p;

    CHILD_START;
    kt_env_config(&config, KT_EMBEDDED);
    CHILD(kroutine_runtime_create(&own.rt, &config) == 0);
    memset(&p, 0, sizeof p);
    kroutine_init_deferred(&p.kr, kt_probe_run);
    CHILD(kroutine_bind(&p.kr, own.rt) == 0);
    kroutine_exec(&p.kr);
    CHILD(kroutine_runtime_process(own.rt) > 0);
    CHILD(p.runs == 1);
    CHILD(kroutine_runtime_destroy(own.rt) == 0);
    return 0;
}

START_TEST(a_runtime_made_in_the_child_works)
{
    open_all(KT_EMBEDDED);
    expect_child(own_runtime_works);
    parent_works();
    close_all();
}
END_TEST

/* A pending request of the parent: the child neither completes it nor takes its data. */
static int stays_out(void)
{
    usleep(100000);
    return 0;
}

static int dies_at_once(void)
{
    device_put_accessor(&dev.base); /* as an atexit handler of the program might */
    return 0;
}

START_TEST(pending_requests_stay_with_the_parent)
{
    struct dev_char_rq_s rq;
    uint8_t byte = 0;

    open_all((enum kt_mode_e)_i);
    memset(&rq, 0, sizeof rq);
    dev_char_rq_init(&rq, char_over);
    rq.type = DEV_CHAR_READ;
    rq.data = &byte;
    rq.size = 1;
    DEVICE_OP(&dev, request, &rq);
    kt_idle(&env, 5);
    expect_child(stays_out);
    expect_child(dies_at_once);
    ck_assert_uint_eq(kt_get(&char_done), 0);
    ck_assert_int_eq(write(peer, "x", 1), 1);
    kt_await(&env, kt_get(&char_done) == 1);
    ck_assert_int_eq(char_error, 0);
    ck_assert_uint_eq(byte, 'x');
    close_all();
}
END_TEST

static const char *default_label(int i)
{
    return i ? "parent has one" : "parent has none";
}

static struct device_mmio_s regs;
static struct dev_irq_s irq;

/* Lines of other devices are not in the way of what the child makes for itself. */
static int interrupts(void)
{
    struct device_mmio_s own = DEVICE_ACCESSOR_INIT;
    struct dev_irq_counts_s counts;
    struct dev_irq_s mine;

    CHILD_START;
    CHILD(dev_irq_release(&irq) == -EPERM);
    CHILD(dev_irq_mask(&irq) == -EPERM);
    dev_irq_counts(&irq, &counts);
    CHILD(device_get_accessor_by_path(&own.base, NULL, "sim-mmio:child", DRIVER_CLASS_MMIO) == 0);
    dev_irq_init(&mine, never);
    CHILD(dev_irq_request(&own, &mine) == 0);
    CHILD(dev_irq_release(&mine) == 0);
    device_put_accessor(&own.base);
    return 0;
}

static int stop; /* atomic */

static void *look_at_counts(void *arg)
{
    struct dev_irq_counts_s counts;

    (void)arg;
    while (!kt_get(&stop))
        dev_irq_counts(&irq, &counts);
    return NULL;
}

/* The thread that holds the lock of all lines is not in the child. */
START_TEST(interrupts_while_another_thread_looks)
{
    pthread_t thread;

    kt_env_open(&env, _i);
    regs = (struct device_mmio_s)DEVICE_ACCESSOR_INIT;
    ck_assert_int_eq(device_get_accessor_by_path(&regs.base, kroutine_runtime_devices(env.rt),
                                                 "sim-mmio:parent", DRIVER_CLASS_MMIO),
                     0);
    dev_irq_init(&irq, never);
    ck_assert_int_eq(dev_irq_request(&regs, &irq), 0);
    kt_set(&stop, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, look_at_counts, NULL), 0);
    for (int i = 0; i < 20; i++)
        expect_child(interrupts);
    kt_set(&stop, 1);
    pthread_join(thread, NULL);
    ck_assert_int_eq(dev_irq_release(&irq), 0);
    device_put_accessor(&regs.base);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("fork");

    kt_add_loop(s, a_runtime_of_the_parent_is_refused, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, char_requests_are_refused, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, a_fresh_default_runtime_works, 2, default_label, 30);
    kt_add(s, a_runtime_made_in_the_child_works, 20);
    kt_add_loop(s, pending_requests_stay_with_the_parent, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, interrupts_while_another_thread_looks, KT_MODES, kt_mode_label, 60);
    return s;
}
