/* pack_load.h - a pack of what an RDB file has as one string (packed.h), in one pass over it.
 *
 * It makes what comes out where the elements are put into an empty pack one after another, and only where nothing is wrong
 * with them, or unusual: else it says no, and they are to be taken one by one, which finds out what it is. So nothing is
 * refused here, and nothing taken that would be refused there. */
#ifndef KEVY_STORE_VALUES_PACK_LOAD_H
#define KEVY_STORE_VALUES_PACK_LOAD_H

#include "store/rdb/packed.h"
#include "store/values/pack.h"

/* Fields and values, or members and scores, as they come behind packed_open, go into a pack that is empty, and the walk is
 * at its end. False, and the walk is where it was: there are none, or the string is not whole or does not tell how many,
 * a field is there twice, a string is longer than ELEMENT_INLINE_MAX, or all of them than the pack's capacity. Then what
 * lies in its buffer is of no use. */
bool pack_load_pairs(struct pack *pack, struct packed *packed);
/* False also where members are not in their order, or a score is -0 or no number. */
bool pack_load_scored(struct pack *pack, struct packed *packed);

#endif
