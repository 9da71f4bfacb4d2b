// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* Two I2C buses for tests, for what no bus that QEMU has can be brought to: lost arbitration, a
 * device that acknowledges its address and no data, a bus that is slow, addresses of 10 bits,
 * limits of the adapter. On each there is a memory of 256 bytes at 0x50 and another at the 10-bit
 * address 0x250: the first byte of a write says where, as in an EEPROM. The second bus takes no
 * more than two messages of 32 bytes at a time.
 *
 * Parameters, one value a bus, to be written in /sys/module/kr_i2c_bus/parameters: a transfer takes
 * `delay_ms` milliseconds; the next `failures` transfers fail with `error`, a negative errno.
 * `transfers` counts those that the bus was asked for, those that failed too. */
#include <linux/delay.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#define BUSES  2
#define CHIPS  2
#define MEMORY 256

static unsigned int delay_ms[BUSES];
module_param_array(delay_ms, uint, NULL, 0644);
MODULE_PARM_DESC(delay_ms, "milliseconds that a transfer takes, for each bus");
static int error[BUSES];
module_param_array(error, int, NULL, 0644);
MODULE_PARM_DESC(error, "negative errno of transfers that fail, for each bus");
static unsigned int failures[BUSES];
module_param_array(failures, uint, NULL, 0644);
MODULE_PARM_DESC(failures, "how many transfers fail from now on, for each bus");
static unsigned int transfers[BUSES];
module_param_array(transfers, uint, NULL, 0644);
MODULE_PARM_DESC(transfers, "how many transfers there were, for each bus");

struct chip {
    u8 memory[MEMORY];
    u8 at;
};

struct bus {
    struct i2c_adapter adapter;
    struct platform_device *parent;
    struct chip chips[CHIPS];
    bool added;
};

static struct bus buses[BUSES];

static struct chip *chip_at(struct bus *bus, const struct i2c_msg *message)
{
    if (message->flags & I2C_M_TEN)
        return message->addr == 0x250 ? &bus->chips[1] : NULL;
    return message->addr == 0x50 ? &bus->chips[0] : NULL;
}

static void move_bytes(struct chip *chip, struct i2c_msg *message)
{
    unsigned int i;

    if (message->flags & I2C_M_RD) {
        for (i = 0; i < message->len; i++)
            message->buf[i] = chip->memory[chip->at++];
    } else if (message->len > 0) {
        chip->at = message->buf[0];
        for (i = 1; i < message->len; i++)
            chip->memory[chip->at++] = message->buf[i];
    }
}

/* The adapter's lock is held: transfers of a bus do not overlap. */
static int bus_transfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int count)
{
    struct bus *bus = i2c_get_adapdata(adapter);
    unsigned int index = bus - buses;
    int i;

    transfers[index]++;
    if (delay_ms[index])
        msleep(delay_ms[index]);
    if (failures[index]) {
        failures[index]--;
        return error[index] < 0 ? error[index] : -EIO;
    }
    for (i = 0; i < count; i++) {
        struct chip *chip = chip_at(bus, &messages[i]);

        /* Documentation/i2c/fault-codes.rst: an address that nobody acknowledges. */
        if (!chip)
            return -ENXIO;
        move_bytes(chip, &messages[i]);
    }
    return count;
}

static u32 bus_functionality(struct i2c_adapter *adapter)
{
    return I2C_FUNC_I2C | I2C_FUNC_10BIT_ADDR | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm algorithm = {
    .xfer = bus_transfer,
    .functionality = bus_functionality,
};

static const struct i2c_adapter_quirks limits = {
    .max_num_msgs = 2,
    .max_write_len = 32,
    .max_read_len = 32,
};

static void remove_buses(void)
{
    unsigned int i;

    for (i = 0; i < BUSES; i++) {
        if (buses[i].added)
            i2c_del_adapter(&buses[i].adapter);
        if (buses[i].parent)
            platform_device_unregister(buses[i].parent);
    }
}

static int add_bus(unsigned int index)
{
    struct bus *bus = &buses[index];
    struct platform_device *parent;
    int err;

    parent = platform_device_register_simple("kr-i2c-bus", index, NULL, 0);
    if (IS_ERR(parent))
        return PTR_ERR(parent);
    bus->parent = parent;
    bus->adapter.owner = THIS_MODULE;
    bus->adapter.algo = &algorithm;
    bus->adapter.quirks = index == 1 ? &limits : NULL;
    bus->adapter.dev.parent = &parent->dev;
    snprintf(bus->adapter.name, sizeof(bus->adapter.name), "kroutine test bus %u", index);
    i2c_set_adapdata(&bus->adapter, bus);
    err = i2c_add_adapter(&bus->adapter);
    bus->added = !err;
    return err;
}

static int __init bus_init(void)
{
    unsigned int i;
    int err = 0;

    for (i = 0; i < BUSES && !err; i++)
        err = add_bus(i);
    if (err)
        remove_buses();
    return err;
}

module_init(bus_init);
module_exit(remove_buses);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("I2C buses with memories and faults, for tests");
