/* SPDX-License-Identifier: MIT */
/*
 * The uart class of sim-char devices. The line is a null modem: RTS of one end is CTS of the other,
 * DTR is DSR and DCD; an end that is not open has its outputs off. Ends whose settings differ do
 * not understand each other: what is written arrives as damage.
 */
#include <errno.h>

#include "sim_end.h"

/* --- the other end --- */

/* With the lock: who reads what this end writes; itself on a loop, NULL: nobody. */
static struct kr_sim_end_s *peer_of(const struct kr_sim_end_s *end)
{
    return end->channel[KR_DIR_WRITE] ? end->channel[KR_DIR_WRITE]->reader : NULL;
}

static struct kr_sim_end_s *writer_of(const struct kr_sim_end_s *end)
{
    return end->channel[KR_DIR_READ] ? end->channel[KR_DIR_READ]->writer : NULL;
}

static bool close_rates(uint32_t a, uint32_t b)
{
    uint64_t off = a > b ? a - b : b - a;

    return off * 100 <= (uint64_t)b * 3;
}

bool kr_sim_uart_match(const struct kr_sim_end_s *writer)
{
    const struct kr_sim_end_s *reader = peer_of(writer);
    const struct dev_uart_config_s *a = &writer->uart.config, *b;

    if (!reader || reader == writer)
        return true;
    b = &reader->uart.config;
    return close_rates(a->baudrate, b->baudrate) && a->data_bits == b->data_bits &&
           a->stop_bits == b->stop_bits && a->parity == b->parity;
}

static uint32_t inputs_of(uint32_t outputs)
{
    return (outputs & DEV_UART_RTS ? (uint32_t)DEV_UART_CTS : 0) |
           (outputs & DEV_UART_DTR ? (uint32_t)(DEV_UART_DSR | DEV_UART_DCD) : 0);
}

/* Sets the outputs, which the other end may be waiting for. */
static void put_outputs(struct kr_sim_end_s *end, uint32_t set, uint32_t clear)
{
    struct kr_sim_end_s *peer;
    uint32_t before, changed;

    pthread_mutex_lock(&end->line->lock);
    before = end->uart.outputs;
    end->uart.outputs = (before | set) & ~clear;
    changed = inputs_of(before) ^ inputs_of(end->uart.outputs);
    peer = changed ? peer_of(end) : NULL;
    if (peer) {
        peer->uart.edges.cts += changed & DEV_UART_CTS ? 1 : 0;
        peer->uart.edges.dsr += changed & DEV_UART_DSR ? 1 : 0;
        peer->uart.edges.dcd += changed & DEV_UART_DCD ? 1 : 0;
        kr_sim_end_hold(peer);
    }
    pthread_mutex_unlock(&end->line->lock);
    if (peer) {
        kr_uart_requests_changed(&peer->uart.requests);
        kr_sim_end_put(peer);
    }
}

/* --- what the requests ask --- */

static bool port_gone(void *port)
{
    struct kr_sim_end_s *end = port;
    bool gone;

    pthread_mutex_lock(&end->line->lock);
    gone = end->gone;
    pthread_mutex_unlock(&end->line->lock);
    return gone;
}

static int64_t port_left(void *port)
{
    return kr_sim_end_left(port);
}

static error_t port_levels(void *port, uint32_t *lines)
{
    struct kr_sim_end_s *end = port, *writer;

    pthread_mutex_lock(&end->line->lock);
    writer = writer_of(end);
    *lines = end->uart.outputs | (writer ? inputs_of(writer->uart.outputs) : 0);
    pthread_mutex_unlock(&end->line->lock);
    return 0;
}

static error_t port_edges(void *port, struct kr_uart_edges_s *edges)
{
    struct kr_sim_end_s *end = port;

    pthread_mutex_lock(&end->line->lock);
    *edges = end->uart.edges;
    pthread_mutex_unlock(&end->line->lock);
    return 0;
}

/* The other end hears of a break when it begins. */
static error_t port_break(void *port, bool on)
{
    struct kr_sim_end_s *end = port, *peer;
    bool kick = false;

    if (!on)
        return 0;
    pthread_mutex_lock(&end->line->lock);
    peer = peer_of(end);
    if (peer) {
        peer->uart.counts.breaks++;
        kr_sim_channel_damage(end->channel[KR_DIR_WRITE]);
        kick = kr_sim_end_want_kick(peer, KR_DIR_READ);
    }
    pthread_mutex_unlock(&end->line->lock);
    if (kick)
        kr_sim_end_kick(peer, KR_DIR_READ);
    return 0;
}

static void port_drop_output(void *port)
{
    (void)port; /* nothing above waits */
}

static const struct kr_uart_port_ops_s port_ops = {
    .gone = port_gone,
    .left = port_left,
    .levels = port_levels,
    .edges = port_edges,
    .set_break = port_break,
    .drop_output = port_drop_output,
    .tells = true,
};

/* --- life --- */

error_t kr_sim_uart_open(struct kr_sim_end_s *end, struct device_s *dev,
                         const struct device_spec_s *spec)
{
    end->uart.config = (struct dev_uart_config_s){
        .baudrate = (uint32_t)device_spec_uint(spec, "baud", 115200),
        .data_bits = (uint8_t)device_spec_uint(spec, "data", 8),
        .stop_bits = (uint8_t)device_spec_uint(spec, "stop", 1),
        .parity = (uint8_t)device_spec_uint(spec, "parity", DEV_UART_PARITY_NONE),
    };
    return kr_uart_requests_init(&end->uart.requests, dev, &port_ops, end);
}

void kr_sim_uart_connect(struct kr_sim_end_s *end)
{
    put_outputs(end, DEV_UART_OUTPUTS, 0);
}

void kr_sim_uart_close(struct kr_sim_end_s *end)
{
    kr_uart_requests_close(&end->uart.requests, -ECANCELED);
    put_outputs(end, 0, DEV_UART_OUTPUTS);
}

/* --- the class --- */

static struct kr_sim_end_s *end_of(const struct device_uart_s *acc)
{
    const struct kr_sim_char_pv_s *pv = device_pv(acc->dev);

    return pv->end;
}

static error_t gone(void)
{
    return device_error(-ENODEV, "the device was unplugged");
}

static DEV_UART_GET_CONFIG(sim_get_config)
{
    struct kr_sim_end_s *end = end_of(acc);

    if (port_gone(end))
        return gone();
    pthread_mutex_lock(&end->line->lock);
    *cfg = end->uart.config;
    pthread_mutex_unlock(&end->line->lock);
    return 0;
}

static DEV_UART_SET_CONFIG(sim_set_config)
{
    struct kr_sim_end_s *end = end_of(acc);

    if (cfg->baudrate == 0 || cfg->data_bits < 5 || cfg->data_bits > 8 || cfg->stop_bits < 1 ||
        cfg->stop_bits > 2 || cfg->parity > DEV_UART_PARITY_SPACE ||
        cfg->flow_ctrl > DEV_UART_FLOW_DTRDSR)
        return device_error(-EINVAL, "baud, data, stop, parity or flow is out of range");
    if (cfg->flow_ctrl)
        return device_error(-ENOTSUP, "flow: a simulated line waits by itself when it is full, "
                                      "use flow=none");
    if (port_gone(end))
        return gone();
    pthread_mutex_lock(&end->line->lock);
    end->uart.config = *cfg;
    pthread_mutex_unlock(&end->line->lock);
    return 0;
}

static DEV_UART_GET_LINES(sim_get_lines)
{
    struct kr_sim_end_s *end = end_of(acc);

    return port_gone(end) ? gone() : kr_uart_requests_get_lines(&end->uart.requests, lines);
}

static DEV_UART_SET_LINES(sim_set_lines)
{
    struct kr_sim_end_s *end = end_of(acc);

    if (port_gone(end))
        return gone();
    put_outputs(end, set, clear);
    return 0;
}

static DEV_UART_GET_COUNTS(sim_get_counts)
{
    struct kr_sim_end_s *end = end_of(acc);

    if (port_gone(end))
        return gone();
    pthread_mutex_lock(&end->line->lock);
    *counts = end->uart.counts;
    pthread_mutex_unlock(&end->line->lock);
    return 0;
}

static DEV_UART_SET_BREAK(sim_set_break)
{
    struct kr_sim_end_s *end = end_of(acc);
    error_t err = port_gone(end) ? -ENODEV : kr_uart_requests_set_break(&end->uart.requests, on);

    if (err == -ENODEV)
        return gone();
    return err ? device_error(-EBUSY, "break: bytes or another break are on the line") : 0;
}

static DEV_UART_FLUSH(sim_flush)
{
    struct kr_sim_end_s *end = end_of(acc), *writer;
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    bool room, more;

    if (port_gone(end))
        return gone();
    pthread_mutex_lock(&end->line->lock);
    kr_sim_channel_settle(end->channel[KR_DIR_READ], now);
    kr_sim_channel_settle(end->channel[KR_DIR_WRITE], now);
    if (which & DEV_UART_FLUSH_IN) {
        kr_sim_channel_drop_arrived(end->channel[KR_DIR_READ]);
        end->channel[KR_DIR_READ]->damaged = false;
    }
    if (which & DEV_UART_FLUSH_OUT)
        kr_sim_channel_drop_under_way(end->channel[KR_DIR_WRITE]);
    writer = writer_of(end);
    room = kr_sim_end_want_kick(writer, KR_DIR_WRITE);
    more = kr_sim_end_want_kick(end, KR_DIR_WRITE);
    pthread_mutex_unlock(&end->line->lock);
    if (room)
        kr_sim_end_kick(writer, KR_DIR_WRITE);
    if (more)
        kr_sim_end_kick(end, KR_DIR_WRITE);
    if (which & DEV_UART_FLUSH_IN)
        kr_stream_drop_input(end->stream);
    kr_uart_requests_changed(&end->uart.requests);
    return 0;
}

static DEV_UART_REQUEST(sim_request)
{
    kr_uart_requests_submit(&end_of(acc)->uart.requests, rq);
}

static DEV_UART_CANCEL(sim_cancel)
{
    return kr_uart_requests_cancel(&end_of(acc)->uart.requests, rq);
}

const struct driver_uart_s kr_sim_uart = {
    .cl = DRIVER_CLASS_UART,
    .f_get_config = sim_get_config,
    .f_set_config = sim_set_config,
    .f_get_lines = sim_get_lines,
    .f_set_lines = sim_set_lines,
    .f_get_counts = sim_get_counts,
    .f_set_break = sim_set_break,
    .f_flush = sim_flush,
    .f_request = sim_request,
    .f_cancel = sim_cancel,
};
