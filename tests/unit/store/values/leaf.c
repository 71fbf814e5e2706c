/* Leaves of every kind: changes in place against a plain array, parts of every length, tags and sums at every count. */
#include "store/values/leaf.h"

#include "tests/check.h"
#include "tests/unit/store/tree_model.h"

static unsigned long long seed;
static char texts[2][TEXT_MAX];

static struct leaf_item ready_item(enum tree_kind kind, const struct element *element) {
    static struct tree_item item;
    struct leaf_item ready;
    item = item_of(kind, element, texts);
    CHECK(leaf_prepare(kind, &item, &ready));
    return ready;
}

static struct leaf *leaf_of_one(enum tree_kind kind, const struct element *element, size_t capacity) {
    struct leaf_item ready = ready_item(kind, element);
    struct leaf_piece piece = {.leaf = NULL};
    struct leaf *leaf = leaf_build(NULL, kind, (struct leaf_parts){&piece, 1, &ready}, capacity);
    CHECK(leaf);
    leaf_drop(&ready);
    return leaf;
}

static void free_leaf(struct leaf *leaf) {
    node_release(&leaf->head, &model_graves);
    CHECK(nodes_live == 0 && blocks_live == 0 && bytes_referred_to == 0);
}

/* A run has the elements up to the first long part. */
static void check_run(const struct leaf *leaf, unsigned place, unsigned most) {
    struct leaf_run run;
    size_t offset = leaf_offset(leaf, place), at = 0;
    leaf_run(leaf, place, offset, most, &run);
    CHECK(run.count <= most && place + run.count <= leaf->head.count);
    CHECK(run.end == (const char *)leaf + leaf->capacity);
    for (unsigned i = 0; i < run.count; i++) {
        struct tree_item item;
        leaf_get(leaf, place + i, offset + at, &item);
        for (unsigned part = 0; part < run.parts; at += run.lens[i * run.parts + part++]) {
            CHECK_INT(item.parts[part].len, run.lens[i * run.parts + part]);
            CHECK(item.parts[part].data == run.data + at && !item.blocks[part]);
        }
    }
    CHECK_INT(run.bytes, at);
    if (run.count == most || place + run.count == leaf->head.count) return;
    struct tree_item item;
    leaf_get(leaf, place + run.count, offset + at, &item);
    CHECK(item.parts[0].len >= LEAF_LONG || item.parts[1].len >= LEAF_LONG);
}

static void check_leaf(const struct leaf *leaf, const struct element *elements, unsigned count) {
    enum tree_kind kind = (enum tree_kind)leaf->head.kind;
    size_t offset = 0;
    int64_t bytes = 0;
    CHECK(leaf_is_whole(leaf) && leaf->head.count == count);
    for (unsigned i = 0; i < count; i++) {
        struct tree_item item;
        struct element element;
        CHECK_INT(leaf_offset(leaf, i), offset);
        leaf_get(leaf, i, offset, &item);
        element = element_of(kind, &item);
        CHECK(memcmp(&element, &elements[i], sizeof element) == 0);
        for (unsigned part = 0; part < TREE_PARTS; part++) {
            CHECK(!item.blocks[part] || item.parts[part].data == item.blocks[part]->data);
            bytes += item.blocks[part] ? (int64_t)block_memory(item.blocks[part]) : 0;
        }
        offset += leaf_size_at(leaf, i, offset);
        CHECK_INT(leaf_offset_before(leaf, i, offset), leaf_offset(leaf, i));
    }
    CHECK_INT(leaf_offset(leaf, count), offset);
    CHECK_INT(bytes_referred_to, bytes);
    unsigned middle = (unsigned)check_random(&seed) % (count + 1);
    if (!kind_by_number(kind) && kind != TREE_INDEX)
        check_run(leaf, middle, (unsigned)check_random(&seed) % (count + 2));
    CHECK_INT(leaf_block_bytes(leaf, 0, middle) + leaf_block_bytes(leaf, middle, count), bytes);
}

/* An element whose place among the others may be any; numbers of streams ascend. */
static struct element any_element(enum tree_kind kind, uint32_t number, uint64_t place) {
    struct element element = {.member = number};
    if (kind == TREE_HASH) element.value = number * 31 + 5;
    if (kind == TREE_SCORES || kind == TREE_INDEX) element.score = (double)place;
    if (kind == TREE_INDEX) element.member = 0, element.key.high = place;
    if (kind_by_number(kind)) element.key = (struct tree_key){place / 3, place % 3 * 1000};
    return element;
}

static void changes_in_place_equal_an_array(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++)
        for (unsigned round = 0; round < 60; round++) {
            static struct element elements[LEAF_PLACES_MAX];
            unsigned count = 1;
            elements[0] = any_element(kind, 1, 0);
            struct leaf *leaf = leaf_of_one(kind, &elements[0], round % 2 ? HEAP_NODE_MAX : 500);
            for (uint32_t step = 2; step < 400; step++) {
                /* Numbers of a stream must ascend: so there, only the end is put to and replaced. */
                bool append = kind_by_number(kind);
                unsigned at = append ? count : (unsigned)(check_random(&seed) % (count + 1));
                struct element element = any_element(kind, (uint32_t)check_random(&seed) % 1000, step);
                unsigned what = (unsigned)(check_random(&seed) % 4);
                if (what < 2) {
                    struct leaf_item ready = ready_item(kind, &element);
                    if (leaf_insert(leaf, at, &ready)) {
                        memmove(elements + at + 1, elements + at, (count - at) * sizeof element);
                        elements[at] = element;
                        count++;
                    }
                    leaf_drop(&ready);
                } else if (what == 2 && count > 1) {
                    at = (unsigned)(check_random(&seed) % count);
                    if (kind_by_number(kind)) element.key = elements[at].key;
                    struct leaf_item ready = ready_item(kind, &element);
                    if (leaf_replace(leaf, at, &ready)) elements[at] = element;
                    leaf_drop(&ready);
                } else if (count > 1) {
                    at = (unsigned)(check_random(&seed) % count);
                    unsigned left = count - at < count ? count - at : count - 1;
                    unsigned gone = check_random(&seed) % 8 ? 1 : 1 + (unsigned)check_random(&seed) % left;
                    leaf_remove(leaf, at, gone);
                    memmove(elements + at, elements + at + gone, (count - at - gone) * sizeof element);
                    count -= gone;
                }
                check_leaf(leaf, elements, count);
            }
            free_leaf(leaf);
        }
}

/* Appends to a leaf, by building it anew. */
static struct leaf *grown(struct leaf *leaf, const struct element *element) {
    struct leaf_item ready = ready_item((enum tree_kind)leaf->head.kind, element);
    struct leaf_piece pieces[2] = {leaf_piece(leaf, 0, leaf->head.count), {.leaf = NULL}};
    struct leaf *larger =
        leaf_build(NULL, (enum tree_kind)leaf->head.kind, (struct leaf_parts){pieces, 2, &ready}, 0);
    CHECK(larger);
    leaf_drop(&ready);
    node_release(&leaf->head, &model_graves);
    return larger;
}

static void every_member_is_found_at_every_count(void) {
    for (enum tree_kind kind = TREE_SET; kind <= TREE_HASH; kind++) {
        struct element element = {.member = 1, .value = kind == TREE_HASH ? 7 : 0};
        struct leaf *leaf = leaf_of_one(kind, &element, 0);
        for (uint32_t count = 1; count < 120; count++) {
            for (element.member = 1; element.member < count + 5; element.member++) {
                struct tree_item item = item_of(kind, &element, texts);
                bool there = element.member <= count;
                unsigned first = leaf_prefetch(leaf, item.key.high), own = element.member - 1;
                unsigned guesses[] = {0, first, own, element.member * 7 % 130, UINT16_MAX};
                CHECK(there ? first <= own : first <= count);
                for (unsigned i = 0; i < sizeof guesses / sizeof *guesses; i++) {
                    size_t offset;
                    unsigned place = leaf_find(leaf, item.key.high, item.parts[0], guesses[i], &offset);
                    CHECK_INT(place, there ? own : count);
                    CHECK(place == count || offset == leaf_offset(leaf, place));
                }
            }
            element.member = count + 1;
            leaf = grown(leaf, &element);
        }
        free_leaf(leaf);
    }
}

static void bounds_are_those_of_the_order(void) {
    static const enum tree_kind kinds[] = {TREE_SCORES, TREE_INDEX, TREE_STREAM, TREE_PENDING};
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct element element = any_element(kinds[k], 5, 10);
        struct leaf *leaf = leaf_of_one(kinds[k], &element, 0);
        for (uint64_t place = 12; place < 100; place += 2) {
            element = any_element(kinds[k], 5, place);
            leaf = grown(leaf, &element);
        }
        for (uint64_t place = 9; place < 101; place++) {
            bool equal;
            element = any_element(kinds[k], 5, place);
            struct tree_item item = item_of(kinds[k], &element, texts);
            CHECK_INT(leaf_lower_bound(leaf, &item, &equal), place < 10 ? 0 : (place - 9) / 2);
            CHECK_INT(equal, place % 2 == 0 && place >= 10 && place < 100);
            for (unsigned guess = 0; guess < 50; guess++) { /* of all of which one is right */
                unsigned found = guess;
                size_t offset;
                CHECK_INT(leaf_seek(leaf, &item, UINT64_MAX, &found, &offset), equal);
                CHECK_INT(found, place < 10 ? 0 : (place - 9) / 2);
                CHECK(!equal || offset == leaf_offset(leaf, found));
            }
        }
        free_leaf(leaf);
    }
}

/* A member that begins with this letter. */
static struct tree_item lettered(double score, char text[300], unsigned letter) {
    static const size_t lens[] = {20, 1, 300, 9};
    memset(text, 'x', 300);
    text[0] = (char)('a' + letter);
    return (struct tree_item){.score = score, .parts = {{text, lens[letter / 2 % 4]}}};
}

/* A new leaf with one member more at its end. */
static struct leaf *with_last(struct leaf *leaf, const struct tree_item *item) {
    struct leaf_item ready;
    struct leaf_piece pieces[2] = {{.leaf = NULL}, {.leaf = NULL}};
    CHECK(leaf_prepare(TREE_SCORES, item, &ready));
    if (leaf) pieces[0] = leaf_piece(leaf, 0, leaf->head.count);
    struct leaf *more = leaf_build(NULL, TREE_SCORES, (struct leaf_parts){pieces, leaf ? 2u : 1u, &ready}, 0);
    CHECK(more);
    leaf_drop(&ready);
    if (leaf) node_release(&leaf->head, &model_graves);
    return more;
}

/* Few of one score and many, with members of all lengths: those that are there, and others that would stand before,
 * between or behind those. */
static void members_of_one_score_are_found_by_their_bytes(void) {
    enum { GROUPS = 3, MOST = 9 };
    char text[300];
    for (unsigned size = 1; size <= MOST; size++) {
        struct leaf *leaf = NULL;
        for (unsigned i = 0; i < GROUPS * size; i++) {
            struct tree_item item = lettered(i / size, text, 1 + 2 * (i % size));
            leaf = with_last(leaf, &item);
        }
        for (unsigned group = 0; group < GROUPS; group++)
            for (unsigned letter = 0; letter <= 2 * size; letter++)
                for (unsigned guess = 0; guess <= GROUPS * size; guess++) {
                    struct tree_item item = lettered(group, text, letter);
                    unsigned place = guess;
                    size_t offset;
                    CHECK_INT(leaf_seek(leaf, &item, UINT64_MAX, &place, &offset), letter % 2);
                    CHECK_INT(place, group * size + letter / 2);
                    CHECK(letter % 2 == 0 || offset == leaf_offset(leaf, place));
                }
        free_leaf(leaf);
    }
}

/* Numbers that lie evenly, in two heaps, or anyhow: wherever one looks first, the bound is what counting says. */
static void bounds_do_not_depend_on_how_numbers_lie(enum tree_kind kind) {
    enum { MOST = 150 };
    for (unsigned round = 0; round < 60; round++) {
        uint64_t numbers[MOST], next = 1;
        unsigned count = 1 + (unsigned)check_random(&seed) % MOST, below = 0;
        struct leaf *leaf = NULL;
        for (unsigned i = 0; i < count; i++) {
            struct element element = {.member = 5, .key = {next / 3, next % 3}};
            numbers[i] = next;
            leaf = leaf ? grown(leaf, &element) : leaf_of_one(kind, &element, 0);
            next += 1 + (round % 3 == 1 && i == count / 8 ? 5000
                         : round % 3 == 2                 ? check_random(&seed) % 40
                                                          : 2);
        }
        for (uint64_t number = 0; number < next + 10; number++) {
            struct tree_item item = {.key = {number / 3, number % 3}};
            bool equal, there = below < count && numbers[below] == number;
            CHECK_INT(leaf_lower_bound(leaf, &item, &equal), below);
            CHECK_INT(equal, there);
            for (uint64_t behind = 0; behind < 3; behind++) { /* where the next leaf begins is known */
                unsigned place = 0;
                size_t offset;
                CHECK_INT(leaf_seek(leaf, &item, next / 3 + behind * 500, &place, &offset), there);
                CHECK(place == below && (!there || offset == leaf_offset(leaf, place)));
            }
            below += there;
        }
        free_leaf(leaf);
    }
}

static void bounds_among_numbers_do_not_depend_on_how_these_lie(void) {
    bounds_do_not_depend_on_how_numbers_lie(TREE_STREAM);
    bounds_do_not_depend_on_how_numbers_lie(TREE_PENDING);
}

static void parts_of_every_length_come_back(void) {
    static char text[3 * TEXT_MAX];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < 1100; len++) {
        struct tree_item item = {.key = {hash_bytes(&model_seed, (struct bytes){text, len}), 0},
                                 .parts = {{text, len}, {text, 1100 - len}}};
        struct tree_item read;
        struct leaf_item ready;
        struct leaf_piece piece = {.leaf = NULL};
        size_t offset;
        CHECK(leaf_prepare(TREE_HASH, &item, &ready));
        struct leaf *leaf = leaf_build(NULL, TREE_HASH, (struct leaf_parts){&piece, 1, &ready}, 0);
        leaf_drop(&ready);
        CHECK(leaf && leaf_find(leaf, item.key.high, item.parts[0], 0, &offset) == 0);
        leaf_get(leaf, 0, 0, &read);
        CHECK_BYTES(read.parts[0], item.parts[0]);
        CHECK_BYTES(read.parts[1], item.parts[1]);
        CHECK((read.blocks[0] != NULL) == (len > 512) && (read.blocks[1] != NULL) == (1100 - len > 512));
        free_leaf(leaf);
    }
}

static void numbers_of_streams_reach_far(void) {
    static const struct tree_key keys[] = {{0, 0},
                                           {0, 1},
                                           {0, UINT64_MAX},
                                           {1, 0},
                                           {1, 255},
                                           {1, 256},
                                           {127, 0},
                                           {128, 7},
                                           {1ull << 40, 3},
                                           {UINT64_MAX, 0},
                                           {UINT64_MAX, UINT64_MAX}};
    enum { KEYS = sizeof keys / sizeof *keys };
    for (unsigned round = 0; round < 2 * KEYS; round++) {
        enum tree_kind kind = round < KEYS ? TREE_STREAM : TREE_PENDING;
        unsigned first = round % KEYS;
        struct element element = {.member = 5, .key = keys[first]};
        struct leaf *leaf = leaf_of_one(kind, &element, 0);
        for (unsigned i = first + 1; i < KEYS; i++) {
            element.key = keys[i];
            leaf = grown(leaf, &element);
        }
        for (unsigned i = first; i < KEYS; i++) {
            struct tree_key key = leaf_key(leaf, i - first, &model_seed);
            CHECK(key.high == keys[i].high && key.low == keys[i].low);
        }
        free_leaf(leaf);
    }
}

static void without_memory_nothing_is_held(void) {
    struct element element = {.member = 97 * 41, .value = 97 * 82};
    struct tree_item item = item_of(TREE_HASH, &element, texts);
    struct leaf_item ready;
    struct leaf_piece piece = {.leaf = NULL};
    CHECK(item.parts[0].len > 512 && item.parts[1].len > 512);
    for (allocations_left = 0; allocations_left < 2; allocations_left++) {
        long left = allocations_left;
        CHECK(!leaf_prepare(TREE_HASH, &item, &ready) && blocks_live == 0);
        allocations_left = left;
    }
    allocations_left = 2;
    CHECK(leaf_prepare(TREE_HASH, &item, &ready));
    CHECK(!leaf_build(NULL, TREE_HASH, (struct leaf_parts){&piece, 1, &ready}, 0) && nodes_live == 0);
    allocations_left = -1;
    leaf_drop(&ready);
    CHECK(blocks_live == 0);
}

int main(void) {
    seed = check_seed();
    RUN(changes_in_place_equal_an_array);
    RUN(every_member_is_found_at_every_count);
    RUN(bounds_are_those_of_the_order);
    RUN(members_of_one_score_are_found_by_their_bytes);
    RUN(bounds_among_numbers_do_not_depend_on_how_these_lie);
    RUN(parts_of_every_length_come_back);
    RUN(numbers_of_streams_reach_far);
    RUN(without_memory_nothing_is_held);
    return 0;
}
