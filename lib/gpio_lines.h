/* SPDX-License-Identifier: MIT */
/*
 * The gpio class over anything that can set, read and watch up to 64 lines: request queues, the
 * output latch, the ring of edges with its count of lost ones, debounce, time-outs, close. The
 * drivers gpiod and sim-gpio embed it and give it the operations below.
 *
 * A device is served by one thread at a time, its pumper: whoever finds work and no pumper. No lock
 * is held while it calls the driver or runs handlers.
 */
#ifndef KR_GPIO_LINES_H
#define KR_GPIO_LINES_H

#include "kroutine/driver.h"

struct kr_lines_s;

/* `flags`: enum dev_gpio_mode_e. */
struct kr_line_mode_s {
    uint32_t flags;
    uint32_t debounce_us;
};

/* Lines are bits of a mask, in the order of the device. */
struct kr_lines_ops_s {
    /* Applies a mode to every line. Edge bits are what the driver has to watch; `debounce_us` is
       its business with DEV_GPIO_DEBOUNCE_KERNEL only. No direction: as it is, which the driver
       writes back. `values`: of the outputs. The pumper calls it, or the driver's open. On failure
       the old modes stand. */
    error_t (*configure)(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values);
    /* Any thread, any time, several at once. */
    error_t (*set)(struct kr_lines_s *l, uint64_t mask, uint64_t values);
    error_t (*get)(struct kr_lines_s *l, uint64_t mask, uint64_t *values);
    /* The pumper: edges that are there, oldest first, `size` at most. Fewer than `size`: there are
       no more. Negative errno. `lost` of each: before it, as far as the driver knows. */
    int (*read)(struct kr_lines_s *l, struct dev_gpio_event_s *events, unsigned size);
    /* kr_lines_ready() must be called, once at least, when there are edges from now on. */
    void (*arm)(struct kr_lines_s *l);
    void (*disarm)(struct kr_lines_s *l);
};

struct kr_lines_config_s {
    const struct kr_lines_ops_s *ops;
    struct device_s *dev;
    unsigned count;  /* lines; 0: every operation is refused, with -EINVAL */
    uint32_t cap;    /* enum dev_gpio_capability_e */
    unsigned buffer; /* edges that the ring holds */
    bool eager;      /* the driver's own buffer is short: read at once, whoever waits or not */
    bool realtime;   /* timestamps are of that clock */
};

error_t kr_lines_create(struct kr_lines_s **ret, const struct kr_lines_config_s *config, void *pv);
/* The first modes, from the driver's open; `values`: of those that become outputs. */
error_t kr_lines_begin(struct kr_lines_s *l, const struct kr_line_mode_s *modes, uint64_t values);
/* Everything pending completes with `error`, later requests too. Returns when that is so, except
   for a handler further up on this very stack. */
void kr_lines_close(struct kr_lines_s *l, error_t error);
void kr_lines_put(struct kr_lines_s *l); /* after close, from f_free */
void *kr_lines_pv(const struct kr_lines_s *l);
unsigned kr_lines_count(const struct kr_lines_s *l);

/* The class operations, for the driver's table. */
void kr_lines_request(struct kr_lines_s *l, struct dev_gpio_rq_s *rq);
error_t kr_lines_cancel(struct kr_lines_s *l, struct dev_gpio_rq_s *rq);
error_t kr_lines_set_mode(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t mask,
                          uint32_t mode, uint32_t debounce_us);
error_t kr_lines_set_output(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t set_mask,
                            uint64_t clear_mask);
error_t kr_lines_get_input(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t *data);
/* device_start: edges are kept from now on. */
error_t kr_lines_start(struct kr_lines_s *l);

/* From the driver, any thread: there are edges; the chip is gone. */
void kr_lines_ready(struct kr_lines_s *l);
void kr_lines_gone(struct kr_lines_s *l);

/* What drivers do with these: f_use and the operations of their class, f_info and f_line_info left
   to the driver. `lines(dev)` are those of a device. */
#define KR_LINES_OPERATIONS(prefix, lines)                                                         \
    static error_t prefix##_use(struct device_s *dev, enum device_use_e use)                       \
    {                                                                                              \
        if (use == DEV_USE_START)                                                                  \
            return kr_lines_start(lines(dev));                                                     \
        return use == DEV_USE_STOP ? 0 : -ENOTSUP;                                                 \
    }                                                                                              \
    static DEV_GPIO_REQUEST(prefix##_request)                                                      \
    {                                                                                              \
        kr_lines_request(lines(acc->dev), rq);                                                     \
    }                                                                                              \
    static DEV_GPIO_CANCEL(prefix##_cancel)                                                        \
    {                                                                                              \
        return kr_lines_cancel(lines(acc->dev), rq);                                               \
    }                                                                                              \
    static DEV_GPIO_SET_MODE(prefix##_set_mode)                                                    \
    {                                                                                              \
        return kr_lines_set_mode(lines(acc->dev), io_first, io_last, mask, mode, debounce_us);     \
    }                                                                                              \
    static DEV_GPIO_SET_OUTPUT(prefix##_set_output)                                                \
    {                                                                                              \
        return kr_lines_set_output(lines(acc->dev), io_first, io_last, set_mask, clear_mask);      \
    }                                                                                              \
    static DEV_GPIO_GET_INPUT(prefix##_get_input)                                                  \
    {                                                                                              \
        return kr_lines_get_input(lines(acc->dev), io_first, io_last, data);                       \
    }                                                                                              \
    struct kr_lines_s

/* --- gpio_spec.c: what the specs of all gpio drivers have in common --- */

/* How the driver finds lines. */
struct kr_lines_finder_s {
    unsigned count; /* lines of the chip */
    /* Offset of the line with that name; -ENOENT: none; -ENOTUNIQ: several. */
    int (*find)(const struct kr_lines_finder_s *finder, const char *name);
    void *pv;
};

/* "CHIP/LINES" into its parts: CHIP in a buffer, LINES as the rest, NULL for "CHIP", a device that
   holds no lines and tells of all. -EINVAL with a text. */
error_t kr_lines_split(char *chip, size_t size, const char **lines, const char *driver,
                       const char *address);
/* LINES, "GPIO17,4-7,GPIO27": their offsets, in that order. The number, 0 for NULL, or a negative
   errno with a text: -ENOENT, -EINVAL, -E2BIG more than DEV_GPIO_LINES_MAX. */
int kr_lines_parse(uint32_t *offsets, const char *lines, const struct kr_lines_finder_s *finder);

struct kr_lines_keys_s {
    struct kr_line_mode_s mode; /* of all lines */
    uint64_t values;            /* bit n: initial value of line n */
    bool has_value;
    bool realtime;
    unsigned buffer;
};

#define KR_LINES_MODES  "input|output|open-drain|open-source"
#define KR_LINES_PULLS  "up|down|none"
#define KR_LINES_EVENTS "rising|falling|both"
#define KR_LINES_CLOCKS "monotonic|realtime"

#define KR_LINES_PARAMS                                                                            \
    {"mode",           "input, output, open-drain, open-source; as it is", KR_LINES_MODES, 0, 0,   \
     DRIVER_PARAM_ENUM},                                                                           \
        {"pull", "up, down, none; as it is", KR_LINES_PULLS, 0, 0, DRIVER_PARAM_ENUM},             \
        {"active-low", "0 and 1 change places; no", NULL, 0, 0, DRIVER_PARAM_BOOL},                \
        {"value",    "first value of outputs, a bit a line: 5 sets the lines 0 and 2; 0",          \
         NULL,       0,                                                                            \
         UINT64_MAX, DRIVER_PARAM_UINT},                                                           \
        {"events",                                                                                 \
         "edges kept from the start: rising, falling, both",                                       \
         KR_LINES_EVENTS,                                                                          \
         0,                                                                                        \
         0,                                                                                        \
         DRIVER_PARAM_ENUM},                                                                       \
        {"debounce",       "us that a line must be quiet, by the library; 0", NULL, 0, 10000000,   \
         DRIVER_PARAM_UINT},                                                                       \
        {"kernel-debounce", "the same, by the kernel", NULL, 0, 10000000, DRIVER_PARAM_UINT},      \
        {"clock", "of timestamps: monotonic, realtime", KR_LINES_CLOCKS, 0, 0, DRIVER_PARAM_ENUM}, \
    {                                                                                              \
        "buffer", "edges that are kept, 1024", NULL, 1, 1024, DRIVER_PARAM_UINT                    \
    }

/* -EINVAL with a text: keys that contradict each other, a value for a line that is not there. */
error_t kr_lines_keys(struct kr_lines_keys_s *keys, const struct device_spec_s *spec,
                      unsigned count);

#endif
