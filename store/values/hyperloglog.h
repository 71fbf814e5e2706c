/* hyperloglog.h - HyperLogLogs in the bytes that Redis keeps them in: a string of a head and 16,384 registers.
 *
 * The head has "HYLL", the encoding, three bytes of no meaning and the last count, in 64 bits of which the highest says
 * that it is out of date. Dense registers are 6 bits each, the first one in the lowest bits. Sparse ones are runs:
 *
 *     00nnnnnn            n + 1 registers of 0
 *     01nnnnnn nnnnnnnn   the same
 *     1vvvvvnn            n + 1 registers of v + 1
 *
 * Anybody can SET such a string, so nothing here believes its runs. Which bytes a change leaves is Redis's choice, and
 * the same here: which runs are joined, and when a sparse value becomes dense. */
#ifndef KEVY_STORE_VALUES_HYPERLOGLOG_H
#define KEVY_STORE_VALUES_HYPERLOGLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"

enum {
    HLL_REGISTERS = 1 << 14,
    HLL_HEAD = 16, /* bytes before the registers */
    HLL_DENSE_LEN = HLL_HEAD + HLL_REGISTERS * 6 / 8,
    HLL_EMPTY_LEN = HLL_HEAD + 2,                      /* of a sparse value whose registers are all 0 */
    HLL_SPARSE_LEN_MAX = HLL_HEAD + 2 * HLL_REGISTERS, /* a longer one has more registers than there are */
    HLL_STEP_BYTES = 24,
};

/* Is this one, as far as its head and its length tell? */
bool hll_is(struct bytes value);
/* Of such a value. */
bool hll_is_dense(struct bytes value);
/* Writes an empty one, HLL_EMPTY_LEN bytes whose count is up to date. */
void hll_write_empty(char *to);

/* ---- Adding --------------------------------------------------------------------------------------- */

/* What an element says: this register is `rank` at least. A rank is 1 to 51 for elements, and up to 63 in a register. */
struct hll_observation {
    uint16_t index;
    uint8_t rank;
};
struct hll_observation hll_observe(struct bytes element);

enum hll_outcome {
    HLL_SAME,   /* the register says as much already */
    HLL_CHANGE, /* the step makes it so */
    HLL_NARROW, /* not as a sparse value: it has to become dense first */
    HLL_CORRUPT,
};
/* Some bytes of the value that others take the place of. */
struct hll_step {
    size_t at;
    uint8_t removed, added;
    char bytes[HLL_STEP_BYTES];
};
/* What is to be done with a value that hll_is for an observation to be in it. A sparse one of more than `sparse_max` bytes
 * does not grow. */
enum hll_outcome hll_plan(struct bytes value, struct hll_observation seen, uint64_t sparse_max,
                          struct hll_step *step);
/* Does the step to a value of len bytes, which has room for len - removed + added. */
void hll_apply(char *value, size_t len, const struct hll_step *step);
/* Writes a sparse value as a dense one, HLL_DENSE_LEN bytes. False if it is corrupt. */
bool hll_densify(struct bytes value, char *to);

/* ---- Counting and merging ------------------------------------------------------------------------- */

/* The count that was kept. False if it is out of date. */
bool hll_kept_count(struct bytes value, int64_t *count);
void hll_keep_count(char *value, int64_t count);
void hll_forget_count(char *value);

/* How many different elements were added to a value that hll_is. False if it is corrupt. */
bool hll_count(struct bytes value, int64_t *count);
/* The same of registers. */
int64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]);

/* Raises each register to that of a value that hll_is. False if it is corrupt, and some were raised perhaps. */
bool hll_merge(uint8_t registers[HLL_REGISTERS], struct bytes value);
/* Raises the registers of a value that hll_is and is not corrupt to these, none of which is below its own, as if they were
 * added one by one in their order. Writes the result, whose count is out of date, HLL_SPARSE_LEN_MAX bytes at most;
 * a dense one where it asks for that. Returns how many. */
size_t hll_raise(struct bytes value, const uint8_t registers[HLL_REGISTERS], uint64_t sparse_max, bool dense,
                 char *to);

/* ---- Looking -------------------------------------------------------------------------------------- */

struct hll_run {
    uint32_t span;
    uint8_t rank;
    bool long_zeroes; /* in two bytes */
};
/* The run at `*at` of a sparse value, from HLL_HEAD on, and moves on to the next. False at the end. Where the second
 * half of the last run is missing it counts as 0, as in Redis, and *at is then behind the end. */
bool hll_next_run(struct bytes value, size_t *at, struct hll_run *run);

/* What is wrong with all of this on this machine, or NULL: registers against bytes, and the counts of up to 100,000
 * elements. It takes some milliseconds. */
const char *hll_self_test(void);

#endif
