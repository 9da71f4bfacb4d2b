/* SPDX-License-Identifier: MIT */
/* For test_char_gap.c and test_char_gap_write.c: a pair with frame=gap:N, and frames on it. */
#ifndef GAP_H
#define GAP_H

#include "kt_pair.h"

#define GAP KROUTINE_MSEC(2)

static struct kt_env_s env;
static struct kt_pair_s pair;

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

static bool sim(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM;
}

static uint8_t in[32];

static void start(struct kt_op_s *op, uint64_t timeout)
{
    kt_op_init(op, KROUTINE_IMMEDIATE);
    dev_request_set_timeout(&op->rq.base, timeout);
    kt_op_submit(op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
}

static void say(const char *text)
{
    kt_peer_write(&pair, text, strlen(text));
}

static void expect_frame(struct kt_op_s *op, const char *text)
{
    kt_op_expect(op, &env, 0, sizeof in - strlen(text));
    ck_assert_int_eq(memcmp(in, text, strlen(text)), 0);
}

static bool open_sim(const char *options)
{
    if (!sim())
        return false;
    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, KT_SIM, options);
    return true;
}

static void pass(uint64_t ns)
{
    uint64_t end = kt_clock(&env) + ns;

    while (kt_clock(&env) < end)
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, (int64_t)(end - kt_clock(&env))), 0);
}

#endif
