/* table.c - splitting, merging and taking apart a linear hash table. */
#include "store/index/table.h"

#include "protocol/assert.h"

enum {
    DIRECTORY_MIN = 4,
    /* How many insertions ahead of a split its bucket, and then its entries, are prefetched. */
    PREFETCH_BUCKET_AHEAD = 4,
    PREFETCH_ENTRIES_AHEAD = 2,
};
_Static_assert(TABLE_GROW_LOAD_2 / 2 > PREFETCH_BUCKET_AHEAD, "a split is far enough from the one before");

/* Room in the directory for `count` segments. A move copies some KiB; 2 MiB in the largest table there can be. */
static bool reserve_segments(struct table *table, struct slab *slab, uint64_t count) {
    struct table_directory *old = table->directory, *directory;
    uint64_t held = old ? old->segment_mask + 1 : 0, capacity = old ? held * 2 : DIRECTORY_MIN;
    if (count <= held) return true;
    size_t bytes = capacity * sizeof(struct bucket *);
    assert(count == held + 1 && (capacity & (capacity - 1)) == 0);
    directory = (struct table_directory *)slab_lasting_take(slab, sizeof *directory + bytes);
    if (directory == NULL) return false;
    if (directory->segment_mask == 0)
        directory->segment_mask = capacity - 1; /* else it has been one before */
    assert(directory->segment_mask >= capacity - 1 &&
           (directory->segment_mask & (directory->segment_mask + 1)) == 0);
    for (uint64_t i = 0; i < held; i++) directory->segments[i] = old->segments[i];
    struct table moved = *table;
    moved.directory = directory;
    table_publish(table, moved);
    if (old) slab_lasting_give(slab, &old->lasting);
    return true;
}

/* For debug_assert. */
static bool is_zero(const struct bucket *bucket) {
    return memcmp(bucket, &(struct bucket){0}, sizeof *bucket) == 0;
}

/* Makes the bucket after the last there, all zeroes. */
static bool reserve_bucket(struct table *table, struct slab *slab) {
    uint64_t segment = table->buckets >> TABLE_SEGMENT_SHIFT;
    if (table->buckets % TABLE_SEGMENT_BUCKETS == 0) {
        if (!reserve_segments(table, slab, segment + 1)) return false;
        uint32_t chunk = arena_take_zeroed(&slab->arena);
        if (chunk == 0) return false;
        table->directory->segments[segment] = arena_chunk_at(&slab->arena, chunk);
    }
    slab->used_bytes += sizeof(struct bucket);
    debug_assert(is_zero(table_bucket_at(table, table->buckets))); /* 3 */
    return true;
}

/* Lets go of the memory of bucket number `index`, which was the last. */
static void release_bucket(struct table *table, struct slab *slab, uint64_t index) {
    assert(slab->used_bytes >= sizeof(struct bucket));
    slab->used_bytes -= sizeof(struct bucket);
    if (index % TABLE_SEGMENT_BUCKETS != 0) return;
    uint32_t handle = arena_handle(&slab->arena, table->directory->segments[index >> TABLE_SEGMENT_SHIFT]);
    arena_give(&slab->arena, handle / ARENA_CHUNK_UNITS);
}

/* ---- Chains --------------------------------------------------------------------------------------- */

/* Entries of one bucket, which fill it from the first slot on. */
static unsigned bucket_count(const struct bucket *bucket) {
    return (unsigned)__builtin_ctz(table_match(bucket, 0) | 1u << TABLE_SLOTS);
}

/* Invariant 3, and 4 as far as one bucket shows it: for debug_assert. */
static bool is_whole(const struct bucket *bucket) {
    unsigned count = bucket_count(bucket);
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        if ((bucket->tags[i] != 0) != (i < count) || (bucket->handles[i] != 0) != (i < count)) return false;
    return bucket->overflow == 0 || count == TABLE_SLOTS;
}

static struct bucket *chain_last(const struct slab *slab, struct bucket *bucket) {
    for (struct bucket *next; (next = table_overflow(slab, bucket)); bucket = next) {
    }
    return bucket;
}

static uint32_t overflow_new(struct table *table, struct slab *slab) {
    uint32_t handle = slab_alloc(slab, sizeof(struct bucket));
    if (handle == 0) return 0;
    *(struct bucket *)arena_at(&slab->arena, handle) = (struct bucket){0};
    table->overflow_buckets++;
    return handle;
}

static bool chain_add(struct table *table, struct slab *slab, struct bucket *bucket, uint8_t tag,
                      uint32_t handle) {
    struct bucket *last = chain_last(slab, bucket);
    unsigned index = bucket_count(last);
    debug_assert(handle && tag); /* 3 */
    debug_assert(is_whole(last));
    if (index == TABLE_SLOTS) {
        uint32_t overflow = overflow_new(table, slab);
        if (overflow == 0) return false;
        last->overflow = overflow;
        last = table_overflow(slab, last);
        index = 0;
    }
    debug_assert(last->handles[index] == 0 && last->tags[index] == 0); /* 3 */
    last->handles[index] = handle;
    last->tags[index] = tag;
    return true;
}

/* Empties a slot: the last entry of the chain takes its place (invariant 4). */
static void chain_take(struct table *table, struct slab *slab, struct bucket *bucket,
                       struct table_slot slot) {
    struct bucket *last = bucket, *before = NULL;
    for (struct bucket *next; (next = table_overflow(slab, last)); last = next) before = last;
    debug_assert(is_whole(last) && is_whole(slot.bucket));
    assert(bucket_count(last) > 0); /* 4 */
    unsigned moved = bucket_count(last) - 1;
    slot.bucket->handles[slot.index] = last->handles[moved];
    slot.bucket->tags[slot.index] = last->tags[moved];
    last->handles[moved] = 0;
    last->tags[moved] = 0;
    if (before && moved == 0) {
        assert(table->overflow_buckets > 0 && last->overflow == 0);
        slab_free(slab, before->overflow);
        before->overflow = 0;
        table->overflow_buckets--;
    }
}

/* ---- Growing -------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct slab *slab, const struct hash_seed *seed, uint32_t handle) {
    const struct entry *e = arena_at(&slab->arena, handle);
    return hash_bytes(seed, entry_key(e));
}

/* The bucket that number `index` splits from and merges into: its highest bit cleared. */
static uint64_t parent_of(uint64_t index) {
    return index ? index & ~(1ull << (63 - __builtin_clzll(index))) : 0;
}

/* Takes the overflow bucket that follows off the chain into *copy; false at the end. */
static bool chain_pop(struct table *table, struct slab *slab, struct bucket *copy) {
    uint32_t handle = copy->overflow;
    if (handle == 0) return false;
    assert(table->overflow_buckets > 0);
    *copy = *(struct bucket *)arena_at(&slab->arena, handle);
    slab_free(slab, handle);
    table->overflow_buckets--;
    return true;
}

/* Deals the entries of bucket `parent` out to it and the new bucket `index`. It needs no memory: what the first j + 1 of a
 * chain hold, dealt into two chains, needs at most the j overflow buckets that were freed on the way. */
static void divide(struct table *table, struct slab *slab, const struct hash_seed *seed, uint64_t parent,
                   uint64_t index) {
    struct bucket *from = table_bucket_at(table, parent), *to = table_bucket_at(table, index), copy = *from;
    uint64_t bit = index ^ parent;
    *from = (struct bucket){0};
    do {
        for (unsigned i = 0; i < TABLE_SLOTS && copy.handles[i]; i++) {
            uint64_t hash = hash_of(slab, seed, copy.handles[i]);
            bool moves = hash & bit;
            debug_assert(table_bucket(table, hash) == (moves ? to : from)); /* 2 */
            debug_assert(table_tag(hash) == copy.tags[i]);
            bool added = chain_add(table, slab, moves ? to : from, copy.tags[i], copy.handles[i]);
            assert(added);
            (void)added;
        }
    } while (chain_pop(table, slab, &copy));
}

static void split(struct table *table, struct slab *slab, const struct hash_seed *seed) {
    uint64_t index = table->buckets;
    if (!reserve_bucket(table, slab)) return;
    table->buckets++;
    if (index > table->mask) table->mask = table->mask * 2 + 1;
    assert(table_is_sane(table)); /* 1 */
    if (index == 0) return;
    divide(table, slab, seed, parent_of(index), index);
}

/* The misses of a split, taken before it: first its bucket's, some insertions later its entries'. */
static void prefetch_split(const struct table *table, const struct slab *slab, uint64_t until) {
    const struct bucket *bucket = table_bucket_at(table, parent_of(table->buckets));
    if (until == PREFETCH_BUCKET_AHEAD) memory_prefetch(bucket);
    if (until != PREFETCH_ENTRIES_AHEAD) return;
    for (unsigned i = 0; i < TABLE_SLOTS && bucket->handles[i]; i++)
        memory_prefetch(arena_at(&slab->arena, bucket->handles[i]));
    if (bucket->overflow) memory_prefetch(arena_at(&slab->arena, bucket->overflow));
}

/* Entries beyond which the table grows. */
static uint64_t grow_above(const struct table *table) {
    return table->buckets * TABLE_GROW_LOAD_2 / 2;
}

bool table_insert(struct table *table, struct slab *slab, const struct hash_seed *seed, uint64_t hash,
                  uint32_t handle) {
    if (table->buckets == 0) split(table, slab, seed); /* makes the first bucket */
    if (table->buckets == 0) return false;
    debug_assert(hash == hash_of(slab, seed, handle));
    debug_assert(!table_find_handle(table, slab, hash, handle).bucket);
    if (!chain_add(table, slab, table_bucket(table, hash), table_tag(hash), handle)) return false;
    table->entries++;
    uint64_t limit = grow_above(table);
    if (table->entries > limit)
        split(table, slab, seed);
    else if (limit - table->entries <= PREFETCH_BUCKET_AHEAD)
        prefetch_split(table, slab, limit - table->entries);
    return true;
}

/* ---- Shrinking ------------------------------------------------------------------------------------ */

/* One bucket of overflow may be missing at worst, however long the chains (see divide). */
static bool overflow_available(struct slab *slab) {
    uint32_t handle = slab_alloc(slab, sizeof(struct bucket));
    if (handle) slab_free(slab, handle);
    return handle != 0;
}

bool table_shrink(struct table *table, struct slab *slab) {
    if (table->buckets <= 1 || table->entries >= table->buckets * TABLE_SHRINK_LOAD_2 / 2) return false;
    uint64_t index = table->buckets - 1;
    struct bucket *from = table_bucket_at(table, index), *to = table_bucket_at(table, parent_of(index));
    if (!overflow_available(slab)) return false;
    struct bucket copy = *from;
    *from = (struct bucket){0};
    table->buckets = index;
    if (index == (table->mask >> 1) + 1) table->mask >>= 1;
    assert(table_is_sane(table)); /* 1 */
    do {
        for (unsigned i = 0; i < TABLE_SLOTS && copy.handles[i]; i++) {
            bool added = chain_add(table, slab, to, copy.tags[i], copy.handles[i]);
            assert(added);
            (void)added;
        }
    } while (chain_pop(table, slab, &copy));
    release_bucket(table, slab, index);
    return true;
}

struct table_slot table_find_handle(const struct table *table, const struct slab *slab, uint64_t hash,
                                    uint32_t handle) {
    for (struct bucket *b = table_bucket(table, hash); b; b = table_overflow(slab, b))
        for (unsigned hits = table_match(b, table_tag(hash)); hits; hits &= hits - 1) {
            unsigned index = (unsigned)__builtin_ctz(hits);
            if (b->handles[index] == handle) return (struct table_slot){b, index};
        }
    return (struct table_slot){0};
}

void table_remove(struct table *table, struct slab *slab, uint64_t hash, struct table_slot slot) {
    assert(slot.bucket && slot.bucket->handles[slot.index] && table->entries > 0);
    assert(slot.bucket->tags[slot.index] == table_tag(hash)); /* 2: it is this hash's chain */
    chain_take(table, slab, table_bucket(table, hash), slot);
    table->entries--;
    table_shrink(table, slab);
}

/* ---- Scanning ------------------------------------------------------------------------------------- */

static uint64_t reverse(uint64_t x) {
    x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
    x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(x);
}

uint64_t table_next_cursor(const struct table *table, uint64_t cursor) {
    /* The bits that tell the bucket at the cursor from others: one more where it has been split already. */
    uint64_t mask = table->mask, index = cursor & mask;
    assert(table_is_sane(table));
    if (index >= table->buckets || (index ^ (mask >> 1) ^ mask) >= table->buckets) mask >>= 1;
    return reverse(reverse(cursor | ~mask) + 1);
}

/* ---- Burying -------------------------------------------------------------------------------------- */

struct table_directory *table_bury(struct table *table, struct table_directory *next, void *wheel) {
    struct table_directory *directory = table->directory;
    assert(directory && directory->lasting.in_use && directory != next);
    directory->grave.next = next;
    directory->grave.table = *table;
    directory->grave.wheel = wheel;
    directory->grave.number = 0;
    directory->grave.looked = 0;
    table_publish(table, (struct table){0});
    return directory;
}

enum { DECOMPOSE_AHEAD = 4 }; /* buckets; their entries are prefetched half as far ahead */

static void prefetch_decompose(const struct table *table, const struct slab *slab, uint64_t index) {
    if (index >= DECOMPOSE_AHEAD) memory_prefetch(table_bucket_at(table, index - DECOMPOSE_AHEAD));
    if (index < DECOMPOSE_AHEAD / 2) return;
    const struct bucket *bucket = table_bucket_at(table, index - DECOMPOSE_AHEAD / 2);
    for (unsigned i = 0; i < TABLE_SLOTS && bucket->handles[i]; i++)
        memory_prefetch(arena_at(&slab->arena, bucket->handles[i]));
}

bool table_decompose(struct table_directory *directory, struct slab *slab, unsigned *budget,
                     void (*each)(void *context, uint32_t handle), void *context) {
    struct table *table = &directory->grave.table;
    while (table->buckets > 0 && *budget > 0) {
        uint64_t index = table->buckets - 1;
        prefetch_decompose(table, slab, index);
        struct bucket copy = *table_bucket_at(table, index);
        unsigned cost = 1;
        do {
            for (unsigned i = 0; i < TABLE_SLOTS && copy.handles[i]; i++, cost++)
                each(context, copy.handles[i]);
        } while (chain_pop(table, slab, &copy));
        table->buckets = index;
        release_bucket(table, slab, index);
        *budget -= cost < *budget ? cost : *budget;
    }
    return table->buckets > 0;
}

struct table_directory *table_grave_close(struct table_directory *directory, struct slab *slab,
                                          void **wheel) {
    assert(directory->grave.table.buckets == 0 && directory->grave.table.overflow_buckets == 0);
    *wheel = directory->grave.wheel;
    slab_lasting_give(slab, &directory->lasting);
    return directory->grave.next;
}
