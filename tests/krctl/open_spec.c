/* SPDX-License-Identifier: MIT */
/* Opens each "CLASS SPEC" of standard input as a program does, and says of each whether that went
   well: "0 SPEC", or the error and its text. For test_list.py. */
#include <stdio.h>
#include <string.h>

#include <kroutine.h>

static enum driver_class_e class_of(const char *name)
{
    enum driver_class_e cl = DRIVER_CLASS_NONE + 1;

    while (cl < DRIVER_CLASS_COUNT && strcmp(device_class_name(cl), name) != 0)
        cl++;
    return cl;
}

int main(void)
{
    char cl[32], spec[512];

    while (scanf("%31s %511s", cl, spec) == 2) {
        struct device_char_s acc = DEVICE_ACCESSOR_INIT; /* any accessor: none is used as one */
        error_t err = device_get_accessor_by_path(&acc.base, NULL, spec, class_of(cl));

        printf("%d %s %s\n", err, spec, err ? kroutine_error_text() : "");
        device_put_accessor(&acc.base);
    }
    return 0;
}
