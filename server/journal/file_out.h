/* file_out.h - a file that is written from its beginning to its end, gathered in a buffer, with a checksum of all that is
 * in it so far. */
#ifndef KEVY_SERVER_JOURNAL_FILE_OUT_H
#define KEVY_SERVER_JOURNAL_FILE_OUT_H

#include <stdbool.h>

#include "server/journal/disk.h"
#include "store/rdb/sink.h"

enum { FILE_OUT_BUFFER = 1 << 18 };

struct file_out {
    struct sink sink; /* takes what is to be written; false after an error */
    struct disk *disk;
    int file;
    int error;         /* the first: a negative errno. Nothing is written after it */
    bool summed;       /* a checksum is asked for */
    bool gradual;      /* what was written is synced now and then; as it is opened */
    uint64_t checksum; /* crc64 of all that the sink took, where it is asked for */
    uint64_t bytes;    /* that the sink took */
    uint64_t unsynced; /* written since the last sync */
    size_t filled;
    char buffer[FILE_OUT_BUFFER];
};

/* Makes the file, empty. Of `out` everything but the buffer is written. False, with out->error. */
bool file_out_open(struct file_out *out, struct disk *disk, const char *path, bool summed);
/* Writes what is in the buffer, syncs and closes the file: 0, or a negative errno, also of anything before. To be called
 * once, where file_out_open was well. */
int file_out_close(struct file_out *out);

#endif
