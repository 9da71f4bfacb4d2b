/* SPDX-License-Identifier: MIT */
/* krctl uart show: all that the uart class tells about a port. */
#include "uart.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_COLUMN 14

const char *const uart_line_names[] = {"DTR", "RTS", "CTS", "DSR", "DCD", "RI", NULL};

static const char *const parities[] = {"none", "odd", "even", "mark", "space"};
static const char *const flows[] = {"none", "rtscts", "xonxoff", "dtrdsr"};

/* What the class tells; an error stands for the part that the port does not have. */
struct facts_s {
    struct dev_uart_config_s config;
    struct dev_uart_rs485_s rs485;
    struct dev_uart_counts_s counts;
    uint32_t lines;
    bool low_latency;
    char no_rs485[256]; /* why; "": there is one */
    char no_counts[256];
    char no_lines[256];
    char no_low_latency[256];
};

static void reason(char text[256], error_t err)
{
    snprintf(text, 256, "%s", err == 0 ? "" : krctl_error(err));
}

static error_t gather(struct facts_s *f, const struct device_uart_s *uart)
{
    error_t err = DEVICE_OP(uart, get_config, &f->config);

    if (err != 0)
        return err;
    reason(f->no_rs485, DEVICE_OP(uart, get_rs485, &f->rs485));
    reason(f->no_counts, DEVICE_OP(uart, get_counts, &f->counts));
    reason(f->no_lines, DEVICE_OP(uart, get_lines, &f->lines));
    reason(f->no_low_latency, DEVICE_OP(uart, get_low_latency, &f->low_latency));
    return 0;
}

/* --- JSON --- */

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

void uart_add_lines(struct bytes_s *to, uint32_t lines, bool json)
{
    for (unsigned i = 0; uart_line_names[i] != NULL; i++) {
        const char *name = uart_line_names[i];
        bool on = lines & (1u << i);

        if (json)
            bytes_printf(to, "%s\"%c%c%s\":%s", i == 0 ? "{" : ",", name[0] | 0x20, name[1] | 0x20,
                         name[2] == '\0'  ? ""
                         : name[2] == 'R' ? "r"
                         : name[2] == 'S' ? "s"
                                          : "d",
                         boolean(on));
        else
            bytes_printf(to, "%s%s %s%s%s", i == 0 ? "" : "  ", name,
                         krctl_style(on ? KRCTL_GREEN : KRCTL_DIM), on ? "on" : "off",
                         krctl_style(KRCTL_PLAIN));
    }
    if (json)
        bytes_add(to, "}", 1);
}

static void add_json(struct bytes_s *to, const struct facts_s *f, const char *port)
{
    bytes_printf(to, "{\"port\":");
    bytes_json(to, port);
    bytes_printf(to, ",\"baud\":%" PRIu32 ",\"data\":%u,\"parity\":\"%s\",\"stop\":%u",
                 f->config.baudrate, f->config.data_bits, parities[f->config.parity],
                 f->config.stop_bits);
    bytes_printf(to, ",\"flow\":\"%s\",\"rs485\":", flows[f->config.flow_ctrl]);
    if (f->no_rs485[0] != '\0')
        bytes_printf(to, "null");
    else if (!f->rs485.enable)
        bytes_printf(to, "false");
    else
        bytes_printf(to,
                     "{\"rts_on_send\":%s,\"rts_after_send\":%s,\"before_ms\":%" PRIu32
                     ",\"after_ms\":%" PRIu32 ",\"rx\":%s,\"term\":%s}",
                     boolean(f->rs485.rts_on_send), boolean(f->rs485.rts_after_send),
                     f->rs485.delay_before_ms, f->rs485.delay_after_ms,
                     boolean(f->rs485.rx_during_tx), boolean(f->rs485.terminate_bus));
    bytes_printf(to, ",\"low_latency\":%s,\"lines\":",
                 f->no_low_latency[0] != '\0' ? "null" : boolean(f->low_latency));
    if (f->no_lines[0] != '\0')
        bytes_printf(to, "null");
    else
        uart_add_lines(to, f->lines, true);
    if (f->no_counts[0] != '\0')
        bytes_printf(to, ",\"errors\":null}\n");
    else
        bytes_printf(to,
                     ",\"errors\":{\"parity\":%" PRIu64 ",\"framing\":%" PRIu64
                     ",\"overrun\":%" PRIu64 ",\"buffer_overrun\":%" PRIu64 ",\"breaks\":%" PRIu64
                     "}}\n",
                     f->counts.parity, f->counts.framing, f->counts.overrun,
                     f->counts.buffer_overrun, f->counts.breaks);
}

/* --- a table --- */

static void label(const char *name)
{
    printf("%s%-*s%s", krctl_style(KRCTL_BOLD), VALUE_COLUMN, name, krctl_style(KRCTL_PLAIN));
}

/* True, and says why, when the port does not have that part. */
static bool lacks(const char *name, const char *why)
{
    char text[320];

    label(name);
    if (why[0] == '\0')
        return false;
    snprintf(text, sizeof(text), "not supported: %s", why);
    fputs(krctl_style(KRCTL_DIM), stdout);
    krctl_wrap(text, VALUE_COLUMN);
    fputs(krctl_style(KRCTL_PLAIN), stdout);
    return true;
}

static void print_rs485(const struct facts_s *f)
{
    if (lacks("rs485", f->no_rs485))
        return;
    if (!f->rs485.enable) {
        puts("off");
        return;
    }
    printf("on, RTS %s while sending, %s after\n", f->rs485.rts_on_send ? "high" : "low",
           f->rs485.rts_after_send ? "high" : "low");
    printf("%*s%" PRIu32 " ms before, %" PRIu32 " ms after; receives its own: %s; terminated: %s\n",
           VALUE_COLUMN, "", f->rs485.delay_before_ms, f->rs485.delay_after_ms,
           f->rs485.rx_during_tx ? "yes" : "no", f->rs485.terminate_bus ? "yes" : "no");
}

static void print_table(const struct facts_s *f, const char *port)
{
    struct bytes_s lines = {0};

    label("port");
    puts(port);
    label("baud");
    printf("%" PRIu32 "\n", f->config.baudrate);
    label("format");
    printf("%u data bits, parity %s, %u stop bit%s\n", f->config.data_bits,
           parities[f->config.parity], f->config.stop_bits, f->config.stop_bits == 1 ? "" : "s");
    label("flow control");
    puts(flows[f->config.flow_ctrl]);
    print_rs485(f);
    if (!lacks("low latency", f->no_low_latency))
        puts(f->low_latency ? "on" : "off");
    if (!lacks("modem lines", f->no_lines)) {
        uart_add_lines(&lines, f->lines, false);
        printf("%.*s\n", (int)lines.size, (const char *)lines.data);
        free(lines.data);
    }
    if (!lacks("errors", f->no_counts))
        printf("parity %" PRIu64 ", framing %" PRIu64 ", overrun %" PRIu64 ", buffer %" PRIu64
               ", breaks %" PRIu64 "\n",
               f->counts.parity, f->counts.framing, f->counts.overrun, f->counts.buffer_overrun,
               f->counts.breaks);
}

int uart_print(const struct device_uart_s *uart, const char *port, bool json)
{
    struct bytes_s text = {0};
    struct facts_s facts;
    error_t err = gather(&facts, uart);

    if (err != 0)
        return krctl_fail("%s: %s", port, krctl_error(err));
    if (!json) {
        print_table(&facts, port);
        return KRCTL_OK;
    }
    add_json(&text, &facts, port);
    fwrite(text.data, 1, text.size, stdout);
    free(text.data);
    return KRCTL_OK;
}

static int show(const char *port, bool json, enum kroutine_backend_e backend)
{
    struct session_s s = {0};
    struct device_uart_s uart = DEVICE_ACCESSOR_INIT;
    int status = session_open(&s, backend);

    if (status != KRCTL_OK)
        return status;
    status = uart_open(&s, &uart, port, "", uart_restore);
    if (status == KRCTL_OK)
        status = uart_print(&uart, port, json);
    device_put_accessor(&uart.base);
    session_close(&s);
    return status;
}

static int run(int argc, char **argv)
{
    struct uart_options_s o;
    int status;

    if (!uart_options(&o, &krctl_uart_show, argc, argv, &status))
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_uart_show, "'%s' is one word too many", argv[optind]);
    return show(o.port, o.json, o.backend);
}

const struct krctl_command_s krctl_uart_show = {
    .name = "uart show",
    .summary = "the settings of a port",
    .help = "usage: krctl uart show SPEC [OPTION]...\n"
            "\n"
            "Prints the settings of a port, as the hardware really has them, its modem lines\n"
            "and the errors that it counts while it is open. What the port does not have is\n"
            "named, with the reason.\n"
            "\n"
            "  -j, --json          one line of JSON; null: the port does not have it\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};
