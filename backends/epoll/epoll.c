/* SPDX-License-Identifier: MIT */
/*
 * The loop over epoll: the reference for what the contract means. One registration a descriptor,
 * edge-triggered, so that events need no system call beside epoll_wait. An event carries a slot
 * and the generation of its user: what the kernel had already reported for a watch that an earlier
 * event of the same batch deleted is told from an event of the next user of the slot.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomic.h"
#include "file_thread.h"
#include "kroutine/runtime.h"
#include "platform.h"

#define BATCH   128
#define NO_SLOT UINT32_MAX
#define WAKE_ID UINT64_MAX

struct slot_s {
    struct kr_watch_s *watch; /* NULL: free */
    uint32_t generation;
    uint32_t armed;
    uint32_t next_free;
};

struct kr_loop_s {
    int epfd;
    int event; /* never read: each write is an edge, and 2^64 of them take too long to overflow */
    bool ms_only; /* no epoll_pwait2 */
    struct slot_s *slots;
    uint32_t size;
    uint32_t free;
    uint64_t syscalls; /* atomic */
    struct kr_file_thread_s files;
};

static void epoll_destroy(struct kr_loop_s *loop)
{
    kr_file_thread_destroy(&loop->files);
    if (loop->event >= 0)
        close(loop->event);
    if (loop->epfd >= 0)
        close(loop->epfd);
    free(loop->slots);
    free(loop);
}

static error_t open_descriptors(struct kr_loop_s *loop)
{
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_ID};

    loop->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epfd < 0)
        return -errno;
    loop->event = kr_platform_event_open();
    if (loop->event < 0)
        return loop->event;
    return epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->event, &wake) < 0 ? -errno : 0;
}

static error_t epoll_create_loop(struct kr_loop_s **ret, struct kroutine_runtime_s *rt,
                                 const struct kroutine_runtime_config_s *config, char *reason,
                                 size_t size)
{
    struct kr_loop_s *loop = calloc(1, sizeof(*loop));
    char name[16];

    (void)rt;
    if (!loop)
        return -ENOMEM;
    loop->epfd = loop->event = -1;
    loop->free = NO_SLOT;

    error_t error = open_descriptors(loop);

    snprintf(name, sizeof(name), "%.8s-file", config->name ? config->name : "kroutine");
    kr_file_thread_init(&loop->files, loop->event, name);
    if (error) {
        snprintf(reason, size, "epoll cannot be used: no descriptor or memory left (error %d)",
                 -error);
        epoll_destroy(loop);
        return error;
    }
    snprintf(reason, size, "epoll works on every Linux");
    *ret = loop;
    return 0;
}

static int epoll_fd(struct kr_loop_s *loop)
{
    return loop->epfd;
}

static void epoll_wake(struct kr_loop_s *loop)
{
    kr_platform_event_signal(loop->event);
}

/* --- waiting --- */

static int wait_ms(struct kr_loop_s *loop, struct epoll_event *events, int64_t timeout_ns)
{
    int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000; /* never early */

    return epoll_wait(loop->epfd, events, BATCH, ms > INT_MAX ? INT_MAX : (int)ms);
}

static int wait_ns(struct kr_loop_s *loop, struct epoll_event *events, int64_t timeout_ns)
{
#ifdef SYS_epoll_pwait2
    if (!loop->ms_only && timeout_ns > 0) {
        /* The system call itself: struct __kernel_timespec whatever the C library calls time_t. */
        struct {
            int64_t sec;
            long long nsec;
        } ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = (int)syscall(SYS_epoll_pwait2, loop->epfd, events, BATCH, &ts, NULL, 0);

        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        loop->ms_only = true; /* before Linux 5.11, or forbidden by a seccomp filter */
    }
#endif
    return wait_ms(loop, events, timeout_ns);
}

/* Was it an event of a watch? */
static bool dispatch(struct kr_loop_s *loop, const struct epoll_event *e)
{
    if (e->data.u64 == WAKE_ID)
        return false;

    const struct slot_s *slot = &loop->slots[(uint32_t)e->data.u64];
    unsigned events = 0;

    if (!slot->watch || slot->generation != e->data.u64 >> 32 || !slot->armed)
        return false;
    if (e->events & EPOLLIN)
        events |= KR_EV_IN;
    if (e->events & EPOLLOUT)
        events |= KR_EV_OUT;
    events &= slot->armed;
    if (events & KR_EV_IN && e->events & EPOLLRDHUP)
        events |= KR_EV_HUP;
    if (e->events & (EPOLLHUP | EPOLLERR))
        events = slot->armed | KR_EV_HUP;
    if (!events)
        return false;
    slot->watch->ready(slot->watch, events);
    return true;
}

static int epoll_wait_loop(struct kr_loop_s *loop, int64_t timeout_ns)
{
    struct epoll_event events[BATCH];
    int count = kr_file_thread_complete(&loop->files);

    kr_add_relaxed(&loop->syscalls, 1);

    int n = wait_ns(loop, events, count ? 0 : timeout_ns);

    for (int i = 0; i < n; i++)
        count += dispatch(loop, &events[i]);
    return count + kr_file_thread_complete(&loop->files);
}

/* --- watches --- */

static error_t grow(struct kr_loop_s *loop)
{
    uint32_t size = loop->size ? loop->size * 2 : 16;
    struct slot_s *slots = realloc(loop->slots, size * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    loop->slots = slots;
    for (uint32_t i = size; i-- > loop->size;) {
        slots[i] = (struct slot_s){.next_free = loop->free};
        loop->free = i;
    }
    loop->size = size;
    return 0;
}

static error_t control(struct kr_loop_s *loop, int op, const struct kr_watch_s *w, unsigned events)
{
    struct epoll_event e = {.events = EPOLLET, .data.u64 = (uint64_t)w->generation << 32 | w->slot};

    if (events & KR_EV_IN)
        e.events |= EPOLLIN | EPOLLRDHUP;
    if (events & KR_EV_OUT)
        e.events |= EPOLLOUT;
    kr_add_relaxed(&loop->syscalls, 1);
    return epoll_ctl(loop->epfd, op, w->fd, &e) < 0 ? -errno : 0;
}

static error_t epoll_watch_add(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    if (loop->free == NO_SLOT && grow(loop))
        return -ENOMEM;

    uint32_t index = loop->free;
    struct slot_s *slot = &loop->slots[index];

    w->slot = index;
    w->generation = ++slot->generation;

    error_t error = control(loop, EPOLL_CTL_ADD, w, 0);

    if (error)
        return error;
    loop->free = slot->next_free;
    slot->watch = w;
    slot->armed = 0;
    return 0;
}

static void epoll_watch_arm(struct kr_loop_s *loop, struct kr_watch_s *w, unsigned events)
{
    loop->slots[w->slot].armed = events;
    /* Reports at once what is ready already. Cannot fail for a descriptor that is registered. */
    control(loop, EPOLL_CTL_MOD, w, events);
}

static void epoll_watch_del(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    struct slot_s *slot = &loop->slots[w->slot];

    control(loop, EPOLL_CTL_DEL, w, 0);
    slot->watch = NULL;
    slot->generation++;
    slot->next_free = loop->free;
    loop->free = w->slot;
}

static error_t epoll_pollable(struct kr_loop_s *loop, int fd)
{
    (void)loop;
    return kr_platform_pollable(fd);
}

/* --- files --- */

static void epoll_io_submit(struct kr_loop_s *loop, struct kr_io_s *io)
{
    kr_file_thread_submit(&loop->files, io);
}

static void epoll_io_reap(struct kr_loop_s *loop, struct kr_io_s *io)
{
    kr_file_thread_reap(&loop->files, io);
}

static uint64_t epoll_syscalls(struct kr_loop_s *loop)
{
    return kr_load_relaxed(&loop->syscalls);
}

static const struct kr_loop_ops_s epoll_ops = {
    .name = "epoll",
    .create = epoll_create_loop,
    .destroy = epoll_destroy,
    .fd = epoll_fd,
    .wake = epoll_wake,
    .wait = epoll_wait_loop,
    .pollable = epoll_pollable,
    .watch_add = epoll_watch_add,
    .watch_arm = epoll_watch_arm,
    .watch_del = epoll_watch_del,
    .io_submit = epoll_io_submit,
    .io_reap = epoll_io_reap,
    .syscalls = epoll_syscalls,
};

const struct kr_backend_s kr_backend_epoll = {.loop = &epoll_ops, .clock = &kr_clock_timerfd};
