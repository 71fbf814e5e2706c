/* Values as the commands that make them: their words, and what comes of them when they are loaded. */
#include "server/journal/aof_out.h"

#include "store/types/stream.h"
#include "tests/unit/appender_fixture.h"

#define BASE(n) "appendonlydir/appendonly.aof." #n ".base.aof"
#define STARTED "+Background append only file rewriting started\r\n"

static void begin_log(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\naof-use-rdb-preamble no\n"));
    config.enable_debug_command = CONFIG_YES;
}
static void end_log(void) {
    log_stop();
    disk_free(&disk);
}

/* The commands of a file, a line each, words parted by blanks. */
static const char *lines_of(const char *name) {
    static char text[1 << 16];
    struct bytes rest = disk_contents(&disk, name);
    struct request_parser parser = {0};
    struct request_limits limits = {
        .max_args = INT32_MAX, .max_bulk = INT32_MAX, .max_inline = 1024, .authenticated = true};
    struct request_args args = {0};
    size_t used, len = 0;
    text[0] = 0;
    while (rest.len) {
        CHECK(request_parse(&parser, &limits, rest, &args, &used) == REQUEST_READY);
        rest = (struct bytes){rest.data + used, rest.len - used};
        for (uint32_t i = 0; i < args.argc; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%.*s%s", (int)args.argv[i].len,
                                    args.argv[i].data, i + 1 < args.argc ? " " : "\n");
        CHECK(len < sizeof text);
    }
    request_args_free(&args);
    return text;
}

static void expect_base(const char *commands, const char *lines) {
    begin_log();
    (void)run(bytes_of(commands));
    EXPECT("bgrewriteaof\n", STARTED);
    log_turns(1);
    CHECK(disk_has(BASE(2)) && !disk_has(LOG_BASE(1)));
    CHECK_BYTES(bytes_of(lines_of(BASE(2))), bytes_of(lines));
    CHECK(disk_says(LOG_LIST, "file appendonly.aof.2.base.aof seq 2 type b\n"));
    struct digest before = digest_now();
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    end_log();
}

static void the_time_stands_in_front_if_asked_for(void) {
    begin_log();
    options_set("aof-timestamp-enabled yes\n");
    (void)run(BYTES("set k v\n"));
    EXPECT("bgrewriteaof\n", STARTED);
    log_turns(1);
    struct bytes base = disk_contents(&disk, BASE(2));
    CHECK(base.len > 10 && memcmp(base.data, "#TS:", 4) == 0 && memmem(base.data, base.len, "\r\n*2\r\n", 6));
    struct digest before = digest_now();
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    options_set("aof-timestamp-enabled no\n");
    end_log();
}

static void every_type_has_its_commands(void) {
    expect_base("flushall\n", "");
    expect_base("set k v\n", "SELECT 0\nSET k v\n");
    expect_base("select 7\nset k -12 pxat 4000000000000\n",
                "SELECT 7\nSET k -12\nPEXPIREAT k 4000000000000\n");
    expect_base("rpush k a 1 b\n", "SELECT 0\nRPUSH k a 1 b\n");
    expect_base("sadd k 1 2\n", "SELECT 0\nSADD k 1 2\n");
    expect_base("zadd k 1.5 a inf b -0.5 c\n", "SELECT 0\nZADD k -0.5 c 1.5 a inf b\n");
    expect_base("hset k a 1 b 2\nhpexpireat k 4000000000000 fields 1 b\n",
                "SELECT 0\nHMSET k a 1 b 2\nHPEXPIREAT k 4000000000000 FIELDS 1 b\n");
}

static void streams_come_with_their_groups(void) {
    expect_base("xgroup create k g 0 mkstream\n",
                "SELECT 0\nXADD k MAXLEN 0 0-1 x y\nXSETID k 0-0 ENTRIESADDED 0 MAXDELETEDID 0-0\n"
                "XGROUP CREATE k g 0-0 ENTRIESREAD -1\n");
    expect_base("xadd k 5-1 a b\nxdel k 5-1\n",
                "SELECT 0\nXADD k MAXLEN 0 5-1 x y\nXSETID k 5-1 ENTRIESADDED 1 MAXDELETEDID 5-1\n");
    expect_base("xadd k 5-1 a b c d\nxadd k 6-0 e f\nxgroup create k g 0\nxgroup createconsumer k g idle\n"
                "xclaim k g busy 0 5-1 time 1700000000000 retrycount 3 force\n",
                "SELECT 0\nXADD k 5-1 a b c d\nXADD k 6-0 e f\nXSETID k 6-0 ENTRIESADDED 2 MAXDELETEDID 0-0\n"
                "XGROUP CREATE k g 0-0 ENTRIESREAD -1\nXGROUP CREATECONSUMER k g busy\n"
                "XCLAIM k g busy 0 5-1 TIME 1700000000000 RETRYCOUNT 3 JUSTID FORCE\n"
                "XGROUP CREATECONSUMER k g idle\n");
    /* Ids of the year 2096 are not over. */
    expect_base(
        "xadd k 4000000000005-1 a b\nxadd k 4000000000006-1 a b\nxidmprecord k q 1 4000000000006-1\n"
        "xidmprecord k p x 4000000000005-1\nxidmprecord k q 2 4000000000005-1\nxdel k 4000000000005-1\n",
        "SELECT 0\nXADD k 4000000000006-1 a b\n"
        "XSETID k 4000000000006-1 ENTRIESADDED 2 MAXDELETEDID 4000000000005-1\n"
        "XCFGSET k IDMP-DURATION 100 IDMP-MAXSIZE 100\nXIDMPRECORD k p x 4000000000005-1\n"
        "XIDMPRECORD k q 1 4000000000006-1\nXIDMPRECORD k q 2 4000000000005-1\n");
    expect_base("xadd k 5-1 a b\nxcfgset k idmp-maxsize 7\n",
                "SELECT 0\nXADD k 5-1 a b\nXSETID k 5-1 ENTRIESADDED 1 MAXDELETEDID 0-0\n"
                "XCFGSET k IDMP-DURATION 100 IDMP-MAXSIZE 7\n");
}

/* As what was loaded may say: more than a command takes, or less. */
static void what_commands_refuse_is_as_near_as_they_come(void) {
    begin_log();
    struct key key = {BYTES("k"), hash_bytes(&stripes.seed, BYTES("k"))};
    struct keyspace *ks = stripe_of(key.hash)->keyspace;
    (void)run(BYTES("xadd k 5-1 a b\nxadd k 6-1 a b\nxsetid k 9-9\nxgroup create k g 0\n"
                    "xclaim k g c 0 5-1 time 1700000000000 force justid\n"));
    struct value value = entry_value(keyspace_find(ks, 0, key));
    struct stream *stream = stream_of(value.object);
    struct stream_pending pending;
    struct tree_context context = collection_context(ks);
    struct stream_group *group = stream_group_edit(&stream->groups, &context, BYTES("g"));
    CHECK(stream_pending_find(group, (struct stream_id){5, 1}, &pending));
    pending.count = UINT64_MAX;
    CHECK(stream_pending_put(group, &context, &pending));
    stream->added = 1;
    stream->max_deleted = (struct stream_id){20, 7};
    EXPECT("bgrewriteaof\n", STARTED);
    log_turns(1);
    CHECK_BYTES(
        bytes_of(lines_of(BASE(2))),
        BYTES("SELECT 0\nXADD k 5-1 a b\nXADD k 6-1 a b\nXSETID k 9-9 ENTRIESADDED 2 MAXDELETEDID 9-9\n"
              "XGROUP CREATE k g 0-0 ENTRIESREAD -1\nXGROUP CREATECONSUMER k g c\n"
              "XCLAIM k g c 0 5-1 TIME 1700000000000 RETRYCOUNT 9223372036854775807 JUSTID FORCE\n"));
    EXPECT("debug loadaof\n", OK);
    EXPECT("xadd k 9-9 a b\n",
           "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n");
    EXPECT("xpending k g - + 9 c\n", "*1\r\n*4\r\n$3\r\n5-1\r\n$1\r\nc\r\n:0\r\n:9223372036854775807\r\n");
    end_log();
}

static unsigned count_of(const char *text, const char *part) {
    unsigned count = 0;
    for (; (text = strstr(text, part)); text++) count++;
    return count;
}

static void large_values_come_in_many_commands(void) {
    static const char *const names[] = {"RPUSH", "SADD", "ZADD", "HMSET"};
    static const char *const begins[] = {"rpush k e", "sadd k m", "zadd k 1.5 m", "hset k f"};
    for (unsigned i = 0; i < 4; i++) {
        begin_log();
        for (unsigned at = 0; at < 129; at++) run_format("%s%u%s\n", begins[i], at, i == 3 ? " v" : "");
        EXPECT("bgrewriteaof\n", STARTED);
        log_turns(1);
        CHECK_INT(count_of(lines_of(BASE(2)), names[i]), 3);
        end_log();
    }
}

static void what_is_loaded_is_the_same(void) {
    begin_log();
    make_values();
    EXPECT("bgrewriteaof\n", STARTED);
    log_turns(1);
    struct digest before = digest_now();
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    EXPECT("config set aof-use-rdb-preamble yes\nbgrewriteaof\n", OK STARTED);
    log_turns(2);
    CHECK(disk_has(LOG_BASE(3)) && !disk_has(BASE(2)));
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    end_log();
}

/* Whatever could not be written: the files that there were are in use. */
static void a_base_that_cannot_be_written_is_none(void) {
    begin_log();
    make_values();
    log_turns(1);
    struct digest before = digest_now();
    disk_mend(&disk);
    disk.room = 2000;
    EXPECT("bgrewriteaof\n", STARTED);
    log_turns(2);
    CHECK(!appender_figures().rewrite_ok && !disk_has(BASE(2)) && disk_has(BASE(1)));
    disk_mend(&disk);
    log_turns(5000);
    EXPECT("debug loadaof\n", OK);
    check_digest(&before);
    end_log();
}

struct full_sink {
    struct sink sink;
    size_t room;
};
static bool take(struct sink *sink, struct bytes bytes) {
    struct full_sink *full = (struct full_sink *)(void *)sink;
    if (bytes.len > full->room) return false;
    full->room -= bytes.len;
    return true;
}

static void write_to(void *context, struct entry *e) {
    struct full_sink *full = context;
    size_t room = full->room;
    CHECK(!aof_out_entry(&full->sink, NULL, e));
    full->room = room;
}

/* At every byte, of every type. */
static void a_sink_may_be_full(void) {
    begin();
    run_format(
        "set s 1\nrpush l a\nsadd t a\nzadd z 1 a\nhset h a b\nhpexpireat h 4000000000000 fields 1 a\n");
    run_format("xadd x 1-1 a b\nxgroup create x g 0\nxclaim x g c 0 1-1 force justid\n");
    for (size_t room = 0; room < 26; room++) {
        struct full_sink full = {{.write = take}, room};
        for (unsigned i = 0; i < stripes.count; i++) {
            uint64_t cursor = 0;
            do cursor = keyspace_scan(stripes.all[i].keyspace, 0, cursor, write_to, &full);
            while (cursor);
        }
        CHECK(room > 22 || !aof_out_select(&full.sink, 1));
    }
    end();
}

int main(void) {
    RUN(the_time_stands_in_front_if_asked_for);
    RUN(every_type_has_its_commands);
    RUN(streams_come_with_their_groups);
    RUN(what_commands_refuse_is_as_near_as_they_come);
    RUN(large_values_come_in_many_commands);
    RUN(what_is_loaded_is_the_same);
    RUN(a_base_that_cannot_be_written_is_none);
    RUN(a_sink_may_be_full);
    return 0;
}
