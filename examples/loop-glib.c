/* SPDX-License-Identifier: MIT */
/*
 * A runtime inside a GLib main loop.
 *
 * Steps: 1. make an embedded runtime (work_start); 2. add its descriptor as a source; 3. in its
 * callback, let the runtime do its work.
 * Compile: gcc loop-glib.c $(pkg-config --cflags --libs libkroutine glib-2.0)
 */
#include <glib-unix.h>

#include "loop-work.h"

static gboolean on_readable(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    kroutine_runtime_process(work.runtime);
    if (work.done)
        g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

int main(void)
{
    int fd = work_start();

    if (fd < 0)
        return work_failed();
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    guint source = g_unix_fd_add(fd, G_IO_IN, on_readable, loop);
    g_main_loop_run(loop);
    g_source_remove(source);
    g_main_loop_unref(loop);
    return work_end();
}
