/* SPDX-License-Identifier: MIT */
/*
 * krctl i2c transfer: messages in one transaction. Arguments and output are those of
 * i2ctransfer(8): {r|w}LENGTH[@CHIP], and values after a w, of which the last one may end with
 * '=', '+', '-' or 'p', which fill the rest.
 */
#include "bus.h"
#include "i2c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 42   /* I2C_RDWR_IOCTL_MAX_MSGS of linux/i2c-dev.h */
#define BYTES    8192 /* of one of them, drivers/i2c/i2c-dev.c */

static struct i2c_s transfer = {.command = &krctl_i2c_transfer};
static struct dev_i2c_transfer_s list[MESSAGES];
static unsigned count;

static int print(struct i2c_s *i)
{
    unsigned done = 0;
    error_t err = i2c_request(i, list, count, &done);

    if (err != 0 && count > 1 && !i->session.over && err != -EHOSTUNREACH)
        krctl_fail("%u of %u messages were sent", done, count);
    if (err != 0)
        return i2c_fail(i, err);
    for (unsigned n = 0; n < count; n++) {
        const uint8_t *data = list[n].data;

        for (uint32_t at = 0; list[n].op & DEV_I2C_READ && at < list[n].size; at++)
            bytes_printf(&i->session.out.next, "0x%02x%s", data[at],
                         at + 1 < list[n].size ? " " : "\n");
    }
    return KRCTL_OK;
}

/* --- the command line --- */

static int take_chip(const char *text)
{
    uint64_t addr;

    if (!options_parse(text, UINT16_MAX, &addr))
        return krctl_usage(transfer.command, "CHIP: '%s' is no number such as 0x50", text);
    if (count > 0 && addr != transfer.addr)
        return krctl_usage(transfer.command, "messages to several chips are several transactions");
    transfer.addr = addr;
    return i2c_check_addr(&transfer, addr);
}

/* "r2@0x50", "w1" */
static int take_message(const char *word)
{
    char text[32];
    uint64_t size;

    if (count == MESSAGES)
        return krctl_usage(transfer.command, "more than %d messages", MESSAGES);
    snprintf(text, sizeof(text), "%.31s", word);
    char *chip = strchr(text, '@');
    if (chip != NULL)
        *chip++ = '\0';
    if ((text[0] != 'r' && text[0] != 'w') || !options_parse(text + 1, BYTES, &size))
        return krctl_usage(transfer.command,
                           "'%s' is no message such as w2@0x50 or r16, of at most %d bytes", word,
                           BYTES);
    if (chip == NULL && count == 0)
        return krctl_usage(transfer.command, "'%s': the first message says who it is for, w1@0x50",
                           word);
    int status = chip != NULL ? take_chip(chip) : KRCTL_OK;
    if (status != KRCTL_OK)
        return status;
    void *data = calloc(1, size > 0 ? (size_t)size : 1); /* freed with the process */
    if (data == NULL)
        return krctl_fail("no memory for %u bytes", (unsigned)size);
    list[count].data = data;
    list[count].size = (uint32_t)size;
    list[count++].op = text[0] == 'r' ? DEV_I2C_READ : DEV_I2C_WRITE;
    return KRCTL_OK;
}

/* The generator of i2ctransfer ("8 bit AXR with a=13 and b=27"): what it wrote can be compared. */
static uint8_t axr(uint8_t byte)
{
    byte = (uint8_t)((byte ^ 27) + 13);
    return (uint8_t)(byte << 1 | byte >> 7);
}

/* The rest of a message, after a value with a suffix. */
static void fill(uint8_t *data, uint32_t at, uint32_t size, char how)
{
    for (uint8_t byte = data[at - 1]; at < size; at++) {
        if (how == '+')
            byte++;
        else if (how == '-')
            byte--;
        else if (how == 'p')
            byte = axr(byte);
        data[at] = byte;
    }
}

static int take_value(uint8_t *data, uint32_t *at, uint32_t size, const char *word)
{
    char text[16];
    uint64_t value;

    snprintf(text, sizeof(text), "%.15s", word);
    char *end = text[0] != '\0' ? text + strlen(text) - 1 : text;
    char how = strchr("=+-p", *end) != NULL ? *end : '\0';
    if (how != '\0')
        *end = '\0';
    if (!options_parse(text, 0xff, &value))
        return krctl_usage(transfer.command, "'%s' is no byte such as 0x10", word);
    data[(*at)++] = (uint8_t)value;
    if (how != '\0') {
        fill(data, *at, size, how);
        *at = size;
    }
    return KRCTL_OK;
}

static int take_values(int argc, char **argv)
{
    struct dev_i2c_transfer_s *message = &list[count - 1];
    uint32_t at = 0;
    int status = KRCTL_OK;

    if (message->op & DEV_I2C_READ)
        return KRCTL_OK;
    while (at < message->size && status == KRCTL_OK) {
        if (optind == argc)
            return krctl_usage(transfer.command, "%u values are missing",
                               (unsigned)(message->size - at));
        status = take_value(message->data, &at, message->size, argv[optind++]);
    }
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {I2C_CHIP_OPTIONS(&transfer), {0}};
    bool done;
    int status = options_take(transfer.command, table, argc, argv, &done);

    if (done)
        return status;
    status = i2c_bus_operand(&transfer, argc, argv);
    if (status == KRCTL_OK && optind == argc)
        return krctl_usage(transfer.command, "a message is missing, such as r2@0x50");
    while (status == KRCTL_OK && optind < argc) {
        status = take_message(argv[optind++]);
        if (status == KRCTL_OK)
            status = take_values(argc, argv);
    }
    return status == KRCTL_OK ? i2c_perform(&transfer, print) : status;
}

const struct krctl_command_s krctl_i2c_transfer = {
    .name = "i2c transfer",
    .summary = "reads and writes in one transaction",
    .help = "usage: krctl i2c transfer BUS {r|w}LENGTH[@CHIP] [VALUE]... [OPTION]...\n"
            "\n"
            "Sends messages to a chip, with a restart between them and a stop at the end, and\n"
            "prints what each r has read on a line of its own. A w is followed by LENGTH\n"
            "values; one that ends with = + - or p fills the rest of the message: the same,\n"
            "counting up, counting down, pseudo-random.\n"
            "\n"
            "  krctl i2c transfer 1 w2@0x50 0x01 0x00 r16\n"
            "  krctl i2c transfer 1 w18@0x50 0x01 0x00 0xff=\n"
            "\n" I2C_CHIP_HELP,
    .run = run,
};
