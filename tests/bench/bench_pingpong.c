/* SPDX-License-Identifier: MIT */
/*
 * One byte to and fro over a socketpair and over a pty in raw mode, both ends driven by one thread:
 * the library on io_uring against the same loop in bare liburing, in the variants and with the
 * set-up flags that suggest themselves; the fastest of those counts. For information: the library
 * on epoll, bare epoll, and blocking calls.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#include "bench.h"
#include "pingpong.h"

enum game_e {
    BARE_TOGETHER,
    BARE_TOGETHER_DEFER,
    BARE_AHEAD,
    BARE_AHEAD_DEFER,
    URING_SCHED,
    URING_DEFERRED,
    EPOLL_SCHED,
    EPOLL_BARE,
    BLOCKING,
    GAMES,
};

static struct bench_series_s series[GAMES] = {
    [BARE_TOGETHER] = {.name = "liburing, write+read together"},
    [BARE_TOGETHER_DEFER] = {.name = "the same, DEFER_TASKRUN"},
    [BARE_AHEAD] = {.name = "liburing, read pending ahead"},
    [BARE_AHEAD_DEFER] = {.name = "the same, DEFER_TASKRUN"},
    [URING_SCHED] = {.name = "libkroutine uring, SCHED_SWITCH"},
    [URING_DEFERRED] = {.name = "libkroutine uring, DEFERRED"},
    [EPOLL_SCHED] = {.name = "libkroutine epoll, SCHED_SWITCH"},
    [EPOLL_BARE] = {.name = "epoll"},
    [BLOCKING] = {.name = "blocking read and write"},
};

static void open_pair(int fd[2], bool pty, bool blocking)
{
    struct termios raw;

    if (pty) {
        bench_require(openpty(&fd[0], &fd[1], NULL, NULL, NULL) == 0, "openpty");
        bench_require(tcgetattr(fd[1], &raw) == 0, "tcgetattr");
        cfmakeraw(&raw);
        bench_require(tcsetattr(fd[1], TCSANOW, &raw) == 0, "tcsetattr");
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
#endif

    switch (game) {
#ifdef HAVE_LIBURING
    case BARE_TOGETHER:
        return pingpong_uring_together(fd, trips, 0);
    case BARE_TOGETHER_DEFER:
        return pingpong_uring_together(fd, trips, defer);
    case BARE_AHEAD:
        return pingpong_uring_ahead(fd, trips, 0);
    case BARE_AHEAD_DEFER:
        return pingpong_uring_ahead(fd, trips, defer);
#endif
    case URING_SCHED:
        return pingpong_library(fd, trips, KROUTINE_BACKEND_URING, KROUTINE_SCHED_SWITCH);
    case URING_DEFERRED:
        return pingpong_library(fd, trips, KROUTINE_BACKEND_URING, KROUTINE_DEFERRED);
    case EPOLL_SCHED:
        return pingpong_library(fd, trips, KROUTINE_BACKEND_EPOLL, KROUTINE_SCHED_SWITCH);
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

static void report(const char *result, const char *epoll_result)
{
    struct bench_series_s *bare = &series[BARE_TOGETHER], *ours = &series[URING_SCHED];

    for (enum game_e game = 0; game < GAMES; game++) {
        series[game].unit = "us";
        if (series[game].count)
            bench_print(&series[game]);
    }
    bench_info(epoll_result,
               bench_ratio(&series[EPOLL_SCHED], &series[EPOLL_BARE]), "x");
    if (!bare->count || !ours->count) {
        puts("  no io_uring here: nothing to compare");
        return;
    }
    for (enum game_e game = BARE_TOGETHER; game <= BARE_AHEAD_DEFER; game++)
        if (bench_median(&series[game]) < bench_median(bare))
            bare = &series[game];
    bench_ratio(&series[URING_DEFERRED], bare);
    bench_result(result, bench_ratio(ours, bare), "x", 1.15);
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31);

    puts("round trip over a socketpair:");
    for (int i = 0; i < rounds; i++)
        play_all(false, 4000);
    report("pingpong-socketpair", "pingpong-socketpair-epoll");
    for (enum game_e game = 0; game < GAMES; game++)
        series[game].count = 0;
    puts("round trip over a pty:");
    for (int i = 0; i < rounds; i++)
        play_all(true, 1000);
    report("pingpong-pty", "pingpong-pty-epoll");
    return 0;
}
