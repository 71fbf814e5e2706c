/* manifest.h - which files an append-only log is made of: the manifest of Redis 7.
 *
 *     file appendonly.aof.1.base.rdb seq 1 type b        the base: all data at one moment; at most one
 *     file appendonly.aof.1.incr.aof seq 1 type i        what was changed since, file by file; numbers rise
 *     file appendonly.aof.2.incr.aof seq 2 type i
 *     file appendonly.aof.0.base.rdb seq 0 type h        history: of no use any more, to be deleted
 *
 * It stands as NAME.manifest in the directory that the option appenddirname names; NAME is appendfilename. What stands
 * in that directory and not in the manifest is no part of the data. Lines that begin with # are comments; after the
 * three pairs above there may be others, which are skipped. */
#ifndef KEVY_SERVER_JOURNAL_MANIFEST_H
#define KEVY_SERVER_JOURNAL_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "server/journal/disk.h"

enum {
    MANIFEST_LINE_MAX = 1024,          /* bytes of a line, its end included: more Redis does not read */
    MANIFEST_NAME_MAX = 255,           /* bytes of a file's name: more no file system takes */
    MANIFEST_BYTES_MAX = 16 << 20,     /* of all lines */
    MANIFEST_WHY_SIZE = 640,           /* bytes for a text that says what is wrong */
    MANIFEST_PATH_SIZE = 2 * 256 + 16, /* bytes for a path of directory, slash, name and suffix */
};

enum manifest_type { MANIFEST_BASE = 'b', MANIFEST_INCR = 'i', MANIFEST_HISTORY = 'h' };

struct manifest_file {
    enum manifest_type type;
    uint64_t seq; /* from 1 on, below 2^63; bases and incremental files are counted apart */
    char *name;   /* within the directory; malloc'd, the manifest's own */
};

/* Zero-initialised is empty. */
struct manifest {
    struct manifest_file *files; /* malloc'd; in the order in which they came */
    size_t count, capacity;
    uint64_t base_seq, incr_seq; /* the highest that were given to a base and to an incremental file */
};

/* The values of appenddirname and appendfilename. */
struct manifest_place {
    const char *directory, *name;
};

void manifest_free(struct manifest *manifest);

/* "DIRECTORY/NAME", where a file of this name is. False where that is too long. */
bool manifest_path(char path[MANIFEST_PATH_SIZE], const struct manifest_place *place, const char *name);

/* Reads a manifest's text into one that is empty. 0; or -EINVAL: then it is empty still, and `why` (MANIFEST_WHY_SIZE
 * bytes) says what is wrong, and in which line, in Redis's words where it has some. */
int manifest_parse(struct manifest *manifest, struct bytes text, char *why);
/* The text of a manifest, behind what is in `text`. 0 or -ENOMEM. */
int manifest_print(const struct manifest *manifest, struct buffer *text);

/* Reads the manifest at this place. 0; -ENOENT where there is none, or no directory; else a negative errno, with `why`
 * ("FILE: line N: ..."). */
int manifest_read(struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                  char *why);
/* Where no manifest names them, append-only files may lie in the directory all the same: numbers that are given out
 * from now on are above theirs, so that nothing is written over. 0, or a negative errno. Where there is no directory,
 * there are none. */
int manifest_pass_strays(struct manifest *manifest, struct disk *disk, const struct manifest_place *place);
/* Puts the manifest, which has files, in its place: a temporary file is written, synced and renamed, and the directory,
 * which is there, synced. 0, or a negative errno, then *failed says what could not be done ("write"...): the manifest
 * that was there before is there still, whole; but where it is the directory that could not be synced, nobody knows
 * which of the two a loss of power would leave. */
int manifest_write(const struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                   const char **failed);

/* NULL: there is none. */
const struct manifest_file *manifest_base(const struct manifest *manifest);
/* The last incremental file; NULL: there is none. */
const struct manifest_file *manifest_last(const struct manifest *manifest);

/* Does it list a file of this name? */
bool manifest_has(const struct manifest *manifest, const char *name);

/* Adds a file, behind all others. 0; -ENOMEM; -ENAMETOOLONG where Redis could not read its line. `name` is copied. */
int manifest_add(struct manifest *manifest, enum manifest_type type, uint64_t seq, const char *name);
/* Adds the next incremental file, "NAME.SEQ.incr.aof": manifest_last tells its name. Errors as above, and -EOVERFLOW where
 * the last number has been given out. */
int manifest_add_incr(struct manifest *manifest, const struct manifest_place *place);
/* What a base of this form would be called if it were added now: "NAME.SEQ.base.rdb" or ".aof". False where that is too long
 * for a file's name. */
bool manifest_next_base(char name[MANIFEST_NAME_MAX + 1], const struct manifest *manifest,
                        const struct manifest_place *place, bool rdb);
/* Adds a base of that name. The base before and the incremental files below number `first_incr` are history then.
 * Errors as above, and nothing has changed. */
int manifest_add_base(struct manifest *manifest, const char *name, uint64_t first_incr);

/* Deletes what is history, file by file, from the disk and from the manifest; a file that is not there is as good as
 * deleted. True where the manifest has changed, and is to be written. What could not be deleted stays in it, and *error
 * is the last negative errno, or 0. */
bool manifest_delete_history(struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                             int *error);

#endif
