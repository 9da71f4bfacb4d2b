/* SPDX-License-Identifier: MIT */
/*
 * usage: stress BACKEND REQUESTS [SEED]
 *
 * Four threads submit requests of random kind and policy to sockets and timers, two cancel them,
 * two close the devices under them and open others. Every request is accounted for: it ends by its
 * handler or by a cancel that returned 0, once. One line of TAP; the seed is printed.
 *
 * It was tried against libraries that end a request twice, that drop one in fifty thousand, and
 * that answer 0 to the cancel of a request whose handler then runs: each made it fail. A wake-up
 * that is lost hides behind the traffic here; tests/model is about those.
 */
#define _GNU_SOURCE
#include <kroutine.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS      6
#define SLOTS      1024
#define SEQUENCES  3
#define SUBMITTERS 4
#define CANCELLERS 2
#define CLOSERS    2
#define QUIET_S    60 /* without any end of a request: one is lost */

#define get(p)     __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define set(p, v)  __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define inc(p)     __atomic_add_fetch((p), 1, __ATOMIC_SEQ_CST)

/* --- what happens to a slot. CLAIMED: a canceller looks at it, and frees it if it ends
   meanwhile. --- */

enum { FREE, PREPARED, IN_FLIGHT, ENDED, CLAIMED = 16 };

struct slot_s {
    union {
        struct dev_char_rq_s io;
        struct dev_timer_rq_s timer;
    } rq;
    uint32_t state;
    bool is_timer;
    unsigned pair, side, generation; /* where it was submitted */
    uint8_t data[16];
};

struct pair_s {
    pthread_mutex_t lock;
    struct device_char_s side[2];
    unsigned generation;
};

static struct kroutine_runtime_s *rt;
static struct device_timer_s timer;
static struct slot_s slots[SLOTS];
static struct pair_s pairs[PAIRS];
static struct kroutine_sequence_s sequences[SEQUENCES];
static struct kroutine_queue_s queue;
static uint64_t wanted, submitted, by_handler, by_cancel, rejected, reopened, seed;
static uint32_t stopping;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("not ok 1 - stress\n# seed %" PRIu64 ": ", seed);
    vprintf(format, args);
    printf("\n1..1\n");
    fflush(stdout);
    _exit(1);
}

/* xorshift64* */
static uint32_t any(uint64_t *state, uint32_t below)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1du) >> 33) % below;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* --- ends --- */

static void ended(struct slot_s *s)
{
    uint32_t old = get(&s->state), new;

    do {
        if ((old & ~(uint32_t)CLAIMED) != IN_FLIGHT)
            fail("slot %td: its handler runs in state %u", s - slots, old);
        new = old &CLAIMED ? CLAIMED | ENDED : FREE;
        /* Counted before the slot can be used again. */
    } while (!__atomic_compare_exchange_n(&s->state, &old, new, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    inc(&by_handler);
}

static KROUTINE_EXEC(io_ended)
{
    struct slot_s *s = KROUTINE_CONTAINER(kr, struct slot_s, rq.io.base.kr);
    int error = s->rq.io.error;

    if (error && error != -ECANCELED && error != -ETIMEDOUT && error != -ENODATA &&
        error != -EPIPE && error != -ECONNRESET)
        fail("slot %td: error %d", s - slots, error);
    if (s->rq.io.size > sizeof(s->data))
        fail("slot %td: %zu bytes left", s - slots, s->rq.io.size);
    ended(s);
}

static KROUTINE_EXEC(timer_ended)
{
    struct slot_s *s = KROUTINE_CONTAINER(kr, struct slot_s, rq.timer.base.kr);

    if (s->rq.timer.error)
        fail("slot %td: timer error %d", s - slots, s->rq.timer.error);
    ended(s);
}

/* --- devices --- */

static void open_pair(struct pair_s *p)
{
    struct device_char_s fresh[2], old[2];
    char spec[32];
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
        fail("socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        error_t err;

        snprintf(spec, sizeof(spec), "fd:%d", sv[i]);
        memset(&fresh[i], 0, sizeof(fresh[i]));
        err = device_get_accessor_by_path(&fresh[i].base, kroutine_runtime_devices(rt), spec,
                                          DRIVER_CLASS_CHAR);
        if (err)
            fail("%s: %s", spec, kroutine_error_text());
    }
    pthread_mutex_lock(&p->lock);
    memcpy(old, p->side, sizeof(old));
    memcpy(p->side, fresh, sizeof(fresh));
    p->generation++;
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < 2; i++) {
        device_put_accessor(&old[i].base);
        close(sv[i]);
    }
    inc(&reopened);
}

/* A reference of one's own, since others may close it meanwhile. */
static bool borrow(struct device_char_s *to, unsigned pair, unsigned side, unsigned *generation,
                   bool same)
{
    struct pair_s *p = &pairs[pair];
    bool got;

    pthread_mutex_lock(&p->lock);
    got = !same || p->generation == *generation;
    if (got && device_copy_accessor(&to->base, &p->side[side].base))
        got = false;
    *generation = p->generation;
    pthread_mutex_unlock(&p->lock);
    return got;
}

static void *closer(void *arg)
{
    uint64_t r = seed * 77 + (uintptr_t)arg;

    while (!get(&stopping)) {
        struct timespec pause = {.tv_nsec = 200000 + any(&r, 2000000)};

        nanosleep(&pause, NULL);
        open_pair(&pairs[any(&r, PAIRS)]);
    }
    return NULL;
}

/* --- submit --- */

static void init_policy(struct dev_request_s *rq, kroutine_exec_t *exec, uint64_t *r)
{
    switch (any(r, 5)) {
    case 0:
        dev_request_init_immediate(rq, exec);
        break;
    case 1:
        dev_request_init(rq, exec);
        break;
    case 2:
        dev_request_init_sched_switch(rq, exec);
        break;
    case 3:
        dev_request_init_seq(rq, exec, &sequences[any(r, SEQUENCES)]);
        break;
    default:
        dev_request_init_queue(rq, exec, &queue);
        break;
    }
    kroutine_set_priority(&rq->kr, any(r, KROUTINE_PRIORITIES));
}

static void submit_timer(struct slot_s *s, uint64_t *r)
{
    s->is_timer = true;
    init_policy(&s->rq.timer.base, timer_ended, r);
    s->rq.timer.delay = 1 + any(r, 300000);
    s->rq.timer.rev = 0;
    set(&s->state, IN_FLIGHT);
    if (DEVICE_OP(&timer, request, &s->rq.timer)) {
        set(&s->state, FREE);
        inc(&rejected);
    }
}

static bool submit_io(struct slot_s *s, uint64_t *r)
{
    static const uint8_t types[2][4] = {
        {DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ, DEV_CHAR_READ_NONBLOCK, DEV_CHAR_DISCARD},
        {DEV_CHAR_WRITE, DEV_CHAR_WRITE_PARTIAL, DEV_CHAR_WRITE, DEV_CHAR_WRITE_NONBLOCK}};
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    s->is_timer = false;
    s->pair = any(r, PAIRS);
    s->side = any(r, 2);
    if (!borrow(&acc, s->pair, s->side, &s->generation, false))
        return false;
    init_policy(&s->rq.io.base, io_ended, r);
    s->rq.io.type = types[any(r, 2)][any(r, 4)];
    s->rq.io.data = s->data;
    s->rq.io.size = 1 + any(r, sizeof(s->data));
    dev_request_set_timeout(&s->rq.io.base, any(r, 4) ? 0 : 1000 + any(r, 500000));
    set(&s->state, IN_FLIGHT);
    DEVICE_OP(&acc, request, &s->rq.io);
    device_put_accessor(&acc.base);
    return true;
}

static void *submitter(void *arg)
{
    uint64_t r = seed * 1013 + (uintptr_t)arg;

    while (get(&submitted) < wanted) {
        struct slot_s *s = &slots[any(&r, SLOTS)];
        uint32_t free_ = FREE;

        if (!__atomic_compare_exchange_n(&s->state, &free_, PREPARED, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST)) {
            if (any(&r, 64) == 0)
                sched_yield();
            continue;
        }
        inc(&submitted);
        if (any(&r, 8) == 0) {
            submit_timer(s, &r);
        } else if (!submit_io(s, &r)) {
            set(&s->state, FREE);
            inc(&rejected);
        }
    }
    return NULL;
}

/* --- cancel --- */

static error_t cancel(struct slot_s *s)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    unsigned generation = s->generation;
    error_t err;

    if (s->is_timer)
        return DEVICE_OP(&timer, cancel, &s->rq.timer);
    if (!borrow(&acc, s->pair, s->side, &generation, true))
        return -EBUSY; /* its device was closed, which ends it */
    err = DEVICE_OP(&acc, cancel, &s->rq.io);
    device_put_accessor(&acc.base);
    return err;
}

static void cancel_one(struct slot_s *s)
{
    uint32_t old = IN_FLIGHT;
    error_t err;

    if (!__atomic_compare_exchange_n(&s->state, &old, CLAIMED | IN_FLIGHT, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return;
    err = cancel(s);
    old = CLAIMED | IN_FLIGHT;
    if (err == 0) {
        if (!__atomic_compare_exchange_n(&s->state, &old, FREE, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            fail("slot %td: cancelled, and its handler ran: state %u", s - slots, old);
        inc(&by_cancel);
    } else if (err != -EBUSY) {
        fail("slot %td: cancel gives %d", s - slots, err);
    } else if (!__atomic_compare_exchange_n(&s->state, &old, IN_FLIGHT, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST)) {
        set(&s->state, FREE); /* its handler left that to us */
    }
}

static void *canceller(void *arg)
{
    uint64_t r = seed * 31 + (uintptr_t)arg;

    while (!get(&stopping)) {
        cancel_one(&slots[any(&r, SLOTS)]);
        if (any(&r, 256) == 0)
            sched_yield();
    }
    return NULL;
}

/* --- the whole --- */

static uint64_t ends(void)
{
    return get(&by_handler) + get(&by_cancel) + get(&rejected);
}

/* Serves the queue until `done` requests have ended; fails when nothing ends any more. */
static void serve_until(uint64_t done)
{
    uint64_t seen = ends();
    double since = now();

    while (ends() < (done ? done : get(&submitted)) || get(&submitted) < wanted) {
        kroutine_queue_timedwait(&queue, 1000000);
        while (kroutine_queue_process(&queue))
            ;
        if (ends() != seen) {
            seen = ends();
            since = now();
        } else if (now() - since > QUIET_S) {
            for (unsigned i = 0; i < SLOTS; i++)
                if (get(&slots[i].state) != FREE)
                    printf("# slot %u: state %u, %s, type %u\n", i, get(&slots[i].state),
                           slots[i].is_timer ? "timer" : "char", slots[i].rq.io.type);
            fail("%" PRIu64 " of %" PRIu64 " requests have ended", seen, get(&submitted));
        }
    }
}

static void set_up(const char *backend)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    config.backend = strcmp(backend, "epoll") == 0   ? KROUTINE_BACKEND_EPOLL
                     : strcmp(backend, "uring") == 0 ? KROUTINE_BACKEND_URING
                                                     : KROUTINE_BACKEND_AUTO;
    if (kroutine_runtime_create(&rt, &config)) {
        printf("1..0 # SKIP %s\n", kroutine_error_text());
        exit(0);
    }
    kroutine_queue_init(&queue);
    for (int i = 0; i < SEQUENCES; i++)
        kroutine_seq_init(&sequences[i]);
    for (int i = 0; i < PAIRS; i++) {
        pthread_mutex_init(&pairs[i].lock, NULL);
        open_pair(&pairs[i]);
    }
    if (device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(rt), "timer0",
                                    DRIVER_CLASS_TIMER))
        fail("timer0: %s", kroutine_error_text());
}

/* Ends what is left, and checks that nothing is. */
static void tear_down(void)
{
    for (int i = 0; i < PAIRS; i++)
        for (int side = 0; side < 2; side++)
            device_put_accessor(&pairs[i].side[side].base);
    serve_until(0);
    device_put_accessor(&timer.base);
    if (kroutine_runtime_destroy(rt))
        fail("the runtime cannot be destroyed");
    for (unsigned i = 0; i < SLOTS; i++)
        if (get(&slots[i].state) != FREE)
            fail("slot %u: state %u at the end", i, get(&slots[i].state));
    for (int i = 0; i < SEQUENCES; i++)
        if (kroutine_seq_cleanup(&sequences[i]))
            fail("sequence %d is in use at the end", i);
    if (kroutine_queue_cleanup(&queue))
        fail("the queue is in use at the end");
    if (ends() != submitted)
        fail("%" PRIu64 " submitted, %" PRIu64 " ended", submitted, ends());
}

int main(int argc, char **argv)
{
    pthread_t thread[SUBMITTERS + CANCELLERS + CLOSERS];
    unsigned n = 0;
    double start;

    if (argc < 3) {
        fprintf(stderr, "usage: stress uring|epoll REQUESTS [SEED]\n");
        return 2;
    }
    wanted = strtoull(argv[2], NULL, 0);
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    seed = seed ? seed : 1;
    printf("# seed %" PRIu64 "\n", seed);
    fflush(stdout);
    set_up(argv[1]);
    start = now();
    for (; n < SUBMITTERS; n++)
        pthread_create(&thread[n], NULL, submitter, (void *)(uintptr_t)(n + 1));
    for (; n < SUBMITTERS + CANCELLERS; n++)
        pthread_create(&thread[n], NULL, canceller, (void *)(uintptr_t)(n + 1));
    for (; n < SUBMITTERS + CANCELLERS + CLOSERS; n++)
        pthread_create(&thread[n], NULL, closer, (void *)(uintptr_t)(n + 1));
    serve_until(1);
    set(&stopping, 1);
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    tear_down();
    printf("# %" PRIu64 " requests in %.1f s, %.0f a second: %" PRIu64 " handlers, %" PRIu64
           " cancels, %" PRIu64 " rejected, %" PRIu64 " pairs opened\n",
           submitted, now() - start, (double)submitted / (now() - start), by_handler, by_cancel,
           rejected, reopened);
    printf("ok 1 - stress[%s]\n1..1\n", argv[1]);
    return 0;
}
