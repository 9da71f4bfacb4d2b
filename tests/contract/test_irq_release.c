/* SPDX-License-Identifier: MIT */
/* How an interrupt ends: released, from anywhere; its device closed or unplugged; waiting for it.
 */
#include "kt_irq.h"

#include <sched.h>

static struct kt_env_s env;
static struct kt_irq_s t;

/* --- release --- */

static void release_itself(struct kt_irq_probe_s *probe)
{
    ck_assert_int_eq(dev_irq_release(&probe->irq), 0);
}

START_TEST(a_handler_releases_its_interrupt)
{
    kt_irq_open(&t, &env, _i, "");
    t.irq[0].then = release_itself;
    for (unsigned i = 1; i <= 20; i++) {
        kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_await(&env, kt_get(&t.irq[0].runs) == i);
        kt_irq_raise(&t, DEV_IRQ_MSI, 0); /* nobody's any more */
    }
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 20);
    kt_irq_close(&t);
}
END_TEST

/* The memory may be reused the moment the handler has released it: an IMMEDIATE one too. */
static KROUTINE_EXEC(free_it)
{
    struct dev_irq_s *irq = dev_irq_from_kr(kr);
    unsigned *runs = irq->pvdata;

    (void)flags;
    ck_assert_int_eq(dev_irq_release(irq), 0);
    memset(irq, 0xee, sizeof *irq);
    free(irq);
    kt_inc(runs);
}

START_TEST(a_handler_frees_its_interrupt)
{
    unsigned runs = 0;

    kt_irq_open(&t, &env, _i, "");
    for (unsigned i = 0; i < 40; i++) {
        struct dev_irq_s *irq = malloc(sizeof *irq);

        if (i & 1)
            dev_irq_init_immediate(irq, free_it);
        else
            dev_irq_init(irq, free_it);
        irq->pvdata = &runs;
        ck_assert_int_eq(dev_irq_request(&t.dev, irq), 0);
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_await(&env, kt_get(&runs) == i + 1);
    }
    kt_irq_close(&t);
}
END_TEST

static unsigned started, finish;

static void wait_inside(struct kt_irq_probe_s *probe)
{
    (void)probe;
    kt_inc(&started);
    while (!kt_get(&finish))
        kt_sleep_ms(1);
}

static void *finish_later(void *arg)
{
    (void)arg;
    kt_sleep_ms(30);
    kt_set(&finish, 1);
    return NULL;
}

START_TEST(release_waits_for_the_handler)
{
    pthread_t thread;

    started = finish = 0;
    kt_irq_open(&t, &env, _i & ~1, ""); /* needs a worker */
    t.irq[0].then = wait_inside;
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_get(&started) == 1);
    thread = kt_thread(finish_later, NULL);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    ck_assert_uint_eq(kt_get(&finish), 1);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 1);
    kt_join(thread);
    kt_irq_close(&t);
}
END_TEST

/* From a context that may not wait it says so, and a later call waits. */
START_TEST(release_that_may_not_wait)
{
    pthread_t thread;

    started = finish = 0;
    kt_irq_open(&t, &env, _i & ~1, "");
    t.irq[0].then = wait_inside;
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_get(&started) == 1);
    kroutine_critical_begin();
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), -EBUSY);
    kroutine_critical_end();
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    thread = kt_thread(finish_later, NULL);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    ck_assert_uint_eq(kt_get(&finish), 1);
    kt_join(thread);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 1);
    kt_irq_close(&t);
}
END_TEST

START_TEST(release_takes_a_pending_run_back)
{
    struct kroutine_queue_s queue;
    struct dev_irq_counts_s counts;

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    dev_irq_init_queue(&t.irq[0].irq, kt_irq_handler, &queue);
    ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[0].irq), 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_irq_fired(&t, 0) == 1);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    ck_assert_int_eq(kroutine_queue_process(&queue), 0);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 0);
    dev_irq_counts(&t.irq[0].irq, &counts);
    ck_assert_uint_eq(counts.fired, 1);
    kt_irq_close(&t);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}
END_TEST

static unsigned stop;

static void *fire(void *arg)
{
    (void)arg;
    while (!kt_get(&stop))
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    return NULL;
}

/* Released and requested again while it fires on another thread: never after the release. */
START_TEST(release_under_fire)
{
    unsigned rounds = kt_count(400);
    pthread_t thread;

    stop = 0;
    kt_irq_open(&t, &env, _i, "");
    thread = kt_thread(fire, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned runs;

        kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
        if (i % 3 == 0)
            kt_pause(&env);
        ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
        runs = kt_get(&t.irq[0].runs);
        memset(&t.irq[0].irq, 0xee, sizeof t.irq[0].irq);
        sched_yield();
        ck_assert_uint_eq(kt_get(&t.irq[0].runs), runs);
    }
    kt_set(&stop, 1);
    kt_join(thread);
    kt_irq_close(&t);
}
END_TEST

static void *release_too(void *arg)
{
    error_t *err = arg;

    *err = dev_irq_release(&t.irq[0].irq);
    return NULL;
}

START_TEST(two_threads_release_it)
{
    error_t err = -1;
    pthread_t thread;

    stop = 0;
    kt_irq_open(&t, &env, _i, "");
    for (unsigned i = 0; i < kt_count(200); i++) {
        kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        thread = kt_thread(release_too, &err);
        ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
        kt_join(thread);
        ck_assert_int_eq(err, 0);
    }
    kt_irq_close(&t);
}
END_TEST

/* --- the device closes --- */

START_TEST(closing_the_device_releases)
{
    struct dev_irq_counts_s counts;
    unsigned runs;

    kt_irq_open(&t, &env, _i, "msi=2&lines=1");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_take(&t, 1, DEV_IRQ_MSI, 1);
    kt_irq_take(&t, 2, DEV_IRQ_LINE, 0);
    for (int i = 0; i < 10; i++) {
        kt_irq_raise(&t, DEV_IRQ_MSI, 0);
        kt_irq_raise(&t, DEV_IRQ_MSI, 1);
    }
    device_put_accessor(&t.dev.base);
    runs = kt_get(&t.irq[0].runs) + kt_get(&t.irq[1].runs);
    ck_assert_int_eq(dev_irq_mask(&t.irq[2].irq), -ECANCELED);
    ck_assert_int_eq(dev_irq_unmask(&t.irq[2].irq), -ECANCELED);
    ck_assert_int_eq(dev_irq_wait(&t.irq[2].irq, 0), -ECANCELED);
    dev_irq_counts(&t.irq[0].irq, &counts); /* what was seen until then */
    ck_assert_uint_le(counts.fired, 10);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(dev_irq_release(&t.irq[i].irq), 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs) + kt_get(&t.irq[1].runs), runs);
    kt_irq_close(&t);
}
END_TEST

static void close_device(struct kt_irq_probe_s *probe)
{
    (void)probe;
    device_put_accessor(&t.dev.base);
}

START_TEST(a_handler_closes_the_device)
{
    kt_irq_open(&t, &env, _i, "");
    t.irq[0].then = close_device;
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_take(&t, 1, DEV_IRQ_MSI, 1);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    ck_assert_int_eq(dev_irq_release(&t.irq[1].irq), 0);
    kt_irq_close(&t);
}
END_TEST

START_TEST(the_end_of_the_runtime_releases)
{
    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_env_close(&env);
    ck_assert_int_eq(dev_irq_mask(&t.irq[0].irq), -ECANCELED);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    device_put_accessor(&t.dev.base);
}
END_TEST

/* --- unplugged --- */

START_TEST(unplugged)
{
    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    kt_irq_take(&t, 1, DEV_IRQ_LINE, 0);
    ck_assert_int_eq(kroutine_sim_mmio_unplug(&t.dev.base), 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1 && kt_get(&t.irq[1].runs) == 1);
    ck_assert_int_eq(t.irq[0].irq.error, -ENODEV);
    ck_assert_int_eq(t.irq[1].irq.error, -ENODEV);
    ck_assert_int_eq(dev_irq_unmask(&t.irq[1].irq), -ENODEV);
    ck_assert_int_eq(dev_irq_mask(&t.irq[0].irq), -ENODEV);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 1);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[0].irq), -ENODEV);
    kt_irq_close(&t);
}
END_TEST

/* --- waiting --- */

static unsigned waited;
static error_t wait_error;

static void *wait_for_three(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(dev_irq_wait(&t.irq[0].irq, 0), 0);
        kt_inc(&waited);
    }
    wait_error = dev_irq_wait(&t.irq[0].irq, 0);
    kt_inc(&waited);
    return NULL;
}

START_TEST(a_thread_waits)
{
    pthread_t thread;

    waited = 0;
    kt_irq_open(&t, &env, _i, "");
    dev_irq_init_none(&t.irq[0].irq);
    ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[0].irq), 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0); /* before the wait: it counts */
    kt_await(&env, kt_irq_fired(&t, 0) == 1);
    thread = kt_thread(wait_for_three, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        kt_await(&env, kt_get(&waited) == i);
        if (i < 3)
            kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    }
    kt_idle(&env, 5);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    kt_await(&env, kt_get(&waited) == 4);
    ck_assert_int_eq(wait_error, -ECANCELED);
    kt_join(thread);
    kt_irq_close(&t);
}
END_TEST

static void *wait_in_vain(void *arg)
{
    (void)arg;
    wait_error = dev_irq_wait(&t.irq[0].irq, KROUTINE_MSEC(20));
    kt_inc(&waited);
    return NULL;
}

START_TEST(a_wait_times_out)
{
    pthread_t thread;

    waited = 0;
    kt_irq_open(&t, &env, _i, "");
    kt_irq_take(&t, 0, DEV_IRQ_MSI, 0);
    thread = kt_thread(wait_in_vain, NULL);
    kt_await(&env, kt_get(&waited) == 1);
    kt_join(thread);
    ck_assert_int_eq(wait_error, -ETIMEDOUT);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0); /* it still fires */
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    kt_irq_close(&t);
}
END_TEST

static void wait_there(struct kt_irq_probe_s *probe)
{
    wait_error = dev_irq_wait(&probe->irq, 0);
}

START_TEST(no_wait_in_the_reactor)
{
    kt_irq_open(&t, &env, _i, "");
    dev_irq_init_immediate(&t.irq[0].irq, kt_irq_handler);
    t.irq[0].then = wait_there;
    ck_assert_int_eq(dev_irq_request(&t.dev, &t.irq[0].irq), 0);
    kt_irq_raise(&t, DEV_IRQ_MSI, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    ck_assert_int_eq(wait_error, -EDEADLK);
    kt_irq_close(&t);
}
END_TEST

/* --- messages of its own --- */

START_TEST(it_sends_by_itself)
{
    kt_irq_open(&t, &env, _i, "every=1000000");
    kt_irq_take(&t, 0, DEV_IRQ_ANY, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) >= 5);
    ck_assert_int_eq(dev_irq_release(&t.irq[0].irq), 0);
    kt_irq_close(&t);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
    unsigned fds;

    kt_irq_open(&t, &env, _i, "every=1000000");
    kt_irq_close(&t);
    fds = kt_open_fds();
    kt_irq_open(&t, &env, _i, "every=1000000");
    for (uint16_t n = 0; n < 2; n++) {
        kt_irq_take(&t, n, DEV_IRQ_MSI, n);
        kt_irq_raise(&t, DEV_IRQ_MSI, n);
    }
    kt_await(&env, kt_get(&t.irq[1].runs) == 1);
    ck_assert_int_eq(dev_irq_release(&t.irq[1].irq), 0);
    kt_irq_close(&t);
    ck_assert_uint_eq(kt_open_fds(), fds);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("irq_release");

    kt_irq_add(s, a_handler_releases_its_interrupt, 30);
    kt_irq_add(s, a_handler_frees_its_interrupt, 30);
    kt_irq_add(s, release_waits_for_the_handler, 30);
    kt_irq_add(s, release_that_may_not_wait, 30);
    kt_irq_add(s, release_takes_a_pending_run_back, 30);
    kt_irq_add(s, release_under_fire, 120);
    kt_irq_add(s, two_threads_release_it, 120);
    kt_irq_add(s, closing_the_device_releases, 30);
    kt_irq_add(s, a_handler_closes_the_device, 30);
    kt_irq_add(s, the_end_of_the_runtime_releases, 30);
    kt_irq_add(s, unplugged, 30);
    kt_irq_add(s, a_thread_waits, 30);
    kt_irq_add(s, a_wait_times_out, 30);
    kt_irq_add(s, no_wait_in_the_reactor, 30);
    kt_irq_add(s, it_sends_by_itself, 30);
    kt_irq_add(s, nothing_is_left_behind, 30);
    return s;
}
