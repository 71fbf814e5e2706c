/* stream_reader.c - streams, step by step as enum stream_step has them. A step that lacks input leaves it there, and is
 * entered again when there is more. */
#include "store/rdb/lzf.h"
#include "store/rdb/reader_parts.h"
#include "store/rdb/stream.h"

/* What a group says is pending, until its consumer says so too. */
struct rdb_pending {
    struct rdb_id id;
    int64_t time_ms;
    uint64_t deliveries;
    bool claimed;
};
enum { PENDING_LEAST = 8 };

static enum rdb_read check(bool holds) {
    return holds ? RDB_READ_DONE : RDB_READ_CORRUPT;
}

static enum rdb_read hand_on(struct rdb_reader *reader, const struct rdb_stream_part *part) {
    return rdb_read_of(reader->loader->element(reader->loader, &(struct rdb_element){.part = part}));
}

static struct rdb_id id_at(const char *at) {
    struct rdb_id id;
    memcpy(&id.ms, at, 8);
    memcpy(&id.sequence, at + 8, 8);
    return (struct rdb_id){__builtin_bswap64(id.ms), __builtin_bswap64(id.sequence)};
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers of 16 bytes have their highest byte first");

/* ---- Nodes ---------------------------------------------------------------------------------------- */

/* Room for strings of a listpack, of which integers become text beside them. */
struct strings {
    struct block *block;
    struct bytes *list;
    char *scratch;
    uint64_t room;
};

static bool make_room(struct strings *strings, uint64_t count) {
    if (count <= strings->room) return true;
    size_t size = count * (sizeof(struct bytes) + NUMBER_I64_MAX_LEN);
    if (strings->block) block_release(strings->block);
    strings->block = block_new_full(size, size);
    strings->room = strings->block ? count : 0;
    if (strings->block == NULL) return false;
    strings->list = (struct bytes *)(void *)strings->block->data;
    strings->scratch = strings->block->data + count * sizeof(struct bytes);
    return true;
}

/* A node that is being walked. */
struct stream_node_walk {
    struct rdb_reader *reader;
    struct packed packed;
    struct strings names, pairs; /* of the master entry, and of the entry at hand */
    uint64_t fields;             /* of the master entry, ... */
    uint64_t names_bytes; /* ... their bytes, and those that entries have repeated, where they are many */
    uint64_t repeated;
    uint64_t alive, deleted; /* entries that were seen */
};

/* The next string; `place` says where among the strings. */
static bool next_string(struct stream_node_walk *node, struct strings *strings, uint64_t place) {
    assert(place < strings->room);
    char *scratch = strings->scratch + place * NUMBER_I64_MAX_LEN;
    return packed_next(&node->packed, scratch, &strings->list[place]) == PACKED_ELEMENT;
}

static bool next_number(struct stream_node_walk *node, int64_t *number) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct bytes text;
    return packed_next(&node->packed, scratch, &text) == PACKED_ELEMENT && number_parse_i64(text, number);
}

/* So many strings, each of which takes two bytes at least, may follow. */
static bool may_follow(const struct stream_node_walk *node, int64_t strings) {
    return strings >= 0 && (uint64_t)strings <= (node->packed.bytes.len - node->packed.at) / 2;
}

static enum rdb_read read_master(struct stream_node_walk *node, int64_t counts[2]) {
    int64_t fields, end;
    if (!next_number(node, &counts[0]) || !next_number(node, &counts[1]) || !next_number(node, &fields))
        return RDB_READ_CORRUPT;
    if (counts[0] < 0 || counts[1] < 0 || fields < 1 || !may_follow(node, fields)) return RDB_READ_CORRUPT;
    node->fields = (uint64_t)fields;
    if (!make_room(&node->names, node->fields)) return RDB_READ_NO_MEMORY;
    for (uint64_t i = 0; i < node->fields; i++) {
        if (!next_string(node, &node->names, i)) return RDB_READ_CORRUPT;
        node->names_bytes += node->names.list[i].len;
    }
    return check(next_number(node, &end) && end == 0);
}

/* Fields and values of an entry. */
static enum rdb_read read_pairs(struct stream_node_walk *node, uint64_t count, bool same) {
    if (!make_room(&node->pairs, 2 * count)) return RDB_READ_NO_MEMORY;
    for (uint64_t i = 0; i < count; i++) {
        if (same)
            node->pairs.list[2 * i] = node->names.list[i];
        else if (!next_string(node, &node->pairs, 2 * i))
            return RDB_READ_CORRUPT;
        if (!next_string(node, &node->pairs, 2 * i + 1)) return RDB_READ_CORRUPT;
    }
    return RDB_READ_DONE;
}

/* Entries that repeat long names have them each in memory: a payload may say so of no more than it could have compressed. */
static bool is_paid_for(struct stream_node_walk *node) {
    enum { LONG_NAMES = 4096 };
    if (node->names_bytes <= LONG_NAMES || !node->reader->whole) return true;
    node->repeated += node->names_bytes;
    return node->repeated / LZF_GAIN_MAX <= node->packed.bytes.len;
}

/* The number that a node has which this entry opens: as it says, if that lies between the entry before and this one. */
static struct rdb_id node_number(const struct rdb_stream *stream, struct rdb_id id) {
    bool behind = stream->entries == 0 || rdb_id_compare(stream->key, stream->before) > 0;
    return behind && rdb_id_compare(stream->key, id) <= 0 ? stream->key : id;
}

/* Hands an entry on, if it is there still. */
static enum rdb_read finish_entry(struct stream_node_walk *node, int64_t flags, struct rdb_id id,
                                  uint64_t count) {
    struct rdb_stream *stream = &node->reader->stream;
    if (flags & STREAM_DELETED) {
        node->deleted++;
        return RDB_READ_DONE;
    }
    bool rises = stream->entries == 0 || rdb_id_compare(id, stream->before) > 0;
    if (!rises || (id.ms | id.sequence) == 0 || count > UINT32_MAX) return RDB_READ_CORRUPT;
    struct rdb_id number = node_number(stream, id);
    stream->before = id;
    stream->entries++;
    return hand_on(node->reader, &(struct rdb_stream_part){.part = RDB_PART_ENTRY,
                                                           .opens_node = node->alive++ == 0,
                                                           .id = id,
                                                           .node = number,
                                                           .pairs = node->pairs.list,
                                                           .count = (uint32_t)count});
}

/* One entry, of which the flags were read. */
static enum rdb_read read_entry(struct stream_node_walk *node, int64_t flags) {
    int64_t ms, sequence, count = (int64_t)node->fields, elements;
    bool same = flags & STREAM_SAME_FIELDS;
    if ((flags & ~(STREAM_DELETED | STREAM_SAME_FIELDS)) != 0) return RDB_READ_CORRUPT;
    if (!next_number(node, &ms) || !next_number(node, &sequence)) return RDB_READ_CORRUPT;
    if (!same && !next_number(node, &count)) return RDB_READ_CORRUPT;
    if (count < 1 || !may_follow(node, count) || (same && !is_paid_for(node))) return RDB_READ_CORRUPT;
    enum rdb_read read = read_pairs(node, (uint64_t)count, same);
    if (read != RDB_READ_DONE) return read;
    int64_t expected = same ? count + 3 : 2 * count + 4;
    if (!next_number(node, &elements) || elements != expected) return RDB_READ_CORRUPT;
    struct rdb_id key = node->reader->stream.key;
    struct rdb_id id = {key.ms + (uint64_t)ms, key.sequence + (uint64_t)sequence};
    return finish_entry(node, flags, id, (uint64_t)count);
}

static enum rdb_read walk_entries(struct stream_node_walk *node) {
    for (;;) {
        char scratch[NUMBER_I64_MAX_LEN];
        struct bytes text;
        int64_t flags;
        switch (packed_next(&node->packed, scratch, &text)) {
        case PACKED_END: return RDB_READ_DONE;
        case PACKED_CORRUPT: return RDB_READ_CORRUPT;
        default: break;
        }
        if (!number_parse_i64(text, &flags)) return RDB_READ_CORRUPT;
        enum rdb_read read = read_entry(node, flags);
        if (read != RDB_READ_DONE) return read;
    }
}

static enum rdb_read walk_node(struct rdb_reader *reader, struct bytes listpack) {
    struct stream_node_walk node = {.reader = reader};
    int64_t counts[2];
    if (!packed_open(&node.packed, PACKED_LISTPACK, listpack)) return RDB_READ_CORRUPT;
    enum rdb_read read = read_master(&node, counts);
    if (read == RDB_READ_DONE) read = walk_entries(&node);
    if (read == RDB_READ_DONE)
        read = check(node.alive == (uint64_t)counts[0] && node.deleted == (uint64_t)counts[1]);
    if (node.names.block) block_release(node.names.block);
    if (node.pairs.block) block_release(node.pairs.block);
    return read;
}

/* ---- What is pending ------------------------------------------------------------------------------ */

static struct rdb_pending *pending_of(const struct rdb_stream *stream) {
    return (struct rdb_pending *)(void *)stream->pending->data;
}

static enum rdb_read note_pending(struct rdb_stream *stream) {
    uint64_t count = stream->pending_count;
    if (count > 0 && rdb_id_compare(stream->key, pending_of(stream)[count - 1].id) <= 0)
        return RDB_READ_CORRUPT;
    size_t room = stream->pending ? stream->pending->capacity / sizeof(struct rdb_pending) : 0;
    if (count == room) {
        size_t bytes = (count ? 2 * count : PENDING_LEAST) * sizeof(struct rdb_pending);
        struct block *grown = stream->pending ? block_grow(stream->pending, bytes) : block_new(0, bytes);
        if (grown == NULL) return RDB_READ_NO_MEMORY;
        stream->pending = grown;
    }
    block_set_len(stream->pending, (count + 1) * sizeof(struct rdb_pending));
    pending_of(stream)[count] =
        (struct rdb_pending){.id = stream->key,
                             .time_ms = (int64_t)stream->numbers[STREAM_PENDING_TIME],
                             .deliveries = stream->numbers[STREAM_PENDING_DELIVERIES]};
    stream->pending_count++;
    return RDB_READ_DONE;
}

/* The entry with the number at hand is pending for the consumer, or, released, for nobody. */
static enum rdb_read claim_pending(struct rdb_reader *reader, enum rdb_part part) {
    struct rdb_stream *stream = &reader->stream;
    uint64_t low = 0, high = stream->pending_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (rdb_id_compare(pending_of(stream)[middle].id, stream->key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == stream->pending_count) return RDB_READ_CORRUPT;
    struct rdb_pending *found = &pending_of(stream)[low];
    if (rdb_id_compare(found->id, stream->key) != 0 || found->claimed) return RDB_READ_CORRUPT;
    found->claimed = true;
    stream->claimed++;
    return hand_on(reader, &(struct rdb_stream_part){.part = part,
                                                     .id = found->id,
                                                     .time_ms = found->time_ms,
                                                     .deliveries = found->deliveries});
}

/* The group is whole: of all that is pending it was said for whom. */
static enum rdb_read finish_group(struct rdb_stream *stream) {
    bool whole = stream->claimed == stream->pending_count;
    stream->pending_count = stream->claimed = 0;
    return check(whole);
}

void rdb_stream_close(struct rdb_stream *stream) {
    if (stream->pending) block_release(stream->pending);
    stream->pending = NULL;
}

/* ---- Parts ---------------------------------------------------------------------------------------- */

static struct rdb_id id_of(const struct rdb_stream *stream, enum stream_step ms) {
    return (struct rdb_id){stream->numbers[ms], stream->numbers[ms + 1]};
}

static enum rdb_read hand_state_on(struct rdb_reader *reader) {
    struct rdb_stream *stream = &reader->stream;
    struct rdb_stream_part part = {.part = RDB_PART_STATE,
                                   .id = id_of(stream, STREAM_LAST_MS),
                                   .old = !stream->has_counts,
                                   .added = stream->numbers[STREAM_LENGTH]};
    /* Some of Redis's versions lost count: what is there counts. */
    if (part.added > 0 && stream->entries == 0) return RDB_READ_CORRUPT;
    if (stream->entries > 0 && rdb_id_compare(part.id, stream->before) < 0) return RDB_READ_CORRUPT;
    if (stream->has_counts) {
        part.max_deleted = id_of(stream, STREAM_DELETED_MS);
        part.added = stream->numbers[STREAM_ADDED];
    }
    return hand_on(reader, &part);
}

static enum rdb_read hand_group_on(struct rdb_reader *reader) {
    struct rdb_stream *stream = &reader->stream;
    int64_t read = 0;
    if (stream->has_counts) memcpy(&read, &stream->numbers[STREAM_GROUP_READ], sizeof read);
    enum rdb_read handed = hand_on(reader, &(struct rdb_stream_part){.part = RDB_PART_GROUP,
                                                                     .name = reader->name.bytes,
                                                                     .id = id_of(stream, STREAM_GROUP_MS),
                                                                     .old = !stream->has_counts,
                                                                     .read = read});
    rdb_text_drop(&reader->name);
    return handed;
}

static enum rdb_read hand_consumer_on(struct rdb_reader *reader) {
    int64_t seen_ms = (int64_t)reader->stream.numbers[STREAM_CONSUMER_SEEN];
    enum rdb_read handed = hand_on(
        reader,
        &(struct rdb_stream_part){.part = RDB_PART_CONSUMER, .name = reader->name.bytes, .time_ms = seen_ms});
    rdb_text_drop(&reader->name);
    return handed;
}

static enum rdb_read hand_limits_on(struct rdb_reader *reader) {
    uint64_t seconds = reader->stream.numbers[STREAM_PRODUCERS_SECONDS];
    uint64_t most = reader->stream.numbers[STREAM_PRODUCERS_MOST];
    if (seconds == 0 || seconds > RDB_SECONDS_MAX || most == 0 || most > RDB_IDS_MAX) return RDB_READ_CORRUPT;
    return hand_on(reader, &(struct rdb_stream_part){.part = RDB_PART_LIMITS,
                                                     .seconds = (uint32_t)seconds,
                                                     .most = (uint32_t)most});
}

/* One without ids, as Redis may have it until it looks at it again, is none. */
static enum rdb_read hand_producer_on(struct rdb_reader *reader) {
    struct rdb_stream_part part = {.part = RDB_PART_PRODUCER, .name = reader->name.bytes};
    enum rdb_read handed = check(part.name.len > 0);
    if (handed == RDB_READ_DONE && reader->stream.numbers[STREAM_PRODUCER_IDS] > 0)
        handed = hand_on(reader, &part);
    rdb_text_drop(&reader->name);
    return handed;
}

static enum rdb_read hand_known_on(struct rdb_reader *reader) {
    struct rdb_stream_part part = {
        .part = RDB_PART_KNOWN, .name = reader->name.bytes, .id = id_of(&reader->stream, STREAM_PRODUCER_MS)};
    enum rdb_read handed = part.name.len > 0 ? hand_on(reader, &part) : RDB_READ_CORRUPT;
    rdb_text_drop(&reader->name);
    return handed;
}

static enum rdb_read hand_counts_on(struct rdb_reader *reader) {
    return hand_on(reader,
                   &(struct rdb_stream_part){.part = RDB_PART_COUNTS,
                                             .added = reader->stream.numbers[STREAM_PRODUCERS_ADDED],
                                             .repeated = reader->stream.numbers[STREAM_PRODUCERS_REPEATED]});
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static enum rdb_read take_id(struct rdb_reader *reader, struct bytes *input) {
    char bytes[STREAM_KEY_BYTES];
    enum rdb_read read = rdb_take_bytes(reader, input, bytes, sizeof bytes);
    if (read == RDB_READ_DONE) reader->stream.key = id_at(bytes);
    return read;
}

/* A time; those that nobody can have meant are refused. */
static enum rdb_read take_time(struct rdb_reader *reader, struct bytes *input, uint64_t *time_ms) {
    enum rdb_read read = rdb_take_bytes(reader, input, time_ms, sizeof *time_ms);
    return read == RDB_READ_DONE ? check(*time_ms <= (uint64_t)RDB_TIME_MAX) : read;
}

static enum rdb_read take_key(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = rdb_take_text(reader, &reader->name, input);
    if (read != RDB_READ_DONE) return read;
    bool whole = reader->name.bytes.len == STREAM_KEY_BYTES;
    if (whole) reader->stream.key = id_at(reader->name.bytes.data);
    rdb_text_drop(&reader->name);
    return check(whole);
}

static enum rdb_read take_node(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = rdb_take_text(reader, &reader->name, input);
    if (read != RDB_READ_DONE) return read;
    read = walk_node(reader, reader->name.bytes);
    rdb_text_drop(&reader->name);
    return read;
}

/* Takes what a step is about. */
static enum rdb_read take(struct rdb_reader *reader, struct bytes *input) {
    struct rdb_stream *stream = &reader->stream;
    uint64_t *number = &stream->numbers[stream->step];
    uint64_t active;
    switch (stream->step) {
    case STREAM_KEY: return take_key(reader, input);
    case STREAM_NODE: return take_node(reader, input);
    case STREAM_GROUP_NAME:
    case STREAM_CONSUMER_NAME:
    case STREAM_PRODUCER_NAME:
    case STREAM_PRODUCER_ID: return rdb_take_text(reader, &reader->name, input);
    case STREAM_PENDING_ID:
    case STREAM_OWNED_ID:
    case STREAM_RELEASED_ID: return take_id(reader, input);
    case STREAM_PENDING_TIME:
    case STREAM_CONSUMER_SEEN: return take_time(reader, input, number);
    case STREAM_CONSUMER_ACTIVE: return rdb_take_bytes(reader, input, &active, sizeof active);
    case STREAM_GROUP_END: return RDB_READ_DONE;
    default: return rdb_take_len(reader, input, number);
    }
}

/* Does what a step that has been taken brings about. */
static enum rdb_read act(struct rdb_reader *reader) {
    struct rdb_stream *stream = &reader->stream;
    switch (stream->step) {
    case STREAM_NODES: return rdb_read_of(reader->loader->begin(reader->loader, RDB_STREAM, 0));
    case STREAM_LAST_SEQUENCE: return stream->has_counts ? RDB_READ_DONE : hand_state_on(reader);
    case STREAM_ADDED: return hand_state_on(reader);
    case STREAM_GROUP_SEQUENCE: return stream->has_counts ? RDB_READ_DONE : hand_group_on(reader);
    case STREAM_GROUP_READ: return hand_group_on(reader);
    case STREAM_PENDING_DELIVERIES: return note_pending(stream);
    case STREAM_CONSUMER_SEEN: return stream->has_active ? RDB_READ_DONE : hand_consumer_on(reader);
    case STREAM_CONSUMER_ACTIVE: return hand_consumer_on(reader);
    case STREAM_OWNED_ID: return claim_pending(reader, RDB_PART_PENDING);
    case STREAM_RELEASED_ID: return claim_pending(reader, RDB_PART_RELEASED);
    case STREAM_GROUP_END: return finish_group(stream);
    case STREAM_PRODUCERS_MOST: return hand_limits_on(reader);
    case STREAM_PRODUCER_IDS: return hand_producer_on(reader);
    case STREAM_PRODUCER_SEQUENCE: return hand_known_on(reader);
    case STREAM_PRODUCERS_REPEATED: return hand_counts_on(reader);
    default: return RDB_READ_DONE;
    }
}

/* One of what is counted has been read: what follows it, or begins the next one. */
static enum stream_step next_of(struct rdb_stream *stream, enum stream_step count, enum stream_step again,
                                enum stream_step behind) {
    assert(stream->numbers[count] > 0);
    return --stream->numbers[count] > 0 ? again : behind;
}

static enum stream_step after_groups(const struct rdb_stream *stream) {
    return stream->has_producers ? STREAM_PRODUCERS_SECONDS : STREAM_DONE;
}

static enum stream_step after_consumers(const struct rdb_stream *stream) {
    return stream->has_released ? STREAM_RELEASED : STREAM_GROUP_END;
}

static enum stream_step after_producer(struct rdb_stream *stream) {
    return next_of(stream, STREAM_PRODUCERS, STREAM_PRODUCER_NAME, STREAM_PRODUCERS_ADDED);
}

static enum stream_step after_consumer(struct rdb_stream *stream) {
    return next_of(stream, STREAM_CONSUMERS, STREAM_CONSUMER_NAME, after_consumers(stream));
}

/* The step behind one that is done. */
static enum stream_step step_after(struct rdb_stream *stream) {
    bool any = stream->numbers[stream->step] > 0;
    switch (stream->step) {
    case STREAM_NODES: return any ? STREAM_KEY : STREAM_LENGTH;
    case STREAM_NODE: return next_of(stream, STREAM_NODES, STREAM_KEY, STREAM_LENGTH);
    case STREAM_LAST_SEQUENCE: return stream->has_counts ? STREAM_FIRST_MS : STREAM_GROUPS;
    case STREAM_GROUPS: return any ? STREAM_GROUP_NAME : after_groups(stream);
    case STREAM_GROUP_SEQUENCE: return stream->has_counts ? STREAM_GROUP_READ : STREAM_PENDING;
    case STREAM_PENDING: return any ? STREAM_PENDING_ID : STREAM_CONSUMERS;
    case STREAM_PENDING_DELIVERIES:
        return next_of(stream, STREAM_PENDING, STREAM_PENDING_ID, STREAM_CONSUMERS);
    case STREAM_CONSUMERS: return any ? STREAM_CONSUMER_NAME : after_consumers(stream);
    case STREAM_CONSUMER_SEEN: return stream->has_active ? STREAM_CONSUMER_ACTIVE : STREAM_OWNED;
    case STREAM_OWNED: return any ? STREAM_OWNED_ID : after_consumer(stream);
    case STREAM_OWNED_ID:
        return --stream->numbers[STREAM_OWNED] > 0 ? STREAM_OWNED_ID : after_consumer(stream);
    case STREAM_RELEASED: return any ? STREAM_RELEASED_ID : STREAM_GROUP_END;
    case STREAM_RELEASED_ID: return next_of(stream, STREAM_RELEASED, STREAM_RELEASED_ID, STREAM_GROUP_END);
    case STREAM_GROUP_END: return next_of(stream, STREAM_GROUPS, STREAM_GROUP_NAME, after_groups(stream));
    case STREAM_PRODUCERS: return any ? STREAM_PRODUCER_NAME : STREAM_PRODUCERS_ADDED;
    case STREAM_PRODUCER_IDS: return any ? STREAM_PRODUCER_ID : after_producer(stream);
    case STREAM_PRODUCER_SEQUENCE:
        return --stream->numbers[STREAM_PRODUCER_IDS] > 0 ? STREAM_PRODUCER_ID : after_producer(stream);
    default: return (enum stream_step)(stream->step + 1);
    }
}

enum rdb_read rdb_stream_read(struct rdb_reader *reader, struct bytes *input) {
    struct rdb_stream *stream = &reader->stream;
    while (stream->step != STREAM_DONE) {
        enum rdb_read read = take(reader, input);
        if (read == RDB_READ_DONE) read = act(reader);
        if (read != RDB_READ_DONE) return read;
        stream->step = step_after(stream);
    }
    return rdb_read_of(reader->loader->end(reader->loader));
}
