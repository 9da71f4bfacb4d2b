/* SPDX-License-Identifier: MIT */
/* The driver sim-gpio: what a spec says, opening, closing, the class. kroutine/sim.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "kroutine/sim.h"
#include "sim_chip.h"

struct sim_gpio_pv_s {
    struct kr_sim_port_s *port;
};

static const struct driver_param_s params[] = {
    {"side", "end of the wires: a, b; a", "a|b", 0, 0, DRIVER_PARAM_ENUM},
    {"uapi", "edges as the kernel's uAPI 1 or 2 tells them; 2", NULL, 1, 2, DRIVER_PARAM_UINT},
    {"consumer", "name that a busy line tells; libkroutine", NULL, 0, 0, DRIVER_PARAM_STRING},
    KR_LINES_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static void port_put(struct kr_sim_port_s *port)
{
    if (kr_sub(&port->refs, 1) != 1)
        return;
    if (port->lines)
        kr_lines_put(port->lines);
    if (port->chip)
        kr_sim_chip_put(port->chip);
    free(port->buffer);
    free(port);
}

/* --- what others do to a device arrives on the reactor --- */

static void execute(struct kr_sim_kicks_s *kicks)
{
    for (unsigned i = 0; i < kicks->count; i++)
        kroutine_exec(&kicks->port[i]->kick);
}

static KROUTINE_EXEC(kicked)
{
    struct kr_sim_port_s *port = KROUTINE_CONTAINER(kr, struct kr_sim_port_s, kick);
    bool gone, ready;

    (void)flags;
    pthread_mutex_lock(&port->chip->lock);
    port->kicked = false;
    gone = port->chip->gone;
    ready = port->armed;
    pthread_mutex_unlock(&port->chip->lock);
    if (gone)
        kr_lines_gone(port->lines);
    else if (ready)
        kr_lines_ready(port->lines);
    port_put(port);
}

/* --- operations of the lines --- */

static error_t sim_configure(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);
    struct kr_sim_kicks_s kicks = {.count = 0};
    error_t err;

    pthread_mutex_lock(&port->chip->lock);
    err = port->chip->gone ? -ENODEV : 0;
    if (!err) {
        port->values = values;
        for (unsigned i = 0; i < port->count; i++) {
            if (!(modes[i].flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW))
                modes[i].flags |= DEV_GPIO_INPUT; /* as a line is that nobody has touched */
            port->mode[i] = modes[i];
        }
        kr_sim_chip_settle(port, UINT64_MAX >> (64 - port->count), &kicks);
    }
    pthread_mutex_unlock(&port->chip->lock);
    execute(&kicks);
    return err;
}

static error_t sim_set(struct kr_lines_s *l, uint64_t mask, uint64_t values)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);
    struct kr_sim_kicks_s kicks = {.count = 0};
    error_t err;

    pthread_mutex_lock(&port->chip->lock);
    err = port->chip->gone ? -ENODEV : 0;
    if (!err) {
        port->values = (port->values & ~mask) | (values & mask);
        kr_sim_chip_settle(port, mask, &kicks);
    }
    pthread_mutex_unlock(&port->chip->lock);
    execute(&kicks);
    return err;
}

static error_t sim_get(struct kr_lines_s *l, uint64_t mask, uint64_t *values)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);
    error_t err;

    pthread_mutex_lock(&port->chip->lock);
    err = port->chip->gone ? -ENODEV : 0;
    if (!err)
        *values = kr_sim_chip_levels(port, mask);
    pthread_mutex_unlock(&port->chip->lock);
    return err;
}

/* The numbers of the kernel have gaps where edges were lost. */
static void count_lost(struct kr_sim_port_s *port, struct dev_gpio_event_s *events, unsigned n)
{
    for (unsigned i = 0; i < n && !port->first_uapi; i++) {
        events[i].lost = events[i].seqno - port->seen - 1;
        port->seen = events[i].seqno;
    }
}

static int sim_read(struct kr_lines_s *l, struct dev_gpio_event_s *events, unsigned size)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);
    int n = -ENODEV;

    pthread_mutex_lock(&port->chip->lock);
    if (!port->chip->gone)
        n = (int)kr_sim_chip_read(port, events, size);
    pthread_mutex_unlock(&port->chip->lock);
    if (n > 0)
        count_lost(port, events, (unsigned)n);
    return n;
}

static void sim_arm(struct kr_lines_s *l)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);
    struct kr_sim_kicks_s kicks = {.count = 0};

    pthread_mutex_lock(&port->chip->lock);
    port->armed = true;
    if (port->fill)
        kr_sim_chip_kick(port, &kicks);
    pthread_mutex_unlock(&port->chip->lock);
    execute(&kicks);
}

static void sim_disarm(struct kr_lines_s *l)
{
    struct kr_sim_port_s *port = kr_lines_pv(l);

    pthread_mutex_lock(&port->chip->lock);
    port->armed = false;
    pthread_mutex_unlock(&port->chip->lock);
}

static const struct kr_lines_ops_s sim_ops = {
    .configure = sim_configure,
    .set = sim_set,
    .get = sim_get,
    .read = sim_read,
    .arm = sim_arm,
    .disarm = sim_disarm,
};

/* --- opening and closing --- */

static int find_wire(const struct kr_lines_finder_s *finder, const char *name)
{
    char *end;
    unsigned long n;

    if (strncmp(name, "GPIO", 4) != 0 || name[4] < '0' || name[4] > '9')
        return -ENOENT;
    n = strtoul(name + 4, &end, 10);
    return *end || n >= finder->count ? -ENOENT : (int)n;
}

static uint32_t cap_of(bool first_uapi)
{
    uint32_t cap = DEV_GPIO_CAP_TOGETHER | DEV_GPIO_CAP_VIRTUAL;

    if (!first_uapi)
        cap |= DEV_GPIO_CAP_SEQNO | DEV_GPIO_CAP_LOST | DEV_GPIO_CAP_REALTIME | DEV_GPIO_CAP_EACH |
               DEV_GPIO_CAP_BUFFER;
    return cap;
}

static error_t make_lines(struct kr_sim_port_s *port, struct device_s *dev,
                          const struct kr_lines_keys_s *keys)
{
    struct kr_lines_config_s config = {
        .ops = &sim_ops,
        .dev = dev,
        .count = port->count,
        .cap = cap_of(port->first_uapi),
        .buffer = keys->buffer,
        .eager = port->first_uapi,
        .realtime = keys->realtime,
    };

    if (port->first_uapi && keys->realtime)
        return device_error(-ENOTSUP, "clock=realtime: not with the first uAPI");
    port->realtime = keys->realtime;
    port->size = port->first_uapi ? KR_SIM_V1 * port->count : keys->buffer;
    port->buffer = calloc(port->size, sizeof(port->buffer[0]));
    return port->buffer ? kr_lines_create(&port->lines, &config, port) : -ENOMEM;
}

static error_t begin(struct kr_sim_port_s *port, const struct kr_lines_keys_s *keys)
{
    struct kr_line_mode_s modes[DEV_GPIO_LINES_MAX];
    struct kr_sim_kicks_s kicks = {.count = 0};
    error_t err;

    for (unsigned i = 0; i < port->count; i++)
        modes[i] = keys->mode;
    pthread_mutex_lock(&port->chip->lock);
    err = kr_sim_chip_hold(port);
    pthread_mutex_unlock(&port->chip->lock);
    if (err)
        return err;
    err = kr_lines_begin(port->lines, modes, keys->values);
    if (err) {
        pthread_mutex_lock(&port->chip->lock);
        kr_sim_chip_release(port, &kicks);
        pthread_mutex_unlock(&port->chip->lock);
        execute(&kicks);
    }
    return err;
}

static error_t open_port(struct kr_sim_port_s *port, struct device_s *dev,
                         const struct device_spec_s *spec)
{
    struct kr_lines_finder_s finder = {.count = KR_SIM_WIRES, .find = find_wire};
    struct kr_lines_keys_s keys;
    const char *lines;
    char name[32];
    error_t err;
    int count;

    err = kr_lines_split(name, sizeof(name), &lines, "sim-gpio", device_spec_address(spec));
    if (err)
        return err;
    count = kr_lines_parse(port->offset, lines, &finder);
    if (count < 0)
        return count;
    port->count = (unsigned)count;
    port->side = (unsigned)device_spec_uint(spec, "side", 0);
    port->first_uapi = device_spec_uint(spec, "uapi", 2) == 1;
    snprintf(port->consumer, sizeof(port->consumer), "%s",
             device_spec_string(spec, "consumer", "libkroutine"));
    err = kr_lines_keys(&keys, spec, port->count);
    if (!err)
        err = make_lines(port, dev, &keys);
    if (!err)
        err = kr_sim_chip_join(&port->chip, device_runtime(dev), name);
    if (err || !port->count)
        return err;
    err = begin(port, &keys);
    if (err)
        kr_sim_chip_leave(port->chip);
    return err;
}

static error_t sim_gpio_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct sim_gpio_pv_s *pv = device_pv(dev);
    struct kr_sim_port_s *port = calloc(1, sizeof(*port));
    error_t err;

    if (!port)
        return -ENOMEM;
    port->refs = 1;
    kroutine_init_sched_switch(&port->kick, kicked);
    kroutine_bind(&port->kick, device_runtime(dev));
    port->kick.mark = KR_INTERNAL;
    err = open_port(port, dev, spec);
    if (err)
        port_put(port);
    else
        pv->port = port;
    return err;
}

static struct kr_sim_port_s *port_of(const struct device_s *dev)
{
    const struct sim_gpio_pv_s *pv = device_pv(dev);

    return pv->port;
}

static void sim_gpio_close(struct device_s *dev)
{
    struct kr_sim_port_s *port = port_of(dev);
    struct kr_sim_kicks_s kicks = {.count = 0};

    kr_lines_close(port->lines, -ECANCELED);
    if (port->count) {
        pthread_mutex_lock(&port->chip->lock);
        kr_sim_chip_release(port, &kicks);
        pthread_mutex_unlock(&port->chip->lock);
        execute(&kicks);
    }
    kr_sim_chip_leave(port->chip);
}

static void sim_gpio_free(struct device_s *dev)
{
    port_put(port_of(dev));
}

/* --- class --- */

static struct kr_lines_s *lines_of(const struct device_s *dev)
{
    return port_of(dev)->lines;
}

KR_LINES_OPERATIONS(sim_gpio, lines_of);

static DEV_GPIO_INFO(sim_gpio_info)
{
    const struct kr_sim_port_s *port = port_of(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->chip, sizeof(info->chip), "%s", port->chip->name);
    snprintf(info->label, sizeof(info->label), "sim-gpio");
    info->lines = port->count ? port->count : KR_SIM_WIRES;
    info->cap = cap_of(port->first_uapi);
    return 0;
}

static DEV_GPIO_LINE_INFO(sim_gpio_line_info)
{
    const struct kr_sim_port_s *port = port_of(acc->dev), *holder;
    const struct kr_sim_wire_s *wire;

    if (io >= (port->count ? port->count : KR_SIM_WIRES))
        return -EINVAL;
    memset(info, 0, sizeof(*info));
    info->offset = port->count ? port->offset[io] : io;
    info->mode = DEV_GPIO_INPUT; /* as a line is that nobody has touched */
    snprintf(info->name, sizeof(info->name), "GPIO%u", info->offset);
    pthread_mutex_lock(&port->chip->lock);
    wire = &port->chip->wire[info->offset];
    holder = wire->port[port->side];
    if (holder) {
        info->used = true;
        snprintf(info->consumer, sizeof(info->consumer), "%s", holder->consumer);
        info->mode = holder->mode[wire->index[port->side]].flags;
        info->debounce_us = holder->mode[wire->index[port->side]].debounce_us;
    }
    pthread_mutex_unlock(&port->chip->lock);
    return 0;
}

static const struct driver_gpio_s sim_gpio_methods = DRIVER_GPIO_METHODS(sim_gpio);

const struct driver_s kr_driver_sim_gpio = {
    .name = "sim-gpio",
    .desc = "simulated chip of 64 lines, each a wire with two ends",
    .params = params,
    .pv_size = sizeof(struct sim_gpio_pv_s),
    .f_open = sim_gpio_open,
    .f_close = sim_gpio_close,
    .f_use = sim_gpio_use,
    .f_free = sim_gpio_free,
    .classes = {(const struct driver_class_table_s *)&sim_gpio_methods},
};

/* --- from outside --- */

static struct kr_sim_port_s *outside(const struct device_accessor_s *acc)
{
    if (!acc->dev || strcmp(device_driver_name(acc->dev), kr_driver_sim_gpio.name) != 0)
        return NULL;
    return port_of(acc->dev);
}

error_t kroutine_sim_gpio_pull(const struct device_accessor_s *acc, uint16_t io, uint32_t pull)
{
    struct kr_sim_port_s *port = outside(acc);
    struct kr_sim_kicks_s kicks = {.count = 0};
    error_t err;

    if (!port)
        return -ENOTSUP;
    if (io >= port->count ||
        (pull != DEV_GPIO_PULL_UP && pull != DEV_GPIO_PULL_DOWN && pull != DEV_GPIO_PULL_NONE))
        return -EINVAL;
    err = kr_device_enter(acc->dev);
    if (!err) {
        pthread_mutex_lock(&port->chip->lock);
        port->chip->wire[port->offset[io]].pull = pull;
        kr_sim_chip_settle(port, 1ull << io, &kicks);
        pthread_mutex_unlock(&port->chip->lock);
        execute(&kicks);
    }
    kr_device_leave(acc->dev);
    return err;
}

error_t kroutine_sim_gpio_unplug(const struct device_accessor_s *acc)
{
    struct kr_sim_port_s *port = outside(acc);
    struct kr_sim_kicks_s kicks = {.count = 0};
    error_t err;

    if (!port)
        return -ENOTSUP;
    err = kr_device_enter(acc->dev);
    if (!err) {
        pthread_mutex_lock(&port->chip->lock);
        kr_sim_chip_unplug(port->chip, &kicks);
        pthread_mutex_unlock(&port->chip->lock);
        execute(&kicks);
    }
    kr_device_leave(acc->dev);
    return err;
}
