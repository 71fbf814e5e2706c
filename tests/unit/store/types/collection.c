/* Objects of trees: forked, so that both go on by themselves, and buried in bounded parts; copies of packs. */
#include "tests/unit/store/types/collection_fixture.h"

enum { MANY = 3000, MORE = 30000 };

static struct tree_item item_of(unsigned number, char *text) {
    struct bytes member = text_of(number, text);
    return (struct tree_item){.key.high = hash_bytes(&hash_seed, member), .parts = {member, BYTES("v")}};
}

static struct collection *make(unsigned count) {
    struct collection *collection = collection_new(&heap, &type_hash, TREE_HASH);
    struct tree_context context = collection_context(ks);
    char text[TEXT_MAX];
    CHECK(collection);
    for (unsigned i = 0; i < count; i++) {
        struct tree_item item = item_of(i, text);
        CHECK(tree_put(&collection->tree, &context, &item, true) == TREE_ADDED);
    }
    return collection;
}

static void versions_share_what_does_not_change(void) {
    begin();
    struct collection *one = make(MANY);
    struct tree_context context = collection_context(ks);
    char text[TEXT_MAX];
    long before = nodes_live;
    struct collection *two = collection_of(collection_fork(&one->head, &heap));
    CHECK_INT(nodes_live, before + 1);
    CHECK(two->head.references == 1 && two->head.type == &type_hash && two->tree.count == MANY);
    struct tree_item item = item_of(5, text);
    CHECK(tree_remove(&two->tree, &context, &item) == TREE_REMOVED);
    CHECK(one->tree.count == MANY && two->tree.count == MANY - 1);
    CHECK(nodes_live < before + 8);
    CHECK(collection_memory(&one->head) > MANY * 3);
    object_release(&one->head, &ks->dead);
    object_release(&two->head, &ks->dead);
    CHECK(ks->dead.count == 2);
    bury_all();
    CHECK_INT(nodes_live, 0);
    end();
}

static void what_is_asked_for_ahead_changes_nothing(void) {
    static char texts[TREE_AHEAD_MOST][TEXT_MAX];
    struct bytes members[TREE_AHEAD_MOST];
    struct tree_found found[TREE_AHEAD_MOST];
    begin();
    struct collection *one = make(MORE);
    CHECK(one->tree.bytes > COLLECTION_AHEAD_BYTES);
    for (unsigned from = 0; from < 2 * MORE; from += TREE_AHEAD_MOST) {
        for (unsigned i = 0; i < TREE_AHEAD_MOST; i++) members[i] = text_of(from + i, texts[i]);
        CHECK(collection_ahead(ks, &one->tree, members, found, TREE_AHEAD_MOST));
        for (unsigned i = 0; i < TREE_AHEAD_MOST; i++) {
            struct leaf_part value;
            uint64_t hash = hash_bytes(&hash_seed, members[i]);
            CHECK_INT(found[i].guess.levels, one->tree.root->level);
            /* With its own guess, that of another, or none. */
            for (unsigned other = 0; other < 3; other++) {
                const struct tree_guess *guess = other < 2 ? &found[(i + other) % TREE_AHEAD_MOST].guess
                                                           : NULL;
                CHECK_INT(tree_look_up_second(&one->tree, hash, members[i], guess, &value), from + i < MORE);
            }
        }
    }
    object_release(&one->head, &ks->dead);
    bury_all();
    end();
}

static void forks_need_memory(void) {
    begin();
    struct collection *one = make(10);
    fail_at = 0;
    CHECK(!collection_fork(&one->head, &heap));
    fail_at = 0;
    CHECK(!collection_new(&heap, &type_hash, TREE_HASH));
    fail_at = -1;
    CHECK_INT(one->tree.count, 10);
    object_release(&one->head, &ks->dead);
    end();
}

static void burials_are_bounded(void) {
    begin();
    struct collection *one = make(MANY);
    long nodes = nodes_live;
    object_release(&one->head, &ks->dead);
    unsigned calls = 0;
    for (bool gone = false; !gone; calls++) {
        long before = nodes_live;
        unsigned budget = 5;
        gone = !dead_bury(&ks->dead, &budget);
        CHECK(before - nodes_live <= 5 && (gone || budget == 0));
    }
    CHECK(calls >= (unsigned)nodes / 5 && ks->dead.count == 0);
    CHECK_INT(nodes_live, 0);
    end();
}

/* A range that is cut out of a living tree is not freed at once either. */
static void what_trees_cut_off_is_freed_later(void) {
    begin();
    struct collection *one = make(MORE);
    struct tree_context context = collection_context(ks);
    long before = nodes_live;
    CHECK(tree_remove_range(&one->tree, &context, 10, MORE - 20));
    CHECK(ks->dead.nodes.first);
    keyspace_note_nodes(ks);
    CHECK(keyspace_news(ks));
    bury_all();
    CHECK(!ks->dead.nodes.first && nodes_live < before / 2);
    CHECK_INT(one->tree.count, 20);
    object_release(&one->head, &ks->dead);
    end();
}

/* What shrinks is changed apart, so that a value without memory is as it was. */
static void packs_are_changed_in_copies(void) {
    char scratch[COLLECTION_PACK_BYTES];
    begin();
    struct edit edit = edit_of("k", TYPE_SET);
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    struct pack pack = collection_copy_pack(BYTES(""), scratch);
    CHECK(pack.len == 0 && pack.data == scratch && pack.capacity == COLLECTION_PACK_BYTES);
    struct element members[2] = {element_of(BYTES("one")), element_of(BYTES("two"))};
    pack_insert(&pack, 0, members, 2);
    CHECK(collection_store_pack(&edit, &pack));
    edit_mark(&edit);
    struct value value = entry_value(edit.entry);
    CHECK_BYTES(value_bytes(&value), pack_bytes(&pack));
    pack = collection_copy_pack(value_bytes(&value), scratch);
    pack_delete(&pack, 0, 1);
    CHECK(pack_count(value_bytes(&value)) == 2);
    CHECK(collection_store_pack(&edit, &pack));
    value = entry_value(edit.entry);
    CHECK_BYTES(value_bytes(&value), pack_bytes(&pack));
    CHECK_BYTES(pack_at(value_bytes(&value), 0).bytes, BYTES("two"));
    CHECK(!edit_close(&edit));
    end();
}

static void packs_have_bounds(void) {
    CHECK(collection_may_pack(COLLECTION_PACK_BYTES, COLLECTION_PACK_ELEMENTS));
    CHECK(!collection_may_pack(COLLECTION_PACK_BYTES + 1, 2));
    CHECK(!collection_may_pack(100, COLLECTION_PACK_ELEMENTS + 1));
}

int main(void) {
    seed = check_seed();
    RUN(versions_share_what_does_not_change);
    RUN(what_is_asked_for_ahead_changes_nothing);
    RUN(forks_need_memory);
    RUN(burials_are_bounded);
    RUN(what_trees_cut_off_is_freed_later);
    RUN(packs_are_changed_in_copies);
    RUN(packs_have_bounds);
    return 0;
}
