/* SPDX-License-Identifier: MIT */
/*
 * Kroutines: callbacks that carry a policy, which decides where and when they run.
 * Concepts: kroutine(7). Functions: kroutine_init(3), kroutine_exec(3), kroutine_trigger(3),
 * kroutine_cancel(3), kroutine_is_interruptible(3).
 *
 * The memory of a kroutine is the caller's. The library keeps the address from the call of
 * kroutine_exec until the handler starts (or kroutine_cancel returns true), and never touches
 * the kroutine afterwards: its handler may re-initialise it, execute it again or free it.
 */
#ifndef KROUTINE_KROUTINE_H
#define KROUTINE_KROUTINE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kroutine_s;

/* What a handler is told about the run. The low 8 bits are the user flags, or-ed over merged execs.
 */
enum kroutine_exec_flags_e {
    KROUTINE_EXEC_USERFLAG_0 = 0x01,
    KROUTINE_EXEC_USERFLAG_1 = 0x02,
    KROUTINE_EXEC_USERFLAG_2 = 0x04,
    KROUTINE_EXEC_USERFLAG_3 = 0x08,
    KROUTINE_EXEC_USERFLAG_4 = 0x10,
    KROUTINE_EXEC_USERFLAG_5 = 0x20,
    KROUTINE_EXEC_USERFLAG_6 = 0x40,
    KROUTINE_EXEC_USERFLAG_7 = 0x80,
    KROUTINE_EXEC_USERFLAGS = 0xff,
    KROUTINE_EXEC_TRIGGERED = 0x100, /* runs from kroutine_trigger */
    KROUTINE_EXEC_DEFERRED = 0x200,  /* was put off, and runs in an interruptible context */
};

/* Type of a handler, and the way to declare one: static KROUTINE_EXEC(my_handler) { … }
   Few handlers need both parameters, so -Wextra is kept quiet about the other. */
typedef void kroutine_exec_t(struct kroutine_s *kr, enum kroutine_exec_flags_e flags);
#define KROUTINE_EXEC(name)                                                                        \
    void name(__attribute__((unused)) struct kroutine_s *kr,                                       \
              __attribute__((unused)) enum kroutine_exec_flags_e flags)

/* Where a handler runs. The table in kroutine(7) says it in words. */
enum kroutine_policy_e {
    KROUTINE_INVALID = 0,
    KROUTINE_NONE,
    KROUTINE_IMMEDIATE,
    KROUTINE_TRIGGER,
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

#define KROUTINE_PRIORITIES 8 /* 0, the default, is the lowest */

/* Every field is private to the library: use the functions below. */
struct kroutine_s {
    struct kroutine_s *next;
    kroutine_exec_t *exec;
    union {
        struct kroutine_queue_s *queue;
        struct kroutine_sequence_s *seq;
        uintptr_t cpu;
    } target;
    struct kroutine_runtime_s *runtime; /* NULL: the default runtime */
    uint32_t state;                     /* atomic: user flags, pending, trigger */
    uint8_t policy;
    uint8_t priority;
    uint8_t target_policy; /* TRIGGER: the policy family that `target` is for */
    uint8_t mark;          /* atomic, of the library: a request that is in flight, and the like */
};

/* --- initialisation: kroutine_init(3). `kr` must not be pending. --- */

KROUTINE_API void kroutine_init_none(struct kroutine_s *kr);
KROUTINE_API void kroutine_init_immediate(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_deferred(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_interruptible(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_sched_switch(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_idle(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_queue(struct kroutine_s *kr, kroutine_exec_t *exec,
                                      struct kroutine_queue_s *queue);

/* Needs both kroutine_exec and kroutine_trigger. The last three give a target, so that the
   trigger may name a policy of the QUEUE, SEQ_* or CPU_* kind. */
KROUTINE_API void kroutine_init_trigger(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_trigger_queue(struct kroutine_s *kr, kroutine_exec_t *exec,
                                              struct kroutine_queue_s *queue);
KROUTINE_API void kroutine_init_trigger_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                            struct kroutine_sequence_s *seq);
KROUTINE_API void kroutine_init_trigger_cpu(struct kroutine_s *kr, kroutine_exec_t *exec,
                                            unsigned cpu);

/* As the base policy, on a worker of that CPU; _local: of the CPU that makes this call. */
KROUTINE_API void kroutine_init_deferred_cpu(struct kroutine_s *kr, kroutine_exec_t *exec,
                                             unsigned cpu);
KROUTINE_API void kroutine_init_sched_switch_cpu(struct kroutine_s *kr, kroutine_exec_t *exec,
                                                 unsigned cpu);
KROUTINE_API void kroutine_init_interruptible_cpu(struct kroutine_s *kr, kroutine_exec_t *exec,
                                                  unsigned cpu);
KROUTINE_API void kroutine_init_deferred_local(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_sched_switch_local(struct kroutine_s *kr, kroutine_exec_t *exec);
KROUTINE_API void kroutine_init_interruptible_local(struct kroutine_s *kr, kroutine_exec_t *exec);

/* As the base policy, never at the same time as another kroutine of `seq`, in exec order. */
KROUTINE_API void kroutine_init_deferred_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                             struct kroutine_sequence_s *seq);
KROUTINE_API void kroutine_init_sched_switch_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                                 struct kroutine_sequence_s *seq);
KROUTINE_API void kroutine_init_interruptible_seq(struct kroutine_s *kr, kroutine_exec_t *exec,
                                                  struct kroutine_sequence_s *seq);

/* Chooses the runtime that runs `kr`; NULL is the default one. Submitting a request binds its
   kroutine to the runtime of the device. -EBUSY: pending, nothing changed. */
KROUTINE_API error_t kroutine_bind(struct kroutine_s *kr, struct kroutine_runtime_s *runtime);

/* 0 (default) to KROUTINE_PRIORITIES - 1; larger values count as the highest. Not while pending. */
KROUTINE_API void kroutine_set_priority(struct kroutine_s *kr, unsigned priority);

/* --- execution: kroutine_exec(3). Any thread, any context; never blocks, allocates or fails. ---
 */

/* Runs or schedules by policy. True when the handler ran before this call returned. Executed
   again before a scheduled handler has started, the runs merge into one and user flags are or-ed.
 */
KROUTINE_API bool kroutine_exec(struct kroutine_s *kr);
KROUTINE_API bool kroutine_exec_flags(struct kroutine_s *kr, uint8_t user_flags);

/* An IMMEDIATE handler is called from here, without the way into the library and back. */
static inline bool kroutine_exec_inline(struct kroutine_s *kr)
{
    if (kr->policy == KROUTINE_IMMEDIATE) {
        kr->exec(kr, (enum kroutine_exec_flags_e)0);
        return true;
    }
    return kroutine_exec(kr);
}
#define kroutine_exec(kr) kroutine_exec_inline(kr)

/* Takes a pending kroutine back. True: it will not run, and is the caller's again. False: it was
   not pending, or its handler has started. Never runs a handler. Cost: linear in what is pending
   at the same place. */
KROUTINE_API bool kroutine_cancel(struct kroutine_s *kr);
KROUTINE_API bool kroutine_is_pending(const struct kroutine_s *kr);

/* --- two-key kroutines: kroutine_trigger(3) --- */

/* When kroutine_exec has been called: consumes it, acts as `policy` and returns true. Otherwise
   arms the kroutine, so that the next exec acts as `policy`, and returns false. KROUTINE_NONE
   disarms, and tells whether an exec is waiting without consuming it. */
KROUTINE_API bool kroutine_trigger(struct kroutine_s *kr, enum kroutine_policy_e policy);

/* Arms only if exec has not happened: true. Otherwise consumes the exec without running the
   handler, and returns false: the caller goes on itself. */
KROUTINE_API bool kroutine_postpone(struct kroutine_s *kr, enum kroutine_policy_e policy);

/* --- context: kroutine_is_interruptible(3) --- */

/* False in the reactor's dispatch, in an IMMEDIATE handler nested in a submit, and between
   kroutine_critical_begin and _end; true elsewhere. A fact of the calling thread. */
KROUTINE_API bool kroutine_is_interruptible(void);
KROUTINE_API void kroutine_critical_begin(void); /* nests */
KROUTINE_API void kroutine_critical_end(void);

#ifdef __cplusplus
}
#endif
#endif
