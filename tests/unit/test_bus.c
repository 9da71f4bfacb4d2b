/* SPDX-License-Identifier: MIT */
/*
 * The bus threads, with a driver whose calls block until the case lets them go on: order, cancel,
 * time-outs and the end in each state; and what goes on while one is held for seconds.
 */
#include "kt.h"

#include <kroutine/driver.h>
#include <stdio.h>
#include <sys/wait.h>

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
    kr_bus_request(&((struct held_pv_s *)device_pv(acc->dev))->port, &rq->base);
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

static void permit(unsigned n, unsigned count)
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

static void open_device(struct device_i2c_s *acc, const char *spec)
{
    error_t err = device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_I2C);

    ck_assert_msg(!err, "%s: %s", spec, kroutine_error_text());
}

static void set_up(void)
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

static void tear_down(void)
{
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    kt_env_close(&env);
}

static void submit(struct device_i2c_s *acc, unsigned i)
{
    kt_set(&ops[i].done, 0);
    DEVICE_OP(acc, request, &ops[i].rq);
}

static void expect(unsigned i, error_t err)
{
    kt_await(NULL, kt_get(&ops[i].done));
    ck_assert_int_eq(ops[i].rq.error, err);
    ck_assert_uint_eq(kt_get(&ops[i].done), 1);
}

static void await_inside(unsigned n)
{
    kt_await(NULL, kt_get(&gates[n].inside));
}

/* --- order --- */

START_TEST(highest_priority_first)
{
    static const unsigned priority[] = {0, 0, 7, 3, 9, 3, 0, 7};
    static const unsigned order[] = {0, 2, 4, 7, 3, 5, 1, 6}; /* 9 is 7 */

    set_up();
    for (unsigned i = 0; i < 8; i++)
        kroutine_set_priority(&ops[i].rq.kr, priority[i]);
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 8; i++)
        submit(&a, i);
    permit(0, 8);
    for (unsigned i = 0; i < 8; i++)
        expect(i, 0);
    for (unsigned i = 1; i < 8; i++)
        ck_assert_uint_lt(kt_get(&ops[order[i - 1]].stamp), kt_get(&ops[order[i]].stamp));
    tear_down();
}
END_TEST

/* Of 20 high ones, the low ones come after at most eight each. */
START_TEST(a_lower_level_is_not_starved)
{
    unsigned low[2], before[2] = {0, 0};

    set_up();
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 21; i++) {
        kroutine_set_priority(&ops[i].rq.kr, 5);
        submit(&a, i);
    }
    kroutine_set_priority(&ops[22].rq.kr, 3);
    submit(&a, 21);
    submit(&a, 22);
    permit(0, 23);
    for (unsigned i = 0; i < 23; i++)
        expect(i, 0);
    for (unsigned n = 0; n < 2; n++) {
        low[n] = kt_get(&ops[21 + n].stamp);
        for (unsigned i = 1; i < 21; i++)
            before[n] += kt_get(&ops[i].stamp) < low[n];
    }
    ck_assert_uint_eq(before[0] < before[1] ? before[0] : before[1], 8);
    ck_assert_uint_eq(before[0] < before[1] ? before[1] : before[0], 16);
    tear_down();
}
END_TEST

START_TEST(one_at_a_time_whatever_the_device)
{
    set_up();
    open_device(&b, "held:0/b");
    for (unsigned i = 0; i < 20; i++)
        submit(i % 2 ? &b : &a, i);
    permit(0, 20);
    for (unsigned i = 0; i < 20; i++)
        expect(i, 0);
    for (unsigned i = 1; i < 20; i++)
        ck_assert_uint_lt(kt_get(&ops[i - 1].stamp), kt_get(&ops[i].stamp));
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    tear_down();
}
END_TEST

/* Handlers on the bus thread are in no interruptible context: they hold the bus. */
START_TEST(where_handlers_run)
{
    set_up();
    kroutine_init_interruptible(&ops[1].rq.kr, over);
    permit(0, 2);
    submit(&a, 0);
    expect(0, 0);
    submit(&a, 1);
    expect(1, 0);
    ck_assert(pthread_equal(ops[0].thread, gates[0].thread));
    ck_assert(!ops[0].interruptible);
    ck_assert(!pthread_equal(ops[1].thread, gates[0].thread));
    ck_assert(ops[1].interruptible);
    tear_down();
}
END_TEST

/* --- cancel, time-out, gone --- */

START_TEST(cancel_in_each_state)
{
    set_up();
    ops[0].rq.count = 3;
    submit(&a, 0);
    await_inside(0);
    submit(&a, 1);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[1].rq), 0); /* queued */
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY); /* active, and aborted */
    permit(0, 1);
    expect(0, -ECANCELED);
    ck_assert_uint_eq(ops[0].rq.done, 1);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), -EBUSY); /* over */
    submit(&a, 2);
    await_inside(0);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[2].rq), -EBUSY);
    permit(0, 1); /* the only part: the real result */
    expect(2, 0);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    submit(&a, 1); /* it is the caller's again */
    permit(0, 1);
    expect(1, 0);
    tear_down();
}
END_TEST

static void *cancel_and_wait(void *arg)
{
    struct op_s *op = arg;

    ck_assert_int_eq(dev_request_cancel_wait(&a.base, &op->rq.base), -EBUSY);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    return NULL;
}

START_TEST(cancel_and_wait_for_the_end)
{
    pthread_t thread;

    set_up();
    ops[0].rq.count = 2;
    submit(&a, 0);
    await_inside(0);
    thread = kt_thread(cancel_and_wait, &ops[0]);
    kt_sleep_ms(5);
    permit(0, 2);
    kt_join(thread);
    tear_down();
}
END_TEST

/* Those that wait end in time; the active one when it comes back, at the next of its parts. */
START_TEST(a_time_out_while_the_bus_is_held)
{
    set_up();
    ops[0].rq.count = 3;
    dev_request_set_timeout(&ops[0].rq.base, KROUTINE_MSEC(5));
    submit(&a, 0);
    await_inside(0);
    dev_request_set_timeout(&ops[7].rq.base, KROUTINE_SEC(1000));
    submit(&a, 7);
    for (unsigned i = 1; i < 6; i++) { /* 50, 40 … 10 ms: the alarm is set forward */
        dev_request_set_timeout(&ops[i].rq.base, KROUTINE_MSEC(60 - 10 * i));
        submit(&a, i);
    }
    submit(&a, 6);
    for (unsigned i = 1; i < 6; i++)
        expect(i, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    permit(0, 3);
    expect(0, -ETIMEDOUT);
    ck_assert_uint_eq(ops[0].rq.done, 1);
    expect(6, 0);
    expect(7, 0);
    tear_down();
}
END_TEST

START_TEST(many_time_outs)
{
    const unsigned rounds = kt_count(40);

    set_up();
    submit(&a, 0);
    await_inside(0);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 1; i < OPS; i++) {
            dev_request_set_timeout(&ops[i].rq.base, KROUTINE_USEC(1 + (i * 37 + round) % 500));
            submit(&a, i);
        }
        for (unsigned i = 1; i < OPS; i++)
            expect(i, -ETIMEDOUT);
    }
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

START_TEST(a_device_that_goes)
{
    set_up();
    submit(&a, 0);
    submit(&a, 1);
    await_inside(0);
    gates[0].gone = -ENODEV;
    permit(0, 1);
    expect(0, -ENODEV);
    expect(1, -ENODEV);
    submit(&a, 2);
    expect(2, -ENODEV);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 1);
    tear_down();
}
END_TEST

/* --- the end --- */

static void *permit_later(void *arg)
{
    kt_sleep_ms(*(unsigned *)arg);
    permit(0, 1);
    return NULL;
}

START_TEST(close_waits_for_what_the_kernel_has)
{
    pthread_t thread;

    set_up();
    open_device(&b, "held:0/b");
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 1; i < 5; i++)
        submit(i % 2 ? &a : &b, i);
    thread = kt_thread(permit_later, &(unsigned){50});
    device_put_accessor(&a.base);
    ck_assert_uint_eq(kt_get(&ops[0].done), 1);
    ck_assert_int_eq(ops[0].rq.error, 0);
    for (unsigned i = 1; i < 5; i += 2) {
        ck_assert_uint_eq(kt_get(&ops[i].done), 1);
        ck_assert_int_eq(ops[i].rq.error, -ECANCELED);
        ck_assert_uint_lt(kt_get(&ops[0].stamp), kt_get(&ops[i].stamp));
    }
    kt_join(thread);
    permit(0, 2);
    expect(2, 0); /* the other device goes on */
    expect(4, 0);
    tear_down();
}
END_TEST

static void close_a(struct op_s *op)
{
    (void)op;
    device_put_accessor(&a.base);
}

/* On the bus thread, which cannot wait for itself. */
START_TEST(close_from_a_handler)
{
    set_up();
    if (_i == 1)
        open_device(&b, "held:0/b");
    ops[0].then = close_a;
    for (unsigned i = 0; i < 4; i++)
        submit(&a, i);
    permit(0, 1);
    expect(0, 0);
    for (unsigned i = 1; i < 4; i++) {
        expect(i, -ECANCELED);
        ck_assert(pthread_equal(ops[i].thread, ops[0].thread));
    }
    if (_i == 1) {
        submit(&b, 5);
        permit(0, 1);
        expect(5, 0);
    }
    tear_down();
}
END_TEST

/* On the reactor, while the bus thread is held by another device. */
START_TEST(close_from_the_handler_of_a_time_out)
{
    set_up();
    open_device(&b, "held:0/b");
    submit(&b, 0);
    await_inside(0);
    ops[1].then = close_a;
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(2));
    submit(&a, 1);
    submit(&a, 2);
    expect(1, -ETIMEDOUT);
    expect(2, -ECANCELED);
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

START_TEST(the_end_of_the_runtime)
{
    pthread_t thread;

    set_up();
    submit(&a, 0);
    await_inside(0);
    submit(&a, 1);
    dev_request_set_timeout(&ops[2].rq.base, KROUTINE_SEC(1000));
    submit(&a, 2);
    thread = kt_thread(permit_later, &(unsigned){20});
    kt_env_close(&env);
    expect(0, 0);
    expect(1, -ECANCELED);
    expect(2, -ECANCELED);
    kt_join(thread);
    submit(&a, 3);
    expect(3, -ECANCELED);
    device_put_accessor(&a.base);
}
END_TEST

START_TEST(the_thread_ends_with_the_last_device)
{
    struct device_i2c_s more;
    unsigned before;

    set_up();
    before = kt_threads();
    open_device(&b, "held:1");
    open_device(&more, "held:1/b");
    ck_assert_uint_eq(kt_threads(), before + 1);
    device_put_accessor(&b.base);
    ck_assert_uint_eq(kt_threads(), before + 1);
    device_put_accessor(&more.base);
    ck_assert_uint_eq(kt_threads(), before);
    tear_down();
}
END_TEST

START_TEST(a_forked_child)
{
    int status;
    pid_t pid;

    set_up();
    submit(&a, 0);
    await_inside(0);
    pid = fork();
    if (pid == 0) {
        DEVICE_OP(&a, request, &ops[1].rq);
        if (ops[1].done != 1 || ops[1].rq.error != -EPERM)
            _exit(1);
        if (DEVICE_OP(&a, cancel, &ops[0].rq) != -EBUSY || ops[0].done)
            _exit(2);
        if (dev_i2c_wait_read(&a, 1, &status, 1) != -EPERM)
            _exit(3);
        device_put_accessor(&a.base);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    permit(0, 1);
    expect(0, 0);
    tear_down();
}
END_TEST

/* --- waiting --- */

/* By the waiting thread itself if the bus has nothing to do, else by that of the bus. */
START_TEST(who_waits_performs)
{
    char byte;

    set_up();
    permit(0, 1);
    ck_assert_int_eq(dev_i2c_wait_read(&a, 1, &byte, 1), 0);
    ck_assert(pthread_equal(gates[0].thread, pthread_self()));
    submit(&a, 0);
    await_inside(0);
    permit(0, 2);
    ck_assert_int_eq(dev_i2c_wait_read(&a, 1, &byte, 1), 0);
    expect(0, 0);
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    tear_down();
}
END_TEST

static void *wait_read(void *arg)
{
    char byte;

    *(error_t *)arg = dev_i2c_wait_read(&a, 1, &byte, 1);
    return NULL;
}

/* What is submitted while a waiting thread performs is the bus thread's. */
START_TEST(others_while_one_waits)
{
    pthread_t thread;
    error_t err = 1;

    set_up();
    thread = kt_thread(wait_read, &err);
    await_inside(0);
    submit(&a, 0);
    ck_assert_int_eq(DEVICE_OP(&a, cancel, &ops[0].rq), 0);
    submit(&a, 1);
    permit(0, 2);
    kt_join(thread);
    expect(1, 0);
    ck_assert_int_eq(err, 0);
    ck_assert(!pthread_equal(gates[0].thread, thread));
    tear_down();
}
END_TEST

static error_t waited;

static void wait_in_handler(struct op_s *op)
{
    char byte;

    (void)op;
    waited = dev_i2c_wait_read(&a, 1, &byte, 1);
}

START_TEST(waiting_for_oneself_is_refused)
{
    set_up();
    ops[0].then = wait_in_handler;
    submit(&a, 0);
    permit(0, 1);
    expect(0, 0);
    ck_assert_int_eq(waited, -EDEADLK);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 1);
    tear_down();
}
END_TEST

static void *wait_often(void *arg)
{
    char byte;

    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(dev_i2c_wait_read(arg, 1, &byte, 1), 0);
    return NULL;
}

static void again(struct op_s *op)
{
    if (op->rq.pvuint++ < 199)
        DEVICE_OP(op->rq.count == 1 ? &a : &b, request, &op->rq);
}

/* Threads that wait and handlers that submit again, on two devices: never two at once. */
START_TEST(all_at_once)
{
    pthread_t threads[4];

    set_up();
    open_device(&b, "held:0/b");
    permit(0, 100000);
    for (unsigned i = 0; i < 4; i++) {
        dev_i2c_rq_init(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 1;
        ops[i].then = again;
        submit(&a, i);
    }
    for (unsigned i = 0; i < 4; i++)
        threads[i] = kt_thread(wait_often, i % 2 ? &b : &a);
    for (unsigned i = 0; i < 4; i++)
        kt_join(threads[i]);
    for (unsigned i = 0; i < 4; i++)
        kt_await(NULL, kt_get(&ops[i].done) == 200);
    ck_assert_uint_eq(kt_get(&gates[0].most), 1);
    ck_assert_uint_eq(kt_get(&gates[0].parts), 8 * 200);
    tear_down();
}
END_TEST

/* --- one that takes two seconds --- */

enum what_e { TRANSFERS, TICKS, CHARS, RUNS, WHATS };

struct work_s {
    struct dev_char_rq_s chr;
    struct dev_timer_rq_s timer;
    struct kroutine_s deferred;
    uint8_t byte;
    unsigned count[WHATS]; /* atomic */
};

static struct work_s work;
static struct device_char_s line;
static struct device_timer_s timer;
static unsigned stopping; /* atomic */

static KROUTINE_EXEC(char_moved)
{
    kt_inc(&work.count[CHARS]);
    if (kt_get(&stopping))
        return;
    work.chr.type = work.chr.type == DEV_CHAR_WRITE ? DEV_CHAR_READ : DEV_CHAR_WRITE;
    work.chr.data = &work.byte;
    work.chr.size = 1;
    DEVICE_OP(&line, request, &work.chr);
}

static KROUTINE_EXEC(ticked)
{
    kt_inc(&work.count[TICKS]);
    if (!kt_get(&stopping))
        DEVICE_OP(&timer, request, &work.timer);
}

static KROUTINE_EXEC(ran)
{
    kt_inc(&work.count[RUNS]);
    if (!kt_get(&stopping))
        kroutine_exec(kr);
}

static void other_bus(struct op_s *op)
{
    kt_inc(&work.count[TRANSFERS]);
    if (!kt_get(&stopping)) {
        permit(1, 1);
        DEVICE_OP(&b, request, &op->rq);
    }
}

static void start_work(void)
{
    struct device_s *root = kroutine_runtime_devices(env.rt);

    ck_assert_int_eq(device_get_accessor_by_path(&line.base, root, "sim-char:x?latency=100000",
                                                 DRIVER_CLASS_CHAR),
                     0);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, root, "timer0", DRIVER_CLASS_TIMER),
                     0);
    dev_char_rq_init(&work.chr, char_moved);
    work.chr.type = DEV_CHAR_WRITE;
    work.chr.data = &work.byte;
    work.chr.size = 1;
    DEVICE_OP(&line, request, &work.chr);
    dev_timer_rq_init_immediate(&work.timer, ticked);
    work.timer.delay = KROUTINE_MSEC(1);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &work.timer), 0);
    kroutine_init_deferred(&work.deferred, ran);
    kroutine_bind(&work.deferred, env.rt);
    kroutine_exec(&work.deferred);
    ops[1].then = other_bus;
    dev_i2c_rq_init(&ops[1].rq, over);
    ops[1].rq.list = ops[1].list;
    ops[1].rq.count = 1;
    submit(&b, 1);
    permit(1, 1);
}

/* While bus 0 is in one transfer, all else goes on. What starves does nothing; a hundred of each is
   far below what a busy machine does. */
START_TEST(a_transfer_of_two_seconds_holds_its_bus_only)
{
    unsigned did[WHATS];

    set_up();
    open_device(&b, "held:1");
    start_work();
    submit(&a, 0);
    await_inside(0);
    for (unsigned i = 0; i < WHATS; i++)
        did[i] = kt_get(&work.count[i]);
    kt_sleep_ms(2000);
    for (unsigned i = 0; i < WHATS; i++)
        did[i] = kt_get(&work.count[i]) - did[i];
    ck_assert_uint_eq(kt_get(&ops[0].done), 0);
    permit(0, 1);
    expect(0, 0);
    kt_set(&stopping, 1);
    printf("# while the bus was held for 2 s: %u transfers on another bus, %u ticks of a 1 ms "
           "timer, %u characters, %u deferred handlers\n",
           did[TRANSFERS], did[TICKS], did[CHARS], did[RUNS]);
    for (unsigned i = 0; i < WHATS; i++)
        ck_assert_uint_ge(did[i], 100);
    permit(1, 1);
    device_put_accessor(&line.base);
    device_put_accessor(&timer.base);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bus");

    kt_add(s, highest_priority_first, 10);
    kt_add(s, a_lower_level_is_not_starved, 10);
    kt_add(s, one_at_a_time_whatever_the_device, 10);
    kt_add(s, where_handlers_run, 10);
    kt_add(s, cancel_in_each_state, 10);
    kt_add(s, cancel_and_wait_for_the_end, 10);
    kt_add(s, a_time_out_while_the_bus_is_held, 10);
    kt_add(s, many_time_outs, 20);
    kt_add(s, a_device_that_goes, 10);
    kt_add(s, close_waits_for_what_the_kernel_has, 10);
    kt_add_loop(s, close_from_a_handler, 2, NULL, 10);
    kt_add(s, close_from_the_handler_of_a_time_out, 10);
    kt_add(s, the_end_of_the_runtime, 10);
    kt_add(s, the_thread_ends_with_the_last_device, 10);
    kt_add(s, a_forked_child, 10);
    kt_add(s, who_waits_performs, 10);
    kt_add(s, others_while_one_waits, 10);
    kt_add(s, waiting_for_oneself_is_refused, 10);
    kt_add(s, all_at_once, 30);
    kt_add(s, a_transfer_of_two_seconds_holds_its_bus_only, 30);
    return s;
}
