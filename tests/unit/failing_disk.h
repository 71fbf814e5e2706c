/* failing_disk.h - a disk in memory that forgets what was not synced, fills up, writes less than it is asked to, and fails
 * at the operation that a test names. */
#ifndef KEVY_TESTS_FAILING_DISK_H
#define KEVY_TESTS_FAILING_DISK_H

#include <errno.h>
#include <limits.h>

#include "server/journal/disk.h"
#include "tests/check.h"

enum { DISK_FILES = 16, DISK_NAME = 96, DISK_FILE_MAX = 8 << 20 };

enum disk_call {
    DISK_OPENS,
    DISK_CLOSES,
    DISK_READS,
    DISK_WRITES,
    DISK_SYNCS,
    DISK_SIZES,
    DISK_RENAMES,
    DISK_UNLINKS,
    DISK_SYNCS_DIRECTORY,
    DISK_TRUNCATES,
    DISK_MAKES_DIRECTORY,
    DISK_LISTS,
    DISK_PADS,
    DISK_CALLS
};

struct failing_file {
    char name[DISK_NAME]; /* "": there is none */
    char *data;
    size_t len, synced;
};

struct failing_disk {
    struct disk disk;
    struct failing_file files[DISK_FILES];
    struct {
        int file; /* of files, or -1 */
        size_t at;
    } open[DISK_FILES];
    unsigned calls[DISK_CALLS];
    enum disk_call fails;                /* this call does, */
    unsigned fails_at;                   /* the so many-th of its kind, from 1 on; 0: none */
    int error;                           /* with this negative errno */
    size_t piece;                        /* bytes that a call reads or writes at most; 0: all */
    size_t room;                         /* bytes that may still be written */
    bool named;                          /* the names are synced */
    void (*before)(enum disk_call call); /* told of each; or NULL */
};

static inline bool disk_fails(struct failing_disk *disk, enum disk_call call) {
    if (disk->before) disk->before(call);
    return ++disk->calls[call] == disk->fails_at && disk->fails == call;
}

static inline int disk_find(struct failing_disk *disk, const char *name) {
    for (int i = 0; i < DISK_FILES; i++)
        if (strcmp(disk->files[i].name, name) == 0) return i;
    return -1;
}

static inline int disk_open(struct disk *base, const char *path, enum disk_mode mode) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    int file = disk_find(disk, path), number = 0;
    if (disk_fails(disk, DISK_OPENS)) return disk->error;
    if (file < 0 && mode != DISK_CREATE) return -ENOENT;
    if (file < 0) file = disk_find(disk, "");
    CHECK(file >= 0 && strlen(path) < DISK_NAME);
    struct failing_file *found = &disk->files[file];
    if (mode == DISK_CREATE) {
        snprintf(found->name, sizeof found->name, "%s", path);
        if (!found->data) found->data = malloc(DISK_FILE_MAX);
        CHECK(found->data);
        found->len = found->synced = 0;
        disk->named = false;
    }
    while (disk->open[number].file >= 0) CHECK(++number < DISK_FILES);
    disk->open[number].file = file;
    disk->open[number].at = 0;
    return number;
}

static inline int disk_close(struct disk *base, int file) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    CHECK(file >= 0 && file < DISK_FILES && disk->open[file].file >= 0);
    disk->open[file].file = -1;
    return disk_fails(disk, DISK_CLOSES) ? disk->error : 0;
}

static inline size_t disk_piece(const struct failing_disk *disk, size_t len, size_t most) {
    if (disk->piece && disk->piece < len) len = disk->piece;
    return len < most ? len : most;
}

static inline ssize_t disk_read(struct disk *base, int file, void *data, size_t len) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    struct failing_file *found = &disk->files[disk->open[file].file];
    CHECK(len > 0);
    if (disk_fails(disk, DISK_READS)) return disk->error;
    len = disk_piece(disk, len, found->len - disk->open[file].at);
    if (len) memcpy(data, found->data + disk->open[file].at, len);
    disk->open[file].at += len;
    return (ssize_t)len;
}

static inline void disk_grow(struct failing_disk *disk, struct failing_file *file, size_t more) {
    file->len += more;
    if (disk->room != SIZE_MAX) disk->room -= more;
}

static inline ssize_t disk_write(struct disk *base, int file, const void *data, size_t len) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    struct failing_file *found = &disk->files[disk->open[file].file];
    CHECK(len > 0);
    if (disk_fails(disk, DISK_WRITES)) return disk->error;
    size_t at = disk->open[file].at, inside = found->len - at;
    if (disk->room == 0 && inside == 0) return -ENOSPC;
    len = disk_piece(disk, len, disk->room > SIZE_MAX - inside ? SIZE_MAX : inside + disk->room);
    CHECK(at <= found->len && len <= DISK_FILE_MAX - at);
    memcpy(found->data + at, data, len);
    if (len > inside) disk_grow(disk, found, len - inside);
    if (found->synced > at) found->synced = at;
    disk->open[file].at += len;
    return (ssize_t)len;
}

/* Where it fails, or there is no room, it is done by half. */
static inline int disk_pad(struct disk *base, int file, uint64_t from, uint64_t to, char with) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    struct failing_file *found = &disk->files[disk->open[file].file];
    int error = disk_fails(disk, DISK_PADS) ? disk->error : 0;
    CHECK(from == found->len && from <= to && to <= DISK_FILE_MAX);
    if (!error && to - from > disk->room) error = -ENOSPC;
    size_t more = error ? (to - from) / 2 : to - from;
    if (more > disk->room) more = disk->room;
    for (size_t i = 0; i < more; i++) found->data[from + i] = disk_pad_byte(from + i, to, with);
    disk_grow(disk, found, more);
    return error;
}

static inline int disk_sync(struct disk *base, int file) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    struct failing_file *found = &disk->files[disk->open[file].file];
    if (disk_fails(disk, DISK_SYNCS)) return disk->error;
    found->synced = found->len;
    return 0;
}

static inline int64_t disk_size(struct disk *base, int file) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    return disk_fails(disk, DISK_SIZES) ? disk->error : (int64_t)disk->files[disk->open[file].file].len;
}

static inline int disk_rename(struct disk *base, const char *from, const char *to) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    int file = disk_find(disk, from), old = disk_find(disk, to);
    if (disk_fails(disk, DISK_RENAMES)) return disk->error;
    CHECK(file >= 0);
    if (old >= 0) disk->files[old].name[0] = '\0';
    snprintf(disk->files[file].name, DISK_NAME, "%s", to);
    disk->named = false;
    return 0;
}

static inline int disk_unlink(struct disk *base, const char *path) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    int file = disk_find(disk, path);
    if (disk_fails(disk, DISK_UNLINKS)) return disk->error;
    if (file < 0) return -ENOENT;
    disk->files[file].name[0] = '\0';
    return 0;
}

/* Paths are plain names here, so a directory is nothing but the call. */
static inline int disk_make_directory(struct disk *base, const char *path) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    CHECK(path[0] != '\0');
    return disk_fails(disk, DISK_MAKES_DIRECTORY) ? disk->error : -EEXIST;
}

static inline int disk_truncate(struct disk *base, int file, uint64_t len) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    struct failing_file *found = &disk->files[disk->open[file].file];
    CHECK(len <= found->len);
    if (disk_fails(disk, DISK_TRUNCATES)) return disk->error;
    if (disk->room != SIZE_MAX) disk->room += found->len - len;
    found->len = disk->open[file].at = len;
    if (found->synced > len) found->synced = len;
    return 0;
}

/* Of the files whose paths begin with this one. */
static inline int disk_list(struct disk *base, const char *path,
                            void (*each)(void *context, const char *name), void *context) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    size_t len = strlen(path);
    bool any = false;
    if (disk_fails(disk, DISK_LISTS)) return disk->error;
    for (int i = 0; i < DISK_FILES; i++) {
        const char *name = disk->files[i].name;
        if (strncmp(name, path, len) != 0 || name[len] != '/') continue;
        any = true;
        each(context, name + len + 1);
    }
    return any ? 0 : -ENOENT;
}

static inline int disk_sync_directory(struct disk *base, const char *path) {
    struct failing_disk *disk = (struct failing_disk *)(void *)base;
    CHECK(path[0] != '\0');
    if (disk_fails(disk, DISK_SYNCS_DIRECTORY)) return disk->error;
    disk->named = true;
    return 0;
}

static inline void disk_new(struct failing_disk *disk) {
    *disk = (struct failing_disk){.disk = {disk_open, disk_close, disk_read, disk_write, disk_pad,
                                           disk_truncate, disk_sync, disk_size, disk_rename, disk_unlink,
                                           disk_make_directory, disk_list, disk_sync_directory},
                                  .error = -EIO,
                                  .room = SIZE_MAX};
    for (int i = 0; i < DISK_FILES; i++) disk->open[i].file = -1;
}

/* The file is empty, for whoever has it open as well. */
static inline void disk_empty(struct failing_disk *disk, const char *name) {
    int file = disk_find(disk, name);
    CHECK(file >= 0);
    disk->files[file].len = disk->files[file].synced = 0;
    for (int i = 0; i < DISK_FILES; i++)
        if (disk->open[i].file == file) disk->open[i].at = 0;
}

/* Nothing is left open. */
static inline void disk_free(struct failing_disk *disk) {
    for (int i = 0; i < DISK_FILES; i++) {
        CHECK_INT(disk->open[i].file, -1);
        free(disk->files[i].data);
    }
}

/* Fails no more, and counts anew. */
static inline void disk_mend(struct failing_disk *disk) {
    memset(disk->calls, 0, sizeof disk->calls);
    disk->fails_at = 0;
    disk->piece = 0;
    disk->room = SIZE_MAX;
}

static inline struct bytes disk_contents(struct failing_disk *disk, const char *name) {
    int file = disk_find(disk, name);
    return file < 0 ? (struct bytes){NULL, 0} : (struct bytes){disk->files[file].data, disk->files[file].len};
}

/* Puts a file there. */
static inline void disk_put(struct failing_disk *disk, const char *name, struct bytes bytes) {
    int file = disk->disk.open(&disk->disk, name, DISK_CREATE);
    CHECK(bytes.len <= DISK_FILE_MAX);
    struct failing_file *found = &disk->files[disk->open[file].file];
    if (bytes.len) memcpy(found->data, bytes.data, bytes.len);
    found->len = found->synced = bytes.len;
    disk->disk.close(&disk->disk, file);
}

static inline unsigned disk_files(const struct failing_disk *disk) {
    unsigned count = 0;
    for (int i = 0; i < DISK_FILES; i++) count += disk->files[i].name[0] != '\0';
    return count;
}

#endif
