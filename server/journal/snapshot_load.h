/* snapshot_load.h - an RDB file into the keyspace, or looked at without changing anything. */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_LOAD_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/journal/disk.h"

enum { SNAPSHOT_WHY_SIZE = 512 };

struct snapshot_load {
    struct disk *disk;
    const char *name;   /* of the file, in the working directory */
    bool summed;        /* the checksum is compared, where the file has one */
    bool replaces;      /* keys that are there already are replaced; else such a file is refused */
    bool shared;        /* shards serve meanwhile: stripes are locked for a moment each, else they all are */
    bool keeps_expired; /* they are loaded: what comes behind the file deletes them, or makes them last */
    bool only_looks;    /* at every value; nothing stays, and keys that come twice are not noticed */
    int64_t now_ms;     /* Unix time: keys whose time has come are left out */
    uint64_t *work;     /* atomic: grows while it goes on; or NULL */
    /* Called for every piece of the file that is read, and for every key where there are delays; or NULL. */
    void (*progress)(const struct snapshot_load *load);
    /* What became of it, and of it until now. */
    uint64_t keys, expired,
        empty; /* that are there now; that were left out; collections of nothing, which are left out */
    uint64_t taken, size;        /* bytes of the file */
    int64_t created_s;           /* Unix time, as the file says; 0: it does not say */
    uint64_t used_memory;        /* of the server that wrote it, in bytes, as the file says; 0: it does not */
    char version[32];            /* of the server that wrote it, as the file says, or "" */
    char why[SNAPSHOT_WHY_SIZE]; /* it could not be loaded: "FILE: offset N: key \"K\": ..." */
};

enum snapshot_loaded {
    SNAPSHOT_LOADED,
    SNAPSHOT_ABSENT, /* there is no such file */
    SNAPSHOT_FAILED, /* `why` says it. What came before the fault is in the keyspace */
};

/* All stripes are held, or there are no threads to use them, or it is `shared`. Takes 400 KiB of memory beside what is
 * loaded, and 600 KiB more for each further thread that loads; a string in the file takes memory as its bytes come. */
enum snapshot_loaded snapshot_load_run(struct snapshot_load *load);

#endif
