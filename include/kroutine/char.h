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
    DEV_CHAR_READ_TIMED,    /* in a struct dev_char_timed_rq_s only: ends by number or by silence */
    DEV_CHAR_WRITE,
    DEV_CHAR_WRITE_PARTIAL,
    DEV_CHAR_WRITE_NONBLOCK,
    DEV_CHAR_WRITE_FRAME, /* `size` bytes as one frame */
    DEV_CHAR_WRITE_POLL,
    DEV_CHAR_WRITE_FLUSH, /* as WRITE, and completes when the bytes have left the device; with
                             `size` 0 it writes nothing, and completes when everything that was
                             written before has left */
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
   frame is larger than `size` (it is dropped) or than the device can hold; -EINVAL size 0 (but for
   the POLL types and WRITE_FLUSH), unknown type, READ_TIMED: `min` is 0 or more than `size`;
   -ENOTSUP type that this device does not have, or nothing is ready and the device has no way to
   wait; -EIO and others, as read(2) and write(2). */
struct dev_char_rq_s {
    DEV_REQUEST_INHERIT;
    uint8_t *data;
    size_t size;
};

DEV_REQUEST_DECLARE(char);

/* A read that knows time, of a stream of bytes. `rq.type` must be DEV_CHAR_READ_TIMED, which tells
   the driver of the fields around it, and no other request may have that type. Initialise `rq` with
   dev_char_rq_init() or another of them; set `min` and `gap` as `data` and `size`, before a submit.

   It ends with error 0 when
   - `size` bytes are there, or
   - `min` bytes are there and `gap` is 0, or
   - `min` bytes are there and no other has come for `gap` ns;
   with -ETIMEDOUT when the time-out of the request (dev_request_set_timeout) passes before that; or
   as READ does. `data` and `size` tell what came, whatever the error is.

   Before silence or the time-out is believed the device is read once more: what had come by then is
   part of the request, however late the reactor is. A device of records has no such reads:
   -ENOTSUP. */
struct dev_char_timed_rq_s {
    struct dev_char_rq_s rq;
    size_t min;   /* bytes, 1 to size */
    uint64_t gap; /* ns of silence after a byte; 0: `min` bytes alone end it */
};

/* In a handler: the timed request around `rq`. */
static inline struct dev_char_timed_rq_s *dev_char_timed_rq_from_kr(struct kroutine_s *kr)
{
    return KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct dev_char_timed_rq_s, rq);
}

/* The same for a driver, which has seen the type. */
static inline struct dev_char_timed_rq_s *dev_char_timed_rq_cast(struct dev_char_rq_s *rq)
{
    return KROUTINE_CONTAINER(rq, struct dev_char_timed_rq_s, rq);
}

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_char_s {
    enum driver_class_e cl;
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_char_s *acc, struct dev_char_rq_s *rq);
    /* 0: cancelled, the handler never runs. -EBUSY: it runs, or has run. -ENOTSUP. */
    error_t (*f_cancel)(const struct device_char_s *acc, struct dev_char_rq_s *rq);
};

/* Blocking, for threads: bytes transferred (0 is a success of the NONBLOCK types), or a negative
   errno as above; -EDEADLK in the reactor; -EINVAL for READ_TIMED, see dev_char_wait_read. After
   -ENODATA, -ENODEV, -ETIMEDOUT or -ECANCELED what was transferred counts: fewer bytes than asked
   for, and the next call has the error. */
KROUTINE_API ptrdiff_t dev_char_wait_op(const struct device_char_s *acc,
                                        enum dev_char_rq_type_e type, void *data, size_t size);

/* The same with a time-out in ns, 0: none; -ETIMEDOUT when nothing at all was transferred. */
KROUTINE_API ptrdiff_t dev_char_timedwait_op(const struct device_char_s *acc,
                                             enum dev_char_rq_type_e type, void *data, size_t size,
                                             uint64_t timeout_ns);

/* READ_TIMED: bytes read, `min` of them at least and `size` at most, when `gap_ns` of silence or
   the number ends it. Fewer than `min`: the time-out passed (timeout_ns, 0: none), or the stream
   ended, after these. -ETIMEDOUT when none came; -EINVAL: min is 0 or more than size; others as
   above. */
KROUTINE_API ptrdiff_t dev_char_wait_read(const struct device_char_s *acc, void *data, size_t size,
                                          size_t min, uint64_t gap_ns, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
