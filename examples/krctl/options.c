/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LONG 256 /* of options without a letter, above any char */

bool options_parse(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') /* strtoull would take a sign */
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    if (*end != '\0' || errno != 0 || number > max)
        return false;
    *value = number;
    return true;
}

static int take_number(const struct krctl_command_s *command, const struct option_s *o)
{
    uint64_t max = o->max != 0 ? o->max : UINT64_MAX;

    if (options_parse(optarg, max, o->to))
        return KRCTL_OK;
    if (o->max == 0)
        return krctl_usage(command, "--%s is a number such as 16 or 0x10, not '%s'", o->name,
                           optarg);
    return krctl_usage(command, "--%s is a number from 0 to %" PRIu64 ", not '%s'", o->name, max,
                       optarg);
}

static int take_size(const struct krctl_command_s *command, const struct option_s *o)
{
    uint64_t value;
    int status = krctl_size_option(command, o->name, &value);

    if (status != KRCTL_OK)
        return status;
    if (o->max != 0 && value > o->max)
        return krctl_usage(command, "--%s is at most %" PRIu64 ", not %s", o->name, o->max, optarg);
    *(uint64_t *)o->to = value;
    return KRCTL_OK;
}

static int take_enum(const struct krctl_command_s *command, const struct option_s *o)
{
    char list[160] = "";

    for (unsigned i = 0; o->words[i] != NULL; i++) {
        size_t len = strlen(list);

        if (strcmp(o->words[i], optarg) == 0) {
            *(unsigned *)o->to = i;
            return KRCTL_OK;
        }
        snprintf(list + len, sizeof(list) - len, "%s%s",
                 i == 0                    ? ""
                 : o->words[i + 1] == NULL ? " or "
                                           : ", ",
                 o->words[i]);
    }
    return krctl_usage(command, "--%s is %s, not '%s'", o->name, list, optarg);
}

static int take(const struct krctl_command_s *command, const struct option_s *o)
{
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->to = true;
        return KRCTL_OK;
    case OPTION_WORD:
        *(const char **)o->to = optarg;
        return KRCTL_OK;
    case OPTION_SIZE:
        return take_size(command, o);
    case OPTION_NUMBER:
        return take_number(command, o);
    case OPTION_TIME:
        return krctl_time_option(command, o->name, o->to);
    case OPTION_BACKEND:
        return krctl_backend_option(command, o->to);
    case OPTION_ENUM:
        return take_enum(command, o);
    case OPTION_TAKE:
        return o->take(command, o->to, o->name);
    }
    return KRCTL_USAGE;
}

/* What getopt_long wants, made from the table. */
struct getopt_s {
    struct option longs[OPTIONS_MAX + 2];
    char shorts[2 * OPTIONS_MAX + 2];
};

static int value_of(const struct option_s *table, unsigned i)
{
    return table[i].letter != '\0' ? table[i].letter : FIRST_LONG + (int)i;
}

static void translate(struct getopt_s *to, const struct option_s *table)
{
    size_t len = 0;
    unsigned i;

    for (i = 0; table[i].name != NULL && i < OPTIONS_MAX; i++) {
        bool flag = table[i].kind == OPTION_FLAG;

        to->longs[i].name = table[i].name;
        to->longs[i].has_arg = flag ? no_argument : required_argument;
        to->longs[i].val = value_of(table, i);
        if (table[i].letter == '\0')
            continue;
        to->shorts[len++] = table[i].letter;
        if (!flag)
            to->shorts[len++] = ':';
    }
    to->longs[i] = (struct option){"help", no_argument, NULL, 'h'};
    to->shorts[len] = 'h';
}

int options_take(const struct krctl_command_s *command, const struct option_s *table, int argc,
                 char **argv, bool *done)
{
    struct getopt_s get = {0};
    int option;

    translate(&get, table);
    *done = true;
    while ((option = getopt_long(argc, argv, get.shorts, get.longs, NULL)) != -1) {
        int status = KRCTL_USAGE;
        unsigned i = 0;

        if (option == 'h')
            return krctl_help(command);
        while (table[i].name != NULL && value_of(table, i) != option)
            i++;
        status = table[i].name != NULL ? take(command, &table[i]) : krctl_usage(command, NULL);
        if (status != KRCTL_OK)
            return status;
    }
    *done = false;
    return KRCTL_OK;
}

int options_no_more(const struct krctl_command_s *command, int argc, char **argv)
{
    return optind < argc ? krctl_usage(command, "'%s' is one word too many", argv[optind])
                         : KRCTL_OK;
}

int options_number(const struct krctl_command_s *command, int argc, char **argv, const char *what,
                   uint64_t max, uint64_t *value)
{
    int status;
    const char *text = krctl_operand(command, argc, argv, what, &status);

    if (text == NULL)
        return status;
    return options_parse(text, max, value)
               ? KRCTL_OK
               : krctl_usage(command, "%s: '%s' is no number such as 16 or 0x10%s", what, text,
                             max < UINT64_MAX ? ", or too large" : "");
}
