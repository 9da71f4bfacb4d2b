/* SPDX-License-Identifier: MIT */
/*
 * lib/pool.c: how workers sleep and are woken. Two producers push, two workers pop; whoever finds
 * nothing sets its bit in `idle`, looks again, and waits on its semaphore.
 *
 * Claim: when nothing moves any more, everything that was pushed has run.
 * Faults that must break it: -DNO_SECOND_LOOK, -DLOOK_BEFORE_PUSH, -DLOST_POST.
 */
#define WORKERS   2
#define PRODUCERS 2
#define ITEMS     2

byte queue, ran, idle;
byte sem[WORKERS];

inline take_bit(n, mine)
{
    d_step {
        mine = (idle >> n) & 1;
        idle = idle & ~(1 << n)
    }
}

inline wake_any(seen)
{
    do
    :: seen == 0 -> break
    :: seen != 0 ->
        n = (seen & 1 -> 0 : 1);
        take_bit(n, mine);
        if
        :: mine ->
#ifndef LOST_POST
            sem[n]++;
#endif
            break
        :: else -> seen = idle
        fi
    od
}

proctype producer()
{
    byte i, n, seen;
    bit mine;

    for (i : 1 .. ITEMS) {
#ifdef LOOK_BEFORE_PUSH
        seen = idle;
        queue++;
#else
        queue++; /* kr_runq_push: one atomic operation */
        seen = idle;
#endif
        wake_any(seen)
    }
}

proctype worker(byte me)
{
    bit mine;

look:
    atomic {
        if
        :: queue > 0 -> queue--; ran++; goto look
        :: else
        fi
    }
    idle = idle | (1 << me);
#ifndef NO_SECOND_LOOK
    if
    :: queue > 0 ->
        take_bit(me, mine);
        if
        :: mine -> goto look /* nobody has promised a post */
        :: else
        fi
    :: else
    fi;
#endif
end:
    atomic { sem[me] > 0 -> sem[me]-- };
    goto look
}

init {
    byte i;

    atomic {
        for (i : 1 .. PRODUCERS) { run producer() }
        for (i : 1 .. WORKERS) { run worker(i - 1) }
    }
    timeout;
    assert(queue == 0 && ran == PRODUCERS * ITEMS)
}
