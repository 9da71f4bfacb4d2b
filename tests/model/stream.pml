/* SPDX-License-Identifier: MIT */
/*
 * lib/stream.c: one direction of a stream. Requests want one byte each. Threads submit them, one
 * cancels, one closes; the kernel brings bytes and, while armed, an edge; the reactor delivers it.
 * The lock is an atomic block; the system call is outside of it.
 *
 * Claims: a request ends exactly once, by its handler or by a cancel that returned 0; none is left
 * behind when nothing moves any more, though bytes or the close would have ended it; handlers run
 * in order of submission; a closed direction is quiet when close returns.
 * Faults that must break one: -DCLEAR_READY_LATE, -DCANCEL_ACTIVE, -DFREE_TOO_LATE,
 * -DDISARM_WITHOUT_PUMP, -DCLOSE_WITHOUT_WAIT.
 */
#define REQUESTS 3
#define BYTES    3

mtype = { FREE, QUEUED, ACTIVE, ABORTED, OVER };

mtype state[REQUESTS] = FREE;
byte ends[REQUESTS];      /* handlers run */
bit taken_back[REQUESTS]; /* cancel returned 0 */
byte fifo[REQUESTS];      /* queue, the head at 0 */
byte length;
byte number[REQUESTS];    /* order of submission, from 1 */
byte submitted, last_end;
bit pumping, ready = 1, armed, closed;
byte bytes;
bit kernel_armed, edge, close_returned;
bit wants_close = 0;

/* with the lock */
inline remove(r)
{
    byte at_, to_;

    at_ = 0;
    to_ = 0;
    do
    :: at_ < length ->
        if
        :: fifo[at_] != r -> fifo[to_] = fifo[at_]; to_++
        :: else
        fi;
        at_++
    :: else -> break
    od;
    length = to_
}

inline handler(r)
{
    assert(!taken_back[r]);
    assert(!close_returned);
    assert(number[r] > last_end);
    last_end = number[r];
    ends[r]++;
    assert(ends[r] == 1)
}

inline seize(mine)
{
    if
    :: pumping -> mine = 0
    :: else -> pumping = 1; mine = 1
    fi
}

/* The pumper, without the lock. */
inline serve()
{
    do
    :: atomic {
           if
           :: closed && length > 0 -> h = fifo[0]; remove(h); state[h] = OVER; act = 1
           :: closed && length == 0 -> act = 0
           :: !closed && length > 0 && ready ->
#ifndef CLEAR_READY_LATE
               ready = 0;
#endif
               h = fifo[0];
               state[h] = ACTIVE;
               act = 2
           :: !closed && length > 0 && !ready && !armed -> armed = 1; act = 3
           :: else -> act = 0
           fi;
           if
           :: act == 0 ->
#ifndef FREE_TOO_LATE
               pumping = 0
#else
               skip
#endif
           :: else
           fi
       }
       if
       :: act == 0 ->
#ifdef FREE_TOO_LATE
           pumping = 0; /* in another critical section than the look */
#endif
           break
       :: act == 1 -> handler(h)
       :: act == 2 ->
           atomic { /* the system call */
               got = (bytes > 0);
               bytes = bytes - got
           }
           atomic {
               if
               :: got -> remove(h); state[h] = OVER; ready = 1; act = 1
               :: !got && state[h] == ABORTED -> remove(h); state[h] = OVER; act = 1
               :: else -> state[h] = QUEUED
               fi
#ifdef CLEAR_READY_LATE
               ;
               if
               :: !got -> ready = 0
               :: else
               fi
#endif
           }
           if
           :: act == 1 -> handler(h)
           :: else
           fi
       :: act == 3 -> atomic { kernel_armed = 1; edge = edge | (bytes > 0) }
       fi
    od
}

proctype submitter(byte r)
{
    byte h, act;
    bit mine, got;

    atomic {
        if
        :: closed -> mine = 0; state[r] = OVER; number[r] = 255
        :: else ->
            submitted++;
            number[r] = submitted;
            state[r] = QUEUED;
            fifo[length] = r;
            length++;
            if
            :: fifo[0] == r && !ready && !pumping -> ready = 1
            :: else
            fi;
            if
            :: fifo[0] == r || ready || pumping -> seize(mine)
            :: else -> mine = 0
            fi
        fi
    }
    if
    :: number[r] == 255 -> ends[r]++ /* refused: its handler runs here, in no order */
    :: mine -> serve()
    :: else
    fi
}

proctype canceller(byte r)
{
    atomic {
        state[r] != FREE;
        if
        :: state[r] == QUEUED -> remove(r); state[r] = OVER; taken_back[r] = 1
        :: state[r] == ACTIVE ->
#ifdef CANCEL_ACTIVE
            remove(r); taken_back[r] = 1;
#endif
            state[r] = ABORTED
        :: else
        fi
    }
    assert(!(taken_back[r] && ends[r]))
}

proctype kernel()
{
    byte i;

    for (i : 1 .. BYTES) {
        atomic { bytes++; edge = edge | kernel_armed }
    }
}

proctype reactor()
{
    byte h, act;
    bit mine, got, disarm;

end:
    do
    :: edge ->
        edge = 0;
        atomic {
            disarm = 0;
            mine = 0;
            ready = 1;
            if
            :: pumping || length > 0 -> seize(mine)
            :: !pumping && length == 0 && armed ->
                armed = 0;
                disarm = 1;
#ifndef DISARM_WITHOUT_PUMP
                seize(mine)
#endif
            :: else
            fi
        }
        if
        :: disarm -> kernel_armed = 0
        :: else
        fi;
        if
        :: mine -> serve()
        :: else
        fi
    od
}

proctype closer()
{
    byte h, act;
    bit mine, got;

    atomic { closed = 1; seize(mine) }
    if
    :: mine -> serve()
    :: else
    fi;
#ifndef CLOSE_WITHOUT_WAIT
    !pumping;
#endif
    close_returned = 1
}

init {
    byte i;

    atomic {
        if
        :: wants_close = 0
        :: wants_close = 1
        fi;
        for (i : 0 .. REQUESTS - 1) { run submitter(i) }
        run canceller(1);
        run kernel();
        run reactor();
        if
        :: wants_close -> run closer()
        :: else
        fi
    }
    timeout;
    for (i : 0 .. REQUESTS - 1) {
        assert(ends[i] + taken_back[i] == 1)
    }
}
