/* SPDX-License-Identifier: MIT */
/*
 * For the authors of drivers, in this tree or out of it. kroutine-drivers(7), driver_register(3).
 *
 * A driver is a const struct driver_s: its name is the prefix of the specs it serves, its class
 * tables are what accessors call. The core validates and binds a request before f_request sees it,
 * and calls f_open / f_close at most once at a time for a device. For a request of
 * every class but timer it sets `expires`: a driver whose requests can wait ends them with
 * -ETIMEDOUT when that has passed.
 */
#ifndef KROUTINE_DRIVER_H
#define KROUTINE_DRIVER_H

#include "char.h"
#include "device.h"
#include "dma.h"
#include "gpio.h"
#include "i2c.h"
#include "layer.h"
#include "mem.h"
#include "mmio.h"
#include "pwm.h"
#include "request.h"
#include "spi.h"
#include "timer.h"
#include "uart.h"
#include "valio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- specs --- */

enum driver_param_kind_e {
    DRIVER_PARAM_UINT = 0, /* decimal, 0x…; `min` to `max`; suffixes k (1000), M */
    DRIVER_PARAM_BOOL,     /* yes/no, on/off, true/false, 1/0 */
    DRIVER_PARAM_ENUM,     /* one of `words`, separated by '|'; the value is its index */
    DRIVER_PARAM_STRING,
};

/* A key that the specs of a driver may carry. Arrays end with a NULL key. */
struct driver_param_s {
    const char *key;
    const char *doc; /* one line, for krctl and error texts */
    const char *words;
    uint64_t min;
    uint64_t max;
    enum driver_param_kind_e kind;
};

struct device_spec_s; /* a parsed spec: valid during f_open */

/* "" if none. Of a layered driver: the spec of the device below, not decoded. */
KROUTINE_API const char *device_spec_address(const struct device_spec_s *spec);
KROUTINE_API bool device_spec_has(const struct device_spec_s *spec, const char *key);
KROUTINE_API uint64_t device_spec_uint(const struct device_spec_s *spec, const char *key,
                                       uint64_t otherwise);
KROUTINE_API const char *device_spec_string(const struct device_spec_s *spec, const char *key,
                                            const char *otherwise);

/* Sets kroutine_error_text() of the calling thread, and returns `err`: for f_open and helpers. */
KROUTINE_API error_t device_error(error_t err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- drivers --- */

/* Every class table starts with its class. */
struct driver_class_table_s {
    enum driver_class_e cl;
};

enum device_use_e {
    DEV_USE_START,        /* first device_start */
    DEV_USE_STOP,         /* last device_stop */
    DEV_USE_GET_ACCESSOR, /* an accessor is about to open: errors but -ENOTSUP refuse it */
};

#define DRIVER_CLASSES_MAX 4

struct driver_s {
    const char *name;                    /* spec prefix: letters, digits, '-' */
    const char *desc;                    /* one line */
    const struct driver_param_s *params; /* NULL: no keys */
    size_t pv_size;                      /* bytes of private memory a device, zeroed */
    /* Mandatory. Any thread, may block as open(2) does, no lock held. 0, or a negative errno with
       device_error(): the device is then discarded, f_close is not called. */
    error_t (*f_open)(struct device_s *dev, const struct device_spec_s *spec);
    /* Mandatory. Completes all that is pending with -ECANCELED before it returns. The core refuses
       new requests by then, but calls that were under way on other threads may still be, and must
       be refused with -ECANCELED (or -ENODEV); device_pv() stays until they are out. Any thread,
       also one that is in a handler of this device. */
    void (*f_close)(struct device_s *dev);
    /* Optional: device_start, device_stop, device_get_accessor. */
    error_t (*f_use)(struct device_s *dev, enum device_use_e use);
    /* Optional. After f_close, once no call is under way and nothing holds the device: frees what
       such calls may have used. Any thread; the runtime may be gone. */
    void (*f_free)(struct device_s *dev);
    const struct driver_class_table_s *classes[DRIVER_CLASSES_MAX]; /* the rest NULL */
    /* The address of its specs is the path of another device, which f_open opens in the tree of
       `dev`: "slip:tty:/dev/ttyUSB0?baud=9600". Keys that `params` does not have, and the second
       of one that it has, belong to that path: device_spec_address() has them. */
    bool layered;
};

/* Adds a driver to the process; it must stay in memory. -EEXIST: a driver has that name.
   -EINVAL: a mandatory field is missing. -ENOMEM. */
KROUTINE_API error_t driver_register(const struct driver_s *driver);

/* The drivers known to the process, NULL after the last. */
KROUTINE_API const struct driver_s *driver_get(unsigned index);

/* Adds a device named `name` to the tree `root` (NULL: the default runtime's), made by `driver`
   from the text of a spec without its prefix ("address?key=value", "" or NULL). It stays until
   device_destroy or the end of the runtime. `*ret` may be NULL. -EEXIST; others as
   device_get_accessor_by_path. */
KROUTINE_API error_t device_create(struct device_s **ret, struct device_s *root, const char *name,
                                   const struct driver_s *driver, const char *spec);

/* Removes a device made by device_create. -EBUSY: accessors are open. */
KROUTINE_API error_t device_destroy(struct device_s *dev);

/* Private memory of the driver, `pv_size` bytes. */
KROUTINE_API void *device_pv(const struct device_s *dev);

/* Keeps the memory of a device while it is closed and even put, for instance while a callback of
   the driver is running. */
KROUTINE_API struct device_s *device_hold(struct device_s *dev);
KROUTINE_API void device_release(struct device_s *dev);

/* --- declaring operations, with the model's names --- */

#define DEV_CHAR_REQUEST(name) void name(const struct device_char_s *acc, struct dev_char_rq_s *rq)
#define DEV_CHAR_CANCEL(name)                                                                      \
    error_t name(const struct device_char_s *acc, struct dev_char_rq_s *rq)
#define DRIVER_CHAR_METHODS(prefix)                                                                \
    {                                                                                              \
        DRIVER_CLASS_CHAR, prefix##_request, prefix##_cancel                                       \
    }

#define DEV_TIMER_REQUEST(name)                                                                    \
    error_t name(const struct device_timer_s *acc, struct dev_timer_rq_s *rq)
#define DEV_TIMER_CANCEL(name)                                                                     \
    error_t name(const struct device_timer_s *acc, struct dev_timer_rq_s *rq)
#define DEV_TIMER_GET_VALUE(name)                                                                  \
    error_t name(const struct device_timer_s *acc, dev_timer_value_t *value, uint32_t rev)
#define DEV_TIMER_CONFIG(name)                                                                     \
    error_t name(const struct device_timer_s *acc, struct dev_timer_config_s *cfg, uint32_t res)
#define DRIVER_TIMER_METHODS(prefix)                                                               \
    {                                                                                              \
        DRIVER_CLASS_TIMER, prefix##_request, prefix##_cancel, prefix##_get_value, prefix##_config \
    }

#define DEV_UART_GET_CONFIG(name)                                                                  \
    error_t name(const struct device_uart_s *acc, struct dev_uart_config_s *cfg)
#define DEV_UART_SET_CONFIG(name)                                                                  \
    error_t name(const struct device_uart_s *acc, const struct dev_uart_config_s *cfg)
#define DEV_UART_GET_RS485(name)                                                                   \
    error_t name(const struct device_uart_s *acc, struct dev_uart_rs485_s *rs485)
#define DEV_UART_SET_RS485(name)                                                                   \
    error_t name(const struct device_uart_s *acc, const struct dev_uart_rs485_s *rs485)
#define DEV_UART_GET_LINES(name) error_t name(const struct device_uart_s *acc, uint32_t *lines)
#define DEV_UART_SET_LINES(name)                                                                   \
    error_t name(const struct device_uart_s *acc, uint32_t set, uint32_t clear)
#define DEV_UART_GET_LOW_LATENCY(name) error_t name(const struct device_uart_s *acc, bool *on)
#define DEV_UART_SET_LOW_LATENCY(name) error_t name(const struct device_uart_s *acc, bool on)
#define DEV_UART_GET_COUNTS(name)                                                                  \
    error_t name(const struct device_uart_s *acc, struct dev_uart_counts_s *counts)
#define DEV_UART_SET_BREAK(name) error_t name(const struct device_uart_s *acc, bool on)
#define DEV_UART_FLUSH(name)                                                                       \
    error_t name(const struct device_uart_s *acc, enum dev_uart_flush_e which)
#define DEV_UART_REQUEST(name) void name(const struct device_uart_s *acc, struct dev_uart_rq_s *rq)
#define DEV_UART_CANCEL(name)                                                                      \
    error_t name(const struct device_uart_s *acc, struct dev_uart_rq_s *rq)
#define DRIVER_UART_METHODS(prefix)                                                                \
    {                                                                                              \
        DRIVER_CLASS_UART, prefix##_get_config, prefix##_set_config, prefix##_get_rs485,           \
            prefix##_set_rs485, prefix##_get_lines, prefix##_set_lines, prefix##_get_low_latency,  \
            prefix##_set_low_latency, prefix##_get_counts, prefix##_set_break, prefix##_flush,     \
            prefix##_request, prefix##_cancel                                                      \
    }

#define DEV_GPIO_REQUEST(name) void name(const struct device_gpio_s *acc, struct dev_gpio_rq_s *rq)
#define DEV_GPIO_CANCEL(name)                                                                      \
    error_t name(const struct device_gpio_s *acc, struct dev_gpio_rq_s *rq)
#define DEV_GPIO_SET_MODE(name)                                                                    \
    error_t name(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,             \
                 uint64_t mask, uint32_t mode, uint32_t debounce_us)
#define DEV_GPIO_SET_OUTPUT(name)                                                                  \
    error_t name(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,             \
                 uint64_t set_mask, uint64_t clear_mask)
#define DEV_GPIO_GET_INPUT(name)                                                                   \
    error_t name(const struct device_gpio_s *acc, uint16_t io_first, uint16_t io_last,             \
                 uint64_t *data)
#define DEV_GPIO_INFO(name)                                                                        \
    error_t name(const struct device_gpio_s *acc, struct dev_gpio_info_s *info)
#define DEV_GPIO_LINE_INFO(name)                                                                   \
    error_t name(const struct device_gpio_s *acc, uint16_t io, struct dev_gpio_line_info_s *info)
#define DRIVER_GPIO_METHODS(prefix)                                                                \
    {                                                                                              \
        DRIVER_CLASS_GPIO, prefix##_request, prefix##_cancel, prefix##_set_mode,                   \
            prefix##_set_output, prefix##_get_input, prefix##_info, prefix##_line_info             \
    }

#define DEV_MMIO_INFO(name)                                                                        \
    error_t name(const struct device_mmio_s *acc, struct dev_mmio_info_s *info)
#define DEV_MMIO_REGION(name)                                                                      \
    error_t name(const struct device_mmio_s *acc, uint32_t index, struct dev_mmio_region_s *region)
#define DEV_MMIO_MAP(name)                                                                         \
    error_t name(const struct device_mmio_s *acc, uint32_t index, struct dev_mmio_s *window)
#define DEV_MMIO_UNMAP(name)                                                                       \
    error_t name(const struct device_mmio_s *acc, struct dev_mmio_s *window)
#define DEV_MMIO_CONFIG(name)                                                                      \
    error_t name(const struct device_mmio_s *acc, uint32_t offset, void *data, size_t size,        \
                 bool write)
#define DEV_MMIO_RESET(name)      error_t name(const struct device_mmio_s *acc)
#define DEV_MMIO_BUS_MASTER(name) error_t name(const struct device_mmio_s *acc, bool on)
#define DEV_MMIO_IRQ_REQUEST(name)                                                                 \
    error_t name(const struct device_mmio_s *acc, struct dev_irq_s *irq)
#define DEV_MMIO_IRQ_RELEASE(name)                                                                 \
    error_t name(const struct device_mmio_s *acc, struct dev_irq_s *irq)
#define DEV_MMIO_IRQ_MASK(name) error_t name(const struct device_mmio_s *acc, struct dev_irq_s *irq)
#define DEV_MMIO_IRQ_UNMASK(name)                                                                  \
    error_t name(const struct device_mmio_s *acc, struct dev_irq_s *irq)
#define DEV_MMIO_IRQ_NUMBER(name)                                                                  \
    error_t name(const struct device_mmio_s *acc, struct dev_irq_s *irq, unsigned *number)
#define DEV_MMIO_DMA_MAP(name)                                                                     \
    error_t name(const struct device_mmio_s *acc, struct dev_dma_map_s *map)
#define DEV_MMIO_DMA_UNMAP(name)                                                                   \
    error_t name(const struct device_mmio_s *acc, struct dev_dma_map_s *map)
#define DRIVER_MMIO_METHODS(prefix)                                                                \
    {                                                                                              \
        DRIVER_CLASS_MMIO, prefix##_info, prefix##_region, prefix##_map, prefix##_unmap,           \
            prefix##_config, prefix##_reset, prefix##_bus_master, prefix##_irq_request,            \
            prefix##_irq_release, prefix##_irq_mask, prefix##_irq_unmask, prefix##_irq_number,     \
            prefix##_dma_map, prefix##_dma_unmap                                                   \
    }

#define DEV_DMA_REQUEST(name) error_t name(const struct device_dma_s *acc, struct dev_dma_rq_s *rq)
#define DEV_DMA_CANCEL(name)  error_t name(const struct device_dma_s *acc, struct dev_dma_rq_s *rq)
#define DEV_DMA_INFO(name)    error_t name(const struct device_dma_s *acc, struct dev_dma_info_s *info)
#define DEV_DMA_MAP(name)     error_t name(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
#define DEV_DMA_UNMAP(name)   error_t name(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
#define DEV_DMA_ALLOC(name)   error_t name(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
#define DEV_DMA_FREE(name)    void name(const struct device_dma_s *acc, struct dev_dma_mem_s *mem)
#define DRIVER_DMA_METHODS(prefix)                                                                 \
    {                                                                                              \
        DRIVER_CLASS_DMA, prefix##_request, prefix##_cancel, prefix##_info, prefix##_map,          \
            prefix##_unmap, NULL, NULL                                                             \
    }
/* With f_alloc and f_free: an engine that has memory of its own. */
#define DRIVER_DMA_POOL_METHODS(prefix)                                                            \
    {                                                                                              \
        DRIVER_CLASS_DMA, prefix##_request, prefix##_cancel, prefix##_info, prefix##_map,          \
            prefix##_unmap, prefix##_alloc, prefix##_free                                          \
    }

#define DEV_I2C_REQUEST(name) void name(const struct device_i2c_s *acc, struct dev_i2c_rq_s *rq)
#define DEV_I2C_CANCEL(name)  error_t name(const struct device_i2c_s *acc, struct dev_i2c_rq_s *rq)
#define DEV_I2C_INFO(name)    error_t name(const struct device_i2c_s *acc, struct dev_i2c_info_s *info)
#define DRIVER_I2C_METHODS(prefix)                                                                 \
    {                                                                                              \
        DRIVER_CLASS_I2C, prefix##_request, prefix##_cancel, prefix##_info                         \
    }

#define DEV_MEM_REQUEST(name) void name(const struct device_mem_s *acc, struct dev_mem_rq_s *rq)
#define DEV_MEM_CANCEL(name)  error_t name(const struct device_mem_s *acc, struct dev_mem_rq_s *rq)
#define DEV_MEM_INFO(name)    error_t name(const struct device_mem_s *acc, struct dev_mem_info_s *info)
#define DRIVER_MEM_METHODS(prefix)                                                                 \
    {                                                                                              \
        DRIVER_CLASS_MEM, prefix##_request, prefix##_cancel, prefix##_info                         \
    }

#define DEV_PWM_REQUEST(name) void name(const struct device_pwm_s *acc, struct dev_pwm_rq_s *rq)
#define DEV_PWM_CANCEL(name)  error_t name(const struct device_pwm_s *acc, struct dev_pwm_rq_s *rq)
#define DEV_PWM_INFO(name)    error_t name(const struct device_pwm_s *acc, struct dev_pwm_info_s *info)
#define DRIVER_PWM_METHODS(prefix)                                                                 \
    {                                                                                              \
        DRIVER_CLASS_PWM, prefix##_request, prefix##_cancel, prefix##_info                         \
    }

#define DEV_VALIO_REQUEST(name)                                                                    \
    void name(const struct device_valio_s *acc, struct dev_valio_rq_s *rq)
#define DEV_VALIO_CANCEL(name)                                                                     \
    error_t name(const struct device_valio_s *acc, struct dev_valio_rq_s *rq)
#define DEV_VALIO_INFO(name)                                                                       \
    error_t name(const struct device_valio_s *acc, struct dev_valio_info_s *info)
#define DRIVER_VALIO_METHODS(prefix)                                                               \
    {                                                                                              \
        DRIVER_CLASS_VALIO, prefix##_request, prefix##_cancel, prefix##_info                       \
    }

#define DEV_SPI_REQUEST(name) void name(const struct device_spi_s *acc, struct dev_spi_rq_s *rq)
#define DEV_SPI_CANCEL(name)  error_t name(const struct device_spi_s *acc, struct dev_spi_rq_s *rq)
#define DEV_SPI_CONFIG(name)                                                                       \
    error_t name(const struct device_spi_s *acc, const struct dev_spi_config_s *cfg)
#define DEV_SPI_INFO(name) error_t name(const struct device_spi_s *acc, struct dev_spi_info_s *info)
#define DRIVER_SPI_METHODS(prefix)                                                                 \
    {                                                                                              \
        DRIVER_CLASS_SPI, prefix##_request, prefix##_cancel, prefix##_config, prefix##_info        \
    }

/* --- request queues of a driver: FIFO, the lock is the driver's --- */

struct dev_request_queue_root_s {
    struct dev_request_s *head;
    struct dev_request_s *tail;
};

static inline void dev_rq_queue_init(struct dev_request_queue_root_s *q)
{
    q->head = q->tail = NULL;
}

static inline bool dev_rq_queue_isempty(const struct dev_request_queue_root_s *q)
{
    return q->head == NULL;
}

KROUTINE_API void dev_rq_pushback(struct dev_request_queue_root_s *q, struct dev_request_s *rq);
KROUTINE_API struct dev_request_s *dev_rq_pop(struct dev_request_queue_root_s *q);
KROUTINE_API void dev_rq_remove(struct dev_request_queue_root_s *q, struct dev_request_s *rq);

/* Ends a request: set rq->error first. The driver must not touch it afterwards, and must hold no
   lock: the handler may run before this returns. */
KROUTINE_API void dev_request_done(struct dev_request_s *rq);

/* As dev_request_done, and first gives the memory back that the request has pinned: its handler may
   unmap it. */
KROUTINE_API void dev_dma_rq_done(struct dev_dma_rq_s *rq);

/* *bus = what the engine calls `address`, which is in memory of a request that the driver has, with
   `size` bytes. -EFAULT: it is not. Any thread. */
KROUTINE_API error_t dev_dma_bus(const struct device_s *dev, const void *address, size_t size,
                                 uint64_t *bus);

/* For f_close of a driver that has to undo its mappings itself: calls f_unmap for each that is
   left. The engine has stopped, and requests are over. The memory stays until its owner unmaps it.
 */
KROUTINE_API void dev_dma_detach(struct device_s *dev);

/* Whether all registers that a request of the dma class touches, in all its rows and loops, are
   among the `size` bytes from address `base` on. True when it touches none. */
KROUTINE_API bool dev_dma_registers_inside(const struct dev_dma_rq_s *rq, uint64_t base,
                                           uint64_t size);

/* Walking through a request of the dma class, piece by piece, for engines that do not know rows and
   loops. All zero: at its beginning. One thread at a time. */
struct dev_dma_walk_s {
    uint32_t loop;
    uint32_t index; /* of the list */
    size_t row;
    size_t offset;
    uint32_t in_period; /* descriptors ended since the last period ended */
};

struct dev_dma_piece_s {
    uint64_t src; /* addresses of the process, or of registers */
    uint64_t dst;
    size_t size;
    bool backwards; /* the row overlaps itself upwards: its last bytes come first */
};

/* What comes next: at most `max` bytes, at most to the end of a row. The same again until the walk
   has advanced. Not when it is over. */
KROUTINE_API void dev_dma_walk_piece(struct dev_dma_piece_s *piece, const struct dev_dma_rq_s *rq,
                                     const struct dev_dma_walk_s *walk, size_t max);
/* `size` bytes of that piece are done; *period: with them, a period. */
KROUTINE_API void dev_dma_walk_advance(const struct dev_dma_rq_s *rq, struct dev_dma_walk_s *walk,
                                       size_t size, bool *period);
static inline bool dev_dma_walk_over(const struct dev_dma_rq_s *rq,
                                     const struct dev_dma_walk_s *walk)
{
    return rq->loops != DEV_DMA_CONTINUOUS && walk->loop == rq->loops;
}

/* dev_<class>_rq_head, _pushback, _pop, _remove; and _done. */
#define DEV_REQUEST_LIST_OPS(cl)                                                                   \
    static inline struct dev_##cl##_rq_s *dev_##cl##_rq_head(                                      \
        const struct dev_request_queue_root_s *q)                                                  \
    {                                                                                              \
        return q->head ? dev_##cl##_rq_cast(q->head) : NULL;                                       \
    }                                                                                              \
    static inline void dev_##cl##_rq_pushback(struct dev_request_queue_root_s *q,                  \
                                              struct dev_##cl##_rq_s *rq)                          \
    {                                                                                              \
        dev_rq_pushback(q, &rq->base);                                                             \
    }                                                                                              \
    static inline struct dev_##cl##_rq_s *dev_##cl##_rq_pop(struct dev_request_queue_root_s *q)    \
    {                                                                                              \
        struct dev_request_s *rq = dev_rq_pop(q);                                                  \
        return rq ? dev_##cl##_rq_cast(rq) : NULL;                                                 \
    }                                                                                              \
    static inline void dev_##cl##_rq_remove(struct dev_request_queue_root_s *q,                    \
                                            struct dev_##cl##_rq_s *rq)                            \
    {                                                                                              \
        dev_rq_remove(q, &rq->base);                                                               \
    }                                                                                              \
    struct dev_##cl##_rq_s

#define DEV_REQUEST_QUEUE_OPS(cl)                                                                  \
    DEV_REQUEST_LIST_OPS(cl);                                                                      \
    static inline void dev_##cl##_rq_done(struct dev_##cl##_rq_s *rq)                              \
    {                                                                                              \
        dev_request_done(&rq->base);                                                               \
    }                                                                                              \
    struct dev_##cl##_rq_s

DEV_REQUEST_QUEUE_OPS(char);
DEV_REQUEST_LIST_OPS(dma);
DEV_REQUEST_QUEUE_OPS(gpio);
DEV_REQUEST_QUEUE_OPS(i2c);
DEV_REQUEST_QUEUE_OPS(mem);
DEV_REQUEST_QUEUE_OPS(pwm);
DEV_REQUEST_QUEUE_OPS(spi);
DEV_REQUEST_QUEUE_OPS(timer);
DEV_REQUEST_QUEUE_OPS(uart);
DEV_REQUEST_QUEUE_OPS(valio);

#ifdef __cplusplus
}
#endif
#endif
