/* SPDX-License-Identifier: MIT */
/* The rule checker: each rule broken in a child, whose last words are read; and a program that
   keeps the rules. */
#include "kt.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <kroutine/driver.h>

/* --- a child that breaks a rule --- */

/* What it wrote to standard error; its status. */
static int run_child(void (*body)(void), const char *check, char *text, size_t size)
{
    int out[2], status;
    char *emulator;
    size_t used = 0;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(out), 0);
    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(out[1], STDERR_FILENO);
        setenv("KROUTINE_CHECK", check, 1);
        signal(SIGABRT, SIG_DFL);
        alarm(30 * kt_slow());
        body();
        _exit(0);
    }
    close(out[1]);
    while (used < size - 1 && (n = read(out[0], text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    /* QEMU's user mode says by itself that the program was stopped. */
    if ((emulator = strstr(text, "qemu: uncaught target signal")) != NULL)
        *emulator = 0;
    close(out[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* All of `parts`, up to a NULL, are in the report, which is one line. */
static void expect_report(void (*body)(void), const char *const *parts)
{
    char text[4096];
    int status = run_child(body, "1", text, sizeof text);

    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "the child was not stopped: status %x, it says: %.1500s", (unsigned)status, text);
    ck_assert_msg(strncmp(text, "libkroutine: rule broken: ", 26) == 0, "it says: %.1500s", text);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    for (; *parts; parts++)
        ck_assert_msg(strstr(text, *parts) != NULL, "'%s' is not in: %.1500s", *parts, text);
}

#define EXPECT_REPORT(body, ...) expect_report(body, (const char *const[]){__VA_ARGS__, NULL})

/* --- what children use --- */

static struct kroutine_runtime_s *rt;
static struct device_char_s dev;
static struct device_timer_s timer;
static struct dev_char_rq_s rq, other_rq;
static struct dev_timer_rq_s timer_rq;
static uint8_t bytes[16];
static int peer;
static unsigned runs;

static void set_up(void)
{
    struct kroutine_runtime_config_s config;
    char spec[32];
    int sv[2];

    kroutine_runtime_config_init(&config);
    config.backend = kt_backend;
    config.pool_size = 1;
    if (kroutine_runtime_create(&rt, &config) || socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
        _exit(2);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    if (device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(rt), spec,
                                    DRIVER_CLASS_CHAR) ||
        device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(rt), "timer0",
                                    DRIVER_CLASS_TIMER))
        _exit(3);
    peer = sv[1];
}

static KROUTINE_EXEC(on_byte)
{
    (void)kr;
    (void)flags;
    kt_inc(&runs);
}

static void read_one(struct dev_char_rq_s *r)
{
    r->type = DEV_CHAR_READ;
    r->data = bytes;
    r->size = 1;
    DEVICE_OP(&dev, request, r);
}

static KROUTINE_EXEC(on_tick)
{
    (void)kr;
    (void)flags;
    read_one(&rq);
}

static KROUTINE_EXEC(on_first)
{
    (void)kr;
    (void)flags;
    read_one(&other_rq);
}

static void start_timer(void)
{
    dev_timer_rq_init_immediate(&timer_rq, on_tick);
    timer_rq.delay = 1000000;
    if (DEVICE_OP(&timer, request, &timer_rq))
        _exit(4);
    sleep(5);
}

/* --- rules --- */

static void submit_from_timer_handler(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    start_timer();
}

START_TEST(char_from_an_immediate_timer_handler)
{
    EXPECT_REPORT(submit_from_timer_handler,
                  "char request submitted from an IMMEDIATE handler: device 'fd:", "class char",
                  "request handler on_byte", "from handler on_tick", "'timer0', class timer",
                  "use DEFERRED. See kroutine-nesting(7)");
}
END_TEST

static void submit_from_char_handler(void)
{
    set_up();
    dev_char_rq_init_immediate(&rq, on_first);
    dev_char_rq_init(&other_rq, on_byte);
    if (write(peer, "xy", 2) != 2)
        _exit(5);
    read_one(&rq); /* completes inside, and its handler submits the other */
    sleep(5);
}

START_TEST(char_from_an_immediate_char_handler)
{
    EXPECT_REPORT(submit_from_char_handler, "submitted from an IMMEDIATE handler",
                  "request handler on_byte", "from handler on_first", "'fd:");
}
END_TEST

static KROUTINE_EXEC(waits)
{
    (void)kr;
    (void)flags;
    dev_char_wait_op(&dev, DEV_CHAR_READ, bytes, 1);
}

static void wait_in_handler(void)
{
    set_up();
    dev_char_rq_init_immediate(&rq, waits);
    if (write(peer, "xy", 2) != 2)
        _exit(5);
    read_one(&rq);
}

START_TEST(waiting_is_submitting)
{
    EXPECT_REPORT(wait_in_handler, "submitted from an IMMEDIATE handler", "from handler waits");
}
END_TEST

static void submit_twice(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    read_one(&rq);
}

START_TEST(submitted_twice)
{
    EXPECT_REPORT(submit_twice, "request submitted twice: device 'fd:", "class char",
                  "request handler on_byte");
}
END_TEST

static void submit_timer_twice(void)
{
    set_up();
    dev_timer_rq_init(&timer_rq, on_byte);
    timer_rq.delay = KROUTINE_SEC(10);
    if (DEVICE_OP(&timer, request, &timer_rq))
        _exit(4);
    DEVICE_OP(&timer, request, &timer_rq);
}

static void submit_before_the_handler(void)
{
    struct kroutine_queue_s queue;

    set_up();
    kroutine_queue_init(&queue);
    dev_char_rq_init_queue(&rq, on_byte, &queue);
    if (write(peer, "ab", 2) != 2)
        _exit(5);
    read_one(&rq); /* complete, but nobody serves the queue */
    read_one(&rq);
}

START_TEST(submitted_before_its_handler_has_run)
{
    EXPECT_REPORT(submit_before_the_handler, "submitted twice", "device 'fd:", "class char",
                  "on_byte", "has not run yet");
}
END_TEST

START_TEST(timer_submitted_twice)
{
    EXPECT_REPORT(submit_timer_twice, "request submitted twice: device 'timer0', class timer");
}
END_TEST

static void initialise_in_flight(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    dev_char_rq_init_immediate(&rq, on_first);
}

START_TEST(initialised_in_flight)
{
    EXPECT_REPORT(initialise_in_flight,
                  "request re-initialised in flight: device 'fd:", "class char", "handler on_byte",
                  "kroutine-cancel(7)");
}
END_TEST

static void destroy_in_flight(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    dev_request_destroy(&rq.base);
}

START_TEST(destroyed_in_flight)
{
    EXPECT_REPORT(destroy_in_flight, "request destroyed in flight", "handler on_byte");
}
END_TEST

/* The memory became another object: a copy of a request with another handler. */
static void overwrite(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    __atomic_store_n(&rq.base.kr.exec, on_first, __ATOMIC_RELAXED);
}

static void overwrite_and_cancel(void)
{
    overwrite();
    DEVICE_OP(&dev, cancel, &rq);
}

static void overwrite_and_end(void)
{
    overwrite();
    if (write(peer, "x", 1) != 1)
        _exit(5);
    sleep(5);
}

START_TEST(overwritten_in_flight)
{
    EXPECT_REPORT(overwrite_and_cancel,
                  "request freed or overwritten in flight: device 'fd:", "class char",
                  "handler on_byte");
    EXPECT_REPORT(overwrite_and_end, "request freed or overwritten in flight", "handler on_byte");
}
END_TEST

static void queue_in_use(void)
{
    static struct kroutine_queue_s queue;
    static struct kroutine_s kr;

    set_up();
    kroutine_queue_init(&queue);
    kroutine_init_queue(&kr, on_byte, &queue);
    kroutine_exec(&kr);
    kroutine_queue_cleanup(&queue);
}

static struct kroutine_sequence_s seq;

static KROUTINE_EXEC(cleans_up)
{
    (void)kr;
    (void)flags;
    kroutine_seq_cleanup(&seq);
}

static void sequence_in_use(void)
{
    static struct kroutine_s kr;

    set_up();
    kroutine_seq_init(&seq);
    kroutine_init_deferred_seq(&kr, cleans_up, &seq);
    kroutine_bind(&kr, rt);
    kroutine_exec(&kr);
    sleep(5);
}

START_TEST(cleaned_up_in_use)
{
    EXPECT_REPORT(queue_in_use, "queue", "destroyed in use", "handler on_byte",
                  "kroutine_queue(3)");
    EXPECT_REPORT(sequence_in_use, "sequence", "destroyed in use", "kroutine_sequence(3)");
}
END_TEST

/* --- programs that keep the rules --- */

static KROUTINE_EXEC(again)
{
    (void)kr;
    (void)flags;
    if (kt_inc(&runs) < 100)
        read_one(&rq);
}

static KROUTINE_EXEC(tick_again)
{
    (void)kr;
    (void)flags;
    if (kt_inc(&runs) < 110 && DEVICE_OP(&timer, request, &timer_rq))
        _exit(6);
}

/* Every way that a request can end, and the same memory used again after each. */
static void keep_rules(void)
{
    struct dev_char_rq_s many[200];
    uint8_t zeroes[100] = {0};

    set_up();
    dev_char_rq_init(&rq, again);
    read_one(&rq);
    if (write(peer, zeroes, 100) != 100)
        _exit(5);
    while (kt_get(&runs) < 100)
        usleep(1000);
    dev_timer_rq_init_immediate(&timer_rq, tick_again);
    timer_rq.delay = 10000;
    if (DEVICE_OP(&timer, request, &timer_rq))
        _exit(4);
    while (kt_get(&runs) < 110)
        usleep(1000);
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    if (DEVICE_OP(&dev, cancel, &rq))
        _exit(7);
    dev_request_destroy(&rq.base);
    dev_char_rq_init_immediate(&rq, on_byte);
    rq.type = DEV_CHAR_TYPES; /* refused */
    DEVICE_OP(&dev, request, &rq);
    dev_timer_rq_init(&timer_rq, on_byte);
    timer_rq.delay = 0;
    timer_rq.deadline = 1; /* rejected */
    if (DEVICE_OP(&timer, request, &timer_rq) != -ETIMEDOUT)
        _exit(8);
    dev_timer_rq_init(&timer_rq, on_byte);
    if (kt_get(&runs) != 111 ||
        dev_char_timedwait_op(&dev, DEV_CHAR_READ, bytes, 1, 1000) != -ETIMEDOUT)
        _exit(9);
    for (unsigned i = 0; i < 200; i++) {
        dev_char_rq_init(&many[i], on_byte);
        read_one(&many[i]);
    }
    device_put_accessor(&dev.base);
    device_put_accessor(&timer.base);
    if (kroutine_runtime_destroy(rt) || kt_get(&runs) != 311)
        _exit(10);
    close(peer);
}

START_TEST(a_clean_program)
{
    char text[4096];
    int status = run_child(keep_rules, "1", text, sizeof text);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned)status,
                  text);
    ck_assert_str_eq(text, "");
}
END_TEST

/* Off, this says nothing. */
static void break_harmlessly(void)
{
    set_up();
    dev_char_rq_init(&rq, on_byte);
    read_one(&rq);
    dev_request_destroy(&rq.base);
    _exit(0);
}

START_TEST(switched_off)
{
    char text[4096];
    int status = run_child(break_harmlessly, "0", text, sizeof text);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned)status,
                  text);
    ck_assert_str_eq(text, "");
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("check");

    kt_add(s, char_from_an_immediate_timer_handler, 60);
    kt_add(s, char_from_an_immediate_char_handler, 60);
    kt_add(s, waiting_is_submitting, 60);
    kt_add(s, submitted_twice, 60);
    kt_add(s, submitted_before_its_handler_has_run, 60);
    kt_add(s, timer_submitted_twice, 60);
    kt_add(s, initialised_in_flight, 60);
    kt_add(s, destroyed_in_flight, 60);
    kt_add(s, overwritten_in_flight, 60);
    kt_add(s, cleaned_up_in_use, 60);
    kt_add(s, a_clean_program, 60);
    kt_add(s, switched_off, 60);
    return s;
}
