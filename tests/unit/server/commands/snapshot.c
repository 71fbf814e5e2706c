/* SAVE, LASTSAVE, DEBUG RELOAD and what INFO says of them, on a disk that may fail. */
#include "server/journal/snapshot.h"

#include "tests/unit/info_fixture.h"
#include "tests/unit/snapshot_fixture.h"

#define FAILED_LOAD "-ERR Error trying to load the RDB dump\r\n"

static struct failing_disk disk;

static void begin_on_disk(void) {
    open_shards(3);
    config.enable_debug_command = CONFIG_YES;
    disk_new(&disk);
    snapshot_open(&disk.disk, now_ms);
}
static void end_on_disk(void) {
    disk_free(&disk);
    end();
}

static int64_t persistence(const char *name) {
    return figure(info_text("persistence", now_ms), name);
}

static void changes_count_since_the_last_save(void) {
    begin_on_disk();
    CHECK_INT(persistence("rdb_changes_since_last_save"), 0);
    EXPECT("lastsave\n", ":1700000000\r\n");
    EXPECT("set k v\nget k\nset l w\n", OK "$1\r\nv\r\n" OK);
    CHECK_INT(persistence("rdb_changes_since_last_save"), 2);
    CHECK_INT(persistence("rdb_saves"), 0);
    EXPECT("save\n", OK);
    CHECK_INT(persistence("rdb_changes_since_last_save"), 0);
    CHECK_INT(persistence("rdb_saves"), 1);
    CHECK(persistence("rdb_last_save_time") > 1700000000);
    EXPECT("multi\nsave\n", OK "-ERR Command not allowed inside a transaction\r\n");
    EXPECT("discard\nsave now\n", OK "-ERR wrong number of arguments for 'save' command\r\n");
    end_on_disk();
}

static void a_save_that_fails_says_so(void) {
    begin_on_disk();
    EXPECT("set k v\nsave\nset k w\n", OK OK OK);
    disk_mend(&disk);
    disk.room = 0;
    EXPECT("save\nshutdown save\ndebug reload\n",
           "-ERR\r\n-ERR Errors trying to SHUTDOWN. Check logs.\r\n-ERR\r\n");
    CHECK(!(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY));
    CHECK_INT(persistence("rdb_changes_since_last_save"), 1);
    disk_mend(&disk);
    EXPECT("debug reload nosave\nget k\n", OK "$1\r\nv\r\n");
    end_on_disk();
}

static void a_reload_gives_the_same(void) {
    begin_on_disk();
    make_values();
    struct digest before = digest_now();
    EXPECT("debug reload\n", OK);
    check_digest(&before);
    CHECK_INT(persistence("rdb_changes_since_last_save"), 0);
    CHECK_INT(persistence("rdb_last_load_keys_loaded"), keys_now());
    end_on_disk();
}

static void a_reload_merges_where_it_is_asked_to(void) {
    begin_on_disk();
    EXPECT("set k old\nset l old\nsave\nset k new\nset m new\n", OK OK OK OK OK);
    EXPECT("debug reload nosave noflush\n", FAILED_LOAD);
    EXPECT("debug reload nosave noflush merge\nmget k l m\n",
           OK "*3\r\n$3\r\nold\r\n$3\r\nold\r\n$3\r\nnew\r\n");
    EXPECT("debug reload nosave\nmget k l m\n", OK "*3\r\n$3\r\nold\r\n$3\r\nold\r\n$-1\r\n");
    EXPECT("debug reload nonsense\n",
           "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.\r\n");
    end_on_disk();
}

/* redis-server would have ended. */
static void a_file_that_cannot_be_loaded_flushes_nothing(void) {
    begin_on_disk();
    EXPECT("set k v\ndebug reload nosave\nget k\n", OK FAILED_LOAD "$1\r\nv\r\n");
    disk_put(&disk, "dump.rdb", BYTES("REDIS0010\xfe\0\0\1k"));
    EXPECT("debug reload nosave\nget k\n", FAILED_LOAD "$1\r\nv\r\n");
    end_on_disk();
}

static void a_reload_touches_watched_keys(void) {
    begin_on_disk();
    EXPECT("set k v\nsave\nwatch k\ndebug reload nosave\nmulti\nget k\nexec\n",
           OK OK OK OK OK "+QUEUED\r\n*-1\r\n");
    end_on_disk();
}

int main(void) {
    RUN(changes_count_since_the_last_save);
    RUN(a_save_that_fails_says_so);
    RUN(a_reload_gives_the_same);
    RUN(a_reload_merges_where_it_is_asked_to);
    RUN(a_file_that_cannot_be_loaded_flushes_nothing);
    RUN(a_reload_touches_watched_keys);
    return 0;
}
