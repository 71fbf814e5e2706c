/* stream_named.c - lists of what has a name, in chunks. */
#include "store/types/stream_named.h"

#include <stdlib.h>

#include "store/memory/memory.h"

/* ---- Items ---------------------------------------------------------------------------------------- */

static void retain(uint32_t *references) {
    uint32_t before = __atomic_fetch_add(references, 1, __ATOMIC_RELAXED);
    assert(before > 0 && before < UINT32_MAX); /* 1 */
}
/* True if it was the last one. */
static bool release(uint32_t *references) {
    uint32_t before = __atomic_fetch_sub(references, 1, __ATOMIC_ACQ_REL);
    assert(before > 0); /* 1 */
    return before == 1;
}

bool stream_named_release(struct stream_named *named) {
    return release(&named->references);
}

void *stream_named_new(struct heap *heap, size_t size, struct bytes name, struct block *block) {
    struct block *own = block ? block_retain(block) : block_of(name);
    if (own == NULL) return NULL;
    struct stream_named *named = node_alloc(heap, size);
    if (named == NULL) {
        block_release(own);
        return NULL;
    }
    memset(named, 0, size);
    *named = (struct stream_named){.references = 1, .name = own, .forked = block != NULL};
    node_refers(named, (int64_t)block_memory(own));
    return named;
}

void stream_named_free(struct stream_named *named) {
    node_refers(named, -(int64_t)block_memory(named->name));
    block_release(named->name);
    node_free(named);
}

/* ---- Chunks --------------------------------------------------------------------------------------- */

static size_t chunk_bytes(unsigned capacity) {
    return sizeof(struct stream_chunk) + capacity * sizeof(struct stream_named *);
}

/* The next capacity: with the head, four words at first, and then twice as much each time. */
static unsigned next_capacity(unsigned capacity) {
    enum { LEAST = 3, HEAD_WORDS = 1 };
    return capacity ? 2 * (capacity + HEAD_WORDS) - HEAD_WORDS : LEAST;
}

static struct stream_chunk *chunk_new(struct heap *heap, unsigned capacity) {
    assert(capacity <= STREAM_CHUNK_MOST);
    struct stream_chunk *chunk = node_alloc(heap, chunk_bytes(capacity));
    if (chunk) *chunk = (struct stream_chunk){.references = 1, .capacity = (uint16_t)capacity};
    return chunk;
}

static bool chunk_shared(const struct stream_chunk *chunk) {
    return __atomic_load_n(&chunk->references, __ATOMIC_ACQUIRE) > 1;
}

/* Appends items of another chunk. */
static void chunk_append(struct stream_chunk *chunk, const struct stream_chunk *from, unsigned begin) {
    unsigned count = from->count - begin;
    assert(chunk->count + count <= chunk->capacity);
    memcpy(chunk->items + chunk->count, from->items + begin, count * sizeof *chunk->items);
    chunk->count = (uint16_t)(chunk->count + count);
}

/* Puts the same items with more room, or of a chunk of one's own, in a chunk's place. `counted`: the chunk has a reference
 * to each of them. */
static bool chunk_renew(struct stream_chunk **slot, struct heap *heap, unsigned capacity, bool counted) {
    struct stream_chunk *old = *slot, *chunk = chunk_new(heap, capacity);
    if (chunk == NULL) return false;
    chunk_append(chunk, old, 0);
    *slot = chunk;
    for (unsigned i = 0; counted && i < chunk->count; i++) retain(&chunk->items[i]->references);
    if (!release(&old->references)) return true;
    for (unsigned i = 0; counted && i < old->count; i++) {
        bool last = release(&old->items[i]->references);
        assert(!last); /* 3: the new chunk has one */
    }
    node_free(old);
    return true;
}

static bool chunk_own(struct stream_chunk **slot, struct heap *heap, bool counted) {
    return !chunk_shared(*slot) || chunk_renew(slot, heap, (*slot)->capacity, counted);
}

/* ---- Directories ---------------------------------------------------------------------------------- */

static bool chunks_room(void *owner, struct stream_chunks *chunks) {
    if (chunks->count < chunks->capacity) return true;
    if (chunks->capacity > UINT32_MAX / 4) return false;
    uint32_t capacity = chunks->capacity ? chunks->capacity * 2 : 1;
    struct stream_chunk **list = memory_resize(chunks->list, capacity * sizeof *list);
    if (list == NULL) return false;
    node_refers(owner, (int64_t)((capacity - chunks->capacity) * sizeof *list));
    chunks->list = list;
    chunks->capacity = capacity;
    return true;
}

static void chunks_put(struct stream_chunks *chunks, uint32_t at, struct stream_chunk *chunk) {
    assert(chunks->count < chunks->capacity && at <= chunks->count);
    memmove(chunks->list + at + 1, chunks->list + at, (chunks->count - at) * sizeof *chunks->list);
    chunks->list[at] = chunk;
    chunks->count++;
}

/* Takes an empty chunk out. */
static void chunks_drop(struct stream_chunks *chunks, uint32_t at) {
    assert(at < chunks->count && chunks->list[at]->count == 0);
    node_free(chunks->list[at]);
    chunks->count--;
    memmove(chunks->list + at, chunks->list + at + 1, (chunks->count - at) * sizeof *chunks->list);
}

static bool chunks_share(void *owner, struct stream_chunks *to, const struct stream_chunks *from) {
    assert(to->list == NULL);
    if (from->count == 0) return true;
    to->list = memory_resize(NULL, from->count * sizeof *to->list);
    if (to->list == NULL) return false;
    node_refers(owner, (int64_t)(from->count * sizeof *to->list));
    memcpy(to->list, from->list, from->count * sizeof *to->list);
    to->count = to->capacity = from->count;
    for (uint32_t i = 0; i < to->count; i++) retain(&to->list[i]->references);
    return true;
}

static void chunks_free(void *owner, struct stream_chunks *chunks) {
    assert(chunks->count == 0);
    if (chunks->list) node_refers(owner, -(int64_t)(chunks->capacity * sizeof *chunks->list));
    free(chunks->list);
    *chunks = (struct stream_chunks){.list = NULL};
}

size_t stream_chunks_memory(const struct stream_chunks *chunks) {
    size_t bytes = chunks->capacity * sizeof *chunks->list;
    for (uint32_t i = 0; i < chunks->count; i++) bytes += node_bytes(chunk_bytes(chunks->list[i]->capacity));
    return bytes;
}

/* ---- Lists ---------------------------------------------------------------------------------------- */

/* The last chunk that does not begin behind the name, or the first one. */
static uint32_t chunk_of(const struct stream_chunks *chunks, struct bytes name) {
    uint32_t low = 0, high = chunks->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (bytes_compare(stream_name_of(chunks->list[middle]->items[0]), name) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool stream_named_seek(const struct stream_named_list *list, struct bytes name, struct stream_spot *spot) {
    *spot = (struct stream_spot){0, 0};
    if (list->count == 0) return false;
    spot->chunk = chunk_of(&list->chunks, name);
    const struct stream_chunk *chunk = list->chunks.list[spot->chunk];
    uint32_t low = 0, high = chunk->count;
    assert(high > 0); /* 2 */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = bytes_compare(stream_name_of(chunk->items[middle]), name);
        spot->at = middle;
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    spot->at = low;
    return false;
}

bool stream_named_own(struct stream_named_list *list, struct heap *heap, struct stream_spot spot) {
    return chunk_own(&list->chunks.list[spot.chunk], heap, true);
}

/* Parts a full chunk, so that there is room at the spot, which may move. Behind all others a chunk stays full. */
static bool part_chunk(void *owner, struct stream_named_list *list, struct heap *heap,
                       struct stream_spot *spot) {
    struct stream_chunk *left = list->chunks.list[spot->chunk];
    bool behind = spot->chunk + 1 == list->chunks.count && spot->at == left->count;
    unsigned half = behind ? left->count : left->count / 2u;
    if (!chunks_room(owner, &list->chunks)) return false;
    struct stream_chunk *right = chunk_new(heap, STREAM_CHUNK_MOST);
    if (right == NULL) return false;
    chunk_append(right, left, half);
    left->count = (uint16_t)half;
    chunks_put(&list->chunks, spot->chunk + 1, right);
    if (spot->at > half || behind) *spot = (struct stream_spot){spot->chunk + 1, spot->at - half};
    return true;
}

/* Makes room for one more at the spot, which may move. */
static bool room_at(void *owner, struct stream_named_list *list, struct heap *heap,
                    struct stream_spot *spot) {
    struct stream_chunk **slot = list->chunks.list ? &list->chunks.list[spot->chunk] : NULL;
    if (list->count == 0) {
        if (!chunks_room(owner, &list->chunks)) return false;
        struct stream_chunk *chunk = chunk_new(heap, next_capacity(0));
        if (chunk) chunks_put(&list->chunks, 0, chunk);
        return chunk;
    }
    if (!chunk_own(slot, heap, true)) return false;
    if ((*slot)->count < (*slot)->capacity) return true;
    if ((*slot)->capacity == STREAM_CHUNK_MOST) return part_chunk(owner, list, heap, spot);
    return chunk_renew(slot, heap, next_capacity((*slot)->capacity), true);
}

bool stream_named_put(void *owner, struct stream_named_list *list, struct heap *heap, struct stream_spot spot,
                      struct stream_named *item) {
    assert(list->count < UINT32_MAX);
    if (!room_at(owner, list, heap, &spot)) return false;
    struct stream_chunk *chunk = list->chunks.list[spot.chunk];
    assert(!chunk_shared(chunk) && chunk->count < chunk->capacity && spot.at <= chunk->count); /* 1 */
    memmove(chunk->items + spot.at + 1, chunk->items + spot.at, (chunk->count - spot.at) * sizeof item);
    chunk->items[spot.at] = item;
    chunk->count++;
    list->count++;
    return true;
}

struct stream_named *stream_named_swap(struct stream_named_list *list, struct stream_spot spot,
                                       struct stream_named *item) {
    struct stream_named *old = stream_named_at(list, spot);
    assert(!chunk_shared(list->chunks.list[spot.chunk]) && old->name == item->name); /* 1, 2 */
    list->chunks.list[spot.chunk]->items[spot.at] = item;
    return old;
}

/* Joins the chunk at this place with the next one where both are sparse and the list's own. */
static void join_chunks(struct stream_chunks *chunks, uint32_t at) {
    if (at + 1 >= chunks->count) return;
    struct stream_chunk *left = chunks->list[at], *right = chunks->list[at + 1];
    if (left->count + right->count > STREAM_CHUNK_MOST / 2 || left->count + right->count > left->capacity)
        return;
    if (chunk_shared(left) || chunk_shared(right)) return;
    chunk_append(left, right, 0);
    right->count = 0;
    chunks_drop(chunks, at + 1);
}

struct stream_named *stream_named_take(struct stream_named_list *list, struct stream_spot spot) {
    struct stream_named *item = stream_named_at(list, spot);
    struct stream_chunk *chunk = list->chunks.list[spot.chunk];
    assert(!chunk_shared(chunk)); /* 1 */
    chunk->count--;
    list->count--;
    memmove(chunk->items + spot.at, chunk->items + spot.at + 1, (chunk->count - spot.at) * sizeof item);
    if (chunk->count == 0)
        chunks_drop(&list->chunks, spot.chunk);
    else
        join_chunks(&list->chunks, spot.chunk);
    return item;
}

bool stream_named_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from) {
    if (!chunks_share(owner, &to->chunks, &from->chunks)) return false;
    to->count = from->count;
    return true;
}

bool stream_named_bury(void *owner, struct stream_named_list *list,
                       bool (*bury)(struct stream_named *item, struct graves *graves, unsigned *budget),
                       struct graves *graves, unsigned *budget) {
    struct stream_chunks *chunks = &list->chunks;
    while (chunks->count > 0) {
        struct stream_chunk *chunk = chunks->list[chunks->count - 1];
        if (*budget == 0) return false;
        if (chunk_shared(chunk)) {
            --*budget;
            if (!release(&chunk->references)) {
                chunks->count--;
                continue;
            }
            chunk->references = 1; /* the others have given theirs back meanwhile */
        }
        for (; chunk->count > 0; chunk->count--)
            if (*budget == 0 || !bury(chunk->items[chunk->count - 1], graves, budget)) return false;
        chunks_drop(chunks, chunks->count - 1);
    }
    list->count = 0;
    chunks_free(owner, chunks);
    return true;
}

/* ---- Slots ---------------------------------------------------------------------------------------- */

/* What stands in the slot of a free number: the next free one and 1, or 0. */
static struct stream_named *link_to(uint32_t free) {
    return (struct stream_named *)((uintptr_t)free << 1 | 1); /* no item has an odd address */
}

static struct stream_chunk **slot_chunk(const struct stream_slots *slots, uint32_t number) {
    assert(number < slots->count);
    return &slots->chunks.list[number / STREAM_CHUNK_MOST];
}

bool stream_slot_own(struct stream_slots *slots, struct heap *heap, uint32_t number) {
    return chunk_own(slot_chunk(slots, number), heap, false);
}

void stream_slot_set(struct stream_slots *slots, uint32_t number, struct stream_named *item) {
    struct stream_chunk *chunk = *slot_chunk(slots, number);
    assert(!chunk_shared(chunk)); /* 1 */
    chunk->items[number % STREAM_CHUNK_MOST] = item;
}

void stream_slot_free(struct stream_slots *slots, uint32_t number) {
    stream_slot_set(slots, number, link_to(slots->free));
    slots->free = number + 1;
}

bool stream_slot_room(void *owner, struct stream_slots *slots, struct heap *heap) {
    uint32_t number = slots->count, at = number / STREAM_CHUNK_MOST;
    if (slots->free) return stream_slot_own(slots, heap, slots->free - 1);
    if (number == UINT32_MAX - 1) return false;
    if (at == slots->chunks.count) {
        if (!chunks_room(owner, &slots->chunks)) return false;
        struct stream_chunk *chunk = chunk_new(heap, next_capacity(0));
        if (chunk) chunks_put(&slots->chunks, at, chunk);
        return chunk;
    }
    struct stream_chunk **slot = &slots->chunks.list[at];
    if ((*slot)->count < (*slot)->capacity) return chunk_own(slot, heap, false);
    return chunk_renew(slot, heap, next_capacity((*slot)->capacity), false);
}

uint32_t stream_slot_take(struct stream_slots *slots, struct stream_named *item) {
    uint32_t number = slots->free ? slots->free - 1 : slots->count;
    if (slots->free) {
        uintptr_t link = (uintptr_t)(*slot_chunk(slots, number))->items[number % STREAM_CHUNK_MOST];
        assert(link & 1);
        slots->free = (uint32_t)(link >> 1);
    } else {
        slots->count++;
        (*slot_chunk(slots, number))->count++;
    }
    stream_slot_set(slots, number, item);
    return number;
}

bool stream_slots_share(void *owner, struct stream_slots *to, const struct stream_slots *from) {
    if (!chunks_share(owner, &to->chunks, &from->chunks)) return false;
    to->count = from->count;
    to->free = from->free;
    return true;
}

bool stream_slots_bury(void *owner, struct stream_slots *slots, unsigned *budget) {
    struct stream_chunks *chunks = &slots->chunks;
    for (; chunks->count > 0; --*budget) {
        if (*budget == 0) return false;
        struct stream_chunk *chunk = chunks->list[--chunks->count];
        if (release(&chunk->references)) node_free(chunk);
    }
    slots->count = 0;
    chunks_free(owner, chunks);
    return true;
}
