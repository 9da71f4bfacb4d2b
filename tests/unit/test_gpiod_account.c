/* SPDX-License-Identifier: MIT */
/*
 * Lost edges from the numbers of the kernel, against a model of what it does: an interrupt takes a
 * number of the request, the thread of its line makes an edge of one or several of them, and a full
 * buffer drops the oldest edge.
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
        k->now += 20000000;
        interrupt(k, line);
        thread(k, line);
        read_all(k, r);
    }
    ck_assert_uint_eq(r->got + r->lost, k->interrupts);
}

static void run(unsigned seed, unsigned merge, unsigned reads, unsigned steps)
{
    struct kernel_s k = {.now = 1000000000};
    struct reader_s r = {.got = 0};

    for (unsigned i = 0; i < steps; i++) {
        unsigned line = (unsigned)rand_r(&seed) / 16 % LINES;

        k.now += (unsigned)rand_r(&seed) % 100000;
        interrupt(&k, line);
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

START_TEST(numbers_that_turn_over)
{
    struct account_s a = {.highest = UINT32_MAX - 1, .edges = UINT32_MAX - 1};
    struct dev_gpio_event_s e = {.line = 0};

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
    kt_add(s, numbers_that_turn_over, 10);
    return s;
}
