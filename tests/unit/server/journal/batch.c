/* What a batch is made of, and what it looks like in a file; how its writer treats it is told by writer.c. */
#include "server/journal/batch.h"

#include "server/journal/crc32c.h"
#include "tests/unit/failing_disk.h"

static struct failing_disk disk;
static struct record_queue queue;
static struct merge merge;
static struct batch batch;
static int file;

static void begin(void) {
    disk_new(&disk);
    CHECK(queue_open(&queue) && batch_open(&batch));
    merge_open(&merge, &queue, 1, 0);
    file = disk.disk.open(&disk.disk, "f", DISK_CREATE);
}

static void end(void) {
    disk.disk.close(&disk.disk, file);
    batch_close(&batch);
    queue_close(&queue);
    disk_free(&disk);
}

static void add(const char *text, uint64_t ticket) {
    queue_add_text(&queue, 7, bytes_of(text));
    queue_seal(&queue, ticket);
}

static void a_batch_says_what_it_is(void) {
#define TEXT "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPONG\r\n"
    char expected[256];
    struct batch_out out = {.disk = &disk.disk};
    begin();
    out.file = file;
    CHECK_INT(batch_gather(&batch, &merge), -EAGAIN);
    add("*1\r\n$4\r\nPING\r\n", 1), add("*1\r\n$4\r\nPONG\r\n", 2);
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK(batch.first == 1 && batch.last == 2 && batch.len == sizeof TEXT - 1);
    struct batch_sayings says = {.safe = 0, .doubt = BATCH_NO_DOUBT, .run = 0xab};
    CHECK_INT(batch_write(&batch, &out, BYTES("#TS:1\r\n"), says), 0);
    int len = snprintf(expected, sizeof expected,
                       "#TS:1\r\n#kevy seq=1-2 len=%zu crc=%08x safe=0 run=000000ab\n" TEXT, sizeof TEXT - 1,
                       crc32c(0, BYTES(TEXT)));
    CHECK_BYTES(disk_contents(&disk, "f"), ((struct bytes){expected, (size_t)len}));
    CHECK_INT(out.wrote, (uint64_t)len);
    says = (struct batch_sayings){.safe = 0, .doubt = INT64_MAX, .run = 1};
    out.wrote = 0;
    CHECK_INT(batch_write(&batch, &out, BYTES(""), says), 0);
    CHECK(memmem(disk_contents(&disk, "f").data, disk_contents(&disk, "f").len,
                 " doubt=9223372036854775807 run=00000001\n", 39));
    end();
}

/* Redis would take what follows for a line without anything in it. */
static void no_batch_ends_where_a_line_of_padding_does(void) {
    struct batch_sayings says = {.safe = 0, .doubt = BATCH_NO_DOUBT, .run = 1};
    struct batch_out out = {.disk = &disk.disk};
    begin();
    out.file = file;
    add("*1\r\n$4\r\nPING\r\n", 1);
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK_INT(batch_write(&batch, &out, BYTES(""), says), 0);
    size_t len = out.wrote;
    out.at = DISK_LINE_ENDS - len;
    CHECK_INT(batch_write(&batch, &out, BYTES(""), says), 0);
    CHECK_INT(out.wrote, len + 1);
    CHECK(memmem(disk_contents(&disk, "f").data, disk_contents(&disk, "f").len, " run=00000001 \n", 15));
    out.padded = DISK_LINE_ENDS + 2;
    CHECK_INT(batch_write(&batch, &out, BYTES(""), says), 0);
    CHECK_INT(out.wrote, len + 2);
    out.padded = 700;
    out.at = 699 - len;
    CHECK_INT(batch_write(&batch, &out, BYTES(""), says), 0);
    CHECK_INT(out.wrote, len + 1);
    end();
}

static void no_more_tickets_are_gathered_than_asked_for(void) {
    begin();
    for (uint64_t ticket = 1; ticket <= 5; ticket++) add("*1\r\n$4\r\nPING\r\n", ticket);
    batch.most = 3;
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK(batch.first == 1 && batch.last == 3);
    merge_release(&merge);
    batch.most = 0;
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK(batch.first == 4 && batch.last == 5);
    merge_release(&merge);
    end();
}

/* The same in calls of any size: all of it, or an error and what is there. */
static void short_writes_go_on(void) {
    static char large[BATCH_PIECE_MIN + 5];
    memset(large, 'x', sizeof large - 1);
    size_t whole = 0;
    for (size_t piece = 0; piece < 9; piece++) {
        struct batch_out out = {.disk = &disk.disk};
        begin();
        out.file = file;
        disk.piece = piece * 3001;
        add("a", 1), add(large, 2), add("b", 3);
        CHECK_INT(batch_gather(&batch, &merge), 0);
        CHECK_INT(batch.piece_count, 1);
        CHECK_INT(batch_write(&batch, &out, BYTES(""), (struct batch_sayings){.doubt = BATCH_NO_DOUBT}), 0);
        if (!whole) whole = out.wrote;
        CHECK(out.wrote == whole && disk_contents(&disk, "f").len == whole);
        disk.room = 1000;
        CHECK_INT(batch_write(&batch, &out, BYTES(""), (struct batch_sayings){.doubt = BATCH_NO_DOUBT}),
                  -ENOSPC);
        CHECK_INT(out.wrote, 1000);
        end();
    }
}

/* All of a transaction is one batch, however large; the next one has no use for so much memory. */
static void memory_of_a_large_transaction_is_given_back(void) {
    enum { RECORDS = 3000 };
    static char text[BATCH_PIECE_MIN - 1];
    memset(text, 'x', sizeof text);
    begin();
    for (unsigned i = 0; i < RECORDS; i++) queue_add_text(&queue, 7, (struct bytes){text, sizeof text});
    queue_seal(&queue, 1);
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK(batch.len > RECORDS * sizeof text && batch.capacity >= batch.len && batch.piece_count == 0);
    merge_release(&merge);
    CHECK_INT(batch_gather(&batch, &merge), -EAGAIN);
    CHECK(batch.capacity < 2 * BATCH_BYTES);
    add("*1\r\n$4\r\nPING\r\n", 2);
    CHECK_INT(batch_gather(&batch, &merge), 0);
    CHECK_INT(batch.last, 2);
    end();
}

int main(void) {
    RUN(a_batch_says_what_it_is);
    RUN(no_batch_ends_where_a_line_of_padding_does);
    RUN(no_more_tickets_are_gathered_than_asked_for);
    RUN(short_writes_go_on);
    RUN(memory_of_a_large_transaction_is_given_back);
    return 0;
}
