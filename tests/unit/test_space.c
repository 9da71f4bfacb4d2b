/* SPDX-License-Identifier: MIT */
/* Joining the address space of an IOMMU group when the kernel's answers fail half-way; what works
   is tested on real IOMMUs, tests/vm/pci. */
#include "kt.h"

#include <fcntl.h>

#include "../../backends/vfio/iommu.h"

static const struct pci_s pci = {.name = "0000:00:03.0", .group = 7};
static int opened, attached_fd;
static error_t attach_error, ranges_error;

static error_t type_open(struct space_s *s, const struct pci_s *p)
{
    (void)s;
    (void)p;
    opened++;
    return 0;
}

static void type_close(struct space_s *s)
{
    (void)s;
    opened--;
}

static error_t type_attach(struct space_s *s, const struct pci_s *p, int *device_fd)
{
    (void)s;
    (void)p;
    if (attach_error)
        return attach_error;
    *device_fd = attached_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return 0;
}

static error_t type_ranges(struct space_s *s, struct iova_range_s **list, size_t *count)
{
    (void)s;
    if (ranges_error)
        return ranges_error;
    *list = malloc(sizeof(**list));
    **list = (struct iova_range_s){0, UINT32_MAX};
    *count = 1;
    return 0;
}

static const struct iommu_ops_s ops = {
    .name = "test",
    .protects = true,
    .open = type_open,
    .attach = type_attach,
    .close = type_close,
    .ranges = type_ranges,
};

/* vfio.c closes what it has of a device that did not open: it must have nothing. */
static void expect_failure(error_t expected)
{
    struct space_s *s = NULL;
    int fd = -1;

    attached_fd = -1;
    ck_assert_int_eq(space_join(&s, &pci, &ops, &fd), expected);
    ck_assert_ptr_null(s);
    ck_assert_int_eq(fd, -1);
    ck_assert(attached_fd < 0 || fcntl(attached_fd, F_GETFD) < 0);
}

START_TEST(a_join_that_fails_leaves_nothing)
{
    attach_error = -EBUSY;
    expect_failure(-EBUSY);
    ck_assert_int_eq(opened, 0);
    attach_error = 0;
    ranges_error = -ENOTSUP;
    expect_failure(-ENOTSUP);
    ck_assert_int_eq(opened, 0);
    ranges_error = 0;
}
END_TEST

START_TEST(one_that_fails_leaves_the_others_of_the_group)
{
    struct space_s *s = NULL, *other = NULL;
    int fd = -1, second = -1;

    ck_assert_int_eq(space_join(&s, &pci, &ops, &fd), 0);
    ranges_error = -ENOMEM;
    expect_failure(-ENOMEM);
    ranges_error = 0;
    ck_assert_int_eq(opened, 1);
    ck_assert_int_eq(space_join(&other, &pci, NULL, &second), 0);
    ck_assert_ptr_eq(other, s);
    close(second);
    space_leave(other);
    ck_assert_int_eq(opened, 1);
    close(fd);
    space_leave(s);
    ck_assert_int_eq(opened, 0);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("space");

    kt_add(s, a_join_that_fails_leaves_nothing, 10);
    kt_add(s, one_that_fails_leaves_the_others_of_the_group, 10);
    return s;
}
