/* SPDX-License-Identifier: MIT */
/* Streams: what once went wrong, over both backends of the kernel. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include <kroutine/driver.h>

#include "kt.h"

static const enum kroutine_backend_e backends[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};

static const char *backend_label(int round)
{
    return kt_backend_name(backends[round]);
}

static bool open_env(struct kt_env_s *env, int round, enum kt_mode_e mode)
{
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    config.backend = backends[round];
    env->embedded = mode == KT_EMBEDDED;
    return kroutine_runtime_create(&env->rt, &config) == 0;
}

static void open_spec(struct kt_env_s *env, struct device_char_s *dev, const char *spec)
{
    error_t err = device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(env->rt), spec,
                                              DRIVER_CLASS_CHAR);

    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

static void open_fd(struct kt_env_s *env, struct device_char_s *dev, int fd)
{
    char spec[32];

    snprintf(spec, sizeof spec, "fd:%d", fd);
    open_spec(env, dev, spec);
}

static void open_socket(struct kt_env_s *env, struct device_char_s *dev, int type, int *peer)
{
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, sv), 0);
    open_fd(env, dev, sv[0]);
    *peer = sv[1];
}

static void prepare(struct dev_char_rq_s *rq, enum dev_char_rq_type_e type, void *data, size_t size)
{
    rq->type = (uint8_t)type;
    rq->data = data;
    rq->size = size;
}

static void temporary(char *spec, size_t size)
{
    char path[] = "/tmp/kroutine-regress-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(spec, size, "file:%s?mode=rw", path);
}

static void remove_temporary(const char *spec)
{
    char path[64];

    ck_assert_int_eq(sscanf(spec, "file:%63[^?]", path), 1);
    unlink(path);
}

static unsigned done;

static KROUTINE_EXEC(count_done)
{
    kt_inc(&done);
}

/* --- closing from handlers --- */

static struct device_char_s pair[2];
static struct dev_char_rq_s *pair_rq[2];

/* The first of the two that ends closes the device of the other, and frees its request. */
static KROUTINE_EXEC(close_other)
{
    int other = dev_char_rq_from_kr(kr) == pair_rq[0];

    if (done++)
        return;
    device_put_accessor(&pair[other].base);
    ck_assert_uint_eq(done, 2);
    free(pair_rq[other]);
    pair_rq[other] = NULL;
}

/* Both devices are ready in one batch of events, and read in one call, before the first handler. */
START_TEST(close_another_device_of_the_batch)
{
    struct kt_env_s env;
    uint8_t data[2];
    int peer[2];

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    for (int i = 0; i < 2; i++) {
        open_socket(&env, &pair[i], SOCK_STREAM, &peer[i]);
        pair_rq[i] = calloc(1, sizeof *pair_rq[i]);
        dev_char_rq_init_immediate(pair_rq[i], close_other);
        prepare(pair_rq[i], DEV_CHAR_READ, &data[i], 1);
        DEVICE_OP(&pair[i], request, pair_rq[i]);
    }
    kt_idle(&env, 5); /* both wait */
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(write(peer[i], "x", 1), 1);
    kt_await(&env, done == 2);
    for (int i = 0; i < 2; i++) {
        device_put_accessor(&pair[i].base);
        free(pair_rq[i]);
        close(peer[i]);
    }
    kt_env_close(&env);
}
END_TEST

static struct device_char_s one;
static struct dev_char_rq_s *three[3];

static KROUTINE_EXEC(close_own)
{
    if (done++)
        return;
    device_put_accessor(&one.base);
    ck_assert_uint_eq(done, 3);
    free(three[1]);
    free(three[2]);
}

/* Three requests share a call. When the first handler closes the device the others are over, their
   handlers have not run: they run before the close returns. */
START_TEST(close_behind_requests_that_are_over)
{
    struct kt_env_s env;
    uint8_t data[3];
    int peer;

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    open_socket(&env, &one, SOCK_STREAM, &peer);
    for (int i = 0; i < 3; i++) {
        three[i] = calloc(1, sizeof *three[i]);
        dev_char_rq_init_immediate(three[i], close_own);
        prepare(three[i], DEV_CHAR_READ, &data[i], 1);
        DEVICE_OP(&one, request, three[i]);
    }
    kt_idle(&env, 5);
    ck_assert_int_eq(write(peer, "xyz", 3), 3);
    kt_await(&env, done == 3);
    ck_assert_int_eq(three[0]->error, 0);
    free(three[0]);
    close(peer);
    kt_env_close(&env);
}
END_TEST

static KROUTINE_EXEC(destroy_runtime)
{
    int *error = dev_char_rq_from_kr(kr)->pvdata;

    *error = kroutine_runtime_destroy(kr->runtime);
    done++;
}

/* The end of the runtime waits for submits that are under way: this one is further up. */
START_TEST(destroy_in_a_submit)
{
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    struct kt_env_s env;
    uint8_t byte;
    int error = 1;

    if (!open_env(&env, _i, KT_THREADS))
        kt_skip("%s", kroutine_error_text());
    open_spec(&env, &dev, "file:/dev/zero");
    dev_char_rq_init_immediate(&rq, destroy_runtime);
    rq.pvdata = &error;
    prepare(&rq, DEV_CHAR_READ, &byte, 1);
    DEVICE_OP(&dev, request, &rq);
    ck_assert_uint_eq(done, 1);
    ck_assert_int_eq(error, -EDEADLK);
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}
END_TEST

/* --- operations of the backend --- */

/* The flush is under way, but nobody will ever begin it. */
START_TEST(file_close_without_a_reactor)
{
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    struct kt_env_s env;
    char spec[64];

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    temporary(spec, sizeof spec);
    open_spec(&env, &dev, spec);
    dev_char_rq_init_immediate(&rq, count_done);
    prepare(&rq, DEV_CHAR_WRITE_FLUSH, (uint8_t *)"abc", 3);
    DEVICE_OP(&dev, request, &rq);
    ck_assert_uint_eq(done, 0);
    device_put_accessor(&dev.base);
    ck_assert_uint_eq(done, 1);
    ck_assert_int_eq(rq.error, -ECANCELED);
    ck_assert_int_eq(kroutine_runtime_destroy(env.rt), 0);
    remove_temporary(spec);
}
END_TEST

static bool in_cancel;

static KROUTINE_EXEC(not_in_cancel)
{
    ck_assert(!in_cancel);
    done++;
}

/* On the reactor, where the operation can be ended at once, a cancel still runs no handler. */
START_TEST(file_cancel_runs_no_handler)
{
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    struct kt_env_s env;
    char spec[64];

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    temporary(spec, sizeof spec);
    open_spec(&env, &dev, spec);
    kroutine_runtime_process(env.rt);
    dev_char_rq_init_immediate(&rq, not_in_cancel);
    prepare(&rq, DEV_CHAR_WRITE_FLUSH, (uint8_t *)"abc", 3);
    DEVICE_OP(&dev, request, &rq);
    in_cancel = true;
    ck_assert_int_eq(DEVICE_OP(&dev, cancel, &rq), -EBUSY);
    in_cancel = false;
    kt_await(&env, done == 1);
    device_put_accessor(&dev.base);
    kt_env_close(&env);
    remove_temporary(spec);
}
END_TEST

static unsigned closed;

static KROUTINE_EXEC(close_one)
{
    device_put_accessor(&one.base);
    kt_set(&closed, 1);
}

/* The reactor closes a file while another thread is about to start an operation on it, which only
   the reactor can end. */
START_TEST(file_close_against_a_start)
{
    struct kroutine_s closer;
    struct dev_char_rq_s rq[4];
    struct device_char_s use;
    struct kt_env_s env;
    char spec[64];

    if (!open_env(&env, _i, KT_THREADS))
        kt_skip("%s", kroutine_error_text());
    temporary(spec, sizeof spec);
    for (unsigned round = 0; round < kt_count(10000); round++) {
        unsigned n = 0;

        kt_set(&done, 0);
        kt_set(&closed, 0);
        open_spec(&env, &one, spec);
        use = one;
        device_hold(use.base.dev); /* its memory, not the device */
        kroutine_init_sched_switch(&closer, close_one);
        kroutine_bind(&closer, env.rt);
        kroutine_exec(&closer);
        for (volatile unsigned i = 0; i < round % 200 * 20; i++)
            ;
        for (; n < 4; n++) {
            dev_char_rq_init(&rq[n], count_done);
            prepare(&rq[n], DEV_CHAR_WRITE_FLUSH, (uint8_t *)"abc", 3);
            DEVICE_OP(&use, request, &rq[n]);
        }
        kt_await(&env, kt_get(&closed) && kt_get(&done) == n);
        device_release(use.base.dev);
    }
    kt_env_close(&env);
    remove_temporary(spec);
}
END_TEST

/* --- time-outs --- */

/* "For ever" as a number that a clock cannot tell any more: not a loop in the submit. */
START_TEST(timeout_beyond_the_clock)
{
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    struct kt_env_s env;
    uint8_t byte;
    int peer;

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    open_socket(&env, &dev, SOCK_STREAM, &peer);
    dev_char_rq_init(&rq, count_done);
    prepare(&rq, DEV_CHAR_READ, &byte, 1);
    dev_request_set_timeout(&rq.base, INT64_MAX);
    DEVICE_OP(&dev, request, &rq);
    kt_idle(&env, 5);
    ck_assert_uint_eq(done, 0);
    ck_assert_int_eq(write(peer, "x", 1), 1);
    kt_await(&env, done == 1);
    ck_assert_int_eq(rq.error, 0);
    device_put_accessor(&dev.base);
    close(peer);
    kt_env_close(&env);
}
END_TEST

/* A flush that ends by its time-out leaves no alarm behind for the write that comes after it. */
START_TEST(timeout_of_a_flush)
{
    static uint8_t data[10000];
    struct device_char_s a, b;
    struct dev_char_rq_s flush, rest, read;
    struct kt_env_s env;
    uint64_t cpu;

    if (!open_env(&env, _i, KT_THREADS))
        kt_skip("%s", kroutine_error_text());
    open_spec(&env, &a, "sim-char:regress?side=a&latency=200000000");
    open_spec(&env, &b, "sim-char:regress?side=b");
    dev_char_rq_init(&flush, count_done);
    prepare(&flush, DEV_CHAR_WRITE_FLUSH, data, 100);
    dev_request_set_timeout(&flush.base, KROUTINE_MSEC(20));
    DEVICE_OP(&a, request, &flush);
    dev_char_rq_init(&rest, count_done);
    prepare(&rest, DEV_CHAR_WRITE, data, sizeof data); /* more than the line holds */
    DEVICE_OP(&a, request, &rest);
    kt_await(&env, kt_get(&done) == 1);
    ck_assert_int_eq(flush.error, -ETIMEDOUT);
    kt_sleep_ms(300);
    cpu = kt_cpu_time();
    kt_sleep_ms(300);
    ck_assert_uint_lt(kt_cpu_time() - cpu, 100 * 1000000);
    dev_char_rq_init(&read, count_done);
    prepare(&read, DEV_CHAR_DISCARD, NULL, 100 + sizeof data);
    DEVICE_OP(&b, request, &read);
    kt_await(&env, kt_get(&done) == 3);
    ck_assert_int_eq(rest.error, 0);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    kt_env_close(&env);
}
END_TEST

/* --- short reads, ends --- */

/* Two portions that one read does not give together, and one event for both. */
static void two_portions(struct kt_env_s *env, int fd, void (*send_both)(int to), int to)
{
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    uint8_t data[10];

    open_fd(env, &dev, fd);
    dev_char_rq_init(&rq, count_done);
    prepare(&rq, DEV_CHAR_READ, data, 10);
    DEVICE_OP(&dev, request, &rq);
    kt_idle(env, 5); /* it waits for an event */
    send_both(to);
    kt_await(env, done == 1);
    ck_assert_int_eq(rq.error, 0);
    ck_assert(memcmp(data, "abcd\nefgh\n", 10) == 0);
    device_put_accessor(&dev.base);
    close(fd);
    close(to);
    kt_env_close(env);
}

static void send_together(int to)
{
    ck_assert_int_eq(write(to, "abcd\nefgh\n", 10), 10);
}

static void send_apart(int to)
{
    ck_assert_int_eq(write(to, "abcd\n", 5), 5);
    ck_assert_int_eq(write(to, "efgh\n", 5), 5);
}

static void send_with_descriptor(int to)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {.iov_base = "abcd\n", .iov_len = 5};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &to, sizeof to);
    ck_assert_int_eq(sendmsg(to, &msg, 0), 5);
    ck_assert_int_eq(write(to, "efgh\n", 5), 5);
}

START_TEST(lines_of_a_terminal)
{
    char path[KT_PTY_PATH];
    struct kt_env_s env;
    int master, slave;

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    master = kt_open_pty(0, path, &slave);
    two_portions(&env, slave, send_together, master);
}
END_TEST

START_TEST(packets_of_a_pipe)
{
    struct kt_env_s env;
    int p[2];

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    ck_assert_int_eq(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
    two_portions(&env, p[0], send_apart, p[1]);
}
END_TEST

START_TEST(descriptors_in_a_socket)
{
    struct kt_env_s env;
    int sv[2];

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
    two_portions(&env, sv[0], send_with_descriptor, sv[1]);
}
END_TEST

static error_t read_record(const struct device_char_s *dev, struct kt_env_s *env, size_t *left)
{
    struct dev_char_rq_s rq;
    uint8_t data[10];

    done = 0;
    dev_char_rq_init(&rq, count_done);
    prepare(&rq, DEV_CHAR_READ_FRAME, data, sizeof data);
    DEVICE_OP(dev, request, &rq);
    kt_await(env, done == 1);
    *left = rq.size;
    return rq.error;
}

/* The peer writes no more, but still reads: an end, not an empty record for ever. */
START_TEST(records_end_half)
{
    struct device_char_s dev;
    struct kt_env_s env;
    size_t left;
    int peer;

    if (!open_env(&env, _i, KT_EMBEDDED))
        kt_skip("%s", kroutine_error_text());
    open_socket(&env, &dev, SOCK_SEQPACKET, &peer);
    ck_assert_int_eq(send(peer, "", 0, 0), 0);
    ck_assert_int_eq(send(peer, "abc", 3, 0), 3);
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    ck_assert_int_eq(read_record(&dev, &env, &left), 0);
    ck_assert_uint_eq(left, 10);
    ck_assert_int_eq(read_record(&dev, &env, &left), 0);
    ck_assert_uint_eq(left, 7);
    ck_assert_int_eq(read_record(&dev, &env, &left), -ENODATA);
    device_put_accessor(&dev.base);
    close(peer);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("streams, once wrong");

    kt_add_loop(s, close_another_device_of_the_batch, 2, backend_label, 20);
    kt_add_loop(s, close_behind_requests_that_are_over, 2, backend_label, 20);
    kt_add_loop(s, destroy_in_a_submit, 2, backend_label, 20);
    kt_add_loop(s, file_close_without_a_reactor, 2, backend_label, 20);
    kt_add_loop(s, file_cancel_runs_no_handler, 2, backend_label, 20);
    kt_add_loop(s, file_close_against_a_start, 2, backend_label, 60);
    kt_add_loop(s, timeout_beyond_the_clock, 2, backend_label, 20);
    kt_add_loop(s, timeout_of_a_flush, 2, backend_label, 20);
    kt_add_loop(s, lines_of_a_terminal, 2, backend_label, 20);
    kt_add_loop(s, packets_of_a_pipe, 2, backend_label, 20);
    kt_add_loop(s, descriptors_in_a_socket, 2, backend_label, 20);
    kt_add_loop(s, records_end_half, 2, backend_label, 20);
    return s;
}
