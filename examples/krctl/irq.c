/* SPDX-License-Identifier: MIT */
/*
 * krctl irq: interrupts of a device. Nobody knows here how the device is quieted, so a
 * level-triggered interrupt that stays raised is seen again as soon as it is unmasked.
 */
#include "krctl.h"
#include "session.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct krctl_command_s irq_count;

struct counter_s {
    struct session_s session;
    struct device_mmio_s dev;
    struct dev_irq_s irq;
    const char *spec;
    uint64_t count; /* 0: no limit */
    uint64_t timeout;
    uint64_t began;
};

static const char *const kinds[DEV_IRQ_KINDS] = {"any", "line", "intx", "msi", "msix"};

static KROUTINE_EXEC(fired)
{
    struct counter_s *c = dev_irq_from_kr(kr)->pvdata;
    struct dev_irq_counts_s counts;

    if (c->irq.error) {
        session_end(&c->session, krctl_fail("%s is gone", c->spec));
        return;
    }
    dev_irq_counts(&c->irq, &counts);
    if (c->count && counts.fired >= c->count)
        session_end(&c->session, KRCTL_OK);
    else if (c->irq.kind == DEV_IRQ_LINE || c->irq.kind == DEV_IRQ_INTX)
        dev_irq_unmask(&c->irq);
}

static void report(struct counter_s *c)
{
    double seconds = (double)(session_now(&c->session) - c->began) / 1e9;
    struct dev_irq_counts_s counts;

    dev_irq_counts(&c->irq, &counts);
    printf("%s %u: fired %" PRIu64 ", handled %" PRIu64 ", missed %" PRIu64 ", in %.3f s",
           kinds[c->irq.kind], c->irq.vector, counts.fired, counts.handled, counts.missed, seconds);
    if (seconds > 0)
        printf(", %.1f a second", (double)counts.fired / seconds);
    putchar('\n');
}

static int count_them(struct counter_s *c)
{
    error_t err = dev_irq_request(&c->dev, &c->irq);
    int status;

    if (err)
        return krctl_fail("cannot take the interrupt of %s: %s", c->spec, krctl_error(err));
    c->began = session_now(&c->session);
    session_limit(&c->session, c->timeout);
    status = session_run(&c->session);
    dev_irq_release(&c->irq);
    if (!c->irq.error)
        report(c);
    /* Without a number of interrupts to wait for, the time is what was asked for. */
    return status == KRCTL_TIMEOUT && !c->count ? KRCTL_OK : status;
}

static int perform(struct counter_s *c)
{
    int status = session_open(&c->session, KROUTINE_BACKEND_AUTO);

    if (status != KRCTL_OK)
        return status;
    status = session_open_port(&c->session, &c->dev.base, c->spec, DRIVER_CLASS_MMIO);
    if (status == KRCTL_OK)
        status = count_them(c);
    device_put_accessor(&c->dev.base);
    session_close(&c->session);
    return status;
}

static int kind_option(struct dev_irq_s *irq)
{
    for (int i = 0; i < DEV_IRQ_KINDS; i++) {
        if (strcmp(optarg, kinds[i]) == 0) {
            irq->kind = (enum dev_irq_kind_e)i;
            return KRCTL_OK;
        }
    }
    return krctl_usage(&irq_count, "--kind is any, line, intx, msi or msix, not '%s'", optarg);
}

static int vector_option(struct dev_irq_s *irq)
{
    double value;

    if (!krctl_number(optarg, 0, 65535, &value))
        return krctl_usage(&irq_count, "--vector is a number such as 0, not '%s'", optarg);
    irq->vector = (uint16_t)value;
    return KRCTL_OK;
}

static int option_of(struct counter_s *c, int option)
{
    switch (option) {
    case 'k':
        return kind_option(&c->irq);
    case 'v':
        return vector_option(&c->irq);
    case 'n':
        return krctl_size_option(&irq_count, "count", &c->count);
    case 't':
        return krctl_time_option(&irq_count, "timeout", &c->timeout);
    default:
        return krctl_usage(&irq_count, NULL);
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'n'},  {"help", no_argument, NULL, 'h'},
        {"kind", required_argument, NULL, 'k'},   {"timeout", required_argument, NULL, 't'},
        {"vector", required_argument, NULL, 'v'}, {0},
    };
    static struct counter_s c;
    int option, status = KRCTL_OK;

    dev_irq_init_sched_switch(&c.irq, fired);
    c.irq.pvdata = &c;
    while ((option = getopt_long(argc, argv, "hk:n:t:v:", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&irq_count);
        status = option_of(&c, option);
        if (status != KRCTL_OK)
            return status;
    }
    c.spec = krctl_operand(&irq_count, argc, argv, "SPEC", &status);
    if (c.spec == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&irq_count, "'%s' is one word too many", argv[optind]);
    return perform(&c);
}

static const struct krctl_command_s irq_count = {
    .name = "irq count",
    .summary = "counts the interrupts of a device",
    .help = "usage: krctl irq count SPEC [OPTION]...\n"
            "\n"
            "Takes an interrupt, counts until Ctrl-C, and prints how often it fired, how\n"
            "often the handler ran, and how many came before it could. A level-triggered one\n"
            "is unmasked each time: as long as nobody quiets the device, it fires again.\n"
            "\n"
            "  -k, --kind KIND     any, line, intx, msi or msix (default any)\n"
            "  -v, --vector N      of that kind (default 0)\n"
            "  -n, --count N       until N have fired\n"
            "  -t, --timeout TIME  until TIME has passed: exit status 3 with --count\n"
            "  -h, --help          this text\n",
    .run = run,
};

static const struct krctl_command_s *const members[] = {&irq_count, NULL};

const struct krctl_command_s krctl_irq = {
    .name = "irq",
    .summary = "interrupts of a device",
    .help = "usage: krctl irq count SPEC [OPTION]...\n"
            "       krctl irq COMMAND --help\n"
            "\n"
            "  count    counts the interrupts of a device\n"
            "\n"
            "SPEC is a device of class mmio, such as uio:uio0; krctl list has them.\n",
    .members = members,
};
