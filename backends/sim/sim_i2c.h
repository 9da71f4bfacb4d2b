/* SPDX-License-Identifier: MIT */
/* Chips of a simulated I2C bus: registers, with a pointer to them that a write begins with. */
#ifndef KR_SIM_I2C_H
#define KR_SIM_I2C_H

#include "internal.h"

struct kr_sim_i2c_chip_s;

struct kr_sim_i2c_model_s {
    const char *name;
    uint16_t size;       /* bytes of registers, a power of two */
    uint8_t pointer;     /* bytes of the pointer, the high one first */
    uint8_t stride;      /* bytes of a register: what the pointer counts */
    uint16_t read_wrap;  /* reads go on within so many bytes, a power of two */
    uint16_t write_wrap; /* likewise */
    uint32_t busy_us;    /* after a write: no acknowledge */
    uint8_t fill;        /* what the registers have at first */
    /* All optional. Power comes on; a start with the address; a byte was written to `at`; a stop
       after bytes were written. */
    void (*reset)(struct kr_sim_i2c_chip_s *chip);
    void (*start)(struct kr_sim_i2c_chip_s *chip, uint64_t now);
    void (*wrote)(struct kr_sim_i2c_chip_s *chip, uint16_t at, uint8_t old);
    void (*stop)(struct kr_sim_i2c_chip_s *chip, uint64_t now);
};

struct kr_sim_i2c_chip_s {
    struct kr_sim_i2c_chip_s *next;
    const struct kr_sim_i2c_model_s *model; /* NULL: an address that a driver of the kernel has */
    uint16_t addr;
    uint16_t at;         /* the pointer, bytes */
    uint8_t got;         /* bytes of it since the last start */
    bool written;        /* bytes after it */
    uint64_t busy_until; /* ns on the monotonic clock */
    uint64_t base;       /* of the model */
    uint64_t base_at;
    uint8_t regs[];
};

/* "24c32@0x50,tmp105@0x48": a list of chips. With a text. */
error_t kr_sim_i2c_chips(struct kr_sim_i2c_chip_s **list, const char *text);
void kr_sim_i2c_chips_free(struct kr_sim_i2c_chip_s *list);

/* Start and address, bytes, and stop, as a chip on the bus sees them. False: no acknowledge. */
bool kr_sim_i2c_start(struct kr_sim_i2c_chip_s *chip, uint64_t now);
void kr_sim_i2c_write(struct kr_sim_i2c_chip_s *chip, uint8_t byte);
uint8_t kr_sim_i2c_read(struct kr_sim_i2c_chip_s *chip);
void kr_sim_i2c_stop(struct kr_sim_i2c_chip_s *chip, uint64_t now);

#endif
