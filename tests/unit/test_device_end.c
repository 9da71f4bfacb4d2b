/* SPDX-License-Identifier: MIT */
/* The end of devices: what happens to their requests, threads that race for it, and what is left
   after the runtime. */
#include "mock.h"

#include <sched.h>

/* --- requests --- */

struct op_s {
    struct dev_char_rq_s rq;
    struct device_char_s *acc;
    unsigned runs;
    int error;
    bool again; /* submits once more, whatever the error */
    bool put;   /* puts the accessor */
};

static KROUTINE_EXEC(op_over)
{
    struct op_s *op = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct op_s, rq);
    bool again = op->again;

    (void)flags;
    op->error = op->rq.error;
    op->again = false;
    if (op->put)
        device_put_accessor(&op->acc->base);
    if (again)
        DEVICE_OP(op->acc, request, &op->rq);
    kt_inc(&op->runs);
}

static void submit(struct op_s *op, struct device_char_s *acc, unsigned type, bool immediate)
{
    if (immediate)
        dev_char_rq_init_immediate(&op->rq, op_over);
    else
        dev_char_rq_init(&op->rq, op_over);
    op->acc = acc;
    op->rq.type = (uint8_t)type;
    op->rq.size = 1;
    DEVICE_OP(acc, request, &op->rq);
}

START_TEST(bad_requests_end_in_the_handler)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct op_s op = {0};

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    submit(&op, &acc, DEV_CHAR_TYPES, true);
    ck_assert_uint_eq(op.runs, 1);
    ck_assert_int_eq(op.error, -EINVAL);
    op.rq.type = DEV_CHAR_READ;
    op.rq.size = 0;
    DEVICE_OP(&acc, request, &op.rq);
    ck_assert_uint_eq(op.runs, 2);
    ck_assert_int_eq(op.error, -EINVAL);
    op.rq.type = DEV_CHAR_READ_POLL; /* needs no size */
    DEVICE_OP(&acc, request, &op.rq);
    ck_assert_uint_eq(op.runs, 2);
    ck_assert_int_eq(op.rq.error, 0);
    ck_assert_int_eq(DEVICE_OP(&acc, cancel, &op.rq), 0);
    submit(&op, &acc, 200, false);
    kt_await(&env, kt_get(&op.runs) == 3);
    ck_assert_int_eq(op.error, -EINVAL);
    device_put_accessor(&acc.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(a_put_completes_what_is_pending)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct op_s op[10] = {0};

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    for (unsigned i = 0; i < 10; i++) {
        op[i].again = i == 4; /* refused: the device is closing */
        submit(&op[i], &acc, DEV_CHAR_READ, i % 2);
    }
    op[1].put = true; /* the same accessor, once more */
    device_put_accessor(&acc.base);
    ck_assert_uint_eq(closes, 1);
    for (unsigned i = 0; i < 10; i++) {
        kt_await(&env, kt_get(&op[i].runs) == (i == 4 ? 2 : 1));
        ck_assert_int_eq(op[i].error, -ECANCELED);
    }
    kt_env_close(&env);
}
END_TEST

/* From its own handler, on the stack of the submit. */
START_TEST(a_handler_puts_its_device)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct op_s op = {.put = true}, waiting = {0};

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    submit(&waiting, &acc, DEV_CHAR_READ, false);
    submit(&op, &acc, DEV_CHAR_DISCARD, true);
    ck_assert_uint_eq(op.runs, 1);
    ck_assert_int_eq(op.error, 0);
    ck_assert_uint_eq(closes, 1);
    ck_assert(!device_check_accessor(&acc.base));
    kt_await(&env, kt_get(&waiting.runs) == 1);
    ck_assert_int_eq(waiting.error, -ECANCELED);
    kt_env_close(&env);
}
END_TEST

START_TEST(after_the_runtime)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT, copy = DEVICE_ACCESSOR_INIT;
    struct device_char_s named = DEVICE_ACCESSOR_INIT;
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s timer_rq = {0};
    dev_timer_value_t value;
    struct op_s pending = {0}, op = {0}, deferred = {0};

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    ck_assert_int_eq(get(&copy, "mock:x"), 0);
    ck_assert_int_eq(device_create(NULL, root, "named", &mock, NULL), 0);
    ck_assert_int_eq(get(&named, "named"), 0);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "timer0", DRIVER_CLASS_TIMER),
                     0);
    submit(&pending, &acc, DEV_CHAR_READ, false);
    kt_env_close(&env);
    ck_assert_uint_eq(closes, 2);
    ck_assert_uint_eq(pending.runs, 1);
    ck_assert_int_eq(pending.error, -ECANCELED);

    submit(&op, &acc, DEV_CHAR_READ, true);
    ck_assert_uint_eq(op.runs, 1);
    ck_assert_int_eq(op.error, -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&acc, cancel, &op.rq), -EBUSY);
    deferred.again = true; /* no recursion: the second runs after the first */
    submit(&deferred, &acc, DEV_CHAR_READ, false);
    ck_assert_uint_eq(deferred.runs, 2);
    ck_assert_int_eq(deferred.error, -ECANCELED);
    dev_timer_rq_init(&timer_rq, op_over);
    timer_rq.delay = 1;
    ck_assert_int_eq(DEVICE_OP(&timer, request, &timer_rq), -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &value, 0), -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &timer_rq), -EBUSY);
    ck_assert_int_eq(device_start(&acc.base), -ECANCELED);
    ck_assert_int_eq(device_copy_accessor(&copy.base, &named.base), -ECANCELED);
    ck_assert_str_eq(device_name(acc.dev), "mock:x");
    ck_assert_ptr_null(device_runtime(acc.dev));
    ck_assert_int_eq(dev_request_cancel_wait(&acc.base, &op.rq.base), -EBUSY);

    device_put_accessor(&named.base);
    device_put_accessor(&copy.base);
    device_put_accessor(&timer.base);
    device_put_accessor(&acc.base);
    ck_assert_uint_eq(closes, 2);
}
END_TEST

START_TEST(held_memory)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct device_s *dev;

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    dev = device_hold(acc.dev);
    device_put_accessor(&acc.base);
    ck_assert_uint_eq(closes, 1);
    memset(((struct mock_s *)device_pv(dev))->canary, 1, 16);
    ck_assert_int_eq(device_get_accessor(&acc.base, dev, DRIVER_CLASS_CHAR), -ECANCELED);
    kt_env_close(&env);
    ck_assert_str_eq(device_name(dev), "mock:x");
    device_release(dev);
}
END_TEST

/* --- races --- */

static void *open_and_put(void *arg)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct op_s op = {0};

    (void)arg;
    for (unsigned i = 0; i < kt_count(4000); i++) {
        ck_assert_msg(get(&acc, i % 3 ? "mock:x" : "mock:y") == 0, "%s", kroutine_error_text());
        if (i % 2) {
            submit(&op, &acc, DEV_CHAR_DISCARD, true);
            ck_assert_int_eq(op.error, 0);
        } else {
            submit(&op, &acc, DEV_CHAR_READ, true);
            ck_assert_int_eq(DEVICE_OP(&acc, cancel, &op.rq), 0);
        }
        device_put_accessor(&acc.base);
    }
    ck_assert_uint_eq(op.runs, kt_count(4000) / 2);
    return NULL;
}

START_TEST(opening_and_closing_at_once)
{
    pthread_t threads[4];

    set_up();
    for (unsigned i = 0; i < 4; i++)
        threads[i] = kt_thread(open_and_put, NULL);
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    ck_assert_uint_gt(opens, 1);
    ck_assert_uint_eq(opens, closes);
    kt_env_close(&env);
}
END_TEST

static void *get_and_keep(void *arg)
{
    ck_assert_int_eq(get(arg, "mock:x"), open_error);
    return NULL;
}

START_TEST(the_second_waits_for_the_first)
{
    struct device_char_s acc[4] = {0};
    pthread_t threads[4];

    set_up();
    open_ms = 50;
    for (unsigned i = 0; i < 4; i++)
        threads[i] = kt_thread(get_and_keep, &acc[i]);
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(opens, 1);
    for (unsigned i = 0; i < 4; i++)
        device_put_accessor(&acc[i].base);
    ck_assert_uint_eq(closes, 1);
    open_error = -EIO; /* each of them tries */
    for (unsigned i = 0; i < 4; i++)
        threads[i] = kt_thread(get_and_keep, &acc[i]);
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(opens, 1);
    kt_env_close(&env);
}
END_TEST

static void *put_it(void *arg)
{
    device_put_accessor(arg);
    return NULL;
}

START_TEST(opening_waits_for_closing)
{
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;
    pthread_t thread;

    set_up();
    close_ms = 100;
    ck_assert_int_eq(get(&a, "mock:x"), 0);
    thread = kt_thread(put_it, &a.base);
    kt_sleep_ms(30);
    ck_assert_int_eq(get(&b, "mock:x"), 0);
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(opens, 2);
    kt_join(thread);
    device_put_accessor(&b.base);
    kt_env_close(&env);
}
END_TEST

static int reopen_error;

static KROUTINE_EXEC(reopens)
{
    struct device_char_s other = DEVICE_ACCESSOR_INIT;

    (void)kr;
    (void)flags;
    reopen_error = get(&other, "mock:x");
}

/* A handler that the close itself runs cannot wait for the end of that close. */
START_TEST(opening_inside_closing_is_refused)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct dev_char_rq_s rq = {.size = 1};

    set_up();
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    dev_char_rq_init_immediate(&rq, reopens);
    DEVICE_OP(&acc, request, &rq);
    device_put_accessor(&acc.base);
    ck_assert_int_eq(reopen_error, -EBUSY);
    ck_assert_str_eq(kroutine_error_text(), "mock:x: is being closed");
    kt_env_close(&env);
}
END_TEST

/* Requests until the first refusal; every one is accounted for. */
struct submitter_s {
    struct device_char_s acc;
    struct device_char_s named;
    struct op_s op;
    unsigned count;
    bool immediate;
};

static void *submit_until_refused(void *arg)
{
    struct submitter_s *s = arg;

    do {
        submit(&s->op, s->count % 2 ? &s->acc : &s->named, DEV_CHAR_DISCARD, s->immediate);
        s->count++;
        while (kt_get(&s->op.runs) < s->count)
            sched_yield();
    } while (s->op.error == 0);
    ck_assert_int_eq(s->op.error, -ECANCELED);
    return NULL;
}

START_TEST(requests_while_the_runtime_ends)
{
    struct submitter_s s[4] = {0};
    pthread_t threads[4];

    for (unsigned round = 0; round < 20; round++) {
        memset(s, 0, sizeof s);
        kt_env_open(&env, KT_THREADS);
        root = kroutine_runtime_devices(env.rt);
        driver_register(&mock);
        ck_assert_int_eq(device_create(NULL, root, "named", &mock, NULL), 0);
        for (unsigned i = 0; i < 4; i++) {
            s[i].immediate = i % 2;
            ck_assert_int_eq(get(&s[i].acc, i < 2 ? "mock:x" : "mock:y"), 0);
            ck_assert_int_eq(get(&s[i].named, "named"), 0);
            threads[i] = kt_thread(submit_until_refused, &s[i]);
        }
        kt_sleep_ms(5);
        kt_env_close(&env);
        for (unsigned i = 0; i < 4; i++) {
            kt_join(threads[i]);
            ck_assert_uint_eq(s[i].op.runs, s[i].count);
            device_put_accessor(&s[i].acc.base);
            device_put_accessor(&s[i].named.base);
        }
        ck_assert_uint_eq(opens, closes);
    }
}
END_TEST

static void *open_until_canceled(void *arg)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    error_t err;

    (void)arg;
    while ((err = get(&acc, "mock:x")) == 0)
        device_put_accessor(&acc.base);
    ck_assert_int_eq(err, -ECANCELED);
    return NULL;
}

START_TEST(lookups_while_the_runtime_ends)
{
    struct device_char_s keep = DEVICE_ACCESSOR_INIT;
    pthread_t threads[3];

    set_up();
    ck_assert_int_eq(get(&keep, "mock:y"), 0); /* the tree stays as long as this */
    for (unsigned i = 0; i < 3; i++)
        threads[i] = kt_thread(open_until_canceled, NULL);
    kt_sleep_ms(20);
    kt_env_close(&env);
    for (unsigned i = 0; i < 3; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(opens, closes);
    device_put_accessor(&keep.base);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("device_end");

    kt_add(s, bad_requests_end_in_the_handler, 20);
    kt_add(s, a_put_completes_what_is_pending, 20);
    kt_add(s, a_handler_puts_its_device, 20);
    kt_add(s, after_the_runtime, 20);
    kt_add(s, held_memory, 20);
    kt_add(s, opening_and_closing_at_once, 60);
    kt_add(s, the_second_waits_for_the_first, 20);
    kt_add(s, opening_waits_for_closing, 20);
    kt_add(s, opening_inside_closing_is_refused, 20);
    kt_add(s, requests_while_the_runtime_ends, 60);
    kt_add(s, lookups_while_the_runtime_ends, 60);
    return s;
}
