/* SPDX-License-Identifier: MIT */
/*
 * The daemon of examples/sensord, on devices of a kernel: a TMP105 on the I2C bus of a Raspberry
 * Pi, a chip that the test heats on kr_i2c_bus, a fan that is a GPIO line, a button on gpio-sim,
 * and a console on a pseudo-terminal. tests/vm/raspi tells the names.
 */
#include "kt.h"

#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FAULTS "/sys/module/kr_i2c_bus/parameters/"

/* Its main(), which is renamed, as this program has one. */
int sensord_main(int argc, char **argv);

static struct {
    pid_t pid;
    int console; /* the other end */
    char text[8192];
    size_t size;
} sensord;

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

/* --- files of the kernel --- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %m",
                  path);
    close(fd);
}

/* What is in a file, without the end of its line; "" when it is not there. */
static const char *read_file(const char *path)
{
    static char text[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static long read_number(const char *path)
{
    return strtol(read_file(path), NULL, 10);
}

/* --- the daemon and its console --- */

static void start_sensord(const char *temperature, const char *fan, const char *button)
{
    char pty[KT_PTY_PATH], console[KT_PTY_PATH + 8];
    char *arguments[] = {"sensord",
                         "--temperature",
                         (char *)temperature,
                         "--fan",
                         (char *)fan,
                         "--button",
                         (char *)button,
                         "--console",
                         console,
                         "--period",
                         "0.1",
                         "--low",
                         "-10",
                         "--high",
                         "10",
                         "--minimum",
                         "0",
                         "--failures",
                         "3",
                         NULL};

    sensord.console = kt_open_pty(0, pty, NULL);
    snprintf(console, sizeof(console), "tty:%s", pty);
    sensord.pid = fork();
    ck_assert_int_ge(sensord.pid, 0);
    if (sensord.pid == 0) {
        close(sensord.console);
        _exit(sensord_main((int)(sizeof(arguments) / sizeof(arguments[0])) - 1, arguments));
    }
}

/* Takes what the console has said so far; a terminal that nobody has opened says nothing. */
static void listen(int ms)
{
    struct pollfd fd = {.fd = sensord.console, .events = POLLIN};
    ssize_t got;

    if (poll(&fd, 1, ms) != 1 || !(fd.revents & POLLIN)) {
        if (fd.revents)
            kt_sleep_ms(10);
        return;
    }
    if (sensord.size > sizeof(sensord.text) / 2) {
        memmove(sensord.text, sensord.text + sensord.size / 2, sensord.size - sensord.size / 2);
        sensord.size -= sensord.size / 2;
    }
    got =
        read(sensord.console, sensord.text + sensord.size, sizeof(sensord.text) - 1 - sensord.size);
    if (got > 0)
        sensord.size += (size_t)got;
    sensord.text[sensord.size] = '\0';
}

static void type(const char *command)
{
    sensord.size = 0;
    sensord.text[0] = '\0';
    ck_assert_int_eq(write(sensord.console, command, strlen(command)), (ssize_t)strlen(command));
}

/* Asks for the status until the answer has `text` in it. */
static void await_status(const char *text)
{
    uint64_t end = kt_now() + kt_patience();

    while (kt_now() < end) {
        type("status\r");
        for (int i = 0; i < 20 && !strstr(sensord.text, "failed\r\n"); i++)
            listen(50);
        if (strstr(sensord.text, text))
            return;
    }
    ck_abort_msg("never came: %s; the last was: %s", text, sensord.text);
}

static void stop_sensord(void)
{
    int status;

    kill(sensord.pid, SIGTERM);
    ck_assert_int_eq(waitpid(sensord.pid, &status, 0), sensord.pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    close(sensord.console);
}

/* --- the fan: a chip of pwm-gpio --- */

static const char *fan_spec(void)
{
    static char spec[128];

    snprintf(spec, sizeof(spec), "pwm:%s/0?hz=100", strrchr(named("KT_PWM_19"), '/') + 1);
    return spec;
}

static long fan_file(const char *file)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/pwm0/%s", named("KT_PWM_19"), file);
    return read_number(path);
}

/* Lines that are not used as such have no level for us, so it is the kernel's word that counts;
   that the line does as the kernel says is for the tests of the pwm class. */
static void await_duty(long percent)
{
    uint64_t end = kt_now() + kt_patience();
    long duty;

    /* The class counts in 65536 parts. */
    do
        duty = fan_file("duty_cycle");
    while ((duty + 5000) / 100000 != percent && kt_now() < end && (kt_sleep_ms(10), true));
    ck_assert_int_eq((duty + 5000) / 100000, percent);
    ck_assert_int_eq(fan_file("period"), 10000000);
    ck_assert_int_eq(fan_file("enable"), 1);
}

/* --- a thermometer whose temperature we set: memory at 0x50 of kr_i2c_bus --- */

static const char *memory_spec(void)
{
    static char spec[128];

    snprintf(spec, sizeof(spec), "tmp105:i2c:%s?addr=0x50", named("KT_I2C_TEST0"));
    return spec;
}

static void heat(int8_t degrees)
{
    uint8_t bytes[] = {0, (uint8_t)degrees, 0};
    struct i2c_msg message = {.addr = 0x50, .len = sizeof(bytes), .buf = bytes};
    struct i2c_rdwr_ioctl_data data = {.msgs = &message, .nmsgs = 1};
    int fd = open(named("KT_I2C_TEST0"), O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ioctl(fd, I2C_RDWR, &data), 1);
    close(fd);
}

static void no_faults(void)
{
    write_file(FAULTS "failures", "0,0");
    write_file(FAULTS "delay_ms", "0,0");
}

START_TEST(real_thermometer)
{
    char spec[128];

    snprintf(spec, sizeof(spec), "tmp105:i2c:%s?addr=0x48", named("KT_I2C_BUS"));
    start_sensord(spec, fan_spec(), "");
    await_status("0.0 C, fan 50 % (auto)"); /* QEMU's has 0 degrees */
    await_duty(50);
    type("fan 20\r");
    await_duty(20);
    type("fan auto\r");
    await_duty(50);
    stop_sensord();
    /* As it was before: off, or not exported. */
    ck_assert_int_eq(fan_file("enable"), 0);
}
END_TEST

START_TEST(follows)
{
    no_faults();
    heat(-20);
    start_sensord(memory_spec(), fan_spec(), "");
    await_status("-20.0 C, fan 0 % (auto)");
    heat(5);
    await_status("5.0 C, fan 75 % (auto)");
    await_duty(75);
    heat(30);
    await_status("30.0 C, fan 100 % (auto)");
    await_duty(100);
    stop_sensord();
}
END_TEST

START_TEST(faults)
{
    no_faults();
    heat(0);
    start_sensord(memory_spec(), fan_spec(), "");
    await_status("0.0 C, fan 50 % (auto)");
    write_file(FAULTS "error", "-121,-121");
    write_file(FAULTS "failures", "1000000,0");
    await_status("unknown, fan 100 % (no temperature)");
    await_duty(100);
    write_file(FAULTS "failures", "0,0");
    await_status("0.0 C, fan 50 % (auto)");
    await_duty(50);
    stop_sensord();
}
END_TEST

/* A transfer that the kernel keeps for two seconds: the console goes on, and so does the end. */
START_TEST(slow_bus)
{
    no_faults();
    heat(0);
    start_sensord(memory_spec(), fan_spec(), "");
    await_status("0.0 C, fan 50 % (auto)");
    write_file(FAULTS "delay_ms", "2000,0");
    await_status("unknown, fan 100 % (no temperature)");
    type("fan\r");
    for (int i = 0; i < 100 && !strstr(sensord.text, "failed\r\n"); i++)
        listen(50);
    ck_assert_msg(strstr(sensord.text, "fan 100 %"), "%s", sensord.text);
    stop_sensord();
    no_faults();
}
END_TEST

/* --- the button --- */

#define CHIP "/sys/kernel/config/gpio-sim/kr-sensord"

static void make_button(char *pull, size_t size)
{
    char device[64];

    ck_assert_msg(mkdir(CHIP, 0755) == 0, CHIP ": %m");
    ck_assert_int_eq(mkdir(CHIP "/bank0", 0755), 0);
    write_file(CHIP "/bank0/num_lines", "4");
    write_file(CHIP "/bank0/label", "kr-sensord");
    write_file(CHIP "/live", "1");
    snprintf(device, sizeof(device), "%s", read_file(CHIP "/dev_name"));
    snprintf(pull, size, "/sys/devices/platform/%s/%s/sim_gpio2/pull", device,
             read_file(CHIP "/bank0/chip_name"));
}

START_TEST(button)
{
    char pull[192];

    make_button(pull, sizeof(pull));
    write_file(pull, "pull-up");
    no_faults();
    heat(0);
    start_sensord(memory_spec(), fan_spec(),
                  "gpiod:kr-sensord/2?mode=input&active-low=yes&debounce=20000");
    await_status("0.0 C, fan 50 % (auto)");
    for (int i = 0; i < 2; i++) {
        /* Long enough for a debounce of 20 ms on a guest that has other things to do. */
        write_file(pull, "pull-down");
        kt_sleep_ms(200);
        write_file(pull, "pull-up");
        kt_sleep_ms(200);
        await_status(i == 0 ? "0.0 C, fan 100 % (button)" : "0.0 C, fan 50 % (auto)");
    }
    stop_sensord();
    write_file(CHIP "/live", "0");
    rmdir(CHIP "/bank0");
    rmdir(CHIP);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sensord");

    kt_add(s, real_thermometer, 20);
    kt_add(s, follows, 20);
    kt_add(s, faults, 20);
    kt_add(s, slow_bus, 30);
    kt_add(s, button, 20);
    return s;
}
