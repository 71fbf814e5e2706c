/* batch.h - what is written to the file in one go: the changes of some tickets, and a line in front of them that says what
 * they are.
 *
 *     #kevy seq=<first ticket>-<last> len=<bytes> crc=<8 hexadecimal digits> safe=<ticket>\n
 *     <len bytes: RESP, whole commands and whole transactions>
 *
 * `crc` is CRC-32C of those bytes; `safe` the last ticket of this file that was durable when
 * the line was written, or 0. Redis skips lines
 * that begin with #. Large pieces are not copied: they are written from where they lie in the queues. */
#ifndef KEVY_SERVER_JOURNAL_BATCH_H
#define KEVY_SERVER_JOURNAL_BATCH_H

#include "server/journal/disk.h"
#include "server/journal/merge.h"

enum {
    BATCH_BYTES =
        1 << 20, /* when it has so many, no further ticket is taken; one by itself may be of any size */
    BATCH_HEAD_MAX = 256,       /* of the lines in front */
    BATCH_PIECE_MIN = 16 << 10, /* pieces from this size on are not copied */
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
    int file, error;
    uint64_t wrote; /* bytes */
};

/* Writes all of it. `lines` stand in front of its own line; `safe` as above. 0 or a negative errno: then any part
 * of it may be in the file, out->wrote bytes. */
int batch_write(struct batch *batch, struct batch_out *out, struct bytes lines, uint64_t safe);

#endif
