/* geo.c - sorted sets of places: GEOADD, GEOPOS, GEODIST, GEOHASH, and the searches: GEOSEARCH, GEORADIUS and their kin. The
 * score of a place is its geohash (store/types/geo.h).
 *
 * A search goes through the ranges of scores that cover its shape, one after the other, and keeps what lies in the shape.
 * BYPOLYGON is Valkey's: longitudes and latitudes of the vertices, and distances from the middle of these. */
#include <stdio.h>
#include <stdlib.h>

#include "server/commands/zset.h"
#include "store/types/geo.h"

/* ---- Arguments ------------------------------------------------------------------------------------ */

/* False after replying. */
static bool unit_or_reply(struct call *call, uint32_t arg, double *metres) {
    struct bytes word = call->argv[arg];
    *metres = bytes_is(word, "m")    ? 1
              : bytes_is(word, "km") ? 1000
              : bytes_is(word, "ft") ? 0.3048
              : bytes_is(word, "mi") ? 1609.34
                                     : 0;
    if (*metres == 0) reply_error(call->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return *metres != 0;
}

/* A longitude and a latitude. False after replying. */
static bool point_or_reply(struct call *call, uint32_t arg, struct geo_point *point) {
    if (!zset_score_or_reply(call, arg, NULL, &point->longitude) ||
        !zset_score_or_reply(call, arg + 1, NULL, &point->latitude))
        return false;
    if (geo_valid(point)) return true;
    reply_errorf(call->reply, "ERR invalid longitude,latitude pair %f,%f", point->longitude, point->latitude);
    return false;
}

/* The place of the member argv[arg] of a sorted set that is there. */
static bool find_place(const struct call *call, uint32_t key, const struct value *value, uint32_t arg,
                       struct geo_point *point) {
    double score;
    if (!zset_find(call_keyspace(call, key), value, call->argv[arg], &score)) return false;
    *point = geo_decode(score);
    return true;
}

/* ---- GEOADD --------------------------------------------------------------------------------------- */

/* The request becomes a ZADD, which runs and is recorded in its place: options, then a score and a member for each. */
struct adding {
    struct bytes *argv;
    char *digits; /* NUMBER_I64_MAX_LEN for each score */
};

static bool add_places(struct call *call, struct adding *adding, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = first + i * 3, to = first + i * 2;
        char *digits = adding->digits + (size_t)i * NUMBER_I64_MAX_LEN;
        struct geo_point point;
        if (!point_or_reply(call, from, &point)) return false;
        adding->argv[to] = (struct bytes){digits, number_format_u64(digits, geo_encode(&point))};
        adding->argv[to + 1] = call->argv[from + 2];
    }
    return true;
}

static void run_zadd(struct call *call, const struct adding *adding, uint32_t argc) {
    uint64_t recorded = call->effects->recorded;
    struct call zadd = *call;
    zadd.argv = adding->argv;
    zadd.argc = argc;
    zset_add(&zadd);
    call->arg_block_next = zadd.arg_block_next;
    call->logged = zadd.logged;
    if (call->effects->recorded != recorded && !call->logged) call_log(call, adding->argv, argc);
}

static void geoadd(struct call *call) {
    uint32_t first = 2;
    bool nx = false, xx = false;
    for (; first < call->argc; first++) {
        struct bytes word = call->argv[first];
        if (bytes_is(word, "nx"))
            nx = true;
        else if (bytes_is(word, "xx"))
            xx = true;
        else if (!bytes_is(word, "ch"))
            break;
    }
    uint32_t left = call->argc - first, count = left / 3;
    if (left == 0 || left % 3 || (nx && xx)) {
        call_syntax_error(call);
        return;
    }
    struct adding adding = {.argv = calloc(first + count * 2, sizeof *adding.argv),
                            .digits = calloc(count, NUMBER_I64_MAX_LEN)};
    if (!adding.argv || !adding.digits) {
        call_out_of_memory(call);
    } else {
        memcpy(adding.argv, call->argv, first * sizeof *adding.argv);
        adding.argv[0] = BYTES("zadd");
        if (add_places(call, &adding, first, count)) run_zadd(call, &adding, first + count * 2);
    }
    free(adding.argv);
    free(adding.digits);
}
COMMAND(geoadd) = {
    .name = "geoadd",
    .arity = -5,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = geoadd,
    .group = GROUP_GEO,
    .since = "3.2.0",
    .complexity = "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    .summary = "Add one or more geospatial items in the geospatial index represented using a sorted set",
    .history = "6.2.0: Added the `CH`, `NX` and `XX` options.",
    .syntax = "<key:key> [condition:( NX | XX )@6.2.0] [change:CH@6.2.0] "
              "longitude_latitude_member:{ <longitude:double> <latitude:double> <member> } ..."};

/* ---- Asking for members --------------------------------------------------------------------------- */

static void reply_point(struct reply *reply, const struct geo_point *point) {
    const double coordinates[2] = {point->longitude, point->latitude};
    char text[NUMBER_LONG_DOUBLE_MAX_LEN];
    reply_array(reply, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct bytes digits = {text, number_format_long_double(text, coordinates[i])};
        if (reply->resp == 2) {
            reply_bulk(reply, digits);
        } else {
            reply_literal(reply, ",");
            reply_raw(reply, digits);
            reply_literal(reply, "\r\n");
        }
    }
}

static void reply_distance(struct reply *reply, double distance) {
    char text[64];
    int len = snprintf(text, sizeof text, "%.4f", distance);
    assert(len > 0 && len < (int)sizeof text);
    reply_bulk(reply, (struct bytes){text, (size_t)len});
}

static void geopos(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_point point;
        if (there && find_place(call, 1, &value, i, &point))
            reply_point(call->reply, &point);
        else
            reply_null_array(call->reply);
    }
}
COMMAND(geopos) = {.name = "geopos",
                   .arity = -2,
                   .flags = CMD_READONLY,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = geopos,
                   .group = GROUP_GEO,
                   .since = "3.2.0",
                   .complexity = "O(N) where N is the number of members requested.",
                   .summary = "Returns longitude and latitude of members of a geospatial index",
                   .syntax = "<key:key> <member> ...*"};

static void geohash(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_point point;
        char text[GEO_TEXT_LEN];
        if (!there || !find_place(call, 1, &value, i, &point)) {
            reply_null(call->reply);
            continue;
        }
        geo_text(&point, text);
        reply_bulk(call->reply, (struct bytes){text, sizeof text});
    }
}
COMMAND(geohash) = {
    .name = "geohash",
    .arity = -2,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = geohash,
    .group = GROUP_GEO,
    .since = "3.2.0",
    .complexity = "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
    .summary = "Returns members of a geospatial index as standard geohash strings",
    .syntax = "<key:key> <member> ...*"};

static void geodist(struct call *call) {
    struct value value;
    struct geo_point a, b;
    double unit = 1;
    bool there;
    if (call->argc > 5) {
        call_syntax_error(call);
        return;
    }
    if (call->argc == 5 && !unit_or_reply(call, 4, &unit)) return;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    if (there && find_place(call, 1, &value, 2, &a) && find_place(call, 1, &value, 3, &b))
        reply_distance(call->reply, geo_distance(&a, &b) / unit);
    else
        reply_null(call->reply);
}
#define UNITS "unit:( M | KM | FT | MI )"
COMMAND(geodist) = {.name = "geodist",
                    .arity = -4,
                    .flags = CMD_READONLY,
                    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                    .run = geodist,
                    .group = GROUP_GEO,
                    .since = "3.2.0",
                    .complexity = "O(log(N))",
                    .summary = "Returns the distance between two members of a geospatial index",
                    .syntax = "<key:key> <member1> <member2> [" UNITS "]"};

/* ---- Searches: what is asked for ------------------------------------------------------------------ */

struct found {
    struct element member;
    double score, distance; /* metres */
    struct geo_point point;
    uint64_t nth; /* it was found */
};

struct search {
    struct call *call;
    uint32_t key;             /* argument number of the sorted set */
    uint32_t store;           /* of the destination, or 0 */
    bool by_words;            /* GEOSEARCH and GEOSEARCHSTORE: centre and shape are told by words */
    bool may_store;           /* GEORADIUS, GEORADIUSBYMEMBER: STORE and STOREDIST are words */
    bool may_store_distances; /* GEOSEARCHSTORE: STOREDIST is a word alone */
    bool store_distances;
    bool with_distance, with_hash, with_point;
    enum { UNORDERED, ASCENDING, DESCENDING } order;
    bool any;
    int64_t count; /* 0: all */
    bool from_member, from_point;
    bool by_radius, by_box, by_polygon;
    struct geo_shape shape;
    struct geo_point *vertices; /* malloc'd */
    struct value value;
    bool there;

    struct found *found; /* malloc'd */
    uint64_t len, capacity;
};

/* A length that is not negative. */
static bool length_or_reply(struct call *call, uint32_t arg, const char *error, double *length) {
    return zset_score_or_reply(call, arg, error, length);
}

static bool take_radius(struct search *search, uint32_t arg) {
    struct call *call = search->call;
    search->shape.kind = GEO_CIRCLE;
    if (!length_or_reply(call, arg, "ERR need numeric radius", &search->shape.radius)) return false;
    if (search->shape.radius < 0) {
        reply_error(call->reply, "ERR radius cannot be negative");
        return false;
    }
    return unit_or_reply(call, arg + 1, &search->shape.unit);
}

static bool take_box(struct search *search, uint32_t arg) {
    struct call *call = search->call;
    search->shape.kind = GEO_BOX;
    if (!length_or_reply(call, arg, "ERR need numeric width", &search->shape.width) ||
        !length_or_reply(call, arg + 1, "ERR need numeric height", &search->shape.height))
        return false;
    if (search->shape.width < 0 || search->shape.height < 0) {
        reply_error(call->reply, "ERR height or width cannot be negative");
        return false;
    }
    return unit_or_reply(call, arg + 2, &search->shape.unit);
}

/* Their number is argv[arg]; *words: how many arguments they and it are. */
static bool take_polygon(struct search *search, uint32_t arg, uint32_t *words) {
    struct call *call = search->call;
    int64_t count;
    if (!number_parse_i64(call->argv[arg], &count) || count != (int32_t)count) {
        reply_error(call->reply, "ERR invalid number of vertices");
        return false;
    }
    if (count < 3 || count > (call->argc - arg - 1) / 2) {
        reply_error(call->reply, "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
        return false;
    }
    struct geo_point *vertices = realloc(search->vertices, (size_t)count * sizeof *vertices);
    if (vertices == NULL) {
        call_out_of_memory(call);
        return false;
    }
    search->vertices = vertices;
    for (uint32_t i = 0; i < (uint32_t)count; i++)
        if (!point_or_reply(call, arg + 1 + i * 2, &vertices[i])) return false;
    search->shape = (struct geo_shape){.kind = GEO_POLYGON,
                                       .centre = geo_centre(vertices, (size_t)count),
                                       .unit = 1,
                                       .vertices = vertices,
                                       .count = (size_t)count};
    *words = 1 + (uint32_t)count * 2;
    return true;
}

static bool take_member(struct search *search, uint32_t arg) {
    if (search->there && !find_place(search->call, search->key, &search->value, arg, &search->shape.centre)) {
        reply_error(search->call->reply, "ERR could not decode requested zset member");
        return false;
    }
    return true; /* without a sorted set the other words are looked at, and nothing is found */
}

static bool take_count(struct search *search, uint32_t arg) {
    if (!call_int_or_reply(search->call, arg, &search->count)) return false;
    if (search->count > 0) return true;
    reply_error(search->call->reply, "ERR COUNT must be > 0");
    return false;
}

/* A word that stands alone. */
static bool take_flag(struct search *search, struct bytes word) {
    if (bytes_is(word, "withdist"))
        search->with_distance = true;
    else if (bytes_is(word, "withhash"))
        search->with_hash = true;
    else if (bytes_is(word, "withcoord"))
        search->with_point = true;
    else if (bytes_is(word, "any"))
        search->any = true;
    else if (bytes_is(word, "asc"))
        search->order = ASCENDING;
    else if (bytes_is(word, "desc"))
        search->order = DESCENDING;
    else if (search->may_store_distances && bytes_is(word, "storedist"))
        search->store_distances = true;
    else
        return false;
    return true;
}

/* Words of GEOSEARCH with what follows them; *words: how many arguments that is. 1: taken; 0: no such word, or out of
 * place; -1 after replying. */
static int take_shape(struct search *search, uint32_t arg, uint32_t left, uint32_t *words) {
    struct bytes word = search->call->argv[arg];
    bool done;
    if (left >= 1 && bytes_is(word, "frommember") && !search->from_point && !search->by_polygon) {
        search->from_member = true;
        *words = 1;
        done = take_member(search, arg + 1);
    } else if (left >= 2 && bytes_is(word, "fromlonlat") && !search->from_member && !search->by_polygon) {
        search->from_point = true;
        *words = 2;
        done = point_or_reply(search->call, arg + 1, &search->shape.centre);
    } else if (left >= 2 && bytes_is(word, "byradius") && !search->by_box && !search->by_polygon) {
        search->by_radius = true;
        *words = 2;
        done = take_radius(search, arg + 1);
    } else if (left >= 3 && bytes_is(word, "bybox") && !search->by_radius && !search->by_polygon) {
        search->by_box = true;
        *words = 3;
        done = take_box(search, arg + 1);
    } else if (left >= 2 && bytes_is(word, "bypolygon") && !search->by_radius && !search->by_box &&
               !search->from_member && !search->from_point) {
        search->by_polygon = true;
        done = take_polygon(search, arg + 1, words);
    } else {
        return 0;
    }
    return done ? 1 : -1;
}

static bool is_store(const struct search *search, struct bytes word) {
    return search->may_store && (bytes_is(word, "store") || bytes_is(word, "storedist"));
}

/* The words from this argument on. False after replying. */
static bool words_or_reply(struct search *search, uint32_t arg) {
    struct call *call = search->call;
    for (; arg < call->argc; arg++) {
        struct bytes word = call->argv[arg];
        uint32_t left = call->argc - arg - 1, words = 0;
        int taken = 0;
        if (take_flag(search, word)) continue;
        if (left >= 1 && bytes_is(word, "count")) {
            taken = take_count(search, arg + 1) ? 1 : -1;
            words = 1;
        } else if (left >= 1 && is_store(search, word)) {
            search->store = arg + 1;
            search->store_distances = bytes_is(word, "storedist");
            taken = 1;
            words = 1;
        } else if (search->by_words) {
            taken = take_shape(search, arg, left, &words);
        }
        if (taken == 0) call_syntax_error(call);
        if (taken <= 0) return false;
        arg += words;
    }
    return true;
}

/* Do the words go together? False after replying. */
static bool agree_or_reply(const struct search *search) {
    struct call *call = search->call;
    struct bytes name = call->argv[0];
    bool shows = search->with_distance || search->with_hash || search->with_point;
    if (search->store && shows)
        reply_errorf(call->reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     search->may_store_distances ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (search->by_words && !(search->from_member || search->from_point || search->by_polygon))
        reply_errorf(call->reply, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                     reply_repeated(name), name.data);
    else if (search->by_words && !(search->by_radius || search->by_box || search->by_polygon))
        reply_errorf(call->reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                     reply_repeated(name), name.data);
    else if (search->any && !search->count)
        reply_error(call->reply, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

/* ---- Searches: what is found ---------------------------------------------------------------------- */

static bool keep(struct search *search, const struct found *found) {
    enum { LEAST = 32 };
    if (search->len == search->capacity) {
        uint64_t capacity = search->capacity ? search->capacity * 2 : LEAST;
        if (capacity > SIZE_MAX / 2 / sizeof *found) return false;
        struct found *more = realloc(search->found, (size_t)capacity * sizeof *more);
        if (more == NULL) return false;
        search->found = more;
        search->capacity = capacity;
    }
    search->found[search->len] = *found;
    search->found[search->len].nth = search->len;
    search->len++;
    return true;
}

static bool has_enough(const struct search *search) {
    return search->any && search->len >= (uint64_t)search->count;
}

/* Keeps what a range of scores has in the shape. False without memory. */
static bool search_range(struct search *search, const struct geo_range *range) {
    struct zset_walk walk;
    struct zset_item item;
    uint64_t from = zset_below(&search->value, range->min, false);
    if (from == zset_count(&search->value)) return true;
    zset_walk(&walk, &search->value, from, false);
    while (zset_next(&walk, &item) && item.score < range->max && !has_enough(search)) {
        struct found found = {.member = item.member, .score = item.score, .point = geo_decode(item.score)};
        if (geo_within(&search->shape, &found.point, &found.distance) && !keep(search, &found)) return false;
    }
    return true;
}

/* Those that are equally far stay in the order in which they were found. */
static int compare_nth(const struct found *a, const struct found *b) {
    return (a->nth > b->nth) - (a->nth < b->nth);
}
static int compare_near(const void *a, const void *b) {
    const struct found *left = a, *right = b;
    if (left->distance == right->distance) return compare_nth(left, right);
    return left->distance < right->distance ? -1 : 1;
}
static int compare_far(const void *a, const void *b) {
    const struct found *left = a, *right = b;
    if (left->distance == right->distance) return compare_nth(left, right);
    return left->distance > right->distance ? -1 : 1;
}

/* False without memory. */
static bool search_all(struct search *search) {
    struct geo_range ranges[GEO_RANGES];
    unsigned count = geo_ranges(&search->shape, ranges);
    for (unsigned i = 0; i < count && !has_enough(search); i++)
        if (!search_range(search, &ranges[i])) return false;
    if (search->len && search->order != UNORDERED)
        qsort(search->found, search->len, sizeof *search->found,
              search->order == ASCENDING ? compare_near : compare_far);
    if (search->count && search->len > (uint64_t)search->count) search->len = (uint64_t)search->count;
    return true;
}

static void reply_found(struct search *search) {
    struct reply *reply = search->call->reply;
    unsigned shown = 1u + search->with_distance + search->with_hash + search->with_point;
    reply_array(reply, search->len);
    for (uint64_t i = 0; i < search->len; i++) {
        const struct found *found = &search->found[i];
        if (shown > 1) reply_array(reply, shown);
        collection_reply_element(reply, search->call->effects->metrics, &found->member);
        if (search->with_distance) reply_distance(reply, found->distance / search->shape.unit);
        if (search->with_hash) reply_int(reply, (int64_t)found->score);
        if (search->with_point) reply_point(reply, &found->point);
    }
}

static int compare_items(const void *a, const void *b) {
    const struct zset_item *left = a, *right = b;
    if (left->score != right->score) return left->score < right->score ? -1 : 1;
    return bytes_compare(left->member.bytes, right->member.bytes);
}

static void store_found(struct search *search) {
    struct call *call = search->call;
    enum event event = search->by_words ? EVENT_GEOSEARCHSTORE : EVENT_GEORADIUSSTORE;
    struct zset_item *items = search->len ? calloc(search->len, sizeof *items) : NULL;
    if (search->len && !items) {
        call_out_of_memory(call);
        return;
    }
    for (uint64_t i = 0; i < search->len; i++) {
        const struct found *found = &search->found[i];
        double score = search->store_distances ? found->distance / search->shape.unit : found->score;
        items[i] = (struct zset_item){found->member, score};
    }
    if (search->len) qsort(items, search->len, sizeof *items, compare_items);
    zset_store(call, search->store, (struct zset_items){items, search->len}, event, search->len);
    free(items);
}

static void answer(struct search *search) {
    if (search->there && !search_all(search))
        call_out_of_memory(search->call);
    else if (search->store)
        store_found(search);
    else
        reply_found(search);
}

/* What stands before the words. False after replying. */
static bool begin(struct search *search, bool from_member, uint32_t *words_at) {
    struct call *call = search->call;
    if (!collection_read(call, search->key, TYPE_ZSET, &search->value, &search->there)) return false;
    search->shape.unit = 1;
    if (search->by_words) {
        *words_at = search->key + 1;
        return true;
    }
    *words_at = from_member ? 5 : 6;
    if (!from_member) return point_or_reply(call, 2, &search->shape.centre) && take_radius(search, 4);
    return take_member(search, 2) && (!search->there || take_radius(search, 3));
}

static void run(struct search search, bool from_member) {
    uint32_t words_at;
    if (begin(&search, from_member, &words_at) && words_or_reply(&search, words_at) &&
        agree_or_reply(&search)) {
        /* The first so many are the nearest, unless any will do. */
        if (search.count && search.order == UNORDERED && !search.any) search.order = ASCENDING;
        answer(&search);
    }
    free(search.found);
    free(search.vertices);
}

/* ---- Searches: commands --------------------------------------------------------------------------- */

/* All destinations, of which the last one counts. */
static int destinations(const struct bytes *argv, uint32_t argc, uint32_t from, struct command_key *keys,
                        uint32_t max) {
    uint32_t count = 0;
    if (count++ < max) keys[0] = (struct command_key){1, KEY_RO | KEY_ACCESS};
    for (uint32_t i = from; i + 1 < argc; i++) {
        if (!bytes_is(argv[i], "store") && !bytes_is(argv[i], "storedist")) continue;
        if (count++ < max)
            keys[count - 1] = (struct command_key){++i, KEY_OW | KEY_UPDATE};
        else
            i++;
    }
    return (int)count;
}
static int georadius_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    return destinations(argv, argc, 6, keys, max);
}
static int georadiusbymember_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys,
                                  uint32_t max) {
    return destinations(argv, argc, 5, keys, max);
}

#define RADIUS_COMPLEXITY                                                                                    \
    "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited "  \
    "by center and radius and M is the number of items inside the index."
#define RADIUS_WORDS                                                                                         \
    "<radius:double> " UNITS " [withcoord:WITHCOORD] [withdist:WITHDIST] [withhash:WITHHASH] "
#define ORDER "[order:( ASC | DESC )]"

static void georadius(struct call *call) {
    run((struct search){.call = call, .key = 1, .may_store = true}, false);
}
COMMAND(georadius) = {
    .name = "georadius",
    .arity = -6,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS), KEY_BEHIND("STORE", 6, KEY_OW | KEY_UPDATE),
             KEY_BEHIND("STOREDIST", 6, KEY_OW | KEY_UPDATE)},
    .find_keys = georadius_keys,
    .run = georadius,
    .group = GROUP_GEO,
    .since = "3.2.0",
    .complexity = RADIUS_COMPLEXITY,
    .summary = "Query a sorted set representing a geospatial index to fetch members matching a given maximum "
               "distance from a point",
    .history = "6.2.0: Added the `ANY` option for `COUNT`.\n7.0.0: Added support for uppercase unit names.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    .syntax = "<key:key> <longitude:double> <latitude:double> " RADIUS_WORDS
              "[count:{ {COUNT <count:integer>} [ANY@6.2.0] }] " ORDER
              " [{STORE <key:key>}] [{STOREDIST <key:key>}]"};

static void georadius_ro(struct call *call) {
    run((struct search){.call = call, .key = 1}, false);
}
COMMAND(georadius_ro) = {.name = "georadius_ro",
                         .arity = -6,
                         .flags = CMD_READONLY,
                         .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                         .run = georadius_ro,
                         .group = GROUP_GEO,
                         .since = "3.2.10",
                         .complexity = RADIUS_COMPLEXITY,
                         .summary = "A read-only variant for GEORADIUS",
                         .history = "6.2.0: Added the `ANY` option for `COUNT`.",
                         .deprecated_since = "6.2.0",
                         .replaced_by = "`GEOSEARCH` with the `BYRADIUS` argument",
                         .syntax = "<key:key> <longitude:double> <latitude:double> " RADIUS_WORDS
                                   "[count:{ {COUNT <count:integer>} [ANY@6.2.0] }] " ORDER};

#define COUNT_WORDS "[count:{ {COUNT <count:integer>} [ANY] }]"

static void georadiusbymember(struct call *call) {
    run((struct search){.call = call, .key = 1, .may_store = true}, true);
}
COMMAND(georadiusbymember) = {
    .name = "georadiusbymember",
    .arity = -5,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS), KEY_BEHIND("STORE", 5, KEY_OW | KEY_UPDATE),
             KEY_BEHIND("STOREDIST", 5, KEY_OW | KEY_UPDATE)},
    .find_keys = georadiusbymember_keys,
    .run = georadiusbymember,
    .group = GROUP_GEO,
    .since = "3.2.0",
    .complexity = RADIUS_COMPLEXITY,
    .summary = "Query a sorted set representing a geospatial index to fetch members matching a given maximum "
               "distance from a member",
    .history = "7.0.0: Added support for uppercase unit names.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    .syntax = "<key:key> <member> " RADIUS_WORDS COUNT_WORDS " " ORDER
              " [{STORE <key:key>}] [{STOREDIST <key:key>}]"};

static void georadiusbymember_ro(struct call *call) {
    run((struct search){.call = call, .key = 1}, true);
}
COMMAND(georadiusbymember_ro) = {.name = "georadiusbymember_ro",
                                 .arity = -5,
                                 .flags = CMD_READONLY,
                                 .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                                 .run = georadiusbymember_ro,
                                 .group = GROUP_GEO,
                                 .since = "3.2.10",
                                 .complexity = RADIUS_COMPLEXITY,
                                 .summary = "A read-only variant for GEORADIUSBYMEMBER",
                                 .deprecated_since = "6.2.0",
                                 .replaced_by = "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
                                 .syntax = "<key:key> <member> " RADIUS_WORDS COUNT_WORDS " " ORDER};

#define SEARCH_COMPLEXITY                                                                                    \
    "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape "  \
    "provided as the filter and M is the number of items inside the shape"
#define SEARCH_WORDS                                                                                         \
    "from:( {FROMMEMBER <member>} | {FROMLONLAT longitude_latitude:{ <longitude:double> <latitude:double> "  \
    "}} ) by:( circle:{ {BYRADIUS <radius:double>} " UNITS " } | "                                           \
    "box:{ {BYBOX <width:double>} <height:double> " UNITS " } ) " ORDER " " COUNT_WORDS

static void geosearch(struct call *call) {
    run((struct search){.call = call, .key = 1, .by_words = true}, false);
}
COMMAND(geosearch) = {.name = "geosearch",
                      .arity = -7,
                      .flags = CMD_READONLY,
                      .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                      .run = geosearch,
                      .group = GROUP_GEO,
                      .since = "6.2.0",
                      .complexity = SEARCH_COMPLEXITY,
                      .summary = "Query a sorted set representing a geospatial index to fetch members inside "
                                 "an area of a box or a circle.",
                      .history = "7.0.0: Added support for uppercase unit names.",
                      .syntax = "<key:key> " SEARCH_WORDS
                                " [withcoord:WITHCOORD] [withdist:WITHDIST] [withhash:WITHHASH]"};

static void geosearchstore(struct call *call) {
    run((struct search){.call = call, .key = 2, .store = 1, .by_words = true, .may_store_distances = true},
        false);
}
COMMAND(geosearchstore) = {
    .name = "geosearchstore",
    .arity = -8,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_OW | KEY_UPDATE), KEY(2, KEY_RO | KEY_ACCESS)},
    .run = geosearchstore,
    .group = GROUP_GEO,
    .since = "6.2.0",
    .complexity = SEARCH_COMPLEXITY,
    .summary = "Query a sorted set representing a geospatial index to fetch members inside an area of a box "
               "or a circle, and store the result in another key.",
    .history = "7.0.0: Added support for uppercase unit names.",
    .syntax = "<destination:key> <source:key> " SEARCH_WORDS " [storedist:STOREDIST]"};
