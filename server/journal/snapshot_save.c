/* snapshot_save.c - every database, stripe by stripe. */
#include "server/journal/snapshot_save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/journal/file_out.h"
#include "server/stripes/stripes.h"
#include "store/rdb/file.h"
#include "store/rdb/writer.h"

enum { DUMPED_AT_ONCE = 1 << 20, TEMPORARY_NAME_MAX = 32 };

struct saving {
    struct snapshot_save *save;
    struct file_out out;
    struct rdb_compressor compressor;
    const struct keyspace *keyspace; /* of the stripe that is being written */
    bool failed;
};

/* ---- The version ---------------------------------------------------------------------------------- */

static void find_later(void *context, struct entry *e) {
    bool *later = context;
    struct value value = entry_value(e);
    if (value.type == TYPE_HASH && entry_timed(e)) *later |= type_hash.form(&value) == RDB_TYPE_HASH_EXPIRING;
}

/* Redis 7.0 reads all but hashes with fields that expire. These lie where something expires. */
static unsigned version_of_keyspace(void) {
    bool later = false;
    for (unsigned i = 0; i < stripes.count; i++) {
        const struct keyspace *ks = stripes.all[i].keyspace;
        for (unsigned db = 0; db < ks->databases && !later; db++) {
            uint64_t cursor = 0;
            if (!ks->db[db].wheel) continue;
            do cursor = keyspace_scan(ks, db, cursor, find_later, &later);
            while (cursor && !later);
        }
    }
    return later ? RDB_VERSION_MAX : RDB_VERSION_WRITTEN;
}

/* ---- Contents ------------------------------------------------------------------------------------- */

static bool write_number(struct sink *sink, struct bytes name, int64_t number) {
    char digits[NUMBER_I64_MAX_LEN];
    return rdb_file_write_aux(sink, name, (struct bytes){digits, number_format_i64(digits, number)});
}

static int64_t memory_used(void) {
    uint64_t bytes = heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps);
    for (unsigned i = 0; i < stripes.count; i++) bytes += keyspace_memory(stripes.all[i].keyspace);
    return (int64_t)bytes;
}

static bool write_about(struct sink *sink, const struct snapshot_save *save) {
    return rdb_file_write_aux(sink, BYTES("redis-ver"), BYTES(COMPATIBLE_REDIS_VERSION)) &&
           write_number(sink, BYTES("redis-bits"), 8 * sizeof(void *)) &&
           write_number(sink, BYTES("ctime"), save->now_ms / 1000) &&
           write_number(sink, BYTES("used-mem"), memory_used()) &&
           write_number(sink, BYTES("aof-base"), save->base);
}

static void write_entry(void *context, struct entry *e) {
    struct saving *saving = context;
    struct sink *sink = &saving->out.sink;
    const struct type *type = keyspace_type(saving->keyspace, e);
    struct value value = entry_value(e);
    struct cursor cursor = {{0}};
    if (saving->failed) return;
    bool begun = rdb_file_write_key(sink, entry_key(e), type->form(&value), entry_expiry(e));
    enum dumped dumped = begun ? DUMP_MORE : DUMP_FAILED;
    while (dumped == DUMP_MORE) {
        dumped = type->dump(&value, &cursor, sink, DUMPED_AT_ONCE);
        if (saving->save->work) __atomic_fetch_add(saving->save->work, 1, __ATOMIC_RELAXED);
    }
    saving->failed = dumped == DUMP_FAILED;
    saving->save->keys++;
}

static bool write_database(struct saving *saving, unsigned db) {
    uint64_t keys = 0, expiring = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        keys += keyspace_count(stripes.all[i].keyspace, db);
        expiring += keyspace_count_expiring(stripes.all[i].keyspace, db);
    }
    if (keys == 0) return true;
    if (!rdb_file_write_database(&saving->out.sink, db, keys, expiring)) return false;
    for (unsigned i = 0; i < stripes.count && !saving->failed; i++) {
        uint64_t cursor = 0;
        saving->keyspace = stripes.all[i].keyspace;
        do cursor = keyspace_scan(saving->keyspace, db, cursor, write_entry, saving);
        while (cursor && !saving->failed);
    }
    return !saving->failed;
}

/* What is wrong, if anything is, stands in `out`. */
static void write_contents(struct saving *saving) {
    char footer[RDB_FOOTER_LEN];
    struct sink *sink = &saving->out.sink;
    unsigned databases = stripes.all[0].keyspace->databases;
    bool written = rdb_file_write_header(sink, version_of_keyspace()) && write_about(sink, saving->save);
    for (unsigned db = 0; db < databases && written; db++) written = write_database(saving, db);
    if (!written && !saving->out.error)
        saving->out.error = -EIO; /* a file that is not whole takes no other's place */
    if (!written || !rdb_file_write_end(sink)) return;
    rdb_file_put_footer(footer, saving->out.checksum);
    sink->write(sink, (struct bytes){footer, sizeof footer});
}

/* ---- The file ------------------------------------------------------------------------------------- */

static int write_file(struct saving *saving, const char *path) {
    struct snapshot_save *save = saving->save;
    save->failed = "create the temporary file";
    if (!file_out_open(&saving->out, save->disk, path, save->summed)) return saving->out.error;
    if (save->compressed) saving->out.sink.compressor = &saving->compressor;
    write_contents(saving);
    save->failed = saving->out.error ? "write the temporary file" : "sync the temporary file";
    int error = file_out_close(&saving->out);
    save->bytes = saving->out.bytes;
    if (error) save->disk->unlink(save->disk, path);
    return error;
}

static int put_in_place(struct snapshot_save *save, const char *path) {
    save->failed = "rename the temporary file";
    int error = save->disk->rename(save->disk, path, save->name);
    if (error) save->disk->unlink(save->disk, path);
    if (error) return error;
    save->failed = "sync the directory";
    return save->disk->sync_directory(save->disk, ".");
}

int snapshot_save_run(struct snapshot_save *save) {
    char path[TEMPORARY_NAME_MAX];
    struct saving *saving = malloc(sizeof *saving);
    save->keys = save->bytes = 0;
    save->failed = "find memory for a buffer";
    if (!saving) return -ENOMEM;
    saving->save = save;
    saving->failed = false;
    snprintf(path, sizeof path, "temp-%d.rdb", (int)getpid());
    int error = write_file(saving, path);
    if (!error) error = put_in_place(save, path);
    if (!error) save->failed = NULL;
    free(saving);
    return error;
}
