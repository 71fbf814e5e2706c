/* Whole keys from memory, one after another; more of them are tested with the files that they come from. */
#include "server/journal/load_keys.h"

#include "tests/unit/snapshot_fixture.h"

static struct load_options options[MAX_STRIPES];
static struct snapshot_load load;
static struct load_keys keys;
static struct load_batch batch;

static void open_keys(unsigned version) {
    load = (struct snapshot_load){.name = "FILE", .shared = true, .now_ms = now_ms};
    for (unsigned i = 0; i < stripes.count; i++)
        options[i] = stripes_load_options(stripes.all[i].keyspace, 1000);
    keys =
        (struct load_keys){.load = &load, .options = options, .reader = {.max_bytes = 1000}, .batch = &batch};
    rdb_file_begin_at(&keys.reader, version, 1, 500);
}

static void keys_come_to_their_database(void) {
    static const struct bytes some =
        BYTES_INIT("\0\1a\1v\xfc\1\0\0\0\0\0\0\0\0\3old\1v\x0b\1s\x0a\2\0\0\0\1\0\0\0\7\0"
                   "\0\xc0\5\xc1\1\1\4\1h\0");
    open_shards(3);
    open_keys(10);
    CHECK(load_all_keys(&keys, some));
    CHECK(keys.keys == 3 && keys.expired == 1 && keys.empty == 1 && keys.reader.taken == 500 + some.len);
    EXPECT("dbsize\nselect 1\nget a\nsmembers s\nget 5\nexists old h\n",
           ":0\r\n+OK\r\n$1\r\nv\r\n*1\r\n$1\r\n7\r\n$3\r\n257\r\n:0\r\n");
    CHECK(!load_all_keys(&keys, BYTES("\0\1b\1v\0\1a\1v")));
    CHECK(keys.fault.at == 500 + some.len + 5 && keys.keys == 5);
    CHECK_BYTES(bytes_of(keys.fault.why),
                BYTES("FILE: offset 550: database 1, key \"a\": the key is there already"));
    CHECK(!load_fail(&keys, 1, false, "another")); /* the first is kept */
    CHECK(keys.fault.at == 500 + some.len + 5);
    rdb_file_close(&keys.reader);
    end();
}

static void what_is_cut_off_is_a_fault(void) {
    open_shards(1);
    open_keys(10);
    CHECK(!load_all_keys(&keys, BYTES("\0\1b\1v\0\2\"a\5v")));
    CHECK(strcmp(keys.fault.why,
                 "FILE: offset 509: database 1, key \"\\x22a\": the file ends in the middle of this") == 0);
    rdb_file_close(&keys.reader);
    end();
}

/* More keys than are loaded together, some of whose names are numbers, or compressed. */
static void keys_come_by_stripes(void) {
    enum { SOME = 3 * LOAD_BATCH_MOST };
    static char bytes[SOME * 16 + 64];
    size_t len = 0;
    open_shards(4);
    open_keys(10);
    for (unsigned i = 0; i < SOME; i++) {
        const char number[] = {0, (char)0xc1, (char)i, (char)(i >> 8), 1, 'n'};
        if (i % 2) {
            memcpy(bytes + len, number, sizeof number);
            len += sizeof number;
        } else {
            memcpy(bytes + len, "\0\010", 2);
            len += 2 + (size_t)snprintf(bytes + len + 2, 16, "key%05u\1t", i);
        }
    }
    memcpy(bytes + len, "\0\xc3\5\x18\0a\xe0\x0e\0\1z", 11);
    len += 11;
    CHECK(load_all_keys(&keys, (struct bytes){bytes, len}));
    CHECK(keys.keys == SOME + 1 && keys.reader.taken == 500 + len && keys.stripe == NULL);
    EXPECT("select 1\ndbsize\nget 9999\nget key10000\nget aaaaaaaaaaaaaaaaaaaaaaaa\n",
           "+OK\r\n:12289\r\n$1\r\nn\r\n$1\r\nt\r\n$1\r\nz\r\n");
    rdb_file_close(&keys.reader);
    end();
}

/* Whatever stripes they are in. */
static void the_first_of_several_faults_is_told(void) {
    open_shards(4);
    open_keys(10);
    CHECK(load_all_keys(&keys, BYTES("\0\1a\1v\0\1b\1v\0\1c\1v\0\1d\1v")));
    CHECK(!load_all_keys(&keys, BYTES("\0\1x\1v\0\1d\1v\0\1c\1v\0\1b\1v\0\1a\1v\0\1y\1v")));
    CHECK_BYTES(bytes_of(keys.fault.why),
                BYTES("FILE: offset 525: database 1, key \"d\": the key is there already"));
    CHECK(keys.fault.at == 525 && keys.stripe == NULL);
    EXPECT("select 1\nget x\n", "+OK\r\n$1\r\nv\r\n");
    rdb_file_close(&keys.reader);
    end();
}

int main(void) {
    RUN(keys_come_to_their_database);
    RUN(what_is_cut_off_is_a_fault);
    RUN(keys_come_by_stripes);
    RUN(the_first_of_several_faults_is_told);
    return 0;
}
