/* SPDX-License-Identifier: MIT */
#include "sim_adc.h"

/* Clocks after the start bit, which is number 0 of figure 5-1: four bits of a command, one to
   sample, a null bit, the result from its highest bit to its lowest, and up again without saying
   the lowest twice; zeros then. */
#define COMMAND 4
#define SAMPLE  5
#define ZERO    6
#define LOWEST  16
#define HIGHEST 25

/* SGL/DIFF 1: one input. 0: IN+ less IN-, table 5-2: the lowest bit says which of a pair is IN+. */
static uint16_t convert(const struct kr_sim_adc_s *adc)
{
    unsigned plus = adc->command & 7, minus = plus ^ 1;

    if (adc->command & 8)
        return adc->value[plus];
    return adc->value[plus] > adc->value[minus] ? adc->value[plus] - adc->value[minus] : 0;
}

bool kr_sim_adc_clock(struct kr_sim_adc_s *adc, bool in)
{
    unsigned n;

    if (!adc->clocks) {
        adc->clocks = in;
        return true; /* its output floats, and is pulled up */
    }
    n = adc->clocks++;
    if (n <= COMMAND)
        adc->command = adc->command << 1 | in;
    if (n == SAMPLE)
        adc->result = convert(adc);
    if (n <= SAMPLE)
        return true;
    if (n == ZERO || n > HIGHEST)
        return false;
    return adc->result >> (n <= LOWEST ? LOWEST - n : n - LOWEST) & 1;
}
