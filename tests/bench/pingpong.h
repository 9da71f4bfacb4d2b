/* SPDX-License-Identifier: MIT */
/*
 * The ways to play ping-pong that bench_pingpong compares. Each plays `trips` round trips of one
 * byte over the two descriptors, from one thread, and returns ns for each. The descriptors are
 * O_NONBLOCK but for the blocking one, and new for each game.
 *
 * There are two loops. "In turn": write at one end, and then read at the other. "Ahead": each end
 * always has a read pending, and answers it, as programs do that do not know who speaks next.
 */
#ifndef PINGPONG_H
#define PINGPONG_H

#include <kroutine.h>

/* --- pingpong_bare.c: system calls and liburing alone --- */

double pingpong_blocking(const int fd[2], unsigned trips);
double pingpong_epoll(const int fd[2], unsigned trips); /* ahead */
#ifdef HAVE_LIBURING
/* The write and the read are submitted together, and one call waits for the read. */
double pingpong_uring_in_turn(const int fd[2], unsigned trips, unsigned setup_flags);
double pingpong_uring_ahead(const int fd[2], unsigned trips, unsigned setup_flags);
#endif

/* --- pingpong_library.c; -1: there is no such backend --- */

double pingpong_library_in_turn(const int fd[2], unsigned trips, enum kroutine_backend_e backend);
/* Read handlers are SCHED_SWITCH, or DEFERRED in a pool of size 0. */
double pingpong_library_ahead(const int fd[2], unsigned trips, enum kroutine_backend_e backend,
                              enum kroutine_policy_e policy);

#endif
