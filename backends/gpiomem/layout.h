/* SPDX-License-Identifier: MIT */
/*
 * The seam between the driver gpiomem and the GPIO registers of the chips on Raspberry Pi boards.
 * What happens often, setting and reading values, is a table of registers; what happens rarely,
 * changing modes, is a function for each chip. bcm.c has models 1 to 4, rp1.c has model 5.
 *
 * Lines of the chip are bits of a mask; no chip has more than 64.
 */
#ifndef KR_GPIOMEM_LAYOUT_H
#define KR_GPIOMEM_LAYOUT_H

#include "kroutine/gpio.h"
#include "kroutine/mmio.h"

#define GPIOMEM_BANKS    3
#define GPIOMEM_FUNCTION 8 /* size of the name of a function */

struct gpiomem_layout_s {
    const char *name;
    const char *label; /* of the same chip in the kernel */
    const char *file;  /* where Raspberry Pi OS has the registers */
    size_t size;       /* of the block, bytes */
    unsigned lines;
    unsigned banks;
    struct {
        uint8_t first; /* line */
        uint8_t count;
        uint32_t set, clear; /* a 1 sets, clears the output of a line, a 0 does nothing */
        uint32_t level;
    } bank[GPIOMEM_BANKS];

    /* DEV_GPIO_INPUT or _OUTPUT, and the pull if the chip tells. Neither of both: the line has
       another function, whose name is left in `function`, or none at all: "". */
    uint32_t (*mode)(const struct dev_mmio_s *regs, unsigned line, char *function);
    /* Takes the line from whatever function it has. */
    void (*direct)(const struct dev_mmio_s *regs, unsigned line, bool output);
    /* `pull`: one of DEV_GPIO_PULL_UP, _DOWN, _NONE. */
    void (*pull)(const struct dev_mmio_s *regs, uint64_t lines, uint32_t pull);
};

extern const struct gpiomem_layout_s gpiomem_bcm2835, gpiomem_bcm2711, gpiomem_rp1;

/* --- find.c --- */

/* By name or label; "auto": what the file `compatible` of the device tree says. -ENOENT, -ENODEV,
   with a text. */
error_t gpiomem_find(const struct gpiomem_layout_s **ret, const char *name, const char *compatible);

#endif
