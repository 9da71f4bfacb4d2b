/* SPDX-License-Identifier: MIT */
/* Values, modes and pulls by the driver gpiomem, on the registers of three chips. */
#include "gpiomem_file.h"

/* --- values --- */

#define MANY "4,17,31,34,20-21,53,0"

START_TEST(one_write_to_set_and_one_to_clear)
{
    set_up(_i);
    open_lines(MANY, "mode=output&value=0x25");
    expect_written(MANY, "scsccscc"); /* outputs begin with their values */
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 7, 0xf0, 0xf0), 0);
    expect_written(MANY, "ccccssss");
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 2, 3, 1, 1), 0);
    expect_written("31,34", "sc");
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 7, 0x81, 0x7e), 0); /* two toggle */
    expect_written("4,0", "sc");
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 7, 0, 0xff), 0); /* all stay */
    expect_written("", "");
    ck_assert_int_eq(dev_gpio_out(&dev, 6, false), 0);
    expect_written("53", "c");
    tear_down();
}
END_TEST

START_TEST(levels_of_every_bank)
{
    uint64_t data;

    set_up(_i);
    open_lines(MANY, "mode=input");
    expect_written("", "");
    for (unsigned i = 0; i < 64; i++) /* of lines that are not in the device */
        REG(line_at(i % 54).level) = UINT32_MAX;
    put_level(17, false);
    put_level(34, false);
    put_level(0, false);
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 0, 7, &data), 0);
    ck_assert_uint_eq(data, 0x75);
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 1, 3, &data), 0);
    ck_assert_uint_eq(data, 2);
    ck_assert_int_eq(dev_gpio_input(&dev, 7), 0);
    ck_assert_int_eq(dev_gpio_input(&dev, 6), 1);
    put_level(53, false);
    ck_assert_int_eq(dev_gpio_input(&dev, 6), 0);
    tear_down();
}
END_TEST

START_TEST(active_low)
{
    set_up(_i);
    open_lines("5,6", "mode=output&active-low=yes&value=1");
    expect_written("5,6", "cs");
    put_level(6, true);
    ck_assert_int_eq(dev_gpio_input(&dev, 0), 1);
    ck_assert_int_eq(dev_gpio_input(&dev, 1), 0);
    /* The value is what stays. */
    ck_assert_int_eq(dev_gpio_mode(&dev, 1, DEV_GPIO_OUTPUT, 0), 0);
    expect_written("5,6", "cc");
    ck_assert_int_eq(dev_gpio_out(&dev, 1, true), 0);
    expect_written("6", "s");
    tear_down();
}
END_TEST

/* --- modes --- */

/* Ten lines share a register of the one, and have one each in the other. */
START_TEST(other_lines_stay)
{
    uint32_t before[4];

    set_up(_i);
    for (unsigned i = 10; i < 20; i++)
        put_alt0(i);
    put_input(17);
    if (chip == RP1) {
        RP1_CTRL(17) |= 0x10000080; /* filter, interrupts */
        RP1_PAD(17) |= 0x31;        /* slew, drive */
    }
    memcpy(before, (const void *)regs, sizeof before);
    open_lines("17", "mode=output&value=1");
    expect_written("17", "s");
    for (unsigned i = 10; i < 20; i++)
        ck_assert(i == 17 || is_alt0(i));
    if (chip != RP1) {
        ck_assert_uint_eq(fsel(17), 1);
        ck_assert_uint_eq(REG(0), before[0]);
        ck_assert_uint_eq(REG(8), before[2]);
    } else {
        ck_assert_uint_eq(RP1_OE_SET, 1u << 17);
        ck_assert_uint_eq(RP1_OE_CLEAR, 0);
        ck_assert_uint_eq(RP1_CTRL(17), 0x10000085);
        ck_assert_uint_eq(RP1_PAD(17), 0x71);
        RP1_OE_SET = 0;
    }
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT, 0), 0);
    if (chip != RP1)
        ck_assert_uint_eq(fsel(17), 0);
    else
        ck_assert_uint_eq(RP1_OE_CLEAR, 1u << 17);
    tear_down();
}
END_TEST

/* As RP1 comes out of a reset: no function, the pad drives nothing and hears nothing. */
START_TEST(rp1_out_of_reset)
{
    struct dev_gpio_line_info_s info;

    set_up(RP1);
    RP1_CTRL(4) = 0x9f;
    RP1_PAD(4) = 0x9a;
    open_lines("4", NULL);
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 0, &info), 0);
    ck_assert_uint_eq(info.mode, DEV_GPIO_PULL_UP);
    ck_assert_uint_eq(RP1_CTRL(4), 0x9f);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT, 0), 0);
    ck_assert_uint_eq(RP1_CTRL(4), 0x85);
    ck_assert_uint_eq(RP1_PAD(4), 0x5a);
    ck_assert_uint_eq(RP1_OE_CLEAR, 1u << 4);
    tear_down();
}
END_TEST

START_TEST(as_they_are)
{
    struct dev_gpio_line_info_s info;
    uint64_t data;

    set_up(_i);
    put_output(2);
    put_level(2, true);
    put_alt0(3);
    put_level(3, true);
    open_lines("1-3", NULL);
    expect_written("", "");
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 0, 2, &data), 0);
    ck_assert_uint_eq(data, 6); /* also of the one with another function */
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 2, 7, 0), 0); /* toggles */
    expect_written("2", "c");                                     /* the only output */
    ck_assert(is_alt0(3));
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 1, &info), 0);
    ck_assert_uint_eq(info.mode & 3, DEV_GPIO_OUTPUT);
    /* A change of one is none of the others. */
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), 0);
    ck_assert(is_alt0(3));
    expect_error(dev_gpio_mode(&dev, 2, DEV_GPIO_INPUT, 0), -EBUSY, "alt0");
    ck_assert(is_alt0(3));
    tear_down();
}
END_TEST

START_TEST(lines_with_another_function)
{
    set_up(_i);
    put_alt0(14);
    expect_error(try_lines(&dev, "13-15", "mode=input"), -EBUSY, "line 14");
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "alt0"));
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "force=yes"));
    ck_assert(is_alt0(14));
    open_lines("13-15", "mode=output&force=yes");
    expect_written("13,14,15", "ccc");
    ck_assert(!is_alt0(14));
    tear_down();
}
END_TEST

/* All functions have their names. */
START_TEST(names_of_functions)
{
    static const uint32_t bcm[] = {4, 5, 6, 7, 3, 2};
    struct dev_gpio_line_info_s info;
    char name[8];

    set_up(_i);
    open_as(&dev, names[chip], NULL);
    for (uint32_t i = 0; i < (chip == RP1 ? 9 : 6); i++) {
        if (chip == RP1)
            RP1_CTRL(9) = i;
        else
            put_fsel(9, bcm[i]);
        ck_assert_int_eq(DEVICE_OP(&dev, line_info, 9, &info), 0);
        snprintf(name, sizeof name, "alt%u", i);
        if (chip == RP1 && i == 5) { /* that of GPIO */
            ck_assert_uint_eq(info.mode & 3, DEV_GPIO_INPUT);
            ck_assert(!info.used);
            continue;
        }
        ck_assert_str_eq(info.consumer, name);
        ck_assert_uint_eq(info.mode & 3, 0);
        ck_assert(info.used);
    }
    tear_down();
}
END_TEST

/* --- pulls --- */

/* "BCM2835 ARM Peripherals", GPPUDCLKn: control, wait, clock, wait, both off. */
START_TEST(pulls_of_bcm2835)
{
    set_up(BCM2835);
    REG(0x94) = REG(0x98) = REG(0x9c) = 99;
    open_lines("4,17,40", "mode=input&pull=up");
    ck_assert_uint_eq(waits.count, 2);
    ck_assert_uint_eq(waits.ns, 300000);
    ck_assert_uint_eq(waits.control[0], 2);
    ck_assert_uint_eq(waits.control[1], 2);
    ck_assert_uint_eq(waits.clock0[0], 99);
    ck_assert_uint_eq(waits.clock0[1], 1u << 4 | 1u << 17);
    ck_assert_uint_eq(waits.clock1[1], 1u << 8);
    ck_assert_uint_eq(REG(0x94) | REG(0x98) | REG(0x9c), 0);
    memset(&waits, 0, sizeof waits);
    ck_assert_int_eq(dev_gpio_mode(&dev, 1, DEV_GPIO_INPUT | DEV_GPIO_PULL_DOWN, 0), 0);
    ck_assert_uint_eq(waits.control[1], 1);
    ck_assert_uint_eq(waits.clock0[1], 1u << 17);
    ck_assert_uint_eq(waits.clock1[1], 0);
    memset(&waits, 0, sizeof waits);
    ck_assert_int_eq(dev_gpio_mode(&dev, 2, DEV_GPIO_OUTPUT, 0), 0); /* no pull: none of it */
    ck_assert_uint_eq(waits.count, 0);
    ck_assert_int_eq(dev_gpio_mode(&dev, 2, DEV_GPIO_INPUT | DEV_GPIO_PULL_NONE, 0), 0);
    ck_assert_uint_eq(waits.control[1], 0);
    ck_assert_uint_eq(waits.clock1[1], 1u << 8);
    tear_down();
}
END_TEST

static uint32_t pull_told(unsigned io)
{
    struct dev_gpio_line_info_s info;

    ck_assert_int_eq(DEVICE_OP(&dev, line_info, (uint16_t)io, &info), 0);
    return info.mode & (DEV_GPIO_PULL_UP | DEV_GPIO_PULL_DOWN | DEV_GPIO_PULL_NONE);
}

START_TEST(pulls_of_bcm2711)
{
    set_up(BCM2711);
    REG(0xe4) = 0xaaaaaaaa; /* all down */
    REG(0xf0) = 0xffffffff;
    open_lines("4,57", "mode=input&pull=up");
    ck_assert_uint_eq(REG(0xe4), 0xaaaaa9aa);
    ck_assert_uint_eq(REG(0xf0), 0xfff7ffff);
    ck_assert_uint_eq(waits.count, 0);
    ck_assert_uint_eq(pull_told(0), DEV_GPIO_PULL_UP);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT | DEV_GPIO_PULL_DOWN, 0), 0);
    ck_assert_uint_eq(REG(0xe4), 0xaaaaaaaa);
    ck_assert_uint_eq(pull_told(0), DEV_GPIO_PULL_DOWN);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT | DEV_GPIO_PULL_NONE, 0), 0);
    ck_assert_uint_eq(REG(0xe4), 0xaaaaa8aa);
    ck_assert_uint_eq(pull_told(0), DEV_GPIO_PULL_NONE);
    tear_down();
}
END_TEST

START_TEST(pulls_of_rp1)
{
    set_up(RP1);
    RP1_PAD(27) = 0x56; /* down, with other bits */
    open_lines("27,53", "mode=input&pull=up");
    ck_assert_uint_eq(RP1_PAD(27), 0x5a);
    ck_assert_uint_eq(RP1_PAD(53), 0x48);
    ck_assert_uint_eq(pull_told(1), DEV_GPIO_PULL_UP);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT | DEV_GPIO_PULL_DOWN, 0), 0);
    ck_assert_uint_eq(RP1_PAD(27), 0x56);
    ck_assert_uint_eq(pull_told(0), DEV_GPIO_PULL_DOWN);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT | DEV_GPIO_PULL_NONE, 0), 0);
    ck_assert_uint_eq(RP1_PAD(27), 0x52);
    tear_down();
}
END_TEST

/* --- what registers cannot do --- */

static int wait_for(unsigned type)
{
    struct dev_gpio_event_s edge;
    struct dev_gpio_rq_s rq;

    memset(&rq, 0, sizeof rq);
    rq.type = (uint8_t)type;
    rq.timeout = KROUTINE_SEC(5);
    if (type == DEV_GPIO_EVENT) {
        rq.event.list = &edge;
        rq.event.size = 1;
    } else {
        rq.until.mask = 1;
    }
    return dev_gpio_wait_rq(&dev, &rq);
}

START_TEST(no_edges)
{
    static const char *const keys[] = {"mode=input&events=both", "mode=input&debounce=5",
                                       "mode=input&kernel-debounce=5", "clock=monotonic",
                                       "buffer=64"};
    static const uint32_t modes[] = {DEV_GPIO_INPUT | DEV_GPIO_RISING, DEV_GPIO_OPEN_DRAIN,
                                     DEV_GPIO_OPEN_SOURCE};
    struct dev_gpio_info_s info;
    uint64_t data;

    set_up(_i);
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        expect_error(try_lines(&dev, "7", keys[i]), -ENOTSUP, labels[chip]);
    expect_error(try_lines(&dev, "7", "mode=open-drain"), -ENOTSUP, "gpiod:");
    open_lines("7", "mode=input");
    ck_assert_int_eq(DEVICE_OP(&dev, info, &info), 0);
    ck_assert_uint_eq(info.cap, DEV_GPIO_CAP_EACH);
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        expect_error(dev_gpio_mode(&dev, 0, modes[i], 0), -ENOTSUP, "gpiod:");
    expect_error(dev_gpio_mode(&dev, 0, DEV_GPIO_INPUT, 100), -ENOTSUP, "gpiod:");
    ck_assert_int_eq(wait_for(DEV_GPIO_EVENT), -ENOTSUP);
    ck_assert_int_eq(wait_for(DEV_GPIO_UNTIL), -ENOTSUP);
    put_level(7, true); /* … also when there is nothing to wait for */
    ck_assert_int_eq(wait_for(DEV_GPIO_UNTIL), -ENOTSUP);
    ck_assert_int_eq(device_start(&dev.base), -ENOTSUP);
    /* It is as it was. */
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 0, 0, &data), 0);
    ck_assert_uint_eq(data, 1);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), 0);
    expect_written("7", "c");
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpiomem");

    kt_add_loop(s, one_write_to_set_and_one_to_clear, CHIPS, label, 15);
    kt_add_loop(s, levels_of_every_bank, CHIPS, label, 15);
    kt_add_loop(s, active_low, CHIPS, label, 15);
    kt_add_loop(s, other_lines_stay, CHIPS, label, 15);
    kt_add(s, rp1_out_of_reset, 15);
    kt_add_loop(s, as_they_are, CHIPS, label, 15);
    kt_add_loop(s, lines_with_another_function, CHIPS, label, 15);
    kt_add_loop(s, names_of_functions, CHIPS, label, 15);
    kt_add(s, pulls_of_bcm2835, 15);
    kt_add(s, pulls_of_bcm2711, 15);
    kt_add(s, pulls_of_rp1, 15);
    kt_add_loop(s, no_edges, CHIPS, label, 15);
    return s;
}
