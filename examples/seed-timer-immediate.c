/* SPDX-License-Identifier: MIT */
/*
 * A timer request with an immediate handler: the model's first program.
 *
 * Steps: 1. look the timer up; 2. initialise the request with its handler; 3. submit it; 4. the
 * handler runs in the timer's dispatch, on the reactor.
 * Compile: gcc seed-timer-immediate.c $(pkg-config --cflags --libs libkroutine)
 */
#include <kroutine.h>
#include <semaphore.h>
#include <stdio.h>

static struct device_timer_s timer_dev = DEVICE_ACCESSOR_INIT;
static struct dev_timer_rq_s timer_rq;
static sem_t done;

static KROUTINE_EXEC(timer_event)
{
    struct dev_timer_rq_s *rq = KROUTINE_CONTAINER(kr, *rq, base.kr);

    (void)flags;
    printf("timer event at %llu\n", (unsigned long long)rq->deadline);
    sem_post(&done);
}

int main(void)
{
    sem_init(&done, 0, 0);
    if (device_get_accessor_by_path(&timer_dev.base, NULL, "timer*", DRIVER_CLASS_TIMER) != 0) {
        fprintf(stderr, "no timer: %s\n", kroutine_error_text());
        return 1;
    }

    dev_timer_rq_init_immediate(&timer_rq, timer_event);
    dev_timer_init_sec(&timer_dev, &timer_rq.delay, &timer_rq.rev, 10, 1000);
    error_t err = DEVICE_OP(&timer_dev, request, &timer_rq);
    if (err != 0) {
        fprintf(stderr, "the timer refused: %d\n", err);
        return 1;
    }

    sem_wait(&done);
    device_put_accessor(&timer_dev.base);
    return 0;
}
