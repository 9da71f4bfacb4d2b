/* SPDX-License-Identifier: MIT */
/* examples/edu-factorial.c on QEMU's device, and where there is none. */
#include "pci_guest.h"

#include <stdio.h>

int example(int argc, char **argv);
#define main example
#include "../../../examples/edu-factorial.c"
#undef main

static error_t run(char *spec, char *out, char *err)
{
    char *argv[] = {(char *)"edu-factorial", spec, NULL};

    ck_assert_ptr_nonnull(freopen(out, "w", stdout));
    ck_assert_ptr_nonnull(freopen(err, "w", stderr));
    return example(2, argv);
}

static void expect_line(const char *path, const char *line)
{
    char text[256];
    bool found = false;
    FILE *f = fopen(path, "r");

    ck_assert_ptr_nonnull(f);
    while (!found && fgets(text, sizeof text, f))
        found = strstr(text, line) != NULL;
    fclose(f);
    ck_assert_msg(found, "%s: no '%s'", path, line);
}

static void expect(const char *driver, const char *prefix, int status, const char *line)
{
    char name[16], spec[40], out[128], err[128];

    snprintf(out, sizeof out, "%s/out", kt_folder());
    snprintf(err, sizeof err, "%s/err", kt_folder());
    ck_assert(guest_find(name, EDU_VENDOR, EDU_DEVICE, 0));
    guest_bind(name, driver);
    snprintf(spec, sizeof spec, "%s:%s", prefix, name);
    ck_assert_int_eq(run(spec, out, err), status);
    fflush(NULL);
    expect_line(status ? err : out, line);
}

START_TEST(by_vfio)
{
    expect("vfio-pci", "vfio", 0, "479001600\n");
}
END_TEST

START_TEST(by_uio)
{
    expect("uio_pci_generic", "uio", 0, "479001600\n");
}
END_TEST

START_TEST(not_there)
{
    expect(NULL, "vfio", 1, "qemu-system-x86_64");
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("edu example");

    kt_add(s, by_vfio, 20);
    kt_add(s, by_uio, 20);
    kt_add(s, not_there, 20);
    return s;
}
