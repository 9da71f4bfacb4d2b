/* SPDX-License-Identifier: MIT */
/* For the contract tests of the i2c class: a bus, and requests that note when they were over. */
#ifndef I2C_H
#define I2C_H

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

static inline void open_bus(int mode, const char *spec)
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

static inline void close_bus(void)
{
    device_put_accessor(&bus.base);
    kt_env_close(&env);
}

static inline void add(struct op_s *op, const void *data, size_t size, uint32_t flags)
{
    struct dev_i2c_transfer_s *t = &op->list[op->rq.count++];

    t->out = data;
    t->size = (uint32_t)size;
    t->op = flags;
}

static inline void submit(struct op_s *op, uint16_t addr)
{
    op->rq.addr = addr;
    kt_set(&op->done, 0);
    DEVICE_OP(&bus, request, &op->rq);
}

static inline void expect(struct op_s *op, error_t err, unsigned done)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_int_eq(op->rq.error, err);
    ck_assert_uint_eq(op->rq.done, done);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

/* Submits, waits, and forgets the list. */
static inline void run(struct op_s *op, uint16_t addr, error_t err, unsigned done)
{
    submit(op, addr);
    expect(op, err, done);
    op->rq.count = 0;
}

#endif
