/* fuzz_file.c - whole RDB files, as a start loads them.
 *
 * A file is taken or refused, the same in pieces of any size, and the same by who only looks, but for keys that come twice.
 * One that was taken takes no more memory than its bytes pay for; saved and loaded again it gives the same. Of each of
 * them nothing is left at the end.
 *
 * The first byte of an input is the size of the pieces; the rest is the file, whose checksum is not asked for. */
#include "fuzz.h"

#include "server/config/config.h"
#include "server/journal/snapshot_load.h"
#include "server/journal/snapshot_save.h"
#include "server/stripes/stripes.h"
#include "tests/unit/failing_disk.h"

enum {
    DATABASES = 16,
    /* As in fuzz_load.c; a key of two bytes takes an entry besides, and its share of a table and of a wheel. */
    BYTES_FOR_ONE = 4096,
    BYTES_FOR_NONE = 1 << 20,
};

static struct failing_disk disk;

static void open_all(void) {
    config_defaults();
    CHECK_INT(stripes_open(1, DATABASES), 0);
    disk_new(&disk);
}

static uint64_t memory_used(void) {
    return heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps) + keyspace_memory(stripes.all[0].keyspace);
}

static void empty_all(void) {
    struct keyspace *ks = stripes.all[0].keyspace;
    for (unsigned db = 0; db < DATABASES; db++) keyspace_flush(ks, db);
    while (keyspace_upkeep(ks, 1000)) {
    }
    keyspace_take_news(ks, 1);
    CHECK_INT(memory_used(), 0);
}

static struct digest digest_now(void) {
    struct digest digest = {{0}};
    for (unsigned db = 0; db < DATABASES; db++) {
        digest_mix_number(&digest, db);
        keyspace_digest(&digest, stripes.all[0].keyspace, db);
    }
    return digest;
}

static enum snapshot_loaded load_file(struct snapshot_load *load, const char *name, size_t piece) {
    load->disk = &disk.disk;
    load->name = name;
    load->now_ms = 1700000000000;
    disk.piece = piece;
    enum snapshot_loaded loaded = snapshot_load_run(load);
    CHECK((loaded == SNAPSHOT_FAILED) == (load->why[0] != '\0'));
    disk_mend(&disk);
    return loaded;
}

static void save_and_load_again(void) {
    struct digest before = digest_now();
    struct snapshot_save save = {
        .disk = &disk.disk, .name = "saved", .compressed = true, .summed = true, .now_ms = 1700000000000};
    struct snapshot_load load = {.summed = true};
    CHECK_INT(snapshot_save_run(&save), 0);
    empty_all();
    if (load_file(&load, "saved", 0) != SNAPSHOT_LOADED) {
        fprintf(stderr, "%s\n", load.why);
        abort();
    }
    struct digest after = digest_now();
    CHECK_INT(load.keys, save.keys);
    CHECK_BYTES(digest_bytes(&after), digest_bytes(&before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct snapshot_load whole = {0}, pieces = {.only_looks = true};
    if (size < 1 || size > DISK_FILE_MAX) return 0;
    if (stripes.count == 0) open_all();
    disk_put(&disk, "given", (struct bytes){(const char *)data + 1, size - 1});
    disk_mend(&disk);
    enum snapshot_loaded looked = load_file(&pieces, "given", 1 + data[0]);
    CHECK_INT(memory_used(), 0);
    enum snapshot_loaded loaded = load_file(&whole, "given", 0);
    bool twice = strstr(whole.why, "the key is there already") != NULL;
    if (!twice) {
        CHECK(looked == loaded && pieces.keys == whole.keys && pieces.expired == whole.expired);
        CHECK(strcmp(pieces.why, whole.why) == 0);
    }
    CHECK(memory_used() <= BYTES_FOR_NONE + size * BYTES_FOR_ONE);
    if (loaded == SNAPSHOT_LOADED) save_and_load_again();
    empty_all();
    return 0;
}
