/* SPDX-License-Identifier: MIT */
/* krctl dma: engines that move memory. The commands are in dma_*.c. */
#include "dma.h"

#include <errno.h>
#include <string.h>

#define SMALLEST 4096u

static error_t allocate(struct engine_s *e, size_t size)
{
    error_t err = dev_dma_alloc(&e->dev, &e->src, size, DEV_DMA_MEM_READ);

    if (err != 0)
        return err;
    err = dev_dma_alloc(&e->dev, &e->dst, size, DEV_DMA_MEM_WRITE);
    if (err != 0)
        dev_dma_unmap(&e->src);
    return err;
}

int engine_open(struct engine_s *e, enum kroutine_backend_e backend, const char *spec, size_t size)
{
    struct session_s *s = &e->session;
    error_t err;
    int status;

    s->workers = 2;
    status = session_open(s, backend);
    if (status != KRCTL_OK)
        return status;
    err = device_get_accessor_by_path(&e->dev.base, kroutine_runtime_devices(s->runtime), spec,
                                      DRIVER_CLASS_DMA);
    if (err != 0)
        return krctl_fail("%s", krctl_error(err));
    err = DEVICE_OP(&e->dev, info, &e->info);
    if (err != 0)
        return krctl_fail("%s: %s", spec, engine_error(err));
    do {
        err = allocate(e, size);
        e->size = size;
        size /= 2;
    } while (err == -ENOMEM && size >= SMALLEST);
    return err == 0 ? KRCTL_OK : krctl_fail("%s", krctl_error(err));
}

bool engine_has_moved(const struct engine_s *e, size_t size)
{
    uint8_t src[4096], dst[4096];

    for (size_t at = 0; at < size; at += sizeof(src)) {
        size_t part = size - at < sizeof(src) ? size - at : sizeof(src);

        if (dev_dma_read(&e->src, at, src, part) != 0 ||
            dev_dma_read(&e->dst, at, dst, part) != 0 || memcmp(src, dst, part) != 0)
            return false;
    }
    return true;
}

void engine_close(struct engine_s *e)
{
    if (e->session.runtime == NULL)
        return;
    device_put_accessor(&e->dev.base);
    session_close(&e->session);
    if (e->src.base != NULL)
        dev_dma_unmap(&e->src);
    if (e->dst.base != NULL)
        dev_dma_unmap(&e->dst);
}

const char *engine_error(error_t err)
{
    return err == -ENODEV      ? "the engine is gone"
           : err == -ETIMEDOUT ? "the engine does not end the transfer"
           : err == -EINVAL    ? "the engine cannot move memory of this alignment"
           : err == -E2BIG     ? "more than the engine moves at once"
                               : strerror(-err);
}

static const struct krctl_command_s *const members[] = {
    &krctl_dma_copy,
    &krctl_dma_bench,
    NULL,
};

const struct krctl_command_s krctl_dma = {
    .name = "dma",
    .summary = "copies, and measures, with an engine that moves memory",
    .help = "usage: krctl dma copy FROM TO [OPTION]...\n"
            "       krctl dma bench [SPEC] [OPTION]...\n"
            "       krctl dma COMMAND --help\n"
            "\n"
            "  copy     copies a file, through the memory of an engine\n"
            "  bench    how fast an engine is, by size\n"
            "\n"
            "SPEC is a spec such as sim-dma:x?rate=50M, or a device of the tree; dma0, which\n"
            "moves memory in software, when there is none. krctl drivers has the keys.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 128 and its number\n"
            "after a signal\n",
    .members = members,
};
