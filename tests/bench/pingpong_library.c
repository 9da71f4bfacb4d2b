/* SPDX-License-Identifier: MIT */
/* Ping-pong on an embedded runtime. */
#include <stdio.h>

#include "bench.h"
#include "pingpong.h"

struct end_s {
    struct device_char_s dev;
    struct dev_char_rq_s read, write;
    uint8_t in, out;
};

static struct end_s ends[2];
static void submit_read(struct end_s *end)
{
    end->read.type = DEV_CHAR_READ;
    end->read.data = &end->in;
    end->read.size = 1;
    DEVICE_OP(&end->dev, request, &end->read);
}

static void submit_write(struct end_s *end)
{
    end->write.type = DEV_CHAR_WRITE;
    end->write.data = &end->out;
    end->write.size = 1;
    DEVICE_OP(&end->dev, request, &end->write);
}

static KROUTINE_EXEC(written)
{
    bench_require(dev_char_rq_from_kr(kr)->error == 0, "write request");
}

/* --- the runtime and its two devices --- */

static struct kroutine_runtime_s *open_ends(const int fd[2], enum kroutine_backend_e backend)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *rt;
    char spec[32];

    kroutine_runtime_config_init(&config);
    config.backend = backend;
    config.embedded = true;
    config.pool_size = 0;
    if (kroutine_runtime_create(&rt, &config))
        return NULL;
    for (int i = 0; i < 2; i++) {
        snprintf(spec, sizeof(spec), "fd:%d", fd[i]);
        bench_require(device_get_accessor_by_path(&ends[i].dev.base, kroutine_runtime_devices(rt),
                                                  spec, DRIVER_CLASS_CHAR) == 0,
                      kroutine_error_text());
        dev_char_rq_init_immediate(&ends[i].write, written);
    }
    return rt;
}

static void close_ends(struct kroutine_runtime_s *rt)
{
    for (int i = 0; i < 2; i++)
        device_put_accessor(&ends[i].dev.base);
    bench_require(kroutine_runtime_destroy(rt) == 0, "kroutine_runtime_destroy");
}

/* --- in turn --- */

static bool got_it;

static KROUTINE_EXEC(note)
{
    bench_require(dev_char_rq_from_kr(kr)->error == 0, "read request");
    got_it = true;
}

double pingpong_library_in_turn(const int fd[2], unsigned trips, enum kroutine_backend_e backend)
{
    struct kroutine_runtime_s *rt = open_ends(fd, backend);
    double start;

    if (!rt)
        return -1;
    for (int i = 0; i < 2; i++)
        dev_char_rq_init_immediate(&ends[i].read, note);
    start = bench_now();
    for (unsigned hop = 0; hop < 2 * trips; hop++) {
        got_it = false;
        submit_write(&ends[hop % 2]);
        submit_read(&ends[!(hop % 2)]);
        while (!got_it)
            bench_require(kroutine_runtime_wait(rt, -1) >= 0, "kroutine_runtime_wait");
    }
    start = (bench_now() - start) / trips;
    close_ends(rt);
    return start;
}

/* --- ahead --- */

static unsigned hops_left;

static KROUTINE_EXEC(answer)
{
    struct end_s *end = KROUTINE_CONTAINER(kr, struct end_s, read.base.kr);

    if (end->read.error) {
        bench_require(hops_left == 0, "read request");
        return;
    }
    submit_read(end);
    if (--hops_left)
        submit_write(end);
}

double pingpong_library_ahead(const int fd[2], unsigned trips, enum kroutine_backend_e backend,
                              enum kroutine_policy_e policy)
{
    struct kroutine_runtime_s *rt = open_ends(fd, backend);
    double start;

    if (!rt)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (policy == KROUTINE_SCHED_SWITCH)
            dev_char_rq_init_sched_switch(&ends[i].read, answer);
        else
            dev_char_rq_init(&ends[i].read, answer);
        submit_read(&ends[i]);
    }
    kroutine_runtime_process(rt); /* both reads wait */
    hops_left = 2 * trips;
    start = bench_now();
    submit_write(&ends[0]);
    while (hops_left)
        bench_require(kroutine_runtime_wait(rt, -1) >= 0, "kroutine_runtime_wait");
    start = (bench_now() - start) / trips;
    close_ends(rt);
    return start;
}
