/* SPDX-License-Identifier: MIT */
/* Regular files and the streams of /dev, and specs that are wrong. */
#include "kt_pair.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct kt_env_s env;
static struct kt_pair_s pair; /* without a peer */
static char path[64];

static void open_spec(int mode, const char *spec)
{
    error_t err;

    if (!env.rt)
        kt_env_open(&env, (enum kt_mode_e)mode);
    memset(&pair, 0, sizeof pair);
    pair.env = &env;
    pair.peer = -1;
    snprintf(pair.spec, sizeof pair.spec, "%s", spec);
    err = kt_pair_lookup(&pair, &pair.dev);
    ck_assert_msg(err == 0, "%s: %s: %s", spec, strerror(-err), kroutine_error_text());
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
    if (path[0])
        unlink(path);
}

#define SIZE 300000

static uint8_t data[SIZE], in[SIZE];

static void make_file(size_t size)
{
    int fd;

    snprintf(path, sizeof path, "%s/file-%d", kt_folder(), (int)getpid());
    kt_fill(data, SIZE, 0);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void open_file(int mode, const char *options)
{
    char spec[128];

    snprintf(spec, sizeof spec, "file:%s%s", path, options);
    open_spec(mode, spec);
}

/* --- files --- */

START_TEST(file_is_read_to_its_end)
{
    size_t at = 0;

    make_file(SIZE);
    open_file(_i, "?mode=r");
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 100000, 0), 100000);
    at = 100000;
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_DISCARD, NULL, 50000, 0), 50000);
    memcpy(in + at, data + at, 50000);
    at += 50000;
    at += kt_run(&pair, DEV_CHAR_READ_PARTIAL, in + at, 1000, 0);
    ck_assert_uint_gt(at, 150000);
    kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0);
    at += kt_run(&pair, DEV_CHAR_READ, in + at, SIZE, -ENODATA); /* with what was left */
    ck_assert_uint_eq(at, SIZE);
    kt_check_fill(in, SIZE, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 1, -ENODATA), 0);
    close_all();
}
END_TEST

START_TEST(file_is_written)
{
    struct stat st;
    int fd;

    make_file(10);
    open_file(_i, "?mode=w&truncate=yes");
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE, data, 200000, 0), 200000);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FLUSH, data + 200000, 100000, 0), 100000);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, SIZE);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, in, SIZE), SIZE);
    close(fd);
    kt_check_fill(in, SIZE, 0);
    kt_run(&pair, DEV_CHAR_READ, in, 1, -ENOTSUP); /* not open for that */
    close_all();
}
END_TEST

START_TEST(file_is_made_and_appended_to)
{
    struct stat st;

    make_file(0);
    unlink(path);
    open_file(_i, "?create=yes&mode=w");
    kt_run(&pair, DEV_CHAR_WRITE, data, 10, 0);
    device_put_accessor(&pair.dev.base);
    open_file(_i, "?append=yes");
    kt_run(&pair, DEV_CHAR_WRITE, data, 10, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 20);
    close_all();
}
END_TEST

/* The descriptor's own position goes on where the program left it. */
START_TEST(file_by_descriptor)
{
    char spec[32];
    int fd;

    make_file(1000);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(lseek(fd, 500, SEEK_SET), 500);
    snprintf(spec, sizeof spec, "fd:%d", fd);
    open_spec(_i, spec);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 500, 0), 500);
    kt_check_fill(in, 500, 500);
    close(fd);
    close_all();
}
END_TEST

#define QUEUED 200

START_TEST(queued_file_reads_keep_their_order)
{
    static struct kt_op_s op[QUEUED];
    unsigned last = 0;

    make_file(SIZE);
    open_file(_i, "?mode=r");
    for (unsigned i = 0; i < QUEUED; i++) {
        kt_op_init(&op[i], i % 2 ? KROUTINE_IMMEDIATE : KROUTINE_SCHED_SWITCH);
        kt_op_submit(&op[i], &pair.dev, DEV_CHAR_READ, in + 1000 * i, 1000);
    }
    for (unsigned i = 0; i < QUEUED; i++) {
        kt_op_expect(&op[i], &env, 0, 0);
        if (i % 2) {
            ck_assert_uint_gt(op[i].stamp, last);
            last = op[i].stamp;
        }
    }
    kt_check_fill(in, 1000 * QUEUED, 0);
    close_all();
}
END_TEST

/* An operation on a file cannot be waited out: the close takes it along. */
START_TEST(file_is_closed_with_requests_pending)
{
    static struct kt_op_s op[QUEUED];

    make_file(SIZE);
    for (int round = 0; round < 20; round++) {
        open_file(_i, "");
        for (unsigned i = 0; i < QUEUED; i++) {
            kt_op_init(&op[i], KROUTINE_IMMEDIATE);
            kt_op_submit(&op[i], &pair.dev, i % 2 ? DEV_CHAR_WRITE_FLUSH : DEV_CHAR_READ,
                         i % 2 ? data : in, 500);
        }
        device_put_accessor(&pair.dev.base);
        for (unsigned i = 0; i < QUEUED; i++) {
            ck_assert_uint_eq(kt_get(&op[i].done), 1);
            ck_assert(op[i].error == 0 || op[i].error == -ECANCELED || op[i].error == -ENODATA);
        }
    }
    close_all();
}
END_TEST

START_TEST(file_lines)
{
    uint8_t line[100];
    int fd;

    make_file(0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < 1000; i++)
        dprintf(fd, "line %d\n", i);
    close(fd);
    open_file(_i, "?mode=r&frame=line");
    for (int i = 0; i < 1000; i++) {
        char expected[32];
        size_t n = kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, 0);

        ck_assert_uint_eq(n, (size_t)snprintf(expected, sizeof expected, "line %d", i));
        ck_assert_int_eq(memcmp(line, expected, n), 0);
    }
    kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, -ENODATA);
    close_all();
}
END_TEST

/* Out of the cache: the backend reads and writes meanwhile. */
START_TEST(lines_from_the_medium)
{
    static uint8_t line[100];
    int fd;

    make_file(0);
    open_file(_i, "?mode=w&frame=line");
    for (int i = 0; i < 2000; i++) {
        int n = snprintf((char *)line, sizeof line, "line %d of many", i);

        kt_run(&pair, i % 100 ? DEV_CHAR_WRITE_FRAME : DEV_CHAR_WRITE_FRAME_FLUSH, line, (size_t)n,
               0);
    }
    kt_pair_close(&pair);
    kt_env_close(&env);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(fsync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    open_file(_i, "?mode=r&frame=line&frame-max=64");
    for (int i = 0; i < 2000; i++) {
        char expected[32];
        size_t n = kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, 0);

        ck_assert_uint_eq(n, (size_t)snprintf(expected, sizeof expected, "line %d of many", i));
        ck_assert_int_eq(memcmp(line, expected, n), 0);
    }
    kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, -ENODATA);
    close_all();
}
END_TEST

/* A file system that knows no RWF_NOWAIT: each read is left to the backend. */
START_TEST(lines_of_proc)
{
    FILE *f = fopen("/proc/filesystems", "re");
    char expected[200];
    uint8_t line[200];
    size_t n;

    ck_assert_ptr_nonnull(f);
    open_spec(_i, "file:/proc/filesystems?mode=r&frame=line&frame-max=200");
    while (fgets(expected, sizeof expected, f)) {
        n = kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, 0);
        ck_assert_uint_eq(n, strlen(expected) - 1);
        ck_assert_mem_eq(line, expected, n);
    }
    kt_run(&pair, DEV_CHAR_READ_FRAME, line, sizeof line, -ENODATA);
    close_all();
    fclose(f);
}
END_TEST

START_TEST(full_disk_is_an_error)
{
    open_spec(_i, "file:/dev/full");
    kt_run(&pair, DEV_CHAR_WRITE, data, 100, -ENOSPC);
    close_all();
}
END_TEST

/* --- /dev --- */

START_TEST(dev_zero)
{
    open_spec(_i, "file:/dev/zero");
    memset(in, 1, SIZE);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, SIZE, 0), SIZE);
    for (size_t i = 0; i < SIZE; i++)
        if (in[i])
            ck_abort_msg("byte %zu", i);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ_NONBLOCK, in, 10, 0), 10);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_DISCARD, NULL, 100000, 0), 100000);
    kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE, data, 1000, 0), 1000);
    close_all();
}
END_TEST

START_TEST(dev_null)
{
    open_spec(_i, "file:/dev/null");
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE, data, SIZE, 0), SIZE);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FLUSH, data, 10, 0), 10);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 1, -ENODATA), 0);
    close_all();
}
END_TEST

START_TEST(dev_urandom)
{
    unsigned seen[256] = {0};

    open_spec(_i, "file:/dev/urandom?mode=r");
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 65536, 0), 65536);
    for (size_t i = 0; i < 65536; i++)
        seen[in[i]]++;
    for (int i = 0; i < 256; i++)
        ck_assert_uint_gt(seen[i], 0); /* by chance: never */
    close_all();
}
END_TEST

/* A long read from a source that never ends must not keep the reactor from others. */
START_TEST(endless_source_shares_the_reactor)
{
    static uint8_t big[64 << 20];
    struct kt_op_s op;
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;

    open_spec(KT_THREADS, "file:/dev/zero");
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, big, sizeof big);
    ck_assert_int_eq(dev_timer_wait_delay(&timer, KROUTINE_MSEC(1), 0), 0);
    kt_op_expect(&op, &env, 0, 0);
    device_put_accessor(&timer.base);
    close_all();
}
END_TEST

/* --- specs that are wrong: the error, and a text that names the part --- */

static const struct {
    const char *spec;
    error_t error;
    const char *named;
} wrong[] = {
    {"file:/nowhere/at/all", -ENOENT, "/nowhere/at/all"},
    {"file:", -EINVAL, "path"},
    {"file:/tmp", -EISDIR, ""},
    {"nodriver:x", -ENOENT, "nodriver"},
    {"file:/dev/null?color=red", -EINVAL, "color"},
    {"file:/dev/null?mode", -EINVAL, "mode"},
    {"file:/dev/null?mode=x", -EINVAL, "mode"},
    {"file:/dev/null?frame=round", -EINVAL, "frame"},
    {"file:/dev/null?frame=length:3be", -EINVAL, "length"},
    {"file:/dev/null?frame=delimiter:256", -EINVAL, "delimiter"},
    {"file:/dev/null?frame=line&frame-max=0", -ERANGE, "frame-max"},
    {"file:/dev/null?frame=line&frame-max=abc", -EINVAL, "frame-max"},
    {"fd:", -EINVAL, "fd"},
    {"fd:-1", -EINVAL, "fd"},
    {"fd:seven", -EINVAL, "seven"},
    {"fd:7x", -EINVAL, "7x"},
    {"fd:99999", -EBADF, "99999"},
    {"tty:/dev/null", 1 /* any */, "/dev/null"},
    {"tty:/dev/does-not-exist", -ENOENT, "does-not-exist"},
    {"nosuchname", -ENOENT, "nosuchname"},
    {"", 1, ""},
};

START_TEST(wrong_specs)
{
    struct device_char_s dev, untouched;
    error_t err;

    kt_env_open(&env, KT_THREADS);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        unsigned fds = kt_open_fds();

        memset(&dev, 0x5a, sizeof dev);
        untouched = dev;
        err = device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                          wrong[i].spec, DRIVER_CLASS_CHAR);
        ck_assert_msg(wrong[i].error > 0 ? err < 0 : err == wrong[i].error,
                      "'%s': %d (%s), text '%s'", wrong[i].spec, err, strerror(-err),
                      kroutine_error_text());
        ck_assert_msg(strstr(kroutine_error_text(), wrong[i].named) && *kroutine_error_text(),
                      "'%s' is not named in '%s'", wrong[i].named, kroutine_error_text());
        ck_assert_int_eq(memcmp(&dev, &untouched, sizeof dev), 0);
        ck_assert_uint_eq(kt_open_fds(), fds);
    }
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 "file:/dev/null", DRIVER_CLASS_TIMER),
                     -ENOTSUP);
    ck_assert_int_eq(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_CHAR),
                     -ENOTSUP);
    kt_env_close(&env);
}
END_TEST

/* On a simulated runtime there are no descriptors. */
START_TEST(refused_on_a_simulated_runtime)
{
    static const char *const specs[] = {"file:/dev/zero", "fd:0", "tty:/dev/tty"};
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;

    kt_env_open(&env, (enum kt_mode_e)_i);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_lt(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt),
                                                     specs[i], DRIVER_CLASS_CHAR),
                         0);
        ck_assert_str_ne(kroutine_error_text(), "");
    }
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char file");
    const TTest *tests[] = {file_is_read_to_its_end,
                            file_is_written,
                            file_is_made_and_appended_to,
                            file_by_descriptor,
                            queued_file_reads_keep_their_order,
                            file_is_closed_with_requests_pending,
                            file_lines,
                            lines_from_the_medium,
                            lines_of_proc,
                            full_disk_is_an_error,
                            dev_zero,
                            dev_null,
                            dev_urandom};

    if (kt_backend == KROUTINE_BACKEND_SIM) {
        kt_add_loop(s, refused_on_a_simulated_runtime, KT_MODES, kt_mode_label, 10);
        return s;
    }
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], KT_MODES, kt_mode_label, 20);
    kt_add(s, endless_source_shares_the_reactor, 20);
    kt_add(s, wrong_specs, 10);
    return s;
}
