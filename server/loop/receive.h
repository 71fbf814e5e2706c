/* receive.h - how bytes come to a connection: by a receive that stays armed and brings them in the shard's
 * buffers, or, of a large argument, by a read straight into its own block. */
#ifndef KEVY_SERVER_LOOP_RECEIVE_H
#define KEVY_SERVER_LOOP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct io_event;

/* Arms a receive where none is; the connection stays on the list of those to be armed when there is no room for it. */
void receive_arm(struct conn *conn);
/* Ends a connection that sends more than client-query-buffer-limit allows, and says so in the log. */
void receive_over_limit(struct conn *conn);

/* What became of a receive, IO_RECEIVE, and of a read, IO_READ. */
void receive_heard(struct conn *conn, const struct io_event *event);
void receive_read_ended(struct conn *conn, const struct io_event *event);

/* The parser announced a large argument: `have` bytes of it are here, at data. False without memory: the
 * connection is shut. */
bool receive_bulk(struct conn *conn, const char *data, size_t have) __attribute__((warn_unused_result));
/* Takes what belongs to the large argument from received data; returns how much. */
size_t receive_bulk_more(struct conn *conn, const char *data, size_t len);
/* The request that the large arguments belong to is done with. */
void receive_drop_blocks(struct conn *conn);

#endif
