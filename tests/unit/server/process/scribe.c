/* The thread that writes the log: what was changed is in the file when it has ended, and it wakes for what comes. */
#include "server/process/scribe.h"

#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/exec/durable.h"
#include "server/journal/appender.h"
#include "server/journal/journal.h"
#include "server/journal/snapshot_walk.h"
#include "tests/unit/commands_fixture.h"

static char directory[] = "/tmp/kevy-scribe-XXXXXX";

static void start(const char *options) {
    shard_count = 3;
    CHECK(scribe_open());
    fixture_open(3);
    options_set(options);
    now_ms = 1700000000000;
    conn = fixture_conn(shards);
    CHECK(scribe_start(true));
}

static void stop(void) {
    snapshot_give_up(); /* nobody walks here */
    CHECK(scribe_stop());
    CHECK(!appender_figures().unsynced);
    if (journal_listens()) journal_ignore();
    end();
    scribe_close();
}

static size_t file_size(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    fclose(file);
    return (size_t)size;
}

static void what_was_changed_is_there_at_the_end(void) {
    start("appendonly yes\n");
    EXPECT("set k v\nset l w\n", OK OK);
    stop();
    CHECK(file_size("appendonlydir/appendonly.aof.1.incr.aof") > 50);
}

static void it_wakes_for_each_change(void) {
    start("appendonly yes\nappendfsync always\n");
    for (unsigned i = 0; i < 100; i++) {
        EXPECT("set k v\n", OK);
        durable_tell(&shards->exec, false);
        while (journal_safe() < journal_next()) sched_yield(); /* ctest's limit ends what waits for ever */
    }
    stop();
}

/* Two that have written together: whether both write again, or one, or for a long time nobody, each change becomes safe. */
static void it_waits_for_who_may_come_and_not_for_ever(void) {
    struct crowd_part part = {0};
    uint32_t noted[2] = {0};
    start("appendonly yes\nappendfsync always\n");
    for (unsigned i = 0; i < 600; i++) {
        EXPECT("set k v\n", OK);
        for (unsigned j = 0; j < 2 - i % 3 / 2; j++) noted[j] = crowd_join(&part, noted[j]);
        durable_tell(&shards->exec, crowd_tell(&part));
        while (journal_safe() < journal_next()) sched_yield();
    }
    CHECK(crowd_members() <= 2);
    stop();
}

/* sched_getattr(2) fills it, and sched_setattr(2) takes it. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* All 0 where that is not told: not every sandbox does. */
static struct attributes attributes_of(long thread) {
    struct attributes found = {0};
    return syscall(SYS_sched_getattr, thread, &found, sizeof found, 0) == 0 ? found : (struct attributes){0};
}

/* Linux 6.12 and later let threads ask for how long they run at a time, if they are like all others. */
static bool may_ask(void) {
    struct attributes usual = attributes_of(0), brief = usual;
    brief.runtime = 200 * 1000;
    if (!usual.size || usual.policy != SCHED_OTHER || syscall(SYS_sched_setattr, 0, &brief, 0) != 0)
        return false;
    bool may = attributes_of(0).runtime == brief.runtime;
    usual.runtime = 0;
    CHECK_INT(syscall(SYS_sched_setattr, 0, &usual, 0), 0);
    return may;
}

/* Of the thread that has this name. */
static long thread_named(const char *name) {
    DIR *threads = opendir("/proc/self/task");
    long found = 0;
    CHECK(threads);
    for (struct dirent *entry; !found && (entry = readdir(threads));) {
        char path[300], line[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(line, sizeof line, file) && strncmp(line, name, strlen(name)) == 0)
            found = strtol(entry->d_name, NULL, 10);
        fclose(file);
    }
    closedir(threads);
    return found;
}

/* Who waits for the disk waits for the thread as well. */
static void under_always_it_asks_for_short_runs(void) {
    bool may = may_ask();
    uint64_t usual = attributes_of(0).runtime;
    start("appendonly yes\nappendfsync always\n");
    long thread;
    while (!(thread = thread_named("kevy-journal"))) sched_yield();
    while (may && attributes_of(thread).runtime == usual) sched_yield();
    if (may) CHECK_INT(attributes_of(thread).runtime, 100 * 1000);
    EXPECT("config set appendfsync everysec\nset k v\n", OK OK);
    durable_tell(&shards->exec, false);
    while (may && attributes_of(thread).runtime != usual) sched_yield();
    stop();
}

static void without_a_log_it_waits_for_one(void) {
    start("appendonly no\n");
    EXPECT("set k v\nconfig set appendonly yes\nset l w\nbgrewriteaof\n",
           OK OK OK "-ERR Background append only file rewriting already in progress\r\n");
    stop();
}

int main(void) {
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(what_was_changed_is_there_at_the_end);
    RUN(it_wakes_for_each_change);
    RUN(it_waits_for_who_may_come_and_not_for_ever);
    RUN(under_always_it_asks_for_short_runs);
    RUN(without_a_log_it_waits_for_one);
    CHECK(chdir("/") == 0);
    char command[sizeof directory + 16];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    CHECK_INT(system(command), 0);
    return 0;
}
