/* Producers of streams and their ids against a model: ids that come again, that are too many, or over, limits that change,
 * copies that share them, dumps and loads, and no memory at random and at every single allocation. */
#include "store/types/stream_producers.h"

#include "protocol/sha1.h"
#include "tests/unit/store/types/model_fixture.h"
#include "tests/unit/store/types/stream_rdb_fixture.h"

enum { KEYS = 3, PRODUCERS = 6, IDS = 40, MOST = 12, STEPS = 6000, MANY = 20000 };

struct model_id {
    unsigned number;
    struct stream_id entry;
};
struct model {
    bool there;
    uint32_t seconds, most;
    uint64_t added, repeated;
    struct {
        unsigned count;
        struct model_id ids[MOST];
    } producers[PRODUCERS];
};
static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c"};
static int64_t now_ms;
static uint64_t sequence;

/* Names and ids, of which a few are long. */
static struct bytes name_of(unsigned number) {
    static char text[TEXT_MAX];
    return text_of(number * 13 + 1, text);
}
static struct bytes id_of(unsigned number) {
    static char text[TEXT_MAX];
    return text_of(number == 7 ? 67 * 9 : number == 8 ? 31 * 3 : number + 1, text);
}

static struct stream_once once_of(unsigned producer, unsigned id) {
    return (struct stream_once){.producer = name_of(producer), .id = id_of(id), .now_ms = now_ms};
}

static bool model_is_over(const struct model *model, const struct model_id *id) {
    return now_ms - (int64_t)id->entry.ms >= (int64_t)model->seconds * 1000;
}
static const struct model_id *model_find(const struct model *model, unsigned producer, unsigned number) {
    for (unsigned i = 0; i < model->producers[producer].count; i++)
        if (model->producers[producer].ids[i].number == number) return &model->producers[producer].ids[i];
    return NULL;
}
static void model_forget(struct model *model, unsigned producer, unsigned count) {
    struct model_id *ids = model->producers[producer].ids;
    model->producers[producer].count -= count;
    memmove(ids, ids + count, model->producers[producer].count * sizeof *ids);
}

/* ---- What is there -------------------------------------------------------------------------------- */

static void check_sums(const struct stream_producers *producers) {
    const struct stream_producer *producer, *before = NULL;
    uint64_t ids = 0, bytes = 0;
    for (uint64_t place = 0; (producer = stream_producer_next(producers, &place)); before = producer) {
        CHECK(!before || bytes_compare(stream_name_of(&before->head), stream_name_of(&producer->head)) < 0);
        CHECK(tree_check(&producer->list, &hash_seed) && tree_check(&producer->places, &hash_seed));
        CHECK_INT(producer->list.count, producer->places.count);
        CHECK(producer->list.count > 0 && producer->list.count <= producers->most);
        ids += producer->list.count;
        bytes += node_bytes(sizeof *producer) + block_memory(producer->head.name) + producer->list.bytes +
                 producer->places.bytes + producer->long_bytes;
        for (uint64_t i = 0; i < producer->list.count; i++) {
            struct stream_id entry;
            CHECK(stream_producer_has(producer, &hash_seed, stream_producer_id(producer, i, &entry)));
            CHECK(entry.ms <= producer->newest_ms);
        }
    }
    CHECK_INT(producers->ids, ids);
    CHECK_INT(producers->bytes, bytes);
}

static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    const struct stream_producers *producers = stream_at(value)->producers;
    const struct stream_producers *or_none = stream_producers_or_none(producers);
    for (unsigned i = 0; i < PRODUCERS; i++)
        for (unsigned k = 0; k < IDS; k++) {
            const struct model_id *id = model_find(model, i, k);
            struct stream_once once = once_of(i, k);
            struct stream_id entry;
            bool known = stream_producers_know(producers, &hash_seed, &once, &entry);
            CHECK_INT(known, id && !model_is_over(model, id));
            if (known) CHECK(stream_id_compare(entry, id->entry) == 0);
        }
    CHECK_INT(or_none->seconds, model->seconds);
    CHECK_INT(or_none->most, model->most);
    CHECK_INT(or_none->added, model->added);
    CHECK_INT(or_none->repeated, model->repeated);
    if (producers) check_sums(producers);
    CHECK(type_stream.memory(value->object) >= stream_producers_memory(producers));
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == models[i].there);
    if (e == NULL) return;
    struct value value = entry_value(e);
    check_value(&value, &models[i]);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

/* Where there was no memory the oldest ones may be gone, and no others. */
static void forget_as_it_did(const struct stream *stream, struct model *model, unsigned producer) {
    for (; model->producers[producer].count > 0; model_forget(model, producer, 1)) {
        const struct model_id *oldest = &model->producers[producer].ids[0];
        struct stream_once once = once_of(producer, oldest->number);
        struct stream_id entry;
        if (stream_producers_know(stream ? stream->producers : NULL, &hash_seed, &once, &entry)) return;
    }
}

static void note_in_model(struct model *model, unsigned producer, struct model_id id) {
    const struct model_id *before = model_find(model, producer, id.number);
    if (before) model_forget(model, producer, (unsigned)(before - model->producers[producer].ids) + 1);
    if (model->producers[producer].count == model->most) model_forget(model, producer, 1);
    model->producers[producer].ids[model->producers[producer].count++] = id;
    model->added++;
}

static struct model new_model(void) {
    return (struct model){
        .there = true, .seconds = STREAM_IDMP_SECONDS_DEFAULT, .most = STREAM_IDMP_MOST_DEFAULT};
}

static const struct stream *stream_of_edit(const struct edit *edit) {
    struct value value = entry_value(edit->entry);
    return value.kind == VALUE_OBJECT ? stream_at(&value) : NULL;
}

static enum stream_changed limit(struct edit *edit, struct model *model, uint32_t seconds, uint32_t most) {
    bool limited = stream_of_edit(edit)->producers;
    enum stream_changed changed = stream_limit_producers(edit, (struct stream_idmp_limits){seconds, most});
    if (changed == STREAM_NO_MEMORY) return changed;
    CHECK_INT(changed == STREAM_UNCHANGED, limited && model->seconds == seconds && model->most == most);
    model->seconds = seconds;
    model->most = most;
    for (unsigned i = 0; changed == STREAM_CHANGED && i < PRODUCERS; i++) model->producers[i].count = 0;
    return changed;
}

/* A stream begins with an entry, and few ids for each producer: the model has room for no more. */
static void create(unsigned key) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    struct stream_node_limits limits = {.entries = 100};
    struct stream_id id = {(uint64_t)now_ms, ++sequence};
    if (models[key].there || edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    bool done = stream_add(&edit, id, &(struct stream_pairs){words, 1}, &limits);
    struct model model = new_model();
    bool whole = done && limit(&edit, &model, 50, 1 + random_below(MOST)) == STREAM_CHANGED;
    edit_close(&edit);
    models[key] = model;
    models[key].there = done;
    if (!done || whole) return;
    CHECK(keyspace_delete(ks, 0, key_of(names[key])));
    models[key].there = false;
}

static void add(unsigned key, unsigned producer, unsigned number) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    struct model *model = &models[key];
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    struct stream_node_limits limits = {.entries = 100};
    if (!model->there) return;
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    struct model_id id = {number, {(uint64_t)now_ms, ++sequence}};
    struct stream_once once = once_of(producer, number);
    const struct model_id *before = model_find(model, producer, number);
    if (before && !model_is_over(model, before)) {
        model->repeated += stream_count_repeated(&edit) == STREAM_CHANGED;
    } else {
        char name[TEXT_MAX];
        memcpy(name, once.producer.data, once.producer.len);
        once.producer.data = name;
        bool done = random_below(4)
                        ? stream_add_once(&edit, &once, id.entry, &(struct stream_pairs){words, 1}, &limits)
                        : stream_note_once(&edit, &once, id.entry) == STREAM_CHANGED;
        if (done)
            note_in_model(model, producer, id);
        else
            forget_as_it_did(stream_of_edit(&edit), model, producer);
    }
    CHECK(!edit_close(&edit));
}

static void change_limits(unsigned key) {
    struct edit edit = edit_of(names[key], TYPE_STREAM);
    if (!models[key].there) return;
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    if (random_below(2))
        limit(&edit, &models[key], models[key].seconds, models[key].most);
    else
        limit(&edit, &models[key], 1 + random_below(60), 1 + random_below(MOST));
    CHECK(!edit_close(&edit));
}

/* What is dumped, and loaded again, is the same. */
static void dump(unsigned key) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[key]));
    struct load_options options = options_of_ks(true);
    struct paper paper = {.most = 0};
    struct loading loading;
    if (e == NULL) return;
    struct value value = entry_value(e);
    CHECK_INT(type_stream.form(&value), RDB_TYPE_STREAM_4);
    CHECK(dump_all(&value, &paper, 1 + random_below(2000)) == DUMP_DONE);
    struct bytes input = {paper.data, paper.len};
    load_begin(&loading, &options, type_stream.form(&value), RDB_VERSION_WRITTEN);
    enum loaded loaded = load_more(&loading, &input);
    CHECK(loaded == LOAD_DONE || (loaded == LOAD_NO_MEMORY && fail_every > 0));
    if (loaded == LOAD_DONE) {
        CHECK_INT(input.len, 0);
        check_value(&loading.value, &models[key]);
    }
    load_end(&loading);
    free(paper.data);
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS);
    now_ms += random_below(30) ? random_below(300) : random_below(70000);
    switch (random_below(24)) {
    case 0:
        if (random_below(4) == 0 && keyspace_delete(ks, 0, key_of(names[key]))) models[key].there = false;
        break;
    case 1: copy_key(&keys, key, random_below(KEYS)); break;
    case 2: hold(&keys, random_below(HELD), key); break;
    case 3: release(&keys, random_below(HELD)); break;
    case 4: keyspace_upkeep(ks, random_below(50)); break;
    case 5: create(key); break;
    case 6:
        if (random_below(6) == 0) change_limits(key);
        break;
    case 7: dump(key); break;
    default:
        for (unsigned i = random_below(8); i > 0; i--) add(key, random_below(PRODUCERS), random_below(IDS));
        break;
    }
    check_key(key);
}

static void begin_models(void) {
    begin();
    memset(models, 0, sizeof models);
    now_ms = 1000000;
    sequence = 0;
}

static void producers_are_their_model(void) {
    begin_models();
    run_steps(&keys, STEPS, 0, step);
}
static void producers_without_memory_are_as_before(void) {
    begin_models();
    run_steps(&keys, STEPS, 9, step);
}

static void changes_that_fail_at_any_allocation_change_nothing(void) {
    for (long at = 0, left = 0; left >= 0; at++) {
        begin_models();
        create(0);
        for (unsigned i = 0; i < 40; i++) add(0, random_below(PRODUCERS), random_below(IDS));
        copy_key(&keys, 0, 1);
        fail_at = at;
        for (unsigned i = 0; i < 4; i++) add(0, i, random_below(IDS));
        add(1, 0, 7);
        change_limits(1);
        create(2);
        add(2, 0, 8);
        left = fail_at < 0 ? 0 : -1;
        fail_at = -1;
        for (unsigned key = 0; key < KEYS; key++) check_key(key);
        end();
    }
}

/* Of a producer with ids in many leaves, who shared them once, and an entry that has a block of its own: from any
 * allocation on there is no more memory. */
static void what_was_noted_is_taken_back_without_memory(void) {
    enum { COUNT = 1500 };
    static char text[ELEMENT_INLINE_MAX + 1];
    struct bytes words[] = {BYTES("f"), {text, sizeof text}};
    struct stream_pairs pairs = {words, 1};
    struct stream_node_limits limits = {.entries = 100};
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    struct stream_once once = {.producer = BYTES("p"), .id = BYTES("first"), .now_ms = 1000};
    CHECK(stream_add_once(&edit, &once, (struct stream_id){1000, 0}, &pairs, &limits));
    CHECK(stream_limit_producers(&edit, (struct stream_idmp_limits){STREAM_IDMP_SECONDS, STREAM_IDMP_MOST}) ==
          STREAM_CHANGED);
    CHECK(stream_add_once(&edit, &once, (struct stream_id){1000, 1}, &pairs, &limits));
    CHECK(!edit_close(&edit));
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("a")},
                        &(struct keyspace_place){ks, 0, key_of("b")}));
    edit = edit_of("a", TYPE_STREAM);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    for (unsigned i = 0; i < COUNT; i++) {
        char id[32];
        bool done = false;
        once.id = (struct bytes){id, (size_t)snprintf(id, sizeof id, "%u of all that there are", i)};
        for (long at = 0; !done; at++) {
            struct stream_id entry;
            fail_at = at;
            fail_behind = true;
            done = stream_add_once(&edit, &once, (struct stream_id){1000, i + 2}, &pairs, &limits);
            fail_at = -1;
            fail_behind = false;
            CHECK_INT(stream_producers_know(stream_of_edit(&edit)->producers, &hash_seed, &once, &entry),
                      done);
        }
    }
    CHECK_INT(stream_of_edit(&edit)->producers->ids, COUNT + 1);
    check_sums(stream_of_edit(&edit)->producers);
    CHECK(!edit_close(&edit));
    end();
}

/* ---- Very many ------------------------------------------------------------------------------------ */

/* A key with so many producers, who have one id each, 10 ms apart. It stays open. */
static struct stream_producers *many_producers(struct edit *edit, unsigned count) {
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    struct stream_node_limits limits = {.entries = 100};
    now_ms = 1000000;
    CHECK(edit_open(edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < count; i++, now_ms += 10) {
        struct stream_once once = {.producer = name_of(i), .id = BYTES("id"), .now_ms = now_ms};
        struct stream_id id = {(uint64_t)now_ms, 0};
        CHECK(stream_add_once(edit, &once, id, &(struct stream_pairs){words, 1}, &limits));
    }
    return stream_edit(edit)->producers;
}

static void what_is_over_goes_by_itself(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    /* In 100 seconds come 10,000, and about as many wait to be looked at. */
    struct stream_producers *producers = many_producers(&edit, 4 * MANY);
    CHECK(producers->list.count >= 10000 && producers->list.count <= 22000);
    check_sums(producers);
    CHECK_INT(producers->added, 4 * MANY);
    now_ms += 100000;
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    struct stream_node_limits limits = {.entries = 100};
    for (unsigned i = 0; i <= 12000; i++) {
        char id[16];
        int len = snprintf(id, sizeof id, "%u", i);
        struct stream_once once = {.producer = BYTES("one"), .id = {id, (size_t)len}, .now_ms = now_ms};
        CHECK(stream_add_once(&edit, &once, (struct stream_id){(uint64_t)now_ms, i},
                              &(struct stream_pairs){words, 1}, &limits));
    }
    CHECK(producers->list.count == 1 && producers->ids == STREAM_IDMP_MOST_DEFAULT);
    check_sums(producers);
    CHECK(!edit_close(&edit));
    end();
}

/* Those of one producer, too: a few with each that he sends. */
static void ids_that_are_over_go_with_later_ones(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    struct bytes words[] = {BYTES("f"), BYTES("v")};
    struct stream_node_limits limits = {.entries = 100};
    struct stream_once once = {.producer = BYTES("p"), .id = BYTES("last"), .now_ms = 1000};
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 1; i <= 50; i++) {
        char id[16];
        int len = snprintf(id, sizeof id, "%u", i);
        struct stream_once each = {.producer = BYTES("p"), .id = {id, (size_t)len}, .now_ms = 1000};
        CHECK(stream_add_once(&edit, &each, (struct stream_id){i == 50 ? 100000 : 1000, i},
                              &(struct stream_pairs){words, 1}, &limits));
    }
    struct stream_producers *producers = stream_edit(&edit)->producers;
    struct stream_id entry;
    once.now_ms = 100999;
    CHECK(!stream_producers_know(producers, &hash_seed, &once, &entry));
    struct stream_once first = {.producer = BYTES("p"), .id = BYTES("1"), .now_ms = 100999};
    CHECK(stream_producers_know(producers, &hash_seed, &first, &entry) && entry.sequence == 1);
    first.now_ms = once.now_ms = 101000; /* it is over to the millisecond */
    CHECK(!stream_producers_know(producers, &hash_seed, &first, &entry));
    CHECK(stream_add_once(&edit, &once, (struct stream_id){101000, 0}, &(struct stream_pairs){words, 1},
                          &limits));
    CHECK_INT(producers->ids, 50 - 16 + 1);
    check_sums(producers);
    CHECK(!edit_close(&edit));
    end();
}

static void what_is_forgotten_goes_in_steps(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    many_producers(&edit, 5000);
    CHECK(stream_limit_producers(&edit, (struct stream_idmp_limits){7, 7}) == STREAM_CHANGED);
    CHECK(stream_edit(&edit)->producers->list.count == 0 && stream_edit(&edit)->producers->added == 5000);
    CHECK(!edit_close(&edit));
    long left = nodes_live;
    CHECK(left > 14000);
    while (keyspace_upkeep(ks, 10)) {
        CHECK(left - nodes_live <= 60); /* a producer is three nodes, or five */
        left = nodes_live;
    }
    CHECK(nodes_live < 300);
    end();
}

/* An id of which nothing is in memory but its hash is not taken for another one with that hash. */
static void a_hash_is_no_id(void) {
    begin();
    struct edit edit = edit_of("a", TYPE_STREAM);
    char text[STREAM_ID_KEY_MOST + 1];
    unsigned char hash[SHA1_LEN];
    memset(text, 'x', sizeof text);
    struct bytes words[] = {BYTES("f"), BYTES("v")}, whole = {text, sizeof text};
    struct stream_node_limits limits = {.entries = 100};
    struct stream_id entry;
    sha1(whole, hash);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    struct stream_once one = {.producer = BYTES("p"), .id = whole, .now_ms = 1000},
                       other = {.producer = BYTES("p"), .id = {(char *)hash, sizeof hash}, .now_ms = 1000};
    CHECK(
        stream_add_once(&edit, &one, (struct stream_id){1000, 0}, &(struct stream_pairs){words, 1}, &limits));
    struct stream_producers *producers = stream_edit(&edit)->producers;
    CHECK(stream_producers_know(producers, &hash_seed, &one, &entry));
    CHECK(!stream_producers_know(producers, &hash_seed, &other, &entry));
    CHECK(stream_add_once(&edit, &other, (struct stream_id){1000, 1}, &(struct stream_pairs){words, 1},
                          &limits));
    CHECK(stream_producers_know(producers, &hash_seed, &other, &entry));
    CHECK(!stream_producers_know(producers, &hash_seed, &one, &entry)); /* forgotten */
    check_sums(producers);
    CHECK(!edit_close(&edit));
    end();
}

int main(void) {
    seed = check_seed();
    RUN(producers_are_their_model);
    RUN(producers_without_memory_are_as_before);
    RUN(changes_that_fail_at_any_allocation_change_nothing);
    RUN(what_was_noted_is_taken_back_without_memory);
    RUN(what_is_over_goes_by_itself);
    RUN(ids_that_are_over_go_with_later_ones);
    RUN(what_is_forgotten_goes_in_steps);
    RUN(a_hash_is_no_id);
    return 0;
}
