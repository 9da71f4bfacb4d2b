/* SPDX-License-Identifier: MIT */
/* A million pending timers: armed, cancelled and expired, each accounted for. */
#include "kt.h"

static struct kt_env_s env;
static struct device_timer_s timer;

#define MILLION 1000000u
#define COUNT   kt_count(MILLION)

static struct dev_timer_rq_s *rq;
static unsigned *runs;
static unsigned total, early, late_order;
static uint64_t last_deadline;

static KROUTINE_EXEC(expired)
{
    struct dev_timer_rq_s *r = dev_timer_rq_from_kr(kr);
    dev_timer_value_t now = 0;

    (void)flags;
    if (r->error)
        return;
    if (DEVICE_OP(&timer, get_value, &now, 0) || now < r->deadline)
        early++;
    if (r->deadline < last_deadline)
        late_order++;
    last_deadline = r->deadline;
    runs[r - rq]++;
    kt_inc(&total);
}

static void open_all(void)
{
    kt_env_open(&env, kt_backend == KROUTINE_BACKEND_SIM ? KT_EMBEDDED : KT_THREADS);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    rq = calloc(COUNT, sizeof *rq);
    runs = calloc(COUNT, sizeof *runs);
    ck_assert(rq && runs);
}

static void close_all(void)
{
    device_put_accessor(&timer.base);
    kt_env_close(&env);
    free(rq);
    free(runs);
}

static void arm(unsigned i, uint64_t deadline)
{
    error_t err;

    dev_timer_rq_init_immediate(&rq[i], expired);
    rq[i].deadline = deadline;
    rq[i].delay = 0;
    rq[i].rev = 0;
    err = DEVICE_OP(&timer, request, &rq[i]);
    if (err)
        ck_abort_msg("number %u: %d", i, err);
}

/* Near and far, seconds to years. */
static uint64_t spread(unsigned *seed)
{
    uint64_t base = (uint64_t)rand_r(seed) << 20 | (uint64_t)rand_r(seed);

    return KROUTINE_SEC(3000) + (base >> rand_r(seed) % 40);
}

START_TEST(a_million_armed_and_cancelled)
{
    unsigned seed = 1;
    uint64_t now;

    open_all();
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &now, 0), 0);
    for (unsigned i = 0; i < COUNT; i++)
        arm(i, now + spread(&seed));
    for (unsigned i = 0; i < COUNT; i++) { /* in another order than they were armed */
        unsigned k = (unsigned)((uint64_t)i * 7919 % COUNT);

        if (DEVICE_OP(&timer, cancel, &rq[k]))
            ck_abort_msg("number %u", k);
    }
    for (unsigned i = 0; i < COUNT; i++)
        if (DEVICE_OP(&timer, cancel, &rq[i]) != -EBUSY)
            ck_abort_msg("number %u was still there", i);
    ck_assert_uint_eq(kt_get(&total), 0);
    close_all();
}
END_TEST

/* All within half a second (virtual time in the simulator), a tenth of them cancelled. */
START_TEST(a_million_expire)
{
    unsigned seed = 2, cancelled = 0;
    uint64_t now;

    open_all();
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &now, 0), 0);
    for (unsigned i = 0; i < COUNT; i++)
        arm(i, now + KROUTINE_SEC(kt_slow() > 1 ? 6 : 3) +
                   (uint64_t)rand_r(&seed) % KROUTINE_MSEC(500));
    for (unsigned i = 0; i < COUNT; i += 10) {
        if (DEVICE_OP(&timer, cancel, &rq[i]))
            ck_abort_msg("number %u", i);
        cancelled++;
    }
    kt_await(&env, kt_get(&total) == COUNT - cancelled);
    for (unsigned i = 0; i < COUNT; i++)
        if (runs[i] != (i % 10 != 0))
            ck_abort_msg("number %u ran %u times", i, runs[i]);
    ck_assert_uint_eq(early, 0);
    ck_assert_uint_eq(late_order, 0);
    close_all();
}
END_TEST

static KROUTINE_EXEC(cancelled_at_the_end)
{
    struct dev_timer_rq_s *r = dev_timer_rq_from_kr(kr);

    (void)flags;
    runs[r - rq] += r->error == -ECANCELED;
    kt_inc(&total);
}

START_TEST(a_million_at_the_end_of_the_runtime)
{
    unsigned seed = 3;
    uint64_t now;

    open_all();
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &now, 0), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        arm(i, now + spread(&seed));
        if (DEVICE_OP(&timer, cancel, &rq[i]))
            ck_abort_msg("number %u", i);
        if (i % 2)
            dev_timer_rq_init(&rq[i], cancelled_at_the_end);
        else
            dev_timer_rq_init_immediate(&rq[i], cancelled_at_the_end);
        rq[i].deadline = now + spread(&seed);
        if (DEVICE_OP(&timer, request, &rq[i]))
            ck_abort_msg("number %u, again", i);
    }
    kt_env_close(&env);
    ck_assert_uint_eq(kt_get(&total), COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        if (runs[i] != 1)
            ck_abort_msg("number %u", i);
    device_put_accessor(&timer.base);
    free(rq);
    free(runs);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("timer many");

    kt_add(s, a_million_armed_and_cancelled, 60);
    kt_add(s, a_million_expire, 60);
    kt_add(s, a_million_at_the_end_of_the_runtime, 60);
    return s;
}
