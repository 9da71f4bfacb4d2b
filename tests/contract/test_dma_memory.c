/* SPDX-License-Identifier: MIT */
/* The memory of an engine: given, taken back, held while it is used. */
#include "kt_dma.h"

static struct kt_env_s env;
static struct kt_dma_s d;

START_TEST(allocated)
{
    static const size_t sizes[] = {1, 4096, 100001, 9u << 20};
    struct dev_dma_mem_s mem;

    kt_dma_open(&d, &env, _i, 0, NULL);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, sizes[i], i % 2 ? DEV_DMA_MEM_HUGE : 0), 0);
        ck_assert_uint_eq(mem.size, sizes[i]);
        ck_assert_uint_eq((uintptr_t)mem.base % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
        ck_assert_uint_eq(*(uint8_t *)mem.base, 0);
        ck_assert(!memcmp(mem.base, (uint8_t *)mem.base + 1, sizes[i] - 1)); /* all zero */
        memset(mem.base, 1, sizes[i]);
        ck_assert_int_eq(dev_dma_unmap(&mem), 0);
        ck_assert_ptr_null(mem.base);
        ck_assert_int_eq(dev_dma_unmap(&mem), -EINVAL);
    }
    kt_dma_close(&d);
}
END_TEST

START_TEST(refused)
{
    struct dev_dma_mem_s mem = {.size = 77}, other;
    uint8_t *memory = malloc(4096);

    kt_dma_open(&d, &env, _i, 0, NULL);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, 0, 0), -EINVAL);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, SIZE_MAX, 0), -ENOMEM);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, SIZE_MAX / 16 * 15, 0), -ENOMEM);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, 16, 0x80), -EINVAL);
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, NULL, 16, 0), -EINVAL);
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, memory, 0, 0), -EINVAL);
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, memory, SIZE_MAX, 0), -EINVAL);
    ck_assert_uint_eq(mem.size, 77); /* untouched */
    ck_assert_ptr_null(mem.memory);

    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, memory + 1024, 1024, 0), 0);
    ck_assert_int_eq(dev_dma_map(&d.dev, &other, memory + 1024, 1024, 0), -EEXIST);
    ck_assert_int_eq(dev_dma_map(&d.dev, &other, memory, 1025, 0), -EEXIST);
    ck_assert_int_eq(dev_dma_map(&d.dev, &other, memory + 2047, 2, 0), -EEXIST);
    ck_assert_int_eq(dev_dma_map(&d.dev, &other, memory, 4096, 0), -EEXIST);
    ck_assert_int_eq(dev_dma_map(&d.dev, &other, memory, 1024, 0), 0); /* beside it */
    ck_assert_int_eq(dev_dma_unmap(&other), 0);
    ck_assert_int_eq(dev_dma_unmap(&mem), 0);
    kt_dma_close(&d);
    free(memory);
}
END_TEST

/* Two mappings side by side are not one: their addresses on the bus need not be. */
START_TEST(a_row_is_inside_one)
{
    struct dev_dma_mem_s mem[2];
    struct kt_dop_s op;
    uint8_t *memory = malloc(4096);

    kt_dma_open(&d, &env, _i, 4096, NULL);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_map(&d.dev, &mem[i], memory + i * 2048, 2048, 0), 0);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 100);
    op.desc[0].dst = memory + 2000;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    op.desc[0].dst = memory + 2048;
    kt_dop_run(&op, &d);
    ck_assert_mem_eq(memory + 2048, d.src, 100);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_unmap(&mem[i]), 0);
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    kt_dma_close(&d);
    free(memory);
}
END_TEST

START_TEST(one_direction)
{
    struct dev_dma_mem_s mem;
    struct kt_dop_s op;
    uint8_t *memory = malloc(64);

    kt_dma_open(&d, &env, _i, 4096, NULL);
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, memory, 64, DEV_DMA_MEM_READ), 0);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    op.desc[0].dst = memory;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EACCES);
    op.desc[0].dst = d.dst;
    op.desc[0].src = memory;
    kt_dop_run(&op, &d);
    ck_assert_int_eq(dev_dma_unmap(&mem), 0);
    kt_dma_close(&d);
    free(memory);
}
END_TEST

static void unmap_here(struct kt_dop_s *op)
{
    struct kt_dma_s *dma = op->arg;

    for (int i = 0; i < 2; i++)
        op->moved = op->moved && !dev_dma_unmap(&dma->mem[i]);
}

START_TEST(in_use)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 4096);
    op.rq.loops = DEV_DMA_CONTINUOUS;
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    ck_assert_int_eq(dev_dma_unmap(&d.mem[0]), -EBUSY);
    ck_assert_int_eq(dev_dma_unmap(&d.mem[1]), -EBUSY);
    ck_assert(strstr(kroutine_error_text(), "use it"));
    if (kt_dop_cancel(&op, &d))
        kt_dop_expect(&op, &env, -ECANCELED);

    /* The handler of the last request may take it back. */
    kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 4096);
    op.then = unmap_here;
    op.arg = &d;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.moved, 1);
    ck_assert_ptr_null(d.mem[0].base);
    kt_dma_close(&d);
}
END_TEST

static void hold_channel(struct kt_dop_s *first, struct kt_dop_s *then)
{
    kt_dop_init(first, &d, KROUTINE_IMMEDIATE, 16);
    first->rq.loops = DEV_DMA_CONTINUOUS;
    kt_dop_init(then, &d, KROUTINE_IMMEDIATE, 16);
    first->rq.chan_mask = then->rq.chan_mask = 1;
    ck_assert_int_eq(kt_dop_submit(first, &d), 0);
}

/* Against the rules, and yet the pins stay where they are. The request waits for its turn, so that
   nobody reads the list meanwhile. */
START_TEST(a_list_that_is_changed)
{
    struct kt_dop_s first, op;
    struct dev_dma_mem_s mem[2];
    uint8_t memory[2][64];

    kt_dma_open(&d, &env, _i, 4096, NULL);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_map(&d.dev, &mem[i], memory[i], 64, 0), 0);
    hold_channel(&first, &op);
    op.desc[0].dst = memory[0];
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    op.desc[0].dst = memory[1];
    op.rq.count = 4;
    ck_assert_int_eq(dev_dma_unmap(&mem[0]), -EBUSY);
    ck_assert_int_eq(dev_dma_unmap(&mem[1]), 0);
    ck_assert_int_eq(kt_dop_cancel(&op, &d), 0);
    ck_assert_int_eq(dev_dma_unmap(&mem[0]), 0);
    if (kt_dop_cancel(&first, &d))
        kt_dop_expect(&first, &env, -ECANCELED);
    kt_dma_close(&d);
}
END_TEST

/* More mappings than a request has bits for: each is held by those who use it, and by no other. */
START_TEST(many_in_use)
{
    static uint8_t memory[200][16];
    static struct dev_dma_mem_s mem[200];
    struct kt_dop_s first, op;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(dev_dma_map(&d.dev, &mem[i], memory[i], 16, 0), 0);
    hold_channel(&first, &op);
    for (unsigned i = 0; i < 198; i++) {
        op.rq.count = 2;
        op.desc[1] = op.desc[0];
        op.desc[0].dst = memory[i];
        op.desc[1].dst = memory[i];
        op.desc[1].src = memory[199];
        op.desc[1].size = 17; /* -EFAULT: what the first has pinned is given back */
        ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
        op.desc[1].size = 16;
        ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
        ck_assert_int_eq(dev_dma_unmap(&mem[i]), -EBUSY);
        ck_assert_int_eq(dev_dma_unmap(&mem[199]), -EBUSY);
        ck_assert_uint_eq(mem[i + 1].pins, 0);
        ck_assert_int_eq(kt_dop_cancel(&op, &d), 0);
        ck_assert_int_eq(dev_dma_unmap(&mem[i]), 0);
    }
    for (unsigned i = 198; i < 200; i++)
        ck_assert_int_eq(dev_dma_unmap(&mem[i]), 0);
    if (kt_dop_cancel(&first, &d))
        kt_dop_expect(&first, &env, -ECANCELED);
    kt_dma_close(&d);
}
END_TEST

/* Accessor, runtime: the memory outlives them. */
START_TEST(after_the_end)
{
    struct dev_dma_mem_s mem[3];

    kt_dma_open(&d, &env, _i, 0, NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem[i], 4096, 0), 0);
    ck_assert_int_eq(dev_dma_unmap(&mem[0]), 0);
    device_put_accessor(&d.dev.base);
    memset(mem[1].base, 1, 4096);
    ck_assert_int_eq(dev_dma_unmap(&mem[1]), 0);
    kt_env_close(&env);
    memset(mem[2].base, 1, 4096);
    ck_assert_int_eq(dev_dma_unmap(&mem[2]), 0);
}
END_TEST

/* Random mappings of one block against a map of its bytes. */
#define BLOCK 512

static uint64_t random_state;

static unsigned dice(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static void try_map(struct dev_dma_mem_s *mem, uint8_t *memory, uint8_t *owner, unsigned n)
{
    unsigned first = dice(BLOCK), size = 1 + dice(40);
    bool is_free = true;

    if (first + size > BLOCK)
        size = BLOCK - first;
    for (unsigned i = first; i < first + size; i++)
        is_free = is_free && !owner[i];
    ck_assert_int_eq(dev_dma_map(&d.dev, mem, memory + first, size, 0), is_free ? 0 : -EEXIST);
    if (is_free)
        memset(owner + first, (int)n, size);
}

static bool one_owner(const uint8_t *owner, unsigned first, unsigned size)
{
    for (unsigned i = first; i < first + size; i++) {
        if (!owner[i] || owner[i] != owner[first])
            return false;
    }
    return true;
}

START_TEST(against_a_model)
{
    static uint8_t memory[BLOCK], owner[BLOCK];
    static struct dev_dma_mem_s mem[40];
    struct kt_dop_s op;
    unsigned rounds;

    random_state = (uint64_t)_i + 1;
    memset(owner, 0, sizeof owner);
    memset(mem, 0, sizeof mem);
    kt_dma_open(&d, &env, _i, 4096, NULL);
    rounds = kt_count(2000);
    rounds = kt_dma_count(&d, rounds) < rounds ? 50 : rounds; /* few of which are done */
    for (unsigned round = 0; round < rounds; round++) {
        unsigned n = dice(40), first = dice(BLOCK - 20), size = 1 + dice(20);

        if (mem[n].base) {
            ck_assert_int_eq(dev_dma_unmap(&mem[n]), 0);
            for (unsigned i = 0; i < BLOCK; i++)
                owner[i] = owner[i] == n + 1 ? 0 : owner[i];
        } else {
            try_map(&mem[n], memory, owner, n + 1);
        }
        kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, size);
        op.desc[0].src = memory + first;
        if (one_owner(owner, first, size))
            kt_dop_run(&op, &d);
        else
            ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    }
    for (unsigned n = 0; n < 40; n++) {
        if (mem[n].base)
            ck_assert_int_eq(dev_dma_unmap(&mem[n]), 0);
    }
    kt_dma_close(&d);
}
END_TEST

/* Threads that map, use and unmap memory of their own. */
static unsigned times;

static void *user(void *arg)
{
    unsigned *errors = arg;
    uint8_t memory[256];

    for (unsigned i = 0; i < times; i++) {
        struct dev_dma_mem_s mem;
        struct kt_dop_s op;

        *errors += dev_dma_map(&d.dev, &mem, memory, sizeof memory, 0) != 0;
        kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, sizeof memory);
        op.desc[0].dst = memory;
        *errors += dev_dma_wait_rq(&d.dev, &op.rq) != 0;
        *errors += dev_dma_unmap(&mem) != 0;
        *errors += memcmp(memory, d.src, sizeof memory) != 0;
    }
    return NULL;
}

START_TEST(by_several_threads)
{
    unsigned errors[4] = {0};
    pthread_t threads[4];

    kt_dma_open(&d, &env, _i * KT_MODES + KT_THREADS, 4096, NULL);
    times = kt_dma_count(&d, kt_count(300));
    for (int i = 0; i < 4; i++)
        threads[i] = kt_thread(user, &errors[i]);
    for (int i = 0; i < 4; i++) {
        kt_join(threads[i]);
        ck_assert_uint_eq(errors[i], 0);
    }
    kt_dma_close(&d);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma_memory");
    int rounds = kt_dma_rounds();

    kt_add_loop(s, allocated, rounds, kt_dma_label, 30);
    kt_add_loop(s, refused, rounds, kt_dma_label, 20);
    kt_add_loop(s, a_row_is_inside_one, rounds, kt_dma_label, 20);
    kt_add_loop(s, one_direction, rounds, kt_dma_label, 20);
    kt_add_loop(s, in_use, rounds, kt_dma_label, 20);
    kt_add_loop(s, a_list_that_is_changed, rounds, kt_dma_label, 20);
    kt_add_loop(s, many_in_use, rounds, kt_dma_label, 20);
    kt_add_loop(s, after_the_end, rounds, kt_dma_label, 20);
    kt_add_loop(s, against_a_model, rounds, kt_dma_label, 60);
    kt_add_loop(s, by_several_threads, rounds / KT_MODES, NULL, 60);
    return s;
}
