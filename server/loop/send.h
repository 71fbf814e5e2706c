/* send.h - replies leave. */
#ifndef KEVY_SERVER_LOOP_SEND_H
#define KEVY_SERVER_LOOP_SEND_H

#include <stddef.h>

struct conn;

/* Sends what is queued, unless something is in flight, or must be durable before. */
void send_flush(struct conn *conn);

/* A send has ended: so many bytes are gone, or it failed. */
void send_ended(struct conn *conn, int result);
/* A quick send has gone through. */
void send_settled(struct conn *conn);

/* How many bytes may lie unsent at once, as of now; 0: any number. */
size_t send_limit(const struct conn *conn);

#endif
