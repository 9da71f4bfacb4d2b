/* SPDX-License-Identifier: MIT */
/* The driver spi with controllers of the kernel: the processor's own, and two that give back what
   they get and count how often a chip is selected (tests/vm/raspi). */
#include "kt.h"

#include <fcntl.h>
#include <linux/spi/spidev.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define REST       6 /* bytes of its answer */
#define PARAMETERS "/sys/module/kr_spi_loop/parameters/"

struct op_s {
    struct dev_spi_rq_s rq;
    struct dev_spi_transfer_s list[4];
    unsigned done; /* atomic */
};

static struct kt_env_s env;
static struct op_s ops[4];
static uint8_t out[10000], in[10000];

static KROUTINE_EXEC(over)
{
    kt_inc(&KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr)->done);
}

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

static error_t put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    n = n < 0 ? -errno : 0;
    close(fd);
    return (error_t)n;
}

static void begin(int mode)
{
    kt_env_open(&env, (enum kt_mode_e)mode);
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < 4; i++) {
        dev_spi_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
    }
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 11 + i / 256);
    memset(in, 0xee, sizeof in);
}

static error_t lookup(struct device_spi_s *acc, const char *variable, const char *keys)
{
    char spec[256];

    snprintf(spec, sizeof spec, "spi:%s?%s", named(variable), keys);
    *acc = (struct device_spi_s)DEVICE_ACCESSOR_INIT;
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_SPI);
}

static void open_chip(struct device_spi_s *acc, const char *variable, const char *keys)
{
    error_t err = lookup(acc, variable, keys);

    ck_assert_msg(!err, "%s: %s", keys, kroutine_error_text());
}

static struct dev_spi_transfer_s *add(struct op_s *op, const void *o, void *i, size_t size)
{
    struct dev_spi_transfer_s *t = &op->list[op->rq.count++];

    *t = (struct dev_spi_transfer_s){.out = o, .in = i, .size = size};
    return t;
}

static void submit(const struct device_spi_s *acc, struct op_s *op)
{
    kt_set(&op->done, 0);
    DEVICE_OP(acc, request, &op->rq);
}

static void run(const struct device_spi_s *acc, struct op_s *op, int error, size_t done)
{
    submit(acc, op);
    kt_await(&env, kt_get(&op->done));
    ck_assert_msg(op->rq.error == error, "error %d, not %d", op->rq.error, error);
    ck_assert_uint_eq(op->rq.done, done);
    op->rq.count = 0;
    op->rq.flags = 0;
}

static unsigned selected(void)
{
    char text[64] = "";
    int fd = open(PARAMETERS "selected", O_RDONLY | O_CLOEXEC);

    ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
    close(fd);
    return (unsigned)strtoul(text, NULL, 10);
}

/* --- the processor's own --- */

START_TEST(identity_of_a_flash)
{
    static const uint8_t command[] = {0x9f};
    struct device_spi_s flash;

    begin(_i);
    open_chip(&flash, "KT_SPI_FLASH", "hz=10M&mode=0");
    add(&ops[0], NULL, in, REST); /* that of others: no chip select reaches it in QEMU */
    run(&flash, &ops[0], 0, REST);
    add(&ops[0], command, NULL, 1);
    add(&ops[0], NULL, in, REST);
    run(&flash, &ops[0], 0, 1 + REST);
    ck_assert_mem_eq(in, "\xef\x40\x14", 3);
    add(&ops[0], "\x9f\0\0\0\0\0", in, 1 + REST); /* in one, in both directions */
    run(&flash, &ops[0], 0, 1 + REST);
    ck_assert_mem_eq(in + 1, "\xef\x40\x14", 3);
    device_put_accessor(&flash.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(what_the_controller_refuses)
{
    static const struct {
        const char *keys, *says;
    } bad[] = {{"lsb-first=yes", "lsb-first"}, {"mode=1&bits=16", "words of 16 bits"}};
    struct device_spi_s flash;

    begin(_i);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(lookup(&flash, "KT_SPI_FLASH", bad[i].keys), -EINVAL);
        ck_assert_msg(strstr(kroutine_error_text(), bad[i].says), "%s", kroutine_error_text());
    }
    kt_env_close(&env);
}
END_TEST

/* --- chip select --- */

START_TEST(how_often_it_is_selected)
{
    struct device_spi_s chip;
    unsigned before;

    begin(_i);
    open_chip(&chip, "KT_SPI_LOOP0", "mode=0");
    before = selected();
    add(&ops[0], out, in, 4);
    add(&ops[0], out, in, 4);
    run(&chip, &ops[0], 0, 8);
    ck_assert_uint_eq(selected() - before, 1);
    before = selected();
    add(&ops[0], out, in, 4)->flags = DEV_SPI_CS_CHANGE;
    add(&ops[0], out, in, 4);
    run(&chip, &ops[0], 0, 8);
    ck_assert_uint_eq(selected() - before, 2);
    before = selected();
    ops[0].rq.flags = DEV_SPI_MAY_SPLIT; /* a message ends just where the chip is let go anyway */
    add(&ops[0], out, in, 4096)->flags = DEV_SPI_CS_CHANGE;
    add(&ops[0], out + 4096, in + 4096, 5000);
    run(&chip, &ops[0], 0, 9096);
    ck_assert_uint_eq(selected() - before, 3);
    ck_assert_mem_eq(in, out, 9096);
    device_put_accessor(&chip.base);
    kt_env_close(&env);
}
END_TEST

/* The kernel's rules for what fits are ours: all that is accepted goes through. */
START_TEST(as_much_as_fits)
{
    static struct dev_spi_transfer_s list[512];
    struct device_spi_s chip;
    unsigned accepted = 0, refused = 0;

    begin(_i);
    open_chip(&chip, "KT_SPI_LOOP0", "mode=0");
    ops[0].rq.list = list;
    for (unsigned size = 1; size <= 300; size += 23) {
        for (unsigned count = 1; count <= 40; count++) {
            for (unsigned i = 0; i < count; i++)
                list[i] = (struct dev_spi_transfer_s){.out = out, .in = in, .size = size};
            ops[0].rq.count = (uint16_t)count;
            submit(&chip, &ops[0]);
            kt_await(&env, kt_get(&ops[0].done));
            if (ops[0].rq.error == -EMSGSIZE) { /* by us: the text is of this submit */
                ck_assert_uint_eq(ops[0].rq.begun, 0);
                refused++;
            } else {
                ck_assert_int_eq(ops[0].rq.error, 0);
                accepted++;
            }
        }
    }
    ck_assert_uint_gt(accepted, 100);
    ck_assert_uint_gt(refused, 50);
    for (unsigned i = 0; i < 511; i++)
        list[i] = (struct dev_spi_transfer_s){.delay_us = 0};
    list[510] = (struct dev_spi_transfer_s){.out = out, .in = in, .size = 3};
    ops[0].rq.count = 511;
    run(&chip, &ops[0], 0, 3);
    device_put_accessor(&chip.base);
    kt_env_close(&env);
}
END_TEST

/* --- settings that outlast the device --- */

START_TEST(closing_puts_back)
{
    int fd = open(named("KT_SPI_LOOP0"), O_RDWR | O_CLOEXEC);
    uint32_t mode = SPI_MODE_2 | SPI_CS_HIGH, now = 0;
    uint8_t bits = 16, bits_now = 0;
    struct dev_spi_info_s info;
    struct device_spi_s chip;

    begin(_i);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_WR_MODE32, &mode), 0);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_WR_BITS_PER_WORD, &bits), 0);
    open_chip(&chip, "KT_SPI_LOOP0", "cs-high=no&bits=8");
    ck_assert_int_eq(DEVICE_OP(&chip, info, &info), 0);
    ck_assert_uint_eq(info.config.mode, DEV_SPI_CPOL); /* what the spec is silent about stays */
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], 0, 3);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_RD_MODE32, &now), 0);
    ck_assert_uint_eq(now, SPI_MODE_2);
    device_put_accessor(&chip.base);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_RD_MODE32, &now), 0);
    ck_assert_uint_eq(now, mode);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_RD_BITS_PER_WORD, &bits_now), 0);
    ck_assert_uint_eq(bits_now, 16);
    mode = SPI_MODE_0;
    bits = 8;
    ck_assert_int_eq(ioctl(fd, SPI_IOC_WR_MODE32, &mode), 0);
    ck_assert_int_eq(ioctl(fd, SPI_IOC_WR_BITS_PER_WORD, &bits), 0);
    close(fd);
    kt_env_close(&env);
}
END_TEST

/* Two devices for one chip, and each request has the mode of its own. */
START_TEST(two_modes_for_a_chip)
{
    int fd = open(named("KT_SPI_LOOP0"), O_RDWR | O_CLOEXEC);
    struct device_spi_s zero, three;
    uint32_t now = 0;

    begin(_i);
    open_chip(&zero, "KT_SPI_LOOP0", "mode=0");
    open_chip(&three, "KT_SPI_LOOP0", "mode=3");
    for (unsigned i = 0; i < 6; i++) {
        add(&ops[0], out, in, 3);
        run(i & 1 ? &three : &zero, &ops[0], 0, 3);
        ck_assert_int_eq(ioctl(fd, SPI_IOC_RD_MODE32, &now), 0);
        ck_assert_uint_eq(now, i & 1 ? SPI_MODE_3 : SPI_MODE_0);
    }
    device_put_accessor(&three.base);
    device_put_accessor(&zero.base);
    close(fd);
    kt_env_close(&env);
}
END_TEST

/* --- faults --- */

START_TEST(errors_of_the_controller)
{
    struct device_spi_s chip;

    begin(_i);
    open_chip(&chip, "KT_SPI_LOOP0", "mode=0");
    put_text(PARAMETERS "error", "-110,0");
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], -ETIMEDOUT, 0);
    put_text(PARAMETERS "error", "-5,0");
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], -EIO, 0);
    put_text(PARAMETERS "error", "0,0");
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], 0, 3);
    device_put_accessor(&chip.base);
    kt_env_close(&env);
}
END_TEST

/* A transfer of 2 s on one bus: the other bus, the reactor and the pool go on, and so does the
   time-out of a request that waits behind it. */
START_TEST(a_slow_device)
{
    struct device_spi_s slow, quick;
    unsigned rounds = 0;

    begin(_i);
    open_chip(&slow, "KT_SPI_LOOP0", "mode=0");
    open_chip(&quick, "KT_SPI_LOOP1", "mode=0");
    put_text(PARAMETERS "delay_ms", "2000,0");
    add(&ops[0], out, in, 3);
    submit(&slow, &ops[0]);
    add(&ops[1], out, in, 3);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(50));
    submit(&slow, &ops[1]);
    for (; rounds < 50; rounds++) {
        add(&ops[2], out, in + 16, 3);
        run(&quick, &ops[2], 0, 3);
    }
    kt_await(&env, kt_get(&ops[1].done));
    ck_assert_int_eq(ops[1].rq.error, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, 0);
    put_text(PARAMETERS "delay_ms", "0,0");
    device_put_accessor(&quick.base);
    device_put_accessor(&slow.base);
    kt_env_close(&env);
}
END_TEST

/* "spi3.0" of /dev/spidev3.0 */
static const char *kernel_name(const char *variable)
{
    static char name[32];

    snprintf(name, sizeof name, "spi%.20s", named(variable) + strlen("/dev/spidev"));
    return name;
}

START_TEST(unbound_from_spidev)
{
    const char *name = kernel_name("KT_SPI_LOOP1");
    struct device_spi_s chip;

    begin(_i);
    open_chip(&chip, "KT_SPI_LOOP1", "mode=0");
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], 0, 3);
    ck_assert_int_eq(put_text("/sys/bus/spi/drivers/spidev/unbind", name), 0);
    for (unsigned i = 0; i < 3; i++) {
        add(&ops[0], out, in, 3);
        run(&chip, &ops[0], -ENODEV, 0);
    }
    device_put_accessor(&chip.base);
    ck_assert_int_eq(lookup(&chip, "KT_SPI_LOOP1", "mode=0"), -ENOENT);
    ck_assert_msg(strstr(kroutine_error_text(), "driver_override"), "%s", kroutine_error_text());
    ck_assert_int_eq(put_text("/sys/bus/spi/drivers/spidev/bind", name), 0);
    open_chip(&chip, "KT_SPI_LOOP1", "mode=0");
    add(&ops[0], out, in, 3);
    run(&chip, &ops[0], 0, 3);
    device_put_accessor(&chip.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(a_select_that_is_not_there)
{
    struct device_spi_s chip = DEVICE_ACCESSOR_INIT;
    char spec[64];

    begin(_i);
    snprintf(spec, sizeof spec, "spi:%.1s.7", named("KT_SPI_LOOP0") + strlen("/dev/spidev"));
    ck_assert_int_eq(device_get_accessor_by_path(&chip.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_SPI),
                     -ENOENT);
    ck_assert_msg(strstr(kroutine_error_text(), "no chip select 7"), "%s", kroutine_error_text());
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi_spi");

    kt_add_loop(s, identity_of_a_flash, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, what_the_controller_refuses, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, how_often_it_is_selected, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, as_much_as_fits, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, closing_puts_back, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, two_modes_for_a_chip, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, errors_of_the_controller, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_slow_device, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, unbound_from_spidev, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_select_that_is_not_there, KT_MODES, kt_mode_label, 30);
    return s;
}
