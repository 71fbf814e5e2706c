/* Sorted sets as packs and as trees against a model: random members and scores, ranks and ranges, copies, versions that
 * somebody holds, and no memory at random and at every single allocation. */
#include "store/types/zset.h"

#include <math.h>

#include "store/values/load.h"
#include "tests/unit/store/types/model_fixture.h"

enum { KEYS = 5, MEMBERS = 400, STEPS = 10000 };

struct model {
    double scores[MEMBERS]; /* NAN: no such member */
    unsigned count;
};

static struct model models[KEYS];
static const char *const names[KEYS] = {"a", "b", "c", "d", "a key that is a little longer"};
static char texts[MEMBERS][TEXT_MAX];

static struct bytes member_of(unsigned number) {
    return text_of(number, texts[number]);
}

static void empty(struct model *model) {
    for (int i = 0; i < MEMBERS; i++) model->scores[i] = NAN;
    model->count = 0;
}

static void set_model(struct model *model, unsigned member, double score) {
    model->count += (unsigned)!isnan(score) - (unsigned)!isnan(model->scores[member]);
    model->scores[member] = score;
}

/* Few different ones, so that many are equal, and all lengths of them. */
static double random_score(void) {
    static const double some[] = {0,    1,   -1,    100,   1000,     -70000,   1e9,
                                  -1e9, 0.5, -2.25, 1e300, INFINITY, -INFINITY};
    return some[random_below(sizeof some / sizeof *some)];
}

/* ---- The model ------------------------------------------------------------------------------------ */

static const struct model *sorted_by;

static int compare(const void *a, const void *b) {
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    double x = sorted_by->scores[left], y = sorted_by->scores[right];
    if (x != y) return x < y ? -1 : 1;
    return bytes_compare(member_of(left), member_of(right));
}

/* The members in the order of ranks. */
static unsigned sort(const struct model *model, unsigned *order) {
    unsigned count = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        if (!isnan(model->scores[i])) order[count++] = i;
    CHECK_INT(count, model->count);
    sorted_by = model;
    qsort(order, count, sizeof *order, compare);
    return count;
}

static void check_walk(const struct value *value, const struct model *model, const unsigned *order,
                       bool backwards) {
    struct zset_walk walk;
    struct zset_item item;
    unsigned seen = 0, count = model->count;
    zset_walk(&walk, value, backwards && count ? count - 1 : 0, backwards);
    for (; zset_next(&walk, &item); seen++) {
        unsigned member = order[backwards ? count - 1 - seen : seen];
        CHECK_BYTES(item.member.bytes, member_of(member));
        CHECK(item.score == model->scores[member]);
        CHECK(!item.member.block || item.member.block->data == item.member.bytes.data);
    }
    CHECK_INT(seen, count);
}

static void check_ranks(const struct value *value, const struct model *model, const unsigned *order) {
    double bound = random_score(), score;
    unsigned below = 0, through = 0, member = random_below(MEMBERS), rank = 0;
    for (unsigned i = 0; i < model->count; i++) {
        below += model->scores[order[i]] < bound;
        through += model->scores[order[i]] <= bound;
    }
    CHECK_INT(zset_below(value, bound, false), below);
    CHECK_INT(zset_below(value, bound, true), through);
    bool there = zset_find(ks, value, member_of(member), &score);
    CHECK(there == !isnan(model->scores[member]));
    if (!there) return;
    CHECK(score == model->scores[member]);
    while (order[rank] != member) rank++;
    CHECK_INT(zset_rank(value, score, member_of(member)), rank);
}

/* What a value holds is what the model says. */
static void check_value(const struct value *value, const void *of) {
    const struct model *model = of;
    unsigned order[MEMBERS];
    sort(model, order);
    CHECK_INT(zset_count(value), model->count);
    check_walk(value, model, order, false);
    check_walk(value, model, order, true);
    check_ranks(value, model, order);
}

static void check_key(unsigned i) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[i]));
    CHECK((e != NULL) == (models[i].count > 0));
    if (e == NULL) return;
    struct value value = entry_value(e);
    check_value(&value, &models[i]);
    if (value.kind != VALUE_OBJECT) return;
    CHECK(collection_memory(value.object) > models[i].count * 2);
    CHECK(tree_check(collection_tree(&value), &hash_seed));
    CHECK(tree_check(&collection_of(value.object)->index, &hash_seed));
    CHECK(collection_of(value.object)->index.count >= models[i].count);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

/* Guesses that are right by chance, or none. */
static const struct tree_guess *some_guesses(void) {
    static struct tree_guess guesses[ZSET_GUESSES];
    if (random_below(2)) return NULL;
    for (unsigned i = 0; i < ZSET_GUESSES; i++) {
        guesses[i].levels = (uint8_t)random_below(TREE_GUESS_LEVELS + 1);
        for (unsigned depth = 0; depth < TREE_GUESS_LEVELS; depth++)
            guesses[i].at[depth] = (uint8_t)random_below(random_below(2) ? 3 : 64);
        guesses[i].place = (uint16_t)random_below(random_below(2) ? 100 : 2000);
    }
    return guesses;
}

/* False without memory. */
static bool put(struct edit *edit, unsigned i, unsigned member, double score) {
    struct value value = entry_value(edit->entry);
    double was = models[i].scores[member];
    struct zset_place old;
    bool there = zset_locate(ks, &value, member_of(member), some_guesses(), &old);
    struct element element = {.bytes = member_of(member)};
    enum zset_changed changed = zset_put(edit, element, score, there ? &old : NULL);
    CHECK(there == !isnan(was));
    if (changed == ZSET_NO_MEMORY) return false;
    CHECK_INT(changed, !there ? ZSET_ADDED : was == score ? ZSET_UNCHANGED : ZSET_REPLACED);
    set_model(&models[i], member, score);
    return true;
}

static void put_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_ZSET);
    if (edit_open(&edit, true) == EDIT_NO_MEMORY) return;
    while (count-- > 0 && put(&edit, i, random_below(MEMBERS), random_score())) {
    }
    CHECK(!edit_close(&edit));
}

static void delete_some(unsigned i, unsigned count) {
    struct edit edit = edit_of(names[i], TYPE_ZSET);
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    while (count-- > 0 && models[i].count > 0) {
        unsigned member = random_below(MEMBERS);
        enum zset_changed expected = isnan(models[i].scores[member]) ? ZSET_UNCHANGED : ZSET_DELETED;
        edit.guesses = some_guesses();
        enum zset_changed changed = zset_delete(&edit, member_of(member));
        if (changed == ZSET_NO_MEMORY) break;
        CHECK_INT(changed, expected);
        set_model(&models[i], member, NAN);
    }
    CHECK(edit_close(&edit) == (models[i].count == 0));
}

static void delete_span(unsigned i) {
    struct edit edit = edit_of(names[i], TYPE_ZSET);
    unsigned order[MEMBERS];
    if (edit_open(&edit, false) == EDIT_ABSENT) return;
    unsigned count = sort(&models[i], order), from = random_below(count),
             some = 1 + random_below(count - from);
    if (random_below(3) == 0) some = 1;
    if (random_below(3) == 0) from = random_below(2) ? 0 : count - some;
    uint64_t deleted = zset_delete_span(&edit, (struct zset_span){from, some});
    CHECK(deleted <= some && (deleted == some || fail_every));
    for (unsigned at = 0; at < deleted; at++) set_model(&models[i], order[from + at], NAN);
    CHECK(edit_close(&edit) == (models[i].count == 0));
}

/* All members of one key as the value of another. */
static void build(unsigned from, unsigned to) {
    struct entry *e = keyspace_find(ks, 0, key_of(names[from]));
    static struct zset_item items[MEMBERS];
    char pack[COLLECTION_PACK_BYTES];
    struct zset_walk walk;
    unsigned count = 0;
    if (e == NULL) return;
    struct value value = entry_value(e), built;
    zset_walk(&walk, &value, 0, false);
    while (count < MEMBERS && zset_next(&walk, &items[count])) count++;
    if (!zset_build(ks, (struct zset_items){items, count}, false, pack, &built)) return;
    check_value(&built, &models[from]);
    if (keyspace_set(ks, 0, key_of(names[to]), &built, EXPIRY_NONE)) models[to] = models[from];
    value_release(&built, &ks->dead);
    keyspace_note_garbage(ks);
}

static const struct modelled keys = {names, models, sizeof *models, check_value};

static void step(void) {
    unsigned key = random_below(KEYS);
    switch (random_below(18)) {
    case 0: put_some(key, random_below(MEMBERS)); break;
    case 1: delete_some(key, random_below(MEMBERS)); break;
    case 2:
        if (keyspace_delete(ks, 0, key_of(names[key]))) empty(&models[key]);
        break;
    case 3: copy_key(&keys, key, random_below(KEYS)); break;
    case 4: hold(&keys, random_below(HELD), key); break;
    case 5: release(&keys, random_below(HELD)); break;
    case 6: keyspace_upkeep(ks, random_below(50)); break;
    case 7: build(key, random_below(KEYS)); break;
    case 8:
    case 9: delete_span(key); break;
    case 10:
    case 11: delete_some(key, 1 + random_below(4)); break;
    default: put_some(key, 1 + random_below(4)); break;
    }
    check_key(key);
}

static void random_changes(unsigned failing) {
    begin();
    for (unsigned i = 0; i < KEYS; i++) empty(&models[i]);
    run_steps(&keys, STEPS, failing, step);
}

static void a_sorted_set_is_its_model(void) {
    random_changes(0);
}
static void a_sorted_set_without_memory_is_as_before(void) {
    random_changes(7);
}

/* ---- Single properties ---------------------------------------------------------------------------- */

/* Key 0 with members [1, count) of these scores, in turn. */
static struct value fill(unsigned count, const double *scores, unsigned some) {
    empty(&models[0]);
    keyspace_delete(ks, 0, key_of(names[0]));
    struct edit edit = edit_of(names[0], TYPE_ZSET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 1; i < count; i++) CHECK(put(&edit, 0, i, scores[i % some]));
    CHECK(!edit_close(&edit));
    return entry_value(keyspace_find(ks, 0, key_of(names[0])));
}

static void changes_that_fail_at_any_allocation_change_nothing(void) {
    static const double scores[] = {1, 2, 3};
    for (long at = 0, left = 0; left >= 0; at++) {
        begin();
        fill(300, scores, 3);
        copy_key(&keys, 0, 1); /* so that each change has nodes to copy */
        fail_at = at;
        struct edit edit = edit_of(names[0], TYPE_ZSET);
        CHECK(edit_open(&edit, false) == EDIT_OPENED);
        bool done = put(&edit, 0, 7, 1000) && put(&edit, 0, 399, 1000);
        if (done && zset_delete(&edit, member_of(8)) == ZSET_DELETED) set_model(&models[0], 8, NAN);
        edit_close(&edit);
        left = fail_at < 0 ? 0 : -1;
        fail_at = -1;
        check_key(0);
        check_key(1);
        end();
    }
}

static uint64_t blocks_of(const struct value *value) {
    struct zset_walk walk;
    struct zset_item item;
    uint64_t bytes = 0;
    zset_walk(&walk, value, 0, false);
    while (zset_next(&walk, &item)) bytes += item.member.block ? block_memory(item.member.block) : 0;
    return bytes;
}

/* A long member that gets another score brings a block that takes more than its old one: where memory runs out on the way,
 * the old one is what counts. */
static void a_block_that_was_not_kept_is_not_counted(void) {
    enum { LEN = 1200 };
    static double scores[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) scores[i] = i;
    struct block *block = block_new_zeroed(LEN, 3 * LEN);
    CHECK(block);
    for (long at = 0, failed = 1; failed; at++) {
        begin();
        fill(MEMBERS, scores, MEMBERS);
        struct edit edit = edit_of(names[0], TYPE_ZSET);
        struct element member = {block_bytes(block), NULL};
        struct zset_place old;
        CHECK(edit_open(&edit, false) == EDIT_OPENED && zset_put(&edit, member, 0, NULL) == ZSET_ADDED);
        CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of(names[0])},
                            &(struct keyspace_place){ks, 0, key_of("version")}));
        edit = edit_of(names[0], TYPE_ZSET);
        member.block = block;
        struct value before = entry_value(edit.entry);
        CHECK(zset_locate(ks, &before, member.bytes, NULL, &old) && old.score == 0);
        fail_at = at;
        failed = zset_put(&edit, member, MEMBERS, &old) == ZSET_NO_MEMORY;
        fail_at = -1;
        struct value value = entry_value(edit.entry);
        CHECK_INT(collection_of(value.object)->long_bytes, blocks_of(&value));
        CHECK((zset_count(&value) == MEMBERS || zset_count(&value) == MEMBERS + 1) && at < 100);
        end();
    }
    block_release(block);
}

static void ranges_of_members_are_found_in_packs_and_trees(void) {
    static const double same[] = {5};
    static const unsigned counts[] = {2, 40, MEMBERS};
    for (unsigned c = 0; c < 3; c++) {
        begin();
        struct value value = fill(counts[c], same, 1);
        unsigned order[MEMBERS], count = sort(&models[0], order);
        for (unsigned i = 0; i < 500; i++) {
            struct zset_lex ends[2];
            unsigned from = 0, to = 0;
            for (unsigned end = 0; end < 2; end++)
                ends[end] = (struct zset_lex){(unsigned)random_below(4) % 3, random_below(2),
                                              member_of(random_below(MEMBERS))};
            for (unsigned at = 0; at < count; at++) {
                int low = bytes_compare(member_of(order[at]), ends[0].member);
                int high = bytes_compare(member_of(order[at]), ends[1].member);
                bool above = ends[0].kind == ZSET_LEX_FIRST ||
                             (ends[0].kind == ZSET_LEX_MEMBER && low >= ends[0].exclusive);
                bool under = ends[1].kind == ZSET_LEX_LAST ||
                             (ends[1].kind == ZSET_LEX_MEMBER && high <= -(int)ends[1].exclusive);
                from += !above;
                to += under;
            }
            struct zset_span span = zset_lex_span(&value, &ends[0], &ends[1], random_below(2));
            CHECK_INT(span.count, to > from ? to - from : 0);
            if (span.count) CHECK_INT(span.from, from);
        }
        end();
    }
}

static unsigned scanned[MEMBERS];

static void see(void *context, const struct zset_item *item) {
    unsigned number = item->member.bytes.len ? (unsigned)strtoul(item->member.bytes.data, NULL, 10) : 0;
    CHECK(number < MEMBERS && item->score == models[0].scores[number]);
    scanned[number]++;
    ++*(unsigned *)context;
}

/* Whether all scores are equal, or few are. */
static void scans_see_every_member_once(void) {
    static double scores[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) scores[i] = i / 2;
    for (unsigned some = 1; some <= MEMBERS; some += MEMBERS - 1) {
        unsigned steps = 0;
        begin();
        struct value value = fill(MEMBERS, scores, some);
        CHECK(value.kind == VALUE_OBJECT);
        memset(scanned, 0, sizeof scanned);
        uint64_t cursor = 0;
        do {
            unsigned seen = 0;
            cursor = zset_scan(ks, &value, cursor, 10, (struct zset_visitor){see, &seen});
            CHECK(seen < 20 && (seen >= 10 || !cursor));
            steps++;
        } while (cursor);
        for (unsigned i = 1; i < MEMBERS; i++) CHECK_INT(scanned[i], 1);
        CHECK(steps > MEMBERS / 20);
        unsigned seen = 0;
        CHECK_INT(zset_scan(ks, &value, UINT64_MAX, 10, (struct zset_visitor){see, &seen}), 0);
        CHECK_INT(seen, 0);
        end();
    }
}

enum { MANY = 6000 };
static unsigned many_scanned[MANY];

static void see_one_of_many(void *context, const struct zset_item *item) {
    unsigned number = (unsigned)strtoul(item->member.bytes.data, NULL, 10);
    CHECK(number < MANY);
    many_scanned[number]++;
    ++*(unsigned *)context;
}

/* However many are asked for, and however many have the same score, no member comes twice. */
static void scans_of_many_at_once_see_every_member_once(void) {
    static const unsigned scores[] = {1, 30, 300, 3000}, counts[] = {10, 200, 370, 1000, MANY};
    for (unsigned s = 0; s < sizeof scores / sizeof *scores; s++) {
        begin();
        struct edit edit = edit_of(names[0], TYPE_ZSET);
        CHECK(edit_open(&edit, true) == EDIT_OPENED);
        for (unsigned i = 0; i < MANY; i++) {
            char text[16];
            struct element member = {.bytes = {text, (size_t)snprintf(text, sizeof text, "%010u.", i)}};
            CHECK(zset_put(&edit, member, i % scores[s], NULL) == ZSET_ADDED);
        }
        struct value value = entry_value(edit.entry);
        for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++) {
            uint64_t cursor = 0;
            memset(many_scanned, 0, sizeof many_scanned);
            do {
                unsigned seen = 0, least = MANY / scores[s] / 64;
                cursor =
                    zset_scan(ks, &value, cursor, counts[c], (struct zset_visitor){see_one_of_many, &seen});
                CHECK(seen >= counts[c] || !cursor);
                CHECK(seen <= (counts[c] < least ? least : counts[c]) + 10);
            } while (cursor);
            for (unsigned i = 0; i < MANY; i++) CHECK_INT(many_scanned[i], 1);
        }
        CHECK(!edit_close(&edit));
        end();
    }
}

/* One is built as a pack, the other was a tree. */
static void digests_mind_contents_alone(void) {
    static const double scores[] = {1, 2.5, -3};
    begin();
    fill(20, scores, 3);
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of(names[0])},
                        &(struct keyspace_place){ks, 0, key_of("pack")}));
    fill(MEMBERS, scores, 3);
    struct edit edit = edit_of(names[0], TYPE_ZSET);
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    for (unsigned i = 20; i < MEMBERS; i++) CHECK(zset_delete(&edit, member_of(i)) == ZSET_DELETED);
    CHECK(!edit_close(&edit));
    CHECK(keyspace_find(ks, 0, key_of(names[0]))->kind == VALUE_OBJECT);
    CHECK(keyspace_find(ks, 0, key_of("pack"))->kind == VALUE_INLINE);
    struct digest tree = digest_of(names[0]), pack = digest_of("pack");
    CHECK_BYTES(digest_bytes(&pack), digest_bytes(&tree));
    end();
}

/* What loads it element by element takes any order, in packs and in trees, but no member twice and no NaN. */
static void loads_take_any_order_and_no_member_twice(void) {
    begin();
    struct load_options options = {.context = collection_context(ks),
                                   .dead = &ks->dead,
                                   .thresholds = {[TYPE_ZSET] = {200, 64}},
                                   .max_bytes = SIZE_MAX};
    struct loading loading;
    load_begin(&loading, &options, RDB_TYPE_ZSET, 10);
    loading.type = &type_zset;
    loading.value = (struct value){.type = TYPE_ZSET, .bytes = {loading.bytes, 0}};
    empty(&models[0]);
    for (unsigned i = 1; i < MEMBERS; i++) {
        unsigned number = i * 7 % MEMBERS;
        struct rdb_element element = {.name = member_of(number), .score = random_score()};
        CHECK(type_zset.load(&loading, &element) == RDB_TAKEN);
        set_model(&models[0], number, element.score);
        CHECK(type_zset.load(&loading, &element) == RDB_REFUSED);
        element = (struct rdb_element){.name = BYTES("new"), .score = NAN};
        CHECK(type_zset.load(&loading, &element) == RDB_REFUSED);
        if (i == 5) CHECK(loading.value.kind == VALUE_INLINE && !loading.value.edited);
        if (i % 50 == 5 && loading.value.kind == VALUE_INLINE) check_value(&loading.value, &models[0]);
    }
    CHECK(type_zset.loaded(&loading) == RDB_TAKEN);
    check_value(&loading.value, &models[0]);
    CHECK(loading.value.kind == VALUE_OBJECT && loading.value.edited);
    load_end(&loading);
    end();
}

/* Whether members are there or not: nodes lie alone here, so that a sanitizer sees a look beside one. */
static void what_is_asked_for_ahead_changes_nothing(void) {
    enum { LARGE = 12000 };
    struct bytes members[TREE_AHEAD_MOST];
    double scores[TREE_AHEAD_MOST], score;
    struct zset_place place;
    char text[TREE_AHEAD_MOST][16];
    begin();
    struct edit edit = edit_of("a", TYPE_ZSET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < LARGE; i++) {
        struct bytes member = {text[0], (size_t)snprintf(text[0], sizeof text[0], "member:%u", i)};
        CHECK(zset_put(&edit, element_of(member), i % 1000, NULL) == ZSET_ADDED);
    }
    struct value value = entry_value(edit.entry);
    CHECK(collection_tree(&value)->bytes > COLLECTION_AHEAD_BYTES);
    for (unsigned from = 0; from < 2 * LARGE; from += TREE_AHEAD_MOST) {
        for (unsigned i = 0; i < TREE_AHEAD_MOST; i++) {
            size_t len = (size_t)snprintf(text[i], sizeof text[i], "member:%u", from + i);
            members[i] = (struct bytes){text[i], len};
            scores[i] = random_score();
        }
        struct tree_guess guesses[TREE_AHEAD_MOST * ZSET_GUESSES] = {{0}};
        struct zset_ahead ahead = {members, from % 64 ? scores : NULL, TREE_AHEAD_MOST, guesses};
        zset_ahead(ks, &value, &ahead);
        for (unsigned i = 0; i < TREE_AHEAD_MOST; i++) {
            unsigned other = (i + random_below(2)) % TREE_AHEAD_MOST;
            CHECK_INT(zset_locate(ks, &value, members[i], &guesses[other * ZSET_GUESSES], &place),
                      from + i < LARGE);
            CHECK(from + i >= LARGE || place.score == (from + i) % 1000);
            CHECK(from + i >= LARGE || from % 64 == 0 || place.moved);
            if (from + i >= LARGE) continue;
            CHECK_INT(zset_rank_of(&value, members[i], &place), zset_rank(&value, place.score, members[i]));
        }
        /* Each change leaves the guesses of the others to what the trees are by then. */
        for (unsigned i = 0; i < TREE_AHEAD_MOST && from < LARGE; i++) {
            CHECK(zset_locate(ks, &value, members[i], &guesses[i * ZSET_GUESSES], &place));
            zset_put(&edit, element_of(members[i]), scores[i], &place);
            CHECK(zset_find(ks, &value, members[i], &score) && score == scores[i]);
        }
    }
    CHECK(tree_check(collection_tree(&value), &hash_seed));
    CHECK(tree_check(&collection_of(value.object)->index, &hash_seed));
    CHECK(!edit_close(&edit));
    end();
}

/* From both ends by turns, in groups whose entries were asked for, to the last but one. */
static void short_members_are_popped_from_the_ends(void) {
    enum { LARGE = 12000 };
    char text[16];
    unsigned first = 0, last = LARGE - 1;
    begin();
    struct edit edit = edit_of("a", TYPE_ZSET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < LARGE; i++) {
        struct bytes member = {text, (size_t)snprintf(text, sizeof text, "member:%u", i)};
        CHECK(zset_put(&edit, element_of(member), i, NULL) == ZSET_ADDED);
    }
    struct value value = entry_value(edit.entry);
    while (first < last) {
        struct tree_guess guesses[TREE_AHEAD_MOST * ZSET_GUESSES] = {{0}};
        enum tree_end end = random_below(2) ? TREE_FRONT : TREE_BACK;
        unsigned count = 1 + random_below(TREE_AHEAD_MOST);
        zset_ahead_of_end(ks, &value, end, count, guesses);
        CHECK_INT(guesses[0].levels > 0, collection_tree(&value)->bytes >= COLLECTION_AHEAD_BYTES);
        for (unsigned i = 0; i < count && first < last; i++) {
            struct zset_popped popped;
            unsigned expected = end == TREE_FRONT ? first++ : last--;
            size_t len = (size_t)snprintf(text, sizeof text, "member:%u", expected);
            const struct tree_guess *guess = random_below(8) ? &guesses[i * ZSET_GUESSES] : some_guesses();
            if (zset_pop_short(ks, value.object, end, guess, &popped)) {
                CHECK_BYTES(popped.item.member.bytes, ((struct bytes){text, len}));
                CHECK(popped.item.score == expected && popped.item.member.block == NULL);
            } else { /* nobody knows the leaf yet */
                uint64_t rank = end == TREE_FRONT ? 0 : zset_count(&value) - 1;
                CHECK_INT(tree_knows_end(collection_tree(&value), end), 0);
                CHECK_INT(zset_delete_span(&edit, (struct zset_span){rank, 1}), 1);
            }
            CHECK_INT(zset_count(&value), last - first + 1);
            CHECK_INT(collection_of(value.object)->index.count, last - first + 1);
        }
    }
    struct zset_popped popped;
    CHECK(!zset_pop_short(ks, value.object, TREE_FRONT, NULL, &popped) && zset_count(&value) == 1);
    CHECK(tree_check(collection_tree(&value), &hash_seed));
    CHECK(tree_check(&collection_of(value.object)->index, &hash_seed));
    CHECK(!edit_close(&edit));
    end();
}

int main(void) {
    seed = check_seed();
    RUN(a_sorted_set_is_its_model);
    RUN(a_sorted_set_without_memory_is_as_before);
    RUN(changes_that_fail_at_any_allocation_change_nothing);
    RUN(a_block_that_was_not_kept_is_not_counted);
    RUN(ranges_of_members_are_found_in_packs_and_trees);
    RUN(scans_see_every_member_once);
    RUN(scans_of_many_at_once_see_every_member_once);
    RUN(digests_mind_contents_alone);
    RUN(loads_take_any_order_and_no_member_twice);
    RUN(what_is_asked_for_ahead_changes_nothing);
    RUN(short_members_are_popped_from_the_ends);
    return 0;
}
