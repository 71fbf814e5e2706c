/* response.c - replies, found and walked.
 *
 * Both doors read elements one after another. Nesting is a stack of counters: how many members each open
 * aggregate still expects. A reply is whole when the stack is empty. */
#include "protocol/response.h"

#include "protocol/assert.h"
#include "protocol/number.h"

/* Members of the open aggregates still to come; open[0] is the reply itself. */
struct nesting {
    unsigned depth; /* of the next element */
    uint64_t open[RESPONSE_MAX_DEPTH + 1];
};

static bool is_aggregate(char type) {
    return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

static bool is_bulk(char type) {
    return type == '$' || type == '=' || type == '!';
}

/* The number of a length line: of bytes, or of members. */
static bool read_length(struct response_item *item, struct bytes line) {
    if (!number_parse_i64(line, &item->number)) return false;
    if (item->number == -1 && (item->type == '*' || item->type == '$')) {
        item->null = true;
        item->number = 0;
        item->text.len = 0;
        return true;
    }
    if (item->number < 0) return false;
    if (item->type != '%' && item->type != '|') return true;
    return !__builtin_mul_overflow(item->number, 2, &item->number);
}

/* Fills *item from the line behind its type; false if it is malformed. A bulk's length is left in item->number. */
static bool read_line(struct response_item *item, struct bytes line) {
    item->text = line;
    switch (item->type) {
    case '+':
    case '-':
    case ',':
    case '(': return true;
    case ':': return number_parse_i64(line, &item->number);
    case '#':
        item->number = bytes_equal(line, BYTES("t"));
        return item->number || bytes_equal(line, BYTES("f"));
    case '_': item->null = true; return line.len == 0;
    default: return read_length(item, line);
    }
}

/* Reads the element at data[*at]. READY: *at is behind it (an aggregate's members follow). */
static enum response_status read_item(const char *data, size_t len, uint64_t max_bulk, size_t *at,
                                      struct response_item *item) {
    if (*at == len) return RESPONSE_MORE;
    const char *line = data + *at + 1, *end = data + len;
    *item = (struct response_item){.type = data[*at]};
    if (!memchr("+-:$*_#,(=%~>|!", item->type, 15)) return RESPONSE_BAD;
    const char *line_end = line < end ? memchr(line, '\r', (size_t)(end - line)) : NULL;
    if (!line_end || line_end + 1 == end) return RESPONSE_MORE;
    if (line_end[1] != '\n' || !read_line(item, (struct bytes){line, (size_t)(line_end - line)}))
        return RESPONSE_BAD;

    const char *next = line_end + 2;
    if (is_bulk(item->type) && !item->null) {
        uint64_t bulk_len = (uint64_t)item->number;
        if (bulk_len > max_bulk || bulk_len > SIZE_MAX - 2) return RESPONSE_BAD;
        if ((size_t)(end - next) < bulk_len + 2) return RESPONSE_MORE;
        if (memcmp(next + bulk_len, "\r\n", 2) != 0) return RESPONSE_BAD;
        item->text = (struct bytes){next, (size_t)bulk_len};
        item->number = 0;
        next += bulk_len + 2;
    }
    *at = (size_t)(next - data);
    return RESPONSE_READY;
}

/* Counts an element in; false if it nests too deep. */
static bool nesting_count(struct nesting *nesting, const struct response_item *item) {
    nesting->open[nesting->depth]--;
    if (item->type == '|')
        nesting->open[nesting->depth]++; /* an attribute is extra: what it describes follows */
    if (is_aggregate(item->type) && item->number > 0) {
        if (nesting->depth == RESPONSE_MAX_DEPTH) return false;
        nesting->open[++nesting->depth] = (uint64_t)item->number;
    }
    while (nesting->depth > 0 && nesting->open[nesting->depth] == 0) nesting->depth--;
    return true;
}

static bool nesting_done(const struct nesting *nesting) {
    return nesting->depth == 0 && nesting->open[0] == 0;
}

enum response_status response_size(const char *data, size_t len, uint64_t max_bulk, size_t *used) {
    struct nesting nesting;
    nesting.depth = 0, nesting.open[0] = 1;
    size_t at = 0;
    while (!nesting_done(&nesting)) {
        struct response_item item;
        enum response_status status = read_item(data, len, max_bulk, &at, &item);
        if (status != RESPONSE_READY) return status;
        if (!nesting_count(&nesting, &item)) return RESPONSE_BAD;
    }
    *used = at;
    return RESPONSE_READY;
}

void response_walk(const char *data, size_t len,
                   void (*visit)(void *context, const struct response_item *item), void *context) {
    struct nesting nesting;
    nesting.depth = 0, nesting.open[0] = 1;
    size_t at = 0;
    while (!nesting_done(&nesting)) {
        struct response_item item;
        enum response_status status = read_item(data, len, UINT64_MAX, &at, &item);
        assert(status == RESPONSE_READY);
        item.depth = nesting.depth;
        visit(context, &item);
        bool counted = nesting_count(&nesting, &item);
        assert(counted);
        if (status != RESPONSE_READY || !counted) return; /* without assertions: stop rather than run on */
    }
}
