/* SPDX-License-Identifier: MIT */
/*
 * One byte to and fro over a socketpair and over a pty in raw mode, both ends driven by one thread:
 * the library on io_uring against the same loop in bare liburing, for each of the two loops of
 * pingpong.h, with the set-up flags that suggest themselves; the fastest of those counts. For
 * information: the library on epoll, bare epoll, and blocking calls.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#include "bench.h"
#include "pingpong.h"

enum game_e {
    BARE_TURN_COOP,
    BARE_TURN_DEFER,
    URING_TURN,
    EPOLL_TURN,
    BARE_AHEAD_COOP,
    BARE_AHEAD_DEFER,
    URING_AHEAD,
    URING_AHEAD_POOL0,
    EPOLL_AHEAD,
    EPOLL_BARE,
    BLOCKING,
    GAMES,
};

static struct bench_series_s series[GAMES] = {
    [BARE_TURN_COOP] = {.name = "in turn: liburing, COOP_TASKRUN"},
    [BARE_TURN_DEFER] = {.name = "in turn: liburing, DEFER_TASKRUN"},
    [URING_TURN] = {.name = "in turn: libkroutine, uring"},
    [EPOLL_TURN] = {.name = "in turn: libkroutine, epoll"},
    [BARE_AHEAD_COOP] = {.name = "ahead: liburing, COOP_TASKRUN"},
    [BARE_AHEAD_DEFER] = {.name = "ahead: liburing, DEFER_TASKRUN"},
    [URING_AHEAD] = {.name = "ahead: libkroutine, uring"},
    [URING_AHEAD_POOL0] = {.name = "ahead: the same, DEFERRED handlers"},
    [EPOLL_AHEAD] = {.name = "ahead: libkroutine, epoll"},
    [EPOLL_BARE] = {.name = "ahead: epoll, edges"},
    [BLOCKING] = {.name = "in turn: blocking read and write"},
};

static void open_pair(int fd[2], bool pty, bool blocking)
{
    if (pty) {
        bench_open_pty(&fd[0], &fd[1]);
    } else {
        bench_require(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
    }
    for (int i = 0; i < 2 && !blocking; i++)
        bench_require(fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

static double play(enum game_e game, const int fd[2], unsigned trips)
{
#ifdef HAVE_LIBURING
    unsigned defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    unsigned coop = IORING_SETUP_COOP_TASKRUN;
#endif

    switch (game) {
#ifdef HAVE_LIBURING
    case BARE_TURN_COOP:
        return pingpong_uring_in_turn(fd, trips, coop);
    case BARE_TURN_DEFER:
        return pingpong_uring_in_turn(fd, trips, defer);
    case BARE_AHEAD_COOP:
        return pingpong_uring_ahead(fd, trips, coop);
    case BARE_AHEAD_DEFER:
        return pingpong_uring_ahead(fd, trips, defer);
#endif
    case URING_TURN:
        return pingpong_library_in_turn(fd, trips, KROUTINE_BACKEND_URING);
    case EPOLL_TURN:
        return pingpong_library_in_turn(fd, trips, KROUTINE_BACKEND_EPOLL);
    case URING_AHEAD:
        return pingpong_library_ahead(fd, trips, KROUTINE_BACKEND_URING, KROUTINE_SCHED_SWITCH);
    case URING_AHEAD_POOL0:
        return pingpong_library_ahead(fd, trips, KROUTINE_BACKEND_URING, KROUTINE_DEFERRED);
    case EPOLL_AHEAD:
        return pingpong_library_ahead(fd, trips, KROUTINE_BACKEND_EPOLL, KROUTINE_SCHED_SWITCH);
    case EPOLL_BARE:
        return pingpong_epoll(fd, trips);
    case BLOCKING:
        return pingpong_blocking(fd, trips);
    default:
        return -1;
    }
}

static void play_all(bool pty, unsigned trips)
{
    for (enum game_e game = 0; game < GAMES; game++) {
        int fd[2];
        double ns;

        open_pair(fd, pty, game == BLOCKING);
        ns = play(game, fd, trips);
        close(fd[0]);
        close(fd[1]);
        if (ns >= 0)
            bench_add(&series[game], ns / 1000);
    }
}

static void compare(const char *result, const char *what, enum game_e ours, enum game_e coop,
                    enum game_e defer)
{
    enum game_e bare = defer;
    char name[64];

    if (!series[ours].count || !series[bare].count) {
        puts("  no io_uring here: nothing to compare");
        return;
    }
    if (bench_median(&series[coop]) < bench_median(&series[bare]))
        bare = coop;
    snprintf(name, sizeof(name), "%s-%s", result, what);
    bench_result(name, bench_ratio(&series[ours], &series[bare]), "x", 1.15);
}

static void match(const char *result, int rounds, bool pty, unsigned trips)
{
    char name[64];

    for (enum game_e game = 0; game < GAMES; game++) {
        series[game].unit = "us";
        series[game].count = 0;
    }
    for (int i = 0; i < rounds; i++)
        play_all(pty, trips);
    for (enum game_e game = 0; game < GAMES; game++)
        if (series[game].count)
            bench_print(&series[game]);
    compare(result, "in-turn", URING_TURN, BARE_TURN_COOP, BARE_TURN_DEFER);
    compare(result, "ahead", URING_AHEAD, BARE_AHEAD_COOP, BARE_AHEAD_DEFER);
    snprintf(name, sizeof(name), "%s-epoll-ahead", result);
    bench_info(name, bench_ratio(&series[EPOLL_AHEAD], &series[EPOLL_BARE]), "x");
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31);

    puts("round trip over a socketpair:");
    match("pingpong-socketpair", rounds, false, 4000);
    puts("round trip over a pty:");
    match("pingpong-pty", rounds, true, 1000);
    return 0;
}
