/* SPDX-License-Identifier: MIT */
/* Framings against other implementations: framing_peer.py, written from the texts alone; libmodbus,
   as a server and as a client; and socat between two of our own. */
#include "kt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#ifdef HAVE_MODBUS
#include <modbus.h>
#endif

static struct kt_env_s env;

/* On a simulated runtime nothing real can be met. */
static bool simulated(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM;
}

static error_t get(struct device_char_s *dev, const char *spec)
{
    memset(dev, 0, sizeof *dev);
    return device_get_accessor_by_path(&dev->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_CHAR);
}

static void must_get(struct device_char_s *dev, const char *spec)
{
    error_t err = get(dev, spec);

    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

static size_t frame(const struct device_char_s *dev, unsigned type, void *data, size_t size)
{
    ptrdiff_t n =
        dev_char_timedwait_op(dev, (enum dev_char_rq_type_e)type, data, size, KROUTINE_SEC(60));

    ck_assert_msg(n > 0, "%s: %s", device_name(dev->dev), strerror((int)-n));
    return (size_t)n;
}

/* --- Python --- */

static const char *const pythons[][2] = {
    {"slip", ""},  {"cobs", ""},   {"hdlc", "?accm=0x000a0000"},
    {"lines", ""}, {"length", ""}, {"hdlc", ""},
};
#define PYTHONS 6

static const char *python_label(int round)
{
    return pythons[round][0];
}

/* In a virtual machine there is neither. */
static bool has_python(void)
{
    return access(FRAMING_PEER, R_OK) == 0 && system("command -v python3 >/dev/null") == 0;
}

static pid_t start_python(const char *framing, int *fd)
{
    int sv[2];
    pid_t pid;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(sv[1], 0);
        dup2(sv[1], 1);
        execlp("python3", "python3", FRAMING_PEER, framing, NULL);
        _exit(127);
    }
    close(sv[1]);
    *fd = sv[0];
    return pid;
}

START_TEST(python)
{
    static const uint8_t special[] = {0x00, 0xc0, 0xdb, 0x7e, 0x7d, 0x11, 0xff, 'z'};
    const char *name = pythons[_i][0];
    uint8_t out[1200], in[1200];
    struct device_char_s dev;
    char spec[64];
    int fd, status;
    pid_t pid;

    if (simulated())
        kt_skip("a simulated runtime has no descriptors");
    if (!has_python())
        kt_skip("python3 or framing_peer.py is not here");
    pid = start_python(name, &fd);
    kt_env_open(&env, KT_THREADS);
    snprintf(spec, sizeof spec, "%s:fd:%d%s", name, fd, pythons[_i][1]);
    must_get(&dev, spec);
    close(fd);
    for (unsigned n = 0; n < kt_count(200) + 8; n++) {
        size_t size = 1 + n * 97 % 1100;

        for (size_t i = 0; i < size; i++)
            out[i] = n % 4 == 0 ? special[(i * 3 + n) % 8] : (uint8_t)(1 + (i * 7 + n) % 255);
        for (size_t i = 0; !strcmp(name, "lines") && i < size; i++)
            out[i] = (uint8_t)(' ' + out[i] % 90);
        frame(&dev, DEV_CHAR_WRITE_FRAME, out, size);
        ck_assert_uint_eq(frame(&dev, DEV_CHAR_READ_FRAME, in, sizeof in), size);
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(in[i], out[size - 1 - i]);
    }
    device_put_accessor(&dev.base);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    kt_env_close(&env);
}
END_TEST

/* --- socat --- */

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

START_TEST(socat_between_two_ttys)
{
    char a[128], b[128], arg_a[160], arg_b[160], spec[200];
    struct device_char_s near, far;
    uint8_t out[500] = {0}, in[600];
    int status;
    pid_t pid;

    if (simulated())
        kt_skip("a simulated runtime has no ttys");
    if (!kt_has_termios2())
        kt_skip("settings of serial ports cannot be read here");
    snprintf(a, sizeof a, "%s/a-%d", kt_folder(), (int)getpid());
    snprintf(b, sizeof b, "%s/b-%d", kt_folder(), (int)getpid());
    snprintf(arg_a, sizeof arg_a, "PTY,rawer,link=%s", a);
    snprintf(arg_b, sizeof arg_b, "PTY,rawer,link=%s", b);
    pid = fork();
    if (pid == 0) {
        execlp("socat", "socat", arg_a, arg_b, NULL);
        _exit(127);
    }
    for (uint64_t end = kt_now() + kt_patience(); !exists(a) || !exists(b); kt_sleep_ms(5)) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            kt_skip("socat is not installed, or cannot make ptys");
        ck_assert(kt_now() < end);
    }
    kt_env_open(&env, KT_THREADS);
    snprintf(spec, sizeof spec, "cobs:hdlc:tty:%s?baud=115200", a);
    must_get(&near, spec);
    snprintf(spec, sizeof spec, "cobs:hdlc:tty:%s?baud=115200", b);
    must_get(&far, spec);
    /* socat makes the links before it is done with the settings, which throws away what came. */
    do
        frame(&near, DEV_CHAR_WRITE_FRAME, out, 1);
    while (dev_char_timedwait_op(&far, DEV_CHAR_READ_FRAME, in, 1, KROUTINE_MSEC(500)) < 0);
    while (dev_char_timedwait_op(&far, DEV_CHAR_READ_FRAME, in, 1, KROUTINE_MSEC(500)) > 0)
        ;
    for (unsigned n = 0; n < kt_count(100) + 4; n++) {
        size_t size = 1 + n * 41 % 480;

        for (size_t i = 0; i < size; i++)
            out[i] = (uint8_t)(i * n);
        frame(&near, DEV_CHAR_WRITE_FRAME, out, size);
        ck_assert_uint_eq(frame(&far, DEV_CHAR_READ_FRAME, in, sizeof in), size);
        ck_assert_mem_eq(in, out, size);
        frame(&far, DEV_CHAR_WRITE_FRAME_FLUSH, in, size);
        ck_assert_uint_eq(frame(&near, DEV_CHAR_READ_FRAME, in, sizeof in), size);
    }
    device_put_accessor(&near.base);
    device_put_accessor(&far.base);
    kt_env_close(&env);
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
}
END_TEST

/* --- libmodbus --- */

#ifdef HAVE_MODBUS

#define REGISTERS 20
#define UNIT      17

/* A pty: our layer on the master, libmodbus on the slave. */
static modbus_t *open_modbus(struct device_char_s *dev, int *master)
{
    char name[KT_PTY_PATH], spec[96];
    modbus_t *mb;

    *master = kt_open_pty(0, name, NULL);
    mb = modbus_new_rtu(name, 115200, 'N', 8, 1);
    ck_assert_ptr_nonnull(mb);
    modbus_set_slave(mb, UNIT);
    modbus_set_response_timeout(mb, 30, 0);
    modbus_set_byte_timeout(mb, 5, 0);
    ck_assert_int_eq(modbus_connect(mb), 0);
    snprintf(spec, sizeof spec, "modbus-rtu:fd:%d?gap=20ms", *master);
    must_get(dev, spec);
    return mb;
}

static unsigned served; /* atomic */

static void *serve(void *arg)
{
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, 0);
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    int n;

    for (unsigned i = 0; i < REGISTERS; i++)
        map->tab_registers[i] = (uint16_t)(1000 + i);
    while ((n = modbus_receive(arg, query)) >= 0) {
        if (n > 0) {
            modbus_reply(arg, query, n, map);
            kt_inc(&served);
        }
        if (n > 1 && query[1] == 6 && query[3] == 0xff) /* a write to 0xff ends it */
            break;
    }
    modbus_mapping_free(map);
    return NULL;
}

START_TEST(libmodbus_serves)
{
    unsigned rounds = kt_slow() > 1 ? 5 : 20;
    struct device_char_s dev;
    uint8_t rsp[260];
    pthread_t thread;
    modbus_t *mb;
    int master;

    if (simulated())
        kt_skip("a simulated runtime has no ptys");
    kt_env_open(&env, KT_THREADS);
    mb = open_modbus(&dev, &master);
    thread = kt_thread(serve, mb);
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t read[] = {UNIT, 3, 0, 2, 0, 16}, write[] = {UNIT, 6, 0, 3, 1, (uint8_t)i};

        frame(&dev, DEV_CHAR_WRITE_FRAME, write, sizeof write);
        ck_assert_uint_eq(frame(&dev, DEV_CHAR_READ_FRAME, rsp, sizeof rsp), sizeof write);
        ck_assert_mem_eq(rsp, write, sizeof write);
        frame(&dev, DEV_CHAR_WRITE_FRAME, read, sizeof read);
        ck_assert_uint_eq(frame(&dev, DEV_CHAR_READ_FRAME, rsp, sizeof rsp), 3 + 32);
        ck_assert_uint_eq(rsp[3] << 8 | rsp[4], 1002);
        ck_assert_uint_eq(rsp[5] << 8 | rsp[6], 256 + i);
        ck_assert_uint_eq(rsp[33] << 8 | rsp[34], 1017);
    }
    {
        uint8_t wrong[] = {UNIT, 3, 0, 19, 0, 16}, bye[] = {UNIT, 6, 0, 0xff, 0, 0};

        frame(&dev, DEV_CHAR_WRITE_FRAME, wrong, sizeof wrong);
        ck_assert_uint_eq(frame(&dev, DEV_CHAR_READ_FRAME, rsp, sizeof rsp), 3);
        ck_assert_uint_eq(rsp[1], 0x83); /* illegal data address */
        frame(&dev, DEV_CHAR_WRITE_FRAME, bye, sizeof bye);
        frame(&dev, DEV_CHAR_READ_FRAME, rsp, sizeof rsp);
    }
    kt_join(thread);
    ck_assert_uint_ge(kt_get(&served), 2 * rounds);
    device_put_accessor(&dev.base);
    modbus_close(mb);
    modbus_free(mb);
    close(master);
    kt_env_close(&env);
}
END_TEST

struct ask_s {
    modbus_t *mb;
    int results[10];
    uint16_t values[10][4];
};

static void *ask(void *arg)
{
    struct ask_s *a = arg;

    for (int i = 0; i < 10; i++)
        a->results[i] = modbus_read_registers(a->mb, 100 + i, 4, a->values[i]);
    return NULL;
}

START_TEST(libmodbus_asks)
{
    static struct ask_s a;
    struct device_char_s dev;
    uint8_t query[260];
    pthread_t thread;
    int master;

    if (simulated())
        kt_skip("a simulated runtime has no ptys");
    kt_env_open(&env, KT_THREADS);
    a.mb = open_modbus(&dev, &master);
    thread = kt_thread(ask, &a);
    for (int i = 0; i < 10; i++) {
        uint8_t reply[11] = {UNIT, 3, 8};

        ck_assert_uint_eq(frame(&dev, DEV_CHAR_READ_FRAME, query, sizeof query), 6);
        ck_assert_uint_eq(query[0], UNIT);
        ck_assert_uint_eq(query[1], 3);
        for (int k = 0; k < 4; k++) {
            reply[3 + 2 * k] = query[3];
            reply[4 + 2 * k] = (uint8_t)k;
        }
        frame(&dev, DEV_CHAR_WRITE_FRAME, reply, sizeof reply);
    }
    kt_join(thread);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(a.results[i], 4);
        for (int k = 0; k < 4; k++)
            ck_assert_uint_eq(a.values[i][k], (100 + i) << 8 | k);
    }
    device_put_accessor(&dev.base);
    modbus_close(a.mb);
    modbus_free(a.mb);
    close(master);
    kt_env_close(&env);
}
END_TEST

#else

START_TEST(libmodbus_serves)
{
    kt_skip("built without libmodbus (libmodbus-dev)");
}
END_TEST

START_TEST(libmodbus_asks)
{
    kt_skip("built without libmodbus (libmodbus-dev)");
}
END_TEST

#endif

Suite *kt_suite(void)
{
    Suite *s = suite_create("framing_peer");

    kt_add_loop(s, python, PYTHONS, python_label, 120);
    kt_add(s, socat_between_two_ttys, 120);
    kt_add(s, libmodbus_serves, 120);
    kt_add(s, libmodbus_asks, 120);
    return s;
}
