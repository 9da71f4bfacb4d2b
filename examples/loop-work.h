/* SPDX-License-Identifier: MIT */
/*
 * What the programs loop-*.c do inside somebody else's event loop: a timer writes into a pipe ten
 * times a second, and a reader prints what comes out. All handlers run in kroutine_runtime_process,
 * in the thread of the loop: no locks, no atomics.
 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include <kroutine.h>
#include <stdio.h>
#include <unistd.h>

#define LOOP_TICKS 10

static struct {
    struct kroutine_runtime_s *runtime;
    struct device_timer_s timer;
    struct device_char_s pipe;
    struct dev_timer_rq_s tick;
    struct dev_char_rq_s read;
    uint8_t line[80];
    int writer; /* end of the pipe */
    unsigned ticks;
    unsigned lines;
    bool done; /* the loop may end */
} work;

static KROUTINE_EXEC(work_tick)
{
    (void)kr;
    (void)flags;
    if (work.tick.error != 0)
        return;
    dprintf(work.writer, "tick %u\n", ++work.ticks);
    if (work.ticks == LOOP_TICKS) {
        close(work.writer); /* the reader finds the end of the stream */
        return;
    }
    work.tick.delay = 0; /* from the deadline before: no drift */
    work.tick.deadline += KROUTINE_MSEC(100);
    DEVICE_OP(&work.timer, request, &work.tick);
}

static KROUTINE_EXEC(work_line)
{
    (void)kr;
    (void)flags;
    if (work.read.error != 0) {
        printf("%u lines, then the end\n", work.lines);
        work.done = true;
        return;
    }
    printf("%.*s\n", (int)(work.read.data - work.line), (char *)work.line);
    work.lines++;
    work.read.data = work.line;
    work.read.size = sizeof(work.line);
    DEVICE_OP(&work.pipe, request, &work.read);
}

/* Makes an embedded runtime and gives it work: its descriptor, or -1. */
static int work_start(void)
{
    struct kroutine_runtime_config_s config;
    char spec[40];
    int fd[2];

    kroutine_runtime_config_init(&config);
    config.embedded = true; /* no thread: this program calls kroutine_runtime_process */
    if (kroutine_runtime_create(&work.runtime, &config) != 0 || pipe(fd) != 0)
        return -1;
    work.writer = fd[1];
    snprintf(spec, sizeof(spec), "fd:%d?frame=line", fd[0]);

    struct device_s *tree = kroutine_runtime_devices(work.runtime);
    if (device_get_accessor_by_path(&work.timer.base, tree, "timer0", DRIVER_CLASS_TIMER) != 0 ||
        device_get_accessor_by_path(&work.pipe.base, tree, spec, DRIVER_CLASS_CHAR) != 0)
        return -1;
    close(fd[0]); /* the device has a duplicate */

    dev_char_rq_init(&work.read, work_line);
    work.read.type = DEV_CHAR_READ_FRAME;
    work.read.data = work.line;
    work.read.size = sizeof(work.line);
    DEVICE_OP(&work.pipe, request, &work.read);

    dev_timer_rq_init(&work.tick, work_tick);
    work.tick.rev = 0;
    work.tick.delay = KROUTINE_MSEC(100);
    if (DEVICE_OP(&work.timer, request, &work.tick) != 0)
        return -1;
    return kroutine_runtime_fd(work.runtime);
}

/* 0 when all ticks came through. */
static int work_end(void)
{
    device_put_accessor(&work.pipe.base);
    device_put_accessor(&work.timer.base);
    kroutine_runtime_destroy(work.runtime);
    return work.lines == LOOP_TICKS ? 0 : 1;
}

static int work_failed(void)
{
    fprintf(stderr, "cannot start: %s\n", kroutine_error_text());
    return 1;
}

#endif
