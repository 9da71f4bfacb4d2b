/* SPDX-License-Identifier: MIT */
/* usage: fuzz_NAME [SEED [COUNT]]: the same inputs for the same seed. One line of TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static uint64_t state;

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016) */
static uint32_t any(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 33) % below;
}

static size_t make(uint8_t *data, size_t max)
{
    size_t alphabet = strlen(fuzz_alphabet), size = 0, wanted = any((uint32_t)max);
    uint32_t words = 0;

    while (fuzz_words[words])
        words++;
    while (size < wanted) {
        if (words && any(3) == 0) {
            const char *word = fuzz_words[any(words)];
            size_t n = strlen(word);

            if (size + n > max)
                break;
            memcpy(data + size, word, n);
            size += n;
        } else if (alphabet && any(16)) {
            data[size++] = (uint8_t)fuzz_alphabet[any((uint32_t)alphabet)];
        } else {
            data[size++] = (uint8_t)any(256);
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 0) : 20000;
    uint8_t data[512];

    state = seed * 2 + 1;
    printf("# seed %llu, %lu inputs\n", (unsigned long long)seed, count);
    fflush(stdout);
    for (unsigned long i = 0; i < count; i++)
        LLVMFuzzerTestOneInput(data, make(data, sizeof(data)));
    printf("ok 1 - %s\n1..1\n", argv[0]);
    return 0;
}
