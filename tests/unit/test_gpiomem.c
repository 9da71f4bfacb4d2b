/* SPDX-License-Identifier: MIT */
/*
 * The driver gpiomem on files that stand for the registers of the three chips. A file does nothing
 * by itself: what was written to a register that sets or clears stays there to be looked at, and
 * levels are what a case puts there. Addresses and bits are written down here once more, from the
 * documents that backends/gpiomem names.
 */
#include "kt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "../../backends/gpiomem/layout.h"

enum { BCM2835, BCM2711, RP1, CHIPS };

#define SIZE 0x40000

static const char *const names[] = {"bcm2835", "bcm2711", "rp1"};
static const char *const labels[] = {"pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"};

static struct kt_env_s env;
static int chip;
static char path[128];
static volatile uint32_t *regs;
static struct device_gpio_s dev = DEVICE_ACCESSOR_INIT;

static const char *label(int round)
{
    return names[round];
}

/* --- registers, in bytes --- */

#define REG(offset) regs[(offset) / 4]

struct line_s {
    uint32_t set, clear, level, bit;
    uint32_t ctrl, pad; /* RP1 */
};

static struct line_s line_at(unsigned line)
{
    struct line_s at;
    unsigned bank;

    if (chip != RP1) {
        bank = line / 32;
        return (struct line_s){0x1c + bank * 4, 0x28 + bank * 4, 0x34 + bank * 4, 1u << line % 32};
    }
    bank = line < 28 ? 0 : line < 34 ? 1 : 2;
    at.set = 0x12000 + bank * 0x4000;
    at.clear = 0x13000 + bank * 0x4000;
    at.level = 0x10008 + bank * 0x4000;
    line -= (const unsigned[]){0, 28, 34}[bank];
    at.bit = 1u << line;
    at.ctrl = 0x00004 + bank * 0x4000 + line * 8;
    at.pad = 0x20004 + bank * 0x4000 + line * 4;
    return at;
}

static void put_level(unsigned line, bool high)
{
    struct line_s at = line_at(line);

    REG(at.level) = high ? REG(at.level) | at.bit : REG(at.level) & ~at.bit;
}

/* Everything that was written to registers that set and clear, for every line: 's', 'c', 'b' for
   both, '.'. */
static const char *written(void)
{
    static char text[65];

    memset(text, 0, sizeof text);
    for (unsigned i = 0; i < 54; i++) {
        struct line_s at = line_at(i);
        bool set = REG(at.set) & at.bit, clear = REG(at.clear) & at.bit;

        text[i] = set && clear ? 'b' : set ? 's' : clear ? 'c' : '.';
    }
    for (unsigned i = 0; i < 54; i++) {
        struct line_s at = line_at(i);

        REG(at.set) = REG(at.clear) = 0;
    }
    return text;
}

/* Lines, and what was written to each; nothing else may have been. */
static void expect_written(const char *list, const char *what)
{
    char wanted[65] = "......................................................";
    char *end;

    for (const char *p = list; *what; what++, p = *end ? end + 1 : end)
        wanted[strtoul(p, &end, 10)] = *what;
    ck_assert_str_eq(written(), wanted);
}

static uint32_t fsel(unsigned line)
{
    return REG(line / 10 * 4) >> line % 10 * 3 & 7;
}

static void put_fsel(unsigned line, uint32_t function)
{
    REG(line / 10 * 4) = (REG(line / 10 * 4) & ~(7u << line % 10 * 3)) | function << line % 10 * 3;
}

#define RP1_CTRL(line) REG(line_at(line).ctrl)
#define RP1_PAD(line)  REG(line_at(line).pad)
#define RP1_OE         REG(0x10004) /* of the first bank */
#define RP1_OE_SET     REG(0x12004)
#define RP1_OE_CLEAR   REG(0x13004)

/* As the system leaves a line that nobody uses. */
static void put_input(unsigned line)
{
    if (chip != RP1) {
        put_fsel(line, 0);
        return;
    }
    RP1_CTRL(line) = 5;
    RP1_PAD(line) = 0x40;
    if (line < 28)
        RP1_OE &= ~(1u << line);
}

static void put_output(unsigned line)
{
    put_input(line);
    if (chip == RP1)
        RP1_OE |= 1u << line;
    else
        put_fsel(line, 1);
}

/* Function 0 of the others. */
static void put_alt0(unsigned line)
{
    if (chip == RP1)
        RP1_CTRL(line) = 0;
    else
        put_fsel(line, 4);
}

static bool is_alt0(unsigned line)
{
    return chip == RP1 ? (RP1_CTRL(line) & 0x1f) == 0 : fsel(line) == 4;
}

/* --- every wait of the driver comes by here, and takes no time unless it has to --- */

static bool waits_are_real;

static struct {
    unsigned count;
    uint64_t ns;
    uint32_t control[4], clock0[4], clock1[4];
} waits;

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __real_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (waits_are_real)
        return __real_nanosleep(time, left);
    if (waits.count < 4) {
        waits.control[waits.count] = REG(0x94);
        waits.clock0[waits.count] = REG(0x98);
        waits.clock1[waits.count] = REG(0x9c);
    }
    waits.ns += (uint64_t)time->tv_nsec;
    waits.count++;
    return 0;
}

/* --- set-up --- */

static void set_up(int round)
{
    int fd;

    chip = round;
    kt_env_open(&env, KT_THREADS);
    if (!path[0])
        snprintf(path, sizeof path, "%s/registers%d", kt_folder(), (int)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    regs = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne((void *)regs, MAP_FAILED);
    close(fd);
    for (unsigned i = 0; i < 54; i++)
        put_input(i);
}

static void tear_down(void)
{
    device_put_accessor(&dev.base);
    kt_env_close(&env);
    munmap((void *)regs, SIZE);
}

static error_t open_as(struct device_gpio_s *acc, const char *address, const char *keys)
{
    char spec[400];

    snprintf(spec, sizeof spec, "gpiomem:%s?device=%s%s%s", address, path, keys ? "&" : "",
             keys ? keys : "");
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_GPIO);
}

static error_t try_lines(struct device_gpio_s *acc, const char *lines, const char *keys)
{
    char address[100];

    snprintf(address, sizeof address, "%s/%s", names[chip], lines);
    return open_as(acc, address, keys);
}

static void open_lines(const char *lines, const char *keys)
{
    error_t err = try_lines(&dev, lines, keys);

    ck_assert_msg(err == 0, "%s: %s", lines, kroutine_error_text());
}

static void expect_error(error_t err, error_t wanted, const char *text)
{
    ck_assert_msg(err == wanted, "%d (%s), not %d", err, kroutine_error_text(), wanted);
    ck_assert_msg(strstr(kroutine_error_text(), text), "'%s' is not in '%s'", text,
                  kroutine_error_text());
}

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

/* --- who holds what --- */

START_TEST(lines_are_held)
{
    struct device_gpio_s other = DEVICE_ACCESSOR_INIT, all = DEVICE_ACCESSOR_INIT;
    struct dev_gpio_line_info_s info;

    set_up(_i);
    open_lines("4-6", "mode=output&consumer=lamp");
    expect_error(try_lines(&other, "7,6", "mode=input"), -EBUSY, "line 6");
    ck_assert_int_eq(try_lines(&other, "7", "mode=input"), 0);
    ck_assert_int_eq(open_as(&all, names[chip], NULL), 0);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 6, &info), 0);
    ck_assert(info.used);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 8, &info), 0);
    ck_assert(!info.used);
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 2, &info), 0);
    ck_assert_str_eq(info.consumer, "lamp");
    device_put_accessor(&other.base);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(try_lines(&other, "7-8", "mode=input"), 0);
        device_put_accessor(&other.base);
    }
    device_put_accessor(&dev.base);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 6, &info), 0);
    ck_assert(!info.used);
    device_put_accessor(&all.base);
    tear_down();
}
END_TEST

/* Another process that stops while it changes modes does not stop this one for ever. */
START_TEST(modes_are_locked)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x1000, .l_len = 1};
    int fd;

    set_up(_i);
    open_lines("4", "mode=input");
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &range), 0);
    expect_error(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), -EBUSY, "another process");
    ck_assert_uint_ge(waits.count, 1000);
    expect_written("", "");
    ck_assert_int_eq(dev_gpio_out(&dev, 0, true), 0); /* no output yet; takes no lock */
    close(fd);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), 0);
    expect_written("4", "s");
    tear_down();
}
END_TEST

/* Two devices whose lines share a register of functions, each with a thread that changes its one to
   and fro: no change of the one takes back a change of the other. */
static pthread_barrier_t together;

static void *flip(void *arg)
{
    unsigned line = *(unsigned *)arg;
    struct device_gpio_s acc = DEVICE_ACCESSOR_INIT;
    char list[8];

    snprintf(list, sizeof list, "%u", line);
    ck_assert_int_eq(try_lines(&acc, list, "mode=input"), 0);
    pthread_barrier_wait(&together);
    for (unsigned i = 1; i <= kt_count(20000) * 2; i++) {
        uint32_t mode = i % 2 ? DEV_GPIO_OUTPUT : DEV_GPIO_INPUT;

        ck_assert_int_eq(dev_gpio_mode(&acc, 0, mode, 0), 0);
        ck_assert_uint_eq(kt_get(&REG(0)) >> line * 3 & 7, i % 2);
    }
    device_put_accessor(&acc.base);
    return NULL;
}

START_TEST(a_register_of_several_devices)
{
    static unsigned lines[] = {4, 5, 6};
    pthread_t threads[3];

    set_up(BCM2835);
    waits_are_real = true;
    pthread_barrier_init(&together, NULL, 3);
    for (unsigned i = 0; i < 3; i++)
        threads[i] = kt_thread(flip, &lines[i]);
    for (unsigned i = 0; i < 3; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(REG(0), 0);
    tear_down();
}
END_TEST

/* In another process, until that is killed. */
START_TEST(lines_of_another_process)
{
    int said[2], status;
    char byte = 0;
    pid_t child;

    snprintf(path, sizeof path, "%s/registers%d", kt_folder(), (int)getpid());
    ck_assert_int_eq(pipe(said), 0);
    child = fork();
    if (child == 0) {
        set_up(_i);
        byte = try_lines(&dev, "4", "mode=input") == 0;
        status = (int)write(said[1], &byte, 1);
        pause();
        _exit(status);
    }
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 1);
    chip = _i;
    kt_env_open(&env, KT_THREADS);
    expect_error(try_lines(&dev, "4", "mode=input"), -EBUSY, "line 4");
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    open_lines("4", "mode=input");
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(lines_stay_after_the_end)
{
    set_up(_i);
    open_lines("4,5", "mode=output&value=2");
    expect_written("4,5", "cs");
    device_put_accessor(&dev.base);
    expect_written("", "");
    if (chip == RP1) {
        ck_assert_uint_eq(RP1_OE_CLEAR, 0);
        ck_assert_uint_eq(RP1_OE_SET, 1u << 5); /* the last that was written */
    } else {
        ck_assert_uint_eq(fsel(4), 1);
        ck_assert_uint_eq(fsel(5), 1);
    }
    tear_down();
}
END_TEST

/* --- specs --- */

START_TEST(the_whole_chip)
{
    static const unsigned lines[] = {54, 58, 54};
    struct dev_gpio_line_info_s line;
    struct dev_gpio_info_s info;
    uint64_t data;

    set_up(_i);
    put_alt0(14);
    ck_assert_int_eq(open_as(&dev, labels[chip], NULL), 0); /* the label means the same */
    ck_assert_int_eq(DEVICE_OP(&dev, info, &info), 0);
    ck_assert_uint_eq(info.lines, lines[chip]);
    ck_assert_str_eq(info.chip, names[chip]);
    ck_assert_str_eq(info.label, labels[chip]);
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 14, &line), 0);
    ck_assert_str_eq(line.name, "GPIO14");
    ck_assert_str_eq(line.consumer, "alt0");
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, (uint16_t)lines[chip], &line), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 0, 0, &data), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 0, 1, 1), -EINVAL);
    ck_assert_int_eq(device_start(&dev.base), -EINVAL);
    tear_down();
}
END_TEST

START_TEST(specs_that_cannot_be)
{
    static const struct {
        const char *spec;
        error_t error;
        const char *text;
    } wrong[] = {
        {"gpiomem:bcm2710/1?device=/dev/zero", -ENOENT, "bcm2711"},
        {"gpiomem:/dev/gpiomem/1", -ENOENT, "device="},
        {"gpiomem:bcm2835/", -EINVAL, "CHIP/LINES"},
        {"gpiomem:bcm2835/54?device=/dev/zero", -ENOENT, "54"},
        {"gpiomem:bcm2711/58?device=/dev/zero", -ENOENT, "58"},
        {"gpiomem:rp1/GPIO54?device=/dev/zero", -ENOENT, "GPIO54"},
        {"gpiomem:rp1/4,GPIO4?device=/dev/zero", -EINVAL, "twice"},
        {"gpiomem:bcm2835/4?device=/dev/no-such-file", -ENOENT, "no-such-file"},
        {"gpiomem:bcm2835/4?device=/dev", -EISDIR, "/dev"},
        {"gpiomem:bcm2835/4?pull=up&device=/dev/zero", -EINVAL, "direction"},
        {"gpiomem:bcm2835/4?mode=output&value=2&device=/dev/zero", -EINVAL, "value"},
        {"gpiomem:bcm2835?mode=input&device=/dev/zero", -EINVAL, "CHIP/LINES"},
        {"gpiomem:bcm2835/4?offset=9223372036854775807&device=/dev/zero", -EINVAL, "offset"},
    };
    char short_file[40];

    set_up(BCM2835);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_error(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 wrong[i].spec, DRIVER_CLASS_GPIO),
                     wrong[i].error, wrong[i].text);
    ck_assert_int_eq(truncate(path, 0xf0), 0);
    expect_error(open_as(&dev, "bcm2835/4", "mode=input"), -EINVAL, "too short");
    ck_assert_int_eq(truncate(path, SIZE), 0);
    snprintf(short_file, sizeof short_file, "offset=%#x", SIZE - 0xf0);
    expect_error(open_as(&dev, "bcm2835/4", short_file), -EINVAL, "too short");
    tear_down();
}
END_TEST

/* Registers need not begin a page, nor a file. */
START_TEST(registers_within_a_file)
{
    set_up(BCM2835);
    regs += 0x11100 / 4;
    open_lines("4", "offset=0x11100&mode=output&value=1");
    expect_written("4", "s");
    ck_assert_uint_eq(fsel(4), 1);
    regs -= 0x11100 / 4;
    tear_down();
}
END_TEST

START_TEST(chip_of_the_machine)
{
    static const struct {
        const char *list;
        size_t size;
        const struct gpiomem_layout_s *layout;
    } machines[] = {
#define LIST(text) text, sizeof text
        {LIST("raspberrypi,model-zero-w\0brcm,bcm2835"), &gpiomem_bcm2835},
        {LIST("raspberrypi,2-model-b\0brcm,bcm2836"), &gpiomem_bcm2835},
        {LIST("raspberrypi,3-model-b-plus\0brcm,bcm2837"), &gpiomem_bcm2835},
        {LIST("raspberrypi,4-model-b\0brcm,bcm2711"), &gpiomem_bcm2711},
        {LIST("raspberrypi,400\0brcm,bcm2711"), &gpiomem_bcm2711},
        {LIST("raspberrypi,5-model-b\0brcm,bcm2712"), &gpiomem_rp1},
        {LIST("linux,dummy-virt"), NULL},
        {LIST("brcm,bcm28355"), NULL},
    };
    const struct gpiomem_layout_s *layout;
    char file[200];

    (void)_i;
    snprintf(file, sizeof file, "%s/compatible", kt_folder());
    expect_error(gpiomem_find(&layout, "auto", file), -ENODEV, "no Raspberry Pi");
    for (unsigned i = 0; i < sizeof machines / sizeof *machines; i++) {
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_eq(write(fd, machines[i].list, machines[i].size), (ssize_t)machines[i].size);
        close(fd);
        if (machines[i].layout) {
            ck_assert_int_eq(gpiomem_find(&layout, "auto", file), 0);
            ck_assert_ptr_eq(layout, machines[i].layout);
        } else {
            expect_error(gpiomem_find(&layout, "auto", file), -ENODEV, machines[i].list);
        }
    }
}
END_TEST

/* Addresses without a chip are for that of the machine, which this one is none of. */
START_TEST(addresses_without_a_chip)
{
    static const char *const specs[] = {"gpiomem:17", "gpiomem:GPIO17,4-7?mode=input",
                                        "gpiomem:", "gpiomem:auto/17"};

    (void)_i;
    if (access("/proc/device-tree/compatible", R_OK) == 0)
        kt_skip("this machine has a device tree");
    set_up(BCM2835);
    for (unsigned i = 0; i < sizeof specs / sizeof *specs; i++)
        expect_error(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 specs[i], DRIVER_CLASS_GPIO),
                     -ENODEV, "name the chip");
    tear_down();
}
END_TEST

START_TEST(not_on_a_simulated_runtime)
{
    (void)_i;
    kt_backend = KROUTINE_BACKEND_SIM;
    set_up(BCM2835);
    expect_error(open_as(&dev, "bcm2835/4", NULL), -ENOTSUP, "sim-gpio");
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
    kt_add_loop(s, lines_are_held, CHIPS, label, 15);
    kt_add_loop(s, modes_are_locked, CHIPS, label, 15);
    kt_add(s, a_register_of_several_devices, 60);
    kt_add_loop(s, lines_of_another_process, CHIPS, label, 15);
    kt_add_loop(s, lines_stay_after_the_end, CHIPS, label, 15);
    kt_add_loop(s, the_whole_chip, CHIPS, label, 15);
    kt_add(s, specs_that_cannot_be, 15);
    kt_add(s, registers_within_a_file, 15);
    kt_add(s, chip_of_the_machine, 15);
    kt_add(s, addresses_without_a_chip, 15);
    kt_add(s, not_on_a_simulated_runtime, 15);
    return s;
}
