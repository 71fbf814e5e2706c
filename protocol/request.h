/* request.h - bytes in, requests out: an incremental parser of RESP multibulk and inline requests.
 *
 * The parser is sans-I/O: it is shown the bytes from the start of the oldest unconsumed request and says MORE, READY,
 * BULK or BAD. Arguments are slices of those bytes; nothing is copied. When a request is incomplete the caller keeps
 * its bytes (they may move) and shows them again with more behind; what was parsed so far is remembered as offsets,
 * so no byte is scanned twice and a request that arrives byte by byte costs linear time.
 *
 *                 request_parse             request_parse
 *      (idle) ----- MORE -----> (partial) ----- READY -----> (idle)
 *         \---- READY ---^          \---- BULK ---> caller fills the bulk, request_bulk_given ---> (partial)
 *          \--- BAD: request_error has the text; reply "-ERR " + text, then close. The parser is finished.
 *
 * A bulk of at least `bulk_min` bytes that is not all here yet ends the call with BULK, once: the caller may read it
 * straight into memory of its own (parser->bulk_len + 2 bytes, the CRLF included; parser->bulk_have of them, up to
 * bulk_len + 1, are already here, at data + parser->bulk_offset) and hand it over with request_bulk_given. In the bytes
 * shown after that, the bulk and its CRLF are absent: what follows them continues at data + bulk_offset. */
#ifndef KEVY_PROTOCOL_REQUEST_H
#define KEVY_PROTOCOL_REQUEST_H

#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/bytes.h"
#include "protocol/load.h"

enum request_status { REQUEST_MORE, REQUEST_READY, REQUEST_BULK, REQUEST_BAD };

/* Bounds on what a peer may ask for; the server passes tighter ones before AUTH. */
struct request_limits {
    uint32_t max_args;   /* 1,048,576; before AUTH 10 */
    uint64_t max_bulk;   /* bytes; proto-max-bulk-len; before AUTH 16 KiB */
    uint32_t max_inline; /* bytes of an inline request or of a length line: 64 KiB */
    uint64_t bulk_min;   /* bulks of this size that are not all here are announced; UINT64_MAX: never */
    bool authenticated;  /* picks the error text: "invalid multibulk length" or "unauthenticated ..." */
};

/* The arguments of one request. Owned by the caller, reused from request to request; grows only as arguments really
 * arrive, never because a count announced them. Zero-initialised is empty. */
struct request_args {
    struct bytes *argv; /* malloc'd */
    uint32_t argc;
    uint32_t capacity;
};

struct request_saved;            /* offsets of the arguments parsed so far */
enum { REQUEST_ERROR_MAX = 64 }; /* bytes of an error's text, its NUL included */

struct request_parser {
    struct request_saved *saved; /* NULL while idle: allocated only while a request is incomplete */
    size_t bulk_offset;          /* after BULK, see above */
    size_t bulk_have;
    uint64_t bulk_len;
    uint8_t error; /* after BAD: which one; request_error says it in words ... */
    char got;      /* ... with the byte that stood where '$' should */
};

/* Parses the first request of `data`.
 * READY: args holds it and *used is its size in bytes; args->argc == 0 for an empty request ("*0", "*-1", an empty
 * line), which has no reply. Arguments point into data, into memory handed over with request_bulk_given, or, for an
 * inline request, into the allocation of args->argv itself: those last until the next call with the same args.
 * MORE, BULK: *used is 0 and the caller must show the same bytes again, with more behind.
 * BAD: request_error says why (also when memory ran out).
 * args->argc is meaningful only after READY. */
enum request_status request_parse(struct request_parser *parser, const struct request_limits *limits,
                                  struct bytes data, struct request_args *args, size_t *used);

/* After BULK: the whole bulk is at `data` (parser->bulk_len bytes, owned by the caller, to outlive the request). */
void request_bulk_given(struct request_parser *parser, const char *data);

/* After BAD: writes why to `text`, without "-ERR ", CR or LF, NUL-terminated. */
void request_error(const struct request_parser *parser, char text[REQUEST_ERROR_MAX]);

/* Of an incomplete request, how many of its bytes are understood: all before them are whole arguments. */
size_t request_parsed(const struct request_parser *parser);

/* Forgets an incomplete request and frees what it holds. */
void request_parser_reset(struct request_parser *parser);
void request_args_free(struct request_args *args);

/* Splits a line as inline requests, redis.conf lines and redis-cli do: blanks separate, "..." with \n \r \t \b \a
 * \xHH escapes, '...' with \' only. Unescaped text is written to `scratch` (at least line.len bytes) and the
 * arguments point there. False for unbalanced quotes, a quote that closes in the middle of a word, or no memory. */
bool request_split_line(struct bytes line, char *scratch, struct request_args *args)
    __attribute__((warn_unused_result));

/* ---- The fast gear -------------------------------------------------------------------------------- */

enum { REQUEST_ARGUMENT_MIN = 6 /* bytes of the shortest argument: "$0\r\n\r\n" */ };

/* The figure of a length line; `at` is behind its type byte. Returns the byte behind the line, or NULL where
 * the slow gear should look: bytes missing, not a plain number, or ten digits and more. */
static inline const char *request_whole_length(const char *at, const char *end, size_t *out) {
    if (end - at < 4) return NULL;
    size_t value = (unsigned char)at[0] - (unsigned)'0';
    if (value > 9) return NULL;
    if (at[1] == '\r') {
        *out = value;
        return at + 3;
    }
    if (value == 0) return NULL;
    const char *limit = end - at > 12 ? at + 10 : end - 1; /* the CR lies before this, an LF behind it */
    for (at++; at < limit; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit > 9) {
            *out = value;
            return *at == '\r' ? at + 2 : NULL;
        }
        value = value * 10 + digit;
    }
    return NULL;
}

/* The bytes of a word as they lie in memory, first byte lowest. */
#define REQUEST_WORD4(a, b, c, d)                                                                            \
    ((uint64_t)(unsigned char)(a) | (uint64_t)(unsigned char)(b) << 8 | (uint64_t)(unsigned char)(c) << 16 | \
     (uint64_t)(unsigned char)(d) << 24)

/* "$d\r\n" and "$dd\r\n" are nearly all lengths there are: one word decides. Returns the byte behind the line; NULL where
 * request_whole_length must look. */
static inline const char *request_short_length(const char *at, char type, size_t *out) {
    uint64_t word = load_u64(at);
    uint32_t one = (uint32_t)word ^ (uint32_t)REQUEST_WORD4(type, '0', '\r', '\n');
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) return NULL;
    if ((one & 0xff) == 0 && one <= 9 << 8) {
        *out = one >> 8;
        return at + 4;
    }
    uint64_t two = word ^ (REQUEST_WORD4(type, '0', '0', '\r') | (uint64_t)'\n' << 32);
    uint32_t tens = (uint32_t)(two >> 8) & 0xff, ones = (uint32_t)(two >> 16) & 0xff;
    if (two & 0xffff0000ff || tens - 1 > 8 || ones > 9) return NULL;
    *out = tens * 10 + ones;
    return at + 5;
}

static inline const char *request_line_length(const char *at, const char *end, char type, size_t *out) {
    const char *behind = end - at >= 8 ? request_short_length(at, type, out) : NULL;
    if (__builtin_expect(behind != NULL, 1)) return behind;
    return end - at >= REQUEST_ARGUMENT_MIN && *at == type ? request_whole_length(at + 1, end, out) : NULL;
}

/* What is known of a request whose arguments are read: they are `count`, and number `from` begins at `at`. */
struct request_start {
    const char *at;
    uint32_t from, count;
};

/* Reads the arguments that are left. Always inline: a call, with what it must save, cost 35 instructions a request. */
static inline __attribute__((always_inline)) bool
request_parse_arguments(const struct request_limits *limits, struct bytes data, struct request_start start,
                        struct request_args *args, size_t *used) {
    const char *at = start.at, *end = data.data + data.len;
    struct bytes *arg = args->argv + start.from, *last = args->argv + start.count;
    const uint64_t max_bulk = limits->max_bulk;
    for (; arg < last; arg++) {
        size_t bulk_len;
        if (!(at = request_line_length(at, end, '$', &bulk_len))) return false;
        if (bulk_len + 2 > (size_t)(end - at) || bulk_len > max_bulk) return false;
        *arg = (struct bytes){at, bulk_len};
        at += bulk_len + 2;
    }
    args->argc = start.count;
    *used = (size_t)(at - data.data);
    return true;
}

/* True: args and *used hold the request. False: nothing is decided. */
static inline bool request_parse_whole(const struct request_limits *limits, struct bytes data,
                                       struct request_args *args, size_t *used) {
    size_t count;
    const char *at = request_line_length(data.data, data.data + data.len, '*', &count);
    if (!at || count == 0 || count > limits->max_args || count > args->capacity) return false;
    return request_parse_arguments(limits, data, (struct request_start){at, 0, (uint32_t)count}, args, used);
}

/* The argument behind the name, for who wants to know early what a request will look at: the bytes alone are read, and
 * nothing is said of the rest of them. False where it is not there, or not whole, or written in an unusual way. */
static inline bool request_peek_argument(struct bytes data, struct bytes *argument) {
    const char *at = data.data, *end = data.data + data.len;
    size_t count, len;
    if (!(at = request_line_length(at, end, '*', &count)) || count < 2) return false;
    if (!(at = request_line_length(at, end, '$', &len)) || len + 2 > (size_t)(end - at)) return false;
    at += len + 2;
    if (!(at = request_line_length(at, end, '$', &len)) || len > (size_t)(end - at)) return false;
    *argument = (struct bytes){at, len};
    return true;
}

/* ---- The overdrive -------------------------------------------------------------------------------- */

/* How a request begins: "*<count>\r\n$<len>\r\n<name>\r\n". Most requests begin as the one before did; two comparisons of
 * eight bytes see that, or three of a long name, and neither count nor name need be read again. */
struct request_head {
    uint64_t first,
        last; /* its first and its last eight bytes; they overlap where there are no more than sixteen */
    uint64_t middle; /* of one with more: the eight bytes behind the first ones */
    uint32_t size;   /* bytes; 0: no head is known */
    uint32_t count;  /* arguments, one digit */
};

enum {
    REQUEST_HEAD_TWO = 16, /* bytes: what two words of eight cover */
    REQUEST_HEAD_MAX = 19, /* of a name of nine bytes, whose length has one digit */
};

/* Remembers the head of a request that request_parse_whole has parsed from `data`, if it is of the usual form. False if
 * it is not. */
static inline bool request_head_note(struct request_head *head, const char *data,
                                     const struct request_args *args) {
    size_t size = args->argv[0].len + 10;
    if (args->argc > 9 || size > REQUEST_HEAD_MAX || args->argv[0].data != data + 8) return false;
    *head = (struct request_head){.first = load_u64(data),
                                  .last = load_u64(data + size - 8),
                                  .middle = size > REQUEST_HEAD_TWO ? load_u64(data + 8) : 0,
                                  .size = (uint32_t)size,
                                  .count = args->argc};
    return true;
}

/* Does `data` begin with this head? */
static inline bool request_head_is(const struct request_head *head, struct bytes data) {
    return head->size && data.len >= head->size && load_u64(data.data) == head->first &&
           load_u64(data.data + head->size - 8) == head->last &&
           (head->size <= REQUEST_HEAD_TWO || load_u64(data.data + 8) == head->middle);
}

/* request_parse_whole for a request that begins with this head. */
static inline __attribute__((always_inline)) bool
request_parse_behind(const struct request_head *head, const struct request_limits *limits, struct bytes data,
                     struct request_args *args, size_t *used) {
    if (head->count > args->capacity) return false;
    args->argv[0] = (struct bytes){data.data + 8, head->size - 10};
    struct request_start start = {data.data + head->size, 1, head->count};
    return request_parse_arguments(limits, data, start, args, used);
}

/* How one request begins, with its first arguments, as another did that was parsed whole and is still there. */
struct request_lead {
    const char *data;
    size_t size;              /* bytes up to behind the last of these arguments; REQUEST_LEAD_MOST at most */
    const struct bytes *argv; /* the other request's */
    uint32_t known, count;    /* of how many arguments, of all that there are */
};
enum { REQUEST_LEAD_MOST = 128 };

/* What a request at `data` that was parsed to these arguments has in common with one that has the same first `known` ones.
 * size 0: it is too long, or too short. */
static inline struct request_lead request_lead(const char *data, const struct request_args *args,
                                               uint32_t known) {
    struct bytes last = args->argv[known - 1];
    size_t size = (size_t)(last.data + last.len + 2 - data);
    debug_assert(known > 0 && known <= args->argc);
    return (struct request_lead){.data = data,
                                 .size = size >= 8 && size <= REQUEST_LEAD_MOST ? size : 0,
                                 .argv = args->argv,
                                 .known = known,
                                 .count = args->argc};
}

/* Does `data` begin with it? */
static inline bool request_lead_is(const struct request_lead *lead, struct bytes data) {
    size_t last = lead->size - 8;
    if (lead->size == 0 || data.len < lead->size) return false;
    for (size_t i = 0; i < last; i += 8)
        if (load_u64(data.data + i) != load_u64(lead->data + i)) return false;
    return load_u64(data.data + last) == load_u64(lead->data + last);
}

/* request_parse_whole for a request that begins so. */
static inline __attribute__((always_inline)) bool request_parse_led(const struct request_lead *lead,
                                                                    const struct request_limits *limits,
                                                                    struct bytes data,
                                                                    struct request_args *args, size_t *used) {
    if (lead->count > args->capacity) return false;
    for (uint32_t i = 0; i < lead->known; i++)
        args->argv[i] = (struct bytes){data.data + (lead->argv[i].data - lead->data), lead->argv[i].len};
    struct request_start start = {data.data + lead->size, lead->known, lead->count};
    return request_parse_arguments(limits, data, start, args, used);
}

#endif
