/* SPDX-License-Identifier: MIT */
#include "bus.h"
#include "options.h"
#include "parse.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "/dev/i2c-1", "/dev/spidev0.0" are what "i2c:i2c-1" and "spi:0.0" open; any other path goes to
   the driver as it is. */
static const char *short_name(const char *name)
{
    if (strncmp(name, "/dev/i2c-", 9) == 0)
        return name + 5;
    if (strncmp(name, "/dev/spidev", 11) == 0)
        return name + 11;
    return strncmp(name, "spidev", 6) == 0 ? name + 6 : name;
}

int bus_open(struct session_s *s, struct device_accessor_s *acc, const char *name,
             const char *driver, enum driver_class_e cl, const char *key)
{
    struct device_s *tree = kroutine_runtime_devices(s->runtime);
    char spec[PORT_SPEC_MAX];
    error_t err;

    if (strlen(name) >= PATH_MAX)
        return krctl_fail("%.40s...: %s", name, strerror(ENAMETOOLONG));
    if (strchr(name, ':') != NULL)
        snprintf(spec, sizeof(spec), "%s", name);
    else
        snprintf(spec, sizeof(spec), "%s:%s", driver, short_name(name));
    if (key != NULL)
        port_add_key(spec, key);
    err = device_get_accessor_by_path(acc, tree, spec, cl);
    if (err == 0)
        return KRCTL_OK;
    krctl_fail("%s", krctl_error(err));
    if (err == -EINVAL || err == -ERANGE)
        krctl_hint("krctl drivers, which has the keys of specs");
    else if (err == -ENOENT || err == -ENODEV)
        krctl_hint("krctl list --class %s", device_class_name(cl));
    return KRCTL_FAILED;
}

int bus_fail(const char *name, error_t err)
{
    switch (err) {
    case -ENODEV:
        return krctl_fail("%s is gone", name);
    case -ECANCELED:
        return krctl_fail("%s was closed", name);
    default:
        return krctl_fail("%s: %s", name, krctl_error(err));
    }
}

int bus_end(struct session_s *s, int status)
{
    session_end(s, status);
    return session_run(s);
}

void bus_put_hex(struct bytes_s *to, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes_printf(to, "%s%02x", i > 0 ? " " : "", data[i]);
    bytes_printf(to, "\n");
}

#define INPUT_MAX (16u << 20) /* bytes, so that a wrong file does no harm */

static uint8_t *read_input(size_t *size)
{
    uint8_t *data = NULL;
    size_t room = 0;
    ssize_t count;

    *size = 0;
    do {
        if (*size == room) {
            room = room > 0 ? 2 * room : 4096;
            uint8_t *more = room <= INPUT_MAX ? realloc(data, room) : NULL;
            if (more == NULL) {
                krctl_fail("standard input has more than %u bytes", INPUT_MAX / 2);
                free(data);
                return NULL;
            }
            data = more;
        }
        count = read(STDIN_FILENO, data + *size, room - *size);
        *size += count > 0 ? (size_t)count : 0;
    } while (count > 0 || (count < 0 && errno == EINTR));
    if (count == 0)
        return data;
    krctl_fail("cannot read standard input: %s", strerror(errno));
    free(data);
    return NULL;
}

static uint8_t *read_words(const struct krctl_command_s *command, int argc, char **argv,
                           size_t *size)
{
    size_t room = 1;

    for (int i = optind; i < argc; i++)
        room += strlen(argv[i]);
    uint8_t *data = malloc(room);
    if (data == NULL)
        krctl_fail("no memory for %zu bytes", room);
    *size = 0;
    for (; data != NULL && optind < argc; optind++) {
        const char *wrong = NULL;
        ptrdiff_t count = parse_hex(data + *size, argv[optind], &wrong);

        if (count < 0) {
            krctl_usage(command, "'%s' is no hexadecimal byte, at '%s'", argv[optind], wrong);
            free(data);
            return NULL;
        }
        *size += (size_t)count;
    }
    return data;
}

uint8_t *bus_bytes(const struct krctl_command_s *command, int argc, char **argv, size_t *size)
{
    if (optind < argc && strcmp(argv[optind], "-") != 0)
        return read_words(command, argc, argv, size);
    optind += optind < argc;
    return options_no_more(command, argc, argv) == KRCTL_OK ? read_input(size) : NULL;
}
