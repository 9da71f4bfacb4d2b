/* SPDX-License-Identifier: MIT */
/* Blocking calls of the char class. */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* Errors that a later request meets again: what was transferred before is not lost by reporting it
   now. -EPIPE, -EBADMSG and the like are reported once, so they win. */
static bool error_stays(error_t err)
{
    return err == -ETIMEDOUT || err == -ENODATA || err == -ENODEV || err == -ECANCELED;
}

ptrdiff_t dev_char_timedwait_op(const struct device_char_s *acc, enum dev_char_rq_type_e type,
                                void *data, size_t size, uint64_t timeout_ns)
{
    struct dev_char_rq_s rq;
    error_t err;

    memset(&rq, 0, sizeof(rq));
    rq.type = (uint8_t)type;
    rq.data = data;
    rq.size = size;
    rq.timeout = timeout_ns;
    err = dev_char_wait_rq(acc, &rq);
    if (err && (rq.size == size || !error_stays(err)))
        return err;
    return (ptrdiff_t)(size - rq.size);
}

ptrdiff_t dev_char_wait_op(const struct device_char_s *acc, enum dev_char_rq_type_e type,
                           void *data, size_t size)
{
    return dev_char_timedwait_op(acc, type, data, size, 0);
}
