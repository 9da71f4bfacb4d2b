/* SPDX-License-Identifier: MIT */
/*
 * The driver sim-mmio: registers that are memory, a configuration space, interrupts that the
 * program raises. kroutine/sim.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kroutine/sim.h"
#include "sim_mmio.h"

/* Offsets and bits of configuration space: linux/pci_regs.h. */
#define PCI_COMMAND        4
#define PCI_COMMAND_MASTER 4
#define PCI_WRITABLE       PCI_COMMAND /* the numbers before it stay */

static const struct driver_param_s params[] = {
    {"size", "bytes of registers; 4096", NULL, 16, 1 << 24, DRIVER_PARAM_UINT},
    {"lines", "level-triggered interrupts; 1", NULL, 0, KR_SIM_VECTORS, DRIVER_PARAM_UINT},
    {"msi", "message-signalled interrupts; 2", NULL, 0, KR_SIM_VECTORS, DRIVER_PARAM_UINT},
    {"eventfd", "interrupts come through eventfds, as those of VFIO do; no", NULL, 0, 0,
     DRIVER_PARAM_BOOL},
    {"every", "ns between messages that it sends by itself, vector 0; 0", NULL, 0,
     UINT64_C(1) << 62, DRIVER_PARAM_UINT},
    {"registers-at", "physical address of the registers; 0: not known", NULL, 0, UINT64_MAX,
     DRIVER_PARAM_UINT},
    {"memory", "bytes of a second region, memory that a device reaches; 0: there is none", NULL, 0,
     1 << 28, DRIVER_PARAM_UINT},
    {"memory-at", "physical address of that; 0x30000000", NULL, 0, UINT64_MAX, DRIVER_PARAM_UINT},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* --- opening and closing --- */

static error_t make_memory(struct kr_sim_mmio_s *sim)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    sim->offset[1] = (sim->size[0] + page - 1) / page * page;
    sim->memory = memfd_create("sim-mmio", MFD_CLOEXEC);
    if (sim->memory < 0)
        return -errno;
    if (ftruncate(sim->memory, (off_t)(sim->offset[1] + sim->size[1])) < 0) {
        close(sim->memory);
        return -errno;
    }
    return 0;
}

static error_t sim_mmio_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(dev);
    error_t err;

    if (!*device_spec_address(spec))
        return device_error(-EINVAL, "sim-mmio: the name is missing");
    sim->dev = dev;
    sim->size[0] = device_spec_uint(spec, "size", 4096);
    sim->size[1] = device_spec_uint(spec, "memory", 0);
    sim->physical[0] = device_spec_uint(spec, "registers-at", 0);
    sim->physical[1] = device_spec_uint(spec, "memory-at", 0x30000000);
    sim->count[DEV_IRQ_LINE] = (unsigned)device_spec_uint(spec, "lines", 1);
    sim->count[DEV_IRQ_MSI] = (unsigned)device_spec_uint(spec, "msi", 2);
    sim->every = device_spec_uint(spec, "every", 0);
    sim->eventfd = device_spec_uint(spec, "eventfd", 0);
    if (sim->eventfd && kroutine_sim_now(device_runtime(dev)))
        return device_error(-ENOTSUP, "eventfd=yes: not in a runtime with virtual time");
    if (sim->every && !sim->count[DEV_IRQ_MSI])
        return device_error(-EINVAL, "every=: needs msi=1 or more");
    err = make_memory(sim);
    if (err)
        return err;
    memcpy(sim->config, "\x72\x6b\x01\x00", 4); /* vendor 0x6b72, device 1: nobody's */
    for (int i = 0; i < 2; i++)
        snprintf(sim->region[i].name, sizeof(sim->region[i].name), "%.56s%s", device_name(dev),
                 i ? " pool" : "");
    for (int kind = 0; kind < DEV_IRQ_KINDS; kind++) {
        for (unsigned i = 0; i < KR_SIM_VECTORS; i++)
            sim->vector[kind][i].sim = sim;
    }
    pthread_mutex_init(&sim->lock, NULL);
    kr_sim_timer_start(sim);
    return 0;
}

static void sim_mmio_close(struct device_s *dev)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(dev);

    pthread_mutex_lock(&sim->lock);
    sim->closed = true;
    pthread_mutex_unlock(&sim->lock);
    kr_sim_irq_end(sim);
    pthread_mutex_lock(&sim->lock);
    kr_mmio_drop(&sim->region[0]);
    kr_mmio_drop(&sim->region[1]);
    pthread_mutex_unlock(&sim->lock);
}

static void sim_mmio_free(struct device_s *dev)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(dev);

    close(sim->memory);
    pthread_mutex_destroy(&sim->lock);
}

/* --- class --- */

static DEV_MMIO_INFO(sim_mmio_info)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%.63s", device_name(acc->dev));
    snprintf(info->bus, sizeof(info->bus), "sim");
    info->vendor = 0x6b72;
    info->device = 1;
    info->regions = sim->size[1] ? 2 : 1;
    memcpy(info->irqs, sim->count, sizeof(info->irqs));
    info->irqs[DEV_IRQ_ANY] = sim->count[DEV_IRQ_MSI] ? sim->count[DEV_IRQ_MSI] //
                                                      : sim->count[DEV_IRQ_LINE];
    info->cap = DEV_MMIO_CAP_CONFIG | DEV_MMIO_CAP_RESET | DEV_MMIO_CAP_VIRTUAL;
    return 0;
}

static error_t check_region(const struct kr_sim_mmio_s *sim, uint32_t index)
{
    if (index < 2 && sim->size[index])
        return 0;
    return device_error(-ENXIO, "there is no region %u: sim-mmio has %s", index,
                        sim->size[1] ? "two" : "one");
}

static DEV_MMIO_REGION(sim_mmio_region)
{
    const struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err = check_region(sim, index);

    if (err)
        return err;
    memset(region, 0, sizeof(*region));
    region->size = sim->size[index];
    region->physical = sim->physical[index];
    region->flags = DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE | DEV_MMIO_REGION_MAPPABLE;
    snprintf(region->name, sizeof(region->name), index ? "pool" : "registers");
    return 0;
}

static DEV_MMIO_MAP(sim_mmio_map)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err = check_region(sim, index);

    if (err)
        return err;
    pthread_mutex_lock(&sim->lock);
    if (sim->gone || sim->closed)
        err = sim->gone ? -ENODEV : -ECANCELED;
    else
        err =
            kr_mmio_map(&sim->region[index], window, index, sim->memory, (off_t)sim->offset[index],
                        0, sim->size[index], DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE);
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static DEV_MMIO_UNMAP(sim_mmio_unmap)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err = -EINVAL;

    pthread_mutex_lock(&sim->lock);
    if (window->index < 2)
        err = kr_mmio_unmap(&sim->region[window->index], window);
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static DEV_MMIO_CONFIG(sim_mmio_config)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err;

    if (offset >= KR_SIM_CONFIG_SIZE || size > KR_SIM_CONFIG_SIZE - offset)
        return device_error(-EINVAL, "configuration space has %d bytes", KR_SIM_CONFIG_SIZE);
    pthread_mutex_lock(&sim->lock);
    err = sim->gone ? -ENODEV : 0;
    if (!err && !write)
        memcpy(data, sim->config + offset, size);
    for (size_t i = 0; !err && write && i < size; i++) {
        if (offset + i >= PCI_WRITABLE)
            sim->config[offset + i] = ((const uint8_t *)data)[i];
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static DEV_MMIO_RESET(sim_mmio_reset)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err = 0;

    pthread_mutex_lock(&sim->lock);
    if (sim->gone)
        err = -ENODEV;
    else if (fallocate(sim->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                       (off_t)sim->size[0]) < 0) /* zeros, also where it is mapped */
        err = -errno;
    if (!err) {
        memset(sim->config + PCI_WRITABLE, 0, KR_SIM_CONFIG_SIZE - PCI_WRITABLE);
        for (unsigned i = 0; i < sim->count[DEV_IRQ_LINE]; i++)
            sim->vector[DEV_IRQ_LINE][i].raised = false;
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static DEV_MMIO_BUS_MASTER(sim_mmio_bus_master)
{
    struct kr_sim_mmio_s *sim = kr_sim_mmio(acc->dev);
    error_t err;

    pthread_mutex_lock(&sim->lock);
    err = sim->gone ? -ENODEV : 0;
    if (!err && on)
        sim->config[PCI_COMMAND] |= PCI_COMMAND_MASTER;
    else if (!err)
        sim->config[PCI_COMMAND] &= (uint8_t)~PCI_COMMAND_MASTER;
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static const struct driver_mmio_s sim_mmio_methods = {
    .cl = DRIVER_CLASS_MMIO,
    .f_info = sim_mmio_info,
    .f_region = sim_mmio_region,
    .f_map = sim_mmio_map,
    .f_unmap = sim_mmio_unmap,
    .f_config = sim_mmio_config,
    .f_reset = sim_mmio_reset,
    .f_bus_master = sim_mmio_bus_master,
    .f_irq_request = kr_sim_irq_request,
    .f_irq_release = kr_sim_irq_release,
    .f_irq_mask = kr_sim_irq_mask,
    .f_irq_unmask = kr_sim_irq_unmask,
};

const struct driver_s kr_driver_sim_mmio = {
    .name = "sim-mmio",
    .desc = "simulated registers and interrupts",
    .params = params,
    .pv_size = sizeof(struct kr_sim_mmio_s),
    .f_open = sim_mmio_open,
    .f_close = sim_mmio_close,
    .f_free = sim_mmio_free,
    .classes = {(const struct driver_class_table_s *)&sim_mmio_methods},
};
