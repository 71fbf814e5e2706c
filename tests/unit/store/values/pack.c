/* Packs against a list of strings, with elements of every length; what whoever writes one may get wrong; and what small
 * collections take in memory. */
#include "store/values/pack.h"

#include "store/index/entry.h"
#include "store/memory/slab.h"
#include "store/values/intset.h"
#include "store/values/list_pack.h"
#include "store/values/score.h"
#include "tests/unit/store/values/elements.h"

static unsigned long long seed;

static uint32_t below(uint32_t limit) {
    return (uint32_t)(check_random(&seed) % limit);
}

/* ---- The model ------------------------------------------------------------------------------------ */

static uint32_t model_find(const struct model *model, unsigned step, struct bytes bytes) {
    for (uint32_t i = 0; i < model->count; i += step)
        if (bytes_equal(block_bytes(model->elements[i]), bytes)) return i;
    return model->count;
}

static void check_equal(const struct pack *pack, const struct model *model, unsigned step) {
    struct bytes bytes = pack_bytes(pack);
    CHECK_INT(pack_count(bytes), model->count);
    CHECK((bytes.len == 0) == (model->count == 0));
    struct pack_walk walk = pack_from(bytes, 0);
    struct element element;
    for (uint32_t i = 0; i < model->count; i++) {
        CHECK(pack_next(&walk, &element));
        CHECK_BYTES(element.bytes, block_bytes(model->elements[i]));
        CHECK(element.block == (element.bytes.len > ELEMENT_INLINE_MAX ? model->elements[i] : NULL));
    }
    CHECK(!pack_next(&walk, &element));
    if (model->count) {
        uint32_t index = below(model->count);
        struct bytes wanted = block_bytes(model->elements[index]);
        CHECK_BYTES(pack_at(bytes, index).bytes, wanted);
        CHECK_INT(pack_find(bytes, step, wanted), model_find(model, step, wanted));
    }
}

/* Asks without room first: nothing may change then. */
static void insert(struct pack *pack, struct model *model, uint32_t index, uint32_t count) {
    struct element elements[2];
    for (uint32_t i = 0; i < count; i++) {
        model_insert(model, index + i, some_element(&seed, some_len(&seed)));
        elements[i] = element_for(model->elements[index + i]);
    }
    uint32_t before = pack_count(pack_bytes(pack));
    size_t len = pack_insert(pack, index, elements, count);
    if (len <= pack->capacity) return;
    CHECK_INT(pack_count(pack_bytes(pack)), before);
    give_room(pack, len);
    CHECK(pack_insert(pack, index, elements, count) == len && pack->len == len);
}

static void replace(struct pack *pack, struct model *model, uint32_t index) {
    struct block *block = some_element(&seed, some_len(&seed));
    struct element element = element_for(block);
    size_t len = pack_replace(pack, index, &element);
    if (len > pack->capacity) {
        give_room(pack, len);
        CHECK(pack_replace(pack, index, &element) == len);
    }
    block_release(model->elements[index]);
    model->elements[index] = block;
}

static void step_of(struct pack *pack, struct model *model, unsigned step, bool growing) {
    uint32_t places = model->count / step + 1, index = below(places) * step;
    unsigned what = below(8);
    if (what < (growing ? 5u : 2u) && model->count + step < ELEMENTS_MAX) {
        insert(pack, model, index, step);
    } else if (model->count && what < 6) {
        if (index == model->count) index -= step;
        uint32_t count = below(8) ? step : step * (1 + below((model->count - index) / step));
        pack_delete(pack, index, count);
        model_delete(model, index, count);
        give_room(pack, pack->len);
    } else if (model->count) {
        replace(pack, model, below(model->count));
    }
}

static void a_pack_is_a_list_of_strings(void) {
    for (unsigned round = 0; round < 40; round++) {
        struct pack pack = {0};
        struct model model = {0};
        unsigned step = 1 + round % 2;
        for (unsigned i = 0; i < 600; i++) {
            step_of(&pack, &model, step, i / 200 % 2 == 0);
            check_equal(&pack, &model, step);
        }
        model_end(&model);
        free(pack.data);
    }
}

static void it_has_65535_elements_at_most(void) {
    struct pack pack = {0};
    struct element empty[2] = {element_of(BYTES("")), element_of(BYTES(""))};
    give_room(&pack, PACK_HEAD + PACK_COUNT_MAX + 1);
    for (uint32_t i = 0; i < PACK_COUNT_MAX - 1; i++) CHECK(pack_insert(&pack, i, empty, 1) <= pack.capacity);
    CHECK(pack_insert(&pack, 0, empty, 2) == PACK_NEVER);
    CHECK(pack_insert(&pack, 0, empty, 1) == pack.capacity - 1);
    CHECK(pack_insert(&pack, 0, empty, 1) == PACK_NEVER);
    CHECK_INT(pack_count(pack_bytes(&pack)), PACK_COUNT_MAX);
    CHECK_INT(pack_find(pack_bytes(&pack), 1, BYTES("x")), PACK_COUNT_MAX);
    free(pack.data);
}

/* Equal bytes are found as members alone. */
static void values_are_not_found_as_fields(void) {
    struct pack pack = {0};
    struct element pair[2] = {element_of(BYTES("field")), element_of(BYTES("value"))};
    give_room(&pack, pack_insert(&pack, 0, pair, 2));
    pack_insert(&pack, 0, pair, 2);
    CHECK_INT(pack_find(pack_bytes(&pack), 2, BYTES("field")), 0);
    CHECK_INT(pack_find(pack_bytes(&pack), 2, BYTES("value")), 2);
    CHECK_INT(pack_find(pack_bytes(&pack), 1, BYTES("value")), 1);
    free(pack.data);
}

static void a_rank_counts_lower_scores_and_members(void) {
    static const double scores[] = {-1e300, -7, 0, 0, 3.5, 70000};
    struct pack pack = {0};
    give_room(&pack, 1000);
    for (uint32_t i = 0; i < 6; i++) {
        char name = (char)('a' + i), score[SCORE_MAX_LEN];
        struct element pair[2] = {element_of((struct bytes){&name, 1}),
                                  element_of((struct bytes){score, score_put(score, scores[i])})};
        pack_insert(&pack, 2 * i, pair, 2);
    }
    for (uint32_t i = 0; i < 6; i++) {
        char name = (char)('a' + i);
        CHECK_INT(pack_rank(pack_bytes(&pack), scores[i], (struct bytes){&name, 1}), i);
    }
    CHECK_INT(pack_rank(pack_bytes(&pack), 0, BYTES("")), 2);
    CHECK_INT(pack_rank(pack_bytes(&pack), 0, BYTES("cc")), 3);
    CHECK_INT(pack_rank(pack_bytes(&pack), 0, BYTES("x")), 4);
    CHECK_INT(pack_rank(pack_bytes(&pack), 1e9, BYTES("")), 6);
    free(pack.data);
}

/* ---- Bytes of others ------------------------------------------------------------------------------ */

static void what_is_no_pack_is_refused(void) {
    static const struct {
        struct bytes bytes;
        unsigned step;
        bool valid;
    } cases[] = {
        {BYTES_INIT(""), 2, true},
        {BYTES_INIT("\1"), 1, false},
        {BYTES_INIT("\0\0"), 1, false},
        {BYTES_INIT("\1\0"), 1, false},
        {BYTES_INIT("\1\0\0"), 1, true},
        {BYTES_INIT("\1\0\0"), 2, false},
        {BYTES_INIT("\1\0\1"), 1, false},
        {BYTES_INIT("\1\0\1a"), 1, true},
        {BYTES_INIT("\1\0\1ab"), 1, false},
        {BYTES_INIT("\2\0\1\1ab"), 2, true},
        {BYTES_INIT("\xff\xff\1\1ab"), 1, false},
        {BYTES_INIT("\1\0\xfe"), 1, false},
        {BYTES_INIT("\1\0\xfe\2\0ab"), 1, false}, /* as long as that it is not */
        {BYTES_INIT("\1\0\xff"
                    "abcdefgh"),
         1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(pack_valid(cases[i].bytes, cases[i].step) == cases[i].valid);
}

static void a_pack_cut_off_is_refused(void) {
    struct pack pack = {0};
    struct block *blocks[3] = {some_element(&seed, 5), some_element(&seed, 254), some_element(&seed, 1024)};
    for (uint32_t i = 0; i < 3; i++) {
        struct element element = element_for(blocks[i]);
        give_room(&pack, pack_insert(&pack, i, &element, 1));
        pack_insert(&pack, i, &element, 1);
    }
    CHECK(pack_valid(pack_bytes(&pack), 1));
    for (size_t len = 1; len < pack.len; len++) CHECK(!pack_valid((struct bytes){pack.data, len}, 1));
    for (uint32_t i = 0; i < 3; i++) block_release(blocks[i]);
    free(pack.data);
}

/* ---- What they take ------------------------------------------------------------------------------- */

/* Of a key with 16 bytes: its entry with the slab's rounding and what a chunk leaves over, and its share
 * of the buckets. */
static double bytes_a_key(size_t value_len) {
    size_t class = slab_class_size(slab_class(entry_size_of(false, 16, value_len)));
    double bucket = 64 / 7.5 * 1.1;
    return (double)ARENA_CHUNK_BYTES / (double)(ARENA_CHUNK_BYTES / class) + bucket;
}

static void add(struct pack *pack, size_t len) {
    struct element element = element_of((struct bytes){"abcdefghijklmnop", len});
    uint32_t count = pack_count(pack_bytes(pack));
    size_t room = pack_insert(pack, count, &element, 1);
    give_room(pack, room);
    pack_insert(pack, count, &element, 1);
}

/* So many elements of a length and of another in turns. */
static size_t pack_len(uint32_t count, size_t first, size_t second) {
    struct pack pack = {0};
    for (uint32_t i = 0; i < count; i++) {
        add(&pack, first);
        if (second) add(&pack, second);
    }
    free(pack.data);
    return pack.len;
}

static size_t list_len(uint32_t count, size_t len) {
    struct pack pack = {0};
    struct element element = element_of((struct bytes){"abcdefghijklmnop", len});
    for (uint32_t i = 0; i < count; i++) {
        give_room(&pack, list_pack_insert(&pack, pack.len, &element));
        list_pack_insert(&pack, pack.len, &element);
    }
    free(pack.data);
    return pack.len;
}

static size_t intset_len(uint32_t count) {
    struct pack set = {0};
    for (uint32_t i = 0; i < count; i++) {
        give_room(&set, intset_insert(&set, i, i * 299));
        intset_insert(&set, i, i * 299);
    }
    free(set.data);
    return set.len;
}

static void small_collections_are_small(void) {
    char score[SCORE_MAX_LEN];
    const struct {
        const char *shape;
        size_t len;
        double elements, most;
    } shapes[] = {
        {"hash of 10 fields, 8 + 8 bytes", pack_len(10, 8, 8), 10, 22},
        {"hash of 100 fields, 8 + 16 bytes", pack_len(100, 8, 16), 100, 28},
        {"set of 10 members, 8 bytes", pack_len(10, 8, 0), 10, 14},
        {"set of 100 integers below 30,000", intset_len(100), 100, 2.9},
        {"sorted set of 10 members, 8 bytes, scores below 100,000", pack_len(10, 8, score_put(score, 99999)),
         10, 19},
        {"list of 10 elements, 16 bytes", list_len(10, 16), 10, 22},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        double each = bytes_a_key(shapes[i].len) / shapes[i].elements;
        printf("%s: %.1f bytes each\n", shapes[i].shape, each);
        CHECK(each <= shapes[i].most);
    }
}

int main(void) {
    seed = check_seed();
    RUN(a_pack_is_a_list_of_strings);
    RUN(it_has_65535_elements_at_most);
    RUN(values_are_not_found_as_fields);
    RUN(a_rank_counts_lower_scores_and_members);
    RUN(what_is_no_pack_is_refused);
    RUN(a_pack_cut_off_is_refused);
    RUN(small_collections_are_small);
    return 0;
}
