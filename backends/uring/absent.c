/* SPDX-License-Identifier: MIT */
/* Takes the place of this backend in a library that was built without liburing. */
#include <errno.h>
#include <stdio.h>

#include "loop.h"

static error_t absent_create(struct kr_loop_s **ret, struct kroutine_runtime_s *rt,
                             const struct kroutine_runtime_config_s *config, char *reason,
                             size_t size)
{
    (void)ret;
    (void)rt;
    (void)config;
    snprintf(reason, size, "this library was built without liburing");
    return -ENOSYS;
}

/* No loop is ever made, so no other operation is ever called. */
static const struct kr_loop_ops_s absent_ops = {.name = "uring", .create = absent_create};

const struct kr_backend_s kr_backend_uring = {.loop = &absent_ops, .clock = &kr_clock_timerfd};
