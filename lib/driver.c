/* SPDX-License-Identifier: MIT */
/* The drivers that the process knows: those of the library, then those that were registered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static const struct driver_s *const built_in[] = {
    &kr_driver_fd,       &kr_driver_file,     &kr_driver_tty,         &kr_driver_timer,
    &kr_driver_sim_char, &kr_driver_cobs,     &kr_driver_hdlc,        &kr_driver_length,
    &kr_driver_lines,    &kr_driver_modbus,   &kr_driver_slip,        &kr_driver_gpiod,
    &kr_driver_sim_gpio, &kr_driver_sim_mmio, &kr_driver_uio,         &kr_driver_vfio,
    &kr_driver_memdma,   &kr_driver_sim_dma,  &kr_driver_edu,         &kr_driver_gpiomem,
    &kr_driver_i2c,      &kr_driver_sim_i2c,  &kr_driver_bcm2835_dma, &kr_driver_bcm2835_timer,
    &kr_driver_spi,      &kr_driver_sim_spi,  &kr_driver_pwm,         &kr_driver_sim_pwm,
};
#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

static struct {
    pthread_mutex_t lock;
    const struct driver_s **list;
    unsigned count;
    unsigned room;
} added = {.lock = PTHREAD_MUTEX_INITIALIZER};

void kr_drivers_lock(void)
{
    pthread_mutex_lock(&added.lock);
}

void kr_drivers_unlock(void)
{
    pthread_mutex_unlock(&added.lock);
}

static const struct driver_s *get_locked(unsigned index)
{
    if (index < BUILT_IN)
        return built_in[index];
    index -= BUILT_IN;
    return index < added.count ? added.list[index] : NULL;
}

const struct driver_s *driver_get(unsigned index)
{
    const struct driver_s *driver;

    pthread_mutex_lock(&added.lock);
    driver = get_locked(index);
    pthread_mutex_unlock(&added.lock);
    return driver;
}

const struct driver_s *kr_driver_find(const char *name, size_t length)
{
    const struct driver_s *driver;

    for (unsigned i = 0; (driver = driver_get(i)); i++) {
        if (strlen(driver->name) == length && memcmp(driver->name, name, length) == 0)
            return driver;
    }
    return NULL;
}

const struct driver_s *kr_driver_bottom(const struct driver_s *driver, const char *spec)
{
    while (driver && driver->layered) {
        spec += strcspn(spec, ":");
        spec += *spec == ':';
        driver = strchr(spec, ':') ? kr_driver_find(spec, strcspn(spec, ":")) : NULL;
    }
    return driver;
}

static bool name_ok(const char *name)
{
    const char *p = name;

    for (; *p; p++) {
        if (!((*p | 32) >= 'a' && (*p | 32) <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
            return false;
    }
    return p > name;
}

/* As driver_register, with the lock. */
static error_t add_locked(const struct driver_s *driver)
{
    const struct driver_s *other;

    for (unsigned i = 0; (other = get_locked(i)); i++) {
        if (strcmp(other->name, driver->name) == 0)
            return -EEXIST;
    }
    if (added.count == added.room) {
        unsigned room = added.room ? added.room * 2 : 8;
        const struct driver_s **list = realloc(added.list, room * sizeof(*list));

        if (!list)
            return -ENOMEM;
        added.list = list;
        added.room = room;
    }
    added.list[added.count++] = driver;
    return 0;
}

error_t driver_register(const struct driver_s *driver)
{
    error_t err;

    if (!driver || !driver->name || !name_ok(driver->name) || !driver->f_open || !driver->f_close)
        return -EINVAL;
    pthread_mutex_lock(&added.lock);
    err = add_locked(driver);
    pthread_mutex_unlock(&added.lock);
    return err;
}

/* Names are whole: what has no room, and what comes after it, is told by "...". */
void kr_driver_names(char *text, size_t size, enum driver_class_e cl)
{
    static const char more[] = ", ...";
    const struct driver_s *driver;
    size_t used = 0;

    snprintf(text, size, "none");
    for (unsigned i = 0; (driver = driver_get(i)); i++) {
        if (cl != DRIVER_CLASS_NONE && !kr_driver_table(driver, cl))
            continue;
        if (used + strlen(", ") + strlen(driver->name) + sizeof(more) > size) {
            snprintf(text + used, size - used, "%s", more + (used ? 0 : 2));
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", driver->name);
    }
}

const void *kr_driver_table(const struct driver_s *driver, enum driver_class_e cl)
{
    for (unsigned i = 0; i < DRIVER_CLASSES_MAX && driver->classes[i]; i++) {
        if (driver->classes[i]->cl == cl)
            return driver->classes[i];
    }
    return NULL;
}

void kr_driver_classes(const struct driver_s *driver, char *text, size_t size)
{
    size_t used = 0;

    snprintf(text, size, "none");
    for (unsigned i = 0; i < DRIVER_CLASSES_MAX && driver->classes[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                 device_class_name(driver->classes[i]->cl));
}
