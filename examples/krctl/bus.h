/* SPDX-License-Identifier: MIT */
/* What the commands for i2c, spi, pwm, mem and valio share: finding a device, printing, errors. */
#ifndef KRCTL_BUS_H
#define KRCTL_BUS_H

#include "krctl.h"
#include "session.h"

/* Opens `name`: a spec, or what comes after "DRIVER:" in one, or a device file; with `key`,
 * "key=value", unless it has that already or `key` is NULL. KRCTL_OK, or says what is wrong.
 */
int bus_open(struct session_s *s, struct device_accessor_s *acc, const char *name,
             const char *driver, enum driver_class_e cl, const char *key);

/* Says that a request to the device failed: KRCTL_FAILED, or, when the session is over, its status.
 */
int bus_fail(const char *name, error_t err);

/* Writes what was added to the output of the session: `status`, or what became of it. */
int bus_end(struct session_s *s, int status);

/* "9f 00 12", and a new-line. */
void bus_put_hex(struct bytes_s *to, const uint8_t *data, size_t size);

/* The operands as bytes, "9f 00", "0x9f,0x00"; "-" or none: standard input, as it is. To be freed;
   NULL after saying what is wrong with them: KRCTL_USAGE. */
uint8_t *bus_bytes(const struct krctl_command_s *command, int argc, char **argv, size_t *size);

#endif
