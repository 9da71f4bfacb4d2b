/* SPDX-License-Identifier: MIT */
/* What to try when a serial port cannot be opened. */
#ifndef KRCTL_PORTS_H
#define KRCTL_PORTS_H

#include <kroutine.h>

void ports_hint(const char *path, error_t err);

#endif
