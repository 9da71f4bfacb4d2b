/* SPDX-License-Identifier: MIT */
/*
 * Lost edges from the numbers of the kernel, against a model of what it does: an interrupt takes a
 * number of the request, the thread of its line makes an edge of one or several of them, as late as
 * it likes, and a full buffer drops the oldest edge.
 */
#include "kt.h"

#include "../../backends/gpiod/account.h"

#define LINES  4
#define BUFFER 16

struct kernel_s {
    struct dev_gpio_event_s buffer[BUFFER];
    unsigned head, fill;
    uint32_t interrupts, edges, line_seqno[LINES], pending[LINES]; /* number of the interrupt */
    uint64_t now, stamp[LINES];
};

static void interrupt(struct kernel_s *k, unsigned line)
{
    k->pending[line] = ++k->interrupts;
    k->stamp[line] = k->now;
}

static void thread(struct kernel_s *k, unsigned line)
{
    struct dev_gpio_event_s e = {.timestamp = k->stamp[line],
                                 .seqno = k->pending[line],
                                 .line_seqno = ++k->line_seqno[line],
                                 .line = (uint16_t)line};

    k->pending[line] = 0;
    if (k->fill == BUFFER) {
        k->head = (k->head + 1) % BUFFER;
        k->fill--;
    }
    k->buffer[(k->head + k->fill++) % BUFFER] = e;
}

struct reader_s {
    struct account_s account;
    uint32_t got, lost;
};

/* An interrupt that comes while the thread runs for the one before: both edges get its number. */
static void interrupt_twice(struct kernel_s *k, unsigned line)
{
    interrupt(k, line);
    interrupt(k, line);
    thread(k, line);
    k->pending[line] = k->interrupts;
    thread(k, line);
}

static void begin(struct kernel_s *k, struct reader_s *r)
{
    *k = (struct kernel_s){.now = 1000000000};
    *r = (struct reader_s){.got = 0};
    account_init(&r->account, LINES);
}

static void read_all(struct kernel_s *k, struct reader_s *r)
{
    for (; k->fill; k->fill--) {
        r->lost += account_edge(&r->account, &k->buffer[k->head]);
        k->head = (k->head + 1) % BUFFER;
        r->got++;
        /* Never more than was lost. */
        ck_assert(r->got + r->lost <= k->interrupts);
    }
}

/* Alone, after a pause: by now nothing is on its way, and all is told. */
static void pause_and_one_more(struct kernel_s *k, struct reader_s *r)
{
    for (unsigned line = 0; line < LINES; line++)
        if (k->pending[line])
            thread(k, line);
    read_all(k, r);
    for (unsigned line = 0; line < LINES; line++) { /* also what overflow took of each line */
        k->now += 2000000000;
        interrupt(k, line);
        thread(k, line);
        read_all(k, r);
    }
    ck_assert_uint_eq(r->got + r->lost, k->interrupts);
}

static void run(unsigned seed, unsigned merge, unsigned reads, unsigned steps)
{
    struct kernel_s k;
    struct reader_s r;

    begin(&k, &r);
    for (unsigned i = 0; i < steps; i++) {
        unsigned line = (unsigned)rand_r(&seed) / 16 % LINES;

        k.now += (unsigned)rand_r(&seed) % 100000;
        if ((unsigned)rand_r(&seed) % 100 >= merge)
            interrupt(&k, line);
        else if (!k.pending[line])
            interrupt_twice(&k, line);
        for (unsigned n = 0; n < LINES; n++) /* threads run late, in any order */
            if (k.pending[(line + n) % LINES] && (unsigned)rand_r(&seed) % 100 >= merge)
                thread(&k, (line + n) % LINES);
        if ((unsigned)rand_r(&seed) % 100 < reads)
            read_all(&k, &r);
        if ((unsigned)rand_r(&seed) % 5000 == 0)
            pause_and_one_more(&k, &r);
    }
    pause_and_one_more(&k, &r);
}

START_TEST(nothing_lost)
{
    run(1, 0, 100, 20000);
}
END_TEST

START_TEST(the_buffer_was_full)
{
    run(2, 0, 3, 20000);
}
END_TEST

START_TEST(interrupts_merge_and_come_out_of_order)
{
    run(3, 40, 100, 20000);
}
END_TEST

START_TEST(all_of_it)
{
    for (unsigned seed = 10; seed < 30; seed++)
        run(seed, seed % 3 * 20, 100 >> seed % 7, 5000);
}
END_TEST

/* It stands still in the middle of thousands of others, and nothing was lost. */
START_TEST(a_thread_comes_late)
{
    struct kernel_s k;
    struct reader_s r;

    begin(&k, &r);
    for (unsigned late = 0; late < 20; late++) {
        interrupt(&k, 0);
        for (unsigned i = 0; i < 3000; i++) {
            unsigned line = 1 + i % (LINES - 1);

            k.now += 50000;
            interrupt(&k, line);
            thread(&k, line);
            read_all(&k, &r);
            ck_assert_uint_eq(r.lost, 0);
        }
        thread(&k, 0);
        read_all(&k, &r);
        ck_assert_uint_eq(r.lost, 0);
    }
}
END_TEST

/* The first of the two is from before the window. */
START_TEST(a_number_comes_twice)
{
    struct kernel_s k;
    struct reader_s r;

    begin(&k, &r);
    interrupt(&k, 0);
    interrupt(&k, 1);
    thread(&k, 1);
    read_all(&k, &r); /* opens it */
    interrupt(&k, 0);
    for (int i = 0; i < 2; i++) {
        k.pending[0] = 3;
        thread(&k, 0);
    }
    for (unsigned i = 0; i < 3 * LINES; i++) {
        interrupt(&k, i % LINES);
        thread(&k, i % LINES);
        read_all(&k, &r);
    }
    ck_assert_uint_eq(r.lost, 0);
}
END_TEST

/* What has merged is told while edges go on, without a pause: also when a line is silent. */
static unsigned edges_until_told(unsigned lines, uint64_t distance)
{
    struct kernel_s k;
    struct reader_s r;
    unsigned i;

    begin(&k, &r);
    interrupt(&k, 0);
    interrupt(&k, 0);
    thread(&k, 0);
    for (i = 0; i < 100000 && !r.lost; i++) {
        k.now += distance;
        interrupt(&k, i % lines);
        thread(&k, i % lines);
        read_all(&k, &r);
    }
    ck_assert_uint_eq(r.lost, 1);
    return i;
}

START_TEST(merged_ones_are_told_without_a_pause)
{
    ck_assert_uint_le(edges_until_told(LINES, 100), 4 * LINES);
    ck_assert_uint_le(edges_until_told(LINES - 1, 1000000), 2500);
}
END_TEST

START_TEST(numbers_that_turn_over)
{
    struct account_s a = {.highest = UINT32_MAX - 1, .edges = UINT32_MAX - 1};
    struct dev_gpio_event_s e = {.line = 0};

    account_init(&a, 1);
    a.top = a.below = UINT32_MAX - 1;
    a.line[0] = UINT32_MAX - 1;
    for (unsigned i = 0; i < 4; i++) {
        e.seqno = e.line_seqno = UINT32_MAX + i + (i == 3 ? 2 : 0);
        e.timestamp += 1000;
        ck_assert_uint_eq(account_edge(&a, &e), i == 3 ? 2 : 0);
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpiod_account");

    kt_add(s, nothing_lost, 30);
    kt_add(s, the_buffer_was_full, 30);
    kt_add(s, interrupts_merge_and_come_out_of_order, 30);
    kt_add(s, all_of_it, 30);
    kt_add(s, a_thread_comes_late, 30);
    kt_add(s, a_number_comes_twice, 10);
    kt_add(s, merged_ones_are_told_without_a_pause, 10);
    kt_add(s, numbers_that_turn_over, 10);
    return s;
}
