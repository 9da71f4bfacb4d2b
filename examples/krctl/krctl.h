/* SPDX-License-Identifier: MIT */
/* What the commands of krctl share. A command is a file that defines one struct krctl_command_s,
   and a line in the table of main.c. */
#ifndef KRCTL_KRCTL_H
#define KRCTL_KRCTL_H

#include <kroutine.h>

enum krctl_exit_e {
    KRCTL_OK = 0,
    KRCTL_FAILED = 1, /* understood, and it did not work */
    KRCTL_USAGE = 2,  /* not understood */
};

struct krctl_command_s {
    const char *name;
    const char *summary; /* for the list of commands */
    const char *help;    /* what `krctl NAME --help` prints */
    int (*run)(int argc, char **argv);
};

extern const struct krctl_command_s krctl_demo;
extern const struct krctl_command_s krctl_info;
extern const struct krctl_command_s krctl_list;
extern const struct krctl_command_s krctl_player;

/* Prints the help of a command: KRCTL_OK. */
int krctl_help(const struct krctl_command_s *command);

/* Says what is wrong with the command line, and where help is: KRCTL_USAGE. Without a format, when
   getopt has said it already. */
int krctl_usage(const struct krctl_command_s *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For a command without operands and options: KRCTL_OK when there are none, or what to return;
 *done tells which. */
int krctl_no_options(const struct krctl_command_s *command, int argc, char **argv, bool *done);

/* Says what failed: KRCTL_FAILED. */
int krctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line below it that says what to try. */
void krctl_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The error of a library call in words: what kroutine_error_text() says, or strerror. */
const char *krctl_error(error_t err);

/* A number that fills `text`, between `min` and `max`. */
bool krctl_number(const char *text, double min, double max, double *value);

/* "auto", "uring", "epoll". */
bool krctl_backend(const char *text, enum kroutine_backend_e *backend);

/* Escape sequences when standard output is a terminal that has them and NO_COLOR is not set, else
   "". */
enum krctl_style_e {
    KRCTL_PLAIN,
    KRCTL_BOLD,
    KRCTL_DIM,
    KRCTL_GREEN,
    KRCTL_RED,
    KRCTL_BLUE,
};

const char *krctl_style(enum krctl_style_e style);

/* Prints `text` in lines of at most 80 columns: the first one starts at column `indent`, where the
   cursor is already, and the others are moved there. */
void krctl_wrap(const char *text, int indent);

#endif
