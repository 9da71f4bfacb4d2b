/* SPDX-License-Identifier: MIT */
/*
 * krctl: the command-line tool of libkroutine.
 *
 * Steps: 1. find the command in the table; 2. let it run. Each command has a file of its own.
 * Compile: gcc -D_GNU_SOURCE -I../drivers *.c ../drivers/[a-z]*.c -o krctl
 *          $(pkg-config --cflags --libs libkroutine) -lm
 */
#include "krctl.h"

#include <chips.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct krctl_command_s *const commands[] = {
    &krctl_char, &krctl_demo, &krctl_dma,  &krctl_drivers, &krctl_gpio, &krctl_i2c,
    &krctl_info, &krctl_irq,  &krctl_list, &krctl_mem,     &krctl_mmio, &krctl_player,
    &krctl_pwm,  &krctl_spi,  &krctl_uart, &krctl_value,   &krctl_vfio, NULL,
};

static void print_help(FILE *to)
{
    fputs("usage: krctl COMMAND [OPTION]...\n"
          "       krctl COMMAND --help\n"
          "       krctl --version\n"
          "\n"
          "commands:\n",
          to);
    for (size_t i = 0; commands[i] != NULL; i++)
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
}

/* `krctl help`, `krctl help list`, `krctl help char read`. */
static int help(char **names)
{
    const struct krctl_command_s *command;

    if (names[0] == NULL) {
        print_help(stdout);
        return KRCTL_OK;
    }
    command = krctl_find(commands, names[0]);
    if (command != NULL && command->members != NULL && names[1] != NULL) {
        const struct krctl_command_s *member = krctl_find(command->members, names[1]);
        if (member == NULL)
            return krctl_usage(command, "there is no command '%s'", names[1]);
        command = member;
    }
    return command != NULL ? krctl_help(command)
                           : krctl_usage(NULL, "there is no command '%s'", names[0]);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return KRCTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return help(argv + 2); /* which ends with a NULL */
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("krctl %s\n", kroutine_version());
        return KRCTL_OK;
    }

    const struct krctl_command_s *command = krctl_find(commands, argv[1]);
    if (command == NULL)
        return krctl_usage(NULL, "there is no command '%s'", argv[1]);
    return krctl_run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    error_t err = chips_register(); /* EEPROMs, thermometers, converters and clocks on buses */
    int status = err == 0 ? dispatch(argc, argv)
                          : krctl_fail("cannot register the drivers of chips: %s", strerror(-err));

    /* A full disk or a closed pipe behind standard output is not a success. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == KRCTL_OK)
        return krctl_fail("cannot write the output: %s", strerror(errno));
    return status;
}
