/* SPDX-License-Identifier: MIT */
/* What the drivers of examples/drivers say to their chips, and make of the answers. */
#include <stdio.h>
#include <time.h>

#include "chip_op.h"
#include "mock_bus.h"

static struct kt_env_s env;
static struct device_mem_s mem;
static struct device_valio_s value;

static const char *label(int round)
{
    return kt_mode_label(round % KT_MODES);
}

static error_t open_path(struct device_accessor_s *acc, const char *path, enum driver_class_e cl)
{
    return device_get_accessor_by_path(acc, kroutine_runtime_devices(env.rt), path, cl);
}

static void open_world(int round)
{
    world_reset();
    world.mode = BUS_THREAD;
    ck_assert_int_eq(driver_register(&bus_driver), 0);
    ck_assert_int_eq(chips_register(), 0);
    kt_env_open(&env, (enum kt_mode_e)(round % KT_MODES));
}

/* --- at24 --- */

static error_t do_mem(enum dev_mem_rq_type_e type, uint64_t addr, void *data, size_t size)
{
    return mem_do(&env, &mem, type, addr, data, size);
}

static void open_eeprom(unsigned size, unsigned page)
{
    char path[80];

    world.eeprom_size = size;
    world.eeprom_page = page;
    snprintf(path, sizeof(path), "at24:mock-bus:a?size=%u&page=%u", size, page);
    ck_assert_msg(!open_path(&mem.base, path, DRIVER_CLASS_MEM), "%s", kroutine_error_text());
}

static const struct {
    unsigned size, page, size_max;
    error_t nack;
} eeproms[] = {
    {128, 8, 8192, -EHOSTUNREACH},     {256, 8, 8192, -EREMOTEIO},
    {512, 16, 8192, -EHOSTUNREACH},    {2048, 16, 8192, -EREMOTEIO},
    {2048, 16, 10, -EHOSTUNREACH},     {4096, 32, 8192, -EHOSTUNREACH},
    {16384, 64, 32, -EHOSTUNREACH},    {32768, 256, 8192, -EREMOTEIO},
    {65536, 128, 8192, -EHOSTUNREACH},
};
#define EEPROMS (int)(sizeof(eeproms) / sizeof(eeproms[0]))

static const char *eeprom_label(int round)
{
    static char text[64];

    snprintf(text, sizeof(text), "%u bytes, pages of %u, adapter of %u", eeproms[round].size,
             eeproms[round].page, eeproms[round].size_max);
    return text;
}

/* Odd places and sizes, so that pages and blocks are cut everywhere. */
START_TEST(eeprom_keeps_what_was_written)
{
    static uint8_t expected[65536], data[65536];
    unsigned size = eeproms[_i].size;

    open_world(_i);
    world.size_max = eeproms[_i].size_max;
    world.nack = eeproms[_i].nack;
    world.cycle = 2;
    open_eeprom(size, eeproms[_i].page);
    memset(expected, 0xff, sizeof(expected));
    for (unsigned at = 3, n = 1; at < size; at += n + 5, n = n * 2 % 911 + 1) {
        n = n < size - at ? n : size - at;
        for (unsigned i = at; i < at + n; i++)
            expected[i] = (uint8_t)(i * 7 + i / 256);
        ck_assert_int_eq(do_mem(DEV_MEM_WRITE, at, expected + at, n), 0);
    }
    ck_assert(memcmp(world.eeprom, expected, size) == 0);
    ck_assert_uint_gt(world.refused, 0);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, data, size), 0);
    ck_assert(memcmp(data, expected, size) == 0);
    memset(data, 0, sizeof(data));
    ck_assert_int_eq(do_mem(DEV_MEM_READ, size - 77, data, 77), 0);
    ck_assert(memcmp(data, expected + size - 77, 77) == 0);
    ck_assert_uint_le(world.longest, eeproms[_i].size_max);
    device_put_accessor(&mem.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(eeprom_refuses)
{
    struct dev_mem_info_s info;
    uint8_t data[16] = {0};

    open_world(_i);
    open_eeprom(256, 8);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 256, data, 1), -ERANGE);
    ck_assert_int_eq(do_mem(DEV_MEM_WRITE, 250, data, 7), -ERANGE);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, UINT64_MAX - 4, data, 4), -ERANGE);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, data, 0), -EINVAL);
    ck_assert_int_eq(do_mem(DEV_MEM_ERASE, 0, NULL, 8), -ENOTSUP);
    ck_assert_uint_eq(world.requests, 0);
    ck_assert_int_eq(DEVICE_OP(&mem, info, &info), 0);
    ck_assert(info.size == 256 && info.page == 8 && info.erase == 0 && info.simulated);
    device_put_accessor(&mem.base);
    ck_assert_int_eq(open_path(&mem.base, "at24:mock-bus:a?size=256&ro=yes", DRIVER_CLASS_MEM), 0);
    ck_assert_int_eq(do_mem(DEV_MEM_WRITE, 0, data, 1), -EROFS);
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, data, 1), 0);
    device_put_accessor(&mem.base);
    kt_env_close(&env);
}
END_TEST

/* Errors of the bus come through; no acknowledge is one unless a page was written. */
START_TEST(eeprom_errors)
{
    static const error_t errors[] = {-EIO, -EAGAIN, -EHOSTUNREACH, -EREMOTEIO, -ETIMEDOUT};
    struct op_s op;
    uint8_t data[40] = {0};

    open_world(_i);
    open_eeprom(4096, 32);
    for (unsigned i = 0; i < 5; i++) {
        world.fail = errors[i];
        ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, data, 1), errors[i]);
        world.fail = errors[i];
        ck_assert_int_eq(do_mem(DEV_MEM_WRITE, 0, data, 1), errors[i]);
    }
    world.cycle = 1000;
    op_mem(&op, DEV_MEM_WRITE, 0, data, 40);
    DEVICE_OP(&mem, request, &op.mem);
    ck_assert_int_eq(op_await(&op, &env), -ETIMEDOUT); /* it never comes back */
    ck_assert_uint_eq(op.mem.size, 8);
    ck_assert_uint_eq(world.refused, 26);
    world.busy = 0;
    ck_assert_int_eq(do_mem(DEV_MEM_READ, 0, data, 1), 0);
    device_put_accessor(&mem.base);
    kt_env_close(&env);
}
END_TEST

/* --- tmp105 --- */

static error_t temperature(enum dev_valio_rq_type_e type, unsigned attribute, unsigned channel,
                           int32_t *mc)
{
    struct op_s op;
    error_t err;

    op_value(&op, type, attribute, channel);
    op.value.temperature_mc = *mc;
    err = value_do(&env, &value, &op);
    *mc = op.value.temperature_mc;
    return err;
}

START_TEST(thermometer_tells)
{
    /* TMP105 data sheet, table "Temperature Data Format". */
    static const struct {
        uint16_t raw;
        int32_t mc;
    } table[] = {{0x7ff0, 127937}, {0x6400, 100000}, {0x5000, 80000}, {0x4b00, 75000},
                 {0x3200, 50000},  {0x1900, 25000},  {0x0040, 250},   {0x0000, 0},
                 {0xffc0, -250},   {0xe700, -25000}, {0xc900, -55000}};
    int32_t mc = 1;

    open_world(_i);
    ck_assert_int_eq(open_path(&value.base, "tmp105:mock-bus:a", DRIVER_CLASS_VALIO), 0);
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        world.thermometer[0] = table[i].raw;
        ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0, &mc), 0);
        ck_assert_int_eq(mc, table[i].mc);
    }
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 1, &mc), -EINVAL);
    ck_assert_int_eq(temperature(DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE, 0, &mc), -ENOTSUP);
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_ADC, 0, &mc), -ENOTSUP);
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_ATTRIBUTES, 0, &mc), -EINVAL);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(thermostat)
{
    static const int32_t bad[] = {128000, -128001, INT32_MAX, INT32_MIN};
    int32_t mc = 75000;

    open_world(_i);
    ck_assert_int_eq(open_path(&value.base, "tmp105:mock-bus:a", DRIVER_CLASS_VALIO), 0);
    ck_assert_int_eq(temperature(DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE_LIMIT, 0, &mc), 0);
    ck_assert_uint_eq(world.thermometer[3], 0x4b00);
    mc = -10300; /* nearest sixteenth: -10.3125 */
    ck_assert_int_eq(temperature(DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE_LIMIT, 1, &mc), 0);
    ck_assert_uint_eq(world.thermometer[2], 0xf5b0);
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE_LIMIT, 1, &mc), 0);
    ck_assert_int_eq(mc, -10312);
    mc = -128000;
    ck_assert_int_eq(temperature(DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE_LIMIT, 0, &mc), 0);
    ck_assert_uint_eq(world.thermometer[3], 0x8000);
    for (unsigned i = 0; i < 4; i++) {
        mc = bad[i];
        ck_assert_int_eq(temperature(DEV_VALIO_WRITE, DEV_VALIO_TEMPERATURE_LIMIT, 0, &mc),
                         -ERANGE);
    }
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE_LIMIT, 2, &mc), -EINVAL);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(thermometer_is_configured)
{
    int32_t mc;
    uint64_t before;

    open_world(_i);
    world.thermometer[0] = 0x1910;
    world.thermometer[1] = 0x18; /* fault queue: stays */
    ck_assert_int_eq(open_path(&value.base, "tmp105:mock-bus:a?resolution=11", DRIVER_CLASS_VALIO),
                     0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0, &mc), 0);
    ck_assert_uint_eq(world.thermometer[1], 0x18 | 0x40);
    ck_assert_uint_eq(world.requests, 2 + 3);
    device_put_accessor(&value.base);
    ck_assert_int_eq(
        open_path(&value.base, "tmp105:mock-bus:a?oneshot=yes&resolution=9", DRIVER_CLASS_VALIO),
        0);
    before = kt_clock(&env);
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0, &mc), 0);
    ck_assert_uint_ge(kt_clock(&env) - before, KROUTINE_USEC(37500)); /* it converts */
    ck_assert_uint_eq(world.thermometer[1], 0x18 | 0x81);
    ck_assert_int_eq(mc, 25062);
    world.fail = -EIO;
    ck_assert_int_eq(temperature(DEV_VALIO_READ, DEV_VALIO_TEMPERATURE, 0, &mc), -EIO);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

/* --- mcp3008 --- */

static void read_channels(unsigned range, bool differential)
{
    struct op_s op;

    for (unsigned i = 0; i < 8; i++) {
        world.analog[i] = (uint16_t)(i * (range - 1) / 7);
        op_value(&op, DEV_VALIO_READ, DEV_VALIO_ADC, differential ? i ^ 1 : i);
        ck_assert_int_eq(value_do(&env, &value, &op), 0);
        ck_assert_uint_eq(op.value.adc.range, range);
        ck_assert_uint_eq(op.value.adc.value, world.analog[i]);
    }
}

START_TEST(converter_reads)
{
    struct op_s op;

    open_world(_i);
    ck_assert_int_eq(open_path(&value.base, "mcp3008:mock-bus:a", DRIVER_CLASS_VALIO), 0);
    read_channels(1024, false);
    op_value(&op, DEV_VALIO_READ, DEV_VALIO_ADC, 8);
    ck_assert_int_eq(value_do(&env, &value, &op), -EINVAL);
    op_value(&op, DEV_VALIO_WRITE, DEV_VALIO_ADC, 0);
    ck_assert_int_eq(value_do(&env, &value, &op), -ENOTSUP);
    world.analog_absent = true;
    op_value(&op, DEV_VALIO_READ, DEV_VALIO_ADC, 0);
    ck_assert_int_eq(value_do(&env, &value, &op), -EIO);
    device_put_accessor(&value.base);
    world.analog_absent = false;
    ck_assert_int_eq(open_path(&value.base, "mcp3008:mock-bus:a?chip=mcp3208", DRIVER_CLASS_VALIO),
                     0);
    read_channels(4096, false);
    device_put_accessor(&value.base);
    ck_assert_int_eq(
        open_path(&value.base, "mcp3008:mock-bus:a?differential=yes", DRIVER_CLASS_VALIO), 0);
    read_channels(1024, true);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

/* --- ds1307 --- */

static error_t clock_do(enum dev_valio_rq_type_e type, int64_t *seconds)
{
    struct op_s op;
    error_t err;

    op_value(&op, type, DEV_VALIO_CLOCK, 0);
    op.value.clock_s = *seconds;
    err = value_do(&env, &value, &op);
    *seconds = op.value.clock_s;
    return err;
}

/* Against the C library, each day of the century. */
START_TEST(clock_knows_the_calendar)
{
    int64_t first = INT64_C(946684800), last = INT64_C(4102444799), now;
    int64_t day = 86400 * (int64_t)kt_slow() - 1;

    open_world(_i);
    ck_assert_int_eq(open_path(&value.base, "ds1307:mock-bus:a", DRIVER_CLASS_VALIO), 0);
    for (int64_t at = first; at <= last; at = at == last        ? last + 1
                                              : at + day > last ? last
                                                                : at + day) {
        char text[16], expected[16];
        time_t time = (time_t)at;
        struct tm tm;

        now = at;
        ck_assert_int_eq(clock_do(DEV_VALIO_WRITE, &now), 0);
        ck_assert(gmtime_r(&time, &tm));
        snprintf(text, sizeof(text), "%02x%02x%02x%02x%02x%02x%x", world.clock[6], world.clock[5],
                 world.clock[4], world.clock[2], world.clock[1], world.clock[0], world.clock[3]);
        strftime(expected, sizeof(expected), "%y%m%d%H%M%S", &tm);
        expected[12] = (char)('1' + tm.tm_wday);
        expected[13] = 0;
        if (sizeof(time_t) > 4 || at <= INT32_MAX)
            ck_assert_str_eq(text, expected);
        now = 0;
        ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), 0);
        ck_assert_int_eq(now, at);
    }
    now = first - 1;
    ck_assert_int_eq(clock_do(DEV_VALIO_WRITE, &now), -ERANGE);
    now = last + 1;
    ck_assert_int_eq(clock_do(DEV_VALIO_WRITE, &now), -ERANGE);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(clock_of_twelve_hours)
{
    /* 12-hour mode: 12 AM is 0, 12 PM is 12. */
    static const struct {
        uint8_t reg;
        int hour;
    } table[] = {{0x52, 0}, {0x41, 1}, {0x51, 11}, {0x72, 12}, {0x61, 13}, {0x71, 23}};
    static const uint8_t bad[][2] = {{0, 0x60}, {0, 0x1a}, {1, 0x60}, {2, 0x24},
                                     {2, 0x53}, {2, 0x40}, {4, 0x31}, {4, 0x00},
                                     {5, 0x13}, {5, 0x00}, {6, 0xa0}, {0, 0x80}};
    const uint8_t good[8] = {0x59, 0x58, 0x23, 1, 0x29, 0x02, 0x24, 0}; /* 2024-02-29 */
    int64_t now;

    open_world(_i);
    ck_assert_int_eq(open_path(&value.base, "ds1307:mock-bus:a", DRIVER_CLASS_VALIO), 0);
    memcpy(world.clock, good, 8);
    ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), 0);
    ck_assert_int_eq(now, INT64_C(1709251139));
    for (unsigned i = 0; i < 6; i++) {
        world.clock[2] = table[i].reg;
        ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), 0);
        ck_assert_int_eq(now, INT64_C(1709251139) + (table[i].hour - 23) * 3600);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(world.clock, good, 8);
        world.clock[bad[i][0]] = bad[i][1];
        ck_assert_msg(clock_do(DEV_VALIO_READ, &now) == -EBADMSG, "register %u: %02x", bad[i][0],
                      bad[i][1]);
    }
    memcpy(world.clock, good, 8);
    world.clock[6] = 0x23; /* no such day in that year */
    ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), -EBADMSG);
    device_put_accessor(&value.base);
    kt_env_close(&env);
}
END_TEST

/* It says so until it is set. */
START_TEST(clock_that_had_stopped)
{
    static const char *const specs[] = {"ds1307:mock-bus:a", "ds1307:mock-bus:a?chip=ds1338"};
    int64_t now;

    open_world(_i);
    for (unsigned i = 0; i < 2; i++) {
        const int64_t set = INT64_C(1800000000);

        ck_assert_int_eq(open_path(&value.base, specs[i], DRIVER_CLASS_VALIO), 0);
        memset(world.clock, 0, sizeof(world.clock));
        world.clock[4] = world.clock[5] = 1;
        world.clock[i ? 7 : 0] = i ? 0xb3 : 0x80;
        ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), -EBADMSG);
        now = set;
        ck_assert_int_eq(clock_do(DEV_VALIO_WRITE, &now), 0);
        ck_assert_int_eq(clock_do(DEV_VALIO_READ, &now), 0);
        ck_assert_int_eq(now, set);
        ck_assert_uint_eq(world.clock[7], i ? 0x93 : 0); /* the rest of it stays */
        device_put_accessor(&value.base);
    }
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("chips");

    kt_add_loop(s, eeprom_keeps_what_was_written, EEPROMS, eeprom_label, 120);
    kt_add_loop(s, eeprom_refuses, KT_MODES, label, 20);
    kt_add_loop(s, eeprom_errors, KT_MODES, label, 20);
    kt_add_loop(s, thermometer_tells, KT_MODES, label, 20);
    kt_add_loop(s, thermostat, KT_MODES, label, 20);
    kt_add_loop(s, thermometer_is_configured, KT_MODES, label, 20);
    kt_add_loop(s, converter_reads, KT_MODES, label, 20);
    kt_add_loop(s, clock_knows_the_calendar, 1, label, 120);
    kt_add_loop(s, clock_of_twelve_hours, KT_MODES, label, 20);
    kt_add_loop(s, clock_that_had_stopped, KT_MODES, label, 20);
    return s;
}
