/* snapshot_file.h - the keyspace on its way into an RDB file, or one of commands: what stands before the keys, the keys
 * one by one, and what stands behind them; a temporary file that takes the place of another when it is whole. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_FILE_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/journal/file_out.h"
#include "server/stripes/stripes.h"
#include "store/rdb/writer.h"

struct snapshot_names {
    const char *temporary; /* is written, */
    const char *path;      /* gets this name when it is whole, */
    const char *directory; /* and this, where both are, is synced: "." is the working directory */
};

/* What the file says about itself, and about how many keys it has. */
struct snapshot_head {
    int64_t now_ms; /* Unix time */
    bool aof_base;  /* it is the base of an append-only file */
    bool later;     /* it has hashes with fields that expire, which Redis 7.0 cannot read */
    int64_t memory; /* bytes that the data take in memory */
};

struct snapshot_file {
    struct snapshot_names names;
    uint64_t keys;      /* that were written */
    uint64_t *work;     /* atomic: grows while it goes on; or NULL */
    const bool *ends;   /* atomic: nothing that is written is of any use any more; or NULL */
    const char *failed; /* what could not be done; NULL: all was well */
    int db;             /* of the keys that come now; -1: none was named yet */
    bool commands;      /* as the form says */
    struct file_out out;
    struct rdb_compressor compressor;
};

struct snapshot_form {
    bool compressed; /* strings, with LZF where that gains */
    bool summed;     /* ends with a checksum, else with 0 */
    bool gradual;    /* synced now and then, and not at the end alone */
    bool
        commands; /* not RDB: commands, as an append-only file has them (aof_out.h); neither compressed nor summed */
};

/* Makes the temporary file. `file` is not written where it need not be. 0, or a negative errno: then nothing is left. */
int snapshot_file_open(struct snapshot_file *file, struct disk *disk, struct snapshot_names names,
                       struct snapshot_form form);
/* All of these are false after an error, which snapshot_file_close tells. */
bool snapshot_file_head(struct snapshot_file *file, const struct snapshot_head *head);
/* A hint at how many keys of a database follow, in all. */
bool snapshot_file_size(struct snapshot_file *file, unsigned db, uint64_t keys, uint64_t expiring);
/* A key: nobody changes what the entry refers to. Where the option rdb-key-save-delay says so, waits behind it. */
bool snapshot_file_entry(struct snapshot_file *file, unsigned db, const struct entry *e);
/* Ends, syncs and renames the file, and syncs the directory. 0, or a negative errno: then the file that had the name is
 * still there, whole, and the temporary one is gone. But where it is the directory that could not be synced, it is not known
 * which file is there after a loss of power: the old or the new one, whole. */
int snapshot_file_close(struct snapshot_file *file);
/* Ends it without: the temporary file is gone. */
void snapshot_file_drop(struct snapshot_file *file);

/* Bytes that the data take in memory; all stripes are held, or there are no threads to use them. */
int64_t snapshot_memory(void);
/* Has it anything that Redis 7.0 cannot read? The same. */
bool snapshot_is_later(void);

#endif
