/* SPDX-License-Identifier: MIT */
/* Commands of krctl, called from a test: what they print, and their status. */
#ifndef KRCTL_OUTPUT_OF_H
#define KRCTL_OUTPUT_OF_H

#include "../../examples/krctl/krctl.h"

extern char krctl_printed[65536]; /* by the last one, errors included */

/* Runs `command` with words up to a NULL, in a process of its own: its exit status. */
int krctl_call(const struct krctl_command_s *command, const char *const *words);

#define KRCTL(command, ...) krctl_call(command, (const char *const[]){__VA_ARGS__, NULL})

/* Fails the test unless the last one has printed that. */
void krctl_has(const char *part);

#endif
