/* pack.h - a small hash, set or sorted set as one string of bytes.
 *
 *     | count u16 | length byte x count | bytes of the elements ... |          element.h
 *
 * A set's elements are its members, a hash's are field, value, field, value ..., a sorted set's are member, score,
 * member, score ... (score.h) in the order of scores. No bytes at all are the empty pack.
 *
 * The functions work on a buffer of the caller's. Those that may need more room say how many bytes the pack will
 * have; where these are more than the capacity they have changed nothing:
 *
 *     size_t len = pack_insert(&pack, index, elements, 2);
 *     if (len > pack.capacity) ...                              make room, and call it again
 *
 * Invariants:
 *   1. The count is above 0, and fits 16 bits.
 *   2. Length bytes and elements fill the pack to its last byte. */
#ifndef KEVY_STORE_VALUES_PACK_H
#define KEVY_STORE_VALUES_PACK_H

#include "store/values/element.h"

struct pack {
    char *data;
    size_t len;      /* bytes in use */
    size_t capacity; /* bytes of the buffer */
};

enum { PACK_COUNT_MAX = UINT16_MAX, PACK_HEAD = 2 };
#define PACK_NEVER SIZE_MAX /* more elements than a pack can have */

static inline struct bytes pack_bytes(const struct pack *pack) {
    return (struct bytes){pack->data, pack->len};
}
static inline uint32_t pack_count(struct bytes pack) {
    if (pack.len == 0) return 0;
    return (uint32_t)(unsigned char)pack.data[0] | (uint32_t)(unsigned char)pack.data[1] << 8;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* A walk over elements from one on. */
struct pack_walk {
    const uint8_t *code, *codes_end; /* the length bytes that are to come */
    const char *at;                  /* the element of the first */
};
/* From the element with this index on, which is at most the count. Both ends are found at once, others
 * by adding up. */
struct pack_walk pack_from(struct bytes pack, uint32_t index);

static inline bool pack_next(struct pack_walk *walk, struct element *element) {
    if (walk->code == walk->codes_end) return false;
    *element = element_at(*walk->code, walk->at);
    walk->at += element_stored_at(*walk->code++, walk->at);
    return true;
}

/* The element with this index, which is there. */
static inline struct element pack_at(struct bytes pack, uint32_t index) {
    struct pack_walk walk = pack_from(pack, index);
    assert(walk.code < walk.codes_end);
    return element_at(*walk.code, walk.at);
}

/* Looks at every element whose index is a multiple of `step`, 1 or 2; the index of the one with these bytes, which
 * are in no block, or the count. */
uint32_t pack_find(struct bytes pack, unsigned step, struct bytes bytes);

/* Of a sorted set: how many pairs come before this score and member. */
uint32_t pack_rank(struct bytes pack, double score, struct bytes member);

/* Are these bytes, whoever wrote them, a pack without blocks whose count is a multiple of `step`? What the
 * elements are, and whether two are the same, is not looked at. */
bool pack_valid(struct bytes pack, unsigned step);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* Puts elements before the one with this index, which is at most the count. They do not lie in the pack. */
size_t pack_insert(struct pack *pack, uint32_t index, const struct element *elements, uint32_t count);
/* Puts another element in the place of this one. */
size_t pack_replace(struct pack *pack, uint32_t index, const struct element *element);
/* Takes elements out, from this index on. References to blocks are the caller's business, here and above:
 * he looks first. */
void pack_delete(struct pack *pack, uint32_t index, uint32_t count);

#endif
