/* disk.c - files by system calls. */
#include "server/journal/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/assert.h"

enum {
    AT_ONCE = 1 << 30,     /* bytes: a call writes 2 GiB less a page at most */
    PAD_AT_ONCE = 16 << 10 /* on the stack */
};

static int result_of(int64_t result) {
    return result < 0 ? -errno : (int)result;
}

static int file_open(struct disk *disk, const char *path, enum disk_mode mode) {
    static const int flags_of[] = {
        [DISK_READ] = O_RDONLY, [DISK_CREATE] = O_WRONLY | O_CREAT | O_TRUNC, [DISK_CHANGE] = O_WRONLY};
    int file;
    do file = open(path, flags_of[mode] | O_CLOEXEC, 0644);
    while (file < 0 && errno == EINTR);
    return result_of(file);
}

/* After EINTR too the descriptor is closed, and may be another's. */
static int file_close(struct disk *disk, int file) {
    assert(file >= 0);
    return close(file) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t file_read(struct disk *disk, int file, void *data, size_t len) {
    ssize_t got;
    assert(len > 0);
    do got = read(file, data, len < AT_ONCE ? len : AT_ONCE);
    while (got < 0 && errno == EINTR);
    return result_of(got);
}

static ssize_t file_write(struct disk *disk, int file, const void *data, size_t len) {
    ssize_t got;
    assert(len > 0);
    do got = write(file, data, len < AT_ONCE ? len : AT_ONCE);
    while (got < 0 && errno == EINTR);
    return got == 0 ? -ENOSPC : result_of(got);
}

static int file_pad(struct disk *disk, int file, uint64_t from, uint64_t to, char with) {
    char bytes[PAD_AT_ONCE];
    assert(from <= to && to <= INT64_MAX);
    while (from < to) {
        size_t len = to - from < sizeof bytes ? (size_t)(to - from) : sizeof bytes;
        memset(bytes, with, len);
        for (size_t i = (DISK_LINE_ENDS - from) % DISK_SECTOR; i < len; i += DISK_SECTOR) bytes[i] = '\n';
        if (from + len == to) bytes[len - 1] = '\n';
        ssize_t wrote = pwrite(file, bytes, len, (off_t)from);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return wrote == 0 ? -ENOSPC : -errno;
        from += (uint64_t)wrote;
    }
    return 0;
}

static int file_truncate(struct disk *disk, int file, uint64_t len) {
    int result;
    do result = ftruncate(file, (off_t)len);
    while (result < 0 && errno == EINTR);
    if (result == 0) result = lseek(file, (off_t)len, SEEK_SET) < 0 ? -1 : 0;
    return result_of(result);
}

/* Data and length are synced; when the file was changed nobody asks. */
static int file_sync(struct disk *disk, int file) {
    int result;
    do result = fdatasync(file);
    while (result < 0 && errno == EINTR);
    return result_of(result);
}

static int64_t file_size(struct disk *disk, int file) {
    struct stat status;
    if (fstat(file, &status) < 0) return -errno;
    if (S_ISDIR(status.st_mode)) return -EISDIR;
    return S_ISREG(status.st_mode) ? (int64_t)status.st_size : -EINVAL;
}

static int file_rename(struct disk *disk, const char *from, const char *to) {
    return result_of(rename(from, to));
}

static int file_unlink(struct disk *disk, const char *path) {
    return result_of(unlink(path));
}

static int directory_make(struct disk *disk, const char *path) {
    return result_of(mkdir(path, 0755));
}

static int directory_list(struct disk *disk, const char *path, void (*each)(void *context, const char *name),
                          void *context) {
    DIR *directory = opendir(path);
    if (!directory) return -errno;
    struct dirent *found;
    while (errno = 0, (found = readdir(directory)))
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0) each(context, found->d_name);
    int error = errno;
    closedir(directory);
    return -error;
}

/* Some file systems know no such thing for directories, and say so. One that may be entered, and not read, cannot be opened:
 * then everything is synced that there is, for which nobody has to be asked. */
static int directory_sync(struct disk *disk, const char *path) {
    int file, result;
    do file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    if (file < 0 && errno == EACCES && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0) {
        sync();
        return 0;
    }
    if (file < 0) return -errno;
    do result = fsync(file);
    while (result < 0 && errno == EINTR);
    result = result_of(result);
    close(file);
    return result == -EINVAL ? 0 : result;
}

int disk_write_whole(struct disk *disk, int file, struct bytes bytes) {
    while (bytes.len) {
        ssize_t wrote = disk->write(disk, file, bytes.data, bytes.len);
        if (wrote < 0) return (int)wrote;
        assert(wrote > 0 && (size_t)wrote <= bytes.len);
        bytes = (struct bytes){bytes.data + wrote, bytes.len - (size_t)wrote};
    }
    return 0;
}

struct disk disk_kernel = {.open = file_open,
                           .close = file_close,
                           .read = file_read,
                           .write = file_write,
                           .pad = file_pad,
                           .sync = file_sync,
                           .size = file_size,
                           .truncate = file_truncate,
                           .make_directory = directory_make,
                           .list = directory_list,
                           .rename = file_rename,
                           .unlink = file_unlink,
                           .sync_directory = directory_sync};
