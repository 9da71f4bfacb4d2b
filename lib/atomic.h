/* SPDX-License-Identifier: MIT */
/* Atomic access to plain integers and pointers: public structs must also compile as C++, which has
   no _Atomic. Orders are named where they are weaker than sequentially consistent. */
#ifndef KR_ATOMIC_H
#define KR_ATOMIC_H

#define kr_load(p)             __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define kr_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define kr_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define kr_store(p, v)         __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define kr_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define kr_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define kr_xchg(p, v)          __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define kr_or(p, v)            __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define kr_and(p, v)           __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define kr_add(p, v)           __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define kr_sub(p, v)           __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define kr_add_relaxed(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)

/* On failure *expected is what was there. */
#define kr_cas(p, expected, desired)                                                               \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_SEQ_CST,               \
                                __ATOMIC_SEQ_CST)

#define kr_likely(x)   __builtin_expect(!!(x), 1)
#define kr_unlikely(x) __builtin_expect(!!(x), 0)

#endif
