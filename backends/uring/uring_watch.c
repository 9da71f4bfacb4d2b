/* SPDX-License-Identifier: MIT */
/* Watches: a slot each, a multishot poll for each direction that is armed. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "uring.h"

enum { DIR_IN, DIR_OUT };

static unsigned event_of(int dir)
{
    return dir == DIR_IN ? KR_EV_IN : KR_EV_OUT;
}

static uint64_t ud_of(const struct kr_loop_s *loop, uint32_t index, int dir)
{
    return kr_uring_ud(dir == DIR_IN ? KR_UD_POLL_IN : KR_UD_POLL_OUT, index,
                       loop->slots[index].poll[dir].generation);
}

static void start(struct kr_loop_s *loop, uint32_t index, int dir)
{
    struct kr_uring_slot_s *slot = &loop->slots[index];
    struct io_uring_sqe *sqe = kr_uring_sqe(loop);

    if (!sqe) {
        loop->restart = true;
        return;
    }
    slot->poll[dir] = (struct kr_uring_poll_s){.generation = ++loop->generation, .active = true};
    io_uring_prep_poll_multishot(sqe, slot->watch->fd,
                                 dir == DIR_IN ? POLLIN | POLLRDHUP : POLLOUT);
    io_uring_sqe_set_data64(sqe, ud_of(loop, index, dir));
}

static error_t grow(struct kr_loop_s *loop)
{
    uint32_t size = loop->slots_size ? loop->slots_size * 2 : 16;
    struct kr_uring_slot_s *slots;

    if (size >= KR_URING_NO_SLOT)
        return -ENOSPC;
    slots = realloc(loop->slots, size * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    loop->slots = slots;
    for (uint32_t i = size; i-- > loop->slots_size;) {
        slots[i] = (struct kr_uring_slot_s){.next = loop->slots_free};
        loop->slots_free = i;
    }
    loop->slots_size = size;
    return 0;
}

error_t kr_uring_watch_add(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    error_t error = loop->slots_free == KR_URING_NO_SLOT ? grow(loop) : 0;

    if (error)
        return error;
    w->slot = loop->slots_free;
    loop->slots_free = loop->slots[w->slot].next;
    loop->slots[w->slot] = (struct kr_uring_slot_s){.watch = w};
    return 0;
}

void kr_uring_watch_arm(struct kr_loop_s *loop, struct kr_watch_s *w, unsigned events)
{
    struct kr_uring_slot_s *slot = &loop->slots[w->slot];

    slot->armed = events;
    slot->events &= events | KR_EV_HUP;
    for (int dir = DIR_IN; dir <= DIR_OUT; dir++) {
        struct kr_uring_poll_s *poll = &slot->poll[dir];

        if (events & event_of(dir)) {
            if (!poll->active && !poll->dead)
                start(loop, w->slot, dir);
        } else {
            poll->dead = false;
            if (poll->active) {
                poll->active = false;
                kr_uring_cancel(loop, ud_of(loop, w->slot, dir));
            }
        }
    }
    kr_uring_settle(loop);
}

static void free_slot(struct kr_loop_s *loop, uint32_t index)
{
    loop->slots[index].next = loop->slots_free;
    loop->slots_free = index;
}

void kr_uring_watch_del(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    struct kr_uring_slot_s *slot = &loop->slots[w->slot];
    bool cancelled = false;

    for (int dir = DIR_IN; dir <= DIR_OUT; dir++) {
        if (!slot->poll[dir].active)
            continue;
        slot->poll[dir].active = false;
        kr_uring_cancel(loop, ud_of(loop, w->slot, dir));
        cancelled = true;
    }
    slot->watch = NULL;
    slot->armed = 0;
    if (!slot->listed)
        free_slot(loop, w->slot);
    /* The polls hold the file: they have to be gone before the descriptor is closed, or nobody at
       the other end would see that it was. Their last task work runs before the call returns, and
       their last completions are of no interest: they must not end the next wait. */
    if (cancelled) {
        kr_uring_submit(loop);
        kr_uring_drain(loop);
    }
    kr_uring_settle(loop);
}

static void append(struct kr_loop_s *loop, uint32_t index)
{
    loop->slots[index].listed = true;
    loop->slots[index].next = KR_URING_NO_SLOT;
    if (loop->last == KR_URING_NO_SLOT)
        loop->first = index;
    else
        loop->slots[loop->last].next = index;
    loop->last = index;
    loop->listed++;
}

void kr_uring_note_poll(struct kr_loop_s *loop, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data >> 4;
    int dir = (cqe->user_data & 15) == KR_UD_POLL_IN ? DIR_IN : DIR_OUT;
    struct kr_uring_slot_s *slot = &loop->slots[index];
    struct kr_uring_poll_s *poll = &slot->poll[dir];

    if (!slot->watch || !poll->active || poll->generation != cqe->user_data >> 32)
        return;

    bool hup = cqe->res < 0 || (cqe->res & (POLLERR | POLLHUP | POLLNVAL));

    if (cqe->res < 0 || (cqe->res & (hup ? -1 : dir == DIR_IN ? POLLIN : POLLOUT)))
        slot->events |= hup ? slot->armed | KR_EV_HUP : event_of(dir);
    if (cqe->res > 0 && cqe->res & POLLRDHUP) /* the peer writes no more; reads have an end */
        slot->events |= KR_EV_HUP;
    if (cqe->flags & IORING_CQE_F_MORE) {
        poll->fired = true;
    } else {
        /* Ended by a full completion queue: started again when the events are handed out, since
           doing it now, with nothing read, would only fill the queue again. Ended by an error, or
           by a hang-up before it brought anything: it would end at once again, for ever. */
        poll->active = false;
        poll->dead = cqe->res < 0 || (hup && !poll->fired);
    }
    if ((slot->events || !poll->active) && !slot->listed)
        append(loop, index);
}

static void start_again(struct kr_loop_s *loop, uint32_t index)
{
    for (int dir = DIR_IN; dir <= DIR_OUT; dir++) {
        const struct kr_uring_slot_s *slot = &loop->slots[index];

        if ((slot->armed & event_of(dir)) && !slot->poll[dir].active && !slot->poll[dir].dead)
            start(loop, index, dir);
    }
}

void kr_uring_restart(struct kr_loop_s *loop)
{
    for (uint32_t i = 0; i < loop->slots_size; i++) {
        if (loop->slots[i].watch)
            start_again(loop, i);
    }
}

int kr_uring_dispatch(struct kr_loop_s *loop, uint32_t count)
{
    int called = 0;

    for (; count && loop->first != KR_URING_NO_SLOT; count--) {
        uint32_t index = loop->first;
        struct kr_uring_slot_s *slot = &loop->slots[index];
        struct kr_watch_s *w = slot->watch;
        unsigned events = slot->events;

        loop->first = slot->next;
        if (loop->first == KR_URING_NO_SLOT)
            loop->last = KR_URING_NO_SLOT;
        loop->listed--;
        slot->listed = false;
        slot->events = 0;
        if (!w) {
            free_slot(loop, index);
            continue;
        }
        start_again(loop, index);
        if (events & loop->slots[index].armed) {
            w->ready(w, events); /* may close it, and move the table */
            called++;
        }
    }
    return called;
}
