/* SPDX-License-Identifier: MIT */
/* krctl mem: memories that are not of the processor, such as EEPROMs. */
#include "bus.h"
#include "krctl.h"
#include "options.h"
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 4096 /* bytes of a request: Ctrl-C ends between two of them */

static const struct krctl_command_s mem_info, mem_read, mem_write;

struct mem_s {
    struct session_s session;
    enum kroutine_backend_e backend;
    struct device_mem_s dev;
    struct dev_mem_info_s info;
    const char *name;
    uint64_t timeout, offset, size; /* size 0: all that follows */
    bool sized, raw, json, verify;
    uint8_t *data; /* write */
    size_t count;
};

static struct mem_s mem;

static int fail(const struct mem_s *m, error_t err)
{
    if (m->session.over)
        return m->session.status;
    switch (err) {
    case -EROFS:
        return krctl_fail("%s can only be read", m->name);
    case -EHOSTUNREACH:
        krctl_fail("%s: no chip answers there", m->name);
        krctl_hint("krctl i2c scan BUS, which shows who does; addr= of the spec says whom to ask");
        return KRCTL_FAILED;
    case -EREMOTEIO:
        return krctl_fail("%s: the chip did not acknowledge", m->name);
    default:
        return bus_fail(m->name, err);
    }
}

static error_t request(struct mem_s *m, uint8_t type, uint64_t addr, void *data, size_t size)
{
    struct dev_mem_rq_s rq = {0};

    rq.type = type;
    rq.addr = addr;
    rq.data = data;
    rq.size = size;
    return SESSION_CALL(&m->session, &m->dev, &rq);
}

static int check(struct mem_s *m, uint64_t size)
{
    if (m->offset >= m->info.size || size > m->info.size - m->offset)
        return krctl_fail("%" PRIu64 " bytes at %#" PRIx64 " are outside of %s, which has %" PRIu64,
                          size, m->offset, m->name, m->info.size);
    return KRCTL_OK;
}

static int perform(struct mem_s *m, int (*body)(struct mem_s *m))
{
    int status = session_open(&m->session, m->backend);
    error_t err = 0;

    if (status != KRCTL_OK)
        return status;
    status = session_open_port(&m->session, &m->dev.base, m->name, DRIVER_CLASS_MEM);
    if (status == KRCTL_OK)
        err = DEVICE_OP(&m->dev, info, &m->info);
    session_limit(&m->session, m->timeout);
    if (status == KRCTL_OK)
        status = err == 0 ? body(m) : fail(m, err);
    status = bus_end(&m->session, status);
    device_put_accessor(&m->dev.base);
    session_close(&m->session);
    return status;
}

/* --- commands --- */

static int do_info(struct mem_s *m)
{
    struct bytes_s *out = &m->session.out.next;
    const struct dev_mem_info_s *info = &m->info;

    if (m->json) {
        bytes_printf(out, "{\"name\":");
        bytes_json(out, info->name);
        bytes_printf(out, ",\"size\":%" PRIu64 ",\"page\":%" PRIu32 ",\"erase\":%" PRIu32,
                     info->size, info->page, info->erase);
        bytes_printf(out, ",\"read_only\":%s,\"simulated\":%s}\n",
                     info->read_only ? "true" : "false", info->simulated ? "true" : "false");
        return KRCTL_OK;
    }
    bytes_printf(out, "%s: %" PRIu64 " bytes, pages of %" PRIu32, info->name, info->size,
                 info->page);
    if (info->erase > 0)
        bytes_printf(out, ", erased in units of %" PRIu32, info->erase);
    bytes_printf(out, "%s%s\n", info->read_only ? ", read-only" : "",
                 info->simulated ? ", simulated" : "");
    return KRCTL_OK;
}

static int do_read(struct mem_s *m)
{
    struct view_s view = {.mode = m->raw ? VIEW_RAW : VIEW_HEX, .offset = m->offset};
    struct bytes_s *out = &m->session.out.next;
    uint8_t data[PIECE];
    int status = check(m, m->sized ? m->size : 0);

    for (uint64_t left = m->sized ? m->size : m->info.size - m->offset;
         left > 0 && status == KRCTL_OK;) {
        size_t size = left < PIECE ? (size_t)left : PIECE;
        error_t err = request(m, DEV_MEM_READ, m->offset, data, size);

        if (err != 0)
            status = fail(m, err);
        else
            view_put(&view, out, data, size, 0);
        m->offset += size;
        left -= size;
    }
    view_flush(&view, out, false);
    return status;
}

static int verify(struct mem_s *m)
{
    uint8_t data[PIECE];

    for (size_t at = 0, size; at < m->count; at += size) {
        size = m->count - at < PIECE ? m->count - at : PIECE;
        error_t err = request(m, DEV_MEM_READ, m->offset + at, data, size);
        if (err != 0)
            return fail(m, err);
        for (size_t i = 0; i < size; i++)
            if (data[i] != m->data[at + i])
                return krctl_fail("%#" PRIx64 " is %02x, and not %02x", m->offset + at + i, data[i],
                                  m->data[at + i]);
    }
    return KRCTL_OK;
}

static int do_write(struct mem_s *m)
{
    int status = check(m, m->count);

    for (size_t at = 0, size; at < m->count && status == KRCTL_OK; at += size) {
        size = m->count - at < PIECE ? m->count - at : PIECE;
        error_t err = request(m, DEV_MEM_WRITE, m->offset + at, m->data + at, size);
        if (err == 0)
            continue;
        if (at > 0)
            krctl_fail("%zu bytes were written, and then:", at);
        status = fail(m, err);
    }
    return status == KRCTL_OK && m->verify ? verify(m) : status;
}

/* --- the command line --- */

#define COMMON_OPTIONS                                                                             \
    {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &mem.backend},                \
    {                                                                                              \
        .name = "timeout", .letter = 't', .kind = OPTION_TIME, .to = &mem.timeout                  \
    }

static int take_spec(const struct krctl_command_s *command, int argc, char **argv)
{
    int status = KRCTL_OK;

    mem.name = krctl_operand(command, argc, argv, "SPEC", &status);
    return status;
}

static int run_info(int argc, char **argv)
{
    static const struct option_s table[] = {
        COMMON_OPTIONS,
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &mem.json},
        {0},
    };
    bool done;
    int status = options_take(&mem_info, table, argc, argv, &done);

    if (done)
        return status;
    status = take_spec(&mem_info, argc, argv);
    if (status == KRCTL_OK)
        status = options_no_more(&mem_info, argc, argv);
    return status == KRCTL_OK ? perform(&mem, do_info) : status;
}

static int run_read(int argc, char **argv)
{
    static const struct option_s table[] = {
        COMMON_OPTIONS,
        {.name = "raw", .letter = 'r', .kind = OPTION_FLAG, .to = &mem.raw},
        {0},
    };
    bool done;
    int status = options_take(&mem_read, table, argc, argv, &done);

    if (done)
        return status;
    status = take_spec(&mem_read, argc, argv);
    if (status == KRCTL_OK && optind < argc)
        status = options_number(&mem_read, argc, argv, "OFFSET", UINT64_MAX, &mem.offset);
    mem.sized = optind < argc;
    if (status == KRCTL_OK && mem.sized)
        status = options_number(&mem_read, argc, argv, "SIZE", UINT64_MAX, &mem.size);
    if (status == KRCTL_OK)
        status = options_no_more(&mem_read, argc, argv);
    return status == KRCTL_OK ? perform(&mem, do_read) : status;
}

static int take_data(int argc, char **argv)
{
    if (optind == argc)
        return krctl_usage(&mem_write, "HEX is missing, or - for standard input");
    mem.data = bus_bytes(&mem_write, argc, argv, &mem.count);
    if (mem.data == NULL)
        return KRCTL_USAGE;
    return mem.count > 0 ? KRCTL_OK : krctl_usage(&mem_write, "there is no byte to write");
}

static int run_write(int argc, char **argv)
{
    static const struct option_s table[] = {
        COMMON_OPTIONS,
        {.name = "verify", .letter = 'v', .kind = OPTION_FLAG, .to = &mem.verify},
        {0},
    };
    bool done;
    int status = options_take(&mem_write, table, argc, argv, &done);

    if (done)
        return status;
    status = take_spec(&mem_write, argc, argv);
    if (status == KRCTL_OK)
        status = options_number(&mem_write, argc, argv, "OFFSET", UINT64_MAX, &mem.offset);
    if (status == KRCTL_OK)
        status = take_data(argc, argv);
    if (status == KRCTL_OK)
        status = perform(&mem, do_write);
    free(mem.data);
    return status;
}

#define END_HELP                                                                                   \
    "  -t, --timeout TIME  give up after TIME, with exit status 3\n"                               \
    "  -B, --backend NAME  auto, uring or epoll (default auto)\n"                                  \
    "  -h, --help          this text\n"

static const struct krctl_command_s mem_info = {
    .name = "mem info",
    .summary = "size and pages of a memory",
    .help = "usage: krctl mem info SPEC [OPTION]...\n"
            "\n"
            "Prints the size of a memory, and how it is written.\n"
            "\n"
            "  -j, --json          one line of JSON\n" END_HELP,
    .run = run_info,
};

static const struct krctl_command_s mem_read = {
    .name = "mem read",
    .summary = "prints what is in a memory",
    .help = "usage: krctl mem read SPEC [OFFSET [SIZE]] [OPTION]...\n"
            "\n"
            "Prints SIZE bytes from OFFSET on, or all that follow, in hexadecimal.\n"
            "\n"
            "  -r, --raw           as they are: > FILE\n" END_HELP,
    .run = run_read,
};

static const struct krctl_command_s mem_write = {
    .name = "mem write",
    .summary = "writes into a memory",
    .help = "usage: krctl mem write SPEC OFFSET HEX... [OPTION]...\n"
            "\n"
            "Writes bytes from OFFSET on: hexadecimal ones, or with - those of standard input\n"
            "as they are. Nothing is asked, and when it ends they are there for good.\n"
            "\n"
            "  -v, --verify        read them again, and compare\n" END_HELP,
    .run = run_write,
};

static const struct krctl_command_s *const members[] = {&mem_info, &mem_read, &mem_write, NULL};

const struct krctl_command_s krctl_mem = {
    .name = "mem",
    .summary = "memories such as EEPROMs",
    .help = "usage: krctl mem info SPEC [OPTION]...\n"
            "       krctl mem read SPEC [OFFSET [SIZE]] [OPTION]...\n"
            "       krctl mem write SPEC OFFSET HEX... [OPTION]...\n"
            "       krctl mem COMMAND --help\n"
            "\n"
            "  info     size and pages\n"
            "  read     prints what is in it\n"
            "  write    writes into it\n"
            "\n"
            "SPEC is a device of class mem; krctl drivers has the drivers.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};
