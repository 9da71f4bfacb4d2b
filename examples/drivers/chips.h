/* SPDX-License-Identifier: MIT */
/* The drivers of this folder. A program registers them, and opens their devices by specs. */
#ifndef CHIPS_H
#define CHIPS_H

#include <kroutine/driver.h>

extern const struct driver_s at24_driver;    /* at24:i2c:1?addr=0x50&size=4096&page=32 */
extern const struct driver_s tmp105_driver;  /* tmp105:i2c:1?addr=0x48&resolution=12 */
extern const struct driver_s mcp3008_driver; /* mcp3008:spi:0.0 */
extern const struct driver_s ds1307_driver;  /* ds1307:i2c:1 */

/* All of them. -EEXIST: the program has a driver of that name already. */
static inline error_t chips_register(void)
{
    static const struct driver_s *const chips[] = {&at24_driver, &tmp105_driver, &mcp3008_driver,
                                                   &ds1307_driver};
    error_t err = 0;

    for (unsigned i = 0; !err && i < sizeof(chips) / sizeof(chips[0]); i++)
        err = driver_register(chips[i]);
    return err;
}

#endif
