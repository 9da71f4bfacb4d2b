/* SPDX-License-Identifier: MIT */
#include "kt_irq.h"

#include <stdio.h>

const char *kt_irq_label(int round)
{
    static const char *const labels[KT_IRQ_ROUNDS] = {"threads", "embedded", "threads, eventfd",
                                                      "embedded, eventfd"};

    return labels[round];
}

void kt_irq_open(struct kt_irq_s *t, struct kt_env_s *env, int round, const char *keys)
{
    char spec[128];
    error_t err;

    memset(t, 0, sizeof(*t));
    t->env = env;
    kt_env_open(env, round & 1 ? KT_EMBEDDED : KT_THREADS);
    snprintf(spec, sizeof spec, "sim-mmio:kt?eventfd=%s%s%s", round & 2 ? "yes" : "no",
             *keys ? "&" : "", keys);
    err = device_get_accessor_by_path(&t->dev.base, kroutine_runtime_devices(env->rt), spec,
                                      DRIVER_CLASS_MMIO);
    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

void kt_irq_close(struct kt_irq_s *t)
{
    device_put_accessor(&t->dev.base);
    kt_env_close(t->env);
}

KROUTINE_EXEC(kt_irq_handler)
{
    struct kt_irq_probe_s *probe = KROUTINE_CONTAINER(kr, struct kt_irq_probe_s, irq.kr);
    unsigned *alone = probe->alone;

    (void)flags;
    if (alone && kt_inc(alone) > 1)
        kt_inc(&KROUTINE_CONTAINER(alone, struct kt_irq_s, inside)->together);
    if (probe->then)
        probe->then(probe);
    if (alone)
        kt_dec(alone);
    kt_inc(&probe->runs);
}

void kt_irq_take(struct kt_irq_s *t, unsigned n, enum dev_irq_kind_e kind, uint16_t vector)
{
    struct dev_irq_s *irq = &t->irq[n].irq;
    error_t err;

    dev_irq_init(irq, kt_irq_handler);
    irq->kind = kind;
    irq->vector = vector;
    err = dev_irq_request(&t->dev, irq);
    ck_assert_msg(err == 0, "dev_irq_request: %s: %s", strerror(-err), kroutine_error_text());
}

void kt_irq_raise(struct kt_irq_s *t, enum dev_irq_kind_e kind, uint16_t vector)
{
    ck_assert_int_eq(kroutine_sim_irq_raise(&t->dev.base, kind, vector), 0);
}

uint64_t kt_irq_fired(struct kt_irq_s *t, unsigned n)
{
    struct dev_irq_counts_s counts;

    dev_irq_counts(&t->irq[n].irq, &counts);
    return counts.fired;
}
