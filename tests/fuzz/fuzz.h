/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets. With clang they are libFuzzer programs (fuzz_NAME, run as long as you like); in
 * every build fuzz_main.c runs them over a fixed number of inputs made from a seed, which is a
 * test.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the target: characters that its inputs are mostly made of, "" for any byte. */
extern const char fuzz_alphabet[];
/* Whole pieces that inputs are also made of; NULL at the end. */
extern const char *const fuzz_words[];

#endif
