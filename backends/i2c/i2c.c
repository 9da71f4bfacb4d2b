/* SPDX-License-Identifier: MIT */
/*
 * Driver `i2c`: adapters of the kernel through i2c-dev, "i2c:1". The calls block until the bus has
 * done it, so the bus thread makes them: bus.h. Documentation/i2c/dev-interface.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>

#include "i2c.h"
#include "i2c_list.h"

#define ADDRESSES 1024

struct i2c_pv_s {
    struct kr_bus_port_s port;
    struct kr_i2c_adapter_s adapter; /* of who performs, but for what does not change */
    int check_fd;                    /* asks whether a driver of the kernel has an address */
    bool force;
    unsigned tries;
    uint32_t free[ADDRESSES / 32]; /* atomic: addresses that no driver had when they were asked */
    char name[64];
};

static const struct driver_param_s params[] = {
    {"timeout", "ms that the adapter waits for the bus, for all of its users; as the kernel has it",
     NULL, 10, 60000, DRIVER_PARAM_UINT},
    {"retries", "of the adapter when the bus is lost, for all of its users; as the kernel has it",
     NULL, 0, 100, DRIVER_PARAM_UINT},
    {"force", "also addresses that a driver of the kernel has; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct i2c_pv_s *pv_of(struct kr_bus_port_s *port)
{
    return KROUTINE_CONTAINER(port, struct i2c_pv_s, port);
}

static bool is_plain(const struct i2c_pv_s *pv)
{
    return pv->adapter.funcs & I2C_FUNC_I2C;
}

/* --- on the bus --- */

/* I2C_SLAVE tells, on a descriptor of its own, whose address nobody uses. I2C_RDWR does not ask. */
static bool is_held(struct i2c_pv_s *pv, uint16_t addr)
{
    return !pv->force && kr_i2c_ioctl(pv->check_fd, I2C_SLAVE, (void *)(uintptr_t)addr) == -EBUSY;
}

/* What says nothing about the bus says that nobody is there: as i2cdetect(8). */
static error_t scan_one(struct i2c_pv_s *pv, struct dev_i2c_rq_s *rq)
{
    uint16_t addr = (uint16_t)kr_i2c_scan_address(rq);
    bool read = kr_i2c_scan_reads(rq), held = is_held(pv, addr);
    error_t err = -ENXIO;

    if (!held && kr_i2c_can_ask(&pv->adapter, read))
        err = kr_i2c_ask(&pv->adapter, addr, false, read);
    if (err && kr_i2c_is_gone(pv->adapter.number))
        return -ENODEV;
    return kr_i2c_scan_next(rq, !err, held);
}

static error_t i2c_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct dev_i2c_rq_s *rq = dev_i2c_rq_cast(base);
    struct i2c_pv_s *pv = pv_of(port);
    unsigned end;
    error_t err;

    if (rq->type == DEV_I2C_SCAN) {
        err = scan_one(pv, rq);
    } else {
        end = kr_i2c_part_end(rq, rq->done);
        err = (is_plain(pv) ? kr_i2c_transfer : kr_i2c_smbus_transfer)(&pv->adapter, rq, rq->done,
                                                                       end);
        err = kr_i2c_part_ended(port, rq, &pv->tries, end, err);
    }
    if (err == -ENODEV)
        kr_bus_gone(port);
    return err;
}

static const struct kr_bus_ops_s ops = {.perform = i2c_perform};

/* --- opening and closing --- */

static error_t cannot_open(const char *path)
{
    error_t err = -errno;

    if (err == -EACCES || err == -EPERM)
        return device_error(err,
                            "cannot open %s: %s (the group of /dev/i2c-* is often 'i2c'; "
                            "kroutine-i2c(3) has a udev rule)",
                            path, strerror(-err));
    return device_error(err, "cannot open %s: %s", path, strerror(-err));
}

/* The kernel counts time-outs in 10 ms: I2C_TIMEOUT of linux/i2c-dev.h. */
static error_t configure(struct i2c_pv_s *pv, const struct device_spec_s *spec)
{
    uintptr_t timeout = (uintptr_t)device_spec_uint(spec, "timeout", 0);
    uintptr_t retries = (uintptr_t)device_spec_uint(spec, "retries", 0);
    int fd = pv->adapter.fd;
    error_t err = kr_i2c_ioctl(fd, I2C_FUNCS, &pv->adapter.funcs);

    if (!err && timeout)
        err = kr_i2c_ioctl(fd, I2C_TIMEOUT, (void *)((timeout + 9) / 10));
    if (!err && device_spec_has(spec, "retries"))
        err = kr_i2c_ioctl(fd, I2C_RETRIES, (void *)retries);
    if (!err) /* so that it takes all addresses; whether the adapter does is not asked there */
        err = kr_i2c_ioctl(pv->check_fd, I2C_TENBIT, (void *)1);
    if (err)
        return device_error(err, "%s: %s", pv->name, strerror(-err));
    if (is_plain(pv) && !(pv->adapter.funcs & I2C_FUNC_NOSTART)) {
        pv->adapter.joined = malloc(KR_I2C_BYTES);
        if (!pv->adapter.joined)
            return device_error(-ENOMEM, "out of memory");
    }
    return 0;
}

static error_t open_files(struct i2c_pv_s *pv, const struct device_spec_s *spec)
{
    struct kr_i2c_found_s found;
    char path[32];
    error_t err = kr_i2c_find(&found, "/sys", device_spec_address(spec));

    if (err)
        return err;
    snprintf(path, sizeof(path), "/dev/i2c-%u", found.number);
    snprintf(pv->name, sizeof(pv->name), "%s", found.name);
    pv->adapter.number = found.number;
    pv->adapter.slave = -1;
    pv->adapter.fd = open(path, O_RDWR | O_CLOEXEC);
    if (pv->adapter.fd < 0)
        return cannot_open(path);
    pv->check_fd = open(path, O_RDWR | O_CLOEXEC);
    return pv->check_fd < 0 ? cannot_open(path) : configure(pv, spec);
}

static void close_files(struct i2c_pv_s *pv)
{
    if (pv->adapter.fd >= 0)
        close(pv->adapter.fd);
    if (pv->check_fd >= 0)
        close(pv->check_fd);
    free(pv->adapter.joined);
}

static error_t i2c_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct i2c_pv_s *pv = device_pv(dev);
    char name[16];
    error_t err;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-i2c");
    pv->adapter.fd = pv->check_fd = -1;
    pv->force = device_spec_uint(spec, "force", false);
    err = open_files(pv, spec);
    if (!err) {
        snprintf(name, sizeof(name), "i2c-%u", pv->adapter.number);
        err = kr_bus_open(&pv->port, dev, &ops, name);
    }
    if (err)
        close_files(pv);
    return err;
}

static void i2c_close(struct device_s *dev)
{
    kr_bus_close(&((struct i2c_pv_s *)device_pv(dev))->port, -ECANCELED);
}

/* Calls that are under way may still ask who holds an address. */
static void i2c_free(struct device_s *dev)
{
    struct i2c_pv_s *pv = device_pv(dev);

    close_files(pv);
    kr_bus_free(&pv->port);
}

/* --- class --- */

static error_t admit_address(struct i2c_pv_s *pv, const struct dev_i2c_rq_s *rq)
{
    uint32_t *word = &pv->free[rq->addr / 32], bit = UINT32_C(1) << rq->addr % 32;
    bool ten = rq->flags & DEV_I2C_TEN_BIT;
    char holder[48];

    if (ten && !(pv->adapter.funcs & I2C_FUNC_10BIT_ADDR))
        return device_error(-ENOTSUP, "i2c: %s has no addresses of ten bits", pv->name);
    if (kr_load_relaxed(word) & bit)
        return 0;
    if (!is_held(pv, rq->addr)) {
        kr_or(word, bit);
        return 0;
    }
    kr_i2c_holder(holder, sizeof(holder), pv->adapter.number, rq->addr, ten);
    return device_error(-EBUSY,
                        "i2c: address 0x%02x is held by the driver %s of the kernel (force=yes "
                        "uses it all the same)",
                        rq->addr, holder[0] ? holder : "it has");
}

static error_t admit(struct i2c_pv_s *pv, struct dev_i2c_rq_s *rq)
{
    error_t err;

    if (rq->type == DEV_I2C_SCAN) {
        kr_i2c_scan_begin(rq);
        if (!kr_i2c_can_ask(&pv->adapter, rq->scan.how == DEV_I2C_SCAN_READ) &&
            (rq->scan.how || !kr_i2c_can_ask(&pv->adapter, true)))
            return device_error(-ENOTSUP, "i2c: %s cannot ask who is there", pv->name);
        return 0;
    }
    err = admit_address(pv, rq);
    for (unsigned from = 0, end; !err && from < rq->count; from = end) {
        end = kr_i2c_part_end(rq, from);
        err = (is_plain(pv) ? kr_i2c_admit : kr_i2c_smbus_admit)(&pv->adapter, rq, from, end);
    }
    return err;
}

static DEV_I2C_REQUEST(i2c_request)
{
    struct i2c_pv_s *pv = device_pv(acc->dev);

    kr_bus_request(&pv->port, &rq->base, admit(pv, rq));
}

static DEV_I2C_CANCEL(i2c_cancel)
{
    return kr_bus_cancel(&((struct i2c_pv_s *)device_pv(acc->dev))->port, &rq->base);
}

static DEV_I2C_INFO(i2c_info)
{
    const struct i2c_pv_s *pv = device_pv(acc->dev);
    unsigned long funcs = pv->adapter.funcs;

    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", pv->name);
    info->bus = pv->adapter.number;
    info->transfers_max = is_plain(pv) ? KR_I2C_MESSAGES : 2;
    info->size_max = is_plain(pv) ? KR_I2C_BYTES : I2C_SMBUS_BLOCK_MAX;
    if (is_plain(pv))
        info->cap |= DEV_I2C_CAP_PLAIN;
    info->cap |= DEV_I2C_CAP_CONTINUE; /* of the adapter, or by joining */
    if (funcs & I2C_FUNC_10BIT_ADDR)
        info->cap |= DEV_I2C_CAP_TEN_BIT;
    if (funcs & I2C_FUNC_SMBUS_QUICK)
        info->cap |= DEV_I2C_CAP_QUICK;
    return 0;
}

static const struct driver_i2c_s i2c_methods = DRIVER_I2C_METHODS(i2c);

const struct driver_s kr_driver_i2c = {
    .name = "i2c",
    .desc = "chips on an I2C or SMBus adapter of the kernel",
    .params = params,
    .pv_size = sizeof(struct i2c_pv_s),
    .f_open = i2c_open,
    .f_close = i2c_close,
    .f_free = i2c_free,
    .classes = {(const struct driver_class_table_s *)&i2c_methods},
};
