/* SPDX-License-Identifier: MIT */
/*
 * Devices whose registers are mapped into the program: windows, their registers, and what else a
 * driver of hardware needs. kroutine-mmio(3); interrupts in irq.h.
 *
 * Drivers: "uio:…", "vfio:…", "sim-mmio:…". The class has no requests, hence no rule of nesting.
 */
#ifndef KROUTINE_MMIO_H
#define KROUTINE_MMIO_H

#include "device.h"
#include "irq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- a window of registers --- */

/* Filled by f_map. Copies are fine; one of them is given to f_unmap. */
struct dev_mmio_s {
    volatile uint8_t *base; /* NULL: not mapped */
    size_t size;            /* bytes */
    uint32_t index;         /* region: number of the BAR (PCI), of the map (UIO) */
    const char *name;       /* "uio0 map 0"; as long as the mapping */
};

/* Bounds and alignment of each access are checked unless the program is built with NDEBUG, or with
   KROUTINE_MMIO_CHECK as 0; 1 checks in any case. */
#ifndef KROUTINE_MMIO_CHECK
#ifdef NDEBUG
#define KROUTINE_MMIO_CHECK 0
#else
#define KROUTINE_MMIO_CHECK 1
#endif
#endif

/* Says on standard error which access is outside of which window, or not aligned, and stops the
   program with abort(3). What the checks call. */
KROUTINE_API void dev_mmio_bad_access(const struct dev_mmio_s *m, size_t offset, size_t width)
    __attribute__((noreturn, cold));

/* --- order ---
   As in Linux, Documentation/memory-barriers.txt ("Kernel I/O barrier effects") and the asm/io.h of
   each architecture: accesses of one thread to one device arrive in program order. Beyond that, a
   plain read is done before memory accesses that follow it (the status says "done", then the data
   is read), a plain write after memory accesses that precede it (the descriptor is in memory, then
   the doorbell rings). `_relaxed` ones have no order with memory. A write may still be under way
   when the call returns: a read of the same device pushes it out.
   The barriers order accesses to registers and to memory, of the kinds that their names say. */
#if defined(__x86_64__) || defined(__i386__)
#define KROUTINE_MMIO_AFTER_READ   __asm__ __volatile__("" ::: "memory")
#define KROUTINE_MMIO_BEFORE_WRITE __asm__ __volatile__("" ::: "memory")
#elif defined(__aarch64__)
#define KROUTINE_MMIO_AFTER_READ   __asm__ __volatile__("dmb oshld" ::: "memory")
#define KROUTINE_MMIO_BEFORE_WRITE __asm__ __volatile__("dmb oshst" ::: "memory")
#elif defined(__arm__) && __ARM_ARCH >= 7
#define KROUTINE_MMIO_AFTER_READ   __asm__ __volatile__("dsb" ::: "memory")
#define KROUTINE_MMIO_BEFORE_WRITE __asm__ __volatile__("dsb st" ::: "memory")
#elif defined(__riscv)
#define KROUTINE_MMIO_AFTER_READ   __asm__ __volatile__("fence i,ir" ::: "memory")
#define KROUTINE_MMIO_BEFORE_WRITE __asm__ __volatile__("fence w,o" ::: "memory")
#else
#define KROUTINE_MMIO_AFTER_READ   __sync_synchronize()
#define KROUTINE_MMIO_BEFORE_WRITE __sync_synchronize()
#endif

static inline void dev_mmio_barrier(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("mfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ __volatile__("dsb sy" ::: "memory");
#elif defined(__arm__) && __ARM_ARCH >= 7
    __asm__ __volatile__("dsb" ::: "memory");
#elif defined(__riscv)
    __asm__ __volatile__("fence iorw,iorw" ::: "memory");
#else
    __sync_synchronize();
#endif
}

static inline void dev_mmio_read_barrier(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("lfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ __volatile__("dsb ld" ::: "memory");
#elif defined(__riscv)
    __asm__ __volatile__("fence ir,ir" ::: "memory");
#else
    dev_mmio_barrier();
#endif
}

static inline void dev_mmio_write_barrier(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("sfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ __volatile__("dsb st" ::: "memory");
#elif defined(__arm__) && __ARM_ARCH >= 7
    __asm__ __volatile__("dsb st" ::: "memory");
#elif defined(__riscv)
    __asm__ __volatile__("fence ow,ow" ::: "memory");
#else
    dev_mmio_barrier();
#endif
}

/* --- registers ---
   dev_mmio_read8, dev_mmio_read16_le, _be, 32, 64, and _relaxed of each; the same with write. `_le`
   and `_be` name the byte order of the register. Each is one access of that width, which is neither
   split nor merged nor left out. 64 bits only where the machine does that in one access. */

static inline volatile uint8_t *dev_mmio_address(const struct dev_mmio_s *m, size_t offset,
                                                 size_t width)
{
#if KROUTINE_MMIO_CHECK
    if (__builtin_expect(offset % width != 0 || width > m->size || offset > m->size - width, 0))
        dev_mmio_bad_access(m, offset, width);
#endif
    (void)width;
    return m->base + offset;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define KROUTINE_MMIO_LE(bits, value) (value)
#define KROUTINE_MMIO_BE(bits, value) __builtin_bswap##bits(value)
#else
#define KROUTINE_MMIO_LE(bits, value) __builtin_bswap##bits(value)
#define KROUTINE_MMIO_BE(bits, value) (value)
#endif
#define KROUTINE_MMIO_BYTE(bits, value) (value)

/* On arm64 by hand, as Linux does: a compiler may pick an addressing mode (writeback) that the
   hypervisor of a virtual machine cannot emulate. arch/arm64/include/asm/io.h. */
#if defined(__aarch64__)
#define KROUTINE_MMIO_RAW(bits, suffix, modifier)                                                  \
    static inline uint##bits##_t dev_mmio_raw_read##bits(const volatile uint8_t *at)               \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
        __asm__ __volatile__("ldr" suffix " %" modifier "0, [%1]" : "=r"(value) : "r"(at));        \
        return value;                                                                              \
    }                                                                                              \
    static inline void dev_mmio_raw_write##bits(volatile uint8_t *at, uint##bits##_t value)        \
    {                                                                                              \
        __asm__ __volatile__("str" suffix " %" modifier "0, [%1]" : : "rZ"(value), "r"(at));       \
    }
#else
#define KROUTINE_MMIO_RAW(bits, suffix, modifier)                                                  \
    static inline uint##bits##_t dev_mmio_raw_read##bits(const volatile uint8_t *at)               \
    {                                                                                              \
        return *(const volatile uint##bits##_t *)(const volatile void *)at;                        \
    }                                                                                              \
    static inline void dev_mmio_raw_write##bits(volatile uint8_t *at, uint##bits##_t value)        \
    {                                                                                              \
        *(volatile uint##bits##_t *)(volatile void *)at = value;                                   \
    }
#endif

#define KROUTINE_MMIO_REGISTER(bits, order, convert)                                               \
    static inline uint##bits##_t dev_mmio_read##bits##order##_relaxed(const struct dev_mmio_s *m,  \
                                                                      size_t offset)               \
    {                                                                                              \
        uint##bits##_t value = dev_mmio_raw_read##bits(dev_mmio_address(m, offset, bits / 8));     \
        return convert(bits, value);                                                               \
    }                                                                                              \
    static inline uint##bits##_t dev_mmio_read##bits##order(const struct dev_mmio_s *m,            \
                                                            size_t offset)                         \
    {                                                                                              \
        uint##bits##_t value = dev_mmio_read##bits##order##_relaxed(m, offset);                    \
        KROUTINE_MMIO_AFTER_READ;                                                                  \
        return value;                                                                              \
    }                                                                                              \
    static inline void dev_mmio_write##bits##order##_relaxed(const struct dev_mmio_s *m,           \
                                                             size_t offset, uint##bits##_t value)  \
    {                                                                                              \
        dev_mmio_raw_write##bits(dev_mmio_address(m, offset, bits / 8), convert(bits, value));     \
    }                                                                                              \
    static inline void dev_mmio_write##bits##order(const struct dev_mmio_s *m, size_t offset,      \
                                                   uint##bits##_t value)                           \
    {                                                                                              \
        KROUTINE_MMIO_BEFORE_WRITE;                                                                \
        dev_mmio_write##bits##order##_relaxed(m, offset, value);                                   \
    }

KROUTINE_MMIO_RAW(8, "b", "w")
KROUTINE_MMIO_RAW(16, "h", "w")
KROUTINE_MMIO_RAW(32, "", "w")
KROUTINE_MMIO_REGISTER(8, , KROUTINE_MMIO_BYTE)
KROUTINE_MMIO_REGISTER(16, _le, KROUTINE_MMIO_LE)
KROUTINE_MMIO_REGISTER(16, _be, KROUTINE_MMIO_BE)
KROUTINE_MMIO_REGISTER(32, _le, KROUTINE_MMIO_LE)
KROUTINE_MMIO_REGISTER(32, _be, KROUTINE_MMIO_BE)
#if UINTPTR_MAX > UINT32_MAX
KROUTINE_MMIO_RAW(64, "", "x")
KROUTINE_MMIO_REGISTER(64, _le, KROUTINE_MMIO_LE)
KROUTINE_MMIO_REGISTER(64, _be, KROUTINE_MMIO_BE)
#endif

/* --- the class --- */

DEVICE_ACCESSOR_DECLARE(mmio);

enum dev_mmio_capability_e {
    DEV_MMIO_CAP_CONFIG = 1,    /* it has PCI configuration space: f_config, f_bus_master */
    DEV_MMIO_CAP_RESET = 2,     /* f_reset works */
    DEV_MMIO_CAP_DMA = 4,       /* f_dma_map works */
    DEV_MMIO_CAP_PROTECTED = 8, /* an IOMMU keeps the device to what was mapped */
    DEV_MMIO_CAP_VIRTUAL = 16,  /* simulated */
};

struct dev_mmio_info_s {
    char name[64]; /* "0000:00:03.0", "3f007500.dma", what the kernel calls it */
    char bus[16];  /* "pci", "platform", …; "": not known */
    /* of PCI; else 0 */
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem_vendor;
    uint16_t subsystem_device;
    uint32_t class_code; /* 24 bits: base class, sub-class, interface */
    uint8_t revision;
    uint32_t regions; /* numbers go from 0 to this - 1; some in between may be absent */
    uint32_t
        irqs[DEV_IRQ_KINDS]; /* vectors of each kind; [DEV_IRQ_ANY]: of the one that it picks */
    uint32_t cap;            /* enum dev_mmio_capability_e, or-ed */
};

enum dev_mmio_region_flags_e {
    DEV_MMIO_REGION_READ = 1,
    DEV_MMIO_REGION_WRITE = 2,
    DEV_MMIO_REGION_MAPPABLE = 4,
};

struct dev_mmio_region_s {
    uint64_t size;     /* bytes */
    uint64_t physical; /* address on the bus of the CPU; 0: not known */
    uint32_t flags;    /* enum dev_mmio_region_flags_e, or-ed */
    char name[32];     /* "BAR 0", "dma-pool"; "": it has none */
};

enum dev_dma_map_flags_e {
    DEV_DMA_MAP_READ = 1,  /* the device may read the memory */
    DEV_DMA_MAP_WRITE = 2, /* … write it */
};

/* Memory that the device may touch by itself: what f_dma_map is given. The caller's; the same
   struct goes to f_dma_unmap. The dma class is built on this, and is what programs use. */
struct dev_dma_map_s {
    void *base;     /* a multiple of the page size */
    size_t size;    /* bytes, a multiple of the page size */
    uint64_t bus;   /* out: what the device is told: an address of the IOMMU, or a physical one */
    uint64_t mask;  /* the highest address that the device can give; 0: 2^64-1 */
    uint32_t flags; /* enum dev_dma_map_flags_e, or-ed; not 0 */
    void *drvdata;  /* of the driver, while it is mapped */
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). All
   are done when they return, in the calling thread, any one; they may take as long as a system
   call does, f_reset some hundred milliseconds. Every one: -ECANCELED the device is closed, -ENODEV
   it is gone, -ENOTSUP the driver cannot, -EPERM forked child; kroutine_error_text() says more. */
struct driver_mmio_s {
    enum driver_class_e cl;

    error_t (*f_info)(const struct device_mmio_s *acc, struct dev_mmio_info_s *info);
    /* -ENXIO: there is no such region. */
    error_t (*f_region)(const struct device_mmio_s *acc, uint32_t index,
                        struct dev_mmio_region_s *region);

    /* Maps a region, as a whole. Any number of times; the windows are the same memory. A window
       lasts until it is unmapped or the device closes: the accessor is put after the last use.
       -ENXIO: no such region. -ENOTSUP: this one cannot be mapped. Others as mmap(2). */
    error_t (*f_map)(const struct device_mmio_s *acc, uint32_t index, struct dev_mmio_s *window);
    /* Clears `window`. -EINVAL: it is not a window of this device. */
    error_t (*f_unmap)(const struct device_mmio_s *acc, struct dev_mmio_s *window);

    /* Reads or writes PCI configuration space, in the byte order of PCI (little endian). 1, 2 or 4
       bytes at a multiple of that are one access. -EINVAL: outside. */
    error_t (*f_config)(const struct device_mmio_s *acc, uint32_t offset, void *data, size_t size,
                        bool write);
    /* Resets the function. Registers are as after power-on afterwards, windows and interrupts stay.
       -ENOTSUP: the device has no reset of its own (DEV_MMIO_CAP_RESET). */
    error_t (*f_reset)(const struct device_mmio_s *acc);
    /* Whether the device may start transfers by itself, MSI included. Off when it is opened and
       after it has been closed. */
    error_t (*f_bus_master)(const struct device_mmio_s *acc, bool on);

    /* irq.h, which has the same as functions. A driver finds its state by irq->kind and
       irq->vector, and never keeps `irq` beyond release. mask and unmask NULL, or -ENOTSUP: the
       library does it by not looking. */
    error_t (*f_irq_request)(const struct device_mmio_s *acc, struct dev_irq_s *irq);
    error_t (*f_irq_release)(const struct device_mmio_s *acc, struct dev_irq_s *irq);
    error_t (*f_irq_mask)(const struct device_mmio_s *acc, struct dev_irq_s *irq);
    error_t (*f_irq_unmask)(const struct device_mmio_s *acc, struct dev_irq_s *irq);
    error_t (*f_irq_number)(const struct device_mmio_s *acc, struct dev_irq_s *irq,
                            unsigned *number);

    /* Makes memory known to the device, and pins it. -EINVAL: not whole pages, no flags, or not
       mapped by f_dma_map. -ENOMEM: RLIMIT_MEMLOCK. -ENOSPC: too many mappings, or no free range
       below `mask`. -EFAULT: `base` is not memory of the program. -EPERM: not allowed, or physical
       addresses without having been asked for. -ENOTSUP: not contiguous (physical addresses). */
    error_t (*f_dma_map)(const struct device_mmio_s *acc, struct dev_dma_map_s *map);
    error_t (*f_dma_unmap)(const struct device_mmio_s *acc, struct dev_dma_map_s *map);
};

#ifdef __cplusplus
}
#endif
#endif
