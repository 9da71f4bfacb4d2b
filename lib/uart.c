/* SPDX-License-Identifier: MIT */
/* Blocking calls of the uart class. */
#include <string.h>

#include "internal.h"

static void prepare(struct dev_uart_rq_s *rq, enum dev_uart_rq_type_e type, uint64_t timeout_ns)
{
    memset(rq, 0, sizeof(*rq));
    rq->type = (uint8_t)type;
    rq->timeout = timeout_ns;
}

error_t dev_uart_wait_drain(const struct device_uart_s *acc, uint64_t timeout_ns)
{
    struct dev_uart_rq_s rq;

    prepare(&rq, DEV_UART_DRAIN, timeout_ns);
    return dev_uart_wait_rq(acc, &rq);
}

error_t dev_uart_wait_break(const struct device_uart_s *acc, uint64_t duration_ns)
{
    struct dev_uart_rq_s rq;

    prepare(&rq, DEV_UART_BREAK, 0);
    rq.duration = duration_ns;
    return dev_uart_wait_rq(acc, &rq);
}

error_t dev_uart_wait_lines(const struct device_uart_s *acc, uint32_t mask, uint32_t *lines,
                            uint64_t timeout_ns)
{
    struct dev_uart_rq_s rq;
    error_t err;

    prepare(&rq, DEV_UART_WAIT_LINES, timeout_ns);
    rq.mask = mask;
    rq.lines = *lines;
    err = dev_uart_wait_rq(acc, &rq);
    if (!err)
        *lines = rq.lines;
    return err;
}
