/* SPDX-License-Identifier: MIT */
/* krctl spi: bytes to and from a chip, as spi-pipe(1) and the spidev_test of the kernel do it. */
#include "bus.h"
#include "krctl.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (16u << 20) /* to read */

static const struct krctl_command_s spi_xfer, spi_info;

struct spi_s {
    struct session_s session;
    enum kroutine_backend_e backend;
    struct device_spi_s dev;
    struct dev_spi_info_s info;
    const char *name;
    bool has_mode;
    uint64_t timeout, speed, bits, delay, read;
    unsigned mode;
    bool cs_high, lsb_first, three_wire, loop, no_cs;
    bool raw, split, json;
    uint8_t *out, *in;
    size_t size; /* of both, without what --read adds */
};

static struct spi_s spi;

static int fail(const struct spi_s *s, error_t err)
{
    if (s->session.over)
        return s->session.status;
    if (err == -EMSGSIZE) {
        krctl_fail("%s takes %zu bytes in a message: nothing was sent", s->name, s->info.size_max);
        krctl_hint("--split, if the chip may be deselected in between");
        return KRCTL_FAILED;
    }
    return bus_fail(s->name, err);
}

/* What the options ask for goes before what the spec says, or the kernel. */
static error_t configure(struct spi_s *s)
{
    const struct {
        bool set;
        uint32_t flag;
    } flags[] = {{s->cs_high, DEV_SPI_CS_HIGH},
                 {s->lsb_first, DEV_SPI_LSB_FIRST},
                 {s->three_wire, DEV_SPI_3WIRE},
                 {s->loop, DEV_SPI_LOOP},
                 {s->no_cs, DEV_SPI_NO_CS}};
    struct dev_spi_config_s config = s->info.config;
    bool changed = s->has_mode || s->speed > 0 || s->bits > 0;

    if (s->has_mode)
        config.mode = (config.mode & ~UINT32_C(3)) | s->mode;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        config.mode |= flags[i].set ? flags[i].flag : 0;
        changed = changed || flags[i].set;
    }
    config.hz = s->speed > 0 ? (uint32_t)s->speed : config.hz;
    config.bits = s->bits > 0 ? (uint8_t)s->bits : config.bits;
    return changed ? DEVICE_OP(&s->dev, config, &config) : 0;
}

static int perform(struct spi_s *s, int (*body)(struct spi_s *s))
{
    int status = session_open(&s->session, s->backend);
    error_t err = 0;

    if (status != KRCTL_OK)
        return status;
    status = bus_open(&s->session, &s->dev.base, s->name, "spi", DRIVER_CLASS_SPI, NULL);
    if (status == KRCTL_OK)
        err = DEVICE_OP(&s->dev, info, &s->info);
    if (status == KRCTL_OK && err == 0)
        err = configure(s);
    if (status == KRCTL_OK)
        status = err == 0 ? body(s) : fail(s, err);
    status = bus_end(&s->session, status);
    device_put_accessor(&s->dev.base);
    session_close(&s->session);
    return status;
}

/* --- xfer --- */

/* With --read: what goes out is a transfer of its own, whose answer is dropped, and zeros go out in
   the one that is printed. The chip stays selected in between. */
static error_t exchange(struct spi_s *s)
{
    struct dev_spi_transfer_s list[2] = {
        {.out = s->out, .in = s->read ? NULL : s->in, .size = s->size},
        {.in = s->in, .size = (size_t)s->read},
    };
    struct dev_spi_rq_s rq = {0};
    bool first = s->size > 0, both = first && s->read > 0;

    list[0].delay_us = both ? (uint16_t)(s->delay / 1000) : 0;
    rq.type = DEV_SPI_TRANSFER;
    rq.list = first ? list : list + 1;
    rq.count = both ? 2 : 1;
    rq.flags = s->split ? DEV_SPI_MAY_SPLIT : 0;
    return SESSION_CALL(&s->session, &s->dev, &rq);
}

static int transfer(struct spi_s *s)
{
    size_t size = s->read > 0 ? (size_t)s->read : s->size;

    s->in = malloc(size);
    if (s->in == NULL)
        return krctl_fail("no memory for %zu bytes", size);
    session_limit(&s->session, s->timeout);
    error_t err = exchange(s);
    if (err != 0)
        return fail(s, err);
    if (s->raw)
        bytes_add(&s->session.out.next, s->in, size);
    else
        bus_put_hex(&s->session.out.next, s->in, size);
    return KRCTL_OK;
}

static int take_bytes(struct spi_s *s, int argc, char **argv)
{
    if (optind == argc && s->read > 0)
        return KRCTL_OK;
    s->out = bus_bytes(&spi_xfer, argc, argv, &s->size);
    return s->out != NULL ? KRCTL_OK : KRCTL_USAGE;
}

static int take_mode(const struct krctl_command_s *command, void *to, const char *name)
{
    uint64_t value;

    if (!options_parse(optarg, 3, &value))
        return krctl_usage(command, "--%s is 0, 1, 2 or 3, not '%s'", name, optarg);
    *(unsigned *)to = (unsigned)value;
    spi.has_mode = true;
    return KRCTL_OK;
}

#define END_OPTIONS                                                                                \
    {                                                                                              \
        .name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &spi.backend               \
    }

static int run_xfer(int argc, char **argv)
{
    static const struct option_s table[] = {
        END_OPTIONS,
        {.name = "bits", .letter = 'b', .kind = OPTION_SIZE, .to = &spi.bits, .max = 32},
        {.name = "cs-high", .kind = OPTION_FLAG, .to = &spi.cs_high},
        {.name = "delay", .letter = 'd', .kind = OPTION_TIME, .to = &spi.delay},
        {.name = "loop", .kind = OPTION_FLAG, .to = &spi.loop},
        {.name = "lsb-first", .kind = OPTION_FLAG, .to = &spi.lsb_first},
        {.name = "mode", .letter = 'm', .kind = OPTION_TAKE, .to = &spi.mode, .take = take_mode},
        {.name = "no-cs", .kind = OPTION_FLAG, .to = &spi.no_cs},
        {.name = "raw", .kind = OPTION_FLAG, .to = &spi.raw},
        {.name = "read", .letter = 'r', .kind = OPTION_SIZE, .to = &spi.read, .max = BYTES_MAX},
        {.name = "speed", .letter = 's', .kind = OPTION_SIZE, .to = &spi.speed, .max = UINT32_MAX},
        {.name = "split", .kind = OPTION_FLAG, .to = &spi.split},
        {.name = "three-wire", .letter = '3', .kind = OPTION_FLAG, .to = &spi.three_wire},
        {.name = "timeout", .letter = 't', .kind = OPTION_TIME, .to = &spi.timeout},
        {0},
    };
    bool done;
    int status = options_take(&spi_xfer, table, argc, argv, &done);

    if (done)
        return status;
    if (spi.delay / 1000 > UINT16_MAX)
        return krctl_usage(&spi_xfer, "--delay is at most 65535us");
    spi.name = krctl_operand(&spi_xfer, argc, argv, "SPEC", &status);
    if (spi.name == NULL)
        return status;
    status = take_bytes(&spi, argc, argv);
    if (status == KRCTL_OK && spi.size == 0 && spi.read == 0)
        status = krctl_usage(&spi_xfer, "there is no byte to send");
    if (status == KRCTL_OK)
        status = perform(&spi, transfer);
    free(spi.out);
    free(spi.in);
    return status;
}

static const struct krctl_command_s spi_xfer = {
    .name = "spi xfer",
    .summary = "sends bytes, and prints those that come back",
    .help = "usage: krctl spi xfer SPEC [HEX]... [OPTION]...\n"
            "\n"
            "Sends bytes in one message, and prints those that come in meanwhile, in\n"
            "hexadecimal. Without bytes, or with -, sends standard input, as it is, and with\n"
            "--raw does what spi-pipe does.\n"
            "\n"
            "  krctl spi xfer 0.0 9f --read 3\n"
            "\n"
            "  -r, --read N        then read N bytes, with the chip selected, and print only\n"
            "                      these\n"
            "  -m, --mode MODE     0 to 3: polarity and phase of the clock\n"
            "  -s, --speed HZ      of the clock, at most: 500k, 1M\n"
            "  -b, --bits N        of a word, 1 to 32; above 8 a word is two bytes, above 16\n"
            "                      four, in the order of the processor\n"
            "      --cs-high       the chip is selected by a high level\n"
            "      --no-cs         ... by nobody\n"
            "      --lsb-first     the lowest bit goes first\n"
            "  -3, --three-wire    one line for both directions\n"
            "      --loop          the controller connects its output to its input\n"
            "  -d, --delay TIME    between what is sent and what --read reads\n"
            "      --split         in several messages, if one cannot take all\n"
            "      --raw           print bytes as they are\n"
            "  -t, --timeout TIME  give up after TIME, with exit status 3\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run_xfer,
};

/* --- info --- */

static int print_info(struct spi_s *s)
{
    static const struct {
        uint32_t flag;
        const char *word;
    } flags[] = {{DEV_SPI_CS_HIGH, "cs-high"},  {DEV_SPI_LSB_FIRST, "lsb-first"},
                 {DEV_SPI_3WIRE, "three-wire"}, {DEV_SPI_LOOP, "loop"},
                 {DEV_SPI_NO_CS, "no-cs"},      {DEV_SPI_READY, "ready"}};
    const struct dev_spi_config_s *config = &s->info.config;
    unsigned bits = config->bits != 0 ? config->bits : 8;
    struct bytes_s *out = &s->session.out.next;

    if (s->json) {
        bytes_printf(out, "{\"bus\":%" PRIu32 ",\"select\":%" PRIu32 ",\"size_max\":%zu",
                     s->info.bus, s->info.select, s->info.size_max);
        bytes_printf(out, ",\"hz\":%" PRIu32 ",\"bits\":%u,\"mode\":%u", config->hz, bits,
                     (unsigned)(config->mode & 3));
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
            bytes_printf(out, ",\"%s\":%s", flags[i].word,
                         config->mode & flags[i].flag ? "true" : "false");
        bytes_printf(out, ",\"simulated\":%s}\n", s->info.simulated ? "true" : "false");
        return KRCTL_OK;
    }
    bytes_printf(out, "bus %" PRIu32 ", chip select %" PRIu32 "%s: ", s->info.bus, s->info.select,
                 s->info.simulated ? ", simulated" : "");
    bytes_printf(out, "mode %u, %" PRIu32 " Hz, %u bits, messages of up to %zu bytes",
                 (unsigned)(config->mode & 3), config->hz, bits, s->info.size_max);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (config->mode & flags[i].flag)
            bytes_printf(out, ", %s", flags[i].word);
    bytes_printf(out, "\n");
    return KRCTL_OK;
}

static int run_info(int argc, char **argv)
{
    static const struct option_s table[] = {
        END_OPTIONS,
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &spi.json},
        {0},
    };
    bool done;
    int status = options_take(&spi_info, table, argc, argv, &done);

    if (done)
        return status;
    spi.name = krctl_operand(&spi_info, argc, argv, "SPEC", &status);
    if (spi.name == NULL)
        return status;
    status = options_no_more(&spi_info, argc, argv);
    return status == KRCTL_OK ? perform(&spi, print_info) : status;
}

static const struct krctl_command_s spi_info = {
    .name = "spi info",
    .summary = "mode, clock and limits of a chip select",
    .help = "usage: krctl spi info SPEC [OPTION]...\n"
            "\n"
            "Prints mode, clock, bits of a word, and how long a message may be. Nothing is\n"
            "sent.\n"
            "\n"
            "  -j, --json          one line of JSON\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run_info,
};

static const struct krctl_command_s *const members[] = {&spi_xfer, &spi_info, NULL};

const struct krctl_command_s krctl_spi = {
    .name = "spi",
    .summary = "bytes to and from a chip on an SPI bus",
    .help = "usage: krctl spi xfer SPEC [HEX]... [OPTION]...\n"
            "       krctl spi info SPEC [OPTION]...\n"
            "       krctl spi COMMAND --help\n"
            "\n"
            "  xfer     sends bytes, and prints those that come back\n"
            "  info     mode, clock and limits\n"
            "\n"
            "SPEC is BUS.SELECT, as in /dev/spidev0.0, that path, or a spec such as\n"
            "'spi:0.0?mode=3' or, without any hardware, sim-spi:demo.0.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};
