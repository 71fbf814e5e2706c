/* hyperloglog.c - the registers of HyperLogLogs (P. Flajolet and others, 2007), counted as O. Ertl does (New cardinality
 * estimation algorithms for HyperLogLog sketches, 2017): from how many registers have which rank. */
#include "store/values/hyperloglog.h"

#include <math.h>
#include <string.h>

#include "protocol/assert.h"
#include "protocol/load.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    INDEX_BITS = 14,
    RANKS = 64 - INDEX_BITS, /* one more is the rank of a hash whose other bits are all 0 */
    ENCODING_AT = 4,
    COUNT_AT = 8,
    COUNT_STALE = 0x80, /* in the highest byte of the count */
    DENSE = 0,
    SPARSE = 1,

    RANK_MAX_SPARSE = 32,
    SPAN_MAX_VALUE = 4,
    SPAN_MAX_SHORT = 64,
    SPAN_MAX_LONG = HLL_REGISTERS,
    JOIN_STEPS = 5,                   /* runs that are looked at behind a change, from the one before it on */
    JOIN_BEHIND = 2 * JOIN_STEPS + 1, /* bytes that these and the next can have */
    NO_RUN = 0,                       /* where a run cannot be: in the head */
};
_Static_assert(2 + 5 + JOIN_BEHIND <= HLL_STEP_BYTES, "the run before, its three parts, what is behind");
_Static_assert(HLL_DENSE_LEN == 12304, "as in Redis");

/* ---- The head ------------------------------------------------------------------------------------- */

bool hll_is_dense(struct bytes value) {
    return value.data[ENCODING_AT] == DENSE;
}

bool hll_is(struct bytes value) {
    if (value.len < HLL_HEAD || memcmp(value.data, "HYLL", 4) != 0) return false;
    return hll_is_dense(value) ? value.len == HLL_DENSE_LEN : value.data[ENCODING_AT] == SPARSE;
}

void hll_write_empty(char *to) {
    memset(to, 0, HLL_HEAD);
    memcpy(to, "HYLL", 4);
    to[ENCODING_AT] = SPARSE;
    to[HLL_HEAD] = 0x40 | (SPAN_MAX_LONG - 1) >> 8;
    to[HLL_HEAD + 1] = (char)((SPAN_MAX_LONG - 1) & 0xff);
}

bool hll_kept_count(struct bytes value, int64_t *count) {
    uint64_t kept = 0;
    for (unsigned i = 8; i-- > 0;) kept = kept << 8 | (unsigned char)value.data[COUNT_AT + i];
    *count = (int64_t)kept;
    return kept >> 63 == 0;
}

void hll_keep_count(char *value, int64_t count) {
    for (unsigned i = 0; i < 8; i++) value[COUNT_AT + i] = (char)((uint64_t)count >> 8 * i);
}

void hll_forget_count(char *value) {
    value[COUNT_AT + 7] |= (char)COUNT_STALE;
}

/* ---- Hashing -------------------------------------------------------------------------------------- */

/* MurmurHash64A by A. Appleby, of little-endian words. */
static uint64_t hash(struct bytes text) {
    const uint64_t times = 0xc6a4a7935bd1e995;
    uint64_t h = 0xadc83b19 ^ text.len * times;
    const char *at = text.data;
    for (size_t left = text.len / 8; left > 0; left--, at += 8) {
        uint64_t word = load_u64(at);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        word *= times;
        word ^= word >> 47;
        h = (h ^ word * times) * times;
    }
    if (text.len % 8) {
        uint64_t word = 0;
        for (size_t i = text.len % 8; i-- > 0;) word = word << 8 | (unsigned char)at[i];
        h = (h ^ word) * times;
    }
    h = (h ^ h >> 47) * times;
    return h ^ h >> 47;
}

struct hll_observation hll_observe(struct bytes element) {
    uint64_t h = hash(element);
    uint64_t rest = h >> INDEX_BITS | UINT64_C(1) << RANKS;
    return (struct hll_observation){h % HLL_REGISTERS, (uint8_t)(__builtin_ctzll(rest) + 1)};
}

/* ---- Dense registers ------------------------------------------------------------------------------ */

/* The two bytes from at[byte] on that have the register; the last one of all lies in one. */
static unsigned dense_word(const char *registers, uint32_t index) {
    size_t byte = index * 6 / 8;
    unsigned word = (unsigned char)registers[byte];
    if (index % 4 != 3) word |= (unsigned)(unsigned char)registers[byte + 1] << 8;
    return word;
}

static enum hll_outcome plan_dense(struct bytes value, struct hll_observation seen, struct hll_step *step) {
    const char *registers = value.data + HLL_HEAD;
    unsigned word = dense_word(registers, seen.index), shift = seen.index * 6 % 8;
    if ((word >> shift & 63) >= seen.rank) return HLL_SAME;
    word = (word & ~(63u << shift)) | (unsigned)seen.rank << shift;
    step->at = HLL_HEAD + seen.index * 6 / 8;
    step->added = step->removed = seen.index % 4 == 3 ? 1 : 2;
    step->bytes[0] = (char)word;
    step->bytes[1] = (char)(word >> 8);
    return HLL_CHANGE;
}

/* Eight registers in six bytes become as many bytes, and back: halves go apart, three times. */
static uint64_t spread(const char *at) {
    uint64_t x = 0;
    for (unsigned i = 6; i-- > 0;) x = x << 8 | (unsigned char)at[i];
    x = (x & 0xffffff) | (x >> 24) << 32;
    x = (x & 0x00000fff00000fff) | (x & 0x00fff00000fff000) << 4;
    return (x & 0x003f003f003f003f) | (x & 0x0fc00fc00fc00fc0) << 2;
}

static void gather(uint64_t x, char *to) {
    x = (x & 0x003f003f003f003f) | (x >> 2 & 0x0fc00fc00fc00fc0);
    x = (x & 0x00000fff00000fff) | (x >> 4 & 0x00fff00000fff000);
    x = (x & 0xffffff) | x >> 32 << 24;
    for (unsigned i = 0; i < 6; i++) to[i] = (char)(x >> 8 * i);
}

static void write_dense(const uint8_t registers[HLL_REGISTERS], char *to) {
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 8) {
        uint64_t eight = 0;
        for (unsigned k = 8; k-- > 0;) eight = eight << 8 | registers[i + k];
        gather(eight, to + i / 8 * 6);
    }
}

/* ---- Runs ----------------------------------------------------------------------------------------- */

static inline bool is_value(char run) {
    return (unsigned char)run >> 7;
}
static inline bool is_long(char run) {
    return ((unsigned char)run & 0xc0) == 0x40;
}
static inline unsigned value_rank(char run) {
    return ((unsigned char)run >> 2 & 31) + 1u;
}
static inline uint32_t short_span(char run) {
    return ((unsigned char)run & (is_value(run) ? 3u : 63u)) + 1;
}
static inline uint32_t long_span(const char *run) {
    return ((unsigned char)run[0] & 63u) << 8 | (unsigned char)run[1];
}

static char value_run(unsigned rank, uint32_t span) {
    assert(rank >= 1 && rank <= RANK_MAX_SPARSE && span >= 1 && span <= SPAN_MAX_VALUE);
    return (char)(0x80 | (rank - 1) << 2 | (span - 1));
}

/* Writes `span` registers, perhaps none, that are as those of this run. Returns how many bytes that took. */
static size_t write_like(char run, uint32_t span, char *to) {
    if (span == 0) return 0;
    if (is_value(run)) {
        *to = value_run(value_rank(run), span);
        return 1;
    }
    if (span <= SPAN_MAX_SHORT) {
        *to = (char)(span - 1);
        return 1;
    }
    to[0] = (char)(0x40 | (span - 1) >> 8);
    to[1] = (char)(span - 1);
    return 2;
}

bool hll_next_run(struct bytes value, size_t *at, struct hll_run *run) {
    if (*at >= value.len) return false;
    char first = value.data[*at];
    bool two = is_long(first);
    char both[2] = {first, *at + 1 < value.len ? value.data[*at + 1] : 0};
    run->span = two ? long_span(both) + 1 : short_span(first);
    run->rank = is_value(first) ? (uint8_t)value_rank(first) : 0;
    run->long_zeroes = two;
    *at += 1 + two;
    return true;
}

/* The next run of a sparse value, whose registers are from *index on, which moves behind them. False at the end, and before
 * anything that cannot be there. */
static inline bool next_registers(struct bytes value, size_t *at, uint32_t *index, struct hll_run *run) {
    size_t behind = *at;
    if (!hll_next_run(value, &behind, run) || run->span > HLL_REGISTERS - *index) return false;
    *at = behind;
    *index += run->span;
    return true;
}

/* ---- Finding the run of a register ---------------------------------------------------------------- */

struct place {
    size_t at;      /* of the run */
    size_t before;  /* of the run before it, or NO_RUN where that is not known */
    uint32_t first; /* its first register */
    uint32_t span;
};

#ifdef __SSE2__
enum { LANES = 16 };

/* Which bytes are second ones of a long run, where `longs` look like first ones: a first one is what no first one stands
 * before, as a backslash that escapes. (G. Langdale, D. Lemire: Parsing gigabytes of JSON per second, 2019.) */
static inline unsigned second_bytes(unsigned longs) {
    const unsigned even = 0x5555;
    unsigned behind = longs << 1;
    unsigned from_odd = (longs & ~even & ~behind) + longs;
    return (even ^ from_odd << 1) & behind;
}

/* Bytes of all ones where the mask has a bit. */
static inline __m128i bytes_of_mask(unsigned mask) {
    const __m128i bits = _mm_set1_epi64x((long long)0x8040201008040201);
    const uint64_t each = 0x0101010101010101;
    __m128i spread =
        _mm_set_epi64x((long long)((mask >> 8 & 0xff) * each), (long long)((mask & 0xff) * each));
    return _mm_cmpeq_epi8(_mm_and_si128(spread, bits), bits);
}

static inline uint32_t sum_bytes(__m128i bytes) {
    __m128i sums = _mm_sad_epu8(bytes, _mm_setzero_si128());
    return (uint32_t)(_mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_srli_si128(sums, 8)));
}

/* Sixteen bytes of runs, of which the first begins one. */
struct chunk {
    __m128i bytes;
    __m128i kind;   /* their two highest bits */
    unsigned longs; /* which look like the first of a long run */
};

static inline struct chunk load_chunk(const char *at) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i kind = _mm_and_si128(bytes, _mm_set1_epi8((char)0xc0));
    return (struct chunk){bytes, kind,
                          (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(kind, _mm_set1_epi8(0x40)))};
}

/* How many registers more than one each byte stands for, if it is a run. */
static inline __m128i short_spans(const struct chunk *chunk) {
    __m128i is_zeroes = _mm_cmpeq_epi8(chunk->kind, _mm_setzero_si128());
    __m128i bits = _mm_or_si128(_mm_set1_epi8(3), _mm_and_si128(is_zeroes, _mm_set1_epi8(63)));
    return _mm_and_si128(chunk->bytes, bits);
}

/* The registers of the runs that lie whole in the chunk: *count bytes. `two` tells whether the last of them has two. */
static inline uint32_t sum_of_mixed(const struct chunk *chunk, unsigned *count, bool *two) {
    static const unsigned char wanted[2 * LANES] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                    255, 255, 255, 255, 255, 255, 255, 255};
    unsigned second = second_bytes(chunk->longs), first = chunk->longs & ~second;
    *count = LANES - (first >> (LANES - 1));
    *two = second >> (*count - 1) & 1;
    __m128i firsts = bytes_of_mask(first), seconds = _mm_slli_si128(firsts, 1);
    __m128i spans = _mm_add_epi8(_mm_andnot_si128(firsts, short_spans(chunk)), _mm_set1_epi8(1));
    __m128i low = _mm_or_si128(_mm_andnot_si128(seconds, spans), _mm_and_si128(seconds, chunk->bytes));
    __m128i high = _mm_and_si128(firsts, _mm_and_si128(chunk->bytes, _mm_set1_epi8(63)));
    __m128i in = _mm_loadu_si128((const __m128i *)(wanted + LANES - *count));
    return sum_bytes(_mm_and_si128(low, in)) + (sum_bytes(_mm_and_si128(high, in)) << 8);
}

/* Skips runs that lie before the register, sixteen bytes at a time. */
static inline void skip_wide(struct bytes value, uint32_t index, struct place *place) {
    while (place->at + LANES <= value.len) {
        struct chunk chunk = load_chunk(value.data + place->at);
        unsigned count = LANES;
        bool two = false;
        uint32_t sum = chunk.longs ? sum_of_mixed(&chunk, &count, &two)
                                   : sum_bytes(short_spans(&chunk)) + LANES;
        if (index - place->first < sum) return;
        place->first += sum;
        place->at += count;
        place->before = place->at - 1 - two;
    }
}
#endif

/* The run of this register, from where the place is on. False if there is none: the value is corrupt. A run may have more
 * registers than there are: only who looks at all of them finds that wrong, as in Redis. */
static bool find(struct bytes value, uint32_t index, struct place *place) {
    assert(index >= place->first && index < HLL_REGISTERS);
#ifdef __SSE2__
    skip_wide(value, index, place);
#endif
    while (place->at < value.len) {
        char run = value.data[place->at];
        bool two = is_long(run);
        if (two && place->at + 1 == value.len) return false;
        place->span = two ? long_span(value.data + place->at) + 1 : short_span(run);
        if (index - place->first < place->span) return true;
        place->first += place->span;
        place->before = place->at;
        place->at += 1 + two;
    }
    return false;
}

/* ---- Sparse values -------------------------------------------------------------------------------- */

/* Joins values of the same rank that follow one another, as far as Redis looks for them. */
static size_t join(char *runs, size_t len) {
    size_t at = 0;
    for (unsigned left = JOIN_STEPS; left > 0 && at < len; left--) {
        char run = runs[at], next = at + 1 < len ? runs[at + 1] : 0;
        if (is_long(run)) {
            at += 2;
        } else if (!is_value(run) || !is_value(next) || value_rank(run) != value_rank(next) ||
                   short_span(run) + short_span(next) > SPAN_MAX_VALUE) {
            at++;
        } else {
            runs[at + 1] = value_run(value_rank(run), short_span(run) + short_span(next));
            memmove(runs + at, runs + at + 1, len - at - 1);
            len--;
        }
    }
    return len;
}

/* The plan for a register that was found in its run. */
static enum hll_outcome plan_in_run(struct bytes value, struct hll_observation seen, uint64_t sparse_max,
                                    const struct place *place, struct hll_step *step) {
    char run = value.data[place->at];
    if (is_value(run) && value_rank(run) >= seen.rank) return HLL_SAME;
    size_t behind = place->at + 1 + is_long(run);
    step->at = place->before == NO_RUN ? place->at : place->before;
    size_t kept = place->at - step->at, len = kept;
    memcpy(step->bytes, value.data + step->at, kept);
    len += write_like(run, seen.index - place->first, step->bytes + len);
    step->bytes[len++] = value_run(seen.rank, 1);
    len += write_like(run, place->first + place->span - 1 - seen.index, step->bytes + len);
    size_t old = behind - step->at;
    if (len > old && value.len + (len - old) > sparse_max) return HLL_NARROW;
    size_t more = value.len - behind < JOIN_BEHIND ? value.len - behind : JOIN_BEHIND;
    memcpy(step->bytes + len, value.data + behind, more);
    step->removed = (uint8_t)(old + more);
    step->added = (uint8_t)join(step->bytes, len + more);
    return HLL_CHANGE;
}

enum hll_outcome hll_plan(struct bytes value, struct hll_observation seen, uint64_t sparse_max,
                          struct hll_step *step) {
    assert(hll_is(value) && seen.rank > 0);
    if (hll_is_dense(value)) return plan_dense(value, seen, step);
    if (seen.rank > RANK_MAX_SPARSE) return HLL_NARROW;
    struct place place = {.at = HLL_HEAD, .before = NO_RUN};
    if (!find(value, seen.index, &place)) return HLL_CORRUPT;
    return plan_in_run(value, seen, sparse_max, &place, step);
}

void hll_apply(char *value, size_t len, const struct hll_step *step) {
    assert(step->at + step->removed <= len && step->added <= HLL_STEP_BYTES);
    size_t behind = step->at + step->removed;
    if (step->added != step->removed) memmove(value + step->at + step->added, value + behind, len - behind);
    memcpy(value + step->at, step->bytes, step->added);
}

bool hll_densify(struct bytes value, char *to) {
    uint8_t registers[HLL_REGISTERS] = {0};
    assert(hll_is(value) && !hll_is_dense(value));
    if (!hll_merge(registers, value)) return false;
    memcpy(to, value.data, HLL_HEAD);
    to[ENCODING_AT] = DENSE;
    write_dense(registers, to + HLL_HEAD);
    return true;
}

/* ---- Merging -------------------------------------------------------------------------------------- */

static void merge_dense(uint8_t *registers, const char *from) {
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 8) {
        uint64_t eight = spread(from + i / 8 * 6);
        for (unsigned k = 0; k < 8; k++) {
            uint8_t rank = (uint8_t)(eight >> 8 * k);
            registers[i + k] = registers[i + k] < rank ? rank : registers[i + k];
        }
    }
}

bool hll_merge(uint8_t registers[HLL_REGISTERS], struct bytes value) {
    assert(hll_is(value));
    if (hll_is_dense(value)) {
        merge_dense(registers, value.data + HLL_HEAD);
        return true;
    }
    struct hll_run run;
    size_t at = HLL_HEAD;
    uint32_t index = 0;
    while (next_registers(value, &at, &index, &run))
        for (uint32_t i = index - run.span; i < index && run.rank; i++)
            registers[i] = registers[i] < run.rank ? run.rank : registers[i];
    return index == HLL_REGISTERS && at == value.len;
}

/* A sparse value that grows, and where the next register is to be looked for. */
struct raising {
    char *value;
    size_t len;
    struct place from; /* the run before the last change: what the next one joins lies behind that */
};

static bool find_from(const struct raising *r, uint32_t index, struct place *place) {
    struct bytes value = {r->value, r->len};
    *place = r->from;
    bool found = find(value, index, place);
    if (!found || place->before != NO_RUN || place->at == HLL_HEAD) return found;
    *place = (struct place){.at = HLL_HEAD, .before = NO_RUN}; /* it may be joined with the run before */
    return find(value, index, place);
}

/* False if it has to become dense for that. */
static bool raise_one(struct raising *r, struct hll_observation seen, uint64_t sparse_max) {
    struct place place;
    struct hll_step step;
    if (seen.rank > RANK_MAX_SPARSE) return false;
    bool found = find_from(r, seen.index, &place);
    assert(found);
    enum hll_outcome outcome = plan_in_run((struct bytes){r->value, r->len}, seen, sparse_max, &place, &step);
    if (place.before != NO_RUN) { /* where that begins nothing changes, whatever is joined with it */
        const char *before = r->value + place.before;
        uint32_t span = is_long(*before) ? long_span(before) + 1 : short_span(*before);
        r->from = (struct place){.at = place.before, .before = NO_RUN, .first = place.first - span};
    }
    if (outcome == HLL_CHANGE) {
        hll_apply(r->value, r->len, &step);
        r->len = r->len - step.removed + step.added;
        assert(r->len <= HLL_SPARSE_LEN_MAX);
    }
    return outcome != HLL_NARROW;
}

size_t hll_raise(struct bytes value, const uint8_t registers[HLL_REGISTERS], uint64_t sparse_max, bool dense,
                 char *to) {
    struct raising r = {.value = to, .len = value.len, .from = {.at = HLL_HEAD, .before = NO_RUN}};
    dense |= hll_is_dense(value);
    assert(dense || value.len <= HLL_SPARSE_LEN_MAX);
    memcpy(to, value.data, dense ? HLL_HEAD : value.len);
    for (uint32_t i = 0; i < HLL_REGISTERS && !dense; i++)
        if (registers[i])
            dense = !raise_one(&r, (struct hll_observation){(uint16_t)i, registers[i]}, sparse_max);
    if (dense) {
        to[ENCODING_AT] = DENSE;
        write_dense(registers, to + HLL_HEAD);
        r.len = HLL_DENSE_LEN;
    }
    hll_forget_count(to);
    return r.len;
}

/* ---- Counting ------------------------------------------------------------------------------------- */

/* Ertl's sigma, which corrects for registers that are still 0: their share is x. */
static double sigma(double x) {
    if (x == 1) return INFINITY;
    double sum = x, before, factor = 1;
    do {
        x *= x;
        before = sum;
        sum += x * factor;
        factor += factor;
    } while (sum != before);
    return sum;
}

/* Ertl's tau, for registers that can rise no further: x is the share of the others. */
static double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double sum = 1 - x, before, factor = 1;
    do {
        x = __builtin_sqrt(x);
        before = sum;
        factor *= 0.5;
        sum -= (1 - x) * (1 - x) * factor;
    } while (sum != before);
    return sum / 3;
}

/* From how many registers have each rank. Ranks that no element gives count as none, as in Redis. */
static int64_t estimate(const uint32_t having[64]) {
    const double registers = HLL_REGISTERS, half_by_ln_2 = 0.721347520444481703680;
    double z = registers * tau((registers - having[RANKS + 1]) / registers);
    for (unsigned rank = RANKS; rank > 0; rank--) z = (z + having[rank]) * 0.5;
    z += registers * sigma(having[0] / registers);
    double count = half_by_ln_2 * registers * registers / z;
    if (!(count < 0x1p63)) return INT64_MIN; /* of registers that somebody has made up */
    int64_t whole = (int64_t)count;
    return whole + (count - (double)whole >= 0.5);
}

int64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]) {
    uint32_t having[4][64] = {{0}}; /* four of them, so that no count waits for the one before */
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 4)
        for (unsigned k = 0; k < 4; k++) having[k][registers[i + k] & 63]++;
    for (unsigned rank = 0; rank < 64; rank++)
        having[0][rank] += having[1][rank] + having[2][rank] + having[3][rank];
    return estimate(having[0]);
}

bool hll_count(struct bytes value, int64_t *count) {
    assert(hll_is(value));
    if (hll_is_dense(value)) {
        uint8_t registers[HLL_REGISTERS] = {0};
        merge_dense(registers, value.data + HLL_HEAD);
        *count = hll_count_registers(registers);
        return true;
    }
    uint32_t having[64] = {0}, index = 0;
    size_t at = HLL_HEAD;
    struct hll_run run;
    while (next_registers(value, &at, &index, &run)) having[run.rank] += run.span;
    if (index != HLL_REGISTERS || at != value.len) return false;
    *count = estimate(having);
    return true;
}

/* ---- PFSELFTEST ----------------------------------------------------------------------------------- */

enum { SELF_TEST_ELEMENTS = 100000, SELF_TEST_SPARSE_MAX = 3000 };

/* A value that both encodings have in turn, and its registers one by one. */
struct self_test {
    char value[HLL_DENSE_LEN];
    size_t len;
    uint8_t registers[HLL_REGISTERS];
};

static bool self_test_add(struct self_test *test, struct hll_observation seen) {
    char dense[HLL_DENSE_LEN];
    struct hll_step step;
    struct bytes value = {test->value, test->len};
    enum hll_outcome outcome = hll_plan(value, seen, SELF_TEST_SPARSE_MAX, &step);
    if (outcome == HLL_NARROW && hll_densify(value, dense)) {
        memcpy(test->value, dense, sizeof dense);
        test->len = sizeof dense;
        outcome = hll_plan((struct bytes){dense, sizeof dense}, seen, SELF_TEST_SPARSE_MAX, &step);
    }
    bool raised = test->registers[seen.index] < seen.rank;
    if (raised) test->registers[seen.index] = seen.rank;
    if (outcome == HLL_CHANGE) {
        hll_apply(test->value, test->len, &step);
        test->len = test->len - step.removed + step.added;
    }
    return outcome == (raised ? HLL_CHANGE : HLL_SAME);
}

/* Six standard errors, which are 1.04 / sqrt(HLL_REGISTERS) each, and one element. */
static bool self_test_is_near(int64_t count, int64_t added) {
    double apart = (double)(count > added ? count - added : added - count);
    return apart <= 1 + 6 * 1.04 / 128 * (double)added;
}

const char *hll_self_test(void) {
    struct self_test test = {.len = HLL_EMPTY_LEN};
    uint8_t merged[HLL_REGISTERS] = {0};
    int64_t count, next = 1;
    hll_write_empty(test.value);
    for (int64_t i = 1; i <= SELF_TEST_ELEMENTS; i++) {
        if (!self_test_add(&test, hll_observe((struct bytes){(const char *)&i, sizeof i})))
            return "an element has raised what it should not, or has not what it should";
        if (i < next) continue;
        if (!hll_count((struct bytes){test.value, test.len}, &count) || !self_test_is_near(count, i))
            return "a count is too far from what was added";
        next = next < 1000 ? next + 1 : next * 10;
    }
    if (!hll_merge(merged, (struct bytes){test.value, test.len}) ||
        memcmp(merged, test.registers, sizeof merged) != 0)
        return "registers are not what was written to them";
    return NULL;
}
