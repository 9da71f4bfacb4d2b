/* SPDX-License-Identifier: MIT */
/*
 * From a temperature to a duty.
 *
 * The fan is off below `low`, at `minimum` percent there, at full speed from `high` on, and in
 * between as a straight line goes. It follows a temperature that rises at once, and one that falls
 * when it has fallen by `hysteresis`: a reading that flutters is not heard.
 */
#include <inttypes.h>
#include <stdio.h>

#include "sensord.h"

static struct {
    enum control_e mode;
    unsigned manual; /* percent */
    int32_t felt;    /* the temperature that the fan follows */
    bool known;
} control;

unsigned control_curve(const struct config_s *config, int32_t mc)
{
    int64_t above = (int64_t)mc - config->low, range = (int64_t)config->high - config->low;

    if (above < 0)
        return 0;
    if (above >= range)
        return 100;
    return config->minimum + (unsigned)((100 - config->minimum) * above / range);
}

static unsigned automatic(void)
{
    const struct config_s *config = &sensord.config;

    if (!control.known || reading.mc > control.felt)
        control.felt = reading.mc;
    else if (reading.mc < control.felt - config->hysteresis)
        control.felt = reading.mc + config->hysteresis;
    control.known = true;
    return control_curve(config, control.felt);
}

void control_update(void)
{
    unsigned percent = reading.valid ? automatic() : 100;

    /* Whoever asked for less than full speed has asked for it at a temperature that was known. */
    if (control.mode == CONTROL_FULL || !reading.valid)
        percent = 100;
    else if (control.mode == CONTROL_MANUAL)
        percent = control.manual;
    fan_set(percent);
}

void control_auto(void)
{
    control.mode = CONTROL_AUTO;
    control_update();
}

void control_manual(unsigned percent)
{
    control.mode = CONTROL_MANUAL;
    control.manual = percent;
    control_update();
}

void control_toggle(void)
{
    control.mode = control.mode == CONTROL_FULL ? CONTROL_AUTO : CONTROL_FULL;
    say("button: %s", control.mode == CONTROL_FULL ? "full speed" : "automatic");
    control_update();
}

void control_describe(char *text, size_t size)
{
    static const char *const modes[] = {"auto", "manual", "button"};
    const char *mode = reading.valid ? modes[control.mode] : "no temperature";
    char degrees[16] = "unknown", speed[16] = "unknown";

    if (reading.valid)
        snprintf(degrees, sizeof(degrees), "%.1f C", reading.mc / 1000.0);
    if (fan_percent() >= 0)
        snprintf(speed, sizeof(speed), "%d %%", fan_percent());
    snprintf(text, size, "%s, fan %s (%s), %" PRIu64 " readings, %" PRIu64 " failed", degrees,
             speed, mode, reading.good, reading.bad);
}
