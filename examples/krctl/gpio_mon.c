/* SPDX-License-Identifier: MIT */
/*
 * krctl gpio mon: prints edges.
 *
 * One EVENT request for each chip, which goes round: it completes with the edges that are there,
 * its handler prints them, and submits it again. Between the two, edges are kept and counted by the
 * library, so that one that is lost is always reported.
 */
#include "gpio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

struct mon_s {
    struct gpio_s gpio;
    struct gpio_finger_s finger;
    const char *edges;  /* key of the spec */
    const char *clock;  /* key of the spec, or NULL */
    const char *format; /* NULL: as usual */
    uint64_t debounce;
    uint64_t idle;
    uint64_t limit; /* edges; 0: none */
    bool banner;
    bool quiet;

    struct dev_timer_rq_s silence;
    uint64_t started;
    uint64_t heard; /* session_now of the last edge */
    uint64_t seen;  /* edges */
    uint64_t lost;
    bool lost_some; /* and others, of which nobody knows the number */
    int64_t wall;   /* what makes a time since 1970 of a timestamp */
};

static struct mon_s mon;

/* --- edges --- */

static void print_json(struct bytes_s *to, const struct gpio_edge_s *edge)
{
    const struct gpio_line_s *line = edge->line;
    const struct dev_gpio_event_s *event = edge->event;

    bytes_printf(to, "{\"timestamp\":%" PRIu64 ",\"time\":%" PRIu64 ".%09" PRIu64, event->timestamp,
                 edge->wall / 1000000000u, edge->wall % 1000000000u);
    bytes_printf(to, ",\"edge\":\"%s\",", dev_gpio_rose(event) ? "rising" : "falling");
    gpio_add_json(to, line->group, line->offset, line->name);
    bytes_printf(to, ",\"seqno\":%" PRIu32 ",\"line_seqno\":%" PRIu32 ",\"lost\":", event->seqno,
                 event->line_seqno);
    if (event->lost == DEV_GPIO_LOST_SOME)
        bytes_printf(to, "null}\n");
    else
        bytes_printf(to, "%" PRIu32 "}\n", event->lost);
}

/* Where the reader of standard output finds it, unless the format is his own. */
static void report_lost(struct mon_s *m, uint32_t lost)
{
    struct bytes_s *to = &m->gpio.session.out.next;
    char text[64];

    m->lost_some |= lost == DEV_GPIO_LOST_SOME;
    m->lost += lost == DEV_GPIO_LOST_SOME ? 0 : lost;
    if (m->quiet || m->gpio.json)
        return;
    if (lost == DEV_GPIO_LOST_SOME)
        snprintf(text, sizeof(text), "edges may be lost here, nobody knows how many");
    else
        snprintf(text, sizeof(text), "%" PRIu32 " edge%s lost here", lost, lost == 1 ? "" : "s");
    if (m->format != NULL)
        krctl_fail("%s", text);
    else
        bytes_printf(to, "%s# %s%s\n", krctl_style(KRCTL_RED), text, krctl_style(KRCTL_PLAIN));
}

static void print(struct mon_s *m, const struct gpio_group_s *group,
                  const struct dev_gpio_event_s *event)
{
    struct bytes_s *to = &m->gpio.session.out.next;
    struct gpio_edge_s edge = {
        .line = gpio_line_of(group, event->line),
        .event = event,
        .wall = event->timestamp,
    };

    if (strstr(group->keys, "clock=realtime") == NULL && m->clock == NULL)
        edge.wall += (uint64_t)m->wall;
    if (event->lost != 0)
        report_lost(m, event->lost);
    m->seen++;
    if (m->quiet)
        return;
    if (m->gpio.json) {
        print_json(to, &edge);
    } else if (m->format != NULL) {
        gpio_add_edge(to, m->format, &edge);
        bytes_printf(to, "\n");
    } else {
        gpio_add_edge(to, "%S\t%E\t%c %o", &edge);
        if (edge.line->name[0] != '\0') {
            bytes_printf(to, " ");
            gpio_add_name(to, &m->gpio, edge.line);
        }
        bytes_printf(to, "\n");
    }
}

static void submit(struct gpio_group_s *group)
{
    group->rq.type = DEV_GPIO_EVENT;
    group->rq.io_first = 0;
    group->rq.io_last = group->count - 1;
    group->rq.event.list = group->edges;
    group->rq.event.size = GPIO_BATCH;
    DEVICE_OP(&group->dev, request, &group->rq);
}

static KROUTINE_EXEC(got_edges)
{
    struct gpio_group_s *group = dev_gpio_rq_from_kr(kr)->pvdata;
    struct mon_s *m = KROUTINE_CONTAINER(group->gpio, struct mon_s, gpio);
    struct session_s *s = &m->gpio.session;
    bool enough = false;

    if (s->over)
        return;
    for (unsigned i = 0; i < group->rq.event.count && !enough; i++) {
        print(m, group, &group->edges[i]);
        enough = m->limit != 0 && m->seen == m->limit;
    }
    m->heard = session_now(s);
    output_flush(&s->out);
    if (group->rq.error != 0)
        session_end(s, gpio_fail(group, group->rq.error));
    else if (enough)
        session_end(s, KRCTL_OK);
    else
        submit(group);
}

/* --- time --- */

static KROUTINE_EXEC(silence)
{
    struct mon_s *m = dev_timer_rq_from_kr(kr)->pvdata;
    struct session_s *s = &m->gpio.session;
    uint64_t quiet = session_now(s) - m->heard;

    if (m->silence.error != 0 || s->over)
        return;
    if (quiet >= m->idle)
        session_end(s, KRCTL_OK);
    else
        session_after(s, &m->silence, m->idle - quiet);
}

/* --- start and end --- */

static int open_lines(struct mon_s *m)
{
    char debounce[40];
    const char *keys[5] = {"mode=input", m->edges};
    unsigned count = 2;
    int status = gpio_add_words(&m->gpio);

    snprintf(debounce, sizeof(debounce), "debounce=%" PRIu64, (m->debounce + 999) / 1000);
    if (m->clock != NULL)
        keys[count++] = m->clock;
    if (m->debounce != 0)
        keys[count++] = debounce;
    return status == KRCTL_OK ? gpio_open(&m->gpio, keys, false) : status;
}

static void say_what(struct mon_s *m)
{
    struct gpio_s *g = &m->gpio;
    struct bytes_s *to = &g->session.out.next;

    bytes_printf(to, "# watching");
    for (unsigned i = 0; i < g->lines; i++) {
        bytes_printf(to, "%s", i > 0 ? ", " : " ");
        gpio_add_name(to, g, &g->line[i]);
    }
    bytes_printf(to, "\n");
    output_flush(&g->session.out);
}

static int summary(const struct mon_s *m, int status, uint64_t ended)
{
    fprintf(stderr, "krctl: %" PRIu64 " edge%s in %.3f s, ", m->seen, m->seen == 1 ? "" : "s",
            (double)(ended - m->started) / 1e9);
    if (m->lost_some)
        fprintf(stderr, "others may be lost, nobody knows how many\n");
    else if (m->lost != 0)
        fprintf(stderr, "%" PRIu64 " lost\n", m->lost);
    else
        fprintf(stderr, "none lost\n");
    return status == KRCTL_OK && (m->lost != 0 || m->lost_some) ? KRCTL_FAILED : status;
}

static int body(struct gpio_s *g)
{
    struct mon_s *m = KROUTINE_CONTAINER(g, struct mon_s, gpio);
    struct session_s *s = &g->session;
    int status = open_lines(m);

    if (status != KRCTL_OK)
        return status;
    m->started = m->heard = session_now(s);
    m->wall = (int64_t)(session_time(s) - m->started);
    if (m->banner)
        say_what(m);
    for (unsigned i = 0; i < g->groups; i++) {
        struct gpio_group_s *group = &g->group[i];

        dev_gpio_rq_init_sched_switch(&group->rq, got_edges);
        group->rq.pvdata = group;
        submit(group);
    }
    dev_timer_rq_init_sched_switch(&m->silence, silence);
    m->silence.pvdata = m;
    if (m->idle != 0)
        session_after(s, &m->silence, m->idle);
    gpio_finger_start(&m->finger, g);
    status = session_run(s);
    return summary(m, status, session_now(s));
}

/* --- the command --- */

static int take_edges(const struct krctl_command_s *command, void *to, const char *name)
{
    static const char *const keys[] = {"events=both", "events=rising", "events=falling"};

    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(optarg, keys[i] + strlen("events=")) != 0)
            continue;
        *(const char **)to = keys[i];
        return KRCTL_OK;
    }
    (void)name;
    return krctl_usage(command, "'%s' is not rising, falling or both", optarg);
}

static int take_clock(const struct krctl_command_s *command, void *to, const char *name)
{
    const char **clock = to;

    (void)name;
    *clock = strcmp(optarg, "realtime") == 0 ? "clock=realtime" : NULL;
    return *clock != NULL || strcmp(optarg, "monotonic") == 0
               ? KRCTL_OK
               : krctl_usage(command, "'%s' is not monotonic or realtime", optarg);
}

static int take_format(const struct krctl_command_s *command, void *to, const char *name)
{
    const char *wrong = gpio_format_check(optarg);

    (void)name;
    *(const char **)to = optarg;
    return wrong == NULL ? KRCTL_OK
                         : krctl_usage(command, "'%.2s' in the format means nothing", wrong);
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        GPIO_LINE_OPTIONS(&mon.gpio),
        {.name = "banner", .kind = OPTION_FLAG, .to = &mon.banner},
        {.name = "debounce-period", .letter = 'p', .kind = OPTION_TIME, .to = &mon.debounce},
        {.name = "edges", .letter = 'e', .kind = OPTION_TAKE, .to = &mon.edges, .take = take_edges},
        {.name = "event-clock",
         .letter = 'E',
         .kind = OPTION_TAKE,
         .to = &mon.clock,
         .take = take_clock},
        {.name = "format",
         .letter = 'F',
         .kind = OPTION_TAKE,
         .to = &mon.format,
         .take = take_format},
        {.name = "idle-timeout", .letter = 't', .kind = OPTION_TIME, .to = &mon.idle},
        {.name = "num-events", .letter = 'n', .kind = OPTION_SIZE, .to = &mon.limit},
        {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .to = &mon.quiet},
        {.name = "simulate", .kind = OPTION_TAKE, .to = &mon.finger, .take = gpio_finger_option},
        {0},
    };
    bool done;
    int status;

    mon.gpio.command = &krctl_gpio_mon;
    mon.edges = "events=both";
    status = options_take(&krctl_gpio_mon, table, argc, argv, &done);
    if (done)
        return status;
    if (optind == argc)
        return krctl_usage(&krctl_gpio_mon, "LINE is missing");
    if (mon.format != NULL && mon.gpio.json)
        return krctl_usage(&krctl_gpio_mon, "--format and --json exclude each other");
    mon.gpio.words = argv + optind;
    return gpio_session(&mon.gpio, body);
}

const struct krctl_command_s krctl_gpio_mon = {
    .name = "gpio mon",
    .summary = "prints edges",
    .help = "usage: krctl gpio mon LINE... [OPTION]...\n"
            "\n"
            "Prints the edges of lines with the time that the kernel gave them, and says\n"
            "where edges were lost; at the end, how many there were. Lost edges make exit\n"
            "status 1.\n"
            "\n"
            "  -e, --edges EDGES      rising, falling, both (default both)\n"
            "  -n, --num-events N     end after N edges\n"
            "  -t, --idle-timeout TIME\n"
            "                         end when there was no edge for TIME\n"
            "  -p, --debounce-period TIME\n"
            "                         an edge counts when the line is quiet for TIME after it\n"
            "  -E, --event-clock CLK  of timestamps: monotonic, realtime (default monotonic)\n"
            "  -F, --format FORMAT    %o offset, %l line, %c chip, %C its label, %E rising or\n"
            "                         falling, %e 1 or 2, %S seconds, %t nanoseconds, %U UTC,\n"
            "                         %L local time, %q number of the edge, %Q of this line,\n"
            "                         %x lost before it, %%\n"
            "      --banner           say when lines are being watched\n"
            "  -q, --quiet            only the summary\n"
            "      --unquoted         names without quotes\n"
            "      --simulate TIME[,N]\n"
            "                         move simulated lines, N times every TIME\n" GPIO_CHIP_HELP
                GPIO_LINE_HELP GPIO_END_HELP,
    .run = run,
};
