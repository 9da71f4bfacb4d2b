/* SPDX-License-Identifier: MIT */
/* Specs: values of every kind, %XX, and what is wrong with a bad one, in words. */
#include "kt.h"

#include <stdio.h>

#include <kroutine/driver.h>

#include "../../lib/device.h"

static const struct driver_param_s params[] = {
    {"speed", "a number", NULL, 10, 5000000, DRIVER_PARAM_UINT},
    {"any", "a number", NULL, 0, UINT64_MAX, DRIVER_PARAM_UINT},
    {"loud", "a switch", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"mode", "a word", "none|odd|even|oddly", 0, 0, DRIVER_PARAM_ENUM},
    {"label", "a text", NULL, 0, 0, DRIVER_PARAM_STRING},
    {.key = NULL},
};

static error_t open_nothing(struct device_s *dev, const struct device_spec_s *spec)
{
    (void)dev;
    (void)spec;
    return 0;
}

static void close_nothing(struct device_s *dev)
{
    (void)dev;
}

static const struct driver_s driver = {
    .name = "test", .params = params, .f_open = open_nothing, .f_close = close_nothing};
static const struct driver_s keyless = {
    .name = "keyless", .f_open = open_nothing, .f_close = close_nothing};

static struct device_spec_s *parse(const char *text)
{
    struct device_spec_s *spec = NULL;
    char whole[300];

    snprintf(whole, sizeof whole, "test:%s", text);
    ck_assert_msg(kr_spec_parse(&spec, &driver, text, whole) == 0, "%s: %s", text,
                  kroutine_error_text());
    return spec;
}

static uint64_t number(const char *text, const char *key)
{
    struct device_spec_s *spec = parse(text);
    uint64_t value;

    ck_assert(device_spec_has(spec, key));
    value = device_spec_uint(spec, key, 12345);
    kr_spec_free(spec);
    return value;
}

static void expect_error(const char *text, error_t err, const char *words)
{
    struct device_spec_s *spec = (struct device_spec_s *)&driver;
    char whole[300];

    snprintf(whole, sizeof whole, "test:%s", text);
    ck_assert_msg(kr_spec_parse(&spec, &driver, text, whole) == err, "%s gave another error", text);
    ck_assert_msg(strstr(kroutine_error_text(), words) != NULL, "'%s' is not in '%s'", words,
                  kroutine_error_text());
    ck_assert_ptr_eq(spec, &driver); /* untouched */
}

START_TEST(an_address_alone)
{
    struct device_spec_s *spec = parse("/dev/ttyS0");

    ck_assert_str_eq(device_spec_address(spec), "/dev/ttyS0");
    ck_assert(!device_spec_has(spec, "speed"));
    ck_assert_uint_eq(device_spec_uint(spec, "speed", 7), 7);
    ck_assert_ptr_null(device_spec_string(spec, "label", NULL));
    ck_assert_str_eq(device_spec_string(spec, "label", "x"), "x");
    kr_spec_free(spec);
    spec = parse("");
    ck_assert_str_eq(device_spec_address(spec), "");
    kr_spec_free(spec);
    spec = parse("0000:00:03.0"); /* colons are the address's after the first */
    ck_assert_str_eq(device_spec_address(spec), "0000:00:03.0");
    kr_spec_free(spec);
}
END_TEST

START_TEST(numbers)
{
    ck_assert_uint_eq(number("a?speed=115200", "speed"), 115200);
    ck_assert_uint_eq(number("?speed=0x10", "speed"), 16);
    ck_assert_uint_eq(number("?any=0XfF", "any"), 255);
    ck_assert_uint_eq(number("?speed=5M", "speed"), 5000000);
    ck_assert_uint_eq(number("?speed=64k", "speed"), 64000);
    ck_assert_uint_eq(number("?speed=10", "speed"), 10);
    ck_assert_uint_eq(number("?any=0", "any"), 0);
    ck_assert_uint_eq(number("?any=18446744073709551615", "any"), UINT64_MAX);
    ck_assert_uint_eq(number("?any=0xffffffffffffffff", "any"), UINT64_MAX);
}
END_TEST

START_TEST(bad_numbers)
{
    expect_error("a?speed=9x", -EINVAL, "speed=9x: not a number");
    expect_error("a?speed=", -EINVAL, "speed=: not a number");
    expect_error("a?speed=0x", -EINVAL, "speed=0x: not a number");
    expect_error("a?speed=0xg", -EINVAL, "not a number");
    expect_error("a?speed=k", -EINVAL, "not a number");
    expect_error("a?speed=1kk", -EINVAL, "not a number");
    expect_error("a?speed=0x1k", -EINVAL, "not a number");
    expect_error("a?speed=-1", -EINVAL, "not a number");
    expect_error("a?speed= 1", -EINVAL, "not a number");
    expect_error("a?speed=1a", -EINVAL, "not a number");
    expect_error("a?speed=9", -ERANGE, "speed=9: must be 10 to 5000000");
    expect_error("a?speed=5000001", -ERANGE, "must be 10 to 5000000");
    expect_error("a?speed=6M", -ERANGE, "must be 10 to 5000000");
    expect_error("a?any=18446744073709551616", -ERANGE, "too large");
    expect_error("a?any=99999999999999999999999", -ERANGE, "too large");
    expect_error("a?any=18446744073709551615k", -ERANGE, "any=");
    expect_error("a?speed=9x", -EINVAL, "(in 'test:a?speed=9x')");
}
END_TEST

START_TEST(switches)
{
    static const char *const yes[] = {"yes", "on", "true", "1"};
    static const char *const no[] = {"no", "off", "false", "0"};
    char text[32];

    for (unsigned i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "?loud=%s", yes[i]);
        ck_assert_uint_eq(number(text, "loud"), 1);
        snprintf(text, sizeof text, "?loud=%s", no[i]);
        ck_assert_uint_eq(number(text, "loud"), 0);
    }
    expect_error("?loud=maybe", -EINVAL, "loud=maybe: must be yes or no");
    expect_error("?loud=", -EINVAL, "must be yes or no");
    expect_error("?loud=YES", -EINVAL, "must be yes or no");
    expect_error("?loud=n", -EINVAL, "must be yes or no");
    expect_error("?loud=no|yes", -EINVAL, "must be yes or no");
}
END_TEST

START_TEST(words)
{
    struct device_spec_s *spec = parse("?mode=even");

    ck_assert_uint_eq(device_spec_uint(spec, "mode", 9), 2);
    ck_assert_str_eq(device_spec_string(spec, "mode", ""), "even");
    kr_spec_free(spec);
    ck_assert_uint_eq(number("?mode=none", "mode"), 0);
    ck_assert_uint_eq(number("?mode=odd", "mode"), 1); /* not the start of another */
    ck_assert_uint_eq(number("?mode=oddly", "mode"), 3);
    expect_error("?mode=od", -EINVAL, "mode=od: must be one of none|odd|even|oddly");
    expect_error("?mode=none|odd", -EINVAL, "must be one of");
    expect_error("?mode=", -EINVAL, "must be one of");
}
END_TEST

START_TEST(texts)
{
    struct device_spec_s *spec = parse("/x?label=a=b?c:d&loud=1");

    ck_assert_str_eq(device_spec_string(spec, "label", ""), "a=b?c:d");
    ck_assert_uint_eq(device_spec_uint(spec, "loud", 0), 1);
    kr_spec_free(spec);
    spec = parse("?label=");
    ck_assert(device_spec_has(spec, "label"));
    ck_assert_str_eq(device_spec_string(spec, "label", "otherwise"), "");
    kr_spec_free(spec);
}
END_TEST

START_TEST(escapes)
{
    struct device_spec_s *spec = parse("/dev/a%20b%3fc?label=%26x%3D%25&speed=1%300");

    ck_assert_str_eq(device_spec_address(spec), "/dev/a b?c");
    ck_assert_str_eq(device_spec_string(spec, "label", ""), "&x=%");
    ck_assert_uint_eq(device_spec_uint(spec, "speed", 0), 100);
    kr_spec_free(spec);
    expect_error("/a%", -EINVAL, "%XX in the address");
    expect_error("/a%2", -EINVAL, "%XX in the address");
    expect_error("/a%g0", -EINVAL, "%XX in the address");
    expect_error("/a%00", -EINVAL, "%XX in the address");
    expect_error("/a?label=%zz", -EINVAL, "%XX in the value of 'label'");
}
END_TEST

START_TEST(keys)
{
    struct device_spec_s *spec = NULL;

    expect_error(
        "/x?speeed=1", -EINVAL,
        "unknown key 'speeed' in 'test:/x?speeed=1' (keys: speed, any, loud, mode, label)");
    expect_error("/x?spee=1", -EINVAL, "unknown key 'spee'");
    expect_error("/x?SPEED=1", -EINVAL, "unknown key 'SPEED'");
    expect_error("/x?speed=11&speed=12", -EINVAL, "'speed' is given twice");
    expect_error("/x?speed", -EINVAL, "'speed' has no value");
    expect_error("/x?=1", -EINVAL, "empty key");
    expect_error("/x?", -EINVAL, "empty key");
    expect_error("/x?speed=11&", -EINVAL, "empty key");
    ck_assert_int_eq(kr_spec_parse(&spec, &keyless, "x?a=1", "keyless:x?a=1"), -EINVAL);
    ck_assert_str_eq(kroutine_error_text(), "unknown key 'a' in 'keyless:x?a=1' (keys: none)");
    ck_assert_int_eq(kr_spec_parse(&spec, &keyless, "x", "keyless:x"), 0);
    ck_assert(!device_spec_has(spec, "a"));
    kr_spec_free(spec);
}
END_TEST

static void *texts_of_a_thread(void *arg)
{
    (void)arg;
    ck_assert_str_eq(kroutine_error_text(), "");
    device_error(-EIO, "of the other thread");
    return NULL;
}

START_TEST(error_text)
{
    char large[2000];

    ck_assert_str_eq(kroutine_error_text(), "");
    ck_assert_int_eq(device_error(-EBUSY, "%s %d", "seven is", 7), -EBUSY);
    ck_assert_str_eq(kroutine_error_text(), "seven is 7");
    device_error(-EBUSY, "<%s>", kroutine_error_text()); /* its own text as an argument */
    ck_assert_str_eq(kroutine_error_text(), "<seven is 7>");
    kt_join(kt_thread(texts_of_a_thread, NULL));
    ck_assert_str_eq(kroutine_error_text(), "<seven is 7>");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    device_error(-EBUSY, "%s", large);
    ck_assert_uint_eq(strspn(kroutine_error_text(), "x"), strlen(kroutine_error_text()));
    ck_assert_uint_gt(strlen(kroutine_error_text()), 200);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("spec");

    kt_add(s, an_address_alone, 10);
    kt_add(s, numbers, 10);
    kt_add(s, bad_numbers, 10);
    kt_add(s, switches, 10);
    kt_add(s, words, 10);
    kt_add(s, texts, 10);
    kt_add(s, escapes, 10);
    kt_add(s, keys, 10);
    kt_add(s, error_text, 10);
    return s;
}
