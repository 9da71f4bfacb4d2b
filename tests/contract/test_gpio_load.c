/* SPDX-License-Identifier: MIT */
/*
 * Lines that toggle as fast as they can, in random order. Every edge is delivered, or counted as
 * lost; those of a line come in order, with timestamps that never go back.
 *
 * KT_GPIO_SECONDS says for how long, 1 by default; an embedded runtime, which differs only in who
 * calls the reactor, always gets 1. On a chip of the kernel the edges that count are
 * its interrupts, which it numbers: what gpio-sim merges before that, nobody sees.
 */
#include "kt_gpio.h"

#include <stdio.h>

static struct kt_env_s env;
static struct kt_gpio_s g;

#define BATCH 48

static struct {
    struct kt_gop_s op;
    struct dev_gpio_event_s list[BATCH];
    uint32_t got, lost, highest;
    uint32_t line_got[KT_GPIO_LINES], line_seqno[KT_GPIO_LINES];
    uint64_t last[KT_GPIO_LINES];
    uint8_t edge[KT_GPIO_LINES];
    unsigned told, line_told[KT_GPIO_LINES]; /* how often something was lost, until the last edge */
    bool lost_some;
    unsigned finished; /* atomic: the handler does not submit any more */
    unsigned enough;   /* atomic: nor shall it */
    unsigned stop;     /* atomic: the toggler has ended */
} reader;

static void take(const struct dev_gpio_event_s *e)
{
    ck_assert(e->line < KT_GPIO_LINES);
    ck_assert(e->timestamp >= reader.last[e->line]);
    reader.last[e->line] = e->timestamp;
    reader.line_got[e->line]++;
    kt_inc(&reader.got);
    if (e->lost == DEV_GPIO_LOST_SOME)
        reader.lost_some = true;
    else
        __atomic_add_fetch(&reader.lost, e->lost, __ATOMIC_SEQ_CST);
    /* Without numbers, two edges of a direction are all one sees of what the kernel has merged. */
    reader.told += e->lost != 0;
    ck_assert(g.kind != KT_CHIP_GPIOD || g.cap & DEV_GPIO_CAP_LOST ||
              e->edge != reader.edge[e->line] || reader.told != reader.line_told[e->line]);
    reader.edge[e->line] = e->edge;
    reader.line_told[e->line] = reader.told;
    if (!(g.cap & DEV_GPIO_CAP_SEQNO))
        return;
    ck_assert(e->line_seqno > reader.line_seqno[e->line]);
    reader.line_seqno[e->line] = e->line_seqno;
    reader.highest = e->seqno > reader.highest ? e->seqno : reader.highest;
}

static void next(struct kt_gop_s *op)
{
    uint32_t sum = 0;

    ck_assert(op->error == 0);
    ck_assert(op->rq.event.count >= 1 && op->rq.event.count <= BATCH);
    for (unsigned i = 0; i < op->rq.event.count; i++) {
        take(&reader.list[i]);
        sum = reader.list[i].lost == DEV_GPIO_LOST_SOME ? sum : sum + reader.list[i].lost;
    }
    ck_assert(op->rq.event.lost == sum || op->rq.event.lost == DEV_GPIO_LOST_SOME);
    if (kt_get(&reader.enough))
        kt_set(&reader.finished, 1);
    else
        DEVICE_OP(&g.dev, request, &op->rq);
}

struct toggler_s {
    unsigned toggles; /* atomic */
    uint64_t until;
};

static void *toggle(void *arg)
{
    struct toggler_s *t = arg;
    bool level[KT_GPIO_LINES] = {false};
    unsigned seed = 1;

    while (kt_now() < t->until) {
        unsigned line = (unsigned)rand_r(&seed) / 64 % KT_GPIO_LINES;

        level[line] = !level[line];
        kt_gpio_pull_fast(&g, line, level[line]);
        t->toggles++;
        if (rand_r(&seed) % 4000 == 0)
            kt_sleep_ms(5); /* lets the buffers run empty now and then */
    }
    /* The last edges come alone, so that nothing is on its way when they are counted. */
    for (unsigned line = 0; line < KT_GPIO_LINES; line++) {
        kt_sleep_ms(30);
        level[line] = !level[line];
        kt_gpio_pull_fast(&g, line, level[line]);
        t->toggles++;
    }
    kt_set(&reader.stop, 1);
    return NULL;
}

static uint64_t duration(void)
{
    const char *seconds = env.embedded ? NULL : getenv("KT_GPIO_SECONDS");

    return KROUTINE_SEC(seconds ? strtoul(seconds, NULL, 10) : 1);
}

/* Is everything here that can come? */
static bool complete(const struct toggler_s *t)
{
    if (g.kind == KT_CHIP_SIM)
        return kt_get(&reader.got) + kt_get(&reader.lost) == t->toggles;
    return false;
}

START_TEST(nothing_is_lost_silently)
{
    struct toggler_s t = {0, 0};
    uint64_t patience;
    pthread_t thread;

    kt_gpio_open(&g, &env, _i, "0-7",
                 kt_gpio_kind(_i) == KT_CHIP_SIM_V1 ? "mode=input&events=both"
                                                    : "mode=input&events=both&buffer=64");
    kt_gop_init(&reader.op, DEV_GPIO_EVENT, 0, 7);
    reader.op.rq.event.list = reader.list;
    reader.op.rq.event.size = BATCH;
    reader.op.then = next;
    DEVICE_OP(&g.dev, request, &reader.op.rq);
    t.until = kt_now() + duration();
    thread = kt_thread(toggle, &t);
    kt_await(&env, kt_get(&reader.stop) || kt_now() < t.until);
    while (!kt_get(&reader.stop))
        kt_pause(&env);
    kt_join(thread);
    /* After so long, the driver takes it that no edge is on its way: SETTLED_NS of account.c. */
    patience = kt_now() + KROUTINE_MSEC(1500);
    while (!complete(&t) && kt_now() < patience)
        kt_pause(&env);
    kt_set(&reader.enough, 1);
    kt_gpio_pull(&g, 0, !kt_gpio_level(&g, 0));
    t.toggles++;
    kt_await(&env, kt_get(&reader.finished));
    if (g.kind == KT_CHIP_SIM)
        ck_assert_uint_eq(reader.got + reader.lost, t.toggles);
    if (g.cap & DEV_GPIO_CAP_LOST)
        ck_assert_uint_eq(reader.got + reader.lost, reader.highest);
    else
        ck_assert(g.kind != KT_CHIP_SIM_V1 || reader.got == t.toggles || reader.lost_some);
    ck_assert_uint_le(reader.got, t.toggles);
    for (unsigned i = 0; i < KT_GPIO_LINES; i++)
        ck_assert_uint_ge(reader.line_got[i], 1);
    if (getenv("KT_GPIO_VERBOSE"))
        fprintf(stderr, "# %s: %u toggles, %u edges, %u lost%s\n", kt_gpio_label(_i), t.toggles,
                reader.got, reader.lost, reader.lost_some ? " and some" : "");
    kt_gpio_close(&g);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_load");

    kt_add_loop(s, nothing_is_lost_silently, kt_gpio_rounds(), kt_gpio_label, 60);
    return s;
}
