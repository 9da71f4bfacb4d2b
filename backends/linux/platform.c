/* SPDX-License-Identifier: MIT */
/* lib/platform.h on Linux, reports left out: symbol.c. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform.h"

int kr_platform_event_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Both keep errno: they are called between a system call and the look at its errno. */

void kr_platform_event_signal(int fd)
{
    int saved = errno;

    /* Fails only at 2^64 - 1 signals, and then the descriptor is readable anyway. */
    while (eventfd_write(fd, 1) < 0 && errno == EINTR) {
    }
    errno = saved;
}

void kr_platform_event_clear(int fd)
{
    int saved = errno;
    eventfd_t count;

    while (eventfd_read(fd, &count) < 0 && errno == EINTR) {
    }
    errno = saved;
}

error_t kr_platform_pollable(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct stat st;
    error_t error = 0;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
        return -EPERM;
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return 0;
    /* poll(2) calls a device without a poll operation ready; epoll refuses it, with EPERM. */
    int epfd = epoll_create1(EPOLL_CLOEXEC);

    if (epfd < 0)
        return -errno;
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0)
        error = -errno;
    close(epfd);
    return error;
}

/* What the thread could use before the library tied it to one CPU. */
static __thread struct {
    bool pinned;
    cpu_set_t before;
} kr_affinity;

error_t kr_platform_pin(unsigned cpu)
{
    cpu_set_t set;

    if (cpu >= CPU_SETSIZE)
        return -EINVAL;
    if (!kr_affinity.pinned && sched_getaffinity(0, sizeof(set), &kr_affinity.before) < 0)
        return -errno;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        return -errno;
    kr_affinity.pinned = true;
    return 0;
}

error_t kr_platform_unpin(void)
{
    if (!kr_affinity.pinned)
        return 0;
    if (sched_setaffinity(0, sizeof(kr_affinity.before), &kr_affinity.before) < 0)
        return -errno;
    kr_affinity.pinned = false;
    return 0;
}

error_t kr_platform_affinity(const uint64_t *mask, unsigned words)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned cpu = 0; cpu < words * 64 && cpu < CPU_SETSIZE; cpu++)
        if (mask[cpu / 64] & UINT64_C(1) << cpu % 64)
            CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

unsigned kr_platform_cpu(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (unsigned)cpu;
}

unsigned kr_platform_cpus(uint64_t *mask, unsigned words)
{
    cpu_set_t self, leader;
    unsigned count = 0;

    /* A thread that the program has tied to one CPU does not speak for the process; nor does its
       first thread alone, when the others were given more. */
    CPU_ZERO(&self);
    CPU_ZERO(&leader);
    if (kr_affinity.pinned)
        self = kr_affinity.before;
    else
        sched_getaffinity(0, sizeof(self), &self);
    sched_getaffinity(getpid(), sizeof(leader), &leader);
    CPU_OR(&self, &self, &leader);
    for (unsigned i = 0; i < words; i++)
        mask[i] = 0;
    for (unsigned cpu = 0; cpu < words * 64 && cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &self)) {
            mask[cpu / 64] |= (uint64_t)1 << cpu % 64;
            count++;
        }
    }
    return count;
}

/* Documentation/core-api/irq/irq-affinity.rst */
error_t kr_platform_irq_affinity(unsigned number, unsigned cpu)
{
    char path[64], text[16];
    int fd, length = snprintf(text, sizeof(text), "%u", cpu);
    error_t err = 0;

    snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", number);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENOTSUP : -errno;
    if (write(fd, text, (size_t)length) != length)
        err = errno == EOVERFLOW || errno == ERANGE ? -EINVAL : -errno; /* no such CPU */
    close(fd);
    return err;
}

void kr_platform_thread_name(const char *name)
{
    char cut[16]; /* more is refused */
    size_t i;

    for (i = 0; i < sizeof(cut) - 1 && name[i]; i++)
        cut[i] = name[i];
    cut[i] = 0;
    pthread_setname_np(pthread_self(), cut);
}
