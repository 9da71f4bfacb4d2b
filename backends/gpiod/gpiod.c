/* SPDX-License-Identifier: MIT */
/*
 * Driver `gpiod`: lines of GPIO chips through libgpiod, "gpiod:pinctrl-rp1/GPIO17?mode=input".
 *
 * The reactor does not watch the descriptors of the lines but an epoll descriptor that contains
 * them: one for up to 64 lines, and the lines themselves can be closed, and so given back, by the
 * thread that closes the device, without waiting for the reactor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "device.h"
#include "find.h"

#define SHUT 0x80000000 /* in `calls` */

struct gpiod_s {
    uint32_t refs; /* atomic: the device's, the watch's */
    struct kr_lines_s *lines;
    struct seam_chip_s *chip;
    struct seam_lines_s *seam;
    uint32_t calls; /* atomic: into `seam`; SHUT: the last one gives the lines back */
    struct kr_watch_s watch;
    int node; /* inotify: tells when the device file of the chip goes; -1: there is none */
    char path[64];
    char label[32];
    unsigned count;
    unsigned told; /* lines of which the device tells: `count`, or all of the chip */
    uint32_t offset[DEV_GPIO_LINES_MAX];
    char consumer[32];
    struct kr_lines_keys_s keys;
};

struct gpiod_pv_s {
    struct gpiod_s *g;
};

static const struct driver_param_s params[] = {
    {"consumer", "name under which others see the lines held; libkroutine", NULL, 0, 0,
     DRIVER_PARAM_STRING},
    KR_LINES_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static void put(struct gpiod_s *g)
{
    if (kr_sub(&g->refs, 1) != 1)
        return;
    if (g->lines)
        kr_lines_put(g->lines);
    free(g);
}

/* --- calls into the seam --- */

/* The lines first: in libgpiod 1 they belong to the chip. */
__attribute__((noinline)) static void give_back(struct gpiod_s *g)
{
    if (g->seam)
        seam_give_back(g->seam);
    seam_chip_close(g->chip);
    if (g->node >= 0)
        close(g->node);
}

static inline void leave(struct gpiod_s *g)
{
    if (kr_unlikely(kr_sub(&g->calls, 1) == (SHUT | 1)))
        give_back(g);
}

static inline error_t enter(struct gpiod_s *g)
{
    if (kr_likely(!(kr_add(&g->calls, 1) & SHUT)))
        return 0;
    leave(g);
    return -ECANCELED;
}

/* The descriptors change with the mode in libgpiod 1; closed ones have left by themselves. */
static error_t attach(struct gpiod_s *g)
{
    int fds[DEV_GPIO_LINES_MAX];
    unsigned count = seam_fds(g->seam, fds);

    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN};

        if (epoll_ctl(g->watch.fd, EPOLL_CTL_ADD, fds[i], &event) && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static error_t gpiod_configure(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values)
{
    struct gpiod_s *g = kr_lines_pv(l);
    struct seam_config_s config = {
        .count = g->count,
        .offsets = g->offset,
        .consumer = g->consumer,
        .buffer = g->keys.buffer,
        .realtime = g->keys.realtime,
    };
    error_t err;

    if (!g->seam) { /* open: nobody else is here */
        err = seam_take(&g->seam, g->chip, &config, modes, values);
        return err ? find_culprit(g->chip, g->offset, g->count, err) : attach(g);
    }
    err = enter(g);
    if (err)
        return err;
    err = seam_configure(g->seam, modes, values);
    if (!err)
        err = attach(g);
    leave(g);
    return err;
}

static error_t gpiod_set(struct kr_lines_s *l, uint64_t mask, uint64_t values)
{
    struct gpiod_s *g = kr_lines_pv(l);
    error_t err = enter(g);

    if (err)
        return err;
    err = seam_set(g->seam, mask, values);
    leave(g);
    return err;
}

static error_t gpiod_get(struct kr_lines_s *l, uint64_t mask, uint64_t *values)
{
    struct gpiod_s *g = kr_lines_pv(l);
    error_t err = enter(g);

    if (err)
        return err;
    err = seam_get(g->seam, mask, values);
    leave(g);
    return err;
}

/* --- the chip is gone --- */

/* Linux 6.1 wakes nobody who waits for edges of a chip that goes; 6.12 does
   (linereq_unregistered_notify in drivers/gpio/gpiolib-cdev.c). So the device file is watched as
   well. A process that has no inotify left does without. */
static void watch_node(struct gpiod_s *g)
{
    struct epoll_event event = {.events = EPOLLIN};

    g->node = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (g->node < 0)
        return;
    if (inotify_add_watch(g->node, g->path, IN_ATTRIB | IN_DELETE_SELF) < 0 ||
        epoll_ctl(g->watch.fd, EPOLL_CTL_ADD, g->node, &event)) {
        close(g->node);
        g->node = -1;
    }
}

static bool removed(struct gpiod_s *g)
{
    char events[256];

    return g->node >= 0 && read(g->node, events, sizeof(events)) > 0 && access(g->path, F_OK) &&
           errno == ENOENT;
}

static int gpiod_read(struct kr_lines_s *l, struct dev_gpio_event_s *events, unsigned size)
{
    struct gpiod_s *g = kr_lines_pv(l);
    int n = enter(g);

    if (n)
        return n;
    n = seam_read(g->seam, events, size);
    if (n == 0 && removed(g))
        n = -ENODEV;
    leave(g);
    return n;
}

static void gpiod_arm(struct kr_lines_s *l)
{
    struct gpiod_s *g = kr_lines_pv(l);

    kr_watch_arm(&g->watch, KR_EV_IN);
}

static void gpiod_disarm(struct kr_lines_s *l)
{
    struct gpiod_s *g = kr_lines_pv(l);

    kr_watch_disarm(&g->watch, KR_EV_IN);
}

static const struct kr_lines_ops_s gpiod_ops = {
    .configure = gpiod_configure,
    .set = gpiod_set,
    .get = gpiod_get,
    .read = gpiod_read,
    .arm = gpiod_arm,
    .disarm = gpiod_disarm,
};

/* --- the watch --- */

static void ready(struct kr_watch_s *w, unsigned events)
{
    struct gpiod_s *g = KROUTINE_CONTAINER(w, struct gpiod_s, watch);

    (void)events;
    kr_lines_ready(g->lines);
}

static void released(struct kr_watch_s *w)
{
    put(KROUTINE_CONTAINER(w, struct gpiod_s, watch));
}

static error_t open_watch(struct gpiod_s *g, struct kroutine_runtime_s *rt)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    error_t err;

    if (fd < 0)
        return device_error(-errno, "epoll: %s", strerror(errno));
    g->watch.ready = ready;
    g->watch.released = released;
    err = kr_watch_open(rt, &g->watch, fd);
    if (err)
        close(fd);
    else
        g->refs++;
    return err;
}

/* --- opening and closing --- */

static error_t make_lines(struct gpiod_s *g, struct device_s *dev)
{
    struct kr_line_mode_s modes[DEV_GPIO_LINES_MAX];
    struct kr_lines_config_s config = {
        .ops = &gpiod_ops,
        .dev = dev,
        .count = g->count,
        .cap = seam_cap,
        .buffer = g->keys.buffer,
        .eager = seam_eager,
        .realtime = g->keys.realtime,
    };
    error_t err;

    if (g->keys.realtime && !(seam_cap & DEV_GPIO_CAP_REALTIME))
        return device_error(-ENOTSUP, "clock=realtime: libgpiod 1 cannot ask for it");
    for (unsigned i = 0; i < g->count; i++)
        modes[i] = g->keys.mode;
    err = kr_lines_create(&g->lines, &config, g);
    if (err || !g->count) /* nothing is held, nothing can happen */
        return err;
    err = open_watch(g, device_runtime(dev));
    if (err)
        return err;
    watch_node(g);
    err = kr_lines_begin(g->lines, modes, g->keys.values);
    if (err)
        kr_watch_close(&g->watch);
    return err;
}

static error_t open_lines(struct gpiod_s *g, struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_lines_finder_s finder = {.find = find_line};
    const char *lines;
    char name[32];
    error_t err;
    int count;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-gpio");
    err = kr_lines_split(name, sizeof(name), &lines, "gpiod", device_spec_address(spec));
    if (!err)
        err = find_chip(&g->chip, name);
    if (err)
        return err;
    snprintf(g->path, sizeof(g->path), "/dev/%s", seam_chip_name(g->chip));
    snprintf(g->label, sizeof(g->label), "%s", seam_chip_label(g->chip));
    finder.count = seam_chip_count(g->chip);
    finder.pv = g->chip;
    count = kr_lines_parse(g->offset, lines, &finder);
    if (count < 0)
        return count;
    g->count = (unsigned)count;
    g->told = lines ? g->count : finder.count;
    snprintf(g->consumer, sizeof(g->consumer), "%s",
             device_spec_string(spec, "consumer", "libkroutine"));
    err = kr_lines_keys(&g->keys, spec, g->count);
    return err ? err : make_lines(g, dev);
}

static error_t gpiod_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct gpiod_pv_s *pv = device_pv(dev);
    struct gpiod_s *g = calloc(1, sizeof(*g));
    error_t err;

    if (!g)
        return -ENOMEM;
    g->refs = 1;
    g->calls = 1;
    g->node = -1;
    err = open_lines(g, dev, spec);
    if (err) {
        give_back(g);
        put(g);
    } else {
        pv->g = g;
    }
    return err;
}

static struct gpiod_s *of(const struct device_s *dev)
{
    const struct gpiod_pv_s *pv = dev->pv;

    return pv->g;
}

static void gpiod_close(struct device_s *dev)
{
    struct gpiod_s *g = of(dev);

    kr_lines_close(g->lines, -ECANCELED);
    kr_or(&g->calls, SHUT);
    leave(g);
    if (g->count)
        kr_watch_close(&g->watch);
}

static void gpiod_free(struct device_s *dev)
{
    put(of(dev));
}

/* --- class --- */

static struct kr_lines_s *lines_of(const struct device_s *dev)
{
    return of(dev)->lines;
}

KR_LINES_OPERATIONS(gpiod, lines_of);

static DEV_GPIO_INFO(gpiod_info)
{
    const struct gpiod_s *g = of(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->chip, sizeof(info->chip), "%s", g->path + strlen("/dev/"));
    snprintf(info->label, sizeof(info->label), "%s", g->label);
    info->lines = g->told;
    info->cap = seam_cap;
    return 0;
}

/* With a chip object of its own: any thread may be here, and looking changes the object. */
static DEV_GPIO_LINE_INFO(gpiod_line_info)
{
    const struct gpiod_s *g = of(acc->dev);
    struct seam_chip_s *chip;
    error_t err;

    if (io >= g->told)
        return -EINVAL;
    err = seam_chip_open(&chip, g->path);
    if (err)
        return err == -ENOENT ? -ENODEV : err;
    err = seam_chip_line(chip, g->count ? g->offset[io] : io, info);
    seam_chip_close(chip);
    return err;
}

static const struct driver_gpio_s gpiod_methods = DRIVER_GPIO_METHODS(gpiod);

const struct driver_s kr_driver_gpiod = {
    .name = "gpiod",
    .desc = "lines of GPIO chips, through libgpiod",
    .params = params,
    .pv_size = sizeof(struct gpiod_pv_s),
    .f_open = gpiod_open,
    .f_close = gpiod_close,
    .f_use = gpiod_use,
    .f_free = gpiod_free,
    .classes = {(const struct driver_class_table_s *)&gpiod_methods},
};
