/* SPDX-License-Identifier: MIT */
/* The timing wheel against a model that is too simple to be wrong: an array that is searched. */
#include "kt.h"

#include "../../lib/wheel.h" /* -I of lib/ would hide <check.h> of Check */

#include <stdio.h>

static struct dev_request_s *node_new(uint64_t deadline)
{
    struct dev_request_s *rq = calloc(1, sizeof(*rq));

    ck_assert_ptr_nonnull(rq);
    rq->expires = deadline;
    return rq;
}

static uint64_t pop(struct kr_wheel_s *wheel)
{
    struct dev_request_s *rq = kr_wheel_pop_due(wheel);
    uint64_t deadline;

    if (!rq)
        return UINT64_MAX;
    deadline = rq->expires;
    free(rq);
    return deadline;
}

/* --- the model --- */

#define NODES 300

enum place_e { OUT, PENDING, LATE, DUE };

struct item_s {
    struct dev_request_s rq;
    enum place_e place;
    uint64_t order;  /* of insertion */
    uint64_t moment; /* which advance made it due */
    bool was_late;
};

struct model_s {
    struct kr_wheel_s *wheel;
    struct item_s items[NODES];
    uint64_t now;
    uint64_t inserts;
    uint64_t advances;
    uint64_t random;
};

static uint64_t draw(struct model_s *m)
{
    /* xorshift64*, Vigna 2016 */
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * 0x2545f4914f6cdd1dull;
}

/* All magnitudes alike, and often the same value again. */
static uint64_t draw_delay(struct model_s *m)
{
    uint64_t bits = draw(m) % 64;

    return (draw(m) >> bits) & ~(draw(m) % 3 ? 0ull : 0x3full);
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Is a to be delivered before b? Both due. */
static bool before(const struct item_s *a, const struct item_s *b)
{
    if (a->moment != b->moment)
        return a->moment < b->moment;
    if (a->was_late != b->was_late)
        return a->was_late;
    if (a->rq.expires != b->rq.expires)
        return a->rq.expires < b->rq.expires;
    return a->order < b->order;
}

static struct item_s *model_next_due(struct model_s *m)
{
    struct item_s *best = NULL;

    for (int i = 0; i < NODES; i++)
        if (m->items[i].place == DUE && (!best || before(&m->items[i], best)))
            best = &m->items[i];
    return best;
}

static void model_advance(struct model_s *m, uint64_t now)
{
    m->advances++;
    m->now = now > m->now ? now : m->now;
    for (int i = 0; i < NODES; i++) {
        struct item_s *item = &m->items[i];

        if (item->place == LATE || (item->place == PENDING && item->rq.expires <= m->now)) {
            item->was_late = item->place == LATE;
            item->place = DUE;
            item->moment = m->advances;
        }
    }
}

static void model_rebase(struct model_s *m, uint64_t now)
{
    m->now = now;
    m->advances++;
    for (int i = 0; i < NODES; i++) {
        struct item_s *item = &m->items[i];

        if (item->place == OUT)
            continue;
        item->place = item->rq.expires <= now ? DUE : PENDING;
        item->was_late = false;
        item->moment = m->advances;
    }
}

static void check_earliest(const struct model_s *m)
{
    uint64_t earliest = UINT64_MAX;
    uint64_t bound = kr_wheel_earliest(m->wheel);
    size_t count = 0;

    for (int i = 0; i < NODES; i++)
        if (m->items[i].place != OUT) {
            count++;
            if (m->items[i].rq.expires < earliest)
                earliest = m->items[i].rq.expires;
        }
    ck_assert_uint_eq(kr_wheel_count(m->wheel), count);
    if (count && earliest <= m->now)
        ck_assert_uint_le(bound, m->now);
    else
        ck_assert_uint_le(bound, earliest);
    if (!count)
        ck_assert_uint_eq(bound, UINT64_MAX);
}

static void do_insert(struct model_s *m)
{
    struct item_s *item = &m->items[draw(m) % NODES];

    if (item->place != OUT)
        return;
    if (draw(m) % 8 == 0)
        item->rq.expires = m->now - draw_delay(m) % (m->now + (m->now != UINT64_MAX));
    else
        item->rq.expires = add_capped(m->now, draw_delay(m));
    item->place = item->rq.expires <= m->now ? LATE : PENDING;
    item->order = ++m->inserts;
    kr_wheel_insert(m->wheel, &item->rq);
}

static void do_remove(struct model_s *m)
{
    struct item_s *item = &m->items[draw(m) % NODES];

    if (item->place == OUT)
        return;
    item->place = OUT;
    kr_wheel_remove(m->wheel, &item->rq);
}

static void do_advance(struct model_s *m)
{
    uint64_t now = draw(m) % 2 ? add_capped(m->now, draw_delay(m)) : kr_wheel_earliest(m->wheel);

    /* The end of time is kept for the end of the run. */
    if (now > UINT64_MAX - (UINT64_MAX >> 6))
        now = m->now;
    model_advance(m, now);
    kr_wheel_advance(m->wheel, now);
}

static void do_pop(struct model_s *m)
{
    struct item_s *due = model_next_due(m);

    ck_assert_ptr_eq(kr_wheel_pop_due(m->wheel), due ? &due->rq : NULL);
    if (due)
        due->place = OUT;
}

static void pop_all_due(struct model_s *m)
{
    while (model_next_due(m))
        do_pop(m);
    do_pop(m);
}

static void do_rebase(struct model_s *m)
{
    uint64_t now = draw(m) >> (draw(m) % 64);

    /* Order among equal ones that were due by different advances is the order of delivery. */
    pop_all_due(m);
    model_advance(m, m->now);
    kr_wheel_advance(m->wheel, m->now);
    pop_all_due(m);
    model_rebase(m, now);
    kr_wheel_rebase(m->wheel, now, NULL, NULL);
}

static void drain_in_order(struct model_s *m)
{
    model_advance(m, UINT64_MAX);
    kr_wheel_advance(m->wheel, UINT64_MAX);
    pop_all_due(m);
    ck_assert_uint_eq(kr_wheel_count(m->wheel), 0);
}

static void run_model(uint64_t seed)
{
    static struct model_s m;

    memset(&m, 0, sizeof(m));
    m.random = seed;
    m.now = draw(&m) >> (draw(&m) % 64);
    m.wheel = kr_wheel_create(m.now);
    ck_assert_ptr_nonnull(m.wheel);
    for (unsigned n = kt_count(4000); n; n--) {
        uint64_t what = draw(&m) % 32;

        if (what < 14)
            do_insert(&m);
        else if (what < 20)
            do_remove(&m);
        else if (what < 24)
            do_advance(&m);
        else if (what < 31)
            do_pop(&m);
        else if (draw(&m) % 8 == 0)
            do_rebase(&m);
        check_earliest(&m);
    }
    drain_in_order(&m);
    kr_wheel_destroy(m.wheel);
}

START_TEST(same_as_model)
{
    const char *given = getenv("KR_TEST_SEED");
    uint64_t first = given ? strtoull(given, NULL, 0) : kt_now() | 1;

    for (uint64_t seed = first; seed < first + (given ? 1 : 20); seed++) {
        /* Seen when the case fails, as its output. */
        fprintf(stderr, "# KR_TEST_SEED=%llu\n", (unsigned long long)seed);
        run_model(seed);
    }
}
END_TEST

/* --- one by one --- */

START_TEST(equal_deadlines_are_fifo)
{
    static const uint64_t deadlines[] = {1,    63,         64,         65,         4095,
                                         4096, 1000000007, 1ull << 40, 1ull << 63, UINT64_MAX};
    struct dev_request_s node[100];

    for (size_t d = 0; d < sizeof(deadlines) / sizeof(*deadlines); d++) {
        struct kr_wheel_s *wheel = kr_wheel_create(0);

        /* Time passes between them, so they come in at different levels. */
        for (unsigned i = 0; i < 100; i++) {
            node[i].expires = deadlines[d];
            kr_wheel_advance(wheel, deadlines[d] / 101 * i);
            kr_wheel_insert(wheel, &node[i]);
        }
        kr_wheel_advance(wheel, deadlines[d] - 1);
        ck_assert_ptr_null(kr_wheel_pop_due(wheel));
        kr_wheel_advance(wheel, deadlines[d]);
        for (unsigned i = 0; i < 100; i++)
            ck_assert_ptr_eq(kr_wheel_pop_due(wheel), &node[i]);
        ck_assert_ptr_null(kr_wheel_pop_due(wheel));
        kr_wheel_destroy(wheel);
    }
}
END_TEST

START_TEST(past_is_due_at_the_next_advance)
{
    struct kr_wheel_s *wheel = kr_wheel_create(1000);

    kr_wheel_insert(wheel, node_new(1001));
    kr_wheel_advance(wheel, 1001);
    kr_wheel_insert(wheel, node_new(900));
    kr_wheel_insert(wheel, node_new(5));
    ck_assert_uint_le(kr_wheel_earliest(wheel), 1001);
    ck_assert_uint_eq(pop(wheel), 1001);
    ck_assert_uint_eq(pop(wheel), UINT64_MAX); /* a batch does not grow */
    ck_assert_uint_eq(kr_wheel_earliest(wheel), 5);
    kr_wheel_advance(wheel, 1001);
    ck_assert_uint_eq(pop(wheel), 5);
    ck_assert_uint_eq(pop(wheel), 900);
    ck_assert_uint_eq(kr_wheel_earliest(wheel), UINT64_MAX);
    kr_wheel_destroy(wheel);
}
END_TEST

START_TEST(remove_wherever_it_is)
{
    struct dev_request_s node[3];

    /* Ahead, late, due; first, middle, last. */
    for (unsigned where = 0; where < 3; where++)
        for (unsigned victim = 0; victim < 3; victim++) {
            struct kr_wheel_s *wheel = kr_wheel_create(where == 1 ? 100 : 0);

            for (unsigned i = 0; i < 3; i++) {
                node[i].expires = 70 + i % 2;
                kr_wheel_insert(wheel, &node[i]);
            }
            if (where == 2)
                kr_wheel_advance(wheel, 100);
            kr_wheel_remove(wheel, &node[victim]);
            ck_assert_uint_eq(kr_wheel_count(wheel), 2);
            kr_wheel_advance(wheel, 100);
            for (unsigned i = 0; i < 3; i++) {
                static const unsigned order[] = {0, 2, 1};

                if (order[i] != victim)
                    ck_assert_ptr_eq(kr_wheel_pop_due(wheel), &node[order[i]]);
            }
            ck_assert_ptr_null(kr_wheel_pop_due(wheel));
            ck_assert_uint_eq(kr_wheel_count(wheel), 0);
            kr_wheel_destroy(wheel);
        }
}
END_TEST

START_TEST(earliest_is_exact)
{
    struct kr_wheel_s *wheel = kr_wheel_create(123456789);
    static const uint64_t deadlines[] = {UINT64_MAX, 1ull << 62, 200000000, 123456790, 123460000};
    uint64_t earliest = UINT64_MAX;

    ck_assert_uint_eq(kr_wheel_earliest(wheel), UINT64_MAX);
    for (unsigned i = 0; i < 5; i++) {
        kr_wheel_insert(wheel, node_new(deadlines[i]));
        if (deadlines[i] < earliest)
            earliest = deadlines[i];
        ck_assert_uint_eq(kr_wheel_earliest(wheel), earliest);
    }
    /* Followed from one to the next, each takes one wake-up and no more. */
    for (unsigned wakes = 1; wakes <= 5; wakes++) {
        uint64_t at = kr_wheel_earliest(wheel);

        kr_wheel_advance(wheel, at);
        ck_assert_uint_eq(pop(wheel), at);
        ck_assert_uint_eq(kr_wheel_count(wheel), 5 - wakes);
    }
    kr_wheel_destroy(wheel);
}
END_TEST

START_TEST(removed_earliest_costs_few_wakes)
{
    struct kr_wheel_s *wheel = kr_wheel_create(0);
    struct dev_request_s *gone = node_new(1000000001);
    unsigned wakes = 0;

    kr_wheel_insert(wheel, gone);
    kr_wheel_insert(wheel, node_new(1010000000));
    kr_wheel_remove(wheel, gone);
    free(gone);
    for (uint64_t got = UINT64_MAX; got == UINT64_MAX; wakes++) {
        kr_wheel_advance(wheel, kr_wheel_earliest(wheel));
        got = pop(wheel);
    }
    ck_assert_uint_le(wakes, 2);
    kr_wheel_destroy(wheel);
}
END_TEST

static uint64_t shifted(const struct dev_request_s *rq, void *arg)
{
    return rq->expires + *(uint64_t *)arg;
}

START_TEST(rebase_with_new_deadlines)
{
    struct kr_wheel_s *wheel = kr_wheel_create(5000);
    uint64_t shift = 1000000;

    kr_wheel_insert(wheel, node_new(5001));
    kr_wheel_insert(wheel, node_new(6000));
    kr_wheel_insert(wheel, node_new(4000));
    kr_wheel_advance(wheel, 5002);
    kr_wheel_rebase(wheel, 10, shifted, &shift);
    ck_assert_ptr_null(kr_wheel_pop_due(wheel));
    ck_assert_uint_eq(kr_wheel_earliest(wheel), 1004000);
    kr_wheel_rebase(wheel, 1005001, NULL, NULL);
    ck_assert_uint_eq(pop(wheel), 1004000);
    ck_assert_uint_eq(pop(wheel), 1005001);
    ck_assert_uint_eq(pop(wheel), UINT64_MAX);
    free(kr_wheel_pop_any(wheel));
    ck_assert_ptr_null(kr_wheel_pop_any(wheel));
    kr_wheel_destroy(wheel);
}
END_TEST

START_TEST(a_million)
{
    size_t n = kt_count(1000000);
    struct kr_wheel_s *wheel = kr_wheel_create(77);
    struct dev_request_s *nodes = calloc(n, sizeof(*nodes));
    uint64_t last = 0, random = 88172645463325252ull;
    size_t popped = 0;

    ck_assert_ptr_nonnull(nodes);
    for (size_t i = 0; i < n; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        nodes[i].expires = 78 + random % KROUTINE_SEC(3600);
        nodes[i].pvuint = i;
        kr_wheel_insert(wheel, &nodes[i]);
    }
    ck_assert_uint_eq(kr_wheel_count(wheel), n);
    for (size_t i = 0; i < n; i += 2)
        kr_wheel_remove(wheel, &nodes[i]);
    while (kr_wheel_count(wheel)) {
        kr_wheel_advance(wheel, kr_wheel_earliest(wheel) + KROUTINE_MSEC(100));
        for (struct dev_request_s *rq; (rq = kr_wheel_pop_due(wheel)); popped++) {
            ck_assert_uint_eq(rq->pvuint % 2, 1);
            ck_assert_uint_ge(rq->expires, last);
            last = rq->expires;
        }
    }
    ck_assert_uint_eq(popped, n / 2);
    free(nodes);
    kr_wheel_destroy(wheel);
}
END_TEST

/* --- cost --- */

/* ns for one insert and one remove, with `pending` others there; best of several. */
static double cost(size_t pending)
{
    struct kr_wheel_s *wheel = kr_wheel_create(0);
    struct dev_request_s *nodes = calloc(pending, sizeof(*nodes));
    struct dev_request_s one[64] = {0};
    uint64_t random = 88172645463325252ull;
    uint64_t best = UINT64_MAX;

    ck_assert_ptr_nonnull(nodes);
    for (size_t i = 0; i < pending; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        nodes[i].expires = 1 + (random >> 16) % KROUTINE_SEC(100);
        kr_wheel_insert(wheel, &nodes[i]);
    }
    for (int round = 0; round < 20; round++) {
        uint64_t start = kt_now();

        for (int i = 0; i < 1000; i++) {
            for (int j = 0; j < 64; j++) {
                random = random * 6364136223846793005ull + 1442695040888963407ull;
                one[j].expires = 1 + (random >> 16) % KROUTINE_SEC(100);
                kr_wheel_insert(wheel, &one[j]);
            }
            for (int j = 0; j < 64; j++)
                kr_wheel_remove(wheel, &one[j]);
        }
        if (kt_now() - start < best)
            best = kt_now() - start;
    }
    free(nodes);
    kr_wheel_destroy(wheel);
    return (double)best / 64000;
}

START_TEST(cost_does_not_grow)
{
    double few, many;

    if (kt_slow() > 1)
        kt_skip("times mean nothing with a sanitizer");
    few = cost(1000);
    many = cost(1000000);
    fprintf(stderr, "# insert and remove: %.1f ns with 1000 pending, %.1f ns with 1000000\n", few,
            many);
    ck_assert_double_le(many, 2 * few);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("wheel");

    kt_add(s, same_as_model, 20);
    kt_add(s, equal_deadlines_are_fifo, 5);
    kt_add(s, past_is_due_at_the_next_advance, 5);
    kt_add(s, remove_wherever_it_is, 5);
    kt_add(s, earliest_is_exact, 5);
    kt_add(s, removed_earliest_costs_few_wakes, 5);
    kt_add(s, rebase_with_new_deadlines, 5);
    kt_add(s, a_million, 20);
    kt_add(s, cost_does_not_grow, 20);
    return s;
}
