/* leaf.h - the leaves of a tree (tree.h): packed elements, and what is needed to find one among them.
 *
 *     | head, capacity, start, used, longs | base | hashes | scores | tags | lens | gap | elements ... | gap |
 *
 * base     TREE_STREAM: a number of 16 bytes, from which the others are counted: the first one, or one that has been that
 *          TREE_PENDING: the frame of its elements, which are rows of one size (rows.h), and have no columns
 * hashes   TREE_INDEX: 4 bytes an element
 * scores   TREE_SCORES, TREE_INDEX: 8 bytes an element
 * tags     TREE_SET, TREE_HASH: the lowest byte of each hash
 * lens     a byte for each part of an element; LEAF_LONG says that the part begins with two bytes that have its length, or
 *          that it is a pointer to a block
 * elements their parts, one behind the other; `start` and `used` measure them
 *
 * A leaf of TREE_SET or TREE_HASH has its elements in any order, for a tag finds one as fast, and a new one is
 * appended; the leaves stand in the order of hashes. In other trees the elements of a leaf are in order too. Room at
 * both ends of the elements lets a change move the shorter part of them.
 *
 * Invariants:
 *   1. The arrays end at or before `start`, and start + used <= capacity, which is that of the leaf's size class.
 *   2. `longs` counts the parts whose len is LEAF_LONG. The leaf has a reference of its own to each block.
 *   3. used is the sum of the parts' stored sizes. */
#ifndef KEVY_STORE_VALUES_LEAF_H
#define KEVY_STORE_VALUES_LEAF_H

#include "protocol/bytes.h"
#include "store/memory/block.h"
#include "store/values/hash.h"
#include "store/values/node.h"
#include "store/values/rows.h"

enum { TREE_PARTS = 2, LEAF_NUMBERS = 3, LEAF_LONG = 255, LEAF_PLACES_MAX = 4096 };

/* An element. Which fields are of use, enum tree_kind says. */
struct tree_item {
    /* TREE_SET, TREE_HASH: the 64-bit hash, in `high`; TREE_INDEX: 32 bits of it; TREE_STREAM, TREE_PENDING: both halves. */
    struct tree_key key;
    double score;
    union {
        struct {
            struct bytes parts[TREE_PARTS];
            /* In which block a part lies, or NULL. Of an item that is put: a block that may be kept where the part is too
             * long for a leaf, or NULL, and then its bytes are copied. */
            struct block *blocks[TREE_PARTS];
        };
        uint64_t numbers[LEAF_NUMBERS]; /* TREE_PENDING: of 48, 32 and 64 bits; the third is best small */
    };
};

struct leaf {
    struct node head;
    uint16_t capacity; /* bytes in all */
    uint16_t start;    /* where the elements begin, from the head */
    uint16_t used;     /* bytes of elements */
    uint16_t longs;
    char bytes[];
};
_Static_assert(sizeof(struct leaf) == 16, "columns of eight-byte words follow the head");

/* An item that is ready to be put into a leaf. */
struct leaf_item {
    const struct tree_item *item; /* the caller's, who keeps it until this is dropped */
    struct block
        *blocks[TREE_PARTS]; /* what holds the parts that are too long for a leaf; a reference each */
};
/* False without memory. An item that is ready is dropped, also if it was put into leaves. */
static inline bool leaf_prepare(enum tree_kind kind, const struct tree_item *item, struct leaf_item *ready);
static inline void leaf_drop(struct leaf_item *ready);

/* Elements [from, to) of a leaf, which lie at [begin, end) of its elements; of no leaf: the new item. */
struct leaf_piece {
    const struct leaf *leaf;
    uint16_t from, to, begin, end;
};
struct leaf_piece leaf_piece(const struct leaf *leaf, unsigned from, unsigned to);

static inline struct leaf *leaf_of(struct node *node) {
    debug_assert(node->level == 0);
    return (struct leaf *)(void *)node;
}
static inline const struct leaf *leaf_at(const struct node *node) {
    debug_assert(node->level == 0);
    return (const struct leaf *)(const void *)node;
}

/* What a leaf is made of: pieces in their order, one of which may be the item. */
struct leaf_parts {
    const struct leaf_piece *pieces;
    unsigned count;
    const struct leaf_item *item; /* or NULL */
};
/* A new leaf of these parts, with one reference, at least `capacity` bytes large. What it takes from other leaves
 * stays there too. NULL without memory, or if it would be larger than any leaf may be. */
struct leaf *leaf_build(struct heap *heap, enum tree_kind kind, struct leaf_parts parts, size_t capacity);
/* Gives the blocks back and frees the leaf, which nobody refers to. */
void leaf_free(struct leaf *leaf);

/* Changes in place, of a leaf that is not shared. False if there is no room, and nothing is changed. */
bool leaf_insert(struct leaf *leaf, unsigned place, const struct leaf_item *ready);
bool leaf_replace(struct leaf *leaf, unsigned place, const struct leaf_item *ready);
/* Writes the second part of an element of TREE_HASH at this offset over, where both are short and of one length. */
static inline bool leaf_write_over(struct leaf *leaf, unsigned place, size_t offset, struct bytes second);
/* Puts elements of TREE_LIST behind the others, as many of these as are short and have room as it is; how many. */
static inline unsigned leaf_append(struct leaf *leaf, const struct bytes *texts, unsigned count);
/* Puts a short element of TREE_LIST before the others. False, and nothing is changed, if it is long or there is no room
 * for it at the front. */
static inline bool leaf_prepend(struct leaf *leaf, struct bytes text);
/* Takes the first (last) element of TREE_LIST out, whose bytes stay where *text has them until the leaf changes. False, and
 * nothing is changed, if it is the only one or the leaf has long ones. */
static inline bool leaf_pop_front(struct leaf *leaf, struct bytes *text);
static inline bool leaf_pop_back(struct leaf *leaf, struct bytes *text);
/* Takes out `count` elements, at least one, from this place on. */
void leaf_remove(struct leaf *leaf, unsigned place, unsigned count);
/* Takes out the element at this place and offset. */
void leaf_remove_at(struct leaf *leaf, unsigned place, size_t offset);

/* Where an element begins, in the elements; how long it is if it begins there; and what it holds. The hash of TREE_SET and
 * TREE_HASH is not looked up. */
size_t leaf_offset(const struct leaf *leaf, unsigned place);
size_t leaf_size_at(const struct leaf *leaf, unsigned place, size_t offset);
/* The same of an element whose successor's offset is known. */
size_t leaf_offset_before(const struct leaf *leaf, unsigned place, size_t next_offset);
void leaf_get(const struct leaf *leaf, unsigned place, size_t offset, struct tree_item *item);
/* Elements as they lie: the lens of their parts, and the bytes of these one behind the other. */
struct leaf_run {
    const uint8_t *lens;
    const char *data, *end; /* the first byte; the end of the leaf's memory */
    size_t bytes;           /* of all parts */
    unsigned count, parts;  /* elements, and the parts of each */
};
/* Those from this place on up to the first that has a long part, at most so many; where elements are parts alone. */
void leaf_run(const struct leaf *leaf, unsigned place, size_t offset, unsigned most, struct leaf_run *run);
/* What the blocks of elements [from, to) take. */
uint64_t leaf_block_bytes(const struct leaf *leaf, unsigned from, unsigned to);
/* The key of an element. */
struct tree_key leaf_key(const struct leaf *leaf, unsigned place, const struct hash_seed *seed);

/* The place of a member or field of TREE_SET and TREE_HASH; the count if there is none. `guess` is a place that it
 * may have, or any number. */
unsigned leaf_find(const struct leaf *leaf, uint64_t hash, struct bytes member, unsigned guess,
                   size_t *offset);
/* What the second part of a field holds, and in which block it is, or NULL. False if there is no such field. */
struct leaf_part {
    struct bytes bytes;
    struct block *block;
};
bool leaf_find_second(const struct leaf *leaf, uint64_t hash, struct bytes field, unsigned guess,
                      struct leaf_part *second);
/* The place of the first one that has this hash; the count if there is none. */
unsigned leaf_find_hash(const struct leaf *leaf, const struct hash_seed *seed, uint64_t hash, size_t *offset);
/* The members of a leaf of TREE_SET as they lie, one behind the other. */
struct leaf_members {
    const uint8_t *tags, *lens; /* a byte each */
    const char *first;
    unsigned count;
};
/* False if some of them are long: then the lens do not tell where the next one lies. */
static inline bool leaf_members(const struct leaf *leaf, struct leaf_members *members);
/* Asks the memory for the elements of TREE_SET and TREE_HASH whose tags are that of the hash. The place of the first of
 * them; the count if there is none. */
unsigned leaf_prefetch(const struct leaf *leaf, uint64_t hash);
/* In the other kinds but lists: whether an item is there, the place of the first element that is not below it, and, where
 * that is the item, its offset. No element has a key whose first word is above `most`; UINT64_MAX if nothing is known. In
 * *place there is a guess, of whatever worth. */
bool leaf_seek(const struct leaf *leaf, const struct tree_item *item, uint64_t most, unsigned *place,
               size_t *offset);
static inline unsigned leaf_lower_bound(const struct leaf *leaf, const struct tree_item *item, bool *equal) {
    unsigned place = 0;
    size_t offset;
    *equal = leaf_seek(leaf, item, UINT64_MAX, &place, &offset);
    return place;
}

/* The place in TREE_SCORES of the first element whose score is not below this one; asks the memory for what stands there. */
unsigned leaf_score_ahead(const struct leaf *leaf, double score);

/* Bytes that a leaf with these elements needs; the size above which it is split; and the columns' bytes of an element. */
size_t leaf_bytes(enum tree_kind kind, unsigned count, size_t used);
size_t leaf_most(enum tree_kind kind);
static inline size_t leaf_needs(const struct leaf *leaf) {
    return leaf_bytes((enum tree_kind)leaf->head.kind, leaf->head.count, leaf->used);
}
/* What of leaf_most is taken: what the leaf needs; or in TREE_PENDING, where one element more may make all wider, what it
 * would need if they were as wide as they can be. */
static inline size_t leaf_taken(const struct leaf *leaf) {
    size_t used = leaf->head.kind == TREE_PENDING ? (size_t)ROW_BYTES_MOST * leaf->head.count : leaf->used;
    return leaf_bytes((enum tree_kind)leaf->head.kind, leaf->head.count, used);
}
/* The capacity for as many elements like its own as a leaf may have. */
size_t leaf_room(const struct leaf *leaf);
/* What an item would take of leaf_most, at most, and what an element takes. */
size_t leaf_item_bytes(enum tree_kind kind, const struct leaf_item *ready);
size_t leaf_taken_at(const struct leaf *leaf, unsigned place, size_t offset);

/* The key by which a tree orders an item. */
struct tree_key tree_item_key(enum tree_kind kind, const struct tree_item *item);

/* Aborts unless the invariants hold: for debug_assert and tests. */
bool leaf_is_whole(const struct leaf *leaf);

/* ---- Definitions of the above --------------------------------------------------------------------- */

enum { LEAF_PART_LEAST = 511 }; /* parts up to this length are in no kind too long for a leaf */

bool leaf_prepare_blocks(enum tree_kind kind, struct leaf_item *ready);
void leaf_drop_blocks(struct leaf_item *ready);

static inline bool leaf_prepare(enum tree_kind kind, const struct tree_item *item, struct leaf_item *ready) {
    *ready = (struct leaf_item){.item = item};
    if (__builtin_expect((item->parts[0].len | item->parts[1].len) <= LEAF_PART_LEAST, 1)) return true;
    return leaf_prepare_blocks(kind, ready);
}

static inline void leaf_drop(struct leaf_item *ready) {
    if (ready->blocks[0] || ready->blocks[1]) leaf_drop_blocks(ready);
}

static inline bool leaf_members(const struct leaf *leaf, struct leaf_members *members) {
    const uint8_t *tags = (const uint8_t *)leaf->bytes; /* the first column, behind which the lens are */
    unsigned count = leaf->head.count;
    debug_assert(leaf->head.kind == TREE_SET);
    *members = (struct leaf_members){tags, tags + count, (const char *)leaf + leaf->start, count};
    return leaf->longs == 0;
}

static inline unsigned leaf_append(struct leaf *leaf, const struct bytes *texts, unsigned count) {
    uint8_t *lens = (uint8_t *)leaf->bytes; /* the only column */
    char *begin = (char *)leaf + leaf->start, *at = begin + leaf->used, *end = (char *)leaf + leaf->capacity;
    unsigned i = 0, before = leaf->head.count;
    assert(leaf->head.kind == TREE_LIST && leaf->head.references <= 1 && at <= end);
    size_t room = (size_t)(begin - leaf->bytes) - before; /* of the column */
    for (; i < count && i < room; i++) {
        struct bytes text = texts[i];
        if (text.len >= LEAF_LONG || text.len > (size_t)(end - at)) break;
        lens[before + i] = (uint8_t)text.len;
        at = copy_short(at, text.data, text.len);
    }
    leaf->head.count = (uint16_t)(before + i);
    leaf->used = (uint16_t)(at - begin);
    debug_assert(leaf_is_whole(leaf));
    return i;
}

static inline bool leaf_prepend(struct leaf *leaf, struct bytes text) {
    uint8_t *lens = (uint8_t *)leaf->bytes; /* the only column */
    unsigned count = leaf->head.count;
    assert(leaf->head.kind == TREE_LIST && leaf->head.references <= 1);
    if (text.len >= LEAF_LONG || leaf->start < sizeof *leaf + count + 1u + text.len) return false;
    memmove(lens + 1, lens, count);
    lens[0] = (uint8_t)text.len;
    leaf->head.count++;
    leaf->start = (uint16_t)(leaf->start - text.len);
    leaf->used = (uint16_t)(leaf->used + text.len);
    copy_short((char *)leaf + leaf->start, text.data, text.len);
    debug_assert(leaf_is_whole(leaf));
    return true;
}

static inline bool leaf_pop_front(struct leaf *leaf, struct bytes *text) {
    uint8_t *lens = (uint8_t *)leaf->bytes, len = lens[0];
    assert(leaf->head.kind == TREE_LIST && leaf->head.references <= 1);
    if (leaf->longs > 0 || leaf->head.count < 2) return false;
    *text = (struct bytes){(char *)leaf + leaf->start, len};
    memmove(lens, lens + 1, --leaf->head.count);
    leaf->start = (uint16_t)(leaf->start + len);
    leaf->used = (uint16_t)(leaf->used - len);
    debug_assert(leaf_is_whole(leaf));
    return true;
}

static inline bool leaf_pop_back(struct leaf *leaf, struct bytes *text) {
    assert(leaf->head.kind == TREE_LIST && leaf->head.references <= 1);
    if (leaf->longs > 0 || leaf->head.count < 2) return false;
    uint8_t len = (uint8_t)leaf->bytes[--leaf->head.count];
    leaf->used = (uint16_t)(leaf->used - len);
    *text = (struct bytes){(char *)leaf + leaf->start + leaf->used, len};
    debug_assert(leaf_is_whole(leaf));
    return true;
}

static inline bool leaf_write_over(struct leaf *leaf, unsigned place, size_t offset, struct bytes second) {
    const uint8_t *lens = (const uint8_t *)leaf->bytes + leaf->head.count + TREE_PARTS * (size_t)place;
    debug_assert(leaf->head.kind == TREE_HASH && place < leaf->head.count);
    assert(leaf->head.references <= 1);
    if (second.len >= LEAF_LONG || lens[1] != second.len || lens[0] == LEAF_LONG) return false;
    copy_short((char *)leaf + leaf->start + offset + lens[0], second.data, second.len);
    return true;
}

#endif
