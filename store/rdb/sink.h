/* sink.h - where a dump goes, and how far it is. */
#ifndef KEVY_STORE_RDB_SINK_H
#define KEVY_STORE_RDB_SINK_H

#include <stdint.h>

#include "protocol/bytes.h"

/* Where a dump or a load of a value is; zeroes at its beginning. What the words mean is the business of
 * who uses it. */
struct cursor {
    uint64_t words[4];
};

struct rdb_compressor; /* writer.h */

/* Takes what is dumped, piece by piece. False: it can take no more, and the dump has failed. */
struct sink {
    bool (*write)(struct sink *sink, struct bytes bytes);
    struct rdb_compressor *compressor; /* strings on their way here are compressed with it; NULL: none is */
};

enum dumped { DUMP_MORE, DUMP_DONE, DUMP_FAILED };

#endif
