/* SPDX-License-Identifier: MIT */
/*
 * A program against the installed library, in the part of C that is C++ too: a byte goes through a
 * pipe, a timer expires. With the argument "no-uring" it expects a library built without io_uring.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kroutine.h>
#include <kroutine/driver.h>

static unsigned runs; /* atomic */

static KROUTINE_EXEC(count)
{
    (void)kr;
    (void)flags;
    __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}

static int fail(const char *what, error_t err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, strerror(-err), kroutine_error_text());
    return 1;
}

static int use_char(void)
{
    struct device_char_s in = DEVICE_ACCESSOR_INIT;
    char spec[32], byte = 0;
    int fds[2];
    error_t err;

    if (pipe(fds) < 0)
        return fail("pipe", -errno);
    snprintf(spec, sizeof spec, "fd:%d", fds[0]);
    err = device_get_accessor_by_path(&in.base, NULL, spec, DRIVER_CLASS_CHAR);
    if (err)
        return fail(spec, err);
    if (write(fds[1], "k", 1) != 1)
        return fail("write", -errno);
    if (dev_char_wait_op(&in, DEV_CHAR_READ, &byte, 1) != 1 || byte != 'k')
        return fail("read", -EIO);
    device_put_accessor(&in.base);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static int use_timer(void)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq;
    error_t err = device_get_accessor_by_path(&timer.base, NULL, "timer*", DRIVER_CLASS_TIMER);

    if (err)
        return fail("timer*", err);
    memset(&rq, 0, sizeof rq);
    dev_timer_rq_init_immediate(&rq, count);
    rq.delay = KROUTINE_MSEC(1);
    err = DEVICE_OP(&timer, request, &rq);
    if (err)
        return fail("request", err);
    while (!__atomic_load_n(&runs, __ATOMIC_SEQ_CST))
        usleep(1000);
    device_put_accessor(&timer.base);
    return 0;
}

static int expect_no_uring(void)
{
    struct kroutine_runtime_config_s config;
    struct kroutine_runtime_s *runtime = NULL;
    error_t err;

    kroutine_runtime_config_init(&config);
    config.backend = KROUTINE_BACKEND_URING;
    err = kroutine_runtime_create(&runtime, &config);
    if (err != -ENOSYS)
        return fail("io_uring should be missing", err);
    if (kroutine_error_text()[0] == '\0')
        return fail("no word about what is missing", err);
    return 0;
}

int main(int argc, char **argv)
{
    struct kroutine_runtime_info_s info;

    if (use_char() || use_timer())
        return 1;
    if (argc > 1 && !strcmp(argv[1], "no-uring") && expect_no_uring())
        return 1;
    if (kroutine_runtime_info(NULL, &info))
        return 1;
    printf("libkroutine %s, backend %s: %s\n", kroutine_version(), info.backend, info.reason);
    return 0;
}
