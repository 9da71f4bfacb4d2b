/* SPDX-License-Identifier: MIT */
/*
 * krctl demo: the main job of a small daemon, for a few seconds, with a report.
 *
 * The main thread serves a queue: the end, Ctrl-C and whatever goes wrong arrive there as kroutines
 * of policy QUEUE, so that this file needs no lock and no signal handler. Winding down goes through
 * the states of enum demo_state_e, each left when a kroutine says that its work is done.
 */
#include "demo.h"
#include "krctl.h"
#include "ports.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PATIENCE KROUTINE_SEC(2)

uint64_t demo_now(struct demo_s *demo)
{
    dev_timer_value_t value = 0;

    DEVICE_OP(&demo->timer, get_value, &value, 0);
    return value;
}

void demo_count_request(struct demo_s *demo, enum kroutine_policy_e policy)
{
    atomic_fetch_add(&demo->tally[policy].requests, 1);
}

void demo_count_kroutine(struct demo_s *demo, enum kroutine_policy_e policy)
{
    atomic_fetch_add(&demo->tally[policy].kroutines, 1);
}

bool demo_spec(char *spec, size_t size, const char *driver, const char *path)
{
    size_t len = (size_t)snprintf(spec, size, "%s:", driver);

    for (; *path != '\0'; path++) {
        if (len + 4 > size)
            return false;
        if (strchr("%?& ", *path) != NULL)
            len += (size_t)sprintf(spec + len, "%%%02X", (unsigned char)*path);
        else
            spec[len++] = *path;
    }
    spec[len] = '\0';
    return true;
}

/* --- winding down --- */

static void drain(struct demo_s *demo)
{
    if (demo->state >= DEMO_DRAINING)
        return;
    demo->state = DEMO_DRAINING;
    reader_stop(demo);
}

static KROUTINE_EXEC(demo_idle)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, idle);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_QUEUE);
    log_finish(demo);
}

static KROUTINE_EXEC(demo_logged)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, logged);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_QUEUE);
    demo->state = DEMO_DONE;
}

static KROUTINE_EXEC(demo_caught_up)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, caught_up);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_QUEUE);
    drain(demo);
}

static KROUTINE_EXEC(demo_patience_over)
{
    struct demo_s *demo = dev_timer_rq_from_kr(kr)->pvdata;

    (void)flags;
    demo_count_request(demo, KROUTINE_QUEUE);
    demo->waiting--;
    drain(demo);
}

static void wind_down(struct demo_s *demo)
{
    if (demo->state != DEMO_RUNNING)
        return;
    demo->stop = demo_now(demo);
    ticker_stop(demo);
    if (demo->feeder.pid == 0 || demo->feeder.died || demo->reader.error != 0) {
        drain(demo);
        return;
    }

    demo->state = DEMO_CATCHING_UP;
    dev_timer_rq_init_queue(&demo->patience, demo_patience_over, &demo->queue);
    demo->patience.pvdata = demo;
    demo->patience.delay = PATIENCE;
    demo->patience.rev = 0;
    if (DEVICE_OP(&demo->timer, request, &demo->patience) == 0)
        demo->waiting++;
    feeder_stop(demo);
}

void demo_feeder_over(struct demo_s *demo)
{
    if (demo->state == DEMO_CATCHING_UP && demo->feeder.reported)
        reader_expect(demo, demo->feeder.bytes);
    else if (demo->state == DEMO_CATCHING_UP)
        drain(demo);
    else
        wind_down(demo);
}

static KROUTINE_EXEC(demo_broken)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, broken);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_QUEUE);
    if (demo->state == DEMO_RUNNING)
        wind_down(demo);
    else
        drain(demo);
}

static KROUTINE_EXEC(demo_end)
{
    struct demo_s *demo = dev_timer_rq_from_kr(kr)->pvdata;
    bool over = dev_timer_rq_from_kr(kr)->error == 0;

    (void)flags;
    demo_count_request(demo, KROUTINE_QUEUE);
    demo->waiting--;
    if (over)
        wind_down(demo);
}

/* --- Ctrl-C: a descriptor that is read as any other device --- */

static KROUTINE_EXEC(demo_signal)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);
    struct demo_s *demo = rq->pvdata;
    sigset_t set;

    (void)flags;
    demo_count_request(demo, KROUTINE_QUEUE);
    demo->waiting--;
    if (rq->error != 0)
        return;
    demo->interrupted = true;
    /* The next one ends the process at once. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    wind_down(demo);
}

/* Blocks the signals in this thread, and so in all that it starts. The descriptor, or -errno. */
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads is an error of the write */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

static error_t watch_signals(struct demo_s *demo, int fd)
{
    char spec[32];

    snprintf(spec, sizeof(spec), "fd:%d", fd);
    error_t err = device_get_accessor_by_path(
        &demo->signals.base, kroutine_runtime_devices(demo->runtime), spec, DRIVER_CLASS_CHAR);
    if (err != 0)
        return err;
    _Static_assert(sizeof(demo->signal) == sizeof(struct signalfd_siginfo), "one signal");
    dev_char_rq_init_queue(&demo->signal_rq, demo_signal, &demo->queue);
    demo->signal_rq.pvdata = demo;
    demo->signal_rq.type = DEV_CHAR_READ;
    demo->signal_rq.data = demo->signal;
    demo->signal_rq.size = sizeof(demo->signal);
    demo->waiting++;
    DEVICE_OP(&demo->signals, request, &demo->signal_rq);
    return 0;
}

/* --- start and end --- */

static int open_log(struct demo_s *demo)
{
    const char *dir = getenv("TMPDIR");
    error_t err;

    if (demo->options.log != NULL) {
        snprintf(demo->log_path, sizeof(demo->log_path), "%s", demo->options.log);
    } else {
        snprintf(demo->log_path, sizeof(demo->log_path), "%s/krctl-demo-XXXXXX.log",
                 dir != NULL && dir[0] != '\0' ? dir : "/tmp");
        int fd = mkstemps(demo->log_path, 4);
        if (fd < 0) {
            krctl_fail("cannot make %s: %s", demo->log_path, strerror(errno));
            krctl_hint("--log with a file in a folder that you may write to");
            return KRCTL_FAILED;
        }
        close(fd);
    }
    if ((err = log_open(demo, demo->log_path)) == 0)
        return KRCTL_OK;
    krctl_fail("%s", krctl_error(err)); /* starts with the spec */
    krctl_hint("--log with a file in a folder that you may write to");
    return KRCTL_FAILED;
}

static int open_input(struct demo_s *demo)
{
    const struct demo_options_s *options = &demo->options;
    const char *path = options->tty;

    if (path == NULL) {
        int status = feeder_open(demo, options->input, options->baud);
        if (status != KRCTL_OK)
            return status;
        path = demo->feeder.path;
    }
    error_t err = reader_open(demo, path, options->baud);
    if (err == 0)
        return KRCTL_OK;
    krctl_fail("%s", krctl_error(err)); /* starts with the spec */
    if (options->tty == NULL)
        return KRCTL_FAILED;
    if (err == -ERANGE || err == -ENOTSUP || err == -EINVAL)
        krctl_hint("another speed than %u: most receivers use 4800, 9600, 38400 or 115200",
                   options->baud);
    else
        ports_hint(path, err);
    krctl_hint("krctl demo without --tty, which makes its own input");
    return KRCTL_FAILED;
}

static int open_runtime(struct demo_s *demo, int signal_fd)
{
    struct kroutine_runtime_config_s config;
    error_t err;

    kroutine_runtime_config_init(&config);
    config.backend = demo->options.backend;
    if ((err = kroutine_runtime_create(&demo->runtime, &config)) != 0) {
        krctl_fail("cannot make a runtime: %s", krctl_error(err));
        krctl_hint("krctl info");
        return KRCTL_FAILED;
    }
    if ((err = watch_signals(demo, signal_fd)) != 0)
        return krctl_fail("cannot watch for Ctrl-C: %s", krctl_error(err));
    if ((err =
             device_get_accessor_by_path(&demo->timer.base, kroutine_runtime_devices(demo->runtime),
                                         "timer0", DRIVER_CLASS_TIMER)) != 0)
        return krctl_fail("there is no timer: %s", krctl_error(err));
    return open_log(demo);
}

static int start(struct demo_s *demo)
{
    error_t err;

    demo->start = demo_now(demo);
    dev_timer_rq_init_queue(&demo->end, demo_end, &demo->queue);
    demo->end.pvdata = demo;
    demo->end.delay = 0;
    demo->end.deadline = demo->start + (uint64_t)(demo->options.seconds * 1e9);
    demo->end.rev = 0;
    if ((err = DEVICE_OP(&demo->timer, request, &demo->end)) != 0)
        return krctl_fail("the timer refuses the end: %s", strerror(-err));
    demo->waiting++;
    if ((err = ticker_start(demo)) != 0)
        return krctl_fail("the timer refuses to tick: %s", strerror(-err));
    reader_start(demo);
    if (demo->feeder.pid != 0 && feeder_start(demo) != 0) {
        demo->feeder.died = true;
        wind_down(demo);
    }
    return KRCTL_OK;
}

/* Takes back the requests that main waits for. One that is over has its handler in the queue, which
   only this thread serves: so no cancel_wait here, it would wait for ever. */
static void cancel_waiting(struct demo_s *demo)
{
    /* The pvdata of a request that was never submitted is not set. */
    if (demo->end.pvdata != NULL)
        demo->waiting -= DEVICE_OP(&demo->timer, cancel, &demo->end) == 0;
    if (demo->patience.pvdata != NULL)
        demo->waiting -= DEVICE_OP(&demo->timer, cancel, &demo->patience) == 0;
    if (demo->signal_rq.pvdata != NULL)
        demo->waiting -= DEVICE_OP(&demo->signals, cancel, &demo->signal_rq) == 0;
    if (demo->feeder.rq.pvdata != NULL)
        demo->waiting -= DEVICE_OP(&demo->feeder.control, cancel, &demo->feeder.rq) == 0;
    while (demo->waiting > 0)
        kroutine_queue_wait(&demo->queue);
}

static void finish(struct demo_s *demo)
{
    cancel_waiting(demo);
    feeder_close(demo);
    device_put_accessor(&demo->reader.device.base);
    device_put_accessor(&demo->log.device.base);
    device_put_accessor(&demo->timer.base);
    device_put_accessor(&demo->signals.base);
    if (demo->runtime != NULL) {
        if (kroutine_runtime_info(demo->runtime, &demo->info) == 0) {
            snprintf(demo->backend, sizeof(demo->backend), "%s", demo->info.backend);
            snprintf(demo->reason, sizeof(demo->reason), "%s", demo->info.reason);
        }
        kroutine_runtime_destroy(demo->runtime);
    }
    /* What came in after the end was decided has nothing left to do. */
    while (kroutine_queue_process(&demo->queue))
        ;
    kroutine_seq_cleanup(&demo->log.seq);
    kroutine_queue_cleanup(&demo->queue);
}

static void init(struct demo_s *demo)
{
    kroutine_init_queue(&demo->broken, demo_broken, &demo->queue);
    kroutine_init_queue(&demo->caught_up, demo_caught_up, &demo->queue);
    kroutine_init_queue(&demo->idle, demo_idle, &demo->queue);
    kroutine_init_queue(&demo->logged, demo_logged, &demo->queue);
    kroutine_seq_init(&demo->log.seq);
}

static int run_demo(struct demo_s *demo, int signal_fd)
{
    int status = open_runtime(demo, signal_fd);
    if (status == KRCTL_OK)
        status = open_input(demo);
    if (status == KRCTL_OK) {
        const char *path = demo->options.tty != NULL ? demo->options.tty : demo->feeder.path;
        printf("reading %s at %u baud for %g s, Ctrl-C ends early\n", path, demo->options.baud,
               demo->options.seconds);
        fflush(stdout);
        status = start(demo);
    }
    while (status == KRCTL_OK && demo->state != DEMO_DONE)
        kroutine_queue_wait(&demo->queue);
    finish(demo);
    return status == KRCTL_OK ? demo_report(demo) : status;
}

static int parse(struct demo_options_s *to, int argc, char **argv)
{
    static const struct option options[] = {
        {"tty", required_argument, NULL, 't'},     {"baud", required_argument, NULL, 'b'},
        {"input", required_argument, NULL, 'i'},   {"log", required_argument, NULL, 'l'},
        {"seconds", required_argument, NULL, 's'}, {"backend", required_argument, NULL, 'B'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    double baud = PLAYER_BAUD;
    int option;

    while ((option = getopt_long(argc, argv, "t:b:i:l:s:B:h", options, NULL)) != -1) {
        switch (option) {
        case 't':
            to->tty = optarg;
            break;
        case 'b':
            if (!krctl_number(optarg, 1, UINT32_MAX, &baud) || baud != (unsigned)baud)
                return krctl_usage(&krctl_demo, "--baud is a number of bits a second, not '%s'",
                                   optarg);
            break;
        case 'i':
            to->input = optarg;
            break;
        case 'l':
            to->log = optarg;
            break;
        case 's':
            if (!krctl_number(optarg, 0.1, 1e6, &to->seconds))
                return krctl_usage(&krctl_demo, "--seconds is 0.1 to 1000000, not '%s'", optarg);
            break;
        case 'B':
            if (!krctl_backend(optarg, &to->backend))
                return krctl_usage(&krctl_demo, "'%s' is not auto, uring or epoll", optarg);
            break;
        default:
            return option == 'h' ? -1 : krctl_usage(&krctl_demo, NULL);
        }
    }
    to->baud = (unsigned)baud;
    if (optind < argc)
        return krctl_usage(&krctl_demo, "'%s' is one word too many", argv[optind]);
    if ((to->tty != NULL && to->tty[0] == '\0') || (to->log != NULL && to->log[0] == '\0'))
        return krctl_usage(&krctl_demo, "a path is empty");
    if (to->tty == NULL && (baud < PLAYER_BAUD_MIN || baud > PLAYER_BAUD_MAX))
        return krctl_usage(&krctl_demo, "--baud is %d to %d without --tty", PLAYER_BAUD_MIN,
                           PLAYER_BAUD_MAX);
    if (to->tty != NULL && to->input != NULL)
        return krctl_usage(&krctl_demo, "--tty reads a port, --input plays a file: not both");
    return KRCTL_OK;
}

static int run(int argc, char **argv)
{
    struct demo_options_s options = {.seconds = 5};
    int status = parse(&options, argc, argv);
    int signal_fd;

    if (status != KRCTL_OK)
        return status < 0 ? krctl_help(&krctl_demo) : status;
    struct demo_s *demo = calloc(1, sizeof(*demo));
    if (demo == NULL)
        return krctl_fail("no memory");
    demo->options = options;
    if ((signal_fd = block_signals()) < 0) {
        free(demo);
        return krctl_fail("cannot watch for Ctrl-C: %s", strerror(-signal_fd));
    }
    if (kroutine_queue_init(&demo->queue) != 0) {
        free(demo);
        return krctl_fail("no memory for a lock");
    }
    init(demo);
    status = run_demo(demo, signal_fd);
    close(signal_fd);
    free(demo);
    return status;
}

const struct krctl_command_s krctl_demo = {
    .name = "demo",
    .summary = "serial lines, a 1 kHz timer, deferred work and a log on one runtime",
    .help = "usage: krctl demo [--seconds N] [--log FILE] [--backend NAME]\n"
            "                  [--input FILE | --tty PATH] [--baud N]\n"
            "\n"
            "Reads NMEA 0183 lines from a serial port, verifies their checksums, works out\n"
            "the distance travelled in deferred handlers, writes a log through a sequence,\n"
            "and keeps a 1 kHz timer meanwhile. Then it reports how each of them did.\n"
            "\n"
            "  -t, --tty PATH      read this serial port (default: a pseudo terminal that a\n"
            "                      process of its own plays a built-in track on)\n"
            "  -i, --input FILE    play this file on the pseudo terminal, once\n"
            "  -b, --baud N        speed of the port, or of the player (default 38400)\n"
            "  -l, --log FILE      write the log there (default: a file in $TMPDIR or /tmp)\n"
            "  -s, --seconds N     how long (default 5); Ctrl-C ends early\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n"
            "\n"
            "Exit status: 0 all went well; 1 something failed or was lost; 2 usage.\n",
    .run = run,
};
