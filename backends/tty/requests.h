/* SPDX-License-Identifier: MIT */
/* The requests of the uart class on a tty: drain, break, waiting for modem lines. */
#ifndef KR_TTY_REQUESTS_H
#define KR_TTY_REQUESTS_H

#include "internal.h"
#include "modem.h"

/*
 * None of what these wait for can be had as an event that can be cancelled (tcdrain, tcsendbreak
 * and TIOCMIWAIT only end early by a signal). So the port is asked: by a kroutine on the pool, the
 * look, since a USB adapter may sleep in its answer; when a request comes, when one is cancelled,
 * and whenever the timer says so. Nothing runs while no request waits.
 *
 *     idle ──submit, cancel, timer──▶ kicked ──pool──▶ looking ──(again?)──▶ idle, timer armed
 *
 * One thread looks at a time; `again` is the note that others leave meanwhile. Only that thread
 * makes the calls, without the lock, and executes the kroutines of requests that are over, so these
 * come in order. Its calls are about no request's memory: a request can be cancelled at any time
 * until it is out of its queue.
 */
struct tty_requests_s {
    struct device_s *dev;
    struct kroutine_runtime_s *rt;
    int fd;
    bool pty;
    const uint64_t *char_ns; /* atomic */

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
    struct tty_count_s counts;
    uint64_t step; /* ns to the next look at the lines */

    struct kroutine_s look;
    struct dev_timer_rq_s timer;
    uint64_t timer_at; /* 0: not armed; otherwise it holds the device */
};

error_t tty_requests_init(struct tty_requests_s *r, struct device_s *dev, int fd, bool pty,
                          const uint64_t *char_ns);
void tty_requests_submit(struct tty_requests_s *r, struct dev_uart_rq_s *rq);
error_t tty_requests_cancel(struct tty_requests_s *r, struct dev_uart_rq_s *rq);
/* get_lines and set_break, which the requests have to know of. No error text. */
error_t tty_requests_get_lines(struct tty_requests_s *r, uint32_t *lines);
error_t tty_requests_set_break(struct tty_requests_s *r, bool on);
/* Everything pending ends with `error`, a break that is on too. When it returns nobody uses the
   descriptor, except a handler further up on this very stack. */
void tty_requests_close(struct tty_requests_s *r, error_t error);
/* From f_free. */
void tty_requests_destroy(struct tty_requests_s *r);

#endif
