/* Trees of every kind against a plain model: random changes, versions that somebody holds, and an allocator that fails. */
#ifdef KEVY_TREE_SMALL /* tests/unit/store/tree_small.c */
#include "store/values/tree_change.c"
#include "store/values/leaf.c"
#include "store/values/node.c"
#include "store/values/tree.c"
#include "store/values/tree_split.c"
#endif
#include "store/values/tree_change.h"

#include "tests/check.h"
#include "tests/unit/store/tree_model.h"

enum { STEPS = 10000 };

static unsigned long long seed;
static uint32_t members; /* that the random elements have; the fewer, the more often they are met again */

static uint32_t random_below(uint32_t bound) {
    return (uint32_t)(check_random(&seed) % bound);
}

static struct element random_element(enum tree_kind kind) {
    struct element element = {.member = random_below(members), .value = random_below(100000)};
    if (kind == TREE_SCORES || kind == TREE_INDEX)
        element.score = random_below(4) ? (double)random_below(8) - 2.5 : (double)random_below(100000) / 7;
    if (kind_by_number(kind))
        element.key =
            (struct tree_key){random_below(300) * (random_below(50) ? 1u : 1u << 20), random_below(5) * 200};
    if (kind == TREE_INDEX) element.key.high = random_below(members) * 64;
    if (kind != TREE_HASH) element.value = 0;
    if (kind == TREE_INDEX) element.member = 0;
    return element;
}

/* What a random change is, so that it can be tried again. */
struct change {
    enum { PUT, REPLACE, REMOVE, PUSH, POP, INSERT_AT, REPLACE_AT, REMOVE_RANGE, CHANGES } what;
    struct element element;
    enum tree_end end;
    unsigned position, count;
};

static unsigned burst;

static struct change random_change(const struct model *model) {
    struct change change = {.what = random_below(CHANGES), .element = random_element(model->kind)};
    bool list = model->kind == TREE_LIST;
    if (burst > 0) { /* several changes at one end, one after the other */
        burst--;
        change.what = random_below(5) < 3 ? PUSH : POP;
    } else if (random_below(20) == 0) {
        burst = random_below(30);
    }
    if (change.what <= REMOVE && model->count && random_below(2))
        change.element = model->elements[random_below(model->count)];
    change.end = (list || model->kind == TREE_SCORES) && random_below(2) ? TREE_FRONT : TREE_BACK;
    change.position = model->count ? random_below(model->count) : 0;
    change.count = model->count ? 1 + random_below(random_below(8) ? 6 : 900) : 0;
    if (change.count > model->count - change.position) change.count = model->count - change.position;
    if (list && change.what <= REMOVE) change.what = random_below(2) ? INSERT_AT : PUSH;
    if (!list && (change.what == INSERT_AT || change.what == REPLACE_AT)) change.what = PUT;
    if (change.what == REMOVE_RANGE && random_below(6)) change.what = list ? INSERT_AT : PUT;
    if (change.what == PUSH && kind_by_hash(model->kind)) change.what = PUT;
    if (change.what == PUSH && !list) { /* above all others, or below them */
        const struct element *last = &model->elements[model->count ? model->count - 1 : 0];
        bool has_key = kind_by_number(model->kind) || model->kind == TREE_INDEX;
        if (model->count && has_key && change.element.key.high <= last->key.high)
            change.element.key.high = last->key.high + 1 + random_below(3);
        if (model->count && model->kind == TREE_SCORES)
            change.element.score = change.end == TREE_FRONT ? model->elements[0].score - 1 : last->score + 1;
    }
    if (model->count == 0 && (change.what == POP || change.what == REPLACE_AT || change.what == REMOVE_RANGE))
        change.what = list ? PUSH : PUT;
    if (model->count + 1 >= MODEL_MAX) change.what = POP;
    return change;
}

/* By the short way, now and then, where that is possible. */
static bool push_short(struct tree *tree, const struct tree_item *item, enum tree_end end) {
    return tree->kind == TREE_LIST && random_below(2) && tree_push_short(tree, item->parts[0], end);
}
static bool pop_short(struct tree *tree, enum tree_end end) {
    struct tree_item going;
    struct bytes text;
    if (tree->kind != TREE_LIST || random_below(2)) return false;
    tree_get_end(tree, end, &going);
    if (!tree_pop_short(tree, end, &text)) return false;
    CHECK_BYTES(text, going.parts[0]);
    return true;
}

/* A short member, or a field and its value, takes the short way now and then. */
static enum tree_changed put(struct tree *tree, const struct tree_context *context,
                             const struct tree_item *item, bool replace) {
    bool kind = replace ? tree->kind == TREE_HASH : tree->kind == TREE_SET;
    if (!kind || (item->parts[0].len | item->parts[1].len) > LEAF_PART_LEAST || random_below(3) == 0)
        return tree_put(tree, context, item, replace);
    return tree_put_short(tree, context, item->key.high, item->parts);
}

/* What has a score is taken out from where it was found now and then. */
static enum tree_changed take(struct tree *tree, const struct tree_context *context,
                              const struct tree_item *item) {
    struct tree_cursor cursor;
    struct tree_item found;
    uint64_t count = tree->count;
    if ((tree->kind == TREE_SCORES || tree->kind == TREE_INDEX) && random_below(2) &&
        tree_lower_bound(&cursor, tree, item)) {
        tree_get(&cursor, &found);
        if (found.score == item->score && tree_take_at(tree, context, &cursor)) {
            CHECK_INT(tree->count, count - 1);
            return TREE_REMOVED;
        }
    }
    return tree_remove(tree, context, item);
}

/* Does it to the tree. False: there was no memory. *changed: what tree_put and tree_remove said. */
static bool do_change(struct tree *tree, const struct change *change, enum tree_changed *changed) {
    static char texts[2][TEXT_MAX];
    struct tree_item item = item_of(tree->kind, &change->element, texts);
    struct tree_context guessing = model_context, *context = &guessing;
    guessing.guess = some_guess(tree, &item, random_below(UINT32_MAX));
    switch (change->what) {
    case PUT: return (*changed = put(tree, context, &item, false)) != TREE_NO_MEMORY;
    case REPLACE: return (*changed = put(tree, context, &item, true)) != TREE_NO_MEMORY;
    case REMOVE: return (*changed = take(tree, context, &item)) != TREE_NO_MEMORY;
    case PUSH: return push_short(tree, &item, change->end) || tree_push(tree, context, &item, change->end);
    case POP: return pop_short(tree, change->end) || tree_pop(tree, context, change->end);
    case INSERT_AT: return tree_insert_at(tree, context, change->position, &item);
    case REPLACE_AT: return tree_replace_at(tree, context, change->position, &item);
    default: return tree_remove_range(tree, context, change->position, change->count);
    }
}

/* In sets, hashes and indexes positions are the tree's own: what a range or a pop takes is looked up before. */
static void model_remove_elements(struct model *model, const struct element *elements, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        bool found;
        unsigned at = model_find(model, &elements[i], &found);
        CHECK(found);
        model_remove(model, at, 1);
    }
}

static void model_change(struct model *model, const struct change *change, enum tree_changed changed,
                         const struct element *before) {
    bool found = false;
    unsigned at = model->kind == TREE_LIST ? 0 : model_find(model, &change->element, &found);
    if (model->kind == TREE_INDEX && change->what != REMOVE) found = false;
    switch (change->what) {
    case PUT:
    case REPLACE:
        CHECK_INT(changed, !found ? TREE_ADDED : change->what == PUT ? TREE_UNCHANGED : TREE_REPLACED);
        if (!found) model_insert(model, at, &change->element);
        if (found && change->what == REPLACE) model->elements[at] = change->element;
        break;
    case REMOVE:
        CHECK_INT(changed, found ? TREE_REMOVED : TREE_UNCHANGED);
        if (found) model_remove(model, at, 1);
        break;
    case PUSH: model_insert(model, change->end == TREE_BACK ? model->count : 0, &change->element); break;
    case POP:
        model_remove_elements(model, &before[change->end == TREE_BACK ? model->count - 1 : 0], 1);
        break;
    case INSERT_AT: model_insert(model, change->position, &change->element); break;
    case REPLACE_AT: model->elements[change->position] = change->element; break;
    default: model_remove_elements(model, &before[change->position], change->count);
    }
}

/* The same for lists, whose elements need not differ: positions are the model's. */
static void list_change(struct model *model, const struct change *change) {
    if (change->what == POP)
        model_remove(model, change->end == TREE_BACK ? model->count - 1 : 0, 1);
    else if (change->what == REMOVE_RANGE)
        model_remove(model, change->position, change->count);
    else
        model_change(model, change, TREE_ADDED, NULL);
}

static void change_both(struct tree *tree, struct model *model, bool without_memory) {
    static struct element before[MODEL_MAX];
    struct change change = random_change(model);
    enum tree_changed changed = TREE_ADDED;
    bool takes = change.what == POP || change.what == REMOVE_RANGE;
    if (takes && model->kind != TREE_LIST) read_tree(tree, before);
    /* First no allocation succeeds, then one, and so on, until that is enough. */
    for (long enough = 0; without_memory; enough++) {
        allocations_left = enough;
        bool done = do_change(tree, &change, &changed);
        allocations_left = -1;
        if (done) break;
        check_tree(tree, model);
        CHECK(enough < 200);
    }
    if (!without_memory) CHECK(do_change(tree, &change, &changed));
    if (model->kind == TREE_LIST)
        list_change(model, &change);
    else
        model_change(model, &change, changed, before);
    CHECK_INT(tree->count, model->count);
}

/* ---- Versions ------------------------------------------------------------------------------------- */

enum { VERSIONS = 8 };
struct version {
    struct tree tree;
    struct model model;
};
static struct version versions[VERSIONS];
static unsigned version_count;

/* A version that is being walked, while the others change. */
struct walking {
    struct tree_walk walk;
    struct model model;
    unsigned count;
    struct element elements[MODEL_MAX];
};
static struct walking walking[2];

static void begin_walk(struct walking *to, struct version *version) {
    to->walk = tree_walk(&version->tree);
    CHECK(version->tree.root == NULL && version->tree.count == 0);
    to->model = version->model;
    to->count = 0;
}

/* Some elements further; a walk that has ended is one of no elements. */
static void walk_on(struct walking *walked, unsigned steps) {
    struct tree_item item;
    for (; steps > 0; steps--) {
        if (!tree_walk_next(&walked->walk, &item, &model_graves)) {
            check_elements(&walked->model, walked->elements, walked->count);
            walked->count = walked->model.count = 0;
            return;
        }
        walked->elements[walked->count++] = element_of(walked->walk.kind, &item);
    }
}

static void stop_walk(struct walking *walked) {
    tree_walk_end(&walked->walk, &model_graves);
    walked->count = walked->model.count = 0;
}

/* What a version held is walked from now on. */
static void give_up(struct version *version) {
    struct walking *to = &walking[random_below(2)];
    stop_walk(to);
    begin_walk(to, version);
}

static void change_versions(struct tree *tree, struct model *model) {
    struct version *some = version_count ? &versions[random_below(version_count)] : NULL;
    unsigned what = random_below(5);
    if (what == 0 && version_count < VERSIONS) {
        tree_fork(&versions[version_count].tree, tree);
        versions[version_count++].model = *model;
    } else if (what == 1 && some) { /* the copy is what changes from now on */
        struct version kept = {*tree, *model};
        *tree = some->tree, *model = some->model;
        *some = kept;
    } else if (what == 2 && some) {
        check_tree(&some->tree, &some->model);
    } else if (what >= 3 && some) {
        if (what == 3)
            tree_release(&some->tree, &model_graves);
        else
            give_up(some);
        *some = versions[--version_count];
    }
}

static void random_changes(enum tree_kind kind, unsigned steps, bool with_versions) {
    static struct model model;
    struct tree tree = tree_empty(kind);
    model.kind = kind;
    model.count = 0;
    if (getenv("KEVY_SEED")) printf("kind %d members %u\n", kind, members);
    for (unsigned i = 0; i < steps; i++) {
        change_both(&tree, &model, random_below(with_versions ? 10 : 40) == 0);
        if (with_versions && random_below(20) == 0) change_versions(&tree, &model);
        if (with_versions) walk_on(&walking[random_below(2)], random_below(40));
        if (random_below(64) == 0) check_tree(&tree, &model);
        if (random_below(100) == 0) dig_all();
    }
    check_tree(&tree, &model);
    while (version_count > 0) {
        struct version *version = &versions[--version_count];
        check_tree(&version->tree, &version->model);
        tree_release(&version->tree, &model_graves);
    }
    tree_release(&tree, &model_graves);
    for (unsigned i = 0; i < 2; i++)
        random_below(2) ? walk_on(&walking[i], UINT32_MAX) : stop_walk(&walking[i]);
    dig_all();
    CHECK_INT(nodes_live, 0);
    CHECK_INT(blocks_live, 0);
    CHECK_INT(bytes_referred_to, 0);
}

static void random_changes_equal_the_model(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++)
        for (members = 50; members <= 50000; members *= 10) random_changes(kind, STEPS, false);
}

static void versions_stay_as_they_were(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++)
        for (members = 100; members <= 10000; members *= 10) random_changes(kind, STEPS, true);
}

/* Members are found with either zero, whichever they have. */
static void both_zeroes_are_one_score(void) {
    enum { MEMBERS = 2000 };
    static char item_texts[2][TEXT_MAX];
    struct tree tree = tree_empty(TREE_SCORES);
    struct tree_cursor cursor;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct element element = {.member = i * 7919 % MEMBERS, .score = i % 2 ? 0.0 : -0.0};
        struct tree_item item = item_of(TREE_SCORES, &element, item_texts);
        CHECK(tree_put(&tree, &model_context, &item, false) == TREE_ADDED);
    }
    CHECK(tree_check(&tree, &model_seed));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct element element = {.member = i * 7919 % MEMBERS, .score = i % 2 ? -0.0 : 0.0};
        struct tree_item item = item_of(TREE_SCORES, &element, item_texts);
        CHECK(tree_lower_bound(&cursor, &tree, &item) && tree_rank(&cursor) == element.member);
        CHECK(tree_put(&tree, &model_context, &item, true) == TREE_REPLACED);
    }
    CHECK_INT(tree.count, MEMBERS);
    tree_release(&tree, &model_graves);
    dig_all();
    CHECK(nodes_live == 0 && blocks_live == 0);
}

/* Equal hashes of an index stay in one leaf, also at the end of the last one, where others would begin a leaf. */
static void equal_hashes_stay_together(void) {
    enum { GROUPS = 6, EACH = 130 };
    struct tree tree = tree_empty(TREE_INDEX);
    struct tree_cursor cursor;
    for (unsigned i = 0; i < GROUPS * EACH; i++) {
        struct tree_item item = {.key = {i / EACH, 0}, .score = i % EACH};
        CHECK(tree_put(&tree, &model_context, &item, false) == TREE_ADDED);
        CHECK(tree_check(&tree, &model_seed));
    }
    for (uint64_t hash = 0; hash < GROUPS; hash++) {
        struct tree_item item = {.key = {hash, 0}};
        unsigned count = 0;
        CHECK(tree_lower_bound(&cursor, &tree, &item));
        for (; cursor.leaf; tree_next(&cursor), count++) {
            tree_get(&cursor, &item);
            if (item.key.high != hash) break;
        }
        CHECK_INT(count, EACH);
    }
    tree_release(&tree, &model_graves);
    dig_all();
}

/* What rows have in common may be much, so that many would fit a leaf that had room for wide ones: and then one of
 * them needs all the bytes that there are. */
static void rows_become_wide_where_many_were_narrow(void) {
    enum { WIDE = 700, NARROW = 3000 };
    struct tree tree = tree_empty(TREE_PENDING);
    for (uint64_t i = 0; i < WIDE; i++) {
        uint64_t most = i % 2 ? UINT64_MAX : 0;
        struct tree_item item = {.key = {i, most}};
        item.numbers[0] = most & ROW_TIME_MAX;
        item.numbers[1] = most & ROW_OWNER_MAX;
        item.numbers[2] = most;
        CHECK(tree_push(&tree, &model_context, &item, TREE_BACK));
    }
    for (uint64_t i = 0; i < NARROW; i++) {
        struct tree_item item = {.key = {WIDE, i * 300}};
        CHECK(tree_put(&tree, &model_context, &item, true) == TREE_ADDED);
    }
    CHECK(tree_check(&tree, &model_seed));
    for (uint64_t i = 0; i < NARROW; i += 100) {
        struct tree_item item = {.key = {WIDE, i * 300}};
        item.numbers[0] = ROW_TIME_MAX;
        item.numbers[1] = ROW_OWNER_MAX;
        item.numbers[2] = UINT64_MAX;
        CHECK(tree_put(&tree, &model_context, &item, true) == TREE_REPLACED);
    }
    CHECK(tree_check(&tree, &model_seed) && tree.count == WIDE + NARROW);
    tree_release(&tree, &model_graves);
    dig_all();
    CHECK_INT(nodes_live, 0);
}

/* ---- What trees take ------------------------------------------------------------------------------ */

static uint64_t bytes_below(const struct node *node) {
    uint64_t bytes = node_memory(node);
    for (unsigned i = 0; node->level > 0 && i < node->count; i++)
        bytes += bytes_below(inner_child(inner_at(node), i));
    return bytes;
}

static void push_many(struct tree *tree, unsigned count, size_t len) {
    static char text[1000];
    struct tree_item item = {.parts = {{text, len}}};
    for (unsigned i = 0; i < count; i++) CHECK(tree_push(tree, &model_context, &item, TREE_BACK));
}

/* Lists that get many at once, of all lengths, and lose some from the front meanwhile. */
static void many_at_once_are_as_one_by_one(void) {
    enum { MANY = 4000, AT_ONCE = 40 };
    static const size_t lens[] = {0, 1, 7, 8, 12, 16, 17, 40, 254, 255, 300, 1100};
    static char text[1200];
    static size_t sizes[MANY];
    struct tree tree = tree_empty(TREE_LIST);
    unsigned count = 0, gone = 0, at_once = 0;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i % 26);
    while (count < MANY) {
        struct bytes texts[AT_ONCE];
        unsigned some = 1 + random_below(AT_ONCE), done = 0;
        if (some > MANY - count) some = MANY - count;
        for (unsigned i = 0; i < some; i++)
            texts[i] = (struct bytes){text, lens[random_below(random_below(9) ? 8 : 12)]};
        while (done < some) {
            unsigned taken = tree_push_some(&tree, texts + done, some - done);
            CHECK(taken <= some - done);
            at_once += taken;
            done += taken;
            struct tree_item item = {.parts = {texts[done < some ? done : 0]}};
            if (done < some) CHECK(tree_push(&tree, &model_context, &item, TREE_BACK));
            done += done < some;
        }
        for (unsigned i = 0; i < some; i++) sizes[count++] = texts[i].len;
        if (random_below(4) == 0 && tree.count > 1) gone += tree_pop(&tree, &model_context, TREE_FRONT);
        CHECK_INT(tree.count, count - gone);
    }
    CHECK(tree_check(&tree, &model_seed) && at_once > MANY / 2);
    struct tree_cursor cursor;
    struct tree_item item;
    tree_select(&cursor, &tree, 0);
    for (unsigned i = gone; i < count; i++, tree_next(&cursor)) {
        tree_get(&cursor, &item);
        CHECK_BYTES(item.parts[0], ((struct bytes){text, sizes[i]}));
    }
    CHECK(cursor.leaf == NULL);
    tree_release(&tree, &model_graves);
    dig_all();
}

static void bytes_are_those_of_the_nodes(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++) {
        struct tree tree = tree_empty(kind);
        members = 5000;
        for (unsigned i = 0; i < 3000; i++) {
            struct element element = random_element(kind);
            char item_texts[2][TEXT_MAX];
            struct tree_item item = item_of(kind, &element, item_texts);
            if (kind == TREE_LIST)
                CHECK(tree_insert_at(&tree, &model_context, random_below((uint32_t)tree.count + 1), &item));
            else
                tree_put(&tree, &model_context, &item, true);
            if (random_below(3) == 0) CHECK(tree_pop(&tree, &model_context, TREE_BACK));
            CHECK(tree.count == 0 || tree.bytes == bytes_below(tree.root));
        }
        tree_release(&tree, &model_graves);
        dig_all();
    }
}

/* A range that goes whole is taken to be its share, however small its elements were: so there may seem to be less than
 * there is, but never less than nothing. */
static void leaves_that_had_room_fit_at_last(void) {
    static const enum tree_kind kinds[] = {TREE_SET, TREE_HASH, TREE_SCORES};
    struct tree_context roomy = model_context;
    roomy.roomy = true;
    members = 5000;
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct tree trees[2] = {tree_empty(kinds[k]), tree_empty(kinds[k])};
        for (unsigned i = 0; i < 3000; i++) {
            struct element element = random_element(kinds[k]);
            char texts[2][TEXT_MAX];
            struct tree_item item = item_of(kinds[k], &element, texts);
            enum tree_changed changed = tree_put(&trees[0], &model_context, &item, false);
            CHECK_INT(tree_put(&trees[1], &roomy, &item, false), changed);
        }
        CHECK_INT(trees[1].bytes, bytes_below(trees[1].root));
        uint64_t before = trees[1].bytes;
        tree_fit(&trees[1], &model_context);
        CHECK(tree_check(&trees[1], &model_seed) && trees[0].count == trees[1].count);
        CHECK_INT(trees[1].bytes, bytes_below(trees[1].root));
        CHECK(trees[1].bytes < before && trees[1].bytes < trees[0].bytes + trees[0].bytes / 16);
        for (unsigned i = 0; i < 2; i++) tree_release(&trees[i], &model_graves);
        dig_all();
    }
}

static void an_estimate_is_mended_at_the_end(void) {
    enum { TINY = LEAF_DIVISOR > 1 ? 40000 : 600000 };
    struct tree tree = tree_empty(TREE_LIST);
    push_many(&tree, TINY, 1);
    push_many(&tree, 2000, 1000);
    CHECK(tree.bytes == bytes_below(tree.root));
    CHECK(tree_remove_range(&tree, &model_context, 0, TINY - 10));
    CHECK(tree.bytes < bytes_below(tree.root) / 2);
    while (tree.count > 1) {
        CHECK(tree_pop(&tree, &model_context, random_below(2) ? TREE_FRONT : TREE_BACK));
        CHECK(tree.bytes < 1 << 21);
    }
    CHECK(tree.bytes == bytes_below(tree.root));
    tree_release(&tree, &model_graves);
    dig_all();
    CHECK(nodes_live == 0);
}

/* Of a leaf that held much little is left. */
static void leaves_shrink(void) {
    struct tree tree = tree_empty(TREE_LIST);
    push_many(&tree, 60, 12);
    CHECK(tree.root->level == 0 && tree.bytes > 60 * 12);
    while (tree.count > 2) CHECK(tree_remove_range(&tree, &model_context, 1, 1));
    CHECK(tree.bytes == bytes_below(tree.root) && tree.bytes <= 64);
    tree_release(&tree, &model_graves);
}

/* Whether elements go one by one or in ranges, few leaves are left. */
static void sparse_leaves_are_joined(void) {
    enum { ELEMENTS = 40000, LEFT = 200 };
    for (unsigned range = 1; range <= ELEMENTS / LEFT - 1; range += ELEMENTS / LEFT - 2) {
        struct tree tree = tree_empty(TREE_LIST);
        push_many(&tree, ELEMENTS, 12);
        for (unsigned i = 0; i < LEFT; i++)
            for (unsigned gone = 0; gone < ELEMENTS / LEFT - 1; gone += range)
                CHECK(tree_remove_range(&tree, &model_context, i, range));
        dig_all();
        CHECK_INT(tree.count, LEFT);
        CHECK(nodes_live < (LEAF_DIVISOR > 1 ? 40 : 12) && tree_check(&tree, &model_seed));
        tree_release(&tree, &model_graves);
        dig_all();
    }
}

#ifdef KEVY_TREE_SMALL /* the limit is small, too */
static void there_is_an_end_to_what_a_tree_takes(void) {
    struct tree tree = tree_empty(TREE_LIST), set = tree_empty(TREE_SET);
    struct tree_item item = {.parts = {BYTES_INIT("")}};
    while (tree_push(&tree, &model_context, &item, TREE_BACK)) CHECK(tree.count < 2 * TREE_COUNT_MAX);
    CHECK(tree.count >= TREE_COUNT_MAX && tree.count < TREE_COUNT_MAX + HEAP_NODE_MAX);
    CHECK(!tree_push(&tree, &model_context, &item, TREE_FRONT));
    CHECK(!tree_insert_at(&tree, &model_context, 5, &item));
    CHECK(tree_check(&tree, &model_seed));
    CHECK(tree_remove_range(&tree, &model_context, 7, tree.count - TREE_COUNT_MAX + 1));
    CHECK(tree_insert_at(&tree, &model_context, 5, &item) && tree.count == TREE_COUNT_MAX);
    for (uint32_t i = 0; i < TREE_COUNT_MAX; i++) {
        item.parts[0] = (struct bytes){(const char *)&i, sizeof i};
        item.key.high = hash_bytes(&model_seed, item.parts[0]);
        CHECK(tree_put(&set, &model_context, &item, false) == TREE_ADDED);
    }
    item.parts[0] = BYTES("another");
    item.key.high = hash_bytes(&model_seed, item.parts[0]);
    CHECK(tree_put(&set, &model_context, &item, false) == TREE_NO_MEMORY);
    tree_release(&tree, &model_graves);
    tree_release(&set, &model_graves);
    dig_all();
}
#endif

int main(void) {
    seed = check_seed();
    RUN(random_changes_equal_the_model);
    RUN(versions_stay_as_they_were);
    RUN(both_zeroes_are_one_score);
    RUN(equal_hashes_stay_together);
    RUN(rows_become_wide_where_many_were_narrow);
    RUN(many_at_once_are_as_one_by_one);
    RUN(bytes_are_those_of_the_nodes);
    RUN(leaves_that_had_room_fit_at_last);
    RUN(an_estimate_is_mended_at_the_end);
    RUN(leaves_shrink);
    RUN(sparse_leaves_are_joined);
#ifdef KEVY_TREE_SMALL
    RUN(there_is_an_end_to_what_a_tree_takes);
#endif
    return 0;
}
