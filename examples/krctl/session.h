/* SPDX-License-Identifier: MIT */
/*
 * What the commands that talk to a device run in: a runtime without threads, which the main thread
 * serves until somebody ends the session. Handlers have the policy SCHED_SWITCH, so they all run in
 * that thread, one after the other, and need no lock.
 *
 * Handlers also run while the session is being closed, with -ECANCELED: they look at `over` before
 * they submit again.
 */
#ifndef KRCTL_SESSION_H
#define KRCTL_SESSION_H

#include <kroutine.h>
#include <sys/signalfd.h>

#include "output.h"

struct session_s {
    struct kroutine_runtime_s *runtime;
    bool over;
    int status; /* enum krctl_exit_e, once it is over */

    int workers; /* set before session_open, for devices in software; 0: no thread but this one */

    bool hurry; /* the output is not waited for any longer */

    struct output_s out;
    bool called; /* a request of SESSION_CALL is not over */

    int signal_fd;
    struct device_char_s signals;
    struct dev_char_rq_s signal_rq;
    struct signalfd_siginfo signal;
    /* Set before session_open: gets the signals that end a program, and SIGTSTP; true: the signal
       has been dealt with. NULL: they all end the session. */
    bool (*on_signal)(struct session_s *s, int number);

    void (*on_end)(struct session_s *s); /* last words for the output; NULL: none */

    struct device_timer_s timer; /* monotonic */
    struct device_timer_s clock; /* real time */
    struct dev_timer_rq_s limit;
};

/* KRCTL_OK; otherwise the reason has been printed, and session_close is not needed. */
int session_open(struct session_s *s, enum kroutine_backend_e backend);

/* The session ends with KRCTL_TIMEOUT after that time. 0: no limit. */
void session_limit(struct session_s *s, uint64_t ns);

/* Ends the session. The first call decides about the status. */
void session_end(struct session_s *s, int status);

/* Serves the runtime until the session has ended and its output is written: the status. */
int session_run(struct session_s *s);

/* Completes what is pending; buffers of requests may go after this call. */
void session_close(struct session_s *s);

/* Opens what a user calls a port: a spec, or a path, which means tty: or file: (class uart: tty:),
   with keys or without. KRCTL_OK, or says what is wrong: KRCTL_FAILED. */
int session_open_port(struct session_s *s, struct device_accessor_s *acc, const char *port,
                      enum driver_class_e cl);

/* The spec that a port stands for; false: too long. */
#define PORT_SPEC_MAX 16384
bool port_spec(char spec[PORT_SPEC_MAX], const char *port, enum driver_class_e cl);

/* Adds "key=value" unless the spec has the key already. */
void port_add_key(char spec[PORT_SPEC_MAX], const char *key_value);

/* Opens a spec; hints are about what the user has called it. */
int session_open_spec(struct session_s *s, struct device_accessor_s *acc, const char *spec,
                      const char *port, enum driver_class_e cl);

/* session_open_port without a word: 0, or the error. */
error_t session_try_port(struct session_s *s, struct device_accessor_s *acc, const char *port,
                         enum driver_class_e cl);

/*
 * One request after the other, for commands that are a list of steps: submits `rq`, of an open
 * accessor, serves the runtime until it is over, and has its error. When the session ends meanwhile
 * - a signal, the time-out - the request is taken back, or waited for: -ECANCELED, s->over is true.
 * Not from a handler.
 */
#define SESSION_CALL(s, acc, rq)                                                                   \
    (session_call_begin((s), &(rq)->base), DEVICE_OP((acc), request, (rq)),                        \
     session_call_wait((s)) ? (error_t)(rq)->error                                                 \
                            : session_call_stop((s), DEVICE_OP((acc), cancel, (rq))))

void session_call_begin(struct session_s *s, struct dev_request_s *rq);
bool session_call_wait(struct session_s *s); /* false: has to stop */
error_t session_call_stop(struct session_s *s, error_t canceled);

/* Now, in ns: since some start, and since 1970. */
uint64_t session_now(struct session_s *s);
uint64_t session_time(struct session_s *s);

/* Calls a timer back after `ns`; `rq` has its handler. */
void session_after(struct session_s *s, struct dev_timer_rq_s *rq, uint64_t ns);

#endif
