/* SPDX-License-Identifier: MIT */
/*
 * A runtime inside an sd-event loop.
 *
 * Steps: 1. make an embedded runtime (work_start); 2. add its descriptor as an I/O source; 3. in
 * its handler, let the runtime do its work. Compile: gcc loop-sdevent.c $(pkg-config --cflags
 * --libs libkroutine libsystemd)
 */
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "loop-work.h"

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *loop)
{
    (void)source;
    (void)fd;
    (void)revents;
    kroutine_runtime_process(work.runtime);
    return work.done ? sd_event_exit(loop, 0) : 0;
}

int main(void)
{
    sd_event_source *source = NULL;
    sd_event *loop = NULL;
    int fd = work_start();

    if (fd < 0)
        return work_failed();
    if (sd_event_new(&loop) < 0 ||
        sd_event_add_io(loop, &source, fd, EPOLLIN, on_readable, loop) < 0)
        return 1;
    sd_event_loop(loop);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    return work_end();
}
