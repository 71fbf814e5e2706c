/* reply.c - RESP2 and RESP3 encoders.
 *
 * Everything small is one bounds check and a few stores into the current chunk. Only strings may be longer
 * than a chunk: reply_raw fills what is left of the current one and asks the sink for more. */
#include "protocol/reply.h"

#include <stdio.h>

#include "protocol/load.h"

enum {
    HEADER_MAX = 1 + NUMBER_I64_MAX_LEN + 2, /* "$<len>\r\n" and its kind */
};

static_assert(REPLY_CHUNK_MIN >= 1 + NUMBER_LONG_DOUBLE_MAX_LEN + 2, "any number fits one chunk");

/* Pieces of a reply: each writes at `at` and returns the byte behind, without a bounds check */

static inline char *put_crlf(char *at) {
    memcpy(at, "\r\n", 2);
    return at + 2;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's first byte is its lowest");

/* The digits of 1 to 99,999,999, all of them at once, each in a byte of a word: halves, quarters and then eighths of the
 * number are divided side by side (Khuong, "How to print integers really fast", 2017). Writes eight bytes. */
static inline char *put_digits(char *at, uint32_t n) {
    uint64_t halves = n / 10000 | (uint64_t)(n % 10000) << 32;
    uint64_t hundreds = (halves * 10486 >> 20) & 0x0000007f0000007f; /* of each half, by 100 */
    uint64_t quarters = ((halves - 100 * hundreds) << 16) + hundreds;
    uint64_t tens = (quarters * 103 >> 10) & 0x000f000f000f000f; /* of each quarter, by 10 */
    uint64_t digits = ((quarters - 10 * tens) << 8) + tens;
    unsigned zeroes = (unsigned)__builtin_ctzll(digits) / 8; /* the first digit is in the lowest byte */
    digits = (digits >> 8 * zeroes) + 0x3030303030303030;
    memcpy(at, &digits, sizeof digits);
    return at + 8 - zeroes;
}

/* "<type><n>\r\n"; writes four bytes at least. */
static inline char *put_header(char *at, char type, uint64_t n) {
    if (n < 10) {
        const char header[4] = {type, (char)('0' + n), '\r', '\n'};
        memcpy(at, header, 4);
        return at + 4;
    }
    if (n < 100) {
        const char header[5] = {type, (char)('0' + n / 10), (char)('0' + n % 10), '\r', '\n'};
        memcpy(at, header, 5);
        return at + 5;
    }
    *at++ = type;
    return put_crlf(n < 100000000 ? put_digits(at, (uint32_t)n) : at + number_format_u64(at, n));
}

static void reply_header(struct reply *reply, char type, uint64_t n) {
    char *at = reply_reserve(reply, HEADER_MAX);
    if (at) reply->at = put_header(at, type, n);
}

void reply_raw(struct reply *reply, struct bytes bytes) {
    while (bytes.len) {
        size_t room = (size_t)(reply->end - reply->at);
        size_t piece = bytes.len < room ? bytes.len : room;
        if (piece == 0) {
            if (!reply_reserve(reply, bytes.len < REPLY_CHUNK_MIN ? bytes.len : REPLY_CHUNK_MIN)) return;
            continue;
        }
        memcpy(reply->at, bytes.data, piece);
        reply->at += piece;
        bytes.data += piece;
        bytes.len -= piece;
    }
}

/* Strings */

/* A bulk that does not fit the current chunk. */
static __attribute__((noinline)) void reply_bulk_split(struct reply *reply, struct bytes bytes) {
    reply_header(reply, '$', bytes.len);
    reply_raw(reply, bytes);
    reply_literal(reply, "\r\n");
}

/* The first of a batch finds no chunk, and asks for one as long as it is. */
void reply_bulk_long(struct reply *reply, struct bytes bytes) {
    size_t need = HEADER_MAX + 2 + bytes.len;
    if (reply->at == reply->end && bytes.len < REPLY_CHUNK_MIN / 2 && !reply_reserve(reply, need)) return;
    char *at = reply->at;
    if (__builtin_expect((size_t)(reply->end - at) < need, 0)) {
        reply_bulk_split(reply, bytes);
        return;
    }
    at = put_header(at, '$', bytes.len);
    at = copy_short(at, bytes.data, bytes.len);
    reply->at = put_crlf(at);
}

void reply_bulk_header(struct reply *reply, size_t len) {
    reply_header(reply, '$', len);
}

/* Many strings: without a call or a bounds check for each */

#define DIGIT(n, unit) ((uint64_t)('0' + (n) / (unit) % 10))
#define HEADER_END(len)                                                                                      \
    (((uint64_t)'\r' | (uint64_t)'\n' << 8) << 8 * ((len)-2) | (uint64_t)(len) << HEADER_LEN_SHIFT)
#define HEADER(n)                                                                                            \
    ((n) < 10    ? '$' | DIGIT(n, 1) << 8 | HEADER_END(4)                                                    \
     : (n) < 100 ? '$' | DIGIT(n, 10) << 8 | DIGIT(n, 1) << 16 | HEADER_END(5)                               \
                 : '$' | DIGIT(n, 100) << 8 | DIGIT(n, 10) << 16 | DIGIT(n, 1) << 24 | HEADER_END(6))
#define HEADERS_4(n)  HEADER(n), HEADER((n) + 1), HEADER((n) + 2), HEADER((n) + 3)
#define HEADERS_16(n) HEADERS_4(n), HEADERS_4((n) + 4), HEADERS_4((n) + 8), HEADERS_4((n) + 12)
#define HEADERS_64(n) HEADERS_16(n), HEADERS_16((n) + 16), HEADERS_16((n) + 32), HEADERS_16((n) + 48)

enum {
    HEADER_LEN_SHIFT = 56,
    BULK_GROUP = 8,  /* strings whose lengths are added up at once */
    BULK_FRAME = 8,  /* bytes of a short bulk beside its string: "$NNN\r\n" and "\r\n" */
    BULK_SLACK = 32, /* bytes from a string's first on that are copied at most, even if it has fewer */
};
static_assert(UINT8_MAX < 1000, "three digits are enough");
/* "$N\r\n" as a word for each length of one byte, and how long that is in the last byte. */
static const uint64_t bulk_headers[UINT8_MAX + 1] = {HEADERS_64(0), HEADERS_64(64), HEADERS_64(128),
                                                     HEADERS_64(192)};

/* May write, and read, up to BULK_SLACK bytes from the string's first one on. */
static inline char *put_bulk(char *at, const char *data, size_t len) {
    uint64_t header = bulk_headers[len];
    memcpy(at, &header, sizeof header);
    at += header >> HEADER_LEN_SHIFT;
    memcpy(at, data, 16);
    if (len > 16) memcpy(at + 16, data + 16, 16);
    if (len > BULK_SLACK) memcpy(at + BULK_SLACK, data + BULK_SLACK, len - BULK_SLACK);
    return put_crlf(at + len);
}

static inline bool is_shown(enum reply_which which, size_t i) {
    return which == REPLY_ALL || (which == REPLY_SECONDS) == (i & 1);
}

/* The first strings where the output's chunk, or what may be read, ends soon. */
static __attribute__((noinline)) void bulks_at_end(struct reply *reply, const struct reply_strings *strings,
                                                   size_t count, enum reply_which which) {
    const char *data = strings->data;
    for (size_t i = 0; i < count; data += strings->lens[i++])
        if (is_shown(which, i)) reply_bulk(reply, (struct bytes){data, strings->lens[i]});
}

static inline size_t sum_lens(const uint8_t *lens, size_t count) {
    size_t sum = 0;
    if (count == BULK_GROUP) return sum_word(load_u64((const char *)lens));
    for (size_t i = 0; i < count; i++) sum += lens[i];
    return sum;
}

static inline __attribute__((always_inline)) void put_bulks(struct reply *reply, struct reply_strings left,
                                                            enum reply_which which) {
    while (left.count > 0) {
        size_t count = left.count < BULK_GROUP ? left.count : BULK_GROUP, sum = sum_lens(left.lens, count);
        assert(sum <= (size_t)(left.end - left.data));
        if ((size_t)(reply->end - reply->at) < sum + BULK_GROUP * BULK_FRAME + BULK_SLACK ||
            (size_t)(left.end - left.data) < sum + BULK_SLACK) {
            bulks_at_end(reply, &left, count, which);
            left.data += sum;
        } else {
            char *at = reply->at;
            for (size_t i = 0; i < count; i++) {
                size_t len = left.lens[i];
                if (is_shown(which, i)) at = put_bulk(at, left.data, len);
                left.data += len;
            }
            reply->at = at;
        }
        left.lens += count;
        left.count -= count;
    }
}

void reply_bulks(struct reply *reply, struct reply_strings strings, enum reply_which which) {
    assert(which == REPLY_ALL || strings.count % 2 == 0);
    switch (which) {
    case REPLY_ALL: put_bulks(reply, strings, REPLY_ALL); break;
    case REPLY_FIRSTS: put_bulks(reply, strings, REPLY_FIRSTS); break;
    case REPLY_SECONDS: put_bulks(reply, strings, REPLY_SECONDS); break;
    }
}

void reply_source(struct reply *reply, struct reply_source *source) {
    source->resp = reply->resp;
    if (reply->sink->follow) {
        if (!reply->sink->follow(reply, source)) reply->failed = true;
        return;
    }
    while (!reply->failed && source->more(source, reply, REPLY_SOURCE_BUDGET)) {
    }
    source->drop(source);
}

void reply_bulk_text(struct reply *reply, const char *text) {
    reply_bulk(reply, bytes_of(text));
}

void reply_bulk_int(struct reply *reply, int64_t value) {
    char digits[NUMBER_I64_MAX_LEN];
    reply_bulk(reply, (struct bytes){digits, number_format_i64(digits, value)});
}

void reply_simple(struct reply *reply, const char *text) {
    reply_literal(reply, "+");
    reply_raw(reply, bytes_of(text));
    reply_literal(reply, "\r\n");
}

void reply_verbatim(struct reply *reply, const char format[3], struct bytes text) {
    if (reply->resp == 2) {
        reply_bulk(reply, text);
        return;
    }
    reply_header(reply, '=', text.len + 4);
    reply_raw(reply, (struct bytes){format, 3});
    reply_literal(reply, ":");
    reply_raw(reply, text);
    reply_literal(reply, "\r\n");
}

/* Numbers, null and booleans */

void reply_int(struct reply *reply, int64_t value) {
    if (value >= 0) {
        reply_header(reply, ':', (uint64_t)value);
        return;
    }
    char *at = reply_reserve(reply, HEADER_MAX);
    if (!at) return;
    *at++ = ':';
    reply->at = put_crlf(at + number_format_i64(at, value));
}

/* A line of RESP3 whose RESP2 form is a bulk. */
static void reply_line_or_bulk(struct reply *reply, char type, struct bytes text) {
    if (reply->resp == 2) {
        reply_bulk(reply, text);
        return;
    }
    reply_raw_short(reply, &type, 1);
    reply_raw(reply, text);
    reply_literal(reply, "\r\n");
}

void reply_double(struct reply *reply, double value) {
    char text[NUMBER_DOUBLE_MAX_LEN];
    reply_line_or_bulk(reply, ',', (struct bytes){text, number_format_double(text, value)});
}

void reply_long_double(struct reply *reply, long double value) {
    char text[NUMBER_LONG_DOUBLE_MAX_LEN];
    reply_bulk(reply, (struct bytes){text, number_format_long_double(text, value)});
}

void reply_big_number(struct reply *reply, struct bytes digits) {
    reply_line_or_bulk(reply, '(', digits);
}

void reply_null(struct reply *reply) {
    if (reply->resp == 2)
        reply_literal(reply, "$-1\r\n");
    else
        reply_literal(reply, "_\r\n");
}

void reply_null_array(struct reply *reply) {
    if (reply->resp == 2)
        reply_literal(reply, "*-1\r\n");
    else
        reply_literal(reply, "_\r\n");
}

void reply_bool(struct reply *reply, bool value) {
    if (reply->resp == 2)
        reply_int(reply, value);
    else if (value)
        reply_literal(reply, "#t\r\n");
    else
        reply_literal(reply, "#f\r\n");
}

/* Aggregates: the header alone; the members are the replies that follow */

void reply_array(struct reply *reply, size_t count) {
    reply_header(reply, '*', count);
}

void reply_map(struct reply *reply, size_t pairs) {
    if (reply->resp == 2)
        reply_header(reply, '*', 2 * pairs);
    else
        reply_header(reply, '%', pairs);
}

void reply_set(struct reply *reply, size_t count) {
    reply_header(reply, reply->resp == 2 ? '*' : '~', count);
}

void reply_push(struct reply *reply, size_t count) {
    reply_header(reply, reply->resp == 2 ? '*' : '>', count);
}

void reply_attribute(struct reply *reply, size_t pairs) {
    assert(reply->resp == 3);
    reply_header(reply, '|', pairs);
}

/* Errors */

/* Remembers the code, the capitals before the first space. A text without one counts as ERR, as in Redis. */
static void note_error(struct reply *reply, struct bytes text) {
    size_t limit = text.len < sizeof reply->error_code ? text.len : sizeof reply->error_code;
    const char *space = limit ? memchr(text.data, ' ', limit) : NULL;
    reply->errors++;
    if (!space) {
        reply->last_error = BYTES("ERR");
        return;
    }
    size_t len = (size_t)(space - text.data);
    memcpy(reply->error_code, text.data, len);
    reply->last_error = (struct bytes){reply->error_code, len};
}

void reply_error_bytes(struct reply *reply, struct bytes text) {
    note_error(reply, text);
    reply_literal(reply, "-");
    while (text.len) {
        size_t piece = text.len < REPLY_CHUNK_MIN ? text.len : REPLY_CHUNK_MIN;
        char *at = reply_reserve(reply, piece);
        if (!at) return;
        for (size_t i = 0; i < piece; i++) {
            char c = text.data[i];
            at[i] = c == '\r' || c == '\n' ? ' ' : c;
        }
        reply->at += piece;
        text.data += piece;
        text.len -= piece;
    }
    reply_literal(reply, "\r\n");
}

void reply_error(struct reply *reply, const char *text) {
    reply_error_bytes(reply, bytes_of(text));
}

void reply_errorf(struct reply *reply, const char *format, ...) {
    char text[REPLY_ERROR_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len < 0) len = 0; /* only a conversion to wide characters can fail */
    if (len > REPLY_ERROR_MAX) len = REPLY_ERROR_MAX;
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) len--;
    reply_error_bytes(reply, (struct bytes){text, (size_t)len});
}
