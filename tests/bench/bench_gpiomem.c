/* SPDX-License-Identifier: MIT */
/*
 * A line of a Raspberry Pi, set by its register and by the kernel: the library's gpiomem and gpiod,
 * the bare store and the bare ioctl.
 *
 * Needs KT_UIO_GPIOMEM and KT_GPIO_RASPI, as tests/vm/raspi sets them; or on a Raspberry Pi 1 to 4
 * /dev/gpiomem and /dev/gpiochip0. Lines 17, 22, 23 and 27 become outputs, and toggle.
 *
 * usage: bench_gpiomem [ROUNDS [--tap]]
 */
#include <fcntl.h>
#include <kroutine.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define CALLS    2000
#define REGISTER 22 /* line of each of the four */
#define IOCTL    23
#define GPSET0   7 /* 32-bit words */
#define GPCLR0   10

static const char *file, *chip;
static volatile uint32_t *registers;
static int ioctl_fd;
static struct kroutine_runtime_s *runtime;
static struct device_gpio_s gpiomem = DEVICE_ACCESSOR_INIT, gpiod = DEVICE_ACCESSOR_INIT;

static void open_bare(void)
{
    struct gpio_v2_line_request rq = {.offsets = {IOCTL},
                                      .consumer = "bench",
                                      .config.flags = GPIO_V2_LINE_FLAG_OUTPUT,
                                      .num_lines = 1};
    int fd = open(file, O_RDWR | O_SYNC | O_CLOEXEC);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    bench_require(page != MAP_FAILED, file);
    registers = page;
    registers[2] = (registers[2] & ~(7u << 6)) | 1u << 6; /* GPFSEL2: line 22 */
    close(fd);
    fd = open(chip, O_RDWR | O_CLOEXEC);
    bench_require(fd >= 0 && ioctl(fd, GPIO_V2_GET_LINE_IOCTL, &rq) == 0, chip);
    close(fd);
    ioctl_fd = rq.fd;
}

static void open_line(struct device_gpio_s *acc, const char *format, const char *where)
{
    char spec[128];

    snprintf(spec, sizeof spec, format, where);
    bench_require(device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(runtime), spec,
                                              DRIVER_CLASS_GPIO) == 0,
                  kroutine_error_text());
}

static double bare_register(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        registers[i & 1 ? GPSET0 : GPCLR0] = 1u << REGISTER;
    return (bench_now() - start) / CALLS;
}

static double bare_ioctl(void)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++) {
        struct gpio_v2_line_values values = {.bits = i & 1, .mask = 1};

        bench_require(ioctl(ioctl_fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) == 0, "ioctl");
    }
    return (bench_now() - start) / CALLS;
}

static double library(const struct device_gpio_s *acc)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        bench_require(dev_gpio_out(acc, 0, i & 1) == 0, "dev_gpio_out");
    return (bench_now() - start) / CALLS;
}

static double library_input(const struct device_gpio_s *acc)
{
    double start = bench_now();

    for (int i = 0; i < CALLS; i++)
        bench_require(dev_gpio_input(acc, 0) == 1, "dev_gpio_input");
    return (bench_now() - start) / CALLS;
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 21);
    struct bench_series_s by_register = {.name = "bare register", .unit = "ns"};
    struct bench_series_s by_ioctl = {.name = "bare ioctl", .unit = "ns"};
    struct bench_series_s mem = {.name = "dev_gpio_out, gpiomem", .unit = "ns"};
    struct bench_series_s kernel = {.name = "dev_gpio_out, gpiod", .unit = "ns"};
    struct bench_series_s mem_in = {.name = "dev_gpio_input, gpiomem", .unit = "ns"};
    struct bench_series_s kernel_in = {.name = "dev_gpio_input, gpiod", .unit = "ns"};

    file = getenv("KT_UIO_GPIOMEM") ? getenv("KT_UIO_GPIOMEM") : "/dev/gpiomem";
    chip = getenv("KT_GPIO_RASPI") ? getenv("KT_GPIO_RASPI") : "/dev/gpiochip0";
    if (access(file, R_OK | W_OK) || access(chip, R_OK | W_OK)) {
        printf("%s and %s are not both here\n", file, chip);
        return 77;
    }
    bench_require(kroutine_runtime_create(&runtime, NULL) == 0, kroutine_error_text());
    open_bare();
    open_line(&gpiomem, "gpiomem:17?mode=output&device=%s", file);
    open_line(&gpiod, "gpiod:%s/27?mode=output", chip);
    for (int i = 0; i < rounds; i++) {
        bench_add(&by_register, bare_register());
        bench_add(&mem, library(&gpiomem));
        bench_add(&by_ioctl, bare_ioctl());
        bench_add(&kernel, library(&gpiod));
        bench_add(&mem_in, library_input(&gpiomem)); /* both end with 1 */
        bench_add(&kernel_in, library_input(&gpiod));
    }
    bench_print(&by_register);
    bench_print(&mem);
    bench_print(&by_ioctl);
    bench_print(&kernel);
    bench_print(&mem_in);
    bench_print(&kernel_in);
    bench_result("gpiomem-set-over-gpiod", bench_ratio(&mem, &kernel), "x", 0.2);
    bench_info("gpiomem-set-over-ioctl", bench_ratio(&mem, &by_ioctl), "x");
    bench_info("gpiomem-set-over-register", bench_ratio(&mem, &by_register), "x");
    bench_info("gpiod-set-over-ioctl", bench_ratio(&kernel, &by_ioctl), "x");
    bench_info("gpiomem-input-over-gpiod", bench_ratio(&mem_in, &kernel_in), "x");
    if (argc > 2 && strcmp(argv[2], "--tap") == 0)
        printf("1..1\nok 1 - measured\n");
    return 0;
}
