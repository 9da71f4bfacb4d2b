/* SPDX-License-Identifier: MIT */
/* Requests of the classes mem and valio that tell what happened to them. */
#ifndef CHIP_OP_H
#define CHIP_OP_H

#include "kt.h"

#include "chips.h"

struct op_s {
    union {
        struct dev_mem_rq_s mem;
        struct dev_valio_rq_s value;
        struct dev_request_s rq;
    };
    unsigned done; /* atomic */
    unsigned stamp;
    error_t error;
    void (*then)(struct op_s *op); /* at the end of the handler; may be NULL */
};

static KROUTINE_EXEC(op_over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.kr);

    op->stamp = kt_stamp();
    op->error = op->rq.error;
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

static inline void op_mem(struct op_s *op, enum dev_mem_rq_type_e type, uint64_t addr, void *data,
                          size_t size)
{
    memset(op, 0, sizeof(*op));
    dev_mem_rq_init(&op->mem, op_over);
    op->mem.type = (uint8_t)type;
    op->mem.addr = addr;
    op->mem.data = data;
    op->mem.size = size;
}

static inline void op_value(struct op_s *op, enum dev_valio_rq_type_e type, unsigned attribute,
                            unsigned channel)
{
    memset(op, 0, sizeof(*op));
    dev_valio_rq_init(&op->value, op_over);
    op->value.type = (uint8_t)type;
    op->value.attribute = (uint16_t)attribute;
    op->value.channel = (uint16_t)channel;
}

static inline error_t op_await(struct op_s *op, struct kt_env_s *env)
{
    kt_await(env, kt_get(&op->done));
    ck_assert_uint_eq(kt_get(&op->done), 1);
    return op->error;
}

static inline error_t mem_do(struct kt_env_s *env, const struct device_mem_s *acc,
                             enum dev_mem_rq_type_e type, uint64_t addr, void *data, size_t size)
{
    struct op_s op;

    op_mem(&op, type, addr, data, size);
    DEVICE_OP(acc, request, &op.mem);
    return op_await(&op, env);
}

/* Reads into, or writes, *op. */
static inline error_t value_do(struct kt_env_s *env, const struct device_valio_s *acc,
                               struct op_s *op)
{
    DEVICE_OP(acc, request, &op->value);
    return op_await(op, env);
}

#endif
