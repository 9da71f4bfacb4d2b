/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that the reactor looks after, from any thread. A loop is touched by its reactor only,
 * so the other threads post what they want and the reactor applies it before it waits.
 *
 * `posted` holds the state that is wanted, not a list of changes: later posts overwrite earlier
 * ones, and applying it twice does no harm. KR_W_QUEUED says that the watch is in the list of the
 * runtime, or that the thread which set the bit is about to put it there. Until the reactor has
 * taken it from the list and cleared the bit, it does not release the watch. Whoever finds the bit
 * set leaves the rest to the reactor, and nobody touches a watch after having pushed it: it may be
 * gone.
 */
#include <unistd.h>

#include "internal.h"

enum kr_watch_state_e {
    KR_W_WANTED = KR_EV_IN | KR_EV_OUT,
    KR_W_CLOSE = 1 << 8,
    KR_W_QUEUED = 1 << 9,
    KR_W_ADDED = 1 << 10, /* in `armed`: the loop knows the watch */
};

/* Before it has been attached a loop cannot be used, even by the thread that will be its reactor.
 */
static bool can_apply(const struct kroutine_runtime_s *rt)
{
    return kr_on_reactor(rt) && rt->attached;
}

static void release(struct kr_watch_s *w)
{
    struct kroutine_runtime_s *rt = w->rt;

    if (w->armed & KR_W_ADDED)
        rt->backend->loop->watch_del(rt->loop, w);
    w->armed = 0;
    close(w->fd);
    w->fd = -1;
    w->released(w);
}

static error_t add(struct kr_watch_s *w)
{
    if (w->armed & KR_W_ADDED)
        return 0;
    error_t error = w->rt->backend->loop->watch_add(w->rt->loop, w);
    if (!error)
        w->armed = KR_W_ADDED;
    return error;
}

/* Reactor. Makes the loop do what `state` says; not for KR_W_CLOSE. */
static error_t apply(struct kr_watch_s *w, uint32_t state)
{
    error_t error = add(w);
    uint32_t wanted = state & KR_W_WANTED;

    if (!error && wanted != (w->armed & KR_W_WANTED)) {
        w->armed = KR_W_ADDED | wanted;
        w->rt->backend->loop->watch_arm(w->rt->loop, w, wanted);
    }
    return error;
}

static void push(struct kroutine_runtime_s *rt, struct kr_watch_s *w)
{
    struct kr_watch_s *head = kr_load_relaxed(&rt->posted);

    do
        w->post_next = head;
    while (!kr_cas(&rt->posted, &head, w));
}

/* Changes the wanted state. On the reactor true: the caller applies it, *state is what to apply.
   Elsewhere the reactor will, and the watch may be gone already. */
static bool post(struct kr_watch_s *w, uint32_t set, uint32_t clear, uint32_t *state)
{
    struct kroutine_runtime_s *rt = w->rt;
    bool here = can_apply(rt);
    uint32_t old = kr_load_relaxed(&w->posted), new;

    do {
        new = (old | set) & ~clear;
        if (new == old && !(set & KR_W_CLOSE))
            return false; /* wanted already: applied, or in the list */
        if (!here)
            new |= KR_W_QUEUED;
    } while (!kr_cas(&w->posted, &old, new));
    *state = new;
    if (here)
        return true;
    if (!(old & KR_W_QUEUED))
        push(rt, w);
    kr_reactor_notify(rt);
    return false;
}

error_t kr_watch_open(struct kroutine_runtime_s *rt, struct kr_watch_s *w, int fd)
{
    w->fd = fd;
    w->rt = rt;
    w->post_next = NULL;
    w->posted = 0;
    w->armed = 0;
    /* Elsewhere the first change adds it. */
    return can_apply(rt) ? add(w) : 0;
}

/* Reactor. The loop has no memory for it: the flushes to come try again, without keeping the
   reactor from its sleep. */
static void keep_unwatched(struct kr_watch_s *w)
{
    if (kr_or(&w->posted, KR_W_QUEUED) & KR_W_QUEUED)
        return; /* another thread puts it in the other list */
    w->post_next = w->rt->unwatched;
    w->rt->unwatched = w;
}

static void change(struct kr_watch_s *w, uint32_t set, uint32_t clear)
{
    uint32_t state;

    if (post(w, set, clear, &state) && apply(w, state))
        keep_unwatched(w);
}

void kr_watch_arm(struct kr_watch_s *w, unsigned events)
{
    change(w, events & KR_W_WANTED, 0);
}

void kr_watch_disarm(struct kr_watch_s *w, unsigned events)
{
    change(w, 0, events & KR_W_WANTED);
}

void kr_watch_close(struct kr_watch_s *w)
{
    uint32_t state;

    if (!post(w, KR_W_CLOSE, 0, &state))
        return;
    if (!(state & KR_W_QUEUED)) {
        release(w);
    } else if (w->armed & KR_W_ADDED) {
        /* The list holds it, so the memory has to stay; events end here all the same. */
        w->rt->backend->loop->watch_del(w->rt->loop, w);
        w->armed = 0;
    }
}

/* Reactor. */
static void flush_watches(struct kr_watch_s *w)
{
    while (w) {
        /* Read first: once the bit is cleared another thread may push it again. */
        struct kr_watch_s *next = w->post_next;
        uint32_t state = kr_and(&w->posted, ~(uint32_t)KR_W_QUEUED);

        if (state & KR_W_CLOSE)
            release(w);
        else if (apply(w, state))
            keep_unwatched(w);
        w = next;
    }
}

/* The runtime has no reactor, and may never have had one: closing needs none. */
static void flush_unattached(struct kroutine_runtime_s *rt)
{
    struct kr_watch_s *w = kr_xchg(&rt->posted, NULL), *next;

    for (; w; w = next) {
        next = w->post_next;
        if (kr_load(&w->posted) & KR_W_CLOSE)
            release(w);
        else
            push(rt, w);
    }
}

static void flush_io(struct kroutine_runtime_s *rt)
{
    struct kr_io_s *io = kr_xchg(&rt->io_posted, NULL), *oldest = NULL;

    while (io) { /* newest first: turned round */
        struct kr_io_s *next = io->next;

        io->next = oldest;
        oldest = io;
        io = next;
    }
    while (oldest) {
        io = oldest;
        oldest = io->next;
        rt->backend->loop->io_submit(rt->loop, io);
    }
}

void kr_watch_flush(struct kroutine_runtime_s *rt)
{
    struct kr_watch_s *again = rt->unwatched;

    if (!rt->attached) {
        flush_unattached(rt);
        return;
    }
    rt->unwatched = NULL;
    flush_watches(again);
    while (kr_load(&rt->posted))
        flush_watches(kr_xchg(&rt->posted, NULL));
    if (kr_load(&rt->io_posted))
        flush_io(rt);
}

static void post_io(struct kroutine_runtime_s *rt, struct kr_io_s *io)
{
    struct kr_io_s *head = kr_load_relaxed(&rt->io_posted);

    do
        io->next = head;
    while (!kr_cas(&rt->io_posted, &head, io));
    kr_reactor_notify(rt);
}

void kr_io_submit(struct kroutine_runtime_s *rt, struct kr_io_s *io)
{
    if (can_apply(rt)) {
        if (kr_load(&rt->io_posted))
            flush_io(rt);
        rt->backend->loop->io_submit(rt->loop, io);
        return;
    }
    post_io(rt, io);
}

bool kr_io_take_back(struct kroutine_runtime_s *rt, struct kr_io_s *io)
{
    struct kr_io_s *at = kr_xchg(&rt->io_posted, NULL), *next;
    bool found = false;

    /* The others go back; their order does not matter, a direction has one at a time. */
    for (; at; at = next) {
        next = at->next;
        if (at == io)
            found = true;
        else
            post_io(rt, at);
    }
    return found;
}
