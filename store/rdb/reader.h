/* reader.h - values of RDB files and of DUMP's payloads, every encoding of versions 1 to 14 but for streams of type
 * 4, read from input that comes in pieces and handed on element by element.
 *
 *     rdb_reader_open(&reader, &loader, type, version)     values of modules end here
 *     rdb_read(&reader, &input)                            until it is no longer RDB_READ_MORE, with more input each time
 *     rdb_reader_close(&reader)                            always
 *
 * It believes nothing: every length and count is checked before it is used, strings of bytes with elements in them
 * are checked to their end, and no memory is taken that is not paid for by bytes that have come, but for addresses
 * of strings that come in pieces. It keeps two strings at most: bytes of `max_bytes` each, and while one is
 * decompressed, twice that. Only the loader can know that two members are the same: it refuses the second. */
#ifndef KEVY_STORE_RDB_READER_H
#define KEVY_STORE_RDB_READER_H

#include "store/rdb/element.h"
#include "store/rdb/packed.h"
#include "store/rdb/stream.h"
#include "store/rdb/text.h"

enum rdb_answer {
    RDB_TAKEN,
    RDB_REFUSED, /* no value is like this: a member that is there already */
    RDB_NO_ROOM, /* there is no memory */
    RDB_SINGLY,  /* of what came at once: none was taken, they are to come one after another */
};

/* Who takes the elements. They are borrowed: their bytes are to be copied, or done with, before the call returns. */
struct rdb_loader {
    /* First. `hint`: as many elements as may come, by what the value says and its bytes allow; 0: not known. */
    enum rdb_answer (*begin)(struct rdb_loader *loader, enum rdb_kind kind, uint64_t hint);
    /* One after another; those of a list in order. Fields whose time is over come too. */
    enum rdb_answer (*element)(struct rdb_loader *loader, const struct rdb_element *element);
    /* After the last, if there were any and all was well. */
    enum rdb_answer (*end)(struct rdb_loader *loader);
    /* Or NULL. All elements of a string at once: RDB_TAKEN, and the walk is at its end. */
    enum rdb_answer (*all)(struct rdb_loader *loader, struct packed *packed);
};

enum rdb_read {
    RDB_READ_DONE, /* what follows the value was left in the input */
    RDB_READ_MORE, /* it takes more than there was; what was left in the input is to be there again, before the rest */
    RDB_READ_EMPTY,   /* a collection without elements, which Redis skips in files and refuses in payloads */
    RDB_READ_CORRUPT, /* no value is like this, or it passes a limit */
    RDB_READ_MODULE,
    RDB_READ_NO_MEMORY, /* it cannot be read on */
};

struct rdb_shape; /* reader.c */

struct rdb_reader {
    struct rdb_loader *loader;
    uint64_t max_bytes; /* a longer string is refused; 512 MiB at first */
    bool whole;         /* there will be no more input: what is not there is missing; false at first */
    const struct rdb_shape *shape;
    unsigned step;          /* of the shape */
    uint64_t left;          /* elements or nodes to come */
    uint64_t elements;      /* that were handed on */
    uint64_t container;     /* of a quicklist's node */
    int64_t base_ms;        /* what expiries are counted from */
    struct rdb_element now; /* as far as it was read */
    struct rdb_text name, value;
    struct packed packed; /* in `name` */
    struct rdb_stream stream;
};

/* RDB_READ_DONE, RDB_READ_MODULE, or RDB_READ_CORRUPT where nothing has this type. `version` is
 * the file's or the payload's. */
enum rdb_read rdb_reader_open(struct rdb_reader *reader, struct rdb_loader *loader, unsigned type,
                              unsigned version);
enum rdb_read rdb_read(struct rdb_reader *reader, struct bytes *input);
void rdb_reader_close(struct rdb_reader *reader);

/* Takes a string off the input without looking at it. `plain`, if given: its bytes, if they stand there as they are, else
 * empty with NULL. False: it is not all there, or no string is like this. */
bool rdb_skip_text(struct bytes *input, struct bytes *plain);
/* Takes a value off the input without looking at more than lengths. False: it is not all there, or it is one that must
 * be read to find its end, or no value is like this; then what is left of the input is of no use. */
bool rdb_skip_value(unsigned type, unsigned version, struct bytes *input);

#endif
