/* SPDX-License-Identifier: MIT */
/* What programs call for memory of the dma class, but for taking it back: dma_memory.c. */
#include <string.h>

#include "dma_memory.h"

error_t dev_dma_map(const struct device_dma_s *acc, struct dev_dma_mem_s *mem, void *base,
                    size_t size, uint32_t flags)
{
    struct dev_dma_mem_s before = *mem;
    error_t err;

    memset(mem, 0, sizeof(*mem));
    mem->base = base;
    mem->size = size;
    mem->flags = flags;
    err = DEVICE_OP(acc, map, mem);
    if (err)
        *mem = before;
    return err;
}

/* The bytes of dev_dma_alloc(): `base` and `pages`. */
static error_t take(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
{
    error_t err;

    if (!acc->drv->f_alloc) {
        err = kr_platform_pages_alloc(&mem->base, &mem->pages, mem->flags & DEV_DMA_MEM_HUGE);
        return err ? device_error(err, "the system has no %zu bytes of memory left", mem->size) : 0;
    }
    err = kr_class_enter(acc->dev);
    if (err)
        device_error(err, "%s", err == -EPERM ? "forked child" : "the device is closed");
    else
        err = acc->drv->f_alloc(acc, mem);
    kr_device_leave(acc->dev);
    return err;
}

void kr_dma_give_back(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
{
    if (acc->drv->f_free)
        acc->drv->f_free(acc, mem);
    else
        kr_platform_pages_free(mem->base, mem->pages);
}

error_t dev_dma_alloc(const struct device_dma_s *acc, struct dev_dma_mem_s *mem, size_t size,
                      uint32_t flags)
{
    struct dev_dma_mem_s before = *mem;
    error_t err;

    if (!size)
        return device_error(-EINVAL, "0 bytes of memory");
    if (!acc->dev)
        return device_error(-ECANCELED, "the accessor is not open");
    memset(mem, 0, sizeof(*mem));
    mem->size = size;
    mem->flags = flags;
    mem->pages = size;
    err = take(acc, mem);
    if (!err) {
        err = DEVICE_OP(acc, map, mem);
        if (err)
            kr_dma_give_back(acc, mem);
    }
    if (err)
        *mem = before;
    return err;
}

/* --- copies: the memory may be mapped as that of a device, where each access has to be aligned ---
 */

#define WORD sizeof(size_t)

static bool inside(const struct dev_dma_mem_s *mem, size_t offset, size_t size)
{
    return mem->memory && offset <= mem->size && size <= mem->size - offset;
}

error_t dev_dma_write(const struct dev_dma_mem_s *mem, size_t offset, const void *from, size_t size)
{
    volatile uint8_t *to = (volatile uint8_t *)mem->base + offset;
    const uint8_t *bytes = from;
    size_t word;

    if (!inside(mem, offset, size))
        return device_error(-EINVAL, "%zu bytes at %zu of memory that has %zu", size, offset,
                            mem->size);
    for (; size && (uintptr_t)to % WORD; size--)
        *to++ = *bytes++;
    for (; size >= WORD; size -= WORD, to += WORD, bytes += WORD) {
        memcpy(&word, bytes, WORD);
        *(volatile size_t *)to = word;
    }
    for (; size; size--)
        *to++ = *bytes++;
    return 0;
}

error_t dev_dma_read(const struct dev_dma_mem_s *mem, size_t offset, void *to, size_t size)
{
    const volatile uint8_t *from = (const volatile uint8_t *)mem->base + offset;
    uint8_t *bytes = to;
    size_t word;

    if (!inside(mem, offset, size))
        return device_error(-EINVAL, "%zu bytes at %zu of memory that has %zu", size, offset,
                            mem->size);
    for (; size && (uintptr_t)from % WORD; size--)
        *bytes++ = *from++;
    for (; size >= WORD; size -= WORD, from += WORD, bytes += WORD) {
        word = *(const volatile size_t *)from;
        memcpy(bytes, &word, WORD);
    }
    for (; size; size--)
        *bytes++ = *from++;
    return 0;
}
