/* SPDX-License-Identifier: MIT */
/*
 * Chips of sim-i2c, from their data sheets: 24C32 (Microchip DS21072: pages of 32 bytes, 5 ms a
 * write), 24C02 (DS21709: pages of 8), TMP105 (TI SBOS318), DS1307 (Maxim 19-5304).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim_i2c.h"

/* --- TMP105: four registers of two bytes, but for the second, which has one --- */

static void tmp105_reset(struct kr_sim_i2c_chip_s *chip)
{
    static const uint8_t values[8] = {0x19, 0x00, 0x00, 0x00, 0x4b, 0x00, 0x50, 0x00};

    memcpy(chip->regs, values, sizeof(values)); /* 25 °C, limits of 75 and 80 °C */
}

static void tmp105_wrote(struct kr_sim_i2c_chip_s *chip, uint16_t at, uint8_t old)
{
    if (at < 2) /* the temperature */
        chip->regs[at] = old;
    else if (at < 4)
        chip->regs[2] = chip->regs[3] = chip->regs[at];
}

/* --- DS1307: a clock from 2000 to 2099 in seven registers, a control register, memory --- */

#define HALT   0x80 /* register 0 */
#define TWELVE 0x40 /* register 2 */
#define PM     0x20
#define DAY    86400

static uint8_t bcd(unsigned n)
{
    return (uint8_t)(n / 10 << 4 | n % 10);
}

static unsigned from_bcd(unsigned n)
{
    return (n >> 4) * 10 + (n & 15);
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[(month - 1) % 12] + (month == 2 && year % 4 == 0);
}

static unsigned read_hour(uint8_t reg)
{
    if (!(reg & TWELVE))
        return from_bcd(reg & 0x3f);
    return from_bcd(reg & 0x1f) % 12 + (reg & PM ? 12 : 0);
}

static uint8_t hour_register(unsigned hour, uint8_t old)
{
    if (!(old & TWELVE))
        return bcd(hour);
    return (uint8_t)(bcd((hour + 11) % 12 + 1) | TWELVE | (hour >= 12 ? PM : 0));
}

/* `base` are the seconds since 2000-01-01 that the registers said at `base_at`. */
static void ds1307_stop(struct kr_sim_i2c_chip_s *chip, uint64_t now)
{
    const uint8_t *r = chip->regs;
    uint64_t days = 0;

    for (unsigned year = 0; year < from_bcd(r[6]); year++)
        days += year % 4 ? 365 : 366;
    for (unsigned month = 1; month < from_bcd(r[5] & 0x1f); month++)
        days += days_of(from_bcd(r[6]), month);
    days += from_bcd(r[4] & 0x3f) - 1;
    chip->base =
        days * DAY + read_hour(r[2]) * 3600 + from_bcd(r[1] & 0x7f) * 60 + from_bcd(r[0] & 0x7f);
    chip->base_at = now;
}

static void ds1307_start(struct kr_sim_i2c_chip_s *chip, uint64_t now)
{
    uint64_t seconds = chip->base + (now - chip->base_at) / KROUTINE_SEC(1);
    uint64_t days = seconds / DAY;
    unsigned year = 0, month = 1, rest = (unsigned)(seconds % DAY);
    uint8_t *r = chip->regs;

    if (r[0] & HALT)
        return;
    r[3] = (uint8_t)((r[3] + days - chip->base / DAY - 1) % 7 + 1);
    chip->base_at += (seconds - chip->base) * KROUTINE_SEC(1);
    chip->base = seconds;
    for (; days >= (year % 4 ? 365u : 366u); year = (year + 1) % 100)
        days -= year % 4 ? 365 : 366;
    for (; days >= days_of(year, month); month++)
        days -= days_of(year, month);
    r[6] = bcd(year);
    r[5] = bcd(month);
    r[4] = bcd((unsigned)days + 1);
    r[2] = hour_register(rest / 3600, r[2]);
    r[1] = bcd(rest / 60 % 60);
    r[0] = bcd(rest % 60);
}

static void ds1307_reset(struct kr_sim_i2c_chip_s *chip)
{
    static const uint8_t values[8] = {HALT, 0, 0, 1, 1, 1, 0, 3};

    memcpy(chip->regs, values, sizeof(values));
}

/* --- models --- */

static const struct kr_sim_i2c_model_s models[] = {
    {.name = "24c32",
     .size = 4096,
     .pointer = 2,
     .stride = 1,
     .read_wrap = 4096,
     .write_wrap = 32,
     .busy_us = 5000,
     .fill = 0xff},
    {.name = "24c02",
     .size = 256,
     .pointer = 1,
     .stride = 1,
     .read_wrap = 256,
     .write_wrap = 8,
     .busy_us = 5000,
     .fill = 0xff},
    {.name = "tmp105",
     .size = 8,
     .pointer = 1,
     .stride = 2,
     .read_wrap = 2,
     .write_wrap = 2,
     .reset = tmp105_reset,
     .wrote = tmp105_wrote},
    {.name = "ds1307",
     .size = 64,
     .pointer = 1,
     .stride = 1,
     .read_wrap = 64,
     .write_wrap = 64,
     .reset = ds1307_reset,
     .start = ds1307_start,
     .stop = ds1307_stop},
};

/* --- on the bus --- */

bool kr_sim_i2c_start(struct kr_sim_i2c_chip_s *chip, uint64_t now)
{
    if (!chip || !chip->model || now < chip->busy_until)
        return false;
    chip->got = 0;
    if (chip->model->start)
        chip->model->start(chip, now);
    return true;
}

static uint16_t next_in(uint16_t at, uint16_t wrap)
{
    return (uint16_t)((at & ~(wrap - 1)) | ((at + 1) & (wrap - 1)));
}

void kr_sim_i2c_write(struct kr_sim_i2c_chip_s *chip, uint8_t byte)
{
    const struct kr_sim_i2c_model_s *m = chip->model;
    uint8_t old;

    if (chip->got < m->pointer) {
        chip->at = (uint16_t)(chip->got++ ? chip->at << 8 | byte : byte);
        if (chip->got == m->pointer)
            chip->at = (uint16_t)((chip->at * m->stride) & (m->size - 1));
        return;
    }
    old = chip->regs[chip->at];
    chip->regs[chip->at] = byte;
    if (m->wrote)
        m->wrote(chip, chip->at, old);
    chip->written = true;
    chip->at = next_in(chip->at, m->write_wrap);
}

uint8_t kr_sim_i2c_read(struct kr_sim_i2c_chip_s *chip)
{
    uint8_t byte = chip->regs[chip->at];

    chip->at = next_in(chip->at, chip->model->read_wrap);
    return byte;
}

void kr_sim_i2c_stop(struct kr_sim_i2c_chip_s *chip, uint64_t now)
{
    if (!chip->written)
        return;
    chip->written = false;
    chip->busy_until = now + KROUTINE_USEC(chip->model->busy_us);
    if (chip->model->stop)
        chip->model->stop(chip, now);
}

/* --- lists of chips --- */

static error_t add(struct kr_sim_i2c_chip_s **list, const struct kr_sim_i2c_model_s *model,
                   uint16_t addr)
{
    size_t size = model ? model->size : 0;
    struct kr_sim_i2c_chip_s *chip = calloc(1, sizeof(*chip) + size);

    if (!chip)
        return device_error(-ENOMEM, "out of memory");
    chip->model = model;
    chip->addr = addr;
    if (model)
        memset(chip->regs, model->fill, size);
    if (model && model->reset)
        model->reset(chip);
    chip->next = *list;
    *list = chip;
    return 0;
}

/* One of the list, up to `end`. */
static error_t add_text(struct kr_sim_i2c_chip_s **list, const char *text, const char *end)
{
    size_t length = strcspn(text, "@,");
    const struct kr_sim_i2c_model_s *model = NULL;
    unsigned long addr = 0;
    char *stop = NULL;

    if (text[length] == '@')
        addr = strtoul(text + length + 1, &stop, 0);
    if (stop != end || addr == 0 || addr > 0x3ff)
        return device_error(-EINVAL, "chips=…%s: a chip is MODEL@ADDRESS, as in 24c32@0x50", text);
    for (const struct kr_sim_i2c_chip_s *chip = *list; chip; chip = chip->next) {
        if (chip->addr == addr)
            return device_error(-EINVAL, "chips: two have the address 0x%02lx", addr);
    }
    for (unsigned i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (strlen(models[i].name) == length && memcmp(models[i].name, text, length) == 0)
            model = &models[i];
    }
    if (!model && (length != 4 || memcmp(text, "held", 4) != 0))
        return device_error(-EINVAL,
                            "chips: no chip is called '%.*s' (24c32, 24c02, tmp105, ds1307; held)",
                            (int)length, text);
    return add(list, model, (uint16_t)addr);
}

error_t kr_sim_i2c_chips(struct kr_sim_i2c_chip_s **list, const char *text)
{
    error_t err = 0;

    *list = NULL;
    while (!err && *text) {
        const char *end = text + strcspn(text, ",");

        err = add_text(list, text, end);
        text = *end ? end + 1 : end;
    }
    if (err) {
        kr_sim_i2c_chips_free(*list);
        *list = NULL;
    }
    return err;
}

void kr_sim_i2c_chips_free(struct kr_sim_i2c_chip_s *list)
{
    while (list) {
        struct kr_sim_i2c_chip_s *next = list->next;

        free(list);
        list = next;
    }
}
