/* response.h - replies parsed: for the bench, the tests and the replica link. Incremental and sans-I/O, never recursive.
 *
 * Finds where one reply ends and what it is; nested aggregates are walked with a counter stack of bounded depth. */
#ifndef KEVY_PROTOCOL_RESPONSE_H
#define KEVY_PROTOCOL_RESPONSE_H

#include <stdint.h>

#include "protocol/bytes.h"

enum response_status { RESPONSE_MORE, RESPONSE_READY, RESPONSE_BAD };

enum { RESPONSE_MAX_DEPTH = 32 };

/* One element, as the walker meets it, aggregates before their members. */
struct response_item {
    char type;         /* the RESP type byte: + - : $ * _ # , ( = % ~ > | ! */
    bool null;         /* $-1, *-1 or _ */
    struct bytes text; /* bulk or line content */
    int64_t number;    /* of ':' and '#'; of aggregates the count of members (a map's pairs count twice) */
    unsigned depth;    /* 0 for the reply itself */
};

/* Size of the first whole reply in data[0, len): READY sets *used. MORE: show the same bytes again with more behind.
 * Restarts from the beginning each time; meant for readers that get most replies whole. `max_bulk` bounds bulks. */
enum response_status response_size(const char *data, size_t len, uint64_t max_bulk, size_t *used);

/* Walks a whole reply (one for which response_size said READY), calling item for each element. */
void response_walk(const char *data, size_t len,
                   void (*item)(void *context, const struct response_item *item), void *context);

#endif
