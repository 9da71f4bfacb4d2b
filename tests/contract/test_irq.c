/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a simulated device: delivered by every policy, counted, masked, released. Each case
 * with and without a reactor thread, and with interrupts that come directly and through eventfds.
 */
#include "kt_irq.h"

static struct kt_env_s env;
static struct kt_irq_s t;

/* --- delivery --- */

START_TEST(each_interrupt_runs_the_handler)
{
    struct dev_irq_counts_s counts;

    kt_irq_open(&t, &env, _i, "msi=1");
    kt_irq_take(&t, 0, DEV_IRQ_ANY, 0);
    ck_assert_int_eq(t.irq[0].irq.kind, DEV_IRQ_MSI);
    for (unsigned i = 1; i <= 100; i++) {
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_await(&env, kt_get(&t.irq[0].runs) == i);
    }
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.fired, 100);
    ck_assert_uint_eq(counts.handled, 100);
    ck_assert_uint_eq(counts.missed, 0);
    kt_irq_close(&t);
}
END_TEST

/* Kept from running, the handler runs once for all of them. */
START_TEST(several_before_the_handler_are_one_run)
{
    struct dev_irq_counts_s counts;
    struct kroutine_queue_s queue;

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    dev_irq_init_queue(&t.irq[0].irq, kt_irq_handler, &queue);
    t.irq[0].irq.kind = DEV_IRQ_MSI;
    ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[0].irq), 0);
    for (uint64_t i = 1; i <= 5; i++) {
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_await(&env, kt_irq_fired(&t, 0) == i);
    }
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 0);
    ck_assert_int_eq(kroutine_queue_process(&queue), 1);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 1);
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.fired, 5);
    ck_assert_uint_eq(counts.handled, 1);
    ck_assert_uint_eq(counts.missed, 4);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0); /* and again */
    kt_await(&env, kt_irq_fired(&t, 0) == 6);
    ck_assert_int_eq(kroutine_queue_process(&queue), 1);
    kt_irq_close(&t);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}
END_TEST

/* The account never loses one: fired is what was raised, handled what ran. */
START_TEST(a_burst_is_accounted_for)
{
    const unsigned count = 10000;
    struct dev_irq_counts_s counts;

    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 1);
    for (unsigned i = 0; i < count; i++)
        kt_irq_raise(&t, DEV_IRQ_MSI, 1);
    kt_await(&env, kt_irq_fired(&t, 0) == count);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.fired, count);
    ck_assert_uint_eq(counts.handled + counts.missed, count);
    ck_assert_uint_ge(counts.handled, kt_get(&t.irq[0].runs));
    ck_assert_uint_le(counts.handled, kt_get(&t.irq[0].runs) + 1); /* release took one back */
    kt_irq_close(&t);
}
END_TEST

static void tell_context(struct kt_irq_probe_s *probe)
{
    kt_set(&probe->interruptible, kroutine_is_interruptible());
}

START_TEST(a_line_runs_where_its_policy_says)
{
    static const struct {
        void (*init)(struct dev_irq_s *irq, kroutine_exec_t *exec);
        bool interruptible;
    } policies[] = {
        {dev_irq_init, true}, {dev_irq_init_immediate, false}, {dev_irq_init_sched_switch, false}};
    struct kt_irq_probe_s *probe = &t.irq[0];

    kt_irq_open(&t, &env, _i, "");
    for (unsigned i = 0; i < 3; i++) {
        policies[i].init(&probe->irq, kt_irq_handler);
        probe->irq.kind = DEV_IRQ_MSI;
        probe->then = tell_context;
        kt_set(&probe->interruptible, !policies[i].interruptible);
        kt_set(&probe->runs, 0);
        ck_assert_int_eq(dev_irq_request(&t.dev, &probe->irq), 0);
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_await(&env, kt_get(&probe->runs) == 1);
        ck_assert(kt_get(&probe->interruptible) == policies[i].interruptible);
        ck_assert_int_eq(dev_irq_release(&probe->irq), 0);
    }
    kt_irq_close(&t);
}
END_TEST

START_TEST(a_sequence_keeps_interrupts_apart)
{
    struct kroutine_sequence_s seq;

    kt_irq_open(&t, &env, _i, "");
    kroutine_seq_init(&seq);
    for (unsigned i = 0; i < 2; i++) {
        dev_irq_init_seq(&t.irq[i].irq, kt_irq_handler, &seq);
        t.irq[i].irq.kind = DEV_IRQ_MSI;
        t.irq[i].irq.vector = (uint16_t)i;
        t.irq[i].alone = &t.inside;
        ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[i].irq), 0);
    }
    for (unsigned i = 0; i < 200; i++)
        kt_irq_raise(&t, DEV_IRQ_MSI, (uint16_t)(i & 1));
    kt_await(&env, kt_irq_fired(&t, 0) == 100 && kt_irq_fired(&t, 1) == 100);
    kt_await(&env, kt_get(&t.irq[0].runs) > 0 && kt_get(&t.irq[1].runs) > 0);
    ck_assert_uint_eq(kt_get(&t.together), 0);
    kt_irq_close(&t);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

START_TEST(vectors_are_apart)
{
    kt_irq_open(&t, &env, _i, "msi=3&lines=2");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_take(&t, 1, DEV_IRQ_MSI, 2);
    kt_irq_take(&t, 2, DEV_IRQ_LINE, 1);
    kt_irq_raise(&t, DEV_IRQ_MSI, 2);
    kt_await(&env, kt_get(&t.irq[1].runs) == 1);
    kt_irq_raise(&t, DEV_IRQ_LINE, 1);
    kt_await(&env, kt_get(&t.irq[2].runs) == 1);
    kt_irq_raise(&t, DEV_IRQ_MSI, 1);  /* nobody has it */
    kt_irq_raise(&t, DEV_IRQ_LINE, 0); /* likewise */
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&t.irq[1].runs), 1);
    ck_assert_uint_eq(kt_get(&t.irq[2].runs), 1);
    kt_irq_close(&t);
}
END_TEST

/* --- masking --- */

static void quiet_and_unmask(struct kt_irq_probe_s *probe)
{
    if (kt_get(&probe->keep_raised) == 0)
        ck_assert_int_eq(kroutine_sim_irq_lower(&t.dev.base, probe->irq.vector), 0);
    else
        kt_dec(&probe->keep_raised);
    ck_assert_int_eq(dev_irq_unmask(&probe->irq), 0);
}

START_TEST(a_line_is_masked_as_it_fires)
{
    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_LINE, 0);
    kt_irq_raise(&t, DEV_IRQ_LINE, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    kt_irq_raise(&t, DEV_IRQ_LINE, 0);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_irq_fired(&t, 0), 1);
    ck_assert_int_eq(dev_irq_unmask(&t.irq[0].irq), 0); /* still raised */
    kt_await(&env, kt_get(&t.irq[0].runs) == 2);
    ck_assert_int_eq(kroutine_sim_irq_lower(&t.dev.base, 0), 0);
    ck_assert_int_eq(dev_irq_unmask(&t.irq[0].irq), 0);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 2);
    kt_irq_close(&t);
}
END_TEST

START_TEST(a_handler_quiets_and_unmasks)
{
    kt_irq_open(&t, &env, _i, "");
    t.irq[0].then = quiet_and_unmask;
    kt_irq_take(&t, 0, DEV_IRQ_LINE, 0);
    for (unsigned i = 1; i <= 50; i++) {
        kt_irq_raise(&t, DEV_IRQ_LINE, 0);
        kt_await(&env, kt_get(&t.irq[0].runs) == i);
    }
    kt_set(&t.irq[0].keep_raised, 10); /* unmasks while it is raised: fires again, ten times */
    kt_irq_raise(&t, DEV_IRQ_LINE, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 61);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 61);
    kt_irq_close(&t);
}
END_TEST

START_TEST(what_fires_while_masked_comes_in_one_run)
{
    struct dev_irq_counts_s counts;

    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    for (unsigned round = 1; round <= 20; round++) {
        ck_assert_int_eq(dev_irq_mask(&t.irq[0].irq), 0);
        ck_assert_int_eq(dev_irq_mask(&t.irq[0].irq), 0); /* does not nest */
        for (int i = 0; i < 3; i++)
            kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        if (round % 2) /* the reactor finds it masked, or only hears of it after all */
            kt_idle(&env, 2);
        ck_assert_uint_eq(kt_get(&t.irq[0].runs), round - 1);
        ck_assert_int_eq(dev_irq_unmask(&t.irq[0].irq), 0);
        kt_await(&env, kt_get(&t.irq[0].runs) == round && kt_irq_fired(&t, 0) == 3 * round);
    }
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.handled, 20);
    ck_assert_uint_eq(counts.missed, 40);
    kt_irq_close(&t);
}
END_TEST

/* Masking and firing at the same time from several threads: nothing is lost, nothing comes twice.
 */
static void *fire_many(void *arg)
{
    for (unsigned i = 0; i < *(const unsigned *)arg; i++)
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    return NULL;
}

START_TEST(masking_under_fire)
{
    unsigned count = kt_count(20000), rounds = 0;
    struct dev_irq_counts_s counts;
    pthread_t thread;

    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    thread = kt_thread(fire_many, &count);
    for (unsigned i = 0; i < 200; i++, rounds++) {
        ck_assert_int_eq(dev_irq_mask(&t.irq[0].irq), 0);
        kt_pause(&env);
        ck_assert_int_eq(dev_irq_unmask(&t.irq[0].irq), 0);
    }
    kt_join(thread);
    kt_await(&env, kt_irq_fired(&t, 0) == count);
    kt_await(&env, !kroutine_is_pending(&t.irq[0].irq.kr));
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.handled + counts.missed, count);
    kt_await(&env, kt_get(&t.irq[0].runs) == counts.handled);
    kt_irq_close(&t);
}
END_TEST

/* --- requests that are refused --- */

START_TEST(what_cannot_be_requested)
{
    struct dev_irq_s *irq = &t.irq[0].irq, other;

    kt_irq_open(&t, &env, _i, "lines=0&msi=2");
    dev_irq_init(irq, kt_irq_handler);
    irq->kind = DEV_IRQ_LINE;
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -ENOTSUP);
    ck_assert_str_ne(kroutine_error_text(), "");
    irq->kind = DEV_IRQ_MSIX;
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -ENOTSUP);
    irq->kind = DEV_IRQ_KINDS;
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -EINVAL);
    irq->kind = DEV_IRQ_MSI;
    irq->vector = 2;
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -ENXIO);
    irq->vector = 1;
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), 0);
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -EBUSY);
    dev_irq_init(&other, kt_irq_handler);
    other.vector = 1;
    ck_assert_int_eq(dev_irq_request(&t.dev, &other), -EBUSY);
    ck_assert_int_eq(other.kind, DEV_IRQ_ANY);
    ck_assert_int_eq(dev_irq_release(&other), 0); /* was not requested: nothing to wait for */
    ck_assert_int_eq(dev_irq_mask(&other), -ECANCELED);
    kt_irq_raise(&t, DEV_IRQ_MSI, 1); /* the first one still works */
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    ck_assert_int_eq(dev_irq_release(irq), 0);
    ck_assert_int_eq(dev_irq_unmask(irq), -ECANCELED);
    ck_assert_int_eq(dev_irq_request(&t.dev, &other), 0);
    ck_assert_int_eq(dev_irq_release(&other), 0);
    kt_irq_close(&t);
    dev_irq_init(irq, kt_irq_handler);
    ck_assert_int_eq(dev_irq_request(&t.dev, irq), -ECANCELED); /* the accessor is closed */
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("irq");

    kt_irq_add(s, each_interrupt_runs_the_handler, 30);
    kt_irq_add(s, several_before_the_handler_are_one_run, 30);
    kt_irq_add(s, a_burst_is_accounted_for, 60);
    kt_irq_add(s, a_line_runs_where_its_policy_says, 30);
    kt_irq_add(s, a_sequence_keeps_interrupts_apart, 30);
    kt_irq_add(s, vectors_are_apart, 30);
    kt_irq_add(s, a_line_is_masked_as_it_fires, 30);
    kt_irq_add(s, a_handler_quiets_and_unmasks, 30);
    kt_irq_add(s, what_fires_while_masked_comes_in_one_run, 60);
    kt_irq_add(s, masking_under_fire, 120);
    kt_irq_add(s, what_cannot_be_requested, 30);
    return s;
}
