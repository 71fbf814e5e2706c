/* Glob patterns: Redis's own verdicts on odd patterns, a plain matcher as a model, and a bound on the steps,
 * for all that a pattern may be made of. The steps are counted in this program's own copy of the matcher. */
static unsigned long long steps;
#define GLOB_STEPS(count) ((void)(steps += (count)))
#include "protocol/glob.c"

#include "tests/check.h"
#include "tests/glob_model.h"

static unsigned long long seed;

static bool matches(struct bytes pattern, struct bytes text, bool nocase) {
    struct glob glob;
    CHECK(glob_compile(&glob, pattern, nocase));
    bool verdict = glob_matches(&glob, text);
    glob_free(&glob);
    return verdict;
}

#define ROW(pattern, text, verdict)                                                                          \
    { BYTES_INIT(pattern), BYTES_INIT(text), verdict }

/* Verdicts of redis-server 7.0 on KEYS pattern, with text as the only key. */
static void odd_patterns_match_as_in_redis(void) {
    static const struct {
        struct bytes pattern, text;
        bool verdict;
    } rows[] = {
        ROW("**", "", false),           ROW("", "", true),           ROW("", "a", false),
        ROW("[", "[", false),           ROW("[^", "x", true),        ROW("[a", "a", true),
        ROW("[a-", "-", true),          ROW("[a-]", "^", true),      ROW("[a-]", "]", true),
        ROW("[a-]", "b", false),        ROW("[]a]", "a", false),     ROW("[]", "]", false),
        ROW("[^]", "a", true),          ROW("[\\]a]", "]", true),    ROW("[z-a]", "m", true),
        ROW("\\", "\\", true),          ROW("a\\", "a\\", true),     ROW("\\*", "*", true),
        ROW("\\*", "x", false),         ROW("[a-\xff]", "b", false), ROW("[a-\xff]", "A", true),
        ROW("[a-\xff]", "\x80", false), ROW("[a\\", "\\", true),     ROW("[\x80-\xff]", "\x90", true),
        ROW("[\\", "\\", true),         ROW("[a-\\]]", "\\]", true), ROW("[a-\\]]", "b]", false),
        ROW("[^a", "b", true),          ROW("a**", "a", true),       ROW("?*", "", false),
        ROW("*?", "a", true),           ROW("[abc]*", "b", true),    ROW("a[b", "ab", true),
        ROW("[a-c-e]", "d", false),     ROW("[a-c-e]", "-", true),   ROW("[\\a-c]", "b", false),
        ROW("[\\a-c]", "-", true),      ROW("\0*", "\0a", true),     ROW("[\0]", "\0", true),
        ROW("*\0b", "a\0b", true),      ROW("[^^]", "^", false),     ROW("[a^]", "^", true),
        ROW("[*]", "*", true),          ROW("*a*b", "xaab", true),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (matches(rows[i].pattern, rows[i].text, false) == rows[i].verdict) continue;
        fprintf(stderr, "row %zu: %.*s\n", i, (int)rows[i].pattern.len, rows[i].pattern.data);
        CHECK(false);
    }
}

static void case_is_folded_on_request(void) {
    CHECK(matches(BYTES("h?LLo"), BYTES("HeLlO"), true));
    CHECK(!matches(BYTES("h?LLo"), BYTES("HeLlO"), false));
    CHECK(matches(BYTES("[a-c]X"), BYTES("Bx"), true));
    CHECK(!matches(BYTES("[a-c]X"), BYTES("BX"), false));
    CHECK(matches(BYTES("[aB]"), BYTES("b"), true));
    CHECK(!matches(BYTES("[\\B]"), BYTES("b"), true)); /* an escaped byte in a class keeps its case */
    CHECK(matches(BYTES("\\B"), BYTES("b"), true));
    CHECK(!matches(BYTES("[Z-a]"), BYTES("a"), true)); /* z to a, once folded */
    CHECK(matches(BYTES("[Z-a]"), BYTES("a"), false));
    CHECK(matches(BYTES("*[k-m]LMN*"), BYTES("abcKLmnopq"), true));
}

static void literals_are_told_apart(void) {
    CHECK(glob_is_literal(BYTES("")));
    CHECK(glob_is_literal(BYTES("user:1]^-{}")));
    CHECK(!glob_is_literal(BYTES("a*")));
    CHECK(!glob_is_literal(BYTES("a?")));
    CHECK(!glob_is_literal(BYTES("[a]")));
    CHECK(!glob_is_literal(BYTES("a\\b")));
}

static void many_texts_may_be_asked_of_one_glob(void) {
    struct glob glob;
    CHECK(glob_compile(&glob, BYTES("user:??[0-9]*:x*"), false));
    for (int i = 0; i < 3; i++) {
        CHECK(glob_matches(&glob, BYTES("user:ab7::x")));
        CHECK(!glob_matches(&glob, BYTES("user:ab7:")));
        CHECK(!glob_matches(&glob, BYTES("")));
    }
    glob_free(&glob);
    glob_free(&glob); /* twice is fine */
}

static void compare_with_model(struct bytes pattern, struct bytes text, bool nocase, int *matched) {
    struct glob glob;
    bool expected = model_matches(pattern, text, nocase);
    *matched += expected;
    CHECK(glob_compile(&glob, pattern, nocase));
    if (glob_matches(&glob, text) != expected) {
        fprintf(stderr, "pattern \"%.*s\", text \"%.*s\", nocase %d: expected %d\n", (int)pattern.len,
                pattern.data, (int)text.len, text.data, nocase, expected);
        CHECK(false);
    }
    glob_free(&glob);
}

/* Whole elements, so that many of the patterns match. */
static void random_patterns_match_as_the_model_says(void) {
    static const char *const pieces[] = {"a",    "b",     "c",         "*",    "*",           "?",
                                         "[ab]", "[^a]",  "[a-b]",     "\\a",  "[^b-c]",      "[A-c]",
                                         "\\*",  "[\\b]", "[a-bA-B*]", "[^Z]", "[\x80-\xff]", "ab"};
    int matched = 0;
    for (int i = 0; i < 300000; i++) {
        char pattern[80] = "", text[16] = "";
        size_t length = 0, parts = check_random(&seed) % 8, letters = check_random(&seed) % 10;
        while (parts--) {
            const char *piece = pieces[check_random(&seed) % (sizeof pieces / sizeof *pieces)];
            memcpy(pattern + length, piece, strlen(piece));
            length += strlen(piece);
        }
        for (size_t l = 0; l < letters; l++) text[l] = "aabcABb*\xf0"[check_random(&seed) % 9];
        compare_with_model((struct bytes){pattern, length}, (struct bytes){text, letters}, i % 2, &matched);
    }
    CHECK(matched > 10000); /* the comparison has seen both verdicts */
}

/* Bytes that mean something to a pattern, in any order; in memory of their exact size, for the sanitizer. */
static void odd_bytes_match_as_the_model_says(void) {
    int matched = 0;
    for (int i = 0; i < 300000; i++) {
        static const char odd[] = "[]^-\\*?aB\xff";
        size_t pattern_len = check_random(&seed) % 12, text_len = check_random(&seed) % 7;
        char *pattern = malloc(pattern_len + 1), *text = malloc(text_len + 1);
        for (size_t p = 0; p < pattern_len; p++) pattern[p + 1] = odd[check_random(&seed) % 10];
        for (size_t t = 0; t < text_len; t++) text[t + 1] = odd[check_random(&seed) % 10];
        struct bytes p = {pattern + 1, pattern_len}, t = {text + 1, text_len};
        compare_with_model(p, t, i % 2, &matched);
        if (glob_is_literal(p)) CHECK(matches(p, t, false) == bytes_equal(p, t));
        free(pattern);
        free(text);
    }
    CHECK(matched > 3000);
}

static void a_pattern_too_long_for_any_memory_is_refused(void) {
    struct glob glob;
    CHECK(!glob_compile(&glob, (struct bytes){"", SIZE_MAX / 2}, false));
    CHECK(!glob_compile(&glob, (struct bytes){"", SIZE_MAX / GLOB_BYTES}, false));
    glob_free(&glob);
}

/* ---- Long texts: places are compared sixteen and sixty-four at a time ----------------------------- */

/* A stretch of `elements` elements that fits the text: for each byte itself, or something it belongs to. */
static size_t write_fitting(char *pattern, const char *text, size_t elements) {
    size_t length = 0;
    for (size_t i = 0; i < elements; i++) {
        static const char *const classes[] = {"?", "[ab]", "[^z]", "[a-e]", "[acegikmoqsuwyACEGIKMOQSUWYbd]"};
        unsigned kind = (unsigned)(check_random(&seed) % 16);
        const char *piece = kind < 5 ? classes[kind] : (char[]){text[i], '\0'};
        memcpy(pattern + length, piece, strlen(piece));
        length += strlen(piece);
    }
    return length;
}

/* Where a stretch is found first, decided place by place. */
static bool found_anywhere(struct bytes stretch, struct bytes text, size_t elements) {
    for (size_t at = 0; at + elements <= text.len; at++)
        if (model_matches(stretch, (struct bytes){text.data + at, elements}, false)) return true;
    return false;
}

static void a_stretch_is_found_in_a_long_text_wherever_it_lies(void) {
    int found = 0;
    for (int i = 0; i < 4000; i++) {
        static char pattern[20000];
        size_t elements = 1 + check_random(&seed) % (i % 2 ? 12 : 150),
               length = elements + check_random(&seed) % 200;
        char *text = malloc(length);
        for (size_t t = 0; t < length; t++) text[t] = "ab"[check_random(&seed) % 2];
        size_t place = check_random(&seed) % (length - elements + 1);
        pattern[0] = '*';
        size_t stretch_len = write_fitting(pattern + 1, text + place, elements);
        /* An a becomes a b, so that it may be found elsewhere or not at all. */
        for (int cut = 0; cut < i / 2 % 3; cut++) text[place + check_random(&seed) % elements] ^= 3;
        pattern[1 + stretch_len] = '*';
        struct bytes stretch = {pattern + 1, stretch_len}, whole = {text, length};
        bool expected = found_anywhere(stretch, whole, elements);
        found += expected;
        CHECK(matches((struct bytes){pattern, stretch_len + 2}, whole, false) == expected);
        free(text);
    }
    CHECK(found > 2000 && found < 3900);
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

enum { LONG = 100000 };
static char long_pattern[LONG + 64], long_text[LONG];

/* `head`, then `unit` as often as it fits, then `tail`: about `size` bytes. */
static struct bytes repeated(const char *head, const char *unit, size_t size, const char *tail) {
    size_t length = strlen(head), each = strlen(unit);
    memcpy(long_pattern, head, length);
    for (; length + each <= size; length += each) memcpy(long_pattern + length, unit, each);
    memcpy(long_pattern + length, tail, strlen(tail));
    return (struct bytes){long_pattern, length + strlen(tail)};
}

static unsigned long long steps_of(struct bytes pattern, struct bytes text) {
    steps = 0;
    matches(pattern, text, false);
    return steps;
}

static const char *const units[] = {
    "a",
    "?",
    "*",
    "a*",
    "*a",
    "?*",
    "a?",
    "\\a",
    "\\a*",
    "[a]",
    "[ab]",
    "[ab]*",
    "*[ab]",
    "[^b]",
    "[^b]?",
    "[a-c]",
    "[a-c]*b",
    "[\\a]",
    "[^\\b]*",
    "[^]",
    "[a-cx-z]",
    "[acegikmoqsuwyACEGIKMOQSUWY]",
    "*[acegikmoqsuwyACEGIKMOQSUWY]",
    "ab",
    "a*b",
    "*ab",
    "*aaaaaaa[ab]",
    "*ba",
    "a[ab]",
    "\\*",
    "[*]",
    "c",
    "-",
    "a-z",
};

/* Every unit repeated: at the beginning of a pattern, behind stars, at its end, inside a class that is closed or
 * not; against long texts of one letter, of two in turn, and of random letters. */
static void steps_are_bounded_for_all_that_repeats(void) {
    static const char *const heads[] = {"", "*", "x", "[", "[^", "*[", "*[^", "[a-", "*x[", "a*?"};
    static const char *const tails[] = {"", "c", "c*", "*", "]", "]*", "]c*", "*c", "*[c]*", "\\", "["};
    static const size_t sizes[] = {LONG, LONG / 2, 3000, 300};
    for (unsigned kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < LONG; i++)
            long_text[i] = kind == 0   ? 'a'
                           : kind == 1 ? "ab"[i % 2]
                           : kind == 2 ? "abc"[check_random(&seed) % 3]
                                       : (i == LONG - 1 ? 'c' : 'a');
        for (unsigned u = 0; u < sizeof units / sizeof *units; u++)
            for (unsigned h = 0; h < sizeof heads / sizeof *heads; h++) {
                const char *tail = tails[(u + 3 * h + kind) % (sizeof tails / sizeof *tails)];
                struct bytes text = {long_text, LONG};
                for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                    struct bytes pattern = repeated(heads[h], units[u], sizes[i], tail);
                    unsigned long long taken = steps_of(pattern, text);
                    if (taken <= 16 * (pattern.len + text.len)) continue;
                    fprintf(stderr, "%s%s...%s of %zu bytes, text %u: %llu steps\n", heads[h], units[u], tail,
                            pattern.len, kind, taken);
                    CHECK(false);
                }
            }
    }
}

/* What costs the most: no element is rarer than another, and of all bytes in the text only few are taken by none,
 * one for each place where the stretch could lie. */
static void steps_never_pass_the_product_of_both_lengths_by_64(void) {
    for (size_t size = 1000; size <= LONG; size *= 10) {
        struct bytes pattern = repeated("*", "[ac][ad]", size, "*"), text = {long_text, LONG};
        size_t elements = pattern.len / 4;
        memset(long_text, 'a', LONG);
        for (size_t i = elements - 1; i < LONG; i += elements) long_text[i] = 'b';
        unsigned long long taken = steps_of(pattern, text),
                           product = (unsigned long long)elements * LONG / 64;
        CHECK(!matches(pattern, text, false));
        CHECK(taken > 2 * product && taken < 16 * (pattern.len + text.len) + 12 * product);
    }
}

/* A pattern that cannot be compiled in less than it may take would write beyond its memory: put() asserts. */
static void code_is_not_much_longer_than_the_pattern(void) {
    for (unsigned u = 0; u < sizeof units / sizeof *units; u++)
        for (size_t size = 1; size < 300; size++) {
            struct glob glob;
            struct bytes pattern = repeated(size % 2 ? "" : "*", units[u], size, size % 3 ? "[acegikmo" : "");
            CHECK(glob_compile(&glob, pattern, size % 5));
            CHECK(glob.last <= GLOB_BYTES * pattern.len);
            glob_free(&glob);
        }
}

int main(void) {
    seed = check_seed();
    RUN(odd_patterns_match_as_in_redis);
    RUN(case_is_folded_on_request);
    RUN(literals_are_told_apart);
    RUN(many_texts_may_be_asked_of_one_glob);
    RUN(a_pattern_too_long_for_any_memory_is_refused);
    RUN(random_patterns_match_as_the_model_says);
    RUN(odd_bytes_match_as_the_model_says);
    RUN(a_stretch_is_found_in_a_long_text_wherever_it_lies);
    RUN(steps_are_bounded_for_all_that_repeats);
    RUN(steps_never_pass_the_product_of_both_lengths_by_64);
    RUN(code_is_not_much_longer_than_the_pattern);
    return 0;
}
