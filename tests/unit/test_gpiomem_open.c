/* SPDX-License-Identifier: MIT */
/* Who holds a line of the driver gpiomem, and how its specs are read. */
#include "gpiomem_file.h"

#include <signal.h>
#include <sys/wait.h>

/* --- who holds what --- */

START_TEST(lines_are_held)
{
    struct device_gpio_s other = DEVICE_ACCESSOR_INIT, all = DEVICE_ACCESSOR_INIT;
    struct dev_gpio_line_info_s info;

    set_up(_i);
    open_lines("4-6", "mode=output&consumer=lamp");
    expect_error(try_lines(&other, "7,6", "mode=input"), -EBUSY, "line 6");
    ck_assert_int_eq(try_lines(&other, "7", "mode=input"), 0);
    ck_assert_int_eq(open_as(&all, names[chip], NULL), 0);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 6, &info), 0);
    ck_assert(info.used);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 8, &info), 0);
    ck_assert(!info.used);
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 2, &info), 0);
    ck_assert_str_eq(info.consumer, "lamp");
    device_put_accessor(&other.base);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(try_lines(&other, "7-8", "mode=input"), 0);
        device_put_accessor(&other.base);
    }
    device_put_accessor(&dev.base);
    ck_assert_int_eq(DEVICE_OP(&all, line_info, 6, &info), 0);
    ck_assert(!info.used);
    device_put_accessor(&all.base);
    tear_down();
}
END_TEST

/* Another process that stops while it changes modes does not stop this one for ever. */
START_TEST(modes_are_locked)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x1000, .l_len = 1};
    int fd;

    set_up(_i);
    open_lines("4", "mode=input");
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &range), 0);
    expect_error(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), -EBUSY, "another process");
    ck_assert_uint_ge(waits.count, 1000);
    expect_written("", "");
    ck_assert_int_eq(dev_gpio_out(&dev, 0, true), 0); /* no output yet; takes no lock */
    close(fd);
    ck_assert_int_eq(dev_gpio_mode(&dev, 0, DEV_GPIO_OUTPUT, 0), 0);
    expect_written("4", "s");
    tear_down();
}
END_TEST

/* Two devices whose lines share a register of functions, each with a thread that changes its one to
   and fro: no change of the one takes back a change of the other. */
static pthread_barrier_t together;

static void *flip(void *arg)
{
    unsigned line = *(unsigned *)arg;
    struct device_gpio_s acc = DEVICE_ACCESSOR_INIT;
    char list[8];

    snprintf(list, sizeof list, "%u", line);
    ck_assert_int_eq(try_lines(&acc, list, "mode=input"), 0);
    pthread_barrier_wait(&together);
    for (unsigned i = 1; i <= kt_count(20000) * 2; i++) {
        uint32_t mode = i % 2 ? DEV_GPIO_OUTPUT : DEV_GPIO_INPUT;

        ck_assert_int_eq(dev_gpio_mode(&acc, 0, mode, 0), 0);
        ck_assert_uint_eq(kt_get(&REG(0)) >> line * 3 & 7, i % 2);
    }
    device_put_accessor(&acc.base);
    return NULL;
}

START_TEST(a_register_of_several_devices)
{
    static unsigned lines[] = {4, 5, 6};
    pthread_t threads[3];

    set_up(BCM2835);
    waits_are_real = true;
    pthread_barrier_init(&together, NULL, 3);
    for (unsigned i = 0; i < 3; i++)
        threads[i] = kt_thread(flip, &lines[i]);
    for (unsigned i = 0; i < 3; i++)
        kt_join(threads[i]);
    ck_assert_uint_eq(REG(0), 0);
    tear_down();
}
END_TEST

/* In another process, until that is killed. */
START_TEST(lines_of_another_process)
{
    int said[2], status;
    char byte = 0;
    pid_t child;

    snprintf(path, sizeof path, "%s/registers%d", kt_folder(), (int)getpid());
    ck_assert_int_eq(pipe(said), 0);
    child = fork();
    if (child == 0) {
        set_up(_i);
        byte = try_lines(&dev, "4", "mode=input") == 0;
        status = (int)write(said[1], &byte, 1);
        pause();
        _exit(status);
    }
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 1);
    chip = _i;
    kt_env_open(&env, KT_THREADS);
    expect_error(try_lines(&dev, "4", "mode=input"), -EBUSY, "line 4");
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    open_lines("4", "mode=input");
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}
END_TEST

START_TEST(lines_stay_after_the_end)
{
    set_up(_i);
    open_lines("4,5", "mode=output&value=2");
    expect_written("4,5", "cs");
    device_put_accessor(&dev.base);
    expect_written("", "");
    if (chip == RP1) {
        ck_assert_uint_eq(RP1_OE_CLEAR, 0);
        ck_assert_uint_eq(RP1_OE_SET, 1u << 5); /* the last that was written */
    } else {
        ck_assert_uint_eq(fsel(4), 1);
        ck_assert_uint_eq(fsel(5), 1);
    }
    tear_down();
}
END_TEST

/* --- specs --- */

START_TEST(the_whole_chip)
{
    static const unsigned lines[] = {54, 58, 54};
    struct dev_gpio_line_info_s line;
    struct dev_gpio_info_s info;
    uint64_t data;

    set_up(_i);
    put_alt0(14);
    ck_assert_int_eq(open_as(&dev, labels[chip], NULL), 0); /* the label means the same */
    ck_assert_int_eq(DEVICE_OP(&dev, info, &info), 0);
    ck_assert_uint_eq(info.lines, lines[chip]);
    ck_assert_str_eq(info.chip, names[chip]);
    ck_assert_str_eq(info.label, labels[chip]);
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, 14, &line), 0);
    ck_assert_str_eq(line.name, "GPIO14");
    ck_assert_str_eq(line.consumer, "alt0");
    ck_assert_int_eq(DEVICE_OP(&dev, line_info, (uint16_t)lines[chip], &line), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&dev, get_input, 0, 0, &data), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&dev, set_output, 0, 0, 1, 1), -EINVAL);
    ck_assert_int_eq(device_start(&dev.base), -EINVAL);
    tear_down();
}
END_TEST

START_TEST(specs_that_cannot_be)
{
    static const struct {
        const char *spec;
        error_t error;
        const char *text;
    } wrong[] = {
        {"gpiomem:bcm2710/1?device=/dev/zero", -ENOENT, "bcm2711"},
        {"gpiomem:/dev/gpiomem/1", -ENOENT, "device="},
        {"gpiomem:bcm2835/", -EINVAL, "CHIP/LINES"},
        {"gpiomem:bcm2835/54?device=/dev/zero", -ENOENT, "54"},
        {"gpiomem:bcm2711/58?device=/dev/zero", -ENOENT, "58"},
        {"gpiomem:rp1/GPIO54?device=/dev/zero", -ENOENT, "GPIO54"},
        {"gpiomem:rp1/4,GPIO4?device=/dev/zero", -EINVAL, "twice"},
        {"gpiomem:bcm2835/4?device=/dev/no-such-file", -ENOENT, "no-such-file"},
        {"gpiomem:bcm2835/4?device=/dev", -EISDIR, "/dev"},
        {"gpiomem:bcm2835/4?pull=up&device=/dev/zero", -EINVAL, "direction"},
        {"gpiomem:bcm2835/4?mode=output&value=2&device=/dev/zero", -EINVAL, "value"},
        {"gpiomem:bcm2835?mode=input&device=/dev/zero", -EINVAL, "CHIP/LINES"},
        {"gpiomem:bcm2835/4?offset=9223372036854775807&device=/dev/zero", -EINVAL, "offset"},
    };
    char short_file[40];

    set_up(BCM2835);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_error(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 wrong[i].spec, DRIVER_CLASS_GPIO),
                     wrong[i].error, wrong[i].text);
    ck_assert_int_eq(truncate(path, 0xf0), 0);
    expect_error(open_as(&dev, "bcm2835/4", "mode=input"), -EINVAL, "too short");
    ck_assert_int_eq(truncate(path, SIZE), 0);
    snprintf(short_file, sizeof short_file, "offset=%#x", SIZE - 0xf0);
    expect_error(open_as(&dev, "bcm2835/4", short_file), -EINVAL, "too short");
    tear_down();
}
END_TEST

/* Registers need not begin a page, nor a file. */
START_TEST(registers_within_a_file)
{
    set_up(BCM2835);
    regs += 0x11100 / 4;
    open_lines("4", "offset=0x11100&mode=output&value=1");
    expect_written("4", "s");
    ck_assert_uint_eq(fsel(4), 1);
    regs -= 0x11100 / 4;
    tear_down();
}
END_TEST

START_TEST(chip_of_the_machine)
{
    static const struct {
        const char *list;
        size_t size;
        const struct gpiomem_layout_s *layout;
    } machines[] = {
#define LIST(text) text, sizeof text
        {LIST("raspberrypi,model-zero-w\0brcm,bcm2835"), &gpiomem_bcm2835},
        {LIST("raspberrypi,2-model-b\0brcm,bcm2836"), &gpiomem_bcm2835},
        {LIST("raspberrypi,3-model-b-plus\0brcm,bcm2837"), &gpiomem_bcm2835},
        {LIST("raspberrypi,4-model-b\0brcm,bcm2711"), &gpiomem_bcm2711},
        {LIST("raspberrypi,400\0brcm,bcm2711"), &gpiomem_bcm2711},
        {LIST("raspberrypi,5-model-b\0brcm,bcm2712"), &gpiomem_rp1},
        {LIST("linux,dummy-virt"), NULL},
        {LIST("brcm,bcm28355"), NULL},
    };
    const struct gpiomem_layout_s *layout;
    char file[200];

    (void)_i;
    snprintf(file, sizeof file, "%s/compatible", kt_folder());
    expect_error(gpiomem_find(&layout, "auto", file), -ENODEV, "no Raspberry Pi");
    for (unsigned i = 0; i < sizeof machines / sizeof *machines; i++) {
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_eq(write(fd, machines[i].list, machines[i].size), (ssize_t)machines[i].size);
        close(fd);
        if (machines[i].layout) {
            ck_assert_int_eq(gpiomem_find(&layout, "auto", file), 0);
            ck_assert_ptr_eq(layout, machines[i].layout);
        } else {
            expect_error(gpiomem_find(&layout, "auto", file), -ENODEV, machines[i].list);
        }
    }
}
END_TEST

/* Addresses without a chip are for that of the machine, which this one is none of. */
START_TEST(addresses_without_a_chip)
{
    static const char *const specs[] = {"gpiomem:17", "gpiomem:GPIO17,4-7?mode=input",
                                        "gpiomem:", "gpiomem:auto/17"};

    (void)_i;
    if (access("/proc/device-tree/compatible", R_OK) == 0)
        kt_skip("this machine has a device tree");
    set_up(BCM2835);
    for (unsigned i = 0; i < sizeof specs / sizeof *specs; i++)
        expect_error(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 specs[i], DRIVER_CLASS_GPIO),
                     -ENODEV, "name the chip");
    tear_down();
}
END_TEST

START_TEST(not_on_a_simulated_runtime)
{
    (void)_i;
    kt_backend = KROUTINE_BACKEND_SIM;
    set_up(BCM2835);
    expect_error(open_as(&dev, "bcm2835/4", NULL), -ENOTSUP, "sim-gpio");
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpiomem_open");

    kt_add_loop(s, lines_are_held, CHIPS, label, 15);
    kt_add_loop(s, modes_are_locked, CHIPS, label, 15);
    kt_add(s, a_register_of_several_devices, 60);
    kt_add_loop(s, lines_of_another_process, CHIPS, label, 15);
    kt_add_loop(s, lines_stay_after_the_end, CHIPS, label, 15);
    kt_add_loop(s, the_whole_chip, CHIPS, label, 15);
    kt_add(s, specs_that_cannot_be, 15);
    kt_add(s, registers_within_a_file, 15);
    kt_add(s, chip_of_the_machine, 15);
    kt_add(s, addresses_without_a_chip, 15);
    kt_add(s, not_on_a_simulated_runtime, 15);
    return s;
}
