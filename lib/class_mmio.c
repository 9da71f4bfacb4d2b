/* SPDX-License-Identifier: MIT */
/* The front of the mmio class: no requests, all is done when a call returns. Interrupts: irq.c. */
#include <unistd.h>

#include "device.h"

static DEV_MMIO_INFO(mmio_info)
{
    return KR_CLASS_CALL(acc, f_info, info);
}

static DEV_MMIO_REGION(mmio_region)
{
    return KR_CLASS_CALL(acc, f_region, index, region);
}

static DEV_MMIO_MAP(mmio_map)
{
    return KR_CLASS_CALL(acc, f_map, index, window);
}

static DEV_MMIO_UNMAP(mmio_unmap)
{
    if (!window->base)
        return device_error(-EINVAL, "the window is not mapped");
    return KR_CLASS_CALL(acc, f_unmap, window);
}

static DEV_MMIO_CONFIG(mmio_config)
{
    if (size == 0 || offset > UINT32_MAX - size)
        return device_error(-EINVAL, "configuration space: %zu bytes at 0x%x", size, offset);
    return KR_CLASS_CALL(acc, f_config, offset, data, size, write);
}

static DEV_MMIO_RESET(mmio_reset)
{
    return KR_CLASS_CALL(acc, f_reset);
}

static DEV_MMIO_BUS_MASTER(mmio_bus_master)
{
    return KR_CLASS_CALL(acc, f_bus_master, on);
}

static DEV_MMIO_IRQ_REQUEST(mmio_irq_request)
{
    struct device_s *dev = kr_load_relaxed(&acc->dev);
    error_t err = dev ? kr_class_enter(dev) : -ECANCELED;

    if (!err)
        err = kr_irq_request(acc, irq);
    if (dev)
        kr_device_leave(dev);
    return err;
}

static DEV_MMIO_IRQ_RELEASE(mmio_irq_release)
{
    (void)acc;
    return dev_irq_release(irq);
}

static DEV_MMIO_IRQ_MASK(mmio_irq_mask)
{
    (void)acc;
    return dev_irq_mask(irq);
}

static DEV_MMIO_IRQ_UNMASK(mmio_irq_unmask)
{
    (void)acc;
    return dev_irq_unmask(irq);
}

static DEV_MMIO_IRQ_NUMBER(mmio_irq_number)
{
    (void)acc;
    return dev_irq_number(irq, number);
}

static bool whole_pages(const struct dev_dma_map_s *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return map->size && map->size % page == 0 && (uintptr_t)map->base % page == 0;
}

static DEV_MMIO_DMA_MAP(mmio_dma_map)
{
    if (!whole_pages(map))
        return device_error(-EINVAL, "memory for a device: begins and ends with a page");
    if (!map->flags || map->flags & ~(uint32_t)(DEV_DMA_MAP_READ | DEV_DMA_MAP_WRITE))
        return device_error(-EINVAL, "memory for a device: to be read, written or both");
    return KR_CLASS_CALL(acc, f_dma_map, map);
}

static DEV_MMIO_DMA_UNMAP(mmio_dma_unmap)
{
    return KR_CLASS_CALL(acc, f_dma_unmap, map);
}

const struct driver_mmio_s kr_mmio_front = DRIVER_MMIO_METHODS(mmio);

error_t dev_irq_request(const struct device_mmio_s *acc, struct dev_irq_s *irq)
{
    return mmio_irq_request(acc, irq);
}
