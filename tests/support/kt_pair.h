/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests: a char device and the other end of its line, of every kind that the
 * backend of the command line can have; and requests that note what happened to them.
 */
#ifndef KT_PAIR_H
#define KT_PAIR_H

#include "kt.h"

/* --- a device and its peer --- */

enum kt_kind_e {
    KT_PTY,    /* slave side, raw, by its descriptor */
    KT_TTY,    /* slave side, by its path, through the tty driver */
    KT_PIPE_R, /* the device reads */
    KT_PIPE_W, /* the device writes */
    KT_FIFO_R, /* by its path */
    KT_SOCKET,
    KT_SEQPACKET,
    KT_DGRAM,
    KT_SIM,   /* two ends of a simulated line */
    KT_ROUGH, /* the same with short transfers, pieces, and tries in vain */
    KT_KINDS,
};

struct kt_pair_s {
    enum kt_kind_e kind;
    struct kt_env_s *env;
    struct device_char_s dev;
    int peer; /* non-blocking descriptor of the other side, -1: closed, or simulated */
    struct device_char_s end; /* the other side, when it is simulated */
    char spec[192];           /* of the device */
    char path[64];            /* of a FIFO, to be removed */
};

const char *kt_kind_name(enum kt_kind_e kind);
bool kt_kind_is_tty(enum kt_kind_e kind);
/* What one write of the peer puts there, one read gets: no data on its way for a while. */
bool kt_kind_is_atomic(enum kt_kind_e kind);

/* Kinds of this backend that read, or write, streams of bytes; both ways. A loop test runs over
   kind and mode: rounds, label, and the two of a round. KT_TIMED, or-ed: time must not jump, as it
   does on a simulated runtime with threads whenever these have nothing to do. */
enum kt_want_e { KT_READS, KT_WRITES, KT_DUPLEX, KT_TIMED = 8 };
int kt_rounds(int want);
enum kt_kind_e kt_round_kind(int want, int round);
enum kt_mode_e kt_round_mode(int want, int round);
const char *kt_reads_label(int round);
const char *kt_writes_label(int round);
const char *kt_duplex_label(int round);
const char *kt_timed_reads_label(int round);
const char *kt_timed_writes_label(int round);
const char *kt_timed_duplex_label(int round);

/* `options`: keys of the spec, "frame=line", or NULL. Fails the case when that fails. */
void kt_pair_open(struct kt_pair_s *p, struct kt_env_s *env, enum kt_kind_e kind,
                  const char *options);
/* Opens env and pair of a round. */
void kt_round_open(struct kt_pair_s *p, struct kt_env_s *env, int want, int round);
/* Another accessor of a device that was closed; the peer stayed. */
error_t kt_pair_lookup(struct kt_pair_s *p, struct device_char_s *dev);
void kt_pair_close(struct kt_pair_s *p);

/* All of it; processes an embedded runtime while there is no room. */
void kt_peer_write(struct kt_pair_s *p, const void *data, size_t size);
/* Waits for `size` bytes. */
void kt_peer_read(struct kt_pair_s *p, void *data, size_t size);
/* What is there now; 0: nothing, -1: hung up. */
ssize_t kt_peer_read_some(struct kt_pair_s *p, void *data, size_t size);
/* The other side goes away. */
void kt_peer_close(struct kt_pair_s *p);

/* --- requests --- */

struct kt_op_s {
    struct dev_char_rq_s rq;
    unsigned done; /* atomic: runs of the handler */
    int error;     /* the rest as the handler found it */
    uint8_t *at;
    size_t left;
    unsigned stamp;
    unsigned flags;
    pthread_t thread;
    void (*then)(struct kt_op_s *op); /* end of the handler; may be NULL */
    void *arg;
};

KROUTINE_EXEC(kt_op_over);

void kt_op_init(struct kt_op_s *op, enum kroutine_policy_e policy); /* DEFERRED, IMMEDIATE,
                                                                       SCHED_SWITCH */
void kt_op_submit(struct kt_op_s *op, const struct device_char_s *dev, unsigned type, void *data,
                  size_t size);
error_t kt_op_cancel(struct kt_op_s *op, const struct device_char_s *dev);
/* Waits for its handler; fails the case if that ran twice, or with another error. */
void kt_op_expect(struct kt_op_s *op, struct kt_env_s *env, int error, size_t left);

/* A timed read that notes the same, and the time of its end. */
struct kt_timed_s {
    struct dev_char_timed_rq_s timed;
    struct kt_env_s *env;
    unsigned done; /* atomic */
    int error;
    uint8_t *at;
    size_t left;
    unsigned stamp;
    uint64_t when; /* kt_clock */
    void (*then)(struct kt_timed_s *op);
    void *arg;
};

void kt_timed_init(struct kt_timed_s *op, struct kt_env_s *env, enum kroutine_policy_e policy,
                   uint64_t timeout);
void kt_timed_submit(struct kt_timed_s *op, const struct device_char_s *dev, void *data,
                     size_t size, size_t min, uint64_t gap);
error_t kt_timed_cancel(struct kt_timed_s *op, const struct device_char_s *dev);
void kt_timed_expect(struct kt_timed_s *op, int error, size_t left);

/* Submits and waits; returns what was transferred. */
size_t kt_run(struct kt_pair_s *p, unsigned type, void *data, size_t size, int error);

/* Bytes that tell their place in a stream. */
void kt_fill(uint8_t *data, size_t size, size_t offset);
/* Fails the case at the first that is wrong. */
void kt_check_fill(const uint8_t *data, size_t size, size_t offset);

#endif
