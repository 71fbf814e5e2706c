/* HyperLogLogs: elements land where redis-server has them, steps leave the registers that they should in all encodings, and
 * no bytes that somebody made up lead out of them. */
#include "store/values/hyperloglog.c"

#include "tests/check.h"

enum { SPARSE_MAX = 3000 };

static unsigned long long seed;

/* A value in memory of exactly its size, so that sanitizers see each byte too far; and what it should hold. */
struct sketch {
    char *data;
    size_t len;
    uint8_t model[HLL_REGISTERS];
};

static struct bytes bytes_in(const struct sketch *s) {
    return (struct bytes){s->data, s->len};
}

static void begin(struct sketch *s) {
    *s = (struct sketch){.data = malloc(HLL_EMPTY_LEN), .len = HLL_EMPTY_LEN};
    CHECK(s->data);
    hll_write_empty(s->data);
}

static void replace(struct sketch *s, struct bytes bytes) {
    char *data = malloc(bytes.len);
    CHECK(data);
    memcpy(data, bytes.data, bytes.len);
    free(s->data);
    s->data = data;
    s->len = bytes.len;
}

static void do_step(struct sketch *s, const struct hll_step *step) {
    size_t len = s->len - step->removed + step->added;
    char *data = malloc(s->len > len ? s->len : len);
    CHECK(data && step->at >= HLL_HEAD && step->at + step->removed <= s->len);
    memcpy(data, s->data, s->len);
    hll_apply(data, s->len, step);
    replace(s, (struct bytes){data, len});
    free(data);
}

/* Adds as PFADD does. False if the value is corrupt. */
static bool add(struct sketch *s, struct hll_observation seen, uint64_t sparse_max) {
    struct hll_step step;
    enum hll_outcome outcome = hll_plan(bytes_in(s), seen, sparse_max, &step);
    if (outcome == HLL_NARROW) {
        char dense[HLL_DENSE_LEN];
        if (!hll_densify(bytes_in(s), dense)) return false;
        replace(s, (struct bytes){dense, sizeof dense});
        outcome = hll_plan(bytes_in(s), seen, sparse_max, &step);
        CHECK_INT(outcome, HLL_CHANGE);
    }
    if (outcome == HLL_CORRUPT) return false;
    CHECK_INT(outcome, s->model[seen.index] < seen.rank ? HLL_CHANGE : HLL_SAME);
    if (outcome == HLL_CHANGE) {
        do_step(s, &step);
        s->model[seen.index] = seen.rank;
    }
    return true;
}

static void check_registers(const struct sketch *s) {
    uint8_t merged[HLL_REGISTERS] = {0};
    int64_t count;
    CHECK(hll_merge(merged, bytes_in(s)));
    CHECK(memcmp(merged, s->model, sizeof merged) == 0);
    CHECK(hll_count(bytes_in(s), &count));
    CHECK_INT(count, hll_count_registers(s->model));
}

/* Registers close to each other, now and then of equal ranks, so that runs are split and joined in all ways. */
static struct hll_observation observation(unsigned width) {
    unsigned long long random = check_random(&seed);
    unsigned rank = 1 + (unsigned)(random >> 40) % (random >> 60 ? 3 : 32);
    return (struct hll_observation){(uint16_t)((random >> 10) % width + (HLL_REGISTERS - width) / 2),
                                    (uint8_t)rank};
}

/* ---- Elements ------------------------------------------------------------------------------------- */

/* As redis-server 7.0.15 shows it by PFDEBUG DECODE. */
static void elements_land_where_redis_has_them(void) {
    static const struct {
        const char *element;
        unsigned index, rank;
    } table[] = {
        {"", 5938, 2},
        {"a", 12711, 2},
        {"ab", 719, 1},
        {"abc", 9474, 1},
        {"abcd", 11070, 8},
        {"abcde", 3726, 4},
        {"abcdef", 13647, 2},
        {"abcdefg", 5634, 2},
        {"abcdefgh", 1383, 1},
        {"abcdefghi", 6903, 1},
        {"abcdefghijklmnop", 9328, 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10316, 1},
        {"foobar", 1910, 4},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct hll_observation seen = hll_observe(bytes_of(table[i].element));
        CHECK_INT(seen.index, table[i].index);
        CHECK_INT(seen.rank, table[i].rank);
    }
}

static void counts_are_those_of_redis(void) {
    static const struct {
        int added, count;
    } table[] = {{1, 1},       {10, 10},      {100, 100},      {500, 503},
                 {1000, 1001}, {10000, 9987}, {100000, 99565}, {1000000, 1009972}};
    struct sketch s;
    char text[16];
    int added = 0;
    int64_t count;
    begin(&s);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (; added < table[i].added; added++) {
            int len = snprintf(text, sizeof text, "%d", added);
            CHECK(add(&s, hll_observe((struct bytes){text, (size_t)len}), SPARSE_MAX));
        }
        CHECK(hll_count(bytes_in(&s), &count));
        CHECK_INT(count, table[i].count);
    }
    CHECK(hll_is_dense(bytes_in(&s)));
    free(s.data);
}

static void registers_that_nobody_can_have_added_count_as_in_redis(void) {
    uint8_t registers[HLL_REGISTERS];
    memset(registers, 51, sizeof registers);
    CHECK_INT(hll_count_registers(registers), INT64_MIN);
    memset(registers, 63, sizeof registers);
    CHECK_INT(hll_count_registers(registers), INT64_MIN);
    memset(registers, 0, sizeof registers);
    CHECK_INT(hll_count_registers(registers), 0);
    registers[0] = 51;
    CHECK_INT(hll_count_registers(registers), 1);
}

static void a_count_is_kept_until_it_is_forgotten(void) {
    char value[HLL_EMPTY_LEN];
    int64_t count = 1;
    hll_write_empty(value);
    CHECK(hll_kept_count((struct bytes){value, sizeof value}, &count) && count == 0);
    hll_keep_count(value, 0x0123456789abcdef);
    CHECK(memcmp(value + 8, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8) == 0);
    CHECK(hll_kept_count((struct bytes){value, sizeof value}, &count) && count == 0x0123456789abcdef);
    hll_forget_count(value);
    CHECK(!hll_kept_count((struct bytes){value, sizeof value}, &count));
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static void steps_leave_the_registers_that_they_should(void) {
    static const unsigned widths[] = {5, 70, 300, HLL_REGISTERS};
    for (unsigned round = 0; round < 60; round++) {
        struct sketch s;
        begin(&s);
        for (unsigned i = 0; i < 400; i++) {
            CHECK(add(&s, observation(widths[round % 4]), round % 3 ? 1 << 20 : 200 + 40 * round));
            if (i % 50 == 0) check_registers(&s);
        }
        check_registers(&s);
        free(s.data);
    }
}

/* Every kind of run, changed at its beginning, in its middle, at its end and as a whole, is told by its bytes. */
static void runs_are_split_and_joined_as_redis_does_it(void) {
    static const struct {
        const char *before, *after;
        size_t len_before, len_after;
        unsigned index, rank;
    } table[] = {
#define ROW(before, index, rank, after) {before, after, sizeof before - 1, sizeof after - 1, index, rank}
        ROW("\x7f\xff", 0, 1, "\x80\x7f\xfe"),
        ROW("\x7f\xff", 16383, 32, "\x7f\xfe\xfc"),
        ROW("\x7f\xff", 64, 2, "\x3f\x84\x7f\xbe"),
        ROW("\x7f\xff", 65, 2, "\x40\x40\x84\x7f\xbd"),
        ROW("\x00\x7f\xfe", 0, 3, "\x88\x7f\xfe"),
        ROW("\x3f\x7f\xbf", 63, 1, "\x3e\x80\x7f\xbf"),
        ROW("\x83\x7f\xfb", 1, 2, "\x80\x84\x81\x7f\xfb"),
        ROW("\x80\x7f\xfe", 0, 5, "\x90\x7f\xfe"),
        ROW("\x80\x00\x80\x7f\xfc", 1, 1, "\x82\x7f\xfc"),     /* three are joined */
        ROW("\x82\x00\x80\x7f\xfa", 3, 1, "\x83\x80\x7f\xfa"), /* no more than four */
        ROW("\x84\x81\x7f\xfc", 1, 2, "\x85\x80\x7f\xfc"),
        ROW("\x40\x00\x7f\xfe", 0, 1, "\x80\x7f\xfe"), /* a long run of one register */
#undef ROW
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sketch s;
        char value[HLL_HEAD + 16];
        struct hll_step step;
        begin(&s);
        memcpy(value, s.data, HLL_HEAD);
        memcpy(value + HLL_HEAD, table[i].before, table[i].len_before);
        replace(&s, (struct bytes){value, HLL_HEAD + table[i].len_before});
        CHECK_INT(hll_plan(bytes_in(&s),
                           (struct hll_observation){(uint16_t)table[i].index, (uint8_t)table[i].rank},
                           SPARSE_MAX, &step),
                  HLL_CHANGE);
        do_step(&s, &step);
        CHECK_BYTES(((struct bytes){s.data + HLL_HEAD, s.len - HLL_HEAD}),
                    ((struct bytes){table[i].after, table[i].len_after}));
        free(s.data);
    }
}

static void a_sparse_value_grows_to_its_limit_and_no_further(void) {
    struct sketch s;
    struct hll_step step;
    struct hll_observation seen = {100, 1};
    begin(&s);
    CHECK_INT(hll_plan(bytes_in(&s), seen, HLL_EMPTY_LEN + 2, &step), HLL_NARROW);
    CHECK_INT(hll_plan(bytes_in(&s), seen, HLL_EMPTY_LEN + 3, &step), HLL_CHANGE);
    CHECK(add(&s, seen, SPARSE_MAX));
    seen.rank = 32; /* which takes no more bytes */
    CHECK_INT(hll_plan(bytes_in(&s), seen, 0, &step), HLL_CHANGE);
    seen.rank = 33;
    CHECK_INT(hll_plan(bytes_in(&s), seen, SPARSE_MAX, &step), HLL_NARROW);
    free(s.data);
}

static void every_dense_register_has_its_own_bits(void) {
    struct sketch s;
    char dense[HLL_DENSE_LEN];
    begin(&s);
    CHECK(hll_densify(bytes_in(&s), dense));
    replace(&s, (struct bytes){dense, sizeof dense});
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        unsigned long long random = check_random(&seed);
        CHECK(add(&s,
                  (struct hll_observation){(uint16_t)(i * 7919 % HLL_REGISTERS),
                                           (uint8_t)(1 + (random >> 40) % 63)},
                  SPARSE_MAX));
    }
    check_registers(&s);
    free(s.data);
}

/* The run of each register is found the same sixteen bytes at a time and run by run. */
static void runs_are_found_by_vectors_as_one_by_one(void) {
    struct sketch s;
    begin(&s);
    for (unsigned i = 0; i < 1500; i++) CHECK(add(&s, observation(i % 5 ? HLL_REGISTERS : 900), 1 << 20));
    for (uint32_t index = 0; index < HLL_REGISTERS; index++) {
        struct place place = {.at = HLL_HEAD, .before = NO_RUN};
        size_t at = HLL_HEAD, before = NO_RUN, begun = HLL_HEAD;
        uint32_t first = 0;
        struct hll_run run = {0};
        CHECK(find(bytes_in(&s), index, &place));
        while (hll_next_run(bytes_in(&s), &at, &run) && index - first >= run.span) {
            first += run.span;
            before = begun;
            begun = at;
        }
        CHECK_INT(place.at, begun);
        CHECK_INT(place.before, before);
        CHECK_INT(place.first, first);
        CHECK_INT(place.span, run.span);
    }
    free(s.data);
}

/* ---- Merging -------------------------------------------------------------------------------------- */

static void raising_is_adding_one_by_one(void) {
    for (unsigned round = 0; round < 80; round++) {
        struct sketch to, one_by_one;
        uint8_t registers[HLL_REGISTERS] = {0};
        char *raised = malloc(HLL_SPARSE_LEN_MAX);
        uint64_t sparse_max = round % 5 ? 1 << 20 : 1500;
        unsigned width = round % 2 ? 200 : HLL_REGISTERS;
        begin(&to);
        begin(&one_by_one);
        CHECK(raised);
        for (unsigned i = 0; i < 300; i++) CHECK(add(&to, observation(width), 1 << 20));
        replace(&one_by_one, bytes_in(&to));
        memcpy(one_by_one.model, to.model, sizeof to.model);
        for (unsigned i = 0; i < 300; i++) {
            struct hll_observation seen = observation(width);
            registers[seen.index] = seen.rank;
        }
        CHECK(hll_merge(registers, bytes_in(&to)));
        for (unsigned i = 0; i < HLL_REGISTERS; i++)
            if (registers[i])
                CHECK(add(&one_by_one, (struct hll_observation){(uint16_t)i, registers[i]}, sparse_max));
        hll_forget_count(one_by_one.data);
        size_t len = hll_raise(bytes_in(&to), registers, sparse_max, false, raised);
        CHECK_BYTES(((struct bytes){raised, len}), bytes_in(&one_by_one));
        len = hll_raise(bytes_in(&to), registers, sparse_max, true, raised);
        CHECK(len == HLL_DENSE_LEN && hll_is((struct bytes){raised, len}));
        replace(&to, (struct bytes){raised, len});
        memcpy(to.model, registers, sizeof registers);
        check_registers(&to);
        free(raised);
        free(to.data);
        free(one_by_one.data);
    }
}

/* ---- What was made up ----------------------------------------------------------------------------- */

static void heads_are_looked_at(void) {
    char value[HLL_DENSE_LEN + 1] = "HYLL";
    CHECK(!hll_is((struct bytes){value, HLL_HEAD - 1}));
    CHECK(!hll_is((struct bytes){value, HLL_HEAD}));
    CHECK(hll_is((struct bytes){value, HLL_DENSE_LEN}));
    CHECK(!hll_is((struct bytes){value, HLL_DENSE_LEN + 1}));
    value[4] = 1;
    CHECK(hll_is((struct bytes){value, HLL_HEAD}));
    value[4] = 2;
    CHECK(!hll_is((struct bytes){value, HLL_DENSE_LEN}));
    value[4] = 1;
    value[0] = 'h';
    CHECK(!hll_is((struct bytes){value, HLL_HEAD}));
}

static void runs_that_do_not_add_up_are_corrupt(void) {
    static const struct bytes table[] = {
        BYTES_INIT(""),
        BYTES_INIT("\x7f"),         /* half a run */
        BYTES_INIT("\x7f\xfe"),     /* a register too few */
        BYTES_INIT("\x7f\xff\x00"), /* one too many */
        BYTES_INIT("\x7f\xff\x7f"), /* half a run too many */
        BYTES_INIT("\x7f\xfe\x81"), /* a value that goes too far */
        BYTES_INIT("\x7f\xff\x7f\xff\x80"),
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sketch s;
        char value[HLL_HEAD + 8], dense[HLL_DENSE_LEN];
        uint8_t registers[HLL_REGISTERS] = {0};
        int64_t count;
        begin(&s);
        memcpy(value, s.data, HLL_HEAD);
        memcpy(value + HLL_HEAD, table[i].data, table[i].len);
        replace(&s, (struct bytes){value, HLL_HEAD + table[i].len});
        CHECK(!hll_merge(registers, bytes_in(&s)));
        CHECK(!hll_count(bytes_in(&s), &count));
        CHECK(!hll_densify(bytes_in(&s), dense));
        free(s.data);
    }
}

static void random_runs_lead_nowhere_else(void) {
    for (unsigned round = 0; round < 3000; round++) {
        struct sketch s;
        char value[HLL_HEAD + 700];
        size_t len = HLL_HEAD + check_random(&seed) % (round % 2 ? 20 : 700);
        begin(&s);
        memcpy(value, s.data, HLL_HEAD);
        for (size_t i = HLL_HEAD; i < len; i++) {
            unsigned char byte = (unsigned char)(check_random(&seed) >> 33);
            value[i] = (char)(round % 3 || i % 8 ? byte & (round % 4 ? 0xbf : 0xff) : byte);
        }
        replace(&s, (struct bytes){value, len});
        hll_merge(s.model, bytes_in(&s)); /* as far as it goes */
        int64_t count;
        bool whole = hll_count(bytes_in(&s), &count);
        for (unsigned i = 0; i < 20 && whole; i++) CHECK(add(&s, observation(HLL_REGISTERS), SPARSE_MAX));
        for (unsigned i = 0; i < 20 && !whole; i++) {
            struct hll_step step;
            if (hll_plan(bytes_in(&s), observation(HLL_REGISTERS), SPARSE_MAX, &step) == HLL_CHANGE)
                do_step(&s, &step);
        }
        if (whole) check_registers(&s);
        free(s.data);
    }
}

static void the_self_test_finds_nothing_here(void) {
    CHECK(hll_self_test() == NULL);
}

int main(void) {
    seed = check_seed();
    RUN(elements_land_where_redis_has_them);
    RUN(counts_are_those_of_redis);
    RUN(registers_that_nobody_can_have_added_count_as_in_redis);
    RUN(a_count_is_kept_until_it_is_forgotten);
    RUN(steps_leave_the_registers_that_they_should);
    RUN(runs_are_split_and_joined_as_redis_does_it);
    RUN(a_sparse_value_grows_to_its_limit_and_no_further);
    RUN(every_dense_register_has_its_own_bits);
    RUN(runs_are_found_by_vectors_as_one_by_one);
    RUN(raising_is_adding_one_by_one);
    RUN(heads_are_looked_at);
    RUN(runs_that_do_not_add_up_are_corrupt);
    RUN(random_runs_lead_nowhere_else);
    RUN(the_self_test_finds_nothing_here);
    return 0;
}
