/* SPDX-License-Identifier: MIT */
/* From what a user calls a port to a device: paths, with keys or without, and specs. */
#include "krctl.h"
#include "ports.h"
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Whether a path leads to a terminal, without opening it, which has effects (DTR). Pseudo-terminals
   are not in sysfs. */
static bool is_terminal(const char *path)
{
    char name[64], link[PATH_MAX], real[PATH_MAX];
    struct stat st;

    if (realpath(path, real) == NULL)
        return strncmp(path, "/dev/tty", 8) == 0 || strncmp(path, "/dev/serial/", 12) == 0;
    if (stat(real, &st) != 0 || !S_ISCHR(st.st_mode))
        return false;
    if (strncmp(real, "/dev/pts/", 9) == 0)
        return true;
    snprintf(name, sizeof(name), "/sys/dev/char/%u:%u/subsystem", major(st.st_rdev),
             minor(st.st_rdev));
    ssize_t len = readlink(name, link, sizeof(link) - 1);
    link[len > 0 ? len : 0] = '\0';
    return len > 4 && strcmp(link + len - 4, "/tty") == 0;
}

/* The path in a port such as "/dev/ttyUSB0?baud=9600": its length, 0 when the port is no path. */
static size_t path_length(const char *port)
{
    struct stat st;

    if (port[0] != '/' && port[0] != '.')
        return 0;
    return stat(port, &st) == 0 ? strlen(port) : strcspn(port, "?");
}

bool port_spec(char spec[PORT_SPEC_MAX], const char *port, enum driver_class_e cl)
{
    static const size_t size = PORT_SPEC_MAX;
    size_t path = path_length(port), len = 0;

    _Static_assert(PORT_SPEC_MAX > 3 * PATH_MAX, "every byte of a path may need an escape");
    if (strlen(port) >= PATH_MAX)
        return false;
    if (path > 0) {
        char name[PATH_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)path, port);
        bool tty = cl == DRIVER_CLASS_UART || is_terminal(name);
        len = (size_t)snprintf(spec, size, tty ? "tty:" : "file:");
    }
    for (size_t i = 0; i < path; i++)
        len += (size_t)snprintf(spec + len, size - len,
                                strchr("%?& ", port[i]) != NULL ? "%%%02X" : "%c",
                                (unsigned char)port[i]);
    snprintf(spec + len, size - len, "%s", port + path);
    return true;
}

/* Whether the spec has `key`, of `len` bytes. */
static bool has_key(const char *spec, const char *key, size_t len)
{
    const char *at = strchr(spec, '?');

    while (at != NULL) {
        if (strncmp(at + 1, key, len) == 0 && at[1 + len] == '=')
            return true;
        at = strchr(at + 1, '&');
    }
    return false;
}

void port_add_key(char spec[PORT_SPEC_MAX], const char *key_value)
{
    size_t len = strlen(spec);

    if (!has_key(spec, key_value, strcspn(key_value, "=")))
        snprintf(spec + len, PORT_SPEC_MAX - len, "%c%s", strchr(spec, '?') != NULL ? '&' : '?',
                 key_value);
}

/* The path behind a port, for hints; "" when there is none. */
static void find_path(char *path, size_t size, const char *port)
{
    size_t len = path_length(port);
    const char *slash = strchr(port, '/');

    if (len == 0 && slash != NULL && slash > port && slash[-1] == ':') {
        port = slash;
        len = strcspn(port, "?");
    }
    snprintf(path, size, "%.*s", (int)len, port);
}

/* Drivers whose errors are about the machine, and say what to try there. */
static bool explains_itself(const char *port, error_t err)
{
    return (strncmp(port, "uio:", 4) == 0 || strncmp(port, "vfio:", 5) == 0) && err != -EINVAL &&
           err != -ERANGE;
}

static void hint(const char *port, error_t err)
{
    char path[PATH_MAX], device[PATH_MAX];

    find_path(path, sizeof(path), port);
    snprintf(device, sizeof(device), "/dev/%.200s", port);
    if (path[0] == '\0' && strchr(port, '/') == NULL && access(device, F_OK) == 0)
        krctl_hint("%s", device);
    else if ((path[0] != '\0' && err == -ENOTSUP) || explains_itself(port, err))
        return; /* as for a setting that the port refused: the library says what to try */
    else if (path[0] == '\0' || err == -EINVAL || err == -ERANGE)
        krctl_hint(
            "krctl drivers, which has the keys of their specs; krctl list, which has the devices");
    else
        ports_hint(path, err);
}

error_t session_try_port(struct session_s *s, struct device_accessor_s *acc, const char *port,
                         enum driver_class_e cl)
{
    char spec[PORT_SPEC_MAX];

    if (!port_spec(spec, port, cl))
        return -ENAMETOOLONG;
    return device_get_accessor_by_path(acc, kroutine_runtime_devices(s->runtime), spec, cl);
}

int session_open_spec(struct session_s *s, struct device_accessor_s *acc, const char *spec,
                      const char *port, enum driver_class_e cl)
{
    error_t err = device_get_accessor_by_path(acc, kroutine_runtime_devices(s->runtime), spec, cl);

    if (err == 0)
        return KRCTL_OK;
    krctl_fail("%s", krctl_error(err));
    hint(port, err);
    return KRCTL_FAILED;
}

int session_open_port(struct session_s *s, struct device_accessor_s *acc, const char *port,
                      enum driver_class_e cl)
{
    char spec[PORT_SPEC_MAX];

    if (!port_spec(spec, port, cl))
        return krctl_fail("%.40s...: %s", port, strerror(ENAMETOOLONG));
    return session_open_spec(s, acc, spec, port, cl);
}
