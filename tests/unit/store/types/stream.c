/* Streams against a model: entries added, deleted and trimmed, ranges both ways, copies, versions that somebody
 * holds, and no memory at random and at every single allocation. */
#include "store/types/stream.h"

#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 4, ENTRIES = 3000, STEPS = 6000 };

/* Entries in the order of their numbers; which fields and values one has its number says. */
struct model {
    struct stream_id ids[ENTRIES], last, max_deleted;
    unsigned count;
    uint64_t added;
    bool there;
};
static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c", "d"};
static const struct stream_node_limits limits = {.bytes = 4096, .entries = 20};

static char texts[8][TEXT_MAX];
static struct bytes words[8];

/* The pairs of an entry: one to four of them, mostly with the same fields. */
static struct stream_pairs pairs_of(struct stream_id id) {
    uint32_t number = (uint32_t)(id.ms * 7 + id.sequence), count = 1 + number % 4;
    for (uint32_t i = 0; i < count; i++) {
        words[2 * i] = text_of(number % 5 ? i + 1 : number % 400 + i, texts[2 * i]);
        words[2 * i + 1] = text_of(number + i, texts[2 * i + 1]);
    }
    return (struct stream_pairs){words, count};
}

static void check_item(const struct stream *stream, const struct stream_item *item, struct stream_id id) {
    struct stream_pairs pairs = pairs_of(id);
    struct stream_fields fields = stream_fields(item->entry, stream->names);
    struct bytes field, value;
    CHECK(stream_id_compare(item->id, id) == 0);
    CHECK_INT(fields.left, pairs.count);
    for (uint32_t i = 0; stream_fields_next(&fields, &field, &value); i++) {
        CHECK_BYTES(field, pairs.list[2 * i]);
        CHECK_BYTES(value, pairs.list[2 * i + 1]);
    }
}

/* The first place whose number is not below this one. */
static unsigned place_of(const struct model *model, struct stream_id id) {
    unsigned place = 0;
    while (place < model->count && stream_id_compare(model->ids[place], id) < 0) place++;
    return place;
}

static struct stream_id random_id(const struct model *model) {
    struct stream_id id = {model->last.ms ? check_random(&seed) % (model->last.ms + 3) : 0, random_below(4)};
    if (model->count && random_below(2)) id = model->ids[random_below(model->count)];
    return id;
}

static void check_range(const struct stream *stream, const struct model *model, bool backwards) {
    struct stream_id from = random_id(model), to = random_below(3) ? random_id(model) : STREAM_ID_MAX;
    struct stream_walk walk;
    struct stream_item item;
    if (random_below(3) == 0) from = (struct stream_id){0, 0};
    if (stream_id_compare(from, to) > 0) {
        CHECK_INT(stream_between(stream, from, to), 0);
        return;
    }
    unsigned begin = place_of(model, from), end = place_of(model, to), seen = 0;
    if (end < model->count && stream_id_compare(model->ids[end], to) == 0) end++;
    CHECK_INT(stream_between(stream, from, to), end - begin);
    stream_walk(&walk, stream, from, to, backwards);
    for (; stream_next(&walk, &item); seen++)
        check_item(stream, &item, model->ids[backwards ? end - 1 - seen : begin + seen]);
    CHECK_INT(seen, end - begin);
}

static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    const struct stream *stream = stream_at(value);
    CHECK_INT(type_stream.count(value), model->count);
    CHECK(stream_id_compare(stream->last, model->last) == 0);
    CHECK(stream_id_compare(stream->max_deleted, model->max_deleted) == 0);
    CHECK_INT(stream->added, model->added);
    check_range(stream, model, false);
    check_range(stream, model, true);
    CHECK(tree_check(&stream->entries, &hash_seed) && tree_check(&stream->nodes.closed, &hash_seed));
    struct stream_id first = stream_end(stream, TREE_FRONT), last = stream_end(stream, TREE_BACK);
    CHECK(stream_id_compare(first, model->count ? model->ids[0] : (struct stream_id){0, 0}) == 0);
    CHECK(stream_id_compare(last, model->count ? model->ids[model->count - 1] : (struct stream_id){0, 0}) ==
          0);
    CHECK(type_stream.memory(value->object) > model->count * 4);
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == models[i].there);
    if (e == NULL) return;
    struct value value = entry_value(e);
    check_value(&value, &models[i]);
}

static void add_some(unsigned i, unsigned count) {
    struct model *model = &models[i];
    struct edit edit = edit_of(names[i], TYPE_STREAM);
    bool done = true;
    if (edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    while (done && count-- > 0 && model->count < ENTRIES) {
        struct stream_id id = model->last;
        id.ms += random_below(3) ? 1 : random_below(300);
        id.sequence = id.ms == model->last.ms ? id.sequence + 1 + random_below(300) : random_below(2);
        struct stream_pairs pairs = pairs_of(id);
        done = stream_add(&edit, id, &pairs, &limits);
        if (!done) continue;
        model->ids[model->count++] = model->last = id;
        model->added++;
        model->there = true;
    }
    CHECK(!edit_close(&edit));
}

static void delete_some(unsigned i, unsigned count) {
    struct model *model = &models[i];
    struct edit edit = edit_of(names[i], TYPE_STREAM);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0) {
        struct stream_id id = random_id(model);
        unsigned place = place_of(model, id);
        bool there = place < model->count && stream_id_compare(model->ids[place], id) == 0;
        enum stream_changed changed = stream_delete(&edit, id);
        if (changed == STREAM_NO_MEMORY) break;
        CHECK_INT(changed, there ? STREAM_CHANGED : STREAM_UNCHANGED);
        if (!there) continue;
        memmove(&model->ids[place], &model->ids[place + 1], (--model->count - place) * sizeof *model->ids);
        if (stream_id_compare(id, model->max_deleted) > 0) model->max_deleted = id;
    }
    CHECK(!edit_close(&edit));
}

static void trim(unsigned i) {
    struct model *model = &models[i];
    struct edit edit = edit_of(names[i], TYPE_STREAM);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    struct value value = entry_value(edit.entry);
    unsigned count = random_below(4) ? random_below(model->count + 1) : model->count;
    if (random_below(2)) {
        uint64_t whole = stream_whole_nodes(stream_at(&value), count);
        CHECK(whole <= count);
        count = (unsigned)whole;
    }
    if (stream_trim(&edit, count, random_id(model))) {
        model->count -= count;
        memmove(model->ids, model->ids + count, model->count * sizeof *model->ids);
    }
    CHECK(!edit_close(&edit));
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS);
    switch (random_below(16)) {
    case 0: add_some(key, random_below(200)); break;
    case 1: delete_some(key, random_below(100)); break;
    case 2:
        if (keyspace_delete(ks, 0, key_of(names[key]))) models[key] = (struct model){.count = 0};
        break;
    case 3: copy_key(&keys, key, random_below(KEYS)); break;
    case 4: hold(&keys, random_below(HELD), key); break;
    case 5: release(&keys, random_below(HELD)); break;
    case 6: keyspace_upkeep(ks, random_below(50)); break;
    case 7: trim(key); break;
    case 8:
    case 9: delete_some(key, 1 + random_below(4)); break;
    default: add_some(key, 1 + random_below(20)); break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    memset(models, 0, sizeof models);
    run_steps(&keys, STEPS, failing, step);
}

static void a_stream_is_its_model(void) {
    random_changes(0);
}
static void a_stream_without_memory_is_as_before(void) {
    random_changes(7);
}

static void changes_that_fail_at_any_allocation_change_nothing(void) {
    for (long at = 0, left = 0; left >= 0; at++) {
        begin();
        memset(models, 0, sizeof models);
        add_some(0, 300);
        copy_key(&keys, 0, 1);
        fail_at = at;
        add_some(0, 30);
        delete_some(0, 3);
        trim(0);
        add_some(2, 1);
        left = fail_at < 0 ? 0 : -1;
        fail_at = -1;
        check_key(0);
        check_key(1);
        check_key(2);
        end();
    }
}

static void a_million_small_entries_take_at_most_27_bytes_each(void) {
    enum { COUNT = 200000 };
    begin();
    struct edit edit = edit_of("big", TYPE_STREAM);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < COUNT; i++) {
        struct bytes pair[2] = {BYTES("field"), BYTES("sixteen bytes ..")};
        struct stream_pairs pairs = {pair, 1};
        struct stream_node_limits redis = {.bytes = 4096, .entries = 100};
        CHECK(stream_add(&edit, (struct stream_id){1700000000000 + i, 0}, &pairs, &redis));
    }
    struct value value = entry_value(edit.entry);
    printf("%.1f bytes an entry\n", (double)type_stream.memory(value.object) / COUNT);
    CHECK(type_stream.memory(value.object) <= (size_t)27 * COUNT);
    edit_close(&edit);
    end();
}

int main(void) {
    seed = check_seed();
    RUN(a_stream_is_its_model);
    RUN(a_stream_without_memory_is_as_before);
    RUN(changes_that_fail_at_any_allocation_change_nothing);
    RUN(a_million_small_entries_take_at_most_27_bytes_each);
    return 0;
}
