/* SPDX-License-Identifier: MIT */
/* Memory that a device reaches through VFIO: QEMU's edu, behind an IOMMU. */
#include "kt_pair.h"
#include "vfio_edu.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE  ((size_t)sysconf(_SC_PAGESIZE))
#define HUGE  (PAGE * (PAGE / 8)) /* of the IOMMU's tables */
#define MASK  0xfffffffu          /* 28 bits: what edu gives, unless it is told otherwise */
#define LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define BOTH  (DEV_DMA_MAP_READ | DEV_DMA_MAP_WRITE)
#define MANY  64

enum edu_command_e { EDU_FROM_MEMORY = 1, EDU_TO_MEMORY = 3 };

static uint8_t *pages(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(at != MAP_FAILED);
    return at;
}

static error_t map(struct edu_s *edu, struct dev_dma_map_s *m, void *base, size_t size)
{
    *m = (struct dev_dma_map_s){.base = base, .size = size, .mask = MASK, .flags = BOTH};
    return DEVICE_OP(&edu->mmio, dma_map, m);
}

static void must_map(struct edu_s *edu, struct dev_dma_map_s *m, void *base, size_t size)
{
    error_t err = map(edu, m, base, size);

    ck_assert_msg(err == 0, "map: %s", kroutine_error_text());
    ck_assert_uint_le(m->bus + size - 1, MASK);
}

/* The engine takes 100 ms, then says "done" in any case. */
static void move(struct edu_s *edu, uint64_t src, uint64_t dst, uint64_t size, uint32_t way)
{
    dev_mmio_write64_le(&edu->bar, EDU_DMA_SRC, src);
    dev_mmio_write64_le(&edu->bar, EDU_DMA_DST, dst);
    dev_mmio_write64_le(&edu->bar, EDU_DMA_COUNT, size);
    dev_mmio_write64_le(&edu->bar, EDU_DMA_COMMAND, way);
    kt_await(edu->env, !(dev_mmio_read64_le(&edu->bar, EDU_DMA_COMMAND) & 1));
}

/* Out of `from` into the engine, and from there into `to`. */
static void round_trip(struct edu_s *edu, uint64_t from, uint64_t to, size_t size)
{
    move(edu, from, EDU_BUFFER, size, EDU_FROM_MEMORY);
    move(edu, EDU_BUFFER, to, size, EDU_TO_MEMORY);
}

static void begin(struct kt_env_s *env, struct edu_s *edu, enum edu_place_e place, int way)
{
    char keys[32];

    kt_env_open(env, KT_THREADS);
    snprintf(keys, sizeof keys, "?iommu=%s", iommu_label(way));
    edu_open(edu, env, place, keys);
    ck_assert_int_eq(DEVICE_OP(&edu->mmio, bus_master, true), 0);
}

static void end(struct kt_env_s *env, struct edu_s *edu)
{
    edu_close(edu);
    kt_env_close(env);
}

#define NEEDS_IOMMU(way)                                                                           \
    do {                                                                                           \
        if (!iommu_available(way))                                                                 \
            kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");              \
    } while (0)

START_TEST(copied_there_and_back)
{
    struct dev_dma_map_s from, to;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(4 * PAGE);

    NEEDS_IOMMU(_i);
    begin(&env, &edu, EDU_ROOT, _i);
    must_map(&edu, &from, memory, PAGE);
    must_map(&edu, &to, memory + 2 * PAGE, PAGE);
    kt_fill(memory, PAGE, 1);
    round_trip(&edu, from.bus, to.bus, 2048);
    kt_check_fill(memory + 2 * PAGE, 2048, 1);
    for (unsigned i = 2048; i < PAGE; i++)
        ck_assert_uint_eq(memory[2 * PAGE + i], 0);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &from), 0);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &to), 0);
    end(&env, &edu);
}
END_TEST

/* edu reports success all the same, so it is the memory that tells. */
START_TEST(what_is_not_mapped_stays)
{
    struct dev_dma_map_s source, target;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(2 * PAGE);

    NEEDS_IOMMU(_i);
    begin(&env, &edu, EDU_ROOT, _i);
    must_map(&edu, &source, memory, PAGE);
    must_map(&edu, &target, memory + PAGE, PAGE);
    kt_fill(memory, PAGE, 1);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &target), 0);
    round_trip(&edu, source.bus, target.bus, 1024);
    for (unsigned i = 0; i < PAGE; i++)
        ck_assert_uint_eq(memory[PAGE + i], 0);

    /* Nor may it write what it may only read. */
    target = (struct dev_dma_map_s){
        .base = memory + PAGE, .size = PAGE, .mask = MASK, .flags = DEV_DMA_MAP_READ};
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_map, &target), 0);
    round_trip(&edu, source.bus, target.bus, 1024);
    for (unsigned i = 0; i < PAGE; i++)
        ck_assert_uint_eq(memory[PAGE + i], 0);
    end(&env, &edu); /* unmaps both */
}
END_TEST

START_TEST(addresses_are_used_again)
{
    struct dev_dma_map_s m[3], huge;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(3 * PAGE), *large = pages(2 * HUGE);
    uint64_t first, second;

    NEEDS_IOMMU(_i);
    begin(&env, &edu, EDU_ROOT, _i);
    for (unsigned i = 0; i < 3; i++)
        must_map(&edu, &m[i], memory + i * PAGE, PAGE);
    first = m[0].bus;
    second = m[1].bus;
    ck_assert_uint_ge(first, 0x10000); /* a forgotten pointer is not mapped */
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &m[1]), 0);
    must_map(&edu, &m[1], memory + PAGE, PAGE);
    ck_assert_uint_eq(m[1].bus, second);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &m[i % 3]), 0);
        must_map(&edu, &m[i % 3], memory + i % 3 * PAGE, PAGE);
        ck_assert_uint_le(m[i % 3].bus, first + 2 * PAGE);
    }
    must_map(&edu, &huge, large, 2 * HUGE);
    ck_assert_uint_eq(huge.bus % HUGE, 0);
    end(&env, &edu);
}
END_TEST

START_TEST(refused)
{
    struct dev_dma_map_s m, other = {0};
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(2 * PAGE);

    NEEDS_IOMMU(_i);
    begin(&env, &edu, EDU_ROOT, _i);
    ck_assert_int_eq(map(&edu, &m, memory + 1, PAGE), -EINVAL);
    ck_assert_int_eq(map(&edu, &m, memory, PAGE - 1), -EINVAL);
    ck_assert_int_eq(map(&edu, &m, memory, 0), -EINVAL);
    m = (struct dev_dma_map_s){.base = memory, .size = PAGE};
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_map, &m), -EINVAL);
    m = (struct dev_dma_map_s){.base = memory, .size = PAGE, .mask = 0xffff, .flags = BOTH};
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_map, &m), -ENOSPC);
    says("0xffff");
    munmap(memory + PAGE, PAGE);
    ck_assert_int_eq(map(&edu, &m, memory + PAGE, PAGE), -EFAULT);
    ck_assert_int_eq(map(&edu, &m, memory, 2 * PAGE), -EFAULT);
    says("memory");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &other), -EINVAL);
    must_map(&edu, &m, memory, PAGE); /* nothing of that has cost an address */
    ck_assert_uint_eq(m.bus, 0x10000);
    other = m;
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &m), 0);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &m), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &other), -EINVAL);
    end(&env, &edu);
}
END_TEST

/* --- limits --- */

START_TEST(number_of_mappings)
{
    struct dev_dma_map_s m[MANY + 1];
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages((MANY + 1) * PAGE);
    char text[16];

    snprintf(text, sizeof text, "%u", MANY);
    guest_write(LIMIT, text);
    begin(&env, &edu, EDU_ROOT, IOMMU_TYPE1);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++)
            must_map(&edu, &m[i], memory + i * PAGE, PAGE);
        ck_assert_int_eq(map(&edu, &m[MANY], memory + MANY * PAGE, PAGE), -ENOSPC);
        says("64 at a time");
        for (unsigned i = 0; i < MANY; i++)
            ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &m[i]), 0);
    }
    end(&env, &edu);
    guest_write(LIMIT, "65535");
}
END_TEST

static void drop_ipc_lock(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(locked_memory)
{
    struct rlimit limit = {64 * PAGE, 64 * PAGE};
    struct dev_dma_map_s m, small;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(256 * PAGE);

    NEEDS_IOMMU(_i);
    begin(&env, &edu, EDU_ROOT, _i);
    drop_ipc_lock();
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ck_assert_int_eq(map(&edu, &m, memory, 256 * PAGE), -ENOMEM);
    says("RLIMIT_MEMLOCK is 256 KiB");
    says("1024 KiB");
    must_map(&edu, &small, memory, 16 * PAGE); /* what fits is mapped, what failed left nothing */
    ck_assert_uint_eq(small.bus, 0x10000);
    ck_assert_int_eq(map(&edu, &m, memory + 16 * PAGE, 64 * PAGE), -ENOMEM);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_unmap, &small), 0);
    must_map(&edu, &small, memory, 60 * PAGE);
    end(&env, &edu);
}
END_TEST

/* --- more than one device --- */

START_TEST(a_group_shares_its_addresses)
{
    struct dev_dma_map_s from, to;
    struct kt_env_s env;
    struct edu_s one, two;
    uint8_t *memory = pages(2 * PAGE);
    char name[16], keys[32];

    NEEDS_IOMMU(_i);
    edu_find(name, EDU_BRIDGE_2);
    guest_bind(name, "vfio-pci");
    begin(&env, &one, EDU_BRIDGE_1, _i);
    snprintf(keys, sizeof keys, "?iommu=%s", iommu_label(_i));
    edu_open(&two, &env, EDU_BRIDGE_2, keys);
    ck_assert_int_eq(DEVICE_OP(&two.mmio, bus_master, true), 0);
    must_map(&one, &from, memory, PAGE);
    must_map(&two, &to, memory + PAGE, PAGE);
    ck_assert_uint_ne(from.bus, to.bus);
    kt_fill(memory, PAGE, 3);
    round_trip(&one, from.bus, to.bus, 512);
    kt_check_fill(memory + PAGE, 512, 3);

    edu_close(&one); /* takes its own memory away, and no other */
    move(&two, from.bus, EDU_BUFFER, 512, EDU_FROM_MEMORY);
    memset(memory + PAGE, 0x55, PAGE);
    move(&two, to.bus, EDU_BUFFER, 512, EDU_FROM_MEMORY);
    memset(memory + PAGE, 0, PAGE);
    move(&two, EDU_BUFFER, to.bus, 512, EDU_TO_MEMORY);
    for (unsigned i = 0; i < 512; i++)
        ck_assert_uint_eq(memory[PAGE + i], 0x55);
    edu_close(&two);
    kt_env_close(&env);
}
END_TEST

START_TEST(groups_are_kept_apart)
{
    struct dev_dma_map_s m;
    struct kt_env_s env;
    struct edu_s one, two;
    uint8_t *memory = pages(PAGE);
    char keys[32];

    NEEDS_IOMMU(_i);
    begin(&env, &one, EDU_ROOT, _i);
    snprintf(keys, sizeof keys, "?iommu=%s", iommu_label(_i));
    edu_open(&two, &env, EDU_PORT, keys);
    ck_assert_int_eq(DEVICE_OP(&two.mmio, bus_master, true), 0);
    must_map(&one, &m, memory, PAGE);
    move(&two, EDU_BUFFER, m.bus, 256, EDU_TO_MEMORY); /* zeros */
    memset(memory, 0x77, PAGE);
    move(&two, EDU_BUFFER, m.bus, 256, EDU_TO_MEMORY);
    for (unsigned i = 0; i < PAGE; i++)
        ck_assert_uint_eq(memory[i], 0x77);
    edu_close(&two);
    end(&env, &one);
}
END_TEST

/* Closing gives all back: descriptors, and the memory that was left mapped. */
START_TEST(opened_over_and_over)
{
    struct dev_dma_map_s m;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t *memory = pages(16 * PAGE);
    unsigned fds = 0;

    NEEDS_IOMMU(_i);
    for (unsigned i = 0; i < 20; i++) {
        begin(&env, &edu, EDU_ROOT, _i);
        must_map(&edu, &m, memory, 16 * PAGE);
        end(&env, &edu);
        if (i == 0)
            fds = kt_open_fds();
    }
    ck_assert_uint_eq(kt_open_fds(), fds);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio_dma");

    kt_add_loop(s, copied_there_and_back, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, what_is_not_mapped_stays, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, addresses_are_used_again, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, refused, IOMMU_WAYS, iommu_label, 20);
    kt_add(s, number_of_mappings, 20);
    kt_add_loop(s, locked_memory, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, a_group_shares_its_addresses, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, groups_are_kept_apart, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, opened_over_and_over, IOMMU_WAYS, iommu_label, 20);
    return s;
}
