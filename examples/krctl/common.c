/* SPDX-License-Identifier: MIT */
/* Messages, numbers and colours: what every command of krctl needs. */
#include "krctl.h"
#include "parse.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 80

const struct krctl_command_s *krctl_find(const struct krctl_command_s *const *list,
                                         const char *name)
{
    for (; *list != NULL; list++) {
        /* A member of a group is called "char read" and found as "read". */
        const char *last = strrchr((*list)->name, ' ');
        if (strcmp(last != NULL ? last + 1 : (*list)->name, name) == 0)
            return *list;
    }
    return NULL;
}

static int run_member(const struct krctl_command_s *group, int argc, char **argv)
{
    if (argc < 2) {
        fputs(group->help, stderr);
        return KRCTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return krctl_help(group);

    const struct krctl_command_s *member = krctl_find(group->members, argv[1]);
    return member != NULL ? krctl_run(member, argc - 1, argv + 1)
                          : krctl_usage(group, "there is no command '%s'", argv[1]);
}

int krctl_run(const struct krctl_command_s *command, int argc, char **argv)
{
    char name[64];

    if (command->members != NULL)
        return run_member(command, argc, argv);
    /* getopt starts its messages with argv[0]. */
    snprintf(name, sizeof(name), "krctl %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int krctl_help(const struct krctl_command_s *command)
{
    fputs(command->help, stdout);
    return KRCTL_OK;
}

static void message(const char *head, const char *format, va_list args)
{
    /* What was printed so far belongs above the message, also when both go to one file. */
    fflush(stdout);
    fputs(head, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int krctl_usage(const struct krctl_command_s *command, const char *format, ...)
{
    char head[64];
    va_list args;

    snprintf(head, sizeof(head), command ? "krctl %s: " : "krctl: ", command ? command->name : "");
    if (format != NULL) {
        va_start(args, format);
        message(head, format, args);
        va_end(args);
    }
    krctl_hint("krctl %s%s--help", command ? command->name : "", command ? " " : "");
    return KRCTL_USAGE;
}

const char *krctl_operand(const struct krctl_command_s *command, int argc, char **argv,
                          const char *what, int *status)
{
    if (optind < argc && argv[optind][0] != '\0')
        return argv[optind++];
    *status = krctl_usage(command, "%s is missing", what);
    return NULL;
}

int krctl_no_options(const struct krctl_command_s *command, int argc, char **argv, bool *done)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option = getopt_long(argc, argv, "h", options, NULL);

    *done = true;
    if (option == 'h')
        return krctl_help(command);
    if (option != -1)
        return krctl_usage(command, NULL);
    if (optind < argc)
        return krctl_usage(command, "'%s' is one word too many", argv[optind]);
    *done = false;
    return KRCTL_OK;
}

int krctl_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    message("krctl: ", format, args);
    va_end(args);
    return KRCTL_FAILED;
}

void krctl_hint(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    message("  try: ", format, args);
    va_end(args);
}

const char *krctl_error(error_t err)
{
    const char *text = kroutine_error_text();

    return text[0] != '\0' ? text : strerror(-err);
}

bool krctl_number(const char *text, double min, double max, double *value)
{
    char *end;

    errno = 0;
    double result = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(result >= min && result <= max))
        return false;
    *value = result;
    return true;
}

bool krctl_backend(const char *text, enum kroutine_backend_e *backend)
{
    static const struct {
        const char *name;
        enum kroutine_backend_e backend;
    } backends[] = {
        {"auto", KROUTINE_BACKEND_AUTO},
        {"uring", KROUTINE_BACKEND_URING},
        {"epoll", KROUTINE_BACKEND_EPOLL},
    };

    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(text, backends[i].name) != 0)
            continue;
        *backend = backends[i].backend;
        return true;
    }
    return false;
}

int krctl_backend_option(const struct krctl_command_s *command, enum kroutine_backend_e *backend)
{
    return krctl_backend(optarg, backend)
               ? KRCTL_OK
               : krctl_usage(command, "'%s' is not auto, uring or epoll", optarg);
}

int krctl_time_option(const struct krctl_command_s *command, const char *option, uint64_t *ns)
{
    return parse_time(optarg, ns)
               ? KRCTL_OK
               : krctl_usage(command, "--%s is a time such as 500ms, 20us or 1.5s, not '%s'",
                             option, optarg);
}

int krctl_size_option(const struct krctl_command_s *command, const char *option, uint64_t *size)
{
    return parse_size(optarg, size)
               ? KRCTL_OK
               : krctl_usage(command, "--%s is a number such as 16, 0x10 or 64k, not '%s'", option,
                             optarg);
}

const char *krctl_style(enum krctl_style_e style)
{
    static const char *const sequence[] = {
        [KRCTL_PLAIN] = "\033[0m",  [KRCTL_BOLD] = "\033[1m", [KRCTL_DIM] = "\033[2m",
        [KRCTL_GREEN] = "\033[32m", [KRCTL_RED] = "\033[31m", [KRCTL_BLUE] = "\033[34m",
    };
    static int colours = -1;

    if (colours < 0) {
        const char *term = getenv("TERM");
        const char *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
        colours = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0 &&
                  (no_color == NULL || no_color[0] == '\0');
    }
    return colours ? sequence[style] : "";
}

void krctl_wrap(const char *text, int indent)
{
    int column = indent;

    while (*text != '\0') {
        int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > COLUMNS) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}
