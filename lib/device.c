/* SPDX-License-Identifier: MIT */
/*
 * The device tree of a runtime and the accessors to its devices: who keeps a device open, who
 * closes it, and how long its memory stays. Trees as a whole and looking up by
 * path: tree.c.
 */
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define ALIGNMENT 64 /* a cache line: dev->refs of two devices do not share one */

/* --- memory --- */

static void unlink_locked(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;

    *(dev->prev ? &dev->prev->next : &tree->head) = dev->next;
    *(dev->next ? &dev->next->prev : &tree->tail) = dev->prev;
}

static void link_locked(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;

    dev->next = NULL;
    dev->prev = tree->tail;
    *(tree->tail ? &tree->tail->next : &tree->head) = dev;
    tree->tail = dev;
}

static struct device_s *device_alloc(struct kr_tree_s *tree, const struct driver_s *driver,
                                     const char *name)
{
    size_t head = (sizeof(struct device_s) + 15) & ~(size_t)15;
    size_t length = strlen(name) + 1;
    size_t size = (head + driver->pv_size + length + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct device_s *dev = aligned_alloc(ALIGNMENT, size);

    if (!dev)
        return NULL;
    memset(dev, 0, size);
    dev->refs = KR_DEV_HOLD;
    dev->tree = tree;
    dev->driver = driver;
    dev->pv = (char *)dev + head;
    dev->name = memcpy((char *)dev->pv + driver->pv_size, name, length);
    dev->state = KR_DEV_OPENING;
    dev->worker = pthread_self();
    device_hold(&tree->root);
    return dev;
}

/* One that was never linked. */
static void device_discard(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;

    free(dev);
    device_release(&tree->root);
}

void kr_device_left(struct device_s *dev, uint32_t refs)
{
    struct kr_tree_s *tree;

    if (refs != KR_DEV_SHUT) { /* somebody keeps `dev`, but not for this thread */
        if (!(refs & KR_DEV_INSIDE))
            kr_thread_tell(); /* kr_devices_close_all and kr_devices_destroy wait for that */
        return;
    }
    tree = dev->tree;
    if (!dev->driver) {
        kr_tree_free(tree);
        return;
    }
    pthread_mutex_lock(&tree->lock);
    unlink_locked(dev);
    pthread_mutex_unlock(&tree->lock);
    if (dev->opened && dev->driver->f_free)
        dev->driver->f_free(dev);
    device_discard(dev);
}

struct device_s *device_hold(struct device_s *dev)
{
    kr_add(&dev->refs, KR_DEV_HOLD);
    return dev;
}

void device_release(struct device_s *dev)
{
    uint32_t refs = kr_sub(&dev->refs, KR_DEV_HOLD) - KR_DEV_HOLD;

    if (refs == KR_DEV_SHUT)
        kr_device_left(dev, refs);
}

/* --- opening and closing --- */

static void count_open(struct device_s *dev, uint32_t change)
{
    struct kroutine_runtime_s *rt = kr_device_runtime(dev);

    if (dev->driver != &kr_driver_timer)
        kr_add(&rt->open_devices, change);
}

/* The driver has failed; it may have said why. What a layer says names the device below. */
static error_t driver_error(const struct device_s *dev, error_t err)
{
    return device_error(err, "%s: %s", dev->driver->layered ? dev->driver->name : dev->name,
                        kr_self.error_text[0] ? kr_self.error_text : strerror(-err));
}

/* Of a device that is linked and OPENING. */
static error_t device_open(struct device_s *dev, const struct device_spec_s *spec, uint32_t uses)
{
    struct kr_tree_s *tree = dev->tree;
    error_t err;

    kr_self.error_text[0] = 0;
    err = dev->driver->f_open(dev, spec);
    if (err)
        driver_error(dev, err);
    else
        count_open(dev, 1);
    pthread_mutex_lock(&tree->lock);
    if (!err && dev->driver->layered) { /* behind what it rests on, see kr_devices_close_all */
        unlink_locked(dev);
        link_locked(dev);
    }
    dev->state = err ? KR_DEV_CLOSED : KR_DEV_OPEN;
    dev->opened = !err;
    dev->uses = err ? 0 : uses;
    pthread_cond_broadcast(&tree->changed);
    pthread_mutex_unlock(&tree->lock);
    if (err) {
        kr_or(&dev->refs, KR_DEV_SHUT);
        device_release(dev);
    }
    return err;
}

/* Of a device that this thread has made CLOSING. */
void kr_device_close(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;
    bool last;

    kr_or(&dev->refs, KR_DEV_SHUT);
    dev->driver->f_close(dev);
    count_open(dev, (uint32_t)-1);
    pthread_mutex_lock(&tree->lock);
    dev->state = KR_DEV_CLOSED;
    dev->starts = 0;
    last = dev->uses == 0;
    pthread_cond_broadcast(&tree->changed);
    pthread_mutex_unlock(&tree->lock);
    if (last)
        device_release(dev);
}

void kr_device_begin_close_locked(struct device_s *dev)
{
    dev->state = KR_DEV_CLOSING;
    dev->worker = pthread_self();
}

/* May this thread wait for the one that opens or closes `dev`? Not for itself, and not for a close
   from a context that the closing thread may be waiting for. */
static bool may_wait_locked(const struct device_s *dev)
{
    if (pthread_equal(dev->worker, pthread_self()))
        return false;
    return dev->state == KR_DEV_OPENING || kroutine_is_interruptible();
}

/* The device that `dev`, not linked yet, would be a second of; NULL: `dev` has been linked. */
static error_t claim_locked(struct device_s **ret, struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;
    struct device_s *other;

    for (;;) {
        if (tree->closing)
            return device_error(-ECANCELED, "the runtime is being destroyed");
        for (other = tree->head; other; other = other->next) {
            if (other->state != KR_DEV_CLOSED && !other->unshared &&
                strcmp(other->name, dev->name) == 0)
                break;
        }
        if (!other)
            link_locked(dev);
        if (!other || other->state == KR_DEV_OPEN) {
            *ret = other;
            return 0;
        }
        if (!may_wait_locked(other))
            return device_error(-EBUSY, "%s: is being %s", dev->name,
                                other->state == KR_DEV_OPENING ? "opened" : "closed");
        pthread_cond_wait(&tree->changed, &tree->lock);
    }
}

error_t kr_device_by_spec(struct device_s **ret, struct kr_tree_s *tree,
                          const struct driver_s *driver, const struct device_spec_s *spec,
                          const char *whole)
{
    struct device_s *dev = device_alloc(tree, driver, whole), *other;
    error_t err;

    if (!dev)
        return device_error(-ENOMEM, "out of memory");
    dev->by_spec = true;
    /* A number names a descriptor only until the program closes it: never shared. */
    dev->unshared = kr_driver_bottom(driver, whole) == &kr_driver_fd;
    pthread_mutex_lock(&tree->lock);
    err = claim_locked(&other, dev);
    if (!err && other)
        other->uses++;
    pthread_mutex_unlock(&tree->lock);
    if (err || other) {
        device_discard(dev);
        dev = other;
    } else {
        err = device_open(dev, spec, 1);
    }
    if (!err)
        *ret = dev;
    return err;
}

/* --- devices with a name --- */

static error_t check_name(const char *name)
{
    if (!name || !*name || strpbrk(name, " :*?"))
        return device_error(-EINVAL, "'%s' cannot be the name of a device", name ? name : "");
    return 0;
}

error_t kr_device_create(struct device_s **ret, struct kr_tree_s *tree, const char *name,
                         const struct driver_s *driver, const char *text, bool fixed)
{
    struct device_spec_s *spec;
    struct device_s *dev, *other;
    error_t err;

    err = kr_spec_parse(&spec, driver, text ? text : "", text ? text : "");
    if (err)
        return err;
    dev = device_alloc(tree, driver, name);
    if (!dev) {
        kr_spec_free(spec);
        return device_error(-ENOMEM, "out of memory");
    }
    dev->fixed = fixed;
    pthread_mutex_lock(&tree->lock);
    err = claim_locked(&other, dev);
    if (!err && other)
        err = device_error(-EEXIST, "'%s' is in the tree already", name);
    pthread_mutex_unlock(&tree->lock);
    if (err)
        device_discard(dev);
    else
        err = device_open(dev, spec, 0);
    kr_spec_free(spec);
    if (!err && ret)
        *ret = dev;
    return err;
}

error_t device_create(struct device_s **ret, struct device_s *root, const char *name,
                      const struct driver_s *driver, const char *spec)
{
    struct kr_tree_s *tree;
    error_t err;

    if (!driver || !driver->f_open || !driver->f_close)
        return device_error(-EINVAL, "the driver lacks f_open or f_close");
    err = check_name(name);
    if (!err)
        err = kr_tree_of(&tree, root);
    return err ? err : kr_device_create(ret, tree, name, driver, spec, false);
}

error_t device_destroy(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;
    error_t err = 0;

    if (!kr_tree_usable(tree))
        return device_error(-EPERM, "forked child");
    if (!dev->driver || dev->by_spec || dev->fixed)
        return device_error(-EINVAL, "'%s' was not made by device_create", dev->name);
    pthread_mutex_lock(&tree->lock);
    if (dev->state != KR_DEV_OPEN)
        err = device_error(-ECANCELED, "'%s' is closed", dev->name);
    else if (dev->uses)
        err = device_error(-EBUSY, "'%s' has open accessors", dev->name);
    else
        kr_device_begin_close_locked(dev);
    pthread_mutex_unlock(&tree->lock);
    if (!err)
        kr_device_close(dev);
    return err;
}

/* --- accessors --- */

error_t kr_accessor_fill(struct device_accessor_s *acc, struct device_s *dev,
                         enum driver_class_e cl)
{
    struct device_accessor_s full = {
        .dev = dev, .api = kr_class_front(cl), .drv = kr_device_table(dev, cl)};
    error_t err = kr_device_enter(dev);

    kr_self.error_text[0] = 0;
    if (!err && dev->driver->f_use)
        err = dev->driver->f_use(dev, DEV_USE_GET_ACCESSOR);
    kr_device_leave(dev);
    if (err && err != -ENOTSUP) {
        driver_error(dev, err);
        device_put_accessor(&full);
        return err;
    }
    *acc = full;
    return 0;
}

static error_t use(struct device_s *dev)
{
    struct kr_tree_s *tree = dev->tree;
    error_t err = 0;

    if (!dev->driver)
        return device_error(-EINVAL, "the root of a tree is not a device");
    if (!kr_tree_usable(tree))
        return device_error(-EPERM, "the device belongs to the parent of this forked process");
    pthread_mutex_lock(&tree->lock);
    if (dev->state == KR_DEV_OPEN)
        dev->uses++;
    else
        err = device_error(-ECANCELED, "'%s' is closed", dev->name);
    pthread_mutex_unlock(&tree->lock);
    return err;
}

error_t device_get_accessor(struct device_accessor_s *acc, struct device_s *dev,
                            enum driver_class_e cl)
{
    error_t err = kr_class_check(cl);

    if (!err && !device_has_class(dev, cl))
        err = device_error(-ENOTSUP, "'%s' has no class %s", dev->name, device_class_name(cl));
    if (!err)
        err = use(dev);
    return err ? err : kr_accessor_fill(acc, dev, cl);
}

error_t device_copy_accessor(struct device_accessor_s *to, const struct device_accessor_s *from)
{
    error_t err;

    if (!from->dev)
        return device_error(-EINVAL, "the accessor is not open");
    err = use(from->dev);
    if (!err)
        *to = *from;
    return err;
}

/* The exchange makes this safe when a handler that runs because of this put calls it again. `api`
   stays: such a handler may also submit once more, and gets -ECANCELED (class.c). */
void device_put_accessor(struct device_accessor_s *acc)
{
    struct device_s *dev = kr_xchg(&acc->dev, NULL);
    bool close = false, last = false;

    /* In a forked child the descriptors, and what they stand for, are the parent's: they stay. */
    if (!dev || !kr_tree_usable(dev->tree))
        return;
    pthread_mutex_lock(&dev->tree->lock);
    if (--dev->uses == 0) {
        close = dev->by_spec && dev->state == KR_DEV_OPEN;
        last = dev->state == KR_DEV_CLOSED;
        if (close)
            kr_device_begin_close_locked(dev);
    }
    pthread_mutex_unlock(&dev->tree->lock);
    if (close)
        kr_device_close(dev);
    if (last)
        device_release(dev);
}

bool device_check_accessor(const struct device_accessor_s *acc)
{
    return acc->dev != NULL;
}

bool device_cmp_accessor(const struct device_accessor_s *a, const struct device_accessor_s *b)
{
    return a->dev && a->dev == b->dev && a->drv == b->drv;
}

/* --- start and stop --- */

static error_t call_use_locked(struct device_s *dev, enum device_use_e what)
{
    struct kr_tree_s *tree = dev->tree;
    error_t err;

    if (!dev->driver->f_use)
        return 0;
    dev->start_busy = true;
    pthread_mutex_unlock(&tree->lock);
    err = dev->driver->f_use(dev, what);
    pthread_mutex_lock(&tree->lock);
    dev->start_busy = false;
    pthread_cond_broadcast(&tree->changed);
    return err;
}

static error_t start_or_stop(struct device_s *dev, enum device_use_e what)
{
    error_t err = 0;

    pthread_mutex_lock(&dev->tree->lock);
    while (dev->start_busy)
        pthread_cond_wait(&dev->tree->changed, &dev->tree->lock);
    if (what == DEV_USE_START) {
        if (dev->starts == 0)
            err = call_use_locked(dev, what);
        if (!err)
            dev->starts++;
    } else if (dev->starts == 0) {
        err = -EINVAL;
    } else if (--dev->starts == 0) {
        err = call_use_locked(dev, what);
    }
    pthread_mutex_unlock(&dev->tree->lock);
    return err;
}

static error_t count_start(struct device_accessor_s *acc, enum device_use_e what)
{
    struct device_s *dev = acc->dev;
    error_t err;

    if (!dev)
        return -EINVAL;
    if (!kr_tree_usable(dev->tree))
        return -EPERM;
    err = kr_device_enter(dev);
    if (!err)
        err = start_or_stop(dev, what);
    kr_device_leave(dev);
    return err;
}

error_t device_start(struct device_accessor_s *acc)
{
    return count_start(acc, DEV_USE_START);
}

error_t device_stop(struct device_accessor_s *acc)
{
    return count_start(acc, DEV_USE_STOP);
}

/* --- questions --- */

const char *device_name(const struct device_s *dev)
{
    return dev->name;
}

const char *device_driver_name(const struct device_s *dev)
{
    return dev->driver ? dev->driver->name : "";
}

const void *kr_device_table(const struct device_s *dev, enum driver_class_e cl)
{
    return dev->driver ? kr_driver_table(dev->driver, cl) : NULL;
}

bool device_has_class(const struct device_s *dev, enum driver_class_e cl)
{
    return cl == DRIVER_CLASS_NONE || kr_device_table(dev, cl);
}

struct kroutine_runtime_s *device_runtime(const struct device_s *dev)
{
    return kr_device_runtime(dev);
}

void *device_pv(const struct device_s *dev)
{
    return dev->pv;
}
