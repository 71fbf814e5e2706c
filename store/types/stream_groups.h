/* stream_groups.h - consumer groups of streams: which entries have been delivered to whom, and have not been acknowledged.
 *
 * A group has a tree of its pending entries by number, each with its consumer, the time of its last delivery and how often
 * it was delivered; and each consumer a tree of the numbers that are pending for it. So what a group or a consumer has
 * pending is counted, and found in its order, without a look at others.
 *
 * Versions of a stream share groups, and versions of a group share consumers: who changes one that has several references
 * makes a copy of its own first (stream_group_edit, stream_consumer_edit).
 *
 * A consumer who is deleted and has much pending leaves: the group forgets him at once, but his numbers are taken out of its
 * tree in steps (stream_group_tend). Until then nothing here shows them, and none of them counts.
 *
 * To dump groups: stream_group_at, stream_consumer_next, and stream_pending_next. To load them: stream_group_add,
 * stream_consumer_edit, stream_pending_put.
 *
 * Invariants:
 *   1. `references` is above 0 as long as anybody may look; who changes something has the only one.
 *   2. A number is in the group's tree exactly if it is in one consumer's, or among those of one leaver that are not gone,
 *      and that is the one that the entry names; or the entry is unowned, and `released` counts it.
 *   3. In the slot of its number stands a consumer that is in the list, in that of a leaver's number nobody, and no other
 *      slot is taken.
 *   4. Where `forked` is false no node of the trees is shared, so that taking out of them takes no memory, and no chunk of
 *      the lists, and no consumer. */
#ifndef KEVY_STORE_TYPES_STREAM_GROUPS_H
#define KEVY_STORE_TYPES_STREAM_GROUPS_H

#include "store/types/stream_entry.h"
#include "store/types/stream_named.h"
#include "store/types/stream_nodes.h"

struct stream_consumer {
    struct stream_named head;
    int64_t seen_ms;     /* when it has been heard of last */
    struct tree pending; /* TREE_PENDING: numbers of entries, and nothing else */
};

/* A consumer who was deleted. */
struct stream_leaver {
    struct tree pending; /* his numbers */
    uint64_t gone;       /* so many of them, the first ones, are in the group's tree no more */
    uint32_t number;     /* his own */
};
struct stream_leavers {
    struct stream_leaver *list;
    uint32_t count, capacity;
};

enum { STREAM_READ_UNKNOWN = -1 };
struct stream_group {
    struct stream_named head;
    struct stream_id last; /* the last number that was delivered */
    int64_t read;          /* entries that were read by then; STREAM_READ_UNKNOWN: nobody knows */
    struct tree
        pending;       /* TREE_PENDING; those of leavers, too: stream_pending_count has how many there are */
    uint64_t released; /* how many of these nobody owns */
    struct stream_leavers leavers;
    struct stream_named_list consumers;
    struct stream_slots slots; /* the consumers by their numbers */
};

/* An entry that has been delivered and not acknowledged. */
struct stream_pending {
    struct stream_id id;
    uint32_t consumer; /* its number, or STREAM_UNOWNED: the one that had it has given it back */
    int64_t time_ms;   /* of the last delivery: 0 to STREAM_TIME_MAX */
    uint64_t count;    /* of deliveries */
};
#define STREAM_UNOWNED  UINT32_MAX
#define STREAM_TIME_MAX (((int64_t)1 << 48) - 1)

/* ---- Looking -------------------------------------------------------------------------------------- */

/* NULL: there is none with this name. */
const struct stream_group *stream_group_find(const struct stream_named_list *groups, struct bytes name);
const struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct bytes name);
/* The group or consumer at a place, in the order of names, as stream_named_next. */
static inline const struct stream_group *stream_group_next(const struct stream_named_list *groups,
                                                           uint64_t *place) {
    return (const struct stream_group *)(const void *)stream_named_next(groups, place);
}
static inline const struct stream_group *stream_group_at(const struct stream_named_list *groups,
                                                         uint64_t place) {
    return stream_group_next(groups, &place);
}
static inline const struct stream_consumer *stream_consumer_next(const struct stream_group *group,
                                                                 uint64_t *place) {
    return (const struct stream_consumer *)(const void *)stream_named_next(&group->consumers, place);
}
/* The consumer that a pending entry names; NULL: nobody. */
static inline const struct stream_consumer *stream_consumer_of(const struct stream_group *group,
                                                               const struct stream_pending *pending) {
    if (pending->consumer == STREAM_UNOWNED) return NULL;
    return (const struct stream_consumer *)(const void *)stream_slot(&group->slots, pending->consumer);
}

/* False if it is not pending; *pending is as it was then. */
bool stream_pending_find(const struct stream_group *group, struct stream_id id,
                         struct stream_pending *pending);

/* How many entries are pending in a group. */
uint64_t stream_pending_count(const struct stream_group *group);
/* How many numbers between two, both included, are pending in a group, or for one of its consumers (NULL: for whomever). */
uint64_t stream_pending_between(const struct stream_group *group, const struct stream_consumer *consumer,
                                struct stream_id from, struct stream_id to);
/* The first or the last number that is pending in a group; false if there is none. */
bool stream_pending_end(const struct stream_group *group, enum tree_end end, struct stream_id *id);

/* A walk over what is pending in a group, or for one of its consumers, from a number on; valid until the next change. */
struct stream_pending_walk {
    const struct stream_group *group;
    bool of_consumer;
    struct tree_cursor cursor;
};
void stream_pending_walk(struct stream_pending_walk *walk, const struct stream_group *group,
                         const struct stream_consumer *consumer, struct stream_id from);
bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *pending);
/* The same where its number is all that is asked for. */
bool stream_pending_next_id(struct stream_pending_walk *walk, struct stream_id *id);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* All of these are false, or NULL, without memory, and have changed nothing then. The object to which the list belongs, a
 * node, is what refers to its memory. */

/* A new group, whose name is none of the list's. */
struct stream_group *stream_group_add(void *owner, struct stream_named_list *groups,
                                      const struct tree_context *context, struct bytes name);
/* Takes the group with this name, which is there, out of one list and into another, which is empty and belongs to `to`. */
bool stream_group_remove(struct stream_named_list *groups, const struct tree_context *context,
                         struct bytes name, void *to, struct stream_named_list *removed);
/* The group with this name, which is there, to change it. */
struct stream_group *stream_group_edit(struct stream_named_list *groups, const struct tree_context *context,
                                       struct bytes name);

/* The consumer with this name, to change it; a new one, seen now, if there was none: *created tells. */
struct stream_consumer *stream_consumer_edit(struct stream_group *group, const struct tree_context *context,
                                             struct bytes name, bool *created);
/* Takes out a consumer, and what is pending for it. Where that is much he leaves, and stream_group_tend is to follow;
 * without memory for that it takes as many steps as that is runs of what is pending in the group. */
bool stream_consumer_remove(struct stream_group *group, const struct tree_context *context,
                            struct bytes name);
/* Takes out numbers of those who leave, a run for each of the budget, which is counted down. True when nobody leaves any
 * more; where it is false and budget is left, there was no memory. */
bool stream_group_tend(struct stream_group *group, const struct tree_context *context, unsigned *budget);

/* An entry is delivered once more; Redis counts no further than to INT64_MAX. */
static inline void stream_pending_again(struct stream_pending *pending) {
    if (pending->count < INT64_MAX) pending->count++;
}

/* Makes an entry pending for whom it names, or, where it is pending already, for whomever, changes it. */
bool stream_pending_put(struct stream_group *group, const struct tree_context *context,
                        const struct stream_pending *pending);
/* It is pending no more. *there: it was; where there is no memory it is yet. */
bool stream_pending_take(struct stream_group *group, const struct tree_context *context, struct stream_id id,
                         bool *there);
/* The same of one that was found. */
bool stream_pending_remove(struct stream_group *group, const struct tree_context *context,
                           const struct stream_pending *pending);

/* ---- All groups of a stream ----------------------------------------------------------------------- */

/* The same groups in another list, which is empty. */
bool stream_groups_share(void *owner, struct stream_named_list *to, const struct stream_named_list *from);
/* Gives groups back, counted down from the budget with their consumers; true when the list is gone. */
bool stream_groups_bury(void *owner, struct stream_named_list *groups, struct graves *graves,
                        unsigned *budget);
/* Bytes that they take, shared ones included. */
size_t stream_groups_memory(const struct stream_named_list *groups);

#endif
