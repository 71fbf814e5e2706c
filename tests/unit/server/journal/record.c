/* A command as RESP, with and without large arguments of its own. */
#include "server/journal/record.h"

#include "tests/check.h"

static struct {
    struct record record;
    char room[512];
} made;

static char text[1024];
static size_t text_len;

static void take_piece(void *context, struct bytes bytes) {
    unsigned *pieces = context;
    CHECK(text_len + bytes.len <= sizeof text);
    memcpy(text + text_len, bytes.data, bytes.len);
    text_len += bytes.len;
    ++*pieces;
}

/* The record's bytes, and in how many pieces they come. */
static struct bytes read_all(unsigned *pieces) {
    *pieces = 0;
    text_len = 0;
    record_read(&made.record, take_piece, pieces);
    return (struct bytes){text, text_len};
}

static void make(const struct record_command *command) {
    size_t len;
    uint32_t blocks = record_measure(command, &len);
    CHECK(record_size(len, blocks) <= sizeof made);
    made.record = (struct record){.len = len, .block_count = blocks};
    record_fill(&made.record, command);
}

static void a_command_is_resp(void) {
    unsigned pieces;
    struct bytes argv[] = {BYTES("SET"), BYTES(""), BYTES("a value\r\n\0")};
    struct record_command command = {.argv = argv, .argc = 3};
    struct bytes expected = BYTES("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\na value\r\n\0\r\n");
    CHECK_INT(record_resp_len(&command), expected.len);
    make(&command);
    CHECK_BYTES(read_all(&pieces), expected);
    CHECK_INT(pieces, 1);
    record_release(&made.record);
}

static void large_arguments_are_referred_to(void) {
    unsigned pieces;
    struct block *blocks[] = {block_of(BYTES("second")), block_of(BYTES("first")),
                              block_of(BYTES("not an argument"))};
    struct bytes argv[] = {BYTES("X"), block_bytes(blocks[1]), BYTES("second"), block_bytes(blocks[0])};
    struct record_command command = {argv, 4, blocks, 3};
    struct bytes expected = BYTES("*4\r\n$1\r\nX\r\n$5\r\nfirst\r\n$6\r\nsecond\r\n$6\r\nsecond\r\n");
    CHECK_INT(record_resp_len(&command), expected.len);
    make(&command);
    CHECK_INT(made.record.block_count, 2);
    CHECK_INT(made.record.len, expected.len - 11);
    CHECK(block_shared(blocks[0]) && block_shared(blocks[1]) && !block_shared(blocks[2]));
    CHECK_BYTES(read_all(&pieces), expected);
    CHECK_INT(pieces, 5);
    record_release(&made.record);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(!block_shared(blocks[i]));
        block_release(blocks[i]);
    }
}

static void sizes_leave_room_for_the_next_record_and_do_not_overflow(void) {
    for (size_t len = 0; len < 40; len++) {
        size_t size = record_size(len, 3);
        CHECK(size >= sizeof(struct record) + 3 * sizeof(struct record_block) + len);
        CHECK(size % _Alignof(struct record) == 0);
    }
    CHECK(record_size(SIZE_MAX, 0) == SIZE_MAX);
    CHECK(record_size(SIZE_MAX - sizeof(struct record), 1) == SIZE_MAX);
    struct bytes argv[] = {{"", SIZE_MAX / 2}, {"", SIZE_MAX / 2}};
    struct record_command command = {.argv = argv, .argc = 2};
    CHECK(record_resp_len(&command) == SIZE_MAX);
}

int main(void) {
    RUN(a_command_is_resp);
    RUN(large_arguments_are_referred_to);
    RUN(sizes_leave_room_for_the_next_record_and_do_not_overflow);
    return 0;
}
