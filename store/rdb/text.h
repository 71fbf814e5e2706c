/* text.h - one string of an RDB file, from input that comes in pieces: raw, an integer, or
 * compressed (rdb.h, lzf.h). */
#ifndef KEVY_STORE_RDB_TEXT_H
#define KEVY_STORE_RDB_TEXT_H

#include "protocol/number.h"
#include "store/memory/block.h"
#include "store/rdb/rdb.h"

enum rdb_text_step { TEXT_BEGINS, TEXT_PACKED_LEN, TEXT_LEN, TEXT_BYTES, TEXT_WHOLE };

/* Zeroes at first. */
struct rdb_text {
    enum rdb_text_step step;
    bool compressed;
    uint64_t packed_len, len; /* bytes to come, and bytes that they are */
    struct block *packed;     /* those that came without the rest; owned */
    size_t filled;
    struct block *plain; /* decompressed; owned */
    struct bytes bytes;  /* of a whole one: in the input, in one of the blocks, or below */
    char number[NUMBER_I64_MAX_LEN];
};

enum rdb_text_read { TEXT_DONE, TEXT_MORE, TEXT_CORRUPT, TEXT_NO_MEMORY };

/* Takes the string off the input. Where it is not all there, what is there is taken into memory, if `more` may
 * come, and else it is corrupt: a length alone takes nothing then. Up to RDB_LEN_MAX bytes are left if they say
 * too little. A string of more than `max_bytes` is corrupt, too. */
enum rdb_text_read rdb_text_read(struct rdb_text *text, struct bytes *input, bool more, uint64_t max_bytes);
/* Makes a whole one independent of the input. False without memory. */
bool rdb_text_keep(struct rdb_text *text);
/* Gives back what it holds; it may be read again. */
void rdb_text_drop(struct rdb_text *text);

#endif
