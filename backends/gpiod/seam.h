/* SPDX-License-Identifier: MIT */
/*
 * The seam between the driver gpiod and libgpiod, whose two generations share a name and nothing
 * else. seam_v1.c is for 1.6 (the kernel's uAPI 1), seam_v2.c for 2.0 and later (uAPI 2); meson
 * takes one of them.
 *
 * Functions give 0 or a negative errno, without a text.
 */
#ifndef KR_GPIOD_SEAM_H
#define KR_GPIOD_SEAM_H

#include "gpio_lines.h"

struct seam_chip_s;  /* an open chip */
struct seam_lines_s; /* lines of it that we hold */

extern const uint32_t seam_cap; /* enum dev_gpio_capability_e */
/* The kernel keeps few edges for a line, and does not count those that it drops. */
extern const bool seam_eager;

/* --- chips: one thread at a time for each --- */

error_t seam_chip_open(struct seam_chip_s **ret, const char *path);
void seam_chip_close(struct seam_chip_s *chip);
const char *seam_chip_name(const struct seam_chip_s *chip);
const char *seam_chip_label(const struct seam_chip_s *chip);
unsigned seam_chip_count(const struct seam_chip_s *chip);
error_t seam_chip_line(struct seam_chip_s *chip, unsigned offset,
                       struct dev_gpio_line_info_s *info);

/* --- lines --- */

struct seam_config_s {
    unsigned count;
    const uint32_t *offsets;
    const char *consumer;
    unsigned buffer; /* edges that the kernel is asked to keep */
    bool realtime;
};

/* Takes the lines. `modes` as configure in lib/gpio_lines.h. -EBUSY: somebody holds one of them. */
error_t seam_take(struct seam_lines_s **ret, struct seam_chip_s *chip,
                  const struct seam_config_s *config, struct kr_line_mode_s *modes,
                  uint64_t values);
/* Gives them back. Nothing else is under way. */
void seam_give_back(struct seam_lines_s *lines);
/* One thread at a time, not during seam_read. -EBUSY never; others may get it meanwhile. */
error_t seam_configure(struct seam_lines_s *lines, struct kr_line_mode_s *modes, uint64_t values);
/* Any thread. -EBUSY: seam_configure is under way, and this libgpiod cannot do both. */
error_t seam_set(struct seam_lines_s *lines, uint64_t mask, uint64_t values);
error_t seam_get(struct seam_lines_s *lines, uint64_t mask, uint64_t *values);
/* One thread at a time. As read in lib/gpio_lines.h. */
int seam_read(struct seam_lines_s *lines, struct dev_gpio_event_s *events, unsigned size);
/* Descriptors that are readable when there are edges: their number. They are non-blocking. */
unsigned seam_fds(const struct seam_lines_s *lines, int *fds);

/* errno after a call of libgpiod. */
error_t seam_errno(void);

#endif
