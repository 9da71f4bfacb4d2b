/* SPDX-License-Identifier: MIT */
/*
 * Registers and an interrupt, past the kernel: QEMU's teaching device computes factorials.
 *
 * Steps: 1. open the device by its spec; 2. map its registers; 3. request its interrupt; 4. let it
 * work; 5. the handler runs when it has done.
 * Compile: gcc edu-factorial.c -o edu-factorial $(pkg-config --cflags --libs libkroutine)
 * Run: ./edu-factorial vfio:0000:00:05.0, or uio:uio0, as root. kroutine-drivers(7) goes on.
 */
#include <kroutine.h>
#include <stdio.h>

/* docs/specs/edu.rst of QEMU */
enum { ID = 0x00, FACTORIAL = 0x08, STATUS = 0x20, IRQ_STATUS = 0x24, IRQ_ACK = 0x64 };
#define STATUS_INTERRUPT 0x80 /* it interrupts when it has computed */

static struct device_mmio_s edu = DEVICE_ACCESSOR_INIT;
static struct dev_mmio_s regs;

/* QUEUE: runs in main(), below. Quiets the device first, then lets it interrupt again. */
static KROUTINE_EXEC(computed)
{
    struct dev_irq_s *irq = dev_irq_from_kr(kr);

    (void)flags;
    if (irq->error) /* unplugged */
        return;
    dev_mmio_write32_le(&regs, IRQ_ACK, dev_mmio_read32_le(&regs, IRQ_STATUS));
    dev_irq_unmask(irq);
    printf("%u\n", (unsigned)dev_mmio_read32_le(&regs, FACTORIAL));
}

static int no_device(void)
{
    fprintf(stderr, "%s\n", kroutine_error_text());
    fprintf(stderr, "The device is one of QEMU's; a virtual machine with it:\n"
                    "  qemu-system-x86_64 -machine q35,kernel-irqchip=split -m 2G \\\n"
                    "    -device intel-iommu,intremap=on -device edu,addr=05.0 DISK-IMAGE\n"
                    "with intel_iommu=on for its kernel. In it, as root:\n"
                    "  krctl vfio bind 0000:00:05.0 && edu-factorial vfio:0000:00:05.0\n");
    return 1;
}

int main(int argc, char **argv)
{
    struct kroutine_queue_s queue;
    struct dev_irq_s irq;
    error_t err;

    if (device_get_accessor_by_path(&edu.base, NULL, argc > 1 ? argv[1] : "vfio:0000:00:05.0",
                                    DRIVER_CLASS_MMIO) ||
        DEVICE_OP(&edu, map, 0, &regs) || (dev_mmio_read32_le(&regs, ID) & 0xff) != 0xed)
        return no_device();
    if (kroutine_queue_init(&queue))
        return 1;
    dev_irq_init_queue(&irq, computed, &queue);
    err = dev_irq_request(&edu, &irq);
    if (!err) /* a message (MSI) is a write to memory */
        err = DEVICE_OP(&edu, bus_master, true);
    if (err)
        fprintf(stderr, "%s\n", kroutine_error_text());
    dev_mmio_write32_le(&regs, STATUS, STATUS_INTERRUPT);
    for (uint32_t n = 1; !err && n <= 12; n++) {
        dev_mmio_write32_le(&regs, FACTORIAL, n);
        err = kroutine_queue_timedwait(&queue, KROUTINE_SEC(10)); /* other work comes here */
    }
    dev_irq_release(&irq);
    device_put_accessor(&edu.base);
    kroutine_queue_cleanup(&queue);
    return err ? 1 : 0;
}
