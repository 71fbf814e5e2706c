/* reader_parts.h - what the reader of values and that of streams both take off the input. Each leaves what is not
 * all there: it says RDB_READ_MORE then, or RDB_READ_CORRUPT where no more will come. */
#ifndef KEVY_STORE_RDB_READER_PARTS_H
#define KEVY_STORE_RDB_READER_PARTS_H

#include "store/rdb/reader.h"

enum rdb_read rdb_take_len(const struct rdb_reader *reader, struct bytes *input, uint64_t *len);
/* So many bytes as they stand there. */
enum rdb_read rdb_take_bytes(const struct rdb_reader *reader, struct bytes *input, void *bytes, size_t len);
/* A string, which lies in the text then. Part of it may be kept there. */
enum rdb_read rdb_take_text(const struct rdb_reader *reader, struct rdb_text *text, struct bytes *input);
/* As rdb_read, of a stream. */
enum rdb_read rdb_stream_read(struct rdb_reader *reader, struct bytes *input);
/* What a loader's answer is to a reader. */
enum rdb_read rdb_read_of(enum rdb_answer answer);

#endif
