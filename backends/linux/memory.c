/* SPDX-License-Identifier: MIT */
/*
 * Pages for engines. Transparent huge pages (Documentation/admin-guide/mm/transhuge.rst) are taken
 * where there is room for two; the pool of hugetlbpage.rst, which somebody has reserved for
 * something, only for who asks by name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A number from a file of the kernel; 0: not there. */
static size_t read_number(const char *path, const char *format)
{
    FILE *file = fopen(path, "re");
    unsigned long long value = 0;
    char line[128];

    while (file && fgets(line, sizeof(line), file) && sscanf(line, format, &value) != 1)
        ;
    if (file)
        fclose(file);
    return (size_t)value;
}

static bool round_up(size_t *size, size_t unit)
{
    if (__builtin_add_overflow(*size, unit - 1, size))
        return false;
    *size -= *size % unit;
    return true;
}

static void *map(size_t size, int flags)
{
    void *base =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    return base == MAP_FAILED ? NULL : base;
}

/* The pool keeps pages back when it is mapped, so that touching them cannot fail later. */
static void *from_pool(size_t *size)
{
    size_t unit = read_number("/proc/meminfo", "Hugepagesize: %llu kB") * 1024;
    size_t wanted = *size;
    void *base;

    if (!unit || !round_up(&wanted, unit))
        return NULL;
    base = map(wanted, MAP_HUGETLB | MAP_POPULATE);
    if (base)
        *size = wanted;
    return base;
}

/* More than needed, and then without what is before and behind. */
static void *aligned(size_t size, size_t unit)
{
    size_t before, whole;
    char *base;

    if (__builtin_add_overflow(size, unit, &whole))
        return NULL;
    base = map(whole, 0);
    if (!base)
        return NULL;
    before = (unit - (uintptr_t)base % unit) % unit;
    if (before)
        munmap(base, before);
    if (unit - before)
        munmap(base + before + size, unit - before);
    madvise(base + before, size, MADV_HUGEPAGE); /* a wish: not every kernel has them */
    return base + before;
}

/* Older kernels are told by touching: where the memory is not there, the program dies then, as it
   would at its first use. */
static error_t populate(char *base, size_t size)
{
    if (!madvise(base, size, MADV_POPULATE_WRITE))
        return 0;
    if (errno != EINVAL)
        return -ENOMEM;
    for (size_t at = 0; at < size; at += page_size())
        ((volatile char *)base)[at] = 0;
    return 0;
}

error_t kr_platform_pages_alloc(void **ret, size_t *size, bool huge)
{
    size_t unit = read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "%llu");
    size_t wanted = *size;
    void *base = huge ? from_pool(&wanted) : NULL;

    if (!base) {
        if (!round_up(&wanted, page_size()))
            return -ENOMEM;
        base = unit && wanted / 2 >= unit ? aligned(wanted, unit) : map(wanted, 0);
        if (!base)
            return -ENOMEM;
        if (populate(base, wanted)) {
            munmap(base, wanted);
            return -ENOMEM;
        }
    }
    *ret = base;
    *size = wanted;
    return 0;
}

void kr_platform_pages_free(void *base, size_t size)
{
    munmap(base, size);
}
