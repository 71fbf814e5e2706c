/* Elements that are gathered and poured: in any order, into empty trees and others, with some that come twice, and without
 * memory at every single allocation; and the sets and hashes that are loaded in this way. */
#include "store/values/gather.h"

#include "store/values/load.h"
#include "tests/unit/store/types/collection_fixture.h"

enum { MANY = 3000, VALUES = 100000, EXPIRY_MS = 5000 };

static char text[TEXT_MAX], second[TEXT_MAX];
static const enum tree_kind kinds[] = {TREE_SET, TREE_HASH};

static struct tree_item item_of(enum tree_kind kind, unsigned number) {
    struct bytes name = text_of(number, text), value = text_of(number + VALUES, second);
    if (kind == TREE_SET) value.len = 0;
    return (struct tree_item){.key.high = hash_bytes(&hash_seed, name), .parts = {name, value}};
}

static bool is_short(const struct tree_item *item) {
    return item->parts[0].len <= GATHER_PART_MOST && item->parts[1].len <= GATHER_PART_MOST;
}

/* In an order that is neither theirs nor that of their hashes; how many are short enough. */
static unsigned add(struct gather *gather, enum tree_kind kind, unsigned from, unsigned count) {
    unsigned added = 0;
    for (unsigned i = 0; i < count; i++) {
        struct tree_item item = item_of(kind, from + i * 1009 % count);
        bool taken = gather_add(gather, &item);
        CHECK(taken == is_short(&item));
        added += taken;
    }
    CHECK_INT(gather->count, added);
    return added;
}

static void check_tree(const struct tree *tree, unsigned count) {
    unsigned found = 0;
    CHECK(tree_check(tree, &hash_seed));
    for (unsigned i = 0; i < count; i++) {
        struct tree_item item = item_of(tree->kind, i), there;
        if (!is_short(&item)) continue;
        CHECK(tree_look_up(tree, item.key.high, item.parts[0], &there));
        CHECK_BYTES(there.parts[1], item.parts[1]);
        found++;
    }
    CHECK_INT(tree->count, found);
}

static void release(struct tree *tree) {
    tree_release(tree, &ks->dead.nodes);
    bury_all();
}

static void all_of_them_come_into_the_tree(void) {
    static const unsigned counts[] = {1, 2, 24, 25, 26, 300, MANY, 20 * MANY};
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++) {
            begin();
            struct tree_context context = collection_context(ks);
            struct tree tree = tree_empty(kinds[kind]);
            struct gather gather = {0};
            unsigned first = counts[c] / 2;
            add(&gather, tree.kind, 0, first);
            CHECK(gather_pour(&gather, &tree, &context) == TREE_ADDED);
            CHECK(gather.count == 0 && gather.used == 0 && !gather.fits);
            check_tree(&tree, first);
            bool pushes = tree.root == NULL;
            add(&gather, tree.kind, first, counts[c] - first);
            CHECK(gather_pour(&gather, &tree, &context) == TREE_ADDED);
            CHECK(gather.fits == !pushes);
            check_tree(&tree, counts[c]);
            if (gather.fits) tree_fit(&tree, &context);
            check_tree(&tree, counts[c]);
            gather_drop(&gather);
            release(&tree);
            end();
        }
}

static void a_tree_that_was_empty_has_full_leaves(void) {
    begin();
    struct tree_context context = collection_context(ks);
    struct tree tree = tree_empty(TREE_SET);
    struct gather gather = {0};
    for (unsigned i = 0; i < MANY; i++) {
        struct bytes name = {text, (size_t)snprintf(text, sizeof text, "m%011u", i)};
        struct tree_item item = {.key.high = hash_bytes(&hash_seed, name), .parts = {name}};
        CHECK(gather_add(&gather, &item));
    }
    CHECK(gather_pour(&gather, &tree, &context) == TREE_ADDED);
    CHECK(tree.count == MANY && tree.bytes < MANY * 16);
    gather_drop(&gather);
    release(&tree);
    end();
}

static void who_comes_twice_is_noticed(void) {
    for (unsigned at = 0; at < 4; at++) {
        begin();
        struct tree_context context = collection_context(ks);
        struct tree tree = tree_empty(kinds[at % 2]);
        struct gather gather = {0};
        struct tree_item again = item_of(tree.kind, 17);
        add(&gather, tree.kind, 1, MANY);
        if (at / 2) CHECK(gather_pour(&gather, &tree, &context) == TREE_ADDED);
        again = item_of(tree.kind, 17);
        CHECK(gather_add(&gather, &again));
        CHECK(gather_pour(&gather, &tree, &context) == TREE_UNCHANGED);
        CHECK(gather.count == 0 && tree_check(&tree, &hash_seed));
        gather_drop(&gather);
        release(&tree);
        end();
    }
}

static void there_is_an_end_to_what_is_taken(void) {
    static char bytes[GATHER_PART_MOST + 1];
    struct gather gather = {0};
    struct tree_item item = {.parts = {{bytes, GATHER_PART_MOST}, {bytes, GATHER_PART_MOST}}};
    while (gather_add(&gather, &item)) CHECK(gather.count < GATHER_BYTES_MOST / GATHER_PART_MOST);
    CHECK(gather.used + gather.count * sizeof *gather.items >= GATHER_BYTES_MOST);
    CHECK(gather.used <= GATHER_BYTES_MOST + 2 * GATHER_PART_MOST);
    gather_drop(&gather);
    item.parts[1].len++;
    CHECK(!gather_add(&gather, &item) && gather.items == NULL);
}

/* ---- Sets and hashes ------------------------------------------------------------------------------ */

static struct load_options options_of_ks(void) {
    return (struct load_options){.context = collection_context(ks),
                                 .dead = &ks->dead,
                                 .thresholds = {[TYPE_SET] = {200, 64}, [TYPE_HASH] = {200, 64}},
                                 .max_bytes = SIZE_MAX};
}

static enum rdb_answer load_one(struct loading *loading, unsigned number, int64_t expiry_ms) {
    struct tree_item item = item_of(loading->type == &type_set ? TREE_SET : TREE_HASH, number);
    struct rdb_element element = {.name = item.parts[0], .value = item.parts[1], .expiry_ms = expiry_ms};
    return loading->type->load(loading, &element);
}

/* `expires`: one field of so many does; 0: none. */
static enum rdb_answer load_many(struct loading *loading, unsigned count, unsigned expires) {
    for (unsigned i = 0; i < count; i++) {
        unsigned number = i * 1009 % count;
        int64_t expiry_ms = expires && number % expires == 0 ? EXPIRY_MS + (int64_t)number : 0;
        enum rdb_answer answer = load_one(loading, number, expiry_ms);
        if (answer != RDB_TAKEN) return answer;
    }
    return loading->type->loaded(loading);
}

static void begin_load(struct loading *loading, const struct load_options *options, bool set) {
    load_begin(loading, options, set ? RDB_TYPE_SET : RDB_TYPE_HASH, RDB_VERSION_WRITTEN);
    loading->type = set ? &type_set : &type_hash;
    loading->value = (struct value){.type = set ? TYPE_SET : TYPE_HASH, .bytes = {loading->bytes, 0}};
}

static void check_loaded(const struct loading *loading, unsigned count, unsigned expires) {
    const struct collection *collection = collection_of(loading->value.object);
    size_t longs = 0;
    CHECK(loading->value.kind == VALUE_OBJECT && loading->value.edited);
    CHECK(tree_check(&collection->tree, &hash_seed) && collection->tree.count == count);
    for (unsigned i = 0; i < count; i++) {
        struct tree_item item = item_of(collection->tree.kind, i), there;
        CHECK(tree_look_up(&collection->tree, item.key.high, item.parts[0], &there));
        CHECK_BYTES(there.parts[1], item.parts[1]);
        for (unsigned part = 0; part < TREE_PARTS; part++)
            longs += there.blocks[part] ? block_memory(there.blocks[part]) : 0;
        bool timed = expires && i % expires == 0;
        if (expires)
            CHECK_INT(times_of(collection->times, item.key.high), timed ? EXPIRY_MS + (int64_t)i : 0);
    }
    CHECK(longs > 0 && collection->long_bytes == longs);
    CHECK(!expires == !collection->times);
}

static void sets_and_hashes_are_loaded(void) {
    static const unsigned expires[] = {0, 0, 1, 7, 500};
    for (unsigned i = 0; i < sizeof expires / sizeof *expires; i++) {
        begin();
        struct load_options options = options_of_ks();
        struct loading loading;
        begin_load(&loading, &options, i == 0);
        CHECK(load_many(&loading, MANY - 1, expires[i]) == RDB_TAKEN);
        check_loaded(&loading, MANY - 1, expires[i]);
        load_end(&loading);
        begin_load(&loading, &options, i == 0);
        for (unsigned n = 1; n < MANY; n++) CHECK(load_one(&loading, n, 0) == RDB_TAKEN);
        enum rdb_answer answer = load_one(&loading, 77, expires[i]);
        if (answer == RDB_TAKEN) answer = loading.type->loaded(&loading);
        CHECK(answer == RDB_REFUSED);
        load_end(&loading);
        end();
    }
}

static void without_memory_everything_is_given_back(void) {
    for (unsigned kind = 0; kind < 3; kind++) {
        begin();
        struct load_options options = options_of_ks();
        enum rdb_answer answer = RDB_NO_ROOM;
        for (long at = 0; answer != RDB_TAKEN || fail_at < 0; at++) {
            struct loading loading;
            begin_load(&loading, &options, kind == 0);
            fail_at = at;
            answer = load_many(&loading, 1500, kind == 2 ? 50 : 0);
            if (answer == RDB_TAKEN) check_loaded(&loading, 1500, kind == 2 ? 50 : 0);
            CHECK(answer == RDB_TAKEN || (fail_at < 0 && answer == RDB_NO_ROOM));
            load_end(&loading);
            bury_all();
            CHECK_INT(nodes_live, 0);
        }
        fail_at = -1;
        end();
    }
}

int main(void) {
    RUN(all_of_them_come_into_the_tree);
    RUN(a_tree_that_was_empty_has_full_leaves);
    RUN(who_comes_twice_is_noticed);
    RUN(there_is_an_end_to_what_is_taken);
    RUN(sets_and_hashes_are_loaded);
    RUN(without_memory_everything_is_given_back);
    return 0;
}
