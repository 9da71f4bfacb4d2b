/* SPDX-License-Identifier: MIT */
/* Layers: opening and closing, and the requests to the device below. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "layer.h"
#include "uart_line.h"

#define RAW_ROOM 4096 /* as much as a tty or a pty gives at once */

/* --- requests below --- */

static KROUTINE_EXEC(lower_over)
{
    struct kr_lower_s *lower = KROUTINE_CONTAINER(kr, struct kr_lower_s, timed.rq.base.kr);
    struct kr_stream_s *s = lower->layer->stream;
    bool kick;

    (void)flags;
    pthread_mutex_lock(&lower->lock);
    kick = lower->state == KR_LOWER_BUSY;
    lower->state = KR_LOWER_DONE;
    pthread_mutex_unlock(&lower->lock);
    if (kick)
        kr_lower_kick(lower);
    kr_stream_put(s);
}

void kr_lower_kick(struct kr_lower_s *lower)
{
    bool mine;

    pthread_mutex_lock(&lower->lock);
    mine = !lower->kicked;
    lower->kicked = true;
    if (mine)
        kr_stream_keep(lower->layer->stream);
    pthread_mutex_unlock(&lower->lock);
    if (mine)
        kroutine_exec(&lower->kick);
}

/* With the lock: ends what the stream believes under way, if it is over. */
static bool end_async(struct kr_lower_s *lower, ssize_t *result)
{
    if (lower->state != KR_LOWER_DONE || !lower->async)
        return false;
    lower->state = KR_LOWER_IDLE;
    lower->async = false;
    *result = kr_layer_write_over(lower->layer, lower->timed.rq.error);
    /* Not by our cancel: the device below is being closed. The stream takes -ECANCELED for an end
       that it asked for itself. */
    if (*result == -ECANCELED && !lower->aborted)
        *result = KR_STREAM_GONE;
    return true;
}

static KROUTINE_EXEC(kicked)
{
    struct kr_lower_s *lower = KROUTINE_CONTAINER(kr, struct kr_lower_s, kick);
    struct kr_stream_s *s = lower->layer->stream;
    ssize_t result = 0;
    bool ended;

    (void)flags;
    pthread_mutex_lock(&lower->lock);
    lower->kicked = false;
    ended = end_async(lower, &result);
    pthread_mutex_unlock(&lower->lock);
    if (ended)
        kr_stream_complete(s, lower->dir, result);
    if (!ended || result == -EAGAIN)
        kr_stream_ready(s, lower->dir);
    kr_stream_put(s);
}

bool kr_lower_start(struct kr_lower_s *lower, bool async)
{
    struct kr_layer_s *l = lower->layer;
    bool done;

    pthread_mutex_lock(&lower->lock);
    lower->state = KR_LOWER_SUBMITTING;
    lower->async = async;
    lower->aborted = false;
    pthread_mutex_unlock(&lower->lock);
    kr_stream_keep(l->stream);
    kr_request_below(&l->below, &lower->timed.rq);
    pthread_mutex_lock(&lower->lock);
    done = lower->state == KR_LOWER_DONE;
    lower->state = done ? KR_LOWER_IDLE : KR_LOWER_BUSY;
    if (done)
        lower->async = false;
    pthread_mutex_unlock(&lower->lock);
    return done;
}

enum kr_lower_state_e kr_lower_take(struct kr_lower_s *lower)
{
    enum kr_lower_state_e state;

    pthread_mutex_lock(&lower->lock);
    state = lower->state;
    if (state == KR_LOWER_DONE)
        lower->state = KR_LOWER_IDLE;
    pthread_mutex_unlock(&lower->lock);
    return state;
}

/* With the lock, under which the accessor stays, and no handler runs: cancel runs none. */
static bool cancel_locked(struct kr_lower_s *lower)
{
    if (lower->state != KR_LOWER_BUSY || lower->closed ||
        DEVICE_OP(&lower->layer->below, cancel, &lower->timed.rq))
        return false;
    lower->state = KR_LOWER_IDLE;
    return true;
}

bool kr_lower_cancel(struct kr_lower_s *lower)
{
    bool mine;

    pthread_mutex_lock(&lower->lock);
    mine = cancel_locked(lower);
    pthread_mutex_unlock(&lower->lock);
    if (mine)
        kr_stream_put(lower->layer->stream);
    return mine;
}

/* Only writes are ever under way for the stream. One that can be neither taken back nor waited for
   ends by itself; while the layer closes the stream does not wait for it, since the thread that
   has to run its handler may be this one. Its bytes are in a buffer of the layer. */
static void layer_abort(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_layer_s *l = kr_stream_pv(s);
    struct kr_lower_s *lower = &l->out.lower;
    bool over, mine = false;
    ssize_t result = -ECANCELED;

    (void)dir;
    pthread_mutex_lock(&lower->lock);
    over = end_async(lower, &result);
    if (!over && lower->async && lower->state == KR_LOWER_BUSY) {
        mine = cancel_locked(lower);
        lower->aborted = !mine;
        over = mine || lower->closing;
        if (over)
            lower->async = false;
        if (mine)
            result = kr_layer_write_over(l, -ECANCELED);
    }
    pthread_mutex_unlock(&lower->lock);
    if (over)
        kr_stream_complete(s, KR_DIR_WRITE, result);
    if (over && result == -EAGAIN)
        kr_stream_ready(s, KR_DIR_WRITE);
    if (mine)
        kr_stream_put(s);
}

/* --- the stream --- */

static int layer_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_layer_s *l = kr_stream_pv(s);

    return dir == KR_DIR_READ ? kr_layer_poll_read(l) : kr_layer_poll_write(l);
}

/* The request below that found nothing is what waits. */
static void layer_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    (void)s;
    (void)dir;
}

static void destroy(struct kr_layer_s *l)
{
    pthread_mutex_destroy(&l->in.lower.lock);
    pthread_mutex_destroy(&l->out.lower.lock);
    free(l->in.raw);
    free(l->in.decoder.data);
    free(l->out.line[0]);
    free(l->out.line[1]);
    free(l);
}

static void layer_released(struct kr_stream_s *s)
{
    destroy(kr_stream_pv(s));
}

static const struct kr_stream_ops_s layer_ops = {
    .recv_frame = kr_layer_recv,
    .send_frame = kr_layer_send,
    .poll = layer_poll,
    .arm = layer_arm,
    .drain = kr_layer_drain,
    .abort = layer_abort,
    .released = layer_released,
};

/* --- opening and closing --- */

static void init_lower(struct kr_layer_s *l, struct kr_lower_s *lower, enum kr_dir_e dir)
{
    lower->layer = l;
    lower->dir = dir;
    pthread_mutex_init(&lower->lock, NULL);
    dev_char_rq_init_immediate(&lower->timed.rq, lower_over);
    kroutine_init_sched_switch(&lower->kick, kicked);
    kroutine_bind(&lower->kick, l->rt);
    lower->kick.mark = KR_INTERNAL;
}

/* What comes in one piece at most: from a device of records, a frame of a peer like this one. */
static size_t raw_room(const struct kr_layer_s *l)
{
    size_t bound = l->codec->bound(&l->config) + KR_RESYNC_MAX;

    if (l->gap)
        return bound - KR_RESYNC_MAX + 1; /* one that is too large shows itself */
    return bound > RAW_ROOM ? bound : RAW_ROOM;
}

static error_t allocate(struct kr_layer_s *l)
{
    size_t bound = l->codec->bound(&l->config) + KR_RESYNC_MAX;

    l->in.raw_room = raw_room(l);
    l->in.raw = malloc(l->in.raw_room);
    l->in.decoder.data = malloc(l->codec->room(&l->config));
    l->out.line[0] = malloc(bound);
    l->out.line[1] = malloc(bound);
    return l->in.raw && l->in.decoder.data && l->out.line[0] && l->out.line[1] ? 0 : -ENOMEM;
}

static error_t create(struct kr_layer_s **ret, struct device_s *dev, const struct kr_codec_s *codec,
                      const struct kr_codec_config_s *config, uint64_t gap)
{
    struct kr_stream_config_s stream = {
        .ops = &layer_ops, .dev = dev, .fd = -1, .readable = true, .writable = true};
    struct kr_layer_s *l = calloc(1, sizeof(*l));
    error_t err;

    if (!l)
        return -ENOMEM;
    l->codec = codec;
    l->config = *config;
    l->gap = gap;
    l->rt = device_runtime(dev);
    init_lower(l, &l->in.lower, KR_DIR_READ);
    init_lower(l, &l->out.lower, KR_DIR_WRITE);
    kr_layer_init_timer(l);
    err = allocate(l);
    if (!err)
        err = kr_stream_create(&l->stream, &stream, l);
    if (err) {
        destroy(l);
        return err;
    }
    l->in.decoder.config = &l->config;
    codec->reset(&l->in.decoder);
    *ret = l;
    return 0;
}

/* Modbus over serial line V1.02, 2.5.1.1: silence of 3.5 characters, 1.75 ms above 19200 baud. A
   device that is no serial port gets what a fast one has. */
static uint64_t line_gap(struct device_s *below)
{
    struct dev_uart_config_s config;
    struct device_uart_s uart;
    error_t err = -ENOTSUP;

    if (device_has_class(below, DRIVER_CLASS_UART) &&
        device_get_accessor(&uart.base, below, DRIVER_CLASS_UART) == 0) {
        err = DEVICE_OP(&uart, get_config, &config);
        device_put_accessor(&uart.base);
    }
    if (err || config.baudrate == 0 || config.baudrate > 19200)
        return KROUTINE_USEC(1750);
    return kr_uart_char_bits(&config) * 7 * (KROUTINE_SEC(1) / 2) / config.baudrate;
}

error_t kr_layer_open(struct device_s *dev, const struct device_spec_s *spec,
                      const struct kr_codec_s *codec, const struct kr_codec_config_s *config,
                      uint64_t gap)
{
    struct kroutine_runtime_s *rt = device_runtime(dev);
    struct kr_layer_pv_s *pv = device_pv(dev);
    const char *address = device_spec_address(spec);
    struct device_char_s below;
    error_t err;

    if (!*address || *address == '?')
        return device_error(-EINVAL, "the device below is missing: %s:tty:/dev/ttyUSB0",
                            device_driver_name(dev));
    err = device_get_accessor_by_path(&below.base, rt->root, address, DRIVER_CLASS_CHAR);
    if (err)
        return err;
    if (gap == UINT64_MAX)
        gap = line_gap(below.dev);
    err = create(&pv->layer, dev, codec, config, gap);
    if (err)
        device_put_accessor(&below.base);
    else
        pv->layer->below = below;
    return err;
}

static void close_lower(struct kr_lower_s *lower)
{
    bool kick;

    kr_lower_cancel(lower);
    pthread_mutex_lock(&lower->lock);
    lower->closed = true;
    kick = lower->kicked && kroutine_cancel(&lower->kick);
    if (kick)
        lower->kicked = false;
    pthread_mutex_unlock(&lower->lock);
    if (kick)
        kr_stream_put(lower->layer->stream);
}

void kr_layer_close(struct device_s *dev)
{
    struct kr_layer_pv_s *pv = device_pv(dev);
    struct kr_layer_s *l = pv->layer;

    /* What is under way below is taken back, or left to end by itself: see layer_abort. */
    pthread_mutex_lock(&l->out.lower.lock);
    l->out.lower.closing = true;
    pthread_mutex_unlock(&l->out.lower.lock);
    kr_stream_close(l->stream, -ECANCELED);
    kr_layer_stop_timer(l);
    close_lower(&l->in.lower);
    close_lower(&l->out.lower);
    device_put_accessor(&l->below.base);
}

void kr_layer_free(struct device_s *dev)
{
    struct kr_layer_pv_s *pv = device_pv(dev);

    kr_stream_put(pv->layer->stream);
}

/* --- class --- */

static struct kr_stream_s *stream_of(const struct device_char_s *acc)
{
    const struct kr_layer_pv_s *pv = device_pv(acc->dev);

    return pv->layer->stream;
}

static DEV_CHAR_REQUEST(layer_request)
{
    kr_stream_request(stream_of(acc), rq);
}

static DEV_CHAR_CANCEL(layer_cancel)
{
    return kr_stream_cancel(stream_of(acc), rq);
}

const struct driver_char_s kr_layer_char = DRIVER_CHAR_METHODS(layer);
