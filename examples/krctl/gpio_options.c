/* SPDX-License-Identifier: MIT */
#include "gpio.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"

static const struct word_s {
    const char *word;
    uint32_t flag;
} biases[] =
    {
        {"as-is", 0},
        {"disabled", DEV_GPIO_PULL_NONE},
        {"disable", DEV_GPIO_PULL_NONE},
        {"none", DEV_GPIO_PULL_NONE},
        {"pull-up", DEV_GPIO_PULL_UP},
        {"up", DEV_GPIO_PULL_UP},
        {"pull-down", DEV_GPIO_PULL_DOWN},
        {"down", DEV_GPIO_PULL_DOWN},
        {NULL, 0},
},
  drives[] = {
      {"push-pull", DEV_GPIO_OUTPUT},
      {"open-drain", DEV_GPIO_OPEN_DRAIN},
      {"open-source", DEV_GPIO_OPEN_SOURCE},
      {NULL, 0},
};

static bool choose(const struct word_s *words, const char *text, uint32_t *flag)
{
    for (; words->word != NULL; words++) {
        if (strcmp(words->word, text) != 0)
            continue;
        *flag = words->flag;
        return true;
    }
    return false;
}

int gpio_bias(const struct krctl_command_s *command, void *to, const char *name)
{
    (void)name;
    return choose(biases, optarg, to)
               ? KRCTL_OK
               : krctl_usage(command, "'%s' is not as-is, disabled, pull-up or pull-down", optarg);
}

int gpio_drive(const struct krctl_command_s *command, void *to, const char *name)
{
    (void)name;
    return choose(drives, optarg, to)
               ? KRCTL_OK
               : krctl_usage(command, "'%s' is not push-pull, open-drain or open-source", optarg);
}

int gpio_consumer(const struct krctl_command_s *command, void *to, const char *name)
{
    (void)name;
    *(const char **)to = optarg;
    return strpbrk(optarg, "?&=%/ ") == NULL && optarg[0] != '\0'
               ? KRCTL_OK
               : krctl_usage(command, "'%s' is not a word", optarg);
}

unsigned gpio_times(const char *text, uint64_t *list, unsigned size)
{
    unsigned count = 0;

    for (; count < size; count++) {
        char word[32];
        size_t len = strcspn(text, ",");

        snprintf(word, sizeof(word), "%.*s", (int)len, text);
        if (len >= sizeof(word) || !parse_time(word, &list[count]))
            return 0;
        text += len;
        if (*text++ == '\0')
            return count + 1;
    }
    return 0;
}
