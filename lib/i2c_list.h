/* SPDX-License-Identifier: MIT */
/* What drivers of the i2c class share: walking through the list of a request. Between two stops is
   a part of it, which the bus does at once; `done` is where the next part begins. */
#ifndef KR_I2C_LIST_H
#define KR_I2C_LIST_H

#include "bus.h"

/* Index behind the last transfer of the part that begins at `from`. */
static inline unsigned kr_i2c_part_end(const struct dev_i2c_rq_s *rq, unsigned from)
{
    while (from + 1 < rq->count && !(rq->list[from].op & DEV_I2C_STOP))
        from++;
    return from + 1;
}

/* What `perform` returns when the part up to `end` has ended with `err`. *tries: how often it was
   tried before; of the driver, which leaves it alone. */
static inline error_t kr_i2c_part_ended(const struct kr_bus_port_s *port, struct dev_i2c_rq_s *rq,
                                        unsigned *tries, unsigned end, error_t err)
{
    if (port->calls == 0)
        *tries = 0;
    if ((err == -EAGAIN || err == -EHOSTUNREACH) && *tries < rq->retries) {
        ++*tries;
        return KR_BUS_MORE;
    }
    *tries = 0;
    if (err)
        return err;
    rq->done = (uint16_t)end;
    return end < rq->count ? KR_BUS_MORE : 0;
}

/* --- scans: scan.asked counts the addresses that were asked --- */

static inline void kr_i2c_scan_begin(struct dev_i2c_rq_s *rq)
{
    rq->scan.asked = 0;
    for (unsigned i = 0; i < 4; i++)
        rq->scan.found[i] = rq->scan.held[i] = 0;
}

static inline unsigned kr_i2c_scan_address(const struct dev_i2c_rq_s *rq)
{
    return rq->scan.first + (unsigned)rq->scan.asked;
}

/* Whether the address is asked by a read: AUTO as i2cdetect(8) and, for EEPROMs, whose contents a
   write can damage, i2c_default_probe() of drivers/i2c/i2c-core-base.c. */
static inline bool kr_i2c_scan_reads(const struct dev_i2c_rq_s *rq)
{
    unsigned addr = kr_i2c_scan_address(rq);

    if (rq->scan.how == DEV_I2C_SCAN_AUTO)
        return (addr >= 0x30 && addr <= 0x37) || (addr >= 0x50 && addr <= 0x5f);
    return rq->scan.how == DEV_I2C_SCAN_READ;
}

static inline error_t kr_i2c_scan_next(struct dev_i2c_rq_s *rq, bool found, bool held)
{
    unsigned addr = kr_i2c_scan_address(rq);

    rq->scan.found[addr / 32] |= (uint32_t)found << addr % 32;
    rq->scan.held[addr / 32] |= (uint32_t)held << addr % 32;
    rq->scan.asked++;
    return addr < rq->scan.last ? KR_BUS_MORE : 0;
}

#endif
