/* SPDX-License-Identifier: MIT */
/* The arithmetic behind the report of `krctl demo`: the histogram, and distances. */
#include "kt.h"

#include "../../examples/krctl/geo.c"
#include "../../examples/krctl/hist.c"

START_TEST(cells_cover_every_value_once)
{
    for (uint64_t v = 0; v < 100000; v++) {
        unsigned cell = cell_of(v);

        ck_assert_uint_le(v, cell_top(cell));
        ck_assert(cell == 0 || v > cell_top(cell - 1));
        /* Read from its cell, a value is at most an eighth too high. */
        ck_assert_uint_le((cell_top(cell) - v) * 8, v);
    }
    ck_assert_uint_eq(cell_of(UINT64_MAX), HIST_CELLS - 1);
}
END_TEST

START_TEST(quantiles)
{
    struct hist_s h = {0};

    ck_assert_uint_eq(hist_quantile(&h, 0.5), 0);
    hist_add(&h, 1000);
    ck_assert_uint_eq(hist_quantile(&h, 0), 1000);
    ck_assert_uint_eq(hist_quantile(&h, 1), 1000);

    memset(&h, 0, sizeof(h));
    for (uint64_t v = 1; v <= 10000; v++)
        hist_add(&h, v);
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t exact = (uint64_t)percent * 100, q = hist_quantile(&h, percent / 100.0);

        ck_assert_uint_ge(q, exact);
        ck_assert_uint_le(q, exact + exact / 8);
    }
    ck_assert_uint_eq(h.max, 10000);
}
END_TEST

START_TEST(rows_end_at_round_numbers)
{
    struct hist_s h = {0};
    uint64_t sum = 0;

    for (unsigned row = 0; row + 1 < HIST_ROWS; row++) {
        hist_add(&h, hist_top[row] - 1);
        hist_add(&h, hist_top[row]);
    }
    hist_add(&h, 0);
    hist_add(&h, UINT64_MAX);
    for (unsigned row = 0; row < HIST_ROWS; row++) {
        ck_assert_uint_eq(h.row[row], 2);
        sum += h.row[row];
    }
    ck_assert_uint_eq(sum, h.count);
    ck_assert_uint_eq(hist_top[5], 50000);
}
END_TEST

START_TEST(distances)
{
    /* Flinders Peak to Buninyong, the worked example of Geoscience Australia: 54972.271 m. */
    ck_assert_double_eq_tol(
        geo_distance(-(37 + 57 / 60.0 + 3.72030 / 3600), 144 + 25 / 60.0 + 29.52440 / 3600,
                     -(37 + 39 / 60.0 + 10.15610 / 3600), 143 + 55 / 60.0 + 35.38390 / 3600),
        54972.271, 0.001);
    /* A degree of the equator, and of the meridian there (WGS 84). */
    ck_assert_double_eq_tol(geo_distance(0, 10, 0, 11), 111319.491, 0.001);
    ck_assert_double_eq_tol(geo_distance(0, 10, 1, 10), 110574.389, 0.001);
    ck_assert_double_eq(geo_distance(46.5, 6.5, 46.5, 6.5), 0);
    ck_assert_double_eq_tol(geo_distance(10, 179.9, 10, -179.9), geo_distance(10, 0, 10, 0.2),
                            1e-6);
    /* From pole to pole, half a meridian. */
    ck_assert_double_eq_tol(geo_distance(90, 0, -90, 0), 20003931.459, 0.01);
}
END_TEST

START_TEST(distances_where_the_series_does_not_converge)
{
    for (double lon = 179; lon <= 180; lon += 0.05) {
        double d = geo_distance(0.1, 0, -0.1, lon);

        ck_assert(d > 19.8e6 && d < 20.1e6);
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("krctl");

    kt_add(s, cells_cover_every_value_once, 5);
    kt_add(s, quantiles, 5);
    kt_add(s, rows_end_at_round_numbers, 5);
    kt_add(s, distances, 5);
    kt_add(s, distances_where_the_series_does_not_converge, 5);
    return s;
}
