/* load_keys.h - keys of an RDB file, with their values, into their stripes: the part of a load that several threads do at
 * once.
 *
 * Each has a struct of its own. What they share does not change while they run. */
#ifndef KEVY_SERVER_JOURNAL_LOAD_KEYS_H
#define KEVY_SERVER_JOURNAL_LOAD_KEYS_H

#include "server/journal/snapshot_load.h"
#include "server/stripes/stripes.h"
#include "store/rdb/file.h"

/* What goes wrong in a file, and where. */
struct load_fault {
    uint64_t at;                 /* in the file */
    char why[SNAPSHOT_WHY_SIZE]; /* "": there was none */
};

/* Keys that are loaded together: those of one stripe one after another, while it is held. */
enum { LOAD_BATCH_MOST = 4096 };
struct load_batch {
    unsigned count;
    struct {
        uint64_t hash;
        uint32_t at;                 /* where it begins in the bytes */
    } keys[LOAD_BATCH_MOST];         /* as they stand there */
    uint16_t order[LOAD_BATCH_MOST]; /* of these: by stripes, and as they stand there */
    uint16_t ends[MAX_STRIPES];      /* in `order`, of each stripe's */
};

struct load_keys {
    const struct snapshot_load *load;   /* what is asked for: shared, replaces, only_looks, now_ms, name */
    const struct load_options *options; /* of every stripe */
    struct rdb_file_reader reader;
    struct bytes *input; /* where the reader is */
    /* Reads on: the input is what was left of it, and more. False: there is no more, or it cannot be had, of which load_fail
     * has told. `begin` and `key`: of what is being read. */
    bool (*more)(struct load_keys *keys, uint64_t begin, bool key);
    void *context;            /* of `more` */
    struct stripe *stripe;    /* of the key that is being loaded; NULL: none is held */
    struct load_batch *batch; /* the caller's: load_all_keys writes to it */
    struct loading loading;
    /* What became of it. */
    uint64_t keys, expired, empty;
    struct load_fault fault;
};

/* The fault that was told first is kept. `key`: it is that of a key, which was read. Always false. */
bool load_fail(struct load_keys *keys, uint64_t offset, bool key, const char *why);

/* The value of a key that was read (RDB_FILE_KEY). False where load_fail has told of a fault. */
bool load_key(struct load_keys *keys);
/* All keys of these bytes, which rdb_file_skip has found whole; `reader` is at their beginning (rdb_file_begin_at). Only
 * those of one stripe are loaded in the order of the file. False where there was a fault: of several the first in the
 * file, and some of what is behind it may be loaded. */
bool load_all_keys(struct load_keys *keys, struct bytes bytes);

#endif
