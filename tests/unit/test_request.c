/* SPDX-License-Identifier: MIT */
/* What requests of all classes share: initialisation, queues, waiting, waiting for a cancel. */
#include "mock.h"

#include <stdio.h>
#include <sys/socket.h>

static struct device_char_s dev;

static void open_mock(void)
{
    set_up();
    ck_assert_int_eq(get(&dev, "mock:x"), 0);
}

static void close_mock(void)
{
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}

static KROUTINE_EXEC(nothing)
{
    (void)kr;
    (void)flags;
}

/* --- initialisation --- */

static void expect_fresh(struct dev_char_rq_s *rq, enum kroutine_policy_e policy)
{
    ck_assert_uint_eq(rq->kr.policy, policy);
    ck_assert(rq->kr.exec == nothing);
    ck_assert(!kroutine_is_pending(&rq->kr));
    ck_assert(!rq->next && !rq->prev && !rq->pvdata && !rq->drvdata);
    ck_assert(rq->expires == 0 && rq->timeout == 0 && rq->error == 0 && rq->type == 0 &&
              rq->rq_state == DEV_RQ_IDLE && rq->rq_progress == 0);
    ck_assert_uint_eq((uintptr_t)rq->data, UINTPTR_MAX);
    ck_assert_uint_eq(rq->size, SIZE_MAX);
    memset(rq, 0xff, sizeof *rq);
}

START_TEST(initialisers)
{
    struct kroutine_sequence_s seq;
    struct kroutine_queue_s queue;
    struct dev_char_rq_s rq;

    memset(&rq, 0xff, sizeof rq);
    dev_char_rq_init(&rq, nothing);
    ck_assert_ptr_eq(dev_char_rq_from_kr(&rq.kr), &rq);
    ck_assert_ptr_eq(dev_char_rq_cast(&rq.base), &rq);
    expect_fresh(&rq, KROUTINE_DEFERRED);
    dev_char_rq_init_immediate(&rq, nothing);
    expect_fresh(&rq, KROUTINE_IMMEDIATE);
    dev_char_rq_init_sched_switch(&rq, nothing);
    expect_fresh(&rq, KROUTINE_SCHED_SWITCH);
    dev_char_rq_init_seq(&rq, nothing, &seq);
    ck_assert_ptr_eq(rq.kr.target.seq, &seq);
    expect_fresh(&rq, KROUTINE_SEQ_DEFERRED);
    dev_char_rq_init_queue(&rq, nothing, &queue);
    ck_assert_ptr_eq(rq.kr.target.queue, &queue);
    expect_fresh(&rq, KROUTINE_QUEUE);
}
END_TEST

START_TEST(queues)
{
    struct dev_request_queue_root_s q;
    struct dev_char_rq_s rq[5];

    dev_rq_queue_init(&q);
    ck_assert(dev_rq_queue_isempty(&q));
    ck_assert_ptr_null(dev_char_rq_pop(&q));
    for (unsigned i = 0; i < 5; i++)
        dev_char_rq_pushback(&q, &rq[i]);
    ck_assert_ptr_eq(dev_char_rq_head(&q), &rq[0]);
    dev_char_rq_remove(&q, &rq[2]);
    dev_char_rq_remove(&q, &rq[4]);
    ck_assert_ptr_eq(dev_char_rq_pop(&q), &rq[0]);
    dev_char_rq_pushback(&q, &rq[4]);
    dev_char_rq_remove(&q, &rq[1]);
    ck_assert_ptr_eq(dev_char_rq_pop(&q), &rq[3]);
    ck_assert(!dev_rq_queue_isempty(&q));
    ck_assert_ptr_eq(dev_char_rq_pop(&q), &rq[4]);
    ck_assert(dev_rq_queue_isempty(&q));
    ck_assert_ptr_null(dev_char_rq_head(&q));
}
END_TEST

/* --- waiting --- */

static KROUTINE_EXEC(waits_on_the_reactor)
{
    struct kt_probe_s *probe = KROUTINE_CONTAINER(kr, struct kt_probe_s, kr);
    struct dev_char_rq_s rq = {.size = 1};

    (void)flags;
    dev_char_rq_init(&rq, nothing);
    rq.type = DEV_CHAR_DISCARD;
    ck_assert_int_eq(dev_char_wait_rq(&dev, &rq), -EDEADLK);
    ck_assert_int_eq(rq.error, -EDEADLK);
    ck_assert_int_eq((int)dev_char_wait_op(&dev, DEV_CHAR_DISCARD, NULL, 1), -EDEADLK);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &rq.base), -EDEADLK);
    kt_inc(&probe->runs);
}

START_TEST(waiting)
{
    struct kt_target_s target = {.rt = NULL};
    struct device_uart_s uart = DEVICE_ACCESSOR_INIT;
    struct dev_char_rq_s rq = {.type = DEV_CHAR_DISCARD, .size = 1, .pvuint = 7};
    struct kt_probe_s probe = {.runs = 0};

    open_mock();
    ck_assert_int_eq(dev_char_wait_rq(&dev, &rq), 0);
    ck_assert_uint_eq(rq.pvuint, 7);
    rq.size = 0;
    ck_assert_int_eq(dev_char_wait_rq(&dev, &rq), -EINVAL);
    ck_assert_int_eq((int)dev_char_wait_op(&dev, DEV_CHAR_TYPES, NULL, 1), -EINVAL);
    ck_assert_int_eq((int)dev_char_wait_op(&dev, DEV_CHAR_READ, NULL, 0), -EINVAL);
    ck_assert_int_eq(device_get_accessor(&uart.base, dev.dev, DRIVER_CLASS_UART), 0);
    ck_assert_int_eq(dev_request_wait(&uart.base, &rq.base), -ENOTSUP);
    device_put_accessor(&uart.base);
    target.rt = env.rt;
    kt_init_policy(&probe.kr, waits_on_the_reactor, KROUTINE_SCHED_SWITCH, &target);
    kroutine_exec(&probe.kr);
    kt_await(&env, kt_get(&probe.runs) == 1);
    close_mock();
    rq.size = 1;
    ck_assert_int_eq(dev_char_wait_rq(&dev, &rq), -ECANCELED); /* not open */
}
END_TEST

static void *waits_for_ever(void *arg)
{
    uint8_t byte;

    ck_assert_int_eq((int)dev_char_wait_op(arg, DEV_CHAR_READ, &byte, 1), -ECANCELED);
    return NULL;
}

START_TEST(waiting_when_the_runtime_ends)
{
    pthread_t thread;

    open_mock();
    thread = kt_thread(waits_for_ever, &dev);
    kt_sleep_ms(20);
    kt_env_close(&env);
    kt_join(thread);
    device_put_accessor(&dev.base);
}
END_TEST

START_TEST(what_waiting_returns)
{
    struct device_char_s s = DEVICE_ACCESSOR_INIT;
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq = {.deadline = 1};
    uint8_t bytes[8];
    char spec[32];
    int sv[2];

    set_up();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(get(&s, spec), 0);
    close(sv[0]);
    ck_assert_int_eq((int)dev_char_timedwait_op(&s, DEV_CHAR_READ, bytes, 8, KROUTINE_MSEC(2)),
                     -ETIMEDOUT);
    ck_assert_int_eq((int)write(sv[1], "abc", 3), 3);
    ck_assert_int_eq((int)dev_char_timedwait_op(&s, DEV_CHAR_READ, bytes, 8, KROUTINE_MSEC(2)), 3);
    ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_READ_NONBLOCK, bytes, 8), 0);
    ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_WRITE_POLL, NULL, 0), 0);
    ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_WRITE, bytes, 3), 3);
    ck_assert_int_eq((int)read(sv[1], bytes, 8), 3);
    ck_assert_int_eq((int)write(sv[1], "de", 2), 2);
    close(sv[1]);
    ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_READ, bytes, 8), 2); /* then the end */
    ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_READ, bytes, 8), -ENODATA);
    device_put_accessor(&s.base);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "timer0", DRIVER_CLASS_TIMER),
                     0);
    ck_assert_int_eq(dev_timer_wait_rq(&timer, &rq), -ETIMEDOUT);
    rq.delay = 1000;
    ck_assert_int_eq(dev_timer_wait_rq(&timer, &rq), 0);
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}
END_TEST

/* --- waiting for a cancel --- */

struct op_s {
    struct dev_char_rq_s rq;
    unsigned started;
    unsigned over;
    unsigned ms;     /* that the handler takes */
    unsigned repeat; /* times that the handler submits again */
    unsigned repeat_type;
    error_t inner; /* of a cancel_wait in the handler */
};

static KROUTINE_EXEC(op_handler)
{
    struct op_s *op = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct op_s, rq);

    (void)flags;
    kt_inc(&op->started);
    kt_sleep_ms(op->ms);
    op->inner = dev_request_cancel_wait(&dev.base, &op->rq.base);
    kt_inc(&op->over);
    if (op->repeat) {
        op->repeat--;
        op->rq.type = (uint8_t)op->repeat_type;
        DEVICE_OP(&dev, request, &op->rq);
    }
}

static void op_submit(struct op_s *op, unsigned type, bool immediate)
{
    if (immediate)
        dev_char_rq_init_immediate(&op->rq, op_handler);
    else
        dev_char_rq_init(&op->rq, op_handler);
    op->rq.size = 1;
    op->rq.type = (uint8_t)type;
    DEVICE_OP(&dev, request, &op->rq);
}

START_TEST(cancel_wait_of_what_is_pending)
{
    struct op_s op = {.ms = 0};

    open_mock();
    op_submit(&op, DEV_CHAR_READ, false);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), 0);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), -EBUSY); /* over already */
    kt_idle(&env, 10);
    ck_assert_uint_eq(op.started, 0);
    close_mock();
}
END_TEST

START_TEST(cancel_wait_waits_for_the_handler)
{
    struct op_s op = {.ms = 50};

    open_mock();
    op_submit(&op, DEV_CHAR_DISCARD, false);
    kt_await(&env, kt_get(&op.started) == 1);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), -EBUSY);
    ck_assert_uint_eq(op.over, 1);
    ck_assert_int_eq(op.inner, -EDEADLK); /* from its own handler */
    close_mock();
}
END_TEST

static void *submit_in_thread(void *arg)
{
    op_submit(arg, DEV_CHAR_DISCARD, true);
    return NULL;
}

/* In the stack of another thread's submit. */
START_TEST(cancel_wait_waits_for_an_immediate_handler)
{
    struct op_s op = {.ms = 50};
    pthread_t thread;

    open_mock();
    thread = kt_thread(submit_in_thread, &op);
    kt_await(&env, kt_get(&op.started) == 1);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), -EBUSY);
    ck_assert_uint_eq(op.over, 1);
    kt_join(thread);
    ck_assert_int_eq(op.inner, -EDEADLK);
    close_mock();
}
END_TEST

/* Completed, but the workers are busy: its handler has not started. */
START_TEST(cancel_wait_of_what_waits_for_a_worker)
{
    struct op_s blocking[2] = {{.ms = 50}, {.ms = 50}}, op = {.ms = 1};

    open_mock();
    op_submit(&blocking[0], DEV_CHAR_DISCARD, false);
    op_submit(&blocking[1], DEV_CHAR_DISCARD, false);
    kt_await(&env, kt_get(&blocking[0].started) && kt_get(&blocking[1].started));
    op_submit(&op, DEV_CHAR_DISCARD, false);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), -EBUSY);
    ck_assert_uint_eq(op.over, 1);
    close_mock();
}
END_TEST

/* The handler submits again, and that one is pending: cancelled in its turn. */
START_TEST(cancel_wait_of_a_reader_in_a_loop)
{
    struct op_s op = {.ms = 20, .repeat = 3, .repeat_type = DEV_CHAR_READ};

    open_mock();
    op_submit(&op, DEV_CHAR_DISCARD, false);
    kt_await(&env, kt_get(&op.started) == 1);
    ck_assert_int_eq(dev_request_cancel_wait(&dev.base, &op.rq.base), 0);
    ck_assert_uint_eq(op.over, 1);
    ck_assert_uint_eq(op.repeat, 2);
    close_mock();
}
END_TEST

static KROUTINE_EXEC(fast_handler)
{
    struct op_s *op = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct op_s, rq);

    (void)flags;
    op->started++; /* not atomic: cancel_wait orders it */
    op->over++;
}

/* A reader and its data at once: what cancel_wait says is what happened, and the memory is free to
   use as soon as it has said so. */
START_TEST(cancel_wait_races_with_the_end)
{
    struct device_char_s s = DEVICE_ACCESSOR_INIT;
    struct op_s *op;
    uint8_t byte;
    char spec[32];
    unsigned ran = 0, cancelled = 0;
    int sv[2];

    set_up();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(get(&s, spec), 0);
    close(sv[0]);
    for (unsigned i = 0; i < kt_count(20000); i++) {
        error_t err;

        op = calloc(1, sizeof *op);
        if (i % 3)
            dev_char_rq_init(&op->rq, fast_handler);
        else
            dev_char_rq_init_immediate(&op->rq, fast_handler);
        op->rq.type = DEV_CHAR_READ;
        op->rq.data = &byte;
        op->rq.size = 1;
        DEVICE_OP(&s, request, &op->rq);
        ck_assert_int_eq((int)write(sv[1], "x", 1), 1);
        for (volatile unsigned spin = i % 64 * 64; spin; spin--)
            ;
        err = dev_request_cancel_wait(&s.base, &op->rq.base);
        ck_assert_uint_eq(op->over, err ? 1 : 0);
        if (err)
            ran++;
        else
            cancelled++;
        memset(op, 0xff, sizeof *op);
        free(op);
        if (!err) /* the byte is still there: none is lost to a cancel */
            ck_assert_int_eq((int)dev_char_wait_op(&s, DEV_CHAR_READ, &byte, 1), 1);
    }
    ck_assert_uint_eq(ran + cancelled, kt_count(20000));
    device_put_accessor(&s.base);
    close(sv[1]);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("request");

    kt_add(s, initialisers, 20);
    kt_add(s, queues, 20);
    kt_add(s, waiting, 20);
    kt_add(s, waiting_when_the_runtime_ends, 20);
    kt_add(s, what_waiting_returns, 20);
    kt_add(s, cancel_wait_of_what_is_pending, 20);
    kt_add(s, cancel_wait_waits_for_the_handler, 20);
    kt_add(s, cancel_wait_waits_for_an_immediate_handler, 20);
    kt_add(s, cancel_wait_of_what_waits_for_a_worker, 20);
    kt_add(s, cancel_wait_of_a_reader_in_a_loop, 20);
    kt_add(s, cancel_wait_races_with_the_end, 60);
    return s;
}
