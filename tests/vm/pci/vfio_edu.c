/* SPDX-License-Identifier: MIT */
#include "vfio_edu.h"

#include <stdio.h>

const char *iommu_label(int way)
{
    return way == IOMMU_TYPE1 ? "type1" : "iommufd";
}

bool iommu_available(int way)
{
    return way == IOMMU_TYPE1 || access("/dev/vfio/devices", F_OK) == 0;
}

void edu_find(char name[16], enum edu_place_e place)
{
    ck_assert_msg(guest_find(name, EDU_VENDOR, EDU_DEVICE, place), "the machine has no edu %d",
                  place);
}

error_t edu_try(struct edu_s *edu, struct kt_env_s *env, enum edu_place_e place, const char *keys)
{
    char spec[64];

    memset(edu, 0, sizeof *edu);
    edu->env = env;
    edu_find(edu->name, place);
    guest_bind(edu->name, "vfio-pci");
    snprintf(spec, sizeof spec, "vfio:%s%s", edu->name, keys);
    return device_get_accessor_by_path(&edu->mmio.base, kroutine_runtime_devices(env->rt), spec,
                                       DRIVER_CLASS_MMIO);
}

void edu_open(struct edu_s *edu, struct kt_env_s *env, enum edu_place_e place, const char *keys)
{
    error_t err = edu_try(edu, env, place, keys);

    ck_assert_msg(err == 0, "%s%s: %s", edu->name, keys, kroutine_error_text());
    err = DEVICE_OP(&edu->mmio, map, 0, &edu->bar);
    ck_assert_msg(err == 0, "BAR0: %s", kroutine_error_text());
}

void edu_close(struct edu_s *edu)
{
    ck_assert_int_eq(DEVICE_OP(&edu->mmio, unmap, &edu->bar), 0);
    device_put_accessor(&edu->mmio.base);
}

uint32_t edu_read(const struct edu_s *edu, size_t offset)
{
    return dev_mmio_read32_le(&edu->bar, offset);
}

void edu_write(const struct edu_s *edu, size_t offset, uint32_t value)
{
    dev_mmio_write32_le(&edu->bar, offset, value);
}

static KROUTINE_EXEC(fired)
{
    struct edu_irq_s *irq = KROUTINE_CONTAINER(dev_irq_from_kr(kr), struct edu_irq_s, irq);
    uint32_t status;

    (void)flags;
    kt_set(&irq->error, irq->irq.error);
    if (!irq->irq.error) {
        status = edu_read(irq->edu, EDU_IRQ_STATUS);
        __atomic_fetch_or(&irq->status, status, __ATOMIC_SEQ_CST);
        edu_write(irq->edu, EDU_IRQ_ACK, status);
        if (irq->irq.kind == DEV_IRQ_INTX)
            dev_irq_unmask(&irq->irq);
    }
    kt_inc(&irq->runs);
}

void edu_irq_init(struct edu_irq_s *irq, struct edu_s *edu, enum dev_irq_kind_e kind)
{
    memset(irq, 0, sizeof *irq);
    dev_irq_init_immediate(&irq->irq, fired);
    irq->irq.kind = kind;
    irq->edu = edu;
}

void edu_irq_request(struct edu_irq_s *irq)
{
    error_t err = dev_irq_request(&irq->edu->mmio, &irq->irq);

    ck_assert_msg(err == 0, "request: %s", kroutine_error_text());
    /* A message of MSI is a write to memory by the device. */
    ck_assert_int_eq(DEVICE_OP(&irq->edu->mmio, bus_master, true), 0);
}

void says(const char *part)
{
    ck_assert_msg(strstr(kroutine_error_text(), part), "'%s' has no '%s'", kroutine_error_text(),
                  part);
}
