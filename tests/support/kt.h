/* SPDX-License-Identifier: MIT */
/*
 * What the Check programs of tests/ share. A program defines kt_suite(); main() is in kt_main.c.
 *
 *     test_x [--tap] [uring|epoll|sim]
 *
 * --tap, or KR_TEST_TAP=1: TAP on standard output, one line a case, skips with their reason.
 * The backend may also come from KR_TEST_BACKEND. A backend that this machine does not have is a
 * skip of the program: exit code 77, or "1..0 # SKIP why" under TAP. Cases are chosen with Check's
 * own CK_RUN_CASE=name, their time limits stretched with CK_TIMEOUT_MULTIPLIER.
 *
 * Each case runs in a process of its own, so that it meets a library that was never used.
 */
#ifndef KT_H
#define KT_H

/* Included first, so that this holds for what follows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <check.h>
#include <kroutine.h>
#include <kroutine/sim.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the program --- */

Suite *kt_suite(void); /* of each program */

/* The backend on the command line; KROUTINE_BACKEND_AUTO when there is none. */
extern enum kroutine_backend_e kt_backend;
const char *kt_backend_name(enum kroutine_backend_e backend);

/* Each case is a test case of its own, named after its function. `label` (may be NULL) names the
   round of a loop. The limit is in seconds. */
void kt_add(Suite *s, const TTest *t, double limit);
void kt_add_loop(Suite *s, const TTest *t, int rounds, const char *(*label)(int round),
                 double limit);

/* Ends the case, which is reported as skipped with that reason. */
#define kt_skip(...)                                                                               \
    do {                                                                                           \
        kt_skip_record(__func__, _i, __VA_ARGS__);                                                 \
        return;                                                                                    \
    } while (0)
void kt_skip_record(const char *function, int round, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same from a function that the case has called; does not return. */
void kt_skip_here(const char *why) __attribute__((noreturn));

/* In kt_suite(): the machine lacks what every case needs, so the program is skipped as a whole. */
void kt_skip_all(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Serial ports cannot be set to any speed under QEMU's user mode, which has no TCGETS2. The second
   skips the program there. */
bool kt_has_termios2(void);
void kt_need_termios2(void);

/* How much slower than plain this build or run is: 1, 10 with a sanitizer, 40 under valgrind, or
   what KR_TEST_SLOW says. */
unsigned kt_slow(void);
#define kt_count(n) ((n) / kt_slow() > 0 ? (n) / kt_slow() : 1)

/* --- time --- */

uint64_t kt_now(void); /* CLOCK_MONOTONIC, ns */
void kt_sleep_ms(unsigned ms);
uint64_t kt_cpu_time(void); /* of the process, ns */

/* --- a runtime, and waiting for what its handlers do --- */

enum kt_mode_e { KT_THREADS, KT_EMBEDDED, KT_MODES };

struct kt_env_s {
    struct kroutine_runtime_s *rt;
    bool embedded; /* this thread is the reactor, deferred handlers run on it too */
};

const char *kt_mode_label(int mode);

/* Rounds over a simulated device in each mode, and after them, if `variable` of the environment
   names one and the backend is not simulated, over a real device: "sim-threads", "spidev-embedded".
 */
int kt_real_rounds(const char *variable);
const char *kt_real_label(int round, const char *real);
/* The same where time has to pass: in virtual time a thread that submits is overtaken by what it
   submits for, so there is one round of all, the embedded one. */
int kt_timed_rounds(int all);
int kt_timed_round(int round);
/* With the backend of the command line. KT_THREADS: a reactor and two workers. */
void kt_env_open(struct kt_env_s *env, enum kt_mode_e mode);
void kt_env_config(struct kroutine_runtime_config_s *config, enum kt_mode_e mode);
void kt_env_make(struct kt_env_s *env, const struct kroutine_runtime_config_s *config);
void kt_env_close(struct kt_env_s *env);

/* What the runtime takes for the time: virtual on a simulated one. ns. */
uint64_t kt_clock(const struct kt_env_s *env);
/* What this device counts, in its units. */
uint64_t kt_timer_value(const struct device_timer_s *timer);

/* A short moment: processes an embedded runtime, sleeps otherwise. NULL: sleeps. */
void kt_pause(struct kt_env_s *env);
/* Lets `ms` milliseconds pass that way: for things that must not happen. */
void kt_idle(struct kt_env_s *env, unsigned ms);

/* Waits for a condition on atomics; fails the case, naming it, when it never comes. */
#define kt_await(env, condition)                                                                   \
    do {                                                                                           \
        uint64_t kt_end_ = kt_now() + kt_patience();                                               \
        while (!(condition)) {                                                                     \
            if (kt_now() > kt_end_)                                                                \
                ck_abort_msg("never came: %s", #condition);                                        \
            kt_pause(env);                                                                         \
        }                                                                                          \
    } while (0)
uint64_t kt_patience(void);

#define kt_get(p)    __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define kt_set(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define kt_inc(p)    __atomic_add_fetch((p), 1, __ATOMIC_SEQ_CST)
#define kt_dec(p)    __atomic_sub_fetch((p), 1, __ATOMIC_SEQ_CST)

/* Order of events over all threads: 1, 2, 3 … */
unsigned kt_stamp(void);

/* For files of the tests: new with each program, removed at its end, whatever cases leave behind.
 */
const char *kt_folder(void);

/* --- ttys --- */

#define KT_PTY_PATH 64

/* The master of a new pty, with `flags` beside O_RDWR | O_NOCTTY | O_CLOEXEC; the slave's path, and
   the slave itself, opened so, unless that is NULL. */
int kt_open_pty(int flags, char path[KT_PTY_PATH], int *slave);
/* Both classes of a port. */
error_t kt_open_uart(const struct kt_env_s *env, const char *spec, struct device_uart_s *uart,
                     struct device_char_s *chr);

/* --- threads --- */

pthread_t kt_thread(void *(*fn)(void *arg), void *arg);
void kt_join(pthread_t thread);

/* --- a kroutine that tells what happened to it --- */

struct kt_probe_s {
    struct kroutine_s kr;
    unsigned runs;  /* atomic */
    unsigned flags; /* of the last run */
    unsigned stamp;
    pthread_t thread;
    bool interruptible;                     /* the context of the last run was */
    void (*then)(struct kt_probe_s *probe); /* at the end of the handler; may be NULL */
    void *arg;
};

KROUTINE_EXEC(kt_probe_run);

/* What a policy needs beside the kroutine; NULL and 0 where it needs nothing. */
struct kt_target_s {
    struct kroutine_runtime_s *rt;
    struct kroutine_queue_s *queue;
    struct kroutine_sequence_s *seq;
    unsigned cpu;
};

/* Calls the init function of `policy` (not TRIGGER), and binds to target->rt. */
void kt_init_policy(struct kroutine_s *kr, kroutine_exec_t *exec, enum kroutine_policy_e policy,
                    const struct kt_target_s *target);
void kt_probe_init(struct kt_probe_s *probe, enum kroutine_policy_e policy,
                   const struct kt_target_s *target);
const char *kt_policy_name(enum kroutine_policy_e policy);

/* Every policy under which a run is put off when exec is called in a critical section. */
#define KT_PUT_OFF 11
extern const enum kroutine_policy_e kt_put_off[KT_PUT_OFF];
const char *kt_put_off_label(int round);

/* --- the process --- */

unsigned kt_open_fds(void);
unsigned kt_threads(void);
/* Sum over all threads of the process. */
uint64_t kt_voluntary_switches(void);

#endif
