/* table.h - key to entry: linear hashing (Litwin, 1980) over buckets of one cache line.
 *
 *      0                                                48                      60        64
 *      +------------------------------------------------+-----------------------+----------+
 *      | 12 handles of entries                          | 12 tags of 8 bits     | overflow |
 *      +------------------------------------------------+-----------------------+----------+
 *
 * A lookup touches the bucket and the entry, and no other memory: a slot whose tag (bits 48-55 of the hash,
 * never 0) differs is not followed. The table grows by splitting one bucket with an insertion and shrinks by
 * merging one with a deletion, in the order of their numbers; nothing is ever rehashed as a whole. What a
 * split needs is prefetched a few insertions ahead.
 *
 * Buckets lie in segments, each one chunk of the arena, whose pages appear as the buckets do; a directory of
 * pointers finds the segment. A bucket of more than 12 entries goes on in overflow buckets out of the slab.
 *
 * Invariants, with N = buckets:
 *   1. mask + 1 is the smallest power of two >= N, and N >= 1 as soon as there is a directory.
 *   2. An entry is in the chain of bucket hash & mask, or if that is >= N, of hash & mask / 2.
 *   3. A slot is empty exactly when its tag and its handle are 0; buckets at and beyond N are all zeroes.
 *   4. Only the last bucket of a chain has empty slots, and it is not empty unless it is the first. */
#ifndef KEVY_STORE_INDEX_TABLE_H
#define KEVY_STORE_INDEX_TABLE_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "store/index/entry.h"
#include "store/memory/memory.h"
#include "store/memory/slab.h"
#include "store/values/hash.h"

enum {
    TABLE_SLOTS = 12,
    TABLE_BUCKET_BYTES = 64,
    TABLE_SEGMENT_SHIFT = 10,
    TABLE_SEGMENT_BUCKETS = 1 << TABLE_SEGMENT_SHIFT,
    /* Twice the mean number of entries a bucket beyond which the table grows, below which it shrinks.
     * store/README.md has the figures behind the choice. */
    TABLE_GROW_LOAD_2 = 15,
    TABLE_SHRINK_LOAD_2 = 5,
};

struct bucket {
    uint32_t handles[TABLE_SLOTS];
    uint8_t tags[TABLE_SLOTS];
    uint32_t overflow; /* handle of the next bucket of the chain, or 0 */
} __attribute__((aligned(TABLE_BUCKET_BYTES)));
_Static_assert(sizeof(struct bucket) == TABLE_BUCKET_BYTES, "a bucket is a cache line");
_Static_assert(offsetof(struct bucket, tags) % 16 == 0 &&
                   offsetof(struct bucket, tags) + 16 == TABLE_BUCKET_BYTES,
               "tags and the overflow handle are one aligned load of 16 bytes");
_Static_assert(TABLE_SEGMENT_BUCKETS *TABLE_BUCKET_BYTES == ARENA_CHUNK_BYTES, "a segment is a chunk");
_Static_assert(TABLE_SHRINK_LOAD_2 * 2 < TABLE_GROW_LOAD_2, "a table that just shrank is far from growing");

struct table {
    struct table_directory *directory; /* NULL before the first insertion; written by table_publish alone */
    uint64_t mask;
    uint64_t buckets;
    uint64_t entries;
    uint32_t overflow_buckets;
};

/* Segments by number. `grave` is unused until the table is buried: then it holds all that is left of it, so
 * that burying allocates nothing. Its segments never name anything but chunks of the arena, and their count
 * never changes: so readers without a lock (table_prefetch_bucket) find either in any directory, however old. */
struct table_directory {
    struct slab_lasting lasting;
    struct {
        struct table_directory *next;
        struct table table;
        void *wheel;
        unsigned number; /* of its database, for whoever looks at it before it is decomposed, */
        uint64_t looked; /* and the buckets that he has looked at */
    } grave;
    uint64_t segment_mask; /* count of segments[] - 1, a power of two - 1 */
    struct bucket *segments[];
};
_Static_assert(offsetof(struct table_directory, lasting) == 0, "the head of lasting memory");

/* A place in a table: valid until the table changes. */
struct table_slot {
    struct bucket *bucket; /* NULL: no such entry */
    unsigned index;
};

static inline uint8_t table_tag(uint64_t hash) {
    uint8_t tag = (uint8_t)(hash >> HASH_TAG_SHIFT);
    return tag ? tag : 1;
}

/* Invariant 1, of a table that has a bucket: for assertions. */
static inline bool table_is_sane(const struct table *table) {
    return table->directory && table->buckets > 0 && (table->mask & (table->mask + 1)) == 0 &&
           table->mask + 1 >= table->buckets && (table->mask + 1) / 2 < table->buckets;
}

static inline uint64_t table_index(const struct table *table, uint64_t hash) {
    uint64_t index = hash & table->mask;
    return index < table->buckets ? index : index & table->mask >> 1;
}
static inline struct bucket *table_bucket_at(const struct table *table, uint64_t index) {
    debug_assert(index >> TABLE_SEGMENT_SHIFT <= table->directory->segment_mask);
    return &table->directory->segments[index >> TABLE_SEGMENT_SHIFT][index % TABLE_SEGMENT_BUCKETS];
}
/* The first bucket of the chain for this hash. The table must not be empty. */
static inline struct bucket *table_bucket(const struct table *table, uint64_t hash) {
    return table_bucket_at(table, table_index(table, hash));
}

static inline struct bucket *table_overflow(const struct slab *slab, const struct bucket *bucket) {
    return bucket->overflow ? arena_at(&slab->arena, bucket->overflow) : NULL;
}

/* A bit for every slot that has this tag; 0 asks for the empty ones. */
static inline __attribute__((always_inline)) unsigned table_match(const struct bucket *bucket, uint8_t tag) {
#ifdef __SSE2__
    const __m128i *at =
        (const __m128i *)(const void *)bucket->tags; /* and the overflow handle, masked out below */
    __m128i equal = _mm_cmpeq_epi8(_mm_load_si128(at), _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(equal) & ((1u << TABLE_SLOTS) - 1);
#else
    unsigned matches = 0;
    for (unsigned i = 0; i < TABLE_SLOTS; i++) matches |= (unsigned)(bucket->tags[i] == tag) << i;
    return matches;
#endif
}

static inline struct entry *table_entry(const struct slab *slab, struct table_slot slot) {
    debug_assert(slot.index < TABLE_SLOTS && slot.bucket->handles[slot.index] &&
                 slot.bucket->tags[slot.index]); /* 3 */
    return arena_at(&slab->arena, slot.bucket->handles[slot.index]);
}

/* ---- Prefetching, without the lock of whoever changes the table ---------------------------------- */

/* What another thread writes meanwhile is read here as it happens to be, each word once, which costs a useless
 * prefetch and no more: directories last and name nothing but chunks of the arena, chunks stay readable once
 * they were taken, and a handle read from one only becomes an address to prefetch, never one to read. So
 * nothing here may call a function that believes the table. */
#define TABLE_RACY            __attribute__((no_sanitize("thread")))
#define TABLE_READ_ONCE(word) (*(const volatile __typeof__(word) *)&(word))

/* The first bucket of the chain for this hash, or any other bytes of the arena; NULL if there are none. */
TABLE_RACY static inline const struct bucket *table_racy_bucket(const struct table *table, uint64_t hash) {
    const struct table_directory *directory = TABLE_READ_ONCE(table->directory);
    if (directory == NULL) return NULL;
    uint64_t mask = TABLE_READ_ONCE(table->mask), index = hash & mask;
    if (index >= TABLE_READ_ONCE(table->buckets)) index &= mask >> 1;
    uint64_t segment = index >> TABLE_SEGMENT_SHIFT & directory->segment_mask;
    const struct bucket *buckets = TABLE_READ_ONCE(directory->segments[segment]);
    return buckets ? &buckets[index % TABLE_SEGMENT_BUCKETS] : NULL;
}

TABLE_RACY static inline const struct bucket *table_prefetch_bucket(const struct table *table,
                                                                    uint64_t hash) {
    const struct bucket *bucket = table_racy_bucket(table, hash);
    if (bucket) memory_prefetch(bucket);
    return bucket;
}

/* `bucket` is what table_prefetch_bucket returned for this hash, however long ago. */
TABLE_RACY static inline void table_prefetch_entry(const struct bucket *bucket, const struct slab *slab,
                                                   uint64_t hash) {
    if (bucket == NULL) return;
    unsigned hits = table_match(bucket, table_tag(hash));
    /* An entry may lie across two lines: 40 bytes, as a key and a value of 16 take, end 39 behind their first. A second hit
     * is rare and left to the lookup. */
    const char *next = arena_at(&slab->arena, hits ? bucket->handles[__builtin_ctz(hits)] : bucket->overflow);
    memory_prefetch(next);
    if (hits) memory_prefetch(next + 39);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* The slot of a key. */
static inline __attribute__((always_inline)) struct table_slot
table_find(const struct table *table, const struct slab *slab, struct bytes name, uint64_t hash) {
    if (table->entries == 0) return (struct table_slot){0};
    debug_assert(table_is_sane(table));
    for (struct bucket *b = table_bucket(table, hash); b; b = table_overflow(slab, b))
        for (unsigned hits = table_match(b, table_tag(hash)); hits; hits &= hits - 1) {
            struct table_slot slot = {b, (unsigned)__builtin_ctz(hits)};
            if (entry_has_key(table_entry(slab, slot), name)) return slot;
        }
    return (struct table_slot){0};
}

/* The entry, where a short look finds it, without a call: its tag is the first of the first bucket that fits, and
 * its key is short, as nearly always. NULL: *absent says whether it is known that there is none. */
static inline __attribute__((always_inline)) struct entry *table_glimpse(const struct table *table,
                                                                         const struct slab *slab,
                                                                         struct bytes name, uint64_t hash,
                                                                         bool *absent) {
    *absent = table->entries == 0;
    if (*absent) return NULL;
    debug_assert(table_is_sane(table));
    struct bucket *b = table_bucket(table, hash);
    unsigned hits = table_match(b, table_tag(hash));
    *absent = hits == 0 && b->overflow == 0;
    if (hits == 0) return NULL;
    struct entry *e = table_entry(slab, (struct table_slot){b, (unsigned)__builtin_ctz(hits)});
    return entry_has_short_key(e, name) ? e : NULL;
}

/* The slot of an entry that is in the table. */
struct table_slot table_find_handle(const struct table *table, const struct slab *slab, uint64_t hash,
                                    uint32_t handle);

/* What buckets and directories take is counted in slab->used_bytes.
 *
 * Adds an entry whose key is not there, and lets the table grow a step. False, and nothing done, without memory
 * for the entry's place; without memory to grow, chains become longer. seed: what the hashes were made with. */
bool table_insert(struct table *table, struct slab *slab, const struct hash_seed *seed, uint64_t hash,
                  uint32_t handle) __attribute__((warn_unused_result));
/* Takes the slot of bucket chain `hash` out, and lets the table shrink a step. The entry itself is the caller's. */
void table_remove(struct table *table, struct slab *slab, uint64_t hash, struct table_slot slot);
/* One step of shrinking, if the table is sparse. True if another may follow. */
bool table_shrink(struct table *table, struct slab *slab);

/* The cursor after the bucket at `cursor`, in reversed binary order: the order in which a bucket's numbers
 * before and after splits and merges lie next to each other, so that a scan misses nothing that stays. 0
 * after the last. */
uint64_t table_next_cursor(const struct table *table, uint64_t cursor);

/* Puts `value` in the place of *table, for readers without a lock too. */
static inline void table_publish(struct table *table, struct table value) {
    __atomic_store_n(&table->directory, value.directory, __ATOMIC_RELEASE);
    table->mask = value.mask;
    table->buckets = value.buckets;
    table->entries = value.entries;
    table->overflow_buckets = value.overflow_buckets;
}

/* Leaves an empty table behind and remembers the old one, with `wheel`, in its own directory: needs no memory. `number` and
 * `looked` of the grave are 0. */
struct table_directory *table_bury(struct table *table, struct table_directory *next, void *wheel);
/* Decomposes a buried table from its last bucket down, telling `each` of every entry's handle, until the
 * budget of buckets and entries is used up (may be overdrawn by a chain). True while it has buckets left. */
bool table_decompose(struct table_directory *directory, struct slab *slab, unsigned *budget,
                     void (*each)(void *context, uint32_t handle), void *context);
/* Gives the directory of a decomposed table back; returns the next grave and sets *wheel. */
struct table_directory *table_grave_close(struct table_directory *directory, struct slab *slab, void **wheel);

#endif
