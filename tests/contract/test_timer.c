/* SPDX-License-Identifier: MIT */
/* Timers: when their handlers run, in which order, what is refused, and cancel. */
#include "kt.h"

#include <stdio.h>

static struct kt_env_s env;
static struct device_timer_s timer;

static const char *const clocks[] = {"timer0", "timer1", "timer2"};

static void open_clock(enum kt_mode_e mode, int clock)
{
    if (!env.rt)
        kt_env_open(&env, mode);
    memset(&timer, 0, sizeof timer);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 clocks[clock], DRIVER_CLASS_TIMER),
                     0);
}

/* A simulated runtime with threads lets its time jump whenever it has nothing to do. */
static int modes(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? 1 : KT_MODES;
}

static enum kt_mode_e mode_of(int round)
{
    return modes() == 1 ? KT_EMBEDDED : (enum kt_mode_e)(round % KT_MODES);
}

static const char *mode_label(int round)
{
    return kt_mode_label(mode_of(round));
}

static const char *clock_label(int round)
{
    static char text[32];

    snprintf(text, sizeof text, "%s,%s", clocks[round / modes()], mode_label(round));
    return text;
}

static void close_all(void)
{
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}

/* --- a request that notes what happened --- */

struct shot_s {
    struct dev_timer_rq_s rq;
    unsigned done; /* atomic */
    int error;
    unsigned stamp;
    uint64_t at;
    bool interruptible;
    void (*then)(struct shot_s *shot);
    void *arg;
};

static KROUTINE_EXEC(shot_over)
{
    struct shot_s *shot = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct shot_s, rq);

    (void)flags;
    shot->error = shot->rq.error;
    shot->stamp = kt_stamp();
    shot->at = shot->error == -ECANCELED ? 0 : kt_timer_value(&timer);
    shot->interruptible = kroutine_is_interruptible();
    if (shot->then)
        shot->then(shot);
    kt_inc(&shot->done);
}

static void shot_init(struct shot_s *shot, bool immediate)
{
    memset(shot, 0, sizeof *shot);
    if (immediate)
        dev_timer_rq_init_immediate(&shot->rq, shot_over);
    else
        dev_timer_rq_init(&shot->rq, shot_over);
}

static error_t submit(struct shot_s *shot, uint64_t deadline, uint64_t delay)
{
    kt_set(&shot->done, 0);
    shot->rq.deadline = deadline;
    shot->rq.delay = delay;
    shot->rq.rev = 0;
    return DEVICE_OP(&timer, request, &shot->rq);
}

static void await_shot(struct shot_s *shot, int error)
{
    kt_await(&env, kt_get(&shot->done) >= 1);
    ck_assert_uint_eq(kt_get(&shot->done), 1);
    ck_assert_int_eq(shot->error, error);
}

/* --- when --- */

START_TEST(relative)
{
    struct shot_s shot;
    uint64_t before, after;

    open_clock(mode_of(_i), _i / modes());
    for (int immediate = 0; immediate < 2; immediate++) {
        shot_init(&shot, immediate);
        before = kt_timer_value(&timer);
        ck_assert_int_eq(submit(&shot, 0, KROUTINE_MSEC(5)), 0);
        after = kt_timer_value(&timer);
        ck_assert_uint_ge(shot.rq.deadline, before + KROUTINE_MSEC(5));
        ck_assert_uint_le(shot.rq.deadline, after + KROUTINE_MSEC(5));
        await_shot(&shot, 0);
        ck_assert_uint_ge(shot.at, shot.rq.deadline);
        ck_assert_uint_lt(shot.at, shot.rq.deadline + KROUTINE_SEC(2));
        ck_assert(shot.interruptible == !immediate);
    }
    close_all();
}
END_TEST

START_TEST(absolute)
{
    struct shot_s shot;
    uint64_t deadline;

    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, true);
    deadline = kt_timer_value(&timer) + KROUTINE_MSEC(5);
    ck_assert_int_eq(submit(&shot, deadline, 0), 0);
    ck_assert_uint_eq(shot.rq.deadline, deadline);
    await_shot(&shot, 0);
    ck_assert_uint_ge(shot.at, deadline);
    close_all();
}
END_TEST

/* The past is refused, and the handler never runs: not now, not later. */
START_TEST(past_is_refused)
{
    struct shot_s shot;
    uint64_t now;

    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, true);
    now = kt_timer_value(&timer);
    ck_assert_int_eq(submit(&shot, 1, 0), -ETIMEDOUT);
    ck_assert_int_eq(submit(&shot, now - KROUTINE_USEC(1), 0), -ETIMEDOUT);
    ck_assert_int_eq(submit(&shot, 0, 0), -ETIMEDOUT);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&shot.done), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), -EBUSY);
    ck_assert_int_eq(submit(&shot, 0, 1), 0); /* 1 ns from now is not the past */
    await_shot(&shot, 0);
    close_all();
}
END_TEST

START_TEST(far_future)
{
    static const uint64_t far[] = {UINT64_C(1) << 40, UINT64_C(1) << 52, UINT64_C(1) << 60,
                                   UINT64_C(1) << 62};
    struct shot_s shot[4], near;
    uint64_t now;

    open_clock(mode_of(_i), _i / modes());
    now = kt_timer_value(&timer);
    for (int i = 0; i < 4; i++) {
        shot_init(&shot[i], true);
        ck_assert_int_eq(i % 2 ? submit(&shot[i], now + far[i], 0) : submit(&shot[i], 0, far[i]),
                         0);
    }
    shot_init(&near, true);
    ck_assert_int_eq(submit(&near, 0, KROUTINE_MSEC(2)), 0);
    await_shot(&near, 0);
    for (int i = 3; i >= 0; i--) {
        ck_assert_uint_eq(kt_get(&shot[i].done), 0);
        ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot[i].rq), 0);
    }
    /* What 2^63 ns cannot hold. */
    ck_assert_int_eq(submit(&near, UINT64_MAX, 0), -ERANGE);
    ck_assert_int_eq(submit(&near, UINT64_C(1) << 63, 0), -ERANGE);
    ck_assert_int_eq(submit(&near, 0, UINT64_MAX), -ERANGE);
    ck_assert_int_eq(submit(&near, 0, INT64_MAX), -ERANGE);
    ck_assert_uint_eq(kt_get(&near.done), 0);
    close_all();
}
END_TEST

/* A delay that is over by the time of the call is still never run inside it. */
static bool inside;

static void note_inside(struct shot_s *shot)
{
    if (kt_get(&inside) && pthread_equal(*(pthread_t *)shot->arg, pthread_self()))
        ck_abort_msg("the handler ran on the submitter's stack");
}

START_TEST(never_nested)
{
    pthread_t self = pthread_self();
    struct shot_s shot;

    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, true);
    shot.then = note_inside;
    shot.arg = &self;
    for (unsigned i = 0; i < kt_count(2000); i++) {
        kt_set(&inside, true);
        ck_assert_int_eq(submit(&shot, 0, 1), 0);
        kt_set(&inside, false);
        kt_await(&env, kt_get(&shot.done));
    }
    close_all();
}
END_TEST

/* --- order --- */

#define MANY 300

static struct shot_s many[MANY];

START_TEST(in_the_order_of_deadlines)
{
    unsigned order[MANY], seed = 77;
    uint64_t base;

    open_clock(mode_of(_i), _i / modes());
    base = kt_timer_value(&timer) + KROUTINE_MSEC(30) * kt_slow();
    for (unsigned i = 0; i < MANY; i++)
        order[i] = i;
    for (unsigned i = MANY - 1; i > 0; i--) {
        unsigned k = (unsigned)rand_r(&seed) % (i + 1), t = order[i];

        order[i] = order[k];
        order[k] = t;
    }
    for (unsigned i = 0; i < MANY; i++) {
        shot_init(&many[order[i]], true);
        ck_assert_int_eq(submit(&many[order[i]], base + 40000 * order[i], 0), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        await_shot(&many[i], 0);
        ck_assert_uint_ge(many[i].at, base + 40000 * i);
        if (i)
            ck_assert_uint_gt(many[i].stamp, many[i - 1].stamp);
    }
    close_all();
}
END_TEST

/* Equal deadlines: order of submission, also when some go and come again between. */
START_TEST(equal_deadlines_in_order_of_submission)
{
    unsigned expected[MANY], count = 0;
    uint64_t deadline;

    open_clock(mode_of(_i), _i / modes());
    deadline = kt_timer_value(&timer) + KROUTINE_MSEC(40) * kt_slow();
    for (unsigned i = 0; i < MANY; i++) {
        shot_init(&many[i], true);
        ck_assert_int_eq(submit(&many[i], deadline, 0), 0);
    }
    for (unsigned i = 0; i < MANY; i += 7)
        ck_assert_int_eq(DEVICE_OP(&timer, cancel, &many[i].rq), 0);
    for (unsigned i = 0; i < MANY; i += 14) /* half of those, now behind all others */
        ck_assert_int_eq(submit(&many[i], deadline, 0), 0);
    for (unsigned i = 0; i < MANY; i++)
        if (i % 7)
            expected[count++] = i;
    for (unsigned i = 0; i < MANY; i += 14)
        expected[count++] = i;
    for (unsigned k = 0; k < count; k++) {
        await_shot(&many[expected[k]], 0);
        if (k)
            ck_assert_uint_gt(many[expected[k]].stamp, many[expected[k - 1]].stamp);
    }
    ck_assert_uint_eq(many[7].done, 0);
    close_all();
}
END_TEST

/* --- cancel --- */

START_TEST(cancelled_never_runs)
{
    struct shot_s shot;

    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, true);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), -EBUSY); /* never submitted */
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_MSEC(10)), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), -EBUSY);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&shot.done), 0);
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_MSEC(1)), 0);
    await_shot(&shot, 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), -EBUSY);
    close_all();
}
END_TEST

static error_t answers[2];

static void cancel_the_other(struct shot_s *shot)
{
    struct shot_s *other = shot->arg;

    answers[0] = DEVICE_OP(&timer, cancel, &other->rq);
}

/* Two due in the same batch: the first takes the second back, or learns that it is too late. */
START_TEST(cancel_of_a_neighbour_due_at_the_same_time)
{
    uint64_t ahead = KROUTINE_MSEC(1);
    struct shot_s shot[2];
    unsigned round = 0;

    open_clock(mode_of(_i), _i / modes());
    while (round < 20) {
        uint64_t deadline = kt_timer_value(&timer) + ahead;

        for (int i = 0; i < 2; i++)
            shot_init(&shot[i], true);
        shot[0].then = cancel_the_other;
        shot[0].arg = &shot[1];
        /* The second first: on a busy machine the time may be over between the two, or in the
           middle of the other call, and then the second has run alone. */
        if (submit(&shot[1], deadline + 1 + round % 3, 0) || submit(&shot[0], deadline, 0)) {
            DEVICE_OP(&timer, cancel, &shot[1].rq);
            kt_idle(&env, 2);
            ahead *= 2;
            continue;
        }
        await_shot(&shot[0], 0);
        kt_idle(&env, 2);
        if (answers[0] == -EBUSY && kt_get(&shot[1].done) == 1 && ahead < KROUTINE_SEC(1)) {
            ahead *= 2;
            continue;
        }
        ck_assert_int_eq(answers[0], 0); /* its handler had not been started: exact */
        ck_assert_uint_eq(kt_get(&shot[1].done), 0);
        round++;
    }
    close_all();
}
END_TEST

/* Against the clock: each ends in its handler or in a cancel. */
START_TEST(handler_or_cancel)
{
    unsigned seed = 5, cancels = 0, runs = 0;
    struct shot_s shot;

    open_clock(KT_THREADS, _i);
    for (unsigned i = 0; i < kt_count(5000); i++) {
        error_t err;

        shot_init(&shot, i % 2);
        ck_assert_int_eq(submit(&shot, 0, 1 + (uint64_t)rand_r(&seed) % 100000), 0);
        for (uint64_t end = kt_now() + (uint64_t)rand_r(&seed) % 120000; kt_now() < end;)
            ;
        err = DEVICE_OP(&timer, cancel, &shot.rq);
        if (err == 0) {
            cancels++;
            if (kt_get(&shot.done))
                ck_abort_msg("cancelled, and yet it ran");
            continue;
        }
        ck_assert_int_eq(err, -EBUSY);
        runs++;
        kt_await(&env, kt_get(&shot.done) == 1);
    }
    ck_assert_uint_gt(cancels, 0);
    ck_assert_uint_gt(runs, 0);
    close_all();
}
END_TEST

/* --- resubmission --- */

#define TICKS 50

static void again(struct shot_s *shot)
{
    error_t err;

    if (kt_get((unsigned *)shot->arg) == TICKS)
        return;
    shot->rq.deadline += KROUTINE_USEC(200);
    shot->rq.delay = 0;
    kt_inc((unsigned *)shot->arg);
    err = DEVICE_OP(&timer, request, &shot->rq);
    if (err == -ETIMEDOUT) { /* a busy machine: late already */
        shot->rq.delay = 1;
        err = DEVICE_OP(&timer, request, &shot->rq);
    }
    if (err) /* from here on the request is not this handler's any more */
        ck_abort_msg("resubmitted: %d", err);
}

START_TEST(resubmitted_from_its_handler)
{
    unsigned count = 0;
    struct shot_s shot;

    open_clock(mode_of(_i), _i / modes());
    for (int immediate = 0; immediate < 2; immediate++) {
        kt_set(&count, 0);
        shot_init(&shot, immediate);
        shot.then = again;
        shot.arg = &count;
        ck_assert_int_eq(submit(&shot, 0, KROUTINE_USEC(200)), 0);
        kt_await(&env, kt_get(&shot.done) == TICKS + 1);
        dev_request_cancel_wait(&timer.base, &shot.rq.base); /* its handler has returned */
        ck_assert_uint_eq(kt_get(&count), TICKS);
    }
    close_all();
}
END_TEST

START_TEST(submitted_twice_is_busy)
{
    struct shot_s shot;

    setenv("KROUTINE_CHECK", "0", 1); /* it would stop the program */
    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, false);
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_MSEC(10)), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &shot.rq), -EBUSY);
    await_shot(&shot, 0);
    close_all();
}
END_TEST

/* --- time-outs and ends --- */

START_TEST(a_timeout_may_come_first)
{
    struct shot_s shot;

    open_clock(mode_of(_i), _i / modes());
    shot_init(&shot, true);
    dev_request_set_timeout(&shot.rq.base, KROUTINE_MSEC(5));
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_SEC(3000)), 0);
    await_shot(&shot, -ETIMEDOUT);
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_MSEC(1)), 0);
    await_shot(&shot, 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&shot.done), 1);
    ck_assert_int_eq(submit(&shot, 0, KROUTINE_SEC(3000)), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &shot.rq), 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&shot.done), 0);
    close_all();
}
END_TEST

START_TEST(destroy_cancels_what_is_pending)
{
    static struct shot_s pending[100];

    kt_env_open(&env, mode_of(_i));
    for (unsigned i = 0; i < 100; i++) {
        shot_init(&pending[i], i % 2);
        open_clock(KT_THREADS, (int)i % 3); /* the last one stays open */
        ck_assert_int_eq(submit(&pending[i], 0, KROUTINE_SEC(1000) * (i + 1)), 0);
        if (i < 99)
            device_put_accessor(&timer.base);
    }
    /* Putting an accessor is not closing: the clocks belong to the runtime. */
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(kt_get(&pending[i].done), 0);
    kt_env_close(&env);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(kt_get(&pending[i].done), 1);
        ck_assert_int_eq(pending[i].error, -ECANCELED);
    }
    device_put_accessor(&timer.base);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("timer");
    const TTest *tests[] = {
        relative,
        absolute,
        past_is_refused,
        far_future,
        never_nested,
        in_the_order_of_deadlines,
        equal_deadlines_in_order_of_submission,
        cancelled_never_runs,
        cancel_of_a_neighbour_due_at_the_same_time,
        resubmitted_from_its_handler,
        submitted_twice_is_busy,
        a_timeout_may_come_first,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], 3 * modes(), clock_label, 20);
    kt_add_loop(s, destroy_cancels_what_is_pending, modes(), mode_label, 20);
    if (kt_backend != KROUTINE_BACKEND_SIM)
        kt_add_loop(s, handler_or_cancel, 3, clock_label, 30);
    return s;
}
