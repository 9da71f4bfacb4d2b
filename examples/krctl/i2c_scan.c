/* SPDX-License-Identifier: MIT */
/* krctl i2c scan and info: who is on a bus, and what its adapter can do. The table is that of
   i2cdetect(8), to the byte. */
#include "bus.h"
#include "i2c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static struct i2c_s scan_bus = {.command = &krctl_i2c_scan};
static uint64_t first = I2C_FIRST, last = I2C_LAST;
static bool quick, receive, json;

static bool bit(const uint32_t set[4], unsigned addr)
{
    return set[addr / 32] >> addr % 32 & 1;
}

static void print_table(struct bytes_s *out, const struct dev_i2c_rq_s *rq)
{
    bytes_printf(out, "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n");
    for (unsigned row = 0; row < 128; row += 16) {
        bytes_printf(out, "%02x: ", row);
        for (unsigned addr = row; addr < row + 16; addr++) {
            if (addr < first || addr > last)
                bytes_printf(out, "   ");
            else if (bit(rq->scan.held, addr))
                bytes_printf(out, "UU ");
            else if (bit(rq->scan.found, addr))
                bytes_printf(out, "%02x ", addr);
            else
                bytes_printf(out, "-- ");
        }
        bytes_printf(out, "\n");
    }
}

static void print_json(struct bytes_s *out, const struct i2c_s *i, const struct dev_i2c_rq_s *rq)
{
    for (unsigned addr = (unsigned)first; addr <= last; addr++) {
        bool held = bit(rq->scan.held, addr);

        if (!held && !bit(rq->scan.found, addr))
            continue;
        bytes_printf(out, "{\"bus\":");
        bytes_json(out, i->bus);
        bytes_printf(out, ",\"address\":%u,\"held\":%s}\n", addr, held ? "true" : "false");
    }
}

static int scan(struct i2c_s *i)
{
    struct dev_i2c_rq_s rq = {0};
    error_t err;

    rq.type = DEV_I2C_SCAN;
    rq.scan.first = (uint8_t)first;
    rq.scan.last = (uint8_t)last;
    rq.scan.how = quick ? DEV_I2C_SCAN_WRITE : receive ? DEV_I2C_SCAN_READ : DEV_I2C_SCAN_AUTO;
    err = SESSION_CALL(&i->session, &i->dev, &rq);
    if (err != 0)
        return i2c_fail(i, err);
    if (json)
        print_json(&i->session.out.next, i, &rq);
    else
        print_table(&i->session.out.next, &rq);
    return KRCTL_OK;
}

static int range(int argc, char **argv)
{
    const struct krctl_command_s *command = scan_bus.command;
    uint64_t low = scan_bus.all ? 0 : I2C_FIRST, high = scan_bus.all ? 0x7f : I2C_LAST;
    int status = KRCTL_OK;

    first = low;
    last = high;
    if (optind == argc)
        return KRCTL_OK;
    status = options_number(command, argc, argv, "FIRST", 0x7f, &first);
    if (status == KRCTL_OK)
        status = options_number(command, argc, argv, "LAST", 0x7f, &last);
    if (status != KRCTL_OK)
        return status;
    if (first > last || first < low || last > high)
        return krctl_usage(command,
                           "no range of addresses from 0x%02" PRIx64 " to 0x%02" PRIx64 "%s", low,
                           high, scan_bus.all ? "" : ": --all");
    return KRCTL_OK;
}

static int run_scan(int argc, char **argv)
{
    static const struct option_s table[] = {
        I2C_BUS_OPTIONS(&scan_bus),
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &json},
        {.name = "quick", .letter = 'q', .kind = OPTION_FLAG, .to = &quick},
        {.name = "read", .letter = 'r', .kind = OPTION_FLAG, .to = &receive},
        {0},
    };
    bool done;
    int status = options_take(scan_bus.command, table, argc, argv, &done);

    if (done)
        return status;
    if (quick && receive)
        return krctl_usage(scan_bus.command, "--quick and --read exclude each other");
    status = i2c_bus_operand(&scan_bus, argc, argv);
    if (status == KRCTL_OK)
        status = range(argc, argv);
    if (status == KRCTL_OK)
        status = options_no_more(scan_bus.command, argc, argv);
    return status == KRCTL_OK ? i2c_perform(&scan_bus, scan) : status;
}

const struct krctl_command_s krctl_i2c_scan = {
    .name = "i2c scan",
    .summary = "which addresses of a bus are answered",
    .help = "usage: krctl i2c scan BUS [FIRST LAST] [OPTION]...\n"
            "\n"
            "Asks each address from FIRST to LAST, 0x08 to 0x77 if they are not given, and\n"
            "prints the table of i2cdetect: -- nobody answers, UU a driver of the kernel has\n"
            "it and it was not asked, blank: not asked for. Addresses 0x30 to 0x37 and 0x50\n"
            "to 0x5f are asked with a read, others with an empty write. Not every chip takes\n"
            "this well.\n"
            "\n"
            "  -a, --all              from 0x00 to 0x7f, with the reserved addresses\n"
            "  -q, --quick            ask all with an empty write: can change an EEPROM\n"
            "  -r, --read             ask all by reading a byte: can lock chips that are\n"
            "                         only written to\n"
            "  -j, --json             a line of JSON for each chip\n" I2C_BUS_HELP,
    .run = run_scan,
};

/* --- what the adapter can do --- */

static struct i2c_s info_bus = {.command = &krctl_i2c_info};
static bool info_json;

static const struct {
    uint32_t cap;
    const char *key;
    const char *text;
} caps[] = {
    {DEV_I2C_CAP_PLAIN, "plain", "lists of transfers"},
    {DEV_I2C_CAP_TEN_BIT, "ten_bit", "addresses of ten bits"},
    {DEV_I2C_CAP_CONTINUE, "continue", "transfers without a start"},
    {DEV_I2C_CAP_QUICK, "quick", "an address alone"},
    {DEV_I2C_CAP_VIRTUAL, "simulated", "simulated"},
};

static int print_info(struct i2c_s *i)
{
    struct bytes_s *out = &i->session.out.next;
    const struct dev_i2c_info_s *info = &i->info;

    if (info_json) {
        bytes_printf(out, "{\"name\":");
        bytes_json(out, info->name);
        bytes_printf(out,
                     ",\"bus\":%" PRIu32 ",\"transfers_max\":%" PRIu32 ",\"size_max\":%" PRIu32,
                     info->bus, info->transfers_max, info->size_max);
        for (size_t n = 0; n < sizeof(caps) / sizeof(caps[0]); n++)
            bytes_printf(out, ",\"%s\":%s", caps[n].key,
                         info->cap & caps[n].cap ? "true" : "false");
        bytes_printf(out, "}\n");
        return KRCTL_OK;
    }
    bytes_printf(out, "%-28s%s\n%-28s%" PRIu32 ", of %" PRIu32 " bytes\n", "adapter", info->name,
                 "transfers up to a stop", info->transfers_max, info->size_max);
    for (size_t n = 0; n < sizeof(caps) / sizeof(caps[0]); n++)
        bytes_printf(out, "%-28s%s\n", caps[n].text, info->cap & caps[n].cap ? "yes" : "no");
    return KRCTL_OK;
}

static int run_info(int argc, char **argv)
{
    static const struct option_s table[] = {
        {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &info_bus.backend},
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &info_json},
        {0},
    };
    bool done;
    int status = options_take(info_bus.command, table, argc, argv, &done);

    if (done)
        return status;
    status = i2c_bus_operand(&info_bus, argc, argv);
    if (status == KRCTL_OK)
        status = options_no_more(info_bus.command, argc, argv);
    return status == KRCTL_OK ? i2c_perform(&info_bus, print_info) : status;
}

const struct krctl_command_s krctl_i2c_info = {
    .name = "i2c info",
    .summary = "what the adapter of a bus can do",
    .help = "usage: krctl i2c info BUS [OPTION]...\n"
            "\n"
            "Prints the name of the adapter, its limits, and what it can do. Nothing is sent.\n"
            "\n"
            "  -j, --json             one line of JSON\n"
            "  -B, --backend NAME     auto, uring or epoll (default auto)\n"
            "  -h, --help             this text\n",
    .run = run_info,
};
