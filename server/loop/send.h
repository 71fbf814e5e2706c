/* send.h - replies leave. */
#ifndef KEVY_SERVER_LOOP_SEND_H
#define KEVY_SERVER_LOOP_SEND_H

#include <stddef.h>

struct conn;

/* Sends what is queued, unless something is in flight, or must be durable before. */
void send_flush(struct conn *conn);

/* Completions. `res` is the CQE's. */
void send_completed(struct conn *conn, int res);
void send_quick_short(struct conn *conn, int res);
/* The quick send of the last submit has gone through, as no completion said otherwise. */
void send_quick_settled(struct conn *conn);

/* How many bytes may lie unsent at once, as of now; 0: any number. */
size_t send_limit(const struct conn *conn);

#endif
