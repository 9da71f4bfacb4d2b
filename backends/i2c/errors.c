/* SPDX-License-Identifier: MIT */
/* What the kernel says, and what that means: Documentation/i2c/fault-codes.rst. */
#include <errno.h>
#include <linux/i2c.h>
#include <sys/ioctl.h>

#include "i2c.h"

/* Not again after EINTR, which a thread that waits can get from the few adapters that sleep so: the
   chip may have taken what was written. The thread of a bus takes no signals. */
int kr_i2c_ioctl(int fd, unsigned long request, void *arg)
{
    int n = ioctl(fd, request, arg);

    return n < 0 ? -errno : n;
}

/* Some adapters, bcm2835 among them, say EREMOTEIO whatever was not acknowledged. Bytes that are
   read are acknowledged by the adapter; for the others the address is asked alone, which chips
   that are there take for nothing. */
static error_t not_acknowledged(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                                unsigned from, unsigned end)
{
    bool bytes = false, ten = rq->flags & DEV_I2C_TEN_BIT;
    error_t err;

    for (unsigned i = from; i < end; i++)
        bytes |= !(rq->list[i].op & DEV_I2C_READ) && rq->list[i].size;
    if (!bytes)
        return -EHOSTUNREACH;
    if (!kr_i2c_can_ask(a, false))
        return -EREMOTEIO;
    err = kr_i2c_ask(a, rq->addr, ten, false);
    return err == -EREMOTEIO || err == -ENXIO ? -EHOSTUNREACH : -EREMOTEIO;
}

/* Limits of an adapter that its functions do not tell: i2c_check_for_quirks() of
   drivers/i2c/i2c-core-base.c. Of one transfer only the size can be wrong. */
static error_t refused(const struct dev_i2c_rq_s *rq, unsigned from, unsigned end)
{
    return end - from == 1 && rq->list[from].size > 1 ? -EMSGSIZE : -ENOTSUP;
}

/* An adapter that has gone says whatever its driver says then; sysfs does not have it any more. */
error_t kr_i2c_error(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                     unsigned end, error_t err)
{
    if (!err)
        return 0;
    if (kr_i2c_is_gone(a->number))
        return -ENODEV;
    switch (err) {
    case -EAGAIN:
    case -ETIMEDOUT:
    case -ENOMEM:
        return err;
    case -ENXIO:
    case -ENODEV: /* of i2c-stub */
        return -EHOSTUNREACH;
    case -EREMOTEIO:
        return not_acknowledged(a, rq, from, end);
    case -EBUSY: /* somebody holds the bus down */
        return -ETIMEDOUT;
    case -EOPNOTSUPP:
        return refused(rq, from, end);
    case -EAFNOSUPPORT:
        return -ENOTSUP;
    default:
        return -EIO;
    }
}
