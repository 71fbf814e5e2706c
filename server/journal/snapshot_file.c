/* snapshot_file.c - RDB, or commands, as Redis 7.0 writes them and reads them. */
#include "server/journal/snapshot_file.h"

#include <errno.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/journal/aof_out.h"
#include "server/journal/delay.h"
#include "store/rdb/file.h"

enum { DUMPED_AT_ONCE = 1 << 20, DELAY_STEP_US = 10 * 1000 };

/* ---- About the data ------------------------------------------------------------------------------- */

int64_t snapshot_memory(void) {
    uint64_t bytes = heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps);
    for (unsigned i = 0; i < stripes.count; i++) bytes += keyspace_memory(stripes.all[i].keyspace);
    return (int64_t)bytes;
}

/* Redis 7.0 reads all but hashes with fields that expire, and streams of which something was given back: where those are,
 * and 8.8 alone reads them, is not looked for. */
bool snapshot_is_later(void) {
    uint64_t timed = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        const struct keyspace *ks = stripes.all[i].keyspace;
        for (unsigned db = 0; db < ks->databases; db++) timed += keyspace_count_timed(ks, db);
    }
    return timed > 0;
}

static bool write_number(struct sink *sink, struct bytes name, int64_t number) {
    char digits[NUMBER_I64_MAX_LEN];
    return rdb_file_write_aux(sink, name, (struct bytes){digits, number_format_i64(digits, number)});
}

bool snapshot_file_head(struct snapshot_file *file, const struct snapshot_head *head) {
    struct sink *sink = &file->out.sink;
    if (file->commands) return !config.aof_timestamp_enabled || aof_out_time(sink, head->now_ms / 1000);
    return rdb_file_write_header(sink, head->later ? RDB_VERSION_EXPIRING : RDB_VERSION_WRITTEN) &&
           rdb_file_write_aux(sink, BYTES("redis-ver"), BYTES(COMPATIBLE_REDIS_VERSION)) &&
           write_number(sink, BYTES("redis-bits"), 8 * sizeof(void *)) &&
           write_number(sink, BYTES("ctime"), head->now_ms / 1000) &&
           write_number(sink, BYTES("used-mem"), head->memory) &&
           write_number(sink, BYTES("aof-base"), head->aof_base);
}

/* ---- Contents ------------------------------------------------------------------------------------- */

bool snapshot_file_size(struct snapshot_file *file, unsigned db, uint64_t keys, uint64_t expiring) {
    if (file->commands) return true;
    file->db = (int)db;
    return rdb_file_write_database(&file->out.sink, db, keys, expiring);
}

static bool go_to(struct snapshot_file *file, unsigned db) {
    if (file->db == (int)db) return true;
    file->db = (int)db;
    return file->commands ? aof_out_select(&file->out.sink, db) : rdb_file_write_select(&file->out.sink, db);
}

static void note_work(const struct snapshot_file *file) {
    if (file->work) __atomic_fetch_add(file->work, 1, __ATOMIC_RELAXED);
}

/* In steps: the option may be changed meanwhile, and the file may be given up. */
static void delay(const struct snapshot_file *file) {
    for (int64_t slept_us = 0, step_us; !file->ends || !__atomic_load_n(file->ends, __ATOMIC_RELAXED);
         slept_us += step_us) {
        step_us = delay_after_key(config.rdb_key_save_delay, file->keys) - slept_us;
        if (step_us <= 0) break;
        if (step_us > DELAY_STEP_US) step_us = DELAY_STEP_US;
        delay_sleep(step_us);
        note_work(file);
    }
}

static bool dump_entry(struct snapshot_file *file, const struct entry *e) {
    struct sink *sink = &file->out.sink;
    const struct type *type = type_rows[entry_type(e)];
    struct value value = entry_value(e);
    struct cursor cursor = {{0}};
    assert(type && type->number == entry_type(e));
    bool begun = rdb_file_write_key(sink, entry_key(e), type->form(&value), entry_expiry(e));
    enum dumped dumped = begun ? DUMP_MORE : DUMP_FAILED;
    while (dumped == DUMP_MORE) {
        dumped = type->dump(&value, &cursor, sink, DUMPED_AT_ONCE);
        note_work(file);
    }
    return dumped == DUMP_DONE;
}

bool snapshot_file_entry(struct snapshot_file *file, unsigned db, const struct entry *e) {
    bool written = go_to(file, db) &&
                   (file->commands ? aof_out_entry(&file->out.sink, file->work, e) : dump_entry(file, e));
    file->keys++;
    if (config.rdb_key_save_delay) delay(file);
    if (written) return true;
    if (!file->out.error) file->out.error = -EIO; /* a file that is not whole takes no other's place */
    return false;
}

/* ---- The file ------------------------------------------------------------------------------------- */

int snapshot_file_open(struct snapshot_file *file, struct disk *disk, struct snapshot_names names,
                       struct snapshot_form form) {
    file->names = names;
    file->keys = 0;
    file->work = NULL;
    file->ends = NULL;
    file->db = -1;
    file->failed = "create the temporary file";
    file->commands = form.commands;
    if (!file_out_open(&file->out, disk, names.temporary, form.summed && !form.commands))
        return file->out.error;
    file->out.gradual = form.gradual;
    if (form.compressed && !form.commands) file->out.sink.compressor = &file->compressor;
    file->failed = NULL;
    return 0;
}

static void unlink_it(struct snapshot_file *file) {
    file->out.disk->unlink(file->out.disk, file->names.temporary);
}

static int put_in_place(struct snapshot_file *file) {
    struct disk *disk = file->out.disk;
    file->failed = "rename the temporary file";
    int error = disk->rename(disk, file->names.temporary, file->names.path);
    if (error) unlink_it(file);
    if (error) return error;
    file->failed = "sync the directory";
    return disk->sync_directory(disk, file->names.directory);
}

int snapshot_file_close(struct snapshot_file *file) {
    char footer[RDB_FOOTER_LEN];
    struct sink *sink = &file->out.sink;
    if (!file->out.error && !file->commands && rdb_file_write_end(sink)) {
        rdb_file_put_footer(footer, file->out.checksum);
        sink->write(sink, (struct bytes){footer, sizeof footer});
    }
    file->failed = file->out.error ? "write the temporary file" : "sync the temporary file";
    int error = file_out_close(&file->out);
    if (error) unlink_it(file);
    if (!error) error = put_in_place(file);
    if (!error) file->failed = NULL;
    return error;
}

void snapshot_file_drop(struct snapshot_file *file) {
    if (!file->out.error) file->out.error = -ECANCELED; /* then it is not synced */
    (void)file_out_close(&file->out);
    unlink_it(file);
}
