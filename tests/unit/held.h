/* SPDX-License-Identifier: MIT */
/* For the tests of bus threads: a driver whose calls block until the case lets them go on, and
   requests that note what happened to them. */
#ifndef HELD_H
#define HELD_H

#include "kt.h"

#include <kroutine/driver.h>
#include <stdio.h>

#include "../../lib/bus.h"

#define OPS 32

/* --- a driver: each part of a request waits for a permit --- */

struct gate_s {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned permits; /* parts that may end; atomic for readers */
    unsigned inside;  /* atomic: in `perform` right now */
    unsigned most;    /* atomic: how many there ever were at once */
    unsigned parts;   /* atomic: ended */
    pthread_t thread; /* of the last one */
    error_t gone;     /* the next part says that the device has gone */
};

static struct gate_s gates[2] = {
    {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .permits = 0},
    {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .permits = 0},
};

struct held_pv_s {
    struct kr_bus_port_s port;
    struct gate_s *gate;
};

static error_t held_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct dev_i2c_rq_s *rq = dev_i2c_rq_cast(base);
    struct gate_s *g = KROUTINE_CONTAINER(port, struct held_pv_s, port)->gate;
    unsigned inside = kt_inc(&g->inside);
    error_t gone;

    if (inside > kt_get(&g->most))
        kt_set(&g->most, inside);
    pthread_mutex_lock(&g->lock);
    g->thread = pthread_self();
    while (!g->permits)
        pthread_cond_wait(&g->change, &g->lock);
    g->permits--;
    gone = g->gone;
    pthread_mutex_unlock(&g->lock);
    kt_dec(&g->inside);
    kt_inc(&g->parts);
    if (gone) {
        kr_bus_gone(port);
        return gone;
    }
    return ++rq->done < rq->count ? KR_BUS_MORE : 0;
}

static const struct kr_bus_ops_s held_ops = {.perform = held_perform};

/* "held:N/…": a device on bus N. */
static error_t held_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct held_pv_s *pv = device_pv(dev);
    char name[8];

    pv->gate = &gates[device_spec_address(spec)[0] - '0'];
    snprintf(name, sizeof name, "held-%c", device_spec_address(spec)[0]);
    return kr_bus_open(&pv->port, dev, &held_ops, name);
}

static void held_close(struct device_s *dev)
{
    kr_bus_close(&((struct held_pv_s *)device_pv(dev))->port, -ECANCELED);
}

static void held_free(struct device_s *dev)
{
    kr_bus_free(&((struct held_pv_s *)device_pv(dev))->port);
}

static DEV_I2C_REQUEST(held_request)
{
    kr_bus_request(&((struct held_pv_s *)device_pv(acc->dev))->port, &rq->base, 0);
}

static DEV_I2C_CANCEL(held_cancel)
{
    return kr_bus_cancel(&((struct held_pv_s *)device_pv(acc->dev))->port, &rq->base);
}

static const struct driver_i2c_s held_methods = {DRIVER_CLASS_I2C, held_request, held_cancel, NULL};

static const struct driver_s held_driver = {
    .name = "held",
    .desc = "a bus whose transfers end when the test says so",
    .pv_size = sizeof(struct held_pv_s),
    .f_open = held_open,
    .f_close = held_close,
    .f_free = held_free,
    .classes = {(const struct driver_class_table_s *)&held_methods},
};

static inline void permit(unsigned n, unsigned count)
{
    pthread_mutex_lock(&gates[n].lock);
    gates[n].permits += count;
    pthread_cond_broadcast(&gates[n].change);
    pthread_mutex_unlock(&gates[n].lock);
}

/* --- requests --- */

struct op_s {
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[8];
    unsigned done;  /* atomic: how often the handler ran */
    unsigned stamp; /* atomic */
    pthread_t thread;
    bool interruptible;
    void (*then)(struct op_s *op);
};

static struct kt_env_s env;
static struct device_i2c_s a, b; /* two devices on bus 0, if the case opens both */
static struct op_s ops[OPS];

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    op->thread = pthread_self();
    op->interruptible = kroutine_is_interruptible();
    kt_set(&op->stamp, kt_stamp());
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

static inline void open_device(struct device_i2c_s *acc, const char *spec)
{
    error_t err = device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_I2C);

    ck_assert_msg(!err, "%s: %s", spec, kroutine_error_text());
}

static inline void set_up(void)
{
    ck_assert_int_eq(driver_register(&held_driver), 0);
    kt_env_open(&env, KT_THREADS);
    open_device(&a, "held:0");
    for (unsigned i = 0; i < OPS; i++) {
        dev_i2c_rq_init_immediate(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 1;
    }
}

static inline void tear_down(void)
{
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    kt_env_close(&env);
}

static inline void submit(struct device_i2c_s *acc, unsigned i)
{
    kt_set(&ops[i].done, 0);
    DEVICE_OP(acc, request, &ops[i].rq);
}

static inline void expect(unsigned i, error_t err)
{
    kt_await(NULL, kt_get(&ops[i].done));
    ck_assert_int_eq(ops[i].rq.error, err);
    ck_assert_uint_eq(kt_get(&ops[i].done), 1);
}

static inline void await_inside(unsigned n)
{
    kt_await(NULL, kt_get(&gates[n].inside));
}

#endif
