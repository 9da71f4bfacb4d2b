/* SPDX-License-Identifier: MIT */
/* The driver sim-spi: chips on a simulated bus, which is held for as long as a message takes at its
   clock. kroutine/sim.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kroutine/sim.h"
#include "sim_adc.h"
#include "sim_bus.h"
#include "spi.h"

#define MESSAGE_LIST 511 /* transfers of a message, as with spidev */

enum chip_e { CHIP_LOOP, CHIP_MCP3008, CHIP_NONE };

struct sim_spi_s {
    struct kr_bus_port_s port;
    enum chip_e chip;
    unsigned select;
    uint64_t latency;
    struct kr_spi_limits_s limits;
    struct kr_spi_walk_s walk; /* of whoever performs */

    pthread_mutex_t lock;
    struct dev_spi_config_s config;
    struct kr_sim_adc_s adc;
    struct kr_sim_bus_faults_s faults;
};

static const struct driver_param_s params[] = {
    {"chip", "what is at the other end; loop", "loop|mcp3008|none", 0, 0, DRIVER_PARAM_ENUM},
    {"values", "of a mcp3008: 0 to 1023 for channel 0, 1 …, with commas; 0", NULL, 0, 0,
     DRIVER_PARAM_STRING},
    {"latency", "ns before each message; 0", NULL, 0, UINT64_C(1) << 62, DRIVER_PARAM_UINT},
    {"size-max", "bytes of a message, in each direction; 4096", NULL, 4, 1 << 24,
     DRIVER_PARAM_UINT},
    KR_SPI_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct sim_spi_s *of(const struct device_s *dev)
{
    return device_pv(dev);
}

/* --- the wire --- */

static bool wire(struct sim_spi_s *sim, uint32_t mode, bool out)
{
    unsigned clock = mode & (DEV_SPI_CPHA | DEV_SPI_CPOL);

    if (sim->chip == CHIP_LOOP || mode & DEV_SPI_LOOP)
        return out;
    if (sim->chip == CHIP_NONE || mode & DEV_SPI_CS_HIGH) /* never selected */
        return true;
    if (clock == DEV_SPI_CPHA || clock == DEV_SPI_CPOL) /* it knows modes 0 and 3 */
        return true;
    return kr_sim_adc_clock(&sim->adc, out);
}

/* A word in memory is in the order of the processor. */
static uint32_t load(const uint8_t *at, unsigned size)
{
    uint16_t two;
    uint32_t four;

    if (size == 1)
        return *at;
    if (size == 2) {
        memcpy(&two, at, 2);
        return two;
    }
    memcpy(&four, at, 4);
    return four;
}

static void store(uint8_t *at, unsigned size, uint32_t word)
{
    uint16_t two = (uint16_t)word;

    if (size == 1)
        *at = (uint8_t)word;
    else
        memcpy(at, size == 2 ? (const void *)&two : &word, size);
}

static void move(struct sim_spi_s *sim, const struct dev_spi_rq_s *rq,
                 const struct kr_spi_piece_s *piece)
{
    unsigned bits = kr_spi_bits(rq, piece->of), size = kr_spi_word(bits);
    bool lowest_first = rq->with.mode & DEV_SPI_LSB_FIRST;

    for (uint32_t at = 0; at < piece->size; at += size) {
        uint32_t out = piece->out ? load(piece->out + at, size) : 0, in = 0;

        for (unsigned i = 0; i < bits; i++) {
            unsigned bit = lowest_first ? i : bits - 1 - i;

            in |= (uint32_t)wire(sim, rq->with.mode, out >> bit & 1) << bit;
        }
        if (piece->in)
            store(piece->in + at, size, in);
    }
}

/* --- requests --- */

static void begin(struct sim_spi_s *sim, struct dev_spi_rq_s *rq)
{
    if (!rq->begun)
        kr_spi_walk(&sim->walk, rq, &sim->limits);
    rq->begun = 1;
}

static error_t sim_spi_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct sim_spi_s *sim = KROUTINE_CONTAINER(port, struct sim_spi_s, port);
    struct dev_spi_rq_s *rq = dev_spi_rq_cast(base);
    struct kr_spi_piece_s piece;
    error_t err;

    begin(sim, rq);
    pthread_mutex_lock(&sim->lock);
    err = kr_sim_bus_fault_take(&sim->faults);
    kr_sim_adc_select(&sim->adc);
    while (!err && kr_spi_walk_piece(&sim->walk, &piece)) {
        move(sim, rq, &piece);
        rq->done += piece.size;
        if (piece.last && piece.of->flags & DEV_SPI_CS_CHANGE)
            kr_sim_adc_select(&sim->adc);
    }
    pthread_mutex_unlock(&sim->lock);
    return err ? err : kr_spi_walk_message(&sim->walk) ? KR_BUS_MORE : 0;
}

static uint64_t sim_spi_duration(struct kr_bus_port_s *port, const struct dev_request_s *base)
{
    struct sim_spi_s *sim = KROUTINE_CONTAINER(port, struct sim_spi_s, port);
    struct dev_spi_rq_s *rq = dev_spi_rq_cast((struct dev_request_s *)base);
    struct kr_spi_walk_s ahead;
    struct kr_spi_piece_s piece;
    uint64_t ns = sim->latency;

    begin(sim, rq);
    pthread_mutex_lock(&sim->lock);
    ns += kr_sim_bus_stall_take(&sim->faults);
    pthread_mutex_unlock(&sim->lock);
    for (ahead = sim->walk; kr_spi_walk_piece(&ahead, &piece);) {
        unsigned bits = kr_spi_bits(rq, piece.of);
        uint64_t words = piece.size / kr_spi_word(bits);

        ns += words * bits * KROUTINE_SEC(1) / kr_spi_hz(rq, piece.of);
        ns += words * KROUTINE_USEC(piece.of->word_delay_us);
        ns += piece.last ? KROUTINE_USEC(piece.of->delay_us) : 0;
    }
    return ns;
}

static const struct kr_bus_ops_s sim_ops = {
    .perform = sim_spi_perform,
    .duration = sim_spi_duration,
};

static DEV_SPI_REQUEST(sim_spi_request)
{
    struct sim_spi_s *sim = of(acc->dev);

    pthread_mutex_lock(&sim->lock);
    rq->with = sim->config;
    pthread_mutex_unlock(&sim->lock);
    kr_bus_request(&sim->port, &rq->base, kr_spi_check(rq, &sim->limits));
}

static DEV_SPI_CANCEL(sim_spi_cancel)
{
    return kr_bus_cancel(&of(acc->dev)->port, &rq->base);
}

static DEV_SPI_CONFIG(sim_spi_config)
{
    struct sim_spi_s *sim = of(acc->dev);
    error_t err;

    pthread_mutex_lock(&sim->lock);
    err = kr_spi_merge(&sim->config, cfg);
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static DEV_SPI_INFO(sim_spi_info)
{
    struct sim_spi_s *sim = of(acc->dev);

    memset(info, 0, sizeof(*info));
    info->select = sim->select;
    info->size_max = sim->limits.bytes;
    info->simulated = true;
    pthread_mutex_lock(&sim->lock);
    info->config = sim->config;
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

/* --- opening and closing --- */

static error_t parse_values(struct kr_sim_adc_s *adc, const char *text)
{
    const char *at = text;
    unsigned long value;
    char *end;

    for (unsigned i = 0; *at; i++, at = end + (*end == ',')) {
        value = strtoul(at, &end, 10);
        if (i == KR_SIM_ADC_CHANNELS || end == at || *at == '-' || value > KR_SIM_ADC_MAX ||
            (*end && *end != ','))
            return device_error(-EINVAL, "values=%s: not up to 8 numbers, 0 to 1023 each", text);
        adc->value[i] = (uint16_t)value;
    }
    return 0;
}

/* "BUS.SELECT" or "BUS". */
static error_t parse_address(struct sim_spi_s *sim, char bus[32], const char *address)
{
    size_t length = strcspn(address, ".");
    char rest;

    if (!length ||
        (address[length] &&
         (sscanf(address + length, ".%u%c", &sim->select, &rest) != 1 || sim->select > 255)))
        return device_error(-EINVAL, "'%s': use sim-spi:BUS.SELECT, as in sim-spi:board.0",
                            address);
    if (snprintf(bus, 32, "sim-spi:%.*s", (int)length, address) >= 32)
        return device_error(-EINVAL, "'%s': the name of the bus is too long", address);
    return 0;
}

static error_t sim_spi_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct sim_spi_s *sim = of(dev);
    char bus[32];
    error_t err = parse_address(sim, bus, device_spec_address(spec));

    if (!err)
        err = parse_values(&sim->adc, device_spec_string(spec, "values", ""));
    if (err)
        return err;
    sim->chip = (enum chip_e)device_spec_uint(spec, "chip", CHIP_LOOP);
    sim->latency = device_spec_uint(spec, "latency", 0);
    sim->limits = (struct kr_spi_limits_s){
        .bytes = device_spec_uint(spec, "size-max", 4096),
        .align = 1,
        .count = MESSAGE_LIST,
        .raise = "size-max",
    };
    sim->config = (struct dev_spi_config_s){.hz = 1000000, .bits = 8};
    kr_spi_keys(&sim->config, spec);
    err = kr_bus_open(&sim->port, dev, &sim_ops, bus);
    if (!err)
        pthread_mutex_init(&sim->lock, NULL);
    return err;
}

static void sim_spi_close(struct device_s *dev)
{
    kr_bus_close(&of(dev)->port, -ECANCELED);
}

static void sim_spi_free(struct device_s *dev)
{
    kr_bus_free(&of(dev)->port);
    pthread_mutex_destroy(&of(dev)->lock);
}

static const struct driver_spi_s sim_spi_methods = DRIVER_SPI_METHODS(sim_spi);

const struct driver_s kr_driver_sim_spi = {
    .name = "sim-spi",
    .desc = "simulated SPI bus, with a loop or a converter",
    .params = params,
    .pv_size = sizeof(struct sim_spi_s),
    .f_open = sim_spi_open,
    .f_close = sim_spi_close,
    .f_free = sim_spi_free,
    .classes = {(const struct driver_class_table_s *)&sim_spi_methods},
};

/* --- from outside --- */

error_t kroutine_sim_spi_value(const struct device_accessor_s *acc, unsigned channel,
                               uint16_t value)
{
    struct sim_spi_s *sim;
    error_t err;

    if (!acc->dev || acc->dev->driver != &kr_driver_sim_spi)
        return -ENOTSUP;
    sim = of(acc->dev);
    if (sim->chip != CHIP_MCP3008)
        return -ENOTSUP;
    if (channel >= KR_SIM_ADC_CHANNELS || value > KR_SIM_ADC_MAX)
        return -EINVAL;
    err = kr_device_enter(acc->dev);
    if (!err) {
        pthread_mutex_lock(&sim->lock);
        sim->adc.value[channel] = value;
        pthread_mutex_unlock(&sim->lock);
    }
    kr_device_leave(acc->dev);
    return err;
}

error_t kroutine_sim_spi_fault(const struct device_accessor_s *acc,
                               enum kroutine_sim_bus_fault_e fault, unsigned count)
{
    struct sim_spi_s *sim;

    if (!acc->dev || acc->dev->driver != &kr_driver_sim_spi)
        return -ENOTSUP;
    sim = of(acc->dev);
    return kr_sim_bus_fault(&sim->port, &sim->lock, &sim->faults, fault, count);
}
