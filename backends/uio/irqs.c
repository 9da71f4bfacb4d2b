/* SPDX-License-Identifier: MIT */
/*
 * The interrupt of a device of UIO. The kernel counts it for ever, and an opened file is readable
 * when the count differs from what was read last: a request begins with what comes after it. The
 * file is non-blocking: a blocking one would park a worker of io_uring in read(2).
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
#include <unistd.h>

#include "uio_open.h"

/* A device without an interrupt answers a read with EIO. */
bool uio_has_irq(int fd)
{
    int32_t count;

    return read(fd, &count, sizeof(count)) >= 0 || errno == EAGAIN;
}

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
    enum dev_irq_kind_e kind = uio_is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE;

    if (irq->kind == DEV_IRQ_MSI || irq->kind == DEV_IRQ_MSIX)
        return device_error(-ENOTSUP, "UIO has no message-signalled interrupts: VFIO has");
    if (!uio->has_irq)
        return device_error(-ENOTSUP, "uio%u has no interrupt", uio->found.number);
    if (irq->kind != DEV_IRQ_ANY && irq->kind != kind)
        return device_error(-ENOTSUP, "uio%u: its interrupt is of kind %s", uio->found.number,
                            uio_is_pci(uio) ? "INTX" : "LINE");
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

/* With the lock, so that a handler that is quick finds the line. */
static error_t open_line(struct uio_s *uio, struct dev_irq_s *irq,
                         const struct kr_irq_config_s *config, struct kr_irq_line_s **line)
{
    error_t err;

    if (uio->closed)
        return -ECANCELED;
    uio_has_irq(config->fd); /* what fired before is forgotten */
    uio->seen = count_now(uio);
    err = kr_irq_open(line, irq, config);
    if (err)
        return err;
    err = set_irq(uio, config->fd, true);
    if (err == -ENOTSUP) /* the kernel's driver does it all by itself */
        err = 0;
    if (!err) {
        uio->line = *line;
        uio->irq_fd = config->fd;
    }
    return err;
}

static error_t begin(struct uio_s *uio, struct device_s *dev, struct dev_irq_s *irq)
{
    struct kr_irq_config_s config = {.dev = dev, .take = take, .pv = uio};
    struct kr_irq_line_s *line = NULL;
    error_t err;

    config.fd = fcntl(uio->file, F_DUPFD_CLOEXEC, 0);
    if (config.fd < 0)
        return -errno;
    pthread_mutex_lock(&uio->lock);
    err = open_line(uio, irq, &config, &line);
    pthread_mutex_unlock(&uio->lock);
    if (err && line)
        kr_irq_close(line); /* and the descriptor */
    else if (err)
        close(config.fd);
    return err;
}

static void give_back(struct uio_s *uio)
{
    pthread_mutex_lock(&uio->lock);
    uio->taken = false;
    pthread_mutex_unlock(&uio->lock);
}

DEV_MMIO_IRQ_REQUEST(uio_irq_request)
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
    irq->kind = uio_is_pci(uio) ? DEV_IRQ_INTX : DEV_IRQ_LINE;
    err = begin(uio, acc->dev, irq);
    if (err)
        give_back(uio);
    return err;
}

void uio_end_irq(struct uio_s *uio)
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

DEV_MMIO_IRQ_RELEASE(uio_irq_release)
{
    (void)irq;
    uio_end_irq(uio_of(acc->dev));
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

DEV_MMIO_IRQ_MASK(uio_irq_mask)
{
    (void)irq;
    return set_mask(uio_of(acc->dev), true);
}

DEV_MMIO_IRQ_UNMASK(uio_irq_unmask)
{
    (void)irq;
    return set_mask(uio_of(acc->dev), false);
}

/* PCI tells the number; else there is a folder of the name of the device in /proc/irq/N. */
DEV_MMIO_IRQ_NUMBER(uio_irq_number)
{
    struct uio_s *uio = uio_of(acc->dev);
    uint64_t value;
    error_t err;

    (void)irq;
    if (!uio_is_pci(uio))
        return kr_uio_irq_by_name(number, uio->found.name);
    err = kr_uio_read_number(&value, uio->found.device, "irq");
    if (!err)
        *number = (unsigned)value;
    return err ? -ENOTSUP : 0;
}
