/* Small lists against a list of strings: every operation at every place, from both ends, in memory of exact size. */
#include "store/values/list_pack.h"

#include "tests/unit/store/values/elements.h"

static unsigned long long seed;

static uint32_t below(uint32_t limit) {
    return (uint32_t)(check_random(&seed) % limit);
}

static void check_equal(const struct pack *pack, const struct model *model) {
    struct bytes bytes = pack_bytes(pack);
    CHECK_INT(list_pack_count(bytes), model->count);
    CHECK((bytes.len == 0) == (model->count == 0));
    size_t place = list_pack_first(bytes);
    for (uint32_t i = 0; i < model->count; i++, place = list_pack_next(bytes, place)) {
        struct element element = list_pack_at(bytes, place);
        CHECK_BYTES(element.bytes, block_bytes(model->elements[i]));
        CHECK(list_pack_seek(bytes, i) == place);
        size_t before = list_pack_before(bytes, place);
        CHECK(i == 0 ? before == LIST_PACK_NONE : list_pack_next(bytes, before) == place);
    }
    CHECK(place == bytes.len);
}

static void insert(struct pack *pack, struct model *model, uint32_t index, size_t spare) {
    struct block *block = some_element(&seed, some_len(&seed));
    struct element element = element_for(block);
    size_t place = list_pack_seek(pack_bytes(pack), index), len = list_pack_insert(pack, place, &element);
    if (len > pack->capacity) {
        CHECK_INT(list_pack_count(pack_bytes(pack)), model->count);
        give_room(pack, len + spare);
        CHECK(list_pack_insert(pack, place, &element) >= len);
    }
    model_insert(model, index, block);
}

static void replace(struct pack *pack, struct model *model, uint32_t index) {
    struct block *block = some_element(&seed, some_len(&seed));
    struct element element = element_for(block);
    size_t place = list_pack_seek(pack_bytes(pack), index), len = list_pack_replace(pack, place, &element);
    if (len > pack->capacity) {
        give_room(pack, len);
        CHECK(list_pack_replace(pack, place, &element) == len);
    }
    block_release(model->elements[index]);
    model->elements[index] = block;
}

/* A place that is the first, the last, or any. */
static uint32_t some_place(uint32_t last) {
    unsigned end = below(3);
    return end == 0 ? 0 : end == 1 ? last : below(last + 1);
}

static void step(struct pack *pack, struct model *model, bool growing) {
    unsigned what = below(8);
    if (what < (growing ? 5u : 2u) && model->count < 100) {
        insert(pack, model, some_place(model->count), below(4) ? 0 : below(200));
    } else if (model->count && what < 7) {
        uint32_t index = some_place(model->count - 1), count = below(8) ? 1 : 1 + below(model->count - index);
        list_pack_delete(pack, list_pack_seek(pack_bytes(pack), index), count);
        model_delete(model, index, count);
        size_t gap = model->count ? list_pack_first(pack_bytes(pack)) - LIST_PACK_HEAD : 0;
        CHECK(gap <= LIST_PACK_GAP + pack->len / 4);
        give_room(pack, pack->len);
    } else if (model->count) {
        replace(pack, model, below(model->count));
    }
}

static void it_is_a_list_of_strings(void) {
    for (unsigned round = 0; round < 40; round++) {
        struct pack pack = {0};
        struct model model = {0};
        for (unsigned i = 0; i < 600; i++) {
            step(&pack, &model, i / 200 % 2 == 0);
            check_equal(&pack, &model);
        }
        model_end(&model);
        free(pack.data);
    }
}

/* With room to spare, the next at the front move nobody: what is behind stays where it is. */
static void spare_room_serves_the_front(void) {
    struct pack pack = {0};
    struct element element = element_of(BYTES("12345678"));
    give_room(&pack, LIST_PACK_HEAD + 10);
    list_pack_insert(&pack, 0, &element);
    give_room(&pack, LIST_PACK_HEAD + 100);
    CHECK_INT(list_pack_insert(&pack, list_pack_first(pack_bytes(&pack)), &element), pack.capacity);
    for (unsigned i = 2; i < 10; i++) {
        CHECK_INT(list_pack_first(pack_bytes(&pack)), pack.capacity - 10 * i);
        CHECK_INT(list_pack_insert(&pack, list_pack_first(pack_bytes(&pack)), &element), pack.capacity);
    }
    CHECK_INT(list_pack_first(pack_bytes(&pack)), LIST_PACK_HEAD);
    CHECK_INT(list_pack_count(pack_bytes(&pack)), 10);
    CHECK_INT(list_pack_insert(&pack, LIST_PACK_HEAD, &element), pack.capacity + 10);
    free(pack.data);
}

/* A queue, in at one end and out at the other, stays as large as what is in it. */
static void a_queue_does_not_creep(void) {
    struct pack pack = {0};
    struct element element = element_of(BYTES("12345678"));
    for (unsigned i = 0; i < 1000; i++) {
        size_t end = pack.len, len = list_pack_insert(&pack, end, &element);
        if (len > pack.capacity) {
            give_room(&pack, len);
            list_pack_insert(&pack, end, &element);
        }
        if (i >= 10) list_pack_delete(&pack, list_pack_first(pack_bytes(&pack)), 1);
        CHECK(pack.len <= LIST_PACK_HEAD + 11 * 10 * 5 / 4 + LIST_PACK_GAP);
    }
    free(pack.data);
}

static void it_is_64_kilobytes_at_most(void) {
    struct pack pack = {0};
    static char bytes[ELEMENT_INLINE_MAX];
    struct element element = element_of((struct bytes){bytes, sizeof bytes});
    give_room(&pack, 2 * LIST_PACK_LEN_MAX);
    size_t record = sizeof bytes + 6, most = (LIST_PACK_LEN_MAX - LIST_PACK_HEAD) / record;
    for (size_t i = 0; i < most; i++) CHECK(list_pack_insert(&pack, pack.len, &element) == pack.len);
    CHECK(list_pack_insert(&pack, pack.len, &element) == PACK_NEVER);
    CHECK_INT(list_pack_count(pack_bytes(&pack)), most);
    CHECK(list_pack_valid(pack_bytes(&pack)));
    free(pack.data);
}

static void what_is_no_list_is_refused(void) {
    static const struct {
        struct bytes bytes;
        bool valid;
    } cases[] = {
        {BYTES_INIT(""), true},
        {BYTES_INIT("\1\0\4\0\0\0"), true},
        {BYTES_INIT("\1\0\5\0x\0\0"), true}, /* a gap */
        {BYTES_INIT("\1\0\3\0\0\0"), false},
        {BYTES_INIT("\0\0\4\0"), false},
        {BYTES_INIT("\1\0\4\0"), false},
        {BYTES_INIT("\1\0\4\0\0"), false},
        {BYTES_INIT("\1\0\4\0\1a\1"), true},
        {BYTES_INIT("\1\0\4\0\1a\0"), false},
        {BYTES_INIT("\2\0\4\0\1a\1"), false},
        {BYTES_INIT("\1\0\4\0\1a\1\0\0"), false},
        {BYTES_INIT("\1\0\x7f\0\1a\1"), false},
        {BYTES_INIT("\1\0\4\0\xff"
                    "abcdefgh\xff"),
         false},
        {BYTES_INIT("\1\0\4\0\x08"
                    "abcdefgh\xff"),
         false}, /* at one end a string, at the other a block, and as long */
        {BYTES_INIT("\1\0\4\0\xfe\1\0a\1\0\xfe"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(list_pack_valid(cases[i].bytes) == cases[i].valid);
}

static void a_list_cut_off_is_refused(void) {
    struct pack pack = {0};
    struct block *long_one = some_element(&seed, 700);
    struct element elements[2] = {element_of(BYTES("12345678")), element_for(long_one)};
    for (unsigned i = 0; i < 2; i++) {
        give_room(&pack, list_pack_insert(&pack, pack.len, &elements[i]));
        list_pack_insert(&pack, pack.len, &elements[i]);
    }
    CHECK(list_pack_valid(pack_bytes(&pack)));
    for (size_t len = 1; len < pack.len; len++) CHECK(!list_pack_valid((struct bytes){pack.data, len}));
    pack.data[pack.len - 3] ^= 1; /* the second of the long one's lengths */
    CHECK(!list_pack_valid(pack_bytes(&pack)));
    block_release(long_one);
    free(pack.data);
}

int main(void) {
    seed = check_seed();
    RUN(it_is_a_list_of_strings);
    RUN(spare_room_serves_the_front);
    RUN(a_queue_does_not_creep);
    RUN(it_is_64_kilobytes_at_most);
    RUN(what_is_no_list_is_refused);
    RUN(a_list_cut_off_is_refused);
    return 0;
}
