/* Changes of entries: random ones against a naive model, with and without memory; pins, and where values are
 * blocks and mappings. */
#include "store/change.h"

#include "store/memory/memory.h"
#include "tests/check.h"

static unsigned long long seed;
static const struct hash_seed hash_seed = {
    {0x8bb84b93962eacc9, 0x4b33a62ed433d4a3, 0x4d5a2da51de1aa47, 0xa0761d6478bd642f}};

/* Every n-th allocation fails while this is not 0. */
static unsigned fail_every;
static bool fails(void) {
    return fail_every && check_random(&seed) % fail_every == 0;
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
    struct keyspace *ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 3});
    CHECK(ks);
    return ks;
}
static const char *encoding_of(const struct entry *e) {
    struct value value = entry_value(e);
    return type_string.encoding(&value);
}
static struct key key_of(struct bytes name) {
    return (struct key){name, hash_bytes(&hash_seed, name)};
}
static struct entry *set(struct keyspace *ks, struct key key, struct bytes bytes, int64_t expiry_ms) {
    struct value value = value_of_bytes(bytes);
    return keyspace_set(ks, 0, key, &value, expiry_ms);
}

/* ---- The model ------------------------------------------------------------------------------------ */

enum { DATABASES = 3, KEYS = 120, VALUE_MAX = 12000 };

struct model_entry {
    bool present, edited;
    char *value;
    size_t len;
    int64_t expiry_ms;
    uint32_t access;
};

struct model {
    struct keyspace *ks;
    struct key keys[KEYS];
    struct model_entry entries[DATABASES][KEYS];
    int64_t now_ms;
    int64_t told_ms; /* when the keyspace wants to be looked at, as it has said so far */
};

static struct bytes model_value(const struct model_entry *m) {
    return (struct bytes){m->value, m->len};
}

static const char *model_encoding(const struct model_entry *m) {
    int64_t number;
    if (!m->edited && number_parse_i64(model_value(m), &number)) return "int";
    return !m->edited && m->len <= 44 ? "embstr" : "raw";
}

static void check_entry(const struct model_entry *m, const struct entry *e, struct key key) {
    char scratch[NUMBER_I64_MAX_LEN];
    CHECK((e != NULL) == m->present);
    if (e == NULL) return;
    CHECK_BYTES(entry_key(e), key.name);
    CHECK_BYTES(entry_string(e, scratch), model_value(m));
    CHECK_INT(entry_expiry(e), m->expiry_ms);
    CHECK_INT(entry_access(e), m->access);
    CHECK(strcmp(encoding_of(e), model_encoding(m)) == 0);
}

static void check_model(const struct model *model) {
    for (unsigned db = 0; db < DATABASES; db++) {
        unsigned count = 0, expiring = 0;
        unsigned __int128 times = 0; /* some of these are the last that there are */
        for (unsigned k = 0; k < KEYS; k++) {
            const struct model_entry *m = &model->entries[db][k];
            check_entry(m, keyspace_find(model->ks, db, model->keys[k]), model->keys[k]);
            count += m->present;
            expiring += m->present && m->expiry_ms;
            if (m->present) times += (uint64_t)m->expiry_ms;
        }
        CHECK(keyspace_expiry_sum(model->ks, db) == times);
        CHECK_INT(keyspace_count(model->ks, db), count);
        CHECK_INT(keyspace_count_expiring(model->ks, db), expiring);
    }
}

static void model_forget(struct model_entry *m) {
    free(m->value);
    *m = (struct model_entry){0};
}
static void model_write(struct model_entry *m, struct bytes value, int64_t expiry_ms) {
    char *copy = malloc(value.len + 1);
    CHECK(copy);
    if (value.len) memcpy(copy, value.data, value.len);
    free(m->value);
    *m = (struct model_entry){
        .present = true, .value = copy, .len = value.len, .expiry_ms = expiry_ms, .access = m->access};
}

/* Keys of 0 to 20 bytes, some around the longest inline one, some much longer. */
static void model_begin(struct model *model) {
    *model = (struct model){.ks = make(), .now_ms = 1000000, .told_ms = INT64_MAX};
    for (unsigned k = 0; k < KEYS; k++) {
        size_t len = k < 100 ? k % 21 + (k ? 2 : 0) : k < 110 ? ENTRY_KEY_INLINE_MAX - 5 + k % 10 : k * 100;
        char *name = malloc(len + 1);
        CHECK(name);
        memset(name, 'k', len);
        if (len >= 2) name[len - 2] = (char)(k >> 4), name[len - 1] = (char)k;
        if (len == 2) name[0] = (char)(k >> 4);
        model->keys[k] = key_of((struct bytes){name, len});
        for (unsigned other = 0; other < k; other++)
            CHECK(!bytes_equal(model->keys[other].name, model->keys[k].name));
    }
}

static void model_end(struct model *model) {
    for (unsigned k = 0; k < KEYS; k++) {
        for (unsigned db = 0; db < DATABASES; db++) model_forget(&model->entries[db][k]);
        free((char *)(size_t)model->keys[k].name.data);
    }
    keyspace_free(model->ks);
}

static struct bytes random_value(void) {
    static char bytes[VALUE_MAX];
    static const unsigned maxima[] = {1, 20, 44, 60, 300, ENTRY_VALUE_INLINE_MAX + 3, VALUE_MAX};
    size_t len = random_below(maxima[random_below(7)] + 1);
    if (random_below(4) == 0)
        return (struct bytes){bytes, number_format_i64(bytes, (int64_t)check_random(&seed) >> 20)};
    for (size_t i = 0; i < len; i++) bytes[i] = (char)check_random(&seed);
    return (struct bytes){bytes, len};
}

static void model_set(struct model *model, unsigned db, unsigned k) {
    struct model_entry *m = &model->entries[db][k];
    struct bytes bytes = random_value();
    struct value value = value_of_bytes(bytes);
    int64_t choice = random_below(3), expiry = choice == 0 ? EXPIRY_NONE : choice == 1 ? EXPIRY_KEEP : 0;
    if (choice == 2) expiry = model->now_ms + 1 + random_below(100000);
    bool block = value.kind == VALUE_INLINE && random_below(4) == 0;
    if (block) {
        unsigned kept = fail_every;
        fail_every = 0;
        value = (struct value){.kind = VALUE_BLOCK, .block = block_of(bytes)};
        fail_every = kept;
    }
    struct entry *e = keyspace_set(model->ks, db, model->keys[k], &value, expiry);
    if (e)
        model_write(m, bytes, expiry == EXPIRY_KEEP ? m->expiry_ms : expiry);
    else if (block)
        CHECK_BYTES(block_bytes(value.block), bytes);
    if (block) block_release(value.block); /* the keyspace has a reference of its own */
}

static void model_edit(struct model *model, unsigned db, unsigned k) {
    struct model_entry *m = &model->entries[db][k];
    struct entry *e = keyspace_find(model->ks, db, model->keys[k]);
    if (e == NULL) return;
    size_t len = random_below(3) ? m->len + random_below(50) : random_below(VALUE_MAX);
    struct block *pinned = random_below(2) && entry_block(e) ? block_retain(entry_block(e)) : NULL;
    char *data = keyspace_edit(model->ks, db, &e, len);
    if (data) {
        char *copy = calloc(1, len + 1);
        CHECK(copy);
        memcpy(copy, m->value, m->len < len ? m->len : len);
        CHECK_BYTES(((struct bytes){data, len}), ((struct bytes){copy, len}));
        for (size_t i = 0; i < len; i += 5) data[i] = copy[i] = (char)check_random(&seed);
        if (pinned) CHECK(block_bytes(pinned).data != data);
        if (pinned) CHECK_BYTES(block_bytes(pinned), model_value(m)); /* a reader keeps the old bytes */
        free(m->value);
        m->value = copy, m->len = len, m->edited = true;
    }
    if (pinned) block_release(pinned);
}

static void model_expiry(struct model *model, unsigned db, unsigned k) {
    struct model_entry *m = &model->entries[db][k];
    struct entry *e = keyspace_find(model->ks, db, model->keys[k]);
    int64_t expiry = random_below(2) ? model->now_ms + 1 + random_below(100000) : EXPIRY_NONE, number;
    if (e == NULL) return;
    if (entry_int(e, &number)) {
        char text[NUMBER_I64_MAX_LEN];
        keyspace_set_int(model->ks, db, e, number / 2);
        size_t len = number_format_i64(text, number / 2);
        model_write(m, (struct bytes){text, len}, m->expiry_ms);
    }
    entry_set_access(e, m->access = random_below(1 << 24));
    e = keyspace_set_expiry(model->ks, db, e, expiry);
    if (e) m->expiry_ms = expiry;
    if (e) CHECK(e == keyspace_find(model->ks, db, model->keys[k]));
}

static void model_carry(struct model *model, unsigned db, unsigned k, bool move) {
    unsigned to_db = random_below(DATABASES), to = random_below(KEYS);
    struct model_entry *m = &model->entries[db][k], *target = &model->entries[to_db][to];
    if (!m->present || m == target) return;
    struct keyspace_place here = {model->ks, db, model->keys[k]}, there = {model->ks, to_db, model->keys[to]};
    bool done = (move ? keyspace_move : keyspace_copy)(&here, &there);
    if (!done) return;
    model_write(target, model_value(m), m->expiry_ms);
    target->access = m->access;
    target->edited = m->edited;
    if (move) model_forget(m);
}

static void model_delete(struct model *model, unsigned db, unsigned k) {
    struct model_entry *m = &model->entries[db][k];
    struct entry *e = keyspace_find(model->ks, db, model->keys[k]);
    if (random_below(2) && e)
        keyspace_delete_entry(model->ks, db, model->keys[k], e);
    else
        CHECK_INT(keyspace_delete(model->ks, db, model->keys[k]), m->present);
    model_forget(m);
}

static void model_expired(void *context, const struct expired *what) {
    CHECK(what->kind == EXPIRED_KEY && what->name.len == 0);
    const struct entry *e = what->entry;
    struct model *model = context;
    unsigned k = 0;
    while (!bytes_equal(model->keys[k].name, entry_key(e))) k++;
    struct model_entry *m = &model->entries[what->db][k];
    CHECK(m->present && m->expiry_ms && m->expiry_ms <= model->now_ms);
    check_entry(m, e, model->keys[k]);
    model_forget(m);
}

static void model_expire(struct model *model) {
    model->now_ms += random_below(2000);
    while (keyspace_next_expiry(model->ks) <= model->now_ms) {
        unsigned budget = random_below(5) + 1;
        CHECK(keyspace_expire(model->ks, model->now_ms, budget, model_expired, model) <= budget);
    }
    for (unsigned db = 0; db < DATABASES; db++)
        for (unsigned k = 0; k < KEYS; k++) {
            const struct model_entry *m = &model->entries[db][k];
            CHECK(!m->expiry_ms ||
                  (m->expiry_ms > model->now_ms && m->expiry_ms >= keyspace_next_expiry(model->ks)));
        }
}

static void model_whole(struct model *model, unsigned a, unsigned b) {
    if (random_below(3)) {
        struct model_entry kept[KEYS];
        memcpy(kept, model->entries[a], sizeof kept);
        memmove(model->entries[a], model->entries[b], sizeof kept);
        memcpy(model->entries[b], kept, sizeof kept);
        keyspace_swap(model->ks, a, b);
    } else {
        for (unsigned k = 0; k < KEYS; k++) model_forget(&model->entries[a][k]);
        keyspace_flush(model->ks, a);
    }
}

/* Who asks for news after each change never waits for too long; who looks after the keyspace asks anyway. */
static void model_hear(struct model *model, bool looked) {
    const struct keyspace *ks = model->ks;
    if (looked || keyspace_news(ks)) model->told_ms = keyspace_take_news(model->ks, model->now_ms + 50);
    CHECK(model->told_ms <= keyspace_next_expiry(ks));
    CHECK(model->told_ms < INT64_MAX || !keyspace_has_garbage(ks));
}

static void model_step(struct model *model) {
    unsigned db = random_below(DATABASES), k = random_below(KEYS), choice = random_below(1000);
    if (choice < 400)
        model_set(model, db, k);
    else if (choice < 550)
        model_edit(model, db, k);
    else if (choice < 700)
        model_expiry(model, db, k);
    else if (choice < 800)
        model_carry(model, db, k, random_below(2));
    else if (choice < 900)
        model_delete(model, db, k);
    else if (choice < 980)
        model_expire(model);
    else if (choice < 995)
        keyspace_upkeep(model->ks, random_below(20));
    else
        model_whole(model, db, random_below(DATABASES));
    model_hear(model, choice >= 900 && choice < 995);
}

static void drain(struct keyspace *ks) {
    for (unsigned db = 0; db < ks->databases; db++) keyspace_flush(ks, db);
    for (int calls = 0; keyspace_upkeep(ks, 100); calls++) CHECK(calls < 1000000);
    CHECK_INT(keyspace_memory(ks), 0);
    CHECK_INT(ks->block_bytes, 0);
    CHECK_INT(ks->slab.arena.in_use, 0);
}

static void random_commands_do_what_the_model_does(void) {
    static struct model model;
    model_begin(&model);
    for (int step = 0; step < 60000; step++) {
        model_step(&model);
        if (step % 100 == 0) check_model(&model);
    }
    check_model(&model);
    drain(model.ks);
    model_end(&model);
}

/* Without memory a change does not happen, and nothing else happens either. */
static void without_memory_nothing_is_half_done(void) {
    static struct model model;
    model_begin(&model);
    for (int step = 0; step < 60000; step++) {
        if (step % 500 == 0) fail_every = random_below(4);
        if (step % 500 == 0)
            model.ks->slab.arena.limit = random_below(2) ? model.ks->slab.arena.in_use : 1 << 16;
        model_step(&model);
        if (step % 100 == 0) check_model(&model);
    }
    fail_every = 0;
    check_model(&model);
    drain(model.ks);
    model_end(&model);
}

/* ---- Pins ----------------------------------------------------------------------------------------- */

static void a_pinned_block_outlives_overwriting_deleting_and_expiring(void) {
    static char large[100000];
    struct bytes value = {large, sizeof large};
    struct key key = key_of(BYTES("k"));
    for (int way = 0; way < 4; way++) {
        struct keyspace *ks = make();
        memset(large, 'a' + way, sizeof large);
        struct block *pin = block_retain(entry_block(set(ks, key, value, 1000)));
        CHECK(keyspace_memory(ks) > sizeof large);
        if (way == 0) set(ks, key, BYTES("small"), EXPIRY_NONE);
        if (way == 1) CHECK(keyspace_delete(ks, 0, key));
        if (way == 2) CHECK_INT(keyspace_expire(ks, 1000, 10, NULL, NULL), 1);
        if (way == 3) keyspace_flush(ks, 0);
        CHECK(way == 3 || keyspace_memory(ks) < sizeof large);
        keyspace_free(ks);
        CHECK(!block_shared(pin));
        CHECK_BYTES(block_bytes(pin), value);
        block_release(pin);
    }
}

static void copies_share_a_block_until_one_is_edited(void) {
    static char large[50000];
    struct keyspace *ks = make(), *other = make();
    struct key a = key_of(BYTES("a")), b = key_of(BYTES("b"));
    set(ks, a, (struct bytes){large, sizeof large}, EXPIRY_NONE);
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, a}, &(struct keyspace_place){other, 2, b}));
    struct entry *e = keyspace_find(ks, 0, a), *copy = keyspace_find(other, 2, b);
    CHECK(entry_block(e) == entry_block(copy));
    CHECK(keyspace_edit(other, 2, &copy, sizeof large));
    CHECK(entry_block(e) != entry_block(copy));
    struct block *block = entry_block(e);
    CHECK(keyspace_move(&(struct keyspace_place){ks, 0, a}, &(struct keyspace_place){other, 2, a}));
    CHECK(entry_block(keyspace_find(other, 2, a)) == block && !block_shared(block));
    CHECK(ks->block_bytes == 0 && keyspace_find(ks, 0, a) == NULL);
    keyspace_free(ks);
    keyspace_free(other);
}

/* What an overwriting value inherits of the one before: neither its encoding nor, unless asked to, its expiry. */
static void a_value_of_the_same_length_is_a_new_value(void) {
    struct keyspace *ks = make();
    struct key a = key_of(BYTES("a"));
    struct entry *first = set(ks, a, BYTES("abc"), EXPIRY_NONE), *e = first;
    char scratch[NUMBER_I64_MAX_LEN];
    CHECK(keyspace_edit(ks, 0, &e, 3));
    CHECK(strcmp(encoding_of(e), "raw") == 0);
    e = set(ks, a, BYTES("xyz"), EXPIRY_NONE);
    CHECK(e == first); /* where the old one was */
    CHECK(strcmp(encoding_of(e), "embstr") == 0);
    CHECK_BYTES(entry_string(e, scratch), BYTES("xyz"));
    e = set(ks, a, BYTES("xy1"), 500);
    CHECK_INT(entry_expiry(e), 500);
    e = set(ks, a, BYTES("xy2"), EXPIRY_KEEP);
    CHECK_INT(entry_expiry(e), 500);
    e = set(ks, a, BYTES("xy3"), EXPIRY_NONE);
    CHECK_INT(entry_expiry(e), 0);
    CHECK_INT(keyspace_count_expiring(ks, 0), 0);
    CHECK(strcmp(encoding_of(set(ks, a, BYTES("123"), EXPIRY_NONE)), "int") == 0);
    CHECK(strcmp(encoding_of(set(ks, a, BYTES("-12"), EXPIRY_NONE)), "int") == 0);
    CHECK(strcmp(encoding_of(set(ks, a, BYTES("12345678"), EXPIRY_NONE)), "int") ==
          0); /* an int's 8 bytes, */
    CHECK_BYTES(entry_string(set(ks, a, BYTES("abcdefgh"), EXPIRY_NONE), scratch),
                BYTES("abcdefgh")); /* and 8 others */
    keyspace_free(ks);
}

static void appending_byte_by_byte_is_linear(void) {
    struct keyspace *ks = make();
    struct entry *e = set(ks, key_of(BYTES("log")), BYTES(""), EXPIRY_NONE);
    struct block *block = NULL;
    unsigned grown = 0;
    size_t capacity = 0;
    for (size_t len = 1; len <= 300000; len++) {
        char *data = keyspace_edit(ks, 0, &e, len);
        CHECK(data);
        data[len - 1] = (char)len;
        block = entry_block(e);
        if (block && block->capacity != capacity) capacity = block->capacity, grown++;
    }
    CHECK(grown > 0 && grown < 30);
    for (size_t i = 0; i < 300000; i++) CHECK(block->data[i] == (char)(i + 1));
    keyspace_free(ks);
}

/* SETBIT and SETRANGE write far beyond the end of what is there. */
static void a_value_that_jumps_to_a_large_size_is_zero_in_between(void) {
    static const size_t lengths[] = {3, 5000, 3 << 20, 7 << 20, (7 << 20) + 10, 64 << 20};
    struct keyspace *ks = make();
    struct entry *e = set(ks, key_of(BYTES("bits")), BYTES(""), EXPIRY_NONE);
    size_t was = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *data = keyspace_edit(ks, 0, &e, lengths[i]);
        CHECK(data);
        for (size_t at = was; at < lengths[i]; at++)
            if (data[at]) CHECK(!"a byte between is not zero");
        data[lengths[i] - 1] = 'x';
        for (size_t k = 0; k <= i; k++) CHECK(data[lengths[k] - 1] == 'x');
        CHECK(keyspace_memory(ks) > lengths[i]);
        was = lengths[i];
    }
    CHECK(keyspace_delete(ks, 0, key_of(BYTES("bits"))));
    CHECK_INT(ks->block_bytes, 0);
    keyspace_free(ks);
}

/* The kernel gives a process only so many. */
static void so_many_values_are_mappings_and_no_more(void) {
    enum { MAPPINGS = 2, VALUES = 4, LEN = BLOCK_MAP_ZEROES_MIN };
    struct keyspace *ks = keyspace_new(
        &(struct keyspace_options){.seed = &hash_seed, .databases = 1, .mapped_blocks = MAPPINGS});
    struct entry *e[VALUES];
    char name[VALUES] = "abcd";
    CHECK(ks);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < VALUES; i++) {
            e[i] = set(ks, key_of((struct bytes){&name[i], 1}), BYTES("x"), EXPIRY_NONE);
            char *data = keyspace_edit(ks, 0, &e[i], i % 2 ? LEN : 5000); /* at once, or by way of malloc */
            CHECK(data && keyspace_edit(ks, 0, &e[i], LEN));
            CHECK_INT(entry_block(e[i])->mapped, i < MAPPINGS);
        }
        CHECK_INT(ks->mappings_left, 0);
        for (int i = 0; i < VALUES; i++) {
            struct key key = key_of((struct bytes){&name[i], 1});
            if (round == 0) CHECK(keyspace_delete(ks, 0, key));
            if (round == 1) set(ks, key, BYTES("small"), EXPIRY_NONE);
            if (round == 2) CHECK(keyspace_edit(ks, 0, &e[i], 100));
        }
        CHECK_INT(ks->mappings_left, MAPPINGS);
        CHECK_INT(ks->block_bytes, 0);
    }
    keyspace_free(ks);
}

int main(void) {
    seed = check_seed();
    RUN(random_commands_do_what_the_model_does);
    RUN(without_memory_nothing_is_half_done);
    RUN(a_pinned_block_outlives_overwriting_deleting_and_expiring);
    RUN(copies_share_a_block_until_one_is_edited);
    RUN(a_value_of_the_same_length_is_a_new_value);
    RUN(appending_byte_by_byte_is_linear);
    RUN(a_value_that_jumps_to_a_large_size_is_zero_in_between);
    RUN(so_many_values_are_mappings_and_no_more);
    return 0;
}
