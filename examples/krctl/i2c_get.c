/* SPDX-License-Identifier: MIT */
/* krctl i2c get: reads a register of a chip. Arguments and output are those of i2cget(8). */
#include "bus.h"
#include "i2c.h"

#include <errno.h>
#include <string.h>

static struct i2c_s get = {.command = &krctl_i2c_get};
static int reg = -1;
static enum i2c_mode_e mode = I2C_BYTE;
static uint64_t length = I2C_BLOCK_MAX;

/* c: the register is written, and read after a stop, as chips want it that have no restart. */
static error_t read_current(struct i2c_s *i, uint8_t *data)
{
    error_t err = reg >= 0 ? i2c_write(i, reg, NULL, 0) : 0;

    return err == 0 ? i2c_read(i, -1, data, 1) : err;
}

/* s: the chip says how many there are. All that may be are read at once, since no list of transfers
   can depend on a byte of its own. */
static error_t read_counted(struct i2c_s *i, uint8_t *data)
{
    uint8_t bytes[1 + I2C_BLOCK_MAX];
    error_t err = i2c_read(i, reg, bytes, sizeof(bytes));

    if (err != 0)
        return err;
    if (bytes[0] == 0 || bytes[0] > I2C_BLOCK_MAX)
        return -EPROTO;
    length = bytes[0];
    memcpy(data, bytes + 1, (size_t)length);
    return 0;
}

static error_t read_mode(struct i2c_s *i, uint8_t *data)
{
    switch (mode) {
    case I2C_WORD:
        return i2c_read(i, reg, data, 2);
    case I2C_CURRENT:
        return read_current(i, data);
    case I2C_SMBUS_BLOCK:
        return read_counted(i, data);
    case I2C_BLOCK:
        return i2c_read(i, reg, data, (unsigned)length);
    default:
        return i2c_read(i, reg, data, 1);
    }
}

static int print(struct i2c_s *i)
{
    struct bytes_s *out = &i->session.out.next;
    uint8_t data[I2C_REGISTERS];
    error_t err = read_mode(i, data);

    if (err == -EPROTO)
        return krctl_fail("register 0x%02x does not begin with a count of 1 to 32", (unsigned)reg);
    if (err != 0)
        return i2c_fail(i, err);
    if (mode == I2C_WORD) {
        bytes_printf(out, "0x%02x%02x\n", data[1], data[0]);
    } else if (mode == I2C_BLOCK || mode == I2C_SMBUS_BLOCK) {
        for (uint64_t n = 0; n < length; n++)
            bytes_printf(out, "%s0x%02x", n > 0 ? " " : "", data[n]);
        bytes_printf(out, "\n");
    } else {
        bytes_printf(out, "0x%02x\n", data[0]);
    }
    return KRCTL_OK;
}

/* [REG [MODE [LENGTH]]] */
static int operands(int argc, char **argv)
{
    uint64_t value;
    int status;

    if (optind == argc)
        return KRCTL_OK;
    status = options_number(get.command, argc, argv, "REG", get.wide ? 0xffff : 0xff, &value);
    if (status != KRCTL_OK)
        return status;
    reg = (int)value;
    if (optind == argc)
        return KRCTL_OK;
    const char *word = krctl_operand(get.command, argc, argv, "MODE", &status);
    if (word == NULL)
        return status;
    if (!i2c_mode(word, &mode))
        return krctl_usage(get.command, "MODE is b, w, c, s or i, not '%s'", word);
    if (optind == argc || mode != I2C_BLOCK)
        return KRCTL_OK;
    status = options_number(get.command, argc, argv, "LENGTH", I2C_REGISTERS, &length);
    return status == KRCTL_OK && length == 0 ? krctl_usage(get.command, "LENGTH is at least 1")
                                             : status;
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        I2C_CHIP_OPTIONS(&get),
        {.name = "wide", .letter = 'W', .kind = OPTION_FLAG, .to = &get.wide},
        {0},
    };
    bool done;
    int status = options_take(get.command, table, argc, argv, &done);

    if (done)
        return status;
    status = i2c_bus_operand(&get, argc, argv);
    if (status == KRCTL_OK)
        status = i2c_chip_operand(&get, argc, argv);
    if (status == KRCTL_OK)
        status = operands(argc, argv);
    if (status == KRCTL_OK)
        status = options_no_more(get.command, argc, argv);
    return status == KRCTL_OK ? i2c_perform(&get, print) : status;
}

const struct krctl_command_s krctl_i2c_get = {
    .name = "i2c get",
    .summary = "reads a register of a chip",
    .help =
        "usage: krctl i2c get BUS CHIP [REG [MODE [LENGTH]]] [OPTION]...\n"
        "\n"
        "Reads register REG of a chip, and prints it in hexadecimal. Without REG, reads a\n"
        "byte from where the chip is. MODE is\n"
        "\n"
        "  b  a byte (default)             i  LENGTH bytes, 1 to 256 (default 32)\n"
        "  w  a word, the low byte first   s  a block: a count, and so many bytes\n"
        "  c  a byte, with a stop between the register and the read\n"
        "\n"
        "  -W, --wide             REG has two bytes, the high one is sent first\n" I2C_CHIP_HELP,
    .run = run,
};
