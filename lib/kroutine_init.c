/* SPDX-License-Identifier: MIT */
/* Kroutines before they are executed: policy, target, runtime, priority. */
#include <errno.h>

#include "internal.h"

static void init(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy)
{
    *kr = (struct kroutine_s){.exec = exec, .policy = (uint8_t)policy};
}

static void init_cpu(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy,
                     unsigned cpu)
{
    init(kr, exec, policy);
    kr->target.cpu = cpu;
}

static void init_seq(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy,
                     struct kroutine_sequence_s *seq)
{
    init(kr, exec, policy);
    kr->target.seq = seq;
}

void kroutine_init_none(struct kroutine_s *kr)
{
    init(kr, NULL, KROUTINE_NONE);
}

void kroutine_init_immediate(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_IMMEDIATE);
}

void kroutine_init_deferred(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_DEFERRED);
}

void kroutine_init_interruptible(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_INTERRUPTIBLE);
}

void kroutine_init_sched_switch(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_SCHED_SWITCH);
}

void kroutine_init_idle(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_IDLE);
}

void kroutine_init_queue(struct kroutine_s *kr, kroutine_exec_t *exec,
                         struct kroutine_queue_s *queue)
{
    init(kr, exec, KROUTINE_QUEUE);
    kr->target.queue = queue;
}

void kroutine_init_trigger(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init(kr, exec, KROUTINE_TRIGGER);
}

void kroutine_init_trigger_queue(struct kroutine_s *kr, kroutine_exec_t *exec,
                                 struct kroutine_queue_s *queue)
{
    kroutine_init_queue(kr, exec, queue);
    kr->policy = KROUTINE_TRIGGER;
    kr->target_policy = KROUTINE_QUEUE;
}

void kroutine_init_trigger_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                               struct kroutine_sequence_s *seq)
{
    init_seq(kr, exec, KROUTINE_TRIGGER, seq);
    kr->target_policy = KROUTINE_SEQ_DEFERRED;
}

void kroutine_init_trigger_cpu(struct kroutine_s *kr, kroutine_exec_t *exec, unsigned cpu)
{
    init_cpu(kr, exec, KROUTINE_TRIGGER, cpu);
    kr->target_policy = KROUTINE_CPU_DEFERRED;
}

void kroutine_init_deferred_cpu(struct kroutine_s *kr, kroutine_exec_t *exec, unsigned cpu)
{
    init_cpu(kr, exec, KROUTINE_CPU_DEFERRED, cpu);
}

void kroutine_init_sched_switch_cpu(struct kroutine_s *kr, kroutine_exec_t *exec, unsigned cpu)
{
    init_cpu(kr, exec, KROUTINE_CPU_SCHED_SWITCH, cpu);
}

void kroutine_init_interruptible_cpu(struct kroutine_s *kr, kroutine_exec_t *exec, unsigned cpu)
{
    init_cpu(kr, exec, KROUTINE_CPU_INTERRUPTIBLE, cpu);
}

void kroutine_init_deferred_local(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init_cpu(kr, exec, KROUTINE_CPU_DEFERRED, kr_platform_cpu());
}

void kroutine_init_sched_switch_local(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init_cpu(kr, exec, KROUTINE_CPU_SCHED_SWITCH, kr_platform_cpu());
}

void kroutine_init_interruptible_local(struct kroutine_s *kr, kroutine_exec_t *exec)
{
    init_cpu(kr, exec, KROUTINE_CPU_INTERRUPTIBLE, kr_platform_cpu());
}

void kroutine_init_deferred_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                struct kroutine_sequence_s *seq)
{
    init_seq(kr, exec, KROUTINE_SEQ_DEFERRED, seq);
}

void kroutine_init_sched_switch_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                    struct kroutine_sequence_s *seq)
{
    init_seq(kr, exec, KROUTINE_SEQ_SCHED_SWITCH, seq);
}

void kroutine_init_interruptible_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                     struct kroutine_sequence_s *seq)
{
    init_seq(kr, exec, KROUTINE_SEQ_INTERRUPTIBLE, seq);
}

error_t kroutine_bind(struct kroutine_s *kr, struct kroutine_runtime_s *runtime)
{
    if (kroutine_is_pending(kr))
        return -EBUSY;
    kr->runtime = runtime;
    return 0;
}

void kroutine_set_priority(struct kroutine_s *kr, unsigned priority)
{
    kr->priority = (uint8_t)(priority < KROUTINE_PRIORITIES ? priority : KROUTINE_PRIORITIES - 1);
}
