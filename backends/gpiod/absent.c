/* SPDX-License-Identifier: MIT */
/* The driver of a build without libgpiod. */
#include <errno.h>

#include "internal.h"

static error_t absent_open(struct device_s *dev, const struct device_spec_s *spec)
{
    (void)dev, (void)spec;
    return device_error(-ENOTSUP,
                        "libkroutine was built without libgpiod: install libgpiod-dev and "
                        "configure it again");
}

static void absent_close(struct device_s *dev)
{
    (void)dev;
}

static const struct driver_gpio_s absent_methods = {.cl = DRIVER_CLASS_GPIO};

const struct driver_s kr_driver_gpiod = {
    .name = "gpiod",
    .desc = "lines of GPIO chips, through libgpiod: not in this build",
    .f_open = absent_open,
    .f_close = absent_close,
    .classes = {(const struct driver_class_table_s *)&absent_methods},
};
