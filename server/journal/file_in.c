/* file_in.c - the window over a file. */
#include "server/journal/file_in.h"

#include <errno.h>
#include <string.h>

#include "protocol/assert.h"
#include "store/rdb/crc64.h"

int file_in_open(struct file_in *in, struct disk *disk, const char *path) {
    in->disk = disk;
    in->input = (struct bytes){in->buffer, 0};
    in->offset = in->checksum = in->summed = 0;
    in->unsummed = false;
    in->file = disk->open(disk, path, DISK_READ);
    if (in->file < 0) return in->file;
    int64_t size = disk->size(disk, in->file);
    in->size = size < 0 ? 0 : (uint64_t)size;
    if (size < 0) file_in_close(in);
    return size < 0 ? (int)size : 0;
}

void file_in_close(struct file_in *in) {
    assert(in->file >= 0);
    in->disk->close(in->disk, in->file);
    in->file = -1;
}

uint64_t file_in_checksum(struct file_in *in) {
    size_t taken = (size_t)(in->input.data - in->buffer);
    assert(taken >= in->summed && taken <= sizeof in->buffer);
    in->checksum = crc64(in->checksum, (struct bytes){in->buffer + in->summed, taken - in->summed});
    in->summed = taken;
    return in->checksum;
}

int file_in_more(struct file_in *in) {
    size_t taken = (size_t)(in->input.data - in->buffer), kept = in->input.len;
    assert(kept < sizeof in->buffer);
    if (!in->unsummed) file_in_checksum(in);
    memmove(in->buffer, in->input.data, kept);
    in->offset += taken;
    in->summed = 0;
    in->input.data = in->buffer;
    ssize_t got = in->disk->read(in->disk, in->file, in->buffer + kept, sizeof in->buffer - kept);
    if (got <= 0) return (int)got;
    assert((size_t)got <= sizeof in->buffer - kept);
    in->input.len = kept + (size_t)got;
    return 1;
}

int file_in_skip(struct file_in *in, uint64_t len) {
    for (;;) {
        size_t part = len < in->input.len ? (size_t)len : in->input.len;
        in->input.data += part;
        in->input.len -= part;
        len -= part;
        if (len == 0) return 1;
        int got = file_in_more(in);
        if (got <= 0) return got;
    }
}
