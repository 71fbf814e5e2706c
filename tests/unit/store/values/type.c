/* A type is one file and one row: the tiny one (tiny.h) beside strings, under everything that a keyspace does. Random
 * commands against a model, with versions that somebody holds; without memory at random and at every single allocation;
 * giants that go in bounded steps. */
#include "store/values/type.h"

#include "store/snapshot.h"
#include "tests/check.h"
#include "tests/unit/store/tiny.h"

static unsigned long long seed;
static const struct hash_seed hash_seed = {{11, 12, 13, 14}};

/* Every n-th allocation fails while this is not 0; and the one that this counts down to. */
static unsigned fail_every;
static long fail_at = -1;
static unsigned long failures;
static bool fails(void) {
    bool now = fail_at >= 0 && fail_at-- == 0;
    if (!now) now = fail_every && check_random(&seed) % fail_every == 0;
    failures += now;
    return now;
}
void *memory_resize(void *old, size_t size) {
    return fails() ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return fails() ? NULL : calloc(1, size);
}

static unsigned random_below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

static struct keyspace *make(void) {
    struct keyspace *ks =
        keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 2, .types = tiny_rows});
    CHECK(ks);
    return ks;
}
static struct key key_of(const char *name) {
    return (struct key){bytes_of(name), hash_bytes(&hash_seed, bytes_of(name))};
}
static struct edit edit_of(struct keyspace *ks, unsigned db, struct key key) {
    return (struct edit){
        .keyspace = ks, .db = db, .key = key, .entry = keyspace_find(ks, db, key), .type = TYPE_LIST};
}

static void rows_stand_at_their_numbers(void) {
    for (unsigned i = 0; i < TYPES; i++)
        if (type_rows[i]) CHECK_INT(type_rows[i]->number, i);
    CHECK(type_rows[TYPE_STRING] == &type_string);
}

/* ---- The model ------------------------------------------------------------------------------------ */

enum { KEYS = 12, DEEPEST = 60, HELD = 8, STEPS = 60000, DUMP_MAX = 4096 };

/* Numbers, the last on top. */
struct stack {
    int64_t numbers[DEEPEST];
    unsigned count;
};

struct model_key {
    bool string;
    struct stack stack; /* of nothing: there is no key */
    int64_t expiry_ms;
};

struct held {
    struct object *object; /* NULL: none */
    struct stack stack;
};

struct model {
    struct keyspace *ks[2];
    struct key keys[KEYS];
    struct model_key entries[2][2][KEYS]; /* of keyspace, database */
    struct held held[HELD];               /* versions that somebody retains */
    struct dead dead;                     /* of those, let go */
    int64_t now_ms;
};

static void check_stack(const struct value *value, const struct stack *stack) {
    uint64_t place = 0;
    int64_t number;
    CHECK_INT(tiny_count(value), stack->count);
    for (unsigned i = stack->count; i > 0; i--) {
        bool more = tiny_next(value, &place, &number);
        CHECK_INT(number, stack->numbers[i - 1]);
        CHECK_INT(more, i > 1);
    }
}

static void check_digest(const struct keyspace *ks, const struct entry *e, const struct model_key *m) {
    struct digest digest = {{0}}, expected = {{0}};
    keyspace_digest_entry(&digest, ks, e);
    digest_mix_number(&expected, TYPE_LIST);
    for (unsigned i = m->stack.count; i > 0; i--) {
        char text[NUMBER_I64_MAX_LEN];
        digest_mix(&expected, (struct bytes){text, number_format_i64(text, m->stack.numbers[i - 1])});
    }
    if (m->expiry_ms) digest_join(&expected, BYTES("!!expire!!"));
    CHECK(memcmp(&digest, &expected, sizeof digest) == 0);
}

static void check_key(const struct keyspace *ks, unsigned db, struct key key, const struct model_key *m) {
    const struct entry *e = keyspace_find(ks, db, key);
    CHECK_INT(e != NULL, m->string || m->stack.count);
    if (!e) return;
    struct value value = entry_value(e);
    CHECK_INT(entry_expiry(e), m->expiry_ms);
    CHECK(keyspace_type(ks, e) == (m->string ? &type_string : &type_tiny));
    if (m->string) return;
    check_stack(&value, &m->stack);
    check_digest(ks, e, m);
    size_t object = value.kind == VALUE_OBJECT ? tiny_memory(value.object) : 0;
    CHECK(keyspace_entry_memory(ks, e) > object && keyspace_entry_memory(ks, e) < object + 200);
}

static void check_model(const struct model *model) {
    for (unsigned i = 0; i < 2 * 2 * KEYS; i++)
        check_key(model->ks[i & 1], i >> 1 & 1, model->keys[i >> 2],
                  &model->entries[i & 1][i >> 1 & 1][i >> 2]);
    for (unsigned i = 0; i < HELD; i++) {
        struct value value = {.type = TYPE_LIST, .kind = VALUE_OBJECT, .object = model->held[i].object};
        if (value.object) check_stack(&value, &model->held[i].stack);
    }
}

/* ---- Commands ------------------------------------------------------------------------------------- */

struct place {
    struct keyspace *ks;
    unsigned db;
    struct key key;
    struct model_key *model;
};

static struct place random_place(struct model *model) {
    unsigned ks = random_below(2), db = random_below(2), k = random_below(KEYS);
    return (struct place){model->ks[ks], db, model->keys[k], &model->entries[ks][db][k]};
}

static void push(struct place at) {
    struct edit edit = edit_of(at.ks, at.db, at.key);
    enum opened opened = edit_open(&edit, true);
    CHECK(at.model->string ? opened == EDIT_WRONG_TYPE : opened == EDIT_OPENED || opened == EDIT_NO_MEMORY);
    if (opened != EDIT_OPENED) return;
    for (unsigned n = random_below(12) + 1; n && at.model->stack.count < DEEPEST; n--) {
        int64_t number = (int64_t)check_random(&seed);
        if (!tiny_push(&edit, number)) break; /* what was pushed before stays */
        at.model->stack.numbers[at.model->stack.count++] = number;
    }
    CHECK(!edit_close(&edit)); /* nothing goes by pushing */
}

static void pop(struct place at) {
    struct edit edit = edit_of(at.ks, at.db, at.key);
    enum opened opened = edit_open(&edit, false);
    CHECK(opened == (at.model->string ? EDIT_WRONG_TYPE : at.model->stack.count ? EDIT_OPENED : EDIT_ABSENT));
    if (opened != EDIT_OPENED) return;
    struct stack *stack = &at.model->stack;
    for (unsigned n = random_below(12) + 1; n && stack->count; n--) {
        int64_t number;
        if (!tiny_pop(&edit, &number)) break;
        CHECK_INT(number, stack->numbers[--stack->count]);
    }
    CHECK_INT(edit_close(&edit), stack->count == 0);
    if (!stack->count) *at.model = (struct model_key){0};
}

static void carry(struct place from, struct place to, bool move) {
    if (!(from.model->string || from.model->stack.count) || from.model == to.model) return;
    struct keyspace_place here = {from.ks, from.db, from.key}, there = {to.ks, to.db, to.key};
    bool done = (move ? keyspace_move : keyspace_copy)(&here, &there);
    if (!done) return;
    *to.model = *from.model;
    if (move) *from.model = (struct model_key){0};
}

static void overwrite(struct place at) {
    struct value value = value_of_bytes(BYTES("a string"));
    if (keyspace_set(at.ks, at.db, at.key, &value, EXPIRY_NONE))
        *at.model = (struct model_key){.string = true};
}

static void expire_later(struct place at, int64_t now_ms) {
    struct entry *e = keyspace_find(at.ks, at.db, at.key);
    int64_t expiry_ms = random_below(3) ? now_ms + 1 + random_below(1000) : 0;
    if (e && keyspace_set_expiry(at.ks, at.db, e, expiry_ms)) at.model->expiry_ms = expiry_ms;
}

static void pass_time(struct model *model) {
    model->now_ms += random_below(500);
    for (int i = 0; i < 2; i++)
        while (keyspace_next_expiry(model->ks[i]) <= model->now_ms)
            keyspace_expire(model->ks[i], model->now_ms, 3, NULL, NULL);
    for (unsigned i = 0; i < 2 * 2 * KEYS; i++) {
        struct model_key *m = &model->entries[i & 1][i >> 1 & 1][i >> 2];
        if (m->expiry_ms && m->expiry_ms <= model->now_ms) *m = (struct model_key){0};
    }
}

/* Takes hold of a version, as a snapshot or a reply would, or lets one go. */
static void hold(struct model *model, struct place at) {
    struct held *held = &model->held[random_below(HELD)];
    const struct entry *e = keyspace_find(at.ks, at.db, at.key);
    if (held->object) {
        object_release(held->object, &model->dead);
        held->object = NULL;
    } else if (e && entry_object(e)) {
        held->object = object_retain(entry_object(e));
        held->stack = at.model->stack;
    }
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

struct paper {
    struct sink sink;
    char bytes[DUMP_MAX];
    size_t len;
};
static bool write_down(struct sink *sink, struct bytes bytes) {
    struct paper *paper = (struct paper *)sink;
    if (bytes.len > DUMP_MAX - paper->len) return false;
    memcpy(paper->bytes + paper->len, bytes.data, bytes.len);
    paper->len += bytes.len;
    return true;
}

static enum loaded load_in_pieces(struct loading *loading, struct bytes dump) {
    enum loaded loaded = LOAD_MORE;
    for (size_t known = 0; loaded == LOAD_MORE;) {
        struct bytes part = {dump.data, known};
        loaded = load_more(loading, &part);
        dump = (struct bytes){part.data, dump.len - (size_t)(part.data - dump.data)};
        known = part.len;
        if (loaded == LOAD_MORE && known == dump.len) break;
        if (loaded == LOAD_MORE) known += 1 + random_below((unsigned)(dump.len - known));
    }
    return loaded;
}

/* Dumps one key in steps, and loads the dump into another, unless memory runs out. */
static void restore(struct place from, struct place to) {
    const struct entry *e = keyspace_find(from.ks, from.db, from.key);
    if (!e || from.model == to.model) return;
    struct dead dead = {0};
    unsigned budget = UINT32_MAX;
    struct paper paper = {.sink = {.write = write_down}};
    struct cursor cursor = {{0}};
    struct load_options options = {.types = tiny_rows, .dead = &dead, .max_bytes = DUMP_MAX};
    struct loading loading;
    struct value value = entry_value(e);
    const struct type *type = keyspace_type(from.ks, e);
    enum dumped dumped = DUMP_MORE;
    while (dumped == DUMP_MORE) dumped = type->dump(&value, &cursor, &paper.sink, 1 + random_below(100));
    CHECK(dumped == DUMP_DONE);
    load_begin(&loading, &options, type->form(&value), RDB_VERSION_WRITTEN);
    unsigned long before = failures;
    enum loaded loaded = load_in_pieces(&loading, (struct bytes){paper.bytes, paper.len});
    CHECK(loaded == LOAD_DONE || (loaded == LOAD_NO_MEMORY && failures > before));
    if (loaded == LOAD_DONE && keyspace_set(to.ks, to.db, to.key, &loading.value, EXPIRY_NONE)) {
        *to.model = *from.model;
        to.model->expiry_ms = 0;
    }
    load_end(&loading);
    CHECK(!dead_bury(&dead, &budget));
}

/* ---- All together --------------------------------------------------------------------------------- */

static void model_step(struct model *model) {
    struct place at = random_place(model), other = random_place(model);
    unsigned choice = random_below(1000), budget = 5;
    if (choice < 350)
        push(at);
    else if (choice < 600)
        pop(at);
    else if (choice < 720)
        carry(at, other, random_below(2));
    else if (choice < 780)
        restore(at, other);
    else if (choice < 800)
        overwrite(at);
    else if (choice < 850)
        expire_later(at, model->now_ms);
    else if (choice < 860)
        pass_time(model);
    else if (choice < 950)
        hold(model, at);
    else if (choice < 960)
        dead_bury(&model->dead, &budget);
    else if (choice < 985)
        *at.model = keyspace_delete(at.ks, at.db, at.key) ? (struct model_key){0} : *at.model;
    else if (choice < 998)
        keyspace_upkeep(at.ks, random_below(20));
    else {
        keyspace_flush(at.ks, at.db);
        memset(model->entries[at.ks == model->ks[1]][at.db], 0, sizeof model->entries[0][0]);
    }
    CHECK(!at.ks->dead.first || at.ks->tidy_ms != INT64_MAX); /* somebody will bury them */
}

static void model_begin(struct model *model) {
    static char names[KEYS][8];
    *model = (struct model){.ks = {make(), make()}, .now_ms = 1000};
    for (unsigned k = 0; k < KEYS; k++) {
        snprintf(names[k], sizeof names[k], "key%u", k);
        model->keys[k] = key_of(names[k]);
    }
}

static void model_end(struct model *model) {
    check_model(model);
    for (unsigned i = 0; i < HELD; i++)
        if (model->held[i].object) object_release(model->held[i].object, &model->dead);
    for (int i = 0; i < 2; i++) keyspace_free(model->ks[i]);
    unsigned budget = UINT32_MAX;
    CHECK(!dead_bury(&model->dead, &budget));
    CHECK_INT(tiny_nodes, 0);
}

static void random_commands_do_what_the_model_does(void) {
    static struct model model;
    model_begin(&model);
    for (int step = 0; step < STEPS; step++) {
        model_step(&model);
        if (step % 20 == 0) check_model(&model);
    }
    model_end(&model);
}

static void without_memory_nothing_is_half_done(void) {
    static struct model model;
    model_begin(&model);
    for (int step = 0; step < STEPS; step++) {
        if (step % 500 == 0) {
            fail_every = random_below(4) ? 2 + random_below(4) : 0;
            for (int i = 0; i < 2; i++)
                model.ks[i]->slab.arena.limit = random_below(2) ? model.ks[i]->slab.arena.in_use : 1 << 16;
        }
        model_step(&model);
        if (step % 20 == 0) check_model(&model);
    }
    fail_every = 0;
    model_end(&model);
}

/* ---- Each allocation ------------------------------------------------------------------------------ */

/* A short life: made, unpacked, copied, forked, dumped, loaded, emptied. False where memory ran out. */
static bool live(struct keyspace *ks) {
    struct stack stack = {.count = 0};
    int64_t number;
    struct edit edit = edit_of(ks, 0, key_of("a"));
    if (edit_open(&edit, true) != EDIT_OPENED) return false;
    bool done = true;
    for (int i = 0; i < 9 && done; i++) {
        done = tiny_push(&edit, i);
        if (done) stack.numbers[stack.count++] = i;
    }
    CHECK(!edit_close(&edit));
    CHECK_INT(edit.entry != NULL, stack.count > 0);
    check_key(ks, 0, key_of("a"), &(struct model_key){.stack = stack});
    if (!done || !keyspace_copy(&(struct keyspace_place){ks, 0, key_of("a")},
                                &(struct keyspace_place){ks, 1, key_of("b")}))
        return false;
    edit = edit_of(ks, 1, key_of("b"));
    CHECK(edit_open(&edit, false) == EDIT_OPENED);
    done = tiny_pop(&edit, &number) && tiny_push(&edit, 100);
    CHECK(!edit_close(&edit));
    check_key(ks, 0, key_of("a"), &(struct model_key){.stack = stack});
    if (!done) return false;
    struct model_key from = {.stack = stack}, to = {0};
    restore((struct place){ks, 0, key_of("a"), &from}, (struct place){ks, 1, key_of("c"), &to});
    check_key(ks, 1, key_of("c"), &to);
    return to.stack.count;
}

static void any_one_allocation_may_fail(void) {
    long at = 0;
    for (bool done = false; !done; at++) {
        struct keyspace *ks = make();
        struct value value = value_of_bytes(BYTES("there are tables already"));
        CHECK(keyspace_set(ks, 0, key_of("x"), &value, EXPIRY_NONE));
        CHECK(keyspace_set(ks, 1, key_of("x"), &value, EXPIRY_NONE));
        fail_at = at;
        bool lived = live(ks);
        done = fail_at >= 0; /* it was never reached */
        CHECK(lived || !done);
        fail_at = -1;
        keyspace_free(ks);
        CHECK_INT(tiny_nodes, 0);
        CHECK(at < 100);
    }
    CHECK(at > 20);
}

/* ---- Giants --------------------------------------------------------------------------------------- */

enum { GIANT = 200000 };

static void make_giant(struct keyspace *ks, const char *name) {
    struct edit edit = edit_of(ks, 0, key_of(name));
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (int i = 0; i < GIANT; i++) CHECK(tiny_push(&edit, i));
    CHECK(!edit_close(&edit));
}

/* Works off what a keyspace has to bury, a bounded number of parts at a time. */
static void bury(struct keyspace *ks) {
    enum { BUDGET = 100 };
    unsigned calls = 0;
    for (long before = tiny_nodes; keyspace_upkeep(ks, BUDGET); before = tiny_nodes, calls++)
        CHECK(before - tiny_nodes <= BUDGET);
    CHECK(calls >= GIANT / BUDGET - 10 && calls < GIANT / BUDGET + 10);
    CHECK(keyspace_buried(ks) == 0 && tiny_nodes == 0);
}

static void a_giant_goes_in_bounded_steps(void) {
    static const char *const ways[] = {"delete", "overwrite", "expire", "flush"};
    struct keyspace *ks = make();
    struct value string = value_of_bytes(BYTES("v"));
    for (unsigned way = 0; way < 4; way++) {
        make_giant(ks, "g");
        while (keyspace_upkeep(ks, 1000)) {
        }
        keyspace_take_news(ks, 1);
        long before = tiny_nodes;
        if (way == 0) CHECK(keyspace_delete(ks, 0, key_of("g")));
        if (way == 1) CHECK(keyspace_set(ks, 0, key_of("g"), &string, EXPIRY_NONE));
        if (way == 2) CHECK(keyspace_set_expiry(ks, 0, keyspace_find(ks, 0, key_of("g")), 500));
        if (way == 2) CHECK_INT(keyspace_expire(ks, 500, 10, NULL, NULL), 1);
        if (way == 3) keyspace_flush(ks, 0);
        if (before - tiny_nodes > 50) fprintf(stderr, "%s took it all at once\n", ways[way]);
        CHECK(before - tiny_nodes <= 50);
        CHECK(keyspace_buried(ks) == 1 && keyspace_news(ks)); /* who hears of it comes */
        CHECK(keyspace_take_news(ks, 777) == 777);
        bury(ks);
        CHECK(keyspace_take_news(ks, 888) == INT64_MAX);
        keyspace_delete(ks, 0, key_of("g")); /* the string */
    }
    keyspace_free(ks);
}

/* Copies and moves of a giant touch none of its parts, and a change of one touches few. */
static void versions_of_a_giant_share_it(void) {
    struct keyspace *ks = make(), *other = make();
    make_giant(ks, "g");
    long before = tiny_nodes;
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("g")},
                        &(struct keyspace_place){other, 1, key_of("copy")}));
    CHECK_INT(tiny_nodes, before);
    struct object *object = entry_object(keyspace_find(ks, 0, key_of("g")));
    CHECK(object == entry_object(keyspace_find(other, 1, key_of("copy"))) && object_shared(object));
    struct edit edit = edit_of(other, 1, key_of("copy"));
    CHECK(edit_open(&edit, false) == EDIT_OPENED && tiny_push(&edit, -1) && !edit_close(&edit));
    CHECK_INT(tiny_nodes, before + 2);
    CHECK(!object_shared(object) && object == entry_object(keyspace_find(ks, 0, key_of("g"))));
    CHECK(keyspace_move(&(struct keyspace_place){ks, 0, key_of("g")},
                        &(struct keyspace_place){other, 0, key_of("moved")}));
    CHECK(object == entry_object(keyspace_find(other, 0, key_of("moved"))) && !object_shared(object));
    CHECK(keyspace_delete(other, 0, key_of("moved")));
    while (keyspace_upkeep(other, 100)) {
    }
    CHECK_INT(tiny_nodes, before + 1); /* the nodes are the copy's */
    CHECK(keyspace_delete(other, 1, key_of("copy")));
    bury(other);
    keyspace_free(ks);
    keyspace_free(other);
}

/* A preimage of a giant is a reference, and the writer makes a version of its own. */
static struct object *shown;
static void show(void *context, unsigned db, const struct entry *e) {
    if (!shown && entry_object(e)) shown = object_retain(entry_object(e));
}

static void a_preimage_keeps_the_version_before(void) {
    struct keyspace *ks = make();
    struct dead dead = {0};
    unsigned budget = UINT32_MAX;
    make_giant(ks, "g");
    keyspace_snapshot_begin(ks, keyspace_snapshot_new(ks, show, NULL));
    struct edit edit = edit_of(ks, 0, key_of("g"));
    CHECK(edit_open(&edit, false) == EDIT_OPENED && tiny_push(&edit, -1) && tiny_push(&edit, -2));
    CHECK(!edit_close(&edit));
    CHECK(shown && shown != entry_object(edit.entry));
    CHECK_INT(tiny_of(shown)->count, GIANT);
    CHECK_INT(tiny_of(shown)->top->number, GIANT - 1);
    CHECK_INT(tiny_of(entry_object(edit.entry))->count, GIANT + 2);
    keyspace_free(ks);
    CHECK_INT(tiny_nodes, GIANT + 1);
    object_release(shown, &dead);
    CHECK(!dead_bury(&dead, &budget) && tiny_nodes == 0);
}

int main(void) {
    seed = check_seed();
    RUN(rows_stand_at_their_numbers);
    RUN(random_commands_do_what_the_model_does);
    RUN(without_memory_nothing_is_half_done);
    RUN(any_one_allocation_may_fail);
    RUN(a_giant_goes_in_bounded_steps);
    RUN(versions_of_a_giant_share_it);
    RUN(a_preimage_keeps_the_version_before);
    return 0;
}
