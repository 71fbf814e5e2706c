/* reply.h - replies in, bytes out: RESP2 and RESP3 encoders over a sink of chunks.
 *
 * A handler appends to a `struct reply`; where the bytes live is the sink's business (the server gives chunks of a
 * connection's output, tests give one big array). The fast path is a bounds check and a memcpy into the current chunk;
 * only a full chunk costs a call. A reply that the sink refuses (output limit, no memory) sets `failed` and swallows
 * the rest: the connection is then closed by its owner. */
#ifndef KEVY_PROTOCOL_REPLY_H
#define KEVY_PROTOCOL_REPLY_H

#include <stdarg.h>
#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/bytes.h"
#include "protocol/number.h"

struct reply;

/* A part of a reply that is written when there is room for it, so that a long one takes no more memory than a short one. */
struct reply_source {
    /* Writes the next `budget` bytes or so, at least something; false when that was all. */
    bool (*more)(struct reply_source *source, struct reply *reply, size_t budget);
    /* Frees it: after the last part, or before that. */
    void (*drop)(struct reply_source *source);
    uint8_t resp; /* what the reply began with: reply_source sets it */
};

struct reply_sink {
    /* Makes at..end at least `need` bytes, need <= REPLY_CHUNK_MIN. False: reply->failed is set by the caller. */
    bool (*more)(struct reply *reply, size_t need);
    /* Sends data[0, len) from where it lies, without copying; `owner` is released by the sink after the last byte has
     * gone. The sink takes over the caller's reference, also when it fails. */
    bool (*attach)(struct reply *reply, struct bytes data, void *owner);
    /* Has the source write when there is room, and drops it then. The sink takes it over, also when it fails. NULL: a source
     * is to write all at once. */
    bool (*follow)(struct reply *reply, struct reply_source *source);
};

enum {
    REPLY_CHUNK_MIN = 8192,      /* a sink must be able to give this many contiguous bytes at once */
    REPLY_SOURCE_BUDGET = 65536, /* bytes that a source is asked for at once */
};

struct reply {
    char *at;     /* next byte to write */
    char *end;    /* one past the current chunk */
    uint8_t resp; /* 2 or 3 */
    bool failed;
    const struct reply_sink *sink;
    uint64_t errors;         /* error replies written, for dispatch's failed-call statistics */
    struct bytes last_error; /* first word of the last error ("ERR", "WRONGTYPE"): static or in error_code */
    char error_code[24];
};

/* `need` contiguous bytes at reply->at, or NULL once failed. The caller writes them and advances reply->at. */
static inline char *reply_reserve(struct reply *reply, size_t need) {
    if (__builtin_expect((size_t)(reply->end - reply->at) < need, 0)) {
        if (reply->failed || !reply->sink->more(reply, need)) {
            reply->failed = true;
            reply->end = reply->at; /* so that nothing shorter slips in behind what is missing */
            return NULL;
        }
    }
    return reply->at;
}

/* Any number of raw bytes, split over chunks as needed. They must be well-formed RESP in the end. */
void reply_raw(struct reply *reply, struct bytes bytes);

static inline void reply_raw_short(struct reply *reply, const char *data, size_t len) {
    char *at = reply_reserve(reply, len);
    if (!at) return;
    memcpy(at, data, len);
    reply->at = at + len;
}
/* A literal that is already RESP: reply_literal(reply, "+OK\r\n") */
#define reply_literal(reply, text) reply_raw_short((reply), "" text, sizeof(text) - 1)

static inline void reply_ok(struct reply *reply) {
    reply_literal(reply, "+OK\r\n");
}

void reply_int(struct reply *reply, int64_t value);
void reply_bulk_long(struct reply *reply, struct bytes bytes); /* any length */

enum { REPLY_BULK_SHORT_MIN = 10, REPLY_BULK_SHORT_MAX = 32 };
#define REPLY_BULK_HEADER ('$' | '0' << 8 | '0' << 16 | '\r' << 24 | (uint64_t)'\n' << 32) /* "$00\r\n" */

/* A bulk string. Lengths of two digits that two overlapping loads of sixteen bytes cover, or of eight, take a path
 * without a call: keys and small values are the bulk of all replies. */
static inline void reply_bulk(struct reply *reply, struct bytes bytes) {
    size_t len = bytes.len;
    char *at = reply->at;
    if (len - REPLY_BULK_SHORT_MIN > REPLY_BULK_SHORT_MAX - REPLY_BULK_SHORT_MIN ||
        (size_t)(reply->end - at) < 8 + REPLY_BULK_SHORT_MAX + 2) {
        reply_bulk_long(reply, bytes);
        return;
    }
    /* "$NN\r\n" as one number, least byte first: the second digit is the length less ten times the first. */
    uint64_t tens = len / 10, header = REPLY_BULK_HEADER + (len << 16) + (tens << 8) - (10 * tens << 16);
    memcpy(at, &header, 8);
    at += 5;
    if (len >= 16) {
        memcpy(at, bytes.data, 16);
        memcpy(at + len - 16, bytes.data + len - 16, 16);
    } else {
        memcpy(at, bytes.data, 8);
        memcpy(at + len - 8, bytes.data + len - 8, 8);
    }
    memcpy(at + len, "\r\n", 2);
    reply->at = at + len + 2;
}
/* Strings that lie one behind the other, and their lengths beside them. */
struct reply_strings {
    const char *data;    /* the first byte of the first one */
    const char *end;     /* what lies before it may be read: all of them, and perhaps something behind them */
    const uint8_t *lens; /* of each, in bytes */
    size_t count;
};
/* Each of them as a bulk, or every second one, from the first or from the second on; then the count is even. */
enum reply_which { REPLY_ALL, REPLY_FIRSTS, REPLY_SECONDS };
void reply_bulks(struct reply *reply, struct reply_strings strings, enum reply_which which);

/* What the source writes, now or when there is room. It is dropped in any case. */
void reply_source(struct reply *reply, struct reply_source *source);
/* "$<len>\r\n" alone: the caller sends the bytes and a CRLF behind it. */
void reply_bulk_header(struct reply *reply, size_t len);
void reply_bulk_text(struct reply *reply, const char *text); /* NUL-terminated */
void reply_bulk_int(struct reply *reply, int64_t value);     /* an integer as a bulk string */
void reply_simple(struct reply *reply, const char *text);    /* +text; no CR or LF in it */
void reply_null(struct reply *reply);                        /* $-1 or _ */
void reply_null_array(struct reply *reply);                  /* *-1 or _ */
void reply_array(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t pairs);               /* %pairs, or *2*pairs in RESP2 */
void reply_set(struct reply *reply, size_t count);               /* ~, or * in RESP2 */
void reply_push(struct reply *reply, size_t count);              /* >, or * in RESP2 */
void reply_attribute(struct reply *reply, size_t pairs);         /* |; RESP3 only */
void reply_bool(struct reply *reply, bool value);                /* #t/#f, or :1/:0 in RESP2 */
void reply_double(struct reply *reply, double value);            /* ,value, or a bulk in RESP2 */
void reply_long_double(struct reply *reply, long double value);  /* a bulk in both, as INCRBYFLOAT replies */
void reply_big_number(struct reply *reply, struct bytes digits); /* (, or a bulk in RESP2 */
void reply_verbatim(struct reply *reply, const char format[3], struct bytes text); /* =, or a bulk in RESP2 */

/* An error. `text` starts with its code in capitals ("ERR ...", "WRONGTYPE ..."); CR and LF in it become spaces. */
void reply_error(struct reply *reply, const char *text);
void reply_error_bytes(struct reply *reply, struct bytes text);
/* printf-style, at most REPLY_ERROR_MAX bytes; what is cut is cut at the end, and so are line ends there. */
enum { REPLY_ERROR_MAX = 1024 };
void reply_errorf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The precision of a %.*s that repeats an argument: all of it, up to a NUL, as Redis does, while there is room. */
static inline int reply_repeated(struct bytes argument) {
    return argument.len < REPLY_ERROR_MAX ? (int)argument.len : REPLY_ERROR_MAX;
}
/* The same for what stands where a name should, of a command, a subcommand or an option: Redis shows this much of it. */
enum { REPLY_NAME_MAX = 128 };
static inline int reply_name(struct bytes argument) {
    return argument.len < REPLY_NAME_MAX ? (int)argument.len : REPLY_NAME_MAX;
}

#endif
