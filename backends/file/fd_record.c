/* SPDX-License-Identifier: MIT */
/* Streams over sockets that keep records apart: datagram and seqpacket. */
#include <poll.h>
#include <sys/socket.h>

#include "fd_ops.h"

/* A record of no bytes was read: was it the end? It is when the peer of a seqpacket writes no more
   (POLLRDHUP) and nothing is behind it. */
static bool at_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    char byte;

    return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLRDHUP) &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static ssize_t recv_frame(struct kr_stream_s *s, void *data, size_t size)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = kr_fd_negative(recvmsg(fs->fd, &msg, MSG_DONTWAIT));

    if (n > 0 && msg.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (n == 0)
        return at_end(fs->fd) ? KR_STREAM_END : 0;
    return n == -EINTR ? -EAGAIN : n;
}

static ssize_t send_frame(struct kr_stream_s *s, const void *data, size_t size)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    ssize_t n = kr_fd_negative(send(fs->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));

    return n == -EINTR ? -EAGAIN : n;
}

const struct kr_stream_ops_s kr_fd_record_ops = {
    .readv = kr_fd_readv,
    .writev = kr_fd_writev,
    .recv_frame = recv_frame,
    .send_frame = send_frame,
    .poll = kr_fd_poll,
    .arm = kr_fd_arm,
    .disarm = kr_fd_disarm,
};
