/* SPDX-License-Identifier: MIT */
/*
 * Outputs follow inputs, edge by edge, and at the end it says how long that took.
 *
 * Steps: 1. take inputs and as many outputs; 2. the handler of the edges is IMMEDIATE, which is the
 * shortest way: it runs where the edge was found, and sets the output there and then; 3. it must
 * not submit its request again, so another kroutine does that (kroutine-nesting(7)); edges are kept
 * meanwhile. 4. Where edges were lost, the levels of now are copied.
 * Compile: gcc gpio-mirror.c -o gpio-mirror $(pkg-config --cflags --libs libkroutine)
 * Run: ./gpio-mirror 'gpiod:pinctrl-rp1/GPIO17?mode=input' 'gpiod:pinctrl-rp1/GPIO27?mode=output'
 * until Ctrl-C. Without arguments it shows itself: somebody moves four simulated inputs, a thousand
 * times, and looks at the outputs.
 */
#include "daemon.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define LATENCIES 4096
#define MOVES     1000

static struct device_gpio_s in = DEVICE_ACCESSOR_INIT;
static struct device_gpio_s out = DEVICE_ACCESSOR_INIT;
static struct dev_gpio_rq_s edges;
static struct dev_gpio_event_s list[64];
static struct kroutine_s again; /* submits `edges` */
static uint16_t last;           /* line */
static uint64_t latency[LATENCIES];
static uint64_t seen, lost;

/* --- the mirror --- */

static uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return KROUTINE_SEC(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

static error_t copy_levels(void)
{
    uint64_t levels;
    error_t err = DEVICE_OP(&in, get_input, 0, last, &levels);

    return err != 0 ? err : DEVICE_OP(&out, set_output, 0, last, levels, levels);
}

static void follow(const struct dev_gpio_event_s *event)
{
    uint64_t high = dev_gpio_rose(event);

    DEVICE_OP(&out, set_output, event->line, event->line, high, high);
    latency[seen++ % LATENCIES] = now() - event->timestamp;
}

static KROUTINE_EXEC(on_edges) /* IMMEDIATE */
{
    (void)kr, (void)flags;
    for (unsigned i = 0; i < edges.event.count; i++)
        follow(&list[i]);
    if (edges.event.lost != 0) {
        lost += edges.event.lost == DEV_GPIO_LOST_SOME ? 1 : edges.event.lost; /* or more */
        copy_levels();
    }
    kroutine_exec(&again);
}

static KROUTINE_EXEC(watch) /* SCHED_SWITCH */
{
    (void)kr, (void)flags;
    if (edges.error != 0) { /* the chip is gone, or the device closed */
        daemon_stop(self.done ? self.status : 1);
        return;
    }
    edges.type = DEV_GPIO_EVENT;
    edges.io_last = last;
    edges.event.list = list;
    edges.event.size = sizeof(list) / sizeof(list[0]);
    DEVICE_OP(&in, request, &edges);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void show_statistics(void)
{
    size_t n = seen < LATENCIES ? seen : LATENCIES;

    printf("edges %" PRIu64 " lost %" PRIu64, seen, lost);
    if (n > 0) {
        qsort(latency, n, sizeof(latency[0]), compare);
        printf(" latency us min %.1f p50 %.1f p99 %.1f max %.1f", (double)latency[0] / 1e3,
               (double)latency[n / 2] / 1e3, (double)latency[n * 99 / 100] / 1e3,
               (double)latency[n - 1] / 1e3);
    }
    printf("\n");
}

/* --- who moves simulated lines: the other ends of the wires --- */

static struct device_gpio_s mover = DEVICE_ACCESSOR_INIT;
static struct device_gpio_s witness = DEVICE_ACCESSOR_INIT;
static struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s tick;
static unsigned moves;

static KROUTINE_EXEC(on_tick)
{
    uint64_t moved = 0, followed = 1;

    (void)kr, (void)flags;
    if (tick.error != 0)
        return;
    /* What was moved one tick ago has been followed. */
    DEVICE_OP(&mover, get_input, 0, last, &moved);
    DEVICE_OP(&witness, get_input, 0, last, &followed);
    if (moved != followed && seen == moves) {
        fprintf(stderr, "outputs are %#" PRIx64 ", not %#" PRIx64 "\n", followed, moved);
        daemon_stop(1);
    } else if (moves == MOVES && seen == moves) {
        daemon_stop(0);
    }
    if (self.done)
        return;
    if (moves < MOVES) {
        DEVICE_OP(&mover, set_output, moves % (last + 1u), moves % (last + 1u), 1, 0);
        moves++;
    }
    if (DEVICE_OP(&timer, request, &tick) != 0)
        daemon_stop(1);
}

/* --- start and end --- */

static bool get(struct device_gpio_s *dev, const char *spec, uint32_t *lines)
{
    struct dev_gpio_info_s info;

    if (device_get_accessor_by_path(&dev->base, self.tree, spec, DRIVER_CLASS_GPIO) != 0) {
        fprintf(stderr, "%s\n", kroutine_error_text());
        return false;
    }
    DEVICE_OP(dev, info, &info);
    *lines = info.lines;
    return true;
}

static bool open_lines(const char *inputs, const char *outputs)
{
    uint32_t count, same;

    if (!get(&in, inputs, &count) || !get(&out, outputs, &same))
        return false;
    if (count != same)
        fprintf(stderr, "%" PRIu32 " inputs, but %" PRIu32 " outputs\n", count, same);
    last = (uint16_t)(count - 1);
    return count == same;
}

static bool start_demo(void)
{
    uint32_t lines;

    if (!get(&mover, "sim-gpio:board/0-3?side=b&mode=output", &lines) ||
        !get(&witness, "sim-gpio:board/8-11?side=b&mode=input", &lines) ||
        device_get_accessor_by_path(&timer.base, self.tree, "timer0", DRIVER_CLASS_TIMER) != 0)
        return false;
    dev_timer_rq_init_sched_switch(&tick, on_tick);
    tick.delay = KROUTINE_MSEC(1);
    return DEVICE_OP(&timer, request, &tick) == 0;
}

int main(int argc, char **argv)
{
    bool demo = argc == 1;

    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: gpio-mirror [INPUTS OUTPUTS]\n");
        return 2;
    }
    if (daemon_start() != 0)
        return 1;
    dev_gpio_rq_init_immediate(&edges, on_edges);
    kroutine_init_sched_switch(&again, watch);
    kroutine_bind(&again, self.runtime);
    if (!open_lines(demo ? "sim-gpio:board/0-3?mode=input" : argv[1],
                    demo ? "sim-gpio:board/8-11?mode=output" : argv[2]) ||
        (demo && !start_demo())) {
        daemon_stop(1);
    } else {
        kroutine_exec(&again);
        while (kroutine_is_pending(&again)) /* edges are kept from here on */
            kroutine_runtime_process(self.runtime);
        copy_levels();
        daemon_run();
        show_statistics();
    }
    device_put_accessor(&mover.base);
    device_put_accessor(&witness.base);
    device_put_accessor(&in.base);
    device_put_accessor(&out.base);
    device_put_accessor(&timer.base);
    return daemon_end();
}
