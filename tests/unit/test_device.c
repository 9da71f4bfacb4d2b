/* SPDX-License-Identifier: MIT */
/* The device tree: drivers, lookups, devices by name and by spec, counts of accessors and starts.
 */
#include "mock.h"

#include <stdio.h>

static void expect(const char *path, enum driver_class_e cl, error_t err, const char *words)
{
    struct device_accessor_s acc = {NULL, &acc, &acc, 77};

    ck_assert_int_eq(device_get_accessor_by_path(&acc, root, path, cl), err);
    ck_assert_msg(strstr(kroutine_error_text(), words) != NULL, "%s: '%s' is not in '%s'", path,
                  words, kroutine_error_text());
    ck_assert(acc.dev == NULL && acc.api == &acc && acc.drv == &acc && acc.number == 77);
}

/* --- drivers --- */

START_TEST(registering_drivers)
{
    static struct driver_s many[20], bad;
    static char names[20][16];
    unsigned count = 0;

    while (driver_get(count))
        count++;
    ck_assert_uint_ge(count, 5);
    ck_assert_ptr_null(driver_get(count + 1000));
    ck_assert_int_eq(driver_register(NULL), -EINVAL);
    bad = mock;
    bad.f_close = NULL;
    ck_assert_int_eq(driver_register(&bad), -EINVAL);
    bad = mock;
    bad.f_open = NULL;
    ck_assert_int_eq(driver_register(&bad), -EINVAL);
    bad = mock;
    bad.name = "with space";
    ck_assert_int_eq(driver_register(&bad), -EINVAL);
    bad.name = "";
    ck_assert_int_eq(driver_register(&bad), -EINVAL);
    bad.name = "tty";
    ck_assert_int_eq(driver_register(&bad), -EEXIST);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "driver-%u", i);
        many[i] = mock;
        many[i].name = names[i];
        ck_assert_int_eq(driver_register(&many[i]), 0);
        ck_assert_int_eq(driver_register(&many[i]), -EEXIST);
        ck_assert_ptr_eq(driver_get(count + i), &many[i]);
    }
    ck_assert_ptr_null(driver_get(count + 20));
}
END_TEST

/* --- lookups --- */

START_TEST(the_default_tree)
{
    static const char *const names[] = {"timer0", "timer1", "timer2"};
    struct device_timer_s acc = DEVICE_ACCESSOR_INIT;

    set_up();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(device_get_accessor_by_path(&acc.base, root, names[i], DRIVER_CLASS_TIMER),
                         0);
        ck_assert(device_check_accessor(&acc.base));
        ck_assert_str_eq(device_name(acc.dev), names[i]);
        ck_assert_str_eq(device_driver_name(acc.dev), "timer");
        ck_assert(device_has_class(acc.dev, DRIVER_CLASS_TIMER));
        ck_assert(device_has_class(acc.dev, DRIVER_CLASS_NONE));
        ck_assert(!device_has_class(acc.dev, DRIVER_CLASS_CHAR));
        ck_assert_ptr_eq(device_runtime(acc.dev), env.rt);
        ck_assert(DEVICE_HAS_OP(&acc, request));
        ck_assert_int_eq(device_destroy(acc.dev), -EINVAL);
        device_put_accessor(&acc.base);
        ck_assert(!device_check_accessor(&acc.base));
        device_put_accessor(&acc.base); /* left alone */
    }
    kt_env_close(&env);
}
END_TEST

START_TEST(paths)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;

    set_up();
    ck_assert_int_eq(device_create(NULL, root, "timer-like", &mock, "x?n=7"), 0);
    ck_assert_int_eq(device_create(NULL, root, "console", &mock, NULL), 0);
    ck_assert_int_eq(get(&acc, "timer*"), 0); /* the first that has the class */
    ck_assert_str_eq(device_name(acc.dev), "timer-like");
    device_put_accessor(&acc.base);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "timer*", DRIVER_CLASS_TIMER),
                     0);
    ck_assert_str_eq(device_name(timer.dev), "timer0");
    device_put_accessor(&timer.base);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "t?mer?", DRIVER_CLASS_NONE),
                     0);
    ck_assert_str_eq(device_name(timer.dev), "timer0");
    ck_assert_ptr_null(timer.api);
    device_put_accessor(&timer.base);
    ck_assert_int_eq(get(&acc, "  nothing  con*o?e  mock:y "), 0);
    ck_assert_str_eq(device_name(acc.dev), "console");
    device_put_accessor(&acc.base);
    ck_assert_int_eq(get(&acc, "nothing mock:y"), 0);
    ck_assert_str_eq(device_name(acc.dev), "mock:y");
    ck_assert_str_eq(device_driver_name(acc.dev), "mock");
    expect("mock*", DRIVER_CLASS_CHAR, -ENOENT, "nothing is named 'mock*'");
    device_put_accessor(&acc.base);
    ck_assert_int_eq(get(&acc, "*"), 0);
    ck_assert_str_eq(device_name(acc.dev), "timer-like");
    device_put_accessor(&acc.base);
    kt_env_close(&env);
    ck_assert_uint_eq(opens, 3);
    ck_assert_uint_eq(closes, 3);
}
END_TEST

START_TEST(what_is_wrong_with_a_path)
{
    set_up();
    expect("timer9", DRIVER_CLASS_TIMER, -ENOENT, "nothing is named 'timer9' in the tree");
    expect("timer", DRIVER_CLASS_TIMER, -ENOENT, "nothing is named 'timer'");
    expect("timer0x", DRIVER_CLASS_TIMER, -ENOENT, "nothing is named 'timer0x'");
    expect("", DRIVER_CLASS_CHAR, -EINVAL, "the path is empty");
    expect(" ", DRIVER_CLASS_CHAR, -EINVAL, "the path is empty");
    expect(NULL, DRIVER_CLASS_CHAR, -EINVAL, "the path is empty");
    expect("timer0", DRIVER_CLASS_CHAR, -ENOTSUP, "'timer0' has no class char (classes: timer)");
    expect("tim*", DRIVER_CLASS_CHAR, -ENOTSUP, "has no class char");
    expect("mock:x", DRIVER_CLASS_TIMER, -ENOTSUP,
           "'mock:x' has no class timer (classes: char, uart, mem)");
    expect("timer0", (enum driver_class_e)99, -EINVAL, "no class 99");
    expect("ty:/dev/x", DRIVER_CLASS_CHAR, -ENOENT,
           "no driver 'ty' (drivers of class char: fd, file, tty, ");
    expect("ty:/dev/x", DRIVER_CLASS_TIMER, -ENOENT,
           "no driver 'ty' (drivers of class timer: timer");
    expect("ty:/dev/x", DRIVER_CLASS_VALIO, -ENOENT,
           "no driver 'ty' (drivers of class valio: none)");
    expect("ty:/dev/x", DRIVER_CLASS_NONE, -ENOENT, "no driver 'ty' (drivers: fd, file, tty, ");
    ck_assert_msg(strstr(kroutine_error_text(), ", ...)"), "%s", kroutine_error_text());
    expect(":x", DRIVER_CLASS_CHAR, -ENOENT, "no driver ''");
    expect("mock:x?m=1", DRIVER_CLASS_CHAR, -EINVAL, "unknown key 'm' in 'mock:x?m=1' (keys: n)");
    expect("mock:x?n=9x", DRIVER_CLASS_CHAR, -EINVAL, "n=9x: not a number");
    expect("mock:x?n=101", DRIVER_CLASS_CHAR, -ERANGE, "n=101: must be 0 to 100");
    expect("file:/nowhere/x", DRIVER_CLASS_CHAR, -ENOENT, "file:/nowhere/x: ");
    expect("timer9 mock:x?n=101 ty:z", DRIVER_CLASS_CHAR, -ERANGE,
           "nothing is named 'timer9' in the tree; n=101: must be 0 to 100");
    open_error = -EIO;
    expect("mock:x?n=1", DRIVER_CLASS_CHAR, -EIO, "mock:x?n=1: the hardware says no");
    open_error = -ENODEV;
    expect("mock:x", DRIVER_CLASS_CHAR, -ENODEV, "mock:x: No such device");
    kt_env_close(&env);
    ck_assert_uint_eq(opens + closes, 0);
}
END_TEST

START_TEST(escapes_in_paths)
{
    char path[] = "/tmp/kr test XXXXXX", spec[64];
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    char back[4] = "";
    int fd;

    set_up();
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, "abc", 3), 3);
    close(fd);
    snprintf(spec, sizeof spec, "file:/tmp/kr%%20test%%20%s", path + 13);
    ck_assert_msg(get(&acc, spec) == 0, "%s", kroutine_error_text());
    ck_assert_int_eq((int)dev_char_wait_op(&acc, DEV_CHAR_READ, back, 3), 3);
    ck_assert_str_eq(back, "abc");
    device_put_accessor(&acc.base);
    unlink(path);
    kt_env_close(&env);
}
END_TEST

/* --- devices by name --- */

START_TEST(making_and_destroying)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct device_s *dev = NULL;

    set_up();
    ck_assert_int_eq(device_create(&dev, root, "", &mock, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, NULL, &mock, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "a b", &mock, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "a:b", &mock, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "a*", &mock, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "a", NULL, NULL), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "a", &mock, "x?k=1"), -EINVAL);
    ck_assert_int_eq(device_create(&dev, root, "timer0", &mock, NULL), -EEXIST);
    open_error = -EIO;
    ck_assert_int_eq(device_create(&dev, root, "a", &mock, NULL), -EIO);
    ck_assert_ptr_null(dev);
    open_error = 0;
    ck_assert_int_eq(device_create(&dev, root, "a", &mock, "x?n=1"), 0);
    ck_assert_int_eq(device_create(&dev, root, "a", &mock, NULL), -EEXIST);
    ck_assert_int_eq(device_get_accessor(&acc.base, dev, DRIVER_CLASS_TIMER), -ENOTSUP);
    ck_assert_int_eq(device_get_accessor(&acc.base, root, DRIVER_CLASS_NONE), -EINVAL);
    ck_assert_int_eq(device_get_accessor(&acc.base, dev, DRIVER_CLASS_CHAR), 0);
    ck_assert_int_eq(device_destroy(dev), -EBUSY);
    device_put_accessor(&acc.base);
    ck_assert_uint_eq(closes, 0); /* stays without accessors */
    ck_assert_int_eq(get(&acc, "a"), 0);
    device_put_accessor(&acc.base);
    ck_assert_int_eq(device_destroy(dev), 0);
    ck_assert_uint_eq(closes, 1);
    expect("a", DRIVER_CLASS_CHAR, -ENOENT, "nothing is named 'a'");
    ck_assert_int_eq(device_create(&dev, root, "a", &mock, NULL), 0);
    ck_assert_int_eq(device_destroy(root), -EINVAL);
    kt_env_close(&env);
    ck_assert_uint_eq(opens, 2);
    ck_assert_uint_eq(closes, 2);
}
END_TEST

static bool note(const struct device_s *dev, void *arg)
{
    strcat(arg, device_name(dev));
    strcat(arg, " ");
    return strcmp(device_name(dev), "b") != 0;
}

START_TEST(walking_the_tree)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    struct device_s *dev;
    char names[100] = "";

    set_up();
    device_create(&dev, root, "a", &mock, NULL);
    ck_assert_int_eq(get(&acc, "mock:x"), 0);
    device_create(NULL, root, "b", &mock, NULL);
    device_create(NULL, root, "c", &mock, NULL);
    device_destroy(dev);
    device_foreach(root, note, names);
    ck_assert_str_eq(names, "timer0 timer1 timer2 dma0 mock:x b ");
    device_put_accessor(&acc.base);
    kt_env_close(&env);
}
END_TEST

/* --- accessors --- */

START_TEST(one_device_for_one_spec)
{
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;
    struct device_char_s c = DEVICE_ACCESSOR_INIT, d = DEVICE_ACCESSOR_INIT;
    struct device_uart_s u = DEVICE_ACCESSOR_INIT;
    struct kroutine_runtime_info_s info;

    set_up();
    ck_assert_int_eq(get(&a, "mock:x?n=1"), 0);
    ck_assert_int_eq(get(&b, "mock:x?n=1"), 0);
    ck_assert_int_eq(get(&c, "mock:x?n=2"), 0);
    ck_assert_int_eq(device_copy_accessor(&d.base, &a.base), 0);
    ck_assert_int_eq(device_get_accessor_by_path(&u.base, root, "mock:x?n=1", DRIVER_CLASS_UART),
                     0);
    ck_assert(device_cmp_accessor(&a.base, &b.base));
    ck_assert(device_cmp_accessor(&a.base, &d.base));
    ck_assert(!device_cmp_accessor(&a.base, &c.base));
    ck_assert(!device_cmp_accessor(&a.base, &u.base));
    ck_assert_ptr_eq(a.dev, u.dev);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_uint_eq(info.open_devices, 2);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    device_put_accessor(&d.base);
    ck_assert_uint_eq(closes, 0);
    device_put_accessor(&u.base);
    ck_assert_uint_eq(closes, 1);
    device_put_accessor(&c.base);
    ck_assert_uint_eq(closes, 2);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_uint_eq(info.open_devices, 0);
    ck_assert_int_eq(device_copy_accessor(&d.base, &a.base), -EINVAL);
    ck_assert(!device_cmp_accessor(&a.base, &b.base));
    ck_assert_int_eq(get(&a, "mock:x?n=1"), 0); /* opens anew */
    ck_assert_uint_eq(opens, 3);
    device_put_accessor(&a.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(start_and_stop)
{
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;

    set_up();
    ck_assert_int_eq(device_start(&a.base), -EINVAL);
    ck_assert_int_eq(get(&a, "mock:x"), 0);
    ck_assert_int_eq(get(&b, "mock:x"), 0);
    ck_assert_int_eq(device_stop(&a.base), -EINVAL);
    ck_assert_int_eq(device_start(&a.base), 0);
    ck_assert_int_eq(device_start(&b.base), 0);
    ck_assert_uint_eq(starts, 1);
    ck_assert_int_eq(device_stop(&b.base), 0);
    ck_assert_uint_eq(stops, 0);
    ck_assert_int_eq(device_stop(&a.base), 0);
    ck_assert_uint_eq(stops, 1);
    ck_assert_int_eq(device_stop(&a.base), -EINVAL);
    use_error = -EBUSY; /* f_use refuses: not counted */
    ck_assert_int_eq(device_start(&a.base), -EBUSY);
    ck_assert_int_eq(device_stop(&a.base), -EINVAL);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(missing_operations)
{
    struct device_uart_s u = DEVICE_ACCESSOR_INIT;
    struct dev_uart_config_s config;

    set_up();
    ck_assert_int_eq(device_get_accessor_by_path(&u.base, root, "mock:x", DRIVER_CLASS_UART), 0);
    ck_assert(!DEVICE_HAS_OP(&u, get_config));
    ck_assert_int_eq(DEVICE_OP(&u, get_config, &config), -ENOTSUP);
    ck_assert_int_eq(DEVICE_OP(&u, set_config, &config), -ENOTSUP);
    device_put_accessor(&u.base);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("device");

    kt_add(s, registering_drivers, 20);
    kt_add(s, the_default_tree, 20);
    kt_add(s, paths, 20);
    kt_add(s, what_is_wrong_with_a_path, 20);
    kt_add(s, escapes_in_paths, 20);
    kt_add(s, making_and_destroying, 20);
    kt_add(s, walking_the_tree, 20);
    kt_add(s, one_device_for_one_spec, 20);
    kt_add(s, start_and_stop, 20);
    kt_add(s, missing_operations, 20);
    return s;
}
