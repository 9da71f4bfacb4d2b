/* SPDX-License-Identifier: MIT */
/*
 * A char device that is written to, standard output or a port: bytes are gathered in one buffer
 * while the other one is being written. Who reads from somewhere else for it waits for `idle`, so
 * that a slow writer slows the reader down.
 */
#ifndef KRCTL_OUTPUT_H
#define KRCTL_OUTPUT_H

#include <kroutine.h>

struct session_s;

struct bytes_s {
    uint8_t *data;
    size_t size;
    size_t room;
};

/* False: no memory, nothing was added. */
bool bytes_add(struct bytes_s *to, const void *data, size_t size);
bool bytes_printf(struct bytes_s *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool bytes_json(struct bytes_s *to, const char *text); /* as a string of JSON, quotes included */

struct output_s {
    struct session_s *session;
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    struct bytes_s next;    /* gathered */
    struct bytes_s current; /* being written */
    uint64_t written;
    uint8_t type; /* DEV_CHAR_WRITE, or DEV_CHAR_WRITE_FRAME for all that was gathered */
    bool busy;
    bool broken;
    bool draining;
    void (*idle)(struct output_s *out); /* all is written; NULL: nobody cares */
    void (*drained)(struct output_s *out);
    void (*failed)(struct output_s *out, error_t err);
    void *pvdata; /* of who uses it */
};

/* `dev` is open; no request of it is pending when it is opened again. */
void output_init(struct output_s *out, struct session_s *s,
                 void (*failed)(struct output_s *out, error_t err));
void output_free(struct output_s *out);

/* Writes what has been added to out->next. Calls `idle` later, in any case, not from here. */
void output_flush(struct output_s *out);

/* From `idle`: calls `drained` when all that was written has left the device. */
void output_drain(struct output_s *out);

#endif
