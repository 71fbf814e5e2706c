/* stream_rdb_fixture.h - what the tests of dumped and of loaded streams share: they make streams with groups, dump them,
 * and tell whether two are the same. */
#ifndef KEVY_TESTS_UNIT_STORE_TYPES_STREAM_RDB_FIXTURE_H
#define KEVY_TESTS_UNIT_STORE_TYPES_STREAM_RDB_FIXTURE_H

#include "store/types/stream.h"
#include "store/values/load.h"
#include "tests/unit/store/types/collection_fixture.h"

struct paper {
    struct sink sink;
    char *data;
    size_t len, room;
    size_t most; /* bytes that it takes; 0: any */
};
static inline bool write_down(struct sink *sink, struct bytes bytes) {
    struct paper *paper = (struct paper *)(void *)sink;
    if (paper->most && paper->len + bytes.len > paper->most) return false;
    if (paper->len + bytes.len > paper->room) {
        paper->room = 2 * (paper->len + bytes.len);
        paper->data = realloc(paper->data, paper->room);
        CHECK(paper->data);
    }
    memcpy(paper->data + paper->len, bytes.data, bytes.len);
    paper->len += bytes.len;
    return true;
}

static inline enum dumped dump_all(const struct value *value, struct paper *paper, size_t budget) {
    struct cursor cursor = {{0}};
    enum dumped dumped = DUMP_MORE;
    paper->sink.write = write_down;
    while (dumped == DUMP_MORE) dumped = type_stream.dump(value, &cursor, &paper->sink, budget);
    return dumped;
}

static inline struct tree_context context_of_ks(void) {
    return collection_context(ks);
}

static inline void add_entries(struct stream *stream, unsigned count) {
    struct tree_context context = context_of_ks();
    struct stream_node_limits limits = {.entries = 1 + random_below(30)};
    for (unsigned i = 0; i < count; i++) {
        char texts[4][TEXT_MAX];
        struct bytes words[4];
        uint32_t number = random_below(5) ? 1 : random_below(1000);
        for (unsigned j = 0; j < 4; j++)
            words[j] = text_of(j % 2 ? random_below(100000) : number + j, texts[j]);
        struct stream_pairs pairs = {words, 1 + random_below(2)};
        struct stream_id id = {stream->last.ms + random_below(3),
                               stream->last.sequence + 1 + random_below(300)};
        CHECK(stream_push(stream, &context, id, &pairs, &limits));
    }
}

/* A new key with nine entries, two a node: i-0, or with `apart` 1 i-i. It stays open. */
static inline void open_short_nodes(struct edit *edit, uint64_t apart) {
    struct stream_node_limits limits = {.entries = 2};
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    CHECK(edit_open(edit, true) == EDIT_OPENED);
    for (uint64_t i = 1; i <= 9; i++)
        CHECK(stream_add(edit, (struct stream_id){i, i * apart}, &(struct stream_pairs){words, 1}, &limits));
}

static inline void add_group(struct stream *stream, const char *name, unsigned pending) {
    struct tree_context context = context_of_ks();
    struct stream_group *group = stream_group_add(stream, &stream->groups, &context, bytes_of(name));
    CHECK(group);
    group->last = stream->last;
    group->read = random_below(2) ? STREAM_READ_UNKNOWN : (int64_t)random_below(1000);
    for (unsigned i = 0; i < 5; i++) {
        char consumer_name[2] = {(char)('a' + i), 0};
        bool created;
        struct stream_consumer *consumer =
            stream_consumer_edit(group, &context, bytes_of(consumer_name), &created);
        CHECK(consumer && created);
        consumer->seen_ms = random_below(100000);
    }
    for (unsigned i = 0; i < pending; i++) {
        struct stream_pending one = {
            {i, random_below(9)}, random_below(4), random_below(100000), random_below(9)};
        if (stream->releases && random_below(3) == 0) one.consumer = STREAM_UNOWNED;
        CHECK(stream_pending_put(group, &context, &one));
    }
}

/* A value with so many entries, groups, and entries that are pending in each. */
static inline struct value make_value(unsigned entries, unsigned groups, unsigned pending) {
    static const char *const names[] = {"group", "other", "", "four"};
    struct stream *stream = stream_new(&heap);
    CHECK(stream);
    stream->releases = random_below(2);
    add_entries(stream, entries);
    for (unsigned i = 0; i < groups; i++) add_group(stream, names[i], pending);
    if (random_below(2)) stream->max_deleted = (struct stream_id){5, 5};
    stream->added += random_below(3);
    return (struct value){.type = TYPE_STREAM, .kind = VALUE_OBJECT, .object = &stream->head};
}

static inline void check_pending(const struct stream_group *a, const struct stream_group *b) {
    struct stream_pending_walk walk, other;
    struct stream_pending one, two;
    CHECK_INT(stream_pending_count(a), stream_pending_count(b));
    stream_pending_walk(&walk, a, NULL, (struct stream_id){0, 0});
    stream_pending_walk(&other, b, NULL, (struct stream_id){0, 0});
    while (stream_pending_next(&walk, &one)) {
        CHECK(stream_pending_next(&other, &two));
        CHECK(stream_id_compare(one.id, two.id) == 0 && one.time_ms == two.time_ms && one.count == two.count);
        const struct stream_consumer *x = stream_consumer_of(a, &one), *y = stream_consumer_of(b, &two);
        CHECK((x == NULL) == (y == NULL));
        if (x) CHECK_BYTES(stream_name_of(&x->head), stream_name_of(&y->head));
    }
    CHECK_INT(a->released, b->released);
}

static inline void check_groups(const struct stream *a, const struct stream *b) {
    CHECK_INT(a->groups.count, b->groups.count);
    const struct stream_group *one, *two;
    for (uint64_t i = 0, k = 0; (one = stream_group_next(&a->groups, &i));) {
        two = stream_group_next(&b->groups, &k);
        CHECK_BYTES(stream_name_of(&one->head), stream_name_of(&two->head));
        CHECK(stream_id_compare(one->last, two->last) == 0 && one->read == two->read);
        CHECK_INT(one->consumers.count, two->consumers.count);
        const struct stream_consumer *x, *y;
        for (uint64_t m = 0, n = 0; (x = stream_consumer_next(one, &m));) {
            y = stream_consumer_next(two, &n);
            CHECK_BYTES(stream_name_of(&x->head), stream_name_of(&y->head));
            CHECK(x->seen_ms == y->seen_ms && x->pending.count == y->pending.count);
        }
        check_pending(one, two);
    }
}

static inline void check_same(const struct value *x, const struct value *y) {
    const struct stream *a = stream_at(x), *b = stream_at(y);
    struct digest one = {{0}}, other = {{0}};
    type_stream.digest(x, &one);
    type_stream.digest(y, &other);
    CHECK_BYTES(digest_bytes(&one), digest_bytes(&other));
    CHECK_INT(a->entries.count, b->entries.count);
    CHECK(stream_id_compare(a->last, b->last) == 0 && stream_id_compare(a->max_deleted, b->max_deleted) == 0);
    CHECK_INT(a->added, b->added);
    CHECK_INT(stream_nodes_count(&a->nodes), stream_nodes_count(&b->nodes));
    check_groups(a, b);
}

static inline struct load_options options_of_ks(bool whole) {
    return (struct load_options){
        .context = context_of_ks(), .dead = &ks->dead, .max_bytes = 1 << 20, .whole = whole};
}

#endif
