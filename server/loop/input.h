/* input.h - what clients say: requests in RESP are parsed and run, in batches. */
#ifndef KEVY_SERVER_LOOP_INPUT_H
#define KEVY_SERVER_LOOP_INPUT_H

#include "server/loop/conn.h"

/* The kind of a client's connection. Its input is bounded by TURN_REQUESTS, TURN_BYTES and TURN_US; opening fails where
 * there are as many clients as there may be. */
extern const struct conn_kind input_client;

#endif
