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
static bool is_forked(const struct stream_named *named) {
    return __atomic_load_n(&named->forked, __ATOMIC_RELAXED);
}

/* ---- Giving back ---------------------------------------------------------------------------------- */

static void consumer_release(struct stream_named *named, struct graves *graves) {
    if (!stream_named_release(named)) return;
    tree_release(&consumer_of(named)->pending, graves);
    stream_named_free(named);
}

static bool bury_consumer(struct stream_named *named, struct graves *graves, unsigned *budget) {
    --*budget;
    consumer_release(named, graves);
    return true;
}

static void leavers_free(struct stream_group *group) {
    struct stream_leavers *leavers = &group->leavers;
    assert(leavers->count == 0);
    if (leavers->list) node_refers(group, -(int64_t)(leavers->capacity * sizeof *leavers->list));
    free(leavers->list);
    *leavers = (struct stream_leavers){.list = NULL};
}

static void leavers_bury(struct stream_group *group, struct graves *graves) {
    struct stream_leavers *leavers = &group->leavers;
    while (leavers->count > 0) tree_release(&leavers->list[--leavers->count].pending, graves);
    leavers_free(group);
}

/* True when the group's node is gone. */
static bool group_bury(struct stream_group *group, struct graves *graves, unsigned *budget) {
    tree_release(&group->pending, graves);
    leavers_bury(group, graves);
    if (!stream_named_bury(group, &group->consumers, bury_consumer, graves, budget)) return false;
    if (!stream_slots_bury(group, &group->slots, budget)) return false;
    stream_named_free(&group->head);
    return true;
}

/* Of one that others have, too, the reference goes at once; of another, with the last consumer. */
static bool bury_group(struct stream_named *named, struct graves *graves, unsigned *budget) {
    --*budget;
    if (stream_named_shared(named) && !stream_named_release(named)) return true;
    return group_bury(group_of(named), graves, budget);
}

static void group_release(struct stream_group *group, struct graves *graves) {
    unsigned budget = UINT32_MAX;
    if (stream_named_release(&group->head)) group_bury(group, graves, &budget);
}

/* ---- Pending entries: how they are kept ----------------------------------------------------------- */

static struct tree_item number_item(struct stream_id id) {
    return (struct tree_item){.key = stream_key(id)};
}

/* What most entries have is 0: no owner, and a count of one. */
static uint64_t code_of_count(uint64_t count) {
    return count < 2 ? 1 - count : count;
}

static struct tree_item pending_item(const struct stream_pending *pending) {
    struct tree_item item = number_item(pending->id);
    assert(pending->time_ms >= 0 && pending->time_ms <= STREAM_TIME_MAX);
    item.numbers[0] = (uint64_t)pending->time_ms;
    item.numbers[1] = (uint32_t)(pending->consumer + 1);
    item.numbers[2] = code_of_count(pending->count);
    return item;
}
_Static_assert(STREAM_UNOWNED == UINT32_MAX, "the number behind it is 0");
_Static_assert(STREAM_TIME_MAX <= ROW_TIME_MAX, "a row has room for it");

static void read_pending(const struct tree_item *item, struct stream_pending *pending) {
    *pending = (struct stream_pending){.id = stream_id_of(item),
                                       .consumer = (uint32_t)item->numbers[1] - 1,
                                       .time_ms = (int64_t)item->numbers[0],
                                       .count = code_of_count(item->numbers[2])};
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* NULL: there is none with this name. */
static struct stream_named *find(const struct stream_named_list *list, struct bytes name) {
    struct stream_spot spot;
    return stream_named_seek(list, name, &spot) ? stream_named_at(list, spot) : NULL;
}

const struct stream_group *stream_group_find(const struct stream_named_list *groups, struct bytes name) {
    return group_of(find(groups, name));
}

const struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct bytes name) {
    return consumer_of(find(&group->consumers, name));
}

/* The number was a leaver's. */
static bool has_left(const struct stream_group *group, const struct stream_pending *pending) {
    return group->leavers.count > 0 && pending->consumer != STREAM_UNOWNED &&
           stream_slot_left(&group->slots, pending->consumer);
}

/* The same as stream_pending_find where those of leavers are found, too. */
static bool find_pending(const struct stream_group *group, struct stream_id id,
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

bool stream_pending_find(const struct stream_group *group, struct stream_id id,
                         struct stream_pending *pending) {
    struct stream_pending found;
    if (!find_pending(group, id, &found) || has_left(group, &found)) return false;
    *pending = found;
    return true;
}

void stream_pending_walk(struct stream_pending_walk *walk, const struct stream_group *group,
                         const struct stream_consumer *consumer, struct stream_id from) {
    walk->group = group;
    walk->of_consumer = consumer;
    stream_seek(&walk->cursor, consumer ? &consumer->pending : &group->pending, from);
}

/* What a walk over a group comes to next, from one end to the other: nothing that was a leaver's. */
static bool next_of_group(struct stream_pending_walk *walk, enum tree_end from,
                          struct stream_pending *pending) {
    struct tree_item item;
    while (walk->cursor.leaf) {
        tree_get(&walk->cursor, &item);
        if (from == TREE_FRONT)
            tree_next(&walk->cursor);
        else
            tree_previous(&walk->cursor);
        read_pending(&item, pending);
        if (!has_left(walk->group, pending)) return true;
    }
    return false;
}

bool stream_pending_next_id(struct stream_pending_walk *walk, struct stream_id *id) {
    struct tree_item item;
    struct stream_pending pending;
    if (walk->of_consumer) {
        if (walk->cursor.leaf == NULL) return false;
        tree_get(&walk->cursor, &item);
        tree_next(&walk->cursor);
        *id = stream_id_of(&item);
        return true;
    }
    if (!next_of_group(walk, TREE_FRONT, &pending)) return false;
    *id = pending.id;
    return true;
}

bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *pending) {
    struct stream_id id;
    if (!walk->of_consumer) return next_of_group(walk, TREE_FRONT, pending);
    if (!stream_pending_next_id(walk, &id)) return false;
    bool found = stream_pending_find(walk->group, id, pending);
    assert(found); /* 2 */
    return true;
}

bool stream_pending_end(const struct stream_group *group, enum tree_end end, struct stream_id *id) {
    struct stream_pending_walk walk = {.group = group};
    struct stream_pending pending;
    if (group->pending.count == 0) return false;
    tree_select(&walk.cursor, &group->pending, end == TREE_FRONT ? 0 : group->pending.count - 1);
    if (!next_of_group(&walk, end, &pending)) return false;
    *id = pending.id;
    return true;
}

uint64_t stream_pending_count(const struct stream_group *group) {
    uint64_t count = group->pending.count;
    for (uint32_t i = 0; i < group->leavers.count; i++)
        count -= group->leavers.list[i].pending.count - group->leavers.list[i].gone;
    return count;
}

/* How many numbers of a tree lie between two, but for the first `gone` of the tree. */
static uint64_t count_between(const struct tree *tree, uint64_t gone, struct stream_id from,
                              struct stream_id to) {
    if (tree->count == 0) return 0;
    uint64_t through = stream_id_next(&to) ? stream_rank(tree, to) : tree->count;
    uint64_t before = stream_rank(tree, from);
    if (before < gone) before = gone;
    return through > before ? through - before : 0;
}

uint64_t stream_pending_between(const struct stream_group *group, const struct stream_consumer *consumer,
                                struct stream_id from, struct stream_id to) {
    if (stream_id_compare(from, to) > 0) return 0;
    if (consumer) return count_between(&consumer->pending, 0, from, to);
    uint64_t count = count_between(&group->pending, 0, from, to);
    for (uint32_t i = 0; i < group->leavers.count; i++) {
        const struct stream_leaver *leaver = &group->leavers.list[i];
        count -= count_between(&leaver->pending, leaver->gone, from, to);
    }
    return count;
}

/* ---- Groups --------------------------------------------------------------------------------------- */

struct stream_group *stream_group_add(void *owner, struct stream_named_list *groups,
                                      const struct tree_context *context, struct bytes name) {
    struct stream_spot spot;
    bool found = stream_named_seek(groups, name, &spot);
    assert(!found);
    struct stream_group *group = stream_named_new(context->heap, sizeof *group, name, NULL);
    if (group == NULL) return NULL;
    group->pending = tree_empty(TREE_PENDING);
    group->read = STREAM_READ_UNKNOWN;
    if (stream_named_put(owner, groups, context->heap, spot, &group->head)) return group;
    stream_named_free(&group->head);
    return NULL;
}

bool stream_group_remove(struct stream_named_list *groups, const struct tree_context *context,
                         struct bytes name, void *to, struct stream_named_list *removed) {
    struct stream_spot spot, first = {0, 0};
    bool found = stream_named_seek(groups, name, &spot);
    assert(found && removed->count == 0);
    if (!stream_named_own(groups, context->heap, spot)) return false;
    struct stream_named *group = stream_named_at(groups, spot);
    if (!stream_named_put(to, removed, context->heap, first, group)) return false;
    stream_named_take(groups, spot);
    return true;
}

/* The same leavers in another version of the group, which has none. */
static bool leavers_share(struct stream_group *to, struct stream_group *from) {
    uint32_t count = from->leavers.count;
    if (count == 0) return true;
    to->leavers.list = memory_resize(NULL, count * sizeof *to->leavers.list);
    if (to->leavers.list == NULL) return false;
    to->leavers.count = to->leavers.capacity = count;
    node_refers(to, (int64_t)(count * sizeof *to->leavers.list));
    for (uint32_t i = 0; i < count; i++) {
        struct stream_leaver *leaver = &from->leavers.list[i];
        to->leavers.list[i] = (struct stream_leaver){.gone = leaver->gone, .number = leaver->number};
        tree_fork(&to->leavers.list[i].pending, &leaver->pending);
    }
    return true;
}

static struct stream_group *group_fork(struct stream_group *from, const struct tree_context *context) {
    struct stream_group *to = stream_named_new(context->heap, sizeof *to, BYTES(""), from->head.name);
    if (to == NULL) return NULL;
    to->pending = tree_empty(TREE_PENDING);
    if (!stream_named_share(to, &to->consumers, &from->consumers) ||
        !stream_slots_share(to, &to->slots, &from->slots) || !leavers_share(to, from)) {
        group_release(to, context->graves);
        return NULL;
    }
    __atomic_store_n(&from->head.forked, true, __ATOMIC_RELAXED);
    tree_fork(&to->pending, &from->pending);
    to->last = from->last;
    to->read = from->read;
    to->released = from->released;
    return to;
}

struct stream_group *stream_group_edit(struct stream_named_list *groups, const struct tree_context *context,
                                       struct bytes name) {
    struct stream_spot spot;
    bool found = stream_named_seek(groups, name, &spot);
    assert(found);
    if (!stream_named_own(groups, context->heap, spot)) return NULL;
    struct stream_group *group = group_of(stream_named_at(groups, spot));
    if (!stream_named_shared(&group->head)) return group;
    struct stream_group *own = group_fork(group, context);
    if (own == NULL) return NULL;
    stream_named_swap(groups, spot, &own->head);
    group_release(group, context->graves);
    return own;
}

/* ---- Consumers ------------------------------------------------------------------------------------ */

static struct stream_consumer *add_consumer(struct stream_group *group, const struct tree_context *context,
                                            struct bytes name, struct stream_spot spot) {
    if (!stream_slot_room(group, &group->slots, context->heap)) return NULL;
    struct stream_consumer *consumer = stream_named_new(context->heap, sizeof *consumer, name, NULL);
    if (consumer == NULL) return NULL;
    if (!stream_named_put(group, &group->consumers, context->heap, spot, &consumer->head)) {
        stream_named_free(&consumer->head);
        return NULL;
    }
    consumer->pending = tree_empty(TREE_PENDING);
    consumer->head.number = stream_slot_take(&group->slots, &consumer->head);
    return consumer;
}

/* Makes the consumer at this spot the group's own, and its slot, too. */
static struct stream_consumer *own_consumer(struct stream_group *group, const struct tree_context *context,
                                            struct stream_spot spot) {
    struct heap *heap = context->heap;
    uint32_t number = stream_named_at(&group->consumers, spot)->number;
    assert(!stream_named_shared(&group->head)); /* 1 */
    if (!stream_named_own(&group->consumers, heap, spot) || !stream_slot_own(&group->slots, heap, number))
        return NULL;
    struct stream_consumer *from = consumer_of(stream_named_at(&group->consumers, spot));
    if (!stream_named_shared(&from->head)) return from;
    struct stream_consumer *to = stream_named_new(heap, sizeof *to, BYTES(""), from->head.name);
    if (to == NULL) return NULL;
    __atomic_store_n(&from->head.forked, true, __ATOMIC_RELAXED);
    to->head.number = number;
    to->seen_ms = from->seen_ms;
    tree_fork(&to->pending, &from->pending);
    stream_named_swap(&group->consumers, spot, &to->head);
    stream_slot_set(&group->slots, number, &to->head);
    consumer_release(&from->head, context->graves);
    return to;
}

struct stream_consumer *stream_consumer_edit(struct stream_group *group, const struct tree_context *context,
                                             struct bytes name, bool *created) {
    struct stream_spot spot;
    bool found = stream_named_seek(&group->consumers, name, &spot);
    assert(!stream_named_shared(&group->head)); /* 1 */
    *created = !found;
    return found ? own_consumer(group, context, spot) : add_consumer(group, context, name, spot);
}

/* The consumer with this number, the group's own. */
static struct stream_consumer *own_slot(struct stream_group *group, const struct tree_context *context,
                                        uint32_t number) {
    struct stream_consumer *consumer = consumer_of(stream_slot(&group->slots, number));
    struct stream_spot spot;
    if (!is_forked(&group->head)) return consumer; /* 4 */
    bool found = stream_named_seek(&group->consumers, stream_name_of(&consumer->head), &spot);
    assert(found); /* 3 */
    return own_consumer(group, context, spot);
}

/* The consumer with this number, or NULL if it is nobody's. False without memory. */
static bool own_holder(struct stream_group *group, const struct tree_context *context, uint32_t number,
                       struct stream_consumer **holder) {
    *holder = number == STREAM_UNOWNED ? NULL : own_slot(group, context, number);
    return *holder || number == STREAM_UNOWNED;
}

/* ---- Pending entries ------------------------------------------------------------------------------ */

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

/* Is this the first number of a tree? As a rule it is said only where one before it was taken out, too. */
static bool is_first(const struct tree *tree, struct stream_id id) {
    struct tree_item first;
    assert(tree->count > 0);
    if (!tree_knows_end(tree, TREE_FRONT)) return false;
    tree_get_end(tree, TREE_FRONT, &first);
    return stream_id_compare(stream_id_of(&first), id) == 0;
}

/* Takes an item out of a tree none of whose nodes on the way to it are shared. The first item needs no search. */
static void take_item(struct tree *tree, const struct tree_context *context, const struct tree_item *item) {
    bool done = is_first(tree, stream_id_of(item)) ? tree_pop(tree, context, TREE_FRONT)
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
    struct tree_item item = pending_item(pending);
    return put_item(&group->pending, context, &item) != TREE_NO_MEMORY;
}

/* Whose tree a number is in, or NULL if it is unowned. It can be taken out of there without memory. False without. */
static bool losing_tree(struct stream_group *group, const struct tree_context *context,
                        const struct stream_pending *before, struct tree **tree) {
    struct tree_item number = number_item(before->id);
    struct stream_consumer *holder = NULL;
    struct stream_named *forked = &group->head;
    *tree = NULL;
    if (has_left(group, before)) {
        for (uint32_t i = 0; i < group->leavers.count; i++)
            if (group->leavers.list[i].number == before->consumer) *tree = &group->leavers.list[i].pending;
        assert(*tree); /* 3 */
    } else if (!own_holder(group, context, before->consumer, &holder)) {
        return false;
    } else if (holder) {
        forked = &holder->head;
        *tree = &holder->pending;
    }
    return *tree == NULL || may_take(forked, *tree, context, &number);
}

bool stream_pending_put(struct stream_group *group, const struct tree_context *context,
                        const struct stream_pending *pending) {
    struct stream_pending before;
    struct tree_item number = number_item(pending->id);
    struct tree_item last;
    bool there = false;
    assert(!stream_named_shared(&group->head)); /* 1 */
    if (group->pending.count > 0) {
        tree_get_end(&group->pending, TREE_BACK, &last);
        there = stream_id_compare(stream_id_of(&last), pending->id) >= 0 &&
                find_pending(group, pending->id, &before);
    }
    if (there && before.consumer == pending->consumer) return put_pending(group, context, pending);
    struct stream_consumer *to;
    struct tree *from = NULL;
    if (!own_holder(group, context, pending->consumer, &to)) return false;
    if (there && !losing_tree(group, context, &before, &from)) return false;
    enum tree_changed changed = to ? put_item(&to->pending, context, &number) : TREE_ADDED;
    assert(changed != TREE_REPLACED); /* 2 */
    if (changed == TREE_NO_MEMORY) return false;
    bool done = put_pending(group, context, pending);
    struct tree *loser = done ? from : to ? &to->pending : NULL;
    if (loser) take_item(loser, context, &number);
    if (!done) return false;
    if (to == NULL) group->released++;
    if (there && before.consumer == STREAM_UNOWNED) group->released--;
    return true;
}

bool stream_pending_remove(struct stream_group *group, const struct tree_context *context,
                           const struct stream_pending *pending) {
    struct tree_item item = pending_item(pending), number = number_item(pending->id);
    struct stream_consumer *holder;
    assert(!stream_named_shared(&group->head)); /* 1 */
    if (!own_holder(group, context, pending->consumer, &holder) ||
        (holder && !may_take(&holder->head, &holder->pending, context, &number)) ||
        !may_take(&group->head, &group->pending, context, &item))
        return false;
    if (holder) take_item(&holder->pending, context, &number);
    take_item(&group->pending, context, &item);
    if (holder == NULL) group->released--;
    return true;
}

/* Whose an entry is, which is found on the way to it. */
struct taking {
    struct stream_group *group;
    const struct tree_context *context;
    struct stream_consumer *holder;
    bool left; /* it is a leaver's, and so not there */
};

static bool see_pending(void *seer, const struct tree_item *found) {
    struct taking *taking = seer;
    struct stream_pending pending;
    read_pending(found, &pending);
    taking->left = has_left(taking->group, &pending);
    if (taking->left) return false;
    struct tree_item number = number_item(pending.id);
    if (!own_holder(taking->group, taking->context, pending.consumer, &taking->holder)) return false;
    struct stream_consumer *holder = taking->holder;
    return holder == NULL || may_take(&holder->head, &holder->pending, taking->context, &number);
}

bool stream_pending_take(struct stream_group *group, const struct tree_context *context, struct stream_id id,
                         bool *there) {
    struct taking taking = {.group = group, .context = context};
    struct tree_item number = number_item(id);
    struct stream_pending pending;
    assert(!stream_named_shared(&group->head)); /* 1 */
    *there = false;
    if (group->pending.count == 0) return true;
    if (is_forked(&group->head) || is_first(&group->pending, id)) {
        *there = stream_pending_find(group, id, &pending);
        return !*there || stream_pending_remove(group, context, &pending);
    }
    enum tree_changed changed = tree_remove_seen(&group->pending, context, &number, see_pending, &taking);
    if (taking.left) return true;
    *there = changed != TREE_UNCHANGED;
    if (changed == TREE_REMOVED && taking.holder) take_item(&taking.holder->pending, context, &number);
    if (changed == TREE_REMOVED && taking.holder == NULL) group->released--;
    return changed != TREE_NO_MEMORY;
}

/* ---- The end of a consumer ------------------------------------------------------------------------ */

static struct stream_id id_at(const struct tree *tree, uint64_t rank) {
    struct tree_cursor cursor;
    struct tree_item item;
    tree_select(&cursor, tree, rank);
    tree_get(&cursor, &item);
    return stream_id_of(&item);
}

/* The consumer's numbers from one rank on, and the group's from another: how many of them are the same? The consumer's are
 * among the group's, so where two are the same, all between are. The first ones are. */
static uint64_t run_of(const struct tree *few, uint64_t rank, const struct tree *all, uint64_t at) {
    uint64_t same = 1, most = few->count - rank, reach = 1;
    if (most > all->count - at) most = all->count - at;
    while (same < most) {
        uint64_t next = same + reach < most ? same + reach : most;
        if (stream_id_compare(id_at(few, rank + next - 1), id_at(all, at + next - 1)) == 0)
            same = next, reach *= 2;
        else if (next == same + 1)
            break;
        else
            most = next - 1, reach = 1;
    }
    return same;
}

/* Makes it sure that what is pending for a consumer can be taken out of its group without memory. */
static bool may_take_all(struct stream_group *group, const struct tree_context *context,
                         const struct stream_consumer *consumer) {
    struct stream_pending pending;
    if (!is_forked(&group->head)) return true; /* 4 */
    for (uint64_t rank = 0; rank < consumer->pending.count; rank++) {
        bool there = stream_pending_find(group, id_at(&consumer->pending, rank), &pending);
        assert(there); /* 2 */
        if (!put_pending(group, context, &pending)) return false;
    }
    return true;
}

/* Takes one run of a consumer's numbers out of the group's tree: those from rank *gone on, which goes on behind them. */
static bool take_run(struct stream_group *group, const struct tree_context *context, const struct tree *few,
                     uint64_t *gone) {
    uint64_t at = stream_rank(&group->pending, id_at(few, *gone));
    uint64_t run = run_of(few, *gone, &group->pending, at);
    if (!tree_remove_range(&group->pending, context, at, run)) return false;
    *gone += run;
    return true;
}

static void take_all(struct stream_group *group, const struct tree_context *context,
                     const struct stream_consumer *consumer) {
    for (uint64_t gone = 0; gone < consumer->pending.count;) {
        bool done = take_run(group, context, &consumer->pending, &gone);
        assert(done); /* 4 */
    }
}

enum {
    AT_ONCE = 32
}; /* numbers that are taken out before anything else is done; and runs of those who have more */

/* The consumer, whose slot is the group's own, leaves: his numbers are his no more. False without memory. */
static bool leave(struct stream_group *group, struct stream_consumer *consumer) {
    struct stream_leavers *leavers = &group->leavers;
    if (leavers->count == leavers->capacity) {
        uint32_t capacity = leavers->capacity ? 2 * leavers->capacity : 1;
        if (capacity > UINT32_MAX / 2) return false;
        struct stream_leaver *list = memory_resize(leavers->list, capacity * sizeof *list);
        if (list == NULL) return false;
        node_refers(group, (int64_t)((capacity - leavers->capacity) * sizeof *list));
        leavers->list = list;
        leavers->capacity = capacity;
    }
    leavers->list[leavers->count++] =
        (struct stream_leaver){.pending = consumer->pending, .number = consumer->head.number};
    consumer->pending = tree_empty(TREE_PENDING);
    stream_slot_leave(&group->slots, consumer->head.number);
    return true;
}

bool stream_group_tend(struct stream_group *group, const struct tree_context *context, unsigned *budget) {
    struct stream_leavers *leavers = &group->leavers;
    assert(!stream_named_shared(&group->head)); /* 1 */
    while (leavers->count > 0) {
        struct stream_leaver *leaver = &leavers->list[leavers->count - 1];
        assert(leaver->gone <= leaver->pending.count);
        if (leaver->gone == leaver->pending.count) {
            if (!stream_slot_own(&group->slots, context->heap, leaver->number)) return false;
            stream_slot_free(&group->slots, leaver->number);
            tree_release(&leaver->pending, context->graves);
            leavers->count--;
            continue;
        }
        if (*budget == 0) return false;
        if (!take_run(group, context, &leaver->pending, &leaver->gone)) return false;
        --*budget;
    }
    leavers_free(group);
    return true;
}

bool stream_consumer_remove(struct stream_group *group, const struct tree_context *context,
                            struct bytes name) {
    struct stream_spot spot;
    bool found = stream_named_seek(&group->consumers, name, &spot);
    assert(found && !stream_named_shared(&group->head)); /* 1 */
    struct stream_consumer *consumer = own_consumer(group, context, spot);
    if (consumer == NULL) return false;
    unsigned budget = AT_ONCE;
    bool all = consumer->pending.count == group->pending.count;
    assert(!all || group->released == 0);
    bool leaves = !all && consumer->pending.count > AT_ONCE && leave(group, consumer);
    if (all) {
        tree_release(&group->pending, context->graves);
    } else if (!leaves) {
        if (!may_take_all(group, context, consumer)) return false;
        take_all(group, context, consumer);
    }
    if (!leaves) stream_slot_free(&group->slots, consumer->head.number);
    stream_named_take(&group->consumers, spot);
    consumer_release(&consumer->head, context->graves);
    if (leaves) stream_group_tend(group, context, &budget);
    return true;
}

/* ---- All groups of a stream ----------------------------------------------------------------------- */

bool stream_groups_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from) {
    return stream_named_share(owner, to, from);
}

bool stream_groups_bury(void *owner, struct stream_named_list *groups, struct graves *graves,
                        unsigned *budget) {
    return stream_named_bury(owner, groups, bury_group, graves, budget);
}

static size_t named_memory(const struct stream_named *named, size_t size) {
    return node_bytes(size) + block_memory(named->name);
}

static size_t leavers_memory(const struct stream_group *group) {
    size_t bytes = group->leavers.capacity * sizeof *group->leavers.list;
    for (uint32_t i = 0; i < group->leavers.count; i++) bytes += group->leavers.list[i].pending.bytes;
    return bytes;
}

size_t stream_groups_memory(const struct stream_named_list *groups) {
    size_t bytes = stream_chunks_memory(&groups->chunks);
    const struct stream_group *group;
    const struct stream_consumer *consumer;
    for (uint64_t at = 0; (group = stream_group_next(groups, &at));) {
        bytes += named_memory(&group->head, sizeof *group) + group->pending.bytes + leavers_memory(group) +
                 stream_chunks_memory(&group->consumers.chunks) + stream_chunks_memory(&group->slots.chunks);
        for (uint64_t place = 0; (consumer = stream_consumer_next(group, &place));)
            bytes += named_memory(&consumer->head, sizeof *consumer) + consumer->pending.bytes;
    }
    return bytes;
}
