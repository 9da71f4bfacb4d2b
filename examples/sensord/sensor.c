/* SPDX-License-Identifier: MIT */
/*
 * The thermometer: a value of the valio class each period, counted from the first one, so that
 * readings do not drift. A period without a good one is a failure, whatever the reason is: an
 * error, a device that is away, a request that has not ended. After config.failures of them in a
 * row the temperature is not known any more.
 */
#include <errno.h>

#include "sensord.h"

#define TIMEOUT KROUTINE_SEC(1) /* of a reading that waits for its turn on the bus */

struct reading_s reading;

static struct device_valio_s acc = DEVICE_ACCESSOR_INIT;
static struct dev_valio_rq_s rq;
static struct dev_timer_rq_s tick;
static bool busy;
static uint64_t asked;    /* ns */
static uint64_t progress; /* ns: the last reading ended, or there was nothing to read from */
static unsigned failures; /* in a row */
static bool unknown;      /* that was said */

/* --- what a reading is worth --- */

static void failed(void)
{
    reading.bad++;
    if (++failures < sensord.config.failures)
        return;
    if (!unknown)
        say("sensor: no temperature, the fan runs at full speed");
    unknown = true;
    reading.valid = false;
    control_update();
}

static KROUTINE_EXEC(on_reading)
{
    (void)kr, (void)flags;
    busy = false;
    progress = now();
    if (sensord.stopping || rq.error == -ECANCELED)
        return;
    if (rq.error != 0) {
        failed();
        part_failed(&sensor, rq.error, is_gone(rq.error));
    } else {
        if (unknown)
            sensor.failing = true; /* also when no request has: the end of that is to be said */
        unknown = false;
        part_works(&sensor);
        reading.mc = rq.temperature_mc;
        reading.latency = progress - asked;
        reading.valid = true;
        reading.good++;
        failures = 0;
        control_update();
    }
    console_reading();
    notify_status();
}

/* --- the clock --- */

static void read_next(void)
{
    if (busy || !acc.dev) {
        failed();
        if (!acc.dev)
            progress = now();
        console_reading();
        notify_status();
        return;
    }
    busy = true;
    asked = now();
    rq.type = DEV_VALIO_READ;
    rq.attribute = DEV_VALIO_TEMPERATURE;
    rq.channel = 0;
    DEVICE_OP(&acc, request, &rq);
}

static KROUTINE_EXEC(on_tick)
{
    error_t error;

    (void)kr, (void)flags;
    if (sensord.stopping || tick.error != 0)
        return;
    read_next();
    tick.delay = 0;
    do /* -ETIMEDOUT: this one is over already, as the process was stopped for instance */
        tick.deadline += sensord.config.period;
    while ((error = DEVICE_OP(&sensord.timer, request, &tick)) == -ETIMEDOUT);
    if (error != 0)
        quit();
}

error_t sensor_start(void)
{
    dev_timer_rq_init(&tick, on_tick);
    tick.deadline = progress = now();
    tick.delay = 1; /* the first reading at once */
    return DEVICE_OP(&sensord.timer, request, &tick);
}

bool sensor_alive(uint64_t limit)
{
    return now() - progress < sensord.config.period + limit;
}

/* --- the device --- */

static error_t sensor_open(void)
{
    error_t error =
        device_get_accessor_by_path(&acc.base, sensord.tree, sensor.spec, DRIVER_CLASS_VALIO);

    if (error == 0 && !busy) {
        dev_valio_rq_init(&rq, on_reading);
        dev_request_set_timeout(&rq.base, TIMEOUT);
    }
    return error;
}

static void sensor_close(void)
{
    device_put_accessor(&acc.base);
}

struct part_s sensor = {.name = "sensor",
                        .spec = sensord.config.temperature,
                        .open = sensor_open,
                        .close = sensor_close};
