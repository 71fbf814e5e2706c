/* aof_files.c - directory, manifest, incremental files, base: in the order in which each may rely on the one before. */
#include "server/journal/aof_files.h"

#include <errno.h>
#include <string.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/journal/claim.h"
#include "server/journal/snapshot.h"
#include "server/journal/snapshot_save.h"
#include "server/log.h"

void aof_files_open(struct aof_files *files, struct disk *disk) {
    assert(!files->manifest.files);
    *files = (struct aof_files){.disk = disk, .mutex.rank = LOCK_JOURNAL};
    pthread_mutex_init(&files->mutex.mutex, NULL);
}

void aof_files_close(struct aof_files *files) {
    manifest_free(&files->manifest);
    pthread_mutex_destroy(&files->mutex.mutex);
}

static int complain(const struct aof_files *files, const char *what, int error) {
    assert(error < 0);
    if (!files->quiet) log_warning("Cannot %s for the append-only file: %s", what, strerror(-error));
    return error;
}

/* ---- The manifest --------------------------------------------------------------------------------- */

static struct manifest_place place(void) {
    return (struct manifest_place){config.appenddirname, config.appendfilename};
}

static bool path_of(char path[MANIFEST_PATH_SIZE], const char *name) {
    struct manifest_place at = place();
    return manifest_path(path, &at, name);
}

/* There has never been a log, or somebody took its manifest away. */
static bool lists_nothing(const struct aof_files *files) {
    return !manifest_base(&files->manifest) && !manifest_last(&files->manifest);
}

/* One that is there already may have been made by a process that was killed before it was synced. */
int aof_files_make_directory(struct aof_files *files) {
    int error = files->disk->make_directory(files->disk, config.appenddirname);
    if (!error || error == -EEXIST) error = files->disk->sync_directory(files->disk, ".");
    return error ? complain(files, "make the directory", error) : 0;
}

int aof_files_read(struct aof_files *files) {
    char why[MANIFEST_WHY_SIZE];
    struct manifest_place at = place();
    manifest_free(&files->manifest);
    int error = manifest_read(&files->manifest, files->disk, &at, why);
    files->unread = error && error != -ENOENT;
    if (files->unread) {
        log_warning("Cannot read the manifest of the append-only file: %s", why);
        return error;
    }
    error = lists_nothing(files) ? manifest_pass_strays(&files->manifest, files->disk, &at) : 0;
    if (files->manifest.incr_seq < files->given_incr) files->manifest.incr_seq = files->given_incr;
    return error;
}

int aof_files_write(struct aof_files *files) {
    const char *failed;
    struct manifest_place at = place();
    int error = manifest_write(&files->manifest, files->disk, &at, &failed);
    return error ? complain(files, failed, error) : 0;
}

void aof_files_fall_back(struct aof_files *files) {
    if (aof_files_read(files))
        log_warning("The append-only file is not made anew before the manifest can be read");
}

/* ---- Sizes ---------------------------------------------------------------------------------------- */

/* Bytes, or a negative errno. */
static int64_t size_at(const struct aof_files *files, const char *path) {
    int file = files->disk->open(files->disk, path, DISK_READ);
    if (file < 0) return file;
    int64_t size = files->disk->size(files->disk, file);
    (void)files->disk->close(files->disk, file);
    return size;
}

static int64_t size_of(const struct aof_files *files, const char *name) {
    char path[MANIFEST_PATH_SIZE];
    return path_of(path, name) ? size_at(files, path) : -ENAMETOOLONG;
}

void aof_files_measure(const struct aof_files *files, const char *but, uint64_t *base, uint64_t *others) {
    char path[MANIFEST_PATH_SIZE];
    *base = *others = 0;
    for (size_t i = 0; i < files->manifest.count; i++) {
        const struct manifest_file *file = &files->manifest.files[i];
        bool counts = file->type != MANIFEST_HISTORY && path_of(path, file->name) && strcmp(path, but) != 0;
        int64_t size = counts ? size_at(files, path) : 0;
        if (size <= 0) continue;
        *others += (uint64_t)size;
        if (file->type == MANIFEST_BASE) *base = (uint64_t)size;
    }
}

/* ---- Incremental files ---------------------------------------------------------------------------- */

static int name_incr(struct aof_files *files) {
    struct manifest_place at = place();
    uint64_t before = files->manifest.incr_seq;
    int error = manifest_add_incr(&files->manifest, &at);
    if (!error && !path_of(files->incr_path, manifest_last(&files->manifest)->name)) error = -ENAMETOOLONG;
    if (error) return complain(files, "name a file", error);
    assert(files->manifest.incr_seq == before + 1);
    files->given_incr = before + 1;
    return 0;
}

/* Its name is on the disk before the manifest's is: no order is promised between changes of names that are not synced. */
static int create_incr(struct aof_files *files) {
    struct disk *disk = files->disk;
    int file = disk->open(disk, files->incr_path, DISK_CREATE);
    if (file < 0) return complain(files, "make a file", file);
    int error = disk->sync(disk, file), closed = disk->close(disk, file);
    if (!error) error = closed;
    if (!error) error = disk->sync_directory(disk, config.appenddirname);
    return error ? complain(files, "sync a file", error) : 0;
}

int aof_files_make_incr(struct aof_files *files) {
    int error = name_incr(files);
    return error ? error : create_incr(files);
}

int aof_files_list_incr(struct aof_files *files) {
    int error = create_incr(files);
    return error ? error : aof_files_write(files);
}

void aof_files_drop_incr(struct aof_files *files) {
    const struct manifest_file *last = manifest_last(&files->manifest);
    char path[MANIFEST_PATH_SIZE];
    bool listed = last && path_of(path, last->name) && strcmp(path, files->incr_path) == 0;
    if (!listed && !files->unread) (void)files->disk->unlink(files->disk, files->incr_path);
}

/* The last run's file, where nothing came to be in it, is as good as a new one. */
static bool last_is_empty(struct aof_files *files) {
    const struct manifest_file *last = manifest_last(&files->manifest);
    return last && size_of(files, last->name) == 0 && path_of(files->incr_path, last->name);
}

/* ---- The base ------------------------------------------------------------------------------------- */

int aof_files_name_base(struct aof_files *files) {
    struct manifest_place at = place();
    files->commands = !config.aof_use_rdb_preamble;
    bool named = manifest_next_base(files->base_name, &files->manifest, &at, !files->commands) &&
                 path_of(files->base_path, files->base_name);
    return named ? 0 : complain(files, "name a base", -ENAMETOOLONG);
}

/* All data as they are now, in a file that is not listed yet. */
static bool save_base(struct aof_files *files, int64_t unix_ms) {
    struct snapshot_save save = {.disk = files->disk,
                                 .name = files->base_path,
                                 .compressed = config.rdbcompression,
                                 .summed = config.rdbchecksum,
                                 .base = true,
                                 .commands = files->commands,
                                 .work = snapshot_work_counter(),
                                 .now_ms = unix_ms};
    int error = snapshot_save_run(&save);
    if (!error) error = files->disk->sync_directory(files->disk, config.appenddirname);
    if (error)
        log_warning("Cannot %s for the append-only file: %s",
                    save.failed ? save.failed : "sync the directory", strerror(-error));
    return !error;
}

int aof_files_list_base(struct aof_files *files, uint64_t first_incr) {
    assert(first_incr > 0 && first_incr <= files->manifest.incr_seq + 1);
    int error = manifest_add_base(&files->manifest, files->base_name, first_incr);
    return error ? complain(files, "list the base", error) : 0;
}

/* Where only the directory could not be synced, the manifest lists it; where the manifest could not be read again, nobody
 * knows whether it does. */
void aof_files_drop_base(struct aof_files *files) {
    const struct manifest_file *base = manifest_base(&files->manifest);
    bool listed = base && strcmp(base->name, files->base_name) == 0;
    if (!listed && files->manifest.count) (void)files->disk->unlink(files->disk, files->base_path);
}

/* ---- All of them at once -------------------------------------------------------------------------- */

static bool claim(void) {
    char why[CLAIM_WHY_SIZE];
    bool claimed = claim_directory(why);
    if (!claimed) log_warning("Cannot begin the append-only file: %s", why);
    return claimed;
}

/* As for Redis: the first incremental file may be all that there is. */
static int make(struct aof_files *files, bool anew, int64_t unix_ms) {
    int error = aof_files_make_directory(files);
    if (!error) error = aof_files_read(files);
    bool needs_base = anew || lists_nothing(files);
    if (!error && !needs_base && last_is_empty(files)) return 0;
    if (!error && needs_base) {
        error = aof_files_name_base(files);
        if (!error && !save_base(files, unix_ms)) error = -EIO;
    }
    if (!error) error = name_incr(files);
    if (!error && needs_base) error = aof_files_list_base(files, files->manifest.incr_seq);
    if (error) return error;
    error = aof_files_list_incr(files);
    files->lacks_room = !needs_base && (error == -ENOSPC || error == -EDQUOT);
    return error;
}

int aof_files_make(struct aof_files *files, bool anew, int64_t unix_ms) {
    files->lacks_room = false;
    if (!claim()) return -EBUSY;
    mutex_lock(&files->mutex);
    int error = make(files, anew, unix_ms);
    if (!error) aof_files_delete_history(files);
    if (error && !files->lacks_room) manifest_free(&files->manifest);
    mutex_unlock(&files->mutex);
    return error;
}

int aof_files_make_first(struct aof_files *files) {
    if (!claim()) return -EBUSY;
    mutex_lock(&files->mutex);
    int error = aof_files_make_directory(files);
    if (!error) error = aof_files_read(files);
    if (!error) error = aof_files_name_base(files);
    if (!error) error = aof_files_make_incr(files);
    mutex_unlock(&files->mutex);
    return error;
}

/* ---- What is of no use ---------------------------------------------------------------------------- */

void aof_files_delete_history(struct aof_files *files) {
    struct manifest_place at = place();
    int error;
    bool changed = manifest_delete_history(&files->manifest, files->disk, &at, &error);
    if (error) (void)complain(files, "delete old files", error);
    if (changed) (void)aof_files_write(files);
}

/* What the manifest in memory has, and the one on the disk has not. */
static void drop_unlisted(struct aof_files *files, const struct manifest *listed) {
    char path[MANIFEST_PATH_SIZE];
    for (size_t i = 0; i < files->manifest.count; i++) {
        const char *name = files->manifest.files[i].name;
        if (!manifest_has(listed, name) && path_of(path, name)) (void)files->disk->unlink(files->disk, path);
    }
}

void aof_files_drop_unlisted(struct aof_files *files) {
    struct manifest listed = {0};
    struct manifest_place at = place();
    char why[MANIFEST_WHY_SIZE];
    mutex_lock(&files->mutex);
    int error = manifest_read(&listed, files->disk, &at, why);
    if (!error || (error == -ENOENT && !manifest_base(&files->manifest))) drop_unlisted(files, &listed);
    mutex_unlock(&files->mutex);
    manifest_free(&listed);
}
