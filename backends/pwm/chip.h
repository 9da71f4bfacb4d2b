/* SPDX-License-Identifier: MIT */
/* PWM chips and their channels in sysfs: Documentation/ABI/testing/sysfs-class-pwm. */
#ifndef KR_PWM_CHIP_H
#define KR_PWM_CHIP_H

#include "pwm.h"

struct chip_s {
    char name[32];     /* "pwmchip0" */
    char hardware[64]; /* "3f20c000.pwm" */
    char folder[64];
    uint32_t channels;
};

/* Files of a channel, in the order of enum kr_pwm_what_e. */
#define CHANNEL_FILES 4

struct channel_s {
    int fd[CHANNEL_FILES];
    uint32_t number;
    bool ours; /* we have exported it */
    bool open;
};

/* By its name, or by that of the hardware. With a text. */
error_t chip_find(struct chip_s *chip, const char *text);

/* Exports it; `adopt`: or takes one that is exported already. With a text. */
error_t channel_open(struct channel_s *channel, const struct chip_s *chip, uint32_t number,
                     bool adopt);
void channel_close(struct channel_s *channel, const struct chip_s *chip);
error_t channel_write(const struct channel_s *channel, const struct kr_pwm_step_s *step);
error_t channel_read(const struct channel_s *channel, struct dev_pwm_state_s *state);

#endif
