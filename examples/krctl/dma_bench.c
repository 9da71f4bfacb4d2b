/* SPDX-License-Identifier: MIT */
/*
 * krctl dma bench: transfers of one size, one after the other, for a while; then the next size. The
 * handler submits the next transfer, which makes this the rate of a program that does nothing else.
 */
#include "dma.h"
#include "parse.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define SMALLEST 64u
#define LARGEST  (64u << 20)
#define STEP     8u
#define WHILE    KROUTINE_MSEC(200)

struct bench_s {
    struct engine_s engine;
    struct dev_dma_rq_s rq;
    struct dev_dma_desc_s desc;
    uint64_t until; /* the end of this size */
    uint64_t began;
    uint64_t count; /* transfers of this size */
    uint64_t span;  /* ns of each size */
    uint64_t largest;
    bool json;
};

static void submit(struct bench_s *b)
{
    error_t err = DEVICE_OP(&b->engine.dev, request, &b->rq);

    if (err != 0)
        session_end(&b->engine.session,
                    krctl_fail("%zu bytes: %s", b->desc.size, engine_error(err)));
}

static void begin(struct bench_s *b, size_t size)
{
    b->desc.size = size;
    b->count = 0;
    b->began = session_now(&b->engine.session);
    b->until = b->began + b->span;
    submit(b);
}

/* "  64 KiB". */
static const char *size_text(size_t size)
{
    static char text[32];

    if (size >= 1u << 20)
        snprintf(text, sizeof(text), "%zu MiB", size >> 20);
    else if (size >= 1u << 10)
        snprintf(text, sizeof(text), "%zu KiB", size >> 10);
    else
        snprintf(text, sizeof(text), "%zu B", size);
    return text;
}

static void print(struct bench_s *b, uint64_t now)
{
    double ns = (double)(now > b->began ? now - b->began : 1);
    double rate = (double)b->desc.size * (double)b->count * 1e3 / ns;
    double each = ns / (double)b->count / 1e3;
    bool ok = b->json
                  ? bytes_printf(&b->engine.session.out.next,
                                 "{\"engine\":\"%s\",\"size\":%zu,\"transfers\":%llu,"
                                 "\"mb_per_s\":%.1f,\"us_each\":%.2f}\n",
                                 b->engine.info.name, b->desc.size, (unsigned long long)b->count,
                                 rate, each)
                  : bytes_printf(&b->engine.session.out.next, "%8s %12llu %12.1f %14.2f\n",
                                 size_text(b->desc.size), (unsigned long long)b->count, rate, each);

    if (!ok)
        session_end(&b->engine.session, krctl_fail("out of memory"));
    output_flush(&b->engine.session.out);
}

static KROUTINE_EXEC(over)
{
    struct bench_s *b = KROUTINE_CONTAINER(dev_dma_rq_from_kr(kr), struct bench_s, rq);
    struct session_s *s = &b->engine.session;
    uint64_t now;

    if (s->over)
        return;
    if (b->rq.error != 0) {
        session_end(s, krctl_fail("%zu bytes: %s", b->desc.size, engine_error(b->rq.error)));
        return;
    }
    b->count++;
    now = session_now(s);
    if (now < b->until) {
        submit(b);
        return;
    }
    print(b, now);
    if (b->desc.size * STEP <= b->largest)
        begin(b, b->desc.size * STEP);
    else
        session_end(s, engine_has_moved(&b->engine, b->desc.size)
                           ? KRCTL_OK
                           : krctl_fail("the engine says that it is done, and the bytes are not "
                                        "there"));
}

/* Each piece differs from the one before. */
static void fill(struct engine_s *e)
{
    uint8_t piece[SMALLEST];

    for (size_t at = 0; at < e->size; at += sizeof(piece)) {
        for (size_t i = 0; i < sizeof(piece); i++)
            piece[i] = (uint8_t)(i * 7 + at / sizeof(piece));
        dev_dma_write(&e->src, at, piece,
                      e->size - at < sizeof(piece) ? e->size - at : sizeof(piece));
    }
}

static int bench(struct bench_s *b, enum kroutine_backend_e backend, const char *spec)
{
    int status = engine_open(&b->engine, backend, spec, (size_t)b->largest);

    if (status == KRCTL_OK) {
        b->largest = b->engine.size;
        fill(&b->engine);
        if (!b->json)
            bytes_printf(&b->engine.session.out.next, "%8s %12s %12s %14s\n", "size", "transfers",
                         "MB/s", "us each");
        dev_dma_rq_init_sched_switch(&b->rq, over);
        b->desc.src = b->engine.src.base;
        b->desc.dst = b->engine.dst.base;
        b->rq.list = &b->desc;
        b->rq.count = 1;
        b->rq.loops = 1;
        begin(b, SMALLEST);
        status = session_run(&b->engine.session);
    }
    engine_close(&b->engine);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'}, {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},          {"largest", required_argument, NULL, 'l'},
        {"time", required_argument, NULL, 't'},    {0},
    };
    static struct bench_s b = {.span = WHILE, .largest = LARGEST};
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:hjl:t:", options, NULL)) != -1) {
        switch (option) {
        case 'B':
            status = krctl_backend_option(&krctl_dma_bench, &backend);
            break;
        case 'h':
            return krctl_help(&krctl_dma_bench);
        case 'j':
            b.json = true;
            break;
        case 'l':
            status = krctl_size_option(&krctl_dma_bench, "largest", &b.largest);
            if (status == KRCTL_OK && (b.largest < SMALLEST || b.largest > UINT32_MAX))
                status = krctl_usage(&krctl_dma_bench, "--largest is 64 to 4294967295");
            break;
        case 't':
            status = krctl_time_option(&krctl_dma_bench, "time", &b.span);
            break;
        default:
            status = krctl_usage(&krctl_dma_bench, NULL);
        }
        if (status != KRCTL_OK)
            return status;
    }
    const char *spec = optind < argc ? argv[optind++] : "dma0";

    if (optind < argc)
        return krctl_usage(&krctl_dma_bench, "'%s' is one word too many", argv[optind]);
    return bench(&b, backend, spec);
}

const struct krctl_command_s krctl_dma_bench = {
    .name = "dma bench",
    .summary = "how fast an engine is, by size",
    .help = "usage: krctl dma bench [SPEC] [OPTION]...\n"
            "\n"
            "Moves memory to memory, in transfers of 64 bytes, 512 bytes and so on, each the\n"
            "next one's submitter, and prints how many there were, MB/s, and microseconds for\n"
            "one. MB are 1000000 bytes. Without SPEC: dma0, which is software. Memory that is\n"
            "reserved for an engine may be too small for the large ones.\n"
            "\n"
            "  -t, --time TIME     of each size (default 200ms)\n"
            "  -l, --largest SIZE  the sizes go up to that (default 64 MiB)\n"
            "  -j, --json          a line of JSON for each size\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};
