/* SPDX-License-Identifier: MIT */
/* krctl char: the char class of a device. The commands are in char_*.c and monitor.c. */
#include "char.h"
#include "krctl.h"

#include <errno.h>
#include <string.h>

int char_fail(const char *port, const char *doing, error_t err)
{
    switch (err) {
    case -ENODEV:
        return krctl_fail("%s is gone: unplugged, or its other side has closed", port);
    case -EPIPE:
        return krctl_fail("cannot %s %s: nobody reads it any more", doing, port);
    case -ENOTSUP:
        krctl_fail("cannot %s %s in this way", doing, port);
        krctl_hint("--frames with a spec that has a frame= key, or without both");
        return KRCTL_FAILED;
    default:
        return krctl_fail("cannot %s %s: %s", doing, port, strerror(-err));
    }
}

static const struct krctl_command_s *const members[] = {
    &krctl_char_read, &krctl_char_write, &krctl_char_cat, &krctl_char_monitor, NULL,
};

const struct krctl_command_s krctl_char = {
    .name = "char",
    .summary = "reads and writes a port or another stream; a terminal session",
    .help = "usage: krctl char read SPEC [OPTION]...\n"
            "       krctl char write SPEC [OPTION]... [TEXT]...\n"
            "       krctl char cat SPEC [OPTION]...\n"
            "       krctl char monitor SPEC [OPTION]...\n"
            "       krctl char COMMAND --help\n"
            "\n"
            "  read     prints what comes from a device: raw, as text, in hex, in frames\n"
            "  write    sends words, or standard input\n"
            "  cat      standard input to the device, and the device to standard output\n"
            "  monitor  a terminal session with the device\n"
            "\n"
            "SPEC is a path such as /dev/ttyUSB0, with keys if need be:\n"
            "'/dev/ttyUSB0?baud=115200'; or a spec such as tty:/dev/ttyUSB0?baud=9600.\n"
            "krctl list has those of this machine, krctl drivers the keys.\n"
            "\n"
            "A time is a number of seconds, or has a suffix: 20us, 500ms, 1.5s, 2m.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};
