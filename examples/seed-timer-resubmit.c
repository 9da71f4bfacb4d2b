/* SPDX-License-Identifier: MIT */
/*
 * A timer request that its own immediate handler submits again: the model's third program.
 *
 * Steps: 1. look the timer up; 2. initialise the request: immediate; 3. submit it, and check the
 * result: not 0 means that the handler will never run; 4. the handler does the same. It may,
 * because the timer class never completes a request inside its submit. Compile: gcc
 * seed-timer-resubmit.c $(pkg-config --cflags --libs libkroutine)
 */
#include <kroutine.h>
#include <semaphore.h>
#include <stdio.h>

#define RUNS 50

static struct device_timer_s timer_dev = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s timer_rq;
static unsigned runs;
static error_t result;
static sem_t done;

static KROUTINE_EXEC(timer_event)
{
    struct dev_timer_rq_s *rq = KROUTINE_CONTAINER(kr, *rq, base.kr);

    (void)flags;
    if (rq->error == 0 && ++runs < RUNS) {
        error_t err = DEVICE_OP(&timer_dev, request, rq);
        if (err == 0)
            return;
        result = err;
    }
    sem_post(&done);
}

int main(void)
{
    sem_init(&done, 0, 0);
    if (device_get_accessor_by_path(&timer_dev.base, NULL, "timer0", DRIVER_CLASS_TIMER) != 0) {
        fprintf(stderr, "no timer: %s\n", kroutine_error_text());
        return 1;
    }

    dev_timer_rq_init_immediate(&timer_rq, timer_event);
    dev_timer_init_sec(&timer_dev, &timer_rq.delay, &timer_rq.rev, 1, 1000);
    error_t err = DEVICE_OP(&timer_dev, request, &timer_rq);
    if (err != 0) {
        fprintf(stderr, "the timer refused: %d\n", err);
        return 1;
    }

    sem_wait(&done);
    printf("%u runs, result %d\n", runs, result);
    device_put_accessor(&timer_dev.base);
    return runs == RUNS && result == 0 ? 0 : 1;
}
