/* request_feed.h - plays a connection to the request parser: bytes arrive in pieces, requests come out as a
 * transcript.
 *
 * Whatever the pieces, and whether a bulk announced with REQUEST_BULK is taken over or not, the transcript of
 * the same bytes must be the same. Every call shows the parser a fresh allocation of exactly the pending
 * bytes, so that the address sanitizer sees a pointer kept from an earlier call and a read beyond the end. */
#ifndef KEVY_TESTS_REQUEST_FEED_H
#define KEVY_TESTS_REQUEST_FEED_H

#include "protocol/buffer.h"
#include "protocol/request.h"
#include "tests/check.h"

struct feed {
    const struct request_limits *limits;
    bool take_bulks; /* read announced bulks into memory of our own; else leave them in the buffer */
    struct request_parser parser;
    struct request_args args;
    struct buffer pending; /* from the start of the oldest unconsumed request */
    struct buffer
        transcript;      /* "<argc>" and " <len>:<bytes>" for each argument, a line per request; "!<error>" */
    struct buffer bulk;  /* the announced bulk that is being filled */
    size_t bulk_missing; /* bytes of it still to come */
    struct buffer given[16]; /* bulks handed over for the current request */
    size_t given_count;
    size_t calls; /* of request_parse */
    bool bad;
};

static inline void feed_note(struct buffer *to, const void *data, size_t len) {
    CHECK(buffer_append(to, (struct bytes){data, len}, SIZE_MAX));
}

static inline void feed_note_request(struct feed *feed) {
    char text[32];
    feed_note(&feed->transcript, text, (size_t)snprintf(text, sizeof text, "%u", feed->args.argc));
    for (uint32_t i = 0; i < feed->args.argc; i++) {
        struct bytes arg = feed->args.argv[i];
        feed_note(&feed->transcript, text, (size_t)snprintf(text, sizeof text, " %zu:", arg.len));
        feed_note(&feed->transcript, arg.data, arg.len);
    }
    feed_note(&feed->transcript, "\n", 1);
}

static inline void feed_drop_given(struct feed *feed) {
    while (feed->given_count) buffer_free(&feed->given[--feed->given_count]);
}

/* Moves what is here of the announced bulk out of the pending bytes. */
static inline void feed_take_bulk(struct feed *feed) {
    size_t offset = feed->parser.bulk_offset, have = feed->parser.bulk_have, size = feed->parser.bulk_len + 2;
    CHECK_INT(offset + have, feed->pending.len);
    CHECK(have < size);
    CHECK(buffer_reserve(&feed->bulk, size, SIZE_MAX));
    feed_note(&feed->bulk, feed->pending.data + offset, have);
    feed->pending.len = offset;
    feed->bulk_missing = size - have;
}

/* Parses what is pending until the parser wants more. */
static inline void feed_parse(struct feed *feed) {
    while (!feed->bad && !feed->bulk_missing) {
        char *shown = malloc(feed->pending.len ? feed->pending.len : 1);
        CHECK(shown);
        if (feed->pending.len) memcpy(shown, feed->pending.data, feed->pending.len);
        size_t used = 0;
        struct bytes data = {shown, feed->pending.len};
        enum request_status status = request_parse(&feed->parser, feed->limits, data, &feed->args, &used);
        feed->calls++;
        if (status == REQUEST_READY) {
            CHECK(used > 0 && used <= feed->pending.len);
            feed_note_request(feed);
            buffer_consume(&feed->pending, used);
            feed_drop_given(feed);
        } else {
            CHECK_INT(used, 0);
        }
        free(shown);
        if (status == REQUEST_MORE) return;
        if (status == REQUEST_BULK && feed->take_bulks && feed->given_count < 16) feed_take_bulk(feed);
        if (status == REQUEST_BAD) {
            feed_note(&feed->transcript, "!", 1);
            char why[REQUEST_ERROR_MAX];
            request_error(&feed->parser, why);
            feed_note(&feed->transcript, why, strlen(why));
            feed->bad = true;
        }
    }
}

static inline void feed_bytes(struct feed *feed, struct bytes piece) {
    if (feed->bulk_missing) {
        size_t n = piece.len < feed->bulk_missing ? piece.len : feed->bulk_missing;
        feed_note(&feed->bulk, piece.data, n);
        feed->bulk_missing -= n;
        piece.data += n, piece.len -= n;
        if (feed->bulk_missing) return;
        request_bulk_given(&feed->parser, feed->bulk.data);
        feed->given[feed->given_count++] = feed->bulk;
        feed->bulk = (struct buffer){0};
    }
    feed_note(&feed->pending, piece.data, piece.len);
    feed_parse(feed);
}

static inline void feed_close(struct feed *feed) {
    request_parser_reset(&feed->parser);
    request_args_free(&feed->args);
    feed_drop_given(feed);
    buffer_free(&feed->pending);
    buffer_free(&feed->transcript);
    buffer_free(&feed->bulk);
}

#endif
