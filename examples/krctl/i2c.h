/* SPDX-License-Identifier: MIT */
/* What the commands of krctl i2c share: a bus, a chip on it, and its registers. */
#ifndef KRCTL_I2C_H
#define KRCTL_I2C_H

#include "krctl.h"
#include "options.h"
#include "session.h"

#define I2C_FIRST     0x08 /* UM10204, 3.1.12: 0x00 to 0x07 and 0x78 to 0x7f are reserved */
#define I2C_LAST      0x77
#define I2C_REGISTERS 256
#define I2C_BLOCK_MAX 32 /* bytes of a block, SMBus 2.0, 5.5.7 */

extern const struct krctl_command_s krctl_i2c_dump;
extern const struct krctl_command_s krctl_i2c_get;
extern const struct krctl_command_s krctl_i2c_info;
extern const struct krctl_command_s krctl_i2c_scan;
extern const struct krctl_command_s krctl_i2c_set;
extern const struct krctl_command_s krctl_i2c_transfer;

struct i2c_s {
    struct session_s session;
    const struct krctl_command_s *command;
    enum kroutine_backend_e backend;
    const char *bus; /* as the user calls it */
    char name[64];   /* that, without keys */
    struct device_i2c_s dev;
    struct dev_i2c_info_s info;
    uint64_t addr;
    uint64_t retries;
    uint64_t timeout;
    bool all;   /* reserved addresses too */
    bool force; /* also what a driver of the kernel has */
    bool ten_bit;
    bool yes; /* nothing is asked: scripts for i2c-tools say -y */
    bool wide;
};

/* In tables of options. */
#define I2C_BUS_OPTIONS(i)                                                                         \
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .to = &(i)->all},                          \
        {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &(i)->backend},           \
        {.name = "timeout", .letter = 't', .kind = OPTION_TIME, .to = &(i)->timeout},              \
    {                                                                                              \
        .name = "yes", .letter = 'y', .kind = OPTION_FLAG, .to = &(i)->yes                         \
    }
#define I2C_CHIP_OPTIONS(i)                                                                        \
    I2C_BUS_OPTIONS(i), {.name = "force", .letter = 'f', .kind = OPTION_FLAG, .to = &(i)->force},  \
        {.name = "retries", .kind = OPTION_NUMBER, .to = &(i)->retries, .max = 255},               \
    {                                                                                              \
        .name = "ten-bit", .kind = OPTION_FLAG, .to = &(i)->ten_bit                                \
    }

#define I2C_BUS_HELP                                                                               \
    "  -t, --timeout TIME     give up after TIME, with exit status 3\n"                            \
    "  -B, --backend NAME     auto, uring or epoll (default auto)\n"                               \
    "  -y, --yes              means nothing here: nothing is asked\n"                              \
    "  -h, --help             this text\n"
#define I2C_CHIP_HELP                                                                              \
    "  -a, --all              CHIP may be a reserved address: below 0x08, above 0x77\n"            \
    "  -f, --force            also a chip that a driver of the kernel has: this may\n"             \
    "                         confuse it\n"                                                        \
    "      --ten-bit          CHIP is an address of ten bits\n"                                    \
    "      --retries N        again, when the bus was lost or nobody answered\n" I2C_BUS_HELP

/* How registers are read and written, by the letters of i2c-tools. */
enum i2c_mode_e {
    I2C_BYTE,        /* b: register, a byte */
    I2C_WORD,        /* w: register, two bytes, the low one first */
    I2C_CURRENT,     /* c: get: a byte of where the chip is; set: the register alone */
    I2C_SMBUS_BLOCK, /* s: register, a count, so many bytes */
    I2C_BLOCK,       /* i: register, bytes */
    I2C_MODES,
};

/* False: it is none of them. */
bool i2c_mode(const char *text, enum i2c_mode_e *mode);

/* BUS, and CHIP: KRCTL_OK, or says what is wrong. */
int i2c_bus_operand(struct i2c_s *i, int argc, char **argv);
int i2c_chip_operand(struct i2c_s *i, int argc, char **argv);
/* An address as the options allow it. */
int i2c_check_addr(const struct i2c_s *i, uint64_t addr);

/* Opens the bus and lets `body` run: the status. */
int i2c_perform(struct i2c_s *i, int (*body)(struct i2c_s *i));

/* A request to the chip, in one go; `done`, if not NULL, is set to the transfers that ended. */
error_t i2c_request(struct i2c_s *i, struct dev_i2c_transfer_s *list, unsigned count,
                    unsigned *done);
/* Reads or writes `size` bytes from register `reg` on; no `reg` when it is negative. */
error_t i2c_read(struct i2c_s *i, int reg, uint8_t *data, unsigned size);
error_t i2c_write(struct i2c_s *i, int reg, const uint8_t *data, unsigned size);

/* Says what an error means: the status. */
int i2c_fail(const struct i2c_s *i, error_t err);

#endif
