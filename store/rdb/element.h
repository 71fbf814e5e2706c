/* element.h - what values in RDB files are made of, on their way in (reader.h) and out (writer.h),
 * whoever keeps them. */
#ifndef KEVY_STORE_RDB_ELEMENT_H
#define KEVY_STORE_RDB_ELEMENT_H

#include <stdint.h>

#include "protocol/bytes.h"

enum rdb_kind { RDB_STRING, RDB_LIST, RDB_SET, RDB_ZSET, RDB_HASH, RDB_STREAM };

struct rdb_stream_part; /* stream.h */

/* One element; of a string, there is one. */
struct rdb_element {
    struct bytes name;                  /* the string, an element of a list, a member, a field */
    struct bytes value;                 /* of a field */
    double score;                       /* of a sorted set's member: a number */
    int64_t expiry_ms;                  /* of a field: absolute Unix milliseconds; 0: none */
    const struct rdb_stream_part *part; /* of a stream, which has nothing else */
};

/* The byte that says how a value is written. */
enum rdb_type {
    RDB_TYPE_STRING,
    RDB_TYPE_LIST,
    RDB_TYPE_SET,
    RDB_TYPE_ZSET_TEXT, /* scores as text */
    RDB_TYPE_HASH,
    RDB_TYPE_ZSET,
    RDB_TYPE_MODULE,
    RDB_TYPE_MODULE_2,
    RDB_TYPE_HASH_ZIPMAP = 9,
    RDB_TYPE_LIST_ZIPLIST,
    RDB_TYPE_SET_INTSET,
    RDB_TYPE_ZSET_ZIPLIST,
    RDB_TYPE_HASH_ZIPLIST,
    RDB_TYPE_LIST_QUICKLIST,
    RDB_TYPE_STREAM,
    RDB_TYPE_HASH_LISTPACK,
    RDB_TYPE_ZSET_LISTPACK,
    RDB_TYPE_LIST_QUICKLIST_2,
    RDB_TYPE_STREAM_2,
    RDB_TYPE_SET_LISTPACK,
    RDB_TYPE_STREAM_3,
    RDB_TYPE_HASH_EXPIRING_DRAFT, /* of Redis 7.4 before its release; in Valkey, another form */
    RDB_TYPE_HASH_EXPIRING_LISTPACK_DRAFT,
    RDB_TYPE_HASH_EXPIRING,
    RDB_TYPE_HASH_EXPIRING_LISTPACK,
    RDB_TYPE_STREAM_4,
    RDB_TYPE_STREAM_5,
};

enum {
    RDB_VERSION_MAX = 14,      /* of what is read */
    RDB_VERSION_VALKEY = 80,   /* and this one */
    RDB_VERSION_WRITTEN = 10,  /* what Redis 7.0 reads */
    RDB_VERSION_EXPIRING = 12, /* with fields that expire: what Redis 7.4 reads */
};

#endif
