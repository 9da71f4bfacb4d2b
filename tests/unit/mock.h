/* SPDX-License-Identifier: MIT */
/* A driver that counts what is asked of it, registered like any from out of tree. */
#ifndef MOCK_H
#define MOCK_H

#include "kt.h"

#include <kroutine/driver.h>

static unsigned opens, closes, starts, stops;
static unsigned inside[256];       /* by the letter of the address, or of the name */
static unsigned open_ms, close_ms; /* how long they take */
static int open_error, use_error;

struct mock_s {
    pthread_mutex_t lock;
    struct dev_request_queue_root_s queue;
    bool closed;
    unsigned char canary[16];
};

static const struct driver_param_s mock_params[] = {
    {"n", "a number", NULL, 0, 100, DRIVER_PARAM_UINT},
    {.key = NULL},
};

static unsigned *inside_of(const struct device_s *dev)
{
    const char *name = device_name(dev), *address = strchr(name, ':');

    return &inside[(unsigned char)(address ? address[1] : name[0])];
}

static error_t mock_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct mock_s *mock = device_pv(dev);

    (void)spec;
    ck_assert_uint_eq((uintptr_t)mock % 16, 0);
    for (unsigned i = 0; i < sizeof mock->canary; i++)
        ck_assert_uint_eq(mock->canary[i], 0);
    ck_assert_uint_eq(kt_inc(inside_of(dev)), 1); /* one at a time for a device */
    kt_sleep_ms(open_ms);
    kt_dec(inside_of(dev));
    if (open_error == -EIO)
        return device_error(-EIO, "the hardware says no");
    if (open_error)
        return open_error;
    pthread_mutex_init(&mock->lock, NULL);
    dev_rq_queue_init(&mock->queue);
    kt_inc(&opens);
    return 0;
}

static void mock_close(struct device_s *dev)
{
    struct mock_s *mock = device_pv(dev);
    struct dev_char_rq_s *rq;

    ck_assert_uint_eq(kt_inc(inside_of(dev)), 1);
    kt_sleep_ms(close_ms);
    pthread_mutex_lock(&mock->lock);
    mock->closed = true;
    while ((rq = dev_char_rq_pop(&mock->queue))) {
        pthread_mutex_unlock(&mock->lock);
        rq->error = -ECANCELED;
        dev_char_rq_done(rq);
        pthread_mutex_lock(&mock->lock);
    }
    pthread_mutex_unlock(&mock->lock);
    kt_dec(inside_of(dev));
    kt_inc(&closes);
}

static error_t mock_use(struct device_s *dev, enum device_use_e use)
{
    (void)dev;
    switch (use) {
    case DEV_USE_START:
        kt_inc(&starts);
        return use_error;
    case DEV_USE_STOP:
        kt_inc(&stops);
        return use_error;
    default:
        return -ENOTSUP;
    }
}

/* DISCARD completes at once, everything else waits. */
static DEV_CHAR_REQUEST(mock_request)
{
    struct mock_s *mock = device_pv(acc->dev);
    bool closed;

    pthread_mutex_lock(&mock->lock);
    closed = mock->closed;
    if (!closed && rq->type != DEV_CHAR_DISCARD) {
        dev_char_rq_pushback(&mock->queue, rq);
        rq->rq_state = DEV_RQ_QUEUED;
        pthread_mutex_unlock(&mock->lock);
        return;
    }
    pthread_mutex_unlock(&mock->lock);
    rq->error = closed ? -ECANCELED : 0;
    dev_char_rq_done(rq);
}

static DEV_CHAR_CANCEL(mock_cancel)
{
    struct mock_s *mock = device_pv(acc->dev);
    error_t err = -EBUSY;

    pthread_mutex_lock(&mock->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dev_char_rq_remove(&mock->queue, rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    }
    pthread_mutex_unlock(&mock->lock);
    return err;
}

static const struct driver_char_s mock_char = DRIVER_CHAR_METHODS(mock);
static const struct driver_uart_s mock_uart = {DRIVER_CLASS_UART, NULL, NULL};
static const struct driver_class_table_s mock_mem = {DRIVER_CLASS_MEM};

static const struct driver_s mock = {
    .name = "mock",
    .desc = "of this test",
    .params = mock_params,
    .pv_size = sizeof(struct mock_s),
    .f_open = mock_open,
    .f_close = mock_close,
    .f_use = mock_use,
    .classes = {(const struct driver_class_table_s *)&mock_char,
                (const struct driver_class_table_s *)&mock_uart, &mock_mem},
};

static struct kt_env_s env;
static struct device_s *root;

static void set_up(void)
{
    kt_env_open(&env, KT_THREADS);
    root = kroutine_runtime_devices(env.rt);
    ck_assert_int_eq(driver_register(&mock), 0);
}

static error_t get(struct device_char_s *acc, const char *path)
{
    return device_get_accessor_by_path(&acc->base, root, path, DRIVER_CLASS_CHAR);
}

#endif
