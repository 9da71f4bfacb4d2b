/* SPDX-License-Identifier: MIT */
/* Standard input as a char device. */
#ifndef KRCTL_INPUT_H
#define KRCTL_INPUT_H

#include "session.h"

struct input_s {
    struct session_s *session;
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    bool lines; /* one at a time, without its new-line */
    bool reading;
    bool rest; /* the last line may lack its new-line */
    bool ended;
    /* What a read brought, perhaps nothing when `ended` has become true. */
    void (*got)(struct input_s *in, const uint8_t *data, size_t size);
    void *pvdata;
    uint8_t buffer[16384];
};

/* KRCTL_OK, or says what is wrong. in->lines, got and pvdata have been set. */
int input_open(struct input_s *in, struct session_s *s);
void input_read(struct input_s *in);

#endif
