/* SPDX-License-Identifier: MIT */
/* One line of a gpio device, and blocking calls of the class. */
#include <errno.h>
#include <string.h>

#include "internal.h"

error_t dev_gpio_out(const struct device_gpio_s *acc, uint16_t io, bool value)
{
    return DEVICE_OP(acc, set_output, io, io, value, value);
}

int dev_gpio_input(const struct device_gpio_s *acc, uint16_t io)
{
    uint64_t data;
    error_t err = DEVICE_OP(acc, get_input, io, io, &data);

    return err ? err : (int)data;
}

error_t dev_gpio_mode(const struct device_gpio_s *acc, uint16_t io, uint32_t mode,
                      uint32_t debounce_us)
{
    return DEVICE_OP(acc, set_mode, io, io, 1, mode, debounce_us);
}

error_t dev_gpio_wait_until(const struct device_gpio_s *acc, uint16_t io, bool value,
                            uint64_t timeout_ns)
{
    struct dev_gpio_rq_s rq;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_GPIO_UNTIL;
    rq.io_first = rq.io_last = io;
    rq.timeout = timeout_ns;
    rq.until.mask = 1;
    rq.until.data = !value;
    return dev_gpio_wait_rq(acc, &rq);
}

int dev_gpio_wait_event(const struct device_gpio_s *acc, struct dev_gpio_event_s *list,
                        uint16_t size, uint32_t *lost, uint64_t timeout_ns)
{
    struct dev_gpio_rq_s rq;
    error_t err;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_GPIO_EVENT;
    rq.timeout = timeout_ns;
    rq.event.list = list;
    rq.event.size = size;
    err = dev_gpio_wait_rq(acc, &rq);
    if (err)
        return err;
    if (lost)
        *lost = rq.event.lost;
    return rq.event.count;
}
