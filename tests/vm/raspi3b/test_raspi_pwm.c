/* SPDX-License-Identifier: MIT */
/* The driver pwm with a chip of the kernel that drives GPIO line 19 (tests/vm/raspi): what the line
   does is read from the register of levels. */
#include "kt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE   19
#define GPLEV0 (0x34 / 4) /* BCM2835 ARM Peripherals, 6.1 */
#define NOBODY 65534

static struct kt_env_s env;
static struct device_pwm_s pwm;
static struct op_s {
    struct dev_pwm_rq_s rq;
    unsigned done; /* atomic */
} op;

static KROUTINE_EXEC(over)
{
    (void)kr;
    kt_inc(&op.done);
}

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

static error_t lookup(const char *rest)
{
    char spec[256];

    snprintf(spec, sizeof spec, "pwm:%s%s", strrchr(named("KT_PWM_19"), '/') + 1, rest);
    pwm = (struct device_pwm_s)DEVICE_ACCESSOR_INIT;
    return device_get_accessor_by_path(&pwm.base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_PWM);
}

static void put_text(const char *file, const char *text)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", named("KT_PWM_19"), file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %m",
                  path);
    close(fd);
}

static bool is_exported(void)
{
    char path[128];

    snprintf(path, sizeof path, "%s/pwm0", named("KT_PWM_19"));
    return access(path, F_OK) == 0;
}

static void begin(int mode)
{
    kt_env_open(&env, (enum kt_mode_e)mode);
    if (is_exported()) /* by a case that failed */
        put_text("unexport", "0");
    dev_pwm_rq_init(&op.rq, over);
    op.rq.chan_mask = 1;
}

static void open_channel(const char *rest)
{
    error_t err = lookup(rest);

    ck_assert_msg(!err, "%s: %s", rest, kroutine_error_text());
}

static void end(void)
{
    device_put_accessor(&pwm.base);
    kt_env_close(&env);
}

static void set(uint32_t params, uint64_t period, uint64_t duty, bool inverted, bool enabled)
{
    op.rq.param_mask = params;
    op.rq.state = (struct dev_pwm_state_s){period, duty, inverted, enabled};
    kt_set(&op.done, 0);
    DEVICE_OP(&pwm, request, &op.rq);
    kt_await(&env, kt_get(&op.done));
    ck_assert_int_eq(op.rq.error, 0);
}

/* --- the line --- */

struct seen_s {
    double high;     /* per cent of the time */
    double interval; /* ms between rising edges */
};

/* Intervals in which nobody looked, since the guest did not run, count for nothing. */
static struct seen_s look(void)
{
    int fd = open(named("KT_UIO_GPIOMEM"), O_RDWR | O_SYNC | O_CLOEXEC);
    const volatile uint32_t *reg = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    uint64_t start = kt_now(), last = start, now, high = 0, all = 0, first_edge = 0, last_edge = 0;
    unsigned edges = 0;
    bool level = true, then;

    ck_assert_ptr_ne((const void *)reg, MAP_FAILED);
    do {
        then = level;
        level = reg[GPLEV0] >> LINE & 1;
        now = kt_now();
        if (now - last < KROUTINE_MSEC(1)) {
            high += then && level ? now - last : 0;
            all += now - last;
        }
        if (level && !then) {
            edges++;
            last_edge = now;
            first_edge = first_edge ? first_edge : now;
        }
        last = now;
    } while (now - start < KROUTINE_MSEC(1000));
    munmap((void *)(uintptr_t)reg, 4096);
    close(fd);
    return (struct seen_s){
        .high = all ? 100.0 * (double)high / (double)all : -1,
        .interval = edges > 1 ? (double)(last_edge - first_edge) / (edges - 1) / 1e6 : 0,
    };
}

/* The line is high for so many per cent, each so many ms. A busy machine may need several looks; a
   value that is wrong stays so. */
static void expect_line(double low, double most, double interval)
{
    struct seen_s seen;

    for (int i = 0; i < 5; i++) {
        seen = look();
        if (seen.high >= low && seen.high <= most &&
            (interval == 0 || (seen.interval >= 0.8 * interval && seen.interval <= 1.2 * interval)))
            return;
    }
    ck_abort_msg("high for %.2f %%, not %.0f to %.0f; each %.2f ms, not %.0f", seen.high, low, most,
                 seen.interval, interval);
}

START_TEST(a_line_that_is_high_for_a_part)
{
    begin(_i);
    open_channel("/0?period=20ms&duty=25&enable=yes");
    expect_line(20, 30, 20);
    set(DEV_PWM_PERIOD, KROUTINE_MSEC(40), 0, false, false); /* 10 of 40 ms now */
    expect_line(20, 30, 40);
    set(DEV_PWM_POLARITY, 0, 0, true, false);
    expect_line(70, 80, 40);
    set(DEV_PWM_DUTY, 0, KROUTINE_MSEC(20), false, false);
    expect_line(45, 55, 40);
    set(DEV_PWM_POLARITY | DEV_PWM_ENABLE, 0, 0, false, false);
    expect_line(0, 1, 0);
    end();
}
END_TEST

/* --- who has it, and what is left --- */

static void expect_text(const char *file, const char *text)
{
    char path[128], found[32] = "";
    int fd;

    snprintf(path, sizeof path, "%s/%s", named("KT_PWM_19"), file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0 && read(fd, found, sizeof found - 1) > 0, "%s: %m", path);
    close(fd);
    found[strcspn(found, "\n")] = 0;
    ck_assert_msg(strcmp(found, text) == 0, "%s: %s, not %s", path, found, text);
}

START_TEST(closing_unexports)
{
    begin(_i);
    put_text("export", "0");
    put_text("pwm0/duty_cycle", "0");
    put_text("pwm0/period", "8000000");
    put_text("pwm0/duty_cycle", "3000000");
    put_text("unexport", "0");
    open_channel("/0?hz=50&duty=50&polarity=inversed&enable=yes");
    ck_assert(is_exported());
    expect_text("pwm0/period", "20000000");
    expect_text("pwm0/duty_cycle", "10000000");
    expect_text("pwm0/polarity", "inversed");
    expect_text("pwm0/enable", "1");
    device_put_accessor(&pwm.base);
    ck_assert(!is_exported());
    put_text("export", "0");
    expect_text("pwm0/period", "8000000");
    expect_text("pwm0/duty_cycle", "3000000");
    expect_text("pwm0/polarity", "normal");
    expect_text("pwm0/enable", "0");
    put_text("unexport", "0");
    expect_line(0, 1, 0);
    end();
}
END_TEST

START_TEST(exported_by_another)
{
    begin(_i);
    put_text("export", "0");
    put_text("pwm0/period", "8000000");
    put_text("pwm0/duty_cycle", "2000000");
    put_text("pwm0/enable", "1");
    ck_assert_int_eq(lookup("/0?hz=50&duty=50"), -EBUSY);
    ck_assert_msg(strstr(kroutine_error_text(), "exported=yes"), "%s", kroutine_error_text());
    open_channel("/0?exported=yes&hz=50&duty=75&polarity=inversed");
    expect_text("pwm0/duty_cycle", "15000000");
    expect_text("pwm0/enable", "1");
    device_put_accessor(&pwm.base);
    expect_text("pwm0/period", "8000000");
    expect_text("pwm0/duty_cycle", "2000000");
    expect_text("pwm0/polarity", "normal");
    expect_text("pwm0/enable", "1");
    put_text("pwm0/enable", "0");
    put_text("unexport", "0");
    end();
}
END_TEST

START_TEST(found_by_the_name_of_the_hardware)
{
    struct dev_pwm_info_s info;
    char spec[128], name[64];

    begin(_i);
    open_channel(""); /* the chip alone: it holds nothing */
    ck_assert(!is_exported());
    ck_assert_int_eq(DEVICE_OP(&pwm, info, &info), 0);
    ck_assert_uint_eq(info.channels, 0);
    ck_assert_uint_eq(info.of_chip, 1);
    ck_assert_str_eq(info.chip, strrchr(named("KT_PWM_19"), '/') + 1);
    memcpy(name, info.name, sizeof name);
    device_put_accessor(&pwm.base);
    snprintf(spec, sizeof spec, "pwm:%s/0?hz=50", name);
    ck_assert_int_eq(device_get_accessor_by_path(&pwm.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_PWM),
                     0);
    ck_assert(is_exported());
    device_put_accessor(&pwm.base);
    ck_assert_int_eq(device_get_accessor_by_path(&pwm.base, kroutine_runtime_devices(env.rt),
                                                 "pwm:nothing/0", DRIVER_CLASS_PWM),
                     -ENOENT);
    ck_assert_msg(strstr(kroutine_error_text(), "pwmchip"), "%s", kroutine_error_text());
    end();
}
END_TEST

/* A rule of udev, slow as these are: gives the files of the channel away. */
static void rule(void)
{
    static const char *const files[] = {"period", "duty_cycle", "polarity", "enable"};
    char path[128];

    for (int i = 0; i < 3000 && !is_exported(); i++)
        kt_sleep_ms(10);
    kt_sleep_ms(300);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/pwm0/%s", named("KT_PWM_19"), files[i]);
        chmod(path, 0666);
    }
}

START_TEST(files_that_udev_gives_away)
{
    char folder[128];
    pid_t udev;

    begin(_i);
    snprintf(folder, sizeof folder, "%s/export", named("KT_PWM_19"));
    ck_assert_int_eq(chmod(folder, 0222), 0);
    snprintf(folder, sizeof folder, "%s/unexport", named("KT_PWM_19"));
    ck_assert_int_eq(chmod(folder, 0222), 0);
    udev = fork();
    if (udev == 0) {
        rule();
        _exit(0);
    }
    ck_assert_int_eq(seteuid(NOBODY), 0);
    open_channel("/0?hz=50&duty=50");
    device_put_accessor(&pwm.base);
    ck_assert(!is_exported());
    ck_assert_int_eq(seteuid(0), 0);
    waitpid(udev, NULL, 0);
    end();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi_pwm");

    kt_add_loop(s, a_line_that_is_high_for_a_part, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, closing_unexports, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, exported_by_another, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, found_by_the_name_of_the_hardware, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, files_that_udev_gives_away, KT_MODES, kt_mode_label, 60);
    return s;
}
