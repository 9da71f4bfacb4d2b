/* SPDX-License-Identifier: MIT */
/* krctl pwm: outputs that are high for a part of each period. */
#include "bus.h"
#include "krctl.h"
#include "options.h"
#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct krctl_command_s pwm_get, pwm_set;

struct pwm_s {
    struct session_s session;
    const struct krctl_command_s *command;
    enum kroutine_backend_e backend;
    struct device_pwm_s dev;
    struct dev_pwm_info_s info;
    const char *name;
    uint64_t channel; /* of the device */
    uint64_t first;   /* number of its channel 0, as far as krctl has chosen it */
    bool one;         /* --channel was given */
    bool json, quiet;

    struct dev_pwm_state_s state; /* what is asked for */
    uint32_t params;
    double part; /* duty as a part of the period; negative: none is asked for */
    uint64_t hold;
    bool holds; /* --hold-period was given */
};

static struct pwm_s pwm = {.part = -1};

static int fail(const struct pwm_s *p, error_t err)
{
    if (p->session.over)
        return p->session.status;
    if (err == -ENOTSUP)
        return krctl_fail("%s: the hardware cannot do this: it has no polarity, or its channels "
                          "share the period",
                          p->name);
    return bus_fail(p->name, err);
}

static error_t request(struct pwm_s *p, uint8_t type, struct dev_pwm_state_s *state)
{
    struct dev_pwm_rq_s rq = {0};
    error_t err;

    rq.type = type;
    rq.chan_mask = UINT32_C(1) << p->channel;
    rq.param_mask = p->params;
    rq.state = *state;
    err = SESSION_CALL(&p->session, &p->dev, &rq);
    if (err == 0)
        *state = rq.state;
    return err;
}

/* A spec without channels, "pwm:pwmchip0", takes none of the chip: those that are wanted are asked
   for by a spec with them. */
static int open_channels(struct pwm_s *p, bool all)
{
    size_t len = strcspn(p->name, "?");
    char spec[512], numbers[32];
    struct device_pwm_s dev = DEVICE_ACCESSOR_INIT;

    if (p->info.of_chip == 0 || p->channel >= p->info.of_chip)
        return krctl_fail("%s has no channel %" PRIu64 ", it has %" PRIu32, p->name, p->channel,
                          p->info.of_chip);
    if (all && p->info.of_chip > 1)
        snprintf(numbers, sizeof(numbers), "0-%" PRIu32, p->info.of_chip - 1);
    else
        snprintf(numbers, sizeof(numbers), "%" PRIu64, p->channel);
    snprintf(spec, sizeof(spec), "%.*s/%s%s", (int)len, p->name, numbers, p->name + len);
    if (len + strlen(p->name + len) + 32 > sizeof(spec))
        return krctl_fail("%.40s...: %s", p->name, strerror(ENAMETOOLONG));
    int status = bus_open(&p->session, &dev.base, spec, "pwm", DRIVER_CLASS_PWM, NULL);
    if (status != KRCTL_OK)
        return status;
    device_put_accessor(&p->dev.base);
    p->dev = dev;
    p->first = p->channel;
    p->channel = 0;
    return DEVICE_OP(&p->dev, info, &p->info) == 0 ? KRCTL_OK : krctl_fail("%s is gone", p->name);
}

static int open_pwm(struct pwm_s *p)
{
    int status = bus_open(&p->session, &p->dev.base, p->name, "pwm", DRIVER_CLASS_PWM, NULL);
    error_t err;

    if (status != KRCTL_OK)
        return status;
    err = DEVICE_OP(&p->dev, info, &p->info);
    if (err != 0)
        return fail(p, err);
    if (p->info.channels == 0)
        return open_channels(p, p->command == &pwm_get && !p->one);
    return p->channel < p->info.channels
               ? KRCTL_OK
               : krctl_fail("%s has no channel %" PRIu64 ", it has %" PRIu32, p->name, p->channel,
                            p->info.channels);
}

static int perform(struct pwm_s *p, int (*body)(struct pwm_s *p))
{
    int status = session_open(&p->session, p->backend);

    if (status != KRCTL_OK)
        return status;
    status = open_pwm(p);
    if (status == KRCTL_OK)
        status = body(p);
    status = bus_end(&p->session, status);
    device_put_accessor(&p->dev.base);
    session_close(&p->session);
    return status;
}

/* --- printing --- */

/* "pwmchip0 0: 25000 Hz, 40 us, duty 40 %, 16 us, normal, on" */
static void describe(char *text, size_t size, const struct pwm_s *p,
                     const struct dev_pwm_state_s *state)
{
    double period = (double)state->period_ns, duty = (double)state->duty_ns;

    snprintf(text, size, "%s %" PRIu64 ": %.6g Hz, period %.6g us, duty %.4g %%, %.6g us, %s, %s",
             p->info.chip, p->first + p->channel, period > 0 ? 1e9 / period : 0, period / 1e3,
             period > 0 ? 100 * duty / period : 0, duty / 1e3,
             state->inverted ? "inversed" : "normal", state->enabled ? "on" : "off");
}

static void print(struct pwm_s *p, const struct dev_pwm_state_s *state)
{
    struct bytes_s *out = &p->session.out.next;
    char text[200];

    if (!p->json) {
        describe(text, sizeof(text), p, state);
        bytes_printf(out, "%s\n", text);
        return;
    }
    bytes_printf(out, "{\"chip\":");
    bytes_json(out, p->info.chip);
    bytes_printf(out, ",\"channel\":%" PRIu64 ",\"period_ns\":%" PRIu64 ",\"duty_ns\":%" PRIu64,
                 p->first + p->channel, state->period_ns, state->duty_ns);
    bytes_printf(out, ",\"inverted\":%s,\"enabled\":%s}\n", state->inverted ? "true" : "false",
                 state->enabled ? "true" : "false");
}

static int get(struct pwm_s *p)
{
    struct dev_pwm_state_s state = {0};
    uint64_t end = p->channel + 1;

    /* Without --channel all of them. */
    if (!p->one) {
        p->channel = 0;
        end = p->info.channels;
    }
    for (; p->channel < end; p->channel++) {
        error_t err = request(p, DEV_PWM_GET, &state);
        if (err != 0)
            return fail(p, err);
        print(p, &state);
    }
    return KRCTL_OK;
}

/* --- set --- */

/* A part of a period needs to know it: the one that is asked for, or that which is there. */
static error_t resolve(struct pwm_s *p)
{
    struct dev_pwm_state_s now = {0};
    error_t err = 0;

    if (p->part < 0)
        return 0;
    if (!(p->params & DEV_PWM_PERIOD)) {
        err = request(p, DEV_PWM_GET, &now);
        p->state.period_ns = now.period_ns;
    }
    p->state.duty_ns = (uint64_t)((double)p->state.period_ns * p->part + 0.5);
    p->params |= DEV_PWM_DUTY;
    return err;
}

/* Ends by itself after --hold-period, with status 0. */
static KROUTINE_EXEC(held)
{
    struct pwm_s *p = dev_timer_rq_from_kr(kr)->pvdata;

    session_end(&p->session, KRCTL_OK);
}

static int hold(struct pwm_s *p)
{
    static struct dev_timer_rq_s timer;
    struct dev_pwm_state_s state = {0};
    char text[200];
    error_t err = request(p, DEV_PWM_GET, &state);

    if (err != 0)
        return fail(p, err);
    if (p->json)
        print(p, &state);
    describe(text, sizeof(text), p, &state);
    output_flush(&p->session.out);
    if (!p->quiet && p->holds)
        fprintf(stderr, "krctl: holding %s for %g s\n", text, (double)p->hold / 1e9);
    else if (!p->quiet)
        fprintf(stderr, "krctl: holding %s; Ctrl-C lets go\n", text);
    if (p->holds) {
        dev_timer_rq_init_sched_switch(&timer, held);
        timer.pvdata = p;
        session_after(&p->session, &timer, p->hold);
    }
    return session_run(&p->session);
}

static int set(struct pwm_s *p)
{
    error_t err = resolve(p);

    if (err == 0 && p->params & (DEV_PWM_PERIOD | DEV_PWM_DUTY) && !(p->params & DEV_PWM_ENABLE)) {
        p->params |= DEV_PWM_ENABLE;
        p->state.enabled = true;
    }
    if (err == 0)
        err = request(p, DEV_PWM_CONFIG, &p->state);
    return err == 0 ? hold(p) : fail(p, err);
}

/* --- words: KEY=VALUE --- */

static bool frequency(const char *text, struct pwm_s *p)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1}, {"Hz", 1}, {"k", 1e3}, {"kHz", 1e3}, {"M", 1e6}, {"MHz", 1e6}};
    char digits[32], *unit;
    size_t len = strspn(text, "0123456789.");
    double value;

    snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
    if (len >= sizeof(digits) || !krctl_number(digits, 0, 1e9, &value))
        return false;
    unit = (char *)text + len;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].suffix) != 0)
            continue;
        p->state.period_ns = dev_pwm_period((uint64_t)(value * units[i].factor * 1e3 + 0.5));
        p->params |= DEV_PWM_PERIOD;
        return p->state.period_ns > 0;
    }
    return false;
}

static bool period(const char *text, struct pwm_s *p)
{
    p->params |= DEV_PWM_PERIOD;
    return parse_time(text, &p->state.period_ns) && p->state.period_ns > 0;
}

/* Per cent, "40%" or, as in specs, "40"; a time has a unit. */
static bool duty(const char *text, struct pwm_s *p)
{
    char digits[32];
    size_t len = strlen(text);
    double percent;

    if (len == 0 || len >= sizeof(digits))
        return false;
    if (strchr(text, 's') != NULL) {
        p->params |= DEV_PWM_DUTY;
        return parse_time(text, &p->state.duty_ns) && (text[0] == '0' || p->state.duty_ns > 0);
    }
    snprintf(digits, sizeof(digits), "%.*s", (int)len - (text[len - 1] == '%'), text);
    if (!krctl_number(digits, 0, 100, &percent))
        return false;
    p->part = percent / 100;
    return true;
}

static bool polarity(const char *text, struct pwm_s *p)
{
    p->params |= DEV_PWM_POLARITY;
    p->state.inverted = strcmp(text, "inversed") == 0 || strcmp(text, "inverted") == 0;
    return p->state.inverted || strcmp(text, "normal") == 0;
}

static bool enable(const char *text, struct pwm_s *p)
{
    p->params |= DEV_PWM_ENABLE;
    p->state.enabled =
        strcmp(text, "yes") == 0 || strcmp(text, "on") == 0 || strcmp(text, "1") == 0;
    return p->state.enabled || strcmp(text, "no") == 0 || strcmp(text, "off") == 0 ||
           strcmp(text, "0") == 0;
}

static const struct {
    const char *key;
    bool (*take)(const char *text, struct pwm_s *p);
    const char *what;
} keys[] = {
    {"frequency", frequency, "a number of hertz such as 50, 25k or 1.5M"},
    {"hz", frequency, "a number of hertz such as 50, 25k or 1.5M"}, /* as in a spec */
    {"period", period, "a time such as 20ms or 40us"},
    {"duty", duty, "a part such as 40%, up to 100%, or a time such as 1.5ms"},
    {"polarity", polarity, "normal or inversed"},
    {"enable", enable, "yes or no"},
};

static int take_word(struct pwm_s *p, const char *word)
{
    size_t len = strcspn(word, "=");

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strlen(keys[i].key) != len || strncmp(keys[i].key, word, len) != 0 || word[len] != '=')
            continue;
        return keys[i].take(word + len + 1, p)
                   ? KRCTL_OK
                   : krctl_usage(p->command, "%s is %s, not '%s'", keys[i].key, keys[i].what,
                                 word + len + 1);
    }
    return krctl_usage(p->command,
                       "'%s' is not frequency=, period=, duty=, polarity= or enable= and a value",
                       word);
}

/* --- the command line --- */

static int take_channel(const struct krctl_command_s *command, void *to, const char *name)
{
    pwm.one = true;
    return options_parse(optarg, DEV_PWM_CHANNELS_MAX - 1, to)
               ? KRCTL_OK
               : krctl_usage(command, "--%s is a number from 0 to %d, not '%s'", name,
                             DEV_PWM_CHANNELS_MAX - 1, optarg);
}

static int take_hold(const struct krctl_command_s *command, void *to, const char *name)
{
    pwm.holds = true;
    return krctl_time_option(command, name, to);
}

#define COMMON_OPTIONS                                                                             \
    {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &pwm.backend},                \
        {.name = "channel",                                                                        \
         .letter = 'c',                                                                            \
         .kind = OPTION_TAKE,                                                                      \
         .to = &pwm.channel,                                                                       \
         .take = take_channel},                                                                    \
    {                                                                                              \
        .name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &pwm.json                        \
    }

static int run_get(int argc, char **argv)
{
    static const struct option_s table[] = {COMMON_OPTIONS, {0}};
    bool done;
    int status;

    pwm.command = &pwm_get;
    status = options_take(&pwm_get, table, argc, argv, &done);
    if (done)
        return status;
    pwm.name = krctl_operand(&pwm_get, argc, argv, "SPEC", &status);
    if (pwm.name == NULL)
        return status;
    status = options_no_more(&pwm_get, argc, argv);
    return status == KRCTL_OK ? perform(&pwm, get) : status;
}

static int run_set(int argc, char **argv)
{
    static const struct option_s table[] = {
        COMMON_OPTIONS,
        {.name = "hold-period",
         .letter = 'p',
         .kind = OPTION_TAKE,
         .to = &pwm.hold,
         .take = take_hold},
        {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .to = &pwm.quiet},
        {0},
    };
    bool done;
    int status;

    pwm.command = &pwm_set;
    status = options_take(&pwm_set, table, argc, argv, &done);
    if (done)
        return status;
    pwm.name = krctl_operand(&pwm_set, argc, argv, "SPEC", &status);
    if (pwm.name == NULL)
        return status;
    if (optind == argc)
        return krctl_usage(&pwm_set, "KEY=VALUE is missing, such as duty=40%%");
    while (optind < argc && status == KRCTL_OK)
        status = take_word(&pwm, argv[optind++]);
    return status == KRCTL_OK ? perform(&pwm, set) : status;
}

static const struct krctl_command_s pwm_get = {
    .name = "pwm get",
    .summary = "prints period, duty, polarity and state",
    .help = "usage: krctl pwm get SPEC [OPTION]...\n"
            "\n"
            "Prints frequency, period, duty, polarity and state of all channels of SPEC.\n"
            "\n"
            "  -c, --channel N         only this one\n"
            "  -j, --json              a line of JSON for each channel\n"
            "  -B, --backend NAME      auto, uring or epoll (default auto)\n"
            "  -h, --help              this text\n",
    .run = run_get,
};

static const struct krctl_command_s pwm_set = {
    .name = "pwm set",
    .summary = "makes a signal, until Ctrl-C",
    .help = "usage: krctl pwm set SPEC KEY=VALUE... [OPTION]...\n"
            "\n"
            "Changes a channel, says what it does now, and holds it until Ctrl-C: then it is\n"
            "as it was before. What is not named stays. KEY=VALUE is\n"
            "\n"
            "  frequency=HZ        50, 25k, 1.5M       period=TIME    20ms, 40us\n"
            "  duty=PART           40%, or 1.5ms       enable=yes|no  yes, if others change\n"
            "  polarity=normal|inversed                the output is low, not high, for duty\n"
            "\n"
            "A new period without a duty keeps the part that was high.\n"
            "\n"
            "  -c, --channel N         of those of SPEC (default 0)\n"
            "  -p, --hold-period TIME  hold it for TIME, and end\n"
            "  -q, --quiet             do not say what is held\n"
            "  -j, --json              print a line of JSON with what is held\n"
            "  -B, --backend NAME      auto, uring or epoll (default auto)\n"
            "  -h, --help              this text\n",
    .run = run_set,
};

static const struct krctl_command_s *const members[] = {&pwm_get, &pwm_set, NULL};

const struct krctl_command_s krctl_pwm = {
    .name = "pwm",
    .summary = "outputs with a frequency and a duty",
    .help = "usage: krctl pwm get SPEC [OPTION]...\n"
            "       krctl pwm set SPEC KEY=VALUE... [OPTION]...\n"
            "       krctl pwm COMMAND --help\n"
            "\n"
            "  get      prints period, duty, polarity and state\n"
            "  set      makes a signal, until Ctrl-C\n"
            "\n"
            "SPEC is a chip such as pwmchip0, or a spec such as pwm:pwmchip0/0 or, without\n"
            "any hardware, sim-pwm:demo; krctl list --class pwm has those of this machine.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 128 and its number\n"
            "after a signal\n",
    .members = members,
};
