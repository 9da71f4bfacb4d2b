/* SPDX-License-Identifier: MIT */
/* Simulated runtimes: the same run for the same seed; the same devices in real time. */
#include "sim_common.h"

/* --- same seed, same run --- */

static uint64_t trace;

static void note(uint64_t value)
{
    trace = (trace ^ value) * 0x100000001b3ull;
    trace ^= trace >> 29;
}

struct talker_s {
    struct device_char_s acc;
    struct dev_char_rq_s read, write;
    struct dev_timer_rq_s pause;
    uint8_t in[32], out[32];
    unsigned rounds;
};

static struct talker_s talker[4];

static KROUTINE_EXEC(talker_paused)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct talker_s, pause);

    (void)flags;
    note(kroutine_sim_now(env.rt));
    if (t->pause.error || !t->rounds--)
        return;
    t->write.data = t->out;
    t->write.size = 1 + t->rounds % sizeof(t->out);
    DEVICE_OP(&t->acc, request, &t->write);
}

static KROUTINE_EXEC(talker_wrote)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct talker_s, write);

    (void)flags;
    note((uint64_t)t->write.error);
    t->pause.delay = 1000 + t->rounds * 13;
    DEVICE_OP(&timer[0], request, &t->pause);
}

static KROUTINE_EXEC(talker_read)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct talker_s, read);

    (void)flags;
    note(kroutine_sim_now(env.rt));
    note((uint64_t)(t - talker) << 8 | t->read.size);
    if (t->read.error)
        return;
    t->read.data = t->in;
    t->read.size = sizeof(t->in);
    DEVICE_OP(&t->acc, request, &t->read);
}

/* Four devices that write and read with every random fault there is. */
static uint64_t trace_of(uint64_t seed)
{
    static const char *const specs[] = {
        "sim-char:p?side=a&short=20&eagain=20&jitter=5000&chunk=5",
        "sim-char:p?side=b&short=50&eagain=10&jitter=90&rate=2000000",
        "sim-char:q?short=10&jitter=1000",
        "sim-char:r?eagain=50&chunk=9&latency=10&jitter=1000&buffer=40",
    };

    trace = 0;
    open_runtime(KT_EMBEDDED, seed);
    for (int i = 0; i < 4; i++) {
        struct talker_s *t = &talker[i];

        open_char(&t->acc, specs[i]);
        t->rounds = 200;
        dev_timer_rq_init(&t->pause, talker_paused);
        dev_char_rq_init(&t->write, talker_wrote);
        t->write.type = DEV_CHAR_WRITE;
        dev_char_rq_init(&t->read, talker_read);
        t->read.type = DEV_CHAR_READ_PARTIAL;
        t->read.data = t->in;
        t->read.size = sizeof(t->in);
        DEVICE_OP(&t->acc, request, &t->read);
        t->pause.delay = 1;
        ck_assert_int_eq(DEVICE_OP(&timer[0], request, &t->pause), 0);
    }
    run_for(KROUTINE_SEC(10));
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(talker[i].rounds, UINT32_MAX);
        device_put_accessor(&talker[i].acc.base);
    }
    close_runtime();
    return trace;
}

START_TEST(same_seed_same_run)
{
    uint64_t first = trace_of(42), other = trace_of(43);

    ck_assert_uint_eq(trace_of(42), first);
    ck_assert_uint_ne(other, first);
    ck_assert_uint_eq(trace_of(43), other);
}
END_TEST

/* The driver alone, on a runtime with real time. */
START_TEST(line_in_real_time)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start = kt_now();
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, KT_EMBEDDED);
    config.backend = KROUTINE_BACKEND_EPOLL;
    kt_env_make(&env, &config);
    open_char(&acc, "sim-char:x?latency=20000000");
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 2);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "hi", 2);
    kt_await(&env, r.runs == 1);
    ck_assert_uint_ge(kt_now() - start, KROUTINE_MSEC(20));
    ck_assert_mem_eq(r.data, "hi", 2);
    ck_assert_uint_eq(kroutine_sim_now(env.rt), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, 1), -ENOTSUP);
    device_put_accessor(&acc.base);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sim");

    kt_add(s, same_seed_same_run, 20);
    kt_add(s, line_in_real_time, 10);
    return s;
}
