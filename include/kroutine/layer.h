/* SPDX-License-Identifier: MIT */
/*
 * The frame of a driver on top of another device: a chip on an i2c bus, a protocol over a line.
 * kroutine-drivers(7), "A driver on top of another"; dev_layer_open(3).
 *
 * The frame has the queue, cancel, time-outs, close and the request below; the driver has one
 * function, the step, which says what comes next. Requests are worked off one after the other in
 * the order of submission, those of all classes of the device together.
 *
 *     QUEUED ──its turn──▶ ACTIVE: step(rq, 0) ──┬─ 0 or a negative errno ──▶ over
 *                            ▲                   ├─ DEV_LAYER_SUBMIT ──────────┬▶ the request
 *                            │                   └─ dev_layer_submit_after ────┘  below ends ─┐
 *                            └──────────────────── step(rq, error of the request below) ◀─────┘
 *
 * A request of a driver that uses it starts with rq_progress 0, and keeps the state of the driver
 * there.
 */
#ifndef KROUTINE_LAYER_H
#define KROUTINE_LAYER_H

#include "device.h"
#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dev_layer_s; /* first member of the private memory of the device: struct dev_layer_s *layer
                     */
struct device_spec_s;

/* What a step returns, beside 0 and negative errnos, which end the request. */
enum dev_layer_next_e {
    DEV_LAYER_SUBMIT = 1, /* submit the request below, which is filled in */
    DEV_LAYER_PAUSE = 2,  /* only as `return dev_layer_submit_after(dev, ns);` */
};

/* Says what comes next for `rq`. `err`: 0 the first time, then the error of the request below,
   which is the driver's again. No lock is held, and no other step of this device runs; any thread.
   It must not block, and not close or cancel anything. What the request below points to has to be
   in the private memory: `rq` and its buffers may be gone before the request below is over. It is
   called for a request that is being cancelled, late or closed too, to account for what was done:
   what it wants next is not done any more then. */
typedef int dev_layer_step_t(struct device_s *dev, struct dev_request_s *rq, error_t err);

/* For f_open of a layered driver: opens the device that the address of `spec` names with class `cl`
   in `acc`, and makes the frame. `below`, of that class, is the request below: of the frame from
   here on, but for the members of its class. Both are in the private memory.
   -EINVAL: the address is missing. -ENOMEM. Others as device_get_accessor_by_path. The text is set.
   After a later failure f_open calls dev_layer_discard. */
KROUTINE_API error_t dev_layer_open(struct device_s *dev, const struct device_spec_s *spec,
                                    dev_layer_step_t *step, struct device_accessor_s *acc,
                                    enum driver_class_e cl, struct dev_request_s *below);
KROUTINE_API void dev_layer_discard(struct device_s *dev);

/* The f_close and the f_free of the driver. The close ends everything with -ECANCELED, and waits
   for the request below only where that device is closed with it. */
KROUTINE_API void dev_layer_close(struct device_s *dev);
KROUTINE_API void dev_layer_free(struct device_s *dev);

/* Of the struct driver_s. */
#define DEV_LAYER_LIFE .f_close = dev_layer_close, .f_free = dev_layer_free, .layered = true

/* What f_request and f_cancel call: DEV_LAYER_OPS defines them. A request takes its priority
   (kroutine_set_priority) along to the device below. */
KROUTINE_API void dev_layer_request(struct device_s *dev, struct dev_request_s *rq);
KROUTINE_API error_t dev_layer_cancel(struct device_s *dev, struct dev_request_s *rq);

/* For steps: the request below is filled in, and is submitted when that long has passed. Returns
   DEV_LAYER_PAUSE. */
KROUTINE_API int dev_layer_submit_after(struct device_s *dev, uint64_t ns);

/* Defines prefix_request and prefix_cancel of a class. */
#define DEV_LAYER_OPS(cl, prefix)                                                                  \
    static void prefix##_request(const struct device_##cl##_s *acc, struct dev_##cl##_rq_s *rq)    \
    {                                                                                              \
        dev_layer_request(acc->dev, &rq->base);                                                    \
    }                                                                                              \
    static error_t prefix##_cancel(const struct device_##cl##_s *acc, struct dev_##cl##_rq_s *rq)  \
    {                                                                                              \
        return dev_layer_cancel(acc->dev, &rq->base);                                              \
    }                                                                                              \
    struct device_##cl##_s

#ifdef __cplusplus
}
#endif
#endif
