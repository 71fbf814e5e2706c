/* receive.h - how bytes come to a connection: by a receive that stays armed and brings them in the shard's
 * buffers, or, of a large argument, by a read straight into its own block. */
#ifndef KEVY_SERVER_LOOP_RECEIVE_H
#define KEVY_SERVER_LOOP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>

struct conn;

/* Arms a receive where none is; queues itself for a retry when the submission queue is full. */
void receive_arm(struct conn *conn);
/* Ends the receive that is armed, if there is one; what it brings until it has ended is received all the same. */
/* Ends a connection that sends more than client-query-buffer-limit allows, and says so in the log. */
void receive_over_limit(struct conn *conn);
void receive_cancel(struct conn *conn);

/* Completions. `res` and `cqe_flags` are the CQE's. */
void receive_completed(struct conn *conn, int res, unsigned cqe_flags);
void receive_cancelled(struct conn *conn, int res);
void receive_read_completed(struct conn *conn, int res);

/* The parser announced a large argument: `have` bytes of it are here, at data. False without memory: the
 * connection is shut. */
bool receive_bulk(struct conn *conn, const char *data, size_t have) __attribute__((warn_unused_result));
/* Takes what belongs to the large argument from received data; returns how much. */
size_t receive_bulk_more(struct conn *conn, const char *data, size_t len);
/* The request that the large arguments belong to is done with. */
void receive_drop_blocks(struct conn *conn);

#endif
