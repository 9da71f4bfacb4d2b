/* SPDX-License-Identifier: MIT */
/*
 * What the daemons among the examples share: a runtime without threads, and a clean end. All their
 * handlers run in daemon_run, in the thread of main: no locks, no atomics, and the data of the
 * program may be plain variables.
 *
 * SIGINT and SIGTERM are blocked and read from a signalfd(2), which is a device like any other, so
 * that they arrive in a handler too and never in the middle of something. So is SIGHUP in a program
 * that has set self.on_hangup.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <kroutine.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
    struct kroutine_runtime_s *runtime;
    struct device_s *tree; /* where this runtime's devices are */
    struct device_char_s signals;
    struct dev_char_rq_s read_signal;
    struct signalfd_siginfo signal;
    void (*on_hangup)(void); /* SIGHUP; NULL: it kills, as it does */
    int status;              /* of the process */
    bool done;               /* daemon_run returns */
} self;

/* From any handler: the program ends with this status. */
static inline void daemon_stop(int status)
{
    self.status = status;
    self.done = true;
}

static inline void daemon_read_signal(void)
{
    self.read_signal.type = DEV_CHAR_READ;
    self.read_signal.data = (uint8_t *)&self.signal;
    self.read_signal.size = sizeof(self.signal);
    DEVICE_OP(&self.signals, request, &self.read_signal);
}

static KROUTINE_EXEC(daemon_signalled)
{
    (void)kr;
    (void)flags;
    if (self.read_signal.error != 0)
        return;
    if (self.signal.ssi_signo == SIGHUP)
        self.on_hangup();
    else
        daemon_stop(self.status);
    daemon_read_signal();
}

static inline bool daemon_get_char(struct device_char_s *dev, const char *spec)
{
    return device_get_accessor_by_path(&dev->base, self.tree, spec, DRIVER_CLASS_CHAR) == 0;
}

/* A char device from a descriptor, which the device duplicates: `fd` is closed in any case. */
static inline bool daemon_adopt(struct device_char_s *dev, int fd)
{
    char spec[24];
    bool ok;

    snprintf(spec, sizeof(spec), "fd:%d", fd);
    ok = daemon_get_char(dev, spec);
    close(fd);
    return ok;
}

/* 0, or an exit status after a message. */
static inline int daemon_start(void)
{
    struct kroutine_runtime_config_s config;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (self.on_hangup)
        sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);

    kroutine_runtime_config_init(&config);
    config.embedded = true; /* no thread: daemon_run waits */
    config.pool_size = 0;   /* deferred handlers run there as well */
    if (kroutine_runtime_create(&self.runtime, &config) == 0) {
        self.tree = kroutine_runtime_devices(self.runtime);
        if (daemon_adopt(&self.signals, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK))) {
            dev_char_rq_init(&self.read_signal, daemon_signalled);
            daemon_read_signal();
            return 0;
        }
    }
    fprintf(stderr, "cannot start: %s\n", kroutine_error_text());
    return 1;
}

static inline void daemon_run(void)
{
    while (!self.done && kroutine_runtime_wait(self.runtime, -1) >= 0)
        ;
}

/* After every other device was put. The exit status. */
static inline int daemon_end(void)
{
    device_put_accessor(&self.signals.base);
    kroutine_runtime_destroy(self.runtime);
    return self.status;
}

#endif
