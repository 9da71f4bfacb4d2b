/* SPDX-License-Identifier: MIT */
/* What drivers of the spi class share: keys of specs, and lists of transfers as messages. */
#ifndef KR_SPI_H
#define KR_SPI_H

#include "device.h"

/* --- keys --- */

#define KR_SPI_PARAMS                                                                              \
    {"hz", "clock at most, in hertz; as it is", NULL, 1, UINT32_MAX, DRIVER_PARAM_UINT},           \
        {"bits", "of a word, 1 to 32; as it is", NULL, 1, 32, DRIVER_PARAM_UINT},                  \
        {"mode", "clock: 0 to 3; as it is", NULL, 0, 3, DRIVER_PARAM_UINT},                        \
        {"cs-high", "selected is high; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},                  \
        {"lsb-first", "lowest bit of a word first; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},      \
        {"3wire", "one data line for both directions; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},   \
        {"loop", "the controller hears itself; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},          \
        {"no-cs", "the chip is always selected; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},         \
    {                                                                                              \
        "ready", "the chip holds a line low until it is ready; as it is", NULL, 0, 0,              \
            DRIVER_PARAM_BOOL                                                                      \
    }

/* Changes what the spec says. */
void kr_spi_keys(struct dev_spi_config_s *config, const struct device_spec_s *spec);
/* Changes what `change` says: -EINVAL with a text. */
error_t kr_spi_merge(struct dev_spi_config_s *config, const struct dev_spi_config_s *change);
/* The key that stands for these bits of a mode; of several, of the lowest. */
const char *kr_spi_mode_name(uint32_t mode);

/* --- messages --- */

struct kr_spi_limits_s {
    size_t bytes;      /* of a message, of what goes out and of what comes in separately */
    size_t align;      /* what the bytes of a transfer count as is rounded up to; a power of two */
    unsigned count;    /* transfers of a message */
    const char *raise; /* what has to be set to raise `bytes`: "spidev.bufsiz" */
};

/* Can it be done? -EINVAL, -EMSGSIZE with a text. `rq->with` is set. */
error_t kr_spi_check(const struct dev_spi_rq_s *rq, const struct kr_spi_limits_s *limits);

static inline unsigned kr_spi_bits(const struct dev_spi_rq_s *rq,
                                   const struct dev_spi_transfer_s *transfer)
{
    return transfer->bits ? transfer->bits : rq->with.bits ? rq->with.bits : 8;
}

static inline uint32_t kr_spi_hz(const struct dev_spi_rq_s *rq,
                                 const struct dev_spi_transfer_s *transfer)
{
    return transfer->hz ? transfer->hz : rq->with.hz;
}

static inline unsigned kr_spi_word(unsigned bits) /* bytes of it in memory */
{
    return bits <= 8 ? 1 : bits <= 16 ? 2 : 4;
}

/* A transfer, or a part of one that is longer than a message can be. */
struct kr_spi_piece_s {
    const struct dev_spi_transfer_s *of;
    const uint8_t *out;
    uint8_t *in;
    uint32_t size;
    bool last; /* of the transfer: its delay and its deselecting come after this one */
};

struct kr_spi_walk_s {
    const struct dev_spi_rq_s *rq;
    const struct kr_spi_limits_s *limits;
    unsigned index; /* of the transfer */
    size_t offset;  /* bytes of it that are behind */
    size_t out, in; /* bytes of this message, as the limits count them */
    unsigned count; /* pieces of it */
};

static inline void kr_spi_walk(struct kr_spi_walk_s *walk, const struct dev_spi_rq_s *rq,
                               const struct kr_spi_limits_s *limits)
{
    *walk = (struct kr_spi_walk_s){.rq = rq, .limits = limits};
}

/* Begins the next message; false: there is none. */
bool kr_spi_walk_message(struct kr_spi_walk_s *walk);
/* The next piece of it; false: there is none. */
bool kr_spi_walk_piece(struct kr_spi_walk_s *walk, struct kr_spi_piece_s *piece);

#endif
