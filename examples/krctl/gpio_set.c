/* SPDX-License-Identifier: MIT */
/*
 * krctl gpio set and toggle: outputs, for as long as the command runs. What becomes of a line when
 * nobody holds it is up to the chip, so holding it is the point, as of gpioset.
 */
#include "gpio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define PERIODS 32

struct drive_s {
    struct gpio_s gpio;
    bool inverts; /* toggle: begins with the opposite of what the lines are at */
    bool quiet;
    bool verbose;
    bool has_hold;
    uint64_t hold;
    uint64_t count; /* toggles; 0: no limit */
    uint64_t done;
    uint64_t period[PERIODS]; /* between toggles, over and over; a last one of 0: once */
    unsigned periods;
    struct dev_timer_rq_s toggle;
    struct dev_timer_rq_s end;
};

static struct drive_s drive;

/* --- what is said --- */

/* To standard error: what is driven, as it can be read back, and until when. */
static void say(struct drive_s *d)
{
    struct gpio_s *g = &d->gpio;
    struct bytes_s text = {0};
    bool json = g->json, numeric = g->numeric;

    g->json = g->numeric = false;
    gpio_add_values(&text, g, false);
    g->json = json;
    g->numeric = numeric;
    fprintf(stderr, "krctl: %s %.*s", d->has_hold && d->hold == 0 ? "set and let go:" : "holding",
            (int)text.size - 1, (const char *)text.data);
    if (d->has_hold && d->hold == 0)
        fprintf(stderr, "\n");
    else if (d->has_hold)
        fprintf(stderr, " for %g s\n", (double)d->hold / 1e9);
    else if (d->count != 0)
        fprintf(stderr, " and toggling, %llu times\n", (unsigned long long)d->count);
    else if (d->periods != 0 && d->period[d->periods - 1] == 0)
        fprintf(stderr, "%s\n", d->periods > 1 ? " and toggling" : "");
    else
        fprintf(stderr, "%s; Ctrl-C lets go\n", d->periods != 0 ? " and toggling" : "");
    free(text.data);
}

/* To standard output: the values that the lines really have. */
static int show(struct drive_s *d)
{
    struct gpio_s *g = &d->gpio;
    struct bytes_s *out = &g->session.out.next;

    if (!d->verbose && !g->json)
        return KRCTL_OK;
    int status = gpio_read(g);
    if (status == KRCTL_OK) {
        gpio_add_values(out, g, true);
        output_flush(&g->session.out);
    }
    return status;
}

/* --- toggling --- */

static void arm(struct drive_s *d)
{
    uint64_t period = d->period[d->done % d->periods];

    if (period != 0)
        session_after(&d->gpio.session, &d->toggle, period);
    else if (!d->has_hold) /* the end of a sequence that is not repeated */
        session_end(&d->gpio.session, KRCTL_OK);
}

/* The latch of the device knows the outputs: nothing is read, all lines of a chip change at once.
 */
static KROUTINE_EXEC(toggle)
{
    struct drive_s *d = dev_timer_rq_from_kr(kr)->pvdata;
    struct gpio_s *g = &d->gpio;

    if (d->toggle.error != 0 || g->session.over)
        return;
    for (unsigned i = 0; i < g->groups; i++) {
        struct gpio_group_s *group = &g->group[i];
        error_t err =
            DEVICE_OP(&group->dev, set_output, 0, group->count - 1, UINT64_MAX, (uint64_t)0);

        if (err != 0) {
            session_end(&g->session, gpio_fail(group, err));
            return;
        }
    }
    d->done++;
    int status = show(d);
    if (status != KRCTL_OK || (d->count != 0 && d->done == d->count))
        session_end(&g->session, status);
    else
        arm(d);
}

static KROUTINE_EXEC(hold_over)
{
    struct drive_s *d = dev_timer_rq_from_kr(kr)->pvdata;

    if (d->end.error == 0)
        session_end(&d->gpio.session, KRCTL_OK);
}

/* --- start --- */

/* "active", "on": a value for all lines of the word. A number has a bit for each of them, "1" too:
   of several lines it sets the first, and clears the others. */
static bool take_value(struct gpio_s *g, unsigned first, const char *text)
{
    static const char *const words[][2] = {
        {"inactive", "active"}, {"off", "on"}, {"false", "true"}, {"no", "yes"}};
    unsigned count = g->lines - first;
    char *end;

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int value = 0; value < 2; value++) {
            if (strcmp(text, words[i][value]) != 0)
                continue;
            for (unsigned at = first; at < g->lines; at++)
                g->line[at].value = value;
            return true;
        }
    }
    unsigned long long bits = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || (count < 64 && bits >> count != 0))
        return false;
    for (unsigned i = 0; i < count; i++)
        g->line[first + i].value = bits >> i & 1;
    return true;
}

/* "LINE=VALUE"; of a spec, the last "=" counts. */
static int add_value(struct gpio_s *g, const char *word)
{
    char line[PORT_SPEC_MAX];
    const char *equals = strrchr(word, '=');
    unsigned first = g->lines;

    if (equals == NULL || equals == word || (size_t)(equals - word) >= sizeof(line))
        return krctl_usage(g->command, "'%s' is not LINE=VALUE", word);
    snprintf(line, sizeof(line), "%.*s", (int)(equals - word), word);
    int status = gpio_add(g, line);
    if (status == KRCTL_OK && strstr(line, "mode=input") != NULL)
        status = krctl_usage(g->command, "%s is an input", line);
    if (status == KRCTL_OK && !take_value(g, first, equals + 1))
        status = krctl_usage(g->command,
                             "'%s' is no value of %s: active, inactive, 1, 0, or a number with a "
                             "bit for each line",
                             equals + 1, line);
    return status;
}

/* Taken as they are, the lines tell what the opposite is. */
static int invert(struct gpio_s *g)
{
    static const char *const nothing[] = {NULL};
    uint32_t mode = (g->drive ? g->drive : DEV_GPIO_OUTPUT) | g->bias |
                    (g->active_low ? DEV_GPIO_ACTIVE_LOW : 0);
    uint32_t bias = g->bias;
    error_t err = 0;

    g->drive = g->bias = 0;
    int status = gpio_open(g, nothing, false);
    g->bias = bias;
    if (status == KRCTL_OK)
        status = gpio_read(g);
    for (unsigned i = 0; i < g->lines; i++)
        g->line[i].value = !g->line[i].value;
    if (status == KRCTL_OK)
        status = gpio_write(g);
    for (unsigned i = 0; i < g->groups && status == KRCTL_OK; i++) {
        struct gpio_group_s *group = &g->group[i];
        uint32_t flags = mode;

        if (strstr(group->keys, "active-low=yes") != NULL)
            flags |= DEV_GPIO_ACTIVE_LOW;
        err = DEVICE_OP(&group->dev, set_mode, 0, group->count - 1, UINT64_MAX, flags, 0);
        if (err != 0)
            status = gpio_fail(group, err);
    }
    return status;
}

static int take(struct drive_s *d)
{
    static const char *const output[] = {"mode=output", NULL};
    struct gpio_s *g = &d->gpio;
    int status = KRCTL_OK;

    if (d->inverts) {
        status = gpio_add_words(g);
        return status == KRCTL_OK ? invert(g) : status;
    }
    for (char **word = g->words; *word != NULL && status == KRCTL_OK; word++)
        status = add_value(g, *word);
    if (status == KRCTL_OK)
        status = gpio_open(g, output, true);
    return status == KRCTL_OK ? gpio_write(g) : status; /* a value= of a spec has been in the way */
}

static int body(struct gpio_s *g)
{
    struct drive_s *d = KROUTINE_CONTAINER(g, struct drive_s, gpio);
    struct session_s *s = &g->session;
    int status = take(d);

    if (status == KRCTL_OK)
        status = show(d);
    if (status == KRCTL_OK)
        status = gpio_read(g);
    if (status != KRCTL_OK)
        return status;
    if (!d->quiet)
        say(d);
    dev_timer_rq_init_sched_switch(&d->toggle, toggle);
    dev_timer_rq_init_sched_switch(&d->end, hold_over);
    d->toggle.pvdata = d->end.pvdata = d;
    if (d->has_hold)
        session_after(s, &d->end, d->hold);
    if (d->periods != 0)
        arm(d);
    return session_run(s);
}

/* --- the commands --- */

static int take_hold(const struct krctl_command_s *command, void *to, const char *name)
{
    drive.has_hold = true;
    return krctl_time_option(command, name, to);
}

static int take_toggle(const struct krctl_command_s *command, void *to, const char *name)
{
    struct drive_s *d = to;

    d->periods = gpio_times(optarg, d->period, PERIODS);
    for (unsigned i = 0; i + 1 < d->periods; i++)
        if (d->period[i] == 0)
            d->periods = 0;
    return d->periods != 0 ? KRCTL_OK
                           : krctl_usage(command,
                                         "--%s is one or several times such as 10ms,20ms, of which "
                                         "the last may be 0, not '%s'",
                                         name, optarg);
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        GPIO_LINE_OPTIONS(&drive.gpio),
        {.name = "count", .letter = 'n', .kind = OPTION_SIZE, .to = &drive.count},
        {.name = "drive",
         .letter = 'd',
         .kind = OPTION_TAKE,
         .to = &drive.gpio.drive,
         .take = gpio_drive},
        {.name = "hold-period",
         .letter = 'p',
         .kind = OPTION_TAKE,
         .to = &drive.hold,
         .take = take_hold},
        {.name = "numeric", .kind = OPTION_FLAG, .to = &drive.gpio.numeric},
        {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .to = &drive.quiet},
        {.name = "toggle", .letter = 't', .kind = OPTION_TAKE, .to = &drive, .take = take_toggle},
        {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .to = &drive.verbose},
        {0},
    };
    struct gpio_s *g = &drive.gpio;
    bool done;
    int status = options_take(g->command, table, argc, argv, &done);

    if (done)
        return status;
    if (optind == argc)
        return krctl_usage(g->command, drive.inverts ? "LINE is missing" : "LINE=VALUE is missing");
    if (drive.count != 0 && drive.periods == 0)
        return krctl_usage(g->command, "--count goes with --toggle");
    g->words = argv + optind;
    return gpio_session(g, body);
}

static int run_set(int argc, char **argv)
{
    drive.gpio.command = &krctl_gpio_set;
    return run(argc, argv);
}

static int run_toggle(int argc, char **argv)
{
    drive.gpio.command = &krctl_gpio_toggle;
    drive.inverts = true;
    return run(argc, argv);
}

#define DRIVE_HELP                                                                                 \
    "  -p, --hold-period TIME hold them for TIME; 0: set them and end\n"                           \
    "  -t, --toggle TIME,...  toggle after these times, over and over; with a last\n"              \
    "                         0 only once, then end\n"                                             \
    "  -n, --count N          ... and end after N toggles\n"                                       \
    "  -d, --drive DRIVE      push-pull, open-drain, open-source (default push-pull)\n"            \
    "  -v, --verbose          print the values that the lines have, after each change\n"           \
    "      --numeric          ... as 0 and 1\n"                                                    \
    "  -q, --quiet            do not say what is held\n"                                           \
    "      --unquoted         names without quotes\n" GPIO_CHIP_HELP GPIO_LINE_HELP GPIO_END_HELP

const struct krctl_command_s krctl_gpio_set = {
    .name = "gpio set",
    .summary = "drives lines, until Ctrl-C",
    .help = "usage: krctl gpio set LINE=VALUE... [OPTION]...\n"
            "\n"
            "Makes lines outputs with these values, and holds them until Ctrl-C: what becomes\n"
            "of a line that nobody holds is up to the chip. VALUE is active or inactive, 1 or\n"
            "0, on or off; of several lines, as in gpiod:gpiochip0/0-7=0x81, a number with a\n"
            "bit for each.\n"
            "\n" DRIVE_HELP,
    .run = run_set,
};

const struct krctl_command_s krctl_gpio_toggle = {
    .name = "gpio toggle",
    .summary = "drives lines to the opposite of what they are at",
    .help = "usage: krctl gpio toggle LINE... [OPTION]...\n"
            "\n"
            "Makes lines outputs with the opposite of the values that they have, and holds\n"
            "them until Ctrl-C.\n"
            "\n" DRIVE_HELP,
    .run = run_toggle,
};
