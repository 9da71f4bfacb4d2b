/* SPDX-License-Identifier: MIT */
/*
 * Driver `vfio`: a PCI device that VFIO serves, "vfio:0000:00:03.0". kroutine-vfio(7).
 *
 * At the end, in this order: the device stops mastering the bus, its interrupts are disabled, its
 * memory is unmapped, its file is closed.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio.h"

static const struct driver_param_s params[] = {
    {"iommu", "the kernel's interface; none: the device reaches all memory", "type1|iommufd|none",
     0, 0, DRIVER_PARAM_ENUM},
    {"irq", "what an interrupt of any kind is", "msix|msi|intx", 0, 0, DRIVER_PARAM_ENUM},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static const struct iommu_ops_s *const iommus[] = {&iommu_type1, &iommu_iommufd, &iommu_none};
static const enum dev_irq_kind_e kinds[] = {DEV_IRQ_MSIX, DEV_IRQ_MSI, DEV_IRQ_INTX};

static void destroy(struct vfio_s *v)
{
    vfio_drop_regions(v);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

/* --- configuration space, inside --- */

static error_t config(struct vfio_s *v, uint32_t offset, void *data, size_t size, bool write)
{
    off_t at = (off_t)(v->config_offset + offset);
    ssize_t n = write ? pwrite(v->fd, data, size, at) : pread(v->fd, data, size, at);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

static error_t command(struct vfio_s *v, uint16_t set, uint16_t clear)
{
    uint16_t value;
    error_t err = config(v, PCI_COMMAND, &value, sizeof(value), false);

    if (err)
        return err;
    value = htole16((le16toh(value) | set) & ~clear);
    return config(v, PCI_COMMAND, &value, sizeof(value), true);
}

/* --- giving back --- */

static void forget_memory(struct vfio_s *v)
{
    struct vfio_memory_s *m = v->memory, *next;

    v->memory = NULL;
    for (; m; m = next) {
        next = m->next;
        space_unmap(v->space, m->size, m->iova);
        free(m);
    }
}

/* Nobody is inside any more. */
static void give_back(struct vfio_s *v)
{
    if (v->fd < 0)
        return;
    pthread_mutex_lock(&v->lock);
    command(v, 0, PCI_COMMAND_MASTER);
    vfio_disable_irqs(v);
    forget_memory(v);
    vfio_bury_regions(v);
    close(v->fd);
    v->fd = -1;
    pthread_mutex_unlock(&v->lock);
    space_leave(v->space);
}

error_t vfio_enter(struct vfio_s *v)
{
    if (kr_likely(!(kr_add(&v->calls, 1) & VFIO_SHUT)))
        return 0;
    vfio_leave(v);
    return kr_load(&v->gone) ? device_error(-ENODEV, "%s is gone", v->pci.name) : -ECANCELED;
}

void vfio_leave(struct vfio_s *v)
{
    if (kr_sub(&v->calls, 1) == (VFIO_SHUT | 1))
        give_back(v);
}

static void shut(struct vfio_s *v)
{
    if (!(kr_or(&v->calls, VFIO_SHUT) & VFIO_SHUT))
        vfio_leave(v);
}

/* --- the device is gone: reactor --- */

static void removed(struct kr_watch_s *w, unsigned events)
{
    struct vfio_s *v = KROUTINE_CONTAINER(w, struct vfio_s, watch);

    (void)events;
    if (kr_irq_take_eventfd(NULL, w->fd) == 0)
        return;
    kr_store(&v->gone, 1);
    vfio_tell_irqs(v);
    shut(v);
}

static void released(struct kr_watch_s *w)
{
    device_release(KROUTINE_CONTAINER(w, struct vfio_s, watch)->dev);
}

static error_t open_watch(struct vfio_s *v, struct kroutine_runtime_s *rt)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    error_t err;

    if (fd < 0)
        return device_error(-errno, "eventfd: %s", strerror(errno));
    err = vfio_watch_removal(v, fd);
    v->watch.ready = removed;
    v->watch.released = released;
    if (!err)
        err = kr_watch_open(rt, &v->watch, fd);
    if (err) {
        close(fd);
        return err;
    }
    device_hold(v->dev);
    kr_watch_arm(&v->watch, KR_EV_IN);
    return 0;
}

/* --- opening and closing --- */

static error_t get_ready(struct vfio_s *v, enum dev_irq_kind_e wanted)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    error_t err;

    if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info))
        return device_error(-errno, "%s: VFIO: %s", v->pci.name, strerror(errno));
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
        return device_error(-ENOTSUP, "%s is no PCI device to VFIO", v->pci.name);
    v->device_flags = info.flags;
    err = vfio_find_regions(v);
    if (!err)
        err = vfio_find_irqs(v, wanted);
    if (err)
        return err;
    err = command(v, PCI_COMMAND_MEMORY, PCI_COMMAND_MASTER);
    return err ? device_error(err, "%s: configuration space: %s", v->pci.name, strerror(-err)) : 0;
}

static error_t open_device(struct vfio_s *v, struct device_s *dev, const struct device_spec_s *spec)
{
    const struct iommu_ops_s *ops = NULL;
    enum dev_irq_kind_e wanted = DEV_IRQ_ANY;
    error_t err;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-mmio");
    if (device_spec_has(spec, "iommu"))
        ops = iommus[device_spec_uint(spec, "iommu", 0)];
    if (device_spec_has(spec, "irq"))
        wanted = kinds[device_spec_uint(spec, "irq", 0)];
    err = pci_find(&v->pci, device_spec_address(spec));
    if (!err)
        err = pci_check(&v->pci, ops == &iommu_none);
    if (!err)
        err = space_join(&v->space, &v->pci, ops, &v->fd);
    if (!err)
        err = get_ready(v, wanted);
    return err ? err : open_watch(v, device_runtime(dev));
}

static error_t vfio_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct vfio_pv_s *pv = device_pv(dev);
    struct vfio_s *v = calloc(1, sizeof(*v));
    error_t err;

    if (!v)
        return -ENOMEM;
    v->dev = dev;
    v->calls = 1;
    v->fd = v->unmask_fd = -1;
    pthread_mutex_init(&v->lock, NULL);
    err = open_device(v, dev, spec);
    if (err) {
        give_back(v);
        destroy(v);
        return err;
    }
    pv->v = v;
    return 0;
}

/* The interrupts fall silent first, then nobody looks at them any more. */
static void vfio_close(struct device_s *dev)
{
    struct vfio_s *v = vfio_of(dev);

    shut(v);
    vfio_close_irqs(v);
    kr_watch_close(&v->watch);
}

static void vfio_free(struct device_s *dev)
{
    destroy(vfio_of(dev));
}

/* --- class --- */

static uint32_t config_number(struct vfio_s *v, uint32_t offset, size_t size)
{
    uint32_t value = 0;

    return config(v, offset, &value, size, false) ? 0 : le32toh(value);
}

static DEV_MMIO_INFO(vfio_info)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", v->pci.name);
    snprintf(info->bus, sizeof(info->bus), "pci");
    info->vendor = (uint16_t)config_number(v, PCI_VENDOR_ID, 2);
    info->device = (uint16_t)config_number(v, PCI_DEVICE_ID, 2);
    info->subsystem_vendor = (uint16_t)config_number(v, PCI_SUBSYSTEM_VENDOR_ID, 2);
    info->subsystem_device = (uint16_t)config_number(v, PCI_SUBSYSTEM_ID, 2);
    info->class_code = config_number(v, PCI_CLASS_REVISION, 4) >> 8;
    info->revision = (uint8_t)config_number(v, PCI_REVISION_ID, 1);
    info->regions = VFIO_BARS;
    memcpy(info->irqs, v->irqs, sizeof(info->irqs));
    info->cap = DEV_MMIO_CAP_CONFIG;
    if (v->device_flags & VFIO_DEVICE_FLAGS_RESET)
        info->cap |= DEV_MMIO_CAP_RESET;
    if (v->space->ops->protects)
        info->cap |= DEV_MMIO_CAP_DMA | DEV_MMIO_CAP_PROTECTED;
    vfio_leave(v);
    return 0;
}

/* Not between the reading and the writing of the command register by another thread. */
static error_t config_locked(struct vfio_s *v, uint32_t offset, void *data, size_t size, bool write)
{
    error_t err;

    pthread_mutex_lock(&v->lock);
    err = config(v, offset, data, size, write);
    pthread_mutex_unlock(&v->lock);
    return err;
}

static DEV_MMIO_CONFIG(vfio_config)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    if ((uint64_t)offset + size > v->config_size)
        err = device_error(-EINVAL, "%s: configuration space has %u bytes, not %zu at %u",
                           v->pci.name, (unsigned)v->config_size, size, offset);
    else
        err = config_locked(v, offset, data, size, write);
    vfio_leave(v);
    return err;
}

static DEV_MMIO_BUS_MASTER(vfio_bus_master)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    pthread_mutex_lock(&v->lock);
    err = command(v, on ? PCI_COMMAND_MASTER : 0, on ? 0 : PCI_COMMAND_MASTER);
    pthread_mutex_unlock(&v->lock);
    vfio_leave(v);
    return err;
}

static error_t reset(struct vfio_s *v)
{
    if (!(v->device_flags & VFIO_DEVICE_FLAGS_RESET))
        return device_error(-ENOTSUP,
                            "%s has no reset of its own (behind a port of PCI Express it would "
                            "share that of the port)",
                            v->pci.name);
    if (ioctl(v->fd, VFIO_DEVICE_RESET))
        return device_error(-errno, "%s: reset: %s", v->pci.name, strerror(errno));
    return 0;
}

static DEV_MMIO_RESET(vfio_reset)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = reset(v);
    vfio_leave(v);
    return err;
}

/* --- memory --- */

static void remember(struct vfio_s *v, struct vfio_memory_s *m)
{
    pthread_mutex_lock(&v->lock);
    m->next = v->memory;
    v->memory = m;
    pthread_mutex_unlock(&v->lock);
}

static error_t give_memory(struct vfio_s *v, struct dev_dma_map_s *map)
{
    unsigned flags = (map->flags & DEV_DMA_MAP_READ ? IOMMU_READ : 0) |
                     (map->flags & DEV_DMA_MAP_WRITE ? IOMMU_WRITE : 0);
    struct vfio_memory_s *m = calloc(1, sizeof(*m));
    error_t err;

    if (!m)
        return -ENOMEM;
    m->size = map->size;
    err = space_map(v->space, map->base, map->size, map->mask ? map->mask : UINT64_MAX, flags,
                    &m->iova);
    if (err) {
        free(m);
        return err;
    }
    remember(v, m);
    map->bus = m->iova;
    map->drvdata = m;
    return 0;
}

static DEV_MMIO_DMA_MAP(vfio_dma_map)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = give_memory(v, map);
    vfio_leave(v);
    return err;
}

/* The one that `map` stands for, out of the list; NULL: it is none of this device. */
static struct vfio_memory_s *take_memory(struct vfio_s *v, const struct dev_dma_map_s *map)
{
    struct vfio_memory_s **at, *m;

    pthread_mutex_lock(&v->lock);
    for (at = &v->memory; *at && *at != map->drvdata;)
        at = &(*at)->next;
    m = *at;
    if (m)
        *at = m->next;
    pthread_mutex_unlock(&v->lock);
    return m;
}

static error_t take_back_memory(struct vfio_s *v, struct dev_dma_map_s *map)
{
    struct vfio_memory_s *m = take_memory(v, map);
    error_t err;

    if (!m)
        return device_error(-EINVAL, "%s: no memory is mapped there", v->pci.name);
    err = space_unmap(v->space, m->size, m->iova);
    if (err) {
        remember(v, m);
        return err;
    }
    map->drvdata = NULL;
    free(m);
    return 0;
}

static DEV_MMIO_DMA_UNMAP(vfio_dma_unmap)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = take_back_memory(v, map);
    vfio_leave(v);
    return err;
}

static const struct driver_mmio_s vfio_methods = DRIVER_MMIO_METHODS(vfio);

const struct driver_s kr_driver_vfio = {
    .name = "vfio",
    .desc = "PCI devices past the kernel, through VFIO",
    .params = params,
    .pv_size = sizeof(struct vfio_pv_s),
    .f_open = vfio_open,
    .f_close = vfio_close,
    .f_free = vfio_free,
    .classes = {(const struct driver_class_table_s *)&vfio_methods},
};
