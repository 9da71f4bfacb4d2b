/* SPDX-License-Identifier: MIT */
/*
 * The memory that a device may touch: a table of its mappings, sorted by address. They do not
 * overlap, so that an address is in one of them at most, and one descriptor never means two
 * addresses of the engine.
 *
 * What a request has pinned is kept in the request, a bit for each mapping: what the caller does to
 * its list meanwhile does not matter, nor whether a close has undone the mapping. There are SLOTS
 * bits; mappings beyond, and only those, are found again by the addresses in the list.
 *
 *     CHANGING ──f_map──▶ MAPPED ──f_unmap──▶ CHANGING ──▶ not in the table
 *
 * The driver is called without the lock; while it is, the entry keeps its place, and no request
 * finds it. The table holds its device as long as there is an entry: memory can be taken back when
 * the device is closed already.
 */
#include <stdlib.h>
#include <string.h>

#include "dma_engine.h"
#include "dma_memory.h"

enum state_e { CHANGING = 1, MAPPED };

#define SLOTS  63u /* mappings that have a bit in a request */
#define LISTED ((uint64_t)1 << SLOTS)

struct kr_dma_memory_s {
    struct device_s *dev;
    pthread_mutex_t lock;
    struct dev_dma_mem_s **list; /* by address */
    size_t count;
    size_t room;
    uint32_t changes; /* of the list */
    struct dev_dma_mem_s *slots[SLOTS];
};

/* --- the table --- */

/* Made with the first mapping. Two threads may both make one: the second finds the first's. */
static struct kr_dma_memory_s *table_of(struct device_s *dev)
{
    struct kr_dma_memory_s *memory = kr_load_acquire(&dev->dma), *other = NULL;

    if (memory)
        return memory;
    memory = calloc(1, sizeof(*memory));
    if (!memory)
        return NULL;
    memory->dev = dev;
    pthread_mutex_init(&memory->lock, NULL);
    if (kr_cas(&dev->dma, &other, memory))
        return memory;
    kr_dma_memory_free(memory);
    return other;
}

void kr_dma_memory_free(struct kr_dma_memory_s *memory)
{
    if (!memory)
        return;
    pthread_mutex_destroy(&memory->lock);
    free(memory->list);
    free(memory);
}

/* Number of entries that begin at `address` or before. */
static size_t upper_bound(const struct kr_dma_memory_s *memory, uintptr_t address)
{
    size_t low = 0, high = memory->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if ((uintptr_t)memory->list[mid]->base <= address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The mapping that has this address, whatever its state; NULL: there is none. */
static struct dev_dma_mem_s *at_address(const struct kr_dma_memory_s *memory, const void *address)
{
    size_t n = upper_bound(memory, (uintptr_t)address);
    struct dev_dma_mem_s *mem = n ? memory->list[n - 1] : NULL;

    return mem && (uintptr_t)address - (uintptr_t)mem->base < mem->size ? mem : NULL;
}

/* The mapping that has all of address + low to address + high; NULL: there is none. */
static struct dev_dma_mem_s *find(const struct kr_dma_memory_s *memory, const void *address,
                                  int64_t low, int64_t high)
{
    struct dev_dma_mem_s *mem = at_address(memory, address);
    uint64_t offset;

    if (!mem || mem->state != MAPPED)
        return NULL;
    offset = (uint64_t)((uintptr_t)address - (uintptr_t)mem->base);
    if ((uint64_t)-low > offset || (uint64_t)high > mem->size - offset)
        return NULL;
    return mem;
}

/* --- pins --- */

/* Side `source` of a descriptor. NULL with 0: registers, which nothing has to be pinned for. */
static error_t side(const struct kr_dma_memory_s *memory, const struct dev_dma_rq_s *rq,
                    const struct dev_dma_desc_s *desc, bool source, struct dev_dma_mem_s **ret)
{
    uint32_t flag = source ? DEV_DMA_MEM_READ : DEV_DMA_MEM_WRITE;
    int64_t low, high;

    *ret = NULL;
    if (rq->type == (source ? DEV_DMA_REG_MEM : DEV_DMA_MEM_REG))
        return 0;
    if (!kr_dma_extent(rq, desc, source, &low, &high))
        return -EFAULT;
    *ret = find(memory, source ? desc->src : desc->dst, low, high);
    if (!*ret)
        return -EFAULT;
    return (*ret)->flags & flag ? 0 : -EACCES;
}

static void pin_one(struct dev_dma_mem_s *mem, uint64_t *pinned)
{
    if (!mem)
        return;
    if (mem->slot < SLOTS) {
        *pinned |= (uint64_t)1 << mem->slot;
    } else {
        *pinned |= LISTED;
        mem->pins++;
    }
}

/* Undoes pin_one() for `count` descriptors, as far as the mappings have no slot. */
static void unpin_listed(struct kr_dma_memory_s *memory, const struct dev_dma_rq_s *rq,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (int source = 0; source < 2; source++) {
            struct dev_dma_mem_s *mem;

            if (rq->type == (source ? DEV_DMA_REG_MEM : DEV_DMA_MEM_REG))
                continue;
            mem = at_address(memory, source ? rq->list[i].src : rq->list[i].dst);
            if (mem && mem->slot >= SLOTS && mem->pins)
                mem->pins--;
        }
    }
}

/* One more, or one less, in all that have a slot. */
static void count_pins(struct kr_dma_memory_s *memory, uint64_t pinned, int change)
{
    for (pinned &= ~LISTED; pinned; pinned &= pinned - 1)
        memory->slots[__builtin_ctzll(pinned)]->pins += (uint32_t)change;
}

error_t kr_dma_pin(struct kr_dma_memory_s *memory, struct dev_dma_rq_s *rq)
{
    struct dev_dma_mem_s *from, *to;
    uint64_t pinned = 0;
    error_t err = 0;

    if (!memory)
        return -EFAULT;
    pthread_mutex_lock(&memory->lock);
    for (uint32_t i = 0; i < rq->count; i++) {
        err = side(memory, rq, &rq->list[i], true, &from);
        if (!err)
            err = side(memory, rq, &rq->list[i], false, &to);
        if (err) {
            if (pinned & LISTED)
                unpin_listed(memory, rq, i);
            break;
        }
        pin_one(from, &pinned);
        pin_one(to, &pinned);
    }
    if (!err) {
        count_pins(memory, pinned, 1);
        rq->pinned = pinned;
    }
    pthread_mutex_unlock(&memory->lock);
    return err;
}

void kr_dma_unpin(struct kr_dma_memory_s *memory, const struct dev_dma_rq_s *rq)
{
    pthread_mutex_lock(&memory->lock);
    count_pins(memory, rq->pinned, -1);
    if (rq->pinned & LISTED)
        unpin_listed(memory, rq, rq->count);
    pthread_mutex_unlock(&memory->lock);
}

error_t dev_dma_bus(const struct device_s *dev, const void *address, size_t size, uint64_t *bus)
{
    struct kr_dma_memory_s *memory = kr_load_acquire(&dev->dma);
    struct dev_dma_mem_s *mem;
    int64_t end = 0;

    if (!memory || __builtin_add_overflow(end, size, &end))
        return -EFAULT;
    pthread_mutex_lock(&memory->lock);
    mem = find(memory, address, 0, end);
    if (mem)
        *bus = mem->bus + ((uintptr_t)address - (uintptr_t)mem->base);
    pthread_mutex_unlock(&memory->lock);
    return mem ? 0 : -EFAULT;
}

/* --- mapping --- */

/* With the lock, released for the allocation: room for one entry more. */
static error_t make_room(struct kr_dma_memory_s *memory)
{
    while (memory->count == memory->room) {
        size_t room = memory->room ? memory->room * 2 : 16;
        struct dev_dma_mem_s **list, **old = NULL;

        pthread_mutex_unlock(&memory->lock);
        list = malloc(room * sizeof(*list));
        pthread_mutex_lock(&memory->lock);
        if (!list)
            return device_error(-ENOMEM, "out of memory for a table of %zu mappings", room);
        if (room > memory->room) {
            if (memory->count)
                memcpy(list, memory->list, memory->count * sizeof(*list));
            old = memory->list;
            memory->list = list;
            memory->room = room;
        } else { /* another thread has made some meanwhile */
            old = list;
        }
        pthread_mutex_unlock(&memory->lock);
        free(old);
        pthread_mutex_lock(&memory->lock);
    }
    return 0;
}

static void take_slot(struct kr_dma_memory_s *memory, struct dev_dma_mem_s *mem)
{
    for (mem->slot = 0; mem->slot < SLOTS; mem->slot++) {
        if (!memory->slots[mem->slot]) {
            memory->slots[mem->slot] = mem;
            return;
        }
    }
}

/* With the lock, of an entry that is not in the list. -EEXIST: it would overlap. */
static error_t insert(struct kr_dma_memory_s *memory, struct dev_dma_mem_s *mem)
{
    uintptr_t base = (uintptr_t)mem->base;
    size_t n;
    error_t err = make_room(memory);

    if (err)
        return err;
    n = upper_bound(memory, base);
    if ((n && base - (uintptr_t)memory->list[n - 1]->base < memory->list[n - 1]->size) ||
        (n < memory->count && (uintptr_t)memory->list[n]->base - base < mem->size))
        return device_error(-EEXIST, "a part of %p to %p is mapped for this device already",
                            mem->base, (void *)(base + mem->size));
    memmove(memory->list + n + 1, memory->list + n, (memory->count - n) * sizeof(*memory->list));
    memory->list[n] = mem;
    memory->changes++;
    take_slot(memory, mem);
    if (!memory->count++)
        device_hold(memory->dev);
    return 0;
}

/* With the lock, which it releases: the device, and the table with it, may be gone then. */
static void remove_unlock(struct kr_dma_memory_s *memory, struct dev_dma_mem_s *mem)
{
    size_t n = upper_bound(memory, (uintptr_t)mem->base);
    struct device_s *dev = NULL;

    if (mem->slot < SLOTS)
        memory->slots[mem->slot] = NULL;
    memory->count--;
    memmove(memory->list + n - 1, memory->list + n,
            (memory->count - (n - 1)) * sizeof(*memory->list));
    memory->changes++;
    if (!memory->count)
        dev = memory->dev;
    pthread_mutex_unlock(&memory->lock);
    if (dev)
        device_release(dev);
}

/* Inside the device. */
static error_t map(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
{
    struct kr_dma_memory_s *memory = table_of(acc->dev);
    error_t err;

    if (!memory)
        return device_error(-ENOMEM, "out of memory");
    mem->state = CHANGING;
    mem->memory = memory;
    pthread_mutex_lock(&memory->lock);
    err = insert(memory, mem);
    pthread_mutex_unlock(&memory->lock);
    if (err)
        return err;
    kr_self.error_text[0] = 0;
    if (acc->drv->f_map)
        err = acc->drv->f_map(acc, mem);
    else
        mem->bus = (uintptr_t)mem->base;
    pthread_mutex_lock(&memory->lock);
    if (!err) {
        mem->state = MAPPED;
        pthread_mutex_unlock(&memory->lock);
        return 0;
    }
    remove_unlock(memory, mem);
    return device_error(err, "%s: %zu bytes at %p cannot be mapped: %s", device_name(acc->dev),
                        mem->size, mem->base,
                        kr_self.error_text[0] ? kr_self.error_text : strerror(-err));
}

DEV_DMA_MAP(kr_dma_map)
{
    const uint32_t both = DEV_DMA_MEM_READ | DEV_DMA_MEM_WRITE;
    struct dev_dma_mem_s before = *mem;
    uintptr_t end;
    error_t err;

    if (!acc->dev)
        return device_error(-ECANCELED, "the accessor is not open");
    if (!mem->base || !mem->size || mem->flags & ~(both | DEV_DMA_MEM_HUGE) ||
        __builtin_add_overflow((uintptr_t)mem->base, mem->size - 1, &end))
        return device_error(-EINVAL, "%zu bytes at %p, flags %#x: cannot be memory", mem->size,
                            mem->base, (unsigned)mem->flags);
    if (!(mem->flags & both))
        mem->flags |= both;
    mem->pins = 0;
    mem->drvdata = NULL;
    err = kr_class_enter(acc->dev);
    if (err)
        device_error(err, "%s", err == -EPERM ? "forked child" : "the device is closed");
    else
        err = map(acc, mem);
    kr_device_leave(acc->dev);
    if (err)
        *mem = before;
    return err;
}

/* --- unmapping --- */

static struct device_dma_s accessor_of(struct device_s *dev)
{
    return (struct device_dma_s){
        .dev = dev, .api = &kr_dma_front, .drv = kr_device_table(dev, DRIVER_CLASS_DMA)};
}

/* Of an entry that is CHANGING. A closed device has undone it with f_close. */
static error_t unmap(struct kr_dma_memory_s *memory, struct dev_dma_mem_s *mem)
{
    struct device_dma_s acc = accessor_of(memory->dev);
    error_t err = 0;

    if (!kr_device_enter(acc.dev) && acc.drv->f_unmap)
        err = acc.drv->f_unmap(&acc, mem);
    kr_device_leave(acc.dev);
    return err;
}

error_t dev_dma_unmap(struct dev_dma_mem_s *mem)
{
    struct kr_dma_memory_s *memory = mem->memory;
    struct dev_dma_mem_s old = *mem;
    struct device_dma_s acc;
    error_t err = 0;

    if (!memory)
        return device_error(-EINVAL, "the memory is not mapped");
    if (!kr_tree_usable(memory->dev->tree))
        return device_error(-EPERM, "forked child");
    pthread_mutex_lock(&memory->lock);
    if (mem->pins)
        err = device_error(-EBUSY, "%u requests under way use it", mem->pins);
    else if (mem->state != MAPPED)
        err = device_error(-EBUSY, "another thread is at it");
    else
        mem->state = CHANGING;
    pthread_mutex_unlock(&memory->lock);
    if (err)
        return err;
    err = unmap(memory, mem);
    pthread_mutex_lock(&memory->lock);
    if (err) {
        mem->state = MAPPED;
        pthread_mutex_unlock(&memory->lock);
        return err;
    }
    acc = accessor_of(device_hold(memory->dev)); /* whose driver may be asked to free it */
    remove_unlock(memory, mem);
    memset(mem, 0, sizeof(*mem));
    if (old.pages)
        kr_dma_give_back(&acc, &old);
    device_release(acc.dev);
    return 0;
}

DEV_DMA_UNMAP(kr_dma_unmap)
{
    (void)acc;
    return dev_dma_unmap(mem);
}

/* From the start again when the list has changed: a thread may be taking memory back. */
void dev_dma_detach(struct device_s *dev)
{
    struct kr_dma_memory_s *memory = kr_load_acquire(&dev->dma);
    struct device_dma_s acc = accessor_of(dev);
    uint32_t changes;

    if (!memory || !acc.drv->f_unmap)
        return;
    pthread_mutex_lock(&memory->lock);
    changes = memory->changes;
    for (size_t i = 0; i < memory->count; i++) {
        struct dev_dma_mem_s *mem = memory->list[i];

        if (mem->state != MAPPED || !mem->flags)
            continue;
        mem->state = CHANGING;
        mem->flags = 0; /* undone: no request may use it, and this loop passes over it */
        pthread_mutex_unlock(&memory->lock);
        acc.drv->f_unmap(&acc, mem);
        pthread_mutex_lock(&memory->lock);
        mem->state = MAPPED;
        if (changes != memory->changes) {
            changes = memory->changes;
            i = (size_t)-1;
        }
    }
    pthread_mutex_unlock(&memory->lock);
}
