/* SPDX-License-Identifier: MIT */
/*
 * krctl demo: the parts, all on one runtime, and where each of them runs.
 *
 *   reader.c   serial line to NMEA lines    SCHED_SWITCH   reactor, a line goes to a job
 *   work.c     distances from positions     DEFERRED       any worker, jobs side by side
 *   log.c      one record a line, to a file SEQ_DEFERRED   any worker, one at a time, in order
 *   ticker.c   1 kHz from the schedule      IMMEDIATE      reactor, in the timer's dispatch
 *   feeder.c   the process that plays       QUEUE          main thread
 *   demo.c     the end, Ctrl-C, errors      QUEUE          main thread
 *   report.c   what came out
 */
#ifndef KRCTL_DEMO_H
#define KRCTL_DEMO_H

#include <kroutine.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "hist.h"
#include "nmea.h"
#include "player.h"

struct demo_s;

/* Handlers that ran, by policy. */
struct tally_s {
    atomic_uint_fast64_t requests;  /* kroutines of requests */
    atomic_uint_fast64_t kroutines; /* of their own */
};

/* --- reader.c --- */

#define READER_JOBS  64
#define READER_TYPES 16

/* A line on its way through work and log, which use it at the same time. */
struct job_s {
    struct kroutine_s work;
    struct kroutine_s record;
    struct demo_s *demo;
    atomic_uint users; /* 0: free */
    enum nmea_status_e status;
    uint64_t time;                    /* of the runtime's clock, when the line ended */
    char text[NMEA_TEXT_MAX + 1];     /* the line */
    char previous[NMEA_TEXT_MAX + 1]; /* GGA: the good one before */
};

struct reader_type_s {
    char name[NMEA_TYPE_MAX + 1];
    uint64_t good;
    uint64_t bad;
};

struct reader_s {
    struct device_char_s device;
    struct dev_char_rq_s rq;
    uint8_t buffer[256];
    size_t filled; /* bytes of `buffer` that the last read gave */
    size_t taken;  /* and those that the assembler has had */
    struct nmea_assembler_s lines;
    enum nmea_status_e ended;         /* a line waits for a job; NMEA_MORE: none does */
    char previous[NMEA_TEXT_MAX + 1]; /* last good GGA */

    struct job_s jobs[READER_JOBS]; /* used in turn */
    unsigned next_job;
    atomic_bool starved;      /* waits until a job is free */
    struct kroutine_s resume; /* SCHED_SWITCH: one is */
    atomic_uint active;       /* jobs, and 1 as long as the reader may start more */

    atomic_bool stopping;
    atomic_uint_fast64_t bytes;  /* read, and taken apart */
    atomic_uint_fast64_t target; /* tell when so many were; 0: do not */

    /* for the report */
    uint64_t count[NMEA_STATUSES];
    struct reader_type_s types[READER_TYPES];
    uint64_t overruns;    /* the driver said that bytes were lost */
    uint64_t line_errors; /* parity, framing */
    uint64_t waits;       /* times that no job was free */
    error_t error;
};

error_t reader_open(struct demo_s *demo, const char *path, unsigned baud);
void reader_start(struct demo_s *demo);
/* Has demo->caught_up executed once `bytes` have been taken apart. */
void reader_expect(struct demo_s *demo, uint64_t bytes);
/* Takes the last read back. When the last job is done, demo->idle is executed. */
void reader_stop(struct demo_s *demo);
/* One of the two users of a job has finished. */
void reader_release(struct job_s *job);

/* --- work.c --- */

struct work_s {
    atomic_uint_fast64_t legs;     /* pairs of positions */
    atomic_uint_fast64_t distance; /* micrometres: integers add up in any order */
    atomic_uint_fast64_t fixes;
    atomic_uint_fast64_t top_speed; /* mm/s */
    atomic_uint_fast64_t satellites;
    atomic_uint_fast64_t time; /* ns that the handlers took */
};

KROUTINE_EXEC(work_run);

/* --- log.c --- */

#define LOG_BUFFER 32768

struct log_s {
    struct kroutine_sequence_s seq; /* its kroutines are the only ones that touch what follows */
    struct device_char_s device;
    struct dev_char_rq_s rq;
    bool writing;
    bool finishing;
    unsigned filling; /* the buffer that takes records; the other one is being written */
    size_t used;
    struct kroutine_s finish;
    uint64_t records;
    uint64_t dropped; /* both buffers full */
    uint64_t bytes;   /* written */
    uint64_t writes;
    error_t error;
    char buffer[2][LOG_BUFFER];
};

error_t log_open(struct demo_s *demo, const char *path);
KROUTINE_EXEC(log_record);
/* No record comes any more: demo->logged is executed when all is written. */
void log_finish(struct demo_s *demo);

/* --- ticker.c --- */

#define TICKER_PERIOD KROUTINE_MSEC(1)

struct ticker_s {
    struct dev_timer_rq_s rq;
    atomic_bool stopping;
    uint64_t ticks;
    uint64_t skipped; /* over before they could be armed */
    uint64_t early;   /* never, unless a clock is broken */
    error_t error;
    struct hist_s lateness; /* ns */
};

error_t ticker_start(struct demo_s *demo);
void ticker_stop(struct demo_s *demo);

/* --- feeder.c --- */

struct feeder_s {
    pid_t pid; /* 0: none, a real port is read */
    struct device_char_s control;
    struct dev_char_rq_s rq;
    char message[PLAYER_MESSAGE_MAX];
    char path[PLAYER_MESSAGE_MAX]; /* of the terminal */
    bool reported;
    uint64_t bytes, good, bad; /* sent */
    bool died;
};

/* Starts the process and waits for the path. KRCTL_OK, or what krctl is to return: all is said. */
int feeder_open(struct demo_s *demo, const char *input, unsigned baud);
/* Lets it play. */
error_t feeder_start(struct demo_s *demo);
/* Stops it; demo_feeder_over() comes when it has said what it sent, or died. */
void feeder_stop(struct demo_s *demo);
void feeder_close(struct demo_s *demo);

/* --- demo.c --- */

enum demo_state_e {
    DEMO_RUNNING,
    DEMO_CATCHING_UP, /* the input has stopped, bytes are still on their way */
    DEMO_DRAINING,    /* lines are still being worked on, or written */
    DEMO_DONE,
};

struct demo_options_s {
    double seconds;
    const char *tty;
    const char *input;
    const char *log;
    unsigned baud;
    enum kroutine_backend_e backend;
};

struct demo_s {
    struct demo_options_s options;
    struct kroutine_runtime_s *runtime;
    struct kroutine_runtime_info_s info; /* at the end */
    char backend[16], reason[256];       /* of `info`, whose strings go with the runtime */
    struct device_timer_s timer;
    struct tally_s tally[KROUTINE_SEQ_INTERRUPTIBLE + 1];

    struct kroutine_queue_s queue; /* served by the main thread */
    enum demo_state_e state;
    unsigned waiting; /* requests of the queue that are not over */
    struct dev_timer_rq_s end;
    struct dev_timer_rq_s patience; /* for the bytes that are on their way */
    struct device_char_s signals;
    struct dev_char_rq_s signal_rq;
    uint8_t signal[128];         /* struct signalfd_siginfo */
    struct kroutine_s broken;    /* QUEUE: the reader has failed */
    struct kroutine_s caught_up; /* QUEUE: the reader has had what was sent */
    struct kroutine_s idle;      /* QUEUE: no job is left */
    struct kroutine_s logged;    /* QUEUE: the log is complete */
    uint64_t start, stop;        /* of the timer */
    bool interrupted;
    char log_path[4096];

    struct reader_s reader;
    struct work_s work;
    struct ticker_s ticker;
    struct log_s log;
    struct feeder_s feeder;
};

uint64_t demo_now(struct demo_s *demo);
/* Counts the handler that calls it. */
void demo_count_request(struct demo_s *demo, enum kroutine_policy_e policy);
void demo_count_kroutine(struct demo_s *demo, enum kroutine_policy_e policy);
/* "driver:path", with what specs give a meaning to written as %XX. */
bool demo_spec(char *spec, size_t size, const char *driver, const char *path);
/* The feeder has reported, or died. Main thread. */
void demo_feeder_over(struct demo_s *demo);

/* report.c: prints it; KRCTL_OK, or KRCTL_FAILED when something was lost on the way. */
int demo_report(const struct demo_s *demo);

#endif
