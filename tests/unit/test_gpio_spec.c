/* SPDX-License-Identifier: MIT */
/* Addresses of gpio devices: chip and list of lines. */
#include "kt.h"

#include "../../lib/gpio_lines.h"

static const char *const names[] = {"GPIO0", "GPIO1", "GPIO2", "GPIO3",
                                    "door",  "ID_SD", "twin",  "twin"};
#define LINES (sizeof names / sizeof *names)

static int find(const struct kr_lines_finder_s *finder, const char *name)
{
    int found = -ENOENT;

    for (unsigned i = 0; i < finder->count && i < LINES; i++)
        if (strcmp(names[i], name) == 0)
            found = found == -ENOENT ? (int)i : -ENOTUNIQ;
    return found;
}

static const struct kr_lines_finder_s chip = {.count = LINES, .find = find};

START_TEST(chips)
{
    static const struct {
        const char *address, *chip, *lines;
    } good[] = {
        {"gpiochip0/4", "gpiochip0", "4"},
        {"/dev/gpiochip0/4-7", "gpiochip0", "4-7"},
        {"pinctrl-rp1/GPIO17", "pinctrl-rp1", "GPIO17"},
        {"fe200000.gpio/ID_SDA/GPIO0", "fe200000.gpio", "ID_SDA/GPIO0"},
        {"INT34C5:00/1,2", "INT34C5:00", "1,2"},
        {"gpiochip0", "gpiochip0", NULL}, /* the chip alone */
        {"/dev/gpiochip0", "gpiochip0", NULL},
    };
    static const char *const bad[] = {"", "gpiochip0/", "/4", "/dev/",
                                      "a-label-that-is-longer-than-32-bytes/4"};
    const char *lines;
    char text[32];

    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_int_eq(kr_lines_split(text, sizeof text, &lines, "gpiod", good[i].address), 0);
        ck_assert_str_eq(text, good[i].chip);
        if (good[i].lines)
            ck_assert_str_eq(lines, good[i].lines);
        else
            ck_assert_ptr_null(lines);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(kr_lines_split(text, sizeof text, &lines, "gpiod", bad[i]), -EINVAL);
}
END_TEST

START_TEST(lists)
{
    static const struct {
        const char *lines;
        int count;
        uint32_t offsets[8];
    } good[] = {
        {"0", 1, {0}},
        {"4-7", 4, {4, 5, 6, 7}},
        {"3-3", 1, {3}},
        {"7,0", 2, {7, 0}},
        {"door", 1, {4}},
        {"GPIO3,5-7,GPIO1", 5, {3, 5, 6, 7, 1}},
        {"ID_SD,0-1", 3, {5, 0, 1}},
    };

    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t offsets[DEV_GPIO_LINES_MAX];

        ck_assert_int_eq(kr_lines_parse(offsets, good[i].lines, &chip), good[i].count);
        ck_assert_int_eq(memcmp(offsets, good[i].offsets, sizeof(uint32_t) * good[i].count), 0);
    }
}
END_TEST

/* The text names the part that is wrong. */
START_TEST(lists_that_cannot_be)
{
    static const struct {
        const char *lines;
        int error;
        const char *text;
    } bad[] = {
        {"", -EINVAL, "empty"},
        {"0,", -EINVAL, "empty"},
        {",0", -EINVAL, "empty"},
        {"0,,1", -EINVAL, "empty"},
        {"8", -ENOENT, "8"},
        {"6-9", -ENOENT, "9"},
        {"5-2", -EINVAL, "5-2"},
        {"99999999999999999999", -ENOENT, "line"},
        {"4-", -ENOENT, "4-"},
        {"-4", -ENOENT, "-4"},
        {"4-5-6", -ENOENT, "4-5-6"},
        {"4 ", -ENOENT, "4 "},
        {"0x4", -ENOENT, "0x4"},
        {"GPIO", -ENOENT, "GPIO"},
        {"twin", -EINVAL, "twin"},
        {"door,4", -EINVAL, "twice"},
        {"0-4,2", -EINVAL, "twice"},
        {"a-name-of-a-line-that-is-much-longer-than-the-thirty-one-bytes-that-a-name-can-have",
         -ENOENT, "long"},
    };

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t offsets[DEV_GPIO_LINES_MAX];

        ck_assert_msg(kr_lines_parse(offsets, bad[i].lines, &chip) == bad[i].error, "'%s': %s",
                      bad[i].lines, kroutine_error_text());
        ck_assert_msg(strstr(kroutine_error_text(), bad[i].text), "'%s' is not in '%s'",
                      bad[i].text, kroutine_error_text());
    }
}
END_TEST

START_TEST(as_many_as_the_kernel_takes)
{
    struct kr_lines_finder_s large = {.count = 100, .find = find};
    uint32_t offsets[DEV_GPIO_LINES_MAX];

    ck_assert_int_eq(kr_lines_parse(offsets, "10-73", &large), 64);
    ck_assert_uint_eq(offsets[63], 73);
    ck_assert_int_eq(kr_lines_parse(offsets, "10-74", &large), -E2BIG);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_spec");

    kt_add(s, chips, 10);
    kt_add(s, lists, 10);
    kt_add(s, lists_that_cannot_be, 10);
    kt_add(s, as_many_as_the_kernel_takes, 10);
    return s;
}
