/* SPDX-License-Identifier: MIT */
/* krctl list: every device that this machine offers, the spec that opens it, who has it. */
#include "host.h"
#include "krctl.h"
#include "options.h"
#include "output.h"

#include <kroutine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct host_s host;
    const char *cl; /* NULL: all */
    const char *root;
    bool json;
} list;

/* --- which --- */

static bool is_class(const char *name)
{
    for (enum driver_class_e cl = DRIVER_CLASS_NONE + 1; cl < DRIVER_CLASS_COUNT; cl++)
        if (strcmp(device_class_name(cl), name) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct host_row_s *row)
{
    const char *at;
    size_t len;

    if (list.cl == NULL || strcmp(device_class_name(row->cl), list.cl) == 0)
        return true;
    len = strlen(list.cl);
    for (at = row->classes; (at = strstr(at, list.cl)) != NULL; at += len)
        if ((at == row->classes || at[-1] == ' ') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static void keep_wanted(struct host_s *h)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < h->rows; i++)
        if (is_wanted(&h->row[i]))
            h->row[kept++] = h->row[i];
    h->rows = kept;
}

/* --- a table --- */

/* "socat (1234), 2 more"; "-" nobody, "?" nobody that can be seen. */
static void holders_text(char *text, size_t size, const struct host_row_s *row)
{
    size_t len = 0;

    snprintf(text, size, "%s", row->hidden ? "?" : "-");
    for (unsigned i = 0; i < row->holders && i < HOST_HOLDERS && len < size; i++) {
        const struct host_holder_s *holder = &row->holder[i];

        len += (size_t)snprintf(text + len, size - len, "%s%s", i > 0 ? ", " : "", holder->name);
        if (holder->pid != 0 && len < size)
            len += (size_t)snprintf(text + len, size - len, " (%ld)", holder->pid);
    }
    if (row->holders > HOST_HOLDERS && len < size)
        snprintf(text + len, size - len, ", %u more", row->holders - HOST_HOLDERS);
}

static int wider(int width, const char *text)
{
    int len = (int)strlen(text);

    return len > width ? len : width;
}

static void print_table(const struct host_s *h)
{
    int spec = 4, classes = 5, held = 7;
    bool unseen = false;
    char text[256];

    for (unsigned i = 0; i < h->rows; i++) {
        holders_text(text, sizeof(text), &h->row[i]);
        spec = wider(spec, h->row[i].spec);
        classes = wider(classes, h->row[i].classes);
        held = wider(held, text);
    }
    printf("%s%-*s  %-*s  %-*s  %s%s\n", krctl_style(KRCTL_BOLD), spec, "SPEC", classes, "CLASS",
           held, "HELD BY", "WHAT", krctl_style(KRCTL_PLAIN));
    for (unsigned i = 0; i < h->rows; i++) {
        const struct host_row_s *row = &h->row[i];

        holders_text(text, sizeof(text), row);
        unseen = unseen || text[0] == '?';
        printf("%s%-*s%s  %-*s  %-*s  %s\n", krctl_style(KRCTL_GREEN), spec,
               row->spec[0] != '\0' ? row->spec : "-", krctl_style(KRCTL_PLAIN), classes,
               row->classes, held, text, row->what);
    }
    if (unseen)
        printf("\n? may be held by somebody who cannot be seen; %s\n",
               geteuid() == 0 ? "not from here" : "root sees all: sudo krctl list");
}

/* --- JSON --- */

static void print_holders(struct bytes_s *out, const struct host_row_s *row)
{
    if (row->holders == 0 && row->hidden) {
        bytes_printf(out, "null");
        return;
    }
    bytes_printf(out, "[");
    for (unsigned i = 0; i < row->holders && i < HOST_HOLDERS; i++) {
        bytes_printf(out, "%s{\"name\":", i > 0 ? "," : "");
        bytes_json(out, row->holder[i].name);
        if (row->holder[i].pid != 0)
            bytes_printf(out, ",\"pid\":%ld", row->holder[i].pid);
        bytes_printf(out, "}");
    }
    bytes_printf(out, "]");
}

static void print_classes(struct bytes_s *out, const char *classes)
{
    bytes_printf(out, "[");
    for (const char *at = classes; *at != '\0'; at += strspn(at, ", ")) {
        int len = (int)strcspn(at, ",");

        bytes_printf(out, "%s\"%.*s\"", at > classes ? "," : "", len, at);
        at += len;
    }
    bytes_printf(out, "]");
}

static void print_json(const struct host_s *h)
{
    for (unsigned i = 0; i < h->rows; i++) {
        const struct host_row_s *row = &h->row[i];
        struct bytes_s out = {0};

        bytes_printf(&out, "{\"spec\":");
        if (row->spec[0] != '\0')
            bytes_json(&out, row->spec);
        else
            bytes_printf(&out, "null");
        bytes_printf(&out, ",\"class\":\"%s\",\"classes\":", device_class_name(row->cl));
        print_classes(&out, row->classes);
        bytes_printf(&out, ",\"what\":");
        bytes_json(&out, row->what);
        bytes_printf(&out, ",\"holders\":");
        print_holders(&out, row);
        bytes_printf(&out, "}\n");
        fwrite(out.data, 1, out.size, stdout);
        free(out.data);
    }
}

/* --- the command --- */

static void find(struct host_s *h)
{
    static void (*const finders[])(struct host_s * h) = {
        host_ttys, host_gpios, host_i2c, host_spi, host_pwm, host_nvmem, host_uio, host_vfio,
    };

    host_scan_open(h);
    host_tree(h); /* before specs add to the tree */
    for (size_t i = 0; i < sizeof(finders) / sizeof(finders[0]); i++)
        finders[i](h);
    keep_wanted(h);
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        {.name = "class", .letter = 'c', .kind = OPTION_WORD, .to = &list.cl},
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &list.json},
        {.name = "sysroot", .kind = OPTION_WORD, .to = &list.root},
        {0},
    };
    bool done;
    int status = options_take(&krctl_list, table, argc, argv, &done);

    if (done)
        return status;
    status = options_no_more(&krctl_list, argc, argv);
    if (status != KRCTL_OK)
        return status;
    if (list.cl != NULL && !is_class(list.cl))
        return krctl_usage(&krctl_list, "there is no class '%s'", list.cl);
    list.host.root = list.root != NULL ? list.root : "";
    if (!host_has(&list.host, "/sys"))
        return krctl_fail("there is no %s/sys", list.host.root);
    if (kroutine_runtime_default() == NULL)
        return krctl_fail("cannot make a runtime: %s", kroutine_error_text());
    find(&list.host);
    if (list.json)
        print_json(&list.host);
    else
        print_table(&list.host);
    host_free(&list.host);
    return KRCTL_OK;
}

const struct krctl_command_s krctl_list = {
    .name = "list",
    .summary = "devices of this machine, the specs that open them, who has them",
    .help = "usage: krctl list [OPTION]...\n"
            "\n"
            "Lists the devices that this machine offers: the spec that opens one, its\n"
            "classes, who has it, and what it is. No serial port is opened. - in place of a\n"
            "spec: a driver of the kernel has it, or it has no device file.\n"
            "\n"
            "  -c, --class CLASS   only those of a class: uart, gpio, i2c, spi, pwm, ...\n"
            "  -j, --json          lines of JSON\n"
            "      --sysroot DIR   look at a copy of /sys, /dev and /proc in DIR\n"
            "  -h, --help          this text\n"
            "\n"
            "krctl drivers has the drivers, and the keys of their specs.\n",
    .run = run,
};
