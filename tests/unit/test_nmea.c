/* SPDX-License-Identifier: MIT */
/* NMEA lines of krctl: assembling, checksums, fields, and the built-in track. */
#include "kt.h"

#include "../../examples/krctl/nmea.c"
#include "../../examples/krctl/track.c"

static const char GGA[] = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";
static const char RMC[] = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A";

/* --- checksum and check --- */

START_TEST(checksum_of_known_sentences)
{
    ck_assert_int_eq(nmea_checksum(GGA, strlen(GGA)), 0x47);
    ck_assert_int_eq(nmea_checksum(RMC, strlen(RMC)), 0x6a);
    ck_assert_int_eq(nmea_checksum("$*", 2), 0);
    ck_assert_int_eq(nmea_checksum("", 0), 0);
}
END_TEST

static enum nmea_status_e check(const char *line)
{
    return nmea_check(line, strlen(line));
}

START_TEST(check_tells_what_is_wrong)
{
    char line[NMEA_TEXT_MAX + 2];

    ck_assert_int_eq(check(GGA), NMEA_GOOD);
    ck_assert_int_eq(check("!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"), NMEA_GOOD);
    ck_assert_int_eq(check("$A*41"), NMEA_GOOD);
    ck_assert_int_eq(check("$K*4b"), NMEA_GOOD);
    ck_assert_int_eq(check("$GPGGA,1*00"), NMEA_CHECKSUM);
    ck_assert_int_eq(check("$GPGGA,1"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$GPGGA,1*5"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$GPGGA,1*5G"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$GPGGA,1*5A "), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$A*41*41"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$*00"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check("$"), NMEA_NO_CHECKSUM);
    ck_assert_int_eq(check(""), NMEA_GARBAGE);
    ck_assert_int_eq(check("GPGGA,1*5A"), NMEA_GARBAGE);
    ck_assert_int_eq(check("$GP\xc3\xa9*00"), NMEA_GARBAGE);
    ck_assert_int_eq(nmea_check("$A\0B*03", 7), NMEA_GARBAGE);
    ck_assert_int_eq(check("$GPGGA,1$GPGGA,1*00"), NMEA_TORN);

    /* 80 characters, the limit, and 81. */
    memset(line, 'A', sizeof(line));
    line[0] = '$';
    strcpy(line + NMEA_TEXT_MAX - 3, "*00"); /* 76 times 'A' */
    ck_assert_int_eq(check(line), NMEA_GOOD);
    memset(line + 1, 'A', sizeof(line) - 1);
    strcpy(line + NMEA_TEXT_MAX - 2, "*41");
    ck_assert_int_eq(check(line), NMEA_OVERLONG);
}
END_TEST

/* --- assembling --- */

struct heard_s {
    unsigned count[NMEA_STATUSES];
    unsigned ends;
    enum nmea_status_e status[64];
    char text[64][NMEA_TEXT_MAX + 1];
};

/* Feeds `size` bytes in pieces of `piece`. */
static void hear(struct heard_s *h, struct nmea_assembler_s *a, const void *data, size_t size,
                 size_t piece)
{
    const uint8_t *p = data;

    while (size > 0) {
        size_t n = size < piece ? size : piece, used;
        enum nmea_status_e status = nmea_feed(a, p, n, &used);

        ck_assert(used <= n);
        ck_assert(used > 0 || status != NMEA_MORE);
        ck_assert(status != NMEA_MORE || used == n);
        ck_assert(strlen(a->text) <= NMEA_TEXT_MAX);
        p += used;
        size -= used;
        h->count[status]++;
        if (status == NMEA_MORE)
            continue;
        h->status[h->ends % 64] = status;
        memcpy(h->text[h->ends % 64], a->text, sizeof(a->text));
        h->ends++;
    }
}

static void hear_all(struct heard_s *h, const char *text, size_t piece)
{
    struct nmea_assembler_s a;

    memset(h, 0, sizeof(*h));
    nmea_init(&a);
    hear(h, &a, text, strlen(text), piece);
}

START_TEST(lines_come_out_whole_however_they_arrive)
{
    static const char stream[] = "$A*41\r\n$GPGGA,1*46\r\n\r\n$B*42\n$C*43\r$D*44\r\n";
    static const char *const lines[] = {"$A*41", "$GPGGA,1*46", "$B*42", "$C*43", "$D*44"};
    struct heard_s h;

    for (size_t piece = 1; piece <= sizeof(stream); piece++) {
        hear_all(&h, stream, piece);
        ck_assert_uint_eq(h.ends, 5);
        for (unsigned i = 0; i < 5; i++)
            ck_assert_str_eq(h.text[i], lines[i]);
        ck_assert_int_eq(h.status[1], check(lines[1]));
    }
}
END_TEST

START_TEST(a_line_that_lost_its_end_leaves_the_next_one_alone)
{
    struct heard_s h;

    for (size_t piece = 1; piece < 20; piece++) {
        hear_all(&h, "$GPGGA,12$A*41\r\n!AIVDM,1$B*42\r\n", piece);
        ck_assert_uint_eq(h.ends, 4);
        ck_assert_int_eq(h.status[0], NMEA_TORN);
        ck_assert_str_eq(h.text[0], "$GPGGA,12");
        ck_assert_int_eq(h.status[1], NMEA_GOOD);
        ck_assert_int_eq(h.status[2], NMEA_TORN);
        ck_assert_int_eq(h.status[3], NMEA_GOOD);
        ck_assert_str_eq(h.text[3], "$B*42");
    }
}
END_TEST

START_TEST(an_overlong_line_counts_once)
{
    struct nmea_assembler_s a;
    struct heard_s h = {0};
    char noise[5000];

    memset(noise, 'U', sizeof(noise));
    noise[0] = '$';
    nmea_init(&a);
    for (int i = 0; i < 3; i++) {
        hear(&h, &a, noise, sizeof(noise), 333);
        hear(&h, &a, "\r\n$A*41\r\n", 9, 4);
    }
    ck_assert_uint_eq(h.count[NMEA_OVERLONG], 3);
    ck_assert_uint_eq(h.count[NMEA_GOOD], 3);
    ck_assert_uint_eq(h.ends, 6);
}
END_TEST

START_TEST(a_stream_joined_half_way_is_no_error)
{
    struct heard_s h;

    hear_all(&h, "01131.000,E*47\r\n$A*41\r\nnoise\r\n", 3);
    ck_assert_uint_eq(h.ends, 3);
    ck_assert_int_eq(h.status[0], NMEA_JOINED);
    ck_assert_int_eq(h.status[1], NMEA_GOOD);
    ck_assert_int_eq(h.status[2], NMEA_GARBAGE);
    ck_assert(!nmea_is_bad(NMEA_JOINED) && !nmea_is_bad(NMEA_GOOD) && nmea_is_bad(NMEA_GARBAGE));

    hear_all(&h, "\r\nnoise\r\n", 1); /* the end of a line was heard: this one is whole */
    ck_assert_uint_eq(h.ends, 1);
    ck_assert_int_eq(h.status[0], NMEA_GARBAGE);

    hear_all(&h, "tail$A*41\r\n", 1);
    ck_assert_uint_eq(h.ends, 2);
    ck_assert_int_eq(h.status[0], NMEA_JOINED);
    ck_assert_int_eq(h.status[1], NMEA_GOOD);
}
END_TEST

START_TEST(any_bytes_at_all)
{
    struct nmea_assembler_s a;
    struct heard_s h = {0};
    uint8_t data[512];
    uint32_t seed = 1;

    nmea_init(&a);
    for (unsigned round = 0; round < kt_count(2000u); round++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            seed = seed * 1664525u + 1013904223u;
            /* Half of them what the assembler looks for. */
            data[i] = seed >> 31 ? (uint8_t) "$!*\r\n,A0"[seed >> 8 & 7] : (uint8_t)(seed >> 16);
        }
        hear(&h, &a, data, sizeof(data), 1 + round % sizeof(data));
        for (unsigned i = 0; i < h.ends && i < 64; i++) {
            char type[NMEA_TYPE_MAX + 1];
            struct nmea_fix_s fix;
            double speed;
            unsigned satellites;

            nmea_type(h.text[i], type);
            ck_assert(strlen(type) > 0);
            nmea_fix(h.text[i], &fix);
            nmea_speed(h.text[i], &speed);
            nmea_in_view(h.text[i], &satellites);
        }
    }
    ck_assert_uint_gt(h.ends, 0);
}
END_TEST

/* --- fields --- */

START_TEST(types)
{
    static const struct {
        const char *line, *type;
    } cases[] = {
        {"$GPGGA,1", "GGA"},  {"$GNRMC,", "RMC"},
        {"!AIVDM,1", "VDM"},  {"$PMTK001,1", "PMTK0"},
        {"$PUBX,00", "PUBX"}, {"$GPGGA", "?"},
        {"$,", "?"},          {"GPGGA,1", "?"},
        {"$gpgga,1", "?"},    {"$ABCDEFGH,1", "ABCDE"},
        {"$GPTXT*00", "TXT"}, {"", "?"},
    };
    char type[NMEA_TYPE_MAX + 1];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        nmea_type(cases[i].line, type);
        ck_assert_str_eq(type, cases[i].type);
    }
}
END_TEST

START_TEST(fields)
{
    size_t len;

    ck_assert_ptr_eq(nmea_field(GGA, 0, &len), GGA);
    ck_assert_uint_eq(len, 6);
    ck_assert_mem_eq(nmea_field(GGA, 1, &len), "123519", 6);
    ck_assert_uint_eq(len, 6);
    ck_assert_ptr_nonnull(nmea_field(GGA, 14, &len)); /* the last one, empty */
    ck_assert_uint_eq(len, 0);
    ck_assert_ptr_null(nmea_field(GGA, 15, &len));
}
END_TEST

static double number(const char *text)
{
    double value = -12345;

    return nmea_number(text, strlen(text), &value) ? value : -99999;
}

START_TEST(numbers)
{
    ck_assert_double_eq(number("0"), 0);
    ck_assert_double_eq(number("007"), 7);
    ck_assert_double_eq_tol(number("4807.038"), 4807.038, 1e-9);
    ck_assert_double_eq(number("-1.5"), -1.5);
    ck_assert_double_eq(number("+.25"), 0.25);
    ck_assert_double_eq(number("3."), 3);
    static const char *const wrong[] = {"", ".", "-", "1.2.3", "1e3", " 1", "1 ", "0x1", "nan"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_double_eq(number(wrong[i]), -99999);
}
END_TEST

START_TEST(positions)
{
    struct nmea_fix_s fix;

    ck_assert(nmea_fix(GGA, &fix));
    ck_assert_double_eq_tol(fix.lat, 48.1173, 1e-9);
    ck_assert_double_eq_tol(fix.lon, 11 + 31.0 / 60, 1e-9);
    ck_assert_double_eq_tol(fix.time, 12 * 3600 + 35 * 60 + 19, 1e-9);
    ck_assert(nmea_fix(RMC, &fix));
    ck_assert_double_eq_tol(fix.lat, 48.1173, 1e-9);
    ck_assert(nmea_fix("$GPGLL,4916.45,S,12311.12,W,225444.5,A", &fix));
    ck_assert_double_eq_tol(fix.lat, -(49 + 16.45 / 60), 1e-9);
    ck_assert_double_eq_tol(fix.lon, -(123 + 11.12 / 60), 1e-9);
    ck_assert_double_eq_tol(fix.time, 22 * 3600 + 54 * 60 + 44.5, 1e-9);
}
END_TEST

START_TEST(positions_that_make_no_sense)
{
    static const char *const lines[] = {
        "$GPGGA,123519,4807.038,N,01131.000,E,0,08", /* no fix */
        "$GPGGA,,,,,,0,00,,,M,,M,,",                 /* a receiver that has just started */
        "$GPRMC,123519,V,4807.038,N,01131.000,E",    /* void */
        "$GPGGA,123519,4860.000,N,01131.000,E,1",    /* 60 minutes */
        "$GPGGA,123519,9000.001,N,01131.000,E,1",    /* past the pole */
        "$GPGGA,123519,4807.038,N,18000.001,E,1",
        "$GPGGA,123519,4807.038,X,01131.000,E,1",
        "$GPGGA,123519,4807.038,,01131.000,E,1",
        "$GPGGA,123519,-4807.038,N,01131.000,E,1",
        "$GPGGA,240000,4807.038,N,01131.000,E,1",
        "$GPGGA,126019,4807.038,N,01131.000,E,1",
        "$GPGGA,123561,4807.038,N,01131.000,E,1",
        "$GPGGA,123519,4807.038,N",
        "$GPGSV,123519,4807.038,N,01131.000,E,1",
        "",
    };
    struct nmea_fix_s fix = {1, 2, 3};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        ck_assert_msg(!nmea_fix(lines[i], &fix), "%s", lines[i]);
    ck_assert(fix.lat == 1 && fix.lon == 2 && fix.time == 3); /* untouched */
}
END_TEST

START_TEST(speeds_and_satellites)
{
    unsigned satellites;
    double knots;

    ck_assert(nmea_speed(RMC, &knots));
    ck_assert_double_eq_tol(knots, 22.4, 1e-9);
    ck_assert(nmea_speed("$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K", &knots));
    ck_assert_double_eq_tol(knots, 5.5, 1e-9);
    ck_assert(!nmea_speed("$GPVTG,,T,,M,,N,,K", &knots));
    ck_assert(!nmea_speed(GGA, &knots));
    ck_assert(nmea_in_view("$GPGSV,2,1,08,01,40,083,46", &satellites));
    ck_assert_uint_eq(satellites, 8);
    ck_assert(!nmea_in_view("$GPGSV,2,1,,01", &satellites));
    ck_assert(!nmea_in_view("$GPGSV,2,1,99999,01", &satellites));
    ck_assert(!nmea_in_view(GGA, &satellites));
}
END_TEST

/* --- the track --- */

START_TEST(track_has_the_damage_that_it_says)
{
    struct track_s track = {0};
    struct nmea_assembler_s a;
    struct heard_s h = {0};
    char text[TRACK_LINE_MAX];
    unsigned damaged = 0, lines = 23 * 6 * 7; /* each kind of damage on each sentence */
    bool is_damaged;

    nmea_init(&a);
    for (unsigned i = 0; i < lines; i++) {
        unsigned good = h.count[NMEA_GOOD];
        size_t len = track_next(&track, text, &is_damaged);

        ck_assert(len > 0 && len <= TRACK_LINE_MAX);
        damaged += is_damaged;
        hear(&h, &a, text, len, 17);
        ck_assert_uint_eq(h.count[NMEA_GOOD], good + !is_damaged);
    }
    ck_assert_uint_eq(damaged, lines / TRACK_BAD_EVERY);
    ck_assert_uint_eq(track.damaged, damaged);
    ck_assert_uint_eq(h.count[NMEA_GOOD], lines - damaged);
    ck_assert_uint_eq(h.count[NMEA_TORN], 7);
    ck_assert_uint_eq(h.count[NMEA_OVERLONG], 7);
    ck_assert_uint_eq(h.count[NMEA_CHECKSUM], 7);
    ck_assert_uint_eq(h.count[NMEA_NO_CHECKSUM], 7);
    ck_assert_uint_eq(h.count[NMEA_GARBAGE], 14);
    ck_assert_uint_eq(h.ends, lines);
}
END_TEST

START_TEST(track_moves_at_its_speed)
{
    struct track_s track = {0};
    struct nmea_fix_s last = {0}, fix;
    char text[TRACK_LINE_MAX + 1];
    unsigned legs = 0;
    bool damaged;

    for (unsigned i = 0; i < 7 * 3600; i++) {
        size_t len = track_next(&track, text, &damaged);
        text[len] = '\0';
        text[strcspn(text, "\r")] = '\0';
        if (damaged || i % 7 != 0)
            continue;
        ck_assert_msg(nmea_fix(text, &fix), "%s", text);
        if (last.time > 0 && fix.time == last.time + 1) {
            double north = (fix.lat - last.lat) * 111194;
            double east = (fix.lon - last.lon) * 111194 * cos(fix.lat * PI / 180);
            ck_assert_double_eq_tol(sqrt(north * north + east * east), 10, 0.1);
            legs++;
        }
        last = fix;
    }
    ck_assert_uint_gt(legs, 3000);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("nmea");

    kt_add(s, checksum_of_known_sentences, 5);
    kt_add(s, check_tells_what_is_wrong, 5);
    kt_add(s, lines_come_out_whole_however_they_arrive, 5);
    kt_add(s, a_line_that_lost_its_end_leaves_the_next_one_alone, 5);
    kt_add(s, an_overlong_line_counts_once, 5);
    kt_add(s, a_stream_joined_half_way_is_no_error, 5);
    kt_add(s, any_bytes_at_all, 20);
    kt_add(s, types, 5);
    kt_add(s, fields, 5);
    kt_add(s, numbers, 5);
    kt_add(s, positions, 5);
    kt_add(s, positions_that_make_no_sense, 5);
    kt_add(s, speeds_and_satellites, 5);
    kt_add(s, track_has_the_damage_that_it_says, 10);
    kt_add(s, track_moves_at_its_speed, 20);
    return s;
}
