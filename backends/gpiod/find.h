/* SPDX-License-Identifier: MIT */
/* Chips by name or label, their lines by name. */
#ifndef KR_GPIOD_FIND_H
#define KR_GPIOD_FIND_H

#include "seam.h"

/* The chip with that name ("gpiochip0") or label ("pinctrl-bcm2711"). Negative errno with a text.
 */
error_t find_chip(struct seam_chip_s **ret, const char *text);
/* For kr_lines_finder_s: pv is the chip. */
int find_line(const struct kr_lines_finder_s *finder, const char *name);
/* Sets the text for lines that could not be taken: which, and who holds it. Gives `err` back. */
error_t find_culprit(struct seam_chip_s *chip, const uint32_t *offsets, unsigned count,
                     error_t err);

#endif
