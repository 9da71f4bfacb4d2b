/* SPDX-License-Identifier: MIT */
/* The bus threads: order, who waits, and what goes on while one is held for seconds. */
#include "held.h"

/* --- order --- */

START_TEST(highest_priority_first)
{
    static const unsigned priority[] = {0, 0, 7, 3, 9, 3, 0, 7};
    static const unsigned order[] = {0, 2, 4, 7, 3, 5, 1, 6}; /* 9 is 7 */

    set_up();
    for (unsigned i = 0; i < 8; i++)
        kroutine_set_priority(&ops[i].rq.kr, priority[i]);
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 8; i++)
        submit(&a, i);
    permit(0, 8);
    for (unsigned i = 0; i < 8; i++)
        expect(i, 0);
    for (unsigned i = 1; i < 8; i++)
        ck_assert_uint_lt(kt_get(&ops[order[i - 1]].stamp), kt_get(&ops[order[i]].stamp));
    tear_down();
}
END_TEST

/* Of 20 high ones, the low ones come after at most eight each. */
START_TEST(a_lower_level_is_not_starved)
{
    unsigned low[2], before[2] = {0, 0};

    set_up();
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 21; i++) {
        kroutine_set_priority(&ops[i].rq.kr, 5);
        submit(&a, i);
    }
    kroutine_set_priority(&ops[22].rq.kr, 3);
    submit(&a, 21);
    submit(&a, 22);
    permit(0, 23);
    for (unsigned i = 0; i < 23; i++)
        expect(i, 0);
    for (unsigned n = 0; n < 2; n++) {
        low[n] = kt_get(&ops[21 + n].stamp);
        for (unsigned i = 1; i < 21; i++)
            before[n] += kt_get(&ops[i].stamp) < low[n];
    }
    ck_assert_uint_eq(before[0] < before[1] ? before[0] : before[1], 8);
    ck_assert_uint_eq(before[0] < before[1] ? before[1] : before[0], 16);
    tear_down();
}
END_TEST

START_TEST(one_at_a_time_whatever_the_device)
{
    set_up();
    open_device(&b, "held:0/b");
    for (unsigned i = 0; i < 20; i++)
        submit(i % 2 ? &b : &a, i);
    permit(0, 20);
    for (unsigned i = 0; i < 20; i++)
        expect(i, 0);
    for (unsigned i = 1; i < 20; i++)
        ck_assert_uint_lt(kt_get(&ops[i - 1].stamp), kt_get(&ops[i].stamp));
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    tear_down();
}
END_TEST

/* Handlers on the bus thread are in no interruptible context: they hold the bus. */
START_TEST(where_handlers_run)
{
    set_up();
    kroutine_init_interruptible(&ops[1].rq.kr, over);
    permit(0, 2);
    submit(&a, 0);
    expect(0, 0);
    submit(&a, 1);
    expect(1, 0);
    ck_assert(pthread_equal(ops[0].thread, gates[0].thread));
    ck_assert(!ops[0].interruptible);
    ck_assert(!pthread_equal(ops[1].thread, gates[0].thread));
    ck_assert(ops[1].interruptible);
    tear_down();
}
END_TEST

/* --- waiting --- */

/* By the waiting thread itself if the bus has nothing to do, else by that of the bus. */
START_TEST(who_waits_performs)
{
    char byte;

    set_up();
    permit(0, 1);
    ck_assert_int_eq(dev_i2c_wait_read(&a, 1, &byte, 1), 0);
    ck_assert(pthread_equal(gates[0].thread, pthread_self()));
    submit(&a, 0);
    await_inside(0);
    permit(0, 2);
    ck_assert_int_eq(dev_i2c_wait_read(&a, 1, &byte, 1), 0);
    expect(0, 0);
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    tear_down();
}
END_TEST

static void *wait_read(void *arg)
{
    char byte;

    *(error_t *)arg = dev_i2c_wait_read(&a, 1, &byte, 1);
    return NULL;
}

/* What is submitted while a waiting thread performs is the bus thread's. */
START_TEST(others_while_one_waits)
{
    pthread_t thread;
    error_t err = 1;

    set_up();
    thread = kt_thread(wait_read, &err);
    await_inside(0);
    submit(&a, 0);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), 0);
    submit(&a, 1);
    permit(0, 2);
    kt_join(thread);
    expect(1, 0);
    ck_assert_int_eq(err, 0);
    ck_assert(!pthread_equal(gates[0].thread, thread));
    tear_down();
}
END_TEST

static error_t waited;

static void wait_in_handler(struct op_s *op)
{
    char byte;

    (void)op;
    waited = dev_i2c_wait_read(&a, 1, &byte, 1);
}

START_TEST(waiting_for_oneself_is_refused)
{
    setenv("KROUTINE_CHECK", "0", 1); /* it would stop the program at a call of a handler */
    set_up();
    ops[0].then = wait_in_handler;
    submit(&a, 0);
    permit(0, 1);
    expect(0, 0);
    ck_assert_int_eq(waited, -EDEADLK);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 1);
    tear_down();
}
END_TEST

static void wait_for_b(struct op_s *op)
{
    char byte;

    (void)op;
    waited = dev_i2c_wait_read(&b, 1, &byte, 1);
}

/* The thread of a bus in the call of another, which it performs itself or waits for. */
START_TEST(waiting_for_another_bus)
{
    setenv("KROUTINE_CHECK", "0", 1); /* it would stop the program at a call of a handler */
    set_up();
    open_device(&b, "held:1");
    ops[0].then = wait_for_b;
    if (_i) {
        submit(&b, 1);
        await_inside(1);
    }
    submit(&a, 0);
    permit(0, 1);
    permit(1, 1 + (unsigned)_i);
    expect(0, 0);
    ck_assert_int_eq(waited, 0);
    ck_assert_uint_eq(kt_get(&gates[1].parts), 1 + (unsigned)_i);
    tear_down();
}
END_TEST

static void *wait_often(void *arg)
{
    char byte;

    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(dev_i2c_wait_read(arg, 1, &byte, 1), 0);
    return NULL;
}

static void again(struct op_s *op)
{
    if (op->rq.pvuint++ < 199)
        DEVICE_OP(op->rq.count == 1 ? &a : &b, request, &op->rq);
}

/* Threads that wait and handlers that submit again, on two devices: never two at once. */
START_TEST(all_at_once)
{
    pthread_t threads[4];

    set_up();
    open_device(&b, "held:0/b");
    permit(0, 100000);
    for (unsigned i = 0; i < 4; i++) {
        dev_i2c_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 1;
        ops[i].then = again;
        submit(&a, i);
    }
    for (unsigned i = 0; i < 4; i++)
        threads[i] = kt_thread(wait_often, i % 2 ? &b : &a);
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    for (unsigned i = 0; i < 4; i++)
        kt_await(NULL, kt_get(&ops[i].done) == 200);
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 8 * 200);
    tear_down();
}
END_TEST

/* --- one that takes two seconds --- */

enum what_e { TRANSFERS, TICKS, CHARS, RUNS, WHATS };

struct work_s {
    struct dev_char_rq_s chr;
    struct dev_timer_rq_s timer;
    struct kroutine_s deferred;
    uint8_t byte;
    unsigned count[WHATS]; /* atomic */
};

static struct work_s work;
static struct device_char_s line;
static struct device_timer_s timer;
static unsigned stopping; /* atomic */

static KROUTINE_EXEC(char_moved)
{
    kt_inc(&work.count[CHARS]);
    if (kt_get(&stopping))
        return;
    work.chr.type = work.chr.type == DEV_CHAR_WRITE ? DEV_CHAR_READ : DEV_CHAR_WRITE;
    work.chr.data = &work.byte;
    work.chr.size = 1;
    DEVICE_OP(&line, request, &work.chr);
}

static KROUTINE_EXEC(ticked)
{
    kt_inc(&work.count[TICKS]);
    if (!kt_get(&stopping))
        DEVICE_OP(&timer, request, &work.timer);
}

static KROUTINE_EXEC(ran)
{
    kt_inc(&work.count[RUNS]);
    if (!kt_get(&stopping))
        kroutine_exec(kr);
}

static void other_bus(struct op_s *op)
{
    kt_inc(&work.count[TRANSFERS]);
    if (!kt_get(&stopping)) {
        permit(1, 1);
        DEVICE_OP(&b, request, &op->rq);
    }
}

static void start_work(void)
{
    struct device_s *root = kroutine_runtime_devices(env.rt);

    ck_assert_int_eq(device_get_accessor_by_path(&line.base, root, "sim-char:x?latency=100000",
                                                 DRIVER_CLASS_CHAR),
                     0);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "timer0", DRIVER_CLASS_TIMER),
                     0);
    dev_char_rq_init(&work.chr, char_moved);
    work.chr.type = DEV_CHAR_WRITE;
    work.chr.data = &work.byte;
    work.chr.size = 1;
    DEVICE_OP(&line, request, &work.chr);
    dev_timer_rq_init_immediate(&work.timer, ticked);
    work.timer.delay = KROUTINE_MSEC(1);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &work.timer), 0);
    kroutine_init_deferred(&work.deferred, ran);
    kroutine_bind(&work.deferred, env.rt);
    kroutine_exec(&work.deferred);
    ops[1].then = other_bus;
    dev_i2c_rq_init(&ops[1].rq, over);
    ops[1].rq.list = ops[1].list;
    ops[1].rq.count = 1;
    submit(&b, 1);
    permit(1, 1);
}

/* While bus 0 is in one transfer, all else goes on. What starves does nothing; a hundred of each is
   far below what a busy machine does. */
START_TEST(a_transfer_of_two_seconds_holds_its_bus_only)
{
    unsigned did[WHATS];

    set_up();
    open_device(&b, "held:1");
    start_work();
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 0; i < WHATS; i++)
        did[i] = kt_get(&work.count[i]);
    kt_sleep_ms(2000);
    for (unsigned i = 0; i < WHATS; i++)
        did[i] = kt_get(&work.count[i]) - did[i];
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    permit(0, 1);
    expect(0, 0);
    kt_set(&stopping, 1);
    printf("# while the bus was held for 2 s: %u transfers on another bus, %u ticks of a 1 ms "
           "timer, %u characters, %u deferred handlers\n",
           did[TRANSFERS], did[TICKS], did[CHARS], did[RUNS]);
    for (unsigned i = 0; i < WHATS; i++)
        ck_assert_uint_ge(did[i], 100);
    permit(1, 1);
    device_put_accessor(&line.base);
    device_put_accessor(&timer.base);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bus");

    kt_add(s, highest_priority_first, 10);
    kt_add(s, a_lower_level_is_not_starved, 10);
    kt_add(s, one_at_a_time_whatever_the_device, 10);
    kt_add(s, where_handlers_run, 10);
    kt_add(s, who_waits_performs, 10);
    kt_add(s, others_while_one_waits, 10);
    kt_add(s, waiting_for_oneself_is_refused, 10);
    kt_add_loop(s, waiting_for_another_bus, 2, NULL, 10);
    kt_add(s, all_at_once, 30);
    kt_add(s, a_transfer_of_two_seconds_holds_its_bus_only, 30);
    return s;
}
