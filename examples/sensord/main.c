/* SPDX-License-Identifier: MIT */
/*
 * sensord: start, reload, end. sensord.h says what it does, and how.
 *
 * Steps: 1. read the settings; 2. open what can be opened; 3. tell the service manager; 4. until a
 * signal, or `quit`: handlers, all in this thread; 5. last words to the console, and all devices as
 * they were.
 */
#include "../daemon.h"

#include <stdarg.h>
#include <time.h>

#include "../drivers/chips.h"
#include "sensord.h"

#define LAST_WORDS KROUTINE_MSEC(500) /* for a console whose other end does not read */

struct sensord_s sensord;

static struct part_s *const parts[] = {&console, &fan, &button, &sensor};
static int arg_count;
static char **arguments;

#define PARTS (sizeof(parts) / sizeof(parts[0]))

uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return KROUTINE_SEC(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

void say(const char *format, ...)
{
    char text[320];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "sensord: %s\n", text);
    console_write(text);
}

void quit(void)
{
    daemon_stop(self.status);
}

/* --- SIGHUP --- */

/* A device whose spec has not changed stays open. */
static void reload(void)
{
    static struct config_s config;
    bool changed[PARTS];

    notify_reloading();
    if (config_read(&config, arg_count, arguments) != 0) {
        say("the settings stay as they are");
    } else {
        /* part->spec points into sensord.config. */
        for (size_t i = 0; i < PARTS; i++) {
            size_t offset = (size_t)(parts[i]->spec - (const char *)&sensord.config);

            changed[i] = strcmp(parts[i]->spec, (const char *)&config + offset) != 0;
            if (changed[i])
                part_stop(parts[i]);
        }
        sensord.config = config;
        for (size_t i = 0; i < PARTS; i++)
            if (changed[i])
                (void)part_start(parts[i]); /* a mistake was reported, the others go on */
        say("settings were read again");
        control_update();
    }
    notify_ready();
}

/* --- start and end --- */

static bool start(void)
{
    sensord.tree = self.tree;
    (void)driver_register(&tmp105_driver); /* cannot fail: once, and nobody else has that name */
    if (device_get_accessor_by_path(&sensord.timer.base, self.tree, "timer0", DRIVER_CLASS_TIMER) !=
        0) {
        fprintf(stderr, "sensord: timer0: %s\n", kroutine_error_text());
        return false;
    }
    for (size_t i = 0; i < PARTS; i++)
        if (!part_start(parts[i]))
            return false;
    if (sensord.config.demo && demo_start() != 0) {
        say("%s", kroutine_error_text());
        return false;
    }
    control_update(); /* full speed, until there is a temperature */
    if (sensor_start() != 0 || notify_watchdog() != 0)
        return false;
    notify_ready();
    return true;
}

static void stop(void)
{
    uint64_t end = now() + LAST_WORDS, at;

    notify_stopping();
    say("ends");
    sensord.stopping = true;
    while (console_busy() && (at = now()) < end &&
           kroutine_runtime_wait(self.runtime, (int64_t)(end - at)) >= 0)
        ;
    for (size_t i = 0; i < PARTS; i++)
        part_stop(parts[i]);
    if (sensord.config.demo)
        demo_stop();
    device_put_accessor(&sensord.timer.base);
}

int main(int argc, char **argv)
{
    int status = config_read(&sensord.config, argc, argv);

    if (status != 0)
        return status == 1 ? 0 : status;
    arg_count = argc;
    arguments = argv;
    self.on_hangup = reload;
    status = daemon_start();
    if (status != 0)
        return status;
    if (!start())
        daemon_stop(1);
    daemon_run();
    stop();
    return daemon_end();
}
