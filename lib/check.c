/* SPDX-License-Identifier: MIT */
/*
 * The rule checker. What is in flight is in a hash table beside the requests, with a copy of what
 * each one was at submit: memory of a request that its owner freed or reused says nothing reliable.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

bool kr_check_enabled;

struct entry_s {
    struct entry_s *next;
    const struct dev_request_s *rq;
    const void *handler; /* kr.exec at submit */
    uint8_t policy;
    enum driver_class_e cl;
    char device[KR_CHECK_NAME];
};

static struct {
    pthread_mutex_t lock;
    struct entry_s **slots; /* chains; a power of two, at least as many as entries */
    size_t size;
    size_t count;
    struct entry_s *spare; /* used before: a program in its stride allocates nothing here */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forked_child(void)
{
    pthread_mutex_init(&table.lock, NULL);
}

static void setup(void)
{
    const char *value = getenv("KROUTINE_CHECK");

#if !defined(NDEBUG) && defined(KR_CHECK_DEFAULT)
    kr_check_enabled = KR_CHECK_DEFAULT;
#endif
    if (value && *value)
        kr_check_enabled = strcmp(value, "0") != 0;
    if (kr_check_enabled)
        pthread_atfork(NULL, NULL, forked_child);
}

void kr_check_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, setup);
}

/* --- reports --- */

#define SYMBOL 128

static const char *symbol(const void *handler, char *text)
{
    if (handler)
        kr_platform_symbol(handler, text, SYMBOL);
    else
        snprintf(text, SYMBOL, "none");
    return text;
}

__attribute__((format(printf, 1, 2), noreturn)) static void report(const char *format, ...)
{
    char line[1024] = "libkroutine: rule broken: ";
    size_t used = strlen(line);
    ssize_t written;
    va_list args;

    va_start(args, format);
    vsnprintf(line + used, sizeof(line) - used - 1, format, args);
    va_end(args);
    strcat(line, "\n");
    written =
        write(STDERR_FILENO, line, strlen(line)); /* one call: threads do not mix their lines */
    (void)written;
    abort();
}

/* --- the table --- */

static size_t slot_of(const struct dev_request_s *rq)
{
    return ((uintptr_t)rq >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (table.size - 1);
}

static bool grow_locked(void)
{
    size_t size = table.size, wanted = size ? size * 2 : 64;
    struct entry_s **old = table.slots, **slots = calloc(wanted, sizeof(*slots)), *entry;

    if (!slots)
        return false;
    table.slots = slots;
    table.size = wanted;
    for (size_t i = 0; i < size; i++) {
        while ((entry = old[i])) {
            struct entry_s **slot = &slots[slot_of(entry->rq)];

            old[i] = entry->next;
            entry->next = *slot;
            *slot = entry;
        }
    }
    free(old);
    return true;
}

/* The link to the entry of `rq`; NULL: not in flight. */
static struct entry_s **find_locked(const struct dev_request_s *rq)
{
    struct entry_s **link = table.size ? &table.slots[slot_of(rq)] : NULL;

    while (link && *link && (*link)->rq != rq)
        link = &(*link)->next;
    return link && *link ? link : NULL;
}

/* Out of memory: the request is not watched. */
static struct entry_s *add_locked(const struct dev_request_s *rq)
{
    struct entry_s *entry = table.spare, **slot;

    if (table.count == table.size && !grow_locked())
        return NULL;
    if (entry)
        table.spare = entry->next;
    else
        entry = malloc(sizeof(*entry));
    if (!entry)
        return NULL;
    slot = &table.slots[slot_of(rq)];
    entry->rq = rq;
    entry->next = *slot;
    *slot = entry;
    table.count++;
    return entry;
}

static bool look_up(struct entry_s *copy, const struct dev_request_s *rq)
{
    struct entry_s **link;

    pthread_mutex_lock(&table.lock);
    link = find_locked(rq);
    if (link)
        *copy = **link;
    pthread_mutex_unlock(&table.lock);
    return link != NULL;
}

static bool take_out(struct entry_s *copy, const struct dev_request_s *rq)
{
    struct entry_s **link, *entry = NULL;

    pthread_mutex_lock(&table.lock);
    link = find_locked(rq);
    if (link) {
        entry = *link;
        *link = entry->next;
        *copy = *entry;
        entry->next = table.spare;
        table.spare = entry;
        table.count--;
    }
    pthread_mutex_unlock(&table.lock);
    return entry != NULL;
}

/* --- rules --- */

static void copy_name(char *to, const struct device_accessor_s *acc)
{
    snprintf(to, KR_CHECK_NAME, "%s", acc->dev ? device_name(acc->dev) : "(accessor not open)");
}

static void check_nesting(const struct device_accessor_s *acc, const struct dev_request_s *rq,
                          enum driver_class_e cl)
{
    const struct kr_check_frame_s *frame = kr_self.immediate;
    char handler[SYMBOL], outer[SYMBOL], name[KR_CHECK_NAME];

    if (!frame || !kr_class_nested_completion(cl))
        return;
    copy_name(name, acc);
    report("%s request submitted from an IMMEDIATE handler: device '%s', class %s, request handler "
           "%s, from handler %s of '%s', class %s; use DEFERRED. See kroutine-nesting(7)",
           device_class_name(cl), name, device_class_name(cl),
           symbol((const void *)rq->kr.exec, handler), symbol(frame->handler, outer), frame->device,
           device_class_name(frame->cl));
}

__attribute__((noreturn)) static void report_request(const struct entry_s *entry, const char *what,
                                                     const char *advice)
{
    char handler[SYMBOL];

    report("request %s: device '%s', class %s, request handler %s; %s", what, entry->device,
           device_class_name(entry->cl), symbol(entry->handler, handler), advice);
}

/* Who breaks this rule may be writing at this moment. */
static void check_intact(const struct entry_s *entry, const struct dev_request_s *rq)
{
    if ((const void *)kr_load_relaxed(&rq->kr.exec) != entry->handler ||
        kr_load_relaxed(&rq->kr.policy) != entry->policy)
        report_request(entry, "freed or overwritten in flight",
                       "its memory is the library's until it is over. See dev_request(3)");
}

void kr_check_submit_slow(const struct device_accessor_s *acc, struct dev_request_s *rq,
                          enum driver_class_e cl)
{
    struct entry_s *entry, other;

    check_nesting(acc, rq, cl);
    if (look_up(&other, rq))
        report_request(&other, "submitted twice", "it is still in flight. See dev_request(3)");
    other = (struct entry_s){
        .rq = rq, .handler = (const void *)rq->kr.exec, .policy = rq->kr.policy, .cl = cl};
    copy_name(other.device, acc);
    if (kroutine_is_pending(&rq->kr)) /* the two ends would merge into one run */
        report_request(&other, "submitted twice",
                       "its handler has not run yet for the time before. See dev_request(3)");
    pthread_mutex_lock(&table.lock);
    entry = add_locked(rq);
    if (entry) {
        other.next = entry->next;
        *entry = other;
    }
    pthread_mutex_unlock(&table.lock);
}

void kr_check_end_slow(struct dev_request_s *rq, struct kr_check_frame_s *frame)
{
    struct entry_s entry;
    bool known = take_out(&entry, rq);

    if (known)
        check_intact(&entry, rq);
    if (!frame)
        return;
    frame->handler = (const void *)rq->kr.exec;
    frame->cl = known ? entry.cl : DRIVER_CLASS_NONE;
    snprintf(frame->device, sizeof(frame->device), "%s", known ? entry.device : "");
}

void kr_check_cancel_slow(const struct dev_request_s *rq)
{
    struct entry_s **link;

    /* With the lock: another thread that ends the request takes it out first. */
    pthread_mutex_lock(&table.lock);
    link = find_locked(rq);
    if (link)
        check_intact(*link, rq);
    pthread_mutex_unlock(&table.lock);
}

void kr_check_idle_slow(const struct dev_request_s *rq, const char *what)
{
    struct entry_s entry;
    char text[64];

    if (!look_up(&entry, rq))
        return;
    snprintf(text, sizeof(text), "%s in flight", what);
    report_request(&entry, text, "cancel it first, or wait for its end. See kroutine-cancel(7)");
}

void kr_check_in_use(const char *what, const void *object, const struct kroutine_s *kr)
{
    char handler[SYMBOL];

    if (kr)
        report("%s %p destroyed in use: a kroutine is pending in it, handler %s. "
               "See kroutine_%s(3)",
               what, object, symbol((const void *)kr->exec, handler), what);
    report("%s %p destroyed in use: a kroutine of it is running, or a thread waits in it. "
           "See kroutine_%s(3)",
           what, object, what);
}
