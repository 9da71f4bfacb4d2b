/* SPDX-License-Identifier: MIT */
/*
 * The deferred work of the demo: what a line says, and how far the receiver has moved.
 *
 * Workers may run several of these at once and in any order. So each job brings the position before
 * its own, and all results are sums and maxima.
 */
#include "demo.h"
#include "geo.h"

#include <string.h>

static void raise_to(atomic_uint_fast64_t *maximum, uint64_t value)
{
    uint_fast64_t seen = atomic_load(maximum);

    while (seen < value && !atomic_compare_exchange_weak(maximum, &seen, value))
        ;
}

static void move(struct work_s *work, const char *from, const char *to)
{
    struct nmea_fix_s a, b;

    if (!nmea_fix(to, &b))
        return;
    atomic_fetch_add(&work->fixes, 1);
    if (!nmea_fix(from, &a))
        return;
    atomic_fetch_add(&work->legs, 1);
    atomic_fetch_add(&work->distance, (uint64_t)(geo_distance(a.lat, a.lon, b.lat, b.lon) * 1e6));
}

KROUTINE_EXEC(work_run)
{
    struct job_s *job = KROUTINE_CONTAINER(kr, struct job_s, work);
    struct demo_s *demo = job->demo;
    struct work_s *work = &demo->work;
    uint64_t start = demo_now(demo);
    unsigned satellites;
    double knots;

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_DEFERRED);
    if (strncmp(job->text + 3, "GGA", 3) == 0)
        move(work, job->previous, job->text);
    if (nmea_speed(job->text, &knots) && knots >= 0 && knots < 1e6)
        raise_to(&work->top_speed, (uint64_t)(knots * 1852e3 / 3600));
    if (nmea_in_view(job->text, &satellites))
        raise_to(&work->satellites, satellites);
    atomic_fetch_add(&work->time, demo_now(demo) - start);
    reader_release(job);
}
