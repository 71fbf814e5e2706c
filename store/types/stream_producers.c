/* stream_producers.c - idempotent ids of producers. */
#include "store/types/stream_producers.h"

#include "protocol/sha1.h"
#include "store/values/element.h"

static struct stream_producer *producer_of(struct stream_named *named) {
    return (struct stream_producer *)(void *)named;
}
static bool is_forked(const struct stream_producer *producer) {
    return __atomic_load_n(&producer->head.forked, __ATOMIC_RELAXED);
}

static uint64_t bytes_taken(const struct stream_producer *producer) {
    return node_bytes(sizeof *producer) + block_memory(producer->head.name) + producer->list.bytes +
           producer->places.bytes + producer->long_bytes;
}

/* ---- Ids: bytes ----------------------------------------------------------------------------------- */

enum { ENTRY_BYTES = 16 }; /* before an id in the list */

/* What an id is found by, in memory of its own. */
struct id_key {
    char memory[STREAM_ID_KEY_MOST];
    struct bytes bytes;
};
_Static_assert((int)SHA1_LEN <= (int)STREAM_ID_KEY_MOST, "a hash is a key");

static void make_key(struct id_key *key, struct bytes id) {
    key->bytes = (struct bytes){key->memory, id.len};
    if (id.len <= sizeof key->memory) {
        memcpy(key->memory, id.data, id.len);
        return;
    }
    sha1(id, (unsigned char *)key->memory);
    key->bytes.len = SHA1_LEN;
}

static struct tree_item key_item(const struct id_key *key, const struct hash_seed *seed,
                                 const uint32_t *age) {
    return (struct tree_item){.key.high = hash_bytes(seed, key->bytes),
                              .parts = {key->bytes, {(const char *)age, sizeof *age}}};
}

static struct bytes id_of(const struct tree_item *item, struct stream_id *entry) {
    struct bytes bytes = item->parts[0];
    assert(bytes.len > ENTRY_BYTES);
    memcpy(&entry->ms, bytes.data, 8);
    memcpy(&entry->sequence, bytes.data + 8, 8);
    return (struct bytes){bytes.data + ENTRY_BYTES, bytes.len - ENTRY_BYTES};
}

/* ---- Looking -------------------------------------------------------------------------------------- */

const struct stream_producers *stream_producers_or_none(const struct stream_producers *producers) {
    static const struct stream_producers none = {.seconds = STREAM_IDMP_SECONDS_DEFAULT,
                                                 .most = STREAM_IDMP_MOST_DEFAULT};
    return producers ? producers : &none;
}

bool stream_producers_matter(const struct stream_producers *producers) {
    return producers &&
           (producers->list.count > 0 || producers->added > 0 || producers->repeated > 0 ||
            producers->seconds != STREAM_IDMP_SECONDS_DEFAULT || producers->most != STREAM_IDMP_MOST_DEFAULT);
}

static bool is_over(const struct stream_producers *producers, uint64_t ms, int64_t now_ms) {
    uint64_t now = now_ms < 0 ? 0 : (uint64_t)now_ms;
    return now >= ms && now - ms >= (uint64_t)producers->seconds * 1000;
}

static const struct stream_producer *find(const struct stream_producers *producers, struct bytes name) {
    struct stream_spot spot;
    if (!stream_named_seek(&producers->list, name, &spot)) return NULL;
    return producer_of(stream_named_at(&producers->list, spot));
}

/* The place of the id that this key leads to. */
static bool find_key(const struct stream_producer *producer, const struct hash_seed *seed,
                     const struct id_key *key, uint64_t *place) {
    struct tree_item item;
    uint32_t age;
    if (producer->places.count == 0 ||
        !tree_look_up(&producer->places, hash_bytes(seed, key->bytes), key->bytes, &item))
        return false;
    assert(item.parts[1].len == sizeof age);
    memcpy(&age, item.parts[1].data, sizeof age);
    *place = (uint32_t)(age - producer->oldest);
    assert(*place < producer->list.count); /* 1 */
    return true;
}

struct bytes stream_producer_id(const struct stream_producer *producer, uint64_t place,
                                struct stream_id *entry) {
    struct tree_cursor cursor;
    struct tree_item item;
    tree_select(&cursor, &producer->list, place);
    tree_get(&cursor, &item);
    return id_of(&item, entry);
}

bool stream_producers_know(const struct stream_producers *producers, const struct hash_seed *seed,
                           const struct stream_once *once, struct stream_id *entry) {
    const struct stream_producer *producer = producers ? find(producers, once->producer) : NULL;
    struct id_key key;
    uint64_t place;
    if (producer == NULL) return false;
    make_key(&key, once->id);
    if (!find_key(producer, seed, &key, &place)) return false;
    if (!bytes_equal(stream_producer_id(producer, place, entry), once->id)) return false;
    return !is_over(producers, entry->ms, once->now_ms);
}

bool stream_producers_has(const struct stream_producers *producers, struct bytes name) {
    return find(producers, name);
}

bool stream_producer_has(const struct stream_producer *producer, const struct hash_seed *seed,
                         struct bytes id) {
    struct id_key key;
    uint64_t place;
    make_key(&key, id);
    return find_key(producer, seed, &key, &place);
}

size_t stream_producers_memory(const struct stream_producers *producers) {
    if (producers == NULL) return 0;
    return node_bytes(sizeof *producers) + stream_chunks_memory(&producers->list.chunks) + producers->bytes;
}

/* ---- Producers ------------------------------------------------------------------------------------ */

struct stream_producers *stream_producers_new(struct heap *heap, struct stream_idmp_limits limits) {
    struct stream_producers *producers = node_alloc(heap, sizeof *producers);
    if (producers == NULL) return NULL;
    *producers = *stream_producers_or_none(NULL);
    assert(limits.seconds <= STREAM_IDMP_SECONDS && limits.most <= STREAM_IDMP_MOST);
    if (limits.seconds) producers->seconds = limits.seconds;
    if (limits.most) producers->most = limits.most;
    return producers;
}

struct stream_producers *stream_producers_fork(const struct stream_producers *from, struct heap *heap) {
    struct stream_producers *to = node_alloc(heap, sizeof *to);
    if (to == NULL) return NULL;
    *to = *from;
    to->list = (struct stream_named_list){.count = 0};
    if (stream_named_share(to, &to->list, &from->list)) return to;
    node_free(to);
    return NULL;
}

static void producer_release(struct stream_producer *producer, struct graves *graves) {
    if (!stream_named_release(&producer->head)) return;
    tree_release(&producer->list, graves);
    tree_release(&producer->places, graves);
    stream_named_free(&producer->head);
}

static bool bury_producer(struct stream_named *named, struct graves *graves, unsigned *budget) {
    --*budget;
    producer_release(producer_of(named), graves);
    return true;
}

bool stream_producers_bury(struct stream_producers **producers, struct graves *graves, unsigned *budget) {
    struct stream_producers *gone = *producers;
    if (gone == NULL) return true;
    if (!stream_named_bury(gone, &gone->list, bury_producer, graves, budget)) return false;
    node_free(gone);
    *producers = NULL;
    return true;
}

static struct stream_producer *put_producer(struct stream_producers *producers,
                                            const struct tree_context *context, struct bytes name,
                                            struct stream_spot spot) {
    struct stream_producer *producer = stream_named_new(context->heap, sizeof *producer, name, NULL);
    if (producer == NULL) return NULL;
    producer->list = tree_empty(TREE_LIST);
    producer->places = tree_empty(TREE_HASH);
    if (!stream_named_put(producers, &producers->list, context->heap, spot, &producer->head)) {
        stream_named_free(&producer->head);
        return NULL;
    }
    producers->bytes += bytes_taken(producer);
    return producer;
}

struct stream_producer *stream_producers_add(struct stream_producers *producers,
                                             const struct tree_context *context, struct bytes name) {
    struct stream_spot spot;
    bool found = stream_named_seek(&producers->list, name, &spot);
    assert(!found && name.len > 0);
    return put_producer(producers, context, name, spot);
}

/* Takes a producer out of a chunk that is the list's own. */
static void drop_producer(struct stream_producers *producers, const struct tree_context *context,
                          struct stream_spot spot) {
    struct stream_producer *producer = producer_of(stream_named_take(&producers->list, spot));
    assert(producers->ids >= producer->list.count && producers->bytes >= bytes_taken(producer)); /* 3 */
    producers->ids -= producer->list.count;
    producers->bytes -= bytes_taken(producer);
    producer_release(producer, context->graves);
}

/* Makes the producer at this spot the stream's own. */
static struct stream_producer *own_producer(struct stream_producers *producers,
                                            const struct tree_context *context, struct stream_spot spot) {
    if (!stream_named_own(&producers->list, context->heap, spot)) return NULL;
    struct stream_producer *from = producer_of(stream_named_at(&producers->list, spot));
    if (!stream_named_shared(&from->head)) return from;
    struct stream_producer *to = stream_named_new(context->heap, sizeof *to, BYTES(""), from->head.name);
    if (to == NULL) return NULL;
    __atomic_store_n(&from->head.forked, true, __ATOMIC_RELAXED);
    tree_fork(&to->list, &from->list);
    tree_fork(&to->places, &from->places);
    to->long_bytes = from->long_bytes;
    to->newest_ms = from->newest_ms;
    to->oldest = from->oldest;
    stream_named_swap(&producers->list, spot, &to->head);
    producer_release(from, context->graves);
    return to;
}

/* ---- Ids ------------------------------------------------------------------------------------------ */

/* Forgets the first id, or the last one, which was put in since anything else was changed: for that it takes no memory.
 * False without memory, and then it is known as before. */
static bool forget(struct stream_producer *producer, const struct tree_context *context, enum tree_end end) {
    struct tree_item item;
    struct stream_id entry;
    struct id_key key;
    assert(producer->list.count > 0 && producer->list.count == producer->places.count); /* 1 */
    tree_get_end(&producer->list, end, &item);
    make_key(&key, id_of(&item, &entry));
    uint32_t age = producer->oldest + (end == TREE_FRONT ? 0 : (uint32_t)producer->list.count - 1);
    size_t bytes = item.blocks[0] ? block_memory(item.blocks[0]) : 0;
    struct tree_item place = key_item(&key, context->seed, &age);
    /* What was put in anew can be taken out without memory. To put it in may take some, also where nothing is shared. */
    if (end == TREE_FRONT && is_forked(producer) &&
        tree_put(&producer->places, context, &place, true) == TREE_NO_MEMORY)
        return false;
    if (!tree_pop(&producer->list, context, end)) return false;
    bool removed = tree_remove(&producer->places, context, &place) == TREE_REMOVED;
    assert(removed && producer->long_bytes >= bytes); /* 4 */
    producer->long_bytes -= bytes;
    if (end == TREE_FRONT) producer->oldest++;
    return true;
}

/* Puts an id behind the others, which is none of them. */
static bool put_id(struct stream_producer *producer, const struct tree_context *context, struct bytes id,
                   struct stream_id entry) {
    char few[ELEMENT_INLINE_MAX];
    struct id_key key;
    size_t len = ENTRY_BYTES + id.len;
    struct block *block = len > sizeof few ? block_new_full(len, len) : NULL;
    if (len > sizeof few && block == NULL) return false;
    char *at = block ? block->data : few;
    memcpy(at, &entry.ms, 8);
    memcpy(at + 8, &entry.sequence, 8);
    memcpy(at + ENTRY_BYTES, id.data, id.len);
    size_t bytes = block ? block_memory(block) : 0;
    struct tree_item item = {.parts = {{at, len}}, .blocks = {block}};
    bool done = tree_push(&producer->list, context, &item, TREE_BACK);
    if (block) block_release(block); /* a leaf has a reference of its own */
    if (!done) return false;
    uint32_t age = producer->oldest + (uint32_t)producer->list.count - 1;
    make_key(&key, id);
    item = key_item(&key, context->seed, &age);
    enum tree_changed changed = tree_put(&producer->places, context, &item, false);
    assert(changed == TREE_ADDED || changed == TREE_NO_MEMORY); /* 1 */
    if (changed == TREE_NO_MEMORY) {
        done = tree_pop(&producer->list, context, TREE_BACK);
        assert(done);
        return false;
    }
    producer->long_bytes += bytes;
    if (producer->newest_ms < entry.ms) producer->newest_ms = entry.ms;
    return true;
}

/* Makes room for an id: it is not known then, and there are fewer than `most`. */
static bool make_room(const struct stream_producers *producers, struct stream_producer *producer,
                      const struct tree_context *context, const struct stream_once *once) {
    enum { OVER_AT_ONCE = 16 };
    struct stream_id first;
    struct id_key key;
    uint64_t place, gone = 0;
    make_key(&key, once->id);
    /* It is known and over, and so are those before it, unless XIDMPRECORD or a file has put it behind later ones. */
    if (find_key(producer, context->seed, &key, &place)) gone = place + 1;
    if (producer->list.count - gone >= producers->most) gone = producer->list.count - producers->most + 1;
    for (; gone > 0; gone--)
        if (!forget(producer, context, TREE_FRONT)) return false;
    for (unsigned i = 0; i < OVER_AT_ONCE && producer->list.count > 0; i++) {
        stream_producer_id(producer, 0, &first);
        if (!is_over(producers, first.ms, once->now_ms)) break;
        if (!forget(producer, context, TREE_FRONT)) return false;
    }
    return true;
}

/* The spot of one of the producers, of whom there are some. The numbers are those of a linear congruence (Knuth, MMIX): so
 * they are the same ones when a file is run. */
static struct stream_spot spot_by_chance(struct stream_producers *producers) {
    const struct stream_chunks *chunks = &producers->list.chunks;
    uint64_t chance = producers->chance * 6364136223846793005u + 1442695040888963407u;
    struct stream_spot spot = {.chunk = (uint32_t)((chance >> 32) * chunks->count >> 32)};
    spot.at = (uint32_t)((chance >> 16 & UINT32_MAX) * chunks->list[spot.chunk]->count >> 32);
    producers->chance = chance;
    return spot;
}

/* Looks at a few producers, and forgets those all of whose ids are over. Where there is no memory they stay. */
static void sweep(struct stream_producers *producers, const struct tree_context *context, int64_t now_ms) {
    enum { AT_ONCE = 2 };
    for (unsigned i = 0; i < AT_ONCE && producers->list.count > 0; i++) {
        struct stream_spot spot = spot_by_chance(producers);
        const struct stream_producer *producer = producer_of(stream_named_at(&producers->list, spot));
        if (!is_over(producers, producer->newest_ms, now_ms)) continue;
        if (!stream_named_own(&producers->list, context->heap, spot)) return;
        drop_producer(producers, context, spot);
    }
}

/* What a producer has after a change, where these were his ids and bytes before. */
static void account(struct stream_producers *producers, const struct stream_producer *producer, uint64_t ids,
                    uint64_t bytes) {
    producers->ids += producer->list.count - ids;
    producers->bytes += bytes_taken(producer) - bytes;
}

bool stream_producers_note(struct stream_producers *producers, const struct tree_context *context,
                           const struct stream_once *once, struct stream_id entry) {
    struct stream_spot spot;
    assert(once->producer.len > 0 && once->id.len > 0 && producers->most > 0);
    sweep(producers, context, once->now_ms);
    bool there = stream_named_seek(&producers->list, once->producer, &spot);
    struct stream_producer *producer = there ? own_producer(producers, context, spot)
                                             : put_producer(producers, context, once->producer, spot);
    if (producer == NULL) return false;
    uint64_t ids = producer->list.count, bytes = bytes_taken(producer);
    bool done = make_room(producers, producer, context, once) && put_id(producer, context, once->id, entry);
    account(producers, producer, ids, bytes);
    if (done) {
        producers->added++;
        return true;
    }
    if (producer->list.count > 0) return false;
    there = stream_named_seek(&producers->list, once->producer, &spot); /* where it was put */
    assert(there);
    drop_producer(producers, context, spot);
    return false;
}

void stream_producers_undo(struct stream_producers *producers, const struct tree_context *context,
                           struct bytes name) {
    struct stream_spot spot;
    bool there = stream_named_seek(&producers->list, name, &spot);
    assert(there && producers->added > 0);
    struct stream_producer *producer = producer_of(stream_named_at(&producers->list, spot));
    uint64_t ids = producer->list.count, bytes = bytes_taken(producer);
    bool done = forget(producer, context, TREE_BACK);
    assert(done);
    producers->added--;
    account(producers, producer, ids, bytes);
    if (producer->list.count == 0) drop_producer(producers, context, spot);
}

bool stream_producers_load(struct stream_producers *producers, const struct tree_context *context,
                           struct stream_producer *producer, struct bytes id, struct stream_id entry) {
    uint64_t ids = producer->list.count, bytes = bytes_taken(producer);
    assert(id.len > 0);
    bool done = put_id(producer, context, id, entry);
    if (done && producer->list.count > producers->most) done = forget(producer, context, TREE_FRONT);
    account(producers, producer, ids, bytes);
    return done;
}
