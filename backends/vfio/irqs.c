/* SPDX-License-Identifier: MIT */
/*
 * Interrupts. The kernel enables one kind at a time, and signals an eventfd for each vector. How
 * many vectors it has of MSI and MSI-X is settled when the first is enabled, except for MSI-X on
 * recent kernels: so all are enabled at once, those that nobody wants without an eventfd
 * (drivers/vfio/pci/vfio_pci_intrs.c).
 */
#include <ctype.h>
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio.h"

static const uint32_t indexes[DEV_IRQ_KINDS] = {
    [DEV_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
    [DEV_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
    [DEV_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
};

static const char *const names[DEV_IRQ_KINDS] = {
    [DEV_IRQ_ANY] = "interrupt", [DEV_IRQ_LINE] = "line",  [DEV_IRQ_INTX] = "INTx",
    [DEV_IRQ_MSI] = "MSI",       [DEV_IRQ_MSIX] = "MSI-X",
};

/* --- the kernel's side --- */

/* Linux: 0, or negative errno, or how many vectors there are when `count` is too much. */
static int set_irqs(struct vfio_s *v, uint32_t index, uint32_t flags, uint32_t start,
                    uint32_t count, const int32_t *fds)
{
    size_t size = sizeof(struct vfio_irq_set) + (fds ? count * sizeof(*fds) : 0);
    struct vfio_irq_set *set = calloc(1, size);
    int result;

    if (!set)
        return -ENOMEM;
    set->argsz = (uint32_t)size;
    set->flags = flags | (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
    set->index = index;
    set->start = start;
    set->count = count;
    if (fds)
        memcpy(set->data, fds, count * sizeof(*fds));
    result = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, set);
    if (result < 0)
        result = -errno;
    free(set);
    return result;
}

static int trigger(struct vfio_s *v, enum dev_irq_kind_e kind, uint32_t start, uint32_t count,
                   const int32_t *fds)
{
    return set_irqs(v, indexes[kind], VFIO_IRQ_SET_ACTION_TRIGGER, start, count, fds);
}

static uint32_t count_of(struct vfio_s *v, uint32_t index)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

    if (ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) || !(info.flags & VFIO_IRQ_INFO_EVENTFD))
        return 0;
    return info.count;
}

error_t vfio_find_irqs(struct vfio_s *v, enum dev_irq_kind_e wanted)
{
    static const enum dev_irq_kind_e order[] = {DEV_IRQ_MSIX, DEV_IRQ_MSI, DEV_IRQ_INTX};

    for (unsigned i = 0; i < 3; i++)
        v->irqs[order[i]] = count_of(v, indexes[order[i]]);
    if (wanted != DEV_IRQ_ANY && !v->irqs[wanted])
        return device_error(-ENOTSUP, "%s has no %s", v->pci.name, names[wanted]);
    for (unsigned i = 0; i < 3 && wanted == DEV_IRQ_ANY; i++) {
        if (v->irqs[order[i]])
            wanted = order[i];
    }
    v->preferred = wanted;
    v->irqs[DEV_IRQ_ANY] = wanted == DEV_IRQ_ANY ? 0 : v->irqs[wanted];
    return 0;
}

/* One eventfd for both: whether the device fails or is wanted back, it is over. The index of errors
   is for PCI Express only. */
error_t vfio_watch_removal(struct vfio_s *v, int fd)
{
    int32_t fds[] = {fd};
    uint32_t flags = VFIO_IRQ_SET_ACTION_TRIGGER;
    int err;

    err = set_irqs(v, VFIO_PCI_REQ_IRQ_INDEX, flags, 0, 1, fds);
    if (err < 0)
        return device_error(err, "%s: VFIO: request interrupt: %s", v->pci.name, strerror(-err));
    if (count_of(v, VFIO_PCI_ERR_IRQ_INDEX))
        set_irqs(v, VFIO_PCI_ERR_IRQ_INDEX, flags, 0, 1, fds);
    return 0;
}

/* --- enabling and disabling, with the lock --- */

/* INTx is unmasked in each handler: a write to an eventfd is the shorter way. Nothing is lost when
   there is none. */
static void prepare_unmask(struct vfio_s *v)
{
    int32_t fds[] = {eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

    if (fds[0] < 0)
        return;
    if (set_irqs(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, fds)) {
        close(fds[0]);
        return;
    }
    v->unmask_fd = fds[0];
}

static error_t enable(struct vfio_s *v, enum dev_irq_kind_e kind, uint32_t vector, int fd)
{
    uint32_t count = v->irqs[kind];
    int32_t *fds = malloc(count * sizeof(*fds));
    int result;

    if (!fds)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        fds[i] = i == vector ? fd : -1;
    result = trigger(v, kind, 0, count, fds);
    if (result > (int)vector) { /* the machine has that many only */
        count = (uint32_t)result;
        result = trigger(v, kind, 0, count, fds);
    }
    free(fds);
    if (result > 0)
        return device_error(-ENOSPC, "%s: the kernel gives it %d vectors of %s only", v->pci.name,
                            result, names[kind]);
    if (result < 0)
        return device_error(result, "%s: %s: %s", v->pci.name, names[kind], strerror(-result));
    v->active = kind;
    v->enabled = count;
    if (kind == DEV_IRQ_INTX)
        prepare_unmask(v);
    return 0;
}

static error_t enable_one(struct vfio_s *v, const struct vfio_slot_s *slot, int fd)
{
    int32_t fds[] = {fd};
    int result;

    if (v->active == DEV_IRQ_ANY)
        return enable(v, slot->kind, slot->vector, fd);
    if (slot->vector >= v->enabled)
        return device_error(-ENOSPC, "%s: the kernel gives it %u vectors of %s only", v->pci.name,
                            v->enabled, names[slot->kind]);
    result = trigger(v, slot->kind, slot->vector, 1, fds);
    if (result < 0)
        return device_error(result, "%s: %s %u: %s", v->pci.name, names[slot->kind], slot->vector,
                            strerror(-result));
    return 0;
}

void vfio_disable_irqs(struct vfio_s *v)
{
    if (v->active != DEV_IRQ_ANY)
        trigger(v, v->active, 0, 0, NULL);
    v->active = DEV_IRQ_ANY;
    v->enabled = 0;
    if (v->unmask_fd >= 0)
        close(v->unmask_fd);
    v->unmask_fd = -1;
}

/* The slot is out of the list. The last one disables the kind, so that another can follow. */
static void disable_one(struct vfio_s *v, const struct vfio_slot_s *slot)
{
    int32_t none[] = {-1};

    if (!v->slots)
        vfio_disable_irqs(v);
    else if (v->active == slot->kind)
        trigger(v, slot->kind, slot->vector, 1, none);
}

/* --- slots, with the lock --- */

static struct vfio_slot_s **find(struct vfio_s *v, enum dev_irq_kind_e kind, uint16_t vector)
{
    struct vfio_slot_s **at = &v->slots;

    while (*at && ((*at)->kind != kind || (*at)->vector != vector))
        at = &(*at)->next;
    return at;
}

static void drop(struct vfio_s *v, struct vfio_slot_s *slot)
{
    struct vfio_slot_s **at = &v->slots;

    while (*at && *at != slot)
        at = &(*at)->next;
    if (*at)
        *at = slot->next;
}

static enum dev_irq_kind_e choose(const struct vfio_s *v, enum dev_irq_kind_e kind)
{
    if (kind != DEV_IRQ_ANY)
        return kind;
    return v->active != DEV_IRQ_ANY ? v->active : v->preferred;
}

static error_t check(struct vfio_s *v, enum dev_irq_kind_e kind, uint16_t vector)
{
    if (v->closed)
        return -ECANCELED;
    if (!v->irqs[kind])
        return device_error(-ENOTSUP, "%s has no %s", v->pci.name, names[kind]);
    if (vector >= v->irqs[kind])
        return device_error(-ENXIO, "%s has %u vectors of %s, counted from 0: there is no %u",
                            v->pci.name, v->irqs[kind], names[kind], vector);
    if (v->active != DEV_IRQ_ANY && v->active != kind)
        return device_error(-EBUSY, "%s: %s is in use, and a device has one kind at a time",
                            v->pci.name, names[v->active]);
    if (*find(v, kind, vector))
        return device_error(-EBUSY, "%s: %s %u is taken", v->pci.name, names[kind], vector);
    return 0;
}

/* --- class --- */

/* Reactor. */
static int64_t take(void *pv, int fd)
{
    const struct vfio_s *v = pv;

    return kr_load(&v->gone) ? -ENODEV : kr_irq_take_eventfd(NULL, fd);
}

static error_t open_line(struct vfio_s *v, struct vfio_slot_s *slot, struct device_s *dev,
                         struct dev_irq_s *irq)
{
    struct kr_irq_config_s config = {.dev = dev, .take = take, .pv = v};
    error_t err;

    config.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (config.fd < 0)
        return device_error(-errno, "%s: eventfd: %s", v->pci.name, strerror(errno));
    err = kr_irq_open(&slot->line, irq, &config);
    if (err) {
        close(config.fd);
        return err;
    }
    slot->next = v->slots;
    v->slots = slot;
    err = enable_one(v, slot, config.fd);
    if (err)
        drop(v, slot);
    return err;
}

static error_t request(struct vfio_s *v, struct device_s *dev, struct dev_irq_s *irq)
{
    struct vfio_slot_s *slot = calloc(1, sizeof(*slot));
    error_t err;

    if (!slot)
        return -ENOMEM;
    pthread_mutex_lock(&v->lock);
    slot->kind = choose(v, irq->kind);
    slot->vector = irq->vector;
    err = check(v, slot->kind, slot->vector);
    if (!err) {
        irq->kind = slot->kind; /* before it fires, as its handler unmasks what is INTX */
        err = open_line(v, slot, dev, irq);
    }
    pthread_mutex_unlock(&v->lock);
    if (err) {
        if (slot->line)
            kr_irq_close(slot->line);
        free(slot);
    }
    return err;
}

DEV_MMIO_IRQ_REQUEST(vfio_irq_request)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = request(v, acc->dev, irq);
    vfio_leave(v);
    return err;
}

DEV_MMIO_IRQ_RELEASE(vfio_irq_release)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t inside = vfio_enter(v);
    struct vfio_slot_s *slot;

    pthread_mutex_lock(&v->lock);
    slot = *find(v, irq->kind, irq->vector);
    if (slot)
        drop(v, slot);
    if (slot && !inside)
        disable_one(v, slot);
    pthread_mutex_unlock(&v->lock);
    if (slot)
        kr_irq_close(slot->line);
    free(slot);
    if (!inside)
        vfio_leave(v);
    return 0;
}

/* MSI, MSI-X: VFIO masks none, irq.c does it by not looking. */
DEV_MMIO_IRQ_MASK(vfio_irq_mask)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err;

    if (irq->kind != DEV_IRQ_INTX)
        return -ENOTSUP;
    err = vfio_enter(v);
    if (err)
        return err;
    err = set_irqs(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL);
    vfio_leave(v);
    return err;
}

static error_t unmask(struct vfio_s *v)
{
    uint64_t one = 1;
    bool done;

    pthread_mutex_lock(&v->lock);
    done = v->unmask_fd >= 0 && write(v->unmask_fd, &one, sizeof(one)) == sizeof(one);
    pthread_mutex_unlock(&v->lock);
    if (done)
        return 0;
    return set_irqs(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
}

DEV_MMIO_IRQ_UNMASK(vfio_irq_unmask)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err;

    if (irq->kind != DEV_IRQ_INTX)
        return -ENOTSUP;
    err = vfio_enter(v);
    if (err)
        return err;
    err = unmask(v);
    vfio_leave(v);
    return err;
}

/* "  28:   0   17   …   vfio-msi[0](0000:00:03.0)" */
static error_t find_number(const char *name, unsigned *number)
{
    FILE *f = fopen("/proc/interrupts", "re");
    error_t err = -ENOTSUP;
    char *line = NULL;
    size_t size = 0;

    if (!f)
        return -ENOTSUP;
    while (err && getline(&line, &size, f) > 0) {
        const char *at = line + strspn(line, " ");

        if (isdigit((unsigned char)*at) && strstr(at, name)) {
            *number = (unsigned)strtoul(at, NULL, 10);
            err = 0;
        }
    }
    free(line);
    fclose(f);
    return err;
}

DEV_MMIO_IRQ_NUMBER(vfio_irq_number)
{
    struct vfio_s *v = vfio_of(acc->dev);
    char name[64];

    if (irq->kind == DEV_IRQ_INTX)
        snprintf(name, sizeof(name), "vfio-intx(%s)", v->pci.name);
    else
        snprintf(name, sizeof(name), "vfio-msi%s[%u](%s)", irq->kind == DEV_IRQ_MSIX ? "x" : "",
                 irq->vector, v->pci.name);
    return find_number(name, number);
}

/* --- the end --- */

void vfio_tell_irqs(struct vfio_s *v)
{
    pthread_mutex_lock(&v->lock);
    for (struct vfio_slot_s *slot = v->slots; slot; slot = slot->next)
        kr_irq_look(slot->line);
    pthread_mutex_unlock(&v->lock);
}

void vfio_close_irqs(struct vfio_s *v)
{
    struct vfio_slot_s *slot, *next;

    pthread_mutex_lock(&v->lock);
    v->closed = true;
    slot = v->slots;
    v->slots = NULL;
    pthread_mutex_unlock(&v->lock);
    for (; slot; slot = next) {
        next = slot->next;
        kr_irq_close(slot->line);
        free(slot);
    }
}
