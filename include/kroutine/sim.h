/* SPDX-License-Identifier: MIT */
/*
 * Simulated runtimes and devices: kroutine_sim(3).
 *
 * A runtime made with KROUTINE_BACKEND_SIM has virtual time. Its clocks stand still while there is
 * anything to do, and jump to the next deadline when there is not: a year passes in as long as its
 * events take. Monotonic and boottime begin at one second, realtime at 2020-01-01 00:00 UTC. The
 * devices of descriptors (tty:, file:, fd:) are refused there with -ENOTSUP.
 *
 * In an embedded runtime without workers everything happens on one thread, and a run follows from
 * config.sim_seed and from what the program does: same seed, same run, event by event. With
 * workers, a reactor thread or other submitters the results are right but their order is the
 * scheduler's. Time then jumps when no handler waits for a worker and none is running; a handler
 * that takes longer than a millisecond of real time is not waited for.
 *
 *   kroutine_runtime_wait(rt, ns)  passes time up to the next event, at most `ns` virtual ones
 *   kroutine_runtime_process(rt)   passes none, until calls keep finding nothing to do: a foreign
 *                                  event loop is waiting then
 *
 * The device "sim-char:NAME?…" is a char device with a line behind it, on any runtime: elsewhere
 * its delays are real. What it writes comes back, or goes to another:
 *
 *   side=a, side=b     two devices of the same NAME are the two ends of a line, as of a null modem
 *   peer=loop          (without side) what is written can be read back; the default
 *   peer=null          takes everything, sends nothing
 *   peer=pattern       takes everything, sends the bytes 0, 1 … 255, 0 … for ever
 *   rate=N             bytes a second, 0: no limit
 *   latency=N jitter=N ns that every byte is under way; the second is the range of a random part
 *   chunk=N            bytes arrive in pieces of random size, N at most
 *   buffer=N           bytes that fit into the line, 4096; a writer waits when it is full
 *   record=yes         frames (READ_FRAME, WRITE_FRAME) instead of bytes, each arrives whole
 *   baud=N data=N parity=… stop=N  settings of the uart class: 115200, 8, none, 1
 *   frame=… frame-max=… frame-min=…  framing of a stream of bytes, kroutine-spec(7)
 *   short=P            percent of reads and writes that move a part only
 *   eagain=P           percent of reads and writes that find nothing at first, 90 at most
 *   seed=N             goes into the random numbers of this device beside config.sim_seed
 *
 * It has the uart class too, without RS-485 and latency: RTS of one end is CTS of the other, DTR is
 * DSR and DCD. Between ends whose baud rate (by more than 3 %), data bits, parity or stop bits
 * differ, bytes arrive as damage, -EBADMSG; so does a break. The baud rate says nothing about
 * speed.
 *
 * The settings of a line are those of the end that writes. What arrives for an end that is not
 * open waits for it. Closing an end gives the other one the end of the stream after what is under
 * way (-ENODATA), and -EPIPE for writes, until the end is opened again.
 *
 * The device "sim-gpio:CHIP/LINES?…" is a gpio device, on any runtime; "sim-gpio:CHIP" is one that
 * holds no lines and tells of those of its side. A chip has the lines GPIO0 to GPIO63, each a wire
 * with two ends: side=a (the default) and side=b, each held by one device at a time. What one side
 * drives, the other reads; what nobody drives follows the pulls, those of kroutine_sim_gpio_pull()
 * before those of the modes, and is 0 without. Beside the keys of all gpio devices
 * (kroutine-gpio(3)):
 *
 *   side=a, side=b     the end of the wires
 *   uapi=1             edges as the first uAPI of Linux tells them: 16 kept for a line, later ones
 *                      are lost and not counted, no numbers
 *
 * The device "sim-mmio:NAME?…" is an mmio device (kroutine-mmio(3)), on any runtime. Its registers
 * are memory without side effects, so a second window makes the program the hardware; its
 * interrupts are raised by the program. It has a configuration space of 256 bytes, vendor 0x6b72,
 * device 1, and a reset, which clears everything.
 *
 *   size=N             bytes of registers, 4096
 *   lines=N            interrupts of kind LINE, 1: masked as they fire, and fire again when they
 *                      are unmasked while they are raised
 *   msi=N              interrupts of kind MSI, 2
 *   eventfd=yes        they arrive through eventfds, as those of VFIO do; not in virtual time
 *   every=N            ns between messages that MSI vector 0 sends by itself; 0: none
 *
 * The device "sim-dma:NAME?…" is a dma engine, on any runtime, whose transfers take time and move
 * their bytes while it passes, in steps of 64 KiB at most; a cancel finds those of before it moved:
 *
 *   channels=N         requests that run side by side; 2
 *   rate=N             bytes a second of each channel, 0: no limit; 10^9
 *   latency=N          ns before a request begins; 1000
 *   mask=N             highest address of its bus, which mappings use up from 0x100000 on;
 *                      0xffffffff
 *   align=N            of addresses and sizes in memory; 1
 *   regs=N             bytes of registers, from address 0 on: memory, as DEV_DMA_MEM_REG and
 *                      DEV_DMA_REG_MEM see it; 4096
 *
 * The device "sim-i2c:NAME?…" is an i2c bus (kroutine-i2c(3)), on any runtime, with chips on it.
 * Devices of one NAME are on one bus, which is there, with what its chips have stored, until the
 * last of them is closed. A transfer takes as long as its bits take.
 *
 *   chips=MODEL@ADDRESS,…  24c32, 24c02: EEPROMs with pages of 32 and 8 bytes that acknowledge
 *                      nothing for 5 ms after a write; tmp105: a thermometer, at 25 degrees;
 *                      ds1307: a clock, halted at 2000-01-01, of the runtime's monotonic time;
 *                      held: an address that a driver of the kernel has. Without it there are
 *                      24c32@0x50, 24c02@0x51, tmp105@0x48 and ds1307@0x68. Of the first device
 *                      of a NAME
 *   hz=N               clock of the bus; 100000
 *   latency=N          ns that each transfer, up to a stop, takes beside that; 0
 *   force=yes          allows addresses that are held
 *
 * The device "sim-spi:BUS.SELECT?…" is a chip on a bus of class spi, on any runtime; a message
 * holds the bus as long as its bits take at its clock. Beside the keys of all spi devices
 * (kroutine-spi(3)):
 *
 *   chip=loop          what goes out comes in; the default
 *   chip=mcp3008       a converter with 8 inputs of 10 bits, as in the data sheet of Microchip;
 *                      what it does not say reads as ones
 *   chip=none          ones come in
 *   values=N,N,…       of the inputs of the converter, from input 0 on, 0 to 1023; 0
 *   latency=N          ns before each message; 0
 *   size-max=N         bytes of a message, in each direction; 4096
 *
 * The device "sim-pwm:CHIP/CHANNELS?…" has channels, 0 to 31, of a chip of class pwm, on any
 * runtime; "sim-pwm:CHIP" is one without, which keeps the chip, and so what its channels are set
 * to. Beside the keys of all pwm devices (kroutine-pwm(3)):
 *
 *   time=N             ns that each request takes; 0
 *   period-max=N       ns, the longest period that is not refused
 *   inverts=no         polarity=inversed is refused
 */
#ifndef KROUTINE_SIM_H
#define KROUTINE_SIM_H

#include "device.h"
#include "irq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Virtual time of a simulated runtime, ns on its monotonic clock; 0 when it is not one. */
KROUTINE_API uint64_t kroutine_sim_now(const struct kroutine_runtime_s *runtime);

/* Steps the realtime clock, forth or back, as clock_settime(2) would. Any thread. -ENOTSUP: not a
   simulated runtime. -ERANGE: the clock would leave 0 to 2^63 ns. */
KROUTINE_API error_t kroutine_sim_step_clock(struct kroutine_runtime_s *runtime, int64_t delta_ns);

enum kroutine_sim_fault_e {
    KROUTINE_SIM_SHORT,   /* the next `count` transfers move one byte; not for records */
    KROUTINE_SIM_AGAIN,   /* the next `count` tries find nothing, whatever is there */
    KROUTINE_SIM_EIO,     /* the next `count` transfers fail with -EIO */
    KROUTINE_SIM_OVERRUN, /* reading: what has arrived is lost, the next read gives -EPIPE */
    KROUTINE_SIM_PARITY,  /* reading: the next read gives -EBADMSG */
    KROUTINE_SIM_STALL,   /* nothing arrives any more, until count 0 lets it go on */
    KROUTINE_SIM_END,     /* as if the other end had closed; count 0: as if opened again */
    KROUTINE_SIM_GONE,    /* unplugged, in both directions: -ENODEV from here on */
};

enum kroutine_sim_dir_e {
    KROUTINE_SIM_READ = 1,
    KROUTINE_SIM_WRITE = 2,
};

/* Makes a sim-char device misbehave, in the directions `dirs` (or-ed). Any thread. -ENOTSUP: the
   device is of another driver. -EINVAL: no direction, or the fault has no meaning in it. */
KROUTINE_API error_t kroutine_sim_char_fault(const struct device_accessor_s *acc, unsigned dirs,
                                             enum kroutine_sim_fault_e fault, unsigned count);

/* Pulls the wire of line `io` of a sim-gpio device from outside: DEV_GPIO_PULL_UP,
   DEV_GPIO_PULL_DOWN, DEV_GPIO_PULL_NONE. Edges that this makes arrive as those of hardware do. Any
   thread. -ENOTSUP: the device is of another driver. -EINVAL: no such line or pull. -ECANCELED:
   closed. */
KROUTINE_API error_t kroutine_sim_gpio_pull(const struct device_accessor_s *acc, uint16_t io,
                                            uint32_t pull);

/* Unplugs the chip of a sim-gpio device: -ENODEV for all of its devices, until all are closed. Any
   thread. -ENOTSUP, -ECANCELED as above. */
KROUTINE_API error_t kroutine_sim_gpio_unplug(const struct device_accessor_s *acc);

/* Raises an interrupt of a sim-mmio device: a LINE stays raised until it is lowered, an MSI is sent
   once, and lost when nobody has requested it. Any thread, any context. -ENXIO: there is no such
   vector. -ENOTSUP, -ECANCELED as above. */
KROUTINE_API error_t kroutine_sim_irq_raise(const struct device_accessor_s *acc,
                                            enum dev_irq_kind_e kind, uint16_t vector);
KROUTINE_API error_t kroutine_sim_irq_lower(const struct device_accessor_s *acc, uint16_t vector);

/* Unplugs a sim-mmio device: its interrupts end with -ENODEV (dev_irq_s.error), so does every
   operation but f_unmap. Registers keep what they have. As above. */
KROUTINE_API error_t kroutine_sim_mmio_unplug(const struct device_accessor_s *acc);

enum kroutine_sim_dma_fault_e {
    KROUTINE_SIM_DMA_ERROR,    /* a request ends with -EIO once `bytes` of it have moved */
    KROUTINE_SIM_DMA_STALL,    /* it moves so many, and then nothing; its completion never comes */
    KROUTINE_SIM_DMA_SPURIOUS, /* completion is signalled now on every channel, nothing is complete
                                */
    KROUTINE_SIM_DMA_GONE,     /* the engine is unplugged: -ENODEV from here on */
};

/* Makes a sim-dma device misbehave. ERROR and STALL happen to the first request that gets that far,
   once; the last call counts. Any thread. -ENOTSUP: the device is of another driver. -EINVAL: no
   such fault. -ECANCELED: closed. */
KROUTINE_API error_t kroutine_sim_dma_fault(const struct device_accessor_s *acc,
                                            enum kroutine_sim_dma_fault_e fault, uint64_t bytes);

enum kroutine_sim_i2c_fault_e {
    KROUTINE_SIM_I2C_NACK_ADDRESS, /* the next `count` chips that are addressed do not acknowledge
                                    */
    KROUTINE_SIM_I2C_NACK_DATA,    /* the next `count` bytes written are not acknowledged */
    KROUTINE_SIM_I2C_ARBITRATION, /* the bus is lost to another master at the next `count` starts */
    KROUTINE_SIM_I2C_STUCK,       /* it is held down: each transfer ends with -ETIMEDOUT after one
                                     second, until count 0 */
    KROUTINE_SIM_I2C_GONE,        /* the adapter is unplugged: -ENODEV from here on */
    KROUTINE_SIM_I2C_FAULTS,
};

/* Makes the bus of a sim-i2c device misbehave. Any thread. -ENOTSUP: the device is of another
   driver. -EINVAL: no such fault. -ECANCELED: closed. */
KROUTINE_API error_t kroutine_sim_i2c_fault(const struct device_accessor_s *acc,
                                            enum kroutine_sim_i2c_fault_e fault, unsigned count);

/* Sets `size` bytes of the registers of chip `addr` from `offset` on, from outside: a tmp105 has
   its temperature in the first two (high byte first, degrees times 256). Any thread. -EINVAL: no
   such chip or registers. -ENOTSUP, -ECANCELED as above. */
KROUTINE_API error_t kroutine_sim_i2c_poke(const struct device_accessor_s *acc, uint16_t addr,
                                           uint16_t offset, const void *data, size_t size);

/* Sets an input of the converter of a sim-spi device, 0 to 1023. Any thread. -ENOTSUP: the device
   is of another driver, or has no such chip. -EINVAL: no such input or value. -ECANCELED: closed.
 */
KROUTINE_API error_t kroutine_sim_spi_value(const struct device_accessor_s *acc, unsigned channel,
                                            uint16_t value);

enum kroutine_sim_bus_fault_e {
    KROUTINE_SIM_BUS_EIO,   /* the next `count` messages, or values of a channel, fail with -EIO */
    KROUTINE_SIM_BUS_STALL, /* the next message or request takes `count` ms longer */
    KROUTINE_SIM_BUS_GONE,  /* unplugged: -ENODEV from here on */
};

/* Makes a sim-spi or a sim-pwm device misbehave. Any thread. -ENOTSUP: the device is of another
   driver. -EINVAL: no such fault. -ECANCELED: closed. */
KROUTINE_API error_t kroutine_sim_spi_fault(const struct device_accessor_s *acc,
                                            enum kroutine_sim_bus_fault_e fault, unsigned count);
KROUTINE_API error_t kroutine_sim_pwm_fault(const struct device_accessor_s *acc,
                                            enum kroutine_sim_bus_fault_e fault, unsigned count);

#ifdef __cplusplus
}
#endif
#endif
