/* SPDX-License-Identifier: MIT */
/* A fork while other threads are in the library: the child finds no lock held for ever. */
#include <sys/wait.h>

#include <kroutine/driver.h>

#include "kt.h"

static unsigned stop;

static void *look_at_drivers(void *arg)
{
    while (!kt_get(&stop))
        driver_get(3);
    return arg;
}

START_TEST(fork_while_drivers_are_looked_up)
{
    struct kt_env_s env;
    pthread_t threads[2];

    kt_env_open(&env, KT_THREADS);
    for (int i = 0; i < 2; i++)
        threads[i] = kt_thread(look_at_drivers, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            alarm(10);
            _exit(driver_get(3) ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    kt_set(&stop, 1);
    for (int i = 0; i < 2; i++)
        kt_join(threads[i]);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("forks, once wrong");

    kt_add(s, fork_while_drivers_are_looked_up, 60);
    return s;
}
