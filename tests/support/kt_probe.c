/* SPDX-License-Identifier: MIT */
/* Kroutines of the tests, under every policy. */
#include "kt.h"

KROUTINE_EXEC(kt_probe_run)
{
    struct kt_probe_s *p = KROUTINE_CONTAINER(kr, struct kt_probe_s, kr);

    p->flags = flags;
    p->stamp = kt_stamp();
    p->thread = pthread_self();
    p->interruptible = kroutine_is_interruptible();
    /* A program may block where DEFERRED is set: then the context has to be one. */
    if (flags & KROUTINE_EXEC_DEFERRED && !p->interruptible)
        ck_abort_msg("DEFERRED in a context that is not interruptible");
    if (p->then)
        p->then(p);
    kt_inc(&p->runs);
}

static void init_plain(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy,
                       const struct kt_target_s *t)
{
    switch (policy) {
    case KROUTINE_NONE:
        kroutine_init_none(kr);
        break;
    case KROUTINE_IMMEDIATE:
        kroutine_init_immediate(kr, exec);
        break;
    case KROUTINE_QUEUE:
        kroutine_init_queue(kr, exec, t->queue);
        break;
    case KROUTINE_SCHED_SWITCH:
        kroutine_init_sched_switch(kr, exec);
        break;
    case KROUTINE_DEFERRED:
        kroutine_init_deferred(kr, exec);
        break;
    case KROUTINE_INTERRUPTIBLE:
        kroutine_init_interruptible(kr, exec);
        break;
    case KROUTINE_IDLE:
        kroutine_init_idle(kr, exec);
        break;
    default:
        ck_abort_msg("policy %d", policy);
    }
}

void kt_init_policy(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy,
                    const struct kt_target_s *t)
{
    switch (policy) {
    case KROUTINE_CPU_SCHED_SWITCH:
        kroutine_init_sched_switch_cpu(kr, exec, t->cpu);
        break;
    case KROUTINE_CPU_DEFERRED:
        kroutine_init_deferred_cpu(kr, exec, t->cpu);
        break;
    case KROUTINE_CPU_INTERRUPTIBLE:
        kroutine_init_interruptible_cpu(kr, exec, t->cpu);
        break;
    case KROUTINE_SEQ_SCHED_SWITCH:
        kroutine_init_sched_switch_seq(kr, exec, t->seq);
        break;
    case KROUTINE_SEQ_DEFERRED:
        kroutine_init_deferred_seq(kr, exec, t->seq);
        break;
    case KROUTINE_SEQ_INTERRUPTIBLE:
        kroutine_init_interruptible_seq(kr, exec, t->seq);
        break;
    default:
        init_plain(kr, exec, policy, t);
    }
    ck_assert_int_eq(kroutine_bind(kr, t->rt), 0);
}

void kt_probe_init(struct kt_probe_s *probe, enum kroutine_policy_e policy,
                   const struct kt_target_s *target)
{
    memset(probe, 0, sizeof *probe);
    kt_init_policy(&probe->kr, kt_probe_run, policy, target);
}

const char *kt_policy_name(enum kroutine_policy_e policy)
{
    static const char *const names[] = {
        [KROUTINE_INVALID] = "invalid",
        [KROUTINE_NONE] = "none",
        [KROUTINE_IMMEDIATE] = "immediate",
        [KROUTINE_TRIGGER] = "trigger",
        [KROUTINE_QUEUE] = "queue",
        [KROUTINE_SCHED_SWITCH] = "sched_switch",
        [KROUTINE_DEFERRED] = "deferred",
        [KROUTINE_INTERRUPTIBLE] = "interruptible",
        [KROUTINE_IDLE] = "idle",
        [KROUTINE_CPU_SCHED_SWITCH] = "cpu_sched_switch",
        [KROUTINE_CPU_DEFERRED] = "cpu_deferred",
        [KROUTINE_CPU_INTERRUPTIBLE] = "cpu_interruptible",
        [KROUTINE_SEQ_SCHED_SWITCH] = "seq_sched_switch",
        [KROUTINE_SEQ_DEFERRED] = "seq_deferred",
        [KROUTINE_SEQ_INTERRUPTIBLE] = "seq_interruptible",
    };

    return names[policy];
}

const enum kroutine_policy_e kt_put_off[KT_PUT_OFF] = {
    KROUTINE_QUEUE,
    KROUTINE_SCHED_SWITCH,
    KROUTINE_DEFERRED,
    KROUTINE_INTERRUPTIBLE,
    KROUTINE_IDLE,
    KROUTINE_CPU_SCHED_SWITCH,
    KROUTINE_CPU_DEFERRED,
    KROUTINE_CPU_INTERRUPTIBLE,
    KROUTINE_SEQ_SCHED_SWITCH,
    KROUTINE_SEQ_DEFERRED,
    KROUTINE_SEQ_INTERRUPTIBLE,
};

const char *kt_put_off_label(int round)
{
    return kt_policy_name(kt_put_off[round]);
}
