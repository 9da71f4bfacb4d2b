/* SPDX-License-Identifier: MIT */
/* krctl mmio: registers of a device that UIO or VFIO has given to the program. */
#include "krctl.h"
#include "options.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct krctl_command_s mmio_read, mmio_write, mmio_dump;

struct access_s {
    struct session_s session;
    struct device_mmio_s dev;
    struct dev_mmio_s window;
    const struct krctl_command_s *command;
    const char *spec;
    uint64_t region;
    uint64_t width; /* bits */
    bool big;       /* big endian */
    uint64_t offset;
    uint64_t size;
    uint64_t value;
};

/* --- one register --- */

static uint64_t get(const struct access_s *a, uint64_t offset)
{
    size_t at = (size_t)offset;

    switch (a->width) {
    case 8:
        return dev_mmio_read8(&a->window, at);
    case 16:
        return a->big ? dev_mmio_read16_be(&a->window, at) : dev_mmio_read16_le(&a->window, at);
#if UINTPTR_MAX > UINT32_MAX
    case 64:
        return a->big ? dev_mmio_read64_be(&a->window, at) : dev_mmio_read64_le(&a->window, at);
#endif
    default:
        return a->big ? dev_mmio_read32_be(&a->window, at) : dev_mmio_read32_le(&a->window, at);
    }
}

static void set(const struct access_s *a, uint64_t offset, uint64_t value)
{
    size_t at = (size_t)offset;

    if (a->width == 8)
        dev_mmio_write8(&a->window, at, (uint8_t)value);
    else if (a->width == 16 && a->big)
        dev_mmio_write16_be(&a->window, at, (uint16_t)value);
    else if (a->width == 16)
        dev_mmio_write16_le(&a->window, at, (uint16_t)value);
#if UINTPTR_MAX > UINT32_MAX
    else if (a->width == 64 && a->big)
        dev_mmio_write64_be(&a->window, at, value);
    else if (a->width == 64)
        dev_mmio_write64_le(&a->window, at, value);
#endif
    else if (a->big)
        dev_mmio_write32_be(&a->window, at, (uint32_t)value);
    else
        dev_mmio_write32_le(&a->window, at, (uint32_t)value);
}

static void print_value(const struct access_s *a, uint64_t value)
{
    printf("%0*" PRIx64, (int)a->width / 4, value);
}

/* --- commands --- */

static int check(const struct access_s *a)
{
    uint64_t bytes = a->width / 8, size = a->window.size;

    if (a->offset % bytes != 0)
        return krctl_fail("0x%" PRIx64 " is no multiple of %" PRIu64 " bytes", a->offset, bytes);
    if (a->offset >= size || bytes > size - a->offset)
        return krctl_fail("0x%" PRIx64 " is outside of '%s', which has 0x%" PRIx64 " bytes",
                          a->offset, a->window.name, size);
    return KRCTL_OK;
}

static int do_read(struct access_s *a)
{
    print_value(a, get(a, a->offset));
    putchar('\n');
    return KRCTL_OK;
}

static int do_write(struct access_s *a)
{
    set(a, a->offset, a->value);
    return KRCTL_OK;
}

/* Every register is read once, also those that are equal to others: reading may have effects. */
static int do_dump(struct access_s *a)
{
    uint64_t bytes = a->width / 8, left = a->window.size - a->offset;
    uint64_t count = (a->size && a->size < left ? a->size : left) / bytes;

    if (a->size % bytes != 0)
        return krctl_fail("SIZE: %" PRIu64 " is no multiple of %" PRIu64 " bytes", a->size, bytes);
    for (uint64_t i = 0; i < count; i++) {
        if (i % (16 / bytes) == 0)
            printf("%s%08" PRIx64 ":", i ? "\n" : "", a->offset + i * bytes);
        putchar(' ');
        print_value(a, get(a, a->offset + i * bytes));
    }
    putchar('\n');
    return KRCTL_OK;
}

static int with_window(struct access_s *a, int (*body)(struct access_s *a))
{
    error_t err = DEVICE_OP(&a->dev, map, (uint32_t)a->region, &a->window);
    int status;

    if (err)
        return krctl_fail("cannot map region %" PRIu64 " of %s: %s", a->region, a->spec,
                          krctl_error(err));
    status = check(a);
    if (status == KRCTL_OK)
        status = body(a);
    DEVICE_OP(&a->dev, unmap, &a->window);
    return status;
}

static int perform(struct access_s *a, int (*body)(struct access_s *a))
{
    int status = session_open(&a->session, KROUTINE_BACKEND_AUTO);

    if (status != KRCTL_OK)
        return status;
    status = session_open_port(&a->session, &a->dev.base, a->spec, DRIVER_CLASS_MMIO);
    if (status == KRCTL_OK)
        status = with_window(a, body);
    device_put_accessor(&a->dev.base);
    session_close(&a->session);
    return status;
}

/* --- the command line --- */

static int take_width(const struct krctl_command_s *command, void *to, const char *name)
{
    uint64_t *width = to;

    if (options_parse(optarg, sizeof(void *) * 8, width) &&
        (*width == 8 || *width == 16 || *width == 32 || *width == 64))
        return KRCTL_OK;
    return krctl_usage(command, "--%s is 8, 16, 32%s, not '%s'", name,
                       sizeof(void *) > 4 ? " or 64" : "", optarg);
}

static int prepare(struct access_s *a, int argc, char **argv, bool *done)
{
    const struct option_s table[] = {
        {.name = "big-endian", .letter = 'b', .kind = OPTION_FLAG, .to = &a->big},
        {.name = "region", .letter = 'r', .kind = OPTION_NUMBER, .to = &a->region, .max = 255},
        {.name = "width", .letter = 'w', .kind = OPTION_TAKE, .to = &a->width, .take = take_width},
        {0},
    };
    int status = options_take(a->command, table, argc, argv, done);

    if (*done)
        return status;
    a->spec = krctl_operand(a->command, argc, argv, "SPEC", &status);
    *done = a->spec == NULL;
    return status;
}

static int finish(struct access_s *a, int argc, char **argv, int status,
                  int (*body)(struct access_s *a))
{
    if (status == KRCTL_OK)
        status = options_no_more(a->command, argc, argv);
    return status == KRCTL_OK ? perform(a, body) : status;
}

static int run_read(int argc, char **argv)
{
    static struct access_s a = {.command = &mmio_read, .width = 32};
    bool done;
    int status = prepare(&a, argc, argv, &done);

    if (done)
        return status;
    status = options_number(a.command, argc, argv, "OFFSET", UINT64_MAX, &a.offset);
    return finish(&a, argc, argv, status, do_read);
}

static int run_write(int argc, char **argv)
{
    static struct access_s a = {.command = &mmio_write, .width = 32};
    bool done;
    int status = prepare(&a, argc, argv, &done);

    if (done)
        return status;
    status = options_number(a.command, argc, argv, "OFFSET", UINT64_MAX, &a.offset);
    if (status == KRCTL_OK)
        status =
            options_number(a.command, argc, argv, "VALUE", UINT64_MAX >> (64 - a.width), &a.value);
    return finish(&a, argc, argv, status, do_write);
}

static int run_dump(int argc, char **argv)
{
    static struct access_s a = {.command = &mmio_dump, .width = 32};
    bool done;
    int status = prepare(&a, argc, argv, &done);

    if (done)
        return status;
    if (optind < argc)
        status = options_number(a.command, argc, argv, "OFFSET", UINT64_MAX, &a.offset);
    if (status == KRCTL_OK && optind < argc)
        status = options_number(a.command, argc, argv, "SIZE", UINT64_MAX, &a.size);
    return finish(&a, argc, argv, status, do_dump);
}

#define OPTIONS                                                                                    \
    "  -r, --region N      BAR of a PCI device, map of another one (default 0)\n"                  \
    "  -w, --width BITS    of each access: 8, 16, 32 or 64 (default 32)\n"                         \
    "  -b, --big-endian    the registers are\n"                                                    \
    "  -h, --help          this text\n"

static const struct krctl_command_s mmio_read = {
    .name = "mmio read",
    .summary = "prints a register",
    .help = "usage: krctl mmio read SPEC OFFSET [OPTION]...\n"
            "\n"
            "Prints the register at OFFSET bytes, in hexadecimal.\n"
            "\n" OPTIONS,
    .run = run_read,
};

static const struct krctl_command_s mmio_write = {
    .name = "mmio write",
    .summary = "writes a register",
    .help = "usage: krctl mmio write SPEC OFFSET VALUE [OPTION]...\n"
            "\n"
            "Writes VALUE to the register at OFFSET bytes.\n"
            "\n" OPTIONS,
    .run = run_write,
};

static const struct krctl_command_s mmio_dump = {
    .name = "mmio dump",
    .summary = "prints a range of registers",
    .help = "usage: krctl mmio dump SPEC [OFFSET [SIZE]] [OPTION]...\n"
            "\n"
            "Reads SIZE bytes of registers, all without SIZE, each one once, and prints them\n"
            "in hexadecimal. Reading can have effects: a status may be cleared by it.\n"
            "\n" OPTIONS,
    .run = run_dump,
};

static const struct krctl_command_s *const members[] = {
    &mmio_read,
    &mmio_write,
    &mmio_dump,
    NULL,
};

const struct krctl_command_s krctl_mmio = {
    .name = "mmio",
    .summary = "registers of a device",
    .help = "usage: krctl mmio read SPEC OFFSET [OPTION]...\n"
            "       krctl mmio write SPEC OFFSET VALUE [OPTION]...\n"
            "       krctl mmio dump SPEC [OFFSET [SIZE]] [OPTION]...\n"
            "       krctl mmio COMMAND --help\n"
            "\n"
            "  read     prints a register\n"
            "  write    writes a register\n"
            "  dump     prints a range of registers\n"
            "\n"
            "SPEC is a device of class mmio, such as uio:uio0 or uio:0000:00:03.0; krctl list\n"
            "has those of this machine.\n",
    .members = members,
};
