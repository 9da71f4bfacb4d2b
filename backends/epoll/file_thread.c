/* SPDX-License-Identifier: MIT */
#include "file_thread.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "atomic.h"
#include "platform.h"

/* kr_io_s.slot */
enum kr_io_state_e { KR_IO_IDLE = 0, KR_IO_QUEUED = 1, KR_IO_RUNNING = 2, KR_IO_FINISHED = 3 };

#define STACK_SIZE (128 * 1024)

static void append(struct kr_io_s ***end, struct kr_io_s *io)
{
    io->next = NULL;
    **end = io;
    *end = &io->next;
}

static void take(struct kr_io_s **head, struct kr_io_s ***end, struct kr_io_s *io)
{
    struct kr_io_s **at = head;

    while (*at != io)
        at = &(*at)->next;
    *at = io->next;
    if (!*at)
        *end = at;
    io->next = NULL;
}

static ssize_t run(const struct kr_io_s *io)
{
    ssize_t n;

    do {
        switch (io->op) {
        case KR_IO_READ:
            n = readv(io->fd, io->iov, io->iov_count);
            break;
        case KR_IO_WRITE:
            n = writev(io->fd, io->iov, io->iov_count);
            break;
        default:
            n = fdatasync(io->fd);
        }
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Locked. */
static void finish(struct kr_file_thread_s *t, struct kr_io_s *io)
{
    io->slot = KR_IO_FINISHED;
    append(&t->finished_end, io);
    kr_store(&t->any_finished, 1);
}

static void *file_thread(void *arg)
{
    struct kr_file_thread_s *t = arg;

    kr_platform_thread_name(t->name);
    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct kr_io_s *io = t->queue;

        if (!io) {
            if (t->stopping)
                break;
            pthread_cond_wait(&t->work, &t->lock);
            continue;
        }
        take(&t->queue, &t->queue_end, io);
        io->slot = KR_IO_RUNNING;
        pthread_mutex_unlock(&t->lock);
        io->result = run(io);
        pthread_mutex_lock(&t->lock);
        finish(t, io);
        pthread_cond_signal(&t->over);
        pthread_mutex_unlock(&t->lock);
        kr_platform_event_signal(t->event);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* With every signal blocked: they are for the program's own threads. */
static error_t start(struct kr_file_thread_s *t)
{
    pthread_attr_t attr;
    sigset_t all, old;
    size_t stack = STACK_SIZE < PTHREAD_STACK_MIN ? PTHREAD_STACK_MIN : STACK_SIZE;
    int error = pthread_attr_init(&attr);

    if (error)
        return -error;
    pthread_attr_setstacksize(&attr, stack);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&t->thread, &attr, file_thread, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return -error;
}

void kr_file_thread_submit(struct kr_file_thread_s *t, struct kr_io_s *io)
{
    /* Only the reactor comes here, so that nobody else starts it meanwhile. */
    error_t error = t->started ? 0 : start(t);

    pthread_mutex_lock(&t->lock);
    if (error) {
        io->result = error;
        finish(t, io);
    } else {
        t->started = true;
        t->process = getpid();
        io->slot = KR_IO_QUEUED;
        append(&t->queue_end, io);
        pthread_cond_signal(&t->work);
    }
    pthread_mutex_unlock(&t->lock);
    if (error) /* `done` is never called from inside a submit */
        kr_platform_event_signal(t->event);
}

void kr_file_thread_reap(struct kr_file_thread_s *t, struct kr_io_s *io)
{
    bool done = false;

    pthread_mutex_lock(&t->lock);
    if (io->slot == KR_IO_QUEUED) {
        take(&t->queue, &t->queue_end, io);
        io->result = -ECANCELED;
        io->slot = KR_IO_IDLE;
        done = true;
    }
    while (io->slot == KR_IO_RUNNING)
        pthread_cond_wait(&t->over, &t->lock);
    if (io->slot == KR_IO_FINISHED) {
        take(&t->finished, &t->finished_end, io);
        io->slot = KR_IO_IDLE;
        done = true;
    }
    pthread_mutex_unlock(&t->lock);
    if (done)
        io->done(io);
}

int kr_file_thread_complete(struct kr_file_thread_s *t)
{
    int count = 0;

    if (!kr_load(&t->any_finished))
        return 0;
    pthread_mutex_lock(&t->lock);
    struct kr_io_s *last =
        t->finished ? KROUTINE_CONTAINER(t->finished_end, struct kr_io_s, next) : NULL;

    kr_store(&t->any_finished, 0);
    /* One at a time: a handler may reap another one that is finished too. What is finished
       meanwhile waits for the next call, or this one might never end. */
    while (t->finished) {
        struct kr_io_s *io = t->finished;

        take(&t->finished, &t->finished_end, io);
        io->slot = KR_IO_IDLE;
        pthread_mutex_unlock(&t->lock);
        bool end = io == last;
        io->done(io);
        count++;
        pthread_mutex_lock(&t->lock);
        if (end)
            break;
    }
    if (t->finished)
        kr_store(&t->any_finished, 1);
    pthread_mutex_unlock(&t->lock);
    return count;
}

void kr_file_thread_init(struct kr_file_thread_s *t, int event, const char *name)
{
    *t = (struct kr_file_thread_s){.event = event};
    for (size_t i = 0; i < sizeof(t->name) - 1 && name[i]; i++)
        t->name[i] = name[i];
    t->queue_end = &t->queue;
    t->finished_end = &t->finished;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->over, NULL);
}

void kr_file_thread_destroy(struct kr_file_thread_s *t)
{
    if (t->started && t->process != getpid())
        return;
    if (t->started) {
        pthread_mutex_lock(&t->lock);
        t->stopping = true;
        pthread_cond_signal(&t->work);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    pthread_cond_destroy(&t->over);
    pthread_cond_destroy(&t->work);
    pthread_mutex_destroy(&t->lock);
}
