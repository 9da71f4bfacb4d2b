/* SPDX-License-Identifier: MIT */
/*
 * usage: marks BACKEND REQUESTS [SEED]
 *
 * As stress, for what that leaves out: plain kroutines of every policy beside the requests, timers
 * that only a cancel ends, sequences whose handlers must not meet, and memory. Each request lives
 * in a slot that is filled with a mark once it is over, and must still be when the slot is used
 * again: the library may not touch what it has given back. The seed repeats the choices, not the
 * interleaving. One line of TAP.
 *
 * It was tried against libraries that drop one completion in 100000, run a handler after a cancel
 * that returned 0, answer 0 to a cancel that came too late, write to a request or a kroutine after
 * its handler, let two of a sequence run, and lose a wake-up of a worker: each made it fail.
 */
#include "marks.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUBMITTERS 4
#define CANCELLERS 2
#define SLOTS      256 /* of each submitter */
#define MARK       0xcc
#define QUIET_S    30 /* without any end of a request: one is lost */

enum kind_e { KIND_READ, KIND_WRITE, KIND_TIMER, KIND_FAR_TIMER, KIND_KROUTINE };
static const char *const kinds[] = {"read", "write", "timer", "far timer", "kroutine"};

/* Set once for each use of a slot: a second end finds something else than NONE. */
enum fate_e { FATE_NONE, FATE_HANDLED, FATE_CANCELLED, FATE_MARKED };
static const char *const fates[] = {"nothing", "its handler", "a cancel", "its mark"};

struct slot_s {
    union {
        struct dev_char_rq_s chr;
        struct dev_timer_rq_s tim;
        struct kroutine_s kr;
        uint8_t bytes[176];
    } u;
    uint8_t data[64];
    enum kind_e kind;
    unsigned line, generation; /* which device, and which opening of it */
    bool sequence, timed;
    uint8_t fate;   /* atomic */
    uint32_t claim; /* atomic: CLAIM_OPEN, and CLAIM_ONE for each canceller */
    uint64_t number;
};
#define CLAIM_OPEN 1u
#define CLAIM_ONE  2u

_Static_assert(sizeof(((struct slot_s *)0)->u) == 176, "the bytes cover all members");
_Static_assert(offsetof(struct dev_char_rq_s, base.kr) == 0, "kr is first");
_Static_assert(offsetof(struct dev_timer_rq_s, base.kr) == 0, "kr is first");

static struct slot_s slots[SUBMITTERS * SLOTS];

struct kroutine_runtime_s *rt;
uint64_t seed, closings;
unsigned stopping;

static struct device_timer_s timer;
static struct kroutine_queue_s queue;
static struct kroutine_sequence_s seq;
static uint64_t quota, submitted, handled, cancelled, refused;
static unsigned in_sequence;

void fail(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    printf("not ok 1 - marks\n1..1\n# seed %" PRIu64 ": ", seed);
    vprintf(format, ap);
    printf("\n");
    fflush(stdout);
    _exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* xorshift64*: one a thread. */
uint64_t roll(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t first_state(unsigned thread)
{
    uint64_t s = seed * 1000003 + thread * 7919 + 1;

    for (int i = 0; i < 8; i++)
        roll(&s);
    return s;
}

/* --- ends --- */

static void settle(struct slot_s *s, enum fate_e fate)
{
    uint8_t old = __atomic_exchange_n(&s->fate, (uint8_t)fate, __ATOMIC_SEQ_CST);

    if (old != FATE_NONE)
        fail("%s %" PRIu64 " ended by %s after %s", kinds[s->kind], s->number, fates[fate],
             fates[old]);
}

static bool may_end_so(const struct slot_s *s, int error)
{
    if (error == 0 || error == -ECANCELED || (s->timed && error == -ETIMEDOUT))
        return true;
    if (s->kind == KIND_READ)
        return error == -ENODATA || error == -ECONNRESET;
    return s->kind == KIND_WRITE && error == -EPIPE;
}

static KROUTINE_EXEC(ended)
{
    struct slot_s *s = KROUTINE_CONTAINER(kr, struct slot_s, u.kr);
    bool sequence = s->sequence;

    (void)flags;
    if (sequence && add(&in_sequence, 1) != 1)
        fail("two of the sequence at the same time");
    if (s->kind != KIND_KROUTINE && !may_end_so(s, s->u.chr.error))
        fail("%s %" PRIu64 ": error %d", kinds[s->kind], s->number, s->u.chr.error);
    if (sequence)
        add(&in_sequence, -1u);
    add(&handled, 1);
    settle(s, FATE_HANDLED); /* last: the slot may be taken again */
}

/* --- submitting --- */

static void init_request(struct slot_s *s, uint64_t r)
{
    struct dev_request_s *rq = &s->u.chr.base;

    switch (r % 5) {
    case 0:
        dev_request_init_immediate(rq, ended);
        break;
    case 1:
        dev_request_init_sched_switch(rq, ended);
        break;
    case 2:
        s->sequence = true;
        dev_request_init_seq(rq, ended, &seq);
        break;
    case 3:
        dev_request_init_queue(rq, ended, &queue);
        break;
    default:
        dev_request_init(rq, ended);
    }
    kroutine_set_priority(&rq->kr, r >> 8 & 7);
}

static void exec_kroutine(struct slot_s *s, uint64_t r)
{
    struct kroutine_s *kr = &s->u.kr;

    s->sequence = r % 6 == 3 || r % 6 == 4;
    switch (r % 6) {
    case 0:
        kroutine_init_sched_switch(kr, ended);
        break;
    case 1:
        kroutine_init_idle(kr, ended);
        break;
    case 2:
        kroutine_init_deferred_cpu(kr, ended, (unsigned)(r >> 16) % 2);
        break;
    case 3:
        kroutine_init_deferred_seq(kr, ended, &seq);
        break;
    case 4:
        kroutine_init_interruptible_seq(kr, ended, &seq);
        break;
    default:
        kroutine_init_deferred(kr, ended);
    }
    kroutine_bind(kr, rt);
    kroutine_set_priority(kr, r >> 8 & 7);
    kroutine_exec(kr);
}

static bool submit_timer(struct slot_s *s, uint64_t r)
{
    init_request(s, r);
    s->u.tim.deadline = 0;
    s->u.tim.delay = s->kind == KIND_TIMER ? 1 + (r >> 16) % 200000 : KROUTINE_SEC(1000);
    s->u.tim.rev = 0;
    return DEVICE_OP(&timer, request, &s->u.tim) == 0;
}

static void submit_char(struct slot_s *s, uint64_t r)
{
    static const uint8_t reads[] = {DEV_CHAR_READ, DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ_NONBLOCK,
                                    DEV_CHAR_DISCARD, DEV_CHAR_READ_POLL};
    static const uint8_t writes[] = {DEV_CHAR_WRITE, DEV_CHAR_WRITE_PARTIAL,
                                     DEV_CHAR_WRITE_NONBLOCK, DEV_CHAR_WRITE_FLUSH};
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;

    s->line = (r >> 20) % LINES;
    if (!line_borrow(&dev, s->line, &s->generation, false))
        fail("a line cannot be borrowed: %s", kroutine_error_text());
    init_request(s, r);
    s->timed = (r >> 30) % 16 == 0;
    if (s->timed)
        dev_request_set_timeout(&s->u.chr.base, 1 + (r >> 32) % 300000);
    s->u.chr.type = s->kind == KIND_READ ? reads[(r >> 40) % 5] : writes[(r >> 40) % 4];
    s->u.chr.data = s->data;
    s->u.chr.size = 1 + (r >> 44) % sizeof s->data;
    DEVICE_OP(&dev, request, &s->u.chr);
    device_put_accessor(&dev.base); /* perhaps the last: closes the device, in this thread */
}

static enum kind_e choose_kind(uint64_t r)
{
    unsigned n = r % 100;

    return n < 30   ? KIND_READ
           : n < 60 ? KIND_WRITE
           : n < 75 ? KIND_TIMER
           : n < 77 ? KIND_FAR_TIMER
                    : KIND_KROUTINE;
}

/* True when it may be used: over, let go of by the cancellers, marked, and the mark looked at a
   while later. */
static bool take_slot(struct slot_s *s)
{
    uint8_t fate = get(&s->fate);

    if (fate == FATE_NONE)
        return false;
    if (fate != FATE_MARKED) {
        __atomic_and_fetch(&s->claim, ~CLAIM_OPEN, __ATOMIC_SEQ_CST);
        if (get(&s->claim))
            return false;
        memset(&s->u, MARK, sizeof s->u);
        set(&s->fate, FATE_MARKED);
        return false;
    }
    for (size_t i = 0; i < sizeof s->u; i++)
        if (s->u.bytes[i] != MARK)
            fail("%s %" PRIu64 ": byte %zu was written after its end", kinds[s->kind], s->number,
                 i);
    return true;
}

static void submit(struct slot_s *s, uint64_t number, uint64_t *state)
{
    uint64_t r = roll(state);
    bool accepted = true;

    s->kind = choose_kind(r >> 7);
    s->number = number;
    s->sequence = s->timed = false;
    set(&s->fate, FATE_NONE);
    add(&submitted, 1);
    r = roll(state);
    if (s->kind == KIND_KROUTINE)
        exec_kroutine(s, r);
    else if (s->kind == KIND_TIMER || s->kind == KIND_FAR_TIMER)
        accepted = submit_timer(s, r);
    else
        submit_char(s, r);
    if (accepted) {
        __atomic_or_fetch(&s->claim, CLAIM_OPEN, __ATOMIC_SEQ_CST);
    } else {
        add(&refused, 1);
        settle(s, FATE_CANCELLED);
    }
}

static void *submitter(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t state = first_state(me), number = 0;

    while (number < quota / SUBMITTERS) {
        uint64_t r = roll(&state);
        struct slot_s *s = &slots[me * SLOTS + r % SLOTS];

        if (take_slot(s))
            submit(s, number++ * SUBMITTERS + me, &state);
        else if (r >> 60 == 0)
            sched_yield();
    }
    return NULL;
}

/* --- cancelling --- */

static bool claim(struct slot_s *s)
{
    uint32_t old = get(&s->claim);

    while (old & CLAIM_OPEN)
        if (__atomic_compare_exchange_n(&s->claim, &old, old + CLAIM_ONE, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    return false;
}

static bool cancel_char(struct slot_s *s)
{
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    unsigned generation = s->generation;
    bool taken;

    if (!line_borrow(&dev, s->line, &generation, true)) /* closed: that ends it */
        return false;
    taken = DEVICE_OP(&dev, cancel, &s->u.chr) == 0;
    device_put_accessor(&dev.base);
    return taken;
}

static void cancel_slot(struct slot_s *s)
{
    bool taken;

    if (!claim(s))
        return;
    if (s->kind == KIND_KROUTINE)
        taken = kroutine_cancel(&s->u.kr);
    else if (s->kind == KIND_TIMER || s->kind == KIND_FAR_TIMER)
        taken = DEVICE_OP(&timer, cancel, &s->u.tim) == 0;
    else
        taken = cancel_char(s);
    if (taken) {
        add(&cancelled, 1);
        settle(s, FATE_CANCELLED);
    }
    __atomic_sub_fetch(&s->claim, CLAIM_ONE, __ATOMIC_SEQ_CST);
}

static void *canceller(void *arg)
{
    uint64_t state = first_state(100 + (unsigned)(uintptr_t)arg);
    struct timespec pause = {0, 100000};

    while (!get(&stopping)) {
        uint64_t r = roll(&state);
        struct slot_s *s = &slots[r % (SUBMITTERS * SLOTS)];

        if (get(&s->fate) == FATE_NONE)
            cancel_slot(s);
        if (r >> 55 == 0)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

/* --- the run --- */

static void *server(void *arg)
{
    (void)arg;
    while (get(&stopping) < 2)
        kroutine_queue_timedwait(&queue, 10000000);
    return NULL;
}

static void start(const char *name)
{
    struct kroutine_runtime_config_s config;

    kroutine_runtime_config_init(&config);
    config.backend = strcmp(name, "uring") ? KROUTINE_BACKEND_EPOLL : KROUTINE_BACKEND_URING;
    config.pool_size = 2;
    if (kroutine_runtime_create(&rt, &config)) {
        printf("1..0 # SKIP %s: %s\n", name, kroutine_error_text());
        exit(EXIT_SUCCESS);
    }
    if (kroutine_queue_init(&queue) ||
        device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(rt), "timer0",
                                    DRIVER_CLASS_TIMER))
        fail("set-up: %s", kroutine_error_text());
    kroutine_seq_init(&seq);
    lines_open();
    for (unsigned i = 0; i < SUBMITTERS * SLOTS; i++) {
        memset(&slots[i].u, MARK, sizeof slots[i].u);
        slots[i].fate = FATE_MARKED;
    }
}

static uint64_t ends(void)
{
    return get(&handled) + get(&cancelled) + get(&refused);
}

/* Until `done` requests have ended; fails when nothing ends any more. */
static void wait_for(uint64_t done)
{
    uint64_t seen = ends();
    double since = now();

    while (ends() < done) {
        struct timespec pause = {0, 10000000};

        nanosleep(&pause, NULL);
        if (ends() != seen) {
            seen = ends();
            since = now();
        }
        if (now() - since < QUIET_S)
            continue;
        for (unsigned i = 0; i < SUBMITTERS * SLOTS; i++)
            if (get(&slots[i].fate) == FATE_NONE)
                printf("# %s %" PRIu64 " has not ended\n", kinds[slots[i].kind], slots[i].number);
        fail("%" PRIu64 " of %" PRIu64 " requests have ended", seen, get(&submitted));
    }
}

static void run(void)
{
    pthread_t thread[SUBMITTERS + CANCELLERS + CLOSERS], side, serve;
    unsigned n = 0;

    pthread_create(&side, NULL, other_side, NULL);
    pthread_create(&serve, NULL, server, NULL);
    for (; n < SUBMITTERS; n++)
        pthread_create(&thread[n], NULL, submitter, (void *)(uintptr_t)n);
    for (; n < SUBMITTERS + CANCELLERS; n++)
        pthread_create(&thread[n], NULL, canceller, (void *)(uintptr_t)n);
    for (; n < SUBMITTERS + CANCELLERS + CLOSERS; n++)
        pthread_create(&thread[n], NULL, closer, (void *)(uintptr_t)n);
    wait_for(quota / SUBMITTERS * SUBMITTERS - SUBMITTERS * SLOTS);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        pthread_join(thread[i], NULL);
    lines_reopen();            /* ends what waits on them */
    wait_for(get(&submitted)); /* the cancellers end the far timers */
    set(&stopping, 2);
    for (unsigned i = SUBMITTERS; i < n; i++)
        pthread_join(thread[i], NULL);
    pthread_join(side, NULL);
    pthread_join(serve, NULL);
}

static void finish(void)
{
    lines_close();
    device_put_accessor(&timer.base);
    if (kroutine_runtime_destroy(rt))
        fail("the runtime cannot be destroyed");
    for (unsigned i = 0; i < SUBMITTERS * SLOTS; i++)
        if (slots[i].fate != FATE_MARKED)
            take_slot(&slots[i]);
    if (submitted != ends())
        fail("%" PRIu64 " submitted, %" PRIu64 " ended", submitted, ends());
    if (kroutine_seq_cleanup(&seq))
        fail("the sequence is still in use");
    if (kroutine_queue_cleanup(&queue))
        fail("the queue is still in use");
}

int main(int argc, char **argv)
{
    double begin;

    if (argc < 3) {
        fprintf(stderr, "usage: marks uring|epoll REQUESTS [SEED]\n");
        return 2;
    }
    quota = strtoull(argv[2], NULL, 0);
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    printf("# seed %" PRIu64 "\n", seed);
    fflush(stdout);
    start(argv[1]);
    begin = now();
    run();
    printf("# %" PRIu64 " requests in %.1f s, %.0f a second\n", submitted, now() - begin,
           (double)submitted / (now() - begin));
    finish();
    printf("# %" PRIu64 " handlers, %" PRIu64 " cancels, %" PRIu64 " refused, %" PRIu64
           " closings\nok 1 - marks[%s]\n1..1\n",
           handled, cancelled, refused, closings, argv[1]);
    return EXIT_SUCCESS;
}
