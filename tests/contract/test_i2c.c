/* SPDX-License-Identifier: MIT */
/* The i2c class on a simulated bus: what chips do, errors, and calls that wait. */
#include "i2c.h"

/* --- chips --- */

/* Acknowledge polling: 5 ms of no answer, asked again and again. */
START_TEST(an_eeprom_of_32_kbit)
{
    uint8_t write[34] = {0x01, 0x10}, back[40];

    open_bus(_i, "sim-i2c:a");
    for (unsigned i = 0; i < 32; i++)
        write[2 + i] = (uint8_t)(i + 1);
    add(&ops[0], write, 34, DEV_I2C_WRITE); /* from the middle of a page: the rest wraps */
    run(&ops[0], 0x50, 0, 1);
    if (kt_backend == KROUTINE_BACKEND_SIM) { /* elsewhere the 5 ms may be over */
        add(&ops[0], write, 2, DEV_I2C_WRITE);
        run(&ops[0], 0x50, -EHOSTUNREACH, 0);
    }
    ops[0].rq.retries = 255;
    add(&ops[0], write, 2, DEV_I2C_WRITE);
    add(&ops[0], back, 16, DEV_I2C_READ | DEV_I2C_STOP);
    add(&ops[0], (uint8_t[]){0x01, 0x00}, 2, DEV_I2C_WRITE);
    add(&ops[0], back + 16, 16, DEV_I2C_READ);
    run(&ops[0], 0x50, 0, 4);
    for (unsigned i = 0; i < 32; i++)
        ck_assert_uint_eq(back[i], i + 1);
    add(&ops[0], (uint8_t[]){0x0f, 0xff}, 2, DEV_I2C_WRITE);
    add(&ops[0], back, 2, DEV_I2C_READ); /* from the end to the beginning */
    run(&ops[0], 0x50, 0, 2);
    ck_assert_mem_eq(back, ((uint8_t[]){0xff, 0xff}), 2);
    close_bus();
}
END_TEST

START_TEST(parts_without_a_start)
{
    uint8_t back[6];

    open_bus(_i, "sim-i2c:a");
    add(&ops[0], (uint8_t[]){0x20}, 1, DEV_I2C_WRITE);
    add(&ops[0], "one", 3, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    add(&ops[0], "two", 3, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    run(&ops[0], 0x68, 0, 3);
    add(&ops[0], (uint8_t[]){0x20}, 1, DEV_I2C_WRITE);
    add(&ops[0], back, 2, DEV_I2C_READ);
    add(&ops[0], back + 2, 4, DEV_I2C_READ | DEV_I2C_CONTINUE);
    run(&ops[0], 0x68, 0, 3);
    ck_assert_mem_eq(back, "onetwo", 6);
    close_bus();
}
END_TEST

START_TEST(a_thermometer)
{
    uint8_t temp[4] = {0};

    open_bus(_i, "sim-i2c:a?chips=tmp105@0x49");
    add(&ops[0], (uint8_t[]){0}, 1, DEV_I2C_WRITE);
    add(&ops[0], temp, 2, DEV_I2C_READ);
    run(&ops[0], 0x49, 0, 2);
    ck_assert_mem_eq(temp, ((uint8_t[]){25, 0}), 2);
    ck_assert_int_eq(kroutine_sim_i2c_poke(&bus.base, 0x49, 0, (uint8_t[]){0xff, 0x80}, 2), 0);
    add(&ops[0], temp, 4, DEV_I2C_READ); /* the pointer stays, two bytes of it come again */
    run(&ops[0], 0x49, 0, 1);
    ck_assert_mem_eq(temp, ((uint8_t[]){0xff, 0x80, 0xff, 0x80}), 4);
    add(&ops[0], (uint8_t[]){0, 1, 2}, 3, DEV_I2C_WRITE); /* cannot be written */
    run(&ops[0], 0x49, 0, 1);
    add(&ops[0], temp, 2, DEV_I2C_READ);
    run(&ops[0], 0x49, 0, 1);
    ck_assert_mem_eq(temp, ((uint8_t[]){0xff, 0x80}), 2);
    ck_assert_int_eq(kroutine_sim_i2c_poke(&bus.base, 0x49, 7, temp, 2), -EINVAL);
    ck_assert_int_eq(kroutine_sim_i2c_poke(&bus.base, 0x48, 0, temp, 2), -EINVAL);
    close_bus();
}
END_TEST

static void read_clock(uint8_t *regs)
{
    add(&ops[0], (uint8_t[]){0}, 1, DEV_I2C_WRITE);
    add(&ops[0], regs, 7, DEV_I2C_READ);
    run(&ops[0], 0x68, 0, 2);
}

/* Leap day of 2024, a Thursday, a second before midnight. */
START_TEST(a_clock)
{
    static const uint8_t set[] = {0, 0x59, 0x59, 0x23, 5, 0x29, 0x02, 0x24};
    uint8_t regs[7];
    uint64_t from;

    open_bus(_i, "sim-i2c:a");
    read_clock(regs);
    ck_assert_uint_eq(regs[0], 0x80); /* halted */
    add(&ops[0], set, sizeof set, DEV_I2C_WRITE);
    run(&ops[0], 0x68, 0, 1);
    from = kt_clock(&env);
    do
        read_clock(regs);
    while (regs[0] == 0x59 && kt_clock(&env) < from + KROUTINE_SEC(20));
    ck_assert_mem_eq(regs + 1, ((uint8_t[]){0, 0, 6, 1, 3, 0x24}), 6);
    add(&ops[0], (uint8_t[]){0, 0, 0, 0x72}, 4, DEV_I2C_WRITE); /* 12 p.m., hours of twelve */
    run(&ops[0], 0x68, 0, 1);
    read_clock(regs);
    ck_assert_uint_eq(regs[2], 0x72);
    close_bus();
}
END_TEST

START_TEST(a_scan)
{
    struct dev_i2c_rq_s *rq = &ops[0].rq;

    open_bus(_i, "sim-i2c:a?chips=24c02@0x50,tmp105@0x4f,held@0x1b,held@0x68");
    rq->type = DEV_I2C_SCAN;
    rq->scan.first = 8;
    rq->scan.last = 0x77;
    rq->scan.how = DEV_I2C_SCAN_AUTO;
    DEVICE_OP(&bus, request, rq);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(rq->error, 0);
    for (unsigned i = 0; i < 128; i++) {
        ck_assert_uint_eq(rq->scan.found[i / 32] >> i % 32 & 1, i == 0x4f || i == 0x50);
        ck_assert_uint_eq(rq->scan.held[i / 32] >> i % 32 & 1, i == 0x1b || i == 0x68);
    }
    close_bus();
}
END_TEST

/* --- errors --- */

START_TEST(errors_of_the_bus)
{
    static const uint8_t data[4];

    open_bus(_i, "sim-i2c:a");
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x33, -EHOSTUNREACH, 0);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_NACK_DATA, 1);
    add(&ops[0], data, 4, DEV_I2C_WRITE);
    run(&ops[0], 0x48, -EREMOTEIO, 0);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_ARBITRATION, 3);
    add(&ops[0], data, 4, DEV_I2C_WRITE);
    run(&ops[0], 0x48, -EAGAIN, 0);
    ops[0].rq.retries = 2; /* two are left of the fault */
    add(&ops[0], data, 4, DEV_I2C_WRITE);
    run(&ops[0], 0x48, 0, 1);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_NACK_ADDRESS, 3);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x48, -EHOSTUNREACH, 0);
    add(&ops[0], data, 1, DEV_I2C_WRITE | DEV_I2C_STOP); /* each part may be tried again */
    run(&ops[0], 0x48, 0, 1);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_STUCK, 1);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x48, -ETIMEDOUT, 0);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_STUCK, 0);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x48, 0, 1);
    ck_assert_int_eq(kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_FAULTS, 1), -EINVAL);
    close_bus();
}
END_TEST

/* `done` counts what came before. */
START_TEST(an_error_in_the_middle)
{
    static const uint8_t data[4];

    open_bus(_i, "sim-i2c:a");
    add(&ops[0], data, 1, DEV_I2C_WRITE | DEV_I2C_STOP);
    add(&ops[0], data, 1, DEV_I2C_WRITE | DEV_I2C_STOP);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    add(&ops[0], data, 2, DEV_I2C_WRITE);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_NACK_DATA, 0);
    submit(&ops[0], 0x48);
    expect(&ops[0], 0, 4);
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_NACK_ADDRESS, 1);
    submit(&ops[0], 0x48);
    expect(&ops[0], -EHOSTUNREACH, 0);
    close_bus();
}
END_TEST

START_TEST(an_adapter_that_goes)
{
    static const uint8_t data[4];

    open_bus(_i, "sim-i2c:a");
    kroutine_sim_i2c_fault(&bus.base, KROUTINE_SIM_I2C_GONE, 1);
    for (unsigned i = 0; i < OPS; i++) {
        add(&ops[i], data, 1, DEV_I2C_WRITE);
        submit(&ops[i], 0x48);
    }
    for (unsigned i = 0; i < OPS; i++)
        expect(&ops[i], -ENODEV, 0);
    submit(&ops[0], 0x48);
    expect(&ops[0], -ENODEV, 0);
    close_bus();
}
END_TEST

#define REFUSED(error, text)                                                                       \
    do {                                                                                           \
        run(&ops[0], 0x48, (error), 0);                                                            \
        ck_assert_msg(strstr(kroutine_error_text(), (text)), "%s", kroutine_error_text());         \
    } while (0)

START_TEST(lists_that_cannot_be)
{
    static const uint8_t data[4];

    open_bus(_i, "sim-i2c:a?chips=tmp105@0x48,held@0x1b,24c02@0x250");
    if (!env.embedded) /* the handlers of refused requests run where they are submitted */
        dev_i2c_rq_init_immediate(&ops[0].rq, over);
    ops[0].rq.list = ops[0].list;
    ops[0].rq.count = 0;
    REFUSED(-EINVAL, "no transfers");
    add(&ops[0], NULL, 4, DEV_I2C_WRITE);
    REFUSED(-EINVAL, "transfer 0: no buffer");
    add(&ops[0], data, 4, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    REFUSED(-EINVAL, "transfer 0: nothing");
    add(&ops[0], data, 4, DEV_I2C_WRITE);
    add(&ops[0], data, 4, DEV_I2C_READ | DEV_I2C_CONTINUE);
    REFUSED(-EINVAL, "transfer 1: nothing");
    add(&ops[0], data, 4, 64);
    REFUSED(-EINVAL, "unknown bits");
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x80, -EINVAL, 0);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x1b, -EBUSY, 0);
    ck_assert_msg(strstr(kroutine_error_text(), "0x1b is held"), "%s", kroutine_error_text());
    ops[0].rq.flags = DEV_I2C_TEN_BIT;
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x400, -EINVAL, 0);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x250, 0, 1);
    add(&ops[0], data, 1, DEV_I2C_WRITE);
    run(&ops[0], 0x48, -EHOSTUNREACH, 0); /* of ten bits there is none */
    close_bus();
}
END_TEST

START_TEST(specs_that_cannot_be)
{
    static const struct {
        const char *spec, *text;
    } bad[] = {
        {"sim-i2c:", "NAME"},
        {"sim-i2c:a?chips=24c32", "MODEL@ADDRESS"},
        {"sim-i2c:a?chips=24c32@0x50,foo@0x51", "'foo'"},
        {"sim-i2c:a?chips=24c32@0x50,24c02@0x50", "0x50"},
        {"sim-i2c:a?chips=24c32@0x50x", "MODEL@ADDRESS"},
        {"sim-i2c:a?hz=0", "hz"},
    };
    struct device_i2c_s acc;

    open_bus(_i, "sim-i2c:there");
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                     bad[i].spec, DRIVER_CLASS_I2C),
                         strstr(bad[i].spec, "hz") ? -ERANGE : -EINVAL);
        ck_assert_msg(strstr(kroutine_error_text(), bad[i].text), "%s", kroutine_error_text());
    }
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "sim-i2c:there?chips=24c32@0x50",
                                                 DRIVER_CLASS_I2C),
                     -EBUSY);
    close_bus();
}
END_TEST

/* --- waiting --- */

START_TEST(blocking_calls)
{
    uint8_t temp[2] = {9, 9};
    error_t want = _i == KT_EMBEDDED ? -EDEADLK : 0;

    open_bus(_i, "sim-i2c:a");
    if (_i == KT_EMBEDDED)
        kt_pause(&env); /* this thread becomes the reactor */
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, 0x48, (uint8_t[]){0}, 1, temp, 2), want);
    ck_assert_uint_eq(temp[0], want ? 9 : 25);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x48, (uint8_t[]){0}, 1), want);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x48, temp, 2), want);
    if (!want)
        ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x20, temp, 2), -EHOSTUNREACH);
    close_bus();
}
END_TEST

/* 10 bits of start and address, 9 a byte, 1 of stop: 2 + 10 + 9 + 10 + 18, less the start that the
   address counts. */
START_TEST(transfers_take_their_time)
{
    uint8_t temp[2];
    uint64_t from;

    open_bus(_i, "sim-i2c:a?hz=1000&latency=7");
    from = kt_clock(&env);
    add(&ops[0], (uint8_t[]){0}, 1, DEV_I2C_WRITE);
    add(&ops[0], temp, 2, DEV_I2C_READ);
    run(&ops[0], 0x48, 0, 2);
    if (kt_backend == KROUTINE_BACKEND_SIM && env.embedded)
        ck_assert_uint_eq(kt_clock(&env) - from, KROUTINE_MSEC(49) + 7);
    else
        ck_assert_uint_ge(kt_clock(&env) - from, KROUTINE_MSEC(49) + 7);
    close_bus();
}
END_TEST

START_TEST(what_it_is)
{
    struct dev_i2c_info_s info;

    open_bus(_i, "sim-i2c:a");
    ck_assert_int_eq(DEVICE_OP(&bus, info, &info), 0);
    ck_assert_str_eq(info.name, "sim-i2c:a");
    ck_assert_uint_eq(info.cap & (DEV_I2C_CAP_PLAIN | DEV_I2C_CAP_VIRTUAL),
                      DEV_I2C_CAP_PLAIN | DEV_I2C_CAP_VIRTUAL);
    close_bus();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("i2c");

    kt_add_loop(s, an_eeprom_of_32_kbit, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, parts_without_a_start, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, a_thermometer, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, a_clock, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_scan, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, errors_of_the_bus, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, an_error_in_the_middle, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, an_adapter_that_goes, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, lists_that_cannot_be, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, specs_that_cannot_be, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, blocking_calls, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, transfers_take_their_time, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, what_it_is, KT_MODES, kt_mode_label, 10);
    return s;
}
