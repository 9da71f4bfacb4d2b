/* SPDX-License-Identifier: MIT */
/*
 * What stands in for hardware: simulated devices of kroutine_sim(3), and commands of the console
 * that do to them what a room, a finger and a loose wire do.
 */
#include <errno.h>
#include <kroutine/sim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensord.h"

#define BUS     "sim-i2c:demo"
#define ADDRESS 0x48
#define LINE    "sim-gpio:demo/GPIO17?mode=input&pull=up&active-low=yes&debounce=5000"
#define PRESS   KROUTINE_MSEC(50)

static struct device_i2c_s bus = DEVICE_ACCESSOR_INIT;
static struct device_gpio_s line = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s release;
static enum {
    UP = 0,
    DOWN,
    RISING
} finger; /* RISING: no next press before the contacts are quiet */

const char demo_help[] = "heat DEGREES     the thermometer gets so warm\r\n"
                         "press            the button\r\n"
                         "fault N          the thermometer does not answer N times\r\n"
                         "hold, free       the bus of the thermometer is held down, or not\r\n"
                         "unplug           its bus goes, and is another one when it comes back";

void demo_config(struct config_s *config)
{
    snprintf(config->temperature, SPEC_MAX, "tmp105:%s?addr=0x%x", BUS, ADDRESS);
    snprintf(config->fan, SPEC_MAX, "sim-pwm:demo/0?hz=25000");
    snprintf(config->button, SPEC_MAX, LINE);
    snprintf(config->console, SPEC_MAX, "fd:0");
    config->echo = false; /* a terminal does it */
}

static error_t hold_bus(void)
{
    return bus.dev ? 0
                   : device_get_accessor_by_path(&bus.base, sensord.tree, BUS, DRIVER_CLASS_I2C);
}

static KROUTINE_EXEC(on_release)
{
    (void)kr, (void)flags;
    if (sensord.stopping || release.error != 0)
        return;
    if (finger == DOWN) {
        (void)kroutine_sim_gpio_pull(&line.base, 0, DEV_GPIO_PULL_NONE);
        finger = DEVICE_OP(&sensord.timer, request, &release) == 0 ? RISING : UP;
    } else {
        finger = UP;
    }
}

error_t demo_start(void)
{
    error_t error = hold_bus();

    dev_timer_rq_init(&release, on_release);
    if (error == 0 && strcmp(sensord.config.button, LINE) == 0)
        error = device_get_accessor_by_path(&line.base, sensord.tree, LINE, DRIVER_CLASS_GPIO);
    return error;
}

void demo_stop(void)
{
    if (finger != UP)
        (void)DEVICE_OP(&sensord.timer, cancel, &release);
    device_put_accessor(&line.base);
    device_put_accessor(&bus.base);
}

/* --- commands --- */

static error_t heat(const char *argument)
{
    int raw = (int)(strtod(argument, NULL) * 256);
    const uint8_t data[2] = {(uint8_t)((unsigned)raw >> 8), (uint8_t)raw};
    error_t error = hold_bus();

    return error ? error : kroutine_sim_i2c_poke(&bus.base, ADDRESS, 0, data, sizeof(data));
}

static error_t press(void)
{
    error_t error;

    if (!line.dev)
        return -ENODEV;
    if (finger != UP)
        return -EBUSY;
    error = kroutine_sim_gpio_pull(&line.base, 0, DEV_GPIO_PULL_DOWN);
    release.delay = PRESS;
    if (error == 0 && DEVICE_OP(&sensord.timer, request, &release) == 0)
        finger = DOWN;
    return error;
}

static error_t fault(enum kroutine_sim_i2c_fault_e what, unsigned count)
{
    error_t error = hold_bus();

    return error ? error : kroutine_sim_i2c_fault(&bus.base, what, count);
}

/* The bus is gone for as long as somebody has it, which we must not be. */
static error_t unplug(void)
{
    error_t error = fault(KROUTINE_SIM_I2C_GONE, 1);

    device_put_accessor(&bus.base);
    return error;
}

bool demo_command(const char *word, const char *argument)
{
    error_t error;

    if (strcmp(word, "heat") == 0)
        error = heat(argument);
    else if (strcmp(word, "press") == 0)
        error = press();
    else if (strcmp(word, "fault") == 0)
        error = fault(KROUTINE_SIM_I2C_NACK_ADDRESS, (unsigned)strtoul(argument, NULL, 10));
    else if (strcmp(word, "hold") == 0)
        error = fault(KROUTINE_SIM_I2C_STUCK, 1);
    else if (strcmp(word, "free") == 0)
        error = fault(KROUTINE_SIM_I2C_STUCK, 0);
    else if (strcmp(word, "unplug") == 0)
        error = unplug();
    else
        return false;
    console_write(error ? strerror(-error) : "done");
    return true;
}
