/* SPDX-License-Identifier: MIT */
/*
 * The driver bcm2835-timer: the system timer of the Raspberry Pi 1 to 4 as a device of class timer,
 * over any driver of the mmio class: "bcm2835-timer:uio:kr-timer". kroutine-bcm2835(7).
 *
 * A counter of 64 bits goes on by one each microsecond; it is read in two halves. Four registers
 * are compared with its lower half, and a match, which is equality, sets a bit of CS and raises an
 * interrupt: BCM2835 ARM Peripherals, chapter 12. The GPU has 0 and 2 for itself, Linux uses 3
 * where the processor has no timer of its own (drivers/clocksource/bcm2835_timer.c, Raspberry Pi
 * 1).
 *
 * Requests wait in a clock of lib/clock.c, of which this is the alarm. Two things make it one: a
 * deadline further away than the comparison reaches is come to in steps, since the clock arms the
 * alarm again when it rang and nothing was due; and an alarm that was set too late, the counter
 * having passed it, rings at once, by a kroutine.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "clock.h"
#include "device.h"
#include "internal.h"

#define CS        0x00 /* bit n: compare register n has matched; write 1 to clear */
#define CLO       0x04
#define CHI       0x08
#define C0        0x0c /* and three more */
#define REGISTERS 0x1c

#define TICK      1000u /* ns */
#define FARTHEST  (UINT32_C(1) << 31)

struct bcm_timer_s {
    struct device_s *dev;
    struct device_mmio_s below;
    struct dev_mmio_s regs;
    struct dev_irq_s irq;
    unsigned compare;
    struct kr_clock_s clock;
    struct kroutine_s late; /* the counter has passed what the alarm was set to */
    uint32_t kicked;        /* atomic: `late` is pending, and holds the device */
};

/* --- the hardware --- */

/* Whether the lower half has wrapped in between is told by the upper one. */
static uint64_t counter(const struct bcm_timer_s *t)
{
    uint32_t high = dev_mmio_read32_le(&t->regs, CHI), low, again;

    for (;; high = again) {
        low = dev_mmio_read32_le(&t->regs, CLO);
        again = dev_mmio_read32_le(&t->regs, CHI);
        if (again == high)
            return (uint64_t)high << 32 | low;
    }
}

static struct bcm_timer_s *timer_of(const struct kr_clock_s *clock)
{
    return KROUTINE_CONTAINER(clock, struct bcm_timer_s, clock);
}

static uint64_t bcm_now(const struct kr_clock_s *clock)
{
    return counter(timer_of(clock)) * TICK;
}

/* The register is there with the device. */
static error_t bcm_arm_open(struct kr_clock_s *clock)
{
    (void)clock;
    return 0;
}

static void bcm_arm_close(struct kr_clock_s *clock)
{
    (void)clock;
}

/* Nothing to arm for: the register stays, and one match in 71 minutes is for nothing. */
static void bcm_arm(struct kr_clock_s *clock, uint64_t deadline)
{
    struct bcm_timer_s *t = timer_of(clock);
    uint64_t now, target = deadline / TICK + (deadline % TICK != 0);

    if (deadline == UINT64_MAX)
        return;
    now = counter(t);
    if (target > now + FARTHEST)
        target = now + FARTHEST;
    dev_mmio_write32_le(&t->regs, C0 + 4 * t->compare, (uint32_t)target);
    if (counter(t) < target || kr_xchg(&t->kicked, 1))
        return;
    device_hold(t->dev);
    kroutine_exec(&t->late);
}

static const struct kr_clock_ops_s bcm_clock = {
    .capabilities = DEV_TIMER_CAP_REQUEST | DEV_TIMER_CAP_VARFREQ,
    .tick = TICK,
    .open = bcm_arm_open,
    .close = bcm_arm_close,
    .now = bcm_now,
    .arm = bcm_arm,
};

/* SCHED_SWITCH: in the reactor, as the clock wants it. */
static KROUTINE_EXEC(passed)
{
    struct bcm_timer_s *t = KROUTINE_CONTAINER(kr, struct bcm_timer_s, late);
    struct device_s *dev = t->dev;

    (void)flags;
    kr_store(&t->kicked, 0);
    kr_clock_expire(&t->clock);
    device_release(dev);
}

/* IMMEDIATE. A match of before, or an alarm that was set anew: the clock finds nothing due. */
static KROUTINE_EXEC(interrupt)
{
    struct bcm_timer_s *t = KROUTINE_CONTAINER(kr, struct bcm_timer_s, irq.kr);
    struct device_s *dev = device_hold(t->dev); /* a handler may close it */

    (void)flags;
    if (t->irq.error) {
        kr_clock_gone(&t->clock);
    } else {
        dev_mmio_write32_le(&t->regs, CS, UINT32_C(1) << t->compare);
        dev_mmio_read32_le(&t->regs, CS); /* pushes that out, so that the line is quiet */
        dev_irq_unmask(&t->irq);
        kr_clock_expire(&t->clock);
    }
    device_release(dev);
}

/* --- opening and closing --- */

/* A counter that stands still is none, and requests would wait for ever. */
static error_t check_timer(const struct bcm_timer_s *t)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const char *name = device_name(t->below.dev);
    uint64_t first;

    if (t->regs.size < REGISTERS)
        return device_error(-ENODEV, "%s has only %zu bytes of registers: not the system timer",
                            name, t->regs.size);
    first = counter(t);
    for (int i = 0; i < 1000; i++) {
        nanosleep(&pause, NULL);
        if (counter(t) != first)
            return 0;
    }
    return device_error(-ENODEV, "%s stands still: not the system timer", name);
}

static error_t open_below(struct bcm_timer_s *t, const struct device_spec_s *spec)
{
    struct device_s *root = kroutine_runtime_devices(device_runtime(t->dev));
    error_t err = device_get_accessor_by_path(&t->below.base, root, device_spec_address(spec),
                                              DRIVER_CLASS_MMIO);

    if (!err)
        err = DEVICE_OP(&t->below, map, 0, &t->regs);
    return err ? err : check_timer(t);
}

/* The registers stay mapped until f_free: calls that were under way read the counter. */
static void put_below(struct bcm_timer_s *t)
{
    if (t->regs.base)
        DEVICE_OP(&t->below, unmap, &t->regs);
    device_put_accessor(&t->below.base);
}

static error_t bcm_timer_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct bcm_timer_s *t = device_pv(dev);
    error_t err;

    t->dev = dev;
    t->compare = (unsigned)device_spec_uint(spec, "compare", 1);
    kr_clock_init(&t->clock, device_runtime(dev), &bcm_clock, KR_CLOCK_MONOTONIC);
    kroutine_init_sched_switch(&t->late, passed);
    kroutine_bind(&t->late, device_runtime(dev));
    err = open_below(t, spec);
    if (!err) {
        dev_mmio_write32_le(&t->regs, CS, UINT32_C(1) << t->compare); /* a match of before */
        dev_irq_init_immediate(&t->irq, interrupt);
        err = dev_irq_request(&t->below, &t->irq);
    }
    if (err)
        put_below(t);
    else
        err = kr_clock_attach(&t->clock);
    return err;
}

static void bcm_timer_close(struct device_s *dev)
{
    struct bcm_timer_s *t = device_pv(dev);

    kr_clock_close(&t->clock);
    dev_irq_release(&t->irq);
    if (kroutine_cancel(&t->late))
        device_release(dev); /* it will not come */
}

static void bcm_timer_free(struct device_s *dev)
{
    struct bcm_timer_s *t = device_pv(dev);

    kr_clock_fini(&t->clock);
    put_below(t);
}

/* A counter cannot be stopped: starting it only pins the resolution. */
static error_t bcm_timer_use(struct device_s *dev, enum device_use_e use)
{
    struct bcm_timer_s *t = device_pv(dev);

    if (use == DEV_USE_GET_ACCESSOR)
        return kr_clock_open(&t->clock);
    kr_clock_use(&t->clock, use == DEV_USE_START);
    return 0;
}

/* --- class --- */

static struct kr_clock_s *clock_of(const struct device_timer_s *acc)
{
    struct bcm_timer_s *t = device_pv(acc->dev);

    return &t->clock;
}

static DEV_TIMER_REQUEST(bcm_timer_request)
{
    return kr_clock_request_units(clock_of(acc), rq);
}

static DEV_TIMER_CANCEL(bcm_timer_cancel)
{
    return kr_clock_cancel(clock_of(acc), rq);
}

static DEV_TIMER_GET_VALUE(bcm_timer_get_value)
{
    return kr_clock_value(clock_of(acc), value, rev);
}

static DEV_TIMER_CONFIG(bcm_timer_config)
{
    return kr_clock_config(clock_of(acc), cfg, res);
}

static const struct driver_timer_s bcm_timer_methods = DRIVER_TIMER_METHODS(bcm_timer);

static const struct driver_param_s params[] = {
    {"compare", "compare register, 0 to 3; 1. The GPU uses 0 and 2", NULL, 0, 3, DRIVER_PARAM_UINT},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

const struct driver_s kr_driver_bcm2835_timer = {
    .name = "bcm2835-timer",
    .desc = "the Raspberry Pi's system timer, over uio",
    .params = params,
    .pv_size = sizeof(struct bcm_timer_s),
    .f_open = bcm_timer_open,
    .f_close = bcm_timer_close,
    .f_use = bcm_timer_use,
    .f_free = bcm_timer_free,
    .classes = {(const struct driver_class_table_s *)&bcm_timer_methods},
    .layered = true,
};
