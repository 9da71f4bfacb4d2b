/* SPDX-License-Identifier: MIT */
/*
 * What drivers of buses share whose calls block in the kernel (i2c, spi, pwm): a thread a bus,
 * which works off the requests of all devices of a runtime that are on it, one after the other.
 *
 * A driver has a struct kr_bus_port_s in the private memory of each device. Of a request, drvdata
 * and rq_progress are the bus's.
 *
 * Who waits (dev_request_wait) for a bus that has nothing to do performs the request itself, and
 * spares two changes of threads. On a simulated runtime there is no thread: the reactor performs
 * requests, in virtual time.
 */
#ifndef KR_BUS_H
#define KR_BUS_H

#include "device.h"

struct kr_bus_s;
struct kr_bus_ops_s;

struct kr_bus_port_s {
    struct kr_bus_s *bus;
    struct device_s *dev;
    const struct kr_bus_ops_s *ops;
    unsigned calls; /* of `perform` for the active request before this one; of who performs */

    /* Lock of the bus. */
    error_t closed;                        /* what later requests end with; 0: open */
    struct dev_request_queue_root_s ended; /* their kroutines are to be executed … */
    unsigned executing; /* … one of them runs, or some nested in each other, … */
    pthread_t executor; /* … on this thread */
};

/* From `perform`: a part is done, there is another. */
#define KR_BUS_MORE 1

struct kr_bus_ops_s {
    /* Does the request, or a part of it, and may block: one call at a time on a bus. The bus thread
       or one that waits; in virtual time the reactor. No lock. Returns the error of the request, or
       KR_BUS_MORE. Between two parts the request ends if its time is up, it was cancelled, or the
       device closed. */
    error_t (*perform)(struct kr_bus_port_s *port, struct dev_request_s *rq);
    /* NULL: a real bus. Simulated: how long the next part will hold the bus, ns; it passes, and
       then comes `perform`. As above. */
    uint64_t (*duration)(struct kr_bus_port_s *port, const struct dev_request_s *rq);
};

/* For f_open, with `port` all zero. `name` says which bus: those of one name and runtime are the
   same; 15 characters of it are the name of the thread. With a text. */
error_t kr_bus_open(struct kr_bus_port_s *port, struct device_s *dev,
                    const struct kr_bus_ops_s *ops, const char *name);
/* For f_close: all requests of this device end with `err`, but for the one that is being performed,
   which is waited for. */
void kr_bus_close(struct kr_bus_port_s *port, error_t err);
/* For f_free, or an f_open that has failed later, after kr_bus_close. */
void kr_bus_free(struct kr_bus_port_s *port);

/* What the devices of a bus share, for instance a simulation: `fresh`, unless another device was
   first: then that device's, and `fresh` is the caller's again. Given to `release` with the bus. */
void *kr_bus_share(struct kr_bus_port_s *port, void *fresh, void (*release)(void *shared));

/* f_request, f_cancel. `refused`: what the driver ends the request with instead; 0: nothing. */
void kr_bus_request(struct kr_bus_port_s *port, struct dev_request_s *rq, error_t refused);
error_t kr_bus_cancel(struct kr_bus_port_s *port, struct dev_request_s *rq);

/* In `perform`, where it can stop: 0 go on, or what the request is to end with (-ECANCELED,
   -ETIMEDOUT). */
error_t kr_bus_stopped(struct kr_bus_port_s *port, const struct dev_request_s *rq);
/* Any thread: the device has gone. Its requests end with -ENODEV from here on, when it is their
   turn. */
void kr_bus_gone(struct kr_bus_port_s *port);

#endif
