/* SPDX-License-Identifier: MIT */
/* A character on a serial line, for whoever computes times from it. */
#ifndef KR_UART_LINE_H
#define KR_UART_LINE_H

#include "kroutine/uart.h"

/* Its bits: start, data, parity, stop. */
static inline unsigned kr_uart_char_bits(const struct dev_uart_config_s *config)
{
    return 1u + config->data_bits + (config->parity != DEV_UART_PARITY_NONE) + config->stop_bits;
}

/* Its time; a port that tells no speed is taken for a fast one. */
static inline uint64_t kr_uart_char_ns(const struct dev_uart_config_s *config)
{
    return config->baudrate ? KROUTINE_SEC(kr_uart_char_bits(config)) / config->baudrate
                            : KROUTINE_USEC(100);
}

#endif
