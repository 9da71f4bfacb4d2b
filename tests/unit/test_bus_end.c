/* SPDX-License-Identifier: MIT */
/* The bus threads: cancel, time-outs and the end of devices, in each state of a request. */
#include "held.h"

#include <sys/wait.h>

/* --- cancel, time-out, gone --- */

START_TEST(cancel_in_each_state)
{
    set_up();
    ops[0].rq.count = 3;
    submit(&a, 0);
    await_inside(0);
    submit(&a, 1);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[1].rq), 0); /* queued */
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY); /* active, and aborted */
    permit(0, 1);
    expect(0, -ECANCELED);
    ck_assert_uint_eq(ops[0].rq.done, 1);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY); /* over */
    submit(&a, 2);
    await_inside(0);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[2].rq), -EBUSY);
    permit(0, 1); /* the only part: the real result */
    expect(2, 0);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    submit(&a, 1); /* it is the caller's again */
    permit(0, 1);
    expect(1, 0);
    tear_down();
}
END_TEST

static void *cancel_and_wait(void *arg)
{
    struct op_s *op = arg;

    ck_assert_int_eq(dev_request_cancel_wait(&a.base, &op->rq.base), -EBUSY);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    return NULL;
}

START_TEST(cancel_and_wait_for_the_end)
{
    pthread_t thread;

    set_up();
    ops[0].rq.count = 2;
    submit(&a, 0);
    await_inside(0);
    thread = kt_thread(cancel_and_wait, &ops[0]);
    kt_sleep_ms(5);
    permit(0, 2);
    kt_join(thread);
    tear_down();
}
END_TEST

static error_t answer;

static void cancel_next(struct op_s *op)
{
    kt_await(NULL, !kt_get(&op[1].stamp)); /* submitted */
    kt_sleep_ms(op->rq.pvuint);
    answer = dev_request_cancel_wait(&a.base, &op[1].rq.base);
}

/* The handler that it would wait for comes after the one that it is called from, on this thread. */
START_TEST(waiting_in_a_handler_for_the_next_one)
{
    set_up();
    open_device(&b, "held:0/b");
    submit(&b, 2);
    await_inside(0);
    ops[0].then = cancel_next;
    submit(&a, 0);
    submit(&a, 1);
    device_put_accessor(&a.base);
    ck_assert_int_eq(answer, -EDEADLK);
    expect(0, -ECANCELED);
    expect(1, -ECANCELED);
    permit(0, 1);
    expect(2, 0);
    tear_down();
}
END_TEST

/* The bus thread is in a handler, and the time is up of the request that is cancelled there. */
START_TEST(waiting_on_the_bus_thread_for_one_that_was_late)
{
    set_up();
    ops[0].then = cancel_next;
    ops[0].rq.pvuint = 100;
    kt_set(&ops[1].stamp, 1);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(1));
    submit(&a, 0);
    permit(0, 1);
    kt_await(NULL, kt_get(&ops[0].stamp));
    submit(&a, 1);
    kt_set(&ops[1].stamp, 0);
    expect(0, 0);
    if (answer) {
        ck_assert_int_eq(answer, -EDEADLK);
        expect(1, -ETIMEDOUT);
    }
    tear_down();
}
END_TEST

/* What can be taken back is, also there. */
START_TEST(cancelling_in_a_handler_what_waits)
{
    set_up();
    ops[0].then = cancel_next;
    answer = 1;
    submit(&a, 0);
    await_inside(0);
    submit(&a, 1);
    permit(0, 1);
    expect(0, 0);
    ck_assert_int_eq(answer, 0);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    tear_down();
}
END_TEST

/* Those that wait end in time; the active one when it comes back, at the next of its parts. */
START_TEST(a_time_out_while_the_bus_is_held)
{
    set_up();
    ops[0].rq.count = 3;
    dev_request_set_timeout(&ops[0].rq.base, KROUTINE_MSEC(500));
    submit(&a, 0);
    await_inside(0);
    dev_request_set_timeout(&ops[7].rq.base, KROUTINE_SEC(1000));
    submit(&a, 7);
    for (unsigned i = 1; i < 6; i++) { /* 50, 40 … 10 ms: the alarm is set forward */
        dev_request_set_timeout(&ops[i].rq.base, KROUTINE_MSEC(60 - 10 * i));
        submit(&a, i);
    }
    submit(&a, 6);
    for (unsigned i = 1; i < 6; i++)
        expect(i, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    kt_sleep_ms(600);
    permit(0, 3);
    expect(0, -ETIMEDOUT);
    ck_assert_uint_eq(ops[0].rq.done, 1);
    expect(6, 0);
    expect(7, 0);
    tear_down();
}
END_TEST

START_TEST(many_time_outs)
{
    const unsigned rounds = kt_count(40);

    set_up();
    submit(&a, 0);
    await_inside(0);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 1; i < OPS; i++) {
            dev_request_set_timeout(&ops[i].rq.base, KROUTINE_USEC(1 + (i * 37 + round) % 500));
            submit(&a, i);
        }
        for (unsigned i = 1; i < OPS; i++)
            expect(i, -ETIMEDOUT);
    }
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

/* --- all of it at once --- */

struct load_s {
    struct op_s op;
    unsigned seed;
    unsigned submitted, taken_back;
};

static unsigned dice(struct load_s *l, unsigned sides)
{
    l->seed = l->seed * 1103515245 + 12345;
    return (l->seed >> 16) % sides;
}

static void one_of_the_load(struct load_s *l, struct device_i2c_s *acc)
{
    struct dev_i2c_rq_s *rq = &l->op.rq;
    char byte;

    if (dice(l, 3) == 0) {
        ck_assert_int_eq(dev_i2c_wait_read(acc, 1, &byte, 1), 0);
        return;
    }
    (dice(l, 2) ? dev_i2c_rq_init : dev_i2c_rq_init_immediate)(rq, over);
    rq->list = l->op.list;
    rq->count = (uint16_t)(1 + dice(l, 3));
    kroutine_set_priority(&rq->kr, dice(l, KROUTINE_PRIORITIES));
    dev_request_set_timeout(&rq->base, dice(l, 2) ? 1 + dice(l, 100000) : 0);
    l->submitted++;
    DEVICE_OP(acc, request, rq);
    for (unsigned spins = dice(l, 2) * dice(l, 3000); spins; spins--)
        __asm__ volatile("");
    if (dice(l, 2) && dev_request_cancel_wait(&acc->base, &rq->base) == 0)
        l->taken_back++;
    kt_await(NULL, kt_get(&l->op.done) == l->submitted - l->taken_back);
    ck_assert(rq->error == 0 || rq->error == -ETIMEDOUT || rq->error == -ECANCELED);
}

/* With a device of its own, that is closed now and then with a request under way. */
static void *load(void *arg)
{
    struct load_s *l = arg;
    struct device_i2c_s own = {.drv = NULL};

    for (unsigned i = 0; i < kt_count(4000); i++) {
        if (dice(l, 2)) {
            one_of_the_load(l, &a);
            continue;
        }
        if (!device_check_accessor(&own.base))
            open_device(&own, "held:0/own");
        one_of_the_load(l, &own);
        if (dice(l, 4))
            continue;
        dev_i2c_rq_init_immediate(&l->op.rq, over);
        l->op.rq.list = l->op.list;
        l->op.rq.count = 1;
        l->submitted++;
        DEVICE_OP(&own, request, &l->op.rq);
        device_put_accessor(&own.base);
        kt_await(NULL, kt_get(&l->op.done) == l->submitted - l->taken_back);
    }
    device_put_accessor(&own.base);
    return NULL;
}

START_TEST(exactly_once)
{
    static struct load_s loads[4];
    pthread_t threads[4];

    set_up();
    permit(0, 1000000);
    for (unsigned i = 0; i < 4; i++) {
        loads[i].seed = i + 1;
        threads[i] = kt_thread(load, &loads[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    tear_down();
}
END_TEST

START_TEST(a_device_that_goes)
{
    set_up();
    submit(&a, 0);
    submit(&a, 1);
    await_inside(0);
    gates[0].gone = -ENODEV;
    permit(0, 1);
    expect(0, -ENODEV);
    expect(1, -ENODEV);
    submit(&a, 2);
    expect(2, -ENODEV);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 1);
    tear_down();
}
END_TEST

/* --- the end --- */

static void *permit_later(void *arg)
{
    kt_sleep_ms(*(unsigned *)arg);
    permit(0, 1);
    return NULL;
}

START_TEST(close_waits_for_what_the_kernel_has)
{
    pthread_t thread;

    set_up();
    open_device(&b, "held:0/b");
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 5; i++)
        submit(i % 2 ? &a : &b, i);
    thread = kt_thread(permit_later, &(unsigned){50});
    device_put_accessor(&a.base);
    ck_assert_uint_eq(kt_get(&ops[0].done), 1);
    ck_assert_int_eq(ops[0].rq.error, 0);
    for (unsigned i = 1; i < 5; i += 2) {
        ck_assert_uint_eq(kt_get(&ops[i].done), 1);
        ck_assert_int_eq(ops[i].rq.error, -ECANCELED);
        ck_assert_uint_lt(kt_get(&ops[0].stamp), kt_get(&ops[i].stamp));
    }
    kt_join(thread);
    permit(0, 2);
    expect(2, 0); /* the other device goes on */
    expect(4, 0);
    tear_down();
}
END_TEST

static void close_a(struct op_s *op)
{
    (void)op;
    device_put_accessor(&a.base);
}

/* On the bus thread, which cannot wait for itself. */
START_TEST(close_from_a_handler)
{
    set_up();
    if (_i == 1)
        open_device(&b, "held:0/b");
    ops[0].then = close_a;
    for (unsigned i = 0; i < 4; i++)
        submit(&a, i);
    permit(0, 1);
    expect(0, 0);
    for (unsigned i = 1; i < 4; i++) {
        expect(i, -ECANCELED);
        ck_assert(pthread_equal(ops[i].thread, ops[0].thread));
    }
    if (_i == 1) {
        submit(&b, 5);
        permit(0, 1);
        expect(5, 0);
    }
    tear_down();
}
END_TEST

/* On the reactor, while the bus thread is held by another device. */
START_TEST(close_from_the_handler_of_a_time_out)
{
    set_up();
    open_device(&b, "held:0/b");
    submit(&b, 0);
    await_inside(0);
    ops[1].then = close_a;
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(2));
    submit(&a, 1);
    submit(&a, 2);
    expect(1, -ETIMEDOUT);
    expect(2, -ECANCELED);
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

START_TEST(the_end_of_the_runtime)
{
    pthread_t thread;

    set_up();
    submit(&a, 0);
    await_inside(0);
    submit(&a, 1);
    dev_request_set_timeout(&ops[2].rq.base, KROUTINE_SEC(1000));
    submit(&a, 2);
    thread = kt_thread(permit_later, &(unsigned){20});
    kt_env_close(&env);
    expect(0, 0);
    expect(1, -ECANCELED);
    expect(2, -ECANCELED);
    kt_join(thread);
    submit(&a, 3);
    expect(3, -ECANCELED);
    device_put_accessor(&a.base);
}
END_TEST

START_TEST(the_thread_ends_with_the_last_device)
{
    struct device_i2c_s more;
    unsigned before;

    set_up();
    before = kt_threads();
    open_device(&b, "held:1");
    open_device(&more, "held:1/b");
    ck_assert_uint_eq(kt_threads(), before + 1);
    device_put_accessor(&b.base);
    ck_assert_uint_eq(kt_threads(), before + 1);
    device_put_accessor(&more.base);
    ck_assert_uint_eq(kt_threads(), before);
    tear_down();
}
END_TEST

START_TEST(a_forked_child)
{
    int status;
    pid_t pid;

    set_up();
    submit(&a, 0);
    await_inside(0);
    pid = fork();
    if (pid == 0) {
        DEVICE_OP(&a, request, &ops[1].rq);
        if (ops[1].done != 1 || ops[1].rq.error != -EPERM)
            _exit(1);
        if (DEVICE_OP(&a, cancel, &ops[0].rq) != -EBUSY || ops[0].done)
            _exit(2);
        if (dev_i2c_wait_read(&a, 1, &status, 1) != -EPERM)
            _exit(3);
        device_put_accessor(&a.base);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bus_end");

    kt_add(s, cancel_in_each_state, 10);
    kt_add(s, cancel_and_wait_for_the_end, 10);
    kt_add(s, waiting_in_a_handler_for_the_next_one, 10);
    kt_add(s, waiting_on_the_bus_thread_for_one_that_was_late, 10);
    kt_add(s, cancelling_in_a_handler_what_waits, 10);
    kt_add(s, a_time_out_while_the_bus_is_held, 10);
    kt_add(s, many_time_outs, 20);
    kt_add(s, exactly_once, 60);
    kt_add(s, a_device_that_goes, 10);
    kt_add(s, close_waits_for_what_the_kernel_has, 10);
    kt_add_loop(s, close_from_a_handler, 2, NULL, 10);
    kt_add(s, close_from_the_handler_of_a_time_out, 10);
    kt_add(s, the_end_of_the_runtime, 10);
    kt_add(s, the_thread_ends_with_the_last_device, 10);
    kt_add(s, a_forked_child, 10);
    return s;
}
