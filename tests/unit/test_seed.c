/* SPDX-License-Identifier: MIT */
/*
 * The three programs of the model's documentation, as they stand there once their devices are
 * looked up: (a) a timer request with an immediate handler, (b) a char request resubmitted from
 * its own deferred handler, (c) a timer request resubmitted from its own immediate handler. They
 * include the umbrella header alone; what follows it is for the test around them.
 */
#include <kroutine.h>

#include "kt.h"

#include <stdio.h>
#include <sys/socket.h>

static unsigned events_a, events_b, events_c;
static uint64_t sum_b;
static error_t error_c;

/* (a) */

static struct device_timer_s timer_dev = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s timer_rq;

static KROUTINE_EXEC(timer_event)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    (void)flags;
    if (rq->error == 0)
        __atomic_add_fetch(&events_a, 1, __ATOMIC_SEQ_CST);
}

static void program_a(void)
{
    dev_timer_rq_init_immediate(&timer_rq, timer_event);
    timer_rq.delay = 1000000;
    if (DEVICE_OP(&timer_dev, request, &timer_rq))
        abort();
}

/* (b) */

static struct device_char_s char_dev = DEVICE_ACCESSOR_INIT;
static struct dev_char_rq_s char_rq;
static uint8_t buffer[4];

static KROUTINE_EXEC(char_event)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);

    (void)flags;
    if (rq->error)
        return;
    for (unsigned i = 0; i < sizeof(buffer); i++)
        sum_b += buffer[i];
    __atomic_add_fetch(&events_b, 1, __ATOMIC_SEQ_CST);
    rq->data = buffer;
    rq->size = sizeof(buffer);
    DEVICE_OP(&char_dev, request, rq);
}

static void program_b(void)
{
    dev_char_rq_init(&char_rq, char_event);
    char_rq.type = DEV_CHAR_READ;
    char_rq.data = buffer;
    char_rq.size = sizeof(buffer);
    DEVICE_OP(&char_dev, request, &char_rq);
}

/* (c) */

static struct dev_timer_rq_s periodic_rq;

static KROUTINE_EXEC(periodic_event)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    (void)flags;
    if (rq->error)
        return;
    if (__atomic_add_fetch(&events_c, 1, __ATOMIC_SEQ_CST) == 20)
        return;
    rq->delay = 500000;
    error_c = DEVICE_OP(&timer_dev, request, rq);
}

static void program_c(void)
{
    dev_timer_rq_init_immediate(&periodic_rq, periodic_event);
    periodic_rq.delay = 500000;
    if (DEVICE_OP(&timer_dev, request, &periodic_rq))
        abort();
}

/* --- the test --- */

static void find_timer(void)
{
    ck_assert_int_eq(
        device_get_accessor_by_path(&timer_dev.base, NULL, "timer*", DRIVER_CLASS_TIMER), 0);
}

START_TEST(timer_with_an_immediate_handler)
{
    find_timer();
    program_a();
    kt_await(NULL, kt_get(&events_a) == 1);
    device_put_accessor(&timer_dev.base);
}
END_TEST

START_TEST(char_resubmitted_from_its_deferred_handler)
{
    uint8_t data[40];
    char spec[32];
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&char_dev.base, NULL, spec, DRIVER_CLASS_CHAR), 0);
    memset(data, 3, sizeof data);
    program_b();
    for (unsigned i = 1; i <= 100; i++) {
        ck_assert_int_eq(write(sv[1], data, sizeof data), sizeof data);
        if (i % 10 == 0)
            kt_await(NULL, kt_get(&events_b) == 10 * i);
    }
    ck_assert_uint_eq(sum_b, 3 * 4000);
    /* Once it waits again; a cancel in the middle of a try ends it too, by its handler. */
    kt_await(NULL,
             DEVICE_OP(&char_dev, cancel, &char_rq) == 0 || kt_get(&char_rq.error) == -ECANCELED);
    device_put_accessor(&char_dev.base);
}
END_TEST

START_TEST(timer_resubmitted_from_its_immediate_handler)
{
    find_timer();
    program_c();
    kt_await(NULL, kt_get(&events_c) == 20);
    ck_assert_int_eq(error_c, 0);
    kt_sleep_ms(5);
    ck_assert_uint_eq(kt_get(&events_c), 20);
    device_put_accessor(&timer_dev.base);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("seed");

    kt_add(s, timer_with_an_immediate_handler, 10);
    kt_add(s, char_resubmitted_from_its_deferred_handler, 10);
    kt_add(s, timer_resubmitted_from_its_immediate_handler, 10);
    return s;
}
