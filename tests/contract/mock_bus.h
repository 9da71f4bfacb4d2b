/* SPDX-License-Identifier: MIT */
/*
 * A bus of the classes i2c and spi whose every state a test can hold still, with chips on it:
 *
 *     0x48 thermometer, 0x50 EEPROM, 0x68 clock; behind spi a converter.
 *
 * BUS_NESTED does requests inside the submit, BUS_THREAD on a thread of its own. BUS_HELD keeps
 * them: QUEUED, where cancel gives 0, until bus_start(), after which it gives -EBUSY, and
 * bus_end().
 */
#ifndef MOCK_BUS_H
#define MOCK_BUS_H

#include "kt.h"

#include <kroutine/driver.h>

enum bus_mode_e { BUS_NESTED, BUS_THREAD, BUS_HELD, BUS_MODES };

struct bus_s {
    struct device_s *dev;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    pthread_t thread;
    struct dev_request_queue_root_s queue;
    struct dev_request_s *active;
    error_t over;
    bool stop;
};

/* Set before the device opens, or with its lock. */
static struct {
    enum bus_mode_e mode;
    struct bus_s *bus; /* of the device, while it is open */
    uint32_t size_max;
    bool at_work; /* BUS_HELD: it begins at once */
    bool gone;
    error_t fail; /* of the next request */

    uint8_t eeprom[65536];
    unsigned eeprom_size, eeprom_page;
    unsigned pointer;
    unsigned cycle;   /* no acknowledge that often after a write */
    unsigned busy;    /* … from now on */
    error_t nack;     /* what the adapter says then */
    unsigned refused; /* how often it was */

    uint16_t thermometer[4];
    uint8_t clock[64];
    uint16_t analog[8];
    bool analog_absent;

    unsigned requests;
    unsigned longest; /* bytes of a transfer */
    uint8_t priority; /* of the last request */
} world;

static void world_reset(void)
{
    memset(&world, 0, sizeof(world));
    memset(world.eeprom, 0xff, sizeof(world.eeprom));
    world.size_max = 8192;
    world.eeprom_size = 4096;
    world.eeprom_page = 32;
    world.nack = -EHOSTUNREACH;
}

/* --- chips --- */

static error_t eeprom(const struct dev_i2c_rq_s *rq)
{
    unsigned wide = world.eeprom_size > 2048 ? 2 : 1;

    if (world.busy) {
        world.busy--;
        world.refused++;
        return world.nack;
    }
    for (unsigned i = 0; i < rq->count; i++) {
        const struct dev_i2c_transfer_s *at = &rq->list[i];
        const uint8_t *out = at->out;

        if (at->op & DEV_I2C_READ) {
            for (unsigned n = 0; n < at->size; n++)
                ((uint8_t *)at->data)[n] = world.eeprom[world.pointer++ % world.eeprom_size];
            continue;
        }
        ck_assert_uint_ge(at->size, wide);
        world.pointer = wide == 2 ? out[0] << 8 | out[1] : (rq->addr & 7) << 8 | out[0];
        for (unsigned n = wide; n < at->size; n++) { /* the counter wraps in the page */
            world.eeprom[world.pointer] = out[n];
            world.pointer = (world.pointer & ~(world.eeprom_page - 1)) |
                            ((world.pointer + 1) & (world.eeprom_page - 1));
            world.busy = world.cycle;
        }
    }
    return 0;
}

/* Two bytes a register, but one of register 1. */
static error_t thermometer(const struct dev_i2c_rq_s *rq)
{
    const uint8_t *out = rq->list[0].out;
    uint8_t *in = rq->list[1].data;
    uint16_t *reg = &world.thermometer[out[0] & 3];

    if (rq->count == 2 && out[0] == 1) {
        in[0] = (uint8_t)*reg & 0x7f; /* one-shot reads as 0 */
    } else if (rq->count == 2) {
        in[0] = (uint8_t)(*reg >> 8);
        in[1] = (uint8_t)*reg;
    } else {
        *reg = out[0] == 1 ? out[1] : (uint16_t)(out[1] << 8 | out[2]);
    }
    return 0;
}

static error_t timepiece(const struct dev_i2c_rq_s *rq)
{
    const uint8_t *out = rq->list[0].out;

    if (rq->count == 2)
        memcpy(rq->list[1].data, world.clock + out[0], rq->list[1].size);
    else
        memcpy(world.clock + out[0], out + 1, rq->list[0].size - 1);
    return 0;
}

/* Ones come in before the null bit, and when nobody is there. */
static error_t converter(const struct dev_spi_rq_s *rq)
{
    const uint8_t *out = rq->list->out;
    uint8_t *in = rq->list->in;
    uint32_t bits = (uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | out[2], value = 0xffffff;
    unsigned width = out[0] & 4 ? 12 : 10;
    unsigned channel = bits >> (width + 2) & 7;

    ck_assert_uint_eq(rq->list->size, 3);
    ck_assert_uint_eq(bits >> (width + 6), 1); /* the start bit is the first */
    if (!(bits >> (width + 5) & 1))
        channel ^= 1; /* differential: something else than the channel alone */
    if (!world.analog_absent)
        value = (value << (width + 1)) | world.analog[channel];
    in[0] = (uint8_t)(value >> 16);
    in[1] = (uint8_t)(value >> 8);
    in[2] = (uint8_t)value;
    return 0;
}

static error_t perform(struct dev_request_s *base, bool spi)
{
    struct dev_i2c_rq_s *rq = spi ? NULL : dev_i2c_rq_cast(base);
    error_t err = world.fail;

    world.requests++;
    world.priority = base->kr.priority;
    world.fail = 0;
    if (world.gone)
        return -ENODEV;
    if (err)
        return err;
    if (spi)
        return converter(dev_spi_rq_cast(base));
    for (unsigned i = 0; i < rq->count; i++) {
        world.longest = rq->list[i].size > world.longest ? rq->list[i].size : world.longest;
        if (rq->list[i].size > world.size_max)
            return -EMSGSIZE;
    }
    if (rq->addr >> 3 == 0x50 >> 3)
        return eeprom(rq);
    return rq->addr == 0x48 ? thermometer(rq) : rq->addr == 0x68 ? timepiece(rq) : -EHOSTUNREACH;
}

/* --- the bus --- */

/* With the lock, which is released for the handler. */
static void bus_done(struct bus_s *bus, error_t err)
{
    struct dev_request_s *rq = bus->active;

    bus->active = NULL;
    rq->rq_state = DEV_RQ_IDLE;
    rq->error = (int16_t)err;
    pthread_mutex_unlock(&bus->lock);
    dev_request_done(rq);
    pthread_mutex_lock(&bus->lock);
}

static void bus_take(struct bus_s *bus)
{
    bus->active = dev_rq_pop(&bus->queue);
    bus->active->rq_state = DEV_RQ_ACTIVE;
}

/* drvuint: of the class spi. */
static void bus_perform(struct bus_s *bus)
{
    bus_done(bus, perform(bus->active, bus->active->drvuint));
}

static void *bus_main(void *arg)
{
    struct bus_s *bus = arg;

    pthread_mutex_lock(&bus->lock);
    while (!bus->stop || bus->queue.head) {
        if (bus->queue.head) {
            bus_take(bus);
            bus_perform(bus);
        } else {
            pthread_cond_wait(&bus->more, &bus->lock);
        }
    }
    pthread_mutex_unlock(&bus->lock);
    return NULL;
}

static void bus_request(struct device_s *dev, struct dev_request_s *rq, bool spi)
{
    struct bus_s *bus = device_pv(dev);

    pthread_mutex_lock(&bus->lock);
    rq->drvuint = spi;
    rq->rq_state = DEV_RQ_QUEUED;
    dev_rq_pushback(&bus->queue, rq);
    if (bus->over || world.mode == BUS_NESTED) {
        bus_take(bus);
        if (bus->over)
            bus_done(bus, bus->over);
        else
            bus_perform(bus);
    }
    if (world.at_work && !bus->active)
        bus_take(bus);
    pthread_cond_signal(&bus->more);
    pthread_mutex_unlock(&bus->lock);
}

static error_t bus_cancel(struct device_s *dev, struct dev_request_s *rq)
{
    struct bus_s *bus = device_pv(dev);
    error_t err = -EBUSY;

    pthread_mutex_lock(&bus->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dev_rq_remove(&bus->queue, rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    }
    pthread_mutex_unlock(&bus->lock);
    return err;
}

static DEV_I2C_REQUEST(bus_i2c_request)
{
    bus_request(acc->dev, &rq->base, false);
}

static DEV_I2C_CANCEL(bus_i2c_cancel)
{
    return bus_cancel(acc->dev, &rq->base);
}

static DEV_I2C_INFO(bus_i2c_info)
{
    (void)acc;
    *info = (struct dev_i2c_info_s){.name = "mock",
                                    .cap = DEV_I2C_CAP_PLAIN | DEV_I2C_CAP_VIRTUAL,
                                    .transfers_max = 42,
                                    .size_max = world.size_max};
    return 0;
}

static DEV_SPI_REQUEST(bus_spi_request)
{
    bus_request(acc->dev, &rq->base, true);
}

static DEV_SPI_CANCEL(bus_spi_cancel)
{
    return bus_cancel(acc->dev, &rq->base);
}

static error_t bus_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct bus_s *bus = device_pv(dev);

    (void)spec;
    bus->dev = dev;
    pthread_mutex_init(&bus->lock, NULL);
    pthread_cond_init(&bus->more, NULL);
    dev_rq_queue_init(&bus->queue);
    world.bus = bus;
    if (world.mode == BUS_THREAD)
        bus->thread = kt_thread(bus_main, bus);
    return 0;
}

/* As a bus of the kernel: what it is at ends with its result first. */
static void bus_close(struct device_s *dev)
{
    struct bus_s *bus = device_pv(dev);

    pthread_mutex_lock(&bus->lock);
    bus->over = -ECANCELED;
    bus->stop = true;
    pthread_cond_signal(&bus->more);
    pthread_mutex_unlock(&bus->lock);
    if (world.mode == BUS_THREAD)
        kt_join(bus->thread);
    pthread_mutex_lock(&bus->lock);
    if (bus->active)
        bus_perform(bus);
    while (bus->queue.head) {
        bus_take(bus);
        bus_done(bus, -ECANCELED);
    }
    pthread_mutex_unlock(&bus->lock);
    world.bus = NULL;
}

static const struct driver_i2c_s bus_i2c = DRIVER_I2C_METHODS(bus_i2c);
static const struct driver_spi_s bus_spi = {DRIVER_CLASS_SPI, bus_spi_request, bus_spi_cancel, NULL,
                                            NULL};

static const struct driver_s bus_driver = {
    .name = "mock-bus",
    .desc = "of this test",
    .pv_size = sizeof(struct bus_s),
    .f_open = bus_open,
    .f_close = bus_close,
    .classes = {(const struct driver_class_table_s *)&bus_i2c,
                (const struct driver_class_table_s *)&bus_spi},
};

static inline unsigned bus_refused(void)
{
    unsigned refused;

    pthread_mutex_lock(&world.bus->lock);
    refused = world.refused;
    pthread_mutex_unlock(&world.bus->lock);
    return refused;
}

/* --- BUS_HELD --- */

/* A request waits below. */
static inline bool bus_queued(void)
{
    bool queued;

    pthread_mutex_lock(&world.bus->lock);
    queued = world.bus->queue.head != NULL;
    pthread_mutex_unlock(&world.bus->lock);
    return queued;
}

static inline void bus_start(void)
{
    pthread_mutex_lock(&world.bus->lock);
    bus_take(world.bus);
    pthread_mutex_unlock(&world.bus->lock);
}

/* On whatever thread this is. The handler may close the device. */
static inline void bus_end(void)
{
    struct bus_s *bus = world.bus;
    struct device_s *dev = device_hold(bus->dev);

    pthread_mutex_lock(&bus->lock);
    bus_perform(bus);
    pthread_mutex_unlock(&bus->lock);
    device_release(dev);
}

#endif
