/* file_out.c - writing in pieces as large as the buffer, and what is larger at once. */
#include "server/journal/file_out.h"

#include <string.h>

#include "protocol/assert.h"
#include "store/rdb/crc64.h"

/* A sync of all at the end could take longer than whoever watches over the server is patient. */
enum { SYNC_EVERY = 32 << 20 };

static bool write_all(struct file_out *out, const char *data, size_t len) {
    while (len > 0 && !out->error) {
        ssize_t wrote = out->disk->write(out->disk, out->file, data, len);
        if (wrote < 0) {
            out->error = (int)wrote;
            break;
        }
        assert(wrote > 0 && (size_t)wrote <= len);
        data += wrote;
        len -= (size_t)wrote;
        out->unsynced += (uint64_t)wrote;
    }
    if (out->gradual && out->unsynced >= SYNC_EVERY && !out->error) {
        out->error = out->disk->sync(out->disk, out->file);
        out->unsynced = 0;
    }
    return !out->error;
}

static bool flush(struct file_out *out) {
    size_t filled = out->filled;
    out->filled = 0;
    return write_all(out, out->buffer, filled);
}

static bool take(struct sink *sink, struct bytes bytes) {
    struct file_out *out = (struct file_out *)(void *)sink;
    assert(out->filled <= sizeof out->buffer);
    if (out->error) return false;
    if (out->summed) out->checksum = crc64(out->checksum, bytes);
    out->bytes += bytes.len;
    if (bytes.len > sizeof out->buffer - out->filled && !flush(out)) return false;
    if (bytes.len > sizeof out->buffer) return write_all(out, bytes.data, bytes.len);
    if (bytes.len) memcpy(out->buffer + out->filled, bytes.data, bytes.len);
    out->filled += bytes.len;
    return true;
}
_Static_assert(offsetof(struct file_out, sink) == 0, "a sink is found at its file's address");

bool file_out_open(struct file_out *out, struct disk *disk, const char *path, bool summed) {
    out->sink = (struct sink){.write = take};
    out->disk = disk;
    out->error = 0;
    out->summed = summed;
    out->gradual = true;
    out->checksum = out->bytes = out->unsynced = out->filled = 0;
    out->file = disk->open(disk, path, DISK_CREATE);
    if (out->file < 0) out->error = out->file;
    return !out->error;
}

/* A file that is not whole need not be synced. */
int file_out_close(struct file_out *out) {
    assert(out->file >= 0);
    if (!out->error) flush(out);
    if (!out->error) out->error = out->disk->sync(out->disk, out->file);
    int closed = out->disk->close(out->disk, out->file);
    out->file = -1;
    if (!out->error) out->error = closed;
    return out->error;
}
