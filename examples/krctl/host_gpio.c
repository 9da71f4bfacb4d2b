/* SPDX-License-Identifier: MIT */
/* GPIO chips, which tell everybody about their lines, and the devices of the default tree. */
#include "host.h"

#include <kroutine.h>

#include <stdio.h>
#include <string.h>

/* --- chips --- */

static void hold_line(struct host_row_s *row, const char *consumer)
{
    const char *name = consumer[0] != '\0' ? consumer : "?";

    for (unsigned i = 0; i < row->holders && i < HOST_HOLDERS; i++)
        if (strcmp(row->holder[i].name, name) == 0)
            return;
    host_hold(row, 0, "%s", name);
}

static void look(struct host_row_s *row, const struct device_gpio_s *dev)
{
    struct dev_gpio_info_s chip;
    unsigned used = 0;
    error_t err = DEVICE_OP(dev, info, &chip);

    for (uint32_t i = 0; err == 0 && i < chip.lines; i++) {
        struct dev_gpio_line_info_s line;

        if (DEVICE_OP(dev, line_info, (uint16_t)i, &line) != 0 || !line.used)
            continue;
        used++;
        hold_line(row, line.consumer);
    }
    if (err == 0)
        host_say(row, "%s, %u of %u lines used", chip.label, used, (unsigned)chip.lines);
}

static void add_chip(struct host_s *h, const char *name, void *arg)
{
    struct device_gpio_s dev = DEVICE_ACCESSOR_INIT;

    (void)arg;
    if (strncmp(name, "gpiochip", 8) != 0)
        return;
    struct host_row_s *row = host_add(h, DRIVER_CLASS_GPIO, "gpiod:%s", name);
    if (row == NULL)
        return;
    if (h->root[0] == '\0' &&
        device_get_accessor_by_path(&dev.base, NULL, row->spec, DRIVER_CLASS_GPIO) == 0)
        look(row, &dev);
    else
        row->hidden = true;
    if (row->what[0] == '\0')
        host_say(row, "lines not seen");
    device_put_accessor(&dev.base);
}

void host_gpios(struct host_s *h)
{
    host_each(h, "/sys/bus/gpio/devices", add_chip, NULL);
}

/* --- the tree --- */

static bool add_device(const struct device_s *dev, void *arg)
{
    static const struct {
        const char *name;
        const char *what;
    } texts[] = {
        {"timer0", "monotonic clock"},
        {"timer1", "clock of the day"},
        {"timer2", "monotonic clock that counts suspend"},
        {"dma0", "memory to memory, in software"},
    };
    struct host_s *h = arg;
    enum driver_class_e cl = DRIVER_CLASS_NONE + 1;

    while (cl < DRIVER_CLASS_COUNT && !device_has_class(dev, cl))
        cl++;
    if (cl == DRIVER_CLASS_COUNT || strchr(device_name(dev), ':') != NULL)
        return true;
    struct host_row_s *row = host_add(h, cl, "%s", device_name(dev));
    if (row == NULL)
        return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].name, device_name(dev)) == 0)
            host_say(row, "%s", texts[i].what);
    if (row->what[0] == '\0')
        host_say(row, "driver %s", device_driver_name(dev));
    return true;
}

void host_tree(struct host_s *h)
{
    device_foreach(NULL, add_device, h);
}
