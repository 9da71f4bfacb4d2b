/* SPDX-License-Identifier: MIT */
/* Frames in a stream of bytes: the buffer that they are assembled in. Not thread-safe. */
#ifndef KR_FRAME_H
#define KR_FRAME_H

#include "stream.h"

struct kr_frame_buffer_s {
    uint8_t *data;
    size_t capacity;
    size_t start; /* first byte not consumed */
    size_t end;
    size_t scanned; /* DELIMITER: bytes from start that hold none */
    size_t skip;    /* LENGTH: bytes still to drop of a frame that was too large */
    bool dropping;  /* DELIMITER, GAP: drop up to the next one */
};

error_t kr_frame_init(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing);
void kr_frame_cleanup(struct kr_frame_buffer_s *b);

static inline size_t kr_frame_fill(const struct kr_frame_buffer_s *b)
{
    return b->end - b->start;
}

/* GAP: has a frame begun, to be ended by silence? Of one that is dropped the rest may be to come.
 */
static inline bool kr_frame_begun(const struct kr_frame_buffer_s *b)
{
    return kr_frame_fill(b) || b->dropping;
}

/* Forgets what is there, and what it was in the middle of. */
static inline void kr_frame_drop(struct kr_frame_buffer_s *b)
{
    b->start = b->end = b->scanned = b->skip = 0;
    b->dropping = false;
}

/* Room to read into; never empty after kr_frame_next returned 0. */
void kr_frame_room(struct kr_frame_buffer_s *b, struct iovec *room);
void kr_frame_added(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing, size_t n);

/* Takes the next whole frame: 1, with where it lies (valid until kr_frame_room). 0: more bytes are
   needed, or silence. -ENOSPC: the frame is larger than framing->max; what comes of it is dropped.
 */
int kr_frame_next(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                  const uint8_t **data, size_t *size);

/* GAP: silence. Takes the frame that it ends, as kr_frame_next, and returns true; false when that
   was shorter than framing->min, or one to be dropped. */
bool kr_frame_cut(struct kr_frame_buffer_s *b, const struct kr_framing_s *framing,
                  const uint8_t **data, size_t *size);
/* GAP: something of the frame was lost. It is dropped up to the next silence. */
void kr_frame_spoil(struct kr_frame_buffer_s *b);

/* Takes up to `size` bytes as they are. */
size_t kr_frame_take_bytes(struct kr_frame_buffer_s *b, uint8_t *to, size_t size);

/* What goes before and after `size` bytes of payload: lengths of both, bytes into `head`, `tail`.
   -ENOSPC: too large for this framing. -EINVAL: the payload contains the delimiter. */
error_t kr_frame_wrap(const struct kr_framing_s *framing, const uint8_t *payload, size_t size,
                      uint8_t head[4], size_t *head_size, uint8_t tail[1], size_t *tail_size);

#endif
