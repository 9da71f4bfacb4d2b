/* SPDX-License-Identifier: MIT */
/* krctl on the buses of a Raspberry Pi: what list finds opens, and chips answer with the words of
 * i2c-tools. tests/vm/raspi tells the names. */
#include "kt.h"

#include "../krctl_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *named(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path;
}

/* --- list --- */

/* A spec and its first class, of a line of JSON whose names need no escape. */
static bool spec_of(const char *line, char cl[32], char spec[160])
{
    const char *classes = strstr(line, "\"classes\":[\"");

    return classes != NULL && sscanf(line, "{\"spec\":\"%159[^\"]\"", spec) == 1 &&
           sscanf(classes, "\"classes\":[\"%31[^\"]\"", cl) == 1;
}

static enum driver_class_e class_of(const char *name)
{
    enum driver_class_e cl = DRIVER_CLASS_NONE + 1;

    while (cl < DRIVER_CLASS_COUNT && strcmp(device_class_name(cl), name) != 0)
        cl++;
    return cl;
}

/* Everything is here, nobody else is at work: each spec is taken, those of ports as well. */
START_TEST(listed_specs_open)
{
    char cl[32], spec[160];
    unsigned opened = 0;

    ck_assert_int_eq(KRCTL(&krctl_list, "--json"), KRCTL_OK);
    for (const char *line = krctl_printed; *line != '\0'; line = strchr(line, '\n') + 1) {
        struct device_char_s acc = DEVICE_ACCESSOR_INIT; /* any: it is not used */
        error_t err;

        if (!spec_of(line, cl, spec))
            continue;
        err = device_get_accessor_by_path(&acc.base, NULL, spec, class_of(cl));
        ck_assert_msg(err == 0, "%s: %d, %s", spec, err, kroutine_error_text());
        device_put_accessor(&acc.base);
        opened++;
    }
    ck_assert_uint_ge(opened, 12);
}
END_TEST

static void has_named(const char *format, const char *variable)
{
    char text[160];

    snprintf(text, sizeof(text), format, strrchr(named(variable), '/') + 1);
    krctl_has(text);
}

START_TEST(listed_devices)
{
    ck_assert_int_eq(KRCTL(&krctl_list, NULL), KRCTL_OK);
    printf("%s", krctl_printed);
    krctl_has("timer0");
    krctl_has("tty:/dev/ttyAMA0");
    krctl_has("kernel console");
    has_named("i2c:%s ", "KT_I2C_BUS");
    krctl_has("bcm2835 (i2c@7e804000)");
    has_named("i2c:%s ", "KT_I2C_STUB");
    has_named("gpiod:%s ", "KT_GPIO_RASPI");
    krctl_has("pinctrl-bcm2835");
    has_named("uio:%s ", "KT_UIO_DMA");
    has_named("uio:%s ", "KT_UIO_TIMER");
    has_named("pwm:%s ", "KT_PWM_OWN");
    has_named("pwm:%s ", "KT_PWM_19");
    krctl_has("spi:0.0 ");
}
END_TEST

/* --- i2c --- */

START_TEST(scan)
{
    ck_assert_int_eq(KRCTL(&krctl_i2c, "scan", "-y", named("KT_I2C_BUS")), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n"
                                    "00:                         -- -- -- -- -- -- -- -- \n"
                                    "10: -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- \n"
                                    "20: -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- \n"
                                    "30: -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- \n"
                                    "40: -- -- -- -- -- -- -- -- 48 -- -- -- -- -- -- -- \n"
                                    "50: 50 51 -- -- -- -- -- -- -- -- -- -- -- -- -- -- \n"
                                    "60: -- -- -- -- -- -- -- -- 68 -- -- -- -- -- -- -- \n"
                                    "70: -- -- -- -- -- -- -- --                         \n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "scan", named("KT_I2C_STUB"), "0x1c", "0x1c"), KRCTL_OK);
    krctl_has("1c ");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "scan", named("KT_I2C_EMPTY")), KRCTL_OK);
    ck_assert(strstr(krctl_printed, "50: -- -- ") != NULL);
}
END_TEST

START_TEST(registers)
{
    const char *bus = named("KT_I2C_BUS");

    ck_assert_int_eq(KRCTL(&krctl_i2c, "set", bus, "0x48", "1", "0x60", "-r"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "Value 0x60 written, readback matched\n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "set", bus, "0x51", "8", "0x1234", "w"), KRCTL_OK);
    ck_assert_int_eq(KRCTL(&krctl_i2c, "get", bus, "0x51", "8", "w"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "0x1234\n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "dump", bus, "0x51", "-r", "8-9"), KRCTL_OK);
    krctl_has("00:                         34 12 ");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "transfer", bus, "w3@0x50", "0x01", "0x23", "0x5a"),
                     KRCTL_OK);
    ck_assert_int_eq(KRCTL(&krctl_i2c, "get", bus, "0x50", "0x0123", "--wide"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "0x5a\n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "get", bus, "0x33", "0"), KRCTL_FAILED);
}
END_TEST

/* An adapter that has SMBus alone takes the same words. */
START_TEST(registers_of_smbus)
{
    const char *bus = named("KT_I2C_STUB");

    ck_assert_int_eq(KRCTL(&krctl_i2c, "set", bus, "0x1c", "0x20", "0xabcd", "w", "-r"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "Value 0xabcd written, readback matched\n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "get", bus, "0x1c", "0x20"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "0xcd\n");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "dump", bus, "0x1c", "i", "-r", "0x20-0x21"), KRCTL_OK);
    krctl_has("20: cd ");
    ck_assert_int_eq(KRCTL(&krctl_i2c, "info", bus), KRCTL_OK);
    krctl_has("SMBus stub driver");
}
END_TEST

/* --- spi, pwm --- */

START_TEST(spi)
{
    char other[64];

    ck_assert_int_eq(KRCTL(&krctl_spi, "xfer", named("KT_SPI_FLASH"), "9f", "--read", "3"),
                     KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "ef 40 14\n");
    ck_assert_int_eq(
        KRCTL(&krctl_spi, "xfer", named("KT_SPI_LOOP0"), "-m", "3", "-s", "1M", "01 02", "fe"),
        KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "01 02 fe\n");
    /* By its number, and as a spec. */
    snprintf(other, sizeof(other), "spi:%s", named("KT_SPI_LOOP0") + strlen("/dev/spidev"));
    ck_assert_int_eq(KRCTL(&krctl_spi, "xfer", other, "5a"), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, "5a\n");
    ck_assert_int_eq(KRCTL(&krctl_spi, "info", other + strlen("spi:")), KRCTL_OK);
    krctl_has("messages of up to 4096 bytes");
}
END_TEST

/* What was set is gone afterwards. */
START_TEST(pwm)
{
    const char *chip = strrchr(named("KT_PWM_19"), '/') + 1;
    char before[256];

    ck_assert_int_eq(KRCTL(&krctl_pwm, "get", chip), KRCTL_OK);
    snprintf(before, sizeof(before), "%.255s", krctl_printed);
    ck_assert_int_eq(KRCTL(&krctl_pwm, "set", chip, "hz=100", "duty=25%", "-jq", "-p", "10ms"),
                     KRCTL_OK);
    krctl_has("\"channel\":0,\"period_ns\":10000000,\"duty_ns\":2500000");
    krctl_has("\"enabled\":true");
    ck_assert_int_eq(KRCTL(&krctl_pwm, "get", chip), KRCTL_OK);
    ck_assert_str_eq(krctl_printed, before);
    ck_assert_int_eq(KRCTL(&krctl_pwm, "get", named("KT_PWM_OWN") + strlen("/sys/class/pwm/")),
                     KRCTL_OK);
    krctl_has(" 1: ");
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("krctl_buses");

    kt_add(s, listed_devices, 10);
    kt_add(s, listed_specs_open, 10);
    kt_add(s, scan, 10);
    kt_add(s, registers, 10);
    kt_add(s, registers_of_smbus, 10);
    kt_add(s, spi, 10);
    kt_add(s, pwm, 10);
    return s;
}
