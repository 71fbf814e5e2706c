/* limits.h - every maximum of the server that is not an option and that somebody may meet, in one place, with the
 * relations between them. Buffers for texts whose length is known stand where they are used. */
#ifndef KEVY_SERVER_LIMITS_H
#define KEVY_SERVER_LIMITS_H

#include "protocol/reply.h"

/* The Redis whose commands, replies, metadata and files are matched; clients ask for it by HELLO and INFO. */
#define COMPATIBLE_REDIS_VERSION "7.0.15"

enum {
    /* Shards and stripes. */
    MAX_SHARDS = 256,
    STRIPES_PER_SHARD = 16, /* with more than one shard; a lone shard has one stripe and takes no lock */
    MAX_STRIPES = 256,      /* stripe numbers are the top byte of a key's hash */

    MAX_COMMANDS = 512, /* rows of the command table, subcommands included */
    MAX_DATABASES = 1024,

    /* The configuration. */
    CONFIG_FILE_MAX = 8 * 1024 * 1024, /* bytes of a file */
    CONFIG_LINE_MAX = 64 * 1024,       /* bytes of a line */
    CONFIG_INCLUDE_DEPTH = 16,         /* files open within each other */
    CONFIG_INCLUDE_FILES = 1000,       /* files read in all */
    CONFIG_ERRORS_MAX = 64 * 1024,     /* bytes of error lines; what is beyond is counted, and not told */
    OPTION_TEXT_MAX = 1024 * 1024,     /* bytes of a value as text */
    LOG_LINE_MAX = 1024,               /* bytes of a line of the log; the rest is cut */

    /* Where it listens. */
    CONFIG_BIND_MAX = 16, /* words of `bind` */
    LISTENERS_MAX = 32,   /* sockets: a word may be a name with several addresses */

    /* Requests. */
    MAX_REQUEST_ARGS = 1024 * 1024,
    MAX_REQUEST_ARGS_UNAUTHENTICATED = 10,
    MAX_BULK_UNAUTHENTICATED = 16 * 1024,
    MAX_INLINE = 64 * 1024,
    MAX_OUTPUT_UNAUTHENTICATED = 8 * 1024, /* bytes of unsent replies before AUTH */
    DIRECT_READ_MIN = 32 * 1024, /* larger bulks, if not all here, are read into their final memory */
    LARGE_PAGES_FROM =
        4 << 20, /* when so much of one is here, large pages take the rest, if it is a mapping */
    MAX_TRANSACTION_BYTES = 1 << 30, /* of one connection's queued commands, as client-query-buffer-limit */

    /* The reactor. */
    SQ_ENTRIES = 1024,
    CQ_ENTRIES = 8192,
    RECEIVE_BUFFERS = 256,      /* at most that many receives a turn, */
    RECEIVE_BUFFERS_LEAST = 16, /* and so many offered when few come at once */
    RECEIVE_BUFFER_SIZE = 16 * 1024,
    BATCH_REQUESTS = 16,         /* parsed and prefetched together, */
    BATCH_INPUT = 8 * 1024,      /* or fewer, if they have so many bytes, */
    BATCH_ARGS = 384,            /* or so many arguments: each may have hundreds of members */
    TURN_REQUESTS = 1024,        /* of one connection, before the others have their turn, */
    TURN_BYTES = 64 * 1024,      /* or so many bytes of them, */
    TURN_US = 200,               /* or what has taken so long, */
    TURN_BYTES_LEAST = 8 * 1024, /* or at least so many, if the turn of all has taken so long: */
    TURN_MOST_NS = 500 * 1000,
    OUTPUT_CHUNK_SIZE = 16 * 1024,
    OUTPUT_HIGH_WATER = 32 * 1024 * 1024, /* unsent bytes at which a connection's requests wait ... */
    OUTPUT_LOW_WATER = 8 * 1024 * 1024,   /* ... until it has read down to this */
    PIN_MIN = 16 * 1024, /* values from this size on are sent from the store, without copying */
    /* ... and parts of them that are at least 1 / PIN_PART of the whole: a reader of little must not hold much in
     * memory, nor make the next writer copy it. */
    PIN_PART = 8,
    MAX_IOV = 1024, /* IOV_MAX */
    FILE_TABLE_MAX =
        32 * 1024, /* connections with a place in the ring's table of files; others use plain descriptors */

    /* What the server tells. */
    INFO_TEXT_MAX = 1024 * 1024, /* bytes of INFO */
    ERRORSTATS_MAX = 128,     /* error codes told apart; what comes later is not listed, as in newer Redis */
    ERRORSTATS_CODE_MAX = 24, /* bytes of a code; the rest is cut */
    SLOWLOG_MAX_ARGS = 32,    /* kept of a command; the last one tells how many more there were */
    SLOWLOG_ARG_BYTES = 128,  /* kept of an argument; a tail tells how many more there were */
    PING_PATIENCE_MS = 2000,  /* in which a server must have answered kevy --ping */
    MONITOR_LINE_MAX = 1024 * 1024, /* bytes; what an argument has beyond is cut, and the line says so */
    MESSAGES_HIGH = 32 * 1024 *
                    1024, /* bytes that wait for delivery on a shard, at which publishers wait too, ... */
    MESSAGES_LOW = 8 * 1024 * 1024,         /* ... until no shard has more than this */
    MESSAGES_PER_TURN = 8192,               /* that a shard writes to clients, or so */
    TRACKING_PREFIXES_MAX = 1024,           /* of a client */
    MONITOR_UNREAD_MAX = 256 * 1024 * 1024, /* a monitor that leaves so many bytes unread is closed */

    /* Upkeep, per turn. */
    EXPIRE_BUDGET = 200,
    UPKEEP_BUDGET = 200,
    TIDY_DELAY_MS = 100, /* from the moment when memory is there to be freed: most is wanted again at once */
};

_Static_assert(BATCH_ARGS >= 21 * BATCH_REQUESTS, "requests of ten keys and values are a whole batch");
_Static_assert(MAX_STRIPES <= 256 && (MAX_STRIPES & (MAX_STRIPES - 1)) == 0,
               "stripes come from one byte of the hash");
_Static_assert(RECEIVE_BUFFER_SIZE <= DIRECT_READ_MIN,
               "a bulk that fits one buffer is never read on its own");
_Static_assert((int)OUTPUT_CHUNK_SIZE >= (int)REPLY_CHUNK_MIN, "a reply may ask for this much at once");
_Static_assert(PIN_MIN >= 4096, "only values in blocks can be pinned");
_Static_assert(OUTPUT_LOW_WATER < OUTPUT_HIGH_WATER && MESSAGES_LOW < MESSAGES_HIGH, "hysteresis");
_Static_assert(LISTENERS_MAX > CONFIG_BIND_MAX,
               "each word is an address at least, and there is a Unix socket");

#endif
