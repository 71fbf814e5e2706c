/* writer.h - values as Redis 7.0 reads them: in steps, from whoever has the elements.
 *
 *     plain      a count and the elements, for values of any size; a hash some of whose fields expire is always so,
 *                as Redis 7.4 and later read it
 *     packed     one string with all elements: the listpacks of hashes and sorted sets, the intset of a set of
 *                integers, a list's quicklist of one listpack. Redis has small values so; written in one step
 *
 * A value's type byte stands apart, before the key in a file and before the value in a payload. */
#ifndef KEVY_STORE_RDB_WRITER_H
#define KEVY_STORE_RDB_WRITER_H

#include "store/rdb/element.h"
#include "store/rdb/lzf.h"
#include "store/rdb/sink.h"

/* Who has the elements. They do not change while they are written. */
struct rdb_source {
    enum rdb_kind kind;
    uint64_t count;     /* elements, at least one; of a string, one */
    int64_t soonest_ms; /* the least of the fields' expiries; 0: none expires */
    /* The element at this place, which is 0 for the first, and leaves the place of the next there. Those of a sorted
     * set come by score and member, those of a set of integers that is written packed from the least on. */
    void (*next)(struct rdb_source *source, uint64_t *place, struct rdb_element *element);
};

enum rdb_form { RDB_FORM_PLAIN, RDB_FORM_PACKED };

/* May it be written packed, with at most so many elements, and strings of at most so many bytes in them? Looks at
 * all of them if there are not too many. */
bool rdb_may_pack(struct rdb_source *source, uint64_t max_elements, size_t max_len);

/* The type byte, and the version of files and payloads that may have it. */
enum rdb_type rdb_type_of(const struct rdb_source *source, enum rdb_form form);
unsigned rdb_version_of(const struct rdb_source *source);

/* Compresses strings from 21 to 65,536 bytes, as Redis does with rdbcompression. 160 KiB, of any contents. */
enum { RDB_COMPRESSED_MAX = 65536 };
struct rdb_compressor {
    struct lzf_table table;
    char plain[RDB_COMPRESSED_MAX];
    char packed[RDB_COMPRESSED_MAX];
};

/* Bytes as they are; a length; a number of so many bytes, lowest first. False if the sink took no more. */
bool rdb_write_bytes(struct sink *sink, const void *data, size_t len);
bool rdb_write_len(struct sink *sink, uint64_t len);
bool rdb_write_number(struct sink *sink, uint64_t number, unsigned len);

/* Writes one string as Redis does: as an integer where it is the text of one; compressed where there is a
 * compressor and it gains; else as it is. False if the sink took no more. */
bool rdb_write_text(struct sink *sink, struct rdb_compressor *compressor, struct bytes text);

/* Where a value goes, compressed if there is a compressor. */
struct rdb_target {
    struct sink *sink;
    struct rdb_compressor *compressor; /* or NULL */
};
/* Writes the next part of a value, about `budget` bytes, from the cursor on. An element may overdraw the budget, and what
 * is packed does so. */
enum dumped rdb_write(struct rdb_source *source, enum rdb_form form, struct cursor *cursor,
                      struct rdb_target target, size_t budget);

#endif
