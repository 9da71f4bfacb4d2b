/* SPDX-License-Identifier: MIT */
#ifndef KRCTL_CHAR_H
#define KRCTL_CHAR_H

#include "krctl.h"

extern const struct krctl_command_s krctl_char_cat;
extern const struct krctl_command_s krctl_char_monitor;
extern const struct krctl_command_s krctl_char_read;
extern const struct krctl_command_s krctl_char_write;

/* What an error of a char request says about a device, and what to try: KRCTL_FAILED. */
int char_fail(const char *port, const char *doing, error_t err);

#endif
