/* SPDX-License-Identifier: MIT */
/*
 * krctl dma copy: a file is read into memory of the engine, moved there, and written from where it
 * has arrived. What arrives is compared with what was read before it is written.
 */
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK    (4u << 20)
#define STALLED  KROUTINE_SEC(60) /* of one chunk */
#define INTERVAL KROUTINE_MSEC(100)

struct copier_s {
    struct engine_s engine;
    struct dev_dma_rq_s rq;
    struct dev_dma_desc_s desc;
    uint8_t *data; /* what was read */
    uint8_t *back; /* what has arrived */
    const char *from;
    const char *to;
    int in;
    int out;
    uint64_t size;    /* of the file, for the progress */
    uint64_t done;    /* bytes */
    uint64_t engaged; /* ns that the engine was at it */
    uint64_t began;   /* now, of the chunk */
    uint64_t shown;   /* when the progress was */
    bool progress;
    bool quiet;
};

static void show(struct copier_s *c, uint64_t now)
{
    unsigned tenths = c->size ? (unsigned)(c->done * 1000 / c->size) : 1000;
    unsigned bar = tenths / 25 < 40 ? tenths / 25 : 40;

    if (!c->progress || (c->done < c->size && now < c->shown + INTERVAL))
        return;
    c->shown = now;
    fprintf(stderr, "\r[%.*s%*s] %5.1f %%  %8.1f MB/s", (int)bar,
            "########################################", (int)(40 - bar), "", tenths / 10.0,
            c->engaged ? (double)c->done * 1e3 / (double)c->engaged : 0.0);
}

static void fail(struct copier_s *c, const char *what, const char *name, const char *why)
{
    if (c->progress)
        fputc('\n', stderr);
    session_end(&c->engine.session, krctl_fail("cannot %s %s: %s", what, name, why));
}

/* Fills `data` as far as the file goes. -1: said. */
static ssize_t read_chunk(struct copier_s *c, uint8_t *data)
{
    size_t have = 0;

    while (have < c->engine.size) {
        ssize_t n = read(c->in, data + have, c->engine.size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(c, "read", c->from, strerror(errno));
            return -1;
        }
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static bool write_chunk(struct copier_s *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(c->out, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(c, "write", c->to, strerror(errno));
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static void next_chunk(struct copier_s *c)
{
    ssize_t size = read_chunk(c, c->data);
    error_t err;

    if (size < 0)
        return;
    if (size == 0) {
        session_end(&c->engine.session, KRCTL_OK);
        return;
    }
    dev_dma_write(&c->engine.src, 0, c->data, (size_t)size);
    /* An engine that moves words moves what follows the end as well: it is not written. */
    size_t rest = (size_t)size % c->engine.info.align;

    c->desc.src = c->engine.src.base;
    c->desc.dst = c->engine.dst.base;
    c->desc.size = (size_t)size + (rest ? c->engine.info.align - rest : 0);
    c->rq.pvuint = (uintptr_t)size;
    c->began = session_now(&c->engine.session);
    err = DEVICE_OP(&c->engine.dev, request, &c->rq);
    if (err != 0)
        fail(c, "copy", c->from, engine_error(err));
}

static KROUTINE_EXEC(moved)
{
    struct copier_s *c = KROUTINE_CONTAINER(dev_dma_rq_from_kr(kr), struct copier_s, rq);
    size_t size = (size_t)c->rq.pvuint;
    uint64_t now;

    if (c->engine.session.over)
        return;
    now = session_now(&c->engine.session);
    c->engaged += now - c->began;
    if (c->rq.error != 0)
        fail(c, "copy", c->from, engine_error(c->rq.error));
    else if (dev_dma_read(&c->engine.dst, 0, c->back, size) != 0 ||
             memcmp(c->data, c->back, size) != 0)
        fail(c, "copy", c->from, "the engine says that it is done, and the bytes are not there");
    else if (write_chunk(c, c->back, size)) {
        c->done += size;
        show(c, now);
        next_chunk(c);
    }
}

/* --- files --- */

static int open_files(struct copier_s *c)
{
    struct stat from, to;

    c->in = open(c->from, O_RDONLY | O_CLOEXEC);
    if (c->in < 0 || fstat(c->in, &from) != 0)
        return krctl_fail("cannot open %s: %s", c->from, strerror(errno));
    if (!S_ISREG(from.st_mode))
        return krctl_fail("%s is not a file", c->from);
    if (stat(c->to, &to) == 0 && to.st_dev == from.st_dev && to.st_ino == from.st_ino)
        return krctl_fail("%s and %s are the same file", c->from, c->to);
    c->out = open(c->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, from.st_mode & 0777);
    if (c->out < 0)
        return krctl_fail("cannot open %s: %s", c->to, strerror(errno));
    c->size = (uint64_t)from.st_size;
    return KRCTL_OK;
}

static int copy(struct copier_s *c, enum kroutine_backend_e backend, const char *spec)
{
    int status = engine_open(&c->engine, backend, spec, CHUNK);

    if (status == KRCTL_OK) {
        c->data = malloc(c->engine.size);
        c->back = malloc(c->engine.size);
        status = c->data != NULL && c->back != NULL ? open_files(c) : krctl_fail("out of memory");
    }
    if (status == KRCTL_OK) {
        dev_dma_rq_init_sched_switch(&c->rq, moved);
        dev_request_set_timeout(&c->rq.base, STALLED);
        c->rq.list = &c->desc;
        c->rq.count = 1;
        c->rq.loops = 1;
        c->progress = !c->quiet && isatty(STDERR_FILENO);
        next_chunk(c);
        status = session_run(&c->engine.session);
    }
    engine_close(&c->engine);
    free(c->data);
    free(c->back);
    if (c->out >= 0 && close(c->out) != 0 && status == KRCTL_OK)
        status = krctl_fail("cannot write %s: %s", c->to, strerror(errno));
    if (c->in >= 0)
        close(c->in);
    if (status != KRCTL_OK)
        return status;
    if (c->progress)
        fputc('\n', stderr);
    if (!c->quiet)
        printf("%llu bytes, engine %s: %.1f MB/s\n", (unsigned long long)c->done,
               c->engine.info.name, c->engaged ? (double)c->done * 1e3 / (double)c->engaged : 0.0);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"engine", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {"quiet", no_argument, NULL, 'q'},
        {0},
    };
    static struct copier_s c = {.in = -1, .out = -1};
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    const char *spec = "dma0";
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:e:hq", options, NULL)) != -1) {
        switch (option) {
        case 'B':
            status = krctl_backend_option(&krctl_dma_copy, &backend);
            break;
        case 'e':
            spec = optarg;
            break;
        case 'h':
            return krctl_help(&krctl_dma_copy);
        case 'q':
            c.quiet = true;
            break;
        default:
            status = krctl_usage(&krctl_dma_copy, NULL);
        }
        if (status != KRCTL_OK)
            return status;
    }
    c.from = krctl_operand(&krctl_dma_copy, argc, argv, "FROM", &status);
    if (c.from != NULL)
        c.to = krctl_operand(&krctl_dma_copy, argc, argv, "TO", &status);
    if (c.to == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_dma_copy, "'%s' is one word too many", argv[optind]);
    return copy(&c, backend, spec);
}

const struct krctl_command_s krctl_dma_copy = {
    .name = "dma copy",
    .summary = "copies a file, through the memory of an engine",
    .help = "usage: krctl dma copy FROM TO [OPTION]...\n"
            "\n"
            "Reads the file FROM into memory of an engine, lets it move that, and writes what\n"
            "has arrived to the file TO, 4 MiB at a time at most. Each piece is compared\n"
            "before it is written. Prints the rate of the engine, without the files; a\n"
            "progress bar when standard error is a terminal. Ctrl-C ends it, and leaves TO\n"
            "incomplete.\n"
            "\n"
            "  -e, --engine SPEC   the engine (default dma0, which is software)\n"
            "  -q, --quiet         print nothing but errors\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};
