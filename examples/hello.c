/* SPDX-License-Identifier: MIT */
/*
 * Reads lines from a device, and gives up after a second of silence.
 *
 * Steps: 1. open a char device by its spec; 2. submit a read, whose handler prints the line and
 * submits again; 3. do other things meanwhile; 4. take the last read back, and close.
 * Compile: gcc hello.c -o hello $(pkg-config --cflags --libs libkroutine)
 * Run: ./hello 'tty:/dev/ttyUSB0?baud=9600&frame=line', or ./hello for lines of standard input.
 */
#include <errno.h>
#include <kroutine.h>
#include <stdio.h>
#include <unistd.h>

static struct device_char_s dev = DEVICE_ACCESSOR_INIT;
static struct dev_char_rq_s rq;
static uint8_t line[256];

static void read_line(void)
{
    rq.type = DEV_CHAR_READ_FRAME;
    rq.data = line;
    rq.size = sizeof(line);
    DEVICE_OP(&dev, request, &rq);
}

/* DEFERRED: runs on a worker of the pool, and may submit again. */
static KROUTINE_EXEC(got_line)
{
    (void)kr;
    (void)flags;
    if (rq.error == 0) {
        printf("%.*s\n", (int)(rq.data - line), (char *)line);
        read_line();
    } else if (rq.error == -ETIMEDOUT) {
        puts("nothing for a second");
    } else if (rq.error == -ENODATA) {
        puts("the end");
    }
}

int main(int argc, char **argv)
{
    const char *spec = argc > 1 ? argv[1] : "fd:0?frame=line";

    if (device_get_accessor_by_path(&dev.base, NULL, spec, DRIVER_CLASS_CHAR) != 0) {
        fprintf(stderr, "%s\n", kroutine_error_text());
        return 1;
    }
    dev_char_rq_init(&rq, got_line);
    dev_request_set_timeout(&rq.base, KROUTINE_SEC(1));
    read_line();

    sleep(2); /* or whatever the program has to do */

    /* 0: taken back, the handler will not run. -EBUSY: it has run. */
    error_t err = dev_request_cancel_wait(&dev.base, &rq.base);
    puts(err == 0 ? "cancelled" : "was over");
    device_put_accessor(&dev.base);
    return 0;
}
