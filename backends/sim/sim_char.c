/* SPDX-License-Identifier: MIT */
/* The driver sim-char: what a spec says, opening, closing, the class. kroutine/sim.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_end.h"

/* --- opening and closing --- */

enum peer_e { PEER_LOOP, PEER_NULL, PEER_PATTERN };

static const struct driver_param_s params[] = {
    {"side", "end of a line with two: a, b", "a|b", 0, 0, DRIVER_PARAM_ENUM},
    {"peer", "other end of a line with one: loop, null, pattern", "loop|null|pattern", 0, 0,
     DRIVER_PARAM_ENUM},
    {"rate", "bytes a second, 0: no limit", NULL, 0, 1000000000, DRIVER_PARAM_UINT},
    {"latency", "ns that every byte takes", NULL, 0, INT64_MAX / 4, DRIVER_PARAM_UINT},
    {"jitter", "ns, range of a random latency beside", NULL, 0, INT64_MAX / 4, DRIVER_PARAM_UINT},
    {"chunk", "bytes arrive in pieces of random size, this at most; 0: as written", NULL, 0,
     1 << 20, DRIVER_PARAM_UINT},
    {"buffer", "bytes that fit into the line", NULL, 1, 1 << 20, DRIVER_PARAM_UINT},
    {"record", "frames instead of bytes", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"short", "percent of transfers that are cut short", NULL, 0, 100, DRIVER_PARAM_UINT},
    {"eagain", "percent of transfers that find nothing at first", NULL, 0, 90, DRIVER_PARAM_UINT},
    {"seed", "for random numbers", NULL, 0, UINT64_MAX, DRIVER_PARAM_UINT},
    {"baud", "bits a second of the uart class; 115200", NULL, 1, UINT32_MAX, DRIVER_PARAM_UINT},
    {"data", "data bits a character; 8", NULL, 5, 8, DRIVER_PARAM_UINT},
    {"parity", "parity bit; none", "none|odd|even|mark|space", 0, 0, DRIVER_PARAM_ENUM},
    {"stop", "stop bits; 1", NULL, 1, 2, DRIVER_PARAM_UINT},
    KR_FRAMING_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static error_t read_settings(struct kr_sim_settings_s *set, const struct kroutine_runtime_s *rt,
                             const struct device_spec_s *spec)
{
    set->seed = kr_sim_seed(rt) ^ device_spec_uint(spec, "seed", 0);
    set->rate = device_spec_uint(spec, "rate", 0);
    set->latency = device_spec_uint(spec, "latency", 0);
    set->jitter = device_spec_uint(spec, "jitter", 0);
    set->chunk = (uint32_t)device_spec_uint(spec, "chunk", 0);
    set->buffer = (uint32_t)device_spec_uint(spec, "buffer", 4096);
    set->record = device_spec_uint(spec, "record", 0);
    set->short_percent = (uint8_t)device_spec_uint(spec, "short", 0);
    set->again_percent = (uint8_t)device_spec_uint(spec, "eagain", 0);
    if (device_spec_has(spec, "side") && device_spec_has(spec, "peer"))
        return device_error(-EINVAL, "side and peer exclude each other");
    if (set->record && device_spec_has(spec, "frame"))
        return device_error(-EINVAL, "record and frame exclude each other");
    return 0;
}

static struct kr_random_s random_of(const struct kr_sim_end_s *end, const char *what)
{
    char text[80];

    snprintf(text, sizeof(text), "%s/%u/%.60s", what, end->side, end->line->name);
    return kr_random_from(end->set.seed, text);
}

/* With the lock: makes the channels of this end what they are for. */
static error_t connect_line(struct kr_sim_end_s *end, enum peer_e peer)
{
    struct kr_sim_line_s *line = end->line;
    struct kr_sim_channel_s *out = &line->channel[end->side], *in = &line->channel[!end->side];
    error_t err;

    err = kr_sim_channel_setup(out, &end->set, random_of(end, "line"));
    if (!err && line->paired && (in->writer || in->fill) && in->record != end->set.record)
        err = -EINVAL;
    if (err)
        return err == -EINVAL ? device_error(err, "record: must be the same at both ends") : err;
    if (!line->paired && peer == PEER_LOOP) {
        in = out;
    } else if (!line->paired) {
        err = kr_sim_channel_setup(in, &end->set, random_of(end, "peer"));
        if (err)
            return err;
        out->kind = KR_SIM_SINK;
        in->kind = peer == PEER_NULL ? KR_SIM_SILENCE : KR_SIM_SOURCE;
        in->since = kr_clock_now(kr_sim_end_clock(end));
    }
    out->writer = end;
    in->reader = end;
    out->no_writer = in->no_reader = false;
    end->channel[KR_DIR_READ] = in;
    end->channel[KR_DIR_WRITE] = out;
    end->random = random_of(end, "end");
    return 0;
}

static error_t open_line(struct kr_sim_end_s *end, const struct device_spec_s *spec)
{
    bool paired = device_spec_has(spec, "side");
    error_t err;

    end->side = (unsigned)device_spec_uint(spec, "side", 0);
    err = kr_sim_line_join(&end->line, end->rt, device_spec_address(spec), paired, end->side);
    if (err)
        return err == -EBUSY
                   ? device_error(err, "%s is open already", paired ? "this side" : "the line")
                   : err;
    pthread_mutex_lock(&end->line->lock);
    err = connect_line(end, (enum peer_e)device_spec_uint(spec, "peer", PEER_LOOP));
    pthread_mutex_unlock(&end->line->lock);
    if (err)
        kr_sim_line_leave(end->line, end->side);
    return err;
}

static error_t sim_char_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_sim_char_pv_s *pv = device_pv(dev);
    struct kr_stream_config_s config = {
        .ops = &kr_sim_byte_ops, .dev = dev, .fd = -1, .readable = true, .writable = true};
    struct kr_sim_end_s *end = calloc(1, sizeof(*end));
    error_t err;

    if (!end)
        return -ENOMEM;
    end->rt = device_runtime(dev);
    kr_sim_end_init(end);
    err = read_settings(&end->set, end->rt, spec);
    if (!err)
        err = kr_framing_from_spec(&config.framing, spec);
    if (!err) {
        if (end->set.record)
            config.ops = &kr_sim_record_ops;
        err = kr_stream_create(&end->stream, &config, end);
    }
    if (!err)
        err = kr_sim_uart_open(end, dev, spec);
    if (!err)
        err = open_line(end, spec);
    if (err) {
        kr_sim_end_put(end);
        return err;
    }
    pv->end = end;
    kr_sim_uart_connect(end);
    return 0;
}

/* With the lock. */
static void disconnect(struct kr_sim_end_s *end)
{
    struct kr_sim_channel_s *in = end->channel[KR_DIR_READ], *out = end->channel[KR_DIR_WRITE];

    end->closed = true;
    out->writer = NULL;
    out->set = NULL;
    out->no_writer = true;
    in->reader = NULL;
    in->no_reader = true;
    kr_sim_channel_clear(in);
}

static void sim_char_close(struct device_s *dev)
{
    struct kr_sim_char_pv_s *pv = device_pv(dev);
    struct kr_sim_end_s *end = pv->end, *reader, *writer;
    bool kick_reader, kick_writer;

    kr_stream_close(end->stream, -ECANCELED);
    kr_sim_uart_close(end);
    pthread_mutex_lock(&end->line->lock);
    disconnect(end);
    reader = end->channel[KR_DIR_WRITE]->reader;
    writer = end->channel[KR_DIR_READ]->writer;
    kick_reader = kr_sim_end_want_kick(reader, KR_DIR_READ);
    kick_writer = kr_sim_end_want_kick(writer, KR_DIR_WRITE);
    pthread_mutex_unlock(&end->line->lock);
    if (kick_reader)
        kr_sim_end_kick(reader, KR_DIR_READ);
    if (kick_writer)
        kr_sim_end_kick(writer, KR_DIR_WRITE);
    kr_sim_line_leave(end->line, end->side);
    kr_sim_end_stop(end);
}

/* Calls that were under way at the close may have used it until now. */
static void sim_char_free(struct device_s *dev)
{
    struct kr_sim_char_pv_s *pv = device_pv(dev);

    kr_sim_end_put(pv->end);
}

/* --- class --- */

static struct kr_stream_s *stream_of(const struct device_char_s *acc)
{
    const struct kr_sim_char_pv_s *pv = device_pv(acc->dev);

    return pv->end->stream;
}

static DEV_CHAR_REQUEST(sim_char_request)
{
    kr_stream_request(stream_of(acc), rq);
}

static DEV_CHAR_CANCEL(sim_char_cancel)
{
    return kr_stream_cancel(stream_of(acc), rq);
}

static const struct driver_char_s sim_char_methods = DRIVER_CHAR_METHODS(sim_char);

const struct driver_s kr_driver_sim_char = {
    .name = "sim-char",
    .desc = "simulated line: loopback, null modem, source and sink of bytes, with faults",
    .params = params,
    .pv_size = sizeof(struct kr_sim_char_pv_s),
    .f_open = sim_char_open,
    .f_close = sim_char_close,
    .f_free = sim_char_free,
    .classes = {(const struct driver_class_table_s *)&sim_char_methods,
                (const struct driver_class_table_s *)&kr_sim_uart},
};
