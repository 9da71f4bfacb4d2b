/* SPDX-License-Identifier: MIT */
/*
 * The mem class: memory that is not of the processor: EEPROM, flash, RAM with a battery. Nested
 * completion (kroutine-nesting(7)). kroutine-mem(3).
 */
#ifndef KROUTINE_MEM_H
#define KROUTINE_MEM_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

DEVICE_ACCESSOR_DECLARE(mem);

enum dev_mem_rq_type_e {
    DEV_MEM_READ = 0,
    DEV_MEM_WRITE, /* over when it is in the memory for good; any address and size */
    DEV_MEM_ERASE, /* whole erase units; `data` is not used */
    DEV_MEM_TYPES,
};

/* `addr`, `data` and `size` advance to what is left.
   error: 0; -ERANGE not all of it is inside the memory: nothing was done; -EROFS; -ENOTSUP the
   memory needs, or has, no erase; -EINVAL an erase that is not of whole units, or size 0; -EBADMSG
   its own check failed; -ETIMEDOUT; -ECANCELED; -ENODEV; others of the device below. */
struct dev_mem_rq_s {
    DEV_REQUEST_INHERIT;
    uint64_t addr; /* bytes from the beginning */
    union {
        void *data;
        const void *out; /* DEV_MEM_WRITE; not changed */
    };
    size_t size; /* bytes */
};

DEV_REQUEST_DECLARE(mem);

struct dev_mem_info_s {
    char name[32];
    uint64_t size;  /* bytes */
    uint32_t page;  /* bytes that are written at once; writes that fit pages are the quickest */
    uint32_t erase; /* bytes of an erase unit; 0: none is needed */
    bool read_only;
    bool simulated;
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_mem_s {
    enum driver_class_e cl;
    void (*f_request)(const struct device_mem_s *acc, struct dev_mem_rq_s *rq);
    error_t (*f_cancel)(const struct device_mem_s *acc, struct dev_mem_rq_s *rq);
    error_t (*f_info)(const struct device_mem_s *acc, struct dev_mem_info_s *info);
};

/* Blocking, for threads. -EDEADLK in the reactor; errors as of the request. */
KROUTINE_API error_t dev_mem_wait_read(const struct device_mem_s *acc, uint64_t addr, void *data,
                                       size_t size);
KROUTINE_API error_t dev_mem_wait_write(const struct device_mem_s *acc, uint64_t addr,
                                        const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
