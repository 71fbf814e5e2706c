/* Several threads load one file: what they load, and which of their faults is told. */
#include "server/journal/load_pool.h"

#include "server/journal/snapshot_load.h"
#include "tests/unit/snapshot_fixture.h"

enum { KEYS = 40000, FILE_MAX = 4 << 20 };

static struct failing_disk disk;
static unsigned long long seed = 1;
static char file[FILE_MAX];
static size_t file_len;

static void put(const char *bytes, size_t len) {
    CHECK(file_len + len <= sizeof file);
    memcpy(file + file_len, bytes, len);
    file_len += len;
}

/* Strings of 32 bytes, and, as key number `fault`, a set that has a member twice. */
static void make_file(const unsigned *faults, unsigned count) {
    file_len = 0;
    put("REDIS0010\xfe\0", 11);
    for (unsigned i = 0; i < KEYS; i++) {
        char item[64];
        bool bad = false;
        for (unsigned fault = 0; fault < count; fault++) bad |= faults[fault] == i;
        int len = snprintf(item, sizeof item, "%c\012k%09u\040%032u", bad ? 2 : 1, i, i);
        item[0] = bad ? 2 : 0;
        CHECK(len == 45);
        if (bad) memcpy(item + 12, "\2\1a\1a", 5);
        put(item, bad ? 17 : 45);
    }
    put("\xff\0\0\0\0\0\0\0\0", 9);
    disk_put(&disk, "dump.rdb", (struct bytes){file, file_len});
    disk_mend(&disk);
}

static enum snapshot_loaded load(struct snapshot_load *load, bool shared) {
    *load =
        (struct snapshot_load){.disk = &disk.disk, .name = "dump.rdb", .shared = shared, .now_ms = now_ms};
    return snapshot_load_run(load);
}

static void open_all(unsigned count) {
    char options[32];
    snprintf(options, sizeof options, "shards %u\n", count);
    disk_new(&disk);
    open_shards(count);
    options_set(options);
}

static void close_all(void) {
    disk_free(&disk);
    end();
}

static void all_is_there_whoever_loads_it(void) {
    struct snapshot_load result;
    for (unsigned count = 1; count <= 4; count += 3) {
        open_all(count);
        make_file(NULL, 0);
        CHECK(file_len > 1 << 20); /* threads are worth their while */
        CHECK(load(&result, false) == SNAPSHOT_LOADED);
        struct digest digest = digest_now();
        CHECK_INT(result.keys, KEYS);
        empty_all();
        CHECK(load(&result, true) == SNAPSHOT_LOADED);
        check_digest(&digest);
        CHECK(result.keys == KEYS && result.taken == file_len);
        for (unsigned i = 0; i < stripes.count; i++) CHECK(!keyspace_news(stripes.all[i].keyspace));
        close_all();
    }
}

static void the_first_fault_is_told(void) {
    struct snapshot_load alone, together;
    for (unsigned round = 0; round < 10; round++) {
        unsigned faults[3];
        open_all(4);
        for (unsigned i = 0; i < 3; i++) faults[i] = (unsigned)(check_random(&seed) % KEYS);
        make_file(faults, 1 + round % 3);
        CHECK(load(&alone, false) == SNAPSHOT_FAILED);
        empty_all();
        CHECK(load(&together, true) == SNAPSHOT_FAILED);
        CHECK(strstr(alone.why, "no value is like this"));
        CHECK_BYTES(bytes_of(together.why), bytes_of(alone.why));
        close_all();
    }
}

static void a_file_that_ends_too_early_is_told_of(void) {
    struct snapshot_load alone, together;
    open_all(4);
    make_file(NULL, 0);
    disk_put(&disk, "dump.rdb", (struct bytes){file, file_len / 2 + 13});
    disk_mend(&disk);
    CHECK(load(&alone, false) == SNAPSHOT_FAILED);
    empty_all();
    CHECK(load(&together, true) == SNAPSHOT_FAILED);
    CHECK_BYTES(bytes_of(together.why), bytes_of(alone.why));
    close_all();
}

int main(void) {
    RUN(all_is_there_whoever_loads_it);
    RUN(the_first_fault_is_told);
    RUN(a_file_that_ends_too_early_is_told_of);
    return 0;
}
