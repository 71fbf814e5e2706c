/* list_pack.h - a small list as one string of bytes.
 *
 *     | count u16 | head u16 | gap | { length byte | bytes | length byte } ...          element.h
 *
 * The second length byte lets a walk go backward; an element of 254 bytes and more has its two bytes of length twice,
 * too. What was taken from the front leaves a gap, which the next elements put there fill. `head` is where the first
 * element begins. The end has no gap of its own: an allocation is mostly larger than what it holds. No bytes at all
 * are the empty list.
 *
 * A place is the offset of an element in the pack. Functions that may need more room work as those of pack.h do.
 *
 * Invariants:
 *   1. The count is above 0, and fits 16 bits.
 *   2. LIST_PACK_HEAD <= head < len; the elements fill the pack from there to its last byte.
 *   3. The gap is at most LIST_PACK_GAP and a quarter of the elements' bytes, but right after an insertion at the
 *      front with more capacity than it needed. */
#ifndef KEVY_STORE_VALUES_LIST_PACK_H
#define KEVY_STORE_VALUES_LIST_PACK_H

#include "store/values/pack.h"

enum {
    LIST_PACK_HEAD = 4,
    LIST_PACK_GAP = 32,
    LIST_PACK_LEN_MAX = UINT16_MAX, /* bytes of a pack, as `head` has 16 bits */
};

static inline uint32_t list_pack_count(struct bytes pack) {
    return pack_count(pack);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* The first element; of the empty list the end, which is its length. */
size_t list_pack_first(struct bytes pack);
/* Behind an element, and before one or the end: that before the first is LIST_PACK_NONE. */
size_t list_pack_next(struct bytes pack, size_t place);
size_t list_pack_before(struct bytes pack, size_t place);
#define LIST_PACK_NONE ((size_t)0)
/* The element with this index, which is at most the count; found from the nearer end. */
size_t list_pack_seek(struct bytes pack, uint32_t index);
struct element list_pack_at(struct bytes pack, size_t place);

/* Are these bytes, whoever wrote them, a list without blocks? */
bool list_pack_valid(struct bytes pack);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* Puts an element before the one at this place, or at the end. What the capacity has beyond the need is left as a
 * gap where the element came before all others: so many elements at the front do not move all the others each.
 * Returns the length that the pack has or would have, PACK_NEVER where a pack cannot be so long. */
size_t list_pack_insert(struct pack *pack, size_t place, const struct element *element);
size_t list_pack_replace(struct pack *pack, size_t place, const struct element *element);
/* Takes so many elements out, from this place on. References to blocks are the caller's business, here and above. */
void list_pack_delete(struct pack *pack, size_t place, uint32_t count);

#endif
