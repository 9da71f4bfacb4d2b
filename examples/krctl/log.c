/* SPDX-License-Identifier: MIT */
/*
 * The log of the demo: a sequence makes records in the order of the lines, and writes them through
 * the char class. The completion of a write is a kroutine of the same sequence, so nothing here
 * needs a lock: records fill one buffer while the other one is on its way to the file.
 */
#include "demo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Writes what has come together, unless a write is under way: its end comes here again. */
static void push(struct demo_s *demo)
{
    struct log_s *log = &demo->log;

    if (log->writing)
        return;
    if (log->used == 0 || log->error != 0) {
        if (log->finishing)
            kroutine_exec(&demo->logged);
        return;
    }
    log->writing = true;
    log->rq.type = DEV_CHAR_WRITE;
    log->rq.data = (uint8_t *)log->buffer[log->filling];
    log->rq.size = log->used;
    log->filling ^= 1;
    log->used = 0;
    DEVICE_OP(&log->device, request, &log->rq);
}

static KROUTINE_EXEC(log_written)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);
    struct demo_s *demo = rq->pvdata;
    struct log_s *log = &demo->log;

    (void)flags;
    demo_count_request(demo, KROUTINE_SEQ_DEFERRED);
    log->writing = false;
    log->writes++;
    log->bytes += (uint64_t)(rq->data - (uint8_t *)log->buffer[log->filling ^ 1]);
    if (rq->error != 0)
        log->error = rq->error;
    push(demo);
}

static size_t format(char *text, size_t size, const struct job_s *job)
{
    uint64_t time = job->time - job->demo->start;
    int len =
        snprintf(text, size, "%4" PRIu64 ".%06u %-15s %s\n", time / 1000000000u,
                 (unsigned)(time % 1000000000u / 1000), nmea_status_text(job->status), job->text);

    /* What came over the line is not always text. */
    for (int i = 0; i < len - 1; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            text[i] = '.';
    return (size_t)len;
}

KROUTINE_EXEC(log_record)
{
    struct job_s *job = KROUTINE_CONTAINER(kr, struct job_s, record);
    struct demo_s *demo = job->demo;
    struct log_s *log = &demo->log;
    char text[128 + NMEA_TEXT_MAX];
    size_t len = format(text, sizeof(text), job);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_SEQ_DEFERRED);
    reader_release(job);
    if (log->used + len > LOG_BUFFER) {
        log->dropped++;
        return;
    }
    memcpy(log->buffer[log->filling] + log->used, text, len);
    log->used += len;
    log->records++;
    push(demo);
}

static KROUTINE_EXEC(log_last)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, log.finish);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_SEQ_DEFERRED);
    demo->log.finishing = true;
    push(demo);
}

error_t log_open(struct demo_s *demo, const char *path)
{
    struct log_s *log = &demo->log;
    char spec[4200];

    dev_char_rq_init_seq(&log->rq, log_written, &log->seq);
    log->rq.pvdata = demo;
    kroutine_init_deferred_seq(&log->finish, log_last, &log->seq);
    kroutine_bind(&log->finish, demo->runtime);
    if (!demo_spec(spec, sizeof(spec) - 64, "file", path))
        return -ENAMETOOLONG;
    strcat(spec, "?mode=w&create=yes&truncate=yes");
    return device_get_accessor_by_path(&log->device.base, kroutine_runtime_devices(demo->runtime),
                                       spec, DRIVER_CLASS_CHAR);
}

void log_finish(struct demo_s *demo)
{
    kroutine_exec(&demo->log.finish);
}
