/* SPDX-License-Identifier: MIT */
/*
 * at24: EEPROMs on an I2C bus, 24C01 to 24C512, as devices of the class mem.
 *
 *     at24:i2c:1?addr=0x50&size=4096&page=32
 *
 * Keys: addr, 0x50; size in bytes, a power of two from 128 to 65536; page, bytes that the chip
 * writes at once, 8 is right for all; ro=yes refuses writes. Other keys are for the bus.
 *
 * Source: Microchip AT24C32E, DS20006129, and AT24C01D/02D, DS20006100: "Device Addressing" (chips
 * up to 2 KiB have one address byte, and the upper bits of the address in that of the chip), "Byte
 * Write", "Page Write" (the address counter wraps inside the page), "Acknowledge Polling" (no
 * acknowledge during the write cycle, at most 5 ms), "Random Read", "Sequential Read".
 *
 *     START ──▶ READ: address, repeated start, data ──┬─ more ──▶ READ
 *       │                                             └─ over
 *       └─────▶ WRITE: address, a page ───────────────┬─ more ──▶ WRITE
 *                                                     └─────────▶ POLL: a byte is read ──▶ over
 *
 * In each of them: no acknowledge after a page was written ──▶ pause ──▶ the same again. That holds
 * beyond the end of a request: one that was cancelled has left the chip busy.
 */
#include <errno.h>
#include <string.h>

#include "chips.h"

#define CHUNK 256 /* bytes that go at once: pages are no larger */
/* By the data sheet the write cycle takes 5 ms, that of old chips 10. Linux waits for 25. */
#define PAUSE  KROUTINE_MSEC(1)
#define PAUSES 25

enum at24_state_e { START = 0, READ, WRITE, POLL };

struct at24_s {
    struct dev_layer_s *layer;
    struct device_i2c_s bus;
    struct dev_i2c_rq_s rq;
    struct dev_i2c_transfer_s list[2];
    uint32_t size;
    uint32_t page;
    uint32_t chunk; /* bytes that the adapter takes */
    uint32_t part;  /* that are under way */
    uint16_t addr;
    unsigned wide; /* address bytes */
    bool read_only, simulated;
    bool busy;       /* a page was written, and no acknowledge seen since */
    unsigned pauses; /* of this write cycle */
    uint8_t data[2 + CHUNK];
};

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The counter of a chip of several blocks does not carry into the address of the chip. */
static int next_part(struct at24_s *chip, struct dev_mem_rq_s *rq)
{
    bool read = rq->type == DEV_MEM_READ;
    size_t boundary = !read ? chip->page : chip->wide == 1 ? 256 : 65536;
    uint32_t n = (uint32_t)min(min(rq->size, chip->chunk), boundary - rq->addr % boundary);
    uint8_t *data = chip->data + chip->wide;

    chip->part = n;
    chip->data[0] = (uint8_t)(rq->addr >> 8);
    data[-1] = (uint8_t)rq->addr;
    chip->rq.addr = chip->wide == 1 ? chip->addr | (uint16_t)(rq->addr >> 8) : chip->addr;
    if (!read)
        memcpy(data, rq->out, n);
    dev_i2c_rq_set_list(&chip->rq, chip->list, chip->data, chip->wide + (read ? 0 : n), data,
                        read ? n : 0);
    rq->rq_progress = read ? READ : WRITE;
    return DEV_LAYER_SUBMIT;
}

static int start(struct at24_s *chip, struct dev_mem_rq_s *rq)
{
    if (rq->type == DEV_MEM_ERASE)
        return -ENOTSUP;
    if (rq->type == DEV_MEM_WRITE && chip->read_only)
        return -EROFS;
    if (rq->addr >= chip->size || rq->size > chip->size - rq->addr)
        return -ERANGE;
    chip->pauses = 0;
    return next_part(chip, rq);
}

/* What the transfer below has moved. */
static void account(struct at24_s *chip, struct dev_mem_rq_s *rq)
{
    if (rq->rq_progress == READ)
        memcpy(rq->data, chip->data + chip->wide, chip->part);
    rq->addr += chip->part;
    rq->data = (uint8_t *)rq->data + chip->part;
    rq->size -= chip->part;
}

static int at24_step(struct device_s *dev, struct dev_request_s *base, error_t err)
{
    struct at24_s *chip = device_pv(dev);
    struct dev_mem_rq_s *rq = dev_mem_rq_cast(base);

    if (rq->rq_progress == START)
        return start(chip, rq);
    /* Some adapters cannot tell which acknowledge is missing, that of the address or of a byte. */
    if (chip->busy && (err == -EHOSTUNREACH || err == -EREMOTEIO))
        return chip->pauses++ < PAUSES ? dev_layer_submit_after(dev, PAUSE) : -ETIMEDOUT;
    if (err)
        return err;
    chip->busy = rq->rq_progress == WRITE;
    chip->pauses = 0;
    if (rq->rq_progress == POLL)
        return 0;
    account(chip, rq);
    if (rq->size)
        return next_part(chip, rq);
    if (rq->rq_progress == READ)
        return 0;
    dev_i2c_rq_set_list(&chip->rq, chip->list, NULL, 0, chip->data, 1);
    rq->rq_progress = POLL;
    return DEV_LAYER_SUBMIT;
}

DEV_LAYER_OPS(mem, at24);

static DEV_MEM_INFO(at24_info)
{
    const struct at24_s *chip = device_pv(acc->dev);

    *info = (struct dev_mem_info_s){.name = "at24",
                                    .size = chip->size,
                                    .page = chip->page,
                                    .read_only = chip->read_only,
                                    .simulated = chip->simulated};
    return 0;
}

static const struct driver_mem_s at24_mem = DRIVER_MEM_METHODS(at24);

/* What fits the chip, the page and the adapter. */
static error_t set_up(struct at24_s *chip)
{
    struct dev_i2c_info_s bus;
    error_t err = DEVICE_OP(&chip->bus, info, &bus);

    if (err)
        return err;
    if (chip->size & (chip->size - 1) || chip->page & (chip->page - 1))
        return device_error(-EINVAL, "size=%u, page=%u: not powers of two", chip->size, chip->page);
    if (chip->wide == 1 && chip->addr & (chip->size - 1) >> 8)
        return device_error(-EINVAL, "addr=0x%02x: %u bytes take the lower bits of the address",
                            chip->addr, chip->size);
    if (bus.size_max <= chip->wide)
        return device_error(-EMSGSIZE, "%s takes %u bytes at once, and the address has %u",
                            device_name(chip->bus.dev), bus.size_max, chip->wide);
    chip->chunk = (uint32_t)min(CHUNK, bus.size_max - chip->wide);
    chip->simulated = bus.cap & DEV_I2C_CAP_VIRTUAL;
    return 0;
}

static error_t at24_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct at24_s *chip = device_pv(dev);
    error_t err;

    chip->addr = (uint16_t)device_spec_uint(spec, "addr", 0x50);
    chip->size = (uint32_t)device_spec_uint(spec, "size", 0);
    chip->page = (uint32_t)device_spec_uint(spec, "page", 8);
    chip->read_only = device_spec_uint(spec, "ro", false);
    chip->wide = chip->size > 2048 ? 2 : 1;
    if (!chip->size)
        return device_error(-EINVAL, "size=BYTES is missing: 256 for a 24C02, 4096 for a 24C32");
    err = dev_layer_open(dev, spec, at24_step, &chip->bus.base, DRIVER_CLASS_I2C, &chip->rq.base);
    if (err)
        return err;
    err = set_up(chip);
    if (err)
        dev_layer_discard(dev);
    return err;
}

static const struct driver_param_s at24_params[] = {
    {"addr", "of the chip on its bus; 0x50", NULL, 0x08, 0x77, DRIVER_PARAM_UINT},
    {"size", "bytes of the chip, a power of two", NULL, 128, 65536, DRIVER_PARAM_UINT},
    {"page", "bytes that it writes at once, a power of two; 8", NULL, 1, CHUNK, DRIVER_PARAM_UINT},
    {"ro", "refuse writes; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {.key = NULL},
};

const struct driver_s at24_driver = {
    .name = "at24",
    .desc = "EEPROM 24C01 to 24C512 over an i2c device",
    .params = at24_params,
    .pv_size = sizeof(struct at24_s),
    .f_open = at24_open,
    DEV_LAYER_LIFE,
    .classes = {(const struct driver_class_table_s *)&at24_mem},
};
