/* SPDX-License-Identifier: MIT */
/* Options of a command as a table, which says where each one goes. -h, --help is in every one. */
#ifndef KRCTL_OPTIONS_H
#define KRCTL_OPTIONS_H

#include <getopt.h> /* optarg, optind */

#include "krctl.h"

enum option_kind_e {
    OPTION_FLAG,    /* bool: true */
    OPTION_WORD,    /* const char * */
    OPTION_SIZE,    /* uint64_t, 1 to `max`, as "64k" */
    OPTION_NUMBER,  /* uint64_t, 0 to `max`, decimal, 0x… */
    OPTION_TIME,    /* uint64_t, ns, as "20ms" */
    OPTION_BACKEND, /* enum kroutine_backend_e */
    OPTION_ENUM,    /* unsigned: index in `words`, which ends with a NULL */
    OPTION_TAKE,    /* take() does */
};

/* Takes optarg into what `to` points to: KRCTL_OK, or says what is wrong with it. */
typedef int option_take_t(const struct krctl_command_s *command, void *to, const char *name);

/* Tables end with a NULL name. */
struct option_s {
    const char *name;
    char letter; /* '\0': none */
    enum option_kind_e kind;
    void *to;
    uint64_t max; /* 0: no limit */
    const char *const *words;
    option_take_t *take;
};

#define OPTIONS_MAX 24

/* Takes the options, so that optind is at the first operand: KRCTL_OK; *done when there is nothing
   left to do but to return the status: help was asked for, or something is wrong and was said. */
int options_take(const struct krctl_command_s *command, const struct option_s *table, int argc,
                 char **argv, bool *done);

/* What is not taken as an operand is too much. */
int options_no_more(const struct krctl_command_s *command, int argc, char **argv);

/* A number that is an operand, from 0 to `max`, or says what is wrong with it. */
int options_number(const struct krctl_command_s *command, int argc, char **argv, const char *what,
                   uint64_t max, uint64_t *value);

/* "16", "0x10", "010" is 8; 0 to `max`. */
bool options_parse(const char *text, uint64_t max, uint64_t *value);

#endif
