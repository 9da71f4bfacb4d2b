/* SPDX-License-Identifier: MIT */
/* Times, sizes and bytes as people write them on a command line. */
#ifndef KRCTL_PARSE_H
#define KRCTL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "1.5s", "250ms", "20us", "5m"; without a suffix seconds, as sleep(1). False: it is none, or
   longer than a century. */
bool parse_time(const char *text, uint64_t *ns);

/* "4096", "0x1000", "64k", "1M": thousands, as in specs. 1 or more. */
bool parse_size(const char *text, uint64_t *size);

/* Text with \a \b \e \f \n \r \t \v \0 \\ \xNN, to bytes: their number, which is at most the length
   of the text; `bytes` may be `text`. -1: *wrong is where it goes wrong. */
ptrdiff_t parse_escapes(uint8_t *bytes, const char *text, const char **wrong);

/* "de ad BE:ef", "0xde,0xad" to bytes, as above. */
ptrdiff_t parse_hex(uint8_t *bytes, const char *text, const char **wrong);

#endif
