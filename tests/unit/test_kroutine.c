/* SPDX-License-Identifier: MIT */
/* kroutine_exec, flags, merging, cancel, binding: every policy on an embedded runtime, where
   nothing runs before the program says so. */
#include "kt.h"

static struct kt_env_s env;
static struct kroutine_queue_s queue;
static struct kroutine_sequence_s seq;
static struct kt_target_s target;

static void open_all(void)
{
    kt_env_open(&env, KT_EMBEDDED);
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    kroutine_seq_init(&seq);
    target = (struct kt_target_s){env.rt, &queue, &seq, 0};
}

static void close_all(void)
{
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    kt_env_close(&env);
}

/* Lets everything that is pending run, once. */
static void run_once(enum kroutine_policy_e policy)
{
    if (policy == KROUTINE_QUEUE)
        kroutine_queue_process(&queue);
    else
        kroutine_runtime_process(env.rt);
}

/* Puts the run off, also under the INTERRUPTIBLE policies. */
static bool exec_put_off(struct kroutine_s *kr, uint8_t flags)
{
    bool ran;

    kroutine_critical_begin();
    ran = flags ? kroutine_exec_flags(kr, flags) : kroutine_exec(kr);
    kroutine_critical_end();
    return ran;
}

START_TEST(none_runs_nowhere)
{
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, KROUTINE_NONE, &target);
    ck_assert(!kroutine_exec(&p.kr));
    ck_assert(!kroutine_exec_flags(&p.kr, 3));
    ck_assert(!kroutine_is_pending(&p.kr));
    ck_assert(!kroutine_cancel(&p.kr));
    ck_assert_int_eq(kroutine_runtime_process(env.rt), 0);
    close_all();
}
END_TEST

static void not_pending_while_running(struct kt_probe_s *p)
{
    ck_assert(!kroutine_is_pending(&p->kr));
    ck_assert(!kroutine_cancel(&p->kr));
}

START_TEST(immediate_runs_in_the_caller)
{
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, KROUTINE_IMMEDIATE, &target);
    p.then = not_pending_while_running;
    ck_assert(kroutine_exec(&p.kr));
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags, 0);
    ck_assert(pthread_equal(p.thread, pthread_self()));
    ck_assert(p.interruptible);
    ck_assert(kroutine_exec_flags(&p.kr, KROUTINE_EXEC_USERFLAG_7));
    ck_assert_uint_eq(p.runs, 2);
    ck_assert_uint_eq(p.flags, KROUTINE_EXEC_USERFLAG_7);
    ck_assert(!kroutine_is_pending(&p.kr));
    close_all();
}
END_TEST

START_TEST(interruptible_runs_inline)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_INTERRUPTIBLE,
                                                      KROUTINE_SEQ_INTERRUPTIBLE};
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, policies[_i], &target);
    p.then = not_pending_while_running;
    ck_assert(kroutine_exec_flags(&p.kr, 5));
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags, 5); /* not DEFERRED: it was not put off */
    ck_assert(pthread_equal(p.thread, pthread_self()));
    close_all();
}
END_TEST

/* The flags that a run under this policy has when it was put off. */
static unsigned context_flags(const struct kt_probe_s *p)
{
    return p->interruptible ? KROUTINE_EXEC_DEFERRED : 0;
}

START_TEST(put_off_runs_later_and_once)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, policy, &target);
    p.then = not_pending_while_running;
    ck_assert(!kroutine_is_pending(&p.kr));
    ck_assert(!exec_put_off(&p.kr, 0));
    ck_assert(kroutine_is_pending(&p.kr));
    ck_assert_uint_eq(p.runs, 0);
    run_once(policy);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags & KROUTINE_EXEC_USERFLAGS, 0);
    ck_assert_uint_eq(p.flags, context_flags(&p));
    ck_assert(!kroutine_is_pending(&p.kr));
    run_once(policy);
    ck_assert_uint_eq(p.runs, 1);
    close_all();
}
END_TEST

START_TEST(deferred_flag_under_deferred_policies)
{
    static const enum kroutine_policy_e policies[] = {
        KROUTINE_DEFERRED,     KROUTINE_INTERRUPTIBLE,
        KROUTINE_CPU_DEFERRED, KROUTINE_CPU_INTERRUPTIBLE,
        KROUTINE_SEQ_DEFERRED, KROUTINE_SEQ_INTERRUPTIBLE,
        KROUTINE_QUEUE,
    };

    open_all();
    for (unsigned i = 0; i < sizeof policies / sizeof *policies; i++) {
        struct kt_probe_s p;

        kt_probe_init(&p, policies[i], &target);
        exec_put_off(&p.kr, 0);
        run_once(policies[i]);
        ck_assert_msg(p.flags == KROUTINE_EXEC_DEFERRED, "%s: flags %#x",
                      kt_policy_name(policies[i]), p.flags);
    }
    close_all();
}
END_TEST

START_TEST(execs_merge_and_flags_are_ored)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, policy, &target);
    ck_assert(!exec_put_off(&p.kr, KROUTINE_EXEC_USERFLAG_1));
    ck_assert(!exec_put_off(&p.kr, 0));
    ck_assert(!exec_put_off(&p.kr, KROUTINE_EXEC_USERFLAG_7));
    for (int i = 0; i < 3; i++)
        run_once(policy);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags & KROUTINE_EXEC_USERFLAGS, 0x82);
    /* The next run starts without them. */
    exec_put_off(&p.kr, KROUTINE_EXEC_USERFLAG_4);
    run_once(policy);
    ck_assert_uint_eq(p.runs, 2);
    ck_assert_uint_eq(p.flags & KROUTINE_EXEC_USERFLAGS, 0x10);
    close_all();
}
END_TEST

START_TEST(cancel_takes_it_back)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, policy, &target);
    ck_assert(!kroutine_cancel(&p.kr));
    exec_put_off(&p.kr, 0xff);
    ck_assert(kroutine_cancel(&p.kr));
    ck_assert(!kroutine_is_pending(&p.kr));
    ck_assert(!kroutine_cancel(&p.kr));
    run_once(policy);
    ck_assert_uint_eq(p.runs, 0);
    exec_put_off(&p.kr, KROUTINE_EXEC_USERFLAG_0); /* flags of the cancelled run are gone */
    run_once(policy);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags & KROUTINE_EXEC_USERFLAGS, 0x01);
    close_all();
}
END_TEST

START_TEST(cancel_leaves_the_others_in_order)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p[5];

    open_all();
    for (int cancelled = 0; cancelled < 5; cancelled++) {
        unsigned last = 0;

        for (int i = 0; i < 5; i++) {
            kt_probe_init(&p[i], policy, &target);
            exec_put_off(&p[i].kr, 0);
        }
        ck_assert(kroutine_cancel(&p[cancelled].kr));
        memset(&p[cancelled].kr, 0xee, sizeof p[cancelled].kr); /* the caller's again */
        for (int i = 0; i < 10; i++)
            run_once(policy);
        for (int i = 0; i < 5; i++) {
            ck_assert_uint_eq(p[i].runs, i != cancelled);
            if (i != cancelled) {
                ck_assert_uint_gt(p[i].stamp, last);
                last = p[i].stamp;
            }
        }
    }
    close_all();
}
END_TEST

static void again_three_times(struct kt_probe_s *p)
{
    if (p->runs < 3) {
        ck_assert(!exec_put_off(&p->kr, (uint8_t)(p->runs + 1)));
        ck_assert(kroutine_is_pending(&p->kr));
    }
}

START_TEST(exec_in_the_handler_is_a_new_run)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p;

    open_all();
    kt_probe_init(&p, policy, &target);
    p.then = again_three_times;
    exec_put_off(&p.kr, 0x80);
    for (int i = 0; i < 8; i++)
        run_once(policy);
    ck_assert_uint_eq(p.runs, 4);
    ck_assert_uint_eq(p.flags & KROUTINE_EXEC_USERFLAGS, 3);
    close_all();
}
END_TEST

static void again_for_ever(struct kt_probe_s *p)
{
    if (p->arg)
        exec_put_off(&p->kr, 0);
}

/* One that executes itself again does not keep the call from returning, or others from running. */
START_TEST(self_exec_does_not_starve)
{
    static const enum kroutine_policy_e others[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH};
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kt_probe_s p, other[2];

    open_all();
    kt_probe_init(&p, policy, &target);
    p.then = again_for_ever;
    p.arg = &p;
    exec_put_off(&p.kr, 0);
    run_once(policy);
    for (int i = 0; i < 2; i++) {
        kt_probe_init(&other[i], others[i], &target);
        kroutine_exec(&other[i].kr);
    }
    for (int i = 0; i < 1000 && !(other[0].runs && other[1].runs); i++) {
        run_once(policy);
        kroutine_runtime_process(env.rt);
    }
    ck_assert_uint_eq(other[0].runs, 1);
    ck_assert_uint_eq(other[1].runs, 1);
    ck_assert_uint_ge(p.runs, 1);
    p.arg = NULL;
    for (int i = 0; i < 4; i++)
        run_once(policy);
    ck_assert(!kroutine_is_pending(&p.kr));
    close_all();
}
END_TEST

START_TEST(order_of_exec_is_order_of_runs)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    static struct kt_probe_s p[500];

    open_all();
    for (int i = 0; i < 500; i++) {
        kt_probe_init(&p[i], policy, &target);
        exec_put_off(&p[i].kr, 0);
    }
    for (int i = 0; i < 1000 && !p[499].runs; i++)
        run_once(policy);
    for (int i = 0; i < 500; i++) {
        ck_assert_uint_eq(p[i].runs, 1);
        if (i)
            ck_assert_uint_gt(p[i].stamp, p[i - 1].stamp);
    }
    close_all();
}
END_TEST

START_TEST(bind_chooses_the_runtime)
{
    struct kt_env_s second;
    struct kt_probe_s p;

    open_all();
    kt_env_open(&second, KT_EMBEDDED);
    for (int i = 0; i < KT_PUT_OFF; i++) {
        if (kt_put_off[i] == KROUTINE_QUEUE)
            continue;
        kt_probe_init(&p, kt_put_off[i], &target);
        ck_assert_int_eq(kroutine_bind(&p.kr, second.rt), 0);
        exec_put_off(&p.kr, 0);
        ck_assert_int_eq(kroutine_bind(&p.kr, env.rt), -EBUSY);
        kroutine_runtime_process(env.rt);
        ck_assert_uint_eq(p.runs, 0);
        ck_assert_int_gt(kroutine_runtime_process(second.rt), 0);
        ck_assert_uint_eq(p.runs, 1);
        ck_assert_int_eq(kroutine_bind(&p.kr, env.rt), 0);
    }
    kt_env_close(&second);
    close_all();
}
END_TEST

START_TEST(default_runtime_runs_what_is_not_bound)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                      KROUTINE_IDLE, KROUTINE_CPU_DEFERRED};
    struct kt_target_s none = {NULL, NULL, NULL, 0};
    struct kt_probe_s p;

    kt_probe_init(&p, policies[_i], &none);
    ck_assert(!kroutine_exec(&p.kr));
    kt_await(NULL, kt_get(&p.runs) == 1);
    ck_assert(!pthread_equal(p.thread, pthread_self()));
}
END_TEST

static const char *inline_label(int i)
{
    return i ? "seq_interruptible" : "interruptible";
}

static const char *unbound_label(int i)
{
    static const char *const names[] = {"deferred", "sched_switch", "idle", "cpu_deferred"};

    return names[i];
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("kroutine");

    kt_add(s, none_runs_nowhere, 10);
    kt_add(s, immediate_runs_in_the_caller, 10);
    kt_add_loop(s, interruptible_runs_inline, 2, inline_label, 10);
    kt_add_loop(s, put_off_runs_later_and_once, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add(s, deferred_flag_under_deferred_policies, 10);
    kt_add_loop(s, execs_merge_and_flags_are_ored, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, cancel_takes_it_back, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, cancel_leaves_the_others_in_order, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, exec_in_the_handler_is_a_new_run, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, self_exec_does_not_starve, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, order_of_exec_is_order_of_runs, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add(s, bind_chooses_the_runtime, 10);
    kt_add_loop(s, default_runtime_runs_what_is_not_bound, 4, unbound_label, 10);
    return s;
}
