/* Sets as intsets, packs and trees against a model: random members of all lengths, copies, unions, versions that somebody
 * holds, and no memory at random and at every single allocation. */
#include "store/types/set.h"

#include "store/values/intset.h"
#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 6, MEMBERS = 700, NUMBERS = 260, INTEGERS = 120, STEPS = 40000 };

struct model {
    bool in[MEMBERS];
    bool marked;
    unsigned count;
};

static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c", "d", "e", "a key that is a little longer"};

static struct bytes members[MEMBERS];

/* The first members are integers of all widths, the others texts. */
static void make_members(void) {
    static const int64_t scales[] = {1, -1, 301, -40000, 1000003, 30000000000000000};
    for (unsigned i = 0; i < MEMBERS; i++) {
        char text[TEXT_MAX];
        int64_t number = i < NUMBERS ? (int64_t)i * scales[i % (sizeof scales / sizeof *scales)] : 0;
        struct bytes member = {text, number_format_i64(text, number)};
        if (i >= NUMBERS) member = text_of(i, text);
        char *copy = malloc(member.len);
        CHECK(copy);
        members[i] = (struct bytes){memcpy(copy, member.data, member.len), member.len};
    }
}

static void add_to_model(struct model *model, unsigned member) {
    if (model->in[member]) return;
    model->in[member] = true;
    model->count++;
    model->marked |= member >= NUMBERS || model->count > INTEGERS;
}

static void remove_from_model(struct model *model, unsigned member) {
    model->count -= model->in[member];
    model->in[member] = false;
    if (model->count == 0) *model = (struct model){.count = 0};
}

static unsigned number_of(struct bytes bytes) {
    for (unsigned i = 0; i < MEMBERS; i++)
        if (bytes_equal(members[i], bytes)) return i;
    CHECK(!"one of the members");
    for (unsigned i = 0; i < MEMBERS; i++) free((char *)(uintptr_t)members[i].data);
    return 0;
}

/* What a value holds is what the model says. */
static void check_value(const struct value *value, const struct model *model, bool each) {
    struct set_walk walk;
    struct element member;
    bool was[MEMBERS] = {false};
    unsigned seen = 0;
    CHECK_INT(set_count(value), model->count);
    CHECK(value->edited == model->marked);
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member)) {
        seen++;
        if (!each) continue;
        unsigned number = number_of(member.bytes);
        CHECK(model->in[number] && !was[number]);
        was[number] = true;
        CHECK(!member.block || member.block->data == member.bytes.data);
    }
    CHECK_INT(seen, model->count);
}

static bool has_text(const struct model *model) {
    for (unsigned i = NUMBERS; i < MEMBERS; i++)
        if (model->in[i]) return true;
    return false;
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == (models[i].count > 0));
    if (e == NULL) return;
    struct value value = entry_value(e);
    unsigned member = random_below(MEMBERS);
    check_value(&value, &models[i], random_below(20) == 0);
    CHECK(set_has(ks, &value, members[member]) == models[i].in[member]);
    CHECK(set_is_integers(&value) == !has_text(&models[i]));
    size_t room = value.kind == VALUE_OBJECT ? collection_memory(value.object) : value_bytes(&value).len;
    CHECK(room > models[i].count && keyspace_entry_memory(ks, e) > room);
    if (value.kind == VALUE_OBJECT) CHECK(tree_check(collection_tree(&value), &hash_seed));
}

/* ---- Changes -------------------------------------------------------------------------------------- */

/* Some keys have integers alone. */
static unsigned random_member(unsigned key) {
    return random_below(key < 2 ? NUMBERS : MEMBERS);
}

static void add_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_SET);
    if (edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    while (count-- > 0) {
        unsigned member = random_member(i);
        enum set_changed expected = models[i].in[member] ? SET_UNCHANGED : SET_ADDED;
        enum set_changed changed = set_add(&edit, members[member], NULL, INTEGERS);
        if (changed == SET_NO_MEMORY) break; /* what was added before stays */
        CHECK_INT(changed, expected);
        add_to_model(&models[i], member);
    }
    CHECK(!edit_close(&edit));
}

/* A guess that is right by chance, or none. */
static const struct tree_guess *some_guess(void) {
    static struct tree_guess guess;
    if (random_below(2)) return NULL;
    guess.levels = (uint8_t)random_below(TREE_GUESS_LEVELS + 1);
    for (unsigned depth = 0; depth < TREE_GUESS_LEVELS; depth++) guess.at[depth] = (uint8_t)random_below(8);
    guess.place = (uint16_t)random_below(200);
    return &guess;
}

static void remove_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_SET);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0 && models[i].count > 0) {
        unsigned member = random_member(i);
        enum set_changed expected = models[i].in[member] ? SET_REMOVED : SET_UNCHANGED;
        edit.guesses = some_guess();
        enum set_changed changed = set_remove(&edit, members[member]);
        if (changed == SET_NO_MEMORY) break;
        CHECK_INT(changed, expected);
        remove_from_model(&models[i], member);
    }
    CHECK(edit_close(&edit) == (models[i].count == 0));
}

static void remove_places(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_SET);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0 && models[i].count > 0) {
        struct value value = entry_value(edit.entry);
        struct set_walk walk;
        struct element member;
        unsigned place = random_below(models[i].count);
        set_walk(&walk, &value, place);
        CHECK(set_next(&walk, &member));
        unsigned number = number_of(member.bytes);
        if (!set_remove_at(&edit, place)) break;
        remove_from_model(&models[i], number);
    }
    CHECK(edit_close(&edit) == (models[i].count == 0));
}

static bool add_value(struct set_draft *draft, const struct value *value, struct model *model) {
    struct set_walk walk;
    struct element member;
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member)) {
        unsigned number = number_of(member.bytes);
        enum set_changed expected = model->in[number] ? SET_UNCHANGED : SET_ADDED;
        enum set_changed changed = set_draft_add(draft, member.bytes, member.block);
        if (changed == SET_NO_MEMORY) return false;
        CHECK_INT(changed, expected);
        add_to_model(model, number);
    }
    return true;
}

/* One key becomes the union of two. */
static void unite(unsigned a, unsigned b, unsigned to) {
    struct entry *entries[] = {keyspace_find(ks, 0, key_of(names[a])),
                               keyspace_find(ks, 0, key_of(names[b]))};
    struct set_draft draft;
    struct model model = {.count = 0};
    bool done = true;
    if (entries[0] == NULL || entries[1] == NULL) return;
    struct value first = entry_value(entries[0]), second = entry_value(entries[1]);
    set_draft(&draft, ks, INTEGERS);
    if (first.kind == VALUE_OBJECT) {
        done = set_draft_copy(&draft, &first);
        model = models[a];
        model.marked = model.count > INTEGERS || has_text(&model);
    } else {
        done = add_value(&draft, &first, &model);
    }
    done = done && add_value(&draft, &second, &model);
    if (done && random_below(4) == 0) done = model.marked = set_draft_mark(&draft);
    struct value value = set_draft_value(&draft);
    if (done && keyspace_set(ks, 0, key_of(names[to]), &value, EXPIRY_NONE)) models[to] = model;
    set_draft_end(&draft);
}

static void check_version(const struct value *value, const void *model) {
    check_value(value, model, true);
}

static const struct modelled keys = {names, models, sizeof *models, check_version};

static void step(void) {
    unsigned key = random_below(KEYS);
    switch (random_below(64)) {
    case 0: add_some(key, random_below(MEMBERS)); break;
    case 1:
    case 2: remove_some(key, random_below(MEMBERS * 2)); break;
    case 3: remove_places(key, random_below(MEMBERS / 4)); break;
    case 4:
        if (keyspace_delete(ks, 0, key_of(names[key]))) models[key] = (struct model){.count = 0};
        break;
    case 5: copy_key(&keys, key, random_below(KEYS)); break;
    case 6: unite(random_below(KEYS), random_below(KEYS), key); break;
    case 7: hold(&keys, random_below(HELD), key); break;
    case 8: release(&keys, random_below(HELD)); break;
    case 9: keyspace_upkeep(ks, random_below(50)); break;
    case 10: remove_places(key, 1 + random_below(4)); break;
    default:
        if (random_below(2))
            add_some(key, 1 + random_below(4));
        else
            remove_some(key, 1 + random_below(4));
        break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    memset(models, 0, sizeof models);
    run_steps(&keys, STEPS, failing, step);
}

static void a_set_is_its_model(void) {
    random_changes(0);
}
static void a_set_without_memory_is_as_before(void) {
    random_changes(7);
}

/* ---- Single properties ---------------------------------------------------------------------------- */

static enum set_changed put_bytes(const char *name, struct bytes member, uint64_t integers) {
    struct edit edit = edit_of(name, TYPE_SET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    enum set_changed changed = set_add(&edit, member, NULL, integers);
    edit_close(&edit);
    return changed;
}

static void put(const char *name, unsigned member) {
    CHECK(put_bytes(name, members[member], INTEGERS) != SET_NO_MEMORY);
}

static struct value value_of(const char *name) {
    struct entry *e = keyspace_find(ks, 0, key_of(name));
    CHECK(e);
    return entry_value(e);
}

static uint64_t count_of(const char *name) {
    struct value value = value_of(name);
    return set_count(&value);
}

/* The same integers as an intset, as a pack and as a tree. */
static void digests_mind_contents_alone(void) {
    begin();
    for (unsigned i = 0; i < 20; i++) put("ints", i), put("pack", i), put("tree", i);
    put("pack", NUMBERS + 1);
    for (unsigned i = 20; i < MEMBERS; i++) put("tree", i);
    struct edit edit = edit_of("pack", TYPE_SET);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(set_remove(&edit, members[NUMBERS + 1]) == SET_REMOVED && !edit_close(&edit));
    edit = edit_of("tree", TYPE_SET);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    for (unsigned i = 20; i < MEMBERS; i++) CHECK(set_remove(&edit, members[i]) == SET_REMOVED);
    CHECK(!edit_close(&edit));
    struct value ints = value_of("ints"), pack = value_of("pack"), tree = value_of("tree");
    CHECK(ints.kind == VALUE_INLINE && !ints.edited && pack.kind == VALUE_INLINE && pack.edited);
    CHECK(tree.kind == VALUE_OBJECT);
    struct digest digests[] = {digest_of("ints"), digest_of("pack"), digest_of("tree")};
    CHECK_BYTES(digest_bytes(&digests[0]), digest_bytes(&digests[1]));
    CHECK_BYTES(digest_bytes(&digests[0]), digest_bytes(&digests[2]));
    put("ints", 20);
    digests[0] = digest_of("ints");
    CHECK(!bytes_equal(digest_bytes(&digests[0]), digest_bytes(&digests[1])));
    end();
}

/* The walk begins at any place, and so every member can be drawn. */
static void walks_begin_anywhere(unsigned first, unsigned most) {
    begin();
    for (unsigned count = 1; count < most; count += 7) {
        for (unsigned i = 0; i < count; i++) put("k", first + i);
        struct value value = value_of("k");
        struct set_walk all, part;
        struct element member, other;
        set_walk(&all, &value, 0);
        for (unsigned i = 0; i < set_count(&value); i++) {
            CHECK(set_next(&all, &member));
            set_walk(&part, &value, i);
            CHECK(set_next(&part, &other));
            CHECK_BYTES(other.bytes, member.bytes);
        }
        CHECK(!set_next(&all, &member));
        set_walk(&part, &value, set_count(&value));
        CHECK(!set_next(&part, &other));
    }
    end();
}
static void walks_over_integers_begin_anywhere(void) {
    walks_begin_anywhere(0, INTEGERS);
}
static void walks_over_texts_begin_anywhere(void) {
    walks_begin_anywhere(NUMBERS, MEMBERS - NUMBERS);
}

/* As many as there is room for beside the key, and one more. */
static void many_wide_integers_are_a_tree_that_is_not_marked(void) {
    char text[NUMBER_I64_MAX_LEN];
    unsigned fit = (COLLECTION_PACK_BYTES - INTSET_HEAD) / 8;
    begin();
    for (unsigned i = 0; i <= fit; i++) {
        struct bytes member = {text, number_format_i64(text, INT64_MAX - (int64_t)i)};
        CHECK(put_bytes("k", member, UINT64_MAX) == SET_ADDED);
        struct value value = value_of("k");
        CHECK((value.kind == VALUE_OBJECT) == (i == fit) && !value.edited);
        CHECK(strcmp(type_set.encoding(&value), "intset") == 0);
    }
    CHECK(put_bytes("k", BYTES("x"), UINT64_MAX) == SET_ADDED);
    struct value value = value_of("k");
    CHECK(value.edited && strcmp(type_set.encoding(&value), "hashtable") == 0);
    end();
}

static void the_caller_says_how_many_integers_an_intset_has(void) {
    begin();
    CHECK(put_bytes("none", BYTES("1"), 0) == SET_ADDED && value_of("none").edited);
    CHECK(put_bytes("k", BYTES("1"), 2) == SET_ADDED && put_bytes("k", BYTES("2"), 2) == SET_ADDED);
    CHECK(put_bytes("k", BYTES("2"), 2) == SET_UNCHANGED && !value_of("k").edited);
    CHECK(put_bytes("k", BYTES("3"), 2) == SET_ADDED && value_of("k").edited);
    CHECK(put_bytes("k", BYTES("4"), 100) == SET_ADDED && value_of("k").edited); /* for good */
    CHECK(count_of("k") == 4);
    CHECK(put_bytes("text", BYTES("01"), 100) == SET_ADDED && value_of("text").edited);
    CHECK(!type_set.keeps_empty && type_set.number == TYPE_SET && strcmp(type_set.name, "set") == 0);
    end();
}

/* A block of the caller's becomes that of the member, which takes it at once and gives it back at the end. */
static void long_members_are_kept_in_their_blocks(void) {
    struct block *block = block_new_zeroed(50000, 50000);
    begin();
    CHECK(block);
    put("k", 1);
    struct edit edit = edit_of("k", TYPE_SET);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(set_add(&edit, block_bytes(block), block, INTEGERS) == SET_ADDED);
    CHECK(set_add(&edit, block_bytes(block), block, INTEGERS) == SET_UNCHANGED);
    CHECK(!edit_close(&edit));
    struct value value = entry_value(edit.entry);
    CHECK(set_has(ks, &value, block_bytes(block)) && block_shared(block) && value.edited);
    size_t memory = collection_memory(value.object);
    CHECK(memory > 50000 && memory < 53000);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(set_remove(&edit, block_bytes(block)) == SET_REMOVED);
    CHECK(!edit_close(&edit) && !block_shared(block));
    CHECK(collection_memory(value.object) < 3000);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(set_add(&edit, block_bytes(block), block, INTEGERS) == SET_ADDED);
    value = entry_value(edit.entry);
    struct set_walk walk;
    struct element member;
    set_walk(&walk, &value, 0);
    CHECK(set_next(&walk, &member) && set_remove_at(&edit, member.block ? 0 : 1));
    CHECK(!edit_close(&edit) && !block_shared(block) && collection_memory(value.object) < 3000);
    block_release(block);
    end();
}

/* Every allocation on the way from one shape to another may be the one that fails. `members` of the set from `first` on,
 * then one more. */
static void stays_without_memory(unsigned first, unsigned count, unsigned more) {
    for (long at = 0, failed = 1; failed; at++) {
        begin();
        for (unsigned i = 0; i < count; i++) put("k", first + i);
        bool marked = value_of("k").edited;
        struct digest before = digest_of("k"), after;
        struct edit edit = edit_of("k", TYPE_SET);
        CHECK(edit_open(&edit, false) == EDIT_OPENED);
        fail_at = at;
        failed = set_add(&edit, members[more], NULL, INTEGERS) == SET_NO_MEMORY;
        fail_at = -1;
        CHECK(!edit_close(&edit));
        after = digest_of("k");
        CHECK(bytes_equal(digest_bytes(&before), digest_bytes(&after)) == failed);
        CHECK(!failed || value_of("k").edited == marked);
        end();
        CHECK(at < 1000);
    }
}
static void a_pack_that_cannot_become_a_tree_stays(void) {
    stays_without_memory(NUMBERS, 20, 67 * 9);
}
static void an_intset_that_cannot_become_a_pack_stays(void) {
    stays_without_memory(0, 50, NUMBERS + 1);
}
static void an_intset_that_cannot_become_a_tree_stays(void) {
    stays_without_memory(0, 50, 67 * 9);
}

int main(void) {
    seed = check_seed();
    make_members();
    RUN(a_set_is_its_model);
    RUN(a_set_without_memory_is_as_before);
    RUN(digests_mind_contents_alone);
    RUN(walks_over_integers_begin_anywhere);
    RUN(walks_over_texts_begin_anywhere);
    RUN(many_wide_integers_are_a_tree_that_is_not_marked);
    RUN(the_caller_says_how_many_integers_an_intset_has);
    RUN(long_members_are_kept_in_their_blocks);
    RUN(a_pack_that_cannot_become_a_tree_stays);
    RUN(an_intset_that_cannot_become_a_pack_stays);
    RUN(an_intset_that_cannot_become_a_tree_stays);
    for (unsigned i = 0; i < MEMBERS; i++) free((char *)(uintptr_t)members[i].data);
    return 0;
}
