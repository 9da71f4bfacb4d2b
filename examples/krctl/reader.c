/* SPDX-License-Identifier: MIT */
/*
 * The serial reader of the demo: one char request that goes round.
 *
 * The char class may complete a request inside its submit, so the handler that submits again must
 * not be IMMEDIATE. SCHED_SWITCH keeps it on the reactor, where the bytes are, in order, and lets
 * the stack unwind in between.
 */
#include "demo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct reader_type_s *type_of(struct reader_s *reader, const char *line)
{
    char name[NMEA_TYPE_MAX + 1];
    struct reader_type_s *type = reader->types;

    nmea_type(line, name);
    /* The last entry is for all that is left over when a stream invents types. */
    for (; type < &reader->types[READER_TYPES - 1]; type++)
        if (type->name[0] == '\0' || strcmp(type->name, name) == 0)
            break;
    strcpy(type->name, type == &reader->types[READER_TYPES - 1] ? "other" : name);
    return type;
}

static void count_line(struct reader_s *reader)
{
    reader->count[reader->ended]++;
    if (reader->ended == NMEA_GOOD)
        type_of(reader, reader->lines.text)->good++;
    else if (nmea_is_bad(reader->ended))
        type_of(reader, reader->lines.text)->bad++;
}

/* The next job, or NULL: then resume is executed when one is free. */
static struct job_s *take_job(struct reader_s *reader)
{
    struct job_s *job = &reader->jobs[reader->next_job % READER_JOBS];

    if (atomic_load(&job->users) != 0) {
        reader->waits++;
        atomic_store(&reader->starved, true);
        /* It may have been released in between: who takes the flag back goes on. */
        if (atomic_load(&job->users) != 0 || !atomic_exchange(&reader->starved, false))
            return NULL;
    }
    reader->next_job++;
    return job;
}

void reader_release(struct job_s *job)
{
    struct demo_s *demo = job->demo;
    struct reader_s *reader = &demo->reader;

    if (atomic_fetch_sub(&job->users, 1) != 1)
        return;
    if (atomic_exchange(&reader->starved, false))
        kroutine_exec(&reader->resume);
    if (atomic_fetch_sub(&reader->active, 1) == 1)
        kroutine_exec(&demo->idle);
}

/* Hands the line that has ended to a job; false: none is free. */
static bool start_job(struct demo_s *demo)
{
    struct reader_s *reader = &demo->reader;
    struct job_s *job = take_job(reader);
    bool good = reader->ended == NMEA_GOOD;

    if (job == NULL)
        return false;
    count_line(reader);
    job->demo = demo;
    job->status = reader->ended;
    job->time = demo_now(demo);
    strcpy(job->text, reader->lines.text);
    job->previous[0] = '\0';
    if (good && strncmp(job->text + 3, "GGA", 3) == 0) {
        strcpy(job->previous, reader->previous);
        strcpy(reader->previous, job->text);
    }

    atomic_store(&job->users, good ? 2 : 1);
    atomic_fetch_add(&reader->active, 1);
    kroutine_init_deferred_seq(&job->record, log_record, &demo->log.seq);
    kroutine_bind(&job->record, demo->runtime);
    kroutine_exec(&job->record);
    if (good) {
        kroutine_init_deferred(&job->work, work_run);
        kroutine_bind(&job->work, demo->runtime);
        kroutine_exec(&job->work);
    }
    return true;
}

/* Takes the bytes of the buffer apart; false: waits for a job. */
static bool digest(struct demo_s *demo)
{
    struct reader_s *reader = &demo->reader;

    for (;;) {
        if (reader->ended != NMEA_MORE && !start_job(demo))
            return false;
        reader->ended = NMEA_MORE;
        if (reader->taken == reader->filled)
            break;

        size_t used;
        reader->ended = nmea_feed(&reader->lines, reader->buffer + reader->taken,
                                  reader->filled - reader->taken, &used);
        reader->taken += used;
    }

    uint64_t bytes = atomic_fetch_add(&reader->bytes, reader->filled) + reader->filled;
    uint64_t target = atomic_load(&reader->target);
    if (target != 0 && bytes >= target)
        kroutine_exec(&demo->caught_up);
    return true;
}

static void submit(struct demo_s *demo)
{
    struct reader_s *reader = &demo->reader;

    if (atomic_load(&reader->stopping))
        return;
    reader->filled = reader->taken = 0;
    reader->rq.type = DEV_CHAR_READ_PARTIAL;
    reader->rq.data = reader->buffer;
    reader->rq.size = sizeof(reader->buffer);
    DEVICE_OP(&reader->device, request, &reader->rq);
}

static KROUTINE_EXEC(reader_read)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);
    struct demo_s *demo = rq->pvdata;
    struct reader_s *reader = &demo->reader;

    (void)flags;
    demo_count_request(demo, KROUTINE_SCHED_SWITCH);
    reader->filled = (size_t)(rq->data - reader->buffer);
    switch (rq->error) {
    case 0:
        break;
    case -EPIPE: /* bytes were lost: the checksum finds the line that misses them */
        reader->overruns++;
        break;
    case -EBADMSG:
        reader->line_errors++;
        break;
    default:
        reader->error = rq->error;
        kroutine_exec(&demo->broken);
        break;
    }
    if (digest(demo) && reader->error == 0)
        submit(demo);
}

static KROUTINE_EXEC(reader_resume)
{
    struct demo_s *demo = KROUTINE_CONTAINER(kr, struct demo_s, reader.resume);

    (void)flags;
    demo_count_kroutine(demo, KROUTINE_SCHED_SWITCH);
    if (!atomic_load(&demo->reader.stopping) && digest(demo) && demo->reader.error == 0)
        submit(demo);
}

error_t reader_open(struct demo_s *demo, const char *path, unsigned baud)
{
    struct reader_s *reader = &demo->reader;
    char spec[4200];
    size_t len;

    if (!demo_spec(spec, sizeof(spec) - 32, "tty", path))
        return -ENAMETOOLONG;
    len = strlen(spec);
    snprintf(spec + len, sizeof(spec) - len, "?baud=%u", baud);

    nmea_init(&reader->lines);
    kroutine_init_sched_switch(&reader->resume, reader_resume);
    kroutine_bind(&reader->resume, demo->runtime);
    atomic_store(&reader->active, 1);
    return device_get_accessor_by_path(
        &reader->device.base, kroutine_runtime_devices(demo->runtime), spec, DRIVER_CLASS_CHAR);
}

void reader_start(struct demo_s *demo)
{
    dev_char_rq_init_sched_switch(&demo->reader.rq, reader_read);
    demo->reader.rq.pvdata = demo;
    submit(demo);
}

void reader_expect(struct demo_s *demo, uint64_t bytes)
{
    atomic_store(&demo->reader.target, bytes);
    if (atomic_load(&demo->reader.bytes) >= bytes)
        kroutine_exec(&demo->caught_up);
}

void reader_stop(struct demo_s *demo)
{
    struct reader_s *reader = &demo->reader;

    /* First the flag, or the handler that cancel_wait waits for would submit again. */
    atomic_store(&reader->stopping, true);
    dev_request_cancel_wait(&reader->device.base, &reader->rq.base);
    kroutine_cancel(&reader->resume);
    if (atomic_fetch_sub(&reader->active, 1) == 1)
        kroutine_exec(&demo->idle);
}
