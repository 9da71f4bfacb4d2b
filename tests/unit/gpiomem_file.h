/* SPDX-License-Identifier: MIT */
/*
 * The driver gpiomem on files that stand for the registers of the three chips. A file does nothing
 * by itself: what was written to a register that sets or clears stays there to be looked at, and
 * levels are what a case puts there. Addresses and bits are written down here once more, from the
 * documents that backends/gpiomem names.
 */
#ifndef GPIOMEM_FILE_H
#define GPIOMEM_FILE_H

#include "kt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
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

static inline const char *label(int round)
{
    return names[round];
}

/* --- registers, in bytes --- */

#define REG(offset) regs[(offset) / 4]

struct line_s {
    uint32_t set, clear, level, bit;
    uint32_t ctrl, pad; /* RP1 */
};

static inline struct line_s line_at(unsigned line)
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

static inline void put_level(unsigned line, bool high)
{
    struct line_s at = line_at(line);

    REG(at.level) = high ? REG(at.level) | at.bit : REG(at.level) & ~at.bit;
}

/* Everything that was written to registers that set and clear, for every line: 's', 'c', 'b' for
   both, '.'. */
static inline const char *written(void)
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
static inline void expect_written(const char *list, const char *what)
{
    char wanted[65] = "......................................................";
    char *end;

    for (const char *p = list; *what; what++, p = *end ? end + 1 : end)
        wanted[strtoul(p, &end, 10)] = *what;
    ck_assert_str_eq(written(), wanted);
}

static inline uint32_t fsel(unsigned line)
{
    return REG(line / 10 * 4) >> line % 10 * 3 & 7;
}

static inline void put_fsel(unsigned line, uint32_t function)
{
    REG(line / 10 * 4) = (REG(line / 10 * 4) & ~(7u << line % 10 * 3)) | function << line % 10 * 3;
}

#define RP1_CTRL(line) REG(line_at(line).ctrl)
#define RP1_PAD(line)  REG(line_at(line).pad)
#define RP1_OE         REG(0x10004) /* of the first bank */
#define RP1_OE_SET     REG(0x12004)
#define RP1_OE_CLEAR   REG(0x13004)

/* As the system leaves a line that nobody uses. */
static inline void put_input(unsigned line)
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

static inline void put_output(unsigned line)
{
    put_input(line);
    if (chip == RP1)
        RP1_OE |= 1u << line;
    else
        put_fsel(line, 1);
}

/* Function 0 of the others. */
static inline void put_alt0(unsigned line)
{
    if (chip == RP1)
        RP1_CTRL(line) = 0;
    else
        put_fsel(line, 4);
}

static inline bool is_alt0(unsigned line)
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

static inline void set_up(int round)
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

static inline void tear_down(void)
{
    device_put_accessor(&dev.base);
    kt_env_close(&env);
    munmap((void *)regs, SIZE);
}

static inline error_t open_as(struct device_gpio_s *acc, const char *address, const char *keys)
{
    char spec[400];

    snprintf(spec, sizeof spec, "gpiomem:%s?device=%s%s%s", address, path, keys ? "&" : "",
             keys ? keys : "");
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_GPIO);
}

static inline error_t try_lines(struct device_gpio_s *acc, const char *lines, const char *keys)
{
    char address[100];

    snprintf(address, sizeof address, "%s/%s", names[chip], lines);
    return open_as(acc, address, keys);
}

static inline void open_lines(const char *lines, const char *keys)
{
    error_t err = try_lines(&dev, lines, keys);

    ck_assert_msg(err == 0, "%s: %s", lines, kroutine_error_text());
}

static inline void expect_error(error_t err, error_t wanted, const char *text)
{
    ck_assert_msg(err == wanted, "%d (%s), not %d", err, kroutine_error_text(), wanted);
    ck_assert_msg(strstr(kroutine_error_text(), text), "'%s' is not in '%s'", text,
                  kroutine_error_text());
}

#endif
