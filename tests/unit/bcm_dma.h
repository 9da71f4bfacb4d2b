/* SPDX-License-Identifier: MIT */
/* A device of the driver bcm2835-dma over a model of a channel, for the tests of it. */
#ifndef BCM_DMA_H
#define BCM_DMA_H

#include "kt_bcm.h"
#include "kt_dma.h"

#include <stdio.h>

#define SPEC "bcm2835-dma:" KT_BCM_SPEC

static struct kt_env_s env;
static struct kt_bcm_s m;
static struct kt_dma_s d;

static error_t open_spec(struct device_dma_s *dev, const char *spec)
{
    memset(dev, 0, sizeof *dev);
    return device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_DMA);
}

/* `size` bytes on either side, filled. */
static void open_engine(const char *spec, size_t size)
{
    memset(&d, 0, sizeof d);
    d.env = &env;
    ck_assert_msg(open_spec(&d.dev, spec) == 0, "%s: %s", spec, kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&d.dev, info, &d.info), 0);
    d.size = size;
    for (int i = 0; i < 2; i++)
        ck_assert_msg(dev_dma_alloc(&d.dev, &d.mem[i], size, 0) == 0, "%s", kroutine_error_text());
    d.src = d.mem[0].base;
    d.dst = d.mem[1].base;
    for (size_t i = 0; i < size; i++)
        d.src[i] = kt_dma_pattern(i);
    memset(d.dst, 0xee, size);
}

static void open_all(int round, const char *spec, size_t size, bool lite)
{
    kt_env_open(&env, (enum kt_mode_e)round);
    kt_bcm_start(&m, &env, lite);
    open_engine(spec, size);
}

static void close_engine(void)
{
    for (int i = 0; i < 2; i++) {
        if (d.mem[i].base)
            ck_assert_int_eq(dev_dma_unmap(&d.mem[i]), 0);
    }
    device_put_accessor(&d.dev.base);
}

static void close_all(void)
{
    close_engine();
    kt_bcm_stop(&m);
    kt_env_close(&env);
}

#endif
