/* SPDX-License-Identifier: MIT */
/*
 * Transfers as messages of I2C_RDWR: all up to a stop in one call. DEV_I2C_CONTINUE is
 * I2C_M_NOSTART where the adapter has that; where not, the transfers are joined into one message.
 */
#include <errno.h>
#include <string.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>

#include "i2c.h"

/* Behind the last transfer that is joined with the one at `i`. */
static unsigned joined_end(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                           unsigned i, unsigned end)
{
    if (a->funcs & I2C_FUNC_NOSTART)
        return i + 1;
    while (++i < end && rq->list[i].op & DEV_I2C_CONTINUE)
        ;
    return i;
}

error_t kr_i2c_admit(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                     unsigned end)
{
    unsigned messages = 0;
    uint64_t joined = 0;

    for (unsigned i = from, next; i < end; i = next, messages++) {
        uint64_t size = 0;

        next = joined_end(a, rq, i, end);
        for (unsigned j = i; j < next; j++)
            size += rq->list[j].size;
        if (size > KR_I2C_BYTES)
            return device_error(-EMSGSIZE, "i2c: transfer %u: %llu bytes, the kernel takes %u", i,
                                (unsigned long long)size, KR_I2C_BYTES);
        if (!size && !(a->funcs & I2C_FUNC_SMBUS_QUICK))
            return device_error(-ENOTSUP,
                                "i2c: transfer %u: the adapter cannot send the address "
                                "alone (I2C_FUNC_SMBUS_QUICK)",
                                i);
        joined += next - i > 1 ? size : 0;
    }
    if (messages > KR_I2C_MESSAGES)
        return device_error(-EMSGSIZE, "i2c: %u transfers without a stop, the kernel takes %u",
                            messages, KR_I2C_MESSAGES);
    if (joined > KR_I2C_BYTES)
        return device_error(-EMSGSIZE,
                            "i2c: %llu bytes in transfers joined by DEV_I2C_CONTINUE, "
                            "%u can be",
                            (unsigned long long)joined, KR_I2C_BYTES);
    return 0;
}

/* The transfers from `i` to `next` become `msg`; *room is where the next to join go. */
static void make_message(struct i2c_msg *msg, const struct dev_i2c_rq_s *rq, unsigned i,
                         unsigned next, uint8_t **room)
{
    const struct dev_i2c_transfer_s *t = &rq->list[i];

    msg->addr = rq->addr;
    msg->flags = (uint16_t)((t->op & DEV_I2C_READ ? I2C_M_RD : 0) |
                            (rq->flags & DEV_I2C_TEN_BIT ? I2C_M_TEN : 0) |
                            (t->op & DEV_I2C_CONTINUE ? I2C_M_NOSTART : 0));
    msg->len = (uint16_t)t->size;
    msg->buf = t->data;
    if (next - i == 1)
        return;
    msg->buf = *room;
    for (; i < next; i++) {
        if (!(rq->list[i].op & DEV_I2C_READ) && rq->list[i].size)
            memcpy(*room, rq->list[i].out, rq->list[i].size);
        *room += rq->list[i].size;
    }
    msg->len = (uint16_t)(*room - msg->buf);
}

/* What was read into joined messages goes to where it belongs. */
static void take_apart(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                       const struct i2c_msg *msgs, unsigned from, unsigned end)
{
    for (unsigned i = from, next; i < end; i = next, msgs++) {
        const uint8_t *at = msgs->buf;

        next = joined_end(a, rq, i, end);
        if (next - i == 1 || !(rq->list[i].op & DEV_I2C_READ))
            continue;
        for (unsigned j = i; j < next; j++) {
            if (rq->list[j].size)
                memcpy(rq->list[j].data, at, rq->list[j].size);
            at += rq->list[j].size;
        }
    }
}

error_t kr_i2c_transfer(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq, unsigned from,
                        unsigned end)
{
    struct i2c_msg msgs[KR_I2C_MESSAGES];
    struct i2c_rdwr_ioctl_data data = {.msgs = msgs};
    uint8_t *room = a->joined;
    int n;

    for (unsigned i = from, next; i < end; i = next) {
        next = joined_end(a, rq, i, end);
        make_message(&msgs[data.nmsgs++], rq, i, next, &room);
    }
    n = kr_i2c_ioctl(a->fd, I2C_RDWR, &data);
    if (n < 0)
        return kr_i2c_error(a, rq, from, end, n);
    if ((unsigned)n < data.nmsgs) /* the adapter gave up, and does not say why */
        return -EIO;
    if (room != a->joined)
        take_apart(a, rq, msgs, from, end);
    return 0;
}
