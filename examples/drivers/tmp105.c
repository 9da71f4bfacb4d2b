/* SPDX-License-Identifier: MIT */
/*
 * tmp105: thermometers TMP105, TMP75, LM75 and their kin on an I2C bus, as devices of the class
 * valio: DEV_VALIO_TEMPERATURE, and DEV_VALIO_TEMPERATURE_LIMIT, of which channel 0 is where the
 * thermostat switches on, and 1 where it switches off again.
 *
 *     tmp105:i2c:1?addr=0x48&resolution=12
 *
 * Keys: addr, 0x48; resolution, 9 to 12 bits: without it the chip stays as it is; oneshot=yes: the
 * chip sleeps, and is woken up for each reading. A plain LM75 has 9 bits, and knows neither key.
 *
 * Source: Texas Instruments TMP105, SBOS648: "Pointer Register", "Temperature Register" (two's
 * complement, left-justified: 1/256 degree each, whatever the resolution), "Configuration
 * Register", "One-Shot", "Converter Resolution", "High- and Low-Limit Registers".
 *
 *     START ─┬─ configuration is due ──▶ CONFIG: it is read ──▶ CONFIGURE: and written ─┐
 *            │                                                  (oneshot: a pause)      │
 *            └─▶ READ: pointer, repeated start, two bytes ──▶ over ◀────────────────────┤
 *            └─▶ WRITE: pointer, two bytes ──▶ over ◀───────────────────────────────────┘
 */
#include <errno.h>

#include "chips.h"

enum tmp105_state_e { START = 0, CONFIG, CONFIGURE, READ, WRITE };

enum tmp105_register_e { TEMPERATURE = 0, CONFIGURATION = 1, LOW = 2, HIGH = 3 };

/* Configuration register. */
#define SHUTDOWN         0x01
#define RESOLUTION(bits) ((bits)-9u) << 5
#define RESOLUTION_MASK  0x60
#define ONE_SHOT         0x80

/* A conversion with 9 bits takes at most 37.5 ms, and each bit doubles it. */
#define CONVERSION(bits) (KROUTINE_USEC(37500) << ((bits)-9))

struct tmp105_s {
    struct dev_layer_s *layer;
    struct device_i2c_s bus;
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[2];
    uint8_t data[3];     /* pointer, and a register */
    unsigned resolution; /* 0: as it is */
    bool oneshot;
    bool configured;
};

static int transfer(struct tmp105_s *chip, enum tmp105_register_e reg, unsigned size, bool write)
{
    chip->data[0] = (uint8_t)reg;
    dev_i2c_rq_set_list(&chip->rq, chip->list, chip->data, write ? 1 + size : 1, chip->data + 1,
                        write ? 0 : size);
    return DEV_LAYER_SUBMIT;
}

static int read_or_write(struct tmp105_s *chip, struct dev_valio_rq_s *rq)
{
    enum tmp105_register_e reg = rq->attribute == DEV_VALIO_TEMPERATURE ? TEMPERATURE
                                 : rq->channel == 0                     ? HIGH
                                                                        : LOW;

    rq->rq_progress = rq->type == DEV_VALIO_READ ? READ : WRITE;
    if (rq->type == DEV_VALIO_WRITE) { /* to the nearest sixteenth of a degree, which is 16 */
        int32_t raw = (rq->temperature_mc * 16 + (rq->temperature_mc < 0 ? -500 : 500)) / 1000 * 16;

        chip->data[1] = (uint8_t)((uint32_t)raw >> 8);
        chip->data[2] = (uint8_t)raw;
    }
    return transfer(chip, reg, 2, rq->type == DEV_VALIO_WRITE);
}

static int start(struct tmp105_s *chip, struct dev_valio_rq_s *rq)
{
    bool limit = rq->attribute == DEV_VALIO_TEMPERATURE_LIMIT;

    if (rq->attribute != DEV_VALIO_TEMPERATURE && !limit)
        return -ENOTSUP;
    if (rq->type == DEV_VALIO_WRITE && !limit)
        return -ENOTSUP;
    if (rq->channel > (limit ? 1 : 0))
        return -EINVAL;
    if (rq->type == DEV_VALIO_WRITE &&
        (rq->temperature_mc < -128000 || rq->temperature_mc > 127937))
        return -ERANGE;
    if (limit || (!chip->oneshot && (chip->configured || !chip->resolution)))
        return read_or_write(chip, rq);
    rq->rq_progress = CONFIG;
    return transfer(chip, CONFIGURATION, 1, false);
}

/* What it was goes on, but for the keys of the spec. */
static int configure(struct tmp105_s *chip, struct dev_valio_rq_s *rq)
{
    if (chip->resolution)
        chip->data[1] =
            (uint8_t)((chip->data[1] & ~RESOLUTION_MASK) | RESOLUTION(chip->resolution));
    chip->data[1] = (uint8_t)((chip->data[1] & ~(SHUTDOWN | ONE_SHOT)) |
                              (chip->oneshot ? SHUTDOWN | ONE_SHOT : 0));
    rq->rq_progress = CONFIGURE;
    return transfer(chip, CONFIGURATION, 1, true);
}

static int tmp105_step(struct device_s *dev, struct dev_request_s *base, error_t err)
{
    struct tmp105_s *chip = device_pv(dev);
    struct dev_valio_rq_s *rq = dev_valio_rq_cast(base);

    if (err)
        return err;
    switch ((enum tmp105_state_e)rq->rq_progress) {
    case START:
        return start(chip, rq);
    case CONFIG:
        return configure(chip, rq);
    case CONFIGURE:
        chip->configured = true;
        read_or_write(chip, rq);
        if (!chip->oneshot)
            return DEV_LAYER_SUBMIT;
        return dev_layer_submit_after(dev, CONVERSION(chip->resolution ? chip->resolution : 12));
    case READ:
        rq->temperature_mc = (int16_t)(chip->data[1] << 8 | chip->data[2]) * 1000 / 256;
        return 0;
    default:
        return 0;
    }
}

DEV_LAYER_OPS(valio, tmp105);

static DEV_VALIO_INFO(tmp105_info)
{
    (void)acc;
    *info = (struct dev_valio_info_s){
        .name = "tmp105",
        .readable = 1u << DEV_VALIO_TEMPERATURE | 1u << DEV_VALIO_TEMPERATURE_LIMIT,
        .writable = 1u << DEV_VALIO_TEMPERATURE_LIMIT,
        .channels = 2,
    };
    return 0;
}

static const struct driver_valio_s tmp105_valio = DRIVER_VALIO_METHODS(tmp105);

static error_t tmp105_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct tmp105_s *chip = device_pv(dev);
    error_t err =
        dev_layer_open(dev, spec, tmp105_step, &chip->bus.base, DRIVER_CLASS_I2C, &chip->rq.base);

    chip->resolution = (unsigned)device_spec_uint(spec, "resolution", 0);
    chip->oneshot = device_spec_uint(spec, "oneshot", false);
    chip->rq.addr = (uint16_t)device_spec_uint(spec, "addr", 0x48);
    return err;
}

static const struct driver_param_s tmp105_params[] = {
    {"addr", "of the chip on its bus; 0x48", NULL, 0x08, 0x77, DRIVER_PARAM_UINT},
    {"resolution", "bits of a temperature; as it is", NULL, 9, 12, DRIVER_PARAM_UINT},
    {"oneshot", "wake the chip up for each reading; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {.key = NULL},
};

const struct driver_s tmp105_driver = {
    .name = "tmp105",
    .desc = "thermometer TMP105, LM75 or kin over an i2c device",
    .params = tmp105_params,
    .pv_size = sizeof(struct tmp105_s),
    .f_open = tmp105_open,
    DEV_LAYER_LIFE,
    .classes = {(const struct driver_class_table_s *)&tmp105_valio},
};
