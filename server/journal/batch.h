/* batch.h - what is written to the file in one go: the changes of some tickets, and a line in front of them that says what
 * they are.
 *
 *     #kevy seq=<first ticket>-<last> len=<bytes> crc=<8 digits> safe=<ticket>[ doubt=<bytes>] run=<8 digits>\n
 *     <len bytes: RESP, whole commands and whole transactions>
 *
 * `crc` is CRC-32C of those bytes, hexadecimal; `safe` the last ticket of this file that was durable when the line was
 * written, or 0. `doubt` stands there where the file before, the last one that had anything in it, could not be synced when
 * this one was begun: the bytes that it had. `run` is hexadecimal, the same in all lines of a run of the server, and drawn
 * by chance: who writes a value cannot make one that looks like a line of this file. Redis skips lines that begin with #.
 * Large pieces are not copied: they are written from where they lie in the queues. */
#ifndef KEVY_SERVER_JOURNAL_BATCH_H
#define KEVY_SERVER_JOURNAL_BATCH_H

#include "server/journal/disk.h"
#include "server/journal/merge.h"

enum {
    BATCH_BYTES =
        1 << 20, /* when it has so many, no further ticket is taken; one by itself may be of any size */
    BATCH_HEAD_MAX = 256,       /* of the lines in front */
    BATCH_PIECE_MIN = 16 << 10, /* pieces from this size on are not copied */
    BATCH_PAD = '#',            /* lines of it may stand behind the last one, up to the end (writer.h) */
};

struct batch_piece {
    size_t at; /* it stands before this byte of what was copied */
    struct bytes bytes;
};

struct batch {
    char *memory; /* BATCH_HEAD_MAX bytes for the lines in front, then what was copied; malloc'd */
    size_t copied, capacity;
    struct batch_piece *pieces; /* those that were not, malloc'd */
    size_t piece_count, piece_capacity;
    uint64_t first, last; /* tickets */
    size_t len;           /* bytes, without the lines in front */
    bool failed;          /* memory ran out */
    uint64_t most;        /* tickets that are gathered, 0 for any number; set by who has it gather */
};

/* False without memory. */
bool batch_open(struct batch *batch) __attribute__((warn_unused_result));
void batch_close(struct batch *batch);

/* Shows the tickets that are there, up to a cut, of the merge to the batch. 0: it has some. -EAGAIN: there are none.
 * -ENOMEM: the next one is too large for the memory that there is; nothing was passed. The queues must keep what was shown
 * until the batch was written. */
int batch_gather(struct batch *batch, struct merge *merge);

/* Where it is written to. */
struct batch_out {
    struct disk *disk;
    uint64_t at, padded; /* in the file: where the batch begins, and where there is padding up to, or 0 */
    int file, error;
    uint64_t wrote; /* bytes */
};

enum { BATCH_NO_DOUBT = -1 };
struct batch_sayings {
    uint64_t safe;
    int64_t doubt; /* or BATCH_NO_DOUBT */
    uint32_t run;
};

/* Writes all of it. `lines` stand in front of its own line, which says `says`, as above, and ends with a space or two where
 * padding behind the batch would otherwise begin with the end of a line: for Redis that is a fault. 0 or a negative
 * errno: then any part of it may be in the file, out->wrote bytes. */
int batch_write(struct batch *batch, struct batch_out *out, struct bytes lines, struct batch_sayings says);

#endif
