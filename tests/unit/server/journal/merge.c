/* The one stream of changes, out of several queues. */
#include "server/journal/merge.h"

#include "protocol/buffer.h"
#include "tests/check.h"

enum { QUEUES = 3 };

static struct record_queue queues[QUEUES];
static struct merge merge;
static struct buffer stream;

static void begin(uint64_t merged) {
    for (unsigned i = 0; i < QUEUES; i++) CHECK(queue_open(&queues[i]));
    merge_open(&merge, queues, QUEUES, merged);
}

static void end(void) {
    for (unsigned i = 0; i < QUEUES; i++) queue_close(&queues[i]);
    buffer_free(&stream);
}

static void append_piece(void *context, struct bytes bytes) {
    CHECK(context == &stream && buffer_append(&stream, bytes, SIZE_MAX));
}

/* What the tickets bring that are there. */
static struct bytes merged(void) {
    buffer_free(&stream);
    while (merge_next(&merge, append_piece, &stream)) {
    }
    return buffer_bytes(&stream);
}

static void add(unsigned queue, uint32_t db, const char *text) {
    queue_add_text(&queues[queue], db, bytes_of(text));
}

static void tickets_are_merged_in_their_order_whoever_has_them(void) {
    begin(0);
    add(2, 0, "b"), queue_seal(&queues[2], 2);
    add(1, 0, "d"), queue_seal(&queues[1], 4);
    CHECK_BYTES(merged(), BYTES(""));
    add(0, 0, "a"), queue_seal(&queues[0], 1);
    CHECK_BYTES(merged(), BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nab"));
    add(2, 0, "c"), queue_seal(&queues[2], 3);
    CHECK_BYTES(merged(), BYTES("cd"));
    CHECK_INT(merge.merged, 4);
    end();
}

static void records_of_one_ticket_are_a_transaction(void) {
    begin(40);
    add(1, 0, "a"), add(1, 0, "b"), queue_seal(&queues[1], 42);
    add(0, 11, "x"), queue_seal(&queues[0], 41);
    CHECK_BYTES(merged(),
                BYTES("*2\r\n$6\r\nSELECT\r\n$2\r\n11\r\nx"
                      "*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nab*1\r\n$4\r\nEXEC\r\n"));
    add(1, 0, "c"), queue_seal(&queues[1], 43);
    CHECK_BYTES(merged(), BYTES("c"));
    end();
}

static void databases_are_selected_where_they_change(void) {
    begin(0);
    add(0, 3, "a"), queue_seal(&queues[0], 1);
    add(1, 3, "b"), queue_seal(&queues[1], 2);
    add(0, 3, "c"), add(0, 4, "d"), add(0, 4, "e"), queue_seal(&queues[0], 3);
    CHECK_BYTES(merged(), BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\nab*1\r\n$5\r\nMULTI\r\nc"
                                "*2\r\n$6\r\nSELECT\r\n$1\r\n4\r\nde*1\r\n$4\r\nEXEC\r\n"));
    end();
}

/* Tickets of all kinds, in queues drawn by chance; there is no cut. */
static void add_some(unsigned long long *state, uint64_t tickets) {
    static char text[3000];
    struct block *block = block_of(BYTES("a block"));
    struct bytes argv[] = {BYTES("SET"), BYTES("k"), block_bytes(block)};
    struct record_command command = {argv, 3, &block, 1};
    uint64_t first = merge.merged + 1;
    unsigned at = 0;
    for (uint64_t ticket = first; ticket < first + tickets; ticket++) {
        if (check_random(state) % 8 == 0) at = check_random(state) % QUEUES;
        uint32_t db = check_random(state) % 32 == 0;
        unsigned records = check_random(state) % 16 ? 1 : 1 + check_random(state) % 3;
        while (records--) {
            memset(text, (int)('a' + ticket % 26), sizeof text);
            if (check_random(state) % 24 == 0)
                queue_add(&queues[at], db, &command);
            else
                queue_add_text(&queues[at], db, (struct bytes){text, 1 + check_random(state) % sizeof text});
        }
        queue_seal(&queues[at], ticket);
    }
    block_release(block);
}

/* The next bytes, some of them copied. False: there are none. */
static bool merge_any(unsigned long long *state, struct buffer *to) {
    char memory[9000];
    struct queue_copy copy = {.to = memory,
                              .room = check_random(state) % (sizeof memory + 1),
                              .shorter = 1 + check_random(state) % 4000,
                              .most = check_random(state) % 6};
    uint64_t before = merge.merged;
    copy.enough = check_random(state) % (copy.room + 1);
    uint64_t count = merge_copy(&merge, &copy);
    CHECK(count <= copy.most && merge.merged == before + count && copy.len <= copy.room);
    CHECK((count > 0) == (copy.len > 0) && (copy.enough > 0 || count == 0));
    CHECK(buffer_append(to, (struct bytes){memory, copy.len}, SIZE_MAX));
    return count || merge_next(&merge, append_piece, to);
}

static void what_is_copied_is_what_is_shown(void) {
    struct buffer shown = {0};
    unsigned long long state = 1;
    begin(0);
    for (unsigned round = 0; round < 200; round++) {
        add_some(&state, 1 + check_random(&state) % 60);
        CHECK(buffer_append(&shown, merged(), SIZE_MAX));
        uint64_t all = merge.merged;
        merge_rewind(&merge);
        buffer_free(&stream);
        while (merge_any(&state, &stream)) {
        }
        CHECK_INT(merge.merged, all);
        CHECK_BYTES(buffer_bytes(&stream), buffer_bytes(&shown));
        merge_release(&merge);
        buffer_free(&shown);
    }
    end();
}

/* What was shown and is not given up is shown again, in the same bytes. */
static void what_was_shown_can_be_shown_again(void) {
    static const char *const selects = "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n";
    struct buffer twice = {0};
    begin(0);
    add(0, 7, "a"), queue_seal(&queues[0], 1);
    CHECK(merged().len > 1);
    merge_release(&merge);
    add(1, 7, "b"), queue_seal(&queues[1], 2);
    add(0, 8, "c"), queue_seal(&queues[0], 3);
    CHECK(buffer_append(&twice, merged(), SIZE_MAX));
    merge_rewind(&merge);
    CHECK_INT(merge.merged, 1);
    CHECK_BYTES(merged(), buffer_bytes(&twice));
    CHECK_BYTES(merged(), BYTES(""));
    merge_rewind(&merge);
    add(2, 7, "d"), queue_seal(&queues[2], 4);
    struct bytes all = merged();
    CHECK(all.len == twice.len + strlen(selects) + 1 && memcmp(all.data, twice.data, twice.len) == 0);
    buffer_free(&twice);
    end();
}

static void a_cut_stands_by_itself_and_selects_anew(void) {
    struct bytes name;
    begin(0);
    CHECK(!merge_is_cut(&merge, &name));
    add(0, 3, "a"), queue_seal(&queues[0], 1);
    queue_add_cut(&queues[1], BYTES("file")), queue_seal(&queues[1], 2);
    add(0, 3, "b"), queue_seal(&queues[0], 3);
    CHECK(!merge_is_cut(&merge, &name));
    CHECK_BYTES(merged(), BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\na"));
    CHECK(merge_is_cut(&merge, &name));
    CHECK_BYTES(name, BYTES("file"));
    merge_pass_cut(&merge);
    CHECK_BYTES(merged(), BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\nb"));
    end();
}

int main(void) {
    RUN(what_is_copied_is_what_is_shown);
    RUN(what_was_shown_can_be_shown_again);
    RUN(a_cut_stands_by_itself_and_selects_anew);
    RUN(tickets_are_merged_in_their_order_whoever_has_them);
    RUN(records_of_one_ticket_are_a_transaction);
    RUN(databases_are_selected_where_they_change);
    return 0;
}
