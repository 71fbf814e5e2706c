/* fuzz_glob.c - glob patterns: what the plain model says of short ones, and for all of them no byte beyond
 * pattern, code or text.
 *
 * The first byte of an input says whether case counts; the pattern ends at the first NUL behind it, and the rest
 * is the text. */
#include "fuzz.h"

#include "protocol/glob.h"
#include "tests/check.h"
#include "tests/glob_model.h"

enum { MODEL_STARS = 4, MODEL_TEXT = 40 }; /* the model's time is exponential in the first */

static unsigned stars(struct bytes pattern) {
    unsigned count = 0;
    for (size_t i = 0; i < pattern.len; i++) count += pattern.data[i] == '*';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct glob glob;
    if (size == 0) return 0;
    const char *begin = (const char *)data + 1;
    struct bytes pattern = {begin, strnlen(begin, size - 1)};
    size_t used = 1 + pattern.len + (pattern.len < size - 1);
    struct bytes text = {(const char *)data + used, size - used};
    bool nocase = data[0] % 2;
    CHECK(glob_compile(&glob, pattern, nocase));
    bool verdict = glob_matches(&glob, text);
    if (stars(pattern) <= MODEL_STARS && text.len <= MODEL_TEXT)
        CHECK_INT(verdict, model_matches(pattern, text, nocase));
    glob_free(&glob);
    return 0;
}
