/* SPDX-License-Identifier: MIT */
/* The two flows of a pair, and the port that may go and come back. */
#include "bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void pair_say(const struct pair_s *pair, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "serial-bridge: %s,%s: ", pair->tty_spec, pair->address);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* One that is running already is early enough. */
void pair_later(struct dev_timer_rq_s *timer, uint64_t delay)
{
    timer->delay = delay;
    (void)DEVICE_OP(&bridge.timer, request, timer);
}

/* --- flows --- */

static void submit(struct flow_s *flow, const struct device_char_s *dev, bool reading)
{
    flow->busy = true;
    flow->reading = reading;
    flow->rq.type = reading ? DEV_CHAR_READ_PARTIAL : DEV_CHAR_WRITE;
    flow->rq.data = reading ? flow->data : flow->at;
    flow->rq.size = reading ? sizeof(flow->data) : flow->held;
    DEVICE_OP(dev, request, &flow->rq);
}

static void go_on(struct flow_s *flow)
{
    struct pair_s *pair = flow->pair;

    if (flow->busy)
        return;
    if (flow->to == &pair->tcp && !pair->tcp.dev)
        flow->held = 0; /* nobody listens */
    if (flow->held != 0) {
        if (flow->to->dev)
            submit(flow, flow->to, false);
    } else if (flow->from->dev && !(flow->from == &pair->tcp && pair->tcp_ended)) {
        submit(flow, flow->from, true);
    }
}

void pair_go_on(struct pair_s *pair)
{
    go_on(&pair->to_tcp);
    go_on(&pair->to_tty);
}

/* --- ends --- */

static void tty_failed(struct pair_s *pair, error_t error)
{
    if (!pair->tty.dev || error == -EPIPE || error == -EBADMSG)
        return; /* closed already; or bytes that the line has lost or spoilt: more will come */
    if (!bridge.quiet)
        pair_say(pair, "the port is gone: %s", strerror(-error));
    device_put_accessor(&pair->tty.base);
    pair_later(&pair->tty_timer, BRIDGE_RETRY);
}

static void tcp_failed(struct pair_s *pair, error_t error)
{
    if (!pair->tcp.dev)
        return;
    if (error == -ENODATA) {
        pair->tcp_ended = true;
        pair->lingered = UINT64_MAX; /* it was not looked at yet */
        pair_later(&pair->tcp_timer, BRIDGE_LINGER);
    } else {
        tcp_drop(pair);
    }
}

static KROUTINE_EXEC(moved)
{
    struct flow_s *flow = KROUTINE_CONTAINER(kr, struct flow_s, rq.base.kr);
    struct pair_s *pair = flow->pair;
    const struct device_char_s *dev = flow->reading ? flow->from : flow->to;
    error_t error = flow->rq.error;

    (void)flags;
    flow->busy = false;
    if (flow->reading) {
        flow->at = flow->data;
        flow->held = (size_t)(flow->rq.data - flow->data);
    } else {
        flow->at = flow->rq.data;
        flow->bytes += flow->held - flow->rq.size;
        flow->held = flow->rq.size;
    }
    if (bridge.stopping)
        return;
    /* -ECANCELED: we have closed it, for what happened in the other flow. */
    if (error != 0 && error != -ECANCELED) {
        if (dev == &pair->tty)
            tty_failed(pair, error);
        else
            tcp_failed(pair, error);
    }
    go_on(flow);
}

void pair_tcp_came(struct pair_s *pair)
{
    pair->tcp_ended = false;
    pair_go_on(pair);
}

/* --- the port --- */

bool pair_open_tty(struct pair_s *pair)
{
    if (device_get_accessor_by_path(&pair->tty.base, bridge.tree, pair->tty_spec,
                                    DRIVER_CLASS_CHAR) != 0)
        return false;
    pair_go_on(pair);
    return true;
}

static KROUTINE_EXEC(try_tty)
{
    struct pair_s *pair = KROUTINE_CONTAINER(kr, struct pair_s, tty_timer.base.kr);

    (void)flags;
    if (bridge.stopping || pair->tty_timer.error != 0)
        return;
    if (!pair_open_tty(pair))
        pair_later(&pair->tty_timer, BRIDGE_RETRY);
    else if (!bridge.quiet)
        pair_say(pair, "the port is back");
}

static void init_flow(struct flow_s *flow, struct pair_s *pair, struct device_char_s *from,
                      struct device_char_s *to)
{
    flow->pair = pair;
    flow->from = from;
    flow->to = to;
    dev_char_rq_init(&flow->rq, moved);
}

void pair_init(struct pair_s *pair)
{
    init_flow(&pair->to_tcp, pair, &pair->tty, &pair->tcp);
    init_flow(&pair->to_tty, pair, &pair->tcp, &pair->tty);
    dev_timer_rq_init(&pair->tty_timer, try_tty);
    tcp_init(pair);
}
