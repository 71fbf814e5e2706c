/* The data as the append-only files say them, in place of what is there. */
#include "tests/unit/appender_fixture.h"
#include "tests/unit/failing_memory.h"

void *__wrap_aligned_alloc(size_t align, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size) {
    return memory_there() ? __real_aligned_alloc(align, size) : NULL;
}

#define FAILED "-ERR Error trying to load the AOF files, check server logs.\r\n"

static void begin_log(const char *options) {
    disk_new(&disk);
    CHECK(log_start(options));
    config.enable_debug_command = CONFIG_YES;
}
static void end_log(void) {
    log_stop();
    disk_free(&disk);
}

static void the_data_are_the_same(void) {
    begin_log("appendonly yes\n");
    make_values();
    run_format("pexpireat later 1000\n");
    log_turns(1);
    struct digest before = digest_now();
    uint64_t tickets = journal_next();
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    CHECK_INT(journal_next(), tickets);
    CHECK(journal_listens());
    shards->exec.clock.now_us = 1000; /* it was read: the command takes long */
    EXPECT("set k v\n", OK);
    CHECK_INT(journal_next(), tickets + 1);
    end_log();
}

/* A base and what was changed behind it; then the base alone, as nothing is appended any more. */
static void files_of_a_rewrite_are_loaded(void) {
    begin_log("appendonly yes\n");
    make_values();
    EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
    log_turns(1);
    run_format("set behind 1\nlpop biglist\n");
    log_turns(2);
    struct digest before = digest_now();
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    EXPECT("config set appendonly no\n", OK);
    log_turns(3);
    EXPECT("set lost 1\ndebug loadaof\n", OK OK);
    check_digest(&before);
    end_log();
}

static void what_cannot_be_loaded_flushes_nothing(void) {
    begin_log("appendonly no\n");
    EXPECT("set k v\ndebug loadaof\nget k\n", OK FAILED "$1\r\nv\r\n"); /* there are none */
    EXPECT("config set appendonly yes\ndebug loadaof\n", OK FAILED);    /* not yet */
    log_turns(1);
    EXPECT("debug loadaof\n", OK);
    EXPECT("multi\nset l 1\ndebug loadaof\nexec\nget l\n",
           OK "+QUEUED\r\n+QUEUED\r\n*2\r\n" OK FAILED "$1\r\n1\r\n");
    EXPECT("config set appendonly no\n", OK);
    log_turns(2);
    disk_put(&disk, LOG_INCR(1), BYTES("*1\r\n$6\r\nNOSUCH\r\n"));
    EXPECT("debug loadaof\nget k\n", FAILED "$1\r\nv\r\n");
    disk_put(&disk, LOG_INCR(1), BYTES("*3\r\n$3\r\nSET\r\n"));
    EXPECT("debug loadaof\nget k\n", FAILED "$1\r\nv\r\n");
    CHECK_INT(disk_contents(&disk, LOG_INCR(1)).len, 13); /* nothing was cut off */
    end_log();
}

static void what_cannot_be_written_is_not_loaded(void) {
    begin_log("appendonly yes\n");
    EXPECT("set k v\n", OK);
    disk_mend(&disk);
    disk.room = 0;
    log_turns(1);
    CHECK(refused);
    EXPECT("debug loadaof\nget k\n", FAILED "$1\r\nv\r\n");
    disk_mend(&disk);
    log_turns(5000);
    EXPECT("debug loadaof\nget k\n", OK "$1\r\nv\r\n");
    end_log();
}

/* Whatever runs out while the files are looked at. */
static void memory_that_runs_out_is_an_error(void) {
    begin_log("appendonly yes\n");
    EXPECT("set k v\n", OK);
    log_turns(1);
    unsigned failed = 0;
    for (unsigned left = 0; left < 4; left++) {
        struct bytes rest = parse(BYTES("debug loadaof\n"));
        CHECK(rest.len == 0 && prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        buffer_free(&sent);
        memory_left = left;
        unsigned done = dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1);
        memory_left = UINT_MAX;
        CHECK_INT(done, 1);
        fixture_take(&conn->output, &sent);
        failed += bytes_equal(buffer_bytes(&sent), BYTES(FAILED));
        EXPECT("get k\n", "$1\r\nv\r\n");
    }
    CHECK_INT(failed, 4);
    EXPECT("debug loadaof\nget k\n", OK "$1\r\nv\r\n");
    end_log();
}

/* Where replies wait for the disk, whoever reads what was loaded waits for what was changed before. */
static void what_was_loaded_is_shown_with_a_ticket(void) {
    begin_log("appendonly yes\nappendfsync always\n");
    EXPECT("set k v\n", OK);
    log_turns(1);
    uint64_t tickets = journal_next();
    EXPECT("debug loadaof\n", OK);
    CHECK_INT(journal_next(), tickets + 1);
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].marks->newest, tickets + 1);
    CHECK(stripe_set_within(&shards->exec.effects.changed.stripes, &(struct stripe_set){{0}}));
    EXPECT("debug reload\n", OK);
    CHECK_INT(journal_next(), tickets + 2);
    log_turns(2);
    CHECK_INT(journal_safe(), tickets + 2);
    end_log();
}

int main(void) {
    RUN(the_data_are_the_same);
    RUN(files_of_a_rewrite_are_loaded);
    RUN(what_cannot_be_loaded_flushes_nothing);
    RUN(what_cannot_be_written_is_not_loaded);
    RUN(memory_that_runs_out_is_an_error);
    RUN(what_was_loaded_is_shown_with_a_ticket);
    return 0;
}
