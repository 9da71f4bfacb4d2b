/* SPDX-License-Identifier: MIT */
/* A runtime with nothing to do costs nothing: no thread of it wakes up. Seen from the kernel's
   count of context switches, and from the runtime's own. */
#include "kt.h"

#include <stdio.h>
#include <sys/socket.h>

static struct kt_env_s env;

static const enum kroutine_backend_e backends[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};

static const char *backend_label(int i)
{
    return kt_backend_name(backends[i]);
}

static bool open_on(int round)
{
    struct kroutine_runtime_config_s config;
    error_t err;

    kt_env_config(&config, KT_THREADS);
    config.backend = backends[round];
    err = kroutine_runtime_create(&env.rt, &config);
    if (backends[round] == KROUTINE_BACKEND_URING && (err == -EPERM || err == -ENOSYS))
        return false;
    ck_assert_int_eq(err, 0);
    return true;
}

static uint64_t batches(void)
{
    struct kroutine_runtime_info_s info;

    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    return info.batches;
}

static uint64_t syscalls(void)
{
    struct kroutine_runtime_info_s info;

    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    return info.syscalls;
}

static unsigned done;

static KROUTINE_EXEC(rq_over)
{
    (void)kr;
    (void)flags;
    kt_inc(&done);
}

static void submit_read(struct device_char_s *dev, struct dev_char_rq_s *rq, uint8_t *byte)
{
    memset(rq, 0, sizeof *rq);
    dev_char_rq_init(rq, rq_over);
    rq->type = DEV_CHAR_READ;
    rq->data = byte;
    rq->size = 1;
    DEVICE_OP(dev, request, rq);
}

/* After some work, with a read waiting and a far timer armed: two seconds of silence. */
START_TEST(idle_makes_no_wake_ups)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    uint64_t switches, count, calls, cpu;
    struct dev_timer_rq_s trq;
    struct dev_char_rq_s crq;
    uint8_t byte;
    char spec[32];
    int sv[2];

    if (!open_on(_i))
        kt_skip("io_uring cannot be used here: %s", kroutine_error_text());
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_CHAR),
                     0);
    ck_assert_int_eq(write(sv[1], "x", 1), 1);
    submit_read(&dev, &crq, &byte);
    kt_await(&env, kt_get(&done) == 1);
    submit_read(&dev, &crq, &byte);
    memset(&trq, 0, sizeof trq);
    dev_timer_rq_init(&trq, rq_over);
    trq.delay = KROUTINE_SEC(1000);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &trq), 0);
    kt_sleep_ms(200);
    switches = kt_voluntary_switches();
    count = batches();
    calls = syscalls();
    cpu = kt_cpu_time();
    kt_sleep_ms(2000);
    cpu = kt_cpu_time() - cpu;
    ck_assert_uint_eq(batches() - count, 0);
    ck_assert_uint_eq(syscalls() - calls, 0);
    if (kt_slow() == 1) /* sanitizers have a thread that wakes */
        ck_assert_uint_le(kt_voluntary_switches() - switches, 3); /* this thread's sleep */
    if (kt_slow() == 1)
        ck_assert_uint_lt(cpu, 10000000);
    kt_env_close(&env);
    ck_assert_uint_eq(done, 3);
    device_put_accessor(&dev.base);
    device_put_accessor(&timer.base);
    close(sv[0]);
    close(sv[1]);
}
END_TEST

/* --- a periodic timer --- */

static struct device_timer_s timer;
static unsigned ticks;
static error_t again_error;

static KROUTINE_EXEC(tick)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    (void)flags;
    kt_inc(&ticks);
    rq->deadline += KROUTINE_MSEC(250);
    rq->delay = 0;
    kt_set(&again_error, DEVICE_OP(&timer, request, rq));
}

/* Four ticks a second, so that the test is short; the promise is one wake-up for each. */
START_TEST(one_wake_up_for_each_tick)
{
    uint64_t count, switches;
    struct dev_timer_rq_s rq;
    unsigned before;

    if (!open_on(_i))
        kt_skip("io_uring cannot be used here: %s", kroutine_error_text());
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    memset(&rq, 0, sizeof rq);
    dev_timer_rq_init_immediate(&rq, tick);
    rq.delay = KROUTINE_MSEC(250);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &rq), 0);
    kt_await(&env, kt_get(&ticks) == 1);
    kt_sleep_ms(125);
    count = batches();
    switches = kt_voluntary_switches();
    before = kt_get(&ticks);
    kt_sleep_ms(2000);
    count = batches() - count;
    switches = kt_voluntary_switches() - switches;
    before = kt_get(&ticks) - before;
    ck_assert_uint_ge(before, 7);
    ck_assert_uint_le(before, 9);
    ck_assert_uint_eq(count, before);
    /* Of the threads; a lock or a page that has to be waited for may add a few. */
    if (kt_slow() == 1)
        ck_assert_uint_le(switches, before + 4);
    ck_assert_int_eq(kt_get(&again_error), 0);
    kt_env_close(&env);
    device_put_accessor(&timer.base);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("idle");

    kt_add_loop(s, idle_makes_no_wake_ups, 2, backend_label, 15);
    kt_add_loop(s, one_wake_up_for_each_tick, 2, backend_label, 15);
    return s;
}
