/* Geohashes, distances and the cells that cover shapes, against known values and against each other. */
#include "store/types/geo.h"

#include "tests/check.h"

static unsigned long long seed;

static double random_between(double low, double high) {
    return low + (high - low) * (double)(check_random(&seed) >> 11) / 9007199254740992.0;
}
static struct geo_point random_point(void) {
    return (struct geo_point){random_between(-GEO_LONGITUDE_MAX, GEO_LONGITUDE_MAX),
                              random_between(-GEO_LATITUDE_MAX, GEO_LATITUDE_MAX)};
}
static double size_of(double x) {
    return x < 0 ? -x : x;
}

/* From tables of many digits: each is the nearest double. */
static void sines_are_the_nearest_doubles(void) {
    static const struct {
        double angle, sine, cosine;
    } table[] = {
        {0, 0, 1},
        {0.5, 0.479425538604203, 0.8775825618903728},
        {1, 0.8414709848078965, 0.5403023058681398},
        {2, 0.9092974268256817, -0.4161468365471424},
        {3, 0.1411200080598672, -0.9899924966004454},
        {-1, -0.8414709848078965, 0.5403023058681398},
        {3.141592653589793, 1.2246467991473532e-16, -1},
        {1.5707963267948966, 1, 6.123233995736766e-17},
        {1000, 0.8268795405320025, 0.5623790762907029},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK(geo_sine(table[i].angle) == table[i].sine);
        CHECK(geo_cosine(table[i].angle) == table[i].cosine);
    }
    CHECK(geo_arc_sine(0.5) == 0.5235987755982989 && geo_arc_sine(-0.5) == -0.5235987755982989);
    CHECK(geo_arc_sine(0.1) == 0.1001674211615598 && geo_arc_sine(0.99) == 1.4292568534704693);
    CHECK(geo_arc_sine(1) == 1.5707963267948966 && geo_arc_sine(0) == 0 &&
          geo_arc_sine(2) == geo_arc_sine(1));
    CHECK(geo_sine(1e300) == 0 && geo_cosine(-1e300) == 1);
}

static void arcs_are_those_of_sines(void) {
    for (unsigned i = 0; i < 200000; i++) {
        double angle = random_between(-1.5, 1.5), x = random_between(-1, 1);
        double sine = geo_sine(angle), cosine = geo_cosine(angle);
        CHECK(size_of(sine * sine + cosine * cosine - 1) < 5e-16);
        CHECK(size_of(geo_sine(geo_arc_sine(x)) - x) < 3e-16);
        CHECK(geo_sine(-angle) == -sine && geo_cosine(-angle) == cosine);
    }
}

static void known_places_have_their_geohashes(void) {
    static const struct {
        struct geo_point point;
        uint64_t hash;
        const char *text;
    } table[] = {
        {{13.361389, 38.115556}, 3479099956230698, "sqc8b49rny0"},
        {{15.087269, 37.502669}, 3479447370796909, "sqdtr74hyu0"},
        {{0, 0}, 3377699720527872, "s0000000000"},
        {{-180, -85.05112878}, 0, "00bh0hbj200"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK_INT(geo_encode(&table[i].point), table[i].hash);
        struct geo_point point = geo_decode((double)table[i].hash);
        char text[GEO_TEXT_LEN];
        geo_text(&point, text);
        CHECK_BYTES(((struct bytes){text, sizeof text}), bytes_of(table[i].text));
    }
    struct geo_point palermo = geo_decode(3479099956230698), catania = geo_decode(3479447370796909);
    CHECK(size_of(geo_distance(&palermo, &catania) - 166274.1516) < 0.00005);
}

/* A cell is at most as wide as a 2^26th of the map. */
static void places_come_back(void) {
    for (unsigned i = 0; i < 100000; i++) {
        struct geo_point point = random_point();
        uint64_t hash = geo_encode(&point);
        struct geo_point back = geo_decode((double)hash);
        CHECK(hash < 1ull << 52 && geo_valid(&back));
        CHECK(size_of(back.longitude - point.longitude) <= 180.0 / (1 << 26) * 1.0001);
        CHECK(size_of(back.latitude - point.latitude) <= 85.05112878 / (1 << 26) * 1.0001);
        CHECK_INT(geo_encode(&back), hash);
        CHECK(geo_distance(&point, &back) < 0.6 && geo_distance(&point, &point) == 0);
    }
}

static void any_score_is_a_place(void) {
    static const double scores[] = {-1, -0.5, -1e18, -1e300, 1e18, 1.9e19, 1e300, 4503599627370496.0, 0.99};
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        struct geo_point point = geo_decode(scores[i]);
        CHECK(geo_valid(&point));
    }
    struct geo_point beyond = {180.000001, 0}, above = {0, 86};
    CHECK(!geo_valid(&beyond) && !geo_valid(&above));
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

static struct geo_point vertices[8];

static struct geo_shape random_shape(void) {
    double metres = random_between(1, 100);
    for (unsigned power = (unsigned)(check_random(&seed) % 6); power > 0; power--) metres *= 10;
    struct geo_shape shape = {.unit = 1, .centre = random_point()};
    shape.kind = check_random(&seed) % 3;
    shape.radius = metres;
    shape.width = metres;
    shape.height = random_between(0.1, 1) * metres;
    if (shape.kind != GEO_POLYGON) return shape;
    shape.count = 3 + check_random(&seed) % 6;
    shape.vertices = vertices;
    double size = metres / 200000;
    for (size_t i = 0; i < shape.count; i++) {
        struct geo_point vertex = {shape.centre.longitude + random_between(-size, size),
                                   shape.centre.latitude + random_between(-size, size)};
        vertices[i] = geo_valid(&vertex) ? vertex : shape.centre;
    }
    shape.centre = geo_centre(vertices, shape.count);
    return shape;
}

/* A place near the shape, or anywhere. */
static struct geo_point random_near(const struct geo_shape *shape) {
    double size = shape->radius / 100000;
    struct geo_point point = {shape->centre.longitude + random_between(-size, size),
                              shape->centre.latitude + random_between(-size, size)};
    return geo_valid(&point) ? point : random_point();
}

static bool in_ranges(const struct geo_range *ranges, unsigned count, double score) {
    for (unsigned i = 0; i < count; i++)
        if (score >= ranges[i].min && score < ranges[i].max) return true;
    return false;
}

/* Whatever lies in a shape lies in its ranges; none of these is there twice. Near the poles, and across the line where
 * longitudes begin anew, Redis's choice of cells misses some places, and so does this. */
static void ranges_cover_shapes(void) {
    unsigned inside = 0;
    for (unsigned i = 0; i < 3000; i++) {
        struct geo_shape shape = random_shape();
        struct geo_range ranges[GEO_RANGES];
        unsigned count = geo_ranges(&shape, ranges);
        for (unsigned a = 0; a < count; a++) {
            CHECK(ranges[a].min < ranges[a].max);
            for (unsigned b = 0; b < a; b++)
                CHECK(ranges[a].min >= ranges[b].max || ranges[a].max <= ranges[b].min);
        }
        bool usual = size_of(shape.centre.latitude) < 60 && size_of(shape.centre.longitude) < 100 &&
                     shape.radius < 2e6;
        for (unsigned j = 0; usual && j < 60; j++) {
            struct geo_point near = random_near(&shape), point;
            uint64_t hash = geo_encode(&near);
            double distance;
            point = geo_decode((double)hash);
            if (!geo_within(&shape, &point, &distance)) continue;
            CHECK(in_ranges(ranges, count, (double)hash));
            CHECK(distance == geo_distance(&shape.centre, &point));
            inside++;
        }
    }
    CHECK(inside > 5000);
}

static void shapes_have_their_edges(void) {
    double distance;
    struct geo_shape circle = {.kind = GEO_CIRCLE, .centre = {10, 40}, .radius = 2, .unit = 1000};
    struct geo_point near = {10.02, 40}, far = {10.03, 40};
    CHECK(geo_within(&circle, &near, &distance) && distance > 1700 && distance < 1710);
    CHECK(!geo_within(&circle, &far, &distance));
    struct geo_shape box = {.kind = GEO_BOX, .centre = {10, 40}, .width = 4, .height = 1, .unit = 1000};
    struct geo_point east = {10.02, 40}, north = {10, 40.006};
    CHECK(geo_within(&box, &east, &distance) && !geo_within(&box, &north, &distance));
    static const struct geo_point corners[] = {{0, 0}, {4, 0}, {4, 4}, {2, 1}, {0, 4}};
    struct geo_shape polygon = {
        .kind = GEO_POLYGON, .centre = geo_centre(corners, 5), .unit = 1, .vertices = corners, .count = 5};
    struct geo_point inside = {0.5, 2}, notch = {2, 2}, outside = {5, 1};
    CHECK(geo_within(&polygon, &inside, &distance));
    CHECK(!geo_within(&polygon, &notch, &distance) && !geo_within(&polygon, &outside, &distance));
    static const struct geo_point around[] = {{179, 10}, {-179, 10}, {180, 12}};
    struct geo_point centre = geo_centre(around, 3);
    CHECK(size_of(centre.longitude) > 179.99 && centre.latitude > 10.6 && centre.latitude < 10.7);
}

int main(void) {
    seed = check_seed();
    RUN(sines_are_the_nearest_doubles);
    RUN(arcs_are_those_of_sines);
    RUN(known_places_have_their_geohashes);
    RUN(places_come_back);
    RUN(any_score_is_a_place);
    RUN(ranges_cover_shapes);
    RUN(shapes_have_their_edges);
    return 0;
}
