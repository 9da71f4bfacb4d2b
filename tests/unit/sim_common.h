/* SPDX-License-Identifier: MIT */
/* What the tests of simulated runtimes share: a runtime, its clocks, and requests that tell when
   they ended. */
#ifndef SIM_COMMON_H
#define SIM_COMMON_H

#include "kt.h"

#include <kroutine/sim.h>

static struct kt_env_s env;
static struct device_timer_s timer[3];

static inline void open_runtime(enum kt_mode_e mode, uint64_t seed)
{
    static const char *const names[] = {"timer0", "timer1", "timer2"};
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    config.backend = KROUTINE_BACKEND_SIM;
    config.sim_seed = seed;
    kt_env_make(&env, &config);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(device_get_accessor_by_path(&timer[i].base,
                                                     kroutine_runtime_devices(env.rt), names[i],
                                                     DRIVER_CLASS_TIMER),
                         0);
}

static inline void close_runtime(void)
{
    for (int i = 0; i < 3; i++)
        device_put_accessor(&timer[i].base);
    kt_env_close(&env);
}

static inline void open_char(struct device_char_s *acc, const char *spec)
{
    error_t err = device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_CHAR);

    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

/* Lets everything happen that happens by `ns` from now, in virtual time. */
static inline void run_for(uint64_t ns)
{
    uint64_t end = kroutine_sim_now(env.rt) + ns;

    while (kroutine_sim_now(env.rt) < end)
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, (int64_t)(end - kroutine_sim_now(env.rt))),
                         0);
    while (kroutine_runtime_process(env.rt) > 0)
        ;
}

/* --- requests that tell when they ended --- */

struct timed_s {
    struct dev_timer_rq_s rq;
    unsigned runs;
    unsigned stamp;
    uint64_t at;
    uint64_t period; /* not 0: submits again */
};

static KROUTINE_EXEC(timed_end)
{
    struct timed_s *t = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct timed_s, rq);

    (void)flags;
    t->at = kroutine_sim_now(env.rt);
    t->stamp = kt_stamp();
    t->runs++;
    if (t->period) {
        t->rq.delay = t->period;
        ck_assert_int_eq(DEVICE_OP(&timer[0], request, &t->rq), 0);
    }
}

static inline error_t timed_start(struct timed_s *t, int clock, uint64_t delay, uint64_t deadline)
{
    if (!t->runs)
        dev_timer_rq_init_immediate(&t->rq, timed_end);
    t->rq.delay = delay;
    t->rq.deadline = deadline;
    return DEVICE_OP(&timer[clock], request, &t->rq);
}

struct byte_rq_s {
    struct dev_char_rq_s rq;
    uint8_t data[64];
    unsigned runs;
    uint64_t at;
};

static KROUTINE_EXEC(byte_end)
{
    struct byte_rq_s *b = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct byte_rq_s, rq);

    (void)flags;
    b->runs++;
    b->at = kroutine_sim_now(env.rt);
}

static inline void byte_start(struct byte_rq_s *b, struct device_char_s *acc,
                              enum dev_char_rq_type_e type, const void *data, size_t size)
{
    uint64_t timeout = b->runs ? b->rq.timeout : 0;

    ck_assert_uint_le(size, sizeof(b->data));
    dev_char_rq_init(&b->rq, byte_end);
    dev_request_set_timeout(&b->rq.base, timeout);
    b->rq.type = type;
    b->rq.data = b->data;
    b->rq.size = size;
    if (data)
        memcpy(b->data, data, size);
    DEVICE_OP(acc, request, &b->rq);
}

#endif
