/* SPDX-License-Identifier: MIT */
/*
 * ds1307: clocks DS1307 and DS1338 on an I2C bus, as devices of the class valio: DEV_VALIO_CLOCK,
 * which is read and set, from 2000-01-01 to 2099-12-31, UTC.
 *
 *     ds1307:i2c:1?chip=ds1338
 *
 * Keys: addr, 0x68; chip, ds1307. Other keys are for the bus.
 *
 * Source: Maxim DS1307, 19-5245: table 2 "Timekeeper Registers" (BCD; bit 7 of the seconds, CH, is
 * 1 while the oscillator is stopped; bit 6 of the hours, 1 for 12 hours, bit 5 is PM then), "I2C
 * Data Bus" (the time is copied to the registers that are read at each start: so all are read at
 * once; a write of the seconds restarts the divider). DS1338, 19-5147: bit 5 of the control
 * register, OSF, says that the oscillator had stopped, until it is cleared.
 *
 *     START ─┬─▶ READ: register 0, repeated start, 8 bytes ──▶ over
 *            └─▶ WRITE: 0 and 7 bytes ─┬─▶ over
 *                                      └─ DS1338 ──▶ FLAG: control is read ──▶ CLEAR: written ──▶
 * over
 */
#include <errno.h>

#include "chips.h"

enum ds1307_state_e { START = 0, READ, WRITE, FLAG, CLEAR };

enum ds1307_register_e { SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CONTROL, REGISTERS };

#define HALTED  0x80 /* of SECONDS */
#define TWELVE  0x40 /* of HOURS */
#define PM      0x20
#define STOPPED 0x20 /* of CONTROL, DS1338 */

#define FIRST   INT64_C(946684800)  /* 2000-01-01 00:00:00, a Saturday */
#define LAST    INT64_C(4102444799) /* 2099-12-31 23:59:59 */
#define DAYS4   1461                /* of four years: 2000 to 2096 are leap years */

struct ds1307_s {
    struct dev_layer_s *layer;
    struct device_i2c_s bus;
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[2];
    uint8_t data[1 + REGISTERS]; /* register number, registers */
    bool has_flag;
};

/* Before each month; of a leap year. */
static const uint16_t before[2][13] = {
    {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
    {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366},
};

static uint8_t to_bcd(unsigned value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* -1: not BCD, or not from `low` to `high`. */
static int from_bcd(unsigned bcd, int low, int high)
{
    int value = (int)((bcd >> 4) * 10 + (bcd & 15));

    return (bcd & 15) > 9 || value < low || value > high ? -1 : value;
}

/* 12 is the first hour of each half of the day. */
static int hours_of(uint8_t reg)
{
    int hours = reg & TWELVE ? from_bcd(reg & 0x1f, 1, 12) : from_bcd(reg & 0x3f, 0, 23);

    return hours < 0 || !(reg & TWELVE) ? hours : hours % 12 + (reg & PM ? 12 : 0);
}

static error_t decode(int64_t *clock, const uint8_t *reg)
{
    int seconds = from_bcd(reg[SECONDS] & 0x7f, 0, 59), minutes = from_bcd(reg[MINUTES], 0, 59);
    int hours = hours_of(reg[HOURS]), day = from_bcd(reg[DAY], 1, 31);
    int month = from_bcd(reg[MONTH], 1, 12), year = from_bcd(reg[YEAR], 0, 99);
    const uint16_t *months = before[year % 4 == 0];
    int days;

    if ((seconds | minutes | hours | day | month | year) < 0)
        return -EBADMSG;
    days = months[month - 1] + day - 1;
    if (days >= months[month])
        return -EBADMSG;
    days += (year * DAYS4 + 3) / 4;
    *clock = FIRST + INT64_C(86400) * days + hours * 3600 + minutes * 60 + seconds;
    return 0;
}

static void encode(uint8_t *reg, int64_t clock)
{
    unsigned days = (unsigned)((clock - FIRST) / 86400), rest = (unsigned)((clock - FIRST) % 86400);
    unsigned year = days * 4 / DAYS4, of_year = days - (year * DAYS4 + 3) / 4, month = 0;
    const uint16_t *months = before[year % 4 == 0];

    while (of_year >= months[month + 1])
        month++;
    reg[SECONDS] = to_bcd(rest % 60); /* and it runs */
    reg[MINUTES] = to_bcd(rest / 60 % 60);
    reg[HOURS] = to_bcd(rest / 3600);
    reg[WEEKDAY] = (uint8_t)((days + 6) % 7 + 1); /* 1: Sunday */
    reg[DAY] = to_bcd(of_year - months[month] + 1);
    reg[MONTH] = to_bcd(month + 1);
    reg[YEAR] = to_bcd(year);
}

static int transfer(struct ds1307_s *chip, struct dev_valio_rq_s *rq, enum ds1307_state_e state)
{
    bool write = state == WRITE || state == CLEAR;
    unsigned first = state == READ || state == WRITE ? SECONDS : CONTROL;
    unsigned size = state == READ ? REGISTERS : state == WRITE ? CONTROL : 1;

    chip->data[0] = (uint8_t)first;
    dev_i2c_rq_set_list(&chip->rq, chip->list, chip->data, write ? 1 + size : 1, chip->data + 1,
                        write ? 0 : size);
    rq->rq_progress = state;
    return DEV_LAYER_SUBMIT;
}

static int start(struct ds1307_s *chip, struct dev_valio_rq_s *rq)
{
    if (rq->attribute != DEV_VALIO_CLOCK)
        return -ENOTSUP;
    if (rq->channel)
        return -EINVAL;
    if (rq->type == DEV_VALIO_READ)
        return transfer(chip, rq, READ);
    if (rq->clock_s < FIRST || rq->clock_s > LAST)
        return -ERANGE;
    encode(chip->data + 1, rq->clock_s);
    return transfer(chip, rq, WRITE);
}

static int ds1307_step(struct device_s *dev, struct dev_request_s *base, error_t err)
{
    struct ds1307_s *chip = device_pv(dev);
    struct dev_valio_rq_s *rq = dev_valio_rq_cast(base);
    uint8_t *reg = chip->data + 1;

    if (err)
        return err;
    switch ((enum ds1307_state_e)rq->rq_progress) {
    case START:
        return start(chip, rq);
    case READ:
        if (reg[SECONDS] & HALTED || (chip->has_flag && reg[CONTROL] & STOPPED))
            return -EBADMSG;
        return decode(&rq->clock_s, reg);
    case WRITE:
        return chip->has_flag ? transfer(chip, rq, FLAG) : 0;
    case FLAG:
        reg[0] &= (uint8_t)~STOPPED;
        return transfer(chip, rq, CLEAR);
    default:
        return 0;
    }
}

DEV_LAYER_OPS(valio, ds1307);

static DEV_VALIO_INFO(ds1307_info)
{
    (void)acc;
    *info = (struct dev_valio_info_s){.name = "ds1307",
                                      .readable = 1u << DEV_VALIO_CLOCK,
                                      .writable = 1u << DEV_VALIO_CLOCK,
                                      .channels = 1};
    return 0;
}

static const struct driver_valio_s ds1307_valio = DRIVER_VALIO_METHODS(ds1307);

static error_t ds1307_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct ds1307_s *chip = device_pv(dev);

    chip->has_flag = device_spec_uint(spec, "chip", 0);
    chip->rq.addr = (uint16_t)device_spec_uint(spec, "addr", 0x68);
    return dev_layer_open(dev, spec, ds1307_step, &chip->bus.base, DRIVER_CLASS_I2C,
                          &chip->rq.base);
}

static const struct driver_param_s ds1307_params[] = {
    {"addr", "of the chip on its bus; 0x68", NULL, 0x08, 0x77, DRIVER_PARAM_UINT},
    {"chip", "which one; ds1307", "ds1307|ds1338", 0, 0, DRIVER_PARAM_ENUM},
    {.key = NULL},
};

const struct driver_s ds1307_driver = {
    .name = "ds1307",
    .desc = "clock DS1307 or DS1338 over an i2c device",
    .params = ds1307_params,
    .pv_size = sizeof(struct ds1307_s),
    .f_open = ds1307_open,
    DEV_LAYER_LIFE,
    .classes = {(const struct driver_class_table_s *)&ds1307_valio},
};
