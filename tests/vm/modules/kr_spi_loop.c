// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* Two SPI buses for tests, each with two chip selects whose devices are /dev/spidevBUS.0 and .1.
 * What is sent is what is received. Parameters, one value a bus, to be written in
 * /sys/module/kr_spi_loop/parameters: a transfer takes `delay_ms` milliseconds, and fails with
 * `error`, a negative errno, where that is not 0. `selected` counts how often a chip select went
 * active, as that is the only sign of it where no wire is. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/spi/spi.h>

#define BUSES   2
#define SELECTS 2

static unsigned int delay_ms[BUSES];
module_param_array(delay_ms, uint, NULL, 0644);
MODULE_PARM_DESC(delay_ms, "milliseconds that a transfer takes, for each bus");
static int error[BUSES];
module_param_array(error, int, NULL, 0644);
MODULE_PARM_DESC(error, "negative errno that transfers end with, for each bus");
static unsigned int selected[BUSES];
module_param_array(selected, uint, NULL, 0444);
MODULE_PARM_DESC(selected, "how often a chip was selected, for each bus");

static struct platform_device *parents[BUSES];
static struct spi_controller *hosts[BUSES];

static unsigned int bus_of(struct spi_controller *host)
{
    return *(unsigned int *)spi_controller_get_devdata(host);
}

static int loop_transfer(struct spi_controller *host, struct spi_device *device,
                         struct spi_transfer *transfer)
{
    unsigned int bus = bus_of(host);

    if (delay_ms[bus])
        msleep(delay_ms[bus]);
    if (error[bus] < 0)
        return error[bus];
    if (!transfer->rx_buf)
        return 0;
    if (transfer->tx_buf)
        memcpy(transfer->rx_buf, transfer->tx_buf, transfer->len);
    else
        memset(transfer->rx_buf, 0, transfer->len);
    return 0;
}

/* `level` is that of the wire, which is active when low but with SPI_CS_HIGH. */
static void loop_select(struct spi_device *device, bool level)
{
    if (level == !!(device->mode & SPI_CS_HIGH))
        selected[bus_of(device->controller)]++;
}

static void remove_buses(void)
{
    unsigned int bus;

    for (bus = 0; bus < BUSES; bus++) {
        if (hosts[bus])
            spi_unregister_controller(hosts[bus]);
        if (parents[bus])
            platform_device_unregister(parents[bus]);
    }
}

static int add_bus(unsigned int bus)
{
    struct spi_board_info info = {.modalias = "dh2228fv", .max_speed_hz = 50000000};
    struct platform_device *parent;
    struct spi_controller *host;
    int err;

    parent = platform_device_register_simple("kr-spi-loop", bus, NULL, 0);
    if (IS_ERR(parent))
        return PTR_ERR(parent);
    parents[bus] = parent;
    host = spi_alloc_host(&parent->dev, sizeof(bus));
    if (!host)
        return -ENOMEM;
    *(unsigned int *)spi_controller_get_devdata(host) = bus;
    host->bus_num = -1;
    host->num_chipselect = SELECTS;
    host->mode_bits = SPI_CPOL | SPI_CPHA | SPI_CS_HIGH | SPI_LSB_FIRST | SPI_LOOP | SPI_NO_CS;
    host->bits_per_word_mask = SPI_BPW_RANGE_MASK(1, 32);
    host->max_speed_hz = 50000000;
    host->set_cs = loop_select;
    host->transfer_one = loop_transfer;
    err = spi_register_controller(host);
    if (err) {
        spi_controller_put(host);
        return err;
    }
    hosts[bus] = host;
    for (info.chip_select = 0; info.chip_select < SELECTS; info.chip_select++) {
        if (!spi_new_device(host, &info))
            return -ENODEV;
    }
    return 0;
}

static int __init loop_init(void)
{
    unsigned int bus;
    int err = 0;

    for (bus = 0; bus < BUSES && !err; bus++)
        err = add_bus(bus);
    if (err)
        remove_buses();
    return err;
}

module_init(loop_init);
module_exit(remove_buses);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("SPI buses that send what they receive, for tests");
