/* SPDX-License-Identifier: MIT */
/* Modes and values of lines, at once and by request; names, holders, and what cannot be. */
#include <stdio.h>

#include "kt_gpio.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>

static struct kt_env_s env;
static struct kt_gpio_s g;

/* set, clear: 0, 0 clears; 0, 1 keeps; 1, 0 toggles; 1, 1 sets. Twice over four lines. */
#define SET   0xccu /* lines 2, 3, 6, 7 */
#define CLEAR 0xaau /* lines 1, 3, 5, 7 */

static unsigned after(unsigned old)
{
    return (SET ^ (old & (SET ^ CLEAR))) & 0xff;
}

static void expect_levels(unsigned levels)
{
    for (unsigned i = 0; i < 8; i++)
        ck_assert_msg(kt_gpio_level(&g, i) == (levels >> i & 1), "line %u is not %u of %#x", i,
                      levels >> i & 1, levels);
}

START_TEST(the_table_of_set_and_clear)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-7", "mode=output&value=0x0f");
    expect_levels(0x0f);
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 0, 7, SET, CLEAR), 0);
    expect_levels(after(0x0f));
    kt_gop_init(&op, DEV_GPIO_SET_OUTPUT, 0, 7);
    op.rq.output.set_mask = SET;
    op.rq.output.clear_mask = CLEAR;
    kt_gop_run(&op, &g, 0);
    expect_levels(after(after(0x0f)));
    kt_gpio_close(&g);
}
END_TEST

START_TEST(a_range_leaves_the_others_alone)
{
    uint64_t data = 99;

    kt_gpio_open(&g, &env, _i, "0-7", "mode=output&value=0x81");
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 3, 4, 3, 3), 0); /* bit 0 is line 3 */
    expect_levels(0x99);
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 4, 7, 0, 0), 0);
    expect_levels(0x09);
    ck_assert_int_eq(DEVICE_OP(&g.dev, get_input, 3, 7, &data), 0);
    ck_assert_uint_eq(data, 1);
    ck_assert_int_eq(dev_gpio_out(&g.dev, 7, true), 0);
    expect_levels(0x89);
    ck_assert_int_eq(dev_gpio_input(&g.dev, 7), 1);
    ck_assert_int_eq(dev_gpio_input(&g.dev, 6), 0);
    kt_gpio_close(&g);
}
END_TEST

/* The order of the spec counts, not that of the chip. */
START_TEST(lines_in_the_order_of_the_spec)
{
    struct dev_gpio_line_info_s info;

    kt_gpio_open(&g, &env, _i, "5,0-1,7", "mode=output&value=9");
    expect_levels(0xa0);
    ck_assert_int_eq(DEVICE_OP(&g.dev, line_info, 3, &info), 0);
    ck_assert_uint_eq(info.offset, g.first + 7);
    ck_assert(info.used);
    ck_assert_str_eq(info.consumer, "libkroutine");
    ck_assert_uint_eq(info.mode & (DEV_GPIO_INPUT | DEV_GPIO_OUTPUT), DEV_GPIO_OUTPUT);
    ck_assert_int_eq(DEVICE_OP(&g.dev, line_info, 4, &info), -EINVAL);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(inputs_follow_the_wires)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-3", "mode=input");
    kt_gpio_pull(&g, 1, true);
    kt_gpio_pull(&g, 3, true);
    kt_gop_init(&op, DEV_GPIO_GET_INPUT, 0, 3);
    kt_gop_run(&op, &g, 0);
    ck_assert_uint_eq(op.rq.input.data, 0xa);
    op.rq.io_first = 1;
    op.rq.io_last = 2;
    kt_gop_run(&op, &g, 0);
    ck_assert_uint_eq(op.rq.input.data, 1);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(active_low)
{
    kt_gpio_open(&g, &env, _i, "0-1", "mode=output&active-low=yes&value=1");
    ck_assert(!kt_gpio_level(&g, 0));
    ck_assert(kt_gpio_level(&g, 1));
    ck_assert_int_eq(dev_gpio_out(&g.dev, 1, true), 0);
    ck_assert(!kt_gpio_level(&g, 1));
    ck_assert_int_eq(dev_gpio_input(&g.dev, 1), 1);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(open_drain_only_pulls_down)
{
    if (kt_gpio_kind(_i) == KT_CHIP_MEMORY)
        kt_skip("gpiomem has no open-drain");
    kt_gpio_open(&g, &env, _i, "2", "mode=open-drain&value=1");
    kt_gpio_pull(&g, 2, true);
    ck_assert_int_eq(dev_gpio_out(&g.dev, 0, false), 0);
    ck_assert(!kt_gpio_level(&g, 2));
    ck_assert_int_eq(dev_gpio_out(&g.dev, 0, true), 0);
    if (g.kind != KT_CHIP_GPIOD) /* a line of gpio-sim that is let go stays where it was */
        ck_assert(kt_gpio_level(&g, 2));
    kt_gpio_close(&g);
}
END_TEST

/* The value that a line will have is known before it is an output. */
START_TEST(modes_change)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=input");
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 0, 1, 3, 3), 0);
    ck_assert(!kt_gpio_level(&g, 0));
    kt_gop_init(&op, DEV_GPIO_MODE, 0, 1);
    op.rq.mode.mask = 3;
    op.rq.mode.mode = DEV_GPIO_OUTPUT;
    kt_gop_run(&op, &g, 0);
    ck_assert(kt_gpio_level(&g, 0));
    ck_assert(kt_gpio_level(&g, 1));
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_mode, 0, 1, 3, DEV_GPIO_INPUT, 0), 0);
    kt_gpio_pull(&g, 0, false);
    kt_gpio_pull(&g, 1, false);
    ck_assert_int_eq(dev_gpio_input(&g.dev, 1), 0);
    if (g.cap & DEV_GPIO_CAP_EACH) {
        ck_assert_int_eq(dev_gpio_mode(&g.dev, 1, DEV_GPIO_OUTPUT, 0), 0);
        ck_assert(!kt_gpio_level(&g, 0));
        ck_assert(kt_gpio_level(&g, 1));
    } else {
        ck_assert_int_eq(dev_gpio_mode(&g.dev, 1, DEV_GPIO_OUTPUT, 0), -ENOTSUP);
    }
    kt_gpio_close(&g);
}
END_TEST

START_TEST(modes_that_cannot_be)
{
    static const struct {
        uint32_t mode, debounce_us;
    } wrong[] = {
        {DEV_GPIO_INPUT | DEV_GPIO_OUTPUT, 0},
        {DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE, 0},
        {DEV_GPIO_INPUT | DEV_GPIO_PULL_UP | DEV_GPIO_PULL_DOWN, 0},
        {DEV_GPIO_OUTPUT | DEV_GPIO_RISING, 0},
        {DEV_GPIO_OUTPUT, 1000},
        {DEV_GPIO_PULL_UP, 0},
        {0x80000000, 0},
    };

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(dev_gpio_mode(&g.dev, 0, wrong[i].mode, wrong[i].debounce_us), -EINVAL);
    if (!(g.cap & DEV_GPIO_CAP_DEBOUNCE))
        ck_assert_int_eq(dev_gpio_mode(&g.dev, 0, DEV_GPIO_INPUT | DEV_GPIO_DEBOUNCE_KERNEL, 1000),
                         -ENOTSUP);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(requests_that_cannot_be)
{
    struct dev_gpio_event_s edge;
    struct kt_gop_s op;
    uint64_t data;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=output");
    kt_gop_init(&op, DEV_GPIO_TYPES, 0, 0);
    kt_gop_run(&op, &g, -EINVAL);
    kt_gop_init(&op, DEV_GPIO_GET_INPUT, 1, 2);
    kt_gop_run(&op, &g, -EINVAL);
    kt_gop_init(&op, DEV_GPIO_GET_INPUT, 1, 0);
    kt_gop_run(&op, &g, -EINVAL);
    kt_gop_init(&op, DEV_GPIO_EVENT, 0, 0);
    op.rq.event.list = &edge;
    kt_gop_run(&op, &g, -EINVAL); /* no room */
    op.rq.event.size = 1;
    kt_gop_run(&op, &g, -EINVAL); /* outputs only */
    kt_gop_init(&op, DEV_GPIO_UNTIL, 0, 0);
    op.rq.until.mask = 1;
    kt_gop_run(&op, &g, -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&g.dev, get_input, 0, 2, &data), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 2, 2, 1, 1), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 1, 0, 1, 1), -EINVAL);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(a_held_line_names_its_holder)
{
    struct device_gpio_s other = DEVICE_ACCESSOR_INIT;

    kt_gpio_open(&g, &env, _i, "2-3", "mode=input&consumer=thermostat");
    ck_assert_int_eq(kt_gpio_lookup(&g, &other, "1,3", "mode=input"), -EBUSY);
    if (g.kind != KT_CHIP_MEMORY) /* who holds a line there has no name */
        ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "thermostat"));
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), g.first ? "27" : "3"));
    ck_assert_int_eq(kt_gpio_lookup(&g, &other, "1", "mode=input"), 0);
    device_put_accessor(&other.base);
    /* Free again when the accessor has been put, and not some time later. */
    for (int i = 0; i < 20; i++) {
        error_t err = kt_gpio_lookup(&g, &other, "1", "mode=input");

        ck_assert_msg(err == 0, "%s", kroutine_error_text());
        device_put_accessor(&other.base);
    }
    kt_gpio_close(&g);
}
END_TEST

/* "CHIP" without lines: tells of all, takes none. */
START_TEST(a_chip_without_lines)
{
    struct device_gpio_s chip = DEVICE_ACCESSOR_INIT, other = DEVICE_ACCESSOR_INIT;
    struct dev_gpio_line_info_s line;
    struct dev_gpio_info_s info;
    struct kt_gop_s op;
    uint64_t data;
    char spec[80];

    kt_gpio_open(&g, &env, _i, "2-3", "mode=output&value=1&consumer=thermostat");
    snprintf(spec, sizeof spec, "%s?mode=input", g.chip);
    ck_assert_int_eq(device_get_accessor_by_path(&chip.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_GPIO),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "CHIP/LINES"));
    ck_assert_int_eq(device_get_accessor_by_path(&chip.base, kroutine_runtime_devices(env.rt),
                                                 g.chip, DRIVER_CLASS_GPIO),
                     0);
    ck_assert_int_eq(DEVICE_OP(&chip, info, &info), 0);
    ck_assert_uint_ge(info.lines, g.first + KT_GPIO_LINES);
    ck_assert_int_eq(DEVICE_OP(&chip, line_info, (uint16_t)(g.first + 2), &line), 0);
    ck_assert_str_eq(line.consumer, g.kind == KT_CHIP_MEMORY ? "" : "thermostat");
    ck_assert(line.used && line.offset == g.first + 2 && (line.mode & DEV_GPIO_OUTPUT));
    ck_assert_int_eq(DEVICE_OP(&chip, line_info, (uint16_t)(g.first + 4), &line), 0);
    ck_assert(!line.used && line.offset == g.first + 4);
    ck_assert_int_eq(DEVICE_OP(&chip, line_info, (uint16_t)info.lines, &line), -EINVAL);
    /* It has no lines to do anything with. */
    ck_assert_int_eq(DEVICE_OP(&chip, get_input, 0, 0, &data), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&chip, set_output, 0, 0, 1, 1), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&chip, set_mode, 0, 0, 1, DEV_GPIO_INPUT, 0), -EINVAL);
    ck_assert_int_eq(device_start(&chip.base), -EINVAL);
    kt_gop_init(&op, DEV_GPIO_GET_INPUT, 0, 0);
    kt_gop_submit(&op, &chip);
    kt_gop_expect(&op, &env, -EINVAL);
    ck_assert_int_eq(kt_gpio_lookup(&g, &other, "0", "mode=input"), 0); /* nobody holds it */
    device_put_accessor(&other.base);
    device_put_accessor(&chip.base);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(specs_that_cannot_be)
{
    struct device_gpio_s other = DEVICE_ACCESSOR_INIT;
    struct {
        const char *lines, *options;
        int error;
        const char *text;
    } wrong[] = {
        {"64000", NULL, -ENOENT, "64000"},
        {"nonsense", NULL, -ENOENT, "nonsense"},
        {"1,1", NULL, -EINVAL, "twice"},
        {"0", "mode=input&value=2", -EINVAL, "value"},
        {"0", "mode=output&events=both", -EINVAL, "edges"},
        {"0", "pull=up", -EINVAL, "direction"},
    };

    if (kt_gpio_kind(_i) == KT_CHIP_MEMORY)
        wrong[4].error = -ENOTSUP; /* edges of any line */
    kt_gpio_open(&g, &env, _i, "7", "mode=input");
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(kt_gpio_lookup(&g, &other, wrong[i].lines, wrong[i].options),
                         wrong[i].error);
        ck_assert_msg(strstr(kroutine_error_text(), wrong[i].text), "'%s' is not in '%s'",
                      wrong[i].text, kroutine_error_text());
    }
    kt_gpio_close(&g);
}
END_TEST

/* Also where there is no chip at all, or no libgpiod. */
START_TEST(a_chip_that_is_not_there)
{
    struct device_gpio_s dev = DEVICE_ACCESSOR_INIT;
    error_t err;

    kt_env_open(&env, (enum kt_mode_e)_i);
    err = device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                      "gpiod:no-such-chip/0", DRIVER_CLASS_GPIO);
    if (err == -ENOTSUP)
        ck_assert_ptr_nonnull(strstr(kroutine_error_text(), kt_backend == KROUTINE_BACKEND_SIM
                                                                ? "simulated"
                                                                : "without libgpiod"));
    else
        ck_assert_int_eq(err, -ENOENT);
    ck_assert(err != -ENOENT || strstr(kroutine_error_text(), "no-such-chip"));
    kt_env_close(&env);
}
END_TEST

static void *toggler(void *arg)
{
    const struct device_gpio_s *dev = arg;

    for (int i = 0; i < 1000; i++) {
        error_t err = DEVICE_OP(dev, set_output, 0, 7, 0xff, 0);

        ck_assert(err == 0);
    }
    return NULL;
}

/* Each of so many toggles counts, also when two threads are at it. */
START_TEST(toggles_of_two_threads)
{
    pthread_t a, b;

    kt_gpio_open(&g, &env, _i, "0-7", "mode=output&value=0x35");
    a = kt_thread(toggler, &g.dev);
    b = kt_thread(toggler, &g.dev);
    kt_join(a);
    kt_join(b);
    expect_levels(0x35);
    ck_assert_int_eq(DEVICE_OP(&g.dev, set_output, 0, 7, 0xff, 0), 0);
    expect_levels(0xca);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(in_the_order_of_submission)
{
    struct kt_gop_s op[6];

    kt_gpio_open(&g, &env, _i, "0-1", "mode=output");
    for (unsigned i = 0; i < 6; i++) {
        kt_gop_init(&op[i], i % 2 ? DEV_GPIO_GET_INPUT : DEV_GPIO_SET_OUTPUT, 0, 0);
        dev_gpio_rq_init_sched_switch(&op[i].rq, op[i].rq.kr.exec);
        op[i].rq.type = i % 2 ? DEV_GPIO_GET_INPUT : DEV_GPIO_SET_OUTPUT;
        op[i].rq.output.set_mask = 1; /* toggles */
        op[i].rq.output.clear_mask = 0;
    }
    for (unsigned i = 0; i < 6; i++)
        kt_gop_submit(&op[i], &g.dev);
    for (unsigned i = 0; i < 6; i++) {
        kt_gop_expect(&op[i], &env, 0);
        ck_assert(i == 0 || op[i].stamp > op[i - 1].stamp);
        if (i % 2)
            ck_assert_uint_eq(op[i].rq.input.data, i / 2 % 2 == 0);
    }
    kt_gpio_close(&g);
}
END_TEST

/* Descriptors of lines in this process, all of which have to be non-blocking. */
static unsigned line_fds(void)
{
    unsigned count = 0;
    glob_t found;

    ck_assert_int_eq(glob("/proc/self/fd/[0-9]*", GLOB_NOSORT, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char to[64] = "";
        int fd = atoi(strrchr(found.gl_pathv[i], '/') + 1), flags;

        if (readlink(found.gl_pathv[i], to, sizeof to - 1) < 0 ||
            (strcmp(to, "anon_inode:gpio-line") != 0 && strcmp(to, "anon_inode:gpio-event") != 0))
            continue;
        flags = fcntl(fd, F_GETFL);
        ck_assert_msg(flags >= 0 && flags & O_NONBLOCK, "%s can block", to);
        count++;
    }
    globfree(&found);
    return count;
}

/* Threads that io_uring has made in this process. */
static unsigned parked_threads(void)
{
    unsigned count = 0;
    glob_t found;

    ck_assert_int_eq(glob("/proc/self/task/*/comm", GLOB_NOSORT, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *f = fopen(found.gl_pathv[i], "re");
        char name[32] = "";

        if (!f)
            continue;
        if (fgets(name, sizeof name, f) && strncmp(name, "iou-wrk", 7) == 0)
            count++;
        fclose(f);
    }
    globfree(&found);
    return count;
}

/* A read that would block has one of the kernel's threads to itself under io_uring. */
START_TEST(no_thread_is_parked)
{
    struct dev_gpio_event_s edge;
    struct kt_gop_s op;

    if (kt_gpio_kind(_i) == KT_CHIP_MEMORY)
        kt_skip("gpiomem has no edges");
    kt_gpio_open(&g, &env, _i, "0-3", "mode=input&events=both");
    kt_gop_init(&op, DEV_GPIO_EVENT, 0, 3);
    op.rq.event.list = &edge;
    op.rq.event.size = 1;
    for (int round = 0; round < 3; round++) {
        kt_gop_submit(&op, &g.dev);
        kt_idle(&env, 20);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        ck_assert_uint_eq(parked_threads(), 0);
        kt_gpio_pull(&g, 3, round % 2 == 0);
        kt_gop_expect(&op, &env, 0);
    }
    if (g.kind == KT_CHIP_GPIOD)
        ck_assert_uint_eq(line_fds(), g.cap & DEV_GPIO_CAP_EACH ? 1 : 4);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(there_is_a_kernel_chip)
{
    (void)_i;
    if (kt_gpio_kind(0) < KT_CHIP_GPIOD)
        kt_skip("%s", kt_gpio_missing());
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio");
    int n = kt_gpio_rounds();

    kt_add(s, there_is_a_kernel_chip, 10);
    kt_add_loop(s, the_table_of_set_and_clear, n, kt_gpio_label, 30);
    kt_add_loop(s, a_range_leaves_the_others_alone, n, kt_gpio_label, 30);
    kt_add_loop(s, lines_in_the_order_of_the_spec, n, kt_gpio_label, 30);
    kt_add_loop(s, inputs_follow_the_wires, n, kt_gpio_label, 30);
    kt_add_loop(s, active_low, n, kt_gpio_label, 30);
    kt_add_loop(s, open_drain_only_pulls_down, n, kt_gpio_label, 30);
    kt_add_loop(s, modes_change, n, kt_gpio_label, 30);
    kt_add_loop(s, modes_that_cannot_be, n, kt_gpio_label, 30);
    kt_add_loop(s, requests_that_cannot_be, n, kt_gpio_label, 30);
    kt_add_loop(s, a_held_line_names_its_holder, n, kt_gpio_label, 30);
    kt_add_loop(s, a_chip_without_lines, n, kt_gpio_label, 30);
    kt_add_loop(s, a_chip_that_is_not_there, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, specs_that_cannot_be, n, kt_gpio_label, 30);
    kt_add_loop(s, toggles_of_two_threads, n, kt_gpio_label, 30);
    kt_add_loop(s, in_the_order_of_submission, n, kt_gpio_label, 30);
    kt_add_loop(s, no_thread_is_parked, n, kt_gpio_label, 30);
    return s;
}
