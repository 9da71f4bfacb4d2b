/* SPDX-License-Identifier: MIT */
/*
 * A USB serial device on this very machine: the gadget's function `acm` on dummy_hcd
 * (Documentation/usb/gadget_configfs.rst), whose device side is GADGET_TTY and whose host side
 * HOST_TTY. And what goes over its control endpoint, from usbmon (Documentation/usb/usbmon.rst).
 */
#ifndef VM_GADGET_H
#define VM_GADGET_H

#include <stdint.h>

#define HOST_TTY   "/dev/ttyACM0"
#define GADGET_TTY "/dev/ttyGS0"

/* Makes a new device and plugs it in, where an older one may still be. Nobody may have its ports
 * open. */
void gadget_plug(void);
/* As pulling the plug: the host side loses its device. Both nodes of the host side are gone then.
 */
void gadget_unplug(void);

/* Control transfers from the host to the interface, from `monitor_open` on. */
int monitor_open(void);
/* Waits for the next SET_LINE_CODING; its baud rate. */
uint32_t monitor_baud(int fd);
/* Waits for the next SET_CONTROL_LINE_STATE; bit 0 is DTR, bit 1 RTS. */
unsigned monitor_lines(int fd);

#endif
