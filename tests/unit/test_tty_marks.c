/* SPDX-License-Identifier: MIT */
/* The marks of damaged bytes, taken out of a stream: each by itself, and torn apart everywhere. The
   same against an oracle, over random streams, is tests/fuzz/fuzz_marks.c. */
#include "kt.h"

#include "../../backends/tty/marks.h"

/* Marks come out as these bytes, which the streams below do not contain. */
#define ERROR 'E'
#define BREAK 'B'

static size_t decode(struct tty_marks_s *marks, const void *in, size_t size, char *out, size_t room)
{
    const uint8_t *p = in;
    size_t made = 0;

    while (size) {
        uint8_t buffer[64];
        struct tty_marks_result_s r = tty_marks_decode(marks, p, size, buffer, room);

        ck_assert_uint_le(r.made, room);
        ck_assert_uint_le(r.used, size);
        ck_assert(r.used || r.made);
        memcpy(out + made, buffer, r.made);
        made += r.made;
        if (r.mark != TTY_MARK_NONE)
            out[made++] = r.mark == TTY_MARK_ERROR ? ERROR : BREAK;
        p += r.used;
        size -= r.used;
    }
    out[made] = 0;
    return made;
}

#define IN(text) (text), sizeof(text) - 1

static const struct {
    const char *in;
    size_t size;
    const char *out;
} cases[] = {
    {IN(""), ""},
    {IN("abc"), "abc"},
    {IN("\377\377"), "\377"},
    {IN("\377\377\377\377"), "\377\377"},
    {IN("\377\0x"), "E"},
    {IN("\377\0\0"), "B"},
    {IN("a\377\0xb"), "aEb"},
    {IN("a\377\0\0b"), "aBb"},
    {IN("\377\0\377\377\377"), "E\377"}, /* the damaged byte was 377: it is not doubled */
    {IN("\377\0\377a"), "Ea"},
    {IN("a\377\0x\377\0\0\377\377z"), "aEB\377z"},
    {IN("\377\0x\377\0y\377\0\0"), "EEB"},
    {IN("\377"), ""}, /* not complete */
    {IN("\377\0"), ""},
    {IN("\377a"), "\377a"}, /* not a mark: read before the marks were switched on */
    {IN("\377a\377\0x"), "\377aE"},
};

#define CASES ((int)(sizeof cases / sizeof *cases))

START_TEST(each_mark)
{
    for (int i = 0; i < CASES; i++) {
        struct tty_marks_s marks = {0};
        char out[64];

        decode(&marks, cases[i].in, cases[i].size, out, 32);
        ck_assert_msg(strcmp(out, cases[i].out) == 0, "case %d: '%s', not '%s'", i, out,
                      cases[i].out);
    }
}
END_TEST

START_TEST(torn_apart_everywhere)
{
    for (int i = 0; i < CASES; i++) {
        size_t size = cases[i].size;

        /* A set bit of `cuts` is a cut between two bytes. */
        for (unsigned cuts = 0; cuts < 1u << size; cuts++) {
            for (size_t room = 1; room <= 3; room++) {
                struct tty_marks_s marks = {0};
                size_t from = 0, made = 0;
                char out[64] = "";

                for (size_t to = 1; to <= size; to++) {
                    if (to < size && !(cuts >> to & 1))
                        continue;
                    made += decode(&marks, cases[i].in + from, to - from, out + made, room);
                    from = to;
                }
                ck_assert_msg(strcmp(out, cases[i].out) == 0,
                              "case %d, cuts %x, room %u: '%s', not '%s'", i, cuts, (unsigned)room,
                              out, cases[i].out);
            }
        }
    }
}
END_TEST

START_TEST(no_room_takes_marks_only)
{
    struct tty_marks_s marks = {0};
    struct tty_marks_result_s r;

    r = tty_marks_decode(&marks, (const uint8_t *)"\377\0xa", 4, NULL, 0);
    ck_assert_uint_eq(r.used, 3);
    ck_assert_uint_eq(r.made, 0);
    ck_assert_int_eq(r.mark, TTY_MARK_ERROR);
    r = tty_marks_decode(&marks, (const uint8_t *)"a", 1, NULL, 0);
    ck_assert_uint_eq(r.used, 0);
    ck_assert_int_eq(r.mark, TTY_MARK_NONE);
}
END_TEST

START_TEST(in_place)
{
    struct tty_marks_s marks = {0};
    uint8_t data[] = "ab\377\377cd\377\377e";
    struct tty_marks_result_s r =
        tty_marks_decode(&marks, data, sizeof data - 1, data, sizeof data - 1);

    ck_assert_uint_eq(r.used, sizeof data - 1);
    ck_assert_uint_eq(r.made, 7);
    ck_assert_mem_eq(data, "ab\377cd\377e", 7);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_marks");

    kt_add(s, each_mark, 10);
    kt_add(s, torn_apart_everywhere, 60);
    kt_add(s, no_room_takes_marks_only, 10);
    kt_add(s, in_place, 10);
    return s;
}
