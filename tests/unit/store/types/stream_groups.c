/* Consumer groups against a model: consumers that come and go, entries that become pending, change hands and are
 * acknowledged, copies that share them, and no memory at random and at every single allocation. */
#include "store/types/stream_groups.h"

#include "store/types/stream.h"
#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 3, GROUPS = 3, CONSUMERS = 6, IDS = 300, STEPS = 8000, MANY = 60000, NOBODY = 100 };

struct model_group {
    bool there, consumers[CONSUMERS];
    struct {
        unsigned consumer; /* + 1; 0: not pending; NOBODY: it was given back */
        int64_t time_ms;
        uint64_t count;
    } pending[IDS];
};
struct model {
    bool there;
    struct model_group groups[GROUPS];
};
static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c"};

/* Numbers in order, from the first one that there is to the last: near each other, and as far apart as can be. */
static struct stream_id id_of(unsigned i) {
    if (i < 100) return (struct stream_id){0, i < 90 ? i : UINT64_MAX - (99 - i)};
    if (i < 200) return (struct stream_id){(uint64_t)(i - 99) << 50, i % 3 ? UINT64_MAX - i : i};
    if (i < 280) return (struct stream_id){UINT64_MAX - (280 - i), (uint64_t)i << i % 56};
    return (struct stream_id){UINT64_MAX, i < 290 ? i : UINT64_MAX - (IDS - 1 - i)};
}

/* Counts of deliveries and times: most are alike, some need all the bytes that there are. */
static uint64_t some_count(void) {
    return random_below(2) ? 1 : random_below(2) ? random_below(3) : UINT64_MAX - random_below(2);
}
static int64_t some_time(void) {
    return random_below(4) ? 1700000000000 : random_below(2) ? STREAM_TIME_MAX : 0;
}

static struct bytes name_of(unsigned number) {
    static char text[TEXT_MAX];
    return text_of(number * 13 + 1, text);
}

static void check_consumer(const struct stream_group *group, const struct model_group *model,
                           unsigned number) {
    const struct stream_consumer *consumer = stream_consumer_find(group, name_of(number));
    struct stream_pending_walk walk;
    struct stream_pending pending;
    CHECK((consumer != NULL) == model->consumers[number]);
    if (consumer == NULL) return;
    CHECK_BYTES(stream_name_of(&consumer->head), name_of(number));
    CHECK(tree_check(&consumer->pending, &hash_seed));
    stream_pending_walk(&walk, group, consumer, (struct stream_id){0, 0});
    for (unsigned i = 0; i < IDS; i++) {
        if (model->pending[i].consumer != number + 1) continue;
        CHECK(stream_pending_next(&walk, &pending));
        CHECK(stream_id_compare(pending.id, id_of(i)) == 0);
        CHECK(pending.time_ms == model->pending[i].time_ms && pending.count == model->pending[i].count);
        CHECK(stream_consumer_of(group, &pending) == consumer);
    }
    CHECK(!stream_pending_next(&walk, &pending));
}

static void check_group(const struct stream_group *group, const struct model_group *model) {
    unsigned consumers = 0, pending = 0, released = 0, from = random_below(IDS), to = random_below(IDS);
    unsigned between = 0;
    struct stream_pending_walk walk;
    struct stream_pending found;
    struct stream_id first, last, end = {0, 0};
    for (unsigned i = 0; i < CONSUMERS; i++) {
        check_consumer(group, model, i);
        consumers += model->consumers[i];
    }
    stream_pending_walk(&walk, group, NULL, (struct stream_id){0, 0});
    for (unsigned i = 0; i < IDS; i++) {
        bool unowned = model->pending[i].consumer == NOBODY;
        if (model->pending[i].consumer == 0) continue;
        pending++;
        released += unowned;
        between += i >= from && i <= to;
        CHECK(stream_pending_next(&walk, &found));
        end = found.id;
        CHECK(stream_id_compare(found.id, id_of(i)) == 0 && found.count == model->pending[i].count);
        CHECK(found.time_ms == model->pending[i].time_ms && !stream_consumer_of(group, &found) == unowned);
    }
    CHECK(!stream_pending_next(&walk, &found));
    CHECK_INT(group->released, released);
    CHECK_INT(group->consumers.count, consumers);
    CHECK_INT(stream_pending_count(group), pending);
    CHECK_INT(stream_pending_between(group, NULL, id_of(from), id_of(to)), between);
    CHECK(stream_pending_end(group, TREE_FRONT, &first) == (pending > 0));
    CHECK(stream_pending_end(group, TREE_BACK, &last) == (pending > 0));
    if (pending > 0) CHECK(stream_id_compare(last, end) == 0 && stream_id_compare(first, last) <= 0);
    for (uint32_t i = 0; i < group->leavers.count; i++)
        CHECK(tree_check(&group->leavers.list[i].pending, &hash_seed));
    CHECK(tree_check(&group->pending, &hash_seed));
    const struct stream_consumer *consumer, *before = NULL;
    for (uint64_t place = 0; (consumer = stream_consumer_next(group, &place)); before = consumer)
        CHECK(!before || bytes_compare(stream_name_of(&before->head), stream_name_of(&consumer->head)) < 0);
}

static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    const struct stream *stream = stream_at(value);
    unsigned groups = 0;
    for (unsigned i = 0; i < GROUPS; i++) {
        const struct stream_group *group = stream_group_find(&stream->groups, name_of(i));
        CHECK((group != NULL) == model->groups[i].there);
        if (group) check_group(group, &model->groups[i]);
        groups += group != NULL;
    }
    CHECK_INT(stream->groups.count, groups);
    CHECK(type_stream.memory(value->object) > groups * sizeof(struct stream_group));
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == models[i].there);
    if (e == NULL) return;
    struct value value = entry_value(e);
    check_value(&value, &models[i]);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

static void create_group(unsigned key, unsigned number) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    if (models[key].groups[number].there || edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    if (stream_create_group(&edit, name_of(number), (struct stream_id){0, 0}, 0) == STREAM_CHANGED) {
        models[key].there = true;
        models[key].groups[number] = (struct model_group){.there = true};
    }
    CHECK(!edit_close(&edit));
}

static void destroy_group(unsigned key, unsigned number) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    enum stream_changed changed = stream_destroy_group(&edit, name_of(number));
    if (changed != STREAM_NO_MEMORY) CHECK((changed == STREAM_CHANGED) == models[key].groups[number].there);
    if (changed == STREAM_CHANGED) models[key].groups[number] = (struct model_group){.there = false};
    CHECK(!edit_close(&edit));
}

static void put(struct stream_group *group, struct model_group *model, const struct tree_context *context,
                unsigned id) {
    unsigned consumer = random_below(CONSUMERS);
    bool created;
    struct stream_consumer *found = stream_consumer_edit(group, context, name_of(consumer), &created);
    if (found == NULL) return;
    CHECK(created == !model->consumers[consumer]);
    model->consumers[consumer] = true;
    struct stream_pending pending = {
        .id = id_of(id), .consumer = found->head.number, .time_ms = some_time(), .count = some_count()};
    if (!stream_pending_put(group, context, &pending)) return;
    model->pending[id].consumer = consumer + 1;
    model->pending[id].time_ms = pending.time_ms;
    model->pending[id].count = pending.count;
}

static void give_back(struct stream_group *group, struct model_group *model,
                      const struct tree_context *context, unsigned id) {
    struct stream_pending pending = {.id = id_of(id), .consumer = STREAM_UNOWNED, .count = some_count()};
    if (!stream_pending_put(group, context, &pending)) return;
    model->pending[id].consumer = NOBODY;
    model->pending[id].time_ms = 0;
    model->pending[id].count = pending.count;
}

static void acknowledge(struct stream_group *group, struct model_group *model,
                        const struct tree_context *context, unsigned id) {
    struct stream_pending pending;
    bool there = stream_pending_find(group, id_of(id), &pending);
    CHECK(there == (model->pending[id].consumer > 0));
    if (random_below(2)) {
        bool taken;
        if (stream_pending_take(group, context, id_of(id), &taken)) {
            CHECK(taken == there);
            model->pending[id].consumer = 0;
        }
    } else if (there && stream_pending_remove(group, context, &pending)) {
        model->pending[id].consumer = 0;
    }
}

static void remove_consumer(struct edit *edit, struct stream_group *group, struct model_group *model) {
    unsigned consumer = random_below(CONSUMERS);
    if (!model->consumers[consumer]) return;
    if (!stream_delete_consumer(edit, group, name_of(consumer))) return;
    model->consumers[consumer] = false;
    for (unsigned i = 0; i < IDS; i++)
        if (model->pending[i].consumer == consumer + 1) model->pending[i].consumer = 0;
}

static void change_group(unsigned key, unsigned number, unsigned times) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    struct model_group *model = &models[key].groups[number];
    if (!model->there) return;
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    struct tree_context context = collection_context(ks);
    struct stream_group *group = stream_open_group(&edit, name_of(number));
    for (unsigned i = 0; group && i < times; i++) {
        switch (random_below(10)) {
        case 8:
        case 9: give_back(group, model, &context, random_below(IDS)); break;
        case 0: remove_consumer(&edit, group, model); break;
        case 1:
        case 2: acknowledge(group, model, &context, random_below(IDS)); break;
        case 3:
            for (unsigned id = 0; id < IDS / 4; id++) acknowledge(group, model, &context, id);
            break;
        case 4:
            if (random_below(8) > 0) break;
            for (unsigned id = random_below(IDS), end = id + IDS / 2; id < end && id < IDS; id++)
                put(group, model, &context, id);
            break;
        default: put(group, model, &context, random_below(IDS)); break;
        }
    }
    keyspace_note_nodes(ks);
    CHECK(!edit_close(&edit));
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS), group = random_below(GROUPS);
    switch (random_below(16)) {
    case 0: destroy_group(key, group); break;
    case 1:
        if (random_below(4) == 0 && keyspace_delete(ks, 0, key_of(names[key])))
            models[key] = (struct model){.there = false};
        break;
    case 2: copy_key(&keys, key, random_below(KEYS)); break;
    case 3: hold(&keys, random_below(HELD), key); break;
    case 4: release(&keys, random_below(HELD)); break;
    case 5: keyspace_upkeep(ks, random_below(50)); break;
    case 6:
    case 7: create_group(key, group); break;
    default: change_group(key, group, 1 + random_below(40)); break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    memset(models, 0, sizeof models);
    run_steps(&keys, STEPS, failing, step);
}

static void groups_are_their_model(void) {
    random_changes(0);
}
static void groups_without_memory_are_as_before(void) {
    random_changes(9);
}

static void changes_that_fail_at_any_allocation_change_nothing(void) {
    for (long at = 0, left = 0; left >= 0; at++) {
        begin();
        memset(models, 0, sizeof models);
        create_group(0, 0);
        for (unsigned i = 0; i < 10; i++) change_group(0, 0, 40);
        copy_key(&keys, 0, 1);
        fail_at = at;
        change_group(0, 0, 5);
        create_group(0, 1);
        change_group(0, 1, 3);
        destroy_group(1, 0);
        create_group(2, 0);
        left = fail_at < 0 ? 0 : -1;
        fail_at = -1;
        for (unsigned key = 0; key < KEYS; key++) check_key(key);
        end();
    }
}

/* What is pending for two consumers in turn, `run` each time. */
static struct stream_group *many_pending(struct edit *edit, unsigned run) {
    struct tree_context context = collection_context(ks);
    bool created;
    CHECK(edit_open(edit, true) == EDIT_OPENED);
    CHECK(stream_create_group(edit, BYTES("g"), (struct stream_id){0, 0}, 0) == STREAM_CHANGED);
    struct stream_group *group = stream_open_group(edit, BYTES("g"));
    struct stream_consumer *both[] = {stream_consumer_edit(group, &context, BYTES("a"), &created),
                                      stream_consumer_edit(group, &context, BYTES("b"), &created)};
    for (unsigned i = 1; i <= MANY; i++) {
        struct stream_pending pending = {
            .id = {i, 0}, .consumer = both[i / run % 2]->head.number, .time_ms = 1, .count = 1};
        CHECK(stream_pending_put(group, &context, &pending));
    }
    return group;
}

/* Where one consumer has all of it, the way in the group's tree is a guess for his own; where two have it, it is none. */
static void what_is_acknowledged_in_any_order_goes_from_both_trees(void) {
    enum { STEP = 7919, LOOK = 6000 }; /* the first shares no factor with MANY */
    for (unsigned run = 1; run <= 2 * MANY; run += 2 * MANY - 1) {
        begin();
        struct edit edit = edit_of("a", TYPE_STREAM);
        struct tree_context context = collection_context(ks);
        struct stream_group *group = many_pending(&edit, run);
        const struct tree *first = &stream_consumer_find(group, BYTES("a"))->pending;
        const struct tree *second = &stream_consumer_find(group, BYTES("b"))->pending;
        for (unsigned i = 0; i < MANY; i++) {
            struct stream_id id = {1 + (uint64_t)i * STEP % MANY, 0};
            for (unsigned again = 0; again < 2; again++) {
                bool there;
                CHECK(stream_pending_take(group, &context, id, &there));
                CHECK_INT(there, !again);
            }
            CHECK_INT(stream_pending_count(group), MANY - 1 - i);
            CHECK_INT(first->count + second->count, MANY - 1 - i);
            if (i % LOOK == 0)
                CHECK(tree_check(&group->pending, &hash_seed) && tree_check(first, &hash_seed) &&
                      tree_check(second, &hash_seed));
        }
        CHECK(!edit_close(&edit));
        end();
    }
}

static void a_destroyed_group_goes_in_steps(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    many_pending(&edit, 1);
    CHECK(stream_destroy_group(&edit, BYTES("g")) == STREAM_CHANGED);
    CHECK(!edit_close(&edit));
    long left = nodes_live;
    CHECK(left > 100);
    while (keyspace_upkeep(ks, 10)) {
        CHECK(left - nodes_live <= 20);
        left = nodes_live;
    }
    CHECK(nodes_live < 10);
    end();
}

static void a_consumer_goes_with_all_that_is_pending(void) {
    static const unsigned runs[] = {1, 2, 7, 100, MANY / 2 + 1, 2 * MANY};
    for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++) {
        begin();
        struct edit edit = edit_of("a", TYPE_STREAM);
        struct tree_context context = collection_context(ks);
        struct stream_group *group = many_pending(&edit, runs[i]);
        struct stream_pending_walk walk;
        struct stream_pending pending;
        uint64_t left = stream_consumer_find(group, BYTES("b"))->pending.count;
        CHECK(stream_consumer_remove(group, &context, BYTES("a")));
        CHECK(tree_check(&group->pending, &hash_seed));
        CHECK_INT(stream_pending_count(group), left);
        stream_pending_walk(&walk, group, NULL, (struct stream_id){0, 0});
        for (; stream_pending_next(&walk, &pending); left--) CHECK_INT(pending.id.ms / runs[i] % 2, 1);
        CHECK_INT(left, 0);
        CHECK(!edit_close(&edit));
        end();
    }
}

/* He is forgotten at once, whoever shares the group; what was his goes in steps, and comes back to whom it is given anew. */
static void a_consumer_with_many_runs_leaves_in_steps(void) {
    enum { STEP = 100 };
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    struct tree_context context = collection_context(ks);
    bool created;
    many_pending(&edit, 1);
    CHECK(!edit_close(&edit));
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("a")},
                        &(struct keyspace_place){ks, 0, key_of("b")}));
    edit = edit_of("a", TYPE_STREAM);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    struct stream_group *group = stream_open_group(&edit, BYTES("g"));
    CHECK(stream_delete_consumer(&edit, group, BYTES("a")));
    CHECK(group->leavers.count == 1 && stream_pending_count(group) == MANY / 2);
    struct stream_pending last = {.id = {MANY, 0}, .time_ms = 1, .count = 1}, found = {.count = 99};
    CHECK(!stream_pending_find(group, last.id, &found) && found.count == 99);
    last.consumer = stream_consumer_edit(group, &context, BYTES("c"), &created)->head.number;
    CHECK(created && stream_pending_put(group, &context, &last));
    CHECK(!edit_close(&edit));
    for (uint64_t before = group->pending.count; keyspace_upkeep(ks, STEP); before = group->pending.count) {
        CHECK(before - group->pending.count <= STEP);
        CHECK_INT(stream_pending_count(group), MANY / 2 + 1);
    }
    CHECK(group->leavers.count == 0 && group->pending.count == MANY / 2 + 1);
    CHECK(stream_pending_find(group, last.id, &found) && found.consumer == last.consumer);
    CHECK(tree_check(&group->pending, &hash_seed));
    struct value copy = entry_value(keyspace_find(ks, 0, key_of("b")));
    CHECK_INT(stream_pending_count(stream_group_find(&stream_at(&copy)->groups, BYTES("g"))), MANY);
    end();
}

/* Where nobody comes for it, since the key has gone from its place, changes of the group do it. */
static void what_was_put_off_may_be_forgotten(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    struct stream_group *group = many_pending(&edit, 1);
    CHECK(stream_delete_consumer(&edit, group, BYTES("a")));
    CHECK(!edit_close(&edit));
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("a")},
                        &(struct keyspace_place){ks, 0, key_of("b")}));
    CHECK(keyspace_delete(ks, 0, key_of("a")));
    keyspace_put_off(ks, 0, key_of("none"), BYTES("g"));
    keyspace_put_off(ks, 0, key_of("b"), BYTES("none"));
    while (keyspace_upkeep(ks, 10)) {
    }
    edit = edit_of("b", TYPE_STREAM);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    unsigned changes = 0;
    for (; (group = stream_open_group(&edit, BYTES("g")))->leavers.count > 0; changes++)
        CHECK_INT(stream_pending_count(group), MANY / 2);
    CHECK(changes > 100 && group->pending.count == MANY / 2);
    CHECK(!edit_close(&edit));
    end();
}

int main(void) {
    seed = check_seed();
    RUN(groups_are_their_model);
    RUN(groups_without_memory_are_as_before);
    RUN(changes_that_fail_at_any_allocation_change_nothing);
    RUN(what_is_acknowledged_in_any_order_goes_from_both_trees);
    RUN(a_destroyed_group_goes_in_steps);
    RUN(a_consumer_goes_with_all_that_is_pending);
    RUN(a_consumer_with_many_runs_leaves_in_steps);
    RUN(what_was_put_off_may_be_forgotten);
    return 0;
}
