/* SPDX-License-Identifier: MIT */
/*
 * What the commands of krctl gpio share: from the words of the command line to lines of chips,
 * which are then taken with the keys that the options ask for.
 *
 * Words that belong to one chip, with the same keys, become one device: its lines are set, read and
 * watched together. Such a device is a group here. Output is in the order of the words.
 */
#ifndef KRCTL_GPIO_H
#define KRCTL_GPIO_H

#include "krctl.h"
#include "options.h"
#include "output.h"
#include "session.h"

#define GPIO_GROUPS 16
#define GPIO_LINES  256
#define GPIO_BATCH  64 /* edges */

extern const struct krctl_command_s krctl_gpio_get;
extern const struct krctl_command_s krctl_gpio_info;
extern const struct krctl_command_s krctl_gpio_list;
extern const struct krctl_command_s krctl_gpio_mon;
extern const struct krctl_command_s krctl_gpio_set;
extern const struct krctl_command_s krctl_gpio_toggle;
extern const struct krctl_command_s krctl_gpio_until;

struct gpio_s;

struct gpio_group_s {
    struct gpio_s *gpio;
    char spec[256];            /* of the chip, "gpiod:gpiochip0" */
    char keys[512];            /* of the word, "pull=up&…"; "": none */
    struct device_gpio_s look; /* at the whole chip, without holding anything */
    struct dev_gpio_info_s chip;
    struct device_gpio_s dev; /* the lines */
    uint16_t count;
    uint32_t offset[DEV_GPIO_LINES_MAX];

    struct dev_gpio_rq_s rq; /* for mon and until */
    struct dev_gpio_event_s edges[GPIO_BATCH];
};

struct gpio_line_s {
    struct gpio_group_s *group;
    uint16_t io; /* in the device of its group */
    uint32_t offset;
    char name[32];
    bool value;
};

struct gpio_s {
    struct session_s session;
    const struct krctl_command_s *command;
    enum kroutine_backend_e backend;
    char **words; /* after the options, up to a NULL */

    const char *chip;     /* where words without one are looked for; NULL: on every chip */
    const char *consumer; /* what others see */
    uint32_t bias;        /* DEV_GPIO_PULL_*; 0: as it is */
    uint32_t drive;       /* DEV_GPIO_OUTPUT, … */
    bool active_low;
    bool by_name; /* a word of digits is a name */
    bool json;
    bool numeric;
    bool unquoted;

    struct gpio_group_s group[GPIO_GROUPS];
    unsigned groups;
    struct gpio_line_s line[GPIO_LINES];
    unsigned lines;
};

/* --- gpio_options.c --- */

/* In tables of options: of commands that look at chips, and of those that take lines. */
#define GPIO_CHIP_OPTIONS(g)                                                                       \
    {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &(g)->backend},               \
        {.name = "by-name", .kind = OPTION_FLAG, .to = &(g)->by_name},                             \
        {.name = "chip", .letter = 'c', .kind = OPTION_WORD, .to = &(g)->chip},                    \
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &(g)->json},                    \
    {                                                                                              \
        .name = "unquoted", .kind = OPTION_FLAG, .to = &(g)->unquoted                              \
    }
#define GPIO_LINE_OPTIONS(g)                                                                       \
    GPIO_CHIP_OPTIONS(g),                                                                          \
        {.name = "active-low", .letter = 'l', .kind = OPTION_FLAG, .to = &(g)->active_low},        \
        {.name = "bias", .letter = 'b', .kind = OPTION_TAKE, .to = &(g)->bias, .take = gpio_bias}, \
    {                                                                                              \
        .name = "consumer", .letter = 'C', .kind = OPTION_TAKE, .to = &(g)->consumer,              \
        .take = gpio_consumer                                                                      \
    }

option_take_t gpio_bias, gpio_consumer, gpio_drive;
/* Pieces of help texts. */
#define GPIO_CHIP_HELP                                                                             \
    "  -c, --chip CHIP        where to look for LINE: name, label or number of a chip\n"           \
    "      --by-name          LINE is a name, also when it is a number\n"
#define GPIO_LINE_HELP                                                                             \
    "  -b, --bias BIAS        as-is, disabled, pull-up, pull-down (default as-is)\n"               \
    "  -l, --active-low       low is active\n"                                                     \
    "  -C, --consumer NAME    who holds the lines, for others to see (default krctl)\n"
#define GPIO_END_HELP                                                                              \
    "  -j, --json             lines of JSON\n"                                                     \
    "  -B, --backend NAME     auto, uring or epoll (default auto)\n"                               \
    "  -h, --help             this text\n"

/* "10ms,5ms": as many times as fit into `list`; their number, 0: that is not what it is. */
unsigned gpio_times(const char *text, uint64_t *list, unsigned size);

/* --- gpio_find.c --- */

/* Names of the chips of this machine, in order of their numbers, up to `size`: how many there are.
 */
unsigned gpio_chips(char names[][32], unsigned size);
/* Finds the lines of a word and adds them: "GPIO17", "4-7,9", a spec. KRCTL_OK, or says why not. */
int gpio_add(struct gpio_s *g, const char *word);
/* "gpiomem:17": a spec with lines and no chip, which is that of this machine. */
bool gpio_lacks_chip(const char *word);
/* The group of a chip, whose lines are not added: "gpiochip0", a label, "0", a spec without lines.
   NULL: there is none, *err is why, and nothing was said. */
struct gpio_group_s *gpio_add_chip(struct gpio_s *g, const char *chip, error_t *err);
/* All words. */
int gpio_add_words(struct gpio_s *g);

/* --- gpio_open.c --- */

/* Takes the lines, with those keys (NULL at the end) and what the options ask for. `outputs`: they
   get the values of the lines from the first moment on. KRCTL_OK, or says why not. */
int gpio_open(struct gpio_s *g, const char *const *keys, bool outputs);
/* Reads all lines into their `value`. */
int gpio_read(struct gpio_s *g);
/* Writes the `value` of all lines. */
int gpio_write(struct gpio_s *g);
int gpio_fail(const struct gpio_group_s *group, error_t err);
/* Runs `body` in a session that has been opened; then closes everything. */
int gpio_session(struct gpio_s *g, int (*body)(struct gpio_s *g));

/* --- gpio_print.c --- */

void gpio_add_name(struct bytes_s *to, const struct gpio_s *g, const struct gpio_line_s *line);
/* "chip":…,"offset":…,"line":… */
void gpio_add_json(struct bytes_s *to, const struct gpio_group_s *group, uint32_t offset,
                   const char *name);
/* The values of all lines, as the options want them. */
void gpio_add_values(struct bytes_s *to, const struct gpio_s *g, bool coloured);
/* The line of a group. */
const struct gpio_line_s *gpio_line_of(const struct gpio_group_s *group, unsigned io);

/* --- gpio_edge.c --- */

struct gpio_edge_s {
    const struct gpio_line_s *line;
    const struct dev_gpio_event_s *event;
    uint64_t wall; /* ns since 1970 */
};

/* NULL: the format is right; otherwise the specifier that does not exist. */
const char *gpio_format_check(const char *format);
void gpio_add_edge(struct bytes_s *to, const char *format, const struct gpio_edge_s *edge);

/* --- gpio_finger.c: who moves simulated lines, which nobody else can reach --- */

struct gpio_finger_s {
    struct gpio_s *gpio;
    struct dev_timer_rq_s timer;
    uint64_t period; /* 0: nobody */
    unsigned edges;  /* each time */
    unsigned next;   /* line */
    uint8_t level[GPIO_LINES];
};

/* "10ms", "10ms,100" of --simulate, into a struct gpio_finger_s. */
option_take_t gpio_finger_option;
void gpio_finger_start(struct gpio_finger_s *f, struct gpio_s *g);

#endif
