/* SPDX-License-Identifier: MIT */
/* Char requests that note what happened to them. */
#include "kt_pair.h"

KROUTINE_EXEC(kt_op_over)
{
    struct kt_op_s *op = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct kt_op_s, rq);

    op->error = op->rq.error;
    op->at = op->rq.data;
    op->left = op->rq.size;
    op->stamp = kt_stamp();
    op->flags = flags;
    op->thread = pthread_self();
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

void kt_op_init(struct kt_op_s *op, enum kroutine_policy_e policy)
{
    memset(op, 0, sizeof *op);
    switch (policy) {
    case KROUTINE_IMMEDIATE:
        dev_char_rq_init_immediate(&op->rq, kt_op_over);
        break;
    case KROUTINE_SCHED_SWITCH:
        dev_char_rq_init_sched_switch(&op->rq, kt_op_over);
        break;
    default:
        dev_char_rq_init(&op->rq, kt_op_over);
    }
}

void kt_op_submit(struct kt_op_s *op, const struct device_char_s *dev, unsigned type, void *data,
                  size_t size)
{
    kt_set(&op->done, 0);
    op->rq.type = (uint8_t)type;
    op->rq.data = data;
    op->rq.size = size;
    op->rq.error = 123; /* submit clears it */
    DEVICE_OP(dev, request, &op->rq);
}

error_t kt_op_cancel(struct kt_op_s *op, const struct device_char_s *dev)
{
    return DEVICE_OP(dev, cancel, &op->rq);
}

void kt_op_expect(struct kt_op_s *op, struct kt_env_s *env, int error, size_t left)
{
    kt_await(env, kt_get(&op->done) >= 1);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    ck_assert_msg(op->error == error, "error %d (%s), not %d", op->error, strerror(-op->error),
                  error);
    ck_assert_uint_eq(op->left, left);
}

static KROUTINE_EXEC(timed_over)
{
    struct kt_timed_s *op =
        KROUTINE_CONTAINER(dev_char_timed_rq_from_kr(kr), struct kt_timed_s, timed);

    op->when = kt_clock(op->env);
    op->error = op->timed.rq.error;
    op->at = op->timed.rq.data;
    op->left = op->timed.rq.size;
    op->stamp = kt_stamp();
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

void kt_timed_init(struct kt_timed_s *op, struct kt_env_s *env, enum kroutine_policy_e policy,
                   uint64_t timeout)
{
    memset(op, 0, sizeof *op);
    op->env = env;
    if (policy == KROUTINE_IMMEDIATE)
        dev_char_rq_init_immediate(&op->timed.rq, timed_over);
    else if (policy == KROUTINE_SCHED_SWITCH)
        dev_char_rq_init_sched_switch(&op->timed.rq, timed_over);
    else
        dev_char_rq_init(&op->timed.rq, timed_over);
    dev_request_set_timeout(&op->timed.rq.base, timeout);
}

void kt_timed_submit(struct kt_timed_s *op, const struct device_char_s *dev, void *data,
                     size_t size, size_t min, uint64_t gap)
{
    kt_set(&op->done, 0);
    op->timed.rq.type = DEV_CHAR_READ_TIMED;
    op->timed.rq.data = data;
    op->timed.rq.size = size;
    op->timed.min = min;
    op->timed.gap = gap;
    DEVICE_OP(dev, request, &op->timed.rq);
}

error_t kt_timed_cancel(struct kt_timed_s *op, const struct device_char_s *dev)
{
    return DEVICE_OP(dev, cancel, &op->timed.rq);
}

void kt_timed_expect(struct kt_timed_s *op, int error, size_t left)
{
    kt_await(op->env, kt_get(&op->done) >= 1);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    ck_assert_msg(op->error == error, "error %d (%s), not %d", op->error, strerror(-op->error),
                  error);
    ck_assert_uint_eq(op->left, left);
}

size_t kt_run(struct kt_pair_s *p, unsigned type, void *data, size_t size, int error)
{
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &p->dev, type, data, size);
    kt_await(p->env, kt_get(&op.done) >= 1);
    ck_assert_msg(op.error == error, "type %u on %s: error %d (%s), not %d", type, p->spec,
                  op.error, strerror(-op.error), error);
    ck_assert_uint_le(op.left, size);
    if (data)
        ck_assert_ptr_eq(op.at, (uint8_t *)data + (size - op.left));
    return size - op.left;
}

/* Not periodic in any power of two, so that a piece in the wrong place shows. */
static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251 * 13 + i / 65521);
}

void kt_fill(uint8_t *data, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(offset + i);
}

void kt_check_fill(const uint8_t *data, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(offset + i))
            ck_abort_msg("byte %zu of the stream is %#x, not %#x", offset + i, data[i],
                         byte_at(offset + i));
}
