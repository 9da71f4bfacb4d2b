/* SPDX-License-Identifier: MIT */
/*
 * The rule checker: on in debug builds, or with KROUTINE_CHECK=1 (KROUTINE_CHECK=0 turns it off).
 * A broken rule is written to standard error with the names of device, class and handler, and
 * stops the program with abort(3). Off, each hook is one load and one branch.
 */
#ifndef KR_CHECK_H
#define KR_CHECK_H

#include "atomic.h"
#include "kroutine/device.h"
#include "kroutine/request.h"

extern bool kr_check_enabled;
/* Reads the environment, once a process. */
void kr_check_setup(void);

#define KR_CHECK_NAME 64

/* An IMMEDIATE handler of a request that is running on this thread's stack (kr_self.immediate). */
struct kr_check_frame_s {
    const struct kr_check_frame_s *outer;
    const void *handler;
    char device[KR_CHECK_NAME]; /* a copy: the handler may close the device; "": not known */
    enum driver_class_e cl;
};

/* Is the class of nested completion kind: submit void, may complete inside? */
bool kr_class_nested_completion(enum driver_class_e cl);

/* Before the driver sees the request: double submit, submit of a nested-completion class from an
   IMMEDIATE handler. Remembers the request as in flight, its device, class and handler. */
void kr_check_submit_slow(const struct device_accessor_s *acc, struct dev_request_s *rq,
                          enum driver_class_e cl);
/* The request ends by handler (done), by cancel or by rejection: is it still what was submitted?
 * Forgets it. */
void kr_check_end_slow(struct dev_request_s *rq, struct kr_check_frame_s *frame);
/* Before the driver is asked to cancel: still what was submitted? */
void kr_check_cancel_slow(const struct dev_request_s *rq);
/* rq is initialised or destroyed: must not be in flight. `what`: "re-initialised", "destroyed". */
void kr_check_idle_slow(const struct dev_request_s *rq, const char *what);
/* A sequence or queue is cleaned up in use. */
void kr_check_in_use(const char *what, const void *object, const struct kroutine_s *kr);
/* A kroutine is initialised again while pending in a run queue is not visible here: see
   kr_check_idle_slow for requests. */

#define KR_CHECK(call)                                                                             \
    do {                                                                                           \
        if (kr_unlikely(kr_check_enabled))                                                         \
            call;                                                                                  \
    } while (0)

#endif
