/* Versions of watched keys: what bumps them, what does not, and that nothing stays behind. */
#include "server/stripes/watch.h"

#include "tests/check.h"

enum { NOW = 1000000 };

static const struct hash_seed seed = {{1, 2, 3, 4}};
static struct stripe stripe;

static struct key key_of(const char *name) {
    return (struct key){bytes_of(name), hash_bytes(&seed, bytes_of(name))};
}

static void begin(void) {
    stripe =
        (struct stripe){.keyspace = keyspace_new(&(struct keyspace_options){.seed = &seed, .databases = 4})};
    CHECK(stripe.keyspace);
}

static void end(void) {
    CHECK(!stripe.watches);
    keyspace_free(stripe.keyspace);
}

static void set(unsigned db, const char *name, int64_t expiry_ms) {
    struct value value = value_of_bytes(BYTES("value"));
    CHECK(keyspace_set(stripe.keyspace, db, key_of(name), &value, expiry_ms));
}

static struct watch *watch(unsigned db, const char *name) {
    struct watch *w = watch_acquire(&stripe, db, key_of(name));
    CHECK(w);
    CHECK_INT(watch_db(w), db);
    CHECK_BYTES(watch_key(w).name, bytes_of(name));
    return w;
}

static void only_the_touched_key_gets_a_new_version(void) {
    begin();
    struct watch *a = watch(0, "a"), *b = watch(0, "b"), *other_db = watch(1, "a");
    uint64_t before = watch_version(a), before_b = watch_version(b), before_other = watch_version(other_db);
    watch_touch(&stripe, 0, key_of("a"));
    watch_touch(&stripe, 0, key_of("nobody watches this"));
    CHECK(watch_version(a) != before);
    CHECK_INT(watch_version(b), before_b);
    CHECK_INT(watch_version(other_db), before_other);
    watch_release(&stripe, a);
    watch_release(&stripe, b);
    watch_release(&stripe, other_db);
    end();
}

static void watchers_of_a_key_share_its_record(void) {
    begin();
    struct watch *first = watch(0, "k"), *second = watch(0, "k");
    CHECK(first == second);
    watch_touch(&stripe, 0, key_of("k"));
    uint64_t version = watch_version(first);
    watch_release(&stripe, first);
    CHECK(stripe.watches);
    CHECK_INT(watch_version(second), version);
    watch_release(&stripe, second);
    end();
}

static void a_table_grows_with_its_keys_and_goes_with_the_last(void) {
    enum { KEYS = 500 };
    static struct watch *watches[KEYS];
    static uint64_t versions[KEYS];
    char name[16];
    begin();
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "key:%d", i);
        watches[i] = watch(i % 4, name);
        versions[i] = watch_version(watches[i]);
    }
    for (int i = 0; i < KEYS; i += 3) {
        snprintf(name, sizeof name, "key:%d", i);
        watch_touch(&stripe, i % 4, key_of(name));
    }
    for (int i = 0; i < KEYS; i++) {
        CHECK((watch_version(watches[i]) != versions[i]) == (i % 3 == 0));
        watch_release(&stripe, watches[i]);
        CHECK(!stripe.watches == (i == KEYS - 1));
    }
    end();
}

static void names_may_be_empty_or_hold_any_byte(void) {
    struct key nul = {{"a\0b", 3}, hash_bytes(&seed, (struct bytes){"a\0b", 3})};
    begin();
    struct watch *empty = watch(0, ""), *binary = watch_acquire(&stripe, 0, nul), *plain = watch(0, "a");
    CHECK(binary && binary != plain);
    uint64_t version = watch_version(plain);
    watch_touch(&stripe, 0, nul);
    CHECK_INT(watch_version(plain), version);
    watch_release(&stripe, empty);
    watch_release(&stripe, binary);
    watch_release(&stripe, plain);
    end();
}

static bool touched_by_flush(unsigned db, const char *name, unsigned flushed) {
    struct watch *w = watch(db, name);
    uint64_t version = watch_version(w);
    watch_touch_flush(&stripe, flushed, NOW);
    bool touched = watch_version(w) != version;
    watch_release(&stripe, w);
    return touched;
}

static void a_flush_touches_what_exists_in_it(void) {
    begin();
    set(0, "here", EXPIRY_NONE);
    set(0, "expired", NOW);
    set(0, "lives", NOW + 1);
    CHECK(touched_by_flush(0, "here", 0));
    CHECK(touched_by_flush(0, "lives", 0));
    CHECK(!touched_by_flush(0, "here", 1));
    CHECK(!touched_by_flush(1, "here", 1));
    CHECK(!touched_by_flush(0, "absent", 0));
    CHECK(!touched_by_flush(0, "expired", 0));
    end();
}

static bool touched_by_swap(unsigned db, const char *name, unsigned a, unsigned b) {
    struct watch *w = watch(db, name);
    uint64_t version = watch_version(w);
    watch_touch_swap(&stripe, a, b, NOW);
    bool touched = watch_version(w) != version;
    watch_release(&stripe, w);
    return touched;
}

static void a_swap_touches_what_goes_or_comes(void) {
    begin();
    set(0, "left", EXPIRY_NONE);
    set(1, "right", EXPIRY_NONE);
    set(1, "expired", NOW - 1);
    CHECK(touched_by_swap(0, "left", 0, 1));
    CHECK(touched_by_swap(0, "left", 1, 0));
    CHECK(touched_by_swap(0, "right", 0, 1));
    CHECK(touched_by_swap(1, "left", 0, 1));
    CHECK(!touched_by_swap(0, "absent", 0, 1));
    CHECK(!touched_by_swap(0, "expired", 0, 1));
    CHECK(!touched_by_swap(2, "left", 0, 1));
    CHECK(!touched_by_swap(0, "left", 1, 2));
    CHECK(!touched_by_swap(0, "left", 0, 0));
    end();
}

static void ears_say_whether_anything_is_watched(void) {
    begin();
    CHECK_INT(stripe.ears, 0);
    struct watch *a = watch(0, "a"), *b = watch(0, "b");
    stripe.ears |= 1u << 31; /* somebody else's */
    watch_release(&stripe, a);
    CHECK_INT(stripe.ears, EAR_WATCH | 1u << 31);
    watch_release(&stripe, b);
    CHECK_INT(stripe.ears, 1u << 31);
    end();
}

static void see(void *context, unsigned db, struct key key) {
    unsigned *seen = context;
    CHECK(key.hash == key_of(db ? "b" : "a").hash && key.name.len == 1);
    seen[db]++;
}

static void every_watched_key_is_named_once(void) {
    unsigned seen[2] = {0};
    begin();
    watch_each(&stripe, see, seen);
    struct watch *a = watch(0, "a"), *twice = watch(0, "a"), *b = watch(1, "b");
    watch_each(&stripe, see, seen);
    CHECK_INT(seen[0], 1);
    CHECK_INT(seen[1], 1);
    watch_release(&stripe, a);
    watch_release(&stripe, twice);
    watch_release(&stripe, b);
    end();
}

int main(void) {
    RUN(only_the_touched_key_gets_a_new_version);
    RUN(watchers_of_a_key_share_its_record);
    RUN(a_table_grows_with_its_keys_and_goes_with_the_last);
    RUN(names_may_be_empty_or_hold_any_byte);
    RUN(a_flush_touches_what_exists_in_it);
    RUN(a_swap_touches_what_goes_or_comes);
    RUN(ears_say_whether_anything_is_watched);
    RUN(every_watched_key_is_named_once);
    return 0;
}
