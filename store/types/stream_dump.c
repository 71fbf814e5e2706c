/* stream_dump.c - streams as Redis 7.0 reads them, or 8.6 or 8.8 (stream_form; store/rdb/stream.h has the forms).
 *
 * There is a listpack for each of Redis's nodes, without the entries that have been deleted; nodes without entries are
 * left out. A node keeps its number when the entry that had it is deleted. The master entry has the fields that the first
 * entry had, there or not, or, where the stream has forgotten these, those of the first one that is there: so a listpack is
 * no longer than the account of its node (stream_nodes.h) says, which ends at STREAM_ENTRY_MOST and an entry. The cursor
 * says where a dump is: its stage, the node, group or producer, and of a group's pending entries or its consumers, or of a
 * producer's ids, the next. */
#include "store/rdb/packed.h"
#include "store/rdb/stream.h"
#include "store/rdb/writer.h"
#include "store/types/stream.h"

enum { STAGE, PLACE, PART, RANK }; /* words of the cursor */
enum { STAGE_BEGIN, STAGE_NODES, STAGE_GROUPS, STAGE_PRODUCERS };
enum { PART_HEAD, PART_PENDING, PART_CONSUMERS };
enum { PART_LIMITS, PART_PRODUCER, PART_IDS }; /* of producers */

/* ---- Listpacks ------------------------------------------------------------------------------------ */

/* Elements on their way into a listpack: counted first, then written. */
struct pages {
    struct sink *sink; /* NULL: they are counted */
    size_t bytes;
    uint64_t count;
    bool failed;
};

static void put_text(struct pages *pages, struct bytes text) {
    struct listpack_element element;
    listpack_element(&element, text);
    pages->bytes += listpack_element_len(&element);
    pages->count++;
    if (pages->sink == NULL || pages->failed) return;
    pages->failed = !rdb_write_bytes(pages->sink, element.head, element.head_len) ||
                    !rdb_write_bytes(pages->sink, element.text.data, element.text.len) ||
                    !rdb_write_bytes(pages->sink, element.tail, element.tail_len);
}

static void put_number(struct pages *pages, int64_t number) {
    char text[NUMBER_I64_MAX_LEN];
    put_text(pages, (struct bytes){text, number_format_i64(text, number)});
}

/* Entries from one number up to another, which are one node; there is one at least. */
struct dumped_node {
    const struct stream *stream;
    struct stream_id key; /* the node's number in Redis, from which entries are counted */
    struct stream_id from, to;
    uint64_t entries;
    unsigned number; /* of the fields that the master entry has; 0: those of the first entry */
    struct stream_item first;
};

static bool same_fields(const struct dumped_node *node, const struct stream_item *item) {
    struct stream_fields a = stream_fields(node->first.entry, node->stream->names);
    struct stream_fields b = stream_fields(item->entry, node->stream->names);
    struct bytes field, other, value;
    if (node->number) return b.number == node->number;
    if (a.left != b.left) return false;
    while (stream_fields_next(&a, &field, &value) && stream_fields_next(&b, &other, &value))
        if (!bytes_equal(field, other)) return false;
    return true;
}

static void put_master(struct pages *pages, const struct dumped_node *node) {
    const struct block *names = node->stream->names;
    unsigned number = node->number;
    struct stream_fields fields = number ? stream_names_list(names, number)
                                         : stream_fields(node->first.entry, names);
    struct bytes field, value;
    put_number(pages, (int64_t)node->entries);
    put_number(pages, 0);
    put_number(pages, (int64_t)fields.left);
    while (number ? stream_names_next(&fields, &field) : stream_fields_next(&fields, &field, &value))
        put_text(pages, field);
    put_number(pages, 0);
}

static void put_entry(struct pages *pages, const struct dumped_node *node, const struct stream_item *item) {
    struct stream_fields fields = stream_fields(item->entry, node->stream->names);
    struct bytes field, value;
    bool same = same_fields(node, item);
    int64_t count = (int64_t)fields.left;
    put_number(pages, same ? STREAM_SAME_FIELDS : 0);
    put_number(pages, (int64_t)(item->id.ms - node->key.ms));
    put_number(pages, (int64_t)(item->id.sequence - node->key.sequence));
    if (!same) put_number(pages, count);
    while (stream_fields_next(&fields, &field, &value)) {
        if (!same) put_text(pages, field);
        put_text(pages, value);
    }
    put_number(pages, same ? count + 3 : 2 * count + 4);
}

static void put_node(struct pages *pages, const struct dumped_node *node) {
    struct stream_walk walk;
    struct stream_item item;
    put_master(pages, node);
    stream_walk(&walk, node->stream, node->from, node->to, false);
    while (!pages->failed && stream_next(&walk, &item)) put_entry(pages, node, &item);
}

static bool write_key(struct sink *sink, struct stream_id id) {
    char key[STREAM_KEY_BYTES];
    uint64_t halves[] = {__builtin_bswap64(id.ms), __builtin_bswap64(id.sequence)};
    memcpy(key, halves, sizeof key);
    return rdb_write_bytes(sink, key, sizeof key);
}

static bool write_node(struct sink *sink, struct dumped_node *node) {
    struct pages counted = {.sink = NULL}, written = {.sink = sink};
    struct stream_walk walk;
    char head[LISTPACK_HEAD], end = (char)0xff;
    stream_walk(&walk, node->stream, node->from, node->to, false);
    stream_next(&walk, &node->first);
    /* What stands before all nodes is in none of them. */
    if (stream_id_compare(node->first.id, node->key) < 0) node->key = node->first.id;
    put_node(&counted, node);
    size_t bytes = LISTPACK_HEAD + counted.bytes + 1;
    if (bytes > UINT32_MAX) return false;
    listpack_head(head, (uint32_t)bytes, counted.count);
    if (!rdb_write_len(sink, STREAM_KEY_BYTES) || !write_key(sink, node->key)) return false;
    if (!rdb_write_len(sink, bytes) || !rdb_write_bytes(sink, head, sizeof head)) return false;
    put_node(&written, node);
    assert(written.failed || (written.bytes == counted.bytes && written.count == counted.count));
    return !written.failed && rdb_write_bytes(sink, &end, 1);
}

/* ---- Nodes ---------------------------------------------------------------------------------------- */

/* Which entries the node at this place has; false if none. What is before or behind all nodes is in the first or last. */
static bool node_at(const struct stream *stream, uint64_t place, struct dumped_node *node) {
    bool last = place == stream->nodes.closed.count;
    struct stream_node begin = stream_nodes_at(&stream->nodes, place);
    *node = (struct dumped_node){
        .stream = stream, .key = begin.total ? begin.first : STREAM_ID_MAX, .to = STREAM_ID_MAX};
    if (begin.number <= stream_names_count(stream->names)) node->number = begin.number;
    if (place > 0) node->from = begin.first;
    if (!last) {
        node->to = stream_nodes_at(&stream->nodes, place + 1).first;
        bool open_is_none = place + 1 == stream->nodes.closed.count && stream->nodes.open.total == 0;
        if (open_is_none)
            node->to = STREAM_ID_MAX;
        else
            stream_id_previous(&node->to);
    } else if (stream->nodes.open.total == 0 && stream->nodes.closed.count > 0) {
        return false;
    }
    node->entries = stream_between(stream, node->from, node->to);
    return node->entries > 0;
}

enum { EMPTY_COST = 8 }; /* what looking for a node takes, in entries that are written */

/* Counts the nodes that are not empty, in the cursor's word RANK, and writes how many they are. */
static enum dumped count_nodes(const struct stream *stream, struct cursor *cursor, struct sink *sink,
                               size_t budget) {
    uint64_t places = stream->nodes.closed.count + 1, most = budget / (16 * EMPTY_COST) + 1;
    struct dumped_node node;
    for (uint64_t i = 0; i < most && cursor->words[PLACE] < places; i++)
        cursor->words[RANK] += node_at(stream, cursor->words[PLACE]++, &node);
    if (cursor->words[PLACE] < places) return DUMP_MORE;
    if (!rdb_write_len(sink, cursor->words[RANK])) return DUMP_FAILED;
    *cursor = (struct cursor){.words = {[STAGE] = STAGE_NODES}};
    return DUMP_DONE;
}

static enum dumped write_nodes(const struct stream *stream, struct cursor *cursor, struct sink *sink,
                               size_t budget) {
    uint64_t places = stream->nodes.closed.count + 1, entries = 0, most = budget / 16 + 1;
    struct dumped_node node;
    for (; cursor->words[PLACE] < places; cursor->words[PLACE]++) {
        if (entries >= most) return DUMP_MORE;
        entries += EMPTY_COST;
        if (!node_at(stream, cursor->words[PLACE], &node)) continue;
        if (!write_node(sink, &node)) return DUMP_FAILED;
        entries += node.entries;
    }
    return DUMP_DONE;
}

/* ---- State and groups ----------------------------------------------------------------------------- */

static bool write_id(struct sink *sink, struct stream_id id) {
    return rdb_write_len(sink, id.ms) && rdb_write_len(sink, id.sequence);
}

static bool write_state(const struct stream *stream, struct sink *sink) {
    return rdb_write_len(sink, stream->entries.count) && write_id(sink, stream->last) &&
           write_id(sink, stream_end(stream, TREE_FRONT)) && write_id(sink, stream->max_deleted) &&
           rdb_write_len(sink, stream->added) && rdb_write_len(sink, stream->groups.count);
}

static bool write_text(struct sink *sink, struct bytes text) {
    return rdb_write_len(sink, text.len) && rdb_write_bytes(sink, text.data, text.len);
}

static bool write_name(struct sink *sink, const struct stream_named *named) {
    return write_text(sink, stream_name_of(named));
}

static bool write_group_head(const struct stream_group *group, struct sink *sink) {
    return write_name(sink, &group->head) && write_id(sink, group->last) &&
           rdb_write_len(sink, (uint64_t)group->read) && rdb_write_len(sink, stream_pending_count(group));
}

/* Later forms tell, beside when it was heard of, when it was given something: that is not known here. */
static bool write_consumer_head(const struct stream_consumer *consumer, struct sink *sink, bool later) {
    uint64_t seen_ms = (uint64_t)consumer->seen_ms;
    return write_name(sink, &consumer->head) && rdb_write_number(sink, seen_ms, 8) &&
           (!later || rdb_write_number(sink, seen_ms, 8)) && rdb_write_len(sink, consumer->pending.count);
}

/* What is pending in a group, or for one consumer, from the cursor's rank on. */
static enum dumped write_pending(const struct stream_group *group, const struct stream_consumer *consumer,
                                 struct cursor *cursor, struct sink *sink, uint64_t most) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    const struct tree *tree = consumer ? &consumer->pending : &group->pending;
    if (cursor->words[RANK] >= tree->count) return DUMP_DONE;
    stream_pending_walk(&walk, group, consumer, (struct stream_id){0, 0});
    tree_select(&walk.cursor, tree, cursor->words[RANK]);
    for (uint64_t i = 0; i < most && stream_pending_next(&walk, &pending); i++) {
        if (!write_key(sink, pending.id)) return DUMP_FAILED;
        if (consumer) continue;
        if (!rdb_write_number(sink, (uint64_t)pending.time_ms, 8) || !rdb_write_len(sink, pending.count))
            return DUMP_FAILED;
    }
    cursor->words[RANK] = walk.cursor.leaf ? tree_rank(&walk.cursor) : tree->count;
    return walk.cursor.leaf ? DUMP_MORE : DUMP_DONE;
}

/* What nobody owns, found among all that is pending in the group from the cursor's rank on, which is counted from 1. */
static enum dumped write_released(const struct stream_group *group, struct cursor *cursor, struct sink *sink,
                                  uint64_t most) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t *rank = &cursor->words[RANK];
    if (*rank == 0) {
        if (!rdb_write_len(sink, group->released)) return DUMP_FAILED;
        if (group->released == 0) return DUMP_DONE;
        *rank = 1;
    }
    stream_pending_walk(&walk, group, NULL, (struct stream_id){0, 0});
    tree_select(&walk.cursor, &group->pending, *rank - 1);
    for (uint64_t i = 0; i < most && stream_pending_next(&walk, &pending); i++)
        if (pending.consumer == STREAM_UNOWNED && !write_key(sink, pending.id)) return DUMP_FAILED;
    if (walk.cursor.leaf) *rank = tree_rank(&walk.cursor) + 1;
    return walk.cursor.leaf ? DUMP_MORE : DUMP_DONE;
}

/* One part of the group at the cursor, which goes on to the next: DUMP_DONE behind the last. */
static enum dumped write_group_part(const struct stream_group *group, struct cursor *cursor,
                                    struct sink *sink, uint64_t most, enum rdb_type form) {
    bool later = form != RDB_TYPE_STREAM_2;
    uint64_t *part = &cursor->words[PART], next = *part + 1;
    enum dumped dumped = DUMP_DONE;
    bool written = true;
    if (*part == PART_HEAD) {
        written = write_group_head(group, sink);
    } else if (*part == PART_PENDING) {
        dumped = write_pending(group, NULL, cursor, sink, most);
        if (dumped == DUMP_DONE) written = rdb_write_len(sink, group->consumers.count);
    } else {
        uint64_t place = (*part - PART_CONSUMERS) / 2;
        bool head = (*part - PART_CONSUMERS) % 2 == 0;
        const struct stream_consumer *consumer = stream_consumer_next(group, &place);
        if (consumer == NULL)
            return form == RDB_TYPE_STREAM_5 ? write_released(group, cursor, sink, most) : DUMP_DONE;
        if (head)
            written = write_consumer_head(consumer, sink, later);
        else
            dumped = write_pending(group, consumer, cursor, sink, most);
        next = head ? *part + 1 : PART_CONSUMERS + 2 * place;
    }
    if (!written || dumped != DUMP_DONE) return written ? dumped : DUMP_FAILED;
    cursor->words[RANK] = 0;
    *part = next;
    return DUMP_MORE;
}

static enum dumped write_groups(const struct stream *stream, struct cursor *cursor, struct sink *sink,
                                size_t budget) {
    enum { PARTS_AT_ONCE = 64 };
    const struct stream_group *group;
    enum rdb_type form = stream_form(stream);
    uint64_t next = cursor->words[PLACE];
    for (unsigned i = 0; (group = stream_group_next(&stream->groups, &next)); i++) {
        if (i == PARTS_AT_ONCE) return DUMP_MORE;
        uint64_t rank = cursor->words[RANK];
        enum dumped dumped = write_group_part(group, cursor, sink, budget / STREAM_KEY_BYTES + 1, form);
        if (dumped == DUMP_FAILED || (dumped == DUMP_MORE && cursor->words[RANK] > rank)) return dumped;
        if (dumped == DUMP_DONE) {
            cursor->words[PART] = PART_HEAD;
            cursor->words[RANK] = 0;
            cursor->words[PLACE] = next;
        }
        next = cursor->words[PLACE];
    }
    return DUMP_DONE;
}

/* ---- Producers ------------------------------------------------------------------------------------ */

/* Ids of a producer from the cursor's rank on, about so many bytes of them. */
static enum dumped write_ids(const struct stream_producer *producer, struct cursor *cursor, struct sink *sink,
                             size_t budget) {
    enum { ID_BYTES = 20 }; /* beside the id itself, about */
    uint64_t *rank = &cursor->words[RANK];
    for (size_t written = 0; *rank < producer->list.count; ++*rank) {
        struct stream_id entry;
        if (written > budget) return DUMP_MORE;
        struct bytes id = stream_producer_id(producer, *rank, &entry);
        if (!write_text(sink, id) || !write_id(sink, entry)) return DUMP_FAILED;
        written += id.len + ID_BYTES;
    }
    return DUMP_DONE;
}

/* One after the other, or, where a producer's ids were not all that the budget allows, a part. */
static enum dumped write_each_producer(const struct stream_producers *producers, struct cursor *cursor,
                                       struct sink *sink, size_t budget) {
    enum { AT_ONCE = 64 };
    const struct stream_producer *producer;
    uint64_t next = cursor->words[PLACE], ids = 0;
    for (unsigned i = 0; (producer = stream_producer_next(producers, &next)); i++) {
        if (i == AT_ONCE || ids > AT_ONCE) return DUMP_MORE;
        bool head = cursor->words[PART] == PART_PRODUCER;
        if (head && (!write_name(sink, &producer->head) || !rdb_write_len(sink, producer->list.count)))
            return DUMP_FAILED;
        cursor->words[PART] = PART_IDS;
        enum dumped dumped = write_ids(producer, cursor, sink, budget);
        if (dumped != DUMP_DONE) return dumped;
        ids += producer->list.count;
        *cursor = (struct cursor){
            .words = {[STAGE] = STAGE_PRODUCERS, [PLACE] = next, [PART] = PART_PRODUCER, [RANK] = 0}};
    }
    return DUMP_DONE;
}

/* What later forms have behind the groups. */
static enum dumped write_producers(const struct stream *stream, struct cursor *cursor, struct sink *sink,
                                   size_t budget) {
    const struct stream_producers *producers = stream_producers_or_none(stream->producers);
    if (cursor->words[PART] == PART_LIMITS) {
        if (!rdb_write_len(sink, producers->seconds) || !rdb_write_len(sink, producers->most) ||
            !rdb_write_len(sink, producers->list.count))
            return DUMP_FAILED;
        cursor->words[PART] = PART_PRODUCER;
    }
    enum dumped dumped = write_each_producer(producers, cursor, sink, budget);
    if (dumped != DUMP_DONE) return dumped;
    bool written = rdb_write_len(sink, producers->added) && rdb_write_len(sink, producers->repeated);
    return written ? DUMP_DONE : DUMP_FAILED;
}

/* ---- All of it ------------------------------------------------------------------------------------ */

enum rdb_type stream_form(const struct stream *stream) {
    const struct stream_group *group;
    bool released = false;
    for (uint64_t place = 0;
         stream->releases && !released && (group = stream_group_next(&stream->groups, &place));)
        released = group->released > 0;
    if (released) return RDB_TYPE_STREAM_5;
    return stream_producers_matter(stream->producers) ? RDB_TYPE_STREAM_4 : RDB_TYPE_STREAM_2;
}

enum dumped stream_dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget) {
    const struct stream *stream = stream_at(value);
    if (cursor->words[STAGE] == STAGE_BEGIN) {
        enum dumped dumped = count_nodes(stream, cursor, sink, budget);
        if (dumped != DUMP_DONE) return dumped;
    }
    if (cursor->words[STAGE] == STAGE_NODES) {
        enum dumped dumped = write_nodes(stream, cursor, sink, budget);
        if (dumped != DUMP_DONE) return dumped;
        if (!write_state(stream, sink)) return DUMP_FAILED;
        *cursor = (struct cursor){.words = {[STAGE] = STAGE_GROUPS}};
    }
    if (cursor->words[STAGE] == STAGE_GROUPS) {
        enum dumped dumped = write_groups(stream, cursor, sink, budget);
        if (dumped != DUMP_DONE || stream_form(stream) == RDB_TYPE_STREAM_2) return dumped;
        *cursor = (struct cursor){.words = {[STAGE] = STAGE_PRODUCERS}};
    }
    return write_producers(stream, cursor, sink, budget);
}
