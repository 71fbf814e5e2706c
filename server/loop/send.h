/* send.h - replies leave. */
#ifndef KEVY_SERVER_LOOP_SEND_H
#define KEVY_SERVER_LOOP_SEND_H

#include <stddef.h>
#include <stdint.h>

struct conn;

/* Sends what is queued, unless something is in flight, or held until it may be shown. */
void send_flush(struct conn *conn);
/* What was written behind the first `from` unsent bytes shows changes up to this ticket of the journal. Whoever writes to a
 * connection says so, where replies wait for the disk. */
void send_hold(struct conn *conn, size_t from, uint64_t ticket);

/* A send has ended: so many bytes are gone, or it failed. */
void send_ended(struct conn *conn, int result);
/* A quick send has gone through. */
void send_settled(struct conn *conn);

/* How many bytes may lie unsent at once, as of now; 0: any number. */
size_t send_limit(const struct conn *conn);
/* The same of those that may do so for no longer than some seconds. */
size_t send_soft_limit(const struct conn *conn);

#endif
