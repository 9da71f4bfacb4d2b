/* SPDX-License-Identifier: MIT */
/* krctl list: the device tree and the drivers, with what their specs accept. */
#include "krctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kroutine/driver.h>

#define KEY_COLUMN   4
#define VALUE_COLUMN 15
#define DOC_COLUMN   34

static void heading(const char *text)
{
    printf("%s%s%s\n", krctl_style(KRCTL_BOLD), text, krctl_style(KRCTL_PLAIN));
}

static bool print_device(const struct device_s *dev, void *arg)
{
    unsigned *count = arg;
    char classes[80] = "";

    for (enum driver_class_e cl = DRIVER_CLASS_NONE + 1; cl < DRIVER_CLASS_COUNT; cl++) {
        if (!device_has_class(dev, cl))
            continue;
        size_t len = strlen(classes);
        snprintf(classes + len, sizeof(classes) - len, "%s%s", len ? ", " : "",
                 device_class_name(cl));
    }
    printf("  %-12s %-12s %s\n", device_name(dev), classes, device_driver_name(dev));
    ++*count;
    return true;
}

/* "9600", but round numbers as the specs may write them. */
static void number_text(char *text, size_t size, uint64_t value)
{
    if (value >= 1000000 && value % 1000000 == 0)
        snprintf(text, size, "%" PRIu64 "M", value / 1000000);
    else if (value >= 1000 && value % 1000 == 0)
        snprintf(text, size, "%" PRIu64 "k", value / 1000);
    else
        snprintf(text, size, "%" PRIu64, value);
}

static void value_text(char *text, size_t size, const struct driver_param_s *param)
{
    char min[24], max[24];

    switch (param->kind) {
    case DRIVER_PARAM_UINT:
        number_text(min, sizeof(min), param->min);
        number_text(max, sizeof(max), param->max);
        /* Limits that are no more than the size of the type say nothing. */
        if (param->max >= UINT32_MAX)
            snprintf(text, size, param->min > 0 ? "number from %s" : "number", min);
        else
            snprintf(text, size, "%s to %s", min, max);
        break;
    case DRIVER_PARAM_BOOL:
        snprintf(text, size, "yes|no");
        break;
    case DRIVER_PARAM_ENUM:
        snprintf(text, size, "%s", param->words);
        break;
    case DRIVER_PARAM_STRING:
        snprintf(text, size, "text");
        break;
    }
}

/* Goes on at `column`, on the next line if the cursor is past it. */
static void align(int cursor, int column)
{
    if (cursor < column)
        printf("%*s", column - cursor, "");
    else
        printf("\n%*s", column, "");
}

static void print_driver(const struct driver_s *driver)
{
    int cursor =
        printf("  %s%s:%s", krctl_style(KRCTL_GREEN), driver->name, krctl_style(KRCTL_PLAIN)) -
        (int)(strlen(krctl_style(KRCTL_GREEN)) + strlen(krctl_style(KRCTL_PLAIN)));

    align(cursor, VALUE_COLUMN);
    krctl_wrap(driver->desc != NULL ? driver->desc : "", VALUE_COLUMN);
    for (const struct driver_param_s *p = driver->params; p != NULL && p->key != NULL; p++) {
        char value[128];
        value_text(value, sizeof(value), p);
        cursor = printf("%*s%s=", KEY_COLUMN, "", p->key);
        align(cursor, VALUE_COLUMN);
        cursor = VALUE_COLUMN + printf("%s", value);
        if (p->doc == NULL) {
            putchar('\n');
            continue;
        }
        align(cursor, DOC_COLUMN);
        krctl_wrap(p->doc, DOC_COLUMN);
    }
}

static int run(int argc, char **argv)
{
    unsigned devices = 0;
    bool done;
    int status = krctl_no_options(&krctl_list, argc, argv, &done);

    if (done)
        return status;
    if (kroutine_runtime_default() == NULL)
        return krctl_fail("cannot make a runtime: %s", kroutine_error_text());

    heading("devices: name, classes, driver");
    device_foreach(NULL, print_device, &devices);
    if (devices == 0)
        puts("  none");
    putchar('\n');
    heading("drivers: a spec is driver:address?key=value&key=value");
    const struct driver_s *driver;
    for (unsigned i = 0; (driver = driver_get(i)) != NULL; i++)
        print_driver(driver);
    return KRCTL_OK;
}

const struct krctl_command_s krctl_list = {
    .name = "list",
    .summary = "devices of the default tree; drivers and the keys of their specs",
    .help = "usage: krctl list\n"
            "\n"
            "Lists the devices that a program finds by name, and the drivers that make a\n"
            "device from a spec such as tty:/dev/ttyUSB0?baud=9600.\n"
            "\n"
            "  -h, --help  this text\n",
    .run = run,
};
