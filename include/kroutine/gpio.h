/* SPDX-License-Identifier: MIT */
/*
 * The gpio class: digital lines, their edges, and how many were lost. Nested completion
 * (kroutine-nesting(7)). kroutine-gpio(3).
 *
 * A device is a list of lines, 64 at most, numbered from 0 in the order of its spec. A call names
 * the range io_first to io_last of them, and its bit vectors begin there: bit n is line
 * io_first + n. Values are logical: 1 is "active", also where a line is active at low level.
 *
 * A device whose spec names a chip and no lines, "gpiod:pinctrl-rp1", holds none of them: it has
 * f_info, with the number of all lines, and f_line_info, of each. The rest is -EINVAL there.
 */
#ifndef KROUTINE_GPIO_H
#define KROUTINE_GPIO_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DEV_GPIO_LINES_MAX 64 /* of a device; one request of the kernel has as many */

DEVICE_ACCESSOR_DECLARE(gpio);

enum dev_gpio_rq_type_e {
    DEV_GPIO_MODE = 0,   /* changes the mode of the lines in `mode.mask` */
    DEV_GPIO_SET_OUTPUT, /* sets, clears, toggles the lines of the range */
    DEV_GPIO_GET_INPUT,  /* reads the lines of the range */
    DEV_GPIO_UNTIL,      /* until a line of `until.mask` differs from `until.data` */
    DEV_GPIO_EVENT,      /* until there are edges; takes as many as there are and as fit */
    DEV_GPIO_TYPES,
};

/* Or-ed. Neither INPUT, OUTPUT, OPEN_DRAIN nor OPEN_SOURCE: the direction stays as it is, and
   nothing else may be asked for. No pull: it stays as it is. */
enum dev_gpio_mode_e {
    DEV_GPIO_INPUT = 1,
    DEV_GPIO_OUTPUT = 2,      /* drives both levels */
    DEV_GPIO_OPEN_DRAIN = 4,  /* an output that drives low only */
    DEV_GPIO_OPEN_SOURCE = 8, /* an output that drives high only */
    DEV_GPIO_PULL_UP = 0x10,
    DEV_GPIO_PULL_DOWN = 0x20,
    DEV_GPIO_PULL_NONE = 0x40,
    DEV_GPIO_ACTIVE_LOW = 0x80,
    /* Edges that are watched from now on. An input with neither begins to watch both with the first
       EVENT or UNTIL request, or with device_start. */
    DEV_GPIO_RISING = 0x100, /* from 0 to 1, logically */
    DEV_GPIO_FALLING = 0x200,
    DEV_GPIO_BOTH = 0x300,
    /* `debounce_us` is for the kernel: an edge is stamped when the line has been quiet for so long.
       Without this bit the library does it, and an edge keeps the time at which the line moved. */
    DEV_GPIO_DEBOUNCE_KERNEL = 0x400,
};

/* What this driver, or this kernel, can do. */
enum dev_gpio_capability_e {
    DEV_GPIO_CAP_SEQNO = 1,     /* edges are numbered */
    DEV_GPIO_CAP_LOST = 2,      /* lost edges are counted exactly */
    DEV_GPIO_CAP_DEBOUNCE = 4,  /* DEV_GPIO_DEBOUNCE_KERNEL */
    DEV_GPIO_CAP_REALTIME = 8,  /* clock=realtime */
    DEV_GPIO_CAP_TOGETHER = 16, /* a read of several watched lines is one call of the kernel */
    DEV_GPIO_CAP_EACH = 32,     /* lines of one device can have different modes */
    DEV_GPIO_CAP_BUFFER = 64,   /* buffer=N reaches the kernel */
    DEV_GPIO_CAP_VIRTUAL = 128, /* simulated */
};

/* An edge. */
struct dev_gpio_event_s {
    uint64_t timestamp;  /* ns, on the clock of the device: monotonic unless clock=realtime */
    uint32_t seqno;      /* over all lines of the device, lost ones included; 0: not known */
    uint32_t line_seqno; /* the same of this line */
    uint32_t lost;       /* edges lost since the one before, on any line; DEV_GPIO_LOST_SOME */
    uint16_t line;       /* number in the device, whatever the range of the request */
    uint8_t edge;        /* DEV_GPIO_RISING >> 8, DEV_GPIO_FALLING >> 8: see dev_gpio_rose() */
    uint8_t spare;
};

/* Edges may have been lost, and nobody can tell how many (no DEV_GPIO_CAP_LOST). */
#define DEV_GPIO_LOST_SOME UINT32_MAX

static inline bool dev_gpio_rose(const struct dev_gpio_event_s *event)
{
    return event->edge == DEV_GPIO_RISING >> 8;
}

/* Set `type`, io_first and io_last, and the member of the type before each submit.
   error: 0; -ECANCELED; -ETIMEDOUT; -ENODEV the chip is gone; -EINVAL unknown type, a range that
   the device does not have, a mode that contradicts itself, EVENT without room, UNTIL or EVENT on
   lines that are outputs, UNTIL on lines that watch one edge only; -ENOTSUP what the chip, the
   kernel or the driver cannot do, or `need` not met; -EBUSY MODE: a call of another thread is under
   way and the driver cannot do both; -ENXIO the line cannot interrupt; others as ioctl(2). */
struct dev_gpio_rq_s {
    DEV_REQUEST_INHERIT;
    uint16_t io_first;
    uint16_t io_last; /* included */
    uint32_t need;    /* EVENT: enum dev_gpio_capability_e without which it ends with -ENOTSUP */
    union {
        struct {
            uint64_t mask;        /* lines to change */
            uint32_t mode;        /* enum dev_gpio_mode_e, or-ed */
            uint32_t debounce_us; /* 0: none; inputs only */
        } mode;
        struct {
            /* set, clear: 0, 0 clears; 0, 1 keeps; 1, 0 toggles; 1, 1 sets the line */
            uint64_t set_mask;
            uint64_t clear_mask;
        } output;
        struct {
            uint64_t data; /* out */
        } input;
        struct {
            uint64_t mask; /* lines to look at */
            uint64_t data; /* levels that are waited out; out: those that ended it */
        } until;
        struct {
            struct dev_gpio_event_s *list;
            uint16_t size;  /* of `list` */
            uint16_t count; /* out: edges in it */
            uint32_t lost;  /* out: sum of those of the edges */
        } event;
    };
};

DEV_REQUEST_DECLARE(gpio);

struct dev_gpio_info_s {
    char chip[32];  /* name, "gpiochip0" */
    char label[32]; /* of the chip */
    uint32_t lines; /* of the device */
    uint32_t cap;   /* enum dev_gpio_capability_e, or-ed */
};

struct dev_gpio_line_info_s {
    char name[32];     /* "": it has none */
    char consumer[32]; /* who holds it; "": nobody, or it has no name */
    uint32_t offset;   /* in the chip */
    uint32_t mode;     /* enum dev_gpio_mode_e, as far as the chip tells */
    uint32_t debounce_us;
    bool used;
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). Those
   that are not requests are done when they return, by the calling thread, which may be in any
   context but is held up for as long as the chip takes: an expander behind I2C sleeps. */
struct driver_gpio_s {
    enum driver_class_e cl;
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_gpio_s *acc, struct dev_gpio_rq_s *rq);
    /* 0: cancelled, the handler never runs. -EBUSY: it runs, or has run. -ENOTSUP. */
    error_t (*f_cancel)(const struct device_gpio_s *acc, struct dev_gpio_rq_s *rq);
    /* As the requests; -EBUSY: another thread is at it, or (without DEV_GPIO_CAP_EACH) in any call
       of the device: use the request. Errors as of the requests. */
    error_t (*f_set_mode)(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,
                          uint64_t mask, uint32_t mode, uint32_t debounce_us);
    error_t (*f_set_output)(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,
                            uint64_t set_mask, uint64_t clear_mask);
    error_t (*f_get_input)(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,
                           uint64_t *data);
    /* What the device is. -ENODEV, -ECANCELED. */
    error_t (*f_info)(const struct device_gpio_s *acc, struct dev_gpio_info_s *info);
    /* What a line is. -EINVAL: there is no such line. */
    error_t (*f_line_info)(const struct device_gpio_s *acc, uint16_t io,
                           struct dev_gpio_line_info_s *info);
};

/* --- one line --- */

/* Sets line `io`. Errors as of f_set_output. Any thread, any context. */
KROUTINE_API error_t dev_gpio_out(const struct device_gpio_s *acc, uint16_t io, bool value);

/* Reads line `io`: 0 or 1, or a negative errno. Any thread, any context. */
KROUTINE_API int dev_gpio_input(const struct device_gpio_s *acc, uint16_t io);

/* Changes the mode of line `io`. Any thread, any context. */
KROUTINE_API error_t dev_gpio_mode(const struct device_gpio_s *acc, uint16_t io, uint32_t mode,
                                   uint32_t debounce_us);

/* Blocking, for threads: until line `io` is at `value`, or was since the call. timeout_ns 0: none.
   -ETIMEDOUT; -EDEADLK in the reactor; others as of the request UNTIL. */
KROUTINE_API error_t dev_gpio_wait_until(const struct device_gpio_s *acc, uint16_t io, bool value,
                                         uint64_t timeout_ns);

/* Blocking, for threads: the next edges, `size` at most. Their number, or a negative errno as
   above; *lost (may be NULL) is how many were lost before them. */
KROUTINE_API int dev_gpio_wait_event(const struct device_gpio_s *acc, struct dev_gpio_event_s *list,
                                     uint16_t size, uint32_t *lost, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
