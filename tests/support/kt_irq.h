/* SPDX-License-Identifier: MIT */
/* A sim-mmio device and some of its interrupts, for the tests of irq and mmio. */
#ifndef KT_IRQ_H
#define KT_IRQ_H

#include "kt.h"

#define KT_IRQS 4

struct kt_irq_probe_s {
    struct dev_irq_s irq;
    unsigned runs; /* atomic */
    bool interruptible;
    unsigned keep_raised;
    unsigned *alone;                            /* NULL, or counts the handlers that are inside */
    void (*then)(struct kt_irq_probe_s *probe); /* at the end of the handler; may be NULL */
};

struct kt_irq_s {
    struct kt_env_s *env;
    struct device_mmio_s dev;
    struct kt_irq_probe_s irq[KT_IRQS];
    unsigned inside;
    unsigned together; /* handlers that met another one inside */
};

/* Rounds: with and without a reactor thread; direct, and (not in virtual time) through eventfds. */
#define KT_IRQ_ROUNDS 4
const char *kt_irq_label(int round);
#define kt_irq_add(s, t, limit)                                                                    \
    kt_add_loop(s, t, kt_backend == KROUTINE_BACKEND_SIM ? 2 : KT_IRQ_ROUNDS, kt_irq_label, limit)

/* Makes the runtime of this round, and the device "sim-mmio:kt?keys". */
void kt_irq_open(struct kt_irq_s *t, struct kt_env_s *env, int round, const char *keys);
/* Closes both; what is requested still is released by that. */
void kt_irq_close(struct kt_irq_s *t);

KROUTINE_EXEC(kt_irq_handler);
/* Initialises irq[n] as DEFERRED and requests it. */
void kt_irq_take(struct kt_irq_s *t, unsigned n, enum dev_irq_kind_e kind, uint16_t vector);
void kt_irq_raise(struct kt_irq_s *t, enum dev_irq_kind_e kind, uint16_t vector);
uint64_t kt_irq_fired(struct kt_irq_s *t, unsigned n);

#endif
