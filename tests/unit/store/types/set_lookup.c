/* Many questions about one set, asked by the walk over another, against single lookups: sets of every shape and of sizes
 * that are alike or far apart, with leaves of very many members and of long ones. */
#include "store/types/set_lookup.h"

#include "tests/unit/store/types/collection_fixture.h"

/* What members are like: texts of a usual length, of two bytes, so that a leaf has very many, and of any length. */
enum style { USUAL, TINY, ANY, STYLES };

static struct bytes member_of(enum style style, uint32_t number, char *text) {
    if (style == ANY) return text_of(number, text);
    if (style == USUAL) return (struct bytes){text, (size_t)snprintf(text, TEXT_MAX, "member:%06u", number)};
    text[0] = (char)number;
    text[1] = (char)(number >> 8);
    return (struct bytes){text, 2};
}

/* Every `step`-th member from `first` on, in any order. */
static void fill(const char *name, enum style style, uint32_t first, uint32_t step, uint32_t count) {
    char text[TEXT_MAX];
    struct edit edit = edit_of(name, TYPE_SET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (uint32_t i = 0; i < count; i++) {
        struct bytes member = member_of(style, first + step * i, text);
        CHECK(set_add(&edit, member, NULL, 100) == SET_ADDED);
    }
    CHECK(!edit_close(&edit));
}

static struct value value_of(const char *name) {
    struct entry *e = keyspace_find(ks, 0, key_of(name));
    CHECK(e);
    return entry_value(e);
}

/* Asks `of` for all members of `by`, as its walk comes to them, from some place on; twice, so that it begins anew. */
static void ask(const struct value *by, const struct value *of, bool walking) {
    static union set_table table;
    struct set_lookup lookup;
    set_lookup(&lookup, ks, of, random_below(8) ? &table : NULL);
    for (unsigned round = 0; round < 2; round++) {
        struct set_walk walk;
        struct element member;
        set_walk(&walk, by, random_below(2) ? 0 : random_below((unsigned)set_count(by) + 1));
        while (set_next(&walk, &member)) {
            uint64_t hash = hash_bytes(&hash_seed, member.bytes);
            bool has = set_lookup_has(&lookup, walking ? &walk : NULL, member.bytes, hash);
            CHECK(has == set_has(ks, of, member.bytes));
        }
    }
}

static void ask_both(enum style style, uint32_t step, uint32_t count, uint32_t other_step, uint32_t other) {
    begin();
    fill("a", style, 1, step, count);
    fill("b", style, 1 + random_below(3), other_step, other);
    struct value a = value_of("a"), b = value_of("b");
    for (unsigned walking = 0; walking < 2; walking++) {
        ask(&a, &b, walking);
        ask(&b, &a, walking);
        ask(&a, &a, walking);
    }
    end();
}

static void sets_of_a_size_ask_each_other(void) {
    for (unsigned style = 0; style < STYLES; style++) {
        ask_both((enum style)style, 1, 3000, 2, 3000);
        ask_both((enum style)style, 1, 3000, 10, 3000);
        ask_both((enum style)style, 2, 2000, 1, 5000);
    }
}

static void small_sets_ask_large_ones(void) {
    for (unsigned style = 0; style < STYLES; style++)
        for (uint32_t count = 1; count < 2000; count *= 5) ask_both((enum style)style, 3, count, 1, 9000);
}

static void packs_ask_packs(void) {
    ask_both(USUAL, 1, 100, 2, 60);
    ask_both(TINY, 1, 100, 2, 60);
}

/* A copy shares its leaves with the original, until one of them changes. */
static void copies_ask_each_other(void) {
    begin();
    fill("a", USUAL, 0, 2, 4000);
    CHECK(keyspace_copy(&(struct keyspace_place){ks, 0, key_of("a")},
                        &(struct keyspace_place){ks, 0, key_of("b")}));
    struct value a = value_of("a"), b = value_of("b");
    ask(&a, &b, true);
    fill("b", USUAL, 1, 2, 500);
    b = value_of("b");
    ask(&a, &b, true);
    ask(&b, &a, true);
    end();
}

int main(void) {
    seed = check_seed();
    RUN(sets_of_a_size_ask_each_other);
    RUN(small_sets_ask_large_ones);
    RUN(packs_ask_packs);
    RUN(copies_ask_each_other);
    return 0;
}
