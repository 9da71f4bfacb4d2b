/* SPDX-License-Identifier: MIT */
/*
 * DEFERRED kroutines from one thread to a pool of one worker, against a hand-written queue: an
 * intrusive stack that the consumer takes whole and turns round, and a futex on which it sleeps,
 * woken only when it does. Both run the same handlers from the same ring of objects, one cache line
 * each; the producer waits when the ring is full. Time per object, from the first put to the last
 * run.
 *
 * The two threads are placed in three ways: by the kernel, on two CPUs, and on the same one, where
 * they take turns and every instruction counts.
 */
#define _GNU_SOURCE
#include <kroutine.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define ITEMS   102400
#define RING    1024
#define PUBLISH 64 /* the consumer tells how far it is once in so many */

/* --- what both do --- */

static struct {
    uint64_t count __attribute__((aligned(64)));  /* of the consumer */
    uint64_t done __attribute__((aligned(64)));   /* `count` as the producer sees it */
    uint64_t unused __attribute__((aligned(64))); /* keeps others out of the line */
} progress;

static void handle(void)
{
    if (++progress.count % PUBLISH == 0)
        __atomic_store_n(&progress.done, progress.count, __ATOMIC_RELEASE);
}

static void wait_for(uint64_t done)
{
    while (__atomic_load_n(&progress.done, __ATOMIC_ACQUIRE) < done)
        sched_yield();
}

/* Puts ITEMS objects, in turn those of the ring, and waits for the last. ns each. */
static double run(void (*put)(unsigned index))
{
    double start;
    uint64_t known = 0;

    progress.count = 0;
    __atomic_store_n(&progress.done, 0, __ATOMIC_RELEASE);
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

/* --- the hand-written queue --- */

struct node_s {
    struct node_s *next;
    void (*run)(struct node_s *node);
} __attribute__((aligned(64)));

static struct {
    struct node_s *stack __attribute__((aligned(64)));
    uint32_t asleep __attribute__((aligned(64)));
    pthread_t thread;
    int cpu;
} hand;

static struct node_s nodes[RING];

static void node_run(struct node_s *node)
{
    (void)node;
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
        syscall(SYS_futex, &hand.asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void hand_sleep(void)
{
    __atomic_store_n(&hand.asleep, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&hand.stack, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &hand.asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
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

static void hand_start(int cpu)
{
    hand.cpu = cpu;
    for (int i = 0; i < RING; i++)
        nodes[i].run = node_run;
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

static void compare(const char *result, int rounds, int producer, int consumer)
{
    struct bench_series_s by_hand = {.name = "hand-written queue", .unit = "ns"};
    struct bench_series_s deferred = {.name = "kroutine_exec, DEFERRED", .unit = "ns"};
    struct kroutine_runtime_s *rt = library_start(consumer);

    hand_start(consumer);
    bench_pin(producer);
    run(put_node);
    run(put_kroutine);
    for (int i = 0; i < rounds; i++) {
        bench_add(&by_hand, run(put_node));
        bench_add(&deferred, run(put_kroutine));
    }
    bench_pin(-1);
    hand_stop();
    bench_require(kroutine_runtime_destroy(rt) == 0, "kroutine_runtime_destroy");
    bench_print(&by_hand);
    bench_print(&deferred);
    bench_result(result, bench_ratio(&deferred, &by_hand), "x", 1.5);
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 31), cpu0 = bench_cpu(0), cpu1 = bench_cpu(1);

    puts("threads placed by the kernel:");
    compare("deferred-unpinned", rounds, -1, -1);
    if (cpu1 >= 0) {
        puts("threads on two CPUs:");
        compare("deferred-two-cpus", rounds, cpu0, cpu1);
    }
    puts("threads on one CPU:");
    compare("deferred-one-cpu", rounds, cpu0, cpu0);
    return 0;
}
