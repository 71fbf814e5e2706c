/* Looking into trees of every kind: by key, by position, in both directions, in steps while they change; versions. */
#include "store/values/tree.h"

#include <pthread.h>

#include "tests/check.h"
#include "tests/unit/store/tree_model.h"

static unsigned long long seed;

static uint32_t random_below(uint32_t bound) {
    return (uint32_t)(check_random(&seed) % bound);
}

/* An element whose key grows with the number; texts of neighbours are unlike in length. */
static struct element element_number(enum tree_kind kind, uint32_t number) {
    struct element element = {.member = number};
    if (kind == TREE_HASH) element.value = number * 2;
    if (kind == TREE_SCORES || kind == TREE_INDEX) element.score = number / 50; /* many are alike */
    if (kind_by_number(kind)) element.key = (struct tree_key){number / 7, number % 7};
    if (kind == TREE_INDEX) element.member = 0, element.key.high = number / 3;
    return element;
}

/* Elements 1, 3, 5 ... of a kind, in random order; a list has them at random places. */
static struct tree grow(enum tree_kind kind, unsigned count) {
    static char texts[2][TEXT_MAX];
    struct tree tree = tree_empty(kind);
    for (unsigned i = 0; i < count; i++) {
        /* A step that shares no factor with the count: every element once. */
        struct element element = element_number(kind, 2 * (uint32_t)((uint64_t)i * 7919 % count) + 1);
        struct tree_item item = item_of(kind, &element, texts);
        if (kind == TREE_LIST)
            CHECK(tree_insert_at(&tree, &model_context, random_below(i + 1), &item));
        else
            CHECK_INT(tree_put(&tree, &model_context, &item, false), TREE_ADDED);
    }
    CHECK(tree_check(&tree, &model_seed));
    return tree;
}

static void end(struct tree *tree) {
    tree_release(tree, &model_graves);
    dig_all();
    CHECK(nodes_live == 0 && blocks_live == 0);
}

static void check_positions(const struct tree *tree) {
    static struct element elements[MODEL_MAX];
    struct tree_cursor cursor, back;
    struct tree_item item;
    unsigned count = read_tree(tree, elements);
    CHECK_INT(count, tree->count);
    for (unsigned i = 0; i < count; i++) {
        tree_select(&cursor, tree, i);
        tree_get(&cursor, &item);
        struct element element = element_of(tree->kind, &item);
        CHECK(memcmp(&element, &elements[i], sizeof element) == 0);
        CHECK(tree_rank(&cursor) == i);
    }
    tree_select(&back, tree, count - 1);
    for (unsigned i = count; i-- > 0;) {
        tree_get(&back, &item);
        struct element element = element_of(tree->kind, &item);
        CHECK(memcmp(&element, &elements[i], sizeof element) == 0);
        CHECK(tree_previous(&back) == (i > 0));
    }
    CHECK(back.leaf == NULL);
}

/* A walk by runs, and by items where there is none, sees what a walk by items does. */
static void check_runs(const struct tree *tree, unsigned most) {
    static struct element elements[MODEL_MAX];
    struct tree_cursor cursor;
    unsigned count = read_tree(tree, elements), i = 0, runs = 0;
    tree_select(&cursor, tree, 0);
    while (cursor.leaf) {
        struct leaf_run run;
        struct tree_item item;
        tree_get(&cursor, &item);
        struct element element = element_of(tree->kind, &item);
        CHECK(i < count && memcmp(&element, &elements[i], sizeof element) == 0);
        tree_run(&cursor, most, &run);
        i += run.count ? run.count : 1;
        runs += run.count > 0;
        CHECK((run.count ? tree_pass(&cursor, &run) : tree_next(&cursor)) == (i < count));
        CHECK(!cursor.leaf || tree_rank(&cursor) == i);
    }
    CHECK(i == count && runs >= count / most / 2);
}

static void runs_have_what_items_have(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++) {
        if (kind == TREE_INDEX || kind_by_number(kind)) continue;
        for (unsigned count = 1; count < MODEL_MAX; count = count * 5 + 3) {
            struct tree tree = grow(kind, count);
            for (unsigned most = 1; most < 300; most = most * 4 + 1) check_runs(&tree, most);
            end(&tree);
        }
    }
}

static void positions_and_ranks_agree_in_both_directions(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++)
        for (unsigned count = 1; count < MODEL_MAX; count = count * 5 + 3) {
            struct tree tree = grow(kind, count);
            check_positions(&tree);
            end(&tree);
        }
}

static void positions_hold_while_the_ends_change(void) {
    static char texts[2][TEXT_MAX];
    struct tree tree = grow(TREE_LIST, 4000);
    for (unsigned i = 0; i < 300; i++) {
        enum tree_end at = random_below(2) ? TREE_FRONT : TREE_BACK;
        bool pushes = random_below(2);
        for (unsigned some = random_below(40); some > 0; some--) {
            struct element element = element_number(TREE_LIST, random_below(1000));
            struct tree_item item = item_of(TREE_LIST, &element, texts);
            CHECK(pushes ? tree_push(&tree, &model_context, &item, at) : tree_pop(&tree, &model_context, at));
        }
        if (i % 30 == 0) check_positions(&tree);
        CHECK(tree_check(&tree, &model_seed));
    }
    end(&tree);
}

/* The second part of a field is the one of the whole item, or there is none. */
static void check_second(const struct tree *tree, const struct tree_item *field,
                         const struct tree_item *whole) {
    struct leaf_part second;
    const struct tree_guess *guess = some_guess(tree, field, random_below(UINT32_MAX));
    CHECK_INT(tree_look_up_second(tree, field->key.high, field->parts[0], guess, &second), whole != NULL);
    if (whole) CHECK_BYTES(second.bytes, whole->parts[1]);
    if (whole) CHECK(second.block == whole->blocks[1]);
}

static void what_is_there_is_found_and_nothing_else(void) {
    static char texts[2][TEXT_MAX];
    for (enum tree_kind kind = TREE_SET; kind < TREE_KINDS; kind++) {
        struct tree tree = grow(kind, 5000);
        struct tree_cursor cursor;
        struct tree_found ahead;
        for (uint32_t number = 0; number < 10005; number++) {
            struct element element = element_number(kind, number);
            struct tree_item item = item_of(kind, &element, texts), read;
            bool there = number % 2 == 1 && number < 10000;
            /* Whatever is asked for ahead, the answers are the same. */
            if (kind == TREE_SCORES) tree_ahead_of_scores(&tree, &item, 1, &ahead.guess);
            if (kind_by_hash(kind) || kind == TREE_INDEX)
                tree_ahead_of_hashes(&tree, &item.key.high, 1, &ahead);
            if (kind_by_hash(kind)) {
                uint64_t low, last;
                tree_enter_leaf(&cursor, &tree, item.key.high);
                tree_leaf_hashes(&cursor, &low, &last);
                CHECK(low <= item.key.high && last >= item.key.high && cursor.place == 0);
                cursor.place =
                    leaf_find(cursor.leaf, item.key.high, item.parts[0], random_below(200), &cursor.offset);
                CHECK_INT(cursor.place < cursor.leaf->head.count, there);
                CHECK_INT(tree_look_up(&tree, item.key.high, item.parts[0], &read), there);
                if (kind == TREE_HASH) check_second(&tree, &item, there ? &read : NULL);
                if (there) CHECK_BYTES(read.parts[0], item.parts[0]);
            } else if (kind == TREE_INDEX) {
                there = (number / 3 * 3 | 1) < 10000; /* one with this hash, of which each has one or two */
                const struct tree_guess *guess = some_guess(&tree, &item, random_below(UINT32_MAX));
                CHECK_INT(tree_lower_bound_guessed(&cursor, &tree, &item, guess), there);
                CHECK(!there || cursor.leaf == ahead.leaf);
            } else {
                const struct tree_guess *guess = some_guess(&tree, &item, random_below(UINT32_MAX));
                CHECK_INT(tree_lower_bound_guessed(&cursor, &tree, &item, guess), there);
                CHECK(number >= 9999 ? there || cursor.leaf == NULL : tree_rank(&cursor) == number / 2);
            }
            if (there) {
                tree_get(&cursor, &read);
                if (kind == TREE_INDEX)
                    CHECK(read.key.high == item.key.high);
                else
                    CHECK_INT(element_of(kind, &read).member, number);
            }
        }
        end(&tree);
    }
}

/* How often a scan has seen each number. */
static unsigned char seen[20000];
static void see(void *context, const struct tree_item *item) {
    uint32_t number = number_of(item->parts[0]);
    CHECK(number < sizeof seen && item->key.high == hash_bytes(&model_seed, item->parts[0]));
    seen[number]++;
    ++*(unsigned *)context;
}

static void a_scan_sees_what_stays_once_while_others_come_and_go(void) {
    static char texts[2][TEXT_MAX];
    for (enum tree_kind kind = TREE_SET; kind <= TREE_HASH; kind++) {
        struct tree tree = grow(kind, 5000);
        uint64_t cursor = 0;
        unsigned total = 0, steps = 0;
        memset(seen, 0, sizeof seen);
        do { /* even numbers come, and those that end in 5 go */
            cursor = tree_scan(&tree, &model_seed, cursor, see, &total);
            for (unsigned i = 0; i < 60; i++) {
                struct element element = element_number(kind, random_below(2) ? random_below(5000) * 2
                                                                              : random_below(1000) * 10 + 5);
                struct tree_item item = item_of(kind, &element, texts);
                if (element.member % 2)
                    tree_remove(&tree, &model_context, &item);
                else
                    tree_put(&tree, &model_context, &item, false);
            }
        } while (cursor && ++steps < 10000);
        CHECK(cursor == 0 && steps > 20);
        for (unsigned number = 1; number < 10000; number += 2)
            CHECK(number % 10 == 5 ? seen[number] <= 1 : seen[number] == 1);
        end(&tree);
        CHECK(tree_scan(&tree, &model_seed, 0, see, &total) == 0);
    }
}

static void a_fork_costs_a_reference_and_a_walk_frees_behind_itself(void) {
    struct tree tree = grow(TREE_SET, 5000), fork;
    struct tree_item item;
    long nodes = nodes_live;
    tree_fork(&fork, &tree);
    CHECK(nodes_live == nodes && fork.root == tree.root && fork.count == tree.count &&
          node_shared(tree.root));
    struct tree_walk walk = tree_walk(&fork);
    unsigned count = 0;
    for (; count < 2500; count++) CHECK(tree_walk_next(&walk, &item, &model_graves));
    dig_all();
    CHECK(nodes_live == nodes); /* all of it is the other's too */
    tree_release(&tree, &model_graves);
    while (tree_walk_next(&walk, &item, &model_graves)) {
        dig_all();
        if (++count == 3000) CHECK(nodes_live < nodes * 6 / 10);
        if (count == 4500) CHECK(nodes_live < nodes * 2 / 10);
    }
    CHECK_INT(count, 5000);
    end(&fork);
}

/* Walks a version to its end while another thread changes what it was made from. */
static void *walk_alone(void *argument) {
    struct tree_walk walk = tree_walk(argument);
    struct graves graves = {NULL};
    struct tree_item item;
    uintptr_t sum = 0;
    while (tree_walk_next(&walk, &item, &graves)) sum += number_of(item.parts[0]);
    for (unsigned budget = 10; graves_dig(&graves, &budget); budget = 10) {
    }
    return (void *)sum;
}

static void versions_are_walked_by_other_threads(void) {
    static char texts[2][TEXT_MAX];
    for (enum tree_kind kind = TREE_SET; kind <= TREE_SCORES; kind++) {
        enum { COUNT = 3000, ROUNDS = 15 };
        struct tree tree = grow(kind, COUNT);
        uintptr_t sum = (uintptr_t)COUNT * COUNT; /* of the first odd numbers */
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct tree fork;
            pthread_t thread;
            void *result;
            uintptr_t expected = sum;
            tree_fork(&fork, &tree);
            CHECK(pthread_create(&thread, NULL, walk_alone, &fork) == 0);
            for (unsigned i = 0; i < 400; i++) {
                uint32_t number = 2 * random_below(COUNT) + 1;
                struct element element = element_number(kind, number);
                struct tree_item item = item_of(kind, &element, texts);
                if (tree_remove(&tree, &model_context, &item) == TREE_REMOVED)
                    sum -= number;
                else if (tree_put(&tree, &model_context, &item, true) == TREE_ADDED)
                    sum += number;
            }
            CHECK(pthread_join(thread, &result) == 0 && (uintptr_t)result == expected);
            CHECK(tree_check(&tree, &model_seed));
        }
        end(&tree);
    }
}

/* Reads all of a version, by position, many times. */
static void *read_alone(void *argument) {
    const struct tree *version = argument;
    uintptr_t sum = 0;
    for (unsigned round = 0; round < 300; round++)
        for (uint64_t i = 0; i < version->count; i++) {
            struct tree_cursor cursor;
            struct tree_item item;
            tree_select(&cursor, version, i);
            tree_get(&cursor, &item);
            sum += number_of(item.parts[0]);
        }
    return (void *)sum;
}

/* A leaf of few elements is read while its references change. */
static void versions_are_read_while_others_come_and_go(void) {
    enum { COUNT = 7, ROUNDS = 20 };
    for (enum tree_kind kind = TREE_LIST; kind <= TREE_SCORES; kind++) {
        struct tree tree = grow(kind, COUNT);
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct tree version, other;
            pthread_t thread;
            void *sum;
            tree_fork(&version, &tree);
            CHECK(pthread_create(&thread, NULL, read_alone, &version) == 0);
            for (unsigned i = 0; i < 1000; i++) {
                tree_fork(&other, &tree);
                tree_release(&other, &model_graves);
            }
            CHECK(pthread_join(thread, &sum) == 0 && (uintptr_t)sum == 300 * COUNT * COUNT);
            tree_release(&version, &model_graves);
        }
        end(&tree);
    }
}

int main(void) {
    seed = check_seed();
    RUN(runs_have_what_items_have);
    RUN(positions_and_ranks_agree_in_both_directions);
    RUN(positions_hold_while_the_ends_change);
    RUN(what_is_there_is_found_and_nothing_else);
    RUN(a_scan_sees_what_stays_once_while_others_come_and_go);
    RUN(a_fork_costs_a_reference_and_a_walk_frees_behind_itself);
    RUN(versions_are_walked_by_other_threads);
    RUN(versions_are_read_while_others_come_and_go);
    return 0;
}
