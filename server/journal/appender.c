/* appender.c - the files of the log, and the steps of a rewrite. */
#include "server/journal/appender.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/claim.h"
#include "server/journal/delay.h"
#include "server/journal/journal.h"
#include "server/journal/manifest.h"
#include "server/journal/snapshot.h"
#include "server/journal/snapshot_save.h"
#include "server/journal/snapshot_walk.h"
#include "server/lock_order.h"
#include "server/log.h"
#include "server/stripes/stripes.h"

enum step {
    STEP_NONE,
    STEP_ASKED,
    STEP_READY,
    STEP_SAVING,
    STEP_SAVED,
    STEP_BEGINNING /* no rewrite: the disk was full at the start, and the file that is written first waits for room */
};

enum {
    REWRITE_FAILURES_FREE = 3, /* so many in a row, and the next is tried at once; then it waits */
    REWRITE_WAIT_MS = 60 * 1000,
    REWRITE_AGAIN_MS = 1000,
    READY_MS = 50,      /* between two looks whether another snapshot has ended */
    GIVEN_UP_MS = 2000, /* that a switch waits for the end of what was given up */
    TEMPORARY_NAME_MAX = 48,
};

struct bell appender_bell;
_Atomic uint64_t appender_news_count = 1;
static _Atomic unsigned awaiting; /* who wait for the disk */

static struct {
    /* Fixed. */
    struct disk *disk;
    const struct appender_server *server;
    _Atomic bool begun; /* what is there from the beginning is there; set under all stripes */
    /* The journal's thread's. */
    struct writer writer;
    bool refused;
    int64_t unsynced_ms; /* no change that is written and not synced is older; WRITER_NEVER: there is none */
    bool left;           /* by the last turn: changes that are not written, */
    int64_t left_ms;     /* of which none is older */
    int64_t may_rewrite_ms; /* by itself */
    uint64_t told_synced;   /* of what those have heard who wait for the disk */
    bool told_on, told_waits;
    bool limited;    /* that is later, for rewrites have failed, and nobody was told */
    bool lacks_room; /* make_ready */
    /* Under the mutex. */
    struct mutex mutex;
    struct manifest manifest;
    uint64_t first_incr; /* of a rewrite: the files from this one on stay */
    uint64_t given_incr; /* the last number that was given to a file: one that is not listed may have it */
    /* Who has the step has the others. */
    _Atomic enum step step;
    bool commands; /* the base is made of them, and not RDB */
    char base_name[MANIFEST_NAME_MAX + 1], base_path[MANIFEST_PATH_SIZE], incr_path[MANIFEST_PATH_SIZE];
    char temporary[TEMPORARY_NAME_MAX];
    bool saved, switches_on; /* switches_on: at the cut */
    uint64_t saved_size;
    struct record_queue *queue; /* of who takes the cut */
    /* For anybody. */
    _Atomic bool waits; /* it was switched on, and its first base is not there yet: its file is not listed */
    _Atomic bool on, cancelled, rewrite_ok, syncs_rest;
    _Atomic int error, fatal; /* negative errno */
    _Atomic int64_t sleep_us; /* before each write, for tests */
    _Atomic int64_t since_ms, last_rewrite_s, begun_ms;
    _Atomic int64_t
        waits_since_ms; /* what is not written is not older; WRITER_NEVER: all is, or it is about to be */
    _Atomic int64_t
        came_ms; /* no change that the thread has not seen yet is older; WRITER_NEVER: there is none */
    _Atomic uint64_t synced, written, file_size, other_size, base_size, rewrites, failures, delayed, peak;
} appender = {
    .mutex = MUTEX(LOCK_JOURNAL), .since_ms = INT64_MAX, .waits_since_ms = INT64_MAX, .came_ms = INT64_MAX};

static struct manifest_place place(void) {
    return (struct manifest_place){config.appenddirname, config.appendfilename};
}

static enum writer_policy policy(void) {
    int64_t chosen = config.appendfsync;
    if (chosen == CONFIG_ALWAYS) return WRITER_ALWAYS;
    return chosen == CONFIG_EVERYSEC ? WRITER_EVERYSEC : WRITER_NO;
}

bool appender_hurries(void) {
    return policy() == WRITER_ALWAYS;
}

static enum step step_now(void) {
    return atomic_load_explicit(&appender.step, memory_order_acquire);
}

static bool rewrites(enum step step) {
    return step != STEP_NONE && step != STEP_BEGINNING;
}

/* ---- Opening -------------------------------------------------------------------------------------- */

/* 0 where the kernel has no random numbers yet: it is as good as any, for who cannot know that. */
static uint32_t draw_run(void) {
    uint32_t run;
    bool drawn = getrandom(&run, sizeof run, GRND_NONBLOCK) == (ssize_t)sizeof run;
    return drawn ? run : 0;
}

bool appender_open(struct disk *disk, const struct appender_server *server, unsigned executors) {
    assert(server->look_again && server->refuse && server->holds && server->wake);
    appender.disk = disk;
    appender.server = server;
    appender.step = STEP_NONE;
    appender.since_ms = appender.waits_since_ms = appender.came_ms = WRITER_NEVER;
    appender.left = false;
    appender.unsynced_ms = WRITER_NEVER;
    appender.rewrite_ok = true;
    appender.last_rewrite_s = -1;
    appender.may_rewrite_ms = 0;
    appender.limited = false;
    appender.error = appender.fatal = 0;
    appender.synced = appender.written = 0;
    appender.rewrites = appender.failures = appender.delayed = 0;
    appender.refused = false;
    appender.cancelled = false;
    appender.waits = false;
    appender.given_incr = 0;
    if (!journal_open(executors)) return false;
    bool opened = writer_open(&appender.writer, disk, journal_queue(0), executors);
    appender.writer.run = server->by_hand ? 1 : draw_run();
    if (server->padding) appender.writer.padding = *server->padding;
    if (opened) return true;
    writer_close(&appender.writer);
    journal_close();
    return false;
}

void appender_close(void) {
    if (!journal_queue_count()) return;
    writer_close(&appender.writer);
    manifest_free(&appender.manifest);
    journal_close();
    appender.on = appender.begun = false;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

/* The mutex is held in all of these. */

/* What is tried again each second is told of once. */
static int complain(const char *what, int error) {
    if (step_now() == STEP_BEGINNING) return error;
    log_warning("Cannot %s for the append-only file: %s", what, strerror(-error));
    return error;
}

/* One that is there already may have been made by a process that was killed before it was synced. */
static int make_directory(void) {
    int error = appender.disk->make_directory(appender.disk, config.appenddirname);
    if (!error || error == -EEXIST) error = appender.disk->sync_directory(appender.disk, ".");
    return error ? complain("make the directory", error) : 0;
}

/* As it is on the disk; none is empty. */
static int read_manifest(void) {
    char why[MANIFEST_WHY_SIZE];
    struct manifest_place at = place();
    manifest_free(&appender.manifest);
    int error = manifest_read(&appender.manifest, appender.disk, &at, why);
    if (error && error != -ENOENT) log_warning("Cannot read the manifest of the append-only file: %s", why);
    if (error && error != -ENOENT) return error;
    bool none = !manifest_base(&appender.manifest) && !manifest_last(&appender.manifest);
    error = none ? manifest_pass_strays(&appender.manifest, appender.disk, &at) : 0;
    if (appender.manifest.incr_seq < appender.given_incr) appender.manifest.incr_seq = appender.given_incr;
    return error;
}

static int write_manifest(void) {
    const char *failed;
    struct manifest_place at = place();
    int error = manifest_write(&appender.manifest, appender.disk, &at, &failed);
    return error ? complain(failed, error) : 0;
}

/* What was changed in memory is forgotten. */
static void fall_back(void) {
    if (read_manifest()) log_warning("The append-only file is not made anew before the manifest can be read");
}

static int64_t size_of(const char *name) {
    char path[MANIFEST_PATH_SIZE];
    struct manifest_place at = place();
    if (!manifest_path(path, &at, name)) return -ENAMETOOLONG;
    int file = appender.disk->open(appender.disk, path, DISK_READ);
    if (file < 0) return file;
    int64_t size = appender.disk->size(appender.disk, file);
    (void)appender.disk->close(appender.disk, file);
    return size;
}

/* Of all files but the one that is being written, which is the last. */
static uint64_t size_of_others(void) {
    const struct manifest_file *last = manifest_last(&appender.manifest);
    uint64_t sum = 0;
    for (size_t i = 0; i < appender.manifest.count; i++) {
        const struct manifest_file *file = &appender.manifest.files[i];
        int64_t size = file == last || file->type == MANIFEST_HISTORY ? 0 : size_of(file->name);
        if (size > 0) sum += (uint64_t)size;
    }
    return sum;
}

/* The next file, in memory. */
static int name_incr(void) {
    struct manifest_place at = place();
    uint64_t before = appender.manifest.incr_seq;
    int error = manifest_add_incr(&appender.manifest, &at);
    if (!error && !manifest_path(appender.incr_path, &at, manifest_last(&appender.manifest)->name))
        error = -ENAMETOOLONG;
    if (error) return complain("name a file", error);
    assert(appender.manifest.incr_seq == before + 1);
    appender.given_incr = before + 1;
    return 0;
}

/* It is empty, and not listed yet. Its name is on the disk before the manifest's is: no order is promised between changes of
 * names that are not synced. */
static int create_incr(void) {
    int file = appender.disk->open(appender.disk, appender.incr_path, DISK_CREATE);
    if (file < 0) return complain("make a file", file);
    int error = appender.disk->sync(appender.disk, file), closed = appender.disk->close(appender.disk, file);
    if (!error) error = closed;
    if (!error) error = appender.disk->sync_directory(appender.disk, config.appenddirname);
    return error ? complain("sync a file", error) : 0;
}

static int make_incr(void) {
    int error = name_incr();
    return error ? error : create_incr();
}

/* The file that was named last, and the manifest that lists it; where that failed, it may be done again. */
static int list_incr(void) {
    int error = create_incr();
    return error ? error : write_manifest();
}

/* The last run's file, where nothing came to be in it. */
static bool last_is_empty(void) {
    const struct manifest_file *last = manifest_last(&appender.manifest);
    struct manifest_place at = place();
    return last && size_of(last->name) == 0 && manifest_path(appender.incr_path, &at, last->name);
}

static int name_base(void) {
    struct manifest_place at = place();
    appender.commands = !config.aof_use_rdb_preamble;
    bool named = manifest_next_base(appender.base_name, &appender.manifest, &at, !appender.commands) &&
                 manifest_path(appender.base_path, &at, appender.base_name);
    return named ? 0 : complain("name a base", -ENAMETOOLONG);
}

/* All data as they are now, in a file that is not listed yet. All stripes are held, or nobody uses them. */
static bool save_base(int64_t unix_ms) {
    struct snapshot_save save = {.disk = appender.disk,
                                 .name = appender.base_path,
                                 .compressed = config.rdbcompression,
                                 .summed = config.rdbchecksum,
                                 .base = true,
                                 .commands = appender.commands,
                                 .work = snapshot_work_counter(),
                                 .now_ms = unix_ms};
    int error = snapshot_save_run(&save);
    if (!error) error = appender.disk->sync_directory(appender.disk, config.appenddirname);
    if (error)
        log_warning("Cannot %s for the append-only file: %s",
                    save.failed ? save.failed : "sync the directory", strerror(-error));
    appender.saved_size = save.bytes;
    return !error;
}

static int list_base(uint64_t first_incr) {
    assert(first_incr > 0 && first_incr <= appender.manifest.incr_seq + 1);
    int error = manifest_add_base(&appender.manifest, appender.base_name, first_incr);
    return error ? complain("list the base", error) : 0;
}

/* ---- At once -------------------------------------------------------------------------------------- */

/* A manifest that lists a base and the file that is written next: where `anew`, a base of what is there now. */
static int make_files(bool anew, int64_t unix_ms) {
    int error = make_directory();
    if (!error) error = read_manifest();
    bool is_new = !manifest_base(&appender.manifest) && !manifest_last(&appender.manifest),
         needs_base = anew || is_new; /* as for Redis: the first incremental file may be all that there is */
    if (!error && !needs_base && last_is_empty()) return 0;
    if (!error && needs_base) {
        error = name_base();
        if (!error && !save_base(unix_ms)) error = -EIO;
    }
    if (!error) error = name_incr();
    if (!error && needs_base) error = list_base(appender.manifest.incr_seq);
    if (error) return error;
    error = list_incr();
    appender.lacks_room = !needs_base && (error == -ENOSPC || error == -EDQUOT);
    return error;
}

static void delete_history(void) {
    struct manifest_place at = place();
    int error;
    bool changed = manifest_delete_history(&appender.manifest, appender.disk, &at, &error);
    if (error) complain("delete old files", error);
    if (changed) (void)write_manifest();
}

/* Of a log that was switched off before they were listed, and whose writer has none of them open. Where somebody took the
 * manifest away that listed a base, nobody knows which these are. */
static void drop_unlisted(void) {
    struct manifest listed = {0};
    struct manifest_place at = place();
    char why[MANIFEST_WHY_SIZE], path[MANIFEST_PATH_SIZE];
    int error = manifest_read(&listed, appender.disk, &at, why);
    bool known = !error || (error == -ENOENT && !manifest_base(&appender.manifest));
    for (size_t i = 0; known && i < appender.manifest.count; i++) {
        const char *name = appender.manifest.files[i].name;
        if (!manifest_has(&listed, name) && manifest_path(path, &at, name))
            (void)appender.disk->unlink(appender.disk, path);
    }
    manifest_free(&listed);
}

/* A file has grown beyond its base, whatever was appended by earlier runs. */
static void note_sizes(void) {
    const struct manifest_file *base = manifest_base(&appender.manifest);
    int64_t size = base ? size_of(base->name) : 0;
    appender.other_size = size_of_others();
    appender.base_size = size > 0 ? (uint64_t)size : 0;
}

static bool claim(void) {
    char why[CLAIM_WHY_SIZE];
    bool claimed = claim_directory(why);
    if (!claimed) log_warning("Cannot begin the append-only file: %s", why);
    return claimed;
}

/* `anew`: what is in the files is not what is in memory. 0, or a negative errno: then lacks_room says whether the files that
 * there are have everything, and only room is missing for the next one. */
static int make_ready(bool anew, int64_t unix_ms) {
    appender.lacks_room = false;
    if (!claim()) return -EBUSY;
    mutex_lock(&appender.mutex);
    int error = make_files(anew, unix_ms);
    if (!error) delete_history();
    if (!error || appender.lacks_room) note_sizes();
    if (error && !appender.lacks_room) manifest_free(&appender.manifest);
    mutex_unlock(&appender.mutex);
    return error;
}

/* As redis-server would, which opens the last file again, whether anything can be written to it or not: the server starts,
 * and refuses changes until there is room. */
static void wait_for_room(int error) {
    atomic_store_explicit(&appender.step, STEP_BEGINNING, memory_order_release);
    writer_wait(&appender.writer, appender.incr_path, error, 0);
    appender.error = error;
    appender.refused = true;
    appender.server->refuse(true);
}

/* By the thread. Where it was switched off meanwhile, what waits is dropped up to that cut. */
static void begin_again(int64_t now_ms) {
    struct writer *writer = &appender.writer;
    int error = 0;
    assert(step_now() == STEP_BEGINNING && writer->waits);
    if (appender.on) {
        mutex_lock(&appender.mutex);
        error = list_incr();
        if (!error) delete_history();
        if (!error) note_sizes();
        mutex_unlock(&appender.mutex);
        if (!error && !writer_begin(writer, appender.incr_path)) error = writer->error;
        if (error) writer_wait(writer, appender.incr_path, error, now_ms);
    } else {
        mutex_lock(&appender.mutex);
        drop_unlisted();
        mutex_unlock(&appender.mutex);
        writer->abandons = true;
    }
    if (!error) atomic_store_explicit(&appender.step, STEP_NONE, memory_order_release);
}

static bool policy_holds(void) {
    return config.appendonly && appender_hurries();
}

/* All stripes are held. */
static bool begin(bool from_files) {
    assert(!appender.begun && !appender.on && journal_next() == 0);
    if (!config.appendonly) return true;
    int error = make_ready(!from_files, clock_unix_ms());
    if (error && !appender.lacks_room) return false;
    if (error)
        wait_for_room(error);
    else if (!writer_begin(&appender.writer, appender.incr_path))
        return false;
    appender.on = true;
    journal_switch(true);
    if (policy_holds()) journal_switch_hold(true);
    if (!error) log_notice("Changes are appended to %s", appender.incr_path);
    return true;
}

bool appender_begin(bool from_files) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    bool ok = begin(from_files);
    appender.begun = true; /* INFO says till then that it will be on, and a first base may take long */
    stripe_set_unlock(&all);
    return ok;
}

static void cut_to(struct record_queue *queue, const char *path) {
    assert(!queue_is_open(queue)); /* what the command has changed before is sealed */
    queue_add_cut(queue, bytes_of(path));
    (void)journal_seal(queue, 0);
}

/* ---- The base ------------------------------------------------------------------------------------- */

/* All stripes are held: what is changed from here on goes into the next file. */
static void cut(void *context) {
    (void)context;
    if (appender.switches_on) {
        assert(!journal_listens() && !appender.on);
        journal_switch(true);
        appender.on = true;
    }
    if (appender.on) cut_to(appender.queue, appender.incr_path);
    atomic_store_explicit(&appender.step, STEP_SAVING, memory_order_release);
}

static void base_ended(bool saved, uint64_t bytes) {
    appender.saved = saved;
    appender.saved_size = bytes;
    atomic_store_explicit(&appender.step, STEP_SAVED, memory_order_release);
    bell_ring(&appender_bell);
}

/* By the thread that has written it, or whoever gave it up. */
static void ended(void *context, const struct snapshot_written *written) {
    (void)context;
    appender.peak = snapshot_progress().peak;
    if (written->error)
        log_warning("Cannot %s for the append-only file: %s", written->failed, strerror(-written->error));
    base_ended(!written->error && !written->given_up, written->bytes);
}

/* All stripes are held, and no snapshot is under way. False where there is no cut. */
static bool start_base(struct record_queue *queue, int64_t unix_ms) {
    struct snapshot_order order = {
        .disk = appender.disk,
        .names = {appender.temporary, appender.base_path, config.appenddirname},
        .form = {config.rdbcompression, config.rdbchecksum, true, appender.commands},
        .aof_base = true,
        .by_hand = appender.server->by_hand,
        .cut = cut,
        .ended = ended};
    snprintf(appender.temporary, sizeof appender.temporary, "temp-rewriteaof-bg-%d.aof", (int)getpid());
    appender.queue = queue;
    int error = snapshot_start(&order, unix_ms);
    if (error) complain("begin a base", error);
    return !error;
}

/* ---- On and off ----------------------------------------------------------------------------------- */

/* The first file, which is listed with its base. */
static int make_first(void) {
    if (!claim()) return -EBUSY;
    mutex_lock(&appender.mutex);
    int error = make_directory();
    if (!error) error = read_manifest();
    if (!error) error = name_base();
    if (!error) error = make_incr();
    appender.first_incr = appender.manifest.incr_seq;
    mutex_unlock(&appender.mutex);
    return error;
}

/* Where another snapshot is under way nobody is served until this one is written. */
static bool switch_on_at_once(struct record_queue *queue, int64_t unix_ms) {
    if (make_ready(true, unix_ms)) return false;
    assert(!journal_listens());
    journal_switch(true);
    appender.waits = false;
    appender.on = true; /* before the cut, as the thread may fail at that */
    cut_to(queue, appender.incr_path);
    return true;
}

static bool switch_on_by_and_by(struct record_queue *queue, int64_t unix_ms) {
    if (make_first()) return false;
    appender.cancelled = false;
    appender.switches_on = true;
    appender.waits = true;
    appender.begun_ms = (int64_t)(clock_monotonic_us() / 1000);
    appender.rewrites++;
    bool started = start_base(queue, unix_ms);
    appender.switches_on = false;
    if (!started) appender.waits = false;
    return started;
}

/* A rewrite that is under way. The thread sees it by and by. */
static void give_up(void) {
    if (step_now() != STEP_NONE) appender.cancelled = true;
    if (step_now() == STEP_SAVING) snapshot_give_up();
}

/* Waits for that, while nobody takes a cut. */
static void await_given_up(void) {
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    for (unsigned i = 0; i < GIVEN_UP_MS && step_now() != STEP_NONE; i++) {
        appender.cancelled = true;                          /* it may have begun just now */
        if (step_now() == STEP_READY) base_ended(false, 0); /* nobody will take its cut */
        bell_ring(&appender_bell);
        nanosleep(&moment, NULL);
    }
}

/* One that goes on was given up when the log was switched off, or has a base to no file: another one is made. A claimed step
 * lets none begin meanwhile; with SAVING the thread does nothing. */
static bool switch_on(struct record_queue *queue, int64_t unix_ms) {
    enum step none = STEP_NONE;
    give_up();
    await_given_up();
    if (!atomic_compare_exchange_strong(&appender.step, &none, STEP_SAVING)) {
        log_warning("The append-only file cannot be switched on while it is being made anew");
        return false;
    }
    bool at_once = snapshot_is_under_way();
    bool on = at_once ? switch_on_at_once(queue, unix_ms) : switch_on_by_and_by(queue, unix_ms);
    if (at_once || !on) atomic_store_explicit(&appender.step, STEP_NONE, memory_order_release);
    if (on) log_notice("Changes are appended to %s from now on", appender.incr_path);
    return on;
}

static void switch_off(struct record_queue *queue) {
    assert(journal_listens());
    appender.on = appender.waits = false;
    give_up();
    cut_to(queue, "");
    journal_switch(false);
    log_notice("Changes are no longer appended to a file");
}

bool appender_follow(struct record_queue *queue, int64_t now_ms) {
    bool ok = true;
    if (!appender.begun) return true; /* data are loaded yet; then it looks at the options */
    if (config.appendonly && !appender.on)
        ok = switch_on(queue, now_ms);
    else if (!config.appendonly && appender.on)
        switch_off(queue);
    bool holds = ok && policy_holds();
    if (holds != journal_holds()) journal_switch_hold(holds);
    bell_ring(&appender_bell);
    return ok;
}

/* ---- Being read ----------------------------------------------------------------------------------- */

/* False where that cannot be. */
static bool await_written(void) {
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    while (appender.written != journal_next() && !appender.error) {
        bell_ring(&appender_bell);
        nanosleep(&moment, NULL);
    }
    return !appender.error;
}

struct disk *appender_keep_files(void) {
    if (!journal_queue_count() || !appender.begun || appender.waits) {
        log_warning("The append-only file cannot be read: it is not complete yet");
        return NULL;
    }
    if (!await_written()) {
        log_warning("The append-only file cannot be read: not all is written to it");
        return NULL;
    }
    mutex_lock(&appender.mutex);
    return appender.disk;
}

void appender_give_files(void) {
    mutex_unlock(&appender.mutex);
}

/* ---- Rewriting ------------------------------------------------------------------------------------ */

enum appender_answer appender_rewrite(void) {
    enum step none = STEP_NONE;
    if (!journal_queue_count() || step_now() == STEP_BEGINNING) return REWRITE_IMPOSSIBLE;
    if (!atomic_compare_exchange_strong(&appender.step, &none, STEP_ASKED)) return REWRITE_GOES_ON;
    bell_ring(&appender_bell);
    return REWRITE_STARTED;
}

static void rewrite_ended(bool ok, int64_t now_ms) {
    assert(appender.step == STEP_ASKED || appender.step == STEP_SAVED);
    appender.rewrite_ok = ok;
    appender.last_rewrite_s = (now_ms - appender.begun_ms) / 1000;
    appender.limited = !ok && ++appender.failures >= REWRITE_FAILURES_FREE;
    if (ok) appender.failures = 0;
    if (!ok) appender.may_rewrite_ms = now_ms + (appender.limited ? REWRITE_WAIT_MS : REWRITE_AGAIN_MS);
    appender.step = STEP_NONE;
}

static int prepare(void) {
    int error = make_directory();
    if (!error) error = name_base();
    if (!error && appender.on) error = make_incr();
    if (!error && appender.on && !appender.waits) error = write_manifest();
    appender.first_incr = appender.manifest.incr_seq + (appender.on ? 0 : 1);
    return error;
}

/* The next file is made and listed before anything is to go into it. */
static void begin_rewrite(int64_t now_ms) {
    appender.begun_ms = now_ms;
    appender.rewrites++;
    appender.cancelled = false;
    mutex_lock(&appender.mutex);
    int error = appender.on && appender.manifest.count ? 0 : read_manifest();
    if (!error) error = prepare();
    if (error) fall_back();
    mutex_unlock(&appender.mutex);
    if (error) {
        rewrite_ended(false, now_ms);
        return;
    }
    log_notice("Background append only file rewriting started");
    assert(appender.step == STEP_ASKED && appender.first_incr > 0);
    appender.step = STEP_READY;
}

/* A base that is in nobody's use. Where only the directory could not be synced, the manifest lists it. */
static void drop_base(void) {
    const struct manifest_file *base = manifest_base(&appender.manifest);
    bool listed = base && strcmp(base->name, appender.base_name) == 0;
    if (!listed && appender.manifest.count) (void)appender.disk->unlink(appender.disk, appender.base_path);
}

static bool list_saved(void) {
    bool ok = list_base(appender.first_incr) == 0 && write_manifest() == 0;
    if (!ok) {
        fall_back();
        return false;
    }
    appender.waits = false;
    note_sizes();
    delete_history();
    return true;
}

static void end_rewrite(int64_t now_ms) {
    assert(appender.first_incr > 0 && appender.base_name[0]);
    mutex_lock(&appender.mutex);
    bool ok = appender.saved && !appender.cancelled && list_saved();
    if (!ok && appender.saved) drop_base();
    if (!ok && !appender.on) drop_unlisted();
    mutex_unlock(&appender.mutex);
    if (ok && appender.on) writer_has_base(&appender.writer);
    if (appender.writer.doubt)
        appender.may_rewrite_ms = now_ms + REWRITE_AGAIN_MS; /* what follows could not be synced either */
    if (ok)
        log_notice("Background AOF rewrite finished successfully: %" PRIu64 " bytes", appender.saved_size);
    if (!ok) log_warning("Background AOF rewrite has failed");
    rewrite_ended(ok, now_ms);
}

static bool has_grown(void) {
    uint64_t size = appender.other_size + appender.file_size,
             base = appender.base_size ? appender.base_size : 1;
    int64_t percentage = config.auto_aof_rewrite_percentage;
    if (!percentage || !appender.on || size <= (uint64_t)config.auto_aof_rewrite_min_size || size < base)
        return false;
    return (size - base) / base >= (uint64_t)percentage / 100 &&
           (double)(size - base) * 100 >= (double)base * (double)percentage;
}

/* It was switched on, and its first base is not there. */
static bool needs_first(void) {
    return appender.on && appender.waits;
}

/* That has failed, or what is in the files is in doubt. */
static bool needs_base(void) {
    return needs_first() || (appender.on && appender.writer.doubt);
}

/* One that has to wait for its time is told of once. */
static void rewrite_by_itself(int64_t now_ms) {
    enum step none = STEP_NONE;
    if (!needs_base() && !has_grown()) return;
    if (now_ms < appender.may_rewrite_ms) {
        if (appender.limited)
            log_warning("Background AOF rewrite has repeatedly failed and triggered the limit, will retry in "
                        "%d minutes",
                        REWRITE_WAIT_MS / 60 / 1000);
        appender.limited = false;
        return;
    }
    if (!atomic_compare_exchange_strong(&appender.step, &none, STEP_ASKED)) return;
    log_notice("Starting automatic rewriting of AOF");
    begin_rewrite(now_ms);
}

static void rewrite_step(int64_t now_ms) {
    switch (step_now()) {
    case STEP_NONE: rewrite_by_itself(now_ms); break;
    case STEP_BEGINNING: break;
    case STEP_ASKED: begin_rewrite(now_ms); break;
    case STEP_READY:
        if (!snapshot_is_under_way()) appender.server->look_again();
        break;
    case STEP_SAVING: break;
    case STEP_SAVED:
        if (appender.on || appender.writer.written == journal_next()) end_rewrite(now_ms);
        break;
    }
}

/* When a step is to be taken that nobody rings the bell for. */
static int64_t step_due_ms(enum step step, int64_t now_ms) {
    if (step == STEP_READY) return now_ms + READY_MS;
    return step == STEP_NONE && needs_base() ? appender.may_rewrite_ms : WRITER_NEVER;
}

bool appender_wants_cut(void) {
    return step_now() == STEP_READY;
}

bool appender_cut(struct record_queue *queue, int64_t unix_ms) {
    if (!appender_wants_cut() || snapshot_is_under_way()) return false;
    bool started = !appender.cancelled && start_base(queue, unix_ms);
    if (!started) base_ended(false, 0);
    return started;
}

/* ---- The thread ----------------------------------------------------------------------------------- */

void appender_note(uint64_t now_ms) {
    int64_t none = WRITER_NEVER;
    if (atomic_load(&appender.came_ms) == WRITER_NEVER)
        (void)atomic_compare_exchange_strong(&appender.came_ms, &none, (int64_t)now_ms);
}

bool appender_has_room(uint64_t now_ms) {
    int64_t since_ms = atomic_load(&appender.since_ms), waits_ms = atomic_load(&appender.waits_since_ms),
            came_ms = atomic_load(&appender.came_ms);
    if (waits_ms < since_ms) since_ms = waits_ms;
    if (came_ms < since_ms) since_ms = came_ms;
    bool old = since_ms != WRITER_NEVER && (int64_t)now_ms - since_ms > APPENDER_AGE_MAX_MS;
    if (old && policy() == WRITER_EVERYSEC &&
        !atomic_load_explicit(&appender.syncs_rest, memory_order_relaxed))
        return false;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < journal_queue_count(); i++) bytes += queue_bytes(journal_queue(i));
    return bytes < APPENDER_BYTES_MAX;
}

static void tell_figures(void) {
    const struct writer *writer = &appender.writer;
    appender.synced = writer->synced;
    appender.written = writer->written;
    appender.file_size = writer->size;
    appender.error = writer->error;
    if (writer->fatal) appender.fatal = writer->error;
    bool waited = appender.unsynced_ms < writer->since_ms;
    atomic_store(&appender.since_ms, waited ? appender.unsynced_ms : writer->since_ms);
    if ((writer->error != 0) != appender.refused) {
        appender.refused = !appender.refused;
        appender.server->refuse(appender.refused);
        appender.server->look_again(); /* who is held for room hears it */
    }
}

static void make_room(int64_t now_ms) {
    atomic_thread_fence(memory_order_seq_cst);
    if (appender_has_room((uint64_t)now_ms) && appender.server->holds()) appender.delayed++;
}

/* A turn of the writer, and how old what it leaves may be: records say nothing of that, so all that a turn finds counts as
 * old as the beginning of the one before, or, if that left nothing, as what came first since then. */
static int64_t write_turn(struct writer *writer, int64_t now_ms) {
    int64_t came_ms = atomic_load(&appender.came_ms);
    if (!appender.left) appender.left_ms = now_ms;
    if (came_ms < appender.left_ms) appender.left_ms = came_ms;
    atomic_store(&appender.waits_since_ms, appender.left_ms);
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
    bool on = appender.on, waits = appender.waits;
    uint64_t synced = appender.synced;
    if (on == appender.told_on && waits == appender.told_waits && synced == appender.told_synced) return;
    appender.told_on = on;
    appender.told_waits = waits;
    appender.told_synced = synced;
    atomic_fetch_add(&appender_news_count, 1);
    if (atomic_load(&awaiting)) appender.server->wake();
}

void appender_limit(uint64_t tickets) {
    appender.writer.batch.most = tickets;
}

int64_t appender_turn(int64_t now_ms) {
    struct writer *writer = &appender.writer;
    writer->policy = policy();
    writer->timestamps = config.aof_timestamp_enabled;
    writer->syncs_rest = config.no_appendfsync_on_rewrite && rewrites(step_now());
    appender.syncs_rest = writer->syncs_rest;
    writer->unix_s = clock_unix_ms() / 1000;
    writer->abandons |= writer->error && !appender.on; /* its last cut is there, or about to be */
    if (step_now() == STEP_BEGINNING && (now_ms >= writer->retry_ms || !appender.on)) begin_again(now_ms);
    int64_t due_ms = write_turn(writer, now_ms);
    tell_figures();
    if (appender_fatal()) return WRITER_NEVER;
    enum step before = step_now();
    atomic_store(&appender.waits_since_ms, appender.left_ms);
    rewrite_step(now_ms);
    atomic_store(&appender.waits_since_ms, appender.left ? appender.left_ms : WRITER_NEVER);
    make_room(now_ms);
    tell_waiting();
    if (step_now() != before) return now_ms;
    int64_t step_ms = step_due_ms(before, now_ms);
    return step_ms < due_ms ? step_ms : due_ms;
}

void appender_sleep_before_writes(int64_t sleep_us) {
    appender.sleep_us = sleep_us;
}

int appender_fatal(void) {
    return appender.fatal;
}

/* All data in a base; then nobody needs the file that was to follow the one that is missing. */
static bool list_first(void) {
    const char *name = appender.writer.name;
    if (make_ready(true, clock_unix_ms())) return false;
    appender.waits = false;
    if (name[0]) (void)appender.disk->unlink(appender.disk, name);
    return true;
}

bool appender_finish(int64_t now_ms) {
    struct writer *writer = &appender.writer;
    writer->policy = WRITER_EVERYSEC;
    if (step_now() == STEP_BEGINNING && writer->written != journal_next()) begin_again(now_ms);
    writer->retry_ms = WRITER_NEVER;
    while (writer_turn(writer, now_ms) == now_ms) now_ms++;
    bool ok = writer_sync(writer, now_ms) && writer->synced == journal_next();
    appender.written = writer->written;
    appender.synced = writer->synced;
    if (ok && step_now() == STEP_SAVED) end_rewrite(now_ms);
    if (needs_first()) return list_first(); /* else it is in no file that is listed */
    if (!ok)
        log_warning("The last changes are not on the disk, and may be lost, %" PRIu64 " of them: %s",
                    journal_next() - writer->synced, strerror(-writer->error));
    return ok;
}

/* ---- What is on the disk -------------------------------------------------------------------------- */

bool appender_is_on(void) {
    return appender.on;
}

bool appender_has_synced(uint64_t ticket) {
    return appender.on && !appender.waits && appender.synced >= ticket;
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
    enum step step = step_now();
    bool asked = step == STEP_ASKED || step == STEP_READY, waits = asked && snapshot_is_under_way(),
         loads = !appender.begun && journal_queue_count() && config.appendonly;
    struct appender_figures figures = {.on = appender.on || loads,
                                       .asked = asked,
                                       .rewriting = rewrites(step) && !waits,
                                       .scheduled = waits,
                                       .rewrite_ok = appender.rewrite_ok,
                                       .write_ok = !appender.error,
                                       .last_rewrite_s = appender.last_rewrite_s,
                                       .current_rewrite_s = -1,
                                       .rewrites = appender.rewrites,
                                       .failures = appender.failures,
                                       .size = appender.other_size + appender.file_size,
                                       .base_size = appender.base_size,
                                       .unsynced = appender.synced != journal_next(),
                                       .delayed = appender.delayed,
                                       .peak = appender.peak};
    if (figures.rewriting)
        figures.current_rewrite_s = ((int64_t)clock_monotonic_us() / 1000 - appender.begun_ms) / 1000;
    if (appender.written == journal_next()) return figures; /* queues have nothing but room */
    for (unsigned i = 0; i < journal_queue_count(); i++) figures.buffered += queue_bytes(journal_queue(i));
    return figures;
}

const char *appender_error(void) {
    return strerror(-appender.error);
}
