/* SPDX-License-Identifier: MIT */
/*
 * The button: a press is full speed, the next one automatic again. The key debounce= of the spec
 * makes one edge of what its contacts do.
 */
#include <errno.h>

#include "sensord.h"

static struct device_gpio_s acc = DEVICE_ACCESSOR_INIT;
static struct dev_gpio_rq_s rq;
static struct dev_gpio_event_s edges[16];
static bool busy;

static void go_on(void)
{
    if (busy || !acc.dev)
        return;
    busy = true;
    rq.type = DEV_GPIO_EVENT;
    rq.io_first = rq.io_last = 0;
    rq.event.list = edges;
    rq.event.size = sizeof(edges) / sizeof(edges[0]);
    DEVICE_OP(&acc, request, &rq);
}

static KROUTINE_EXEC(on_edges)
{
    (void)kr, (void)flags;
    busy = false;
    if (sensord.stopping)
        return;
    if (rq.error == 0) {
        part_works(&button);
        if (rq.event.lost != 0)
            say("button: edges were lost");
        for (unsigned i = 0; i < rq.event.count; i++)
            if (dev_gpio_rose(&edges[i]))
                control_toggle();
    } else if (rq.error != -ECANCELED) {
        part_failed(&button, rq.error, true);
    }
    go_on();
}

static error_t button_open(void)
{
    error_t error =
        device_get_accessor_by_path(&acc.base, sensord.tree, button.spec, DRIVER_CLASS_GPIO);

    if (error != 0)
        return error;
    part_works(&button);
    if (!busy)
        dev_gpio_rq_init(&rq, on_edges);
    go_on();
    return 0;
}

static void button_close(void)
{
    device_put_accessor(&acc.base);
}

struct part_s button = {
    .name = "button", .spec = sensord.config.button, .open = button_open, .close = button_close};
