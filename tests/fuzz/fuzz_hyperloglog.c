/* fuzz_hyperloglog.c - HyperLogLogs that somebody has made up: whatever the bytes are, nothing outside them is read or
 * written, and what adds up goes on to do so.
 *
 * An input has pairs of bytes, each an index and a rank that are added, up to a pair of zeroes; then the limit of
 * sparse values, whose lower half are two bytes; what is left are the runs of a sparse value, or the registers of a
 * dense one where it is as long. */
#include "fuzz.h"

#include "store/values/hyperloglog.h"
#include "tests/check.h"

enum { PAIRS_MAX = 64 };

static char *value; /* malloc'ed, of exactly its length */
static size_t len;

static struct bytes bytes_now(void) {
    return (struct bytes){value, len};
}

static void take(const char *bytes, size_t count) {
    char *copy = malloc(count);
    CHECK(copy);
    memcpy(copy, bytes, count);
    free(value);
    value = copy;
    len = count;
}

static void apply(const struct hll_step *step) {
    size_t after = len - step->removed + step->added;
    CHECK(step->at >= HLL_HEAD && step->at + step->removed <= len);
    value = realloc(value, len > after ? len : after);
    CHECK(value);
    hll_apply(value, len, step);
    len = after;
    value = realloc(value, len);
    CHECK(value && hll_is(bytes_now()));
}

static void add(struct hll_observation seen, uint64_t sparse_max, bool whole) {
    struct hll_step step;
    enum hll_outcome outcome = hll_plan(bytes_now(), seen, sparse_max, &step);
    if (outcome == HLL_NARROW) {
        char dense[HLL_DENSE_LEN];
        bool made = hll_densify(bytes_now(), dense);
        CHECK(made || !whole);
        if (!made) return;
        take(dense, sizeof dense);
        outcome = hll_plan(bytes_now(), seen, sparse_max, &step);
        CHECK(outcome == HLL_CHANGE);
    }
    CHECK(outcome != HLL_CORRUPT || !whole);
    if (outcome == HLL_CHANGE) {
        apply(&step);
        CHECK(hll_plan(bytes_now(), seen, sparse_max, &step) == HLL_SAME);
    }
}

static void check_all(bool whole) {
    uint8_t registers[HLL_REGISTERS] = {0};
    int64_t count;
    CHECK(hll_count(bytes_now(), &count) == whole);
    CHECK(hll_merge(registers, bytes_now()) == whole);
    if (!whole) return;
    CHECK_INT(hll_count_registers(registers), count);
    char *raised = malloc(HLL_SPARSE_LEN_MAX);
    CHECK(raised);
    size_t raised_len = hll_raise(bytes_now(), registers, 3000, false, raised);
    CHECK(raised_len == len && memcmp(raised + HLL_HEAD, value + HLL_HEAD, len - HLL_HEAD) == 0);
    free(raised);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct hll_observation seen[PAIRS_MAX];
    unsigned pairs = 0;
    for (; size >= 2 && (data[0] || data[1]) && pairs < PAIRS_MAX; data += 2, size -= 2)
        seen[pairs++] = (struct hll_observation){(uint16_t)((data[0] << 6 | data[1] >> 2) % HLL_REGISTERS),
                                                 (uint8_t)(1 + (data[0] ^ data[1]) % 51)};
    if (size < 4) return 0;
    uint64_t sparse_max = (uint64_t)data[2] << 8 | data[3];
    data += 4, size -= 4;
    bool dense = size == HLL_DENSE_LEN - HLL_HEAD;
    char *made = calloc(1, HLL_HEAD + size);
    CHECK(made);
    memcpy(made, "HYLL", 4);
    made[4] = !dense;
    if (size) memcpy(made + HLL_HEAD, data, size);
    take(made, HLL_HEAD + size);
    free(made);

    int64_t count;
    bool whole = hll_count(bytes_now(), &count);
    check_all(whole);
    for (unsigned i = 0; i < pairs; i++) add(seen[i], sparse_max, whole);
    if (whole) check_all(true);
    struct hll_run run;
    for (size_t at = HLL_HEAD; !hll_is_dense(bytes_now()) && hll_next_run(bytes_now(), &at, &run);)
        CHECK(run.span >= 1 && run.span <= HLL_REGISTERS && run.rank <= 32);
    free(value);
    value = NULL;
    return 0;
}
