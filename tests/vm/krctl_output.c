/* SPDX-License-Identifier: MIT */
#include "krctl_output.h"

#include "kt.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 32

char krctl_printed[65536];

static void run(const struct krctl_command_s *command, const char *const *words, int fd)
{
    const char *argv[WORDS + 2] = {command->name};
    int argc = 1;

    while (*words != NULL && argc <= WORDS)
        argv[argc++] = *words++;
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    optind = 0;
    int status = krctl_run(command, argc, (char **)(uintptr_t)argv);
    fflush(stdout);
    _exit(status);
}

int krctl_call(const struct krctl_command_s *command, const char *const *words)
{
    int fd = memfd_create("output", MFD_CLOEXEC), status = 0;

    ck_assert_int_ge(fd, 0);
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        run(command, words, fd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "krctl %s was ended by signal %d", command->name,
                  WTERMSIG(status));
    ssize_t size = pread(fd, krctl_printed, sizeof(krctl_printed) - 1, 0);
    ck_assert_int_ge(size, 0);
    krctl_printed[size] = '\0';
    close(fd);
    return WEXITSTATUS(status);
}

void krctl_has(const char *part)
{
    ck_assert_msg(strstr(krctl_printed, part) != NULL, "no '%s' in:\n%s", part, krctl_printed);
}
