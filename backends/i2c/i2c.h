/* SPDX-License-Identifier: MIT */
/* Shared by the files of the i2c backend: adapters of the kernel through i2c-dev. */
#ifndef KR_I2C_H
#define KR_I2C_H

#include "kroutine/driver.h"

/* --- find.c: from a name in a spec to an adapter --- */

struct kr_i2c_found_s {
    unsigned number; /* of /dev/i2c-N */
    char name[64];   /* "bcm2835 (i2c@7e804000)" */
    char parent[64]; /* the device that it is, "3f804000.i2c"; "" */
    char node[128];  /* of the device tree, "/soc/i2c@7e804000"; "" */
};

/* `sysfs`: where that is, "/sys". With a text. */
error_t kr_i2c_find(struct kr_i2c_found_s *found, const char *sysfs, const char *text);
/* Which driver of the kernel has `addr`; "": not known. */
void kr_i2c_holder(char *text, size_t size, unsigned number, uint16_t addr, bool ten);
bool kr_i2c_is_gone(unsigned number);

/* --- an adapter; one of a device --- */

struct kr_i2c_adapter_s {
    int fd;
    unsigned number;
    unsigned long funcs; /* I2C_FUNC_… */
    uint8_t *joined;     /* room for transfers joined into one message; NULL: not needed */
    int32_t slave;       /* address that `fd` was told, ten bits or-ed with SLAVE_TEN; -1: none */
};

#define KR_I2C_SLAVE_TEN 0x10000

#define KR_I2C_MESSAGES  42   /* I2C_RDWR_IOCTL_MAX_MSGS of linux/i2c-dev.h */
#define KR_I2C_BYTES     8192 /* of a message: i2cdev_ioctl_rdwr() of drivers/i2c/i2c-dev.c */

/* --- messages.c: lists of transfers as I2C_RDWR --- */

/* Can the adapter do the part from `from` to `end`? -EMSGSIZE, -ENOTSUP with a text. */
error_t kr_i2c_admit(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                     unsigned end);
error_t kr_i2c_transfer(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                        unsigned end);

/* --- smbus.c: those that are calls of SMBus, for adapters that know nothing else --- */

error_t kr_i2c_smbus_admit(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                           unsigned from, unsigned end);
error_t kr_i2c_smbus_transfer(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                              unsigned from, unsigned end);
/* The address alone, or with one byte read. 0, or what the kernel says. */
error_t kr_i2c_ask(struct kr_i2c_adapter_s *a, uint16_t addr, bool ten, bool read);
/* Can it? */
bool kr_i2c_can_ask(const struct kr_i2c_adapter_s *a, bool read);

/* --- errors.c --- */

/* ioctl(2), again when a signal interrupted it. Negative errno. */
int kr_i2c_ioctl(int fd, unsigned long request, void *arg);
/* Error of the class for what the kernel said about a part. Asks the address again where the
   adapter does not tell what was not acknowledged. */
error_t kr_i2c_error(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                     unsigned end, error_t err);

#endif
