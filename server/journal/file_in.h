/* file_in.h - a file that is read from its beginning to its end, through a window of bounded size, with a checksum of all
 * that was taken from it so far. */
#ifndef KEVY_SERVER_JOURNAL_FILE_IN_H
#define KEVY_SERVER_JOURNAL_FILE_IN_H

#include <stdbool.h>

#include "protocol/bytes.h"
#include "server/journal/disk.h"

enum { FILE_IN_BUFFER = 1 << 18 };

struct file_in {
    struct disk *disk;
    int file;
    struct bytes input; /* what was read and not taken yet: who takes of it moves its beginning */
    uint64_t size;      /* of the file, when it was opened */
    uint64_t offset;    /* of the buffer in the file */
    size_t summed;      /* bytes of the buffer that are in the checksum */
    uint64_t checksum;  /* crc64; see file_in_checksum */
    bool unsummed;      /* nobody will ask for the checksum: set behind file_in_open */
    char buffer[FILE_IN_BUFFER];
};

/* 0 or a negative errno. Of `in` everything but the buffer is written. */
int file_in_open(struct file_in *in, struct disk *disk, const char *path);
void file_in_close(struct file_in *in);

/* Where the input begins in the file. */
static inline uint64_t file_in_at(const struct file_in *in) {
    return in->offset + (uint64_t)(in->input.data - in->buffer);
}
/* Reads on; what was not taken, which must be less than the buffer, is at the beginning of the input then. What was taken
 * is gone. Above 0: there is more input; 0: the file ends; below 0: a negative errno. */
int file_in_more(struct file_in *in);
/* Takes so many bytes, reading on as it must. 1; 0: the file ends before that; below 0: a negative errno. */
int file_in_skip(struct file_in *in, uint64_t len);
/* The checksum of all that was taken. */
uint64_t file_in_checksum(struct file_in *in);

#endif
