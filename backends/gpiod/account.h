/* SPDX-License-Identifier: MIT */
/*
 * How many edges were lost, from the two numbers that the kernel's uAPI 2 gives each edge.
 *
 * The number of the line counts the edges that the interrupt thread has made, in order: a gap is
 * what the full buffer has dropped. The number of the request counts interrupts, and is taken
 * before the thread of the line runs (edge_irq_handler and edge_irq_thread in
 * drivers/gpio/gpiolib-cdev.c, Linux 6.12): several interrupts may become one edge, so it has gaps
 * that the other has not; and as each line has a thread of its own, it may come out of order, and
 * as late as the scheduler likes.
 *
 * So interrupts are looked at in windows: those up to `top`, the highest number when the window was
 * opened. A line whose edges have a higher number has none of them on its way any more, as its
 * thread takes them in order. When that is so for all lines, what is missing was lost. Lines that
 * are silent are waited for as long as no thread takes to run, in the time of the edges.
 *
 * A number can come twice: the thread stores the number of an interrupt that came while it ran, and
 * then runs for that one (there is no lock between the two). So a line is settled with its second
 * edge beyond `top`.
 *
 * With a single line both numbers are the same, and merged interrupts are not to be seen at all.
 */
#ifndef KR_GPIOD_ACCOUNT_H
#define KR_GPIOD_ACCOUNT_H

#include "kroutine/gpio.h"

struct account_s {
    uint64_t lines;                      /* those that there are */
    uint32_t line[DEV_GPIO_LINES_MAX];   /* highest number of each line */
    uint32_t number[DEV_GPIO_LINES_MAX]; /* highest one of the request in each line */
    uint32_t highest;                    /* of the request */
    uint32_t edges;                      /* that were read */
    uint32_t gaps;                       /* lost for certain, by the numbers of lines */
    uint32_t told;
    uint64_t last; /* timestamp of the latest edge */
    /* The window: */
    uint32_t top;
    uint32_t below;           /* edges up to `top` */
    uint64_t beyond, settled; /* lines with one edge after it, with two */
    uint64_t since;           /* timestamp */
};

/* All else is 0. */
void account_init(struct account_s *a, unsigned lines);
/* Takes an edge into account. Lost edges to be told with it: its `lost`. */
uint32_t account_edge(struct account_s *a, const struct dev_gpio_event_s *event);

#endif
