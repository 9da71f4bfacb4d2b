/* SPDX-License-Identifier: MIT */
/* Device trees from inside: shared by device.c (life), accessor.c, tree.c (lookup) and class.c
   (calls into drivers). */
#ifndef KR_DEVICE_H
#define KR_DEVICE_H

#include <errno.h>

#include "internal.h"

/*
 * Life of a device. All states but OPEN are left under tree->lock, which is not held while the
 * driver's f_open and f_close run.
 *
 *     OPENING ──f_open──▶ OPEN ──last put, destroy, end of the runtime──▶ CLOSING ──f_close──▶
 * CLOSED └──────────────────────────── f_open failed ──────────────────────────────────────────▲
 */
enum kr_device_state_e { KR_DEV_OPENING, KR_DEV_OPEN, KR_DEV_CLOSING, KR_DEV_CLOSED };

/* dev->refs: calls that are inside the device, a mark, and what keeps its memory. One word, because
   a call has to count itself and see the mark in one step. The memory goes when the word becomes
   KR_DEV_SHUT alone. */
#define KR_DEV_INSIDE 0x00007fffu
#define KR_DEV_SHUT   0x00008000u /* calls are refused */
#define KR_DEV_HOLD   0x00010000u /* one hold */

/* One a runtime, kept by the runtime, by each device and by device_hold() of its root. */
struct kr_tree_s;

struct kr_dma_memory_s;
struct kr_bus_s;

struct device_s {
    uint32_t refs; /* atomic */
    struct kr_tree_s *tree;
    const struct driver_s *driver; /* NULL: the root */
    void *pv;                      /* of the driver, aligned to 16 */
    const char *name;
    struct kr_dma_memory_s *dma; /* atomic: dma_memory.c; NULL: nothing was mapped yet */

    /* tree->lock */
    struct device_s *next;
    struct device_s *prev;
    enum kr_device_state_e state;
    uint32_t uses;    /* accessors */
    uint32_t starts;  /* device_start */
    bool start_busy;  /* a thread is in f_use */
    bool by_spec;     /* closes with its last accessor */
    bool unshared;    /* the same spec makes another device */
    bool opened;      /* f_open has succeeded */
    bool fixed;       /* made by the runtime itself: device_destroy refuses */
    pthread_t worker; /* OPENING, CLOSING: the thread that does it */
};

struct kr_tree_s {
    struct device_s root;               /* its refs count the holds on the tree */
    struct kroutine_runtime_s *runtime; /* atomic; NULL: it runs nothing any more */
    uint32_t fork_generation;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* state, start_busy */
    bool closing;
    struct device_s *head; /* in order of creation; a device leaves when its memory goes */
    struct device_s *tail;
    struct kr_bus_s *buses; /* bus.c: with open devices */
};

/* --- device.c --- */

/* `fixed`: device_destroy refuses it. */
error_t kr_device_create(struct device_s **ret, struct kr_tree_s *tree, const char *name,
                         const struct driver_s *driver, const char *text, bool fixed);
/* One use more of the device that this spec made, or of a new one; waits for a thread that is
   opening or closing the same. `whole`: the spec with its prefix. */
error_t kr_device_by_spec(struct device_s **ret, struct kr_tree_s *tree,
                          const struct driver_s *driver, const struct device_spec_s *spec,
                          const char *whole);
/* From OPEN to CLOSED: the first under tree->lock, then the second without it. */
void kr_device_begin_close_locked(struct device_s *dev);
void kr_device_close(struct device_s *dev);
/* The driver has failed; it may have said why. What a layer says names the device below. */
error_t kr_device_driver_error(const struct device_s *dev, error_t err);

/* --- accessor.c --- */

/* With a use of the device, which goes back when the driver refuses the accessor. */
error_t kr_accessor_fill(struct device_accessor_s *acc, struct device_s *dev,
                         enum driver_class_e cl);

/* --- tree.c --- */

/* The tree of `root`, NULL: of the default runtime. -EPERM, -ENOMEM with a text. */
error_t kr_tree_of(struct kr_tree_s **ret, struct device_s *root);
void kr_tree_free(struct kr_tree_s *tree);

/* --- driver.c --- */

const struct driver_s *kr_driver_find(const char *name, size_t length);
/* Of a spec that a layered driver serves, the driver at the bottom; NULL: a device with a name. */
const struct driver_s *kr_driver_bottom(const struct driver_s *driver, const char *spec);
/* "fd, file, tty": those that have the class, of DRIVER_CLASS_NONE all. */
void kr_driver_names(char *text, size_t size, enum driver_class_e cl);
const void *kr_driver_table(const struct driver_s *driver, enum driver_class_e cl);
void kr_driver_classes(const struct driver_s *driver, char *text, size_t size); /* "char, uart" */

/* --- class.c --- */

/* -EINVAL: there is no such class. */
error_t kr_class_check(enum driver_class_e cl);
/* For the fronts of classes. Ends a request that the driver does not get. Inside `dev`, which keeps
   the runtime there meanwhile; NULL: the accessor is not open. */
void kr_class_refuse(struct device_s *dev, struct dev_request_s *rq, error_t err);
/* After a cancel that gave 0: it is the caller's again, and no handler was executed. */
void kr_class_take_back(struct dev_request_s *rq);
/* -ENOTSUP with a text: the driver does not have this operation. */
error_t kr_class_lacks(const struct device_s *dev) __attribute__((cold));
/* dev_request_s.expires of a request with this time-out that is submitted now. */
uint64_t kr_class_expiry(struct device_s *dev, uint64_t timeout);

/* --- request.c: by the class of the accessor --- */

/* Not 0: the class is one of nested submission, and has refused it; -ENOTSUP: it has no requests.
 */
error_t kr_request_submit(const struct device_accessor_s *acc, struct dev_request_s *rq);
error_t kr_request_cancel(const struct device_accessor_s *acc, struct dev_request_s *rq);

/* --- class_bus.c, class_dma.c, class_gpio.c, class_mmio.c, class_uart.c --- */

extern const struct driver_dma_s kr_dma_front;
extern const struct driver_uart_s kr_uart_front;
extern const struct driver_gpio_s kr_gpio_front;
extern const struct driver_mmio_s kr_mmio_front;
extern const struct driver_i2c_s kr_i2c_front;
extern const struct driver_spi_s kr_spi_front;
extern const struct driver_pwm_s kr_pwm_front;
extern const struct driver_mem_s kr_mem_front;
extern const struct driver_valio_s kr_valio_front;

/* --- request.c --- */

/* As dev_request_done, for the request that the calling thread waits for: kr_self.waiting. */
void kr_request_done_waited(struct dev_request_s *rq);

/* --- irq.c --- */

/* Inside the device. */
error_t kr_irq_request(const struct device_mmio_s *acc, struct dev_irq_s *irq);

/* --- spec.c --- */

/* `text` is what follows the prefix, `whole` all of it, for error texts. */
error_t kr_spec_parse(struct device_spec_s **ret, const struct driver_s *driver, const char *text,
                      const char *whole);
void kr_spec_free(struct device_spec_s *spec);

/* --- calls into a driver --- */

void kr_device_left(struct device_s *dev, uint32_t refs); /* the slow end of kr_device_leave */

/* Every call into a driver is between these two, kr_device_leave also after a refusal: until then
   the memory of the device stays. -ECANCELED: closed. */
static inline error_t kr_device_enter(struct device_s *dev)
{
    return kr_unlikely(kr_add(&dev->refs, 1) & KR_DEV_SHUT) ? -ECANCELED : 0;
}

static inline void kr_device_leave(struct device_s *dev)
{
    uint32_t refs = kr_sub(&dev->refs, 1) - 1;

    if (kr_unlikely(refs & KR_DEV_SHUT))
        kr_device_left(dev, refs);
}

/* NULL once the runtime is gone. */
static inline struct kroutine_runtime_s *kr_device_runtime(const struct device_s *dev)
{
    return kr_load(&dev->tree->runtime);
}

/* False in a forked child: locks may be held for ever, descriptors are shared with the parent. */
static inline bool kr_tree_usable(const struct kr_tree_s *tree)
{
    return tree->fork_generation == kr_load_relaxed(&kr_forks);
}

/* Enters `dev`, which is to be left in any case. */
static inline error_t kr_class_enter(struct device_s *dev)
{
    error_t err = kr_device_enter(dev);

    return kr_unlikely(!kr_tree_usable(dev->tree)) ? -EPERM : err;
}

/* The request becomes the driver's. */
static inline void kr_class_hand_over(struct device_s *dev, struct dev_request_s *rq)
{
    rq->kr.runtime = kr_device_runtime(dev);
    kr_store_relaxed(&rq->kr.mark, KR_IN_FLIGHT);
}

/* What the request operation of every class of nested completion does: `validate(driver, rq)` may
   refuse. */
#define KR_CLASS_REQUEST(acc, rq, cl, validate)                                                    \
    do {                                                                                           \
        struct device_s *dev_ = kr_load_relaxed(&(acc)->dev);                                      \
        error_t err_;                                                                              \
                                                                                                   \
        (rq)->error = 0;                                                                           \
        (rq)->rq_progress = 0;                                                                     \
        KR_CHECK(kr_check_submit_slow(&(acc)->base, &(rq)->base, cl));                             \
        if (kr_unlikely(!dev_)) {                                                                  \
            kr_class_refuse(NULL, &(rq)->base, -ECANCELED);                                        \
            break;                                                                                 \
        }                                                                                          \
        err_ = kr_class_enter(dev_);                                                               \
        if (kr_likely(!err_))                                                                      \
            err_ = validate((acc)->drv, (rq));                                                     \
        if (kr_likely(!err_)) {                                                                    \
            kr_class_hand_over(dev_, &(rq)->base);                                                 \
            (rq)->expires = kr_unlikely((rq)->timeout) ? kr_class_expiry(dev_, (rq)->timeout) : 0; \
            kr_self.nointr++; /* a handler that runs in here is nested in this submit */           \
            (acc)->drv->f_request((acc), (rq));                                                    \
            kr_self.nointr--;                                                                      \
        } else {                                                                                   \
            kr_class_refuse(dev_, &(rq)->base, err_);                                              \
        }                                                                                          \
        kr_device_leave(dev_);                                                                     \
    } while (0)

/* What the request operation of every class of nested submission does. `possible`: the driver has
   what it takes. `hand_over(dev, acc, rq)` makes the request the driver's; once it fails, it is
   not. */
#define KR_CLASS_SUBMIT(acc, rq, cl, possible, hand_over)                                          \
    ({                                                                                             \
        struct device_s *dev_ = kr_load_relaxed(&(acc)->dev);                                      \
        bool busy_ = false;                                                                        \
        error_t err_ = 0;                                                                          \
                                                                                                   \
        KR_CHECK(kr_check_submit_slow(&(acc)->base, &(rq)->base, cl));                             \
        if (kr_unlikely(!dev_)) {                                                                  \
            err_ = -ECANCELED;                                                                     \
        } else if (kr_unlikely(!(possible))) {                                                     \
            err_ = -ENOTSUP;                                                                       \
        } else if (kr_unlikely(kr_load_relaxed(&(rq)->kr.mark))) {                                 \
            busy_ = true; /* stays whose it is */                                                  \
            err_ = -EBUSY;                                                                         \
        } else {                                                                                   \
            err_ = kr_class_enter(dev_);                                                           \
            if (kr_likely(!err_))                                                                  \
                err_ = hand_over(dev_, (acc), (rq));                                               \
            kr_device_leave(dev_);                                                                 \
        }                                                                                          \
        if (kr_unlikely(err_) && !busy_)                                                           \
            kr_class_take_back(&(rq)->base);                                                       \
        err_;                                                                                      \
    })

/* What the cancel operation of every class does, with the types of the class. */
#define KR_CLASS_CANCEL(acc, rq)                                                                   \
    ({                                                                                             \
        struct device_s *dev_ = kr_load_relaxed(&(acc)->dev);                                      \
        error_t err_ = !dev_ ? -EBUSY : !(acc)->drv->f_cancel ? -ENOTSUP : 0;                      \
                                                                                                   \
        if (!err_) {                                                                               \
            KR_CHECK(kr_check_cancel_slow(&(rq)->base));                                           \
            err_ = kr_class_enter(dev_) ? -EBUSY : (acc)->drv->f_cancel((acc), (rq));              \
            kr_device_leave(dev_);                                                                 \
            if (!err_)                                                                             \
                kr_class_take_back(&(rq)->base);                                                   \
        }                                                                                          \
        err_;                                                                                      \
    })

/* Calls operation `op` of the driver, if the device is open and the driver has it. */
#define KR_CLASS_CALL(acc, op, ...)                                                                \
    ({                                                                                             \
        struct device_s *dev_ = kr_load_relaxed(&(acc)->dev);                                      \
        error_t err_ = dev_ ? kr_class_enter(dev_) : -ECANCELED;                                   \
                                                                                                   \
        if (kr_likely(!err_))                                                                      \
            err_ = (acc)->drv->op ? (acc)->drv->op((acc), ##__VA_ARGS__) : kr_class_lacks(dev_);   \
        if (dev_)                                                                                  \
            kr_device_leave(dev_);                                                                 \
        err_;                                                                                      \
    })

#endif
