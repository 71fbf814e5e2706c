/* request.c - the request parser, in two gears.
 *
 * request_parse_whole (request.h) is the fast gear and the server's hottest loop: a multibulk request that lies whole in the
 * buffer goes straight into args->argv in one pass, without state and without allocation. At the first thing
 * out of the ordinary (bytes that end early, an error, an inline request, more arguments than argv holds) it
 * gives up, and has changed nothing.
 *
 * The slow gear starts again from the first byte of that request and keeps what it learns in `struct
 * request_saved`, as offsets, because the bytes may move before the next call. It alone knows the errors. A
 * request is read at most once by the fast gear and once by the slow one, so the cost stays linear however
 * small the pieces are.
 *
 * The bytes after a length line's CR and after a bulk are skipped unread, as Redis does: they should be LF and CRLF. */
#include "protocol/request.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/number.h"

static_assert(sizeof(size_t) == 8, "an announced length plus its CRLF must fit a size_t");

enum {
    ARGS_MIN = 64, /* first capacity of an argv, in arguments */
    SLOTS_MIN = 4, /* first capacity of a saved request, in arguments */
};

/* Arguments */

static bool args_reserve(struct request_args *args, size_t capacity) {
    if (capacity <= args->capacity) return true;
    if (capacity < ARGS_MIN) capacity = ARGS_MIN;
    if (capacity > UINT32_MAX) return false;
    struct bytes *argv = realloc(args->argv, capacity * sizeof *argv);
    if (!argv) return false;
    args->argv = argv;
    args->capacity = (uint32_t)capacity;
    return true;
}

void request_args_free(struct request_args *args) {
    free(args->argv);
    *args = (struct request_args){0};
}

/* The slow gear: a request that is remembered between calls */

struct slot {
    const char *given; /* memory handed over by the caller, or NULL: `offset` counts */
    size_t offset;     /* from the start of the request */
    size_t len;
};

enum bulk_state {
    BULK_LENGTH,   /* the next thing is a "$<len>" line */
    BULK_BYTES,    /* bulk_len and a CRLF are to follow at `at` */
    BULK_ANNOUNCED /* the same, and the caller was told with REQUEST_BULK */
};

struct request_saved {
    size_t at;      /* bytes before this offset are parsed */
    size_t scanned; /* no line end in [at, scanned) */
    size_t bulk_len;
    enum bulk_state bulk;
    uint32_t count; /* arguments announced; 0: the "*<count>" line is still to come */
    uint32_t argc;  /* slots in use, <= count */
    uint32_t capacity;
    struct slot slots[];
};

static bool saved_reserve(struct request_parser *parser, uint32_t capacity) {
    struct request_saved *saved = parser->saved;
    if (saved && capacity <= saved->capacity) return true;
    uint32_t grown = saved ? 2 * saved->capacity : SLOTS_MIN; /* max_args is far below 2^31 */
    if (grown < capacity) grown = capacity;
    saved = realloc(saved, sizeof *saved + grown * sizeof saved->slots[0]);
    if (!saved) return false;
    if (!parser->saved) *saved = (struct request_saved){0};
    saved->capacity = grown;
    parser->saved = saved;
    return true;
}

/* Room must have been reserved. */
static void saved_add(struct request_saved *saved, struct slot slot) {
    assert(saved->argc < saved->capacity && saved->argc < saved->count);
    saved->slots[saved->argc++] = slot;
    saved->bulk = BULK_LENGTH;
}

size_t request_parsed(const struct request_parser *parser) {
    return parser->saved ? parser->saved->at : 0;
}

void request_parser_reset(struct request_parser *parser) {
    free(parser->saved);
    parser->saved = NULL;
}

void request_bulk_given(struct request_parser *parser, const char *data) {
    assert(parser->saved && parser->saved->bulk == BULK_ANNOUNCED);
    saved_add(parser->saved, (struct slot){.given = data, .len = parser->bulk_len});
}

enum bad {
    BAD_MEMORY,
    BAD_COUNT_LINE,
    BAD_COUNT,
    BAD_COUNT_UNAUTHENTICATED,
    BAD_LENGTH_LINE,
    BAD_LENGTH,
    BAD_LENGTH_UNAUTHENTICATED,
    BAD_TYPE,
    BAD_QUOTES,
    BAD_INLINE
};

static enum request_status bad(struct request_parser *parser, enum bad why) {
    parser->error = (uint8_t)why;
    return REQUEST_BAD;
}

static enum request_status bad_type(struct request_parser *parser, char got) {
    parser->got = got == '\r' || got == '\n' || got == '\0' ? ' ' : got;
    return bad(parser, BAD_TYPE);
}

void request_error(const struct request_parser *parser, char text[REQUEST_ERROR_MAX]) {
    static const char *const texts[] = {
        [BAD_MEMORY] = "out of memory",
        [BAD_COUNT_LINE] = "Protocol error: too big mbulk count string",
        [BAD_COUNT] = "Protocol error: invalid multibulk length",
        [BAD_COUNT_UNAUTHENTICATED] = "Protocol error: unauthenticated multibulk length",
        [BAD_LENGTH_LINE] = "Protocol error: too big bulk count string",
        [BAD_LENGTH] = "Protocol error: invalid bulk length",
        [BAD_LENGTH_UNAUTHENTICATED] = "Protocol error: unauthenticated bulk length",
        [BAD_TYPE] = "Protocol error: expected '$', got '?'",
        [BAD_QUOTES] = "Protocol error: unbalanced quotes in request",
        [BAD_INLINE] = "Protocol error: too big inline request"};
    size_t len = strlen(texts[parser->error]);
    assert(len < REQUEST_ERROR_MAX);
    memcpy(text, texts[parser->error], len + 1);
    if (parser->error == BAD_TYPE) text[len - 2] = parser->got;
}

/* Finds the terminator of the line at saved->at. READY: *line_end is its offset. BAD, without a text: there is none
 * within `max` bytes. Where it stands decides, not how much has arrived, so every split gives the same verdict. */
static enum request_status find_line_end(struct request_saved *saved, struct bytes data, char terminator,
                                         uint32_t max, size_t *line_end) {
    size_t start = saved->at;
    size_t limit = data.len - start > max ? start + max + 1 : data.len;
    if (saved->scanned < start) saved->scanned = start;
    const char *found = memchr(data.data + saved->scanned, terminator, limit - saved->scanned);
    saved->scanned = found ? (size_t)(found - data.data) : limit;
    if (!found) return data.len - start > max ? REQUEST_BAD : REQUEST_MORE;
    *line_end = saved->scanned;
    return REQUEST_READY;
}

/* The number of a "*<n>" or "$<n>" line. READY: saved->at is behind the line; false in *valid for what is no number. */
static enum request_status read_length(struct request_saved *saved, struct bytes data, uint32_t max,
                                       int64_t *value, bool *valid) {
    size_t line_end;
    enum request_status status = find_line_end(saved, data, '\r', max, &line_end);
    if (status != REQUEST_READY) return status;
    if (line_end + 2 > data.len) return REQUEST_MORE;
    size_t digits = saved->at + 1;
    *valid = digits <= line_end &&
             number_parse_i64((struct bytes){data.data + digits, line_end - digits}, value);
    saved->at = line_end + 2;
    return REQUEST_READY;
}

/* "*<count>": sets saved->count, which stays 0 for an empty request. */
static enum request_status read_count(struct request_parser *parser, const struct request_limits *limits,
                                      struct bytes data) {
    int64_t count;
    bool valid;
    enum request_status status = read_length(parser->saved, data, limits->max_inline, &count, &valid);
    if (status == REQUEST_BAD) return bad(parser, BAD_COUNT_LINE);
    if (status != REQUEST_READY) return status;
    if (!valid || count > INT32_MAX || (count > limits->max_args && limits->authenticated))
        return bad(parser, BAD_COUNT);
    if (count > limits->max_args) return bad(parser, BAD_COUNT_UNAUTHENTICATED);
    parser->saved->count = count > 0 ? (uint32_t)count : 0;
    return REQUEST_READY;
}

/* "$<len>": sets saved->bulk_len. */
static enum request_status read_bulk_len(struct request_parser *parser, const struct request_limits *limits,
                                         struct bytes data) {
    struct request_saved *saved = parser->saved;
    size_t start = saved->at;
    int64_t bulk_len;
    bool valid;
    enum request_status status = read_length(saved, data, limits->max_inline, &bulk_len, &valid);
    if (status == REQUEST_BAD) return bad(parser, BAD_LENGTH_LINE);
    if (status != REQUEST_READY) return status;
    if (data.data[start] != '$') return bad_type(parser, data.data[start]);
    if (!valid || bulk_len < 0 || ((uint64_t)bulk_len > limits->max_bulk && limits->authenticated))
        return bad(parser, BAD_LENGTH);
    if ((uint64_t)bulk_len > limits->max_bulk) return bad(parser, BAD_LENGTH_UNAUTHENTICATED);
    saved->bulk_len = (size_t)bulk_len;
    saved->bulk = BULK_BYTES;
    return REQUEST_READY;
}

/* The bytes of a bulk and their CRLF, once they are all here. */
static enum request_status read_bulk(struct request_parser *parser, const struct request_limits *limits,
                                     size_t len) {
    if (!saved_reserve(parser, parser->saved->argc + 1)) return bad(parser, BAD_MEMORY);
    struct request_saved *saved = parser->saved;
    if (len - saved->at >= saved->bulk_len + 2) {
        saved_add(saved, (struct slot){.offset = saved->at, .len = saved->bulk_len});
        saved->at += saved->bulk_len + 2;
        return REQUEST_READY;
    }
    if (saved->bulk == BULK_ANNOUNCED || saved->bulk_len < limits->bulk_min) return REQUEST_MORE;
    saved->bulk = BULK_ANNOUNCED;
    parser->bulk_offset = saved->at;
    parser->bulk_have = len - saved->at;
    parser->bulk_len = saved->bulk_len;
    return REQUEST_BULK;
}

/* Turns the saved offsets into arguments. */
static enum request_status deliver(struct request_parser *parser, const char *data, struct request_args *args,
                                   size_t *used) {
    const struct request_saved *saved = parser->saved;
    if (!args_reserve(args, saved->argc)) return bad(parser, BAD_MEMORY);
    for (uint32_t i = 0; i < saved->argc; i++) {
        const struct slot *slot = &saved->slots[i];
        args->argv[i] = (struct bytes){slot->given ? slot->given : data + slot->offset, slot->len};
    }
    args->argc = saved->argc;
    *used = saved->at;
    return REQUEST_READY;
}

static enum request_status parse_multibulk(struct request_parser *parser, const struct request_limits *limits,
                                           struct bytes data, struct request_args *args, size_t *used) {
    enum request_status status = REQUEST_READY;
    if (parser->saved->count == 0) status = read_count(parser, limits, data);
    while (status == REQUEST_READY && parser->saved->argc < parser->saved->count) {
        if (parser->saved->bulk == BULK_LENGTH)
            status = read_bulk_len(parser, limits, data);
        else
            status = read_bulk(parser, limits, data.len);
    }
    return status == REQUEST_READY ? deliver(parser, data.data, args, used) : status;
}

/* Inline requests and lines of words */

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape stands for; *at is on its backslash, and is left on its last byte. */
static char unescape(const char **at, const char *end) {
    const char *p = *at;
    if (end - p >= 4 && p[1] == 'x' && hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0) {
        *at = p + 3;
        return (char)(hex_value(p[2]) * 16 + hex_value(p[3]));
    }
    *at = p + 1;
    switch (p[1]) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return p[1];
    }
}

/* Copies a quoted part from the byte behind its opening quote. Returns the byte behind the closing one, which
 * must end the word, or NULL. */
static const char *copy_quoted(const char *at, const char *end, char quote, char **to) {
    for (; at < end && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && end - at >= 2)
            *(*to)++ = unescape(&at, end);
        else if (quote == '\'' && *at == '\\' && end - at >= 2 && at[1] == '\'')
            *(*to)++ = *++at;
        else
            *(*to)++ = *at;
    }
    if (at == end) return NULL;
    at++;
    return at == end || byte_is_space(*at) ? at : NULL;
}

/* Copies one word. Returns the byte behind it, or NULL for unbalanced quotes. Redis begins a word after any
 * of the six ASCII blanks, but a vertical tab or a form feed does not end one. */
static const char *copy_word(const char *at, const char *end, char **to) {
    for (; at < end; at++) {
        if (*at == '"' || *at == '\'') return copy_quoted(at + 1, end, *at, to);
        if (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') return at;
        *(*to)++ = *at;
    }
    return at;
}

bool request_split_line(struct bytes line, char *scratch, struct request_args *args) {
    const char *at = line.data, *end = line.data + line.len;
    args->argc = 0;
    for (;;) {
        while (at < end && byte_is_space(*at)) at++;
        if (at == end) return true;
        char *word = scratch;
        if (!(at = copy_word(at, end, &scratch))) return false;
        if (args->argc == args->capacity && !args_reserve(args, 2 * (size_t)args->capacity + 1)) return false;
        args->argv[args->argc++] = (struct bytes){word, (size_t)(scratch - word)};
    }
}

/* An upper bound of the words in a line: each begins at its start or behind a blank. */
static size_t words_max(struct bytes line) {
    size_t words = 0;
    for (size_t i = 0; i < line.len; i++)
        if (!byte_is_space(line.data[i]) && (i == 0 || byte_is_space(line.data[i - 1]))) words++;
    return words;
}

/* Splits a line into args; the unescaped text lies in the same allocation, behind the arguments. */
static enum request_status split_inline(struct request_parser *parser, struct bytes line,
                                        struct request_args *args) {
    size_t words = words_max(line);
    size_t text = line.len / sizeof args->argv[0] + 1;
    if (!args_reserve(args, words + text)) return bad(parser, BAD_MEMORY);
    if (!request_split_line(line, (char *)(args->argv + words), args)) return bad(parser, BAD_QUOTES);
    assert(args->argc <= words);
    return REQUEST_READY;
}

static enum request_status parse_inline(struct request_parser *parser, const struct request_limits *limits,
                                        struct bytes data, struct request_args *args, size_t *used) {
    size_t line_end;
    enum request_status status = find_line_end(parser->saved, data, '\n', limits->max_inline, &line_end);
    if (status == REQUEST_BAD) return bad(parser, BAD_INLINE);
    if (status != REQUEST_READY) return status;
    bool carriage_return = line_end > 0 && data.data[line_end - 1] == '\r';
    status = split_inline(parser, (struct bytes){data.data, line_end - carriage_return}, args);
    if (status == REQUEST_READY) *used = line_end + 1;
    return status;
}

/* Both gears */

static __attribute__((noinline)) enum request_status parse_saved(struct request_parser *parser,
                                                                 const struct request_limits *limits,
                                                                 struct bytes data, struct request_args *args,
                                                                 size_t *used) {
    if (data.len == 0) return REQUEST_MORE;
    if (!saved_reserve(parser, 1)) return bad(parser, BAD_MEMORY);
    assert(data.len >= parser->saved->at); /* the caller shows the same bytes again */
    enum request_status status = data.data[0] == '*' ? parse_multibulk(parser, limits, data, args, used)
                                                     : parse_inline(parser, limits, data, args, used);
    if (status == REQUEST_READY || status == REQUEST_BAD) request_parser_reset(parser);
    return status;
}

enum request_status request_parse(struct request_parser *parser, const struct request_limits *limits,
                                  struct bytes data, struct request_args *args, size_t *used) {
    if (!parser->saved && request_parse_whole(limits, data, args, used)) return REQUEST_READY;
    *used = 0;
    return parse_saved(parser, limits, data, args, used);
}
