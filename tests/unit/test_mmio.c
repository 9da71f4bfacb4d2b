/* SPDX-License-Identifier: MIT */
/* Register accesses on a window of memory: width, byte order, one access each, checked bounds. */
#define KROUTINE_MMIO_CHECK 1
#include "kt.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

static uint8_t memory[32];
static const struct dev_mmio_s m = {.base = memory, .size = sizeof memory, .name = "test BAR 0"};

static void fill(void)
{
    for (unsigned i = 0; i < sizeof memory; i++)
        memory[i] = (uint8_t)(0x10 + i);
}

/* What was written is there, and nothing beside it. */
static void expect_bytes(size_t offset, const void *bytes, size_t size)
{
    for (unsigned i = 0; i < sizeof memory; i++) {
        uint8_t wanted = (uint8_t)(0x10 + i);

        if (i >= offset && i < offset + size)
            wanted = ((const uint8_t *)bytes)[i - offset];
        ck_assert_msg(memory[i] == wanted, "byte %u is %#x, not %#x", i, memory[i], wanted);
    }
}

START_TEST(reads)
{
    fill();
    ck_assert_uint_eq(dev_mmio_read8(&m, 3), 0x13);
    ck_assert_uint_eq(dev_mmio_read16_le(&m, 2), 0x1312);
    ck_assert_uint_eq(dev_mmio_read16_be(&m, 2), 0x1213);
    ck_assert_uint_eq(dev_mmio_read32_le(&m, 4), 0x17161514);
    ck_assert_uint_eq(dev_mmio_read32_be(&m, 4), 0x14151617);
    ck_assert_uint_eq(dev_mmio_read8_relaxed(&m, 31), 0x2f);
    ck_assert_uint_eq(dev_mmio_read16_be_relaxed(&m, 30), 0x2e2f);
    ck_assert_uint_eq(dev_mmio_read32_be_relaxed(&m, 28), 0x2c2d2e2f);
#if UINTPTR_MAX > UINT32_MAX
    ck_assert_uint_eq(dev_mmio_read64_le(&m, 8), 0x1f1e1d1c1b1a1918);
    ck_assert_uint_eq(dev_mmio_read64_be(&m, 8), 0x18191a1b1c1d1e1f);
    ck_assert_uint_eq(dev_mmio_read64_be_relaxed(&m, 24), 0x28292a2b2c2d2e2f);
#endif
}
END_TEST

#define WRITE(name, offset, value, ...)                                                            \
    do {                                                                                           \
        static const uint8_t bytes[] = {__VA_ARGS__};                                              \
        fill();                                                                                    \
        dev_mmio_write##name(&m, offset, value);                                                   \
        expect_bytes(offset, bytes, sizeof bytes);                                                 \
        fill();                                                                                    \
        dev_mmio_write##name##_relaxed(&m, offset, value);                                         \
        expect_bytes(offset, bytes, sizeof bytes);                                                 \
    } while (0)

START_TEST(writes)
{
    WRITE(8, 5, 0xa1, 0xa1);
    WRITE(16_le, 6, 0xa1b2, 0xb2, 0xa1);
    WRITE(16_be, 6, 0xa1b2, 0xa1, 0xb2);
    WRITE(32_le, 12, 0xa1b2c3d4, 0xd4, 0xc3, 0xb2, 0xa1);
    WRITE(32_be, 12, 0xa1b2c3d4, 0xa1, 0xb2, 0xc3, 0xd4);
#if UINTPTR_MAX > UINT32_MAX
    WRITE(64_le, 16, 0xa1b2c3d4e5f60718, 0x18, 0x07, 0xf6, 0xe5, 0xd4, 0xc3, 0xb2, 0xa1);
    WRITE(64_be, 16, 0xa1b2c3d4e5f60718, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18);
#endif
}
END_TEST

START_TEST(barriers_may_be_called)
{
    dev_mmio_barrier();
    dev_mmio_read_barrier();
    dev_mmio_write_barrier();
}
END_TEST

/* --- one access each --- */

#if defined(__x86_64__)

#include <ucontext.h>

#define TRAP_FLAG 0x100 /* of RFLAGS: stops after the next instruction */

static uint8_t *page;
static volatile unsigned faults;
static volatile size_t last_offset;

/* The page is there for the instruction that touched it, and gone again after that. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

    if (sig == SIGSEGV) {
        faults++;
        last_offset = (size_t)((uint8_t *)info->si_addr - page);
        if (faults > 100 || last_offset >= 4096 || mprotect(page, 4096, PROT_READ | PROT_WRITE))
            _exit(9);
        *flags |= TRAP_FLAG;
    } else {
        *flags &= ~(greg_t)TRAP_FLAG;
        mprotect(page, 4096, PROT_NONE);
    }
}

#define ONCE(offset, access)                                                                       \
    do {                                                                                           \
        faults = 0;                                                                                \
        access;                                                                                    \
        ck_assert_uint_eq(faults, 1);                                                              \
        ck_assert_uint_eq(last_offset, offset);                                                    \
    } while (0)

START_TEST(each_is_one_access)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct dev_mmio_s window = {.size = 4096, .name = "page"};

    if (kt_slow() > 1)
        kt_skip("signals of memory accesses belong to the sanitizer, or to valgrind");
    page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(page != MAP_FAILED);
    window.base = page;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    /* At the end of the page: a wider access would reach the next one. */
    ONCE(4095, dev_mmio_write8(&window, 4095, 1));
    ONCE(4094, dev_mmio_write16_le(&window, 4094, 1));
    ONCE(4092, dev_mmio_write32_be(&window, 4092, 1));
    ONCE(4088, dev_mmio_write64_le(&window, 4088, 1));
    ONCE(4095, dev_mmio_read8(&window, 4095));
    ONCE(4094, dev_mmio_read16_be(&window, 4094));
    ONCE(4092, dev_mmio_read32_le(&window, 4092)); /* nobody looks at what it read */
    ONCE(4088, dev_mmio_read64_be(&window, 4088));
    faults = 0; /* two of the same are two, and in a loop too */
    for (int i = 0; i < 10; i++)
        dev_mmio_write32_le_relaxed(&window, 0, 7);
    ck_assert_uint_eq(faults, 10);
    munmap(page, 8192);
}
END_TEST

#else

START_TEST(each_is_one_access)
{
    kt_skip("single steps are done for x86 only");
}
END_TEST

#endif

/* --- bounds --- */

struct bad_s {
    void (*body)(void);
    const char *text;
};

static void read_behind(void)
{
    dev_mmio_read32_le(&m, 32);
}

static void read_across(void)
{
    struct dev_mmio_s small = m;

    small.size = 30;
    dev_mmio_read32_le(&small, 28);
}

static void write_far(void)
{
    dev_mmio_write8(&m, SIZE_MAX, 1);
}

static void write_askew(void)
{
    dev_mmio_write16_be(&m, 3, 1);
}

static void not_mapped(void)
{
    static const struct dev_mmio_s none;

    dev_mmio_read8(&none, 0);
}

static const struct bad_s bad[] = {
    {read_behind, "4 bytes at 0x20 of 'test BAR 0', which has 0x20"},
    {read_across, "4 bytes at 0x1c of 'test BAR 0', which has 0x1e"},
    {write_far, "outside of the window: 1 bytes at 0xffffffff"},
    {write_askew, "not aligned: 2 bytes at 0x3 of 'test BAR 0'"},
    {not_mapped, "1 bytes at 0x0 of '(no name)', which has 0x0"},
};

START_TEST(a_bad_access_is_reported_and_stops_the_program)
{
    char text[512] = "";
    ssize_t used = 0, n;
    int out[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(out), 0);
    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(out[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        bad[_i].body();
        _exit(0);
    }
    close(out[1]);
    while ((n = read(out[0], text + used, sizeof text - 1 - (size_t)used)) > 0)
        used += n;
    close(out[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x: %s",
                  (unsigned)status, text);
    ck_assert_msg(strncmp(text, "libkroutine: register access ", 29) == 0, "%s", text);
    ck_assert_msg(strstr(text, bad[_i].text) != NULL, "'%s' is not in: %s", bad[_i].text, text);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("mmio");

    kt_add(s, reads, 10);
    kt_add(s, writes, 10);
    kt_add(s, barriers_may_be_called, 10);
    kt_add(s, each_is_one_access, 30);
    kt_add_loop(s, a_bad_access_is_reported_and_stops_the_program, 5, NULL, 30);
    return s;
}
