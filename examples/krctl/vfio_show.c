/* SPDX-License-Identifier: MIT */
/* krctl vfio show: PCI devices, and what stands between them and a program. */
#include "vfio.h"

#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The user and the group that may open a file: "root", "alice", "root or group vfio"; "anybody". */
static void owners(char *to, size_t size, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        snprintf(to, size, "?");
        return;
    }
    const struct passwd *user = getpwuid(st.st_uid);
    const struct group *group = getgrgid(st.st_gid);
    char uid[16], gid[16];

    if (st.st_uid == 0)
        strcpy(uid, "root");
    else
        snprintf(uid, sizeof(uid), "user %u", (unsigned)st.st_uid);
    snprintf(gid, sizeof(gid), "%u", (unsigned)st.st_gid);
    if ((st.st_mode & 06) == 06)
        snprintf(to, size, "anybody");
    else if ((st.st_mode & 060) == 060 && st.st_gid != 0)
        snprintf(to, size, "%s or group %s", user != NULL ? user->pw_name : uid,
                 group != NULL ? group->gr_name : gid);
    else
        snprintf(to, size, "%s", user != NULL ? user->pw_name : uid);
}

static const char *iommu(const struct vfio_device_s *d)
{
    return d->group[0] == '\0' || d->no_iommu ? "-" : d->group;
}

static bool print_row(const struct vfio_device_s *d, void *arg)
{
    char path[48], who[64] = "";
    const char *state = "";

    (void)arg;
    if (!vfio_node(d, path))
        path[0] = '\0';
    if (vfio_is_bridge(d))
        state = "bridge";
    else if (path[0] != '\0' && vfio_is_bound(d))
        owners(who, sizeof(who), path);
    else if (vfio_is_bound(d))
        state = "no file in /dev/vfio";
    else if (d->group[0] == '\0')
        state = "no IOMMU";
    printf("%-12s  %04x:%04x  %06x  %-5s  %-16s  %s%s%s\n", d->name, d->vendor, d->device,
           d->class_code, iommu(d), d->driver[0] != '\0' ? d->driver : "-",
           who[0] != '\0' ? path : state, who[0] != '\0' ? ": " : "", who);
    return true;
}

struct json_s {
    unsigned count;
};

static const char *quoted(char to[40], const char *text)
{
    if (text[0] == '\0')
        return "null";
    snprintf(to, 40, "\"%s\"", text); /* names of the kernel: nothing to escape */
    return to;
}

static bool print_json(const struct vfio_device_s *d, void *arg)
{
    struct json_s *json = arg;
    char path[48], driver[40];
    bool node = vfio_is_bound(d) && vfio_node(d, path);

    printf("%s{\"device\":\"%s\",\"vendor\":%u,\"id\":%u,\"class\":%u,\"group\":%s",
           json->count++ == 0 ? "" : ",", d->name, d->vendor, d->device, d->class_code,
           d->group[0] != '\0' ? d->group : "null");
    printf(",\"iommu\":%s,\"driver\":%s,\"bridge\":%s",
           d->group[0] != '\0' && !d->no_iommu ? "true" : "false", quoted(driver, d->driver),
           vfio_is_bridge(d) ? "true" : "false");
    printf(",\"file\":%s%s%s,\"open\":%s}", node ? "\"" : "", node ? path : "null",
           node ? "\"" : "", node && access(path, R_OK | W_OK) == 0 ? "true" : "false");
    return true;
}

static void print_head(void)
{
    printf("IOMMU: %s\n\n",
           vfio_has_iommu() ? "on" : "none, or off: man kroutine-vfio says how to switch it on");
    printf("%s%-12s  %-9s  %-6s  %-5s  %-16s  %s%s\n", krctl_style(KRCTL_BOLD), "device", "id",
           "class", "group", "driver", "VFIO", krctl_style(KRCTL_PLAIN));
}

static int show_all(const char *group, bool json)
{
    struct json_s state = {0};
    int status;

    if (!json) {
        print_head();
        return vfio_each(group, print_row, NULL);
    }
    printf("{\"iommu\":%s,\"devices\":[", vfio_has_iommu() ? "true" : "false");
    status = vfio_each(group, print_json, &state);
    puts("]}");
    return status;
}

/* A device, and with it all of its group, as these are opened together. */
static int show_one(const char *text, bool json)
{
    struct json_s state = {0};
    struct vfio_device_s d;

    if (!vfio_find(&d, text))
        return KRCTL_FAILED;
    if (d.group[0] != '\0')
        return show_all(d.group, json);
    if (json) {
        printf("{\"iommu\":%s,\"devices\":[", vfio_has_iommu() ? "true" : "false");
        print_json(&d, &state);
        puts("]}");
    } else {
        print_head();
        print_row(&d, NULL);
    }
    return KRCTL_OK;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    bool json = false;
    int option;

    while ((option = getopt_long(argc, argv, "hj", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_vfio_show);
        if (option != 'j')
            return krctl_usage(&krctl_vfio_show, NULL);
        json = true;
    }
    const char *device = optind < argc ? argv[optind++] : NULL;
    if (optind < argc)
        return krctl_usage(&krctl_vfio_show, "'%s' is one word too many", argv[optind]);
    return device != NULL ? show_one(device, json) : show_all(NULL, json);
}

const struct krctl_command_s krctl_vfio_show = {
    .name = "vfio show",
    .summary = "PCI devices, their drivers and IOMMU groups, and who can open them",
    .help = "usage: krctl vfio show [DEVICE] [OPTION]...\n"
            "\n"
            "Lists the PCI devices of this machine: address, vendor and device, class, IOMMU\n"
            "group, driver; of those that are bound to VFIO the file that opens them, and who\n"
            "may. With a DEVICE, such as 0000:00:03.0, that one and the others of its group.\n"
            "\n"
            "  -j, --json          one line of JSON\n"
            "  -h, --help          this text\n",
    .run = run,
};
