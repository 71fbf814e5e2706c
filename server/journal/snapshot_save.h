/* snapshot_save.h - the whole keyspace as an RDB file, as Redis 7.0 writes it and reads it. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_SAVE_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/journal/disk.h"

struct snapshot_save {
    struct disk *disk;
    const char *name; /* of the file, in the working directory */
    bool compressed;  /* strings, with LZF where that gains */
    bool summed;      /* ends with a checksum, else with 0 */
    bool base;        /* of an append-only file */
    bool gradual;     /* synced now and then, and not at the end alone */
    bool commands;    /* instead of RDB: snapshot_file.h */
    int64_t now_ms;   /* Unix time */
    uint64_t *work;   /* atomic: grows while it goes on; or NULL */
    /* What became of it. */
    uint64_t keys, bytes;
    const char *failed; /* what could not be done; NULL: all was well */
};

/* Writes a temporary file beside the one with this name, syncs it, gives it that name, and syncs the directory. All stripes
 * are held, or there are no threads to use them. 0, or a negative errno: then what had the name before is still there,
 * whole, and the temporary file is gone. But where it is the directory that could not be synced, it is not known which file
 * is there after a loss of power: the old or the new one, whole. Needs 500 KiB of memory. */
int snapshot_save_run(struct snapshot_save *save);

#endif
