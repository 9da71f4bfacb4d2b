/* SPDX-License-Identifier: MIT */
/*
 * A thermometer, a fan that follows it, a button for full speed, and a console: in one thread.
 * kroutine-tutorial(7) gets here step by step.
 *
 *   sensor.c    reads the temperature each period ──▶ control.c ──▶ fan.c   sets the duty
 *   button.c    a press: full speed, or back ───────────┘ ▲
 *   console.c   commands, and lines of status ────────────┘
 *
 * These four are parts (part.c). Each has one device, one request that is `busy` from a submit
 * until its handler, and the same life:
 *
 *              opened                 an error that says that the device is gone
 *   CLOSED ─────────────▶ OPEN ───────────────────────────────────────▶ CLOSED
 *     └ not yet: again in 1, 2, 4 … 30 seconds
 *
 * What fails is reported once, and once more when it works again. When nothing is known of the
 * temperature the fan is at full speed. Handlers run one after the other in daemon_run, so nothing
 * here is locked.
 */
#ifndef SENSORD_H
#define SENSORD_H

#include <kroutine.h>
#include <stddef.h>

#define SPEC_MAX 256

/* --- settings: config.c --- */

struct config_s {
    char temperature[SPEC_MAX]; /* specs of devices; "": there is none */
    char fan[SPEC_MAX];
    char button[SPEC_MAX];
    char console[SPEC_MAX];
    int32_t low, high;   /* thousandths of a degree: off below, full above */
    int32_t hysteresis;  /* as much colder before the fan gets slower */
    unsigned minimum;    /* percent, at `low`: below that, fans do not start */
    unsigned failures;   /* readings in a row that fail, then the fan is at full speed */
    uint64_t period;     /* ns between readings */
    bool echo;           /* the console repeats what is typed */
    bool demo;           /* no hardware: demo.c */
    char file[SPEC_MAX]; /* with more of these */
};

/* Defaults, then the file, then the command line. 0; 1 when there is nothing to do any more, 2 when
   there was a mistake, each after a message. `*config` is untouched then. */
int config_read(struct config_s *config, int argc, char **argv);

/* --- what all parts share --- */

struct part_s {
    const char *name;
    const char *spec;      /* in `sensord.config` */
    error_t (*open)(void); /* kroutine_error_text() has the reason */
    void (*close)(void);   /* pending requests end */
    struct dev_timer_rq_s retry;
    uint64_t delay; /* ns until the next try; 0: none is needed */
    bool is_open;
    bool waiting; /* `retry` is under way */
    bool failing; /* and that was said */
};

struct sensord_s {
    struct config_s config;
    struct device_s *tree;
    struct device_timer_s timer;
    bool stopping; /* handlers do nothing any more */
};

extern struct sensord_s sensord;
extern struct part_s sensor, fan, button, console;

uint64_t now(void); /* ns, monotonic */
/* To standard error, which is the journal of a service, and to the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From any handler. */
void quit(void);

/* False: the spec can never be right, and that was said. Otherwise it is open, or will be. */
bool part_start(struct part_s *part);
void part_stop(struct part_s *part);
/* The device has failed: `gone` closes it, and opens it again later. */
void part_failed(struct part_s *part, error_t error, bool gone);
void part_works(struct part_s *part);
/* An error after which it takes a new accessor. */
bool is_gone(error_t error);

/* --- the parts --- */

struct reading_s {
    int32_t mc; /* the last good one, thousandths of a degree */
    bool valid; /* it is not older than config.failures periods */
    uint64_t good, bad;
    uint64_t latency; /* ns, of the last one */
};

extern struct reading_s reading;
error_t sensor_start(void); /* the clock of the readings */
/* Readings still end, well or badly: false when the last one is stuck for `limit` ns. */
bool sensor_alive(uint64_t limit);

void fan_set(unsigned percent);
int fan_percent(void); /* what it is; -1: not known */

void console_write(const char *text);
bool console_busy(void);    /* something is to be written */
void console_reading(void); /* there is a new reading: a line for who watches */

/* --- control.c: what the fan is to do --- */

enum control_e {
    CONTROL_AUTO = 0, /* follows the temperature */
    CONTROL_MANUAL,   /* as the console said */
    CONTROL_FULL,     /* the button was pressed */
};

void control_update(void); /* something has changed */
void control_auto(void);
void control_manual(unsigned percent);
void control_toggle(void);
/* For a line, "41.5 C, fan 42 % (auto), …". */
void control_describe(char *text, size_t size);
/* The part of the curve that is a function: percent at `mc`. */
unsigned control_curve(const struct config_s *config, int32_t mc);

/* --- notify.c: the service manager --- */

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(void);      /* sent when it has changed */
error_t notify_watchdog(void); /* feeds it from now on, if there is one */

/* --- demo.c: what stands in for hardware --- */

void demo_config(struct config_s *config);
error_t demo_start(void);
/* A command of the console: false when it is none of these. */
bool demo_command(const char *word, const char *argument);
void demo_stop(void);
extern const char demo_help[];

#endif
