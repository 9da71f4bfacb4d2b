/* SPDX-License-Identifier: MIT */
/*
 * Runtimes: a reactor, a worker pool and a device tree. kroutine_runtime(3), and
 * kroutine_runtime_process(3) for programs that have an event loop of their own.
 */
#ifndef KROUTINE_RUNTIME_H
#define KROUTINE_RUNTIME_H

#include "kroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device_s;

enum kroutine_backend_e {
    KROUTINE_BACKEND_AUTO = 0, /* io_uring where it may be used, else epoll */
    KROUTINE_BACKEND_URING,
    KROUTINE_BACKEND_EPOLL,
    KROUTINE_BACKEND_SIM, /* virtual time, simulated devices: kroutine_sim(3) */
};

#define KROUTINE_POOL_DEFAULT (-1)
#define KROUTINE_POOL_MAX     64
#define KROUTINE_CPUS_MAX     256

/* How a thread of the runtime is scheduled; all zero: as the thread that makes the runtime. */
struct kroutine_sched_s {
    int policy;        /* SCHED_OTHER, SCHED_FIFO or SCHED_RR of <sched.h> */
    int priority;      /* for SCHED_FIFO and SCHED_RR: 1 to 99 */
    size_t stack_size; /* bytes; 0: the default of the C library */
};

/* Fill with kroutine_runtime_config_init, then change what matters. */
struct kroutine_runtime_config_s {
    size_t size;      /* of this struct, for programs built against an older one */
    const char *name; /* of its threads, 8 characters kept; NULL: "kroutine" */
    enum kroutine_backend_e backend;
    bool embedded; /* no reactor thread: the program calls kroutine_runtime_process */

    int pool_size; /* workers, 0 to KROUTINE_POOL_MAX; 0: deferred handlers run in the reactor,
                      after its batch; KROUTINE_POOL_DEFAULT: one a CPU, at most 4 (embedded: 0) */
    bool pool_pin; /* tie each worker to one CPU of `pool_cpus`, in turn */
    uint64_t pool_cpus[KROUTINE_CPUS_MAX / 64]; /* bit n: CPU n may be used; all zero: any */
    unsigned
        pool_spin_us; /* a worker looks for work that long before it sleeps; 0: sleeps at once */
    struct kroutine_sched_s pool_sched;
    struct kroutine_sched_s reactor_sched;

    uint64_t sim_seed; /* KROUTINE_BACKEND_SIM: same seed, same run */
};

KROUTINE_API void kroutine_runtime_config_init(struct kroutine_runtime_config_s *config);

/* Makes a runtime; NULL config: as the default one. `*ret` is untouched on failure.
   -EINVAL: a config field is out of range (kroutine_error_text names it). -ENOSYS: the backend
   asked for does not exist here. -ENOTSUP: this io_uring is too old for the backend. -EPERM: a
   scheduling policy or io_uring is not allowed. -ENOMEM, -EMFILE, -EAGAIN: out of memory,
   descriptors, threads. */
KROUTINE_API error_t kroutine_runtime_create(struct kroutine_runtime_s **ret,
                                             const struct kroutine_runtime_config_s *config);

/* The default runtime, made at first use, with a reactor thread. NULL when it cannot be made
   (kroutine_error_text says why). */
KROUTINE_API struct kroutine_runtime_s *kroutine_runtime_default(void);

/* Closes its devices (pending requests complete with -ECANCELED), runs every kroutine that is
   queued, stops the threads and frees the runtime. Accessors that are still open stay valid for
   device_put_accessor only. -EDEADLK: called from the reactor or a worker of this runtime, or
   from a handler nested in a submit. */
KROUTINE_API error_t kroutine_runtime_destroy(struct kroutine_runtime_s *runtime);

/* The same, but queued kroutines are handed to `handback`, in the calling thread, instead of run.
 */
KROUTINE_API error_t kroutine_runtime_shutdown(struct kroutine_runtime_s *runtime,
                                               void (*handback)(struct kroutine_s *kr, void *arg),
                                               void *arg);

/* Root of the device tree of this runtime; NULL: of the default one. */
KROUTINE_API struct device_s *kroutine_runtime_devices(struct kroutine_runtime_s *runtime);

/* --- embedded runtimes: kroutine_runtime_process(3). All from one thread, the reactor. --- */

/* A descriptor for poll(2) and its kin: readable when kroutine_runtime_process has work. The
   runtime's: do not read or close it. -EINVAL: the runtime has its own reactor thread. */
KROUTINE_API int kroutine_runtime_fd(struct kroutine_runtime_s *runtime);

/* Does what there is to do, without waiting. The number of events and handlers, 0 when there was
   nothing. -EINVAL: not embedded. -EDEADLK: called from a handler inside itself. -EPERM: this is
   not the reactor thread, or a forked child. */
KROUTINE_API int kroutine_runtime_process(struct kroutine_runtime_s *runtime);

/* Waits until there is something to do, at most `timeout_ns` (negative: for ever), then processes
   it. Returns as kroutine_runtime_process; 0 after the time-out or a signal. */
KROUTINE_API int kroutine_runtime_wait(struct kroutine_runtime_s *runtime, int64_t timeout_ns);

/* --- information --- */

struct kroutine_runtime_info_s {
    const char *backend;   /* "uring", "epoll", "sim" */
    const char *reason;    /* why this backend, in words for a log line; gone with the runtime */
    unsigned pool_size;    /* workers */
    uint64_t batches;      /* times that the reactor came back from waiting */
    uint64_t syscalls;     /* by the reactor, to wait and to submit */
    uint64_t deferred;     /* handlers run by the pool */
    uint64_t cpu_misses;   /* CPU_* handlers that ran elsewhere: their CPU could not be used */
    unsigned open_devices; /* devices made by spec or by a driver, the clocks left out */
};

/* -EINVAL: `info` is NULL. NULL runtime: the default one. */
KROUTINE_API error_t kroutine_runtime_info(struct kroutine_runtime_s *runtime,
                                           struct kroutine_runtime_info_s *info);

/* What the last failing call of this thread that takes a name, spec or config did not like, in
   words. Valid until the next such call of the thread; "" when there was none. */
KROUTINE_API const char *kroutine_error_text(void);

/* "1.2.3", of the library in use. */
KROUTINE_API const char *kroutine_version(void);

#ifdef __cplusplus
}
#endif
#endif
