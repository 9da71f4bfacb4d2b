/* SPDX-License-Identifier: MIT */
/*
 * What can go wrong with an engine, on QEMU's edu through VFIO: every request ends once, the device
 * is usable afterwards. The first edu of the machine is on the root complex, the second behind a
 * port; QEMU's monitor is on the serial port that is a PCI device.
 */
#include "edu_engine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#define SOME         10000 /* three pieces */
#define ROOT         0
#define PORT         1
#define LIMIT        "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define MONITOR      "/dev/ttyS4"

#define PCI_COMMAND  4
#define INTX_DISABLE 0x400

static struct kt_env_s env;
static struct engine_s e;
static struct engine_rq_s op, next;

static void set_up(enum engine_way_e way, unsigned index)
{
    kt_env_open(&env, KT_THREADS);
    engine_open(&e, &env, way, index, ENGINE_BYTES);
}

static void works(void)
{
    memset(e.dst, 0xee, ENGINE_BYTES);
    engine_rq_init(&op, &e, SOME);
    engine_run(&op, &e);
    engine_expect(&e, SOME);
}

static void tear_down(void)
{
    engine_close(&e);
    kt_env_close(&env);
}

/* --- interrupts --- */

START_TEST(too_many_interrupts)
{
    set_up(engine_way(_i), ROOT);
    engine_rq_init(&op, &e, SOME);
    engine_submit(&op, &e);
    for (unsigned i = 0; !kt_get(&op.runs); i++) {
        /* One of its own kinds, which says that a transfer is over, and one that nobody knows. */
        dev_mmio_write32_le(&e.bar, EDU_IRQ_RAISE, i % 2 ? 0x100 : 0x8);
        kt_pause(&env);
    }
    engine_await(&op, &e, 0);
    ck_assert_uint_eq(op.rq.done, SOME);
    engine_expect(&e, SOME);
    works();
    tear_down();
}
END_TEST

/* The driver looks by itself, later. */
START_TEST(no_interrupt)
{
    uint16_t command;

    set_up(ENGINE_INTX, ROOT);
    ck_assert_int_eq(DEVICE_OP(&e.mmio, config, PCI_COMMAND, &command, 2, false), 0);
    command |= INTX_DISABLE;
    ck_assert_int_eq(DEVICE_OP(&e.mmio, config, PCI_COMMAND, &command, 2, true), 0);
    engine_rq_init(&op, &e, 100);
    engine_run(&op, &e);
    engine_expect(&e, 100);
    command &= (uint16_t)~INTX_DISABLE;
    ck_assert_int_eq(DEVICE_OP(&e.mmio, config, PCI_COMMAND, &command, 2, true), 0);
    works();
    tear_down();
}
END_TEST

START_TEST(reset_in_the_middle)
{
    set_up(engine_way(_i), PORT);
    engine_rq_init(&op, &e, SOME);
    engine_rq_init(&next, &e, 16);
    engine_submit(&op, &e);
    engine_submit(&next, &e);
    engine_await_start(&e);
    ck_assert_int_eq(DEVICE_OP(&e.mmio, reset), 0);
    kt_await(&env, kt_get(&op.runs) && kt_get(&next.runs));
    ck_assert(op.rq.error == 0 || op.rq.error == -EIO);
    kt_idle(&env, 200);
    ck_assert_uint_eq(kt_get(&op.runs), 1);
    ck_assert_uint_eq(kt_get(&next.runs), 1);
    engine_close(&e);
    engine_open(&e, &env, engine_way(_i), PORT, ENGINE_BYTES);
    works();
    tear_down();
}
END_TEST

/* --- memory --- */

START_TEST(too_many_mappings)
{
    struct dev_dma_mem_s mem[8];
    unsigned count = 0;
    error_t err = 0;

    guest_write(LIMIT, "5");
    set_up(ENGINE_MSI, ROOT);
    for (unsigned round = 0; round < 20; round++) { /* none of them leaks */
        for (count = 0; count < 8; count++) {
            err = dev_dma_alloc(&e.dma, &mem[count], 4096, 0);
            if (err)
                break;
        }
        ck_assert_int_eq(err, -ENOSPC);
        ck_assert_uint_eq(count, 3);
        if (round == 0) {
            engine_rq_init(&op, &e, 16);
            op.desc[0].dst = mem[2].base;
            engine_run(&op, &e);
            ck_assert_uint_eq(((uint8_t *)mem[2].base)[15], engine_pattern(15));
        }
        while (count)
            ck_assert_int_eq(dev_dma_unmap(&mem[--count]), 0);
    }
    works();
    tear_down();
    guest_write(LIMIT, "65535");
}
END_TEST

static void drop_lock_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(too_much_memory)
{
    struct rlimit limit = {ENGINE_BYTES * 4, ENGINE_BYTES * 4};
    struct dev_dma_mem_s mem;

    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    drop_lock_capability(); /* of this thread, hence of those that the runtime starts */
    set_up(ENGINE_MSI, ROOT);
    for (unsigned round = 0; round < 20; round++) {
        ck_assert_int_eq(dev_dma_alloc(&e.dma, &mem, ENGINE_BYTES * 3, 0), -ENOMEM);
        ck_assert_msg(strstr(kroutine_error_text(), "MEMLOCK") ||
                          strstr(kroutine_error_text(), "ulimit"),
                      "%s", kroutine_error_text());
        ck_assert_int_eq(dev_dma_alloc(&e.dma, &mem, ENGINE_BYTES, 0), 0);
        ck_assert_int_eq(dev_dma_unmap(&mem), 0);
    }
    works();
    tear_down();
}
END_TEST

/* What the kernel has said since `log` was opened. */
static bool kernel_says(int log, const char *a, const char *b)
{
    char text[2048];
    ssize_t n;

    while ((n = read(log, text, sizeof text - 1)) > 0 || (n < 0 && errno == EPIPE)) {
        if (n < 0)
            continue; /* overwritten meanwhile */
        text[n] = 0;
        if (strstr(text, a) && strstr(text, b))
            return true;
    }
    return false;
}

/* Past the driver, which would refuse it: the device believes that it has done it. */
START_TEST(where_nothing_is_mapped)
{
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    ck_assert_int_ge(log, 0);
    ck_assert_int_ge(lseek(log, 0, SEEK_END), 0);
    set_up(ENGINE_MSI, ROOT);
    dev_mmio_write64_le(&e.bar, EDU_DMA_SRC, EDU_BUFFER);
    dev_mmio_write64_le(&e.bar, EDU_DMA_DST, 0xabcd000);
    dev_mmio_write32_le(&e.bar, EDU_DMA_COUNT, 16);
    dev_mmio_write32_le(&e.bar, EDU_DMA_COMMAND, 1 | 2);
    kt_await(&env, !(dev_mmio_read32_le(&e.bar, EDU_DMA_COMMAND) & 1));
    kt_await(&env, kernel_says(log, "DMA Write", "0xabcd000"));
    engine_expect(&e, 0);
    works();
    tear_down();
    close(log);
}
END_TEST

/* --- the end --- */

START_TEST(killed_in_the_middle)
{
    int fd[2], status;
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(fd), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        set_up(engine_way(_i), ROOT);
        engine_rq_init(&op, &e, SOME);
        engine_submit(&op, &e);
        engine_await_start(&e);
        if (write(fd[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(fd[1]);
    ck_assert_int_eq(read(fd[0], &byte, 1), 1);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    set_up(engine_way(_i), ROOT);
    works();
    tear_down();
}
END_TEST

static void await_prompt(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    uint64_t end = kt_now() + kt_patience();
    char text[64] = "";
    size_t size = 0;

    while (strcmp(text, "(qemu) ") != 0) {
        ck_assert_msg(kt_now() < end, "no prompt of QEMU's monitor");
        if (poll(&p, 1, 50) <= 0 || read(fd, text + size, 1) != 1)
            continue;
        text[++size] = 0;
        if (size > 7)
            memmove(text, text + 1, size--);
    }
}

static void order(const char *text)
{
    int fd = open(MONITOR, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios line;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(tcgetattr(fd, &line), 0);
    cfmakeraw(&line);
    ck_assert_int_eq(tcsetattr(fd, TCSANOW, &line), 0);
    ck_assert_int_eq(write(fd, "\r", 1), 1);
    await_prompt(fd);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(pulled_out)
{
    struct dev_dma_info_s info;
    char name[16];

    set_up(ENGINE_MSI, PORT);
    engine_rq_init(&op, &e, 64);
    op.rq.loops = DEV_DMA_CONTINUOUS;
    engine_rq_init(&next, &e, 16);
    engine_submit(&op, &e);
    engine_submit(&next, &e);
    kt_await(&env, dev_dma_progress(&op.rq) > 0);
    order("device_del edu1\r");
    engine_await(&op, &e, -ENODEV);
    engine_await(&next, &e, -ENODEV);
    engine_expect(&e, 64);
    ck_assert_int_eq(DEVICE_OP(&e.dma, request, &op.rq), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&e.dma, info, &info), -ENODEV);
    kt_idle(&env, 100);
    ck_assert_uint_eq(kt_get(&op.runs), 1);
    engine_close(&e);
    kt_await(&env, !guest_find(name, EDU_VENDOR, EDU_DEVICE, PORT));
    engine_open(&e, &env, ENGINE_MSI, ROOT, ENGINE_BYTES);
    works();
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("edu faults");

    kt_add_loop(s, too_many_interrupts, engine_rounds(), engine_label, 20);
    kt_add(s, no_interrupt, 20);
    kt_add_loop(s, reset_in_the_middle, engine_rounds(), engine_label, 20);
    kt_add(s, too_many_mappings, 20);
    kt_add(s, too_much_memory, 20);
    kt_add(s, where_nothing_is_mapped, 20);
    kt_add_loop(s, killed_in_the_middle, engine_rounds(), engine_label, 20);
    kt_add(s, pulled_out, 30); /* the last: there is one less */
    return s;
}
