/* SPDX-License-Identifier: MIT */
#include "session.h"
#include "krctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GRACE KROUTINE_SEC(1) /* for the output, after a signal or the time-out */

/* --- signals and the time-out: requests like any other --- */

static void read_signal(struct session_s *s)
{
    s->signal_rq.type = DEV_CHAR_READ;
    s->signal_rq.data = (uint8_t *)&s->signal;
    s->signal_rq.size = sizeof(s->signal);
    DEVICE_OP(&s->signals, request, &s->signal_rq);
}

static KROUTINE_EXEC(signalled)
{
    struct session_s *s = dev_char_rq_from_kr(kr)->pvdata;

    if (s->signal_rq.error != 0)
        return;
    int number = (int)s->signal.ssi_signo;
    if (s->over)
        s->hurry = true;
    else if (s->on_signal == NULL || !s->on_signal(s, number))
        session_end(s, KRCTL_SIGNAL + number);
    read_signal(s);
}

static KROUTINE_EXEC(limit_reached)
{
    struct session_s *s = dev_timer_rq_from_kr(kr)->pvdata;

    if (s->limit.error != 0)
        return;
    if (s->over)
        s->hurry = true;
    else
        session_end(s, KRCTL_TIMEOUT);
}

/* SIGPIPE is blocked as well: the write fails with EPIPE, which is reported like other errors. */
static int watch_signals(struct session_s *s)
{
    char spec[32];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    if (s->on_signal != NULL)
        sigaddset(&set, SIGTSTP);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return krctl_fail("cannot watch signals: %s", strerror(errno));
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);

    snprintf(spec, sizeof(spec), "fd:%d", s->signal_fd);
    error_t err = device_get_accessor_by_path(
        &s->signals.base, kroutine_runtime_devices(s->runtime), spec, DRIVER_CLASS_CHAR);
    if (err != 0)
        return krctl_fail("cannot watch signals: %s", krctl_error(err));
    dev_char_rq_init_sched_switch(&s->signal_rq, signalled);
    s->signal_rq.pvdata = s;
    read_signal(s);
    return KRCTL_OK;
}

static int open_timers(struct session_s *s)
{
    struct device_s *tree = kroutine_runtime_devices(s->runtime);
    error_t err = device_get_accessor_by_path(&s->timer.base, tree, "timer0", DRIVER_CLASS_TIMER);

    if (err == 0)
        err = device_get_accessor_by_path(&s->clock.base, tree, "timer1", DRIVER_CLASS_TIMER);
    dev_timer_rq_init_sched_switch(&s->limit, limit_reached);
    s->limit.pvdata = s;
    return err == 0 ? KRCTL_OK : krctl_fail("no timer: %s", krctl_error(err));
}

static void output_failed(struct output_s *out, error_t err)
{
    if (err != -ECANCELED)
        session_end(out->session, krctl_fail("cannot write the output: %s", strerror(-err)));
}

static int open_output(struct session_s *s)
{
    error_t err = device_get_accessor_by_path(
        &s->out.dev.base, kroutine_runtime_devices(s->runtime), "fd:1", DRIVER_CLASS_CHAR);

    if (err != 0)
        return krctl_fail("cannot write to standard output: %s", krctl_error(err));
    output_init(&s->out, s, output_failed);
    return KRCTL_OK;
}

/* --- start and end --- */

int session_open(struct session_s *s, enum kroutine_backend_e backend)
{
    struct kroutine_runtime_config_s config;
    int status;

    /* One thread for all handlers: the reactor is this one. */
    kroutine_runtime_config_init(&config);
    config.backend = backend;
    config.embedded = true;
    config.pool_size = s->workers;
    error_t err = kroutine_runtime_create(&s->runtime, &config);
    if (err != 0) {
        krctl_fail("cannot make a runtime: %s", krctl_error(err));
        if (backend != KROUTINE_BACKEND_AUTO)
            krctl_hint("--backend auto, which takes the best one that works here");
        return KRCTL_FAILED;
    }
    s->signal_fd = -1;
    if ((status = open_timers(s)) != KRCTL_OK || (status = watch_signals(s)) != KRCTL_OK ||
        (status = open_output(s)) != KRCTL_OK)
        session_close(s);
    return status;
}

void session_limit(struct session_s *s, uint64_t ns)
{
    if (ns != 0)
        session_after(s, &s->limit, ns);
}

void session_after(struct session_s *s, struct dev_timer_rq_s *rq, uint64_t ns)
{
    rq->delay = ns != 0 ? ns : 1; /* 0 would be a deadline */
    rq->rev = 0;
    if (DEVICE_OP(&s->timer, request, rq) != 0)
        session_end(s, krctl_fail("the timer does not take a time of %g s", (double)ns / 1e9));
}

uint64_t session_now(struct session_s *s)
{
    dev_timer_value_t value = 0;

    DEVICE_OP(&s->timer, get_value, &value, 0);
    return value;
}

uint64_t session_time(struct session_s *s)
{
    dev_timer_value_t value = 0;

    DEVICE_OP(&s->clock, get_value, &value, 0);
    return value;
}

void session_end(struct session_s *s, int status)
{
    if (s->over)
        return;
    s->over = true;
    s->status = status;
    if (s->on_end != NULL)
        s->on_end(s);
    if (status != KRCTL_TIMEOUT && status <= KRCTL_SIGNAL)
        return;
    /* Who is in a hurry does not wait for an output that nobody reads. */
    DEVICE_OP(&s->timer, cancel, &s->limit);
    session_after(s, &s->limit, GRACE);
}

/* --- one request after the other --- */

static KROUTINE_EXEC(call_done)
{
    struct dev_request_s *rq = KROUTINE_CONTAINER(kr, struct dev_request_s, kr);
    struct session_s *s = rq->pvdata;

    s->called = false;
}

void session_call_begin(struct session_s *s, struct dev_request_s *rq)
{
    uint8_t type = rq->type; /* part of what is asked for, and reset by the init */

    dev_request_init_sched_switch(rq, call_done);
    rq->type = type;
    rq->pvdata = s;
    s->called = true;
}

bool session_call_wait(struct session_s *s)
{
    while (s->called && !s->over)
        kroutine_runtime_wait(s->runtime, -1);
    return !s->called;
}

error_t session_call_stop(struct session_s *s, error_t canceled)
{
    if (canceled == 0)
        s->called = false;
    /* Otherwise the kernel has it, and gives it back in its own time. */
    while (s->called)
        kroutine_runtime_wait(s->runtime, -1);
    return -ECANCELED;
}

int session_run(struct session_s *s)
{
    while (!s->over)
        kroutine_runtime_wait(s->runtime, -1);
    s->out.idle = NULL;
    output_flush(&s->out);
    while (s->out.busy && !s->hurry)
        kroutine_runtime_wait(s->runtime, -1);
    return s->status;
}

void session_close(struct session_s *s)
{
    s->over = true;
    device_put_accessor(&s->timer.base);
    device_put_accessor(&s->clock.base);
    device_put_accessor(&s->signals.base);
    device_put_accessor(&s->out.dev.base);
    /* Runs the handlers of what the closing has cancelled. */
    kroutine_runtime_destroy(s->runtime);
    output_free(&s->out);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
}
