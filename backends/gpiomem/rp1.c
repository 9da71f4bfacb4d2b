/* SPDX-License-Identifier: MIT */
/*
 * Raspberry Pi 5: RP1 ("RP1 Peripherals", the chapter on GPIO). Three banks, of which the 40-pin
 * header is the first. Three blocks for each: IO_BANK with a control register for each line,
 * PADS_BANK with its resistors and switches, SYS_RIO with the values and directions of all lines,
 * and aliases of it that set and clear the bits that are written.
 *
 * /dev/gpiomem0 begins with IO_BANK0, 0x400d0000 in the address space of RP1, and ends behind
 * PADS_BANK2. Nothing here reads and writes what belongs to another line.
 * Offsets and bits are those of drivers/pinctrl/pinctrl-rp1.c in Linux 7.2.
 */
/* The offsets are those of the tables, and the whole block is mapped. */
#define KROUTINE_MMIO_CHECK 0

#include <stdio.h>
#include <string.h>

#include "layout.h"

#define IO_BANK   0x00000
#define SYS_RIO   0x10000
#define PADS_BANK 0x20000
#define BANK      0x4000 /* to the next bank of each */
#define SET       0x2000 /* aliases of SYS_RIO */
#define CLEAR     0x3000

/* IO_BANK: GPIO0_STATUS, GPIO0_CTRL, GPIO1_STATUS, … */
#define CTRL          4
#define CTRL_FUNCSEL  0x0000001f
#define CTRL_OUTOVER  0x00003000 /* 0: the output is what the function says … */
#define CTRL_OEOVER   0x0000c000 /* … and so is its enable */
#define FUNCSEL_RIO   5
#define FUNCSEL_COUNT 9 /* beyond: none */

/* SYS_RIO */
#define RIO_OUT 0x0
#define RIO_OE  0x4
#define RIO_IN  0x8

/* PADS_BANK: VOLTAGE_SELECT, GPIO0, GPIO1, … */
#define PADS       4
#define PAD_DOWN   0x04
#define PAD_UP     0x08
#define PAD_INPUT  0x40 /* enabled */
#define PAD_NO_OUT 0x80

struct place_s {
    uint32_t ctrl, pad, rio;
    uint32_t bit; /* in registers of SYS_RIO */
};

static struct place_s place_of(unsigned line)
{
    unsigned bank = 0, io;

    while (bank + 1 < gpiomem_rp1.banks && line >= gpiomem_rp1.bank[bank + 1].first)
        bank++;
    io = line - gpiomem_rp1.bank[bank].first;
    return (struct place_s){
        .ctrl = IO_BANK + bank * BANK + io * 8 + CTRL,
        .pad = PADS_BANK + bank * BANK + io * 4 + PADS,
        .rio = SYS_RIO + bank * BANK,
        .bit = 1u << io,
    };
}

static uint32_t rp1_mode(const struct dev_mmio_s *regs, unsigned line, char *function)
{
    struct place_s at = place_of(line);
    uint32_t select = dev_mmio_read32_le(regs, at.ctrl) & CTRL_FUNCSEL;
    uint32_t pad = dev_mmio_read32_le(regs, at.pad);
    uint32_t mode = pad & PAD_UP     ? DEV_GPIO_PULL_UP
                    : pad & PAD_DOWN ? DEV_GPIO_PULL_DOWN
                                     : DEV_GPIO_PULL_NONE;

    function[0] = 0;
    if (select == FUNCSEL_RIO)
        return mode | (dev_mmio_read32_le(regs, at.rio + RIO_OE) & at.bit ? DEV_GPIO_OUTPUT
                                                                          : DEV_GPIO_INPUT);
    if (select < FUNCSEL_COUNT)
        snprintf(function, GPIOMEM_FUNCTION, "alt%u", select);
    return mode;
}

/* Out of power-on a pad drives nothing and hears nothing. */
static void rp1_direct(const struct dev_mmio_s *regs, unsigned line, bool output)
{
    struct place_s at = place_of(line);
    uint32_t pad = dev_mmio_read32_le(regs, at.pad);
    uint32_t ctrl = dev_mmio_read32_le(regs, at.ctrl);

    dev_mmio_write32_le(regs, at.rio + RIO_OE + (output ? SET : CLEAR), at.bit);
    dev_mmio_write32_le(regs, at.pad, (pad & ~(uint32_t)PAD_NO_OUT) | PAD_INPUT);
    ctrl &= ~(uint32_t)(CTRL_FUNCSEL | CTRL_OUTOVER | CTRL_OEOVER);
    dev_mmio_write32_le(regs, at.ctrl, ctrl | FUNCSEL_RIO);
}

static void rp1_pull(const struct dev_mmio_s *regs, uint64_t lines, uint32_t pull)
{
    uint32_t bits = pull == DEV_GPIO_PULL_UP ? PAD_UP : pull == DEV_GPIO_PULL_DOWN ? PAD_DOWN : 0;

    for (; lines; lines &= lines - 1) {
        struct place_s at = place_of((unsigned)__builtin_ctzll(lines));
        uint32_t pad = dev_mmio_read32_le(regs, at.pad);

        dev_mmio_write32_le(regs, at.pad, (pad & ~(uint32_t)(PAD_UP | PAD_DOWN)) | bits);
    }
}

#define RIO_BANK(n, line, lines)                                                                   \
    {                                                                                              \
        (line), (lines), .set = SYS_RIO + (n)*BANK + SET + RIO_OUT,                                \
                         .clear = SYS_RIO + (n)*BANK + CLEAR + RIO_OUT,                            \
                         .level = SYS_RIO + (n)*BANK + RIO_IN                                      \
    }

const struct gpiomem_layout_s gpiomem_rp1 = {
    .name = "rp1",
    .label = "pinctrl-rp1",
    .file = "/dev/gpiomem0",
    .size = 0x30000,
    .lines = 54,
    .banks = 3,
    .bank = {RIO_BANK(0, 0, 28), RIO_BANK(1, 28, 6), RIO_BANK(2, 34, 20)},
    .mode = rp1_mode,
    .direct = rp1_direct,
    .pull = rp1_pull,
};
