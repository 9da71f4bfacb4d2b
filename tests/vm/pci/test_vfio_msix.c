/* SPDX-License-Identifier: MIT */
/* MSI-X through the driver vfio, on QEMU's virtio-blk-pci: each of its queues has a vector, and a
   request that the device has ended makes an interrupt. "Virtual I/O Device (VIRTIO) Version 1.2"
   is what the sections are of; processors of these guests are little-endian, as it is. */
#include "vfio_edu.h"

#include <stdio.h>
#include <sys/mman.h>

#define VECTORS 3
#define SERIAL  "kroutine" /* as the machine of the suite has it */

/* 4.1.4.3: the structure of the common configuration. */
enum common_register_e {
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    DEVICE_STATUS = 0x14, /* 8 bits; those of the queue have 16, and addresses two times 32 */
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 }; /* 2.1 */
#define FEATURES_LOW  (1u << 12) /* 5.2.3: more than one queue */
#define FEATURES_HIGH 3u         /* 6: version 1, and addresses that an IOMMU translates */

/* 2.7: a queue of one request, which asks for the serial number (5.2.6). */
#define ENTRIES 4
struct queue_s {
    struct {
        uint64_t address;
        uint32_t size;
        uint16_t flags, next;
    } desc[ENTRIES];
    struct {
        uint16_t flags, index, ring[ENTRIES], event;
    } avail;
    _Alignas(4) struct {
        uint16_t flags, index;
        struct {
            uint32_t id, size;
        } ring[ENTRIES];
        uint16_t event;
    } used;
    _Alignas(16) struct {
        uint32_t type, reserved;
        uint64_t sector;
    } request;
    char serial[20];
    uint8_t status;
};
enum { DESC_NEXT = 1, DESC_WRITE = 2, GET_ID = 8 };

struct disk_s {
    struct edu_s pci;
    size_t common, notify, notify_multiplier; /* in the BAR */
    size_t doorbell[VECTORS];
    struct queue_s *queue[VECTORS]; /* a page each */
    struct dev_dma_map_s map;
    struct edu_irq_s irq[VECTORS];
};

static uint32_t config(const struct disk_s *disk, unsigned at, size_t size)
{
    uint8_t value[4] = {0};

    ck_assert_int_eq(DEVICE_OP(&disk->pci.mmio, config, at, value, size, false), 0);
    return value[0] | (uint32_t)value[1] << 8 | (uint32_t)value[2] << 16 | (uint32_t)value[3] << 24;
}

/* 4.1.4: capabilities of the vendor say where the parts of the interface are: 1 and 2 are these. */
static unsigned find_parts(struct disk_s *disk)
{
    unsigned bar = 6;

    for (unsigned at = config(disk, 0x34, 1); at; at = config(disk, at + 1, 1)) {
        if (config(disk, at, 1) != 0x09)
            continue;
        if (config(disk, at + 3, 1) == 1) {
            bar = config(disk, at + 4, 1);
            disk->common = config(disk, at + 8, 4);
        } else if (config(disk, at + 3, 1) == 2) {
            disk->notify = config(disk, at + 8, 4);
            disk->notify_multiplier = config(disk, at + 16, 4);
        }
    }
    return bar;
}

static void put_address(const struct disk_s *disk, size_t at, uint64_t address)
{
    dev_mmio_write32_le(&disk->pci.bar, disk->common + at, (uint32_t)address);
    dev_mmio_write32_le(&disk->pci.bar, disk->common + at + 4, (uint32_t)(address >> 32));
}

static void start_queue(struct disk_s *disk, unsigned i)
{
    struct dev_mmio_s *bar = &disk->pci.bar;
    struct queue_s *q = disk->queue[i];
    uint64_t bus = disk->map.bus + (uint64_t)((uint8_t *)q - (uint8_t *)disk->queue[0]);
    size_t c = disk->common;

    q->request.type = GET_ID;
    q->desc[0].address = bus + offsetof(struct queue_s, request);
    q->desc[0].size = sizeof q->request;
    q->desc[0].flags = DESC_NEXT;
    q->desc[0].next = 1;
    q->desc[1].address = bus + offsetof(struct queue_s, serial);
    q->desc[1].size = sizeof q->serial;
    q->desc[1].flags = DESC_NEXT | DESC_WRITE;
    q->desc[1].next = 2;
    q->desc[2].address = bus + offsetof(struct queue_s, status);
    q->desc[2].size = 1;
    q->desc[2].flags = DESC_WRITE;

    dev_mmio_write16_le(bar, c + QUEUE_SELECT, (uint16_t)i);
    dev_mmio_write16_le(bar, c + QUEUE_SIZE, ENTRIES);
    dev_mmio_write16_le(bar, c + QUEUE_VECTOR, (uint16_t)i);
    ck_assert_uint_eq(dev_mmio_read16_le(bar, c + QUEUE_VECTOR), i);
    put_address(disk, QUEUE_DESC, bus + offsetof(struct queue_s, desc));
    put_address(disk, QUEUE_DRIVER, bus + offsetof(struct queue_s, avail));
    put_address(disk, QUEUE_DEVICE, bus + offsetof(struct queue_s, used));
    disk->doorbell[i] =
        disk->notify + disk->notify_multiplier * dev_mmio_read16_le(bar, c + QUEUE_NOTIFY_OFF);
    dev_mmio_write16_le(bar, c + QUEUE_ENABLE, 1);
}

static void start(struct disk_s *disk)
{
    struct dev_mmio_s *bar = &disk->pci.bar;
    size_t status = disk->common + DEVICE_STATUS;

    dev_mmio_write8(bar, status, 0);
    kt_await(disk->pci.env, dev_mmio_read8(bar, status) == 0);
    dev_mmio_write8(bar, status, ACKNOWLEDGE | DRIVER);
    dev_mmio_write32_le(bar, disk->common + DRIVER_FEATURE_SELECT, 0);
    dev_mmio_write32_le(bar, disk->common + DRIVER_FEATURE, FEATURES_LOW);
    dev_mmio_write32_le(bar, disk->common + DRIVER_FEATURE_SELECT, 1);
    dev_mmio_write32_le(bar, disk->common + DRIVER_FEATURE, FEATURES_HIGH);
    dev_mmio_write8(bar, status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    ck_assert_uint_eq(dev_mmio_read8(bar, status), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    for (unsigned i = 0; i < VECTORS; i++)
        start_queue(disk, i);
    dev_mmio_write8(bar, status, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void open_disk(struct disk_s *disk, struct kt_env_s *env)
{
    uint8_t *memory =
        mmap(NULL, VECTORS * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct device_mmio_s *mmio = &disk->pci.mmio;
    char spec[40];

    ck_assert(memory != MAP_FAILED);
    memset(disk, 0, sizeof *disk);
    disk->pci.env = env;
    ck_assert_msg(guest_find(disk->pci.name, 0x1af4, 0x1042, 0), "the machine has no virtio-blk");
    guest_bind(disk->pci.name, "vfio-pci");
    snprintf(spec, sizeof spec, "vfio:%s", disk->pci.name);
    ck_assert_msg(device_get_accessor_by_path(&mmio->base, kroutine_runtime_devices(env->rt), spec,
                                              DRIVER_CLASS_MMIO) == 0,
                  "%s", kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(mmio, map, find_parts(disk), &disk->pci.bar), 0);
    disk->map = (struct dev_dma_map_s){.base = memory,
                                       .size = VECTORS * 4096,
                                       .mask = UINT32_MAX,
                                       .flags = DEV_DMA_MAP_READ | DEV_DMA_MAP_WRITE};
    ck_assert_int_eq(DEVICE_OP(mmio, dma_map, &disk->map), 0);
    for (unsigned i = 0; i < VECTORS; i++)
        disk->queue[i] = (struct queue_s *)(void *)(memory + i * 4096);
}

static KROUTINE_EXEC(counted)
{
    struct edu_irq_s *irq = KROUTINE_CONTAINER(dev_irq_from_kr(kr), struct edu_irq_s, irq);

    (void)flags;
    kt_inc(&irq->runs);
}

static void request(struct disk_s *disk, unsigned vector, enum dev_irq_kind_e kind)
{
    struct edu_irq_s *irq = &disk->irq[vector];

    edu_irq_init(irq, &disk->pci, kind);
    dev_irq_init_immediate(&irq->irq, counted);
    irq->irq.vector = (uint16_t)vector;
    edu_irq_request(irq);
    ck_assert_int_eq(irq->irq.kind, DEV_IRQ_MSIX);
}

/* Has the device do what the queue is for, and waits until it has: the interrupt is sent then. */
static void use(struct disk_s *disk, unsigned i)
{
    struct queue_s *q = disk->queue[i];
    uint16_t index = (uint16_t)(q->avail.index + 1);

    memset(q->serial, 0, sizeof q->serial);
    q->status = 0xff;
    __atomic_store_n(&q->avail.index, index, __ATOMIC_RELEASE);
    dev_mmio_write16_le(&disk->pci.bar, disk->doorbell[i], (uint16_t)i);
    kt_await(disk->pci.env, __atomic_load_n(&q->used.index, __ATOMIC_ACQUIRE) == index);
    ck_assert_uint_eq(q->status, 0);
    ck_assert_str_eq(q->serial, SERIAL);
}

START_TEST(msix)
{
    struct dev_mmio_info_s info;
    struct disk_s disk;
    struct kt_env_s env;

    kt_env_open(&env, KT_THREADS);
    open_disk(&disk, &env);
    ck_assert_int_eq(DEVICE_OP(&disk.pci.mmio, info, &info), 0);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSIX], 5); /* four queues, and the configuration */
    ck_assert_uint_eq(info.irqs[DEV_IRQ_ANY], 5);
    for (unsigned i = 0; i < VECTORS; i++)
        request(&disk, i, DEV_IRQ_ANY);
    start(&disk);
    for (unsigned i = 0; i < VECTORS; i++) {
        use(&disk, i);
        kt_await(&env, kt_get(&disk.irq[i].runs) == 1);
    }
    for (unsigned i = 0; i < VECTORS; i++)
        ck_assert_uint_eq(kt_get(&disk.irq[i].runs), 1); /* each its own, and no other */

    /* Without one of them the others are what they were. */
    ck_assert_int_eq(dev_irq_release(&disk.irq[1].irq), 0);
    use(&disk, 1);
    use(&disk, 2);
    kt_await(&env, kt_get(&disk.irq[2].runs) == 2);
    ck_assert_uint_eq(kt_get(&disk.irq[1].runs), 1);
    request(&disk, 1, DEV_IRQ_MSIX);
    use(&disk, 1);
    kt_await(&env, kt_get(&disk.irq[1].runs) >= 1); /* the one that was missed may come as well */

    dev_mmio_write8(&disk.pci.bar, disk.common + DEVICE_STATUS, 0);
    for (unsigned i = 0; i < VECTORS; i++)
        ck_assert_int_eq(dev_irq_release(&disk.irq[i].irq), 0);
    ck_assert_int_eq(DEVICE_OP(&disk.pci.mmio, dma_unmap, &disk.map), 0);
    edu_close(&disk.pci);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio_msix");

    kt_add(s, msix, 20);
    return s;
}
