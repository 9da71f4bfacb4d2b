/* SPDX-License-Identifier: MIT */
/*
 * How many edges were lost, from the two numbers that the kernel's uAPI 2 gives each edge.
 *
 * The number of the line counts the edges that the interrupt thread has made, in order: a gap is
 * what the full buffer has dropped. The number of the request counts interrupts, and is taken
 * before the thread of the line runs (edge_irq_handler and edge_irq_thread in
 * drivers/gpio/gpiolib-cdev.c, Linux 6.12): several interrupts may become one edge, so it has gaps
 * that the other has not; and as each line has a thread of its own, it may come out of order. So it
 * is looked at only when nothing is on its way any more. With a single line both are the same, and
 * merged interrupts are not to be seen at all.
 */
#ifndef KR_GPIOD_ACCOUNT_H
#define KR_GPIOD_ACCOUNT_H

#include "kroutine/gpio.h"

struct account_s {
    uint32_t line[DEV_GPIO_LINES_MAX]; /* highest number of each line */
    uint32_t highest;                  /* of the request */
    uint32_t edges;                    /* that were read */
    uint32_t gaps;                     /* lost for certain, by the numbers of lines */
    uint32_t told;
    uint32_t least; /* smallest difference of interrupts and edges, over `window` edges */
    uint32_t window;
    uint64_t last; /* timestamp of the latest edge */
};

/* Takes an edge into account. Lost edges to be told with it: its `lost`. */
uint32_t account_edge(struct account_s *a, const struct dev_gpio_event_s *event);

#endif
