/* SPDX-License-Identifier: MIT */
#include "geo.h"

#include <math.h>

#define RADIANS(degrees) ((degrees) * (3.14159265358979323846 / 180))

static const double MAJOR = 6378137.0; /* WGS 84 */
static const double FLATTENING = 1 / 298.257223563;

static double haversine(double lat1, double lat2, double lon)
{
    double a = sin((lat2 - lat1) / 2);
    double b = sin(lon / 2);
    double h = a * a + cos(lat1) * cos(lat2) * b * b;

    return 2 * 6371008.8 * asin(h < 1 ? sqrt(h) : 1); /* mean radius */
}

/* T. Vincenty, "Direct and inverse solutions of geodesics on the ellipsoid with application of
   nested equations", Survey Review XXIII 176, 1975. Names follow the paper. It does not converge
   for nearly opposite points, where a sphere has to do. */
double geo_distance(double lat1, double lon1, double lat2, double lon2)
{
    const double minor = MAJOR * (1 - FLATTENING);
    const double L = RADIANS(lon2 - lon1);
    const double U1 = atan((1 - FLATTENING) * tan(RADIANS(lat1)));
    const double U2 = atan((1 - FLATTENING) * tan(RADIANS(lat2)));
    const double sin_u1 = sin(U1), cos_u1 = cos(U1), sin_u2 = sin(U2), cos_u2 = cos(U2);
    double lambda = L;

    for (int i = 0; i < 100; i++) {
        double x = cos_u2 * sin(lambda);
        double y = cos_u1 * sin_u2 - sin_u1 * cos_u2 * cos(lambda);
        double sin_sigma = sqrt(x * x + y * y);
        if (sin_sigma == 0)
            return 0;

        double cos_sigma = sin_u1 * sin_u2 + cos_u1 * cos_u2 * cos(lambda);
        double sigma = atan2(sin_sigma, cos_sigma);
        double sin_alpha = cos_u1 * cos_u2 * sin(lambda) / sin_sigma;
        double cos2_alpha = 1 - sin_alpha * sin_alpha;
        /* Along the equator cos2_alpha is 0, and the term has no weight. */
        double cos_2m = cos2_alpha > 0 ? cos_sigma - 2 * sin_u1 * sin_u2 / cos2_alpha : 0;
        double C = FLATTENING / 16 * cos2_alpha * (4 + FLATTENING * (4 - 3 * cos2_alpha));
        double before = lambda;
        lambda =
            L + (1 - C) * FLATTENING * sin_alpha *
                    (sigma + C * sin_sigma * (cos_2m + C * cos_sigma * (2 * cos_2m * cos_2m - 1)));
        if (fabs(lambda - before) > 1e-12)
            continue;

        double u2 = cos2_alpha * (MAJOR * MAJOR - minor * minor) / (minor * minor);
        double A = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)));
        double B = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)));
        double near = cos_sigma * (2 * cos_2m * cos_2m - 1);
        double far = B / 6 * cos_2m * (4 * sin_sigma * sin_sigma - 3) * (4 * cos_2m * cos_2m - 3);
        return minor * A * (sigma - B * sin_sigma * (cos_2m + B / 4 * (near - far)));
    }
    return haversine(RADIANS(lat1), RADIANS(lat2), L);
}
