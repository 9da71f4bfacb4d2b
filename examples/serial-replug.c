/* SPDX-License-Identifier: MIT */
/*
 * A serial port that may be unplugged at any time, and comes back under the same name.
 *
 * Steps: 1. open the port; when it is not there, try again later; 2. read lines; 3. when a request
 * ends with -ENODEV, put the accessor: the device is gone for good, even when the same adapter is
 * plugged in again; 4. set a timer, and go back to 1. The delay doubles up to two seconds, so
 * that a port that stays away costs nothing.
 * Compile: gcc serial-replug.c $(pkg-config --cflags --libs libkroutine)
 * Run: ./serial-replug 'tty:/dev/serial/by-id/NAME?baud=9600&frame=line&errors=report'
 * Names below /dev/serial/by-id follow an adapter; /dev/ttyUSB0 may be another one's next time.
 * Without an argument a pseudo-terminal is plugged in and out three times, and the program ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <kroutine.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DELAY_MIN KROUTINE_MSEC(50)
#define DELAY_MAX KROUTINE_SEC(2)

static const char *spec;
static struct device_char_s port = DEVICE_ACCESSOR_INIT;
static struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
static struct dev_char_rq_s rq;
static struct dev_timer_rq_s retry;
static uint64_t delay = DELAY_MIN;
static uint8_t line[256];
static unsigned visits; /* until the program ends; 0: never */
static sem_t opened, got, ended;

static void read_line(void)
{
    rq.type = DEV_CHAR_READ_FRAME;
    rq.data = line;
    rq.size = sizeof(line);
    DEVICE_OP(&port, request, &rq);
}

static void try_later(void)
{
    retry.delay = delay;
    if (DEVICE_OP(&timer, request, &retry) != 0)
        sem_post(&ended);
    delay = delay * 2 < DELAY_MAX ? delay * 2 : DELAY_MAX;
}

/* DEFERRED, so on a worker: open(2) of a port may take its time, and the reactor has none. */
static KROUTINE_EXEC(open_port)
{
    (void)kr;
    (void)flags;
    if (retry.error) { /* -ECANCELED: the runtime ends */
        sem_post(&ended);
        return;
    }
    error_t err = device_get_accessor_by_path(&port.base, NULL, spec, DRIVER_CLASS_CHAR);
    if (err != 0) {
        printf("not there: %s\n", kroutine_error_text());
        if (err == -EINVAL || err == -ERANGE || err == -ENOTSUP) /* no plug will help */
            sem_post(&ended);
        else
            try_later();
        return;
    }
    puts("plugged in");
    delay = DELAY_MIN;
    sem_post(&opened);
    read_line();
}

static KROUTINE_EXEC(got_line)
{
    (void)kr;
    (void)flags;
    switch (rq.error) {
    case 0:
        printf("line: %.*s\n", (int)(rq.data - line), (char *)line);
        sem_post(&got);
        read_line();
        break;
    case -EBADMSG: /* damaged on its way */
    case -EPIPE:   /* some of it lost */
    case -ENOSPC:  /* too long */
        puts("(a bad line)");
        read_line();
        break;
    default: /* -ENODEV above all */
        puts("unplugged");
        device_put_accessor(&port.base);
        if (visits && --visits == 0)
            sem_post(&ended);
        else
            try_later();
    }
}

/* --- the part of the adapter, when there is none --- */

static char folder[] = "/tmp/replug.XXXXXX", name[64];

static int plug_in(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) || unlockpt(master) || symlink(ptsname(master), name))
        return -1;
    return master;
}

static int play_adapter(void)
{
    for (unsigned i = 0; i < 3; i++) {
        int master = plug_in();

        if (master < 0)
            return -1;
        sem_wait(&opened);
        if (write(master, "hello\n", 6) != 6)
            return -1;
        sem_wait(&got);
        unlink(name);
        close(master);
        usleep(120000);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char made[160];

    sem_init(&opened, 0, 0);
    sem_init(&got, 0, 0);
    sem_init(&ended, 0, 0);
    spec = argv[1];
    if (argc < 2) {
        if (!mkdtemp(folder))
            return 1;
        snprintf(name, sizeof(name), "%s/port", folder);
        snprintf(made, sizeof(made), "tty:%s?baud=9600&frame=line", name);
        spec = made;
        visits = 3;
    }
    if (device_get_accessor_by_path(&timer.base, NULL, "timer0", DRIVER_CLASS_TIMER) != 0)
        return 1;
    dev_char_rq_init(&rq, got_line);
    dev_timer_rq_init(&retry, open_port);
    try_later();
    int failed = argc < 2 ? play_adapter() : 0;
    if (!failed)
        sem_wait(&ended);
    device_put_accessor(&port.base);
    device_put_accessor(&timer.base);
    if (argc < 2)
        rmdir(folder);
    return failed ? 1 : 0;
}
