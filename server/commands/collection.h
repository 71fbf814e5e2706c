/* collection.h - what the commands of hashes, sets, sorted sets and lists have in common: opening a key of their type,
 * telling of its changes, and replies with many elements.
 *
 *     static void hdel(struct call *call) {
 *         struct edit edit;
 *         if (!collection_open(call, 1, TYPE_HASH, false, &edit)) return;
 *         ... hash_delete(&edit, call->argv[i]) ...
 *         collection_close(call, 1, &edit, EVENT_HDEL, deleted);
 *         reply_int(call->reply, (int64_t)deleted);
 *     } */
#ifndef KEVY_SERVER_COMMANDS_COLLECTION_H
#define KEVY_SERVER_COMMANDS_COLLECTION_H

#include "server/call/call.h"
#include "store/types/collection.h"

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* Looks the key argv[arg] up to read it. False after replying that it is of another type. Whether it is there *there tells,
 * and only then *value is meaningful. */
bool collection_read(struct call *call, uint32_t arg, enum entry_type type, struct value *value, bool *there)
    __attribute__((warn_unused_result));

/* Opens the key argv[arg] to change its value, and creates it first if it shall be. False after replying that it is of
 * another type, or that there is no memory. An absent one that is not to be created has no edit->entry: there is nothing
 * to close then. */
bool collection_open(struct call *call, uint32_t arg, enum entry_type type, bool create, struct edit *edit)
    __attribute__((warn_unused_result));
/* Ends what collection_open began, and tells of `count` changes by this event, where there were any. Tells also that the
 * key is new, and that it went with its last element. */
void collection_close(struct call *call, uint32_t arg, struct edit *edit, enum event event, uint64_t count);

/* The entry of a large value of the key argv[arg] that is a tree none of whose elements expires, where a short look finds
 * it, of this type. NULL: nothing is known, and nothing was done. */
static inline struct entry *collection_glimpse(struct call *call, uint32_t arg, enum entry_type type);
/* The same to read it: counted, and noted as used. */
static inline const struct collection *collection_read_at_hand(struct call *call, uint32_t arg,
                                                               enum entry_type type);
/* The same to change it, where nobody else has a reference to it; noted as used. Who changes its tree leaves an element in
 * it, and says call_changed. */
static inline struct entry *collection_open_at_hand(struct call *call, uint32_t arg, enum entry_type type);

/* As collection_ahead, of a member or field of each request. */
void collection_ask_ahead(const struct command_ahead *ahead, const struct tree *tree,
                          const struct bytes *members);

/* ---- Replies -------------------------------------------------------------------------------------- */

/* A bulk. Long elements are sent from where they lie. */
void collection_reply_element(struct reply *reply, struct metrics *metrics, const struct element *element);

/* Writes one item of a tree; `how` is the command's. */
typedef void collection_write(struct reply *reply, struct metrics *metrics, const struct tree_item *item,
                              unsigned how);
/* What is written of each item. */
struct collection_show {
    collection_write *write; /* NULL: strings and nothing else, which are written many at once: */
    enum reply_which which;  /* both parts of each item, or one of them; of items with one part: all */
    unsigned how;
};
/* Writes `count` items from the position on, each next one being the one behind it, or before it. Where they are many, that
 * is done when there is room for them, and from the tree as it is now. */
struct collection_range {
    uint64_t position, count;
    bool backwards;
};
void collection_reply_items(struct call *call, const struct tree *tree, struct collection_range range,
                            struct collection_show show);

/* Writes the element at this place of a value; `how` is the command's. */
typedef void collection_write_at(struct reply *reply, struct metrics *metrics, const struct value *value,
                                 uint64_t place, uint64_t how);
struct collection_writer {
    collection_write_at *write;
    uint64_t how;
};
/* Places of a value. */
struct collection_places {
    uint64_t count;
    uint64_t *list; /* malloc'd, and given away; NULL: those from 0 on */
};
/* Writes so many elements that are drawn from these places one by one: the same may come again. Where the count is large,
 * that is done when there is room for them, and from the value as it is now. */
void collection_reply_draws(struct call *call, const struct value *value, struct collection_places places,
                            uint64_t count, struct collection_writer writer);
/* Calls that for each of these places in turn. Who leaves many out in a row keeps others waiting. */
void collection_reply_each(struct call *call, const struct value *value, struct collection_places places,
                           struct collection_writer writer);

/* Gives back a reference to a value that a reply source held, on the connection's own thread. What the last one leaves
 * behind, and is more than a little, goes to the dead of this stripe's keyspace. */
void collection_let_go(const struct value *value, struct effects *effects, unsigned stripe);

/* ---- Scans ---------------------------------------------------------------------------------------- */

/* HSCAN, SSCAN and ZSCAN: key argv[1], cursor argv[2], options from argv[3] on. */
struct collection_scan {
    uint64_t cursor; /* where to go on; then where to go on next time */
    uint64_t count;
    bool any;   /* all match */
    bool names; /* fields and members alone, without values or scores: HSCAN NOVALUES, ZSCAN NOSCORES */
    struct glob *glob;
    struct element *found; /* elements of those that matched, malloc'd */
    size_t len, capacity;
    bool failed; /* no memory */
};
/* Reads cursor and key. False after replying. */
bool collection_scan_begin(struct call *call, enum entry_type type, struct collection_scan *scan,
                           struct value *value) __attribute__((warn_unused_result));
/* Does a field or member match? */
bool collection_scan_matches(const struct collection_scan *scan, struct bytes name);
/* Keeps an element for the reply; it must stay where it is. */
void collection_scan_keep(struct collection_scan *scan, struct element element);
/* Calls `each` for the items of a value that is a tree, from the cursor on: for COUNT of them or some more, or for all where
 * the value has no mark, for Redis gives these at once. */
void collection_scan_tree(struct collection_scan *scan, const struct value *value,
                          const struct hash_seed *seed,
                          void (*each)(void *context, const struct tree_item *item), void *context);
/* Replies, and frees what was kept. */
void collection_scan_end(struct call *call, struct collection_scan *scan);

/* ---- Chance --------------------------------------------------------------------------------------- */

/* How many random elements are asked for, of which the same may come again where that is below 0. False after replying that
 * it is no integer, or that there is no such number of them. */
bool collection_random_count(struct call *call, uint32_t arg, int64_t *count)
    __attribute__((warn_unused_result));
/* A number below `bound`, which is above 0; *state are random bits, from keys_random at first. */
uint64_t collection_random(uint64_t *state, uint64_t bound);
/* `count` different numbers below `bound`, malloc'd, in no particular order. The count is above 0 and at most the
 * bound. NULL where there is no memory for them. */
uint64_t *collection_sample(uint64_t *state, uint64_t count, uint64_t bound);

/* Where a result without elements is to be stored in the key argv[arg]: deletes it and replies 0. */
void collection_store_nothing(struct call *call, uint32_t arg);

/* ---- Definitions of the above --------------------------------------------------------------------- */

static inline __attribute__((always_inline)) struct entry *collection_glimpse(struct call *call, uint32_t arg,
                                                                              enum entry_type type) {
    bool absent;
    assert(call_holds(call, stripe_index(call->hash[arg])));
    struct entry *e = keyspace_glimpse(call_keyspace(call, arg), call->db, call_key(call, arg), &absent);
    if (!e || e->type != type || e->kind != VALUE_OBJECT || entry_is_due(e, call->effects->now_ms))
        return NULL;
    return entry_object(e)->form == 0 && !entry_timed(e) ? e : NULL;
}

static inline __attribute__((always_inline)) const struct collection *
collection_read_at_hand(struct call *call, uint32_t arg, enum entry_type type) {
    struct entry *e = collection_glimpse(call, arg, type);
    if (e == NULL) return NULL;
    metric_add(&call->effects->metrics->keyspace_hits, 1);
    call_touch(call, e);
    return collection_of(entry_object(e));
}

static inline __attribute__((always_inline)) struct entry *
collection_open_at_hand(struct call *call, uint32_t arg, enum entry_type type) {
    struct entry *e = collection_glimpse(call, arg, type);
    if (e == NULL || call_keyspace(call, arg)->snapshot || object_shared(entry_object(e))) return NULL;
    call_touch(call, e);
    return e;
}

#endif
