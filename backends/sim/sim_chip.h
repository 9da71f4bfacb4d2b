/* SPDX-License-Identifier: MIT */
/*
 * The chip behind sim-gpio devices: 64 wires, each with two ends (side=a, side=b) that a device can
 * hold. Guarded by chip->lock; nothing here calls lib/gpio_lines.c or executes a kroutine.
 */
#ifndef KR_SIM_CHIP_H
#define KR_SIM_CHIP_H

#include "gpio_lines.h"
#include "sim_internal.h"

#define KR_SIM_WIRES 64
#define KR_SIM_SIDES 2
#define KR_SIM_V1    16 /* edges that the first uAPI of the kernel keeps for a line */

struct kr_sim_port_s;

struct kr_sim_wire_s {
    struct kr_sim_port_s *port[KR_SIM_SIDES]; /* NULL: nobody holds that end */
    uint8_t index[KR_SIM_SIDES];              /* the line in that device */
    uint32_t pull;                            /* from outside: DEV_GPIO_PULL_UP, _DOWN, _NONE */
    bool level;
};

struct kr_sim_chip_s {
    struct kr_sim_chip_s *next; /* registry */
    struct kroutine_runtime_s *rt;
    uint32_t refs; /* registry lock */
    uint32_t open; /* registry lock: devices that are */
    pthread_mutex_t lock;
    bool gone;
    struct kr_sim_wire_s wire[KR_SIM_WIRES];
    char name[32];
};

/* A device of the chip. */
struct kr_sim_port_s {
    uint32_t refs; /* atomic: the device's, a kick under way */
    struct kr_sim_chip_s *chip;
    struct kr_lines_s *lines;
    unsigned side;
    unsigned count; /* 0: holds none, and tells of all */
    uint32_t offset[DEV_GPIO_LINES_MAX];
    char consumer[32];
    struct kroutine_s kick; /* SCHED_SWITCH: tells `lines`, from the reactor */
    uint32_t seen;          /* the pumper's: number of the last edge that was read */

    /* chip->lock: */
    struct kr_line_mode_s mode[DEV_GPIO_LINES_MAX];
    uint64_t values; /* of outputs */
    bool first_uapi; /* edges as the first uAPI of the kernel tells them */
    bool realtime;
    bool armed;
    bool kicked;
    uint32_t seqno;
    uint32_t line_seqno[DEV_GPIO_LINES_MAX];
    uint8_t kept[DEV_GPIO_LINES_MAX]; /* first_uapi: edges in the buffer, of each line */
    unsigned size, head, fill;
    struct dev_gpio_event_s *buffer;
};

/* Devices whose kick is to be executed when the lock is gone. */
struct kr_sim_kicks_s {
    unsigned count;
    struct kr_sim_port_s *port[KR_SIM_WIRES * KR_SIM_SIDES];
};

/* --- with chip->lock --- */

/* Gives an end of each of the port's wires to it. -EBUSY with a text, -ENODEV. */
error_t kr_sim_chip_hold(struct kr_sim_port_s *port);
void kr_sim_chip_release(struct kr_sim_port_s *port, struct kr_sim_kicks_s *kicks);
/* Works out the levels of the wires of `port` in `mask`, whose drivers or pulls have changed. */
void kr_sim_chip_settle(struct kr_sim_port_s *port, uint64_t mask, struct kr_sim_kicks_s *kicks);
uint64_t kr_sim_chip_levels(const struct kr_sim_port_s *port, uint64_t mask); /* logical */
unsigned kr_sim_chip_read(struct kr_sim_port_s *port, struct dev_gpio_event_s *events,
                          unsigned size);
void kr_sim_chip_kick(struct kr_sim_port_s *port, struct kr_sim_kicks_s *kicks);
void kr_sim_chip_unplug(struct kr_sim_chip_s *chip, struct kr_sim_kicks_s *kicks);

/* --- without --- */

/* The chip of that name, made if needed, with one more reference and one more open device. */
error_t kr_sim_chip_join(struct kr_sim_chip_s **ret, struct kroutine_runtime_s *rt,
                         const char *name);
void kr_sim_chip_leave(struct kr_sim_chip_s *chip); /* the device closes */
void kr_sim_chip_put(struct kr_sim_chip_s *chip);

#endif
