/* SPDX-License-Identifier: MIT */
/* Device files of spidev, and what is the matter when there is none. */
#ifndef KR_SPI_FIND_H
#define KR_SPI_FIND_H

#include "spi.h"

struct find_s {
    char path[64];
    unsigned bus;
    unsigned select;
};

/* "0.1", "/dev/spidev0.1" or another name of that file, opened: its descriptor, or a negative errno
   with a text that says what to do. */
int find_open(struct find_s *found, const char *address);

/* Bytes that a message can have in each direction. */
size_t find_bufsiz(void);

#endif
