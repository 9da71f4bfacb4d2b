/* SPDX-License-Identifier: MIT */
/* The allocator of bus addresses of VFIO, against a model with one bit an address. */
#include "kt.h"

#include "../../backends/vfio/iova.c"

#define K 1024u

static void begin(struct iova_s *s, uint64_t first, uint64_t last)
{
    struct iova_range_s range = {first, last};

    iova_init(s);
    ck_assert_int_eq(iova_set_ranges(s, &range, 1), 0);
}

static uint64_t take(struct iova_s *s, uint64_t size, uint64_t align, uint64_t mask)
{
    uint64_t at = 1;

    ck_assert_int_eq(iova_take(s, size, align, mask, &at), 0);
    return at;
}

static void refused(struct iova_s *s, uint64_t size, uint64_t align, uint64_t mask)
{
    uint64_t at = 1;

    ck_assert_int_eq(iova_take(s, size, align, mask, &at), -ENOSPC);
    ck_assert_uint_eq(at, 1);
}

static void whole(const struct iova_s *s, uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(s->used, 0);
    ck_assert_uint_eq(s->count, 1);
    ck_assert_uint_eq(s->free[0].first, first);
    ck_assert_uint_eq(s->free[0].last, last);
}

START_TEST(lowest_first_and_reused)
{
    struct iova_s s;

    begin(&s, 0x1000, 0xffff);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0x1000);
    ck_assert_uint_eq(take(&s, 0x2000, 0x1000, UINT64_MAX), 0x2000);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0x4000);
    iova_give(&s, 0x2000, 0x2000);
    ck_assert_uint_eq(take(&s, 0x3000, 0x1000, UINT64_MAX), 0x5000); /* does not fit there */
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0x2000);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0x3000);
    iova_give(&s, 0x3000, 0x1000);
    iova_give(&s, 0x1000, 0x1000);
    iova_give(&s, 0x5000, 0x3000);
    iova_give(&s, 0x4000, 0x1000);
    iova_give(&s, 0x2000, 0x1000);
    whole(&s, 0x1000, 0xffff);
    iova_destroy(&s);
}
END_TEST

START_TEST(below_the_mask)
{
    struct iova_s s;

    begin(&s, 0x10000, UINT64_MAX);
    refused(&s, 0x1000, 0x1000, 0xffff);
    refused(&s, 0x1000, 0x1000, 0x10ffe); /* the last byte is above */
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, 0x10fff), 0x10000);
    refused(&s, 0x1000, 0x1000, 0x10fff);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, 0x11fff), 0x11000);
    /* What edu of QEMU can give: 28 bits. */
    ck_assert_uint_eq(take(&s, 0xffee000, 0x1000, 0xfffffff), 0x12000);
    refused(&s, 1, 1, 0xfffffff);
    ck_assert_uint_eq(take(&s, 1, 1, UINT64_MAX), 0x10000000);
    iova_destroy(&s);
}
END_TEST

START_TEST(alignment)
{
    struct iova_s s;
    uint64_t huge = 2 * K * K;

    begin(&s, 0x10000, UINT64_MAX);
    ck_assert_uint_eq(take(&s, 3 * huge, huge, UINT64_MAX), huge);
    ck_assert_uint_eq(take(&s, 4 * K, 4 * K, UINT64_MAX), 0x10000); /* the gap below is used */
    ck_assert_uint_eq(take(&s, huge, huge, UINT64_MAX), 4 * huge);
    refused(&s, 1, UINT64_C(1) << 63, UINT64_MAX >> 1);
    ck_assert_uint_eq(take(&s, 1, UINT64_C(1) << 63, UINT64_MAX), UINT64_C(1) << 63);
    refused(&s, 1, UINT64_C(1) << 63, UINT64_MAX); /* rounding up goes past the end */
    iova_destroy(&s);
}
END_TEST

START_TEST(ends_of_the_space)
{
    struct iova_s s;
    uint64_t top = UINT64_MAX - 0xfff;

    begin(&s, 0, UINT64_MAX);
    refused(&s, 0, 1, UINT64_MAX);
    ck_assert_uint_eq(take(&s, top, 1, UINT64_MAX), 0);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), top);
    refused(&s, 1, 1, UINT64_MAX);
    iova_give(&s, 0, top);
    ck_assert_uint_eq(s.count, 1);
    iova_give(&s, top, 0x1000);
    whole(&s, 0, UINT64_MAX);
    iova_destroy(&s);

    begin(&s, 0, UINT64_MAX);
    ck_assert_uint_eq(take(&s, UINT64_MAX, 1, UINT64_MAX), 0);
    ck_assert_uint_eq(take(&s, 1, 1, UINT64_MAX), UINT64_MAX);
    iova_give(&s, UINT64_MAX, 1); /* its end does not touch the start */
    ck_assert_uint_eq(s.count, 1);
    iova_give(&s, 0, UINT64_MAX);
    whole(&s, 0, UINT64_MAX);
    iova_destroy(&s);
}
END_TEST

START_TEST(ranges_are_put_in_order)
{
    /* x86: the window of MSI is reserved; then some nonsense. */
    static const struct iova_range_s ranges[] = {
        {0xfef00000, 0x7fffffffff},
        {0x1000, 0xfff},
        {0, 0xfedfffff},
        {0x1000, 0x2000},
    };
    struct iova_s s;

    iova_init(&s);
    ck_assert_int_eq(iova_set_ranges(&s, ranges, 4), 0);
    ck_assert_uint_eq(s.count, 2);
    ck_assert_uint_eq(take(&s, 0xfee00000, 0x1000, UINT64_MAX), 0);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0xfef00000);
    iova_destroy(&s);

    iova_init(&s);
    refused(&s, 1, 1, UINT64_MAX); /* none: nothing */
    ck_assert_int_eq(iova_set_ranges(&s, NULL, 0), 0);
    refused(&s, 1, 1, UINT64_MAX);
    iova_destroy(&s);
}
END_TEST

START_TEST(restricted_while_in_use)
{
    static const struct iova_range_s less[] = {{0x3000, 0x5fff}, {0x8000, 0xefff}};
    struct iova_s s;

    begin(&s, 0x1000, 0xffff);
    ck_assert_uint_eq(take(&s, 0x3000, 0x1000, UINT64_MAX), 0x1000);
    ck_assert_int_eq(iova_restrict(&s, less, 2), 0);
    ck_assert_uint_eq(take(&s, 0x2000, 0x1000, UINT64_MAX), 0x4000);
    ck_assert_uint_eq(take(&s, 0x1000, 0x1000, UINT64_MAX), 0x8000);
    ck_assert_uint_eq(take(&s, 0x6000, 0x1000, UINT64_MAX), 0x9000);
    refused(&s, 1, 1, UINT64_MAX);
    iova_give(&s, 0x9000, 0x6000);
    iova_give(&s, 0x4000, 0x2000);
    iova_give(&s, 0x8000, 0x1000);
    ck_assert_uint_eq(s.count, 2);
    iova_destroy(&s);
}
END_TEST

/* --- against a model --- */

#define SPACE  4096u /* units; valid are all but some */
#define BLOCKS 300

struct block_s {
    uint64_t at, size;
};

static bool model_fits(const bool *taken, uint64_t at, uint64_t size, uint64_t mask)
{
    for (uint64_t i = at; i < at + size; i++) {
        if (i >= SPACE || i > mask || taken[i])
            return false;
    }
    return true;
}

static error_t model_take(const bool *taken, uint64_t size, uint64_t align, uint64_t mask,
                          uint64_t *ret)
{
    for (uint64_t at = 0; at < SPACE; at += align) {
        if (model_fits(taken, at, size, mask)) {
            *ret = at;
            return 0;
        }
    }
    return -ENOSPC;
}

static void model_check(const struct iova_s *s, const bool *taken)
{
    size_t range = 0;

    for (uint64_t i = 0; i < SPACE; i++) {
        bool starts = !taken[i] && (i == 0 || taken[i - 1]);
        bool ends = !taken[i] && (i + 1 == SPACE || taken[i + 1]);

        if (starts) {
            ck_assert_uint_lt(range, s->count);
            ck_assert_uint_eq(s->free[range].first, i);
        }
        if (ends)
            ck_assert_uint_eq(s->free[range++].last, i);
    }
    ck_assert_uint_eq(range, s->count);
    ck_assert_uint_le(s->count, s->capacity);
}

static void model_step(struct iova_s *s, bool *taken, struct block_s *blocks, unsigned *seed)
{
    struct block_s *b = &blocks[rand_r(seed) % BLOCKS];
    uint64_t align = UINT64_C(1) << (rand_r(seed) % 6), at = 0, expected = 0;
    uint64_t mask = rand_r(seed) % 4 ? UINT64_MAX : rand_r(seed) % SPACE;
    error_t err;

    if (b->size) {
        iova_give(s, b->at, b->size);
        memset(taken + b->at, 0, b->size);
        b->size = 0;
        return;
    }
    b->size = 1 + rand_r(seed) % 40;
    err = model_take(taken, b->size, align, mask, &expected);
    ck_assert_int_eq(iova_take(s, b->size, align, mask, &at), err);
    if (err) {
        b->size = 0;
        return;
    }
    ck_assert_uint_eq(at, expected);
    b->at = at;
    memset(taken + at, 1, b->size);
}

START_TEST(as_the_model)
{
    static const struct iova_range_s valid[] = {{3, 1000}, {1010, 1010}, {1500, SPACE - 1}};
    unsigned seed = (unsigned)_i + 1;
    bool taken[SPACE];
    struct block_s blocks[BLOCKS] = {{0}};
    struct iova_s s;

    iova_init(&s);
    ck_assert_int_eq(iova_set_ranges(&s, valid, 3), 0);
    memset(taken, 1, sizeof(taken));
    for (unsigned i = 0; i < 3; i++)
        memset(taken + valid[i].first, 0, valid[i].last - valid[i].first + 1);
    for (unsigned i = 0; i < kt_count(20000); i++) {
        model_step(&s, taken, blocks, &seed);
        if (i % 16 == 0)
            model_check(&s, taken);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].size)
            iova_give(&s, blocks[i].at, blocks[i].size);
    }
    ck_assert_uint_eq(s.count, 3);
    ck_assert_uint_eq(s.used, 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(s.free[i].first, valid[i].first);
        ck_assert_uint_eq(s.free[i].last, valid[i].last);
    }
    iova_destroy(&s);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("iova");

    kt_add(s, lowest_first_and_reused, 10);
    kt_add(s, below_the_mask, 10);
    kt_add(s, alignment, 10);
    kt_add(s, ends_of_the_space, 10);
    kt_add(s, ranges_are_put_in_order, 10);
    kt_add(s, restricted_while_in_use, 10);
    kt_add_loop(s, as_the_model, 8, NULL, 60);
    return s;
}
