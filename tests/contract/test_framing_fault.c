/* SPDX-License-Identifier: MIT */
/* Framings on a line that damages, loses and ends: each thing is said once, and the next frame is
   whole. The other end writes bytes as they are. */
#include "framing_line.h"

#include <kroutine/sim.h>

static struct kt_env_s env;
static struct framing_line_s line;

static const struct framing_s slip = {"slip", "slip:", "", true, false, false};
static const struct framing_s cobs = {"cobs", "cobs:", "", true, false, false};
static const struct framing_s hdlc = {"hdlc", "hdlc:", "", true, false, true};
static const struct framing_s lines = {"lines", "lines:", "", true, false, false};
static const struct framing_s length = {"length", "length:", "", false, false, false};
static const struct framing_s modbus = {"modbus", "modbus-rtu:", "gap=40ms", true, true, true};

static const char *mode_label(int round)
{
    return kt_mode_label(round);
}

static void open_line(enum kt_mode_e mode, const struct framing_s *framing)
{
    if (framing->slow && kt_backend == KROUTINE_BACKEND_SIM)
        mode = KT_EMBEDDED;
    kt_env_open(&env, mode);
    framing_open(&line, &env,
                 framing->slow && kt_backend != KROUTINE_BACKEND_SIM ? LINE_SOCKET : LINE_ROUGH,
                 framing, false);
}

static void close_all(void)
{
    framing_close(&line);
    kt_env_close(&env);
}

static void say(const char *bytes, size_t size)
{
    framing_run(&env, &line.peer, DEV_CHAR_WRITE, TEXT(bytes), size, 0);
}

static void hear(int error, const char *frame)
{
    uint8_t in[300];
    size_t n = framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, in, sizeof in, error);

    if (error)
        return;
    ck_assert_uint_eq(n, strlen(frame));
    ck_assert_mem_eq(in, frame, n);
}

/* "good" and "next" with their FCS, reckoned by hand of RFC 1662, C.2: see test_framing_peer. */
static size_t hdlc_frame(char *to, const char *payload)
{
    unsigned fcs = 0xffff;
    size_t n = 0;

    to[n++] = 0x7e;
    for (; *payload; payload++) {
        fcs ^= (uint8_t)*payload;
        for (int i = 0; i < 8; i++)
            fcs = fcs & 1 ? fcs >> 1 ^ 0x8408 : fcs >> 1;
        to[n++] = *payload;
    }
    fcs ^= 0xffff;
    for (int i = 0; i < 2; i++, fcs >>= 8) {
        uint8_t byte = (uint8_t)fcs;

        if (byte == 0x7e || byte == 0x7d) {
            to[n++] = 0x7d;
            byte ^= 0x20;
        }
        to[n++] = (char)byte;
    }
    to[n++] = 0x7e;
    return n;
}

START_TEST(a_flipped_byte)
{
    char bytes[200];
    size_t n;

    open_line((enum kt_mode_e)_i, &hdlc);
    n = hdlc_frame(bytes, "good");
    n += hdlc_frame(bytes + n, "flip");
    bytes[n - 6] ^= 1; /* of "flip" */
    n += hdlc_frame(bytes + n, "next");
    say(bytes, n);
    hear(0, "good");
    hear(-EBADMSG, NULL);
    hear(0, "next");
    close_all();
}
END_TEST

START_TEST(malformed)
{
    open_line((enum kt_mode_e)_i, &slip);
    say("good\xc0"
        "ba\xdb"
        "d\xc0"
        "next\xc0",
        15);
    hear(0, "good");
    hear(-EBADMSG, NULL);
    hear(0, "next");
    close_all();
    open_line((enum kt_mode_e)_i, &cobs);
    say("\x05good\0"
        "\x09"
        "bad\0"
        "\x05next\0",
        17);
    hear(0, "good");
    hear(-EBADMSG, NULL);
    hear(0, "next");
    close_all();
}
END_TEST

START_TEST(ends_of_the_line)
{
    open_line((enum kt_mode_e)_i, &slip);
    say("good\xc0"
        "cut",
        8);
    device_put_accessor(&line.peer.base);
    hear(0, "good");
    hear(-EBADMSG, NULL);
    hear(-ENODATA, NULL);
    hear(-ENODATA, NULL);
    close_all();
    open_line((enum kt_mode_e)_i, &lines);
    say("good\nlast", 9);
    device_put_accessor(&line.peer.base);
    hear(0, "good");
    hear(0, "last");
    hear(-ENODATA, NULL);
    close_all();
}
END_TEST

START_TEST(modbus_on_the_line)
{
    open_line((enum kt_mode_e)_i, &modbus);
    say("\x11\x03\x00\x6b\x00\x03\x76\x87", 8);
    {
        uint8_t in[300];

        ck_assert_uint_eq(framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, in, sizeof in, 0), 6);
        ck_assert_mem_eq(in, "\x11\x03\x00\x6b\x00\x03", 6);
    }
    say("\x11\x03\x00\x6b\x00\x04\x76\x87", 8);
    hear(-EBADMSG, NULL);
    say("\xff", 1); /* noise */
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("\x11\x03\x00\x6b\x00\x03"), 6, 0);
    {
        uint8_t in[8];

        framing_run(&env, &line.peer, DEV_CHAR_READ, in, 8, 0);
        ck_assert_mem_eq(in, "\x11\x03\x00\x6b\x00\x03\x76\x87", 8);
    }
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("\x11"), 1, -EINVAL);
    close_all();
}
END_TEST

/* More without silence than a frame may have: said once, and gone with the silence. */
START_TEST(modbus_flood)
{
    static char flood[600];
    struct kt_op_s op;
    uint8_t in[300];

    open_line((enum kt_mode_e)_i, &modbus);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, sizeof in);
    memset(flood, 'f', sizeof flood);
    say(flood, sizeof flood);
    kt_op_expect(&op, &env, -ENOSPC, sizeof in);
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_idle(&env, kt_backend == KROUTINE_BACKEND_SIM ? 1 : 100);
    if (kt_backend == KROUTINE_BACKEND_SIM) {
        close_all(); /* virtual time passes with the requests: nothing to wait for */
        return;
    }
    say("\x11\x03\x00\x6b\x00\x03\x76\x87", 8);
    kt_op_expect(&op, &env, 0, sizeof in - 6);
    close_all();
}
END_TEST

START_TEST(length_has_no_way_back)
{
    uint8_t in[16];

    open_line((enum kt_mode_e)_i, &length);
    say("\x00\x04good\x00\x02", 8);
    hear(0, "good");
    ck_assert_int_eq(
        kroutine_sim_char_fault(&line.below.base, KROUTINE_SIM_READ, KROUTINE_SIM_PARITY, 1), 0);
    say("xx\x00\x04next", 8);
    hear(-EBADMSG, NULL);
    hear(-EPIPE, NULL);
    say("\x00\x01y", 3);
    hear(-EPIPE, NULL);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("out"), 3, 0); /* this way all is well */
    framing_run(&env, &line.peer, DEV_CHAR_READ, in, 5, 0);
    ck_assert_mem_eq(in, "\x00\x03out", 5);
    close_all();
}
END_TEST

/* Parity errors and overruns of the device below. */
START_TEST(errors_from_below)
{
    static const enum kroutine_sim_fault_e faults[] = {KROUTINE_SIM_PARITY, KROUTINE_SIM_OVERRUN,
                                                       KROUTINE_SIM_EIO};
    static const int errors[] = {-EBADMSG, -EPIPE, -EIO};

    for (unsigned i = 0; i < 3; i++) {
        open_line((enum kt_mode_e)_i, &slip);
        say("good\xc0", 5);
        hear(0, "good");
        ck_assert_int_eq(kroutine_sim_char_fault(&line.below.base, KROUTINE_SIM_READ, faults[i], 1),
                         0);
        hear(errors[i], NULL);
        say("rest\xc0next\xc0", 10);
        hear(0, "next"); /* the rest of the frame in which it happened is gone */
        close_all();
    }
    open_line((enum kt_mode_e)_i, &slip);
    kroutine_sim_char_fault(&line.below.base, KROUTINE_SIM_WRITE, KROUTINE_SIM_EIO, 1);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("bad"), 3, -EIO);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("good"), 4, 0);
    close_all();
}
END_TEST

START_TEST(unplugged)
{
    struct kt_op_s reads[2], write;
    uint8_t in[2][300], big[3000];

    open_line((enum kt_mode_e)_i, &slip);
    memset(big, 'b', sizeof big);
    for (unsigned i = 0; i < 2; i++) {
        kt_op_init(&reads[i], KROUTINE_DEFERRED);
        kt_op_submit(&reads[i], &line.up, i ? DEV_CHAR_READ_POLL : DEV_CHAR_READ_FRAME, in[i], 300);
    }
    kt_op_init(&write, KROUTINE_IMMEDIATE);
    kt_op_submit(&write, &line.up, DEV_CHAR_WRITE_FRAME, big, sizeof big); /* more than fits */
    ck_assert_int_eq(kroutine_sim_char_fault(&line.below.base,
                                             KROUTINE_SIM_READ | KROUTINE_SIM_WRITE,
                                             KROUTINE_SIM_GONE, 1),
                     0);
    kt_op_expect(&reads[0], &env, -ENODEV, 300);
    kt_op_expect(&reads[1], &env, -ENODEV, 300);
    kt_op_expect(&write, &env, -ENODEV, sizeof big);
    hear(-ENODEV, NULL);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("late"), 4, -ENODEV);
    framing_run(&env, &line.up, DEV_CHAR_READ_POLL, NULL, 0, -ENODEV);
    close_all();
}
END_TEST

/* A frame that is cut short by the removal of the device is damage, not an end. */
START_TEST(unplugged_in_a_frame)
{
    struct kt_op_s op;
    uint8_t in[300];

    open_line((enum kt_mode_e)_i, &lines);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, 300);
    say("good\nhalf", 9);
    kt_op_expect(&op, &env, 0, 296);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(50)); /* the half is in the layer then */
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, 300);
    kt_op_expect(&op, &env, -ETIMEDOUT, 300);
    kroutine_sim_char_fault(&line.below.base, KROUTINE_SIM_READ, KROUTINE_SIM_GONE, 1);
    hear(-EBADMSG, NULL);
    hear(-ENODEV, NULL);
    close_all();
}
END_TEST

/* 10^5 frames for nobody: what is not read stays below, and where it came from. */
START_TEST(frames_for_nobody)
{
    unsigned count = kt_count(100000), in_the_layer = 0, written = 0;
    struct kt_op_s op;
    uint8_t in[300];

    open_line((enum kt_mode_e)_i, &slip);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    for (unsigned i = 0; i < count; i++) {
        kt_op_submit(&op, &line.peer, DEV_CHAR_WRITE_NONBLOCK, (void *)(uintptr_t) "x\xc0", 2);
        kt_await(&env, kt_get(&op.done));
        ck_assert_int_eq(op.error, 0);
        written += 2 - (unsigned)op.left;
    }
    ck_assert_uint_le(written, 900); /* buffer= of the line: the layer has taken nothing */
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(100));
    do {
        kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, sizeof in);
        kt_await(&env, kt_get(&op.done));
        in_the_layer += op.error == 0;
    } while (op.error == 0);
    ck_assert_int_eq(op.error, -ETIMEDOUT);
    ck_assert_uint_gt(in_the_layer, 10);
    close_all();
}
END_TEST

/* --- specs --- */

static void refuse(const char *spec, error_t wanted, const char *text)
{
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    error_t err = device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_CHAR);

    ck_assert_msg(err == wanted, "%s: %d", spec, err);
    ck_assert_msg(strstr(kroutine_error_text(), text) != NULL, "%s: '%s'", spec,
                  kroutine_error_text());
}

START_TEST(specs)
{
    struct device_char_s a, b, c;

    kt_env_open(&env, (enum kt_mode_e)_i);
    refuse("slip:", -EINVAL, "missing");
    refuse("slip:?max=10", -EINVAL, "missing");
    refuse("slip:nobody", -ENOENT, "nobody");
    refuse("slip:nodriver:x", -ENOENT, "nodriver");
    refuse("slip:timer0", -ENOTSUP, "no class char");
    refuse("slip:sim-char:s?frobnicate=1", -EINVAL, "frobnicate");
    refuse("slip:sim-char:s?max=0", -ERANGE, "max=0");
    refuse("slip:sim-char:s?max=10&max=11", -EINVAL, "'max' in 'sim-char:s?max=11'");
    refuse("slip:sim-char:s?max=10&latency", -EINVAL, "latency");
    refuse("length:sim-char:s?size=1&max=300", -ERANGE, "255");
    refuse("lines:sim-char:s?end=eof", -EINVAL, "lf|crlf|cr");
    refuse("modbus-rtu:sim-char:s?gap=soon", -EINVAL, "gap=soon");
    refuse("slip:cobs:hdlc:", -EINVAL, "hdlc");
    ck_assert_ptr_null(strstr(kroutine_error_text(), "slip: slip"));

    /* The same spec is the same device, and so is what lies below. */
    framing_get(&env, &a, "slip:", "sim-char:s?latency=5", "max=10");
    framing_get(&env, &b, "slip:", "sim-char:s?latency=5", "max=10");
    framing_get(&env, &c, "", "sim-char:s?latency=5", "");
    ck_assert(device_cmp_accessor(&a.base, &b.base));
    ck_assert_str_eq(device_name(a.dev), "slip:sim-char:s?latency=5&max=10");
    ck_assert_str_eq(device_driver_name(a.dev), "slip");
    refuse("sim-char:s?latency=6", -EBUSY, "open already");
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    device_put_accessor(&c.base);
    /* It has closed what is below: the line can be opened in another way. */
    framing_get(&env, &a, "cobs:slip:", "sim-char:s?latency=6", "max=10&max=20");
    framing_run(&env, &a, DEV_CHAR_WRITE_FRAME, TEXT("0123456789a"), 11, -ENOSPC);
    framing_run(&env, &a, DEV_CHAR_WRITE_FRAME, TEXT("0123456789"), 10, 0);
    device_put_accessor(&a.base);
    kt_env_close(&env);
}
END_TEST

/* What is escaped in a path is for the driver that has the path. */
START_TEST(escapes_in_specs)
{
    char keys[128], path[128], text[16] = "";
    struct device_char_s dev;
    FILE *f;

    if (kt_backend == KROUTINE_BACKEND_SIM)
        kt_skip("a simulated runtime has no files");
    kt_env_open(&env, (enum kt_mode_e)_i);
    snprintf(keys, sizeof keys, "%s/a%%20b%%3Fc%%25%d?create=yes&end=crlf&mode=w", kt_folder(), _i);
    snprintf(path, sizeof path, "%s/a b?c%%%d", kt_folder(), _i);
    framing_get(&env, &dev, "lines:file:", keys, "");
    framing_run(&env, &dev, DEV_CHAR_WRITE_FRAME_FLUSH, TEXT("line"), 4, 0);
    device_put_accessor(&dev.base);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(text, 1, sizeof text, f), 6);
    ck_assert_str_eq(text, "line\r\n");
    fclose(f);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("framing_fault");

    kt_add_loop(s, a_flipped_byte, KT_MODES, mode_label, 30);
    kt_add_loop(s, malformed, KT_MODES, mode_label, 30);
    kt_add_loop(s, ends_of_the_line, KT_MODES, mode_label, 30);
    kt_add_loop(s, modbus_on_the_line, KT_MODES, mode_label, 30);
    kt_add_loop(s, modbus_flood, KT_MODES, mode_label, 30);
    kt_add_loop(s, length_has_no_way_back, KT_MODES, mode_label, 30);
    kt_add_loop(s, errors_from_below, KT_MODES, mode_label, 30);
    kt_add_loop(s, unplugged, KT_MODES, mode_label, 30);
    kt_add_loop(s, unplugged_in_a_frame, KT_MODES, mode_label, 30);
    kt_add_loop(s, frames_for_nobody, KT_MODES, mode_label, 120);
    kt_add_loop(s, specs, KT_MODES, mode_label, 30);
    kt_add_loop(s, escapes_in_specs, KT_MODES, mode_label, 30);
    return s;
}
