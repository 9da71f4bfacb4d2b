/* SPDX-License-Identifier: MIT */
#ifndef KRCTL_GEO_H
#define KRCTL_GEO_H

/* Metres between two positions in degrees along the WGS 84 ellipsoid. */
double geo_distance(double lat1, double lon1, double lat2, double lon2);

#endif
