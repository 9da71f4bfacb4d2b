/* SPDX-License-Identifier: MIT */
/* What the tests of a Raspberry Pi 3 take for granted of the guest (tests/vm/raspi tells the
 * names): each device is there, and answers the kernel's own interface. */
#include "kt.h"

#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

static int opened(const char *variable)
{
    int fd = open(named(variable), O_RDWR | O_CLOEXEC);

    ck_assert_msg(fd >= 0, "%s: %m", named(variable));
    return fd;
}

/* Writes and reads in one transfer; 0, or what errno was. */
static int exchange(int fd, uint16_t flags, uint16_t address, const void *out, size_t out_size,
                    void *in, size_t in_size)
{
    struct i2c_msg messages[2] = {
        {.addr = address, .flags = flags, .len = (uint16_t)out_size, .buf = (void *)out},
        {.addr = address, .flags = flags | I2C_M_RD, .len = (uint16_t)in_size, .buf = in},
    };
    struct i2c_rdwr_ioctl_data data = {.msgs = messages, .nmsgs = in_size > 0 ? 2 : 1};

    return ioctl(fd, I2C_RDWR, &data) < 0 ? errno : 0;
}

START_TEST(i2c_devices)
{
    uint8_t config[] = {1, 0x60}, where[] = {0x01, 0x23}, page[] = {0x01, 0x23, 0xa5, 0x5a}, in[7];
    int fd = opened("KT_I2C_BUS");

    ck_assert_int_eq(exchange(fd, 0, 0x48, config, 2, NULL, 0), 0);
    ck_assert_int_eq(exchange(fd, 0, 0x48, config, 1, in, 1), 0);
    ck_assert_uint_eq(in[0], 0x60);
    ck_assert_int_eq(exchange(fd, 0, 0x50, page, 4, NULL, 0), 0);
    ck_assert_int_eq(exchange(fd, 0, 0x50, where, 2, in, 2), 0);
    ck_assert_mem_eq(in, page + 2, 2);
    ck_assert_int_eq(exchange(fd, 0, 0x51, page, 3, NULL, 0), 0);
    ck_assert_int_eq(exchange(fd, 0, 0x51, page, 1, in, 2), 0);
    ck_assert_mem_eq(in, page + 1, 2);
    ck_assert_int_eq(exchange(fd, 0, 0x68, "", 1, in, 7), 0);
    ck_assert_uint_le(in[0], 0x59);
    ck_assert_int_eq(exchange(fd, 0, 0x33, "", 1, in, 1), EREMOTEIO);
    close(fd);
}
END_TEST

START_TEST(i2c_buses)
{
    unsigned long functions;
    uint8_t in[40], out[] = {7, 0x42};
    int fd = opened("KT_I2C_EMPTY");

    ck_assert_int_eq(exchange(fd, 0, 0x50, out, 1, in, 1), ENXIO);
    close(fd);
    fd = opened("KT_I2C_STUB");
    ck_assert_int_eq(ioctl(fd, I2C_FUNCS, &functions), 0);
    ck_assert_uint_eq(functions & I2C_FUNC_I2C, 0);
    ck_assert_int_eq(ioctl(fd, I2C_SLAVE, 0x50), 0);
    close(fd);
    fd = opened("KT_I2C_TEST0");
    ck_assert_int_eq(exchange(fd, I2C_M_TEN, 0x250, out, 2, NULL, 0), 0);
    ck_assert_int_eq(exchange(fd, I2C_M_TEN, 0x250, out, 1, in, 1), 0);
    ck_assert_uint_eq(in[0], 0x42);
    close(fd);
    fd = opened("KT_I2C_TEST1");
    ck_assert_int_eq(exchange(fd, 0, 0x50, out, 1, in, 32), 0);
    ck_assert_int_eq(exchange(fd, 0, 0x50, out, 1, in, 33), EOPNOTSUPP);
    close(fd);
}
END_TEST

static int spi_exchange(const char *variable, const uint8_t *out, uint8_t *in, size_t size)
{
    struct spi_ioc_transfer transfer = {
        .tx_buf = (uintptr_t)out,
        .rx_buf = (uintptr_t)in,
        .len = (uint32_t)size,
    };
    int fd = opened(variable), done;

    done = ioctl(fd, SPI_IOC_MESSAGE(1), &transfer);
    close(fd);
    return done;
}

START_TEST(spi)
{
    static const uint8_t identity[] = {0x9f, 0, 0, 0}, w25q80[] = {0xef, 0x40, 0x14};
    uint8_t in[4];

    ck_assert_int_eq(spi_exchange("KT_SPI_FLASH", identity, in, 4), 4);
    ck_assert_mem_eq(in + 1, w25q80, 3);
    ck_assert_int_eq(spi_exchange("KT_SPI_LOOP0", w25q80, in, 3), 3);
    ck_assert_mem_eq(in, w25q80, 3);
    ck_assert_int_eq(spi_exchange("KT_SPI_LOOP1", w25q80, in, 3), 3);
    ck_assert_mem_eq(in, w25q80, 3);
}
END_TEST

START_TEST(uio)
{
    static const char *const names[] = {"KT_UIO_GPIOMEM", "KT_UIO_TIMER", "KT_UIO_DMA"};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (unsigned i = 0; i < 3; i++) {
        int fd = opened(names[i]);
        void *registers = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        ck_assert_ptr_ne(registers, MAP_FAILED);
        if (i == 1) { /* the counter's lower half: microseconds */
            uint32_t before = ((volatile uint32_t *)registers)[1];

            kt_sleep_ms(2);
            ck_assert_uint_ge(((volatile uint32_t *)registers)[1] - before, 2000);
        }
        munmap(registers, page);
        close(fd);
    }
}
END_TEST

START_TEST(lines)
{
    static const char *const chips[] = {"KT_PWM_19", "KT_PWM_20", "KT_PWM_OWN"};
    char path[128];

    close(opened("KT_GPIO_RASPI"));
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/npwm", named(chips[i]));
        ck_assert_msg(access(path, R_OK) == 0, "%s: %m", path);
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi");

    kt_add(s, i2c_devices, 10);
    kt_add(s, i2c_buses, 10);
    kt_add(s, spi, 10);
    kt_add(s, uio, 10);
    kt_add(s, lines, 10);
    return s;
}
