/* SPDX-License-Identifier: MIT */
/*
 * May io_uring be used here? Version numbers do not tell: distributions, sysctls, containers and
 * memory limits all have a say. So a small ring is made and used.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "platform.h"
#include "uring.h"

/* kernel.io_uring_disabled, Linux 6.6: 0 for all, 1 for a group, 2 for nobody. */
static int sysctl_disabled(void)
{
    char text[16] = "";
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);

    close(fd);
    return n > 0 ? atoi(text) : 0;
}

error_t kr_uring_explain(error_t error, char *reason, size_t size)
{
    struct rlimit limit = {0};
    int disabled;

    switch (error) {
    case -ENOSYS:
        snprintf(reason, size, "this kernel has no io_uring, or a container hides it (ENOSYS)");
        break;
    case -EPERM:
    case -EACCES:
        disabled = sysctl_disabled();
        if (disabled)
            snprintf(reason, size, "io_uring is switched off: sysctl kernel.io_uring_disabled=%d%s",
                     disabled, disabled == 1 ? ", see kernel.io_uring_group" : "");
        else
            snprintf(reason, size,
                     "io_uring is forbidden here (EPERM): a seccomp filter, as containers have");
        break;
    case -ENOMEM:
        getrlimit(RLIMIT_MEMLOCK, &limit);
        snprintf(reason, size,
                 "no memory for an io_uring: RLIMIT_MEMLOCK is %llu KiB for all rings of the user",
                 (unsigned long long)limit.rlim_cur / 1024);
        break;
    case -EMFILE:
    case -ENFILE:
        snprintf(reason, size, "no file descriptor left for an io_uring");
        break;
    default:
        snprintf(reason, size, "io_uring does not work here: %s (error %d)", strerror(-error),
                 -error);
    }
    return error;
}

static error_t check_operations(struct io_uring *ring)
{
    static const uint8_t needed[] = {IORING_OP_READ,  IORING_OP_READV,    IORING_OP_WRITEV,
                                     IORING_OP_FSYNC, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    const unsigned count = 256;
    struct io_uring_probe *probe =
        calloc(1, sizeof(*probe) + count * sizeof(struct io_uring_probe_op));

    if (!probe)
        return -ENOMEM;

    error_t error = io_uring_register_probe(ring, probe, count);

    for (size_t i = 0; !error && i < sizeof(needed); i++) {
        if (!io_uring_opcode_supported(probe, needed[i]))
            error = -EOPNOTSUPP;
    }
    free(probe);
    return error == -EINVAL ? -EOPNOTSUPP : error; /* before 5.6 there is nothing to ask */
}

/* A descriptor that is readable gives an event, and the poll stays: Linux 5.13. */
static error_t try_multishot(struct io_uring *ring)
{
    int event = kr_platform_event_open();
    struct io_uring_cqe *cqe;

    if (event < 0)
        return event;
    kr_platform_event_signal(event);

    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    io_uring_prep_poll_multishot(sqe, event, POLLIN);

    error_t error = io_uring_submit_and_wait(ring, 1);

    if (error > 0)
        error = io_uring_peek_cqe(ring, &cqe);
    if (!error) {
        if (cqe->res < 0 || !(cqe->flags & IORING_CQE_F_MORE))
            error = -EOPNOTSUPP;
        io_uring_cqe_seen(ring, cqe);
    }
    close(event);
    return error;
}

/* valgrind runs one thread at a time. Up to 3.19 at least it keeps its lock over io_uring_enter, so
   that a reactor that waits there stops the whole program for ever. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "/vgpreload_");
}

error_t kr_uring_probe(bool asked_for, char *reason, size_t size)
{
    struct io_uring_params params = {0};
    struct io_uring ring;
    struct utsname name;

#if defined(__arm__)
    if (!asked_for) {
        snprintf(reason, size,
                 "io_uring is not trusted on 32-bit ARM, where kernels had it broken");
        return -ENOTSUP;
    }
#else
    (void)asked_for;
#endif
    if (under_valgrind()) {
        snprintf(reason, size, "valgrind cannot run a thread that waits in io_uring");
        return -ENOSYS;
    }

    error_t error = io_uring_queue_init_params(2, &ring, &params);

    if (error)
        return kr_uring_explain(error, reason, size);
    /* EXT_ARG (5.11): time-outs without an SQE; RW_CUR_POS (5.6): offset -1. */
    const unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_RW_CUR_POS | IORING_FEAT_NODROP;

    error = (params.features & needed) == needed ? check_operations(&ring) : -EOPNOTSUPP;
    if (!error)
        error = try_multishot(&ring);
    io_uring_queue_exit(&ring);
    if (uname(&name))
        name.release[0] = 0;
    if (error == -EOPNOTSUPP)
        snprintf(reason, size,
                 "the io_uring of Linux %.32s is too old: 5.13 is the first that does",
                 name.release);
    else if (error)
        kr_uring_explain(error, reason, size);
    else
        snprintf(reason, size, "io_uring works here (Linux %.32s)", name.release);
    return error;
}
