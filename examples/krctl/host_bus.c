/* SPDX-License-Identifier: MIT */
/* I2C, SPI, PWM, and memories that the kernel knows, as sysfs has them. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The driver of the kernel that has a device is its holder. */
static bool hold_driver(const struct host_s *h, struct host_row_s *row, const char *folder)
{
    char driver[32];

    host_link(h, driver, sizeof(driver), "%s/driver", folder);
    if (driver[0] != '\0')
        host_hold(row, 0, "driver %s", driver);
    return driver[0] != '\0';
}

/* --- I2C: i2c-1 is an adapter, 1-0050 a chip on it, Documentation/i2c/i2c-sysfs.rst --- */

static void add_adapter(struct host_s *h, const char *name)
{
    char text[96];
    bool usable = host_has(h, "/dev/%s", name);
    struct host_row_s *row =
        host_add(h, DRIVER_CLASS_I2C, usable ? "i2c:%s" : NULL, name); /* no file: no i2c-dev */

    if (row == NULL)
        return;
    host_text(h, text, sizeof(text), "/sys/bus/i2c/devices/%s/name", name);
    host_say(row, "%s", text[0] != '\0' ? text : name);
    if (!usable)
        host_say(row, "no /dev/%s: modprobe i2c-dev", name);
    else
        host_held(h, row, "%s", name);
}

static void add_chip(struct host_s *h, const char *name)
{
    char text[64], folder[128];
    char *end;
    unsigned long bus = strtoul(name, &end, 10), addr;

    if (*end != '-')
        return;
    addr = strtoul(end + 1, NULL, 16);
    struct host_row_s *row = host_add(h, DRIVER_CLASS_I2C, NULL);
    if (row == NULL)
        return;
    host_text(h, text, sizeof(text), "/sys/bus/i2c/devices/%s/name", name);
    /* i2c-core adds 0xa000 to addresses of ten bits. */
    host_say(row, "chip 0x%02lx on i2c-%lu: %s", addr & 0x3ff, bus, text);
    snprintf(folder, sizeof(folder), "/sys/bus/i2c/devices/%.64s", name);
    hold_driver(h, row, folder);
}

static void add_i2c(struct host_s *h, const char *name, void *arg)
{
    bool adapter = strncmp(name, "i2c-", 4) == 0;

    if (adapter == *(bool *)arg)
        (adapter ? add_adapter : add_chip)(h, name);
}

void host_i2c(struct host_s *h)
{
    host_each(h, "/sys/bus/i2c/devices", add_i2c, &(bool){true});
    host_each(h, "/sys/bus/i2c/devices", add_i2c, &(bool){false});
}

/* --- SPI --- */

static void add_spi(struct host_s *h, const char *name, void *arg)
{
    char text[64], folder[128];
    const char *number = name + strlen("spi");

    (void)arg;
    if (strncmp(name, "spi", 3) != 0)
        return;
    bool usable = host_has(h, "/dev/spidev%s", number);
    struct host_row_s *row = host_add(h, DRIVER_CLASS_SPI, usable ? "spi:%s" : NULL, number);
    if (row == NULL)
        return;
    snprintf(folder, sizeof(folder), "/sys/bus/spi/devices/%.64s", name);
    host_text(h, text, sizeof(text), "%s/modalias", folder);
    host_say(row, "chip select %s: %s", number, strncmp(text, "spi:", 4) == 0 ? text + 4 : text);
    if (usable)
        host_held(h, row, "spidev%s", number);
    else
        hold_driver(h, row, folder);
}

void host_spi(struct host_s *h)
{
    host_each(h, "/sys/bus/spi/devices", add_spi, NULL);
}

/* --- PWM: who asked for a channel by sysfs has a folder there; others are in debugfs only --- */

struct channels_s {
    unsigned exported;
};

static void count_channel(struct host_s *h, const char *name, void *arg)
{
    struct channels_s *c = arg;

    (void)h;
    if (strncmp(name, "pwm", 3) == 0 && name[3] >= '0' && name[3] <= '9')
        c->exported++;
}

/* " pwm-0   (sysfs               ): requested …" below "1: platform/3f20c000.pwm, 2 PWM devices";
   the consumer is in brackets, (null) is none (drivers/pwm/core.c). */
static void pwm_consumers(const struct host_s *h, struct host_row_s *row, const char *device)
{
    char path[PATH_MAX], line[256], consumer[40];
    bool here = false;

    snprintf(path, sizeof(path), "%.2000s/sys/kernel/debug/pwm", h->root);
    FILE *f = fopen(path, "re");
    row->hidden = f == NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *at = strchr(line, '/');

        if (strstr(line, " PWM device") != NULL)
            here = at != NULL && strncmp(at + 1, device, strlen(device)) == 0 &&
                   at[1 + strlen(device)] == ',';
        else if (here && sscanf(line, " pwm-%*d (%39[^ )]", consumer) == 1 &&
                 strstr(line, "requested") != NULL)
            host_hold(row, 0, "%s", consumer);
    }
    if (f != NULL)
        fclose(f);
}

static void add_pwm(struct host_s *h, const char *name, void *arg)
{
    struct channels_s channels = {0};
    char folder[128], device[64], count[16];

    (void)arg;
    struct host_row_s *row = host_add(h, DRIVER_CLASS_PWM, "pwm:%s", name);
    if (row == NULL)
        return;
    snprintf(folder, sizeof(folder), "/sys/class/pwm/%.64s", name);
    host_link(h, device, sizeof(device), "%s/device", folder);
    host_text(h, count, sizeof(count), "%s/npwm", folder);
    host_each(h, folder, count_channel, &channels);
    host_say(row, "%s", device[0] != '\0' ? device : name);
    host_say(row, "%s channel%s", count, strcmp(count, "1") == 0 ? "" : "s");
    if (channels.exported > 0)
        host_say(row, "%u exported", channels.exported);
    pwm_consumers(h, row, device);
    if (row->holders == 0 && channels.exported > 0)
        host_hold(row, 0, "sysfs");
}

void host_pwm(struct host_s *h)
{
    host_each(h, "/sys/class/pwm", add_pwm, NULL);
}

/* --- memories that a driver of the kernel has made files, such as an EEPROM by at24 --- */

static void add_nvmem(struct host_s *h, const char *name, void *arg)
{
    char path[PATH_MAX], folder[160];
    struct stat st;

    (void)arg;
    snprintf(path, sizeof(path), "%.2000s/sys/bus/nvmem/devices/%.64s/nvmem", h->root, name);
    if (stat(path, &st) != 0)
        return;
    struct host_row_s *row =
        host_add(h, DRIVER_CLASS_MEM, "file:/sys/bus/nvmem/devices/%s/nvmem", name);
    if (row == NULL)
        return;
    host_say(row, "%s, %lld bytes", name, (long long)st.st_size);
    snprintf(folder, sizeof(folder), "/sys/bus/nvmem/devices/%.64s/..", name);
    hold_driver(h, row, folder);
}

void host_nvmem(struct host_s *h)
{
    host_each(h, "/sys/bus/nvmem/devices", add_nvmem, NULL);
}
