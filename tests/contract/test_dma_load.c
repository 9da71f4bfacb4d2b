/* SPDX-License-Identifier: MIT */
/* Several threads submit and cancel at once: every request ends once, and tells the truth. */
#include "kt_dma.h"

#include <sched.h>

#define THREADS 4
#define OPS     8
#define SIZE    4096

static struct kt_env_s env;
static struct kt_dma_s d;

struct client_s {
    struct kt_dop_s op[OPS];
    uint8_t *dst; /* OPS * SIZE bytes of its own */
    unsigned ends[OPS];
    unsigned cancelled;
    unsigned wrong;
    uint64_t seed;
};

static unsigned dice(struct client_s *c, unsigned n)
{
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->seed >> 33) % n;
}

static void ended(struct kt_dop_s *op)
{
    kt_inc((unsigned *)op->arg);
}

/* What is said to be moved is there; the rest is as it was. */
static bool truthful(const struct kt_dop_s *op, uint64_t moved)
{
    const uint8_t *dst = op->desc[0].dst;

    for (size_t i = 0; i < SIZE; i++) {
        if (dst[i] != (i < moved ? kt_dma_pattern(i) : 0xee))
            return false;
    }
    return true;
}

static void one(struct client_s *c, unsigned n)
{
    struct kt_dop_s *op = &c->op[n];
    unsigned before = kt_get(&c->ends[n]);
    uint64_t moved;

    kt_dop_init(op, &d, dice(c, 2) ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED, SIZE);
    op->desc[0].dst = c->dst + n * SIZE;
    memset(op->desc[0].dst, 0xee, SIZE);
    op->then = ended;
    op->arg = &c->ends[n];
    op->rq.chan_mask = dice(c, 3);
    if (!dice(c, 4))
        dev_request_set_timeout(&op->rq.base, 1000 + dice(c, 20000));
    if (kt_dop_submit(op, &d)) {
        c->wrong++;
        return;
    }
    for (unsigned spins = dice(c, 3) * dice(c, 2000); spins; spins--)
        __asm__ volatile("" ::: "memory");
    if (dice(c, 2) && !dev_request_cancel_wait(&d.dev.base, &op->rq.base)) {
        c->cancelled++;
        moved = op->rq.done;
        c->wrong += kt_get(&c->ends[n]) != before;
    } else {
        uint64_t end = kt_now() + kt_patience();

        while (kt_get(&op->done) == 0 && kt_now() < end)
            sched_yield();
        moved = op->moved;
        c->wrong += kt_get(&c->ends[n]) != before + 1;
        c->wrong += op->error != 0 && op->error != -ECANCELED && op->error != -ETIMEDOUT;
        c->wrong += op->error == 0 && moved != SIZE;
    }
    c->wrong += !truthful(op, moved);
}

static void *client(void *arg)
{
    struct client_s *c = arg;

    for (unsigned i = 0; i < kt_count(2000) + 10; i++)
        one(c, i % OPS);
    return NULL;
}

START_TEST(every_request_ends_once)
{
    static struct client_s clients[THREADS];
    pthread_t threads[THREADS];

    memset(clients, 0, sizeof clients);
    kt_dma_open(&d, &env, _i * KT_MODES + KT_THREADS, THREADS * OPS * SIZE,
                "rate=2000000000&latency=100");
    for (unsigned i = 0; i < THREADS; i++) {
        clients[i].dst = d.dst + i * OPS * SIZE;
        clients[i].seed = i + 1;
        threads[i] = kt_thread(client, &clients[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        kt_join(threads[i]);
        ck_assert_uint_eq(clients[i].wrong, 0);
    }
    kt_dma_close(&d);
}
END_TEST

/* A ring that is closed over their heads: what was accepted ends once, the rest is refused. */
static struct kt_dop_s ring[THREADS][OPS];

static void *feeder(void *arg)
{
    struct kt_dop_s *ops = arg;
    unsigned refused = 0;

    for (unsigned i = 0; refused < 3; i++) {
        struct kt_dop_s *op = &ops[i % OPS];

        if (kt_get(&op->done) == 0)
            continue;
        if (kt_dop_submit(op, &d)) {
            kt_set(&op->done, 1);
            refused++;
        }
    }
    return NULL;
}

START_TEST(gone_over_their_heads)
{
    pthread_t threads[THREADS];

    kt_dma_open(&d, &env, KT_ENGINE_SIM * KT_MODES + KT_THREADS, SIZE, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned n = 0; n < OPS; n++) {
            kt_dop_init(&ring[i][n], &d, n % 2 ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED, SIZE);
            ring[i][n].done = 1;
        }
        threads[i] = kt_thread(feeder, ring[i]);
    }
    kt_sleep_ms(20);
    ck_assert_int_eq(kroutine_sim_dma_fault(&d.dev.base, KROUTINE_SIM_DMA_GONE, 0), 0);
    for (unsigned i = 0; i < THREADS; i++)
        kt_join(threads[i]);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned n = 0; n < OPS; n++)
            kt_await(&env, kt_get(&ring[i][n].done) == 1);
    }
    kt_dma_close(&d);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma_load");

    kt_add_loop(s, every_request_ends_once, kt_dma_rounds() / KT_MODES, NULL, 120);
    kt_add(s, gone_over_their_heads, 60);
    return s;
}
