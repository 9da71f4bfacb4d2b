/* SPDX-License-Identifier: MIT */
/* The driver edu: operations of the class, opening and closing. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "edu.h"

/* --- class dma --- */

static DEV_DMA_REQUEST(edu_request)
{
    struct edu_s *edu = device_pv(acc->dev);
    error_t err;

    if (!dev_dma_registers_inside(rq, EDU_BUFFER, EDU_BUFFER_SIZE))
        return -EFAULT;
    pthread_mutex_lock(&edu->lock);
    err = edu->over;
    if (!err) {
        rq->chan = 0;
        rq->rq_state = DEV_RQ_QUEUED;
        dev_dma_rq_pushback(&edu->queue, rq);
    }
    pthread_mutex_unlock(&edu->lock);
    if (!err)
        kr_edu_kick(edu);
    return err;
}

static DEV_DMA_CANCEL(edu_cancel)
{
    struct edu_s *edu = device_pv(acc->dev);
    error_t err = -EBUSY;

    pthread_mutex_lock(&edu->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dev_dma_rq_remove(&edu->queue, rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    } else if (rq->rq_state == DEV_RQ_ACTIVE) {
        kr_edu_abort(edu, -ECANCELED);
    }
    pthread_mutex_unlock(&edu->lock);
    return err;
}

static DEV_DMA_INFO(edu_info)
{
    struct edu_s *edu = device_pv(acc->dev);
    struct dev_mmio_info_s below;
    error_t err;

    pthread_mutex_lock(&edu->maps);
    err = DEVICE_OP(&edu->below, info, &below);
    pthread_mutex_unlock(&edu->maps);
    if (err)
        return err;
    *info = (struct dev_dma_info_s){
        .name = "edu",
        .channels = 1,
        .types = 1u << DEV_DMA_MEM_MEM | 1u << DEV_DMA_MEM_REG | 1u << DEV_DMA_REG_MEM,
        .cap = DEV_DMA_CAP_CONTINUOUS | DEV_DMA_CAP_STRIDE | DEV_DMA_CAP_OVERLAP |
               (below.cap & DEV_MMIO_CAP_PROTECTED ? DEV_DMA_CAP_PROTECTED : 0) |
               (below.cap & DEV_MMIO_CAP_VIRTUAL ? DEV_DMA_CAP_VIRTUAL : 0),
        .align = 1,
        .size_max = INT64_MAX,
        .mask = edu->mask,
    };
    return 0;
}

/* The device below maps whole pages. */
static DEV_DMA_MAP(edu_map)
{
    struct edu_s *edu = device_pv(acc->dev);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), offset = (uintptr_t)mem->base % page;
    struct dev_dma_map_s *map = calloc(1, sizeof(*map));
    error_t err;

    if (!map)
        return device_error(-ENOMEM, "out of memory");
    map->base = (char *)mem->base - offset;
    map->size = (mem->size + offset + page - 1) / page * page;
    map->mask = edu->mask;
    map->flags = (mem->flags & DEV_DMA_MEM_READ ? DEV_DMA_MAP_READ : 0u) |
                 (mem->flags & DEV_DMA_MEM_WRITE ? DEV_DMA_MAP_WRITE : 0u);
    pthread_mutex_lock(&edu->maps);
    err = DEVICE_OP(&edu->below, dma_map, map);
    pthread_mutex_unlock(&edu->maps);
    if (err) {
        free(map);
        return err;
    }
    mem->bus = map->bus + offset;
    mem->drvdata = map;
    return 0;
}

static DEV_DMA_UNMAP(edu_unmap)
{
    struct edu_s *edu = device_pv(acc->dev);
    error_t err;

    pthread_mutex_lock(&edu->maps);
    err = DEVICE_OP(&edu->below, dma_unmap, mem->drvdata);
    pthread_mutex_unlock(&edu->maps);
    /* A device that is gone reaches nothing: the memory is its owner's again. */
    if (err && err != -ENODEV)
        return err;
    free(mem->drvdata);
    return 0;
}

static const struct driver_dma_s edu_dma = DRIVER_DMA_METHODS(edu);

/* --- life --- */

/* It may be at work for a program that was killed: let it end before it can reach our memory. */
static error_t wait_idle(const struct edu_s *edu)
{
    const struct timespec pause = {.tv_nsec = 5000000};

    for (uint64_t end = kr_edu_now(edu) + PIECE_LIMIT; kr_edu_now(edu) < end;
         nanosleep(&pause, NULL)) {
        if (!(dev_mmio_read32_le(&edu->regs, EDU_DMA_COMMAND) & EDU_RUN))
            return 0;
    }
    return device_error(-EBUSY,
                        "edu: the engine of %s does not end: another program uses it, or "
                        "it needs a reset",
                        device_name(edu->below.dev));
}

/* With registers and the interrupt: from here on the device is this driver's. */
static error_t set_up(struct edu_s *edu)
{
    uint32_t id = dev_mmio_read32_le(&edu->regs, EDU_ID);
    error_t err;

    if ((id & EDU_ID_MASK) != EDU_ID_VALUE)
        return device_error(-ENODEV, "edu: %s has 0x%08x where QEMU's edu has 0x010000ed",
                            device_name(edu->below.dev), (unsigned)id);
    err = wait_idle(edu);
    if (err)
        return err;
    dev_mmio_write32_le(&edu->regs, EDU_IRQ_ACK, dev_mmio_read32_le(&edu->regs, EDU_IRQ_STATUS));
    dev_irq_init_immediate(&edu->irq, kr_edu_interrupt);
    err = dev_irq_request(&edu->below, &edu->irq);
    if (err)
        return err;
    err = DEVICE_OP(&edu->below, bus_master, true);
    if (err)
        dev_irq_release(&edu->irq);
    return err;
}

static error_t open_below(struct edu_s *edu, const struct device_spec_s *spec)
{
    struct device_s *root = kroutine_runtime_devices(device_runtime(edu->dev));
    error_t err = device_get_accessor_by_path(&edu->timer.base, root, "timer0", DRIVER_CLASS_TIMER);

    if (err)
        return err;
    err = device_get_accessor_by_path(&edu->below.base, root, device_spec_address(spec),
                                      DRIVER_CLASS_MMIO);
    if (err)
        return err;
    err = DEVICE_OP(&edu->below, map, 0, &edu->regs);
    if (!err && edu->regs.size < EDU_DMA_COMMAND + 8)
        err = device_error(-ENODEV, "edu: %s has only %zu bytes of registers: not QEMU's edu",
                           device_name(edu->below.dev), edu->regs.size);
    return err;
}

static void put_below(struct edu_s *edu)
{
    pthread_mutex_lock(&edu->maps);
    if (edu->regs.base)
        DEVICE_OP(&edu->below, unmap, &edu->regs);
    device_put_accessor(&edu->below.base);
    device_put_accessor(&edu->timer.base);
    pthread_mutex_unlock(&edu->maps);
}

static void edu_free(struct device_s *dev)
{
    struct edu_s *edu = device_pv(dev);

    pthread_cond_destroy(&edu->quiet);
    pthread_mutex_destroy(&edu->lock);
    pthread_mutex_destroy(&edu->maps);
}

static error_t edu_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct edu_s *edu = device_pv(dev);
    error_t err;

    edu->dev = dev;
    edu->mask = UINT64_MAX >> (64 - device_spec_uint(spec, "dma-mask", 28));
    pthread_mutex_init(&edu->maps, NULL);
    pthread_mutex_init(&edu->lock, NULL);
    pthread_cond_init(&edu->quiet, NULL);
    dev_rq_queue_init(&edu->queue);
    kroutine_init_sched_switch(&edu->pump, kr_edu_pump);
    kroutine_bind(&edu->pump, device_runtime(dev));
    dev_timer_rq_init_immediate(&edu->alarm, kr_edu_alarm);
    err = open_below(edu, spec);
    if (!err)
        err = set_up(edu);
    if (err) {
        put_below(edu);
        edu_free(dev);
    }
    return err;
}

/* True: the pump is neither pending nor running, except further up on this very stack. */
static bool is_quiet(const struct edu_s *edu)
{
    return !edu->pumping || (edu->inside && pthread_equal(edu->thread, pthread_self()));
}

static void edu_close(struct device_s *dev)
{
    struct edu_s *edu = device_pv(dev);

    pthread_mutex_lock(&edu->lock);
    if (!edu->over)
        edu->over = -ECANCELED; /* from here on nothing is started */
    pthread_mutex_unlock(&edu->lock);
    dev_irq_release(&edu->irq);
    if (kroutine_cancel(&edu->pump)) { /* `pumping` was true, and nobody sets it again */
        edu->pumping = false;
        device_release(dev);
    }
    pthread_mutex_lock(&edu->lock);
    while (!is_quiet(edu))
        pthread_cond_wait(&edu->quiet, &edu->lock);
    pthread_mutex_unlock(&edu->lock);
    DEVICE_OP(&edu->below, bus_master, false); /* the engine cannot be stopped: keep it out */
    pthread_mutex_lock(&edu->lock);
    kr_edu_end_all(edu);
    pthread_mutex_unlock(&edu->lock);
    if (DEVICE_OP(&edu->timer, cancel, &edu->alarm) == 0)
        device_release(dev); /* it will not come */
    dev_dma_detach(dev);
    put_below(edu);
}

static const struct driver_param_s edu_params[] = {
    {.key = "dma-mask",
     .doc = "bits of an address in memory, as dma_mask of QEMU's -device edu says; 28",
     .kind = DRIVER_PARAM_UINT,
     .min = 12,
     .max = sizeof(uintptr_t) > 4 ? 64 : 32},
    {.key = NULL},
};

const struct driver_s kr_driver_edu = {
    .name = "edu",
    .desc = "DMA by QEMU's teaching device, over vfio or uio",
    .params = edu_params,
    .pv_size = sizeof(struct edu_s),
    .f_open = edu_open,
    .f_close = edu_close,
    .f_free = edu_free,
    .classes = {(const struct driver_class_table_s *)&edu_dma},
    .layered = true,
};
