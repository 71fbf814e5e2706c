/* GEOADD and its kin: what they are answered, what they store, and what they do without memory. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

static void places_are_added_and_found(void) {
    begin();
    static const struct exchange table[] = {
        {"geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2\r\n"},
        {"geoadd g nx 1 1 Palermo", ":0\r\n"},
        {"geoadd g ch xx 13.361389 38.115556 Palermo 1 1 new", ":0\r\n"},
        {"geoadd g nx xx 1 1 a", SYNTAX_ERROR},
        {"geoadd g 1 1", "-ERR wrong number of arguments for 'geoadd' command\r\n"},
        {"geoadd g 1 1 a 2", SYNTAX_ERROR},
        {"geoadd g 1 x a", "-ERR value is not a valid float\r\n"},
        {"geoadd g 181 1 a", "-ERR invalid longitude,latitude pair 181.000000,1.000000\r\n"},
        {"zscore g Palermo", "$16\r\n3479099956230698\r\n"},
        {"geodist g Palermo Catania", "$11\r\n166274.1516\r\n"},
        {"geodist g Palermo Catania km", "$8\r\n166.2742\r\n"},
        {"geodist g Palermo none", NIL},
        {"geodist g Palermo Catania yd", "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n"},
        {"geohash g Palermo none", "*2\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n"},
        {"geopos g Catania none",
         "*2\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n37.50266842333162032\r\n*-1\r\n"},
        {"geopos none", "*0\r\n"},
        {"geosearch g fromlonlat 15 37 byradius 200 km asc", "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n"},
        {"geosearch g frommember Palermo bybox 400 400 km desc withdist",
         "*2\r\n*2\r\n$7\r\nCatania\r\n$8\r\n166.2742\r\n*2\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n"},
        {"geosearch g fromlonlat 15 37 byradius 200 km count 1", "*1\r\n$7\r\nCatania\r\n"},
        {"georadius g 15 37 200 km withhash asc count 1",
         "*1\r\n*2\r\n$7\r\nCatania\r\n:3479447370796909\r\n"},
        {"georadiusbymember_ro g Catania 1 m", "*1\r\n$7\r\nCatania\r\n"},
        {"georadiusbymember g none 1 m", "-ERR could not decode requested zset member\r\n"},
        {"georadius_ro g 15 37 200 km store d", SYNTAX_ERROR},
        {"georadius g 15 37 -1 km", "-ERR radius cannot be negative\r\n"},
        {"geosearch g fromlonlat 15 37 byradius 200 km any",
         "-ERR the ANY argument requires COUNT argument\r\n"},
        {"geosearch none fromlonlat 15 37 byradius 200 km", "*0\r\n"},
        {"set s v", OK},
        {"geopos s a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void polygons_are_searched(void) {
    begin();
    static const struct exchange table[] = {
        {"geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 10 10 x", ":3\r\n"},
        {"geosearch g bypolygon 4 12 37 16 37 16 39 12 39 asc withdist",
         "*2\r\n*2\r\n$7\r\nPalermo\r\n$10\r\n56987.4933\r\n*2\r\n$7\r\nCatania\r\n$11\r\n111411.0839\r\n"},
        {"geosearch g bypolygon 3 12 37 16 37 16 39 count 1 withdist",
         "*1\r\n*2\r\n$7\r\nCatania\r\n$10\r\n43000.7000\r\n"},
        {"geosearch g bypolygon 2 12 37 16 37", "-ERR GEOSEARCH BYPOLYGON must have at least 3 vertices\r\n"},
        {"geosearch g bypolygon 9 12 37 16 37", "-ERR GEOSEARCH BYPOLYGON must have at least 3 vertices\r\n"},
        {"geosearch g bypolygon x 12 37 16 37", "-ERR invalid number of vertices\r\n"},
        {"geosearch g bypolygon 4294967299 12 37 16 37 16 39", "-ERR invalid number of vertices\r\n"},
        {"geosearch g asc withdist withhash bypolygon 3", SYNTAX_ERROR},
        {"geosearch g bypolygon 3 12 37 16 37 16 99",
         "-ERR invalid longitude,latitude pair 16.000000,99.000000\r\n"},
        {"geosearch g fromlonlat 1 1 bypolygon 3 12 37 16 37 16 39", SYNTAX_ERROR},
        {"geosearch g bypolygon 3 12 37 16 37 16 39 byradius 1 km", SYNTAX_ERROR},
        {"geosearchstore d g bypolygon 3 12 37 16 37 16 39", ":1\r\n"},
        {"zrange d 0 -1", "*1\r\n$7\r\nCatania\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void results_are_stored(void) {
    begin();
    EXPECT_CHANGES(2, "geoadd g 1 1 a 1.001 1 b\n", ":2\r\n");
    EXPECT("set d v ex 100\n", OK);
    EXPECT_CHANGES(2, "geosearchstore d g fromlonlat 1 1 byradius 10 km storedist\n", ":2\r\n");
    EXPECT("ttl d\nzcard d\nzrangebyscore d 0.1 1\n", ":-1\r\n:2\r\n*1\r\n$1\r\nb\r\n");
    EXPECT_CHANGES(1, "georadius g 1 1 10 km count 1 store g\n", ":1\r\n");
    EXPECT("zcard g\n", ":1\r\n");
    EXPECT_CHANGES(1, "geosearchstore d none fromlonlat 1 1 byradius 1 m\n", ":0\r\n");
    EXPECT_CHANGES(0, "geosearchstore d g fromlonlat 90 1 byradius 1 m\n", ":0\r\n");
    end();
}

static void without_memory_nothing_changes(void) {
    static const char *const lines[] = {
        "geoadd g 1 1 c 2 2 d\n",
        "geosearchstore d g fromlonlat 1 1 byradius 10 km\n",
        "geosearch g bypolygon 3 0 0 2 0 1 2\n",
    };
    begin();
    EXPECT("geoadd g 1 1 a 1.001 1 b\nset d v\n", ":2\r\n" OK);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        parse(bytes_of(lines[i]));
        CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        memory_left = 0;
        CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
        memory_left = UINT_MAX;
        buffer_free(&sent);
        fixture_take(&conn->output, &sent);
        CHECK_BYTES(buffer_bytes(&sent), BYTES(NO_MEMORY));
    }
    EXPECT("zcard g\nget d\n", ":2\r\n$1\r\nv\r\n");
    end();
}

int main(void) {
    RUN(places_are_added_and_found);
    RUN(polygons_are_searched);
    RUN(results_are_stored);
    RUN(without_memory_nothing_changes);
    return 0;
}
