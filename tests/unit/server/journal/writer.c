/* The stream of changes in files: batches are whole and say what they are, nothing is published before it is where the
 * policy wants it, and no failure of the disk or of memory loses a record. CMakeLists.txt links this with --wrap of malloc
 * and its kin, and of journal_publish. */
#include "server/journal/writer.h"

#include <inttypes.h>

#include "protocol/buffer.h"
#include "server/journal/crc32c.h"
#include "server/log.h"
#include "tests/unit/failing_disk.h"
#include "tests/unit/failing_memory.h"

enum { QUEUES = 2 };

static struct failing_disk disk;
static struct record_queue queues[QUEUES];
static struct writer writer;
static uint64_t published, tickets;

void __wrap_journal_publish(uint64_t ticket);
void __wrap_journal_publish(uint64_t ticket) {
    CHECK(ticket > published && ticket <= tickets);
    CHECK(ticket <= writer.written && (writer.policy != WRITER_ALWAYS || ticket <= writer.synced));
    published = ticket;
}

/* ---- Changes -------------------------------------------------------------------------------------- */

static void cut(const char *name) {
    queue_add_cut(&queues[0], bytes_of(name));
    queue_seal(&queues[0], ++tickets);
}

static void add(const char *text) {
    struct record_queue *queue = &queues[tickets % QUEUES];
    queue_add_text(queue, 0, bytes_of(text));
    queue_seal(queue, ++tickets);
}

static void begin(enum writer_policy policy) {
    disk_new(&disk);
    tickets = published = 0;
    for (unsigned i = 0; i < QUEUES; i++) CHECK(queue_open(&queues[i]));
    CHECK(writer_open(&writer, &disk.disk, queues, QUEUES));
    writer.policy = policy;
    cut("f");
    CHECK_INT(writer_turn(&writer, 0), 0);
    CHECK_INT(published, 1);
}

static void end(void) {
    writer_close(&writer);
    for (unsigned i = 0; i < QUEUES; i++) queue_close(&queues[i]);
    disk_free(&disk);
}

/* Turns until none is due at once. */
static int64_t turns(int64_t now_ms) {
    int64_t due_ms;
    do due_ms = writer_turn(&writer, now_ms);
    while (due_ms == now_ms);
    CHECK(due_ms > now_ms);
    return due_ms;
}

/* ---- The file ------------------------------------------------------------------------------------- */

static struct buffer stream; /* without the lines in front of the batches */

/* Checks all batches of a file, and leaves what is in them in `stream`. Returns how many there are. */
static unsigned read_file(const char *name) {
    struct bytes left = disk_contents(&disk, name);
    uint64_t first, last = 0, safe;
    unsigned count = 0, crc;
    size_t len;
    buffer_free(&stream);
    for (; left.len; count++) {
        char line[BATCH_HEAD_MAX + 1];
        const char *end = memchr(left.data, '\n', left.len);
        CHECK(end && end - left.data < BATCH_HEAD_MAX);
        size_t line_len = (size_t)(end + 1 - left.data);
        memcpy(line, left.data, line_len);
        line[line_len] = '\0';
        CHECK(sscanf(line, "#kevy seq=%" SCNu64 "-%" SCNu64 " len=%zu crc=%x safe=%" SCNu64 "\n", &first,
                     &last, &len, &crc, &safe) == 5);
        left = (struct bytes){left.data + line_len, left.len - line_len};
        CHECK(safe < first && first <= last && len <= left.len);
        CHECK_INT(crc32c(0, (struct bytes){left.data, len}), crc);
        CHECK(buffer_append(&stream, (struct bytes){left.data, len}, SIZE_MAX));
        left = (struct bytes){left.data + len, left.len - len};
    }
    return count;
}

#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"

static void everysec_writes_at_once_and_syncs_later(void) {
    begin(WRITER_EVERYSEC);
    CHECK_INT(turns(10), WRITER_NEVER);
    CHECK(writer.since_ms == WRITER_NEVER);
    add("a"), add("b");
    CHECK_INT(turns(1000), 1000 + WRITER_SYNC_MS);
    CHECK_INT(published, 3);
    CHECK_INT(disk.calls[DISK_SYNCS], 0);
    add("c");
    CHECK_INT(turns(1200), 1000 + WRITER_SYNC_MS); /* the oldest decides */
    CHECK_INT(published, 4);
    CHECK_INT(turns(1500), WRITER_NEVER);
    CHECK_INT(disk.calls[DISK_SYNCS], 1);
    CHECK_INT(writer.synced, 4);
    CHECK_INT(read_file("f"), 2);
    CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "abc"));
    end();
}

static void always_publishes_what_is_synced(void) {
    begin(WRITER_ALWAYS);
    for (unsigned i = 1; i <= 3; i++) {
        add("a"), add("b");
        CHECK_INT(turns(1000), WRITER_NEVER);
        CHECK_INT(disk.calls[DISK_SYNCS], i);
        CHECK_INT(published, tickets);
    }
    CHECK_INT(read_file("f"), 3);
    end();
}

static void no_leaves_it_to_the_kernel(void) {
    begin(WRITER_NO);
    add("a");
    CHECK_INT(turns(1000), WRITER_NEVER);
    CHECK_INT(published, 2);
    CHECK_INT(disk.calls[DISK_SYNCS], 0);
    writer.policy = WRITER_ALWAYS; /* stricter: what is written is synced, and is published no second time */
    CHECK_INT(turns(1001), WRITER_NEVER);
    CHECK_INT(disk.calls[DISK_SYNCS], 1);
    end();
}

static void a_rewrite_may_keep_syncs_back(void) {
    begin(WRITER_EVERYSEC);
    writer.syncs_rest = true;
    add("a");
    CHECK_INT(turns(1000), WRITER_NEVER);
    writer.syncs_rest = false;
    CHECK_INT(turns(3000), WRITER_NEVER);
    CHECK_INT(disk.calls[DISK_SYNCS], 1);
    end();
}

static void large_arguments_are_written_from_where_they_lie(void) {
    static char large[3 * BATCH_PIECE_MIN];
    struct buffer expected = {0};
    char head[128];
    memset(large, 'L', sizeof large);
    begin(WRITER_EVERYSEC);
    disk.piece = 5000; /* short writes go on */
    struct block *block = block_of((struct bytes){large, sizeof large});
    struct bytes argv[] = {BYTES("SET"), BYTES("k"), block_bytes(block)};
    struct record_command command = {argv, 3, &block, 1};
    add("a");
    queue_add(&queues[0], 0, &command);
    queue_add_text(&queues[0], 0, (struct bytes){large, sizeof large - 1});
    queue_seal(&queues[0], ++tickets);
    block_release(block);
    add("z");
    turns(1);
    CHECK_INT(read_file("f"), 1);
    snprintf(head, sizeof head, SELECT_0 "a*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n",
             sizeof large);
    CHECK(buffer_append(&expected, bytes_of(head), SIZE_MAX));
    CHECK(buffer_append(&expected, (struct bytes){large, sizeof large}, SIZE_MAX));
    CHECK(buffer_append(&expected, BYTES("\r\n"), SIZE_MAX));
    CHECK(buffer_append(&expected, (struct bytes){large, sizeof large - 1}, SIZE_MAX));
    CHECK(buffer_append(&expected, BYTES("*1\r\n$4\r\nEXEC\r\nz"), SIZE_MAX));
    CHECK_BYTES(buffer_bytes(&stream), buffer_bytes(&expected));
    buffer_free(&expected);
    end();
}

static void batches_are_bounded(void) {
    static char text[10000];
    memset(text, 'x', sizeof text - 1);
    begin(WRITER_EVERYSEC);
    for (unsigned i = 0; i < 500; i++) add(text);
    turns(1);
    CHECK_INT(read_file("f"), 5);
    CHECK_INT(stream.len, sizeof SELECT_0 - 1 + 500 * (sizeof text - 1));
    end();
}

static void timestamps_stand_where_the_second_changes(void) {
    begin(WRITER_EVERYSEC);
    writer.timestamps = true;
    writer.unix_s = 1700000000;
    add("a"), turns(1);
    add("b"), turns(2);
    writer.unix_s++;
    add("c"), turns(3);
    struct bytes all = disk_contents(&disk, "f");
    CHECK(all.len > 16 && memcmp(all.data, "#TS:1700000000\r\n#kevy ", 22) == 0);
    unsigned count = 0;
    for (size_t i = 0; i + 4 <= all.len; i++) count += memcmp(all.data + i, "#TS:", 4) == 0;
    CHECK_INT(count, 2);
    end();
}

static void a_full_disk_is_tried_again(void) {
    for (size_t room = 0; room < 70; room++) {
        begin(WRITER_EVERYSEC);
        add("a"), turns(1);
        size_t len = disk_contents(&disk, "f").len;
        disk.room = room;
        add("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), add("c");
        CHECK_INT(turns(2), 1 + WRITER_SYNC_MS);
        CHECK_INT(writer.error, -ENOSPC);
        CHECK_INT(disk_contents(&disk, "f").len, len); /* cut off again */
        CHECK_INT(published, 2);
        CHECK_INT(turns(600), 2 + WRITER_RETRY_MS);
        CHECK_INT(disk.calls[DISK_SYNCS], 1);
        add("d");
        CHECK_INT(turns(1100), 1100 + WRITER_RETRY_MS);
        disk.room = SIZE_MAX;
        CHECK_INT(turns(1500), 1100 + WRITER_RETRY_MS);
        turns(2200);
        CHECK_INT(writer.error, 0);
        CHECK_INT(published, tickets);
        CHECK_INT(read_file("f"), 2);
        CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcd"));
        end();
    }
}

static void what_cannot_be_cut_off_is_cut_off_before_the_next_try(void) {
    begin(WRITER_EVERYSEC);
    add("a"), turns(1);
    disk.room = 20;
    disk.fails = DISK_TRUNCATES;
    disk.fails_at = 1;
    add("b");
    turns(2);
    CHECK(writer.torn && writer.error == -EIO);
    disk.room = SIZE_MAX;
    turns(2 + WRITER_RETRY_MS);
    CHECK(!writer.torn && writer.error == 0);
    CHECK_INT(read_file("f"), 2);
    CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "ab"));
    end();
}

static void a_failed_sync(void) {
    begin(WRITER_ALWAYS);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    add("a");
    CHECK_INT(writer_turn(&writer, 1), WRITER_NEVER);
    CHECK(writer.fatal);
    CHECK_INT(published, 1); /* those who wait for it are never told */
    end();
    begin(WRITER_EVERYSEC);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    add("a");
    turns(1);
    CHECK_INT(turns(501), 501 + WRITER_RETRY_MS);
    CHECK(writer.error == -EIO && writer.error_is_sync && !writer.fatal);
    add("b");
    turns(600); /* what comes meanwhile is written, and the error stays */
    CHECK_INT(published, 3);
    CHECK(writer.error_is_sync && writer.since_ms == 1);
    turns(501 + WRITER_RETRY_MS); /* a later sync that is well is not believed */
    CHECK(writer.error_is_sync && disk.calls[DISK_SYNCS] == 2);
    CHECK_INT(writer.synced, 1);
    writer_has_base(&writer); /* an earlier one */
    CHECK_INT(writer.doubt, 2);
    cut("g"), add("c");
    CHECK_INT(turns(1600), 1600 + WRITER_RETRY_MS);
    CHECK(strcmp(writer.name, "g") == 0 && writer.error_is_sync);
    CHECK_INT(published, 5);
    CHECK_INT(writer.synced, 1);
    writer_has_base(&writer);
    CHECK_INT(writer.error, 0);
    CHECK_INT(turns(1601), WRITER_NEVER);
    CHECK(writer.since_ms == WRITER_NEVER);
    CHECK_INT(writer.synced, 5);
    end();
}

static const char *opened; /* by the disk, after the old file was synced */
static void look(enum disk_call call) {
    if (call != DISK_OPENS) return;
    int old = disk_find(&disk, "f");
    CHECK(old >= 0 && disk.files[old].synced == disk.files[old].len);
    opened = "g";
}

/* ---- Padding -------------------------------------------------------------------------------------- */

/* Of `f`, behind what is whole. */
static size_t padding_now(void) {
    struct bytes all = disk_contents(&disk, "f");
    CHECK(writer.size <= all.len);
    for (size_t i = writer.size; i < all.len; i++) CHECK(all.data[i] == disk_pad_byte(i, all.len, BATCH_PAD));
    CHECK(writer.size == all.len || all.data[writer.size] == BATCH_PAD); /* no line without anything in it */
    return all.len - writer.size;
}

static void begin_padded(uint64_t from, uint32_t least, uint32_t most) {
    begin(WRITER_ALWAYS);
    writer.padding = (struct writer_padding){from, least, most};
}

/* Adds one letter, which is a batch. */
static void one(int64_t now_ms) {
    add("a"), turns(now_ms);
    CHECK_INT(published, tickets);
}

static void batches_are_written_over_padding(void) {
    uint64_t ends = 0;
    unsigned pads = 0;
    begin_padded(400, 300, 300);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before = writer.size;
        bool fits = before < ends;
        one(i);
        size_t len = disk_contents(&disk, "f").len;
        if (writer.size < 400) {
            CHECK_INT(padding_now(), 0);
        } else if (fits && writer.size < ends) {
            CHECK_INT(len, ends); /* its length stays the same */
        } else {
            CHECK_INT(padding_now(), 300);
            pads++;
            ends = len;
        }
    }
    CHECK_INT(disk.calls[DISK_PADS], pads);
    CHECK(pads > 10 && pads < 60);
    CHECK_INT(disk.calls[DISK_SYNCS], 100);
    disk.before = look;
    cut("g");
    turns(200);
    CHECK_INT(read_file("f"), 100);         /* nothing is behind them, */
    CHECK_INT(disk.calls[DISK_SYNCS], 101); /* and that is on the disk before the next file is begun */
    end();
}

static void padding_is_as_long_as_batches_are(void) {
    begin_padded(0, 1, 1 << 20);
    one(1);
    CHECK_INT(padding_now(), WRITER_PAD_BATCHES * (sizeof SELECT_0 "a" - 1));
    writer.padding.least = 10000; /* from the next one on */
    while (disk.calls[DISK_PADS] < 2) one(2);
    CHECK_INT(padding_now(), 10000);
    end();
}

static void others_are_not_padded(void) {
    for (enum writer_policy policy = WRITER_EVERYSEC; policy <= WRITER_NO; policy++) {
        begin_padded(0, 100, 100);
        writer.policy = policy;
        one(1);
        CHECK_INT(disk.calls[DISK_PADS], 0);
        writer.policy = WRITER_ALWAYS;
        one(2);
        CHECK_INT(padding_now(), 100);
        writer.policy = policy; /* what there is stays, and is written over */
        add("a"), turns(3);
        CHECK(padding_now() < 100);
        for (unsigned i = 0; i < 4; i++) add("a"), turns(4); /* and beyond it */
        CHECK_INT(padding_now(), 0);
        writer.policy = WRITER_ALWAYS;
        one(5);
        CHECK_INT(padding_now(), 100);
        cut("");
        turns(1000);
        CHECK_INT(read_file("f"), 8);
        end();
    }
}

static void a_disk_without_room_for_padding_is_not_padded(void) {
    for (int full = 0; full < 2; full++) {
        begin_padded(0, 1000, 1000);
        disk.fails = DISK_PADS;
        disk.fails_at = full ? 0 : 1;
        if (full) disk.room = 900;
        one(1);
        CHECK(writer.error == 0 && padding_now() == 0);
        one(2), one(3);
        CHECK_INT(disk.calls[DISK_PADS], 1); /* it is not tried again */
        CHECK_INT(read_file("f"), 3);
        disk.room = SIZE_MAX;
        cut("g");
        add("b"), turns(4);
        CHECK_INT(disk.calls[DISK_PADS], 2);
        CHECK_INT(writer.padded, writer.size + 1000);
        end();
    }
}

/* What is left of a batch is cut off, and all padding with it. */
static void a_batch_that_fails_within_padding(void) {
    begin_padded(0, 1000, 1000);
    one(1);
    uint64_t size = writer.size;
    disk_mend(&disk);
    disk.piece = 10;
    disk.fails = DISK_WRITES;
    disk.fails_at = 3;
    add("b"), turns(2);
    CHECK(writer.error == -EIO && writer.size == size);
    CHECK_INT(disk_contents(&disk, "f").len, size);
    turns(2 + WRITER_RETRY_MS);
    CHECK(writer.error == 0 && published == tickets);
    CHECK_INT(padding_now(), 1000);
    cut("");
    turns(2000);
    CHECK_INT(read_file("f"), 2);
    end();
}

static void a_cut_changes_files_when_the_old_one_is_synced(void) {
    for (enum writer_policy policy = WRITER_ALWAYS; policy <= WRITER_NO; policy++) {
        begin(policy);
        opened = NULL;
        disk.before = look;
        add("a"), cut("g"), add("b");
        turns(1);
        CHECK(opened && strcmp(writer.name, "g") == 0);
        CHECK_INT(published, 4);
        read_file("f");
        CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "a"));
        read_file("g");
        CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "b"));
        CHECK_INT(writer.size, disk_contents(&disk, "g").len);
        cut("");
        turns(2);
        CHECK(writer.file < 0 && writer.size == 0 && writer.synced == tickets);
        CHECK_INT(turns(5000), WRITER_NEVER);
        end();
    }
}

static void a_cut_that_fails_is_tried_again(void) {
    begin(WRITER_EVERYSEC);
    add("a"), turns(1);
    disk_mend(&disk);
    disk.fails = DISK_OPENS;
    disk.fails_at = 1;
    cut("g"), add("b");
    turns(2);
    CHECK_INT(writer.error, -EIO);
    CHECK_INT(published, 2);
    turns(10 + WRITER_RETRY_MS);
    CHECK_INT(writer.error, 0);
    CHECK_INT(published, 4);
    read_file("g");
    CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "b"));
    end();
}

/* Of a file that cannot be synced: a base takes its place, or it is nobody's. */
static void a_cut_goes_on_in_doubt(void) {
    for (unsigned i = 0; i < 2; i++) {
        begin(WRITER_EVERYSEC);
        add("a"), turns(1);
        disk_mend(&disk);
        disk.fails = DISK_SYNCS;
        disk.fails_at = 1;
        cut(i ? "g" : "");
        turns(2);
        CHECK_INT(published, 3);
        CHECK_INT(writer.error, i ? -EIO : 0);
        writer_has_base(&writer);
        CHECK(writer.error == 0 && writer.doubt == 0 && writer.doubted == BATCH_NO_DOUBT);
        turns(1000);
        CHECK_INT(writer.synced, 3);
        end();
    }
}

/* That a base takes the place of what was in doubt says nothing of what could not be written behind it. */
static void a_base_does_not_end_what_was_torn_since(void) {
    begin(WRITER_EVERYSEC);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    add("a"), turns(1), turns(501);
    CHECK_INT(writer.doubt, 2);
    cut("g"), turns(1600);
    disk.room = 20;
    disk.fails = DISK_TRUNCATES;
    disk.fails_at = 1;
    add("b"), turns(1700);
    CHECK(writer.torn && writer.error == -EIO);
    writer_has_base(&writer);
    CHECK(writer.doubt == 0 && writer.error == -EIO && !writer.error_is_sync);
    disk.room = SIZE_MAX;
    turns(1701);
    CHECK(writer.error == -EIO);
    turns(1700 + WRITER_RETRY_MS);
    CHECK(!writer.torn && writer.error == 0);
    turns(1700 + WRITER_RETRY_MS + WRITER_SYNC_MS);
    CHECK_INT(writer.synced, tickets);
    read_file("g");
    CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "b"));
    end();
}

static bool says_in(const char *name, const char *words) {
    struct bytes file = disk_contents(&disk, name);
    return memmem(file.data, file.len, words, strlen(words)) != NULL;
}

/* Its batches say how long the file before was, whatever comes of a base, and of files without anything in them. */
static void a_file_tells_of_doubt_before_it(void) {
    char words[64];
    begin(WRITER_EVERYSEC);
    add("a"), turns(1);
    disk_mend(&disk);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    size_t len = disk_contents(&disk, "f").len;
    snprintf(words, sizeof words, " doubt=%zu run=", len);
    cut("g"), turns(2), cut("h"), turns(3), add("b"), turns(4);
    CHECK(len > 0 && says_in("h", words) && !says_in("f", " doubt="));
    snprintf(words, sizeof words, " doubt=%zu run=", disk_contents(&disk, "h").len);
    cut("i"), turns(5), add("c"), turns(6);
    CHECK(says_in("i", words));
    writer_has_base(&writer);
    cut("j"), turns(7), add("d"), turns(8);
    CHECK(!says_in("j", " doubt=") && says_in("j", " run="));
    end();
}

static void what_is_abandoned_is_dropped_up_to_the_end_of_the_log(void) {
    for (enum writer_policy policy = WRITER_ALWAYS; policy <= WRITER_NO; policy++) {
        begin(policy);
        add("a"), turns(1);
        disk.room = 20;
        disk.fails = DISK_TRUNCATES;
        disk.fails_at = 1;
        add("b"), cut("g"), add("c");
        turns(2);
        CHECK(writer.error && writer.torn && published == 2);
        writer.abandons = true;
        turns(3);
        CHECK(published == 5 && writer.error);
        add("d"), cut(""), cut("h"), add("e");
        disk.room = SIZE_MAX;
        turns(4);
        CHECK(published == tickets && !writer.error && !writer.abandons);
        CHECK(disk_find(&disk, "g") < 0);
        read_file("h");
        CHECK_BYTES(buffer_bytes(&stream), BYTES(SELECT_0 "e"));
        end();
    }
}

static void without_memory_what_fits_is_written_and_the_rest_later(void) {
    static char text[100000];
    memset(text, 't', BATCH_PIECE_MIN - 1);
    begin(WRITER_EVERYSEC);
    add("a");
    for (unsigned i = 0; i < 300; i++) queue_add_text(&queues[1], 0, bytes_of(text)); /* one of 4.8 MB */
    queue_seal(&queues[1], ++tickets);
    memory_left = 0;
    turns(1);
    CHECK_INT(writer.error, -ENOMEM);
    CHECK_INT(published, 2);
    turns(1002);
    CHECK_INT(published, 2);
    memory_left = UINT_MAX;
    turns(2003);
    CHECK_INT(writer.error, 0);
    CHECK_INT(published, 3);
    CHECK_INT(read_file("f"), 2);
    end();
    memory_left = 0;
    CHECK(!writer_open(&writer, &disk.disk, queues, QUEUES));
    memory_left = UINT_MAX;
}

int main(void) {
    log_set_level(LOG_LEVEL_NOTHING);
    RUN(everysec_writes_at_once_and_syncs_later);
    RUN(always_publishes_what_is_synced);
    RUN(no_leaves_it_to_the_kernel);
    RUN(a_rewrite_may_keep_syncs_back);
    RUN(large_arguments_are_written_from_where_they_lie);
    RUN(batches_are_bounded);
    RUN(timestamps_stand_where_the_second_changes);
    RUN(a_full_disk_is_tried_again);
    RUN(what_cannot_be_cut_off_is_cut_off_before_the_next_try);
    RUN(a_failed_sync);
    RUN(batches_are_written_over_padding);
    RUN(padding_is_as_long_as_batches_are);
    RUN(others_are_not_padded);
    RUN(a_disk_without_room_for_padding_is_not_padded);
    RUN(a_batch_that_fails_within_padding);
    RUN(a_cut_changes_files_when_the_old_one_is_synced);
    RUN(a_cut_that_fails_is_tried_again);
    RUN(a_cut_goes_on_in_doubt);
    RUN(a_base_does_not_end_what_was_torn_since);
    RUN(a_file_tells_of_doubt_before_it);
    RUN(what_is_abandoned_is_dropped_up_to_the_end_of_the_log);
    RUN(without_memory_what_fits_is_written_and_the_rest_later);
    buffer_free(&stream);
    return 0;
}
