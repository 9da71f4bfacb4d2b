/* SPDX-License-Identifier: MIT */
/*
 * The drivers of examples/drivers on a whole bus: on that of a Raspberry Pi, with QEMU's chips,
 * where tests/vm/raspi names it; otherwise on a simulated one, which takes its time as a real one
 * does.
 */
#include <stdio.h>

#include "chip_op.h"

static struct kt_env_s env;
static struct device_mem_s mem;
static struct device_valio_s value;
static uint8_t out[4096], in[4096];

static const char *bus(void)
{
    static char spec[64];
    const char *path = getenv("KT_I2C_BUS");

    if (!path)
        return "sim-i2c:board";
    snprintf(spec, sizeof(spec), "i2c:%s", path);
    return spec;
}

static error_t open_chip(struct device_accessor_s *acc, const char *driver, const char *keys,
                         enum driver_class_e cl)
{
    char path[128];

    snprintf(path, sizeof(path), "%s:%s%s", driver, bus(), keys);
    return device_get_accessor_by_path(acc, kroutine_runtime_devices(env.rt), path, cl);
}

static void open_bus(int round)
{
    ck_assert_int_eq(chips_register(), 0);
    kt_env_open(&env, (enum kt_mode_e)round);
    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 13 + i / 256 + (unsigned)round);
}

static error_t do_mem(enum dev_mem_rq_type_e type, uint64_t addr, void *data, size_t size)
{
    return mem_do(&env, &mem, type, addr, data, size);
}

/* The page, and on the way the block, is never wrapped in. */
static void whole(const char *keys, unsigned size)
{
    ck_assert_msg(!open_chip(&mem.base, "at24", keys, DRIVER_CLASS_MEM), "%s",
                  kroutine_error_text());
    ck_assert_int_eq(do_mem(DEV_MEM_WRITE, 0, out, size), 0);
    memset(in, 0, size);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, in, size), 0);
    ck_assert(memcmp(in, out, size) == 0);
    ck_assert_int_eq(do_mem(DEV_MEM_WRITE, 5, out + 100, 77), 0);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, in, 100), 0);
    ck_assert(memcmp(in, out, 5) == 0);
    ck_assert(memcmp(in + 5, out + 100, 77) == 0);
    ck_assert(memcmp(in + 82, out + 82, 18) == 0);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, size - 1, in, 2), -ERANGE);
    device_put_accessor(&mem.base);
}

START_TEST(large_eeprom)
{
    open_bus(_i);
    whole("?addr=0x50&size=4096&page=32", 4096);
    kt_env_close(&env);
}
END_TEST

START_TEST(small_eeprom)
{
    open_bus(_i);
    whole("?addr=0x51&size=256&page=8", 256);
    kt_env_close(&env);
}
END_TEST

/* Adapters differ in how they tell; none says that it went well. */
START_TEST(no_chip)
{
    error_t err;

    open_bus(_i);
    ck_assert_int_eq(open_chip(&mem.base, "at24", "?addr=0x54&size=256", DRIVER_CLASS_MEM), 0);
    err = do_mem(DEV_MEM_READ, 0, in, 1);
    ck_assert_msg(err == -EHOSTUNREACH || err == -EREMOTEIO, "%d", err);
    err = do_mem(DEV_MEM_WRITE, 0, out, 1);
    ck_assert_msg(err == -EHOSTUNREACH || err == -EREMOTEIO, "%d", err);
    device_put_accessor(&mem.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(thermometer)
{
    struct op_s op;

    open_bus(_i);
    ck_assert_int_eq(
        open_chip(&value.base, "tmp105", "?addr=0x48&resolution=12", DRIVER_CLASS_VALIO), 0);
    op_value(&op, DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0);
    ck_assert_int_eq(value_do(&env, &value, &op), 0);
    ck_assert_int_eq(op.value.temperature_mc, getenv("KT_I2C_BUS") ? 0 : 25000);
    for (int limit = -40000; limit <= 120000; limit += 12500) {
        op_value(&op, DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE_LIMIT, 1);
        op.value.temperature_mc = limit;
        ck_assert_int_eq(value_do(&env, &value, &op), 0);
        op_value(&op, DEV_VALIO_READ, DEV_VALIO_TEMPERATURE_LIMIT, 1);
        ck_assert_int_eq(value_do(&env, &value, &op), 0);
        ck_assert_int_eq(op.value.temperature_mc, limit);
    }
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

static unsigned rung;

static KROUTINE_EXEC(rings)
{
    kt_inc(&rung);
}

/* Virtual time passes when something waits for it. */
static void pass(unsigned ms)
{
    struct device_timer_s timer;
    struct dev_timer_rq_s rq = {.delay = KROUTINE_MSEC(ms)};

    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    kt_set(&rung, 0);
    dev_timer_rq_init(&rq, rings);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &rq), 0);
    kt_await(&env, kt_get(&rung));
    device_put_accessor(&timer.base);
}

START_TEST(clock_runs)
{
    /* The last second of 2024-02-28: QEMU's chip takes one register after the other, and makes
       another day of the 29th when the month that it had before, or the year, has none. */
    const int64_t set = INT64_C(1709164799);
    const char *keys = getenv("KT_I2C_BUS") ? "?chip=ds1338" : "";
    struct op_s op;
    uint64_t begin;

    open_bus(_i);
    ck_assert_int_eq(open_chip(&value.base, "ds1307", keys, DRIVER_CLASS_VALIO), 0);
    if (!*keys) { /* it was never set */
        op_value(&op, DEV_VALIO_READ, DEV_VALIO_CLOCK, 0);
        ck_assert_int_eq(value_do(&env, &value, &op), -EBADMSG);
    }
    op_value(&op, DEV_VALIO_WRITE, DEV_VALIO_CLOCK, 0);
    op.value.clock_s = set;
    begin = kt_clock(&env);
    ck_assert_int_eq(value_do(&env, &value, &op), 0);
    do {
        pass(100);
        op_value(&op, DEV_VALIO_READ, DEV_VALIO_CLOCK, 0);
        ck_assert_int_eq(value_do(&env, &value, &op), 0);
        ck_assert_int_ge(op.value.clock_s, set);
        ck_assert_int_le(op.value.clock_s,
                         set + 1 + (int64_t)((kt_clock(&env) - begin) / 1000000000));
    } while (op.value.clock_s < set + 2); /* past midnight */
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

/* All at once: the bus does one after the other. */
START_TEST(side_by_side)
{
    struct device_valio_s clock;
    struct op_s op[30];

    open_bus(_i);
    ck_assert_int_eq(open_chip(&mem.base, "at24", "?addr=0x51&size=256&page=8", DRIVER_CLASS_MEM),
                     0);
    ck_assert_int_eq(open_chip(&value.base, "tmp105", "", DRIVER_CLASS_VALIO), 0);
    ck_assert_int_eq(open_chip(&clock.base, "ds1307", "", DRIVER_CLASS_VALIO), 0);
    op_value(&op[0], DEV_VALIO_WRITE, DEV_VALIO_CLOCK, 0);
    op[0].value.clock_s = INT64_C(1000000000);
    ck_assert_int_eq(value_do(&env, &clock, &op[0]), 0);
    for (unsigned i = 0; i < 30; i += 3) {
        op_mem(&op[i], DEV_MEM_WRITE, i, out + i, 20);
        DEVICE_OP(&mem, request, &op[i].mem);
        op_value(&op[i + 1], DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0);
        DEVICE_OP(&value, request, &op[i + 1].value);
        op_value(&op[i + 2], DEV_VALIO_READ, DEV_VALIO_CLOCK, 0);
        DEVICE_OP(&clock, request, &op[i + 2].value);
    }
    for (unsigned i = 0; i < 30; i++)
        ck_assert_int_eq(op_await(&op[i], &env), 0);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, in, 47), 0);
    ck_assert(memcmp(in, out, 47) == 0);
    device_put_accessor(&clock.base);
    device_put_accessor(&value.base);
    device_put_accessor(&mem.base);
    kt_env_close(&env);
}
END_TEST

/* --- all of it at once --- */

#define LOADS 4

struct load_s {
    struct op_s op;
    uint8_t data[600];
    unsigned seed;
};

static unsigned dice(struct load_s *l, unsigned sides)
{
    l->seed = l->seed * 1103515245 + 12345;
    return (l->seed >> 16) % sides;
}

/* Over exactly once, by its handler or by cancel; and the buffer is the caller's then. */
static void load_one(struct load_s *l, struct device_mem_s *chip)
{
    struct op_s *op = &l->op;
    bool taken = false, wait = dice(l, 4) == 0, closes = dice(l, 16) == 0;

    op_mem(op, dice(l, 2) ? DEV_MEM_READ : DEV_MEM_WRITE, dice(l, 3000), l->data,
           1 + dice(l, sizeof(l->data)));
    if (dice(l, 2))
        kroutine_init_immediate(&op->rq.kr, op_over);
    kroutine_set_priority(&op->rq.kr, dice(l, KROUTINE_PRIORITIES));
    dev_request_set_timeout(&op->rq, dice(l, 2) ? 1 + dice(l, 300000) : 0);
    if (wait) {
        error_t err = dev_request_wait(&chip->base, &op->rq);

        ck_assert_msg(err == 0 || err == -ETIMEDOUT, "%d", err);
        return;
    }
    DEVICE_OP(chip, request, &op->mem);
    for (unsigned spins = dice(l, 2) * dice(l, 5000); spins; spins--)
        __asm__ volatile("");
    if (closes)
        device_put_accessor(&chip->base);
    else if (dice(l, 2))
        taken = dev_request_cancel_wait(&chip->base, &op->rq) == 0;
    kt_await(NULL, kt_get(&op->done) == !taken);
    memset(l->data, 0x55, sizeof(l->data));
}

static void *load(void *arg)
{
    struct load_s *l = arg;
    struct device_mem_s chip = {.drv = NULL};

    for (unsigned i = 0; i < kt_count(100); i++) {
        if (!device_check_accessor(&chip.base))
            ck_assert_int_eq(
                open_chip(&chip.base, "at24", "?addr=0x50&size=4096&page=32", DRIVER_CLASS_MEM), 0);
        load_one(l, &chip);
    }
    device_put_accessor(&chip.base);
    return NULL;
}

START_TEST(requests_cancels_and_closes)
{
    static struct load_s loads[LOADS];
    pthread_t threads[LOADS];

    open_bus(KT_THREADS);
    for (unsigned i = 0; i < LOADS; i++) {
        loads[i].seed = i + 1;
        threads[i] = kt_thread(load, &loads[i]);
    }
    for (unsigned i = 0; i < LOADS; i++)
        kt_join(threads[i]);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("chips_bus");

    kt_add_loop(s, large_eeprom, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, small_eeprom, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, no_chip, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, thermometer, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, clock_runs, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, side_by_side, KT_MODES, kt_mode_label, 20);
    kt_add(s, requests_cancels_and_closes, 120);
    return s;
}
