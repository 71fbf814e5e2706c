/* aof_load.h - the data as append-only files have them: those that a manifest names, in its order, or one file of the
 * time before there were manifests.
 *
 * First it is found out which files there are, then each is looked at as a whole (aof_in.h) and run, and last is done
 * what changes the disk: what was torn off at the end is cut off, a single file gets a manifest and moves to the
 * others, history is deleted. So where something is wrong nothing was changed on the disk. */
#ifndef KEVY_SERVER_JOURNAL_AOF_LOAD_H
#define KEVY_SERVER_JOURNAL_AOF_LOAD_H

#include "server/journal/aof_in.h"
#include "server/journal/manifest.h"

enum { AOF_FAULT_SIZE = 1024 };

/* A part of a file, to be run. */
struct aof_part {
    struct disk *disk;
    const char *path;
    uint64_t begin, end; /* offsets: whole commands stand between them */
    uint64_t *work;      /* atomic: grows while it goes on; or NULL */
    /* Called about every megabyte; or NULL. */
    void (*progress)(const struct aof_part *part);
    void *context;
    /* What became of it. */
    uint64_t taken;    /* the offset up to which it was run */
    uint64_t commands; /* that were run */
    uint64_t
        refused; /* of these: they were answered with an error, as they may have been when they were recorded */
    uint64_t first_refused; /* the offset of the first of these */
    uint64_t fault;         /* the offset of the command that cannot be run */
    char why[AOF_WHY_SIZE]; /* why not */
};

/* Whoever runs commands: server/exec/replay.h, or a test. */
struct aof_runner {
    /* False: `fault` and `why` are set. */
    bool (*run)(struct aof_runner *runner, struct aof_part *part);
};

struct aof_load {
    struct disk *disk;
    struct manifest_place place; /* appenddirname and appendfilename */
    bool single; /* the file place.name, whatever else is there; nothing is changed on the disk */
    struct aof_runner *runner;
    int64_t now_ms;  /* Unix time */
    bool truncates;  /* aof-load-truncated: what is torn at the end is cut off, else such a file is refused */
    bool keeps_disk; /* nothing is changed on the disk: what is torn is told of, and left */
    bool only_looks; /* at all of it; the runner does so too */
    bool summed;     /* rdbchecksum */
    uint64_t *work;  /* atomic: grows while it goes on; or NULL */
    void (*progress)(const struct aof_load *load); /* called about every megabyte; or NULL */
    /* What became of it, and of it until now. */
    const char *file;     /* that is being loaded: its name in the directory */
    uint64_t taken, size; /* bytes of all files */
    uint64_t base_size;   /* of the base, or of the single file */
    uint64_t keys;        /* of RDB files */
    uint64_t commands;    /* that were run */
    uint64_t torn_at;     /* the offset at which the torn file ends, or was cut off */
    bool torn;
    bool drops;                       /* and so are all files behind it, which were begun in doubt of it */
    struct manifest manifest;         /* the files that there are now; manifest_free frees it */
    char last[MANIFEST_NAME_MAX + 1]; /* the torn file */
    char why[AOF_FAULT_SIZE];         /* it could not be loaded: "FILE: offset N: ..." */
};

enum aof_loaded {
    AOF_LOADED,
    AOF_ABSENT, /* there are no such files: the data are empty */
    AOF_FAILED, /* `why` says it. What came before the fault is in the keyspace */
};

/* Bytes of all files that would be loaded, for who wants to tell how far that has come; as far as it can be found out. */
uint64_t aof_size(struct disk *disk, const struct manifest_place *place);
/* No commands are served from the stripes. Logs what it does, in Redis's words where it has some. */
enum aof_loaded aof_load(struct aof_load *load);

/* What `keeps_disk` has left: the torn end is cut off and kept beside its file (aof_cut.h), and so is all of the files
 * behind that are dropped, the last one first. 0, or a negative errno: *failed says what could not be done. */
int aof_load_cut(const struct aof_load *load, const char **failed);

#endif
