/* SPDX-License-Identifier: MIT */
/*
 * Framings as pure functions: a payload to the bytes that carry it, and bytes, torn apart in any
 * way, to payloads. No memory of their own, no system: layer.c makes drivers of them.
 */
#ifndef KR_CODEC_H
#define KR_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a spec says; each codec looks at its own part. */
struct kr_codec_config_s {
    size_t max;           /* largest payload, bytes */
    uint32_t accm;        /* hdlc: bit n: control character n must not be on the line as it is */
    uint8_t length_bytes; /* length: 1, 2 or 4 */
    bool length_big_endian;
    uint8_t line_end[2]; /* lines: what a write ends with … */
    uint8_t line_end_size;
    bool line_crlf; /* … and a read drops a CR before its LF */
};

/* Zeroed, then `config`, `data` and kr_codec_s.reset. */
struct kr_decoder_s {
    const struct kr_codec_config_s *config;
    uint8_t *data; /* room of kr_codec_s.room(config) bytes */
    size_t size;   /* payload so far; of a frame that decode has given: all of it */
    size_t left;   /* cobs: bytes of the group to come; length: of the frame, or to be skipped */
    uint32_t head; /* length: the number as far as it is there */
    uint8_t heads; /* length: bytes of it */
    uint8_t code;  /* cobs: of the group; 0: none begun */
    bool begun;    /* some of a frame is there */
    bool escaped;
    bool dropping; /* up to the next frame: what comes is of one that was given up */
    bool given;    /* decode has given `data`, the next call starts anew */
    bool lost;     /* length: nobody knows where a frame begins any more */
};

struct kr_codec_s {
    size_t (*room)(const struct kr_codec_config_s *config);  /* bytes a decoder needs */
    size_t (*bound)(const struct kr_codec_config_s *config); /* bytes encode makes at most */
    /* Bytes in `out`. -EMSGSIZE: larger than config->max or than the framing can say. -EINVAL: the
       framing cannot carry these bytes. */
    ssize_t (*encode)(const struct kr_codec_config_s *config, const uint8_t *in, size_t size,
                      uint8_t *out);
    /* What makes a receiver drop a frame that was begun and will not be finished, at most
       KR_RESYNC_MAX bytes. NULL: nothing does. */
    size_t (*resync)(const struct kr_codec_config_s *config, uint8_t *out);
    void (*reset)(struct kr_decoder_s *d);
    /* Takes *used of `size` bytes, and stops behind a frame: 1, it is in d->data, d->size until the
       next call. 0: all taken, no frame yet. -EBADMSG damaged, -EMSGSIZE too large: a frame was
       dropped, or will be as it comes; said once. -EPIPE: as `lost` says of length. */
    int (*decode)(struct kr_decoder_s *d, const uint8_t *in, size_t size, size_t *used);
    /* Bytes are missing or wrong here. */
    void (*lose)(struct kr_decoder_s *d);
    /* The stream has ended. 1: a frame, as decode. -EBADMSG: one was cut. 0. */
    int (*finish)(struct kr_decoder_s *d);
};

#define KR_RESYNC_MAX 2

extern const struct kr_codec_s kr_codec_cobs;
extern const struct kr_codec_s kr_codec_hdlc;
extern const struct kr_codec_s kr_codec_length;
extern const struct kr_codec_s kr_codec_lines;
extern const struct kr_codec_s kr_codec_modbus; /* decode: `in` is what came between two silences */
extern const struct kr_codec_s kr_codec_slip;

/* --- for the codecs: what framings with a delimiter have in common --- */

/* -EMSGSIZE when it does not fit. */
int kr_decoder_put(struct kr_decoder_s *d, uint8_t byte, size_t room);
void kr_decoder_start(struct kr_decoder_s *d); /* of the next frame */
int kr_decoder_give(struct kr_decoder_s *d);   /* 1 */
int kr_decoder_drop(struct kr_decoder_s *d, int error);
void kr_decoder_lose(struct kr_decoder_s *d);
int kr_decoder_finish(struct kr_decoder_s *d);
size_t kr_codec_room(const struct kr_codec_config_s *config); /* config->max */

/* kr_codec_s.decode of a framing that looks at one byte after the other: `take` gives what decode
   is to give when it has to stop behind that byte, else 0. Inline, so that `take` becomes so too.
 */
static inline int kr_decoder_run(struct kr_decoder_s *d,
                                 int (*take)(struct kr_decoder_s *d, uint8_t byte),
                                 const uint8_t *in, size_t size, size_t *used)
{
    int r = 0;

    if (d->given)
        kr_decoder_start(d);
    for (*used = 0; !r && *used < size; ++*used)
        r = take(d, in[*used]);
    return r;
}

/* CRCs, reflected: polynomials 0x8408 (RFC 1662, appendix C) and 0xA001 (Modbus over serial line
   V1.02, 6.2.2). */
uint16_t kr_crc16(uint16_t crc, uint16_t polynomial, const uint8_t *data, size_t size);

#endif
