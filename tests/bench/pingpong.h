/* SPDX-License-Identifier: MIT */
/* The ways to play ping-pong that bench_pingpong compares. Each plays `trips` round trips of one
   byte over the two descriptors, from one thread, and returns ns for each. The descriptors are
   O_NONBLOCK but for the blocking one, and new for each game. */
#ifndef PINGPONG_H
#define PINGPONG_H

#include <kroutine.h>

/* --- pingpong_bare.c: system calls and liburing alone --- */

double pingpong_blocking(const int fd[2], unsigned trips);
double pingpong_epoll(const int fd[2], unsigned trips);
#ifdef HAVE_LIBURING
/* A write, and the read at the other end that it will satisfy, are submitted together, and one call
   waits for both. */
double pingpong_uring_together(const int fd[2], unsigned trips, unsigned setup_flags);
/* The read is submitted, and pending, before the write that will satisfy it. */
double pingpong_uring_ahead(const int fd[2], unsigned trips, unsigned setup_flags);
#endif

/* --- pingpong_library.c --- */

/* Read handlers are SCHED_SWITCH, or DEFERRED in a pool of size 0. -1: there is no such backend. */
double pingpong_library(const int fd[2], unsigned trips, enum kroutine_backend_e backend,
                        enum kroutine_policy_e policy);

#endif
