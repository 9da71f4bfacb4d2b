/* SPDX-License-Identifier: MIT */
/*
 * The driver sim-i2c: a bus with chips on it, which takes the time that its clock takes. What it
 * does is done when the time of a part has passed. kroutine/sim.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "i2c_list.h"
#include "kroutine/sim.h"
#include "sim_i2c.h"

#define CHIPS "24c32@0x50,24c02@0x51,tmp105@0x48,ds1307@0x68"
#define TIMEOUT                                                                                    \
    KROUTINE_SEC(1) /* of the adapter: as i2c_register_adapter() of the kernel has it              \
                     */

/* What the devices of one name share. */
struct sim_i2c_bus_s {
    struct kr_sim_i2c_chip_s *chips;
    pthread_mutex_t lock;                    /* chips, faults */
    unsigned fault[KROUTINE_SIM_I2C_FAULTS]; /* how many there are to come */
};

struct sim_i2c_pv_s {
    struct kr_bus_port_s port;
    struct sim_i2c_bus_s *bus;
    char name[48];
    uint32_t hz;
    uint64_t latency;
    bool force;
    unsigned tries;
};

static const struct driver_param_s params[] = {
    {"chips", "MODEL@ADDRESS,…: 24c32, 24c02, tmp105, ds1307; " CHIPS, NULL, 0, 0,
     DRIVER_PARAM_STRING},
    {"hz", "clock of the bus; 100000", NULL, 1, 100000000, DRIVER_PARAM_UINT},
    {"latency", "ns before each transfer; 0", NULL, 0, KROUTINE_SEC(3600), DRIVER_PARAM_UINT},
    {"force", "also addresses that are held; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct sim_i2c_pv_s *pv_of(struct kr_bus_port_s *port)
{
    return KROUTINE_CONTAINER(port, struct sim_i2c_pv_s, port);
}

/* --- time --- */

/* Bits of nine clocks for each byte and its acknowledge, two for start and stop. */
static uint64_t bits_of(const struct dev_i2c_rq_s *rq)
{
    uint64_t bits = 2;

    if (rq->type == DEV_I2C_SCAN)
        return kr_i2c_scan_reads(rq) ? 20 : 11;
    for (unsigned i = rq->done, end = kr_i2c_part_end(rq, i); i < end; i++)
        bits += 9 * (uint64_t)rq->list[i].size + (rq->list[i].op & DEV_I2C_CONTINUE ? 0
                                                  : rq->flags & DEV_I2C_TEN_BIT     ? 19
                                                                                    : 10);
    return bits;
}

static uint64_t sim_duration(struct kr_bus_port_s *port, const struct dev_request_s *base)
{
    const struct dev_i2c_rq_s *rq = KROUTINE_CONTAINER(base, const struct dev_i2c_rq_s, base);
    struct sim_i2c_pv_s *pv = pv_of(port);
    bool stuck;

    pthread_mutex_lock(&pv->bus->lock);
    stuck = pv->bus->fault[KROUTINE_SIM_I2C_STUCK];
    pthread_mutex_unlock(&pv->bus->lock);
    return stuck ? TIMEOUT : pv->latency + bits_of(rq) * KROUTINE_SEC(1) / pv->hz;
}

/* --- on the bus, with its lock --- */

static struct kr_sim_i2c_chip_s *find(const struct sim_i2c_bus_s *bus, uint16_t addr)
{
    struct kr_sim_i2c_chip_s *chip = bus->chips;

    while (chip && chip->addr != addr)
        chip = chip->next;
    return chip;
}

/* Chips above 0x7f have addresses of ten bits, the others of seven. */
static struct kr_sim_i2c_chip_s *addressed(const struct sim_i2c_bus_s *bus,
                                           const struct dev_i2c_rq_s *rq)
{
    return (rq->addr > 0x7f) == !!(rq->flags & DEV_I2C_TEN_BIT) ? find(bus, rq->addr) : NULL;
}

static bool happens(struct sim_i2c_bus_s *bus, enum kroutine_sim_i2c_fault_e fault)
{
    if (!bus->fault[fault])
        return false;
    if (fault != KROUTINE_SIM_I2C_STUCK && fault != KROUTINE_SIM_I2C_GONE)
        bus->fault[fault]--;
    return true;
}

static error_t start(struct sim_i2c_bus_s *bus, struct kr_sim_i2c_chip_s *chip, uint64_t now)
{
    if (happens(bus, KROUTINE_SIM_I2C_GONE))
        return -ENODEV;
    if (happens(bus, KROUTINE_SIM_I2C_STUCK))
        return -ETIMEDOUT;
    if (happens(bus, KROUTINE_SIM_I2C_ARBITRATION))
        return -EAGAIN;
    if (!kr_sim_i2c_start(chip, now) || happens(bus, KROUTINE_SIM_I2C_NACK_ADDRESS))
        return -EHOSTUNREACH;
    return 0;
}

static error_t transfer(struct sim_i2c_bus_s *bus, struct kr_sim_i2c_chip_s *chip,
                        const struct dev_i2c_transfer_s *t)
{
    for (uint32_t i = 0; i < t->size; i++) {
        if (t->op & DEV_I2C_READ)
            ((uint8_t *)t->data)[i] = kr_sim_i2c_read(chip);
        else if (happens(bus, KROUTINE_SIM_I2C_NACK_DATA))
            return -EREMOTEIO;
        else
            kr_sim_i2c_write(chip, ((const uint8_t *)t->out)[i]);
    }
    return 0;
}

static error_t do_part(struct sim_i2c_bus_s *bus, const struct dev_i2c_rq_s *rq, unsigned end,
                       uint64_t now)
{
    struct kr_sim_i2c_chip_s *chip = addressed(bus, rq);
    error_t err = 0;

    for (unsigned i = rq->done; !err && i < end; i++) {
        if (!(rq->list[i].op & DEV_I2C_CONTINUE))
            err = start(bus, chip, now);
        if (!err)
            err = transfer(bus, chip, &rq->list[i]);
    }
    if (chip && chip->model)
        kr_sim_i2c_stop(chip, now);
    return err;
}

static error_t ask(struct sim_i2c_bus_s *bus, struct dev_i2c_rq_s *rq, bool force, uint64_t now)
{
    struct kr_sim_i2c_chip_s *chip = find(bus, (uint16_t)kr_i2c_scan_address(rq));
    bool held = chip && !chip->model && !force;
    error_t err = held ? 0 : start(bus, chip, now);

    if (err == -ENODEV || err == -ETIMEDOUT)
        return err;
    if (!held && !err && kr_i2c_scan_reads(rq))
        kr_sim_i2c_read(chip);
    return kr_i2c_scan_next(rq, !held && !err, held);
}

static error_t sim_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct dev_i2c_rq_s *rq = dev_i2c_rq_cast(base);
    struct sim_i2c_pv_s *pv = pv_of(port);
    uint64_t now = kr_clock_now(&kr_device_runtime(port->dev)->clocks[KR_CLOCK_MONOTONIC]);
    unsigned end = rq->type == DEV_I2C_SCAN ? 0 : kr_i2c_part_end(rq, rq->done);
    error_t err;

    pthread_mutex_lock(&pv->bus->lock);
    if (rq->type == DEV_I2C_SCAN)
        err = ask(pv->bus, rq, pv->force, now);
    else
        err = do_part(pv->bus, rq, end, now);
    pthread_mutex_unlock(&pv->bus->lock);
    if (err == -ENODEV)
        kr_bus_gone(port);
    return rq->type == DEV_I2C_SCAN ? err : kr_i2c_part_ended(port, rq, &pv->tries, end, err);
}

static const struct kr_bus_ops_s ops = {.perform = sim_perform, .duration = sim_duration};

/* --- opening and closing --- */

static void release(void *shared)
{
    struct sim_i2c_bus_s *bus = shared;

    kr_sim_i2c_chips_free(bus->chips);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* The first device of a name makes the bus. */
static error_t share(struct sim_i2c_pv_s *pv, const char *chips)
{
    struct sim_i2c_bus_s *fresh = calloc(1, sizeof(*fresh));
    error_t err;

    if (!fresh)
        return device_error(-ENOMEM, "out of memory");
    pthread_mutex_init(&fresh->lock, NULL);
    err = kr_sim_i2c_chips(&fresh->chips, chips ? chips : CHIPS);
    if (!err)
        pv->bus = kr_bus_share(&pv->port, fresh, release);
    if (pv->bus == fresh)
        return 0;
    if (!err && chips)
        err = device_error(-EBUSY, "chips: the bus is there already, with the chips of whoever "
                                   "opened it first");
    release(fresh);
    return err;
}

static error_t sim_i2c_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct sim_i2c_pv_s *pv = device_pv(dev);
    const char *name = device_spec_address(spec);
    error_t err;

    if (!*name || strlen(name) > 20)
        return device_error(-EINVAL, "sim-i2c:NAME, of 1 to 20 characters");
    snprintf(pv->name, sizeof(pv->name), "sim-i2c:%s", name);
    pv->hz = (uint32_t)device_spec_uint(spec, "hz", 100000);
    pv->latency = device_spec_uint(spec, "latency", 0);
    pv->force = device_spec_uint(spec, "force", false);
    err = kr_bus_open(&pv->port, dev, &ops, pv->name);
    if (err)
        return err;
    err = share(pv, device_spec_string(spec, "chips", NULL));
    if (err) {
        kr_bus_close(&pv->port, -ECANCELED);
        kr_bus_free(&pv->port);
    }
    return err;
}

static void sim_i2c_close(struct device_s *dev)
{
    kr_bus_close(&((struct sim_i2c_pv_s *)device_pv(dev))->port, -ECANCELED);
}

static void sim_i2c_free(struct device_s *dev)
{
    kr_bus_free(&((struct sim_i2c_pv_s *)device_pv(dev))->port);
}

/* --- class --- */

/* An address that a driver of the kernel has is refused as i2c-dev refuses it. */
static error_t admit(struct sim_i2c_pv_s *pv, struct dev_i2c_rq_s *rq)
{
    const struct kr_sim_i2c_chip_s *chip;
    bool held;

    if (rq->type == DEV_I2C_SCAN) {
        kr_i2c_scan_begin(rq);
        return 0;
    }
    pthread_mutex_lock(&pv->bus->lock);
    chip = addressed(pv->bus, rq);
    held = chip && !chip->model && !pv->force;
    pthread_mutex_unlock(&pv->bus->lock);
    return held ? device_error(-EBUSY, "address 0x%02x is held by a driver", rq->addr) : 0;
}

static DEV_I2C_REQUEST(sim_i2c_request)
{
    struct sim_i2c_pv_s *pv = device_pv(acc->dev);

    kr_bus_request(&pv->port, &rq->base, admit(pv, rq));
}

static DEV_I2C_CANCEL(sim_i2c_cancel)
{
    return kr_bus_cancel(&((struct sim_i2c_pv_s *)device_pv(acc->dev))->port, &rq->base);
}

static DEV_I2C_INFO(sim_i2c_info)
{
    const struct sim_i2c_pv_s *pv = device_pv(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", pv->name);
    info->cap = DEV_I2C_CAP_PLAIN | DEV_I2C_CAP_TEN_BIT | DEV_I2C_CAP_CONTINUE | DEV_I2C_CAP_QUICK |
                DEV_I2C_CAP_VIRTUAL;
    info->transfers_max = UINT16_MAX;
    info->size_max = UINT32_MAX;
    return 0;
}

static const struct driver_i2c_s sim_i2c_methods = DRIVER_I2C_METHODS(sim_i2c);

const struct driver_s kr_driver_sim_i2c = {
    .name = "sim-i2c",
    .desc = "simulated bus with EEPROMs, a thermometer and a clock on it",
    .params = params,
    .pv_size = sizeof(struct sim_i2c_pv_s),
    .f_open = sim_i2c_open,
    .f_close = sim_i2c_close,
    .f_free = sim_i2c_free,
    .classes = {(const struct driver_class_table_s *)&sim_i2c_methods},
};

/* --- from outside --- */

static struct sim_i2c_bus_s *outside(const struct device_accessor_s *acc)
{
    if (!acc->dev || strcmp(device_driver_name(acc->dev), kr_driver_sim_i2c.name) != 0)
        return NULL;
    return ((struct sim_i2c_pv_s *)device_pv(acc->dev))->bus;
}

error_t kroutine_sim_i2c_fault(const struct device_accessor_s *acc,
                               enum kroutine_sim_i2c_fault_e fault, unsigned count)
{
    struct sim_i2c_bus_s *bus = outside(acc);
    error_t err;

    if (!bus)
        return -ENOTSUP;
    if ((unsigned)fault >= KROUTINE_SIM_I2C_FAULTS)
        return -EINVAL;
    err = kr_device_enter(acc->dev);
    if (!err) {
        pthread_mutex_lock(&bus->lock);
        bus->fault[fault] = count;
        pthread_mutex_unlock(&bus->lock);
    }
    kr_device_leave(acc->dev);
    return err;
}

error_t kroutine_sim_i2c_poke(const struct device_accessor_s *acc, uint16_t addr, uint16_t offset,
                              const void *data, size_t size)
{
    struct sim_i2c_bus_s *bus = outside(acc);
    struct kr_sim_i2c_chip_s *chip;
    error_t err;

    if (!bus)
        return -ENOTSUP;
    err = kr_device_enter(acc->dev);
    if (!err) {
        pthread_mutex_lock(&bus->lock);
        chip = find(bus, addr);
        if (!chip || !chip->model || offset >= chip->model->size ||
            size > (size_t)(chip->model->size - offset))
            err = -EINVAL;
        else
            memcpy(chip->regs + offset, data, size);
        pthread_mutex_unlock(&bus->lock);
    }
    kr_device_leave(acc->dev);
    return err;
}
