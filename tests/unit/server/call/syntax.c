/* The language in which rows describe their arguments: every kind of token, what is malformed, and how few
 * arguments there may be. */
#include "server/call/syntax.h"

#include "tests/check.h"

static struct syntax parsed;

static const struct syntax_argument *parse(const char *text) {
    CHECK(syntax_parse(text, &parsed) == NULL);
    return parsed.first == SYNTAX_NONE ? NULL : &parsed.arguments[parsed.first];
}
static const struct syntax_argument *next_of(const struct syntax_argument *argument) {
    return argument->next == SYNTAX_NONE ? NULL : &parsed.arguments[argument->next];
}
static const struct syntax_argument *child_of(const struct syntax_argument *argument) {
    return argument->child == SYNTAX_NONE ? NULL : &parsed.arguments[argument->child];
}
static unsigned least(const char *text, bool fixed) {
    bool is_fixed;
    CHECK(syntax_parse(text, &parsed) == NULL);
    unsigned n = syntax_least(&parsed, &is_fixed);
    CHECK_INT(is_fixed, fixed);
    return n;
}

static void arguments_are_parsed_in_order(void) {
    const struct syntax_argument *a = parse("<key:key> <value> KEEPTTL@6.0.0 equal:=");
    CHECK(a->type == SYNTAX_KEY && a->key == 0 && bytes_is(a->name, "key"));
    a = next_of(a);
    CHECK(a->type == SYNTAX_STRING && bytes_is(a->name, "value") && a->key == SYNTAX_NONE);
    a = next_of(a);
    CHECK(a->type == SYNTAX_PURE_TOKEN && bytes_is(a->token, "KEEPTTL"));
    CHECK_BYTES(a->since, BYTES("6.0.0"));
    a = next_of(a);
    CHECK_BYTES(a->name, BYTES("equal"));
    CHECK_BYTES(a->token, BYTES("="));
    CHECK(next_of(a) == NULL);
    CHECK(parse(NULL) == NULL && parse("") == NULL && parse("  ") == NULL);
    a = parse(
        "<key:key> [{BY <pattern:key-pattern>}] [{GET <pattern:key-pattern>}] {STORE <d:key>} <p:pattern>");
    a = next_of(a);
    CHECK(a->type == SYNTAX_KEY_PATTERN && a->key == 1);
    a = next_of(a);
    CHECK_INT(a->key, 1);
    a = next_of(a);
    CHECK_INT(a->key, 2);
    CHECK_INT(next_of(a)->key, SYNTAX_NONE);
    CHECK_INT(parsed.keys, 3);
    CHECK_INT(least("<key:key> <member> ...*", false), 1);
    a = parse("<ip:port:string>!2.8.12");
    CHECK_BYTES(a->name, BYTES("ip:port"));
    CHECK_BYTES(a->deprecated_since, BYTES("2.8.12"));
}

static void nesting_is_parsed(void) {
    const struct syntax_argument *a =
        parse("[condition:( NX | XX )@7.0.0] [{EX <seconds:integer>}] block:{ <a> [<b>] } ...+");
    CHECK(a->type == SYNTAX_ONEOF && a->flags == SYNTAX_OPTIONAL && bytes_is(a->name, "condition"));
    CHECK_BYTES(a->since, BYTES("7.0.0"));
    CHECK(bytes_is(child_of(a)->token, "NX") && bytes_is(next_of(child_of(a))->token, "XX"));
    a = next_of(a);
    CHECK(a->type == SYNTAX_INTEGER && bytes_is(a->token, "EX") && a->flags == SYNTAX_OPTIONAL);
    a = next_of(a);
    CHECK(a->type == SYNTAX_BLOCK && a->flags == (SYNTAX_MULTIPLE | SYNTAX_MULTIPLE_TOKEN));
    CHECK(next_of(child_of(a))->flags == SYNTAX_OPTIONAL);
    a = parse("[<key:key> ...]");
    CHECK_INT(a->flags, SYNTAX_OPTIONAL | SYNTAX_MULTIPLE);
    a = parse("{TYPE kind:(A | B)}");
    CHECK(a->type == SYNTAX_ONEOF && bytes_is(a->token, "TYPE"));
}

static void malformed_syntax_is_refused(void) {
    static const char *const bad[] = {
        "<",      "<>",          "<a",     "<a:b>", "[<a>",        "[<a> <b>]",
        "[]",     "]",           ")",      "{EX}",  "{EX <a>",     "{ <a>}",
        "n:(<a>", "n:(<a> <b>)", "n:{<a>", "n:",    "{A {B <c>}}", "<a>@",
        "|",      "n:()",        "<a>@x",  "...",   "<a> | <b>",   "[[[[[[[[[<a>]]]]]]]]]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (syntax_parse(bad[i], &parsed) == NULL) {
            fprintf(stderr, "accepted: %s\n", bad[i]);
            CHECK(false);
        }
    char many[4 * SYNTAX_MAX_ARGUMENTS + 8] = "";
    for (int i = 0; i <= SYNTAX_MAX_ARGUMENTS; i++) memcpy(many + 4 * i, "<a> ", 5);
    CHECK(syntax_parse(many, &parsed) != NULL);
}

static void the_least_request_is_counted(void) {
    CHECK_INT(least(NULL, true), 0);
    CHECK_INT(least("<a> <b>", true), 2);
    CHECK_INT(least("<a> [<b>]", false), 1);
    CHECK_INT(least("<a> ...", false), 1);
    CHECK_INT(least("{A <a>} B", true), 3);
    CHECK_INT(least("n:(ON | OFF)", true), 1);
    CHECK_INT(least("n:(ON | {OFF <a>})", false), 1);
    CHECK_INT(least("n:{<a> <b> [<c>]}", false), 2);
    CHECK_INT(least("{G n:{<a> <b>}}", true), 3);
}

static void every_type_has_its_word(void) {
    static const struct {
        const char *text;
        enum syntax_type type;
    } cases[] = {{"<a>", SYNTAX_STRING},
                 {"<a:string>", SYNTAX_STRING},
                 {"<a:integer>", SYNTAX_INTEGER},
                 {"<a:double>", SYNTAX_DOUBLE},
                 {"<a:key>", SYNTAX_KEY},
                 {"<a:pattern>", SYNTAX_PATTERN},
                 {"<a:unix-time>", SYNTAX_UNIX_TIME},
                 {"A", SYNTAX_PURE_TOKEN},
                 {"a:(<b> | <c>)", SYNTAX_ONEOF},
                 {"a:{<b> <c>}", SYNTAX_BLOCK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct syntax_argument *a = parse(cases[i].text);
        CHECK(a && a->type == cases[i].type && bytes_is(a->name, "a") && !next_of(a));
        CHECK(a->flags == 0 && a->since.len == 0 && a->deprecated_since.len == 0);
        CHECK_INT(a->token.len, cases[i].type == SYNTAX_PURE_TOKEN);
    }
}

/* COMMAND DOCS says which key spec an argument belongs to: by its number among the keys. */
static void keys_are_numbered_wherever_they_stand(void) {
    const struct syntax_argument *a = parse("<a:key> x:{ <b> <c:key> } [{T <d:key>}]");
    CHECK_INT(a->key, 0);
    a = next_of(a);
    CHECK(a->key == SYNTAX_NONE && child_of(a)->key == SYNTAX_NONE);
    CHECK_INT(next_of(child_of(a))->key, 1);
    CHECK_INT(next_of(a)->key, 2);
    CHECK_INT(parsed.keys, 3);
}

static void suffixes_belong_to_what_they_follow(void) {
    const struct syntax_argument *a = parse("x:( A@1.2.3 | B!2.0 )@3.0 ... <c>...+");
    CHECK_BYTES(a->since, BYTES("3.0"));
    CHECK_INT(a->flags, SYNTAX_MULTIPLE);
    CHECK_BYTES(child_of(a)->since, BYTES("1.2.3"));
    CHECK_BYTES(next_of(child_of(a))->deprecated_since, BYTES("2.0"));
    CHECK_INT(child_of(a)->flags, 0);
    CHECK_INT(next_of(a)->flags, SYNTAX_MULTIPLE | SYNTAX_MULTIPLE_TOKEN);
    a = parse("[<a>@1.0]@2.0");
    CHECK_BYTES(a->since, BYTES("2.0"));
}

static void depth_and_number_are_bounded_exactly(void) {
    char nested[2 * SYNTAX_MAX_DEPTH + 8] = "", many[4 * SYNTAX_MAX_ARGUMENTS + 8] = "";
    int depth = SYNTAX_MAX_DEPTH - 1; /* and the argument in the middle */
    memset(nested, '[', (size_t)depth);
    memcpy(nested + depth, "<a>", 3);
    memset(nested + depth + 3, ']', (size_t)depth);
    nested[2 * depth + 3] = '\0';
    CHECK(syntax_parse(nested, &parsed) == NULL && parsed.count == 1);
    memmove(nested + 1, nested, (size_t)(2 * depth + 4));
    memcpy(nested + 2 * depth + 4, "]", 2);
    CHECK(syntax_parse(nested, &parsed) != NULL);
    for (int i = 0; i < SYNTAX_MAX_ARGUMENTS; i++) memcpy(many + 4 * i, "<a> ", 5);
    CHECK(syntax_parse(many, &parsed) == NULL);
    CHECK_INT(parsed.count, SYNTAX_MAX_ARGUMENTS);
}

int main(void) {
    RUN(arguments_are_parsed_in_order);
    RUN(nesting_is_parsed);
    RUN(malformed_syntax_is_refused);
    RUN(the_least_request_is_counted);
    RUN(every_type_has_its_word);
    RUN(keys_are_numbered_wherever_they_stand);
    RUN(suffixes_belong_to_what_they_follow);
    RUN(depth_and_number_are_bounded_exactly);
    return 0;
}
