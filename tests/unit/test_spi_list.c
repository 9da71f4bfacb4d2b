/* SPDX-License-Identifier: MIT */
/* Lists of transfers as messages: what fits, where they are cut, and what the refusal says. */
#include "kt.h"

#include "../../lib/spi.h"

#define LIST 40

static struct dev_spi_transfer_s list[LIST];
static struct dev_spi_rq_s rq;
static uint8_t out[20000], in[20000];

static void begin(void)
{
    memset(&rq, 0, sizeof rq);
    rq.list = list;
    rq.with.bits = 8;
}

static void add(bool o, bool i, size_t size)
{
    list[rq.count++] =
        (struct dev_spi_transfer_s){.out = o ? out : NULL, .in = i ? in : NULL, .size = size};
}

/* Walks it all: each byte once and in order, no message above its limits, the last piece of each
   transfer marked. Number of messages. */
static unsigned walk(const struct kr_spi_limits_s *limits)
{
    struct kr_spi_walk_s w;
    struct kr_spi_piece_s piece;
    unsigned messages = 0, index = 0;
    size_t offset = 0;

    kr_spi_walk(&w, &rq, limits);
    while (kr_spi_walk_message(&w)) {
        size_t outs = 0, ins = 0;
        unsigned count = 0;

        ck_assert_uint_lt(messages, 1000);
        messages++;
        while (kr_spi_walk_piece(&w, &piece)) {
            size_t counts = (piece.size + limits->align - 1) / limits->align * limits->align;

            ck_assert_ptr_eq(piece.of, &list[index]);
            ck_assert_ptr_eq(piece.out, list[index].out ? out + offset : NULL);
            ck_assert_ptr_eq(piece.in, list[index].in ? in + offset : NULL);
            ck_assert_uint_eq(piece.size % kr_spi_word(kr_spi_bits(&rq, piece.of)), 0);
            outs += piece.out ? counts : 0;
            ins += piece.in ? counts : 0;
            offset += piece.size;
            count++;
            ck_assert_int_eq(piece.last, offset == list[index].size);
            if (piece.last) {
                index++;
                offset = 0;
            }
        }
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_le(count, limits->count);
        ck_assert_uint_le(outs, limits->bytes);
        ck_assert_uint_le(ins, limits->bytes);
    }
    ck_assert_uint_eq(index, rq.count);
    return messages;
}

static const struct kr_spi_limits_s arm64 = {4096, 128, 511, "spidev.bufsiz"};

START_TEST(messages)
{
    begin();
    add(true, true, 4096);
    ck_assert_uint_eq(walk(&arm64), 1);
    add(false, false, 0); /* a delay takes no room */
    ck_assert_uint_eq(walk(&arm64), 1);
    add(true, false, 1);
    ck_assert_uint_eq(walk(&arm64), 2);
    begin();
    add(true, false, 4096);
    add(false, true, 4096);
    ck_assert_uint_eq(walk(&arm64), 1);
    begin();
    for (unsigned i = 0; i < 32; i++) /* as much as fits: 32 x 128 */
        add(true, true, 3);
    ck_assert_uint_eq(walk(&arm64), 1);
    add(true, true, 3);
    ck_assert_uint_eq(walk(&arm64), 2);
    begin();
    add(true, true, 1);
    add(true, true, 4096); /* fits into one of its own: is not cut */
    ck_assert_uint_eq(walk(&arm64), 2);
    begin();
    add(true, true, 1);
    add(true, true, 4097); /* does not: 3968 bytes, and 129 */
    ck_assert_uint_eq(walk(&arm64), 2);
    begin();
    add(true, true, 12290);
    add(true, false, 5);
    ck_assert_uint_eq(walk(&arm64), 4);
}
END_TEST

/* Every combination of sizes, widths and limits that is small. */
START_TEST(all_small_ones)
{
    static const uint8_t bits[] = {8, 12, 32};

    for (unsigned bytes = 4; bytes <= 40; bytes += 3) {
        for (unsigned align = 1; align <= 8 && align <= bytes; align *= 2) {
            struct kr_spi_limits_s limits = {bytes, align, 3, "x"};

            for (unsigned seed = 0; seed < kt_count(60); seed++) {
                begin();
                for (unsigned i = 0; i < 5; i++) {
                    uint8_t b = bits[(seed + i) % 3];

                    add((seed + i) % 4 != 1, (seed + i) % 4 != 2,
                        (seed * 7 + i * 13) % 25 * kr_spi_word(b));
                    list[i].bits = b;
                }
                walk(&limits);
            }
        }
    }
}
END_TEST

START_TEST(refusals)
{
    begin();
    add(true, true, 4096);
    ck_assert_int_eq(kr_spi_check(&rq, &arm64), 0);
    add(true, true, 1);
    ck_assert_int_eq(kr_spi_check(&rq, &arm64), -EMSGSIZE);
    ck_assert_msg(strstr(kroutine_error_text(), "4224 bytes") &&
                      strstr(kroutine_error_text(), "spidev.bufsiz=8192"),
                  "%s", kroutine_error_text());
    rq.flags = DEV_SPI_MAY_SPLIT;
    ck_assert_int_eq(kr_spi_check(&rq, &arm64), 0);
    list[1].bits = 16;
    ck_assert_int_eq(kr_spi_check(&rq, &arm64), -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "transfer 1"));
    begin();
    add(true, true, SIZE_MAX);
    add(true, true, SIZE_MAX);
    ck_assert_int_eq(kr_spi_check(&rq, &arm64), -EMSGSIZE);
}
END_TEST

/* A buffer of the kernel that has not even room for a word: no piece, and no end of messages. */
START_TEST(no_room_at_all)
{
    static const struct kr_spi_limits_s none = {2, 1, 511, "x"};
    struct kr_spi_walk_s w;
    struct kr_spi_piece_s piece;

    begin();
    add(true, true, 4);
    list[0].bits = 32;
    kr_spi_walk(&w, &rq, &none);
    ck_assert(kr_spi_walk_message(&w));
    ck_assert(!kr_spi_walk_piece(&w, &piece));
    ck_assert(kr_spi_walk_message(&w));
    ck_assert_int_eq(kr_spi_check(&rq, &none), -EMSGSIZE);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("spi_list");

    kt_add(s, messages, 10);
    kt_add(s, all_small_ones, 20);
    kt_add(s, refusals, 10);
    kt_add(s, no_room_at_all, 10);
    return s;
}
