/* SPDX-License-Identifier: MIT */
/* krctl gpio: lines of GPIO chips. The commands are in gpio_*.c. */
#include "gpio.h"

static const struct krctl_command_s *const members[] = {
    &krctl_gpio_list,   &krctl_gpio_info, &krctl_gpio_get,   &krctl_gpio_set,
    &krctl_gpio_toggle, &krctl_gpio_mon,  &krctl_gpio_until, NULL,
};

const struct krctl_command_s krctl_gpio = {
    .name = "gpio",
    .summary = "chips and lines: values, edges, levels to wait for",
    .help = "usage: krctl gpio list [CHIP]... [OPTION]...\n"
            "       krctl gpio info [CHIP | LINE]... [OPTION]...\n"
            "       krctl gpio get LINE... [OPTION]...\n"
            "       krctl gpio set LINE=VALUE... [OPTION]...\n"
            "       krctl gpio toggle LINE... [OPTION]...\n"
            "       krctl gpio mon LINE... [OPTION]...\n"
            "       krctl gpio until LINE=VALUE... [OPTION]...\n"
            "       krctl gpio COMMAND --help\n"
            "\n"
            "  list     chips, with label and number of lines\n"
            "  info     lines, how they are set, and who holds them\n"
            "  get      reads lines\n"
            "  set      drives lines, until Ctrl-C\n"
            "  toggle   drives lines to the opposite of what they are at\n"
            "  mon      prints edges, with time and losses\n"
            "  until    waits for levels\n"
            "\n"
            "LINE is a name such as GPIO17, which is looked for on all chips; with --chip,\n"
            "also an offset or a range, as in 4-7; or a spec such as gpiod:pinctrl-rp1/GPIO17\n"
            "or, without any hardware, sim-gpio:demo/0-7.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, or lost edges, 2 wrong usage, 3\n"
            "--timeout came first, 128 and its number after a signal\n",
    .members = members,
};
