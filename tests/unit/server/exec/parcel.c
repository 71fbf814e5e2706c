/* A reply that goes from thread to thread is the same bytes, and large values in it are not copied. */
#include "server/exec/parcel.h"

#include "tests/unit/failing_memory.h"
#include "tests/unit/server_fixture.h"

static struct output output;
static struct buffer sent;
static struct chunk_pool pool;

static struct bytes arrives(struct parcel *parcel) {
    output_open(&output, &pool);
    parcel_send(parcel, &output.reply);
    CHECK(!output.reply.failed && !parcel->copied && !parcel->parts);
    buffer_free(&sent);
    fixture_take(&output, &sent);
    output_close(&output);
    return buffer_bytes(&sent);
}

static void small_replies_are_copied(void) {
    struct parcel parcel, moved;
    CHECK(parcel_open(&parcel, 2, 1));
    moved = parcel;
    reply_array(&moved.reply, 2);
    reply_bulk_text(&moved.reply, "key");
    reply_int(&moved.reply, 7);
    CHECK_BYTES(arrives(&moved), BYTES("*2\r\n$3\r\nkey\r\n:7\r\n"));
    CHECK(parcel_open(&parcel, 3, 64));
    reply_null(&parcel.reply);
    CHECK_BYTES(arrives(&parcel), BYTES("_\r\n"));
}

static void blocks_stay_where_they_are(void) {
    static char expected[8 * (2 * PIN_MIN)];
    struct block *block = block_new_zeroed(PIN_MIN, PIN_MIN);
    struct metrics metrics = {0};
    struct parcel parcel;
    size_t len = 0;
    memset(block->data, 'x', PIN_MIN);
    CHECK(parcel_open(&parcel, 2, 16));
    for (unsigned i = 0; i < 5; i++) {
        call_reply_pinned(&parcel.reply, &metrics, block, block_bytes(block));
        reply_int(&parcel.reply, (int64_t)i);
        len += (size_t)snprintf(expected + len, 32, "$%d\r\n", (int)PIN_MIN);
        memset(expected + len, 'x', PIN_MIN);
        len += PIN_MIN;
        len += (size_t)snprintf(expected + len, 16, "\r\n:%u\r\n", i);
    }
    CHECK(block_shared(block) && parcel.capacity < PIN_MIN);
    CHECK_BYTES(arrives(&parcel), ((struct bytes){expected, len}));
    CHECK(!block_shared(block));
    CHECK(parcel_open(&parcel, 2, 16)); /* one that nobody wants */
    for (unsigned i = 0; i < 3; i++) call_reply_pinned(&parcel.reply, &metrics, block, block_bytes(block));
    parcel_close(&parcel);
    parcel_close(&parcel);
    CHECK(!block_shared(block));
    block_release(block);
}

static void a_reply_without_memory_fails_where_it_arrives(void) {
    struct block *block = block_new_zeroed(PIN_MIN, PIN_MIN);
    struct metrics metrics = {0};
    struct parcel parcel;
    memory_left = 0;
    CHECK(!parcel_open(&parcel, 2, 16));
    memory_left = 1;
    CHECK(parcel_open(&parcel, 2, 64));
    reply_int(&parcel.reply, 1); /* there is room for that, and for a block */
    call_reply_pinned(&parcel.reply, &metrics, block, block_bytes(block));
    CHECK(!parcel.reply.failed);
    call_reply_pinned(&parcel.reply, &metrics, block, block_bytes(block));
    CHECK(parcel.reply.failed);
    memory_left = UINT_MAX;
    output_open(&output, &pool);
    parcel_send(&parcel, &output.reply);
    CHECK(output.reply.failed && !parcel.copied);
    output_close(&output);
    CHECK(!block_shared(block));
    block_release(block);
}

int main(void) {
    RUN(small_replies_are_copied);
    RUN(blocks_stay_where_they_are);
    RUN(a_reply_without_memory_fails_where_it_arrives);
    buffer_free(&sent);
    chunk_pool_close(&pool);
    return 0;
}
