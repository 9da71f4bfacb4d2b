/* SPDX-License-Identifier: MIT */
/* The i2c class on a simulated bus: transfers, errors, cancel, time-outs, priorities, the end. */
#include "kt.h"

#define OPS 8

struct op_s {
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[8];
    unsigned done;  /* atomic: how often the handler ran */
    unsigned stamp; /* atomic */
};

static struct kt_env_s env;
static struct device_i2c_s bus;
static struct op_s ops[OPS];

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    kt_set(&op->stamp, kt_stamp());
    kt_inc(&op->done);
}

static void open_bus(int mode, const char *spec)
{
    error_t err;

    kt_env_open(&env, (enum kt_mode_e)mode);
    err = device_get_accessor_by_path(&bus.base, kroutine_runtime_devices(env.rt), spec,
                                      DRIVER_CLASS_I2C);
    ck_assert_msg(!err, "%s: %s", spec, kroutine_error_text());
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < OPS; i++) {
        dev_i2c_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
}

static void close_bus(void)
{
    device_put_accessor(&bus.base);
    kt_env_close(&env);
}

static void add(struct op_s *op, const void *data, size_t size, uint32_t flags)
{
    struct dev_i2c_transfer_s *t = &op->list[op->rq.count++];

    t->out = data;
    t->size = (uint32_t)size;
    t->op = flags;
}

static void submit(struct op_s *op, uint16_t addr)
{
    op->rq.addr = addr;
    kt_set(&op->done, 0);
    DEVICE_OP(&bus, request, &op->rq);
}

static void expect(struct op_s *op, error_t err, unsigned done)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_int_eq(op->rq.error, err);
    ck_assert_uint_eq(op->rq.done, done);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

/* Submits, waits, and forgets the list. */
static void run(struct op_s *op, uint16_t addr, error_t err, unsigned done)
{
    submit(op, addr);
    expect(op, err, done);
    op->rq.count = 0;
}

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

/* --- the bus is held --- */

#define HELD "sim-i2c:a?latency=200000000" /* 200 ms a transfer */

/* What is done on the reactor is done at one time, which is virtual on a simulated runtime: `begin`
   at once, and `middle`, unless it is NULL, 100 ms later: in the middle of the first transfer. */
static struct {
    struct kroutine_s kr;
    struct device_timer_s timer;
    struct dev_timer_rq_s rq;
    void (*begin)(void);
    void (*middle)(void);
    unsigned done; /* atomic */
} reactor;

static KROUTINE_EXEC(at_the_middle)
{
    reactor.middle();
    kt_inc(&reactor.done);
}

static KROUTINE_EXEC(at_the_beginning)
{
    reactor.begin();
    if (reactor.middle)
        ck_assert_int_eq(DEVICE_OP(&reactor.timer, request, &reactor.rq), 0);
    else
        kt_inc(&reactor.done);
}

static void on_reactor(void (*begin)(void), void (*middle)(void))
{
    ck_assert_int_eq(device_get_accessor_by_path(&reactor.timer.base,
                                                 kroutine_runtime_devices(env.rt), "timer0",
                                                 DRIVER_CLASS_TIMER),
                     0);
    reactor.begin = begin;
    reactor.middle = middle;
    dev_timer_rq_init_sched_switch(&reactor.rq, at_the_middle);
    reactor.rq.delay = KROUTINE_MSEC(100);
    kroutine_init_sched_switch(&reactor.kr, at_the_beginning);
    kroutine_bind(&reactor.kr, env.rt);
    kroutine_exec(&reactor.kr);
    kt_await(&env, kt_get(&reactor.done));
    device_put_accessor(&reactor.timer.base);
}

static void submit_pointer(unsigned i)
{
    static const uint8_t data[4];

    add(&ops[i], data, 1, DEV_I2C_WRITE);
    submit(&ops[i], 0x48);
}

static void submit_first(void)
{
    submit_pointer(0);
}

static void cancel_second(void)
{
    submit_pointer(0);
    submit_pointer(1);
    submit_pointer(2);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[1].rq), 0);
}

START_TEST(cancel)
{
    open_bus(_i, HELD);
    on_reactor(cancel_second, NULL);
    expect(&ops[0], 0, 1);
    expect(&ops[2], 0, 1);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[2].rq), -EBUSY);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    ck_assert_uint_eq(ops[1].rq.done, 0);
    close_bus();
}
END_TEST

static void submit_parts(void)
{
    static const uint8_t data[4];

    for (unsigned i = 0; i < 8; i++)
        add(&ops[0], data, 1, DEV_I2C_WRITE | DEV_I2C_STOP);
    submit(&ops[0], 0x48);
}

static void cancel_first(void)
{
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[0].rq), -EBUSY);
}

/* What the kernel has is ended by the kernel; the parts that follow are not begun. */
START_TEST(cancel_between_parts)
{
    open_bus(_i, HELD);
    on_reactor(submit_parts, cancel_first);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, -ECANCELED);
    ck_assert_uint_ge(ops[0].rq.done, 1);
    ck_assert_uint_lt(ops[0].rq.done, 8);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_uint_eq(ops[0].rq.done, 1);
    close_bus();
}
END_TEST

static void submit_with_time_outs(void)
{
    submit_pointer(0);
    dev_request_set_timeout(&ops[3].rq.base, KROUTINE_SEC(100));
    submit_pointer(3);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(10));
    submit_pointer(1);
    dev_request_set_timeout(&ops[2].rq.base, KROUTINE_MSEC(5));
    submit_pointer(2);
}

START_TEST(a_time_out_while_the_bus_is_held)
{
    open_bus(_i, "sim-i2c:a?latency=1000000000");
    on_reactor(submit_with_time_outs, NULL);
    expect(&ops[1], -ETIMEDOUT, 0);
    expect(&ops[2], -ETIMEDOUT, 0);
    expect(&ops[0], 0, 1);
    expect(&ops[3], 0, 1);
    ck_assert_uint_lt(kt_get(&ops[1].stamp), kt_get(&ops[0].stamp));
    ck_assert_uint_lt(kt_get(&ops[2].stamp), kt_get(&ops[0].stamp));
    close_bus();
}
END_TEST

static void submit_five(void)
{
    for (unsigned i = 1; i < 6; i++)
        submit_pointer(i);
}

START_TEST(higher_priority_first)
{
    static const unsigned order[] = {0, 5, 3, 4, 1, 2};

    open_bus(_i, HELD);
    for (unsigned i = 0; i < 6; i++) {
        dev_i2c_rq_init_sched_switch(&ops[i].rq, over); /* one after the other */
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 0;
        kroutine_set_priority(&ops[i].rq.kr, (const unsigned[]){0, 0, 0, 3, 3, 7}[i]);
    }
    on_reactor(submit_first, submit_five);
    for (unsigned i = 0; i < 6; i++)
        expect(&ops[i], 0, 1);
    for (unsigned i = 1; i < 6; i++)
        ck_assert_uint_lt(kt_get(&ops[order[i - 1]].stamp), kt_get(&ops[order[i]].stamp));
    close_bus();
}
END_TEST

/* Virtual time may have passed before: some may have been sent. */
START_TEST(closing)
{
    error_t before = 0;

    open_bus(_i, HELD);
    for (unsigned i = 0; i < OPS; i++) {
        dev_i2c_rq_init_immediate(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 0;
        submit_pointer(i);
    }
    device_put_accessor(&bus.base);
    for (unsigned i = 0; i < OPS; i++) {
        error_t err = ops[i].rq.error;

        ck_assert_uint_eq(kt_get(&ops[i].done), 1);
        ck_assert_msg(err == -ECANCELED || (!err && !before), "%u: %d", i, err);
        before = err;
    }
    if (kt_backend != KROUTINE_BACKEND_SIM || env.embedded)
        ck_assert_int_eq(before, -ECANCELED);
    kt_env_close(&env);
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
    kt_add_loop(s, cancel, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, cancel_between_parts, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, a_time_out_while_the_bus_is_held, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, higher_priority_first, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, closing, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, blocking_calls, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, transfers_take_their_time, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, what_it_is, KT_MODES, kt_mode_label, 10);
    return s;
}
