/* SPDX-License-Identifier: MIT */
/* Lines behind sim-char devices, and what can be wrong with them. */
#include "sim_common.h"

/* --- lines --- */

START_TEST(loop_back)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x");
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 5);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "hello", 5);
    run_for(1);
    ck_assert_uint_eq(w.runs, 1);
    ck_assert_int_eq(w.rq.error, 0);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "hello", 5);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(null_modem)
{
    static struct byte_rq_s w, r;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT,
                         c = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a&latency=1000");
    byte_start(&w, &a, DEV_CHAR_WRITE, "early", 5); /* nobody is there yet */
    run_for(5000);
    open_char(&b, "sim-char:x?side=b");
    ck_assert_int_eq(device_get_accessor_by_path(&c.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:x?side=b&rate=1", DRIVER_CLASS_CHAR),
                     -EBUSY);
    ck_assert_int_eq(device_get_accessor_by_path(&c.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:x", DRIVER_CLASS_CHAR),
                     -EBUSY);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 5);
    run_for(1);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_mem_eq(r.data, "early", 5);

    byte_start(&r, &b, DEV_CHAR_READ, NULL, 8);
    byte_start(&w, &a, DEV_CHAR_WRITE, "last", 4);
    run_for(1);
    device_put_accessor(&a.base);
    run_for(2000);
    ck_assert_uint_eq(r.runs, 2);
    ck_assert_int_eq(r.rq.error, -ENODATA);
    ck_assert_uint_eq(r.rq.size, 4);
    ck_assert_mem_eq(r.data, "last", 4);
    byte_start(&w, &b, DEV_CHAR_WRITE, "nobody", 6);
    run_for(1);
    ck_assert_int_eq(w.rq.error, -EPIPE);
    /* A new one may come. */
    open_char(&a, "sim-char:x?side=a&buffer=1");
    byte_start(&w, &b, DEV_CHAR_WRITE, "again", 5);
    byte_start(&r, &a, DEV_CHAR_READ, NULL, 5);
    run_for(1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "again", 5);
    device_put_accessor(&b.base);
    device_put_accessor(&a.base);
    close_runtime();
}
END_TEST

START_TEST(rate_and_flush)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?rate=1000&latency=500000");
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 20);
    byte_start(&w, &acc, DEV_CHAR_WRITE_FLUSH, "12345678901234567890", 20);
    run_for(KROUTINE_SEC(1));
    ck_assert_int_eq(w.rq.error, 0);
    ck_assert_uint_eq(w.at, start + KROUTINE_MSEC(20) + 500000);
    ck_assert_uint_eq(r.at, w.at);
    /* As a uart would, byte by byte. */
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ_PARTIAL, NULL, 20);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "abc", 3);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(r.rq.size, 19);
    ck_assert_uint_eq(r.at, start + KROUTINE_MSEC(1) + 500000);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(writer_waits_for_room)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?buffer=8");
    byte_start(&w, &acc, DEV_CHAR_WRITE, "0123456789abcdef", 16);
    run_for(1000);
    ck_assert_uint_eq(w.runs, 0);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 16);
    run_for(1);
    ck_assert_uint_eq(w.runs, 1);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_mem_eq(r.data, "0123456789abcdef", 16);
    device_put_accessor(&acc.base);
    /* A sink takes bytes at the rate of the line. */
    open_char(&acc, "sim-char:y?buffer=10&rate=1000&peer=null");
    start = kroutine_sim_now(env.rt);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "12345678901234567890", 20);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(w.runs, 2);
    ck_assert_uint_ge(w.at, start + KROUTINE_MSEC(10));
    ck_assert_uint_lt(w.at, start + KROUTINE_MSEC(20));
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(pattern)
{
    static struct byte_rq_s r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?peer=pattern&rate=100");
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 50);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(r.at, start + KROUTINE_MSEC(500));
    for (unsigned i = 0; i < 50; i++)
        ck_assert_uint_eq(r.data[i], i);
    /* A year later no more than a buffer is there, and nothing is left out. */
    run_for(KROUTINE_SEC(365 * 86400));
    for (unsigned round = 0; round < 64; round++) {
        byte_start(&r, &acc, DEV_CHAR_READ_NONBLOCK, NULL, 64);
        run_for(1);
        ck_assert_uint_eq(r.rq.size, 0);
        for (unsigned i = 0; i < 64; i++)
            ck_assert_uint_eq(r.data[i], (uint8_t)(50 + round * 64 + i));
    }
    byte_start(&r, &acc, DEV_CHAR_READ_NONBLOCK, NULL, 64);
    run_for(1);
    ck_assert_uint_ge(r.rq.size, 63);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(records)
{
    static struct byte_rq_s w[3], r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?record=yes&buffer=20&latency=100");
    byte_start(&w[0], &acc, DEV_CHAR_WRITE_FRAME, "first", 5);
    byte_start(&w[1], &acc, DEV_CHAR_WRITE_FRAME, "much too long", 13);
    byte_start(&w[2], &acc, DEV_CHAR_WRITE_FRAME, "third", 5); /* has to wait */
    run_for(1000);
    ck_assert_uint_eq(w[0].runs + w[1].runs + w[2].runs, 2);
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_uint_eq(r.rq.size, 5);
    ck_assert_mem_eq(r.data, "first", 5);
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, -ENOSPC); /* dropped */
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1000);
    ck_assert_mem_eq(r.data, "third", 5);
    byte_start(&w[0], &acc, DEV_CHAR_WRITE_FRAME, "longer than the line has room for", 33);
    run_for(1);
    ck_assert_int_eq(w[0].rq.error, -ENOSPC);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, -ENOTSUP);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(framed_bytes)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 7);
    open_char(&acc, "sim-char:x?frame=length:2be&short=50&eagain=30&chunk=3&jitter=1000");
    for (unsigned i = 0; i < 20; i++) {
        byte_start(&w, &acc, DEV_CHAR_WRITE_FRAME, "frames in pieces", 16);
        byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 20);
        run_for(KROUTINE_SEC(1));
        ck_assert_int_eq(r.rq.error, 0);
        ck_assert_uint_eq(r.rq.size, 4);
        ck_assert_mem_eq(r.data, "frames in pieces", 16);
    }
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

/* --- faults on demand --- */

static error_t fault(struct device_char_s *acc, unsigned dirs, enum kroutine_sim_fault_e what,
                     unsigned count)
{
    return kroutine_sim_char_fault(&acc->base, dirs, what, count);
}

START_TEST(faults)
{
    static struct byte_rq_s w, r;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a");
    open_char(&b, "sim-char:x?side=b");
    ck_assert_int_eq(fault(&a, 0, KROUTINE_SIM_EIO, 1), -EINVAL);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_PARITY, 1), -EINVAL);
    ck_assert_int_eq(kroutine_sim_char_fault(&timer[0].base, 1, KROUTINE_SIM_EIO, 1), -ENOTSUP);

    /* A waiting read is told. */
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_PARITY, 1), 0);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EBADMSG);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_EIO, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EIO);

    /* What was there is lost, once. */
    byte_start(&w, &a, DEV_CHAR_WRITE, "lost", 4);
    run_for(10);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_OVERRUN, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EPIPE);
    byte_start(&w, &a, DEV_CHAR_WRITE, "kept", 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_AGAIN, 3), 0);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_SHORT, 2), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    run_for(10);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "kept", 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "part", 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_SHORT, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ_PARTIAL, NULL, 4);
    run_for(10);
    ck_assert_uint_eq(r.rq.size, 3);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_mem_eq(r.data, "art", 3);

    /* Stalled: nothing arrives. */
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_STALL, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "late", 4);
    unsigned before = r.runs;

    run_for(KROUTINE_SEC(10));
    ck_assert_uint_eq(r.runs, before);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_STALL, 0), 0);
    run_for(10);
    ck_assert_mem_eq(r.data, "late", 4);

    /* The end of the stream, and back. */
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ | KROUTINE_SIM_WRITE, KROUTINE_SIM_END, 1), 0);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -ENODATA);
    byte_start(&w, &b, DEV_CHAR_WRITE, "none", 4);
    run_for(10);
    ck_assert_int_eq(w.rq.error, -EPIPE);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ | KROUTINE_SIM_WRITE, KROUTINE_SIM_END, 0), 0);
    byte_start(&w, &b, DEV_CHAR_WRITE, "some", 4);
    run_for(10);
    ck_assert_int_eq(w.rq.error, 0);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    close_runtime();
}
END_TEST

START_TEST(unplugged)
{
    static struct byte_rq_s r[3], w, peer;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a&buffer=4");
    open_char(&b, "sim-char:x?side=b");
    for (int i = 0; i < 3; i++)
        byte_start(&r[i], &a, DEV_CHAR_READ, NULL, 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "too much", 8);
    byte_start(&peer, &b, DEV_CHAR_READ, NULL, 8);
    run_for(10);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_READ, KROUTINE_SIM_GONE, 1), 0);
    run_for(10);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(r[i].rq.error, -ENODEV);
    ck_assert_int_eq(peer.rq.error, 0); /* the first bytes made room for the last */
    byte_start(&w, &a, DEV_CHAR_WRITE, "x", 1);
    byte_start(&peer, &b, DEV_CHAR_READ, NULL, 1);
    run_for(10);
    ck_assert_int_eq(w.rq.error, -ENODEV);
    ck_assert_int_eq(peer.rq.error, -ENODATA);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    close_runtime();
}
END_TEST

START_TEST(refused_specs)
{
    static const struct {
        const char *spec;
        error_t err;
    } specs[] = {
        {"sim-char:x?side=c", -EINVAL},
        {"sim-char:x?side=a&peer=null", -EINVAL},
        {"sim-char:x?record=yes&frame=line", -EINVAL},
        {"sim-char:x?buffer=0", -ERANGE},
        {"sim-char:x?eagain=91", -ERANGE},
        {"sim-char:x?colour=red", -EINVAL},
    };
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
        error_t err = device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                  specs[i].spec, DRIVER_CLASS_CHAR);

        ck_assert_msg(err == specs[i].err, "%s: %s (%s)", specs[i].spec, strerror(-err),
                      kroutine_error_text());
    }
    close_runtime();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sim_line");

    kt_add(s, loop_back, 5);
    kt_add(s, null_modem, 5);
    kt_add(s, rate_and_flush, 5);
    kt_add(s, writer_waits_for_room, 5);
    kt_add(s, pattern, 5);
    kt_add(s, records, 5);
    kt_add(s, framed_bytes, 5);
    kt_add(s, faults, 5);
    kt_add(s, unplugged, 5);
    kt_add(s, refused_specs, 5);
    return s;
}
