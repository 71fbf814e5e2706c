/* stream_named.h - lists of what has a name, in the order of names: the groups of a stream, the consumers of a group.
 *
 * A list is chunks of up to STREAM_CHUNK_MOST pointers, and a directory of these chunks. So whatever name comes, at most
 * one chunk is moved about, and every 128th time or so the directory, which has 8 bytes for about 200 names. Versions
 * share chunks; a chunk that is to change and has several references is copied first.
 *
 * The same chunks serve a group to find consumers by their numbers (struct stream_slots).
 *
 * Invariants:
 *   1. `references` is above 0 as long as anybody may look; who changes something has the only one.
 *   2. Names are all different, and ascend within chunks and from one to the next; no chunk is empty.
 *   3. A chunk of a list has a reference to each of its items, a chunk of slots has none.
 *   4. All chunks of slots but the last have STREAM_CHUNK_MOST. */
#ifndef KEVY_STORE_TYPES_STREAM_NAMED_H
#define KEVY_STORE_TYPES_STREAM_NAMED_H

#include "store/memory/block.h"
#include "store/values/tree_change.h"

/* What groups and consumers begin with. */
struct stream_named {
    uint32_t references; /* atomic */
    uint32_t number;     /* of a consumer: its place among the group's slots */
    struct block *name;
    bool forked; /* atomic */
};

struct stream_chunk {
    uint32_t references; /* atomic */
    uint16_t count, capacity;
    struct stream_named *items[];
};
enum { STREAM_CHUNK_MOST = 255 }; /* with the head, 2 KiB */

struct stream_chunks {
    struct stream_chunk **list;
    uint32_t count, capacity;
};
struct stream_named_list {
    struct stream_chunks chunks;
    uint32_t count; /* of items */
};
struct stream_slots {
    struct stream_chunks chunks;
    uint32_t count; /* of numbers, free ones included */
    uint32_t
        free; /* the first free number and 1; 0: there is none. The slot of a free number leads to the next. */
};

static inline struct bytes stream_name_of(const struct stream_named *named) {
    return block_bytes(named->name);
}

/* ---- Items ---------------------------------------------------------------------------------------- */

static inline bool stream_named_shared(const struct stream_named *named) {
    return __atomic_load_n(&named->references, __ATOMIC_ACQUIRE) > 1;
}
/* True if it was the last reference. */
bool stream_named_release(struct stream_named *named);
/* A node of this size, of which the head is made, the rest being zeroes. The name is copied, or, where there is a block,
 * shared. NULL without memory. */
void *stream_named_new(struct heap *heap, size_t size, struct bytes name, struct block *block);
void stream_named_free(struct stream_named *named);

/* ---- Lists ---------------------------------------------------------------------------------------- */

/* Where an item is, or would be. */
struct stream_spot {
    uint32_t chunk, at;
};
bool stream_named_seek(const struct stream_named_list *list, struct bytes name, struct stream_spot *spot);
static inline struct stream_named *stream_named_at(const struct stream_named_list *list,
                                                   struct stream_spot spot) {
    assert(spot.chunk < list->chunks.count && spot.at < list->chunks.list[spot.chunk]->count);
    return list->chunks.list[spot.chunk]->items[spot.at];
}

/* The item at a place, which becomes that of the next one; NULL behind the last. The first place is 0. Places are valid
 * until an item comes or goes. */
static inline struct stream_named *stream_named_next(const struct stream_named_list *list, uint64_t *place) {
    uint64_t chunk = *place >> 16, at = *place & UINT16_MAX;
    if (chunk >= list->chunks.count) return NULL;
    const struct stream_chunk *in = list->chunks.list[chunk];
    assert(at < in->count);
    *place = at + 1 < in->count ? *place + 1 : (chunk + 1) << 16;
    return in->items[at];
}

/* All of these are false without memory, and then the list has what it had. `owner` is the node that refers to the
 * directory's memory; chunks lie in the heap. */

/* The chunk at this spot becomes the list's own. */
bool stream_named_own(struct stream_named_list *list, struct heap *heap, struct stream_spot spot);
/* Puts an item, whose one reference becomes the list's, where it has been sought in vain. */
bool stream_named_put(void *owner, struct stream_named_list *list, struct heap *heap, struct stream_spot spot,
                      struct stream_named *item);
/* Puts another item of the same name at the spot of a chunk that is the list's own. Gives
 * the old one back, with the reference to it. */
struct stream_named *stream_named_swap(struct stream_named_list *list, struct stream_spot spot,
                                       struct stream_named *item);
/* Takes an item out of a chunk that is the list's own. Gives it back, with the reference to it. */
struct stream_named *stream_named_take(struct stream_named_list *list, struct stream_spot spot);
/* The same items in an empty list. */
bool stream_named_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from);
/* Gives the items of a list back by `bury`, which counts down from the budget and is true when one is gone; true when the
 * list is gone, too. */
bool stream_named_bury(void *owner, struct stream_named_list *list,
                       bool (*bury)(struct stream_named *item, struct graves *graves, unsigned *budget),
                       struct graves *graves, unsigned *budget);

/* ---- Slots ---------------------------------------------------------------------------------------- */

/* The item with this number, which is not free. */
static inline struct stream_named *stream_slot(const struct stream_slots *slots, uint32_t number) {
    assert(number < slots->count);
    struct stream_named *item =
        slots->chunks.list[number / STREAM_CHUNK_MOST]->items[number % STREAM_CHUNK_MOST];
    debug_assert(((uintptr_t)item & 1) == 0);
    return item;
}
/* The slot of a number becomes the slots' own, so that it can be set and freed. */
bool stream_slot_own(struct stream_slots *slots, struct heap *heap, uint32_t number);
void stream_slot_set(struct stream_slots *slots, uint32_t number, struct stream_named *item);
void stream_slot_free(struct stream_slots *slots, uint32_t number);
/* Nobody stands in the slot from now on, which is not free for that; and is it so? */
static inline void stream_slot_leave(struct stream_slots *slots, uint32_t number) {
    stream_slot_set(slots, number, NULL);
}
static inline bool stream_slot_left(const struct stream_slots *slots, uint32_t number) {
    return stream_slot(slots, number) == NULL;
}
/* Makes a slot ready to be taken. */
bool stream_slot_room(void *owner, struct stream_slots *slots, struct heap *heap);
/* Takes it for this item; its number. */
uint32_t stream_slot_take(struct stream_slots *slots, struct stream_named *item);
bool stream_slots_share(void *owner, struct stream_slots *to, const struct stream_slots *from);
/* Counted down from the budget; true when they are gone. */
bool stream_slots_bury(void *owner, struct stream_slots *slots, unsigned *budget);

/* Bytes of chunks and directory. */
size_t stream_chunks_memory(const struct stream_chunks *chunks);

#endif
