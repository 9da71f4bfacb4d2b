/* SPDX-License-Identifier: MIT */
/*
 * A push button: short, double and long presses.
 *
 * Steps: 1. open a line; the library debounces it; 2. take its edges, with the time at which each
 * happened; 3. a timer ends what no edge ends: a press that is long, a wait for a second one.
 * Deadlines are counted from the time of an edge, so that a busy machine makes an answer late, but
 * never a short press long.
 * Compile: gcc button.c -o button $(pkg-config --cflags --libs libkroutine)
 * Run: ./button 'gpiod:pinctrl-rp1/GPIO17?mode=input&pull=up&active-low=yes&debounce=5000'
 * Without an argument it shows itself: virtual time, a simulated chip, and a finger at the other
 * end of the wire.
 */
#include <kroutine.h>
#include <stdio.h>

#define LONG  KROUTINE_MSEC(600) /* pressed for so long */
#define AGAIN KROUTINE_MSEC(300) /* from a release to the press that makes it a double one */

static struct device_gpio_s button = DEVICE_ACCESSOR_INIT;
static struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
static struct dev_gpio_rq_s edges;
static struct dev_gpio_event_s list[16];
static struct dev_timer_rq_s alarm_rq;
static uint64_t due; /* ns, when time has a meaning; 0: never */
static bool armed;   /* alarm_rq is under way */
static bool pressed;
static unsigned presses; /* short ones that have not been reported */
static uint64_t start;
static bool done;

static void report(const char *what, uint64_t at)
{
    printf("%6.3f s: %s press\n", (double)(at - start) / 1e9, what);
    presses = 0;
}

/* --- what happens --- */

static void time_is_up(void)
{
    uint64_t at = due;

    due = 0;
    report(pressed ? "long" : "short", at);
}

static void edge(const struct dev_gpio_event_s *event)
{
    /* The alarm may come later than an edge that happened after it was due. */
    if (due != 0 && due <= event->timestamp)
        time_is_up();
    pressed = dev_gpio_rose(event);
    if (pressed) {
        due = event->timestamp + LONG;
    } else if (due == 0) { /* the end of a long one, which was reported when it became long */
    } else if (++presses == 2) {
        due = 0;
        report("double", event->timestamp);
    } else {
        due = event->timestamp + AGAIN;
    }
}

/* --- the two requests; their handlers run one after the other, on the reactor --- */

static void set_alarm(void)
{
    if (armed && DEVICE_OP(&timer, cancel, &alarm_rq) != 0)
        return; /* about to run, and looks at `due` */
    armed = false;
    while (due != 0 && !armed) {
        alarm_rq.deadline = due;
        alarm_rq.delay = 0;
        armed = DEVICE_OP(&timer, request, &alarm_rq) == 0;
        if (!armed) /* -ETIMEDOUT: now is later */
            time_is_up();
    }
}

static KROUTINE_EXEC(on_alarm)
{
    dev_timer_value_t now = 0;

    (void)kr, (void)flags;
    armed = false;
    if (alarm_rq.error != 0)
        return;
    DEVICE_OP(&timer, get_value, &now, 0);
    if (due != 0 && due <= now)
        time_is_up();
    set_alarm();
}

static KROUTINE_EXEC(on_edges)
{
    (void)kr, (void)flags;
    if (edges.error != 0) {
        done = true; /* the chip is gone, or the device closed */
        return;
    }
    if (edges.event.lost != 0)
        printf("edges were lost\n");
    for (unsigned i = 0; i < edges.event.count; i++)
        edge(&list[i]);
    set_alarm();
    DEVICE_OP(&button, request, &edges);
}

/* --- the finger of the demonstration --- */

static struct device_gpio_s finger = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s move;
/* Up, down, up … */
static const unsigned milliseconds[] = {100, 80, 900, 60, 150, 70, 900, 1000, 500};
static unsigned step;

static void rest(void)
{
    move.delay = KROUTINE_MSEC(milliseconds[step++]);
    done = DEVICE_OP(&timer, request, &move) != 0;
}

static KROUTINE_EXEC(on_move)
{
    (void)kr, (void)flags;
    for (int i = 0; i < 5; i++) /* contacts bounce */
        DEVICE_OP(&finger, set_output, 0, 0, 1, 0);
    if (step < sizeof(milliseconds) / sizeof(milliseconds[0]))
        rest();
    else
        done = true;
}

/* --- start and end --- */

static bool get(struct kroutine_runtime_s *rt, struct device_accessor_s *acc, const char *spec,
                enum driver_class_e cl)
{
    if (device_get_accessor_by_path(acc, kroutine_runtime_devices(rt), spec, cl) == 0)
        return true;
    fprintf(stderr, "%s\n", kroutine_error_text());
    return false;
}

int main(int argc, char **argv)
{
    const char *spec = argc > 1 ? argv[1] : "sim-gpio:board/GPIO17?mode=input&debounce=5000";
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;
    bool ok;

    kroutine_runtime_config_init(&config);
    config.embedded = true; /* no thread but this one */
    if (argc < 2)
        config.backend = KROUTINE_BACKEND_SIM;
    if (kroutine_runtime_create(&rt, &config) != 0)
        return 1;
    dev_gpio_rq_init_sched_switch(&edges, on_edges);
    dev_timer_rq_init_sched_switch(&alarm_rq, on_alarm);
    dev_timer_rq_init_sched_switch(&move, on_move);
    ok = get(rt, &button.base, spec, DRIVER_CLASS_GPIO) &&
         get(rt, &timer.base, "timer0", DRIVER_CLASS_TIMER) &&
         (argc > 1 ||
          get(rt, &finger.base, "sim-gpio:board/GPIO17?side=b&mode=output", DRIVER_CLASS_GPIO));
    if (ok) {
        DEVICE_OP(&timer, get_value, &start, 0);
        edges.type = DEV_GPIO_EVENT;
        edges.event.list = list;
        edges.event.size = sizeof(list) / sizeof(list[0]);
        DEVICE_OP(&button, request, &edges);
        if (argc < 2)
            rest();
    }
    while (ok && !done && kroutine_runtime_wait(rt, -1) >= 0)
        fflush(stdout);
    device_put_accessor(&finger.base);
    device_put_accessor(&button.base);
    device_put_accessor(&timer.base);
    kroutine_runtime_destroy(rt);
    return ok && argc < 2 ? 0 : 1; /* on a real line it ends when that goes */
}
