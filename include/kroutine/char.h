/* SPDX-License-Identifier: MIT */
/*
 * The char class: streams of bytes, or of frames. Nested completion (kroutine-nesting(7)).
 * dev_char_rq_init(3), dev_char_request(3), dev_char_wait(3).
 */
#ifndef KROUTINE_CHAR_H
#define KROUTINE_CHAR_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dev_char_rq_type_e {
    DEV_CHAR_READ = 0,      /* all `size` bytes */
    DEV_CHAR_READ_PARTIAL,  /* at least one */
    DEV_CHAR_READ_NONBLOCK, /* what is there when its turn comes, perhaps nothing: error 0 */
    DEV_CHAR_READ_FRAME,    /* one frame, at most `size` bytes */
    DEV_CHAR_READ_POLL,     /* until a read would give something; `data` and `size` unused */
    DEV_CHAR_DISCARD,       /* reads `size` bytes and drops them; `data` unused */
    DEV_CHAR_WRITE,
    DEV_CHAR_WRITE_PARTIAL,
    DEV_CHAR_WRITE_NONBLOCK,
    DEV_CHAR_WRITE_FRAME, /* `size` bytes as one frame */
    DEV_CHAR_WRITE_POLL,
    DEV_CHAR_WRITE_FLUSH, /* as WRITE, and completes when the bytes have left the device */
    DEV_CHAR_WRITE_PARTIAL_FLUSH,
    DEV_CHAR_WRITE_NONBLOCK_FLUSH,
    DEV_CHAR_WRITE_FRAME_FLUSH,
    DEV_CHAR_TYPES,
};

DEVICE_ACCESSOR_DECLARE(char);

/* Set `type`, `data` and `size` before each submit. At the end, however it ends, `data` has
   advanced by what was transferred and `size` is what is left.
   error: 0; -ECANCELED; -ETIMEDOUT; -ENODEV the device is gone; -ENODATA end of the stream (file,
   pipe, socket) before the request was satisfied; -EPIPE writing: nobody reads any more, reading:
   data was lost to an overrun (reported once); -EBADMSG parity or framing error (once); -ENOSPC the
   frame is larger than `size` (it is dropped) or than the device can hold; -EINVAL size 0, unknown
   type; -ENOTSUP type that this device does not have, or nothing is
   ready and the device has no way to wait; -EIO and others, as read(2) and write(2). */
struct dev_char_rq_s {
    DEV_REQUEST_INHERIT;
    uint8_t *data;
    size_t size;
};

DEV_REQUEST_DECLARE(char);

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_char_s {
    enum driver_class_e cl;
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_char_s *acc, struct dev_char_rq_s *rq);
    /* 0: cancelled, the handler never runs. -EBUSY: it runs, or has run. -ENOTSUP. */
    error_t (*f_cancel)(const struct device_char_s *acc, struct dev_char_rq_s *rq);
};

/* Blocking, for threads: bytes transferred (0 is a success of the NONBLOCK types), or a negative
   errno as above; -EDEADLK in the reactor. After -ENODATA, -ENODEV, -ETIMEDOUT or -ECANCELED what
   was transferred counts: fewer bytes than asked for, and the next call has the error. */
KROUTINE_API ptrdiff_t dev_char_wait_op(const struct device_char_s *acc,
                                        enum dev_char_rq_type_e type, void *data, size_t size);

/* The same with a time-out in ns, 0: none; -ETIMEDOUT when nothing at all was transferred. */
KROUTINE_API ptrdiff_t dev_char_timedwait_op(const struct device_char_s *acc,
                                             enum dev_char_rq_type_e type, void *data, size_t size,
                                             uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
