/* SPDX-License-Identifier: MIT */
/*
 * mcp3008: converters MCP3004, MCP3008, MCP3204 and MCP3208 on an SPI bus, as devices of the class
 * valio: DEV_VALIO_ADC, of 1024 steps or 4096.
 *
 *     mcp3008:spi:0.0?chip=mcp3208
 *
 * Keys: chip, mcp3008; differential=yes: channel 0 is CH0 - CH1, 1 is CH1 - CH0, 2 is CH2 - CH3,
 * and so on; rate, of the bus in Hz, 1000000. Other keys are for the device below, which is in mode
 * 0.
 *
 * Source: Microchip MCP3004/3008, DS21295D, and MCP3204/3208, DS21298E: section 5.0 "Serial
 * Communication" (start bit, single-ended or differential, D2 to D0; a null bit comes before the
 * value), table 5-2, section 6.1 "Using the MCP3008 with Microcontroller SPI Ports", which places
 * the bits in bytes; section 6.2: slower than 10 kHz it forgets.
 *
 *     START ──▶ CONVERT: three bytes each way ──▶ over
 */
#include <errno.h>

#include "chips.h"

enum mcp3008_state_e { START = 0, CONVERT };

struct mcp3008_s {
    struct dev_layer_s *layer;
    struct device_spi_s bus;
    struct dev_spi_rq_s rq;
    struct dev_spi_transfer_s list;
    uint8_t out[3];
    uint8_t in[3];
    unsigned bits; /* 10 or 12 */
    bool differential;
};

/* The null bit comes right before the value, and the value ends with the third byte. */
static int convert(struct mcp3008_s *chip, struct dev_valio_rq_s *rq)
{
    uint32_t command = (chip->differential ? 0x10u : 0x18u) | rq->channel; /* start, SGL, D2-D0 */

    if (rq->type != DEV_VALIO_READ || rq->attribute != DEV_VALIO_ADC)
        return -ENOTSUP;
    if (rq->channel > 7)
        return -EINVAL;
    command <<= chip->bits + 2; /* a bit to sample, the null bit */
    chip->out[0] = (uint8_t)(command >> 16);
    chip->out[1] = (uint8_t)(command >> 8);
    chip->out[2] = (uint8_t)command;
    rq->rq_progress = CONVERT;
    return DEV_LAYER_SUBMIT;
}

static int mcp3008_step(struct device_s *dev, struct dev_request_s *base, error_t err)
{
    struct mcp3008_s *chip = device_pv(dev);
    struct dev_valio_rq_s *rq = dev_valio_rq_cast(base);
    uint32_t value;

    if (err)
        return err;
    if (rq->rq_progress == START)
        return convert(chip, rq);
    value = (uint32_t)chip->in[0] << 16 | (uint32_t)chip->in[1] << 8 | chip->in[2];
    if (value >> chip->bits & 1) /* nobody pulls the line down */
        return -EIO;
    rq->adc.range = 1u << chip->bits;
    rq->adc.value = value & (rq->adc.range - 1);
    return 0;
}

DEV_LAYER_OPS(valio, mcp3008);

static DEV_VALIO_INFO(mcp3008_info)
{
    const struct mcp3008_s *chip = device_pv(acc->dev);

    *info = (struct dev_valio_info_s){
        .name = "mcp3008", .readable = 1u << DEV_VALIO_ADC, .channels = 8};
    info->name[3] = chip->bits == 12 ? '2' : '0';
    return 0;
}

static const struct driver_valio_s mcp3008_valio = DRIVER_VALIO_METHODS(mcp3008);

static error_t mcp3008_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct mcp3008_s *chip = device_pv(dev);

    chip->bits = device_spec_uint(spec, "chip", 0) ? 12 : 10;
    chip->differential = device_spec_uint(spec, "differential", false);
    chip->list =
        (struct dev_spi_transfer_s){.out = chip->out,
                                    .in = chip->in,
                                    .size = sizeof(chip->out),
                                    .hz = (uint32_t)device_spec_uint(spec, "rate", 1000000)};
    chip->rq.type = DEV_SPI_TRANSFER;
    chip->rq.list = &chip->list;
    chip->rq.count = 1;
    return dev_layer_open(dev, spec, mcp3008_step, &chip->bus.base, DRIVER_CLASS_SPI,
                          &chip->rq.base);
}

static const struct driver_param_s mcp3008_params[] = {
    {"chip", "10 bits or 12; mcp3008", "mcp3008|mcp3208", 0, 0, DRIVER_PARAM_ENUM},
    {"differential", "between two inputs; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"rate", "of the bus at most, Hz; 1000000", NULL, 10000, 3600000, DRIVER_PARAM_UINT},
    {.key = NULL},
};

const struct driver_s mcp3008_driver = {
    .name = "mcp3008",
    .desc = "converter MCP3008 or MCP3208 over an spi device",
    .params = mcp3008_params,
    .pv_size = sizeof(struct mcp3008_s),
    .f_open = mcp3008_open,
    DEV_LAYER_LIFE,
    .classes = {(const struct driver_class_table_s *)&mcp3008_valio},
};
