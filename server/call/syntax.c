/* syntax.c - parses the argument descriptions of command rows: recursive descent, one function per
 * production.
 *
 *     arguments := argument*
 *     argument  := primary ( "..." | "...+" | "@" version | "!" version )*
 *     primary   := "<" name [":" type] ">" | "[" argument "]" | "{" TOKEN argument "}"
 *                | name ":(" argument ( "|" argument )* ")" | name ":{" argument+ "}" | [name ":"] TOKEN */
#include "server/call/syntax.h"

struct parser {
    const char *at;
    struct syntax *syntax;
    const char *error; /* the first thing that was wrong */
    int depth;
};

static const struct {
    const char *name;
    enum syntax_type type;
} type_names[] = {{"string", SYNTAX_STRING},          {"integer", SYNTAX_INTEGER},
                  {"double", SYNTAX_DOUBLE},          {"key", SYNTAX_KEY},
                  {"pattern", SYNTAX_PATTERN},        {"unix-time", SYNTAX_UNIX_TIME},
                  {"key-pattern", SYNTAX_KEY_PATTERN}};

static int16_t parse_argument(struct parser *p);

static int16_t fail(struct parser *p, const char *error) {
    if (!p->error) p->error = error;
    return SYNTAX_NONE;
}

static void skip_spaces(struct parser *p) {
    while (*p->at == ' ') p->at++;
}

/* Takes `c`, and the spaces before it, if it comes next. */
static bool take(struct parser *p, char c) {
    skip_spaces(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

/* The characters up to one that means something, or to dots. */
static struct bytes take_word(struct parser *p) {
    const char *begin = p->at;
    while (*p->at && !strchr(" <>[](){}|@!", *p->at) && strncmp(p->at, "...", 3) != 0) p->at++;
    return (struct bytes){begin, (size_t)(p->at - begin)};
}

static int16_t new_argument(struct parser *p, enum syntax_type type, struct bytes name) {
    if (p->syntax->count == SYNTAX_MAX_ARGUMENTS) return fail(p, "syntax has too many arguments");
    p->syntax->arguments[p->syntax->count] = (struct syntax_argument){
        .type = type, .name = name, .key = SYNTAX_NONE, .child = SYNTAX_NONE, .next = SYNTAX_NONE};
    return (int16_t)p->syntax->count++;
}

/* Its number among the keys, if it is one. */
static int key_number(struct syntax *syntax, enum syntax_type type) {
    if (type == SYNTAX_KEY) return syntax->keys++;
    if (type != SYNTAX_KEY_PATTERN) return SYNTAX_NONE;
    if (syntax->pattern == SYNTAX_NONE) syntax->pattern = syntax->keys++;
    return syntax->pattern;
}

/* Behind "<". The last colon parts name and type, so that a name may hold colons: <ip:port:string>. */
static int16_t parse_value(struct parser *p) {
    const char *end = strchr(p->at, '>'), *colon = end;
    struct bytes name = {p->at, end ? (size_t)(end - p->at) : 0}, type = BYTES("string");
    if (!end) return fail(p, "syntax has a '<' without '>'");
    while (colon > p->at && *colon != ':') colon--;
    if (colon > p->at) {
        name.len = (size_t)(colon - p->at);
        type = (struct bytes){colon + 1, (size_t)(end - colon - 1)};
    }
    p->at = end + 1;
    if (name.len == 0) return fail(p, "syntax has an argument without a name");
    for (size_t i = 0; i < sizeof(type_names) / sizeof(*type_names); i++) {
        if (!bytes_equal(type, bytes_of(type_names[i].name))) continue;
        int16_t index = new_argument(p, type_names[i].type, name);
        if (index != SYNTAX_NONE) p->syntax->arguments[index].key = key_number(p->syntax, type_names[i].type);
        return index;
    }
    return fail(p, "syntax has an argument of unknown type");
}

/* Behind "[". */
static int16_t parse_optional(struct parser *p) {
    int16_t index = parse_argument(p);
    if (index == SYNTAX_NONE) return SYNTAX_NONE;
    if (!take(p, ']')) return fail(p, "syntax needs exactly one argument between '[' and ']'");
    p->syntax->arguments[index].flags |= SYNTAX_OPTIONAL;
    return index;
}

/* Behind "{". */
static int16_t parse_announced(struct parser *p) {
    skip_spaces(p);
    struct bytes token = take_word(p);
    if (token.len == 0) return fail(p, "syntax has a '{' without a token behind it");
    int16_t index = parse_argument(p);
    if (index == SYNTAX_NONE) return SYNTAX_NONE;
    if (!take(p, '}')) return fail(p, "syntax needs exactly one argument behind a token in '{' and '}'");
    struct syntax_argument *argument = &p->syntax->arguments[index];
    if (argument->token.len) return fail(p, "syntax gives one argument two tokens");
    argument->token = token;
    return index;
}

/* Behind "name:(" or "name:{": members up to `close`, parted by '|' in a oneof. */
static int16_t parse_members(struct parser *p, enum syntax_type type, struct bytes name, char close) {
    int16_t index = new_argument(p, type, name), last = SYNTAX_NONE;
    while (index != SYNTAX_NONE && !p->error) {
        int16_t member = parse_argument(p);
        if (member == SYNTAX_NONE) break;
        if (last == SYNTAX_NONE)
            p->syntax->arguments[index].child = member;
        else
            p->syntax->arguments[last].next = member;
        last = member;
        if (take(p, close)) return index;
        if (type == SYNTAX_ONEOF && !take(p, '|')) return fail(p, "syntax lacks '|' or ')' in a choice");
    }
    return SYNTAX_NONE;
}

static int16_t parse_word(struct parser *p) {
    struct bytes word = take_word(p);
    if (word.len == 0) return fail(p, "syntax ends early or has a bracket out of place");
    if (word.len > 1 && word.data[word.len - 1] == ':') {
        word.len--;
        if (take(p, '(')) return parse_members(p, SYNTAX_ONEOF, word, ')');
        if (take(p, '{')) return parse_members(p, SYNTAX_BLOCK, word, '}');
        return fail(p, "syntax has a name without '(' or '{' behind it");
    }
    const char *colon = memchr(word.data, ':', word.len);
    size_t name_len = colon ? (size_t)(colon - word.data) : word.len;
    int16_t index = new_argument(p, SYNTAX_PURE_TOKEN, (struct bytes){word.data, name_len});
    if (index == SYNTAX_NONE) return SYNTAX_NONE;
    p->syntax->arguments[index].token = colon ? (struct bytes){colon + 1, word.len - name_len - 1} : word;
    return index;
}

/* The "..." and versions behind an argument. */
static void parse_suffixes(struct parser *p, struct syntax_argument *argument) {
    for (;;) {
        skip_spaces(p);
        if (strncmp(p->at, "...", 3) == 0) {
            p->at += 3;
            argument->flags |= SYNTAX_MULTIPLE;
            argument->none = *p->at == '*';
            if (*p->at == '+') argument->flags |= SYNTAX_MULTIPLE_TOKEN;
            if (*p->at == '+' || *p->at == '*') p->at++;
        } else if (*p->at == '@' || *p->at == '!') {
            struct bytes *version = *p->at++ == '@' ? &argument->since : &argument->deprecated_since;
            *version = (struct bytes){p->at, strspn(p->at, "0123456789.")};
            p->at += version->len;
            if (version->len == 0) fail(p, "syntax has no version behind '@' or '!'");
        } else {
            return;
        }
    }
}

static int16_t parse_argument(struct parser *p) {
    int16_t index;
    if (p->error || p->depth == SYNTAX_MAX_DEPTH) return fail(p, "syntax is nested too deeply");
    p->depth++;
    if (take(p, '<'))
        index = parse_value(p);
    else if (take(p, '['))
        index = parse_optional(p);
    else if (take(p, '{'))
        index = parse_announced(p);
    else
        index = parse_word(p);
    if (index != SYNTAX_NONE) parse_suffixes(p, &p->syntax->arguments[index]);
    p->depth--;
    return p->error ? SYNTAX_NONE : index;
}

const char *syntax_parse(const char *text, struct syntax *syntax) {
    struct parser p = {.at = text ? text : "", .syntax = syntax};
    int16_t last = SYNTAX_NONE;
    syntax->count = syntax->keys = 0;
    syntax->first = syntax->pattern = SYNTAX_NONE;
    for (skip_spaces(&p); *p.at; skip_spaces(&p)) {
        int16_t index = parse_argument(&p);
        if (index == SYNTAX_NONE) return p.error;
        if (last == SYNTAX_NONE)
            syntax->first = index;
        else
            syntax->arguments[last].next = index;
        last = index;
    }
    return NULL;
}

/* How many arguments this one stands for at least. */
static unsigned least_of(const struct syntax *syntax, int16_t index, bool *fixed) {
    const struct syntax_argument *argument = &syntax->arguments[index];
    unsigned own = argument->type == SYNTAX_ONEOF || argument->type == SYNTAX_BLOCK ? 0 : 1;
    for (int16_t child = argument->child; child != SYNTAX_NONE; child = syntax->arguments[child].next) {
        unsigned least = least_of(syntax, child, fixed);
        bool first = child == argument->child;
        if (argument->type == SYNTAX_BLOCK) {
            own += least;
        } else {
            if (!first && least != own) *fixed = false;
            if (first || least < own) own = least;
        }
    }
    if (argument->token.len && argument->type != SYNTAX_PURE_TOKEN) own++;
    if (argument->flags & (SYNTAX_OPTIONAL | SYNTAX_MULTIPLE)) *fixed = false;
    return argument->flags & SYNTAX_OPTIONAL || argument->none ? 0 : own;
}

unsigned syntax_least(const struct syntax *syntax, bool *fixed) {
    unsigned least = 0;
    *fixed = true;
    for (int16_t index = syntax->first; index != SYNTAX_NONE; index = syntax->arguments[index].next)
        least += least_of(syntax, index, fixed);
    return least;
}
