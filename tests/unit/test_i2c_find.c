/* SPDX-License-Identifier: MIT */
/* What the driver i2c makes of sysfs, on a tree of files: the names of adapters. */
#include "kt_tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../backends/i2c/i2c.h"

static struct kt_tree_s sysfs;
static struct kr_i2c_found_s found;

static void add(unsigned number, const char *name, const char *parent)
{
    char path[128], target[128];

    snprintf(path, sizeof path, "devices/%s/i2c-%u", parent, number);
    kt_tree_make(&sysfs, path, NULL);
    snprintf(path, sizeof path, "class/i2c-dev/i2c-%u/name", number);
    kt_tree_make(&sysfs, path, name);
    snprintf(path, sizeof path, "class/i2c-dev/i2c-%u/device", number);
    snprintf(target, sizeof target, "../../../devices/%s/i2c-%u", parent, number);
    kt_tree_link(&sysfs, path, target);
}

/* i2c-1: a Raspberry Pi; i2c-4 and i2c-5: two of a graphics card with the same name. */
static void set_up(void)
{
    kt_tree_init(&sysfs, "i2c");
    add(1, "bcm2835 (i2c@7e804000)\n", "3f804000.i2c");
    kt_tree_make(&sysfs, "firmware/devicetree/base/soc/i2c@7e804000", NULL);
    kt_tree_make(&sysfs, "firmware/devicetree/base/aliases/i2c1", "/soc/i2c@7e804000");
    kt_tree_make(&sysfs, "firmware/devicetree/base/__symbols__/i2c_arm", "/soc/i2c@7e804000");
    kt_tree_make(&sysfs, "firmware/devicetree/base/aliases/serial0", "/soc/serial@7e201000");
    kt_tree_link(&sysfs, "devices/3f804000.i2c/i2c-1/of_node",
                 "../../../firmware/devicetree/base/soc/i2c@7e804000");
    add(4, "card gmbus\n", "pci0/card");
    add(5, "card gmbus\n", "pci0/card5");
    kt_tree_make(&sysfs, "class/i2c-dev/other", NULL);
}

START_TEST(names)
{
    static const struct {
        const char *text;
        unsigned number;
    } known[] = {
        {"1", 1},
        {"i2c-1", 1},
        {"/dev/i2c-1", 1},
        {"bcm2835 (i2c@7e804000)", 1},
        {"3f804000.i2c", 1},
        {"i2c@7e804000", 1},
        {"/soc/i2c@7e804000", 1},
        {"i2c1", 1},
        {"i2c_arm", 1},
        {"5", 5},
        {"card5", 5},
    };

    set_up();
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        ck_assert_msg(!kr_i2c_find(&found, sysfs.root, known[i].text), "%s: %s", known[i].text,
                      kroutine_error_text());
        ck_assert_uint_eq(found.number, known[i].number);
    }
    ck_assert_int_eq(kr_i2c_find(&found, sysfs.root, "i2c-1"), 0);
    ck_assert_str_eq(found.name, "bcm2835 (i2c@7e804000)");
    ck_assert_str_eq(found.parent, "3f804000.i2c");
    ck_assert_str_eq(found.node, "/soc/i2c@7e804000");
}
END_TEST

START_TEST(names_that_are_none)
{
    static const char *const none[] = {"2",       "i2c-7",           "/dev/i2c-99",
                                       "serial0", "../aliases/i2c1", "bcm2835"};

    set_up();
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
        ck_assert_int_eq(kr_i2c_find(&found, sysfs.root, none[i]), -ENOENT);
        ck_assert_msg(strstr(kroutine_error_text(), "i2c-1 (bcm2835 (i2c@7e804000))"), "%s",
                      kroutine_error_text());
    }
    ck_assert_int_eq(kr_i2c_find(&found, sysfs.root, ""), -EINVAL);
    ck_assert_int_eq(kr_i2c_find(&found, sysfs.root, "card gmbus"), -EINVAL);
    ck_assert_msg(strstr(kroutine_error_text(), "i2c-4") && strstr(kroutine_error_text(), "i2c-5"),
                  "%s", kroutine_error_text());
}
END_TEST

START_TEST(no_adapter_at_all)
{
    kt_tree_init(&sysfs, "none");
    ck_assert_int_eq(kr_i2c_find(&found, sysfs.root, "1"), -ENOENT);
    ck_assert_msg(strstr(kroutine_error_text(), "modprobe i2c-dev") &&
                      strstr(kroutine_error_text(), "dtparam=i2c_arm=on"),
                  "%s", kroutine_error_text());
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("i2c_find");

    kt_add(s, names, 10);
    kt_add(s, names_that_are_none, 10);
    kt_add(s, no_adapter_at_all, 10);
    return s;
}
