/* SPDX-License-Identifier: MIT */
/* What the files of lib/ share. Backends include loop.h, clock.h, stream.h and platform.h instead.
 */
#ifndef KR_INTERNAL_H
#define KR_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>

#include "atomic.h"
#include "check.h"
#include "clock.h"
#include "kroutine/device.h"
#include "kroutine/driver.h"
#include "kroutine/kroutine.h"
#include "kroutine/queue.h"
#include "kroutine/request.h"
#include "kroutine/runtime.h"
#include "kroutine/sequence.h"
#include "loop.h"
#include "platform.h"
#include "thread.h"

/* --- kroutine.c: bits of kroutine_s.state --- */

enum kr_state_e {
    KR_ST_FLAGS = 0xff,      /* user flags collected for the next run */
    KR_ST_PENDING = 0x100,   /* scheduled, handler not started */
    KR_ST_TRIGGERED = 0x200, /* the pending run comes from kroutine_trigger */
    KR_ST_EXEC_SEEN = 0x400, /* TRIGGER: exec without trigger */
    KR_ST_ARMED_SHIFT = 16,  /* TRIGGER: policy armed by trigger or postpone, 0 none */
    KR_ST_ARMED = 0xf << 16,
    KR_ST_RUN_SHIFT = 20, /* TRIGGER: policy of the pending run */
    KR_ST_RUN = 0xf << 20,
};

/* kroutine_s.mark. */
#define KR_IN_FLIGHT 1 /* a request that was submitted and is not over: request.c */
#define KR_INTERNAL  2 /* the library's own, never handed back */

/* Policy that a pending kroutine runs under: its own, or the one that its trigger named. */
enum kroutine_policy_e kr_run_policy(const struct kroutine_s *kr);
/* As kroutine_exec. True: merged into a run that was to come anyway. */
bool kr_exec_merges(struct kroutine_s *kr);
/* Takes a kroutine that was removed from its run queue through its run: clears the pending state,
   calls the handler, and lets the next of its sequence go. */
void kr_run_pending(struct kroutine_s *kr);
/* Takes it without running: what kroutine_cancel and a shutdown that hands back do. */
void kr_drop_pending(struct kroutine_s *kr);

/* --- runq.c --- */

struct kr_runq_s; /* the public struct kroutine_runq_s under its internal name */
#define kr_runq_s kroutine_runq_s

error_t kr_runq_init(struct kr_runq_s *q);
void kr_runq_destroy(struct kr_runq_s *q);
void kr_runq_push(struct kr_runq_s *q, struct kroutine_s *kr); /* lock-free */
/* Highest priority, oldest first, a waiting lower level once in KR_RUNQ_FAIRNESS; NULL: empty. */
struct kroutine_s *kr_runq_pop(struct kr_runq_s *q);
bool kr_runq_remove(struct kr_runq_s *q, struct kroutine_s *kr);
bool kr_runq_is_empty(struct kr_runq_s *q);
const struct kroutine_s *kr_runq_newest(struct kr_runq_s *q); /* of the inboxes, for a report */
#define KR_RUNQ_FAIRNESS 64

/* --- sequence.c --- */

void kr_seq_exec(struct kroutine_sequence_s *seq, struct kroutine_s *kr); /* pending already */
bool kr_seq_try_enter(struct kroutine_sequence_s *seq); /* for a run in line: nothing ahead */
void kr_seq_start(
    struct kroutine_sequence_s *seq); /* the handler whose turn it is, on this thread */
void kr_seq_leave(struct kroutine_sequence_s *seq);
bool kr_seq_remove(struct kroutine_sequence_s *seq, struct kroutine_s *kr); /* not its turn yet */
/* kroutine.c: puts a pending kroutine, whose turn it is, where its base policy runs it. */
void kr_dispatch(struct kroutine_s *kr, enum kroutine_policy_e policy);

/* --- queue.c --- */

void kr_queue_exec(struct kroutine_queue_s *queue, struct kroutine_s *kr);
bool kr_queue_remove(struct kroutine_queue_s *queue, struct kroutine_s *kr);

/* --- pool.c --- */

struct kr_pool_s;

error_t kr_pool_create(struct kr_pool_s **ret, struct kroutine_runtime_s *rt,
                       const struct kroutine_runtime_config_s *config);
void kr_pool_exec(struct kr_pool_s *pool, struct kroutine_s *kr);
void kr_pool_exec_cpu(struct kr_pool_s *pool, struct kroutine_s *kr, unsigned cpu);
bool kr_pool_remove(struct kr_pool_s *pool, struct kroutine_s *kr);
bool kr_pool_is_idle(struct kr_pool_s *pool);   /* nothing waits */
bool kr_pool_is_asleep(struct kr_pool_s *pool); /* and no handler is running */
bool kr_pool_owns(const struct kr_pool_s *pool, const struct kr_worker_s *worker); /* or NULL */
/* A pool without workers: runs up to KR_INLINE_MAX handlers in the caller. Number run. */
unsigned kr_pool_run_inline(struct kr_pool_s *pool);
#define KR_INLINE_MAX 64
struct kroutine_s *kr_pool_take(struct kr_pool_s *pool); /* for handing back; NULL: empty */
/* Ends the workers: once nothing is queued, or (drain false) with what they are running. */
void kr_pool_stop(struct kr_pool_s *pool, bool drain);
void kr_pool_destroy(struct kr_pool_s *pool);
unsigned kr_pool_size(const struct kr_pool_s *pool);
void kr_pool_counters(const struct kr_pool_s *pool, uint64_t *deferred, uint64_t *cpu_misses);

/* --- spawn.c --- */

error_t kr_spawn(pthread_t *ret, const struct kroutine_sched_s *sched, void *(*body)(void *arg),
                 void *arg);

/* --- runtime.c, reactor.c --- */

struct kr_stream_s;

struct kroutine_runtime_s {
    const struct kr_backend_s *backend;
    struct kr_loop_s *loop;
    struct kr_pool_s *pool;
    struct kr_runq_s sched; /* SCHED_SWITCH */
    struct kr_runq_s idle;  /* IDLE */
    struct kr_clock_s clocks[KR_CLOCKS];
    struct device_s *root; /* device.c: the tree, with its own lock */

    bool embedded;
    bool attached; /* the loop has met its reactor thread */
    error_t attach_error;
    sem_t started; /* the reactor thread has attached, or failed to */
    uint32_t fork_generation;
    pthread_t thread;  /* not embedded: the reactor */
    pthread_t owner;   /* embedded: the thread that processes; atomic on Linux */
    uint32_t stopping; /* atomic: the reactor thread leaves when nothing is left */
    uint32_t asleep;   /* atomic: a push must wake the reactor */
    uint32_t closing;  /* atomic: no new device, no new request */
    void (*handback)(struct kroutine_s *kr, void *arg); /* atomic */
    void *handback_arg;

    struct kr_watch_s *posted;    /* atomic: watches with changes, newest first */
    struct kr_io_s *io_posted;    /* atomic */
    struct kr_watch_s *unwatched; /* reactor, of watch.c: the loop has no memory for them */
    struct kr_stream_s *runnable; /* reactor: streams with events of this batch */
    struct kr_stream_s *put_off;  /* reactor: streams with a read put off, oldest first */
    struct kr_stream_s *put_off_last;

    uint64_t batches; /* relaxed */
    uint32_t open_devices;
    char name[16];
    char reason[160];
};

/* NULL is the default runtime, made if needed; NULL when that fails. */
struct kroutine_runtime_s *kr_runtime(struct kroutine_runtime_s *rt);
/* False in a forked child: its threads and its ring are the parent's. */
bool kr_runtime_usable(const struct kroutine_runtime_s *rt);
/* Is the calling thread the reactor of rt? In an embedded runtime also between two process calls.
 */
bool kr_on_reactor(const struct kroutine_runtime_s *rt);
/* Makes the reactor look at its run queues; cheap when it is awake. Any thread. */
void kr_reactor_notify(struct kroutine_runtime_s *rt);
/* One pass: events, then the kroutines that waited for the stack to unwind. */
int kr_reactor_step(struct kroutine_runtime_s *rt, int64_t timeout_ns);
void *kr_reactor_main(void *rt);
error_t kr_reactor_finish(struct kroutine_runtime_s *rt);
bool kr_reactor_sweep(struct kroutine_runtime_s *rt); /* true: something ran */

/* --- device.c --- */

error_t kr_devices_create(struct kroutine_runtime_s *rt); /* root, and timer0 to timer2 */
/* The end of a runtime, in this order: kr_devices_close_all (f_close of each device, later requests
   are refused through the pool as usual); the pool runs what is queued and its workers end;
   kr_devices_destroy (when it returns no device puts a kroutine into this runtime any more); what
   was put there meanwhile is run or handed back; the memory of the runtime goes. Accessors stay. */
void kr_devices_close_all(struct kroutine_runtime_s *rt);
void kr_devices_destroy(struct kroutine_runtime_s *rt);
const void *kr_device_table(const struct device_s *dev, enum driver_class_e cl); /* driver's */
/* class.c: the table that accessors of a class call, which checks and then calls the driver's. */
const void *kr_class_front(enum driver_class_e cl);

/* Drivers of the library; kr_driver_timer is in clock.h. */
extern const struct driver_s kr_driver_bcm2835_dma;
extern const struct driver_s kr_driver_bcm2835_timer;
extern const struct driver_s kr_driver_cobs;
extern const struct driver_s kr_driver_fd;
extern const struct driver_s kr_driver_edu;
extern const struct driver_s kr_driver_file;
extern const struct driver_s kr_driver_hdlc;
extern const struct driver_s kr_driver_i2c;
extern const struct driver_s kr_driver_length;
extern const struct driver_s kr_driver_lines;
extern const struct driver_s kr_driver_modbus;
extern const struct driver_s kr_driver_gpiod;
extern const struct driver_s kr_driver_gpiomem;
extern const struct driver_s kr_driver_memdma;
extern const struct driver_s kr_driver_pwm;
extern const struct driver_s kr_driver_sim_char;
extern const struct driver_s kr_driver_sim_dma;
extern const struct driver_s kr_driver_sim_gpio;
extern const struct driver_s kr_driver_sim_i2c;
extern const struct driver_s kr_driver_sim_mmio;
extern const struct driver_s kr_driver_sim_pwm;
extern const struct driver_s kr_driver_sim_spi;
extern const struct driver_s kr_driver_slip;
extern const struct driver_s kr_driver_spi;
extern const struct driver_s kr_driver_tty;
extern const struct driver_s kr_driver_uio;
extern const struct driver_s kr_driver_vfio;

#endif
