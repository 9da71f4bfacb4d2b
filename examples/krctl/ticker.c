/* SPDX-License-Identifier: MIT */
/*
 * The 1 kHz timer of the demo. The timer class never completes a request inside its submit, so the
 * handler may be IMMEDIATE, right in the reactor's dispatch, and submit again from there.
 */
#include "demo.h"

#include <errno.h>

/* Deadlines count from the schedule, not from now: a late tick does not move the later ones. */
static void arm(struct ticker_s *ticker, struct device_timer_s *timer)
{
    for (;;) {
        ticker->rq.delay = 0;
        ticker->rq.deadline += TICKER_PERIOD;
        error_t err = DEVICE_OP(timer, request, &ticker->rq);
        if (err != -ETIMEDOUT) {
            ticker->error = err;
            return;
        }
        ticker->skipped++;
    }
}

static KROUTINE_EXEC(ticker_tick)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);
    struct demo_s *demo = rq->pvdata;
    struct ticker_s *ticker = &demo->ticker;
    uint64_t now = demo_now(demo);

    (void)flags;
    demo_count_request(demo, KROUTINE_IMMEDIATE);
    if (rq->error != 0) {
        ticker->error = rq->error;
        return;
    }
    ticker->ticks++;
    if (now < rq->deadline)
        ticker->early++;
    else
        hist_add(&ticker->lateness, now - rq->deadline);
    if (!atomic_load(&ticker->stopping))
        arm(ticker, &demo->timer);
}

error_t ticker_start(struct demo_s *demo)
{
    struct ticker_s *ticker = &demo->ticker;

    dev_timer_rq_init_immediate(&ticker->rq, ticker_tick);
    ticker->rq.pvdata = demo;
    ticker->rq.deadline = demo->start;
    ticker->rq.rev = 0;
    arm(ticker, &demo->timer);
    return ticker->error;
}

void ticker_stop(struct demo_s *demo)
{
    /* First the flag, or the handler that cancel_wait waits for would submit again. */
    atomic_store(&demo->ticker.stopping, true);
    dev_request_cancel_wait(&demo->timer.base, &demo->ticker.rq.base);
}
