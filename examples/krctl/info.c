/* SPDX-License-Identifier: MIT */
/* krctl info: what a runtime of this library gets on this machine. */
#include "krctl.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

static void label(const char *name)
{
    printf("%s%-10s%s", krctl_style(KRCTL_BOLD), name, krctl_style(KRCTL_PLAIN));
}

static void print(const struct kroutine_runtime_info_s *info)
{
    struct utsname system;

    label("library");
    printf("libkroutine %s\n", kroutine_version());
    if (uname(&system) == 0) {
        label("system");
        printf("%s %s on %s, %ld CPUs\n", system.sysname, system.release, system.machine,
               sysconf(_SC_NPROCESSORS_ONLN));
    }
    label("backend");
    printf("%s%s%s\n", krctl_style(KRCTL_GREEN), info->backend, krctl_style(KRCTL_PLAIN));
    label("because");
    krctl_wrap(info->reason, 10);
    label("pool");
    printf("%u worker%s for deferred handlers\n", info->pool_size, info->pool_size == 1 ? "" : "s");
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *runtime;
    struct kroutine_runtime_info_s info;
    int option;

    kroutine_runtime_config_init(&config);
    while ((option = getopt_long(argc, argv, "b:h", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_info);
        if (option != 'b')
            return krctl_usage(&krctl_info, NULL);
        if (!krctl_backend(optarg, &config.backend))
            return krctl_usage(&krctl_info, "'%s' is not auto, uring or epoll", optarg);
    }
    if (optind < argc)
        return krctl_usage(&krctl_info, "'%s' is one word too many", argv[optind]);

    error_t err = kroutine_runtime_create(&runtime, &config);
    if (err != 0) {
        krctl_fail("cannot make a runtime: %s", krctl_error(err));
        if (config.backend != KROUTINE_BACKEND_AUTO)
            krctl_hint("--backend auto, which takes the best one that works here");
        return KRCTL_FAILED;
    }
    err = kroutine_runtime_info(runtime, &info);
    if (err == 0)
        print(&info);
    kroutine_runtime_destroy(runtime);
    return err == 0 ? KRCTL_OK : krctl_fail("no information: %s", krctl_error(err));
}

const struct krctl_command_s krctl_info = {
    .name = "info",
    .summary = "which backend is used on this machine and why, the worker pool",
    .help = "usage: krctl info [--backend auto|uring|epoll]\n"
            "\n"
            "Makes a runtime and says what it got: the backend that waits for devices, why\n"
            "that one, and how many workers run deferred handlers.\n"
            "\n"
            "  -b, --backend NAME  ask for one: fails, and says why, if it does not work here\n"
            "  -h, --help          this text\n",
    .run = run,
};
