/* SPDX-License-Identifier: MIT */
#include "edu_engine.h"

#include <stdio.h>

static bool by_uio(void)
{
    const char *way = getenv("KT_EDU");

    return way && strcmp(way, "uio") == 0;
}

int engine_rounds(void)
{
    return by_uio() ? 1 : 2;
}

enum engine_way_e engine_way(int round)
{
    return by_uio() ? ENGINE_UIO : round ? ENGINE_INTX : ENGINE_MSI;
}

const char *engine_label(int round)
{
    static const char *const labels[] = {"vfio, MSI", "vfio, INTx", "uio"};

    return labels[engine_way(round)];
}

static void find(struct engine_s *e, unsigned index)
{
    char name[16];

    ck_assert_msg(guest_find(name, EDU_VENDOR, EDU_DEVICE, index), "the machine has no edu %u",
                  index);
    guest_bind(name, e->way == ENGINE_UIO ? "uio_pci_generic" : "vfio-pci");
    if (e->way == ENGINE_UIO)
        snprintf(e->below, sizeof e->below, "uio:%s?physical=yes", name);
    else
        snprintf(e->below, sizeof e->below, "vfio:%s?irq=%s", name,
                 e->way == ENGINE_MSI ? "msi" : "intx");
}

static void get(struct device_accessor_s *acc, const struct engine_s *e, const char *spec,
                enum driver_class_e cl)
{
    error_t err = device_get_accessor_by_path(acc, kroutine_runtime_devices(e->env->rt), spec, cl);

    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

void engine_open_again(struct engine_s *e)
{
    char spec[80];

    /* The machine with UIO has a wide one: physical addresses are where they are. */
    snprintf(spec, sizeof spec, "edu:%s%s", e->below, e->way == ENGINE_UIO ? "&dma-mask=40" : "");
    get(&e->dma.base, e, spec, DRIVER_CLASS_DMA);
}

uint8_t engine_pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251 + 1);
}

static uint8_t *memory(struct dev_dma_mem_s *mem, const struct engine_s *e, size_t size)
{
    error_t err = dev_dma_alloc(&e->dma, mem, size, e->way == ENGINE_UIO ? DEV_DMA_MEM_HUGE : 0);

    ck_assert_msg(err == 0, "%zu bytes: %s", size, kroutine_error_text());
    return mem->base;
}

void engine_open(struct engine_s *e, struct kt_env_s *env, enum engine_way_e way, unsigned index,
                 size_t size)
{
    memset(e, 0, sizeof *e);
    e->env = env;
    e->way = way;
    find(e, index);
    if (way == ENGINE_UIO)
        guest_write("/proc/sys/vm/nr_hugepages", "8");
    engine_open_again(e);
    get(&e->mmio.base, e, e->below, DRIVER_CLASS_MMIO);
    ck_assert_int_eq(DEVICE_OP(&e->mmio, map, 0, &e->bar), 0);
    if (!size)
        return;
    e->src = memory(&e->src_mem, e, size);
    e->dst = memory(&e->dst_mem, e, size);
    for (size_t i = 0; i < size; i++)
        e->src[i] = engine_pattern(i);
    memset(e->dst, 0xee, size);
}

void engine_close(struct engine_s *e)
{
    if (e->src) {
        ck_assert_int_eq(dev_dma_unmap(&e->src_mem), 0);
        ck_assert_int_eq(dev_dma_unmap(&e->dst_mem), 0);
    }
    device_put_accessor(&e->dma.base);
    ck_assert_int_eq(DEVICE_OP(&e->mmio, unmap, &e->bar), 0);
    device_put_accessor(&e->mmio.base);
}

void engine_expect(const struct engine_s *e, size_t size)
{
    for (size_t i = 0; i < e->dst_mem.size; i++)
        ck_assert_msg(e->dst[i] == (i < size ? engine_pattern(i) : 0xee),
                      "byte %zu of %zu is 0x%02x", i, size, e->dst[i]);
}

void engine_await_start(const struct engine_s *e)
{
    kt_await(e->env, dev_mmio_read32_le(&e->bar, EDU_DMA_COMMAND) & 1);
}

/* --- requests --- */

static KROUTINE_EXEC(ended)
{
    struct engine_rq_s *op = KROUTINE_CONTAINER(dev_dma_rq_from_kr(kr), struct engine_rq_s, rq);

    (void)flags;
    op->stamp = kt_stamp();
    kt_inc(&op->runs);
}

void engine_rq_init(struct engine_rq_s *op, const struct engine_s *e, size_t size)
{
    memset(op, 0, sizeof *op);
    dev_dma_rq_init(&op->rq, ended);
    op->desc[0].src = e->src;
    op->desc[0].dst = e->dst;
    op->desc[0].size = size;
    op->rq.type = DEV_DMA_MEM_MEM;
    op->rq.list = op->desc;
    op->rq.count = 1;
    op->rq.loops = 1;
}

void engine_submit(struct engine_rq_s *op, const struct engine_s *e)
{
    ck_assert_int_eq(DEVICE_OP(&e->dma, request, &op->rq), 0);
}

void engine_await(struct engine_rq_s *op, const struct engine_s *e, error_t error)
{
    kt_await(e->env, kt_get(&op->runs) > 0);
    ck_assert_int_eq(op->rq.error, error);
    ck_assert_uint_eq(kt_get(&op->runs), 1);
}

void engine_run(struct engine_rq_s *op, const struct engine_s *e)
{
    kt_set(&op->runs, 0);
    engine_submit(op, e);
    engine_await(op, e, 0);
}
