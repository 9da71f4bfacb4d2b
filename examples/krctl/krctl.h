/* SPDX-License-Identifier: MIT */
/* What the commands of krctl share. A command is a file that defines one struct krctl_command_s,
   and a line in the table of main.c. */
#ifndef KRCTL_KRCTL_H
#define KRCTL_KRCTL_H

#include <kroutine.h>

enum krctl_exit_e {
    KRCTL_OK = 0,
    KRCTL_FAILED = 1,   /* understood, and it did not work */
    KRCTL_USAGE = 2,    /* not understood */
    KRCTL_TIMEOUT = 3,  /* --timeout came first */
    KRCTL_SIGNAL = 128, /* and the number of the signal that ended it */
};

struct krctl_command_s {
    const char *name;
    const char *summary; /* for the list of commands */
    const char *help;    /* what `krctl NAME --help` prints */
    int (*run)(int argc, char **argv);
    const struct krctl_command_s *const *members; /* of a group such as char, up to a NULL */
};

extern const struct krctl_command_s krctl_char;
extern const struct krctl_command_s krctl_demo;
extern const struct krctl_command_s krctl_dma;
extern const struct krctl_command_s krctl_drivers;
extern const struct krctl_command_s krctl_gpio;
extern const struct krctl_command_s krctl_i2c;
extern const struct krctl_command_s krctl_info;
extern const struct krctl_command_s krctl_irq;
extern const struct krctl_command_s krctl_list;
extern const struct krctl_command_s krctl_mem;
extern const struct krctl_command_s krctl_mmio;
extern const struct krctl_command_s krctl_player;
extern const struct krctl_command_s krctl_pwm;
extern const struct krctl_command_s krctl_spi;
extern const struct krctl_command_s krctl_uart;
extern const struct krctl_command_s krctl_value;
extern const struct krctl_command_s krctl_vfio;

/* The command of that name in a list that ends with a NULL; NULL: there is none. */
const struct krctl_command_s *krctl_find(const struct krctl_command_s *const *list,
                                         const char *name);

/* Lets a command, or the member of it that argv[1] names, run. */
int krctl_run(const struct krctl_command_s *command, int argc, char **argv);

/* Prints the help of a command: KRCTL_OK. */
int krctl_help(const struct krctl_command_s *command);

/* Says what is wrong with the command line, and where help is: KRCTL_USAGE. Without a format, when
   getopt has said it already. */
int krctl_usage(const struct krctl_command_s *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The word after the options, such as a SPEC, and moves optind on; NULL and *status = KRCTL_USAGE
   when it is missing. */
const char *krctl_operand(const struct krctl_command_s *command, int argc, char **argv,
                          const char *what, int *status);

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

/* The arguments of the options --backend, and --timeout and others: KRCTL_OK, or says what is
   wrong: KRCTL_USAGE. */
int krctl_backend_option(const struct krctl_command_s *command, enum kroutine_backend_e *backend);
int krctl_time_option(const struct krctl_command_s *command, const char *option, uint64_t *ns);
int krctl_size_option(const struct krctl_command_s *command, const char *option, uint64_t *size);

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
