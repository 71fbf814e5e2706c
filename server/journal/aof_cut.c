/* aof_cut.c - copy, if there is room for that, sync, cut, sync. */
#include "server/journal/aof_cut.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "server/journal/file_in.h"
#include "server/log.h"

enum { COPY_PATH_MAX = 1024 };

/* The rest of the input into a file that is synced then. */
static int copy_rest(struct file_in *in, const char *to) {
    int file = in->disk->open(in->disk, to, DISK_CREATE);
    if (file < 0) return file;
    int error;
    do {
        error = disk_write_whole(in->disk, file, in->input);
        in->input = (struct bytes){in->input.data + in->input.len, 0};
        if (!error) error = file_in_more(in);
    } while (error > 0);
    if (!error) error = in->disk->sync(in->disk, file);
    int closed = in->disk->close(in->disk, file);
    if (!error) error = closed;
    if (error) in->disk->unlink(in->disk, to);
    return error;
}

static int keep_copy(struct disk *disk, const char *path, uint64_t end, const char *to) {
    struct file_in *in = malloc(sizeof *in);
    int error = in ? file_in_open(in, disk, path) : -ENOMEM;
    if (error) {
        free(in);
        return error;
    }
    in->unsummed = true;
    error = file_in_skip(in, end);
    error = error == 0 ? -EINVAL : error > 0 ? copy_rest(in, to) : error;
    file_in_close(in);
    free(in);
    return error;
}

static int cut(struct disk *disk, const char *path, uint64_t end) {
    int file = disk->open(disk, path, DISK_CHANGE);
    if (file < 0) return file;
    int error = disk->truncate(disk, file, end);
    if (!error) error = disk->sync(disk, file);
    int closed = disk->close(disk, file);
    return error ? error : closed;
}

int aof_cut(struct disk *disk, const char *directory, const char *path, uint64_t end, const char **failed) {
    char copy[COPY_PATH_MAX];
    *failed = "name a copy of what is torn";
    assert(end < INT64_MAX && path[0] != '\0');
    if (snprintf(copy, sizeof copy, "%s.torn-%" PRIu64, path, end) >= (int)sizeof copy) return -ENAMETOOLONG;
    *failed = "keep a copy of what is torn";
    int error = keep_copy(disk, path, end, copy);
    if (error == -ENOSPC || error == -EDQUOT) { /* which may be why it is torn: a server must start without */
        log_warning("What is torn of %s is cut off, and no copy is kept: %s", path, strerror(-error));
        error = 0;
    }
    if (!error) error = disk->sync_directory(disk, directory);
    if (error) return error;
    *failed = "cut off what is torn";
    error = cut(disk, path, end);
    if (!error) *failed = NULL;
    return error;
}
