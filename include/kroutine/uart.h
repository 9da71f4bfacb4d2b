/* SPDX-License-Identifier: MIT */
/* The uart class: line settings of a serial port. dev_uart_config(3). */
#ifndef KROUTINE_UART_H
#define KROUTINE_UART_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dev_uart_parity_e {
    DEV_UART_PARITY_NONE = 0,
    DEV_UART_PARITY_ODD,
    DEV_UART_PARITY_EVEN,
};

enum dev_uart_flow_e {
    DEV_UART_FLOW_NONE = 0,
    DEV_UART_FLOW_RTSCTS,
    DEV_UART_FLOW_XONXOFF,
};

struct dev_uart_config_s {
    uint32_t baudrate; /* bits a second; any value the hardware accepts */
    uint8_t data_bits; /* 5 to 8 */
    uint8_t stop_bits; /* 1 or 2 */
    uint8_t parity;    /* enum dev_uart_parity_e */
    uint8_t flow_ctrl; /* enum dev_uart_flow_e */
};

DEVICE_ACCESSOR_DECLARE(uart);

struct driver_uart_s {
    enum driver_class_e cl;
    /* Reads what the hardware really does, the achieved baud rate included. -ENODEV: gone. */
    error_t (*f_get_config)(const struct device_uart_s *acc, struct dev_uart_config_s *cfg);
    /* Applies all of `cfg`, after what was written before has been sent by the hardware or not, at
       once. -EINVAL: a field is out of range. -ENOTSUP: the port refused a setting, or makes a baud
       rate more than 3 % off; kroutine_error_text() names it and the old settings stand. -ENODEV:
       gone. -EBUSY: another thread is at it. */
    error_t (*f_set_config)(const struct device_uart_s *acc, const struct dev_uart_config_s *cfg);
};

#ifdef __cplusplus
}
#endif
#endif
