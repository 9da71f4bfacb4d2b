/* SPDX-License-Identifier: MIT */
/* The devices of marks.c: sockets that are closed and opened anew under the requests. */
#include "marks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct line_s {
    pthread_mutex_t lock;
    struct device_char_s dev;
    int peer;
    unsigned generation;
} lines[LINES];

/* With the lock of the line. */
static void open_line(struct line_s *line)
{
    char spec[32];
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
        fail("socketpair: %s", strerror(errno));
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    memset(&line->dev, 0, sizeof line->dev);
    if (device_get_accessor_by_path(&line->dev.base, kroutine_runtime_devices(rt), spec,
                                    DRIVER_CLASS_CHAR))
        fail("%s: %s", spec, kroutine_error_text());
    close(sv[0]);
    line->peer = sv[1];
    line->generation++;
}

static void reopen(struct line_s *line, bool peer_first)
{
    struct device_char_s old;
    int peer;

    pthread_mutex_lock(&line->lock);
    old = line->dev;
    peer = line->peer;
    open_line(line);
    pthread_mutex_unlock(&line->lock);
    if (peer_first)
        close(peer);
    device_put_accessor(&old.base);
    if (!peer_first)
        close(peer);
    add(&closings, 1);
}

void *closer(void *arg)
{
    uint64_t state = first_state(200 + (unsigned)(uintptr_t)arg);
    struct timespec pause = {0, 500000};

    while (!get(&stopping)) {
        uint64_t r = roll(&state);

        reopen(&lines[r % LINES], r >> 63);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void *other_side(void *arg)
{
    static uint8_t sink[1 << 16], bytes[1 << 14];
    struct timespec pause = {0, 100000};

    (void)arg;
    while (get(&stopping) < 2) {
        for (unsigned i = 0; i < LINES; i++) {
            pthread_mutex_lock(&lines[i].lock);
            while (recv(lines[i].peer, sink, sizeof sink, MSG_DONTWAIT) == sizeof sink)
                ;
            (void)!send(lines[i].peer, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
            pthread_mutex_unlock(&lines[i].lock);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void lines_open(void)
{
    for (unsigned i = 0; i < LINES; i++) {
        pthread_mutex_init(&lines[i].lock, NULL);
        open_line(&lines[i]);
    }
}

bool line_borrow(struct device_char_s *dev, unsigned line, unsigned *generation, bool same)
{
    struct line_s *l = &lines[line];
    bool given;

    pthread_mutex_lock(&l->lock);
    given = (!same || l->generation == *generation) &&
            device_copy_accessor(&dev->base, &l->dev.base) == 0;
    *generation = l->generation;
    pthread_mutex_unlock(&l->lock);
    return given;
}

void lines_reopen(void)
{
    for (unsigned i = 0; i < LINES; i++)
        reopen(&lines[i], i % 2);
}

void lines_close(void)
{
    for (unsigned i = 0; i < LINES; i++) {
        device_put_accessor(&lines[i].dev.base);
        close(lines[i].peer);
    }
}
