/* SPDX-License-Identifier: MIT */
/* What only simulated SPI buses have: a converter, the time that a message takes, faults. */
#include "kt.h"

#define OPS 4

struct op_s {
    struct dev_spi_rq_s rq;
    struct dev_spi_transfer_s list[4];
    unsigned done; /* atomic */
};

static struct kt_env_s env;
static struct device_spi_s chip;
static struct op_s ops[OPS];

static KROUTINE_EXEC(over)
{
    kt_inc(&KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr)->done);
}

static void open_chip(int mode, const char *spec)
{
    kt_env_open(&env, (enum kt_mode_e)mode);
    chip = (struct device_spi_s)DEVICE_ACCESSOR_INIT;
    if (device_get_accessor_by_path(&chip.base, kroutine_runtime_devices(env.rt), spec,
                                    DRIVER_CLASS_SPI))
        ck_abort_msg("%s: %s", spec, kroutine_error_text());
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < OPS; i++) {
        dev_spi_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
}

static void close_chip(void)
{
    device_put_accessor(&chip.base);
    kt_env_close(&env);
}

static struct dev_spi_transfer_s *add(struct op_s *op, const void *out, void *in, size_t size)
{
    struct dev_spi_transfer_s *t = &op->list[op->rq.count++];

    *t = (struct dev_spi_transfer_s){.out = out, .in = in, .size = size};
    return t;
}

static void submit(struct op_s *op)
{
    kt_set(&op->done, 0);
    DEVICE_OP(&chip, request, &op->rq);
}

static void expect(struct op_s *op, int error)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_int_eq(op->rq.error, error);
}

static void run(struct op_s *op, int error)
{
    submit(op);
    expect(op, error);
    op->rq.count = 0;
}

/* --- the converter: DS21295, figures 6-1 and 6-2 --- */

static unsigned single(unsigned channel)
{
    uint8_t command[3] = {0x01, (uint8_t)(0x80 | channel << 4), 0}, in[3];

    add(&ops[0], command, in, 3);
    run(&ops[0], 0);
    ck_assert_uint_eq(in[1] & 4, 0); /* the null bit */
    return (in[1] & 3u) << 8 | in[2];
}

static unsigned pair(unsigned which)
{
    uint8_t command[3] = {0x01, (uint8_t)(which << 4), 0}, in[3];

    add(&ops[0], command, in, 3);
    run(&ops[0], 0);
    return (in[1] & 3u) << 8 | in[2];
}

START_TEST(a_converter)
{
    open_chip(_i, "sim-spi:board.0?chip=mcp3008&values=0,1023,512,1,2,3,4,700");
    ck_assert_uint_eq(single(0), 0);
    ck_assert_uint_eq(single(1), 1023);
    ck_assert_uint_eq(single(2), 512);
    ck_assert_uint_eq(single(7), 700);
    ck_assert_uint_eq(pair(1), 1023); /* 1 less 0 */
    ck_assert_uint_eq(pair(0), 0);    /* 0 less 1 is not below 0 */
    ck_assert_uint_eq(pair(7), 696);  /* 7 less 6 */
    ck_assert_uint_eq(pair(2), 511);
    ck_assert_int_eq(kroutine_sim_spi_value(&chip.base, 3, 1000), 0);
    ck_assert_uint_eq(single(3), 1000);
    ck_assert_int_eq(kroutine_sim_spi_value(&chip.base, 8, 0), -EINVAL);
    ck_assert_int_eq(kroutine_sim_spi_value(&chip.base, 0, 1024), -EINVAL);
    close_chip();
}
END_TEST

/* The start bit may come anywhere, in several transfers; the result goes on lowest bit first; a new
   selection is a new conversion. */
START_TEST(a_converter_bit_by_bit)
{
    static const uint8_t begin[2] = {0x00, 0x18}, then[4], again[3] = {0x01, 0x90, 0};
    uint8_t in[4], next[3];

    open_chip(_i, "sim-spi:board?chip=mcp3008&values=805,3"); /* 11 0010 0101 */
    add(&ops[0], begin, NULL, 2); /* bit 4 of it starts, the command ends with it */
    add(&ops[0], then, in, 4)->flags = DEV_SPI_CS_CHANGE;
    add(&ops[0], again, next, 3);
    run(&ops[0], 0);
    /* 1 while it samples, null, 11 0010 0101, 0 1001 0011 (not the lowest again), zeros. */
    ck_assert_mem_eq(in, ((uint8_t[4]){0xb2, 0x54, 0x98, 0x00}), 4);
    ck_assert_uint_eq((next[1] & 3u) << 8 | next[2], 3);
    close_chip();
}
END_TEST

START_TEST(a_converter_in_the_wrong_mode)
{
    static const uint8_t command[3] = {0x01, 0x80, 0};
    struct dev_spi_config_s config = {.mode = DEV_SPI_CPHA};
    uint8_t in[2][3] = {{0}};

    open_chip(_i, "sim-spi:board.1?chip=mcp3008&values=5&mode=3");
    for (unsigned i = 0; i < 2; i++) {
        add(&ops[i], command, in[i], 3);
        submit(&ops[i]);
        if (i == 0) /* what was submitted keeps what it had */
            ck_assert_int_eq(DEVICE_OP(&chip, config, &config), 0);
    }
    expect(&ops[0], 0);
    expect(&ops[1], 0);
    ck_assert_uint_eq((in[0][1] & 3u) << 8 | in[0][2], 5);
    ck_assert_mem_eq(in[1], "\xff\xff\xff", 3);
    close_chip();
}
END_TEST

START_TEST(other_chips)
{
    uint8_t in[2] = {0};

    open_chip(_i, "sim-spi:board.9?chip=none");
    add(&ops[0], "ab", in, 2);
    run(&ops[0], 0);
    ck_assert_mem_eq(in, "\xff\xff", 2);
    ck_assert_int_eq(kroutine_sim_spi_value(&chip.base, 0, 1), -ENOTSUP);
    device_put_accessor(&chip.base);
    ck_assert_int_eq(device_get_accessor_by_path(&chip.base, kroutine_runtime_devices(env.rt),
                                                 "sim-spi:board.9?chip=none&loop=yes",
                                                 DRIVER_CLASS_SPI),
                     0);
    add(&ops[0], "ab", in, 2);
    run(&ops[0], 0);
    ck_assert_mem_eq(in, "ab", 2);
    close_chip();
}
END_TEST

/* --- time --- */

START_TEST(a_message_takes_its_time)
{
    uint64_t began, took;

    open_chip(_i, "sim-spi:slow?hz=10k&latency=1000000");
    add(&ops[0], "0123456789", NULL, 10)->delay_us = 2000; /* 1 ms, 80 bits, 2 ms */
    add(&ops[0], "0123456789", NULL, 10)->hz = 40000;      /* 2 ms */
    began = kt_clock(&env);
    run(&ops[0], 0);
    took = kt_clock(&env) - began;
    ck_assert_uint_ge(took, KROUTINE_MSEC(13));
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_uint_lt(took, KROUTINE_MSEC(14));
    close_chip();
}
END_TEST

/* --- faults --- */

START_TEST(faults)
{
    uint64_t began;
    uint8_t in[4] = {0};

    open_chip(_i, "sim-spi:board");
    ck_assert_int_eq(kroutine_sim_spi_fault(&chip.base, KROUTINE_SIM_BUS_EIO, 1), 0);
    add(&ops[0], "abcd", in, 4);
    run(&ops[0], -EIO);
    ck_assert_uint_eq(ops[0].rq.done, 0);
    add(&ops[0], "abcd", in, 4);
    run(&ops[0], 0);
    ck_assert_mem_eq(in, "abcd", 4);
    ck_assert_int_eq(kroutine_sim_spi_fault(&chip.base, KROUTINE_SIM_BUS_STALL, 50), 0);
    began = kt_clock(&env);
    add(&ops[0], "abcd", in, 4);
    run(&ops[0], 0);
    ck_assert_uint_ge(kt_clock(&env) - began, KROUTINE_MSEC(50));
    ck_assert_int_eq(kroutine_sim_spi_fault(&chip.base, (enum kroutine_sim_bus_fault_e)9, 1),
                     -EINVAL);
    ck_assert_int_eq(kroutine_sim_pwm_fault(&chip.base, KROUTINE_SIM_BUS_EIO, 1), -ENOTSUP);
    ck_assert_int_eq(kroutine_sim_spi_fault(&chip.base, KROUTINE_SIM_BUS_GONE, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        add(&ops[0], "abcd", in, 4);
        run(&ops[0], -ENODEV);
    }
    close_chip();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("spi_sim");

    kt_add_loop(s, a_converter, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_converter_bit_by_bit, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_converter_in_the_wrong_mode, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, other_chips, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_message_takes_its_time, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, faults, KT_MODES, kt_mode_label, 30);
    return s;
}
