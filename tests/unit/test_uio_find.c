/* SPDX-License-Identifier: MIT */
/* What the driver uio makes of sysfs, on a tree of files: the names of devices, maps and BARs. */
#include "kt_tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../backends/uio/uio.h"

static struct kt_tree_s sysfs;
static struct kr_uio_found_s found;

static void make_map(const char *device, unsigned n, const char *addr, const char *size,
                     const char *offset, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "class/uio/%s/maps/map%u/addr", device, n);
    kt_tree_make(&sysfs, path, addr);
    snprintf(path, sizeof path, "class/uio/%s/maps/map%u/size", device, n);
    kt_tree_make(&sysfs, path, size);
    snprintf(path, sizeof path, "class/uio/%s/maps/map%u/offset", device, n);
    kt_tree_make(&sysfs, path, offset);
    if (!name)
        return;
    snprintf(path, sizeof path, "class/uio/%s/maps/map%u/name", device, n);
    kt_tree_make(&sysfs, path, name);
}

/* uio0: a DMA channel of a Raspberry Pi; uio3: a PCI device; uio10, uio11: twins. */
static void set_up(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char size[32];

    kt_tree_init(&sysfs, "sys");
    kt_tree_make(&sysfs, "class/uio/uio0/name", "dma\n");
    snprintf(size, sizeof size, "0x%zx\n", page);
    make_map("uio0", 0, "0x000000003f007000\n", size, "0x500\n", "dma@7e007500\n");
    make_map("uio0", 1, "0x0000000030000000\n", "0x100000\n", "0x0\n", NULL);
    kt_tree_make(&sysfs, "devices/soc/3f007500.dma", NULL);
    kt_tree_make(&sysfs, "bus/platform/drivers/uio_pdrv_genirq", NULL);
    kt_tree_link(&sysfs, "devices/soc/3f007500.dma/subsystem", "../../../bus/platform");
    kt_tree_link(&sysfs, "devices/soc/3f007500.dma/driver",
                 "../../../bus/platform/drivers/uio_pdrv_genirq");
    kt_tree_link(&sysfs, "class/uio/uio0/device", "../../../devices/soc/3f007500.dma");

    kt_tree_make(&sysfs, "class/uio/uio3/name", "uio_pci_generic\n");
    kt_tree_make(&sysfs, "devices/pci0/0000:00:03.0/resource",
                 "0x00000000fea00000 0x00000000feafffff 0x0000000000040200\n"
                 "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                 "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n"
                 "0x00000008fea01080 0x00000008fea010ff 0x0000000000140204\n"
                 "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                 "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
    kt_tree_make(&sysfs, "bus/pci/drivers/uio_pci_generic", NULL);
    kt_tree_link(&sysfs, "devices/pci0/0000:00:03.0/subsystem", "../../../bus/pci");
    kt_tree_link(&sysfs, "devices/pci0/0000:00:03.0/driver",
                 "../../../bus/pci/drivers/uio_pci_generic");
    kt_tree_link(&sysfs, "class/uio/uio3/device", "../../../devices/pci0/0000:00:03.0");
    kt_tree_link(&sysfs, "bus/pci/devices/0000:00:03.0", "../../../devices/pci0/0000:00:03.0");

    kt_tree_make(&sysfs, "class/uio/uio10/name", "twin\n");
    kt_tree_make(&sysfs, "class/uio/uio11/name", "twin\n");
    kt_tree_make(&sysfs, "bus/pci/devices/0000:00:05.0/class", "0x020000\n");
    kt_tree_link(&sysfs, "bus/pci/devices/0000:00:05.0/driver", "../../drivers/e1000e");
    kt_tree_make(&sysfs, "bus/pci/devices/0000:00:06.0/class", "0x020000\n");
}

static void expect(const char *name, unsigned number)
{
    error_t err = kr_uio_find(&found, sysfs.root, name);

    ck_assert_msg(err == 0, "%s: %s", name, kroutine_error_text());
    ck_assert_uint_eq(found.number, number);
}

START_TEST(a_device_has_three_names)
{
    set_up();
    expect("uio0", 0);
    expect("dma", 0);
    expect("3f007500.dma", 0);
    expect("uio3", 3);
    expect("0000:00:03.0", 3);
    expect("uio_pci_generic", 3);
    expect("uio10", 10); /* and not uio1, which there is not */
}
END_TEST

START_TEST(maps_of_a_platform_device)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    set_up();
    expect("dma", 0);
    ck_assert_str_eq(found.bus, "platform");
    ck_assert_str_eq(found.driver, "uio_pdrv_genirq");
    ck_assert_str_eq(found.parent, "3f007500.dma");
    ck_assert(!found.by_bar);
    ck_assert_uint_eq(found.maps, 2);
    ck_assert_uint_eq(found.map[0].skip, 0x500);
    ck_assert_uint_eq(found.map[0].size, page - 0x500);
    ck_assert_uint_eq(found.map[0].physical, 0x3f007500);
    ck_assert_str_eq(found.map[0].name, "dma@7e007500");
    ck_assert(found.map[0].mappable);
    ck_assert_uint_eq(found.map[1].size, 0x100000);
    ck_assert_uint_eq(found.map[1].skip, 0);
    ck_assert_str_eq(found.map[1].name, "");
}
END_TEST

START_TEST(bars_of_a_pci_device)
{
    set_up();
    expect("0000:00:03.0", 3);
    ck_assert_str_eq(found.bus, "pci");
    ck_assert_str_eq(found.driver, "uio_pci_generic");
    ck_assert(found.by_bar);
    ck_assert_uint_eq(found.maps, 4);
    ck_assert_uint_eq(found.map[0].size, 0x100000);
    ck_assert_uint_eq(found.map[0].physical, 0xfea00000);
    ck_assert(found.map[0].mappable);
    ck_assert_uint_eq(found.map[1].size, 0);
    ck_assert_uint_eq(found.map[2].size, 32); /* I/O ports */
    ck_assert(!found.map[2].mappable);
    ck_assert_uint_eq(found.map[3].size, 0x80); /* not at the beginning of a page */
    ck_assert_uint_eq(found.map[3].skip, 0x8fea01080 % (size_t)sysconf(_SC_PAGESIZE));
    ck_assert_str_eq(found.map[3].name, "BAR 3");
}
END_TEST

static void expect_text(const char *name, error_t err, const char *text)
{
    memset(&found, 0x55, sizeof found);
    ck_assert_int_eq(kr_uio_find(&found, sysfs.root, name), err);
    ck_assert_msg(strstr(kroutine_error_text(), text) != NULL, "%s: '%s' is not in: %s", name, text,
                  kroutine_error_text());
}

START_TEST(what_is_not_there)
{
    set_up();
    expect_text("uio1", -ENOENT, "uio0 (dma, 3f007500.dma)");
    expect_text("twin", -EINVAL, "2 UIO devices are called 'twin'");
    expect_text("0000:00:05.0", -ENOENT, "bound to the driver e1000e");
    expect_text("0000:00:06.0", -ENOENT, "bound to no driver");
    kt_tree_init(&sysfs, "nothing");
    expect_text("uio0", -ENOENT, "modprobe");
}
END_TEST

START_TEST(a_long_name_is_cut)
{
    char name[301];

    set_up();
    memset(name, 'x', 300);
    name[300] = 0;
    kt_tree_make(&sysfs, "class/uio/uio0/name", name);
    expect("uio0", 0);
    ck_assert_uint_eq(strlen(found.name), sizeof found.name - 1);
    expect_text(name, -ENOENT, "there is no UIO device");
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("uio_find");

    kt_add(s, a_device_has_three_names, 10);
    kt_add(s, maps_of_a_platform_device, 10);
    kt_add(s, bars_of_a_pci_device, 10);
    kt_add(s, what_is_not_there, 10);
    kt_add(s, a_long_name_is_cut, 10);
    return s;
}
