/* SPDX-License-Identifier: MIT */
/* Lists of transfers as calls of SMBus: which ones are, and which call is made. */
#include "kt.h"

#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "../../backends/i2c/i2c.h"

#define LIST 4

static struct dev_i2c_transfer_s list[LIST];
static struct dev_i2c_rq_s rq;
static struct kr_i2c_adapter_s adapter;
static uint8_t bytes[64];

/* The kernel's end: notes the call. */
static struct i2c_smbus_ioctl_data made;
static unsigned calls;
static uint8_t keeps; /* bytes of a block that are not read */
static bool interrupted;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    const void *arg;

    (void)fd;
    va_start(args, request);
    arg = va_arg(args, const void *);
    va_end(args);
    if (request != I2C_SMBUS)
        return 0; /* I2C_SLAVE_FORCE, I2C_TENBIT */
    made = *(const struct i2c_smbus_ioctl_data *)arg;
    made.data->block[0] -= keeps;
    calls++;
    errno = EINTR;
    return interrupted ? -1 : 0;
}

static void begin(unsigned long funcs)
{
    memset(&rq, 0, sizeof rq);
    rq.list = list;
    rq.addr = 0x50;
    adapter = (struct kr_i2c_adapter_s){.fd = -1, .funcs = funcs, .slave = -1};
    calls = 0;
    keeps = 0;
    interrupted = false;
}

static void add(uint32_t op, size_t size)
{
    list[rq.count] = (struct dev_i2c_transfer_s){.size = (uint32_t)size, .op = op};
    list[rq.count++].data = size ? bytes : NULL;
}

static error_t admit(void)
{
    return kr_i2c_smbus_admit(&adapter, &rq, 0, rq.count);
}

static void expect_call(uint32_t size, bool read)
{
    ck_assert_int_eq(admit(), 0);
    ck_assert_int_eq(kr_i2c_smbus_transfer(&adapter, &rq, 0, rq.count), 0);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(made.size, size);
    ck_assert_uint_eq(made.read_write, read ? I2C_SMBUS_READ : I2C_SMBUS_WRITE);
}

/* {bytes written, bytes read, the call}; -1: no such transfer. */
static const struct {
    int out, in;
    uint32_t size;
} shapes[] = {
    {0, -1, I2C_SMBUS_QUICK},          {-1, 0, I2C_SMBUS_QUICK},
    {1, -1, I2C_SMBUS_BYTE},           {-1, 1, I2C_SMBUS_BYTE},
    {2, -1, I2C_SMBUS_BYTE_DATA},      {1, 1, I2C_SMBUS_BYTE_DATA},
    {3, -1, I2C_SMBUS_WORD_DATA},      {1, 2, I2C_SMBUS_WORD_DATA},
    {4, -1, I2C_SMBUS_I2C_BLOCK_DATA}, {33, -1, I2C_SMBUS_I2C_BLOCK_DATA},
    {1, 3, I2C_SMBUS_I2C_BLOCK_DATA},  {1, 32, I2C_SMBUS_I2C_BLOCK_DATA},
};

START_TEST(lists_that_are_calls)
{
    begin(~0ul);
    if (shapes[_i].out >= 0)
        add(DEV_I2C_WRITE, (size_t)shapes[_i].out);
    if (shapes[_i].in >= 0)
        add(DEV_I2C_READ, (size_t)shapes[_i].in);
    expect_call(shapes[_i].size, shapes[_i].in >= 0);
}
END_TEST

/* An address on the wire that no call has: neither left out, nor the other direction instead. */
START_TEST(a_transfer_of_no_bytes_beside_another_is_no_call)
{
    begin(~0ul);
    add(DEV_I2C_WRITE, _i ? 0 : 1);
    add(DEV_I2C_READ, _i ? 1 : 0);
    ck_assert_int_eq(admit(), -ENOTSUP);
    begin(~0ul);
    add(DEV_I2C_WRITE, 0);
    add(DEV_I2C_READ, 0);
    ck_assert_int_eq(admit(), -ENOTSUP);
}
END_TEST

/* The count of a block is the adapter's when it comes back. */
START_TEST(a_block_that_is_shorter)
{
    begin(~0ul);
    add(DEV_I2C_WRITE, 1);
    add(DEV_I2C_READ, 16);
    keeps = 1;
    ck_assert_int_eq(kr_i2c_smbus_transfer(&adapter, &rq, 0, rq.count), -EIO);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* By a signal: the chip may have taken what was written, and must not get it again. */
START_TEST(what_was_interrupted_is_not_repeated)
{
    union i2c_smbus_data data = {.block = {0}};
    struct i2c_smbus_ioctl_data call = {.data = &data};

    begin(~0ul);
    interrupted = true;
    ck_assert_int_eq(kr_i2c_ioctl(-1, I2C_SMBUS, &call), -EINTR);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(too_long)
{
    begin(~0ul);
    add(DEV_I2C_WRITE, _i ? 34 : 1);
    if (!_i)
        add(DEV_I2C_READ, 33);
    ck_assert_int_eq(admit(), -EMSGSIZE);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("i2c_smbus");

    kt_add_loop(s, lists_that_are_calls, sizeof(shapes) / sizeof(shapes[0]), NULL, 10);
    kt_add_loop(s, a_transfer_of_no_bytes_beside_another_is_no_call, 2, NULL, 10);
    kt_add(s, a_block_that_is_shorter, 10);
    kt_add(s, what_was_interrupted_is_not_repeated, 10);
    kt_add_loop(s, too_long, 2, NULL, 10);
    return s;
}
