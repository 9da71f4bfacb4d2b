/* SPDX-License-Identifier: MIT */
/* What comes while a driver starts an operation that goes on by itself, before it has said so: a
   request with a time-out, a cancel. */
#include "../../lib/stream.h"

#include "kt.h"

static struct kt_env_s env;
static struct kr_stream_s *stream;
static struct device_char_s dev;
static void (*while_starting)(void); /* called once */

static ssize_t never(struct kr_stream_s *s, struct iovec *iov, int count)
{
    (void)s, (void)iov, (void)count;
    return -EAGAIN;
}

static ssize_t no_frame(struct kr_stream_s *s, void *data, size_t size)
{
    (void)s, (void)data, (void)size;
    return -EAGAIN;
}

static ssize_t start(struct kr_stream_s *s, const void *data, size_t size)
{
    void (*call)(void) = while_starting;

    (void)s, (void)data, (void)size;
    while_starting = NULL;
    if (call)
        call();
    return -EINPROGRESS;
}

static void stop(struct kr_stream_s *s, enum kr_dir_e dir)
{
    kr_stream_complete(s, dir, -ECANCELED);
}

static int no_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    (void)s, (void)dir;
    return 0;
}

static void arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    (void)s, (void)dir;
}

static const struct kr_stream_ops_s ops = {
    .readv = never,
    .writev = never,
    .recv_frame = no_frame,
    .send_frame = start,
    .poll = no_poll,
    .arm = arm,
    .abort = stop,
};

static error_t slow_open(struct device_s *d, const struct device_spec_s *spec)
{
    const struct kr_stream_config_s config = {.ops = &ops, .dev = d, .fd = -1, .writable = true};

    (void)spec;
    return kr_stream_create(&stream, &config, NULL);
}

static void slow_close(struct device_s *d)
{
    (void)d;
    kr_stream_close(stream, -ECANCELED);
}

static void slow_free(struct device_s *d)
{
    (void)d;
    kr_stream_put(stream);
}

static DEV_CHAR_REQUEST(slow_request)
{
    (void)acc;
    kr_stream_request(stream, rq);
}

static DEV_CHAR_CANCEL(slow_cancel)
{
    (void)acc;
    return kr_stream_cancel(stream, rq);
}

static const struct driver_char_s slow_char = DRIVER_CHAR_METHODS(slow);
static const struct driver_s slow = {
    .name = "slow",
    .desc = "starts and never ends",
    .f_open = slow_open,
    .f_close = slow_close,
    .f_free = slow_free,
    .classes = {(const struct driver_class_table_s *)&slow_char},
};

/* --- requests --- */

static struct dev_char_rq_s first, second;
static unsigned over[2];
static uint8_t byte;

static KROUTINE_EXEC(first_over)
{
    (void)kr, (void)flags;
    kt_inc(&over[0]);
}

static KROUTINE_EXEC(second_over)
{
    (void)kr, (void)flags;
    kt_inc(&over[1]);
}

static void submit(struct dev_char_rq_s *rq)
{
    rq->type = DEV_CHAR_WRITE_FRAME;
    rq->data = &byte;
    rq->size = 1;
    DEVICE_OP(&dev, request, rq);
}

static void open_slow(int round)
{
    kt_env_open(&env, round ? KT_EMBEDDED : KT_THREADS);
    ck_assert_int_eq(driver_register(&slow), 0);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 "slow:", DRIVER_CLASS_CHAR),
                     0);
    dev_char_rq_init(&first, first_over);
    dev_char_rq_init(&second, second_over);
}

static void close_all(void)
{
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}

static void submit_second(void)
{
    dev_request_set_timeout(&second.base, KROUTINE_MSEC(5));
    submit(&second);
}

START_TEST(a_time_out_is_noticed)
{
    open_slow(_i);
    while_starting = submit_second;
    submit(&first);
    kt_await(&env, kt_get(&over[1]) == 1);
    ck_assert_int_eq(second.error, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&over[0]), 0);
    close_all();
    ck_assert_uint_eq(kt_get(&over[0]), 1);
    ck_assert_int_eq(first.error, -ECANCELED);
}
END_TEST

static void cancel_first(void)
{
    ck_assert_int_eq(DEVICE_OP(&dev, cancel, &first), -EBUSY);
}

START_TEST(a_cancel_is_noticed)
{
    open_slow(_i);
    while_starting = cancel_first;
    submit(&first);
    kt_await(&env, kt_get(&over[0]) == 1);
    ck_assert_int_eq(first.error, -ECANCELED);
    close_all();
}
END_TEST

static const char *mode_label(int round)
{
    return kt_mode_label(round ? KT_EMBEDDED : KT_THREADS);
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("stream start");

    kt_add_loop(s, a_time_out_is_noticed, 2, mode_label, 20);
    kt_add_loop(s, a_cancel_is_noticed, 2, mode_label, 20);
    return s;
}
