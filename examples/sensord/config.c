/* SPDX-License-Identifier: MIT */
/* Settings: each is an option, --low 40, and a line of a file, low = 40. */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensord.h"

enum kind_e {
    TEXT = 0,
    MILLI,   /* thousandths, int32_t */
    PERCENT, /* unsigned, 0 to 100 */
    COUNT,   /* unsigned, 1 to 1000000 */
    SECONDS, /* ns, uint64_t */
    YES_NO,
};

static const struct {
    const char *name;
    enum kind_e kind;
    size_t offset;
    const char *help;
} keys[] = {
    {"temperature", TEXT, offsetof(struct config_s, temperature),
     "SPEC   the thermometer: tmp105:i2c:1?addr=0x48"},
    {"fan", TEXT, offsetof(struct config_s, fan), "SPEC           pwm:pwmchip0/0?hz=25000"},
    {"button", TEXT, offsetof(struct config_s, button),
     "SPEC        gpiod:pinctrl-bcm2835/GPIO17?mode=input&pull=up&active-low=yes&debounce=20000"},
    {"console", TEXT, offsetof(struct config_s, console),
     "SPEC       tty:/dev/serial0?baud=115200"},
    {"echo", YES_NO, offsetof(struct config_s, echo),
     "yes|no        the console repeats what is typed; yes"},
    {"low", MILLI, offsetof(struct config_s, low), "DEGREES        the fan is off below; 40"},
    {"high", MILLI, offsetof(struct config_s, high),
     "DEGREES       it is at full speed from there on; 60"},
    {"hysteresis", MILLI, offsetof(struct config_s, hysteresis),
     "DEGREES so much colder before it gets slower; 2"},
    {"minimum", PERCENT, offsetof(struct config_s, minimum),
     "PERCENT    its speed at the low temperature; 30"},
    {"failures", COUNT, offsetof(struct config_s, failures),
     "N         failed readings in a row, then full speed; 3"},
    {"period", SECONDS, offsetof(struct config_s, period), "SECONDS     between readings; 1"},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

enum option_e { OPTION_KEY = 256, OPTION_CONFIG = 'c', OPTION_DEMO = 'd', OPTION_HELP = 'h' };

static void usage(FILE *file)
{
    fputs("usage: sensord [--config FILE] [--KEY VALUE]...\n"
          "       sensord --demo [--KEY VALUE]...\n"
          "\n"
          "A fan that follows a thermometer, with a button and a console; kroutine-examples(7).\n"
          "Without a fan, a button or a console it does without.\n"
          "\n",
          file);
    for (size_t i = 0; i < KEYS; i++)
        fprintf(file, "  --%s %s\n", keys[i].name, keys[i].help);
    fputs("  --config FILE       more of these: KEY = VALUE, one a line; read again at SIGHUP\n"
          "  --demo              simulated devices; the console is this terminal\n"
          "  --help              this text\n",
          file);
}

static void defaults(struct config_s *config)
{
    *config = (struct config_s){
        .low = 40000,
        .high = 60000,
        .hysteresis = 2000,
        .minimum = 30,
        .failures = 3,
        .period = KROUTINE_SEC(1),
        .echo = true,
    };
}

/* --- one setting --- */

static bool number(const char *value, double min, double max, double *ret)
{
    char *end;
    double x = strtod(value, &end);

    if (end == value || *end != '\0' || !(x >= min && x <= max))
        return false;
    *ret = x;
    return true;
}

static bool assign(struct config_s *config, size_t key, const char *value)
{
    void *field = (char *)config + keys[key].offset;
    double x = 0;
    bool ok = true;

    switch (keys[key].kind) {
    case TEXT:
        ok = snprintf(field, SPEC_MAX, "%s", value) < SPEC_MAX;
        break;
    case MILLI:
        ok = number(value, -273, 1000, &x);
        *(int32_t *)field = (int32_t)(x * 1000 + (x < 0 ? -0.5 : 0.5));
        break;
    case PERCENT:
        ok = number(value, 0, 100, &x);
        *(unsigned *)field = (unsigned)x;
        break;
    case COUNT:
        ok = number(value, 1, 1e6, &x);
        *(unsigned *)field = (unsigned)x;
        break;
    case SECONDS:
        ok = number(value, 0.001, 3600, &x);
        *(uint64_t *)field = (uint64_t)(x * 1e9);
        break;
    case YES_NO:
        ok = strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
        *(bool *)field = *value == 'y';
        break;
    }
    if (!ok)
        fprintf(stderr, "sensord: %s: '%s' cannot be; it takes %s\n", keys[key].name, value,
                keys[key].help);
    return ok;
}

/* --- the file --- */

static bool read_line(struct config_s *config, char *line)
{
    char *name = line + strspn(line, " \t"), *value, *end;

    name[strcspn(name, "\r\n")] = '\0';
    if (*name == '\0' || *name == '#')
        return true;
    value = strchr(name, '=');
    if (value) {
        end = value++;
        while (end > name && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *end = '\0';
        value += strspn(value, " \t");
        end = value + strlen(value);
        while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
            *--end = '\0';
        for (size_t i = 0; i < KEYS; i++)
            if (strcmp(name, keys[i].name) == 0)
                return assign(config, i, value);
    }
    fprintf(stderr, "sensord: '%s' is no setting; --help has them\n", name);
    return false;
}

static bool read_file(struct config_s *config, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[SPEC_MAX + 64];
    bool ok = file != NULL;

    if (!file)
        fprintf(stderr, "sensord: %s: %s\n", path, strerror(errno));
    while (ok && fgets(line, sizeof(line), file))
        ok = read_line(config, line);
    if (file)
        fclose(file);
    return ok;
}

/* --- the command line --- */

/* Goes through it once: for the name of the file and the demonstration, or for the rest. */
static int read_options(struct config_s *config, int argc, char **argv, bool first)
{
    struct option options[KEYS + 4] = {{NULL, 0, NULL, 0}};
    int c, index;

    for (size_t i = 0; i < KEYS; i++)
        options[i] = (struct option){keys[i].name, required_argument, NULL, OPTION_KEY};
    options[KEYS] = (struct option){"config", required_argument, NULL, OPTION_CONFIG};
    options[KEYS + 1] = (struct option){"demo", no_argument, NULL, OPTION_DEMO};
    options[KEYS + 2] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    optind = 0; /* from the beginning, also of glibc's own state: getopt(3) */
    opterr = first;
    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
        switch (c) {
        case OPTION_KEY:
            if (!first && !assign(config, (size_t)index, optarg))
                return 2;
            break;
        case OPTION_CONFIG:
            snprintf(config->file, sizeof(config->file), "%s", optarg);
            break;
        case OPTION_DEMO:
            config->demo = true;
            break;
        case OPTION_HELP:
            usage(stdout);
            return 1;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind == argc)
        return 0;
    usage(stderr);
    return 2;
}

int config_read(struct config_s *ret, int argc, char **argv)
{
    struct config_s config;
    int status;

    defaults(&config);
    status = read_options(&config, argc, argv, true);
    if (status == 0 && config.demo)
        demo_config(&config);
    if (status == 0 && config.file[0] != '\0' && !read_file(&config, config.file))
        status = 2;
    if (status == 0)
        status = read_options(&config, argc, argv, false);
    if (status != 0)
        return status;
    if (config.temperature[0] == '\0' || config.high <= config.low || config.hysteresis < 0) {
        fprintf(stderr, "sensord: %s\n",
                config.temperature[0] == '\0' ? "there is no thermometer: --temperature SPEC"
                : config.high <= config.low   ? "the high temperature is not above the low one"
                                              : "a hysteresis is not below 0");
        return 2;
    }
    *ret = config;
    return 0;
}
