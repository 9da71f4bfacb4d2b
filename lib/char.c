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

static ptrdiff_t wait_for(const struct device_char_s *acc, struct dev_char_rq_s *rq,
                          enum dev_char_rq_type_e type, void *data, size_t size, uint64_t timeout)
{
    error_t err;

    rq->type = (uint8_t)type;
    rq->data = data;
    rq->size = size;
    rq->timeout = timeout;
    err = dev_char_wait_rq(acc, rq);
    if (err && (rq->size == size || !error_stays(err)))
        return err;
    return (ptrdiff_t)(size - rq->size);
}

ptrdiff_t dev_char_timedwait_op(const struct device_char_s *acc, enum dev_char_rq_type_e type,
                                void *data, size_t size, uint64_t timeout_ns)
{
    struct dev_char_rq_s rq;

    if (type == DEV_CHAR_READ_TIMED) /* there is no `min` and `gap` around this request */
        return -EINVAL;
    memset(&rq, 0, sizeof(rq));
    return wait_for(acc, &rq, type, data, size, timeout_ns);
}

ptrdiff_t dev_char_wait_op(const struct device_char_s *acc, enum dev_char_rq_type_e type,
                           void *data, size_t size)
{
    return dev_char_timedwait_op(acc, type, data, size, 0);
}

ptrdiff_t dev_char_wait_read(const struct device_char_s *acc, void *data, size_t size, size_t min,
                             uint64_t gap_ns, uint64_t timeout_ns)
{
    struct dev_char_timed_rq_s timed;

    memset(&timed, 0, sizeof(timed));
    timed.min = min;
    timed.gap = gap_ns;
    return wait_for(acc, &timed.rq, DEV_CHAR_READ_TIMED, data, size, timeout_ns);
}
