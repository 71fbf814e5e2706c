/* fuzz_request.c - the request parser against itself: the same bytes, whole and in pieces, give the same
 * requests.
 *
 * The first byte of the input picks the limits, whether announced bulks are taken over, and the pieces; the
 * rest is what the peer sends. See tests/request_feed.h for what is checked on the way. */
#include "fuzz.h"

#include "tests/request_feed.h"

static const struct request_limits fuzz_limits[2] = {
    {.max_args = 1000, .max_bulk = 4096, .max_inline = 200, .bulk_min = 16, .authenticated = true},
    {.max_args = 10, .max_bulk = 100, .max_inline = 200, .bulk_min = 4, .authenticated = false},
};

/* Sizes of pieces by a small generator seeded from the input: mostly a few bytes, at times many. */
static size_t piece_size(unsigned long long *state) {
    unsigned long long random = check_random(state);
    return random & 7 ? 1 + (size_t)(random >> 8) % 8 : 1 + (size_t)(random >> 8) % 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    unsigned long long state = data[0] + 1u;
    const struct request_limits *limits = &fuzz_limits[data[0] & 1];
    struct bytes stream = {(const char *)data + 1, size - 1};

    struct request_limits unannounced = *limits;
    unannounced.bulk_min = UINT64_MAX;
    struct feed whole = {.limits = &unannounced};
    feed_bytes(&whole, stream);
    struct feed split = {.limits = limits, .take_bulks = data[0] & 2};
    while (stream.len) {
        size_t piece = piece_size(&state);
        if (piece > stream.len) piece = stream.len;
        feed_bytes(&split, (struct bytes){stream.data, piece});
        stream.data += piece, stream.len -= piece;
    }
    CHECK_BYTES(buffer_bytes(&split.transcript), buffer_bytes(&whole.transcript));
    feed_close(&whole);
    feed_close(&split);
    return 0;
}
