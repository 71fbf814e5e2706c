/* Snapshots of two keyspaces, at every place of the walk x every kind of change: each key of the cut is shown once, with its
 * value at the cut, and nothing else is; then the same again in what the changes have left.
 *
 * --plant see forgets one call of that hook, --plant swapped and flushed one of two of theirs, which must be found. */
#include "store/snapshot.h"

#include "tests/check.h"
#include "tests/unit/store/tiny.h"

enum { STRIPES = 2, DATABASES = 4, KEYS = 90, ENTRIES_MAX = 4096, NOW_MS = 1000, LONG_LEN = 5000 };

static unsigned long long seed;
static const struct hash_seed hash_seed = {
    {0x8bb84b93962eacc9, 0x4b33a62ed433d4a3, 0x4d5a2da51de1aa47, 0xa0761d6478bd642f}};
static struct keyspace *stripes[STRIPES];
static bool out_of_memory;

void *memory_resize(void *old, size_t size) {
    return out_of_memory ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return out_of_memory ? NULL : calloc(1, size);
}

/* ---- Canaries ------------------------------------------------------------------------------------- */

static const char *planted = "";
static unsigned calls_until_planted;

static bool forgets(const char *hook) {
    if (strcmp(planted, hook) != 0) return false;
    return strcmp(hook, "see") == 0 ? calls_until_planted-- == 0 : calls_until_planted++ % 2 == 0;
}
void __real_snapshot_see(struct keyspace *ks, unsigned db, struct entry *e);
void __wrap_snapshot_see(struct keyspace *ks, unsigned db, struct entry *e);
void __wrap_snapshot_see(struct keyspace *ks, unsigned db, struct entry *e) {
    if (e->stamp == ks->stamp || !forgets("see")) __real_snapshot_see(ks, db, e);
}
void __real_snapshot_swapped(struct keyspace *ks, unsigned a, unsigned b);
void __wrap_snapshot_swapped(struct keyspace *ks, unsigned a, unsigned b);
void __wrap_snapshot_swapped(struct keyspace *ks, unsigned a, unsigned b) {
    if (!forgets("swapped")) __real_snapshot_swapped(ks, a, b);
}
void __real_snapshot_flushed(struct keyspace *ks, unsigned db);
void __wrap_snapshot_flushed(struct keyspace *ks, unsigned db);
void __wrap_snapshot_flushed(struct keyspace *ks, unsigned db) {
    if (!forgets("flushed")) __real_snapshot_flushed(ks, db);
}

/* ---- The cut, and what is shown ------------------------------------------------------------------- */

struct seen {
    unsigned db;
    struct bytes key; /* malloc'd */
    int64_t expiry_ms;
    struct digest digest; /* of the cut */
    struct value value;   /* that was shown: bytes are malloc'd, a block or an object is held */
    unsigned times;
};

static struct seen cut[ENTRIES_MAX], shown[ENTRIES_MAX];
static unsigned cut_count, shown_count;

static struct bytes copy_of(struct bytes bytes) {
    char *data = malloc(bytes.len + 1);
    CHECK(data);
    memcpy(data, bytes.data, bytes.len);
    return (struct bytes){data, bytes.len};
}
static struct digest digest_of(const struct value *value) {
    struct digest digest = {{0}};
    digest_mix_number(&digest, value->type);
    tiny_rows[value->type]->digest(value, &digest);
    return digest;
}

static unsigned cut_db;
static void note_cut(void *context, struct entry *e) {
    struct value value = entry_value(e);
    (void)context;
    CHECK(cut_count < ENTRIES_MAX);
    cut[cut_count++] =
        (struct seen){cut_db, copy_of(entry_key(e)), entry_expiry(e), digest_of(&value), {0}, 0};
}

static void show(void *context, unsigned db, const struct entry *e) {
    struct value value = entry_value(e);
    CHECK(context == &shown && shown_count < ENTRIES_MAX);
    if (value.kind == VALUE_INLINE) value.bytes = copy_of(value.bytes);
    value_retain(&value);
    shown[shown_count++] = (struct seen){db, copy_of(entry_key(e)), entry_expiry(e), {{0}}, value, 0};
}

static void release_all(void) {
    struct dead dead = {0};
    unsigned budget = UINT32_MAX;
    for (unsigned i = 0; i < cut_count; i++) free((void *)(uintptr_t)cut[i].key.data);
    for (unsigned i = 0; i < shown_count; i++) {
        free((void *)(uintptr_t)shown[i].key.data);
        if (shown[i].value.kind == VALUE_INLINE) free((void *)(uintptr_t)shown[i].value.bytes.data);
        value_release(&shown[i].value, &dead);
    }
    CHECK(!dead_bury(&dead, &budget));
    cut_count = shown_count = 0;
}

static void begin(void) {
    release_all();
    for (unsigned i = 0; i < STRIPES; i++)
        for (cut_db = 0; cut_db < DATABASES; cut_db++) {
            uint64_t cursor = 0;
            do cursor = keyspace_scan(stripes[i], cut_db, cursor, note_cut, NULL);
            while (cursor);
        }
    for (unsigned i = 0; i < STRIPES; i++) {
        struct keyspace_snapshot *snapshot = keyspace_snapshot_new(stripes[i], show, &shown);
        CHECK(snapshot);
        keyspace_snapshot_begin(stripes[i], snapshot);
    }
}

/* False when all is shown. */
static bool step(unsigned budget) {
    bool more = false;
    for (unsigned i = 0; i < STRIPES; i++) {
        more |= keyspace_snapshot_walk(stripes[i], budget);
        keyspace_upkeep(stripes[i], budget);
    }
    return more;
}

static void end(void) {
    for (unsigned i = 0; i < STRIPES; i++) keyspace_snapshot_end(stripes[i]);
}

#define DIFFERENT(what, of)                                                                                  \
    do {                                                                                                     \
        fprintf(stderr, "DIFFERENT: %s: db %u, key %.*s\n", what, (of)->db, (int)(of)->key.len,              \
                (of)->key.data);                                                                             \
        exit(1);                                                                                             \
    } while (0)

static struct seen *find(unsigned db, struct bytes key) {
    for (unsigned i = 0; i < cut_count; i++)
        if (cut[i].db == db && bytes_equal(cut[i].key, key)) return &cut[i];
    return NULL;
}

/* All is shown, and everything was changed since: what was shown is the cut. */
static void compare(void) {
    for (unsigned i = 0; i < shown_count; i++) {
        struct seen *expected = find(shown[i].db, shown[i].key);
        struct digest digest = digest_of(&shown[i].value);
        if (!expected) DIFFERENT("shown, and not of the cut", &shown[i]);
        if (expected->times++) DIFFERENT("shown twice", &shown[i]);
        if (expected->expiry_ms != shown[i].expiry_ms) DIFFERENT("another expiry", &shown[i]);
        if (memcmp(&digest, &expected->digest, sizeof digest) != 0) DIFFERENT("another value", &shown[i]);
    }
    for (unsigned i = 0; i < cut_count; i++)
        if (!cut[i].times) DIFFERENT("not shown", &cut[i]);
}

/* ---- Data ----------------------------------------------------------------------------------------- */

static unsigned below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

struct name {
    char text[ENTRY_KEY_INLINE_MAX + 64];
    struct key key;
    unsigned stripe;
};
/* Every 16th is a key in a block. */
static void name_of(struct name *name, unsigned number) {
    int pad = number % 16 == 7 ? ENTRY_KEY_INLINE_MAX + 8 : 1;
    int len = snprintf(name->text, sizeof name->text, "%0*u", pad, number);
    name->key.name = (struct bytes){name->text, (size_t)len};
    name->key.hash = hash_bytes(&hash_seed, name->key.name);
    name->stripe = name->key.hash >> 40 & 1;
}

static void set_bytes(const struct name *name, unsigned db, struct bytes bytes, int64_t expiry_ms) {
    struct value value = value_of_bytes(bytes);
    CHECK(keyspace_set(stripes[name->stripe], db, name->key, &value, expiry_ms));
}

static void set_random(const struct name *name, unsigned db, int64_t expiry_ms) {
    static char bytes[LONG_LEN];
    memset(bytes, 'a' + (int)below(26), sizeof bytes);
    unsigned kind = below(5);
    size_t len = kind == 0 ? LONG_LEN : kind == 1 ? 8 : below(40);
    if (kind == 2) len = (size_t)snprintf(bytes, sizeof bytes, "%u", below(100000));
    set_bytes(name, db, (struct bytes){bytes, len}, expiry_ms);
}

static struct edit open_tiny(const struct name *name, unsigned db) {
    struct keyspace *ks = stripes[name->stripe];
    struct edit edit = {.keyspace = ks,
                        .db = db,
                        .key = name->key,
                        .entry = keyspace_find(ks, db, name->key),
                        .type = TYPE_LIST};
    enum opened opened = edit_open(&edit, true);
    CHECK(opened == EDIT_OPENED);
    return edit;
}

static void push_random(const struct name *name, unsigned db, unsigned count) {
    struct entry *e = keyspace_find(stripes[name->stripe], db, name->key);
    if (e && entry_type(e) != TYPE_LIST) return;
    struct edit edit = open_tiny(name, db);
    for (unsigned i = 0; i < count; i++) CHECK(tiny_push(&edit, below(1000)));
    edit_close(&edit);
}

static void fill(void) {
    struct name name;
    for (unsigned db = 0; db < DATABASES - 1; db++)
        for (unsigned i = 0; i < KEYS; i++) {
            name_of(&name, i);
            if (i % 4 == 3)
                push_random(&name, db, 1 + below(2 * TINY_PACKED_MAX));
            else
                set_random(&name, db, i % 5 == 0 ? NOW_MS - 1 : i % 7 == 0 ? NOW_MS + 1000 : EXPIRY_NONE);
        }
}

static void open_all(void) {
    for (unsigned i = 0; i < STRIPES; i++)
        stripes[i] = keyspace_new(
            &(struct keyspace_options){.seed = &hash_seed, .databases = DATABASES, .types = tiny_rows});
    fill();
}
static void close_all(void) {
    release_all();
    for (unsigned i = 0; i < STRIPES; i++) keyspace_free(stripes[i]);
    CHECK_INT(tiny_nodes, 0);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

struct target {
    struct name name;
    struct keyspace *ks;
    unsigned db;
    struct entry *e; /* NULL: there is none */
};

/* Does it to one of three keys of each database, or of four. */
static void each(void (*change)(struct target *target)) {
    static struct target target;
    for (unsigned db = 0; db < DATABASES; db++)
        for (unsigned i = below(3); i < KEYS; i += 3 + below(2)) {
            name_of(&target.name, i);
            target.ks = stripes[target.name.stripe];
            target.db = db;
            target.e = keyspace_find(target.ks, db, target.name.key);
            change(&target);
        }
}

static void overwrite(struct target *t) {
    set_random(&t->name, t->db, below(2) ? (int64_t)EXPIRY_KEEP : NOW_MS + 500);
}
static void overwrite_alike(struct target *t) {
    if (t->e && t->e->kind == VALUE_INLINE) {
        static const char bytes[ENTRY_VALUE_INLINE_MAX];
        set_bytes(&t->name, t->db, (struct bytes){bytes, t->e->value_len}, EXPIRY_NONE);
    }
}
static void count_up(struct target *t) {
    int64_t number;
    if (t->e && entry_int(t->e, &number)) keyspace_set_int(t->ks, t->db, t->e, number + 1);
}
static void append(struct target *t) {
    if (!t->e || t->e->kind == VALUE_OBJECT || entry_type(t->e) != TYPE_STRING) return;
    size_t len = entry_string_len(t->e);
    char *data = keyspace_edit(t->ks, t->db, &t->e, len + 3);
    CHECK(data);
    memset(data + len, '+', 3);
}
static void push(struct target *t) {
    push_random(&t->name, t->db, 3);
}
static void pop(struct target *t) {
    int64_t number;
    if (!t->e || entry_type(t->e) != TYPE_LIST) return;
    struct edit edit = open_tiny(&t->name, t->db);
    CHECK(tiny_pop(&edit, &number));
    edit_close(&edit);
}
static void change_expiry(struct target *t) {
    if (t->e) CHECK(keyspace_set_expiry(t->ks, t->db, t->e, below(2) ? EXPIRY_NONE : NOW_MS + below(99)));
}
static void delete (struct target *t) {
    CHECK(keyspace_delete(t->ks, t->db, t->name.key) == (t->e != NULL));
}
static void move_to(struct target *t, unsigned number, unsigned db, bool copies) {
    static struct name to;
    name_of(&to, number);
    struct keyspace_place from_place = {t->ks, t->db, t->name.key},
                          to_place = {stripes[to.stripe], db, to.key};
    if (!t->e || (db == t->db && bytes_equal(to.key.name, t->name.key.name))) return;
    CHECK(copies ? keyspace_copy(&from_place, &to_place) : keyspace_move(&from_place, &to_place));
}
static void rename_(struct target *t) {
    move_to(t, below(2 * KEYS), t->db, false);
}
static void copy(struct target *t) {
    move_to(t, below(2 * KEYS), below(DATABASES), true);
}
static void move_database(struct target *t) {
    move_to(t, (unsigned)strtoul(t->name.text, NULL, 10), (t->db + 1) % DATABASES, false);
}

static void do_overwrite(void) {
    each(overwrite);
}
static void do_overwrite_alike(void) {
    each(overwrite_alike);
}
static void do_edits(void) {
    each(count_up);
    each(append);
}
static void do_objects(void) {
    each(push);
    each(pop);
}
static void do_expiries(void) {
    each(change_expiry);
}
static void do_delete(void) {
    each(delete);
}
static void do_rename(void) {
    each(rename_);
}
static void do_copy(void) {
    each(copy);
}
static void do_move(void) {
    each(move_database);
}
static void do_expire(void) {
    for (unsigned i = 0; i < STRIPES; i++) keyspace_expire(stripes[i], NOW_MS, 1000, NULL, NULL);
}
static void do_flush(void) {
    for (unsigned i = 0; i < STRIPES; i++) keyspace_flush(stripes[i], 1);
}
static void do_flush_all(void) {
    for (unsigned i = 0; i < STRIPES; i++)
        for (unsigned db = 0; db < DATABASES; db++) keyspace_flush(stripes[i], db);
}
static void swap(unsigned a, unsigned b) {
    for (unsigned i = 0; i < STRIPES; i++) keyspace_swap(stripes[i], a, b);
}
static void do_swap(void) {
    swap(0, 1);
}
static void do_swap_empty(void) {
    swap(3, 0);
    swap(2, 3);
}
static void do_split(void) {
    struct name name;
    for (unsigned i = KEYS; i < 8 * KEYS; i++) {
        name_of(&name, i);
        set_random(&name, i % 3, EXPIRY_NONE);
    }
}
static void do_merge(void) {
    for (unsigned i = 0; i < 6; i++) each(delete);
}
static void do_restart(void) {
    end();
    each(overwrite);
    begin();
}
static void do_random(void);

static const struct {
    const char *name;
    void (*change)(void);
} changes[] = {{"overwrite", do_overwrite}, {"overwrite alike", do_overwrite_alike},
               {"edit", do_edits},          {"objects", do_objects},
               {"expiry", do_expiries},     {"delete", do_delete},
               {"rename", do_rename},       {"copy", do_copy},
               {"move", do_move},           {"expire", do_expire},
               {"flush", do_flush},         {"flush all", do_flush_all},
               {"swap", do_swap},           {"swap with an empty one", do_swap_empty},
               {"split", do_split},         {"merge", do_merge},
               {"restart", do_restart},     {"some of these", do_random}};
enum { CHANGES = sizeof changes / sizeof changes[0] };

static void do_random(void) {
    for (unsigned i = 0; i < 4; i++) {
        changes[below(CHANGES - 1)].change();
        step(below(30));
    }
}

/* ---- Tests ---------------------------------------------------------------------------------------- */

/* A snapshot that takes so many steps before the change. False if it was all shown before. */
static bool take(unsigned steps, void (*change)(void)) {
    bool more = true;
    begin();
    for (unsigned i = 0; i < steps && more; i++) more = step(1);
    change();
    while (step(1 + below(40))) {
    }
    compare();
    end();
    return more;
}

static void every_change_at_every_place(void) {
    for (unsigned i = 0; i < CHANGES; i++) {
        unsigned steps = 0;
        for (bool more = true; more; steps++) {
            open_all();
            more = take(steps, changes[i].change);
            (void)take(below(20), changes[below(CHANGES)].change);
            close_all();
        }
        printf("   %s: at %u places\n", changes[i].name, steps);
        CHECK(steps > 20);
    }
}

/* More often than there are stamps. */
static void given_up_again_and_again(void) {
    open_all();
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < ENTRY_STAMPS + 5; i++) {
            begin();
            for (unsigned steps = below(30); steps && step(1); steps--) {
            }
            each(overwrite);
            end();
            if (below(3) == 0) do_flush();
            if (below(3) == 0) fill();
            while (below(4) && keyspace_upkeep(stripes[0], 1)) {
            }
        }
        (void)take(below(30), do_random);
    }
    begin();
    end();
    close_all();
}

static void without_memory_there_is_none(void) {
    open_all();
    out_of_memory = true;
    CHECK(!keyspace_snapshot_new(stripes[0], show, &shown));
    out_of_memory = false;
    struct keyspace_snapshot *snapshot = keyspace_snapshot_new(stripes[0], show, &shown);
    CHECK(snapshot);
    keyspace_snapshot_free(snapshot);
    close_all();
}

/* What is freed with a snapshot under way, flushed databases among it. */
static void the_end_of_all_may_come_in_the_middle(void) {
    open_all();
    begin();
    step(10);
    do_flush();
    close_all();
}

/* The stamp is no memory: a key of 16 bytes with a value of 16 takes 40. */
static void entries_are_as_small_as_they_were(void) {
    CHECK_INT(entry_size_of(false, 16, 16), 40);
    CHECK_INT(entry_size_of(true, 16, 16), 56);
}

int main(int argc, char **argv) {
    seed = check_seed();
    if (argc == 3 && strcmp(argv[1], "--plant") == 0) {
        planted = argv[2];
        calls_until_planted = below(1000);
    }
    RUN(entries_are_as_small_as_they_were);
    RUN(every_change_at_every_place);
    RUN(given_up_again_and_again);
    RUN(without_memory_there_is_none);
    RUN(the_end_of_all_may_come_in_the_middle);
    return 0;
}
