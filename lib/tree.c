/* SPDX-License-Identifier: MIT */
/* Trees of devices as a whole: making them, their end, and finding a device by a path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* --- life of a tree --- */

static struct kr_tree_s *tree_create(struct kroutine_runtime_s *rt)
{
    struct kr_tree_s *tree = calloc(1, sizeof(*tree));

    if (!tree)
        return NULL;
    tree->root.tree = tree;
    tree->root.name = "";
    tree->root.refs = KR_DEV_HOLD | KR_DEV_SHUT;
    tree->runtime = rt;
    kr_fork_setup();
    tree->fork_generation = kr_load_relaxed(&kr_forks);
    pthread_mutex_init(&tree->lock, NULL);
    pthread_cond_init(&tree->changed, NULL);
    return tree;
}

void kr_tree_free(struct kr_tree_s *tree)
{
    pthread_cond_destroy(&tree->changed);
    pthread_mutex_destroy(&tree->lock);
    free(tree);
}

error_t kr_devices_create(struct kroutine_runtime_s *rt)
{
    static const struct {
        const char *name;
        const struct driver_s *driver;
        const char *spec;
    } fixed[] = {
        {"timer0", &kr_driver_timer, "0"},
        {"timer1", &kr_driver_timer, "1"},
        {"timer2", &kr_driver_timer, "2"},
        {"dma0", &kr_driver_memdma, "0"},
    };
    struct kr_tree_s *tree = tree_create(rt);
    error_t err = 0;

    if (!tree)
        return device_error(-ENOMEM, "out of memory");
    rt->root = &tree->root;
    for (unsigned i = 0; !err && i < sizeof(fixed) / sizeof(fixed[0]); i++)
        err = kr_device_create(NULL, tree, fixed[i].name, fixed[i].driver, fixed[i].spec, true);
    if (err)
        kr_devices_destroy(rt);
    return err;
}

static bool nobody_inside(void *arg)
{
    struct device_s *dev = arg;

    return !(kr_load(&dev->refs) & KR_DEV_INSIDE);
}

static bool nobody_inside_any(void *arg)
{
    struct kr_tree_s *tree = arg;
    bool nobody = true;

    pthread_mutex_lock(&tree->lock);
    for (struct device_s *dev = tree->head; dev && nobody; dev = dev->next)
        nobody = nobody_inside(dev);
    pthread_mutex_unlock(&tree->lock);
    return nobody;
}

/* Newest first: devices may rest on older ones, and all of them on the clocks. */
void kr_devices_close_all(struct kroutine_runtime_s *rt)
{
    struct kr_tree_s *tree = rt->root->tree;
    struct device_s *dev;

    pthread_mutex_lock(&tree->lock);
    tree->closing = true;
    for (;;) {
        for (dev = tree->tail; dev && dev->state == KR_DEV_CLOSED; dev = dev->prev)
            ;
        if (!dev)
            break;
        if (dev->state != KR_DEV_OPEN) { /* another thread is at it */
            pthread_cond_wait(&tree->changed, &tree->lock);
            continue;
        }
        kr_device_begin_close_locked(dev);
        pthread_mutex_unlock(&tree->lock);
        /* Accessors are still open here, so that other threads may be in calls of the driver: it
           should not see them during f_close, or use what f_close frees. */
        kr_or(&dev->refs, KR_DEV_SHUT);
        kr_thread_wait(nobody_inside, dev);
        kr_device_close(dev);
        pthread_mutex_lock(&tree->lock);
    }
    pthread_mutex_unlock(&tree->lock);
}

/* A call that was refused and still saw the runtime is inside its device until it is over. */
void kr_devices_destroy(struct kroutine_runtime_s *rt)
{
    struct kr_tree_s *tree = rt->root->tree;

    kr_devices_close_all(rt); /* for a runtime that did not get far enough to have users */
    rt->root = NULL;
    kr_store(&tree->runtime, NULL);
    kr_thread_wait(nobody_inside_any, tree);
    device_release(&tree->root);
}

error_t kr_tree_of(struct kr_tree_s **ret, struct device_s *root)
{
    struct kroutine_runtime_s *rt;

    if (!root) {
        rt = kr_runtime(NULL);
        if (!rt)
            return -ENOMEM; /* the text says why there is no default runtime */
        root = rt->root;
    }
    if (!kr_tree_usable(root->tree))
        return device_error(-EPERM, "the runtime belongs to the parent of this forked process");
    *ret = root->tree;
    return 0;
}

void device_foreach(struct device_s *root, bool (*fn)(const struct device_s *dev, void *arg),
                    void *arg)
{
    struct kr_tree_s *tree = NULL;

    if (kr_tree_of(&tree, root))
        return;
    pthread_mutex_lock(&tree->lock);
    for (struct device_s *dev = tree->head; dev; dev = dev->next) {
        if (dev->state == KR_DEV_OPEN && !fn(dev, arg))
            break;
    }
    pthread_mutex_unlock(&tree->lock);
}

/* --- finding --- */

/* `*` is any text, `?` any character. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) { /* let the last star take one character more */
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static error_t no_class(const char *name, const struct driver_s *driver, enum driver_class_e cl)
{
    char classes[64];

    kr_driver_classes(driver, classes, sizeof(classes));
    return device_error(-ENOTSUP, "'%s' has no class %s (classes: %s)", name, device_class_name(cl),
                        classes);
}

/* Devices made by a spec are somebody's own: a wild card does not meet them. */
static error_t find_by_name(struct device_s **ret, struct kr_tree_s *tree, const char *name,
                            enum driver_class_e cl)
{
    struct device_s *dev;
    const struct driver_s *other = NULL;
    error_t err = 0;

    pthread_mutex_lock(&tree->lock);
    for (dev = tree->head; dev; dev = dev->next) {
        if (dev->by_spec || dev->state != KR_DEV_OPEN || !matches(name, dev->name))
            continue;
        if (device_has_class(dev, cl))
            break;
        other = dev->driver;
    }
    if (dev)
        dev->uses++;
    else
        err = tree->closing ? -ECANCELED : -ENOENT;
    pthread_mutex_unlock(&tree->lock);
    if (!err)
        *ret = dev;
    else if (err == -ECANCELED)
        device_error(err, "the runtime is being destroyed");
    else if (other)
        err = no_class(name, other, cl);
    else
        device_error(err, "nothing is named '%s' in the tree", name);
    return err;
}

static error_t find_by_spec(struct device_s **ret, struct kr_tree_s *tree, const char *text,
                            enum driver_class_e cl)
{
    size_t prefix = strcspn(text, ":");
    const struct driver_s *driver = kr_driver_find(text, prefix);
    struct device_spec_s *spec;
    char names[160]; /* of an error text of 256 */
    error_t err;

    if (!driver) {
        kr_driver_names(names, sizeof(names), cl);
        return device_error(-ENOENT, "no driver '%.*s' (drivers%s%s: %s)", (int)prefix, text,
                            cl != DRIVER_CLASS_NONE ? " of class " : "",
                            cl != DRIVER_CLASS_NONE ? device_class_name(cl) : "", names);
    }
    if (cl != DRIVER_CLASS_NONE && !kr_driver_table(driver, cl))
        return no_class(text, driver, cl);
    err = kr_spec_parse(&spec, driver, text + prefix + 1, text);
    if (err)
        return err;
    err = kr_device_by_spec(ret, tree, driver, spec, text);
    kr_spec_free(spec);
    return err;
}

static error_t find_one(struct device_s **ret, struct kr_tree_s *tree, const char *name,
                        enum driver_class_e cl)
{
    return strchr(name, ':') ? find_by_spec(ret, tree, name, cl)
                             : find_by_name(ret, tree, name, cl);
}

/* The first of several that can be opened. When none can, the text says why of each; the error is
   that of the first one that is there. */
static error_t find_any(struct device_s **ret, struct kr_tree_s *tree, char *names,
                        enum driver_class_e cl)
{
    char text[sizeof(kr_self.error_text)] = "the path is empty";
    error_t err = 0;
    size_t used = 0;

    for (char *state, *name = strtok_r(names, " ", &state); name;
         name = strtok_r(NULL, " ", &state)) {
        error_t e = find_one(ret, tree, name, cl);

        if (!e)
            return 0;
        if (!err || err == -ENOENT)
            err = e;
        if (used < sizeof(text))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "; " : "",
                                     kr_self.error_text);
    }
    return device_error(err ? err : -EINVAL, "%s", text);
}

error_t device_get_accessor_by_path(struct device_accessor_s *acc, struct device_s *root,
                                    const char *path, enum driver_class_e cl)
{
    struct kr_tree_s *tree = NULL;
    struct device_s *dev;
    char *names;
    error_t err;

    err = kr_class_check(cl);
    if (err)
        return err;
    err = kr_tree_of(&tree, root);
    if (err)
        return err;
    names = strdup(path ? path : "");
    if (!names)
        return device_error(-ENOMEM, "out of memory");
    err = find_any(&dev, tree, names, cl);
    free(names);
    return err ? err : kr_accessor_fill(acc, dev, cl);
}
