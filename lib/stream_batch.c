/* SPDX-License-Identifier: MIT */
/*
 * Reads on the reactor: those that a batch of events has made possible are done together, in one
 * system call, and those that would probably find nothing are put off.
 *
 * A read that got something leaves a doubt: there may be more, or nothing, and no event
 * will tell of what is there already. In a program that answers what it reads it is mostly nothing;
 * the next bytes come after the answer, with an event. So the next read that is submitted on the
 * reactor does not ask the kernel at once. It is tried when an event comes, or else two passes
 * later, together with others, before the reactor sleeps. That saves one call in three of a
 * conversation.
 */
#include "stream_internal.h"

#define PASSES_PUT_OFF 2 /* one for the other end to read what we wrote, one for its answer */

void kr_stream_make_runnable(struct kr_stream_s *s)
{
    if (s->runnable)
        return;
    s->runnable = true;
    kr_stream_hold(s);
    s->runnable_next = s->rt->runnable;
    s->rt->runnable = s;
}

/* --- doubts --- */

static void put_off(struct kr_stream_s *s)
{
    struct kroutine_runtime_s *rt = s->rt;

    if (s->is_put_off)
        return;
    s->is_put_off = true;
    s->put_off_until = rt->batches + PASSES_PUT_OFF;
    s->put_off_next = NULL;
    kr_stream_hold(s);
    *(rt->put_off ? &rt->put_off_last->put_off_next : &rt->put_off) = s;
    rt->put_off_last = s;
}

bool kr_stream_try_now(struct kr_dir_s *d, const struct dev_char_rq_s *rq)
{
    struct kr_stream_s *s = d->stream;
    const struct kr_loop_ops_s *ops = s->rt->backend->loop;
    bool waits = rq->type == DEV_CHAR_READ || rq->type == DEV_CHAR_READ_PARTIAL ||
                 rq->type == DEV_CHAR_READ_TIMED;

    if (d->ready && !d->maybe)
        return true;
    if (!waits || !d->armed || s->fd < 0 || kr_self.reactor != s->rt || !ops->quiet)
        return true;
    if (d->ready || !ops->quiet(s->rt->loop))
        put_off(s);
    return false;
}

/* Those whose time has come are tried, if no event was faster. */
static void end_doubts(struct kroutine_runtime_s *rt)
{
    while (rt->put_off && rt->put_off->put_off_until <= rt->batches) {
        struct kr_stream_s *s = rt->put_off;
        struct kr_dir_s *d = &s->dir[KR_DIR_READ];

        rt->put_off = s->put_off_next;
        s->is_put_off = false;
        pthread_mutex_lock(&d->lock);
        if (!d->ready && d->queue.head && !d->pumping)
            kr_stream_make_runnable(s);
        d->ready = true;
        pthread_mutex_unlock(&d->lock);
        kr_stream_put(s);
    }
}

/* --- batches --- */

struct batch_s {
    struct kr_dir_s *dir[KR_BATCH_MAX];
    struct kr_read_s read[KR_BATCH_MAX];
    int count;
    struct kr_dir_s *other[KR_BATCH_MAX]; /* what is next there is not a plain read */
    int others;
};

static void collect(struct kroutine_runtime_s *rt, struct batch_s *b)
{
    while (rt->runnable && b->count + b->others < KR_BATCH_MAX) {
        struct kr_stream_s *s = rt->runnable;
        struct kr_dir_s *d = &s->dir[KR_DIR_READ];

        rt->runnable = s->runnable_next;
        s->runnable = false;
        pthread_mutex_lock(&d->lock);
        if (kr_stream_seize(d)) {
            if (kr_stream_begin_read(d)) {
                b->dir[b->count] = d;
                b->read[b->count].fd = s->fd;
                b->read[b->count].iov = d->iov;
                b->read[b->count].iov_count = (int)d->active;
                b->count++;
            } else {
                b->other[b->others++] = d;
            }
        }
        pthread_mutex_unlock(&d->lock);
        kr_stream_put(s);
    }
}

static void read_all(struct kroutine_runtime_s *rt, struct batch_s *b)
{
    const struct kr_loop_ops_s *ops = rt->backend->loop;
    bool together = b->count > 1 && ops->read_batch;

    if (together)
        ops->read_batch(rt->loop, b->read, b->count);
    for (int i = 0; i < b->count; i++) {
        struct kr_dir_s *d = b->dir[i];
        struct kr_stream_s *s = d->stream;
        ssize_t n = b->read[i].result;

        if (!together)
            n = s->ops->readv(s, d->iov, b->read[i].iov_count);
        else if (s->ops->read_result)
            n = s->ops->read_result(s, n);
        pthread_mutex_lock(&d->lock);
        kr_stream_end_io(d, n, &d->ended);
        pthread_mutex_unlock(&d->lock);
    }
}

/* No handler runs before all reads are accounted for: it may close any of these streams, and this
   thread pumps them all. */
void kr_stream_run_batch(struct kroutine_runtime_s *rt)
{
    end_doubts(rt);
    while (rt->runnable) {
        struct batch_s b = {.count = 0};

        collect(rt, &b);
        read_all(rt, &b);
        for (int i = 0; i < b.count; i++) {
            kr_stream_execute(b.dir[i]);
            kr_stream_serve(b.dir[i]);
        }
        for (int i = 0; i < b.others; i++)
            kr_stream_serve(b.other[i]);
    }
}
