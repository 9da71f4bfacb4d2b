/* SPDX-License-Identifier: MIT */
/* The driver i2c on adapters of the kernel, as tests/vm/raspi names them: that of a Raspberry Pi 3
 * with QEMU's chips, one of SMBus only, one without chips, and two whose faults are parameters. */
#include "kt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#define OPS 4

struct op_s {
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[50];
    unsigned done; /* atomic */
    unsigned stamp;
};

static struct kt_env_s env;
static struct device_i2c_s bus;
static struct op_s ops[OPS];

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    kt_set(&op->stamp, kt_stamp());
    kt_inc(&op->done);
}

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

static error_t open_as(struct device_i2c_s *acc, const char *text, const char *keys)
{
    char spec[128];

    snprintf(spec, sizeof spec, "i2c:%s%s", text, keys);
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_I2C);
}

static void open_more(struct device_i2c_s *acc, const char *variable, const char *keys)
{
    ck_assert_msg(!open_as(acc, named(variable), keys), "%s", kroutine_error_text());
}

static void open_bus(const char *variable)
{
    kt_env_open(&env, KT_THREADS);
    open_more(&bus, variable, "");
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < OPS; i++) {
        dev_i2c_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
}

static void close_bus(void)
{
    device_put_accessor(&bus.base);
    kt_env_close(&env);
}

static void add(struct op_s *op, const void *data, size_t size, uint32_t flags)
{
    struct dev_i2c_transfer_s *t = &op->list[op->rq.count++];

    t->out = data;
    t->size = (uint32_t)size;
    t->op = flags;
}

static void run(uint16_t addr, error_t err, unsigned done)
{
    ops[0].rq.addr = addr;
    kt_set(&ops[0].done, 0);
    DEVICE_OP(&bus, request, &ops[0].rq);
    kt_await(NULL, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, err);
    ck_assert_uint_eq(ops[0].rq.done, done);
    ops[0].rq.count = 0;
}

#define REFUSED(addr, error, text)                                                                 \
    do {                                                                                           \
        run((addr), (error), 0);                                                                   \
        ck_assert_msg(strstr(kroutine_error_text(), (text)), "%s", kroutine_error_text());         \
    } while (0)

/* A parameter of kr_i2c_bus, for both buses. */
static void fault(const char *parameter, int first, int second)
{
    char path[80], text[32];
    int fd;

    snprintf(path, sizeof path, "/sys/module/kr_i2c_bus/parameters/%s", parameter);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %m", path);
    snprintf(text, sizeof text, "%d,%d", first, second);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void fail_next(unsigned count, int error)
{
    fault("error", error, error);
    fault("failures", (int)count, (int)count);
}

static error_t put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    error_t err = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return err;
}

/* --- the processor's own adapter --- */

START_TEST(chips_of_the_board)
{
    uint8_t page[34] = {0x01, 0x20}, back[40], config = 0;

    open_bus("KT_I2C_BUS");
    add(&ops[0], (uint8_t[]){1, 0x60}, 2, DEV_I2C_WRITE | DEV_I2C_STOP);
    add(&ops[0], (uint8_t[]){1}, 1, DEV_I2C_WRITE);
    add(&ops[0], &config, 1, DEV_I2C_READ);
    run(0x48, 0, 3);
    ck_assert_uint_eq(config, 0x60);
    for (unsigned i = 2; i < sizeof page; i++)
        page[i] = (uint8_t)(i * 7);
    ops[0].rq.retries = 200;
    add(&ops[0], page, sizeof page, DEV_I2C_WRITE | DEV_I2C_STOP);
    add(&ops[0], page, 2, DEV_I2C_WRITE);
    add(&ops[0], back, 32, DEV_I2C_READ);
    run(0x50, 0, 3);
    ck_assert_mem_eq(back, page + 2, 32);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x51, (uint8_t[]){9, 1, 2, 3}, 4), 0);
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, 0x51, (uint8_t[]){10}, 1, back, 2), 0);
    ck_assert_mem_eq(back, ((uint8_t[]){2, 3}), 2);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x51, back, 1), 0);
    close_bus();
}
END_TEST

/* The adapter has no I2C_M_NOSTART: they are joined. */
START_TEST(transfers_without_a_start)
{
    uint8_t back[32];

    open_bus("KT_I2C_BUS");
    add(&ops[0], (uint8_t[]){0x02, 0x00}, 2, DEV_I2C_WRITE);
    add(&ops[0], "page of ", 8, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    add(&ops[0], "an EEPROM", 9, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    run(0x50, 0, 3);
    add(&ops[0], (uint8_t[]){0x02}, 1, DEV_I2C_WRITE);
    add(&ops[0], (uint8_t[]){0x00}, 1, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    add(&ops[0], back + 17, 3, DEV_I2C_READ);
    add(&ops[0], back, 14, DEV_I2C_READ | DEV_I2C_CONTINUE);
    run(0x50, 0, 4);
    ck_assert_mem_eq(back + 17, "pag", 3);
    ck_assert_mem_eq(back, "e of an EEPROM", 14);
    close_bus();
}
END_TEST

/* It says EREMOTEIO for everything: who is not there is told from who does not listen. */
START_TEST(nobody_there)
{
    uint8_t byte;
    uint16_t addr;

    open_bus(_i ? "KT_I2C_EMPTY" : "KT_I2C_BUS");
    addr = _i ? 0x48 : 0x33;
    ck_assert_int_eq(dev_i2c_wait_write(&bus, addr, &byte, 1), -EHOSTUNREACH);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, addr, &byte, 1), -EHOSTUNREACH);
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, addr, &byte, 1, &byte, 1), -EHOSTUNREACH);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, addr, &byte, 0), -EHOSTUNREACH);
    if (!_i)
        ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x50, &byte, 0), 0);
    close_bus();
}
END_TEST

START_TEST(limits_of_the_board)
{
    uint8_t byte;

    open_bus("KT_I2C_BUS");
    ops[0].rq.flags = DEV_I2C_TEN_BIT;
    add(&ops[0], &byte, 1, DEV_I2C_READ);
    REFUSED(0x250, -ENOTSUP, "ten bits");
    ops[0].rq.flags = 0;
    add(&ops[0], &byte, 1, DEV_I2C_READ); /* a read is the last of a message list there */
    add(&ops[0], &byte, 1, DEV_I2C_READ);
    run(0x48, -ENOTSUP, 0);
    add(&ops[0], &byte, 1, DEV_I2C_READ | DEV_I2C_STOP); /* with a stop there are two lists */
    add(&ops[0], &byte, 1, DEV_I2C_READ);
    run(0x48, 0, 2);
    close_bus();
}
END_TEST

/* --- scans --- */

static void expect_scan(const uint8_t *found, uint8_t held)
{
    struct dev_i2c_rq_s *rq = &ops[0].rq;

    rq->type = DEV_I2C_SCAN;
    rq->scan.first = 0x08;
    rq->scan.last = 0x77;
    rq->scan.how = DEV_I2C_SCAN_AUTO;
    kt_set(&ops[0].done, 0);
    DEVICE_OP(&bus, request, rq);
    kt_await(NULL, kt_get(&ops[0].done));
    ck_assert_int_eq(rq->error, 0);
    for (unsigned i = 0; i < 128; i++) {
        ck_assert_msg((rq->scan.found[i / 32] >> i % 32 & 1) == (i == *found), "address 0x%02x", i);
        ck_assert_uint_eq(rq->scan.held[i / 32] >> i % 32 & 1, held && i == held);
        found += i == *found;
    }
}

START_TEST(scans)
{
    static const struct {
        const char *bus;
        uint8_t found[5];
    } scan[] = {
        {"KT_I2C_BUS", {0x48, 0x50, 0x51, 0x68, 0xff}},
        {"KT_I2C_EMPTY", {0xff}},
        {"KT_I2C_STUB", {0x1c, 0x50, 0xff}},
        {"KT_I2C_TEST0", {0x50, 0xff}},
    };

    open_bus(scan[_i].bus);
    expect_scan(scan[_i].found, 0);
    close_bus();
}
END_TEST

/* The driver `dummy` of i2c-core is for addresses of a chip that has several. */
START_TEST(an_address_that_the_kernel_has)
{
    struct dev_i2c_info_s info;
    struct device_i2c_s forced;
    char folder[64], path[80], byte;

    open_bus("KT_I2C_BUS");
    ck_assert_int_eq(DEVICE_OP(&bus, info, &info), 0);
    snprintf(folder, sizeof folder, "/sys/bus/i2c/devices/i2c-%u", info.bus);
    snprintf(path, sizeof path, "%s/new_device", folder);
    ck_assert_int_eq(put(path, "dummy 0x68"), 0);
    add(&ops[0], &byte, 1, DEV_I2C_READ);
    REFUSED(0x68, -EBUSY, "0x68 is held by the driver dummy");
    expect_scan((uint8_t[]){0x48, 0x50, 0x51, 0xff}, 0x68);
    open_more(&forced, "KT_I2C_BUS", "?force=yes");
    ck_assert_int_eq(dev_i2c_wait_write_read(&forced, 0x68, "", 1, &byte, 1), 0);
    device_put_accessor(&forced.base);
    snprintf(path, sizeof path, "%s/delete_device", folder);
    ck_assert_int_eq(put(path, "0x68"), 0);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x68, &byte, 1), 0);
    close_bus();
}
END_TEST

/* --- SMBus only --- */

START_TEST(lists_that_are_calls_of_smbus)
{
    uint8_t back[32], block[33] = {0x40}, ten[4];

    open_bus("KT_I2C_STUB");
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x1c, (uint8_t[]){7, 0xa5}, 2), 0);
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, 0x1c, (uint8_t[]){7}, 1, back, 1), 0);
    ck_assert_uint_eq(back[0], 0xa5);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x1c, (uint8_t[]){8, 0x12, 0x34}, 3), 0);
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, 0x1c, (uint8_t[]){8}, 1, back, 2), 0);
    ck_assert_mem_eq(back, ((uint8_t[]){0x12, 0x34}), 2);
    for (unsigned i = 1; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 3);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x50, block, sizeof block), 0);
    ck_assert_int_eq(dev_i2c_wait_write_read(&bus, 0x50, block, 1, back, 32), 0);
    ck_assert_mem_eq(back, block + 1, 32);
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x50, (uint8_t[]){0x42}, 1), 0); /* send byte … */
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x50, back, 1), 0);               /* … and receive */
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x50, back, 0), 0);              /* quick */
    ck_assert_int_eq(dev_i2c_wait_write(&bus, 0x51, back, 0), -EHOSTUNREACH);
    add(&ops[0], block, 1, DEV_I2C_WRITE);
    add(&ops[0], "abcd", 2, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    add(&ops[0], "cdef", 2, DEV_I2C_WRITE | DEV_I2C_CONTINUE | DEV_I2C_STOP);
    add(&ops[0], block, 1, DEV_I2C_WRITE);
    add(&ops[0], ten, 1, DEV_I2C_READ);
    add(&ops[0], ten + 1, 3, DEV_I2C_READ | DEV_I2C_CONTINUE);
    run(0x50, 0, 6);
    ck_assert_mem_eq(ten, "abcd", 4);
    close_bus();
}
END_TEST

START_TEST(lists_that_are_not)
{
    uint8_t bytes[40] = {0};

    open_bus("KT_I2C_STUB");
    add(&ops[0], bytes, 34, DEV_I2C_WRITE);
    REFUSED(0x50, -EMSGSIZE, "33");
    add(&ops[0], bytes, 1, DEV_I2C_WRITE);
    add(&ops[0], bytes, 33, DEV_I2C_READ);
    REFUSED(0x50, -EMSGSIZE, "32");
    add(&ops[0], bytes, 2, DEV_I2C_READ);
    REFUSED(0x50, -ENOTSUP, "SMBus only");
    add(&ops[0], bytes, 2, DEV_I2C_WRITE);
    add(&ops[0], bytes, 2, DEV_I2C_READ);
    REFUSED(0x50, -ENOTSUP, "SMBus only");
    add(&ops[0], bytes, 1, DEV_I2C_READ);
    add(&ops[0], bytes, 1, DEV_I2C_WRITE);
    REFUSED(0x50, -ENOTSUP, "SMBus only");
    ops[0].rq.flags = DEV_I2C_TEN_BIT;
    add(&ops[0], bytes, 1, DEV_I2C_READ);
    REFUSED(0x50, -ENOTSUP, "ten bits");
    close_bus();
}
END_TEST

/* --- faults --- */

START_TEST(errors_of_the_kernel)
{
    static const struct {
        int error;
        unsigned count;
        error_t want;
    } fails[] = {
        {-EREMOTEIO, 1, -EREMOTEIO}, /* a byte: the address alone is acknowledged */
        {-EREMOTEIO, 2, -EHOSTUNREACH},
        {-ENXIO, 1, -EHOSTUNREACH},
        {-ETIMEDOUT, 1, -ETIMEDOUT},
        {-EAGAIN, 1, -EAGAIN},
        {-EBUSY, 1, -ETIMEDOUT},
        {-EIO, 1, -EIO},
        {-EPROTO, 1, -EIO},
        {-ENODEV, 1, -EHOSTUNREACH},
        {-ESHUTDOWN, 1, -EIO},
        {-EAFNOSUPPORT, 1, -ENOTSUP},
    };

    open_bus("KT_I2C_TEST0");
    for (unsigned i = 0; i < sizeof fails / sizeof fails[0]; i++) {
        fail_next(fails[i].count, fails[i].error);
        add(&ops[0], "xyz", 3, DEV_I2C_WRITE);
        run(0x50, fails[i].want, 0);
        fail_next(0, 0);
    }
    ops[0].rq.retries = 3;
    fail_next(3, -EAGAIN);
    add(&ops[0], "xyz", 3, DEV_I2C_WRITE);
    run(0x50, 0, 1);
    fail_next(4, -ENXIO);
    add(&ops[0], "xyz", 3, DEV_I2C_WRITE);
    run(0x50, -EHOSTUNREACH, 0);
    fail_next(0, 0);
    close_bus();
}
END_TEST

START_TEST(limits)
{
    static uint8_t bytes[8193];

    open_bus("KT_I2C_TEST0");
    add(&ops[0], bytes, 8193, DEV_I2C_WRITE);
    REFUSED(0x50, -EMSGSIZE, "8193 bytes, the kernel takes 8192");
    add(&ops[0], bytes, 8192, DEV_I2C_READ);
    run(0x50, 0, 1);
    for (unsigned i = 0; i < 43; i++)
        add(&ops[0], bytes, 1, DEV_I2C_READ);
    REFUSED(0x50, -EMSGSIZE, "43 transfers without a stop, the kernel takes 42");
    for (unsigned i = 0; i < 43; i++)
        add(&ops[0], bytes, 1, i == 41 ? DEV_I2C_READ | DEV_I2C_STOP : DEV_I2C_READ);
    run(0x50, 0, 43);
    add(&ops[0], bytes, 5000, DEV_I2C_WRITE);
    add(&ops[0], bytes, 5000, DEV_I2C_WRITE | DEV_I2C_CONTINUE);
    REFUSED(0x50, -EMSGSIZE, "10000 bytes");
    for (unsigned i = 0; i < 4; i++)
        add(&ops[0], bytes, 2500, i % 2 ? DEV_I2C_WRITE | DEV_I2C_CONTINUE : DEV_I2C_WRITE);
    REFUSED(0x50, -EMSGSIZE, "joined");
    close_bus();
    open_bus("KT_I2C_TEST1"); /* 2 messages of 32 bytes, which only its driver knows */
    add(&ops[0], bytes, 33, DEV_I2C_WRITE);
    run(0x50, -EMSGSIZE, 0);
    for (unsigned i = 0; i < 3; i++)
        add(&ops[0], bytes, 1, DEV_I2C_READ);
    run(0x50, -ENOTSUP, 0);
    add(&ops[0], bytes, 32, DEV_I2C_WRITE);
    add(&ops[0], bytes, 32, DEV_I2C_READ);
    run(0x50, 0, 2);
    close_bus();
}
END_TEST

START_TEST(addresses_of_ten_bits)
{
    uint8_t back[2];

    open_bus("KT_I2C_TEST0");
    ops[0].rq.flags = DEV_I2C_TEN_BIT;
    add(&ops[0], (uint8_t[]){3, 0x11, 0x22}, 3, DEV_I2C_WRITE);
    add(&ops[0], (uint8_t[]){3}, 1, DEV_I2C_WRITE);
    add(&ops[0], back, 2, DEV_I2C_READ);
    run(0x250, 0, 3);
    ck_assert_mem_eq(back, ((uint8_t[]){0x11, 0x22}), 2);
    add(&ops[0], back, 1, DEV_I2C_READ);
    run(0x50, -EHOSTUNREACH, 0);
    close_bus();
}
END_TEST

/* --- a bus that is held --- */

static struct device_i2c_s other;
static unsigned transfers, stopping; /* atomic */

static KROUTINE_EXEC(again)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    kt_inc(&transfers);
    if (!kt_get(&stopping))
        DEVICE_OP(&other, request, &op->rq);
    else
        kt_inc(&op->done);
}

START_TEST(two_seconds_in_the_kernel)
{
    uint8_t temp[2];
    unsigned before;

    open_bus("KT_I2C_TEST0");
    open_more(&other, "KT_I2C_BUS", "");
    fault("delay_ms", 2000, 0);
    for (unsigned i = 0; i < 3; i++) {
        add(&ops[i], temp, 1, DEV_I2C_READ);
        ops[i].rq.addr = 0x50;
    }
    DEVICE_OP(&bus, request, &ops[0].rq);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(100));
    DEVICE_OP(&bus, request, &ops[1].rq);
    DEVICE_OP(&bus, request, &ops[2].rq);
    kt_sleep_ms(50);
    dev_i2c_rq_init(&ops[3].rq, again);
    ops[3].rq.list = ops[3].list;
    ops[3].rq.count = 0;
    add(&ops[3], temp, 2, DEV_I2C_READ);
    ops[3].rq.addr = 0x48;
    before = kt_get(&transfers);
    DEVICE_OP(&other, request, &ops[3].rq);
    kt_await(NULL, kt_get(&ops[1].done));
    ck_assert_int_eq(ops[1].rq.error, -ETIMEDOUT);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[2].rq), 0);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[0].rq), -EBUSY);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    kt_sleep_ms(1000);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    printf("# while a bus was held for 1 s: %u transfers on another one\n",
           kt_get(&transfers) - before);
    ck_assert_uint_ge(kt_get(&transfers) - before, 20);
    fault("delay_ms", 0, 0);
    kt_await(NULL, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, 0);
    kt_set(&stopping, 1);
    kt_await(NULL, kt_get(&ops[3].done));
    device_put_accessor(&other.base);
    close_bus();
}
END_TEST

/* --- names --- */

START_TEST(names_of_an_adapter)
{
    static const char *const names[] = {"3f804000.i2c", "i2c@7e804000", "/soc/i2c@7e804000",
                                        "bcm2835%20(i2c@7e804000)", "i2c1"};
    const char *path = named("KT_I2C_BUS");
    struct dev_i2c_info_s info;
    struct device_i2c_s acc;

    open_bus("KT_I2C_BUS");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_msg(!open_as(&acc, names[i], ""), "%s: %s", names[i], kroutine_error_text());
        ck_assert_int_eq(DEVICE_OP(&acc, info, &info), 0);
        ck_assert_uint_eq(info.bus, (unsigned)atoi(path + strlen("/dev/i2c-")));
        ck_assert_str_eq(info.name, "bcm2835 (i2c@7e804000)");
        ck_assert_uint_eq(info.cap, DEV_I2C_CAP_PLAIN | DEV_I2C_CAP_CONTINUE | DEV_I2C_CAP_QUICK);
        ck_assert_uint_eq(info.transfers_max, 42);
        device_put_accessor(&acc.base);
    }
    ck_assert_int_eq(open_as(&acc, "99", ""), -ENOENT);
    ck_assert_msg(strstr(kroutine_error_text(), "bcm2835 (i2c@7e804000)"), "%s",
                  kroutine_error_text());
    ck_assert_int_eq(open_as(&acc, path, "?timeout=200&retries=2"), 0);
    device_put_accessor(&acc.base);
    close_bus();
}
END_TEST

/* --- gone --- */

/* The kernel waits with the end of an adapter until nobody has it open. */
START_TEST(an_adapter_that_goes)
{
    static const char driver[] = "/sys/bus/platform/drivers/i2c-gpio/";
    char text[128], path[80], device[80] = "", byte;
    struct dev_i2c_info_s info;
    ssize_t length;
    pid_t pid;

    open_bus("KT_I2C_EMPTY");
    ck_assert_int_eq(DEVICE_OP(&bus, info, &info), 0);
    snprintf(path, sizeof path, "/sys/class/i2c-dev/i2c-%u/device/..", info.bus);
    ck_assert_ptr_nonnull(realpath(path, text));
    snprintf(device, sizeof device, "%s", strrchr(text, '/') + 1);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x48, &byte, 1), -EHOSTUNREACH);
    pid = fork();
    if (pid == 0) {
        close_range(3, ~0u, 0); /* it has the adapter open, too */
        snprintf(text, sizeof text, "%sunbind", driver);
        _exit(put(text, device) ? 1 : 0);
    }
    snprintf(path, sizeof path, "/sys/class/i2c-dev/i2c-%u", info.bus);
    kt_await(NULL, access(path, F_OK));
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x48, &byte, 1), -ENODEV);
    ck_assert_int_eq(dev_i2c_wait_read(&bus, 0x48, &byte, 1), -ENODEV);
    close_bus();
    ck_assert_int_eq(waitpid(pid, (int[]){0}, 0), pid);
    length = snprintf(text, sizeof text, "%sbind", driver);
    ck_assert_int_gt(length, 0);
    ck_assert_int_eq(put(text, device), 0);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("i2c_adapter");

    kt_add(s, chips_of_the_board, 10);
    kt_add(s, transfers_without_a_start, 10);
    kt_add_loop(s, nobody_there, 2, NULL, 10);
    kt_add(s, limits_of_the_board, 10);
    kt_add_loop(s, scans, 4, NULL, 20);
    kt_add(s, an_address_that_the_kernel_has, 20);
    kt_add(s, lists_that_are_calls_of_smbus, 10);
    kt_add(s, lists_that_are_not, 10);
    kt_add(s, errors_of_the_kernel, 10);
    kt_add(s, limits, 10);
    kt_add(s, addresses_of_ten_bits, 10);
    kt_add(s, two_seconds_in_the_kernel, 30);
    kt_add(s, names_of_an_adapter, 10);
    kt_add(s, an_adapter_that_goes, 20);
    return s;
}
