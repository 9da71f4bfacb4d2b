/* SPDX-License-Identifier: MIT */
/*
 * The driver gpiomem on the registers of a Raspberry Pi 3, beside the kernel's driver of the same
 * lines: what the one drives, the other reads. tests/vm/raspi tells the names.
 */
#include "kt.h"

#include <stdio.h>

#define REGISTERS 0x3f200000 /* of bcm2837-rpi-3-b.dtb */

static struct kt_env_s env;
static struct device_gpio_s mem = DEVICE_ACCESSOR_INIT, kernel = DEVICE_ACCESSOR_INIT;

static error_t try_open(struct device_gpio_s *acc, const char *format, const char *chip,
                        const char *lines)
{
    char spec[160];

    snprintf(spec, sizeof spec, format, chip, lines);
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_GPIO);
}

static void must_open(struct device_gpio_s *acc, const char *format, const char *chip,
                      const char *lines)
{
    error_t err = try_open(acc, format, chip, lines);

    ck_assert_msg(err == 0, "%s: %s", lines, kroutine_error_text());
}

static void set_up(void)
{
    kt_env_open(&env, KT_THREADS);
}

static void tear_down(void)
{
    device_put_accessor(&mem.base);
    device_put_accessor(&kernel.base);
    kt_env_close(&env);
}

static const char *chip(void)
{
    const char *name = getenv("KT_GPIO_RASPI");

    ck_assert_msg(name != NULL, "KT_GPIO_RASPI is not set: to be started by tests/vm/raspi");
    return name;
}

#define PATTERNS 6
static const uint64_t patterns[PATTERNS] = {0x5555, 0xaaaa, 0, 0xffff, 0x1234, 0x8001};

static void agree(const struct device_gpio_s *drives, const struct device_gpio_s *reads,
                  uint16_t count)
{
    uint64_t data;

    for (unsigned i = 0; i < PATTERNS; i++) {
        uint64_t wanted = patterns[i] & ((1u << count) - 1);

        ck_assert_int_eq(DEVICE_OP(drives, set_output, 0, count - 1, wanted, wanted), 0);
        ck_assert_int_eq(DEVICE_OP(reads, get_input, 0, count - 1, &data), 0);
        ck_assert_uint_eq(data, wanted);
        ck_assert_int_eq(DEVICE_OP(drives, get_input, 0, count - 1, &data), 0);
        ck_assert_uint_eq(data, wanted);
    }
}

#define FREE "4-6,12-13,16-18,21-27"
#define MANY 15

START_TEST(the_kernel_drives)
{
    set_up();
    must_open(&kernel, "gpiod:%s/%s?mode=output", chip(), FREE);
    must_open(&mem, "gpiomem:%s/%s", "auto", FREE);
    agree(&kernel, &mem, MANY);
    tear_down();
}
END_TEST

START_TEST(registers_drive)
{
    set_up();
    must_open(&kernel, "gpiod:%s/%s", chip(), FREE);
    must_open(&mem, "gpiomem:%s/%s?mode=output", "auto", FREE);
    agree(&mem, &kernel, MANY);
    device_put_accessor(&mem.base);
    must_open(&mem, "gpiomem:%s/%s?mode=output&active-low=yes&value=0x2aaa", "bcm2835", FREE);
    for (uint16_t i = 0; i < MANY; i++)
        ck_assert_int_eq(dev_gpio_input(&kernel, i), i % 2 == 0);
    tear_down();
}
END_TEST

/* Some that neither the kernel nor another function has. */
static unsigned find_second_bank(char *lines, size_t size)
{
    struct dev_gpio_line_info_s info;
    unsigned count = 0;

    must_open(&mem, "gpiomem:%s%s", "auto", "");
    must_open(&kernel, "gpiod:%s%s", chip(), "");
    *lines = 0;
    for (uint16_t i = 32; i < 46 && count < 4; i++) {
        size_t used = strlen(lines);

        ck_assert_int_eq(DEVICE_OP(&kernel, line_info, i, &info), 0);
        if (info.used)
            continue;
        ck_assert_int_eq(DEVICE_OP(&mem, line_info, i, &info), 0);
        if (info.used)
            continue;
        snprintf(lines + used, size - used, "%s%u", used ? "," : "", i);
        count++;
    }
    device_put_accessor(&mem.base);
    device_put_accessor(&kernel.base);
    return count;
}

START_TEST(the_second_bank)
{
    char lines[40];
    unsigned count;

    set_up();
    count = find_second_bank(lines, sizeof lines);
    ck_assert_uint_ge(count, 2);
    must_open(&kernel, "gpiod:%s/%s", chip(), lines);
    must_open(&mem, "gpiomem:%s/%s?mode=output", "auto", lines);
    agree(&mem, &kernel, (uint16_t)count);
    tear_down();
}
END_TEST

/* GPIO2 and GPIO3 are those of I2C. */
START_TEST(lines_of_a_bus)
{
    struct dev_gpio_line_info_s info;

    set_up();
    must_open(&mem, "gpiomem:%s%s", "auto", "");
    for (uint16_t i = 2; i < 4; i++) {
        ck_assert_int_eq(DEVICE_OP(&mem, line_info, i, &info), 0);
        ck_assert(info.used);
        ck_assert_str_eq(info.consumer, "alt0");
    }
    ck_assert_int_eq(try_open(&kernel, "gpiomem:%s/%s?mode=output", "auto", "2"), -EBUSY);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "alt0"));
    ck_assert_int_eq(DEVICE_OP(&mem, line_info, 2, &info), 0);
    ck_assert_str_eq(info.consumer, "alt0");
    tear_down();
}
END_TEST

/* The other ways to the same registers. */
START_TEST(other_files)
{
    char keys[100];

    set_up();
    must_open(&kernel, "gpiod:%s/%s", chip(), "17");
    snprintf(keys, sizeof keys, "17?mode=output&device=/dev/mem&offset=%#x", REGISTERS);
    must_open(&mem, "gpiomem:%s/%s", "pinctrl-bcm2835", keys);
    agree(&mem, &kernel, 1);
    device_put_accessor(&mem.base);
    snprintf(keys, sizeof keys, "GPIO17?mode=output&device=%s", getenv("KT_UIO_GPIOMEM"));
    must_open(&mem, "gpiomem:%s%s", "", keys);
    agree(&mem, &kernel, 1);
    tear_down();
}
END_TEST

/* QEMU has no pulls: that it goes through, and takes the time it has to. */
START_TEST(pulls)
{
    uint64_t start;

    set_up();
    must_open(&mem, "gpiomem:%s/%s", "auto", "16-17");
    start = kt_now();
    ck_assert_int_eq(dev_gpio_mode(&mem, 0, DEV_GPIO_INPUT | DEV_GPIO_PULL_UP, 0), 0);
    ck_assert_uint_ge(kt_now() - start, 300000);
    tear_down();
}
END_TEST

/* One that has an output, and the kernel asked for the line afterwards. */
START_TEST(an_output_stays_after_the_end)
{
    set_up();
    must_open(&mem, "gpiomem:%s/%s?mode=output&value=1", "auto", "17");
    device_put_accessor(&mem.base);
    must_open(&kernel, "gpiod:%s/%s", chip(), "17");
    ck_assert_int_eq(dev_gpio_input(&kernel, 0), 1);
    must_open(&mem, "gpiomem:%s/%s", "auto", "17");
    ck_assert_int_eq(dev_gpio_out(&mem, 0, false), 0); /* it is an output still */
    ck_assert_int_eq(dev_gpio_input(&kernel, 0), 0);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi_gpiomem");

    kt_add(s, the_kernel_drives, 20);
    kt_add(s, registers_drive, 20);
    kt_add(s, the_second_bank, 20);
    kt_add(s, lines_of_a_bus, 20);
    kt_add(s, other_files, 20);
    kt_add(s, pulls, 20);
    kt_add(s, an_output_stays_after_the_end, 20);
    return s;
}
