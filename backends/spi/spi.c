/* SPDX-License-Identifier: MIT */
/*
 * Driver `spi`: chips on buses of the kernel, through spidev, "spi:0.0?hz=1M&mode=0".
 *
 * The clock and the width of words go with each transfer. The mode belongs to the chip select: it
 * is looked at before each message, since other devices and programs may use the same, and written
 * when it is another.
 *
 *     free ──a message, a new setting──▶ taken ──▶ free
 *
 * Both change the mode in the kernel, so one waits for the other; spidev would make it wait, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/spi/spidev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bus.h"
#include "find.h"

/* The size field of an ioctl's number has _IOC_SIZEBITS; SPI_MSGSIZE(N) is 0 where it overflows. */
#define LIST_MAX (((1u << _IOC_SIZEBITS) - 1) / sizeof(struct spi_ioc_transfer))
/* SPI_IOC_MESSAGE(N), which takes the size of an array of N: a variable one where N is. */
#define MESSAGE(n) _IOC(_IOC_WRITE, SPI_IOC_MAGIC, 0, (n) * sizeof(struct spi_ioc_transfer))

/* What spidev_message() rounds each transfer up to in its buffer: ARCH_DMA_MINALIGN. A 32-bit
   program may run on a 64-bit kernel. */
#if defined(__x86_64__) || defined(__i386__)
#define ALIGN 8
#elif defined(__riscv) || defined(__powerpc__)
#define ALIGN 64
#else
#define ALIGN 128
#endif

#define OURS 0xffu /* bits of the mode that the class has: enum dev_spi_mode_e are the kernel's */

struct spi_s {
    struct kr_bus_port_s port;
    int fd;
    struct find_s found;
    struct kr_spi_limits_s limits;
    uint32_t others; /* bits of the mode that the device tree sets: lines */
    struct dev_spi_config_s before;

    pthread_mutex_t lock;
    pthread_cond_t free;
    bool taken;
    struct dev_spi_config_s config;

    /* Of whoever has taken it. */
    uint32_t wrote, reads; /* a mode, and how the kernel tells it: not all bits come back */
    struct kr_spi_walk_s walk;
    struct spi_ioc_transfer list[LIST_MAX];
};

struct spi_pv_s {
    struct spi_s *s;
};

static const struct driver_param_s params[] = {
    KR_SPI_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct spi_s *of(const struct device_s *dev)
{
    const struct spi_pv_s *pv = dev->pv;

    return pv->s;
}

static void take(struct spi_s *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->taken)
        pthread_cond_wait(&s->free, &s->lock);
    s->taken = true;
    pthread_mutex_unlock(&s->lock);
}

static void give(struct spi_s *s)
{
    pthread_mutex_lock(&s->lock);
    s->taken = false;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->free);
}

/* --- settings of the kernel; taken --- */

static error_t failed(void)
{
    return errno == ESHUTDOWN ? -ENODEV : -errno; /* the chip was unbound */
}

static error_t write_mode(struct spi_s *s, uint32_t mode)
{
    uint32_t all = mode | s->others;

    if (ioctl(s->fd, SPI_IOC_WR_MODE32, &all) || ioctl(s->fd, SPI_IOC_RD_MODE32, &s->reads))
        return failed();
    s->wrote = mode;
    return 0;
}

static error_t use_mode(struct spi_s *s, uint32_t mode)
{
    uint32_t now;

    if (ioctl(s->fd, SPI_IOC_RD_MODE32, &now))
        return failed();
    return mode == s->wrote && now == s->reads ? 0 : write_mode(s, mode);
}

/* A new mode is refused: which bit of it? */
static error_t mode_refused(struct spi_s *s, uint32_t old, uint32_t mode, error_t err)
{
    uint32_t left = mode & ~old, culprit = mode ^ old;

    for (; left; left &= left - 1) {
        uint32_t bit = left & -left;

        if (write_mode(s, old | bit)) {
            culprit = bit;
            break;
        }
    }
    write_mode(s, old);
    return device_error(err, "the controller of SPI bus %u refuses mode 0x%x, because of %s: %s",
                        s->found.bus, mode, kr_spi_mode_name(culprit), strerror(-err));
}

static error_t try(struct spi_s *s, const struct dev_spi_config_s *old,
                   const struct dev_spi_config_s *config)
{
    error_t err;

    if (config->bits != old->bits && ioctl(s->fd, SPI_IOC_WR_BITS_PER_WORD, &config->bits)) {
        err = failed();
        return device_error(err, "the controller of SPI bus %u refuses words of %u bits: %s",
                            s->found.bus, config->bits, strerror(-err));
    }
    err = use_mode(s, config->mode);
    if (!err)
        return 0;
    if (config->bits != old->bits)
        ioctl(s->fd, SPI_IOC_WR_BITS_PER_WORD, &old->bits);
    return mode_refused(s, old->mode, config->mode, err);
}

/* --- requests --- */

/* The next message of the walk as the kernel wants it. Number of transfers. */
static unsigned fill(struct spi_s *s)
{
    const struct dev_spi_rq_s *rq = s->walk.rq;
    struct kr_spi_piece_s piece;
    unsigned n = 0;

    while (kr_spi_walk_piece(&s->walk, &piece)) {
        s->list[n++] = (struct spi_ioc_transfer){
            .tx_buf = (uintptr_t)piece.out,
            .rx_buf = (uintptr_t)piece.in,
            .len = piece.size,
            .speed_hz = kr_spi_hz(rq, piece.of),
            .delay_usecs = piece.last ? piece.of->delay_us : 0,
            .bits_per_word = (uint8_t)kr_spi_bits(rq, piece.of),
            .cs_change = piece.last && piece.of->flags & DEV_SPI_CS_CHANGE,
            .tx_nbits = piece.of->out_lines,
            .rx_nbits = piece.of->in_lines,
            .word_delay_usecs = piece.of->word_delay_us,
        };
    }
    if (n && s->walk.index < rq->count)
        s->list[n - 1].cs_change = 0; /* in the last transfer it would mean: stay selected */
    return n;
}

static error_t message(struct spi_s *s, struct dev_spi_rq_s *rq)
{
    error_t err = use_mode(s, rq->with.mode);
    unsigned n = fill(s);
    int moved;

    if (err)
        return err;
    if (!n)
        return -EMSGSIZE; /* not even a word */
    moved = ioctl(s->fd, MESSAGE(n), s->list);
    if (moved < 0)
        return failed();
    rq->done += (unsigned)moved;
    return kr_spi_walk_message(&s->walk) ? KR_BUS_MORE : 0;
}

static error_t spi_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct spi_s *s = KROUTINE_CONTAINER(port, struct spi_s, port);
    struct dev_spi_rq_s *rq = dev_spi_rq_cast(base);
    error_t err;

    take(s);
    if (!rq->begun) {
        rq->begun = 1;
        kr_spi_walk(&s->walk, rq, &s->limits);
    }
    err = message(s, rq);
    give(s);
    if (err == -ENODEV)
        kr_bus_gone(port);
    return err;
}

static const struct kr_bus_ops_s spi_ops = {.perform = spi_perform};

static DEV_SPI_REQUEST(spi_request)
{
    struct spi_s *s = of(acc->dev);

    pthread_mutex_lock(&s->lock);
    rq->with = s->config;
    pthread_mutex_unlock(&s->lock);
    kr_bus_request(&s->port, &rq->base, kr_spi_check(rq, &s->limits));
}

static DEV_SPI_CANCEL(spi_cancel)
{
    return kr_bus_cancel(&of(acc->dev)->port, &rq->base);
}

static DEV_SPI_CONFIG(spi_config)
{
    struct spi_s *s = of(acc->dev);
    struct dev_spi_config_s config;
    error_t err;

    take(s);
    config = s->config; /* only changed by who has taken it */
    err = kr_spi_merge(&config, cfg);
    if (!err)
        err = try(s, &s->config, &config);
    if (!err) {
        pthread_mutex_lock(&s->lock);
        s->config = config;
        pthread_mutex_unlock(&s->lock);
    }
    give(s);
    return err;
}

static DEV_SPI_INFO(spi_info)
{
    struct spi_s *s = of(acc->dev);

    memset(info, 0, sizeof(*info));
    info->bus = s->found.bus;
    info->select = s->found.select;
    info->size_max = s->limits.bytes;
    pthread_mutex_lock(&s->lock);
    info->config = s->config;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* --- opening and closing --- */

static error_t read_config(struct spi_s *s)
{
    uint32_t mode;

    if (ioctl(s->fd, SPI_IOC_RD_MODE32, &mode) ||
        ioctl(s->fd, SPI_IOC_RD_BITS_PER_WORD, &s->before.bits) ||
        ioctl(s->fd, SPI_IOC_RD_MAX_SPEED_HZ, &s->before.hz))
        return device_error(-errno, "%s: %s", s->found.path, strerror(errno));
    if (!s->before.bits)
        s->before.bits = 8;
    s->others = mode & ~OURS;
    s->before.mode = mode & OURS;
    s->wrote = s->before.mode;
    s->reads = mode;
    return 0;
}

static void put_back(struct spi_s *s)
{
    if (s->config.bits != s->before.bits)
        ioctl(s->fd, SPI_IOC_WR_BITS_PER_WORD, &s->before.bits);
    use_mode(s, s->before.mode);
}

static error_t open_chip(struct spi_s *s, struct device_s *dev, const struct device_spec_s *spec)
{
    char name[32];
    error_t err;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-spi");
    s->fd = find_open(&s->found, device_spec_address(spec));
    if (s->fd < 0)
        return s->fd;
    s->limits = (struct kr_spi_limits_s){find_bufsiz(), ALIGN, LIST_MAX, "spidev.bufsiz"};
    err = read_config(s);
    if (err)
        return err;
    s->config = s->before;
    kr_spi_keys(&s->config, spec);
    err = try(s, &s->before, &s->config);
    if (err)
        return err;
    snprintf(name, sizeof(name), "spi%u", s->found.bus);
    err = kr_bus_open(&s->port, dev, &spi_ops, name);
    if (err)
        put_back(s);
    return err;
}

static void destroy(struct spi_s *s)
{
    if (s->fd >= 0)
        close(s->fd);
    pthread_cond_destroy(&s->free);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static error_t spi_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct spi_pv_s *pv = device_pv(dev);
    struct spi_s *s = calloc(1, sizeof(*s));
    error_t err;

    if (!s)
        return -ENOMEM;
    s->fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->free, NULL);
    err = open_chip(s, dev, spec);
    if (err)
        destroy(s);
    else
        pv->s = s;
    return err;
}

static void spi_close(struct device_s *dev)
{
    struct spi_s *s = of(dev);

    kr_bus_close(&s->port, -ECANCELED);
    take(s);
    put_back(s);
    give(s);
}

/* The descriptor stays until here: a call of f_config may be under way. */
static void spi_free(struct device_s *dev)
{
    struct spi_s *s = of(dev);

    kr_bus_free(&s->port);
    destroy(s);
}

static const struct driver_spi_s spi_methods = DRIVER_SPI_METHODS(spi);

const struct driver_s kr_driver_spi = {
    .name = "spi",
    .desc = "chips on SPI buses, through spidev",
    .params = params,
    .pv_size = sizeof(struct spi_pv_s),
    .f_open = spi_open,
    .f_close = spi_close,
    .f_free = spi_free,
    .classes = {(const struct driver_class_table_s *)&spi_methods},
};
