/* SPDX-License-Identifier: MIT */
/* krctl i2c dump: the registers of a chip. The tables are those of i2cdump(8). */
#include "bus.h"
#include "i2c.h"

#include <errno.h>
#include <stdio.h>

static struct i2c_s dump = {.command = &krctl_i2c_dump};
static enum i2c_mode_e mode = I2C_BYTE;
static unsigned first, last = I2C_REGISTERS - 1;
static int value[I2C_REGISTERS]; /* negative: could not be read */

/* i: in blocks; the chip counts on by itself. */
static error_t read_blocks(struct i2c_s *i)
{
    unsigned largest = i->info.size_max < I2C_BLOCK_MAX ? i->info.size_max : I2C_BLOCK_MAX;

    for (unsigned at = first; at <= last;) {
        uint8_t block[I2C_BLOCK_MAX];
        unsigned size = last + 1 - at < largest ? last + 1 - at : largest;
        error_t err = i2c_read(i, (int)at, block, size);

        if (err != 0)
            return err;
        for (unsigned n = 0; n < size; n++)
            value[at++] = block[n];
    }
    return 0;
}

/* c: the first register is written, then bytes are read, one after the other. */
static error_t read_current(struct i2c_s *i)
{
    error_t err = i2c_write(i, (int)first, NULL, 0);

    for (unsigned at = first; at <= last && err == 0; at++) {
        uint8_t byte;

        err = i2c_read(i, -1, &byte, 1);
        value[at] = byte;
    }
    return err;
}

/* b, w: each one for itself, so that those that cannot be read do not hide the others. */
static error_t read_single(struct i2c_s *i)
{
    bool any = false;
    error_t err = 0;

    for (unsigned at = first; at <= last && !i->session.over; at++) {
        uint8_t bytes[2] = {0};
        error_t now = i2c_read(i, (int)at, bytes, mode == I2C_WORD ? 2 : 1);

        value[at] = now == 0 ? bytes[0] | bytes[1] << 8 : -1;
        any = any || now == 0;
        err = now != 0 ? now : err;
    }
    return any ? 0 : err;
}

static bool wanted(unsigned at)
{
    return at >= first && at <= last;
}

static void put_text(struct bytes_s *out, unsigned at)
{
    int byte = value[at];

    if (!wanted(at))
        bytes_printf(out, " ");
    else if (byte < 0)
        bytes_printf(out, "X");
    else if (byte == 0x00 || byte == 0xff)
        bytes_printf(out, ".");
    else
        bytes_printf(out, "%c", byte < 32 || byte >= 127 ? '?' : byte);
}

static void print_bytes(struct bytes_s *out)
{
    bytes_printf(out, "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f    0123456789abcdef\n");
    for (unsigned row = first / 16 * 16; row <= last; row += 16) {
        bytes_printf(out, "%02x: ", row);
        for (unsigned at = row; at < row + 16; at++) {
            if (!wanted(at))
                bytes_printf(out, "   ");
            else if (value[at] < 0)
                bytes_printf(out, "XX ");
            else
                bytes_printf(out, "%02x ", (unsigned)value[at]);
        }
        bytes_printf(out, "   ");
        for (unsigned at = row; at < row + 16; at++)
            put_text(out, at);
        bytes_printf(out, "\n");
    }
}

static void print_words(struct bytes_s *out)
{
    bytes_printf(out, "     0,8  1,9  2,a  3,b  4,c  5,d  6,e  7,f\n");
    for (unsigned row = first / 8 * 8; row <= last; row += 8) {
        bytes_printf(out, "%02x: ", row);
        for (unsigned at = row; at < row + 8; at++) {
            if (!wanted(at))
                bytes_printf(out, "     ");
            else if (value[at] < 0)
                bytes_printf(out, "XXXX ");
            else
                bytes_printf(out, "%04x ", (unsigned)value[at]);
        }
        bytes_printf(out, "\n");
    }
}

static int body(struct i2c_s *i)
{
    error_t err = mode == I2C_BLOCK     ? read_blocks(i)
                  : mode == I2C_CURRENT ? read_current(i)
                                        : read_single(i);

    if (err != 0 || i->session.over)
        return i2c_fail(i, err);
    if (mode == I2C_WORD)
        print_words(&i->session.out.next);
    else
        print_bytes(&i->session.out.next);
    return KRCTL_OK;
}

static int take_range(const struct krctl_command_s *command, void *to, const char *name)
{
    uint64_t low, high;
    char text[16];

    (void)to;
    snprintf(text, sizeof(text), "%.15s", optarg);
    char *minus = text;
    while (*minus != '\0' && *minus != '-')
        minus++;
    bool two = *minus == '-';
    *minus = '\0';
    if (!two || !options_parse(text, 0xff, &low) || !options_parse(minus + 1, 0xff, &high) ||
        low > high)
        return krctl_usage(command, "--%s is FIRST-LAST, such as 0x10-0x1f, not '%s'", name,
                           optarg);
    first = (unsigned)low;
    last = (unsigned)high;
    return KRCTL_OK;
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        I2C_CHIP_OPTIONS(&dump),
        {.name = "range", .letter = 'r', .kind = OPTION_TAKE, .take = take_range},
        {0},
    };
    bool done;
    int status = options_take(dump.command, table, argc, argv, &done);

    if (done)
        return status;
    status = i2c_bus_operand(&dump, argc, argv);
    if (status == KRCTL_OK)
        status = i2c_chip_operand(&dump, argc, argv);
    if (status == KRCTL_OK && optind < argc) {
        const char *word = argv[optind++];
        if (!i2c_mode(word, &mode) || mode == I2C_SMBUS_BLOCK)
            return krctl_usage(dump.command, "MODE is b, w, c or i, not '%s'", word);
    }
    if (status == KRCTL_OK)
        status = options_no_more(dump.command, argc, argv);
    return status == KRCTL_OK ? i2c_perform(&dump, body) : status;
}

const struct krctl_command_s krctl_i2c_dump = {
    .name = "i2c dump",
    .summary = "prints all registers of a chip",
    .help = "usage: krctl i2c dump BUS CHIP [MODE] [OPTION]...\n"
            "\n"
            "Prints the registers of a chip, as the table of i2cdump; XX could not be read.\n"
            "Reading can have effects. MODE is\n"
            "\n"
            "  b  each one for itself (default)   i  in blocks of 32\n"
            "  w  words, the low byte first       c  the first one is set, then bytes read\n"
            "\n"
            "  -r, --range FIRST-LAST only these registers\n" I2C_CHIP_HELP,
    .run = run,
};
