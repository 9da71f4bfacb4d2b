/* SPDX-License-Identifier: MIT */
/*
 * The driver uio: devices of UIO, "uio:uio0", "uio:0000:00:03.0".
 *
 * At the end, in this order: the device stops mastering the bus, its interrupt is masked, its
 * registers are unmapped, its files are closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uio_open.h"

static const struct driver_param_s params[] = {
    {"physical", "physical addresses for DMA: nothing keeps the device from all of memory; no",
     NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"exclusive", "no other device of this library, here or elsewhere, has it open; yes", NULL, 0,
     0, DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* --- opening and closing --- */

/* The kernel lets everybody in, and two drivers in user space would overwrite each other's
   registers, and the memory that a DMA engine has. A lock of the open file ends with it, also when
   the process dies. */
static error_t claim(int fd, const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return device_error(-EBUSY,
                            "%s is open already, here or in another program; exclusive=no opens it "
                            "all the same",
                            path);
    return device_error(-errno, "%s: cannot be locked; exclusive=no opens it without", path);
}

static int open_file(const struct uio_s *uio, bool exclusive)
{
    char path[32];
    error_t err;
    int fd;

    snprintf(path, sizeof(path), "/dev/uio%u", uio->found.number);
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        err = exclusive ? claim(fd, path) : 0;
        if (!err)
            return fd;
        close(fd);
        return err;
    }
    if (errno == EACCES || errno == EPERM)
        return device_error(-errno,
                            "%s: permission denied; run as root, or let a rule of udev give it to "
                            "your group: SUBSYSTEM==\"uio\", GROUP=\"…\", MODE=\"0660\"",
                            path);
    if (errno == ENOENT)
        return device_error(-ENOENT, "%s is not there: is udev running, /dev a devtmpfs?", path);
    return device_error(-errno, "%s: cannot be opened", path);
}

static error_t open_pci(struct uio_s *uio)
{
    uio->config = kr_uio_pci_open(uio->found.device);
    if (uio->config < 0)
        return uio->config;
    uio->by_config = strcmp(uio->found.driver, "uio_pci_generic") == 0;
    return kr_uio_pci_bus_master(uio->config, false);
}

static error_t uio_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct uio_s *uio = uio_of(dev);
    error_t err;
    int fd;

    uio->config = -1;
    uio->physical = device_spec_uint(spec, "physical", 0);
    if (!*device_spec_address(spec))
        return device_error(-EINVAL, "uio: the device is missing, as in uio:uio0");
    err = kr_uio_find(&uio->found, "/sys", device_spec_address(spec));
    if (err)
        return err;
    fd = open_file(uio, device_spec_uint(spec, "exclusive", true));
    if (fd < 0)
        return fd;
    uio->file = fd;
    uio->has_irq = uio_has_irq(fd);
    for (unsigned i = 0; i < uio->found.maps; i++)
        snprintf(uio->region[i].name, sizeof(uio->region[i].name), "uio%u %s %u %.32s",
                 uio->found.number, uio->found.by_bar ? "BAR" : "map", i,
                 uio->found.by_bar ? "" : uio->found.map[i].name);
    if (strcmp(uio->found.bus, "pci") == 0)
        err = open_pci(uio);
    if (!err) {
        pthread_mutex_init(&uio->lock, NULL);
        return 0;
    }
    if (uio->config >= 0)
        close(uio->config);
    close(uio->file);
    return err;
}

/* --- class --- */

static DEV_MMIO_INFO(uio_info)
{
    struct uio_s *uio = uio_of(acc->dev);
    const struct kr_uio_found_s *found = &uio->found;
    uint8_t id[4], sub[4], revision[4];

    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", found->parent[0] ? found->parent : found->name);
    snprintf(info->bus, sizeof(info->bus), "%s", found->bus);
    info->regions = found->maps;
    info->irqs[DEV_IRQ_ANY] = uio->has_irq;
    info->irqs[uio_is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE] = uio->has_irq;
    info->cap = uio->physical ? DEV_MMIO_CAP_DMA : 0;
    if (!uio_is_pci(uio))
        return 0;
    info->cap |= DEV_MMIO_CAP_CONFIG;
    info->cap |= kr_uio_pci_has_reset(found->device) ? DEV_MMIO_CAP_RESET : 0;
    /* linux/pci_regs.h */
    if (kr_uio_pci_access(uio->config, 0, id, 4, false) ||
        kr_uio_pci_access(uio->config, 8, revision, 4, false) ||
        kr_uio_pci_access(uio->config, 0x2c, sub, 4, false))
        return -ENODEV;
    info->vendor = (uint16_t)(id[0] | id[1] << 8);
    info->device = (uint16_t)(id[2] | id[3] << 8);
    info->subsystem_vendor = (uint16_t)(sub[0] | sub[1] << 8);
    info->subsystem_device = (uint16_t)(sub[2] | sub[3] << 8);
    info->revision = revision[0];
    info->class_code = (uint32_t)(revision[1] | revision[2] << 8 | revision[3] << 16);
    return 0;
}

static error_t find_map(const struct kr_uio_map_s **map, const struct uio_s *uio, uint32_t index)
{
    if (index >= uio->found.maps || !uio->found.map[index].size)
        return device_error(-ENXIO, "uio%u has no %s %u", uio->found.number,
                            uio->found.by_bar ? "BAR" : "map", index);
    *map = &uio->found.map[index];
    return 0;
}

static DEV_MMIO_REGION(uio_region)
{
    const struct kr_uio_map_s *map;
    error_t err = find_map(&map, uio_of(acc->dev), index);

    if (err)
        return err;
    memset(region, 0, sizeof(*region));
    region->size = map->size;
    region->physical = map->physical;
    region->flags = DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE;
    region->flags |= map->mappable ? DEV_MMIO_REGION_MAPPABLE : 0;
    snprintf(region->name, sizeof(region->name), "%s", map->name);
    return 0;
}

/* The file that region `index` is mapped from, and where in it. */
static int open_region(const struct uio_s *uio, uint32_t index, off_t *offset)
{
    char path[256];
    int fd;

    *offset = 0;
    if (!uio->found.by_bar) {
        *offset = (off_t)index * sysconf(_SC_PAGESIZE); /* uio-howto.rst: N pages is map N */
        fd = fcntl(uio->file, F_DUPFD_CLOEXEC, 0);
        return fd >= 0 ? fd : -errno;
    }
    snprintf(path, sizeof(path), "%s/resource%u", uio->found.device, index);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd >= 0 ? fd : device_error(-errno, "%s: cannot be opened", path);
}

static error_t map_locked(struct uio_s *uio, uint32_t index, struct dev_mmio_s *window,
                          const struct kr_uio_map_s *map)
{
    off_t offset;
    error_t err;
    int fd;

    if (uio->closed)
        return -ECANCELED;
    if (map->size > SIZE_MAX - map->skip)
        return -ENOMEM;
    fd = open_region(uio, index, &offset);
    if (fd < 0)
        return fd;
    err = kr_mmio_map(&uio->region[index], window, index, fd, offset, map->skip, (size_t)map->size,
                      DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE);
    close(fd);
    if (err)
        device_error(err, "%s: cannot be mapped: %s", uio->region[index].name, strerror(-err));
    return err;
}

static DEV_MMIO_MAP(uio_map)
{
    struct uio_s *uio = uio_of(acc->dev);
    const struct kr_uio_map_s *map;
    error_t err = find_map(&map, uio, index);

    if (!err && !map->mappable)
        err = device_error(-ENOTSUP, "uio%u BAR %u is of I/O ports: not mappable",
                           uio->found.number, index);
    if (err)
        return err;
    pthread_mutex_lock(&uio->lock);
    err = map_locked(uio, index, window, map);
    pthread_mutex_unlock(&uio->lock);
    return err;
}

static DEV_MMIO_UNMAP(uio_unmap)
{
    struct uio_s *uio = uio_of(acc->dev);
    error_t err = -EINVAL;

    pthread_mutex_lock(&uio->lock);
    if (window->index < KR_UIO_MAPS)
        err = kr_mmio_unmap(&uio->region[window->index], window);
    pthread_mutex_unlock(&uio->lock);
    return err;
}

static error_t not_pci(const struct uio_s *uio)
{
    return device_error(-ENOTSUP, "uio%u is not a PCI device", uio->found.number);
}

static DEV_MMIO_CONFIG(uio_config)
{
    struct uio_s *uio = uio_of(acc->dev);
    error_t err;

    if (!uio_is_pci(uio))
        return not_pci(uio);
    /* Not between the reading and the writing of the command register, which a handler does. */
    pthread_mutex_lock(&uio->lock);
    err = kr_uio_pci_access(uio->config, offset, data, size, write);
    pthread_mutex_unlock(&uio->lock);
    return err;
}

static DEV_MMIO_RESET(uio_reset)
{
    struct uio_s *uio = uio_of(acc->dev);

    return uio_is_pci(uio) ? kr_uio_pci_reset(uio->found.device) : not_pci(uio);
}

static DEV_MMIO_BUS_MASTER(uio_bus_master)
{
    struct uio_s *uio = uio_of(acc->dev);
    error_t err;

    if (!uio_is_pci(uio))
        return not_pci(uio);
    pthread_mutex_lock(&uio->lock);
    err = uio->closed ? -ECANCELED : kr_uio_pci_bus_master(uio->config, on);
    pthread_mutex_unlock(&uio->lock);
    return err;
}

static DEV_MMIO_DMA_MAP(uio_dma_map)
{
    struct uio_s *uio = uio_of(acc->dev);

    if (!uio->physical)
        return device_error(-EPERM, "UIO keeps a device from no memory at all: use vfio, or say "
                                    "physical=yes in the spec");
    return kr_uio_physical_map(map, uio->found.device);
}

static DEV_MMIO_DMA_UNMAP(uio_dma_unmap)
{
    (void)acc;
    kr_uio_physical_unmap(map);
    return 0;
}

/* --- closing --- */

static void uio_close(struct device_s *dev)
{
    struct uio_s *uio = uio_of(dev);

    pthread_mutex_lock(&uio->lock);
    uio->closed = true;
    if (uio_is_pci(uio))
        kr_uio_pci_bus_master(uio->config, false);
    pthread_mutex_unlock(&uio->lock);
    uio_end_irq(uio);
    pthread_mutex_lock(&uio->lock);
    for (unsigned i = 0; i < KR_UIO_MAPS; i++)
        kr_mmio_drop(&uio->region[i]);
    pthread_mutex_unlock(&uio->lock);
}

static void uio_free(struct device_s *dev)
{
    struct uio_s *uio = uio_of(dev);

    if (uio_is_pci(uio))
        close(uio->config);
    close(uio->file);
    pthread_mutex_destroy(&uio->lock);
}

static const struct driver_mmio_s uio_methods = DRIVER_MMIO_METHODS(uio);

const struct driver_s kr_driver_uio = {
    .name = "uio",
    .desc = "registers and the interrupt of a device of UIO",
    .params = params,
    .pv_size = sizeof(struct uio_s),
    .f_open = uio_open,
    .f_close = uio_close,
    .f_free = uio_free,
    .classes = {(const struct driver_class_table_s *)&uio_methods},
};
