/* SPDX-License-Identifier: MIT */
/* krctl i2c set: writes a register of a chip. Arguments are those of i2cset(8). */
#include "bus.h"
#include "i2c.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct i2c_s set = {.command = &krctl_i2c_set};
static int reg;
static enum i2c_mode_e mode;
static uint8_t data[1 + I2C_REGISTERS]; /* as it is sent after the register */
static unsigned size;
static uint64_t mask;
static bool has_mask, read_back;

static int take_mask(const struct krctl_command_s *command, void *to, const char *name)
{
    has_mask = true;
    return options_parse(optarg, 0xffff, to)
               ? KRCTL_OK
               : krctl_usage(command, "--%s is a number such as 0x0f, not '%s'", name, optarg);
}

/* What the mask leaves out stays as the chip has it. */
static error_t apply_mask(struct i2c_s *i)
{
    uint8_t now[2];
    error_t err = i2c_read(i, reg, now, size);

    for (unsigned n = 0; err == 0 && n < size; n++) {
        uint8_t part = (uint8_t)(mask >> 8 * n);

        data[n] = (uint8_t)((now[n] & ~part) | (data[n] & part));
    }
    return err;
}

static uint64_t number(const uint8_t *bytes)
{
    return bytes[0] | (size > 1 ? (uint64_t)bytes[1] << 8 : 0);
}

static int compare(struct i2c_s *i)
{
    uint8_t now[sizeof(data)];
    int digits = mode == I2C_WORD ? 4 : 2;

    /* An EEPROM does not answer while it writes, some milliseconds. */
    i->retries = UINT8_MAX;
    error_t err = i2c_read(i, reg, now, size);
    if (err != 0)
        return i2c_fail(i, err);
    if (memcmp(now, data, size) != 0 && size > 2)
        return krctl_fail("what register 0x%02x has is not what was written", (unsigned)reg);
    if (memcmp(now, data, size) != 0)
        return krctl_fail("wrote 0x%0*" PRIx64 ", read back 0x%0*" PRIx64, digits, number(data),
                          digits, number(now));
    if (size > 2)
        bytes_printf(&i->session.out.next, "%u bytes written, readback matched\n", size);
    else
        bytes_printf(&i->session.out.next, "Value 0x%0*" PRIx64 " written, readback matched\n",
                     digits, number(data));
    return KRCTL_OK;
}

static int body(struct i2c_s *i)
{
    error_t err = has_mask ? apply_mask(i) : 0;

    if (err == 0)
        err = i2c_write(i, reg, data, size);
    if (err != 0)
        return i2c_fail(i, err);
    return read_back ? compare(i) : KRCTL_OK;
}

/* --- the command line --- */

static int add(uint64_t max, const char *word)
{
    uint64_t value;

    if (size + 2 > sizeof(data))
        return krctl_usage(set.command, "more than %d values", I2C_REGISTERS);
    if (!options_parse(word, max, &value))
        return krctl_usage(set.command, "VALUE: '%s' is no number from 0 to 0x%" PRIx64, word, max);
    data[size++] = (uint8_t)value;
    if (mode == I2C_WORD)
        data[size++] = (uint8_t)(value >> 8);
    return KRCTL_OK;
}

static int count_of(int values)
{
    if (mode == I2C_CURRENT && values > 0)
        return krctl_usage(set.command, "MODE c has no VALUE");
    if (mode != I2C_CURRENT && values == 0)
        return krctl_usage(set.command, "VALUE is missing");
    if (values > 1 && mode != I2C_BLOCK && mode != I2C_SMBUS_BLOCK)
        return krctl_usage(set.command, "several values need MODE i or s");
    if (values > I2C_BLOCK_MAX && mode == I2C_SMBUS_BLOCK)
        return krctl_usage(set.command, "a block has at most %d bytes", I2C_BLOCK_MAX);
    if (has_mask && mode != I2C_BYTE && mode != I2C_WORD)
        return krctl_usage(set.command, "--mask is for MODE b and w");
    if (read_back && mode == I2C_CURRENT)
        return krctl_usage(set.command, "--read-back has nothing to compare with MODE c");
    return KRCTL_OK;
}

/* REG [VALUE]... [MODE] */
static int operands(int argc, char **argv)
{
    uint64_t value;
    int status = options_number(set.command, argc, argv, "REG", set.wide ? 0xffff : 0xff, &value);

    if (status != KRCTL_OK)
        return status;
    reg = (int)value;
    int values = argc - optind;
    mode = values > 0 ? I2C_BYTE : I2C_CURRENT;
    if (values > 0 && i2c_mode(argv[argc - 1], &mode))
        values--;
    status = count_of(values);
    if (mode == I2C_SMBUS_BLOCK)
        data[size++] = (uint8_t)values;
    for (int n = 0; n < values && status == KRCTL_OK; n++)
        status = add(mode == I2C_WORD ? 0xffff : 0xff, argv[optind + n]);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        I2C_CHIP_OPTIONS(&set),
        {.name = "mask", .letter = 'm', .kind = OPTION_TAKE, .to = &mask, .take = take_mask},
        {.name = "read-back", .letter = 'r', .kind = OPTION_FLAG, .to = &read_back},
        {.name = "wide", .letter = 'W', .kind = OPTION_FLAG, .to = &set.wide},
        {0},
    };
    bool done;
    int status = options_take(set.command, table, argc, argv, &done);

    if (done)
        return status;
    status = i2c_bus_operand(&set, argc, argv);
    if (status == KRCTL_OK)
        status = i2c_chip_operand(&set, argc, argv);
    if (status == KRCTL_OK)
        status = operands(argc, argv);
    return status == KRCTL_OK ? i2c_perform(&set, body) : status;
}

const struct krctl_command_s krctl_i2c_set = {
    .name = "i2c set",
    .summary = "writes a register of a chip",
    .help =
        "usage: krctl i2c set BUS CHIP REG [VALUE]... [MODE] [OPTION]...\n"
        "\n"
        "Writes VALUE to register REG of a chip. Nothing is asked. MODE is\n"
        "\n"
        "  b  a byte (default)             i  bytes, up to 256\n"
        "  w  a word, the low byte first   s  a block: a count, and so many bytes\n"
        "  c  the register alone (default without a VALUE)\n"
        "\n"
        "  -m, --mask BITS        only these bits of VALUE; the others stay as they are\n"
        "  -r, --read-back        read it again, and compare\n"
        "  -W, --wide             REG has two bytes, the high one is sent first\n" I2C_CHIP_HELP,
    .run = run,
};
