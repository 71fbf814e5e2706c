/* What a file's commands make of an empty keyspace: as if a client had sent them, but for the time, and who hears it. */
#include "server/exec/replay.h"

#include "server/clients/channels.h"
#include "store/rdb/payload.h"
#include "tests/unit/aof_fixture.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

void *__wrap_aligned_alloc(size_t align, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size) {
    return memory_there() ? __real_aligned_alloc(align, size) : NULL;
}

static struct failing_disk disk;
static struct aof_runner *runner;
static struct aof_part part;
static struct buffer file;

static void begin_file(unsigned shard_total) {
    fixture_open(shard_total);
    metrics_reset();
    now_ms = 1700000000000;
    conn = fixture_conn(shards);
    disk_new(&disk);
    runner = replay_new(now_ms, false);
    CHECK(runner);
}

static void end_file(void) {
    replay_free(runner);
    disk_free(&disk);
    buffer_free(&file);
    end();
}

static bool run_file(size_t piece) {
    disk_put(&disk, "f", buffer_bytes(&file));
    disk_mend(&disk);
    disk.piece = piece;
    part = (struct aof_part){.disk = &disk.disk, .path = "f", .end = file.len};
    return runner->run(runner, &part);
}

static void expect_run(void) {
    bool ok = run_file(0);
    if (!ok) fprintf(stderr, "offset %llu: %s\n", (unsigned long long)part.fault, part.why);
    CHECK(ok);
    CHECK_INT(part.taken, file.len);
}

static void expect_refused(const char *why, uint64_t fault) {
    CHECK(!run_file(0));
    CHECK_BYTES(bytes_of(part.why), bytes_of(why));
    CHECK_INT(part.fault, fault);
}

static void commands_run(void) {
    static const size_t pieces[] = {0, 1, 100};
    for (size_t i = 0; i < 3; i++) {
        begin_file(4);
        aof_command(&file, "SELECT 3");
        for (unsigned k = 0; k < 50; k++)
            aof_format(&file, "*3\r\n$3\r\nSET\r\n$4\r\nk:%02u\r\n$1\r\n%u\r\n", k, k % 10);
        aof_add(&file, BYTES("#TS:1700000000\r\n"));
        aof_command(&file, "MULTI");
        aof_command(&file, "RPUSH list a b");
        aof_command(&file, "SELECT 0");
        aof_command(&file, "SET other 1");
        aof_command(&file, "EXEC");
        aof_command(&file, "PING");
        CHECK(run_file(pieces[i]));
        CHECK_INT(part.commands, 52);
        CHECK_INT(part.refused, 0);
        EXPECT("dbsize\nselect 3\ndbsize\nmget k:00 k:49\nlrange list 0 -1\n",
               ":1\r\n+OK\r\n:51\r\n*2\r\n$1\r\n0\r\n$1\r\n9\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        end_file();
    }
}

/* Each file begins with the first database. */
static void a_part_of_a_file_runs(void) {
    begin_file(1);
    aof_command(&file, "SELECT 3");
    aof_command(&file, "SET a 1");
    size_t begin = file.len;
    aof_command(&file, "SET b 1");
    size_t behind = file.len;
    aof_command(&file, "SET c 1");
    CHECK(run_file(0));
    part.begin = begin;
    part.end = behind;
    CHECK(runner->run(runner, &part));
    CHECK_INT(part.commands, 1);
    EXPECT("keys *\n", "*1\r\n$1\r\nb\r\n");
    end_file();
}

/* What is there until the file deletes it can be changed until then. */
static void nothing_expires_meanwhile(void) {
    begin_file(2);
    aof_command(&file, "SET a 1 PXAT 1000");
    aof_command(&file, "PERSIST a");
    aof_command(&file, "SET b 5 PXAT 1000");
    aof_command(&file, "INCR b");
    aof_command(&file, "PEXPIREAT b 1800000000000");
    aof_command(&file, "SET c 1");
    aof_command(&file, "PEXPIREAT c 1000");
    aof_command(&file, "HSET h f 1");
    aof_command(&file, "HPEXPIREAT h 1000 FIELDS 1 f");
    aof_command(&file, "HPERSIST h FIELDS 1 f");
    aof_command(&file, "RESTORE d 1000 \x01 ABSTTL");
    expect_run();
    EXPECT("get a\nttl a\nget b\npexpiretime b\nget c\nhget h f\n",
           "$1\r\n1\r\n:-1\r\n$1\r\n6\r\n:1800000000000\r\n$-1\r\n$1\r\n1\r\n");
    end_file();
}

/* No server of today writes them, old ones did. */
static void spans_count_from_now(void) {
    begin_file(2);
    aof_command(&file, "SETEX a 100 1");
    aof_command(&file, "SET b 1");
    aof_command(&file, "EXPIRE b 200");
    aof_command(&file, "XADD s * f v");
    expect_run();
    EXPECT("ttl a\nttl b\nobject idletime b\nxlen s\n", ":100\r\n:200\r\n:0\r\n:1\r\n");
    end_file();
}

static void large_arguments_come_whole(void) {
    static char text[3][300000];
    for (size_t piece = 0; piece < 2; piece++) {
        begin_file(2);
        aof_command(&file, "SET before 1");
        aof_add(&file, BYTES("*7\r\n$4\r\nMSET\r\n"));
        for (unsigned i = 0; i < 3; i++) {
            size_t len = sizeof text[i] - i * 100000;
            memset(text[i], 'a' + (int)i, sizeof text[i]);
            aof_format(&file, "$1\r\n%u\r\n$%zu\r\n", i, len);
            aof_add(&file, (struct bytes){text[i], len});
            aof_add(&file, BYTES("\r\n"));
        }
        aof_command(&file, "SET behind 1");
        CHECK(run_file(piece * 50001));
        EXPECT("strlen 0\nstrlen 1\nstrlen 2\ngetrange 1 0 2\ngetrange 2 99999 -1\nmget before behind\n",
               ":300000\r\n:200000\r\n:100000\r\n$3\r\nbbb\r\n$1\r\nc\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
        end_file();
    }
}

/* Longer than what is read at once. */
static void long_commands_come_whole(void) {
    begin_file(2);
    aof_add(&file, BYTES("*20002\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n"));
    for (unsigned i = 0; i < 20000; i++) aof_format(&file, "$20\r\nelement:%012u\r\n", i);
    aof_command(&file, "RPUSH k last");
    CHECK(file.len > 500000);
    expect_run();
    EXPECT("llen k\nlindex k 19999\nlindex k -1\n",
           ":20001\r\n$20\r\nelement:000000019999\r\n$4\r\nlast\r\n");
    end_file();
}

static void what_may_not_stand_there_is_refused(void) {
    static const struct {
        const char *line, *why;
    } refused[] = {{"NOSUCH a", "Unknown command 'NOSUCH'"},
                   {"eval x 0", "Unknown command 'eval' (kevy has no scripts yet)"},
                   {"FUNCTION LOAD x", "Unknown command 'FUNCTION' (kevy has no scripts yet)"},
                   {"FUNCTION RESTORE short", "Unknown command 'FUNCTION' (kevy has no scripts yet)"},
                   {"FUNCTION RESTORE 0123456789", "Unknown command 'FUNCTION' (kevy has no scripts yet)"},
                   {"FUNCTION FLUSH SYNC x", "Unknown command 'FUNCTION' (kevy has no scripts yet)"},
                   {"SET a", "Wrong number of arguments for 'SET'"},
                   {"SUBSCRIBE a", "A command that changes no data 'SUBSCRIBE'"},
                   {"SHUTDOWN", "A command that changes no data 'SHUTDOWN'"},
                   {"SELECT 16", "Database 16, where the option `databases` is 16"},
                   {"SELECT x", "SELECT of no number 'x'"},
                   {"XGROUP nosuch", "Unknown subcommand of 'XGROUP'"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        begin_file(2);
        aof_command(&file, "SET k v");
        size_t fault = file.len;
        aof_command(&file, refused[i].line);
        aof_command(&file, "SET l v");
        expect_refused(refused[i].why, fault);
        EXPECT("exists l\n", ":0\r\n");
        end_file();
    }
}

/* redis-cli dumps a node's functions, and restores them at one that it adds. */
/* The server itself records DEL of what has expired, and XGROUP of what XREADGROUP made. */
static void what_was_renamed_has_both_names(void) {
    begin_file(3);
    CHECK(!command_set_name(BYTES("del"), BYTES("")) && !command_set_name(BYTES("set"), BYTES("put")));
    CHECK(!command_set_name(BYTES("xgroup"), BYTES("")));
    aof_command(&file, "put k v");
    aof_command(&file, "set l w");
    aof_command(&file, "put m x");
    aof_command(&file, "DEL m");
    aof_command(&file, "XGROUP CREATE s g 0 MKSTREAM");
    expect_run();
    CHECK_INT(part.commands, 5);
    EXPECT("get k\nget l\nget m\nexists s\n", "$1\r\nv\r\n$1\r\nw\r\n$-1\r\n:1\r\n");
    size_t at = file.len;
    aof_command(&file, "DEL");
    expect_refused("Unknown command 'DEL'", at);
    end_file();
}

static void what_is_of_no_functions_is_passed(void) {
    char none[PAYLOAD_FOOTER];
    payload_close(none, 0, 10);
    begin_file(2);
    aof_command(&file, "SET k v");
    aof_command(&file, "FUNCTION FLUSH");
    aof_command(&file, "function flush async");
    for (unsigned more = 0; more < 2; more++) {
        aof_format(&file, "*%u\r\n$8\r\nFUNCTION\r\n$7\r\nRESTORE\r\n$10\r\n", 3 + more);
        aof_add(&file, (struct bytes){none, sizeof none});
        aof_add(&file, more ? BYTES("\r\n$6\r\nAPPEND\r\n") : BYTES("\r\n"));
    }
    aof_command(&file, "APPEND k v");
    expect_run();
    CHECK(part.commands == 2 && part.refused == 0);
    EXPECT("get k\n", "$2\r\nvv\r\n");
    end_file();
}

/* It was so when they were recorded. */
static void commands_may_fail(void) {
    begin_file(2);
    aof_command(&file, "SET k v");
    aof_command(&file, "LPUSH k v");
    aof_command(&file, "INCR k");
    aof_command(&file, "SET l v");
    aof_command(&file, "BLPOP none 0"); /* which nobody waits for here */
    expect_run();
    CHECK_INT(part.refused, 2);
    EXPECT("get k\nget l\n", "$1\r\nv\r\n$1\r\nv\r\n");
    end_file();
}

static void nobody_hears_of_it(void) {
    begin_file(2);
    options_set("notify-keyspace-events KA\n");
    effects_publish();
    EXPECT("subscribe __keyspace@0__:k\n", "*3\r\n$9\r\nsubscribe\r\n$16\r\n__keyspace@0__:k\r\n:1\r\n");
    gate_raise(GATE_LOADING); /* and whatever else is raised */
    aof_command(&file, "SET k v");
    aof_command(&file, "KEYS *");
    expect_run();
    gate_lower(GATE_LOADING);
    struct metrics sum;
    metrics_sum(&sum);
    CHECK_INT(sum.commands[command_find_name(BYTES("set"))->id].calls, 0);
    EXPECT("unsubscribe\n", "*3\r\n$11\r\nunsubscribe\r\n$16\r\n__keyspace@0__:k\r\n:0\r\n");
    end_file();
}

static void looking_changes_nothing(void) {
    begin_file(2);
    replay_free(runner);
    runner = replay_new(now_ms, true);
    aof_command(&file, "SET k v");
    expect_run();
    size_t fault = file.len;
    aof_command(&file, "NOSUCH");
    expect_refused("Unknown command 'NOSUCH'", fault);
    EXPECT("dbsize\n", ":0\r\n");
    end_file();
}

/* Large values that are replaced, and emptied databases, wait for nobody who comes when all is loaded. */
static void what_is_left_behind_is_freed_meanwhile(void) {
    enum { MEMBERS = 3000, TIMES = 300, KEYS = 20000, FLUSHES = 4, MOST = 8 << 20 };
    begin_file(1);
    for (unsigned i = 0; i < MEMBERS; i++)
        aof_format(&file, "*4\r\n$4\r\nZADD\r\n$1\r\ns\r\n$4\r\n%u\r\n$4\r\n%u\r\n", 1000 + i, 1000 + i);
    for (unsigned i = 0; i < TIMES; i++) aof_command(&file, "ZUNIONSTORE d 1 s");
    expect_run();
    uint64_t used = heaps_used(stripes.heaps), one;
    (void)run(BYTES("del d\n"));
    while (keyspace_upkeep(stripes.all[0].keyspace, 1000)) {
    }
    one = heaps_used(stripes.heaps);
    CHECK(used >= one && used <= MOST && one * TIMES > 2 * (uint64_t)MOST);
    buffer_free(&file);
    for (unsigned i = 0; i < FLUSHES * KEYS; i++) {
        aof_format(&file, "*3\r\n$3\r\nSET\r\n$7\r\n%u\r\n$1\r\nv\r\n", 1000000 + i);
        if (i % KEYS == KEYS - 1) aof_command(&file, "FLUSHDB");
    }
    expect_run();
    CHECK(keyspace_buried(stripes.all[0].keyspace) <= FLUSHES * KEYS * 3 / 4);
    end_file();
}

static void errors_are_told(void) {
    static char text[100000];
    begin_file(2);
    aof_command(&file, "SET k v");
    aof_format(&file, "*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$%zu\r\n", sizeof text);
    memset(text, 'x', sizeof text);
    aof_add(&file, (struct bytes){text, sizeof text});
    aof_add(&file, BYTES("\r\n"));
    for (unsigned at = 1; at <= 3; at++) {
        disk_put(&disk, "f", buffer_bytes(&file));
        disk_mend(&disk);
        disk.piece = 60000;
        disk.fails = DISK_READS;
        disk.fails_at = at;
        part = (struct aof_part){.disk = &disk.disk, .path = "f", .end = file.len};
        bool ok = runner->run(runner, &part);
        CHECK(ok == (disk.calls[DISK_READS] < at));
        CHECK(ok || strcmp(part.why, "Input/output error") == 0);
    }
    disk_mend(&disk);
    part.end = file.len + 1;
    CHECK(!runner->run(runner, &part) && strcmp(part.why, "The file has become shorter") == 0);
    part.path = "none";
    CHECK(!runner->run(runner, &part) && strcmp(part.why, "No such file or directory") == 0);
    end_file();
}

/* The data are not what the file says then. */
static void memory_that_runs_out_is_a_fault(void) {
    static char text[40000];
    begin_file(2);
    aof_format(&file, "*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$%zu\r\n", sizeof text);
    memset(text, 'x', sizeof text);
    aof_add(&file, (struct bytes){text, sizeof text});
    aof_add(&file, BYTES("\r\n"));
    for (unsigned i = 0; i < 100; i++)
        aof_format(&file, "*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$2\r\n%02u\r\n$1\r\nx\r\n", i);
    disk_put(&disk, "f", buffer_bytes(&file));
    disk_mend(&disk);
    disk.piece = 20000;
    part = (struct aof_part){.disk = &disk.disk, .path = "f", .end = file.len};
    unsigned failed = 0;
    for (unsigned left = 0;; left++) {
        memory_left = left;
        bool ok = runner->run(runner, &part);
        bool ran_out = memory_left == 0;
        memory_left = UINT_MAX;
        if (ok && !ran_out) break;
        failed += !ok;
        CHECK(ok || strcmp(part.why, "Out of memory") == 0 || strcmp(part.why, "out of memory") == 0);
        (void)run(BYTES("flushall\n"));
    }
    CHECK(failed > 3);
    memory_left = 0;
    CHECK(replay_new(now_ms, false) == NULL);
    memory_left = UINT_MAX;
    end_file();
}

int main(void) {
    RUN(commands_run);
    RUN(a_part_of_a_file_runs);
    RUN(nothing_expires_meanwhile);
    RUN(spans_count_from_now);
    RUN(large_arguments_come_whole);
    RUN(long_commands_come_whole);
    RUN(what_may_not_stand_there_is_refused);
    RUN(what_is_of_no_functions_is_passed);
    RUN(commands_may_fail);
    RUN(nobody_hears_of_it);
    RUN(looking_changes_nothing);
    RUN(what_is_left_behind_is_freed_meanwhile);
    RUN(errors_are_told);
    RUN(memory_that_runs_out_is_a_fault);
    RUN(what_was_renamed_has_both_names); /* the last: who has no name is not given one back */
    return 0;
}
