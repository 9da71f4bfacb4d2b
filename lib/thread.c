/* SPDX-License-Identifier: MIT */
/*
 * Facts about threads: which handlers each one is running, and waiting until one has returned.
 *
 * A thread enters its slot in the list when it runs its first handler, and leaves the list when it
 * ends. Slots are thread-local memory, written by their thread and read by the others.
 */
#include <errno.h>
#include <time.h>

#include "internal.h"
#include "irq_internal.h"

__thread struct kr_thread_s kr_self __attribute__((tls_model("initial-exec")));
uint32_t kr_forks;

#define WAIT_RECHECK_NS 1000000

static struct {
    pthread_once_t once;
    pthread_key_t key; /* for its destructor: the end of a registered thread */
    bool have_key;

    pthread_mutex_t list_lock;
    struct kr_thread_s *list;

    uint32_t waiters; /* atomic: threads in kr_thread_wait */
    pthread_mutex_t wait_lock;
    pthread_cond_t told;
} threads = {.once = PTHREAD_ONCE_INIT,
             .list_lock = PTHREAD_MUTEX_INITIALIZER,
             .wait_lock = PTHREAD_MUTEX_INITIALIZER};

static void init_cond(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&threads.told, &attr);
    pthread_condattr_destroy(&attr);
}

/* Only the thread that called fork lives on in the child; the locks may have been held by others.
 */
static void forked_child(void)
{
    kr_add(&kr_forks, 1);
    kr_drivers_unlock();
    pthread_mutex_init(&threads.list_lock, NULL);
    pthread_mutex_init(&threads.wait_lock, NULL);
    pthread_mutex_init(&kr_irq_lock, NULL);
    init_cond();
    kr_store(&threads.waiters, 0);
    threads.list = NULL;
    kr_self.registered = false; /* enters again with its next handler */
}

static void thread_ends(void *self)
{
    struct kr_thread_s *t = self, **link;

    pthread_mutex_lock(&threads.list_lock);
    for (link = &threads.list; *link; link = &(*link)->next) {
        if (*link == t) {
            *link = t->next;
            break;
        }
    }
    t->registered = false;
    pthread_mutex_unlock(&threads.list_lock);
}

static void setup(void)
{
    threads.have_key = pthread_key_create(&threads.key, thread_ends) == 0;
    init_cond();
    pthread_atfork(kr_drivers_lock, kr_drivers_unlock, forked_child);
}

void kr_fork_setup(void)
{
    pthread_once(&threads.once, setup);
}

/* Without a key (1024 a process) the end of the thread would go unnoticed, and others would read
   freed memory: such a thread stays out of the list, and nobody can wait for its handlers. */
static void enter_list(struct kr_thread_s *t)
{
    pthread_once(&threads.once, setup);
    if (!threads.have_key || pthread_setspecific(threads.key, t))
        return;
    pthread_mutex_lock(&threads.list_lock);
    t->next = threads.list;
    threads.list = t;
    t->registered = true;
    pthread_mutex_unlock(&threads.list_lock);
}

/* The release orders the slot before what the caller does next: clearing "pending". A thread that
   saw "not pending" therefore sees the slot. */
void kr_thread_enter(struct kroutine_s *kr)
{
    struct kr_thread_s *t = &kr_self;
    unsigned depth = t->depth;

    if (kr_unlikely(!t->registered))
        enter_list(t);
    if (kr_likely(depth < KR_RUN_DEPTH))
        kr_store_release(&t->running[depth], kr);
    kr_store_release(&t->depth, depth + 1);
}

/* Leaving is a plain store, and the load of `waiters` may be done before others see that store: a
   waiter that counted itself in between and still saw the slot is not told. A full fence here would
   cost every handler of every program some 20 cycles; instead such a waiter looks again within a
   millisecond by itself. */
void kr_thread_leave(void)
{
    struct kr_thread_s *t = &kr_self;
    unsigned depth = t->depth - 1;

    if (kr_likely(depth < KR_RUN_DEPTH))
        kr_store_release(&t->running[depth], NULL);
    kr_store_release(&t->depth, depth);
    if (kr_unlikely(kr_load_relaxed(&threads.waiters)))
        kr_thread_tell();
}

void kr_thread_tell(void)
{
    if (kr_likely(!kr_load(&threads.waiters)))
        return;
    pthread_mutex_lock(&threads.wait_lock);
    pthread_cond_broadcast(&threads.told);
    pthread_mutex_unlock(&threads.wait_lock);
}

void kr_thread_wait(bool (*over)(void *arg), void *arg)
{
    struct timespec until;

    pthread_once(&threads.once, setup);
    kr_add(&threads.waiters, 1);
    pthread_mutex_lock(&threads.wait_lock);
    while (!over(arg)) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WAIT_RECHECK_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&threads.told, &threads.wait_lock, &until);
    }
    pthread_mutex_unlock(&threads.wait_lock);
    kr_sub(&threads.waiters, 1);
}

static bool thread_runs(struct kr_thread_s *t, const struct kroutine_s *kr)
{
    unsigned depth = kr_load_acquire(&t->depth);

    if (depth > KR_RUN_DEPTH)
        return true;
    /* All slots: one may be in use whose depth this thread does not see yet. */
    for (unsigned i = 0; i < KR_RUN_DEPTH; i++) {
        if (kr_load_acquire(&t->running[i]) == kr)
            return true;
    }
    return false;
}

bool kr_thread_runs(const struct kroutine_s *kr)
{
    bool runs = false;

    pthread_mutex_lock(&threads.list_lock);
    for (struct kr_thread_s *t = threads.list; t && !runs; t = t->next)
        runs = t != &kr_self && thread_runs(t, kr);
    pthread_mutex_unlock(&threads.list_lock);
    return runs;
}

bool kr_thread_runs_here(const struct kroutine_s *kr)
{
    for (unsigned i = 0; i < kr_self.depth && i < KR_RUN_DEPTH; i++) {
        if (kr_self.running[i] == kr)
            return true;
    }
    return false;
}

void kr_thread_push_begin(struct kroutine_runtime_s *rt)
{
    if (kr_unlikely(!kr_self.registered))
        enter_list(&kr_self);
    kr_store_release(&kr_self.pushing, rt);
}

void kr_thread_push_end(void)
{
    kr_store_release(&kr_self.pushing, NULL);
}

bool kr_thread_pushes(const struct kroutine_runtime_s *rt)
{
    bool pushes = false;

    pthread_mutex_lock(&threads.list_lock);
    for (struct kr_thread_s *t = threads.list; t && !pushes; t = t->next)
        pushes = t != &kr_self && kr_load_acquire(&t->pushing) == rt;
    pthread_mutex_unlock(&threads.list_lock);
    return pushes;
}
