/* SPDX-License-Identifier: MIT */
/* Shared by the files of the sim backend. */
#ifndef KR_SIM_INTERNAL_H
#define KR_SIM_INTERNAL_H

#include "internal.h"

/* xorshift64* (Vigna 2016): small, and the same everywhere. */
struct kr_random_s {
    uint64_t state; /* not 0 */
};

static inline uint64_t kr_random(struct kr_random_s *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1dull;
}

/* Every `text` gets a sequence of its own. The mixing is the finaliser of splitmix64. */
static inline struct kr_random_s kr_random_from(uint64_t seed, const char *text)
{
    for (; *text; text++)
        seed = (seed ^ (uint8_t)*text) * 0x100000001b3ull;
    seed += 0x9e3779b97f4a7c15ull;
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ull;
    seed = (seed ^ seed >> 27) * 0x94d049bb133111ebull;
    seed ^= seed >> 31;
    return (struct kr_random_s){seed ? seed : 1};
}

static inline bool kr_random_percent(struct kr_random_s *random, unsigned percent)
{
    return percent && kr_random(random) % 100 < percent;
}

/* config.sim_seed; 0 on a runtime with another backend. */
uint64_t kr_sim_seed(const struct kroutine_runtime_s *rt);

#endif
