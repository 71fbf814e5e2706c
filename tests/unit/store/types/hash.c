/* Hashes as packs and as trees against a model: random fields and values of all lengths, fields that expire, copies,
 * versions that somebody holds, and no memory at random and at every single allocation. */
#include "store/types/hash.h"

#include "store/types/hash_timed.h"

#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 6, FIELDS = 400, STEPS = 40000, ABSENT = -1 };

struct model {
    int32_t values[FIELDS]; /* numbers of texts */
    int64_t expiries[FIELDS];
    unsigned count;
    int64_t expiry_ms; /* of the key */
};

static int64_t now_ms;

static struct model models[KEYS];
static bool told[KEYS][FIELDS];
static const char *const names[KEYS] = {"a", "b", "c", "d", "e", "a key that is a little longer"};

static void empty(struct model *model) {
    *model = (struct model){.count = 0};
    for (int i = 0; i < FIELDS; i++) model->values[i] = ABSENT;
}

static void set_model(struct model *model, unsigned field, int32_t value) {
    model->count += (unsigned)(value != ABSENT) - (unsigned)(model->values[field] != ABSENT);
    model->values[field] = value;
    if (value == ABSENT) model->expiries[field] = 0;
    if (model->count == 0) model->expiry_ms = 0;
}

static int64_t first_of(const struct model *model) {
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < FIELDS; i++)
        if (model->expiries[i] > 0 && model->expiries[i] < first) first = model->expiries[i];
    return first;
}

static uint32_t number_of(struct bytes bytes) {
    return bytes.len ? (uint32_t)strtoul(bytes.data, NULL, 10) : 0;
}

/* What a value holds is what the model says. */
static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    struct hash_walk walk;
    struct element field, found;
    char text[TEXT_MAX];
    unsigned seen = 0, overdue = 0;
    bool was[FIELDS] = {false};
    CHECK_INT(hash_count(value), model->count);
    hash_walk(&walk, value, 0);
    while (hash_next(&walk, &field, &found)) {
        uint32_t number = number_of(field.bytes);
        CHECK(number < FIELDS && !was[number]);
        was[number] = true;
        CHECK_BYTES(field.bytes, text_of(number, text));
        CHECK_BYTES(found.bytes, text_of((uint32_t)model->values[number], text));
        CHECK(!found.block || found.block->data == found.bytes.data);
        CHECK_INT(hash_walk_expiry(&walk, field.bytes), model->expiries[number]);
        CHECK_INT(hash_expiry(ks, value, field.bytes), model->expiries[number]);
        overdue += model->expiries[number] > 0 && model->expiries[number] <= now_ms;
        seen++;
    }
    CHECK_INT(seen, model->count);
    CHECK_INT(hash_due(value), first_of(model));
    CHECK_INT(hash_overdue(value, now_ms), overdue);
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == (models[i].count > 0));
    if (e == NULL) return;
    struct value value = entry_value(e);
    char text[TEXT_MAX];
    unsigned field = random_below(FIELDS);
    struct element found;
    check_value(&value, &models[i]);
    int64_t first = first_of(&models[i]), expiry_ms = models[i].expiry_ms;
    CHECK_INT(entry_expiry(e), expiry_ms);
    CHECK(entry_timed(e) || first == INT64_MAX);
    if (e->expires)
        CHECK_INT(entry_expiry_record(e)->expiry_ms, expiry_ms > 0 && expiry_ms < first ? expiry_ms : first);
    else
        CHECK(first == INT64_MAX && expiry_ms == 0);
    bool there = hash_get(ks, &value, text_of(field, text), &found);
    CHECK(there == (models[i].values[field] != ABSENT));
    if (there) CHECK_BYTES(found.bytes, text_of((uint32_t)models[i].values[field], text));
    size_t room = value.kind == VALUE_OBJECT ? type_hash.memory(value.object) : value_bytes(&value).len;
    CHECK(room > models[i].count * 2 && keyspace_entry_memory(ks, e) > room);
    if (hash_tree(&value)) CHECK(tree_check(hash_tree(&value), &hash_seed));
    CHECK((hash_tree(&value) && collection_of(value.object)->times) ||
          (value.kind == VALUE_OBJECT && value.object->form == HASH_FORM_TIMED) || first == INT64_MAX);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

static void set_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_HASH);
    char texts[2][TEXT_MAX];
    if (edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    while (count-- > 0) {
        unsigned field = random_below(FIELDS), value = random_below(1000);
        enum hash_changed expected = models[i].values[field] == ABSENT ? HASH_ADDED : HASH_REPLACED;
        bool kept = random_below(2);
        enum hash_changed (*set)(struct edit *, struct bytes, struct bytes, struct block *) =
            kept ? hash_update : hash_set;
        enum hash_changed changed = set(&edit, text_of(field, texts[0]), text_of(value, texts[1]), NULL);
        if (changed == HASH_NO_MEMORY) break; /* what was set before stays */
        CHECK_INT(changed, expected);
        set_model(&models[i], field, (int32_t)value);
        if (!kept) models[i].expiries[field] = 0;
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

static void delete_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_HASH);
    char text[TEXT_MAX];
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0 && models[i].count > 0) {
        unsigned field = random_below(FIELDS);
        enum hash_changed expected = models[i].values[field] == ABSENT ? HASH_UNCHANGED : HASH_DELETED;
        edit.guesses = some_guess();
        enum hash_changed changed = hash_delete(&edit, text_of(field, text));
        if (changed == HASH_NO_MEMORY) break;
        CHECK_INT(changed, expected);
        set_model(&models[i], field, ABSENT);
    }
    CHECK(edit_close(&edit) == (models[i].count == 0));
}

static void expire_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_HASH);
    char text[TEXT_MAX];
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0) {
        unsigned field = random_below(FIELDS);
        int64_t expiry_ms = random_below(4) ? now_ms + 1 + random_below(100) : 0;
        bool there = models[i].values[field] != ABSENT && models[i].expiries[field] != expiry_ms;
        enum hash_changed changed = hash_expire(&edit, text_of(field, text), expiry_ms);
        if (changed == HASH_NO_MEMORY) break;
        CHECK_INT(changed, there ? HASH_REPLACED : HASH_UNCHANGED);
        if (there) models[i].expiries[field] = expiry_ms;
    }
    CHECK(!edit_close(&edit));
}

/* The expiry of the key is apart from those of its fields. */
static void expire_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    int64_t expiry_ms = random_below(2) ? now_ms + 1 + random_below(200) : 0;
    if (e && keyspace_set_expiry(ks, 0, e, expiry_ms)) models[i].expiry_ms = expiry_ms;
}

static unsigned key_number(const struct entry *e) {
    unsigned i = 0;
    while (!bytes_equal(entry_key(e), bytes_of(names[i]))) i++;
    return i;
}

/* What was told is what the model says; where memory ran out it is told again. */
static void expired(void *context, const struct expired *what) {
    unsigned key = key_number(what->entry);
    struct model *model = &models[key];
    uint32_t field = number_of(what->name);
    (void)context;
    CHECK(what->db == 0 && (what->kind == EXPIRED_ELEMENT || what->name.len == 0));
    if (what->kind == EXPIRED_ELEMENT) {
        CHECK(model->values[field] != ABSENT && model->expiries[field] > 0 &&
              model->expiries[field] <= now_ms);
        told[key][field] = true;
    } else if (what->kind == EXPIRED_KEY) {
        CHECK(model->expiry_ms > 0 && model->expiry_ms <= now_ms);
        empty(model);
    } else if (what->kind == EXPIRED_LAST) {
        for (unsigned i = 0; i < FIELDS; i++)
            CHECK(model->values[i] == ABSENT || (model->expiries[i] > 0 && model->expiries[i] <= now_ms));
        empty(model);
    }
}

/* Fields that were told of are gone, unless memory ran out; those that were not are there. */
static void time_goes_on(void) {
    char text[TEXT_MAX];
    uint64_t times = 0; /* of keys, not of their fields */
    now_ms += random_below(30);
    memset(told, 0, sizeof told);
    CHECK(keyspace_expire(ks, now_ms, 1 + random_below(40), expired, NULL) <= 40);
    for (unsigned i = 0; i < KEYS; i++) {
        struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
        CHECK((e != NULL) == (models[i].count > 0));
        times += e ? (uint64_t)models[i].expiry_ms : 0;
        for (unsigned field = 0; e && field < FIELDS; field++) {
            struct value value = entry_value(e);
            struct element found;
            if (!told[i][field]) continue;
            bool there = hash_get(ks, &value, text_of(field, text), &found);
            CHECK(!there || fail_every);
            if (!there) set_model(&models[i], field, ABSENT);
        }
        /* Where memory was missing it is filed later than it is due: as it should be after the next change. */
        if (e && fail_every) keyspace_refile(ks, 0, e, 0);
    }
    CHECK(keyspace_expiry_sum(ks, 0) == times);
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS);
    switch (random_below(22)) {
    case 0: set_some(key, random_below(FIELDS)); break;
    case 1: delete_some(key, random_below(FIELDS * 2)); break;
    case 2:
        if (keyspace_delete(ks, 0, key_of(names[key]))) empty(&models[key]);
        break;
    case 3: copy_key(&keys, key, random_below(KEYS)); break;
    case 4: hold(&keys, random_below(HELD), key); break;
    case 5: release(&keys, random_below(HELD)); break;
    case 6: keyspace_upkeep(ks, random_below(50)); break;
    case 7:
    case 8:
    case 9: delete_some(key, 1 + random_below(4)); break;
    case 10: expire_some(key, random_below(FIELDS)); break;
    case 11:
    case 12: expire_some(key, 1 + random_below(6)); break;
    case 13: expire_key(key); break;
    case 14: time_goes_on(); break;
    default: set_some(key, 1 + random_below(4)); break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    now_ms = 1000;
    for (unsigned i = 0; i < KEYS; i++) empty(&models[i]);
    run_steps(&keys, STEPS, failing, step);
}

static void a_hash_is_its_model(void) {
    random_changes(0);
}
static void a_hash_without_memory_is_as_before(void) {
    random_changes(7);
}

/* ---- Single properties ---------------------------------------------------------------------------- */

static void put(const char *name, unsigned field, unsigned value) {
    struct edit edit = edit_of(name, TYPE_HASH);
    char texts[2][TEXT_MAX];
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    CHECK(hash_set(&edit, text_of(field, texts[0]), text_of(value, texts[1]), NULL) != HASH_NO_MEMORY);
    CHECK(!edit_close(&edit));
}

/* One is built as a pack, the other was a tree. */
static void digests_mind_contents_alone(void) {
    begin();
    for (unsigned i = 1; i < 20; i++) put("pack", i, i + 5);
    for (unsigned i = 300; i > 0; i--) put("tree", i, i + 5);
    struct digest pack = digest_of("pack"), tree = digest_of("tree");
    CHECK(!bytes_equal(digest_bytes(&pack), digest_bytes(&tree)));
    struct edit edit = edit_of("tree", TYPE_HASH);
    char text[TEXT_MAX];
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    for (unsigned i = 20; i <= 300; i++) CHECK(hash_delete(&edit, text_of(i, text)) == HASH_DELETED);
    CHECK(!edit_close(&edit));
    CHECK(keyspace_find(ks, 0, key_of("tree"))->kind == VALUE_OBJECT);
    CHECK(keyspace_find(ks, 0, key_of("pack"))->kind == VALUE_INLINE);
    tree = digest_of("tree");
    CHECK_BYTES(digest_bytes(&pack), digest_bytes(&tree));
    end();
}

/* The walk begins at any place, and so every field can be drawn. */
static void walks_begin_anywhere(void) {
    begin();
    for (unsigned count = 1; count < 300; count += 7) {
        for (unsigned i = 0; i < count; i++) put("k", i, i);
        struct value value = entry_value(keyspace_find(ks, 0, key_of("k")));
        struct hash_walk all, part;
        struct element field, found, other;
        hash_walk(&all, &value, 0);
        for (unsigned i = 0; i < count; i++) {
            CHECK(hash_next(&all, &field, &found));
            hash_walk(&part, &value, i);
            CHECK(hash_next(&part, &other, &found));
            CHECK_BYTES(other.bytes, field.bytes);
        }
        CHECK(!hash_next(&all, &field, &found));
        hash_walk(&part, &value, count);
        CHECK(!hash_next(&part, &other, &found));
    }
    end();
}

/* A block of the caller's becomes that of the value, which takes it at once and gives it back at the end. */
static void long_values_are_kept_in_their_blocks(void) {
    struct block *block = block_new_zeroed(50000, 50000);
    struct element found;
    begin();
    CHECK(block);
    put("k", 1, 1);
    struct edit edit = edit_of("k", TYPE_HASH);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(hash_set(&edit, BYTES("long"), block_bytes(block), block) == HASH_ADDED);
    CHECK(!edit_close(&edit));
    struct value value = entry_value(edit.entry);
    CHECK(hash_get(ks, &value, BYTES("long"), &found) && found.block == block && block_shared(block));
    size_t memory = collection_memory(value.object);
    CHECK(memory > 50000 && memory < 53000);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(hash_set(&edit, BYTES("long"), BYTES("short"), NULL) == HASH_REPLACED);
    CHECK(!edit_close(&edit) && !block_shared(block));
    CHECK(collection_memory(value.object) < 3000);
    block_release(block);
    end();
}

/* Every allocation on the way from a pack to a tree may be the one that fails. */
static void a_pack_that_cannot_become_a_tree_stays(void) {
    for (long at = 0, failed = 1; failed; at++) {
        char texts[2][TEXT_MAX];
        begin();
        for (unsigned i = 1; i <= 30; i++) put("k", i, i);
        CHECK(keyspace_find(ks, 0, key_of("k"))->kind == VALUE_INLINE);
        struct digest before = digest_of("k"), after;
        struct edit edit = edit_of("k", TYPE_HASH);
        CHECK(edit_open(&edit, false) == EDIT_OPENED);
        fail_at = at;
        failed = hash_set(&edit, text_of(31, texts[0]), text_of(67 * 16, texts[1]), NULL) == HASH_NO_MEMORY;
        fail_at = -1;
        CHECK(!edit_close(&edit));
        after = digest_of("k");
        CHECK(bytes_equal(digest_bytes(&before), digest_bytes(&after)) == failed);
        end();
        CHECK(at < 1000);
    }
}

static void names_and_marks(void) {
    begin();
    put("k", 1, 1);
    struct edit edit = edit_of("k", TYPE_HASH);
    struct value value = entry_value(edit.entry);
    CHECK(strcmp(type_hash.encoding(&value), "listpack") == 0 && strcmp(type_hash.name, "hash") == 0);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    CHECK(hash_set(&edit, BYTES("f"), BYTES("v"), NULL) == HASH_ADDED);
    edit_mark(&edit);
    CHECK(!edit_close(&edit));
    for (unsigned i = 0; i < 300; i++) put("k", i, i); /* the mark stays with the value, also in a tree */
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("k")},
                        &(struct keyspace_place){ks, 0, key_of("copy")}));
    value = entry_value(keyspace_find(ks, 0, key_of("copy")));
    CHECK(value.kind == VALUE_OBJECT && strcmp(type_hash.encoding(&value), "hashtable") == 0);
    CHECK(!type_hash.keeps_empty && type_hash.number == TYPE_HASH);
    end();
}

int main(void) {
    seed = check_seed();
    RUN(a_hash_is_its_model);
    RUN(a_hash_without_memory_is_as_before);
    RUN(digests_mind_contents_alone);
    RUN(walks_begin_anywhere);
    RUN(long_values_are_kept_in_their_blocks);
    RUN(a_pack_that_cannot_become_a_tree_stays);
    RUN(names_and_marks);
    return 0;
}
