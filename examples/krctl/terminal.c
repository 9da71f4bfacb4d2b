/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool raw;

/* From the background, tcsetattr stops the program with SIGTTOU unless that is blocked. */
static int set(const struct termios *settings)
{
    sigset_t block, before;

    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    sigprocmask(SIG_BLOCK, &block, &before);
    int result = tcsetattr(STDIN_FILENO, TCSADRAIN, settings);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

bool terminal_raw(void)
{
    static bool registered;
    struct termios settings;

    if (raw)
        return true;
    if (tcgetattr(STDIN_FILENO, &saved) != 0)
        return false;
    if (!registered && atexit(terminal_restore) != 0)
        return false;
    registered = true;
    settings = saved;
    cfmakeraw(&settings);
    raw = set(&settings) == 0;
    return raw;
}

void terminal_restore(void)
{
    if (raw)
        set(&saved);
    raw = false;
}
