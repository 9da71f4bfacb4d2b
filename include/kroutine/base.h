/* SPDX-License-Identifier: MIT */
/* What every header of libkroutine needs: error type, export mark, time unit. */
#ifndef KROUTINE_BASE_H
#define KROUTINE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 or a negative errno of the host (-EBUSY, -ECANCELED …). glibc has the same typedef. */
#ifndef __error_t_defined
#define __error_t_defined 1
typedef int error_t;
#endif

/* Symbols are hidden unless marked; lib/libkroutine.map lists the same names. */
#define KROUTINE_API __attribute__((visibility("default")))

/* Recovers the object that embeds a member; `type` is an object type or an lvalue of it. */
#define KROUTINE_CONTAINER(ptr, type, field)                                                       \
    ((__typeof__(type) *)((char *)(ptr)-offsetof(__typeof__(type), field)))

/* Nanoseconds, the unit of every time-out of the library. */
#define KROUTINE_USEC(n) ((uint64_t)(n)*1000u)
#define KROUTINE_MSEC(n) ((uint64_t)(n)*1000000u)
#define KROUTINE_SEC(n)  ((uint64_t)(n)*1000000000u)

struct kroutine_runtime_s;
struct kroutine_queue_s;
struct kroutine_sequence_s;

#ifdef __cplusplus
}
#endif
#endif
