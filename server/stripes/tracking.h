/* tracking.h - the keys of one stripe that clients have read and may keep copies of: who has read which.
 *
 * A client that tracks (CLIENT TRACKING, but for BCAST) is noted with each key that it reads. Whoever changes a key
 * takes its record out, and tells the readers that what they have read is no longer valid
 * (server/clients/invalidation.h): a reader is told once, and is noted anew when he reads the key again. Keys are
 * known by their names alone, whatever the database, as in Redis. A record is 20 bytes, the name, and words of 4 bytes
 * for its readers (room for a power of two), in pages of the stripe's own; its part of a bucket is 16 bytes more.
 * Buckets stay when keys go. One reader is a word; a second word has a bit for each of the 32 numbers from that on, since
 * clients that came one after the other often read the same; whoever else has read the key is a word of his own.
 *
 * Readers are the low halves of client ids. Those who have gone, or track no more, stay noted until the key changes;
 * where two clients have the same number, one that came four milliards after the other, the later one is told too
 * much.
 *
 * Every function here wants the stripe's lock held, but for the prefetches, tracking_end and tracking_totals. */
#ifndef KEVY_SERVER_STRIPES_TRACKING_H
#define KEVY_SERVER_STRIPES_TRACKING_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "protocol/load.h"
#include "server/clients/invalidation.h"
#include "server/stripes/stripes.h"
#include "store/memory/memory.h"

struct tracked; /* a key and who has read it */

/* Notes that the client has read the key. */
enum tracking_noted { TRACKING_KNOWN, TRACKING_NEW, TRACKING_NO_MEMORY /* it is not noted then */ };
enum tracking_noted tracking_note(struct stripe *stripe, struct key key, uint32_t reader)
    __attribute__((warn_unused_result));
/* Asks the memory for what tracking_note will look at, in two steps. No lock: what others change meanwhile is read as it
 * happens to be, which costs a useless prefetch and no more. The second one returns where the key's record is to be looked
 * for first, which lasts as long as the stripe. NULL: nowhere. */
static inline const struct tracked_bucket *tracking_prefetch_bucket(const struct stripe *stripe,
                                                                    uint64_t hash);
static inline struct tracked *const *tracking_prefetch_record(const struct tracked_bucket *bucket,
                                                              uint64_t hash);
/* Is the client noted with the key, as is seen in that place? False: perhaps. */
static inline bool tracking_knows(struct tracked *const *place, struct key key, uint32_t reader);

/* Takes the key's record out; NULL: nobody has read it. It is the caller's until tracking_free, which comes before the
 * lock is given back. */
struct tracked *tracking_take(struct stripe *stripe, struct key key);
/* The same for a key that `random` chooses; NULL: there is none. */
struct tracked *tracking_take_any(struct stripe *stripe, uint64_t random);
void tracking_free(struct stripe *stripe, struct tracked *tracked);

struct bytes tracked_name(const struct tracked *tracked);
/* They lie in the record. */
struct readers tracked_readers(const struct tracked *tracked);

/* Forgets all keys of the stripe. */
void tracking_clear(struct stripe *stripe);
/* The same, and gives the table's memory back: when no other thread looks at the stripe any more. */
void tracking_end(struct stripe *stripe);

/* Of all stripes: keys, and readers of them all added up. No lock. */
struct tracking_totals {
    uint64_t keys, readers;
};
struct tracking_totals tracking_totals(void);

/* ---- Layout, for the inline looks alone ----------------------------------------------------------- */

struct tracked {
    struct tracked *next; /* NULL but in a bucket's last place */
    uint32_t hash;        /* the low half */
    uint32_t len;         /* of the name */
    uint32_t words;       /* of its readers */
    char name[];          /* and the words, with room for the power of two that they need */
};
_Static_assert(offsetof(struct tracked, name) % sizeof(uint32_t) == 0, "readers are words");

/* The words: the first reader is always there; then come the bits, of the first reader on; then other readers. */
enum {
    TRACKED_BITS = 32,
    TRACKED_OTHERS = 2, /* where they begin */
};

enum {
    BUCKET_PLACES = 7,
    BUCKETS_SHIFT = 3,
    BUCKETS_MIN = 1 << BUCKETS_SHIFT,
    BUCKET_SEGMENTS = 24, /* 2^26 buckets */
};

/* A cache line. Where there are more records than places the last place has a list of them. */
struct tracked_bucket {
    struct tracked *records[BUCKET_PLACES];
    uint8_t tags
        [BUCKET_PLACES]; /* of the hash of each place's record, the first of the last one's list; 0: there is none */
    bool more;           /* the list has more than one */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct tracked_bucket) == 64, "a bucket is a cache line");

/* The first segment has BUCKETS_MIN buckets, each other one as many as all before it. */
struct tracked_buckets {
    uint32_t count, level; /* level: the largest power of two that is not above the count */
    struct tracked_bucket *segments[BUCKET_SEGMENTS];
    void *memory[BUCKET_SEGMENTS]; /* that was allocated: it begins at the first whole line in there */
} __attribute__((aligned(64)));

static inline unsigned buckets_segment(uint32_t at) {
    uint32_t beyond = at >> BUCKETS_SHIFT;
    return beyond ? 1 + (31u ^ (unsigned)__builtin_clz(beyond)) : 0;
}
static inline uint32_t buckets_begin(unsigned segment) {
    return segment ? (uint32_t)BUCKETS_MIN << (segment - 1) : 0;
}

/* Buckets are chosen by the low bits of a hash, tags are the high ones of its low half. */
static inline uint8_t tracked_tag(uint32_t hash) {
    uint8_t tag = (uint8_t)(hash >> 24);
    return tag ? tag : 1;
}

#define TRACKING_RACY            __attribute__((no_sanitize("thread")))
#define TRACKING_READ_ONCE(word) (*(const volatile __typeof__(word) *)&(word))

/* The bucket of this hash as likely as not; NULL if there is none. It stays readable. */
TRACKING_RACY static inline const struct tracked_bucket *tracking_racy_bucket(const struct stripe *stripe,
                                                                              uint32_t hash) {
    const struct tracked_buckets *all = TRACKING_READ_ONCE(stripe->tracked);
    if (!all) return NULL;
    uint32_t level = TRACKING_READ_ONCE(all->level), at = hash & (2 * level - 1);
    if (at >= TRACKING_READ_ONCE(all->count)) at &= level - 1;
    unsigned segment = buckets_segment(at);
    const struct tracked_bucket *first =
        segment < BUCKET_SEGMENTS ? TRACKING_READ_ONCE(all->segments[segment]) : NULL;
    return first ? &first[at - buckets_begin(segment)] : NULL;
}

static inline const struct tracked_bucket *tracking_prefetch_bucket(const struct stripe *stripe,
                                                                    uint64_t hash) {
    const struct tracked_bucket *bucket = tracking_racy_bucket(stripe, (uint32_t)hash);
    memory_prefetch(bucket);
    return bucket;
}

/* A bit for each place with this tag. */
TRACKING_RACY static inline unsigned tracked_match(const struct tracked_bucket *bucket, uint8_t tag) {
#ifdef __SSE2__
    __m128i tags = _mm_loadl_epi64((const __m128i *)(const void *)bucket->tags);
    __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(equal) & ((1u << BUCKET_PLACES) - 1);
#else
    unsigned found = 0;
    for (unsigned i = 0; i < BUCKET_PLACES; i++)
        found |= (unsigned)(TRACKING_READ_ONCE(bucket->tags[i]) == tag) << i;
    return found;
#endif
}

/* The record in that place, which may be gone by now, is an address to ask for, never one to read. With a name of 16 bytes,
 * and readers of whom most are bits, it lies across two lines half of the time. */
TRACKING_RACY static inline struct tracked *const *
tracking_prefetch_record(const struct tracked_bucket *bucket, uint64_t hash) {
    enum { USUAL_BYTES = offsetof(struct tracked, name) + 16 + TRACKED_OTHERS * sizeof(uint32_t) };
    unsigned found = tracked_match(bucket, tracked_tag((uint32_t)hash));
    if (!found) return NULL;
    struct tracked *const *place = &bucket->records[__builtin_ctz(found)];
    uintptr_t record = (uintptr_t)TRACKING_READ_ONCE(*place); /* 0 where it is taken out at this moment */
    memory_prefetch((const void *)record);
    memory_prefetch((const void *)(record + USUAL_BYTES - 1));
    return place;
}

/* Where the words of a record begin, from its name. */
static inline size_t tracked_name_bytes(size_t len) {
    return (len + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
}
static inline uint32_t *tracked_words(const struct tracked *record) {
    return (uint32_t *)(uintptr_t)(record->name + tracked_name_bytes(record->len));
}

/* Names of 8 to 16 bytes, as most have, are compared without a call. */
static inline bool tracked_has_name(const struct tracked *record, struct bytes name) {
    if (record->len != name.len) return false;
    if (name.len - 8 > 8) return bytes_equal((struct bytes){record->name, record->len}, name);
    size_t last = name.len - 8;
    return load_u64(record->name) == load_u64(name.data) &&
           load_u64(record->name + last) == load_u64(name.data + last);
}

/* Is he one of those that are neither the first nor a bit? */
bool tracked_has_other(const struct tracked *record, uint32_t reader);

static inline bool tracked_has_reader(const struct tracked *record, uint32_t reader) {
    const uint32_t *words = tracked_words(record);
    uint32_t beyond = reader - words[0];
    if (beyond == 0) return true;
    if (record->words < TRACKED_OTHERS) return false;
    if (beyond < TRACKED_BITS && words[1] >> beyond & 1) return true;
    return record->words > TRACKED_OTHERS && tracked_has_other(record, reader);
}

static inline bool tracked_is(const struct tracked *record, struct key key) {
    return record->hash == (uint32_t)key.hash && tracked_has_name(record, key.name);
}

static inline bool tracking_knows(struct tracked *const *place, struct key key, uint32_t reader) {
    const struct tracked *record = *place;
    return record && tracked_is(record, key) && tracked_has_reader(record, reader);
}

#endif
