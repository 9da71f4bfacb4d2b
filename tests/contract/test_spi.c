/* SPDX-License-Identifier: MIT */
/*
 * Messages on SPI buses: data, words, limits, order, and every way to an end. The chips give back
 * what goes out: simulated ones, and those of the kernel when the environment names the device file
 * of the first of two, whose name ends with .0 (tests/vm/raspi makes them):
 *
 *     KT_SPI_LOOP0
 */
#include <stdio.h>

#include "kt.h"

#define OPS     8
#define BIG     10000 /* bytes: three messages */
#define MANY    600   /* transfers: two messages */
#define HOLDS   4     /* delays of 60 ms that a message holds the bus */
#define SOON_MS 20

struct op_s {
    struct dev_spi_rq_s rq;
    struct dev_spi_transfer_s list[3 * HOLDS];
    unsigned done; /* atomic */
    unsigned stamp;
};

static struct kt_env_s env;
static struct device_spi_s chip[2];
static struct op_s ops[OPS];
static uint8_t out[BIG], in[BIG];
static bool kernel;

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    op->stamp = kt_stamp();
    kt_inc(&op->done);
}

static const char *label(int round)
{
    return kt_real_label(round, "spidev");
}

static const char *timed_label(int round)
{
    return label(kt_timed_round(round));
}

static void spec_of(char *spec, size_t size, unsigned select, const char *keys)
{
    const char *path = kernel ? getenv("KT_SPI_LOOP0") : "";

    if (kernel)
        snprintf(spec, size, "spi:%.*s%u?hz=1M&%s", (int)strlen(path) - 1, path, select, keys);
    else
        snprintf(spec, size, "sim-spi:kt.%u?%s", select, keys);
}

static error_t lookup(struct device_spi_s *acc, const char *spec)
{
    *acc = (struct device_spi_s)DEVICE_ACCESSOR_INIT;
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_SPI);
}

static void open_chip(unsigned select, const char *keys)
{
    char spec[256];

    spec_of(spec, sizeof spec, select, keys);
    if (lookup(&chip[select], spec))
        ck_abort_msg("%s: %s", spec, kroutine_error_text());
}

static void open_all(int round, const char *keys)
{
    kernel = round >= KT_MODES;
    kt_env_open(&env, (enum kt_mode_e)(round % KT_MODES));
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < OPS; i++) {
        dev_spi_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
    for (unsigned i = 0; i < BIG; i++)
        out[i] = (uint8_t)(i * 7 + i / 256);
    memset(in, 0xee, sizeof in);
    open_chip(0, keys);
    open_chip(1, keys);
}

static void close_all(void)
{
    device_put_accessor(&chip[0].base);
    device_put_accessor(&chip[1].base);
    kt_env_close(&env);
}

static void add(struct op_s *op, const void *o, void *i, size_t size)
{
    op->list[op->rq.count++] = (struct dev_spi_transfer_s){.out = o, .in = i, .size = size};
}

static void submit(struct op_s *op, unsigned select)
{
    kt_set(&op->done, 0);
    DEVICE_OP(&chip[select], request, &op->rq);
}

static void expect(struct op_s *op, int error, size_t done)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_msg(op->rq.error == error, "error %d, not %d", op->rq.error, error);
    ck_assert_uint_eq(op->rq.done, done);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

static void run(struct op_s *op, int error, size_t done)
{
    submit(op, 0);
    expect(op, error, done);
    op->rq.count = 0;
}

/* A request that does nothing but hold the bus, in `parts` messages. */
static void hold(struct op_s *op, unsigned parts)
{
    op->rq.flags = DEV_SPI_MAY_SPLIT;
    for (unsigned i = 0; i < parts * HOLDS; i++) {
        add(op, i % HOLDS ? NULL : out, NULL, i % HOLDS ? 0 : 3000);
        op->list[i].delay_us = 60000;
    }
}

/* --- data --- */

START_TEST(what_goes_out_comes_in)
{
    open_all(_i, "mode=0");
    add(&ops[0], out, in, 100);
    run(&ops[0], 0, 100);
    ck_assert_mem_eq(in, out, 100);
    ck_assert_uint_eq(in[100], 0xee);
    add(&ops[0], in, in, 100); /* in place */
    run(&ops[0], 0, 100);
    ck_assert_mem_eq(in, out, 100);
    add(&ops[0], out, NULL, 3);
    add(&ops[0], NULL, in, 5); /* zeros */
    add(&ops[0], out + 7, in + 10, 4);
    ops[0].list[0].flags = DEV_SPI_CS_CHANGE;
    ops[0].list[2].delay_us = 100;
    run(&ops[0], 0, 12);
    ck_assert_mem_eq(in, ((uint8_t[5]){0}), 5);
    ck_assert_mem_eq(in + 10, out + 7, 4);
    close_all();
}
END_TEST

START_TEST(words)
{
    uint16_t twelve[] = {0xabc, 0x123}, back16[2] = {0};
    uint32_t wide[] = {0x89abcdef, 0x01234567}, back32[2] = {0};

    open_all(_i, "bits=12");
    add(&ops[0], twelve, back16, sizeof twelve);
    add(&ops[0], wide, back32, sizeof wide);
    ops[0].list[1].bits = 32;
    run(&ops[0], 0, 12);
    ck_assert_mem_eq(back16, twelve, sizeof twelve);
    ck_assert_mem_eq(back32, wide, sizeof wide);
    add(&ops[0], out, in, 3);
    run(&ops[0], -EINVAL, 0);
    close_all();
}
END_TEST

START_TEST(what_cannot_be)
{
    open_all(_i, "mode=0");
    DEVICE_OP(&chip[0], request, &ops[0].rq); /* no transfers */
    expect(&ops[0], -EINVAL, 0);
    kt_set(&ops[0].done, 0);
    add(&ops[0], NULL, NULL, 4);
    run(&ops[0], -EINVAL, 0);
    add(&ops[0], out, in, 4);
    ops[0].list[0].bits = 33;
    run(&ops[0], -EINVAL, 0);
    add(&ops[0], out, in, 4);
    ops[0].rq.type = DEV_SPI_TYPES;
    run(&ops[0], -EINVAL, 0);
    ck_assert_uint_eq(in[0], 0xee);
    close_all();
}
END_TEST

/* --- limits --- */

START_TEST(too_long_for_a_message)
{
    struct dev_spi_info_s info;

    open_all(_i, "mode=0");
    ck_assert_int_eq(DEVICE_OP(&chip[0], info, &info), 0);
    ck_assert_uint_eq(info.size_max, 4096);
    add(&ops[0], out, in, 4096);
    run(&ops[0], 0, 4096);
    ck_assert_mem_eq(in, out, 4096);
    memset(in, 0xee, sizeof in);
    add(&ops[0], out, in, 4097);
    run(&ops[0], -EMSGSIZE, 0);
    ck_assert_msg(strstr(kroutine_error_text(), kernel ? "spidev.bufsiz=8192" : "size-max=8192") &&
                      strstr(kroutine_error_text(), "DEV_SPI_MAY_SPLIT"),
                  "%s", kroutine_error_text());
    ck_assert_uint_eq(in[0], 0xee);
    add(&ops[0], out, NULL, 4096); /* each direction by itself */
    add(&ops[0], NULL, in, 4096);
    run(&ops[0], 0, 8192);
    ops[0].rq.flags = DEV_SPI_MAY_SPLIT;
    add(&ops[0], out, in, 1);
    add(&ops[0], out + 1, in + 1, BIG - 1);
    run(&ops[0], 0, BIG);
    ck_assert_mem_eq(in, out, BIG);
    close_all();
}
END_TEST

START_TEST(too_many_for_a_message)
{
    static struct dev_spi_transfer_s list[MANY];

    open_all(_i, "mode=0");
    for (unsigned i = 0; i < MANY; i++) /* short enough to fit, whatever they are rounded up to */
        list[i] = (struct dev_spi_transfer_s){.out = out + i, .in = in + i, .size = i % 30 == 0};
    ops[0].rq.list = list;
    ops[0].rq.count = MANY;
    submit(&ops[0], 0);
    expect(&ops[0], -EMSGSIZE, 0);
    ck_assert_msg(strstr(kroutine_error_text(), "511"), "%s", kroutine_error_text());
    ops[0].rq.flags = DEV_SPI_MAY_SPLIT;
    submit(&ops[0], 0);
    expect(&ops[0], 0, MANY / 30);
    for (unsigned i = 0; i < MANY; i += 30)
        ck_assert_uint_eq(in[i], out[i]);
    close_all();
}
END_TEST

/* --- settings --- */

START_TEST(settings)
{
    struct dev_spi_info_s info;
    struct dev_spi_config_s config = {.mode = DEV_SPI_CPHA | DEV_SPI_CPOL, .hz = 500000};

    open_all(_i, "mode=1&bits=16");
    ck_assert_int_eq(DEVICE_OP(&chip[0], info, &info), 0);
    ck_assert_uint_eq(info.config.mode, DEV_SPI_CPHA);
    ck_assert_uint_eq(info.config.hz, 1000000);
    ck_assert_uint_eq(info.config.bits, 16);
    ck_assert_uint_eq(info.select, 0);
    ck_assert_int_eq(info.simulated, !kernel);
    ck_assert_int_eq(DEVICE_OP(&chip[0], config, &config), 0);
    ck_assert_int_eq(DEVICE_OP(&chip[0], info, &info), 0);
    ck_assert_uint_eq(info.config.mode, config.mode);
    ck_assert_uint_eq(info.config.hz, 500000);
    ck_assert_uint_eq(info.config.bits, 8);
    config.hz = 0;
    config.bits = 33;
    ck_assert_int_eq(DEVICE_OP(&chip[0], config, &config), -EINVAL);
    config.bits = 8;
    config.mode = 0x100;
    ck_assert_int_eq(DEVICE_OP(&chip[0], config, &config), -EINVAL);
    if (kernel) { /* of what its controller has not */
        config.mode = DEV_SPI_CPHA | DEV_SPI_3WIRE;
        ck_assert_int_eq(DEVICE_OP(&chip[0], config, &config), -EINVAL);
        ck_assert_msg(strstr(kroutine_error_text(), "3wire"), "%s", kroutine_error_text());
    }
    ck_assert_int_eq(DEVICE_OP(&chip[0], info, &info), 0);
    ck_assert_uint_eq(info.config.mode, DEV_SPI_CPHA | DEV_SPI_CPOL);
    add(&ops[0], out, in, 5);
    run(&ops[0], 0, 5);
    ck_assert_mem_eq(in, out, 5);
    close_all();
}
END_TEST

/* --- order, and the end --- */

START_TEST(higher_priority_first)
{
    open_all(kt_timed_round(_i), "mode=0");
    for (unsigned i = 0; i < 5; i++) {
        dev_spi_rq_init_immediate(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
    hold(&ops[0], 1);
    submit(&ops[0], 0);
    kt_idle(&env, SOON_MS);
    for (unsigned i = 1; i < 5; i++) {
        add(&ops[i], out, in, 8);
        kroutine_set_priority(&ops[i].rq.kr, i == 3 ? 7 : i == 4 ? 3 : 0);
        submit(&ops[i], i & 1);
    }
    for (unsigned i = 0; i < 5; i++)
        kt_await(&env, kt_get(&ops[i].done));
    ck_assert_uint_lt(ops[0].stamp, ops[3].stamp);
    ck_assert_uint_lt(ops[3].stamp, ops[4].stamp);
    ck_assert_uint_lt(ops[4].stamp, ops[1].stamp);
    ck_assert_uint_lt(ops[1].stamp, ops[2].stamp);
    close_all();
}
END_TEST

START_TEST(cancels)
{
    open_all(kt_timed_round(_i), "mode=0");
    hold(&ops[0], 3);
    submit(&ops[0], 0);
    add(&ops[1], out, in, 8);
    submit(&ops[1], 1);
    kt_idle(&env, SOON_MS);
    ck_assert_int_eq(DEVICE_OP(&chip[1], cancel, &ops[1].rq), 0);
    ck_assert_int_eq(DEVICE_OP(&chip[0], cancel, &ops[0].rq), -EBUSY);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, -ECANCELED); /* between two messages */
    ck_assert_uint_lt(ops[0].rq.done, 9000);
    ck_assert_int_eq(DEVICE_OP(&chip[0], cancel, &ops[0].rq), -EBUSY);
    kt_idle(&env, SOON_MS);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    ck_assert_uint_eq(in[0], 0xee);
    ops[0].rq.count = 0;
    add(&ops[0], out, in, 8); /* and it can be used again */
    run(&ops[0], 0, 8);
    close_all();
}
END_TEST

START_TEST(time_outs)
{
    open_all(kt_timed_round(_i), "mode=0");
    hold(&ops[0], 3);
    submit(&ops[0], 0);
    add(&ops[1], out, in, 8);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(SOON_MS));
    submit(&ops[1], 1);
    expect(&ops[1], -ETIMEDOUT, 0);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0); /* not only when the bus was free */
    ck_assert_uint_eq(in[0], 0xee);
    expect(&ops[0], 0, 9000);
    ops[0].rq.count = 0;
    hold(&ops[0], 3);
    dev_request_set_timeout(&ops[0].rq.base, KROUTINE_MSEC(1));
    submit(&ops[0], 0); /* in the middle: what was sent counts */
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, -ETIMEDOUT);
    ck_assert_uint_lt(ops[0].rq.done, 9000);
    close_all();
}
END_TEST

START_TEST(closing_ends_what_is_its_own)
{
    open_all(kt_timed_round(_i), "mode=0");
    hold(&ops[0], 2);
    submit(&ops[0], 0);
    for (unsigned i = 1; i < 5; i++) {
        add(&ops[i], out, in + 100 * i, 8);
        submit(&ops[i], i & 1);
    }
    kt_idle(&env, SOON_MS);
    device_put_accessor(&chip[0].base);
    expect(&ops[2], -ECANCELED, 0);
    expect(&ops[4], -ECANCELED, 0);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, -ECANCELED);
    expect(&ops[1], 0, 8);
    expect(&ops[3], 0, 8);
    ck_assert_mem_eq(in + 300, out, 8);
    close_all();
}
END_TEST

static void *wait_for_one(void *arg)
{
    static uint8_t back[64];

    ck_assert_int_eq(dev_spi_wait_transfer(&chip[0], out, back, sizeof back), 0);
    ck_assert_mem_eq(back, out, sizeof back);
    kt_set((unsigned *)arg, 1);
    return NULL;
}

START_TEST(waiting)
{
    unsigned done = 0;
    pthread_t thread;

    open_all(_i, "mode=0");
    if (env.embedded)
        ck_assert_int_eq(dev_spi_wait_transfer(&chip[0], out, in, 4), -EDEADLK);
    thread = kt_thread(wait_for_one, &done);
    kt_await(&env, kt_get(&done));
    kt_join(thread);
    close_all();
}
END_TEST

START_TEST(opening_errors)
{
    static const struct {
        const char *spec;
        error_t err;
        const char *says;
    } bad[] = {
        {"sim-spi:", -EINVAL, "sim-spi:BUS.SELECT"},
        {"sim-spi:kt.256", -EINVAL, "sim-spi:BUS.SELECT"},
        {"sim-spi:kt.x", -EINVAL, "sim-spi:BUS.SELECT"},
        {"sim-spi:kt.0?mode=4", -ERANGE, "mode"},
        {"sim-spi:kt.0?chip=mcp3008&values=1,1024", -EINVAL, "values"},
        {"sim-spi:kt.0?chip=mcp3008&values=1,2,3,4,5,6,7,8,9", -EINVAL, "values"},
        {"spi:nothing", -EINVAL, "spi:0.0"},
        {"spi:97.0", -ENOENT, "dtparam=spi=on"},
        {"spi:/dev/spidev97.0", -ENOENT, "no SPI bus 97"},
        {"spi:/dev/null", -ENOTTY, "spidev"},
        {"spi:/nowhere", -ENOENT, "/nowhere"},
    };
    struct device_spi_s acc;

    kt_env_open(&env, (enum kt_mode_e)_i);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool real = strncmp(bad[i].spec, "spi:", 4) == 0;
        error_t err = lookup(&acc, bad[i].spec);

        if (real && kt_backend == KROUTINE_BACKEND_SIM) {
            ck_assert_int_eq(err, -ENOTSUP);
            continue;
        }
        ck_assert_msg(err == bad[i].err && strstr(kroutine_error_text(), bad[i].says), "%s: %d, %s",
                      bad[i].spec, err, kroutine_error_text());
    }
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("spi");
    int rounds = kt_real_rounds("KT_SPI_LOOP0");

    kt_add_loop(s, what_goes_out_comes_in, rounds, label, 30);
    kt_add_loop(s, words, rounds, label, 30);
    kt_add_loop(s, what_cannot_be, rounds, label, 30);
    kt_add_loop(s, too_long_for_a_message, rounds, label, 30);
    kt_add_loop(s, too_many_for_a_message, rounds, label, 30);
    kt_add_loop(s, settings, rounds, label, 30);
    kt_add_loop(s, higher_priority_first, kt_timed_rounds(rounds), timed_label, 30);
    kt_add_loop(s, cancels, kt_timed_rounds(rounds), timed_label, 30);
    kt_add_loop(s, time_outs, kt_timed_rounds(rounds), timed_label, 30);
    kt_add_loop(s, closing_ends_what_is_its_own, kt_timed_rounds(rounds), timed_label, 30);
    kt_add_loop(s, waiting, rounds, label, 30);
    kt_add_loop(s, opening_errors, KT_MODES, kt_mode_label, 30);
    return s;
}
