/* SPDX-License-Identifier: MIT */
/* Sizes and layouts that programs and the design rest on. */
#include "kt.h"

#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(struct kroutine_s) <= 40, "struct kroutine_s has grown");
_Static_assert(sizeof(struct dev_char_rq_s) <= 112, "struct dev_char_rq_s has grown");
_Static_assert(sizeof(struct dev_gpio_rq_s) <= 120, "struct dev_gpio_rq_s has grown");
_Static_assert(sizeof(struct dev_dma_rq_s) <= 192, "struct dev_dma_rq_s has grown");
_Static_assert(sizeof(struct dev_gpio_event_s) == 24, "struct dev_gpio_event_s has grown");
#endif
_Static_assert(offsetof(struct dev_char_rq_s, base) == 0, "the base comes first");
_Static_assert(offsetof(struct dev_timer_rq_s, base) == 0, "the base comes first");
_Static_assert(KROUTINE_PRIORITIES == 8, "eight priorities");
_Static_assert(KROUTINE_EXEC_USERFLAGS == 0xff && KROUTINE_EXEC_TRIGGERED == 0x100 &&
                   KROUTINE_EXEC_DEFERRED == 0x200,
               "flags of the model");

/* The fields that a request type repeats beside `base` are the same memory, of the same type. */
#define SAME(rq_type, field)                                                                       \
    (offsetof(struct rq_type, field) == offsetof(struct dev_request_s, field) &&                   \
     sizeof(((struct rq_type *)0)->field) == sizeof(((struct dev_request_s *)0)->field))
#define ALL_SAME(t)                                                                                \
    (SAME(t, kr) && SAME(t, error) && SAME(t, pvdata) && SAME(t, pvuint) && SAME(t, drvdata) &&    \
     SAME(t, type) && SAME(t, timeout))
_Static_assert(ALL_SAME(dev_char_rq_s), "dev_char_rq_s repeats struct dev_request_s");
_Static_assert(ALL_SAME(dev_dma_rq_s), "dev_dma_rq_s repeats struct dev_request_s");
_Static_assert(ALL_SAME(dev_gpio_rq_s), "dev_gpio_rq_s repeats struct dev_request_s");
_Static_assert(ALL_SAME(dev_timer_rq_s), "dev_timer_rq_s repeats struct dev_request_s");

/* An accessor of a class is an accessor. */
#define ACCESSOR(cl)                                                                               \
    (sizeof(struct device_##cl##_s) == sizeof(struct device_accessor_s) &&                         \
     offsetof(struct device_##cl##_s, dev) == offsetof(struct device_accessor_s, dev) &&           \
     offsetof(struct device_##cl##_s, api) == offsetof(struct device_accessor_s, api))
_Static_assert(ACCESSOR(char) && ACCESSOR(timer) && ACCESSOR(uart) && ACCESSOR(gpio) &&
                   ACCESSOR(dma),
               "accessors share a layout");

START_TEST(casts_find_the_object)
{
    struct dev_timer_rq_s timer;
    struct dev_char_rq_s rq;

    ck_assert_ptr_eq(dev_char_rq_from_kr(&rq.kr), &rq);
    ck_assert_ptr_eq(dev_char_rq_from_kr(&rq.base.kr), &rq);
    ck_assert_ptr_eq(dev_char_rq_cast(&rq.base), &rq);
    ck_assert_ptr_eq(dev_timer_rq_from_kr(&timer.kr), &timer);
    ck_assert_ptr_eq(KROUTINE_CONTAINER(&rq.size, rq, size), &rq); /* an lvalue for a type */
}
END_TEST

START_TEST(error_holds_every_errno)
{
    struct dev_char_rq_s rq;

    for (int e = 0; e < 4096; e++) {
        rq.error = (int16_t)-e;
        ck_assert_int_eq(rq.error, -e);
    }
}
END_TEST

/* Initialisers set all fields, whatever the memory held; those of the class are left alone. */
START_TEST(init_sets_every_field)
{
    struct dev_char_rq_s a, b;

    memset(&a, 0x00, sizeof a);
    memset(&b, 0xff, sizeof b);
    dev_char_rq_init(&a, kt_probe_run);
    dev_char_rq_init(&b, kt_probe_run);
    ck_assert_int_eq(b.error, 0);
    ck_assert_uint_eq(b.timeout, 0);
    ck_assert_ptr_null(b.pvdata);
    ck_assert_int_eq(memcmp(&a.kr, &b.kr, sizeof a.kr), 0);
    ck_assert_uint_eq(b.size, SIZE_MAX);
    ck_assert(!kroutine_is_pending(&b.kr));
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sizes");

    kt_add(s, casts_find_the_object, 10);
    kt_add(s, error_holds_every_errno, 10);
    kt_add(s, init_sets_every_field, 10);
    return s;
}
