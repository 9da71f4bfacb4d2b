/* SPDX-License-Identifier: MIT */
/*
 * The driver uio: devices of UIO, "uio:uio0", "uio:0000:00:03.0".
 *
 * Each request of the interrupt opens /dev/uioN for itself: the kernel counts interrupts for ever,
 * and an opened file is readable when the count differs from what it has read last, so a new one
 * begins without those of before. It is non-blocking: a blocking one would park a worker of
 * io_uring in read(2).
 *
 * The kernel masks the interrupt as it fires. uio_pdrv_genirq, and most drivers of single devices,
 * take an int32 written to the file: 1 unmasks, 0 masks. uio_pci_generic has no such thing
 * (-ENOSYS): it has set "interrupt disable" in the command register of PCI, which the program
 * clears.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "irq.h"
#include "mmio.h"
#include "uio.h"

struct uio_s {
    struct kr_uio_found_s found;
    bool physical;  /* physical=yes */
    bool by_config; /* the interrupt is unmasked through configuration space */
    bool has_irq;
    int config; /* PCI, else -1 */
    /* /dev/uioN. There is one, of which the others are duplicates, and it stays open as long as the
       device: at the end of each that was opened uio_pci_generic puts the bus master off. */
    int file;

    pthread_mutex_t lock; /* guards what follows */
    bool closed;
    struct kr_mmio_region_s region[KR_UIO_MAPS];
    bool taken;                 /* the interrupt is requested, or about to be */
    struct kr_irq_line_s *line; /* NULL: it is not, or is being released */
    int irq_fd;                 /* of `line` */
    uint32_t seen;              /* the kernel's count; the reactor's while `line` is open */
};

static const struct driver_param_s params[] = {
    {"physical", "physical addresses for DMA: nothing keeps the device from all of memory; no",
     NULL, 0, 0, DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct uio_s *uio_of(const struct device_s *dev)
{
    return device_pv(dev);
}

static bool is_pci(const struct uio_s *uio)
{
    return uio->config >= 0;
}

/* --- opening and closing --- */

static int open_file(const struct uio_s *uio)
{
    char path[32];
    int fd;

    snprintf(path, sizeof(path), "/dev/uio%u", uio->found.number);
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    if (errno == EACCES || errno == EPERM)
        return device_error(-errno,
                            "%s: permission denied; run as root, or let a rule of udev give it to "
                            "your group: SUBSYSTEM==\"uio\", GROUP=\"…\", MODE=\"0660\"",
                            path);
    if (errno == ENOENT)
        return device_error(-ENOENT, "%s is not there: is udev running, /dev a devtmpfs?", path);
    return device_error(-errno, "%s: cannot be opened", path);
}

/* A device without an interrupt answers a read with EIO. */
static bool has_irq(int fd)
{
    int32_t count;

    return read(fd, &count, sizeof(count)) >= 0 || errno == EAGAIN;
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
    fd = open_file(uio);
    if (fd < 0)
        return fd;
    uio->file = fd;
    uio->has_irq = has_irq(fd);
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

/* --- interrupts --- */

static int64_t take(void *pv, int fd)
{
    struct uio_s *uio = pv;
    uint32_t count, fired;

    if (read(fd, &count, sizeof(count)) != sizeof(count))
        return errno == EAGAIN || errno == EINTR ? 0 : -ENODEV; /* EIO: the device was removed */
    fired = count - uio->seen;
    uio->seen = count;
    /* One that came between the opening of the file and the look at `seen`. */
    return fired ? fired : 1;
}

/* With the lock. -ENOTSUP: this driver of the kernel cannot. */
static error_t set_irq(struct uio_s *uio, int fd, bool on)
{
    int32_t value = on;

    if (uio->by_config)
        return kr_uio_pci_intx(uio->config, on);
    if (write(fd, &value, sizeof(value)) == sizeof(value))
        return 0;
    return errno == ENOSYS ? -ENOTSUP : errno == EIO ? -ENODEV : -errno;
}

static error_t check_kind(const struct uio_s *uio, const struct dev_irq_s *irq)
{
    enum dev_irq_kind_e kind = is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE;

    if (irq->kind == DEV_IRQ_MSI || irq->kind == DEV_IRQ_MSIX)
        return device_error(-ENOTSUP, "UIO has no message-signalled interrupts: VFIO has");
    if (!uio->has_irq)
        return device_error(-ENOTSUP, "uio%u has no interrupt", uio->found.number);
    if (irq->kind != DEV_IRQ_ANY && irq->kind != kind)
        return device_error(-ENOTSUP, "uio%u: its interrupt is of kind %s", uio->found.number,
                            is_pci(uio) ? "INTX" : "LINE");
    if (irq->vector)
        return device_error(-ENXIO, "uio%u has one interrupt", uio->found.number);
    return 0;
}

static uint32_t count_now(const struct uio_s *uio)
{
    char folder[64];
    uint64_t count = 0;

    snprintf(folder, sizeof(folder), "/sys/class/uio/uio%u", uio->found.number);
    kr_uio_read_number(&count, folder, "event");
    return (uint32_t)count;
}

static error_t begin(struct uio_s *uio, struct device_s *dev, struct dev_irq_s *irq)
{
    struct kr_irq_config_s config = {.dev = dev, .take = take, .pv = uio};
    struct kr_irq_line_s *line;
    error_t err;

    config.fd = fcntl(uio->file, F_DUPFD_CLOEXEC, 0);
    if (config.fd < 0)
        return -errno;
    has_irq(config.fd); /* what fired before is forgotten */
    uio->seen = count_now(uio);
    err = kr_irq_open(&line, irq, &config);
    if (err) {
        close(config.fd);
        return err;
    }
    pthread_mutex_lock(&uio->lock);
    err = uio->closed ? -ECANCELED : set_irq(uio, config.fd, true);
    if (err == -ENOTSUP) /* the kernel's driver does it all by itself */
        err = 0;
    uio->line = err ? NULL : line;
    uio->irq_fd = config.fd;
    pthread_mutex_unlock(&uio->lock);
    if (err)
        kr_irq_close(line);
    return err;
}

static void give_back(struct uio_s *uio)
{
    pthread_mutex_lock(&uio->lock);
    uio->taken = false;
    pthread_mutex_unlock(&uio->lock);
}

static DEV_MMIO_IRQ_REQUEST(uio_irq_request)
{
    struct uio_s *uio = uio_of(acc->dev);
    error_t err = check_kind(uio, irq);
    bool taken;

    if (err)
        return err;
    pthread_mutex_lock(&uio->lock);
    taken = uio->taken;
    uio->taken = true;
    pthread_mutex_unlock(&uio->lock);
    if (taken)
        return device_error(-EBUSY, "the interrupt of uio%u is taken", uio->found.number);
    irq->kind = is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE;
    err = begin(uio, acc->dev, irq);
    if (err)
        give_back(uio);
    return err;
}

/* What f_irq_release and f_close do; the line is of whoever comes first. */
static void end(struct uio_s *uio)
{
    struct kr_irq_line_s *line;

    pthread_mutex_lock(&uio->lock);
    line = uio->line;
    uio->line = NULL;
    if (line)
        set_irq(uio, uio->irq_fd, false);
    pthread_mutex_unlock(&uio->lock);
    if (line) {
        kr_irq_close(line);
        give_back(uio);
    }
}

static DEV_MMIO_IRQ_RELEASE(uio_irq_release)
{
    (void)irq;
    end(uio_of(acc->dev));
    return 0;
}

static error_t set_mask(struct uio_s *uio, bool masked)
{
    error_t err;

    pthread_mutex_lock(&uio->lock);
    err = uio->line ? set_irq(uio, uio->irq_fd, !masked) : -ECANCELED;
    pthread_mutex_unlock(&uio->lock);
    return err;
}

static DEV_MMIO_IRQ_MASK(uio_irq_mask)
{
    (void)irq;
    return set_mask(uio_of(acc->dev), true);
}

static DEV_MMIO_IRQ_UNMASK(uio_irq_unmask)
{
    (void)irq;
    return set_mask(uio_of(acc->dev), false);
}

/* PCI tells the number; else there is a folder of the name of the device in /proc/irq/N. */
static DEV_MMIO_IRQ_NUMBER(uio_irq_number)
{
    struct uio_s *uio = uio_of(acc->dev);
    uint64_t value;
    error_t err;

    (void)irq;
    if (!is_pci(uio))
        return kr_uio_irq_by_name(number, uio->found.name);
    err = kr_uio_read_number(&value, uio->found.device, "irq");
    if (!err)
        *number = (unsigned)value;
    return err ? -ENOTSUP : 0;
}

/* --- the rest of the class --- */

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
    info->irqs[is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE] = uio->has_irq;
    info->cap = uio->physical ? DEV_MMIO_CAP_DMA : 0;
    if (!is_pci(uio))
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

    return is_pci(uio) ? kr_uio_pci_access(uio->config, offset, data, size, write) : not_pci(uio);
}

static DEV_MMIO_RESET(uio_reset)
{
    struct uio_s *uio = uio_of(acc->dev);

    return is_pci(uio) ? kr_uio_pci_reset(uio->found.device) : not_pci(uio);
}

static DEV_MMIO_BUS_MASTER(uio_bus_master)
{
    struct uio_s *uio = uio_of(acc->dev);
    error_t err;

    if (!is_pci(uio))
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
    if (is_pci(uio))
        kr_uio_pci_bus_master(uio->config, false);
    pthread_mutex_unlock(&uio->lock);
    end(uio);
    pthread_mutex_lock(&uio->lock);
    for (unsigned i = 0; i < KR_UIO_MAPS; i++)
        kr_mmio_drop(&uio->region[i]);
    pthread_mutex_unlock(&uio->lock);
}

static void uio_free(struct device_s *dev)
{
    struct uio_s *uio = uio_of(dev);

    if (is_pci(uio))
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
