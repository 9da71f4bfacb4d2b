/* SPDX-License-Identifier: MIT */
#include "iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* No block begins below: a pointer that was never set is an address the IOMMU refuses. */
#define LOWEST 0x10000

/* --- the list --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct space_s *first;
} spaces = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&spaces.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&spaces.lock);
}

/* The spaces are the parent's, and a thread that waited is not here. */
static void in_child(void)
{
    spaces.first = NULL;
    pthread_cond_init(&spaces.changed, NULL);
    pthread_mutex_unlock(&spaces.lock);
}

static void prepare(void)
{
    pthread_atfork(before_fork, after_fork, in_child);
}

static struct space_s *find(const struct pci_s *pci)
{
    struct space_s *s = spaces.first;

    while (s && (s->group != pci->group || s->no_iommu != pci->no_iommu))
        s = s->next;
    return s;
}

static struct space_s *make(const struct pci_s *pci)
{
    struct space_s *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->group = pci->group;
    s->no_iommu = pci->no_iommu;
    s->container = s->group_fd = -1;
    s->page = (uint64_t)sysconf(_SC_PAGESIZE);
    pthread_mutex_init(&s->lock, NULL);
    iova_init(&s->iova);
    s->next = spaces.first;
    spaces.first = s;
    return s;
}

/* The space of the group, new or not, busy for the caller, who is one of its users. */
static struct space_s *claim(const struct pci_s *pci)
{
    struct space_s *s;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&spaces.lock);
    while ((s = find(pci)) && s->busy)
        pthread_cond_wait(&spaces.changed, &spaces.lock);
    if (!s)
        s = make(pci);
    if (s) {
        s->busy = true;
        s->users++;
    }
    pthread_mutex_unlock(&spaces.lock);
    return s;
}

static void forget(struct space_s *s)
{
    struct space_s **at = &spaces.first;

    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
}

/* Busy, by the caller. */
static void yield(struct space_s *s)
{
    bool last;

    pthread_mutex_lock(&spaces.lock);
    s->busy = false;
    last = s->users == 0;
    if (last)
        forget(s);
    pthread_cond_broadcast(&spaces.changed);
    pthread_mutex_unlock(&spaces.lock);
    if (!last)
        return;
    iova_destroy(&s->iova);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- joining and leaving --- */

static error_t open_with(struct space_s *s, const struct pci_s *pci, const struct iommu_ops_s *ops)
{
    error_t err = ops->open(s, pci);

    if (err)
        ops->close(s);
    else
        s->ops = ops;
    return err;
}

/* Without a wish: where there is no type1, which the kernel may be built without, iommufd; its
   reason is of interest only where it exists. */
static error_t open_space(struct space_s *s, const struct pci_s *pci, const struct iommu_ops_s *ops)
{
    error_t err;

    if (ops)
        return open_with(s, pci, ops);
    err = open_with(s, pci, &iommu_type1);
    if (err != -ENOENT || access("/dev/iommu", F_OK))
        return err;
    return open_with(s, pci, &iommu_iommufd);
}

/* Devices narrow the ranges as they come; the kernel refuses one that does not bear what is mapped.
 */
static error_t learn_ranges(struct space_s *s, bool first)
{
    struct iova_range_s *list;
    size_t count;
    error_t err;

    if (!s->ops->protects)
        return 0;
    err = s->ops->ranges(s, &list, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (list[i].first < LOWEST)
            list[i].first = LOWEST;
    }
    pthread_mutex_lock(&s->lock);
    err = first ? iova_set_ranges(&s->iova, list, count) : iova_restrict(&s->iova, list, count);
    pthread_mutex_unlock(&s->lock);
    free(list);
    return err;
}

error_t space_join(struct space_s **ret, const struct pci_s *pci, const struct iommu_ops_s *ops,
                   int *device_fd)
{
    struct space_s *s = claim(pci);
    bool first = s && !s->ops;
    error_t err;

    if (!s)
        return -ENOMEM;
    if (first)
        err = open_space(s, pci, ops);
    else if (ops && ops != s->ops)
        err = device_error(-EBUSY, "iommu=%s: group %d of %s is open already, with iommu=%s",
                           ops->name, pci->group, pci->name, s->ops->name);
    else
        err = 0;
    if (!err)
        err = s->ops->attach(s, pci, device_fd);
    if (!err) {
        err = learn_ranges(s, first);
        if (err) {
            close(*device_fd);
            *device_fd = -1;
        }
    }
    if (err) {
        s->users--;
        if (!s->users && s->ops)
            s->ops->close(s);
    } else {
        *ret = s;
    }
    yield(s);
    return err;
}

void space_leave(struct space_s *s)
{
    pthread_mutex_lock(&spaces.lock);
    while (s->busy)
        pthread_cond_wait(&spaces.changed, &spaces.lock);
    s->busy = true;
    s->users--;
    pthread_mutex_unlock(&spaces.lock);
    if (!s->users)
        s->ops->close(s);
    yield(s);
}

/* --- mapping --- */

/* A line "NAME:  number" of /proc/self/status. */
static uint64_t status_number(const char *name, int base)
{
    FILE *f = fopen("/proc/self/status", "re");
    size_t length = strlen(name);
    uint64_t value = 0;
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            value = strtoull(line + length + 1, NULL, base);
    }
    if (f)
        fclose(f);
    return value;
}

#define CAP_IPC_LOCK 14 /* linux/capability.h: the limit does not hold */

static error_t explain_memory(size_t size)
{
    uint64_t locked = status_number("VmLck", 10);
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || status_number("CapEff", 16) >> CAP_IPC_LOCK & 1)
        return device_error(-ENOMEM, "%zu KiB for DMA: the kernel has no memory for it",
                            size >> 10);
    return device_error(-ENOMEM,
                        "%zu KiB for DMA cannot be locked: RLIMIT_MEMLOCK is %" PRIu64
                        " KiB, of which %" PRIu64
                        " are in use (raise it: ulimit -l, LimitMEMLOCK= of systemd, memlock in "
                        "/etc/security/limits.conf)",
                        size >> 10, (uint64_t)limit.rlim_cur >> 10, locked);
}

static error_t explain_limit(void)
{
    const char *path = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
    FILE *f = fopen(path, "re");
    unsigned limit = 65535; /* drivers/vfio/vfio_iommu_type1.c */

    if (f && fscanf(f, "%u", &limit) != 1)
        limit = 65535;
    if (f)
        fclose(f);
    return device_error(-ENOSPC,
                        "no DMA mapping is left: there may be %u at a time (map fewer and larger "
                        "pieces, or raise vfio_iommu_type1.dma_entry_limit)",
                        limit);
}

static error_t explain_map(error_t err, void *base, size_t size)
{
    switch (err) {
    case -ENOMEM:
        return explain_memory(size);
    case -ENOSPC:
        return explain_limit();
    case -EFAULT:
        return device_error(err, "DMA: not all of the %zu bytes at %p are memory", size, base);
    default:
        return device_error(err, "DMA: cannot map %zu bytes at %p: %s", size, base, strerror(-err));
    }
}

/* What one entry serves in the IOMMU's tables before the last: these are pages of entries of 8
   bytes, so 2 MiB where a page has 4 KiB, and 32 MiB where it has 16. */
static uint64_t block_size(const struct space_s *s)
{
    return s->page * (s->page / 8);
}

static error_t take(struct space_s *s, size_t size, uint64_t mask, uint64_t *iova)
{
    error_t err = -ENOSPC;

    pthread_mutex_lock(&s->lock);
    if (size >= block_size(s))
        err = iova_take(&s->iova, size, block_size(s), mask, iova);
    if (err == -ENOSPC)
        err = iova_take(&s->iova, size, s->page, mask, iova);
    pthread_mutex_unlock(&s->lock);
    if (err == -ENOSPC)
        return device_error(err,
                            "no %zu bytes are left among the addresses, up to 0x%" PRIx64
                            ", that the device can give",
                            size, mask);
    return err;
}

static void give(struct space_s *s, size_t size, uint64_t iova)
{
    pthread_mutex_lock(&s->lock);
    iova_give(&s->iova, iova, size);
    pthread_mutex_unlock(&s->lock);
}

error_t space_map(struct space_s *s, void *base, size_t size, uint64_t mask, unsigned flags,
                  uint64_t *iova)
{
    uint64_t at = 0;
    error_t err;

    if (!s->ops->protects)
        return device_error(-ENOTSUP, "iommu=none: nothing translates what the device addresses");
    if (!size || (((uintptr_t)base | size) & (s->page - 1)))
        return device_error(-EINVAL,
                            "DMA: %zu bytes at %p are not whole pages of %" PRIu64 " bytes", size,
                            base, s->page);
    err = take(s, size, mask, &at);
    if (err)
        return err;
    err = s->ops->map(s, base, size, at, flags);
    if (err) {
        give(s, size, at);
        return explain_map(err, base, size);
    }
    *iova = at;
    return 0;
}

error_t space_unmap(struct space_s *s, size_t size, uint64_t iova)
{
    error_t err = s->ops->unmap(s, size, iova);

    if (err)
        return device_error(err, "DMA: cannot unmap %zu bytes at 0x%" PRIx64 ": %s", size, iova,
                            strerror(-err));
    give(s, size, iova);
    return 0;
}
