/* SPDX-License-Identifier: MIT */
/* Devices with their other ends: ptys, pipes, FIFOs, sockets. */
#include "kt_pair.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

static const struct kind_s {
    const char *name;
    bool tty, atomic, reads, writes, frames;
} kinds[KT_KINDS] = {
    [KT_PTY] = {"pty", true, false, true, true, false},
    [KT_TTY] = {"tty", true, false, true, true, false},
    [KT_PIPE_R] = {"pipe", false, true, true, false, false},
    [KT_PIPE_W] = {"pipe", false, true, false, true, false},
    [KT_FIFO_R] = {"fifo", false, true, true, false, false},
    [KT_SOCKET] = {"socket", false, true, true, true, false},
    [KT_SEQPACKET] = {"seqpacket", false, true, true, true, true},
    [KT_DGRAM] = {"dgram", false, true, true, true, true},
    [KT_SIM] = {"sim", false, true, true, true, false},
    [KT_ROUGH] = {"rough", false, false, true, true, false},
};

const char *kt_kind_name(enum kt_kind_e kind)
{
    return kinds[kind].name;
}

bool kt_kind_is_tty(enum kt_kind_e kind)
{
    return kinds[kind].tty;
}

bool kt_kind_is_atomic(enum kt_kind_e kind)
{
    return kinds[kind].atomic;
}

/* --- rounds --- */

static bool simulated(enum kt_kind_e kind)
{
    return kind == KT_SIM || kind == KT_ROUGH;
}

static bool wanted(int want, enum kt_kind_e kind)
{
    const struct kind_s *k = &kinds[kind];

    if ((kt_backend == KROUTINE_BACKEND_SIM && !simulated(kind)) || k->frames)
        return false;
    switch (want & ~KT_TIMED) {
    case KT_READS:
        return k->reads;
    case KT_WRITES:
        return k->writes;
    default:
        return k->reads && k->writes;
    }
}

static int kind_count(int want)
{
    int n = 0;

    for (enum kt_kind_e k = 0; k < KT_KINDS; k++)
        n += wanted(want, k);
    return n;
}

static bool one_mode(int want)
{
    return want & KT_TIMED && kt_backend == KROUTINE_BACKEND_SIM;
}

int kt_rounds(int want)
{
    return kind_count(want) * (one_mode(want) ? 1 : KT_MODES);
}

enum kt_mode_e kt_round_mode(int want, int round)
{
    if (one_mode(want))
        return KT_EMBEDDED;
    return (enum kt_mode_e)(round / kind_count(want));
}

enum kt_kind_e kt_round_kind(int want, int round)
{
    int n = round % kind_count(want);
    enum kt_kind_e k;

    for (k = 0; !wanted(want, k) || n-- > 0; k++)
        ;
    return k;
}

static const char *label(int want, int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s,%s", kt_kind_name(kt_round_kind(want, round)),
             kt_mode_label(kt_round_mode(want, round)));
    return text;
}

const char *kt_reads_label(int round)
{
    return label(KT_READS, round);
}

const char *kt_writes_label(int round)
{
    return label(KT_WRITES, round);
}

const char *kt_duplex_label(int round)
{
    return label(KT_DUPLEX, round);
}

const char *kt_timed_reads_label(int round)
{
    return label(KT_READS | KT_TIMED, round);
}

const char *kt_timed_duplex_label(int round)
{
    return label(KT_DUPLEX | KT_TIMED, round);
}

const char *kt_timed_writes_label(int round)
{
    return label(KT_WRITES | KT_TIMED, round);
}

void kt_round_open(struct kt_pair_s *p, struct kt_env_s *env, int want, int round)
{
    kt_env_open(env, kt_round_mode(want, round));
    kt_pair_open(p, env, kt_round_kind(want, round), NULL);
}

/* --- making them; each gives the descriptor of the device's side, or -1 with p->spec set --- */

static void raw(int fd)
{
    struct termios t;

    ck_assert_int_eq(tcgetattr(fd, &t), 0);
    cfmakeraw(&t);
    ck_assert_int_eq(tcsetattr(fd, TCSANOW, &t), 0);
}

static int make_pty(struct kt_pair_s *p, bool by_path)
{
    char name[KT_PTY_PATH];
    int slave = -1;

    p->peer = kt_open_pty(O_NONBLOCK, name, by_path ? NULL : &slave);
    if (by_path) {
        snprintf(p->spec, sizeof p->spec, "tty:%s", name);
        return -1;
    }
    raw(slave);
    return slave;
}

static int make_pipe(struct kt_pair_s *p, bool device_reads)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    p->peer = fds[device_reads ? 1 : 0];
    return fds[device_reads ? 0 : 1];
}

/* The device's side opens it by path; a writer must be there, or a read says "end of stream". */
static int make_fifo(struct kt_pair_s *p)
{
    snprintf(p->path, sizeof p->path, "%s/fifo-%d-%u", kt_folder(), (int)getpid(), kt_stamp());
    ck_assert_int_eq(mkfifo(p->path, 0600), 0);
    p->peer = open(p->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ck_assert_int_ge(p->peer, 0);
    snprintf(p->spec, sizeof p->spec, "file:%s?mode=r", p->path);
    return -1;
}

static int make_socket(struct kt_pair_s *p, int type)
{
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv), 0);
    p->peer = sv[1];
    return sv[0];
}

static int make_sim(struct kt_pair_s *p, const char *options)
{
    static unsigned lines;
    const char *rough = p->kind == KT_ROUGH ? "&short=40&eagain=30&chunk=7" : "";
    const char *record = options && strstr(options, "record=yes") ? "&record=yes" : "";
    char spec[192];
    error_t err;

    lines++;
    snprintf(spec, sizeof spec, "sim-char:line%u?side=b%s%s", lines, rough, record);
    snprintf(p->spec, sizeof p->spec, "sim-char:line%u?side=a%s", lines, rough);
    err = device_get_accessor_by_path(&p->end.base, kroutine_runtime_devices(p->env->rt), spec,
                                      DRIVER_CLASS_CHAR);
    ck_assert_msg(err == 0, "%s: %s: %s", spec, strerror(-err), kroutine_error_text());
    return -1;
}

static int make(struct kt_pair_s *p, const char *options)
{
    switch (p->kind) {
    case KT_PTY:
    case KT_TTY:
        return make_pty(p, p->kind == KT_TTY);
    case KT_PIPE_R:
    case KT_PIPE_W:
        return make_pipe(p, p->kind == KT_PIPE_R);
    case KT_FIFO_R:
        return make_fifo(p);
    case KT_SOCKET:
        return make_socket(p, SOCK_STREAM);
    case KT_SEQPACKET:
        return make_socket(p, SOCK_SEQPACKET);
    case KT_DGRAM:
        return make_socket(p, SOCK_DGRAM);
    default:
        return make_sim(p, options);
    }
}

error_t kt_pair_lookup(struct kt_pair_s *p, struct device_char_s *dev)
{
    memset(dev, 0, sizeof *dev);
    return device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(p->env->rt), p->spec,
                                       DRIVER_CLASS_CHAR);
}

void kt_pair_open(struct kt_pair_s *p, struct kt_env_s *env, enum kt_kind_e kind,
                  const char *options)
{
    error_t err;
    int fd;

    memset(p, 0, sizeof *p);
    p->kind = kind;
    p->env = env;
    p->peer = -1;
    fd = make(p, options);
    if (fd >= 0)
        snprintf(p->spec, sizeof p->spec, "fd:%d", fd);
    if (options) {
        size_t n = strlen(p->spec);

        snprintf(p->spec + n, sizeof p->spec - n, "%c%s", strchr(p->spec, '?') ? '&' : '?',
                 options);
    }
    if (p->peer >= 0)
        fcntl(p->peer, F_SETFL, fcntl(p->peer, F_GETFL) | O_NONBLOCK);
    err = kt_pair_lookup(p, &p->dev);
    if (err == -ENOSYS && strstr(p->spec, "tty:"))
        kt_skip_here(kroutine_error_text()); /* QEMU's user mode: no TCGETS2 */
    ck_assert_msg(err == 0, "%s: %s: %s", p->spec, strerror(-err), kroutine_error_text());
    if (fd >= 0)
        close(fd); /* the device has a duplicate: its close must close the line */
}

void kt_pair_close(struct kt_pair_s *p)
{
    device_put_accessor(&p->dev.base);
    kt_peer_close(p);
    if (p->path[0])
        unlink(p->path);
}

/* --- the peer --- */

static void wait_peer(struct kt_pair_s *p, short events, uint64_t end)
{
    struct pollfd pfd = {p->peer, events, 0};

    if (kt_now() > end)
        ck_abort_msg("the peer of %s waits for %s for ever", p->spec,
                     events == POLLIN ? "data" : "room");
    if (p->env->embedded || p->peer < 0)
        kt_pause(p->env);
    else
        poll(&pfd, 1, 10);
}

/* A request of the simulated other side; its error. */
static int end_request(struct kt_pair_s *p, unsigned type, void *data, size_t *size)
{
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &p->end, type, data, *size);
    kt_await(p->env, kt_get(&op.done) == 1);
    *size -= op.left;
    return op.error;
}

void kt_peer_write(struct kt_pair_s *p, const void *data, size_t size)
{
    if (simulated(p->kind)) {
        if (end_request(p, DEV_CHAR_WRITE, (void *)(uintptr_t)data, &size))
            ck_abort_msg("the other end of %s cannot write", p->spec);
        return;
    }

    uint64_t end = kt_now() + kt_patience();
    const uint8_t *from = data;

    while (size) {
        ssize_t n = write(p->peer, from, size);

        if (n < 0 && errno != EAGAIN)
            ck_abort_msg("the peer of %s writes: %s", p->spec, strerror(errno));
        if (n <= 0) {
            wait_peer(p, POLLOUT, end);
            continue;
        }
        from += n;
        size -= (size_t)n;
    }
}

ssize_t kt_peer_read_some(struct kt_pair_s *p, void *data, size_t size)
{
    ssize_t n;

    if (simulated(p->kind)) {
        n = end_request(p, DEV_CHAR_READ_NONBLOCK, data, &size);
        return size ? (ssize_t)size : n ? -1 : 0;
    }
    n = read(p->peer, data, size);
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n == 0 || errno == EIO || errno == ECONNRESET)
        return -1;
    ck_abort_msg("the peer of %s reads: %s", p->spec, strerror(errno));
    return -1;
}

void kt_peer_read(struct kt_pair_s *p, void *data, size_t size)
{
    uint64_t end = kt_now() + kt_patience();
    uint8_t *to = data;

    while (size) {
        ssize_t n = kt_peer_read_some(p, to, size);

        if (n < 0)
            ck_abort_msg("the peer of %s: hung up with %zu bytes to come", p->spec, size);
        if (n == 0) {
            wait_peer(p, POLLIN, end);
            continue;
        }
        to += n;
        size -= (size_t)n;
    }
}

void kt_peer_close(struct kt_pair_s *p)
{
    if (p->peer >= 0)
        close(p->peer);
    p->peer = -1;
    device_put_accessor(&p->end.base);
}
