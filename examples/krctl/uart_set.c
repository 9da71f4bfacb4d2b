/* SPDX-License-Identifier: MIT */
/* krctl uart set: changes settings of a port by the keys of a spec, and leaves them so. */
#include "uart.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* The words as "key=value&key=value". */
static int join(struct bytes_s *keys, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        if (words[i][0] == '=' || strchr(words[i], '=') == NULL || strpbrk(words[i], "& ?") != NULL)
            return krctl_usage(&krctl_uart_set, "'%s' is not KEY=VALUE", words[i]);
        bytes_add(keys, "&", i > 0 ? 1 : 0);
        bytes_add(keys, words[i], strlen(words[i]));
    }
    bytes_add(keys, "", 1);
    return KRCTL_OK;
}

/* The speed is what ports achieve only nearly. */
static void compare_baud(const struct device_uart_s *uart, int count, char **words)
{
    struct dev_uart_config_s config;
    uint64_t wanted = 0;

    for (int i = 0; i < count; i++)
        if (strncmp(words[i], "baud=", 5) == 0)
            parse_size(words[i] + 5, &wanted);
    if (wanted != 0 && DEVICE_OP(uart, get_config, &config) == 0 && config.baudrate != wanted)
        printf("The port makes %u baud, %.2f %% off the %u that were asked for.\n", config.baudrate,
               100.0 * ((double)config.baudrate / (double)wanted - 1), (unsigned)wanted);
}

static int set(const char *port, int count, char **words, bool json,
               enum kroutine_backend_e backend)
{
    struct session_s s = {0};
    struct device_uart_s uart = DEVICE_ACCESSOR_INIT;
    struct bytes_s keys = {0};
    int status = join(&keys, count, words);

    if (status == KRCTL_OK)
        status = session_open(&s, backend);
    if (status != KRCTL_OK) {
        free(keys.data);
        return status;
    }
    status = uart_open(&s, &uart, port, (const char *)keys.data, uart_keep);
    if (status == KRCTL_OK)
        status = uart_print(&uart, port, json);
    if (status == KRCTL_OK && !json)
        compare_baud(&uart, count, words);
    device_put_accessor(&uart.base);
    session_close(&s);
    free(keys.data);
    return status;
}

static int run(int argc, char **argv)
{
    struct uart_options_s o;
    int status;

    if (!uart_options(&o, &krctl_uart_set, argc, argv, &status))
        return status;
    if (optind == argc)
        return krctl_usage(&krctl_uart_set, "KEY=VALUE is missing");
    return set(o.port, argc - optind, argv + optind, o.json, o.backend);
}

const struct krctl_command_s krctl_uart_set = {
    .name = "uart set",
    .summary = "changes settings of a port, and leaves them so",
    .help = "usage: krctl uart set SPEC KEY=VALUE... [OPTION]...\n"
            "\n"
            "Changes settings of a port, leaves them so, and prints what the port has made of\n"
            "them. The keys are those of the spec: baud, data, parity, stop, flow, rs485,\n"
            "low-latency and others; krctl drivers has them all. What is not named stays as\n"
            "it is, but the port is raw after this. With restore=yes it is only a try.\n"
            "\n"
            "  -j, --json          print one line of JSON\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};
