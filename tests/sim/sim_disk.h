/* sim_disk.h - a disk in memory whose power can be cut at any moment: what was not synced is kept, lost or torn then, as
 * a seed has it.
 *
 * A file has bytes that everybody reads, and bytes that lie on the disk for good. A range of SIM_SECTOR bytes that was
 * written since the last sync may be either when the power comes back, or some of both. Its length may be any that it
 * had meanwhile, so that it may outrun its data: there are zeros then. A name that was made, moved or removed is so for
 * good when its directory was synced; before that any of these changes may have reached the disk, and others not. A
 * sync that fails loses what it was for: the kernel takes such pages for clean.
 *
 * Every call asks `yield` first, so that others may run while somebody waits for the disk, and the power may go there. */
#ifndef KEVY_TESTS_SIM_DISK_H
#define KEVY_TESTS_SIM_DISK_H

#include <stdbool.h>

#include "server/journal/disk.h"
#include "tests/check.h"

enum {
    SIM_SECTOR = 512,
    SIM_FILES = 256, /* that were made since the disk was new */
    SIM_NAMES = 48,
    SIM_OPEN = 16,
    SIM_PATH = 96,
    SIM_CHANGES = 64, /* of names, that were not synced yet */
    SIM_FILE_MAX = 16 << 20,
};

/* What the disk, or the caller by way of it, does wrong: a test that does not notice is no test. */
enum sim_lie {
    LIE_NOTHING,
    LIE_SYNC,           /* a sync of a file does nothing */
    LIE_SYNC_DIRECTORY, /* one of a directory does nothing */
    LIE_TRUNCATE,       /* nothing is cut off */
    LIE_SYNC_LATE,      /* a file is synced when a directory is, behind its renaming */
};

struct sim_file {
    char *data, *durable; /* of `capacity` each */
    unsigned char *sectors;
    size_t len, durable_len, capacity;
    size_t shortest, longest; /* that it was since the last sync */
    bool sync_owed;           /* LIE_SYNC_LATE */
};

/* A directory is a name without a file. */
enum { SIM_NO_FILE = -1, SIM_DIRECTORY = -2 };

struct sim_name {
    char path[SIM_PATH]; /* "": none */
    int file;            /* of files, or SIM_DIRECTORY */
};

/* A name that is no longer, one that is new, or both at once. */
struct sim_change {
    struct sim_name gone, come;
};

struct sim_faults {
    unsigned write_in, sync_in, directory_in, open_in, truncate_in; /* one call in so many fails; 0: none */
    size_t room;                                                    /* bytes that may still be written */
    size_t piece; /* bytes that a call reads or writes at most; 0: all */
};

struct sim_disk {
    struct disk disk;
    unsigned long long random;
    struct sim_faults faults;
    enum sim_lie lie;
    const char *lie_about;        /* only of paths that have this in them; NULL: all */
    void (*yield)(void *context); /* before each call that changes something, and within each sync; or NULL */
    void *context;
    unsigned calls;
    bool traced; /* they are printed */
    struct sim_file files[SIM_FILES];
    unsigned file_count;
    struct sim_name names[SIM_NAMES], durable_names[SIM_NAMES];
    struct sim_change changes[SIM_CHANGES];
    unsigned change_count;
    struct {
        int file; /* of files, or SIM_NO_FILE */
        bool reads;
        size_t at;
        char path[SIM_PATH];
    } open[SIM_OPEN];
};

/* An empty disk, which may be one that was used before: its memory is used again. The first time it is zeroed. */
void sim_disk_new(struct sim_disk *disk, unsigned long long seed);
void sim_disk_free(struct sim_disk *disk);

/* What `disk` holds if the power is cut now, by the dice of `after`, which was made by sim_disk_new. */
void sim_disk_cut(const struct sim_disk *disk, struct sim_disk *after);

/* The same where the process is killed and the power stays: all that was written, and on
 * the disk only what was there before. */
void sim_disk_copy(const struct sim_disk *disk, struct sim_disk *after);

/* What a file reads as; NULL: there is none of this name. */
struct bytes sim_disk_contents(const struct sim_disk *disk, const char *path);
/* Puts a file there, for good. */
void sim_disk_put(struct sim_disk *disk, const char *path, struct bytes bytes);
/* The same with a directory. */
void sim_disk_make_directory(struct sim_disk *disk, const char *path);
/* All that there is, in lines, for whoever looks for what went wrong. */
void sim_disk_show(const struct sim_disk *disk, FILE *out);

#endif
