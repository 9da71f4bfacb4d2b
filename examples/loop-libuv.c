/* SPDX-License-Identifier: MIT */
/*
 * A runtime inside a libuv loop.
 *
 * Steps: 1. make an embedded runtime (work_start); 2. give its descriptor to a uv_poll_t; 3. in its
 * callback, let the runtime do its work.
 * Compile: gcc loop-libuv.c $(pkg-config --cflags --libs libkroutine libuv)
 */
#include <uv.h>

#include "loop-work.h"

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    if (status == 0)
        kroutine_runtime_process(work.runtime);
    if (status != 0 || work.done)
        uv_close((uv_handle_t *)handle, NULL); /* the last handle: uv_run returns */
}

int main(void)
{
    uv_poll_t handle;
    int fd = work_start();

    if (fd < 0)
        return work_failed();
    uv_poll_init(uv_default_loop(), &handle, fd);
    uv_poll_start(&handle, UV_READABLE, on_readable);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
    return work_end();
}
