/* SPDX-License-Identifier: MIT */
/*
 * The char class over anything that can do a non-blocking readv and writev and tell when to try
 * again: request queues, partial counts, cancel, time-outs, frames, flush, close. The drivers file,
 * tty and sim-char embed a stream and give it the operations below.
 *
 * Each direction is served by one thread at a time, its pumper: whoever finds work and no pumper.
 * No lock is held while it does I/O or runs handlers.
 */
#ifndef KR_STREAM_H
#define KR_STREAM_H

#include <sys/uio.h>

#include "kroutine/driver.h"

struct kr_stream_s;

enum kr_dir_e { KR_DIR_READ, KR_DIR_WRITE, KR_DIRS };

/* Why a descriptor has nothing more: results of the I/O operations beside bytes and -errno. */
#define KR_STREAM_END  (-ENODATA) /* end of the stream */
#define KR_STREAM_GONE (-ENODEV)  /* unplugged, hung up: every later request gets the same */

struct kr_stream_ops_s {
    /* Non-blocking. Bytes; -EAGAIN: `arm` and wait; KR_STREAM_END, KR_STREAM_GONE; -EINPROGRESS:
       started, kr_stream_complete() will be called with the result (the iov stays valid);
       other negative errno: the request at the head gets it. Never 0. */
    ssize_t (*readv)(struct kr_stream_s *s, struct iovec *iov, int count);
    ssize_t (*writev)(struct kr_stream_s *s, struct iovec *iov, int count);
    /* One datagram or record: as readv, -EMSGSIZE: longer than the buffer, and dropped. NULL: this
       is a stream of bytes. */
    ssize_t (*recv_frame)(struct kr_stream_s *s, void *data, size_t size);
    /* -EINPROGRESS too; aborted, or ended with -ECANCELED, it may be called again for the same
       frame from its start. */
    ssize_t (*send_frame)(struct kr_stream_s *s, const void *data, size_t size);
    /* Would readv or writev give something now? 1, 0, or negative errno as above. */
    int (*poll)(struct kr_stream_s *s, enum kr_dir_e dir);
    /* kr_stream_ready() must be called, once at least, when the direction becomes ready from now
     * on. */
    void (*arm)(struct kr_stream_s *s, enum kr_dir_e dir);
    void (*disarm)(struct kr_stream_s *s, enum kr_dir_e dir); /* may be NULL */
    /* ns until it makes sense to ask again whether all written bytes have left; 0: they have;
       negative errno; -EINPROGRESS: started, kr_stream_complete(s, KR_DIR_WRITE, 0 or -errno).
       NULL: written is gone. */
    int64_t (*drain)(struct kr_stream_s *s);
    /* ns that one byte takes on the line. NULL: not known, taken for 0. */
    uint64_t (*char_time)(struct kr_stream_s *s);
    /* Turns the result of a read that the reactor made on `fd` into what readv gives. May be NULL.
     */
    ssize_t (*read_result)(struct kr_stream_s *s, ssize_t result);
    /* Ends an operation that gave -EINPROGRESS: returns when kr_stream_complete was called, or will
       be without waiting for data. NULL when none ever gives it. */
    void (*abort)(struct kr_stream_s *s, enum kr_dir_e dir);
    /* The stream's memory goes now: it calls none of these any more. May be NULL. */
    void (*released)(struct kr_stream_s *s);
};

enum kr_framing_e { KR_FRAMING_NONE = 0, KR_FRAMING_DELIMITER, KR_FRAMING_LENGTH, KR_FRAMING_GAP };

struct kr_framing_s {
    enum kr_framing_e kind;
    uint8_t delimiter;    /* DELIMITER: ends a frame, not part of it */
    uint8_t length_bytes; /* LENGTH: 1, 2 or 4 bytes before each frame */
    bool length_big_endian;
    uint32_t max; /* largest frame, bytes */
    uint32_t min; /* GAP: shorter ones are noise */
    uint64_t gap; /* GAP: so much silence ends a frame, ns */

    /* Not of frames: once bytes come, look for more that often only, ns; 0: at each event. */
    uint64_t collect;
};

struct kr_stream_config_s {
    const struct kr_stream_ops_s *ops;
    struct device_s *dev;
    struct kr_framing_s framing;
    int fd; /* for the reactor's batches of reads; -1: through ops->readv only */
    bool readable;
    bool writable;
};

/* Opaque; the driver allocates kr_stream_size() bytes, or uses create. */
error_t kr_stream_create(struct kr_stream_s **ret, const struct kr_stream_config_s *config,
                         void *pv);
/* Everything pending completes with `error` (-ECANCELED, -ENODEV), later requests too. Returns when
   that is so, except for a handler further up on this very stack. */
void kr_stream_close(struct kr_stream_s *s, error_t error);
/* After close and the last callback of the driver. Frees it when the last pumper has left. */
void kr_stream_put(struct kr_stream_s *s);
/* One reference more: requests are refused, not lost, after the close. */
void kr_stream_keep(struct kr_stream_s *s);
void *kr_stream_pv(const struct kr_stream_s *s);

/* Bytes that were read ahead, for frames, are thrown away; requests stay. Any thread. */
void kr_stream_drop_input(struct kr_stream_s *s);

/* The class operations, for the driver's table. */
void kr_stream_request(struct kr_stream_s *s, struct dev_char_rq_s *rq);
error_t kr_stream_cancel(struct kr_stream_s *s, struct dev_char_rq_s *rq);

/* From the driver: an event; the end of an operation that gave -EINPROGRESS; the device is gone.
 * Any thread. */
void kr_stream_ready(struct kr_stream_s *s, enum kr_dir_e dir);
void kr_stream_complete(struct kr_stream_s *s, enum kr_dir_e dir, ssize_t result);
void kr_stream_gone(struct kr_stream_s *s);

/* request.c. Submits a request that a driver makes of another device. Its handler must be IMMEDIATE
   and only take a note: then it cannot recurse, and the rule against submits from IMMEDIATE
   handlers, one of which may be further up on this stack, has nothing to protect. */
void kr_request_below(const struct device_char_s *acc, struct dev_char_rq_s *rq);

/* --- spec keys of every driver that uses a stream: frame=…, frame-max=…, frame-min=… --- */

#define KR_FRAMING_PARAMS                                                                          \
    {"frame",                                                                                      \
     "framing of a byte stream: none, line, delimiter:0xNN, length:1|2be|2le|4be|4le, "            \
     "gap:N[us|ms]",                                                                               \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     DRIVER_PARAM_STRING},                                                                         \
        {"collect", "bytes that come are taken together, so often: N[us|ms]; at once",             \
         NULL,      0,                                                                             \
         0,         DRIVER_PARAM_STRING},                                                          \
        {"frame-max", "largest frame, bytes", NULL, 1, 16 << 20, DRIVER_PARAM_UINT},               \
    {                                                                                              \
        "frame-min", "with frame=gap: shorter ones are dropped, bytes", NULL, 1, 16 << 20,         \
            DRIVER_PARAM_UINT                                                                      \
    }

/* A time of silence, "1750us", in ns; 1 ns to 3600000 ms. */
bool kr_parse_gap(uint64_t *ret, const char *text);

/* Reads the keys; -EINVAL with device_error(). */
error_t kr_framing_from_spec(struct kr_framing_s *framing, const struct device_spec_s *spec);

/* reactor.c: runs the streams that this batch found ready, their reads in one system call. */
void kr_stream_run_batch(struct kroutine_runtime_s *rt);

#endif
