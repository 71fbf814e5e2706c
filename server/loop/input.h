/* input.h - what has come is parsed and run. */
#ifndef KEVY_SERVER_LOOP_INPUT_H
#define KEVY_SERVER_LOOP_INPUT_H

#include <stddef.h>

struct conn;

/* Parses and runs what has come: `data` first joins what is pending. Bounded by TURN_REQUESTS and TURN_BYTES. */
void input_received(struct conn *conn, const char *data, size_t len);

#endif
