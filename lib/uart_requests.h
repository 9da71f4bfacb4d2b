/* SPDX-License-Identifier: MIT */
/* The requests of the uart class, for drivers: drain, break, waiting for modem lines. */
#ifndef KR_UART_REQUESTS_H
#define KR_UART_REQUESTS_H

#include "internal.h"

/* Edges of the lines so far. Of the ring, its ends. */
struct kr_uart_edges_s {
    uint32_t cts, dsr, dcd, ri;
};

/* What the requests ask of a port. One thread at a time, without a lock; 0 or negative errno,
   -ENODEV: the port is gone, all requests end; -ENOTSUP: it does not have this. */
struct kr_uart_port_ops_s {
    bool (*gone)(void *port);
    /* ns until it makes sense to ask again whether all that was written has left; 0: it has. */
    int64_t (*left)(void *port);
    error_t (*levels)(void *port, uint32_t *lines);
    error_t (*edges)(void *port, struct kr_uart_edges_s *edges);
    error_t (*set_break)(void *port, bool on); /* on: when nothing is left */
    /* Throws the unsent bytes away: a call above waits for them, and the device is closed. */
    void (*drop_output)(void *port);
    bool tells; /* kr_uart_requests_changed() is called: no need to look at the lines by a timer */
};

/*
 * On a tty, none of what these wait for can be had as an event that can be cancelled (tcdrain,
 * tcsendbreak and TIOCMIWAIT only end early by a signal). So the port is asked: by a kroutine on
 * the pool, the look, since a USB adapter may sleep in its answer; when a request comes, when one
 * is cancelled, and whenever the timer says so. Nothing runs while no request waits.
 *
 *     idle ──submit, cancel, timer──▶ kicked ──pool──▶ looking ──(again?)──▶ idle, timer armed
 *
 * One thread looks at a time; `again` is the note that others leave meanwhile. Only that thread
 * makes the calls, without the lock, and executes the kroutines of requests that are over, so these
 * come in order. Its calls are about no request's memory: a request can be cancelled at any time
 * until it is out of its queue.
 */
struct kr_uart_requests_s {
    struct device_s *dev;
    struct kroutine_runtime_s *rt;
    const struct kr_uart_port_ops_s *ops;
    void *port;

    pthread_mutex_t lock;
    pthread_cond_t quiet; /* nobody looks */
    struct dev_request_queue_root_s queue[DEV_UART_TYPES];
    error_t closed;
    bool kicked; /* the look is pending, or about to be; it holds the device */
    bool looking;
    bool again;
    pthread_t looker;
    struct dev_request_s *ended; /* the looker's: over, kroutine not executed yet */
    struct dev_request_s *ended_last;

    /* Breaks. The head of the queue is the one on the line when its rq_state is ACTIVE. */
    bool break_on;  /* by a request */
    bool break_set; /* by set_break */
    uint64_t break_until;

    /* Lines as they were told last, for edges between two requests. */
    bool known;
    struct kr_uart_edges_s edges;
    uint64_t step; /* ns to the next look at the lines */

    struct kroutine_s look;
    struct dev_timer_rq_s timer;
    uint64_t timer_at; /* 0: not armed; otherwise it holds the device */
};

error_t kr_uart_requests_init(struct kr_uart_requests_s *r, struct device_s *dev,
                              const struct kr_uart_port_ops_s *ops, void *port);
void kr_uart_requests_submit(struct kr_uart_requests_s *r, struct dev_uart_rq_s *rq);
error_t kr_uart_requests_cancel(struct kr_uart_requests_s *r, struct dev_uart_rq_s *rq);
/* get_lines and set_break, which the requests have to know of. set_break: -EBUSY, a request is
   under way; -EAGAIN, bytes wait to be sent. */
error_t kr_uart_requests_get_lines(struct kr_uart_requests_s *r, uint32_t *lines);
error_t kr_uart_requests_set_break(struct kr_uart_requests_s *r, bool on);
/* From the driver: lines have changed, or the port is gone. Any thread, no lock held. */
void kr_uart_requests_changed(struct kr_uart_requests_s *r);
/* Everything pending ends with `error`, a break that is on too. When it returns nobody uses the
   port, except a handler further up on this very stack. */
void kr_uart_requests_close(struct kr_uart_requests_s *r, error_t error);
/* From f_free. */
void kr_uart_requests_destroy(struct kr_uart_requests_s *r);

/* --- uart_look.c, for uart_requests.c --- */

/* With the lock, which is released meanwhile. True: there is more to do now. */
bool kr_uart_look_once(struct kr_uart_requests_s *r);
/* Without the lock: executes the kroutines of those that have ended. */
void kr_uart_execute(struct kr_uart_requests_s *r);
/* With the lock. */
void kr_uart_finish_all(struct kr_uart_requests_s *r, error_t error);

#define KR_UART_STEP_MIN KROUTINE_MSEC(1) /* between two looks at the lines */
#define KR_UART_STEP_MAX KROUTINE_MSEC(10)

static inline struct kr_clock_s *kr_uart_clock(const struct kr_uart_requests_s *r)
{
    return &r->rt->clocks[KR_CLOCK_MONOTONIC];
}

static inline struct dev_uart_rq_s *kr_uart_head(const struct kr_uart_requests_s *r,
                                                 enum dev_uart_rq_type_e type)
{
    return dev_uart_rq_head(&r->queue[type]);
}

#endif
