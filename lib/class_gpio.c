/* SPDX-License-Identifier: MIT */
/* The front of the gpio class: nested completion for requests, at once for the rest. */
#include "device.h"

static error_t validate(const struct driver_gpio_s *drv, const struct dev_gpio_rq_s *rq)
{
    if (kr_unlikely(!drv->f_request))
        return -ENOTSUP;
    if (kr_unlikely(rq->type >= DEV_GPIO_TYPES || rq->io_first > rq->io_last ||
                    rq->io_last >= DEV_GPIO_LINES_MAX))
        return -EINVAL;
    if (kr_unlikely(rq->type == DEV_GPIO_EVENT && !rq->event.size))
        return -EINVAL;
    return 0;
}

static DEV_GPIO_REQUEST(gpio_request)
{
    if (rq->type == DEV_GPIO_EVENT) {
        rq->event.count = 0;
        rq->event.lost = 0;
    }
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_GPIO, validate);
}

static DEV_GPIO_CANCEL(gpio_cancel)
{
    return KR_CLASS_CANCEL(acc, rq);
}

static DEV_GPIO_SET_MODE(gpio_set_mode)
{
    if (io_first > io_last || io_last >= DEV_GPIO_LINES_MAX)
        return -EINVAL;
    return KR_CLASS_CALL(acc, f_set_mode, io_first, io_last, mask, mode, debounce_us);
}

static DEV_GPIO_SET_OUTPUT(gpio_set_output)
{
    if (io_first > io_last || io_last >= DEV_GPIO_LINES_MAX)
        return -EINVAL;
    return KR_CLASS_CALL(acc, f_set_output, io_first, io_last, set_mask, clear_mask);
}

static DEV_GPIO_GET_INPUT(gpio_get_input)
{
    if (io_first > io_last || io_last >= DEV_GPIO_LINES_MAX)
        return -EINVAL;
    return KR_CLASS_CALL(acc, f_get_input, io_first, io_last, data);
}

static DEV_GPIO_INFO(gpio_info)
{
    return KR_CLASS_CALL(acc, f_info, info);
}

static DEV_GPIO_LINE_INFO(gpio_line_info)
{
    return KR_CLASS_CALL(acc, f_line_info, io, info);
}

const struct driver_gpio_s kr_gpio_front = DRIVER_GPIO_METHODS(gpio);
