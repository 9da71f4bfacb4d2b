/* SPDX-License-Identifier: MIT */
/*
 * An end of a line as a stream.
 *
 * Readiness comes from the reactor, as with real devices, and never from the call of another
 * device's user: whoever moves bytes executes a kroutine of the end that may go on (the kick),
 * which runs on the reactor, and calls the stream or sets a timer for the next arrival.
 */
#include <errno.h>
#include <stdlib.h>

#include "sim_end.h"

void kr_sim_end_hold(struct kr_sim_end_s *end)
{
    kr_add(&end->refs, 1);
}

void kr_sim_end_put(struct kr_sim_end_s *end)
{
    if (kr_sub(&end->refs, 1) != 1)
        return;
    if (end->stream)
        kr_stream_put(end->stream);
    if (end->uart.requests.dev)
        kr_uart_requests_destroy(&end->uart.requests);
    if (end->line)
        kr_sim_line_put(end->line);
    free(end);
}

/* --- readiness --- */

bool kr_sim_end_want_kick(struct kr_sim_end_s *end, enum kr_dir_e dir)
{
    if (!end || end->closed || end->watch[dir].kicked || !(end->watch[dir].armed || end->gone))
        return false;
    end->watch[dir].kicked = true;
    kr_sim_end_hold(end);
    return true;
}

void kr_sim_end_kick(struct kr_sim_end_s *end, enum kr_dir_e dir)
{
    kroutine_exec(&end->watch[dir].kick);
}

/* With the lock, and the channel settled. */
static uint64_t ready_at(const struct kr_sim_end_s *end, enum kr_dir_e dir, uint64_t now)
{
    const struct kr_sim_faults_s *f = &end->faults[dir];

    if (end->gone || f->eio || f->overrun || f->parity)
        return now;
    if (dir == KR_DIR_READ && end->channel[dir]->damaged && !end->channel[dir]->good)
        return now;
    return dir == KR_DIR_READ ? kr_sim_channel_readable(end->channel[dir], now)
                              : kr_sim_channel_writable(end->channel[dir], now, end->need);
}

/* Reactor, without the lock; w->when is set, which holds a reference. */
static void set_timer(struct kr_sim_watch_s *w, uint64_t when)
{
    struct kr_sim_end_s *end = w->end;
    error_t err;

    w->timer.delay = 0;
    w->timer.deadline = when;
    err = kr_clock_request(kr_sim_end_clock(end), &w->timer);
    if (!err)
        return;
    /* Past already: look again. Otherwise the runtime is going, and nobody waits any more. */
    pthread_mutex_lock(&end->line->lock);
    w->when = 0;
    if (err == -ETIMEDOUT && kr_sim_end_want_kick(end, w->dir)) {
        pthread_mutex_unlock(&end->line->lock);
        kr_sim_end_kick(end, w->dir);
    } else {
        pthread_mutex_unlock(&end->line->lock);
    }
    kr_sim_end_put(end);
}

/* With the lock, which it releases: the timer rings at `when`, or earlier. Only the reactor gets
   here, so the timer cannot ring meanwhile. */
static void wait_until(struct kr_sim_watch_s *w, uint64_t when)
{
    bool again = w->when && w->when > when;

    if (w->when && !again) {
        pthread_mutex_unlock(&w->end->line->lock);
        return;
    }
    if (!again)
        kr_sim_end_hold(w->end);
    w->when = when;
    pthread_mutex_unlock(&w->end->line->lock);
    if (!again || kr_clock_cancel(kr_sim_end_clock(w->end), &w->timer) == 0)
        set_timer(w, when);
}

/* Reactor: what a kick or the timer asks for. */
static void look(struct kr_sim_watch_s *w)
{
    struct kr_sim_end_s *end = w->end;
    struct kr_sim_channel_s *c = end->channel[w->dir];
    uint64_t now = kr_clock_now(kr_sim_end_clock(end)), when = KR_SIM_NEVER;
    bool armed, gone;

    pthread_mutex_lock(&end->line->lock);
    gone = end->gone && !end->closed;
    armed = w->armed && !end->closed;
    if (armed) {
        kr_sim_channel_settle(c, now);
        when = ready_at(end, w->dir, now);
    }
    if (when != KR_SIM_NEVER && when > now) {
        wait_until(w, when);
        return;
    }
    pthread_mutex_unlock(&end->line->lock);
    if (gone)
        kr_stream_gone(end->stream);
    else if (when <= now)
        kr_stream_ready(end->stream, w->dir);
}

static KROUTINE_EXEC(kicked)
{
    struct kr_sim_watch_s *w = KROUTINE_CONTAINER(kr, struct kr_sim_watch_s, kick);
    struct kr_sim_end_s *end = w->end;

    (void)flags;
    pthread_mutex_lock(&end->line->lock);
    w->kicked = false;
    pthread_mutex_unlock(&end->line->lock);
    look(w);
    kr_sim_end_put(end);
}

static KROUTINE_EXEC(rung)
{
    struct kr_sim_watch_s *w = KROUTINE_CONTAINER(kr, struct kr_sim_watch_s, timer.base.kr);
    struct kr_sim_end_s *end = w->end;

    (void)flags;
    pthread_mutex_lock(&end->line->lock);
    w->when = 0;
    pthread_mutex_unlock(&end->line->lock);
    if (!w->timer.error)
        look(w);
    kr_sim_end_put(end);
}

/* With the lock. An armed direction that has just found nothing: is there something to wait for
   that nobody else would tell? An arrival, or the end of a fault. */
static bool must_look_again(struct kr_sim_end_s *end, enum kr_dir_e dir, uint64_t now)
{
    return ready_at(end, dir, now) != KR_SIM_NEVER && kr_sim_end_want_kick(end, dir);
}

static void sim_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_sim_end_s *end = kr_stream_pv(s);
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    bool again;

    pthread_mutex_lock(&end->line->lock);
    end->watch[dir].armed = true;
    kr_sim_channel_settle(end->channel[dir], now);
    again = must_look_again(end, dir, now);
    pthread_mutex_unlock(&end->line->lock);
    if (again)
        kr_sim_end_kick(end, dir);
}

static void sim_disarm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_sim_end_s *end = kr_stream_pv(s);

    pthread_mutex_lock(&end->line->lock);
    end->watch[dir].armed = false;
    pthread_mutex_unlock(&end->line->lock);
}

static int sim_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_sim_end_s *end = kr_stream_pv(s);
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    bool ready, again;

    pthread_mutex_lock(&end->line->lock);
    kr_sim_channel_settle(end->channel[dir], now);
    end->need = 1;
    ready = ready_at(end, dir, now) <= now;
    again = !ready && must_look_again(end, dir, now);
    pthread_mutex_unlock(&end->line->lock);
    if (again)
        kr_sim_end_kick(end, dir);
    return ready;
}

/* --- transfers: each begins with the faults that are due --- */

static error_t check_faults(struct kr_sim_end_s *end, enum kr_dir_e dir)
{
    struct kr_sim_faults_s *f = &end->faults[dir];

    if (end->gone)
        return KR_STREAM_GONE;
    if (f->again) {
        f->again--;
        return -EAGAIN;
    }
    if (f->eio) {
        f->eio--;
        return -EIO;
    }
    if (f->overrun) {
        f->overrun = false;
        end->uart.counts.overrun++;
        kr_sim_channel_drop_arrived(end->channel[dir]);
        return -EPIPE;
    }
    if (f->parity) {
        f->parity = false;
        end->uart.counts.parity++;
        return -EBADMSG;
    }
    if (dir == KR_DIR_READ && end->channel[dir]->damaged && !end->channel[dir]->good) {
        end->channel[dir]->damaged = false;
        return -EBADMSG;
    }
    return 0;
}

/* Of `size` bytes that could move, how many do. 0: this time none. */
static uint32_t pick_size(struct kr_sim_end_s *end, enum kr_dir_e dir, uint32_t size)
{
    if (kr_random_percent(&end->random, end->set.again_percent))
        return 0;
    if (end->set.record)
        return size;
    if (end->faults[dir].shorts) {
        end->faults[dir].shorts--;
        return 1;
    }
    if (kr_random_percent(&end->random, end->set.short_percent))
        return 1 + (uint32_t)(kr_random(&end->random) % size);
    return size;
}

static uint32_t total(const struct iovec *iov, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++)
        size += iov[i].iov_len;
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static ssize_t nothing_to_read(const struct kr_sim_channel_s *c)
{
    return c->no_writer && !c->fill ? KR_STREAM_END : -EAGAIN;
}

static ssize_t read_bytes(struct kr_sim_end_s *end, struct iovec *iov, int count, uint64_t now)
{
    struct kr_sim_channel_s *c = end->channel[KR_DIR_READ];
    uint32_t size = total(iov, count), left;
    ssize_t n;

    kr_sim_channel_settle(c, now);
    n = check_faults(end, KR_DIR_READ);
    if (n)
        return n;
    left = kr_sim_channel_available(c, now);
    if (!left)
        return nothing_to_read(c);
    if (c->damaged && left > c->good)
        left = c->good;
    size = pick_size(end, KR_DIR_READ, left < size ? left : size);
    left = size;
    for (int i = 0; left; i++) {
        uint32_t part = iov[i].iov_len < left ? (uint32_t)iov[i].iov_len : left;

        kr_sim_channel_read(c, iov[i].iov_base, part);
        left -= part;
    }
    return size ? (ssize_t)size : -EAGAIN;
}

static ssize_t read_record(struct kr_sim_end_s *end, void *data, size_t room, uint64_t now)
{
    struct kr_sim_channel_s *c = end->channel[KR_DIR_READ];
    uint32_t size;
    ssize_t n;

    kr_sim_channel_settle(c, now);
    n = check_faults(end, KR_DIR_READ);
    if (n)
        return n;
    size = kr_sim_channel_available(c, now);
    if (!size)
        return nothing_to_read(c);
    if (!pick_size(end, KR_DIR_READ, size))
        return -EAGAIN;
    kr_sim_channel_read(c, data, size < room ? size : (uint32_t)room);
    if (size > room)
        kr_sim_channel_skip(c, size - (uint32_t)room);
    kr_sim_channel_drop_record(c);
    return size > room ? -EMSGSIZE : (ssize_t)size;
}

static ssize_t sim_read(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_sim_end_s *end = kr_stream_pv(s), *writer;
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    bool again, room;
    ssize_t n;

    pthread_mutex_lock(&end->line->lock);
    n = end->set.record ? read_record(end, iov->iov_base, iov->iov_len, now)
                        : read_bytes(end, iov, count, now);
    writer = end->channel[KR_DIR_READ]->writer;
    again = n == -EAGAIN && must_look_again(end, KR_DIR_READ, now);
    room = n != -EAGAIN && kr_sim_end_want_kick(writer, KR_DIR_WRITE);
    pthread_mutex_unlock(&end->line->lock);
    if (again)
        kr_sim_end_kick(end, KR_DIR_READ);
    if (room)
        kr_sim_end_kick(writer, KR_DIR_WRITE);
    return n;
}

static ssize_t write_bytes(struct kr_sim_end_s *end, const struct iovec *iov, int count,
                           uint64_t now)
{
    struct kr_sim_channel_s *c = end->channel[KR_DIR_WRITE];
    uint32_t size = total(iov, count), room, done = 0;
    ssize_t n;

    kr_sim_channel_settle(c, now);
    n = check_faults(end, KR_DIR_WRITE);
    if (n)
        return n;
    if (c->no_reader)
        return -EPIPE;
    if (end->set.record && size > c->size)
        return -EMSGSIZE;
    end->need = end->set.record ? size : 1;
    room = kr_sim_channel_room(c);
    if (room < end->need)
        return -EAGAIN;
    size = pick_size(end, KR_DIR_WRITE, room < size ? room : size);
    if (size && !kr_sim_uart_match(end)) {
        kr_sim_channel_damage(c);
        c->reader->uart.counts.framing += size;
        return (ssize_t)size;
    }
    for (int i = 0; done < size; i++) {
        uint32_t part = iov[i].iov_len < size - done ? (uint32_t)iov[i].iov_len : size - done;
        uint32_t moved = kr_sim_channel_write(c, now, iov[i].iov_base, part);

        done += moved;
        if (moved < part)
            break;
    }
    return done ? (ssize_t)done : -EAGAIN;
}

static ssize_t sim_write(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_sim_end_s *end = kr_stream_pv(s), *reader;
    uint64_t now = kr_clock_now(kr_sim_end_clock(end));
    bool again, news;
    ssize_t n;

    pthread_mutex_lock(&end->line->lock);
    n = write_bytes(end, iov, count, now);
    reader = end->channel[KR_DIR_WRITE]->reader;
    again = n == -EAGAIN && must_look_again(end, KR_DIR_WRITE, now);
    news = n > 0 && kr_sim_end_want_kick(reader, KR_DIR_READ);
    pthread_mutex_unlock(&end->line->lock);
    if (again)
        kr_sim_end_kick(end, KR_DIR_WRITE);
    if (news)
        kr_sim_end_kick(reader, KR_DIR_READ);
    return n;
}

static ssize_t sim_recv_frame(struct kr_stream_s *s, void *data, size_t size)
{
    struct iovec iov = {data, size};

    return sim_read(s, &iov, 1);
}

static ssize_t sim_send_frame(struct kr_stream_s *s, const void *data, size_t size)
{
    struct iovec iov = {(void *)data, size};

    return sim_write(s, &iov, 1);
}

int64_t kr_sim_end_left(struct kr_sim_end_s *end)
{
    struct kr_sim_channel_s *c = end->channel[KR_DIR_WRITE];
    uint64_t now = kr_clock_now(kr_sim_end_clock(end)), left;

    pthread_mutex_lock(&end->line->lock);
    kr_sim_channel_settle(c, now);
    left = kr_sim_channel_drain(c, now);
    pthread_mutex_unlock(&end->line->lock);
    return (int64_t)left;
}

static uint64_t sim_char_time(struct kr_stream_s *s)
{
    struct kr_sim_end_s *end = kr_stream_pv(s);

    return end->set.rate ? KROUTINE_SEC(1) / end->set.rate : 0;
}

static int64_t sim_drain(struct kr_stream_s *s)
{
    return kr_sim_end_left(kr_stream_pv(s));
}

const struct kr_stream_ops_s kr_sim_byte_ops = {
    .readv = sim_read,
    .writev = sim_write,
    .poll = sim_poll,
    .arm = sim_arm,
    .disarm = sim_disarm,
    .drain = sim_drain,
    .char_time = sim_char_time,
};

const struct kr_stream_ops_s kr_sim_record_ops = {
    .readv = sim_read,
    .writev = sim_write,
    .recv_frame = sim_recv_frame,
    .send_frame = sim_send_frame,
    .poll = sim_poll,
    .arm = sim_arm,
    .disarm = sim_disarm,
    .drain = sim_drain,
};

/* --- life --- */

static void init_watch(struct kr_sim_end_s *end, enum kr_dir_e dir)
{
    struct kr_sim_watch_s *w = &end->watch[dir];

    w->end = end;
    w->dir = dir;
    kroutine_init_sched_switch(&w->kick, kicked);
    kroutine_bind(&w->kick, end->rt);
    w->kick.mark = KR_INTERNAL;
    dev_timer_rq_init_immediate(&w->timer, rung);
    w->timer.base.kr.runtime = end->rt;
}

void kr_sim_end_init(struct kr_sim_end_s *end)
{
    end->refs = 1;
    end->need = 1;
    init_watch(end, KR_DIR_READ);
    init_watch(end, KR_DIR_WRITE);
}

static void stop_watch(struct kr_sim_watch_s *w)
{
    struct kr_sim_end_s *end = w->end;

    if (kroutine_cancel(&w->kick))
        kr_sim_end_put(end);
    if (kr_clock_cancel(kr_sim_end_clock(end), &w->timer) == 0)
        kr_sim_end_put(end);
}

void kr_sim_end_stop(struct kr_sim_end_s *end)
{
    stop_watch(&end->watch[KR_DIR_READ]);
    stop_watch(&end->watch[KR_DIR_WRITE]);
}
