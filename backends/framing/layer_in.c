/* SPDX-License-Identifier: MIT */
/* Layers: reading. Bytes are fetched from below while somebody waits for a frame, one piece at a
   time. */
#include <errno.h>
#include <string.h>

#include "layer.h"

#define ROUNDS 16 /* pieces without a frame in them before others have their turn */

/* The read below is over: its bytes are in `raw`. */
static void accept_piece(struct kr_layer_s *l)
{
    struct kr_reading_s *in = &l->in;
    const struct dev_char_rq_s *rq = &in->lower.timed.rq;
    bool full = rq->size == 0, dropped = in->flooded;

    in->start = 0;
    in->end = in->raw_room - rq->size;
    in->failed = rq->error;
    if (l->gap && !in->records) {
        in->flooded = full;
        if (dropped)
            in->end = 0;
    }
}

static bool start_read(struct kr_layer_s *l)
{
    struct kr_reading_s *in = &l->in;
    struct dev_char_timed_rq_s *timed = &in->lower.timed;

    timed->rq.type = in->records ? DEV_CHAR_READ_FRAME
                     : l->gap    ? DEV_CHAR_READ_TIMED
                                 : DEV_CHAR_READ_PARTIAL;
    timed->rq.data = in->raw;
    timed->rq.size = in->raw_room;
    timed->min = 1;
    timed->gap = l->gap;
    return kr_lower_start(&in->lower, false);
}

/* The device below has failed, and all that came before is decoded. */
static void fail(struct kr_layer_s *l, error_t err)
{
    struct kr_reading_s *in = &l->in;
    int r;

    if (err == -ENOTSUP && !in->records) {
        in->records = true; /* it has no bytes to give, perhaps frames: another layer, a socket */
        return;
    }
    if (err != -ENODATA && err != -ENODEV && err != -ECANCELED) {
        /* Something is missing in front of the bytes that come next. A record is missing whole. */
        (in->records ? l->codec->reset : l->codec->lose)(&in->decoder);
        in->held = err;
        return;
    }
    if (err == -ECANCELED) /* it is being closed; see end_async in layer.c */
        err = KR_STREAM_GONE;
    r = l->codec->finish(&in->decoder);
    if (r > 0 && err != KR_STREAM_END)
        r = -EBADMSG;
    in->held = r ? r : err;
    in->after = r ? err : 0;
}

static void decode(struct kr_layer_s *l)
{
    struct kr_reading_s *in = &l->in;
    size_t used;

    in->held = l->codec->decode(&in->decoder, in->raw + in->start, in->end - in->start, &used);
    in->start += used;
}

/* Until something is held. False: nothing is, the end of the request below, or the kick, will tell
   the stream. */
static bool fetch(struct kr_layer_s *l)
{
    struct kr_reading_s *in = &l->in;

    for (int rounds = 0; !in->held;) {
        enum kr_lower_state_e state;

        if (in->start < in->end) {
            decode(l);
        } else if (in->failed) {
            error_t err = in->failed;

            in->failed = 0;
            fail(l, err);
        } else if (in->after) {
            in->held = in->after;
            in->after = 0;
        } else if ((state = kr_lower_take(&in->lower)) == KR_LOWER_BUSY) {
            return false;
        } else if (state == KR_LOWER_DONE) {
            accept_piece(l);
        } else if (rounds++ == ROUNDS) {
            kr_lower_kick(&in->lower);
            return false;
        } else if (start_read(l)) {
            accept_piece(l);
        } else {
            return false;
        }
    }
    return true;
}

ssize_t kr_layer_recv(struct kr_stream_s *s, void *data, size_t size)
{
    struct kr_layer_s *l = kr_stream_pv(s);
    struct kr_reading_s *in = &l->in;
    int held;

    if (!fetch(l))
        return -EAGAIN;
    held = in->held;
    in->held = 0;
    if (held < 0)
        return held;
    if (in->decoder.size > size)
        return -EMSGSIZE;
    memcpy(data, in->decoder.data, in->decoder.size);
    return (ssize_t)in->decoder.size;
}

int kr_layer_poll_read(struct kr_layer_s *l)
{
    if (!fetch(l))
        return 0;
    return l->in.held == KR_STREAM_GONE ? KR_STREAM_GONE : 1;
}
