/* geo.c - geohashes, distances, and cells that cover a shape.
 *
 * kevy needs libc alone, and sines are in libm. Here they are series in the 64 bits of a long double, and rounded once: so
 * they are the nearest double but for one in some thousands, and with them distances have the digits that any good libm
 * gives. (Where a long double is no longer than a double they have an error of two or three units in the last place.) */
#include "store/types/geo.h"

#include <string.h>

#include "protocol/assert.h"

/* ---- Sines ---------------------------------------------------------------------------------------- */

/* A quarter of a turn in three parts: a small number times one of the first two is exact. */
#define QUARTER_HIGH   1.570796326734125614166259765625L
#define QUARTER_MIDDLE 6.07710050359346054538178805159986950457096099853515625E-11L
#define QUARTER_LOW    2.91273205609335615825860046418433005021284375E-20L
#define RADIANS        (3.14159265358979323846 / 180.0)
#define ANGLE_MAX      1048576.0

/* What makes a term of Taylor's series of the one before it, beside the square of the angle. */
#define TERM(n) (-1.0L / ((n) * ((n)-1)))
static const long double terms[] = {TERM(2),  TERM(3),  TERM(4),  TERM(5),  TERM(6),  TERM(7),
                                    TERM(8),  TERM(9),  TERM(10), TERM(11), TERM(12), TERM(13),
                                    TERM(14), TERM(15), TERM(16), TERM(17), TERM(18), TERM(19),
                                    TERM(20), TERM(21), TERM(22), TERM(23), TERM(24)};
enum { TERMS = sizeof terms / sizeof *terms };

/* The sum of every second term from this one on. */
static long double sum_of_terms(int first, long double square) {
    long double sum = 0;
    for (int i = TERMS - 1 - (TERMS - 1 - first) % 2; i >= first; i -= 2) sum = square * terms[i] * (1 + sum);
    return sum;
}

/* sin r and cos r for |r| up to an eighth of a turn. */
static long double sine_near_0(long double r) {
    return r + r * sum_of_terms(1, r * r);
}
static long double cosine_near_0(long double r) {
    return 1 + sum_of_terms(0, r * r);
}

/* sin(angle + quarters * pi / 2). Beyond ANGLE_MAX, where no shape has its edge, it is that of 0. */
static double sine_turned(double angle, unsigned quarters) {
    if (!(angle > -ANGLE_MAX && angle < ANGLE_MAX)) angle = 0;
    double turns = angle / (double)QUARTER_HIGH;
    int32_t whole = (int32_t)(turns < 0 ? turns - 0.5 : turns + 0.5);
    long double rest = (((long double)angle - whole * QUARTER_HIGH) - whole * QUARTER_MIDDLE) -
                       whole * QUARTER_LOW;
    unsigned turn = ((unsigned)whole + quarters) & 3;
    long double value = turn & 1 ? cosine_near_0(rest) : sine_near_0(rest);
    return (double)(turn & 2 ? -value : value);
}

double geo_sine(double angle) {
    return angle == 0 ? angle : sine_turned(angle, 0);
}
double geo_cosine(double angle) {
    return sine_turned(angle, 1);
}

/* The nearest double: a processor has an instruction for that. CMakeLists.txt lets this file do without errno. */
static double root(double x) {
    return __builtin_sqrt(x);
}
/* One step of Newton's method makes a double's root one of a long double. */
static long double long_root(long double x) {
    long double near = root((double)x);
    return near == 0 ? 0 : (near + x / near) / 2;
}

/* asin x for |x| up to 1/2, and the same of its series. */
#define ARC_TERM(n)  ((2.0L * (n)-1) * (2 * (n)-1) / (2 * (n) * (2 * (n) + 1)))
#define ARC_TERMS(n) ARC_TERM(n), ARC_TERM((n) + 1), ARC_TERM((n) + 2), ARC_TERM((n) + 3)
static long double arc_near_0(long double x) {
    static const long double arc_terms[] = {ARC_TERMS(1),  ARC_TERMS(5),  ARC_TERMS(9),  ARC_TERMS(13),
                                            ARC_TERMS(17), ARC_TERMS(21), ARC_TERMS(25), ARC_TERMS(29)};
    const long double square = x * x;
    long double sum = 0;
    for (int i = square < 1.0L / 64 ? 12 : 32; i > 0; i--) sum = square * arc_terms[i - 1] * (1 + sum);
    return x + x * sum;
}

/* Beyond 1/2 it is that of the other half of the angle. */
double geo_arc_sine(double x) {
    const long double quarter = QUARTER_HIGH + QUARTER_MIDDLE + QUARTER_LOW;
    double size = x < 0 ? -x : x;
    if (size <= 0.5) return (double)arc_near_0(x);
    if (!(size <= 1)) size = 1;
    double angle = (double)(quarter - 2 * arc_near_0(long_root((1 - (long double)size) / 2)));
    return x < 0 ? -angle : angle;
}

/* ---- Geohashes ------------------------------------------------------------------------------------ */

enum { STEPS = 26 }; /* bits of each coordinate */

/* A cell of so many steps: which one it is from the west, and from the south. */
struct cell {
    uint32_t east, north;
    unsigned steps;
};
/* What it covers. */
struct cell_bounds {
    struct geo_point min, max;
};

bool geo_valid(const struct geo_point *point) {
    return point->longitude >= -GEO_LONGITUDE_MAX && point->longitude <= GEO_LONGITUDE_MAX &&
           point->latitude >= -GEO_LATITUDE_MAX && point->latitude <= GEO_LATITUDE_MAX;
}

/* The bits of a number, each with a zero above it, and back. */
static uint64_t spread(uint32_t number) {
    uint64_t bits = number;
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    return (bits | bits << 1) & 0x5555555555555555;
}
static uint32_t gather(uint64_t bits) {
    bits &= 0x5555555555555555;
    bits = (bits | bits >> 1) & 0x3333333333333333;
    bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
    bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(bits | bits >> 16);
}
static uint64_t bits_of(const struct cell *cell) {
    return spread(cell->north) | spread(cell->east) << 1;
}

static struct cell cell_of(const struct geo_point *point, double latitude_max, unsigned steps) {
    double east = (point->longitude - -GEO_LONGITUDE_MAX) / (GEO_LONGITUDE_MAX - -GEO_LONGITUDE_MAX);
    double north = (point->latitude - -latitude_max) / (latitude_max - -latitude_max);
    const double cells = (double)(1u << steps);
    assert(east >= 0 && east <= 1 && north >= 0 && north <= 1);
    return (struct cell){(uint32_t)(east * cells), (uint32_t)(north * cells), steps};
}

static struct cell_bounds bounds_of(const struct cell *cell) {
    const double width = GEO_LONGITUDE_MAX - -GEO_LONGITUDE_MAX,
                 height = GEO_LATITUDE_MAX - -GEO_LATITUDE_MAX;
    const double cells = (double)(1u << cell->steps), west = cell->east, south = cell->north;
    return (struct cell_bounds){
        {-GEO_LONGITUDE_MAX + west / cells * width, -GEO_LATITUDE_MAX + south / cells * height},
        {-GEO_LONGITUDE_MAX + (west + 1) / cells * width, -GEO_LATITUDE_MAX + (south + 1) / cells * height}};
}

uint64_t geo_encode(const struct geo_point *point) {
    struct cell cell = cell_of(point, GEO_LATITUDE_MAX, STEPS);
    assert(geo_valid(point));
    return bits_of(&cell);
}

/* A score as a number of 64 bits: what is beyond them, or below 0, becomes what x86-64 makes of it. */
static uint64_t bits_of_score(double score) {
    const double half = 9223372036854775808.0;
    if (score >= -half && score < half) return (uint64_t)(int64_t)score;
    return score >= half && score < 2 * half ? (uint64_t)score : score < 0 ? 1ull << 63 : 0;
}

static double clamp(double value, double most) {
    return value > most ? most : value < -most ? -most : value;
}

struct geo_point geo_decode(double score) {
    uint64_t bits = bits_of_score(score);
    struct cell cell = {gather(bits >> 1), gather(bits), STEPS};
    struct cell_bounds bounds = bounds_of(&cell);
    return (struct geo_point){clamp((bounds.min.longitude + bounds.max.longitude) / 2, GEO_LONGITUDE_MAX),
                              clamp((bounds.min.latitude + bounds.max.latitude) / 2, GEO_LATITUDE_MAX)};
}

void geo_text(const struct geo_point *point, char text[GEO_TEXT_LEN]) {
    static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    enum { DIGIT_BITS = 5 };
    struct cell cell = cell_of(point, 90, STEPS);
    uint64_t bits = bits_of(&cell);
    for (unsigned i = 0; i < GEO_TEXT_LEN; i++) {
        unsigned below = (i + 1) * DIGIT_BITS;
        text[i] = digits[below <= 2 * STEPS ? bits >> (2 * STEPS - below) & 31 : 0];
    }
}

/* ---- Distances ------------------------------------------------------------------------------------ */

#define EARTH_RADIUS 6372797.560856 /* metres, as Redis has it */

/* Along a meridian. */
static double distance_of_latitudes(double a, double b) {
    double angle = b * RADIANS - a * RADIANS;
    return EARTH_RADIUS * (angle < 0 ? -angle : angle);
}

double geo_distance(const struct geo_point *a, const struct geo_point *b) {
    double a_longitude = a->longitude * RADIANS, b_longitude = b->longitude * RADIANS;
    double a_latitude = a->latitude * RADIANS, b_latitude = b->latitude * RADIANS;
    double u = geo_sine((b_latitude - a_latitude) / 2), v = geo_sine((b_longitude - a_longitude) / 2);
    if (v == 0) return distance_of_latitudes(a->latitude, b->latitude);
    double haversine = u * u + geo_cosine(a_latitude) * geo_cosine(b_latitude) * v * v;
    return 2.0 * EARTH_RADIUS * geo_arc_sine(root(haversine));
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

/* The angle of a point of the plane. */
static double angle_of(double x, double y) {
    const double half = 3.14159265358979323846;
    double length = root(x * x + y * y);
    if (length == 0) return 0;
    double angle = geo_arc_sine(y / length);
    return x >= 0 ? angle : y < 0 ? -half - angle : half - angle;
}

struct geo_point geo_centre(const struct geo_point *points, size_t count) {
    double x = 0, y = 0, z = 0;
    for (size_t i = 0; i < count; i++) {
        double longitude = points[i].longitude * RADIANS, latitude = points[i].latitude * RADIANS;
        x += geo_cosine(latitude) * geo_cosine(longitude);
        y += geo_cosine(latitude) * geo_sine(longitude);
        z += geo_sine(latitude);
    }
    return (struct geo_point){angle_of(x, y) / RADIANS, angle_of(root(x * x + y * y), z) / RADIANS};
}

/* An edge is crossed by the ray to the east where its ends are on both sides of it (W. R. Franklin's form of the test). */
static bool in_polygon(const struct geo_shape *shape, const struct geo_point *point) {
    bool inside = false;
    for (size_t i = 0, j = shape->count - 1; i < shape->count; j = i++) {
        const struct geo_point *a = &shape->vertices[i], *b = &shape->vertices[j];
        if ((a->latitude > point->latitude) == (b->latitude > point->latitude)) continue;
        double crossing = (b->longitude - a->longitude) * (point->latitude - a->latitude) /
                              (b->latitude - a->latitude) +
                          a->longitude;
        if (point->longitude < crossing) inside = !inside;
    }
    return inside;
}

/* Half of the height along the meridian, then half of the width along the parallel through the point. */
static bool in_box(const struct geo_shape *shape, const struct geo_point *point) {
    struct geo_point beside = {shape->centre.longitude, point->latitude};
    double width = shape->width * shape->unit, height = shape->height * shape->unit;
    if (distance_of_latitudes(point->latitude, shape->centre.latitude) > height / 2) return false;
    return !(geo_distance(point, &beside) > width / 2);
}

bool geo_within(const struct geo_shape *shape, const struct geo_point *point, double *distance) {
    if (shape->kind == GEO_BOX && !in_box(shape, point)) return false;
    if (shape->kind == GEO_POLYGON && !in_polygon(shape, point)) return false;
    /* No way is shorter than that between the parallels. */
    if (shape->kind == GEO_CIRCLE && distance_of_latitudes(point->latitude, shape->centre.latitude) >
                                         shape->radius * shape->unit * 1.000001)
        return false;
    *distance = geo_distance(&shape->centre, point);
    return shape->kind != GEO_CIRCLE || !(*distance > shape->radius * shape->unit);
}

/* ---- Cells that cover a shape --------------------------------------------------------------------- */

#define HALF_EQUATOR 20037726.37 /* metres: of the map, from its middle to its edge */

/* What a shape lies in. */
static struct cell_bounds bounds_of_polygon(const struct geo_shape *shape) {
    struct cell_bounds bounds = {shape->vertices[0], shape->vertices[0]};
    for (size_t i = 1; i < shape->count; i++) {
        const struct geo_point *vertex = &shape->vertices[i];
        if (vertex->longitude < bounds.min.longitude) bounds.min.longitude = vertex->longitude;
        if (vertex->longitude > bounds.max.longitude) bounds.max.longitude = vertex->longitude;
        if (vertex->latitude < bounds.min.latitude) bounds.min.latitude = vertex->latitude;
        if (vertex->latitude > bounds.max.latitude) bounds.max.latitude = vertex->latitude;
    }
    return bounds;
}

/* A circle of latitude is shorter nearer to the pole: there a shape is widest in degrees. */
static struct cell_bounds bounds_of_shape(const struct geo_shape *shape) {
    if (shape->kind == GEO_POLYGON) return bounds_of_polygon(shape);
    const struct geo_point *centre = &shape->centre;
    double height = shape->unit * (shape->kind == GEO_CIRCLE ? shape->radius : shape->height / 2);
    double width = shape->unit * (shape->kind == GEO_CIRCLE ? shape->radius : shape->width / 2);
    const double latitudes = height / EARTH_RADIUS / RADIANS;
    const double farther = centre->latitude < 0 ? centre->latitude - latitudes : centre->latitude + latitudes;
    const double longitudes = width / EARTH_RADIUS / geo_cosine(farther * RADIANS) / RADIANS;
    return (struct cell_bounds){{centre->longitude - longitudes, centre->latitude - latitudes},
                                {centre->longitude + longitudes, centre->latitude + latitudes}};
}

/* How far its points are from the centre at most, about. */
static double reach_of(const struct geo_shape *shape) {
    double reach = 0;
    if (shape->kind == GEO_CIRCLE) return shape->radius * shape->unit;
    if (shape->kind == GEO_BOX)
        return root(shape->width / 2 * (shape->width / 2) + shape->height / 2 * (shape->height / 2)) *
               shape->unit;
    for (size_t i = 0; i < shape->count; i++) {
        double distance = geo_distance(&shape->centre, &shape->vertices[i]);
        if (distance > reach) reach = distance;
    }
    return reach;
}

/* Steps of cells three times three of which reach so far around a point, as a rule. */
static unsigned steps_of(double reach, double latitude) {
    int steps = 1;
    if (reach == 0) return STEPS;
    for (; reach < HALF_EQUATOR && steps < 2 * STEPS; steps++) reach *= 2;
    steps -= 2;
    if (latitude > 66 || latitude < -66) steps--;
    if (latitude > 80 || latitude < -80) steps--;
    return steps < 1 ? 1 : steps > STEPS ? STEPS : (unsigned)steps;
}

/* The cell beside one, so many to the east and to the north; behind the last comes the first. */
static struct cell beside(const struct cell *cell, int east, int north) {
    const uint32_t mask = (1u << cell->steps) - 1;
    struct cell moved = *cell;
    if (east) moved.east = (cell->east + (uint32_t)east) & mask;
    if (north) moved.north = (cell->north + (uint32_t)north) & mask;
    return moved;
}

/* Do the cell and those around it hold all of the shape's bounds? */
static bool covers(const struct cell *cell, const struct cell_bounds *shape) {
    struct cell north = beside(cell, 0, 1), south = beside(cell, 0, -1), east = beside(cell, 1, 0),
                west = beside(cell, -1, 0);
    return !(bounds_of(&north).max.latitude < shape->max.latitude) &&
           !(bounds_of(&south).min.latitude > shape->min.latitude) &&
           !(bounds_of(&east).max.longitude < shape->max.longitude) &&
           !(bounds_of(&west).min.longitude > shape->min.longitude);
}

/* A circle or a box is covered with one step less at most; a polygon need not lie around its centre. */
static struct cell middle_cell(const struct geo_shape *shape, const struct cell_bounds *bounds) {
    const struct geo_point centre = {clamp(shape->centre.longitude, GEO_LONGITUDE_MAX),
                                     clamp(shape->centre.latitude, GEO_LATITUDE_MAX)};
    struct cell cell = cell_of(&centre, GEO_LATITUDE_MAX, steps_of(reach_of(shape), centre.latitude));
    bool polygon = shape->kind == GEO_POLYGON;
    for (bool less = true; less && cell.steps > 1 && !covers(&cell, bounds); less = polygon)
        cell = cell_of(&centre, GEO_LATITUDE_MAX, cell.steps - 1);
    return cell;
}

static struct geo_range range_of(const struct cell *cell) {
    unsigned shift = 2 * (STEPS - cell->steps);
    uint64_t bits = bits_of(cell);
    return (struct geo_range){(double)(bits << shift), (double)((bits + 1) << shift)};
}

unsigned geo_ranges(const struct geo_shape *shape, struct geo_range ranges[GEO_RANGES]) {
    static const int moves[GEO_RANGES][2] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                                             {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct cell_bounds bounds = bounds_of_shape(shape);
    struct cell middle = middle_cell(shape, &bounds), last = {0};
    struct cell_bounds inner = bounds_of(&middle);
    /* Nothing is beyond a side of the middle cell that lies outside of the shape. */
    bool small = middle.steps >= 2;
    bool no_south = small && inner.min.latitude < bounds.min.latitude;
    bool no_north = small && inner.max.latitude > bounds.max.latitude;
    bool no_west = small && inner.min.longitude < bounds.min.longitude;
    bool no_east = small && inner.max.longitude > bounds.max.longitude;
    unsigned count = 0;
    for (unsigned i = 0; i < GEO_RANGES; i++) {
        int east = moves[i][0], north = moves[i][1];
        struct cell cell = beside(&middle, east, north);
        if ((no_south && north < 0) || (no_north && north > 0) || (no_west && east < 0) ||
            (no_east && east > 0))
            continue;
        /* Where the whole map is a few cells, neighbours are the same ones. */
        if (last.steps && bits_of(&cell) == bits_of(&last)) continue;
        ranges[count++] = range_of(&cell);
        if (i > 0) last = cell;
    }
    assert(count > 0 && count <= GEO_RANGES);
    return count;
}
