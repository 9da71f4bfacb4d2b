/* SPDX-License-Identifier: MIT */
#include "sim_bus.h"

error_t kr_sim_bus_fault(struct kr_bus_port_s *port, pthread_mutex_t *lock,
                         struct kr_sim_bus_faults_s *faults, enum kroutine_sim_bus_fault_e fault,
                         unsigned count)
{
    error_t err = kr_device_enter(port->dev);

    if (!err && (unsigned)fault > KROUTINE_SIM_BUS_GONE)
        err = -EINVAL;
    if (!err && fault == KROUTINE_SIM_BUS_GONE) {
        kr_bus_gone(port);
    } else if (!err) {
        pthread_mutex_lock(lock);
        *(fault == KROUTINE_SIM_BUS_EIO ? &faults->eio : &faults->stall) = count;
        pthread_mutex_unlock(lock);
    }
    kr_device_leave(port->dev);
    return err;
}
