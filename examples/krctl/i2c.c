/* SPDX-License-Identifier: MIT */
/* krctl i2c: chips on a bus. The commands are in i2c_*.c. */
#include "i2c.h"
#include "bus.h"
#include "host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- the command line --- */

bool i2c_mode(const char *text, enum i2c_mode_e *mode)
{
    static const char letters[] = "bwcsi";
    const char *at = text[0] != '\0' && text[1] == '\0' ? strchr(letters, text[0]) : NULL;

    if (at != NULL)
        *mode = (enum i2c_mode_e)(at - letters);
    return at != NULL;
}

int i2c_bus_operand(struct i2c_s *i, int argc, char **argv)
{
    int status = KRCTL_OK;

    i->bus = krctl_operand(i->command, argc, argv, "BUS", &status);
    if (i->bus != NULL)
        snprintf(i->name, sizeof(i->name), "%.*s", (int)strcspn(i->bus, "?"), i->bus);
    return status;
}

int i2c_check_addr(const struct i2c_s *i, uint64_t addr)
{
    if (i->ten_bit)
        return addr <= 0x3ff
                   ? KRCTL_OK
                   : krctl_usage(i->command, "0x%" PRIx64 " has more than ten bits", addr);
    if (addr > 0x7f)
        return krctl_usage(i->command, "0x%" PRIx64 " has more than seven bits: --ten-bit", addr);
    if (!i->all && (addr < I2C_FIRST || addr > I2C_LAST))
        return krctl_usage(i->command,
                           "0x%02" PRIx64 " is reserved, chips are at 0x08 to 0x77: --all", addr);
    return KRCTL_OK;
}

int i2c_chip_operand(struct i2c_s *i, int argc, char **argv)
{
    int status = options_number(i->command, argc, argv, "CHIP", UINT16_MAX, &i->addr);

    return status == KRCTL_OK ? i2c_check_addr(i, i->addr) : status;
}

/* --- requests --- */

error_t i2c_request(struct i2c_s *i, struct dev_i2c_transfer_s *list, unsigned count,
                    unsigned *done)
{
    struct dev_i2c_rq_s rq = {0};
    error_t err;

    rq.type = DEV_I2C_TRANSFER;
    rq.addr = (uint16_t)i->addr;
    rq.flags = i->ten_bit ? DEV_I2C_TEN_BIT : 0;
    rq.retries = (uint8_t)i->retries;
    rq.list = list;
    rq.count = (uint16_t)count;
    err = SESSION_CALL(&i->session, &i->dev, &rq);
    if (done != NULL)
        *done = rq.done;
    return err;
}

/* The address of a register: one byte, or two, the high one first, as large EEPROMs have them. */
static unsigned put_register(const struct i2c_s *i, uint8_t *to, int reg)
{
    unsigned size = 0;

    if (reg >= 0 && i->wide)
        to[size++] = (uint8_t)(reg >> 8);
    if (reg >= 0)
        to[size++] = (uint8_t)reg;
    return size;
}

error_t i2c_read(struct i2c_s *i, int reg, uint8_t *data, unsigned size)
{
    uint8_t number[2];
    struct dev_i2c_transfer_s list[] = {
        {.out = number, .size = put_register(i, number, reg), .op = DEV_I2C_WRITE},
        {.data = data, .size = size, .op = DEV_I2C_READ},
    };

    return i2c_request(i, reg >= 0 ? list : list + 1, reg >= 0 ? 2 : 1, NULL);
}

error_t i2c_write(struct i2c_s *i, int reg, const uint8_t *data, unsigned size)
{
    uint8_t bytes[2 + I2C_REGISTERS];
    unsigned at = put_register(i, bytes, reg);

    if (size > sizeof(bytes) - at)
        return -EMSGSIZE;
    if (size > 0)
        memcpy(bytes + at, data, size);
    struct dev_i2c_transfer_s list = {.out = bytes, .size = at + size, .op = DEV_I2C_WRITE};
    return i2c_request(i, &list, 1, NULL);
}

static int nobody(const struct i2c_s *i)
{
    krctl_fail("no chip answers at 0x%02" PRIx64 " on %s", i->addr, i->name);
    krctl_hint("krctl i2c scan %s, which shows who does", i->name);
    return KRCTL_FAILED;
}

/* The driver, by its name if sysfs has it (Documentation/i2c/i2c-sysfs.rst). */
static int held(const struct i2c_s *i)
{
    const struct host_s here = {.root = ""};
    unsigned addr = (unsigned)i->addr + (i->ten_bit ? 0xa000 : 0); /* as i2c-core names them */
    char driver[40] = "";

    if (!(i->info.cap & DEV_I2C_CAP_VIRTUAL))
        host_link(&here, driver, sizeof(driver), "/sys/bus/i2c/devices/%" PRIu32 "-%04x/driver",
                  i->info.bus, addr);
    krctl_fail("a driver of the kernel%s%s has the chip at 0x%02" PRIx64 " on %s",
               driver[0] != '\0' ? ", " : "", driver, i->addr, i->name);
    krctl_hint("--force, if it is to be used behind its back");
    return KRCTL_FAILED;
}

static int too_long(const struct i2c_s *i)
{
    return krctl_fail("%s takes %" PRIu32 " transfers of %" PRIu32 " bytes: nothing was sent",
                      i->info.name, i->info.transfers_max, i->info.size_max);
}

int i2c_fail(const struct i2c_s *i, error_t err)
{
    if (i->session.over)
        return i->session.status;
    switch (err) {
    case -EHOSTUNREACH:
        return nobody(i);
    case -EBUSY:
        return held(i);
    case -EREMOTEIO: /* of which some adapters say nothing better when nobody is there */
        krctl_fail("the chip at 0x%02" PRIx64 " did not acknowledge", i->addr);
        krctl_hint("krctl i2c scan %s, which shows whether it is there", i->name);
        return KRCTL_FAILED;
    case -EAGAIN:
        return krctl_fail("the bus was lost to another master: --retries asks again");
    case -EMSGSIZE:
        return too_long(i);
    case -ETIMEDOUT:
        return krctl_fail("%s does not move: a chip, or a short, holds a line down", i->name);
    case -ENOTSUP:
        return krctl_fail("the adapter %s cannot do this: krctl i2c info %s", i->info.name,
                          i->name);
    default:
        return bus_fail(i->name, err);
    }
}

/* --- the bus --- */

int i2c_perform(struct i2c_s *i, int (*body)(struct i2c_s *i))
{
    int status = session_open(&i->session, i->backend);

    if (status != KRCTL_OK)
        return status;
    status = bus_open(&i->session, &i->dev.base, i->bus, "i2c", DRIVER_CLASS_I2C,
                      i->force ? "force=yes" : NULL);
    if (status == KRCTL_OK) {
        error_t err = DEVICE_OP(&i->dev, info, &i->info);
        session_limit(&i->session, i->timeout);
        status = err == 0 ? body(i) : bus_fail(i->name, err);
    }
    status = bus_end(&i->session, status);
    device_put_accessor(&i->dev.base);
    session_close(&i->session);
    return status;
}

/* --- the group --- */

static const struct krctl_command_s *const members[] = {
    &krctl_i2c_scan, &krctl_i2c_get,      &krctl_i2c_set, &krctl_i2c_dump,
    &krctl_i2c_info, &krctl_i2c_transfer, NULL,
};

const struct krctl_command_s krctl_i2c = {
    .name = "i2c",
    .summary = "chips on an I2C bus: who is there, their registers",
    .help = "usage: krctl i2c scan BUS [FIRST LAST] [OPTION]...\n"
            "       krctl i2c get BUS CHIP [REG [MODE [LENGTH]]] [OPTION]...\n"
            "       krctl i2c set BUS CHIP REG [VALUE]... [MODE] [OPTION]...\n"
            "       krctl i2c dump BUS CHIP [MODE] [OPTION]...\n"
            "       krctl i2c transfer BUS {r|w}LENGTH[@CHIP] [VALUE]... [OPTION]...\n"
            "       krctl i2c info BUS [OPTION]...\n"
            "       krctl i2c COMMAND --help\n"
            "\n"
            "  scan      which addresses are answered, as i2cdetect\n"
            "  get       reads a register of a chip, as i2cget\n"
            "  set       writes one, as i2cset\n"
            "  dump      prints all registers of a chip, as i2cdump\n"
            "  transfer  reads and writes in one transaction, as i2ctransfer\n"
            "  info      what the adapter can do\n"
            "\n"
            "BUS is a number, as in /dev/i2c-1, that path, or a spec such as i2c:i2c-1 or,\n"
            "without any hardware, sim-i2c:demo; krctl list --class i2c has those of this\n"
            "machine. CHIP is an address of seven bits, 0x08 to 0x77. Nothing is asked:\n"
            "a wrong register in a wrong chip can do harm.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};
