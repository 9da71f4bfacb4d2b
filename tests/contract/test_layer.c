/* SPDX-License-Identifier: MIT */
/*
 * The frame of drivers on top of another device, seen through one of them: order, cancel, time-out,
 * close and the end of the runtime, with the request below in each of its states.
 */
#include <stdio.h>

#include "chip_op.h"
#include "mock_bus.h"

static struct kt_env_s env;
static struct device_mem_s mem;
static uint8_t data[4096];

static const char *label(int round)
{
    static const char *const modes[] = {"inside the submit", "on its thread", "held"};
    static char text[64];

    snprintf(text, sizeof(text), "%s, bus ends requests %s", kt_mode_label(round % KT_MODES),
             modes[round / KT_MODES]);
    return text;
}

#define HELD (BUS_HELD * KT_MODES)

static const char *held_label(int round)
{
    return label(HELD + round);
}

static void open_chip(int round)
{
    world_reset();
    world.mode = (enum bus_mode_e)(round / KT_MODES);
    ck_assert_int_eq(driver_register(&bus_driver), 0);
    ck_assert_int_eq(chips_register(), 0);
    kt_env_open(&env, (enum kt_mode_e)(round % KT_MODES));
    ck_assert_int_eq(device_get_accessor_by_path(&mem.base, kroutine_runtime_devices(env.rt),
                                                 "at24:mock-bus:a?size=4096&page=32",
                                                 DRIVER_CLASS_MEM),
                     0);
}

static void close_chip(void)
{
    device_put_accessor(&mem.base);
    ck_assert_ptr_eq(world.bus, NULL);
    kt_env_close(&env);
}

static void submit(struct op_s *op, enum dev_mem_rq_type_e type, uint64_t addr, size_t size)
{
    op_mem(op, type, addr, data, size);
    DEVICE_OP(&mem, request, &op->mem);
}

static error_t cancel(struct op_s *op)
{
    return DEVICE_OP(&mem, cancel, &op->mem);
}

static void finish_below(void)
{
    kt_await(&env, bus_queued());
    bus_start();
    bus_end();
}

/* --- order, priority --- */

START_TEST(one_after_the_other)
{
    struct op_s op[20];

    open_chip(_i);
    for (unsigned i = 0; i < 20; i++) {
        op_mem(&op[i], DEV_MEM_READ, i, data + i, 1);
        kroutine_init_immediate(&op[i].rq.kr, op_over);
        DEVICE_OP(&mem, request, &op[i].mem);
    }
    for (unsigned i = 0; i < 20; i++) {
        if (world.mode == BUS_HELD)
            finish_below();
        ck_assert_int_eq(op_await(&op[i], &env), 0);
        ck_assert_uint_eq(op[i].mem.addr, i + 1);
        ck_assert(i == 0 || op[i].stamp > op[i - 1].stamp);
    }
    ck_assert_uint_eq(world.requests, 20);
    close_chip();
}
END_TEST

START_TEST(priority_goes_along)
{
    struct op_s op;

    open_chip(_i);
    op_mem(&op, DEV_MEM_READ, 0, data, 1);
    kroutine_set_priority(&op.rq.kr, 5);
    DEVICE_OP(&mem, request, &op.mem);
    if (world.mode == BUS_HELD)
        finish_below();
    ck_assert_int_eq(op_await(&op, &env), 0);
    ck_assert_uint_eq(world.priority, 5);
    close_chip();
}
END_TEST

/* --- cancel, in each state --- */

START_TEST(cancel_while_it_waits)
{
    struct op_s first, second;

    open_chip(HELD + _i);
    submit(&first, DEV_MEM_READ, 0, 1);
    submit(&second, DEV_MEM_READ, 1, 1);
    ck_assert_int_eq(cancel(&second), 0);
    finish_below();
    ck_assert_int_eq(op_await(&first, &env), 0);
    kt_idle(&env, 5);
    ck_assert(!bus_queued() && !kt_get(&second.done));
    ck_assert_int_eq(cancel(&first), -EBUSY);
    close_chip();
}
END_TEST

/* The request below waits too, and is taken back; the next one has its turn. */
START_TEST(cancel_while_the_one_below_waits)
{
    struct op_s first, second;

    open_chip(HELD + _i);
    submit(&first, DEV_MEM_READ, 0, 1);
    submit(&second, DEV_MEM_READ, 1, 1);
    kt_await(&env, bus_queued());
    ck_assert_int_eq(cancel(&first), 0);
    finish_below();
    ck_assert_int_eq(op_await(&second, &env), 0);
    ck_assert_uint_eq(world.requests, 1);
    ck_assert_uint_eq(kt_get(&first.done), 0);
    close_chip();
}
END_TEST

/* It cannot be taken back: what it did counts, and nothing more is done. */
START_TEST(cancel_while_the_one_below_is_at_work)
{
    struct op_s op, single;

    open_chip(HELD + _i);
    submit(&op, DEV_MEM_READ, 0, 1000);
    kt_await(&env, bus_queued());
    bus_start();
    ck_assert_int_eq(cancel(&op), -EBUSY);
    ck_assert_int_eq(cancel(&op), -EBUSY);
    bus_end();
    ck_assert_int_eq(op_await(&op, &env), -ECANCELED);
    ck_assert_uint_eq(op.mem.size, 1000 - 256);
    ck_assert_uint_eq(world.requests, 1);

    submit(&single, DEV_MEM_READ, 0, 10); /* it was the last part: it is over */
    kt_await(&env, bus_queued());
    bus_start();
    ck_assert_int_eq(cancel(&single), -EBUSY);
    bus_end();
    ck_assert_int_eq(op_await(&single, &env), 0);
    close_chip();
}
END_TEST

/* Between two polls; the chip stays busy, which the next request takes in its stride. */
START_TEST(cancel_in_a_pause)
{
    struct op_s op;

    open_chip(_i);
    world.cycle = 24;
    submit(&op, DEV_MEM_WRITE, 0, 32);
    if (world.mode == BUS_HELD) {
        finish_below();
        finish_below();
    }
    kt_await(&env, bus_refused() >= 1 || kt_get(&op.done));
    if (cancel(&op) == 0)
        ck_assert_uint_eq(op.mem.size, 0);
    else
        kt_await(&env, kt_get(&op.done));
    submit(&op, DEV_MEM_READ, 0, 1);
    while (world.mode == BUS_HELD && !kt_get(&op.done)) {
        kt_pause(&env);
        if (bus_queued())
            finish_below();
    }
    ck_assert_int_eq(op_await(&op, &env), 0);
    close_chip();
}
END_TEST

START_TEST(cancelled_or_ended)
{
    struct op_s op[8];
    unsigned ended = 0, taken = 0;

    open_chip(_i);
    for (unsigned round = 0; round < kt_count(400); round++) {
        error_t err[8];

        for (unsigned i = 0; i < 8; i++)
            submit(&op[i], DEV_MEM_READ, i, 1 + i * 100);
        for (unsigned i = 0; i < 8; i++) {
            if (round % 3 == 0)
                kt_pause(&env);
            err[i] = cancel(&op[(i * 5 + round) % 8]);
        }
        for (unsigned i = 0; i < 8; i++) {
            struct op_s *at = &op[(i * 5 + round) % 8];

            ck_assert(err[i] == 0 || err[i] == -EBUSY);
            taken += err[i] == 0;
            ended += err[i] != 0;
            if (err[i])
                kt_await(&env, kt_get(&at->done));
            else
                ck_assert_uint_eq(kt_get(&at->done), 0);
            ck_assert(!kt_get(&at->done) || at->error == 0 || at->error == -ECANCELED);
        }
    }
    ck_assert_uint_eq(ended + taken, 8 * kt_count(400));
    close_chip();
}
END_TEST

/* --- time-outs --- */

START_TEST(late_while_the_bus_is_held)
{
    struct op_s first, second;

    open_chip(HELD + _i);
    world.at_work = true; /* virtual time does not wait for this thread */
    op_mem(&first, DEV_MEM_READ, 0, data, 1000);
    op_mem(&second, DEV_MEM_READ, 0, data, 1);
    dev_request_set_timeout(&first.rq, KROUTINE_MSEC(20));
    dev_request_set_timeout(&second.rq, KROUTINE_MSEC(10));
    DEVICE_OP(&mem, request, &first.mem);
    DEVICE_OP(&mem, request, &second.mem);
    ck_assert_int_eq(op_await(&second, &env), -ETIMEDOUT);
    kt_idle(&env, 30);
    ck_assert_uint_eq(kt_get(&first.done), 0); /* the bus has its buffer */
    bus_end();
    ck_assert_int_eq(op_await(&first, &env), -ETIMEDOUT);
    ck_assert_uint_eq(first.mem.size, 1000 - 256);
    close_chip();
}
END_TEST

START_TEST(late_while_the_one_below_waits)
{
    struct op_s op;

    open_chip(HELD + _i);
    op_mem(&op, DEV_MEM_READ, 0, data, 1);
    dev_request_set_timeout(&op.rq, KROUTINE_MSEC(10));
    DEVICE_OP(&mem, request, &op.mem);
    ck_assert_int_eq(op_await(&op, &env), -ETIMEDOUT);
    ck_assert(!bus_queued());
    close_chip();
}
END_TEST

START_TEST(late_in_a_pause)
{
    struct op_s op;

    open_chip(_i);
    world.cycle = 1000000;
    op_mem(&op, DEV_MEM_WRITE, 0, data, 64);
    dev_request_set_timeout(&op.rq, KROUTINE_MSEC(3));
    DEVICE_OP(&mem, request, &op.mem);
    ck_assert_int_eq(op_await(&op, &env), -ETIMEDOUT);
    ck_assert_uint_gt(op.mem.size, 0);
    ck_assert_uint_lt(bus_refused(), 26); /* the driver has not given up by itself */
    close_chip();
}
END_TEST

/* --- close --- */

START_TEST(closed_with_requests)
{
    struct op_s op[5];

    open_chip(_i);
    for (unsigned i = 0; i < 5; i++) {
        op_mem(&op[i], DEV_MEM_READ, 0, data, 1000);
        kroutine_init_immediate(&op[i].rq.kr, op_over);
        DEVICE_OP(&mem, request, &op[i].mem);
    }
    if (world.mode == BUS_HELD && env.embedded) {
        kt_await(&env, bus_queued());
        bus_start();
    }
    device_put_accessor(&mem.base);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(kt_get(&op[i].done), 1); /* before it returns */
        ck_assert(op[i].error == -ECANCELED || (op[i].error == 0 && world.mode != BUS_HELD));
    }
    if (world.mode == BUS_HELD) /* the bus was closed with it, and ended what it was at */
        ck_assert_uint_eq(op[0].mem.size, env.embedded ? 1000 - 256 : 1000);
    kt_env_close(&env);
}
END_TEST

/* Somebody else keeps the bus open: nobody waits for it. */
START_TEST(closed_before_the_bus_is_through)
{
    struct device_i2c_s bus;
    struct op_s op;

    open_chip(HELD + _i);
    ck_assert_int_eq(device_get_accessor_by_path(&bus.base, kroutine_runtime_devices(env.rt),
                                                 "mock-bus:a", DRIVER_CLASS_I2C),
                     0);
    submit(&op, DEV_MEM_READ, 0, 1000);
    kt_await(&env, bus_queued());
    bus_start();
    device_put_accessor(&mem.base);
    ck_assert_int_eq(op_await(&op, &env), -ECANCELED);
    memset(&op, 0x55, sizeof(op)); /* it is ours */
    bus_end();
    kt_idle(&env, 5);
    device_put_accessor(&bus.base);
    kt_env_close(&env);
}
END_TEST

static void put_accessor(struct op_s *op)
{
    (void)op;
    device_put_accessor(&mem.base);
}

START_TEST(closed_by_a_handler)
{
    struct op_s op[3];

    open_chip(_i);
    for (unsigned i = 0; i < 3; i++) {
        op_mem(&op[i], DEV_MEM_READ, 0, data, 1);
        kroutine_init_immediate(&op[i].rq.kr, op_over);
    }
    op[0].then = put_accessor;
    /* Otherwise it would be closed by the first while the second is being submitted. */
    for (unsigned i = 0; i < (world.mode == BUS_HELD ? 3 : 1); i++)
        DEVICE_OP(&mem, request, &op[i].mem);
    if (world.mode == BUS_HELD)
        finish_below();
    ck_assert_int_eq(op_await(&op[0], &env), 0);
    if (world.mode == BUS_HELD) {
        ck_assert_int_eq(op_await(&op[1], &env), -ECANCELED);
        ck_assert_int_eq(op_await(&op[2], &env), -ECANCELED);
    }
    kt_env_close(&env);
}
END_TEST

START_TEST(runtime_ends_with_requests)
{
    struct op_s op[3];

    open_chip(_i);
    for (unsigned i = 0; i < 3; i++)
        submit(&op[i], DEV_MEM_READ, 0, 1000);
    if (world.mode == BUS_HELD) {
        kt_await(&env, bus_queued());
        bus_start();
    }
    kt_env_close(&env);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(kt_get(&op[i].done), 1);
        ck_assert(op[i].error == -ECANCELED || (op[i].error == 0 && world.mode != BUS_HELD));
    }
    device_put_accessor(&mem.base);
}
END_TEST

/* --- the device below --- */

START_TEST(unplugged)
{
    struct op_s op[3];

    open_chip(_i);
    world.gone = true;
    for (unsigned i = 0; i < 3; i++)
        submit(&op[i], DEV_MEM_READ, 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        if (world.mode == BUS_HELD)
            finish_below();
        ck_assert_int_eq(op_await(&op[i], &env), -ENODEV);
    }
    close_chip();
}
END_TEST

START_TEST(bad_specs)
{
    static const char *const specs[] = {"at24:?size=256", "at24:mock-bus:a",
                                        "at24:mock-bus:a?size=300", "at24:mock-bus:a?size=256&x=1",
                                        "at24:mock-bus:a?size=2048&addr=0x51"};
    static const char *const texts[] = {"below is missing", "size=", "size=300", "'x'", "addr="};
    struct device_mem_s acc = DEVICE_ACCESSOR_INIT;

    open_chip(_i);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                     specs[i], DRIVER_CLASS_MEM),
                         -EINVAL);
        ck_assert_msg(strstr(kroutine_error_text(), texts[i]), "%s", kroutine_error_text());
    }
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "at24:timer0?size=256", DRIVER_CLASS_MEM),
                     -ENOTSUP);
    close_chip();
}
END_TEST

Suite *kt_suite(void)
{
    const int all = BUS_MODES * KT_MODES;
    Suite *s = suite_create("layer");

    kt_add_loop(s, one_after_the_other, all, label, 20);
    kt_add_loop(s, priority_goes_along, all, label, 20);
    kt_add_loop(s, cancel_while_it_waits, KT_MODES, held_label, 20);
    kt_add_loop(s, cancel_while_the_one_below_waits, KT_MODES, held_label, 20);
    kt_add_loop(s, cancel_while_the_one_below_is_at_work, KT_MODES, held_label, 20);
    kt_add_loop(s, cancel_in_a_pause, all, label, 20);
    kt_add_loop(s, cancelled_or_ended, HELD, label, 120);
    kt_add_loop(s, late_while_the_bus_is_held, KT_MODES, held_label, 20);
    kt_add_loop(s, late_while_the_one_below_waits, KT_MODES, held_label, 20);
    kt_add_loop(s, late_in_a_pause, HELD, label, 20);
    kt_add_loop(s, closed_with_requests, all, label, 20);
    kt_add_loop(s, closed_before_the_bus_is_through, KT_MODES, held_label, 20);
    kt_add_loop(s, closed_by_a_handler, all, label, 20);
    kt_add_loop(s, runtime_ends_with_requests, all, label, 20);
    kt_add_loop(s, unplugged, all, label, 20);
    kt_add_loop(s, bad_specs, all, label, 20);
    return s;
}
