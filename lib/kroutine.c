/* SPDX-License-Identifier: MIT */
/*
 * Kroutines: execution, trigger, cancel. What is set before: kroutine_init.c.
 *
 * The state word says everything that several threads may change at once (enum kr_state_e). A run
 * goes through it like this; every arrow is one atomic operation:
 *
 *     0 ──exec──▶ PENDING|flags ──run or cancel──▶ 0        (flags or-ed meanwhile)
 *
 * and a TRIGGER kroutine, with P the policy that the trigger names:
 *
 *     0 ──exec──▶ EXEC_SEEN ──trigger(P)──▶ PENDING|TRIGGERED|RUN=P ──run──▶ 0
 *     0 ──trigger(P), postpone(P)──▶ ARMED=P ──exec──▶ PENDING|RUN=P ──run──▶ 0
 *     EXEC_SEEN ──postpone──▶ 0
 *
 * Between the step to PENDING and the entry in a run queue the kroutine belongs to the thread that
 * made the step; between leaving the run queue and the step to 0, to the one that took it out.
 */

#include "internal.h"

/* --- context --- */

bool kroutine_is_interruptible(void)
{
    return kr_self.nointr == 0;
}

void kroutine_critical_begin(void)
{
    kr_self.nointr++;
}

void kroutine_critical_end(void)
{
    kr_self.nointr--;
}

/* --- running --- */

static struct kroutine_sequence_s *sequence_of(const struct kroutine_s *kr,
                                               enum kroutine_policy_e policy)
{
    return policy >= KROUTINE_SEQ_SCHED_SWITCH ? kr->target.seq : NULL;
}

enum kroutine_policy_e kr_run_policy(const struct kroutine_s *kr)
{
    if (kr->policy != KROUTINE_TRIGGER)
        return (enum kroutine_policy_e)kr->policy;
    return (enum kroutine_policy_e)((kr_load(&kr->state) & KR_ST_RUN) >> KR_ST_RUN_SHIFT);
}

#define ST_OF_ONE_RUN (KR_ST_PENDING | KR_ST_FLAGS | KR_ST_TRIGGERED | KR_ST_RUN)

/* Runs what is pending, whoever owns it. `deferred`: DEFERRED if the context allows it. */
static void run(struct kroutine_s *kr, bool deferred)
{
    struct kroutine_sequence_s *seq = sequence_of(kr, kr_run_policy(kr));
    kroutine_exec_t *exec = kr->exec;
    unsigned flags = deferred && kr_self.nointr == 0 ? KROUTINE_EXEC_DEFERRED : 0;
    uint32_t state;

    kr_thread_enter(kr); /* before the state says "not pending": see kr_thread_runs */
    if (kr_likely(kr->policy != KROUTINE_TRIGGER))
        state = kr_xchg(&kr->state, 0);
    else
        state = kr_and(&kr->state, ~(uint32_t)ST_OF_ONE_RUN);
    flags |= state & KR_ST_FLAGS;
    if (state & KR_ST_TRIGGERED)
        flags |= KROUTINE_EXEC_TRIGGERED;
    if (seq)
        kr_seq_start(seq);
    exec(kr, (enum kroutine_exec_flags_e)flags);
    kr_thread_leave();
    if (seq)
        kr_seq_leave(seq);
}

void kr_run_pending(struct kroutine_s *kr)
{
    run(kr, true);
}

void kr_drop_pending(struct kroutine_s *kr)
{
    struct kroutine_sequence_s *seq = sequence_of(kr, kr_run_policy(kr));

    kr_and(&kr->state, ~(uint32_t)ST_OF_ONE_RUN);
    kr_thread_tell();
    if (seq)
        kr_seq_leave(seq);
}

void kr_dispatch(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    struct kroutine_runtime_s *rt = kr->runtime;

    if (policy == KROUTINE_QUEUE) {
        kr_queue_exec(kr->target.queue, kr);
        return;
    }
    if (!rt)
        rt = kr_runtime(NULL);
    if (kr_unlikely(!rt || !kr_runtime_usable(rt))) {
        /* No default runtime could be made, or this is a forked child, where the threads of the
           parent do not exist: the caller is the only context left. */
        run(kr, false);
        return;
    }
    kr_thread_push_begin(rt);
    switch (policy) {
    case KROUTINE_SCHED_SWITCH:
    case KROUTINE_SEQ_SCHED_SWITCH:
        kr_runq_push(&rt->sched, kr);
        kr_reactor_notify(rt);
        break;
    case KROUTINE_IDLE:
        kr_runq_push(&rt->idle, kr);
        kr_reactor_notify(rt);
        break;
    case KROUTINE_CPU_SCHED_SWITCH:
    case KROUTINE_CPU_DEFERRED:
    case KROUTINE_CPU_INTERRUPTIBLE:
        kr_pool_exec_cpu(rt->pool, kr, (unsigned)kr->target.cpu);
        break;
    default:
        kr_pool_exec(rt->pool, kr);
        break;
    }
    kr_thread_push_end();
}

/* May a kroutine of this policy run in the calling context? Enters its sequence if so. */
static bool runs_here(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    switch (policy) {
    case KROUTINE_IMMEDIATE:
        return true;
    case KROUTINE_INTERRUPTIBLE:
        return kr_self.nointr == 0;
    case KROUTINE_CPU_INTERRUPTIBLE:
        return kr_self.nointr == 0 && kr_self.worker_cpu &&
               kr_self.worker_cpu - 1 == kr->target.cpu; /* UINT_MAX + 1 is no CPU */
    case KROUTINE_SEQ_INTERRUPTIBLE:
        return kr_self.nointr == 0 && kr_seq_try_enter(kr->target.seq);
    default:
        return false;
    }
}

/* The calling thread has just made `kr` pending. */
static bool launch(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    struct kroutine_sequence_s *seq;

    if (runs_here(kr, policy)) {
        run(kr, false);
        return true;
    }
    seq = sequence_of(kr, policy);
    if (seq)
        kr_seq_exec(seq, kr);
    else
        kr_dispatch(kr, policy);
    return false;
}

static bool trigger_exec(struct kroutine_s *kr, uint8_t user_flags)
{
    uint32_t old = kr_load(&kr->state), new, armed;

    do {
        armed = (old & KR_ST_ARMED) >> KR_ST_ARMED_SHIFT;
        if (old & KR_ST_PENDING)
            new = old | user_flags;
        else if (!armed)
            new = old | user_flags | KR_ST_EXEC_SEEN;
        else
            new = (old & ~(uint32_t)KR_ST_ARMED) | user_flags | KR_ST_PENDING |
                  armed << KR_ST_RUN_SHIFT;
    } while (!kr_cas(&kr->state, &old, new));
    if (old & KR_ST_PENDING || !armed)
        return false;
    return launch(kr, (enum kroutine_policy_e)armed);
}

/* False: it was pending already, the runs merge. */
static bool make_pending(struct kroutine_s *kr, uint8_t user_flags)
{
    return !(kr_or(&kr->state, KR_ST_PENDING | user_flags) & KR_ST_PENDING);
}

static bool exec_slow(struct kroutine_s *kr, uint8_t user_flags)
{
    switch (kr->policy) {
    case KROUTINE_INVALID:
    case KROUTINE_NONE:
        return false;
    case KROUTINE_TRIGGER:
        return trigger_exec(kr, user_flags);
    case KROUTINE_DEFERRED:
        if (make_pending(kr, user_flags))
            kr_dispatch(kr, KROUTINE_DEFERRED);
        return false;
    default:
        return make_pending(kr, user_flags) && launch(kr, (enum kroutine_policy_e)kr->policy);
    }
}

bool(kroutine_exec)(struct kroutine_s *kr) /* in brackets: not the macro */
{
    if (kr_likely(kr->policy == KROUTINE_IMMEDIATE)) {
        kr->exec(kr, (enum kroutine_exec_flags_e)0);
        return true;
    }
    return exec_slow(kr, 0);
}

bool kroutine_exec_flags(struct kroutine_s *kr, uint8_t user_flags)
{
    if (kr->policy == KROUTINE_IMMEDIATE) {
        kr->exec(kr, (enum kroutine_exec_flags_e)user_flags);
        return true;
    }
    return exec_slow(kr, user_flags);
}

bool kr_exec_merges(struct kroutine_s *kr)
{
    bool merges;

    switch (kr->policy) {
    case KROUTINE_INVALID:
    case KROUTINE_NONE:
    case KROUTINE_IMMEDIATE:
        kroutine_exec(kr);
        return false;
    case KROUTINE_TRIGGER:
        merges = kroutine_is_pending(kr);
        trigger_exec(kr, 0);
        return merges;
    default:
        merges = !make_pending(kr, 0);
        if (!merges)
            launch(kr, (enum kroutine_policy_e)kr->policy);
        return merges;
    }
}

/* --- trigger --- */

/* A policy that needs a target of another kind than the kroutine has acts as DEFERRED. */
static enum kroutine_policy_e trigger_policy(const struct kroutine_s *kr,
                                             enum kroutine_policy_e policy)
{
    enum kroutine_policy_e family = policy;

    switch (policy) {
    case KROUTINE_IMMEDIATE:
    case KROUTINE_SCHED_SWITCH:
    case KROUTINE_DEFERRED:
    case KROUTINE_INTERRUPTIBLE:
    case KROUTINE_IDLE:
        return policy;
    case KROUTINE_CPU_SCHED_SWITCH:
    case KROUTINE_CPU_DEFERRED:
    case KROUTINE_CPU_INTERRUPTIBLE:
        family = KROUTINE_CPU_DEFERRED;
        break;
    case KROUTINE_SEQ_SCHED_SWITCH:
    case KROUTINE_SEQ_DEFERRED:
    case KROUTINE_SEQ_INTERRUPTIBLE:
        family = KROUTINE_SEQ_DEFERRED;
        break;
    default:
        break;
    }
    return kr->target_policy == family && family != KROUTINE_INVALID ? policy : KROUTINE_DEFERRED;
}

bool kroutine_trigger(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    uint32_t old = kr_load(&kr->state), new, seen;

    if (kr->policy != KROUTINE_TRIGGER)
        return false;
    if (policy == KROUTINE_NONE)
        return kr_and(&kr->state, ~(uint32_t)KR_ST_ARMED) & KR_ST_EXEC_SEEN;
    policy = trigger_policy(kr, policy);
    do {
        seen = !(old & KR_ST_PENDING) && old & KR_ST_EXEC_SEEN;
        if (seen)
            new = (old & ~(uint32_t)(KR_ST_EXEC_SEEN | KR_ST_ARMED)) | KR_ST_PENDING |
                  KR_ST_TRIGGERED | (uint32_t)policy << KR_ST_RUN_SHIFT;
        else
            new = (old & ~(uint32_t)KR_ST_ARMED) | (uint32_t)policy << KR_ST_ARMED_SHIFT;
    } while (!kr_cas(&kr->state, &old, new));
    if (!seen)
        return false;
    launch(kr, policy);
    return true;
}

bool kroutine_postpone(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    uint32_t old = kr_load(&kr->state), new, seen;

    if (kr->policy != KROUTINE_TRIGGER)
        return false;
    policy = trigger_policy(kr, policy);
    do {
        seen = !(old & KR_ST_PENDING) && old & KR_ST_EXEC_SEEN;
        if (seen)
            new = old & ~(uint32_t)(KR_ST_EXEC_SEEN | KR_ST_FLAGS);
        else
            new = (old & ~(uint32_t)KR_ST_ARMED) | (uint32_t)policy << KR_ST_ARMED_SHIFT;
    } while (!kr_cas(&kr->state, &old, new));
    return !seen;
}

/* --- cancel --- */

bool kroutine_is_pending(const struct kroutine_s *kr)
{
    return kr_load(&kr->state) & (KR_ST_PENDING | KR_ST_EXEC_SEEN);
}

/* Takes `kr` out of the place where its turn to run would have come. */
static bool remove_from_place(struct kroutine_s *kr, enum kroutine_policy_e policy)
{
    struct kroutine_runtime_s *rt = kr->runtime ? kr->runtime : kr_runtime(NULL);

    if (policy == KROUTINE_QUEUE)
        return kr_queue_remove(kr->target.queue, kr);
    if (!rt || !kr_runtime_usable(rt))
        return false;
    switch (policy) {
    case KROUTINE_SCHED_SWITCH:
    case KROUTINE_SEQ_SCHED_SWITCH:
        return kr_runq_remove(&rt->sched, kr);
    case KROUTINE_IDLE:
        return kr_runq_remove(&rt->idle, kr);
    default:
        return kr_pool_remove(rt->pool, kr);
    }
}

/* An exec of a TRIGGER kroutine that waits for its trigger. */
static bool take_exec_back(struct kroutine_s *kr)
{
    uint32_t old = kr_load(&kr->state);

    do {
        if (old & KR_ST_PENDING || !(old & KR_ST_EXEC_SEEN))
            return false;
    } while (!kr_cas(&kr->state, &old, old & ~(uint32_t)(KR_ST_EXEC_SEEN | KR_ST_FLAGS)));
    return true;
}

bool kroutine_cancel(struct kroutine_s *kr)
{
    enum kroutine_policy_e policy;
    struct kroutine_sequence_s *seq;

    if (kr->policy == KROUTINE_TRIGGER && take_exec_back(kr))
        return true;
    if (!(kr_load(&kr->state) & KR_ST_PENDING))
        return false;
    policy = kr_run_policy(kr);
    seq = sequence_of(kr, policy);
    if (seq && kr_seq_remove(seq, kr)) {
        kr_and(&kr->state, ~(uint32_t)ST_OF_ONE_RUN);
        kr_thread_tell();
        return true;
    }
    if (!remove_from_place(kr, policy))
        return false;
    kr_drop_pending(kr);
    return true;
}
