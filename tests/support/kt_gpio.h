/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests of the gpio class: a chip whose lines can be pulled from outside, of every
 * kind that there is here, and requests that note what happened to them.
 *
 * Simulated ones, of ours, or a chip of the kernel module gpio-sim alone when the environment names
 * one with 8 lines at least:
 *
 *     KT_GPIO_CHIP    its label or name
 *     KT_GPIO_SYSFS   the folder of its device in sysfs, with gpiochipN/sim_gpio0/pull and …/value
 *     KT_GPIO_LIVE    its file "live" in configfs, which removes the chip and brings it back
 *
 * tests/vm/gpio-sim makes one.
 *
 * Or, on a Raspberry Pi 3 of QEMU, the driver gpiomem alone, when the environment names
 *
 *     KT_UIO_GPIOMEM  the registers, as a file
 *     KT_GPIO_RASPI   the kernel's chip of the same lines, which tells their levels
 *
 * tests/vm/raspi has both. The lines 0 to 7 of a test are 24 to 31 there, which nothing else has;
 * it has no edges.
 */
#ifndef KT_GPIO_H
#define KT_GPIO_H

#include "kt.h"

enum kt_chip_e {
    KT_CHIP_SIM,    /* ours, as the kernel's uAPI 2 is */
    KT_CHIP_SIM_V1, /* ours, as uAPI 1 */
    KT_CHIP_GPIOD,  /* gpio-sim, through the driver gpiod */
    KT_CHIP_MEMORY, /* registers, through the driver gpiomem */
    KT_CHIPS,
};

#define KT_GPIO_LINES 8

struct kt_gpio_s {
    enum kt_chip_e kind;
    struct kt_env_s *env;
    struct device_gpio_s dev;     /* under test */
    struct device_gpio_s outside; /* the other end of the wires; of gpiomem, the kernel's view */
    unsigned first;               /* line of the chip that is line 0 of the tests */
    volatile uint32_t *registers; /* of gpiomem */
    uint32_t cap;
    char chip[64]; /* "sim-gpio:kt", "gpiod:LABEL", "gpiomem:auto" */
    char spec[256];
};

/* A loop test runs over kind and mode of the runtime. */
int kt_gpio_rounds(void);
const char *kt_gpio_label(int round);
enum kt_chip_e kt_gpio_kind(int round);
/* Why there is no round with gpiod; NULL: there is. */
const char *kt_gpio_missing(void);

/* Opens the runtime and the lines ("0-3") of the chip; `options`: keys, or NULL. Every line is
   pulled low before. */
void kt_gpio_open(struct kt_gpio_s *g, struct kt_env_s *env, int round, const char *lines,
                  const char *options);
/* Another device of the same chip. */
error_t kt_gpio_lookup(struct kt_gpio_s *g, struct device_gpio_s *dev, const char *lines,
                       const char *options);
void kt_gpio_close(struct kt_gpio_s *g);

/* From outside, by the offset of the line in the chip. */
void kt_gpio_pull(struct kt_gpio_s *g, unsigned offset, bool high);
/* The same as fast as it goes: edges of a kernel chip may then merge. Lines below KT_GPIO_LINES. */
void kt_gpio_pull_fast(struct kt_gpio_s *g, unsigned offset, bool high);
bool kt_gpio_level(struct kt_gpio_s *g, unsigned offset);

struct kt_gop_s {
    struct dev_gpio_rq_s rq;
    unsigned done; /* atomic: runs of the handler */
    int error;
    unsigned stamp;
    void (*then)(struct kt_gop_s *op); /* end of the handler; may be NULL */
    void *arg;
};

void kt_gop_init(struct kt_gop_s *op, unsigned type, unsigned first, unsigned last);
void kt_gop_submit(struct kt_gop_s *op, const struct device_gpio_s *dev);
error_t kt_gop_cancel(struct kt_gop_s *op, const struct device_gpio_s *dev);
/* Waits for its handler; fails the case if that ran twice, or with another error. */
void kt_gop_expect(struct kt_gop_s *op, struct kt_env_s *env, int error);
/* Submits and waits. */
void kt_gop_run(struct kt_gop_s *op, struct kt_gpio_s *g, int error);

#endif
