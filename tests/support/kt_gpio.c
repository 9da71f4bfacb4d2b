/* SPDX-License-Identifier: MIT */
#include "kt_gpio.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>

#define MEMORY_FIRST 24 /* of the lines of gpiomem */

static const char *const kinds[] = {"sim", "sim-uapi1", "gpiod", "gpiomem"};

static bool has_memory(void)
{
    return kt_backend != KROUTINE_BACKEND_SIM && getenv("KT_UIO_GPIOMEM") &&
           getenv("KT_GPIO_RASPI");
}

const char *kt_gpio_missing(void)
{
    if (kt_backend == KROUTINE_BACKEND_SIM)
        return "a simulated runtime has no gpiod";
    if (!getenv("KT_GPIO_CHIP") || !getenv("KT_GPIO_SYSFS"))
        return "KT_GPIO_CHIP and KT_GPIO_SYSFS do not name a chip of gpio-sim";
    return NULL;
}

int kt_gpio_rounds(void)
{
    return (kt_gpio_missing() && !has_memory() ? KT_CHIP_GPIOD : 1) * KT_MODES;
}

enum kt_chip_e kt_gpio_kind(int round)
{
    return has_memory()        ? KT_CHIP_MEMORY
           : kt_gpio_missing() ? (enum kt_chip_e)(round / KT_MODES)
                               : KT_CHIP_GPIOD;
}

const char *kt_gpio_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s %s", kinds[kt_gpio_kind(round)],
             kt_mode_label(round % KT_MODES));
    return text;
}

/* --- the chip --- */

/* The same list with the numbers of the chip; those that no test has lines for stay. */
static void shift(char *to, size_t size, const char *lines, unsigned by)
{
    size_t used = 0;

    for (const char *p = lines; *p;) {
        char *end = (char *)p;
        unsigned long n = *p >= '0' && *p <= '9' ? strtoul(p, &end, 10) : 0;

        if (end == p)
            used += (size_t)snprintf(to + used, size - used, "%c", *p++);
        else
            used += (size_t)snprintf(to + used, size - used, "%lu", n < 1000 ? n + by : n);
        p = end > p ? end : p;
    }
}

error_t kt_gpio_lookup(struct kt_gpio_s *g, struct device_gpio_s *dev, const char *lines,
                       const char *options)
{
    char list[64];

    shift(list, sizeof list, lines, g->first);
    snprintf(g->spec, sizeof g->spec, "%s/%s%s%s%s", g->chip, list,
             options || g->kind == KT_CHIP_SIM_V1 ? "?" : "", options ? options : "",
             g->kind != KT_CHIP_SIM_V1 ? ""
             : options                 ? "&uapi=1"
                                       : "uapi=1");
    return device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(g->env->rt), g->spec,
                                       DRIVER_CLASS_GPIO);
}

static void open_outside(struct kt_gpio_s *g)
{
    char spec[64];

    snprintf(spec, sizeof spec, "sim-gpio:kt/0-%d?side=b&mode=input", KT_GPIO_LINES - 1);
    ck_assert_int_eq(device_get_accessor_by_path(&g->outside.base,
                                                 kroutine_runtime_devices(g->env->rt), spec,
                                                 DRIVER_CLASS_GPIO),
                     0);
}

/* The kernel's lines, as they are: it looks at them, and has no part in their modes. */
static void open_memory(struct kt_gpio_s *g)
{
    int fd = open(getenv("KT_UIO_GPIOMEM"), O_RDWR | O_CLOEXEC);
    void *page;
    char spec[80];

    ck_assert_msg(fd >= 0, "%s: %m", getenv("KT_UIO_GPIOMEM"));
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_msg(page != MAP_FAILED, "%s: %m", getenv("KT_UIO_GPIOMEM"));
    close(fd);
    g->registers = page;
    g->first = MEMORY_FIRST;
    snprintf(g->chip, sizeof g->chip, "gpiomem:auto");
    snprintf(spec, sizeof spec, "gpiod:%s/%u-%u", getenv("KT_GPIO_RASPI"), MEMORY_FIRST,
             MEMORY_FIRST + KT_GPIO_LINES - 1);
    ck_assert_msg(device_get_accessor_by_path(&g->outside.base,
                                              kroutine_runtime_devices(g->env->rt), spec,
                                              DRIVER_CLASS_GPIO) == 0,
                  "%s", kroutine_error_text());
}

void kt_gpio_open(struct kt_gpio_s *g, struct kt_env_s *env, int round, const char *lines,
                  const char *options)
{
    struct dev_gpio_info_s info;
    error_t err;

    memset(g, 0, sizeof *g);
    g->kind = kt_gpio_kind(round);
    g->env = env;
    kt_env_open(env, (enum kt_mode_e)(round % KT_MODES));
    if (g->kind == KT_CHIP_GPIOD)
        snprintf(g->chip, sizeof g->chip, "gpiod:%s", getenv("KT_GPIO_CHIP"));
    else
        snprintf(g->chip, sizeof g->chip, "sim-gpio:kt");
    if (g->kind == KT_CHIP_MEMORY)
        open_memory(g);
    else if (g->kind != KT_CHIP_GPIOD)
        open_outside(g);
    for (unsigned i = 0; i < KT_GPIO_LINES; i++)
        kt_gpio_pull(g, i, false);
    err = kt_gpio_lookup(g, &g->dev, lines, options);
    ck_assert_msg(!err, "%s: %s: %s", g->spec, strerror(-err), kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&g->dev, info, &info), 0);
    g->cap = info.cap;
}

void kt_gpio_close(struct kt_gpio_s *g)
{
    device_put_accessor(&g->dev.base);
    device_put_accessor(&g->outside.base);
    kt_env_close(g->env);
    if (g->registers)
        munmap((void *)g->registers, 4096);
}

/* The number of the chip is another one after it was gone: Linux 6.1 never gives that of a chip
   free that was removed while its lines were held. */
static int open_sysfs(unsigned offset, const char *file, int flags)
{
    char path[256];
    glob_t found;
    int fd;

    snprintf(path, sizeof path, "%s/gpiochip*/sim_gpio%u/%s", getenv("KT_GPIO_SYSFS"), offset,
             file);
    ck_assert_msg(glob(path, 0, NULL, &found) == 0, "%s is not there", path);
    fd = open(found.gl_pathv[0], flags | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", found.gl_pathv[0], strerror(errno));
    globfree(&found);
    return fd;
}

/* Is a thread of an interrupt, of the kernel, not asleep? */
static bool interrupted(void)
{
    bool busy = false;
    glob_t found;

    ck_assert_int_eq(glob("/proc/[0-9]*/stat", GLOB_NOSORT, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && !busy; i++) {
        FILE *f = fopen(found.gl_pathv[i], "re");
        char name[32], state;

        if (!f) /* has ended */
            continue;
        busy = fscanf(f, "%*d (%31[^)]) %c", name, &state) == 2 && strncmp(name, "irq/", 4) == 0 &&
               state != 'S';
        fclose(f);
    }
    globfree(&found);
    return busy;
}

void kt_gpio_pull_fast(struct kt_gpio_s *g, unsigned offset, bool high)
{
    const char *text = high ? "pull-up" : "pull-down";
    static int fds[KT_GPIO_LINES];

    if (g->kind == KT_CHIP_MEMORY) {
        /* GPSET0, GPCLR0: QEMU's lines have the level that was written last, inputs too (gpset in
           hw/gpio/bcm2835_gpio.c). */
        g->registers[high ? 7 : 10] = 1u << (g->first + offset);
        return;
    }
    if (g->kind != KT_CHIP_GPIOD) {
        ck_assert(kroutine_sim_gpio_pull(&g->outside.base, (uint16_t)offset,
                                         high ? DEV_GPIO_PULL_UP : DEV_GPIO_PULL_DOWN) == 0);
        return;
    }
    if (!fds[offset])
        fds[offset] = open_sysfs(offset, "pull", O_WRONLY);
    ck_assert(pwrite(fds[offset], text, strlen(text), 0) == (ssize_t)strlen(text));
}

void kt_gpio_pull(struct kt_gpio_s *g, unsigned offset, bool high)
{
    const char *text = high ? "pull-up" : "pull-down";
    int fd;

    if (g->kind != KT_CHIP_GPIOD) {
        kt_gpio_pull_fast(g, offset, high);
        return;
    }
    fd = open_sysfs(offset, "pull", O_WRONLY);
    ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    /* Two edges of a line before its interrupt thread has run become one, and it reads the level
       that is there by then. The thread may be on another processor, whose turn comes late. */
    while (interrupted())
        kt_sleep_ms(1);
}

bool kt_gpio_level(struct kt_gpio_s *g, unsigned offset)
{
    char c = 0;
    int fd;

    if (g->kind != KT_CHIP_GPIOD)
        return dev_gpio_input(&g->outside, (uint16_t)offset) == 1;
    fd = open_sysfs(offset, "value", O_RDONLY);
    ck_assert_int_eq(read(fd, &c, 1), 1);
    close(fd);
    return c == '1';
}

/* --- requests --- */

static KROUTINE_EXEC(over)
{
    struct kt_gop_s *op = KROUTINE_CONTAINER(dev_gpio_rq_from_kr(kr), struct kt_gop_s, rq);

    (void)flags;
    op->error = op->rq.error;
    op->stamp = kt_stamp();
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

void kt_gop_init(struct kt_gop_s *op, unsigned type, unsigned first, unsigned last)
{
    memset(op, 0, sizeof *op);
    dev_gpio_rq_init(&op->rq, over);
    op->rq.type = (uint8_t)type;
    op->rq.io_first = (uint16_t)first;
    op->rq.io_last = (uint16_t)last;
}

void kt_gop_submit(struct kt_gop_s *op, const struct device_gpio_s *dev)
{
    kt_set(&op->done, 0);
    op->rq.error = 123; /* submit clears it */
    DEVICE_OP(dev, request, &op->rq);
}

error_t kt_gop_cancel(struct kt_gop_s *op, const struct device_gpio_s *dev)
{
    return DEVICE_OP(dev, cancel, &op->rq);
}

void kt_gop_expect(struct kt_gop_s *op, struct kt_env_s *env, int error)
{
    kt_await(env, kt_get(&op->done) >= 1);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    ck_assert_msg(op->error == error, "type %u: error %d (%s), not %d", op->rq.type, op->error,
                  strerror(-op->error), error);
}

void kt_gop_run(struct kt_gop_s *op, struct kt_gpio_s *g, int error)
{
    kt_gop_submit(op, &g->dev);
    kt_gop_expect(op, g->env, error);
}
