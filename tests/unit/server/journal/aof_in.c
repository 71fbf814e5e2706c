/* Append-only files that are whole, torn at any byte, or damaged: what is told apart, and how much is whole. */
#include "server/journal/aof_in.h"

#include "server/journal/batch.h"
#include "tests/unit/aof_fixture.h"
#include "tests/unit/failing_memory.h"

static struct failing_disk disk;
static struct aof_look look;

static enum aof_found look_at(struct bytes file, size_t piece) {
    disk_new(&disk);
    disk_put(&disk, "f", file);
    disk_mend(&disk);
    disk.piece = piece;
    uint64_t begin = look.begin, before = look.before;
    look = (struct aof_look){.disk = &disk.disk, .path = "f", .begin = begin, .before = before};
    enum aof_found found = aof_look(&look);
    CHECK((found == AOF_BAD || found == AOF_UNREAD) == (look.why[0] != '\0'));
    disk_free(&disk);
    return found;
}

static void expect(struct bytes file, enum aof_found found, uint64_t end) {
    static const size_t pieces[] = {0, 1, 7};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        CHECK_INT(look_at(file, pieces[i]), found);
        CHECK_INT(look.end, end);
    }
}

static void commands_are_counted(void) {
    struct buffer file = {0};
    expect(BYTES(""), AOF_WHOLE, 0);
    aof_command(&file, "SELECT 0");
    aof_add(&file, BYTES("#TS:1700000000\r\n# anything\n"));
    aof_command(&file, "SET k v");
    aof_add(&file, BYTES("*2\r\n$3\r\nGET\r\n$0\r\n\r\n#\n"));
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.commands, 3);
    CHECK_INT(look.batches, 0);
    buffer_free(&file);
}

/* The ends of what is whole: a transaction is so with its EXEC. */
static void what_is_torn_ends_with_the_last_whole_command(void) {
    struct buffer file = {0};
    size_t ends[8], count = 0;
    ends[count++] = 0;
    aof_command(&file, "SELECT 0");
    ends[count++] = file.len;
    aof_command(&file, "SET key:1 value");
    ends[count++] = file.len;
    aof_command(&file, "multi");
    aof_command(&file, "INCR k");
    aof_command(&file, "MULTI");
    aof_command(&file, "Exec");
    ends[count++] = file.len;
    aof_command(&file, "EXEC");
    ends[count++] = file.len;
    for (size_t len = 0; len <= file.len; len++) {
        size_t last = 0;
        for (size_t i = 0; i < count && ends[i] <= len; i++) last = ends[i];
        expect((struct bytes){file.data, len}, len == last ? AOF_WHOLE : AOF_TORN, last);
    }
    CHECK_INT(look_at((struct bytes){file.data, ends[3] - 5}, 0), AOF_TORN);
    CHECK(look.open);
    CHECK_INT(look.commands, 2);
    buffer_free(&file);
}

static void a_line_without_an_end_is_torn(void) {
    struct buffer file = {0};
    aof_command(&file, "SET k v");
    size_t whole = file.len;
    aof_add(&file, BYTES("#TS:1"));
    expect(buffer_bytes(&file), AOF_TORN, whole);
    buffer_free(&file);
}

static void other_bytes_are_no_such_file(void) {
    static const struct bytes files[] = {BYTES_INIT("SET k v\r\n"),
                                         BYTES_INIT("*0\r\n"),
                                         BYTES_INIT("*x\r\n"),
                                         BYTES_INIT("*1\n$4\r\nPING\r\n"),
                                         BYTES_INIT("*1\r\n+PING\r\n"),
                                         BYTES_INIT("*1\r\n$-1\r\n"),
                                         BYTES_INIT("*1\r\n$4\r\nPINGxx"),
                                         BYTES_INIT("*-1\r\n"),
                                         BYTES_INIT("*\r\n"),
                                         BYTES_INIT("*1\r\n$4\r\nPING\rxx"),
                                         BYTES_INIT("*99999999999999\r\n")};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buffer file = {0};
        expect(files[i], AOF_BAD, 0);
        aof_command(&file, "SET k v");
        size_t whole = file.len;
        aof_add(&file, files[i]);
        expect(buffer_bytes(&file), AOF_BAD, whole);
        CHECK_INT(look.fault, whole);
        CHECK(strcmp(look.why, "Bad file format") == 0);
        buffer_free(&file);
    }
}

static void lines_have_a_bound(void) {
    struct buffer file = {0};
    aof_add(&file, BYTES("#"));
    while (file.len < AOF_LINE_MAX - 1) aof_add(&file, BYTES("x"));
    size_t len = file.len;
    aof_add(&file, BYTES("\n"));
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    file.len = len;
    aof_add(&file, BYTES("x\n"));
    expect(buffer_bytes(&file), AOF_BAD, 0);
    buffer_free(&file);
}

/* Longer than the window over the file. */
static void long_commands_are_passed(void) {
    static char text[700001];
    struct buffer file = {0};
    memset(text, 'x', sizeof text);
    aof_format(&file, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", sizeof text);
    aof_add(&file, (struct bytes){text, sizeof text});
    aof_add(&file, BYTES("\r\n"));
    size_t whole = file.len;
    aof_command(&file, "GET k");
    CHECK_INT(look_at(buffer_bytes(&file), 0), AOF_WHOLE);
    CHECK_INT(look_at((struct bytes){file.data, file.len - 1}, 0), AOF_TORN);
    CHECK_INT(look.end, whole);
    CHECK_INT(look_at((struct bytes){file.data, whole - 2}, 0), AOF_TORN);
    CHECK_INT(look.end, 0);
    buffer_free(&file);
}

/* ---- Batches -------------------------------------------------------------------------------------- */

/* Two batches, of which the second says what was safe; the ends of both. */
static struct buffer two_batches(uint64_t safe, size_t ends[2]) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){1, 3, 0, NULL}, "SET key:1 value:1");
    ends[0] = file.len;
    aof_add(&file, BYTES("#TS:1700000000\r\n"));
    aof_batch_of(&file, (struct aof_batch){4, 4, safe, NULL}, "SET key:2 value:2");
    ends[1] = file.len;
    return file;
}

static void batches_are_compared_with_their_checksums(void) {
    size_t ends[2];
    struct buffer file = two_batches(3, ends);
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.batches, 2);
    CHECK_INT(look.last, 4);
    CHECK_INT(look.commands, 2);
    aof_command(&file, "SET by redis"); /* which had the file after kevy */
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.commands, 3);
    buffer_free(&file);
}

static void a_batch_that_is_cut_is_torn(void) {
    size_t ends[2];
    struct buffer file = two_batches(3, ends);
    expect((struct bytes){file.data, ends[0] + 1}, AOF_WHOLE, ends[0]); /* which padding might be */
    for (size_t len = ends[0] + 2; len < ends[1]; len++) {
        bool stamp_is_whole = len == ends[0] + 16, may_be_padding = len == ends[0] + 17;
        expect((struct bytes){file.data, len}, stamp_is_whole || may_be_padding ? AOF_WHOLE : AOF_TORN,
               stamp_is_whole ? len : ends[0]);
    }
    for (size_t len = 1; len < ends[0]; len++) expect((struct bytes){file.data, len}, AOF_TORN, 0);
    buffer_free(&file);
}

/* Is it a byte of a line's mark, without which the line means nothing, and what follows is plain commands? */
static bool is_mark(size_t at, const size_t ends[2]) {
    return at - 1 < 5 || (at >= ends[0] && at - ends[0] < 16 + 6);
}

/* Each byte of the file is another one. What comes behind a fault says whether it was safe. */
static void a_flipped_byte_is_found(void) {
    size_t ends[2];
    for (uint64_t safe = 0; safe <= 3; safe += 3) {
        struct buffer file = two_batches(safe, ends);
        size_t line = (size_t)((char *)memchr(file.data, '\n', file.len) - file.data);
        for (size_t at = 0; at < ends[1]; at++) {
            if (is_mark(at, ends)) continue;
            file.data[at] ^= 4;
            enum aof_found found = look_at(buffer_bytes(&file), 0);
            CHECK(found == AOF_BAD || found == AOF_TORN);
            CHECK(look.end == 0 || look.end == ends[0]);
            if (at > line && at < ends[0] && safe) CHECK_INT(found, AOF_BAD);
            file.data[at] ^= 4;
        }
        buffer_free(&file);
    }
}

/* A disk that has lost its power has some sectors and others not: the later ones may be there. */
static void a_torn_batch_before_a_whole_one_is_torn(void) {
    size_t ends[2];
    struct buffer file = two_batches(0, ends);
    char *value = memmem(file.data, ends[0], "value:1", 7);
    memset(value, 0, 7);
    expect(buffer_bytes(&file), AOF_TORN, 0);
    buffer_free(&file);
    file = two_batches(3, ends);
    value = memmem(file.data, ends[0], "value:1", 7);
    memset(value, 0, 7);
    expect(buffer_bytes(&file), AOF_BAD, 0);
    buffer_free(&file);
}

/* Nothing is left of the first lines: the file before it tells which tickets are its own. */
static void a_hole_at_the_beginning_is_torn_where_nothing_was_safe(void) {
    struct buffer file = {0};
    char hole[512] = {0};
    aof_add(&file, (struct bytes){hole, sizeof hole});
    aof_command(&file, "SET rest of-a-batch");
    expect(buffer_bytes(&file), AOF_TORN, 0);
    aof_batch_of(&file, (struct aof_batch){9, 9, 7, NULL}, "SET key:2 value:2");
    expect(buffer_bytes(&file), AOF_BAD, 0);
    look.before = 7;
    expect(buffer_bytes(&file), AOF_TORN, 0);
    look.before = 0;
    buffer_free(&file);
}

static void zeroes_at_the_end_are_torn(void) {
    struct buffer file = {0};
    char zeroes[700] = {0};
    aof_command(&file, "SET k v");
    size_t whole = file.len;
    aof_add(&file, BYTES("*2\r\n$3\r\nGE"));
    aof_add(&file, (struct bytes){zeroes, sizeof zeroes});
    expect((struct bytes){zeroes, sizeof zeroes}, AOF_TORN, 0);
    expect(buffer_bytes(&file), AOF_TORN, whole);
    aof_command(&file, "SET k v");
    expect(buffer_bytes(&file), AOF_BAD, whole);
    buffer_free(&file);
}

static void add_padding(struct buffer *file, size_t len) {
    char padding[1400];
    CHECK(len <= sizeof padding);
    for (size_t i = 0; i < len; i++) padding[i] = disk_pad_byte(file->len + i, file->len + len, BATCH_PAD);
    aof_add(file, (struct bytes){padding, len});
}

/* The writer puts it behind its batches, and writes over it. */
static void padding_is_not_looked_at(void) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "SET k v");
    aof_batch_of(&file, (struct aof_batch){2, 2, 1, NULL}, "SET k w");
    size_t whole = file.len;
    add_padding(&file, 1400);
    for (size_t len = whole; len <= file.len; len += 1 + len % 100)
        expect((struct bytes){file.data, len}, AOF_WHOLE, whole);
    CHECK_INT(look.commands, 2);
    CHECK_INT(look.last, 2);
    for (size_t len = 1; whole + len < file.len; len += 1 + len % 100) { /* it was being cut off */
        memset(file.data + whole, 0, len);
        expect(buffer_bytes(&file), AOF_WHOLE, whole);
        memset(file.data + whole, BATCH_PAD, len);
        memset(file.data + file.len - len, 0, len);
        expect(buffer_bytes(&file), AOF_WHOLE, whole);
        memset(file.data + file.len - len, BATCH_PAD, len);
    }
    for (size_t torn = whole - 20; torn < whole; torn++) { /* the last batch has not come whole */
        file.data[torn] = BATCH_PAD;
        CHECK_INT(look_at(buffer_bytes(&file), 0), AOF_TORN);
        CHECK(look.end > 0 && look.end < whole && look.commands == 1);
    }
    buffer_free(&file);
}

static void padding_within_is_a_torn_batch(void) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "SET k v");
    size_t whole = file.len;
    aof_batch_of(&file, (struct aof_batch){2, 2, 1, NULL}, "SET k w");
    aof_command(&file, "SET x y");                         /* as if it were the batch's */
    for (size_t len = 2; whole + len <= file.len; len++) { /* its beginning has not come */
        memset(file.data + whole, BATCH_PAD, len);
        bool none = whole + len >= file.len - 1; /* a line of padding ends as it does */
        expect(buffer_bytes(&file), none ? AOF_WHOLE : AOF_TORN, whole);
        CHECK_INT(look.commands, 1);
    }
    aof_command(&file, "SET x y");
    aof_batch_of(&file, (struct aof_batch){3, 3, 2, NULL}, "SET k w"); /* which says that it was safe */
    expect(buffer_bytes(&file), AOF_BAD, whole);
    file.len = whole;
    aof_add(&file, BYTES("#TS:1700000000\r\n")); /* what is in front of a batch, which has not come */
    size_t stamped = file.len;
    add_padding(&file, 1000);
    expect(buffer_bytes(&file), AOF_WHOLE, whole);
    file.len = stamped + 500;
    aof_command(&file,
                "SET x y"); /* a later sector of that batch has come, and nothing in front of it is a line */
    aof_command(&file, "SET x y");
    aof_command(&file, "SET x y");
    add_padding(&file, 300);
    expect(buffer_bytes(&file), AOF_TORN, whole);
    CHECK_INT(look.commands, 1);
    buffer_free(&file);
}

/* It writes behind what there is. */
static void redis_goes_on_behind_padding(void) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "SET k v");
    aof_batch_of(&file, (struct aof_batch){2, 2, 1, NULL}, "SET k w");
    size_t whole = file.len;
    add_padding(&file, 1400);
    aof_add(&file, BYTES("#TS:1700000000\r\n"));
    size_t begin = file.len;
    aof_command(&file, "SELECT 0");
    size_t first = file.len;
    aof_command(&file, "SET k x");
    size_t second = file.len;
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK(look.commands == 4 && look.last == 2);
    for (size_t len = begin + 1; len < file.len; len++) { /* it was killed, too */
        size_t end = len < first ? whole : first;
        expect((struct bytes){file.data, len}, len == first ? AOF_WHOLE : AOF_TORN, end);
    }
    aof_add(&file, BYTES("\0\0\0"));
    expect(buffer_bytes(&file), AOF_TORN, second);
    file.len = second;
    aof_add(&file, BYTES("SET k y\r\n")); /* nobody has written that */
    expect(buffer_bytes(&file), AOF_TORN, whole);
    file.len = second;
    aof_command(&file, "SET k ####"); /* it was not Redis who has left that */
    file.data[file.len - 2] = '#';
    expect(buffer_bytes(&file), AOF_TORN, whole);
    file.len = second;
    add_padding(&file, 400);
    expect(buffer_bytes(&file), AOF_TORN, whole);
    buffer_free(&file);
}

/* Where there are no batches these are lines like any other. */
static void others_have_no_padding(void) {
    struct buffer file = {0};
    aof_command(&file, "SET k v");
    aof_add(&file, BYTES("####\n##\n"));
    aof_command(&file, "SET k w");
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.commands, 2);
    add_padding(&file, 100);
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    buffer_free(&file);
}

static void words_of_later_versions_are_skipped(void) {
    struct buffer file = {0};
    expect(BYTES("#kevy id=ab seq=0-0 gap= len=0 chain=5 crc=00000000 safe=0 time=3\n"), AOF_WHOLE, 66);
    aof_format(&file, "#kevy seq=0-0 len=0 crc=00000000 safe=0\n");
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "SET k v");
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.last, 1);
    buffer_free(&file);
}

/* A batch is whole commands, and whole transactions, and its tickets follow on those before. */
static void what_nobody_writes_is_not_taken(void) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){5, 5, 0, NULL}, "SET k v");
    size_t whole = file.len;
    aof_batch_of(&file, (struct aof_batch){5, 5, 0, NULL}, "SET k v");
    expect(buffer_bytes(&file), AOF_BAD, whole);
    file.len = whole;
    aof_batch_of(&file, (struct aof_batch){7, 7, 5, NULL}, "SET k v");
    expect(buffer_bytes(&file), AOF_BAD, whole);
    file.len = whole;
    aof_batch_of(&file, (struct aof_batch){6, 6, 5, NULL}, "MULTI");
    expect(buffer_bytes(&file), AOF_TORN, whole);
    file.len = whole;
    aof_batch(&file, (struct aof_batch){6, 6, 5, NULL}, BYTES("*1\r\n$4\r\nPI"));
    expect(buffer_bytes(&file), AOF_TORN, whole);
    file.len = whole;
    aof_command(&file, "MULTI");
    aof_batch_of(&file, (struct aof_batch){6, 6, 5, NULL}, "SET k v");
    expect(buffer_bytes(&file), AOF_BAD, whole);
    buffer_free(&file);
}

/* What a value holds is not looked at, as long as the lines lead past it. */
static void lines_within_values_say_nothing(void) {
    struct buffer file = {0}, value = {0}, commands = {0};
    aof_add(&value, BYTES("x\n"));
    aof_batch_of(&value, (struct aof_batch){7, 7, 6, NULL}, "SET k v");
    aof_format(&commands, "*2\r\n$3\r\nGET\r\n$%zu\r\n", value.len);
    aof_add(&commands, buffer_bytes(&value));
    aof_add(&commands, BYTES("\r\n"));
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "SET k v");
    file.data[file.len - 3] ^= 1;
    aof_batch(&file, (struct aof_batch){2, 2, 0, NULL}, buffer_bytes(&commands));
    expect(buffer_bytes(&file), AOF_TORN, 0);
    buffer_free(&file);
    buffer_free(&value);
    buffer_free(&commands);
}

/* And what has been made to look like a line is none, for it does not know the run; where nothing lies before that is
 * whole, nobody can tell. */
static void what_imitates_a_line_has_another_run(void) {
    for (unsigned guessed = 0; guessed < 3; guessed++) {
        static const char *const runs[] = {NULL, " run=12345678", " run=00c0ffee"};
        struct buffer file = {0};
        aof_batch_of(&file, (struct aof_batch){1, 1, 0, " run=00c0ffee"}, "SET k v");
        size_t whole = file.len;
        aof_batch_of(&file, (struct aof_batch){2, 2, 1, " run=00c0ffee"}, "SET k v");
        file.data[file.len - 3] ^= 1;
        aof_batch_of(&file, (struct aof_batch){7, 7, 6, runs[guessed]}, "SET k v");
        expect(buffer_bytes(&file), guessed == 2 ? AOF_BAD : AOF_TORN, whole);
        buffer_free(&file);
    }
}

static void a_line_tells_of_doubt(void) {
    struct buffer file = {0};
    aof_batch_of(&file, (struct aof_batch){5, 5, 0, " doubt=77 run=00c0ffee"}, "SET k v");
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    CHECK_INT(look.doubt, 77);
    file.data[file.len - 3] ^= 1;
    expect(buffer_bytes(&file), AOF_TORN, 0); /* its line can be read */
    CHECK_INT(look.doubt, 77);
    memset(file.data, 0, 8);
    expect(buffer_bytes(&file), AOF_TORN, 0);
    CHECK_INT(look.doubt, AOF_NO_DOUBT);
    aof_batch_of(&file, (struct aof_batch){6, 6, 0, " doubt=77 run=00c0ffee"}, "SET k v");
    expect(buffer_bytes(&file), AOF_TORN, 0);
    CHECK_INT(look.doubt, 77);
    buffer_free(&file);
    expect(BYTES("#kevy seq=0-0 len=0 crc=00000000 safe=0 doubt=9223372036854775808\n"), AOF_TORN, 0);
    expect(BYTES("#kevy seq=0-0 len=0 crc=00000000 safe=0 run=123\n"), AOF_TORN, 0);
}

/* ---- Beginnings and errors ------------------------------------------------------------------------ */

static void what_stands_before_the_commands_is_passed(void) {
    struct buffer file = {0};
    aof_add(&file, BYTES("REDIS0011 and so on"));
    look.begin = file.len;
    aof_command(&file, "SET k v");
    expect(buffer_bytes(&file), AOF_WHOLE, file.len);
    expect((struct bytes){file.data, file.len - 1}, AOF_TORN, look.begin);
    expect((struct bytes){file.data, look.begin}, AOF_WHOLE, look.begin);
    look.begin = 0;
    buffer_free(&file);
}

static void errors_are_told(void) {
    size_t ends[2];
    struct buffer file = two_batches(3, ends);
    file.data[file.len - 3] ^= 1; /* so that it is read a second time */
    disk_new(&disk);
    disk_put(&disk, "f", buffer_bytes(&file));
    look = (struct aof_look){.disk = &disk.disk, .path = "f"};
    for (unsigned call = 0; call < DISK_CALLS; call++)
        for (unsigned at = 1;; at++) {
            disk_mend(&disk);
            disk.fails = (enum disk_call)call;
            disk.fails_at = at;
            enum aof_found found = aof_look(&look);
            if (disk.calls[call] < at) break;
            if (call == DISK_CLOSES) continue;
            CHECK_INT(found, AOF_UNREAD);
            CHECK(strcmp(look.why, "Input/output error") == 0);
        }
    disk_mend(&disk);
    memory_left = 0;
    CHECK_INT(aof_look(&look), AOF_UNREAD);
    memory_left = UINT_MAX;
    look.path = "none";
    CHECK_INT(aof_look(&look), AOF_UNREAD);
    look.path = "f";
    CHECK_INT(aof_look(&look), AOF_TORN);
    disk_free(&disk);
    buffer_free(&file);
}

int main(void) {
    RUN(commands_are_counted);
    RUN(what_is_torn_ends_with_the_last_whole_command);
    RUN(a_line_without_an_end_is_torn);
    RUN(other_bytes_are_no_such_file);
    RUN(lines_have_a_bound);
    RUN(long_commands_are_passed);
    RUN(batches_are_compared_with_their_checksums);
    RUN(a_batch_that_is_cut_is_torn);
    RUN(a_flipped_byte_is_found);
    RUN(a_torn_batch_before_a_whole_one_is_torn);
    RUN(a_hole_at_the_beginning_is_torn_where_nothing_was_safe);
    RUN(zeroes_at_the_end_are_torn);
    RUN(padding_is_not_looked_at);
    RUN(padding_within_is_a_torn_batch);
    RUN(redis_goes_on_behind_padding);
    RUN(others_have_no_padding);
    RUN(words_of_later_versions_are_skipped);
    RUN(what_nobody_writes_is_not_taken);
    RUN(lines_within_values_say_nothing);
    RUN(what_imitates_a_line_has_another_run);
    RUN(a_line_tells_of_doubt);
    RUN(what_stands_before_the_commands_is_passed);
    RUN(errors_are_told);
    return 0;
}
