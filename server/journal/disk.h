/* disk.h - the few things that saving and loading ask of a file system. Behind it lies the kernel, or, in tests, a disk that
 * fills up, fails, tears, or forgets what was not synced.
 *
 * Paths are relative to the working directory. All of these wait for the disk. Errors are negative errno values; an
 * interrupted call is made again by whoever stands behind this. */
#ifndef KEVY_SERVER_JOURNAL_DISK_H
#define KEVY_SERVER_JOURNAL_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/bytes.h"

enum disk_mode {
    DISK_READ,
    DISK_CREATE, /* to be written from its beginning: emptied if it is there */
    DISK_CHANGE, /* it is there, and is to be cut off */
};

enum {
    DISK_SECTOR = 512,    /* bytes that come to a disk together */
    DISK_LINE_ENDS = 256, /* within each of them, in padding */
};

/* Of padding up to `to`, the byte at offset `at`: the last one ends a line, and so does one in the middle of each sector. */
static inline char disk_pad_byte(uint64_t at, uint64_t to, char with) {
    return at % DISK_SECTOR == DISK_LINE_ENDS || at + 1 == to ? '\n' : with;
}

struct disk {
    /* A file's number, for the calls below. */
    int (*open)(struct disk *disk, const char *path, enum disk_mode mode);
    int (*close)(struct disk *disk, int file);
    /* Bytes that were read from where the last read ended; 0: there are no more. */
    ssize_t (*read)(struct disk *disk, int file, void *data, size_t len);
    /* Bytes that were written behind those before: at least one, and maybe fewer than asked for. */
    ssize_t (*write)(struct disk *disk, int file, const void *data, size_t len);
    /* Writes lines of this byte from `from` on, which is no farther than the file's end, up to `to`: disk_pad_byte. What is
     * written next stands where it would have stood. After an error it may have been done in part. */
    int (*pad)(struct disk *disk, int file, uint64_t from, uint64_t to, char with);
    /* Cuts the file to `len` bytes, which it has; what is written next stands behind them. */
    int (*truncate)(struct disk *disk, int file, uint64_t len);
    /* What was written is there after a loss of power, too. After an error nobody knows what is, and asking again
     * would not tell. */
    int (*sync)(struct disk *disk, int file);
    /* The file's length in bytes. -EISDIR or -EINVAL: it is no file. */
    int64_t (*size)(struct disk *disk, int file);
    /* What is at `to` is replaced at once: it is the old or the new file, never nothing. */
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *path);
    /* -EEXIST where there is something of this name. */
    int (*make_directory)(struct disk *disk, const char *path);
    /* Calls `each` for every name in a directory, in any order, but for "." and "..". -ENOENT where there is none. */
    int (*list)(struct disk *disk, const char *path, void (*each)(void *context, const char *name),
                void *context);
    /* The names in this directory are there after a loss of power, too. */
    int (*sync_directory)(struct disk *disk, const char *path);
};

extern struct disk disk_kernel;

/* Writes all of it, in as many calls as it takes. 0 or a negative errno: then any part of it was written. */
int disk_write_whole(struct disk *disk, int file, struct bytes bytes);

#endif
