/* SPDX-License-Identifier: MIT */
/* For the tests on ports of a virtual machine: a tty device with both of its classes, and requests
   of the uart class that note what happened to them. */
#ifndef VM_PORT_H
#define VM_PORT_H

#include "kt_pair.h"

#include <kroutine/uart.h>

struct vm_port_s {
    struct kt_env_s *env;
    struct device_char_s chr;
    struct device_uart_s uart;
};

/* "tty:/dev/ttyS4" with `keys` behind it; the error of the call that looks it up. */
error_t vm_port_try(struct vm_port_s *p, struct kt_env_s *env, const char *path, const char *keys);
void vm_port_open(struct vm_port_s *p, struct kt_env_s *env, const char *path, const char *keys);
void vm_port_close(struct vm_port_s *p);

/* Submit, wait, fail the case unless `error`; what was transferred. */
size_t vm_read(struct vm_port_s *p, void *data, size_t size, int error);
size_t vm_write(struct vm_port_s *p, const void *data, size_t size, int error);

/* Sends `size` bytes while the other reads them, and compares. */
void vm_transfer(struct vm_port_s *from, struct vm_port_s *to, size_t size);

struct vm_uart_op_s {
    struct dev_uart_rq_s rq;
    unsigned done; /* atomic: runs of the handler */
    int error;
};

void vm_uart_init(struct vm_uart_op_s *op, unsigned type);
void vm_uart_submit(struct vm_uart_op_s *op, struct vm_port_s *p);
void vm_uart_expect(struct vm_uart_op_s *op, struct vm_port_s *p, int error);

#endif
