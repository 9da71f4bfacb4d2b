/* SPDX-License-Identifier: MIT */
/*
 * Devices and accessors. device_get_accessor(3), device_start(3), DEVICE_OP(3); specs in
 * kroutine-spec(7).
 */
#ifndef KROUTINE_DEVICE_H
#define KROUTINE_DEVICE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device_s; /* a node of a device tree; opaque */

enum driver_class_e {
    DRIVER_CLASS_NONE = 0, /* any device: for device_start and friends */
    DRIVER_CLASS_CHAR,
    DRIVER_CLASS_UART,
    DRIVER_CLASS_TIMER,
    DRIVER_CLASS_DMA,
    DRIVER_CLASS_GPIO,
    DRIVER_CLASS_I2C,
    DRIVER_CLASS_SPI,
    DRIVER_CLASS_PWM,
    DRIVER_CLASS_MEM,
    DRIVER_CLASS_MMIO,
    DRIVER_CLASS_VALIO,
    DRIVER_CLASS_COUNT,
};

/* The fields of an accessor: `api` is what DEVICE_OP calls, `drv` the table of the driver. */
#define DEVICE_ACCESSOR_FIELDS(api_type)                                                           \
    struct device_s *dev;                                                                          \
    const api_type *api;                                                                           \
    const api_type *drv;                                                                           \
    uint32_t number

/* A counted reference to a device and a shortcut to one class of its driver. */
struct device_accessor_s {
    DEVICE_ACCESSOR_FIELDS(void);
};

/* struct device_<class>_s: as above, with the tables typed. */
#define DEVICE_ACCESSOR_DECLARE(cl)                                                                \
    struct driver_##cl##_s;                                                                        \
    struct device_##cl##_s {                                                                       \
        union {                                                                                    \
            struct device_accessor_s base;                                                         \
            __extension__ struct {                                                                 \
                DEVICE_ACCESSOR_FIELDS(struct driver_##cl##_s);                                    \
            };                                                                                     \
        };                                                                                         \
    }

#define DEVICE_ACCESSOR_INIT                                                                       \
    {                                                                                              \
        {                                                                                          \
            {                                                                                      \
                NULL, NULL, NULL, 0                                                                \
            }                                                                                      \
        }                                                                                          \
    }

/* Calls operation `op` of the class: DEVICE_OP(&uart, request, &rq). The accessor must be open. */
#define DEVICE_OP(acc, op, ...) ((acc)->api->f_##op((acc), ##__VA_ARGS__))

/* False when the driver does not have the operation (calling it gives -ENOTSUP). */
#define DEVICE_HAS_OP(acc, op) ((acc)->drv->f_##op != NULL)

/* Looks a device up, or makes it, and opens an accessor. `path`: a name in the tree below `root`
   (NULL: the default runtime's tree), with ? and * wild cards, several names separated by spaces;
   or a spec "driver:address?key=value&…" (%20 is a space). The first match that has class `cl` is
   taken; wild cards do not match devices made by a spec. The same spec again is the same device.
   `acc` is untouched on failure; kroutine_error_text() then names the part that is wrong.
   -ENOENT: nothing has that name, or no such driver. -ENOTSUP: the device has no such class.
   -EINVAL: the spec is malformed. -ERANGE: a value is out of range. -EBUSY: open elsewhere, for
   exclusive use, or being closed by a thread that this handler may not wait for. -EPERM: forked
   child. -ECANCELED: the runtime is being destroyed. Others: as open(2). May block for as long as
   open(2) does. */
KROUTINE_API error_t device_get_accessor_by_path(struct device_accessor_s *acc,
                                                 struct device_s *root, const char *path,
                                                 enum driver_class_e cl);

/* The same for a device that is at hand. */
KROUTINE_API error_t device_get_accessor(struct device_accessor_s *acc, struct device_s *dev,
                                         enum driver_class_e cl);

/* One more reference, to be put like the first. */
KROUTINE_API error_t device_copy_accessor(struct device_accessor_s *to,
                                          const struct device_accessor_s *from);

/* Gives a reference back and clears `acc`. A device made by a spec closes with its last accessor:
   what is pending completes with -ECANCELED before this returns. Any thread, handlers included.
   An accessor that is not open is left alone. */
KROUTINE_API void device_put_accessor(struct device_accessor_s *acc);

KROUTINE_API bool device_check_accessor(const struct device_accessor_s *acc); /* open? */
KROUTINE_API bool device_cmp_accessor(const struct device_accessor_s *a, /* same device, class? */
                                      const struct device_accessor_s *b);

/* Counted: keep running with no request queued. The meaning is the class's; see its page.
   -EINVAL: stop without start. */
KROUTINE_API error_t device_start(struct device_accessor_s *acc);
KROUTINE_API error_t device_stop(struct device_accessor_s *acc);

/* Name in the tree, for a device made by spec the spec itself. Valid while an accessor is open. */
KROUTINE_API const char *device_name(const struct device_s *dev);
KROUTINE_API const char *device_driver_name(const struct device_s *dev);
KROUTINE_API bool device_has_class(const struct device_s *dev, enum driver_class_e cl);
KROUTINE_API const char *device_class_name(enum driver_class_e cl); /* "char", … */

/* The runtime that owns the device. */
KROUTINE_API struct kroutine_runtime_s *device_runtime(const struct device_s *dev);

/* Calls `fn` for every device of the tree (NULL: the default runtime's) until it returns false. The
   tree is locked meanwhile: `fn` may look, not open or close. */
KROUTINE_API void device_foreach(struct device_s *root,
                                 bool (*fn)(const struct device_s *dev, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
