/* SPDX-License-Identifier: MIT */
/* The converter MCP3008 behind sim-spi devices, bit by bit: Microchip DS21295, 5.0 and 6.1. */
#ifndef KR_SIM_ADC_H
#define KR_SIM_ADC_H

#include <stdbool.h>
#include <stdint.h>

#define KR_SIM_ADC_CHANNELS 8
#define KR_SIM_ADC_MAX      1023

struct kr_sim_adc_s {
    uint16_t value[KR_SIM_ADC_CHANNELS];
    unsigned clocks;  /* from the start bit on; 0: it has not come */
    unsigned command; /* SGL/DIFF, D2, D1, D0 */
    uint16_t result;
};

/* The chip is selected: whatever it was in the middle of is forgotten. */
static inline void kr_sim_adc_select(struct kr_sim_adc_s *adc)
{
    adc->clocks = 0;
    adc->command = 0;
}

/* A clock: what it reads, and what it says meanwhile. */
bool kr_sim_adc_clock(struct kr_sim_adc_s *adc, bool in);

#endif
