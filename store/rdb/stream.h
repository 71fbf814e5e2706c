/* stream.h - streams in RDB files and in DUMP's payloads: what they are made of, and how far the reader is in one.
 *
 *     stream | nodes | { number of the first entry, string of 16 bytes | listpack } ... |
 *            | length | last number | first number, greatest deleted one, entries added |       the latter from type 19 on
 *            | groups | { name | last number | entries read | pending | consumers } ... |
 *     pending   | count | { number, 16 bytes | time, 8 bytes | deliveries } ... |
 *     consumers | count | { name | seen, 8 bytes | active, 8 bytes | count | { number, 16 bytes } ... } ... |
 *     released  | count | { number, 16 bytes } ... |                                 what is pending for nobody; type 27
 *     producers | seconds | most | count | { name | count | { id | number } ... } ... | added | repeated |     type 26 on
 *
 * Counts, and numbers that are not said to be of 16 bytes, are written as lengths are (rdb.h); a number of 16 bytes
 * has its highest byte first. "Entries read" came with type 19, "active" with 21. A listpack begins with a master
 * entry; the entries of a node follow it, of the second form below where their fields are others than the master's,
 * else of the third.
 *
 *     | entries | deleted ones | count of fields | field ... | 0 |
 *     | flags | milliseconds | sequence | count of fields | { field | value } ... | elements of the entry so far |
 *     | flags | milliseconds | sequence | value ...                               | elements of the entry so far |
 *
 * Milliseconds and sequence are counted from the node's number on. */
#ifndef KEVY_STORE_RDB_STREAM_H
#define KEVY_STORE_RDB_STREAM_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "store/memory/block.h"

struct rdb_id {
    uint64_t ms, sequence;
};
/* < 0, 0 or > 0. */
static inline int rdb_id_compare(struct rdb_id a, struct rdb_id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return (a.sequence > b.sequence) - (a.sequence < b.sequence);
}

enum {
    STREAM_DELETED = 1,     /* flags of an entry */
    STREAM_SAME_FIELDS = 2, /* as the master entry */
    STREAM_KEY_BYTES = 16,
};

/* A part of a stream, in the order in which they come: entries with ascending numbers, the state, and each group with
 * its consumers, what is pending for each, and what is for nobody; then what is known of producers, where they may be. */
enum rdb_part {
    RDB_PART_ENTRY,
    RDB_PART_STATE,
    RDB_PART_GROUP,
    RDB_PART_CONSUMER,
    RDB_PART_PENDING,
    RDB_PART_RELEASED,
    RDB_PART_LIMITS, /* of producers, each of whom comes with his ids, the oldest first, and then the counts */
    RDB_PART_PRODUCER,
    RDB_PART_KNOWN,
    RDB_PART_COUNTS
};

struct rdb_stream_part {
    enum rdb_part part;
    bool opens_node; /* of an entry: it is the first of its node that is there */
    bool old;        /* of the state, and of a group: what came with type 19 is not known */
    struct rdb_id
        id; /* of an entry, of one that is pending, or that came with an id; the last one of the stream or group */
    struct rdb_id node; /* of an entry: its node's number, or `id`: above the entry before, not above `id` */
    const struct bytes *pairs; /* of an entry: fields and values in turn */
    uint32_t count;            /* of these pairs, above 0 */
    struct rdb_id max_deleted; /* of the state; and the entries that there have been */
    uint64_t added;            /* and, of the counts, with an id */
    struct bytes name;         /* of a group, a consumer or a producer; an id; the latter two are not empty */
    int64_t read;              /* by a group: entries as Redis counts them, -1 where it does not know */
    int64_t time_ms;     /* when a consumer was seen, or an entry was delivered last: 0 to RDB_TIME_MAX */
    uint64_t deliveries; /* of one that is pending */
    uint64_t repeated;   /* of the counts: entries that came once more */
    uint32_t seconds;    /* of the limits: for how many an id is known, 1 to RDB_SECONDS_MAX */
    uint32_t most;       /* ids of a producer, 1 to RDB_IDS_MAX */
};
enum { RDB_SECONDS_MAX = 86400, RDB_IDS_MAX = 10000 };
#define RDB_TIME_MAX (((int64_t)1 << 48) - 1)

enum stream_step {
    STREAM_NODES,
    STREAM_KEY,
    STREAM_NODE,
    STREAM_LENGTH,
    STREAM_LAST_MS,
    STREAM_LAST_SEQUENCE,
    STREAM_FIRST_MS,
    STREAM_FIRST_SEQUENCE,
    STREAM_DELETED_MS,
    STREAM_DELETED_SEQUENCE,
    STREAM_ADDED,
    STREAM_GROUPS,
    STREAM_GROUP_NAME,
    STREAM_GROUP_MS,
    STREAM_GROUP_SEQUENCE,
    STREAM_GROUP_READ,
    STREAM_PENDING,
    STREAM_PENDING_ID,
    STREAM_PENDING_TIME,
    STREAM_PENDING_DELIVERIES,
    STREAM_CONSUMERS,
    STREAM_CONSUMER_NAME,
    STREAM_CONSUMER_SEEN,
    STREAM_CONSUMER_ACTIVE,
    STREAM_OWNED,
    STREAM_OWNED_ID,
    STREAM_RELEASED,
    STREAM_RELEASED_ID,
    STREAM_GROUP_END, /* nothing is read */
    STREAM_PRODUCERS_SECONDS,
    STREAM_PRODUCERS_MOST,
    STREAM_PRODUCERS,
    STREAM_PRODUCER_NAME,
    STREAM_PRODUCER_IDS,
    STREAM_PRODUCER_ID,
    STREAM_PRODUCER_MS,
    STREAM_PRODUCER_SEQUENCE,
    STREAM_PRODUCERS_ADDED,
    STREAM_PRODUCERS_REPEATED,
    STREAM_DONE
};

/* Where a reader is in a stream; zeroes at first. */
struct rdb_stream {
    bool is_one; /* else the value is no stream */
    enum stream_step step;
    bool has_counts, has_active, has_released, has_producers; /* of types 19, 21, 27 and 26 */
    uint64_t
        numbers[STREAM_DONE]; /* what was read at each step, as far as it is a number; counts count down */
    struct rdb_id key;        /* of a node, or of what is pending */
    struct rdb_id before;     /* the entry or the pending one that came last */
    uint64_t entries;         /* that were handed on */
    struct block *pending;    /* of the group: struct rdb_pending, in their order; owned */
    uint64_t pending_count, claimed; /* and how many of them have found their consumer */
};

/* Gives back what it holds. */
void rdb_stream_close(struct rdb_stream *stream);

#endif
