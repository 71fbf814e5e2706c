/* load.h - a value that is being made from what DUMP or an RDB file has of it, by whatever type it turns out to be.
 *
 *     load_begin(&loading, &options, type, version);
 *     load_more(&loading, &input)                    until it is no longer LOAD_MORE, with more input each time
 *     ... keyspace_set(ks, db, key, &loading.value, expiry) ...
 *     load_end(&loading);                            always */
#ifndef KEVY_STORE_VALUES_LOAD_H
#define KEVY_STORE_VALUES_LOAD_H

#include "store/rdb/reader.h"
#include "store/values/gather.h"
#include "store/values/tree.h"
#include "store/values/type.h"

struct stream_group;    /* store/types/stream_groups.h */
struct stream_producer; /* store/types/stream_producers.h */

/* Redis's thresholds: what has more elements, or a longer one, gets the mark `edited`. */
struct load_threshold {
    uint64_t elements, len;
};

struct load_options {
    const struct type *const *types; /* TYPES rows; NULL: type_rows */
    struct tree_context context;     /* for large values */
    struct dead *dead;               /* takes what cannot be finished; context's graves are its nodes */
    struct load_threshold thresholds[TYPES];
    uint64_t max_bytes; /* a longer string, as a value or in one, is refused */
    bool whole;         /* all input is there at once: what is missing then will not come */
};

enum loaded {
    LOAD_DONE,      /* `value` is whole; what follows was left in the input */
    LOAD_MORE,      /* it takes more than there was; what was left is to be there again, before the rest */
    LOAD_EMPTY,     /* a collection without elements, which files may have, and payloads may not */
    LOAD_CORRUPT,   /* no value is like this, or it passes a limit */
    LOAD_UNKNOWN,   /* of a type that is not there */
    LOAD_NO_MEMORY, /* it cannot be loaded on */
};

enum { LOAD_PACK_MAX = 4072 }; /* bytes of small values */

struct loading {
    struct rdb_loader loader;
    struct rdb_reader reader;
    const struct load_options *options; /* borrowed */
    const struct type *type;            /* NULL until it is known */
    struct value value;                 /* what it is so far; inline bytes lie in `bytes` */
    char bytes[LOAD_PACK_MAX];
    struct gather gather;       /* of a large set or hash: elements that are not in its tree yet */
    enum loaded opened;         /* what the type byte said */
    struct stream_group *group; /* of a stream: the group that came last, and its consumer that did */
    uint32_t consumer;
    struct stream_producer *producer; /* of a stream: the one that came last */
    bool
        packed; /* as one string of a hash or sorted set: of such a one Redis looks at the count alone, not at lengths */
};

/* `options` outlives it. */
void load_begin(struct loading *loading, const struct load_options *options, unsigned type, unsigned version);
enum loaded load_more(struct loading *loading, struct bytes *input);
/* Gives everything back, the reference of `value` as well. */
void load_end(struct loading *loading);

/* For types: what was gathered goes into the tree of the value. */
enum rdb_answer load_pour(struct loading *loading, struct tree *tree);
/* The same after the last element: the tree is as it will stay. */
enum rdb_answer load_fit(struct loading *loading, struct tree *tree);

#endif
