/* stream_load.c - streams from what DUMP or an RDB file has of them. */
#include "store/types/stream.h"

#include "store/rdb/stream.h"
#include "store/values/load.h"

_Static_assert(STREAM_TIME_MAX == RDB_TIME_MAX, "a time that is read can be kept");
_Static_assert((int)STREAM_IDMP_SECONDS == (int)RDB_SECONDS_MAX && (int)STREAM_IDMP_MOST == (int)RDB_IDS_MAX,
               "and so can the limits of producers");

static struct stream_id id_of(struct rdb_id id) {
    return (struct stream_id){id.ms, id.sequence};
}

/* The stream that is being loaded: one is made when it is first asked for. NULL without memory. */
static struct stream *stream_of_loading(struct loading *loading) {
    struct value *value = &loading->value;
    if (value->kind != VALUE_OBJECT) {
        struct stream *stream = stream_new(loading->options->context.heap);
        if (stream == NULL) return NULL;
        value->kind = VALUE_OBJECT;
        value->object = &stream->head;
    }
    return stream_of(value->object);
}

static enum rdb_answer answer(bool done) {
    return done ? RDB_TAKEN : RDB_NO_ROOM;
}

/* Redis's nodes are parted where they were. */
static enum rdb_answer load_entry(struct stream *stream, const struct tree_context *context,
                                  const struct rdb_stream_part *part) {
    struct stream_pairs pairs = {part->pairs, part->count};
    struct stream_id node = id_of(part->node);
    struct stream_node_limits limits = {.entries = part->opens_node ? 1 : 0,
                                        .begin = part->opens_node ? &node : NULL};
    if (stream_pairs_bytes(&pairs) > STREAM_ENTRY_MOST) return RDB_REFUSED;
    return answer(stream_push(stream, context, id_of(part->id), &pairs, &limits));
}

static void load_state(struct stream *stream, const struct rdb_stream_part *part) {
    stream->last = id_of(part->id);
    stream->max_deleted = id_of(part->max_deleted);
    stream->added = part->added;
}

static enum rdb_answer load_group(struct loading *loading, struct stream *stream,
                                  const struct rdb_stream_part *part) {
    if (stream_group_find(&stream->groups, part->name)) return RDB_REFUSED;
    struct stream_group *group =
        stream_group_add(stream, &stream->groups, &loading->options->context, part->name);
    if (group == NULL) return RDB_NO_ROOM;
    group->last = id_of(part->id);
    group->read = part->old ? stream_read_by(stream, group->last) : part->read;
    loading->group = group;
    return RDB_TAKEN;
}

static enum rdb_answer load_consumer(struct loading *loading, const struct rdb_stream_part *part) {
    bool created;
    if (stream_consumer_find(loading->group, part->name)) return RDB_REFUSED;
    struct stream_consumer *consumer =
        stream_consumer_edit(loading->group, &loading->options->context, part->name, &created);
    if (consumer == NULL) return RDB_NO_ROOM;
    consumer->seen_ms = part->time_ms;
    loading->consumer = consumer->head.number;
    return RDB_TAKEN;
}

static enum rdb_answer load_pending(struct loading *loading, const struct rdb_stream_part *part,
                                    uint32_t consumer) {
    struct stream_pending pending = {id_of(part->id), consumer, part->time_ms, part->deliveries};
    return answer(stream_pending_put(loading->group, &loading->options->context, &pending));
}

/* The producers of the stream, which may be new ones. NULL without memory. */
static struct stream_producers *producers_of(struct loading *loading, struct stream *stream) {
    if (!stream->producers)
        stream->producers =
            stream_producers_new(loading->options->context.heap, (struct stream_idmp_limits){0, 0});
    return stream->producers;
}

/* A stream that has the limits of all others, and nothing more to be known of producers, has none. */
static enum rdb_answer load_limits(struct loading *loading, struct stream *stream,
                                   const struct rdb_stream_part *part) {
    if (part->seconds == STREAM_IDMP_SECONDS_DEFAULT && part->most == STREAM_IDMP_MOST_DEFAULT)
        return RDB_TAKEN;
    struct stream_producers *producers = producers_of(loading, stream);
    if (producers == NULL) return RDB_NO_ROOM;
    producers->seconds = part->seconds;
    producers->most = part->most;
    return RDB_TAKEN;
}

static enum rdb_answer load_producer(struct loading *loading, struct stream *stream,
                                     const struct rdb_stream_part *part) {
    struct stream_producers *producers = producers_of(loading, stream);
    if (producers == NULL) return RDB_NO_ROOM;
    if (stream_producers_has(producers, part->name)) return RDB_REFUSED;
    loading->producer = stream_producers_add(producers, &loading->options->context, part->name);
    return answer(loading->producer);
}

static enum rdb_answer load_known(struct loading *loading, struct stream *stream,
                                  const struct rdb_stream_part *part) {
    const struct tree_context *context = &loading->options->context;
    assert(stream->producers && loading->producer);
    if (stream_producer_has(loading->producer, context->seed, part->name)) return RDB_REFUSED;
    return answer(
        stream_producers_load(stream->producers, context, loading->producer, part->name, id_of(part->id)));
}

static enum rdb_answer load_counts(struct loading *loading, struct stream *stream,
                                   const struct rdb_stream_part *part) {
    if (part->added == 0 && part->repeated == 0) return RDB_TAKEN;
    struct stream_producers *producers = producers_of(loading, stream);
    if (producers == NULL) return RDB_NO_ROOM;
    producers->added = part->added;
    producers->repeated = part->repeated;
    return RDB_TAKEN;
}

enum rdb_answer stream_load(struct loading *loading, const struct rdb_element *element) {
    const struct rdb_stream_part *part = element->part;
    struct stream *stream = stream_of_loading(loading);
    if (stream == NULL) return RDB_NO_ROOM;
    assert(part->part <= RDB_PART_GROUP || part->part >= RDB_PART_LIMITS || loading->group);
    switch (part->part) {
    case RDB_PART_ENTRY: return load_entry(stream, &loading->options->context, part);
    case RDB_PART_STATE: load_state(stream, part); return RDB_TAKEN;
    case RDB_PART_GROUP: return load_group(loading, stream, part);
    case RDB_PART_CONSUMER: return load_consumer(loading, part);
    case RDB_PART_RELEASED: stream->releases = true; return load_pending(loading, part, STREAM_UNOWNED);
    case RDB_PART_LIMITS: return load_limits(loading, stream, part);
    case RDB_PART_PRODUCER: return load_producer(loading, stream, part);
    case RDB_PART_KNOWN: return load_known(loading, stream, part);
    case RDB_PART_COUNTS: return load_counts(loading, stream, part);
    default: return load_pending(loading, part, loading->consumer);
    }
}
