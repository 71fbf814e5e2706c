/* geo.h - positions on the earth: geohashes of 52 bits, which are the scores of sorted sets with places, distances, and
 * the ranges of geohashes that cover a circle, a box or a polygon.
 *
 * A geohash (Gustavo Niemeyer, 2008) takes a bit of longitude and one of latitude by turns, each of which halves what is
 * left. So a prefix is a cell, the hashes in it are one range, and with 26 bits each a double holds a hash exactly.
 * Latitudes go up to 85.05112878 degrees, as maps of the web do (EPSG:3857), which are squares. Distances are those of
 * great circles on a sphere, by the haversine formula (R. W. Sinnott, Sky and Telescope, 1984).
 *
 * Redis's clients see results in the order of the cells that were searched, digits of distances, and places on the edge of a
 * shape; so the cells are chosen, and the formulas are evaluated, in its order, with its radius of the earth. */
#ifndef KEVY_STORE_TYPES_GEO_H
#define KEVY_STORE_TYPES_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0       /* degrees, east and west */
#define GEO_LATITUDE_MAX  85.05112878 /* degrees, north and south */

/* In degrees. */
struct geo_point {
    double longitude, latitude;
};

/* Is it one that has a geohash? */
bool geo_valid(const struct geo_point *point);
/* The geohash of a valid point. (A longitude of 180 or the highest latitude give one beyond 52 bits, as in Redis.) */
uint64_t geo_encode(const struct geo_point *point);
/* The middle of its cell. The score is any, of whatever made the sorted set. */
struct geo_point geo_decode(double score);
/* The usual text of a geohash, with latitudes up to 90 degrees: eleven characters, the last of which is always 0. */
enum { GEO_TEXT_LEN = 11 };
void geo_text(const struct geo_point *point, char text[GEO_TEXT_LEN]);

/* Metres. */
double geo_distance(const struct geo_point *a, const struct geo_point *b);

/* A shape around a point; metres. */
struct geo_shape {
    enum { GEO_CIRCLE, GEO_BOX, GEO_POLYGON } kind;
    struct geo_point centre;          /* of a polygon: geo_centre of its vertices */
    double radius;                    /* of a circle */
    double width, height;             /* of a box */
    double unit;                      /* metres; radius, width and height were given in it */
    const struct geo_point *vertices; /* of a polygon, borrowed */
    size_t count;                     /* at least 3 */
};
/* The middle of some points, on the sphere. */
struct geo_point geo_centre(const struct geo_point *points, size_t count);
/* Is the point in the shape? Then *distance is how far it is from the centre, in metres. */
bool geo_within(const struct geo_shape *shape, const struct geo_point *point, double *distance);

/* Scores from `min` on and below `max`. */
struct geo_range {
    double min, max;
};
enum { GEO_RANGES = 9 };
/* The ranges that hold all points of the shape, in the order in which they are searched; returns how many. */
unsigned geo_ranges(const struct geo_shape *shape, struct geo_range ranges[GEO_RANGES]);

/* For tests: what libm has, without libm. Angles in radians, up to 2^20. */
double geo_sine(double angle);
double geo_cosine(double angle);
double geo_arc_sine(double x); /* of -1 to 1 */

#endif
