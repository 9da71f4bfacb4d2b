/* SPDX-License-Identifier: MIT */
/*
 * How a pair gets its TCP connection: a POLL request waits until the socket that listens has a
 * client, or until the one that connects is through. One client at a time has the port; the next
 * one waits in the backlog until it has gone.
 */
#include "bridge.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4

/* --- addresses --- */

/* "[HOST:]PORT", an IPv6 address in brackets. Names are looked up here, once, as that may block. */
bool tcp_parse(struct pair_s *pair, const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    char host[256];
    const char *port = strrchr(address, ':'), *start = address;
    size_t size = port ? (size_t)(port - address) : 0;
    int err;

    if (size > 1 && *start == '[' && start[size - 1] == ']') {
        start++;
        size -= 2;
    }
    snprintf(host, sizeof(host), "%.*s", (int)size, start);
    if (size == 0)
        snprintf(host, sizeof(host), "%s", "127.0.0.1"); /* who wants the world has to say so */
    err = getaddrinfo(host, port ? port + 1 : address, &hints, &found);
    if (err != 0) {
        fprintf(stderr, "serial-bridge: %s: %s\n", address, gai_strerror(err));
        return false;
    }
    memcpy(&pair->peer, found->ai_addr, found->ai_addrlen);
    pair->peer_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* --- waiting --- */

static void stop_waiting(struct pair_s *pair)
{
    device_put_accessor(&pair->waiting.base);
    if (pair->waiting_fd >= 0)
        close(pair->waiting_fd);
    pair->waiting_fd = -1;
}

static void wait_for(struct pair_s *pair, enum dev_char_rq_type_e type)
{
    pair->polling = true;
    pair->poll.type = type;
    DEVICE_OP(&pair->waiting, request, &pair->poll);
}

/* Makes a device of a socket, with a duplicate: `waiting_fd` stays ours, for accept. */
static bool adopt(struct device_char_s *dev, int fd)
{
    char spec[24];

    snprintf(spec, sizeof(spec), "fd:%d", fd);
    return device_get_accessor_by_path(&dev->base, bridge.tree, spec, DRIVER_CLASS_CHAR) == 0;
}

static bool has_connection(struct pair_s *pair, int fd)
{
    const int on = 1;
    bool ok;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)); /* a peer may vanish silently */
    ok = adopt(&pair->tcp, fd);
    close(fd);
    if (ok)
        pair_tcp_came(pair);
    else
        pair_say(pair, "%s", kroutine_error_text());
    return ok;
}

/* --- listening --- */

static bool start_listening(struct pair_s *pair)
{
    const int on = 1;
    int fd = socket(pair->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    pair->waiting_fd = fd;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&pair->peer, pair->peer_size) != 0 ||
        listen(fd, BACKLOG) != 0) {
        pair_say(pair, "%s", strerror(errno));
        return false;
    }
    if (!adopt(&pair->waiting, fd)) {
        pair_say(pair, "%s", kroutine_error_text());
        return false;
    }
    wait_for(pair, DEV_CHAR_READ_POLL);
    return true;
}

static void accept_client(struct pair_s *pair)
{
    int fd = accept4(pair->waiting_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && has_connection(pair, fd))
        return;
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
        pair_say(pair, "accept: %s", strerror(errno)); /* no descriptors, no memory */
        pair_later(&pair->tcp_timer, BRIDGE_RETRY);
    } else {
        wait_for(pair, DEV_CHAR_READ_POLL);
    }
}

/* --- connecting --- */

static void start_connecting(struct pair_s *pair)
{
    int fd = socket(pair->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    pair->waiting_fd = fd;
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&pair->peer, pair->peer_size) == 0 ||
                    errno == EINPROGRESS)) {
        if (adopt(&pair->waiting, fd)) {
            wait_for(pair, DEV_CHAR_WRITE_POLL);
            return;
        }
    }
    stop_waiting(pair);
    pair_later(&pair->tcp_timer, BRIDGE_RETRY);
}

static void connected(struct pair_s *pair)
{
    int fd = dup(pair->waiting_fd), err = fd < 0 ? errno : 0;
    socklen_t size = sizeof(err);

    if (err == 0)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    stop_waiting(pair);
    if (err == 0 && has_connection(pair, fd))
        return;
    if (err != 0 && fd >= 0)
        close(fd);
    pair_later(&pair->tcp_timer, BRIDGE_RETRY);
}

/* --- both --- */

static KROUTINE_EXEC(poll_done)
{
    struct pair_s *pair = KROUTINE_CONTAINER(kr, struct pair_s, poll.base.kr);

    (void)flags;
    pair->polling = false;
    if (bridge.stopping)
        return;
    if (pair->connects)
        connected(pair);
    else
        accept_client(pair);
}

void tcp_drop(struct pair_s *pair)
{
    device_put_accessor(&pair->tcp.base);
    pair_go_on(pair);
    if (!pair->connects)
        wait_for(pair, DEV_CHAR_READ_POLL);
    else
        pair_later(&pair->tcp_timer, BRIDGE_RETRY);
}

static KROUTINE_EXEC(tcp_timer)
{
    struct pair_s *pair = KROUTINE_CONTAINER(kr, struct pair_s, tcp_timer.base.kr);

    (void)flags;
    if (bridge.stopping || pair->tcp_timer.error != 0)
        return;
    if (pair->tcp.dev && pair->tcp_ended) {
        if (pair->to_tcp.bytes == pair->lingered && !pair->to_tty.held && !pair->to_tcp.held) {
            tcp_drop(pair);
            return;
        }
        pair->lingered = pair->to_tcp.bytes;
        pair_later(&pair->tcp_timer, BRIDGE_LINGER);
    } else if (pair->tcp.dev) {
        return; /* of the client before */
    } else if (pair->connects) {
        start_connecting(pair);
    } else if (!pair->polling) {
        wait_for(pair, DEV_CHAR_READ_POLL);
    }
}

void tcp_init(struct pair_s *pair)
{
    pair->waiting_fd = -1;
    dev_char_rq_init(&pair->poll, poll_done);
    dev_timer_rq_init(&pair->tcp_timer, tcp_timer);
}

bool tcp_start(struct pair_s *pair)
{
    if (!pair->connects)
        return start_listening(pair);
    start_connecting(pair);
    return true;
}

void tcp_stop(struct pair_s *pair)
{
    stop_waiting(pair);
    device_put_accessor(&pair->tcp.base);
}
