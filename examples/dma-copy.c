/* SPDX-License-Identifier: MIT */
/*
 * dma-copy [-m MEGABYTES] [SPEC]: lets an engine copy memory, and shows how far it has got.
 *
 * Steps: 1. open an engine: dma0, which every runtime has, or what SPEC says; 2. take memory that
 * it may touch; 3. submit one request; 4. look at its progress, ten times a second, while it is
 * under way; 5. compare, and give the memory back. Compile: gcc -D_GNU_SOURCE dma-copy.c -o
 * dma-copy $(pkg-config --cflags --libs libkroutine)
 */
#include <kroutine.h>

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct device_dma_s dma = DEVICE_ACCESSOR_INIT;
static struct dev_dma_mem_s from, to;
static sem_t over;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The only thing to do in this handler is to wake main: IMMEDIATE is right for that. */
static KROUTINE_EXEC(copied)
{
    sem_post(&over);
}

static void show(uint64_t done, size_t size, double seconds)
{
    int bar = (int)(done * 40 / size);

    printf("\r[%.*s%*s] %3d %% %8.1f MB/s", bar, "########################################",
           40 - bar, "", (int)(done * 100 / size), (double)done / 1e6 / seconds);
    fflush(stdout);
}

static error_t copy(size_t size)
{
    struct dev_dma_desc_s piece = {.src = from.base, .dst = to.base, .size = size};
    struct dev_dma_rq_s rq = {.loops = 1};
    bool terminal = isatty(STDOUT_FILENO), ended = false;
    double begin = now();
    error_t err;

    dev_dma_rq_init_immediate(&rq, copied);
    rq.list = &piece;
    rq.count = 1;
    err = DEVICE_OP(&dma, request, &rq);
    if (err) /* refused: the handler will not run */
        return err;
    while (!ended) {
        struct timespec limit;

        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += 100000000;
        limit.tv_sec += limit.tv_nsec / 1000000000;
        limit.tv_nsec %= 1000000000;
        ended = sem_timedwait(&over, &limit) == 0;
        if (terminal || ended)
            show(dev_dma_progress(&rq), size, now() - begin);
    }
    putchar('\n');
    return rq.error;
}

static int fail(const char *what, error_t err)
{
    const char *text = kroutine_error_text();

    fprintf(stderr, "dma-copy: %s: %s\n", what, *text ? text : strerror(-err));
    return 1;
}

int main(int argc, char **argv)
{
    size_t size = 256;
    const char *spec;
    error_t err;
    int option;

    while ((option = getopt(argc, argv, "m:")) == 'm')
        size = strtoul(optarg, NULL, 10);
    if (option != -1 || argc - optind > 1 || size == 0 || size > SIZE_MAX / 1000000) {
        fprintf(stderr, "usage: dma-copy [-m MEGABYTES] [SPEC]\n");
        return 2;
    }
    size *= 1000000;
    spec = optind < argc ? argv[optind] : "dma0";

    err = device_get_accessor_by_path(&dma.base, NULL, spec, DRIVER_CLASS_DMA);
    if (err)
        return fail(spec, err);
    err = dev_dma_alloc(&dma, &from, size, DEV_DMA_MEM_READ);
    if (!err)
        err = dev_dma_alloc(&dma, &to, size, DEV_DMA_MEM_WRITE);
    if (err)
        return fail("memory", err);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)from.base)[i] = (uint8_t)(i * 7);

    sem_init(&over, 0, 0);
    err = copy(size);
    if (err)
        return fail("copy", err);
    if (memcmp(from.base, to.base, size) != 0)
        return fail("the engine says that it is done, and the bytes are not there", -EIO);
    dev_dma_unmap(&from);
    dev_dma_unmap(&to);
    device_put_accessor(&dma.base);
    return 0;
}
