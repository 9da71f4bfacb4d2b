/* SPDX-License-Identifier: MIT */
/*
 * The console: one request reads what is typed, another writes what is to be said. A line ends with
 * CR, LF or both, as terminals differ. What does not fit into the buffer, because nobody reads at
 * the other end, is dropped: a console must not stop a fan.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensord.h"

#define LINE_MAX_ 80
#define OUT_MAX   4096

static struct device_char_s acc = DEVICE_ACCESSOR_INIT;
static struct dev_char_rq_s in, out;
static bool reading_in, writing;
static uint8_t typed[64];
static char line[LINE_MAX_];
static size_t length;
static bool after_cr, watching;
static uint8_t text[2][OUT_MAX]; /* one is on its way, the other fills up */
static size_t filled;
static unsigned filling;

/* --- out --- */

static void go_on_writing(void)
{
    if (writing || !acc.dev || filled == 0)
        return;
    writing = true;
    out.type = DEV_CHAR_WRITE;
    out.data = text[filling];
    out.size = filled;
    filling ^= 1;
    filled = 0;
    DEVICE_OP(&acc, request, &out);
}

static KROUTINE_EXEC(on_written)
{
    (void)kr, (void)flags;
    writing = false;
    if (out.error != 0 && out.error != -ECANCELED && !sensord.stopping)
        part_failed(&console, out.error, true);
    go_on_writing(); /* while stopping too: the last words */
}

static void put(const char *data, size_t size)
{
    if (!acc.dev || size > OUT_MAX - filled)
        return;
    memcpy(text[filling] + filled, data, size);
    filled += size;
    go_on_writing();
}

void console_write(const char *said)
{
    put(said, strlen(said));
    put("\r\n", 2);
}

bool console_busy(void)
{
    return acc.dev && (writing || filled != 0);
}

static void show_status(void)
{
    char status[160];

    control_describe(status, sizeof(status));
    console_write(status);
}

void console_reading(void)
{
    if (watching)
        show_status();
}

/* --- commands --- */

static void do_fan(const char *argument)
{
    char *end;
    unsigned long percent = strtoul(argument, &end, 10);

    if (strcmp(argument, "auto") == 0) {
        control_auto();
    } else if (*argument != '\0') {
        if (!isdigit((unsigned char)*argument) || *end != '\0' || percent > 100) {
            console_write("fan: auto, or percent from 0 to 100");
            return;
        }
        control_manual((unsigned)percent);
    }
    show_status();
}

static void do_temp(const char *argument)
{
    char degrees[32] = "unknown";

    (void)argument;
    if (reading.valid)
        snprintf(degrees, sizeof(degrees), "%.3f", reading.mc / 1000.0);
    console_write(degrees);
}

static void do_status(const char *argument)
{
    (void)argument;
    show_status();
}

static void do_watch(const char *argument)
{
    (void)argument;
    watching = !watching;
    if (!watching)
        console_write("no longer");
}

static void do_quit(const char *argument)
{
    (void)argument;
    quit();
}

static void do_help(const char *argument);

static const struct {
    const char *name, *help;
    void (*run)(const char *argument);
} commands[] = {
    {"temp", "temp             the temperature, degrees Celsius", do_temp},
    {"fan", "fan [auto|0-100] sets the fan, or tells what it does", do_fan},
    {"status", "status           all in a line", do_status},
    {"watch", "watch            the same after each reading; again: no longer", do_watch},
    {"quit", "quit             ends the daemon", do_quit},
    {"help", "help             this list", do_help},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void do_help(const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < COMMANDS; i++)
        console_write(commands[i].help);
    if (sensord.config.demo)
        console_write(demo_help);
}

static void execute(void)
{
    char *word = strtok(line, " \t"), *argument = word ? strtok(NULL, " \t") : NULL;

    if (!word)
        return;
    if (!argument)
        argument = word + strlen(word);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(word, commands[i].name) == 0) {
            commands[i].run(argument);
            return;
        }
    if (!sensord.config.demo || !demo_command(word, argument))
        console_write("unknown command; try help");
}

/* --- in --- */

static void echo(const char *data)
{
    if (sensord.config.echo)
        put(data, strlen(data));
}

static void take(char c)
{
    bool ignored = c == '\n' && after_cr;

    after_cr = c == '\r';
    if (ignored)
        return;
    if (c == '\r' || c == '\n') {
        echo("\r\n");
        line[length] = '\0';
        length = 0;
        execute();
    } else if ((c == '\b' || c == 0x7f) && length > 0) {
        length--;
        echo("\b \b");
    } else if (isprint((unsigned char)c) && length < sizeof(line) - 1) {
        line[length++] = c;
        echo((char[]){c, '\0'});
    }
}

static void go_on_reading(void)
{
    if (reading_in || !acc.dev)
        return;
    reading_in = true;
    in.type = DEV_CHAR_READ_PARTIAL;
    in.data = typed;
    in.size = sizeof(typed);
    DEVICE_OP(&acc, request, &in);
}

static KROUTINE_EXEC(on_typed)
{
    (void)kr, (void)flags;
    reading_in = false;
    if (sensord.stopping)
        return;
    for (const uint8_t *c = typed; c < in.data; c++)
        take((char)*c);
    /* -EPIPE, -EBADMSG: bytes that the line has lost or spoilt. */
    if (in.error != 0 && in.error != -ECANCELED && in.error != -EPIPE && in.error != -EBADMSG)
        part_failed(&console, in.error, true);
    go_on_reading();
}

static error_t console_open(void)
{
    error_t error =
        device_get_accessor_by_path(&acc.base, sensord.tree, console.spec, DRIVER_CLASS_CHAR);

    if (error != 0)
        return error;
    part_works(&console);
    if (!reading_in)
        dev_char_rq_init(&in, on_typed);
    if (!writing)
        dev_char_rq_init(&out, on_written);
    console_write("sensord: help has the commands");
    go_on_reading();
    return 0;
}

static void console_close(void)
{
    device_put_accessor(&acc.base);
    length = filled = 0;
    watching = false;
}

struct part_s console = {.name = "console",
                         .spec = sensord.config.console,
                         .open = console_open,
                         .close = console_close};
