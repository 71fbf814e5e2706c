/* appender.c - turn after turn, what they leave, and who waits for that. */
#include "server/journal/appender.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "server/clock.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/aof_switch.h"
#include "server/journal/delay.h"
#include "server/journal/journal.h"
#include "server/journal/snapshot_walk.h"
#include "server/log.h"

struct aof_log aof_log;
struct bell aof_log_bell;
_Atomic uint64_t appender_news_count = 1;
static _Atomic unsigned awaiting; /* who wait for the disk */

static struct {
    /* The thread's. */
    int64_t unsynced_ms; /* no change that is written and not synced is older; WRITER_NEVER: there is none */
    bool left;           /* by the last turn: changes that are not written, */
    int64_t left_ms;     /* of which none is older */
    struct {
        uint64_t synced;
        enum aof_log_state state;
    } told; /* of what those have heard who wait for the disk */
    /* For anybody. */
    _Atomic int64_t since_ms; /* what is not synced is not older; WRITER_NEVER: all is */
    _Atomic int64_t
        left_since_ms; /* what is not written is not older; WRITER_NEVER: all is, or it is about to be */
    _Atomic int64_t
        came_ms; /* what the thread has not seen yet is not older; WRITER_NEVER: there is nothing */
    _Atomic bool syncs_rest;
    _Atomic int fatal;        /* negative errno */
    _Atomic int64_t sleep_us; /* before each write, for tests */
    _Atomic uint64_t synced, written, file_size, delayed;
} appender = {.since_ms = INT64_MAX, .left_since_ms = INT64_MAX, .came_ms = INT64_MAX};

bool appender_hurries(void) {
    return aof_log_policy() == WRITER_ALWAYS;
}

/* ---- Opening -------------------------------------------------------------------------------------- */

/* 0 where the kernel has no random numbers yet: it is as good as any, for who cannot know that. */
static uint32_t draw_run(void) {
    uint32_t run;
    bool drawn = getrandom(&run, sizeof run, GRND_NONBLOCK) == (ssize_t)sizeof run;
    return drawn ? run : 0;
}

static void forget_all(void) {
    appender.since_ms = appender.left_since_ms = appender.came_ms = WRITER_NEVER;
    appender.left = false;
    appender.unsynced_ms = WRITER_NEVER;
    appender.fatal = 0;
    appender.synced = appender.written = appender.delayed = 0;
    aof_log.error = 0;
    aof_log.refused = false;
    aof_log.state = AOF_LOG_OFF;
}

bool appender_open(struct disk *disk, const struct aof_log_server *server, unsigned executors) {
    assert(server->look_again && server->refuse && server->holds && server->wake);
    forget_all();
    aof_log.server = server;
    aof_files_open(&aof_log.files, disk);
    aof_rewrite_open();
    if (!journal_open(executors)) return false;
    bool opened = writer_open(&aof_log.writer, disk, journal_queue(0), executors);
    aof_log.writer.run = server->by_hand ? 1 : draw_run();
    if (server->padding) aof_log.writer.padding = *server->padding;
    if (opened) return true;
    writer_close(&aof_log.writer);
    journal_close();
    return false;
}

void appender_close(void) {
    if (!journal_queue_count()) return;
    writer_close(&aof_log.writer);
    aof_files_close(&aof_log.files);
    journal_close();
    aof_log.state = AOF_LOG_OFF;
    aof_log.begun = false;
}

/* ---- How old changes are, and whether there is room for more -------------------------------------- */

static uint64_t bytes_in_queues(void) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < journal_queue_count(); i++) bytes += queue_bytes(journal_queue(i));
    return bytes;
}

void appender_note(uint64_t now_ms) {
    int64_t none = WRITER_NEVER;
    if (atomic_load(&appender.came_ms) == WRITER_NEVER)
        (void)atomic_compare_exchange_strong(&appender.came_ms, &none, (int64_t)now_ms);
}

bool appender_has_room(uint64_t now_ms) {
    int64_t since_ms = atomic_load(&appender.since_ms), left_ms = atomic_load(&appender.left_since_ms),
            came_ms = atomic_load(&appender.came_ms);
    if (left_ms < since_ms) since_ms = left_ms;
    if (came_ms < since_ms) since_ms = came_ms;
    bool old = since_ms != WRITER_NEVER && (int64_t)now_ms - since_ms > APPENDER_AGE_MAX_MS;
    if (old && aof_log_policy() == WRITER_EVERYSEC &&
        !atomic_load_explicit(&appender.syncs_rest, memory_order_relaxed))
        return false;
    return bytes_in_queues() < APPENDER_BYTES_MAX;
}

/* ---- The thread ----------------------------------------------------------------------------------- */

static void tell_figures(void) {
    const struct writer *writer = &aof_log.writer;
    appender.synced = writer->synced;
    appender.written = writer->written;
    appender.file_size = writer->size;
    aof_log.error = writer->error;
    if (writer->fatal) appender.fatal = writer->error;
    bool waited = appender.unsynced_ms < writer->since_ms;
    atomic_store(&appender.since_ms, waited ? appender.unsynced_ms : writer->since_ms);
    if ((writer->error != 0) != aof_log.refused) {
        aof_log.refused = !aof_log.refused;
        aof_log.server->refuse(aof_log.refused);
        aof_log.server->look_again(); /* who is held for room hears it */
    }
}

static void make_room(int64_t now_ms) {
    atomic_thread_fence(memory_order_seq_cst);
    if (appender_has_room((uint64_t)now_ms) && aof_log.server->holds()) appender.delayed++;
}

/* A turn of the writer, and how old what it leaves may be: records say nothing of that, so all that a turn finds counts as
 * old as the beginning of the one before, or, if that left nothing, as what came first since then. */
static int64_t write_turn(struct writer *writer, int64_t now_ms) {
    int64_t came_ms = atomic_load(&appender.came_ms);
    if (!appender.left) appender.left_ms = now_ms;
    if (came_ms < appender.left_ms) appender.left_ms = came_ms;
    atomic_store(&appender.left_since_ms, appender.left_ms);
    atomic_store(&appender.came_ms, WRITER_NEVER); /* what comes from here on is not counted in it */
    uint64_t there = journal_next();
    if (appender.sleep_us && writer->written != journal_next()) delay_sleep(appender.sleep_us);
    uint64_t batches = writer->batches;
    int64_t due_ms = writer_turn(writer, now_ms);
    assert(writer->written <= journal_next() && there <= journal_next());
    bool wrote = writer->batches > batches;
    if (writer->since_ms == WRITER_NEVER)
        appender.unsynced_ms = WRITER_NEVER;
    else if (wrote && appender.left_ms < appender.unsynced_ms)
        appender.unsynced_ms = appender.left_ms;
    if (writer->written >= there) /* a batch may end before: at a cut, or at a ticket that is filled late */
        appender.left_ms = now_ms;
    appender.left = writer->written != journal_next();
    return due_ms;
}

/* Told before it is looked who is counted, as those count themselves before they look. */
static void tell_waiting(void) {
    enum aof_log_state state = aof_log.state;
    uint64_t synced = appender.synced;
    if (state == appender.told.state && synced == appender.told.synced) return;
    appender.told.state = state;
    appender.told.synced = synced;
    atomic_fetch_add(&appender_news_count, 1);
    if (atomic_load(&awaiting)) aof_log.server->wake();
}

void appender_limit(uint64_t tickets) {
    aof_log.writer.batch.most = tickets;
}

static void follow_options(struct writer *writer) {
    writer->policy = aof_log_policy();
    writer->timestamps = config.aof_timestamp_enabled;
    writer->syncs_rest = config.no_appendfsync_on_rewrite && aof_rewrite_is_under_way();
    appender.syncs_rest = writer->syncs_rest;
    writer->unix_s = clock_unix_ms() / 1000;
}

/* Behind a cut the file before is one of the others, whatever becomes of the rewrite that the cut was for. */
static void follow_cut(const struct writer *writer, uint64_t begun) {
    if (writer->begun != begun && writer->name[0]) aof_log_note_sizes(writer->name);
}

/* While it makes files what is not written grows older, and nobody else tells of it. */
static int64_t rewrite_turn(int64_t now_ms) {
    atomic_store(&appender.left_since_ms, appender.left_ms);
    int64_t due_ms = aof_rewrite_turn(now_ms);
    atomic_store(&appender.left_since_ms, appender.left ? appender.left_ms : WRITER_NEVER);
    return due_ms;
}

int64_t appender_turn(int64_t now_ms) {
    struct writer *writer = &aof_log.writer;
    follow_options(writer);
    writer->abandons |= writer->error && !aof_log_is_on(); /* its last cut is there, or about to be */
    if (aof_rewrite_is_barred() && (now_ms >= writer->retry_ms || !aof_log_is_on())) aof_switch_again(now_ms);
    uint64_t begun = writer->begun;
    int64_t due_ms = write_turn(writer, now_ms);
    tell_figures();
    follow_cut(writer, begun);
    if (appender_fatal()) return WRITER_NEVER;
    int64_t step_ms = rewrite_turn(now_ms);
    make_room(now_ms);
    tell_waiting();
    return step_ms < due_ms ? step_ms : due_ms;
}

void appender_sleep_before_writes(int64_t sleep_us) {
    appender.sleep_us = sleep_us;
}

int appender_fatal(void) {
    return appender.fatal;
}

bool appender_finish(int64_t now_ms) {
    struct writer *writer = &aof_log.writer;
    writer->policy = WRITER_EVERYSEC;
    if (aof_rewrite_is_barred() && writer->written != journal_next()) aof_switch_again(now_ms);
    writer->retry_ms = WRITER_NEVER;
    while (writer_turn(writer, now_ms) == now_ms) now_ms++;
    bool ok = writer_sync(writer, now_ms) && writer->synced == journal_next();
    appender.written = writer->written;
    appender.synced = writer->synced;
    aof_rewrite_finish(ok, now_ms);
    if (aof_rewrite_needs_first()) return aof_switch_list_first(); /* else it is in no file that is listed */
    if (!ok)
        log_warning("The last changes are not on the disk, and may be lost, %" PRIu64 " of them: %s",
                    journal_next() - writer->synced, strerror(-writer->error));
    return ok;
}

/* ---- Being read ----------------------------------------------------------------------------------- */

/* False where that cannot be. */
static bool await_written(void) {
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    while (appender.written != journal_next() && !aof_log.error) {
        bell_ring(&aof_log_bell);
        nanosleep(&moment, NULL);
    }
    return !aof_log.error;
}

struct disk *appender_keep_files(void) {
    if (!journal_queue_count() || !aof_log.begun || aof_log.state == AOF_LOG_WAITS) {
        log_warning("The append-only file cannot be read: it is not complete yet");
        return NULL;
    }
    if (!await_written()) {
        log_warning("The append-only file cannot be read: not all is written to it");
        return NULL;
    }
    mutex_lock(&aof_log.files.mutex);
    return aof_log.files.disk;
}

void appender_give_files(void) {
    mutex_unlock(&aof_log.files.mutex);
}

/* ---- What is on the disk -------------------------------------------------------------------------- */

bool appender_is_on(void) {
    return aof_log_is_on();
}

bool appender_has_synced(uint64_t ticket) {
    return aof_log.state == AOF_LOG_LISTED && appender.synced >= ticket;
}

void appender_await(void) {
    atomic_fetch_add(&awaiting, 1);
}

void appender_await_no_more(void) {
    unsigned before = atomic_fetch_sub(&awaiting, 1);
    assert(before > 0);
}

/* ---- Figures -------------------------------------------------------------------------------------- */

struct appender_figures appender_figures(void) {
    struct aof_rewrite_figures rewrite = aof_rewrite_figures();
    bool waits = rewrite.asked && snapshot_is_under_way(),
         loads = !aof_log.begun && journal_queue_count() && config.appendonly;
    struct appender_figures figures = {.on = aof_log_is_on() || loads,
                                       .asked = rewrite.asked,
                                       .rewriting = rewrite.under_way && !waits,
                                       .scheduled = waits,
                                       .rewrite_ok = rewrite.ok,
                                       .write_ok = !aof_log.error,
                                       .last_rewrite_s = rewrite.last_s,
                                       .current_rewrite_s = -1,
                                       .rewrites = rewrite.begun,
                                       .failures = rewrite.failures,
                                       .size = aof_log.other_size + appender.file_size,
                                       .base_size = aof_log.base_size,
                                       .unsynced = appender.synced != journal_next(),
                                       .delayed = appender.delayed,
                                       .peak = rewrite.peak};
    if (figures.rewriting)
        figures.current_rewrite_s = ((int64_t)clock_monotonic_us() / 1000 - rewrite.begun_ms) / 1000;
    if (appender.written != journal_next())
        figures.buffered = bytes_in_queues(); /* else they have but room */
    return figures;
}

const char *appender_error(void) {
    return strerror(-aof_log.error);
}
