/* record.h - a change as the journal keeps it: the command that makes it again, as RESP.
 *
 * In a queue (queue.h) a record is this struct, then its `blocks`, then `len` bytes of text. A large argument is not
 * in the text: its block stands before the byte `at` of it, and the record holds a reference until it is taken. */
#ifndef KEVY_SERVER_JOURNAL_RECORD_H
#define KEVY_SERVER_JOURNAL_RECORD_H

#include "protocol/assert.h"
#include "store/memory/block.h"

struct record {
    uint64_t ticket; /* its place in the order of all changes */
    size_t len;
    uint32_t db;
    uint32_t block_count;
    bool more; /* the next record of its queue has the same ticket: both happen at once */
    bool cut;  /* no change: the text names the file into which the stream goes from here on; none: nowhere */
};

struct record_block {
    struct block *block;
    size_t at; /* 0..len, ascending */
};

/* A command that is to become a record. `blocks` are arguments with memory of their own, known by their
 * address; they are found fastest where they are in the order of the arguments. */
struct record_command {
    const struct bytes *argv;
    uint32_t argc;
    struct block *const *blocks;
    uint32_t block_count;
};

static inline struct record_block *record_blocks(struct record *record) {
    return (struct record_block *)(record + 1);
}
static inline char *record_text(struct record *record) {
    return (char *)(record_blocks(record) + record->block_count);
}
/* Bytes that a record takes in a queue; so rounded that another one may follow. SIZE_MAX: more than there can be. */
static inline size_t record_size(size_t len, uint32_t block_count) {
    size_t align = _Alignof(struct record), size = sizeof(struct record) + align - 1;
    size += (size_t)block_count * sizeof(struct record_block);
    return __builtin_add_overflow(size, len, &size) ? SIZE_MAX : size / align * align;
}

/* Bytes of the command in RESP, its blocks included. SIZE_MAX: more than there can be. */
size_t record_resp_len(const struct record_command *command);
/* Its arguments that are blocks, and bytes of its text without those. */
uint32_t record_measure(const struct record_command *command, size_t *len);
/* Writes text and blocks, as they were measured; takes a reference to each block. */
void record_fill(struct record *record, const struct record_command *command);

/* Shows the bytes of a record, in their order: text, and blocks between it. */
void record_read(struct record *record, void (*piece)(void *context, struct bytes bytes), void *context);
/* Gives its references back, and returns how many bytes their blocks have. */
size_t record_release(struct record *record);

#endif
