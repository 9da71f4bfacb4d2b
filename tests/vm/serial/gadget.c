/* SPDX-License-Identifier: MIT */
#include "gadget.h"

#include "kt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define GADGET                 "/sys/kernel/config/usb_gadget/serial"
#define USBMON                 "/sys/kernel/debug/usb/usbmon/0u"
#define SET_LINE_CODING        0x20u
#define SET_CONTROL_LINE_STATE 0x22u

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_msg(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s to %s: %s", text,
                  path, strerror(errno));
    close(fd);
}

static void make_gadget(void)
{
    static const char *const folders[] = {"", "/strings/0x409", "/configs/c.1",
                                          "/configs/c.1/strings/0x409"};
    char path[200];

    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s%s", GADGET, folders[i]);
        ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
    }
    put(GADGET "/idVendor", "0x1d6b");
    put(GADGET "/idProduct", "0x0104");
    put(GADGET "/configs/c.1/strings/0x409/configuration", "serial");
}

/* A function that is removed takes its tty with it, and the bytes that nobody has read there. */
static void make_function(void)
{
    if (unlink(GADGET "/configs/c.1/acm.0") == 0)
        ck_assert_msg(rmdir(GADGET "/functions/acm.0") == 0, "acm.0: %s", strerror(errno));
    ck_assert_msg(mkdir(GADGET "/functions/acm.0", 0755) == 0, "acm.0: %s", strerror(errno));
    ck_assert_int_eq(symlink(GADGET "/functions/acm.0", GADGET "/configs/c.1/acm.0"), 0);
}

static bool is_plugged(void)
{
    char text[100] = "";
    int fd = open(GADGET "/UDC", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text);

    close(fd);
    return n > 1;
}

/* The other side of a plug takes a while to see it. */
static void await_gone(const char *path)
{
    uint64_t end = kt_now() + kt_patience();

    while (access(path, F_OK) == 0) {
        ck_assert_msg(kt_now() < end, "%s does not go", path);
        kt_sleep_ms(5);
    }
}

/* The node is made a moment before it can be opened (tty_register_device_attr in
   drivers/tty/tty_io.c). */
static void await_port(const char *path)
{
    uint64_t end = kt_now() + kt_patience();
    int fd;

    while ((fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0) {
        ck_assert_msg(kt_now() < end, "%s: %s", path, strerror(errno));
        kt_sleep_ms(5);
    }
    close(fd);
}

void gadget_plug(void)
{
    if (access(GADGET, F_OK))
        make_gadget();
    else if (is_plugged())
        gadget_unplug();
    await_gone(HOST_TTY);
    make_function();
    put(GADGET "/UDC", "dummy_udc.0");
    await_port(GADGET_TTY);
    await_port(HOST_TTY);
}

void gadget_unplug(void)
{
    put(GADGET "/UDC", "\n");
}

int monitor_open(void)
{
    int fd = open(USBMON, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    ck_assert_msg(fd >= 0, "%s: %s", USBMON, strerror(errno));
    return fd;
}

/* The next transfer of that request: "… S Co:1:002:0 s 21 22 0003 0000 0000 0". With `data`: its
   first four bytes, in the order of the wire. Else its wValue. */
static uint32_t next_request(int fd, unsigned wanted, bool data)
{
    uint64_t end = kt_now() + kt_patience();

    for (;;) {
        unsigned request, value, bytes = 0;
        char text[400];
        ssize_t n = read(fd, text, sizeof text - 1);
        const char *setup;

        ck_assert_msg(kt_now() < end, "the request %#x never came", wanted);
        if (n <= 0) {
            kt_sleep_ms(5);
            continue;
        }
        text[n] = 0;
        setup = strstr(text, " s 21 ");
        if (!setup || sscanf(setup, " s 21 %x %x", &request, &value) != 2 || request != wanted)
            continue;
        if (!data)
            return value;
        ck_assert_msg(sscanf(setup, " s 21 %*x %*x %*x %*x %*u = %x", &bytes) == 1, "%s", text);
        return __builtin_bswap32(bytes);
    }
}

uint32_t monitor_baud(int fd)
{
    return next_request(fd, SET_LINE_CODING, true);
}

unsigned monitor_lines(int fd)
{
    return next_request(fd, SET_CONTROL_LINE_STATE, false);
}
