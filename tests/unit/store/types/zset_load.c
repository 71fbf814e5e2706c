/* Sorted sets that are loaded: in any order, small and large, with members that come twice, with both zeroes, and without
 * memory at every single allocation. */
#include "store/types/zset.h"

#include <math.h>

#include "store/values/load.h"
#include "tests/unit/store/types/collection_fixture.h"

enum { MANY = 3000 };

static char text[TEXT_MAX];

static struct load_options options_of_ks(void) {
    return (struct load_options){.context = collection_context(ks),
                                 .dead = &ks->dead,
                                 .thresholds = {[TYPE_ZSET] = {200, 64}},
                                 .max_bytes = SIZE_MAX};
}

static void begin_load(struct loading *loading, const struct load_options *options) {
    load_begin(loading, options, RDB_TYPE_ZSET, RDB_VERSION_WRITTEN);
    loading->type = &type_zset;
    loading->value = (struct value){.type = TYPE_ZSET, .bytes = {loading->bytes, 0}};
}

/* Some are equal, one is -0 and one is 0. */
static double score_of_member(unsigned number) {
    return number == 7 ? -0.0 : number == 8 ? 0.0 : (double)(number / 3) - 100;
}

static enum rdb_answer add(struct loading *loading, unsigned number, double score) {
    struct rdb_element element = {.name = text_of(number, text), .score = score};
    return type_zset.load(loading, &element);
}

enum order { UP, DOWN, ANY };

/* The number of the i-th one that comes: a permutation, where that is to be any. */
static unsigned number_at(unsigned i, unsigned count, enum order order) {
    if (order == ANY) return i * 1009 % count;
    return order == UP ? i : count - 1 - i;
}

static enum rdb_answer load_many(struct loading *loading, unsigned count, enum order order) {
    for (unsigned i = 0; i < count; i++) {
        unsigned number = number_at(i, count, order);
        enum rdb_answer answer = add(loading, number, score_of_member(number));
        if (answer != RDB_TAKEN) return answer;
    }
    return type_zset.loaded(loading);
}

static void check_many(const struct value *value, unsigned count) {
    size_t long_bytes = 0;
    CHECK_INT(zset_count(value), count);
    for (unsigned i = 0; i < count; i++) {
        struct bytes member = text_of(i, text);
        double score;
        CHECK(zset_find(ks, value, member, &score) && score == score_of_member(i));
        CHECK(!!signbit(score) == !!signbit(score_of_member(i)));
        long_bytes += member.len > 1024 ? member.len : 0;
    }
    if (value->kind != VALUE_OBJECT) return;
    const struct collection *collection = collection_of(value->object);
    CHECK(tree_check(&collection->tree, &hash_seed) && tree_check(&collection->index, &hash_seed));
    CHECK_INT(collection->index.count, count);
    CHECK(collection->long_bytes >= long_bytes && (collection->long_bytes > 0) == (long_bytes > 0));
}

static void any_order_makes_the_same(void) {
    static const unsigned counts[] = {1, 9, 130, 257, 400, MANY - 1};
    for (enum order order = UP; order <= ANY; order++)
        for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++) {
            begin();
            struct load_options options = options_of_ks();
            struct loading loading;
            begin_load(&loading, &options);
            loading.value.edited = true; /* as what has a long member, so that -0 stays */
            CHECK(load_many(&loading, counts[c], order) == RDB_TAKEN);
            check_many(&loading.value, counts[c]);
            load_end(&loading);
            end();
        }
}

/* As redis-server writes them; each member has the same length, so the leaves can be full. */
static void in_order_the_leaves_are_full(void) {
    for (enum order order = UP; order <= DOWN; order++) {
        begin();
        struct load_options options = options_of_ks();
        struct loading loading;
        begin_load(&loading, &options);
        for (unsigned i = 0; i < MANY; i++) {
            unsigned number = number_at(i, MANY, order);
            struct rdb_element element = {.score = number};
            element.name = (struct bytes){text, (size_t)snprintf(text, sizeof text, "m%011u", number)};
            CHECK(type_zset.load(&loading, &element) == RDB_TAKEN);
        }
        CHECK(type_zset.loaded(&loading) == RDB_TAKEN);
        CHECK(collection_memory(loading.value.object) < MANY * 37);
        load_end(&loading);
        end();
    }
}

static void a_member_that_comes_twice_is_refused(void) {
    static const unsigned counts[] = {20, 400, MANY};
    for (enum order order = UP; order <= ANY; order++)
        for (unsigned c = 0; c < 2 * sizeof counts / sizeof *counts; c++) {
            begin();
            struct load_options options = options_of_ks();
            struct loading loading;
            begin_load(&loading, &options);
            unsigned count = counts[c / 2], twice = count / 2;
            double score = score_of_member(twice) + (c % 2 ? 1e6 : 0);
            enum rdb_answer answer = RDB_TAKEN;
            for (unsigned i = 0; i < count && answer == RDB_TAKEN; i++) {
                unsigned number = number_at(i, count, order);
                answer = add(&loading, number, score_of_member(number));
                if (i == count - 3 && answer == RDB_TAKEN) answer = add(&loading, twice, score);
            }
            if (answer == RDB_TAKEN) answer = type_zset.loaded(&loading);
            CHECK_INT(answer, RDB_REFUSED);
            load_end(&loading);
            bury_all();
            end();
        }
}

static void without_memory_everything_is_given_back(void) {
    begin();
    struct load_options options = options_of_ks();
    enum rdb_answer answer = RDB_NO_ROOM;
    for (long at = 0; answer != RDB_TAKEN; at++) {
        struct loading loading;
        begin_load(&loading, &options);
        fail_at = at;
        answer = load_many(&loading, 700, DOWN);
        bool failed = fail_at < 0;
        fail_at = -1;
        CHECK(answer == RDB_TAKEN || (failed && answer == RDB_NO_ROOM));
        load_end(&loading);
        bury_all();
        CHECK_INT(nodes_live, 0);
    }
    end();
}

/* Zeroes lose their sign in what Redis has as a listpack, and only there. */
static void loads_have_the_zeroes_of_redis(void) {
    static const struct {
        unsigned members;
        size_t longest;
        bool negative;
    } cases[] = {{10, 3, false}, {150, 3, false}, {10, 70, true}, {150, 70, true}, {250, 3, true}};
    for (unsigned c = 0; c < sizeof cases / sizeof *cases; c++) {
        begin();
        struct load_options options = options_of_ks();
        struct loading loading;
        begin_load(&loading, &options);
        for (unsigned i = 0; i < cases[c].members; i++) {
            char name[128];
            size_t len = (size_t)snprintf(name, sizeof name, "%03u%0100u", i, 0u);
            struct rdb_element element = {.name = {name, i + 1 < cases[c].members ? 3 : cases[c].longest},
                                          .score = i % 3   ? -0.0
                                                   : i % 2 ? 1
                                                           : 0};
            CHECK(len > cases[c].longest);
            CHECK(type_zset.load(&loading, &element) == RDB_TAKEN);
        }
        CHECK(type_zset.loaded(&loading) == RDB_TAKEN);
        CHECK_INT(zset_count(&loading.value), cases[c].members);
        CHECK_INT(loading.value.edited, cases[c].negative);
        for (unsigned i = 0; i + 1 < cases[c].members; i++) {
            char name[16];
            double score;
            snprintf(name, sizeof name, "%03u", i);
            CHECK(zset_find(ks, &loading.value, bytes_of(name), &score));
            CHECK(score == (i % 3 || i % 2 == 0 ? 0 : 1));
            CHECK_INT(!!signbit(score), i % 3 && cases[c].negative);
        }
        load_end(&loading);
        end();
    }
}

int main(void) {
    seed = check_seed();
    RUN(any_order_makes_the_same);
    RUN(in_order_the_leaves_are_full);
    RUN(a_member_that_comes_twice_is_refused);
    RUN(without_memory_everything_is_given_back);
    RUN(loads_have_the_zeroes_of_redis);
    return 0;
}
