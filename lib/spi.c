/* SPDX-License-Identifier: MIT */
/*
 * Lists of transfers as messages. What goes over one message is cut between two transfers, and a
 * transfer only when it does not fit into a message of its own.
 */
#include "spi.h"

#include <errno.h>

/* --- keys --- */

static const struct {
    const char *key;
    uint32_t mode;
} mode_keys[] = {
    {"cs-high", DEV_SPI_CS_HIGH}, {"lsb-first", DEV_SPI_LSB_FIRST}, {"3wire", DEV_SPI_3WIRE},
    {"loop", DEV_SPI_LOOP},       {"no-cs", DEV_SPI_NO_CS},         {"ready", DEV_SPI_READY},
};
#define MODE_KEYS (sizeof(mode_keys) / sizeof(mode_keys[0]))
#define CLOCK     (DEV_SPI_CPHA | DEV_SPI_CPOL)
#define MODES     0xffu /* enum dev_spi_mode_e */

void kr_spi_keys(struct dev_spi_config_s *config, const struct device_spec_s *spec)
{
    config->hz = (uint32_t)device_spec_uint(spec, "hz", config->hz);
    config->bits = (uint8_t)device_spec_uint(spec, "bits", config->bits);
    if (device_spec_has(spec, "mode"))
        config->mode =
            (config->mode & ~(uint32_t)CLOCK) | (uint32_t)device_spec_uint(spec, "mode", 0);
    for (unsigned i = 0; i < MODE_KEYS; i++) {
        if (!device_spec_has(spec, mode_keys[i].key))
            continue;
        config->mode &= ~mode_keys[i].mode;
        if (device_spec_uint(spec, mode_keys[i].key, 0))
            config->mode |= mode_keys[i].mode;
    }
}

error_t kr_spi_merge(struct dev_spi_config_s *config, const struct dev_spi_config_s *change)
{
    if (change->bits > 32)
        return device_error(-EINVAL, "spi: a word has 1 to 32 bits, not %u", change->bits);
    if (change->mode & ~MODES)
        return device_error(-EINVAL, "spi: unknown bits in mode 0x%x", change->mode);
    if (change->hz)
        config->hz = change->hz;
    config->mode = change->mode;
    config->bits = change->bits ? change->bits : 8;
    return 0;
}

const char *kr_spi_mode_name(uint32_t mode)
{
    if (!(mode & CLOCK)) {
        for (unsigned i = 0; i < MODE_KEYS; i++) {
            if (mode & mode_keys[i].mode)
                return mode_keys[i].key;
        }
    }
    return "mode";
}

/* --- messages --- */

bool kr_spi_walk_message(struct kr_spi_walk_s *walk)
{
    walk->out = walk->in = 0;
    walk->count = 0;
    return walk->index < walk->rq->count;
}

/* What `size` bytes count as. */
static size_t counted(const struct kr_spi_walk_s *walk, size_t size)
{
    size_t mask = walk->limits->align - 1;

    return size > SIZE_MAX - mask ? SIZE_MAX : (size + mask) & ~mask;
}

/* How many of the `left` bytes of a transfer go into this message; they may be 0 of 0. False: none.
 */
static bool fits(const struct kr_spi_walk_s *walk, const struct dev_spi_transfer_s *transfer,
                 size_t left, size_t *size)
{
    size_t word = kr_spi_word(kr_spi_bits(walk->rq, transfer));
    size_t step = walk->limits->align > word ? walk->limits->align : word;
    size_t used = transfer->out ? walk->out : 0;

    if (transfer->in && walk->in > used)
        used = walk->in;
    *size = left;
    if (counted(walk, left) <= walk->limits->bytes - used)
        return true;
    if (walk->count && counted(walk, left) <= walk->limits->bytes)
        return false;
    *size = (walk->limits->bytes - used) & ~(step - 1);
    return *size > 0;
}

bool kr_spi_walk_piece(struct kr_spi_walk_s *walk, struct kr_spi_piece_s *piece)
{
    const struct dev_spi_transfer_s *t;
    size_t size;

    if (walk->index == walk->rq->count || walk->count == walk->limits->count)
        return false;
    t = &walk->rq->list[walk->index];
    if (!fits(walk, t, t->size - walk->offset, &size))
        return false;
    piece->of = t;
    piece->out = t->out ? (const uint8_t *)t->out + walk->offset : NULL;
    piece->in = t->in ? (uint8_t *)t->in + walk->offset : NULL;
    piece->size = (uint32_t)size;
    walk->offset += size;
    piece->last = walk->offset == t->size;
    if (piece->last) {
        walk->index++;
        walk->offset = 0;
    }
    walk->out += t->out ? counted(walk, size) : 0;
    walk->in += t->in ? counted(walk, size) : 0;
    walk->count++;
    return true;
}

static error_t too_long(const struct dev_spi_rq_s *rq, const struct kr_spi_limits_s *limits)
{
    size_t out = 0, in = 0, need, enough = limits->bytes;

    if (rq->count > limits->count)
        return device_error(-EMSGSIZE,
                            "spi: %u transfers, a message has at most %u: set DEV_SPI_MAY_SPLIT",
                            rq->count, limits->count);
    for (unsigned i = 0; i < rq->count; i++) {
        const struct kr_spi_walk_s walk = {.limits = limits};
        size_t size = counted(&walk, rq->list[i].size);

        if (rq->list[i].out && __builtin_add_overflow(out, size, &out))
            out = SIZE_MAX;
        if (rq->list[i].in && __builtin_add_overflow(in, size, &in))
            in = SIZE_MAX;
    }
    need = out > in ? out : in;
    while (enough && enough < need)
        enough *= 2;
    return device_error(-EMSGSIZE,
                        "spi: %zu bytes, each transfer counted in steps of %zu, and a message has "
                        "at most %zu: set DEV_SPI_MAY_SPLIT, or %s=%zu",
                        need, limits->align, limits->bytes, limits->raise, enough);
}

error_t kr_spi_check(const struct dev_spi_rq_s *rq, const struct kr_spi_limits_s *limits)
{
    struct kr_spi_walk_s walk;
    struct kr_spi_piece_s piece;

    for (unsigned i = 0; i < rq->count; i++) {
        const struct dev_spi_transfer_s *t = &rq->list[i];
        unsigned bits = kr_spi_bits(rq, t);

        if (t->size % kr_spi_word(bits))
            return device_error(-EINVAL,
                                "spi: transfer %u: %zu bytes are no whole words of %u bits", i,
                                t->size, bits);
    }
    if (rq->flags & DEV_SPI_MAY_SPLIT)
        return 0;
    kr_spi_walk(&walk, rq, limits);
    kr_spi_walk_message(&walk);
    while (kr_spi_walk_piece(&walk, &piece))
        ;
    return kr_spi_walk_message(&walk) ? too_long(rq, limits) : 0;
}
