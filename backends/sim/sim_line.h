/* SPDX-License-Identifier: MIT */
/*
 * The line behind a sim-char device: one or two one-way channels, each a buffer of bytes that are
 * under way or have arrived, and the ends that they connect. Guarded by line->lock; nothing here
 * calls a stream or executes a kroutine.
 */
#ifndef KR_SIM_LINE_H
#define KR_SIM_LINE_H

#include "sim_internal.h"
#include "stream.h"

#define KR_SIM_NEVER UINT64_MAX

/* Of the end that writes. */
struct kr_sim_settings_s {
    uint64_t seed;
    uint64_t rate; /* bytes a second, 0: no limit */
    uint64_t latency;
    uint64_t jitter;
    uint32_t chunk;  /* 0: what is written together arrives together */
    uint32_t buffer; /* bytes */
    uint8_t short_percent;
    uint8_t again_percent;
    bool record;
};

/* Bytes that arrive together; in record mode also a boundary. */
struct kr_sim_piece_s {
    uint64_t at;
    uint32_t size;
};

enum kr_sim_kind_e {
    KR_SIM_WIRE,    /* from one end to the other, or back to the same */
    KR_SIM_SINK,    /* what arrives is dropped */
    KR_SIM_SOURCE,  /* the pattern */
    KR_SIM_SILENCE, /* nothing ever */
};

struct kr_sim_end_s;

struct kr_sim_channel_s {
    enum kr_sim_kind_e kind;
    const struct kr_sim_settings_s *set; /* of the writer, while it is open */
    struct kr_random_s random;
    struct kr_sim_end_s *writer; /* NULL: not open */
    struct kr_sim_end_s *reader;
    bool record;
    bool no_writer; /* there was one */
    bool no_reader;
    bool stalled;

    uint8_t *data; /* NULL: never opened for writing */
    uint32_t size;
    uint32_t head;                /* of the oldest byte */
    uint32_t fill;                /* bytes, under way ones too */
    uint32_t ready;               /* bytes that have arrived */
    struct kr_sim_piece_s *piece; /* a ring: under way; in record mode those that arrived before */
    uint32_t pieces;
    uint32_t first;
    uint32_t count;
    uint32_t arrived; /* record mode: pieces */
    bool damaged;     /* a read meets an error … */
    uint32_t good;    /* … after so many bytes */
    uint64_t busy;    /* until then the line is sending, at `rate` */
    uint64_t last;    /* arrival of the newest piece: none overtakes it */

    uint64_t since; /* SOURCE: `taken` bytes were read since then */
    uint64_t taken;
    uint8_t phase; /* the next byte */
};

struct kr_sim_line_s {
    struct kr_sim_line_s *next; /* registry */
    struct kroutine_runtime_s *rt;
    uint32_t refs; /* registry lock: ends, also closed ones that a callback still keeps */
    uint32_t open; /* registry lock: bit n: end n is open */
    bool paired;
    pthread_mutex_t lock;
    struct kr_sim_channel_s channel[2];
    char name[];
};

/* --- channels --- */

/* Makes the buffers for what `set` says, unless bytes are under way in the old ones. -ENOMEM;
   -EINVAL: those bytes are not of the same mode. */
error_t kr_sim_channel_setup(struct kr_sim_channel_s *c, const struct kr_sim_settings_s *set,
                             struct kr_random_s random);
/* Lets arrive what has to by `now`. Call before the functions below. */
void kr_sim_channel_settle(struct kr_sim_channel_s *c, uint64_t now);
/* When a reader, or a writer of `need` bytes, can go on: `now` or later, KR_SIM_NEVER: not before
   the other end does something. */
uint64_t kr_sim_channel_readable(const struct kr_sim_channel_s *c, uint64_t now);
uint64_t kr_sim_channel_writable(const struct kr_sim_channel_s *c, uint64_t now, uint32_t need);
/* Bytes that can be read; in record mode the size of the first record. */
uint32_t kr_sim_channel_available(const struct kr_sim_channel_s *c, uint64_t now);
uint32_t kr_sim_channel_room(const struct kr_sim_channel_s *c);
void kr_sim_channel_read(struct kr_sim_channel_s *c, uint8_t *data, uint32_t size);
void kr_sim_channel_skip(struct kr_sim_channel_s *c, uint32_t size); /* the rest of a record */
void kr_sim_channel_drop_record(struct kr_sim_channel_s *c);
/* At most kr_sim_channel_room() bytes; how many have gone. `data` may be given in parts. */
uint32_t kr_sim_channel_write(struct kr_sim_channel_s *c, uint64_t now, const uint8_t *data,
                              uint32_t size);
void kr_sim_channel_drop_arrived(struct kr_sim_channel_s *c);
void kr_sim_channel_drop_under_way(struct kr_sim_channel_s *c);
/* A break, or bytes that cannot be made out, behind all that is in the line. */
void kr_sim_channel_damage(struct kr_sim_channel_s *c);
void kr_sim_channel_clear(struct kr_sim_channel_s *c);
/* ns until everything has arrived; 0: it has. */
uint64_t kr_sim_channel_drain(const struct kr_sim_channel_s *c, uint64_t now);

/* --- lines --- */

/* The line of that name, made if needed, with one more reference and one more open end.
   -EBUSY: that end is open already, or the line is of the other sort. */
error_t kr_sim_line_join(struct kr_sim_line_s **ret, struct kroutine_runtime_s *rt,
                         const char *name, bool paired, unsigned side);
void kr_sim_line_leave(struct kr_sim_line_s *line, unsigned side); /* the end closes */
void kr_sim_line_put(struct kr_sim_line_s *line);

#endif
