/* Sets of integers against a sorted array, over every width; what whoever writes one may get wrong. */
#include "store/values/intset.h"

#include "tests/unit/store/values/elements.h"

static unsigned long long seed;

enum { MOST = 300 };

static int64_t some_number(unsigned width) {
    uint64_t random = check_random(&seed);
    static const int64_t edges[] = {INT16_MIN, INT16_MIN - 1,   INT16_MAX, INT16_MAX + 1,
                                    INT32_MIN, INT32_MIN - 1ll, INT32_MAX, INT32_MAX + 1ll,
                                    INT64_MIN, INT64_MAX};
    if (width > 2 && random % 16 == 0) return edges[random / 16 % 10];
    if (width == 0) return (int64_t)(random % 200) - 100;
    return width == 1 ? (int16_t)random : width == 2 ? (int32_t)random : (int64_t)random;
}

static void check_equal(const struct pack *set, const int64_t *model, uint32_t count) {
    CHECK_INT(intset_count(pack_bytes(set)), count);
    CHECK(intset_valid(pack_bytes(set)));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index;
        CHECK_INT(intset_at(pack_bytes(set), i), model[i]);
        CHECK(intset_find(pack_bytes(set), model[i], &index) && index == i);
    }
}

/* Puts it into both, or takes it out of both. */
static void turn(struct pack *set, int64_t *model, uint32_t *count, int64_t number) {
    uint32_t index, place = 0;
    while (place < *count && model[place] < number) place++;
    bool there = intset_find(pack_bytes(set), number, &index);
    CHECK(index == place && there == (place < *count && model[place] == number));
    if (there) {
        intset_delete(set, index);
        memmove(&model[place], &model[place + 1], (--*count - place) * sizeof *model);
        give_room(set, set->len);
    } else if (*count < MOST) {
        size_t len = intset_insert(set, index, number);
        if (len > set->capacity) {
            give_room(set, len);
            CHECK(intset_insert(set, index, number) == len);
        }
        memmove(&model[place + 1], &model[place], ((*count)++ - place) * sizeof *model);
        model[place] = number;
    }
}

static void it_is_a_sorted_array(void) {
    for (unsigned round = 0; round < 20; round++) {
        struct pack set = {0};
        int64_t model[MOST];
        uint32_t count = 0;
        for (unsigned i = 0; i < 600; i++) {
            if (count && check_random(&seed) % 4 == 0)
                turn(&set, model, &count, model[check_random(&seed) % count]);
            else
                turn(&set, model, &count, some_number(i / 150));
            check_equal(&set, model, count);
        }
        while (count) turn(&set, model, &count, model[check_random(&seed) % count]);
        CHECK_INT(set.len, 0);
        free(set.data);
    }
}

static void what_is_no_set_is_refused(void) {
    static const struct {
        struct bytes bytes;
        bool valid;
    } cases[] = {
        {BYTES_INIT(""), true},
        {BYTES_INIT("\1\0\0\0\1\0"), true},
        {BYTES_INIT("\1\0\0\0\1\0\0\0"), true},
        {BYTES_INIT("\1\0\0\0\1\0\0\0\0\0\0\0"), true},
        {BYTES_INIT("\1\0\0\0\1\0\0"), false},
        {BYTES_INIT("\1\0\0\0\1\0\0\0\0\0"), false},
        {BYTES_INIT("\1\0\0\0"), false},
        {BYTES_INIT("\0\0\0\0"), false},
        {BYTES_INIT("\1\0\0"), false},
        {BYTES_INIT("\2\0\0\0\1\0"), false},
        {BYTES_INIT("\2\0\0\0\1\0\2\0"), true},
        {BYTES_INIT("\2\0\0\0\1\0\1\0"), false},
        {BYTES_INIT("\2\0\0\0\2\0\1\0"), false},
        {BYTES_INIT("\2\0\0\0\xff\xff\1\0"), true},
        {BYTES_INIT("\xff\xff\xff\xff\1\0\2\0"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(intset_valid(cases[i].bytes) == cases[i].valid);
}

int main(void) {
    seed = check_seed();
    RUN(it_is_a_sorted_array);
    RUN(what_is_no_set_is_refused);
    return 0;
}
