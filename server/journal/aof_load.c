/* aof_load.c - which files there are, in which order they are run, and what becomes of them then. */
#include "server/journal/aof_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "protocol/text.h"
#include "server/clock.h"
#include "server/journal/aof_cut.h"
#include "server/journal/snapshot_load.h"
#include "server/log.h"

struct loading_files {
    struct aof_load *load;
    char single[MANIFEST_PATH_SIZE]; /* the path of a single file of the time before manifests, or "" */
    bool moves;                      /* it is to be moved, and stands in the manifest */
    uint64_t done;                   /* bytes of the files before the one that is being loaded */
    uint64_t last;                   /* ticket of the file before it */
    int64_t end;          /* where the last incremental file with anything in it ends; -1: there was none */
    struct aof_look look; /* at the file that is being loaded */
    char path[MANIFEST_PATH_SIZE];   /* of it */
    char padded[MANIFEST_PATH_SIZE]; /* the last file that is whole, with padding behind that, or "" */
    uint64_t padded_at;              /* where that begins */
};

/* Always AOF_FAILED. */
static enum aof_loaded fail(struct aof_load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum aof_loaded fail(struct aof_load *load, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(load->why, sizeof load->why, format, values);
    va_end(values);
    return AOF_FAILED;
}

/* ---- Which files there are ------------------------------------------------------------------------ */

/* Its size; -ENOENT. */
static int64_t size_of(struct disk *disk, const char *path) {
    int file = disk->open(disk, path, DISK_READ);
    if (file < 0) return file;
    int64_t size = disk->size(disk, file);
    disk->close(disk, file);
    return size;
}

static bool is_named(const struct manifest_file *file, const char *name) {
    return file && strcmp(file->name, name) == 0;
}

/* The file is loaded from where it is; `listed`: a manifest names it already. */
static enum aof_loaded use_single(struct loading_files *files, bool listed) {
    struct aof_load *load = files->load;
    int error = listed ? 0 : manifest_add(&load->manifest, MANIFEST_BASE, 1, load->place.name);
    if (error) return fail(load, "%s: %s", load->place.name, strerror(-error));
    assert(!files->moves);
    files->moves = true;
    snprintf(files->single, sizeof files->single, "%s", load->place.name);
    return AOF_LOADED;
}

/* As Redis finds it out: the single file is that of an older server where there is nothing else, or where the manifest
 * names it alone and it was not moved yet. */
static enum aof_loaded find_single(struct loading_files *files) {
    struct aof_load *load = files->load;
    const struct manifest_file *base = manifest_base(&load->manifest);
    const char *name = load->place.name;
    char moved[MANIFEST_PATH_SIZE];
    if (load->single) return use_single(files, false);
    int64_t size = size_of(load->disk, name);
    if (size == -ENOENT || size == -EINVAL || size == -EISDIR) return AOF_LOADED; /* or it is no file */
    if (size < 0) return fail(load, "%s: %s", name, strerror((int)-size));
    if (!base && !manifest_last(&load->manifest)) return use_single(files, false);
    if (!is_named(base, name) || manifest_last(&load->manifest)) return AOF_LOADED;
    if (!manifest_path(moved, &load->place, name)) return fail(load, "%s: %s", name, strerror(ENAMETOOLONG));
    return size_of(load->disk, moved) == -ENOENT ? use_single(files, true) : AOF_LOADED;
}

/* Redis begins with nothing there, and so does this; but what lies there stays as it is. */
static enum aof_loaded absent(struct aof_load *load) {
    int error = manifest_pass_strays(&load->manifest, load->disk, &load->place);
    if (error) return fail(load, "%s: %s", load->place.directory, strerror(-error));
    if (load->manifest.base_seq || load->manifest.incr_seq)
        log_warning("The directory %s has append-only files, and no manifest %s.manifest that names them: "
                    "they are not loaded, and "
                    "left as they are",
                    load->place.directory, load->place.name);
    return AOF_ABSENT;
}

/* ---- One file ------------------------------------------------------------------------------------- */

static bool path_of(struct loading_files *files, const struct manifest_file *file) {
    if (!files->moves) return manifest_path(files->path, &files->load->place, file->name);
    memcpy(files->path, files->single, sizeof files->path);
    return true;
}

static enum aof_loaded fail_reading(struct loading_files *files, const char *what, uint64_t offset) {
    return fail(files->load, "%s reading the append only file %s at offset %" PRIu64, what, files->path,
                offset);
}

static void tell(struct aof_load *load, uint64_t taken) {
    assert(taken <= load->size);
    load->taken = taken;
    if (load->progress) load->progress(load);
}

static void part_progress(const struct aof_part *part) {
    const struct loading_files *files = part->context;
    tell(files->load, files->done + part->taken);
}

static enum aof_loaded run_part(struct loading_files *files, uint64_t begin, uint64_t end) {
    struct aof_load *load = files->load;
    struct aof_part part = {.disk = load->disk,
                            .path = files->path,
                            .begin = begin,
                            .end = end,
                            .work = load->work,
                            .progress = part_progress,
                            .context = files};
    assert(begin <= end && end <= load->size);
    bool ok = load->runner->run(load->runner, &part);
    assert(ok == (part.why[0] == '\0'));
    load->commands += part.commands;
    if (!ok) return fail_reading(files, part.why, part.fault);
    if (part.refused)
        log_warning(
            "%" PRIu64
            " commands of %s were answered with an error, the first of them at or behind offset %" PRIu64,
            part.refused, load->file, part.first_refused);
    return AOF_LOADED;
}

/* The file was begun when the one before could not be synced, and that is not what it was then. */
static bool is_behind_lost(const struct loading_files *files) {
    return files->end >= 0 && files->look.doubt != AOF_NO_DOUBT && files->look.doubt != files->end;
}

static enum aof_loaded fail_torn(struct loading_files *files, bool last) {
    struct aof_load *load = files->load;
    if (!last)
        return fail(load,
                    "Fatal error: the truncated file is not the last file: %s ends in the middle of "
                    "something at offset %" PRIu64,
                    files->path, files->look.end);
    return fail(load,
                "Unexpected end of file reading the append only file %s at offset %" PRIu64
                ". You can: 1) Make a backup of your AOF file, then use kevy --check-data DIR --repair. 2) "
                "Alternatively "
                "you can set the 'aof-load-truncated' configuration option to yes and restart the server.",
                files->path, files->look.end);
}

/* Was the next file with anything in it begun when this one could not be synced? Then nothing behind what is whole of this
 * one is to be loaded. */
static bool next_doubts(struct loading_files *files, const struct manifest_file *file) {
    struct aof_load *load = files->load;
    const struct manifest_file *end = load->manifest.files + load->manifest.count;
    char path[MANIFEST_PATH_SIZE];
    while (++file < end) {
        if (file->type != MANIFEST_INCR || !manifest_path(path, &load->place, file->name)) continue;
        struct aof_look look = {.disk = load->disk, .path = path, .work = load->work};
        if (aof_look(&look) == AOF_UNREAD) return false;
        if (look.size > 0) return look.doubt != AOF_NO_DOUBT;
    }
    return false;
}

/* Later files that have nothing in them do not make it another than the last one: they were made before it was synced. But a
 * base with such a file behind it is never torn by a crash, for it was synced before it was listed. */
static enum aof_loaded note_torn(struct loading_files *files, const struct manifest_file *file, bool last) {
    struct aof_load *load = files->load;
    const struct aof_look *look = &files->look;
    if (look->open) log_warning("Revert incomplete MULTI/EXEC transaction in AOF file %s", file->name);
    if (file->type == MANIFEST_BASE && manifest_last(&load->manifest)) return fail_torn(files, false);
    bool drops = !last && (is_behind_lost(files) || next_doubts(files, file));
    if (!(last || drops) || !(load->truncates || load->keeps_disk)) return fail_torn(files, last || drops);
    assert(!load->torn); /* nothing behind it is loaded */
    load->torn = true;
    load->drops = drops;
    load->torn_at = look->end;
    snprintf(load->last, sizeof load->last, "%s", file->name);
    if (!load->keeps_disk)
        log_warning("!!! Warning: short read while loading the AOF file %s!!!", file->name);
    return AOF_LOADED;
}

static enum aof_loaded load_commands(struct loading_files *files, const struct manifest_file *file,
                                     uint64_t begin, bool last) {
    struct aof_load *load = files->load;
    files->look = (struct aof_look){
        .disk = load->disk, .path = files->path, .begin = begin, .before = files->last, .work = load->work};
    enum aof_found found = aof_look(&files->look);
    files->last = files->look.last;
    if (found == AOF_BAD)
        return fail(load,
                    "%s reading the append only file %s at offset %" PRIu64
                    ": make a backup of your AOF file, then use kevy --check-data DIR --repair",
                    files->look.why, files->path, files->look.fault);
    if (found == AOF_UNREAD) return fail_reading(files, files->look.why, files->look.fault);
    if (is_behind_lost(files)) {
        found = AOF_TORN;
        files->look.end = begin;
    }
    if (found == AOF_TORN && note_torn(files, file, last) == AOF_FAILED) return AOF_FAILED;
    if (found == AOF_WHOLE && files->look.end < files->look.size) {
        memcpy(files->padded, files->path, sizeof files->padded);
        files->padded_at = files->look.end;
    }
    return run_part(files, begin, files->look.end);
}

static void rdb_progress(const struct snapshot_load *rdb);

struct rdb_part {
    struct snapshot_load rdb;
    struct loading_files *files;
};

static void rdb_progress(const struct snapshot_load *rdb) {
    const struct rdb_part *part = (const struct rdb_part *)(const void *)rdb;
    tell(part->files->load, part->files->done + rdb->taken);
}
_Static_assert(offsetof(struct rdb_part, rdb) == 0, "the part is found at the load's address");

/* *end is the offset behind it. */
static enum aof_loaded load_rdb(struct loading_files *files, uint64_t *end) {
    struct aof_load *load = files->load;
    struct rdb_part part = {.files = files,
                            .rdb = {.disk = load->disk,
                                    .name = files->path,
                                    .summed = load->summed,
                                    .shared = !load->held,
                                    .keeps_expired = true,
                                    .only_looks = load->only_looks,
                                    .now_ms = load->now_ms,
                                    .work = load->work,
                                    .progress = rdb_progress}};
    log_notice(files->moves ? "Reading RDB preamble from AOF file..."
                            : "Reading RDB base file on AOF loading...");
    enum snapshot_loaded loaded = snapshot_load_run(&part.rdb);
    load->keys += part.rdb.keys;
    assert(part.rdb.taken <= part.rdb.size);
    *end = part.rdb.taken;
    if (loaded != SNAPSHOT_LOADED) return fail(load, "%s", part.rdb.why);
    if (files->moves) log_notice("Reading the remaining AOF tail...");
    return AOF_LOADED;
}

/* Does it begin as an RDB file does? */
static int is_rdb(struct disk *disk, const char *path) {
    char head[6];
    size_t len = 0;
    int file = disk->open(disk, path, DISK_READ);
    if (file < 0) return file;
    ssize_t got = 1;
    while (got > 0 && len < sizeof head) {
        got = disk->read(disk, file, head + len, sizeof head - len);
        if (got > 0) len += (size_t)got;
    }
    disk->close(disk, file);
    if (got < 0) return (int)got;
    return (len >= 5 && memcmp(head, "REDIS", 5) == 0) || (len == 6 && memcmp(head, "VALKEY", 6) == 0);
}

static enum aof_loaded load_file(struct loading_files *files, const struct manifest_file *file, bool last) {
    struct aof_load *load = files->load;
    uint64_t begun_us = clock_monotonic_us(), begin = 0;
    load->file = file->name;
    int rdb = is_rdb(load->disk, files->path);
    if (rdb < 0) return fail(load, "%s: %s", files->path, strerror(-rdb));
    if (rdb && load_rdb(files, &begin) == AOF_FAILED) return AOF_FAILED;
    if (load_commands(files, file, begin, last) == AOF_FAILED) return AOF_FAILED;
    log_notice("DB loaded from %s file %s: %.3f seconds", file->type == MANIFEST_BASE ? "base" : "incr",
               file->name, (double)(clock_monotonic_us() - begun_us) / 1e6);
    return AOF_LOADED;
}

/* ---- All files ------------------------------------------------------------------------------------ */

/* The file's size, or -1 and `why` is set. */
static int64_t measure(struct loading_files *files, const struct manifest_file *file) {
    struct aof_load *load = files->load;
    int64_t size = path_of(files, file) ? size_of(load->disk, files->path) : -ENAMETOOLONG;
    if (size >= 0) return size;
    fail(load, "The append only file %s of the manifest cannot be opened: %s", files->path,
         strerror((int)-size));
    return -1;
}

static bool measure_all(struct loading_files *files) {
    struct aof_load *load = files->load;
    for (size_t i = 0; i < load->manifest.count; i++) {
        const struct manifest_file *file = &load->manifest.files[i];
        if (file->type == MANIFEST_HISTORY) continue;
        int64_t size = measure(files, file);
        if (size < 0) return false;
        load->size += (uint64_t)size;
        if (file->type == MANIFEST_BASE) load->base_size = (uint64_t)size;
    }
    return true;
}

static enum aof_loaded load_type(struct loading_files *files, enum manifest_type type) {
    struct aof_load *load = files->load;
    for (size_t i = 0; i < load->manifest.count; i++) {
        const struct manifest_file *file = &load->manifest.files[i];
        if (file->type != type) continue;
        int64_t size = measure(files, file);
        if (size < 0) return AOF_FAILED;
        bool last = files->done + (uint64_t)size >= load->size;
        if (size > 0 && !load->torn && load_file(files, file, last) == AOF_FAILED) return AOF_FAILED;
        if (type == MANIFEST_INCR && (size > 0 || files->end < 0))
            files->end = size > 0 ? (int64_t)files->look.end : 0;
        files->done += (uint64_t)size;
        load->taken = files->done;
    }
    return AOF_LOADED;
}

/* ---- Afterwards ----------------------------------------------------------------------------------- */

static enum aof_loaded fail_disk(struct aof_load *load, const char *failed, const char *name, int error) {
    return fail(load, "Could not %s, for %s: %s", failed, name, strerror(-error));
}

/* A file of the directory; NULL: of the working directory. */
static int cut_file(const struct aof_load *load, const char *directory, const char *name, uint64_t end,
                    const char **failed) {
    char path[MANIFEST_PATH_SIZE];
    struct manifest_place place = {directory, load->place.name};
    *failed = "name the file";
    bool named = directory ? manifest_path(path, &place, name)
                           : snprintf(path, sizeof path, "%s", name) < (int)sizeof path;
    if (!named) return -ENAMETOOLONG;
    if (size_of(load->disk, path) == 0) return 0;
    log_warning("!!! Truncating the AOF %s at offset %" PRIu64 " !!!", name, end);
    int error = aof_cut(load->disk, directory ? directory : ".", path, end, failed);
    if (!error) log_warning("What was cut off is in %s.torn-%" PRIu64, path, end);
    return error;
}

/* From the last one on, so that who is killed meanwhile leaves what says the same. */
static int cut_files(const struct aof_load *load, const char *directory, const char **failed) {
    int error = 0;
    assert(load->torn);
    for (size_t i = load->manifest.count; load->drops && i-- > 0 && !error;) {
        const struct manifest_file *file = &load->manifest.files[i];
        if (file->type != MANIFEST_INCR) continue;
        if (is_named(file, load->last)) break;
        error = cut_file(load, directory, file->name, 0, failed);
    }
    return error ? error : cut_file(load, directory, load->last, load->torn_at, failed);
}

int aof_load_cut(const struct aof_load *load, const char **failed) {
    return cut_files(load, load->single ? NULL : load->place.directory, failed);
}

static enum aof_loaded cut_torn(struct loading_files *files) {
    struct aof_load *load = files->load;
    const char *failed;
    int error = cut_files(load, files->moves ? NULL : load->place.directory, &failed);
    if (error) return fail_disk(load, failed, load->last, error);
    log_warning("AOF %s loaded anyway because aof-load-truncated is enabled", load->last);
    return AOF_LOADED;
}

/* The manifest comes first: where only it came to the disk, the next start moves the file. */
static enum aof_loaded move_single(struct loading_files *files) {
    struct aof_load *load = files->load;
    struct disk *disk = load->disk;
    char to[MANIFEST_PATH_SIZE];
    const char *failed = "make the directory";
    assert(files->moves && !load->keeps_disk && manifest_base(&load->manifest));
    int error = disk->make_directory(disk, load->place.directory);
    if (error == -EEXIST) error = 0;
    if (!error) error = manifest_write(&load->manifest, disk, &load->place, &failed);
    if (error) return fail_disk(load, failed, load->place.directory, error);
    failed = "move the old AOF file into the directory";
    error = manifest_path(to, &load->place, load->place.name) ? disk->rename(disk, files->single, to)
                                                              : -ENAMETOOLONG;
    if (!error) error = disk->sync_directory(disk, load->place.directory);
    if (!error) error = disk->sync_directory(disk, ".");
    if (error) return fail_disk(load, failed, load->place.name, error);
    log_notice("Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).",
               load->place.name, load->place.directory);
    return AOF_LOADED;
}

/* What cannot be deleted stays in the manifest, and is tried again at the next start. */
static void delete_history(struct aof_load *load) {
    const char *failed = "delete a file";
    int error;
    if (manifest_delete_history(&load->manifest, load->disk, &load->place, &error)) {
        int wrote = manifest_write(&load->manifest, load->disk, &load->place, &failed);
        if (wrote) error = wrote;
    }
    if (error) log_warning("Files that are of no use any more: could not %s: %s", failed, strerror(-error));
}

static int sync_file(struct disk *disk, const char *path) {
    int file = disk->open(disk, path, DISK_READ);
    if (file < 0) return file;
    int error = disk->sync(disk, file), closed = disk->close(disk, file);
    return error ? error : closed;
}

/* The writer did not come to cut it off. */
static int cut_padding(const struct loading_files *files) {
    struct disk *disk = files->load->disk;
    int file = disk->open(disk, files->padded, DISK_CHANGE);
    if (file < 0) return file;
    int error = disk->truncate(disk, file, files->padded_at), closed = disk->close(disk, file);
    return error ? error : closed;
}

/* A process that was killed had not synced all that is read here, nor all names; from now on it is shown. So may be a base
 * that was the single file of an older server: it was appended to, and once another file stands behind it, one that is torn
 * is damage (note_torn). */
static enum aof_loaded sync_all(struct loading_files *files) {
    struct aof_load *load = files->load;
    for (size_t i = 0; i < load->manifest.count; i++) {
        const struct manifest_file *file = &load->manifest.files[i];
        if (file->type == MANIFEST_HISTORY || !path_of(files, file)) continue;
        int error = sync_file(load->disk, files->path);
        if (error) return fail_disk(load, "sync the file", files->path, error);
    }
    int error = load->disk->sync_directory(load->disk, files->moves ? "." : load->place.directory);
    return error ? fail_disk(load, "sync the directory", load->place.directory, error) : AOF_LOADED;
}

static enum aof_loaded finish(struct loading_files *files) {
    struct aof_load *load = files->load;
    assert(files->done == load->size);
    if (load->keeps_disk) return AOF_LOADED;
    if (load->torn && cut_torn(files) == AOF_FAILED) return AOF_FAILED;
    int error = files->padded[0] ? cut_padding(files) : 0;
    if (error) return fail_disk(load, "cut off the padding", files->padded, error);
    if (sync_all(files) == AOF_FAILED) return AOF_FAILED;
    if (files->moves) return move_single(files);
    delete_history(load);
    return AOF_LOADED;
}

static enum aof_loaded load_all(struct loading_files *files) {
    struct aof_load *load = files->load;
    if (find_single(files) == AOF_FAILED) return AOF_FAILED;
    if (!manifest_base(&load->manifest) && !manifest_last(&load->manifest)) return absent(load);
    if (!measure_all(files) || load_type(files, MANIFEST_BASE) == AOF_FAILED ||
        load_type(files, MANIFEST_INCR) == AOF_FAILED)
        return AOF_FAILED;
    return finish(files);
}

uint64_t aof_size(struct disk *disk, const struct manifest_place *place) {
    struct manifest manifest = {0};
    char why[MANIFEST_WHY_SIZE], path[MANIFEST_PATH_SIZE];
    int64_t single = size_of(disk, place->name);
    uint64_t sum = 0;
    (void)manifest_read(&manifest, disk, place, why);
    for (size_t i = 0; i < manifest.count; i++) {
        const struct manifest_file *file = &manifest.files[i];
        bool counts = file->type != MANIFEST_HISTORY && manifest_path(path, place, file->name);
        int64_t size = counts ? size_of(disk, path) : 0;
        if (size > 0) sum += (uint64_t)size;
    }
    manifest_free(&manifest);
    return sum == 0 && single > 0 ? (uint64_t)single : sum;
}

enum aof_loaded aof_load(struct aof_load *load) {
    load->manifest = (struct manifest){0};
    load->taken = load->size = load->base_size = load->keys = load->commands = load->torn_at = 0;
    load->torn = load->drops = false;
    load->last[0] = load->why[0] = '\0';
    load->file = "";
    struct loading_files *files = calloc(1, sizeof *files);
    if (!files) return fail(load, "Out of memory");
    files->load = load;
    files->end = -1;
    int error = load->single ? 0 : manifest_read(&load->manifest, load->disk, &load->place, load->why);
    enum aof_loaded loaded = AOF_FAILED;
    if (!error || error == -ENOENT) {
        load->why[0] = '\0';
        loaded = load_all(files);
    }
    free(files);
    assert((loaded == AOF_FAILED) == (load->why[0] != '\0'));
    return loaded;
}
