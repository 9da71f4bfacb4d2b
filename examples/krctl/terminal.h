/* SPDX-License-Identifier: MIT */
/* The terminal in front of which the user sits, made raw for a while. */
#ifndef KRCTL_TERMINAL_H
#define KRCTL_TERMINAL_H

#include <stdbool.h>

/* False: standard input is no terminal. Restored at exit(3) in any case. */
bool terminal_raw(void);

/* As it was. Again: nothing. */
void terminal_restore(void);

#endif
