/* fuzz_canary.c - a target with a bug planted: its replay must fail, or the replays of the others prove nothing. */
#include "fuzz.h"

#include "tests/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CHECK(size < 6 || memcmp(data, "canary", 6) != 0);
    return 0;
}
