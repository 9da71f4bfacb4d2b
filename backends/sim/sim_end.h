/* SPDX-License-Identifier: MIT */
/*
 * An end of a simulated line, as the stream of a sim-char device: sim_end.c. The driver around it
 * is sim_char.c, faults on demand are sim_fault.c.
 */
#ifndef KR_SIM_END_H
#define KR_SIM_END_H

#include "sim_line.h"
#include "uart_requests.h"

/* What one direction of an end waits for. */
struct kr_sim_watch_s {
    struct kr_sim_end_s *end;
    enum kr_dir_e dir;
    struct kroutine_s kick;
    struct dev_timer_rq_s timer;
    /* line->lock: */
    bool armed;    /* the stream wants kr_stream_ready */
    bool kicked;   /* a reference: the kick is executed, or about to be */
    uint64_t when; /* a reference: the timer is set; 0: it is not */
};

struct kr_sim_faults_s {
    unsigned shorts, again, eio;
    bool overrun, parity;
};

/* The uart class of an end. line->lock, the requests apart. */
struct kr_sim_uart_s {
    struct kr_uart_requests_s requests;
    struct dev_uart_config_s config;
    uint32_t outputs;             /* DTR, RTS; the inputs are the other end's */
    struct kr_uart_edges_s edges; /* of the inputs */
    struct dev_uart_counts_s counts;
};

struct kr_sim_end_s {
    uint32_t refs; /* atomic: the device's, kicks, timers */
    struct kroutine_runtime_s *rt;
    struct kr_stream_s *stream;
    struct kr_sim_settings_s set;
    struct kr_sim_line_s *line;
    unsigned side;
    struct kr_sim_watch_s watch[KR_DIRS];
    /* line->lock: */
    struct kr_sim_channel_s *channel[KR_DIRS];
    struct kr_random_s random;
    struct kr_sim_faults_s faults[KR_DIRS];
    uint32_t need; /* room that the writer waits for */
    bool closed;
    bool gone;
    struct kr_sim_uart_s uart;
};

struct kr_sim_char_pv_s {
    struct kr_sim_end_s *end;
};

extern const struct kr_stream_ops_s kr_sim_byte_ops;
extern const struct kr_stream_ops_s kr_sim_record_ops;

void kr_sim_end_init(struct kr_sim_end_s *end);
void kr_sim_end_put(struct kr_sim_end_s *end);
/* After the end has left its line: takes kicks and timers back. */
void kr_sim_end_stop(struct kr_sim_end_s *end);
/* With line->lock. True: something waits for this direction; the caller calls kr_sim_end_kick()
   once it has released the lock. `end` may be NULL. */
bool kr_sim_end_want_kick(struct kr_sim_end_s *end, enum kr_dir_e dir);
void kr_sim_end_kick(struct kr_sim_end_s *end, enum kr_dir_e dir);

/* ns until everything that was written has arrived; 0: it has. */
int64_t kr_sim_end_left(struct kr_sim_end_s *end);
void kr_sim_end_hold(struct kr_sim_end_s *end);

/* --- sim_uart.c --- */

extern const struct driver_uart_s kr_sim_uart;

error_t kr_sim_uart_open(struct kr_sim_end_s *end, struct device_s *dev,
                         const struct device_spec_s *spec);
/* Once the end is in its line: its outputs are seen from the other one. */
void kr_sim_uart_connect(struct kr_sim_end_s *end);
/* Before the end leaves its line: requests end, outputs drop. */
void kr_sim_uart_close(struct kr_sim_end_s *end);
/* With the lock: do the two ends speak alike, so that bytes arrive undamaged? */
bool kr_sim_uart_match(const struct kr_sim_end_s *writer);

static inline struct kr_clock_s *kr_sim_end_clock(const struct kr_sim_end_s *end)
{
    return &end->rt->clocks[KR_CLOCK_MONOTONIC];
}

#endif
