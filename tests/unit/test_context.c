/* SPDX-License-Identifier: MIT */
/* What is an interruptible context, and what the policies that ask make of it. */
#include "kt.h"

#include <stdio.h>
#include <sys/socket.h>

static struct kt_env_s env;
static struct kt_target_s target;

static void open_all(enum kt_mode_e mode)
{
    kt_env_open(&env, mode);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
}

static void *ask(void *arg)
{
    *(bool *)arg = kroutine_is_interruptible();
    return NULL;
}

START_TEST(critical_sections_nest)
{
    ck_assert(kroutine_is_interruptible());
    kroutine_critical_begin();
    ck_assert(!kroutine_is_interruptible());
    kroutine_critical_begin();
    kroutine_critical_end();
    ck_assert(!kroutine_is_interruptible());
    kroutine_critical_end();
    ck_assert(kroutine_is_interruptible());
}
END_TEST

START_TEST(critical_sections_are_of_one_thread)
{
    bool other = false;

    kroutine_critical_begin();
    kt_join(kt_thread(ask, &other));
    ck_assert(other);
    ck_assert(!kroutine_is_interruptible());
    kroutine_critical_end();
}
END_TEST

START_TEST(immediate_keeps_the_context_of_its_caller)
{
    struct kt_probe_s p;

    open_all(KT_THREADS);
    kt_probe_init(&p, KROUTINE_IMMEDIATE, &target);
    kroutine_exec(&p.kr);
    ck_assert(p.interruptible);
    kroutine_critical_begin();
    kroutine_exec(&p.kr);
    kroutine_critical_end();
    ck_assert(!p.interruptible);
    kt_env_close(&env);
}
END_TEST

START_TEST(deferred_and_switch_contexts)
{
    struct kt_probe_s p;

    open_all((enum kt_mode_e)_i);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert(p.interruptible);
    ck_assert_uint_eq(p.flags, KROUTINE_EXEC_DEFERRED);
    /* Where the stack of the reactor is unwound; the flag says the same as the call. */
    kt_probe_init(&p, KROUTINE_SCHED_SWITCH, &target);
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_uint_eq(p.flags, p.interruptible ? KROUTINE_EXEC_DEFERRED : 0);
    kt_env_close(&env);
}
END_TEST

/* --- in the reactor's dispatch --- */

static struct kt_probe_s inner;
static bool inner_ran_inline, dispatch_interruptible;
static unsigned dispatched;

static KROUTINE_EXEC(in_dispatch)
{
    (void)kr;
    (void)flags;
    dispatch_interruptible = kroutine_is_interruptible();
    inner_ran_inline = kroutine_exec_flags(&inner.kr, 0x44);
    kt_inc(&dispatched);
}

START_TEST(interruptible_is_put_off_in_the_reactor)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq;

    open_all((enum kt_mode_e)_i);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    kt_probe_init(&inner, KROUTINE_INTERRUPTIBLE, &target);
    dev_timer_rq_init_immediate(&rq, in_dispatch);
    rq.delay = 1000000;
    rq.deadline = 0;
    rq.rev = 0;
    ck_assert_int_eq(DEVICE_OP(&timer, request, &rq), 0);
    kt_await(&env, kt_get(&dispatched) == 1 && kt_get(&inner.runs) == 1);
    ck_assert(!dispatch_interruptible);
    ck_assert(!inner_ran_inline);
    ck_assert_uint_eq(inner.flags, KROUTINE_EXEC_DEFERRED | 0x44);
    ck_assert(inner.interruptible);
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}
END_TEST

/* --- nested in a submit --- */

START_TEST(immediate_handler_nested_in_submit)
{
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    struct dev_char_rq_s rq;
    uint8_t byte = 1;
    char spec[32];
    int sv[2];

    open_all(KT_THREADS);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_CHAR),
                     0);
    kt_probe_init(&inner, KROUTINE_INTERRUPTIBLE, &target);
    dev_char_rq_init_immediate(&rq, in_dispatch);
    rq.type = DEV_CHAR_WRITE;
    rq.data = &byte;
    rq.size = 1;
    DEVICE_OP(&dev, request, &rq);
    ck_assert_uint_eq(dispatched, 1); /* inside the submit */
    ck_assert(!dispatch_interruptible);
    ck_assert(!inner_ran_inline);
    ck_assert(kroutine_is_interruptible());
    kt_await(&env, kt_get(&inner.runs) == 1);
    device_put_accessor(&dev.base);
    close(sv[0]);
    close(sv[1]);
    kt_env_close(&env);
}
END_TEST

START_TEST(each_deferred_handler_starts_interruptible)
{
    struct kt_probe_s p;

    open_all((enum kt_mode_e)_i);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    for (unsigned i = 1; i <= 50; i++) {
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == i);
        ck_assert(p.interruptible);
    }
    ck_assert(kroutine_is_interruptible());
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("context");

    kt_add(s, critical_sections_nest, 10);
    kt_add(s, critical_sections_are_of_one_thread, 10);
    kt_add(s, immediate_keeps_the_context_of_its_caller, 10);
    kt_add_loop(s, deferred_and_switch_contexts, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, interruptible_is_put_off_in_the_reactor, KT_MODES, kt_mode_label, 10);
    kt_add(s, immediate_handler_nested_in_submit, 10);
    kt_add_loop(s, each_deferred_handler_starts_interruptible, KT_MODES, kt_mode_label, 10);
    return s;
}
