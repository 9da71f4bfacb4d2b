/* SPDX-License-Identifier: MIT */
/*
 * The i2c class: a bus of chips, each with an address. Nested completion (kroutine-nesting(7)).
 * kroutine-i2c(3).
 *
 * A device is a bus. A request goes to one chip on it: a list of transfers, with a start and the
 * address before each and a stop after the last. Requests of a bus are worked off one after the
 * other by a thread of the bus, those of higher priority (kroutine_set_priority) first.
 */
#ifndef KROUTINE_I2C_H
#define KROUTINE_I2C_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

DEVICE_ACCESSOR_DECLARE(i2c);

enum dev_i2c_rq_type_e {
    DEV_I2C_TRANSFER = 0, /* the transfers of `list` */
    DEV_I2C_SCAN,         /* which addresses of scan.first to scan.last acknowledge */
    DEV_I2C_TYPES,
};

/* Or-ed. */
enum dev_i2c_op_e {
    DEV_I2C_WRITE = 0,
    DEV_I2C_READ = 1,
    DEV_I2C_STOP = 2, /* a stop after it, and the next begins with a new start; others may have the
                         bus in between */
    DEV_I2C_CONTINUE = 4, /* no start, no address: goes on with the direction of the one before */
};

struct dev_i2c_transfer_s {
    union {
        void *data;      /* DEV_I2C_READ */
        const void *out; /* DEV_I2C_WRITE; not changed */
    };
    uint32_t size; /* bytes; 0: the address alone, where the adapter can */
    uint32_t op;   /* enum dev_i2c_op_e */
};

/* Or-ed. */
enum dev_i2c_flags_e {
    DEV_I2C_TEN_BIT = 1, /* `addr` has ten bits */
};

/* How a scan asks. */
enum dev_i2c_scan_e {
    DEV_I2C_SCAN_AUTO = 0, /* as i2cdetect(8): reads at 0x30-0x37, 0x50-0x5f, writes elsewhere */
    DEV_I2C_SCAN_WRITE,    /* the address with a write and no byte: can upset write-only chips */
    DEV_I2C_SCAN_READ,     /* one byte is read: can hang a bus whose chip is busy with it */
};

/* Set `type`, and the members of the type, before each submit. The list and its buffers are the
   library's until the request is over.
   error: 0; -EHOSTUNREACH nobody acknowledged the address; -EREMOTEIO the chip did not acknowledge
   a byte; -EAGAIN the bus was lost to another master, `retries` included; -EMSGSIZE a transfer, or
   a list without a DEV_I2C_STOP, is longer than the adapter takes (dev_i2c_info_s): nothing was
   sent; -EBUSY a driver of the kernel has the address; -ENOTSUP the adapter cannot do this;
   -EINVAL an address or a list that cannot be;
   -ETIMEDOUT the time-out of the request, or the bus is held down; -ECANCELED; -ENODEV; -EIO. */
struct dev_i2c_rq_s {
    DEV_REQUEST_INHERIT;
    uint16_t addr;   /* 7 bits, 0x08 to 0x77 for chips; DEV_I2C_TEN_BIT: 10 bits */
    uint8_t flags;   /* enum dev_i2c_flags_e, or-ed */
    uint8_t retries; /* again when the bus was lost, or the address not acknowledged */
    __extension__ union {
        __extension__ struct {
            struct dev_i2c_transfer_s *list;
            uint16_t count; /* of `list`, not 0 */
            uint16_t done;  /* out: transfers that are known to have ended well */
        };
        struct {
            uint8_t first, last; /* addresses */
            uint8_t how;         /* enum dev_i2c_scan_e */
            uint8_t asked;       /* of the driver: how many it has done with */
            uint32_t found[4];   /* out: bit n % 32 of found[n / 32]: address n acknowledged */
            uint32_t held[4]; /* out, likewise: a driver of the kernel has it, it was not asked */
        } scan;
    };
};

DEV_REQUEST_DECLARE(i2c);

/* Makes it a DEV_I2C_TRANSFER that writes `out`, if out_size is not 0, and after a repeated start
   reads `in`, if in_size is not 0: how registers of chips are read. `list` has two entries. */
static inline void dev_i2c_rq_set_list(struct dev_i2c_rq_s *rq, struct dev_i2c_transfer_s *list,
                                       const void *out, uint32_t out_size, void *in,
                                       uint32_t in_size)
{
    rq->type = DEV_I2C_TRANSFER;
    rq->list = list;
    rq->count = 0;
    if (out_size) {
        list[rq->count].out = out;
        list[rq->count].size = out_size;
        list[rq->count++].op = DEV_I2C_WRITE;
    }
    if (in_size) {
        list[rq->count].data = in;
        list[rq->count].size = in_size;
        list[rq->count++].op = DEV_I2C_READ;
    }
}

enum dev_i2c_capability_e {
    DEV_I2C_CAP_PLAIN = 1,     /* lists of transfers; without it: what SMBus knows */
    DEV_I2C_CAP_TEN_BIT = 2,   /* DEV_I2C_TEN_BIT */
    DEV_I2C_CAP_CONTINUE = 4,  /* DEV_I2C_CONTINUE */
    DEV_I2C_CAP_QUICK = 8,     /* the address alone */
    DEV_I2C_CAP_VIRTUAL = 128, /* simulated */
};

struct dev_i2c_info_s {
    char name[64];          /* of the adapter, "bcm2835 (i2c@7e804000)" */
    uint32_t bus;           /* number, of /dev/i2c-N */
    uint32_t cap;           /* enum dev_i2c_capability_e, or-ed */
    uint32_t transfers_max; /* up to a stop, those joined by DEV_I2C_CONTINUE counting as one */
    uint32_t size_max;      /* bytes of a transfer, likewise */
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_i2c_s {
    enum driver_class_e cl;
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_i2c_s *acc, struct dev_i2c_rq_s *rq);
    /* 0: cancelled, nothing was sent, the handler never runs. -EBUSY: over, or the kernel is at it:
       the handler runs when it returns, with the real result, or -ECANCELED where parts of the list
       were not begun. */
    error_t (*f_cancel)(const struct device_i2c_s *acc, struct dev_i2c_rq_s *rq);
    /* What the bus is. Any thread, any context. -ENODEV, -ECANCELED. */
    error_t (*f_info)(const struct device_i2c_s *acc, struct dev_i2c_info_s *info);
};

/* --- blocking, for threads: -EDEADLK in the reactor; errors as of the request --- */

KROUTINE_API error_t dev_i2c_wait_write(const struct device_i2c_s *acc, uint16_t addr,
                                        const void *data, size_t size);
KROUTINE_API error_t dev_i2c_wait_read(const struct device_i2c_s *acc, uint16_t addr, void *data,
                                       size_t size);
/* Writes, a repeated start, reads: how registers of chips are read. */
KROUTINE_API error_t dev_i2c_wait_write_read(const struct device_i2c_s *acc, uint16_t addr,
                                             const void *out, size_t out_size, void *in,
                                             size_t in_size);

#ifdef __cplusplus
}
#endif
#endif
