/* SPDX-License-Identifier: MIT */
/* Umbrella of libkroutine. Each header below also compiles alone. kroutine(7). */
#ifndef KROUTINE_H
#define KROUTINE_H

#include "kroutine/base.h"
#include "kroutine/kroutine.h"
#include "kroutine/sequence.h"
#include "kroutine/queue.h"
#include "kroutine/runtime.h"
#include "kroutine/device.h"
#include "kroutine/request.h"
#include "kroutine/char.h"
#include "kroutine/dma.h"
#include "kroutine/gpio.h"
#include "kroutine/i2c.h"
#include "kroutine/irq.h"
#include "kroutine/mem.h"
#include "kroutine/mmio.h"
#include "kroutine/pwm.h"
#include "kroutine/spi.h"
#include "kroutine/timer.h"
#include "kroutine/uart.h"
#include "kroutine/valio.h"

#endif
