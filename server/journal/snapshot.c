/* snapshot.c - what saving and loading share. */
#include "server/journal/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/bell.h"
#include "server/journal/claim.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot_save.h"
#include "server/journal/snapshot_walk.h"
#include "server/log.h"
#include "server/stripes/stripes.h"

enum { RETRY_S = 5, LOOK_AGAIN_MS = 100, LATE_S = 2 * RETRY_S };

/* What is atomic any thread may read, and the one that saves in the background changes; the rest is for who holds all. */
static struct {
    struct disk *disk;
    uint64_t work; /* atomic */
    _Atomic bool skips_checksums;
    uint64_t saves;
    uint64_t loaded_keys, expired_keys;
    uint64_t changes_cut; /* of all stripes, at the cut of the save in the background */
    uint64_t begun_us;    /* monotonic: that was then */
    char temporary[32];   /* its file */
    _Atomic int64_t saved_s, tried_s, begun_s, took_s;
    _Atomic int64_t
        since_s; /* save points count from: the last save, or when the clock was set back behind that */
    _Atomic int64_t owed_s;   /* since when the save points ask for a save; 0: they do not */
    _Atomic uint64_t changes; /* of all stripes, when it was saved last */
    _Atomic uint64_t last_peak;
    _Atomic bool in_background, scheduled, failed, told_late;
} snapshot = {.disk = &disk_kernel, .took_s = -1};

/* All stripes are held. */
static uint64_t changes_now(void) {
    uint64_t changes = 0;
    for (unsigned i = 0; i < stripes.count; i++) changes += stripes.all[i].changes;
    return changes;
}
/* None is. */
static uint64_t changes_by_and_by(void) {
    uint64_t changes = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        stripe_lock(&stripes.all[i]);
        changes += stripes.all[i].changes;
        stripe_unlock(&stripes.all[i]);
    }
    return changes;
}

void snapshot_open(struct disk *disk, int64_t now_ms) {
    snapshot.disk = disk;
    snapshot.saved_s = snapshot.since_s = now_ms / 1000;
    snapshot.saves = snapshot.loaded_keys = snapshot.expired_keys = 0;
    snapshot.changes = changes_now();
    snapshot.took_s = -1;
    snapshot.tried_s = snapshot.owed_s = 0;
    snapshot.scheduled = snapshot.failed = snapshot.told_late = false;
}

void snapshot_close(void) {
    snapshot_give_up();
}

/* ---- At once -------------------------------------------------------------------------------------- */

static void saved(uint64_t changes) {
    snapshot.saved_s = snapshot.since_s = clock_unix_ms() / 1000;
    snapshot.changes = changes;
    snapshot.owed_s = 0;
    snapshot.failed = snapshot.told_late = false;
}

static void tell_saved(const char *what, uint64_t keys, uint64_t bytes, uint64_t begun_us) {
    log_notice("%s: %" PRIu64 " keys, %" PRIu64 " bytes, %.3f seconds", what, keys, bytes,
               (double)(clock_monotonic_us() - begun_us) / 1e6);
}

bool snapshot_save(int64_t now_ms) {
    struct snapshot_save save = {.disk = snapshot.disk,
                                 .name = config.dbfilename,
                                 .compressed = config.rdbcompression,
                                 .summed = config.rdbchecksum,
                                 .gradual = config.rdb_save_incremental_fsync,
                                 .work = &snapshot.work,
                                 .now_ms = now_ms};
    char why[CLAIM_WHY_SIZE];
    uint64_t begun_us = clock_monotonic_us();
    assert(!snapshot.in_background);
    if (!claim_directory(why)) {
        log_warning("Cannot save the data: %s", why);
        return false;
    }
    int error = snapshot_save_run(&save);
    if (error) {
        log_warning("Cannot save the data: could not %s for %s: %s", save.failed, save.name,
                    strerror(-error));
        return false;
    }
    saved(changes_now());
    tell_saved("DB saved on disk", save.keys, save.bytes, begun_us);
    return true;
}

void snapshot_count(void) {
    snapshot.saves++;
}

/* ---- In the background ---------------------------------------------------------------------------- */

static void save_failed(const char *what, int error) {
    log_warning("Background saving error: could not %s for %s: %s", what, config.dbfilename,
                strerror(-error));
    snapshot.failed = true;
}

/* On the thread that has written the file. */
static void ended(void *context, const struct snapshot_written *written) {
    (void)context;
    snapshot.took_s = clock_unix_ms() / 1000 - snapshot.begun_s;
    snapshot.last_peak = snapshot_progress().peak;
    if (written->given_up) {
        log_notice("Background saving was given up");
    } else if (written->error) {
        save_failed(written->failed, written->error);
    } else {
        saved(snapshot.changes_cut);
        tell_saved("Background saving terminated with success", written->keys, written->bytes,
                   snapshot.begun_us);
    }
    snapshot.in_background = false;
}

bool snapshot_background(int64_t now_ms) {
    struct snapshot_order order = {
        .disk = snapshot.disk,
        .names = {.temporary = snapshot.temporary, .path = config.dbfilename, .directory = "."},
        .form = {.compressed = config.rdbcompression,
                 .summed = config.rdbchecksum,
                 .gradual = config.rdb_save_incremental_fsync},
        .ended = ended};
    char why[CLAIM_WHY_SIZE];
    assert(!snapshot.in_background && !snapshot_other());
    snapshot_writer_join(); /* the last one has ended, but for the end of its thread */
    snapshot.scheduled = false;
    snapshot.tried_s = snapshot.begun_s = now_ms / 1000;
    if (!claim_directory(why)) {
        log_warning("Cannot save the data: %s", why);
        snapshot.failed = true;
        return false;
    }
    snprintf(snapshot.temporary, sizeof snapshot.temporary, "temp-%d-bg.rdb", (int)getpid());
    snapshot.saves++;
    snapshot.begun_us = clock_monotonic_us();
    snapshot.changes_cut = changes_now();
    snapshot.in_background = true;
    int error = snapshot_start(&order, now_ms);
    if (!error) {
        log_notice("Background saving started");
        return true;
    }
    snapshot.in_background = false;
    save_failed("begin", error);
    return false;
}

bool snapshot_in_background(void) {
    return snapshot.in_background;
}
bool snapshot_other(void) {
    return snapshot_is_under_way() && snapshot_writer_makes_base();
}
void snapshot_schedule(void) {
    snapshot.scheduled = true;
}

void snapshot_stop(void) {
    if (snapshot.in_background) snapshot_give_up();
    assert(!snapshot.in_background);
}

/* What redis-server does then, too, with nobody served meanwhile. But half of what is being loaded is not saved. */
void snapshot_emptied(int64_t now_ms) {
    if (intake_going()) return;
    if (config_saves() && !snapshot.in_background) snapshot_save(now_ms);
}

bool snapshot_stops_writes(void) {
    return snapshot.failed && config.stop_writes_on_bgsave_error && config_saves();
}

/* ---- Save points ---------------------------------------------------------------------------------- */

/* A clock that is set back does not put saves off for as long. */
static void look_at_clock(int64_t now_s) {
    if (now_s < snapshot.since_s) snapshot.since_s = now_s;
    if (now_s < snapshot.tried_s) snapshot.tried_s = now_s;
    if (now_s < snapshot.owed_s) snapshot.owed_s = now_s;
}

/* When the first save point asks for a save, and which one; INT64_MAX: none does. */
static int64_t point_due_s(uint64_t changes, struct config_save_point *due) {
    struct config_save_point points[CONFIG_SAVE_POINTS_MAX];
    unsigned count = config_save_points(points);
    int64_t first_s = INT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        if (changes < (uint64_t)points[i].changes || points[i].seconds >= INT64_MAX / 2) continue;
        int64_t due_s = snapshot.since_s + points[i].seconds + 1;
        if (due_s < first_s) *due = points[i];
        if (due_s < first_s) first_s = due_s;
    }
    return first_s;
}

/* After a failure the next save has to wait for some seconds. */
static int64_t due_s(uint64_t changes, struct config_save_point *point, int64_t now_s) {
    int64_t first_s = point_due_s(changes, point), retry_s = snapshot.tried_s + RETRY_S + 1;
    if (snapshot.scheduled) first_s = now_s;
    return snapshot.failed && first_s < retry_s ? retry_s : first_s;
}

/* Says so once where saves do not come to their ends. Before one was owed there may have been nothing to save for long. */
static void look_at_age(const struct config_save_point *point, int64_t first_s, int64_t now_s) {
    int64_t age_s = now_s - snapshot.saved_s, owed_s = 0;
    if (first_s > now_s) {
        snapshot.owed_s = 0;
        return;
    }
    if (atomic_compare_exchange_strong(&snapshot.owed_s, &owed_s, now_s)) return;
    if (now_s - owed_s <= point->seconds + LATE_S) return;
    if (atomic_exchange(&snapshot.told_late, true)) return;
    log_warning("The last good save is %" PRId64 " seconds old, though one is asked for after %" PRId64
                " seconds",
                age_s, point->seconds);
}

int64_t snapshot_due_ms(int64_t now_ms) {
    struct config_save_point point = {0};
    if (intake_going() || (!snapshot.scheduled && !config_saves())) return INT64_MAX;
    uint64_t changes = changes_by_and_by() - snapshot.changes;
    look_at_clock(now_ms / 1000);
    look_at_age(&point, point_due_s(changes, &point), now_ms / 1000);
    if (snapshot_is_under_way()) return now_ms + LOOK_AGAIN_MS;
    int64_t first_s = due_s(changes, &point, now_ms / 1000);
    return first_s == INT64_MAX ? INT64_MAX : first_s * 1000;
}

bool snapshot_begin_due(int64_t now_ms) {
    struct config_save_point point = {0};
    if (intake_going() || snapshot_is_under_way()) return false;
    uint64_t changes = changes_now() - snapshot.changes;
    look_at_clock(now_ms / 1000);
    if (due_s(changes, &point, now_ms / 1000) > now_ms / 1000) return false;
    if (!snapshot.scheduled)
        log_notice("%" PRIu64 " changes in %" PRId64 " seconds. Saving...", changes, point.seconds);
    return snapshot_background(now_ms);
}

/* ---- Loading -------------------------------------------------------------------------------------- */

static void tell_loaded(const struct snapshot_load *load) {
    if (load->version[0]) log_notice("Loading RDB produced by version %s", load->version);
    if (load->created_s) log_notice("RDB age %" PRId64 " seconds", load->now_ms / 1000 - load->created_s);
    if (load->empty)
        log_warning("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64
                    ", empty keys skipped: %" PRIu64 ".",
                    load->keys, load->expired, load->empty);
    else
        log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ".", load->keys,
                   load->expired);
}

enum snapshot_loaded snapshot_load(struct snapshot_load *load) {
    uint64_t before = changes_now();
    load->disk = snapshot.disk;
    load->name = config.dbfilename;
    load->summed = config.rdbchecksum && !snapshot.skips_checksums;
    load->work = &snapshot.work;
    enum snapshot_loaded loaded = snapshot_load_run(load);
    snapshot.changes += changes_now() - before;
    if (loaded == SNAPSHOT_FAILED && !intake_cancelled()) log_warning("Cannot load %s", load->why);
    if (loaded != SNAPSHOT_LOADED || load->only_looks) return loaded;
    snapshot.loaded_keys = load->keys;
    snapshot.expired_keys = load->expired;
    tell_loaded(load);
    return loaded;
}

void snapshot_forget_changes(void) {
    snapshot.changes = changes_now();
}

uint64_t *snapshot_work_counter(void) {
    return &snapshot.work;
}

void snapshot_skip_checksums(bool skip) {
    snapshot.skips_checksums = skip;
}

bool snapshot_skips_checksums(void) {
    return snapshot.skips_checksums;
}

/* ---- By a shard, for a thread that is none -------------------------------------------------------- */

enum asked { ASKED_NOT, ASKED, ASKED_SAVED, ASKED_FAILED };
static _Atomic enum asked asked;
static struct bell asking;

bool snapshot_ask(void (*tell)(void), int64_t (*wait)(void)) {
    assert(asked == ASKED_NOT);
    asked = ASKED;
    tell();
    while (asked == ASKED) {
        int64_t timeout_us = wait();
        bell_park(&asking);
        if (asked == ASKED)
            bell_sleep(&asking, timeout_us);
        else
            bell_leave(&asking);
    }
    bool saved = asked == ASKED_SAVED;
    asked = ASKED_NOT;
    return saved;
}

bool snapshot_is_asked(void) {
    return atomic_load_explicit(&asked, memory_order_relaxed) == ASKED;
}

void snapshot_answer(int64_t now_ms) {
    assert(asked == ASKED);
    snapshot_stop();
    asked = snapshot_save(now_ms) ? ASKED_SAVED : ASKED_FAILED;
    bell_ring(&asking);
}

/* ---- Figures -------------------------------------------------------------------------------------- */

struct snapshot_figures snapshot_figures(int64_t now_ms) {
    struct snapshot_progress progress = snapshot_progress();
    bool under_way = snapshot_is_under_way(), in_background = snapshot.in_background;
    struct snapshot_figures figures = {.saved_s = snapshot.saved_s,
                                       .saves = snapshot.saves,
                                       .changes = changes_now() - snapshot.changes,
                                       .loaded_keys = snapshot.loaded_keys,
                                       .expired_keys = snapshot.expired_keys,
                                       .in_background = in_background,
                                       .other = under_way && snapshot_writer_makes_base(),
                                       .failed = snapshot.failed,
                                       .took_s = snapshot.took_s,
                                       .takes_s = in_background ? now_ms / 1000 - snapshot.begun_s : -1,
                                       .last_peak = snapshot.last_peak};
    if (!under_way) return figures;
    figures.bytes = progress.bytes;
    figures.peak = progress.peak;
    figures.keys = progress.keys;
    figures.total = progress.total;
    return figures;
}

int64_t snapshot_saved_s(void) {
    return snapshot.saved_s;
}

uint64_t snapshot_work(void) {
    return __atomic_load_n(&snapshot.work, __ATOMIC_RELAXED) +
           __atomic_load_n(&snapshot_writer_work, __ATOMIC_RELAXED);
}
