/* Lists as packs and as trees against a model: random elements of all lengths at all places, copies, versions that somebody
 * holds, and no memory at random and at every single allocation. */
#include "store/types/list.h"

#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 5, MOST = 900, STEPS = 30000, NUMBERS = 300 };

struct model {
    uint32_t numbers[MOST]; /* of texts */
    unsigned count;
};

static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c", "d", "a key that is a little longer"};

static void model_insert(struct model *model, unsigned at, uint32_t number) {
    CHECK(at <= model->count && model->count < MOST);
    memmove(model->numbers + at + 1, model->numbers + at, (model->count - at) * sizeof *model->numbers);
    model->numbers[at] = number;
    model->count++;
}

static void model_remove(struct model *model, unsigned at, unsigned count) {
    CHECK(at + count <= model->count);
    memmove(model->numbers + at, model->numbers + at + count,
            (model->count - at - count) * sizeof *model->numbers);
    model->count -= count;
}

static unsigned model_remove_equal(struct model *model, uint32_t number, unsigned most, bool backwards) {
    unsigned removed = 0;
    for (unsigned i = backwards ? model->count : 0; removed < most && i != (backwards ? 0 : model->count);) {
        unsigned at = backwards ? --i : i;
        if (model->numbers[at] == number) {
            model_remove(model, at, 1);
            removed++;
        } else if (!backwards) {
            i++;
        }
    }
    return removed;
}

static void check_element(struct element element, uint32_t number) {
    char text[TEXT_MAX];
    CHECK_BYTES(element.bytes, text_of(number, text));
    CHECK((element.block != NULL) == (element.bytes.len > ELEMENT_INLINE_MAX));
}

/* Walks from a point to the end, or back to the beginning. */
static void check_walk(const struct value *value, const struct model *model, unsigned point, bool backwards) {
    struct list_walk walk;
    struct element element;
    list_walk(&walk, value, point, backwards);
    for (unsigned i = point; i != (backwards ? 0 : model->count);) {
        CHECK(list_next(&walk, &element));
        check_element(element, model->numbers[backwards ? i - 1 : i]);
        i = backwards ? i - 1 : i + 1;
    }
    CHECK(!list_next(&walk, &element) && !list_next(&walk, &element));
}

static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    CHECK_INT(list_count(value), model->count);
    check_walk(value, model, 0, false);
    check_walk(value, model, model->count, true);
    unsigned point = random_below(model->count + 1);
    check_walk(value, model, point, random_below(2));
    if (point < model->count) check_element(list_at(value, point), model->numbers[point]);
}

/* What all blocks of a tree take. */
static size_t blocks_of(const struct value *value) {
    struct list_walk walk;
    struct element element;
    size_t bytes = 0;
    list_walk(&walk, value, 0, false);
    while (list_next(&walk, &element)) bytes += element.block ? block_memory(element.block) : 0;
    return bytes;
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == (models[i].count > 0));
    if (e == NULL) return;
    struct value value = entry_value(e);
    check_value(&value, &models[i]);
    if (value.kind != VALUE_OBJECT) {
        CHECK(value_bytes(&value).len <= COLLECTION_PACK_BYTES);
        return;
    }
    CHECK(tree_check(collection_tree(&value), &hash_seed));
    CHECK_INT(collection_of(value.object)->long_bytes, blocks_of(&value));
}

/* ---- Changes -------------------------------------------------------------------------------------- */

static uint32_t some_number(void) {
    return random_below(4) ? random_below(NUMBERS) : random_below(3);
}

static bool push(struct edit *edit, struct model *model) {
    uint32_t number = some_number();
    char text[TEXT_MAX];
    enum tree_end end = random_below(2) ? TREE_FRONT : TREE_BACK;
    if (!list_push(edit, end, text_of(number, text), NULL)) return false;
    model_insert(model, end == TREE_FRONT ? 0 : model->count, number);
    return true;
}

static bool put(struct edit *edit, struct model *model, bool replace) {
    uint32_t number = some_number();
    char text[TEXT_MAX];
    unsigned at = random_below(model->count + !replace);
    if (replace) {
        if (!list_replace(edit, at, text_of(number, text), NULL)) return false;
        model->numbers[at] = number;
        return true;
    }
    if (!list_insert(edit, at, text_of(number, text), NULL)) return false;
    model_insert(model, at, number);
    return true;
}

static bool take(struct edit *edit, struct model *model) {
    unsigned at = random_below(model->count), left = model->count - at,
             count = 1 + random_below(left < 4 || random_below(8) == 0 ? left : 4);
    enum tree_end end = random_below(2) ? TREE_FRONT : TREE_BACK;
    if (random_below(2)) {
        if (!list_pop(edit, end)) return false;
        model_remove(model, end == TREE_FRONT ? 0 : model->count - 1, 1);
        return true;
    }
    if (!list_remove(edit, at, count)) return false;
    model_remove(model, at, count);
    return true;
}

static bool take_equal(struct edit *edit, struct model *model) {
    uint32_t number = some_number();
    char text[TEXT_MAX];
    bool backwards = random_below(2);
    unsigned most = random_below(4) ? 1 + random_below(4) : MOST;
    uint64_t removed;
    bool done = list_remove_equal(edit, text_of(number, text), most, backwards, &removed);
    unsigned expected = model_remove_equal(model, number, done ? most : (unsigned)removed, backwards);
    CHECK_INT(removed, expected);
    return done;
}

static bool rotate(struct edit *edit, struct model *model) {
    enum tree_end from = random_below(2) ? TREE_FRONT : TREE_BACK;
    unsigned last = model->count - 1;
    if (!list_rotate(edit, from)) return false;
    uint32_t number = model->numbers[from == TREE_FRONT ? 0 : last];
    model_remove(model, from == TREE_FRONT ? 0 : last, 1);
    model_insert(model, from == TREE_FRONT ? last : 0, number);
    return true;
}

/* One change, if there is anything that may be changed. */
static bool change(struct edit *edit, struct model *model) {
    unsigned count = model->count;
    switch (random_below(8)) {
    case 0: return count == 0 || put(edit, model, true);
    case 1: return count == 0 || take(edit, model);
    case 2: return count == 0 || take_equal(edit, model);
    case 3: return count < 2 || rotate(edit, model);
    case 4: return count == MOST || put(edit, model, false);
    default: return count == MOST || push(edit, model);
    }
}

static void change_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_LIST);
    bool was_there = models[i].count > 0;
    if (edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    for (bool done = true; done && count > 0; count--) done = change(&edit, &models[i]);
    CHECK(edit_close(&edit) == (was_there && models[i].count == 0));
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS);
    switch (random_below(20)) {
    case 0:
        if (keyspace_delete(ks, 0, key_of(names[key]))) models[key].count = 0;
        break;
    case 1: copy_key(&keys, key, random_below(KEYS)); break;
    case 2: hold(&keys, random_below(HELD), key); break;
    case 3: release(&keys, random_below(HELD)); break;
    case 4: keyspace_upkeep(ks, random_below(50)); break;
    case 5: change_some(key, random_below(200)); break;
    default: change_some(key, 1 + random_below(4)); break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    for (unsigned i = 0; i < KEYS; i++) models[i].count = 0;
    run_steps(&keys, STEPS, failing, step);
}

static void a_list_is_its_model(void) {
    random_changes(0);
}
static void a_list_without_memory_is_as_before(void) {
    random_changes(7);
}

/* ---- Single properties ---------------------------------------------------------------------------- */

static void append(const char *name, unsigned number) {
    struct edit edit = edit_of(name, TYPE_LIST);
    char text[TEXT_MAX];
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    CHECK(list_push(&edit, TREE_BACK, text_of(number, text), NULL));
    CHECK(!edit_close(&edit));
}

static void digests_mind_order_and_no_form(void) {
    begin();
    for (unsigned i = 1; i < 20; i++) append("pack", i);
    for (unsigned i = 1; i < 20; i++) append("turned", i < 18 ? i : 37 - i);
    for (unsigned i = 1; i <= 300; i++) append("tree", i);
    struct edit edit = edit_of("tree", TYPE_LIST);
    CHECK(edit_open(&edit, false) == EDIT_OPENED && list_remove(&edit, 19, 281) && !edit_close(&edit));
    CHECK(keyspace_find(ks, 0, key_of("tree"))->kind == VALUE_OBJECT);
    CHECK(keyspace_find(ks, 0, key_of("pack"))->kind == VALUE_INLINE);
    struct digest pack = digest_of("pack"), tree = digest_of("tree"), turned = digest_of("turned");
    CHECK_BYTES(digest_bytes(&pack), digest_bytes(&tree));
    CHECK(!bytes_equal(digest_bytes(&pack), digest_bytes(&turned)));
    end();
}

/* So many elements at the front move the others now and then, not each time: room is left there, and not too much. */
static void a_pack_has_some_room_in_front(void) {
    unsigned moves = 0;
    size_t len = 0;
    begin();
    for (unsigned i = 0; i < 200; i++) {
        struct edit edit = edit_of("k", TYPE_LIST);
        CHECK(edit_open(&edit, true) == EDIT_OPENED);
        CHECK(list_push(&edit, TREE_FRONT, BYTES("0123456789"), NULL) && !edit_close(&edit));
        struct value value = entry_value(edit.entry);
        size_t now = value_bytes(&value).len;
        moves += now != len;
        len = now;
        CHECK(len <=
              4 + 12 * (i + 1) + len / 16 + 12); /* less than an element may be left of the last room */
    }
    CHECK(moves < 100);
    end();
}

/* A block of the caller's becomes that of the element, which takes it at once and gives it back at the end. */
static void long_elements_are_kept_in_their_blocks(void) {
    struct block *block = block_new_zeroed(50000, 50000);
    begin();
    CHECK(block);
    append("k", 1);
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(list_push(&edit, TREE_FRONT, block_bytes(block), block));
    CHECK(list_insert(&edit, 1, block_bytes(block), block));
    struct value value = entry_value(edit.entry);
    CHECK(list_at(&value, 0).block == block && list_at(&value, 1).block == block && block_shared(block));
    size_t memory = collection_memory(value.object);
    CHECK(memory > 100000 && memory < 103000);
    CHECK(list_rotate(&edit, TREE_FRONT));
    CHECK(list_at(&value, 2).block == block && list_at(&value, 0).block == block);
    CHECK(list_replace(&edit, 0, BYTES("short"), NULL) && list_pop(&edit, TREE_BACK));
    CHECK(!block_shared(block) && collection_memory(value.object) < 3000);
    CHECK(!edit_close(&edit));
    block_release(block);
    end();
}

/* Where too many go for a look at each, those that were looked at stand for the others; whatever comes out, the list
 * goes on, and it is known again when few are left. */
static void many_long_elements_are_estimated(void) {
    enum { ELEMENTS = 16000, LONG = 1100 };
    static char text[LONG];
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < ELEMENTS; i++)
        CHECK(list_push(&edit, TREE_BACK, (struct bytes){text, i % 2 ? LONG : LONG - 80}, NULL));
    struct collection *collection = collection_of(entry_object(edit.entry));
    CHECK(list_remove(&edit, 1000, ELEMENTS / 2 - 1001));
    struct value value = entry_value(edit.entry);
    double exact = (double)blocks_of(&value), told = (double)collection->long_bytes;
    CHECK(told != exact && told > exact * 0.98 && told < exact * 1.02);
    collection->long_bytes /= 4; /* as where those that were looked at are longer than the others */
    while (list_count(&value) > 5000) {
        CHECK(list_pop(&edit, random_below(2) ? TREE_FRONT : TREE_BACK));
        value = entry_value(edit.entry);
    }
    CHECK_INT(collection->long_bytes, 0);
    CHECK(list_push(&edit, TREE_BACK, (struct bytes){text, LONG}, NULL));
    CHECK(list_remove(&edit, 100, 4000));
    value = entry_value(edit.entry);
    CHECK_INT(collection->long_bytes, blocks_of(&value));
    CHECK(!edit_close(&edit));
    end();
}

/* A leaf without long elements is passed in one step. */
static void short_elements_are_not_looked_at(void) {
    enum { ELEMENTS = 400000 };
    static char text[1500];
    begin();
    struct edit edit = edit_of("k", TYPE_LIST);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < ELEMENTS; i++)
        CHECK(list_push(&edit, TREE_BACK, (struct bytes){text, i % 80000 == 79990 ? 1500 : 1}, NULL));
    struct collection *collection = collection_of(entry_object(edit.entry));
    CHECK(list_remove(&edit, 10, ELEMENTS / 2 - 20));
    struct value value = entry_value(edit.entry);
    CHECK(collection->long_bytes > 3 * 1500 && collection->long_bytes == blocks_of(&value));
    CHECK(list_remove(&edit, 0, ELEMENTS / 2 - 10));
    value = entry_value(edit.entry);
    CHECK(collection->long_bytes > 1500 && collection->long_bytes == blocks_of(&value));
    CHECK(!edit_close(&edit));
    end();
}

/* Every allocation on the way from a pack to a tree may be the one that fails. */
static void a_pack_that_cannot_become_a_tree_stays(void) {
    for (long at = 0, failed = 1; failed; at++) {
        char text[TEXT_MAX];
        begin();
        for (unsigned i = 1; i <= 30; i++) append("k", i);
        CHECK(keyspace_find(ks, 0, key_of("k"))->kind == VALUE_INLINE);
        struct digest before = digest_of("k"), after;
        struct edit edit = edit_of("k", TYPE_LIST);
        CHECK(edit_open(&edit, false) == EDIT_OPENED);
        fail_at = at;
        failed = !list_insert(&edit, 7, text_of(67 * 16, text), NULL);
        fail_at = -1;
        CHECK(!edit_close(&edit));
        after = digest_of("k");
        CHECK(bytes_equal(digest_bytes(&before), digest_bytes(&after)) == failed);
        end();
        CHECK(at < 1000);
    }
}

/* Equal elements that lie side by side go at once: many of them cost no more than a few. */
static void runs_of_equal_elements_go(void) {
    uint64_t removed;
    begin();
    for (unsigned i = 0; i < 3000; i++) append("k", i / 1000);
    struct edit edit = edit_of("k", TYPE_LIST);
    char text[TEXT_MAX];
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(list_remove_equal(&edit, text_of(1, text), 600, true, &removed) && removed == 600);
    struct value value = entry_value(edit.entry);
    CHECK_INT(list_count(&value), 2400);
    check_element(list_at(&value, 1399), 1);
    check_element(list_at(&value, 1400), 2);
    CHECK(list_remove_equal(&edit, text_of(1, text), UINT64_MAX, false, &removed) && removed == 400);
    check_element(list_at(&value, 999), 0);
    check_element(list_at(&value, 1000), 2);
    CHECK(list_remove_equal(&edit, text_of(7, text), UINT64_MAX, false, &removed) && removed == 0);
    CHECK(!edit_close(&edit));
    end();
}

/* A list that is made of elements one by one: whatever its length, it is the one that pushes make. */
static void drafts_are_lists(void) {
    static const unsigned counts[] = {0, 1, 50, 255, 256, 257, 2000};
    begin();
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct list_draft draft;
        struct digest made = {{0}}, pushed = {{0}};
        char text[TEXT_MAX], name[16];
        list_draft(&draft, ks);
        snprintf(name, sizeof name, "draft%u", i);
        for (unsigned j = 0; j < counts[i]; j++) {
            CHECK(list_draft_push(&draft, text_of(j + i, text), NULL));
            append(name, j + i);
        }
        struct value value = list_draft_value(&draft);
        CHECK_INT(list_count(&value), counts[i]);
        CHECK(counts[i] <= 256 || value.kind == VALUE_OBJECT);
        type_list.digest(&value, &made);
        if (counts[i]) {
            struct value other = entry_value(keyspace_find(ks, 0, key_of(name)));
            type_list.digest(&other, &pushed);
            CHECK(memcmp(&made, &pushed, sizeof made) == 0);
            CHECK(keyspace_set(ks, 0, key_of("made"), &value, EXPIRY_NONE));
        }
        list_draft_end(&draft);
    }
    struct value value = entry_value(keyspace_find(ks, 0, key_of("made")));
    CHECK_INT(list_count(&value), 2000);
    end();
}

static void drafts_fail_for_memory_alone(void) {
    begin();
    for (unsigned at = 0; at < 40; at++) {
        struct list_draft draft;
        char text[TEXT_MAX];
        bool done = true;
        list_draft(&draft, ks);
        fail_at = (long)at;
        for (unsigned i = 0; i < 400 && done; i++) done = list_draft_push(&draft, text_of(i, text), NULL);
        CHECK(done == (fail_at >= 0));
        fail_at = -1;
        list_draft_end(&draft);
    }
    end();
}

static void names_of_the_row(void) {
    begin();
    append("k", 1);
    struct edit edit = edit_of("k", TYPE_LIST);
    struct value value = entry_value(edit.entry);
    CHECK(strcmp(type_list.encoding(&value), "quicklist") == 0 && strcmp(type_list.name, "list") == 0);
    CHECK(!type_list.keeps_empty && type_list.number == TYPE_LIST && type_list.count(&value) == 1);
    CHECK(edit_open(&edit, false) == EDIT_OPENED && list_pop(&edit, TREE_BACK) && edit_close(&edit));
    CHECK(keyspace_find(ks, 0, key_of("k")) == NULL);
    end();
}

int main(void) {
    seed = check_seed();
    RUN(a_list_is_its_model);
    RUN(a_list_without_memory_is_as_before);
    RUN(digests_mind_order_and_no_form);
    RUN(a_pack_has_some_room_in_front);
    RUN(long_elements_are_kept_in_their_blocks);
    RUN(many_long_elements_are_estimated);
    RUN(short_elements_are_not_looked_at);
    RUN(a_pack_that_cannot_become_a_tree_stays);
    RUN(runs_of_equal_elements_go);
    RUN(drafts_are_lists);
    RUN(drafts_fail_for_memory_alone);
    RUN(names_of_the_row);
    return 0;
}
