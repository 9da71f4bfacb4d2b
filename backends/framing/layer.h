/* SPDX-License-Identifier: MIT */
/*
 * A framing as a device: a stream of records whose bytes come from, and go to, another char device.
 *
 * Each direction has one request below at a time (kr_lower_s), the library's own:
 *
 *     IDLE ──start──▶ SUBMITTING ──the submit returns──▶ BUSY ──handler──▶ DONE ──taken──▶ IDLE
 *                          └───────handler, at once──────────────────────▶ DONE
 *     BUSY ──cancel below gives 0──▶ IDLE
 *
 * Its handler is IMMEDIATE and only takes a note, on whatever thread and stack the device below
 * ends requests; when it was BUSY, what follows is done by the kick, on the reactor. Start and
 * the ways back to IDLE belong to the pumper of the stream, but for an operation that the stream
 * believes under way (`async`): that one is ended by the kick or by an abort, whoever has the lock
 * first.
 */
#ifndef KR_LAYER_H
#define KR_LAYER_H

#include <pthread.h>

#include "codec.h"
#include "stream.h"

struct kr_layer_s;

enum kr_lower_state_e { KR_LOWER_IDLE, KR_LOWER_SUBMITTING, KR_LOWER_BUSY, KR_LOWER_DONE };

struct kr_lower_s {
    struct kr_layer_s *layer;
    enum kr_dir_e dir;
    struct dev_char_timed_rq_s timed; /* its rq alone but for READ_TIMED */
    struct kroutine_s kick;           /* SCHED_SWITCH */
    pthread_mutex_t lock;             /* guards what follows, and cancel below */
    enum kr_lower_state_e state;
    bool async;   /* the stream was told -EINPROGRESS, and waits for kr_stream_complete */
    bool kicked;  /* the kick is pending */
    bool aborted; /* it was cancelled, and ends as soon as it can */
    bool closing; /* the stream is being closed: it waits for nothing below */
    bool closed;  /* the accessor below is about to go */
};

struct kr_reading_s { /* of the pumper */
    struct kr_lower_s lower;
    struct kr_decoder_s decoder;
    uint8_t *raw; /* from below, not decoded: start to end */
    size_t raw_room;
    size_t start;
    size_t end;
    bool records;   /* the device below gives frames, not bytes */
    bool flooded;   /* gap: more came than a frame may have, and no silence yet */
    error_t failed; /* of the read below: for when `raw` is decoded */
    int held;       /* what the next read gets: 1: the decoder's frame; negative: an error; 0 */
    error_t after;  /* what the read after that gets */
};

struct kr_writing_s { /* of the pumper, or of who ends an operation under way */
    struct kr_lower_s lower;
    uint8_t *line[2]; /* frames as they go over the line; the other one is for comparing */
    unsigned current;
    size_t offset;        /* where the frame starts in it */
    size_t size;          /* of it */
    size_t gone;          /* bytes of it that are below: cut short when this is neither 0 nor all */
    size_t payload;       /* what the stream is told when it is over */
    bool records;         /* the device below takes frames, not bytes */
    bool polling;         /* what was asked of it: whether it takes anything … */
    bool draining;        /* … whether all has left it; neither: a frame */
    uint64_t quiet_until; /* gap: when the line has been silent for long enough, ns */
    struct dev_timer_rq_s timer; /* rings then */
    bool waiting;                /* with lower.lock: it is armed, and has a reference */
};

struct kr_layer_s {
    const struct kr_codec_s *codec;
    struct kr_codec_config_s config;
    uint64_t gap; /* ns: silence keeps frames apart. 0: the codec does */
    struct kroutine_runtime_s *rt;
    struct device_char_s below;
    struct kr_stream_s *stream; /* its end is the layer's: ops->released */
    struct kr_reading_s in;
    struct kr_writing_s out;
};

/* --- layer.c --- */

/* Opens what the address of `spec` names, and the layer over it. gap: UINT64_MAX: 3.5 characters of
   the line below. */
error_t kr_layer_open(struct device_s *dev, const struct device_spec_s *spec,
                      const struct kr_codec_s *codec, const struct kr_codec_config_s *config,
                      uint64_t gap);
void kr_layer_close(struct device_s *dev);
void kr_layer_free(struct device_s *dev);
extern const struct driver_char_s kr_layer_char;

struct kr_layer_pv_s {
    struct kr_layer_s *layer;
};

/* Submits below what lower->timed says; the state was IDLE. True: it is over, and IDLE again. */
bool kr_lower_start(struct kr_lower_s *lower, bool async);
/* BUSY, or IDLE; DONE, which becomes IDLE. */
enum kr_lower_state_e kr_lower_take(struct kr_lower_s *lower);
/* Takes back what is BUSY and not async. True: IDLE. */
bool kr_lower_cancel(struct kr_lower_s *lower);
/* The stream will be told that it is ready, from the reactor. */
void kr_lower_kick(struct kr_lower_s *lower);

/* --- layer_in.c --- */

ssize_t kr_layer_recv(struct kr_stream_s *s, void *data, size_t size);
int kr_layer_poll_read(struct kr_layer_s *l);

/* --- layer_out.c --- */

ssize_t kr_layer_send(struct kr_stream_s *s, const void *data, size_t size);
int kr_layer_poll_write(struct kr_layer_s *l);
int64_t kr_layer_drain(struct kr_stream_s *s);
/* With lower.lock, state IDLE again: what an async operation that ended with `error` came to, for
   kr_stream_complete. */
ssize_t kr_layer_write_over(struct kr_layer_s *l, error_t error);
void kr_layer_init_timer(struct kr_layer_s *l);
void kr_layer_stop_timer(struct kr_layer_s *l);

#endif
