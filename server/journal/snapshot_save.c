/* snapshot_save.c - every database, stripe by stripe. */
#include "server/journal/snapshot_save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/journal/snapshot_file.h"

enum { TEMPORARY_NAME_MAX = 32 };

/* A walk over one database of a stripe. */
struct walk {
    struct snapshot_file *file;
    unsigned db;
    bool failed;
};

static void write_entry(void *context, struct entry *e) {
    struct walk *walk = context;
    if (!walk->failed) walk->failed = !snapshot_file_entry(walk->file, walk->db, e);
}

static bool write_database(struct snapshot_file *file, unsigned db) {
    uint64_t keys = 0, expiring = 0;
    struct walk walk = {file, db, false};
    for (unsigned i = 0; i < stripes.count; i++) {
        keys += keyspace_count(stripes.all[i].keyspace, db);
        expiring += keyspace_count_expiring(stripes.all[i].keyspace, db);
    }
    if (keys == 0) return true;
    if (!snapshot_file_size(file, db, keys, expiring)) return false;
    for (unsigned i = 0; i < stripes.count && !walk.failed; i++) {
        uint64_t cursor = 0;
        do cursor = keyspace_scan(stripes.all[i].keyspace, db, cursor, write_entry, &walk);
        while (cursor && !walk.failed);
    }
    return !walk.failed;
}

/* What is wrong, if anything is, stands in the file. */
static void write_contents(struct snapshot_file *file, const struct snapshot_save *save) {
    struct snapshot_head head = {.now_ms = save->now_ms,
                                 .aof_base = save->base,
                                 .later = snapshot_is_later(),
                                 .memory = snapshot_memory()};
    unsigned databases = stripes.all[0].keyspace->databases;
    bool written = snapshot_file_head(file, &head);
    for (unsigned db = 0; db < databases && written; db++) written = write_database(file, db);
}

static int save_to(struct snapshot_file *file, struct snapshot_save *save) {
    char path[TEMPORARY_NAME_MAX];
    snprintf(path, sizeof path, "temp-%d.rdb", (int)getpid());
    struct snapshot_names names = {.temporary = path, .path = save->name, .directory = "."};
    struct snapshot_form form = {save->compressed, save->summed, save->gradual, save->commands};
    int error = snapshot_file_open(file, save->disk, names, form);
    if (error) return error;
    file->work = save->work;
    write_contents(file, save);
    error = snapshot_file_close(file);
    save->keys = file->keys;
    save->bytes = file->out.bytes;
    return error;
}

int snapshot_save_run(struct snapshot_save *save) {
    struct snapshot_file *file = malloc(sizeof *file);
    save->keys = save->bytes = 0;
    save->failed = "find memory for a buffer";
    if (!file) return -ENOMEM;
    int error = save_to(file, save);
    save->failed = file->failed;
    free(file);
    return error;
}
