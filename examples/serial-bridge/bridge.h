/* SPDX-License-Identifier: MIT */
/*
 * One serial port and one TCP connection, and the bytes between them.
 *
 * A pair has two flows, tty to TCP and TCP to tty. A flow has one buffer and one request: it reads,
 * then writes what it has read, then reads again. So a side that takes nothing stops the reading on
 * the other one, whose kernel buffer fills, and whose peer waits: back-pressure, with no more
 * memory than that buffer.
 *
 * A flow is `busy` from a submit until the handler. Ends come and go meanwhile:
 *
 *   tty gone     closed, opened again every 250 ms; what was not written yet is kept for it
 *   no TCP yet   what the tty sends is dropped: nobody listens
 *   TCP ended    (the peer sends no more) the other way goes on until it was silent for a second
 *   TCP gone     closed; what waits for it is dropped; the next client, or the next try in 250 ms
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <kroutine.h>
#include <netdb.h>
#include <sys/socket.h>

#define BRIDGE_BUFFER 4096
#define BRIDGE_RETRY  KROUTINE_MSEC(250)
#define BRIDGE_LINGER KROUTINE_SEC(1)

struct pair_s;

struct flow_s {
    struct pair_s *pair;
    struct device_char_s *from, *to;
    struct dev_char_rq_s rq;
    bool busy;
    bool reading; /* what the request does */
    size_t held;  /* bytes that were read and not written yet … */
    uint8_t *at;  /* … from here */
    uint64_t bytes;
    uint8_t data[BRIDGE_BUFFER];
};

struct pair_s {
    struct pair_s *next;
    char *tty_spec;
    char *address; /* as it was given */
    bool connects; /* listens otherwise */
    struct sockaddr_storage peer;
    socklen_t peer_size;

    struct device_char_s tty;
    struct device_char_s tcp;
    struct device_char_s waiting; /* a socket that listens, or that is being connected … */
    int waiting_fd;               /* … -1: none */
    struct dev_char_rq_s poll;    /* until somebody has come, or until it is connected */
    bool polling;
    bool tcp_ended; /* the peer sends no more */
    struct flow_s to_tcp, to_tty;

    struct dev_timer_rq_s tty_timer; /* to open the port again */
    struct dev_timer_rq_s tcp_timer; /* to connect again; while lingering: to look again */
    uint64_t lingered;               /* what to_tcp.bytes was at the last look */
};

/* What all pairs share. */
struct bridge_s {
    struct device_s *tree;
    struct device_timer_s timer;
    struct pair_s *pairs;
    bool quiet;
    bool stopping; /* handlers do nothing any more */
};

extern struct bridge_s bridge;

/* "SPEC,listen:[HOST:]PORT" or "SPEC,connect:HOST:PORT". False after a message. */
bool bridge_add(const char *text);
/* Opens everything. False after a message. */
bool bridge_start(struct device_s *tree);
/* Closes everything; what is left of it goes when no handler can run any more. */
void bridge_stop(void);
void bridge_free(void);

/* pair.c */
bool pair_open_tty(struct pair_s *pair);
void pair_go_on(struct pair_s *pair);
void pair_tcp_came(struct pair_s *pair);
void pair_init(struct pair_s *pair);
void pair_say(const struct pair_s *pair, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void pair_later(struct dev_timer_rq_s *timer, uint64_t delay);

/* tcp.c */
bool tcp_parse(struct pair_s *pair, const char *address);
bool tcp_start(struct pair_s *pair); /* false after a message */
void tcp_drop(struct pair_s *pair);  /* closes the connection, waits for the next one */
void tcp_init(struct pair_s *pair);
void tcp_stop(struct pair_s *pair);

#endif
