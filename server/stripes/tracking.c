/* tracking.c - a hash table per stripe that grows by two chains with each key (linear hashing: W. Litwin, 1980), so
 * that no read waits until a large table is copied, and few records stand behind another. Records lie in pages of the
 * table's own: forgetting a million keys gives back some hundred pages, and none of them has an allocator's overhead. Long
 * names have memory of their own.
 *
 * Chains lie in segments, each as large as all before it, which stay for as long as the server runs: so where a chain begins
 * may be looked at without a lock, to ask the memory for what is there (TRACKING_RACY), and no array is ever copied.
 *
 * Invariants:
 *
 *  1. stripe->tracking is NULL exactly when nobody is noted in the stripe, and stripe->ears says whether it is.
 *  2. A record has at least one reader; readers ascend.
 *  3. chain i has the records whose place, by the low bits of their hashes, is i.
 *  4. Chains at and beyond the count are empty. */
#include "server/stripes/tracking.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "protocol/assert.h"
#include "protocol/load.h"
#include "server/report/info.h"
#include "store/memory/memory.h"

enum {
    CHAINS_SHIFT = 6,
    CHAINS_MIN = 1 << CHAINS_SHIFT,
    SEGMENTS = 26,           /* 2^31 chains */
    PAGE_BYTES = 256 * 1024, /* of a large table; ... */
    PAGE_FIRST = 4 * 1024,   /* ... its first page is smaller, and each has twice as much as the one before */
    STEP = 8,                /* sizes of records are rounded up to this */
    SMALL_MAX = 1024,        /* bytes of a record that lies in a page */
};

struct tracked {
    struct tracked *next;
    uint32_t hash; /* the low half */
    uint32_t len;  /* of the name */
    uint32_t count;
    char name[]; /* and the readers, with room for the power of two that count needs */
};
_Static_assert(offsetof(struct tracked, name) % sizeof(uint32_t) == 0, "readers are words");

struct page {
    struct page *next;
    char bytes[];
};

/* Stands in front of a record that has memory of its own. */
struct large {
    struct large *next, *prev;
    struct tracked record;
};

struct hole {
    struct hole *next;
};

/* The first segment has CHAINS_MIN chains. */
struct chains {
    size_t count, level; /* level: the largest power of two that is not above the count */
    struct tracked **segments[SEGMENTS];
};

struct tracking {
    struct chains *chains; /* the stripe's */
    size_t count;
    uint64_t readers; /* of all keys */
    struct page *pages;
    char *at, *end; /* of the newest page, what is free */
    size_t page_size;
    struct large *large;
    struct hole *holes[SMALL_MAX / STEP + 1]; /* records that were freed, by size */
};

static uint64_t total_keys, total_readers; /* of all stripes: atomic */

static void count_totals(struct tracking *table, int64_t keys, int64_t readers) {
    table->count += (size_t)keys;
    table->readers += (uint64_t)readers;
    if (keys) __atomic_fetch_add(&total_keys, (uint64_t)keys, __ATOMIC_RELAXED);
    __atomic_fetch_add(&total_readers, (uint64_t)readers, __ATOMIC_RELAXED);
}

struct tracking_totals tracking_totals(void) {
    return (struct tracking_totals){__atomic_load_n(&total_keys, __ATOMIC_RELAXED),
                                    __atomic_load_n(&total_readers, __ATOMIC_RELAXED)};
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static uint32_t room_of(uint32_t readers) {
    assert(readers > 0);
    return readers == 1 ? 1 : UINT32_C(1) << (32 - __builtin_clz(readers - 1));
}

/* Where the readers of a record begin, from its name. */
static inline size_t name_bytes(size_t len) {
    return (len + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
}
static inline uint32_t *readers_of(const struct tracked *record) {
    return (uint32_t *)(uintptr_t)(record->name + name_bytes(record->len));
}

static size_t size_for(uint32_t readers, size_t name) {
    return offsetof(struct tracked, name) + name_bytes(name) + (size_t)room_of(readers) * sizeof(uint32_t);
}

static size_t rounded(size_t size) {
    return (size + STEP - 1) / STEP * STEP;
}

static bool page_add(struct tracking *table) {
    size_t size = table->page_size ? table->page_size * 2 : PAGE_FIRST;
    if (size > PAGE_BYTES) size = PAGE_BYTES;
    struct page *page = malloc(size);
    if (!page) return false;
    page->next = table->pages;
    table->pages = page;
    table->at = page->bytes;
    table->end = (char *)page + size;
    table->page_size = size;
    return true;
}

static struct tracked *large_new(struct tracking *table, size_t size) {
    struct large *large = malloc(offsetof(struct large, record) + size);
    if (!large) return NULL;
    large->prev = NULL;
    large->next = table->large;
    if (table->large) table->large->prev = large;
    table->large = large;
    return &large->record;
}

static struct tracked *record_new(struct tracking *table, size_t size) {
    size_t need = rounded(size);
    if (need > SMALL_MAX) return large_new(table, need);
    struct hole **hole = &table->holes[need / STEP], *found = *hole;
    if (found) {
        *hole = found->next;
        return (struct tracked *)(void *)found;
    }
    if ((size_t)(table->end - table->at) < need && !page_add(table)) return NULL;
    struct tracked *record = (struct tracked *)(void *)table->at;
    table->at += need;
    assert(table->at <= table->end);
    return record;
}

static void record_free(struct tracking *table, struct tracked *record) {
    size_t size = rounded(size_for(record->count, record->len));
    if (size <= SMALL_MAX) {
        struct hole *hole = (struct hole *)(void *)record;
        hole->next = table->holes[size / STEP];
        table->holes[size / STEP] = hole;
        return;
    }
    struct large *large = (struct large *)(void *)((char *)record - offsetof(struct large, record));
    if (large->next) large->next->prev = large->prev;
    if (large->prev)
        large->prev->next = large->next;
    else
        table->large = large->next;
    free(large);
}

/* ---- The table ------------------------------------------------------------------------------------ */

static inline unsigned segment_of(size_t at) {
    size_t beyond = at >> CHAINS_SHIFT;
    return beyond ? 64u - (unsigned)__builtin_clzll(beyond) : 0;
}
static inline size_t segment_begin(unsigned segment) {
    return segment ? (size_t)CHAINS_MIN << (segment - 1) : 0;
}

static inline struct tracked **chain_at(const struct chains *chains, size_t at) {
    unsigned segment = segment_of(at);
    assert(at < chains->count);
    return &chains->segments[segment][at - segment_begin(segment)];
}

static inline struct tracked **chain_of(const struct tracking *table, uint32_t hash) {
    const struct chains *chains = table->chains;
    size_t at = hash & (2 * chains->level - 1);
    return chain_at(chains, at < chains->count ? at : hash & (chains->level - 1));
}

static struct bytes name_of(const struct tracked *record) {
    return (struct bytes){record->name, record->len};
}

struct bytes tracked_name(const struct tracked *tracked) {
    return name_of(tracked);
}

const uint32_t *tracked_readers(const struct tracked *tracked, uint32_t *count) {
    *count = tracked->count;
    assert(tracked->count > 0); /* 2 */
    return readers_of(tracked);
}

/* Names of 8 to 16 bytes, as most have, are compared without a call. */
static inline bool has_name(const struct tracked *record, struct bytes name) {
    if (record->len != name.len) return false;
    if (name.len - 8 > 8) return bytes_equal(name_of(record), name);
    size_t last = name.len - 8;
    return load_u64(record->name) == load_u64(name.data) &&
           load_u64(record->name + last) == load_u64(name.data + last);
}

/* The link to the key's record; to NULL if it has none. */
static inline struct tracked **link_of(const struct tracking *table, struct key key) {
    uint32_t hash = (uint32_t)key.hash;
    struct tracked **link = chain_of(table, hash);
    while (*link && !((*link)->hash == hash && has_name(*link, key.name))) link = &(*link)->next;
    return link;
}

/* Makes room for one chain more, if there is none. False without memory. */
static bool segment_ready(struct chains *chains, size_t at) {
    unsigned segment = segment_of(at);
    if (segment >= SEGMENTS) return false;
    if (chains->segments[segment]) return true;
    size_t count = segment ? segment_begin(segment) : CHAINS_MIN;
    struct tracked **made = calloc(count, sizeof *made);
    if (made) __atomic_store_n(&chains->segments[segment], made, __ATOMIC_RELEASE);
    return made;
}

static bool chains_ready(struct stripe *stripe) {
    if (!stripe->chains) {
        struct chains *chains = calloc(1, sizeof *chains);
        if (!chains) return false;
        chains->count = chains->level = CHAINS_MIN;
        __atomic_store_n(&stripe->chains, chains, __ATOMIC_RELEASE);
    }
    return segment_ready(stripe->chains, 0);
}

static struct tracking *table_new(struct stripe *stripe) {
    struct tracking *table = chains_ready(stripe) ? calloc(1, sizeof *table) : NULL;
    if (table) table->chains = stripe->chains;
    return table;
}

/* One chain more, which takes its part of another. Where there is no memory chains get longer, and nothing else happens. */
static void grow(struct tracking *table) {
    struct chains *chains = table->chains;
    if (!segment_ready(chains, chains->count)) return;
    if (chains->count == 2 * chains->level) chains->level *= 2;
    size_t added = chains->count++;
    assert(added >= chains->level && added < 2 * chains->level);
    struct tracked **from = chain_at(chains, added - chains->level), *all = *from,
                   **to = chain_at(chains, added);
    assert(*to == NULL); /* 4 */
    *from = NULL;
    for (struct tracked *next; all; all = next) {
        next = all->next;
        struct tracked **chain = chain_of(table, all->hash);
        assert(chain == from || chain == to); /* 3 */
        all->next = *chain;
        *chain = all;
    }
}

/* Of a table whose records are about to go. */
static void empty_chains(struct chains *chains) {
    for (unsigned segment = 0; segment < SEGMENTS && chains->segments[segment]; segment++)
        memset(chains->segments[segment], 0,
               (segment ? segment_begin(segment) : CHAINS_MIN) * sizeof(struct tracked *));
}

static void drop_table(struct stripe *stripe) {
    struct tracking *table = stripe->tracking;
    for (struct page *page = table->pages, *next; page; page = next) {
        next = page->next;
        free(page);
    }
    for (struct large *large = table->large, *next; large; large = next) {
        next = large->next;
        free(large);
    }
    table->chains->count = table->chains->level = CHAINS_MIN;
    free(table);
    stripe->tracking = NULL;
    stripe->ears &= ~(uint32_t)EAR_TRACKED;
}

static bool table_ready(struct stripe *stripe) {
    assert(!stripe->tracking == !(stripe->ears & EAR_TRACKED)); /* 1 */
    if (!stripe->tracking && !(stripe->tracking = table_new(stripe))) return false;
    stripe->ears |= EAR_TRACKED;
    return true;
}

/* ---- Readers -------------------------------------------------------------------------------------- */

/* Where the reader stands among them, or would stand. */
static uint32_t place_of(const struct tracked *record, uint32_t reader) {
    const uint32_t *readers = readers_of(record);
    uint32_t first = 0, half;
    for (uint32_t left = record->count; left > 0; left -= half) {
        half = (left + 1) / 2;
        first += readers[first + half - 1] < reader ? half : 0;
    }
    return first;
}

#ifdef __SSE2__
/* Of three to sixteen, of whom there is room for a multiple of four, all are looked at, four at once. */
static inline bool is_among_few(const uint32_t *readers, uint32_t count, uint32_t reader) {
    const __m128i wanted = _mm_set1_epi32((int)reader);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 4) {
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(readers + i));
        found |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, wanted))) << i;
    }
    return found & ((UINT32_C(1) << count) - 1);
}
#else
static inline bool is_among_few(const uint32_t *readers, uint32_t count, uint32_t reader) {
    bool found = false;
    for (uint32_t i = 0; i < count; i++) found |= readers[i] == reader;
    return found;
}
#endif

static inline bool has_reader(const struct tracked *record, uint32_t reader) {
    enum { FEW_LEAST = 3, FEW_MOST = 16 };
    const uint32_t *readers = readers_of(record);
    if (record->count < FEW_LEAST) return readers[0] == reader || readers[record->count - 1] == reader;
    if (record->count <= FEW_MOST) return is_among_few(readers, record->count, reader);
    uint32_t place = place_of(record, reader);
    return place < record->count && readers[place] == reader;
}

static void write_name(struct tracked *record, struct bytes name) {
    if (name.len) memcpy(record->name, name.data, name.len);
}

static bool add_key(struct tracking *table, struct key key, uint32_t reader) {
    if (key.name.len > UINT32_MAX) return false;
    struct tracked *record = record_new(table, size_for(1, key.name.len));
    if (!record) return false;
    *record = (struct tracked){.hash = (uint32_t)key.hash, .len = (uint32_t)key.name.len, .count = 1};
    write_name(record, key.name);
    readers_of(record)[0] = reader;
    for (unsigned i = 0; i < 2 && 2 * (table->count + 1) > table->chains->count; i++) grow(table);
    struct tracked **chain = chain_of(table, record->hash);
    record->next = *chain;
    *chain = record;
    count_totals(table, 1, 1);
    return true;
}

static bool add_reader(struct tracking *table, struct tracked **link, uint32_t reader) {
    struct tracked *old = *link, *record = old;
    uint32_t place = place_of(old, reader), count = old->count;
    if (count == UINT32_MAX / 8) return false;
    if (room_of(count + 1) > room_of(count)) {
        record = record_new(table, size_for(count + 1, old->len));
        if (!record) return false;
        *record = (struct tracked){.next = old->next, .hash = old->hash, .len = old->len, .count = count + 1};
        write_name(record, name_of(old));
        memcpy(readers_of(record), readers_of(old), count * sizeof reader);
        *link = record;
        record_free(table, old);
    }
    uint32_t *readers = readers_of(record);
    record->count = count + 1;
    memmove(readers + place + 1, readers + place, (count - place) * sizeof reader);
    readers[place] = reader;
    assert(place == 0 || readers[place - 1] < reader); /* 2 */
    count_totals(table, 0, 1);
    return true;
}

static __attribute__((noinline)) enum tracking_noted note_anew(struct stripe *stripe, struct key key,
                                                               uint32_t reader) {
    if (!table_ready(stripe)) return TRACKING_NO_MEMORY;
    struct tracking *table = stripe->tracking;
    struct tracked **link = link_of(table, key);
    bool noted = *link ? add_reader(table, link, reader) : add_key(table, key, reader);
    if (!table->count) drop_table(stripe);
    return noted ? TRACKING_NEW : TRACKING_NO_MEMORY;
}

enum tracking_noted tracking_note(struct stripe *stripe, struct key key, uint32_t reader) {
    if (!stripe->tracking) return note_anew(stripe, key, reader);
    const struct tracked *record = *link_of(stripe->tracking, key);
    return record && has_reader(record, reader) ? TRACKING_KNOWN : note_anew(stripe, key, reader);
}

/* The first record of the chain is nearly always the one. */
bool tracking_knows(struct tracked *const *chain, struct key key, uint32_t reader) {
    const struct tracked *record = *chain;
    return record && record->hash == (uint32_t)key.hash && has_name(record, key.name) &&
           has_reader(record, reader);
}

/* ---- Prefetching, without the lock ---------------------------------------------------------------- */

#define TRACKING_RACY   __attribute__((no_sanitize("thread")))
#define READ_ONCE(word) (*(const volatile __typeof__(word) *)&(word))

/* The beginning of a chain, this hash's as likely as not; NULL if there is none. It stays readable. */
TRACKING_RACY static inline struct tracked *const *racy_chain(const struct stripe *stripe, uint64_t hash) {
    const struct chains *chains = READ_ONCE(stripe->chains);
    if (!chains) return NULL;
    size_t level = READ_ONCE(chains->level), at = (uint32_t)hash & (2 * level - 1);
    if (at >= READ_ONCE(chains->count)) at &= level - 1;
    unsigned segment = segment_of(at);
    struct tracked *const *first = segment < SEGMENTS ? READ_ONCE(chains->segments[segment]) : NULL;
    return first ? &first[at - segment_begin(segment)] : NULL;
}

/* The first record of a chain, which may be gone by now: an address to ask for, never one to read. */
TRACKING_RACY static inline const char *racy_record(struct tracked *const *chain) {
    return (const char *)READ_ONCE(*chain);
}

void tracking_prefetch_chain(const struct stripe *stripe, uint64_t hash) {
    memory_prefetch(racy_chain(stripe, hash));
}

/* Two lines: most records lie across two. */
struct tracked *const *tracking_prefetch_record(const struct stripe *stripe, uint64_t hash) {
    struct tracked *const *chain = racy_chain(stripe, hash);
    const char *record = chain ? racy_record(chain) : NULL;
    if (!record) return NULL;
    memory_prefetch(record);
    memory_prefetch(record + 64);
    return chain;
}

/* ---- Taking --------------------------------------------------------------------------------------- */

static struct tracked *unlink_record(struct tracking *table, struct tracked **link) {
    struct tracked *record = *link;
    assert(record && table->count > 0);
    *link = record->next;
    count_totals(table, -1, -(int64_t)record->count);
    return record;
}

struct tracked *tracking_take(struct stripe *stripe, struct key key) {
    if (!stripe->tracking) return NULL;
    struct tracked **link = link_of(stripe->tracking, key);
    return *link ? unlink_record(stripe->tracking, link) : NULL;
}

struct tracked *tracking_take_any(struct stripe *stripe, uint64_t random) {
    struct tracking *table = stripe->tracking;
    if (!table || !table->count) return NULL;
    size_t chains = table->chains->count, at = (size_t)(random % chains);
    while (!*chain_at(table->chains, at)) at = at + 1 < chains ? at + 1 : 0;
    return unlink_record(table, chain_at(table->chains, at));
}

void tracking_free(struct stripe *stripe, struct tracked *tracked) {
    assert(stripe->tracking);
    record_free(stripe->tracking, tracked);
    if (!stripe->tracking->count) drop_table(stripe);
}

void tracking_clear(struct stripe *stripe) {
    struct tracking *table = stripe->tracking;
    if (!table) return;
    empty_chains(table->chains);
    count_totals(table, -(int64_t)table->count, -(int64_t)table->readers);
    drop_table(stripe);
}

void tracking_end(struct stripe *stripe) {
    tracking_clear(stripe);
    for (unsigned i = 0; stripe->chains && i < SEGMENTS; i++) free(stripe->chains->segments[i]);
    free(stripe->chains);
    stripe->chains = NULL;
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void measure_tracking(struct info *info) {
    struct tracking_totals totals = tracking_totals();
    info->figures.tracking_total_keys = (double)totals.keys;
    info->figures.tracking_total_items = (double)totals.readers;
}
INFO_MEASURE(STATS, measure_tracking);
