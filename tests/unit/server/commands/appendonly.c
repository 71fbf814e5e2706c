/* BGREWRITEAOF, and what INFO says of the append-only file. */
#include "server/commands/appendonly.h"

#include "tests/unit/appender_fixture.h"
#include "tests/unit/info_fixture.h"

static int64_t persistence(const char *name) {
    return figure(info_text("persistence", now_ms), name);
}

static void without_a_journal_there_is_no_rewrite(void) {
    begin();
    EXPECT("bgrewriteaof\n",
           "-ERR Can't execute an AOF background rewriting. Please check the server logs for more "
           "information.\r\n");
    CHECK_INT(persistence("aof_enabled"), 0);
    CHECK(!strstr(info_text("persistence", now_ms), "aof_current_size"));
    end();
}

static void figures_follow_the_files(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    CHECK_INT(persistence("aof_enabled"), 1);
    CHECK_INT(persistence("aof_last_rewrite_time_sec"), -1);
    CHECK_INT(persistence("aof_pending_bio_fsync"), 0);
    EXPECT("set k v\n", OK);
    CHECK_INT(persistence("aof_pending_bio_fsync"), 1);
    log_turns(1);
    CHECK_INT(persistence("aof_base_size"), disk_contents(&disk, LOG_BASE(1)).len);
    CHECK_INT(persistence("aof_current_size"),
              disk_contents(&disk, LOG_BASE(1)).len + disk_contents(&disk, LOG_INCR(1)).len);
    EXPECT("multi\nbgrewriteaof\nexec\n",
           OK "+QUEUED\r\n*1\r\n+Background append only file rewriting scheduled\r\n");
    CHECK_INT(persistence("aof_rewrite_in_progress"), 1);
    EXPECT("bgrewriteaof\n", "-ERR Background append only file rewriting already in progress\r\n");
    log_turns(2);
    CHECK_INT(persistence("aof_rewrite_in_progress"), 0);
    CHECK_INT(persistence("aof_rewrites"), 1);
    CHECK_INT(persistence("aof_last_rewrite_time_sec"), 0);
    CHECK(strstr(info_text("persistence", now_ms), "aof_last_bgrewrite_status:ok\r\n"));
    CHECK(strstr(info_text("persistence", now_ms), "aof_last_write_status:ok\r\n"));
    log_stop();
    disk_free(&disk);
}

int main(void) {
    RUN(without_a_journal_there_is_no_rewrite);
    RUN(figures_follow_the_files);
    return 0;
}
