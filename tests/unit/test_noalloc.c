/* SPDX-License-Identifier: MIT */
/*
 * No allocation on the request path: the allocator is replaced by one that counts, and 10^5
 * requests of each kind must leave the count alone. With a sanitizer, its own hooks count.
 */
#include "kt.h"

#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

static unsigned allocations; /* atomic */
static unsigned counting;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HOOKS 1
#endif
#endif

#ifdef HOOKS
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void on_malloc(const volatile void *p, size_t size)
{
    (void)p;
    (void)size;
    if (kt_get(&counting))
        kt_inc(&allocations);
}

static void on_free(const volatile void *p)
{
    (void)p;
}

static void install(void)
{
    static bool done;

    if (!done)
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    done = true;
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void count(void)
{
    if (kt_get(&counting))
        kt_inc(&allocations);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count();
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
    count();
    *ret = __libc_memalign(align, size);
    return *ret ? 0 : ENOMEM;
}

static void install(void)
{
}
#endif

/* The counter must count, or the test could not fail: under valgrind it does not. */
static bool counter_works(void)
{
    void *volatile p;
    unsigned before;

    install();
    kt_set(&counting, 1);
    before = kt_get(&allocations);
    p = malloc(100);
    free(p);
    p = calloc(10, 10);
    p = realloc(p, 200);
    free(p);
    kt_set(&counting, 0);
    before = kt_get(&allocations) - before;
    kt_set(&allocations, 0);
    return before == 3;
}

static struct kt_env_s env;
static struct kroutine_queue_s queue;
static struct kroutine_sequence_s seq;
static struct kt_target_s target;
static unsigned done;

static const enum kroutine_backend_e backends[] = {KROUTINE_BACKEND_EPOLL, KROUTINE_BACKEND_URING};

static const char *backend_label(int i)
{
    return kt_backend_name(backends[i]);
}

static bool open_on(int round)
{
    struct kroutine_runtime_config_s config;
    error_t err;

    kt_env_config(&config, KT_THREADS);
    config.backend = backends[round];
    err = kroutine_runtime_create(&env.rt, &config);
    if (backends[round] == KROUTINE_BACKEND_URING && (err == -EPERM || err == -ENOSYS))
        return false;
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    kroutine_seq_init(&seq);
    target = (struct kt_target_s){env.rt, &queue, &seq, 0};
    kt_sleep_ms(20); /* the threads are up: what the C library allocates for them is not ours */
    return true;
}

#define OPEN()                                                                                     \
    do {                                                                                           \
        if (!counter_works())                                                                      \
            kt_skip("malloc cannot be counted in this process");                                   \
        if (!open_on(_i))                                                                          \
            kt_skip("io_uring cannot be used here: %s", kroutine_error_text());                    \
    } while (0)

static void close_all(void)
{
    kt_env_close(&env);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}

/* The first hundred may warm things up: thread-local blocks, the first open of a clock. */
#define WARM 100
#define MANY (WARM + kt_count(100000))

static void counted(unsigned i)
{
    if (i == WARM)
        kt_set(&counting, 1);
}

static void expect_none(const char *what)
{
    kt_set(&counting, 0);
    ck_assert_msg(kt_get(&allocations) == 0, "%s: %u allocations in %u", what, kt_get(&allocations),
                  MANY - WARM);
}

static void wait_done(unsigned n)
{
    uint64_t end = kt_now() + kt_patience();

    while (kt_get(&done) < n) {
        kroutine_queue_process(&queue);
        if (kt_get(&done) < n)
            sched_yield();
        if (kt_now() > end)
            ck_abort_msg("number %u of %u never came", n, MANY);
    }
}

static KROUTINE_EXEC(count_done)
{
    (void)kr;
    (void)flags;
    kt_inc(&done);
}

START_TEST(exec_allocates_nothing)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    struct kroutine_s kr[4];

    if (!counter_works())
        kt_skip("malloc cannot be counted in this process");
    ck_assert(open_on(0));
    for (int k = 0; k < 4; k++)
        kt_init_policy(&kr[k], count_done, policy, &target);
    for (unsigned i = 0; i < MANY / 16; i++) {
        counted(i);
        for (int k = 0; k < 4; k++)
            kroutine_exec(&kr[k]);
        wait_done(4 * (i + 1));
        kroutine_critical_begin();
        kroutine_exec(&kr[0]);
        kroutine_critical_end();
        if (!kroutine_cancel(&kr[0]))
            wait_done(4 * (i + 1) + 1);
        done = 4 * (i + 1);
    }
    expect_none(kt_policy_name(policy));
    close_all();
}
END_TEST

START_TEST(timers_allocate_nothing)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    struct dev_timer_rq_s rq[8];

    OPEN();
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    for (int k = 0; k < 8; k++) {
        memset(&rq[k], 0, sizeof rq[k]);
        dev_timer_rq_init(&rq[k], count_done);
    }
    dev_timer_rq_init_immediate(&rq[1], count_done);
    for (unsigned i = 0; i < MANY / 8; i++) {
        counted(i);
        for (unsigned k = 0; k < 8; k++) {
            rq[k].delay = k < 2 ? 1000 : KROUTINE_SEC(1 + i % 1000);
            if (DEVICE_OP(&timer, request, &rq[k]))
                ck_abort_msg("request %u", k);
        }
        for (int k = 2; k < 8; k++)
            if (DEVICE_OP(&timer, cancel, &rq[k]))
                ck_abort_msg("cancel %d", k);
        wait_done(2 * (i + 1));
    }
    expect_none("timer");
    device_put_accessor(&timer.base);
    close_all();
}
END_TEST

/* --- char --- */

static struct device_char_s dev[2];

static void open_pair(int type, const char *options)
{
    char spec[64];
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, type, 0, sv), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(spec, sizeof spec, "fd:%d%s", sv[i], options);
        memset(&dev[i], 0, sizeof dev[i]);
        ck_assert_int_eq(device_get_accessor_by_path(&dev[i].base, kroutine_runtime_devices(env.rt),
                                                     spec, DRIVER_CLASS_CHAR),
                         0);
        close(sv[i]);
    }
}

static void submit(struct dev_char_rq_s *rq, int side, unsigned type, uint8_t *data, size_t size)
{
    rq->type = (uint8_t)type;
    rq->data = data;
    rq->size = size;
    DEVICE_OP(&dev[side], request, rq);
}

static unsigned spares;

static KROUTINE_EXEC(count_spare)
{
    (void)kr;
    (void)flags;
    spares++;
}

#define BATCH 4

/* Cancelled, behind others or alone, before anything comes. */
static void cancel_spare(struct dev_char_rq_s *spare, unsigned type)
{
    static uint8_t byte;

    submit(spare, 0, type, &byte, 1);
    if (DEVICE_OP(&dev[0], cancel, spare) == 0)
        return;
    for (unsigned n = spares + 1; spares < n;) /* it was in a system call right then */
        kroutine_queue_process(&queue);
}

/* Round trips, the reads submitted before (they wait) or after (they complete inside). */
static void round_trips(unsigned read_type, unsigned write_type, size_t size, uint64_t timeout)
{
    struct dev_char_rq_s rd[BATCH], wr[BATCH], spare;
    uint8_t in[BATCH][64], out[64] = "0123456789";

    memset(&spare, 0, sizeof spare);
    dev_char_rq_init_queue(&spare, count_spare, &queue);
    dev_request_set_timeout(&spare.base, timeout);
    for (int k = 0; k < BATCH; k++) {
        dev_char_rq_init(&rd[k], count_done);
        dev_char_rq_init_seq(&wr[k], count_done, &seq);
        dev_request_set_timeout(&rd[k].base, timeout);
    }
    for (unsigned i = 0; i < MANY / BATCH / 2; i++) {
        counted(i);
        for (int k = 0; k < BATCH && i % 2; k++)
            submit(&rd[k], 0, read_type, in[k], size);
        if (i % 3 == 0)
            cancel_spare(&spare, read_type);
        for (int k = 0; k < BATCH; k++)
            submit(&wr[k], 1, write_type, out, size);
        for (int k = 0; k < BATCH && i % 2 == 0; k++)
            submit(&rd[k], 0, read_type, in[k], size);
        wait_done(2 * BATCH * (i + 1));
        for (int k = 0; k < BATCH; k++)
            if (rd[k].error || wr[k].error)
                ck_abort_msg("errors %d %d", rd[k].error, wr[k].error);
    }
}

START_TEST(char_requests_allocate_nothing)
{
    OPEN();
    open_pair(SOCK_STREAM, "");
    round_trips(DEV_CHAR_READ, DEV_CHAR_WRITE, 8, 0);
    expect_none("char");
    close_all();
    for (int i = 0; i < 2; i++)
        device_put_accessor(&dev[i].base);
}
END_TEST

START_TEST(timeouts_allocate_nothing)
{
    OPEN();
    open_pair(SOCK_STREAM, "");
    round_trips(DEV_CHAR_READ, DEV_CHAR_WRITE_PARTIAL, 8, KROUTINE_SEC(100));
    expect_none("char with time-outs");
    close_all();
    for (int i = 0; i < 2; i++)
        device_put_accessor(&dev[i].base);
}
END_TEST

START_TEST(frames_allocate_nothing)
{
    OPEN();
    open_pair(SOCK_SEQPACKET, "");
    round_trips(DEV_CHAR_READ_FRAME, DEV_CHAR_WRITE_FRAME, 8, 0);
    expect_none("frames");
    close_all();
    for (int i = 0; i < 2; i++)
        device_put_accessor(&dev[i].base);
}
END_TEST

START_TEST(lines_allocate_nothing)
{
    OPEN();
    open_pair(SOCK_STREAM, "?frame=line");
    round_trips(DEV_CHAR_READ_FRAME, DEV_CHAR_WRITE_FRAME, 8, 0);
    expect_none("lines");
    close_all();
    for (int i = 0; i < 2; i++)
        device_put_accessor(&dev[i].base);
}
END_TEST

/* In order: each is over before the next; with a time-out every other time, and a cancel. */
START_TEST(dma_requests_allocate_nothing)
{
    struct device_dma_s dma = DEVICE_ACCESSOR_INIT;
    struct dev_dma_desc_s desc[2];
    struct dev_dma_mem_s mem;
    struct dev_dma_rq_s rq;
    unsigned ends = 0;

    OPEN();
    ck_assert_int_eq(device_get_accessor_by_path(&dma.base, kroutine_runtime_devices(env.rt),
                                                 "dma0", DRIVER_CLASS_DMA),
                     0);
    ck_assert_int_eq(dev_dma_alloc(&dma, &mem, 4096, 0), 0);
    memset(&rq, 0, sizeof rq);
    dev_dma_rq_init_queue(&rq, count_done, &queue);
    memset(desc, 0, sizeof desc);
    desc[0].src = desc[1].src = mem.base;
    desc[0].dst = (char *)mem.base + 1024;
    desc[1].dst = (char *)mem.base + 2048;
    desc[0].size = desc[1].size = 512;
    rq.list = desc;
    rq.count = 2;
    rq.loops = 2;
    done = 0;
    for (unsigned i = 0; i < MANY / 8; i++) {
        counted(i);
        dev_request_set_timeout(&rq.base, i % 2 ? KROUTINE_SEC(100) : 0);
        if (DEVICE_OP(&dma, request, &rq)) /* a Check macro would allocate */
            ck_abort_msg("request %u is refused", i);
        if (i % 3 || DEVICE_OP(&dma, cancel, &rq))
            wait_done(++ends);
    }
    expect_none("dma requests");
    ck_assert_int_eq(dev_dma_unmap(&mem), 0);
    device_put_accessor(&dma.base);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("no allocation");

    kt_add_loop(s, exec_allocates_nothing, KT_PUT_OFF, kt_put_off_label, 30);
    kt_add_loop(s, timers_allocate_nothing, 2, backend_label, 30);
    kt_add_loop(s, char_requests_allocate_nothing, 2, backend_label, 30);
    kt_add_loop(s, timeouts_allocate_nothing, 2, backend_label, 30);
    kt_add_loop(s, dma_requests_allocate_nothing, 2, backend_label, 30);
    kt_add_loop(s, frames_allocate_nothing, 2, backend_label, 30);
    kt_add_loop(s, lines_allocate_nothing, 2, backend_label, 30);
    return s;
}
