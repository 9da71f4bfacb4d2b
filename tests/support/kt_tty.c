/* SPDX-License-Identifier: MIT */
#include "kt.h"

#include <fcntl.h>

int kt_open_pty(int flags, char path[KT_PTY_PATH], int *slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | flags);

    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    ck_assert_int_eq(ptsname_r(master, path, KT_PTY_PATH), 0);
    if (slave) {
        *slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        ck_assert_int_ge(*slave, 0);
    }
    return master;
}

error_t kt_open_uart(const struct kt_env_s *env, const char *spec, struct device_uart_s *uart,
                     struct device_char_s *chr)
{
    struct device_s *root = kroutine_runtime_devices(env->rt);
    error_t err = device_get_accessor_by_path(&uart->base, root, spec, DRIVER_CLASS_UART);

    return err ? err : device_get_accessor_by_path(&chr->base, root, spec, DRIVER_CLASS_CHAR);
}
