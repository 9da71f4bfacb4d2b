/* SPDX-License-Identifier: MIT */
/* Blocking calls of the classes i2c, spi, pwm and mem. */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* --- i2c --- */

static error_t i2c_wait(const struct device_i2c_s *acc, uint16_t addr,
                        struct dev_i2c_transfer_s *list, uint16_t count)
{
    struct dev_i2c_rq_s rq;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_I2C_TRANSFER;
    rq.addr = addr;
    rq.list = list;
    rq.count = count;
    return dev_i2c_wait_rq(acc, &rq);
}

static struct dev_i2c_transfer_s i2c_part(const void *data, size_t size, uint32_t op)
{
    struct dev_i2c_transfer_s part = {.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
                                      .op = op};

    part.out = data;
    return part;
}

error_t dev_i2c_wait_write(const struct device_i2c_s *acc, uint16_t addr, const void *data,
                           size_t size)
{
    struct dev_i2c_transfer_s list = i2c_part(data, size, DEV_I2C_WRITE);

    return i2c_wait(acc, addr, &list, 1);
}

error_t dev_i2c_wait_read(const struct device_i2c_s *acc, uint16_t addr, void *data, size_t size)
{
    struct dev_i2c_transfer_s list = i2c_part(data, size, DEV_I2C_READ);

    return i2c_wait(acc, addr, &list, 1);
}

error_t dev_i2c_wait_write_read(const struct device_i2c_s *acc, uint16_t addr, const void *out,
                                size_t out_size, void *in, size_t in_size)
{
    struct dev_i2c_transfer_s list[] = {i2c_part(out, out_size, DEV_I2C_WRITE),
                                        i2c_part(in, in_size, DEV_I2C_READ)};

    return i2c_wait(acc, addr, list, 2);
}

/* --- spi --- */

error_t dev_spi_wait_transfer(const struct device_spi_s *acc, const void *out, void *in,
                              size_t size)
{
    struct dev_spi_transfer_s list = {.out = out, .in = in, .size = size};
    struct dev_spi_rq_s rq;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_SPI_TRANSFER;
    rq.list = &list;
    rq.count = 1;
    return dev_spi_wait_rq(acc, &rq);
}

/* --- pwm --- */

static error_t pwm_channel(uint32_t *mask, unsigned channel)
{
    if (channel >= DEV_PWM_CHANNELS_MAX)
        return device_error(-EINVAL, "pwm: there is no channel %u", channel);
    *mask = UINT32_C(1) << channel;
    return 0;
}

error_t dev_pwm_wait_config(const struct device_pwm_s *acc, unsigned channel, uint32_t param_mask,
                            const struct dev_pwm_state_s *state)
{
    struct dev_pwm_rq_s rq;
    error_t err;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_PWM_CONFIG;
    rq.param_mask = param_mask;
    rq.state = *state;
    err = pwm_channel(&rq.chan_mask, channel);
    return err ? err : dev_pwm_wait_rq(acc, &rq);
}

error_t dev_pwm_wait_get(const struct device_pwm_s *acc, unsigned channel,
                         struct dev_pwm_state_s *state)
{
    struct dev_pwm_rq_s rq;
    error_t err;

    memset(&rq, 0, sizeof(rq));
    rq.type = DEV_PWM_GET;
    err = pwm_channel(&rq.chan_mask, channel);
    if (!err)
        err = dev_pwm_wait_rq(acc, &rq);
    if (!err)
        *state = rq.state;
    return err;
}

/* --- mem --- */

static error_t mem_wait(const struct device_mem_s *acc, enum dev_mem_rq_type_e type, uint64_t addr,
                        const void *data, size_t size)
{
    struct dev_mem_rq_s rq;

    memset(&rq, 0, sizeof(rq));
    rq.type = (uint8_t)type;
    rq.addr = addr;
    rq.out = data;
    rq.size = size;
    return dev_mem_wait_rq(acc, &rq);
}

error_t dev_mem_wait_read(const struct device_mem_s *acc, uint64_t addr, void *data, size_t size)
{
    return mem_wait(acc, DEV_MEM_READ, addr, data, size);
}

error_t dev_mem_wait_write(const struct device_mem_s *acc, uint64_t addr, const void *data,
                           size_t size)
{
    return mem_wait(acc, DEV_MEM_WRITE, addr, data, size);
}
