/* SPDX-License-Identifier: MIT */
/*
 * The spi class: a chip behind a chip select of a bus. Nested completion (kroutine-nesting(7)).
 * kroutine-spi(3).
 *
 * A device is a chip select. A request is a list of transfers that are one message: the chip stays
 * selected from the first to the last. Requests of all devices of a bus are worked off one after
 * the other by a thread of the bus, those of higher priority (kroutine_set_priority) first.
 */
#ifndef KROUTINE_SPI_H
#define KROUTINE_SPI_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

DEVICE_ACCESSOR_DECLARE(spi);

enum dev_spi_rq_type_e {
    DEV_SPI_TRANSFER = 0,
    DEV_SPI_TYPES,
};

/* Of a transfer, or-ed. */
enum dev_spi_transfer_flags_e {
    DEV_SPI_CS_CHANGE = 1, /* the chip is deselected for a moment after it; of the last one: stays
                              selected, as a hint, until the next message */
};

struct dev_spi_transfer_s {
    const void *out;       /* NULL: zeros go out */
    void *in;              /* NULL: what comes in is dropped; may be `out`. One of them at least */
    size_t size;           /* bytes; a multiple of the bytes of a word; 0: only the delay */
    uint32_t hz;           /* clock, at most; 0: of the device */
    uint16_t delay_us;     /* after it, before the chip is deselected or the next begins */
    uint8_t word_delay_us; /* between words */
    uint8_t bits;          /* of a word, 1 to 32; 0: of the device. 9 to 16: two bytes each, 17 to
                              32: four, in the order of the processor */
    uint8_t flags;         /* enum dev_spi_transfer_flags_e, or-ed */
    uint8_t out_lines;     /* 0 or 1; 2, 4, 8 where the controller has them */
    uint8_t in_lines;
    uint8_t spare;
};

/* Of a device, or-ed. */
enum dev_spi_mode_e {
    DEV_SPI_CPHA = 1,
    DEV_SPI_CPOL = 2, /* modes 0 to 3 are these two */
    DEV_SPI_CS_HIGH = 4,
    DEV_SPI_LSB_FIRST = 8,
    DEV_SPI_3WIRE = 0x10,
    DEV_SPI_LOOP = 0x20,
    DEV_SPI_NO_CS = 0x40,
    DEV_SPI_READY = 0x80, /* the chip holds a line low until it is ready */
};

struct dev_spi_config_s {
    uint32_t hz;   /* clock at most; 0: as it is */
    uint32_t mode; /* enum dev_spi_mode_e, or-ed */
    uint8_t bits;  /* of a word; 0: 8 */
};

/* Of a request, or-ed. */
enum dev_spi_flags_e {
    DEV_SPI_MAY_SPLIT = 1, /* longer than dev_spi_info_s.size_max: several messages, the chip being
                              deselected in between, rather than -EMSGSIZE */
};

/* error: 0; -EMSGSIZE longer than the driver of the kernel takes (dev_spi_info_s.size_max), and no
   DEV_SPI_MAY_SPLIT: nothing was sent; -EINVAL a list, a word or a clock that the controller cannot
   do; -ENOTSUP; -ETIMEDOUT; -ECANCELED; -ENODEV; -EIO. The list and its buffers are the library's
   until the request is over. */
struct dev_spi_rq_s {
    DEV_REQUEST_INHERIT;
    struct dev_spi_transfer_s *list;
    uint16_t count;               /* of `list`, not 0 */
    uint8_t flags;                /* enum dev_spi_flags_e, or-ed */
    uint8_t begun;                /* of the driver: the first message was */
    size_t done;                  /* out: bytes moved, over all transfers */
    struct dev_spi_config_s with; /* of the driver: what the device was set to at the submit */
};

DEV_REQUEST_DECLARE(spi);

struct dev_spi_info_s {
    uint32_t bus;    /* number, of /dev/spidevBUS.SELECT */
    uint32_t select; /* number */
    size_t size_max; /* bytes of a message */
    struct dev_spi_config_s config;
    bool simulated;
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_spi_s {
    enum driver_class_e cl;
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_spi_s *acc, struct dev_spi_rq_s *rq);
    /* 0: cancelled, nothing was sent, the handler never runs. -EBUSY: over, or the kernel is at it:
       the handler runs when it returns. */
    error_t (*f_cancel)(const struct device_spi_s *acc, struct dev_spi_rq_s *rq);
    /* For requests that are submitted from now on; those before keep what they had. Waits for the
       message of this chip that is under way. -EINVAL: what the controller cannot do, with a text
       that names it, and all stays as it was; -ENODEV, -ECANCELED. */
    error_t (*f_config)(const struct device_spi_s *acc, const struct dev_spi_config_s *cfg);
    error_t (*f_info)(const struct device_spi_s *acc, struct dev_spi_info_s *info);
};

/* Blocking, for threads: one transfer, full duplex; out or in may be NULL. -EDEADLK in the reactor;
   errors as of the request. */
KROUTINE_API error_t dev_spi_wait_transfer(const struct device_spi_s *acc, const void *out,
                                           void *in, size_t size);

#ifdef __cplusplus
}
#endif
#endif
