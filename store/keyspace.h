/* keyspace.h - one stripe of the data: its slice of every database, and all that looks after it. Changes of entries are
 * in change.h.
 *
 * No I/O, no threads, no clock, no globals: time and randomness are arguments, and whoever calls holds the
 * stripe's lock. A keyspace owns an arena of memory, a table and an expiry wheel per database (made on first
 * use), and the graveyard of flushed tables and of dead objects that keyspace_upkeep buries a bounded handful at a time.
 *
 * Pointers to entries stay valid until the next call that may change the keyspace; calls that may move an
 * entry return where it is now. Functions that need memory return NULL or false without it and leave
 * everything as it was.
 *
 * Expired entries are still here until somebody deletes them: callers ask entry_expired first (the server
 * does so in one place, call_find).
 *
 * Invariants:
 *   1. An entry of a table with an expiry record is in its database's wheel; `expiring` counts those whose keys
 *      expire: of a timed entry that may be its elements alone.
 *   2. No wheel has anything due before next_expiry_ms.
 *   3. block_bytes is what the blocks of all entries take, shared ones counted once for each entry; a keyspace
 *      without entries and graves takes no memory. */
#ifndef KEVY_STORE_KEYSPACE_H
#define KEVY_STORE_KEYSPACE_H

#include <stdint.h>

#include "store/index/entry.h"
#include "store/index/expiry.h"
#include "store/index/table.h"
#include "store/memory/memory.h"
#include "store/values/hash.h"
#include "store/values/type.h"

struct keyspace; /* the layout is at the end, for the inline lookups alone */

struct keyspace_options {
    const struct hash_seed *seed; /* borrowed, outlives the keyspace */
    unsigned databases;           /* 1..KEYSPACE_MAX_DATABASES */
    size_t arena_bytes;           /* address space to reserve for small objects at most; 0: 32 GiB */
    unsigned mapped_blocks;       /* mappings for blocks of 1 to 32 MiB at most; 0: KEYSPACE_MAPPED_BLOCKS */
    const struct type *const *types; /* TYPES rows, borrowed; NULL: type_rows */
    struct heap *heap;               /* for large values with elements, borrowed; NULL: there will be none */
};

enum {
    KEYSPACE_MAX_DATABASES = 1024,
    /* Values that may be mappings, of all of a process's keyspaces together: the kernel gives it 65,530, and one that
     * has used them up can hardly allocate any more. */
    KEYSPACE_MAPPED_BLOCKS = 16384,
};

/* A key and its hash_bytes under the keyspace's seed. */
struct key {
    struct bytes name;
    uint64_t hash;
};

struct keyspace *keyspace_new(const struct keyspace_options *options);
void keyspace_free(struct keyspace *ks); /* NULL: nothing */

/* ---- Looking -------------------------------------------------------------------------------------- */

/* The two stages of a prefetched lookup over a batch: first every bucket, then (the buckets being there)
 * every entry. They alone need not hold the lock: what they see may be gone, they only ask for it. */
static inline const struct bucket *keyspace_prefetch_bucket(const struct keyspace *ks, unsigned db,
                                                            uint64_t hash);
static inline void keyspace_prefetch_entry(const struct keyspace *ks, const struct bucket *bucket,
                                           uint64_t hash);

/* The entry, expired or not; NULL if there is none. */
static inline struct entry *keyspace_find(const struct keyspace *ks, unsigned db, struct key key);
/* What it is made of: a short look, which calls nothing and finds nearly all that there is (table_glimpse), and
 * a whole one. */
static inline struct entry *keyspace_glimpse(const struct keyspace *ks, unsigned db, struct key key,
                                             bool *absent);
struct entry *keyspace_search(const struct keyspace *ks, unsigned db, struct key key);

/* Entries, expired ones included; and those of them whose key has an expiry. */
static inline uint64_t keyspace_count(const struct keyspace *ks, unsigned db);
uint64_t keyspace_count_expiring(const struct keyspace *ks, unsigned db);
/* The times, in Unix ms, at which the keys of those expire, all together. */
unsigned __int128 keyspace_expiry_sum(const struct keyspace *ks, unsigned db);
/* Entries whose elements may expire by themselves. */
static inline uint64_t keyspace_count_timed(const struct keyspace *ks, unsigned db);
/* Bytes that entries, their blocks and tables take, rounding to size classes included. It falls with every
 * deletion, also where the memory is kept for the next entry. Objects are counted where their types allocate. */
uint64_t keyspace_memory(const struct keyspace *ks);
/* Bytes that one entry takes: its slab object, its share of a bucket, its block or object. */
size_t keyspace_entry_memory(const struct keyspace *ks, const struct entry *e);

/* The row of an entry's type. */
static inline const struct type *keyspace_type(const struct keyspace *ks, const struct entry *e);

/* Mixes an entry's type and value into a digest, and that it expires if it does. */
void keyspace_digest_entry(struct digest *digest, const struct keyspace *ks, const struct entry *e);
/* Joins all entries of a database to a digest, expired ones included. The digest of a dataset begins with zeroes; then, for
 * every database that is not empty, in ascending order, its number is mixed in, and all of its entries are joined. */
void keyspace_digest(struct digest *digest, const struct keyspace *ks, unsigned db);

/* One step of a full iteration: calls `each` for the entries of one bucket, returns the next cursor, 0 at the
 * end. Start with 0. Every entry present throughout is seen at least once, also while the table grows and
 * shrinks between steps. `each` must not change the keyspace. */
uint64_t keyspace_scan(const struct keyspace *ks, unsigned db, uint64_t cursor,
                       void (*each)(void *context, struct entry *e), void *context);
/* Any entry, about uniformly, from 64 random bits; NULL if the database is empty. */
struct entry *keyspace_random(const struct keyspace *ks, unsigned db, uint64_t random);

/* ---- Whole databases ------------------------------------------------------------------------------ */

/* Empties a database at once; the memory comes back over later calls of keyspace_upkeep, once a snapshot that is under way
 * has seen the entries. */
void keyspace_flush(struct keyspace *ks, unsigned db);
void keyspace_swap(struct keyspace *ks, unsigned a, unsigned b);

/* ---- Upkeep --------------------------------------------------------------------------------------- */

enum expired_kind {
    EXPIRED_KEY,
    EXPIRED_ELEMENT,  /* the one with this name */
    EXPIRED_ELEMENTS, /* those that were told of; the key stays */
    EXPIRED_LAST,     /* all elements that there are, and so the key */
};
struct expired {
    enum expired_kind kind;
    unsigned db;
    const struct entry *entry; /* of the key */
    struct bytes name;         /* of the element that is told of, or empty */
};
/* Who is told of what expires, before it goes: the entry is still readable, and the keyspace must not be changed. */
typedef void keyspace_expired(void *context, const struct expired *what);

/* Deletes at most `budget` entries and elements whose expiry is <= now_ms. Returns how many. Entries of a distant time are
 * sorted on the way, a bounded number a call: more is due when keyspace_next_expiry is not later than now_ms. */
unsigned keyspace_expire(struct keyspace *ks, int64_t now_ms, unsigned budget, keyspace_expired *expired,
                         void *context);
/* What is left to do of it, at what time, and who is told. */
struct expiry_round {
    int64_t now_ms;
    unsigned budget;           /* entries and elements that may still be deleted */
    keyspace_expired *expired; /* or NULL */
    void *context;
};
/* The same for the elements of one entry whose key has not expired. The entry may move; NULL: it went with them, at once
 * whatever the budget, which is counted down. */
struct entry *keyspace_expire_elements(struct keyspace *ks, unsigned db, struct entry *e,
                                       struct expiry_round *round);
/* Has the time of the key come, or that of all its elements? Then it is as good as gone. */
bool keyspace_is_over(const struct entry *e, int64_t now_ms);
/* No entry expires before this: exact enough to sleep until. INT64_MAX: none expires. */
static inline int64_t keyspace_next_expiry(const struct keyspace *ks);

/* Frees flushed tables and dead objects, shrinks sparse tables and returns unused pages to the kernel, about `budget`
 * entries, parts of objects or buckets. True while more is left to do: then the caller comes again soon. */
bool keyspace_upkeep(struct keyspace *ks, unsigned budget);

/* A change of this key's object has left something to do in a part of it, which shows nowhere: keyspace_upkeep has the type
 * do it (`tend` of its row). It is forgotten where the key gets another name, or there is no memory to note it: so it may be
 * left undone. Both names are copied. */
void keyspace_put_off(struct keyspace *ks, unsigned db, struct key key, struct bytes part);

/* Entries of flushed databases, and dead objects, that keyspace_upkeep has not freed yet. */
static inline uint64_t keyspace_buried(const struct keyspace *ks);

/* Has an expiry, or something for keyspace_upkeep, become due earlier than keyspace_take_news said last? Asked
 * after every change, by whoever must see to it that upkeep takes place. */
static inline bool keyspace_news(const struct keyspace *ks);
/* When the keyspace is to be looked at next: INT64_MAX for never. What keyspace_upkeep is to free has no time of its
 * own: it gets tidy_ms when this is first asked. keyspace_news says no until something earlier comes. */
int64_t keyspace_take_news(struct keyspace *ks, int64_t tidy_ms);

/* Has keyspace_news say yes, for whoever is to be asked something else before the stripe is given back. */
static inline void keyspace_call_back(struct keyspace *ks);

/* ---- Layout --------------------------------------------------------------------------------------- */

struct keyspace_database {
    struct table table;
    uint64_t expiring;
    struct expiry *wheel; /* in the slab; made with the first expiry */
    uint32_t timed;       /* entries whose elements may expire by themselves */
};
_Static_assert(sizeof(struct keyspace_database) <= 64, "an unused database is a cache line");

/* What every request reads of it is one cache line, and the table of a database is another. */
struct keyspace {
    bool news;              /* next_expiry_ms or tidy_ms was lowered */
    uint8_t stamp;          /* of what is made now (entry.h) */
    uint8_t stamps;         /* that entries may have besides it: snapshots that did not get to their ends */
    int mappings_left;      /* for blocks that are mappings; below 0 where some had to be */
    int64_t next_expiry_ms; /* a lower bound over all wheels */
    struct keyspace_snapshot *snapshot; /* NULL: none is under way (snapshot.h) */
    struct heap *heap;
    const struct type *const *types;
    const struct hash_seed *seed;
    struct slab slab;               /* lookups need its first word, and no more */
    struct table_directory *graves; /* flushed tables, to be taken apart */
    uint64_t buried;                /* entries in these */
    struct dead dead;               /* objects, to be taken apart */
    struct put_off *put_off;        /* keys whose objects are to be tended */
    uint64_t block_bytes;
    int64_t tidy_ms; /* when keyspace_upkeep is to come: INT64_MAX while there is nothing for it to free */
    int64_t now_ms;  /* the latest that keyspace_expire was told: where new wheels begin */
    uint16_t expire_from; /* the database that keyspace_expire looks at first */
    uint16_t databases;
    void *memory; /* that was allocated: it begins at the first whole line in there */
    struct keyspace_database db[] __attribute__((aligned(64)));
};
_Static_assert(offsetof(struct keyspace, slab.arena.base) < 64, "what lookups need is one line");

static inline const struct bucket *keyspace_prefetch_bucket(const struct keyspace *ks, unsigned db,
                                                            uint64_t hash) {
    return table_prefetch_bucket(&ks->db[db].table, hash);
}

static inline void keyspace_prefetch_entry(const struct keyspace *ks, const struct bucket *bucket,
                                           uint64_t hash) {
    table_prefetch_entry(bucket, &ks->slab, hash);
}

static inline __attribute__((always_inline)) struct entry *
keyspace_glimpse(const struct keyspace *ks, unsigned db, struct key key, bool *absent) {
    debug_assert(db < ks->databases && key.hash == hash_bytes(ks->seed, key.name));
    return table_glimpse(&ks->db[db].table, &ks->slab, key.name, key.hash, absent);
}

static inline struct entry *keyspace_find(const struct keyspace *ks, unsigned db, struct key key) {
    bool absent;
    struct entry *e = keyspace_glimpse(ks, db, key, &absent);
    return __builtin_expect(e || absent, 1) ? e : keyspace_search(ks, db, key);
}

static inline uint64_t keyspace_buried(const struct keyspace *ks) {
    return ks->buried + ks->dead.count;
}

static inline const struct type *keyspace_type(const struct keyspace *ks, const struct entry *e) {
    const struct type *type = ks->types[entry_type(e)];
    assert(type && type->number == entry_type(e));
    return type;
}

static inline uint64_t keyspace_count(const struct keyspace *ks, unsigned db) {
    return ks->db[db].table.entries;
}

static inline uint64_t keyspace_count_timed(const struct keyspace *ks, unsigned db) {
    return ks->db[db].timed;
}

static inline int64_t keyspace_next_expiry(const struct keyspace *ks) {
    return ks->next_expiry_ms;
}

static inline bool keyspace_news(const struct keyspace *ks) {
    return ks->news;
}

static inline void keyspace_call_back(struct keyspace *ks) {
    ks->news = true;
}

/* Is there anything for keyspace_upkeep to free? */
static inline bool keyspace_has_garbage(const struct keyspace *ks) {
    return ((uintptr_t)ks->graves | (uintptr_t)ks->dead.first | (uintptr_t)ks->dead.nodes.first |
            (uintptr_t)ks->put_off | ks->slab.arena.resident) != 0;
}
/* After a change that may have freed memory or killed an object: frees a part at once, and sees to it that somebody comes
 * for the rest. Most often there is nothing. */
void keyspace_garbage(struct keyspace *ks);
static inline void keyspace_note_garbage(struct keyspace *ks) {
    if (__builtin_expect(keyspace_has_garbage(ks), 0)) keyspace_garbage(ks);
}
/* The same after a change of a tree, which may have left nodes to free, or chunks of the heap without any. */
static inline void keyspace_note_nodes(struct keyspace *ks) {
    if (ks->dead.nodes.first || heap_has_empty(ks->heap)) keyspace_garbage(ks);
}

#endif
