/* SPDX-License-Identifier: MIT */
/* What the library knows about the calling thread. */
#ifndef KR_THREAD_H
#define KR_THREAD_H

#include "kroutine/kroutine.h"

#define KR_RUN_DEPTH 8

struct kr_worker_s;
struct dev_request_s;

struct kr_thread_s {
    unsigned nointr;                    /* > 0: not interruptible */
    struct kroutine_runtime_s *reactor; /* this thread is in the dispatch of that runtime */
    struct kr_worker_s *worker;         /* this thread is that worker of a pool */
    unsigned worker_cpu;                /* CPU + 1 that the worker is tied to right now; 0 none */
    bool signals_blocked;               /* one of our own threads: SIGPIPE cannot hit the program */
    const struct kr_check_frame_s
        *immediate; /* check.h: IMMEDIATE request handlers on this stack */

    /* Handlers running on this thread, outermost first; atomic, read by dev_request_cancel_wait
       on other threads. */
    struct kroutine_s *running[KR_RUN_DEPTH];
    unsigned depth; /* atomic; more than KR_RUN_DEPTH: who looks cannot tell, and takes it as yes */
    /* This thread is putting a kroutine into a queue of that runtime; atomic. Stored before the
       push, so whoever has seen the kroutine run, and ends the runtime, sees it. */
    struct kroutine_runtime_s *pushing;
    struct kr_thread_s *next; /* registry of thread.c */
    bool registered;
    struct dev_request_s *waiting; /* dev_request_wait is submitting it */
    struct dev_request_s *refused; /* class.c: handlers that no runtime can run, oldest first */
    struct dev_request_s *refused_last;
    bool refusing;
    char error_text[256];
};

extern __thread struct kr_thread_s kr_self __attribute__((tls_model("initial-exec")));

/* Around every handler that the library starts, kroutine_exec of an IMMEDIATE one left out. */
void kr_thread_enter(struct kroutine_s *kr);
void kr_thread_leave(void);

/* Waits until `over(arg)` is true, being told after each handler of any thread. */
void kr_thread_wait(bool (*over)(void *arg), void *arg);
/* Is the handler of `kr` running on another thread / on this one? */
bool kr_thread_runs(const struct kroutine_s *kr);
bool kr_thread_runs_here(const struct kroutine_s *kr);
/* Around a push into a queue of `rt`. */
void kr_thread_push_begin(struct kroutine_runtime_s *rt);
void kr_thread_push_end(void);
bool kr_thread_pushes(const struct kroutine_runtime_s *rt); /* some thread does */
/* After a state change that kr_thread_wait may be waiting for. */
void kr_thread_tell(void);

/* Number of forks between the process that loaded the library and this one: atomic, right from the
   first call of kr_fork_setup on. */
extern uint32_t kr_forks;
void kr_fork_setup(void);
/* driver.c: around a fork, so that the child finds the list of drivers whole. */
void kr_drivers_lock(void);
void kr_drivers_unlock(void);

#endif
