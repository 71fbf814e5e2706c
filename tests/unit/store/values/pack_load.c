/* Packs of listpacks and ziplists against those that come of one element after another, where nothing is wrong, and where
 * some bytes were changed. */
#include "store/values/pack_load.h"

#include <math.h>
#include <stdlib.h>

#include "store/values/score.h"
#include "tests/check.h"

enum { BYTES_MAX = 1 << 16, CAPACITY = 4072 };

static unsigned long long seed;

static uint32_t below(uint32_t limit) {
    return (uint32_t)(check_random(&seed) % limit);
}

/* ---- Listpacks ------------------------------------------------------------------------------------ */

struct listpack {
    char bytes[BYTES_MAX];
    size_t len;
    uint64_t count;
};

static void begin(struct listpack *list) {
    list->len = LISTPACK_HEAD;
    list->count = 0;
}

static void add(struct listpack *list, struct bytes text) {
    struct listpack_element element;
    listpack_element(&element, text);
    CHECK(list->len + listpack_element_len(&element) < sizeof list->bytes);
    char *at = list->bytes + list->len;
    memcpy(at, element.head, element.head_len);
    at += element.head_len;
    if (element.text.len) memcpy(at, element.text.data, element.text.len);
    memcpy(at + element.text.len, element.tail, element.tail_len);
    list->len += listpack_element_len(&element);
    list->count++;
}

static void end(struct listpack *list) {
    list->bytes[list->len++] = (char)0xff;
    listpack_head(list->bytes, (uint32_t)list->len, list->count);
}

/* Integers of all lengths, and strings. */
static struct bytes some_text(char *at, uint32_t choice) {
    static const size_t lens[] = {0, 1, 7, 8, 15, 16, 17, 40, 63, 64, 252, 253, 254, 1023, 1024, 1025};
    if (below(3) == 0) {
        int64_t number = (int64_t)check_random(&seed) >> below(64);
        return (struct bytes){at, number_format_i64(at, number)};
    }
    size_t len = below(8) ? 8 + below(8) : lens[below(sizeof lens / sizeof *lens)];
    memset(at, 'a', len);
    if (len) at[len - 1 - below(8) % len] = (char)('a' + choice % 26);
    if (len > 2) at[len - 2] = (char)('a' + choice / 26 % 26);
    return (struct bytes){at, len};
}

static struct bytes some_score(char *at, double *score) {
    static const char *const odd[] = {"inf", "-inf", "-0", "1.5", "-2.25", "1e300", "nan", "x", "3.0"};
    if (below(12) == 0) {
        const char *text = odd[below(sizeof odd / sizeof *odd)];
        return (struct bytes){at, (size_t)snprintf(at, 32, "%s", text)};
    }
    *score += below(3) ? below(1u << below(28)) : 0;
    if (below(40) == 0) *score -= 1;
    return (struct bytes){at, number_format_double(at, *score)};
}

/* ---- One by one ----------------------------------------------------------------------------------- */

/* What comes out where the elements are put into the pack one after another: false where that refuses them, or where a pack
 * cannot hold them. */
static bool model(struct pack *pack, struct packed packed, bool scored) {
    char scratch[2][NUMBER_I64_MAX_LEN], bytes[SCORE_MAX_LEN];
    struct bytes texts[2];
    for (;;) {
        enum packed_next next = packed_next(&packed, scratch[0], &texts[0]);
        if (next == PACKED_END) return pack->len > 0;
        if (next != PACKED_ELEMENT || packed_next(&packed, scratch[1], &texts[1]) != PACKED_ELEMENT)
            return false;
        uint32_t count = pack_count(pack_bytes(pack)), at = count;
        if (scored) {
            double score;
            if (!number_parse_double(texts[1], &score) || isnan(score)) return false;
            at = 2 * pack_rank(pack_bytes(pack), score, texts[0]);
            texts[1] = (struct bytes){bytes, score_put(bytes, score)};
        }
        if (texts[0].len > ELEMENT_INLINE_MAX || texts[1].len > ELEMENT_INLINE_MAX) return false;
        if (pack_find(pack_bytes(pack), 2, texts[0]) < count) return false;
        struct element both[2] = {element_of(texts[0]), element_of(texts[1])};
        if (pack_insert(pack, at, both, 2) > pack->capacity) return false;
    }
}

/* Is a score -0, or are they out of order? Then a pack is not made at once. */
static bool is_odd(struct packed packed) {
    char scratch[2][NUMBER_I64_MAX_LEN], before[ELEMENT_INLINE_MAX];
    struct bytes name, score, last = {before, 0};
    double least = -INFINITY, number;
    for (bool first = true; packed_next(&packed, scratch[0], &name) == PACKED_ELEMENT; first = false) {
        CHECK(packed_next(&packed, scratch[1], &score) == PACKED_ELEMENT);
        CHECK(number_parse_double(score, &number));
        if (number == 0 && signbit(number)) return true;
        if (!first && (number < least || (number == least && bytes_compare(last, name) > 0))) return true;
        memcpy(before, name.data, name.len);
        last.len = name.len;
        least = number;
    }
    return false;
}

/* In memory of exact size, so that a sanitizer sees the first byte beyond. True: it became a pack. */
static bool check_same(struct bytes bytes, enum packed_kind kind, size_t capacity) {
    struct packed packed;
    char *copy = malloc(bytes.len);
    bool any = false;
    CHECK(copy);
    memcpy(copy, bytes.data, bytes.len);
    bool open = packed_open(&packed, kind, (struct bytes){copy, bytes.len});
    for (unsigned scored = 0; open && scored < 2; scored++) {
        struct pack made = {.data = malloc(capacity), .capacity = capacity};
        struct pack wanted = {.data = malloc(capacity), .capacity = capacity};
        CHECK(made.data && wanted.data);
        struct packed walk = packed;
        bool able = scored ? pack_load_scored(&made, &walk) : pack_load_pairs(&made, &walk);
        CHECK_INT(walk.seen, able ? packed.count : 0);
        bool right = model(&wanted, packed, scored);
        if (right && scored && is_odd(packed)) right = false;
        if (packed.count == UINT64_MAX) right = false;
        CHECK_INT(able, right);
        if (able) CHECK_BYTES(pack_bytes(&made), pack_bytes(&wanted));
        any |= able;
        free(made.data);
        free(wanted.data);
    }
    free(copy);
    return any;
}

static void make_listpack(struct listpack *list) {
    char text[2048];
    double score = (double)below(1000) - 500;
    uint32_t pairs = below(3) ? below(12) : below(128), names = below(4) ? 26 * 26 : 20;
    bool scored = below(2);
    begin(list);
    for (uint32_t i = 0; i < pairs; i++) {
        add(list, some_text(text, scored ? i : below(names)));
        add(list, scored ? some_score(text, &score) : some_text(text, below(100)));
    }
    if (below(50) == 0) add(list, BYTES("more"));
    end(list);
}

static void it_is_as_if_they_came_one_by_one(void) {
    static struct listpack list;
    unsigned made = 0, whole = 0;
    for (unsigned round = 0; round < 20000; round++) {
        make_listpack(&list);
        struct bytes bytes = {list.bytes, list.len};
        made += check_same(bytes, PACKED_LISTPACK, below(4) ? CAPACITY : 2 + below(300));
        for (unsigned i = 0; i < 3; i++) {
            size_t at = below((uint32_t)list.len);
            char was = list.bytes[at];
            list.bytes[at] = (char)(below(2) ? was ^ 1 << below(8) : (int)below(256));
            whole += check_same(bytes, PACKED_LISTPACK, CAPACITY);
            list.bytes[at] = was;
        }
    }
    CHECK(made > 3000 && whole > 3000); /* else little was tried */
}

static void fields_that_the_filter_does_not_tell_apart_are(void) {
    static struct listpack list;
    char text[32];
    for (unsigned twice = 0; twice < 2; twice++) {
        begin(&list);
        for (unsigned i = 0; i < 100; i++) { /* the first eight bytes and the last are alike */
            int len = snprintf(text, sizeof text, "abcdefgh%08uABCDEFGH", twice && i == 90 ? 17 : i);
            add(&list, (struct bytes){text, (size_t)len});
            add(&list, BYTES("1"));
        }
        end(&list);
        CHECK(check_same((struct bytes){list.bytes, list.len}, PACKED_LISTPACK, CAPACITY) == !twice);
    }
}

static void ziplists_become_packs_too(void) {
    static const char pairs[] = "\x15\0\0\0\x12\0\0\0\x04\0"
                                "\0\x01"
                                "a"
                                "\x03\xf3"
                                "\x02\x01"
                                "b"
                                "\x03\xf4"
                                "\xff";
    struct bytes bytes = {pairs, sizeof pairs - 1};
    char copy[sizeof pairs];
    CHECK(check_same(bytes, PACKED_ZIPLIST, CAPACITY));
    for (unsigned round = 0; round < 20000; round++) {
        memcpy(copy, pairs, sizeof pairs);
        copy[below(sizeof pairs - 1)] ^= (char)(1 << below(8));
        (void)check_same((struct bytes){copy, bytes.len}, PACKED_ZIPLIST, CAPACITY);
    }
}

int main(void) {
    seed = 20261130;
    RUN(it_is_as_if_they_came_one_by_one);
    RUN(fields_that_the_filter_does_not_tell_apart_are);
    RUN(ziplists_become_packs_too);
    return 0;
}
