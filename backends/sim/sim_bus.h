/* SPDX-License-Identifier: MIT */
/* Faults on demand of devices on simulated buses. */
#ifndef KR_SIM_BUS_H
#define KR_SIM_BUS_H

#include "bus.h"
#include "kroutine/sim.h"

struct kr_sim_bus_faults_s { /* guarded by a lock of the device */
    unsigned eio;            /* parts that will fail */
    unsigned stall;          /* ms that the next part will take longer */
};

/* What the device's function for faults does. */
error_t kr_sim_bus_fault(struct kr_bus_port_s *port, pthread_mutex_t *lock,
                         struct kr_sim_bus_faults_s *faults, enum kroutine_sim_bus_fault_e fault,
                         unsigned count);

/* With the lock: in `perform`, in `duration`. */
static inline error_t kr_sim_bus_fault_take(struct kr_sim_bus_faults_s *faults)
{
    if (!faults->eio)
        return 0;
    faults->eio--;
    return -EIO;
}

static inline uint64_t kr_sim_bus_stall_take(struct kr_sim_bus_faults_s *faults)
{
    uint64_t ns = KROUTINE_MSEC((uint64_t)faults->stall);

    faults->stall = 0;
    return ns;
}

#endif
