/* SPDX-License-Identifier: MIT */
/* What the core needs of the system beyond C11 and POSIX; implemented in backends/linux/. */
#ifndef KR_PLATFORM_H
#define KR_PLATFORM_H

#include <pthread.h>

#include "kroutine/base.h"

/* A descriptor that is readable between signal and clear. Negative errno on failure. */
int kr_platform_event_open(void);
void kr_platform_event_signal(int fd);
void kr_platform_event_clear(int fd);

/* Can poll(2) wait for this descriptor? 0; -EPERM: a file, or a device that is always ready. */
error_t kr_platform_pollable(int fd);

/* Ties the calling thread to one CPU; or to any CPU that the process may use. */
error_t kr_platform_pin(unsigned cpu);
error_t kr_platform_unpin(void);
error_t kr_platform_affinity(const uint64_t *mask, unsigned words); /* to those of a mask */
unsigned kr_platform_cpu(void); /* the one that runs this call */
/* CPUs that the process may use: bit n of mask[n / 64]. The count. */
unsigned kr_platform_cpus(uint64_t *mask, unsigned words);
void kr_platform_thread_name(const char *name);

/* Which CPU serves interrupt `number` of the kernel. -EPERM, -EACCES, -EINVAL, -EIO, -ENOENT. */
error_t kr_platform_irq_affinity(unsigned number, unsigned cpu);

/* Whole pages, zeroed and present: `*size` bytes of memory at *ret, `*size` rounded up to what was
   taken. Two huge pages and more are aligned for such; `huge`: of the pool of huge pages if it has
   enough. -ENOMEM. */
error_t kr_platform_pages_alloc(void **ret, size_t *size, bool huge);
void kr_platform_pages_free(void *base, size_t size);

/* Symbol and file of a code address, for reports: "timer_event (demo)", or "demo+0x1234". Static
   functions are found too when the file is not stripped. */
void kr_platform_symbol(const void *address, char *text, size_t size);

/* First line of a file that says something about a device, cut to fit: its length, or a negative
   errno and `text` as it was. */
int kr_platform_attribute(char *text, size_t size, const char *folder, const char *file);
/* Last part of what a symbolic link points to; "": there is none. */
void kr_platform_link_name(char *text, size_t size, const char *folder, const char *link);

#endif
