/* SPDX-License-Identifier: MIT */
/* krctl value: thermometers, converters, clocks: devices of class valio. */
#include "bus.h"
#include "krctl.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct krctl_command_s value_get, value_set;

static const char *const names[DEV_VALIO_ATTRIBUTES] = {
    [DEV_VALIO_TEMPERATURE] = "temperature",
    [DEV_VALIO_TEMPERATURE_LIMIT] = "limit",
    [DEV_VALIO_ADC] = "adc",
    [DEV_VALIO_CLOCK] = "clock",
};

struct value_s {
    struct session_s session;
    enum kroutine_backend_e backend;
    struct device_valio_s dev;
    struct dev_valio_info_s info;
    const char *name;
    uint64_t channel, timeout;
    bool one; /* --channel was given */
    bool json;
    uint32_t wanted; /* attributes; 0: all that there are */
    struct dev_valio_rq_s rq;
};

static struct value_s value;

static int fail(const struct value_s *v, error_t err)
{
    if (v->session.over)
        return v->session.status;
    if (err == -ENOTSUP)
        return krctl_fail("%s has no %s, or it cannot be set", v->name, names[v->rq.attribute]);
    if (err == -EBADMSG && v->rq.attribute == DEV_VALIO_CLOCK)
        return krctl_fail("%s: the clock had no power, and has to be set", v->name);
    if (err == -ERANGE)
        return krctl_fail("%s cannot keep that value", v->name);
    if (err == -EHOSTUNREACH) {
        krctl_fail("%s: no chip answers there", v->name);
        krctl_hint("krctl i2c scan BUS, which shows who does; addr= of the spec says whom to ask");
        return KRCTL_FAILED;
    }
    return bus_fail(v->name, err);
}

static int perform(struct value_s *v, int (*body)(struct value_s *v))
{
    int status = session_open(&v->session, v->backend);
    error_t err = 0;

    if (status != KRCTL_OK)
        return status;
    status = session_open_port(&v->session, &v->dev.base, v->name, DRIVER_CLASS_VALIO);
    if (status == KRCTL_OK)
        err = DEVICE_OP(&v->dev, info, &v->info);
    session_limit(&v->session, v->timeout);
    if (status == KRCTL_OK)
        status = err == 0 ? body(v) : bus_fail(v->name, err);
    status = bus_end(&v->session, status);
    device_put_accessor(&v->dev.base);
    session_close(&v->session);
    return status;
}

/* --- get --- */

/* "2026-11-23T03:40:00Z" */
static void clock_text(char text[32], int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&time, &tm) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, 32, "%" PRId64 " s", seconds);
}

static void print_text(struct bytes_s *out, const struct value_s *v)
{
    const struct dev_valio_rq_s *rq = &v->rq;
    char text[32];

    bytes_printf(out, "%s", names[rq->attribute]);
    if (v->info.channels > 1)
        bytes_printf(out, " %u", rq->channel);
    switch (rq->attribute) {
    case DEV_VALIO_ADC:
        bytes_printf(out, ": %" PRIu32 " of %" PRIu32 ", %.2f %%\n", rq->adc.value, rq->adc.range,
                     rq->adc.range > 1 ? 100.0 * rq->adc.value / (rq->adc.range - 1) : 0);
        break;
    case DEV_VALIO_CLOCK:
        clock_text(text, rq->clock_s);
        bytes_printf(out, ": %s\n", text);
        break;
    default:
        bytes_printf(out, ": %.3f C\n", rq->temperature_mc / 1000.0);
        break;
    }
}

static void print_json(struct bytes_s *out, const struct value_s *v)
{
    const struct dev_valio_rq_s *rq = &v->rq;

    bytes_printf(out, "{\"value\":\"%s\",\"channel\":%u,", names[rq->attribute], rq->channel);
    if (rq->attribute == DEV_VALIO_ADC)
        bytes_printf(out, "\"adc\":%" PRIu32 ",\"range\":%" PRIu32 "}\n", rq->adc.value,
                     rq->adc.range);
    else if (rq->attribute == DEV_VALIO_CLOCK)
        bytes_printf(out, "\"seconds\":%" PRId64 "}\n", rq->clock_s);
    else
        bytes_printf(out, "\"celsius\":%.3f}\n", rq->temperature_mc / 1000.0);
}

static error_t get_one(struct value_s *v, unsigned attribute, unsigned channel)
{
    error_t err;

    memset(&v->rq, 0, sizeof(v->rq));
    v->rq.type = DEV_VALIO_READ;
    v->rq.attribute = (uint16_t)attribute;
    v->rq.channel = (uint16_t)channel;
    err = SESSION_CALL(&v->session, &v->dev, &v->rq);
    if (err == 0)
        (v->json ? print_json : print_text)(&v->session.out.next, v);
    return err;
}

/* The device has as many channels as the attribute that has most of them, so others may end before
   that: with -EINVAL, which is an error of the first channel only. */
static int get_channels(struct value_s *v, unsigned attribute)
{
    unsigned first = v->one ? (unsigned)v->channel : 0;
    unsigned end = v->one || v->info.channels == 0 ? first + 1 : v->info.channels;

    for (unsigned n = first; n < end; n++) {
        error_t err = get_one(v, attribute, n);

        if (err == -EINVAL && n > first)
            return KRCTL_OK;
        if (err != 0)
            return fail(v, err);
    }
    return KRCTL_OK;
}

static int get(struct value_s *v)
{
    uint32_t wanted = v->wanted != 0 ? v->wanted : v->info.readable;
    int status = KRCTL_OK;

    for (unsigned attribute = 0; attribute < DEV_VALIO_ATTRIBUTES; attribute++)
        if (wanted >> attribute & 1 && status == KRCTL_OK)
            status = get_channels(v, attribute);
    return status;
}

/* --- set --- */

static int set(struct value_s *v)
{
    error_t err;

    v->rq.type = DEV_VALIO_WRITE;
    v->rq.channel = (uint16_t)v->channel;
    err = SESSION_CALL(&v->session, &v->dev, &v->rq);
    return err == 0 ? KRCTL_OK : fail(v, err);
}

static bool parse_clock(const char *text, int64_t *seconds)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"};

    if (strcmp(text, "now") == 0) {
        *seconds = time(NULL);
        return true;
    }
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        if (end == NULL || *end != '\0')
            continue;
        *seconds = timegm(&tm);
        return true;
    }
    return false;
}

static int parse_value(struct value_s *v, const char *text)
{
    double number;

    switch (v->rq.attribute) {
    case DEV_VALIO_CLOCK:
        if (!parse_clock(text, &v->rq.clock_s))
            return krctl_usage(&value_set, "clock is now, or as 2026-11-23T03:40:00Z, not '%s'",
                               text);
        return KRCTL_OK;
    case DEV_VALIO_ADC:
        return krctl_usage(&value_set, "a converter is only read");
    default:
        if (!krctl_number(text, -273.15, 2e6, &number))
            return krctl_usage(&value_set, "'%s' is no temperature such as 80.5, in Celsius", text);
        v->rq.temperature_mc = (int32_t)lround(number * 1000);
        return KRCTL_OK;
    }
}

/* --- the command line --- */

static int attribute_of(const struct krctl_command_s *command, const char *word, size_t len,
                        unsigned *attribute)
{
    for (unsigned i = 0; i < DEV_VALIO_ATTRIBUTES; i++) {
        if (strlen(names[i]) != len || strncmp(names[i], word, len) != 0)
            continue;
        *attribute = i;
        return KRCTL_OK;
    }
    return krctl_usage(command, "'%.*s' is not temperature, limit, adc or clock", (int)len, word);
}

static int take_channel(const struct krctl_command_s *command, void *to, const char *name)
{
    value.one = true;
    return options_parse(optarg, UINT16_MAX, to)
               ? KRCTL_OK
               : krctl_usage(command, "--%s is a number such as 0, not '%s'", name, optarg);
}

static int take_spec(const struct krctl_command_s *command, const struct option_s *table, int argc,
                     char **argv, bool *done)
{
    int status = options_take(command, table, argc, argv, done);

    if (*done)
        return status;
    value.name = krctl_operand(command, argc, argv, "SPEC", &status);
    *done = value.name == NULL;
    return status;
}

#define COMMON_OPTIONS                                                                             \
    {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &value.backend},              \
        {.name = "channel",                                                                        \
         .letter = 'c',                                                                            \
         .kind = OPTION_TAKE,                                                                      \
         .to = &value.channel,                                                                     \
         .take = take_channel},                                                                    \
    {                                                                                              \
        .name = "timeout", .letter = 't', .kind = OPTION_TIME, .to = &value.timeout                \
    }

static int run_get(int argc, char **argv)
{
    static const struct option_s table[] = {
        COMMON_OPTIONS,
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &value.json},
        {0},
    };
    bool done;
    int status = take_spec(&value_get, table, argc, argv, &done);

    if (done)
        return status;
    for (; optind < argc; optind++) {
        unsigned attribute;

        status = attribute_of(&value_get, argv[optind], strlen(argv[optind]), &attribute);
        if (status != KRCTL_OK)
            return status;
        value.wanted |= UINT32_C(1) << attribute;
    }
    return perform(&value, get);
}

static int run_set(int argc, char **argv)
{
    static const struct option_s table[] = {COMMON_OPTIONS, {0}};
    unsigned attribute = 0;
    bool done;
    int status = take_spec(&value_set, table, argc, argv, &done);

    if (done)
        return status;
    const char *word = krctl_operand(&value_set, argc, argv, "NAME=VALUE", &status);
    if (word == NULL)
        return status;
    size_t len = strcspn(word, "=");
    if (word[len] == '\0')
        return krctl_usage(&value_set, "'%s' is not NAME=VALUE", word);
    status = attribute_of(&value_set, word, len, &attribute);
    value.rq.attribute = (uint16_t)attribute;
    if (status == KRCTL_OK)
        status = parse_value(&value, word + len + 1);
    if (status == KRCTL_OK)
        status = options_no_more(&value_set, argc, argv);
    return status == KRCTL_OK ? perform(&value, set) : status;
}

#define END_HELP                                                                                   \
    "  -t, --timeout TIME  give up after TIME, with exit status 3\n"                               \
    "  -B, --backend NAME  auto, uring or epoll (default auto)\n"                                  \
    "  -h, --help          this text\n"

static const struct krctl_command_s value_get = {
    .name = "value get",
    .summary = "reads a thermometer, a converter, a clock",
    .help = "usage: krctl value get SPEC [NAME]... [OPTION]...\n"
            "\n"
            "Prints the values of a device, or those that are named: temperature, limit, adc,\n"
            "clock.\n"
            "\n"
            "  -c, --channel N     only this channel\n"
            "  -j, --json          lines of JSON\n" END_HELP,
    .run = run_get,
};

static const struct krctl_command_s value_set = {
    .name = "value set",
    .summary = "sets a limit, or a clock",
    .help = "usage: krctl value set SPEC NAME=VALUE [OPTION]...\n"
            "\n"
            "Sets limit=CELSIUS, or clock=now, clock=2026-11-23T03:40:00Z.\n"
            "\n"
            "  -c, --channel N     of which channel (default 0)\n" END_HELP,
    .run = run_set,
};

static const struct krctl_command_s *const members[] = {&value_get, &value_set, NULL};

const struct krctl_command_s krctl_value = {
    .name = "value",
    .summary = "thermometers, converters, clocks",
    .help = "usage: krctl value get SPEC [NAME]... [OPTION]...\n"
            "       krctl value set SPEC NAME=VALUE [OPTION]...\n"
            "       krctl value COMMAND --help\n"
            "\n"
            "  get      prints temperature, limit, adc, clock\n"
            "  set      sets a limit, or a clock\n"
            "\n"
            "SPEC is a device of class valio; krctl drivers has the drivers.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};
