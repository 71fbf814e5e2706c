/* killed.c - linked into kevy_killed, the server's own objects: its files are the kernel's until the step at which the
 * process is killed. Which step that is, a test says while the server runs, by the file that $KEVY_KILLED names:
 *
 *     left     the so many-th step from now on kills; 0: none
 *     steps    that were done since the start
 *     at       which of the calls below killed, as a number from 1 on
 *     rare     not 0: what is done all the time, to an incremental file that is there, is not counted
 *     full     not 0: the disk has no room for anything that is written
 *     path     of which file
 *
 * Every change of a file is a step, and so is the middle of each write. What a process that is killed has done is done:
 * the kernel has it. (That the power goes is for tests/sim.) */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "server/journal/disk.h"
#include "tests/control_file.h"

enum call {
    OPENS = 1,
    WRITES,
    WRITES_HALF,
    SYNCS,
    TRUNCATES,
    RENAMES,
    UNLINKS,
    MAKES_DIRECTORY,
    SYNCS_DIRECTORY,
    PADS,
    PADS_HALF
};

enum { PATH_SIZE = 240, FILES_MAX = 1024 };

struct control {
    _Atomic uint32_t left, steps;
    uint32_t at, rare;
    _Atomic uint32_t full;
    char path[PATH_SIZE];
};

static struct control nothing, *control = &nothing;
static struct disk kernel;
/* Of files that are open, by their number, which goes from a thread that closes one to a thread that opens another. */
static char paths[FILES_MAX][PATH_SIZE];
static pthread_mutex_t paths_mutex = PTHREAD_MUTEX_INITIALIZER;

static bool is_rare(enum call call, const char *path) {
    bool changes = call == WRITES || call == WRITES_HALF || call == SYNCS || call == PADS ||
                   call == PADS_HALF;
    return !changes || !strstr(path, ".incr.aof");
}

static void step(enum call call, const char *path) {
    atomic_fetch_add(&control->steps, 1);
    if (control->rare && !is_rare(call, path)) return;
    uint32_t left = atomic_load(&control->left);
    while (left > 0 && !atomic_compare_exchange_weak(&control->left, &left, left - 1)) {
    }
    if (left != 1) return;
    control->at = call;
    snprintf(control->path, sizeof control->path, "%s", path);
    raise(SIGKILL);
}

/* Good until the thread's next call. */
static const char *path_of(int file) {
    static _Thread_local char path[PATH_SIZE];
    if (file < 0 || file >= FILES_MAX) return "";
    pthread_mutex_lock(&paths_mutex);
    memcpy(path, paths[file], PATH_SIZE);
    pthread_mutex_unlock(&paths_mutex);
    return path;
}

static int step_open(struct disk *disk, const char *path, enum disk_mode mode) {
    if (mode != DISK_READ) step(OPENS, path);
    int file = kernel.open(&kernel, path, mode);
    if (file < 0 || file >= FILES_MAX) return file;
    pthread_mutex_lock(&paths_mutex);
    snprintf(paths[file], PATH_SIZE, "%s", path);
    pthread_mutex_unlock(&paths_mutex);
    return file;
}

static ssize_t step_write(struct disk *disk, int file, const void *data, size_t len) {
    step(WRITES, path_of(file));
    if (control->full) return -ENOSPC;
    if (len < 2) return kernel.write(&kernel, file, data, len);
    ssize_t half = kernel.write(&kernel, file, data, len / 2);
    if (half < 0) return half;
    step(WRITES_HALF, path_of(file));
    ssize_t rest = kernel.write(&kernel, file, (const char *)data + half, len - (size_t)half);
    return rest < 0 ? half : half + rest;
}

/* In two, of which one may be all that was done. */
static int step_pad(struct disk *disk, int file, uint64_t from, uint64_t to, char with) {
    step(PADS, path_of(file));
    if (control->full) return -ENOSPC;
    int error = kernel.pad(&kernel, file, from, from + (to - from) / 2, with);
    if (error) return error;
    step(PADS_HALF, path_of(file));
    return kernel.pad(&kernel, file, from, to, with);
}

static int step_sync(struct disk *disk, int file) {
    step(SYNCS, path_of(file));
    return kernel.sync(&kernel, file);
}

static int step_truncate(struct disk *disk, int file, uint64_t len) {
    step(TRUNCATES, path_of(file));
    return kernel.truncate(&kernel, file, len);
}

static int step_rename(struct disk *disk, const char *from, const char *to) {
    step(RENAMES, to);
    return kernel.rename(&kernel, from, to);
}

static int step_unlink(struct disk *disk, const char *path) {
    step(UNLINKS, path);
    return kernel.unlink(&kernel, path);
}

static int step_make_directory(struct disk *disk, const char *path) {
    step(MAKES_DIRECTORY, path);
    return kernel.make_directory(&kernel, path);
}

static int step_sync_directory(struct disk *disk, const char *path) {
    step(SYNCS_DIRECTORY, path);
    return kernel.sync_directory(&kernel, path);
}

__attribute__((constructor)) static void control_open(void) {
    struct control *mapped = control_file_map("KEVY_KILLED", sizeof *mapped);
    if (!mapped) return;
    control = mapped;
    kernel = disk_kernel;
    disk_kernel.open = step_open;
    disk_kernel.write = step_write;
    disk_kernel.pad = step_pad;
    disk_kernel.sync = step_sync;
    disk_kernel.truncate = step_truncate;
    disk_kernel.rename = step_rename;
    disk_kernel.unlink = step_unlink;
    disk_kernel.make_directory = step_make_directory;
    disk_kernel.sync_directory = step_sync_directory;
}
