/* SPDX-License-Identifier: MIT */
/*
 * Adapters of PCs know SMBus only: a transfer there is one of a dozen calls. Those that look the
 * same on the wire as a list of transfers are used for it: Documentation/i2c/smbus-protocol.rst.
 */
#include <errno.h>
#include <string.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>

#include "i2c.h"

/* What a part is: bytes that are written, then bytes that are read. */
struct shape_s {
    bool writes, reads;
    bool other; /* it is not of that kind */
    size_t out, in;
};

static struct shape_s shape_of(const struct dev_i2c_rq_s *rq, unsigned from, unsigned end)
{
    struct shape_s s = {.out = 0};

    for (unsigned i = from; i < end; i++) {
        const struct dev_i2c_transfer_s *t = &rq->list[i];
        bool read = t->op & DEV_I2C_READ, joined = t->op & DEV_I2C_CONTINUE;

        s.other |= read ? s.reads && !joined : s.reads || (s.writes && !joined);
        *(read ? &s.reads : &s.writes) = true;
        *(read ? &s.in : &s.out) += t->size;
    }
    if (s.reads && s.writes) /* an address without bytes beside the other one: no call has that */
        s.other |= !s.in || !s.out;
    return s;
}

/* A call that does it. */
struct call_s {
    uint16_t out, out_max; /* bytes written, the command included, at least and at most */
    uint16_t in, in_max;
    uint8_t size;       /* I2C_SMBUS_… */
    unsigned long func; /* what the adapter must have */
    const char *name;   /* of that */
};

/* Preferred ones first. */
static const struct call_s calls[] = {
    {1, 1, 0, 0, I2C_SMBUS_BYTE, I2C_FUNC_SMBUS_WRITE_BYTE, "WRITE_BYTE"},
    {0, 0, 1, 1, I2C_SMBUS_BYTE, I2C_FUNC_SMBUS_READ_BYTE, "READ_BYTE"},
    {2, 2, 0, 0, I2C_SMBUS_BYTE_DATA, I2C_FUNC_SMBUS_WRITE_BYTE_DATA, "WRITE_BYTE_DATA"},
    {1, 1, 1, 1, I2C_SMBUS_BYTE_DATA, I2C_FUNC_SMBUS_READ_BYTE_DATA, "READ_BYTE_DATA"},
    {3, 3, 0, 0, I2C_SMBUS_WORD_DATA, I2C_FUNC_SMBUS_WRITE_WORD_DATA, "WRITE_WORD_DATA"},
    {1, 1, 2, 2, I2C_SMBUS_WORD_DATA, I2C_FUNC_SMBUS_READ_WORD_DATA, "READ_WORD_DATA"},
    {2, 33, 0, 0, I2C_SMBUS_I2C_BLOCK_DATA, I2C_FUNC_SMBUS_WRITE_I2C_BLOCK, "WRITE_I2C_BLOCK"},
    {1, 1, 1, 32, I2C_SMBUS_I2C_BLOCK_DATA, I2C_FUNC_SMBUS_READ_I2C_BLOCK, "READ_I2C_BLOCK"},
};

static const struct call_s quick = {0, 0, 0, 0, I2C_SMBUS_QUICK, I2C_FUNC_SMBUS_QUICK, "QUICK"};

/* *missing: the last one that would do it and that the adapter does not have. */
static const struct call_s *find_call(const struct kr_i2c_adapter_s *a, const struct shape_s *s,
                                      const struct call_s **missing)
{
    *missing = NULL;
    if (s->other)
        return NULL;
    if (!s->out && !s->in && s->reads != s->writes) {
        *missing = &quick;
        return a->funcs & quick.func ? &quick : NULL;
    }
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const struct call_s *c = &calls[i];

        if (s->out < c->out || s->out > c->out_max || s->in < c->in || s->in > c->in_max)
            continue;
        *missing = c;
        if (a->funcs & c->func)
            return c;
    }
    return NULL;
}

error_t kr_i2c_smbus_admit(const struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                           unsigned from, unsigned end)
{
    struct shape_s s = shape_of(rq, from, end);
    const struct call_s *missing;

    if (find_call(a, &s, &missing))
        return 0;
    if (missing)
        return device_error(-ENOTSUP,
                            "i2c: transfer %u: the adapter knows SMBus only, and lacks "
                            "I2C_FUNC_SMBUS_%s",
                            from, missing->name);
    if (!s.other && (s.out > 33 || s.in > 32))
        return device_error(-EMSGSIZE,
                            "i2c: transfer %u: the adapter knows SMBus only, which "
                            "writes 33 and reads 32 bytes at most",
                            from);
    return device_error(-ENOTSUP,
                        "i2c: transfer %u: the adapter knows SMBus only, and no call of "
                        "that does this (up to 33 bytes written; or one byte written and "
                        "up to 32 read; or one read)",
                        from);
}

/* --- calls --- */

static error_t choose_slave(struct kr_i2c_adapter_s *a, uint16_t addr, bool ten)
{
    int32_t slave = addr | (ten ? KR_I2C_SLAVE_TEN : 0);
    error_t err = 0;

    if (a->slave == slave)
        return 0;
    if (a->slave < 0 || (a->slave ^ slave) & KR_I2C_SLAVE_TEN)
        err = kr_i2c_ioctl(a->fd, I2C_TENBIT, (void *)(uintptr_t)ten);
    if (!err) /* whether somebody has it was asked before */
        err = kr_i2c_ioctl(a->fd, I2C_SLAVE_FORCE, (void *)(uintptr_t)addr);
    a->slave = err ? -1 : slave;
    return err;
}

static error_t call(struct kr_i2c_adapter_s *a, uint8_t size, bool read, uint8_t command,
                    union i2c_smbus_data *data)
{
    struct i2c_smbus_ioctl_data arg = {
        .read_write = read ? I2C_SMBUS_READ : I2C_SMBUS_WRITE,
        .command = command,
        .size = size,
        .data = data,
    };

    return kr_i2c_ioctl(a->fd, I2C_SMBUS, &arg);
}

/* Bytes of the call from or to those of the list. */
static void copy(const struct dev_i2c_rq_s *rq, unsigned from, unsigned end, uint8_t *bytes,
                 bool read)
{
    for (unsigned i = from; i < end; i++) {
        const struct dev_i2c_transfer_s *t = &rq->list[i];

        if (!(t->op & DEV_I2C_READ) == read || !t->size)
            continue;
        memcpy(read ? t->data : bytes, read ? bytes : t->out, t->size);
        bytes += t->size;
    }
}

/* Words have the low byte first on the wire. */
error_t kr_i2c_smbus_transfer(struct kr_i2c_adapter_s *a, const struct dev_i2c_rq_s *rq,
                              unsigned from, unsigned end)
{
    struct shape_s s = shape_of(rq, from, end);
    union i2c_smbus_data data = {.block = {0}};
    uint8_t bytes[I2C_SMBUS_BLOCK_MAX + 1] = {0};
    const struct call_s *missing, *c = find_call(a, &s, &missing);
    error_t err = choose_slave(a, rq->addr, rq->flags & DEV_I2C_TEN_BIT);

    copy(rq, from, end, bytes, false);
    if (c->size == I2C_SMBUS_BYTE_DATA) {
        data.byte = bytes[1];
    } else if (c->size == I2C_SMBUS_WORD_DATA) {
        data.word = (uint16_t)(bytes[1] | bytes[2] << 8);
    } else if (c->size == I2C_SMBUS_I2C_BLOCK_DATA) {
        data.block[0] = (uint8_t)(s.reads ? s.in : s.out - 1);
        memcpy(data.block + 1, bytes + 1, I2C_SMBUS_BLOCK_MAX);
    }
    if (!err)
        err = call(a, c->size, s.reads, bytes[0], &data);
    if (err)
        return kr_i2c_error(a, rq, from, end, err);
    if (c->size == I2C_SMBUS_WORD_DATA) {
        bytes[0] = (uint8_t)data.word;
        bytes[1] = (uint8_t)(data.word >> 8);
    } else if (c->size == I2C_SMBUS_I2C_BLOCK_DATA) {
        if (s.reads && data.block[0] < s.in) /* some adapters tell how many there were */
            return -EIO;
        memcpy(bytes, data.block + 1, I2C_SMBUS_BLOCK_MAX);
    } else {
        bytes[0] = data.byte;
    }
    copy(rq, from, end, bytes, true);
    return 0;
}

bool kr_i2c_can_ask(const struct kr_i2c_adapter_s *a, bool read)
{
    return a->funcs & (read ? I2C_FUNC_SMBUS_READ_BYTE : I2C_FUNC_SMBUS_QUICK);
}

error_t kr_i2c_ask(struct kr_i2c_adapter_s *a, uint16_t addr, bool ten, bool read)
{
    union i2c_smbus_data data;
    error_t err = choose_slave(a, addr, ten);

    return err ? err : call(a, read ? I2C_SMBUS_BYTE : I2C_SMBUS_QUICK, read, 0, &data);
}
