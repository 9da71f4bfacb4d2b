/* SPDX-License-Identifier: MIT */
/* Queues: a run queue that the program serves, with a condition and a descriptor to wait on. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

error_t kroutine_queue_init(struct kroutine_queue_s *queue)
{
    pthread_condattr_t attr;
    error_t err = kr_runq_init(&queue->runq);

    if (err)
        return err;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    err = -pthread_cond_init(&queue->cond, &attr);
    pthread_condattr_destroy(&attr);
    if (err) {
        kr_runq_destroy(&queue->runq);
        return err;
    }
    queue->waiters = 0;
    queue->execs = 0;
    queue->fd = -1;
    return 0;
}

error_t kroutine_queue_cleanup(struct kroutine_queue_s *queue)
{
    static const struct timespec moment = {.tv_nsec = 20000};

    if (!kr_runq_is_empty(&queue->runq) || kr_load(&queue->waiters)) {
        KR_CHECK(kr_check_in_use("queue", queue, kr_runq_newest(&queue->runq)));
        return -EBUSY;
    }
    while (kr_load(&queue->execs)) /* by the thread that executed what has just run */
        nanosleep(&moment, NULL);
    if (queue->fd >= 0)
        close(queue->fd);
    queue->fd = -1;
    pthread_cond_destroy(&queue->cond);
    kr_runq_destroy(&queue->runq);
    return 0;
}

/* The descriptor follows the queue: cleared when it is empty, and set again when something came
   between the look and the clear. */
static void update_fd(struct kroutine_queue_s *queue)
{
    int fd = kr_load(&queue->fd);

    if (fd < 0 || !kr_runq_is_empty(&queue->runq))
        return;
    kr_platform_event_clear(fd);
    if (!kr_runq_is_empty(&queue->runq))
        kr_platform_event_signal(fd);
}

void kr_queue_exec(struct kroutine_queue_s *queue, struct kroutine_s *kr)
{
    int fd;

    /* Once pushed, the kroutine may run, and the program clean the queue up: not before this. */
    kr_add(&queue->execs, 1);
    kr_runq_push(&queue->runq, kr);
    fd = kr_load(&queue->fd);
    if (fd >= 0)
        kr_platform_event_signal(fd);
    if (kr_load(&queue->waiters)) {
        pthread_mutex_lock(&queue->runq.lock);
        pthread_cond_signal(&queue->cond);
        pthread_mutex_unlock(&queue->runq.lock);
    }
    kr_sub(&queue->execs, 1);
}

bool kr_queue_remove(struct kroutine_queue_s *queue, struct kroutine_s *kr)
{
    if (!kr_runq_remove(&queue->runq, kr))
        return false;
    update_fd(queue);
    return true;
}

bool kroutine_queue_process(struct kroutine_queue_s *queue)
{
    struct kroutine_s *kr = kr_runq_pop(&queue->runq);

    update_fd(queue); /* also when another server was faster than the thread that signals */
    if (!kr)
        return false;
    kr_run_pending(kr); /* last: the handler may clean the queue up */
    return true;
}

static void deadline_in(struct timespec *ts, int64_t ns)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_sec += ns / 1000000000;
    ts->tv_nsec += ns % 1000000000;
    if (ts->tv_nsec >= 1000000000) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000;
    }
}

error_t kroutine_queue_timedwait(struct kroutine_queue_s *queue, int64_t timeout_ns)
{
    struct timespec until;
    int err = 0;

    if (kr_self.reactor)
        return -EDEADLK;
    if (timeout_ns > 0)
        deadline_in(&until, timeout_ns);
    while (!kroutine_queue_process(queue)) {
        if (err == ETIMEDOUT || timeout_ns == 0)
            return -ETIMEDOUT;
        kr_add(&queue->waiters, 1);
        pthread_mutex_lock(&queue->runq.lock);
        while (!err && kr_runq_is_empty(&queue->runq)) {
            if (timeout_ns < 0)
                pthread_cond_wait(&queue->cond, &queue->runq.lock);
            else
                err = pthread_cond_timedwait(&queue->cond, &queue->runq.lock, &until);
        }
        pthread_mutex_unlock(&queue->runq.lock);
        kr_sub(&queue->waiters, 1);
    }
    return 0;
}

error_t kroutine_queue_wait(struct kroutine_queue_s *queue)
{
    return kroutine_queue_timedwait(queue, -1);
}

int kroutine_queue_fd(struct kroutine_queue_s *queue)
{
    int none = -1, fd = kr_load(&queue->fd);

    if (fd >= 0)
        return fd;
    fd = kr_platform_event_open();
    if (fd < 0)
        return fd;
    if (!kr_cas(&queue->fd, &none, fd)) {
        close(fd); /* another thread was first */
        return none;
    }
    if (!kr_runq_is_empty(&queue->runq))
        kr_platform_event_signal(fd);
    return fd;
}
