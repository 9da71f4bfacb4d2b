/* SPDX-License-Identifier: MIT */
/*
 * The memory that a channel reaches: a region of the device below, reserved by the device tree, of
 * which the kernel tells the physical address. First fit in a sorted list: pieces are few, and
 * allocated at the start of a program.
 *
 * It is mapped as memory of a device: all accesses here are aligned words (kroutine-bcm2835(7)).
 */
#include <stdlib.h>

#include "bcm2835.h"

#define GRAIN 4096u /* pieces begin on such a boundary, whatever the size of pages is */

/* The legacy engine gives 30 bits of physical address: datasheet, 1.2.3. */
#define REACH 0x40000000u

struct bcm_piece_s {
    size_t offset;
    size_t size;
    struct bcm_piece_s *next;
};

/* All pools, so that the bytes of one are not given out by another one. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bcm_pool_s *pools;

static size_t whole(size_t size)
{
    return (size + GRAIN - 1) & ~(size_t)(GRAIN - 1);
}

/* --- life --- */

static error_t enlist(struct bcm_pool_s *pool)
{
    struct bcm_pool_s *other;

    pthread_mutex_lock(&pools_lock);
    for (other = pools; other && other->below != pool->below; other = other->next)
        ;
    if (!other) {
        pool->next = pools;
        pools = pool;
    }
    pthread_mutex_unlock(&pools_lock);
    return other ? device_error(-EBUSY,
                                "the memory of %s is in use: it is open with other keys, or was "
                                "closed before dev_dma_unmap of all that was allocated",
                                device_name(pool->below))
                 : 0;
}

/* Again: nothing. */
static void delist(struct bcm_pool_s *pool)
{
    struct bcm_pool_s **at = &pools;

    pthread_mutex_lock(&pools_lock);
    while (*at && *at != pool)
        at = &(*at)->next;
    if (*at)
        *at = pool->next;
    pthread_mutex_unlock(&pools_lock);
}

static error_t check_region(const struct dev_mmio_region_s *region, const struct bcm_pool_s *pool,
                            const char *name, uint32_t index, uint32_t alias)
{
    if (!region->physical)
        return device_error(-ENOTSUP, "%s does not tell the physical address of its region %u",
                            name, index);
    if (region->physical >= REACH || region->size > REACH - region->physical ||
        region->physical & alias || region->physical % BCM_BLOCK)
        return device_error(-ERANGE,
                            "region %u of %s, %#llx and %llu bytes, is not memory that the engine "
                            "reaches: its physical addresses are below 0x40000000",
                            index, name, (unsigned long long)region->physical,
                            (unsigned long long)region->size);
    if (region->size < pool->begin + GRAIN)
        return device_error(-ENOSPC,
                            "region %u of %s has %llu bytes, fewer than the control blocks and "
                            "4 KiB more: reserve more in the device tree, or say blocks=",
                            index, name, (unsigned long long)region->size);
    return 0;
}

static void fill_table(const struct bcm_pool_s *pool)
{
    for (uint32_t i = 0; i < BCM_LAPS; i++)
        dev_mmio_write32_le_relaxed(&pool->window, pool->laps + i * BCM_WORD,
                                    pool->bus + (uint32_t)pool->laps +
                                        (i + 1) % BCM_LAPS * BCM_WORD);
}

error_t kr_bcm_pool_open(struct bcm_pool_s *pool, const struct device_mmio_s *below, uint32_t index,
                         unsigned blocks, uint32_t alias)
{
    struct dev_mmio_region_s region;
    error_t err = DEVICE_OP(below, region, index, &region);

    if (err)
        return device_error(err,
                            "%s has no region %u, which is to be the memory of the engine: give it "
                            "a second range in the device tree, see kroutine-bcm2835(7)",
                            device_name(below->dev), index);
    pool->laps = whole((size_t)blocks * BCM_BLOCK);
    pool->begin = pool->laps + BCM_LAPS * BCM_WORD;
    pool->below = below->dev;
    err = check_region(&region, pool, device_name(below->dev), index, alias);
    if (err)
        return err;
    pool->bus = alias | (uint32_t)region.physical;
    err = enlist(pool);
    if (err)
        return err;
    err = DEVICE_OP(below, map, index, &pool->window);
    if (err) {
        delist(pool);
        return err;
    }
    fill_table(pool);
    pthread_mutex_init(&pool->lock, NULL);
    return 0;
}

void kr_bcm_pool_shut(struct bcm_pool_s *pool)
{
    bool empty;

    pthread_mutex_lock(&pool->lock);
    pool->shut = true;
    empty = !pool->pieces;
    pthread_mutex_unlock(&pool->lock);
    if (empty)
        delist(pool);
}

void kr_bcm_pool_close(struct bcm_pool_s *pool, const struct device_mmio_s *below)
{
    DEVICE_OP(below, unmap, &pool->window); /* a device below that is closed has done it */
    delist(pool);
    pthread_mutex_destroy(&pool->lock);
}

/* --- pieces --- */

static void clear(const struct bcm_pool_s *pool, const struct bcm_piece_s *piece)
{
    for (size_t at = 0; at < piece->size; at += BCM_WORD)
        dev_mmio_write32_le_relaxed(&pool->window, piece->offset + at, 0);
}

/* With the lock: where `piece` is put in, and its offset. */
static struct bcm_piece_s **find_room(struct bcm_pool_s *pool, struct bcm_piece_s *piece)
{
    struct bcm_piece_s **at = &pool->pieces;

    piece->offset = pool->begin;
    while (*at && (*at)->offset - piece->offset < piece->size) {
        piece->offset = (*at)->offset + (*at)->size;
        at = &(*at)->next;
    }
    return piece->offset <= pool->window.size && piece->size <= pool->window.size - piece->offset
               ? at
               : NULL;
}

error_t kr_bcm_pool_take(struct bcm_pool_s *pool, void **base, size_t size)
{
    struct bcm_piece_s *piece = malloc(sizeof(*piece)), **at = NULL;
    bool shut;

    if (!piece)
        return device_error(-ENOMEM, "out of memory");
    piece->size = whole(size);
    pthread_mutex_lock(&pool->lock);
    shut = pool->shut;
    if (!shut && piece->size >= size)
        at = find_room(pool, piece);
    if (at) {
        piece->next = *at;
        *at = piece;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!at) {
        free(piece);
        if (shut)
            return device_error(-ECANCELED, "the device is closed");
        return device_error(-ENOMEM,
                            "the reserved memory of the engine, %zu bytes, has no %zu in one piece "
                            "left",
                            pool->window.size - pool->begin, size);
    }
    clear(pool, piece);
    *base = (void *)(uintptr_t)(pool->window.base + piece->offset);
    return 0;
}

void kr_bcm_pool_give(struct bcm_pool_s *pool, const void *base)
{
    size_t offset = (uintptr_t)base - (uintptr_t)pool->window.base;
    struct bcm_piece_s **at = &pool->pieces, *piece;
    bool last;

    pthread_mutex_lock(&pool->lock);
    while ((*at)->offset != offset)
        at = &(*at)->next;
    piece = *at;
    *at = piece->next;
    last = pool->shut && !pool->pieces;
    pthread_mutex_unlock(&pool->lock);
    if (last)
        delist(pool);
    free(piece);
}

error_t kr_bcm_pool_bus(struct bcm_pool_s *pool, const void *base, size_t size, uint64_t *bus)
{
    uintptr_t offset = (uintptr_t)base - (uintptr_t)pool->window.base;
    const struct bcm_piece_s *piece;

    pthread_mutex_lock(&pool->lock);
    for (piece = pool->pieces; piece; piece = piece->next) {
        if (offset >= piece->offset && offset - piece->offset < piece->size &&
            size <= piece->size - (offset - piece->offset))
            break;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!piece)
        return device_error(-EFAULT, "this engine reaches its reserved memory only: take memory "
                                     "with dev_dma_alloc()");
    *bus = pool->bus + offset;
    return 0;
}
