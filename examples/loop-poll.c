/* SPDX-License-Identifier: MIT */
/*
 * A runtime inside a poll(2) loop.
 *
 * Steps: 1. make an embedded runtime (work_start); 2. poll its descriptor beside one's own; 3. when
 * it is readable, let the runtime do its work.
 * Compile: gcc loop-poll.c $(pkg-config --cflags --libs libkroutine)
 */
#include <errno.h>
#include <poll.h>

#include "loop-work.h"

int main(void)
{
    struct pollfd fds[] = {
        {.fd = work_start(), .events = POLLIN},
        /* … and the descriptors of the program */
    };

    if (fds[0].fd < 0)
        return work_failed();
    while (!work.done) {
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
            return 1;
        if (fds[0].revents & POLLIN)
            kroutine_runtime_process(work.runtime);
    }
    return work_end();
}
