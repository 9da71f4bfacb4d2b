/* SPDX-License-Identifier: MIT */
/* Starting the threads of a runtime: reactor and workers. */
#include <errno.h>
#include <signal.h>
#include <sched.h>

#include "internal.h"

static error_t set_attributes(pthread_attr_t *attr, const struct kroutine_sched_s *sched)
{
    struct sched_param param = {.sched_priority = sched->priority};
    int err = 0;

    if (sched->stack_size)
        err = pthread_attr_setstacksize(attr, sched->stack_size);
    if (!err && (sched->policy || sched->priority)) {
        err = pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
        if (!err)
            err = pthread_attr_setschedpolicy(attr, sched->policy);
        if (!err)
            err = pthread_attr_setschedparam(attr, &param);
    }
    return -err;
}

/* The new thread takes no signal: handlers of the program run on the program's threads, and a
   write to a closed pipe gives EPIPE here, not SIGPIPE. */
error_t kr_spawn(pthread_t *ret, const struct kroutine_sched_s *sched, void *(*body)(void *arg),
                 void *arg)
{
    pthread_attr_t attr;
    sigset_t all, old;
    error_t err = -pthread_attr_init(&attr);

    if (err)
        return err;
    err = set_attributes(&attr, sched);
    if (!err) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        err = -pthread_create(ret, &attr, body, arg);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attr);
    return err;
}
