/* stream.h - streams: entries with ascending numbers, each a list of fields with values. All work on values that were looked
 * up (entry_value), or on an edit of one (edit.h).
 *
 * A stream is an object from its first entry on, and may stay without entries. Its entries are a tree of the kind
 * TREE_STREAM, whose items are what stream_entry.h writes; an entry of more than 1 KiB lies in a block. How Redis would have
 * parted them into nodes stream_nodes.h knows.
 *
 * To dump one, and to load it: stream_dump.c and stream_load.c.
 *
 * Invariants:
 *   1. No entry has a number above `last`.
 *   2. The head lies in a heap, as the nodes do, and refers to the block of names.
 *   3. `graves` is empty while the object is alive. */
#ifndef KEVY_STORE_TYPES_STREAM_H
#define KEVY_STORE_TYPES_STREAM_H

#include "store/types/collection.h"
#include "store/types/stream_entry.h"
#include "store/types/stream_groups.h"
#include "store/types/stream_nodes.h"
#include "store/types/stream_producers.h"

struct stream {
    struct object head;
    struct tree entries;
    struct stream_nodes nodes;
    struct block *names;                /* lists of fields that its entries name; NULL: none yet */
    uint64_t long_bytes;                /* of the blocks of entries */
    struct stream_id last;              /* the highest number that an entry has had, or that it was given */
    struct stream_id max_deleted;       /* the highest number of an entry that XDEL has deleted */
    uint64_t added;                     /* entries that there have been */
    struct stream_named_list groups;    /* of consumers */
    bool releases;                      /* some entry of some group may be pending for nobody */
    struct stream_producers *producers; /* who say which entries are the same; NULL: there never were any */
    struct graves graves;
};

static inline struct stream *stream_of(const struct object *object) {
    return (struct stream *)(uintptr_t)object;
}
/* That of a value which was looked up. */
static inline const struct stream *stream_at(const struct value *value) {
    assert(value->type == TYPE_STREAM && value->kind == VALUE_OBJECT);
    return stream_of(value->object);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* The number of the first or last entry; 0-0 where there is none. */
struct stream_id stream_end(const struct stream *stream, enum tree_end end);
/* How many entries have numbers from the first one to the second, both included. */
uint64_t stream_between(const struct stream *stream, struct stream_id from, struct stream_id to);

struct stream_item {
    struct stream_id id;
    struct bytes entry;  /* as stream_fields reads it */
    struct block *block; /* in which it lies, or NULL */
};
/* A walk over the entries between two numbers, both included, in their order or backwards; valid until the next change. */
struct stream_walk {
    struct tree_cursor cursor; /* at the next one; leaf NULL: nothing is left */
    struct stream_id until;
    bool backwards;
};
void stream_walk(struct stream_walk *walk, const struct stream *stream, struct stream_id from,
                 struct stream_id to, bool backwards);
bool stream_next(struct stream_walk *walk, struct stream_item *item);

/* Is there an entry with this number? */
bool stream_has(const struct stream *stream, struct stream_id id);

/* How many entries had been added when this number was; STREAM_READ_UNKNOWN where that cannot be known. */
int64_t stream_read_by(const struct stream *stream, struct stream_id id);
/* How many entries a group has yet to read. False where that cannot be known. */
bool stream_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag);
/* After an entry was read by a group, the first time: its number is above the group's, whose it becomes. */
void stream_note_read(const struct stream *stream, struct stream_group *group, struct stream_id id);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* One without entries and with one reference. NULL without memory. */
struct stream *stream_new(struct heap *heap);
/* Puts an entry behind all others; its number is above `last`, and becomes that. False without memory, or if the entry would
 * be too long: nothing has changed then. */
bool stream_push(struct stream *stream, const struct tree_context *context, struct stream_id id,
                 const struct stream_pairs *pairs, const struct stream_node_limits *limits);

/* The stream of the edit, to change it; a value that is none yet becomes one. NULL without memory. */
struct stream *stream_edit(struct edit *edit);
/* As stream_push. A stream that was created for it goes when the edit is closed. */
bool stream_add(struct edit *edit, struct stream_id id, const struct stream_pairs *pairs,
                const struct stream_node_limits *limits);

/* The same of an entry that comes with an id of its producer, which is known from then on. */
bool stream_add_once(struct edit *edit, const struct stream_once *once, struct stream_id id,
                     const struct stream_pairs *pairs, const struct stream_node_limits *limits);

enum stream_changed { STREAM_NO_MEMORY, STREAM_UNCHANGED, STREAM_CHANGED };
/* An entry with an id that is known has come again, and is counted. */
enum stream_changed stream_count_repeated(struct edit *edit);
/* An id leads to this number from now on. */
enum stream_changed stream_note_once(struct edit *edit, const struct stream_once *once, struct stream_id id);
/* Gives a stream limits, neither of them 0, for good: where they change all ids are forgotten. */
enum stream_changed stream_limit_producers(struct edit *edit, struct stream_idmp_limits limits);
/* Deletes the entry with this number, of which max_deleted hears. */
enum stream_changed stream_delete(struct edit *edit, struct stream_id id);
/* Deletes the first `count` entries: all those below the number `from`, or as many as there shall be, and then that is
 * STREAM_ID_MAX. False without memory, and then all are there. */
bool stream_trim(struct edit *edit, uint64_t count, struct stream_id from);
/* The most entries up to `most` that can go from the front as whole nodes of Redis's. */
static inline uint64_t stream_whole_nodes(const struct stream *stream, uint64_t most) {
    return stream_nodes_whole(&stream->nodes, &stream->entries, most);
}

/* Makes a group, whose name is none of the stream's. STREAM_CHANGED, or STREAM_NO_MEMORY. */
enum stream_changed stream_create_group(struct edit *edit, struct bytes name, struct stream_id last,
                                        int64_t read);
/* STREAM_UNCHANGED where there is no such group. */
enum stream_changed stream_destroy_group(struct edit *edit, struct bytes name);
/* The group with this name, which is there, to change it. NULL without memory. */
struct stream_group *stream_open_group(struct edit *edit, struct bytes name);
/* Deletes a consumer, who is there, of a group that was opened. What is pending for him goes with him; of what takes long,
 * later changes of the group and keyspace_upkeep do some each. False without memory. */
bool stream_delete_consumer(struct edit *edit, struct stream_group *group, struct bytes name);

/* ---- In the row ----------------------------------------------------------------------------------- */

/* Redis 7.0's form; where there is something to know of producers, that of Redis 8.6; where XNACK has released something,
 * that of Redis 8.8. */
enum rdb_type stream_form(const struct stream *stream);
enum dumped stream_dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget);
enum rdb_answer stream_load(struct loading *loading, const struct rdb_element *element);

#endif
