/* Glob patterns: Redis's own verdicts on odd patterns, a naive matcher as a model, and a bound on the cost.
 */
#include "protocol/glob.h"

#include <time.h>

#include "tests/check.h"

static unsigned long long seed;

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
        if (glob_match(rows[i].pattern, rows[i].text, false) == rows[i].verdict) continue;
        fprintf(stderr, "row %zu: %.*s\n", i, (int)rows[i].pattern.len, rows[i].pattern.data);
        CHECK(false);
    }
}

static void case_is_folded_on_request(void) {
    CHECK(glob_match(BYTES("h?LLo"), BYTES("HeLlO"), true));
    CHECK(!glob_match(BYTES("h?LLo"), BYTES("HeLlO"), false));
    CHECK(glob_match(BYTES("[a-c]X"), BYTES("Bx"), true));
    CHECK(!glob_match(BYTES("[a-c]X"), BYTES("BX"), false));
    CHECK(glob_match(BYTES("[aB]"), BYTES("b"), true));
    CHECK(!glob_match(BYTES("[\\B]"), BYTES("b"), true)); /* an escaped byte in a class keeps its case */
    CHECK(glob_match(BYTES("\\B"), BYTES("b"), true));
}

static void literals_are_told_apart(void) {
    CHECK(glob_is_literal(BYTES("")));
    CHECK(glob_is_literal(BYTES("user:1]^-{}")));
    CHECK(!glob_is_literal(BYTES("a*")));
    CHECK(!glob_is_literal(BYTES("a?")));
    CHECK(!glob_is_literal(BYTES("[a]")));
    CHECK(!glob_is_literal(BYTES("a\\b")));
}

/* The model: plain backtracking over patterns without odd ends, written from the manual and not from glob.c.
 */
static bool naive(const char *p, const char *t) {
    if (*p == '\0') return *t == '\0';
    if (*p == '*') return naive(p + 1, t) || (*t && naive(p, t + 1));
    if (*t == '\0') return false;
    if (*p == '?') return naive(p + 1, t + 1);
    if (*p == '\\') return p[1] == *t && naive(p + 2, t + 1);
    if (*p != '[') return *p == *t && naive(p + 1, t + 1);
    const char *close = strchr(p, ']'), *set = p + 1 + (p[1] == '^');
    bool found = false;
    if (set + 1 < close && set[1] == '-')
        found = *t >= set[0] && *t <= set[2];
    else
        for (; set < close; set++) found |= *set == *t;
    return found != (p[1] == '^') && naive(close + 1, t + 1);
}

static void random_patterns_match_as_the_model_says(void) {
    static const char *const pieces[] = {"a",    "b",    "c",     "*",      "*",   "?",
                                         "[ab]", "[^a]", "[a-b]", "[^b-c]", "\\a", "\\*"};
    int matched = 0;
    for (int i = 0; i < 200000; i++) {
        char pattern[64] = "", text[16] = "";
        size_t length = 0, parts = check_random(&seed) % 8, letters = 1 + check_random(&seed) % 9;
        while (parts--) {
            const char *piece = pieces[check_random(&seed) % (sizeof pieces / sizeof *pieces)];
            memcpy(pattern + length, piece, strlen(piece));
            length += strlen(piece);
        }
        for (size_t l = 0; l < letters; l++) text[l] = "aabc*"[check_random(&seed) % 5];
        bool expected = naive(pattern, text);
        matched += expected;
        if (glob_match(bytes_of(pattern), bytes_of(text), false) == expected) continue;
        fprintf(stderr, "pattern %s, text %s: expected %d\n", pattern, text, expected);
        CHECK(false);
    }
    CHECK(matched > 10000); /* the comparison has seen both verdicts */
}

static void odd_bytes_stay_in_bounds(void) {
    for (int i = 0; i < 100000; i++) {
        size_t pattern_len = check_random(&seed) % 8, text_len = check_random(&seed) % 6;
        char *pattern = malloc(pattern_len + 1), *text = malloc(text_len + 1); /* exact, for the sanitizer */
        for (size_t p = 0; p < pattern_len; p++) pattern[p + 1] = "[]^-\\*?a\xff"[check_random(&seed) % 9];
        for (size_t t = 0; t < text_len; t++) text[t + 1] = "[]^-\\*?a\xff"[check_random(&seed) % 9];
        struct bytes p = {pattern + 1, pattern_len}, t = {text + 1, text_len};
        bool folded = glob_match(p, t, true), exact = glob_match(p, t, false);
        if (glob_is_literal(p)) CHECK(exact == bytes_equal(p, t) && (folded || !exact));
        free(pattern);
        free(text);
    }
}

static void many_stars_cost_no_seconds(void) {
    static char text[100000];
    memset(text, 'a', sizeof text);
    char pattern[64];
    for (size_t i = 0; i < sizeof pattern; i += 2) memcpy(pattern + i, "a*", 2);
    pattern[sizeof pattern - 1] = 'b';
    clock_t before = clock();
    CHECK(!glob_match((struct bytes){pattern, sizeof pattern}, (struct bytes){text, sizeof text}, false));
    CHECK(!glob_match(BYTES("a*a*a*a*b"), (struct bytes){text, sizeof text}, false));
    CHECK(clock() - before < CLOCKS_PER_SEC); /* about a millisecond; backtracking would take years */
}

int main(void) {
    seed = check_seed();
    RUN(odd_patterns_match_as_in_redis);
    RUN(case_is_folded_on_request);
    RUN(literals_are_told_apart);
    RUN(random_patterns_match_as_the_model_says);
    RUN(odd_bytes_stay_in_bounds);
    RUN(many_stars_cost_no_seconds);
    return 0;
}
