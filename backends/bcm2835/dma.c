/* SPDX-License-Identifier: MIT */
/* The driver bcm2835-dma: operations of the class, opening and closing. */
#include "bcm2835.h"

#define ALIAS  0xc0000000u /* memory past the caches of the GPU: datasheet, 1.2.3 */
#define BLOCKS 128

static const struct driver_param_s params[] = {
    {"pool", "region of the device below that is its memory; 1", NULL, 0, 7, DRIVER_PARAM_UINT},
    {"blocks", "control blocks, of 32 bytes each, 2 to 65536; 128", NULL, 2, 65536,
     DRIVER_PARAM_UINT},
    {"dreq", "the peripheral that sets the pace, 1 to 31; 0: none", NULL, 0, 31, DRIVER_PARAM_UINT},
    {"ring", "continuous transfers run without the processor; yes", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"alias", "what is or-ed to addresses of memory; 0xc0000000, Raspberry Pi 1: 0x40000000", NULL,
     0, 0xc0000000, DRIVER_PARAM_UINT},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* --- opening and closing --- */

/* -ENOTSUP: it is a channel of the other kind, by where it is. */
static error_t check_place(const struct bcm_dma_s *bcm)
{
    struct dev_mmio_region_s region;
    error_t err = DEVICE_OP(&bcm->below, region, 0, &region);
    uint64_t page = region.physical & ~UINT64_C(0xfff);
    unsigned channel;

    if (err || (page != BCM2711_DMA && page != BCM2711_DMA_HIGH))
        return err;
    channel = (unsigned)(region.physical % 4096 / BCM_CHANNEL);
    if (channel < BCM_CHANNEL_40 || channel > BCM_CHANNEL_40_TO)
        return 0;
    return device_error(-ENOTSUP,
                        "%s is channel %u of BCM2711, which has addresses of 40 bits and other "
                        "registers: take one of 0 to 10",
                        device_name(bcm->below.dev), channel);
}

/* Is it a channel? Nothing is written before that is known. */
static error_t check_channel(struct bcm_dma_s *bcm)
{
    const char *name = device_name(bcm->below.dev);
    uint32_t debug, cs;
    error_t err = check_place(bcm);

    if (err)
        return err;
    if (bcm->regs.size < BCM_REGISTERS)
        return device_error(-ENODEV, "%s has only %zu bytes of registers: a channel has 256", name,
                            bcm->regs.size);
    debug = dev_mmio_read32_le(&bcm->regs, BCM_DEBUG);
    cs = dev_mmio_read32_le(&bcm->regs, BCM_CS);
    if (debug == UINT32_MAX || cs == UINT32_MAX)
        return device_error(-ENODEV, "%s does not answer: its registers are all ones", name);
    bcm->max = debug & BCM_LITE ? BCM_MAX_LITE : BCM_MAX;
    if (kr_bcm_reset(bcm))
        return device_error(-EIO, "%s cannot be stopped: is it a channel of the DMA controller?",
                            name);
    return 0;
}

static error_t open_below(struct bcm_dma_s *bcm, const struct device_spec_s *spec)
{
    struct device_s *root = kroutine_runtime_devices(device_runtime(bcm->dev));
    struct dev_mmio_info_s info;
    error_t err = device_get_accessor_by_path(&bcm->below.base, root, device_spec_address(spec),
                                              DRIVER_CLASS_MMIO);

    if (!err)
        err = DEVICE_OP(&bcm->below, info, &info);
    if (!err)
        bcm->virtual = info.cap & DEV_MMIO_CAP_VIRTUAL;
    return err ? err : DEVICE_OP(&bcm->below, map, 0, &bcm->regs);
}

static void put_below(struct bcm_dma_s *bcm)
{
    if (bcm->regs.base)
        DEVICE_OP(&bcm->below, unmap, &bcm->regs);
    device_put_accessor(&bcm->below.base);
}

/* With registers and memory: from here on the channel is this driver's. */
static error_t set_up(struct bcm_dma_s *bcm)
{
    error_t err = check_channel(bcm);

    if (err)
        return err;
    err = kr_dma_engine_create(&bcm->engine, bcm->dev, &kr_bcm_dma_ops, 1);
    if (err)
        return device_error(err, "out of memory");
    dev_irq_init_immediate(&bcm->irq, kr_bcm_interrupt);
    err = dev_irq_request(&bcm->below, &bcm->irq);
    if (err)
        kr_dma_engine_free(bcm->engine);
    return err;
}

static error_t bcm_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct bcm_dma_s *bcm = device_pv(dev);
    uint32_t alias = (uint32_t)device_spec_uint(spec, "alias", ALIAS);
    error_t err;

    bcm->dev = dev;
    bcm->blocks = (unsigned)device_spec_uint(spec, "blocks", BLOCKS);
    bcm->dreq = (unsigned)device_spec_uint(spec, "dreq", 0);
    bcm->rings = device_spec_uint(spec, "ring", 1);
    if (alias & ~ALIAS)
        return device_error(-EINVAL, "alias=%#x: one of 0, 0x40000000, 0x80000000, 0xc0000000",
                            (unsigned)alias);
    err = open_below(bcm, spec);
    if (!err)
        err = kr_bcm_pool_open(&bcm->pool, &bcm->below, (uint32_t)device_spec_uint(spec, "pool", 1),
                               bcm->blocks, alias);
    if (!err) {
        err = set_up(bcm);
        if (err)
            kr_bcm_pool_close(&bcm->pool, &bcm->below);
    }
    if (err)
        put_below(bcm);
    return err;
}

/* The registers and the memory stay mapped until f_free: memory that was allocated is its owner's
   until it is unmapped, and holds this device. */
static void bcm_close(struct device_s *dev)
{
    struct bcm_dma_s *bcm = device_pv(dev);

    kr_dma_engine_close(bcm->engine, -ECANCELED);
    dev_irq_release(&bcm->irq);
    kr_bcm_pool_shut(&bcm->pool);
}

static void bcm_free(struct device_s *dev)
{
    struct bcm_dma_s *bcm = device_pv(dev);

    kr_dma_engine_free(bcm->engine);
    kr_bcm_pool_close(&bcm->pool, &bcm->below);
    put_below(bcm);
}

/* --- class --- */

/* Registers are words; the class looks at their alignment only when there is a width. */
static bool registers_aligned(const struct dev_dma_rq_s *rq)
{
    uint64_t bits = 0;
    bool from = rq->type == DEV_DMA_REG_MEM;

    if (rq->type == DEV_DMA_MEM_MEM)
        return true;
    for (uint32_t i = 0; i < rq->count; i++) {
        bits |= from ? rq->list[i].src_reg : rq->list[i].dst_reg;
        if (rq->list[i].rows > 1)
            bits |= (uint64_t)(from ? rq->list[i].src_stride : rq->list[i].dst_stride);
    }
    if (rq->loops > 1 && rq->loops != DEV_DMA_CONTINUOUS)
        bits |= (uint64_t)(from ? rq->src_loop_stride : rq->dst_loop_stride);
    return bits % BCM_WORD == 0;
}

static DEV_DMA_REQUEST(bcm_request)
{
    struct bcm_dma_s *bcm = device_pv(acc->dev);

    if (!registers_aligned(rq))
        return -EINVAL;
    if (!dev_dma_registers_inside(rq, BCM_PERIPHERALS, BCM_PERIPHERALS_SIZE))
        return -EFAULT;
    if (rq->loops == DEV_DMA_CONTINUOUS && bcm->rings && kr_bcm_list_blocks(bcm, rq) >= bcm->blocks)
        return -E2BIG;
    return kr_dma_engine_request(bcm->engine, rq);
}

static DEV_DMA_CANCEL(bcm_cancel)
{
    struct bcm_dma_s *bcm = device_pv(acc->dev);

    return kr_dma_engine_cancel(bcm->engine, rq);
}

static DEV_DMA_INFO(bcm_info)
{
    const struct bcm_dma_s *bcm = device_pv(acc->dev);

    *info = (struct dev_dma_info_s){
        .name = "bcm2835-dma",
        .channels = 1,
        .types = 1u << DEV_DMA_MEM_MEM | 1u << DEV_DMA_MEM_REG | 1u << DEV_DMA_REG_MEM,
        .widths = BCM_WORD,
        .cap = DEV_DMA_CAP_CANCEL | DEV_DMA_CAP_CONTINUOUS | DEV_DMA_CAP_STRIDE |
               DEV_DMA_CAP_FIXED | (bcm->virtual ? DEV_DMA_CAP_VIRTUAL : 0),
        .align = BCM_WORD,
        .size_max = INT64_MAX,
        .mask = UINT32_MAX,
    };
    return 0;
}

static DEV_DMA_MAP(bcm_map)
{
    struct bcm_dma_s *bcm = device_pv(acc->dev);

    return kr_bcm_pool_bus(&bcm->pool, mem->base, mem->size, &mem->bus);
}

static DEV_DMA_ALLOC(bcm_alloc)
{
    struct bcm_dma_s *bcm = device_pv(acc->dev);

    return kr_bcm_pool_take(&bcm->pool, &mem->base, mem->size);
}

static DEV_DMA_FREE(bcm_give_back)
{
    struct bcm_dma_s *bcm = device_pv(acc->dev);

    kr_bcm_pool_give(&bcm->pool, mem->base);
}

static const struct driver_dma_s bcm_dma = {
    .cl = DRIVER_CLASS_DMA,
    .f_request = bcm_request,
    .f_cancel = bcm_cancel,
    .f_info = bcm_info,
    .f_map = bcm_map,
    .f_alloc = bcm_alloc,
    .f_free = bcm_give_back,
};

const struct driver_s kr_driver_bcm2835_dma = {
    .name = "bcm2835-dma",
    .desc = "a channel of the Raspberry Pi's DMA controller, over uio",
    .params = params,
    .pv_size = sizeof(struct bcm_dma_s),
    .f_open = bcm_open,
    .f_close = bcm_close,
    .f_use = kr_dma_engine_use,
    .f_free = bcm_free,
    .classes = {(const struct driver_class_table_s *)&bcm_dma},
    .layered = true,
};
