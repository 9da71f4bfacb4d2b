/* SPDX-License-Identifier: MIT */
/*
 * The devices of a runtime: how they open, who closes them, and how long their memory stays. What
 * keeps them open: accessor.c. Trees as a whole and looking up by path: tree.c.
 */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "dma_memory.h"

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
    kr_dma_memory_free(dev->dma);
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

    if (!dev->fixed)
        kr_add(&rt->open_devices, change);
}

error_t kr_device_driver_error(const struct device_s *dev, error_t err)
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
        kr_device_driver_error(dev, err);
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
