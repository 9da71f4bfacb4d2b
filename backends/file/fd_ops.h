/* SPDX-License-Identifier: MIT */
/* Streams over descriptors from inside: fd_stream.c, and one file for each kind that differs. */
#ifndef KR_FD_OPS_H
#define KR_FD_OPS_H

#include <errno.h>

#include "fd_stream.h"
#include "internal.h"

enum kr_fd_kind_e { KR_FD_KIND_POLL, KR_FD_KIND_ALWAYS, KR_FD_KIND_FILE };

struct kr_fd_stream_s {
    struct kr_watch_s watch;
    struct kr_stream_s *stream;
    int fd;
    enum kr_fd_kind_e kind;
    bool tty;
    bool socket;
    bool pipe;
    uint64_t char_ns;
    struct kr_io_s io[KR_DIRS];
    struct kr_fd_reader_s *reader; /* of the tty driver, may be NULL */
    sem_t *released;               /* of the thread that closes and waits */
};

static inline struct kr_fd_stream_s *kr_fd_from_stream(const struct kr_stream_s *s)
{
    return kr_stream_pv(s);
}

/* What a system call gave: bytes, or -errno. */
static inline ssize_t kr_fd_negative(ssize_t n)
{
    return n < 0 ? -errno : n;
}

/* --- fd_stream.c: the operations of most descriptors --- */

ssize_t kr_fd_read_result(struct kr_stream_s *s, ssize_t n);
ssize_t kr_fd_write_result(struct kr_fd_stream_s *fs, ssize_t n);
ssize_t kr_fd_readv(struct kr_stream_s *s, struct iovec *iov, int count);
ssize_t kr_fd_writev(struct kr_stream_s *s, struct iovec *iov, int count);
int kr_fd_poll(struct kr_stream_s *s, enum kr_dir_e dir);
void kr_fd_arm(struct kr_stream_s *s, enum kr_dir_e dir);
void kr_fd_disarm(struct kr_stream_s *s, enum kr_dir_e dir);
/* Of those that are always ready. */
int kr_fd_always_poll(struct kr_stream_s *s, enum kr_dir_e dir);
void kr_fd_always_arm(struct kr_stream_s *s, enum kr_dir_e dir);

/* --- the others --- */

extern const struct kr_stream_ops_s kr_fd_file_ops;   /* fd_file.c */
extern const struct kr_stream_ops_s kr_fd_record_ops; /* fd_record.c */
extern const struct kr_stream_ops_s kr_fd_tty_ops;    /* fd_tty.c */
extern const struct kr_stream_ops_s kr_fd_reader_ops; /* fd_tty.c, through fs->reader */

#endif
