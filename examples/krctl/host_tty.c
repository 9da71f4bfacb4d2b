/* SPDX-License-Identifier: MIT */
/* Serial ports: ttys that have a device behind them. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UP_MAX 6 /* folders from a tty to its USB device */

/* What made the port: the driver of its device. From Linux 6.5 on there are the port and its
   controller of the bus serial-base in between (drivers/tty/serial/serial_base_bus.c). */
static void driver_of(const struct host_s *h, const char *name, char *to, size_t size)
{
    static const char *const up[] = {"", "/..", "/../.."};
    char bus[32];

    for (size_t i = 0; i < sizeof(up) / sizeof(up[0]); i++) {
        host_link(h, bus, sizeof(bus), "/sys/class/tty/%s/device%s/subsystem", name, up[i]);
        if (strcmp(bus, "serial-base") == 0)
            continue;
        host_link(h, to, size, "/sys/class/tty/%s/device%s/driver", name, up[i]);
        return;
    }
    to[0] = '\0';
}

/* "FTDI FT232R USB UART": of the folder above that has one. */
static void say_usb(const struct host_s *h, struct host_row_s *row, const char *name)
{
    char up[4 * UP_MAX] = "", maker[64], product[96];

    for (int i = 0; i < UP_MAX; i++) {
        host_text(h, product, sizeof(product), "/sys/class/tty/%s/device%s/product", name, up);
        if (product[0] != '\0') {
            host_text(h, maker, sizeof(maker), "/sys/class/tty/%s/device%s/manufacturer", name, up);
            host_say(row, "%s%s%s", maker, maker[0] != '\0' ? " " : "", product);
            return;
        }
        strcpy(up + strlen(up), "/..");
    }
}

struct link_s {
    const char *name;
    struct host_row_s *row;
};

static void say_link(struct host_s *h, const char *link, void *arg)
{
    const struct link_s *l = arg;
    char target[64];

    host_link(h, target, sizeof(target), "/dev/serial/by-id/%s", link);
    if (strcmp(target, l->name) == 0)
        host_say(l->row, "/dev/serial/by-id/%.120s", link);
}

/* Whether a word is in "tty0 ttyS0". */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static void add(struct host_s *h, const char *name, void *arg)
{
    char type[16], driver[64], consoles[128];

    (void)arg;
    /* Virtual terminals and the like have no device; of the ttyS* that a PC kernel has names for,
       most have no chip behind them: type 0. */
    host_text(h, type, sizeof(type), "/sys/class/tty/%s/type", name);
    if (!host_has(h, "/sys/class/tty/%s/device", name) || strcmp(type, "0") == 0 ||
        !host_has(h, "/dev/%s", name))
        return;
    struct host_row_s *row = host_add(h, DRIVER_CLASS_UART, "tty:/dev/%s", name);
    if (row == NULL)
        return;
    say_usb(h, row, name);
    driver_of(h, name, driver, sizeof(driver));
    if (driver[0] != '\0')
        host_say(row, "driver %s", driver);
    host_each(h, "/dev/serial/by-id", say_link, &(struct link_s){name, row});
    host_text(h, consoles, sizeof(consoles), "/sys/class/tty/console/active");
    if (has_word(consoles, name))
        host_hold(row, 0, "kernel console");
    host_held(h, row, "%s", name);
}

void host_ttys(struct host_s *h)
{
    host_each(h, "/sys/class/tty", add, NULL);
}
