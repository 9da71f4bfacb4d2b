/* SPDX-License-Identifier: MIT */
/*
 * A Modbus RTU server of libmodbus, for modbus.py. usage: modbus_server TTY UNIT
 * Sixteen registers: the first counts the requests, register n is 1000 + n.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

#define REGISTERS 16

int main(int argc, char **argv)
{
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, 0);
    modbus_t *bus = argc == 3 ? modbus_new_rtu(argv[1], 115200, 'N', 8, 1) : NULL;
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];

    if (!bus || !map || modbus_set_slave(bus, atoi(argv[2])) != 0 || modbus_connect(bus) != 0) {
        fprintf(stderr, "modbus_server: %s\n", modbus_strerror(errno));
        return 1;
    }
    modbus_set_byte_timeout(bus, 5, 0); /* a loaded machine */
    for (int i = 1; i < REGISTERS; i++)
        map->tab_registers[i] = (uint16_t)(1000 + i);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int size = modbus_receive(bus, query);

        if (size > 0) {
            map->tab_registers[0]++;
            modbus_reply(bus, query, size, map);
        } else if (size < 0 && errno != EMBBADCRC && errno != ETIMEDOUT) {
            return 0; /* the line is gone */
        }
    }
}
