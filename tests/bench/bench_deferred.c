/* SPDX-License-Identifier: MIT */
/*
 * DEFERRED kroutines from one thread to a pool of one worker, against two hand-written queues.
 *
 * The plain one is an intrusive stack that the consumer takes whole and turns round, and a futex on
 * which it sleeps, woken only when it does. The other one does for its objects what a kroutine
 * promises: put again before it has run, an object runs once; its flag costs one exchange to put
 * and one to run. All run the same handlers from the same ring of objects, one cache line each; the
 * producer waits when the ring is full. Time per object, from the first put to the last run.
 *
 * The two threads are placed in three ways: by the kernel, on two CPUs, and on the same one, where
 * they take turns and every instruction counts. At last one object at a time is put on two CPUs, to
 * a consumer that is asleep.
 */
#define _GNU_SOURCE
#include <kroutine.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define ITEMS   102400
#define RING    1024
#define PUBLISH 64 /* the consumer tells how far it is once in so many */
#define SPINS   1000
#define SINGLES 500
#define DOZE_NS 20000 /* the consumer is asleep that long after it has run out */

static void pause_cpu(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static void futex_wait(uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* --- what both do --- */

static struct {
    uint64_t count __attribute__((aligned(64))); /* of the consumer */
    unsigned publish;                            /* PUBLISH, or 1 */
    uint64_t done __attribute__((aligned(64)));  /* `count` as the producer sees it */
    uint64_t wanted;                             /* the producer sleeps until `done` is that */
    uint32_t asleep;
    unsigned spins; /* looks at `done` before that: none where the consumer needs the CPU */
} progress;

static void handle(void)
{
    if (++progress.count % progress.publish)
        return;
    __atomic_store_n(&progress.done, progress.count, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&progress.asleep, __ATOMIC_SEQ_CST) && progress.count >= progress.wanted &&
        __atomic_exchange_n(&progress.asleep, 0, __ATOMIC_SEQ_CST))
        futex_wake(&progress.asleep);
}

static bool is_done(uint64_t count)
{
    return __atomic_load_n(&progress.done, __ATOMIC_SEQ_CST) >= count;
}

/* Not by sched_yield: with the scheduler's EEVDF that hands the other thread so much credit that it
   interrupts this one at each put, for a millisecond after. */
static void wait_for(uint64_t count)
{
    for (unsigned i = 0; i < progress.spins; i++) {
        if (is_done(count))
            return;
        pause_cpu();
    }
    while (!is_done(count)) {
        progress.wanted = count;
        __atomic_store_n(&progress.asleep, 1, __ATOMIC_SEQ_CST);
        if (!is_done(count))
            futex_wait(&progress.asleep, 1);
        __atomic_store_n(&progress.asleep, 0, __ATOMIC_SEQ_CST);
    }
}

static void restart(unsigned publish)
{
    progress.publish = publish;
    progress.count = 0;
    __atomic_store_n(&progress.done, 0, __ATOMIC_SEQ_CST);
}

/* Puts ITEMS objects, in turn those of the ring, and waits for the last. ns each. */
static double run(void (*put)(unsigned index))
{
    double start;
    uint64_t known = 0;

    restart(PUBLISH);
    start = bench_now();
    for (uint64_t sent = 0; sent < ITEMS; sent++) {
        if (sent - known == RING) {
            known = sent - RING / 2;
            wait_for(known);
        }
        put(sent % RING);
    }
    wait_for(ITEMS);
    return (bench_now() - start) / ITEMS;
}

/* One at a time; ns from the put to the run. */
static double run_singles(void (*put)(unsigned index))
{
    double sum = 0;

    restart(1);
    for (unsigned i = 0; i < SINGLES; i++) {
        double start = bench_now();

        put(i % RING);
        while (!is_done(i + 1))
            pause_cpu();
        sum += bench_now() - start;
        start = bench_now();
        while (bench_now() - start < DOZE_NS)
            pause_cpu();
    }
    return sum / SINGLES;
}

/* --- the hand-written queues --- */

struct node_s {
    struct node_s *next;
    void (*run)(struct node_s *node);
    uint32_t pending; /* of those that merge */
} __attribute__((aligned(64)));

static struct {
    struct node_s *stack __attribute__((aligned(64)));
    uint32_t asleep __attribute__((aligned(64)));
    pthread_t thread;
    int cpu;
} hand;

static struct node_s nodes[RING], merging_nodes[RING];

static void node_run(struct node_s *node)
{
    (void)node;
    handle();
}

static void merging_node_run(struct node_s *node)
{
    __atomic_exchange_n(&node->pending, 0, __ATOMIC_SEQ_CST);
    handle();
}

static void node_end(struct node_s *node)
{
    (void)node;
    pthread_exit(NULL);
}

static void hand_put(struct node_s *node)
{
    struct node_s *top = __atomic_load_n(&hand.stack, __ATOMIC_RELAXED);

    do {
        node->next = top;
    } while (!__atomic_compare_exchange_n(&hand.stack, &top, node, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (__atomic_load_n(&hand.asleep, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&hand.asleep, 0, __ATOMIC_SEQ_CST))
        futex_wake(&hand.asleep);
}

static void hand_sleep(void)
{
    __atomic_store_n(&hand.asleep, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&hand.stack, __ATOMIC_SEQ_CST))
        futex_wait(&hand.asleep, 1);
    __atomic_store_n(&hand.asleep, 0, __ATOMIC_SEQ_CST);
}

static void *hand_consumer(void *arg)
{
    (void)arg;
    bench_pin(hand.cpu);
    for (;;) {
        struct node_s *node = NULL, *next, *taken;

        if (!__atomic_load_n(&hand.stack, __ATOMIC_RELAXED)) {
            hand_sleep();
            continue;
        }
        taken = __atomic_exchange_n(&hand.stack, NULL, __ATOMIC_ACQUIRE);
        for (; taken; taken = next) {
            next = taken->next;
            taken->next = node;
            node = taken;
        }
        for (; node; node = next) {
            next = node->next;
            node->run(node);
        }
    }
    return NULL;
}

static void put_node(unsigned index)
{
    hand_put(&nodes[index]);
}

static void put_merging_node(unsigned index)
{
    if (!__atomic_exchange_n(&merging_nodes[index].pending, 1, __ATOMIC_SEQ_CST))
        hand_put(&merging_nodes[index]);
}

static void hand_start(int cpu)
{
    hand.cpu = cpu;
    for (int i = 0; i < RING; i++) {
        nodes[i].run = node_run;
        merging_nodes[i].run = merging_node_run;
    }
    bench_require(pthread_create(&hand.thread, NULL, hand_consumer, NULL) == 0, "pthread_create");
}

static void hand_stop(void)
{
    static struct node_s last = {.run = node_end};

    hand_put(&last);
    pthread_join(hand.thread, NULL);
}

/* --- the library --- */

static struct {
    struct kroutine_s kr __attribute__((aligned(64)));
} kroutines[RING];

static KROUTINE_EXEC(kroutine_run)
{
    handle();
}

static void put_kroutine(unsigned index)
{
    kroutine_exec(&kroutines[index].kr);
}

static struct kroutine_runtime_s *library_start(int cpu)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;

    kroutine_runtime_config_init(&config);
    config.embedded = true; /* no reactor thread: it has no part in this */
    config.pool_size = 1;
    if (cpu >= 0) {
        config.pool_pin = true;
        config.pool_cpus[cpu / 64] = UINT64_C(1) << cpu % 64;
    }
    bench_require(kroutine_runtime_create(&rt, &config) == 0, "kroutine_runtime_create");
    for (int i = 0; i < RING; i++) {
        kroutine_init_deferred(&kroutines[i].kr, kroutine_run);
        bench_require(kroutine_bind(&kroutines[i].kr, rt) == 0, "kroutine_bind");
    }
    return rt;
}

/* --- */

static void compare(const char *result, int rounds, double (*play)(void (*put)(unsigned index)),
                    int producer, int consumer)
{
    struct bench_series_s plain = {.name = "hand-written queue", .unit = "ns"};
    struct bench_series_s merging = {.name = "hand-written queue that merges", .unit = "ns"};
    struct bench_series_s deferred = {.name = "kroutine_exec, DEFERRED", .unit = "ns"};
    struct kroutine_runtime_s *rt = library_start(consumer);
    char name[64];

    progress.spins = producer >= 0 && producer == consumer ? 0 : SPINS;
    hand_start(consumer);
    bench_pin(producer);
    for (int i = -1; i < rounds; i++) {
        double a = play(put_node), b = play(put_kroutine), c = play(put_merging_node);

        if (i < 0) /* warm */
            continue;
        bench_add(&plain, a);
        bench_add(&deferred, b);
        bench_add(&merging, c);
    }
    bench_pin(-1);
    hand_stop();
    bench_require(kroutine_runtime_destroy(rt) == 0, "kroutine_runtime_destroy");
    bench_print(&plain);
    bench_print(&merging);
    bench_print(&deferred);
    snprintf(name, sizeof(name), "deferred-%s", result);
    bench_result(name, bench_ratio(&deferred, &plain), "x", 1.5);
    snprintf(name, sizeof(name), "deferred-%s-merging", result);
    bench_result(name, bench_ratio(&deferred, &merging), "x", 1.5);
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31), cpu0 = bench_cpu(0), cpu1 = bench_cpu(1);

    puts("threads placed by the kernel:");
    compare("unpinned", rounds, run, -1, -1);
    puts("threads on one CPU:");
    compare("one-cpu", rounds, run, cpu0, cpu0);
    if (cpu1 < 0)
        return 0;
    puts("threads on two CPUs:");
    compare("two-cpus", rounds, run, cpu0, cpu1);
    puts("one at a time, the consumer asleep, on two CPUs:");
    compare("asleep", rounds < 15 ? rounds : 15, run_singles, cpu0, cpu1);
    return 0;
}
