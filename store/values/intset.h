/* intset.h - a small set of integers as one string of bytes.
 *
 *     | count u32 | integers of 16, 32 or 64 bits, all alike, in order ... |
 *
 * They are as wide as the widest needs, or once needed: deleting narrows nothing. No bytes at all are the empty set.
 * Functions that may need more room work as those of pack.h do.
 *
 * Invariants:
 *   1. The count is above 0; the bytes behind it divided by the count are 2, 4 or 8.
 *   2. Each integer is greater than the one before it. */
#ifndef KEVY_STORE_VALUES_INTSET_H
#define KEVY_STORE_VALUES_INTSET_H

#include "store/values/pack.h"

enum { INTSET_HEAD = 4 };

uint32_t intset_count(struct bytes set);
/* The integer with this index, which is there. */
int64_t intset_at(struct bytes set, uint32_t index);
/* Is it in? *index: where it is, or would be. */
bool intset_find(struct bytes set, int64_t number, uint32_t *index);

/* Are these bytes, whoever wrote them, such a set? */
bool intset_valid(struct bytes set);

/* Puts one in that is not there, at the index that intset_find gave. */
size_t intset_insert(struct pack *set, uint32_t index, int64_t number);
void intset_delete(struct pack *set, uint32_t index);

#endif
