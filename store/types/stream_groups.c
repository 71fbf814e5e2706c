/* stream_groups.c - groups, consumers and pending entries. */
#include "store/types/stream_groups.h"

#include <stdlib.h>

#include "store/memory/memory.h"

static struct stream_group *group_of(struct stream_named *named) {
    return (struct stream_group *)(void *)named;
}
static struct stream_consumer *consumer_of(struct stream_named *named) {
    return (struct stream_consumer *)(void *)named;
}

static bool is_shared(const struct stream_named *named) {
    return __atomic_load_n(&named->references, __ATOMIC_ACQUIRE) > 1;
}
static void retain(struct stream_named *named) {
    uint32_t references = __atomic_fetch_add(&named->references, 1, __ATOMIC_RELAXED);
    assert(references > 0 && references < UINT32_MAX); /* 1 */
}
/* True if it was the last reference. */
static bool release(struct stream_named *named) {
    uint32_t references = __atomic_fetch_sub(&named->references, 1, __ATOMIC_ACQ_REL);
    assert(references > 0); /* 1 */
    return references == 1;
}
static bool is_forked(const struct stream_named *named) {
    return __atomic_load_n(&named->forked, __ATOMIC_RELAXED);
}

/* ---- Lists ---------------------------------------------------------------------------------------- */

/* The place of a name, or where it would be. */
static uint32_t place_of(const struct stream_named_list *list, struct bytes name, bool *found) {
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = bytes_compare(stream_name_of(list->items[middle]), name);
        if ((*found = order == 0)) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

/* Makes room for one more. `owner` refers to the memory. */
static bool list_room(void *owner, struct stream_named_list *list) {
    enum { LEAST = 4 };
    if (list->count < list->capacity) return true;
    if (list->capacity > UINT32_MAX / 2) return false;
    uint32_t capacity = list->capacity ? list->capacity * 2 : LEAST;
    struct stream_named **items = memory_resize(list->items, capacity * sizeof *items);
    if (items == NULL) return false;
    node_refers(owner, (int64_t)((capacity - list->capacity) * sizeof *items));
    list->items = items;
    list->capacity = capacity;
    return true;
}

static void list_put(struct stream_named_list *list, uint32_t place, struct stream_named *item) {
    assert(list->count < list->capacity && place <= list->count);
    memmove(list->items + place + 1, list->items + place, (list->count - place) * sizeof *list->items);
    list->items[place] = item;
    list->count++;
}

static void list_take(struct stream_named_list *list, uint32_t place) {
    assert(place < list->count);
    list->count--;
    memmove(list->items + place, list->items + place + 1, (list->count - place) * sizeof *list->items);
}

/* The same items with a reference more each, in an empty list. */
static bool list_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from) {
    assert(to->items == NULL);
    if (from->count == 0) return true;
    to->items = memory_resize(NULL, from->count * sizeof *to->items);
    if (to->items == NULL) return false;
    node_refers(owner, (int64_t)(from->count * sizeof *to->items));
    memcpy(to->items, from->items, from->count * sizeof *to->items);
    to->count = to->capacity = from->count;
    for (uint32_t i = 0; i < to->count; i++) retain(to->items[i]);
    return true;
}

static void list_free(void *owner, struct stream_named_list *list) {
    assert(list->count == 0);
    if (list->items) node_refers(owner, -(int64_t)(list->capacity * sizeof *list->items));
    free(list->items);
    *list = (struct stream_named_list){.items = NULL};
}

/* A node for a group or consumer, of which the head is made. The name is copied, or, where there is a block, shared. */
static void *new_named(struct heap *heap, size_t size, struct bytes name, struct block *block) {
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

static void free_named(struct stream_named *named) {
    node_refers(named, -(int64_t)block_memory(named->name));
    block_release(named->name);
    node_free(named);
}

static void consumer_release(struct stream_named *named, struct graves *graves) {
    if (!release(named)) return;
    tree_release(&consumer_of(named)->pending, graves);
    free_named(named);
}

static int64_t slots_bytes(const struct stream_group *group) {
    return (int64_t)(group->slot_count * sizeof *group->slots);
}

/* Gives consumers back, each counted down from the budget. True when there are none left, and the group's node is gone. */
static bool group_bury(struct stream_group *group, struct graves *graves, unsigned *budget) {
    tree_release(&group->pending, graves);
    for (; group->consumers.count > 0; --*budget) {
        if (*budget == 0) return false;
        consumer_release(group->consumers.items[--group->consumers.count], graves);
    }
    list_free(group, &group->consumers);
    node_refers(group, -slots_bytes(group));
    free(group->slots);
    free_named(&group->head);
    return true;
}

static void group_release(struct stream_group *group, struct graves *graves) {
    unsigned budget = UINT32_MAX;
    if (release(&group->head)) group_bury(group, graves, &budget);
}

/* ---- Pending entries: bytes ----------------------------------------------------------------------- */

enum { TIME_BYTES = 6, PENDING_MOST = 5 + TIME_BYTES + 8 };

/* The consumer's number in groups of seven bits, the time, the count's bytes from the lowest on as far as there are any. */
static size_t write_pending(char *at, const struct stream_pending *pending) {
    char *begin = at;
    uint32_t number = pending->consumer;
    assert(pending->time_ms >= 0 && pending->time_ms <= STREAM_TIME_MAX);
    for (; number >= 128; number >>= 7) *at++ = (char)(number | 128);
    *at++ = (char)number;
    for (unsigned i = 0; i < TIME_BYTES; i++) *at++ = (char)(pending->time_ms >> 8 * i);
    for (uint64_t count = pending->count; count; count >>= 8) *at++ = (char)count;
    return (size_t)(at - begin);
}

static void read_pending(const struct tree_item *item, struct stream_pending *pending) {
    const unsigned char *at = (const unsigned char *)item->parts[0].data, *end = at + item->parts[0].len;
    *pending = (struct stream_pending){.id = stream_id_of(item)};
    for (unsigned shift = 0;; shift += 7) {
        pending->consumer |= (uint32_t)(*at & 127) << shift;
        if (*at++ < 128) break;
    }
    assert(end - at >= TIME_BYTES);
    for (unsigned i = 0; i < TIME_BYTES; i++) pending->time_ms |= (int64_t)*at++ << 8 * i;
    for (unsigned shift = 0; at < end; shift += 8) pending->count |= (uint64_t)*at++ << shift;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

const struct stream_group *stream_group_find(const struct stream_named_list *groups, struct bytes name) {
    bool found;
    uint32_t place = place_of(groups, name, &found);
    return found ? group_of(groups->items[place]) : NULL;
}

const struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct bytes name) {
    bool found;
    uint32_t place = place_of(&group->consumers, name, &found);
    return found ? consumer_of(group->consumers.items[place]) : NULL;
}

bool stream_pending_find(const struct stream_group *group, struct stream_id id,
                         struct stream_pending *pending) {
    struct tree_cursor cursor;
    struct tree_item item;
    if (group->pending.count == 0) return false;
    tree_get_end(&group->pending, TREE_FRONT, &item); /* what is acknowledged is the oldest, mostly */
    if (stream_id_compare(stream_id_of(&item), id) != 0) {
        if (!stream_seek(&cursor, &group->pending, id)) return false;
        tree_get(&cursor, &item);
    }
    read_pending(&item, pending);
    return true;
}

void stream_pending_walk(struct stream_pending_walk *walk, const struct stream_group *group,
                         const struct stream_consumer *consumer, struct stream_id from) {
    walk->group = group;
    walk->of_consumer = consumer;
    stream_seek(&walk->cursor, consumer ? &consumer->pending : &group->pending, from);
}

bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *pending) {
    struct tree_item item;
    if (walk->cursor.leaf == NULL) return false;
    tree_get(&walk->cursor, &item);
    tree_next(&walk->cursor);
    if (walk->of_consumer) {
        bool found = stream_pending_find(walk->group, stream_id_of(&item), pending);
        assert(found); /* 2 */
    } else {
        read_pending(&item, pending);
    }
    return true;
}

bool stream_pending_next_id(struct stream_pending_walk *walk, struct stream_id *id) {
    struct tree_item item;
    if (walk->cursor.leaf == NULL) return false;
    tree_get(&walk->cursor, &item);
    tree_next(&walk->cursor);
    *id = stream_id_of(&item);
    return true;
}

uint64_t stream_pending_between(const struct tree *pending, struct stream_id from, struct stream_id to) {
    if (pending->count == 0 || stream_id_compare(from, to) > 0) return 0;
    uint64_t through = stream_id_next(&to) ? stream_rank(pending, to) : pending->count;
    return through - stream_rank(pending, from);
}

/* ---- Groups --------------------------------------------------------------------------------------- */

struct stream_group *stream_group_add(void *owner, struct stream_named_list *groups,
                                      const struct tree_context *context, struct bytes name) {
    bool found;
    uint32_t place = place_of(groups, name, &found);
    assert(!found); /* 3 */
    if (!list_room(owner, groups)) return NULL;
    struct stream_group *group = new_named(context->heap, sizeof *group, name, NULL);
    if (group == NULL) return NULL;
    group->pending = tree_empty(TREE_STREAM);
    group->read = STREAM_READ_UNKNOWN;
    list_put(groups, place, &group->head);
    return group;
}

void stream_group_remove(struct stream_named_list *groups, const struct tree_context *context,
                         struct bytes name) {
    bool found;
    uint32_t place = place_of(groups, name, &found);
    assert(found);
    struct stream_group *group = group_of(groups->items[place]);
    list_take(groups, place);
    group_release(group, context->graves);
}

/* The slots of a fork, by what its consumers say. */
static bool share_slots(struct stream_group *to, const struct stream_group *from) {
    if (from->slot_count == 0) return true;
    to->slots = memory_resize(NULL, from->slot_count * sizeof *to->slots);
    if (to->slots == NULL) return false;
    memcpy(to->slots, from->slots, from->slot_count * sizeof *to->slots);
    to->slot_count = from->slot_count;
    to->used_below = from->used_below;
    node_refers(to, slots_bytes(to));
    return true;
}

static struct stream_group *group_fork(struct stream_group *from, const struct tree_context *context) {
    struct stream_group *to = new_named(context->heap, sizeof *to, BYTES(""), from->head.name);
    if (to == NULL) return NULL;
    to->pending = tree_empty(TREE_STREAM);
    if (!list_share(to, &to->consumers, &from->consumers) || !share_slots(to, from)) {
        group_release(to, context->graves);
        return NULL;
    }
    __atomic_store_n(&from->head.forked, true, __ATOMIC_RELAXED);
    tree_fork(&to->pending, &from->pending);
    to->last = from->last;
    to->read = from->read;
    return to;
}

struct stream_group *stream_group_edit(struct stream_named_list *groups, const struct tree_context *context,
                                       struct bytes name) {
    bool found;
    uint32_t place = place_of(groups, name, &found);
    assert(found);
    struct stream_group *group = group_of(groups->items[place]);
    if (!is_shared(&group->head)) return group;
    struct stream_group *own = group_fork(group, context);
    if (own == NULL) return NULL;
    groups->items[place] = &own->head;
    group_release(group, context->graves);
    return own;
}

/* ---- Consumers ------------------------------------------------------------------------------------ */

/* A number that is free; slots grow where there is none. UINT32_MAX without memory. */
static uint32_t free_slot(struct stream_group *group) {
    enum { LEAST = 4 };
    uint32_t i = group->used_below;
    while (i < group->slot_count && group->slots[i]) i++;
    group->used_below = i;
    if (i < group->slot_count) return i;
    if (group->slot_count > UINT32_MAX / 4) return UINT32_MAX;
    uint32_t count = group->slot_count ? group->slot_count * 2 : LEAST;
    struct stream_consumer **slots = memory_resize(group->slots, count * sizeof *slots);
    if (slots == NULL) return UINT32_MAX;
    memset(slots + group->slot_count, 0, (count - group->slot_count) * sizeof *slots);
    node_refers(group, (int64_t)((count - group->slot_count) * sizeof *slots));
    group->slots = slots;
    group->slot_count = count;
    return i;
}

static struct stream_consumer *add_consumer(struct stream_group *group, const struct tree_context *context,
                                            struct bytes name, uint32_t place) {
    if (!list_room(group, &group->consumers)) return NULL;
    uint32_t number = free_slot(group);
    if (number == UINT32_MAX) return NULL;
    struct stream_consumer *consumer = new_named(context->heap, sizeof *consumer, name, NULL);
    if (consumer == NULL) return NULL;
    consumer->head.number = number;
    consumer->pending = tree_empty(TREE_STREAM);
    group->slots[number] = consumer;
    list_put(&group->consumers, place, &consumer->head);
    return consumer;
}

/* Makes the consumer at this place the group's own. */
static struct stream_consumer *own_consumer(struct stream_group *group, const struct tree_context *context,
                                            uint32_t place) {
    struct stream_consumer *from = consumer_of(group->consumers.items[place]);
    assert(!is_shared(&group->head)); /* 1 */
    if (!is_shared(&from->head)) return from;
    struct stream_consumer *to = new_named(context->heap, sizeof *to, BYTES(""), from->head.name);
    if (to == NULL) return NULL;
    __atomic_store_n(&from->head.forked, true, __ATOMIC_RELAXED);
    to->head.number = from->head.number;
    to->seen_ms = from->seen_ms;
    tree_fork(&to->pending, &from->pending);
    group->consumers.items[place] = &to->head;
    group->slots[to->head.number] = to;
    consumer_release(&from->head, context->graves);
    return to;
}

struct stream_consumer *stream_consumer_edit(struct stream_group *group, const struct tree_context *context,
                                             struct bytes name, bool *created) {
    bool found;
    uint32_t place = place_of(&group->consumers, name, &found);
    assert(!is_shared(&group->head)); /* 1 */
    *created = !found;
    return found ? own_consumer(group, context, place) : add_consumer(group, context, name, place);
}

/* The consumer with this number, the group's own. */
static struct stream_consumer *own_slot(struct stream_group *group, const struct tree_context *context,
                                        uint32_t number) {
    bool found;
    assert(number < group->slot_count && group->slots[number]);
    struct stream_consumer *consumer = group->slots[number];
    if (!is_shared(&consumer->head)) return consumer;
    uint32_t place = place_of(&group->consumers, stream_name_of(&consumer->head), &found);
    assert(found); /* 3 */
    return own_consumer(group, context, place);
}

/* ---- Pending entries ------------------------------------------------------------------------------ */

static struct tree_item number_item(struct stream_id id) {
    return (struct tree_item){.key = stream_key(id)};
}

/* Puts an item into a tree by numbers; behind all others, as most are, without looking for its place. */
static enum tree_changed put_item(struct tree *tree, const struct tree_context *context,
                                  const struct tree_item *item) {
    struct tree_item last;
    if (tree->count > 0) {
        tree_get_end(tree, TREE_BACK, &last);
        if (stream_id_compare(stream_id_of(&last), stream_id_of(item)) >= 0)
            return tree_put(tree, context, item, true);
    }
    return tree_push(tree, context, item, TREE_BACK) ? TREE_ADDED : TREE_NO_MEMORY;
}

/* Takes an item out of a tree none of whose nodes on the way to it are shared. The first item needs no search. */
static void take_item(struct tree *tree, const struct tree_context *context, const struct tree_item *item) {
    struct tree_item first;
    assert(tree->count > 0);
    tree_get_end(tree, TREE_FRONT, &first);
    bool done = stream_id_compare(stream_id_of(&first), stream_id_of(item)) == 0
                    ? tree_pop(tree, context, TREE_FRONT)
                    : tree_remove(tree, context, item) == TREE_REMOVED;
    assert(done); /* 4 */
}

/* Puts in anew what is in a tree: then it can be taken out without memory. */
static bool may_take(const struct stream_named *named, struct tree *tree, const struct tree_context *context,
                     const struct tree_item *item) {
    return !is_forked(named) || tree_put(tree, context, item, true) != TREE_NO_MEMORY;
}

static bool put_pending(struct stream_group *group, const struct tree_context *context,
                        const struct stream_pending *pending) {
    char bytes[PENDING_MOST];
    struct tree_item item = number_item(pending->id);
    item.parts[0] = (struct bytes){bytes, write_pending(bytes, pending)};
    return put_item(&group->pending, context, &item) != TREE_NO_MEMORY;
}

bool stream_pending_put(struct stream_group *group, const struct tree_context *context,
                        const struct stream_pending *pending) {
    struct stream_pending before;
    struct tree_item number = number_item(pending->id);
    struct tree_item last;
    bool there = false;
    assert(!is_shared(&group->head)); /* 1 */
    if (group->pending.count > 0) {
        tree_get_end(&group->pending, TREE_BACK, &last);
        there = stream_id_compare(stream_id_of(&last), pending->id) >= 0 &&
                stream_pending_find(group, pending->id, &before);
    }
    if (there && before.consumer == pending->consumer) return put_pending(group, context, pending);
    struct stream_consumer *consumer = own_slot(group, context, pending->consumer);
    struct stream_consumer *old = there ? own_slot(group, context, before.consumer) : NULL;
    if (consumer == NULL || (there && old == NULL)) return false;
    if (there && !may_take(&old->head, &old->pending, context, &number)) return false;
    enum tree_changed changed = put_item(&consumer->pending, context, &number);
    assert(changed != TREE_REPLACED); /* 2 */
    if (changed == TREE_NO_MEMORY) return false;
    bool done = put_pending(group, context, pending);
    struct stream_consumer *loser = done ? old : consumer;
    if (loser) take_item(&loser->pending, context, &number);
    return done;
}

bool stream_pending_remove(struct stream_group *group, const struct tree_context *context,
                           const struct stream_pending *pending) {
    char bytes[PENDING_MOST];
    struct tree_item item = number_item(pending->id), number = item;
    struct stream_consumer *consumer = own_slot(group, context, pending->consumer);
    assert(!is_shared(&group->head)); /* 1 */
    item.parts[0] = (struct bytes){bytes, write_pending(bytes, pending)};
    if (consumer == NULL || !may_take(&consumer->head, &consumer->pending, context, &number) ||
        !may_take(&group->head, &group->pending, context, &item))
        return false;
    take_item(&consumer->pending, context, &number);
    take_item(&group->pending, context, &item);
    return true;
}

/* Whose an entry is, which is found on the way to it. */
struct taking {
    struct stream_group *group;
    const struct tree_context *context;
    struct stream_consumer *consumer;
};

static bool see_pending(void *seer, const struct tree_item *found) {
    struct taking *taking = seer;
    struct stream_pending pending;
    read_pending(found, &pending);
    struct tree_item number = number_item(pending.id);
    struct stream_consumer *consumer = own_slot(taking->group, taking->context, pending.consumer);
    taking->consumer = consumer;
    return consumer && may_take(&consumer->head, &consumer->pending, taking->context, &number);
}

bool stream_pending_take(struct stream_group *group, const struct tree_context *context, struct stream_id id,
                         bool *there) {
    struct taking taking = {.group = group, .context = context};
    struct tree_item number = number_item(id), first;
    struct stream_pending pending;
    assert(!is_shared(&group->head)); /* 1 */
    *there = false;
    if (group->pending.count == 0) return true;
    tree_get_end(&group->pending, TREE_FRONT, &first);
    if (is_forked(&group->head) || stream_id_compare(stream_id_of(&first), id) == 0) {
        *there = stream_pending_find(group, id, &pending);
        return !*there || stream_pending_remove(group, context, &pending);
    }
    enum tree_changed changed = tree_remove_seen(&group->pending, context, &number, see_pending, &taking);
    *there = changed != TREE_UNCHANGED;
    if (changed == TREE_REMOVED) take_item(&taking.consumer->pending, context, &number);
    return changed != TREE_NO_MEMORY;
}

bool stream_consumer_remove(struct stream_group *group, const struct tree_context *context,
                            struct bytes name) {
    bool found;
    uint32_t place = place_of(&group->consumers, name, &found);
    assert(found && !is_shared(&group->head)); /* 1 */
    struct stream_consumer *consumer = own_consumer(group, context, place);
    if (consumer == NULL) return false;
    while (consumer->pending.count > 0) {
        struct tree_item item;
        struct stream_pending pending;
        tree_get_end(&consumer->pending, TREE_FRONT, &item);
        bool there = stream_pending_find(group, stream_id_of(&item), &pending);
        assert(there && pending.consumer == consumer->head.number); /* 2 */
        if (!stream_pending_remove(group, context, &pending)) return false;
    }
    group->slots[consumer->head.number] = NULL;
    if (consumer->head.number < group->used_below) group->used_below = consumer->head.number;
    list_take(&group->consumers, place);
    consumer_release(&consumer->head, context->graves);
    return true;
}

/* ---- All groups of a stream ----------------------------------------------------------------------- */

bool stream_groups_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from) {
    return list_share(owner, to, from);
}

bool stream_groups_bury(void *owner, struct stream_named_list *groups, struct graves *graves,
                        unsigned *budget) {
    while (groups->count > 0) {
        struct stream_group *group = group_of(groups->items[groups->count - 1]);
        if (*budget == 0) return false;
        --*budget;
        /* Of one that nobody else has the reference goes with the last consumer. */
        if (!is_shared(&group->head)) {
            if (!group_bury(group, graves, budget)) return false;
        } else {
            group_release(group, graves);
        }
        groups->count--;
    }
    list_free(owner, groups);
    return true;
}

static size_t named_memory(const struct stream_named *named, size_t size) {
    return node_bytes(size) + block_memory(named->name);
}

size_t stream_groups_memory(const struct stream_named_list *groups) {
    size_t bytes = groups->capacity * sizeof *groups->items;
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct stream_group *group = stream_group_at(groups, i);
        bytes += named_memory(&group->head, sizeof *group) + group->pending.bytes +
                 group->consumers.capacity * sizeof *group->consumers.items + (size_t)slots_bytes(group);
        for (uint32_t k = 0; k < group->consumers.count; k++) {
            const struct stream_consumer *consumer = stream_consumer_at(group, k);
            bytes += named_memory(&consumer->head, sizeof *consumer) + consumer->pending.bytes;
        }
    }
    return bytes;
}
