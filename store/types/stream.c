/* stream.c - streams. */
#include "store/types/stream.h"

#include <limits.h>

#include "store/values/load.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

struct stream_id stream_end(const struct stream *stream, enum tree_end end) {
    struct tree_item item;
    if (stream->entries.count == 0) return (struct stream_id){0, 0};
    tree_get_end(&stream->entries, end, &item);
    return stream_id_of(&item);
}

bool stream_has(const struct stream *stream, struct stream_id id) {
    struct tree_cursor cursor;
    return stream->entries.count > 0 && stream_seek(&cursor, &stream->entries, id);
}

/* How many entries have numbers up to this one. */
static uint64_t count_through(const struct stream *stream, struct stream_id id) {
    if (stream_id_compare(id, stream->last) >= 0) return stream->entries.count;
    stream_id_next(&id);
    return stream_rank(&stream->entries, id);
}

uint64_t stream_between(const struct stream *stream, struct stream_id from, struct stream_id to) {
    if (stream->entries.count == 0 || stream_id_compare(from, to) > 0) return 0;
    uint64_t before = stream_id_is_zero(from) ? 0 : stream_rank(&stream->entries, from);
    return count_through(stream, to) - before;
}

/* The last entry up to a number. */
static void seek_backwards(struct tree_cursor *cursor, const struct tree *tree, struct stream_id id) {
    if (stream_seek(cursor, tree, id)) return;
    if (cursor->leaf)
        tree_previous(cursor);
    else if (tree->count > 0)
        tree_select(cursor, tree, tree->count - 1);
}

void stream_walk(struct stream_walk *walk, const struct stream *stream, struct stream_id from,
                 struct stream_id to, bool backwards) {
    walk->backwards = backwards;
    walk->until = backwards ? from : to;
    if (backwards)
        seek_backwards(&walk->cursor, &stream->entries, to);
    else
        stream_seek(&walk->cursor, &stream->entries, from);
}

bool stream_next(struct stream_walk *walk, struct stream_item *item) {
    struct tree_item found;
    if (walk->cursor.leaf == NULL) return false;
    tree_get(&walk->cursor, &found);
    *item = (struct stream_item){stream_id_of(&found), found.parts[0], found.blocks[0]};
    int order = stream_id_compare(item->id, walk->until);
    if (walk->backwards ? order < 0 : order > 0) {
        walk->cursor.leaf = NULL;
        return false;
    }
    if (walk->backwards)
        tree_previous(&walk->cursor);
    else
        tree_next(&walk->cursor);
    return true;
}

/* ---- What groups have read ------------------------------------------------------------------------ */

/* Has an entry been deleted, by XDEL, from this number on and behind the first entry that is there? */
static bool has_holes(const struct stream *stream, struct stream_id from) {
    if (stream->entries.count == 0 || stream_id_is_zero(stream->max_deleted)) return false;
    if (stream_id_compare(stream_end(stream, TREE_FRONT), stream->max_deleted) > 0) return false;
    return stream_id_compare(from, stream->max_deleted) <= 0;
}

/* As a group notes it: above 2^63 it is below 0, as in Redis. */
static int64_t read_of(uint64_t entries) {
    return (int64_t)entries;
}

int64_t stream_read_by(const struct stream *stream, struct stream_id id) {
    int order = stream_id_compare(id, stream->last);
    if (stream->added == 0) return 0;
    if (stream->entries.count == 0 && order <= 0) return read_of(stream->added);
    if (order == 0) return read_of(stream->added);
    if (order > 0) return STREAM_READ_UNKNOWN; /* what is to come */
    struct stream_id first = stream_end(stream, TREE_FRONT);
    int before = stream_id_compare(id, first);
    if (!stream_id_is_zero(stream->max_deleted) && stream_id_compare(stream->max_deleted, first) >= 0)
        return STREAM_READ_UNKNOWN;
    if (before > 0) return STREAM_READ_UNKNOWN;
    return read_of(stream->added - stream->entries.count + (before == 0));
}

bool stream_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag) {
    int64_t read = 0;
    *lag = 0;
    if (stream->added == 0) return true;
    if (group->read != STREAM_READ_UNKNOWN && !has_holes(stream, group->last))
        read = group->read;
    else
        read = stream_read_by(stream, group->last);
    *lag = (int64_t)(stream->added - (uint64_t)read);
    return read != STREAM_READ_UNKNOWN;
}

void stream_note_read(const struct stream *stream, struct stream_group *group, struct stream_id id) {
    assert(stream_id_compare(id, group->last) > 0);
    if (group->read != STREAM_READ_UNKNOWN && !has_holes(stream, id))
        group->read = read_of((uint64_t)group->read + 1);
    else if (stream->added > 0)
        group->read = stream_read_by(stream, id);
    group->last = id;
}

/* ---- Making --------------------------------------------------------------------------------------- */

struct stream *stream_new(struct heap *heap) {
    struct stream *stream = node_alloc(heap, sizeof *stream);
    if (stream == NULL) return NULL;
    *stream = (struct stream){.head = {.type = &type_stream, .references = 1},
                              .entries = tree_empty(TREE_STREAM),
                              .nodes = stream_nodes_empty()};
    return stream;
}

static void set_names(struct stream *stream, struct block *names) {
    if (stream->names) {
        node_refers(stream, -(int64_t)block_memory(stream->names));
        block_release(stream->names);
    }
    stream->names = names;
    if (names) node_refers(stream, (int64_t)block_memory(names));
}

/* The number of the list that these fields are, which becomes known if there is room. */
static unsigned number_of(struct stream *stream, const struct stream_pairs *pairs) {
    if (stream->entries.count == 0 && stream->nodes.open.total == 0 && stream->names) set_names(stream, NULL);
    unsigned number = stream_names_find(stream->names, pairs, stream->nodes.open.number);
    if (number) return number;
    struct block *names = stream_names_add(stream->names, pairs);
    if (names == NULL) return 0;
    set_names(stream, names);
    return stream_names_count(names);
}

/* Puts an entry that was written behind all others. */
static bool push_entry(struct stream *stream, const struct tree_context *context, struct stream_id id,
                       struct bytes entry, struct block *block) {
    struct tree_item item = {.key = stream_key(id), .parts = {entry}, .blocks = {block}};
    if (!tree_push(&stream->entries, context, &item, TREE_BACK)) return false;
    if (block) stream->long_bytes += block_memory(block);
    return true;
}

static bool write_and_push(struct stream *stream, const struct tree_context *context, struct stream_id id,
                           const struct stream_pairs *pairs, unsigned number) {
    char few[ELEMENT_INLINE_MAX];
    if (stream_pairs_bytes(pairs) > STREAM_ENTRY_MOST) return false;
    size_t len = stream_entry_len(pairs, number);
    struct block *block = len > sizeof few ? block_new_full(len, len) : NULL;
    if (len > sizeof few && block == NULL) return false;
    char *at = block ? block->data : few;
    stream_entry_write(at, pairs, number);
    bool done = push_entry(stream, context, id, (struct bytes){at, len}, block);
    if (block) block_release(block); /* a leaf has a reference of its own */
    return done;
}

bool stream_push(struct stream *stream, const struct tree_context *context, struct stream_id id,
                 const struct stream_pairs *pairs, const struct stream_node_limits *limits) {
    assert(stream_id_compare(id, stream->last) > 0); /* 1 */
    unsigned number = number_of(stream, pairs);
    if (!write_and_push(stream, context, id, pairs, number)) return false;
    stream_nodes_add(&stream->nodes, context, &(struct stream_added){id, pairs, number}, limits);
    stream->last = id;
    stream->added++;
    return true;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

struct stream *stream_edit(struct edit *edit) {
    if (edit->entry->kind == VALUE_OBJECT) {
        struct object *object = edit_object(edit);
        return object ? stream_of(object) : NULL;
    }
    struct stream *stream = stream_new(edit->keyspace->heap);
    if (stream == NULL || !collection_become_object(edit, &stream->head)) return NULL;
    return stream;
}

bool stream_add(struct edit *edit, struct stream_id id, const struct stream_pairs *pairs,
                const struct stream_node_limits *limits) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return false;
    struct tree_context context = collection_context(edit->keyspace);
    bool done = stream_push(stream, &context, id, pairs, limits);
    keyspace_note_nodes(edit->keyspace);
    if (!done && edit->created && stream->entries.count == 0) edit->changed = false;
    return done;
}

/* The producers of a stream, to note something there: its own, or, where it has none, new ones, which are not its own yet.
 * NULL where memory is short. */
static struct stream_producers *producers_for(const struct stream *stream, struct heap *heap,
                                              const struct stream_once *once) {
    return stream->producers ? stream->producers : stream_producers_new(heap, once->limits);
}

/* They become the stream's if something was noted, else new ones go. */
static void keep_producers(struct stream *stream, struct stream_producers *producers, bool noted) {
    unsigned budget = UINT_MAX;
    if (noted)
        stream->producers = producers;
    else if (producers && producers != stream->producers)
        stream_producers_bury(&producers, &stream->graves, &budget);
}

bool stream_add_once(struct edit *edit, const struct stream_once *once, struct stream_id id,
                     const struct stream_pairs *pairs, const struct stream_node_limits *limits) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return false;
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_producers *producers = producers_for(stream, context.heap, once);
    bool noted = producers && stream_producers_note(producers, &context, once, id);
    bool done = noted && stream_push(stream, &context, id, pairs, limits);
    if (noted && !done) stream_producers_undo(producers, &context, once->producer);
    keep_producers(stream, producers, done);
    keyspace_note_nodes(edit->keyspace);
    if (!done && edit->created && stream->entries.count == 0) edit->changed = false;
    return done;
}

enum stream_changed stream_note_once(struct edit *edit, const struct stream_once *once, struct stream_id id) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_producers *producers = producers_for(stream, context.heap, once);
    bool noted = producers && stream_producers_note(producers, &context, once, id);
    keep_producers(stream, producers, noted);
    keyspace_note_nodes(edit->keyspace);
    return noted ? STREAM_CHANGED : STREAM_NO_MEMORY;
}

enum stream_changed stream_count_repeated(struct edit *edit) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    assert(stream->producers);
    stream->producers->repeated++;
    return STREAM_CHANGED;
}

enum stream_changed stream_limit_producers(struct edit *edit, struct stream_idmp_limits limits) {
    struct value value = entry_value(edit->entry);
    const struct stream_producers *before = stream_at(&value)->producers;
    assert(limits.seconds > 0 && limits.most > 0);
    if (before && before->seconds == limits.seconds && before->most == limits.most) return STREAM_UNCHANGED;
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    struct heap *heap = edit->keyspace->heap;
    struct stream_producers *producers = stream_producers_new(heap, limits);
    if (producers == NULL) return STREAM_NO_MEMORY;
    if (stream->producers) {
        /* A stream that nobody has takes those there were, and dies in steps. */
        struct stream *grave = stream_new(heap);
        if (grave == NULL) {
            node_free(producers);
            return STREAM_NO_MEMORY;
        }
        producers->added = stream->producers->added;
        producers->repeated = stream->producers->repeated;
        grave->producers = stream->producers;
        object_release(&grave->head, &edit->keyspace->dead);
        keyspace_note_garbage(edit->keyspace);
    }
    stream->producers = producers;
    return STREAM_CHANGED;
}

enum stream_changed stream_delete(struct edit *edit, struct stream_id id) {
    struct value value = entry_value(edit->entry);
    struct tree_cursor cursor;
    struct tree_item item;
    if (!stream_seek(&cursor, &stream_at(&value)->entries, id)) return STREAM_UNCHANGED;
    tree_get(&cursor, &item);
    size_t bytes = item.blocks[0] ? block_memory(item.blocks[0]) : 0;
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    item = (struct tree_item){.key = stream_key(id)};
    if (tree_remove(&stream->entries, &context, &item) != TREE_REMOVED) return STREAM_NO_MEMORY;
    stream->long_bytes -= bytes < stream->long_bytes ? bytes : stream->long_bytes;
    stream_nodes_delete(&stream->nodes, &context, &stream->entries, id);
    keyspace_note_nodes(edit->keyspace);
    if (stream_id_compare(id, stream->max_deleted) > 0) stream->max_deleted = id;
    return STREAM_CHANGED;
}

bool stream_trim(struct edit *edit, uint64_t count, struct stream_id from) {
    if (count == 0) return true;
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return false;
    struct tree_context context = collection_context(edit->keyspace);
    uint64_t bytes = stream->long_bytes ? collection_long_bytes(&stream->entries, 0, count) : 0;
    bool done = tree_remove_range(&stream->entries, &context, 0, count);
    if (done) {
        stream->long_bytes -= bytes < stream->long_bytes ? bytes : stream->long_bytes;
        stream_nodes_trim(&stream->nodes, &context, &stream->entries, from);
    }
    keyspace_note_nodes(edit->keyspace);
    return done;
}

enum stream_changed stream_create_group(struct edit *edit, struct bytes name, struct stream_id last,
                                        int64_t read) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_group *group = stream_group_add(stream, &stream->groups, &context, name);
    if (group == NULL && edit->created) edit->changed = false;
    if (group == NULL) return STREAM_NO_MEMORY;
    group->last = last;
    group->read = read;
    return STREAM_CHANGED;
}

enum stream_changed stream_destroy_group(struct edit *edit, struct bytes name) {
    struct value value = entry_value(edit->entry);
    if (!stream_group_find(&stream_at(&value)->groups, name)) return STREAM_UNCHANGED;
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return STREAM_NO_MEMORY;
    /* A stream that nobody has takes the group, and its death with it: in steps, as all of them die. */
    struct stream *grave = stream_new(edit->keyspace->heap);
    if (grave == NULL) return STREAM_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    bool done = stream_group_remove(&stream->groups, &context, name, grave, &grave->groups);
    object_release(&grave->head, &edit->keyspace->dead);
    keyspace_note_garbage(edit->keyspace);
    return done ? STREAM_CHANGED : STREAM_NO_MEMORY;
}

enum { TEND_WITH_CHANGE = 16 }; /* runs of those who leave a group that go with a change of it */

struct stream_group *stream_open_group(struct edit *edit, struct bytes name) {
    struct stream *stream = stream_edit(edit);
    if (stream == NULL) return NULL;
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_group *group = stream_group_edit(&stream->groups, &context, name);
    unsigned budget = TEND_WITH_CHANGE;
    if (group && group->leavers.count > 0) stream_group_tend(group, &context, &budget);
    return group;
}

bool stream_delete_consumer(struct edit *edit, struct stream_group *group, struct bytes name) {
    struct tree_context context = collection_context(edit->keyspace);
    if (!stream_consumer_remove(group, &context, name)) return false;
    if (group->leavers.count > 0)
        keyspace_put_off(edit->keyspace, edit->db, edit->key, stream_name_of(&group->head));
    return true;
}

/* Goes on with what deleting consumers of a group has left. */
static bool tend(struct edit *edit, struct bytes name, unsigned *budget) {
    struct value value = entry_value(edit->entry);
    const struct stream_group *group = stream_group_find(&stream_at(&value)->groups, name);
    struct tree_context context = collection_context(edit->keyspace);
    if (group == NULL || group->leavers.count == 0) return true;
    struct stream *stream = stream_edit(edit);
    struct stream_group *own = stream ? stream_group_edit(&stream->groups, &context, name) : NULL;
    return own && stream_group_tend(own, &context, budget);
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    (void)value;
    return "stream";
}

static uint64_t count(const struct value *value) {
    return value->kind == VALUE_OBJECT ? stream_at(value)->entries.count : 0;
}

static void digest_entry(struct digest *digest, const struct stream *stream, const struct stream_item *item) {
    struct stream_fields fields = stream_fields(item->entry, stream->names);
    struct bytes field, value;
    char text[2 * NUMBER_I64_MAX_LEN + 1];
    size_t len = number_format_u64(text, item->id.ms);
    text[len++] = '.';
    len += number_format_u64(text + len, item->id.sequence);
    digest_mix(digest, (struct bytes){text, len});
    while (stream_fields_next(&fields, &field, &value)) {
        digest_mix(digest, field);
        digest_mix(digest, value);
    }
}

static void digest(const struct value *value, struct digest *digest) {
    const struct stream *stream = stream_at(value);
    struct stream_walk walk;
    struct stream_item item;
    stream_walk(&walk, stream, (struct stream_id){0, 0}, STREAM_ID_MAX, false);
    while (stream_next(&walk, &item)) digest_entry(digest, stream, &item);
}

static enum rdb_type form(const struct value *value) {
    return stream_form(stream_at(value));
}

static size_t memory(const struct object *object) {
    const struct stream *stream = stream_of(object);
    return node_bytes(sizeof *stream) + stream->entries.bytes + stream->nodes.closed.bytes +
           stream->long_bytes + (stream->names ? block_memory(stream->names) : 0) +
           stream_groups_memory(&stream->groups) + stream_producers_memory(stream->producers);
}

static struct object *fork_stream(const struct object *object, struct heap *heap) {
    struct stream *from = stream_of(object), *to = stream_new(heap);
    if (to == NULL) return NULL;
    if (from->producers && (to->producers = stream_producers_fork(from->producers, heap)) == NULL) {
        node_free(to);
        return NULL;
    }
    if (!stream_groups_share(to, &to->groups, &from->groups)) {
        unsigned budget = UINT_MAX;
        stream_producers_bury(&to->producers, &to->graves, &budget); /* shared chunks alone */
        node_free(to);
        return NULL;
    }
    to->nodes.open = from->nodes.open;
    to->nodes.open_live = from->nodes.open_live;
    tree_fork(&to->entries, &from->entries);
    tree_fork(&to->nodes.closed, &from->nodes.closed);
    if (from->names) set_names(to, block_retain(from->names));
    to->long_bytes = from->long_bytes;
    to->last = from->last;
    to->max_deleted = from->max_deleted;
    to->added = from->added;
    to->releases = from->releases;
    return &to->head;
}

static bool bury(struct object *object, unsigned *budget) {
    struct stream *stream = stream_of(object);
    assert(*budget > 0);
    tree_release(&stream->entries, &stream->graves);
    tree_release(&stream->nodes.closed, &stream->graves);
    if (!stream_groups_bury(stream, &stream->groups, &stream->graves, budget)) return false;
    if (!stream_producers_bury(&stream->producers, &stream->graves, budget)) return false;
    if (graves_dig(&stream->graves, budget) || *budget == 0) return false;
    --*budget;
    set_names(stream, NULL);
    node_free(stream);
    return true;
}

const struct type type_stream = {.name = "stream",
                                 .number = TYPE_STREAM,
                                 .keeps_empty = true,
                                 .encoding = encoding,
                                 .count = count,
                                 .digest = digest,
                                 .dump = stream_dump,
                                 .form = form,
                                 .load = stream_load,
                                 .memory = memory,
                                 .fork = fork_stream,
                                 .tend = tend,
                                 .bury = bury};
