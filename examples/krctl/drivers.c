/* SPDX-License-Identifier: MIT */
/* krctl drivers: the drivers, with what their specs accept. */
#include "krctl.h"
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kroutine/driver.h>

#define KEY_COLUMN   4
#define VALUE_COLUMN 15
#define DOC_COLUMN   34

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

static int print_named(const char *name)
{
    const struct driver_s *driver;
    size_t len = strcspn(name, ":");

    for (unsigned i = 0; (driver = driver_get(i)) != NULL; i++) {
        if (strlen(driver->name) != len || strncmp(driver->name, name, len) != 0)
            continue;
        print_driver(driver);
        return KRCTL_OK;
    }
    krctl_fail("there is no driver '%s'", name);
    krctl_hint("krctl drivers, which has them all");
    return KRCTL_FAILED;
}

static int run(int argc, char **argv)
{
    const struct driver_s *driver;
    bool done;
    int status = options_take(&krctl_drivers, (const struct option_s[]){{0}}, argc, argv, &done);

    if (done)
        return status;
    if (kroutine_runtime_default() == NULL)
        return krctl_fail("cannot make a runtime: %s", kroutine_error_text());
    if (optind == argc) {
        printf("%sa spec is driver:address?key=value&key=value%s\n", krctl_style(KRCTL_BOLD),
               krctl_style(KRCTL_PLAIN));
        for (unsigned i = 0; (driver = driver_get(i)) != NULL; i++)
            print_driver(driver);
    }
    for (; optind < argc && status == KRCTL_OK; optind++)
        status = print_named(argv[optind]);
    return status;
}

const struct krctl_command_s krctl_drivers = {
    .name = "drivers",
    .summary = "drivers, and the keys of their specs",
    .help = "usage: krctl drivers [DRIVER]...\n"
            "\n"
            "Lists the drivers that make a device from a spec such as\n"
            "tty:/dev/ttyUSB0?baud=9600, or those that are named, with their keys.\n"
            "\n"
            "  -h, --help  this text\n",
    .run = run,
};
