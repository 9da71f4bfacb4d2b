/* SPDX-License-Identifier: MIT */
/*
 * Accessors: the references that keep a device open, of which the last one closes it when a spec
 * made it, and starting and stopping it through them.
 */
#include "device.h"

/* --- references --- */

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
        kr_device_driver_error(dev, err);
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
