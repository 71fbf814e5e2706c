/* tracking.c - a hash table per stripe that grows by a bucket with every fourth key (linear hashing: W. Litwin, 1980), so
 * that no read waits until a large table is copied. Records lie in pages of the table's own: forgetting a million keys gives
 * back some hundred pages, and none of them has an allocator's overhead. Long names have memory of their own.
 *
 * Buckets lie in segments, each as large as all before it, which stay for as long as the server runs: so a bucket may be
 * looked at without a lock, to ask the memory for what is there (TRACKING_RACY), and no array is ever copied. A bucket is a
 * line, with seven places and a byte of the hash for each: which record to ask for is known without looking at any, also
 * where the bucket has several. One key in twenty-five or so finds no place and stands in the list behind the last one.
 *
 * Invariants:
 *
 *  1. stripe->tracking is NULL exactly when nobody is noted in the stripe, and stripe->ears says whether it is.
 *  2. A record has at least one reader, the first, and nobody twice; the first bit is the first reader; others ascend.
 *  3. Bucket i has the records whose place, by the low bits of their hashes, is i; its tags and `more` are as they say.
 *  4. Buckets at and beyond the count are empty. */
#include "server/stripes/tracking.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/report/info.h"

enum {
    BUCKET_USUAL = 4,        /* keys for each bucket; with more the table grows */
    PAGE_BYTES = 256 * 1024, /* of a large table; ... */
    PAGE_FIRST = 4 * 1024,   /* ... its first page is smaller, and each has twice as much as the one before */
    STEP = 8,                /* sizes of records are rounded up to this */
    SMALL_MAX = 1024,        /* bytes of a record that lies in a page */
};

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

struct tracking {
    struct tracked_buckets *buckets; /* the stripe's */
    size_t count;
    uint64_t readers; /* of all keys */
    struct page *pages;
    char *at, *end; /* of the newest page, what is free */
    size_t page_size;
    struct large *large;
    struct hole *holes[SMALL_MAX / STEP + 1]; /* records that were freed, by size */
};

/* Of all stripes: atomic. Whoever notes a key writes here, so nothing else lies in this cache line. */
static struct { uint64_t keys, readers; } __attribute__((aligned(64))) counted;

static void count_totals(struct tracking *table, int64_t keys, int64_t readers) {
    table->count += (size_t)keys;
    table->readers += (uint64_t)readers;
    if (keys) __atomic_fetch_add(&counted.keys, (uint64_t)keys, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counted.readers, (uint64_t)readers, __ATOMIC_RELAXED);
}

struct tracking_totals tracking_totals(void) {
    return (struct tracking_totals){__atomic_load_n(&counted.keys, __ATOMIC_RELAXED),
                                    __atomic_load_n(&counted.readers, __ATOMIC_RELAXED)};
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static uint32_t room_of(uint32_t words) {
    assert(words > 0);
    return words == 1 ? 1 : UINT32_C(1) << (32 - __builtin_clz(words - 1));
}

static size_t size_for(uint32_t words, size_t name) {
    return offsetof(struct tracked, name) + tracked_name_bytes(name) +
           (size_t)room_of(words) * sizeof(uint32_t);
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
    size_t size = rounded(size_for(record->words, record->len));
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

static inline struct tracked_bucket *bucket_at(const struct tracked_buckets *buckets, uint32_t at) {
    unsigned segment = buckets_segment(at);
    assert(at < buckets->count);
    return &buckets->segments[segment][at - buckets_begin(segment)];
}

static inline struct tracked_bucket *bucket_of(const struct tracking *table, uint32_t hash) {
    const struct tracked_buckets *buckets = table->buckets;
    uint32_t at = hash & (2 * buckets->level - 1);
    return bucket_at(buckets, at < buckets->count ? at : hash & (buckets->level - 1));
}

static struct bytes name_of(const struct tracked *record) {
    return (struct bytes){record->name, record->len};
}

struct bytes tracked_name(const struct tracked *tracked) {
    return name_of(tracked);
}

/* The link to the key's record; NULL if it has none. */
static inline struct tracked **link_of(const struct tracking *table, struct key key) {
    struct tracked_bucket *bucket = bucket_of(table, (uint32_t)key.hash);
    unsigned found = tracked_match(bucket, tracked_tag((uint32_t)key.hash));
    for (; found; found &= found - 1) {
        struct tracked **place = &bucket->records[__builtin_ctz(found)];
        if (tracked_is(*place, key)) return place;
    }
    if (!bucket->more) return NULL;
    struct tracked **link = &bucket->records[BUCKET_PLACES - 1]->next;
    while (*link && !tracked_is(*link, key)) link = &(*link)->next;
    return *link ? link : NULL;
}

static void bucket_add(struct tracked_bucket *bucket, struct tracked *record) {
    record->next = NULL;
    for (unsigned i = 0; i < BUCKET_PLACES; i++) {
        if (bucket->tags[i]) continue;
        bucket->records[i] = record;
        bucket->tags[i] = tracked_tag(record->hash);
        return;
    }
    struct tracked *last = bucket->records[BUCKET_PLACES - 1];
    record->next = last->next;
    last->next = record;
    bucket->more = true;
}

/* What stands behind it in the list, if it is in one, takes its place. */
static void bucket_remove(struct tracked_bucket *bucket, struct tracked **link) {
    struct tracked *record = *link;
    *link = record->next;
    for (unsigned i = 0; i < BUCKET_PLACES; i++)
        if (link == &bucket->records[i]) bucket->tags[i] = *link ? tracked_tag((*link)->hash) : 0;
    if (bucket->more)
        bucket->more = bucket->records[BUCKET_PLACES - 1]->next; /* 3: of two or more one is left */
}

/* Makes room for one bucket more, if there is none. False without memory. */
static bool segment_ready(struct tracked_buckets *buckets, uint32_t at) {
    unsigned segment = buckets_segment(at);
    if (segment >= BUCKET_SEGMENTS) return false;
    if (buckets->segments[segment]) return true;
    size_t count = segment ? buckets_begin(segment) : BUCKETS_MIN, align = _Alignof(struct tracked_bucket);
    char *memory = memory_zeroed(count * sizeof(struct tracked_bucket) + align);
    if (!memory) return false;
    void *first = memory + (align - (uintptr_t)memory % align) % align;
    buckets->memory[segment] = memory;
    __atomic_store_n(&buckets->segments[segment], (struct tracked_bucket *)first, __ATOMIC_RELEASE);
    return true;
}

static bool buckets_ready(struct stripe *stripe) {
    if (!stripe->tracked) {
        struct tracked_buckets *made = aligned_alloc(_Alignof(struct tracked_buckets), sizeof *made);
        if (!made) return false;
        *made = (struct tracked_buckets){.count = BUCKETS_MIN, .level = BUCKETS_MIN};
        __atomic_store_n(&stripe->tracked, made, __ATOMIC_RELEASE);
    }
    return segment_ready(stripe->tracked, 0);
}

static struct tracking *table_new(struct stripe *stripe) {
    struct tracking *table = buckets_ready(stripe) ? calloc(1, sizeof *table) : NULL;
    if (table) table->buckets = stripe->tracked;
    return table;
}

/* The records of a bucket move to where they belong now: some stay, others go to the bucket that was added last. */
static void split(struct tracking *table, struct tracked_bucket *from, const struct tracked_bucket *to) {
    struct tracked_bucket old = *from;
    *from = (struct tracked_bucket){0};
    for (unsigned i = 0; i < BUCKET_PLACES; i++)
        for (struct tracked *record = old.records[i], *next; record; record = next) {
            next = record->next;
            struct tracked_bucket *bucket = bucket_of(table, record->hash);
            assert(bucket == from || bucket == to); /* 3 */
            bucket_add(bucket, record);
        }
}

/* One bucket more, which takes its part of another. Where there is no memory lists get longer, and nothing else happens. */
static void grow(struct tracking *table) {
    struct tracked_buckets *buckets = table->buckets;
    if (!segment_ready(buckets, buckets->count)) return;
    if (buckets->count == 2 * buckets->level) buckets->level *= 2;
    uint32_t added = buckets->count++;
    assert(added >= buckets->level && added < 2 * buckets->level);
    struct tracked_bucket *to = bucket_at(buckets, added);
    assert(!to->tags[0]); /* 4 */
    split(table, bucket_at(buckets, added - buckets->level), to);
}

/* Of a table whose records are about to go. */
static void empty_buckets(struct tracked_buckets *buckets) {
    for (unsigned segment = 0; segment < BUCKET_SEGMENTS && buckets->segments[segment]; segment++)
        memset(buckets->segments[segment], 0,
               (segment ? buckets_begin(segment) : BUCKETS_MIN) * sizeof(struct tracked_bucket));
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
    table->buckets->count = table->buckets->level = BUCKETS_MIN;
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

struct readers tracked_readers(const struct tracked *tracked) {
    const uint32_t *words = tracked_words(tracked);
    bool bits = tracked->words >= TRACKED_OTHERS;
    assert(tracked->words > 0 && (!bits || words[1] & 1)); /* 2 */
    return (struct readers){.first = words[0],
                            .near = bits ? words[1] : 1,
                            .others = words + TRACKED_OTHERS,
                            .count = bits ? tracked->words - TRACKED_OTHERS : 0};
}

static uint32_t count_readers(const struct tracked *record) {
    struct readers readers = tracked_readers(record);
    return (uint32_t)__builtin_popcount(readers.near) + readers.count;
}

/* Where the reader stands among the words, or would stand, if he is neither the first nor a bit. */
static uint32_t place_of(const struct tracked *record, uint32_t reader) {
    const uint32_t *words = tracked_words(record);
    uint32_t first = TRACKED_OTHERS, half;
    for (uint32_t left = record->words - TRACKED_OTHERS; left > 0; left -= half) {
        half = (left + 1) / 2;
        first += words[first + half - 1] < reader ? half : 0;
    }
    return first;
}

#ifdef __SSE2__
/* Of three to sixteen words, of which there is room for a multiple of four, all are looked at, four at once. */
static bool is_among_few(const uint32_t *words, uint32_t count, uint32_t reader) {
    const __m128i wanted = _mm_set1_epi32((int)reader);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 4) {
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(words + i));
        found |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, wanted))) << i;
    }
    return (found & ((UINT32_C(1) << count) - 1)) >> TRACKED_OTHERS;
}
#else
static bool is_among_few(const uint32_t *words, uint32_t count, uint32_t reader) {
    bool found = false;
    for (uint32_t i = TRACKED_OTHERS; i < count; i++) found |= words[i] == reader;
    return found;
}
#endif

bool tracked_has_other(const struct tracked *record, uint32_t reader) {
    enum { FEW_MOST = 16 };
    const uint32_t *words = tracked_words(record);
    debug_assert(record->words > TRACKED_OTHERS);
    if (record->words <= FEW_MOST) return is_among_few(words, record->words, reader);
    uint32_t place = place_of(record, reader);
    return place < record->words && words[place] == reader;
}

static void write_name(struct tracked *record, struct bytes name) {
    if (name.len) memcpy(record->name, name.data, name.len);
}

static bool add_key(struct tracking *table, struct key key, uint32_t reader) {
    if (key.name.len > UINT32_MAX) return false;
    struct tracked *record = record_new(table, size_for(1, key.name.len));
    if (!record) return false;
    *record = (struct tracked){.hash = (uint32_t)key.hash, .len = (uint32_t)key.name.len, .words = 1};
    write_name(record, key.name);
    tracked_words(record)[0] = reader;
    if (table->count + 1 > BUCKET_USUAL * (size_t)table->buckets->count) grow(table);
    bucket_add(bucket_of(table, record->hash), record);
    count_totals(table, 1, 1);
    return true;
}

/* Makes him one of the bits, if they reach as far. */
static bool add_near(struct readers *readers, uint32_t reader) {
    uint32_t above = reader - readers->first, below = readers->first - reader;
    assert(above > 0 && readers->near & 1);
    if (above < TRACKED_BITS) {
        readers->near |= UINT32_C(1) << above;
        return true;
    }
    if (below >= TRACKED_BITS || readers->near >> (TRACKED_BITS - below)) return false;
    readers->first = reader;
    readers->near = readers->near << below | 1;
    return true;
}

/* The record with room for so many words, which is in its place then. NULL without memory. */
static struct tracked *record_grown(struct tracking *table, struct tracked **link, uint32_t words) {
    struct tracked *old = *link;
    if (room_of(words) == room_of(old->words)) return old;
    struct tracked *record = record_new(table, size_for(words, old->len));
    if (!record) return NULL;
    memcpy(record, old, size_for(old->words, old->len));
    *link = record;
    record_free(table, old);
    return record;
}

static bool add_reader(struct tracking *table, struct tracked **link, uint32_t reader) {
    struct readers after = tracked_readers(*link);
    bool is_near = add_near(&after, reader);
    uint32_t count = TRACKED_OTHERS + after.count + !is_near;
    if (count > UINT32_MAX / 8) return false;
    struct tracked *record = record_grown(table, link, count);
    if (!record) return false;
    uint32_t *words = tracked_words(record);
    words[0] = after.first;
    words[1] = after.near;
    if (!is_near) {
        record->words = count - 1; /* the bits are there now */
        uint32_t place = place_of(record, reader);
        memmove(words + place + 1, words + place, (count - 1 - place) * sizeof reader);
        words[place] = reader;
        assert(place == TRACKED_OTHERS || words[place - 1] < reader); /* 2 */
    }
    record->words = count;
    count_totals(table, 0, 1);
    return true;
}

static __attribute__((noinline)) enum tracking_noted note_anew(struct stripe *stripe, struct key key,
                                                               uint32_t reader) {
    if (!table_ready(stripe)) return TRACKING_NO_MEMORY;
    struct tracking *table = stripe->tracking;
    struct tracked **link = link_of(table, key);
    bool noted = link ? add_reader(table, link, reader) : add_key(table, key, reader);
    if (!table->count) drop_table(stripe);
    return noted ? TRACKING_NEW : TRACKING_NO_MEMORY;
}

enum tracking_noted tracking_note(struct stripe *stripe, struct key key, uint32_t reader) {
    if (!stripe->tracking) return note_anew(stripe, key, reader);
    struct tracked *const *link = link_of(stripe->tracking, key);
    return link && tracked_has_reader(*link, reader) ? TRACKING_KNOWN : note_anew(stripe, key, reader);
}

/* ---- Taking --------------------------------------------------------------------------------------- */

static struct tracked *unlink_record(struct tracking *table, struct tracked **link) {
    struct tracked *record = *link;
    assert(record && table->count > 0);
    bucket_remove(bucket_of(table, record->hash), link);
    count_totals(table, -1, -(int64_t)count_readers(record));
    return record;
}

struct tracked *tracking_take(struct stripe *stripe, struct key key) {
    if (!stripe->tracking) return NULL;
    struct tracked **link = link_of(stripe->tracking, key);
    return link ? unlink_record(stripe->tracking, link) : NULL;
}

struct tracked *tracking_take_any(struct stripe *stripe, uint64_t random) {
    struct tracking *table = stripe->tracking;
    if (!table || !table->count) return NULL;
    uint32_t buckets = table->buckets->count, at = (uint32_t)(random % buckets), place = 0;
    struct tracked_bucket *bucket;
    while (!(bucket = bucket_at(table->buckets, at))->tags[place])
        if (++place == BUCKET_PLACES) place = 0, at = at + 1 < buckets ? at + 1 : 0;
    return unlink_record(table, &bucket->records[place]);
}

void tracking_free(struct stripe *stripe, struct tracked *tracked) {
    assert(stripe->tracking);
    record_free(stripe->tracking, tracked);
    if (!stripe->tracking->count) drop_table(stripe);
}

void tracking_clear(struct stripe *stripe) {
    struct tracking *table = stripe->tracking;
    if (!table) return;
    empty_buckets(table->buckets);
    count_totals(table, -(int64_t)table->count, -(int64_t)table->readers);
    drop_table(stripe);
}

void tracking_end(struct stripe *stripe) {
    tracking_clear(stripe);
    for (unsigned i = 0; stripe->tracked && i < BUCKET_SEGMENTS; i++) free(stripe->tracked->memory[i]);
    free(stripe->tracked);
    stripe->tracked = NULL;
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void measure_tracking(struct info *info) {
    struct tracking_totals totals = tracking_totals();
    info->figures.tracking_total_keys = (double)totals.keys;
    info->figures.tracking_total_items = (double)totals.readers;
}
INFO_MEASURE(STATS, measure_tracking);
