/* SPDX-License-Identifier: MIT */
/* For the contract tests of framings: a line with a framing at one end, and at the other one the
   same, or bytes as they are. */
#ifndef FRAMING_LINE_H
#define FRAMING_LINE_H

#include "kt_pair.h"

#include <stdio.h>
#include <sys/socket.h>

struct framing_s {
    const char *name;
    const char *prefix;
    const char *keys;
    bool restarts; /* the receiver can be told to forget a frame that was cut */
    bool slow;     /* waits for silence */
    bool checked;  /* and a frame that was cut is never taken for a whole one */
};

/* Those that are checked first, then the quick ones, then all. */
static const struct framing_s framings[] = {
    {"hdlc", "hdlc:", "accm=0xffffffff", true, false, true},
    {"slip", "slip:", "", true, false, false},
    {"cobs", "cobs:", "", true, false, false},
    {"lines", "lines:", "end=lf", true, false, false},
    {"length", "length:", "size=4le", false, false, false},
    {"hdlc-over-cobs", "hdlc:cobs:", "max=2000&max=4096", true, false, false},
    {"cobs-over-slip", "cobs:slip:", "max=2000", true, false, false},
    {"lines-over-length", "lines:length:", "end=crlf&max=2000", true, false, false},
    {"slip3", "slip:slip:slip:", "max=1000&max=3000", true, false, false},
    {"modbus", "modbus-rtu:", "gap=40ms", true, true, false},
};
enum { FRAMING_CHECKED = 1, FRAMING_QUICK = 5, FRAMING_ALL = 10 };

enum line_e { LINE_SOCKET, LINE_ROUGH, LINES };

struct framing_line_s {
    const struct framing_s *framing;
    struct kt_env_s *env;
    struct device_char_s up;
    struct device_char_s peer;  /* of the same framing, or bytes */
    struct device_char_s below; /* what `up` rests on: simulated lines only */
    size_t max;                 /* of payloads that tests should make */
};

/* A loop test runs over framings, lines and modes. */
static inline int lines_here(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? 1 : LINES;
}

static inline int framing_rounds(int framing_count)
{
    return framing_count * lines_here() * KT_MODES;
}

static inline const struct framing_s *framing_of(int round)
{
    return &framings[round / lines_here() / KT_MODES];
}

/* Silence in the middle of a frame ends it: so it goes over a real line in one piece, and on a
   simulated one time must not jump while a thread is at work. */
static inline enum line_e line_of(int round)
{
    if (kt_backend == KROUTINE_BACKEND_SIM)
        return LINE_ROUGH;
    return framing_of(round)->slow ? LINE_SOCKET : (enum line_e)(round % LINES);
}

static inline enum kt_mode_e mode_of(int round)
{
    if (framing_of(round)->slow && kt_backend == KROUTINE_BACKEND_SIM)
        return KT_EMBEDDED;
    return (enum kt_mode_e)(round / lines_here() % KT_MODES);
}

static inline bool line_is_slow(int round)
{
    return framing_of(round)->slow && kt_backend != KROUTINE_BACKEND_SIM;
}

static inline const char *framing_label(int round)
{
    static char text[80];

    snprintf(text, sizeof text, "%s,%s,%s", framing_of(round)->name,
             line_of(round) == LINE_ROUGH ? "rough" : "socket", kt_mode_label(mode_of(round)));
    return text;
}

static inline void framing_get(struct kt_env_s *env, struct device_char_s *dev, const char *prefix,
                               const char *below, const char *keys)
{
    char spec[192];
    error_t err;

    snprintf(spec, sizeof spec, "%s%s%s%s", prefix, below,
             !*keys               ? ""
             : strchr(below, '?') ? "&"
                                  : "?",
             keys);
    memset(dev, 0, sizeof *dev);
    err = device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(env->rt), spec,
                                      DRIVER_CLASS_CHAR);
    ck_assert_msg(err == 0, "%s: %s: %s", spec, strerror(-err), kroutine_error_text());
}

/* Two ends as specs. Those of a socket are closed by the caller. */
static inline void make_ends(enum line_e kind, char a[96], char b[96], int sv[2])
{
    static unsigned lines;

    if (kind == LINE_SOCKET) {
        int size = 4096;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        for (int i = 0; i < 2; i++)
            setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        snprintf(a, 96, "fd:%d", sv[0]);
        snprintf(b, 96, "fd:%d", sv[1]);
        return;
    }
    lines++;
    snprintf(a, 96, "sim-char:f%u?side=a&short=40&eagain=30&chunk=7&buffer=900", lines);
    snprintf(b, 96, "sim-char:f%u?side=b&short=40&eagain=30&chunk=7&buffer=900", lines);
}

/* `two`: the other end has the framing, too. */
static inline void framing_open(struct framing_line_s *line, struct kt_env_s *env, enum line_e kind,
                                const struct framing_s *framing, bool two)
{
    char a[96], b[96];
    int sv[2] = {-1, -1};

    memset(line, 0, sizeof *line);
    line->framing = framing;
    line->env = env;
    line->max = framing->slow ? 200 : 280;
    make_ends(kind, a, b, sv);
    framing_get(env, &line->up, framing->prefix, a, framing->keys);
    framing_get(env, &line->peer, two ? framing->prefix : "", b, two ? framing->keys : "");
    if (kind == LINE_ROUGH && !framing->keys[0])
        framing_get(env, &line->below, "", a, "");
    for (int i = 0; i < 2; i++)
        if (sv[i] >= 0)
            close(sv[i]);
}

static inline void framing_round_open(struct framing_line_s *line, struct kt_env_s *env, int round,
                                      bool two)
{
    kt_env_open(env, mode_of(round));
    framing_open(line, env, line_of(round), framing_of(round), two);
}

static inline void framing_close(struct framing_line_s *line)
{
    device_put_accessor(&line->up.base);
    device_put_accessor(&line->peer.base);
    device_put_accessor(&line->below.base);
}

/* Submits and waits; returns what was transferred. */
/* Frees the tests of casts: the text of a write is not changed. */
#define TEXT(text) ((void *)(uintptr_t)(text))

static inline size_t framing_run(struct kt_env_s *env, const struct device_char_s *dev,
                                 unsigned type, void *data, size_t size, int error)
{
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, dev, type, data, size);
    kt_await(env, kt_get(&op.done) >= 1);
    ck_assert_msg(op.error == error, "type %u on %s: error %d (%s), not %d", type,
                  device_name(dev->dev), op.error, strerror(-op.error), error);
    return size - op.left;
}

#endif
