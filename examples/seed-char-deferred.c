/* SPDX-License-Identifier: MIT */
/*
 * A char request that its own deferred handler submits again: the model's second program.
 *
 * Steps: 1. look the device up; 2. initialise the request: deferred; 3. submit it; 4. the handler
 * runs on a worker, uses the data and submits again. The char class may complete a request inside
 * its submit, so an immediate handler must not do that: it would call itself, ever deeper.
 * Compile: gcc seed-char-deferred.c $(pkg-config --cflags --libs libkroutine)
 */
#include <kroutine.h>
#include <semaphore.h>
#include <stdio.h>

#define RUNS 1000

static struct device_char_s char_dev = DEVICE_ACCESSOR_INIT;
static struct dev_char_rq_s char_rq;
static uint8_t buffer[16];
static unsigned runs;
static sem_t done;

static KROUTINE_EXEC(char_event)
{
    struct dev_char_rq_s *rq = KROUTINE_CONTAINER(kr, *rq, base.kr);

    (void)flags;
    if (rq->error != 0 || ++runs == RUNS) {
        sem_post(&done);
        return;
    }
    rq->data = buffer;
    rq->size = sizeof(buffer);
    DEVICE_OP(&char_dev, request, rq);
}

int main(void)
{
    sem_init(&done, 0, 0);
    if (device_get_accessor_by_path(&char_dev.base, NULL, "file:/dev/zero", DRIVER_CLASS_CHAR) !=
        0) {
        fprintf(stderr, "no device: %s\n", kroutine_error_text());
        return 1;
    }

    dev_char_rq_init(&char_rq, char_event);
    char_rq.type = DEV_CHAR_READ;
    char_rq.data = buffer;
    char_rq.size = sizeof(buffer);
    DEVICE_OP(&char_dev, request, &char_rq);

    sem_wait(&done);
    printf("%u reads, error %d\n", runs, char_rq.error);
    device_put_accessor(&char_dev.base);
    return runs == RUNS ? 0 : 1;
}
