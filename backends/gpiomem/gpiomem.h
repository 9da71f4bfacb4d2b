/* SPDX-License-Identifier: MIT */
/* Shared by gpiomem.c (the device), values.c (setting and reading), modes.c (changing modes) and
   find.c (chips, files, who holds a line). */
#ifndef KR_GPIOMEM_H
#define KR_GPIOMEM_H

#include "layout.h"

#include "device.h"
#include "gpio_lines.h"
#include "mmio.h"

struct gpiomem_s {
    const struct gpiomem_layout_s *layout;
    struct kr_lines_s *lines;
    struct kr_mmio_region_s region;
    struct dev_mmio_s regs;
    int fd; /* of the registers; holds the lines, see find.c */
    bool force;
    char consumer[32];
    struct kr_lines_keys_s keys;
    unsigned count;
    unsigned told; /* lines of which the device tells: `count`, or all of the chip */
    uint32_t offset[DEV_GPIO_LINES_MAX];
    uint64_t inverted;                  /* atomic: lines of the device whose low level is active */
    uint32_t asked[DEV_GPIO_LINES_MAX]; /* the pumper's: flags of the last configure */
};

/* --- values.c: operations of lib/gpio_lines.h --- */

error_t gpiomem_set(struct kr_lines_s *l, uint64_t mask, uint64_t values);
error_t gpiomem_get(struct kr_lines_s *l, uint64_t mask, uint64_t *values);

/* --- modes.c --- */

error_t gpiomem_configure(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values);

/* --- find.c --- */

/* For kr_lines_finder_s: "GPIO17" is line 17 of every chip. */
int gpiomem_find_line(const struct kr_lines_finder_s *finder, const char *name);
/* Opens and maps the registers, which begin at `offset` of the file. */
error_t gpiomem_map(struct gpiomem_s *g, const char *path, uint64_t offset);
void gpiomem_unmap(struct gpiomem_s *g);
/* Holds the lines, until the file is closed. -EBUSY with a text. */
error_t gpiomem_hold(struct gpiomem_s *g);
/* Does another device hold that line of the chip? */
bool gpiomem_held(const struct gpiomem_s *g, unsigned line);
/* Between the two nobody who uses this library changes a mode. -EBUSY with a text. */
error_t gpiomem_modes_lock(struct gpiomem_s *g);
void gpiomem_modes_unlock(struct gpiomem_s *g);

#endif
