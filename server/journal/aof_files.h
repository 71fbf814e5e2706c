/* aof_files.h - the files that the append-only log lies in, in the directory appenddirname: how they are named, made, listed
 * and deleted.
 *
 *     base          all data at one moment. It is written under its own name, or a temporary one, and counts once the
 *                   manifest lists it
 *     incremental   what was changed since; the last one is being written. It is made and synced before the manifest lists
 *                   it, and listed before anything goes into it, so that a crash finds nothing in a file that is not listed
 *     history       what a later base has made useless; it goes once the manifest says so
 *
 * The manifest in memory is what the disk has, or is about to have: where it could not be written, it is read again
 * (aof_files_fall_back). The number of an incremental file that was made is never given out again by this process, whatever
 * became of its listing.
 *
 * All functions wait for the disk. Those below need the mutex held, but for the three that take it themselves. Errors are
 * negative errno values, and have been logged, unless `quiet`. */
#ifndef KEVY_SERVER_JOURNAL_AOF_FILES_H
#define KEVY_SERVER_JOURNAL_AOF_FILES_H

#include "server/journal/manifest.h"
#include "server/lock_order.h"

struct aof_files {
    struct disk *disk;   /* set before anything else */
    struct mutex mutex;  /* its holder may wait for the disk */
    bool quiet;          /* what fails is tried again each second, and was told of once */
    bool unread;         /* the manifest, when it was tried last: nobody knows what it lists */
    bool lacks_room;     /* aof_files_make has failed for want of room for one more incremental file alone */
    uint64_t given_incr; /* the last number that an incremental file was given, be it listed or not */
    struct manifest manifest; /* without files: it was not read yet, or could not be */
    /* The incremental file that was named last, and the base that was: in the directory, and as paths. */
    char incr_path[MANIFEST_PATH_SIZE];
    char base_name[MANIFEST_NAME_MAX + 1], base_path[MANIFEST_PATH_SIZE];
    bool commands; /* that base is made of commands, and is no RDB file */
};

/* Nothing is known of what lies on this disk. */
void aof_files_open(struct aof_files *files, struct disk *disk);
/* Frees what is known. Files stay as they are. */
void aof_files_close(struct aof_files *files);

/* ---- These take the mutex -------------------------------------------------------------------------- */

/* For who is about to write: claims the working directory (claim.h), makes what is missing, and lists an incremental file
 * without anything in it, whose path is `incr_path`. Where there is no log yet, or `anew`, because what is in the files is
 * not what is in memory, it lists a base of what is in memory now, too; then all stripes are held, or nobody uses them.
 * 0, or a negative errno: what was listed before is listed still. Then `lacks_room` says whether these files have
 * everything, and room is missing for the next one alone: it is named, and aof_files_list_incr can be tried again. */
int aof_files_make(struct aof_files *files, bool anew, int64_t unix_ms);
/* The same for a log that begins beside its first base: the incremental file is made, the base named, and neither listed. */
int aof_files_make_first(struct aof_files *files);
/* Deletes what is known in memory and not listed on the disk, of a log that was switched off, whose files nobody has open.
 * Where somebody took the manifest away that listed a base, nobody knows which files these are, and all stay. */
void aof_files_drop_unlisted(struct aof_files *files);

/* ---- The manifest ---------------------------------------------------------------------------------- */

/* Makes sure that the directory is there, and its name on the disk. */
int aof_files_make_directory(struct aof_files *files);
/* Reads the manifest; where there is none, nothing is listed. 0, or a negative errno: then nothing is listed in memory. */
int aof_files_read(struct aof_files *files);
/* Writes it. */
int aof_files_write(struct aof_files *files);
/* What was changed in memory and could not be written is forgotten: reads the manifest again. */
void aof_files_fall_back(struct aof_files *files);

/* ---- Incremental files ----------------------------------------------------------------------------- */

/* Names the next incremental file, in memory, and makes it, empty and synced. Not listed yet. */
int aof_files_make_incr(struct aof_files *files);
/* Deletes the one that was named last, which nothing will be written to, unless it is listed after all, or nobody knows. */
void aof_files_drop_incr(struct aof_files *files);
/* Makes the one that was named last, where it is not there, and writes the manifest that lists it. May be tried again. */
int aof_files_list_incr(struct aof_files *files);

/* ---- The base -------------------------------------------------------------------------------------- */

/* Chooses name and form of the next base. */
int aof_files_name_base(struct aof_files *files);
/* Lists, in memory, the base that was named last: incremental files below this number, which is at most one above the
 * last, are history, and so is the base before. */
int aof_files_list_base(struct aof_files *files, uint64_t first_incr);
/* Deletes the base that was named last, unless it is listed after all. */
void aof_files_drop_base(struct aof_files *files);

/* ---- Afterwards ------------------------------------------------------------------------------------ */

/* Deletes history. What could not be deleted stays in the manifest, and is tried again at the next rewrite. */
void aof_files_delete_history(struct aof_files *files);
/* In bytes: the base (0: there is none), and all files that are listed but the one of the path `but`, which grows. */
void aof_files_measure(const struct aof_files *files, const char *but, uint64_t *base, uint64_t *others);

#endif
