/* writer.h - the stream of changes, written to files: one turn is one batch.
 *
 *     writer_turn:  gather -> write -> sync, as the policy says -> publish
 *
 * All of a turn goes through struct disk, one call after the other, and nothing in it knows of threads or clocks: a thread
 * of the server takes one turn after the other (server/process/scribe.h), and so does a test.
 *
 * Where something cannot be written, what is of the batch in the file is cut off again, the records stay in their queues,
 * and it is tried again each second. Where a file cannot be synced nobody knows what is on the disk: under `always`, where
 * replies have waited for it, that cannot be made good (writer->fatal). Under `everysec` a later sync that is well proves
 * nothing, for the kernel may have forgotten what it could not write: all that was not synced then is in doubt until a base
 * has it that was made later, and so long the error stays.
 *
 * Under `always` a file that has become long has padding behind its last batch, and the next batches are written over that:
 * their syncs change neither the file's length nor where it lies, so they cost a flush of the disk, where a commit of the
 * file system's own journal would come before. Padding are lines of # characters: whichever of these is the first, Redis
 * takes them for lines that say something, and skips them; and where it goes on with the file, it begins a line. No batch
 * ends where one of these lines does (batch.h). They are cut off when the file is closed, and by who loads it.
 *
 * Invariants:
 *   1. synced <= written <= merge.merged; merge.merged == written between turns.
 *   2. The file has `size` bytes, all of whole batches, and padding up to `padded`, unless `torn`: then there are others
 *      behind `size`, which must be cut off first.
 *   3. No batch lies in two files: a cut is taken at the head of a batch, the old file synced or in doubt. */
#ifndef KEVY_SERVER_JOURNAL_WRITER_H
#define KEVY_SERVER_JOURNAL_WRITER_H

#include "server/journal/batch.h"

enum writer_policy { WRITER_ALWAYS, WRITER_EVERYSEC, WRITER_NO };

enum {
    WRITER_SYNC_MS = 500,   /* everysec: from the oldest change that is not synced to its sync */
    WRITER_RETRY_MS = 1000, /* from a failure to the next try */
    WRITER_NAME_MAX = 640,  /* bytes of a file's path, its NUL included */
};
static const int64_t WRITER_NEVER = INT64_MAX;

/* When padding is written behind a file, and how much. */
struct writer_padding {
    uint64_t from; /* bytes that a file has without any; UINT64_MAX: there is never any */
    uint32_t least,
        most; /* bytes; in between it is as many as WRITER_PAD_BATCHES batches like the last one have */
};
enum { WRITER_PAD_BATCHES = 64 };
extern const struct writer_padding writer_padding;

struct writer {
    /* Set by whoever takes the turns, before each. */
    enum writer_policy policy;
    bool timestamps; /* aof-timestamp-enabled */
    bool syncs_rest; /* no-appendfsync-on-rewrite, and there is one: only `always` syncs */
    int64_t unix_s;  /* for timestamps */
    uint32_t run;    /* of all batches (batch.h) */
    struct writer_padding padding;
    bool
        abandons; /* the log is switched off, and cannot be written: what is left up to a cut without a name is dropped, and
                        then this is false again */
    /* What came of the turns. */
    uint64_t written, synced; /* the last ticket that is in a file, and on the disk */
    int64_t since_ms;         /* no change that is not synced is older; WRITER_NEVER: all are synced */
    int error;                /* a negative errno: it is being tried again; 0: all is well */
    bool error_is_sync;       /* it was a sync that failed */
    uint64_t doubt;          /* the last ticket in a file when it could not be synced; 0: there is no doubt */
    bool fatal;              /* replies have waited for what could not be synced */
    uint64_t size;           /* bytes of the file */
    uint64_t batches, syncs; /* so far */
    char name[WRITER_NAME_MAX]; /* of the file; "": there is none */
    /* Its own. */
    struct disk *disk;
    struct merge merge;
    struct batch batch;
    int file; /* or -1 */
    uint64_t
        begun; /* the ticket of the cut that it began with: what is safe is told of its own tickets alone */
    int64_t
        doubted; /* bytes of the file before, where it could not be synced and no base has it; BATCH_NO_DOUBT */
    bool torn;
    uint64_t padded; /* 0: there is no padding */
    bool unpadded;   /* there was no room for it in this file */
    bool waits;      /* for its first file */
    bool shortened;  /* it was cut off, and no sync came since */
    uint64_t published;
    int64_t retry_ms; /* WRITER_NEVER: nothing failed */
    int64_t stamped_s;
};

/* For these queues, from the first ticket on; it has no file until a cut names one. False without memory. */
bool writer_open(struct writer *writer, struct disk *disk, struct record_queue *queues, unsigned count)
    __attribute__((warn_unused_result));
/* Before any ticket: the file that the stream begins in, without a cut. False after logging why it cannot be opened. */
bool writer_begin(struct writer *writer, const char *name);
/* The same where the file cannot be made, for this negative errno: nothing is written before writer_begin, and that is the
 * caller's to try, each second, as long as `error` is set. */
void writer_wait(struct writer *writer, const char *name, int error, int64_t now_ms);
/* Closes the file, synced or not. */
void writer_close(struct writer *writer);

/* One turn. Times are in milliseconds of a clock that never goes back. Returns when the next one is due if no record comes
 * before: now_ms where there may be more at once, WRITER_NEVER where only a record can bring work. */
int64_t writer_turn(struct writer *writer, int64_t now_ms);
/* Syncs whatever is not: at the end, or when the policy has become stricter. False where that failed. */
bool writer_sync(struct writer *writer, int64_t now_ms);

/* A base is listed that has all that was changed before the file was begun, and maybe more: what was in doubt before it is
 * so no longer. */
void writer_has_base(struct writer *writer);

#endif
