/* SPDX-License-Identifier: MIT */
/* The end of a stream that comes together with the last data: one edge for both. */
#include <stdio.h>
#include <sys/socket.h>

#include "kt.h"

static const enum kroutine_backend_e backends[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};

static const char *backend_label(int round)
{
    return kt_backend_name(backends[round]);
}

static unsigned done;

static KROUTINE_EXEC(count_done)
{
    (void)kr;
    (void)flags;
    done++;
}

/* The read takes less than it asked for, which on a socket means that nothing more is there now;
   but the end is, and no other event will tell. */
START_TEST(shutdown_behind_the_last_bytes)
{
    struct kroutine_runtime_config_s config;
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    struct kt_env_s env;
    struct dev_char_rq_s rq;
    uint8_t data[100];
    char spec[32];
    int sv[2];

    kt_env_config(&config, KT_EMBEDDED);
    config.backend = backends[_i];
    if (kroutine_runtime_create(&env.rt, &config))
        kt_skip("%s", kroutine_error_text());
    env.embedded = true;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_CHAR),
                     0);
    dev_char_rq_init(&rq, count_done);
    rq.type = DEV_CHAR_READ;
    rq.data = data;
    rq.size = sizeof data;
    DEVICE_OP(&dev, request, &rq);
    kt_idle(&env, 5); /* it waits now */
    ck_assert_int_eq(write(sv[1], "hello", 5), 5);
    ck_assert_int_eq(shutdown(sv[1], SHUT_WR), 0);
    kt_await(&env, done == 1);
    ck_assert_int_eq(rq.error, -ENODATA);
    ck_assert_uint_eq(rq.size, sizeof data - 5);
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("end of stream");

    kt_add_loop(s, shutdown_behind_the_last_bytes, 2, backend_label, 20);
    return s;
}
