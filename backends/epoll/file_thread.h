/* SPDX-License-Identifier: MIT */
/* Operations on files for the epoll loop, which cannot wait for them: one thread a loop, started at
   the first operation. */
#ifndef KR_FILE_THREAD_H
#define KR_FILE_THREAD_H

#include <pthread.h>

#include "loop.h"

struct kr_file_thread_s {
    int event; /* signalled when something is finished */
    char name[16];
    pthread_t thread;
    pid_t process;        /* that has the thread: a forked child has not */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    pthread_cond_t over;
    bool started;
    bool stopping;
    struct kr_io_s *queue, **queue_end;
    struct kr_io_s *finished, **finished_end;
    uint32_t any_finished; /* atomic: spares the lock */
};

void kr_file_thread_init(struct kr_file_thread_s *t, int event, const char *name);
/* Waits for the operation that is running, if any. */
void kr_file_thread_destroy(struct kr_file_thread_s *t);

void kr_file_thread_submit(struct kr_file_thread_s *t, struct kr_io_s *io);
/* Takes `io` back unless it runs, waits for it otherwise; done is called here. */
void kr_file_thread_reap(struct kr_file_thread_s *t, struct kr_io_s *io);
/* Calls done of everything that is finished. How many. */
int kr_file_thread_complete(struct kr_file_thread_s *t);

#endif
